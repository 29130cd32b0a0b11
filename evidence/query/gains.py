"""What each line of a strategy adds, and what removing it loses, in records.

Where the records at hand leave open whether a line finds them (a heading is searched with its
narrower ones, and which these are only NLM's descriptor file tells), a number is a range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from evidence.query.blocks import Outline, Shape
from evidence.query.tree import Node, combine

Mask: TypeAlias = NDArray[np.bool_]  # one entry for each record


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of records, or the range in which it lies."""

    low: int
    high: int

    @classmethod
    def exactly(cls, number: int) -> Tally:
        return cls(number, number)

    @property
    def is_exact(self) -> bool:
        return self.low == self.high

    def __str__(self) -> str:
        return f"{self.low:,}" if self.is_exact else f"{self.low:,} to {self.high:,}"


@dataclass(frozen=True, slots=True)
class Hits:
    """Which records a line finds for certain, and which it may find."""

    sure: Mask
    possible: Mask


@dataclass(frozen=True, slots=True)
class Gain:
    """What one line of a concept does for the strategy."""

    concept: int  # position in the outline
    line: int  # position in the concept
    found: Tally  # by the line alone
    added: Tally  # to the lines above it in its concept
    alone: Tally  # that no other line of its concept finds
    # By the whole strategy if the line were not there; for an exclusion, what would come back.
    # None where the records at hand cannot tell: those that were taken away are not among them.
    lost: Tally | None


@dataclass(frozen=True, slots=True)
class Gains:
    """The numbers of a whole strategy."""

    total: Tally
    concepts: tuple[Tally, ...]  # records that each concept finds by itself
    lines: tuple[Gain, ...]

    def of(self, concept: int) -> tuple[Gain, ...]:
        return tuple(gain for gain in self.lines if gain.concept == concept)


def gains(outline: Outline, seen: Callable[[Node], Hits], *, found: Mask | None = None) -> Gains:
    """What each line adds and what removing it loses, from the records that it finds.

    Parameters
    ----------
    seen : function
        The records of a line. Asked once for each line; all masks have one length.
    found : mask, optional
        Records that the whole strategy is known to find, where the lines alone leave it open. Then
        the others do not count, and what an exclusion took away cannot be told.
    """
    lines = [[seen(line.node) for line in concept.lines] for concept in outline.concepts]
    if found is not None:
        lines = [[Hits(x.sure & found, x.possible & found) for x in some] for some in lines]
        for i in outline.required:
            lines[i] = _settled(lines[i], found)
    unions = [_union(some) for some in lines]
    whole = _whole(outline.shape, unions)
    if found is not None:
        whole = Hits(found, found)
    result: list[Gain] = []
    for i, some in enumerate(lines):
        above = _nothing(some[0])
        below = [_nothing(some[0])]  # unions of the lines from the end
        for one in reversed(some[1:]):
            below.append(_either(below[-1], one))
        for k, own in enumerate(some):
            others = _either(above, below[len(some) - 1 - k])
            alone = _less(own, others)
            without = _whole(outline.shape, [*unions[:i], others, *unions[i + 1 :]])
            back = i in outline.excluded
            lost = _less(without, whole) if back else _less(whole, without)
            lost = Hits(lost.sure & alone.possible, lost.possible & alone.possible)
            unknown = found is not None and back
            result.append(
                Gain(
                    i,
                    k,
                    _tally(own),
                    _tally(_less(own, above)),
                    _tally(alone),
                    None if unknown else _tally(lost),
                )
            )
            above = _either(above, own)
    return Gains(_tally(whole), tuple(map(_tally, unions)), tuple(result))


def gains_by_count(outline: Outline, count: Callable[[Node], int]) -> Gains:
    """The same from counts alone, where a source gives no list; `questions` says which."""
    asked: dict[Node, int] = {}

    def number(node: Node | None) -> int:
        if node is None:
            return 0
        if node not in asked:
            asked[node] = count(node)
        return asked[node]

    total = number(outline.node)
    result: list[Gain] = []
    for i, concept in enumerate(outline.concepts):
        nodes = [line.node for line in concept.lines]
        for k, line in enumerate(nodes):
            rest = [*nodes[:k], *nodes[k + 1 :]]
            above = number(combine("OR", *nodes[:k])) if k else 0
            added = number(combine("OR", *nodes[: k + 1])) - above
            others = number(combine("OR", *rest)) if rest else 0
            alone = number(concept.node) - others
            left = number(outline.without(i, k))
            lost = left - total if i in outline.excluded else total - left
            figures = [Tally.exactly(n) for n in (number(line), added, alone, lost)]
            result.append(Gain(i, k, *figures))
    sums = tuple(Tally.exactly(number(concept.node)) for concept in outline.concepts)
    return Gains(Tally.exactly(total), sums, tuple(result))


def questions(outline: Outline) -> tuple[Node, ...]:
    """Everything that `gains_by_count` asks, each once, in its order."""
    asked: list[Node] = []

    def count(node: Node) -> int:
        asked.append(node)
        return 0

    gains_by_count(outline, count)
    return tuple(asked)


def _whole(shape: Shape, concepts: Sequence[Hits]) -> Hits:
    if isinstance(shape, int):
        return concepts[shape]
    parts = [_whole(part, concepts) for part in shape.parts]
    if shape.operator == "OR":
        return _union(parts)
    first = parts[0]
    for other in parts[1:]:
        if shape.operator == "AND":
            first = Hits(first.sure & other.sure, first.possible & other.possible)
        else:
            first = _less(first, other)
    return first


def _settled(lines: Sequence[Hits], found: Mask) -> list[Hits]:
    """A record that has the concept and could have it by one line alone has it by that line."""
    known = np.logical_or.reduce([one.sure for one in lines])
    many = np.sum([one.possible for one in lines], axis=0) > 1
    only = found & ~known & ~many
    return [Hits(one.sure | (one.possible & only), one.possible) for one in lines]


def _union(some: Sequence[Hits]) -> Hits:
    return Hits(
        np.logical_or.reduce([one.sure for one in some]),
        np.logical_or.reduce([one.possible for one in some]),
    )


def _either(one: Hits, other: Hits) -> Hits:
    return Hits(one.sure | other.sure, one.possible | other.possible)


def _less(one: Hits, other: Hits) -> Hits:
    return Hits(one.sure & ~other.possible, one.possible & ~other.sure)


def _nothing(like: Hits) -> Hits:
    none = np.zeros_like(like.sure)
    return Hits(none, none)


def _tally(one: Hits) -> Tally:
    return Tally(int(np.count_nonzero(one.sure)), int(np.count_nonzero(one.possible)))
