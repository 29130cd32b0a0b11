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
        if keys is self.keys:
            return np.arange(len(keys)), np.ones(len(keys), dtype=bool)
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.intp), np.zeros(len(keys), dtype=bool)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def values(self, counts: Counts) -> tuple[Floats, NDArray[np.intp], Floats]:
        """Weight of each term in each record, scaled to the view's weight.

        Terms that no record of the collection has count nothing, not even in a record's length.

        Returns
        -------
        data, rows : arrays, one for each of ``counts.numbers``
            The weight, and whose it is.
        own : array, (n,)
            Inner product of each record with itself.
        """
        n = len(counts.lengths)
        rows = np.repeat(np.arange(n), np.diff(counts.starts))
        at, known = self.places(counts.terms)
        alone = 1 if self.rest else 0
        often = np.where(known, self.in_records[at] if len(self.keys) else alone, alone)
        idf = np.log((1 + self.n) / (1 + often)) + 1  # smoothed as in scikit-learn: positive
        times = counts.times
        if not often.all():
            times = np.where(often[counts.numbers] > 0, times, 0.0)
        data = times * idf[counts.numbers]
        if not self.view.plain:
            lengths = np.bincount(rows, times, minlength=n)
            short = K1 * (1 - B + B * (lengths / self.mean_length))
            data *= (K1 + 1) / (counts.times + short[rows])
        squares = np.bincount(rows, data * data, minlength=n)
        scale = np.sqrt(self.view.weight / np.where(squares > 0, squares, 1.0))
        data *= scale[rows]
        return data, rows, np.where(squares > 0, self.view.weight, 0.0)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Block:
    """The columns of one view.

    A term of one record alone is in no other, so it moves no score and gets no column, unless the
    protocol has it too. Frequent terms come first: they are read most, and lie together.
    """

    vocabulary: Vocabulary
    columns: NDArray[np.int32]  # of each key; -1 where it has none
    width: int  # columns

    def weighted(self, counts: Counts) -> tuple[Any, Floats]:
        """Rows over this block's columns, and each row's inner product with itself."""
        data, _, own = self.vocabulary.values(counts)
        at, known = self.vocabulary.places(counts.terms)
        columns = np.where(known, self.columns[at] if len(self.columns) else -1, -1)
        columns = columns.astype(np.int32)[counts.numbers]
        kept = np.flatnonzero(columns >= 0)
        starts = np.searchsorted(kept, counts.starts)
        matrix = sparse.csr_array(
            (data[kept], columns[kept], starts.astype(np.int32)),
            shape=(len(counts.lengths), self.width),
        )
        return matrix, own


def block(vocabulary: Vocabulary, asked: Keys) -> Block:
    """Columns for the terms of a view; ``asked`` are those of the protocol."""
    often = vocabulary.in_records
    wanted = often > 1
    at, known = vocabulary.places(asked)
    wanted[at[known]] = True
    kept = np.flatnonzero(wanted)
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
        if not len(counts.terms):
            continue
        in_records = np.bincount(counts.numbers).astype(np.int32)
        wanted = count([asked(protocol, view)], whole=view.whole)
        lengths = counts.lengths
        mean = float(lengths[lengths > 0].mean())
        one = block(Vocabulary(view, counts.terms, in_records, n, mean), wanted.terms)
        matrix, mine = one.weighted(counts)
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
