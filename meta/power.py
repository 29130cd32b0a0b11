"""Power: of the tests of a pooled effect, of moderators, of heterogeneity, and of each study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq

from meta.errors import InputError, UnknownName
from meta.fitting import check, fit, method_of, test_named
from meta.moderators import INTERCEPT, design_of
from meta.pooling import pool
from meta.present import Presented
from meta.quadratic import upper_tail
from meta.results import DASH, Effects, show
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan
SIDES = ("two-sided", "greater", "less")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class StudyPower(Presented):
    """Power of each study to detect an effect, what a sunset funnel shows."""

    effects: Effects
    effect: float  # assumed true effect on the analysis scale, from no effect
    assumed: str  # where it came from
    alpha: float
    side: str
    power: Array  # (k,)
    median: float
    detectable: Array  # (k,) effect that each study finds with power 0.8
    tau2: float = 0.0  # variance of the studies' own true effects about ``effect``

    @property
    def mean(self) -> float:
        """Average power of the studies, to set beside that of their pool."""
        return float(self.power.mean())

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
class PoolPower(Presented):
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
    tau2: float = 0.0,
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
    tau2 : float
        Between-study variance: the studies' own true effects are normal about ``effect``, and
        power is the chance that a study like this one is significant.
    side : {"two-sided", "greater", "less"}
        Alternative hypothesis; effects are measured from the measure's value of no effect.

    References
    ----------
    Kossmeier, Tran and Voracek (2020), Z Psychol 228:43-49 (sunset funnel); Ioannidis, Stanley
    and Doucouliagos (2017), Econ J 127:F236-F265 (median power); Jackson and Turner (2017), Res
    Synth Methods 8:290-302 (average power of studies under random effects).
    """
    check(effects)
    _check(alpha, side)
    between = _variance(tau2)
    null = _null(effects)
    assumed = "assumed"
    if effect is None:
        effect, assumed = pool(effects, model="common").estimate, "common-effect estimate"
    se = np.sqrt(effects.vi)
    spread = np.sqrt(1 + between / effects.vi)
    power = np.array(
        [
            normal_power((effect - null) / s, alpha, side, spread=r)
            for s, r in zip(se.tolist(), spread.tolist(), strict=True)
        ]
    )
    unit = np.array(
        [
            _detectable(lambda ratio, r=r: normal_power(ratio, alpha, side, spread=r), side)
            for r in (spread.tolist() if between else [1.0])
        ]
    )
    return StudyPower(
        effects,
        float(effect),
        assumed,
        alpha,
        side,
        power,
        float(np.median(power)),
        null + unit * se,
        between,
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
        value = _variance(tau2) if model == "random" else 0.0
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
    _variance(tau2)
    w = 1 / effects.vi
    limit = float(special.chdtri(effects.k - 1, alpha))
    return upper_tail(limit, 1 + tau2 * w, np.sqrt(w / w.sum())[:, None])


@dataclass(frozen=True, slots=True)
class RandomEffectsPower(Presented):
    """Power of a random-effects meta-analysis that has to estimate its heterogeneity."""

    k: int
    effect: float  # true mean effect
    tau2: float  # true between-study variance
    alpha: float
    side: str
    test: str
    estimator: str  # of tau2 in each simulated meta-analysis
    power: float
    power_se: float  # of the simulation
    known: float  # the same test's power if tau2 were known
    study_power: float  # average power of the studies that it pools
    runs: int

    def summary(self) -> str:
        """One line: power, what it would be at a known tau², and that of the studies."""
        return (
            f"{self.k} {'study' if self.k == 1 else 'studies'}, effect {show(self.effect, 3)}, "
            f"τ² = {show(self.tau2, 3)}: power {self.power:.1%} ± {self.power_se:.1%} "
            f"({self.test}, {self.estimator}, {self.runs:,} simulations), {self.known:.1%} if τ² "
            f"were known; average study {self.study_power:.1%}"
        )


def power_of_random_effects(
    effects: Effects,
    effect: float,
    tau2: float,
    *,
    estimator: str = DEFAULT_TAU2,
    test: str = "Wald",
    alpha: float = 0.05,
    side: str = "two-sided",
    runs: int = 10_000,
    rng: np.random.Generator | int = 0,
) -> RandomEffectsPower:
    """Power of the pooled test where tau2 is estimated anew each time, by simulation.

    ``power_of_pool`` takes tau2 as known, which overstates the power of few studies and, since the
    estimated weights err, its level. Only the sampling variances of ``effects`` matter.

    Parameters
    ----------
    effect, tau2 : float
        True mean on the analysis scale, true between-study variance; effects are normal.
    estimator : str
        Of tau2 in each simulated meta-analysis, a key of ``meta.tau2.TAU2``; "DL" and "REML" are
        quick.
    test : {"Wald", "Knapp-Hartung", "ad hoc"}
    runs, rng
        Simulated meta-analyses, and the generator or its seed.

    References
    ----------
    Jackson and Turner (2017), Res Synth Methods 8:290-302.
    """
    from meta.batch import fits, scaled
    from meta.batch_designs import responses
    from meta.batch_rows import chunks

    check(effects)
    _check(alpha, side)
    between = _variance(tau2)
    chosen, method = test_named(test), method_of("random", estimator)
    if runs < 2:
        raise InputError(f"runs = {runs} is less than 2")
    generator = np.random.default_rng(rng)
    k, null = effects.k, _null(effects)
    df = None if chosen == "Wald" else k - 1
    _, v, _, unit = scaled(effects.yi, effects.vi)
    batch = responses(v)
    mean, spread = (effect - null) / unit, np.sqrt(v + between / unit**2)[:, None]
    beyond = 0
    for at in chunks(runs, k):
        rows = batch(mean + spread * generator.standard_normal((k, at.stop - at.start)))
        found = fits(rows, method)
        factor: Any = 1.0
        if df:
            factor = rows.rss(found.tau2, found.beta) / df
            factor = np.maximum(factor, 1.0) if "ad hoc" in chosen else factor
        z = found.beta[:, 0] / np.sqrt(found.covariance[:, 0, 0] * factor)
        beyond += int(_significant(z, alpha, side, df).sum())
    power = beyond / runs if df != 0 else NAN
    # What "ad hoc" would do at a known tau2 has no closed form: its t test is the bound.
    known = power_of_pool(effects, effect, tau2=between, test=test, alpha=alpha, side=side).power
    return RandomEffectsPower(
        k,
        float(effect),
        between,
        alpha,
        side,
        chosen,
        method,
        power,
        math.sqrt(power * (1 - power) / runs),
        known,
        power_of_studies(effects, effect, tau2=between, alpha=alpha, side=side).mean,
        runs,
    )


def _significant(z: Array, alpha: float, side: str, df: int | None) -> NDArray[np.bool_]:
    tail = alpha / 2 if side == "two-sided" else alpha
    limit = -float(special.ndtri(tail) if df is None else special.stdtrit(df, tail))
    return np.asarray({"two-sided": np.abs(z), "greater": z, "less": -z}[side] > limit)


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class ModeratorPower(Presented):
    """Power of the joint test of moderators."""

    k: int
    coefficients: tuple[str, ...]  # that are tested
    true: Array  # their true values
    tau2: float  # residual
    test: str  # "Wald" (chi-squared) or "Knapp-Hartung" (F)
    df: int
    df_2: int | None  # of F
    noncentrality: float
    alpha: float
    power: float

    def summary(self) -> str:
        """One line: what is assumed, and the power."""
        said = ", ".join(
            f"{name} = {show(float(b), 3)}"
            for name, b in zip(self.coefficients, self.true, strict=True)
        )
        return (
            f"{self.k} studies, {said}, residual τ² = {show(self.tau2, 3)}: power {self.power:.0%} "
            f"({self.test}, α = {self.alpha:g})"
        )


def power_of_moderators(
    effects: Effects,
    moderators: Mapping[str, Any] | Any,
    true: Any,
    *,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    model: str = "random",
    tau2: str | float = DEFAULT_TAU2,
    test: str = "Wald",
    alpha: float = 0.05,
) -> ModeratorPower:
    """Power of the test of all moderators together, in these studies or in planned ones.

    Only the sampling variances of ``effects`` and the moderators matter, and the effects where tau2
    is estimated from them.

    Parameters
    ----------
    moderators, interactions, factors, reference
        As for ``meta.regression.regress``; for subgroups give the group as a factor.
    true : array, shape (m,), or mapping of coefficient to value
        True coefficients of all but the intercept: for a factor the differences from its reference.
    tau2 : str or float
        Estimator of the residual heterogeneity, or a known value; not used by the common effect.
    test : {"Wald", "Knapp-Hartung"}
        Chi-squared with the estimated weights taken as known, or F with k - p.

    References
    ----------
    Hedges and Pigott (2004), Psychol Methods 9:426-445 (fixed and mixed effects).
    """
    check(effects)
    _check(alpha, "two-sided")
    chosen = test_named(test)
    design = design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        study=effects.study,
        dropped=effects.dropped,
    )
    at = [i for i in range(len(design.names)) if i not in design.terms[INTERCEPT]]
    names = tuple(design.names[i] for i in at)
    if not at:
        raise InputError("there is no moderator to test")
    b = _true_values(true, names)
    method = method_of(model, tau2 if isinstance(tau2, str) else DEFAULT_TAU2)
    given = method if isinstance(tau2, str) or model == "common" else _variance(tau2)
    found = fit(effects.yi, effects.vi, design.x, tau2=given)
    noncentrality = float(b @ np.linalg.solve(found.vb[np.ix_(at, at)], b))
    df, df_2 = len(at), None
    limit = float(special.chdtri(df, alpha))
    if chosen == "Wald":
        power = 1 - float(special.chndtr(limit, df, noncentrality))
    else:
        df_2 = found.df
        power = NAN
        if df_2 > 0:
            limit = float(special.fdtri(df, df_2, 1 - alpha))
            power = 1 - float(special.ncfdtr(df, df_2, noncentrality, limit))
    return ModeratorPower(
        effects.k,
        names,
        b,
        found.tau2.value,
        "Wald" if chosen == "Wald" else "Knapp-Hartung",
        df,
        df_2,
        noncentrality,
        alpha,
        power,
    )


