"""Thousands of small fits at once: the kernel of GOSH, bootstrap and permutation.

Rows of a batch (``meta.batch_rows``) are data sets of the same k studies; callers cut the work into
chunks that stay in the cache.

With P = W - WX(X'WX)^-1 X'W at weights 1/(v + t), REML solves y'PPy = tr P. Let d_j be the
eigenvalues of the residual covariance K'VK and z = K'y; then P has eigenvalues 1/(d_j + t), and
the ratio f = y'PPy / tr P satisfies

    d log f / dt = 1/(kappa + t) - 2/(rho + t),  kappa = tr P / tr PP - t,
                                                 rho = y'PPy / y'PPPy - t,

where kappa and rho are means of the d_j that rise with t (Cauchy-Schwarz). So f falls on [a, b] if
rho(b) < 2 kappa(a) + a: a few sums prove that there is one root at most, for each row by itself.
Rows for which no such proof is found, or whose root fails the final check of signs, are solved one
by one by the estimator of ``meta.tau2``, which scans for every optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meta.batch_rows import (
    Batch,
    Designs,
    Index,
    Responses,
    Score,
    Scores,
    Start,
    Subsets,
    chunks,
    responses,
)
from meta.fitting import fit
from meta.tau2 import estimate

__all__ = [
    "Batch",
    "Designs",
    "Fits",
    "Responses",
    "Subsets",
    "chunks",
    "fits",
    "responses",
    "scaled",
]

Array = NDArray[np.float64]
DESCENTS = 8  # evaluations spent on a proof that the likelihood has one optimum
HALVINGS = 12  # of an interval whose number of roots is still open
ROUNDS = 25  # steps towards a root; three or four are usual
SMALL = 3e-3  # relative move after which the error should be far below BEYOND
BEYOND = 1e-6  # relative distance beyond the root of the last evaluation; its square is lost


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Fits:
    """Fits of the rows of a batch, in its units."""

    tau2: Array  # (b,)
    beta: Array  # (b, p)
    covariance: Array  # (b, p, p) without any Knapp-Hartung factor
    rss: Array  # (b,) y'Py at tau2
    q: Array  # (b,) y'Py at zero
    typical_v: Array  # (b,) (n - p)/tr P at zero; NaN where n = p


def fits(batch: Batch, tau2: str) -> Fits:
    """Fit every row.

    Parameters
    ----------
    tau2 : str
        "EE", "DL" and "REML" are batched; any other key of ``meta.tau2.TAU2`` is estimated row by
        row.
    """
    start = batch.start()
    free = batch.n - batch.p
    trace = start.score.trace
    many = free > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        typical = np.where(many, free / trace, np.nan)
        moment = np.where(many, (start.rss - free) / trace, 0.0)
    if tau2 == "EE":
        t = np.zeros(len(free))
    elif tau2 == "DL":
        t = np.maximum(moment, 0.0)
        for i in np.flatnonzero(many & ~start.score.sound & (moment > 0)):
            t[i] = _alone(batch, int(i), tau2)
    elif tau2 == "REML":
        t = restricted_likelihood(batch, start)
    else:
        t = np.array([_alone(batch, i, tau2) for i in range(len(free))])
    beta, covariance, rss = batch.coefficients(t)
    return Fits(t, beta, covariance, rss, np.where(many, start.rss, 0.0), typical)


def _alone(batch: Batch, row: int, method: str) -> float:
    problem = batch.problem(row)
    return estimate(problem, method).value


def restricted_likelihood(batch: Batch, start: Start) -> Array:
    """REML estimates of tau2 of every row, each the global optimum."""
    ypp, trace, _, trace2, sound = start.score
    b, n = len(ypp), batch.n
    free = n > batch.p
    kappa = np.divide(trace, trace2, out=np.zeros(b), where=trace2 > 0)
    low, high = np.zeros(b), _no_root_beyond(batch, start, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.minimum((start.rss - n + batch.p) / trace, high)  # DerSimonian-Laird
    falls_from = start.rho_limit - 2 * kappa  # above it, f falls
    optima = np.where(free & sound & ~(falls_from > 0), 1, 0)  # 0: not known yet
    optima[high == 0] = 1

    def descend(rows: Index, at: Array, found: Score) -> Index:
        """Learn from the score at ``at``, above which f falls; rows that are still open."""
        above = found.ypp > found.trace
        low[rows] = np.where(above, np.maximum(low[rows], at), low[rows])
        high[rows] = np.where(above, high[rows], at)
        with np.errstate(invalid="ignore", divide="ignore"):
            following = found.ypp / found.yppp - at - 2 * kappa[rows]
        # Below ``at`` the ratio may rise; it may still lie on one side of one all the way.
        one_side = np.where(above, found.ypp > trace[rows], ypp[rows] < found.trace)
        done = (following <= 0) | one_side
        optima[rows[done]] = 1
        falls_from[rows] = following
        return np.asarray(rows[~done & (following < at * 0.9) & found.sound])

    open_rows = np.flatnonzero(free & sound & (optima == 0))
    rows = open_rows[first[open_rows] > 0]
    if len(rows):  # the first step towards the root may prove as much as a step down
        at = first[rows]
        found = batch.take(rows).score(at)
        limit = start.rho_limit[rows]
        use = np.flatnonzero((limit < 2 * found.trace / found.trace2 - at) & found.sound)
        rows, at, found = rows[use], at[use], found.at(use)
        still = descend(rows, at, found)
        h, slope = _h_and_step(*found[:4])
        first[rows] = at - h * slope
        waiting = np.ones(b, dtype=bool)
        waiting[rows] = False
        waiting[still] = True
        open_rows = open_rows[waiting[open_rows]]
    for _ in range(DESCENTS):
        if not len(open_rows):
            break
        at = np.minimum(falls_from[open_rows], high[open_rows])
        open_rows = descend(open_rows, at, batch.take(open_rows).score(at))
    rest = np.flatnonzero(free & sound & (optima == 0))
    if len(rest):
        optima[rest], low[rest], high[rest] = _halve(batch.take(rest), high[rest])
    t = np.zeros(b)
    single = free & (optima != 1)
    rows = np.flatnonzero(free & (high > 0) & (optima == 1) & ((ypp > trace) | (low > 0)))
    if len(rows):
        inside = (first[rows] > low[rows]) & (first[rows] < high[rows])
        begin = np.where(inside, first[rows], (low[rows] + high[rows]) / 2)
        zero = tuple(part[rows] for part in start.score[:4])
        t[rows], checked = _roots(batch.take(rows), low[rows], high[rows], begin, zero)
        single[rows[~checked]] = True
    for i in np.flatnonzero(single):
        t[i] = _alone(batch, int(i), "REML")
    return t


def _halve(batch: Scores, high: Array) -> tuple[NDArray[np.int_], Array, Array]:
    """Number of local maxima on [0, high] and the bracket of the last one found, for each row.

    An interval is settled when the ratio falls on it or stays on one side of one; otherwise it is
    halved (in logarithms). A row with an interval left after ``HALVINGS`` gets 0: not known.
    """
    b = len(high)
    rows = np.arange(b)
    count, low_of, high_of = np.zeros(b, dtype=int), np.zeros(b), np.zeros(b)
    at_zero, at_high = batch.score(np.zeros(b)), batch.score(high)
    count += at_zero.ypp <= at_zero.trace  # the boundary is a local maximum
    a, c = np.zeros(b), high
    left, right = np.array(at_zero[:4]), np.array(at_high[:4])
    floor = float(batch.v.min()) / 4
    for _ in range(HALVINGS):
        falls = right[0] / right[2] - c < 2 * left[1] / left[3] - a
        one_side = (right[0] > left[1]) | (left[0] < right[1])
        crosses = falls & ~one_side & (left[0] > left[1]) & (right[0] <= right[1])
        at = rows[crosses]
        np.add.at(count, at, 1)
        low_of[at], high_of[at] = a[crosses], c[crosses]
        todo = np.flatnonzero(~(falls | one_side))
        if not len(todo):
            return count, low_of, high_of
        rows, a, c, left, right = rows[todo], a[todo], c[todo], left[:, todo], right[:, todo]
        middle = np.where(a > 0, np.sqrt(a * c), np.minimum(c / 4, floor))
        middle = np.where(middle > a, middle, (a + c) / 2)
        found = np.array(batch.take(rows).score(middle)[:4])
        rows = np.concatenate((rows, rows))
        a, c = np.concatenate((a, middle)), np.concatenate((middle, c))
        left, right = np.concatenate((left, found), 1), np.concatenate((found, right), 1)
    count[rows] = 0
    return count, low_of, high_of


def _no_root_beyond(batch: Batch, start: Start, n: Array) -> Array:
    """A t above which y'PPy < tr P, from the bounds 1/(max v + t) and 1/(min v + t) of P."""
    with np.errstate(invalid="ignore", divide="ignore"):
        s = np.where(n > batch.p, start.plain_rss / (n - batch.p), 0.0)
    least, most = float(batch.v.min()), float(batch.v.max())
    return np.maximum((s + np.sqrt(s * s + 4 * s * (most - least))) / 2 - least, 0.0) * (1 + 1e-9)


