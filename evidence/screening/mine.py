"""One reviewer at one stage: what they decided, and what the others may show them.

While a screening is blind nobody sees, by list, count or order, what others decided on a record
before their own decision on it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from evidence.claims import Claim
from evidence.model import Screening, Stage
from evidence.screening.state import FOUNDING, FULL, TITLE, ScreeningState, Standing


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who reads what, and who sees what of whom.

    Attributes
    ----------
    blind : bool
    planned : bool
        Whether the claim file says how many must decide on a record. Then a record that has so many
        decisions leaves the lists of the others; where it says nothing everybody reads everything.
    resolvers : frozenset of str
        People who see and resolve all conflicts; without any, everybody those on records that they
        have decided on.
    """

    blind: bool
    planned: bool
    resolvers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, claim: Claim, resolvers: Iterable[str] = ()) -> Sharing:
        plan = claim.screening
        return cls(plan.blind, "reviewers" in plan.model_fields_set, frozenset(resolvers))


@dataclass(slots=True)
class Mine:
    """Decisions of one reviewer at one stage, kept up to date by `take`."""

    state: ScreeningState
    sharing: Sharing
    reviewer: str
    stage: Stage
    decisions: dict[str, Screening] = field(default_factory=dict)  # in the sequence of the file
    counts: Counter[str] = field(default_factory=Counter)
    version: int = 0
    _others: set[str] = field(default_factory=set)  # with rows, and not this reviewer's to read
    _here: set[str] = field(default_factory=set)  # that came through to the full text
    _conflicts: dict[str, None] = field(default_factory=dict)  # that this reviewer may see

    def __post_init__(self) -> None:
        self.take(s.record for stage in (TITLE, FULL) for s in self.state.standings(stage))

    def take(self, records: Iterable[str]) -> None:
        """Look again at records whose rows are new."""
        for record in records:
            standing = self.state.standing(record, self.stage)
            row = standing.decisions.get(self.reviewer)
            before = self.decisions.get(record)
            if before is not row:
                self.version += 1
                if before is not None:
                    self.counts[self.decisions.pop(record).decision] -= 1
                if row is not None:
                    self.decisions[record] = row
                    self.counts[row.decision] += 1
            founding = FOUNDING in standing.decisions
            _put(self._others, record, row is None and not self.waits(record))
            _put(self._here, record, not founding and self.belongs(record))
            self._conflicts.pop(record, None)
            if standing.status in ("conflict", "unsure") and self.sees(standing):
                self._conflicts[record] = None

    def total(self, records: Collection[str]) -> int:
        """How many of the claim's records this reviewer has at this stage, decided or not."""
        if self.stage == FULL:
            return sum(name in records for name in self._here)
        return len(records) - sum(name in records for name in self._others)

    # --- what there is to do ---------------------------------------------------------------------

    def belongs(self, record: str) -> bool:
        """Whether a record is one of this stage, for this reviewer."""
        state, sharing = self.state, self.sharing
        if record in self.decisions:
            return True
        title, full = state.standing(record, TITLE), state.standing(record, FULL)
        if self.stage == TITLE:
            if sharing.planned or not sharing.blind:
                return not full.decisions
            # Known to all from the start, or to this reviewer from their own full text.
            return not {FOUNDING, self.reviewer} & set(full.decisions)
        if not (title.goes_on or FOUNDING in full.decisions):
            return False
        return self.sees(title) or FOUNDING in full.decisions

    def waits(self, record: str) -> bool:
        """Whether a record waits for this reviewer's decision."""
        if record in self.decisions or not self.belongs(record):
            return False
        standing = self.state.standing(record, self.stage)
        if FOUNDING in standing.decisions:
            return False
        if self.sharing.planned:
            return standing.status in ("open", "waiting")
        return True

    # --- what others may show --------------------------------------------------------------------

    def sees(self, standing: Standing) -> bool:
        """Whether this reviewer may see what others decided on a record."""
        sharing = self.sharing
        if not sharing.blind or self.reviewer in sharing.resolvers:
            return True
        if self.reviewer in standing.decisions:
            return True
        # Nobody asks this reviewer any more: there is no judgement left to sway.
        return sharing.planned and standing.status not in ("open", "waiting")

    def conflicts(self) -> list[Standing]:
        return [self.state.standing(name, self.stage) for name in self._conflicts]

    def resolved(self) -> list[Standing]:
        return [s for s in self.state.standings(self.stage) if s.resolution and self.sees(s)]

    def may_resolve(self, standing: Standing) -> bool:
        sharing = self.sharing
        if sharing.resolvers and self.reviewer not in sharing.resolvers:
            return False
        return self.sees(standing)

    # --- what an order may learn -----------------------------------------------------------------

    def labels(self) -> dict[str, bool]:
        """Record to relevant or not, in the sequence of the decisions."""
        if self.sharing.planned or not self.sharing.blind:
            return self.state.training(self.reviewer)
        records = [s.record for stage in (TITLE, FULL) for s in self.state.standings(stage)]
        found = {record: self.label(record) for record in dict.fromkeys(records)}
        return {record: label for record, label in found.items() if label is not None}

    def label(self, record: str) -> bool | None:
        """What the order learns from a record: one's own decision, full text over abstract."""
        if self.sharing.planned or not self.sharing.blind:
            return _label(self.state, record, self.reviewer)
        for stage in (FULL, TITLE):
            decisions = self.state.standing(record, stage).decisions
            row = decisions.get(self.reviewer) or decisions.get(FOUNDING)
            if row is not None and row.decision in ("include", "exclude"):
                return row.decision == "include"
            if row is not None and row.decision == "unsure":
                return None
        return None

    # --- notes -----------------------------------------------------------------------------------

    def note(self, record: str) -> str:
        """What this reviewer wrote about a record at this stage, last."""
        for row in reversed(self.state.history(record)):
            mine = row.reviewer == self.reviewer and row.stage == self.stage and not row.kind
            written = row.decision == "note" or (row.note and row.decision != "withdrawn")
            if mine and written:
                return row.note
        return ""

    def json(self, record: str) -> dict[str, Any] | None:
        """This reviewer's decision, as the page shows it."""
        row = self.decisions.get(record)
        return None if row is None else decision_json(row)


def _put(names: set[str], name: str, there: bool) -> None:
    if there:
        names.add(name)
    else:
        names.discard(name)


def decision_json(row: Screening) -> dict[str, Any]:
    return {
        "decision": row.decision,
        "reason": row.reason,
        "note": row.note,
        "day": day_words(row.date),
        "time": row.time.isoformat() if row.time else None,
    }


def day_words(day: dt.date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _label(state: ScreeningState, record: str, reviewer: str) -> bool | None:
    """As `ScreeningState.training` has it, for one record."""
    full, title = state.standing(record, FULL), state.standing(record, TITLE)
    if full.status not in ("conflict", "unsure"):
        final = full.final if full.final in ("include", "exclude") else title.final
        if final in ("include", "exclude"):
            return final == "include"
    for standing in (full, title):
        row = standing.decisions.get(reviewer)
        if row is not None and row.decision in ("include", "exclude"):
            return row.decision == "include"
    return None
