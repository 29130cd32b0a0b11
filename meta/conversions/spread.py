"""Standard deviations and means from what papers print instead of them."""

from __future__ import annotations

import math

from scipy import special

from meta.conversions.provenance import (
    at_least_two,
    formula,
    level_between,
    ordered,
    p_between,
    positive,
    require,
)

HANDBOOK = "Cochrane Handbook ch. 6"
WAN = "Wan et al. 2014, BMC Med Res Methodol 14:135"
LUO = "Luo et al. 2018, Stat Methods Med Res 27:1785"
SHI = "Shi et al. 2020, Res Synth Methods 11:641"
SKEW = "Shi et al. 2023, Stat Methods Med Res 32:1338"
LEAST = 5  # people; below this the quartiles are the data


def quantile(level: float, df: float | None = None) -> float:
    """Two-sided quantile of t with ``df`` degrees of freedom, of the normal without them."""
    level_between(level)
    return upper_quantile((1 - level) / 2, df)


def upper_quantile(tail: float, df: float | None = None) -> float:
    """The value that t (or the normal) exceeds with probability ``tail``."""
    # from the lower tail, where a small probability keeps its digits
    return -float(special.ndtri(tail) if df is None else special.stdtrit(df, tail))


@formula("sd-from-se", equation="SD = SE × √n", source=HANDBOOK)
def sd_from_se(se: float, n: float) -> dict[str, float]:
    """Standard deviation of a group from the standard error of its mean."""
    positive(se=se)
    at_least_two(n=n)
    return {"sd": se * math.sqrt(n)}


@formula("sd-from-ci", equation="SD = √n × (high - low) / (2 t(n - 1))", source=HANDBOOK)
def sd_from_ci(low: float, high: float, n: float, *, level: float = 0.95) -> dict[str, float]:
    """Standard deviation of a group from the confidence interval of its mean, by Student's t."""
    at_least_two(n=n)
    positive(width=high - low)
    return {"sd": math.sqrt(n) * (high - low) / (2 * quantile(level, n - 1))}


@formula("se-from-ci", equation="SE = (high - low) / (2 × quantile)", source=HANDBOOK)
def se_from_ci(
    low: float, high: float, *, level: float = 0.95, df: float | None = None
) -> dict[str, float]:
    """Standard error from a confidence interval on the scale on which it is symmetric.

    ``df`` for an interval by Student's t (n_1 + n_2 - 2 for a mean difference); None for z.
    """
    positive(width=high - low)
    return {"se": (high - low) / (2 * quantile(level, df))}


@formula("se-from-ratio-ci", equation="SE = (ln high - ln low) / (2 z)", source=HANDBOOK)
def se_from_ratio_ci(low: float, high: float, *, level: float = 0.95) -> dict[str, float]:
    """Standard error of a log ratio (OR, RR, HR, ratio of means) from the ratio's interval."""
    positive(low=low, high=high, width=high - low)
    return {"se": (math.log(high) - math.log(low)) / (2 * quantile(level))}


@formula("se-from-t", equation="SE = |estimate / t|", source=HANDBOOK)
def se_from_t(estimate: float, t: float) -> dict[str, float]:
    """Standard error from an estimate and its t (or z)."""
    require(
        t != 0 and estimate != 0,
        f"estimate = {estimate} and t = {t} give no standard error",
        remedy="use a confidence interval or a p-value in its place",
    )
    return {"se": abs(estimate / t)}


@formula("se-from-p", equation="SE = |estimate| / quantile(1 - p/2)", source=HANDBOOK)
def se_from_p(estimate: float, p: float, *, df: float | None = None) -> dict[str, float]:
    """Standard error from an estimate and its two-sided p, by Student's t with ``df`` or by z."""
    p_between(p)
    require(
        estimate != 0 and p < 1,
        f"estimate = {estimate} and p = {p} give no standard error",
        remedy="use a confidence interval in its place",
    )
    return {"se": abs(estimate) / upper_quantile(p / 2, df)}


@formula("pooled-sd-from-se", equation="SD = SE / √(1/n_1 + 1/n_2)", source=HANDBOOK)
def pooled_sd_from_se(se: float, n_1: float, n_2: float) -> dict[str, float]:
    """Standard deviation within groups from the standard error of their mean difference."""
    positive(se=se)
    at_least_two(n_1=n_1, n_2=n_2)
    return {"sd": se / math.sqrt(1 / n_1 + 1 / n_2)}


@formula(
    "pooled-sd-from-ci",
    equation="SE = (high - low) / (2 t(n_1 + n_2 - 2)), SD = SE / √(1/n_1 + 1/n_2)",
    source=HANDBOOK,
)
def pooled_sd_from_ci(
    low: float, high: float, n_1: float, n_2: float, *, level: float = 0.95
) -> dict[str, float]:
    """Standard deviation within groups from the interval of their mean difference: sd, se."""
    at_least_two(n_1=n_1, n_2=n_2)
    positive(width=high - low)
    se = (high - low) / (2 * quantile(level, n_1 + n_2 - 2))
    return {"sd": se / math.sqrt(1 / n_1 + 1 / n_2), "se": se}


