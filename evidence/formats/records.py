"""Files of records, one record after the other: PubMed XML, NBIB and RIS, compressed or not."""

from __future__ import annotations

import codecs
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from evidence.errors import SourceError
from evidence.formats.reference import Reference
from evidence.formats.text import decode
from evidence.model import AbstractSection, Author, Journal, PubDate, Record
from evidence.pubmed.articles import Deleted, Unreadable, stream_articles
from evidence.pubmed.nbib import nbib_entries
from evidence.pubmed.xml_dates import iso
from evidence.pubmed.xml_split import read_chunks

STDIN = Path("-")
_HEAD = 4096  # bytes in which the first mark of a format must stand
_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\0": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}
_RIS = re.compile(r"^\s*TY  ?-", re.MULTILINE)
_NBIB = re.compile(r"^[A-Z]{2,4} *- ", re.MULTILINE)


def read_records(path: Path) -> Iterator[Record | Unreadable | Deleted]:
    """The records of a file; its format is found by its content.

    It is read once from its beginning to its end, so that it may be a pipe; ``-`` is standard
    input.

    Yields
    ------
    Record, Unreadable or Deleted
        In the order of the file. From PubMed XML as a stream, in little memory.

    Raises
    ------
    SourceError
        If the file cannot be read or is in none of the formats; at the end, if it is not whole:
        what came before has been given.
    """
    name = "standard input" if path == STDIN else str(path)
    try:
        with nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb") as opened:
            file = _Begun(cast(BinaryIO, opened))
            if _is_xml(_uncompressed(file.head, name)):
                yield from stream_articles(cast(BinaryIO, file))
                return
            data = b"".join(read_chunks(cast(BinaryIO, file)))
    except OSError as fault:
        raise SourceError(f"{name} cannot be read: {fault.strerror}") from None
    except ValueError as fault:
        raise SourceError(
            f"{name} is {fault}",
            remedy="fetch it again; the records before the fault have been given",
        ) from None
    if not data.strip():
        raise SourceError(f"{name} is empty")
    text, _ = decode(data, file=name)
    if _RIS.search(text, 0, _HEAD):
        yield from _ris(data, name)
    elif _NBIB.search(text, 0, _HEAD):
        yield from _nbib(text)
    else:
        raise SourceError(
            f"{name} is in none of the formats PubMed XML, NBIB and RIS",
            remedy="`evidence import` reads files of other databases",
        )


class _Begun:
    """An open file of which the beginning has been looked at, and which cannot be wound back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = b""
        while len(self.head) < _HEAD and (more := file.read(_HEAD - len(self.head))):
            self.head += more
        self._kept = self.head

    def read(self, size: int = -1) -> bytes:
        kept, self._kept = self._kept, b""
        return kept or self._file.read(size)


def _uncompressed(head: bytes, name: str) -> bytes:
    """The beginning of what is in a file.

    Raises
    ------
    SourceError
        If it is packed in a way that NLM does not use.
    """
    for mark, kind in _PACKED.items():
        if head.startswith(mark):
            raise SourceError(f"{name} is {kind}", remedy="unpack it first; gzip alone is read")
    if not head.startswith(_GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b"<"  # the reader of XML says what is wrong, and gives what can be read


def _is_xml(head: bytes) -> bool:
    """Whether it is XML, whatever its encoding."""
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").lstrip().startswith(b"<")


def _nbib(text: str) -> Iterator[Record | Unreadable]:
    for number, (line, entry, answer) in enumerate(nbib_entries(text), 1):
        if isinstance(answer, Record):
            yield answer
        else:
            yield Unreadable(number, answer, line=line, data="\n".join(entry).encode())


def _ris(data: bytes, name: str) -> Iterator[Record | Unreadable]:
    from evidence.formats.registry import read

    found = read(data, file=name, format="ris")
    yield from (from_reference(reference) for reference in found.references)
    for number, entry in enumerate(found.refused, len(found.references) + 1):
        yield Unreadable(number, entry.why, line=entry.line, data=entry.data)


def from_reference(reference: Reference) -> Record:
    """What a reference of another database says, under the names of a `Record`.

    ``pmid`` is "" where none is known; names of authors are as the database writes them.
    """
    r = reference
    first = iso(*r.date.split("-", 2)) if r.date else None  # it may be as written, in any form
    first = first or (f"{r.year:04d}" if r.year else None)
    ids = (("pubmed", r.pmid), ("doi", r.doi), ("pmc", r.pmcid), (r.database, r.accession))
    return Record(
        pmid=r.pmid or "",
        title=r.title,
        abstract=r.abstract,
        authors=r.authors,
        year=r.year,
        journal=r.journal or r.journal_short,
        doi=r.doi,
        pmcid=r.pmcid,
        mesh=r.mesh,
        kinds=r.types or (r.kind,),
        keywords=r.keywords,
        language=r.language,
        status="",
        version=1,
        retracted="Retracted Publication" in r.types,
        notices=(),
        revised=None,
        sections=(AbstractSection(r.abstract),) if r.abstract else (),
        people=tuple(_author(name, n) for n, name in enumerate(r.authors, 1)),
        periodical=Journal(
            title=r.journal, medline=r.journal_short, issn=r.issn[0] if r.issn else None
        ),
        volume=r.volume,
        issue=r.issue,
        pages=r.pages,
        pubdate=PubDate(r.date or str(r.year), first, first) if first else None,
        ids=tuple((kind, text) for kind, text in ids if text),
        languages=tuple(t for t in r.language.split(", ") if t),
        notes=tuple(("", note) for note in r.notes),
    )


def _author(name: str, position: int) -> Author:
    """ "Family, Given, Suffix"; a name without a comma is a group's."""
    last, comma, rest = name.partition(", ")
    if not comma:
        return Author(collective=name, position=position)
    fore, _, suffix = rest.partition(", ")
    initials = fore if fore.isupper() and len(fore) <= 4 else ""
    return Author(last, fore, initials, suffix, position=position)
