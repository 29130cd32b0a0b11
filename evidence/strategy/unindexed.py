"""Records that have no headings yet: what a concept of headings alone cannot find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from evidence.model import Record

_ENTERED = ("pubmed", "entrez")  # PubStatus of the day on which a record entered PubMed


@dataclass(frozen=True, slots=True)
class Year:
    """The records that entered PubMed in one year."""

    year: int | None  # None where a record does not say
    records: int
    without_headings: int
    not_medline: int  # of those without headings: status other than MEDLINE


@dataclass(frozen=True, slots=True)
class Unindexed:
    """How many of some records have no headings, by year of entry, the latest first."""

    years: tuple[Year, ...]

    @property
    def records(self) -> int:
        return sum(year.records for year in self.years)

    @property
    def without_headings(self) -> int:
        return sum(year.without_headings for year in self.years)

    @property
    def share(self) -> float | None:
        """0 to 1; None without records."""
        return self.without_headings / self.records if self.records else None


def unindexed(records: Iterable[Record]) -> Unindexed:
    """Count records without MeSH headings by the year in which they entered PubMed."""
    counts: Counter[int | None] = Counter()
    bare: Counter[int | None] = Counter()
    waiting: Counter[int | None] = Counter()
    for record in records:
        year = entered(record)
        counts[year] += 1
        if not record.mesh:
            bare[year] += 1
            waiting[year] += record.status.upper() != "MEDLINE"
    years = sorted(counts, key=lambda y: (y is None, -(y or 0)))
    return Unindexed(tuple(Year(y, counts[y], bare[y], waiting[y]) for y in years))


def entered(record: Record) -> int | None:
    """The year in which a record entered PubMed, else that of publication."""
    days = {step.event: step.date for step in record.history}
    for event in _ENTERED:
        if days.get(event, "")[:4].isdigit():
            return int(days[event][:4])
    return record.year
