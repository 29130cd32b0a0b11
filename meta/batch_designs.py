"""Rows of a batch that have moderators, or effects of their own: permutations and resamples.

The companion of ``meta.batch_rows``. The p by p matrices of the rows are kept as p by p vectors
along the rows, so that inverting thousands of them takes a few dozen operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.batch_rows import (
    DIGITS,
    Flags,
    Index,
    Score,
    Zero,
    block,
    dots,
    in_blocks,
    root_bound,
    spans,
    weights,
)
from meta.weighted import Problem

Array = NDArray[np.float64]
Matrix = list[list[Array]]  # p by p vectors along the rows, symmetric
ROTATE_UP_TO = 500  # studies; beyond, the rotation costs more than it saves
ALIKE = 1e4  # greatest ratio of variances at which no eigenvalue drowns in the others' rounding


def inverse(g: Matrix) -> tuple[Matrix, Array, Array]:
    """Inverses of positive definite matrices by Cholesky's method.

    Returns
    -------
    inverse : p by p vectors
    logdet : array, shape (b,)
        Logarithms of the determinants of ``g``.
    share : array, shape (b,)
        The least share of a diagonal entry that is left after elimination; near zero where a
        matrix is nearly singular, and its inverse useless.
    """
    p, shape = len(g), g[0][0].shape
    low: Matrix = []
    share, logdet = np.ones(shape), np.zeros(shape)
    for i in range(p):
        row: list[Array] = []
        for j in range(i):
            rest = g[i][j] - sum((row[m] * low[j][m] for m in range(j)), np.zeros(()))
            row.append(rest / low[j][j])
        rest = g[i][i] - sum((entry * entry for entry in row), np.zeros(()))
        good = rest > 0
        share = np.minimum(share, np.where(good, rest, 0.0) / g[i][i])
        rest = np.where(good, rest, 1.0)
        logdet += np.log(rest)
        row.append(np.sqrt(rest))
        low.append(row)
    # Columns of L^-1, then (LL')^-1 = L^-T L^-1.
    turned: Matrix = [[np.zeros(shape) for _ in range(p)] for _ in range(p)]
    for j in range(p):
        turned[j][j] = 1 / low[j][j]
        for i in range(j + 1, p):
            rest = sum((low[i][m] * turned[m][j] for m in range(j, i)), np.zeros(()))
            turned[i][j] = -rest / low[i][i]
    found: Matrix = [[np.zeros(shape) for _ in range(p)] for _ in range(p)]
    for i in range(p):
        for j in range(i + 1):
            entry = sum((turned[m][i] * turned[m][j] for m in range(i, p)), np.zeros(()))
            found[i][j] = found[j][i] = entry
    return found, logdet, share


def _trace(a: Matrix, b: Matrix) -> Array:
    """Traces of the products of two symmetric matrices."""
    p = len(a)
    return sum((a[i][j] * b[i][j] for i in range(p) for j in range(p)), np.zeros(()))


def _trace_of_square(a: Matrix, b: Matrix) -> Array:
    """Traces of abab for symmetric a and b."""
    p = range(len(a))
    ab = [[sum((a[i][m] * b[m][j] for m in p), np.zeros(())) for j in p] for i in p]
    return sum((ab[i][j] * ab[j][i] for i in p for j in p), np.zeros(()))


def _times(a: Matrix, c: Sequence[Array] | Array) -> list[Array]:
    return [sum((x * y for x, y in zip(row, c, strict=True)), np.zeros(())) for row in a]


class Regressions:
    """Rows that differ in effects, in the order of the design, or in how often a study is in.

    Parameters
    ----------
    y : array, shape (k, b) or (k, 1)
        Effects, centred.
    v : array, shape (k,)
    x : array, shape (p, k, b) or (p, k, 1)
        Designs, best with orthonormal columns.
    s : array of float, shape (k, b), optional
        Multiplicities.
    """

    def __init__(self, y: Array, v: Array, x: Array, s: Array | None = None) -> None:
        self.y, self.v, self.x, self.s, self.p = y, v, x, s, len(x)
        self.b = max(y.shape[1], x.shape[2], 1 if s is None else s.shape[1])

    @property
    def n(self) -> Array:
        return np.full(self.b, float(len(self.v))) if self.s is None else self.s.sum(0)

    def _along(self, part: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(part, (self.b,))

    def _sums(self, a: Array) -> Array:
        """X'a, (p, b or 1)."""
        if self.x.shape[2] == 1:
            return np.asarray(self.x[:, :, 0] @ a)
        return np.stack([dots(column, a) for column in self.x])

    def _gram(self, a: Array) -> Matrix:
        """X' diag(a) X."""
        p = range(self.p)
        if self.x.shape[2] == 1:
            pairs = [self.x[i, :, 0] * self.x[j, :, 0] for i in p for j in range(i + 1)]
            entries = iter(np.array(pairs) @ a)
        else:
            entries = (dots(self.x[i] * a, self.x[j]) for i in p for j in range(i + 1))
        g: Matrix = [[np.empty(0)] * self.p for _ in p]
        for i in p:
            for j in range(i + 1):
                g[i][j] = g[j][i] = next(entries)
        return g

    def _residuals(self, beta: list[Array]) -> Array:
        e = self.y
        for column, b in zip(self.x, beta, strict=True):
            e = e - column * b
        return e

    def _at(self, w: Array) -> tuple[Score, Array]:
        """The score at weights w (k, b) or (k, 1), and y'Py."""
        a = w if self.s is None else self.s * w
        back, _, share = inverse(self._gram(a))
        e = self._residuals(_times(back, self._sums(a * self.y)))
        u = w * e
        au = a * u
        c = self._sums(au)
        yppp = dots(au, u) - sum(x * y for x, y in zip(c, _times(back, c), strict=True))
        total = a.sum(0)
        rss = dots(a * e, e)
        a = a * w
        second = self._gram(a)
        trace = total - _trace(back, second)
        trace2 = a.sum(0) - 2 * _trace(back, self._gram(a * w)) + _trace_of_square(back, second)
        score = Score(
            self._along(dots(au, e)),
            self._along(trace),
            self._along(np.maximum(yppp, 0.0)),
            self._along(trace2),
            self._along((trace > DIGITS * total) & (share > DIGITS)),
        )
        return score, self._along(rss)

    def zero(self) -> Zero:
        score, rss = self._at(1 / self.v[:, None])
        return Zero(rss, score.trace, score.sound)

    def reach(self) -> tuple[float, float]:
        free = np.maximum(self.n - self.p, 1.0)
        squares = self.y * self.y
        squares = squares.sum(0) if self.s is None else dots(self.s, squares)
        squares = squares / free
        most = root_bound(float(squares.max()), self.v)
        return min(root_bound(float(squares.mean()), self.v), most), most

    def take(self, rows: Index | slice) -> Regressions:
        """These rows alone."""

        def some(part: Array) -> Array:
            if part.shape[-1] == 1:
                return part
            return part[..., rows] if isinstance(rows, slice) else part.take(rows, -1)

        found = Regressions(
            some(self.y), self.v, some(self.x), None if self.s is None else some(self.s)
        )
        found.b = len(np.arange(self.b)[rows])
        return found

    def scan(self, t: Array, rows: slice) -> Score:
        part, p = self.take(rows), range(self.p)
        w = 1 / (part.v + t[:, None])
        powers = np.concatenate((w, w * w, w**3))

        def sums(feature: Array) -> list[Array]:
            """Sums over the studies of a feature times w, w^2 and w^3, (g, b or 1) each."""
            if part.s is not None:
                feature = part.s * feature
            return list((powers @ feature).reshape(3, len(t), -1))

        x, y = part.x, part.y
        g: list[Matrix] = [[[np.empty(0)] * self.p for _ in p] for _ in range(3)]
        for i in p:
            for j in range(i + 1):
                for m, found in zip(g, sums(x[i] * x[j]), strict=True):
                    m[i][j] = m[j][i] = found
        c = list(zip(*(sums(column * y) for column in x), strict=True))
        _, squares, cubes = sums(y * y)
        total, total2, _ = sums(np.ones_like(y[:, :1]))
        back, _, share = inverse(g[0])
        beta = _times(back, c[0])

        def about(whole: Array, m: Matrix, first: Sequence[Array]) -> tuple[Array, list[Array]]:
            """Weighted squares of the residuals, and their products with the design."""
            left = [a - b for a, b in zip(first, _times(m, beta), strict=True)]
            squares = whole - sum(b * (a + e) for b, a, e in zip(beta, first, left, strict=True))
            return np.maximum(squares, 0.0), left

        ypp, left = about(squares, g[1], c[1])
        yppp, _ = about(cubes, g[2], c[2])
        yppp = yppp - sum(a * b for a, b in zip(left, _times(back, left), strict=True))
        trace = total - _trace(back, g[1])
        trace2 = total2 - 2 * _trace(back, g[2]) + _trace_of_square(back, g[1])
        sound = (trace > DIGITS * total) & (share > DIGITS) & (DIGITS * squares < trace)
        shape = len(t), part.b
        return Score(
            np.broadcast_to(ypp, shape),
            np.broadcast_to(trace, shape),
            np.broadcast_to(np.maximum(yppp, 0.0), shape),
            np.broadcast_to(trace2, shape),
            np.asarray(np.broadcast_to(sound, shape).all(0)),
        )

    def score(self, rows: Index, t: Array) -> Score:
        def exact(rows: Index, t: Array) -> Score:
            return Regressions.take(self, rows)._at(weights(self.v, t))[0]

        return in_blocks(exact, len(self.v), rows, t)

    def heights(self, rows: Index, t: Array) -> Array:
        some = Regressions.take(self, rows)
        w = weights(self.v, t)
        a = w if some.s is None else some.s * w
        back, logdet, _ = inverse(some._gram(a))
        e = some._residuals(_times(back, some._sums(a * some.y)))
        logs = np.log(w).sum(0) if some.s is None else dots(some.s, np.log(w))
        return np.asarray((logs - logdet - dots(a * e, e)) / 2)

    def coefficients(self, t: Array) -> tuple[Array, Array, Flags]:
        b = len(t)
        beta, covariance = np.empty((b, self.p)), np.empty((b, self.p, self.p))
        kept = np.empty(b, dtype=bool)
        for at in spans(b, block(len(self.v))):
            part = self if self.b == 1 else self.take(at)
            a = weights(self.v, t[at])
            if part.s is not None:
                a *= part.s
            back, _, share = inverse(part._gram(a))
            kept[at] = share > DIGITS
            beta[at] = np.array(_times(back, part._sums(a * part.y))).T
            for i, row in enumerate(back):
                for j, entry in enumerate(row):
                    covariance[at, i, j] = entry
        return beta, covariance, kept

    def rss(self, t: Array, beta: Array) -> Array:
        e = self._residuals(list(beta.T))
        e = e * e if self.s is None else self.s * e * e
        return dots(e, weights(self.v, t))

    def problem(self, row: int) -> Problem:
        def one(part: Array) -> Array:
            return np.ascontiguousarray(part[..., 0 if part.shape[-1] == 1 else row])

        y, v, x = one(self.y), self.v, one(self.x).T
        if self.s is not None:
            at = np.repeat(np.arange(len(v)), self.s[:, row].astype(int))
            y, v, x = y[at], v[at], x[at]
        return Problem(y, v, x)


