"""Effects from means and standard deviations of two independent groups.

Every function takes ``mean_1, sd_1, n_1, mean_2, sd_2, n_2`` (or those of them that it needs),
arrays of shape (k,) in the unit of the outcome, arm 1 the intervention, and returns ``y, v`` of
shape (k,), NaN where a study's effect is undefined.

Options that several share: ``exact_j`` takes Hedges' correction J by the gamma function (True) or
as 1 - 3 / (4 m - 1); ``correct=False`` leaves small-sample corrections of the estimate out;
``compat="metafor-3.8"`` uses the formulas of that version where today's differ.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.measures.registry import measure
from meta.measures.small_sample import Compat, hedges_j, is_legacy, known_vtype, weighted_mean

Array = NDArray[np.float64]
NEEDS = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")


def pooled_sd(sd_1: Array, n_1: Array, sd_2: Array, n_2: Array) -> Array:
    """Standard deviation within groups, as if it were the same in both."""
    return np.asarray(
        np.sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / (n_1 + n_2 - 2)), dtype=float
    )


def correction(m: Array, *, exact_j: bool, correct: bool) -> Array:
    """J for ``m`` degrees of freedom, or 1 where no correction is wanted."""
    return hedges_j(m, exact=exact_j) if correct else np.ones_like(m)


@measure("MD", label="Mean difference", scale="identity", needs=NEEDS)
def mean_difference(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    vtype: str = "LS",
) -> tuple[Array, Array]:
    """Difference of two means.

    ``vtype``: "LS" each group's own variance, "HO" a common one. Borenstein (2009) in Cooper et
    al., Handbook of Research Synthesis, equations 12.5 and 12.3.
    """
    known_vtype(vtype, ("LS", "HO"))
    y = mean_1 - mean_2
    if vtype == "HO":
        return y, pooled_sd(sd_1, n_1, sd_2, n_2) ** 2 * (1 / n_1 + 1 / n_2)
    return y, sd_1**2 / n_1 + sd_2**2 / n_2


@measure("SMD", label="Standardised mean difference", scale="identity", needs=NEEDS)
def standardised_mean_difference(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    vtype: str = "LS",
    exact_j: bool = True,
    correct: bool = True,
) -> tuple[Array, Array]:
    """Hedges' g: mean difference over the pooled standard deviation, times J.

    ``vtype``: "LS" large-sample with g (Hedges 1982, Psychol Bull 92:490, equation 8), "LS2" that
    of d times J² (Borenstein 2009, equation 12.17), "UB" unbiased (Hedges 1983, Psychol Bull
    93:388, equation 9), "AV" large-sample with the mean g of the studies by size.
    """
    known_vtype(vtype, ("LS", "LS2", "UB", "AV"))
    m = n_1 + n_2 - 2
    j = correction(m, exact_j=exact_j, correct=correct)
    d = (mean_1 - mean_2) / pooled_sd(sd_1, n_1, sd_2, n_2)
    return _standardised(d, j, m, n_1, n_2, n_1 + n_2, vtype)


def _standardised(
    d: Array, j: Array, m: Array, n_1: Array, n_2: Array, n_sd: Array, vtype: str
) -> tuple[Array, Array]:
    """J d with its variance; ``n_sd`` people stand behind the standard deviation (df ``m``)."""
    g = j * d
    means = 1 / n_1 + 1 / n_2
    if vtype == "LS2":
        return g, j**2 * (means + d**2 / (2 * n_sd))
    if vtype == "UB":
        return g, means + (1 - (m - 2) / (m * j**2)) * g**2
    if vtype == "AV":
        return g, np.where(
            np.isnan(g), np.nan, means + weighted_mean(g, n_1 + n_2) ** 2 / (2 * n_sd)
        )
    return g, means + g**2 / (2 * n_sd)


@measure("SMDH", label="Standardised mean difference", scale="identity", needs=NEEDS)
def heteroscedastic_mean_difference(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    exact_j: bool = True,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Mean difference over the root of the average variance, for unequal variances.

    The variance is Bonett's for the uncorrected value, times J² since the estimate is J times
    that value; ``compat="metafor-3.8"`` puts the corrected value into it. Bonett (2008), Psychol
    Methods 13(2):99-109; Bonett (2009), Psychol Methods 14(3):225-238.
    """
    square = (sd_1**2 + sd_2**2) / 2
    j = correction(n_1 + n_2 - 2, exact_j=exact_j, correct=correct)
    d = (mean_1 - mean_2) / np.sqrt(square)
    value = j * d if is_legacy(compat) else d
    v = value**2 * (sd_1**4 / (n_1 - 1) + sd_2**4 / (n_2 - 1)) / (8 * square**2)
    v = v + (sd_1**2 / (n_1 - 1) + sd_2**2 / (n_2 - 1)) / square
    return j * d, j**2 * v


