"""Odds ratios read as standardised mean differences, and the other way.

Both ways assume that the dichotomous outcome cuts a variable that is normal ("N", Cox & Snell
1989) or logistic ("L", Hasselblad & Hedges 1995; Chinn 2000) in each group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.means import NEEDS as MEANS
from meta.measures.means import standardised_mean_difference
from meta.measures.registry import measure
from meta.measures.two_by_two import HALF, log_odds_ratio
from meta.measures.two_by_two import NEEDS as TABLE
from meta.measures.zero_cells import To

Array = NDArray[np.float64]

# Log odds per standard deviation.
NORMAL = 1.65  # Cox & Snell (1989), Analysis of Binary Data; Haddock et al. (1998)
LOGISTIC = np.pi / np.sqrt(3)  # standard deviation of the logistic distribution


def _odds_as_d(
    per_sd: float,
    columns: tuple[Array, Array, Array, Array],
    *,
    add: float,
    to: To,
    drop00: bool,
) -> tuple[Array, Array]:
    y, v = log_odds_ratio(*columns, add=add, to=to, drop00=drop00, whole=False)
    return y / per_sd, v / per_sd**2


@measure("OR2DN", label="Standardised mean difference (from OR)", scale="identity", needs=TABLE)
def odds_as_normal_difference(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Log odds ratio over 1.65. Sánchez-Meca et al. (2003), Psychol Methods 8:448-467."""
    columns = (events_1, total_1, events_2, total_2)
    return _odds_as_d(NORMAL, columns, add=add, to=to, drop00=drop00)


@measure("OR2DL", label="Standardised mean difference (from OR)", scale="identity", needs=TABLE)
def odds_as_logistic_difference(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Log odds ratio times √3 / π. Chinn (2000), Statistics in Medicine 19(22):3127-3131."""
    columns = (events_1, total_1, events_2, total_2)
    return _odds_as_d(float(LOGISTIC), columns, add=add, to=to, drop00=drop00)


def _d_as_odds(per_sd: float, columns: tuple[Array, ...]) -> tuple[Array, Array]:
    y, v = standardised_mean_difference(*columns, correct=False, whole=False)
    return y * per_sd, v * per_sd**2


@measure("D2ORN", label="Odds ratio (from SMD)", scale="log", needs=MEANS)
def normal_difference_as_odds(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
) -> tuple[Array, Array]:
    """Cohen's d times 1.65 as a log odds ratio. Cox & Snell (1989)."""
    return _d_as_odds(NORMAL, (mean_1, sd_1, n_1, mean_2, sd_2, n_2))


@measure("D2ORL", label="Odds ratio (from SMD)", scale="log", needs=MEANS)
def logistic_difference_as_odds(
    mean_1: Array,
    sd_1: Array,
    n_1: Array,
    mean_2: Array,
    sd_2: Array,
    n_2: Array,
) -> tuple[Array, Array]:
    """Cohen's d times π / √3 as a log odds ratio. Hasselblad & Hedges (1995), Psychol Bull 117."""
    return _d_as_odds(float(LOGISTIC), (mean_1, sd_1, n_1, mean_2, sd_2, n_2))
