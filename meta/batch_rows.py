"""Rows of a batch: data sets of the same k studies, and the sums that fitting them takes.

Subsets and resamples (multiplicities), new responses, or permuted designs. Arrays are (k, b),
studies by rows, so that numpy's inner loops run along the rows. With P = W - WX(X'WX)^-1 X'W at
weights 1/(v + t), each kind gives y'PPy, tr P, y'PPPy and tr PP for a vector of t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from meta.weighted import Problem

Array = NDArray[np.float64]
Index = NDArray[np.intp]
CELLS = 96_000  # studies times rows of a chunk: in the cache, yet enough to hide numpy's overhead
ROTATE_UP_TO = 500  # studies; beyond, the rotation costs more than it saves
ROUNDING = 1e-15
DIGITS = 1e-6  # share of a sum that must be left after subtraction


class Score(NamedTuple):
    """What the REML score and its slope need, per row; ``sound`` where no digits were lost."""

    ypp: Array
    trace: Array
    yppp: Array
    trace2: Array
    sound: NDArray[np.bool_]

    def at(self, rows: Index) -> Score:
        """These rows alone."""
        ypp, trace, yppp, trace2, sound = self
        return Score(ypp[rows], trace[rows], yppp[rows], trace2[rows], sound[rows])


class Start(NamedTuple):
    """Sums at t = 0, and of ordinary least squares for the limit of ``rho`` and a bound of t."""

    score: Score
    rss: Array  # y'Py: Cochran's Q
    plain_rss: Array  # sum of squared residuals with equal weights
    rho_limit: Array  # their mean sampling variance, weighted by squared residuals


class Scores(Protocol):
    """Rows whose REML score can be evaluated, in centred and scaled units."""

    v: Array  # (k,) sampling variances, or eigenvalues that lie between them

    def score(self, t: Array) -> Score: ...

    def take(self, rows: Index) -> Scores: ...


class Batch(Scores, Protocol):
    """Rows to be fitted, in centred and scaled units."""

    p: int  # coefficients

    @property
    def n(self) -> Array:
        """(b,) studies in each row, with repeats."""

    def start(self) -> Start: ...

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        """Coefficients (b, p), their covariance (b, p, p) and y'Py (b,) at t."""

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
        return np.asarray(self._moments[0] @ self.s)

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
        rss0 += ROUNDING * plain[2]  # it serves as a bound
        return Start(score, _about(one, one[1] / one[0]), rss0, limit)

    def score(self, t: Array) -> Score:
        r = _weights(self.v, t)
        a = self.s * r
        one = _each(self._moments[:2], a)
        a *= r
        two = _each(self._moments, a)
        a *= r
        return _mean_score(one, two, _each(self._moments, a))

    def take(self, rows: Index) -> Subsets:
        return Subsets(self.y, self.v, self.s.take(rows, 1), self._moments)

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        sums = _each(self._moments, self.s * _weights(self.v, t))
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
        return self._at(_weights(self.v, t))[0]

    def _at(self, w: Array) -> tuple[Score, Array]:
        ones = np.ones(len(self.v))
        total = ones @ w
        e = self.y - _sums(w, self.y) / total
        u = w * e
        rss, ypp = _sums(u, e), _sums(u, u)
        np.multiply(w, u, out=e)
        cross, yppp = ones @ e, _sums(e, u)
        w2 = w * w
        second, third = ones @ w2, _sums(w2, w)
        share = second / total
        trace = total - share
        trace2 = second - 2 * third / total + share * share
        score = Score(
            ypp,
            np.broadcast_to(trace, ypp.shape),
            np.maximum(yppp - cross * cross / total, 0.0),
            np.broadcast_to(trace2, ypp.shape),
            np.broadcast_to(trace > DIGITS * total, ypp.shape),
        )
        return score, rss

    def take(self, rows: Index) -> Responses:
        return Responses(self.y.take(rows, 1), self.v)

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        w = _weights(self.v, t)
        total = w.sum(0)
        mean = _sums(w, self.y) / total
        e = self.y - mean
        return mean[:, None], 1 / total[:, None, None], _sums(w * e, e)

    def problem(self, row: int) -> Problem:
        return Problem(np.ascontiguousarray(self.y[:, row]), self.v)


