"""A list of PubMed ids, one a line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, clean_pmid, line, make
from evidence.formats.text import encode, lines
from evidence.model import Place


def read_pmids(text: str, *, file: str, encoding: str) -> Read:
    """Ids on lines of their own, or with commas or blanks between them."""
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    counted = 0
    for number, raw in enumerate(lines(text), 1):
        for word in re.split(r"(?<!PMID:)[\s,;]+", line(raw)):
            if not word or word.casefold() in ("pmid", "pmid:"):
                continue
            counted += 1
            pmid = clean_pmid(word)
            if pmid is None:
                why = f"{word[:40]!r} is no PubMed id"
                refused.append(RefusedEntry(file, number, why, encode(word, encoding)))
            else:
                place = Place(file, number)
                references.append(make(pmid=pmid, source_id=pmid, at=place))
    return Read(references, refused, counted)


def write_pmids(references: Iterable[Reference]) -> str:
    """The PubMed ids, one a line; a reference without one is left out, as `loses` says."""
    return "".join(f"{r.pmid}\n" for r in references if r.pmid)
