"""What people copied and decided: the rows of the files below ``extracted/``."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

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
