"""Europe PMC, search box or web service with synonym=false.

https://europepmc.org/searchSyntaxGuide; MESH, TITLE_ABS, KW and FIRST_PDATE as verified against the
service by others in August 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from evidence.query.days import first_day, last_day
from evidence.query.targets.base import Made, Piece, Target, in_parentheses
from evidence.query.tree import Dates, Heading, Term
from evidence.query.vocabulary import publication_type_of
from evidence.query.words import Pattern


class EuropePmc(Target):
    """Europe PMC. A field of PubMed may be several here, with + between their names."""

    key = "europepmc"
    title = "Europe PMC"
    between = ""  # it has no distance
    fields: ClassVar = {
        "tiab": "TITLE_ABS+KW",
        "ti": "TITLE",
        "ot": "KW",
        "tw": "TITLE_ABS+KW",
        "all": "",
        "ad": "AFF",
    }

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            bracketed = in_parentheses(body, '"')
            made = [f"{name}:{bracketed}" for name in code.split("+") if name]
            return f"({' OR '.join(made)})" if len(made) > 1 else made[0] if made else bracketed

        return Piece(text, wrap, code or "all", is_group=is_group)

    def about(self, term: Term, where: str) -> None:
        if where in ("tiab", "tw", "ot"):
            self.note("", "wider", "KW holds headings beside author keywords")
        if where == "all":
            self.note(term, "wider", "Europe PMC reads the full text too")

    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        text = str(wanted)
        if " " in text and wanted.is_prefix:
            self.note(term, "wider", "no asterisk within a phrase: the words joined by AND")
            return self._anywhere(text.split(), code)
        return self.field(text if wanted.is_prefix else f'"{text}"', code)

    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        self.note(term, "wider", "no documented proximity: the words joined by AND")
        return self._anywhere(wanted, code)

    def _anywhere(self, wanted: Sequence[str], code: str) -> Piece:
        pieces = [self.field(w if w.endswith("*") else f'"{w}"', code).whole() for w in wanted]
        return Piece(" AND ".join(pieces), is_group=True)

    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        if heading.explodes:
            self.not_exploded(heading, "headings")
        if heading.major:
            self.note(heading, "wider", "not only as major topic")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped")
        return self.field(str(wanted) if wanted.is_prefix else f'"{heading.name}"', "MESH")

    def author(self, term: Term, name: str) -> Made:
        if not term.quoted:
            self.note(term, "differs", "further initials as Europe PMC finds them")
        return self.field(f'"{name}"', "AUTH")

    def pmids(self, numbers: Sequence[int]) -> Made:
        listed = " OR ".join(f"EXT_ID:{number}" for number in numbers)
        return Piece(f"({listed}) AND SRC:MED", is_group=True)

    def published(self, dates: Dates, first: str, last: str) -> Made:
        self.note(dates, "differs", "the first date of publication alone")
        low, high = first_day(dates.low), last_day(dates.high or dates.low)
        return Piece(f"FIRST_PDATE:[{low} TO {high}]")

    def with_abstract(self) -> Made:
        return Piece("HAS_ABSTRACT:Y")

    def kind(self, term: Term, name: str) -> Made:
        if publication_type_of(term.text) == "Preprint":
            self.note(term, "wider", "all preprints of Europe PMC")
            return Piece("SRC:PPR")
        if term.tag is not None and not term.tag.noexp:
            self.note(term, "narrower", "narrower publication types are not added")
        return self.field(f'"{name}"', "PUB_TYPE")

    def language(self, term: Term, name: str, code: str) -> Made:
        return self.field(code, "LANG")

    def journal(self, term: Term, name: str) -> Made:
        return self.field(f'"{name}"', "JOURNAL")

    def identifier(self, term: Term) -> Made:
        return self.field(f'"{term.text}"', "DOI")
