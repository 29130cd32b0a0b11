"""Cochrane Library, search manager.

https://www.cochranelibrary.com/search-manager-help (no wildcard in a phrase; NEXT in its place).
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
    safe,
    subheading_code,
)
from evidence.query.tree import Dates, Heading, Last, Leaf, Term
from evidence.query.words import Pattern


class Cochrane(Target):
    """Cochrane Library, search manager."""

    key = "cochrane"
    title = "the Cochrane Library"
    fields: ClassVar = {
        "tiab": ":ti,ab,kw",
        "ti": ":ti",
        "ot": ":kw",
        "tw": ":ti,ab,kw",
        "all": "",
    }

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            return f"{in_parentheses(body, chr(34))}{code}"

        return Piece(text, wrap, code or "all", is_group=is_group)

    def about(self, term: Term, where: str) -> None:
        if where in ("tiab", "tw", "ot"):
            self.note("", "wider", "keywords include headings")

    def phrase(self, term: Term, wanted: Pattern, code: str) -> Piece:
        text = str(wanted)
        if " " in text and wanted.is_prefix:
            return self.field(" NEXT ".join(text.split()), code, is_group=True)
        return self.field(f'"{text}"' if " " in text or text in OPERATORS else text, code)

    def near(self, term: Term, wanted: Sequence[str], steps: int, code: str) -> Made:
        self.note("", "wider", "NEAR/n may count words or steps: written so that none is lost")
        text = f" NEAR/{steps} ".join(safe(word, '"') for word in wanted)
        return self.field(text, code, is_group=True)

    def heading(self, heading: Heading, wanted: Pattern) -> Made:
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched in the keywords")
            self.about(Term(heading.name), "ot")
            return self.phrase(Term(heading.name), wanted, self.fields["ot"])
        code = ""
        if heading.subheading is not None:
            found = subheading_code(heading.subheading)
            if found is None:
                self.note(heading, "wider", "the subheading is unknown and was dropped")
            else:
                code = f"/{found.upper()}"
                if heading.explodes:
                    self.note(heading, "narrower", "narrower subheadings are not added")
        if heading.major:
            self.note(heading, "wider", "not only as major topic")
        caret = "" if heading.explodes else "^"
        return Piece(f'[mh {caret}"{heading.name}"{code}]')

    def author(self, term: Term, name: str) -> Made:
        if term.quoted:
            return self.field(f'"{name}"', ":au")
        parts = f"{name}*".split()
        return self.field(" NEXT ".join(parts), ":au", is_group=len(parts) > 1)

    def history(self, name: str) -> Made:
        return Piece(f"#{name}")

    def kind(self, term: Term, name: str) -> Made:
        if term.tag is not None and not term.tag.noexp:
            self.note(term, "narrower", "narrower publication types are not added")
        return self.field(f'"{name}"', ":pt")

    def journal(self, term: Term, name: str) -> Made:
        self.note(term, "differs", "the journal's title as the Cochrane Library writes it")
        return self.field(f'"{name}"', ":so")

    def no_form(self, leaf: Leaf) -> str:
        if isinstance(leaf, Dates | Last):
            return "set it as a limit of the search manager"
        return super().no_form(leaf)
