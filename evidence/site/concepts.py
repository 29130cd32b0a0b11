"""A strategy as the page draws it: boxes for concepts, in the order and the shape of the query."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from evidence.query.blocks import Line, Outline, Shape
from evidence.query.fields import FIELDS
from evidence.query.gains import Gain, Tally
from evidence.query.show import show
from evidence.query.tree import Heading, Node, Tag, Term, leaves
from evidence.strategy.explain import Explanation, Recalled

SIDE_BY_SIDE = 4  # boxes in a row; more stand below each other
NAMED = 6  # known records named in a box; the table below has all


@dataclass(frozen=True, slots=True)
class TermView:
    """One term: what is searched, and in which field."""

    text: str
    field: str  # "tiab:~3", "mh:noexp"; "" where the term says it itself


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a concept, with its numbers where there are any."""

    number: int | None
    terms: tuple[TermView, ...]
    counts: str  # "in 32, 24 by no other line"; "" without numbers
    share: float  # of the records found that have the line, 0 to 1
    alone: float  # of the records found that only this line brings, 0 to 1


@dataclass(frozen=True, slots=True)
class Box:
    """One concept."""

    position: int  # from 1
    title: str
    name: str  # as in the claim file; "" where it has none
    excluded: bool
    count: str  # "" without numbers
    lines: tuple[LineView, ...]
    keeps_out: tuple[str, ...]  # known records that this concept alone or with others misses
    headings_alone: bool

    @property
    def terms(self) -> int:
        return sum(len(line.terms) for line in self.lines)

    @property
    def is_group(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Joined:
    """Boxes joined by an operator."""

    operator: str
    parts: tuple[Part, ...]
    across: bool  # side by side where there is room

    @property
    def terms(self) -> int:
        return sum(part.terms for part in self.parts)

    @property
    def is_group(self) -> bool:
        return True


Part: TypeAlias = Box | Joined


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole strategy, and what is known about it."""

    shape: Part
    source: str  # whose counts these are; "" without
    notes: tuple[str, ...]
    has_ranges: bool
    has_exclusion: bool
    legend: tuple[tuple[str, str], ...]  # the fields that occur, and what they read
    recalled: tuple[Recalled, ...]

    @property
    def found(self) -> int:
        return sum(one.found is True for one in self.recalled)

    @property
    def missed(self) -> tuple[Recalled, ...]:
        return tuple(one for one in self.recalled if one.found is False)

    @property
    def decided(self) -> int:
        return sum(one.found is not None for one in self.recalled)


def drawing(found: Explanation) -> Drawing:
    """What the page draws of a strategy."""
    counted = found.counted
    tallies: list[Tally | None] = []
    if counted is not None:
        tallies = [x for g in counted.gains.lines for x in (g.found, g.lost)]
    return Drawing(
        shape=_part(found, found.outline.shape),
        source="" if counted is None else counted.source,
        notes=() if counted is None else counted.notes,
        has_ranges=any(tally is not None and not tally.is_exact for tally in tallies),
        has_exclusion=bool(found.outline.excluded),
        legend=tuple(_legend(found.outline)),
        recalled=found.recalled,
    )


def _part(found: Explanation, shape: Shape, *, outermost: bool = True) -> Part:
    if isinstance(shape, int):
        return _box(found, shape)
    across = outermost and shape.operator == "AND" and len(shape.parts) <= SIDE_BY_SIDE
    parts = tuple(
        _part(found, part, outermost=outermost and shape.operator == "NOT" and i == 0)
        for i, part in enumerate(shape.parts)
    )
    return Joined(shape.operator, parts, across)


def weight(part: Part) -> str:
    """How wide a part is drawn beside others: by its terms, the longest not far beyond the rest."""
    return f"{max(1.0, math.sqrt(part.terms)):.1f}"


def _box(found: Explanation, i: int) -> Box:
    outline: Outline = found.outline
    concept, counted = outline.concepts[i], found.counted
    excluded = i in outline.excluded
    gains: Sequence[Gain | None] = [None] * len(concept.lines)
    count, total = "", 0
    if counted is not None:
        gains, total = counted.gains.of(i), counted.gains.total.high
        if not excluded:
            count = f"{counted.gains.concepts[i]} records"
    return Box(
        position=i + 1,
        title=concept.about or concept.title,
        name=concept.name,
        excluded=excluded,
        count=count,
        lines=tuple(
            _line(line, gain, total, excluded=excluded)
            for line, gain in zip(concept.lines, gains, strict=True)
        ),
        keeps_out=tuple(
            one.known.label or f"PMID {one.known.pmid}"
            for one in found.recalled
            if one.found is False and any(r.missed.concept == i for r in one.reasons)
        ),
        headings_alone=i in found.headings_alone,
    )


def _line(line: Line, gain: Gain | None, total: int, *, excluded: bool) -> LineView:
    counts, share, alone = "", 0.0, 0.0
    if gain is not None and gain.lost is not None and not excluded:
        counts = f"in {gain.found}, {gain.lost} by no other line"
        if total:
            share, alone = gain.found.low / total, gain.lost.low / total
    return LineView(line.number, tuple(map(_term, line.terms)), counts, share, alone)


def _legend(outline: Outline) -> Iterator[tuple[str, str]]:
    tags = dict.fromkeys(
        tag for leaf in leaves(outline.node) if (tag := getattr(leaf, "tag", None)) is not None
    )
    for field in dict.fromkeys(tag.field for tag in tags):
        if field in FIELDS:
            known = FIELDS[field]
            exploded = any(t.field == field and known.explodes and not t.noexp for t in tags)
            yield field, known.where + (" with all narrower ones" if exploded else "")
    if any(tag.noexp for tag in tags):
        yield ":noexp", "without narrower ones"
    if any(tag.near is not None for tag in tags):
        yield ":~3", "in any order, at most 3 words between"


def _term(node: Node) -> TermView:
    """The term apart from its field; a combination as PubMed reads it."""
    match node:
        case Term(text, quoted, tag) if tag is not None and not tag.suffix:
            return TermView(f"“{text}”" if quoted and " " in text else text, _field(tag))
        case Heading(name, subheading, _, tag) if tag is not None:
            return TermView(f"{name}/{subheading}" if subheading else name, _field(tag))
        case _:
            return TermView(show(node), "")


def _field(tag: Tag) -> str:
    if tag.noexp:
        return f"{tag.field}:noexp"
    return tag.field if tag.near is None else f"{tag.field}:~{tag.near}"
