"""The SQLite store: records, which claim's search found them when, and the log of searches.

It is a cache. Nothing that a person decided is in it; deleted, the next update fills it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from evidence.errors import StoreError
from evidence.model import Record, SearchRun

STALE_DAYS = 90  # known records are asked for again after this, so that corrections arrive
BUSY_S = 30.0  # how long to wait for another process that is writing
MANY = 500  # values in one statement; SQLite's oldest limit is 999

# One entry for each version of the schema; its position is SQLite's user_version. Never edited
# once released: a change is a further entry.
MIGRATIONS = (
    """
    CREATE TABLE records (
      pmid INTEGER PRIMARY KEY,
      body TEXT NOT NULL,           -- the Record's fields as JSON
      retracted INTEGER NOT NULL,
      revised TEXT,                 -- DateRevised
      fetched_on TEXT NOT NULL,     -- days, never times
      changed_on TEXT NOT NULL,     -- when the body last differed from the one before
      told_on TEXT                  -- when its retraction was told to the reviewer
    );
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY,
      claim TEXT NOT NULL,
      source TEXT NOT NULL,
      kind TEXT NOT NULL,
      ran_on TEXT NOT NULL,
      query TEXT NOT NULL,
      translation TEXT NOT NULL,
      count INTEGER NOT NULL,
      warnings TEXT NOT NULL,       -- JSON list
      complete INTEGER NOT NULL,
      UNIQUE (claim, source, kind, ran_on, query)
    );
    CREATE TABLE members (
      claim TEXT NOT NULL,
      pmid INTEGER NOT NULL,        -- PubMed may list a record that it does not serve
      first_seen TEXT NOT NULL,
      last_seen TEXT NOT NULL,
      dropped_on TEXT,
      revised_seen TEXT,            -- when a search last listed it as revised
      first_run INTEGER NOT NULL REFERENCES runs (id),
      last_run INTEGER NOT NULL REFERENCES runs (id),
      PRIMARY KEY (claim, pmid)
    ) WITHOUT ROWID;
    """,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What a batch of records brought, as PMIDs."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    retracted: tuple[str, ...]  # retracted now, and not known to be before


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """How a claim's set of records moved, as PMIDs."""

    new: tuple[str, ...]  # found for the first time, or again after a while
    dropped: tuple[str, ...]  # no longer found


@dataclasses.dataclass(frozen=True, slots=True)
class StoreCounts:
    """What the store holds for a claim."""

    found: int | None  # None is "never searched"
    without_record: int  # found, but never delivered
    dropped: int
    retracted: int


