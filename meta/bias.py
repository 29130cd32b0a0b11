"""Small-study effects: tests of asymmetry, and what the pooled effect may be without them.

None of these shows publication bias as such: heterogeneity, chance and differences between large
and small studies look the same. Below ten studies each warns (Sterne et al. 2011, BMJ 343:d4002).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, UnknownName
from meta.fitting import Fit, check, check_level, fit, quantile, test_named, two_sided_p
from meta.pooling import pool
from meta.results import Effects, PooledEffect
from meta.tau2 import DEFAULT_TAU2, TAU2

Array = NDArray[np.float64]
ENOUGH_STUDIES = 10
NAN = math.nan


class SmallSampleWarning(UserWarning):
    """Too few studies for a method to tell anything reliable."""


def _caution(effects: Effects, what: str, *, least: int) -> tuple[str, ...]:
    """Check the effects; warn and give a note where there are fewer than ten studies."""
    check(effects, least=least)
    if effects.k >= ENOUGH_STUDIES:
        return ()
    note = (
        f"{effects.k} studies: {what} has little power and is unreliable below "
        f"{ENOUGH_STUDIES}"
    )
    warnings.warn(note, SmallSampleWarning, stacklevel=3)
    return (note,)


def _method(model: str, tau2: str) -> str:
    if model not in ("random", "common"):
        raise UnknownName("model", model, ("random", "common"))
    if model == "random" and tau2 not in TAU2:
        raise UnknownName("tau2 estimator", tau2, TAU2)
    return tau2 if model == "random" else "EE"


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


# What to regress on; None means that the limit of unlimited size is at zero.
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
    notes = _caution(effects, "a regression test of asymmetry", least=3)
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
        method = _method(model, tau2)
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
    return regression_test(effects, level=level)


def _predictor(effects: Effects, predictor: str, n: Any) -> Array:
    if predictor not in PREDICTORS:
        raise UnknownName("predictor", predictor, PREDICTORS)
    if predictor == "sei":
        return np.sqrt(effects.vi)
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
    return ways[predictor]


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

    notes = _caution(effects, "the rank correlation test", least=3)
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
    notes = _caution(effects, "PET-PEESE", least=3)
    check_level(level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)  # said once, above
        pet = regression_test(effects, predictor="sei", level=level)
        peese = regression_test(effects, predictor="vi", level=level)
        at_alpha = regression_test(effects, predictor="sei", level=1 - alpha).limit_ci
    null = 0.0 if math.isnan(effects.measure.null) else effects.measure.null
    effect = not at_alpha[0] <= null <= at_alpha[1]
    used = peese if effect else pet
    return PetPeese(
        pet, peese, "PEESE" if effect else "PET", used.limit, used.limit_ci, notes
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds results with arrays
class TrimFill:
    """Pooled effect after the studies that asymmetry suggests are missing were filled in."""

    k0: int  # studies filled in
    k0_se: float
    estimator: str
    side: str  # where studies are missing: "left" or "right"
    filled: PooledEffect  # over all studies and those filled in
    observed: PooledEffect
    notes: tuple[str, ...] = ()


def trim_and_fill(
    effects: Effects,
    *,
    estimator: str = "L0",
    side: str = "auto",
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> TrimFill:
    """Trim the extreme studies until the rest are symmetric, then fill in their mirror images.

    Parameters
    ----------
    estimator : {"L0", "R0", "Q0"}
        Of the number of missing studies: from the signed rank sum (linear, quadratic), or from the
        longest run of one-sided ranks.
    side : {"auto", "left", "right"}
        Where studies are missing; "auto" looks at the sign of the slope on the standard error.

    Notes
    -----
    Filled studies are named ``filled 1``, ... and lie at the end of ``filled.effects``.

    References
    ----------
    Duval and Tweedie (2000), JASA 95:89-98; (2000), Biometrics 56:455-463.
    """
    notes = _caution(effects, "trim and fill", least=3)
    if estimator not in ("L0", "R0", "Q0"):
        raise UnknownName("estimator of missing studies", estimator, ("L0", "R0", "Q0"))
    if side not in ("auto", "left", "right"):
        raise UnknownName("side", side, ("auto", "left", "right"))
    method = _method(model, tau2)
    observed = pool(effects, model=model, tau2=tau2, ci=ci, level=level)
    if side == "auto":
        x = np.stack((np.ones(effects.k), np.sqrt(effects.vi)), axis=1)
        try:
            slope = float(fit(effects.yi, effects.vi, x, tau2=method).beta[1])
        except InputError:
            raise InputError(
                "all studies have the same precision, so that no side can be told",
                remedy='give side="left" or "right"',
            ) from None
        side = "right" if slope < 0 else "left"
    # Work as if small effects were missing; mirror the other case.
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * effects.yi, kind="stable")
    y, v = sign * effects.yi[order], effects.vi[order]
    k0, centre, se = _missing(y, v, estimator, method)
    k = effects.k
    filled = effects
    if k0:
        extreme = np.arange(k - k0, k)
        mirrored = sign * (2 * centre - y[extreme])
        labels = tuple(f"filled {j + 1}" for j in range(k0))
        filled = Effects(
            effects.measure,
            effects.study + labels,
            np.concatenate((effects.yi, mirrored)),
            np.concatenate((effects.vi, v[extreme])),
            effects.cluster + labels,
            (*effects.notes, f"{k0} studies filled in on the {side}"),
        )
    pooled = pool(filled, model=model, tau2=tau2, ci=ci, level=level)
    return TrimFill(k0, se, estimator, side, pooled, observed, notes)


def _missing(y: Array, v: Array, estimator: str, method: str) -> tuple[int, float, float]:
    """Studies missing on the left of ascending effects: count, centre, its standard error."""
    k = len(y)
    k0, se = 0, NAN
    seen: list[int] = []
    while True:
        centre = float(fit(y[: k - k0], v[: k - k0], tau2=method).beta[0])
        about = y - centre
        ranks = np.empty(k)
        ranks[np.argsort(np.abs(about), kind="stable")] = np.arange(1, k + 1)
        signed = np.sign(about) * ranks
        upper = float(signed[signed > 0].sum())
        if estimator == "R0":
            raw = k + float(signed.min()) - 1  # the highest ranks that are all on the right
        elif estimator == "L0":
            raw = (4 * upper - k * (k + 1)) / (2 * k - 1)
        else:
            inside = 2 * k * k - 4 * upper + 0.25
            if inside < 0:
                raise InputError("Q0 is undefined for these effects", remedy='use "L0" or "R0"')
            raw = k - 0.5 - math.sqrt(inside)
        seen.append(k0)
        following = max(0, round(raw))
        se = _missing_se(k, raw, estimator)
        if following in seen:  # settled, or going round in circles
            return following, centre, se
        if k - following < 1:
            raise InputError("trimming would leave no study", remedy='use "L0" or "R0"')
        k0 = following


def _missing_se(k: int, k0: float, estimator: str) -> float:
    """Large-sample standard error of the number of missing studies (Duval and Tweedie 2000)."""
    if estimator == "R0":
        return math.sqrt(2 * max(k0, 0.0) + 2)
    variance = (
        k * (k + 1) * (2 * k + 1)
        + 10 * k0**3
        + 27 * k0**2
        + 17 * k0
        - 18 * k * k0**2
        - 18 * k * k0
        + 6 * k**2 * k0
    ) / 24
    if estimator == "L0":
        return 4 * math.sqrt(variance) / (2 * k - 1)
    return 2 * math.sqrt(variance) / math.sqrt((k - 0.5) ** 2 - k0 * (2 * k - k0 - 1))


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
    notes = _caution(effects, "a fail-safe N", least=1)
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
    notes = _caution(effects, "the test of excess significance", least=1)
    se = np.sqrt(effects.vi)
    if theta is None:
        theta = float(fit(effects.yi, effects.vi, tau2=_method(model, tau2)).beta[0])
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
class HenmiCopas:
    """Common-effect estimate with an interval that allows for heterogeneity."""

    estimate: float
    se: float
    ci: tuple[float, float]
    critical: float  # multiple of the standard error
    tau2: float  # DerSimonian-Laird
    level: float
    notes: tuple[str, ...] = ()


NODES = 200  # Gauss-Legendre; the integrand is smooth on either side of its one kink


def henmi_copas(effects: Effects, *, level: float = 0.95) -> HenmiCopas:
    """Interval round the common-effect estimate, which gives small studies little weight.

    The standard error holds the DerSimonian-Laird tau2. Given the estimate, Q is a quadratic form
    in normal variables; its distribution is approximated by a gamma of the same conditional mean
    and variance, and the critical value follows by integration over the estimate.

    References
    ----------
    Henmi and Copas (2010), Stat Med 29:2969-2983, sect. 3.
    """
    from scipy.optimize import brentq

    notes = _caution(effects, "the Henmi-Copas interval", least=2)
    check_level(level)
    found = fit(effects.yi, effects.vi, tau2="DL")
    common = fit(effects.yi, effects.vi, tau2="EE")
    coverage = _coverage(effects.vi, found)
    high = 2.0
    while coverage(high) < level:
        high *= 2
    critical = float(brentq(lambda t: coverage(t) - level, high / 1e3, high, xtol=1e-13))
    w = 1 / effects.vi
    s1, s2 = float(w.sum()), float(w @ w)
    se = math.sqrt(1 + found.tau2.value * s2 / s1) / math.sqrt(s1)
    mid = float(common.beta[0])
    half = critical * se
    return HenmiCopas(
        mid, se, (mid - half, mid + half), critical, found.tau2.value, level, notes
    )


def _coverage(v: Array, found: Fit) -> Any:
    """P(|estimate - truth| <= t se) as a function of t, at the estimated tau2.

    With x = effect errors, var x = S = diag(v + tau2), estimate error a'x with a = w/sum(w), and
    Q = x'Ax: given a'x = r sd, x has mean b r sd, b = Sa/sd^2, and covariance C = S - sd^2 bb'.
    Hence E Q = (r sd)^2 b'Ab + tr(AC) and var Q = 2 tr(ACAC) + 4 (r sd)^2 b'ACAb.
    """
    k, tau2 = len(v), found.tau2.value
    w = 1 / v
    s1, s2 = float(w.sum()), float(w @ w)
    spread = v + tau2
    a = w / s1
    variance = float((a * a) @ spread)
    b = spread * a / variance

    def times_a(x: Array) -> Array:  # A x
        return np.asarray(w * x - w * (float(w @ x) / s1))

    def times_c(x: Array) -> Array:  # C x
        return np.asarray(spread * x - variance * b * float(b @ x))

    # tr(AC) and tr(ACAC) from diagonals and rank-one parts: A = diag(w) - ww'/s1.
    ab = times_a(b)
    bab = float(b @ ab)
    ws = w * spread
    trace_as = float(ws.sum()) - float(w @ ws) / s1
    trace_ac = trace_as - variance * bab
    trace_asas = float(ws @ ws) - 2 * float((w * w) @ (w * spread**2)) / s1
    trace_asas += (float(w @ ws) / s1) ** 2
    trace_acac = trace_asas - 2 * variance * float(ab @ (spread * ab)) + (variance * bab) ** 2
    bacab = float(ab @ times_c(ab))
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    reach = 40.0  # beyond any normal deviate that has a density

    def coverage(t: float) -> float:
        # While the estimate is within the shortest possible interval, it is covered for certain.
        kink = t * math.sqrt(1 / (s1 * variance))
        inside = 1 - 2 * float(special.ndtr(-kink))
        top = min(max(kink, 9.0) + 3.0, reach)
        r = kink + (top - kink) * (nodes + 1) / 2
        moved = r * r * variance
        mean = moved * bab + trace_ac
        var = 2 * trace_acac + 4 * moved * bacab
        needed_tau2 = (moved * s1 * s1 / t**2 - s1) / s2
        needed_q = (k - 1) + (s1 - s2 / s1) * needed_tau2
        tail = special.gammaincc(mean * mean / var, needed_q * mean / var)
        density = np.exp(-0.5 * r * r) / math.sqrt(2 * math.pi)
        outside = float((tail * density) @ node_weights) * (top - kink) / 2
        return inside + 2 * outside

    return coverage
