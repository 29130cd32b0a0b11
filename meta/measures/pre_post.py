"""Effects from two measurements of the same people, or of matched pairs.

Columns are arrays of shape (k,): ``mean_pre, mean_post, sd_pre, sd_post`` in the unit of the
outcome, ``n`` pairs, ``r`` the correlation of the two measurements (often assumed: see
``meta.conversions.correlation_from_change``). A positive effect is an increase. Every function
returns ``y, v`` of shape (k,), NaN where undefined. Options are those of ``meta.measures.means``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.means import correction, pooled_sd
from meta.measures.registry import measure
from meta.measures.small_sample import Compat, is_legacy

Array = NDArray[np.float64]
NEEDS = ("mean_pre", "sd_pre", "mean_post", "sd_post", "n", "r")
SPREAD = ("sd_pre", "sd_post", "n", "r")


def change_variance(sd_pre: Array, sd_post: Array, r: Array) -> Array:
    """Variance of the change of one person."""
    return np.asarray(sd_pre**2 + sd_post**2 - 2 * r * sd_pre * sd_post, dtype=float)


@measure("MC", label="Mean change", scale="identity", needs=NEEDS)
def mean_change(
    mean_pre: Array, sd_pre: Array, mean_post: Array, sd_post: Array, n: Array, r: Array
) -> tuple[Array, Array]:
    """Mean change in the unit of the outcome, with its squared standard error."""
    return mean_post - mean_pre, change_variance(sd_pre, sd_post, r) / n


@measure("SMCC", label="Standardised mean change (change SD)", scale="identity", needs=NEEDS)
def standardised_by_change(
    mean_pre: Array,
    sd_pre: Array,
    mean_post: Array,
    sd_post: Array,
    n: Array,
    r: Array,
    *,
    exact_j: bool = True,
    correct: bool = True,
) -> tuple[Array, Array]:
    """Mean change over the standard deviation of the changes, times J.

    Gibbons et al. (1993), Journal of Educational Statistics 18(3):271-279.
    """
    d = (mean_post - mean_pre) / np.sqrt(change_variance(sd_pre, sd_post, r))
    y = correction(n - 1, exact_j=exact_j, correct=correct) * d
    return y, 1 / n + y**2 / (2 * n)


@measure(
    "SMCR",
    label="Standardised mean change (pre SD)",
    scale="identity",
    needs=("mean_pre", "sd_pre", "mean_post", "n", "r"),
)
def standardised_by_baseline(
    mean_pre: Array,
    sd_pre: Array,
    mean_post: Array,
    n: Array,
    r: Array,
    *,
    exact_j: bool = True,
    correct: bool = True,
) -> tuple[Array, Array]:
    """Mean change over the standard deviation before, times J.

    Becker (1988), British Journal of Mathematical and Statistical Psychology 41(2):257-278.
    """
    y = correction(n - 1, exact_j=exact_j, correct=correct) * (mean_post - mean_pre) / sd_pre
    return y, 2 * (1 - r) / n + y**2 / (2 * n)


@measure("SMCRH", label="Standardised mean change (pre SD)", scale="identity", needs=NEEDS)
def heteroscedastic_by_baseline(
    mean_pre: Array,
    sd_pre: Array,
    mean_post: Array,
    sd_post: Array,
    n: Array,
    r: Array,
    *,
    exact_j: bool = True,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Mean change over the standard deviation before, where the two spreads differ.

    The variance is Bonett's for the uncorrected value, times J² since the estimate is J times
    that value; ``compat="metafor-3.8"`` puts the corrected value into it. Bonett (2008), Psychol
    Methods 13(2):99-109, for within-subjects contrasts.
    """
    j = correction(n - 1, exact_j=exact_j, correct=correct)
    d = (mean_post - mean_pre) / sd_pre
    value = j * d if is_legacy(compat) else d
    v = change_variance(sd_pre, sd_post, r) / (sd_pre**2 * (n - 1)) + value**2 / (2 * (n - 1))
    return j * d, j**2 * v


def _relative_variances(
    mean_pre: Array, sd_pre: Array, mean_post: Array, sd_post: Array, n: Array
) -> tuple[Array, Array]:
    return sd_pre**2 / (n * mean_pre**2), sd_post**2 / (n * mean_post**2)


