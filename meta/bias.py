"""Small-study effects: tests of asymmetry, and what the pooled effect may be without them.

None of these shows publication bias as such: heterogeneity, chance and differences between large
and small studies look the same. Below ten studies each warns (Sterne et al. 2011, BMJ 343:d4002).
Tests for 2x2 tables are in ``meta.bias_counts``, counts of missing or significant studies in
``meta.excess``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.adjusted import HenmiCopas, TrimFill, henmi_copas, trim_and_fill
from meta.caution import SmallSampleWarning, caution, linked
from meta.errors import InputError, UnknownName
from meta.excess import ExcessSignificance, FailSafe, excess_significance, fail_safe_n
from meta.fitting import Fit, check_level, fit, method_of, quantile, test_named, two_sided_p
from meta.frames import fitted_to
from meta.present import Presented, show, show_p, studies
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
    "pustejovsky_rodgers",
    "rank_test",
    "regression_test",
    "thompson_sharp",
    "trim_and_fill",
]

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True)
class AsymmetryTest(Presented):
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

    def summary(self) -> str:
        """One line: the slope with its test, and the effect where the predictor is zero."""
        kind = "z" if self.df is None else "t"
        df = "" if self.df is None else f" (df = {self.df})"
        line = (
            f"{self.name}: slope {show(self.slope, 3)} (SE {show(self.slope_se, 3)}), "
            f"{kind} = {show(self.statistic)}{df}, {show_p(self.p)}, {studies(self.k)}"
        )
        return line if math.isnan(self.limit) else f"{line}; limit {show(self.limit, 3)}"


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
        Standard error, variance, or a function of the sample size ``n`` (shape (k,)). With "ni"
        and the multiplicative model it is the inverse-variance form of Macaskill's test.
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

    Notes
    -----
    Not to be used below ten studies, where studies are of nearly one size, or where a few large
    effects rather than small studies make the slope. On the standard error or variance, not for
    odds ratios, risk ratios and standardised differences that are large: their standard errors
    are computed from the effects (Sterne et al. 2011).

    References
    ----------
    Egger et al. (1997), BMJ 315:629-634; Sterne and Egger (2005), in Publication Bias in
    Meta-Analysis; Moreno et al. (2009), BMC Med Res Methodol 9:2; Macaskill, Walter and Irwig
    (2001), Stat Med 20:641-654; Sterne et al. (2011), BMJ 343:d4002.
    """
    notes = caution(effects, REGRESSION_TEST, least=3)
    if predictor in ("sei", "vi"):
        notes += linked(effects)
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
    column = _predictor(effects, predictor, n)
    if model == "multiplicative":
        method, kind = "EE", "Knapp-Hartung"
        if test != "auto":
            raise InputError("the multiplicative model has one test, t", remedy="leave test out")
    else:
        method = method_of(model, tau2)
        kind = "Wald" if test == "auto" else test_named(test)
    classic = predictor == "sei" and model == "multiplicative"
    name = "Egger" if classic else f"regression on {PREDICTORS[predictor]}"
    return line_test(
        name,
        (predictor, PREDICTORS[predictor]),
        model,
        (effects.yi, effects.vi, column),
        method=method,
        test=kind,
        level=level,
        limit=predictor not in ("ni", "sqrtni"),
        notes=notes,
    )


def line_test(
    name: str,
    predictor: tuple[str, str],
    model: str,
    columns: tuple[Array, Array, Array],
    *,
    method: str = "EE",
    test: str = "Knapp-Hartung",
    level: float,
    limit: bool = True,
    notes: tuple[str, ...] = (),
) -> AsymmetryTest:
    """The slope of effects on a predictor, and what the line predicts where it is zero.

    Parameters
    ----------
    predictor : (key, words)
    columns : effects, variances, predictor; arrays of shape (k,)
        Under a residual scale that is estimated the variances need be right but for a factor.
    """
    check_level(level)
    y, v, column = columns
    if np.ptp(column) <= 1e-12 * np.abs(column).max():
        raise InputError(f"all studies have the same {predictor[1]}: there is no slope to test")
    found: Fit = fit(y, v, np.stack((np.ones(len(y)), column), axis=1), tau2=method)
    df = found.df_of(test)
    se = np.sqrt(np.diag(found.vb) * found.scale_of(test))
    slope, end = float(found.beta[1]), float(found.beta[0])
    statistic = slope / float(se[1]) if se[1] > 0 else NAN
    half = quantile(level, df) * float(se[0])
    return AsymmetryTest(
        name,
        predictor[0],
        model,
        slope,
        float(se[1]),
        statistic,
        df,
        two_sided_p(statistic, df),
        end if limit else NAN,
        (end - half, end + half) if limit else (NAN, NAN),
        found.tau2.value,
        len(y),
        notes,
    )