class Store:
    """One SQLite file, opened for use in one thread; a context manager.

    Every method that writes is one transaction: after a crash, a kill or a full disk the file
    holds all of it or nothing.

    Raises
    ------
    StoreError
        From every method, when the file cannot be read or written; says what to do.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self.path = path
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            with self._faults():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def _version(self) -> int:
        """The version of the file's schema."""
        with self._faults():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} was made by a newer version of this toolkit",
                remedy="update the toolkit, or move the file away: the next update refills it",
            )
        return int(version)

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return  # opening a store writes nothing
        with self._writing():
            for statements in MIGRATIONS[self._version() :]:  # another process may have been first
                for statement in statements.split(";\n"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def add(self, records: Iterable[Record], *, on: dt.date) -> Added:
        """Keep records as received on day ``on``; tells which are new, changed or retracted."""
        new: list[str] = []
        changed: list[str] = []
        retracted: list[str] = []
        with self._writing():
            for record in records:
                body = json.dumps(dataclasses.asdict(record), ensure_ascii=False, sort_keys=True)
                held = self._db.execute(
                    "SELECT body, retracted, changed_on FROM records WHERE pmid = ?",
                    (int(record.pmid),),
                ).fetchone()
                changed_on = on.isoformat()
                if held is None:
                    new.append(record.pmid)
                elif held[0] != body:
                    changed.append(record.pmid)
                else:
                    changed_on = held[2]
                if record.retracted and not (held and held[1]):
                    retracted.append(record.pmid)
                self._db.execute(
                    "INSERT INTO records (pmid, body, retracted, revised, fetched_on, changed_on)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (pmid) DO UPDATE SET"
                    " body = excluded.body, retracted = excluded.retracted,"
                    " revised = excluded.revised, fetched_on = excluded.fetched_on,"
                    " changed_on = excluded.changed_on",
                    (
                        int(record.pmid),
                        body,
                        record.retracted,
                        record.revised,
                        on.isoformat(),
                        changed_on,
                    ),
                )
        return Added(tuple(new), tuple(changed), tuple(retracted))

    def settle(
        self,
        claim: str,
        pmids: Iterable[str],
        run: SearchRun,
        *,
        revised: Iterable[str] = (),
        revised_run: SearchRun | None = None,
    ) -> Settled:
        """Log a complete search and make ``pmids`` the claim's set.

        Parameters
        ----------
        run : SearchRun
            The search that found ``pmids``.
        revised : iterable of str
            Those that ``revised_run`` listed as recently revised.
        """
        on = run.ran_on.isoformat()
        found = {int(pmid) for pmid in pmids}
        with self._writing():
            run_id = self._log(run)
            if revised_run is not None:
                self._log(revised_run)
            # What a reviewer added from a file and no search ever found stays.
            rows = self._db.execute(
                "SELECT pmid, dropped_on IS NULL, kind = 'export' FROM members"
                " JOIN runs ON runs.id = last_run WHERE members.claim = ?",
                (claim,),
            ).fetchall()
            present = {pmid for pmid, there, _ in rows if there}
            added = {pmid for pmid, _, from_file in rows if from_file}
            new = sorted(found - present)
            dropped = sorted(present - found - added)
            self._db.executemany(
                "INSERT INTO members VALUES (?, ?, ?, ?, NULL, NULL, ?, ?)"
                " ON CONFLICT (claim, pmid) DO UPDATE SET last_seen = excluded.last_seen,"
                " dropped_on = NULL, last_run = excluded.last_run",
                [(claim, pmid, on, on, run_id, run_id) for pmid in sorted(found)],
            )
            self._db.executemany(
                "UPDATE members SET dropped_on = ? WHERE claim = ? AND pmid = ?",
                [(on, claim, pmid) for pmid in dropped],
            )
            self._db.executemany(
                "UPDATE members SET revised_seen = ? WHERE claim = ? AND pmid = ?",
                [(on, claim, int(pmid)) for pmid in revised],
            )
        return Settled(tuple(map(str, new)), tuple(map(str, dropped)))

    def add_export(
        self, claim: str, records: Iterable[Record], *, source: str, on: dt.date
    ) -> tuple[str, ...]:
        """Add the records of a file to a claim's set; gives the PMIDs that are new to it.

        Later searches leave in the set those that none of them ever found.

        Parameters
        ----------
        source : str
            The file's name, kept with the search log.
        """
        records = list(records)
        self.add(records, on=on)
        present = set(self.members(claim))
        new = [r.pmid for r in records if r.pmid not in present]
        run = SearchRun(claim, source, on, source, "", len(records), (), True, kind="export")
        with self._writing():
            run_id = self._log(run)
            self._db.executemany(
                "INSERT INTO members VALUES (?, ?, ?, ?, NULL, NULL, ?, ?)"
                " ON CONFLICT (claim, pmid) DO UPDATE SET dropped_on = NULL,"
                " last_run = excluded.last_run WHERE dropped_on IS NOT NULL",
                [
                    (claim, int(r.pmid), on.isoformat(), on.isoformat(), run_id, run_id)
                    for r in records
                ],
            )
        return tuple(new)

    def _log(self, run: SearchRun) -> int:
        """Write one search; the same search on the same day replaces the earlier one."""
        row = self._db.execute(
            "INSERT INTO runs (claim, source, kind, ran_on, query, translation, count, warnings,"
            " complete) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (claim, source, kind, ran_on, query) DO UPDATE SET"
            " translation = excluded.translation, count = excluded.count,"
            " warnings = excluded.warnings, complete = excluded.complete RETURNING id",
            (
                run.claim,
                run.source,
                run.kind,
                run.ran_on.isoformat(),
                run.query,
                run.translation,
                run.count,
                json.dumps(run.warnings, ensure_ascii=False),
                run.complete,
            ),
        ).fetchone()
        return int(row[0])

    def stale(
        self, pmids: Iterable[str], on: dt.date, *, days: int = STALE_DAYS
    ) -> tuple[str, ...]:
        """Those of ``pmids`` that are not held, or were fetched more than ``days`` days ago."""
        limit = (on - dt.timedelta(days=days)).isoformat()
        fetched = self.fetched_on(pmids)
        return tuple(p for p in dict.fromkeys(pmids) if fetched.get(p, "") < limit)

    def fetched_on(self, pmids: Iterable[str]) -> dict[str, str]:
        """The day, in ISO form, on which each record that is held was last received."""
        rows = self._select("SELECT pmid, fetched_on FROM records WHERE pmid IN", pmids)
        return {str(pmid): day for pmid, day in rows}

    def get(self, pmids: Iterable[str]) -> dict[str, Record]:
        """The records that are held, by PMID."""
        rows = self._select("SELECT pmid, body FROM records WHERE pmid IN", pmids)
        return {str(pmid): self._record(body) for pmid, body in rows}

    def records(self, claim: str) -> tuple[Record, ...]:
        """The records that the claim's last complete search found, in the order of PMIDs."""
        with self._faults():
            rows = self._db.execute(
                "SELECT body FROM members JOIN records USING (pmid)"
                " WHERE claim = ? AND dropped_on IS NULL ORDER BY pmid",
                (claim,),
            ).fetchall()
        return tuple(self._record(body) for (body,) in rows)

    def members(self, claim: str) -> dict[str, dt.date]:
        """The PMIDs of the claim's last complete search, and when each was first found."""
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid, first_seen FROM members"
                " WHERE claim = ? AND dropped_on IS NULL ORDER BY pmid",
                (claim,),
            ).fetchall()
        return {str(pmid): dt.date.fromisoformat(day) for pmid, day in rows}

    def revised_seen(self, claim: str, on: dt.date) -> set[str]:
        """The PMIDs that a search of day ``on`` has already listed as revised."""
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid FROM members WHERE claim = ? AND revised_seen = ?",
                (claim, on.isoformat()),
            ).fetchall()
        return {str(pmid) for (pmid,) in rows}

    def runs(self, claim: str, *, kinds: tuple[str, ...] = ("full",)) -> tuple[SearchRun, ...]:
        """The claim's searches, oldest first; by default only the full ones."""
        with self._faults():
            rows = self._db.execute(
                "SELECT claim, source, ran_on, query, translation, count, warnings, complete, kind"
                " FROM runs WHERE claim = ? ORDER BY ran_on, id",
                (claim,),
            ).fetchall()
        return tuple(
            SearchRun(
                claim=name,
                source=source,
                ran_on=dt.date.fromisoformat(ran_on),
                query=query,
                translation=translation,
                count=count,
                warnings=tuple(json.loads(warnings)),
                complete=bool(complete),
                kind=kind,
            )
            for name, source, ran_on, query, translation, count, warnings, complete, kind in rows
            if kind in kinds
        )

    def counts(self, claim: str) -> StoreCounts:
        """How many records the store holds for the claim."""
        with self._faults():
            searched, found, without, dropped, retracted = self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM runs WHERE claim = :claim AND kind = 'full'),"
                " count(CASE WHEN dropped_on IS NULL THEN 1 END),"
                " count(CASE WHEN dropped_on IS NULL AND body IS NULL THEN 1 END),"
                " count(dropped_on),"
                " count(CASE WHEN dropped_on IS NULL AND retracted THEN 1 END)"
                " FROM members LEFT JOIN records USING (pmid) WHERE claim = :claim",
                {"claim": claim},
            ).fetchone()
        return StoreCounts(found if searched else None, without, dropped, retracted)

    def untold_retractions(self, pmids: Iterable[str]) -> tuple[str, ...]:
        """Those of ``pmids`` that are retracted and were never marked with `tell`."""
        rows = self._select(
            "SELECT pmid, 0 FROM records WHERE retracted AND told_on IS NULL AND pmid IN", pmids
        )
        return tuple(str(pmid) for pmid in sorted(pmid for pmid, _ in rows))

    def tell(self, pmids: Iterable[str], *, on: dt.date) -> None:
        """Mark the retraction of ``pmids`` as told to the reviewer."""
        with self._writing():
            self._db.executemany(
                "UPDATE records SET told_on = ? WHERE pmid = ?",
                [(on.isoformat(), int(pmid)) for pmid in pmids],
            )

    def _select(self, statement: str, pmids: Iterable[str]) -> list[tuple[int, str]]:
        numbers = sorted({int(pmid) for pmid in pmids})
        rows: list[tuple[int, str]] = []
        with self._faults():
            for start in range(0, len(numbers), MANY):
                part = numbers[start : start + MANY]
                marks = ", ".join("?" * len(part))
                rows += self._db.execute(f"{statement} ({marks})", part).fetchall()
        return rows

    def _record(self, body: str) -> Record:
        try:
            fields: dict[str, Any] = json.loads(body)
            for name, value in fields.items():
                if isinstance(value, list):
                    fields[name] = tuple(value)
            return Record(**fields)
        except (ValueError, TypeError) as fault:
            raise self._error(f"a record in it cannot be read ({fault})") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; undone when anything at all interrupts it."""
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    with contextlib.suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Translate what SQLite and the file system say into what the user can do."""
        try:
            yield
        except sqlite3.OperationalError as fault:
            words = str(fault)
            if "full" in words or "disk I/O" in words:
                raise StoreError(
                    f"{self.path} cannot grow: {words}",
                    remedy="free some space and run the same command again; the store is whole,"
                    " and only the last batch is missing",
                ) from None
            if "locked" in words or "busy" in words:
                raise StoreError(
                    f"{self.path} is in use by another process",
                    remedy="wait until the other command has ended",
                ) from None
            if "unable to open" in words or "readonly" in words:
                raise StoreError(
                    f"{self.path} cannot be opened for writing: {words}",
                    remedy="check the rights of the file and its folder",
                ) from None
            raise self._error(words) from None
        except sqlite3.Error as fault:
            raise self._error(str(fault)) from None
        except OSError as fault:
            raise StoreError(
                f"{self.path} cannot be made: {fault.strerror}",
                remedy="check the rights of its folder and the space on the disk",
            ) from None

    def _error(self, words: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged: {words}",
            remedy=f"delete {self.path} (a cache: it holds no decision of yours);"
            " the next update fills it again",
        )
