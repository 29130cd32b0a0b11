"""Distribution of a residual sum of squares with unequal variances.

Q = y'Py, with P the residual projection of a weighted regression, is distributed as a sum of
chi-squared variables with unequal multipliers. Its transform needs no eigenvalues: with L the
products of weight and variance and U an orthonormal basis of the weighted design,
E exp(-zQ) = prod(1 + 2zL)^(-1/2) det(U' diag(1/(1 + 2zL)) U)^(-1/2), which costs O(k).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
VANISHED = 45.0  # exponent by which the integrand has fallen where it no longer counts
REACH = 14.0  # |x| that the hyperbola never exceeds
FIRST_STEP = 0.25
SMALLEST_STEP = 2.0**-9


def _log_transform(
    z: NDArray[np.complex128], products: Array, basis: Array
) -> NDArray[np.complex128]:
    """log E exp(-zQ) for a vector of z off the branch cut."""
    b = 1 + 2 * z[:, None] * products
    if basis.shape[1] == 1:
        last = np.log((1 / b) @ (basis[:, 0] ** 2))
    else:
        inner = np.einsum("gk,kp,kq->gpq", 1 / b, basis, basis)
        # The numerical range lies in one half plane, so principal logs of eigenvalues add up.
        last = np.log(np.linalg.eigvals(inner)).sum(-1)
    return np.asarray(-0.5 * (np.log(b).sum(-1) + last))


def _largest(products: Array, basis: Array) -> float:
    """An upper bound, close by, of the largest multiplier.

    The multipliers are the eigenvalues of diag(L) compressed onto the complement of U, so that a
    product far above the rest need not have one near it: they interlace. How many exceed s is the
    number of products that do, less the number of negative eigenvalues of
    U' diag(1/(1 - L/s)) U (Haynsworth 1968, Linear Algebra Appl 1:73-81, on inertia).
    """
    p = basis.shape[1]
    ordered = np.sort(products)[::-1]
    low, high = float(ordered[min(p, len(ordered) - 1)]), float(ordered[0])
    while high > 1.25 * low:
        s = math.sqrt(low * high)
        while (np.abs(1 - products / s) < 1e-9).any():  # beside a product, not on it
            s *= 1 + 1e-7
        inner = basis.T @ (basis / (1 - products / s)[:, None])
        above = int((products > s).sum()) - int((np.linalg.eigvalsh(inner) < 0).sum())
        low, high = (s, high) if above else (low, s)
    return high


def upper_tail(q: float, products: Array, basis: Array) -> float:
    """P(Q >= q), by a contour integral that converges geometrically.

    Parameters
    ----------
    q : float
        Observed value.
    products : array, shape (k,)
        Weight times variance of each study.
    basis : array, shape (k, p)
        Orthonormal basis of the weighted design sqrt(a) X.

    Notes
    -----
    Inverts the Laplace transform (as Imhof 1961, Biometrika 48:419-426, inverts the characteristic
    function) along a hyperbola round the branch cut, which makes the integrand decay exponentially;
    the trapezoidal rule is then exact to rounding after some dozens of nodes (Weideman and
    Trefethen 2007, Math Comp 76:1341-1356). Absolute error below 1e-13.
    """
    if q <= 0:
        return 1.0
    scale = _largest(products, basis)
    products, q = products / scale, q / scale
    mean = float(products @ (1 - (basis**2).sum(1)))
    upper = q > mean
    # Cross the real axis near the saddle point, left of the pole at zero for the upper tail.
    grid = -np.geomspace(1e-6, 0.499, 60) if upper else np.geomspace(1e-6, 1e8, 120)
    logs = _log_transform(grid.astype(complex), products, basis).real
    z0 = float(grid[int(np.argmin(logs + grid * q - np.log(np.abs(grid))))])
    # Its bend is as sharp as the nearer of the two singular points, 0 and -1/2, allows.
    sigma = min(-z0, 0.5 + z0) if upper else z0

    def integrand(x: Array) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Logarithm of all but dz/(dx z), and dz/(dx z)."""
        z = z0 - sigma * (np.cosh(x) - 1) + 1j * sigma * np.sinh(x)
        slope = sigma * (-np.sinh(x) + 1j * np.cosh(x))
        return _log_transform(z, products, basis) + z * q, slope / z

    def nodes(x: Array) -> float:
        logs, slope = integrand(x)
        logs = np.where(x == 0, logs.real, logs)  # real there, whatever the signs of its factors
        return float((np.exp(logs) * slope).imag @ np.where(x == 0, 0.5, 1.0))

    step = FIRST_STEP
    far = np.arange(0.0, REACH, step)
    heights = integrand(far)[0].real
    reach = float(far[np.flatnonzero(heights > heights.max() - VANISHED)[-1]]) + step
    total = nodes(np.arange(0.0, reach, step))
    value = total * step / math.pi
    while step > SMALLEST_STEP:
        step /= 2
        total += nodes(np.arange(step, reach, 2 * step))
        before, value = value, total * step / math.pi
        if abs(value - before) <= 1e-13 * abs(value):
            break
    tail = -value if upper else 1 - value
    return min(max(tail, 0.0), 1.0)
