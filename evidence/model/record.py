"""A record of PubMed, or of another database, and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, NamedTuple

# The parts of a record are named tuples: a file of 30,000 records has a million of them, and a
# tuple is made four times as fast as a frozen dataclass.


class Author(NamedTuple):
    """A person or a group, as one element of a PubMed record names them."""

    last: str = ""
    fore: str = ""
    initials: str = ""
    suffix: str = ""
    collective: str = ""  # the name of a group; then the names above are empty
    orcid: str | None = None  # "0000-0002-1825-0097", whatever address stood around it
    affiliations: tuple[str, ...] = ()
    equal: bool = False  # contributed equally with others so marked
    valid: bool = True  # False: a spelling that was corrected; the corrected one follows it
    position: int = 0  # in its list, from 1
    identifiers: tuple[tuple[str, str], ...] = ()  # (source, as written): ORCID and others
    affiliation_ids: tuple[tuple[str, str], ...] = ()  # (source, as written): ROR, GRID, ISNI

    @property
    def name(self) -> str:
        """ "Family Initials Suffix", or the name of the group."""
        if self.last:
            return " ".join(filter(None, (self.last, self.initials or self.fore, self.suffix)))
        return self.collective or self.fore


class AbstractSection(NamedTuple):
    """One part of an abstract, with the heading that the authors gave it."""

    text: str
    label: str = ""  # as written
    category: str = ""  # NLM's: BACKGROUND, OBJECTIVE, METHODS, RESULTS, CONCLUSIONS, UNASSIGNED


class OtherAbstract(NamedTuple):
    """A further abstract: in another language, in plain words, or from another agency."""

    language: str
    kind: str  # Publisher, plain-language-summary, KIE, PIP, NASA, AIDS, AAMC
    sections: tuple[AbstractSection, ...]
    copyright: str = ""

    @property
    def text(self) -> str:
        return labelled(self.sections)


class Journal(NamedTuple):
    """The journal as PubMed catalogues it."""

    title: str = ""
    iso: str = ""  # ISO abbreviation
    medline: str = ""  # NLM's title abbreviation, as [ta] searches it
    issn_print: str | None = None
    issn_electronic: str | None = None
    issn: str | None = None  # where old records do not say which kind it is
    issn_linking: str | None = None
    nlm_id: str = ""
    country: str = ""


class PubDate(NamedTuple):
    """A date that may be less than a day, or a span: "1998 Dec-1999 Jan", "2004 Spring"."""

    text: str  # as NLM's MEDLINE format prints it
    first: str | None  # "1998-12": as much of an ISO day as is known; None without a year
    last: str | None  # "1999-01"; the same as `first` where it is no span
    season: str = ""  # "Spring", "Fall-Winter", "3rd Quarter"


class HistoryDate(NamedTuple):
    """One step of a paper's way: received, accepted, revised, pubmed, medline, entrez, ..."""

    event: str  # PubStatus
    date: str  # as much of an ISO day as is known
    time: str = ""  # "06:00"


class Qualifier(NamedTuple):
    """A MeSH subheading."""

    name: str
    ui: str = ""
    major: bool = False
    auto: bool = False  # chosen by NLM's program and not looked at


class Heading(NamedTuple):
    """A MeSH heading with its subheadings."""

    name: str
    ui: str = ""
    major: bool = False
    kind: str = ""  # "Geographic"
    qualifiers: tuple[Qualifier, ...] = ()
    auto: bool = False

    @property
    def text(self) -> str:
        """ "Descriptor/qualifier/*qualifier", as in NLM's MEDLINE format; * marks a major topic."""
        parts: tuple[Heading | Qualifier, ...] = (self, *self.qualifiers)
        return "/".join(f"*{p.name}" if p.major else p.name for p in parts)


class Term(NamedTuple):
    """A word of a controlled list: a publication type, a supplementary concept."""

    name: str
    ui: str = ""
    kind: str = ""  # of a supplementary concept: Disease, Protocol, Organism, ...


class Chemical(NamedTuple):
    """A substance, with its CAS, EC or UNII number; "0" where it has none."""

    name: str
    ui: str = ""
    registry: str = ""


class Keyword(NamedTuple):
    """A keyword of the authors (owner NOTNLM) or of an agency."""

    text: str
    owner: str = ""
    major: bool = False


class Grant(NamedTuple):
    """A grant, as far as it is given."""

    id: str = ""
    acronym: str = ""
    agency: str = ""
    country: str = ""


