"""Small-study effects: tests of asymmetry, and what the pooled effect may be without them.

None of these shows publication bias as such: heterogeneity, chance and differences between large
and small studies look the same. Below ten studies each warns (Sterne et al. 2011, BMJ 343:d4002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.adjusted import HenmiCopas, TrimFill, henmi_copas, trim_and_fill
from meta.caution import SmallSampleWarning, caution
from meta.errors import InputError, UnknownName
from meta.fitting import check_level, fit, method_of, quantile, test_named, two_sided_p
from meta.results import Effects
from meta.tau2 import DEFAULT_TAU2

__all__ = [
    "AsymmetryTest",
    "ExcessSignificance",
    "FailSafe",
    "HenmiCopas",
    "PetPeese",
    "RankTest",
    "SmallSampleWarning",
    "TrimFill",
    "egger",
    "excess_significance",
    "fail_safe_n",
    "henmi_copas",
    "pet_peese",
    "rank_test",
    "regression_test",
    "trim_and_fill",
]

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True)
class AsymmetryTest:
    """A regression of effects on a measure of their precision or size."""

    name: str
    predictor: str
    model: str
    slope: float
    slope_se: float
    statistic: float
    df: int | None  # of t; None for z
    p: float
    limit: float  # effect predicted for a study of unlimited size; NaN where not defined
    limit_ci: tuple[float, float]
    tau2: float
    k: int
    notes: tuple[str, ...] = ()


REGRESSION_TEST = "a regression test of asymmetry"
# What to regress on.
PREDICTORS = {
    "sei": "standard error",
    "vi": "sampling variance",
    "ni": "sample size",
    "ninv": "inverse sample size",
    "sqrtni": "square root of the sample size",
    "sqrtninv": "square root of the inverse sample size",
}


def regression_test(
    effects: Effects,
    *,
    predictor: str = "sei",
    n: Any = None,
    model: str = "multiplicative",
    tau2: str = DEFAULT_TAU2,
    test: str = "auto",
    level: float = 0.95,
) -> AsymmetryTest:
    """Test funnel asymmetry by regressing the effects on their precision or size.

    Parameters
    ----------
    predictor : {"sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"}
        Standard error, variance, or a function of the sample size ``n`` (shape (k,)).
    model : {"multiplicative", "random", "common"}
        "multiplicative" is weighted regression with an estimated residual scale, t with k - 2
        degrees of freedom: with "sei" it is Egger's test. "random" adds a between-study variance
        (estimator ``tau2``); "common" takes the sampling variances as they are.
    test : {"auto", "Wald", "t", "Knapp-Hartung", "ad hoc"}
        For the two other models; "auto" is Wald.

    Returns
    -------
    AsymmetryTest
        ``statistic`` and ``p`` are of the slope; ``limit`` is the intercept where the predictor
        goes to zero as studies grow.

    References
    ----------
    Egger et al. (1997), BMJ 315:629-634; Sterne and Egger (2005), in Publication Bias in
    Meta-Analysis; Moreno et al. (2009), BMC Med Res Methodol 9:2.
    """
    notes = caution(effects, REGRESSION_TEST, least=3)
    return _regression(effects, predictor, n, model, tau2, test, level, notes)


def _regression(
    effects: Effects,
    predictor: str,
    n: Any,
    model: str,
    tau2: str,
    test: str,
    level: float,
    notes: tuple[str, ...],
) -> AsymmetryTest:
    check_level(level)
    column = _predictor(effects, predictor, n)
    if np.ptp(column) <= 1e-12 * np.abs(column).max():
        raise InputError(
            f"all studies have the same {PREDICTORS[predictor]}: there is no slope to test"
        )
    if model == "multiplicative":
        method, kind = "EE", "Knapp-Hartung"
        if test != "auto":
            raise InputError("the multiplicative model has one test, t", remedy="leave test out")
    else:
        method = method_of(model, tau2)
        kind = "Wald" if test == "auto" else test_named(test)
    x = np.stack((np.ones(effects.k), column), axis=1)
    found = fit(effects.yi, effects.vi, x, tau2=method)
    df = found.df_of(kind)
    se = np.sqrt(np.diag(found.vb) * found.scale_of(kind))
    slope, limit = float(found.beta[1]), float(found.beta[0])
    statistic = slope / float(se[1]) if se[1] > 0 else NAN
    limit_ci = (NAN, NAN)
    if predictor in ("ni", "sqrtni"):
        limit = NAN
    else:
        half = quantile(level, df) * float(se[0])
        limit_ci = (limit - half, limit + half)
    classic = predictor == "sei" and model == "multiplicative"
    return AsymmetryTest(
        "Egger" if classic else f"regression on {PREDICTORS[predictor]}",
        predictor,
        model,
        slope,
        float(se[1]),
        statistic,
        df,
        two_sided_p(statistic, df),
        limit,
        limit_ci,
        found.tau2.value,
        effects.k,
        notes,
    )


def egger(effects: Effects, *, level: float = 0.95) -> AsymmetryTest:
    """Egger's test: weighted regression of the effects on their standard errors.

    References
    ----------
    Egger et al. (1997), BMJ 315:629-634.
    """
    notes = caution(effects, REGRESSION_TEST, least=3)
    return _egger(effects, "sei", level, notes)


def _egger(effects: Effects, predictor: str, level: float, notes: tuple[str, ...]) -> AsymmetryTest:
    """Weighted regression on the standard error or the variance."""
    return _regression(effects, predictor, None, "multiplicative", "", "auto", level, notes)


def _predictor(effects: Effects, predictor: str, n: Any) -> Array:
    if predictor not in PREDICTORS:
        raise UnknownName("predictor", predictor, PREDICTORS)
    if predictor == "sei":
        return np.asarray(np.sqrt(effects.vi))
    if predictor == "vi":
        return effects.vi
    if n is None:
        raise InputError(f"predictor {predictor!r} needs sample sizes", remedy="give n=")
    sizes = np.asarray(n, dtype=float)
    if sizes.shape != (effects.k,):
        raise InputError(f"{sizes.size} sample sizes for {effects.k} studies")
    wrong = ~(np.isfinite(sizes) & (sizes > 0))
    if wrong.any():
        raise InputError(
            "sample sizes must be positive",
            [f"{effects.study[i]}: n = {sizes[i]}" for i in np.flatnonzero(wrong)],
        )
    ways = {
        "ni": sizes,
        "ninv": 1 / sizes,
        "sqrtni": np.sqrt(sizes),
        "sqrtninv": 1 / np.sqrt(sizes),
    }
    return np.asarray(ways[predictor])


@dataclass(frozen=True, slots=True)
class RankTest:
    """Kendall's correlation between standardised effects and their variances."""

    tau: float
    p: float
    exact: bool
    k: int
    notes: tuple[str, ...] = ()


