"""Records, which claim's search found them when, and the log of searches."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from evidence.model import Record, SearchRun
from evidence.store.nouns import STATES, Added, Settled, State, StoreCounts
from evidence.store.others import Others
from evidence.store.slices import Slices

STALE_DAYS = 90  # known records are asked for again after this, so that corrections arrive
NEVER = "0001-01-01"  # the day of a record that PubMed itself has not sent, or must send again
# Kinds of runs whose records stay in a claim's set although no search finds them.
ADDED = ("export", "citation")
MARKED = "marked as retracted"  # by its publication type, without a notice


class Store(Slices, Others):
    """One SQLite file, opened for use in one thread; a context manager.

    Every method that writes is one transaction: after a crash, a kill or a full disk the file
    holds all of it or nothing.

    Raises
    ------
    StoreError
        From every method, when the file cannot be read or written; says what to do.
    """

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
                "UPDATE OR REPLACE runs SET kind = 'settled doubt'"
                " WHERE claim = ? AND kind = 'doubted'",
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
