"""What the rows of decisions amount to: by record and stage, for several reviewers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evidence.claims import ScreeningPlan
from evidence.model import Screening, ScreeningFlow, Stage, Study

TITLE: Stage = "title-abstract"
FULL: Stage = "full-text"
FOUNDING = "founding-collection"  # marks studies that a review began with; no person screened them

Status = Literal["open", "waiting", "conflict", "unsure", "decided"]
Final = Literal["include", "exclude", "unsure", "not-retrieved"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One record at one stage.

    Attributes
    ----------
    decisions : mapping of str to Screening
        Each reviewer's decision that stands now; what was withdrawn is not there.
    resolution : Screening or None
        What a named person decided for all; it stands above the decisions until it is withdrawn.
    status : str
        "open": nobody has decided. "waiting": fewer than required have. "conflict": they
        disagree. "unsure": they agree that they are unsure, at full text. "decided": `final` holds.
    final : str or None
        "include", "exclude", "not-retrieved" (full text only) or "unsure" (by title and abstract
        only: the record goes on to the full text); None where the status is not "decided".
    reason : str
        Of the final decision.
    stale : bool
        Whether a reviewer decided anew after the resolution.
    """

    record: str
    stage: Stage
    required: int
    decisions: Mapping[str, Screening]
    resolution: Screening | None
    status: Status
    final: Final | None
    reason: str = ""
    stale: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether the record goes from title and abstract to the full text."""
        return self.stage == TITLE and self.final in ("include", "unsure")

    def json(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "stage": self.stage,
            "status": self.status,
            "final": self.final,
            "reason": self.reason,
            "required": self.required,
            "decisions": [_row_json(row) for row in self.decisions.values()],
            "resolution": _row_json(self.resolution) if self.resolution else None,
            "stale": self.stale,
        }


def _row_json(row: Screening) -> dict[str, Any]:
    return {
        "reviewer": row.reviewer,
        "decision": row.decision,
        "reason": row.reason,
        "note": row.note,
        "date": row.date.isoformat(),
        "at": str(row.at),
    }


@dataclass(frozen=True, slots=True)
class Note:
    """What a reviewer wrote about a record, with a decision or alone."""

    record: str
    stage: Stage
    reviewer: str
    text: str
    date: dt.date
    time: dt.datetime | None


_Key = tuple[dt.datetime, int, int, str]  # when, whether without a time, where, what it says


@dataclass(slots=True)
class _Pile:
    """All rows on one record at one stage; the standing is worked out when it is asked for."""

    rows: list[tuple[_Key, Screening]] = field(default_factory=list)
    standing: Standing | None = None

    def in_order(self) -> Iterator[Screening]:
        self.rows.sort(key=lambda pair: pair[0])
        return (row for _, row in self.rows)


class ScreeningState:
    """The decisions of a claim put together; grows by `add`.

    The order of rows in the file does not decide: the time does, and for rows of one time their
    content. A row without a time counts as written right after the row above it, if that is of the
    same day, else as the first of its day.

    Parameters
    ----------
    rows : iterable of Screening
        In the order of the file.
    plan : ScreeningPlan, optional
        How many reviewers are required; one by default.
    names : mapping of str to str, optional
        Other names of records, such as study ids, to the name that counts.
    """

    def __init__(
        self,
        rows: Iterable[Screening] = (),
        *,
        plan: ScreeningPlan | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan or ScreeningPlan()
        self._names = dict(names or {})
        self._piles: dict[Stage, dict[str, _Pile]] = {TITLE: {}, FULL: {}}
        self._by: dict[str, list[tuple[_Key, Screening]]] = {}  # reviewer to their rows
        self._above: tuple[dt.date, dt.datetime] | None = None
        self._count = 0
        self.add(rows)

    def add(self, rows: Iterable[Screening]) -> set[str]:
        """Take in further rows, in the order of the file; gives the records they are about."""
        changed = set()
        for row in rows:
            record = self.name(row.record)
            pile = self._piles[row.stage].setdefault(record, _Pile())
            pair = self._key(row), row
            pile.rows.append(pair)
            pile.standing = None
            self._by.setdefault(row.reviewer, []).append(pair)
            changed.add(record)
        return changed

    def _key(self, row: Screening) -> _Key:
        self._count += 1
        if row.time is not None:
            self._above = row.date, row.time
            said = "\x1f".join((row.decision, row.reason, row.note, row.source))
            return row.time, 0, 0, said
        when = dt.datetime(row.date.year, row.date.month, row.date.day, tzinfo=dt.UTC)
        if self._above is not None and self._above[0] == row.date:
            when = max(when, self._above[1])
        self._above = row.date, when
        return when, 1, self._count, ""

    def name(self, record: str) -> str:
        """The name that counts of a record that has several."""
        return self._names.get(record, record)

    # ------------------------------------------------------------------ one record

    def standing(self, record: str, stage: Stage) -> Standing:
        """Where a record stands at a stage; "open" where no row is about it."""
        record = self.name(record)
        pile = self._piles[stage].get(record)
        if pile is None:
            return Standing(record, stage, self.plan.required(stage), {}, None, "open", None)
        if pile.standing is None:
            pile.standing = _standing(record, stage, pile.in_order(), self.plan.required(stage))
        return pile.standing

    def history(self, record: str) -> tuple[Screening, ...]:
        """Every row about a record, withdrawn ones too, in the order of time."""
        record = self.name(record)
        piles = [piles[record] for piles in self._piles.values() if record in piles]
        pairs = sorted((pair for pile in piles for pair in pile.rows), key=lambda p: p[0])
        return tuple(row for _, row in pairs)

    def notes(self, record: str) -> tuple[Note, ...]:
        """What was written about a record, in the order of time."""
        return tuple(
            Note(row.record, row.stage, row.reviewer, row.note, row.date, row.time)
            for row in self.history(record)
            if row.note and row.decision != "withdrawn"
        )

    def final(self, record: str) -> tuple[Stage, Final] | None:
        """The decision that holds: at full text if there is one, else by title and abstract."""
        for stage in (FULL, TITLE):
            final = self.standing(record, stage).final
            if final is not None:
                return stage, final
        return None

    # ------------------------------------------------------------------ many records

    def standings(self, stage: Stage) -> Iterator[Standing]:
        """Every record with a row at a stage, in the order of the file."""
        return (self.standing(record, stage) for record in self._piles[stage])

    def conflicts(self, stage: Stage | None = None) -> tuple[Standing, ...]:
        """What somebody must resolve: disagreement, and at full text also doubt."""
        stages = (TITLE, FULL) if stage is None else (stage,)
        return tuple(
            s for each in stages for s in self.standings(each) if s.status in ("conflict", "unsure")
        )

    def to_decide(self, order: Iterable[str], stage: Stage, reviewer: str) -> Iterator[str]:
        """The records that a reviewer still has to decide on, in the order that is given.

        Not those that the reviewer or as many others as are required decided on, nor those that
        are resolved; at full text only those that went on from title and abstract. Names of new
        records may be anywhere in ``order``.
        """
        return (record for record in order if self.needs(record, stage, reviewer))

    def needs(self, record: str, stage: Stage, reviewer: str) -> bool:
        """Whether a record waits for this reviewer at this stage."""
        standing = self.standing(record, stage)
        if reviewer in standing.decisions or standing.status not in ("open", "waiting"):
            return False
        if stage == FULL:
            return bool(standing.decisions) or self.standing(record, TITLE).goes_on
        return not self.standing(record, FULL).decisions

    def reviewers(self) -> tuple[str, ...]:
        """Everyone who wrote a row, in the order of the file."""
        return tuple(self._by)

    def last(self, reviewer: str, stage: Stage | None = None) -> Screening | None:
        """The latest decision of a reviewer that still stands, which an undo would take back."""
        own = self._by.get(reviewer, [])
        own.sort(key=lambda pair: pair[0])  # hardly any work: they come in this order
        for _, row in reversed(own):
            if stage in (None, row.stage):
                standing = self.standing(row.record, row.stage)
                if row is standing.resolution or row is standing.decisions.get(reviewer):
                    return row
        return None

    def labels(self) -> dict[str, bool]:
        """Record to relevant or not, by the decisions that hold: full text over abstract.

        Conflicts, doubt, and decisions that wait for a second reviewer are left out; at full text
        a wait leaves the decision by title and abstract standing. A report that was not retrieved
        keeps its decision by title and abstract, for that is what is known of it.
        """
        found = {}
        for record in dict.fromkeys((*self._piles[TITLE], *self._piles[FULL])):
            full = self.standing(record, FULL)
            if full.status in ("conflict", "unsure"):
                continue
            title = self.standing(record, TITLE).final
            final = full.final if full.final in ("include", "exclude") else title
            if final in ("include", "exclude"):
                found[record] = final == "include"
        return found

    def training(self, reviewer: str) -> dict[str, bool]:
        """`labels`, and where none holds yet the reviewer's own decision.

        An order that learns from it tells a reviewer nothing of what the others decided alone.
        """
        found = {
            record: row.decision == "include"
            for stage in (TITLE, FULL)
            for record in self._piles[stage]
            if (row := self.standing(record, stage).decisions.get(reviewer)) is not None
            and row.decision in ("include", "exclude")
        }
        return found | self.labels()

    def screened(self) -> int:
        """How many records have a decision of anybody that stands, at any stage."""
        return len(
            {
                s.record
                for stage in (TITLE, FULL)
                for s in self.standings(stage)
                if s.decisions or s.resolution
            }
        )

    def tally(self) -> dict[tuple[Stage, str, str], int]:
        """How many decisions stand, by stage, reviewer and decision; resolutions not counted."""
        found: dict[tuple[Stage, str, str], int] = {}
        for stage in (TITLE, FULL):
            for standing in self.standings(stage):
                for reviewer, row in standing.decisions.items():
                    key = stage, reviewer, row.decision
                    found[key] = found.get(key, 0) + 1
        return found

    def independent(self, stage: Stage) -> dict[str, dict[str, Screening]]:
        """Record to reviewer to decision, as they were before a conflict was resolved.

        What a reviewer decided after the record's first resolution came from talking it over, and
        is no evidence of agreement; neither is the mark of the founding collection.
        """
        found = {}
        for record, pile in self._piles[stage].items():
            before = []
            for row in pile.in_order():
                if row.kind == "resolution" and row.decision not in ("withdrawn", "note"):
                    break
                before.append(row)
            stacks = _stacks(before)
            own = {r: s[-1] for (r, kind), s in stacks.items() if s and not kind and r != FOUNDING}
            own = {r: row for r, row in own.items() if row.decision != "not-retrieved"}
            if own:
                found[record] = own
        return found

    def flow(self, records: Sequence[str] | None = None) -> ScreeningFlow:
        """Numbers for the flow diagram.

        Parameters
        ----------
        records : sequence of str, optional
            The claim's records. Decisions on others count all the same, as on studies that no
            search found.
        """
        title = {s.record: s for s in self.standings(TITLE)}
        full = {s.record: s for s in self.standings(FULL) if s.decisions or s.resolution}
        sought = dict.fromkeys((*(r for r, s in title.items() if s.goes_on), *full))
        passed = {r for r, s in title.items() if s.final is not None}
        reasons: dict[str, int] = {}
        finals = [(full[r].final, full[r].reason) if r in full else (None, "") for r in sought]
        for final, reason in finals:
            if final == "exclude":
                first = reason.partition(";")[0].strip()
                reasons[first] = reasons.get(first, 0) + 1
        included = sum(final == "include" for final, _ in finals)
        return ScreeningFlow(
            records=None if records is None else len({self.name(r) for r in records}),
            screened=len(passed | full.keys()),
            excluded=sum(s.final == "exclude" and r not in sought for r, s in title.items()),
            pending=sum(
                s.status in ("waiting", "conflict") and r not in sought for r, s in title.items()
            ),
            sought=len(sought),
            not_retrieved=sum(final == "not-retrieved" for final, _ in finals),
            awaiting=sum(final is None for final, _ in finals),
            assessed=included + sum(reasons.values()),
            reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            included=included,
            entered=sum(r not in passed for r in full),
        )


def names_of(studies: Iterable[Study]) -> dict[str, str]:
    """Study ids to PMIDs: a study may be named by either in ``screening.csv``."""
    return {s.study_id: s.pmid for s in studies if s.pmid}


_Stacks = dict[tuple[str, bool], list[Screening]]


def _stacks(rows: Iterable[Screening]) -> _Stacks:
    """Reviewer, and whether for all, to the decisions that stand one above the other."""
    stacks: _Stacks = {}
    for row in rows:
        if row.decision == "note" or (row.decision == "not-retrieved" and row.stage == TITLE):
            continue
        resolves = row.kind == "resolution"
        stack = stacks.setdefault(("" if resolves else row.reviewer, resolves), [])
        if row.decision == "withdrawn":
            del stack[-1:]
        elif not stack or _said(stack[-1]) != _said(row):
            stack.append(row)
    return stacks


def _said(row: Screening) -> tuple[str, str, str]:
    return row.decision, row.reason, row.note


def _standing(record: str, stage: Stage, rows: Iterable[Screening], required: int) -> Standing:
    stacks = _stacks(rows)
    decisions = {r: s[-1] for (r, resolves), s in stacks.items() if s and not resolves}
    if len(decisions) > 1:
        decisions.pop(FOUNDING, None)
    resolved = stacks.get(("", True))
    resolution = resolved[-1] if resolved else None
    if resolution is not None:
        later = [d for d in decisions.values() if _after(d, resolution)]
        return Standing(
            record,
            stage,
            required,
            decisions,
            resolution,
            "decided" if (final := _FINALS.get((resolution.decision, stage))) else "unsure",
            final,
            resolution.reason,
            stale=bool(later),
        )
    status, final, reason = _together(list(decisions.values()), stage, required)
    return Standing(record, stage, required, decisions, None, status, final, reason)


_FINALS: dict[tuple[str, Stage], Final] = {
    ("include", TITLE): "include",
    ("include", FULL): "include",
    ("exclude", TITLE): "exclude",
    ("exclude", FULL): "exclude",
    ("unsure", TITLE): "unsure",
    ("not-retrieved", FULL): "not-retrieved",
}


def _after(one: Screening, two: Screening) -> bool:
    if one.time is not None and two.time is not None:
        return one.time > two.time
    return one.date > two.date


def _together(
    decisions: Sequence[Screening], stage: Stage, required: int
) -> tuple[Status, Final | None, str]:
    """What the decisions of several reviewers come to."""
    opinions = [d for d in decisions if d.decision != "not-retrieved"]
    if not opinions:
        if not decisions:
            return "open", None, ""
        return "decided", "not-retrieved", decisions[0].reason
    if len(opinions) < required and opinions[0].reviewer != FOUNDING:
        return "waiting", None, ""
    said = {d.decision for d in opinions}
    if said == {"exclude"}:
        return "decided", "exclude", next((d.reason for d in opinions if d.reason), "")
    if "exclude" in said:
        return "conflict", None, ""
    if said == {"include"}:
        return "decided", "include", next((d.reason for d in opinions if d.reason), "")
    if stage == TITLE:  # both send the record on
        return "decided", "include" if "include" in said else "unsure", ""
    return ("conflict" if "include" in said else "unsure"), None, ""