EXACT_UP_TO = 500  # studies; the recursion for the exact p grows with their cube


def rank_test(effects: Effects) -> RankTest:
    """Begg and Mazumdar's rank correlation test.

    Effects are standardised by what is left of their variance after the common-effect mean is taken
    away. p is exact without ties and up to 500 studies, otherwise from the normal approximation
    with the variance for ties.

    References
    ----------
    Begg and Mazumdar (1994), Biometrics 50:1088-1101.
    """
    from scipy.stats import kendalltau

    notes = caution(effects, "the rank correlation test", least=3)
    found = fit(effects.yi, effects.vi, tau2="EE")
    left = effects.vi - float(found.vb[0, 0])
    if (left <= 0).any():
        raise InputError(
            "a study has all the weight",
            [effects.study[i] for i in np.flatnonzero(left <= 0)],
            remedy="leave it out",
        )
    standardised = found.resid / np.sqrt(left)
    k = effects.k
    ties = len(np.unique(standardised)) < k or len(np.unique(effects.vi)) < k
    exact = k <= EXACT_UP_TO and not ties
    tau, p = kendalltau(standardised, effects.vi, method="exact" if exact else "asymptotic")
    return RankTest(float(tau), float(p), exact, k, notes)


@dataclass(frozen=True, slots=True)
class FailSafe:
    """Studies without effect that would bring the finding down."""

    kind: str
    n: int
    p: float  # of the observed studies together; NaN for Orwin's
    observed: float  # mean that Orwin's starts from; NaN otherwise
    target: float  # mean that Orwin's ends at; NaN otherwise
    alpha: float
    k: int
    notes: tuple[str, ...] = ()