class Rotation:
    """Eigenvectors of the residual covariance of a design, to be shared by many responses."""

    def __init__(self, v: Array, basis: Array) -> None:
        k, p = basis.shape
        residual = np.eye(k) - basis @ basis.T
        values, vectors = np.linalg.eigh(residual * v @ residual)
        self.d = values[p:]  # the first belong to the design
        self.turn = vectors[:, p:].T

    @staticmethod
    def pays(v: Array, p: int) -> bool:
        """Whether k is moderate, and no eigenvalue drowns in the rounding of the others."""
        return p < len(v) <= ROTATE_UP_TO and float(v.max()) < ALIKE * float(v.min())


class Rotated(Regressions):
    """Responses in the coordinates in which P is diagonal, so that a score is a few sums."""

    def __init__(self, y: Array, v: Array, x: Array, rotation: Rotation) -> None:
        super().__init__(y, v, x)
        self.d = rotation.d
        self.z2 = rotation.turn @ y
        self.z2 *= self.z2

    def zero(self) -> Zero:
        w = 1 / self.d
        return Zero(w @ self.z2, np.full(self.b, w.sum()), np.ones(self.b, dtype=bool))

    def reach(self) -> tuple[float, float]:
        squares = np.ones(len(self.d)) @ self.z2 / len(self.d)
        most = root_bound(float(squares.max()), self.v)
        return min(root_bound(float(squares.mean()), self.v), most), most

    def scan(self, t: Array, rows: slice) -> Score:
        w = 1 / (self.d + t[:, None])
        w2, z2 = w * w, self.z2[:, rows]
        return Score(
            w2 @ z2,
            w.sum(1)[:, None],
            (w2 * w) @ z2,
            w2.sum(1)[:, None],
            np.ones(z2.shape[1], dtype=bool),
        )

    def score(self, rows: Index, t: Array) -> Score:
        ones = np.ones(len(self.d))

        def exact(rows: Index, t: Array) -> Score:
            w = weights(self.d, t)
            trace = ones @ w
            a = self.z2.take(rows, 1)
            a *= w
            a *= w
            ypp, yppp = ones @ a, dots(a, w)
            w *= w
            return Score(ypp, trace, yppp, ones @ w, np.ones(len(t), dtype=bool))

        return in_blocks(exact, len(self.d), rows, t)


def responses(v: Array, basis: Array | None = None) -> Callable[[Array], Regressions]:
    """How to make batches of responses (k, b) with these variances.

    Parameters
    ----------
    basis : array, shape (k, p), optional
        Orthonormal columns that span the design; the intercept alone by default.
    """
    k = len(v)
    x = np.ones((1, k)) if basis is None else np.ascontiguousarray(basis.T)
    x = x[:, :, None]
    if not Rotation.pays(v, len(x)):
        return lambda y: Regressions(y, v, x)
    rotation = Rotation(v, np.full((k, 1), k**-0.5) if basis is None else basis)
    return lambda y: Rotated(y, v, x, rotation)
