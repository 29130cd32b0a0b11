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
NEVER = "0001-01-01"  # the day of a record that PubMed itself has not sent, or must send again
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
    """
    CREATE TABLE slices (
      query TEXT NOT NULL,          -- SHA-256 of the query
      low INTEGER NOT NULL,
      high INTEGER NOT NULL,
      reply TEXT NOT NULL,          -- SHA-256 of the reply that held it
      pmids TEXT NOT NULL,          -- JSON list
      kept_on TEXT NOT NULL,
      PRIMARY KEY (query, low, high)
    ) WITHOUT ROWID;
    CREATE TABLE states (
      pmid INTEGER NOT NULL,
      state TEXT NOT NULL,          -- retraction, concern, erratum, update, republication
      notice TEXT NOT NULL,         -- as PubMed cites the other publication
      first_seen TEXT NOT NULL,
      gone_on TEXT,                 -- PubMed took it back
      told_on TEXT,                 -- when it was told to the reviewer of an included study
      PRIMARY KEY (pmid, state, notice)
    ) WITHOUT ROWID;
    INSERT INTO states
      SELECT pmid,
        CASE substr(value, 1, instr(value, ':') - 1)
          WHEN 'RetractionIn' THEN 'retraction'
          WHEN 'ExpressionOfConcernIn' THEN 'concern'
          WHEN 'ErratumIn' THEN 'erratum'
          WHEN 'UpdateIn' THEN 'update'
          ELSE 'republication' END,
        value, changed_on, NULL, CASE WHEN value LIKE 'RetractionIn:%' THEN told_on END
      FROM records, json_each(records.body, '$.notices')
      WHERE substr(value, 1, instr(value, ':') - 1) IN ('RetractionIn', 'ExpressionOfConcernIn',
        'ErratumIn', 'UpdateIn', 'RetractedandRepublishedIn', 'CorrectedandRepublishedIn',
        'RepublishedIn')
      GROUP BY pmid, value;
    """,
    """
    CREATE TABLE others (
      claim TEXT NOT NULL,
      id TEXT NOT NULL,             -- file and line
      source TEXT NOT NULL,         -- the file that it came in
      body TEXT NOT NULL,           -- a reference of another database, as JSON
      name TEXT NOT NULL,           -- of the work: "doi:10.1/x", or a digest of what it says
      pmid INTEGER,                 -- of the work, where one is known
      added_on TEXT NOT NULL,
      PRIMARY KEY (claim, id)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE runs ADD COLUMN basis TEXT NOT NULL DEFAULT '';
    """,
)

# What a notice about a record makes of it; other notices, such as comments, make nothing of it.
STATES = {
    "RetractionIn": "retraction",
    "ExpressionOfConcernIn": "concern",
    "ErratumIn": "erratum",
    "UpdateIn": "update",
    "RetractedandRepublishedIn": "republication",
    "CorrectedandRepublishedIn": "republication",
    "RepublishedIn": "republication",
}
# Kinds of runs whose records stay in a claim's set although no search finds them.
ADDED = ("export", "citation")
MARKED = "marked as retracted"  # by its publication type, without a notice


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What a batch of records brought, as PMIDs."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    retracted: tuple[str, ...]  # retracted now, and not known to be before


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """A retraction, concern, erratum, update or republication of a record."""

    pmid: str
    state: str
    notice: str  # "ErratumIn: Journal. 2020;1:2 (PMID 1)"
    first_seen: dt.date


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """How a claim's set of records moved, as PMIDs."""

    new: tuple[str, ...]  # found for the first time, or again after a while
    dropped: tuple[str, ...]  # no longer found