def _roots(
    batch: Scores, low: Array, high: Array, t: Array, zero: tuple[Array, ...]
) -> tuple[Array, NDArray[np.bool_]]:
    """Where y'PPy = tr P, for rows on whose bracket the ratio of the two falls.

    Works on h = tr P / y'PPy - 1, which is nearly straight: inverse cubic interpolation through the
    last two points and slopes, at first through t and zero (``zero`` has the score there), Newton's
    step where that leaves the bracket. The last evaluation is aimed just beyond the root: the sign
    must have changed, so that the root is bracketed, and the step back must be of order
    ``BEYOND``, so that what is left is its square.
    """
    b = len(t)
    result, checked = np.zeros(b), np.zeros(b, dtype=bool)
    rows = np.arange(b)
    last = np.zeros(b)  # side of the root on which this evaluation should fall if it is the last
    floor = float(batch.v.min())
    before = np.array((np.zeros(b), *_h_and_step(*zero)))
    for _ in range(ROUNDS):
        score = batch.score(t)
        h, slope = _h_and_step(*score[:4])
        step = -h * slope
        scale = t + floor
        below = h < 0
        side = np.where(below, -1, 1)
        good = (side == last) & score.sound & (np.abs(step) <= 3 * BEYOND * scale)
        if good.any():
            done = rows[good]
            checked[done] = True
        low = np.where(below, t, low)
        high = np.where(below, high, t)
        now = np.array((t, h, slope))
        following = _inverse_cubic(before, now)
        inside = (following >= low) & (following <= high)
        following = np.where(inside, following, t + step)
        inside |= (following >= low) & (following <= high)
        if good.any():
            result[done] = np.where(inside, following, t + step)[good]
        near = inside & (np.abs(following - t) <= SMALL * scale)
        last = np.where(near, -side, 0)
        t = np.where(inside, following + last * BEYOND * scale, (low + high) / 2)
        before = now
        keep = np.flatnonzero(~good)
        if not len(keep):
            break
        if len(keep) < len(t):
            rows, low, high, last = rows[keep], low[keep], high[keep], last[keep]
            t, before, batch = t[keep], before[:, keep], batch.take(keep)
    return np.maximum(result, 0.0), checked


def _h_and_step(ypp: Array, trace: Array, yppp: Array, trace2: Array) -> tuple[Array, Array]:
    """h = tr P / y'PPy - 1 and the slope of t against h."""
    return trace / ypp - 1, ypp / (2 * trace * yppp / ypp - trace2)


def _inverse_cubic(before: Array, now: Array) -> Array:
    """The t at h = 0 of the cubic through two points (t, h, dt/dh); NaN where they coincide."""
    (t0, h0, d0), (t1, h1, d1) = before, now
    with np.errstate(invalid="ignore", divide="ignore"):
        width = h0 - h1
        s = -h1 / width
        r = 1 - s
        return np.asarray(
            r * r * (t1 * (1 + 2 * s) + d1 * width * s)
            + s * s * (t0 * (1 + 2 * r) - d0 * width * r)
        )


def scaled(y: Array, v: Array) -> tuple[Array, Array, float, float]:
    """Effects about their precise mean and variances near one, with the shift and the unit.

    The unit is a power of two near the median standard error, so that scaling rounds nothing.
    """
    centre = float(fit(y, v, tau2="EE").beta[0])
    unit = 2.0 ** round(np.log2(np.median(v)) / 2)
    return (y - centre) / unit, v / unit**2, centre, unit
