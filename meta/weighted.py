"""Weighted least squares at any between-study variance, without a k by k matrix.

As many studies as there are coefficients are set apart: the most precise ones that a design needs.
The fit is taken through them, so that their effects are zero (an offset of a million then costs no
digits), and the others are described by their rows B in terms of theirs. With W1 and W2 the
weights of the two groups, X'WX becomes W1 + B'W2B, and P = W - WX(X'WX)^-1 X'W has the blocks
P22 = W2 - W2B(W1 + B'W2B)^-1 B'W2, P12 = -B'P22 and P11 = B'P22B (Woodbury's identity; Golub and
Van Loan 2013, Matrix Computations, sec. 2.1.4). No block loses digits when a few studies dominate,
which 1 - leverage does. All is scaled by a power of two, which rounds nothing.

All that estimators need are y'Py, y'PPy, y'PPPy, tr P and tr PP, each a sum over studies.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError

Array = NDArray[np.float64]


class Score(NamedTuple):
    """The two sides of a likelihood's score in t, and minus their slopes (the first one halved).

    The score is half of ``ypp - trace``. All four fall as t grows.
    """

    ypp: float  # y'PPy
    trace: float  # tr P for the restricted likelihood, tr W for the full one
    yppp: float  # y'PPPy
    trace2: float  # tr PP, or tr WW


class Parts:
    """Weighted least squares at given weights: residuals, leverages and what follows from them."""

    __slots__ = ("_one", "_p", "coef", "design", "half", "others", "resid", "w")

    def __init__(self, problem: Problem, w: Array) -> None:
        p, design = problem.p, problem.design
        assert design is not None
        self.w, self.others, self.design = w, w[p:], design
        self._p, self._one = p, problem.one
        # half' half = (W1 + B'W2B)^-1
        self.half: Array = np.linalg.inv(np.linalg.cholesky(self.inner(w)))
        self.coef, self.resid = self._solved(problem.y[p:])

    def inner(self, w: Array) -> Array:
        """W1 + B'W2B for any weights of the studies."""
        p = self._p
        inner = (w[p:] * self.design) @ self.design.T
        inner.flat[:: p + 1] += w[:p]
        return np.asarray(inner)

    def _solved(self, z: Array) -> tuple[Array, Array]:
        """Fitted values of the studies set apart and all residuals, where theirs are 0 and z."""
        coef = self.half.T @ (self.half @ (self.design @ (self.others * z)))
        return coef, np.concatenate((-coef, z - coef @ self.design))

    def _blocks(self) -> tuple[Array, Array]:
        """G', shape (p, k - p), with P22 = W2 - GG'; and P11."""
        wide = self.others * self.design
        apart = (wide @ self.design.T) @ self.half.T @ (self.half * self.w[: self._p])
        return self.half @ wide, apart

    def hat(self) -> Array:
        """Leverages: diagonal of X(X'WX)^-1 X'W."""
        turned = self.half @ self.design
        apart = (self.half * self.half).sum(0)
        return np.asarray(self.w * np.concatenate((apart, (turned * turned).sum(0))))

    def unhat(self) -> Array:
        """One minus the leverages, without cancellation for dominating studies."""
        gap = np.maximum(1 - self.hat(), 0.0)
        gap[: self._p] = self._blocks()[1].diagonal() / self.w[: self._p]
        return gap

    def log_xwx(self) -> float:
        """log det(Q'WQ) with Q an orthonormal basis of the columns of X."""
        plain = np.eye(self._p) + self.design @ self.design.T
        size = float(np.log(self.half.diagonal()).sum())
        return -2 * size - float(np.linalg.slogdet(plain)[1])

    def rss(self) -> float:
        """y'Py, the weighted residual sum of squares."""
        return float((self.w * self.resid).dot(self.resid))

    def ypp(self) -> float:
        """y'PPy."""
        u = self.w * self.resid
        return float(u.dot(u))

    def trace(self) -> float:
        """tr P."""
        thin, apart = self._blocks()
        return float((self.others - (thin * thin).sum(0)).sum()) + float(apart.trace())

    def trace2(self) -> float:
        """tr PP."""
        return self.score(restricted=True).trace2

    def trace_of(self, d: Array, e: Array | None = None) -> float:
        """tr(P D P E) for diagonal D and E (E = D where not given)."""
        p, w = self._p, self.others
        e = d if e is None else e
        d1, d2, e1, e2 = d[:p], d[p:], e[:p], e[p:]
        thin, apart = self._blocks()
        among = float((w * d2 * e2) @ (w - 2 * (thin * thin).sum(0)))
        among += float((((thin * d2) @ thin.T) * ((thin * e2) @ thin.T)).sum())
        cross = ((self.half * self.w[:p]).T @ thin) ** 2  # squares of the block B'P22
        return among + float(d1 @ cross @ e2 + e1 @ cross @ d2 + d1 @ (apart * apart.T) @ e1)

    def score(self, *, restricted: bool) -> Score:
        """Both sides of the score at these weights, with their slopes."""
        p, w = self._p, self.others
        u = self.w * self.resid
        ypp = float(u.dot(u))
        again = self._solved(u[p:] - u[:p] @ self.design)[1]
        yppp = float((self.w * again).dot(again))
        squares = float(w.dot(w))
        if not restricted:
            first = self.w[:p]
            return Score(ypp, float(self.w.dot(self._one)), yppp, float(first @ first) + squares)
        thin, apart = self._blocks()
        lost = (thin * thin).sum(0)
        gram = thin @ thin.T
        cross = (self.half * self.w[:p]).T
        trace2 = squares - 2 * float(w.dot(lost)) + float((gram * gram).sum())
        trace2 += 2 * float(((cross @ gram) * cross).sum()) + float((apart * apart.T).sum())
        return Score(ypp, float((w - lost).sum()) + float(apart.trace()), yppp, trace2)


