"""Heterogeneity between studies: Q, I2, H2, intervals of tau2, prediction interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.errors import InputError, NotConverged, UnknownName
from meta.fitting import Fit, check, check_level, check_weights, fit, quantile
from meta.present import Presented, show
from meta.results import Effects
from meta.tau2 import DEFAULT_TAU2, solve_generalised_q, solve_q
from meta.weighted import Problem

Array = NDArray[np.float64]
Pair = tuple[float, float]

INTERVALS = {
    "QP": "Q-profile (Viechtbauer 2007, Stat Med 26:37-52)",
    "GENQ": "generalised Q (Jackson 2013, Res Synth Methods 4:220-229)",
    "PL": "profile likelihood (Hardy and Thompson 1996, Stat Med 15:619-629)",
}


@dataclass(frozen=True, slots=True)
class HeterogeneityInterval(Presented):
    """tau2 with its interval, and the same interval read as tau, I2 (0 to 1) and H2.

    ``null`` says that no tau2 at all agrees with the data at this level (the studies lie closer
    together than sampling error allows); both limits then are zero.
    """

    kind: str
    level: float
    tau2: float
    tau2_ci: Pair
    tau: float
    tau_ci: Pair
    i2: float
    i2_ci: Pair
    h2: float
    h2_ci: Pair
    null: bool

    def summary(self) -> str:
        """One line: tau² and I² with their intervals."""
        low, high = self.tau2_ci
        return (
            f"τ² = {show(self.tau2, 3)} ({self.level:.0%} CI {show(low, 3)} to {show(high, 3)}), "
            f"I² = {self.i2:.0%} ({self.i2_ci[0]:.0%} to {self.i2_ci[1]:.0%}); "
            f"{INTERVALS[self.kind].partition(' (')[0]}"
        )


def q_profile(problem: Problem, level: float) -> tuple[float, float, bool]:
    """Q-profile limits of tau2 in squared units of the effects, and whether the set is empty.

    The limits are where the generalised Q equals the upper and lower quantiles of chi-squared with
    k - p degrees of freedom (Viechtbauer 2007, eq. 12).
    """
    df = problem.k - problem.p
    if df < 1:
        return math.nan, math.nan, False
    above, below = _chi_squared(level, df)
    low = solve_q(problem, above)
    high = solve_q(problem, below, low)
    empty = high == 0 and closer_than_chance(problem.zero().rss(), df, level)
    return low * problem.unit, high * problem.unit, empty


@lru_cache(maxsize=1024)
def _chi_squared(level: float, df: int) -> Pair:
    """The quantiles of chi-squared between which a share ``level`` lies, the upper one first."""
    tail = (1 - level) / 2
    return float(scipy.special.chdtri(df, tail)), float(scipy.special.chdtri(df, 1 - tail))


def closer_than_chance(q: float, df: int, level: float) -> bool:
    """Whether Q lies below the lower quantile of chi-squared, so that no tau2 agrees with it."""
    return df > 0 and q < _chi_squared(level, df)[1]


def _generalised(
    problem: Problem, weights: Array | None, level: float
) -> tuple[float, float, bool]:
    df = problem.k - problem.p
    if df < 1:
        return math.nan, math.nan, False
    a = problem.given(weights)
    tail = (1 - level) / 2
    low = solve_generalised_q(problem, a, tail)
    high = solve_generalised_q(problem, a, 1 - tail)
    return low * problem.unit, high * problem.unit, high == 0


def _profile_likelihood(
    problem: Problem, peak: float, level: float, *, restricted: bool
) -> tuple[float, float, bool]:
    """Where twice the log-likelihood has fallen by the chi-squared quantile, on either side."""
    from scipy.optimize import brentq

    if problem.k <= problem.p:
        return math.nan, math.nan, False
    t = peak / problem.unit
    fall = 0.5 * float(scipy.special.chdtri(1, 1 - level))
    floor = problem.loglik(t, restricted=restricted) - fall

    def above(u: float) -> float:
        return problem.loglik(u, restricted=restricted) - floor

    low = 0.0
    if above(0.0) < 0:
        low = float(brentq(above, 0.0, t, xtol=1e-300, rtol=1e-14, maxiter=500))
    step = max(t, problem.v_min)
    near, far = t, t + step
    while above(far) > 0:
        near, step = far, 2 * step
        far += step
        if not math.isfinite(far):
            raise NotConverged("the profile likelihood has no upper limit", [f"tau2 > {near}"])
    high = float(brentq(above, near, far, xtol=1e-300, rtol=1e-14, maxiter=500))
    return low * problem.unit, high * problem.unit, False


def tau2_interval(
    effects: Effects,
    x: Any = None,
    *,
    kind: str = "QP",
    tau2: str = DEFAULT_TAU2,
    level: float = 0.95,
    weights: Any = None,
) -> HeterogeneityInterval:
    """Confidence interval of the between-study variance, also as tau, I2 and H2.

    Parameters
    ----------
    effects : Effects
        k studies.
    x : array, shape (k, p), optional
        Design with its intercept column; the interval is of the residual heterogeneity.
    kind : {"QP", "GENQ", "PL"}
        Q-profile, generalised Q (with ``weights``; 1/v without), profile likelihood (of the
        restricted likelihood when ``tau2`` is "REML", otherwise of the full one).
    tau2 : str
        Estimator of the point estimate.

    Raises
    ------
    InputError
        If ``kind="PL"`` goes with an estimator that is not a likelihood.
    """
    check(effects)
    check_level(level)
    kind = kind.upper()
    if kind not in INTERVALS:
        raise UnknownName("kind of tau2 interval", kind, INTERVALS)
    if kind == "PL" and tau2 not in ("ML", "REML"):
        raise InputError(
            f"a profile-likelihood interval does not go with {tau2}",
            remedy='use tau2="REML" or "ML", or kind="QP"',
        )
    w = check_weights(effects, weights)
    fitted = fit(effects.yi, effects.vi, _design(x), tau2=tau2, weights=w)
    problem = fitted.problem
    if kind == "QP":
        low, high, null = q_profile(problem, level)
    elif kind == "GENQ":
        low, high, null = _generalised(problem, w, level)
    else:
        low, high, null = _profile_likelihood(
            problem, fitted.tau2.value, level, restricted=tau2 == "REML"
        )
    typical = fitted.typical_v
    mid = fitted.tau2.value
    return HeterogeneityInterval(
        kind,
        level,
        mid,
        (low, high),
        math.sqrt(mid),
        (math.sqrt(low), math.sqrt(high)),
        mid / (mid + typical),
        (low / (low + typical), high / (high + typical)),
        1 + mid / typical,
        (1 + low / typical, 1 + high / typical),
        null,
    )


def _design(x: Any) -> Array | None:
    return None if x is None else np.asarray(x, dtype=float)


def prediction_named(method: str) -> str:
    """The kind of prediction interval that a name asks for: "HTS" or "metafor"."""
    name = {"auto": "HTS", "hts": "HTS", "metafor": "metafor"}.get(method.lower())
    if name is None:
        raise UnknownName("prediction interval", method, ("auto", "HTS", "metafor"))
    return name


def prediction_interval(
    fitted: Fit, *, method: str, test: str, level: float
) -> tuple[Pair | None, float | None, str]:
    """Where the effect of a new study is expected: limits, degrees of freedom, name.

    Parameters
    ----------
    method : {"auto", "HTS", "metafor"}
        "auto" is "HTS": t with k - 2 degrees of freedom, from three studies on (Higgins, Thompson
        and Spiegelhalter 2009, J R Stat Soc A 172:137-159, eq. 12). "metafor" is z, or t with
        k - 1 degrees of freedom where the confidence interval uses t.
    test : str
        The test of the confidence interval, whose standard error is used.
    """
    if prediction_named(method) == "HTS":
        if fitted.k < 3:
            return None, None, "none: fewer than three studies"
        left = fitted.k - 2
        df: int | None = left
        label = f"Higgins-Thompson-Spiegelhalter, t with {_degrees(left)}"
    else:
        df = fitted.df_of(test)
        label = "normal" if df is None else f"t with {_degrees(df)}"
    se2 = float(fitted.vb[0, 0]) * fitted.scale_of(test)
    half = quantile(level, df) * math.sqrt(se2 + fitted.tau2.value)
    mid = float(fitted.beta[0])
    return (mid - half, mid + half), None if df is None else float(df), label


def _degrees(df: int) -> str:
    return f"{df} degree{'' if df == 1 else 's'} of freedom"
