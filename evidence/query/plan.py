"""From a tree to questions that a record answers by itself.

Everything that PubMed's language leaves to a reader is settled here once, so that the evaluator of
single records and an index over millions give the same answer: which parts of a record a field
reads, what an asterisk means, and what cannot be answered because NLM does not publish its tables.

Sources: PubMed User Guide (16 April 2024); where it is silent, what was measured is said at the
place.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from evidence.query.days import back, first_day, last_day
from evidence.query.fields import FIELDS, RELATIVE, Field
from evidence.query.questions import (
    Always,
    Has,
    HasHeading,
    HasName,
    HasQualifier,
    HasValue,
    InWords,
    IsPmid,
    Joined,
    Near,
    NotAnswerable,
    OnDay,
    Plan,
    Planned,
    Question,
    Reservation,
    Vocabulary,
    key,
)
from evidence.query.show import show
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    Nothing,
    Parsed,
    PmidRange,
    Pmids,
    SetName,
    Tag,
    TaggedGroup,
    Term,
)
from evidence.query.vocabulary import (
    LOWEST_TYPES,
    NARROWER_TYPES,
    STATUSES,
    STOPWORDS,
    language_of,
    subheading_of,
)
from evidence.query.words import Pattern, pattern, words

__all__ = [
    "ALL_PARTS",
    "Always",
    "Has",
    "HasHeading",
    "HasName",
    "HasQualifier",
    "HasValue",
    "InWords",
    "IsPmid",
    "Joined",
    "Near",
    "NotAnswerable",
    "OnDay",
    "Plan",
    "Planned",
    "Question",
    "Reservation",
    "Vocabulary",
    "key",
    "plan",
]

# What [all] reads: everything but places and the dates of processing.
ALL_PARTS = (
    *FIELDS["tw"].parts,
    "vernacular_title",
    "affiliations",
    "authors",
    "investigators",
    "editors",
    "journal_names",
    "numbers",
    "volume",
    "issue",
    "first_page",
    "languages",
    "article_ids",
    "locations",
    "grants",
    "accessions",
    "identifiers",
    "conflicts",
    "nlm_id",
    "book",
    "publisher",
    "isbns",
)


def plan(
    query: Node | Parsed,
    *,
    strict: bool = True,
    vocabulary: Vocabulary | None = None,
    today: dt.date | None = None,
    sets: Mapping[str, Node] | None = None,
) -> Planned:
    """Turn a query into questions.

    Parameters
    ----------
    query : Node or Parsed
        With a `Parsed`, faults of form are refused in strict mode.
    strict : bool
        Whether to refuse what needs NLM's unpublished tables: untagged words, and narrower headings
        without ``vocabulary``. Otherwise the nearest answer is given and marked.
    vocabulary : Vocabulary, optional
        NLM's descriptor file, for entry terms and narrower headings.
    today : date, optional
        For "last 30 days".
    sets : mapping, optional
        What ``#1`` or ``#name`` stand for.

    Raises
    ------
    NotAnswerable
        Naming every term that cannot be answered.
    """
    planner = _Planner(strict, vocabulary, today, sets or {})
    if isinstance(query, Parsed):
        if strict:
            for finding in query.findings:
                if finding.severity == "error":
                    where = query.text[finding.start : finding.end] or "the query"
                    planner.refuse("malformed", where, finding.message)
        query = query.tree
    told = len(planner.refused)
    made = planner.node(query)
    if told:  # what the reading of the text found says where; the tree would say it once more
        again = ("malformed", "unknown-tag", "no-term")
        planner.refused[told:] = [r for r in planner.refused[told:] if r.code not in again]
    if planner.refused:
        raise NotAnswerable(planner.refused)
    return Planned(made, tuple(dict.fromkeys(planner.approximate)))


@dataclass
class _Planner:
    strict: bool
    vocabulary: Vocabulary | None
    today: dt.date | None
    sets: Mapping[str, Node]
    refused: list[Reservation] = field(default_factory=list)
    approximate: list[Reservation] = field(default_factory=list)
    open_sets: list[str] = field(default_factory=list)

    def refuse(self, code: str, term: str, why: str) -> Plan:
        self.refused.append(Reservation(code, term, why))
        return Always(False)

    def mark(self, code: str, term: str, why: str) -> None:
        self.approximate.append(Reservation(code, term, why))

    # ------------------------------------------------------------------ nodes

    def node(self, node: Node) -> Plan:
        match node:
            case Combination(operator, parts):
                return Joined(operator, tuple(self.node(part) for part in parts))
            case TaggedGroup():
                return self.refuse(
                    "tag-on-group", show(node), "PubMed drops a tag after a group; tag each term"
                )
            case Nothing():
                return self.refuse("no-term", "()", "there is no term")
            case Term():
                return self.term(node)
            case Heading():
                return self.heading(node)
            case Dates():
                return self.dates(node)
            case Last():
                return self.last(node)
            case Pmids(numbers):
                return IsPmid(frozenset(numbers))
            case PmidRange(low, high):
                return IsPmid(frozenset(), low, high)
            case Flag():
                return self.flag(node)
            case SetName(name):
                if name not in self.sets or name in self.open_sets:
                    return self.refuse("history", f"#{name}", "there is no such set here")
                self.open_sets.append(name)
                made = self.node(self.sets[name])
                self.open_sets.pop()
                return made

    def flag(self, flag: Flag) -> Plan:
        name = flag.name
        if name.startswith("jsubset"):
            return HasValue(("subsets",), frozenset((name.removeprefix("jsubset"),)))
        if name.startswith("owner"):
            return HasValue(("owner",), frozenset((name.removeprefix("owner"),)))
        if name.startswith("pubstatus") and name != "pubstatusaheadofprint":
            return self.refuse("unpublished", name, "no part of a record tells it")
        if name.startswith("indexingmethod_"):
            return Has("indexing", name.removeprefix("indexingmethod_"))
        if name == "pubstatusaheadofprint":
            return Has("publication_status", "aheadofprint")
        if name.startswith("pmcbook"):
            return Has(name)
        return Has(name.removeprefix("has"))

    # ------------------------------------------------------------------ dates

    def dates(self, dates: Dates) -> Plan:
        if refused := self.modifiers(dates.tag, show(dates)):
            return refused
        low = first_day(dates.low)
        high = last_day(dates.high if dates.high is not None else dates.low)
        if low is None or high is None:
            return self.refuse("malformed", show(dates), "this is not a date")
        kinds = _kinds(dates.tag.field)
        return OnDay(kinds, low, high, print_first=dates.high is None and dates.tag.field == "dp")

    def last(self, last: Last) -> Plan:
        shown = show(last)
        if last.tag.field not in RELATIVE:
            return self.refuse(
                "malformed", shown, "a period until today works in dp, edat and crdt"
            )
        if self.today is None:
            return self.refuse("clock", shown, "it depends on the day of the search")
        self.mark("clock", shown, f"counted back from {self.today.isoformat()}")
        low = back(self.today, last.number, last.unit)
        # Dates of publication in the future are in it too [User Guide].
        return OnDay(_kinds(last.tag.field), low, dt.date.max)

    # ------------------------------------------------------------------ headings

    def heading(self, heading: Heading) -> Plan:
        shown = show(heading)
        tag = heading.tag
        if tag is not None and (refused := self.modifiers(tag, shown)):
            return refused
        wanted = pattern(heading.name)
        qualifiers = None
        if heading.subheading is not None:
            known = subheading_of(heading.subheading)
            qualifiers = self.qualifiers(known or heading.subheading, shown, heading.explodes)
        if wanted.is_prefix:  # truncation turns off mapping and narrower headings [User Guide]
            return HasHeading(frozenset(), " ".join(wanted.words), qualifiers, heading.major)
        names = self.names(heading.name, shown, heading.explodes)
        return HasHeading(names, "", qualifiers, heading.major)

    def names(self, name: str, shown: str, explodes: bool) -> frozenset[str]:
        if self.vocabulary is not None:
            if explodes:
                found = self.vocabulary.headings(name)
            else:
                alone = self.vocabulary.heading(name)
                found = None if alone is None else frozenset((alone,))
            if found is None:
                self.mark("no-heading", shown, f"{name!r} is no heading of the descriptor file")
                found = frozenset((name,))
            return frozenset(map(key, found))
        if explodes:
            why = "narrower headings are in NLM's descriptor file, which was not given"
            if self.strict:
                self.refuse("explosion", shown, why)
            else:
                self.mark("explosion", shown, f"{why}: the heading alone was searched")
        else:
            self.mark("entry-term", shown, "taken as the heading itself, not as an entry term")
        return frozenset((key(name),))

    def qualifiers(self, name: str, shown: str, explodes: bool) -> frozenset[str]:
        if explodes:
            found = self.vocabulary.subheadings(name) if self.vocabulary else None
            if found is not None:
                return frozenset(map(key, found))
            why = "narrower subheadings are in NLM's files, which were not given"
            if self.strict:
                self.refuse("explosion", shown, why)
            else:
                self.mark("explosion", shown, f"{why}: the subheading alone was searched")
        return frozenset((key(name),))

    # ------------------------------------------------------------------ terms

    def term(self, term: Term) -> Plan:
        shown = show(term)
        if term.tag is None:
            return self.anywhere(term, shown)
        if refused := self.modifiers(term.tag, shown):
            return refused
        known = term.tag.known
        assert known is not None  # or `modifiers` had refused
        if known.tag == "all":
            return self.anywhere(term, shown)
        if term.tag.near is not None:
            return self.near(term, known, term.tag.near, shown)
        wanted = self.pattern(term, shown)
        if not wanted.words:
            return self.refuse("no-term", shown, "there is no word in it")
        if known.kind == "words" or known.tag in ("gr", "si", "auid"):
            return self.in_words(known, wanted, shown)
        if known.kind == "name":
            return self.name(term, known, wanted)
        if known.tag == "sh":
            name = subheading_of(term.text) or term.text
            if wanted.is_prefix:
                return HasQualifier(frozenset(), str(wanted)[:-1])
            return HasQualifier(self.qualifiers(name, shown, not term.tag.noexp))
        if known.tag == "pt":
            return self.kind(term, wanted, shown)
        if known.tag == "la":
            code = language_of(term.text)
            if code is None:
                return self.refuse("unknown-language", shown, "no such language is known here")
            return HasValue(("languages",), frozenset((code,)))
        if known.tag == "sb":
            return self.subset(term, shown)
        if known.tag == "pa":
            return self.refuse("unpublished", shown, "actions of substances are not in records")
        if known.kind in ("date", "number"):
            return self.refuse("malformed", shown, "this is not a date or a PMID")
        if known.tag == "nm":
            self.mark("synonyms", shown, "PubMed also maps synonyms of substances")
        if known.tag == "ta" and not term.quoted:
            self.mark("journal-table", shown, "PubMed also maps to journals of related titles")
        if wanted.is_prefix:
            return HasValue(known.parts, frozenset(), " ".join(wanted.words))
        return HasValue(known.parts, frozenset((" ".join(wanted.words),)))

    def modifiers(self, tag: Tag, shown: str) -> Plan | None:
        """A refusal where the tag or its suffix is one that PubMed silently ignores."""
        known = tag.known
        if known is None:
            return self.refuse("unknown-tag", shown, f"[{tag.field}] is not a PubMed tag")
        if tag.noexp and not known.explodes:
            return self.refuse("ignored", shown, "only headings explode; PubMed ignores :noexp")
        if tag.near is not None and not known.proximity:
            return self.refuse("ignored", shown, "PubMed ignores proximity in this field")
        if tag.suffix and not (known.tag == "ta" and tag.suffix.startswith("__")):
            return self.refuse("ignored", shown, f"PubMed ignores :{tag.suffix}")
        return None

    def pattern(self, term: Term, shown: str) -> Pattern:
        wanted = pattern(term.text)
        if "*" in term.text and (not wanted.is_prefix or term.text.count("*") > 1):
            self.mark("wildcard", shown, "an asterisk that PubMed reads as a space")
        return wanted

    def near(self, term: Term, known: Field, most: int, shown: str) -> Plan:
        wanted = words(term.text)
        if "*" in term.text or not term.quoted or len(wanted) < 2:
            return self.refuse("ignored", shown, "PubMed ignores proximity here")
        across = known.tag == "ad" and most > 1000  # within one affiliation up to 1,000
        return Near(known.parts, tuple(wanted), most, across)

    def in_words(self, known: Field, wanted: Pattern, shown: str) -> Plan:
        if all(word in STOPWORDS for word in wanted.words) and not wanted.is_prefix:
            self.mark("stopword", shown, "PubMed finds nothing for stopwords alone")
            return Always(False)
        self.phrase(wanted, shown)
        return InWords(known.parts, wanted)

    def phrase(self, wanted: Pattern, shown: str) -> None:
        if len(wanted.words) > 1:
            self.mark(
                "phrase-index",
                shown,
                "taken as words side by side; PubMed looks it up in a phrase index first",
            )

    def name(self, term: Term, known: Field, wanted: Pattern) -> Plan:
        position: Literal["any", "first", "last"] = (
            "first" if known.tag == "1au" else "last" if known.tag == "lastau" else "any"
        )
        return HasName(
            known.parts[0],
            position,
            wanted.words,
            exact=term.quoted,
            full=known.tag in ("fau", "fir"),
            is_prefix=wanted.is_prefix,
        )

    def kind(self, term: Term, wanted: Pattern, shown: str) -> Plan:
        if wanted.is_prefix:
            return HasValue(("kinds",), frozenset(), " ".join(wanted.words))
        name = " ".join(wanted.words)
        assert term.tag is not None
        if term.tag.noexp:
            return HasValue(("kinds",), frozenset((name,)))
        found = self.vocabulary.publication_types(term.text) if self.vocabulary else None
        if found is not None:
            return HasValue(("kinds",), frozenset(map(key, found)))
        if name not in LOWEST_TYPES:
            narrower = NARROWER_TYPES.get(name, ())
            with_them = f"with {', '.join(narrower[1:])}" if narrower else "without narrower types"
            self.mark(
                "publication-types", shown, f"searched {with_them}, as the tree was not given"
            )
            return HasValue(("kinds",), frozenset((name, *map(key, narrower))))
        return HasValue(("kinds",), frozenset((name,)))

    def subset(self, term: Term, shown: str) -> Plan:
        name = " ".join(term.text.lower().split())
        if name == "all":
            return Always(True)
        if name in STATUSES:
            if name.replace(" ", "") == "inprocess":
                self.mark("status", shown, "records in data review are not counted as in process")
            return HasValue(("status",), frozenset(map(key, STATUSES[name])))
        if name == "pubmed pmc":
            self.mark("pmc", shown, "every record with a PMC number counts, under embargo or not")
            return Has("pmc")
        if name == "pubmed books":
            return Has("pmcbook")
        if name in ("aim", "core clinical journals"):
            return HasValue(("subsets",), frozenset(("aim",)))
        return self.refuse("unpublished", shown, "only PubMed knows this subset")

    def anywhere(self, term: Term, shown: str) -> Plan:
        """Untagged or [all]: mapped by PubMed unless quoted or truncated."""
        if term.tag is None and re.fullmatch(r"pmc\d+", term.text, re.IGNORECASE):
            return Has("pmc", term.text.lower())
        wanted = self.pattern(term, shown)
        if not wanted.words:
            return self.refuse("no-term", shown, "there is no word in it")
        if term.quoted or wanted.is_prefix:
            self.mark("all-fields", shown, "searched in every field that the records carry")
            self.phrase(wanted, shown)
            return InWords(ALL_PARTS, wanted)
        why = "PubMed maps untagged words by tables that it does not publish"
        if self.strict:
            return self.refuse("term-mapping", shown, why)
        self.mark("term-mapping", shown, f"{why}: not PubMed-equivalent, searched as words")
        asked = [word for word in wanted.words if word not in STOPWORDS] or list(wanted.words)
        parts = tuple(InWords(ALL_PARTS, Pattern((word,))) for word in dict.fromkeys(asked))
        return parts[0] if len(parts) == 1 else Joined("AND", parts)


def _kinds(tag: str) -> tuple[str, ...]:
    return ("publication", "electronic") if tag == "dp" else FIELDS[tag].parts
