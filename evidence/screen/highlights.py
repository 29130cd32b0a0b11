"""Words that a reviewer wants to see at a glance, found in a text.

An entry is a word or a phrase. Plain, it finds every word of the same stem ("exercise" also
exercises and exercising); in quotation marks just these letters, upper or lower case; with a star
at its end every word that begins so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from evidence.triage.features import bare
from evidence.triage.stem import stem

Kind = Literal["", "include", "exclude"]
Segment = tuple[str, Kind]

_WORD = re.compile(r"[^\W_]+")
_GAP = 3  # characters that may stand between two words of a phrase: ", " or " – "


@dataclass(frozen=True, slots=True)
class _Word:
    text: str  # without accents, in lower case; a stem where the mode is "stem"
    mode: Literal["stem", "exact", "start"]

    def fits(self, written: str, stemmed: str) -> bool:
        if self.mode == "stem":
            return stemmed == self.text
        return written.startswith(self.text) if self.mode == "start" else written == self.text


@dataclass(frozen=True, slots=True)
class Highlights:
    """The entries of one reviewer, as they were written."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def json(self) -> dict[str, list[str]]:
        return {"include": list(self.include), "exclude": list(self.exclude)}


def entry_words(entry: str) -> tuple[_Word, ...]:
    """The words of an entry, in order; none where it has no letter."""
    entry = entry.strip()
    exact = len(entry) > 1 and entry[0] in "\"“”'" and entry[-1] in "\"“”'"
    text = bare(entry)
    found = []
    for match in _WORD.finditer(text):
        word = match.group()
        if text[match.end() : match.end() + 1] == "*":
            found.append(_Word(word, "start"))
        else:
            found.append(_Word(word, "exact") if exact else _Word(stem(word), "stem"))
    return tuple(found)


@lru_cache(maxsize=64)
def _phrases(highlights: Highlights) -> tuple[tuple[Kind, tuple[_Word, ...]], ...]:
    kinds: Sequence[tuple[Kind, tuple[str, ...]]] = (
        ("include", highlights.include),
        ("exclude", highlights.exclude),
    )
    return tuple((kind, words) for kind, es in kinds for e in es if (words := entry_words(e)))


def segments(text: str, highlights: Highlights) -> list[Segment]:
    """The text cut into pieces, each with its kind; the pieces add up to the text.

    Where entries overlap the longest wins, and of two equal ones the include-word.
    """
    phrases = _phrases(highlights)
    if not phrases or not text:
        return [(text, "")] if text else []
    tokens = [
        (m.start(), m.end(), written := bare(m.group()), stem(written))
        for m in _WORD.finditer(text)
    ]
    found: list[Segment] = []
    done = at = 0
    while at < len(tokens):
        best: tuple[int, Kind] = (0, "")
        for kind, words in phrases:
            if len(words) > best[0] and _follows(tokens, at, words):
                best = (len(words), kind)
        length, kind = best
        if length:
            start, end = tokens[at][0], tokens[at + length - 1][1]
            if start > done:
                found.append((text[done:start], ""))
            found.append((text[start:end], kind))
            done = end
        at += max(length, 1)
    if done < len(text):
        found.append((text[done:], ""))
    return found


def _follows(
    tokens: Sequence[tuple[int, int, str, str]], at: int, words: tuple[_Word, ...]
) -> bool:
    if at + len(words) > len(tokens):
        return False
    for step, word in enumerate(words):
        start, _, written, stemmed = tokens[at + step]
        if not word.fits(written, stemmed):
            return False
        if step and start - tokens[at + step - 1][1] > _GAP:
            return False
    return True


def tidy(entries: Iterable[str]) -> tuple[str, ...]:
    """Entries that find something, each once, in their order."""
    kept: dict[tuple[_Word, ...], str] = {}
    for entry in entries:
        if words := entry_words(entry):
            kept.setdefault(words, " ".join(entry.split()))
    return tuple(kept.values())
