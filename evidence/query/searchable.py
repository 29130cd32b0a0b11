"""What a record must offer to be searched as PubMed searches it.

`Searchable` is the shape; `Paper` is a plain one, filled from `evidence.model.Record` by
`from_record` or by any reader that has more. The element of PubMed's XML stands beside each field.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evidence.model import Author, Book, Journal, Record
from evidence.query.days import first_day, publication_day


@dataclass(frozen=True, slots=True)
class MeshHeading:
    """A descriptor with its qualifiers; each says whether it is a major topic."""

    name: str
    major: bool = False
    qualifiers: tuple[tuple[str, bool], ...] = ()

    @property
    def is_major(self) -> bool:
        """Major by itself or by any qualifier."""
        return self.major or any(major for _, major in self.qualifiers)


@dataclass(frozen=True, slots=True)
class Person:
    """A person's name as PubMed splits it."""

    last: str
    initials: str = ""
    fore: str = ""
    suffix: str = ""


class Searchable(Protocol):
    """A record as the query language sees it. Tuples hold separate texts: no phrase spans two."""

    @property
    def pmid(self) -> str: ...
    @property
    def title(self) -> str: ...  # ArticleTitle; for books the chapter, else the book
    @property
    def collection_title(self) -> str: ...
    @property
    def abstract(self) -> str: ...  # sections as "LABEL: text"
    @property
    def other_abstracts(self) -> tuple[str, ...]: ...  # OtherAbstract
    @property
    def keywords(self) -> tuple[str, ...]: ...  # KeywordList
    @property
    def vernacular_title(self) -> str: ...
    @property
    def headings(self) -> tuple[MeshHeading, ...]: ...
    @property
    def supplementary(self) -> tuple[str, ...]: ...  # SupplMeshName
    @property
    def kinds(self) -> tuple[str, ...]: ...  # PublicationType
    @property
    def authors(self) -> tuple[Person, ...]: ...  # persons only, in order
    @property
    def groups(self) -> tuple[str, ...]: ...  # CollectiveName
    @property
    def investigators(self) -> tuple[Person, ...]: ...
    @property
    def editors(self) -> tuple[Person, ...]: ...
    @property
    def subjects(self) -> tuple[Person, ...]: ...  # PersonalNameSubject
    @property
    def identifiers(self) -> tuple[str, ...]: ...  # "ORCID 0000-0001-..."
    @property
    def affiliations(self) -> tuple[str, ...]: ...
    @property
    def journal_names(self) -> tuple[str, ...]: ...  # MedlineTA, Title, ISSNs
    @property
    def nlm_id(self) -> str: ...  # NlmUniqueID
    @property
    def country(self) -> str: ...  # MedlineJournalInfo/Country
    @property
    def volume(self) -> str: ...
    @property
    def issue(self) -> str: ...
    @property
    def first_page(self) -> str: ...  # of MedlinePgn
    @property
    def languages(self) -> tuple[str, ...]: ...  # three letters each
    @property
    def dates(self) -> Mapping[str, tuple[dt.date, ...]]: ...
    @property
    def ids(self) -> Mapping[str, tuple[str, ...]]: ...  # by IdType: doi, pii, pmc, mid
    @property
    def locations(self) -> tuple[str, ...]: ...  # ELocationID
    @property
    def substances(self) -> tuple[str, ...]: ...  # NameOfSubstance
    @property
    def numbers(self) -> tuple[str, ...]: ...  # RegistryNumber
    @property
    def grants(self) -> tuple[str, ...]: ...  # number, acronym, agency, country: one text each
    @property
    def accessions(self) -> tuple[str, ...]: ...  # "ClinicalTrials.gov/NCT01234567"
    @property
    def conflicts(self) -> str: ...  # CoiStatement
    @property
    def corrections(self) -> tuple[str, ...]: ...  # RefType of each CommentsCorrections
    @property
    def notes(self) -> tuple[str, ...]: ...  # RefSource of each CommentsCorrections
    @property
    def subsets(self) -> tuple[str, ...]: ...  # CitationSubset
    @property
    def status(self) -> str: ...  # MedlineCitation/@Status
    @property
    def owner(self) -> str: ...
    @property
    def indexing(self) -> str: ...  # @IndexingMethod
    @property
    def publication_status(self) -> str: ...
    @property
    def is_structured(self) -> bool: ...  # the abstract has labelled sections
    @property
    def has_foreign_abstract(self) -> bool: ...  # OtherAbstract not in English
    @property
    def book(self) -> str: ...  # its title, for a book or a chapter; "" for an article
    @property
    def publisher(self) -> str: ...
    @property
    def isbns(self) -> tuple[str, ...]: ...
    @property
    def lacks(self) -> frozenset[str]: ...  # parts that its source did not hand on


