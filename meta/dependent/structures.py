"""How random effects of one group covary: structures by the names that the field uses.

A structure turns parameters into the covariance G of the inner levels, (J, J), with its
derivatives. Variances are in the units of the effects squared; correlations have no unit. Pinheiro
and Bates (2000), Mixed-Effects Models in S and S-PLUS, ch. 5, describes them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
START_RHO = 0.5


@dataclass(frozen=True, slots=True, eq=False)  # holds functions
class Structure:
    """One covariance structure for J inner levels.

    ``power`` is 2 for a parameter in units squared, 1 for one in units, 0 for one without.
    """

    key: str
    text: str
    power: Callable[[int], list[int]]
    bounds: Callable[[int], list[tuple[float, float]]]
    start: Callable[[int, float], list[float]]  # J and a total variance
    matrix: Callable[[Array, Any], Array]  # parameters and positions (J,) to (J, J)
    slopes: Callable[[Array, Any], list[Array]]
    variances: int  # how many distinct variances it reports: 1, or 0 for one a level
    correlations: int  # 0 none, 1 one for all, 2 one for each pair


def _eye(j: int) -> Array:
    return np.eye(j)


def _unit(j: int, i: int) -> Array:
    out = np.zeros((j, j))
    out[i, i] = 1.0
    return out


def _id(theta: Array, at: Any) -> Array:
    return np.asarray(theta[0] * _eye(len(at)))


def _id_slopes(theta: Array, at: Any) -> list[Array]:
    return [_eye(len(at))]


def _diag(theta: Array, at: Any) -> Array:
    return np.diag(theta)


def _diag_slopes(theta: Array, at: Any) -> list[Array]:
    return [_unit(len(at), i) for i in range(len(at))]


def _exchange(rho: float, at: Any) -> tuple[Array, Array]:
    """Correlation matrix with one rho, and its derivative."""
    off = 1 - _eye(len(at))
    return _eye(len(at)) + rho * off, off


def _decay(rho: float, at: Any) -> tuple[Array, Array]:
    """Correlation rho to the power of the distance, and its derivative."""
    gap = np.abs(np.subtract.outer(at, at))
    apart = gap > 0
    safe = np.where(apart, gap, 1.0)
    power = np.where(apart, _power(rho, safe), 1.0)
    slope = np.where(apart, safe * _power(rho, safe - 1), 0.0)
    return power, slope


def _power(rho: float, exponent: Array) -> Array:
    if rho < 0:  # whole distances only: AR, never CAR
        whole = np.rint(exponent)
        return np.asarray(np.abs(rho) ** whole * np.where(whole % 2, -1.0, 1.0))
    with np.errstate(divide="ignore"):
        return np.asarray(np.power(rho, exponent))


def _one_variance(
    correlate: Callable[[float, Any], tuple[Array, Array]],
) -> tuple[Callable[[Array, Any], Array], Callable[[Array, Any], list[Array]]]:
    def matrix(theta: Array, at: Any) -> Array:
        return np.asarray(theta[0] * correlate(float(theta[1]), at)[0])

    def slopes(theta: Array, at: Any) -> list[Array]:
        c, d = correlate(float(theta[1]), at)
        return [c, theta[0] * d]

    return matrix, slopes


def _many_variances(
    correlate: Callable[[float, Any], tuple[Array, Array]],
) -> tuple[Callable[[Array, Any], Array], Callable[[Array, Any], list[Array]]]:
    """Standard deviations and one correlation; deviations, so that a slope exists at zero."""

    def matrix(theta: Array, at: Any) -> Array:
        sd = theta[:-1]
        return np.asarray(np.outer(sd, sd) * correlate(float(theta[-1]), at)[0])

    def slopes(theta: Array, at: Any) -> list[Array]:
        sd = theta[:-1]
        c, d = correlate(float(theta[-1]), at)
        out = []
        for i in range(len(sd)):
            slope = np.zeros_like(c)
            slope[i] = sd * c[i]
            slope[:, i] += sd * c[:, i]
            out.append(slope)
        return [*out, np.outer(sd, sd) * d]

    return matrix, slopes


def _lower(j: int) -> tuple[Any, Any]:
    return np.tril_indices(j)


def _factor(theta: Array, j: int) -> Array:
    out = np.zeros((j, j))
    out[_lower(j)] = theta
    return out


def _free(theta: Array, at: Any) -> Array:
    root = _factor(theta, len(at))
    return root @ root.T


def _free_slopes(theta: Array, at: Any) -> list[Array]:
    j = len(at)
    root = _factor(theta, j)
    out = []
    for a, b in zip(*_lower(j), strict=True):
        slope = np.zeros((j, j))
        slope[a] = root[:, b]
        slope[:, a] += root[:, b]
        out.append(slope)
    return out


def _free_start(j: int, total: float) -> list[float]:
    root = np.linalg.cholesky(total * ((1 - START_RHO) * _eye(j) + START_RHO))
    return [float(value) for value in root[_lower(j)]]


def _exchange_low(j: int) -> float:
    return -1.0 / (j - 1) if j > 1 else 0.0


_cs, _cs_slopes = _one_variance(_exchange)
_hcs, _hcs_slopes = _many_variances(_exchange)
_ar, _ar_slopes = _one_variance(_decay)
_har, _har_slopes = _many_variances(_decay)

VARIANCE = (0.0, math.inf)
ANY = (-math.inf, math.inf)

STRUCTURES: dict[str, Structure] = {
    s.key: s
    for s in (
        Structure(
            "ID",
            "independent, one variance",
            lambda j: [2],
            lambda j: [VARIANCE],
            lambda j, t: [t],
            _id,
            _id_slopes,
            1,
            0,
        ),
        Structure(
            "DIAG",
            "independent, a variance for each level",
            lambda j: [2] * j,
            lambda j: [VARIANCE] * j,
            lambda j, t: [t] * j,
            _diag,
            _diag_slopes,
            0,
            0,
        ),
        Structure(
            "CS",
            "compound symmetric: one variance, one correlation",
            lambda j: [2, 0],
            lambda j: [VARIANCE, (_exchange_low(j), 1.0)],
            lambda j, t: [t, START_RHO],
            _cs,
            _cs_slopes,
            1,
            1,
        ),
        Structure(
            "HCS",
            "a variance for each level, one correlation",
            lambda j: [1] * j + [0],
            lambda j: [VARIANCE] * j + [(_exchange_low(j), 1.0)],
            lambda j, t: [math.sqrt(t)] * j + [START_RHO],
            _hcs,
            _hcs_slopes,
            0,
            1,
        ),
        Structure(
            "UN",
            "unstructured: a variance for each level, a correlation for each pair",
            lambda j: [1] * (j * (j + 1) // 2),
            lambda j: [ANY] * (j * (j + 1) // 2),
            _free_start,
            _free,
            _free_slopes,
            0,
            2,
        ),
        Structure(
            "AR",
            "first-order autoregressive over ordered levels",
            lambda j: [2, 0],
            lambda j: [VARIANCE, (-1.0, 1.0)],
            lambda j, t: [t, START_RHO],
            _ar,
            _ar_slopes,
            1,
            1,
        ),
        Structure(
            "HAR",
            "autoregressive, a variance for each level",
            lambda j: [1] * j + [0],
            lambda j: [VARIANCE] * j + [(-1.0, 1.0)],
            lambda j, t: [math.sqrt(t)] * j + [START_RHO],
            _har,
            _har_slopes,
            0,
            1,
        ),
        Structure(
            "CAR",
            "continuous autoregressive: the correlation falls with the distance in time",
            lambda j: [2, 0],
            lambda j: [VARIANCE, (0.0, 1.0)],
            lambda j, t: [t, START_RHO],
            _ar,
            _ar_slopes,
            1,
            1,
        ),
    )
}


def correlations(g: Array) -> Array:
    """Correlations of a covariance; NaN where a variance is zero."""
    sd = np.sqrt(g.diagonal())
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(g / np.outer(sd, sd))


def pairs(levels: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of levels in the order in which correlations are reported: column by column."""
    j = len(levels)
    return [(b, a) for a in range(j) for b in range(a + 1, j)]
