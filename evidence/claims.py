"""A claim as data: the model of ``queries/NAME.toml``."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _one_line(text: str) -> str:
    """Claim files wrap long texts over several lines; the breaks mean nothing."""
    return " ".join(text.split())


Text = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Pmid = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
Share = Annotated[float, Field(ge=0, lt=1)]  # a correlation that is not negative


class Part(BaseModel):
    """A part of a claim file: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class RestsOn(Part):
    """Evidence on which the review rests the claim, in our own words."""

    authors: Text
    year: int
    pmid: Pmid | None = None
    doi: Text | None = None
    says: Text  # what the work reports, in our own words
    source: Text  # where that was read


class Pico(Part):
    population: Text
    intervention: Text
    comparator: Text
    outcome: Text


class Eligibility(Part):
    include: tuple[Text, ...] = Field(min_length=1)
    exclude: tuple[Text, ...] = Field(min_length=1)


class ScreeningPlan(Part):
    """How records are screened: by how many people, and what their page offers them."""

    reviewers: Literal[1, 2] = 1  # who must decide on a record by title and abstract
    full_text_reviewers: Literal[1, 2] | None = None  # the same at full text; None: as many
    blind: bool = True  # nobody sees the others' decisions on a record before their own
    reasons: tuple[Text, ...] = ()  # of exclusion, first choice first; empty: eligibility.exclude
    highlight: tuple[Text, ...] = ()  # words marked as speaking for a record
    highlight_against: tuple[Text, ...] = ()  # words marked as speaking against it
    views: tuple[Text, ...] = ()  # of the reading order: "NAME" or "NAME=WEIGHT"; 0 switches off

    def required(self, stage: str) -> int:
        """How many people must decide at "title-abstract" or "full-text"."""
        if stage == "full-text" and self.full_text_reviewers is not None:
            return self.full_text_reviewers
        return self.reviewers


class Line(Part):
    """One line of a concept block, and why it is there."""

    terms: Text
    why: Text


class Block(Part):
    """A concept: its lines are joined by OR."""

    about: Text
    lines: tuple[Line, ...] = Field(min_length=1)

    def query(self) -> str:
        return " OR ".join(line.terms for line in self.lines)


class Filter(Block):
    """A study-design or human limit; ``source`` cites a published filter or says "own"."""

    source: Text


class Known(Part):
    """A record that the search ought to find. Recall is never claimed unmeasured."""

    pmid: Pmid
    cite: Text
    status: Literal["found", "missed", "not yet verified"]
    checked: dt.date | None = None
    source: Text  # where the PMID was seen, or which search verified it

    @model_validator(mode="after")
    def _dated(self) -> Known:
        if self.status != "not yet verified" and self.checked is None:
            raise ValueError(f"status {self.status!r} needs the date on which it was checked")
        return self


class Search(Part):
    """The PubMed strategy: named concept blocks and filters, combined at the end.

    ``combine`` refers to each by ``#name``: ``#hiit AND #bdnf NOT #animals_only``.
    """

    source: Literal["pubmed"] = "pubmed"
    written: dt.date
    blocks: dict[Name, Block] = Field(min_length=1)
    filters: dict[Name, Filter] = Field(default_factory=dict)
    combine: Text
    limits: Text  # date, language and other limits with their reason, or "none: ..."
    peer_review: Text  # who reviewed the strategy (PRESS), or "none yet"
    notes: Text | None = None
    known: tuple[Known, ...] = ()

    @model_validator(mode="after")
    def _names_match(self) -> Search:
        used = set(re.findall(r"#([a-z][a-z0-9_]*)", self.combine))
        known = {**self.blocks, **self.filters}
        if missing := sorted(used - set(known)):
            raise ValueError(f"combine names #{missing[0]}, which is neither a block nor a filter")
        if unused := sorted(set(self.blocks) - used):
            raise ValueError(f"block {unused[0]!r} is not used in combine")
        return self

    def query(self) -> str:
        """The whole strategy as PubMed receives it."""
        parts = {**self.blocks, **self.filters}
        return re.sub(
            r"#([a-z][a-z0-9_]*)", lambda m: f"({parts[m.group(1)].query()})", self.combine
        )


class SmallestEffect(Part):
    """The smallest effect of interest; ``value`` is None where the field has none."""

    value: float | None = None  # on the scale of ``measure``
    measure: Text | None = None
    source: Text  # where it comes from, or why there is none

    @model_validator(mode="after")
    def _measure_named(self) -> SmallestEffect:
        if (self.value is None) != (self.measure is None):
            raise ValueError("value and measure come together, or neither")
        return self


class Correlation(Part):
    """An assumed pre-post correlation; it rescales both yi and vi."""

    outcome: Text  # matched as a prefix of the row's ``outcome_group``
    value: float = Field(ge=0, lt=1)
    sensitivity: tuple[float, ...] = Field(min_length=1)
    source: Text