def egger(effects: Effects, *, level: float = 0.95) -> AsymmetryTest:
    """Egger's test: weighted regression of the effects on their standard errors.

    Notes
    -----
    The slope here is what Egger et al. call the intercept, of effect/se on 1/se. Not to be used
    below ten studies; nor for large odds ratios, risk ratios and standardised differences, whose
    standard errors are computed from the effects: use ``meta.bias_counts.harbord`` or ``peters``,
    ``pustejovsky_rodgers``. Under much heterogeneity it rejects too often: ``thompson_sharp``.

    References
    ----------
    Egger et al. (1997), BMJ 315:629-634; Sterne et al. (2011), BMJ 343:d4002.
    """
    notes = caution(effects, REGRESSION_TEST, least=3) + linked(effects)
    return _egger(effects, "sei", level, notes)


def _egger(effects: Effects, predictor: str, level: float, notes: tuple[str, ...]) -> AsymmetryTest:
    """Weighted regression on the standard error or the variance."""
    return _regression(effects, predictor, None, "multiplicative", "", "auto", level, notes)


def thompson_sharp(
    effects: Effects, *, tau2: str = "DL", test: str = "t", level: float = 0.95
) -> AsymmetryTest:
    """Egger's regression with heterogeneity between the studies added to their variances.

    Parameters
    ----------
    tau2 : str
        Estimator of the between-study variance about the line; the moment estimator by custom.
    test : {"t", "Wald", "Knapp-Hartung", "ad hoc"}
        "t" has k - 2 degrees of freedom.

    Notes
    -----
    Not to be used below ten studies, nor for large odds ratios, risk ratios and standardised
    differences, whose standard errors are computed from the effects. Holds its level under
    heterogeneity that does not depend on study size, at a price in power.

    References
    ----------
    Thompson and Sharp (1999), Stat Med 18:2693-2708, model 3 (additive variance, moments).
    """
    notes = caution(effects, REGRESSION_TEST, least=3) + linked(effects)
    found = _regression(effects, "sei", None, "random", tau2, test, level, notes)
    return replace(found, name="Thompson-Sharp")


def pustejovsky_rodgers(
    effects: Effects, n_1: Any, n_2: Any, *, stabilised: bool = False, level: float = 0.95
) -> AsymmetryTest:
    """Egger's test of standardised mean differences without the effect in its own precision.

    The regression is on, and weighted by, w = sqrt(1/n_1 + 1/n_2), the part of the standard error
    that does not depend on the effect; t with k - 2 degrees of freedom.

    Parameters
    ----------
    effects : Effects
        Standardised mean differences ("SMD") of two independent groups.
    n_1, n_2 : array, shape (k,)
        People in the groups.
    stabilised : bool
        Regress c arsinh(d/c), c = w sqrt(2 (n_1 + n_2)), in place of d: its variance is w^2 at any
        true effect. The limit is then of this transform, near the effect itself while it is small.

    Notes
    -----
    Not to be used below ten studies, nor for effects that are not standardised by a pooled
    standard deviation. With much heterogeneity neither form holds its level exactly.

    References
    ----------
    Pustejovsky and Rodgers (2019), Res Synth Methods 10:57-71, sect. 2 (modified measure of
    precision; variance-stabilising transformation).
    """
    notes = caution(effects, REGRESSION_TEST, least=3)
    one, two = (_sizes(effects, values) for values in (n_1, n_2))
    w2 = 1 / one + 1 / two
    y = effects.yi
    if stabilised:
        c = np.sqrt(2 * (one + two) * w2)
        y = c * np.arcsinh(y / c)
    if not effects.measure.key.startswith(("SMD", "GEN")):
        notes += (f"made for standardised mean differences, not for {effects.measure.label}",)
    return line_test(
        "Pustejovsky-Rodgers" + (" (variance-stabilised)" if stabilised else ""),
        ("sqrt(1/n_1 + 1/n_2)", "root of 1/n_1 + 1/n_2"),
        "multiplicative",
        (y, w2, np.sqrt(w2)),
        level=level,
        notes=notes,
    )