class Spectrum:
    """Squared coordinates of responses on the eigenvectors of the residual covariance."""

    def __init__(self, z2: Array, d: Array) -> None:
        self.z2, self.v = z2, d

    def score(self, t: Array) -> Score:
        ones = np.ones(len(self.v))
        w = _weights(self.v, t)
        w2 = w * w
        a = self.z2 * w2
        return Score(ones @ a, ones @ w, _sums(a, w), ones @ w2, np.ones(len(t), dtype=bool))

    def take(self, rows: Index) -> Spectrum:
        return Spectrum(self.z2.take(rows, 1), self.v)


class Rotation:
    """Eigenvectors of the residual covariance of the mean, to be shared by many responses."""

    def __init__(self, v: Array) -> None:
        k = len(v)
        residual = np.eye(k) - 1 / k
        values, vectors = np.linalg.eigh(residual * v @ residual)
        self.d = values[1:]  # the first belongs to the mean
        self.turn = vectors[:, 1:].T

    @staticmethod
    def pays(v: Array) -> bool:
        """Whether k is moderate, and no eigenvalue drowns in the rounding of the others."""
        return 2 <= len(v) <= ROTATE_UP_TO and float(v.max()) < 1e4 * float(v.min())


class Rotated(Responses):
    """Responses in the coordinates in which P is diagonal: half the work for each score."""

    def __init__(self, y: Array, v: Array, rotation: Rotation) -> None:
        super().__init__(y, v)
        z = rotation.turn @ y
        self.spectrum = Spectrum(z * z, rotation.d)

    def start(self) -> Start:
        z2, d = self.spectrum.z2, self.spectrum.v
        w = 1 / d
        plain = z2.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            limit = (d @ z2) / plain
        b = plain.shape
        sums = (w**2 @ z2, np.full(b, w.sum()), w**3 @ z2, np.full(b, w @ w))
        return Start(Score(*sums, np.ones(b, dtype=bool)), w @ z2, plain, limit)

    def score(self, t: Array) -> Score:
        return self.spectrum.score(t)

    def take(self, rows: Index) -> Spectrum:  # type: ignore[override]  # enough for scores
        return self.spectrum.take(rows)

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        w = _weights(self.v, t)
        total = np.ones(len(self.v)) @ w
        rss = _sums(self.spectrum.z2, _weights(self.spectrum.v, t))
        return (_sums(w, self.y) / total)[:, None], 1 / total[:, None, None], rss


def responses(v: Array) -> Callable[[Array], Responses]:
    """How to make batches of responses (k, b) with these variances."""
    if not Rotation.pays(v):
        return lambda y: Responses(y, v)
    rotation = Rotation(v)
    return lambda y: Rotated(y, v, rotation)


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
        beta = np.asarray(np.linalg.solve(g, turned @ (w * self.y)[:, :, None]), dtype=float)
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
        score = Score(squares.sum(1), trace, np.maximum(yppp, 0.0), trace2, trace > DIGITS * total)
        return score, (u * e).sum(1)

    def take(self, rows: Index) -> Designs:
        return Designs(self.y, self.v, self.x[rows])

    def coefficients(self, t: Array) -> tuple[Array, Array, Array]:
        w = 1 / (self.v + t[:, None])
        e, g, beta = self._residuals(w)
        return beta, np.asarray(np.linalg.inv(g), dtype=float), np.asarray((w * e * e).sum(1))

    def problem(self, row: int) -> Problem:
        return Problem(self.y, self.v, self.x[row])


def _weights(v: Array, t: Array) -> Array:
    """1/(v + t), (k, b); a thin product and a division are numpy's fastest way there."""
    sums = np.stack((v, np.ones_like(v)), 1) @ np.stack((np.ones_like(t), t))
    return np.asarray(np.divide(1.0, sums, out=sums))


def _each(moments: Array, a: Array) -> Array:
    """moments @ a, a row at a time: BLAS is slower on three rows than on three times one."""
    found = np.empty((len(moments), a.shape[1]))
    for row, to in zip(moments, found, strict=True):
        np.dot(row, a, out=to)
    return found


def _sums(a: Array, b: Array) -> Array:
    """Sums over the studies of a product, without forming it; (k, b) or (k, 1) each."""
    return np.asarray(np.einsum("kb,kb->b", a, b))


def _about(sums: Array, mean: Array) -> Array:
    """Weighted squares about a mean from sums of 1, y and y^2."""
    return np.asarray(np.maximum(sums[2] - mean * (2 * sums[1] - mean * sums[0]), 0.0))


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
