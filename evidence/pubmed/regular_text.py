"""Texts and attributes of records written as NLM writes them, as the XML parser would give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from evidence.pubmed.xml_text import Element, squeezed, tree

T = TypeVar("T")

_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NUMBER = re.compile("#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))", re.ASCII)
_ATTRIBUTES = re.compile('(?: [A-Za-z]+="[^"<>\n]*")*+ ?', re.ASCII)
_ATTRIBUTE = re.compile(' ([A-Za-z]+)="([^"]*)"', re.ASCII)


class Irregular(Exception):
    """Something that is not written as expected; another reader decides what it is."""


class Known(dict[Hashable, T], Generic[T]):
    """What has been made of a text, or of a tuple of texts, before; looking it up is all in C.

    Parameters
    ----------
    make : callable
        Makes what is not known yet.
    most : int
        Entries that are kept; all are forgotten when there are more.
    """

    def __init__(self, make: Callable[[Any], T], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, key: Any) -> T:
        made = self._make(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = made
        return made


# --- texts -----------------------------------------------------------------------------------


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
