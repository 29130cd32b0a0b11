"""Covariance structures of random effects: few parameters in, covariances of pairs of rows out.

A term of a model says which rows share a random effect (its groups) and at which level each row
sits within the group (an outcome, a time). Pairs of rows of one group fall into classes with one
covariance each, so that the marginal covariance matrix is linear in the covariances ``theta`` of
the classes; a structure says how these follow from its parameters, with first and second
derivatives. Heterogeneous structures are parametrised by standard deviations and unstructured ones
by a triangular root, so that a variance of zero or a correlation of one is an ordinary point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName

Array = NDArray[np.float64]
Index = NDArray[np.intp]
LEAST_CONTINUOUS = 1e-10  # autocorrelation per shortest gap; its slope at zero is infinite
START_CORRELATION = 0.5


class Structure(Protocol):
    """How the covariances of classes follow from parameters."""

    size: int  # classes
    names: tuple[str, ...]  # (q,) parameters, as people read them
    lower: Array  # (q,)
    upper: Array  # (q,)
    power: Array  # (q,) by which parameters scale with the unit of variance

    def classes(self, a: Index, b: Index) -> Index:
        """The class of each pair of inner levels."""

    def start(self, variance: float) -> Array:
        """Parameters to begin with, where every level has this variance."""

    def theta(self, phi: Array) -> Array:
        """Covariance of each class, (size,)."""

    def slope(self, phi: Array) -> Array:
        """First derivatives, (size, q)."""

    def curve(self, phi: Array) -> Array:
        """Second derivatives, (size, q, q)."""

    def natural(self, phi: Array) -> Array:
        """Parameters as people read them: variances and correlations."""

    def internal(self, values: Array) -> Array:
        """From what people read (NaN: not given) to parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class Homogeneous:
    """One variance; the correlation of a class is a power of one number.

    Intercepts, compound symmetry, and autoregression by rank or by time.
    """

    distance: Array  # (size,) power of each class, 0 first
    least: float
    continuous: bool = False  # classes are distances between ``points``
    points: Array | None = None  # values of the inner levels

    @property
    def size(self) -> int:
        return len(self.distance)

    @property
    def names(self) -> tuple[str, ...]:
        return ("tau2",) if self.size == 1 else ("tau2", "rho")

    @property
    def lower(self) -> Array:
        return np.array([0.0, self.least][: len(self.names)])

    @property
    def upper(self) -> Array:
        return np.array([math.inf, 1.0][: len(self.names)])

    @property
    def power(self) -> Array:
        return np.array([1.0, 0.0][: len(self.names)])

    def classes(self, a: Index, b: Index) -> Index:
        if self.size == 1:
            return np.where(a == b, 0, -1)
        if self.points is not None:
            gap = np.abs(self.points[a] - self.points[b])
            near = np.searchsorted(self.distance, gap / self.shortest - 1e-9)
            return np.asarray(np.minimum(near, self.size - 1))
        return np.minimum(np.abs(a - b), self.size - 1)

    @property
    def shortest(self) -> float:
        """The shortest gap between two points: the unit of ``distance``."""
        if self.points is None:
            return 1.0
        return float(np.diff(np.unique(self.points)).min())

    def start(self, variance: float) -> Array:
        return np.array([variance, START_CORRELATION][: len(self.names)])

    def theta(self, phi: Array) -> Array:
        if self.size == 1:
            return phi[:1]
        return np.asarray(phi[0] * phi[1] ** self.distance)

    def slope(self, phi: Array) -> Array:
        if self.size == 1:
            return np.ones((1, 1))
        d = self.distance
        return np.stack((phi[1] ** d, phi[0] * _power_slope(phi[1], d)), axis=1)

    def curve(self, phi: Array) -> Array:
        q = len(self.names)
        out = np.zeros((self.size, q, q))
        if q == 2:
            d = self.distance
            out[:, 0, 1] = out[:, 1, 0] = _power_slope(phi[1], d)
            out[:, 1, 1] = phi[0] * _power_curve(phi[1], d)
        return out

    def natural(self, phi: Array) -> Array:
        if self.points is None or self.size == 1:
            return phi.copy()
        # People read the correlation over one unit of time.
        rho = 0.0 if phi[1] <= self.least else float(phi[1]) ** (1 / self.shortest)
        return np.array([phi[0], rho])

    def internal(self, values: Array) -> Array:
        out = values.copy()
        if self.points is not None and len(out) == 2:
            out[1] = max(out[1], 0.0) ** self.shortest
        return out


def _power_slope(r: float, d: Array) -> Array:
    return np.where(d == 0, 0.0, d * r ** np.maximum(d - 1, 0.0))


