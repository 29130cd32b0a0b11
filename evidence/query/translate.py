"""A PubMed strategy in the syntax of another database, every approximation named.

No database holds the same fields and headings as another: a translation is a draft for a searcher.
Where an exact form exists it is used; else the wider one, so that nothing is lost silently. What
has no form at all is left out, and the note says what that does to the result.

The rules of each database stand in `evidence.query.targets`, each with its source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evidence.query.parse import parse
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
    Parsed,
    PmidRange,
    Pmids,
    SetName,
    TaggedGroup,
    Term,
)
from evidence.query.vocabulary import LANGUAGES, SUBHEADINGS, language_of, subheading_of
from evidence.query.words import Pattern, pattern, words
from meta.errors import UnknownName

Effect = Literal["wider", "narrower", "differs", "left out"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a translation changes: ``wider`` finds more, ``narrower`` fewer, ``differs`` both."""

    term: str  # as in PubMed; "" where it holds for the whole
    effect: Effect
    why: str

    def __str__(self) -> str:
        return (
            f"{self.term}: {self.effect}: {self.why}" if self.term else f"{self.effect}: {self.why}"
        )


@dataclass(frozen=True, slots=True)
class Translation:
    """The strategy for one database, and all that its reader must know."""

    target: str
    query: str  # empty if nothing could be translated
    notes: tuple[Note, ...]


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


@dataclass
class Target:
    """What all databases share; a subclass says how each thing is written."""

    name: str = ""
    lower_operators: bool = False
    notes: list[Note] = field(default_factory=list)
    excluding: bool = False  # within what NOT takes away
    inside: str = ""  # the operator around the part at hand

    # ------------------------------------------------------------------ for subclasses

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        """A word or phrase in a field of running words."""
        raise NotImplementedError

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        raise NotImplementedError

    def heading(self, heading: Heading) -> Piece | None:
        raise NotImplementedError

    def other(self, leaf: Leaf) -> Piece | None:
        """Anything else: names, dates, identifiers, types, languages, switches."""
        raise NotImplementedError

    # ------------------------------------------------------------------ shared

    def note(self, leaf: Node | str, effect: Effect, why: str) -> None:
        shown = leaf if isinstance(leaf, str) else show(leaf)
        self.notes.append(Note(shown, effect, why))

    def leave_out(self, leaf: Node, why: str) -> None:
        result = {"AND": "more", "OR": "less", "NOT": "more"}.get(self.inside)
        if result and self.excluding and self.inside != "NOT":
            result = "less" if result == "more" else "more"
        self.note(leaf, "left out", f"{why}; the whole finds {result}" if result else why)

    def piece(self, node: Node) -> Piece | None:
        match node:
            case Combination():
                return self.combination(node)
            case TaggedGroup(inside, tag):
                self.note(node, "differs", "PubMed drops the tag; translated as it was meant")
                return self.piece(tagged(inside, tag))
            case Nothing():
                return None
            case Term():
                return self.term(node)
            case Heading():
                return self.heading(node)
            case _:
                return self.other(node)

    def combination(self, node: Combination) -> Piece | None:
        pieces: list[Piece] = []
        outside, around = self.excluding, self.inside
        for i, part in enumerate(node.parts):
            taken = node.operator == "NOT" and i > 0
            self.excluding = outside or taken
            self.inside = around if node.operator == "NOT" and not taken else node.operator
            made = self.piece(part)
            if made is not None:
                pieces.append(made)
            elif node.operator == "NOT" and i == 0:
                self.excluding, self.inside = outside, around
                self.leave_out(node, "nothing is left from which to take away")
                return None
        self.excluding, self.inside = outside, around
        if not pieces:
            return None
        if len(pieces) == 1:
            return pieces[0]
        operator = node.operator.lower() if self.lower_operators else node.operator
        names = {piece.wrap_name for piece in pieces}
        if node.operator == "OR" and len(names) == 1 and pieces[0].wrap is not None:
            text = f" {operator} ".join(_inner(piece) for piece in pieces)
            return Piece(text, pieces[0].wrap, pieces[0].wrap_name, is_group=True)
        return Piece(f" {operator} ".join(piece.bare() for piece in pieces), is_group=True)

    def term(self, term: Term) -> Piece | None:
        tag = term.tag
        known = tag.known if tag is not None else None
        if tag is not None and known is None:
            self.leave_out(term, f"[{tag.field}] is not a PubMed tag")
            return None
        where = known.tag if known is not None else "all"
        if known is not None and known.kind not in ("words", "all"):
            return self.other(term)
        wanted = pattern(term.text)
        if not wanted.words:
            return None
        if tag is not None and tag.near is not None and known is not None and known.proximity:
            listed = words(term.text)
            if term.quoted and len(listed) > 1 and "*" not in term.text:
                return self.near(term, listed, tag.near, where)
            self.note(term, "differs", "PubMed ignores the proximity here; so does this")
        if "*" in term.text and not wanted.is_prefix:
            self.note(term, "differs", "PubMed ignores the asterisk here; so does this")
        if tag is None and not term.quoted:
            self.note(term, "differs", "PubMed maps untagged words; here they are words alone")
        return self.words(term, wanted, where)


def translate(query: str | Node | Parsed, target: str) -> Translation:
    """Write a PubMed query for another database.

    Parameters
    ----------
    query : str, Node or Parsed
    target : str
        "ovid" (MEDLINE), "embase" (embase.com), "wos" (Web of Science), "cochrane" (Cochrane
        Library) or "europepmc".

    Returns
    -------
    Translation
        With a note for everything that is not the same.

    Raises
    ------
    UnknownName
        If there is no such target.
    """
    from evidence.query.targets import TARGETS

    if target not in TARGETS:
        raise UnknownName("database to translate to", target, sorted(TARGETS))
    if isinstance(query, str):
        query = parse(query)
    tree = query.tree if isinstance(query, Parsed) else query
    made = TARGETS[target]()
    piece = made.piece(tree)
    text = piece.whole() if piece is not None else ""
    return Translation(target, text, tuple(dict.fromkeys(made.notes)))


# ---------------------------------------------------------------------------- for the targets


def years(dates: Dates) -> tuple[str, str]:
    """First and last year of a date or range."""
    return dates.low[:4], (dates.high or dates.low)[:4]


def is_whole_years(dates: Dates) -> bool:
    return "/" not in dates.low and "/" not in (dates.high or "")


def language(term: Term) -> str | None:
    """The English name of a language term."""
    code = language_of(term.text)
    return LANGUAGES[code] if code else None


def subheading_code(heading: Heading) -> str | None:
    """The two letters of a heading's subheading."""
    name = subheading_of(heading.subheading or "")
    return next((code for code, known in SUBHEADINGS.items() if known == name), None)


def joined(wanted: Pattern) -> str:
    """The words of a pattern with its asterisk."""
    return str(wanted)


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


def _inner(piece: Piece) -> str:
    return f"({piece.text})" if piece.is_group else piece.text
