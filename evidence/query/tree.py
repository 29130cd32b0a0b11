"""The tree of a query: frozen nodes that know where they stand, compared by meaning alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from dataclasses import field as hold
from typing import Literal, TypeAlias

from evidence.query.fields import FIELDS, Field
from evidence.query.findings import Finding

Operator = Literal["AND", "OR", "NOT"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text: offsets, and line and column of its start, both from 1."""

    start: int = 0
    end: int = 0
    line: int = 0
    column: int = 0


NOWHERE = Span()


@dataclass(frozen=True, slots=True)
class Tag:
    """A field tag. ``field`` is the canonical tag, or the name as typed where there is none."""

    field: str
    noexp: bool = False
    near: int | None = None  # N of :~N
    suffix: str = ""  # what follows the colon and is neither
    written: str = hold(default="", compare=False)
    at: Span = hold(default=NOWHERE, compare=False, repr=False)

    @property
    def known(self) -> Field | None:
        return FIELDS.get(self.field)


@dataclass(frozen=True, slots=True)
class Term:
    """Words as typed, with their asterisk. Unquoted words in a row are one term."""

    text: str
    quoted: bool = False
    tag: Tag | None = None
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A MeSH heading, perhaps with one subheading; untagged only if it has one."""

    name: str
    subheading: str | None = None
    quoted: bool = False
    tag: Tag | None = None
    at: Span = hold(default=NOWHERE, compare=False, repr=False)

    @property
    def major(self) -> bool:
        return self.tag is not None and self.tag.field == "majr"

    @property
    def explodes(self) -> bool:
        return self.tag is None or not self.tag.noexp


@dataclass(frozen=True, slots=True)
class Dates:
    """A day, month or year, or a range of them (``high``); as typed, lint says if it is none."""

    low: str
    high: str | None
    tag: Tag
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Last:
    """ "last 30 days": counted back from today, which only a clock knows."""

    number: int
    unit: Literal["days", "months", "years"]
    tag: Tag
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pmids:
    """PMIDs, any of them."""

    numbers: tuple[int, ...]
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PmidRange:
    """All PMIDs from ``low`` to ``high``."""

    low: int
    high: int
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Flag:
    """A switch that needs no tag, such as hasabstract."""

    name: str
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SetName:
    """A line of the search history (#1), or a named block of a claim file (#bdnf)."""

    name: str
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TaggedGroup:
    """Parentheses with a tag after them: PubMed drops the tag without a word."""

    inside: Node
    tag: Tag
    at: Span = hold(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Combination:
    """Two or more parts joined by one operator; NOT takes all later parts from the first."""

    operator: Operator
    parts: tuple[Node, ...]
    at: Span = hold(default=NOWHERE, compare=False, repr=False)
    in_parentheses: bool = hold(default=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """A query without a term."""

    at: Span = hold(default=NOWHERE, compare=False, repr=False)


Leaf: TypeAlias = Term | Heading | Dates | Last | Pmids | PmidRange | Flag | SetName
Node: TypeAlias = Leaf | TaggedGroup | Combination | Nothing


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says: its tree, and what is wrong with its form."""

    text: str
    tree: Node
    findings: tuple[Finding, ...] = ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    if isinstance(node, Combination):
        for part in node.parts:
            yield from walk(part)
    elif isinstance(node, TaggedGroup):
        yield from walk(node.inside)


def leaves(node: Node) -> Iterator[Leaf]:
    """Every term, heading, date, PMID, switch and history line, in the order of the text."""
    for part in walk(node):
        if not isinstance(part, Combination | TaggedGroup | Nothing):
            yield part


def combine(operator: Operator, *parts: Node) -> Node:
    """Parts joined by an operator; one part is itself."""
    return parts[0] if len(parts) == 1 else Combination(operator, parts)


def with_tag(node: Leaf, tag: Tag) -> Leaf:
    """The leaf in another field, where it can have one."""
    if isinstance(node, Term | Heading | Dates | Last):
        return replace(node, tag=tag)
    return node
