"""A strategy as concepts: the sets of lines that are joined by OR, and how they are combined.

A record must have every concept that AND joins, and none that NOT takes away. Where a concept is
wanted only beside another, as in ``#back OR (#leg AND #weak)``, the shape says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from evidence.query.show import in_words, show
from evidence.query.tree import (
    Combination,
    Heading,
    Node,
    Operator,
    TaggedGroup,
    Term,
    combine,
    leaves,
    walk,
)

_CONTROLLED = frozenset(("mh", "majr", "sh", "pt", "nm", "pa", "rn"))
_TOPICAL = frozenset(("mh", "majr", "sh", "nm", "pa"))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a concept."""

    node: Node
    number: int | None = None  # in the numbered strategy
    why: str = ""

    @property
    def terms(self) -> tuple[Node, ...]:
        """What OR joins within the line."""
        node = self.node
        if isinstance(node, Combination) and node.operator == "OR":
            return node.parts
        return (node,)

    def __str__(self) -> str:
        return show(self.node)


@dataclass(frozen=True, slots=True)
class Concept:
    """Lines of which a record must have at least one."""

    lines: tuple[Line, ...]
    name: str = ""  # as in a claim file; "" where it has none
    about: str = ""

    @property
    def node(self) -> Node:
        return combine("OR", *(line.node for line in self.lines))

    @property
    def title(self) -> str:
        """Its name, else its first line, for a table or a drawing."""
        if self.name:
            return self.name.replace("_", " ")
        more = len(self.lines) - 1
        return str(self.lines[0]) + (f" and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class Group:
    """Concepts, by their positions, and further groups, joined by one operator."""

    operator: Operator
    parts: tuple[Shape, ...]


Shape: TypeAlias = int | Group


@dataclass(frozen=True, slots=True)
class Outline:
    """The concepts of a strategy in the order of the text, and how they are combined."""

    concepts: tuple[Concept, ...]
    shape: Shape
    excluded: frozenset[int] = field(init=False)  # positions of concepts that NOT takes away

    def __post_init__(self) -> None:
        object.__setattr__(self, "excluded", frozenset(_excluded(self.shape, away=False)))

    @property
    def required(self) -> frozenset[int]:
        """Positions of the concepts that every record must have."""
        return frozenset(_required(self.shape))

    @property
    def node(self) -> Node:
        """The whole strategy."""
        found = self.without()
        assert found is not None  # each concept has a line
        return found

    def without(self, concept: int | None = None, line: int | None = None) -> Node | None:
        """The strategy without one line; None if nothing can be found without it."""
        kept: list[Node | None] = []
        for i, one in enumerate(self.concepts):
            lines = [x.node for k, x in enumerate(one.lines) if (i, k) != (concept, line)]
            kept.append(combine("OR", *lines) if lines else None)
        return _node(self.shape, kept)

    def with_line(self, concept: int, node: Node) -> Outline:
        """The strategy with a further line in one concept."""
        changed = list(self.concepts)
        changed[concept] = replace(changed[concept], lines=(*changed[concept].lines, Line(node)))
        return Outline(tuple(changed), self.shape)

    def by_term(self) -> Outline:
        """The same with a line for each term."""
        concepts = tuple(
            replace(one, lines=tuple(replace(x, node=t) for x in one.lines for t in x.terms))
            for one in self.concepts
        )
        return Outline(concepts, self.shape)


@dataclass(frozen=True, slots=True)
class Missed:
    """A concept that keeps a record out."""

    concept: int
    is_exclusion: bool
    because: tuple[Node, ...] = ()  # an exclusion: the lines that the record has
    is_alternative: bool = False  # another concept would have done in its place

    def words(self, outline: Outline) -> str:
        """The same as a sentence."""
        one = outline.concepts[self.concept]
        if self.is_exclusion:
            lines = "; ".join(in_words(node) for node in self.because)
            return f"taken away by concept {self.concept + 1} ({one.title}): it has {lines}"
        return f"not found by concept {self.concept + 1} ({one.title}): it has none of its lines"


def outline(tree: Node) -> Outline:
    """The concepts of a query: what AND and NOT join, and lists of terms joined by OR.

    An OR that joins lists of concepts stays a group; one whose parts are terms, or combinations
    without a list of their own, is a concept with these as its lines. What NOT takes away is one
    concept unless it has lists, so that ``animals[mh] NOT humans[mh]`` stays whole.
    """
    concepts: list[Concept] = []

    def shape_of(node: Node, *, away: bool = False) -> Shape:
        splits = isinstance(node, Combination) and not (away or node.operator == "OR")
        if isinstance(node, Combination) and (splits or _holds_lists(node)):
            parts: list[Shape] = []
            for i, part in enumerate(node.parts):
                made = shape_of(part, away=away or (node.operator == "NOT" and i > 0))
                if isinstance(made, Group) and made.operator == node.operator != "NOT":
                    parts += made.parts
                else:
                    parts.append(made)
            return Group(node.operator, tuple(parts))
        lines = Line(node).terms
        concepts.append(Concept(tuple(Line(line) for line in lines)))
        return len(concepts) - 1

    shape = shape_of(tree)
    return Outline(tuple(concepts), shape)


def combined(
    shape: Shape,
    values: Sequence[bool],
) -> bool:
    """Whether a record with these concepts is found."""
    if isinstance(shape, int):
        return values[shape]
    parts = [combined(part, values) for part in shape.parts]
    if shape.operator == "AND":
        return all(parts)
    return any(parts) if shape.operator == "OR" else parts[0] and not any(parts[1:])


def missed(outline: Outline, has: Callable[[Node], bool]) -> tuple[Missed, ...]:
    """The concepts that keep a record out; empty if the strategy finds it.

    Parameters
    ----------
    has : function
        Whether the record satisfies a part of the strategy.
    """
    values = [has(concept.node) for concept in outline.concepts]
    found: list[Missed] = []

    def wanting(shape: Shape, *, alternative: bool) -> None:
        if combined(shape, values):
            return
        if isinstance(shape, int):
            found.append(Missed(shape, False, is_alternative=alternative))
        elif shape.operator == "AND":
            for part in shape.parts:
                wanting(part, alternative=alternative)
        elif shape.operator == "OR":
            for part in shape.parts:
                wanting(part, alternative=True)
        else:
            wanting(shape.parts[0], alternative=alternative)
            for part in shape.parts[1:]:
                taking(part, alternative=alternative)

    def taking(shape: Shape, *, alternative: bool) -> None:
        if not combined(shape, values):
            return
        if isinstance(shape, int):
            lines = outline.concepts[shape].lines
            because = tuple(line.node for line in lines if has(line.node))
            found.append(Missed(shape, True, because, alternative))
        elif shape.operator == "NOT":
            taking(shape.parts[0], alternative=alternative)
        else:
            # Of concepts joined by AND it is enough to lose one.
            for part in shape.parts:
                taking(part, alternative=shape.operator == "AND")

    wanting(outline.shape, alternative=False)
    return tuple(found)


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
        else:
            return False
    return topical and not isinstance(node, TaggedGroup)


def _holds_lists(node: Combination) -> bool:
    """Whether an AND or a NOT within has a list joined by OR; or is one itself."""
    if node.operator != "OR":
        return any(_is_list(part) for part in walk(node))
    return any(
        _holds_lists(part)
        for part in node.parts
        if isinstance(part, Combination) and (part.operator != "OR" or _holds_lists(part))
    )


def _is_list(node: Node) -> bool:
    return isinstance(node, Combination) and node.operator == "OR"


def _excluded(shape: Shape, *, away: bool) -> Iterator[int]:
    if isinstance(shape, int):
        if away:
            yield shape
        return
    for i, part in enumerate(shape.parts):
        yield from _excluded(part, away=away != (shape.operator == "NOT" and i > 0))


def _required(shape: Shape) -> Iterator[int]:
    if isinstance(shape, int):
        yield shape
    elif shape.operator == "AND":
        for part in shape.parts:
            yield from _required(part)
    elif shape.operator == "NOT":
        yield from _required(shape.parts[0])


def _node(shape: Shape, concepts: Sequence[Node | None]) -> Node | None:
    """The shape as a query; a concept that finds nothing is None."""
    if isinstance(shape, int):
        return concepts[shape]
    parts = [_node(part, concepts) for part in shape.parts]
    there = [part for part in parts if part is not None]
    if shape.operator == "OR":
        return combine("OR", *there) if there else None
    if parts[0] is None or (shape.operator == "AND" and len(there) < len(parts)):
        return None
    return combine(shape.operator, *there)