# Kinds of day in `Searchable.dates`: PubDate ("publication"; "print" too unless the article is
# electronic only), ArticleDate ("electronic"), PubMedPubDate pubmed, entrez and medline ("entry",
# "created", "mesh"), DateCompleted and DateRevised ("completed", "revised").
DAYS = ("publication", "print", "electronic", "entry", "created", "mesh", "completed", "revised")


@dataclass(frozen=True, slots=True)
class Paper:
    """A searchable record; what is not given is empty."""

    pmid: str = "0"
    title: str = ""
    collection_title: str = ""
    abstract: str = ""
    other_abstracts: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    vernacular_title: str = ""
    headings: tuple[MeshHeading, ...] = ()
    supplementary: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[Person, ...] = ()
    groups: tuple[str, ...] = ()
    investigators: tuple[Person, ...] = ()
    editors: tuple[Person, ...] = ()
    subjects: tuple[Person, ...] = ()
    identifiers: tuple[str, ...] = ()
    affiliations: tuple[str, ...] = ()
    journal_names: tuple[str, ...] = ()
    nlm_id: str = ""
    country: str = ""
    volume: str = ""
    issue: str = ""
    first_page: str = ""
    languages: tuple[str, ...] = ()
    dates: Mapping[str, tuple[dt.date, ...]] = field(default_factory=dict)
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    locations: tuple[str, ...] = ()
    substances: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    conflicts: str = ""
    corrections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    status: str = ""
    owner: str = ""
    indexing: str = ""
    publication_status: str = ""
    is_structured: bool = False
    has_foreign_abstract: bool = False
    book: str = ""
    publisher: str = ""
    isbns: tuple[str, ...] = ()
    lacks: frozenset[str] = frozenset()


# What records from other formats, or of an older store, do not have.
_ONLY_IN_XML = """
    collection_title other_abstracts vernacular_title supplementary groups investigators editors
    subjects identifiers affiliations nlm_id country volume issue first_page publication print
    electronic entry created mesh completed locations substances numbers grants accessions conflicts
    notes subsets owner indexing publication_status is_structured has_foreign_abstract publisher
    isbns ids journal_names
"""


def from_record(record: Record) -> Paper:
    """A record of the store or of a file, searchable.

    One that did not come from PubMed's XML lacks most fields: they are named in ``lacks``, and a
    query that needs them is refused instead of finding nothing.
    """
    if record.periodical is None and record.book is None and not record.history:
        return _short(record)
    people = [one for one in record.people if one.valid]
    everyone = (*people, *record.investigators)
    journal, book = record.periodical or Journal(), record.book or Book()
    ids: dict[str, tuple[str, ...]] = {}
    for kind, value in record.ids:
        ids[kind] = (*ids.get(kind, ()), value)
    return Paper(
        pmid=record.pmid,
        title=record.title,
        collection_title=book.collection,
        abstract=record.abstract,
        other_abstracts=tuple(other.text for other in record.other_abstracts),
        keywords=record.keywords,
        vernacular_title=record.vernacular_title,
        headings=tuple(
            MeshHeading(h.name, h.major, tuple((q.name, q.major) for q in h.qualifiers))
            for h in record.headings
        ),
        supplementary=tuple(term.name for term in record.supplementary),
        kinds=record.kinds,
        authors=_persons(people),
        groups=tuple(one.collective for one in people if one.collective),
        investigators=_persons(record.investigators),
        editors=_persons(book.editors),
        subjects=_persons(record.subjects),
        identifiers=tuple(f"{kind} {value}" for one in everyone for kind, value in one.identifiers),
        affiliations=tuple(place for one in everyone for place in one.affiliations),
        journal_names=tuple(
            name
            for name in (
                journal.medline,
                journal.title,
                journal.iso,
                journal.issn,
                journal.issn_print,
                journal.issn_electronic,
                journal.issn_linking,
            )
            if name
        ),
        nlm_id=journal.nlm_id,
        country=journal.country,
        volume=record.volume,
        issue=record.issue,
        first_page=re.split(r"[-,;]", record.pages)[0].strip(),
        languages=record.languages,
        dates=_dates(record),
        ids=ids,
        locations=tuple(location.id for location in record.locations),
        substances=tuple(chemical.name for chemical in record.chemicals),
        numbers=tuple(chemical.registry for chemical in record.chemicals if chemical.registry),
        grants=tuple(
            part for g in record.grants for part in (g.id, g.acronym, g.agency, g.country) if part
        ),
        accessions=tuple(
            f"{bank.name}/{number}" for bank in record.databanks for number in bank.accessions
        ),
        conflicts=record.conflict_of_interest,
        corrections=tuple(link.kind for link in record.corrections),
        notes=tuple(link.source for link in record.corrections if link.source),
        subsets=record.subsets,
        status=record.status,
        owner=record.owner,
        indexing=record.indexing,
        publication_status=record.publication_status,
        is_structured=any(section.label for section in record.sections),
        has_foreign_abstract=any(other.language != "eng" for other in record.other_abstracts),
        book=book.title,
        publisher=book.publisher,
        isbns=book.isbns,
    )


