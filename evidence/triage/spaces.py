"""Inner products of records: from term vectors, or from a table of all pairs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evidence.triage.features import Features

OFTEN = 0.05  # share of the records that have a term from which a full column is the faster way

Floats = NDArray[np.float64]


class Space(Protocol):
    """What a screening needs to know of its records: inner products."""

    n: int
    own: Floats  # (n,) of each record with itself
    asked: Floats  # (n,) of each record with the protocol
    protocol_own: float

    def select(self, record: int) -> None:
        """Append a record to those decided on."""

    def drop(self, place: int) -> None:
        """Take the record at a place among the decided out; the last one moves there."""

    def similar(self, record: int) -> Floats:
        """Inner products of a record with those decided on."""

    def table(self, records: NDArray[np.intp]) -> Floats:
        """Inner products of k records with those decided on, (k, size)."""

    def weighted(self, beta: Floats) -> Floats:
        """(n,) of each record with the weighted sum of those decided on."""

    def totals(self) -> Floats:
        """(n,) of each record with the sum of all."""


class Terms:
    """Inner products from the term vectors; memory in proportion to the words."""

    def __init__(self, space: Features) -> None:
        self.n = space.matrix.shape[0]
        self.own = space.own
        self.protocol_own = space.protocol_own
        self._matrix = space.matrix
        self._protocol = space.protocol.toarray().ravel()
        self.asked: Floats = space.matrix @ self._protocol
        self._work = np.zeros(space.matrix.shape[1])
        self._columns = np.empty(1024, dtype=space.matrix.indices.dtype)
        self._data = np.empty(1024)
        self._starts = [0]
        self._totals: Floats | None = None

    def select(self, record: int) -> None:
        columns, data = self._row(record)
        start, end = self._starts[-1], self._starts[-1] + len(data)
        if end > len(self._data):
            room = max(end, 2 * len(self._data))
            self._columns, self._data = (
                np.concatenate([a[:start], np.empty(room - start, dtype=a.dtype)])
                for a in (self._columns, self._data)
            )
        self._columns[start:end], self._data[start:end] = columns, data
        self._starts.append(end)

    def drop(self, place: int) -> None:
        last = len(self._starts) - 2
        moved = slice(self._starts[last], self._starts[last + 1])
        parts = [
            (self._columns[a:b].copy(), self._data[a:b].copy())
            for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)
        ]
        parts[place] = (self._columns[moved].copy(), self._data[moved].copy())
        del parts[last]
        self._starts = [0]
        for columns, data in parts:
            start, end = self._starts[-1], self._starts[-1] + len(data)
            self._columns[start:end], self._data[start:end] = columns, data
            self._starts.append(end)

    def similar(self, record: int) -> Floats:
        columns, data = self._row(record)
        self._work[columns] = data
        products: Floats = self._selected() @ self._work
        self._work[columns] = 0.0
        return products

    def table(self, records: NDArray[np.intp]) -> Floats:
        return _products(self._matrix[records], self._selected())

    def weighted(self, beta: Floats) -> Floats:
        products: Floats = self._matrix @ self.direction(beta)
        return products

    def direction(self, beta: Floats) -> Floats:
        """(m,) the weighted sum of the decided records' vectors."""
        found: Floats = self._selected().T @ beta
        return found

    def totals(self) -> Floats:
        if self._totals is None:
            self._totals = self._matrix @ self._matrix.sum(axis=0)
        return self._totals

    def _row(self, record: int) -> tuple[NDArray[Any], Floats]:
        start, end = self._matrix.indptr[record], self._matrix.indptr[record + 1]
        return self._matrix.indices[start:end], self._matrix.data[start:end]

    def _selected(self) -> Any:
        end = self._starts[-1]
        return sparse.csr_array(
            (self._data[:end], self._columns[:end], np.array(self._starts, dtype=np.int32)),
            shape=(len(self._starts) - 1, self._matrix.shape[1]),
        )


def _products(some: Any, known: Any) -> Floats:
    """Inner products of sparse rows with others, (k, n).

    Frequent terms as full columns, by the fast product of full matrices; the others, which few
    pairs share, by that of sparse ones.
    """
    often = np.bincount(known.indices, minlength=known.shape[1]) > OFTEN * known.shape[0]
    rare, frequent = mine = known[:, ~often], known[:, often].toarray()
    theirs = mine if some is known else (some[:, ~often], some[:, often].toarray())
    found: Floats = (theirs[0] @ rare.T).toarray()
    found += theirs[1] @ frequent.T
    return found


class Pairs:
    """Inner products of all pairs of records, each record's when it is first asked for.

    From a quarter of the records on, the others are computed at one go, which costs less for each.
    Memory n squared: for short sets that are played often.
    """

    def __init__(self, space: Features) -> None:
        self.space = space
        self._matrix = space.matrix
        self._known: dict[int, Floats] = {}
        self._table: Floats | None = None
        self._work = np.zeros(space.matrix.shape[1])

    def row(self, record: int) -> Floats:
        """(n,) of a record with every record; terms of one record alone are left out."""
        if self._table is None and 4 * len(self._known) >= self._matrix.shape[0]:
            self._table = _products(self._matrix, self._matrix)
            self._known.clear()
        if self._table is not None:
            whole: Floats = self._table[record]
            return whole
        if record not in self._known:
            start, end = self._matrix.indptr[record], self._matrix.indptr[record + 1]
            columns = self._matrix.indices[start:end]
            self._work[columns] = self._matrix.data[start:end]
            self._known[record] = self._matrix @ self._work
            self._work[columns] = 0.0
        return self._known[record]


class Gram:
    """Inner products from a table of pairs, which several screenings may share."""

    def __init__(self, pairs: Pairs) -> None:
        space = pairs.space
        self.n = space.matrix.shape[0]
        self.own = space.own
        self.protocol_own = space.protocol_own
        self.asked: Floats = space.matrix @ space.protocol.toarray().ravel()
        self._matrix = space.matrix
        self._pairs = pairs
        self._rows = np.empty((64, self.n))
        self._size = 0

    def select(self, record: int) -> None:
        if self._size == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._size] = self._pairs.row(record)
        self._size += 1

    def drop(self, place: int) -> None:
        self._size -= 1
        self._rows[place] = self._rows[self._size]

    def similar(self, record: int) -> Floats:
        found: Floats = self._rows[: self._size, record].copy()
        return found

    def table(self, records: NDArray[np.intp]) -> Floats:
        found: Floats = self._rows[: self._size, records].T
        return found

    def weighted(self, beta: Floats) -> Floats:
        products: Floats = beta @ self._rows[: self._size]
        return products

    def totals(self) -> Floats:
        found: Floats = self._matrix @ self._matrix.sum(axis=0)
        return found