class MeanParts(Parts):
    """``Parts`` for the intercept alone.

    The first study is the most precise, so that the sum of the other weights is formed without it:
    1 - w/sum(w) then keeps its digits when one study dominates.
    """

    __slots__ = ("_k", "lead", "mean", "rest", "total")

    def __init__(self, problem: Problem, w: Array) -> None:
        self.w = w
        self._k = problem.k
        self._one = problem.one
        self.others = w[1:]
        self.lead = float(w.item(0))
        self.rest = float(self.others.dot(problem.one[1:]))
        self.total = self.lead + self.rest
        self.mean = float(w.dot(problem.y)) / self.total
        self.resid = problem.y - self.mean

    def hat(self) -> Array:
        return self.w / self.total

    def unhat(self) -> Array:
        gap = 1 - self.hat()
        gap[0] = self.rest / self.total
        return gap

    def log_xwx(self) -> float:
        return math.log(self.total / self._k)

    def trace(self) -> float:
        return self._trace(float(self.others.dot(self.others)))

    def trace2(self) -> float:
        others = self.others
        return self._trace2(float(others.dot(others)), float((others * others).dot(others)))

    def _trace(self, squares: float) -> float:
        return self.rest + (self.lead * self.rest - squares) / self.total

    def _trace2(self, squares: float, cubes: float) -> float:
        lead, total = self.lead, self.total
        both = lead * self.rest
        top = both * both + 2 * lead * lead * squares + squares * squares
        return squares - 2 * cubes / total + top / (total * total)

    def trace_of(self, d: Array, e: Array | None = None) -> float:
        a = self.w * d
        b = a if e is None else self.w * e
        gap = self.unhat()
        straight = float((a * gap) @ (b * gap))
        # Pairs i != j; those with the dominating study apart, so that nothing cancels.
        h, one = self.hat(), self._one[1:]
        a, b = a * h, b * h
        a0, b0, a1, b1 = float(a[0]), float(b[0]), a[1:], b[1:]
        sum_a, sum_b = float(a1 @ one), float(b1 @ one)
        return straight + a0 * sum_b + b0 * sum_a + sum_a * sum_b - float(a1 @ b1)

    def score(self, *, restricted: bool) -> Score:
        others, lead, total = self.others, self.lead, self.total
        u = others * self.resid[1:]
        u0 = -lead * self.mean  # the first effect is zero
        ypp = float(u.dot(u)) + u0 * u0
        # PPPy = W(u - c) with u = Py and c its weighted mean.
        side = float(others.dot(u))
        first = (u0 * self.rest - side) / total  # u0 - c
        u -= (side + lead * u0) / total
        u *= u
        yppp = float(u.dot(others)) + lead * first * first
        squares = float(others.dot(others))
        if not restricted:
            return Score(ypp, total, yppp, lead * lead + squares)
        cubes = float((others * others).dot(others))
        return Score(ypp, self._trace(squares), yppp, self._trace2(squares, cubes))