def fail_safe_n(
    effects: Effects,
    kind: str = "Rosenthal",
    *,
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
) -> FailSafe:
    """How many unpublished null results it would take.

    Parameters
    ----------
    kind : {"Rosenthal", "Orwin", "Rosenberg"}
        Until Stouffer's combined one-sided p rises above ``alpha``; until the mean falls to
        ``target`` (half of the observed mean if not given); until the weighted common-effect mean
        loses two-sided significance.
    weighted : bool
        For Orwin: start from the inverse-variance weighted mean.

    Notes
    -----
    A historical measure: it assumes that what is missing averages no effect at all and says nothing
    about the size of the bias (Becker 2005, in Publication Bias in Meta-Analysis).

    References
    ----------
    Rosenthal (1979), Psychol Bull 86:638-641; Orwin (1983), J Educ Stat 8:157-159; Rosenberg
    (2005), Evolution 59:464-468.
    """
    notes = caution(effects, "a fail-safe N", least=1)
    k, y, v = effects.k, effects.yi, effects.vi
    w = 1 / v
    if kind == "Rosenthal":
        total = abs(float((y / np.sqrt(v)).sum()))
        p = float(special.ndtr(-total / math.sqrt(k)))
        n = (total / float(special.ndtri(1 - alpha))) ** 2 - k
        return FailSafe(kind, max(0, math.ceil(n)), p, NAN, NAN, alpha, k, notes)
    if kind == "Orwin":
        mean = float(w @ y) / float(w.sum()) if weighted else float(y.mean())
        goal = mean / 2 if target is None else target
        if goal == 0 or (goal > 0) != (mean > 0):
            raise InputError(
                f"target = {goal} is not between no effect and the mean {mean:.4g}",
                remedy="give a smaller effect in the same direction",
            )
        n = k * (mean - goal) / goal
        # Half of the mean gives k itself; rounding must not make it k + 1.
        n = math.ceil(n - 1e-9 * max(1.0, abs(n)))
        return FailSafe(kind, max(0, n), NAN, mean, goal, alpha, k, notes)
    if kind == "Rosenberg":
        total, sum_w = float(w @ y), float(w.sum())
        p = 2 * float(special.ndtr(-abs(total) / math.sqrt(sum_w)))
        z = float(special.ndtri(1 - alpha / 2))
        n = ((total / z) ** 2 - sum_w) / (sum_w / k)
        return FailSafe(kind, max(0, math.ceil(n)), p, NAN, NAN, alpha, k, notes)
    raise UnknownName("fail-safe N", kind, ("Rosenthal", "Orwin", "Rosenberg"))


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class ExcessSignificance:
    """Significant studies observed against those expected from their power."""

    observed: int
    expected: float
    ratio: float
    power: Array  # (k,) of each study at ``theta``
    theta: float
    chi2_p: float  # one-sided: more than expected
    binomial_p: float  # one-sided
    alpha: float
    k: int
    notes: tuple[str, ...] = ()


def excess_significance(
    effects: Effects,
    *,
    theta: float | None = None,
    null: float = 0.0,
    alpha: float = 0.05,
    model: str = "common",
    tau2: str = DEFAULT_TAU2,
) -> ExcessSignificance:
    """Test whether more studies are significant than their power allows.

    Parameters
    ----------
    theta : float, optional
        True effect at which power is computed; the pooled effect if left out.
    alpha : float
        Two-sided level of the studies' own tests.

    References
    ----------
    Ioannidis and Trikalinos (2007), Clin Trials 4:245-253.
    """
    notes = caution(effects, "the test of excess significance", least=1)
    se = np.sqrt(effects.vi)
    if theta is None:
        theta = float(fit(effects.yi, effects.vi, tau2=method_of(model, tau2)).beta[0])
    crit = float(special.ndtri(1 - alpha / 2))
    significant = np.abs(effects.yi - null) / se >= crit
    shift = (theta - null) / se
    power = special.ndtr(shift - crit) + special.ndtr(-shift - crit)
    k, observed, expected = effects.k, int(significant.sum()), float(power.sum())
    gap = observed - expected
    statistic = gap * gap / expected + (gap * gap / (k - expected) if k > expected else 0.0)
    tail = 0.5 * float(special.chdtrc(1, statistic))
    binomial = float(special.bdtrc(observed - 1, k, expected / k)) if observed else 1.0
    return ExcessSignificance(
        observed,
        expected,
        observed / expected,
        power,
        theta,
        tail if gap > 0 else 1 - tail,
        binomial,
        alpha,
        k,
        notes,
    )


@dataclass(frozen=True, slots=True)
class PetPeese:
    """Effects corrected for small-study effects by regression on precision."""

    pet: AsymmetryTest  # on the standard error
    peese: AsymmetryTest  # on the variance
    chosen: str  # "PET" or "PEESE"
    estimate: float
    ci: tuple[float, float]
    notes: tuple[str, ...] = ()


def pet_peese(effects: Effects, *, alpha: float = 0.10, level: float = 0.95) -> PetPeese:
    """Precision-effect test, and the estimate with standard error where it finds an effect.

    The intercept of the regression on the standard error (PET) is reported unless it differs from
    no effect at ``alpha`` (two-sided); then the intercept of the regression on the variance is.

    References
    ----------
    Stanley and Doucouliagos (2014), Res Synth Methods 5:60-78.
    """
    notes = caution(effects, "PET-PEESE", least=3)
    check_level(level)
    pet = _egger(effects, "sei", level, notes)
    peese = _egger(effects, "vi", level, notes)
    at_alpha = _egger(effects, "sei", 1 - alpha, notes).limit_ci
    null = 0.0 if math.isnan(effects.measure.null) else effects.measure.null
    effect = not at_alpha[0] <= null <= at_alpha[1]
    used = peese if effect else pet
    return PetPeese(pet, peese, "PEESE" if effect else "PET", used.limit, used.limit_ci, notes)