@dataclasses.dataclass(frozen=True, slots=True)
class Other:
    """A reference of another database than PubMed, and the work that it is."""

    id: str
    source: str
    body: str
    name: str
    pmid: str | None = None

    @property
    def at(self) -> str:
        """ "embase.ris#12": its file and line as people read them."""
        file, _, line = self.id.rpartition("#")
        return f"{file}#{line.lstrip('0')}"


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

    def add(self, records: Iterable[Record], *, on: dt.date, received: bool = True) -> Added:
        """Keep records as received on day ``on``; tells which are new, changed or retracted.

        Parameters
        ----------
        received : bool
            PubMed itself sent them. What a file or a mirror gave is asked of PubMed by its next
            update, unless the same was received before.
        """
        new: list[str] = []
        changed: list[str] = []
        retracted: list[str] = []
        with self._writing():
            for record in records:
                body = json.dumps(record.json(), ensure_ascii=False, sort_keys=True)
                held = self._db.execute(
                    "SELECT body, retracted, changed_on, fetched_on FROM records WHERE pmid = ?",
                    (int(record.pmid),),
                ).fetchone()
                changed_on = on.isoformat()
                fetched_on = on.isoformat() if received else NEVER
                if not received and held is not None and held[0] == body:
                    fetched_on = held[3]
                if held is None:
                    new.append(record.pmid)
                elif held[0] != body and self._differs(held[0], record):
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
                        fetched_on,
                        changed_on,
                    ),
                )
                self._keep_states(record, on)
        return Added(tuple(new), tuple(changed), tuple(retracted))

    def _keep_states(self, record: Record, on: dt.date) -> None:
        """Keep what the record's notices make of it; what PubMed took back stays, with the day."""
        now = {(STATES[kind], n) for n in record.notices if (kind := n.partition(":")[0]) in STATES}
        if record.retracted and not any(state == "retraction" for state, _ in now):
            now.add(("retraction", MARKED))
        rows = self._db.execute(
            "SELECT state, notice FROM states WHERE pmid = ? AND gone_on IS NULL",
            (int(record.pmid),),
        ).fetchall()
        for state, notice in set(rows) - now:
            self._db.execute(
                "UPDATE states SET gone_on = ? WHERE pmid = ? AND state = ? AND notice = ?",
                (on.isoformat(), int(record.pmid), state, notice),
            )
        for state, notice in now - set(rows):
            self._db.execute(
                "INSERT INTO states VALUES (?, ?, ?, ?, NULL, NULL)"
                " ON CONFLICT (pmid, state, notice) DO UPDATE SET gone_on = NULL",
                (int(record.pmid), state, notice, on.isoformat()),
            )

    def states(self, pmids: Iterable[str], *, untold: bool = False) -> tuple[State, ...]:
        """What became of these records after they were published, in the order of PMIDs.

        Parameters
        ----------
        untold : bool
            Only what was never marked with `tell_states`.
        """
        where = " AND told_on IS NULL" if untold else ""
        rows: list[tuple[Any, ...]] = self._select(
            "SELECT pmid, state, notice, first_seen FROM states"
            f" WHERE gone_on IS NULL{where} AND pmid IN",
            pmids,
        )
        return tuple(
            State(str(pmid), state, notice, dt.date.fromisoformat(day))
            for pmid, state, notice, day in sorted(rows)
        )

    def tell_states(self, states: Iterable[State], *, on: dt.date) -> None:
        """Mark states as told to the reviewer."""
        with self._writing():
            self._db.executemany(
                "UPDATE states SET told_on = ? WHERE pmid = ? AND state = ? AND notice = ?",
                [(on.isoformat(), int(s.pmid), s.state, s.notice) for s in states],
            )

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

    def expire(self, pmids: Iterable[str]) -> None:
        """Let these records be asked for again by the next update, if they are held."""
        with self._writing():
            self._db.executemany(
                "UPDATE records SET fetched_on = ? WHERE pmid = ?",
                [(NEVER, int(pmid)) for pmid in pmids],
            )

    def falling_out(self, claim: str, pmids: Iterable[str]) -> frozenset[str]:
        """What `settle` would drop from the claim's set if a search found just ``pmids``."""
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid FROM members JOIN runs ON runs.id = last_run"
                " WHERE members.claim = ? AND dropped_on IS NULL"
                " AND kind NOT IN ('export', 'citation')",
                (claim,),
            ).fetchall()
        return frozenset(str(pmid) for (pmid,) in rows) - frozenset(pmids)

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
            # A doubt that a complete search has settled is no witness for a later one.
            self._db.execute(
                "UPDATE runs SET kind = 'settled doubt' WHERE claim = ? AND kind = 'doubted'",
                (claim,),
            )
            if revised_run is not None:
                self._log(revised_run)
            # What a reviewer added from a file and no search ever found stays.
            rows = self._db.execute(
                "SELECT pmid, dropped_on IS NULL, kind IN ('export', 'citation') FROM members"
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
        self,
        claim: str,
        records: Iterable[Record],
        *,
        source: str,
        on: dt.date,
        kind: str = "export",
        query: str | None = None,
    ) -> tuple[str, ...]:
        """Add the records of a file to a claim's set; gives the PMIDs that are new to it.

        Later searches leave in the set those that none of them ever found.

        Parameters
        ----------
        source : str
            The file's name, kept with the search log.
        kind : str
            A key of `ADDED`.
        query : str, optional
            How they were found, where that is not the file's name.
        """
        records = list(records)
        self.add(records, on=on, received=kind == "citation")
        present = set(self.members(claim))
        new = [r.pmid for r in records if r.pmid not in present]
        how = source if query is None else query
        run = SearchRun(claim, source, on, how, "", len(records), (), True, kind=kind)
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

    def pmids_of_dois(self) -> dict[str, str]:
        """DOI, in lower case, to PMID of every record that is held."""
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid, lower(json_extract(body, '$.doi')) FROM records"
                " WHERE json_extract(body, '$.doi') IS NOT NULL ORDER BY pmid DESC"
            ).fetchall()
        return {doi: str(pmid) for pmid, doi in rows}

    def log(self, run: SearchRun) -> None:
        """Keep a search of a further source; it changes no claim's set."""
        with self._writing():
            self._log(run)

    def _log(self, run: SearchRun) -> int:
        """Write one search; the same search on the same day replaces the earlier one."""
        row = self._db.execute(
            "INSERT INTO runs (claim, source, kind, ran_on, query, translation, count, warnings,"
            " complete, basis) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (claim, source, kind, ran_on, query) DO UPDATE SET"
            " translation = excluded.translation, count = excluded.count,"
            " warnings = excluded.warnings, complete = excluded.complete,"
            " basis = excluded.basis RETURNING id",
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
                run.basis,
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

    def marks(self, pmids: Iterable[str]) -> dict[str, str]:
        """Of each record that is held, a text that changes when what it says changes."""
        rows = self._select(
            "SELECT pmid, changed_on, length(body) FROM records WHERE pmid IN", pmids
        )
        return {str(pmid): f"{day} {size}" for pmid, day, size in rows}

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

    def dropped(self, claim: str) -> dict[str, dt.date]:
        """The PMIDs that left the claim's set, and when."""
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid, dropped_on FROM members"
                " WHERE claim = ? AND dropped_on IS NOT NULL ORDER BY pmid",
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
                "SELECT claim, source, ran_on, query, translation, count, warnings, complete, kind,"
                " basis FROM runs WHERE claim = ? ORDER BY ran_on, id",
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
                basis=basis,
            )
            for (
                name,
                source,
                ran_on,
                query,
                translation,
                count,
                warnings,
                complete,
                kind,
                basis,
            ) in rows
            if kind in kinds
        )

    def ways(self, claim: str) -> dict[str, tuple[str, str]]:
        """How each PMID of the claim's set came into it: kind and source of the run.

        Of several the last search that found it, else the file or the chase that added it.
        """
        with self._faults():
            rows = self._db.execute(
                "SELECT pmid, kind, source FROM members JOIN runs ON runs.id = last_run"
                " WHERE members.claim = ? AND dropped_on IS NULL ORDER BY pmid",
                (claim,),
            ).fetchall()
        return {str(pmid): (kind, source) for pmid, kind, source in rows}

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

    def _select(self, statement: str, pmids: Iterable[str]) -> list[tuple[Any, ...]]:
        numbers = sorted({int(pmid) for pmid in pmids})
        rows: list[tuple[Any, ...]] = []
        with self._faults():
            for start in range(0, len(numbers), MANY):
                part = numbers[start : start + MANY]
                marks = ", ".join("?" * len(part))
                rows += self._db.execute(f"{statement} ({marks})", part).fetchall()
        return rows

    def _differs(self, body: str, record: Record) -> bool:
        """Whether PubMed changed a record, rather than this toolkit what it keeps of one."""
        held = json.loads(body)
        now: dict[str, Any] = record.json()
        return any(now[name] != value for name, value in held.items() if name in now)

    def _record(self, body: str) -> Record:
        try:
            return Record.from_json(json.loads(body))
        except (ValueError, TypeError, AttributeError) as fault:
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
