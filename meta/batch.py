"""Thousands of small fits at once: the kernel of GOSH, bootstrap, permutation and leave-one-out.

Rows of a batch (``meta.batch_rows``, ``meta.batch_designs``) are data sets of the same k studies;
callers cut the work into chunks that stay in the cache.

With P = W - WX(X'WX)^-1 X'W at weights 1/(v + t), REML solves y'PPy = tr P. Let d_j be the
eigenvalues of the residual covariance K'VK and z = K'y; then P has eigenvalues 1/(d_j + t), and
the ratio f = y'PPy / tr P satisfies

    d log f / dt = 1/(kappa + t) - 2/(rho + t),  kappa = tr P / tr PP - t,
                                                 rho = y'PPy / y'PPPy - t,

where kappa and rho are means of the d_j that rise with t (Cauchy-Schwarz). So f falls on [a, b] if
rho(b) < 2 kappa(a) + a, rises if rho(a) > 2 kappa(b) + b, and has no root there if y'PPy at one
end lies beyond tr P at the other, because both fall. A scan of some t that all rows share, which
matrix products make cheap, thus proves for each row how many optima its likelihood has and
brackets each; intervals that prove nothing are halved. One or two evaluations then give each root,
and where a row has several optima the highest counts. Rows that lose digits are solved one by one
by the estimator of ``meta.tau2``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from meta.batch_designs import Regressions
from meta.batch_rows import Batch, Flags, Index, Score, Subsets, block, spans
from meta.errors import InputError
from meta.fitting import Fit, fit_at
from meta.tau2 import Tau2, estimate

Array = NDArray[np.float64]
Part = TypeVar("Part")
SPACING = 0.55  # of the scan, in the logarithm of t + c
FEWEST, MOST = 4, 24  # points of the scan
WITHIN = 1e-8  # relative distance of ones from the span of a design that is rounding
HALVINGS = 40  # of an interval whose number of roots is still open
ROUNDS = 30  # steps towards a root; one or two are usual
AGREE = 1e-11  # relative distance of two steps of different order at which the better is right
SHORT = 1e-4  # relative length of the last step at most


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Fits:
    """Fits of the rows of a batch, in its units; NaN where a coefficient cannot be estimated."""

    tau2: Array  # (b,)
    beta: Array  # (b, p)
    covariance: Array  # (b, p, p) without any Knapp-Hartung factor
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
    q, trace, sound = batch.zero()
    free = batch.n - batch.p
    many = free > 0
    lost = many & ~sound
    t = np.zeros(len(q))
    if tau2 == "DL":
        np.divide(q - free, trace, out=t, where=many & sound)
        np.maximum(t, 0.0, out=t)
    elif tau2 == "REML":
        t, unsolved = restricted_likelihood(batch, many & sound)
        lost |= unsolved
    elif tau2 != "EE":
        lost = many
    q = np.where(many, q, 0.0)
    typical = np.divide(free, trace, out=np.full(len(q), math.nan), where=many & (trace > 0))
    beta, covariance, kept = batch.coefficients(t)
    for i in np.flatnonzero(lost | ~kept).tolist():
        found = _alone(batch, i, tau2)
        if found is None:
            t[i] = q[i] = typical[i] = math.nan
            beta[i], covariance[i] = math.nan, math.nan
            continue
        t[i], q[i], typical[i] = found.tau2.value, found.q, found.typical_v
        beta[i], covariance[i] = found.beta, found.vb
    return Fits(t, beta, covariance, q, typical)


def _alone(batch: Batch, row: int, method: str) -> Fit | None:
    """The fit of one row by the scalar code, or None where it has no fit."""
    try:
        problem = batch.problem(row)
    except InputError:
        return None
    between = Tau2(0.0, math.nan) if method == "EE" else estimate(problem, method)
    return fit_at(problem, between, method)


class _Brackets(NamedTuple):
    """Intervals of t: of which rows, from where to where, with the scores at both ends."""

    rows: Index
    low: Array
    high: Array
    left: Array  # (4, n)
    right: Array  # (4, n)

    def at(self, which: Index) -> _Brackets:
        return _Brackets(
            self.rows[which],
            self.low[which],
            self.high[which],
            self.left[:, which],
            self.right[:, which],
        )


def _joined(parts: list[_Brackets]) -> _Brackets:
    return _Brackets(*(np.concatenate(part, -1) for part in zip(*parts, strict=True)))


def restricted_likelihood(batch: Batch, usable: Flags) -> tuple[Array, Flags]:
    """REML estimates of tau2, each the global optimum, and the rows for which none was found.

    Parameters
    ----------
    usable : array of bool, shape (b,)
        Rows to be estimated; the others get zero.
    """
    t, lost, at_zero = np.zeros(batch.b), np.zeros(batch.b, dtype=bool), usable.copy()
    likely, top = batch.reach()
    if top == 0 or not usable.any():
        return t, lost
    nodes = _nodes(batch.v, likely, top)
    proven, still_open = [], []
    for span in spans(batch.b, block(len(batch.v))):
        found = batch.scan(nodes, span)
        lost[span] = usable[span] & ~found.sound
        crossing, unsettled = _intervals(nodes, found, usable[span] & found.sound)
        at_zero[span] &= found.ypp[0] <= found.trace[0]
        proven.append(_brackets(nodes, found, crossing, span.start))
        if len(unsettled):
            still_open.append(_brackets(nodes, found, unsettled, span.start))
    if still_open:
        halved, unsettled = _halve(batch, _joined(still_open))
        proven.append(halved)
        lost[unsettled] = True
    brackets = _joined(proven)
    rows = brackets.rows
    roots, good = _roots(batch, brackets)
    lost[rows[~good]] = True
    count = np.bincount(rows, minlength=batch.b) + at_zero
    lost |= usable & (count == 0)
    t[rows] = roots
    several = count[rows] > 1
    if several.any():
        _highest(batch, rows[several], roots[several], at_zero, t)
    return t, lost


def _nodes(v: Array, likely: float, top: float) -> Array:
    """Some t from zero to ``top``, denser where roots are likely."""
    c = float(v.min())
    reach = math.log1p(likely / c)
    steps = min(max(math.ceil(reach / SPACING), FEWEST), MOST)
    nodes = c * np.expm1(np.linspace(0.0, reach, steps + 1))
    return np.append(nodes[nodes < 0.9 * top], top)


def _intervals(nodes: Array, found: Score, usable: Flags) -> tuple[Index, Index]:
    """Intervals with one optimum, and those that are open.

    Intervals are numbered along the flattened (g - 1, b).
    """
    ypp, trace, yppp, trace2, _ = found
    above = ypp > trace
    crosses = above[:-1] > above[1:]
    crosses &= usable
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = (ypp / yppp)[1:]
        rise -= 2 * (trace / trace2)[:-1]
        settled = rise < np.diff(nodes)[:, None]  # it falls
    settled |= ypp[1:] > trace[:-1]
    settled |= ypp[:-1] < trace[1:]
    settled |= ~usable
    if settled.all():
        return np.flatnonzero(crosses), np.empty(0, dtype=np.intp)
    crosses &= settled
    return np.flatnonzero(crosses), np.flatnonzero(~settled)


def _brackets(nodes: Array, found: Score, at: Index, first: int) -> _Brackets:
    b = found.ypp.shape[1]
    g, column = np.divmod(at, b)
    left, right = np.empty((2, 4, len(at)))
    for part, to_left, to_right in zip(found[:4], left, right, strict=True):
        step, where = (1, g) if part.shape[1] < b else (b, at)
        flat = part.ravel()
        flat.take(where, out=to_left)
        flat[step:].take(where, out=to_right)
    return _Brackets(column + first, nodes[g], nodes[g + 1], left, right)


def _halve(batch: Batch, open_: _Brackets) -> tuple[_Brackets, Index]:
    """Halve intervals (in logarithms) until each is settled; rows for which that fails."""
    kept: list[_Brackets] = []
    finite = np.isfinite(open_.left).all(0) & np.isfinite(open_.right).all(0)
    lost, open_ = open_.rows[~finite], open_.at(np.flatnonzero(finite))
    floor = float(batch.v.min()) / 4
    while True:
        rows, a, c, left, right = open_
        with np.errstate(invalid="ignore", divide="ignore"):
            start, end = left[0] / left[2], right[0] / right[2]
            start -= 2 * right[1] / right[3]
            end -= 2 * left[1] / left[3]
        falls = end < c - a
        one_side = (right[0] > left[1]) | (left[0] < right[1])
        crosses = falls & ~one_side & (left[0] > left[1]) & (right[0] <= right[1])
        kept.append(open_.at(np.flatnonzero(crosses)))
        settled = falls | one_side | (start > a - c)  # the last: it rises throughout
        open_ = open_.at(np.flatnonzero(~settled))
        rows, a, c, left, right = open_
        if not len(rows) or len(kept) > HALVINGS:
            return _joined(kept), np.concatenate((lost, rows))
        middle = np.where(a > 0, np.sqrt(a * c), np.minimum(c / 4, floor))
        middle = np.where(middle > a, middle, (a + c) / 2)
        found = np.array(batch.score(rows, middle)[:4])
        open_ = _joined(
            [_Brackets(rows, a, middle, left, found), _Brackets(rows, middle, c, found, right)]
        )


def _points(t: Array, score: Iterable[Array]) -> Array:
    """t, h = tr P / y'PPy - 1 and the slope of t against h, (3, n)."""
    ypp, trace, yppp, trace2 = score
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = trace / ypp
        return np.array((t, ratio - 1, ypp / (2 * ratio * yppp - trace2)))


