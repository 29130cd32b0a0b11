"""Files of records, one record after the other: PubMed XML, plain or compressed, NBIB and RIS."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from evidence.errors import SourceError
from evidence.formats.reference import Reference
from evidence.model import AbstractSection, Author, Journal, PubDate, Record
from evidence.pubmed.articles import Deleted, Unreadable, stream_articles
from evidence.pubmed.nbib import read_nbib
from evidence.pubmed.xml_dates import iso

_HEAD = 4096  # bytes in which the first mark of a format must stand


def read_records(path: Path) -> Iterator[Record | Unreadable | Deleted]:
    """The records of a file; its format is found by its content.

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
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(0)
            if _is_xml(head):
                yield from stream_articles(file)
                return
    except OSError as fault:
        raise SourceError(f"{path} cannot be read: {fault.strerror}") from None
    except ValueError as fault:
        raise SourceError(
            f"{path} is {fault}",
            remedy="fetch it again; the records before the fault have been given",
        ) from None
    if b"TY  -" in head:
        yield from _ris(path)
    else:
        yield from _nbib(path)


def _is_xml(head: bytes) -> bool:
    """XML, whatever its encoding, or compressed: nothing else comes compressed from NLM."""
    if head.startswith((b"\x1f\x8b", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").lstrip().startswith(b"<")


def _nbib(path: Path) -> Iterator[Record | Unreadable]:
    read = read_nbib(path)
    yield from read.records
    for number, text in enumerate(read.refused, len(read.records) + 1):
        place, _, why = text.partition("  ")
        yield Unreadable(number, why, line=int(place.rpartition(":")[2]))


def _ris(path: Path) -> Iterator[Record | Unreadable]:
    from evidence.formats.registry import read_file

    found = read_file(path, format="ris")
    yield from (from_reference(reference) for reference in found.references)
    for number, entry in enumerate(found.refused, len(found.references) + 1):
        yield Unreadable(number, entry.why, line=entry.line, data=entry.data)


def from_reference(reference: Reference) -> Record:
    """What a reference of another database says, under the names of a `Record`.

    ``pmid`` is "" where none is known; names of authors are as the database writes them.
    """
    r = reference
    first = iso(*r.date.split("-")) if r.date else None
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
