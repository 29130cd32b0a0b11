"""Weighted least squares at any between-study variance, without a k by k matrix.

Effects are moved so that the most precise study sits at zero (an offset of a million then costs no
digits) and scaled by a power of two (which rounds nothing). With W = diag(1/(v + t)) and
P = W - WX(X'WX)^-1 X'W, all that estimators need are y'Py, y'PPy, y'PPPy, tr P and tr PP, each a
sum over studies.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError

Array = NDArray[np.float64]
STACK_UP_TO = 400  # studies; above, several tau2 at once no longer fit the fast cache


class Parts:
    """Weighted least squares at given weights: residuals, leverages and what follows from them.

    ``w`` is (k,) or a stack (g, k); sums then are scalars or (g,).
    """

    __slots__ = ("_problem", "basis", "logdet", "resid", "rest", "total", "w")

    def __init__(self, problem: Problem, w: Array) -> None:
        self._problem = problem
        self.w = w
        one = problem.one
        self.basis: Array | None = None
        self.rest: Any = None
        if problem.basis is None:
            # One column of ones. The first study is the most precise, so that the sum of the other
            # weights is formed without it: 1 - w/sum(w) keeps its digits when one study dominates.
            self.rest = w[..., 1:] @ one[1:]
            self.total = w[..., 0] + self.rest
            self.resid = problem.y - ((w @ problem.y) / self.total)[..., None]
            self.logdet: Any = None
        else:
            root = np.sqrt(w)
            q, r = np.linalg.qr(root[..., None] * problem.basis)
            z = root * problem.y
            fitted = (q @ (np.swapaxes(q, -1, -2) @ z[..., None]))[..., 0]
            self.resid = (z - fitted) / root
            self.basis = q
            self.logdet = 2 * np.log(np.abs(np.diagonal(r, axis1=-2, axis2=-1))).sum(-1)

    def hat(self) -> Array:
        """Leverages: diagonal of X(X'WX)^-1 X'W."""
        if self.basis is None:
            return np.asarray(self.w / self.total[..., None])
        return np.asarray((self.basis**2).sum(-1))

    def unhat(self) -> Array:
        """One minus the leverages, without cancellation for one dominating study."""
        if self.basis is None:
            gap = 1 - self.hat()
            gap[..., 0] = self.rest / self.total
            return np.asarray(gap)
        return np.maximum(1 - self.hat(), 0.0)

    def log_xwx(self) -> Any:
        """log det(Q'WQ) with Q an orthonormal basis of the columns of X."""
        if self.basis is None:
            return np.log(self.total / self._problem.k)
        return self.logdet

    def rss(self) -> Any:
        """y'Py, the weighted residual sum of squares."""
        return (self.w * self.resid * self.resid) @ self._problem.one

    def ypp(self) -> Any:
        """y'PPy."""
        u = self.w * self.resid
        return (u * u) @ self._problem.one

    def yppp(self) -> Any:
        """y'PPPy."""
        one = self._problem.one
        u = self.w * self.resid
        if self.basis is None:
            u = u - ((self.w * u) @ one / self.total)[..., None]
            return (self.w * u * u) @ one
        g = np.sqrt(self.w) * u
        c = (np.swapaxes(self.basis, -1, -2) @ g[..., None])[..., 0]
        return (g * g) @ one - (c * c).sum(-1)

    def trace(self) -> Any:
        """tr P."""
        if self.basis is None:
            w1 = self.w[..., 1:]
            squares = (w1 * w1) @ self._problem.one[1:]
            return self.rest + (self.w[..., 0] * self.rest - squares) / self.total
        return (self.w * self.unhat()) @ self._problem.one

    def trace2(self) -> Any:
        """tr PP."""
        if self.basis is None:
            one = self._problem.one[1:]
            w0, w1 = self.w[..., 0], self.w[..., 1:]
            squares = w1 * w1
            r2, r3 = squares @ one, (squares * w1) @ one
            lead = (w0 * self.rest) ** 2 + 2 * w0 * w0 * r2 + r2 * r2
            return r2 - 2 * r3 / self.total + lead / self.total**2
        return self.trace_of(1.0)

    def trace_of(self, d: Array | float, e: Array | float | None = None) -> Any:
        """tr(P D P E) for diagonal D and E (E = D where not given)."""
        a = self.w * d
        b = a if e is None else self.w * e
        one, h = self._problem.one, self.hat()
        if self.basis is None:
            gap = self.unhat()
            straight = (a * b * gap * gap) @ one
            a, b, one = a * h, b * h, one[1:]
            # Pairs i != j; those with the dominating study apart, so that nothing cancels.
            a0, b0, a1, b1 = a[..., 0], b[..., 0], a[..., 1:], b[..., 1:]
            sum_a, sum_b = a1 @ one, b1 @ one
            return straight + a0 * sum_b + b0 * sum_a + sum_a * sum_b - (a1 * b1) @ one
        straight = (a * b) @ one - 2 * ((a * b * h) @ one)
        turned = np.swapaxes(self.basis, -1, -2)
        one_side = turned @ (a[..., None] * self.basis)
        other = one_side if b is a else turned @ (b[..., None] * self.basis)
        return straight + (one_side * other).sum((-1, -2))


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
        "_zero",
        "back",
        "basis",
        "k",
        "one",
        "order",
        "p",
        "r",
        "scale",
        "shift",
        "unit",
        "v",
        "y",
    )

    def __init__(self, y: Array, v: Array, x: Array | None = None) -> None:
        k = len(y)
        self.k = k
        self.p = 1 if x is None else x.shape[1]
        # A power of two near the median standard error: dividing by it is exact.
        self.scale = 2.0 ** round(math.log2(np.partition(v, k // 2)[k // 2]) / 2)
        self.unit = self.scale * self.scale
        self.one = np.ones(k)
        self._zero: Parts | None = None
        if x is None:
            order = np.arange(k)
            first = int(v.argmin())
            order[0], order[first] = first, 0
            self.shift = np.array([y[first]])
            self.y = (y[order] - y[first]) / self.scale
            self.basis: Array | None = None
            self.r = None
        else:
            order = np.argsort(v, kind="stable")
            basis, r = np.linalg.qr(x[order])
            sizes = np.abs(np.diagonal(r))
            if k < self.p or (sizes <= 1e-11 * np.sqrt((x * x).sum(0))).any():
                raise InputError(
                    "the moderators cannot be told apart",
                    [f"{k} studies, {self.p} coefficients, of which some repeat the others"],
                    remedy="leave out a moderator that others determine, or merge rare levels",
                )
            centre = float(y[order[0]]) if _spans_ones(basis) else 0.0
            moved = y[order] - centre
            first_fit = basis.T @ moved
            self.y = (moved - basis @ first_fit) / self.scale
            self.shift = np.linalg.solve(
                r, first_fit + (centre * basis.sum(0) if centre else np.zeros(self.p))
            )
            self.basis, self.r = basis, r
        self.order = order
        self.v = v[order] / self.unit

    def weights(self, t: Any) -> Array:
        """1/(v + t) for one t (scaled units) or a vector of them."""
        return np.asarray(1 / (self.v + np.asarray(t)[..., None]))

    def at(self, t: Any) -> Parts:
        """Weighted least squares with weights 1/(v + t)."""
        return Parts(self, self.weights(t))

    def zero(self) -> Parts:
        """Weighted least squares with weights 1/v, kept because everything asks for it."""
        if self._zero is None:
            self._zero = Parts(self, 1 / self.v)
        return self._zero

    def given(self, weights: Array | None) -> Array:
        """The caller's weights in the order of this problem; 1/v where there are none."""
        return 1 / self.v if weights is None else weights[self.order]

    def rss(self, t: float) -> tuple[float, float]:
        """y'Py and y'PPy at one t: the generalised Q and minus its slope."""
        if self.basis is not None:
            parts = self.zero() if t == 0 else self.at(t)
            return float(parts.rss()), float(parts.ypp())
        w = 1 / (self.v + t)
        e = self.y - (w @ self.y) / (w @ self.one)
        u = w * e
        return float(u @ e), float(u @ u)

    def score(self, t: Any, *, restricted: bool) -> tuple[Any, Any, Any, Any]:
        """y'PPy, the trace that it meets in the score, y'PPPy, and minus the slope of that trace.

        The score is half the difference of the first two: tr P for the restricted likelihood, tr W
        for the full one. Each of the four falls as t grows.
        """
        if np.ndim(t) == 0 and self.basis is None:
            return self._score_of_mean(float(t), restricted=restricted)
        if np.ndim(t) and self.k > STACK_UP_TO:  # one at a time stays in the cache
            rows = [self.score(one, restricted=restricted) for one in np.asarray(t).tolist()]
            first, second, third, fourth = np.array(rows).T
            return first, second, third, fourth
        parts = self.at(t)
        if restricted:
            return parts.ypp(), parts.trace(), parts.yppp(), parts.trace2()
        w = parts.w
        return parts.ypp(), w @ self.one, parts.yppp(), (w * w) @ self.one

    def _score_of_mean(self, t: float, *, restricted: bool) -> tuple[float, float, float, float]:
        """``score`` for the intercept alone, from the fewest passes over the studies."""
        w = 1 / (self.v + t)
        w0, rest = float(w[0]), w[1:]
        total_rest = float(rest @ self.one[1:])
        total = w0 + total_rest
        u = w * (self.y - (w @ self.y) / total)
        squares = u * u
        ypp = float(squares @ self.one)
        cross = float(w @ u)
        yppp = max(float(w @ squares) - cross * cross / total, 0.0)
        r2 = float(rest @ rest)
        if not restricted:
            return ypp, total, yppp, w0 * w0 + r2
        r3 = float((rest * rest) @ rest)
        trace = total_rest + (w0 * total_rest - r2) / total
        lead = (w0 * total_rest) ** 2 + 2 * w0 * w0 * r2 + r2 * r2
        return ypp, trace, yppp, r2 - 2 * r3 / total + lead / total**2

    def loglik(self, t: Any, *, restricted: bool) -> Any:
        """Log-likelihood at t (scaled units in, the caller's units out)."""
        parts = self.at(t)
        logs = np.log(self.v + np.asarray(t)[..., None]) @ self.one
        n = self.k - self.p if restricted else self.k
        value = n * (math.log(2 * math.pi) + math.log(self.unit)) + logs + parts.rss()
        if restricted:
            value = value + parts.log_xwx()
        return -0.5 * value


def _spans_ones(basis: Array) -> bool:
    """Whether the columns span the intercept."""
    c = basis.sum(0)
    return abs(float(c @ c) - len(basis)) < 1e-8 * len(basis)
