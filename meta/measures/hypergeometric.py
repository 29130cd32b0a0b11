"""Gauss's hypergeometric function where the unbiased correlation needs it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEP = 0.25  # the trapezoid error is about exp(-10 / STEP)
LEFT, RIGHT = 85.0, 90.0  # beyond these the integrand is below 1e-17 of its peak


def gauss_2f1(a: float, b: float, c: Array, rest: Array) -> Array:
    """2F1(a, b; c; 1 - rest) for c > b > 0 and 0 <= rest <= 1; shape (k,).

    Euler's integral on the logistic scale t = 1 / (1 + exp(-x)) is analytic in a strip, so the
    trapezoid rule is right to about 1e-14 for any c. scipy's ``hyp2f1`` gives NaN or three digits
    for many integer c when the argument is near 1, which is every correlation near zero.

    References
    ----------
    Abramowitz & Stegun (1964), 15.3.1; Trefethen & Weideman (2014), SIAM Review 56(3):385-458.
    """
    c, rest = np.asarray(c, dtype=float)[:, None], np.asarray(rest, dtype=float)[:, None]
    x = np.arange(-LEFT, RIGHT, STEP)[None, :] - np.log(c)
    log_t, log_s = -np.logaddexp(0, -x), -np.logaddexp(0, x)  # t and 1 - t
    weight = np.exp(b * log_t + (c - b) * log_s - (b * np.log(b / c)))  # scaled near its peak
    inner = (np.exp(log_s) + rest * np.exp(log_t)) ** -a
    return np.asarray(np.sum(weight * inner, axis=1) / np.sum(weight, axis=1))
