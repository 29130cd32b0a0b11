"""Records as weighted term vectors: one block of columns for each view of a record.

Term weights are BM25 term frequency (Robertson et al. 1995, TREC-3) times inverse document
frequency, each block scaled to unit length, then by the square root of its weight, so that the
inner product of two records is the weighted sum of their similarities in each view.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from evidence.model import Record
from evidence.triage.stem import stem

K1, B = 1.2, 0.75  # the usual BM25 constants: saturation, correction for length
_WORD = re.compile(r"[^\W_]{2,}")


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a record; ``weight`` is its share in the similarity of two records."""

    name: str
    weight: float
    measured: bool  # whether the weight was tried on labelled reviews
    texts: Callable[[Record], Sequence[str]]  # word pairs never cross from one text to the next


VIEWS = (
    View("title and abstract", 1.0, True, lambda r: (r.title, r.abstract)),
    View("title", 0.1, True, lambda r: (r.title,)),
    # The title's weight: the labelled reviews at hand carry no MeSH, so nothing better is known.
    View("MeSH", 0.1, False, lambda r: r.mesh),
)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Features:
    """The vectors of n records and of the protocol over the same m terms."""

    matrix: Any  # sparse (n, m), float
    protocol: Any  # sparse (1, m), float; all zero where no word of the protocol is known
    terms: tuple[str, ...]  # (m,) stemmed word or word pair; a term has a column in each view
    views: tuple[View, ...]  # those that at least one record fills


def grams(texts: Iterable[str]) -> list[str]:
    """Stemmed words and pairs of neighbouring stemmed words, in order.

    Accents are dropped and case is folded. Other scripts are kept as they are written, unstemmed.
    """
    return [gram for gram, _ in grams_as_written(texts)]


def grams_as_written(texts: Iterable[str]) -> list[tuple[str, str]]:
    """As `grams`, each with the words before stemming."""
    found: list[tuple[str, str]] = []
    for text in texts:
        words = [(stem(word), word) for word in _WORD.findall(_bare(text))]
        found += words
        found += [
            (f"{one[0]} {two[0]}", f"{one[1]} {two[1]}") for one, two in itertools.pairwise(words)
        ]
    return found


def _bare(text: str) -> str:
    """The text in one case and without accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def features(
    records: Sequence[Record], protocol: str, *, views: Sequence[View] = VIEWS
) -> Features:
    """Vectors of the records and the protocol.

    Frequencies come from the records alone: a word that only the protocol uses has no column.

    Parameters
    ----------
    records : sequence of Record, length n
    protocol : str
        The words of the claim's protocol; may be empty.
    """
    blocks, protocols, terms, filled = [], [], [], []
    for view in views:
        texts = [view.texts(record) for record in records]
        if not any(map(grams, texts)):
            continue
        counter = CountVectorizer(analyzer=grams, dtype=np.float64)
        counts = counter.fit_transform(texts)
        asked = counter.transform([[protocol]])
        idf = _rarity(counts)
        length = _lengths(counts)
        mean_length = length[length > 0].mean()
        scale = np.sqrt(view.weight)
        blocks.append(scale * _weighted(counts, idf, mean_length))
        protocols.append(scale * _weighted(asked, idf, mean_length))
        terms += counter.get_feature_names_out().tolist()
        filled.append(view)
    if not blocks:
        empty = sparse.csr_array((len(records), 0))
        return Features(empty, sparse.csr_array((1, 0)), (), ())
    return Features(
        sparse.csr_array(sparse.hstack(blocks)),
        sparse.csr_array(sparse.hstack(protocols)),
        tuple(terms),
        tuple(filled),
    )


def _lengths(counts: Any) -> Any:
    return np.asarray(counts.sum(axis=1)).ravel()


def _rarity(counts: Any) -> Any:
    """Inverse document frequency, always positive: ln(1 + (n - df + 1/2) / (df + 1/2))."""
    n = counts.shape[0]
    in_records = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log1p((n - in_records + 0.5) / (in_records + 0.5))


def _weighted(counts: Any, idf: Any, mean_length: float) -> Any:
    """BM25 term frequency times idf, rows of unit length (rows without a term stay zero)."""
    rows = sparse.csr_array(counts, copy=True)
    tf = rows.data
    long = np.repeat(_lengths(counts), np.diff(rows.indptr)) / mean_length
    rows.data = (tf * (K1 + 1) / (tf + K1 * (1 - B + B * long))) * idf[rows.indices]
    return normalize(rows)
