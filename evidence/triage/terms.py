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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.triage.stem import stem

TOGETHER = 2_000  # records counted at one go; more need more memory, and no less time
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


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


_END = "\N{SECTION SIGN}"  # between two texts; no letter or digit, so in no word
_SKIPPED, _ENDED = 0, 1  # instead of the keys of words of one letter, and of the end of a text
_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789"
# Bytes with all that stands between words as spaces, for text in ASCII and for other text, of which
# capitals are kept: a trademark sign becomes two of them.
_APART, _APART_BEYOND = (
    bytes(i if i in kept else 32 for i in range(256))
    for kept in (_KEPT, _KEPT + _KEPT.upper() + bytes(range(128, 256)))
)


def _apart(text: str) -> bytes:
    """The words of a text and nothing else, those of one letter among them; see `words_of`."""
    text = bare(text)
    if text.isascii():
        return text.encode().translate(_APART)
    return _BEYOND_ASCII.sub(_within_word, text).encode().translate(_APART_BEYOND)


def _within_word(letter: re.Match[str]) -> str:
    return letter[0] if letter[0].isalnum() else " "


class _Stems(dict[bytes, int]):
    """Word to the key of its stem; emptied when it has grown beyond what a collection needs."""

    def __missing__(self, found: bytes) -> int:
        if len(self) > 2_000_000:
            self.clear()
        word = found.decode()
        key = _ENDED if word == _END else _SKIPPED
        if len(word) > 1:
            key = _key(stem.__wrapped__(word))  # not kept twice
        self[found] = key
        return key


_STEMS = _Stems()


def _pairs(one: Keys, two: Keys) -> Keys:
    mixed = (one * _MIX[0]) ^ (two * _MIX[1])
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX[2]
    return np.asarray(mixed, dtype=np.uint64)


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

    terms: Keys  # that at least one of the records has, ascending
    numbers: NDArray[np.int64]  # places among these: record after record, ascending within each
    times: Floats  # as long
    starts: NDArray[np.int64]  # (n + 1,) where each record's terms start
    lengths: Floats  # (n,) terms of each record, repeats counted


def count(texts: Iterable[Sequence[str]], *, whole: bool = False) -> Counts:
    """Terms of records, counted; each record is given as its texts."""
    parts = [_counted(part, whole) for part in _batches(texts, TOGETHER)] or [_counted([], whole)]
    if len(parts) == 1:
        return parts[0]
    terms = np.unique(np.concatenate([part.terms for part in parts]))
    sizes = np.concatenate([[0], *(np.diff(part.starts) for part in parts)])
    return Counts(
        terms,
        np.concatenate([np.searchsorted(terms, part.terms)[part.numbers] for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.cumsum(sizes),
        np.concatenate([part.lengths for part in parts]),
    )


def _batches(items: Iterable[Sequence[str]], size: int) -> Iterator[list[Sequence[str]]]:
    source = iter(items)
    while part := list(itertools.islice(source, size)):
        yield part


def _counted(records: Sequence[Sequence[str]], whole: bool) -> Counts:
    """As `count`, at one go."""
    n = len(records)
    keys, rows = _keys(records, whole)
    lengths = np.bincount(rows, minlength=n).astype(float)
    order = np.argsort(keys)
    ordered = keys[order]
    new = _changes(ordered)
    terms = ordered[new]
    # Record and term as one number, in order: equal ones are repeats.
    offsets = np.arange(n + 1) * len(terms)
    codes = offsets[rows[order]] + np.cumsum(new) - 1
    codes.sort()
    begin = np.flatnonzero(_changes(codes))
    times = np.diff(begin, append=len(codes)).astype(float)
    codes = codes[begin]
    starts = np.searchsorted(codes, offsets)
    return Counts(terms, codes - np.repeat(offsets[:-1], np.diff(starts)), times, starts, lengths)


def _changes(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an array differs from the place before; True at the first."""
    found = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=found[1:])
    return found


def _keys(records: Sequence[Sequence[str]], whole: bool) -> tuple[Keys, NDArray[np.intp]]:
    """The key of every term in the texts of records, repeats among them, and whose it is."""
    texts = [text for mine in records for text in mine]
    owners = np.repeat(np.arange(len(records)), [len(mine) for mine in records])
    if whole:
        return np.array([_key(bare(text)) for text in texts], dtype=np.uint64), owners
    words = f" {_END} ".encode().join(map(_apart, texts)).split()
    keys = np.fromiter(map(_STEMS.__getitem__, words), np.uint64, len(words))
    keys = keys[keys != _SKIPPED]
    inside = keys != _ENDED
    rows = owners[np.cumsum(~inside)] if len(keys) else owners[:0]
    together = inside[1:] & inside[:-1]  # pairs never cross from one text to the next
    pairs = _pairs(keys[:-1][together], keys[1:][together])
    return (
        np.concatenate([keys[inside], pairs]),
        np.concatenate([rows[inside], rows[:-1][together]]),
    )
