"""Effects that describe one group's mean and spread.

Every function takes ``mean, sd, n`` (or those of them that it needs), arrays of shape (k,), and
returns ``y, v`` of shape (k,), NaN where undefined. They have no value of no effect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.means import correction
from meta.measures.registry import measure

Array = NDArray[np.float64]
NEEDS = ("mean", "sd", "n")


@measure("MN", label="Mean", scale="identity", needs=NEEDS, null=np.nan)
def raw_mean(mean: Array, sd: Array, n: Array) -> tuple[Array, Array]:
    """The mean with its squared standard error."""
    return mean, sd**2 / n


@measure("MNLN", label="Mean (log)", scale="log", needs=NEEDS, null=np.nan)
def log_mean(mean: Array, sd: Array, n: Array) -> tuple[Array, Array]:
    """Log of a positive mean, by the delta method. Hedges et al. (1999), Ecology 80:1150-1156."""
    y = np.log(np.where(mean > 0, mean, np.nan))
    return y, np.where(mean > 0, sd**2 / (n * mean**2), np.nan)


@measure("CVLN", label="Coefficient of variation", scale="log", needs=NEEDS, null=np.nan)
def log_coefficient_of_variation(mean: Array, sd: Array, n: Array) -> tuple[Array, Array]:
    """Log coefficient of variation of a positive mean, with the bias of the log SD removed.

    Nakagawa et al. (2015), Methods Ecol Evol 6(2):143-152, equation 27 for the variance without
    its covariance term, which is zero under normality.
    """
    positive = mean > 0
    y = np.log(np.where(positive, sd / mean, np.nan)) + 1 / (2 * (n - 1))
    return y, np.where(positive, 1 / (2 * (n - 1)) + sd**2 / (n * mean**2), np.nan)


@measure("SDLN", label="Standard deviation", scale="log", needs=("sd", "n"), null=np.nan)
def log_standard_deviation(sd: Array, n: Array) -> tuple[Array, Array]:
    """Log standard deviation with its bias removed.

    Raudenbush & Bryk (1987), Journal of Educational Statistics 12(3):241-269; Nakagawa et al.
    (2015), Methods Ecol Evol 6(2):143-152.
    """
    return np.log(sd) + 1 / (2 * (n - 1)), 1 / (2 * (n - 1))


@measure("SMN", label="Standardised mean", scale="identity", needs=NEEDS, null=np.nan)
def standardised_mean(
    mean: Array, sd: Array, n: Array, *, exact_j: bool = True, correct: bool = True
) -> tuple[Array, Array]:
    """Mean over standard deviation, times J with n - 1 degrees of freedom; large-sample variance.

    Hedges (1981), Journal of Educational Statistics 6(2):107-128, for one group.
    """
    y = correction(n - 1, exact_j=exact_j, correct=correct) * mean / sd
    return y, 1 / n + y**2 / (2 * n)
