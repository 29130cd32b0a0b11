"""Texts as terms, and terms as numbers: stemmed words, pairs of neighbours, how often each stands.

A term is a 64-bit hash of its stems, the same on every machine, so that vectors need no table of
words and parts of a collection can be counted apart (`evidence.triage.scale`). Two of a hundred
million terms share a hash with a probability below .001.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evidence.triage.stem import stem

TOGETHER = 2_000  # records counted at once; more need more memory, and no less time
_WORD = re.compile(r"[^\W_]{2,}")
_PLAIN_WORD = re.compile("[a-z0-9]{2,}")  # the same in text that is ASCII, found in half the time
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Odd 64-bit numbers (of splitmix64: Steele, Lea & Flood 2014, OOPSLA 49(10):453-472) that mix the
# hashes of two words into that of the pair, in this order.
_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]


def grams(texts: Iterable[str]) -> list[str]:
    """Stemmed words and pairs of neighbouring stemmed words, in order.

    Accents are dropped and case is folded. Other scripts are kept as they are written, unstemmed.
    """
    return [gram for gram, _ in grams_as_written(texts)]


def grams_as_written(texts: Iterable[str], *, whole: bool = False) -> list[tuple[str, str]]:
    """As `grams`, each with the words before stemming; ``whole`` texts are one term each."""
    if whole:
        return [(bare(text), text) for text in texts]
    found: list[tuple[str, str]] = []
    for text in texts:
        words = [(stem(word), word) for word in words_of(text)]
        found += words
        found += [
            (f"{one[0]} {two[0]}", f"{one[1]} {two[1]}") for one, two in itertools.pairwise(words)
        ]
    return found


def words_of(text: str) -> list[str]:
    """The words of a text, bare; those of one letter are left out."""
    text = bare(text)
    return (_PLAIN_WORD if text.isascii() else _WORD).findall(text)


def bare(text: str) -> str:
    """The text in one case and without accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return _BEYOND_ASCII.sub(_without_mark, unicodedata.normalize("NFKD", text))


def _without_mark(letter: re.Match[str]) -> str:
    return "" if unicodedata.combining(letter[0]) else letter[0]


# --- terms as numbers ----------------------------------------------------------------------------


@lru_cache(maxsize=1_000_000)
def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class _Stems(dict[str, int]):
    """Word to the key of its stem; emptied when it has grown beyond what a collection needs."""

    def __missing__(self, word: str) -> int:
        if len(self) > 2_000_000:
            self.clear()
        self[word] = key = _key(stem(word))
        return key


_STEMS = _Stems()


def _pairs(one: Keys, two: Keys) -> Keys:
    mixed = (one * _MIX[0]) ^ (two * _MIX[1])
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX[2]
    return np.asarray(mixed, dtype=np.uint64)


_NONE = np.empty(0, dtype=np.uint64)


def term_key(term: str, *, whole: bool = False) -> int:
    """The number of a stemmed word, of a pair "one two", or of a text that is one term."""
    words = [term] if whole else term.split(" ")
    if len(words) == 1:
        return _key(term)
    one, two = (np.array([_key(word)], dtype=np.uint64) for word in words)
    return int(_pairs(one, two)[0])


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Counts:
    """How often each of n records has each of its terms, in one view."""

    keys: Keys  # of all records, one after the other, ascending within each
    times: Floats  # as long
    starts: NDArray[np.int64]  # (n + 1,) where each record's terms start
    lengths: Floats  # (n,) terms of each record, repeats counted


def count(texts: Iterable[Sequence[str]], *, whole: bool = False) -> Counts:
    """Terms of records, counted; each record is given as its texts."""
    parts = [_counted(part, whole) for part in _batches(texts, TOGETHER)]
    if len(parts) == 1:
        return parts[0]
    sizes = np.concatenate([[0], *(np.diff(part.starts) for part in parts)])
    return Counts(
        np.concatenate([_NONE, *(part.keys for part in parts)]),
        np.concatenate([np.empty(0), *(part.times for part in parts)]),
        np.cumsum(sizes).astype(np.int64),
        np.concatenate([np.empty(0), *(part.lengths for part in parts)]),
    )


def _batches(items: Iterable[Sequence[str]], size: int) -> Iterator[list[Sequence[str]]]:
    source = iter(items)
    while part := list(itertools.islice(source, size)):
        yield part


def _counted(records: Sequence[Sequence[str]], whole: bool) -> Counts:
    """As `count`, of so few records that a number of 16 bits tells them apart."""
    known = _STEMS
    words: list[int] = []
    sizes, owners = [], []
    for i, texts in enumerate(records):
        for text in texts:
            before = len(words)
            if whole:
                words.append(_key(bare(text)))
            else:
                words += map(known.__getitem__, words_of(text))
            sizes.append(len(words) - before)
            owners.append(i)
    keys = np.array(words, dtype=np.uint64)
    within = np.repeat(np.arange(len(sizes)), sizes)  # the text of each word
    rows = np.array(owners, dtype=np.uint16)[within]
    if not whole and len(keys):
        together = within[1:] == within[:-1]  # pairs never cross from one text to the next
        keys = np.concatenate([keys, _pairs(keys[:-1][together], keys[1:][together])])
        rows = np.concatenate([rows, rows[1:][together]])
    lengths = np.bincount(rows, minlength=len(records)).astype(float)
    order = np.argsort(keys)
    order = order[np.argsort(rows[order], kind="stable")]
    keys, rows = keys[order], rows[order]
    first = np.ones(len(keys), dtype=bool)
    first[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    begin = np.flatnonzero(first)
    distinct = np.bincount(rows[begin], minlength=len(records))
    return Counts(
        keys[begin],
        np.diff(np.append(begin, len(keys))).astype(float),
        np.concatenate([[0], np.cumsum(distinct)]).astype(np.int64),
        lengths,
    )