class Problem:
    """Effects, variances and design in a form that loses no digits.

    Parameters
    ----------
    y, v : array of float, shape (k,)
        Effects and sampling variances (finite, v > 0; the callers check and name the study).
    x : array of float, shape (k, p), or None for the intercept alone
        Design matrix of full column rank.
    """

    __slots__ = (
        "_first",
        "_kept",
        "_order",
        "_zero",
        "basis",
        "design",
        "k",
        "one",
        "p",
        "r",
        "scale",
        "shift",
        "spread",
        "through",
        "unit",
        "v",
        "v_max",
        "v_min",
        "y",
    )

    def __init__(self, y: Array, v: Array, x: Array | None = None) -> None:
        k = self.k = len(y)
        first = self._first = int(v.argmin())
        low, high = float(v.item(first)), float(v.item(v.argmax()))
        # A power of two amid the standard errors: dividing by it is exact.
        self.scale = 2.0 ** round((math.log2(low) + math.log2(high)) / 4)
        self.unit = self.scale * self.scale
        self.v_min, self.v_max = low / self.unit, high / self.unit
        self.one = np.ones(k)
        self._zero: Parts | None = None
        self._kept: tuple[float, Parts] | None = None
        if x is None:
            self.p = 1
            offset = float(y.item(first))
            self.shift = np.array([offset])
            self.y: Array = (y - offset) / self.scale
            self.v: Array = v / self.unit
            if first:
                self.y[first], self.y[0] = self.y.item(0), 0.0
                self.v[first], self.v[0] = self.v.item(0), self.v_min
            e = self.y - float(self.y.dot(self.one)) / k
            self.spread = float(e.dot(e))
            self._order: NDArray[np.intp] | None = None
            self.basis: Array | None = None
            self.r: Array | None = None
            self.design: Array | None = None
            self.through: Array | None = None
            return
        p = self.p = x.shape[1]
        basis, r = np.linalg.qr(x)
        columns = np.ascontiguousarray(basis.T)
        sizes = np.sqrt((r * r).sum(0))  # those of the columns of x
        if k < p or (np.abs(r.diagonal()) <= 1e-11 * sizes).any():
            raise InputError(
                "the moderators cannot be told apart",
                [f"{k} studies, {p} coefficients, of which some repeat the others"],
                remedy="leave out a moderator that others determine, or merge rare levels",
            )
        sums = columns.sum(1)
        constant = abs(float(sums @ sums) - k) < 1e-8 * k  # the columns span the intercept
        centre = float(y[first]) if constant else 0.0
        order = self._order = _apart_first(columns / np.sqrt(v))
        columns = columns[:, order]
        self.basis, self.r = columns.T, r
        moved = y[order] - centre
        first_fit = columns @ moved
        moved -= first_fit @ columns
        self.spread = float(moved @ moved) / self.unit
        # The design in terms of the rows of the studies set apart, and the way back.
        back = np.linalg.inv(columns[:, :p])
        self.design = back @ columns[:, p:]
        both = np.linalg.solve(r, np.column_stack((back.T, first_fit + centre * sums)))
        self.through = both[:, :p]
        self.shift = both[:, p] + self.through @ moved[:p]
        self.y = np.concatenate((np.zeros(p), moved[p:] - moved[:p] @ self.design)) / self.scale
        self.v = v[order] / self.unit

    def arranged(self, a: Array) -> Array:
        """Numbers of the caller's studies in the order of this problem."""
        if self._order is None:
            return self.restored(a)
        return np.asarray(a[self._order])

    def restored(self, a: Array) -> Array:
        """Numbers in the order of this problem, back in the caller's."""
        back = np.empty_like(a)
        if self._order is not None:
            back[self._order] = a
            return back
        back[:] = a  # the first study and the most precise one have changed places
        if self._first:
            back[0], back[self._first] = a.item(self._first), a.item(0)
        return back

    def parts(self, w: Array) -> Parts:
        """Weighted least squares with these weights, in the order of this problem."""
        return MeanParts(self, w) if self.design is None else Parts(self, w)

    def weights(self, t: float) -> Array:
        """1/(v + t), with t in scaled units."""
        w = self.v + t
        return np.reciprocal(w, w)

    def at(self, t: float) -> Parts:
        """Weighted least squares with weights 1/(v + t); the last one is kept."""
        if t == 0:
            return self.zero()
        if self._kept is None or self._kept[0] != t:
            self._kept = t, self.parts(self.weights(t))
        return self._kept[1]

    def zero(self) -> Parts:
        """Weighted least squares with weights 1/v, kept because everything asks for it."""
        if self._zero is None:
            self._zero = self.parts(np.reciprocal(self.v))
        return self._zero

    def given(self, weights: Array | None) -> Array:
        """The caller's weights in the order of this problem; 1/v where there are none."""
        return 1 / self.v if weights is None else self.arranged(weights)

    def rss(self, t: float) -> tuple[float, float]:
        """y'Py and y'PPy at one t: the generalised Q and minus its slope."""
        parts = self.at(t)
        u = parts.w * parts.resid
        return float(u.dot(parts.resid)), float(u.dot(u))

    def loglik(self, t: float, *, restricted: bool) -> float:
        """Log-likelihood at t (scaled units in, the caller's units out)."""
        parts = self.at(t)
        logs = float(np.log(self.v + t).dot(self.one))
        n = self.k - self.p if restricted else self.k
        value = n * (math.log(2 * math.pi) + math.log(self.unit)) + logs + parts.rss()
        if restricted:
            value += parts.log_xwx()
        return -0.5 * value


def _apart_first(columns: Array) -> NDArray[np.intp]:
    """An order of k studies whose first p have independent rows, the largest at each step.

    Gaussian elimination with pivots, so that no other row is more than a small multiple of the
    first p (Golub and Van Loan 2013, sec. 3.4). ``columns`` has shape (p, k).
    """
    p, k = columns.shape
    first: list[int] = []
    for j in range(p):
        sizes = np.abs(columns[j])
        sizes[first] = -1.0
        pivot = int(sizes.argmax())
        first.append(pivot)
        columns = columns - np.outer(columns[:, pivot] / columns[j, pivot], columns[j])
    others = np.ones(k, dtype=bool)
    others[first] = False
    return np.concatenate((first, np.flatnonzero(others)))
