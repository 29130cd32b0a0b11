"""Coefficient alpha (Cronbach), the internal consistency of a scale.

Columns are arrays of shape (k,): ``alpha`` of the scale, ``items`` in it, ``n`` people. Every
function returns ``y, v`` of shape (k,), NaN where undefined. The variances hold for parallel items
and normal scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.registry import measure, scale

Array = NDArray[np.float64]
NEEDS = ("alpha", "items", "n")

scale("cube-root", lambda y: 1 - (1 - y) ** 3)
scale("log-complement", lambda y: -np.expm1(-y))


@measure("ARAW", label="Coefficient alpha", scale="identity", needs=NEEDS, at_least={"n": 3})
def raw_alpha(alpha: Array, items: Array, n: Array) -> tuple[Array, Array]:
    """Coefficient alpha as it is.

    van Zyl, Neudecker & Nel (2000), Psychometrika 65(3):271-280; Bonett (2010), Psychological
    Methods 15(4):368-385.
    """
    return alpha, 2 * items * (1 - alpha) ** 2 / ((items - 1) * (n - 2))


@measure("AHW", label="Coefficient alpha", scale="cube-root", needs=NEEDS)
def cube_root_alpha(alpha: Array, items: Array, n: Array) -> tuple[Array, Array]:
    """One minus the cube root of 1 - alpha. Hakstian & Whalen (1976), Psychometrika 41:219-231."""
    root = np.cbrt(1 - alpha)
    return 1 - root, 18 * items * (n - 1) * root**2 / ((items - 1) * (9 * n - 11) ** 2)


@measure("ABT", label="Coefficient alpha", scale="log-complement", needs=NEEDS, at_least={"n": 3})
def log_alpha(alpha: Array, items: Array, n: Array) -> tuple[Array, Array]:
    """Minus the log of 1 - alpha; undefined at 1.

    Bonett (2002), Journal of Educational and Behavioral Statistics 27(4):335-340.
    """
    return -np.log1p(-alpha), 2 * items / ((items - 1) * (n - 2))
