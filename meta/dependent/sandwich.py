"""Sandwich covariances over clusters of rows, and the moments of such an estimate.

With X_j, e_j, W_j and M_j the design, residuals, weights and working covariance of cluster j, and B
the inverse of X'WX, the estimate is the sum over clusters of s_j s_j' with s_j = B X_j'W_j A_j e_j.
The adjustment A_j is the identity (CR0), the inverse of I - H_jj (CR3, nearly a jackknife), or for
CR2 the symmetric solution of A_j C_j A_j = M_j, where C_j is the covariance of e_j under the
working model: the estimate then has no bias if that model holds.

Everything is done after whitening by the Cholesky factor L_j of M_j and in coordinates of the
coefficients in which B is the identity. With U_j the whitened design, C_j is L_j(I - U_jU_j')L_j'
if the weights are the inverse of M, and the cosines c between U_j and the rest of the rows are the
square roots of the eigenvalues of I - U_j'U_j. A cosine of zero is a combination of coefficients
that one cluster alone carries, whose residual is zero whatever the data: the pseudo-inverse drops
it, and the coefficients in it are marked.

Nothing of k by k is formed: clusters of one size go through linear algebra together, and the
covariance between s_i and s_j under the working model is of low rank but for i = j.

References
----------
Bell and McCaffrey (2002), Surv Methodol 28:169-181; Pustejovsky and Tipton (2018), J Bus Econ Stat
36:672-683, eq. 9-11 (CR2), 13 (degrees of freedom) and 16-18 (joint tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meta.dependent.working import Working
from meta.errors import InputError

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BLIND = 1e-6  # cosine below which residuals are rounding: eigenvalues below 1e-12
TOUCHED = 1e-6  # share of a standard error below which a coefficient is not in a blind direction
HEAVY = 0.5  # leverage above which a cluster is set against the rest row by row
STEEP = 1e4  # condition above which singular values are found to high relative accuracy
CHUNK = 2_000_000  # numbers in a stack of square matrices, about what a cache holds


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Moments:
    """A sandwich covariance and what its distribution under the working model depends on.

    For combinations a and b of the coefficients, the covariance of a's_i and b's_j under the
    working model is a'own_i b for i = j and otherwise minus (low_i a)' core (low_j b).
    """

    covariance: Array  # (p, p)
    own: Array  # (m, p, p)
    low: Array  # (m, r, p)
    core: Array  # (r, r)
    heavy: Index  # clusters of high leverage
    carrier: Index  # (p,) the one cluster that carries a coefficient; -1 for none

    @property
    def blind(self) -> NDArray[np.bool_]:
        """Coefficients that one cluster alone carries."""
        return np.asarray(self.carrier >= 0)


@dataclass(slots=True)
class _Stack:
    """Clusters of one size."""

    member: Index  # (c,)
    at: Index  # (c, n)
    x: Array  # (c, n, p)
    resid: Array  # (c, n)
    spread: Array  # M: variances (c, n), or (c, n, n)
    weight: Array | None  # W in the same form as M; None: inverse of M

    @property
    def diagonal(self) -> bool:
        return self.spread.ndim == 2


def sandwich(working: Working, cluster: Index, n_clusters: int, *, kind: str) -> Moments:
    """The sandwich covariance by adjustment "CR0", "CR2" or "CR3", without any factor.

    Parameters
    ----------
    cluster : array of int, shape (k,)
        The cluster of each row, 0 to n_clusters - 1; no working block may straddle two.

    Raises
    ------
    InputError
        If a working covariance is not positive definite (its rows are named).
    """
    stacks = list(_stacks(working, cluster, n_clusters))
    factors = [_factor(stack, working) for stack in stacks]
    white = [_solve(f, s.x) for f, s in zip(factors, stacks, strict=True)]
    if working.weights is None and working.row_weights is None:
        return _inverse(working, cluster, n_clusters, kind, stacks, factors, white)
    return _weighted(working, n_clusters, kind, stacks, factors, white)


def _inverse(
    working: Working,
    cluster: Index,
    m: int,
    kind: str,
    stacks: list[_Stack],
    factors: list[Array],
    white: list[Array],
) -> Moments:
    """Weights that are the inverse of the working covariance."""
    k, p = working.x.shape
    full = np.empty((k, p))
    for s, x in zip(stacks, white, strict=True):
        full[s.at] = x
    basis, back = _orthonormal(full)
    cosine = np.empty((m, p))
    turn = np.empty((m, p, p))
    for s in stacks:
        u = basis[s.at]
        lever, turn[s.member] = np.linalg.eigh(_t(u) @ u)
        cosine[s.member] = np.sqrt(np.clip(1 - lever, 0, 1))
    heavy = np.flatnonzero(1 - cosine[:, -1] ** 2 > HEAVY)
    for j in heavy:  # at most 2p: leverages sum to p
        cosine[j], turn[j] = _against(basis[cluster != j])
    score, own, low = np.empty((m, p)), np.empty((m, p, p)), np.empty((m, p, p))
    for s, factor in zip(stacks, factors, strict=True):
        c, v = cosine[s.member], turn[s.member]
        u = basis[s.at]
        uv = u @ v
        seen = c > BLIND
        if kind == "CR2":
            upon = np.divide(1, c, out=np.zeros_like(c), where=seen)
            if s.diagonal and (s.spread == s.spread[:, :1]).all():
                adjusted = (uv * upon[:, None, :]) @ _t(v)
                left = adjusted
            else:
                less = uv / (1 + c)[:, None, :]
                root = np.eye(u.shape[1]) - less @ _t(uv)
                adjusted, left = _cr2(s, factor, root, u, hidden=(~seen).sum(1))
        else:
            upon = np.divide(1, c * c, out=np.zeros_like(c), where=seen)
            adjusted = (uv * upon[:, None, :]) @ _t(v) if kind == "CR3" else u
            left = adjusted
        score[s.member] = _scores(s, factor, adjusted, left)
        there = _t(u) @ adjusted
        part = adjusted - (uv / (1 + c)[:, None, :]) @ (_t(v) @ there)
        own[s.member] = _t(part) @ part
        low[s.member] = there
    lost = np.where(cosine[:, None, :] <= BLIND, np.abs(back @ turn), 0).max(2)
    touched = lost > TOUCHED * np.sqrt((back * back).sum(1))
    return _moments(score, own, low, np.eye(p), back, heavy, touched)


def _weighted(
    working: Working,
    m: int,
    kind: str,
    stacks: list[_Stack],
    factors: list[Array],
    white: list[Array],
) -> Moments:
    """Weights of the caller's: residuals then have C = M - XBZ' - ZBX' + XBZ'WXBX' with Z = MWX."""
    p = working.x.shape[1]
    weighted = [_times(s.weight, s.x) for s in stacks]
    bread = sum((_gram(s.x, wx) for s, wx in zip(stacks, weighted, strict=True)), np.zeros((p, p)))
    scale = 1 / np.sqrt(np.diagonal(bread))
    try:
        half = np.linalg.cholesky(bread * np.outer(scale, scale))
    except np.linalg.LinAlgError:
        raise _repeats(p) from None
    back = scale[:, None] * np.linalg.inv(half).T
    # L'WXR, the whitened Z, beside the whitened X.
    facing = [_back(f, wx @ back) for f, wx in zip(factors, weighted, strict=True)]
    inner = sum((_gram(y, y) for y in facing), np.zeros((p, p)))
    core = np.block([[-inner, np.eye(p)], [np.eye(p), np.zeros((p, p))]])
    least = np.empty(m)
    score, own, low = np.empty((m, p)), np.empty((m, p, p)), np.empty((m, 2 * p, p))
    touched = np.zeros((m, p), dtype=bool)
    se = np.sqrt(((back @ inner) * back).sum(1))
    for s, factor, x, y in zip(stacks, factors, white, facing, strict=True):
        xr = x @ back
        cross = xr @ _t(y)
        gap = np.eye(x.shape[1]) - cross - _t(cross)
        gap = gap + xr @ inner @ _t(xr)
        share, v = np.linalg.eigh(gap)
        share = np.maximum(share, 0)
        seen = share > BLIND**2
        root = np.sqrt(np.where(seen, share, 0))
        least[s.member] = share[:, 0]
        if kind == "CR2":
            around = (v * root[:, None]) @ _t(v)
            adjusted, left = _cr2(s, factor, around, y, hidden=(~seen).sum(1))
        elif kind == "CR3":
            lever, turn = np.linalg.eigh(_t(y) @ xr)
            away = 1 - lever
            upon = np.divide(1, away, out=np.zeros_like(away), where=away > BLIND**2)
            adjusted = left = y @ (turn * upon[:, None]) @ _t(turn)
        else:
            adjusted = left = y
        score[s.member] = _scores(s, factor, adjusted, left)
        part = root[..., None] * (_t(v) @ adjusted)
        own[s.member] = _t(part) @ part
        low[s.member] = np.concatenate((_t(xr) @ adjusted, _t(y) @ adjusted), axis=1)
        lost = np.where(seen[..., None], 0, np.abs(_t(v) @ y @ back.T)).max(1)
        touched[s.member] = lost > TOUCHED * se
    heavy = np.flatnonzero(1 - least > HEAVY)
    heavy = heavy[np.argsort(least[heavy], kind="stable")][: 8 * p]
    return _moments(score, own, low, core, back, heavy, touched)


