"""Rows of a batch: data sets of the same k studies, and the sums that fitting them takes.

Subsets and resamples of studies, pooled without moderators; ``meta.batch_designs`` has the rows
with moderators and those with new effects. Arrays are (k, b), studies by rows, so that numpy's
inner loops run along the rows. With P = W - WX(X'WX)^-1 X'W at weights 1/(v + t), each kind gives
y'PPy, tr P, y'PPPy and tr PP: for one t per row, or for some t that all rows share, which a matrix
product does for a tenth of the price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from meta.weighted import Problem

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]
CELLS = 64_000  # studies times rows of a block, which is to stay in the fast cache
BLOCK = 3000  # rows of a block at most; arrays of 2^n numbers alias each other in the cache
LOW = 14  # studies whose subsets make a chunk
BLOCKS = 8  # of a chunk: what is done to few rows of a block is done for the chunk together
DIGITS = 1e-6  # share of a sum that must be left after subtraction
Q_DIGITS = 1e-5  # the same for Cochran's Q, which is shown


class Score(NamedTuple):
    """What the REML score and its slope need, per row; ``sound`` where no digits were lost."""

    ypp: Array  # (b,), or (g, b) for a scan
    trace: Array  # of a scan also (g, 1)
    yppp: Array
    trace2: Array
    sound: Flags  # (b,)


class Zero(NamedTuple):
    """Sums at t = 0, per row."""

    q: Array  # y'Py: Cochran's Q
    trace: Array
    sound: Flags


class Batch(Protocol):
    """Rows to be fitted, in centred and scaled units."""

    v: Array  # (k,) sampling variances
    p: int  # coefficients
    b: int  # rows

    @property
    def n(self) -> Array:
        """(b,) studies in each row, with repeats."""

    def zero(self) -> Zero: ...

    def reach(self) -> tuple[float, float]:
        """A t below which most rows, and one below which all rows have y'PPy = tr P."""

    def scan(self, t: Array, rows: slice) -> Score:
        """The score of the rows of a block at each of some t."""

    def score(self, rows: Index, t: Array) -> Score:
        """The score of some rows at a t for each."""

    def heights(self, rows: Index, t: Array) -> Array:
        """Restricted log-likelihood, but for a constant, of some rows at a t for each."""

    def coefficients(self, t: Array) -> tuple[Array, Array, Flags]:
        """Coefficients (b, p), their covariance (b, p, p), and whether no digits were lost."""

    def rss(self, t: Array, beta: Array) -> Array:
        """y'Py at t, where these are the coefficients."""

    def problem(self, row: int) -> Problem: ...


