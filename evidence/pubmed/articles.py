"""PubMed XML to `Record`: every field, no network, no DTD, no entities."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from evidence.model import Record
from evidence.pubmed.books import book_record
from evidence.pubmed.citations import NOTICES, citation_record
from evidence.pubmed.regular import regular_record
from evidence.pubmed.xml_parts import is_pmid, is_retracted, only, version
from evidence.pubmed.xml_split import (
    NotWhole,
    Piece,
    pieces,
    read_chunks,
    starts_within,
)
from evidence.pubmed.xml_text import Element, by_name, text, tree

__all__ = [
    "NOTICES",
    "Deleted",
    "NotWhole",
    "Unreadable",
    "is_retracted",
    "parse_articles",
    "stream_articles",
]

_PMID = re.compile(rb"<PMID[^<>]*>\s*(\d+)\s*</PMID")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a file that is no record: its bytes as they are, its place, and why."""

    number: int  # among the articles of the file, from 1
    why: str
    pmid: str | None = None  # the first that stands in it
    line: int = 0  # of the file, from 1
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.line}  {self.why}"


@dataclass(frozen=True, slots=True)
class Deleted:
    """A record that PubMed has withdrawn."""

    pmid: str
    version: int | None  # None: the file does not say which


def parse_articles(xml: bytes) -> tuple[list[Record], list[Unreadable]]:
    """All articles and book articles of a document.

    Characters that XML forbids are dropped before parsing.

    Parameters
    ----------
    xml : bytes
        A ``PubmedArticleSet`` as EFetch sends it; an old ``MedlineCitationSet``, a book set or a
        single article is understood too.

    Raises
    ------
    NotWhole
        If the document ends before it is closed, or is no XML.
    """
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    for answer in read(pieces([xml])):
        if isinstance(answer, Record):
            records.append(answer)
        elif isinstance(answer, Unreadable):
            unreadable.append(answer)
    return records, unreadable


def stream_articles(file: BinaryIO) -> Iterator[Record | Unreadable | Deleted]:
    """The articles of a large file one by one, in little memory; what cannot be read is named.

    Parameters
    ----------
    file : binary file
        Open for reading; gzip is recognised.

    Raises
    ------
    NotWhole
        At the end, if the document is not closed; what came before has been given.
    """
    return read(pieces(read_chunks(file)))


def read(found: Iterable[Piece]) -> Iterator[Record | Unreadable | Deleted]:
    """What the pieces of a document say."""
    numbers = itertools.count(1)
    for piece in found:
        if piece.kind == "record" and (record := regular_record(piece.data)):
            next(numbers)
            yield record
        elif piece.kind == "deletions":
            yield from _deletions(piece)
        elif piece.kind == "stray":
            yield _unreadable(piece, 0, "it belongs to no record")
        else:
            yield from _articles(piece, numbers)


def _articles(piece: Piece, numbers: Iterator[int]) -> Iterator[Record | Unreadable]:
    """The record of a piece; of a damaged one, those that begin within it are read too."""
    try:
        if piece.kind == "cut":
            raise ValueError("the file ends within this record")
        article = tree(piece.data, piece.prefixes)
    except ValueError as fault:
        within = starts_within(piece.data)
        if not within:
            yield _unreadable(piece, next(numbers), str(fault))
            return
        starts = [0, *within, len(piece.data)]
        for begin, end in itertools.pairwise(starts):
            data = piece.data[begin:end]
            kind = piece.kind if end == len(piece.data) else "record"
            part = Piece(kind, data, piece.prefixes, before=(piece.line, piece.data, begin))
            yield from _articles(part, numbers)
        return
    number = next(numbers)
    try:
        yield _record(article)
    except ValueError as fault:
        yield _unreadable(piece, number, str(fault))


def _unreadable(piece: Piece, number: int, why: str) -> Unreadable:
    match = _PMID.search(piece.data)
    pmid = match.group(1).decode() if match else None
    return Unreadable(number, why, pmid, piece.line, piece.data)


def _deletions(piece: Piece) -> Iterator[Deleted | Unreadable]:
    try:
        listed = tree(piece.data, piece.prefixes)
    except ValueError as fault:
        yield _unreadable(piece, 0, str(fault))
        return
    for element in listed.iter("PMID"):
        if is_pmid(text(element)):
            yield Deleted(text(element), version(element) if element.get("Version") else None)
        elif text(element):
            yield _unreadable(piece, 0, f"PMID {text(element)!r} in a list of deletions")


# --- a record --------------------------------------------------------------------------------


def _record(article: Element) -> Record:
    """A record, from the element that holds it.

    Raises
    ------
    ValueError
        If it says too little to be one.
    """
    parts = by_name(article)
    document = article if article.tag == "BookDocument" else only(parts, "BookDocument")
    if document is not None:
        return book_record(document, only(parts, "PubmedBookData"))
    citation = (
        article
        if article.tag == "MedlineCitation"
        else only(parts, "MedlineCitation", "NCBIArticle")
    )
    if citation is None:
        raise ValueError("no MedlineCitation")
    return citation_record(citation, only(parts, "PubmedData", "PubMedData"))
