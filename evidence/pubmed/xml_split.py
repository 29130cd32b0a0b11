"""A stream of PubMed XML cut into records, without reading what is in them.

Each record is afterwards parsed by itself, so that a damaged one costs no other. No DOCTYPE ever
reaches a parser: nothing is fetched, and no entity that a file declares is expanded.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from zlib_ng import zlib_ng  # half the time of zlib

RECORDS = (
    "PubmedArticle",
    "PubMedArticle",  # DTDs before 2008
    "PubmedBookArticle",
    "MedlineCitation",
    "BookDocument",
)
DELETIONS = ("DeleteCitation", "DeleteDocument")
_DAMAGED: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its types name an instance
CHUNK = 1 << 16  # bytes read at once; what they decompress to stays in the processor's cache
LONGEST = 64 << 20  # bytes of a record; real ones with thousands of authors have a few million
KEPT = 1 << 20  # bytes that are kept of what is no record
PROLOG = 1 << 16  # bytes in which a DOCTYPE must end

# What may stand directly in a set. In an article the citation is a part, in an old set a record.
_WITHIN = {
    "PubmedArticleSet": (
        "PubmedArticle",
        "PubMedArticle",
        "PubmedBookArticle",
        *DELETIONS,
    ),
    "MedlineCitationSet": ("MedlineCitation", *DELETIONS),
    "PubmedBookArticleSet": ("PubmedBookArticle",),
    "BookDocumentSet": ("BookDocument", *DELETIONS),
}
_KNOWN = (*RECORDS, *DELETIONS)
_ATTRIBUTES = rb"""(?:\s(?:[^<>"']|"[^"]*"|'[^']*')*)?"""
_TAG = re.compile(rb"<(/?)([A-Za-z_][\w.:-]*)(" + _ATTRIBUTES + rb")>")
_DOCTYPE = re.compile(
    rb"""<!DOCTYPE(?:[^<>\[\]"']|"[^"]*"|'[^']*')*"""
    rb"""(?:\[(?:[^\]<"']|"[^"]*"|'[^']*'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?))*\]\s*)?>""",
    re.DOTALL,
)
_SPACE = re.compile(rb"[ \t\r\n]*")
_ARTICLE = re.compile(rb"[ \t\r\n]*(<PubmedArticle>)")
_ARTICLE_END = b"</PubmedArticle>"
_SKIPPED = rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>"
_SKIP = re.compile(_SKIPPED, re.DOTALL)
_BEGINNINGS = (b"<!--", b"<![CDATA[", b"<?")  # of what is skipped


@dataclass(slots=True, eq=False)
class Piece:
    """Some bytes of a file: a record, a list of deletions, or what should not be there."""

    kind: Literal["record", "deletions", "stray", "cut"]  # "cut": the file ends within a record
    data: bytes  # in UTF-8
    prefixes: bytes = b""  # namespaces that the set declares, as attributes
    # A line, the bytes from it on, and where among these it starts.
    before: tuple[int, bytes, int] = (1, b"", 0)

    @property
    def line(self) -> int:
        """Where it starts, from 1; counted only when somebody asks."""
        line, held, at = self.before
        return line + held.count(b"\n", 0, at)


class NotWhole(ValueError):
    """A document that ends before its last element; what came before has been given."""


def pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Cut a document, or several one after the other, into its records.

    Parameters
    ----------
    chunks : iterable of bytes
        The document in parts of any size.

    Raises
    ------
    NotWhole
        At the end, if the document is not closed, or is no XML at all.
    """
    return _Cutter(in_utf8(chunks)).run()


class _Cutter:
    """The state of one pass: what is held of the file, where in it we are, which sets are open."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.held = b""
        self.at = 0  # all before it is done with
        self.line = 1  # where `held` begins
        self.lines = 0  # line feeds in `held`
        self.sets: list[_Set] = []
        self.seen = False  # any element at all
        self.whole = True
        self.fault: NotWhole | None = None  # why there is nothing more to read

    def run(self) -> Iterator[Piece]:
        while True:
            yield from self.articles()
            self.at = _space_end(self.held, self.at)
            if self.at < len(self.held):
                yield from self.next_one()
            elif not self.more():
                break
        if self.fault:
            raise self.fault
        if self.sets:
            raise NotWhole(f"not whole: the document ends before </{self.sets[0].name}>")
        if not self.whole:
            raise NotWhole("not whole: the document ends within a record")
        if not self.seen:
            raise NotWhole("no PubMed XML: there is no element in it")

    def articles(self) -> Iterator[Piece]:
        """Articles that follow each other with blanks between, up to the last whole one held.

        The first that is anything else, or has a comment, CDATA or an instruction in it, is left
        to `next_one`.
        """
        if not _ARTICLE.match(self.held, self.at) or not self.may_hold("PubmedArticle"):
            return
        held, line = self.held, self.line
        prefixes = self.sets[-1].prefixes if self.sets else b""
        quiet = not _has_more_than_tags(held, self.at)
        while (end := held.find(_ARTICLE_END, self.at)) >= 0:
            match = _ARTICLE.match(held, self.at)
            end += len(_ARTICLE_END)
            if not match or not (quiet or not _has_more_than_tags(held, self.at, end)):
                return
            start, self.at, self.seen = match.start(1), end, True
            yield Piece("record", held[start:end], prefixes, (line, held, start))

    def more(self) -> bool:
        """Read on; false at the end of the file, or of what of it can be read."""
        try:
            chunk = next(self.chunks, None)
        except NotWhole as fault:
            chunk, self.fault = None, fault
        if chunk is not None:
            rest = self.held[self.at :]
            begun = _lines(rest)
            self.line += self.lines - begun
            self.held, self.at = rest + chunk, 0
            self.lines = begun + _lines(chunk)
        return chunk is not None

    def take(self, end: int) -> bytes:
        """The bytes up to ``end``, now done with."""
        data = self.held[self.at : end]
        self.at = end
        return data

    def may_hold(self, name: str) -> bool:
        """Whether a record of that name may stand here."""
        return not self.sets or self.sets[-1].holds(name)

    def next_one(self) -> Iterator[Piece]:
        """Whatever stands at the present place; spaces are behind us."""
        held, at = self.held, self.at
        match: re.Match[bytes] | None
        if held.startswith(b"<!--", at):
            yield from self.skip(b"-->")
        elif held.startswith(b"<?", at):
            yield from self.skip(b"?>")
        elif match := _TAG.match(held, at):
            yield from self.element(match)
        elif match := _DOCTYPE.match(held, at):
            self.take(match.end())
        elif not held.startswith(b"<", at) or len(held) - at > PROLOG or not self.more():
            rest = self.held[self.at :]
            if self.sets and f"</{self.sets[-1].name}>".encode().startswith(rest):
                self.at = len(held)  # the file is cut off within its last tag
            elif rest.startswith(b"<") and b">" not in rest:
                yield self.cut()
            else:
                yield self.stray("stray")

    def skip(self, mark: bytes) -> Iterator[Piece]:
        while (end := self.held.find(mark, self.at + 2)) < 0:
            if len(self.held) - self.at > LONGEST or not self.more():
                yield self.stray("stray")
                return
        self.take(end + len(mark))

    def element(self, tag: re.Match[bytes]) -> Iterator[Piece]:
        self.seen = True
        closing, name = bool(tag.group(1)), tag.group(2).decode()
        local = name.rpartition(":")[2]
        empty = tag.group(3).endswith(b"/")
        inner = self.sets[-1] if self.sets else None
        if closing:
            if inner and name == inner.name:
                self.sets.pop()
                self.take(tag.end())
            else:
                yield self.stray("stray")
        elif local in _KNOWN and self.may_hold(local):
            if empty:
                yield self.piece(local, tag.end())
            else:
                yield from self.record(name, local)
        elif inner is None or local in _WITHIN:
            if not empty:
                self.sets.append(_Set(name, _WITHIN.get(local, _KNOWN), _prefixes(tag.group(3))))
            self.take(tag.end())
        else:
            yield self.stray("stray")

    def record(self, name: str, local: str) -> Iterator[Piece]:
        """From a record's start tag to the end tag of the same name."""
        self.seen = True
        mark = f"</{name}>".encode()
        search = self.at
        while len(self.held) - self.at <= LONGEST:
            end = self.held.find(mark, search)
            if end < 0:
                known = len(self.held) - self.at - len(mark)
                if not self.more():
                    break
                search = max(self.at, self.at + known)
                continue
            search = end + 1
            end += len(mark)
            if _has_more_than_tags(self.held, self.at, end):
                end = _end_outside_comments(self.held, self.at, name)
            if end:
                yield self.piece(local, end)
                return
        else:
            yield self.stray("record")
            return
        spaced = re.compile(rb"</" + name.encode() + rb"\s+>").search(self.held, self.at)
        yield self.piece(local, spaced.end()) if spaced else self.cut()

    def piece(self, name: str, end: int) -> Piece:
        prefixes = self.sets[-1].prefixes if self.sets else b""
        before = (self.line, self.held, self.at)
        kind: Literal["record", "deletions"] = "deletions" if name in DELETIONS else "record"
        return Piece(kind, self.take(end), prefixes, before)

    def cut(self) -> Piece:
        """The file ends within a record, or its end tag is missing and the set's follows."""
        closing = f"</{self.sets[-1].name}>".encode() if self.sets else b""
        end = self.held.rfind(closing, self.at) if closing else -1
        before = (self.line, self.held, self.at)
        if end >= 0:
            return Piece("record", self.take(end), self.sets[-1].prefixes, before=before)
        self.whole = False
        return Piece("cut", self.take(len(self.held)), before=before)

    def stray(self, kind: Literal["stray", "record"]) -> Piece:
        """What belongs to no record, up to where something known begins."""
        inner = self.sets[-1] if self.sets else None
        names = "|".join(inner.names if inner else _KNOWN)
        ends = f"|</{inner.name}>" if inner else ""
        known = re.compile(rf"<(?:{names})[\s>/]|<\?xml\s|<!DOCTYPE{ends}".encode())
        before, found, start = (self.line, self.held, self.at), b"", self.at + 1
        while not (match := known.search(self.held, start)):
            if len(self.held) - self.at > 2 * CHUNK:  # only the beginning of it is kept
                found = (found + self.take(len(self.held) - 64))[:KEPT]
            if not self.more():
                break
            start = self.at if found else self.at + 1
        found += self.take(match.start() if match else len(self.held))
        prefixes = inner.prefixes if inner else b""
        return Piece(kind, found[:KEPT].rstrip(), prefixes, before=before)


@dataclass(slots=True)
class _Set:
    """An element around records, and what may stand in it."""

    name: str
    names: tuple[str, ...]
    prefixes: bytes  # that it declares, as attributes
    empty: bool = True  # nothing has been found in it yet

    def holds(self, name: str) -> bool:
        """Whether a record may be called so here; the first one found may have any known name."""
        if self.empty and name not in self.names:
            self.names = (*self.names, name)
        self.empty = False
        return name in self.names


def _prefixes(attributes: bytes) -> bytes:
    return b"".join(re.findall(rb"""\sxmlns:[\w.-]+\s*=\s*(?:"[^"]*"|'[^']*')""", attributes))


def _lines(data: bytes) -> int:
    """How many line feeds there are."""
    return int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A))


def _has_more_than_tags(data: bytes, start: int, end: int | None = None) -> bool:
    """Whether there is a comment, CDATA or an instruction."""
    return _no_tag(data, start, end) >= 0


def _no_tag(data: bytes, start: int, end: int | None = None) -> int:
    """Where the first ``<!`` or ``<?`` is, -1 if there is none; by the signs, which are rare."""
    first = -1
    for sign in (b"!", b"?"):
        at = data.find(sign, start + 1, end)
        while at >= 0 and data[at - 1] != 0x3C:  # <
            at = data.find(sign, at + 1, end)
        if at >= 0:
            first = end = at - 1
    return first


def _space_end(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at


def _end_outside_comments(data: bytes, start: int, name: str) -> int:
    """Where the end tag ends that is in no comment, CDATA or instruction; 0 if there is none."""
    tag = re.compile(rf"</{name}\s*>".encode())
    while True:
        other = _no_tag(data, start)
        if match := tag.search(data, start, len(data) if other < 0 else other):
            return match.end()
        if other < 0:
            return 0
        if skipped := _SKIP.match(data, other):
            start = skipped.end()
        elif data.startswith(_BEGINNINGS, other):
            return 0
        else:
            start = other + 2


def starts_within(data: bytes) -> list[int]:
    """Where further records of the same kind begin inside of a damaged one."""
    tag = _TAG.match(data)
    if tag is None:
        return []
    again = re.compile(_SKIPPED + rb"|(<" + tag.group(2) + rb"[\s>])", re.DOTALL)
    return [m.start() for m in again.finditer(data, tag.end()) if m.group(1)]


# --- bytes -----------------------------------------------------------------------------------


def in_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8, without a mark at its beginning.

    The encoding is taken from the mark or from the XML declaration. Bytes that belong to no
    character stay as they are, so that the record that holds them is refused.

    Raises
    ------
    NotWhole
        If the declaration names an encoding that does not exist.
    """
    source = iter(chunks)
    head = b""
    while len(head) < 256 and (chunk := next(source, None)) is not None:
        head += chunk
    name = _encoding(head)
    if name == "utf-8":
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from source
        return
    try:
        decoder = codecs.getincrementaldecoder(name)("surrogateescape")
    except LookupError:
        raise NotWhole(f"not readable: there is no encoding {name!r}") from None

    def text(data: bytes, final: bool = False) -> bytes:
        try:
            return decoder.decode(data, final).encode("utf-8", "surrogateescape")
        except UnicodeError as fault:
            raise NotWhole(f"not readable as {name}: {fault}") from None

    yield text(head).removeprefix(codecs.BOM_UTF8)
    for chunk in source:
        yield text(chunk)
    yield text(b"", True)


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for name, start in (("utf-16-le", b"<\0"), ("utf-16-be", b"\0<")):
        if head.startswith(start):
            return name
    match = re.match(
        rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""",
        head,
    )
    name = match.group(1).decode("ascii", "replace").lower() if match else "utf-8"
    return "utf-8" if name in ("utf8", "us-ascii", "ascii") else name


def read_chunks(file: BinaryIO, *, size: int = CHUNK) -> Iterator[bytes]:
    """The bytes of an open file; decompressed where it is gzip, in little memory.

    Raises
    ------
    NotWhole
        If compressed data end early or are damaged; what could be read has been given.
    """
    data = file.read(size)
    if not data.startswith(b"\x1f\x8b"):
        while data:
            yield data
            data = file.read(size)
        return
    inflate: Any = zlib_ng.decompressobj(wbits=31)
    while data:
        before = inflate.copy()
        try:
            text = inflate.decompress(data, 4 * size)
        except _DAMAGED as fault:
            yield from _undamaged(before, data)
            raise NotWhole(f"not whole: the compressed data are damaged ({fault})") from None
        yield text
        data = inflate.unconsumed_tail
        if inflate.eof:
            data = (inflate.unused_data or file.read(size)).lstrip(b"\0")  # padding
            if data:
                inflate = zlib_ng.decompressobj(wbits=31)
        elif not data:
            data = file.read(size)
    if not inflate.eof:
        raise NotWhole("not whole: the compressed data end early")


def _undamaged(inflate: Any, data: bytes) -> Iterator[bytes]:
    """What can be decompressed before the place of the damage, in ever smaller steps."""
    for step in (4096, 64, 1):
        for start in range(0, len(data), step):
            before = inflate.copy()
            try:
                text = inflate.decompress(data[start : start + step])
            except _DAMAGED:
                inflate, data = before, data[start : start + step]
                break
            yield text
