"""The nouns: what a record, a study, a row and an answer are. Frozen; absence is ``None``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, Literal, NamedTuple

from evidence.claims import Analysis, Claim
from meta.results import PooledEffect

Direction = Literal["positive", "negative", "unknown"]
YesNo = Literal["yes", "no", "unknown"]
Role = Literal["primary", "sensitivity", "context"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fact stands: a file of the project and its line (1 is the header)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


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


@dataclass(frozen=True, slots=True)
class SearchRun:
    """One search as it ran, for PRISMA-S."""

    claim: str
    source: str
    ran_on: dt.date
    query: str
    translation: str
    count: int
    warnings: tuple[str, ...]
    complete: bool
    kind: str = "full"  # "full" or "revised"
    basis: str = ""  # what a mirror or a file holds; PubMed itself rests on nothing else


@dataclass(frozen=True, slots=True)
class FromSource:
    """How many records of a claim a source gave, for the flow of records (PRISMA 2020)."""

    kind: str  # "search", "mirror", "file", "second" or "citation"
    label: str
    on: dt.date | None  # the last time
    identified: int
    added: int  # of these, in no source above it
    apart: int = 0  # found by the mirror, and no longer by PubMed
    basis: str = ""

    @property
    def duplicates(self) -> int:
        """Records that a source above it, or the same one, gave already."""
        return self.identified - self.added


Stage = Literal["title-abstract", "full-text"]
Decision = Literal["include", "exclude", "unsure", "not-retrieved", "withdrawn", "note"]


@dataclass(frozen=True, slots=True)
class Screening:
    """One row of ``screening.csv``: a decision, or what was done to one.

    Rows are added and never changed; `evidence.screening.ScreeningState` says what they amount to.
    """

    record: str  # PMID, or a study id where no PMID is known
    stage: Stage
    reviewer: str
    decision: Decision  # "withdrawn" takes back the latest; "note" decides nothing
    reason: str
    date: dt.date
    at: Place
    kind: Literal["", "resolution"] = ""  # "resolution": settles a conflict for all reviewers
    note: str = ""
    source: str = ""  # the file and line from which a decision was imported
    time: dt.datetime | None = None  # UTC; None in rows that were written by hand


@dataclass(frozen=True, slots=True)
class Study:
    """One row of ``studies.csv``."""

    study_id: str
    pmid: str | None
    pmcid: str | None
    doi: str | None
    registry: str | None
    first_author: str | None
    year: int | None
    journal: str | None
    title: str | None
    design: str
    population: str | None
    n_total: int | None
    species: str
    measured: str | None
    source_url: str
    notes: str
    at: Place
    same_as: str | None = None  # another study_id with the same people: count them once
    volume: str | None = None  # with `page`, the first one: columns that may be left out
    page: str | None = None

    @property
    def label(self) -> str:
        """ "Ferris 2007"; the study id where the author or the year was not seen."""
        if self.first_author and self.year:
            return f"{self.first_author} {self.year}"
        return self.study_id

    @property
    def link(self) -> str:
        """PubMed where a PMID is known, else the DOI, else PMC, else where it was seen."""
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        if self.doi:
            return f"https://doi.org/{self.doi}"
        if self.pmcid:
            return f"https://pmc.ncbi.nlm.nih.gov/articles/{self.pmcid}/"
        return self.source_url


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One row of ``effects.csv``: numbers copied from a paper, with their place in it.

    Arm 1 is the intervention, arm 2 the comparator. ``analysis`` is the id of an analysis of the
    claim's plan, or empty for evidence that belongs to none. ``route`` says how the effect is
    obtained. ``dependent_with`` names rows on the same people.
    """

    effect_id: str
    study_id: str
    analysis: str
    role: Role
    tier: str  # A fully reported; B one named assumption; C stronger assumption; "" direction only
    outcome: str
    matrix: str  # serum, plasma, a brain region, ...
    contrast: str
    exercise: str  # interval, sprint, graded, continuous, ... or ""
    timepoint: str
    route: str
    name_1: str
    n_1: int | None
    mean_pre_1: float | None
    sd_pre_1: float | None
    mean_post_1: float | None
    sd_post_1: float | None
    mean_change_1: float | None
    sd_change_1: float | None
    name_2: str
    n_2: int | None
    mean_pre_2: float | None
    sd_pre_2: float | None
    mean_post_2: float | None
    sd_post_2: float | None
    mean_change_2: float | None
    sd_change_2: float | None
    events_1: int | None
    events_2: int | None
    units: str
    dispersion: str  # SD, SE, CI, IQR, unknown: what the paper prints after ±
    r_pre_post: float | None  # stated in the paper; None means assumed by the plan
    statistic: float | None  # t, F or r, as the route says
    df: float | None
    estimate: float | None  # an effect as published
    se: float | None
    ci_low_1: float | None
    ci_high_1: float | None
    ci_low_2: float | None
    ci_high_2: float | None
    p: float | None  # exact two-sided p
    p_text: str  # as printed, such as "<0.05"
    direction: Direction  # sign of the effect relative to the claim's measure
    reported_significant: YesNo
    source_kind: str
    source_url: str
    locator: str  # the place in the source
    assumption: str  # every assumption that the route makes for this row, in words
    dependent_with: tuple[str, ...]
    notes: str
    at: Place


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """One row of ``published.csv``: a pooled result of a published meta-analysis."""

    pooled_id: str
    meta_analysis: str
    pmid: str | None
    doi: str | None
    question: str  # subset pooled
    k: str
    n: str
    measure: str
    estimate: float | None
    estimate_text: str  # where it is no number
    ci_low: float | None
    ci_high: float | None
    i2: float | None  # 0 to 1
    p_text: str
    model: str
    source_url: str
    locator: str
    comparable: bool  # an effect size that may stand beside ours on a forest plot
    at: Place


