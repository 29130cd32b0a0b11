"""Files of references, in and out: RIS, MEDLINE, BibTeX, EndNote and PubMed XML, CSV, ids."""

from __future__ import annotations

from evidence.formats.receipt import Import, RefusedEntry
from evidence.formats.reference import Reference, from_record, make
from evidence.formats.registry import FORMATS, Format, guess, kept, loses, read, read_file, write

__all__ = [
    "FORMATS",
    "Format",
    "Import",
    "Reference",
    "RefusedEntry",
    "from_record",
    "guess",
    "kept",
    "loses",
    "make",
    "read",
    "read_file",
    "write",
]