class DataBank(NamedTuple):
    """Accession numbers in one databank: trial registrations, sequences, data sets."""

    name: str
    accessions: tuple[str, ...] = ()


class Location(NamedTuple):
    """The number under which an article stands on its journal's site."""

    kind: str  # doi or pii
    id: str
    valid: bool = True


class Correction(NamedTuple):
    """A link to another publication: retraction, erratum, comment, update, data set, ..."""

    kind: str  # RefType: RetractionIn, ErratumFor, CommentOn, Cites, ...
    source: str = ""  # the other publication, as NLM cites it
    pmid: str | None = None
    version: int | None = None  # of that PMID
    note: str = ""


class Cited(NamedTuple):
    """One entry of the article's list of references."""

    citation: str = ""
    pmid: str | None = None
    doi: str | None = None
    pmcid: str | None = None
    ids: tuple[tuple[str, str], ...] = ()  # others, as (kind, id)


@dataclass(frozen=True, slots=True)
class Book:
    """The book that a record is, or is a part of."""

    title: str = ""
    accession: str = ""  # of the record on NCBI's Bookshelf: "NBK51812"
    publisher: str = ""
    place: str = ""
    collection: str = ""
    volume: str = ""
    volume_title: str = ""
    edition: str = ""
    medium: str = ""
    report: str = ""
    isbns: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()  # DOI of the book
    pubdate: PubDate | None = None
    beginning: PubDate | None = None
    ending: PubDate | None = None
    contributed: PubDate | None = None  # the chapter
    authors: tuple[Author, ...] = ()
    editors: tuple[Author, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()  # (kind, label): ("chapter", "12")
    contents: tuple[str, ...] = ()  # titles of its sections
    items: tuple[tuple[str, str], ...] = ()  # (kind of list, item)


@dataclass(frozen=True, slots=True)
class Record:
    """One PubMed record, as last received.

    Texts are "" and lists are () where the record says nothing.
    """

    pmid: str
    title: str  # inline markup flattened; "[Not Available]." where there is no English one
    abstract: str  # sections on lines of their own, each as "LABEL: text"
    authors: tuple[str, ...]  # "Family Initials", in order
    year: int | None  # the first year of the date of publication
    journal: str
    doi: str | None
    pmcid: str | None
    mesh: tuple[str, ...]  # see `Heading.text`
    kinds: tuple[str, ...]  # publication types
    keywords: tuple[str, ...]
    language: str  # "eng"; several as "eng, fre"
    status: str  # MedlineCitation/@Status
    version: int
    retracted: bool
    notices: tuple[
        str, ...
    ]  # "RetractionIn: Journal. 2020;1:2 (PMID 1)", errata, concerns, updates
    revised: str | None  # DateRevised, ISO day
    vernacular_title: str = ""
    sections: tuple[AbstractSection, ...] = ()
    copyright: str = ""
    other_abstracts: tuple[OtherAbstract, ...] = ()
    people: tuple[Author, ...] = ()  # the authors in full
    people_complete: bool = True
    investigators: tuple[Author, ...] = ()
    periodical: Journal | None = None
    volume: str = ""
    issue: str = ""
    pages: str = ""
    medium: str = ""  # Print or Internet: the issue that is cited
    model: str = ""  # PubModel: Print, Print-Electronic, Electronic-eCollection, ...
    pubdate: PubDate | None = None  # of the issue
    electronic: str | None = None  # ArticleDate, ISO day
    created: str | None = None
    completed: str | None = None
    history: tuple[HistoryDate, ...] = ()
    publication_status: str = ""  # ppublish, epublish, aheadofprint
    headings: tuple[Heading, ...] = ()
    supplementary: tuple[Term, ...] = ()
    chemicals: tuple[Chemical, ...] = ()
    publication_types: tuple[Term, ...] = ()
    keyword_list: tuple[Keyword, ...] = ()
    genes: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    grants_complete: bool = True
    databanks: tuple[DataBank, ...] = ()
    subjects: tuple[Author, ...] = ()  # people whom the article is about
    ids: tuple[tuple[str, str], ...] = ()  # (kind, id) of the article: pubmed, doi, pmc, pii, mid
    locations: tuple[Location, ...] = ()
    other_ids: tuple[tuple[str, str], ...] = ()  # (source, id)
    languages: tuple[str, ...] = ()
    owner: str = ""
    indexing: str = ""  # IndexingMethod: Automated, Curated, Manual
    version_date: str = ""
    subsets: tuple[str, ...] = ()  # CitationSubset
    corrections: tuple[Correction, ...] = ()
    references: tuple[Cited, ...] = ()
    references_stated: int | None = None  # NumberOfReferences
    conflict_of_interest: str = ""
    notes: tuple[tuple[str, str], ...] = ()  # (owner, text)
    missions: tuple[str, ...] = ()  # space flights
    objects: tuple[tuple[str, str, str], ...] = ()  # (kind, name, value)
    book: Book | None = None

    @property
    def cites(self) -> tuple[str, ...]:
        """PMIDs of the works that the article cites, in order, each once."""
        listed = [c.pmid for c in self.references]
        marked = [c.pmid for c in self.corrections if c.kind == "Cites"]
        return tuple(dict.fromkeys(pmid for pmid in (*listed, *marked) if pmid))

    @property
    def link(self) -> str:
        """PubMed, or the DOI of a record that only another database has; "" for neither."""
        if self.pmid.isdigit():
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        return f"https://doi.org/{self.doi}" if self.doi else ""

    @property
    def name(self) -> str:
        """ "PMID 123", or "doi:10.1/x" of a record that only another database has."""
        return f"PMID {self.pmid}" if self.pmid.isdigit() else self.pmid

    @property
    def shown_title(self) -> str:
        """The title, or the one in the original language where there is no other."""
        if self.title.rstrip(".") in ("", "[Not Available]"):
            return self.vernacular_title or self.title
        return self.title

    @classmethod
    def quickly(cls, *fields: Any) -> Record:
        """A record of all its fields, in their order; made in a tenth of the time.

        A frozen dataclass sets each field through ``object.__setattr__``. This fills a class that
        has the same fields and is not frozen, and then says which class it is.
        """
        record: Record = _Unfrozen(*fields)
        object.__setattr__(record, "__class__", cls)
        return record

    def json(self) -> dict[str, Any]:
        """The record in JSON's own types; `Record.from_json` reads it back."""
        body: dict[str, Any] = _plain(self)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Record:
        """A record from what `json` gave; fields that an older version did not have are empty.

        Raises
        ------
        TypeError, ValueError
            If it is no record.
        """
        record: Record = _revived(cls, body)
        return record


_Unfrozen: Any = make_dataclass(
    "_Unfrozen", [(field.name, field.type) for field in fields(Record)], slots=True
)


def labelled(sections: Iterable[AbstractSection]) -> str:
    """Sections on lines of their own, each as "LABEL: text"."""
    return "\n".join([f"{s.label}: {s.text}" if s.label else s.text for s in sections])


# Which fields of a record, or of a part of it, are parts themselves.
_PARTS: dict[type, dict[str, type]] = {
    Record: {
        "sections": AbstractSection,
        "other_abstracts": OtherAbstract,
        "people": Author,
        "investigators": Author,
        "periodical": Journal,
        "pubdate": PubDate,
        "history": HistoryDate,
        "headings": Heading,
        "supplementary": Term,
        "chemicals": Chemical,
        "publication_types": Term,
        "keyword_list": Keyword,
        "grants": Grant,
        "databanks": DataBank,
        "subjects": Author,
        "locations": Location,
        "corrections": Correction,
        "references": Cited,
        "book": Book,
    },
    OtherAbstract: {"sections": AbstractSection},
    Heading: {"qualifiers": Qualifier},
    Book: {
        "locations": Location,
        "pubdate": PubDate,
        "beginning": PubDate,
        "ending": PubDate,
        "contributed": PubDate,
        "authors": Author,
        "editors": Author,
    },
}


def _plain(value: Any) -> Any:
    if type(value) is tuple:
        return [_plain(v) for v in value]
    names = getattr(value, "_fields", None) or getattr(value, "__slots__", None)
    return value if names is None else {name: _plain(getattr(value, name)) for name in names}


def _revived(kind: type, body: Mapping[str, Any]) -> Any:
    parts = _PARTS.get(kind, {})
    fields: dict[str, Any] = {}
    for name, value in body.items():
        part = parts.get(name)
        if isinstance(value, list):
            fields[name] = tuple(_revived(part, v) if part else _frozen(v) for v in value)
        else:
            fields[name] = _revived(part, value) if part and value is not None else value
    return kind(**fields)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
