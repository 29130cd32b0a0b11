"""XML without network, DTD or entities; where a document is broken, its records one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from evidence.pubmed.xml_text import CONTROL, SAFE, Element

_CONTROL_REFS = re.compile(
    rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));", re.I
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One record's element, or why there is none."""

    line: int
    element: Element | None
    data: bytes
    why: str = ""


def pieces(data: bytes, tags: tuple[str, ...]) -> tuple[list[Piece], int]:
    """The outermost elements with one of ``tags``, and how many of them the bytes begin.

    Characters that XML forbids are left out. When the document as a whole is not well-formed,
    each record is parsed by itself, and those that are broken say why.
    """
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    if wide:
        # Bytes that are no characters become U+FFFD: the record shows them, the others stay whole.
        data = data.decode("utf-16", "replace").encode("utf-8")
        data = re.sub(rb"^\s*<\?xml[^>]*\?>", b"", data.removeprefix(b"\xef\xbb\xbf"))
    clean = _CONTROL_REFS.sub(b"", data.translate(None, CONTROL))
    names = b"|".join(tag.encode() for tag in tags)
    counted = _count(clean, tags)
    try:
        root = etree.fromstring(clean, etree.XMLParser(**SAFE))
    except etree.XMLSyntaxError:
        return list(_one_by_one(clean, names)), counted
    return [
        Piece(element.sourceline or 1, element, b"")
        for element in root.iter(*tags)
        if not _within(element, tags)
    ], counted


def _within(element: Element, tags: tuple[str, ...]) -> bool:
    return any(parent.tag in tags for parent in element.iterancestors())


def _count(data: bytes, tags: tuple[str, ...]) -> int:
    """Start tags of the first of ``tags`` that the document has."""
    for tag in tags:
        found = len(re.findall(rb"<%b[\s>]" % tag.encode(), data))
        if found:
            return found
    return 0


def _one_by_one(data: bytes, names: bytes) -> Iterator[Piece]:
    declared = re.match(rb"\s*<\?xml[^>]*encoding=[\"']([\w.-]+)", data)
    head = b'<?xml version="1.0" encoding="%b"?>' % (declared.group(1) if declared else b"utf-8")
    begin = re.compile(rb"<(%b)[\s>]" % names)
    at = counted = 0
    line = 1
    while match := begin.search(data, at):
        name = match.group(1)
        close = b"</%b>" % name
        end = data.find(close, match.end())
        again = re.compile(rb"<%b[\s>]" % name).search(data, match.end())
        line += data.count(b"\n", counted, match.start())
        counted = match.start()
        if end < 0 or (again and again.start() < end):
            stop = again.start() if again else len(data)
            yield Piece(line, None, data[match.start() : stop], f"<{name.decode()}> is not closed")
            at = stop
            continue
        at = end + len(close)
        piece = data[match.start() : at]
        try:
            element = etree.fromstring(head + piece, etree.XMLParser(**SAFE))
            yield Piece(line, element, piece)
        except etree.XMLSyntaxError as fault:
            yield Piece(line, None, piece, f"is not well-formed: {fault.msg}")


def text_of(element: Element | None) -> str:
    """All text within an element."""
    return "" if element is None else "".join(element.itertext())


def bytes_of(piece: Piece) -> bytes:
    """The bytes of a piece, as they stand or as they are written again."""
    if piece.data or piece.element is None:
        return piece.data
    written: bytes = etree.tostring(piece.element, encoding="utf-8", with_tail=False)
    return written
