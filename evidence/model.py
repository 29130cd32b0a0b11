"""The nouns: what a record, a study, a row and an answer are. Frozen; absence is ``None``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True)
class Record:
    """One PubMed record, as last received."""

    pmid: str
    title: str
    abstract: str  # sections joined as "LABEL: text"
    authors: tuple[str, ...]  # "Family Initials", in order
    year: int | None
    journal: str
    doi: str | None
    pmcid: str | None
    mesh: tuple[str, ...]
    kinds: tuple[str, ...]  # publication types
    keywords: tuple[str, ...]
    language: str
    status: str  # MedlineCitation/@Status
    version: int
    retracted: bool
    notices: tuple[
        str, ...
    ]  # "RetractionIn: Journal. 2020;1:2 (PMID 1)", errata, concerns, updates
    revised: str | None  # DateRevised, ISO day


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


@dataclass(frozen=True, slots=True)
class Screening:
    """One decision; the latest row of a record, stage and reviewer wins."""

    record: str  # PMID, or a study id where no PMID is known
    stage: Literal["title-abstract", "full-text"]
    reviewer: str
    decision: Literal["include", "exclude", "unsure"]
    reason: str
    date: dt.date
    at: Place


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

    @property
    def primary(self) -> AnalysisResult:
        return next(a for a in self.analyses if a.plan.id == self.claim.plan.primary)
