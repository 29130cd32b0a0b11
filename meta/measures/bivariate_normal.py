"""The bivariate normal distribution, as far as the tetrachoric correlation needs it."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]
LIMIT = 1 - 1e-15  # the correlation closest to 1 that is tried


def both_below(h: Array, k: Array, r: Array) -> Array:
    """P(X < h and Y < k) of standard normal X and Y with correlation r, |r| < 1.

    By Owen's T function, right to about 1e-15: Owen (1956), Annals of Mathematical Statistics
    27(4):1075-1090, equation 2.1.
    """
    root = np.sqrt((1 - r) * (1 + r))
    with np.errstate(all="ignore"):
        # At h = 0 the argument of T is infinite with the sign of k, and T(0, ±inf) = ±1/4.
        slope_h = np.where(h == 0, np.copysign(np.inf, k), (k / np.where(h == 0, 1, h) - r) / root)
        slope_k = np.where(k == 0, np.copysign(np.inf, h), (h / np.where(k == 0, 1, k) - r) / root)
    both_zero = (h == 0) & (k == 0)
    same = (h * k > 0) | ((h * k == 0) & (h + k >= 0))
    general = (
        0.5 * (scipy.special.ndtr(h) + scipy.special.ndtr(k))
        - scipy.special.owens_t(h, slope_h)
        - scipy.special.owens_t(k, slope_k)
        - np.where(same, 0.0, 0.5)
    )
    return np.where(both_zero, 0.25 + np.arcsin(r) / (2 * np.pi), general)


def density(h: Array, k: Array, r: Array) -> Array:
    """Density of that distribution at (h, k)."""
    rest = (1 - r) * (1 + r)
    return np.exp(-(h**2 - 2 * r * h * k + k**2) / (2 * rest)) / (2 * np.pi * np.sqrt(rest))


def correlation_for(h: Array, k: Array, p: Array) -> Array:
    """The correlation at which P(X < h and Y < k) equals p; bisection, then Newton.

    The probability grows with the correlation (Plackett 1954), its derivative is the density.
    """
    low, high = np.full_like(h, -LIMIT), np.full_like(h, LIMIT)
    r = np.zeros_like(h)
    for _ in range(200):
        error = both_below(h, k, r) - p
        low, high = np.where(error < 0, r, low), np.where(error > 0, r, high)
        with np.errstate(all="ignore"):
            newton = r - error / density(h, k, r)
        inside = (newton > low) & (newton < high)
        step = np.where(error == 0, r, np.where(inside, newton, (low + high) / 2))
        if np.all(np.isnan(h) | (np.abs(step - r) <= 1e-15)):
            return np.asarray(step)
        r = step
    return r


def tetrachoric(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """Tetrachoric correlation of 2x2 tables and its large-sample variance; shape (k,) each."""
    n = a + b + c + d
    rows, columns = (a + b) / n, (a + c) / n
    h, k = scipy.special.ndtri(rows), scipy.special.ndtri(columns)
    usable = np.isfinite(h) & np.isfinite(k) & (a * d > 0) & (b * c > 0)
    r = correlation_for(np.where(usable, h, np.nan), np.where(usable, k, np.nan), a / n)
    r = np.where(usable, r, np.nan)
    defined = (rows > 0) & (rows < 1) & (columns > 0) & (columns < 1)
    y = np.where(usable, r, np.where(a * d == 0, -1.0, 1.0))
    return np.where(defined, y, np.nan), tetrachoric_variance(a, b, c, d, r)


def tetrachoric_variance(a: Array, b: Array, c: Array, d: Array, r: Array) -> Array:
    """Large-sample variance of a tetrachoric correlation, at correlation ``r``; shape (k,).

    Pearson (1900), Philosophical Transactions A 195:1-47; Kirk (1973), Psychometrika 38:259-268.
    """
    n = a + b + c + d
    h, k = scipy.special.ndtri((a + b) / n), scipy.special.ndtri((a + c) / n)
    root = np.sqrt((1 - r) * (1 + r))
    f1 = scipy.special.ndtr((h - r * k) / root) - 0.5
    f2 = scipy.special.ndtr((k - r * h) / root) - 0.5
    inner = (
        (a + d) * (b + c) / 4
        + (a + c) * (b + d) * f1**2
        + (a + b) * (c + d) * f2**2
        + 2 * (a * d - b * c) * f1 * f2
        - (a * b - c * d) * f1
        - (a * c - b * d) * f2
    )
    return np.asarray(inner / (n**3 * density(h, k, r) ** 2))
