"""How each database writes what a PubMed strategy asks for.

Sources, as of 2025 and 2026:

- Ovid MEDLINE: Ovid field guide for MEDLINE; ADJn counts one for neighbours, in either order
  (https://libguides.sdu.dk/OVID-English/adj).
- Embase: https://www.elsevier.support/embase/answer/can-i-use-boolean-operators-wildcards-and-
  proximity-operators-in-embase (NEAR/1 is side by side; operators from left to right).
- Web of Science: https://webofscience.help.clarivate.com/Content/search-operators.html (NEAR/x:
  at most x words between) and search-rules.htm.
- Cochrane Library: https://www.cochranelibrary.com/search-manager-help (no wildcard in a phrase;
  NEXT in its place).
- Europe PMC: https://europepmc.org/searchSyntaxGuide; MESH, TITLE_ABS, KW and FIRST_PDATE as
  verified against the service by others in August 2026.

For k words of which at most N others may stand between, any two lie within k + N - 1 steps: this
distance between neighbours loses nothing, and is exact for two words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from evidence.query.days import first_day, last_day
from evidence.query.translate import (
    Piece,
    Target,
    described,
    is_whole_years,
    joined,
    language,
    natural,
    subheading_code,
    years,
)
from evidence.query.tree import (
    Dates,
    Flag,
    Heading,
    Last,
    Leaf,
    Pmids,
    SetName,
    Term,
)
from evidence.query.vocabulary import language_of, publication_type_of
from evidence.query.words import Pattern, pattern

_MOST_YEARS = 80  # listed one by one
_MOST_ADJ = 99  # Ovid's largest ADJ


class Ovid(Target):
    """Ovid MEDLINE."""

    _FIELDS: ClassVar = {
        "tiab": ".ti,ab,kf.",
        "ti": ".ti.",
        "ot": ".kf.",
        "tw": ".mp.",
        "all": ".mp.",
        "ad": ".in.",
        "tt": ".ot.",
        "cn": ".ca.",
    }

    def __init__(self) -> None:
        super().__init__("ovid", lower_operators=True)

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            plain = " " not in body or _is_quoted(body, '"')
            return f"{body}{code}" if plain else f"({body}){code}"

        return Piece(text, wrap, code, is_group=is_group)

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        code = self._FIELDS.get(where)
        if code is None:
            self.leave_out(term, f"Ovid has no form for {described(term)}")
            return None
        if where in ("tw", "all"):
            self.note(term, "differs", ".mp. reads other fields than PubMed's")
        if len(wanted.words) == 1:
            return self.field(_ovid_word(joined(wanted)), code)
        if wanted.is_prefix:
            # Words side by side are a phrase; an asterisk within quotation marks would be a sign.
            text = " adj ".join(_ovid_word(word) for word in joined(wanted).split())
            return self.field(text, code, is_group=True)
        return self.field(f'"{joined(wanted)}"', code)

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        code = self._FIELDS[where]
        steps = len(wanted) + most - 1
        if steps > _MOST_ADJ:
            self.note(term, "wider", f"ADJ ends at {_MOST_ADJ}; the words may stand anywhere")
            text = " and ".join(map(_ovid_word, wanted))
        else:
            if len(wanted) > 2:
                self.note(term, "wider", "ADJ counts between neighbours, not over the stretch")
            text = f" adj{steps} ".join(map(_ovid_word, wanted))
        return self.field(text, code, is_group=True)

    def heading(self, heading: Heading) -> Piece | None:
        wanted = pattern(heading.name)
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched as words of headings")
            return Piece(f"{joined(wanted)}.hw.")
        star = "*" if heading.major else ""
        code = ""
        if heading.subheading is not None:
            found = subheading_code(heading)
            if found is None:
                self.note(heading, "wider", "the subheading is unknown and was dropped")
            else:
                code = found
                if heading.explodes:
                    self.note(heading, "narrower", "Ovid does not add narrower subheadings")
        explode = "exp " if heading.explodes else ""
        return Piece(f"{explode}{star}{heading.name}/{code}")

    def other(self, leaf: Leaf) -> Piece | None:
        match leaf:
            case Pmids(numbers):
                return Piece(f"({' or '.join(map(str, numbers))}).ui.")
            case SetName(name):
                return Piece(name)
            case Dates() if leaf.tag.field in ("dp", "epdat", "ppdat"):
                first, last = years(leaf)
                self.note(leaf, "differs", "Ovid's year is that of the issue alone")
                return self.years(leaf, first, last)
            case Term():
                return self.other_term(leaf)
            case _:
                self.leave_out(leaf, f"Ovid has no form for {described(leaf)}; use its limits")
                return None

    def years(self, dates: Dates, first: str, last: str) -> Piece | None:
        if not is_whole_years(dates):
            self.note(dates, "wider", "whole years")
        if int(last) - int(first) >= _MOST_YEARS:
            self.leave_out(dates, f'set the limit yr="{first} -Current"')
            return None
        listed = [f'"{year}"' for year in range(int(first), int(last) + 1)]
        return Piece(f"({' or '.join(listed)}).yr.")

    def other_term(self, term: Term) -> Piece | None:
        assert term.tag is not None
        text = joined(pattern(term.text))
        tag = term.tag.field
        if tag == "pt":
            if not term.tag.noexp:
                self.note(term, "narrower", "Ovid does not add narrower publication types")
            return Piece(f"{text}.pt.")
        if tag == "sh":
            code = subheading_code(Heading("", term.text))
            if code is None:
                self.leave_out(term, "the subheading is unknown")
                return None
            if not term.tag.noexp:
                self.note(term, "narrower", "Ovid does not add narrower subheadings")
            return Piece(f"{code}.fs.")
        if tag in ("au", "1au", "lastau"):
            if tag != "au":
                self.note(term, "wider", "any author, not the first or last alone")
            return Piece(f'"{text}".au.' if term.quoted else f"{text.rstrip('*')}*.au.")
        if tag == "la" and (name := language(term)):
            return Piece(f"{name.lower()}.lg.")
        if tag == "ta":
            self.note(term, "differs", "Ovid wants the journal's full title")
            return Piece(f'"{text}".jn.')
        if tag in ("nm", "rn"):
            return Piece(f'"{term.text}".{tag}.')
        self.leave_out(term, f"Ovid has no form for {described(term)}")
        return None


class Embase(Target):
    """Embase on embase.com."""

    _FIELDS: ClassVar = {
        "tiab": ":ti,ab,kw",
        "ti": ":ti",
        "ot": ":kw",
        "tw": ":ti,ab,kw,de",
        "all": "",
        "ad": ":ad",
        "tt": ":tt",
    }

    def __init__(self) -> None:
        super().__init__("embase")

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            bracketed = f"({body})" if " " in body and not _is_quoted(body, "'") else body
            return f"{bracketed}{code}"

        return Piece(text, wrap, code or "all", is_group=is_group)

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        code = self._FIELDS.get(where)
        if code is None:
            self.leave_out(term, f"Embase has no form for {described(term)}")
            return None
        if where in ("tw", "all"):
            self.note(term, "differs", "Embase reads other fields than PubMed's")
        text = joined(wanted)
        return self.field(f"'{text}'" if " " in text or text in _OPERATORS else text, code)

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        steps = len(wanted) + most - 1
        if len(wanted) > 2:
            self.note(term, "wider", "NEAR counts between neighbours, not over the stretch")
        text = f" NEAR/{steps} ".join(_in_quotes_if(word, "'") for word in wanted)
        return self.field(text, self._FIELDS[where], is_group=True)

    def heading(self, heading: Heading) -> Piece | None:
        name = natural(heading.name).replace("'", " ")
        wanted = pattern(heading.name)
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched in the index terms")
            return Piece(f"{joined(wanted)}:de")
        self.note(heading, "differs", "Emtree has headings of its own; look this one up")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped; Emtree links are others")
        ending = "/exp/mj" if heading.major else "/exp"
        if not heading.explodes:
            ending = "/mj" if heading.major else "/de"
        return Piece(f"'{name}'{ending}")

    def other(self, leaf: Leaf) -> Piece | None:
        match leaf:
            case SetName(name):
                return Piece(f"#{name}")
            case Dates() if leaf.tag.field in ("dp", "epdat", "ppdat"):
                first, last = years(leaf)
                if not is_whole_years(leaf):
                    self.note(leaf, "wider", "whole years")
                self.note(leaf, "differs", "Embase's year is that of the issue alone")
                return Piece(f"[{first}-{last}]/py")
            case Flag("hasabstract"):
                return Piece("[abstracts]/lim")
            case Term():
                return self.other_term(leaf)
            case _:
                self.leave_out(leaf, f"Embase has no form for {described(leaf)}")
                return None

    def other_term(self, term: Term) -> Piece | None:
        assert term.tag is not None
        tag = term.tag.field
        text = joined(pattern(term.text))
        if tag == "pt":
            name = (publication_type_of(term.text) or term.text).lower()
            if name in ("review", "letter", "editorial"):
                self.note(term, "differs", "Embase's item types are assigned by other rules")
                return Piece(f"{name}:it")
            self.note(term, "differs", "in Embase this is a heading, or none: look it up")
            return Piece(f"'{natural(name)}'/exp")
        if tag in ("au", "1au", "lastau"):
            if tag != "au":
                self.note(term, "wider", "any author, not the first or last alone")
            ending = "" if term.quoted else "*"
            return Piece(f"'{text.rstrip('*')}{ending}':au")
        if tag == "la" and (name_of := language(term)):
            return Piece(f"[{name_of.lower()}]/lim")
        if tag == "ta":
            self.note(term, "differs", "Embase wants the journal's title as it writes it")
            return Piece(f"'{text}':jt")
        if tag == "rn":
            return Piece(f"'{term.text}':rn")
        self.leave_out(term, f"Embase has no form for {described(term)}")
        return None


class WebOfScience(Target):
    """Web of Science Core Collection, advanced search."""

    _FIELDS: ClassVar = {
        "tiab": "TS",
        "ti": "TI",
        "ot": "AK",
        "tw": "TS",
        "all": "ALL",
        "ad": "AD",
        "cn": "GP",
    }

    def __init__(self) -> None:
        super().__init__("wos")

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        return Piece(text, lambda body: f"{code}=({body})", code, is_group=is_group)

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        code = self._FIELDS.get(where)
        if code is None:
            self.leave_out(term, f"Web of Science has no form for {described(term)}")
            return None
        if where in ("tiab", "tw"):
            self.note("", "wider", "TS also reads Keywords Plus")
        text = joined(wanted)
        # Quotation marks turn off lemmatization, which would add other forms of a word.
        return self.field(text if wanted.is_prefix and " " not in text else f'"{text}"', code)

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        between = len(wanted) + most - 2
        if len(wanted) > 2:
            self.note(term, "wider", "NEAR counts between neighbours, not over the stretch")
        self.note("", "wider", "NEAR reaches across fields")
        text = f" NEAR/{between} ".join(f'"{word}"' for word in wanted)
        return self.field(text, self._FIELDS[where], is_group=True)

    def heading(self, heading: Heading) -> Piece | None:
        if self.excluding:
            self.leave_out(heading, "Web of Science has no headings, and words take away too much")
            return None
        self.note(heading, "differs", "Web of Science has no headings; the words of the heading")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped")
        wanted = pattern(natural(heading.name))
        text = joined(wanted)
        return self.field(text if wanted.is_prefix and " " not in text else f'"{text}"', "TS")

    def other(self, leaf: Leaf) -> Piece | None:
        match leaf:
            case SetName(name):
                return Piece(f"#{name}")
            case Pmids(numbers):
                return Piece(f"PMID=({' OR '.join(map(str, numbers))})")
            case Dates() if leaf.tag.field in ("dp", "epdat", "ppdat"):
                first, last = years(leaf)
                if not is_whole_years(leaf):
                    self.note(leaf, "wider", "whole years")
                return Piece(f"PY=({first}-{last})" if first != last else f"PY=({first})")
            case Term():
                return self.other_term(leaf)
            case _:
                self.leave_out(leaf, f"Web of Science has no form for {described(leaf)}")
                return None

    def other_term(self, term: Term) -> Piece | None:
        assert term.tag is not None
        tag = term.tag.field
        text = joined(pattern(term.text))
        if tag == "pt":
            name = publication_type_of(term.text) or term.text
            document = {"Review": "Review", "Letter": "Letter", "Editorial": "Editorial Material"}
            if name in document:
                self.note(term, "differs", "document types are assigned by other rules")
                return Piece(f'DT=("{document[name]}")')
            if self.excluding:
                self.leave_out(term, "Web of Science has no such type")
                return None
            self.note(term, "differs", "Web of Science has no such type; its words instead")
            return self.field(f'"{text}"', "TS")
        if tag in ("au", "1au", "lastau"):
            if tag != "au":
                self.note(term, "wider", "any author, not the first or last alone")
            ending = "" if term.quoted else "*"
            return Piece(f'AU=("{text.rstrip("*")}{ending}")')
        if tag == "la" and (name_of := language(term)):
            return Piece(f"LA=({name_of.partition(',')[0]})")
        if tag == "ta":
            self.note(term, "differs", "Web of Science wants the journal's full title")
            return Piece(f'SO=("{text}")')
        if tag in ("aid", "lid"):
            return Piece(f'DO=("{term.text}")')
        self.leave_out(term, f"Web of Science has no form for {described(term)}")
        return None


class Cochrane(Target):
    """Cochrane Library, search manager."""

    _FIELDS: ClassVar = {
        "tiab": ":ti,ab,kw",
        "ti": ":ti",
        "ot": ":kw",
        "tw": ":ti,ab,kw",
        "all": "",
    }

    def __init__(self) -> None:
        super().__init__("cochrane")

    def field(self, text: str, code: str, *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            bracketed = f"({body})" if " " in body and not _is_quoted(body, '"') else body
            return f"{bracketed}{code}"

        return Piece(text, wrap, code or "all", is_group=is_group)

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        code = self._FIELDS.get(where)
        if code is None:
            self.leave_out(term, f"the Cochrane Library has no form for {described(term)}")
            return None
        if where in ("tiab", "tw", "ot"):
            self.note("", "wider", "keywords include headings")
        text = joined(wanted)
        if " " in text and wanted.is_prefix:
            return self.field(" NEXT ".join(text.split()), code, is_group=True)
        return self.field(f'"{text}"' if " " in text or text in _OPERATORS else text, code)

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        code = self._FIELDS.get(where)
        if code is None:
            self.leave_out(term, f"the Cochrane Library has no form for {described(term)}")
            return None
        steps = len(wanted) + most - 1
        self.note("", "wider", "NEAR/n may count words or steps: written so that none is lost")
        if len(wanted) > 2:
            self.note(term, "wider", "NEAR counts between neighbours, not over the stretch")
        text = f" NEAR/{steps} ".join(_in_quotes_if(word, '"') for word in wanted)
        return self.field(text, code, is_group=True)

    def heading(self, heading: Heading) -> Piece | None:
        wanted = pattern(heading.name)
        if wanted.is_prefix:
            self.note(heading, "differs", "a truncated heading is searched in the keywords")
            return self.words(Term(heading.name), wanted, "ot")
        caret = "" if heading.explodes else "^"
        code = ""
        if heading.subheading is not None:
            found = subheading_code(heading)
            if found is None:
                self.note(heading, "wider", "the subheading is unknown and was dropped")
            else:
                code = f"/{found.upper()}"
                if heading.explodes:
                    self.note(heading, "narrower", "narrower subheadings are not added")
        if heading.major:
            self.note(heading, "wider", "not only as major topic")
        return Piece(f'[mh {caret}"{heading.name}"{code}]')

    def other(self, leaf: Leaf) -> Piece | None:
        match leaf:
            case SetName(name):
                return Piece(f"#{name}")
            case Term(tag=tag) if tag is not None and tag.field in ("au", "1au", "lastau"):
                text = joined(pattern(leaf.text))
                if tag.field != "au":
                    self.note(leaf, "wider", "any author, not the first or last alone")
                if leaf.quoted:
                    return self.field(f'"{text}"', ":au")
                parts = f"{text.rstrip('*')}*".split()
                return self.field(" NEXT ".join(parts), ":au", is_group=len(parts) > 1)
            case Term(tag=tag) if tag is not None and tag.field == "pt":
                if not tag.noexp:
                    self.note(leaf, "narrower", "narrower publication types are not added")
                return self.field(f'"{joined(pattern(leaf.text))}"', ":pt")
            case Term(tag=tag) if tag is not None and tag.field == "ta":
                self.note(leaf, "differs", "the journal's title as the Cochrane Library writes it")
                return self.field(f'"{joined(pattern(leaf.text))}"', ":so")
            case Dates() | Last():
                self.leave_out(leaf, "set it as a limit of the search manager")
                return None
            case _:
                self.leave_out(leaf, f"the Cochrane Library has no form for {described(leaf)}")
                return None


class EuropePmc(Target):
    """Europe PMC, search box or web service with synonym=false."""

    _FIELDS: ClassVar = {
        "tiab": ("TITLE_ABS", "KW"),
        "ti": ("TITLE",),
        "ot": ("KW",),
        "tw": ("TITLE_ABS", "KW"),
        "all": (),
        "ad": ("AFF",),
    }

    def __init__(self) -> None:
        super().__init__("europepmc")

    def field(self, text: str, names: tuple[str, ...], *, is_group: bool = False) -> Piece:
        def wrap(body: str) -> str:
            bracketed = f"({body})" if " " in body and not _is_quoted(body, '"') else body
            made = [f"{name}:{bracketed}" for name in names]
            return f"({' OR '.join(made)})" if len(made) > 1 else made[0] if made else bracketed

        return Piece(text, wrap, "+".join(names) or "all", is_group=is_group)

    def words(self, term: Term, wanted: Pattern, where: str) -> Piece | None:
        names = self._FIELDS.get(where)
        if names is None:
            self.leave_out(term, f"Europe PMC has no form for {described(term)}")
            return None
        if where in ("tiab", "tw", "ot"):
            self.note("", "wider", "KW holds headings beside author keywords")
        if where == "all":
            self.note(term, "wider", "Europe PMC reads the full text too")
        text = joined(wanted)
        if " " in text and wanted.is_prefix:
            self.note(term, "wider", "no asterisk within a phrase: the words joined by AND")
            return self.anywhere(text.split(), names)
        return self.field(f'"{text}"' if not wanted.is_prefix else text, names)

    def near(self, term: Term, wanted: Sequence[str], most: int, where: str) -> Piece | None:
        self.note(term, "wider", "no documented proximity: the words joined by AND")
        return self.anywhere(list(wanted), self._FIELDS[where])

    def anywhere(self, wanted: Sequence[str], names: tuple[str, ...]) -> Piece:
        pieces = [self.field(w if w.endswith("*") else f'"{w}"', names).whole() for w in wanted]
        return Piece(" AND ".join(pieces), is_group=True)

    def heading(self, heading: Heading) -> Piece | None:
        if heading.explodes:
            self.note(heading, "narrower", "Europe PMC does not add narrower headings")
        if heading.major:
            self.note(heading, "wider", "not only as major topic")
        if heading.subheading is not None:
            self.note(heading, "wider", "the subheading was dropped")
        wanted = pattern(heading.name)
        return self.field(joined(wanted) if wanted.is_prefix else f'"{heading.name}"', ("MESH",))

    def other(self, leaf: Leaf) -> Piece | None:
        match leaf:
            case Pmids(numbers):
                listed = " OR ".join(f"EXT_ID:{number}" for number in numbers)
                return Piece(f"({listed}) AND SRC:MED", is_group=True)
            case Dates() if leaf.tag.field in ("dp", "epdat", "ppdat"):
                self.note(leaf, "differs", "the first date of publication alone")
                low, high = first_day(leaf.low), last_day(leaf.high or leaf.low)
                return Piece(f"FIRST_PDATE:[{low} TO {high}]")
            case Flag("hasabstract"):
                return Piece("HAS_ABSTRACT:Y")
            case Term(tag=tag) if tag is not None and tag.field in ("au", "1au", "lastau"):
                text = joined(pattern(leaf.text))
                if tag.field != "au":
                    self.note(leaf, "wider", "any author, not the first or last alone")
                if not leaf.quoted:
                    self.note(leaf, "differs", "further initials as Europe PMC finds them")
                return self.field(f'"{text.rstrip("*")}"', ("AUTH",))
            case Term(tag=tag) if tag is not None and tag.field == "pt":
                if (publication_type_of(leaf.text) or "") == "Preprint":
                    self.note(leaf, "wider", "all preprints of Europe PMC")
                    return Piece("SRC:PPR")
                if not tag.noexp:
                    self.note(leaf, "narrower", "narrower publication types are not added")
                return self.field(f'"{joined(pattern(leaf.text))}"', ("PUB_TYPE",))
            case Term(tag=tag) if tag is not None and tag.field == "la":
                name = language(leaf)
                if name is None:
                    self.leave_out(leaf, "the language is unknown")
                    return None
                return self.field(language_of(leaf.text) or "", ("LANG",))
            case Term(tag=tag) if tag is not None and tag.field == "ta":
                return self.field(f'"{joined(pattern(leaf.text))}"', ("JOURNAL",))
            case Term(tag=tag) if tag is not None and tag.field in ("aid", "lid"):
                return self.field(f'"{leaf.text}"', ("DOI",))
            case _:
                self.leave_out(leaf, f"Europe PMC has no form for {described(leaf)}")
                return None


TARGETS: dict[str, Callable[[], Target]] = {
    "ovid": Ovid,
    "embase": Embase,
    "wos": WebOfScience,
    "cochrane": Cochrane,
    "europepmc": EuropePmc,
}

_OPERATORS = frozenset(("and", "or", "not", "near", "next", "adj"))


def _ovid_word(word: str) -> str:
    return f'"{word}"' if word in _OPERATORS or word.isdigit() else word


def _in_quotes_if(word: str, mark: str) -> str:
    return f"{mark}{word}{mark}" if word in _OPERATORS else word


def _is_quoted(text: str, mark: str) -> bool:
    return text.startswith(mark) and text.endswith(mark) and text.count(mark) == 2
