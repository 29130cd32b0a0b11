"""How much unmeasured confounding would explain a result away: E-values and bias factors.

For observational studies. An E-value says how strong confounding would have to be, never how
strong it is; a large one is no proof of causation, and neither it nor the bias factors know
anything of selection, measurement error or publication bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, UnknownName
from meta.fitting import check_level, quantile
from meta.present import Presented
from meta.results import PooledEffect, show

Array = NDArray[np.float64]
Pair = tuple[float, float]
NAN = math.nan
COHEN = 0.91  # log risk ratio per unit of a standardised difference, VanderWeele and Ding (2017)

# Measures whose ratio (after any conversion) approximates a risk ratio.
RATIO = ("RR", "IRR")
ODDS = ("OR", "PETO", "D2ORL", "D2ORN")
STANDARDISED = (
    *("SMD", "SMDH", "SMD1", "SMD1H", "SMCC", "SMCR", "SMCRH"),
    *("SMDPPC", "SMDPPC1", "SMDPPC3", "OR2DL", "OR2DN"),
)
DIFFERENCES = (*STANDARDISED, "MD", "RD")
KNOWN = (*RATIO, "HR", *ODDS, *DIFFERENCES)


@dataclass(frozen=True, slots=True)
class EValue(Presented):
    """The least strength of confounding that would explain an effect away.

    Both of the confounder's associations, with exposure and with outcome, are risk ratios.
    """

    measure: str
    estimate: float  # as people read it: a ratio, a standardised difference, a risk difference
    ci: Pair
    rr: float  # the risk ratio that it stands for
    rr_ci: Pair
    conversion: str  # to a risk ratio, in words
    true: float  # risk ratio to which the effect is moved; 1 is no effect
    point: float  # E-value of the estimate
    limit: float  # E-value of the limit nearest to ``true``; 1 where the interval holds it
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: the risk ratio and the E-values of estimate and limit."""
        low, high = self.rr_ci
        goal = "no effect" if self.true == 1 else f"a risk ratio of {show(self.true)}"
        return (
            f"Risk ratio {show(self.rr)} (CI {show(low)} to {show(high)}; {self.conversion}): "
            f"E-value {show(self.point)}, {show(self.limit)} for the limit nearest to {goal}"
        )


def e_value(
    pooled: PooledEffect,
    *,
    measure: str | None = None,
    rare: bool | None = None,
    baseline_risk: float | None = None,
    sd: float | None = None,
    true: float = 1.0,
) -> EValue:
    """E-value of a pooled effect and of the limit of its interval that is nearest to no effect.

    Parameters
    ----------
    pooled : PooledEffect
        Of observational studies.
    measure : str, optional
        What the effects are, where they were given ready-made: "RR", "OR", "HR", "SMD", "RD", ...
        Ratios are then taken to be on the log scale.
    rare, baseline_risk, sd, true
        As for ``e_value_of``.

    Notes
    -----
    The limits are those of the pooled interval, whichever it is. It speaks of the mean effect: the
    same confounding in every study. Where effects differ, most may be explained away by less, or
    some by far more: see ``confounding``.

    References
    ----------
    VanderWeele and Ding (2017), Ann Intern Med 167:268-274.
    """
    key = pooled.effects.measure.key if measure is None else measure
    natural = _log_scale(key)
    return e_value_of(
        key,
        natural(pooled.estimate),
        (natural(pooled.ci[0]), natural(pooled.ci[1])),
        rare=rare,
        baseline_risk=baseline_risk,
        sd=sd,
        true=true,
    )


