"""Profile-likelihood intervals of variance components, and tests of nested models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq, minimize

from meta.dependent.climb import climb
from meta.dependent.multilevel import MultilevelResult
from meta.errors import InputError, NotConverged, UnknownName
from meta.fitting import check_level
from meta.present import Presented
from meta.results import show, show_p

Array = NDArray[np.float64]
WIDE = 60  # doublings of a bound before an end of the interval counts as open


@dataclass(frozen=True, slots=True)
class ComponentInterval(Presented):
    """A variance or correlation with its profile-likelihood interval."""

    name: str
    kind: str
    estimate: float
    ci: tuple[float, float]
    level: float

    def summary(self) -> str:
        """One line: ``district σ² = 0.0651 (95% CI 0.0222 to 0.2072)``."""
        low, high = self.ci
        what = "σ²" if self.kind == "variance" else "ρ"
        return (
            f"{self.name} {what} = {show(self.estimate, 4)} ({self.level:.0%} CI {show(low, 4)} to "
            f"{show(high, 4)})"
        )

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, slots=True)
class NestedTest(Presented):
    """A likelihood-ratio test of a model within another."""

    statistic: float
    df: int
    p: float
    loglik_full: float
    loglik_reduced: float
    note: str = ""

    def summary(self) -> str:
        """One line: ``LRT = 15.56 (df = 1), p < 0.001``."""
        line = f"LRT = {show(self.statistic)} (df = {self.df}), {show_p(self.p)}"
        return f"{line}; {self.note}" if self.note else line

    def __str__(self) -> str:
        return self.summary()


def component_interval(
    result: MultilevelResult, name: str | None = None, *, kind: str = "", level: float | None = None
) -> tuple[ComponentInterval, ...]:
    """Profile-likelihood intervals of the variances and correlations.

    All values of a component at which the likelihood, maximised over the others, is within half
    the chi-squared quantile of its top (Hardy and Thompson 1996, Stat Med 15:619-629). An end at
    the edge of what is possible (0, or a correlation of 1) is that edge.

    Parameters
    ----------
    name, kind : str
        One component by its name (and "variance" or "correlation" where both have it); all
        estimated ones if left out.

    Raises
    ------
    UnknownName
        If there is no such component.
    NotConverged
        If an interval has no end that can be found.
    """
    level = check_level(result.level if level is None else level)
    wanted = [
        i
        for i, c in enumerate(result.components)
        if (name is None or c.name == name) and (not kind or c.kind == kind)
    ]
    if not wanted:
        raise UnknownName("component", name or kind, [c.name for c in result.components])
    out = []
    for i in wanted:
        c = result.components[i]
        if c.known or math.isnan(c.value):
            continue
        profile = _Profile(result, i)
        drop = float(special.chdtri(1, 1 - level)) / 2
        low = profile.end(-1, drop)
        high = profile.end(+1, drop)
        out.append(ComponentInterval(c.name, c.kind, c.value, (low, high), level))
    if not out:
        raise InputError("no component was estimated", remedy="known ones have no interval")
    return tuple(out)


class _Profile:
    """The likelihood along one component."""

    def __init__(self, result: MultilevelResult, index: int) -> None:
        self.fit = result.refit
        self.component = result.components[index]
        self.likelihood = self.fit.likelihood
        self.variance = self.component.kind == "variance"
        self.factor = self.likelihood.unit if self.variance else 1.0
        seen = 0
        for term, part in zip(self.likelihood.terms, self.likelihood.slices, strict=True):
            first, second = term.labels()
            if index < seen + len(first) + len(second):
                self.term, self.part, self.inside = term, part, index - seen
                break
            seen += len(first) + len(second)
        self.free_form = self.term.structure.correlations == 2
        self.best = self.fit.theta

    def at(self, value: float) -> float:
        """The highest log-likelihood with the component at a value (scaled)."""
        if self.free_form:
            return self._constrained(value)
        j = self.part.start + self.inside
        inside = math.sqrt(value) if self.variance and self._deviation() else value
        known = self.fit.known.copy()
        known[j] = True
        start = self.best.copy()
        start[j] = inside
        model = self.likelihood
        lower, upper = model.bounds()
        top = climb(
            model.value_at,
            model.slope_at,
            model.both_at,
            start,
            lower,
            upper,
            known,
            bend=model.bend_at,
        )
        return float(top.value)

    def _deviation(self) -> bool:
        return bool(self.term.structure.power(self.term.size)[self.inside] == 1)

    def _constrained(self, value: float) -> float:
        """As ``at`` for an unstructured covariance, whose parameters mix what is reported."""
        free = ~self.fit.known

        def whole(inside: Array) -> Array:
            theta = self.best.copy()
            theta[free] = inside
            return theta

        def miss(inside: Array) -> float:
            parts = self.term.reported(whole(inside)[self.part])
            return float(np.concatenate(parts)[self.inside] - value)

        def down(inside: Array) -> float:
            found = self.likelihood.value_at(whole(inside))
            return math.inf if found is None else -found

        def slope(inside: Array) -> Array:
            return np.asarray(-self.likelihood.slope_at(whole(inside), free))

        found = minimize(
            down,
            self.best[free],
            jac=slope,
            method="SLSQP",
            constraints=[{"type": "eq", "fun": miss}],
            options={"maxiter": 500, "ftol": 1e-10},
        )
        if abs(miss(found.x)) > 1e-6:
            return -math.inf
        return float(-found.fun)

    def end(self, side: int, drop: float) -> float:
        """Where the profile has fallen by ``drop`` on one side."""
        top = self.fit.value
        here = self.component.value / self.factor
        if self.variance:
            edge = 0.0 if side < 0 else math.inf
        else:
            low, high = self.term.structure.bounds(self.term.size)[-1]
            if self.free_form:
                low, high = -1.0, 1.0
            edge = low if side < 0 else high

        def gap(value: float) -> float:
            return self.at(value) - top + drop

        if math.isfinite(edge):
            if here == edge:
                return float(edge * self.factor)
            limit = edge if not self.free_form else edge - side * 1e-6
            if gap(limit) >= 0:
                return float(edge * self.factor)
            inner, outer = here, limit
        else:
            inner, step = here, max(here, 0.1)
            outer = here + step
            for _ in range(WIDE):
                if gap(outer) < 0:
                    break
                inner, step = outer, 2 * step
                outer = inner + step
            else:
                raise NotConverged(
                    f"the interval of {self.component.name!r} has no upper end",
                    remedy="there are too few groups to say how large it may be",
                )
        near = 1e-6 if self.free_form else 1e-9  # as exact as the profile itself
        return float(brentq(gap, inner, outer, xtol=near * abs(here), rtol=near) * self.factor)


def compare_nested(full: MultilevelResult, reduced: MultilevelResult) -> NestedTest:
    """Likelihood-ratio test of nested models of the same effects.

    With REML the coefficients must be the same, so that the models differ in their random effects
    alone. Where the reduced model has a variance of zero the p-value is too large (Self and Liang
    1987, JASA 82:605-610); the note says so.

    Raises
    ------
    InputError
        If the models were fitted to other effects, by other methods, or are not nested.
    """
    one, two = full.effects, reduced.effects
    if one.k != two.k or not (np.array_equal(one.yi, two.yi) and np.array_equal(one.vi, two.vi)):
        raise InputError("the models were fitted to other effects")
    if full.method != reduced.method and "EE" not in (full.method, reduced.method):
        raise InputError(f"one model is fitted by {full.method}, the other by {reduced.method}")
    reml = full.method == "REML"
    if reml and full.names != reduced.names:
        raise InputError(
            "restricted likelihoods of different coefficients cannot be compared",
            remedy='fit both with method="ML"',
        )
    a = full.restricted if reml else full.likelihood
    b = reduced.restricted if reml else reduced.likelihood
    df = a.parameters - b.parameters
    if df < 1:
        raise InputError("the second model is not within the first")
    statistic = max(0.0, 2 * (a.loglik - b.loglik))
    fewer = {c.name for c in full.components if not c.known} - {
        c.name for c in reduced.components if not c.known
    }
    note = "the null value is on the edge of what is possible: p is too large" if fewer else ""
    p = float(special.chdtrc(df, statistic))
    return NestedTest(statistic, df, p, a.loglik, b.loglik, note)
