"""Texts and attributes of records written as NLM writes them, as the XML parser would give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from evidence.pubmed.xml_text import Element, squeezed, tree
from evidence.pubmed.xml_text import text as text_of

T = TypeVar("T")

_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NUMBER = re.compile("#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))", re.ASCII)
_ATTRIBUTES = re.compile('(?: [A-Za-z]+="[^"<>\n]*")*+ ?', re.ASCII)
_ATTRIBUTE = re.compile(' ([A-Za-z]+)="([^"]*)"', re.ASCII)


class Irregular(Exception):
    """Something that is not written as expected; another reader decides what it is."""


class Known(dict[str, T], Generic[T]):
    """What has been made of a text before; looking it up is all in C.

    Parameters
    ----------
    make : callable
        Makes what is not known yet.
    most : int
        Entries that are kept; all are forgotten when there are more.
    """

    def __init__(self, make: Callable[[str], T], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, text: str) -> T:
        made = self._make(text)
        if len(self) >= self._most:
            self.clear()
        self[text] = made
        return made


# --- texts -----------------------------------------------------------------------------------

_TAGS = {name: f"/{name}" for name in ("b", "i", "sub", "sup", "u")}
# XML has no place for these two characters, so that they are in no text.
_GAP = "\0"  # where a tag was: what stood apart cannot become a reference
_BETWEEN = " \1 "  # texts that are looked at together


def clean(text: str) -> str:
    """Text without markup as the XML parser and `squeezed` give it.

    NLM writes references in place of ``<`` and ``>``.
    """
    if ">" in text:
        raise Irregular
    if "&" in text:
        text = _unescaped(text)
    if "  " in text or "\n" in text:
        return squeezed(text)
    return text.strip(" ")


def flat(text: str) -> str:
    """Text that may hold markup; by the XML parser where that is more than italics and the like."""
    if "<" not in text:
        return clean(text)
    plain = _without_tags(text)
    if plain is None:
        return text_of(parsed(f"<t>{text}</t>"))
    if "&" in plain:
        plain = _unescaped(plain)
    plain = plain.replace(_GAP, "")
    return squeezed(plain) if "  " in plain or "\n" in plain else plain.strip(" ")


def flattened(texts: Sequence[str]) -> Sequence[str]:
    """Texts that may hold markup, as `flat` gives each; mostly they are as they should be.

    Joined by a mark between two blanks, they show two blanks together, or one at the ends, where
    one of them has blanks to be squeezed or is empty.
    """
    joined = _BETWEEN.join(texts)
    if "  " in joined or "\n" in joined or joined[:1] == " " or joined[-1:] == " ":
        return list(map(flat, texts))
    if "&" in joined or "<" in joined or ">" in joined:
        return [flat(t) if "&" in t or "<" in t or ">" in t else t for t in texts]
    return texts


def cells(column: Sequence[str]) -> Sequence[str]:
    """The same of texts of which some may be empty."""
    full = list(filter(None, column))
    if len(full) == len(column):
        return flattened(column)
    if not full:
        return column
    texts = iter(flattened(full))
    return [next(texts) if text else "" for text in column]


def _without_tags(text: str) -> str | None:
    """Text with a gap in place of each tag; ``None`` if there are others than the usual ones, each
    with its end tag, the inner before the outer."""
    first, *rest = text.split("<")
    plain = [first]
    awaited: list[str] = []
    for part in rest:
        tag, end, words = part.partition(">")
        if tag in _TAGS:
            awaited.append(_TAGS[tag])
        elif not awaited or awaited.pop() != tag:
            return None
        if not end:
            return None
        plain.append(words)
    joined = _GAP.join(plain)
    return None if awaited or ">" in joined else joined


def _unescaped(text: str) -> str:
    """Characters in place of references; every ``&`` must begin one that XML itself defines."""
    first, *rest = text.split("&")
    plain = [first]
    for part in rest:
        name, end, words = part.partition(";")
        if not end:
            raise Irregular
        plain += (_CHARACTERS[name], words)
    return "".join(plain)


def _character(name: str) -> str:
    """From what stands between ``&`` and ``;``."""
    if name in _NAMED:
        return _NAMED[name]
    match = _NUMBER.fullmatch(name)
    if match is None:
        raise Irregular
    hexadecimal, decimal = match.groups()
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if not (0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF):
        raise Irregular
    return chr(code)


def parsed(text: str) -> Element:
    """An element that is left to the XML parser."""
    try:
        return tree(text.encode())
    except ValueError:
        raise Irregular from None


# --- attributes ------------------------------------------------------------------------------


def _attributes(given: str) -> Mapping[str, str]:
    if not _ATTRIBUTES.fullmatch(given):
        raise Irregular
    pairs = _ATTRIBUTE.findall(given)
    named = {name: _unescaped(value) for name, value in pairs}
    if len(named) != len(pairs):
        raise Irregular
    return named


ATTRIBUTES: Known[Mapping[str, str]] = Known(_attributes, 8192)
_CHARACTERS: Known[str] = Known(_character, 1024)
