"""The one weighted fit behind pooling, meta-regression and everything that refits studies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName
from meta.results import Effects
from meta.tau2 import TAU2, Tau2, estimate
from meta.weighted import MeanParts, Parts, Problem

Array = NDArray[np.float64]

# How a test is asked for, and the name under which results show it.
TESTS = {
    "wald": "Wald",
    "z": "Wald",
    "t": "t",
    "knapp-hartung": "Knapp-Hartung",
    "knha": "Knapp-Hartung",
    "ad hoc": "Knapp-Hartung (ad hoc)",
    "adhoc": "Knapp-Hartung (ad hoc)",
    "knapp-hartung (ad hoc)": "Knapp-Hartung (ad hoc)",
}


def test_named(name: str) -> str:
    """The name that results show for a kind of test or interval."""
    try:
        return TESTS[name.lower()]
    except (KeyError, AttributeError):
        raise UnknownName("test or interval", str(name), TESTS) from None


test_named.__test__ = False  # type: ignore[attr-defined]  # not for pytest to collect


MODELS = ("random", "common")


def method_of(model: str, tau2: str) -> str:
    """The estimator that a model uses: a key of ``TAU2``, or "EE" for the common effect."""
    if model not in MODELS:
        raise UnknownName("model", model, MODELS)
    if model == "common":
        return "EE"
    if tau2 not in TAU2:
        raise UnknownName("tau2 estimator", tau2, TAU2)
    return tau2


def check(effects: Effects, *, least: int = 1) -> None:
    """Refuse effects that no model can use, naming every study.

    Raises
    ------
    InputError
        If there are fewer than ``least`` studies, an effect is not finite, or a sampling variance
        is not positive and finite.
    """
    k = len(effects.yi)
    if k < least:
        raise InputError(
            "there is no study to pool" if k == 0 else f"{k} of at least {least} studies",
            remedy="add studies" if k else "",
        )
    y, v = effects.yi, effects.vi
    # The least and the greatest say whether all are sound; NaN comes first with both.
    if (
        v.item(v.argmin()) > 0
        and v.item(v.argmax()) < math.inf
        and math.isfinite(y.item(y.argmin()))
        and math.isfinite(y.item(y.argmax()))
    ):
        return
    good = np.isfinite(y) & np.isfinite(v) & (v > 0)
    places = []
    for i in np.flatnonzero(~good):
        if not math.isfinite(y[i]):
            places.append(f"{effects.study[i]}: effect {y[i]} is not a number")
        if not (math.isfinite(v[i]) and v[i] > 0):
            places.append(f"{effects.study[i]}: sampling variance {v[i]} is not positive")
    raise InputError(
        f"{len(places)} {'value' if len(places) == 1 else 'values'} cannot be used",
        places,
        remedy="correct these studies or leave them out by name",
    )


def check_level(level: float) -> float:
    """A confidence level between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(f"level = {level} is not between 0 and 1", remedy="use 0.95")
    return level


def check_weights(effects: Effects, weights: Any) -> Array | None:
    """The caller's weights as floats: one per study, none negative, not all zero."""
    if weights is None:
        return None
    w = np.asarray(weights, dtype=float)
    if w.shape != effects.yi.shape:
        raise InputError(f"{w.size} weights for {effects.k} studies", remedy="give one per study")
    wrong = ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        raise InputError(
            "weights must be finite and not negative",
            [f"{effects.study[i]}: weight {w[i]}" for i in np.flatnonzero(wrong)],
        )
    if not w.sum() > 0:
        raise InputError("all weights are zero")
    return w


def subset(effects: Effects, keep: Any) -> Effects:
    """The studies at these positions (an index or boolean array), in that order."""
    at = np.arange(effects.k)[keep]
    return replace(
        effects,
        study=tuple(effects.study[i] for i in at),
        yi=effects.yi[at],
        vi=effects.vi[at],
        cluster=tuple(effects.cluster[i] for i in at),
        dropped=(),
    )


