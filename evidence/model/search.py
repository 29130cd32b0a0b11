"""A search as it ran, and what each source gave."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchRun:
    """One search as it ran, for PRISMA-S."""

    claim: str
    source: str
    ran_on: dt.date
    query: str
    translation: str
    count: int
    warnings: tuple[str, ...]
    complete: bool
    kind: str = "full"  # "full" or "revised"
    basis: str = ""  # what a mirror or a file holds; PubMed itself rests on nothing else


@dataclass(frozen=True, slots=True)
class FromSource:
    """How many records of a claim a source gave, for the flow of records (PRISMA 2020)."""

    kind: str  # "search", "mirror", "file", "second" or "citation"
    label: str
    on: dt.date | None  # the last time
    identified: int
    added: int  # of these, in no source above it
    apart: int = 0  # found by the mirror, and no longer by PubMed
    basis: str = ""

    @property
    def duplicates(self) -> int:
        """Records that a source above it, or the same one, gave already."""
        return self.identified - self.added
