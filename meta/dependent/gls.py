"""Generalised least squares and the likelihood of covariance parameters, block by block.

With M the covariance of the effects, W its inverse and P = W - WX(X'WX)^-1 X'W, the score of a
parameter with derivative D = dM/dtheta is (y'PDPy - tr PD)/2 for the restricted likelihood and has
tr WD for the full one; the expected information is tr(PDPE)/2 (Harville 1977, JASA 72:320-338).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.blocks import BlockCovariance, Layout
from meta.dependent.random_terms import Term
from meta.errors import InputError

Array = NDArray[np.float64]


@dataclass(slots=True)
class State:
    """Everything at one value of the parameters, in scaled units."""

    theta: Array
    inverse: list[Array]  # W, stacks of (m, n, n)
    covariance: list[Array]  # M
    bread: Array  # (X'WX)^-1 in the orthonormal basis of X
    coefficients: Array  # in that basis
    resid: list[Array]  # stacks of (m, n)
    pushed: list[Array]  # W r
    wx: list[Array]  # W X
    logdet: float  # log det M
    logdet_x: float  # log det of Q'WQ
    rss: float  # r'Wr


def _cross(a: Array, b: Array) -> Array:
    """The sum over blocks of a'b for stacks of (m, n, p)."""
    p = a.shape[-1]
    return np.asarray(a.reshape(-1, p).T @ b.reshape(-1, p))


