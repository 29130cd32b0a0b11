"""What all databases share: which parts of a strategy there are, and how they are put together.

A target says how each part is written. It gives a `Piece`, or the reason why it has no form for the
part, which is then left out with a note.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evidence.query.days import first_day, last_day
from evidence.query.show import show, tagged
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Leaf,
    Node,
    Nothing,
    Operator,
    PmidRange,
    Pmids,
    SetName,
    TaggedGroup,
    Term,
)
from evidence.query.vocabulary import LANGUAGES, SUBHEADINGS, language_of, subheading_of
from evidence.query.words import Pattern, pattern, words

Effect = Literal["wider", "narrower", "differs", "left out"]
NEIGHBOURS = "{} counts between neighbours, not over the stretch"
# Words that a database would read as its own operators.
OPERATORS = frozenset(("and", "or", "not", "near", "next", "adj"))


@dataclass(frozen=True, slots=True)
class Note:
    """What a translation changes: ``wider`` finds more, ``narrower`` fewer, ``differs`` both."""

    term: str  # as in PubMed; "" where it holds for the whole
    effect: Effect
    why: str

    def __str__(self) -> str:
        said = f"{self.effect}: {self.why}"
        return f"{self.term}: {said}" if self.term else said


@dataclass(frozen=True, slots=True)
class Piece:
    """A translated part: its text, and the field around it if that can be put around a group."""

    text: str
    wrap: Callable[[str], str] | None = None
    wrap_name: str = ""
    is_group: bool = False  # text is made of parts joined by an operator

    def whole(self) -> str:
        return self.wrap(self.text) if self.wrap else self.text

    def bare(self) -> str:
        """As part of a larger group."""
        return f"({self.whole()})" if self.is_group and not self.wrap else self.whole()

    def inner(self) -> str:
        """As part of a group within one field."""
        return f"({self.text})" if self.is_group else self.text


Made = Piece | str  # a text is the reason why there is no form


class Target(ABC):
    """One database. Of each method the default is that it has no form."""

    key: ClassVar[str]  # as the reader types it
    title: ClassVar[str]  # as sentences name it
    fields: ClassVar[Mapping[str, str]]  # PubMed's fields of running words, and the database's
    lower_operators: ClassVar[bool] = False
    between: ClassVar[str] = "NEAR"  # the operator of distance, in notes

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.excluding = False  # within what NOT takes away
        self._around: Operator | None = None  # the operator around the part at hand

    # ------------------------------------------------------------------ what a target says

    @abstractmethod
    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        """Words, or a group of them, in a field."""

    @abstractmethod
    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        """A word, or words side by side and in order, of which the last may be a beginning."""

    @abstractmethod
    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        """Words in any order, any two of them at most ``steps`` apart; 1 is side by side."""

    @abstractmethod
    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        """A MeSH heading; ``wanted`` are its words, perhaps truncated."""

    @abstractmethod
    def author(self, term: Term, name: str) -> Made:
        """An author; unquoted, further initials may follow."""

    def about(self, term: Term, where: str) -> None:
        """Note what differs in a field of running words."""
        return

    def pmids(self, numbers: Sequence[int]) -> Made | None:
        """Any of these PMIDs."""
        return None

    def history(self, name: str) -> Made | None:
        """A line of the search history."""
        return None

    def published(self, dates: Dates, first: str, last: str) -> Made | None:
        """A period of publication; its first and last year are given too."""
        return None

    def with_abstract(self) -> Made | None:
        """Only records that have an abstract."""
        return None

    def kind(self, term: Term, name: str) -> Made | None:
        """A publication type; ``name`` is PubMed's, in lower case."""
        return None

    def language(self, term: Term, name: str, code: str) -> Made | None:
        """A language by its English name and its three letters."""
        return None

    def journal(self, term: Term, name: str) -> Made | None:
        """A journal's title."""
        return None

    def subheading(self, term: Term) -> Made | None:
        """A subheading on any heading."""
        return None

    def substance(self, term: Term, tag: str) -> Made | None:
        """A substance by its name ("nm") or its number ("rn")."""
        return None

    def identifier(self, term: Term) -> Made | None:
        """A DOI or the like."""
        return None

    # ------------------------------------------------------------------ shared

    def no_form(self, leaf: Leaf) -> str:
        return f"{self.title} has no form for {described(leaf)}"

    def note(self, leaf: Node | str, effect: Effect, why: str) -> None:
        shown = leaf if isinstance(leaf, str) else show(leaf)
        self.notes.append(Note(shown, effect, why))

    def piece(self, node: Node) -> Piece | None:
        match node:
            case Combination():
                return self._combination(node)
            case TaggedGroup(inside, tag):
                self.note(node, "differs", "PubMed drops the tag; translated as it was meant")
                return self.piece(tagged(inside, tag))
            case Nothing():
                return None
            case _:
                made = self._leaf(node)
                if isinstance(made, str):
                    self._leave_out(node, made)
                    return None
                return made

    def _combination(self, node: Combination) -> Piece | None:
        pieces: list[Piece] = []
        outside, around = self.excluding, self._around
        for i, part in enumerate(node.parts):
            taken = node.operator == "NOT" and i > 0
            self.excluding = outside or taken
            self._around = around if node.operator == "NOT" and not taken else node.operator
            made = self.piece(part)
            if made is not None:
                pieces.append(made)
            elif node.operator == "NOT" and i == 0:
                self.excluding, self._around = outside, around
                self._leave_out(node, "nothing is left from which to take away")
                return None
        self.excluding, self._around = outside, around
        if not pieces:
            return None
        if len(pieces) == 1:
            return pieces[0]
        operator = node.operator.lower() if self.lower_operators else node.operator
        names = {piece.wrap_name for piece in pieces}
        if node.operator == "OR" and len(names) == 1 and pieces[0].wrap is not None:
            text = f" {operator} ".join(piece.inner() for piece in pieces)
            return Piece(text, pieces[0].wrap, pieces[0].wrap_name, is_group=True)
        return Piece(f" {operator} ".join(piece.bare() for piece in pieces), is_group=True)

    def _leave_out(self, leaf: Node, why: str) -> None:
        """Note what has no form, and what its absence does to the whole."""
        result = {"AND": "more", "OR": "less", "NOT": "more"}.get(self._around or "")
        if result and self.excluding and self._around != "NOT":
            result = "less" if result == "more" else "more"
        self.note(leaf, "left out", f"{why}; the whole finds {result}" if result else why)

    def _leaf(self, leaf: Leaf) -> Made | None:
        """A part without operators; None where it has no words."""
        made: Made | None = None
        match leaf:
            case Term():
                return self._term(leaf)
            case Heading():
                return self.heading(leaf, pattern(leaf.name))
            case Pmids(numbers):
                made = self.pmids(numbers)
            case SetName(name):
                made = self.history(name)
            case Dates() if is_reversed(leaf):
                return "the range ends before it begins"
            case Dates() if leaf.tag.field in ("dp", "epdat", "ppdat"):
                made = self.published(leaf, leaf.low[:4], (leaf.high or leaf.low)[:4])
            case Flag("hasabstract"):
                made = self.with_abstract()
        return made or self.no_form(leaf)

    def _term(self, term: Term) -> Made | None:
        tag = term.tag
        known = tag.known if tag is not None else None
        if tag is not None and known is None:
            return f"[{tag.field}] is not a PubMed tag"
        if known is not None and known.kind not in ("words", "all"):
            return self._value(term, known.tag) or self.no_form(term)
        wanted = pattern(term.text)
        if not wanted.words:
            return None
        where = known.tag if known is not None else "all"
        if tag is not None and tag.near is not None and known is not None and known.proximity:
            listed = words(term.text)
            if term.quoted and len(listed) > 1 and "*" not in term.text:
                return self._near(term, listed, tag.near, where)
            self.note(term, "differs", "PubMed ignores the proximity here; so does this")
        if "*" in term.text and not wanted.is_prefix:
            self.note(term, "differs", "PubMed ignores the asterisk here; so does this")
        if tag is None and not term.quoted:
            self.note(term, "differs", "PubMed maps untagged words; here they are words alone")
        if where not in self.fields:
            return self.no_form(term)
        self.about(term, where)
        return self.phrase(term, wanted, self.fields[where])

    def _near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Made:
        """For k words of which at most N others may stand between, any two lie within k + N - 1
        steps: this distance between neighbours loses nothing, and is exact for two words.
        """
        if where not in self.fields:
            return self.no_form(term)
        if len(wanted) > 2 and self.between:
            self.note(term, "wider", NEIGHBOURS.format(self.between))
        return self.near(term, wanted, len(wanted) + most - 1, self.fields[where])

    def _value(self, term: Term, tag: str) -> Made | None:
        """A term of a field that is compared as a whole."""
        assert term.tag is not None
        name = str(pattern(term.text))
        match tag:
            case "au" | "1au" | "lastau":
                if tag != "au":
                    self.note(term, "wider", "any author, not the first or last alone")
                return self.author(term, name.rstrip("*"))
            case "pt":
                return self.kind(term, name)
            case "la":
                code = language_of(term.text)
                return self.language(term, LANGUAGES[code], code) if code else None
            case "ta":
                return self.journal(term, name)
            case "sh":
                return self.subheading(term)
            case "nm" | "rn":
                return self.substance(term, tag)
            case "aid" | "lid":
                return self.identifier(term)
        return None

    def not_exploded(self, term: Term | Heading, what: str) -> None:
        """Note that narrower terms are not added where PubMed adds them."""
        if term.tag is None or not term.tag.noexp:
            self.note(term, "narrower", f"{self.title} does not add narrower {what}")