def _predictor(effects: Effects, predictor: str, n: Any) -> Array:
    if predictor not in PREDICTORS:
        raise UnknownName("predictor", predictor, PREDICTORS)
    if predictor == "sei":
        return np.asarray(np.sqrt(effects.vi))
    if predictor == "vi":
        return effects.vi
    if n is None:
        raise InputError(f"predictor {predictor!r} needs sample sizes", remedy="give n=")
    sizes = _sizes(effects, n)
    ways = {
        "ni": sizes,
        "ninv": 1 / sizes,
        "sqrtni": np.sqrt(sizes),
        "sqrtninv": 1 / np.sqrt(sizes),
    }
    return np.asarray(ways[predictor])


def _sizes(effects: Effects, n: Any) -> Array:
    """Sample sizes as floats, one per study and positive."""
    sizes = np.asarray(fitted_to(n, effects.k, effects.dropped), dtype=float)
    if sizes.shape != (effects.k,):
        raise InputError(f"{sizes.size} sample sizes for {effects.k} studies")
    wrong = ~(np.isfinite(sizes) & (sizes > 0))
    if wrong.any():
        raise InputError(
            "sample sizes must be positive",
            [f"{effects.study[i]}: n = {sizes[i]}" for i in np.flatnonzero(wrong)],
        )
    return sizes


@dataclass(frozen=True, slots=True)
class RankTest(Presented):
    """Kendall's correlation between standardised effects and their variances."""

    tau: float
    p: float
    exact: bool
    k: int
    notes: tuple[str, ...] = ()
    name: str = "Rank correlation"

    def summary(self) -> str:
        """One line: Kendall's tau and its p."""
        return (
            f"{self.name}: Kendall's τ = {show(self.tau, 3)}, {show_p(self.p)} "
            f"({'exact' if self.exact else 'normal approximation'}), "
            f"{studies(self.k)}"
        )


EXACT_UP_TO = 500  # studies; the recursion for the exact p grows with their cube
RANK_TEST = "the rank correlation test"


def rank_test(effects: Effects, *, exact: bool | None = None) -> RankTest:
    """Begg and Mazumdar's rank correlation test.

    Effects are standardised by what is left of their variance after the common-effect mean is taken
    away.

    Parameters
    ----------
    exact : bool, optional
        The exact p, or the normal approximation with the variance for ties. Left out: exact
        without ties and up to 500 studies.

    Notes
    -----
    Not to be used below ten studies, where its power is lower still than that of the regression
    tests, nor for large odds ratios and standardised differences, as for ``egger``.

    References
    ----------
    Begg and Mazumdar (1994), Biometrics 50:1088-1101; Sterne et al. (2011), BMJ 343:d4002.
    """
    notes = caution(effects, RANK_TEST, least=3) + linked(effects)
    found = fit(effects.yi, effects.vi, tau2="EE")
    left = effects.vi - float(found.vb[0, 0])
    if (left <= 0).any():
        raise InputError(
            "a study has all the weight",
            [effects.study[i] for i in np.flatnonzero(left <= 0)],
            remedy="leave it out",
        )
    return rank_correlation(
        "Rank correlation", found.resid / np.sqrt(left), effects.vi, exact=exact, notes=notes
    )