def e_value_of(
    measure: str,
    estimate: float,
    ci: Pair | None = None,
    *,
    se: float | None = None,
    rare: bool | None = None,
    baseline_risk: float | None = None,
    sd: float | None = None,
    true: float = 1.0,
) -> EValue:
    """E-value of an estimate as it is printed, ratios as ratios.

    Parameters
    ----------
    measure : str
        "RR" or "IRR" as they are; "OR" (also Peto's) and "HR" by an approximation unless the
        outcome is rare; "SMD" and its kin by exp(0.91 d); "MD" over ``sd`` likewise; "RD" through
        ``baseline_risk``.
    estimate, ci
        Estimate and confidence interval; without an interval, ``limit`` is NaN.
    se : float, optional
        For standardised differences, whose interval then is exp(0.91 d ± 1.78 se) as in the paper;
        without it the limits convert as the estimate does.
    rare : bool, optional
        For "OR" and "HR": whether fewer than about 15% have the outcome by the end of follow-up.
        Has to be said. If not: risk ratio = sqrt(OR), and (1 - 0.5^sqrt(HR)) /
        (1 - 0.5^sqrt(1/HR)).
    baseline_risk : float, optional
        For "RD": risk without the exposure, taken as known.
    sd : float, optional
        For "MD": standard deviation of the outcome, taken as known.
    true : float
        Risk ratio to which the effect is to be moved; 1 is no effect.

    Raises
    ------
    InputError
        If no E-value is defined for the measure, or what it needs is not given.

    References
    ----------
    VanderWeele and Ding (2017), Ann Intern Med 167:268-274, tables 1 and 2; VanderWeele (2017),
    Epidemiology 28:e58-e60 (square root); Ding and VanderWeele (2016), Epidemiology 27:368-377
    (the bound behind it).
    """
    if not (true > 0 and math.isfinite(true)):
        raise InputError(f"true = {true} is not a risk ratio", remedy="give a positive number")
    if ci is not None and not ci[0] <= estimate <= ci[1]:
        raise InputError(f"the estimate {estimate} is not within its interval {ci}")
    to_rr, conversion = _to_risk_ratio(measure, rare, baseline_risk, sd)
    rr = _checked(to_rr, measure, estimate)
    notes: tuple[str, ...] = ()
    if ci is None:
        low, high = NAN, NAN
    elif se is not None and measure in (*STANDARDISED, "MD"):
        half = math.exp(1.78 * se / (sd or 1.0))  # 0.91 × 1.96, as the paper rounds it
        low, high = rr / half, rr * half
    else:
        low, high = (_checked(to_rr, measure, end) for end in ci)
    if measure in ("RD", "MD"):
        notes = (f"the {'baseline risk' if measure == 'RD' else 'SD'} is taken as known",)
    limit = NAN
    if ci is not None:
        nearest = low if rr > true else high
        held = low <= true <= high
        limit = 1.0 if held else e_from_ratio(nearest / true)
    ends = (NAN, NAN) if ci is None else ci
    return EValue(
        measure,
        estimate,
        ends,
        rr,
        (low, high),
        conversion,
        true,
        e_from_ratio(rr / true),
        limit,
        notes,
    )


def e_from_ratio(ratio: float) -> float:
    """RR + sqrt(RR (RR - 1)) of a ratio or its reciprocal, whichever is above one.

    Two risk ratios of this size make the joint bounding factor E^2/(2 E - 1) equal to the ratio.

    References
    ----------
    VanderWeele and Ding (2017), Ann Intern Med 167:268-274.
    """
    above = max(ratio, 1 / ratio)
    return above + math.sqrt(above * (above - 1))


def _checked(to_rr: Callable[[float], float], measure: str, value: float) -> float:
    ratio = measure not in DIFFERENCES
    found = to_rr(value) if math.isfinite(value) and not (ratio and value <= 0) else NAN
    if not (found > 0 and math.isfinite(found)):
        raise InputError(
            f"{measure} = {value} stands for no risk ratio",
            remedy="give ratios as ratios, and a baseline risk that fits a risk difference",
        )
    return found


def _log_scale(measure: str) -> Callable[[float], float]:
    return (lambda x: x) if measure in DIFFERENCES else math.exp


def _to_risk_ratio(
    measure: str, rare: bool | None, baseline_risk: float | None = None, sd: float | None = None
) -> tuple[Callable[[float], float], str]:
    """The conversion of a measure to a risk ratio, and its words."""
    if measure in RATIO:
        return (lambda x: x), "as it is"
    if measure == "HR" or measure in ODDS:
        if rare is None:
            raise InputError(
                f"an E-value of {measure} depends on how common the outcome is",
                remedy="give rare=True (below about 15%) or rare=False",
            )
        if rare:
            return (lambda x: x), f"{measure} of a rare outcome"
        if measure == "HR":
            return _from_hazard, "approximated from HR"
        return math.sqrt, f"square root of {measure}"
    if measure in STANDARDISED:
        return (lambda d: math.exp(COHEN * d)), "exp(0.91 d)"
    if measure == "MD":
        if sd is None or not (sd > 0 and math.isfinite(sd)):
            raise InputError(
                "an E-value of MD needs the standard deviation of the outcome", remedy="give sd="
            )
        return (lambda x: math.exp(COHEN * x / sd)), f"exp(0.91 MD/{sd:g})"
    if measure == "RD":
        if baseline_risk is None or not 0 < baseline_risk < 1:
            raise InputError(
                "an E-value of RD needs the risk without the exposure",
                remedy="give baseline_risk=, between 0 and 1",
            )
        return (lambda x: _within_risk(baseline_risk + x) / baseline_risk), (
            f"at a baseline risk of {baseline_risk:g}"
        )
    raise UnknownName("measure with an E-value", measure, KNOWN)


