"""Rows that may be correlated, gathered into blocks, and blocks of one size into stacks.

Matrices of k by k are never formed: everything that generalised least squares needs is a sum over
blocks, and blocks of equal size go through linear algebra together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class BlockCovariance:
    """A symmetric matrix that is zero outside its blocks, such as a known sampling covariance.

    ``numpy.asarray`` of it is the full (k, k) matrix.
    """

    k: int
    rows: tuple[Index, ...]  # the positions of each block, (n_j,)
    values: tuple[Array, ...]  # (n_j, n_j)
    notes: tuple[str, ...] = ()

    def dense(self) -> Array:
        """The (k, k) matrix."""
        full = np.zeros((self.k, self.k))
        for at, block in zip(self.rows, self.values, strict=True):
            full[np.ix_(at, at)] = block
        return full

    def diagonal(self) -> Array:
        """The variances, (k,)."""
        out = np.zeros(self.k)
        for at, block in zip(self.rows, self.values, strict=True):
            out[at] = np.diagonal(block)
        return out

    def subset(self, keep: Index) -> BlockCovariance:
        """That of some of the rows, in the order of ``keep``."""
        place = np.full(self.k, -1, dtype=np.intp)
        place[keep] = np.arange(len(keep))
        rows, values = [], []
        for at, block in zip(self.rows, self.values, strict=True):
            stay = place[at] >= 0
            if stay.any():
                rows.append(place[at][stay])
                values.append(block[np.ix_(stay, stay)])
        return BlockCovariance(len(keep), tuple(rows), tuple(values), self.notes)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.dense() if dtype is None else self.dense().astype(dtype)


def as_blocks(matrix: Any, study: Sequence[str]) -> BlockCovariance:
    """A known covariance, given in full or already in blocks.

    Raises
    ------
    InputError
        If it is not k by k, not finite, or not symmetric; names the studies.
    """
    k = len(study)
    if isinstance(matrix, BlockCovariance):
        if matrix.k != k:
            raise InputError(f"a covariance of {matrix.k} rows for {k} effects")
        return matrix
    full = np.asarray(matrix, dtype=float)
    if full.shape != (k, k):
        raise InputError(
            f"a covariance of shape {full.shape} for {k} effects",
            remedy=f"give a {k} by {k} matrix, or build it with meta.dependent.covariance",
        )
    if not np.isfinite(full).all():
        bad = np.flatnonzero(~np.isfinite(full).all(1))
        raise InputError(
            "the covariance holds values that are not numbers", [study[int(i)] for i in bad]
        )
    apart = np.abs(full - full.T) > 1e-10 * np.sqrt(
        np.outer(np.abs(full.diagonal()), np.abs(full.diagonal()))
    )
    if apart.any():
        pairs = [f"{study[i]} and {study[j]}" for i, j in np.argwhere(apart) if i < j]
        raise InputError("the covariance is not symmetric", pairs)
    near, far = np.nonzero(full)
    labels = _components(k, [(near, far)])
    rows = _split(labels)
    return BlockCovariance(k, tuple(rows), tuple(full[np.ix_(at, at)] for at in rows))


def _components(k: int, links: Iterable[tuple[Index, Index]]) -> Index:
    """Which connected part each row is in, given pairs of rows that are linked."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = list(links)
    one = np.concatenate([a for a, _ in pairs]) if pairs else np.zeros(0, dtype=np.intp)
    two = np.concatenate([b for _, b in pairs]) if pairs else np.zeros(0, dtype=np.intp)
    graph = coo_array((np.ones(len(one), dtype=bool), (one, two)), shape=(k, k))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


