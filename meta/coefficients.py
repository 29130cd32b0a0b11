"""Coefficients of a model with their normal tests, for models that maximise a likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.fitting import quantile, two_sided_p
from meta.moderators import INTERCEPT, Design

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Coefficients:
    """Coefficients of one part of the model, each with its Wald test."""

    names: tuple[str, ...]
    estimate: Array  # (m,)
    se: Array  # (m,)
    z: Array  # (m,)
    p: Array  # (m,)
    ci: Array  # (m, 2)
    covariance: Array  # (m, m)
    statistic: float  # joint test of all but the intercept; NaN where there is none
    df: int
    joint_p: float

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return [
            {
                "coefficient": name,
                "estimate": float(b),
                "se": float(s),
                "statistic": float(z),
                "p": float(p),
                "ci_low": float(low),
                "ci_high": float(high),
            }
            for name, b, s, z, p, (low, high) in zip(
                self.names, self.estimate, self.se, self.z, self.p, self.ci, strict=True
            )
        ]


def wald_coefficients(design: Design, b: Array, covariance: Array, level: float) -> Coefficients:
    """Coefficients with their normal tests, and the joint test of all but the intercept."""
    se = np.sqrt(np.diag(covariance))
    half = quantile(level, None) * se
    with np.errstate(invalid="ignore", divide="ignore"):
        z = b / se
    intercept = design.terms.get(INTERCEPT, ())
    at = [i for i in design.tested if i not in intercept]
    statistic, p = NAN, NAN
    if at:
        statistic = float(b[at] @ np.linalg.solve(covariance[np.ix_(at, at)], b[at]))
        p = float(special.chdtrc(len(at), statistic))
    return Coefficients(
        design.names,
        b,
        se,
        z,
        np.array([two_sided_p(float(value), None) for value in z]),
        np.stack((b - half, b + half), axis=1),
        covariance,
        statistic,
        len(at),
        p,
    )