def _moments(
    score: Array,
    own: Array,
    low: Array,
    core: Array,
    back: Array,
    heavy: Index,
    touched: NDArray[np.bool_],
) -> Moments:
    """From the coordinates of the algebra to the coefficients."""
    moved = score @ back.T
    carrier = np.where(touched.any(0), touched.argmax(0), -1)
    return Moments(
        moved.T @ moved, back @ own @ back.T, low @ back.T, core, heavy, carrier.astype(np.intp)
    )


def _t(stack: Array) -> Array:
    return np.swapaxes(stack, -1, -2)


def _gram(a: Array, b: Array) -> Array:
    return np.tensordot(a, b, ((0, 1), (0, 1)))


def _stacks(working: Working, cluster: Index, m: int) -> Iterator[_Stack]:
    """Clusters by size, in stacks that stay within ``CHUNK`` numbers."""
    order = np.argsort(cluster, kind="stable")
    size = np.bincount(cluster, minlength=m)
    start = np.cumsum(size) - size
    place = np.empty(working.k, dtype=np.intp)  # of a row within its cluster
    place[order] = np.arange(working.k) - np.repeat(start, size)
    parts = [] if working.variances is not None else list(_blocks(working))
    for n in np.unique(size):
        alike = np.flatnonzero(size == n)
        width = max(1, CHUNK // int(n * n))
        for first in range(0, len(alike), width):
            member = alike[first : first + width]
            at = order[start[member][:, None] + np.arange(n)]
            spread: Array
            weight: Array | None = None
            if working.variances is not None:
                spread = working.variances[at]
                if working.row_weights is not None:
                    weight = working.row_weights[at]
            else:
                slot = np.full(m, -1)
                slot[member] = np.arange(len(member))
                spread = np.zeros((len(member), n, n))
                if working.weights is not None:
                    weight = np.zeros_like(spread)
                for rows, values, own in parts:
                    here = slot[cluster[rows[:, 0]]] >= 0
                    inside = rows[here]
                    where = slot[cluster[inside[:, 0]]][:, None, None]
                    to = where, place[inside][:, :, None], place[inside][:, None, :]
                    spread[to] = values[here]
                    if weight is not None and own is not None:
                        weight[to] = own[here]
            yield _Stack(member, at, working.x[at], working.resid[at], spread, weight)


def _blocks(working: Working) -> Iterator[tuple[Index, Array, Array | None]]:
    """Working blocks by size: rows (b, n), covariances (b, n, n), weights."""
    by_size: dict[int, list[int]] = {}
    for i, at in enumerate(working.blocks):
        by_size.setdefault(len(at), []).append(i)
    for alike in by_size.values():
        yield (
            np.stack([working.blocks[i] for i in alike]),
            np.stack([working.covariance[i] for i in alike]),
            None if working.weights is None else np.stack([working.weights[i] for i in alike]),
        )


def _factor(stack: _Stack, working: Working) -> Array:
    """L with LL' = M: standard deviations (c, n), or lower triangles."""
    if stack.diagonal:
        if (stack.spread > 0).all():
            return np.asarray(np.sqrt(stack.spread))
    else:
        try:
            return np.asarray(np.linalg.cholesky(stack.spread), dtype=np.float64)
        except np.linalg.LinAlgError:
            pass
    bad = []
    for at, block in zip(stack.at, stack.spread, strict=True):
        values = block if stack.diagonal else np.linalg.eigvalsh(block)
        if not values.min() > 0:
            bad.append(", ".join(working.effects.study[i] for i in at))
    raise InputError(
        "the working covariance of some rows is not positive definite",
        bad or [", ".join(working.effects.study[i] for i in at) for at in stack.at],
        remedy="check the sampling covariances and the assumed correlation",
    )


def _solve(factor: Array, x: Array) -> Array:
    """L^-1 x."""
    if factor.ndim == 2:
        return np.asarray(x / factor[..., None])
    return np.asarray(np.linalg.solve(factor, x), dtype=float)


def _back(factor: Array, x: Array) -> Array:
    """L'x."""
    return np.asarray(x * factor[..., None] if factor.ndim == 2 else _t(factor) @ x)


def _times(weight: Array | None, x: Array) -> Array:
    assert weight is not None
    return np.asarray(x * weight[..., None]) if weight.ndim == 2 else weight @ x


def _repeats(p: int) -> InputError:
    return InputError(
        "the moderators cannot be told apart",
        [f"{p} coefficients, of which some repeat the others"],
        remedy="leave out a moderator that others determine, or merge rare levels",
    )


def _orthonormal(x: Array) -> tuple[Array, Array]:
    """An orthonormal basis of the columns of x, and R with basis = xR.

    Rows go in from the longest to the shortest, so that those of imprecise studies keep their
    digits (Cox and Higham 1998, SIAM J Matrix Anal Appl 19:1-17).
    """
    scale = np.sqrt((x * x).sum(0))
    order = np.argsort(-(x * x).sum(1), kind="stable")
    q, r = np.linalg.qr(x[order] / scale)
    size = np.abs(np.diagonal(r))
    if len(x) < x.shape[1] or not (size > 1e-14).all():
        raise _repeats(x.shape[1])
    basis = np.empty_like(x)
    basis[order] = q
    return basis, np.linalg.inv(r) / scale[:, None]


def _against(rest: Array) -> tuple[Array, Array]:
    """Cosines of a cluster from the other rows of the basis, in falling order, with directions.

    They are the singular values of those rows: right to rounding, where 1 - leverage has lost them.
    """
    p = rest.shape[1]
    square = np.zeros((p, p))
    if len(rest):
        r = np.linalg.qr(rest, mode="r")
        square[: len(r)] = r
    _, cosine, v = np.linalg.svd(square)
    return np.minimum(cosine, 1), v.T


def _cr2(
    stack: _Stack, factor: Array, root: Array, facing: Array, *, hidden: Index
) -> tuple[Array, Array]:
    """L'A and A applied to the whitened weighted design, for CR2; the second still lacks L.

    A = L(L'CL)^-1/2 L' with L'CL = KK', K = L'L root; a singular value decomposition of K loses
    only half of the digits that an eigendecomposition of KK' would.
    """
    if stack.diagonal:
        product = stack.spread[..., None] * root
        slope = stack.spread.max(1) / stack.spread.min(1)
    else:
        squared = _t(factor) @ factor
        product = squared @ root
        size = np.diagonal(factor, axis1=1, axis2=2) ** 2
        slope = size.max(1) / size.min(1)
    u, s, _ = np.linalg.svd(product)
    for j in np.flatnonzero(slope > STEEP):
        u[j], s[j] = _steep(product[j])
    n = s.shape[1]
    keep = np.arange(n) < n - hidden[:, None]
    upon = np.divide(1, s, out=np.zeros_like(s), where=keep)
    inner = u @ (upon[..., None] * (_t(u) @ facing))
    if stack.diagonal:
        return stack.spread[..., None] * inner, inner
    return squared @ inner, inner


def _steep(a: Array) -> tuple[Array, Array]:
    """Singular values to high relative accuracy, by one-sided Jacobi rotations.

    Drmač and Veselić (2008), SIAM J Matrix Anal Appl 29:1322-1342.
    """
    from scipy.linalg import lapack

    values, u, _, work, _, _ = lapack.dgejsv(a, joba=2, jobu=0, jobv=3, jobr=0)
    return u, values * (work[0] / work[1])


def _scores(stack: _Stack, factor: Array, adjusted: Array, inner: Array) -> Array:
    """X'WAe of each cluster: L^-1 e faces ``adjusted``; for CR2, L'e faces ``inner``."""
    if inner is adjusted:
        e = _solve(factor, stack.resid[..., None])
        return np.asarray((_t(adjusted) @ e)[..., 0])
    return np.asarray((_t(inner) @ _back(factor, stack.resid[..., None]))[..., 0])


def expected(moments: Moments, combination: Array) -> Array:
    """Expectation under the working model of the estimated covariance of combinations (q, p)."""
    return np.asarray(combination @ moments.own.sum(0) @ combination.T)


def total_variance(moments: Moments, combination: Array) -> float:
    """Sum over all elements of their variances in the estimated covariance of combinations (q, p).

    Pustejovsky and Tipton (2018), eq. 17: with P_ij the (q, q) covariance between clusters, the sum
    over i and j of tr(P_ij P_ij) + tr(P_ij)^2. Clusters of high leverage are paired one by one, so
    that no large terms cancel.
    """
    own = combination @ moments.own @ combination.T
    low = moments.low @ combination.T  # (m, r, q)
    core = moments.core
    light = np.ones(len(own), dtype=bool)
    light[moments.heavy] = False
    sums = _own(own).sum()
    rest = low[light]
    inner = _products(rest)
    itself = _t(rest) @ core @ rest
    sums += _pairs(inner, inner, core) - _own(itself).sum()
    for a, i in enumerate(moments.heavy):
        one = low[i]
        sums += 2 * _pairs(_products(one[None]), inner, core)
        others = low[moments.heavy[:a]]
        sums += 2 * _own(one.T @ core @ others).sum()
    return float(sums)


def _own(p: Array) -> Array:
    """tr(PP) + tr(P)^2 of each matrix."""
    trace = np.einsum("...ss->...", p)
    return np.asarray(np.einsum("...st,...ts->...", p, p) + trace * trace)


def _products(low: Array) -> Array:
    """Sums over clusters of the outer products of their columns, (q, q, r, r)."""
    _, r, q = low.shape
    flat = low.reshape(len(low), r * q)
    gram = (flat.T @ flat).reshape(r, q, r, q)
    return np.ascontiguousarray(gram.transpose(1, 3, 0, 2))


def _pairs(one: Array, two: Array, core: Array) -> float:
    """Sum of tr(PP) + tr(P)^2 over all pairs of clusters of two sets."""
    a, b = core @ one, core @ two
    return float(np.einsum("stij,stji->", a, b) + np.einsum("stij,tsji->", a, b))
