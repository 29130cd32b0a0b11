"""Thousands of small fits at once: the kernel of GOSH, bootstrap and permutation.

Rows of a batch are data sets of the same k studies: subsets or resamples (multiplicities), new
responses, or permuted designs. Arrays are (k, b), studies by rows, so that numpy's inner loops run
along the rows; callers cut the work into chunks that stay in the cache.

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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from meta.fitting import fit
from meta.tau2 import estimate
from meta.weighted import Problem

Array = NDArray[np.float64]
Index = NDArray[np.intp]
CELLS = 24_000  # studies times rows of a chunk: three arrays of doubles stay in half a megabyte
DESCENTS = 8  # evaluations spent on a proof that the likelihood has one optimum
HALVINGS = 12  # of an interval whose number of roots is still open
ROUNDS = 40  # Newton steps; four to five are usual
SMALL = 1e-5  # relative step after which the next error is of the order of its square
BEYOND = 1e-9  # relative distance beyond the root at which the sign is checked
DIGITS = 1e-6  # share of a sum that must be left after subtraction


class Score(NamedTuple):
    """What the REML score and its slope need, per row; ``sound`` where no digits were lost."""

    ypp: Array
    trace: Array
    yppp: Array
    trace2: Array
    sound: NDArray[np.bool_]


class Start(NamedTuple):
    """Sums at t = 0, and of ordinary least squares for the limit of ``rho`` and a bound of t."""

    score: Score
    rss: Array  # y'Py: Cochran's Q
    plain_rss: Array  # sum of squared residuals with equal weights
    rho_limit: Array  # their mean sampling variance, weighted by squared residuals


class Batch(Protocol):
    """Rows to be fitted, in centred and scaled units."""

    v: Array  # (k,) sampling variances
    p: int  # coefficients

    @property
    def n(self) -> Array:
        """(b,) studies in each row, with repeats."""

    def start(self) -> Start: ...

    def score(self, t: Array) -> Score: ...

    def take(self, rows: Index) -> Batch: ...

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]: ...

    def problem(self, row: int) -> Problem: ...


def chunks(total: int, k: int) -> Iterator[tuple[int, int]]:
    """First and last row of each chunk, so that a chunk stays in the fast cache."""
    size = max(CELLS // k, 64)
    for first in range(0, total, size):
        yield first, min(first + size, total)


class Subsets:
    """Rows that share effects and variances and differ in how often each study is in.

    Parameters
    ----------
    y, v : array, shape (k,)
        Effects, centred, and variances.
    s : array of float, shape (k, b)
        Multiplicities; at least one study in each row.
    """

    def __init__(self, y: Array, v: Array, s: Array, moments: Array | None = None) -> None:
        self.y, self.v, self.s, self.p = y, v, s, 1
        self._moments = np.stack((np.ones_like(y), y, y * y)) if moments is None else moments

    @property
    def n(self) -> Array:
        return self._moments[0] @ self.s

    def start(self) -> Start:
        w = 1 / self.v
        m, k = self._moments, len(w)
        powers = np.stack((w, w * w, w**3, np.ones(k), self.v))
        sums = ((powers[:, None, :] * m).reshape(-1, k) @ self.s).reshape(5, 3, -1)
        one, plain = sums[0], sums[3]
        score = _mean_score(one, sums[1], sums[2])
        mean = plain[1] / plain[0]
        rss0 = _about(plain, mean)
        with np.errstate(invalid="ignore", divide="ignore"):
            limit = _about(sums[4], mean) / rss0
        return Start(score, _about(one, one[1] / one[0]), rss0, limit)

    def score(self, t: Array) -> Score:
        r = self.v[:, None] + t
        np.reciprocal(r, out=r)
        a = self.s * r
        one = self._moments[:2] @ a
        a *= r
        two = self._moments @ a
        a *= r
        return _mean_score(one, two, self._moments @ a)

    def take(self, rows: Index) -> Subsets:
        return Subsets(self.y, self.v, self.s.take(rows, 1), self._moments)

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        a = self.s / (self.v[:, None] + t)
        sums = self._moments @ a
        mean = sums[1] / sums[0]
        return mean[:, None], 1 / sums[0][:, None, None], _about(sums, mean)

    def problem(self, row: int) -> Problem:
        at = np.repeat(np.arange(len(self.y)), self.s[:, row].astype(int))
        return Problem(self.y[at], self.v[at])


class Responses:
    """Rows that share variances and the intercept alone, each with its own effects.

    Parameters
    ----------
    y : array, shape (k, b)
    v : array, shape (k,)
    """

    def __init__(self, y: Array, v: Array) -> None:
        self.y, self.v, self.p = y, v, 1

    @property
    def n(self) -> Array:
        return np.full(self.y.shape[1], float(len(self.v)))

    def start(self) -> Start:
        w = 1 / self.v
        score, rss = self._at(w[:, None])
        e = self.y - self.y.mean(0)
        squares = e * e
        plain = squares.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            limit = (self.v @ squares) / plain
        return Start(score, rss, plain, limit)

    def score(self, t: Array) -> Score:
        return self._at(1 / (self.v[:, None] + t))[0]

    def _at(self, w: Array) -> tuple[Score, Array]:
        total = w.sum(0)
        e = self.y - (w * self.y).sum(0) / total
        u = w * e
        rss = (u * e).sum(0)
        cross = (w * u).sum(0)
        squares = u * u
        w2 = w * w
        second, third = w2.sum(0), (w2 * w).sum(0)
        trace = total - second / total
        score = Score(
            squares.sum(0),
            trace + np.zeros_like(rss),
            np.maximum((w * squares).sum(0) - cross * cross / total, 0.0),
            second - 2 * third / total + (second / total) ** 2 + np.zeros_like(rss),
            np.broadcast_to(trace > DIGITS * total, rss.shape),
        )
        return score, rss

    def take(self, rows: Index) -> Responses:
        return Responses(self.y[:, rows], self.v)

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        w = 1 / (self.v[:, None] + t)
        total = w.sum(0)
        mean = (w * self.y).sum(0) / total
        e = self.y - mean
        return mean[:, None], 1 / total[:, None, None], (w * e * e).sum(0)

    def problem(self, row: int) -> Problem:
        return Problem(np.ascontiguousarray(self.y[:, row]), self.v)


class Designs:
    """Rows that share effects and variances, each with its own order of the same design.

    Parameters
    ----------
    y, v : array, shape (k,)
    x : array, shape (b, k, p)
        Designs of full column rank.
    """

    def __init__(self, y: Array, v: Array, x: Array) -> None:
        self.y, self.v, self.x, self.p = y, v, x, x.shape[2]

    @property
    def n(self) -> Array:
        return np.full(len(self.x), float(len(self.v)))

    def start(self) -> Start:
        zero = np.zeros(len(self.x))
        score, rss = self._at(zero)
        e = self._residuals(np.ones((len(self.x), len(self.v))))[0]
        squares = e * e
        plain = squares.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            limit = (squares @ self.v) / plain
        return Start(score, rss, plain, limit)

    def score(self, t: Array) -> Score:
        return self._at(t)[0]

    def _residuals(self, w: Array) -> tuple[Array, Array, Array]:
        turned = np.swapaxes(self.x, 1, 2)
        g = turned @ (w[:, :, None] * self.x)
        beta = np.linalg.solve(g, turned @ (w * self.y)[:, :, None])
        return self.y - (self.x @ beta)[..., 0], g, beta[..., 0]

    def _at(self, t: Array) -> tuple[Score, Array]:
        w = 1 / (self.v + t[:, None])
        e, g, _ = self._residuals(w)
        u = w * e
        squares = u * u
        turned = np.swapaxes(self.x, 1, 2)
        second = np.linalg.solve(g, turned @ ((w * w)[:, :, None] * self.x))
        third = np.linalg.solve(g, turned @ ((w**3)[:, :, None] * self.x))
        c = turned @ (w * u)[:, :, None]
        total = w.sum(1)
        trace = total - np.trace(second, axis1=1, axis2=2)
        trace2 = (
            (w * w).sum(1)
            - 2 * np.trace(third, axis1=1, axis2=2)
            + (second * np.swapaxes(second, 1, 2)).sum((1, 2))
        )
        yppp = (w * squares).sum(1) - (c * np.linalg.solve(g, c)).sum((1, 2))
        score = Score(
            squares.sum(1), trace, np.maximum(yppp, 0.0), trace2, trace > DIGITS * total
        )
        return score, (u * e).sum(1)

    def take(self, rows: Index) -> Designs:
        return Designs(self.y, self.v, self.x[rows])

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        w = 1 / (self.v + t[:, None])
        e, g, beta = self._residuals(w)
        return beta, np.linalg.inv(g), (w * e * e).sum(1)

    def problem(self, row: int) -> Problem:
        return Problem(self.y, self.v, self.x[row])


def _about(sums: Array, mean: Array) -> Array:
    """Weighted squares about a mean from sums of 1, y and y^2."""
    return np.maximum(sums[2] - mean * (2 * sums[1] - mean * sums[0]), 0.0)


def _mean_score(one: Array, two: Array, three: Array) -> Score:
    """Score of the mean from sums of w, w^2 and w^3 times 1, y and y^2."""
    total, second = one[0], two[0]
    mean = one[1] / total
    ypp = _about(two, mean)
    cross = two[1] - mean * second
    yppp = np.maximum(_about(three, mean) - cross * cross / total, 0.0)
    share = second / total
    trace = total - share
    trace2 = second - 2 * three[0] / total + share * share
    sound = (trace > DIGITS * total) & (ypp > DIGITS * two[2])
    return Score(ypp, trace, yppp, trace2, sound)


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
    b = len(ypp)
    n = batch.n
    free = n > batch.p
    kappa = np.divide(trace, trace2, out=np.zeros(b), where=trace2 > 0)
    turn = start.rho_limit - 2 * kappa  # above it, f falls
    low, high = np.zeros(b), _no_root_beyond(batch, start, n)
    optima = np.where(free & sound & ~(turn > 0), 1, 0)  # 0: not known yet
    open_rows = np.flatnonzero(free & sound & (turn > 0))
    for _ in range(DESCENTS):
        if not len(open_rows):
            break
        at = np.minimum(turn[open_rows], high[open_rows])
        found = batch.take(open_rows).score(at)
        above = found.ypp > found.trace
        low[open_rows] = np.where(above, np.maximum(low[open_rows], at), low[open_rows])
        high[open_rows] = np.where(above, high[open_rows], at)
        with np.errstate(invalid="ignore", divide="ignore"):
            following = found.ypp / found.yppp - at - 2 * kappa[open_rows]
        # Below ``at`` the ratio may rise; it may still lie on one side of one all the way.
        one_side = np.where(above, found.ypp > trace[open_rows], ypp[open_rows] < found.trace)
        done = (following <= 0) | one_side
        optima[open_rows[done]] = 1
        turn[open_rows] = following
        open_rows = open_rows[~done & (following < at * 0.9) & found.sound]
    rest = np.flatnonzero(free & sound & (optima == 0))
    if len(rest):
        optima[rest], low[rest], high[rest] = _halve(batch.take(rest), high[rest])
    t = np.zeros(b)
    single = free & (optima != 1)
    rows = np.flatnonzero((optima == 1) & ((ypp > trace) | (low > 0)))
    if len(rows):
        first = (start.rss[rows] - n[rows] + batch.p) / trace[rows]
        inside = (first > low[rows]) & (first < high[rows])
        first = np.where(inside, first, (low[rows] + high[rows]) / 2)
        t[rows], checked = _roots(batch.take(rows), low[rows], high[rows], first)
        single[rows[~checked]] = True
    for i in np.flatnonzero(single):
        t[i] = _alone(batch, int(i), "REML")
    return t


def _halve(batch: Batch, high: Array) -> tuple[NDArray[np.int_], Array, Array]:
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


def _roots(batch: Batch, low: Array, high: Array, t: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Where y'PPy = tr P, for rows on whose bracket the ratio of the two falls.

    Newton's method on tr P / y'PPy - 1, which is nearly straight. The last evaluation lies
    ``BEYOND`` the root: the sign must have changed, and the step back must be that short.
    """
    b = len(t)
    result, checked = t.copy(), np.zeros(b, dtype=bool)
    rows = np.arange(b)
    last = np.zeros(b, dtype=np.int8)  # +1, -1: the side of a final evaluation; 0: still under way
    floor = float(batch.v.min())
    for _ in range(ROUNDS):
        ypp, trace, yppp, trace2, sound = batch.score(t)
        h = trace / ypp - 1
        step = h * ypp / (trace2 - 2 * trace * yppp / ypp)
        scale = t + floor
        if last.any():
            final = last != 0
            good = final & sound & (np.sign(h) == last) & (np.abs(step) <= 3 * BEYOND * scale)
            result[rows[good]] = t[good] + step[good]
            checked[rows[good]] = True
            going = ~final
        else:
            going = np.ones(len(t), dtype=bool)
        below = h < 0
        low = np.where(below, t, low)
        high = np.where(below, high, t)
        following = t + step
        inside = (following > low) & (following < high)
        near = inside & (np.abs(step) <= SMALL * scale)
        last = np.where(near, np.where(below, 1, -1), 0).astype(np.int8)
        following = np.where(
            near, following + last * BEYOND * scale, np.where(inside, following, (low + high) / 2)
        )
        if not going.any():
            break
        if going.all():
            t = following
            continue
        keep = np.flatnonzero(going)
        rows, low, high, last = rows[keep], low[keep], high[keep], last[keep]
        t, batch = following[keep], batch.take(keep)
    return np.maximum(result, 0.0), checked


def scaled(y: Array, v: Array) -> tuple[Array, Array, float, float]:
    """Effects about their precise mean and variances near one, with the shift and the unit.

    The unit is a power of two near the median standard error, so that scaling rounds nothing.
    """
    centre = float(fit(y, v, tau2="EE").beta[0])
    unit = 2.0 ** round(np.log2(np.median(v)) / 2)
    return (y - centre) / unit, v / unit**2, centre, unit