class Likelihood:
    """The likelihood of the parameters of random terms.

    Parameters
    ----------
    y : array, shape (k,)
        Effects.
    x : array, shape (k, p)
        Design of full column rank.
    known : BlockCovariance
        Sampling covariance.
    terms : sequence of Term
        Random terms, placed in ``layout``.
    restricted : bool
        REML or ML.
    """

    def __init__(
        self,
        y: Array,
        x: Array,
        known: BlockCovariance,
        terms: Sequence[Term],
        layout: Layout,
        *,
        restricted: bool,
    ) -> None:
        self.terms, self.layout, self.restricted = list(terms), layout, restricted
        self._last: tuple[bytes, State | None] | None = None
        self.k, self.p = x.shape
        v = known.diagonal()
        # A power of two near the median standard error: dividing by it is exact.
        self.scale = 2.0 ** round(math.log2(float(np.median(v))) / 2)
        self.unit = self.scale**2
        basis, r = np.linalg.qr(x)
        sizes = np.abs(np.diagonal(r))
        if self.k < self.p or (sizes <= 1e-11 * np.sqrt((x * x).sum(0))).any():
            raise InputError(
                "the moderators cannot be told apart",
                [f"{self.k} effects, {self.p} coefficients, of which some repeat the others"],
                remedy="leave out a moderator that others determine, or merge rare levels",
            )
        self.basis, self.r = basis, r
        # Residuals of least squares instead of the effects: an offset then costs no digits.
        first = basis.T @ (y - y[0]) + basis.T @ np.full(self.k, y[0])
        moved = y - basis @ first
        again = basis.T @ moved
        self.shift = first + again
        moved = (moved - basis @ again) / self.scale
        self.y = layout.stack(moved)
        self.x = layout.stack(basis)
        self.v = [block / self.unit for block in layout.known(known)]
        for block, real in zip(self.v, layout.real(), strict=True):
            row, place = np.nonzero(~real)
            block[row, place, place] = 1.0
        self.linear = all(t.structure.key in ("ID", "DIAG") for t in self.terms)
        self.power = [p for t in self.terms for p in t.structure.power(t.size)]
        self.slices, at = [], 0
        for term in self.terms:
            n = len(term.structure.power(term.size))
            self.slices.append(slice(at, at + n))
            at += n
        self.size = at
        for term in self.terms:
            term.place(layout)

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the parameters."""
        both = [b for t in self.terms for b in t.structure.bounds(t.size)]
        low, high = np.array(both, dtype=float).reshape(-1, 2).T
        return low, high

    def units(self) -> Array:
        """What the scaled parameters are multiplied by."""
        return np.asarray(self.scale ** np.array(self.power, dtype=float))

    def covariance(self, theta: Array) -> list[Array]:
        """M at the parameters (scaled)."""
        out = [block.copy() for block in self.v]
        for term, part in zip(self.terms, self.slices, strict=True):
            g = term.structure.matrix(theta[part], term.at)
            for group, block in enumerate(out):
                block += term.spread(g, group)
        return out

    def slopes(self, theta: Array, free: NDArray[np.bool_]) -> list[list[Array]]:
        """dM/dtheta of the free parameters: for each, stacks of (m, n, n)."""
        out = []
        for term, part in zip(self.terms, self.slices, strict=True):
            wanted = free[part]
            if wanted.any():
                for slope, want in zip(
                    term.structure.slopes(theta[part], term.at), wanted, strict=True
                ):
                    if want:
                        out.append([term.spread(slope, g) for g in range(len(self.v))])
        return out

    def at(self, theta: Array) -> State | None:
        """The fit at the parameters; None where the covariance is not positive definite.

        The last one is kept: a climb asks for its value, score and information in turn.
        """
        key = theta.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, self.solve(theta, self.covariance(theta))
        return self._last[1]

    def solve(self, theta: Array, covariance: list[Array]) -> State | None:
        inverse, logdet = [], 0.0
        for block in covariance:
            if block.shape[1] == 1:
                if not (block > 0).all():
                    return None
                inverse.append(1 / block)
                logdet += float(np.log(block).sum())
                continue
            try:
                root = np.linalg.cholesky(block)
            except np.linalg.LinAlgError:
                return None
            diagonal = np.diagonal(root, axis1=1, axis2=2)
            logdet += 2 * float(np.log(diagonal).sum())
            back = np.linalg.inv(root)
            inverse.append(np.swapaxes(back, 1, 2) @ back)
        wx = [w @ x for w, x in zip(inverse, self.x, strict=True)]
        a, b = np.zeros((self.p, self.p)), np.zeros(self.p)
        for x, wx_, y in zip(self.x, wx, self.y, strict=True):
            a += _cross(x, wx_)
            b += wx_.reshape(-1, self.p).T @ y.ravel()
        if not np.isfinite(a).all():
            return None
        a = (a + a.T) / 2
        try:
            root_a = np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return None
        back_a = np.linalg.inv(root_a)
        bread = back_a.T @ back_a
        beta = bread @ b
        resid = [y - x @ beta for x, y in zip(self.x, self.y, strict=True)]
        pushed = [(w @ r[..., None])[..., 0] for w, r in zip(inverse, resid, strict=True)]
        rss = sum(float((r * u).sum()) for r, u in zip(resid, pushed, strict=True))
        logdet_x = 2 * float(np.log(np.diagonal(root_a)).sum())
        return State(
            theta,
            inverse,
            covariance,
            bread,
            beta,
            resid,
            pushed,
            wx,
            logdet,
            logdet_x,
            rss,
        )

    def value_at(self, theta: Array) -> float | None:
        """The log-likelihood at the parameters, for a climb."""
        state = self.at(theta)
        return None if state is None else self.loglik(state)

    def slope_at(self, theta: Array, free: NDArray[np.bool_]) -> Array:
        """The score at the parameters, for a climb."""
        state = self.at(theta)
        assert state is not None
        return self.score(state, free)

    def both_at(self, theta: Array, free: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Score and expected information at the parameters, for a climb."""
        state = self.at(theta)
        assert state is not None
        return self.information(state, free)

    def bend_at(self, theta: Array, free: NDArray[np.bool_]) -> Array | None:
        """Minus the second derivatives at the parameters, for a climb."""
        state = self.at(theta)
        assert state is not None
        return self.curvature(state, free)

    def loglik(self, state: State, *, restricted: bool | None = None) -> float:
        """Log-likelihood with all constants, in the units of the effects."""
        reml = self.restricted if restricted is None else restricted
        n = self.k - self.p if reml else self.k
        value = n * math.log(2 * math.pi) + n * math.log(self.unit) + state.logdet + state.rss
        return float(-0.5 * (value + (state.logdet_x if reml else 0.0)))

    def score(self, state: State, free: NDArray[np.bool_]) -> Array:
        """Derivatives of the log-likelihood by the free parameters (scaled)."""
        out = []
        for slope in self.slopes(state.theta, free):
            gain, loss, meat = 0.0, 0.0, np.zeros((self.p, self.p))
            for d, w, u, wx in zip(slope, state.inverse, state.pushed, state.wx, strict=True):
                gain += float(u.ravel() @ (d @ u[..., None]).ravel())
                loss += float((w * d).sum())
                if self.restricted:
                    meat += _cross(wx, d @ wx)
            if self.restricted:
                loss -= float((state.bread * meat).sum())
            out.append((gain - loss) / 2)
        return np.array(out)

    def information(self, state: State, free: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Score, and the expected information, of the free parameters."""
        slopes = self.slopes(state.theta, free)
        n = len(slopes)
        gain, trace = np.zeros(n), np.zeros(n)
        fisher = np.zeros((n, n))
        meats = np.zeros((n, self.p, self.p))
        for group, (w, u, wx) in enumerate(zip(state.inverse, state.pushed, state.wx, strict=True)):
            ds = [slope[group] for slope in slopes]
            wd = [w @ d for d in ds]
            dwx = [d @ wx for d in ds]
            for i in range(n):
                gain[i] += float(u.ravel() @ (ds[i] @ u[..., None]).ravel())
                trace[i] += float(np.einsum("mii->", wd[i]))
                if self.restricted:
                    meats[i] += _cross(wx, dwx[i])
                for j in range(i + 1):
                    value = float((wd[i] * np.swapaxes(wd[j], 1, 2)).sum())
                    if self.restricted:
                        cross = _cross(dwx[i], w @ dwx[j])
                        value -= 2 * float((state.bread * cross).sum())
                    fisher[i, j] += value
        if self.restricted:
            turned = [state.bread @ meat for meat in meats]
            for i in range(n):
                trace[i] -= float(np.trace(turned[i]))
                for j in range(i + 1):
                    fisher[i, j] += float((turned[i] * turned[j].T).sum())
        fisher = fisher + np.tril(fisher, -1).T
        return (gain - trace) / 2, fisher / 2

    def curvature(self, state: State, free: NDArray[np.bool_]) -> Array | None:
        """Minus the second derivatives by the free parameters; None where M is not linear in them.

        y'PDPEPy - tr(PDPE)/2 for linear parameters (Gilmour, Thompson and Cullis 1995, Biometrics
        51:1440-1450): twice the average information less the expected one.
        """
        if not self.linear:
            return None
        slopes = self.slopes(state.theta, free)
        n = len(slopes)
        square, through = np.zeros((n, n)), np.zeros((n, self.p))
        for group, (w, u, wx) in enumerate(zip(state.inverse, state.pushed, state.wx, strict=True)):
            q = [slope[group] @ u[..., None] for slope in slopes]
            for i in range(n):
                through[i] += (np.swapaxes(wx, 1, 2) @ q[i])[..., 0].sum(0)
                for j in range(i + 1):
                    square[i, j] += float(q[i].ravel() @ (w @ q[j]).ravel())
        square = square + np.tril(square, -1).T - through @ state.bread @ through.T
        return np.asarray(square - self.information(state, free)[1])

    def beta(self, state: State) -> tuple[Array, Array]:
        """Coefficients and their covariance in the caller's units."""
        back = np.linalg.inv(self.r)
        beta = back @ (self.shift + state.coefficients * self.scale)
        return beta, back @ state.bread @ back.T * self.unit

    def unstack(self, stacks: Sequence[Any]) -> Array:
        return self.layout.unstack(stacks)