@measure("ROMC", label="Ratio of means (post to pre)", scale="log", needs=NEEDS)
def log_ratio_of_paired_means(
    mean_pre: Array,
    sd_pre: Array,
    mean_post: Array,
    sd_post: Array,
    n: Array,
    r: Array,
    *,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Log ratio of the mean after to the mean before, of the same sign.

    ``correct`` (default; off under ``compat="metafor-3.8"``) adds the second-order terms to
    estimate and variance; correlated means (bivariate normal) differ from independent ones by
    -r² times the product of their relative variances. Lajeunesse (2011), Ecology
    92(11):2049-2055, and (2015), Ecology 96(8):2056-2063.
    """
    correct = correct and not is_legacy(compat)
    ratio = mean_post / mean_pre
    y = np.log(np.where(ratio > 0, ratio, np.nan))
    pre, post = _relative_variances(mean_pre, sd_pre, mean_post, sd_post, n)
    v = pre + post - 2 * r * sd_pre * sd_post / (mean_pre * mean_post * n)
    if correct:
        y = y + (post - pre) / 2
        v = v + (pre**2 + post**2) / 2 - r**2 * pre * post
    return y, np.where(np.isnan(y), np.nan, v)


@measure("CVRC", label="Ratio of coefficients of variation", scale="log", needs=NEEDS)
def log_paired_variation_ratio(
    mean_pre: Array,
    sd_pre: Array,
    mean_post: Array,
    sd_post: Array,
    n: Array,
    r: Array,
    *,
    correct: bool = True,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Log ratio of the coefficient of variation after to that before, of positive means.

    ``correct`` (default; off under ``compat="metafor-3.8"``) adds the second-order terms to
    estimate and variance: the expansion of Senior et al. (2020), Res Synth Methods 11(4):553-567,
    carried out for bivariate normal pairs. Nakagawa et al. (2015), Methods Ecol Evol 6(2):143-152.
    """
    correct = correct and not is_legacy(compat)
    positive = (mean_pre > 0) & (mean_post > 0)
    y = np.log(np.where(positive, (sd_post / mean_post) / (sd_pre / mean_pre), np.nan))
    pre, post = _relative_variances(mean_pre, sd_pre, mean_post, sd_post, n)
    v = pre + post - 2 * r * sd_pre * sd_post / (mean_pre * mean_post * n)
    if correct:
        y = y - (post - pre) / 2
        v = v + (pre**2 + post**2) / 2 - r**2 * pre * post
        v = v + n / (n - 1) ** 2 - r**2 / (n - 1) - r**4 / (n - 1) ** 2
    else:
        v = v + (1 - r**2) / (n - 1)
    return y, np.where(positive, v, np.nan)


@measure("VRC", label="Ratio of standard deviations (post to pre)", scale="log", needs=SPREAD)
def log_paired_variability_ratio(
    sd_pre: Array, sd_post: Array, n: Array, r: Array
) -> tuple[Array, Array]:
    """Log ratio of the standard deviation after to that before.

    Nakagawa et al. (2015), Methods Ecol Evol 6(2):143-152, for dependent groups.
    """
    return np.log(sd_post / sd_pre), (1 - r**2) / (n - 1)


@measure(
    "SMDPPC",
    label="Standardised difference of changes (pre SD)",
    scale="identity",
    needs=(
        "mean_pre_1",
        "mean_post_1",
        "sd_pre_1",
        "n_1",
        "mean_pre_2",
        "mean_post_2",
        "sd_pre_2",
        "n_2",
        "r",
    ),
)
def pre_post_control(
    mean_pre_1: Array,
    mean_post_1: Array,
    sd_pre_1: Array,
    n_1: Array,
    mean_pre_2: Array,
    mean_post_2: Array,
    sd_pre_2: Array,
    n_2: Array,
    r: Array,
    *,
    exact_j: bool = False,
) -> tuple[Array, Array]:
    """Difference of two arms' mean changes over their pooled standard deviation before (d_ppc2).

    Parameters
    ----------
    mean_pre_1, mean_post_1, sd_pre_1, n_1 : array of float, shape (k,)
        Arm 1, the intervention, before and after.
    mean_pre_2, mean_post_2, sd_pre_2, n_2 : array of float, shape (k,)
        Arm 2, the comparator.
    r : array of float
        Correlation of the two measurements, the same in both arms; it moves only the variance.
    exact_j : bool
        False, as Morris wrote it: the correction 1 - 3 / (4 m - 1); True: by the gamma function.

    Notes
    -----
    With c = J(m) and m = n_1 + n_2 - 2 the variance is
    ``2 (1-r) c² (1/n_1 + 1/n_2) m/(m-2) (1 + d² / (2 (1-r) (1/n_1 + 1/n_2))) - d²``, the last d²
    outside the squared correction; undefined for m <= 2.

    References
    ----------
    Morris (2008), Organizational Research Methods 11(2):364-386, equations 8 and 25.
    """
    m = n_1 + n_2 - 2
    c = correction(m, exact_j=exact_j, correct=True)
    change = (mean_post_1 - mean_pre_1) - (mean_post_2 - mean_pre_2)
    y = c * change / pooled_sd(sd_pre_1, n_1, sd_pre_2, n_2)
    base = 2 * (1 - r) * (1 / n_1 + 1 / n_2)
    v = c**2 * m / (m - 2) * (base + y**2) - y**2
    return y, np.where(m > 2, v, np.nan)