def _power_curve(r: float, d: Array) -> Array:
    flat = (d == 0) | (d == 1)
    safe = r if r != 0 else 1.0
    exponent = np.where(flat, 0.0, d - 2)
    powers = np.where(exponent == 0, 1.0, np.abs(safe) ** exponent * np.sign(safe) ** exponent)
    if r == 0:
        powers = np.where(exponent == 0, 1.0, 0.0)
    return np.where(flat, 0.0, d * (d - 1) * powers)


@dataclass(frozen=True, slots=True, eq=False)
class Diagonal:
    """A variance for each inner level and no covariance."""

    levels: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"tau2.{level}" for level in self.levels)

    @property
    def lower(self) -> Array:
        return np.zeros(self.size)

    @property
    def upper(self) -> Array:
        return np.full(self.size, math.inf)

    @property
    def power(self) -> Array:
        return np.ones(self.size)

    def classes(self, a: Index, b: Index) -> Index:
        return np.where(a == b, a, -1)

    def start(self, variance: float) -> Array:
        return np.full(self.size, variance)

    def theta(self, phi: Array) -> Array:
        return phi

    def slope(self, phi: Array) -> Array:
        return np.eye(self.size)

    def curve(self, phi: Array) -> Array:
        return np.zeros((self.size,) * 3)

    def natural(self, phi: Array) -> Array:
        return phi.copy()

    def internal(self, values: Array) -> Array:
        return values.copy()