@dataclass(frozen=True, slots=True)
class RiskOfBias:
    """One row of ``risk_of_bias.csv``."""

    study_id: str
    effect_id: str
    tool: str
    tool_version: str
    domain: str
    judgement: str
    support: str
    reviewer: str
    date: dt.date
    at: Place


@dataclass(frozen=True, slots=True)
class Extraction:
    """All that people decided and copied for one claim."""

    claim: str
    studies: tuple[Study, ...]
    effects: tuple[EffectRow, ...]
    screening: tuple[Screening, ...]
    risk_of_bias: tuple[RiskOfBias, ...]
    published: tuple[PublishedResult, ...]
    notices: tuple[str, ...] = ()  # what was passed over in screening.csv, with its place

    def study(self, study_id: str) -> Study:
        return next(s for s in self.studies if s.study_id == study_id)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A row turned into yi and vi, with the way it was obtained."""

    row: EffectRow
    study: Study
    label: str  # unique within its analysis: "García-Suárez 2020 (HIIT)" when a study has two rows
    n: int  # people behind the estimate
    yi: float
    vi: float
    metric: str  # "raw SD", "change SD" or "none"
    r: float | None  # pre-post correlation used, None where none is needed
    derivation: str  # the formula with its numbers, readable by hand
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The analysis once more with one choice changed."""

    name: str  # "pre-post r = 0.7", "without Ferris 2007", "all rows", ...
    kind: str  # the key in the plan
    k: int
    result: PooledEffect | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One look at how a pooled effect holds: what was found in a sentence, and its table.

    ``cells`` are as people read them, ``data`` the same numbers on the analysis scale. Without a
    table the sentence says all there is, such as why nothing could be computed.
    """

    key: str  # "leave-one-out", "estimators", ...
    finding: str
    computed: bool = True  # False: the finding says why not
    caption: str = ""
    heads: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()  # which columns are set flush right
    cells: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()  # JSON-ready: null for what is undefined


@dataclass(frozen=True, slots=True)
class Dependence:
    """How rows on the same people were handled in one analysis; rows by their ``effect_id``."""

    way: Literal["three-level", "aggregate"]
    rho: float  # assumed sampling correlation of rows on the same people
    source: str  # of rho
    sharing: tuple[tuple[str, ...], ...]  # groups of two or more rows on the same people
    independent: int  # studies (three-level), estimates after combining (aggregate)
    units: tuple[tuple[str, ...], ...]  # the rows of each effect of the pool, in its order
    robust: PooledEffect | None  # three-level: the mean with its cluster-robust interval


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """One analysis of a claim: what went in, what came out, or why nothing did."""

    plan: Analysis
    estimates: tuple[Estimate, ...]  # primary rows
    extra: tuple[Estimate, ...]  # sensitivity rows, shown apart
    unusable: tuple[tuple[EffectRow, str], ...]  # rows of this analysis without yi and vi, and why
    result: PooledEffect | None  # the pool of the primary rows
    reason: str  # how it was pooled, or why not, in words
    note_only: PooledEffect | None = None  # k = 2: the pool, given as a note
    directions: DirectionCount | None = None  # of the primary rows, one vote a study
    near: DirectionCount | None = None  # of studies that give sensitivity rows only
    subgroups: tuple[tuple[str, str, PooledEffect], ...] = ()  # column, level, pool
    sensitivities: tuple[Sensitivity, ...] = ()
    dependence: Dependence | None = None  # None where the plan refuses rows on the same people
    robustness: tuple[Part, ...] = ()  # of a pooled analysis


@dataclass(frozen=True, slots=True)
class DirectionCount:
    """Direction of effect over results without a poolable number, one vote a study."""

    positive: int
    negative: int
    unknown: int
    mixed: int  # studies whose own results point both ways
    significant: int  # of all listed results
    not_significant: int
    sign_test_p: float | None  # known directions only, at least five; None below
    sign_test_note: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence generated from the numbers, which never says more than they do."""

    level: Literal["supported", "against", "uncertain", "not testable"]
    headline: str  # a few words for the table of claims
    sentence: str
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much literature lies behind the claim; None is "never searched"."""

    found: int | None
    screened: int
    included: int
    to_screen: int | None
    studies_known: int
    studies_contributing: int  # to any pooled or shown numerical estimate
    results_missing: int  # studies that bear on the claim and give no usable number
    people: int  # in the primary analysis


@dataclass(frozen=True, slots=True)
class ScreeningFlow:
    """Numbers for the PRISMA 2020 flow diagram (Page et al. 2021, BMJ 372:n71).

    Attributes
    ----------
    records : int or None
        Records that the claim holds; None where they were not given.
    screened, excluded : int
        Records decided by title and abstract; of them excluded. Those that entered at full text
        without a decision by title and abstract count as screened.
    pending : int
        Records with a decision that is not yet final by title and abstract: waiting for a second
        reviewer, or in conflict.
    sought, not_retrieved, awaiting, assessed : int
        Reports sought for retrieval; of them not retrieved, not yet decided, and assessed.
    reasons : tuple of (str, int)
        Reports excluded at full text by reason, the most frequent first; "" where none was given.
        Of several reasons ("a; b") the first counts.
    included : int
        Reports included.
    entered : int
        Of those sought, how many came without a decision by title and abstract.
    """

    records: int | None
    screened: int
    excluded: int
    pending: int
    sought: int
    not_retrieved: int
    awaiting: int
    assessed: int
    reasons: tuple[tuple[str, int], ...]
    included: int
    entered: int

    @property
    def excluded_at_full_text(self) -> int:
        return sum(n for _, n in self.reasons)


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A claim with all that is known about it: what the pages and tables show."""

    claim: Claim
    extraction: Extraction
    counts: Counts
    analyses: tuple[AnalysisResult, ...]
    directions: DirectionCount
    direction_rows: tuple[EffectRow, ...]  # every row without a poolable number, listed
    verdict: Verdict
    runs: tuple[SearchRun, ...] = ()
    ranking: tuple[tuple[Record, float], ...] = ()  # reading order with scores
    ranking_method: str = ""
    retracted: tuple[Study, ...] = ()
    notices: tuple[str, ...] = field(default=())  # "last search failed on ...; state of ... kept"
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # record: its sources
    flow: tuple[FromSource, ...] = ()  # how many records each source gave
    screening_flow: ScreeningFlow | None = None  # what became of them

    @property
    def primary(self) -> AnalysisResult:
        return next(a for a in self.analyses if a.plan.id == self.claim.plan.primary)
