"""Questions that a record answers by itself, and reservations about the answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias

from evidence.errors import ToolkitError
from evidence.query.tree import Operator
from evidence.query.words import Pattern, words


class Vocabulary(Protocol):
    """NLM's descriptor file, as far as a search needs it."""

    def headings(self, name: str) -> frozenset[str] | None:
        """The heading that a name or entry term stands for and all below; None if there is none."""

    def heading(self, name: str) -> str | None:
        """The heading alone; None if there is none."""

    def subheadings(self, name: str) -> frozenset[str] | None:
        """A subheading and all below it."""

    def publication_types(self, name: str) -> frozenset[str] | None:
        """A publication type and all below it."""


@lru_cache(maxsize=1 << 16)
def key(text: str) -> str:
    """A name without punctuation, case and accents, for comparing whole names."""
    return " ".join(words(text))


# ---------------------------------------------------------------------------- questions


@dataclass(frozen=True, slots=True)
class InWords:
    """Words side by side in one text of one of the parts."""

    parts: tuple[str, ...]
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Near:
    """Words in any order with at most so many others between, in one text of one of the parts."""

    parts: tuple[str, ...]
    words: tuple[str, ...]
    most: int
    across: bool = False  # over all texts of the part, not within one


@dataclass(frozen=True, slots=True)
class HasHeading:
    """A heading of these names (or with this beginning), perhaps with one of these qualifiers."""

    names: frozenset[str]
    prefix: str = ""
    qualifiers: frozenset[str] | None = None
    major: bool = False


@dataclass(frozen=True, slots=True)
class HasQualifier:
    """A qualifier of these names on any heading."""

    names: frozenset[str]
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class HasValue:
    """One of the values of a part is one of these, compared by its words."""

    parts: tuple[str, ...]
    values: frozenset[str]
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class HasName:
    """A person of this name. Not ``exact``: further initials and a suffix may follow."""

    part: str
    position: Literal["any", "first", "last"]
    words: tuple[str, ...]
    exact: bool
    full: bool  # full names only
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class OnDay:
    """A date of one of the kinds from ``low`` to ``high``.

    ``print_first``: an electronic date does not count if it is later than the one in print.
    """

    kinds: tuple[str, ...]
    low: dt.date
    high: dt.date
    print_first: bool = False


@dataclass(frozen=True, slots=True)
class IsPmid:
    """One of these PMIDs, or one of the range."""

    numbers: frozenset[int]
    low: int = 0
    high: int = -1


@dataclass(frozen=True, slots=True)
class Has:
    """A property that is there or not: of ``what``, the value, or any value."""

    what: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Always:
    """Every record, or none."""

    answer: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Questions joined by an operator; NOT takes all later ones from the first."""

    operator: Operator
    parts: tuple[Plan, ...]


Question: TypeAlias = (
    InWords | Near | HasHeading | HasQualifier | HasValue | HasName | OnDay | IsPmid | Has | Always
)
Plan: TypeAlias = Question | Joined


# ---------------------------------------------------------------------------- reservations


@dataclass(frozen=True, slots=True)
class Reservation:
    """Where PubMed's own answer may differ, or cannot be had: which term, and why."""

    code: str
    term: str
    why: str

    def __str__(self) -> str:
        return f"{self.term}: {self.why}"


OF_FORM = frozenset(  # faults of the query, not of the records
    ("malformed", "unknown-tag", "no-term", "ignored", "tag-on-group")
)


class NotAnswerable(ToolkitError):
    """A query that cannot be answered from the records alone; names every such term."""

    def __init__(self, refused: Sequence[Reservation]) -> None:
        self.refused = tuple(refused)
        self.reasons = tuple(dict.fromkeys(r.code for r in refused))
        of_form = OF_FORM.issuperset(self.reasons)
        super().__init__(
            "this query is not written as PubMed reads one"
            if of_form
            else "the records alone cannot answer this query",
            [str(r) for r in refused],
            remedy="correct it; `evidence lint FILE` says of each fault what to write instead"
            if of_form
            else "tag the terms, add NLM's descriptor file (evidence mirror mesh), or accept a "
            "marked approximation (--lenient)",
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be asked of each record, and where PubMed may answer otherwise."""

    plan: Plan
    approximations: tuple[Reservation, ...]