def block(k: int) -> int:
    """Rows of k studies in a block."""
    return min(max(CELLS // k, 64), BLOCK)


def spans(total: int, size: int) -> Iterator[slice]:
    """Runs of so many rows."""
    for first in range(0, total, size):
        yield slice(first, min(first + size, total))


def chunks(total: int, k: int) -> Iterator[slice]:
    """The rows of each chunk of data sets of k studies."""
    return spans(total, block(k) * BLOCKS)


def in_blocks(exact: Callable[[Index, Array], Score], k: int, rows: Index, t: Array) -> Score:
    """The score of some rows, a block at a time."""
    size = block(k)
    if len(rows) <= size:
        return exact(rows, t)
    values, sound = np.empty((4, len(rows))), np.empty(len(rows), dtype=bool)
    for at in spans(len(rows), size):
        *parts, sound[at] = exact(rows[at], t[at])
        for to, part in zip(values, parts, strict=True):
            to[at] = part
    return Score(values[0], values[1], values[2], values[3], sound)


def root_bound(s: float, v: Array) -> float:
    """A t above which y'PPy < tr P, for rows whose plain residual mean square is at most s.

    With the eigenvalues of the residual covariance between t + min v and t + max v,
    y'PPy <= (n - p) s/(t + min v)^2 and tr P >= (n - p)/(t + max v).
    """
    least, most = float(v.min()), float(v.max())
    return max((s + math.sqrt(s * s + 4 * s * (most - least))) / 2 - least, 0.0) * 1.01


def benign(y: Array, v: Array) -> bool:
    """Whether effects are so near each other and variances so alike that no sum loses digits."""
    least, most, far = float(v.min()), float(v.max()), float(np.abs(y).max()) ** 2
    return (
        2 * DIGITS * far * most < least * least
        and 2 * DIGITS * most < least
        and Q_DIGITS * far * len(v) < least
    )


class Subsets:
    """Rows that share effects and variances and differ in how often each study is in.

    Parameters
    ----------
    y, v : array, shape (k,)
        Effects, centred, and variances.
    s : array of float, shape (k, b)
        Multiplicities; at least one study in each row.
    """

    def __init__(self, y: Array, v: Array, s: Array) -> None:
        self.y, self.v, self.s, self.p, self.b = y, v, s, 1, s.shape[1]
        self._moments = np.array((np.ones(len(y)), y, 2 * y, y * y))
        self._benign = benign(y, v)

    def _sums(self, which: Terms, t: Array, rows: slice) -> Array:
        """Sums over the studies of some terms at some t, (q, g, b)."""
        w = 1 / (self.v + t[:, None])
        terms = np.array([w**power * self._moments[number] for power, number in which])
        terms = terms.reshape(-1, len(self.y))
        return np.asarray((terms @ self.s[:, rows]).reshape(len(which), len(t), -1))

    @cached_property
    def n(self) -> Array:
        return np.asarray(self._sums(COUNT, ZERO, ALL)[0, 0])

    def zero(self) -> Zero:
        total, first, squares, second = self._sums(AT_ZERO, ZERO, ALL)[:, 0]
        mean = first / total
        first *= mean
        q = np.maximum(squares - first, 0.0)
        second /= total
        trace = np.subtract(total, second, out=second)
        if self._benign:
            return Zero(q, trace, np.ones(self.b, dtype=bool))
        return Zero(q, trace, (trace > DIGITS * total) & (Q_DIGITS * squares < np.maximum(q, 1.0)))

    def reach(self) -> tuple[float, float]:
        # No sample has a greater variance (divisor n - 1) than its two extremes alone.
        most = root_bound(float(np.ptp(self.y)) ** 2 / 2, self.v)
        return min(root_bound(float(self.y.var()), self.v), most), most

    def scan(self, t: Array, rows: slice) -> Score:
        return self._score(lambda power: self._sums(POWERS[power], t, rows))

    def score(self, rows: Index, t: Array) -> Score:
        moments = {p: self._moments[[m for _, m in which]] for p, which in POWERS.items()}

        def exact(rows: Index, t: Array) -> Score:
            r = weights(self.v, t)
            a = self.s.take(rows, 1)

            def sums(power: int) -> Array:
                np.multiply(a, r, out=a)
                return np.asarray(moments[power] @ a)

            return self._score(sums)

        return in_blocks(exact, len(self.v), rows, t)

    def _score(self, sums: Callable[[int], Iterable[Array]]) -> Score:
        """Score of the mean from sums of w, w^2 and w^3 times 1, y or 2y, and y^2, in turn."""
        total, mean = sums(1)
        inverse = 1 / total
        mean *= inverse
        second, twice, ypp = sums(2)
        part = mean * second
        part -= twice
        twice += part
        twice += part  # twice the cross product of 1 and y - mean, with its sign turned
        part *= mean
        squares = None if self._benign else DIGITS * ypp
        ypp += part
        np.maximum(ypp, 0.0, out=ypp)
        share = np.multiply(second, inverse, out=part)
        trace = total - share
        if squares is None:
            sound = np.ones(total.shape[-1], dtype=bool)
        else:
            good = (trace > DIGITS * total) & (squares < trace)
            sound = good if good.ndim == 1 else np.asarray(good.all(0))
        third, other, yppp = sums(3)
        part = np.multiply(mean, third, out=total)
        part -= other
        part *= mean
        yppp += part
        twice *= twice
        inverse *= 0.25
        twice *= inverse
        yppp -= twice
        np.maximum(yppp, 0.0, out=yppp)
        inverse *= 8
        third *= inverse
        share *= share
        second -= third
        second += share
        return Score(ypp, trace, yppp, second, sound)

    def heights(self, rows: Index, t: Array) -> Array:
        s, r = self.s.take(rows, 1), weights(self.v, t)
        total, first, squares = self._moments[[0, 1, 3]] @ (s * r)
        rss = squares - first * first / total
        return np.asarray(dots(s, np.log(r)) - np.log(total) - rss) / 2

    def coefficients(self, t: Array) -> tuple[Array, Array, Flags]:
        sums, moments = np.empty((2, self.b)), self._moments[:2]
        for at in spans(self.b, block(len(self.v))):
            r = weights(self.v, t[at])
            r *= self.s[:, at]
            sums[:, at] = moments @ r
        np.divide(1.0, sums[0], out=sums[0])
        sums[1] *= sums[0]
        return sums[1][:, None], sums[0][:, None, None], np.ones(self.b, dtype=bool)

    def rss(self, t: Array, beta: Array) -> Array:
        e = self.y[:, None] - beta[:, 0]
        e *= e
        e *= self.s
        return dots(e, weights(self.v, t))

    def problem(self, row: int) -> Problem:
        at = np.repeat(np.arange(len(self.y)), self.s[:, row].astype(int))
        return Problem(self.y[at], self.v[at])


def all_subsets(y: Array, v: Array) -> Iterator[tuple[slice, Subsets]]:
    """All subsets of k studies in chunks; bit j of a subset's number is study j.

    In the place of the empty set stands the first study. The subsets of a chunk differ among the
    first studies alone; of the others only those that all of them hold enter its sums.
    """
    k = len(y)
    low = min(k, LOW)
    members = np.zeros((k, 2**low))
    for j, row in enumerate(members[:low]):
        row.reshape(-1, 2, 2**j)[:, 1] = 1.0
    members[low:] = 1.0
    for high in range(2 ** (k - low)):
        held = np.flatnonzero((high >> np.arange(k - low)) & 1)
        studies = np.concatenate((np.arange(low), low + held))
        s = members[: len(studies)]
        if high == 0:
            s = s.copy() if k > low else s
            s[0, 0] = 1.0
        yield slice(high << low, (high + 1) << low), Subsets(y[studies], v[studies], s)


Terms = tuple[tuple[int, int], ...]  # a power of 1/(v + t), and the number of a moment of y
ALL = slice(None)
ZERO = np.zeros(1)
COUNT: Terms = ((0, 0),)
AT_ZERO: Terms = ((1, 0), (1, 1), (1, 3), (2, 0))
POWERS: dict[int, Terms] = {
    1: ((1, 0), (1, 1)),
    2: ((2, 0), (2, 2), (2, 3)),
    3: ((3, 0), (3, 2), (3, 3)),
}


def weights(v: Array, t: Array) -> Array:
    """1/(v + t), (k, b); a thin product and a division are numpy's fastest way there."""
    sums = np.array((v, np.ones(len(v)))).T @ np.array((np.ones(len(t)), t))
    return np.asarray(np.divide(1.0, sums, out=sums))


def dots(a: Array, b: Array) -> Array:
    """Sums over the studies of a product, without forming it; (k, b) or (k, 1) each."""
    return np.asarray(np.einsum("kb,kb->b", a, b))
