"""PubMed XML as references: `evidence.pubmed` reads the record, which the reference carries."""

from __future__ import annotations

import io
import re

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, from_record
from evidence.model import Place, Record
from evidence.pubmed.articles import Deleted, stream_articles

_BEGIN = re.compile(rb"<(PubmedArticle|PubmedBookArticle)[\s>]")
_OLD = re.compile(rb"<MedlineCitation[\s>]")


def read_pubmed_xml(data: bytes, *, file: str) -> Read:
    """The articles of a PubMed XML document."""
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    deleted = 0
    try:
        for answer in stream_articles(io.BytesIO(data)):
            if isinstance(answer, Record):
                number = len(references) + len(refused) + 1
                reference = from_record(answer)
                references.append(reference.with_(record=answer, at=Place(file, number)))
            elif isinstance(answer, Deleted):
                deleted += 1
            else:
                refused.append(RefusedEntry(file, answer.line, answer.why, answer.data))
    except ValueError as fault:
        warnings.append(f"{file} is not whole: {fault}")
    if deleted:
        warnings.append(f"{file} names {deleted} records that PubMed has withdrawn")
    counted = len(_BEGIN.findall(data)) or len(_OLD.findall(data))
    return Read(references, refused, counted, warnings, dialect="PubMed")
