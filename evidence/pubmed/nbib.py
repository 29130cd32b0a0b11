"""Files in NLM's MEDLINE format, as PubMed's page exports them (.nbib, "PubMed" .txt)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Bio import Medline

from evidence.errors import SourceError
from evidence.model import Record
from evidence.pubmed.articles import is_retracted

_NOTICES = {
    "RIN": "RetractionIn",
    "ROF": "RetractionOf",
    "PRIN": "PartialRetractionIn",
    "ECI": "ExpressionOfConcernIn",
    "EIN": "ErratumIn",
    "UIN": "UpdateIn",
    "CRI": "CorrectedandRepublishedIn",
    "RRI": "RetractedandRepublishedIn",
    "RPI": "RepublishedIn",
}
_LINE = re.compile(r"(?=.{4}-(?: |$))[A-Z]{2,4} *-|      ")
_PMID = re.compile(r"PMID-")


@dataclass(frozen=True, slots=True)
class NbibFile:
    """What a file holds: every entry is either a record or refused by name."""

    records: tuple[Record, ...]
    refused: tuple[str, ...]  # "pubmed-set.nbib:120  no PMID"


def read_nbib(path: Path) -> NbibFile:
    """Read an export of PubMed's page.

    An entry without a PMID, or with lines that are not in the format, is refused and named with
    its line; the others are read.

    Raises
    ------
    SourceError
        If the file cannot be read, or holds no entry at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except (OSError, UnicodeDecodeError) as fault:
        raise SourceError(f"{path} cannot be read: {fault}") from None
    records: list[Record] = []
    refused: list[str] = []
    for line, entry in _entries(text.splitlines()):
        answer = _record(entry)
        if isinstance(answer, Record):
            records.append(answer)
        else:
            refused.append(f"{path}:{line + answer[0]}  {answer[1]}")
    if not records and not refused:
        raise SourceError(
            f"{path} holds no record",
            remedy='on PubMed choose "Send to", "Citation manager", or Save with format PubMed',
        )
    return NbibFile(tuple(records), tuple(refused))


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Blocks of lines with the line where each starts; a blank line or a PMID starts a block."""
    block: list[str] = []
    start = 1
    for number, line in enumerate(lines, 1):
        new = _PMID.match(line) and any(_PMID.match(held) for held in block)
        if block and (new or not line.strip()):
            yield start, block
            block = []
        if line.strip():
            if not block:
                start = number
            block.append(line)
    if block:
        yield start, block


def _record(entry: list[str]) -> Record | tuple[int, str]:
    """The record, or the offset of the offending line and what is wrong with it."""
    for offset, line in enumerate(entry):
        if not _LINE.match(line) or (offset == 0 and line.startswith(" ")):
            return offset, f"{line[:40]!r} is not in the MEDLINE format"
    # Unfolded, for Bio.Medline takes the second line of a long keyword for a keyword of its own.
    whole: list[str] = []
    for line in entry:
        if line.startswith(" "):
            whole[-1] = f"{whole[-1].rstrip()} {line.strip()}"
        else:
            whole.append(line)
    lines = (line + "\n" for line in whole)
    fields = next(Medline.parse(lines))  # type: ignore[no-untyped-call]  # Biopython has no types
    pmid = _one(fields, "PMID")
    if not pmid.isdigit():
        return 0, f"PMID {pmid!r}" if pmid else "no PMID"
    kinds = _many(fields, "PT")
    notices = tuple(
        f"{name}: {_notice(text)}" for key, name in _NOTICES.items() for text in _many(fields, key)
    )
    # Bio.Medline joins several LID lines into one text.
    doi = re.search(r"(\S+) \[doi\]", " ".join(_many(fields, "AID") + _many(fields, "LID")))
    revised = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", _one(fields, "LR"))
    year = re.search(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)", _one(fields, "DP"))
    book = _one(fields, "BTI")
    title = _one(fields, "TI")
    return Record(
        pmid=pmid,
        title=title or book or _one(fields, "TT"),
        abstract=_one(fields, "AB"),
        authors=_many(fields, "AU") + _many(fields, "CN"),
        year=int(year.group()) if year else None,
        journal=_one(fields, "JT") or _one(fields, "TA") or (book if title else ""),
        doi=doi.group(1) if doi else None,
        pmcid=_one(fields, "PMC") or None,
        mesh=_many(fields, "MH"),
        kinds=kinds,
        keywords=_many(fields, "OT"),
        language=", ".join(_many(fields, "LA")),
        status=_one(fields, "STAT"),
        version=1,  # the format does not carry it
        retracted=is_retracted(kinds, notices),
        notices=notices,
        revised="-".join(revised.groups()) if revised else None,
    )


def _one(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key, "")
    return " ".join((value if isinstance(value, str) else " ".join(value)).split())


def _many(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = fields.get(key, [])
    values = [value] if isinstance(value, str) else value
    return tuple(text for v in values if (text := " ".join(v.split())))


def _notice(text: str) -> str:
    """ "J Foo. 2020;1:2. PMID: 7" in the words of the XML reader: "J Foo. 2020;1:2 (PMID 7)"."""
    where, _, pmid = text.partition(" PMID: ")
    return f"{where.rstrip('.')} (PMID {pmid})" if pmid else text
