"""Rows on the same people in one analysis: modelled in three levels, or combined before pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evidence.claims import Analysis
from evidence.errors import SchemaError
from evidence.model import AnalysisResult, Dependence, Estimate
from meta.dependent.aggregation import aggregate
from meta.dependent.covariance import covariance
from meta.dependent.multilevel import multilevel
from meta.dependent.predictions import predict_new
from meta.dependent.robust import RobustResult, robust
from meta.fitting import quantile, test_named
from meta.measures import given
from meta.pooling import pool
from meta.results import Effects, PooledEffect, show, show_p

NAN = math.nan
ROBUST = "cluster-robust CR2"
THREE_LEVEL_METHODS = ("REML", "ML")
THREE_LEVEL = "three-level"  # the model's name in a result


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)  # holds arrays
class ThreeLevelPool(PooledEffect):
    """The mean of a three-level model in the form of a pooled effect.

    ``tau2`` is the variance of true effects in all: between studies and within them.
    """

    rho: float  # assumed sampling correlation of rows on the same people
    between: float  # variance between studies; NaN where each study has one row
    between_i2: float  # its share of the total variance, 0 to 1
    within: float  # between the rows of one study
    within_i2: float
    studies: int
    robust: RobustResult

    def method(self) -> str:
        """The choices made, in words: ``three-level model, REML, rho = 0.60, t interval``."""
        how = f"{THREE_LEVEL} model, {self.tau2_method}"
        if self.model == "common":
            how = "common effect with correlated sampling errors"
        return f"{how}, rho = {show(self.rho)}, {self.ci_method} interval"

    def summary(self) -> str:
        """One line: the mean, its interval, how many estimates in how many studies, and I²."""
        mid, low, high = self.natural()
        return (
            f"{self.effects.measure.label} {show(mid)} ({self.level:.0%} CI {show(low)} to "
            f"{show(high)}), {self.effects.k} estimates in {self.studies} studies, "
            f"I² {self.i2:.0%}"
        )

    def heterogeneity(self) -> str:
        """One line: Q, its p, I² and the variance of each level."""
        line = f"Q = {show(self.q)} (df = {self.q_df}), {show_p(self.q_p)}"
        if self.model == "common":
            return line
        line += f"; I² = {self.i2:.0%}; "
        if math.isnan(self.between):
            return f"{line}τ² = {show(self.tau2, 3)} (each study has one row)"
        return (
            f"{line}σ² between studies = {show(self.between, 3)} (I² {self.between_i2:.0%}), "
            f"within studies = {show(self.within, 3)} (I² {self.within_i2:.0%})"
        )


# ------------------------------------------------------------------------- who shares people


def sharing(estimates: Sequence[Estimate]) -> list[tuple[Estimate, ...]]:
    """The rows in groups on the same people, in the order of first appearance.

    Rows are linked by ``dependent_with``, also by way of a third row, and by studies that
    ``same_as`` calls the same people.
    """
    names = {e.row.effect_id for e in estimates}
    several = {e.study.same_as for e in estimates if e.study.same_as}

    def links(e: Estimate) -> Iterable[Hashable]:
        yield "row", e.row.effect_id
        for other in e.row.dependent_with:
            if other in names:
                yield "row", other
        if e.study.same_as or e.study.study_id in several:
            yield "people", e.study.same_as or e.study.study_id

    return _connected(estimates, links)


def studies(estimates: Sequence[Estimate]) -> list[tuple[Estimate, ...]]:
    """The rows in groups of one study; studies that share people are one."""
    people = {e.row.effect_id: i for i, group in enumerate(sharing(estimates)) for e in group}

    def links(e: Estimate) -> Iterable[Hashable]:
        yield "study", e.study.study_id
        yield "people", people[e.row.effect_id]

    return _connected(estimates, links)


def _connected(
    estimates: Sequence[Estimate], links: Callable[[Estimate], Iterable[Hashable]]
) -> list[tuple[Estimate, ...]]:
    """Rows that hang together by what they have in common."""
    groups: list[tuple[list[Estimate], set[Hashable]]] = []
    for e in estimates:
        mine = set(links(e))
        joined = [g for g in groups if g[1] & mine]
        for members, ends in joined[1:]:
            joined[0][0].extend(members)
            joined[0][1].update(ends)
            groups.remove((members, ends))
        if joined:
            joined[0][0].append(e)
            joined[0][1].update(mine)
        else:
            groups.append(([e], mine))
    place = {e.row.effect_id: i for i, e in enumerate(estimates)}
    return [tuple(sorted(members, key=lambda e: place[e.row.effect_id])) for members, _ in groups]


def independent(plan: Analysis, estimates: Sequence[Estimate]) -> list[tuple[Estimate, ...]]:
    """What the plan takes as independent: each row, each group of people, or each study."""
    if plan.dependent == "aggregate":
        return sharing(estimates)
    if plan.dependent == "three-level":
        return studies(estimates)
    return [(e,) for e in estimates]


def people(plan: Analysis, estimates: Sequence[Estimate]) -> int:
    """The people behind the rows; those of several rows count once, by the largest of them."""
    if plan.dependent == "refuse":
        return sum(e.n for e in estimates)
    return sum(max(e.n for e in group) for group in sharing(estimates))


def refuse_shared_people(plan: Analysis, estimates: Sequence[Estimate]) -> None:
    """Two rows on the same people in one pool would count them twice.

    Raises
    ------
    SchemaError
        If the plan does not say how such rows are handled; names every pair.
    """
    ids = {e.row.effect_id: e for e in estimates}
    clashes = [
        f"{e.row.at}  {e.row.effect_id} shares people with {other}"
        for e in estimates
        for other in e.row.dependent_with
        if other in ids
    ]
    if clashes:
        raise SchemaError(
            f"analysis {plan.id!r} would count the same people twice",
            clashes,
            remedy="give one of the rows the role `sensitivity` or `context`, or plan how they "
            "are handled (`dependent` in the claim file)",
        )


# ------------------------------------------------------------------------------------- pools


def effects_of(
    plan: Analysis, estimates: Sequence[Estimate], cluster: Sequence[str] = ()
) -> Effects:
    """The estimates as the statistics package takes them."""
    return given(
        np.array([e.yi for e in estimates]),
        np.array([e.vi for e in estimates]),
        study=[e.label for e in estimates],
        cluster=list(cluster) or [e.study.study_id for e in estimates],
        measure=plan.measure,
    )


def pooled(
    plan: Analysis,
    estimates: Sequence[Estimate],
    *,
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    rho: float | None = None,
) -> PooledEffect:
    """Pool the rows as the plan says, or with a choice changed."""
    model, tau2, ci = model or plan.model, tau2 or plan.tau2, ci or plan.interval
    if plan.dependent == "refuse":
        effects = effects_of(plan, estimates)
        return pool(effects, model=model, tau2=tau2, ci=ci, level=plan.level)
    used = plan.rho if rho is None else rho
    assert used is not None  # the plan was read with this rule
    if plan.dependent == "aggregate":
        combined = combine(plan, estimates, used)
        found = pool(combined, model=model, tau2=tau2, ci=ci, level=plan.level)
        return replace(found, notes=(*found.notes, *combined.notes))
    return three_level(plan, estimates, rho=used, model=model, tau2=tau2, ci=ci)


def combine(plan: Analysis, estimates: Sequence[Estimate], rho: float) -> Effects:
    """One effect for each group of people; rows by themselves stay as they are."""
    groups = sharing(estimates)
    names = unit_labels(groups)
    of = {e.row.effect_id: name for name, group in zip(names, groups, strict=True) for e in group}
    effects = effects_of(plan, estimates, [of[e.row.effect_id] for e in estimates])
    found = aggregate(effects, structure="CS", rho=rho)
    several = sum(len(group) > 1 for group in groups)
    if not several:
        return replace(found, notes=())
    note = (
        f"{several} of {len(groups)} estimates combine rows on the same people "
        f"(sampling correlation assumed: rho = {show(rho)})"
    )
    return replace(found, notes=(note,))


def unit_labels(groups: Sequence[Sequence[Estimate]]) -> list[str]:
    """A name for each group of rows, unlike the others: a study's label with how many rows."""
    names: list[str] = []
    for group in groups:
        name = group[0].label
        if len(group) > 1:
            name = f"{group[0].study.label} ({len(group)} rows)"
        names.append(name if name not in names else f"{name}, {group[0].row.effect_id}")
    return names


