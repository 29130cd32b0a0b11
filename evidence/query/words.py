"""Words as every part of the toolkit that searches sees them: the same in queries and in records.

A word is a run of letters and digits; everything else parts words, as PubMed turns it into a space
[User Guide, "PubMed character conversions"]. Case, accents and typographic forms do not count:
Sjögren is sjogren, CO₂ is co2. Greek letters stay letters. An index that is fed with `text` and
splits at spaces alone sees exactly these words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

SHORTEST_STEM = 4  # characters before *; below it PubMed reads the * as a space [User Guide]

_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(plain(text))


def text(raw: str) -> str:
    """The words with one space between them: what an index is fed with."""
    return " ".join(words(raw))


def plain(text: str) -> str:
    """Without accents, case and typographic forms (NFKD, marks dropped, case folded)."""
    if text.isascii():
        return text.lower()
    return _FOREIGN.sub(_plain_run, text).casefold()


def _plain_run(run: re.Match[str]) -> str:
    return _plain(run.group())


@lru_cache(maxsize=1 << 14)
def _plain(run: str) -> str:
    """A run of characters beyond ASCII; each is changed by itself, whatever stands around it."""
    decomposed = unicodedata.normalize("NFKD", run)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a term asks for: words side by side, of which the last may be a beginning."""

    words: tuple[str, ...]
    is_prefix: bool = False

    def __str__(self) -> str:
        return " ".join(self.words) + ("*" if self.is_prefix else "")


def pattern(term: str) -> Pattern:
    """The words of a term as typed, with PubMed's rules for its asterisk.

    The asterisk counts at the end of the last word after four characters or more; elsewhere it is a
    space.
    """
    body = term.rstrip()
    found = tuple(words(body.replace("*", " ")))
    is_prefix = (
        body.endswith("*")
        and len(body) > 1
        and body[-2].isalnum()
        and bool(found)
        and len(found[-1]) >= SHORTEST_STEM
    )
    return Pattern(found, is_prefix)


def holds(pattern: Pattern, field: Sequence[str]) -> bool:
    """Whether the words of a field have those of the pattern side by side, in order."""
    wanted = pattern.words
    if not wanted:
        return False
    last = wanted[-1]
    if len(wanted) == 1:
        if pattern.is_prefix:
            return any(word.startswith(last) for word in field)
        return last in field
    first, size = wanted[0], len(wanted)
    head = list(wanted[:-1])
    at = -1
    try:
        while True:
            at = field.index(first, at + 1, len(field) - size + 1)
            if field[at : at + size - 1] == head:
                word = field[at + size - 1]
                if word == last or (pattern.is_prefix and word.startswith(last)):
                    return True
    except ValueError:
        return False


def near(wanted: Sequence[str], field: Sequence[str], most: int) -> bool:
    """Whether all words stand, in any order, in a stretch with at most ``most`` others.

    A word that is wanted twice must stand there twice. For three words and more the sources leave
    open whether the words between are counted over the stretch or from neighbour to neighbour; this
    counts over the stretch, as Lucene does.
    """
    if not wanted or any(word not in field for word in wanted):
        return False
    size = len(wanted) + most
    places = sorted(
        (at, word) for word in set(wanted) for at, found in enumerate(field) if found == word
    )
    need: dict[str, int] = {}
    for word in wanted:
        need[word] = need.get(word, 0) + 1
    missing, have, begin = len(wanted), dict.fromkeys(need, 0), 0
    for at, word in places:
        if have[word] < need[word]:
            missing -= 1
        have[word] += 1
        while at - places[begin][0] >= size:
            gone = places[begin][1]
            have[gone] -= 1
            if have[gone] < need[gone]:
                missing += 1
            begin += 1
        if missing == 0:
            return True
    return False
