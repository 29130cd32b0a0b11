"""What of a record goes into which index.

Three kinds: running words (`TIAB` and `OTHER`, one column a part), facts that are there or not
(words such as ``mh:back_pain``, of which an index holds only which record has them), and days.
A word of a fact never occurs in running text, as it holds a colon.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from evidence.mirror.bodies import pack
from evidence.model import Journal, Record
from evidence.query.fields import FIELDS
from evidence.query.match import Seen, satisfies
from evidence.query.plan import ALL_PARTS, Has, key
from evidence.query.searchable import DAYS, Paper, Person, Searchable, from_record, texts
from evidence.query.words import words

TIAB = FIELDS["tiab"].parts
OTHER = tuple(
    dict.fromkeys(
        part
        for part in (
            *ALL_PARTS,
            *(p for f in FIELDS.values() if f.kind == "words" for p in f.parts),
        )
        if part not in TIAB
    )
)
# Parts that are compared as whole values.
VALUES = (
    "kinds",
    "languages",
    "status",
    "subsets",
    "owner",
    "journal_names",
    "nlm_id",
    "country",
    "volume",
    "issue",
    "first_page",
    "article_ids",
    "locations",
    "numbers",
    "substances",
    "supplementary",
    "isbns",
)
PEOPLE = ("authors", "investigators", "editors", "subjects")
# Properties without a value, as `plan` names them; corrections are told by their own kinds.
PRESENT = (
    "abstract",
    "structuredabstract",
    "keyword",
    "cois",
    "databanklist",
    "nonenglishabstract",
    "nihmsid",
    "pmc",
    "pmcbook",
    "pmcbooktitle",
    "pmcbookchapter",
)
EARLY = "early"  # electronic dates that are not later than the one in print
KINDS_OF_DAY = (*DAYS, EARLY)
BORDER = "|"  # between two texts of a part: no phrase spans it
# Borders between two texts of a part that can be searched for proximity: no search for words with
# fewer words between spans them.
WIDTH = 16
_NEAR = frozenset(part for field in FIELDS.values() if field.proximity for part in field.parts)
_BORDERS = {True: f" {' '.join(BORDER * WIDTH)} ", False: f" {BORDER} "}


@dataclass(frozen=True, slots=True)
class Row:
    """One record, ready for the indexes."""

    pmid: int
    version: int
    tiab: tuple[str, ...]
    other: tuple[str, ...]
    facts: tuple[str, ...]
    days: tuple[tuple[int, int], ...]  # (position in KINDS_OF_DAY, ordinal of the day)
    body: bytes


def row(record: Record) -> Row:
    """The row of a record that came from PubMed's XML.

    Raises
    ------
    ValueError
        If its PMID or version is no number that an index can hold.
    """
    if not 0 < int(record.pmid) < 2**31 or not 0 <= record.version < 2**31:
        raise ValueError(f"PMID {record.pmid}, version {record.version}")
    paper = searchable(record)
    return Row(
        int(record.pmid),
        record.version,
        tuple(column(paper, part) for part in TIAB),
        tuple(column(paper, part) for part in OTHER),
        tuple(dict.fromkeys(facts(paper))),
        tuple(days(paper)),
        pack(record),
    )


def searchable(record: Record) -> Paper:
    """The record as a query sees it; what PubMed's XML leaves out is empty, not unknown."""
    if record.periodical is None and record.book is None:
        record = dataclasses.replace(record, periodical=Journal())
    return from_record(record)


def column(paper: Searchable, part: str) -> str:
    """The words of a part, its texts apart."""
    cut = [" ".join(words(text)) for text in texts(paper, part)]
    return cut[0] if len(cut) == 1 else _BORDERS[part in _NEAR].join(filter(None, cut))


def joined(name: str) -> str:
    """A name of several words as a part of one word."""
    return key(name).replace(" ", "_")


def raw(value: str) -> str:
    """Any text as a part of one word, without loss."""
    return "".join(char if char.isalnum() else f"_{ord(char):x}_" for char in value.lower())


def facts(paper: Searchable) -> Iterator[str]:
    """All that is there or not, a word each."""
    for heading in paper.headings:
        name = joined(heading.name)
        yield f"mh:{name}"
        if heading.is_major:
            yield f"mj:{name}"
        for qualifier, major in heading.qualifiers:
            under = joined(qualifier)
            yield f"sh:{under}"
            yield f"mq:{name}/{under}"
            if major or heading.major:
                yield f"mp:{name}/{under}"
    for part in VALUES:
        for text in texts(paper, part):
            yield f"{part}:{joined(text)}"
    for part in PEOPLE:
        named = [name_of(person) for person in getattr(paper, part)]
        for name in named:
            yield f"{part}:{name}"
        if named:
            yield f"{part}_first:{named[0]}"
            yield f"{part}_last:{named[-1]}"
    seen = Seen(paper)
    for what in PRESENT:
        if satisfies(Has(what), seen):
            yield f"has:{what}"
    for number in paper.ids.get("pmc", ()):
        yield f"pmc:{raw(number)}"
    for kind in paper.corrections:
        yield f"link:{raw(kind)}"
    yield f"indexing:{raw(paper.indexing)}"
    yield f"publication_status:{raw(paper.publication_status)}"


def name_of(person: Person) -> str:
    """A person as one word: "van_der_berg/a/jr/anna"."""
    last, suffix, fore = ("_".join(words(t)) for t in (person.last, person.suffix, person.fore))
    return f"{last}/{''.join(words(person.initials))}/{suffix}/{fore}"


def person_of(name: str) -> Person:
    """The person behind such a word."""
    last, initials, suffix, fore = (part.replace("_", " ") for part in name.split("/"))
    return Person(last, initials, fore, suffix)


def days(paper: Searchable) -> Iterator[tuple[int, int]]:
    """Every date, by its kind's position."""
    for kind, name in enumerate(DAYS):
        for day in paper.dates.get(name, ()):
            yield kind, day.toordinal()
    printed = min(paper.dates.get("publication", ()), default=None)
    for day in paper.dates.get("electronic", ()):
        if printed is None or day <= printed:
            yield len(DAYS), day.toordinal()