def _within_risk(risk: float) -> float:
    return risk if 0 < risk <= 1 else NAN


def _from_hazard(ratio: float) -> float:
    return float((1 - 0.5 ** math.sqrt(ratio)) / (1 - 0.5 ** math.sqrt(1 / ratio)))


@dataclass(frozen=True, slots=True)
class Confounding(Presented):
    """What confounding does to the share of true effects beyond a threshold, and would have to do.

    Numbers of effects are log risk ratios; bias factors and strengths are risk ratios.
    """

    k: int
    threshold: float  # log risk ratio beyond which an effect matters
    tail: str  # "above" or "below"
    method: str  # "parametric" or "calibrated"
    bias_factor: float  # assumed, geometric mean over studies
    bias_sd: float  # its standard deviation on the log scale
    observed: float  # share of effects beyond the threshold as they stand, 0 to 1
    proportion: float  # the same with the bias taken away
    proportion_ci: Pair  # NaN where undefined
    r: float  # share to which the proportion is to fall
    minimum_bias: float  # T(r, q): bias factor in every study that brings it there
    minimum_bias_ci: Pair
    strength: float  # G(r, q): both confounding associations that make such a bias factor
    strength_ci: Pair
    level: float
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Two lines: the share under the assumed bias, and the bias that would undo it."""
        low, high = self.proportion_ci
        t, g = (show(value) for value in (self.minimum_bias, self.strength))
        where = f"{self.tail} a risk ratio of {show(math.exp(self.threshold))}"
        ends = "" if math.isnan(low) else f" ({self.level:.0%} CI {low:.0%} to {high:.0%})"
        return "\n".join(
            (
                f"True effects {where}: {self.observed:.0%} as observed, {self.proportion:.0%}"
                f"{ends} at a bias factor of {show(self.bias_factor)}",
                f"To bring them to {self.r:.0%}: a bias factor of {t} in every study, or "
                f"confounding of strength {g}",
                *self.notes,
            )
        )


METHODS = ("parametric", "calibrated")
TAILS = ("auto", "above", "below")


def confounding(
    pooled: PooledEffect,
    threshold: float,
    *,
    bias_factor: float = 1.0,
    bias_sd: float = 0.0,
    r: float = 0.10,
    tail: str = "auto",
    method: str = "parametric",
    measure: str | None = None,
    rare: bool | None = None,
    level: float = 0.95,
) -> Confounding:
    """Share of true effects beyond a threshold under confounding, and what would make it small.

    Parameters
    ----------
    pooled : PooledEffect
        Random-effects pool of observational studies.
    threshold : float
        The log risk ratio q beyond which a true effect matters, such as log(1.1) or log(0.9).
    bias_factor : float
        Risk ratio, 1 or more, by which studies are biased away from no effect (geometric mean).
    bias_sd : float
        Standard deviation of the log bias factor over studies, normal and independent of the true
        effects. Part of the observed heterogeneity is then bias.
    r : float
        Share of effects that would be few enough.
    tail : {"auto", "above", "below"}
        On which side effects matter; "auto" is the side of no effect on which the pool lies.
    method : {"parametric", "calibrated"}
        Normal true effects, with intervals by the delta method; or the share among the studies'
        own effects, shrunken until their spread is tau2, without normality and without intervals.
    measure, rare
        As for ``e_value``. Odds ratios of a common outcome enter by their square root,
        standardised differences times 0.91; a hazard ratio of a common outcome does not convert
        linearly and is refused.

    Returns
    -------
    Confounding
        ``minimum_bias`` is T(r, q) = exp(tau z_(1-r) - q + mu) for an effect above no effect, 1
        where no bias is needed; ``strength`` is G = T + sqrt(T^2 - T).

    Notes
    -----
    Not to be used for randomised trials, where mu and tau2 come from few studies (the parametric
    interval needs ten or so), or for shares below 15% or above 85% (parametric intervals are then
    poor). Needs effects that are independent of their bias.

    References
    ----------
    Mathur and VanderWeele (2020), J Am Stat Assoc 115:163-172 (proportion, T and G with their
    standard errors); (2020), Epidemiology 31:356-358 (calibrated); Wang and Lee (2019), Res Synth
    Methods 10:255-266 (shrinkage to tau2).
    """
    check_level(level)
    _check_bias(bias_factor, bias_sd, r)
    for value, known, what in ((tail, TAILS, "tail"), (method, METHODS, "method")):
        if value not in known:
            raise UnknownName(what, value, known)
    if pooled.model != "random":
        raise InputError("a common effect has no distribution", remedy='pool with model="random"')
    factor, conversion = _linear(measure or pooled.effects.measure.key, rare)
    notes = [conversion] if conversion else []
    mean, tau2 = factor * pooled.estimate, factor**2 * pooled.tau2
    if tail == "auto":
        tail = "above" if mean > 0 else "below"
    # Mirror effects that matter below, so that only one side is left.
    sign = 1.0 if tail == "above" else -1.0
    m, q, shift = sign * mean, sign * threshold, math.log(bias_factor)
    crit = quantile(level, None)
    undefined = (NAN, NAN)
    share_ci = t_ci = g_ci = undefined
    if method == "calibrated":
        y, v = factor * pooled.effects.yi, factor**2 * pooled.effects.vi
        spread = mean + np.sqrt(tau2 / (tau2 + v)) * (y - mean)
        order = np.sort(sign * spread)[::-1]
        if bias_sd:
            raise InputError("calibrated effects take one bias factor", remedy="leave bias_sd out")
        observed, share = (float(np.mean(order - b > q)) for b in (0.0, shift))
        allowed = math.floor(r * len(order) + 1e-9)
        log_t = float(order[allowed]) - q if allowed < len(order) else -math.inf
    else:
        observed = _share(m, tau2, q)[0]
        share, z = _share(m - shift, tau2 - bias_sd**2, q)
        se2 = (factor * pooled.se) ** 2
        tau2_var = (factor**2 * pooled.tau2_se) ** 2
        left = tau2 - bias_sd**2
        if left > 0:
            half = crit * math.sqrt(se2 / left + tau2_var * z**2 / (4 * left**2)) * _density(z)
            share_ci = (max(share - half, 0.0), min(share + half, 1.0))
        elif bias_sd:
            notes.append("the bias varies as much as the effects: no true heterogeneity is left")
        far = float(special.ndtri(1 - r))
        log_t = m - q + math.sqrt(tau2) * far
        if tau2 > 0:
            half = crit * math.sqrt(se2 + tau2_var * far**2 / (4 * tau2))
            if log_t > 0:
                t = math.exp(log_t)
                t_ci = (max(1.0, t * (1 - half)), t * (1 + half))
                slope = 1 + (2 * t - 1) / (2 * math.sqrt(t * t - t))
                g = e_from_ratio(t)
                g_ci = (max(1.0, g - half * t * slope), g + half * t * slope)
    t = math.exp(max(log_t, 0.0))
    if log_t <= 0:
        notes.append("no bias is needed")
    if method == "parametric" and not 0.15 <= share <= 0.85:
        notes.append('share below 15% or above 85%: method="calibrated" is safer')
    return Confounding(
        pooled.effects.k,
        threshold,
        tail,
        method,
        bias_factor,
        bias_sd,
        observed,
        share,
        share_ci,
        r,
        t,
        t_ci,
        e_from_ratio(t),
        g_ci,
        level,
        tuple(notes),
    )


def _check_bias(bias_factor: float, bias_sd: float, r: float) -> None:
    if not (bias_factor >= 1 and math.isfinite(bias_factor)):
        raise InputError(
            f"bias_factor = {bias_factor} is not a bias away from no effect",
            remedy="give a risk ratio of 1 or more, on whichever side the effects lie",
        )
    if not (bias_sd >= 0 and math.isfinite(bias_sd)):
        raise InputError(f"bias_sd = {bias_sd} is not a standard deviation")
    if not 0 < r < 1:
        raise InputError(f"r = {r} is not a share", remedy="give a number between 0 and 1")


def _share(mean: float, variance: float, q: float) -> tuple[float, float]:
    """Share of a normal distribution above q, and q in its standard deviations."""
    if variance <= 0:
        return float(mean > q), NAN
    z = (q - mean) / math.sqrt(variance)
    return float(special.ndtr(-z)), z


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _linear(measure: str, rare: bool | None) -> tuple[float, str]:
    """The factor that makes log risk ratios of effects, and its words."""
    if measure in STANDARDISED:
        return COHEN, "log risk ratios as 0.91 d"
    if measure == "MD":
        raise InputError(
            "mean differences make no risk ratios", remedy="compute SMD from the raw numbers"
        )
    if measure == "RD":
        raise InputError(
            "risk differences make no risk ratios of one kind",
            remedy="compute RR from the counts and pool that",
        )
    _, words = _to_risk_ratio(measure, rare)
    if measure == "HR" and not rare:
        raise InputError(
            "hazard ratios of a common outcome do not convert linearly",
            remedy="convert each study's hazard ratio and pool those as RR",
        )
    if measure in ODDS and not rare:
        return 0.5, words
    return 1.0, "" if measure in RATIO else words
