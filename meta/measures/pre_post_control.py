"""The kin of ``SMDPPC``: differences of two arms' mean changes with other standardisers.

Columns as there: arm 1 the intervention, ``r`` the correlation of the two measurements, the same
in both arms. d_ppc2, standardised by the arms' pooled spread before, is the one that Morris
recommends; these two are for comparison with reviews that used them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.means import correction
from meta.measures.registry import measure

Array = NDArray[np.float64]
BEFORE = (
    *("mean_pre_1", "mean_post_1", "sd_pre_1", "n_1"),
    *("mean_pre_2", "mean_post_2", "sd_pre_2", "n_2", "r"),
)
BOTH = (
    *("mean_pre_1", "mean_post_1", "sd_pre_1", "sd_post_1", "n_1"),
    *("mean_pre_2", "mean_post_2", "sd_pre_2", "sd_post_2", "n_2", "r"),
)


@measure(
    "SMDPPC1",
    label="Difference of standardised changes (each arm's pre SD)",
    scale="identity",
    needs=BEFORE,
)
def difference_of_standardised_changes(
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
    """Each arm's mean change over its own standard deviation before, and their difference (d_ppc1).

    The variance is the sum of the arms', each that of a noncentral t with n - 1 degrees of freedom:
    ``c² (n-1)/(n-3) (2 (1-r)/n + d²) - d²``; undefined for n <= 3. Becker (1988), British Journal
    of Mathematical and Statistical Psychology 41(2):257-278; Morris (2000), the same journal
    53(1):17-29; Morris (2008), Organizational Research Methods 11(2):364-386.
    """

    def arm(pre: Array, post: Array, sd: Array, n: Array) -> tuple[Array, Array]:
        m = n - 1
        c = correction(m, exact_j=exact_j, correct=True)
        d = c * (post - pre) / sd
        v = c**2 * m / (m - 2) * (2 * (1 - r) / n + d**2) - d**2
        return d, np.where(m > 2, v, np.nan)

    one, v_1 = arm(mean_pre_1, mean_post_1, sd_pre_1, n_1)
    two, v_2 = arm(mean_pre_2, mean_post_2, sd_pre_2, n_2)
    return one - two, v_1 + v_2


@measure(
    "SMDPPC3",
    label="Standardised difference of changes (pre and post SD)",
    scale="identity",
    needs=BOTH,
)
def pre_post_control_all_pooled(
    mean_pre_1: Array,
    mean_post_1: Array,
    sd_pre_1: Array,
    sd_post_1: Array,
    n_1: Array,
    mean_pre_2: Array,
    mean_post_2: Array,
    sd_pre_2: Array,
    sd_post_2: Array,
    n_2: Array,
    r: Array,
    *,
    exact_j: bool = False,
) -> tuple[Array, Array]:
    """Difference of mean changes over the spread of both arms before and after (d_ppc3).

    Assumes that the treatment leaves the spread as it is. The correction takes the 2 (n_1 + n_2) -
    4 degrees of freedom of the paper. Morris gives no variance; this is the delta method for
    bivariate normal scores, ``c² (2 (1-r) (1/n_1 + 1/n_2) + d² (1 + r²)/(4 m))`` with m = n_1 +
    n_2 - 2, since the average of two variances with correlation r² has 2 m/(1 + r²) degrees of
    freedom. Morris (2008), Organizational Research Methods 11(2):364-386; for the average of two
    dependent variances Bonett (2008), Psychological Methods 13(2):99-109.
    """
    m = n_1 + n_2 - 2
    total = (n_1 - 1) * (sd_pre_1**2 + sd_post_1**2) + (n_2 - 1) * (sd_pre_2**2 + sd_post_2**2)
    c = correction(2 * m, exact_j=exact_j, correct=True)
    change = (mean_post_1 - mean_pre_1) - (mean_post_2 - mean_pre_2)
    d = change / np.sqrt(total / (2 * m))
    base = 2 * (1 - r) * (1 / n_1 + 1 / n_2)
    return c * d, c**2 * (base + d**2 * (1 + r**2) / (4 * m))
