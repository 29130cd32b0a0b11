"""What the templates show of a claim: values joined up and worded, nothing decided here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from evidence.claims import Analysis, Search
from evidence.dependence import ROBUST, ThreeLevelPool, people, with_robust_interval
from evidence.dependence import weights as weights_of
from evidence.model import (
    AnalysisResult,
    EffectRow,
    Estimate,
    EvidenceRow,
    Part,
    PublishedResult,
    SearchRun,
    Sensitivity,
    Study,
)
from evidence.screening.state import ScreeningState
from evidence.site import words
from evidence.site.drawings import Bar, span, strip
from evidence.strategy.text import NumberedLine, numbered_lines
from evidence.tables import interval
from meta.measures import measure_named
from meta.measures.registry import Measure
from meta.results import PooledEffect, show, show_p

MISSING_IN_VERDICT = 2  # missing results named in the verdict; more are named in their section
SHOWN_IN_FULL = 6  # estimates listed on the front page before the rest becomes a link


@dataclass(frozen=True, slots=True)
class Shown:
    """One estimate as the page prints it."""

    estimate: Estimate
    value: str  # on the scale that people read
    bounds: str  # "0.12 to 0.92"
    interval: str  # "95% CI 0.12 to 0.92"
    weight: str
    role: str

    @property
    def row(self) -> EffectRow:
        return self.estimate.row

    @property
    def study(self) -> Study:
        return self.estimate.study


@dataclass(frozen=True, slots=True)
class Pool:
    """A pooled effect as the page prints it."""

    value: str
    bounds: str
    interval: str
    lies: str
    prediction: str
    prediction_method: str
    other_interval: str
    on_analysis_scale: str
    test: str
    result: PooledEffect


@dataclass(frozen=True, slots=True)
class Ending:
    """The spread of the leave-one-out estimates."""

    lowest: str
    highest: str
    including_no_effect: int
    of: int


@dataclass(frozen=True, slots=True)
class AnalysisView:
    """One analysis with its numbers in words, its rows and its miniature picture."""

    result: AnalysisResult
    measure: Measure
    primary: bool
    shown: tuple[Shown, ...]
    extra: tuple[Shown, ...]
    pool: Pool | None
    note: Pool | None
    subgroups: tuple[tuple[str, str, int, Pool], ...]
    sensitivities: tuple[tuple[Sensitivity, Pool | None], ...]
    left_out: tuple[tuple[Sensitivity, Pool | None], ...]
    left_out_span: Ending | None

    @property
    def plan(self) -> Analysis:
        return self.result.plan

    @property
    def k(self) -> int:
        return len(self.result.estimates)

    @property
    def people(self) -> int:
        return people(self.plan, self.result.estimates)

    @property
    def scale(self) -> str:
        return words.SCALES.get(self.measure.scale, self.measure.scale)

    @property
    def ci(self) -> str:
        """The heading of intervals: ``95% CI``."""
        return f"{words.level_text(self.plan.level)} CI"

    @property
    def transformed(self) -> bool:
        return self.measure.scale != "identity"

    @property
    def role(self) -> str:
        """What this analysis may do for the claim, in words."""
        if self.primary:
            return "Primary analysis"
        if self.plan.decides:
            return "May decide, not primary"
        if self.plan.design == "pre-post, one arm":
            return "Cannot decide: no control group"
        return "Does not decide: another question"

    @property
    def looks(self) -> tuple[Part, ...]:
        """How the pool holds: the looks that found something to tell."""
        return tuple(p for p in self.result.robustness if p.computed)

    @property
    def not_computed(self) -> tuple[str, ...]:
        """Why other looks give no number, a sentence each."""
        return tuple(p.finding for p in self.result.robustness if not p.computed)

    @property
    def shared_rows(self) -> tuple[tuple[Estimate, ...], ...]:
        """The rows that share people, a group each."""
        if self.result.dependence is None:
            return ()
        of = {e.row.effect_id: e for e in self.result.estimates}
        return tuple(tuple(of[i] for i in group) for group in self.result.dependence.sharing)

    @property
    def unusable_by_reason(self) -> tuple[tuple[str, tuple[EffectRow, ...]], ...]:
        """Rows of this question without a usable number, gathered under their reason."""
        gathered: dict[str, list[EffectRow]] = {}
        for effect, why in self.result.unusable:
            gathered.setdefault(why.rstrip("."), []).append(effect)
        return tuple((why, tuple(effects)) for why, effects in gathered.items())

    def bars(self) -> tuple[Bar, ...]:
        """The pool where there is one, else each estimate."""
        pooled = self.result.result
        if pooled is not None:
            return (Bar(pooled.estimate, *pooled.ci, "pool", pooled.prediction),)
        return tuple(
            Bar(e.yi, *interval(e, self.plan.level), "study") for e in self.result.estimates
        )

    def alt(self) -> str:
        """What the miniature shows, for those who do not see it."""
        if self.pool is not None:
            return f"{self.measure.label} {self.pool.value}, {self.pool.interval}"
        listed = "; ".join(f"{s.estimate.label} {s.value}, {s.interval}" for s in self.shown)
        return f"{self.measure.label} of each study: {listed}"

    def strip(self, axis: tuple[float, float] | None = None, *, labels: bool = True) -> Markup:
        bars = self.bars()
        if not bars:
            return Markup("")
        return strip(bars, self.measure, alt=self.alt(), axis=axis, labels=labels)


@dataclass(frozen=True, slots=True)
class StrategyPart:
    """A concept block, a filter, or the combination, with its numbered lines."""

    title: str
    about: str
    source: str | None
    lines: tuple[NumberedLine, ...]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim with everything its page prints."""

    row: EvidenceRow
    analyses: tuple[AnalysisView, ...]
    axes: dict[str, tuple[float, float]]  # measure key to the axis that its miniatures share
    other_rows: tuple[tuple[EffectRow, str], ...]  # seen nowhere else, and why
    without_rows: tuple[Study, ...]  # studies known, of which no result was extracted
    strategy: tuple[StrategyPart, ...]
    query: str

    @property
    def primary(self) -> AnalysisView:
        return next(a for a in self.analyses if a.primary)

    @property
    def direction_pairs(self) -> tuple[tuple[EffectRow, str], ...]:
        """Rows without a poolable number, each with what has to be said about it."""
        reasons = {effect.effect_id: why for a in self.row.analyses for effect, why in a.unusable}
        return tuple(
            (effect, _standing(effect, reasons.get(effect.effect_id, "")))
            for effect in self.row.direction_rows
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """The notices of the row, and one for each retraction that they do not name."""
        told = " ".join(self.row.notices)
        return (
            *(
                f"{study.label} was retracted: its rows stay visible and left every analysis"
                for study in self.row.retracted
                if study.label not in told
            ),
            *self.row.notices,
        )

    @property
    def missing_below(self) -> int:
        """Caveats that only name a missing result, where they are too many for the verdict."""
        listed = {f"Missing: {text}" for text in self.row.claim.plan.missing}
        found = sum(caveat in listed for caveat in self.row.verdict.caveats)
        return found if found > MISSING_IN_VERDICT else 0

    @property
    def caveats(self) -> tuple[str, ...]:
        if not self.missing_below:
            return self.row.verdict.caveats
        listed = {f"Missing: {text}" for text in self.row.claim.plan.missing}
        return tuple(caveat for caveat in self.row.verdict.caveats if caveat not in listed)

    def is_of_analysis(self, figure: str) -> bool:
        return any(figure == f"forest-{a.plan.id}" for a in self.analyses)

    @property
    def retracted(self) -> frozenset[str]:
        return frozenset(s.study_id for s in self.row.retracted)

    @property
    def last_run(self) -> SearchRun | None:
        """The newest search of any kind."""
        return max(self.row.runs, key=lambda run: run.ran_on, default=None)

    @property
    def full_runs(self) -> tuple[SearchRun, ...]:
        """The searches to report: of each source the newest full one, PubMed's first."""
        newest: dict[str, SearchRun] = {}
        for run in self.row.runs:
            before = newest.get(run.source)
            if run.kind == "full" and (before is None or run.ran_on > before.ran_on):
                newest[run.source] = run
        found = sorted(newest.values(), key=lambda run: (run.source != "pubmed", run.source))
        return tuple(found) or ((self.last_run,) if self.last_run else ())

    @property
    def other_runs(self) -> tuple[SearchRun, ...]:
        rest = [run for run in self.row.runs if all(run is not full for full in self.full_runs)]
        return tuple(sorted(rest, key=lambda run: run.ran_on, reverse=True))

    def study(self, study_id: str) -> Study:
        return self.row.extraction.study(study_id)

    def decisions(self) -> tuple[tuple[str, str, str, int], ...]:
        """Stage, reviewer, decision, count, of every decision that stands."""
        tally = ScreeningState(self.row.extraction.screening).tally()
        return tuple((*key, n) for key, n in sorted(tally.items()))

    def beside(self) -> tuple[AnalysisView, ...]:
        """Our own pooled analyses, for the table of published ones."""
        return tuple(a for a in self.analyses if a.pool is not None)

    @property
    def comparable(self) -> tuple[PublishedResult, ...]:
        """Published results that may stand beside ours, in the order of the file."""
        return tuple(p for p in self.row.extraction.published if p.comparable)

    @property
    def not_comparable(self) -> tuple[PublishedResult, ...]:
        return tuple(p for p in self.row.extraction.published if not p.comparable)

    def published_axis(self) -> tuple[float, float] | None:
        bars = [b for p in self.comparable if (b := published_bar(p)) is not None]
        ours = [b for a in self.beside() if not a.transformed for b in a.bars()]
        if not bars or any(a.transformed for a in self.beside()):
            return None
        return span([*bars, *ours], self.primary.measure)

    def published_strip(self, published: PublishedResult) -> Markup:
        axis, bar = self.published_axis(), published_bar(published)
        if axis is None or bar is None:
            return Markup("")
        alt = f"{published.estimate}, {published.ci_low} to {published.ci_high}"
        return strip([bar], self.primary.measure, alt=alt, axis=axis, labels=False)


def published_bar(published: PublishedResult) -> Bar | None:
    p = published
    if not p.comparable or p.estimate is None or p.ci_low is None or p.ci_high is None:
        return None
    return Bar(p.estimate, p.ci_low, p.ci_high, "published")


def claim_view(row: EvidenceRow, *, query: str) -> ClaimView:
    """Join up what one claim's page shows."""
    analyses = tuple(_analysis(row, result) for result in row.analyses)
    bars: dict[str, list[Bar]] = {}
    for a in analyses:
        bars.setdefault(a.plan.measure, []).extend(a.bars())
    axes = {key: span(found, measure_named(key)) for key, found in bars.items() if found}
    with_rows = {e.study_id for e in row.extraction.effects}
    return ClaimView(
        row=row,
        analyses=analyses,
        axes=axes,
        other_rows=tuple(_other_rows(row)),
        without_rows=tuple(s for s in row.extraction.studies if s.study_id not in with_rows),
        strategy=tuple(_strategy(row.claim.search)),
        query=query,
    )


def _analysis(row: EvidenceRow, result: AnalysisResult) -> AnalysisView:
    plan = result.plan
    measure = measure_named(plan.measure)
    weights = _weights(result)
    left_out = [s for s in result.sensitivities if s.kind == "leave-one-out"]
    others = [s for s in result.sensitivities if s.kind != "leave-one-out"]
    return AnalysisView(
        result=result,
        measure=measure,
        primary=plan.id == row.claim.plan.primary,
        shown=tuple(
            _shown(e, plan, measure, weight=w, role="primary")
            for e, w in zip(result.estimates, weights, strict=True)
        ),
        extra=tuple(_shown(e, plan, measure, weight="", role="sensitivity") for e in result.extra),
        pool=None if result.result is None else pool(plan, measure, result.result),
        note=None if result.note_only is None else pool(plan, measure, result.note_only),
        subgroups=tuple(
            (column.replace("_", " "), level, found.effects.k, pool(plan, measure, found))
            for column, level, found in result.subgroups
        ),
        sensitivities=_with_pools(plan, measure, others),
        left_out=_with_pools(plan, measure, left_out),
        left_out_span=_ending(measure, left_out),
    )


def _weights(result: AnalysisResult) -> list[str]:
    """The weight of each row; rows that were combined share one, which says so."""
    found = weights_of(result)
    if not found:
        return [""] * len(result.estimates)
    units = [] if result.dependence is None else result.dependence.units
    size = {row: len(unit) for unit in units for row in unit}
    told = []
    for e in result.estimates:
        text = words.percent(found[e.row.effect_id], 1)
        if (n := size.get(e.row.effect_id, 1)) > 1:
            text += f" for {n} rows together"
        told.append(text)
    return told


def _shown(e: Estimate, plan: Analysis, measure: Measure, *, weight: str, role: str) -> Shown:
    ci = interval(e, plan.level)
    bounds = words.between(measure, ci)
    return Shown(
        estimate=e,
        value=show(measure.natural(e.yi)),
        bounds=bounds,
        interval=f"{words.level_text(plan.level)} CI {bounds}",
        weight=weight,
        role=role,
    )


def _with_pools(
    plan: Analysis, measure: Measure, found: Sequence[Sensitivity]
) -> tuple[tuple[Sensitivity, Pool | None], ...]:
    return tuple((s, None if s.result is None else pool(plan, measure, s.result)) for s in found)


def _ending(measure: Measure, found: Sequence[Sensitivity]) -> Ending | None:
    results = [s.result for s in found if s.result is not None]
    if not results:
        return None
    estimates = [measure.natural(r.estimate) for r in results]
    return Ending(
        lowest=show(min(estimates)),
        highest=show(max(estimates)),
        including_no_effect=sum(r.ci[0] <= measure.null <= r.ci[1] for r in results),
        of=len(results),
    )


def pool(plan: Analysis, measure: Measure, result: PooledEffect) -> Pool:
    """A pooled effect in words, on both scales."""
    level = words.level_text(result.level)
    bounds = words.between(measure, result.ci)
    standard_error = f"standard error {show(result.se, 3)}"
    if measure.scale == "identity":
        scale = f"the scale shown; {standard_error}"
    else:
        low, high = (show(b, 3) for b in result.ci)
        name = words.SCALES.get(measure.scale, measure.scale)
        scale = f"{name}: {show(result.estimate, 3)} ({level} CI {low} to {high}), {standard_error}"
    letter = "z" if result.df is None else "t"
    return Pool(
        value=show(measure.natural(result.estimate)),
        bounds=bounds,
        interval=f"{level} CI {bounds}",
        lies=words.lies(measure, result.ci, plan.left, plan.right),
        prediction="" if result.prediction is None else words.between(measure, result.prediction),
        prediction_method=_prediction_method(result),
        other_interval=_other_interval(measure, result),
        on_analysis_scale=scale,
        test=f"{letter} = {show(result.statistic)}",
        result=result,
    )


def _other_interval(measure: Measure, result: PooledEffect) -> str:
    """The interval that is not shown as the first, in words."""
    if isinstance(result, ThreeLevelPool):
        return _robust_beside(measure, result)
    if result.ci_method == "Wald":
        return f"Knapp-Hartung instead: {words.between(measure, result.knapp_hartung_ci)}"
    return f"Wald instead: {words.between(measure, result.wald_ci)}"


def _robust_beside(measure: Measure, found: ThreeLevelPool) -> str:
    """The cluster-robust interval of a three-level mean, in words."""
    robust = with_robust_interval(found)
    if math.isnan(robust.se):
        return f"{words.capital(ROBUST)} instead: undefined, {'; '.join(found.robust.notes)}"
    df = "" if robust.df is None else f"{show(robust.df, 1)} degrees of freedom, "
    ends = words.between(measure, robust.ci)
    told = [f"{words.capital(ROBUST)} instead: {ends} ({df}{show_p(robust.p)})"]
    return "; ".join([*told, *found.robust.notes])


def _prediction_method(result: PooledEffect) -> str:
    if result.prediction is None:
        return ""
    named = words.degrees(result.prediction_df)
    method = result.prediction_method
    return method if "freedom" in method or "normal" in method else f"{method}; {named}"


def _standing(effect: EffectRow, why: str) -> str:
    """What sets a row apart from plain direction-only evidence; empty for the plain ones."""
    if effect.role == "context":
        return why if why.startswith("context") else "context: shown, not counted"
    return why if "retracted" in why else ""


def _other_rows(row: EvidenceRow) -> Iterator[tuple[EffectRow, str]]:
    """Rows that are neither estimates nor direction-only: they stay visible, with the reason."""
    elsewhere = {e.row.effect_id for a in row.analyses for e in (*a.estimates, *a.extra)}
    elsewhere |= {effect.effect_id for effect in row.direction_rows}
    reasons = {effect.effect_id: why for a in row.analyses for effect, why in a.unusable}
    for effect in row.extraction.effects:
        if effect.effect_id not in elsewhere:
            why = reasons.get(effect.effect_id) or (
                "belongs to no analysis of the plan" if not effect.analysis else effect.notes
            )
            yield effect, why


def _strategy(search: Search) -> Iterator[StrategyPart]:
    """The numbered lines, gathered under the block or filter to which they belong."""
    for concept, lines in groupby(numbered_lines(search), key=lambda line: line.concept):
        if concept in search.blocks:
            kind, part, source = "Concept", search.blocks[concept], None
        elif concept in search.filters:
            kind, part = "Filter", search.filters[concept]
            source = search.filters[concept].source
        else:
            yield StrategyPart("Combination", "", None, tuple(lines))
            continue
        name = concept.replace("_", " ")
        yield StrategyPart(f"{kind}: {name}", part.about, source, tuple(lines))
