"""Rules about one term, heading or date.

From the PubMed User Guide (16 April 2024) for what PubMed says it does, and live measurements of
August to October 2026 by third parties for what it does without saying.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from evidence.query.fields import RELATIVE, UNPROVEN
from evidence.query.lint.rules import Rules
from evidence.query.tokens import tag_within
from evidence.query.tree import (
    Dates,
    Heading,
    Last,
    Leaf,
    Parsed,
    PmidRange,
    Pmids,
    Span,
    Tag,
    TaggedGroup,
    Term,
    leaves,
    walk,
)
from evidence.query.vocabulary import (
    PUBLICATION_TYPES,
    STATUSES,
    STOPWORDS,
    SUBHEADINGS,
    SUBSETS_OF_PUBMED,
    language_of,
    publication_type_of,
    subheading_of,
)
from evidence.query.words import SHORTEST_STEM, pattern, words

_FAR = 1000  # beyond it proximity in affiliations no longer stays within one [User Guide]

# Codes of other lists (ISO 639) for languages that PubMed writes otherwise.
_CODES = {
    **dict.fromkeys(("jap", "jp", "ja"), "jpn"),
    "en": "eng",
    **dict.fromkeys(("de", "deu"), "ger"),
    **dict.fromkeys(("fr", "fra"), "fre"),
    "es": "spa",
    "it": "ita",
    **dict.fromkeys(("zh", "zho"), "chi"),
    **dict.fromkeys(("nl", "nld"), "dut"),
    **dict.fromkeys(("el", "ell"), "gre"),
    **dict.fromkeys(("cs", "ces"), "cze"),
    **dict.fromkeys(("ro", "ron"), "rum"),
    **dict.fromkeys(("sk", "slk"), "slo"),
    **dict.fromkeys(("fa", "fas"), "per"),
    "pt": "por",
    "ru": "rus",
    "pl": "pol",
    "ko": "kor",
    "tr": "tur",
}


class TermRules(Rules):
    """Every leaf of the tree, one after the other."""

    def __init__(self, parsed: Parsed) -> None:
        super().__init__(parsed)
        self.in_tagged_group: set[int] = set()  # starts of terms whose tag stands after the group

    def run(self) -> None:
        for node in walk(self.tree):
            if isinstance(node, TaggedGroup):
                self.in_tagged_group.update(leaf.at.start for leaf in leaves(node))
        for leaf in leaves(self.tree):
            self.leaf(leaf)

    def leaf(self, leaf: Leaf) -> None:
        match leaf:
            case Term():
                self.term(leaf)
            case Heading():
                self.heading(leaf)
            case Dates() | Last():
                self.date(leaf)
            case Pmids(numbers) if len(numbers) == 1 and numbers[0] < 3000:
                if numbers[0] >= 1900 and self.text[leaf.at.start : leaf.at.end].isdigit():
                    self.find(
                        "bare-number",
                        "warning",
                        leaf.at,
                        f"{numbers[0]} without a tag is a PMID and not a year",
                        "tag the year, such as [dp]",
                        f"{numbers[0]}:{numbers[0]}[dp]",
                    )
            case PmidRange(low, high) if low > high:
                self.find(
                    "reversed-range",
                    "error",
                    leaf.at,
                    f"the range from {low} to {high} ends before it begins",
                    "write the smaller number first",
                    f"{high}:{low}[pmid]",
                )
            case _:
                pass

    def term(self, term: Term) -> None:
        tag = term.tag
        shown = self.text[term.at.start : term.at.end]
        body = self.body(term)
        if tag is None:
            self.untagged(term)
        elif tag.known is None:
            return
        else:
            self.doubtful(tag)
            self.modifiers(term, tag, shown, body)
        if term.quoted and (within := tag_within(term.text)):
            self.find(
                "tag-in-quotes",
                "error",
                term.at,
                f"the tag {within.group()} stands within quotation marks and is read as words",
                "close the quotation marks before the tag",
            )
        near = tag is not None and tag.near is not None
        self.single_quotes(term, body)
        self.asterisks(term, body, near=near)
        if tag is not None and not near:
            self.stopwords(term, tag, shown)
        if tag is None or tag.known is None:
            return
        if tag.known.kind == "words" and not near:
            self.phrase(term, tag, body)
        self.choice(term, tag)

    def single_quotes(self, term: Term, body: Span) -> None:
        """'heart attack'[tiab]: single marks are spaces to PubMed and make no phrase."""
        text = term.text
        if not term.quoted and len(text) > 2 and text[0] == text[-1] == "'":
            self.find(
                "single-quotes",
                "error",
                body,
                f"{text}: PubMed turns single quotation marks into spaces",
                "use double ones",
                f'"{text[1:-1]}"',
            )

    def body(self, term: Term) -> Span:
        """The term without its tag."""
        end = term.tag.at.start if term.tag is not None else term.at.end
        stripped = self.text[term.at.start : end].rstrip()
        return Span(term.at.start, term.at.start + len(stripped), term.at.line, term.at.column)

    def untagged(self, term: Term) -> None:
        shown = f'"{term.text}"' if term.quoted else term.text
        word = term.text.lower()
        if word.startswith("has") and re.fullmatch(r"has[a-z]{6,}", word):
            self.find(
                "unknown-flag",
                "warning",
                term.at,
                f"{term.text} is none of PubMed's switches, so that it is searched as a word",
                "see the list of comments and corrections in PubMed's help",
            )
            return
        if re.fullmatch(r"pmc\d+", word) or term.at.start in self.in_tagged_group:
            return
        how = (
            "searched in all fields"
            if term.quoted or pattern(term.text).is_prefix
            else "mapped and widened by PubMed in ways of its own"
        )
        self.find(
            "untagged",
            "warning",
            term.at,
            f"{shown} has no field tag, so it would be {how}",
            "tag it, such as [tiab] or [mh]",
        )

    def doubtful(self, tag: Tag) -> None:
        name = " ".join(tag.written.lower().split())
        if name in UNPROVEN:
            self.find(
                "doubtful-tag",
                "warning",
                tag.at,
                f"[{tag.written}] is the name of a field; no source says that it works as a tag",
                f"write [{UNPROVEN[name]}]",
                f"[{UNPROVEN[name]}]",
            )

    def modifiers(self, term: Term, tag: Tag, shown: str, body: Span) -> None:
        known = tag.known
        assert known is not None
        written = self.text[tag.at.start : tag.at.end]
        if tag.noexp and not known.explodes:
            self.find(
                "noexp-field",
                "error",
                tag.at,
                f"{written}: only headings explode, so PubMed ignores :noexp here",
                "remove :noexp or use [mh:noexp]",
                f"[{tag.field}]",
            )
        if tag.near is None:
            return
        without = f"[{tag.field}]"
        many = len(words(term.text)) > 1
        if not known.proximity:
            self.find(
                "proximity-field",
                "error",
                tag.at,
                f"{written}: no proximity in this field, so PubMed ignores it",
                "use [tiab:~N], [ti:~N] or [ad:~N]",
                f"[tiab:~{tag.near}]" if many and known.tag in ("tw", "all", "ot") else without,
            )
        elif not term.quoted or not many:
            self.find(
                "proximity-phrase",
                "error",
                term.at,
                f"{shown}: proximity needs a quoted phrase of two words or more, else PubMed "
                "ignores it",
                'write it as "word word"[tiab:~N]',
                f'"{term.text}"{written}'
                if many
                else f"{self.text[body.start : body.end]}{without}",
            )
        if tag.near > _FAR:
            self.find(
                "proximity-far",
                "warning",
                tag.at,
                f"{written}: such a distance asks for the words anywhere in the field",
                "join the words by AND",
            )

    def asterisks(self, term: Term, body: Span, *, near: bool) -> None:
        text = term.text
        if "*" not in text:
            return
        shown = self.text[body.start : body.end]
        if near:
            self.find(
                "proximity-wildcard",
                "error",
                term.at,
                f"{shown}: PubMed drops proximity beside a *",
                "spell the forms out",
            )
            if not text.endswith("*"):
                return
        stem_text = text.rstrip("*")
        if not text.endswith("*") or "*" in stem_text or not stem_text[-1:].isalnum():
            self.find(
                "wildcard-place",
                "error",
                body,
                f"{shown}: only the end of the last word may be truncated",
                "use one final *, or list the forms",
            )
            return
        stem = words(text)[-1]
        if len(stem) < SHORTEST_STEM:
            tag = self.text[term.tag.at.start : term.tag.at.end] if term.tag else ""
            forms = None
            if len(words(text)) == 1 and not near:
                forms = f"({stem_text}{tag} OR {stem_text}s{tag})"
            self.find(
                "short-stem",
                "error",
                term.at,
                f"{shown}: the stem before * has {len(stem)} characters and needs {SHORTEST_STEM}, "
                "else PubMed ignores the *",
                "list the forms",
                forms,
            )

    def stopwords(self, term: Term, tag: Tag, shown: str) -> None:
        known = tag.known
        found = words(term.text)
        if known is None or known.kind not in ("words", "all") or not found:
            return
        if all(word in STOPWORDS for word in found) and not pattern(term.text).is_prefix:
            self.find(
                "stopword",
                "error" if any(len(word) > 1 for word in found) else "warning",
                term.at,
                f"{shown}: PubMed has no index of this word, so that it finds nothing",
                'remove it, or put it into a phrase with its neighbours: "word word"[tiab:~0]',
            )

    def phrase(self, term: Term, tag: Tag, body: Span) -> None:
        wanted = pattern(term.text)
        known = tag.known
        if len(wanted.words) < 2 or known is None or "*" in term.text.rstrip("*"):
            return
        shown = self.text[body.start : body.end]
        written = self.text[tag.at.start : tag.at.end]
        fix = None
        if known.proximity and "*" not in term.text and not tag.noexp:
            fix = f'"{term.text}"[{tag.field}:~0]'
        remedy = (
            f"write {fix}, which needs no index and finds the words side by side in any order"
            if fix
            else "see PubMed's warnings after the search"
        )
        split = [part for part in re.split(r"\s+", term.text) if part]
        if term.quoted:
            self.find(
                "phrase-index",
                "note",
                term.at,
                f"{shown}: if the phrase is not in PubMed's phrase index, the quotation marks are "
                "ignored and the words are mapped",
                remedy,
                fix,
            )
        elif len(split) == 1:
            self.find(
                "hyphen-phrase",
                "warning",
                term.at,
                f"{shown}: a hyphen asks for a phrase, and one that is not in PubMed's phrase "
                "index finds nothing",
                remedy,
                fix,
            )
        else:
            self.find(
                "phrase-split",
                "warning",
                term.at,
                f"{shown}{written}: if the phrase is not in PubMed's phrase index, it falls apart "
                "and the first words are mapped",
                remedy,
                fix or f'"{term.text}"{written}',
            )

    def choice(self, term: Term, tag: Tag) -> None:
        """Values of closed lists."""
        body = self.body(term)
        text = term.text
        if "*" in text:
            return
        if tag.field == "la" and language_of(text) is None:
            near = _CODES.get(text.lower())
            self.find(
                "unknown-language",
                "warning",
                body,
                f"{text} is not among the languages of PubMed that are known here",
                f"did you mean {near}?" if near else "write its English name or its three letters",
                near,
            )
        elif tag.field == "sh" and subheading_of(text) is None:
            self.find(
                "unknown-subheading",
                "warning",
                body,
                f"{text} is not a current MeSH subheading",
                "look it up in the list of subheadings in PubMed's help",
                _near(text, SUBHEADINGS.values()),
            )
        elif tag.field == "pt" and publication_type_of(text) is None:
            near_type = _near(text, PUBLICATION_TYPES)
            self.find(
                "unknown-type",
                "warning",
                body,
                f"{text} is not among the publication types in PubMed's help",
                f"did you mean {near_type}?" if near_type else "look it up in PubMed's help",
                (f'"{near_type}"' if term.quoted else near_type) if near_type else None,
            )
        elif tag.field == "sb":
            name = " ".join(text.lower().split())
            known = (*STATUSES, *SUBSETS_OF_PUBMED, "all", "pubmed pmc", "pubmed books", "aim")
            near_name = _near(name, known)
            if name not in known and near_name:  # many more exist that only PubMed knows
                self.find(
                    "unknown-subset",
                    "warning",
                    body,
                    f"{text} is not a subset that PubMed's help names",
                    f"did you mean {near_name}?",
                    near_name,
                )

    def heading(self, heading: Heading) -> None:
        tag = heading.tag
        if tag is not None:
            self.doubtful(tag)
            written = self.text[tag.at.start : tag.at.end]
            if tag.near is not None:
                self.find(
                    "proximity-field",
                    "error",
                    tag.at,
                    f"{written}: no proximity in this field, so PubMed ignores it",
                    "use [tiab:~N], [ti:~N] or [ad:~N]",
                    f"[{tag.field}]",
                )
        if "*" in heading.name:
            fake = Term(heading.name, heading.quoted, tag, heading.at)
            self.asterisks(fake, self.body(fake), near=False)
        if heading.subheading is not None and subheading_of(heading.subheading) is None:
            self.find(
                "unknown-subheading",
                "warning",
                heading.at,
                f"{heading.subheading} is not a current MeSH subheading",
                "look it up in the list of subheadings in PubMed's help",
            )
        if "/" in heading.name:
            self.find(
                "two-subheadings",
                "error",
                heading.at,
                f"{heading.name}/{heading.subheading}: only one subheading may be attached",
                "write the heading once with each subheading, joined by OR or AND",
            )

    def date(self, date: Dates | Last) -> None:
        tag = date.tag
        written = self.text[tag.at.start : tag.at.end]
        self.doubtful(tag)
        if tag.noexp or tag.near is not None:
            self.find(
                "noexp-field" if tag.noexp else "proximity-field",
                "error",
                tag.at,
                f"{written}: a date neither explodes nor has neighbours, so PubMed ignores it",
                "remove what follows the colon",
                f"[{tag.field}]",
            )
        if isinstance(date, Last):
            if tag.field not in RELATIVE:
                self.find(
                    "relative-date",
                    "error",
                    date.at,
                    f"{written}: a period until today works with [dp], [edat] and [crdt] alone",
                    "use one of these",
                )
            else:
                self.find(
                    "depends-on-today",
                    "note",
                    date.at,
                    "the answer depends on the day of the search",
                    "record the day, or write both ends of the period",
                )
            return
        if date.high is None and tag.field == "dp" and "/" not in date.low:
            self.find(
                "single-year",
                "warning",
                date.at,
                f"{date.low}{written} misses records whose electronic date is later than the one "
                "in print",
                "write the year as a range",
                f"{date.low}:{date.low}{written}",
            )


def _near(text: str, known: Iterable[str]) -> str | None:
    lower = {name.lower(): name for name in known}
    british = text.lower().replace("randomis", "randomiz")
    if british in lower:
        return lower[british]
    found = difflib.get_close_matches(british, list(lower), n=1, cutoff=0.8)
    return lower[found[0]] if found else None
