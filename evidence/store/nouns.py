"""What the store says, beside records and runs."""

from __future__ import annotations

import dataclasses
import datetime as dt

# What a notice about a record makes of it; other notices, such as comments, make nothing of it.
STATES = {
    "RetractionIn": "retraction",
    "ExpressionOfConcernIn": "concern",
    "ErratumIn": "erratum",
    "UpdateIn": "update",
    "RetractedandRepublishedIn": "republication",
    "CorrectedandRepublishedIn": "republication",
    "RepublishedIn": "republication",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What a batch of records brought, as PMIDs."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    retracted: tuple[str, ...]  # retracted now, and not known to be before


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """A retraction, concern, erratum, update or republication of a record."""

    pmid: str
    state: str
    notice: str  # "ErratumIn: Journal. 2020;1:2 (PMID 1)"
    first_seen: dt.date


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """How a claim's set of records moved, as PMIDs."""

    new: tuple[str, ...]  # found for the first time, or again after a while
    dropped: tuple[str, ...]  # no longer found


@dataclasses.dataclass(frozen=True, slots=True)
class Other:
    """A reference of another database than PubMed, and the work that it is."""

    id: str
    source: str
    body: str
    name: str
    pmid: str | None = None

    @property
    def at(self) -> str:
        """ "embase.ris#12": its file and line as people read them."""
        file, _, line = self.id.rpartition("#")
        return f"{file}#{line.lstrip('0')}"


@dataclasses.dataclass(frozen=True, slots=True)
class StoreCounts:
    """What the store holds for a claim."""

    found: int | None  # None is "never searched"
    without_record: int  # found, but never delivered
    dropped: int
    retracted: int
