"""Power: of the test of a pooled effect, of heterogeneity, and of each study by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq

from meta.errors import InputError, UnknownName
from meta.fitting import check, method_of, test_named
from meta.pooling import pool
from meta.quadratic import upper_tail
from meta.results import DASH, Effects, show
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan
SIDES = ("two-sided", "greater", "less")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class StudyPower:
    """Power of each study to detect an effect, what a sunset funnel shows."""

    effects: Effects
    effect: float  # assumed true effect on the analysis scale, from no effect
    assumed: str  # where it came from
    alpha: float
    side: str
    power: Array  # (k,)
    median: float
    detectable: Array  # (k,) effect that each study finds with power 0.8

    def summary(self) -> str:
        """One line: the assumed effect, median power and how many studies reach 80%."""
        enough = int((self.power >= 0.8).sum())
        natural = self.effects.measure.natural(self.effect)
        return (
            f"At {self.effects.measure.label} {show(natural)} ({self.assumed}) the median power is "
            f"{self.median:.0%}; {enough} of {self.effects.k} studies reach 80%"
        )

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study."""
        return [
            {"study": s, "se": math.sqrt(v), "power": float(p), "detectable": float(d)}
            for s, v, p, d in zip(
                self.effects.study,
                self.effects.vi.tolist(),
                self.power,
                self.detectable,
                strict=True,
            )
        ]

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, slots=True)
class PoolPower:
    """Power of a meta-analysis to detect an effect."""

    k: int
    effect: float  # assumed true mean effect, from no effect
    tau2: float
    alpha: float
    side: str
    test: str  # "Wald" or "Knapp-Hartung"
    se: float  # of the pooled effect
    power: float
    detectable: float  # effect that is found with power 0.8; NaN where none is

    def summary(self) -> str:
        """One line: the power and the smallest effect found with power 80%."""
        found = DASH if math.isnan(self.detectable) else show(self.detectable, 3)
        return (
            f"{self.k} {'study' if self.k == 1 else 'studies'}, effect {show(self.effect, 3)}, "
            f"τ² = {show(self.tau2, 3)}: power {self.power:.0%} ({self.test}, {self.side}, "
            f"α = {self.alpha:g}); 80% at {found}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict."""
        return [
            {
                "k": self.k,
                "effect": self.effect,
                "tau2": self.tau2,
                "se": self.se,
                "power": self.power,
                "detectable": self.detectable,
            }
        ]

    def __str__(self) -> str:
        return self.summary()


def power_of_studies(
    effects: Effects,
    effect: float | None = None,
    *,
    alpha: float = 0.05,
    side: str = "two-sided",
) -> StudyPower:
    """Power of each study's own Wald test.

    Parameters
    ----------
    effect : float, optional
        True effect on the analysis scale. Left out, it is the common-effect estimate, which
        smaller studies with larger effects move least; beware that power at an estimate from
        the same studies says nothing that their p-values do not say.
    side : {"two-sided", "greater", "less"}
        Alternative hypothesis; effects are measured from the measure's value of no effect.

    References
    ----------
    Kossmeier, Tran and Voracek (2020), Z Psychol 228:43-49 (sunset funnel); Ioannidis, Stanley
    and Doucouliagos (2017), Econ J 127:F236-F265 (median power).
    """
    check(effects)
    _check(alpha, side)
    null = _null(effects)
    assumed = "assumed"
    if effect is None:
        effect, assumed = pool(effects, model="common").estimate, "common-effect estimate"
    se = np.sqrt(effects.vi)
    power = np.array([normal_power((effect - null) / s, alpha, side) for s in se.tolist()])
    unit = _detectable(lambda ratio: normal_power(ratio, alpha, side), side)
    return StudyPower(
        effects,
        float(effect),
        assumed,
        alpha,
        side,
        power,
        float(np.median(power)),
        null + unit * se,
    )


def power_of_pool(
    effects: Effects,
    effect: float,
    *,
    model: str = "random",
    tau2: str | float = DEFAULT_TAU2,
    test: str = "Wald",
    alpha: float = 0.05,
    side: str = "two-sided",
) -> PoolPower:
    """Power of the test of the pooled effect in these studies, or in planned ones.

    Only the sampling variances of ``effects`` matter, and their effects where tau2 is estimated
    from them; for studies that are only planned, give tau2 as a number.

    Parameters
    ----------
    effect : float
        True mean effect on the analysis scale.
    tau2 : str or float
        Estimator, a key of ``meta.tau2.TAU2``, or a known value; not used by the common effect.
    test : {"Wald", "Knapp-Hartung"}
        Under "Knapp-Hartung" (also "t") the power is that of a t test with k - 1 degrees of
        freedom: near, since the estimated weights are taken as fixed.

    References
    ----------
    Hedges and Pigott (2001), Psychol Methods 6:203-217.
    """
    check(effects)
    _check(alpha, side)
    chosen = test_named(test)
    if isinstance(tau2, str):
        method_of(model, tau2)
        value = pool(effects, model=model, tau2=tau2).tau2
    else:
        method_of(model, DEFAULT_TAU2)
        if not (tau2 >= 0 and math.isfinite(tau2)):
            raise InputError(f"tau2 = {tau2} is not a variance", remedy="give zero or more")
        value = float(tau2) if model == "random" else 0.0
    se = 1 / math.sqrt(float((1 / (effects.vi + value)).sum()))
    df = None if chosen == "Wald" else effects.k - 1
    ratio = (effect - _null(effects)) / se

    def at(ratio: float) -> float:
        return normal_power(ratio, alpha, side) if df is None else t_power(ratio, df, alpha, side)

    return PoolPower(
        effects.k,
        float(effect),
        value,
        alpha,
        side,
        "Wald" if df is None else "Knapp-Hartung",
        se,
        at(ratio),
        _null(effects) + _detectable(at, side) * se,
    )


def power_of_heterogeneity(effects: Effects, tau2: float, *, alpha: float = 0.05) -> float:
    """Power of the Q test at a true between-study variance, for studies of these variances.

    Q then is a weighted sum of chi-squared variables; its tail is exact (``meta.quadratic``), where
    Hedges and Pigott match two moments.

    References
    ----------
    Hedges and Pigott (2001), Psychol Methods 6:203-217.
    """
    check(effects, least=2)
    _check(alpha, "two-sided")
    if not (tau2 >= 0 and math.isfinite(tau2)):
        raise InputError(f"tau2 = {tau2} is not a variance", remedy="give zero or more")
    w = 1 / effects.vi
    limit = float(special.chdtri(effects.k - 1, alpha))
    return upper_tail(limit, 1 + tau2 * w, np.sqrt(w / w.sum())[:, None])


def normal_power(ratio: float, alpha: float, side: str) -> float:
    """Power of a z test at an expected z."""
    if side == "two-sided":
        limit = -float(special.ndtri(alpha / 2))
        return float(special.ndtr(ratio - limit) + special.ndtr(-ratio - limit))
    limit = -float(special.ndtri(alpha))
    return float(special.ndtr((ratio if side == "greater" else -ratio) - limit))


def t_power(ratio: float, df: int, alpha: float, side: str) -> float:
    """Power of a t test at a noncentrality; NaN without degrees of freedom."""
    if df < 1:
        return NAN
    if side == "two-sided":
        limit = -float(special.stdtrit(df, alpha / 2))
        above, below = (float(special.nctdtr(df, abs(ratio), at)) for at in (limit, -limit))
        return 1 - above + below
    limit = -float(special.stdtrit(df, alpha))
    return 1 - float(special.nctdtr(df, ratio if side == "greater" else -ratio, limit))


def _detectable(power: Any, side: str, wanted: float = 0.8) -> float:
    """The expected z or t at which a test has the wanted power."""
    sign = -1.0 if side == "less" else 1.0
    if math.isnan(power(sign)):
        return NAN
    high = 4.0
    while power(sign * high) < wanted:
        high *= 2
    return sign * float(brentq(lambda x: power(sign * x) - wanted, 0.0, high, xtol=1e-12))


def _null(effects: Effects) -> float:
    null = effects.measure.null
    if math.isnan(null):
        raise InputError(
            f"{effects.measure.label} has no value of no effect", remedy="use a measure of contrast"
        )
    return null


def _check(alpha: float, side: str) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha = {alpha} is not between 0 and 1", remedy="use 0.05")
    if side not in SIDES:
        raise UnknownName("side of a test", side, SIDES)