@dataclass(eq=False)  # holds arrays
class Fit:
    """A weighted fit at its tau2, in the units of the effects and the order of the studies."""

    problem: Problem
    k: int
    p: int
    beta: Array  # (p,)
    vb: Array  # (p, p) of the coefficients, without any Knapp-Hartung factor
    tau2: Tau2
    method: str  # key of the estimator; "EE" for the common-effect model; "" for a given tau2
    parts: Parts  # at the weights used
    factor: float  # residual mean square at weights 1/(v + tau2); NaN where k = p
    q: float  # residual heterogeneity at weights 1/v
    typical_v: float  # (k - p)/tr P at weights 1/v
    own_weights: bool = False  # the caller's weights, not 1/(v + tau2)

    @cached_property
    def w(self) -> Array:
        """Weights used, shape (k,)."""
        unit = 1.0 if self.own_weights else self.problem.unit
        return self.problem.restored(self.parts.w) / unit

    @cached_property
    def resid(self) -> Array:
        """Effects minus fitted values, shape (k,)."""
        return self.problem.restored(self.parts.resid) * self.problem.scale

    @cached_property
    def hat(self) -> Array:
        """Diagonal of X(X'WX)^-1 X'W, shape (k,)."""
        return self.problem.restored(self.parts.hat())

    @property
    def df(self) -> int:
        return self.k - self.p

    @property
    def i2(self) -> float:
        """Share of the total variance that is heterogeneity, 0 to 1.

        Random effects: tau2/(tau2 + typical variance) (Higgins and Thompson 2002, Stat Med
        21:1539-1558, eq. 9); common effect: (Q - df)/Q held at zero.
        """
        if self.method == "EE":
            return max(0.0, 1 - self.df / self.q) if self.q > 0 else 0.0
        if self.df == 0:
            return 0.0
        return self.tau2.value / (self.tau2.value + self.typical_v)

    @property
    def h2(self) -> float:
        """Total over sampling variance, the companion of ``i2``."""
        if self.df == 0:
            return 1.0
        if self.method == "EE":
            return self.q / self.df
        return 1 + self.tau2.value / self.typical_v

    @property
    def q_p(self) -> float:
        """p of Q against chi-squared; upper tail evaluated as such, never 1 - cdf."""
        return float(scipy.special.chdtrc(self.df, self.q)) if self.df else 1.0

    def scale_of(self, test: str) -> float:
        """What the variance of the coefficients is multiplied by under a test."""
        if test == "Knapp-Hartung":
            return self.factor
        if test == "Knapp-Hartung (ad hoc)":
            return max(1.0, self.factor) if not math.isnan(self.factor) else math.nan
        return 1.0

    def df_of(self, test: str) -> int | None:
        """Degrees of freedom of a test; None for a normal one."""
        return None if test == "Wald" else self.df

    def loglik(self, *, restricted: bool) -> float:
        """Log-likelihood at the estimated tau2 and coefficients, with all constants."""
        problem, t = self.problem, self.tau2.value / self.problem.unit
        value = problem.loglik(t, restricted=restricted)
        if self.own_weights:  # then the coefficients are not those of highest likelihood
            resid = self.parts.resid
            here = float((resid / (problem.v + t)) @ resid)
            value -= 0.5 * (here - problem.rss(t)[0])
        return value


def fit(
    y: Array,
    v: Array,
    x: Array | None = None,
    *,
    tau2: str | float = "REML",
    weights: Array | None = None,
) -> Fit:
    """Fit y = X beta + u + e with var(e) = v, var(u) = tau2.

    Parameters
    ----------
    y, v : array of float, shape (k,)
        Effects and variances, already checked.
    x : array of float, shape (k, p), or None
        Design; None is the intercept alone.
    tau2 : str or float
        Key of an estimator, "EE" for none, or a known value.
    weights : array, shape (k,), optional
        Weights for the coefficients instead of 1/(v + tau2); the variance of the coefficients
        then is the sandwich that they imply.
    """
    problem = Problem(y, v, x)
    if isinstance(tau2, str):
        method = tau2
        between = Tau2(0.0, math.nan, "EE") if tau2 == "EE" else estimate(problem, tau2, weights)
    else:
        method, between = "", Tau2(float(tau2), math.nan)
    return fit_at(problem, between, method, weights)


def fit_at(problem: Problem, between: Tau2, method: str, weights: Array | None = None) -> Fit:
    """The weighted fit of a problem at a tau2."""
    k, p, unit = problem.k, problem.p, problem.unit
    zero, best = problem.zero(), problem.at(between.value / unit)
    parts = best if weights is None else problem.parts(problem.arranged(weights))
    if isinstance(parts, MeanParts):
        assert isinstance(best, MeanParts)
        beta = problem.shift + parts.mean * problem.scale
        mean_v = 1 / parts.total
        if weights is not None:
            mean_v = float((parts.w / best.w) @ parts.w) / (parts.total * parts.total)
        vb = np.array([[mean_v * unit]])
    else:
        beta, vb = _coefficients(problem, parts, None if weights is None else best)
    free = k - p
    return Fit(
        problem,
        k,
        p,
        beta,
        vb,
        between,
        method,
        parts,
        best.rss() / free if free > 0 else math.nan,
        zero.rss(),
        free / zero.trace() * unit if free > 0 else math.nan,
        weights is not None,
    )


def _coefficients(problem: Problem, parts: Parts, best: Parts | None) -> tuple[Array, Array]:
    """Coefficients, their variances; ``best`` has weights 1/(v + tau2) where others are used."""
    assert problem.through is not None
    beta = problem.shift + problem.through @ parts.coef * problem.scale
    half = problem.through @ parts.half.T
    if best is None:
        return beta, half @ half.T * problem.unit
    half = half @ parts.half
    return beta, half @ parts.inner(parts.w * parts.w / best.w) @ half.T * problem.unit


@lru_cache(maxsize=1024)
def quantile(level: float, df: int | None) -> float:
    """Two-sided critical value at a confidence level: normal, or t with df."""
    upper = 0.5 + level / 2
    if df is None:
        return float(scipy.special.ndtri(upper))
    return float(scipy.special.stdtrit(df, upper)) if df > 0 else math.nan


def two_sided_p(statistic: float, df: int | None) -> float:
    """Two-sided p from the lower tail at -|statistic|, which keeps its digits far out."""
    if df is None:
        return 2 * float(scipy.special.ndtr(-abs(statistic)))
    return 2 * float(scipy.special.stdtr(df, -abs(statistic))) if df > 0 else math.nan