def rank_correlation(
    name: str, one: Array, two: Array, *, exact: bool | None, notes: tuple[str, ...]
) -> RankTest:
    """Kendall's correlation of two columns with its p-value."""
    from scipy.stats import kendalltau

    k = len(one)
    ties = len(np.unique(one)) < k or len(np.unique(two)) < k
    if exact and ties:
        raise InputError("ties have no exact p-value", remedy="leave exact out")
    used = k <= EXACT_UP_TO and not ties if exact is None else exact
    tau, p = kendalltau(one, two, method="exact" if used else "asymptotic")
    return RankTest(float(tau), float(p), used, k, notes, name)


@dataclass(frozen=True, slots=True)
class PetPeese(Presented):
    """Effects corrected for small-study effects by regression on precision."""

    pet: AsymmetryTest  # on the standard error
    peese: AsymmetryTest  # on the variance
    chosen: str  # "PET" or "PEESE"
    rule: str  # by which it was chosen, in words
    estimate: float
    ci: tuple[float, float]
    level: float
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each of the two regressions."""
        return [
            {
                "test": name,
                "estimate": found.limit,
                "ci_low": found.limit_ci[0],
                "ci_high": found.limit_ci[1],
                "slope": found.slope,
                "slope_p": found.p,
                "chosen": self.chosen == name,
            }
            for name, found in (("PET", self.pet), ("PEESE", self.peese))
        ]

    def summary(self) -> str:
        """One line: the corrected effect, and which regression gave it."""
        low, high = self.ci
        return (
            f"PET-PEESE: {show(self.estimate, 3)} ({self.level:.0%} CI {show(low, 3)} to "
            f"{show(high, 3)}) by {self.chosen}, {studies(self.pet.k)}"
        )


SIDES = ("two-sided", "greater", "less")


def pet_peese(
    effects: Effects, *, alpha: float = 0.10, side: str = "two-sided", level: float = 0.95
) -> PetPeese:
    """Precision-effect test, and the estimate with standard error where it finds an effect.

    The conditional estimator: the intercept of the regression on the standard error (PET) is
    reported unless it differs from no effect at ``alpha``; then the intercept of the regression
    on the variance (PEESE) is. Both are weighted regressions with an estimated residual scale.

    Parameters
    ----------
    alpha : float
        Level of the test of PET's intercept, t with k - 2 degrees of freedom.
    side : {"two-sided", "greater", "less"}
        What that test is against. The paper tests at 0.05 in the expected direction, which is
        0.10 two-sided but for an effect in the other direction.

    Notes
    -----
    Not to be used below ten studies (twenty with much heterogeneity), where all studies are small
    or of one size, or where heterogeneity is large: it is then biased, often past no effect
    (Stanley 2017). Standardised differences and odds ratios are linked with their standard errors,
    which alone can bend the line.

    References
    ----------
    Stanley and Doucouliagos (2014), Res Synth Methods 5:60-78; Stanley (2017), Soc Psychol
    Personal Sci 8:581-591.
    """
    notes = caution(effects, "PET-PEESE", least=3) + linked(effects)
    check_level(level)
    if not 0 < alpha < 1:
        raise InputError(f"alpha = {alpha} is not between 0 and 1", remedy="use 0.10")
    if side not in SIDES:
        raise UnknownName("side of a test", side, SIDES)
    pet = _egger(effects, "sei", level, notes)
    peese = _egger(effects, "vi", level, notes)
    null = 0.0 if math.isnan(effects.measure.null) else effects.measure.null
    within = alpha if side == "two-sided" else 2 * alpha
    low, high = (-math.inf, math.inf)
    if within < 1:
        low, high = _egger(effects, "sei", 1 - within, notes).limit_ci
    above, below = null < low, null > high
    effect = {"two-sided": above or below, "greater": above, "less": below}[side]
    used = peese if effect else pet
    found = "differs" if effect else "does not differ"
    rule = f"PET's intercept {found} from no effect at α = {alpha:g} ({side})"
    chosen = "PEESE" if effect else "PET"
    return PetPeese(pet, peese, chosen, rule, used.limit, used.limit_ci, level, notes)
