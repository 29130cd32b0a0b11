"""References of other databases, as their files gave them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from evidence.store.database import Database
from evidence.store.nouns import Other


class Others(Database):
    """References that PubMed does not have, or that came from elsewhere too."""

    def add_others(self, claim: str, source: str, rows: Iterable[Other], *, on: dt.date) -> None:
        """Keep what a file of another database holds, in place of what it held before."""
        with self._writing():
            held = dict(
                self._db.execute(
                    "SELECT id, added_on FROM others WHERE claim = ? AND source = ?",
                    (claim, source),
                ).fetchall()
            )
            self._db.execute("DELETE FROM others WHERE claim = ? AND source = ?", (claim, source))
            self._db.executemany(
                "INSERT INTO others VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        claim,
                        row.id,
                        source,
                        row.body,
                        row.name,
                        int(row.pmid) if row.pmid else None,
                        held.get(row.id, on.isoformat()),
                    )
                    for row in rows
                ],
            )

    def name_others(self, claim: str, works: Iterable[tuple[str, str, str | None]]) -> None:
        """Say of references by id which work each is: its name, and its PMID if one is known."""
        with self._writing():
            self._db.executemany(
                "UPDATE others SET name = ?, pmid = ? WHERE claim = ? AND id = ?",
                [(name, int(pmid) if pmid else None, claim, id_) for id_, name, pmid in works],
            )

    def others(self, claim: str) -> tuple[Other, ...]:
        """References of other databases: as they came, by day, file and place in it."""
        with self._faults():
            rows = self._db.execute(
                "SELECT id, source, body, name, pmid FROM others WHERE claim = ?"
                " ORDER BY added_on, source, id",
                (claim,),
            ).fetchall()
        return tuple(
            Other(id_, source, body, name, str(pmid) if pmid else None)
            for id_, source, body, name, pmid in rows
        )
