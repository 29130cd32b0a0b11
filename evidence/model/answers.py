"""What the toolkit says of a claim: estimates, analyses, verdict, evidence row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evidence.claims import Analysis, Claim
from evidence.model.extraction import EffectRow, Extraction, Study
from evidence.model.record import Record
from evidence.model.search import FromSource, SearchRun
from meta.results import PooledEffect


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
class Certification:
    """A random sample of unscreened records, drawn to certify a screening, and what it says."""

    reviewer: str
    attempt: int  # of this reviewer
    drawn_on: dt.date
    target: float  # 0 to 1, share of the relevant records
    confidence: float  # 0 to 1
    size: int  # records
    read: int
    status: Literal["open", "unsettled", "failed", "certified"]
    words: str
    file: str


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
    certificates: tuple[Certification, ...] = ()  # the earliest first

    @property
    def primary(self) -> AnalysisResult:
        return next(a for a in self.analyses if a.plan.id == self.claim.plan.primary)