def _roots(batch: Batch, brackets: _Brackets) -> tuple[Array, Flags]:
    """Where y'PPy = tr P, on brackets on which the ratio of the two falls.

    Works on h = tr P / y'PPy - 1, which is nearly straight. Inverse cubic interpolation through
    the ends of the bracket, then through the last two points; Newton's step, or else the middle of
    the bracket, where that leaves it. A root is accepted if it lies in the bracket, Newton's step
    from the last point is short, and the interpolation, whose error is of higher order, agrees
    with that step.
    """
    rows, low, high, left, right = brackets
    result, checked = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    before, after = _points(low, left), _points(high, right)
    t = _inverse_cubic(before, after)
    t = np.where((t > low) & (t < high), t, (low + high) / 2)
    np.copyto(before, after, where=np.abs(after[1]) < np.abs(before[1]))
    floor, todo = float(batch.v.min()), np.arange(len(rows))
    for _ in range(ROUNDS if len(rows) else 0):
        score = batch.score(rows, t)
        now = _points(t, score[:4])
        _, h, slope = now
        newton = t - h * slope
        following = _inverse_cubic(before, now)
        following = np.where(np.isfinite(following), following, newton)
        below = h < 0
        low, high = np.where(below, t, low), np.where(below, high, t)
        inside = (following >= low) & (following <= high)
        scale = t + floor
        good = np.abs(following - newton) <= AGREE * scale
        good &= np.abs(newton - t) <= SHORT * scale
        good &= inside
        good &= score.sound
        result[todo], checked[todo] = following, good
        keep = np.flatnonzero(~good)
        if not len(keep):
            break
        newton, inside = newton[keep], inside[keep]
        rows, low, high, before = rows[keep], low[keep], high[keep], now[:, keep]
        newton = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        t, todo = np.where(inside, following[keep], newton), todo[keep]
    return result, checked


