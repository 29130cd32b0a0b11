"""To the top of a likelihood whose parameters may lie on a bound.

Fisher's scoring with halved steps comes near; Newton's method on the score, whose slope is taken by
differences of the exact score, ends it: the likelihood itself is flat at its top, and gives only
half the digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCORING = 30  # steps of scoring; near a bound it only creeps
NEWTON = 60
NEAR = 1e-4  # expected gain in log-likelihood below which Newton takes over
SAME = 1e-3  # difference in log-likelihood of a climb that is about to end at a known top
FLAT = 1e-7  # curvature, against the largest, that differences cannot tell from none
DONE = 1e-20  # expected gain: parameters then are right to 1e-10 of their standard errors


@dataclass(slots=True)
class Top:
    """Where a climb ended."""

    theta: Array
    value: float
    free: Mask  # parameters that are neither known nor on a bound
    gain: float  # what one more step would add to the log-likelihood
    steps: int
    done: bool
    hessian: Array  # minus the second derivatives of the free parameters


Value = Callable[[Array], float | None]
Slope = Callable[[Array, Mask], Array]
Both = Callable[[Array, Mask], tuple[Array, Array]]
Bend = Callable[[Array, Mask], Array | None]


def climb(
    value: Value,
    slope: Slope,
    both: Both,
    start: Array,
    lower: Array,
    upper: Array,
    known: Mask,
    *,
    bend: Bend | None = None,
    tops: Sequence[Top] = (),
) -> Top:
    """Climb from a start.

    Parameters
    ----------
    value : theta to log-likelihood, or None where it is undefined
    slope : theta and mask of parameters to their score
    both : theta and mask to score and expected information
    start, lower, upper : array, shape (n,)
    known : bool array, shape (n,)
        Parameters that stay where they are.
    bend : theta and mask to minus the second derivatives, optional
        None where it has none; differences of the score are taken then.
    tops : sequence of Top
        Found before; a climb that comes near one of them is that one.
    """
    theta = np.clip(start, lower, upper)
    here = value(theta)
    steps = 0
    if here is None:
        return Top(theta, -np.inf, ~known, np.inf, 0, False, np.zeros((0, 0)))
    for _ in range(SCORING):
        steps += 1
        score, info = both(theta, ~known)
        full = _full(score, known)
        free = _free(theta, full, lower, upper, known)
        if not free.any():
            break
        step = np.zeros_like(theta)
        inside = free[~known]
        step[free] = _solve(info[np.ix_(inside, inside)], score[inside])
        gain = float(full @ step) / 2
        if gain < NEAR * 1e-8:
            break
        moved, new = _backtrack(value, theta, step, here, full, lower, upper)
        if new is None:
            break
        small = new - here < NEAR and gain < NEAR
        theta, here = moved, new
        if small:
            break
        for top in tops:
            if top.done and abs(top.value - here) < SAME and _near(theta, top):
                return top
    return _newton(value, slope, bend, theta, here, lower, upper, known, steps)


def _near(theta: Array, top: Top) -> bool:
    return bool(np.allclose(theta, top.theta, rtol=0.02, atol=0.02 * np.abs(top.theta).max()))


def _newton(
    value: Value,
    slope: Slope,
    bend: Bend | None,
    theta: Array,
    here: float,
    lower: Array,
    upper: Array,
    known: Mask,
    steps: int,
) -> Top:
    gain, done = np.inf, False
    hessian = np.zeros((0, 0))
    free = ~known
    for _ in range(NEWTON):
        steps += 1
        full = _full(slope(theta, ~known), known)
        free = _free(theta, full, lower, upper, known)
        if not free.any():
            return Top(theta, here, free, 0.0, steps, True, np.zeros((0, 0)))
        exact = None if bend is None else bend(theta, free)
        hessian = _hessian(slope, theta, free, lower, upper) if exact is None else exact
        matrix, scale = _balanced(hessian)
        values, vectors = np.linalg.eigh(matrix)
        # Bent upwards: as far the other way. Flat: nothing to gain, stay.
        size = np.abs(values)
        moves = size > FLAT * size.max()
        turned = vectors.T @ (full[free] / scale)
        step = vectors @ np.where(moves, turned / np.where(moves, size, 1.0), 0.0) / scale
        whole = np.zeros_like(theta)
        whole[free] = step
        gain = abs(float(full @ whole)) / 2
        moved, new = _backtrack(value, theta, whole, here, full, lower, upper, slack=1e-9)
        if new is None:
            # Nothing above: at the top, as far as rounding lets one see.
            done = gain < 1e-12
            break
        theta, here = moved, max(new, here)
        if gain < DONE * max(1.0, abs(here)):
            done = True
            break
    return Top(theta, here, free, gain, steps, done, hessian)


def _full(score: Array, known: Mask) -> Array:
    out = np.zeros(len(known))
    out[~known] = score
    return out


def _free(theta: Array, score: Array, lower: Array, upper: Array, known: Mask) -> Mask:
    pinned = ((theta <= lower) & (score <= 0)) | ((theta >= upper) & (score >= 0))
    return np.asarray(~known & ~pinned)


def _balanced(matrix: Array) -> tuple[Array, Array]:
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(matrix)), 1e-300))
    return matrix / np.outer(scale, scale), scale


def _solve(info: Array, score: Array) -> Array:
    """The scoring step; directions without information stay."""
    matrix, scale = _balanced(info)
    values, vectors = np.linalg.eigh(matrix)
    keep = values > 1e-10 * values.max()
    turned = np.where(keep, (vectors.T @ (score / scale)) / np.where(keep, values, 1.0), 0.0)
    return np.asarray((vectors @ turned) / scale)


def _backtrack(
    value: Value,
    theta: Array,
    step: Array,
    here: float,
    score: Array,
    lower: Array,
    upper: Array,
    *,
    slack: float = 0.0,
) -> tuple[Array, float | None]:
    """Halve the step, kept within the bounds, until the likelihood does not fall."""
    size = 1.0
    allowed = slack * max(1.0, abs(here)) if slack else 0.0
    for _ in range(40):
        moved = np.clip(theta + size * step, lower, upper)
        new = value(moved)
        if new is not None and new >= here - allowed:
            return moved, new
        size /= 2
    return theta, None


def _hessian(slope: Slope, theta: Array, free: Mask, lower: Array, upper: Array) -> Array:
    """Minus the slope of the score, by central differences within the bounds."""
    at = np.flatnonzero(free)
    out = np.zeros((len(at), len(at)))
    for row, i in enumerate(at):
        size = 1e-5 * max(abs(theta[i]), 1e-2)
        high, low = theta.copy(), theta.copy()
        high[i] = min(theta[i] + size, upper[i])
        low[i] = max(theta[i] - size, lower[i])
        out[row] = -(slope(high, free) - slope(low, free)) / (high[i] - low[i])
    return (out + out.T) / 2
