"""Bytes to lines: which encoding a file is in, and where each line ends."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from evidence.errors import SourceError

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, encoding: str | None = None, *, file: str | Path = "") -> tuple[str, str]:
    """The text of a file, and the encoding that it was read in.

    Without ``encoding`` a byte-order mark decides; else UTF-16 is known by its zero bytes, and
    what is not UTF-8 is taken as Windows-1252, or as Latin-1 where that has no such byte.

    Raises
    ------
    SourceError
        If the file is not in the encoding that was asked for; names the line.
    """
    if encoding is not None:
        try:
            codecs.lookup(encoding)
            text = data.decode(encoding)
        except LookupError:
            raise SourceError(
                f"there is no encoding {encoding!r}", remedy="such as utf-8, latin-1, utf-16"
            ) from None
        except UnicodeError as fault:
            at = data.count(b"\n", 0, getattr(fault, "start", 0)) + 1
            raise SourceError(
                f"{file} is not in the encoding {encoding}",
                [f"{file}:{at}  {fault}"],
                remedy="leave the encoding out to have it found, or name another",
            ) from None
        return text.removeprefix("\ufeff"), encoding
    for mark, name in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(name), name
            except UnicodeError:
                break
    for name in (*_utf16(data), "utf-8", "cp1252"):
        try:
            return data.decode(name), name
        except UnicodeError:
            continue
    return data.decode("latin-1"), "latin-1"


def _utf16(data: bytes) -> tuple[str, ...]:
    """UTF-16 without a mark: in Western text nearly every second byte is zero."""
    head = data[:2000]
    if len(head) < 4 or len(data) % 2:
        return ()
    half = len(head) // 2
    if head[1::2].count(0) > 0.7 * half and head[0::2].count(0) < 0.1 * half:
        return ("utf-16-le",)
    if head[0::2].count(0) > 0.7 * half and head[1::2].count(0) < 0.1 * half:
        return ("utf-16-be",)
    return ()


def encode(text: str, encoding: str) -> bytes:
    """The bytes that a piece of a decoded file had, without a byte-order mark."""
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
    return text.encode(plain.get(encoding, encoding), errors="surrogatepass")


def lines(text: str) -> list[str]:
    """Lines with their ends; only CR and LF end a line, as the formats have it."""
    return _LINES.findall(text)