def _inverse_cubic(before: Array, now: Array) -> Array:
    """The t at h = 0 of the cubic through two points (t, h, dt/dh); NaN where they coincide."""
    (t0, h0, d0), (t1, h1, d1) = before, now
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        width = h0 - h1
        s = -h1 / width
        r = 1 - s
        return np.asarray(
            r * r * (t1 * (1 + 2 * s) + d1 * width * s)
            + s * s * (t0 * (1 + 2 * r) - d0 * width * r)
        )


def _highest(batch: Batch, rows: Index, roots: Array, at_zero: Flags, t: Array) -> None:
    """Of several local maxima per row, put the highest into ``t``; zero is one where flagged."""
    zeros = np.unique(rows[at_zero[rows]])
    rows, roots = np.concatenate((zeros, rows)), np.concatenate((np.zeros(len(zeros)), roots))
    order = np.lexsort((-batch.heights(rows, roots), rows))
    first = np.concatenate(([True], np.diff(rows[order]) > 0))
    t[rows[order][first]] = roots[order][first]


def in_chunks(work: Callable[[Part], None], parts: Iterable[Part], workers: int) -> None:
    """Do the work on each part; parts are made in order, and few of them exist at a time."""
    if workers < 1:
        raise InputError(f"workers = {workers} is not positive")
    if workers == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[None]] = deque()
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > workers:
                waiting.popleft().result()
        for one in waiting:
            one.result()