class Preference(Part):
    """Which result counts when a study offers several, first choice first."""

    timepoints: tuple[Text, ...]
    matrices_or_regions: tuple[Text, ...]
    arms: tuple[Text, ...]
    statistics: tuple[Text, ...]  # for instance: means and SDs before exact p


SensitivityKey = Literal[
    "leave-one-out",  # each study left out once
    "pre-post-r",  # the other correlations of [[plan.pre_post_r]]
    "all-rows",  # primary and sensitivity rows together
    "fully-reported",  # tier A only
    "common-effect",
    "tau2-dl",
    "tau2-pm",
    "wald",
    "heteroscedastic-variance",  # SMCRH / SMDH variance
]


class Analysis(Part):
    """One question, one pool. Designs that answer different questions are never mixed."""

    id: Slug
    title: Text
    question: Text
    design: Literal["between groups", "pre-post, one arm", "correlation", "case-control"]
    measure: Text  # a key of meta.MEASURES
    standardiser: Literal["raw SD", "change SD", "none"]
    decides: bool  # may this analysis support the claim? Uncontrolled pre-post never does
    pool: bool = True  # False: rows are shown side by side and never pooled; say why in ``note``
    model: Literal["random", "common"] = "random"
    tau2: Text = "REML"
    interval: Literal["auto", "Wald", "Knapp-Hartung"] = "auto"
    level: float = Field(default=0.95, gt=0.5, lt=1)
    outcome_group: Text  # selects [[plan.pre_post_r]]
    left: Text  # what lies left of no effect, in the claim's words
    right: Text
    subgroups: tuple[Text, ...] = ()  # columns of effects.csv
    sensitivity: tuple[SensitivityKey, ...] = ()
    note: Text | None = None
    dependent: Literal["refuse", "three-level", "aggregate"] = "refuse"  # rows on the same people
    rho: Share | None = None  # assumed sampling correlation of rows on the same people
    rho_sensitivity: tuple[Share, ...] = ()  # other values of rho to try
    rho_source: Text | None = None  # where rho comes from; say so if it is an assumption

    @model_validator(mode="after")
    def _rho_goes_with_dependent(self) -> Analysis:
        if self.dependent == "refuse":
            if self.rho is not None or self.rho_sensitivity or self.rho_source is not None:
                raise ValueError("rho is for dependent = 'three-level' or 'aggregate'")
            return self
        if self.rho is None or self.rho_source is None:
            raise ValueError(f"dependent = {self.dependent!r} needs rho and rho_source")
        if self.dependent == "three-level":
            if self.model != "random" or self.tau2 not in ("REML", "ML"):
                raise ValueError("a three-level model has random effects, by REML or ML")
            if self.interval == "Knapp-Hartung":
                raise ValueError("a three-level model has no Knapp-Hartung interval")
            if set(self.sensitivity) & {"tau2-dl", "tau2-pm"}:
                raise ValueError("a three-level model is not fitted by DL or PM")
        return self

    @model_validator(mode="after")
    def _honest(self) -> Analysis:
        if self.decides and self.design == "pre-post, one arm":
            raise ValueError("an uncontrolled pre-post analysis cannot decide a claim")
        if not self.pool and not self.note:
            raise ValueError("pool = false needs a note that says why")
        return self


class Plan(Part):
    written: dt.date
    after_data_seen: bool
    statement: Text  # says in words when the plan was written relative to the data
    primary: Slug  # the id of the analysis that counts
    supports: Literal["positive", "negative"]  # the sign of yi that supports the claim
    smallest_effect: SmallestEffect
    preference: Preference
    pre_post_r: tuple[Correlation, ...] = ()
    analyses: tuple[Analysis, ...] = Field(min_length=1)
    missing: tuple[Text, ...] = ()  # results that are needed and not reported, in words

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        ids = [a.id for a in self.analyses]
        if len(set(ids)) < len(ids):
            raise ValueError("two analyses have the same id")
        if self.primary not in ids:
            raise ValueError(f"primary = {self.primary!r} is not the id of an analysis")
        return self


class Claim(Part):
    """A claim of the review, with all that is needed to search for it and to judge it."""

    id: Slug
    title: Text  # a few words, for tables
    statement: Text  # the claim as one sentence
    review: Text  # which review makes it
    version: Text
    rests_on: tuple[RestsOn, ...] = Field(min_length=1)
    pico: Pico
    eligibility: Eligibility
    search: Search
    plan: Plan
    screening: ScreeningPlan = Field(default_factory=ScreeningPlan)

    @property
    def exclusion_reasons(self) -> tuple[str, ...]:
        """The reasons that reviewers choose from: the list of the plan, else the criteria."""
        return self.screening.reasons or self.eligibility.exclude

    def protocol_text(self) -> str:
        """The words of the protocol, for ranking before any decision exists."""
        pico = self.pico
        return " ".join(
            (
                self.statement,
                pico.population,
                pico.intervention,
                pico.comparator,
                pico.outcome,
                *self.eligibility.include,
            )
        )
