"""Parts of a search that is under way, kept until it is whole."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable

from evidence.store.database import Database


class Slices(Database):
    """Slices of searches: ranges of PMIDs with what was found in them."""

    def keep_slice(
        self, query: str, low: int, high: int, pmids: Iterable[int], *, reply: str, on: dt.date
    ) -> None:
        """Keep a part of a search that is under way."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO slices VALUES (?, ?, ?, ?, ?, ?)",
                (query, low, high, reply, json.dumps(list(pmids)), on.isoformat()),
            )

    def slices(self, query: str, *, since: dt.date) -> list[tuple[int, int, str, tuple[int, ...]]]:
        """The parts of a search kept since a day: low, high, reply, PMIDs."""
        with self._faults():
            rows = self._db.execute(
                "SELECT low, high, reply, pmids FROM slices WHERE query = ? AND kept_on >= ?"
                " ORDER BY low, high",
                (query, since.isoformat()),
            ).fetchall()
        return [(low, high, reply, tuple(json.loads(pmids))) for low, high, reply, pmids in rows]

    def forget_slices(self, query: str, *, before: dt.date | None = None) -> None:
        """Drop the kept parts of a search, and those of any search kept before a day."""
        with self._faults():
            old = before.isoformat() if before else ""
            (there,) = self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM slices WHERE query = ? OR kept_on < ?)", (query, old)
            ).fetchone()
        if there:
            with self._writing():
                self._db.execute("DELETE FROM slices WHERE query = ? OR kept_on < ?", (query, old))