def _short(record: Record) -> Paper:
    revised = day_of(record.revised)
    return Paper(
        pmid=record.pmid,
        title=record.title,
        abstract=record.abstract,
        keywords=record.keywords,
        headings=tuple(heading(text) for text in record.mesh),
        kinds=record.kinds,
        authors=tuple(person(name) for name in record.authors),
        languages=tuple(part.strip() for part in record.language.split(",") if part.strip()),
        dates={"revised": revised},
        corrections=tuple(notice.partition(":")[0] for notice in record.notices),
        status=record.status,
        lacks=frozenset(_ONLY_IN_XML.split()),
    )


def _persons(people: Iterable[Author]) -> tuple[Person, ...]:
    return tuple(Person(o.last, o.initials, o.fore, o.suffix) for o in people if o.last)


def _dates(record: Record) -> dict[str, tuple[dt.date, ...]]:
    history: dict[str, tuple[dt.date, ...]] = {}
    for step in record.history:
        history[step.event] = (*history.get(step.event, ()), *day_of(step.date))
    issued = record.pubdate or (record.book.pubdate if record.book else None)
    published: tuple[dt.date, ...] = ()
    if issued is not None and issued.first:
        year, _, rest = issued.first.partition("-")
        month, _, day = rest.partition("-")
        found = publication_day(year, month, day, issued.season)
        published = (found,) if found else ()
    electronic = day_of(record.electronic)
    return {
        "publication": published,
        "print": published if "Print" in (record.model or "Print") else (),
        "electronic": electronic or (published if record.model == "Electronic" else ()),
        "entry": history.get("pubmed", ()),
        "created": history.get("entrez", ()),
        "mesh": history.get("medline", ()),
        "completed": day_of(record.completed),
        "revised": day_of(record.revised),
    }


def day_of(iso: str | None) -> tuple[dt.date, ...]:
    """The day of an ISO date, the first of its month or year where less is known; or none."""
    found = first_day(iso.replace("-", "/")) if iso else None
    return (found,) if found else ()


def heading(text: str) -> MeshHeading:
    """A heading in NLM's notation: "Exercise/*physiology", where * marks a major topic."""
    name, *qualifiers = text.split("/")
    return MeshHeading(
        name.lstrip("*"),
        name.startswith("*"),
        tuple((q.lstrip("*"), q.startswith("*")) for q in qualifiers),
    )


def person(name: str) -> Person:
    """ "Smith JA Jr": the initials are the last word in capitals."""
    parts = name.split()
    suffix = ""
    if len(parts) > 2 and re.fullmatch(r"Jr|Sr|[1-9](?:st|nd|rd|th)|I{1,3}|IV", parts[-1]):
        suffix = parts.pop()
    if len(parts) > 1 and parts[-1].isupper():
        return Person(" ".join(parts[:-1]), parts[-1], "", suffix)
    return Person(" ".join(parts), "", "", suffix)


def texts(record: Searchable, part: str) -> Iterator[str]:
    """The separate texts of one part of a record, persons as their names."""
    if part == "headings":
        for one in record.headings:
            yield one.name
            for qualifier, _ in one.qualifiers:
                yield qualifier
        return
    if part in ("authors", "investigators", "editors", "subjects"):
        for someone in getattr(record, part):
            yield f"{someone.last} {someone.initials} {someone.suffix}"
            if someone.fore:
                yield f"{someone.fore} {someone.last}"
        return
    if part == "article_ids":
        for values in record.ids.values():
            yield from values
        return
    value: str | Iterable[str] = getattr(record, part)
    if isinstance(value, str):
        if value:
            yield value
    else:
        yield from value
