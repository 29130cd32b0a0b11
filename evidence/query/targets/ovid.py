"""Ovid MEDLINE.

Field codes: Ovid field guide for MEDLINE. ADJn counts one for neighbours, in either order
(https://libguides.sdu.dk/OVID-English/adj).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from evidence.query.targets.base import (
    OPERATORS,
    Made,
    Piece,
    Target,
    is_quoted,
    subheading_code,
    whole_years,
)
from evidence.query.tree import Dates, Heading, Leaf, Term
from evidence.query.words import Pattern

_MOST_YEARS = 80  # listed one by one
_MOST_ADJ = 99  # Ovid's largest ADJ


class Ovid(Target):
    """Ovid MEDLINE."""

    key = "ovid"
    title = "Ovid"
    lower_operators = True
    between = ""  # noted only where ADJ is used
    fields: ClassVar = {
        "tiab": ".ti,ab,kf.",
        "ti": ".ti.",
        "ot": ".kf.",
        "tw": ".mp.",
        "all": ".mp.",
        "ad": ".in.",
        "tt": ".ot.",
        "cn": ".ca.",
    }

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            plain = " " not in body or is_quoted(body, '"')
            return f"{body}{code}" if plain else f"({body}){code}"

        return Piece(text, wrap, code, is_group=is_group)

    def about(self, term: Term, where: str) -> None:
        if where in ("tw", "all"):
            self.note(term, "differs", ".mp. reads other fields than PubMed's")

    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        text = str(wanted)
        if len(wanted.words) == 1:
            return self.field(_word(text), code)
        if wanted.is_prefix:
            # Words side by side are a phrase; an asterisk within quotation marks would be a sign.
            return self.field(" adj ".join(map(_word, text.split())), code, is_group=True)
        return self.field(f'"{text}"', code)

    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        if steps > _MOST_ADJ:
            self.note(term, "wider", f"ADJ ends at {_MOST_ADJ}; the words may stand anywhere")
            return self.field(" and ".join(map(_word, wanted)), code, is_group=True)
        if len(wanted) > 2:
            self.note(term, "wider", "ADJ counts between neighbours, not over the stretch")
        return self.field(f" adj{steps} ".join(map(_word, wanted)), code, is_group=True)

    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched as words of headings")
            return Piece(f"{wanted}.hw.")
        code = ""
        if heading.subheading is not None:
            code = subheading_code(heading.subheading) or ""
            if not code:
                self.note(heading, "wider", "the subheading is unknown and was dropped")
            elif heading.explodes:
                self.not_exploded(heading, "subheadings")
        explode, star = "exp " if heading.explodes else "", "*" if heading.major else ""
        return Piece(f"{explode}{star}{heading.name}/{code}")

    def author(self, term: Term, name: str) -> Made:
        return Piece(f'"{name}".au.' if term.quoted else f"{name}*.au.")

    def pmids(self, numbers: Sequence[int]) -> Made:
        return Piece(f"({' or '.join(map(str, numbers))}).ui.")

    def history(self, name: str) -> Made:
        return Piece(name)

    def published(self, dates: Dates, first: str, last: str) -> Made:
        self.note(dates, "differs", "Ovid's year is that of the issue alone")
        if not whole_years(dates):
            self.note(dates, "wider", "whole years")
        if int(last) - int(first) >= _MOST_YEARS:
            return f'set the limit yr="{first} -Current"'
        listed = [f'"{year}"' for year in range(int(first), int(last) + 1)]
        return Piece(f"({' or '.join(listed)}).yr.")

    def kind(self, term: Term, name: str) -> Made:
        self.not_exploded(term, "publication types")
        return Piece(f"{name}.pt.")

    def language(self, term: Term, name: str, code: str) -> Made:
        return Piece(f"{name.lower()}.lg.")

    def journal(self, term: Term, name: str) -> Made:
        self.note(term, "differs", "Ovid wants the journal's full title")
        return Piece(f'"{name}".jn.')

    def subheading(self, term: Term) -> Made:
        code = subheading_code(term.text)
        if code is None:
            return "the subheading is unknown"
        self.not_exploded(term, "subheadings")
        return Piece(f"{code}.fs.")

    def substance(self, term: Term, tag: str) -> Made:
        return Piece(f'"{term.text}".{tag}.')

    def no_form(self, leaf: Leaf) -> str:
        limits = "" if isinstance(leaf, Term) else "; use its limits"
        return super().no_form(leaf) + limits


def _word(word: str) -> str:
    return f'"{word}"' if word in OPERATORS or word.isdigit() else word
