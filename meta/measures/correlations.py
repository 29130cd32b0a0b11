"""Effects from correlations of two measured variables, and from regression coefficients.

Columns are arrays of shape (k,): ``r`` a correlation, ``n`` people, ``t`` the test statistic of
the coefficient of interest, ``predictors`` the number in the model with that one among them,
``r2`` the model's share of explained variance. Every function returns ``y, v`` of shape (k,),
NaN where undefined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.hypergeometric import gauss_2f1
from meta.measures.registry import measure
from meta.measures.small_sample import Compat, is_legacy, known_vtype, weighted_mean

Array = NDArray[np.float64]
NEEDS = ("r", "n")


def _unbiased_square(r: Array, n: Array) -> Array:
    """1 minus the unbiased estimate of the squared correlation. Olkin & Pratt (1958)."""
    return np.asarray(
        (n - 3) / (n - 2) * (1 - r**2) * gauss_2f1(1.0, 1.0, n / 2, r**2), dtype=float
    )


def _variance(y: Array, r: Array, n: Array, vtype: str) -> Array:
    if vtype == "UB":
        return np.asarray(y**2 - 1 + _unbiased_square(r, n))
    at = weighted_mean(y, n) if vtype == "AV" else y
    return np.asarray((1 - at**2) ** 2 / (n - 1))


@measure("COR", label="Correlation", scale="identity", needs=NEEDS)
def raw_correlation(r: Array, n: Array, *, vtype: str = "LS") -> tuple[Array, Array]:
    """Pearson's correlation.

    ``vtype``: "LS" large-sample, "UB" unbiased (Hedges 1989, J Appl Psychol 74(3):469-477, by the
    exact equation; needs n > 3), "AV" at the mean correlation of the studies by size. Borenstein
    (2009) in Cooper et al., Handbook of Research Synthesis, equation 12.27.
    """
    known_vtype(vtype, ("LS", "UB", "AV"))
    return r, _variance(r, r, n, vtype)


@measure("UCOR", label="Correlation (unbiased)", scale="identity", needs=NEEDS, at_least={"n": 4})
def unbiased_correlation(r: Array, n: Array, *, vtype: str = "LS") -> tuple[Array, Array]:
    """Pearson's correlation with its slight bias towards zero removed; ``vtype`` as for COR.

    Olkin & Pratt (1958), Annals of Mathematical Statistics 29(1):201-211, equation 2.3.
    """
    known_vtype(vtype, ("LS", "UB", "AV"))
    y = r * gauss_2f1(0.5, 0.5, (n - 2) / 2, r**2)
    return y, _variance(y, r, n, vtype)


@measure("ZCOR", label="Correlation", scale="fisher-z", needs=NEEDS, at_least={"n": 4})
def fisher_z(r: Array, n: Array) -> tuple[Array, Array]:
    """Fisher's z of a correlation; undefined at ±1. Fisher (1921), Metron 1:3-32."""
    return np.arctanh(r), 1 / (n - 3)


PARTIAL = ("t", "n", "predictors")


def _partial(t: Array, n: Array, predictors: Array) -> tuple[Array, Array]:
    df = n - predictors - 1
    return t / np.sqrt(t**2 + df), df


@measure("PCOR", label="Partial correlation", scale="identity", needs=PARTIAL)
def partial_correlation(t: Array, n: Array, predictors: Array) -> tuple[Array, Array]:
    """Partial correlation from the test of a regression coefficient.

    ``predictors`` counts the one of interest. Aloe & Thompson (2013), Journal of the Society for
    Social Work and Research 4(4):390-405.
    """
    r, df = _partial(t, n, predictors)
    return r, (1 - r**2) ** 2 / df


@measure("ZPCOR", label="Partial correlation", scale="fisher-z", needs=PARTIAL)
def partial_fisher_z(
    t: Array, n: Array, predictors: Array, *, compat: Compat = None
) -> tuple[Array, Array]:
    """Fisher's z of a partial correlation.

    Each variable held constant costs one person: with q = predictors - 1 of them the variance is
    1 / (n - q - 3). ``compat="metafor-3.8"`` divides by n - predictors - 1. Fisher (1924), Metron
    3:329-332.
    """
    r, df = _partial(t, n, predictors)
    if is_legacy(compat):
        return np.arctanh(r), 1 / df
    left = df - 1  # n - (predictors - 1) - 3
    return np.arctanh(r), np.where(left > 0, 1 / left, np.nan)


@measure("SPCOR", label="Semi-partial correlation", scale="identity", needs=(*PARTIAL, "r2"))
def semi_partial_correlation(
    t: Array, n: Array, predictors: Array, r2: Array
) -> tuple[Array, Array]:
    """Semi-partial correlation from the test of a regression coefficient and the model's R².

    Aloe & Becker (2012), Journal of Educational and Behavioral Statistics 37(2):278-297.
    """
    y = t * np.sqrt(1 - r2) / np.sqrt(n - predictors - 1)
    without = r2 - y**2  # R² of the model without the predictor of interest
    return y, (r2**2 - 2 * r2 + without + 1 - without**2) / n