def scaled(y: Array, v: Array) -> tuple[Array, Array, float, float]:
    """Effects about their middle and variances near one, with the shift and the unit.

    The middle is the effect nearest to their precise mean, so that equal effects become zeros; the
    unit is a power of two near the median standard error, so that scaling rounds nothing.
    """
    w = 1 / v
    far = np.abs(y - y[0] - (w @ (y - y[0])) / w.sum())
    centre = float(y[far.argmin()])
    unit = 2.0 ** round(math.log2(float(np.median(v))) / 2)
    return (y - centre) / unit, v / unit**2, centre, unit


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Frame:
    """Studies in centred and scaled units, to be fitted with an orthonormal basis of a design."""

    y: Array
    v: Array
    centre: float
    unit: float
    basis: Array | None  # (k, p); None without moderators
    back: Array  # (p, p): coefficients of the design from those of the basis
    shift: Array  # (p,): what the coefficients are of effects that are all one

    @classmethod
    def of(cls, y: Array, v: Array, x: Array | None) -> Frame:
        """The frame of effects, variances and a design of full rank."""
        y, v, centre, unit = scaled(y, v)
        if x is None:
            return cls(y, v, centre, unit, None, np.eye(1), np.ones(1))
        basis, r = np.linalg.qr(x)
        ones = basis.sum(0)
        if abs(float(ones @ ones) - len(y)) > WITHIN * len(y):  # a shift is no coefficient
            y, centre = y + centre / unit, 0.0
        back = np.linalg.inv(r)
        return cls(y, v, centre, unit, basis, back, back @ ones)

    def rows(self, often: Array) -> Batch:
        """Samples in which study i occurs ``often[i]`` times; ``often`` is (k, b)."""
        if self.basis is None:
            return Subsets(self.y, self.v, often)
        return Regressions(self.y[:, None], self.v, self.basis.T[:, :, None], often)

    def coefficients(self, beta: Array) -> Array:
        """Coefficients (b, p) of the design in the units of the effects."""
        return np.asarray(beta @ self.back.T * self.unit + self.centre * self.shift)

    def covariance(self, covariance: Array) -> Array:
        """Their covariance (b, p, p)."""
        return np.asarray(self.back @ covariance @ self.back.T * self.unit**2)


ROUNDING = 1e-26  # residual over explained squares


def knapp_hartung(rss: Array, beta: Array, covariance: Array, free: Array | float) -> Array:
    """Residual mean squares (b,); residuals that are but rounding are none."""
    z2 = (beta**2 / np.diagonal(covariance, axis1=1, axis2=2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(rss <= ROUNDING * z2, 0.0, rss) / np.asarray(free, dtype=float))
