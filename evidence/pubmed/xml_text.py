"""Elements of PubMed XML as text: markup flattened, blanks counted as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from html.entities import html5
from typing import Any

from lxml import etree

Element = Any  # lxml brings no types

_SPACE = re.compile(r"[ \t\r\n]+")  # other spaces, such as U+00A0, are part of the text
SAFE = {  # for a parser of what came from outside
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": True,
    "remove_comments": True,
    "remove_pis": True,
}
_MATHML = 'xmlns:mml="http://www.w3.org/1998/Math/MathML"'
# XML 1.0 has no place for these, neither as they are nor by number.
CONTROL = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NO_CHARACTER = re.compile(rb"\xef\xbf[\xbe\xbf]")  # U+FFFE and U+FFFF
_NUMBER = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9._-]*);")


def tree(data: bytes, prefixes: bytes = b"") -> Element:
    """One record as a tree, without DTD, entities or network.

    What XML forbids and nobody can have meant is mended first: control characters are dropped, and
    names of characters (``&eacute;``) become the characters, as they were meant when the DTD that
    declared them was at hand. Any other entity is one that the file itself declares, or nobody: it
    is never expanded, and what refers to it cannot be read.

    Parameters
    ----------
    data : bytes
        The element, in UTF-8.
    prefixes : bytes
        Namespaces that elements around it declare, as attributes.

    Raises
    ------
    ValueError
        If it is not well-formed, or refers to an entity.
    """
    if b"xmlns:mml" not in prefixes:
        prefixes = b" " + _MATHML.encode() + prefixes
    around = (b"<record" + prefixes + b">", b"</record>")
    # A parser is not used twice: it would go on with the prefixes of the record before.
    try:
        root = etree.fromstring(data.join(around), etree.XMLParser(**SAFE))
    except etree.XMLSyntaxError as fault:
        mended = mend(data)
        if mended == data:
            raise ValueError(_words(fault)) from None
        try:
            root = etree.fromstring(mended.join(around), etree.XMLParser(**SAFE))
        except etree.XMLSyntaxError as still:
            raise ValueError(_words(still)) from None
    if len(root) != 1:
        raise ValueError("it is not one element")
    element = root[0]
    if element.tag.startswith("{"):
        for each in element.iter():
            each.tag = each.tag.rpartition("}")[2]
    return element


def mend(data: bytes) -> bytes:
    """Drop characters that XML forbids; put characters in place of their names."""

    def number(match: re.Match[bytes]) -> bytes:
        code = int(match.group(1), 16) if match.group(1) else int(match.group(2))
        allowed = (
            code in (0x9, 0xA, 0xD)
            or 0x20 <= code <= 0xD7FF
            or 0xE000 <= code <= 0xFFFD
            or 0x10000 <= code <= 0x10FFFF
        )
        return match.group() if allowed else b""

    def named(match: re.Match[bytes]) -> bytes:
        character = html5.get(match.group(1).decode() + ";")
        return escape(character).encode() if character else match.group()

    data = _NO_CHARACTER.sub(b"", data.translate(None, CONTROL))
    return _ENTITY.sub(named, _NUMBER.sub(number, data))


def _words(fault: Exception) -> str:
    """What the parser says, without the place in a text that nobody has."""
    if entity := re.search(r"Entity '([^']*)' not defined", str(fault)):
        return f"it refers to the entity {entity.group(1)!r}; none is expanded"
    words = re.sub(r",? ?line \d+(?:, column \d+)?|\(<string>.*\)", "", str(fault)).strip(" ,")
    return f"not well-formed: {words}"


def squeezed(text: str) -> str:
    """Every run of blanks and line breaks as one space, none at the ends."""
    return _SPACE.sub(" ", text).strip(" ")


def text(element: Element | None) -> str:
    """All text within an element, of inline markup and MathML too."""
    if element is None:
        return ""
    raw = "".join(element.itertext()) if len(element) else element.text
    return squeezed(raw) if raw else ""


def texts(elements: Iterable[Element]) -> tuple[str, ...]:
    """The texts of elements, without those that are empty."""
    return tuple(t for element in elements if (t := text(element)))


def by_name(element: Element | None) -> dict[str, list[Element]]:
    """The children of an element, under their names, in order."""
    found: dict[str, list[Element]] = {}
    if element is not None:
        for child in element:
            found.setdefault(child.tag, []).append(child)
    return found


def first(children: dict[str, list[Element]], *names: str) -> str:
    """The text of the first child that has one of the names and is not empty."""
    for name in names:
        for child in children.get(name, ()):
            if found := text(child):
                return found
    return ""


def yes(element: Element, name: str) -> bool:
    """Whether an attribute of the kind Y or N says Y; the DTD's default is N."""
    return bool(element.get(name) == "Y")
