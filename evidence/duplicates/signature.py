"""What of a reference is compared: worked out once for each, cheap to hold for many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

from evidence.duplicates.words import (
    Person,
    bare_number,
    fold,
    journal_words,
    markers,
    numbers,
    page_range,
    person,
    title_words,
)
from evidence.formats.reference import Reference

WORD_BITS = 8.0  # most that one word tells
_SMOOTH = 5_000  # titles that are imagined beside those given, so that few titles tell no less

# Registrants of DOIs and names of journals that are servers of preprints.
_PREPRINT_DOI = re.compile(
    r"10\.(?:1101/(?:\d{4}\.|\d{6})|21203/|48550/|2139/ssrn|20944/|31234/|31219/|35542/|22541/"
    r"|36227/|26434/|55458/|64898/|1101/gr)"
)
_NOT_PREPRINT = re.compile(r"10\.1101/(?:gr|gad|lm|sqb|cshperspect|rna|pdb|mcs)\.")
_PREPRINT_JOURNAL = re.compile(
    r"\b(?:medrxiv|biorxiv|arxiv|psyarxiv|chemrxiv|socarxiv|ssrn|research ?square|preprints?"
    r"|authorea|techrxiv|sportrxiv)\b"
)
_CONFERENCE = re.compile(
    r"(?i)\b(?:conference (?:abstract|paper|review|proceeding)s?|meeting abstract|proceedings paper"
    r"|congress(?:es)?|poster)\b"
)


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """A reference in the forms that `compare` looks at."""

    reference: Reference
    words: tuple[str, ...]  # of the title
    key: str  # the same without blanks
    numbers: tuple[str, ...]  # of the title
    markers: frozenset[str]  # erratum, reply, protocol, ...: what the title says
    typed: frozenset[str]  # the same, by publication types
    cut: bool  # the title ends in "..."
    bits: float  # what the title tells
    people: tuple[Person, ...]
    family: str  # of the first author, one word, for blocks
    journals: tuple[tuple[str, ...], ...]  # full and short name
    year: int | None
    volume: str
    issue: str
    first_page: str
    last_page: str
    doi: str
    pmid: str
    pmcid: str
    issn: frozenset[str]
    preprint: bool
    conference: bool


def signatures(references: Sequence[Reference]) -> tuple[list[Signature], Counter[str]]:
    """A signature for each reference, and in how many titles each word stands."""
    titles = [title_words(r.title) for r in references]
    count = Counter(word for words in titles for word in set(words))
    total = len(references) + _SMOOTH
    return [
        _signature(reference, words, _bits(words, count, total))
        for reference, words in zip(references, titles, strict=True)
    ], count


def _bits(words: Iterable[str], count: Counter[str], total: int) -> float:
    """How much a title tells: rare words tell much, "a study of" hardly anything."""
    return sum(min(WORD_BITS, log2(total / count[word])) for word in set(words) if len(word) > 2)


def _signature(r: Reference, words: tuple[str, ...], bits: float) -> Signature:
    people = tuple(person(name) for name in r.authors if not _ET_AL.fullmatch(name))
    family = max(people[0][0], key=lambda w: (len(w), w), default="") if people else ""
    first, last = page_range(r.pages)
    doi = (r.doi or "").casefold()
    names = " ".join((r.journal, r.journal_short, r.publisher if r.kind == "preprint" else ""))
    types = " ".join((*r.types, *(v for k, v in r.extra if k in ("ris:TY", "wos:DT"))))
    journals = tuple(
        dict.fromkeys(w for n in (r.journal, r.journal_short) if (w := journal_words(n)))
    )
    return Signature(
        reference=r,
        words=words,
        key="".join(words),
        numbers=numbers(words),
        markers=markers(words),
        typed=_typed(r.types),
        cut=r.title.rstrip(" ]").endswith(("...", "…")),
        bits=bits,
        people=people,
        family=family,
        journals=journals,
        year=r.year,
        volume=bare_number(r.volume),
        issue=bare_number(r.issue),
        first_page=first,
        last_page=last,
        doi=doi,
        pmid=r.pmid or "",
        pmcid=r.pmcid or "",
        issn=frozenset(r.issn),
        preprint=r.kind == "preprint"
        or "preprint" in fold(types)
        or bool(_PREPRINT_JOURNAL.search(fold(names)))
        or bool(_PREPRINT_DOI.match(doi) and not _NOT_PREPRINT.match(doi)),
        conference=r.kind == "conference"
        or "ABST" in types.split()
        or bool(_CONFERENCE.search(types)),
    )


_ET_AL = re.compile(r"(?i)\W*(?:et\.? al\.?|and others|others|\.\.\.|…)\W*")
_TYPES = {
    "published erratum": "erratum",
    "erratum": "erratum",
    "correction": "erratum",
    "retraction of publication": "retraction",
    "retraction notice": "retraction",
    "expression of concern": "concern",
    "clinical trial protocol": "protocol",
}


def _typed(types: Iterable[str]) -> frozenset[str]:
    return frozenset(_TYPES[t] for text in types if (t := fold(text)) in _TYPES)
