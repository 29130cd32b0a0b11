"""Small-sample correction of standardised differences, and the options that formulas share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.errors import UnknownName

Array = NDArray[np.float64]
Compat = Literal["metafor-3.8"] | None
COMPAT = ("metafor-3.8",)

SERIES_FROM = 200.0  # degrees of freedom from which the series beats the difference of lgammas


def hedges_j(m: Any, *, exact: bool = True) -> Array:
    """Factor that removes the bias of a standardised difference with ``m`` degrees of freedom.

    Parameters
    ----------
    m : array of float
        Degrees of freedom of the standard deviation.
    exact : bool
        True: the gamma-function form; False: ``1 - 3 / (4 m - 1)``, which is too large by 7e-3 at
        m = 2 and by 8e-5 at m = 20.

    Returns
    -------
    array of float
        J, below 1; NaN where m <= 1, for then the mean of the uncorrected value does not exist.

    Notes
    -----
    Above 200 degrees of freedom the ratio of gamma functions is taken from its asymptotic series
    (error below 1e-14), so that J is right to the last digits at any size.

    References
    ----------
    Hedges (1981), Journal of Educational Statistics 6(2):107-128.
    """
    m = np.asarray(m, dtype=float)
    with np.errstate(all="ignore"):
        if not exact:
            return np.where(m > 1, 1 - 3 / (4 * m - 1), np.nan)
        direct = np.exp(
            scipy.special.gammaln(m / 2) - scipy.special.gammaln((m - 1) / 2) - 0.5 * np.log(m / 2)
        )
        x = (m - 1) / 2  # gamma(x + 1/2) / gamma(x) = sqrt(x) (1 - 1/8x + 1/128x^2 + ...)
        terms = 1 - 1 / (8 * x) + 1 / (128 * x**2) + 5 / (1024 * x**3) - 21 / (32768 * x**4)
        series = np.sqrt((m - 1) / m) * terms
        return np.where(m > 1, np.where(m > SERIES_FROM, series, direct), np.nan)


def is_legacy(compat: Compat) -> bool:
    """Whether the formulas of metafor 3.8 are asked for, where they differ from today's."""
    if compat is None:
        return False
    if compat not in COMPAT:
        raise UnknownName("compatibility mode", str(compat), COMPAT)
    return True


def known_vtype(vtype: str, known: tuple[str, ...]) -> str:
    """The variance type asked for, if the measure has it."""
    if vtype not in known:
        raise UnknownName("variance type of this measure", str(vtype), known)
    return vtype


def weighted_mean(values: Array, n: Array) -> Array:
    """Mean over the studies by sample size, leaving out what is undefined; shape ()."""
    usable = np.isfinite(values)
    return np.asarray(np.sum((values * n)[usable]) / np.sum(n[usable]))
