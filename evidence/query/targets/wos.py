"""Web of Science Core Collection, advanced search.

https://webofscience.help.clarivate.com/Content/search-operators.html (NEAR/x: at most x words
between) and search-rules.htm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from evidence.query.targets.base import Made, Piece, Target, natural, whole_years
from evidence.query.tree import Dates, Heading, Term
from evidence.query.vocabulary import publication_type_of
from evidence.query.words import Pattern, pattern

_DOCUMENT_TYPES = {"Review": "Review", "Letter": "Letter", "Editorial": "Editorial Material"}


class WebOfScience(Target):
    """Web of Science Core Collection."""

    key = "wos"
    title = "Web of Science"
    fields: ClassVar = {
        "tiab": "TS",
        "ti": "TI",
        "ot": "AK",
        "tw": "TS",
        "all": "ALL",
        "ad": "AD",
        "cn": "GP",
    }

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        return Piece(text, lambda body: f"{code}=({body})", code, is_group=is_group)

    def about(self, term: Term, where: str) -> None:
        if where in ("tiab", "tw"):
            self.note("", "wider", "TS also reads Keywords Plus")

    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        return self.field(_word(wanted), code)

    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        self.note("", "wider", "NEAR reaches across fields")
        text = f" NEAR/{steps - 1} ".join(f'"{word}"' for word in wanted)
        return self.field(text, code, is_group=True)

    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        if self.excluding:
            return "Web of Science has no headings, and words take away too much"
        self.note(heading, "differs", "Web of Science has no headings; the words of the heading")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped")
        return self.field(_word(pattern(natural(heading.name))), "TS")

    def author(self, term: Term, name: str) -> Made:
        return Piece(f'AU=("{name}{"" if term.quoted else "*"}")')

    def pmids(self, numbers: Sequence[int]) -> Made:
        return Piece(f"PMID=({' OR '.join(map(str, numbers))})")

    def history(self, name: str) -> Made:
        return Piece(f"#{name}")

    def published(self, dates: Dates, first: str, last: str) -> Made:
        if not whole_years(dates):
            self.note(dates, "wider", "whole years")
        return Piece(f"PY=({first}-{last})" if first != last else f"PY=({first})")

    def kind(self, term: Term, name: str) -> Made:
        known = publication_type_of(term.text) or term.text
        if known in _DOCUMENT_TYPES:
            self.note(term, "differs", "document types are assigned by other rules")
            return Piece(f'DT=("{_DOCUMENT_TYPES[known]}")')
        if self.excluding:
            return "Web of Science has no such type"
        self.note(term, "differs", "Web of Science has no such type; its words instead")
        return self.field(f'"{name}"', "TS")

    def language(self, term: Term, name: str, code: str) -> Made:
        return Piece(f"LA=({name.partition(',')[0]})")

    def journal(self, term: Term, name: str) -> Made:
        self.note(term, "differs", "Web of Science wants the journal's full title")
        return Piece(f'SO=("{name}")')

    def identifier(self, term: Term) -> Made:
        return Piece(f'DO=("{term.text}")')


def _word(wanted: Pattern) -> str:
    """Quotation marks turn off lemmatization, which would add other forms of a word."""
    text = str(wanted)
    return text if wanted.is_prefix and " " not in text else f'"{text}"'
