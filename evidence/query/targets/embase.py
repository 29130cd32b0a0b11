"""Embase on embase.com.

https://www.elsevier.support/embase/answer/can-i-use-boolean-operators-wildcards-and-proximity-
operators-in-embase (NEAR/1 is side by side; operators from left to right).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from evidence.query.targets.base import (
    OPERATORS,
    Made,
    Piece,
    Target,
    in_parentheses,
    natural,
    safe,
    whole_years,
)
from evidence.query.tree import Dates, Heading, Term
from evidence.query.vocabulary import publication_type_of
from evidence.query.words import Pattern

_ITEM_TYPES = ("review", "letter", "editorial")


class Embase(Target):
    """Embase on embase.com."""

    key = "embase"
    title = "Embase"
    fields: ClassVar = {
        "tiab": ":ti,ab,kw",
        "ti": ":ti",
        "ot": ":kw",
        "tw": ":ti,ab,kw,de",
        "all": "",
        "ad": ":ad",
        "tt": ":tt",
    }

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            return f"{in_parentheses(body, chr(39))}{code}"

        return Piece(text, wrap, code or "all", is_group=is_group)

    def about(self, term: Term, where: str) -> None:
        if where in ("tw", "all"):
            self.note(term, "differs", "Embase reads other fields than PubMed's")

    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        text = str(wanted)
        return self.field(f"'{text}'" if " " in text or text in OPERATORS else text, code)

    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        text = f" NEAR/{steps} ".join(safe(word, "'") for word in wanted)
        return self.field(text, code, is_group=True)

    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched in the index terms")
            return Piece(f"{wanted}:de")
        self.note(heading, "differs", "Emtree has headings of its own; look this one up")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped; Emtree links are others")
        ending = "/exp/mj" if heading.major else "/exp"
        if not heading.explodes:
            ending = "/mj" if heading.major else "/de"
        return Piece(f"{_quoted(natural(heading.name))}{ending}")

    def author(self, term: Term, name: str) -> Made:
        return Piece(f"'{name}{'' if term.quoted else '*'}':au")

    def history(self, name: str) -> Made:
        return Piece(f"#{name}")

    def published(self, dates: Dates, first: str, last: str) -> Made:
        if not whole_years(dates):
            self.note(dates, "wider", "whole years")
        self.note(dates, "differs", "Embase's year is that of the issue alone")
        return Piece(f"[{first}-{last}]/py")

    def with_abstract(self) -> Made:
        return Piece("[abstracts]/lim")

    def kind(self, term: Term, name: str) -> Made:
        known = (publication_type_of(term.text) or term.text).lower()
        if known in _ITEM_TYPES:
            self.note(term, "differs", "Embase's item types are assigned by other rules")
            return Piece(f"{known}:it")
        self.note(term, "differs", "in Embase this is a heading, or none: look it up")
        return Piece(f"{_quoted(natural(known))}/exp")

    def language(self, term: Term, name: str, code: str) -> Made:
        return Piece(f"[{name.lower()}]/lim")

    def journal(self, term: Term, name: str) -> Made:
        self.note(term, "differs", "Embase wants the journal's title as it writes it")
        return Piece(f"'{name}':jt")

    def substance(self, term: Term, tag: str) -> Made | None:
        return Piece(f"{_quoted(term.text)}:rn") if tag == "rn" else None


def _quoted(text: str) -> str:
    """In single quotation marks; one within the text, as in "U.S. Gov't", would end it."""
    return f"'{text.replace(chr(39), ' ')}'"
