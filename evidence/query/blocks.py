"""A strategy as concept blocks: what each line adds, and which block a known record fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from evidence.query.show import in_words, show
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    PmidRange,
    Pmids,
    TaggedGroup,
    Term,
    combine,
    leaves,
)

Record = TypeVar("Record")

_CONTROLLED = frozenset(("mh", "majr", "sh", "pt", "nm", "pa", "rn"))
_TOPICAL = frozenset(("mh", "majr", "sh", "nm", "pa"))


@dataclass(frozen=True, slots=True)
class Block:
    """One concept: records must have it, or must not (``is_exclusion``)."""

    node: Node
    is_exclusion: bool = False

    @property
    def lines(self) -> tuple[Node, ...]:
        """The alternatives of the concept, one for each line."""
        node = self.node
        if isinstance(node, Combination) and node.operator == "OR":
            return node.parts
        return (node,)

    @property
    def name(self) -> str:
        """Its first line, for a table or a drawing."""
        first = self.lines[0]
        text = show(first)
        more = len(self.lines) - 1
        return text + (f" and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class Gain:
    """What one line of a concept does for the strategy, in records."""

    block: int  # from 0
    line: str
    found: int  # by the line alone
    added: int  # to the lines above it in its concept
    alone: int  # that no other line of its concept finds
    lost: int  # by the whole strategy if the line were not there (an exclusion: won)


@dataclass(frozen=True, slots=True)
class Missed:
    """A concept that keeps a record out."""

    block: int
    node: Node
    is_exclusion: bool
    because: tuple[Node, ...]  # an exclusion: the lines that it has; a concept: none of its lines

    def __str__(self) -> str:
        if self.is_exclusion:
            lines = "; ".join(in_words(node) for node in self.because)
            return f"taken away by block {self.block + 1}: it has {lines}"
        return f"not found by block {self.block + 1}: it has none of {show(self.node)}"


def concept_blocks(tree: Node) -> tuple[Block, ...]:
    """The concepts of a strategy: the parts of its outermost AND, and what NOT takes away."""
    if isinstance(tree, Combination) and tree.operator == "AND":
        return tuple(block for part in tree.parts for block in concept_blocks(part))
    if isinstance(tree, Combination) and tree.operator == "NOT":
        taken = (Block(part, is_exclusion=True) for part in tree.parts[1:])
        return (*concept_blocks(tree.parts[0]), *taken)
    return (Block(tree),)


def whole(blocks: Sequence[Block]) -> Node:
    """The strategy that the blocks make."""
    wanted = [b.node for b in blocks if not b.is_exclusion]
    taken = [b.node for b in blocks if b.is_exclusion]
    node = combine("AND", *wanted)
    return Combination("NOT", (node, *taken)) if taken else node


def gains(blocks: Sequence[Block], pmids: Callable[[Node], AbstractSet[str]]) -> tuple[Gain, ...]:
    """What each line adds and what removing it loses, from the records that it finds.

    Parameters
    ----------
    blocks : sequence of Block
        From `concept_blocks`.
    pmids : function
        The records of a tree: an offline mirror, or PubMed itself. Asked once for each line.
    """
    found = [[frozenset(pmids(line)) for line in block.lines] for block in blocks]
    unions = [frozenset().union(*sets) for sets in found]
    result: list[Gain] = []
    for i, block in enumerate(blocks):
        elsewhere = _combined(
            [u for j, u in enumerate(unions) if j != i and not blocks[j].is_exclusion],
            [u for j, u in enumerate(unions) if j != i and blocks[j].is_exclusion],
        )
        above: frozenset[str] = frozenset()
        for k, line in enumerate(block.lines):
            own = found[i][k]
            others = frozenset().union(*(s for m, s in enumerate(found[i]) if m != k))
            alone = own - others
            lost = alone if elsewhere is None else alone & elsewhere
            result.append(Gain(i, show(line), len(own), len(own - above), len(alone), len(lost)))
            above |= own
    return tuple(result)


def gains_by_count(blocks: Sequence[Block], count: Callable[[Node], int]) -> tuple[Gain, ...]:
    """The same from counts alone, where a source gives no list: up to four requests a line."""
    asked: dict[Node, int] = {}

    def number(node: Node) -> int:
        if node not in asked:
            asked[node] = count(node)
        return asked[node]

    total = number(whole(blocks))
    result: list[Gain] = []
    for i, block in enumerate(blocks):
        lines = block.lines
        for k, line in enumerate(lines):
            rest = (*lines[:k], *lines[k + 1 :])
            above = number(combine("OR", *lines[:k])) if k else 0
            added = number(combine("OR", *lines[: k + 1])) - above
            alone = (
                number(combine("OR", *lines)) - number(combine("OR", *rest))
                if rest
                else number(line)
            )
            without = [
                *blocks[:i],
                *([Block(combine("OR", *rest), block.is_exclusion)] if rest else []),
                *blocks[i + 1 :],
            ]
            is_last = not rest and not block.is_exclusion
            left = 0 if is_last else number(whole(without))
            lost = left - total if block.is_exclusion else total - left
            result.append(Gain(i, show(line), number(line), added, alone, lost))
    return tuple(result)


def why_missed(
    tree: Node, record: Record, matches: Callable[[Node, Record], bool]
) -> tuple[Missed, ...]:
    """The concepts that keep a known record out; empty if the strategy finds it."""
    missed: list[Missed] = []
    for i, block in enumerate(concept_blocks(tree)):
        has = matches(block.node, record)
        if block.is_exclusion and has:
            because = tuple(line for line in block.lines if matches(line, record))
            missed.append(Missed(i, block.node, True, because))
        elif not block.is_exclusion and not has:
            missed.append(Missed(i, block.node, False, ()))
    return tuple(missed)


def is_controlled_only(node: Node) -> bool:
    """Whether a concept is asked for by headings and their like alone, so that records without
    indexing cannot be found by it.

    Publication types and registry numbers alone do not make a concept: they are filters.
    """
    topical = False
    for leaf in leaves(node):
        if isinstance(leaf, Heading):
            topical = True
        elif isinstance(leaf, Term) and leaf.tag is not None and leaf.tag.field in _CONTROLLED:
            topical = topical or leaf.tag.field in _TOPICAL
        elif isinstance(leaf, Dates | Last | Pmids | PmidRange | Flag):
            return False
        else:
            return False
    return topical and not isinstance(node, TaggedGroup)


def _combined(
    wanted: Iterable[frozenset[str]], taken: Iterable[frozenset[str]]
) -> frozenset[str] | _AllBut | None:
    """What the other blocks leave; None where nothing narrows it."""
    result: frozenset[str] | None = None
    for records in wanted:
        result = records if result is None else result & records
    away: frozenset[str] = frozenset().union(*taken)
    if result is None:
        return _AllBut(away) if away else None
    return result - away


@dataclass(frozen=True, slots=True)
class _AllBut:
    """Every record but these."""

    away: frozenset[str]

    def __rand__(self, other: AbstractSet[str]) -> frozenset[str]:
        return frozenset(other) - self.away