@formula(
    "pooled-sd-from-t",
    equation="SE = |difference / t|, SD = SE / √(1/n_1 + 1/n_2)",
    source=HANDBOOK,
)
def pooled_sd_from_t(difference: float, t: float, n_1: float, n_2: float) -> dict[str, float]:
    """Standard deviation within groups from their mean difference and its t: sd, se."""
    at_least_two(n_1=n_1, n_2=n_2)
    require(
        t != 0 and difference != 0,
        f"difference = {difference} and t = {t} give no standard deviation",
        remedy="use a confidence interval or a standard error in its place",
    )
    se = abs(difference / t)
    return {"sd": se / math.sqrt(1 / n_1 + 1 / n_2), "se": se}


@formula(
    "pooled-sd-from-p",
    equation="|t| from p with n_1 + n_2 - 2 df, SE = |difference / t|, SD = SE / √(1/n_1 + 1/n_2)",
    source=HANDBOOK,
)
def pooled_sd_from_p(difference: float, p: float, n_1: float, n_2: float) -> dict[str, float]:
    """Standard deviation within groups from their mean difference and its two-sided p: sd, se, t.

    For "p < 0.05" give 0.05, which makes the standard deviation too large rather than too small.
    """
    at_least_two(n_1=n_1, n_2=n_2)
    p_between(p)
    require(
        p < 1 and difference != 0,
        f"difference = {difference} and p = {p} give no standard deviation",
        remedy="use a confidence interval or a standard error in its place",
    )
    t = upper_quantile(p / 2, n_1 + n_2 - 2)
    se = abs(difference) / t
    return {"sd": se / math.sqrt(1 / n_1 + 1 / n_2), "se": se, "t": t}


@formula("sd-from-t", equation="SD = √n × |mean / t|", source=HANDBOOK)
def sd_from_t(mean: float, t: float, n: float) -> dict[str, float]:
    """Standard deviation of one group (of changes, of paired differences) from mean and t."""
    at_least_two(n=n)
    require(
        t != 0 and mean != 0,
        f"mean = {mean} and t = {t} give no standard deviation",
        remedy="use a confidence interval or a standard error in its place",
    )
    return {"sd": math.sqrt(n) * abs(mean / t)}


@formula("sd-from-p", equation="|t| from p with n - 1 df, SD = √n × |mean| / |t|", source=HANDBOOK)
def sd_from_p(mean: float, p: float, n: float) -> dict[str, float]:
    """Standard deviation of one group from its mean and two-sided p: sd, t."""
    at_least_two(n=n)
    p_between(p)
    require(
        p < 1 and mean != 0,
        f"mean = {mean} and p = {p} give no standard deviation",
        remedy="use a confidence interval or a standard error in its place",
    )
    t = upper_quantile(p / 2, n - 1)
    return {"sd": math.sqrt(n) * abs(mean) / t, "t": t}


def _enough(n: float) -> None:
    require(
        n >= LEAST,
        f"n = {n} is too few for quantiles to stand for a mean or a spread",
        remedy=f"ask the authors, or leave the study out and say so (at least {LEAST} are needed)",
    )


def _range_width(n: float) -> float:
    return 2 * float(special.ndtri((n - 0.375) / (n + 0.25)))


def _quartile_width(n: float) -> float:
    return 2 * float(special.ndtri((0.75 * n - 0.125) / (n + 0.25)))


@formula(
    "sd-from-range",
    equation="SD = (max - min) / (2 Φ⁻¹((n - 0.375) / (n + 0.25)))",
    source=f"{WAN}, equation 9",
)
def sd_from_range(minimum: float, maximum: float, n: float) -> dict[str, float]:
    """Standard deviation of normal data from their range."""
    _enough(n)
    positive(width=maximum - minimum)
    return {"sd": (maximum - minimum) / _range_width(n)}


@formula(
    "sd-from-iqr",
    equation="SD = (q3 - q1) / (2 Φ⁻¹((0.75 n - 0.125) / (n + 0.25)))",
    source=f"{WAN}, equation 16",
)
def sd_from_iqr(q1: float, q3: float, n: float) -> dict[str, float]:
    """Standard deviation of normal data from their quartiles."""
    _enough(n)
    positive(width=q3 - q1)
    return {"sd": (q3 - q1) / _quartile_width(n)}


@formula(
    "sd-from-five",
    equation="SD = mean of the one from the range and the one from the quartiles",
    source=WAN,
)
def sd_from_five_wan(
    minimum: float, q1: float, q3: float, maximum: float, n: float
) -> dict[str, float]:
    """Standard deviation of normal data from range and quartiles, in equal parts."""
    _enough(n)
    ordered(minimum=minimum, q1=q1, q3=q3, maximum=maximum)
    positive(width=q3 - q1)
    by_range, by_quartiles = (maximum - minimum) / _range_width(n), (q3 - q1) / _quartile_width(n)
    return {"sd": (by_range + by_quartiles) / 2}