def three_level(
    plan: Analysis,
    estimates: Sequence[Estimate],
    *,
    rho: float,
    model: str = "random",
    tau2: str = "REML",
    ci: str = "auto",
) -> ThreeLevelPool:
    """The mean of a model with an intercept for each study and for each row within it.

    Parameters
    ----------
    rho : float
        Assumed sampling correlation of rows on the same people, 0 to below 1.
    model : {"random", "common"}
        "common" has no intercepts, and the same sampling covariance.
    tau2 : {"REML", "ML"}
    ci : {"auto", "t", "Wald"}
        "auto" is t with as many degrees of freedom as there are studies, less one.

    References
    ----------
    Van den Noortgate et al. (2013), Behav Res Methods 45:576-594; with the cluster-robust interval
    beside it Pustejovsky and Tipton (2022), Prev Sci 23:425-438.
    """
    test = "t" if ci == "auto" else test_named(ci)
    _check(plan, tau2, test)
    cluster, shared = _codes(studies(estimates), estimates), _codes(sharing(estimates), estimates)
    effects = effects_of(plan, estimates, cluster)
    rows = [e.row.effect_id for e in estimates]
    fitted = multilevel(
        effects,
        covariance=covariance(effects, cluster=shared, obs=rows, rho=rho),
        method="EE" if model == "common" else tau2,
        test=test,
        level=plan.level,
    )
    checked = robust(fitted, level=plan.level)
    mean, se = float(fitted.beta[0]), float(fitted.se[0])
    df = None if fitted.df is None else float(fitted.df[0])
    half = quantile(plan.level, None) * se
    low, high = fitted.ci[0]
    levels = {c.name: c for c in fitted.components}
    outer, inner = levels.get("cluster"), levels.get("cluster/row", levels.get("row"))
    m = checked.n_clusters
    new = predict_new(fitted).prediction[0] if model == "random" and m >= 3 else None
    reason = "chosen by the analyst"
    if ci == "auto":
        reason = f"{m} studies; the cluster-robust interval stands beside it, since rho is assumed"
    return ThreeLevelPool(
        effects=effects,
        model=model if model == "common" else THREE_LEVEL,
        weights=fitted.weights,
        estimate=mean,
        se=se,
        ci=(float(low), float(high)),
        ci_method=test,
        ci_reason=reason,
        wald_ci=(mean - half, mean + half),
        knapp_hartung_ci=(NAN, NAN),
        statistic=float(fitted.statistic[0]),
        df=df,
        p=float(fitted.p[0]),
        level=plan.level,
        prediction=None if new is None else (float(new[0]), float(new[1])),
        prediction_df=df,
        prediction_method="" if new is None else "both variances together",
        tau2=0.0 if model == "common" else float(sum(c.value for c in fitted.components)),
        tau2_se=NAN,
        tau2_ci=(NAN, NAN),
        tau2_method="" if model == "common" else tau2,
        q=fitted.q,
        q_df=fitted.q_df,
        q_p=fitted.q_p,
        i2=fitted.i2 if model == "random" else NAN,
        h2=NAN,
        notes=fitted.notes,
        rho=rho,
        between=NAN if outer is None else outer.value,
        between_i2=NAN if outer is None else outer.i2,
        within=NAN if inner is None else inner.value,
        within_i2=NAN if inner is None else inner.i2,
        studies=m,
        robust=checked,
    )