# ---------------------------------------------------------------------------- for the targets


def whole_years(dates: Dates) -> bool:
    """Whether a period begins and ends with a year."""
    return "/" not in dates.low and "/" not in (dates.high or "")


def is_reversed(dates: Dates) -> bool:
    """Whether a period ends before it begins; the lint calls it an error."""
    first, last = first_day(dates.low), last_day(dates.high or dates.low)
    return first is not None and last is not None and last < first


def subheading_code(name: str | None) -> str | None:
    """The two letters of a subheading."""
    known = subheading_of(name or "")
    return next((code for code, full in SUBHEADINGS.items() if full == known), None)


def natural(heading: str) -> str:
    """ "Diabetes Mellitus, Type 2" as it is said: type 2 diabetes mellitus."""
    parts = [part.strip() for part in heading.split(",")]
    return " ".join(reversed(parts)).lower()


def described(leaf: Leaf) -> str:
    """What a leaf is, for a note on what has no form elsewhere."""
    match leaf:
        case Dates() | Last():
            return f"the date [{leaf.tag.field}]"
        case Pmids() | PmidRange():
            return "a PMID"
        case Flag():
            return "this switch of PubMed"
        case SetName():
            return "a history line"
        case Term(tag=tag) if tag is not None and tag.known is not None:
            return f"PubMed's field {tag.known.name}"
        case _:
            return "this"


def is_quoted(text: str, mark: str) -> bool:
    """Whether one pair of marks holds the whole."""
    return text.startswith(mark) and text.endswith(mark) and text.count(mark) == 2


def in_parentheses(body: str, mark: str) -> str:
    """Several words in parentheses; one word or phrase as it is."""
    return f"({body})" if " " in body and not is_quoted(body, mark) else body


def safe(word: str, mark: str) -> str:
    """A word in quotation marks if it would be read as an operator."""
    return f"{mark}{word}{mark}" if word in OPERATORS else word