@measure(
    "SMD1",
    label="Standardised mean difference (SD of arm 2)",
    scale="identity",
    needs=("mean_1", "n_1", "mean_2", "sd_2", "n_2"),
)
def glass_delta(
    mean_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    vtype: str = "LS",
    exact_j: bool = True,
    correct: bool = True,
) -> tuple[Array, Array]:
    """Glass's delta: mean difference over the standard deviation of arm 2, times J.

    ``vtype`` as for the SMD, with the n_2 - 1 degrees of freedom of that standard deviation.
    Hedges (1981), Journal of Educational Statistics 6(2):107-128.
    """
    known_vtype(vtype, ("LS", "LS2", "UB", "AV"))
    m = n_2 - 1
    j = correction(m, exact_j=exact_j, correct=correct)
    return _standardised((mean_1 - mean_2) / sd_2, j, m, n_1, n_2, n_2, vtype)


@measure(
    "SMD1H",
    label="Standardised mean difference (SD of arm 2)",
    scale="identity",
    needs=NEEDS,
)
def heteroscedastic_glass_delta(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    exact_j: bool = True,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Glass's delta where the groups' variances differ.

    The variance is Bonett's for the uncorrected value, times J²; ``compat="metafor-3.8"`` puts
    the corrected value into it, leaves J² out and divides by sizes instead of degrees of freedom.
    Bonett (2008), Psychol Methods 13(2):99-109.
    """
    j = correction(n_2 - 1, exact_j=exact_j, correct=correct)
    d = (mean_1 - mean_2) / sd_2
    if is_legacy(compat):
        means = sd_1**2 / (sd_2**2 * n_1) + 1 / n_2
        return j * d, np.where(np.isnan(j), np.nan, means + (j * d) ** 2 / (2 * n_2))
    means = sd_1**2 / (sd_2**2 * (n_1 - 1)) + 1 / (n_2 - 1)
    return j * d, j**2 * (means + d**2 / (2 * (n_2 - 1)))


def _relative_variance(mean: Array, sd: Array, n: Array) -> Array:
    """Squared coefficient of variation of a mean: (sd / mean)² / n."""
    return sd**2 / (n * mean**2)


@measure("ROM", label="Ratio of means", scale="log", needs=NEEDS)
def log_ratio_of_means(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    vtype: str = "LS",
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Log ratio of two means of the same sign (log response ratio).

    ``vtype``: "LS" each group's own variance, "HO" a common variance, "AV" each arm's coefficient
    of variation averaged over the studies by size, "AVHO" one coefficient averaged over both.
    ``correct`` (default; off under ``compat="metafor-3.8"``) adds the second-order terms to the
    estimate and, for "LS", to the variance: the log of a mean is too low by half its squared
    coefficient of variation. Hedges et al. (1999), Ecology 80(4):1150-1156, equation 1;
    Lajeunesse (2015), Ecology 96(8):2056-2063; Nakagawa et al. (2023), Ecology
    Letters 26(2):232-244.
    """
    known_vtype(vtype, ("LS", "HO", "AV", "AVHO"))
    correct = correct and not is_legacy(compat)
    ratio = mean_1 / mean_2
    y = np.log(np.where(ratio > 0, ratio, np.nan))
    t1, t2 = _relative_variance(mean_1, sd_1, n_1), _relative_variance(mean_2, sd_2, n_2)
    if correct:
        y = y + (t1 - t2) / 2
    cv1, cv2 = weighted_mean(sd_1 / mean_1, n_1), weighted_mean(sd_2 / mean_2, n_2)
    if is_legacy(compat) and ((mean_1 == 0) | (mean_2 == 0)).any():
        cv1 = cv2 = np.asarray(np.nan)  # metafor 3.8 averages the infinite one of such a study too
    if vtype == "HO":
        common = pooled_sd(sd_1, n_1, sd_2, n_2)
        v = _relative_variance(mean_1, common, n_1) + _relative_variance(mean_2, common, n_2)
    elif vtype == "AV":
        v = cv1**2 / n_1 + cv2**2 / n_2
    elif vtype == "AVHO":
        share = np.sum(n_1) / np.sum(n_1 + n_2)
        v = (share * cv1 + (1 - share) * cv2) ** 2 * (1 / n_1 + 1 / n_2)
    else:
        v = t1 + t2
        if correct:
            v = v + (t1**2 + t2**2) / 2
    return np.where(np.isnan(v), np.nan, y), np.where(np.isnan(y), np.nan, v)


@measure("CVR", label="Ratio of coefficients of variation", scale="log", needs=NEEDS)
def log_variation_ratio(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Log ratio of coefficients of variation of positive means.

    With the bias of the log standard deviations removed (Nakagawa et al. 2015, Methods Ecol Evol
    6(2):143-152, equation 12 for the variance without its covariance term, which is zero under
    normality). ``correct`` (default; off under ``compat="metafor-3.8"``) adds the second-order
    terms of the log means and of both variances: Senior et al. (2020), Res Synth Methods
    11(4):553-567.
    """
    correct = correct and not is_legacy(compat)
    positive = (mean_1 > 0) & (mean_2 > 0)
    y = np.log(np.where(positive, (sd_1 / mean_1) / (sd_2 / mean_2), np.nan))
    y = y + 1 / (2 * (n_1 - 1)) - 1 / (2 * (n_2 - 1))
    t1, t2 = _relative_variance(mean_1, sd_1, n_1), _relative_variance(mean_2, sd_2, n_2)
    if not correct:
        v = 1 / (2 * (n_1 - 1)) + 1 / (2 * (n_2 - 1)) + t1 + t2
    else:
        y = y - (t1 - t2) / 2
        v = n_1 / (2 * (n_1 - 1) ** 2) + n_2 / (2 * (n_2 - 1) ** 2)
        v = v + t1 + t2 + (t1**2 + t2**2) / 2
    return y, np.where(positive, v, np.nan)


@measure(
    "VR", label="Ratio of standard deviations", scale="log", needs=("sd_1", "n_1", "sd_2", "n_2")
)
def log_variability_ratio(sd_1: Array, n_1: Array, sd_2: Array, n_2: Array) -> tuple[Array, Array]:
    """Log ratio of standard deviations, with the bias of their logs removed.

    Nakagawa et al. (2015), Methods Ecol Evol 6(2):143-152.
    """
    y = np.log(sd_1 / sd_2) + 1 / (2 * (n_1 - 1)) - 1 / (2 * (n_2 - 1))
    return y, 1 / (2 * (n_1 - 1)) + 1 / (2 * (n_2 - 1))


def _point_biserial(d: Array, n_1: Array, n_2: Array) -> tuple[Array, Array]:
    m = n_1 + n_2 - 2
    h = m / n_1 + m / n_2
    return d / np.sqrt(d**2 + h), h


@measure("RPB", label="Point-biserial correlation", scale="identity", needs=NEEDS)
def point_biserial(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
    *,
    vtype: str = "ST",
) -> tuple[Array, Array]:
    """Correlation of the outcome with membership of group 1.

    ``vtype`` follows the sampling: "ST" stratified (the groups' sizes are fixed), "CS"
    cross-sectional. Tate (1954), Annals of Mathematical Statistics 25(3):603-607; Jacobs &
    Viechtbauer (2017), Res Synth Methods 8(2):161-180.
    """
    known_vtype(vtype, ("ST", "CS"))
    d = (mean_1 - mean_2) / pooled_sd(sd_1, n_1, sd_2, n_2)
    y, h = _point_biserial(d, n_1, n_2)
    n = n_1 + n_2
    if vtype == "CS":
        p = n_1 / n
        return y, (1 - y**2) ** 2 * (y**2 / (4 * p * (1 - p)) + (2 - 3 * y**2) / 2) / n
    return y, h**2 / (h + d**2) ** 3 * (1 / n_1 + 1 / n_2 + d**2 / (2 * n))


@measure("RBIS", label="Biserial correlation", scale="identity", needs=NEEDS)
def biserial(
    mean_1: Array, sd_1: Array, n_1: Array, mean_2: Array, sd_2: Array, n_2: Array
) -> tuple[Array, Array]:
    """Correlation of the outcome with the normal variable that was cut into two groups.

    It can pass ±1, which the variance then takes in its place. Variance by Soper's approximation:
    Soper (1914), Biometrika 10(2-3):384-390; Jacobs & Viechtbauer (2017), Res Synth Methods
    8(2):161-180.
    """
    d = (mean_1 - mean_2) / pooled_sd(sd_1, n_1, sd_2, n_2)
    r, _ = _point_biserial(d, n_1, n_2)
    n = n_1 + n_2
    p = n_1 / n
    q = 1 - p
    z = scipy.special.ndtri(p)
    f = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    y = np.sqrt(p * q) / f * r
    square = np.minimum(y**2, 1.0)
    inner = 1.5 + (1 + p * z / f) * (1 - q * z / f)
    return y, (p * q / f**2 - inner * square + square**2) / (n - 1)