def _true_values(true: Any, names: tuple[str, ...]) -> Array:
    if isinstance(true, Mapping):
        for name in true:
            if name not in names:
                raise UnknownName("coefficient", str(name), names)
        missing = [f"{name} is not given" for name in names if name not in true]
        if missing:
            raise InputError("every coefficient needs a true value", missing)
        true = [true[name] for name in names]
    b = np.atleast_1d(np.asarray(true, dtype=float))
    if b.shape != (len(names),) or not np.isfinite(b).all():
        raise InputError(
            f"{b.size} true values for {len(names)} coefficients",
            [f"coefficient {name}" for name in names],
            remedy="give one finite number for each",
        )
    return b


def normal_power(ratio: float, alpha: float, side: str, *, spread: float = 1.0) -> float:
    """Power of a z test at an expected z, with that standard deviation of z."""
    if side == "two-sided":
        limit = -float(special.ndtri(alpha / 2))
        up, down = (ratio - limit) / spread, (-ratio - limit) / spread
        return float(special.ndtr(up) + special.ndtr(down))
    limit = -float(special.ndtri(alpha))
    return float(special.ndtr(((ratio if side == "greater" else -ratio) - limit) / spread))


def t_power(ratio: float, df: int, alpha: float, side: str) -> float:
    """Power of a t test at a noncentrality; NaN without degrees of freedom."""
    if df < 1:
        return NAN
    if side == "two-sided":
        limit = -float(special.stdtrit(df, alpha / 2))
        # As F = t^2: the far tail of the noncentral t is not computed at some arguments.
        return 1 - float(special.ncfdtr(1, df, ratio**2, limit**2))
    limit = -float(special.stdtrit(df, alpha))
    return 1 - float(special.nctdtr(df, ratio if side == "greater" else -ratio, limit))


def _detectable(power: Any, side: str, wanted: float = 0.8) -> float:
    """The expected z or t at which a test has the wanted power."""
    sign = -1.0 if side == "less" else 1.0
    if math.isnan(power(sign)):
        return NAN
    if power(0.0) >= wanted:  # heterogeneity alone makes so many studies significant
        return 0.0
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


def _variance(tau2: float) -> float:
    if not (tau2 >= 0 and math.isfinite(tau2)):
        raise InputError(f"tau2 = {tau2} is not a variance", remedy="give zero or more")
    return float(tau2)


def _check(alpha: float, side: str) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha = {alpha} is not between 0 and 1", remedy="use 0.05")
    if side not in SIDES:
        raise UnknownName("side of a test", side, SIDES)