def _check(plan: Analysis, tau2: str, test: str) -> None:
    """Refuse what a three-level model has no form of."""
    if tau2 not in THREE_LEVEL_METHODS:
        raise SchemaError(
            f"analysis {plan.id!r} is a three-level model, which {tau2} does not fit",
            remedy=f"use {' or '.join(THREE_LEVEL_METHODS)}",
        )
    if test not in ("t", "Wald"):
        raise SchemaError(
            f"analysis {plan.id!r} is a three-level model, which has no {test} interval",
            remedy="use auto (t) or Wald; the cluster-robust interval is always shown too",
        )


def _codes(groups: Sequence[Sequence[Estimate]], estimates: Sequence[Estimate]) -> list[str]:
    """The group of each row, named by its first row."""
    of = {e.row.effect_id: group[0] for group in groups for e in group}
    return [
        f"{of[e.row.effect_id].study.study_id}/{of[e.row.effect_id].row.effect_id}"
        for e in estimates
    ]


def with_robust_interval(found: ThreeLevelPool) -> ThreeLevelPool:
    """The same mean with its cluster-robust standard error, test and interval."""
    checked = found.robust
    df = float(checked.df[0])
    return replace(
        found,
        se=float(checked.se[0]),
        ci=(float(checked.ci[0, 0]), float(checked.ci[0, 1])),
        ci_method=ROBUST,
        ci_reason=checked.method,
        statistic=float(checked.statistic[0]),
        df=df if math.isfinite(df) else None,
        p=float(checked.p[0]),
        prediction=None,
        prediction_df=None,
        prediction_method="",
        notes=(*found.notes, *checked.notes),
    )


# -------------------------------------------------------------------------- what the pages say


def told(
    plan: Analysis, estimates: Sequence[Estimate], result: PooledEffect | None
) -> Dependence | None:
    """How rows on the same people were handled; None where the plan refuses them."""
    if plan.dependent == "refuse":
        return None
    assert plan.rho is not None
    assert plan.rho_source is not None
    groups = sharing(estimates)
    units = groups if plan.dependent == "aggregate" else [(e,) for e in estimates]
    return Dependence(
        way=plan.dependent,
        rho=plan.rho,
        source=plan.rho_source,
        sharing=tuple(tuple(e.row.effect_id for e in g) for g in groups if len(g) > 1),
        independent=len(independent(plan, estimates)),
        units=tuple(tuple(e.row.effect_id for e in unit) for unit in units),
        robust=with_robust_interval(result) if isinstance(result, ThreeLevelPool) else None,
    )


def method(plan: Analysis, result: PooledEffect) -> str:
    """How the rows were pooled, in words, with what was done to rows on the same people."""
    if plan.dependent == "aggregate":
        assert plan.rho is not None
        combined = f"rows on the same people combined first (rho = {show(plan.rho)})"
        return f"{combined}, then {result.method()}"
    return result.method()


def weights(analysis: AnalysisResult) -> dict[str, float]:
    """The weight of each row of a pool by its ``effect_id``; rows combined have that of the whole.

    Empty where nothing is pooled.
    """
    if analysis.result is None:
        return {}
    units = (
        tuple((e.row.effect_id,) for e in analysis.estimates)
        if analysis.dependence is None
        else analysis.dependence.units
    )
    return {
        row: float(weight)
        for unit, weight in zip(units, analysis.result.weights, strict=True)
        for row in unit
    }
