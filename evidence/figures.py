"""What a claim's forest plots show: its analyses as groups of rows, linked to their studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from evidence.model import AnalysisResult, Estimate, EvidenceRow, PublishedResult
from evidence.tables import interval, wald
from evidence.verdict import threshold
from meta.measures.registry import Measure, measure_named
from meta.plots import Group, Row, describe, forest

if TYPE_CHECKING:
    from meta.plots.style import Page


@dataclass(frozen=True, slots=True)
class Picture:
    """A forest plot to be drawn: its name, what it says in words, and its groups."""

    name: str
    title: str
    alt: str
    groups: tuple[Group, ...]
    measure: Measure
    left: str
    right: str
    smallest_effect: float | None
    columns: tuple[str, str] = ("n", "Exercise, time")

    def draw(self, *, width_mm: float = 170) -> Page:
        return forest(
            self.groups,
            measure=self.measure,
            columns=self.columns,
            left=self.left,
            right=self.right,
            smallest_effect=self.smallest_effect,
            width_mm=width_mm,
        )


def pictures(row: EvidenceRow) -> Iterator[Picture]:
    """One forest plot for each analysis with estimates, and one beside published results.

    Analyses answer different questions: each has a plot and a diamond of its own.
    """
    for analysis in row.analyses:
        if analysis.estimates or analysis.extra:
            yield _of_analysis(row, analysis)
    published = [p for p in row.extraction.published if p.comparable]
    if published:
        yield _beside_published(row, published)


def _of_analysis(row: EvidenceRow, analysis: AnalysisResult) -> Picture:
    plan = analysis.plan
    measure = measure_named(plan.measure)
    groups = []
    together = () if analysis.dependence is None else analysis.dependence.units
    combined = analysis.result is not None and any(len(unit) > 1 for unit in together)
    if analysis.estimates:
        rows = _combined(analysis) if combined else _rows(analysis, analysis.estimates)
        groups.append(
            Group(
                title=plan.title,
                rows=tuple(rows),
                result=analysis.result,
                note="" if analysis.result is not None else _sentence(analysis.reason),
            )
        )
    if combined:
        parts = {row for unit in together if len(unit) > 1 for row in unit}
        behind = [e for e in analysis.estimates if e.row.effect_id in parts]
        groups.append(
            Group(
                title="Rows on the same people, as extracted",
                rows=tuple(_rows(analysis, behind, alone=True)),
                result=None,
                note="",
            )
        )
    if analysis.extra:
        groups.append(
            Group(
                title="Sensitivity rows, not in the pool",
                rows=tuple(_rows(analysis, analysis.extra, sensitivity=True)),
                result=None,
                note="",
            )
        )
    is_primary = plan.id == row.claim.plan.primary
    limit = threshold(row.claim, analysis) if is_primary else 0.0
    return Picture(
        name=f"forest-{plan.id}",
        title=plan.title,
        alt=describe(groups, measure=measure),
        groups=tuple(groups),
        measure=measure,
        left=plan.left,
        right=plan.right,
        smallest_effect=limit or None,
    )


def _rows(
    analysis: AnalysisResult,
    estimates: Sequence[Estimate],
    *,
    sensitivity: bool = False,
    alone: bool = False,
) -> Iterator[Row]:
    """The rows as extracted; ``alone`` for rows that were combined before pooling."""
    weights: Sequence[float | None] = [None] * len(estimates)
    role: Literal["primary", "sensitivity", "unpooled"] = (
        "sensitivity" if sensitivity else "unpooled"
    )
    if analysis.result is not None and not sensitivity and not alone:
        role = "primary"
        weights = [float(w) for w in analysis.result.weights]
    for estimate, weight in zip(estimates, weights, strict=True):
        what = ", ".join(t for t in (estimate.row.exercise, estimate.row.timepoint) if t)
        yield Row(
            label=estimate.label,
            yi=estimate.yi,
            ci=interval(estimate, analysis.plan.level),
            weight=weight,
            columns=(str(estimate.n), what),
            role=role,
            href=estimate.study.link,
        )


def _combined(analysis: AnalysisResult) -> Iterator[Row]:
    """The effects that were pooled, those combined of several rows among them."""
    assert analysis.dependence is not None
    assert analysis.result is not None
    effects, of = analysis.result.effects, {e.row.effect_id: e for e in analysis.estimates}
    for i, unit in enumerate(analysis.dependence.units):
        rows = [of[row] for row in unit]
        what = [", ".join(t for t in (e.row.exercise, e.row.timepoint) if t) for e in rows]
        yi, vi = float(effects.yi[i]), float(effects.vi[i])
        yield Row(
            label=effects.study[i],
            yi=yi,
            ci=wald(yi, vi, analysis.plan.level),
            weight=float(analysis.result.weights[i]),
            columns=(str(max(e.n for e in rows)), "; ".join(dict.fromkeys(what))),
            role="primary",
            href=rows[0].study.link,
        )


def _beside_published(row: EvidenceRow, published: Sequence[PublishedResult]) -> Picture:
    """Our pools and the published ones on one axis of standardised effects, each as it is.

    They need not share a measure or a question, so each is named and nothing is pooled over them.
    """
    primary = row.primary
    groups = [
        Group(
            title=f"This review: {a.plan.title} ({a.plan.measure})",
            rows=() if a.result is not None else tuple(_rows(a, a.estimates)),
            result=a.result,
            note="" if a.result is not None else _sentence(a.reason),
        )
        for a in row.analyses
        if a.result is not None or (a is primary and a.estimates)
    ]
    groups.append(
        Group(
            title="Published meta-analyses, as published",
            rows=tuple(
                Row(
                    label=p.meta_analysis,
                    yi=p.estimate,
                    ci=(p.ci_low, p.ci_high),
                    weight=None,
                    columns=(p.n, p.question),
                    role="published",
                    href=p.source_url,
                )
                for p in published
                if p.estimate is not None and p.ci_low is not None and p.ci_high is not None
            ),
            result=None,
            note="",
        )
    )
    mixed = replace(
        measure_named("SMD"),
        key="Effect",
        label="Standardised effect, measured as each source does",
    )
    return Picture(
        name="forest-published",
        title="Beside the published meta-analyses",
        alt=describe(groups, measure=mixed),
        groups=tuple(groups),
        measure=mixed,
        left=primary.plan.left,
        right=primary.plan.right,
        smallest_effect=None,
        columns=("n", "Question"),
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
