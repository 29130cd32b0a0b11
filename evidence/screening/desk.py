"""The desk at which reviewers sit: the log and the state of one claim, for many threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from evidence.claims import Claim, ScreeningPlan
from evidence.errors import InputError
from evidence.model import Decision, Screening, ScreeningFlow, Stage
from evidence.screening.log import Clock, Entry, ScreeningLog, now
from evidence.screening.rows import one_line
from evidence.screening.state import FOUNDING, FULL, TITLE, ScreeningState, Standing, names_of


class Desk:
    """A claim's screening: decide, undo, resolve, and ask where everything stands.

    Every method takes in first what other processes wrote, and may be called from any thread.
    When a method that writes returns, the decision is on the disk; a fault means that it is not.

    Attributes
    ----------
    state : ScreeningState
        To be read between calls; `refresh` brings it up to date.
    reasons : tuple of str
        Of exclusion, to choose from.
    notices : list of str
        What the reviewer should be told, such as a row that a crash cut off.
    """

    def __init__(
        self,
        log: ScreeningLog,
        *,
        plan: ScreeningPlan | None = None,
        reasons: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.plan = plan or ScreeningPlan()
        self.reasons = tuple(reasons)
        self._names = dict(names or {})
        self._mutex = threading.RLock()
        self._generation = -1
        self.state = ScreeningState(plan=self.plan, names=self._names)
        log.repair()
        self.refresh()

    @classmethod
    def open(
        cls,
        root: Path,
        claim: Claim,
        *,
        names: Mapping[str, str] | None = None,
        clock: Clock = now,
    ) -> Self:
        """The desk of a claim of the review in ``root``; cuts off what a crash left unfinished.

        Parameters
        ----------
        names : mapping of str to str, optional
            Other names of records, as `evidence.held.Held.aliases` has them; study ids are known.

        Raises
        ------
        SchemaError
            If the claim's tables have rows that cannot be used.
        """
        from evidence.extracted import read_extraction  # which reads our rows

        return cls(
            ScreeningLog.of(root, claim.id, clock=clock),
            plan=claim.screening,
            reasons=claim.exclusion_reasons,
            names={**names_of(read_extraction(root, claim.id).studies), **(names or {})},
        )

    def rename(self, names: Mapping[str, str]) -> None:
        """Learn further other names of records; what was decided under them moves with them."""
        with self._mutex:
            if any(self._names.get(old) != new for old, new in names.items()):
                self._names |= names
                self._generation = -1
                self.refresh()

    @property
    def notices(self) -> list[str]:
        return self.log.notices

    def refresh(self) -> set[str]:
        """Take in what others wrote; gives the records whose rows are new."""
        with self._mutex:
            return self._take(self.log.refresh())

    def _take(self, rows: list[Screening]) -> set[str]:
        if self.log.generation != self._generation:
            self._generation = self.log.generation
            self.state = ScreeningState(plan=self.plan, names=self._names)
            rows = self.log.rows
        return self.state.add(rows)

    def decide(
        self,
        record: str,
        stage: Stage,
        reviewer: str,
        decision: Decision,
        *,
        reason: str = "",
        note: str = "",
        source: str = "",
    ) -> Standing:
        """Write one decision: "include", "exclude", "unsure", or at full text "not-retrieved".

        A decision that stands already in the same words is not written again, so a key that is
        pressed twice does no harm.

        Returns
        -------
        Standing
            Where the record stands now.

        Raises
        ------
        InputError
            If a word is not known, or a report is called not retrieved by title and abstract.
        SchemaError, ToolkitError
            If it could not be saved; see `ScreeningLog.append`.
        """
        if decision == "not-retrieved" and stage != FULL:
            raise InputError("only at full text can a report be called not retrieved")
        entry = Entry(record, stage, _person(reviewer), decision, reason, note, source=source)
        with self._mutex:
            self.refresh()
            before = self.state.standing(record, stage).decisions.get(entry.reviewer)
            if before is not None and _same(before, entry):
                return self.state.standing(record, stage)
            return self._write(entry)

    def note(self, record: str, stage: Stage, reviewer: str, text: str) -> Standing:
        """Write a note about a record without deciding anything."""
        return self._write(Entry(record, stage, _person(reviewer), "note", note=text))

    def undo(self, reviewer: str, record: str = "", stage: Stage | None = None) -> Standing | None:
        """Take back a reviewer's latest decision, or the latest one on a record.

        What the reviewer had decided on it before, if anything, stands again. Undo again to go
        further back.

        Returns
        -------
        Standing or None
            Where the record stands now; None where there is nothing to take back.
        """
        reviewer = _person(reviewer)
        with self._mutex:
            self.refresh()
            if record:
                stages = (FULL, TITLE) if stage is None else (stage,)
                own = (self.state.standing(record, s).decisions.get(reviewer) for s in stages)
                row = next((d for d in own if d is not None), None)
            else:
                row = self.state.last(reviewer, stage)
            if row is None:
                return None
            resolution = row.kind == "resolution"
            return self._write(
                Entry(row.record, row.stage, reviewer, "withdrawn", resolution=resolution)
            )

    def resolve(
        self,
        record: str,
        stage: Stage,
        reviewer: str,
        decision: Decision,
        *,
        reason: str = "",
        note: str = "",
        source: str = "",
    ) -> Standing:
        """Settle a record for all reviewers, under the name of who settles it.

        It stands above every reviewer's decision until it is taken back with `undo` (or
        ``decision="withdrawn"``).
        """
        return self._write(
            Entry(
                record,
                stage,
                _person(reviewer),
                decision,
                reason,
                note,
                resolution=True,
                source=source,
            )
        )

    def _write(self, entry: Entry) -> Standing:
        with self._mutex:
            self._take(self.log.append(entry))
            return self.state.standing(entry.record, entry.stage)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody decides anything inside, in this process or another; all rows are taken in."""
        with self._mutex, self.log.held() as rows:
            self._take(rows)
            yield

    def to_decide(self, order: Iterable[str], stage: Stage, reviewer: str) -> list[str]:
        """The records of ``order`` that wait for this reviewer; see `ScreeningState.to_decide`."""
        with self._mutex:
            self.refresh()
            return list(self.state.to_decide(order, stage, one_line(reviewer)))

    def conflicts(self, stage: Stage | None = None) -> tuple[Standing, ...]:
        """What somebody must resolve."""
        with self._mutex:
            self.refresh()
            return self.state.conflicts(stage)

    def flow(self, records: Iterable[str] | None = None) -> ScreeningFlow:
        """Numbers for the PRISMA 2020 flow diagram."""
        with self._mutex:
            self.refresh()
            return self.state.flow(None if records is None else list(records))


def _person(name: str) -> str:
    """A reviewer's name as it is written.

    Raises
    ------
    InputError
        If it is empty, or the mark of studies that nobody screened.
    """
    name = one_line(name)
    if not name:
        raise InputError("a decision needs the name of who decides")
    if name == FOUNDING:
        raise InputError(f"{FOUNDING!r} marks studies that nobody screened: choose another name")
    return name


def _same(row: Screening, entry: Entry) -> bool:
    return (
        row.decision == entry.decision
        and row.reason == one_line(entry.reason)
        and (row.note == one_line(entry.note) or not entry.note)
    )
