"""Records as weighted term vectors: one block of columns for each view of a record.

Term weights are BM25 term frequency (Robertson et al. 1995, TREC-3) times inverse document
frequency, each block scaled to unit length, then by the square root of its weight, so that the
inner product of two records is the weighted sum of their similarities in each view.
"""

from __future__ import annotations

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
    texts: Callable[[Record], Sequence[str]]  # word pairs never cross from one text to the next
    meets_protocol: bool = True  # whether the protocol's words are looked up in this view


VIEWS = (
    View("title and abstract", 1.0, lambda r: (r.title, r.abstract)),
    View("title", 0.1, lambda r: (r.title,)),
    # The weight is the title's: no labelled review at hand has MeSH, so it is not measured.
    View("MeSH", 0.1, lambda r: r.mesh),
)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Features:
    """The vectors of n records and of the protocol over the same m terms."""

    matrix: Any  # sparse (n, m), float
    protocol: Any  # sparse (1, m), float; all zero where no word of the protocol is known
    terms: tuple[str, ...]  # (m,) stemmed word or word pair
    view_of: tuple[str, ...]  # (m,) name of the view
    views: tuple[str, ...]  # names of the views that at least one record fills


def grams(texts: Iterable[str]) -> list[str]:
    """Stemmed words and pairs of neighbouring stemmed words, in order.

    Accents are dropped and case is folded. Other scripts are kept as they are written, unstemmed.
    """
    found: list[str] = []
    for text in texts:
        plain = unicodedata.normalize("NFKD", text.casefold())
        bare = "".join(c for c in plain if not unicodedata.combining(c))
        words = [stem(word) for word in _WORD.findall(bare)]
        found += words
        found += [f"{one} {two}" for one, two in zip(words, words[1:], strict=False)]
    return found


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
    blocks, protocols, terms, view_of, filled = [], [], [], [], []
    for view in views:
        texts = [view.texts(record) for record in records]
        if not any(map(grams, texts)):
            continue
        counter = CountVectorizer(analyzer=grams, dtype=np.float64)
        counts = counter.fit_transform(texts)
        asked = counter.transform([[protocol if view.meets_protocol else ""]])
        idf = _rarity(counts)
        length = _lengths(counts)
        mean_length = length[length > 0].mean()
        scale = np.sqrt(view.weight)
        blocks.append(scale * _weighted(counts, idf, mean_length))
        protocols.append(scale * _weighted(asked, idf, mean_length))
        names = counter.get_feature_names_out().tolist()
        terms += names
        view_of += [view.name] * len(names)
        filled.append(view.name)
    if not blocks:
        empty = sparse.csr_array((len(records), 0))
        return Features(empty, sparse.csr_array((1, 0)), (), (), ())
    return Features(
        sparse.csr_array(sparse.hstack(blocks)),
        sparse.csr_array(sparse.hstack(protocols)),
        tuple(terms),
        tuple(view_of),
        tuple(filled),
    )


def _lengths(counts: Any) -> Any:
    return np.asarray(counts.sum(axis=1)).ravel()


IDF="bm25"
def _rarity(counts: Any) -> Any:
    """Inverse document frequency, always positive: ln(1 + (n - df + 1/2) / (df + 1/2))."""
    n = counts.shape[0]
    in_records = np.bincount(counts.indices, minlength=counts.shape[1])
    if IDF=="sk": return np.log((1+n)/(1+in_records))+1
    if IDF=="plain": return np.log(n/in_records)
    return np.log1p((n - in_records + 0.5) / (in_records + 0.5))


def _weighted(counts: Any, idf: Any, mean_length: float) -> Any:
    """BM25 term frequency times idf, rows of unit length (rows without a term stay zero)."""
    rows = sparse.csr_array(counts, copy=True)
    tf = rows.data
    long = np.repeat(_lengths(counts), np.diff(rows.indptr)) / mean_length
    rows.data = (tf * (K1 + 1) / (tf + K1 * (1 - B + B * long))) * idf[rows.indices]
    return normalize(rows)