def _lower_classes(a: Index, b: Index) -> Index:
    high, low = np.maximum(a, b), np.minimum(a, b)
    return np.asarray(high * (high + 1) // 2 + low)


@dataclass(frozen=True, slots=True, eq=False)
class Heterogeneous:
    """A standard deviation for each inner level; correlations are powers of one number."""

    levels: tuple[str, ...]
    rank: bool  # powers are differences of rank, else all 1
    least: float

    @property
    def size(self) -> int:
        m = len(self.levels)
        return m * (m + 1) // 2

    @property
    def names(self) -> tuple[str, ...]:
        return (*(f"tau2.{level}" for level in self.levels), "rho")

    @property
    def lower(self) -> Array:
        return np.array([-math.inf] * len(self.levels) + [self.least])

    @property
    def upper(self) -> Array:
        return np.array([math.inf] * len(self.levels) + [1.0])

    @property
    def power(self) -> Array:
        return np.array([0.5] * len(self.levels) + [0.0])

    @property
    def pairs(self) -> tuple[Index, Index, Array]:
        a, b = np.tril_indices(len(self.levels))
        gap = (a - b).astype(float)
        return a, b, gap if self.rank else np.minimum(gap, 1.0)

    def classes(self, a: Index, b: Index) -> Index:
        return _lower_classes(a, b)

    def start(self, variance: float) -> Array:
        first = START_CORRELATION if self.least > -1 or self.rank else 0.0
        return np.array([math.sqrt(variance)] * len(self.levels) + [first])

    def theta(self, phi: Array) -> Array:
        a, b, d = self.pairs
        return np.asarray(phi[a] * phi[b] * phi[-1] ** d)

    def slope(self, phi: Array) -> Array:
        a, b, d = self.pairs
        at, r = np.arange(self.size), phi[-1] ** d
        out = np.zeros((self.size, len(phi)))
        out[at, a] += phi[b] * r
        out[at, b] += phi[a] * r
        out[:, -1] = phi[a] * phi[b] * _power_slope(phi[-1], d)
        return out

    def curve(self, phi: Array) -> Array:
        a, b, d = self.pairs
        at, r, dr = np.arange(self.size), phi[-1] ** d, _power_slope(phi[-1], d)
        q = len(phi)
        out = np.zeros((self.size, q, q))
        out[at, a, b] += r
        out[at, b, a] += r
        for one, other in ((a, b), (b, a)):
            out[at, one, q - 1] += phi[other] * dr
            out[at, q - 1, one] += phi[other] * dr
        out[:, -1, -1] = phi[a] * phi[b] * _power_curve(phi[-1], d)
        return out

    def natural(self, phi: Array) -> Array:
        signs = np.sign(phi[:-1])
        turned = len(signs) == 2 and signs[0] * signs[1] < 0
        return np.array([*(phi[:-1] ** 2), -phi[-1] if turned else phi[-1]])

    def internal(self, values: Array) -> Array:
        return np.array([*np.sqrt(values[:-1]), values[-1]])


@dataclass(frozen=True, slots=True, eq=False)
class Unstructured:
    """Any covariance matrix of three or more inner levels, by its triangular root."""

    levels: tuple[str, ...]

    @property
    def size(self) -> int:
        m = len(self.levels)
        return m * (m + 1) // 2

    @property
    def names(self) -> tuple[str, ...]:
        a, b = np.tril_indices(len(self.levels), -1)
        return (
            *(f"tau2.{level}" for level in self.levels),
            *(f"rho.{self.levels[j]}.{self.levels[i]}" for i, j in zip(a, b, strict=True)),
        )

    @property
    def lower(self) -> Array:
        return np.full(self.size, -math.inf)

    @property
    def upper(self) -> Array:
        return np.full(self.size, math.inf)

    @property
    def power(self) -> Array:
        return np.full(self.size, 0.5)

    def classes(self, a: Index, b: Index) -> Index:
        return _lower_classes(a, b)

    def root(self, phi: Array) -> Array:
        m = len(self.levels)
        out = np.zeros((m, m))
        out[np.tril_indices(m)] = phi
        return out

    def start(self, variance: float) -> Array:
        return np.asarray(math.sqrt(variance) * np.eye(len(self.levels))[self._at])

    @property
    def _at(self) -> tuple[Index, Index]:
        return np.tril_indices(len(self.levels))

    def theta(self, phi: Array) -> Array:
        root = self.root(phi)
        return np.asarray((root @ root.T)[self._at])

    def slope(self, phi: Array) -> Array:
        root, m = self.root(phi), len(self.levels)
        out = np.zeros((self.size, self.size))
        for j, (r, c) in enumerate(zip(*self._at, strict=True)):
            change = np.zeros((m, m))
            change[r] = root[:, c]
            out[:, j] = (change + change.T)[self._at]
        return out

    def curve(self, phi: Array) -> Array:
        m = len(self.levels)
        out = np.zeros((self.size,) * 3)
        rows, columns = self._at
        where = {(a, b): i for i, (a, b) in enumerate(zip(*self._at, strict=True))}
        for i in range(self.size):
            for j in range(self.size):
                if columns[i] == columns[j]:
                    a, b = max(rows[i], rows[j]), min(rows[i], rows[j])
                    out[where[a, b], i, j] = 2.0 if i == j else 1.0
        assert m > 1
        return out

    def natural(self, phi: Array) -> Array:
        root = self.root(phi)
        g = root @ root.T
        tau2 = np.diag(g)
        at = np.tril_indices(len(self.levels), -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = (g / np.sqrt(np.outer(tau2, tau2)))[at]
        return np.concatenate((tau2, np.clip(rho, -1, 1)))

    def internal(self, values: Array) -> Array:
        m = len(self.levels)
        if np.isnan(values).all():
            return np.full(self.size, math.nan)
        if np.isnan(values).any():
            raise InputError(
                "an unstructured matrix can only be fixed as a whole",
                remedy="give all its variances and correlations, or none",
            )
        r = np.eye(m)
        r[np.tril_indices(m, -1)] = values[m:]
        r = r + np.tril(r, -1).T
        sd = np.sqrt(values[:m])
        try:
            return np.asarray(np.linalg.cholesky(r * np.outer(sd, sd))[self._at])
        except np.linalg.LinAlgError:
            raise InputError("the fixed correlations contradict each other") from None


# Each with what metafor calls it; what it means is told in ``meta.multilevel.multilevel``.
STRUCTURES = ("CS", "HCS", "UN", "ID", "DIAG", "AR", "HAR", "CAR")


def structure_named(
    name: str, levels: tuple[str, ...], values: list[Any], together: int
) -> Structure:
    """The structure of an inner | outer term.

    Parameters
    ----------
    name : str
        One of ``STRUCTURES``.
    levels, values : (m,)
        Inner levels in order, as text and as they were given.
    together : int
        Most levels that meet in one group, which bounds a common correlation from below.
    """
    m = len(levels)
    if name not in STRUCTURES:
        raise UnknownName("structure", name, STRUCTURES)
    if name == "ID" or m == 1:
        return Homogeneous(np.zeros(1), 0.0)
    if name == "DIAG":
        return Diagonal(levels)
    common = -1 / (max(together, 2) - 1)
    if name == "CS":
        return Homogeneous(np.array([0.0, 1.0]), common)
    if name == "AR":
        return Homogeneous(np.arange(m, dtype=float), -1.0)
    if name == "CAR":
        try:
            points = np.array([float(v) for v in values])
        except (TypeError, ValueError):
            raise InputError(
                "continuous autoregression needs numeric times", [f"{v!r}" for v in values]
            ) from None
        gaps = np.unique(np.abs(points[:, None] - points[None, :]))
        return Homogeneous(
            gaps / np.diff(np.unique(points)).min(), LEAST_CONTINUOUS, True, points
        )
    if name == "UN" and m > 2:
        return Unstructured(levels)
    return Heterogeneous(levels, name == "HAR", -1.0 if name in ("UN", "HAR") else common)