@formula(
    "sd-from-five-optimal",
    equation="SD = w × SD(range) + (1 - w) × SD(quartiles), w = 1 / (1 + 0.07 n^0.6)",
    source=f"{SHI}, equation 10",
)
def sd_from_five(
    minimum: float, q1: float, q3: float, maximum: float, n: float
) -> dict[str, float]:
    """Standard deviation of normal data from range and quartiles, weighted by precision."""
    _enough(n)
    ordered(minimum=minimum, q1=q1, q3=q3, maximum=maximum)
    positive(width=q3 - q1)
    w = 1 / (1 + 0.07 * n**0.6)
    by_range, by_quartiles = (maximum - minimum) / _range_width(n), (q3 - q1) / _quartile_width(n)
    return {"sd": w * by_range + (1 - w) * by_quartiles}


@formula(
    "mean-from-range",
    equation="mean = w (min + max)/2 + (1 - w) median, w = 4 / (4 + n^0.75)",
    source=f"{LUO}, equation 7",
)
def mean_from_range(minimum: float, median: float, maximum: float, n: float) -> dict[str, float]:
    """Mean of symmetric data from median and range."""
    _enough(n)
    ordered(minimum=minimum, median=median, maximum=maximum)
    w = 4 / (4 + n**0.75)
    return {"mean": w * (minimum + maximum) / 2 + (1 - w) * median}


@formula(
    "mean-from-iqr",
    equation="mean = w (q1 + q3)/2 + (1 - w) median, w = 0.7 + 0.39/n",
    source=f"{LUO}, equation 11",
)
def mean_from_iqr(q1: float, median: float, q3: float, n: float) -> dict[str, float]:
    """Mean of symmetric data from median and quartiles."""
    _enough(n)
    ordered(q1=q1, median=median, q3=q3)
    w = 0.7 + 0.39 / n
    return {"mean": w * (q1 + q3) / 2 + (1 - w) * median}


@formula(
    "mean-from-five",
    equation="mean = u (min + max)/2 + w (q1 + q3)/2 + (1 - u - w) median, "
    "u = 2.2 / (2.2 + n^0.75), w = 0.7 - 0.72 / n^0.55",
    source=f"{LUO}, equation 15",
)
def mean_from_five(
    minimum: float, q1: float, median: float, q3: float, maximum: float, n: float
) -> dict[str, float]:
    """Mean of symmetric data from median, quartiles and range."""
    _enough(n)
    ordered(minimum=minimum, q1=q1, median=median, q3=q3, maximum=maximum)
    u, w = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    return {
        "mean": u * (minimum + maximum) / 2 + w * (q1 + q3) / 2 + (1 - u - w) * median,
    }


@formula(
    "skewness-test",
    equation="T beyond its critical value speaks against symmetry at the 5% level; "
    "range: |min + max - 2 median| / (max - min) against 1.01 / ln(n + 9) + 2.43 / (n + 1); "
    "quartiles: |q1 + q3 - 2 median| / (q3 - q1) against 2.65/√n - 6/n²; "
    "both: the larger of 2.65 ln(0.6 n)/√n × the first and the second, against 2.97/√n - 39.1/n³",
    source=SKEW,
)
def skewness(
    median: float,
    n: float,
    *,
    minimum: float | None = None,
    q1: float | None = None,
    q3: float | None = None,
    maximum: float | None = None,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Whether range, quartiles or both speak against normal data: values t, critical, skewed.

    ``skewed`` is 1 where they do; mean and standard deviation from quantiles are then not to be
    trusted. Give minimum and maximum, q1 and q3, or all four.
    """
    _enough(n)
    ordered(minimum=minimum, q1=q1, median=median, q3=q3, maximum=maximum)
    by_range = by_quartiles = None
    if minimum is not None and maximum is not None:
        positive(width=maximum - minimum)
        by_range = abs(minimum + maximum - 2 * median) / (maximum - minimum)
    if q1 is not None and q3 is not None:
        positive(width=q3 - q1)
        by_quartiles = abs(q1 + q3 - 2 * median) / (q3 - q1)
    if by_range is not None and by_quartiles is not None:
        t = max(2.65 * math.log(0.6 * n) / math.sqrt(n) * by_range, by_quartiles)
        critical = 2.97 / math.sqrt(n) - 39.1 / n**3
    elif by_quartiles is not None:
        t, critical = by_quartiles, 2.65 / math.sqrt(n) - 6 / n**2
    else:
        require(
            by_range is not None,
            "the median alone says nothing about skewness",
            remedy="give minimum and maximum, q1 and q3, or all four",
        )
        assert by_range is not None
        t, critical = by_range, 1.01 / math.log(n + 9) + 2.43 / (n + 1)
    skewed = t > critical
    note = "the data look skewed" if skewed else "no evidence of skewness"
    return {"t": t, "critical": critical, "skewed": float(skewed)}, (note,)
