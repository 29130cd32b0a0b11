"""Records as weighted term vectors: one block of columns for each view of a record.

Term weights are BM25 term frequency (Robertson et al. 1995, TREC-3), or in a plain view the term
frequency as it is, times inverse document frequency. Each block is scaled to unit length, then by
the square root of its weight, so that the inner product of two records is the weighted sum of their
similarities in each view.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evidence.model import Record
from evidence.triage.protocols import Protocol, asked
from evidence.triage.terms import Counts, Keys, bare, count, grams, grams_as_written, term_key
from evidence.triage.views import VIEWS, View

__all__ = ["Block", "Features", "Vocabulary", "bare", "features", "grams", "grams_as_written"]

K1, B = 1.2, 0.75  # the usual BM25 constants: saturation, correction for length

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Vocabulary:
    """The terms of one view over a whole collection, with what gives them weight."""

    view: View
    keys: Keys  # ascending
    in_records: NDArray[np.int32]  # as long: records that have the term
    n: int  # records of the collection
    mean_length: float  # of records that have a term
    rest: bool = False  # whether a term that is not among the keys is in one record

    def places(self, keys: Keys) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where each key stands among those known, and whether it is among them."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def values(
        self, counts: Counts, numbers: NDArray[np.intp] | None = None
    ) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_], Floats]:
        """Weight of each term in each record, scaled to the view's weight.

        Terms that no record of the collection has count nothing, not even in a record's length.

        Parameters
        ----------
        numbers : array of int, optional
            The place of each of ``counts.keys`` among the keys, where it is known: looking for
            them is a tenth of the work.

        Returns
        -------
        data : array, one for each of ``counts.keys``
        rows, at, known : arrays, as long
            The record, the place among the keys, and whether the term is among them.
        own : array, (n,)
            Inner product of each record with itself.
        """
        n = len(counts.lengths)
        rows = np.repeat(np.arange(n), np.diff(counts.starts))
        if numbers is None:
            at, known = self.places(counts.keys)
        else:
            at, known = numbers, np.ones(len(numbers), dtype=bool)
        alone = 1 if self.rest else 0
        often = np.where(known, self.in_records[at] if len(self.keys) else alone, alone)
        idf = np.log((1 + self.n) / (1 + often)) + 1  # smoothed as in scikit-learn: positive
        times = np.where(often > 0, counts.times, 0.0)
        data = times * idf
        if not self.view.plain:
            lengths = np.bincount(rows, times, minlength=n)
            long = lengths[rows] / self.mean_length
            data *= (K1 + 1) / (counts.times + K1 * (1 - B + B * long))
        squares = np.bincount(rows, data * data, minlength=n)
        data *= np.sqrt(self.view.weight / np.where(squares > 0, squares, 1.0))[rows]
        return data, rows, at, known, np.where(squares > 0, self.view.weight, 0.0)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Block:
    """The columns of one view.

    A term of one record alone is in no other, so it moves no score and gets no column, unless the
    protocol has it too. Frequent terms come first: they are read most, and lie together.
    """

    vocabulary: Vocabulary
    columns: NDArray[np.int32]  # of each key; -1 where it has none
    width: int  # columns

    def weighted(
        self, counts: Counts, numbers: NDArray[np.intp] | None = None
    ) -> tuple[Any, Floats]:
        """Rows over this block's columns, and each row's inner product with itself."""
        data, rows, at, known, own = self.vocabulary.values(counts, numbers)
        n = len(counts.lengths)
        columns = np.where(known, self.columns[at] if len(self.columns) else -1, -1)
        kept = columns >= 0
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=n))])
        matrix = sparse.csr_array(
            (data[kept], columns[kept].astype(np.int32), starts.astype(np.int32)),
            shape=(n, self.width),
        )
        return matrix, own


def block(vocabulary: Vocabulary, asked: Keys) -> Block:
    """Columns for the terms of a view; ``asked`` are those of the protocol."""
    often = vocabulary.in_records
    kept = np.flatnonzero((often > 1) | np.isin(vocabulary.keys, asked))
    columns = np.full(len(often), -1, dtype=np.int32)
    columns[kept[np.argsort(-often[kept], kind="stable")]] = np.arange(len(kept))
    return Block(vocabulary, columns, len(kept))


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Features:
    """The vectors of n records and of the protocol over the same m terms."""

    matrix: Any  # sparse (n, m), float; terms of one record alone are left out
    own: Floats  # (n,) inner product of each record with itself, all its terms counted
    protocol: Any  # sparse (1, m), float; all zero where no word of the protocol is known
    blocks: tuple[Block, ...]  # views that at least one record fills
    starts: tuple[int, ...]  # first column of each block

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(b.vocabulary.view for b in self.blocks)

    @property
    def protocol_own(self) -> float:
        """Inner product of the protocol with itself."""
        return float(self.protocol.power(2).sum())

    def columns(self, term: str) -> tuple[int | None, ...]:
        """Column of a stemmed word or pair in each view; None where it has none."""
        return tuple(
            int(found[0]) if (found := self.columns_of(i, [term]))[0] >= 0 else None
            for i in range(len(self.blocks))
        )

    def columns_of(self, place: int, terms: Sequence[str]) -> NDArray[np.int64]:
        """Columns of terms in the view at this place; -1 where a term has none."""
        one = self.blocks[place]
        whole = one.vocabulary.view.whole
        keys = np.array([term_key(t, whole=whole) for t in terms], dtype=np.uint64)
        at, known = one.vocabulary.places(keys)
        columns = np.where(known, one.columns[at].astype(np.int64), -1)
        return np.where(columns >= 0, columns + self.starts[place], -1)


def features(
    records: Sequence[Record], protocol: Protocol, *, views: Sequence[View] = VIEWS
) -> Features:
    """Vectors of the records and the protocol.

    Frequencies come from the records alone: a word that only the protocol uses has no column.

    Parameters
    ----------
    records : sequence of Record, length n
    protocol : str, or mapping of str to sequence of str
        The words of the claim's protocol, or texts by the name of a view; may be empty.
    """
    n = len(records)
    blocks, matrices, protocols = [], [], []
    own = np.zeros(n)
    for view in views:
        counts = count(map(view.texts, records), whole=view.whole)
        if not len(counts.keys):
            continue
        keys, numbers, in_records = np.unique(counts.keys, return_inverse=True, return_counts=True)
        wanted = count([asked(protocol, view)], whole=view.whole)
        lengths = counts.lengths
        mean = float(lengths[lengths > 0].mean())
        known = Vocabulary(view, keys, in_records.astype(np.int32), n, mean)
        one = block(known, wanted.keys)
        matrix, mine = one.weighted(counts, numbers)
        own += mine
        blocks.append(one)
        matrices.append(matrix)
        protocols.append(one.weighted(wanted)[0])
    if not blocks:
        return Features(sparse.csr_array((n, 0)), own, sparse.csr_array((1, 0)), (), ())
    widths = [one.width for one in blocks]
    return Features(
        sparse.csr_array(sparse.hstack(matrices)),
        own,
        sparse.csr_array(sparse.hstack(protocols)),
        tuple(blocks),
        (0, *itertools.accumulate(widths[:-1])),
    )
