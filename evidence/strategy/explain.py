"""A strategy explained in numbers: each line, each concept, each known relevant record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evidence.mirror.rows import searchable
from evidence.model import Record
from evidence.query.blocks import Missed, Outline, is_controlled_only
from evidence.query.match import Seen
from evidence.query.nearly import Near, nearly
from evidence.strategy.outlines import Written
from evidence.strategy.sources import Checked, Counted, Source
from evidence.strategy.unindexed import Unindexed


@dataclass(frozen=True, slots=True)
class KnownRecord:
    """A record that the strategy ought to find."""

    pmid: str
    label: str
    included: bool  # a study of the claim, not only a record of the claim file


@dataclass(frozen=True, slots=True)
class Reason:
    """A concept that keeps a known record out, and what in the record comes near it."""

    missed: Missed
    near: tuple[Near, ...]
    costs: tuple[int | None, ...]  # of each: records that the strategy would find more


@dataclass(frozen=True, slots=True)
class Recalled:
    """What became of one known record."""

    known: KnownRecord
    found: bool | None  # None where the source cannot tell
    held: bool  # whether the source has the record
    reasons: tuple[Reason, ...]
    title: str  # of the record, where it is held; "" otherwise
    headings: tuple[str, ...]
    remarks: tuple[str, ...]  # about the record: no abstract, no headings

    @property
    def state(self) -> str:
        if self.found is None:
            return "not decided" if self.held else "not at hand"
        return "found" if self.found else "missed"


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of a strategy."""

    written: Written
    counted: Counted | None
    recalled: tuple[Recalled, ...]
    headings_alone: tuple[int, ...]  # positions of concepts without words
    unindexed: Unindexed | None  # of the reader's own records

    @property
    def outline(self) -> Outline:
        return self.written.outline


def explain(
    written: Written,
    source: Source | None,
    known: Sequence[KnownRecord] = (),
    *,
    by_term: bool = False,
    own: Unindexed | None = None,
) -> Explanation:
    """Count, check and explain a strategy.

    Parameters
    ----------
    source : Source, optional
        Without one there are no counts, and no record is checked.
    known : sequence of KnownRecord
        What the strategy ought to find.
    by_term : bool
        Whether to count each term, not only each line.
    own : Unindexed, optional
        The reader's own records without headings.
    """
    outline = written.outline
    counted = None
    recalled: tuple[Recalled, ...] = ()
    if source is not None:
        if by_term:
            written = Written(written.name, written.query, outline.by_term())
        counted = source.counted(written.outline)
        checked = source.checked(outline, [one.pmid for one in known])
        total = counted.gains.total.low if counted is not None else 0
        recalled = tuple(
            _recalled(outline, one, seen, source, total)
            for one, seen in zip(known, checked, strict=True)
        )
    alone = tuple(
        i
        for i, concept in enumerate(outline.concepts)
        if i not in outline.excluded and is_controlled_only(concept.node)
    )
    return Explanation(written, counted, recalled, alone, own)


def _recalled(
    outline: Outline, known: KnownRecord, checked: Checked, source: Source, total: int
) -> Recalled:
    record = checked.record
    reasons: list[Reason] = []
    for one in checked.missed:
        node = outline.concepts[one.concept].node
        near: tuple[Near, ...] = ()
        if record is not None and not one.is_exclusion:
            near = nearly(node, Seen(searchable(record)))
        costs = []
        for some in near:
            with_it = source.with_line(outline, one.concept, some.try_) if some.try_ else None
            costs.append(None if with_it is None else with_it - total)
        reasons.append(Reason(one, near, tuple(costs)))
    remarks: tuple[str, ...] = ()
    if checked.found is not True:
        if record is not None:
            remarks = _remarks(record)
            if checked.found is False and not checked.missed:
                remarks = (*remarks, "by its own words the strategy would find it")
        elif checked.found is False:
            remarks = ("its record is not held, so that no concept can be named",)
    return Recalled(
        known,
        checked.found,
        record is not None,
        tuple(reasons),
        record.shown_title if record is not None else "",
        tuple(dict.fromkeys(h.replace("*", "") for h in record.mesh)) if record is not None else (),
        remarks,
    )


def _remarks(record: Record) -> tuple[str, ...]:
    told = []
    if not record.abstract:
        told.append("it has no abstract: [tiab] reads its title and keywords alone")
    if not record.mesh:
        status = f" (status {record.status})" if record.status else ""
        told.append(f"it has no headings{status}: no [mh] can find it")
    return tuple(told)
