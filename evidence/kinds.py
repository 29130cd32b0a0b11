"""The further pictures of a pooled analysis: what each needs, and how it is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence.dependence import ThreeLevelPool
from evidence.errors import UnknownName
from evidence.figures import pictures
from evidence.model import AnalysisResult, EvidenceRow
from evidence.verdict import threshold
from meta import plots
from meta.adjusted import trim_and_fill
from meta.caution import ENOUGH_STUDIES, SmallSampleWarning
from meta.gosh import ALL_UP_TO, gosh
from meta.influence import cumulative, influence, leave_one_out
from meta.power import power_of_studies
from meta.results import PooledEffect

if TYPE_CHECKING:
    from meta.plots.style import Page

FOREST = "forest"
SEED = 1  # of subsets drawn for GOSH plots above twenty studies: the same picture every time


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture ready to be drawn, or the sentence that says why it cannot be."""

    claim: str
    name: str  # of the file, without its ending
    draw: Callable[[], Page] | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of picture of one pooled analysis."""

    key: str
    label: str  # inside a sentence: "a funnel plot"
    least: int  # studies
    draw: Callable[[EvidenceRow, AnalysisResult, PooledEffect], Page]
    rows_of_a_study: bool = False  # may several rows of one study stand in it?
    refuses: Callable[[EvidenceRow, AnalysisResult], str] = lambda row, analysis: ""


KINDS: dict[str, Kind] = {}


def _kind(key: str, label: str, *, least: int, **more: Any) -> Callable[[Any], Any]:
    def register(draw: Any) -> Any:
        KINDS[key] = Kind(key, label, least, draw, **more)
        return draw

    return register


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse a kind that there is not, before any work is done.

    Raises
    ------
    UnknownName
        With the kinds that there are.
    """
    for key in kinds:
        if key != FOREST and key not in KINDS:
            raise UnknownName("kind of picture", key, (FOREST, *KINDS))


def drawings(row: EvidenceRow, kinds: Sequence[str] = (FOREST,)) -> Iterator[Drawing]:
    """Every picture of these kinds of a claim; forest plots also of what is not pooled."""
    check_kinds(kinds)
    if FOREST in kinds:
        for picture in pictures(row):
            yield Drawing(row.claim.id, picture.name, picture.draw)
    further = [KINDS[key] for key in dict.fromkeys(kinds) if key != FOREST]
    for analysis in row.analyses if further else ():
        if analysis.result is None:
            where = f"{row.claim.id} {analysis.plan.id}"
            reason = f"{where}: nothing is pooled, so that only a forest plot can be drawn"
            yield Drawing(row.claim.id, analysis.plan.id, None, reason)
            continue
        for kind in further:
            yield _drawing(row, analysis, analysis.result, kind)


def _drawing(
    row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect, kind: Kind
) -> Drawing:
    claim, name = row.claim.id, f"{kind.key}-{analysis.plan.id}"
    if why := _why_not(row, analysis, result, kind):
        return Drawing(claim, name, None, f"{claim} {analysis.plan.id}: no {kind.label}, {why}")
    return Drawing(claim, name, lambda: kind.draw(row, analysis, result))


def _why_not(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect, kind: Kind) -> str:
    """Why a picture cannot be drawn; empty where it can."""
    if isinstance(result, ThreeLevelPool) and not kind.rows_of_a_study:
        return "which takes estimates as independent, and here rows share studies"
    if (k := result.effects.k) < kind.least:
        return f"which needs {kind.least} estimates, and there are {k}"
    return kind.refuses(row, analysis)


def _model(result: PooledEffect, analysis: AnalysisResult) -> dict[str, Any]:
    return {"model": result.model, "tau2": result.tau2_method or analysis.plan.tau2}


def _options(result: PooledEffect, analysis: AnalysisResult) -> dict[str, Any]:
    """The analysis as the functions of ``meta`` take it."""
    more = {"ci": analysis.plan.interval, "level": result.level}
    return {**_model(result, analysis), **more}


def _years(analysis: AnalysisResult) -> list[int | None]:
    """The year of each effect of the pool."""
    of = {e.row.effect_id: e.study.year for e in analysis.estimates}
    if analysis.dependence is None:
        return list(of.values())
    return [of[unit[0]] for unit in analysis.dependence.units]


def _unknown_years(row: EvidenceRow, analysis: AnalysisResult) -> str:
    assert analysis.result is not None
    study = analysis.result.effects.study
    missing = [s for s, year in zip(study, _years(analysis), strict=True) if year is None]
    return f"since the year of {', '.join(missing)} was not seen" if missing else ""


def _no_smallest_effect(row: EvidenceRow, analysis: AnalysisResult) -> str:
    if threshold(row.claim, analysis):
        return ""
    return "since the plan names no smallest effect of interest on its scale"


@_kind("funnel", "funnel plot", least=3, rows_of_a_study=True)
def _funnel(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    return plots.funnel(result, title=analysis.plan.title)


@_kind("sunset", "sunset funnel", least=3, refuses=_no_smallest_effect)
def _sunset(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    """A funnel shaded by the power for the plan's smallest effect."""
    sign = 1 if row.claim.plan.supports == "positive" else -1
    effect = result.effects.measure.null + sign * threshold(row.claim, analysis)
    power = power_of_studies(result.effects, effect)
    return plots.funnel(result, power=power, title=analysis.plan.title)


@_kind("trim-and-fill", "trim-and-fill funnel", least=ENOUGH_STUDIES)
def _trim_and_fill(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        fill = trim_and_fill(result.effects, **_options(result, analysis))
    return plots.funnel(result, fill=fill, title=analysis.plan.title)


@_kind("radial", "radial plot", least=3)
def _radial(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    return plots.radial(result, title=analysis.plan.title)


@_kind("baujat", "Baujat plot", least=3)
def _baujat(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    without = leave_one_out(result.effects, **_model(result, analysis))
    return plots.baujat(result, without, title=analysis.plan.title)


@_kind("leave-one-out", "leave-one-out plot", least=3)
def _leave_one_out(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    refits = leave_one_out(result.effects, **_options(result, analysis))
    return plots.leave_one_out_forest(refits, result, **_sides(analysis))


@_kind("cumulative", "cumulative plot", least=3, refuses=_unknown_years)
def _cumulative(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    refits = cumulative(result.effects, _years(analysis), **_options(result, analysis))
    return plots.cumulative_forest(refits, result, **_sides(analysis))


@_kind("influence", "influence plot", least=3)
def _influence(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    found = influence(result.effects, **_model(result, analysis), test=result.ci_method)
    return plots.influence_panel(found, result=result, title=analysis.plan.title)


@_kind("gosh", "GOSH plot", least=4)
def _gosh(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    rng = np.random.default_rng(SEED) if result.effects.k > ALL_UP_TO else None
    found = gosh(result.effects, **_model(result, analysis), rng=rng)
    return plots.gosh(found, result=result, title=analysis.plan.title)


@_kind("orchard", "orchard plot", least=3, rows_of_a_study=True)
def _orchard(row: EvidenceRow, analysis: AnalysisResult, result: PooledEffect) -> Page:
    return plots.orchard({analysis.plan.title: result})


def _sides(analysis: AnalysisResult) -> dict[str, Any]:
    plan = analysis.plan
    return {"left": plan.left, "right": plan.right, "title": plan.title}