def _split(labels: Index) -> list[Index]:
    """The rows of each label, in the order in which labels first appear."""
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return sorted(np.split(order, cuts), key=lambda at: int(at[0]))


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Layout:
    """The blocks of k rows, those of like size together.

    A smaller block is filled up with the row number k, which stands for nothing: no effect, no
    predictor, a variance of one and no covariance.
    """

    k: int
    groups: tuple[Index, ...]  # each (m, n): m blocks of n rows

    def stack(self, column: Array) -> list[Array]:
        """A (k,) or (k, p) column as stacks of (m, n) or (m, n, p)."""
        filled = np.concatenate((column, np.zeros((1, *column.shape[1:]))))
        return [filled[at] for at in self.groups]

    def unstack(self, stacks: Sequence[Array]) -> Array:
        """Back to the order of the rows."""
        out = np.zeros((self.k + 1, *stacks[0].shape[2:]))
        for at, values in zip(self.groups, stacks, strict=True):
            out[at] = values
        return out[:-1]

    def real(self) -> list[NDArray[np.bool_]]:
        """Which places hold a row, (m, n) each."""
        return [at < self.k for at in self.groups]

    def cut(self, stacks: Sequence[Array]) -> tuple[list[Index], list[Array]]:
        """Each block by itself, (n_j,) rows and its part of stacks of (m, n, n)."""
        rows, blocks = [], []
        for at, stack in zip(self.groups, stacks, strict=True):
            for index, block in zip(at, stack, strict=True):
                n = int((index < self.k).sum())  # what fills up stands last
                rows.append(index[:n])
                blocks.append(block[:n, :n])
        return rows, blocks

    def known(self, covariance: BlockCovariance) -> list[Array]:
        """A known covariance as stacks of (m, n, n)."""
        where = np.zeros(self.k + 1, dtype=np.intp)  # place of each row within its block
        block = np.zeros(self.k + 1, dtype=np.intp)
        group = np.zeros(self.k + 1, dtype=np.intp)
        out = []
        for g, at in enumerate(self.groups):
            m, n = at.shape
            where[at], block[at], group[at] = np.arange(n), np.arange(m)[:, None], g
            out.append(np.zeros((m, n, n)))
        alone = [at[0] for at in covariance.rows if len(at) == 1]
        if alone:
            single = np.array(alone)
            values = np.array([v[0, 0] for v in covariance.values if v.shape[0] == 1])
            for g in range(len(self.groups)):
                here = group[single] == g
                rows = single[here]
                out[g][block[rows], where[rows], where[rows]] = values[here]
        for at, values in zip(covariance.rows, covariance.values, strict=True):
            if len(at) > 1:
                g = group[at[0]]
                out[g][block[at[0]]][np.ix_(where[at], where[at])] = values
        return out


def layout_of(k: int, groupings: Iterable[Any], covariance: BlockCovariance) -> Layout:
    """The smallest blocks such that rows of different blocks share no group and no covariance.

    Parameters
    ----------
    groupings : iterable of arrays, shape (k,)
        Integer codes; rows of one code belong together.
    """
    links = []
    for at in covariance.rows:
        links.append((at[:-1], at[1:]))
    for codes in groupings:
        order = np.argsort(codes, kind="stable")
        same = np.flatnonzero(np.diff(np.asarray(codes)[order]) == 0)
        links.append((order[same], order[same + 1]))
    rows = _split(_components(k, links))
    by_size: dict[int, list[Index]] = {}
    for at in rows:
        by_size.setdefault(len(at), []).append(np.sort(at))
    return Layout(k, tuple(_filled(blocks, k) for blocks in _gathered(by_size)))


CALLS = 1e5  # multiplications that take as long as the calls for one more group


def _gathered(by_size: Mapping[int, list[Index]]) -> list[list[Index]]:
    """Blocks of several sizes together where that costs less than a group for each size."""
    out: list[list[Index]] = []
    for n in sorted(by_size, reverse=True):
        blocks = by_size[n]
        if out:
            largest = len(out[-1][0])
            waste = len(blocks) * (largest**3 - n**3)
            if waste < CALLS:
                out[-1] += blocks
                continue
        out.append(list(blocks))
    return out


def _filled(blocks: Sequence[Index], k: int) -> Index:
    """Blocks of at most the size of the first as one array, filled up with row k."""
    out = np.full((len(blocks), max(map(len, blocks))), k, dtype=np.intp)
    for row, at in zip(out, blocks, strict=True):
        row[: len(at)] = at
    return out
