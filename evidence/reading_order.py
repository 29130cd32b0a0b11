"""A claim's records in reading order, and how that order came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence.claims import Claim
from evidence.model import Extraction, Record
from evidence.triage import rank

READING_COLUMNS = ("place", "score", "pmid", "year", "title", "journal", "link", "found_in")


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """Records with their scores, most likely relevant first, and the method in words."""

    claim: str
    method: str
    records: tuple[tuple[Record, float], ...]
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by record: its sources

    def json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "method": self.method,
            "records": [
                {
                    "pmid": r.pmid,
                    "score": round(score, 6),
                    "found_in": list(self.origins.get(r.pmid, ())),
                }
                for r, score in self.records
            ],
        }


def reading_order(
    claim: Claim, extraction: Extraction, records: Sequence[Record], decisions: dict[str, bool]
) -> ReadingOrder:
    """Rank a claim's records by its decisions and its protocol.

    Parameters
    ----------
    decisions : dict of str to bool
        PMID or study id to relevant or not, as `assemble.decided` gives them.
    """
    pmid_of = {s.study_id: s.pmid for s in extraction.studies if s.pmid}
    known = {pmid_of.get(record, record): relevant for record, relevant in decisions.items()}
    ranking = rank(records, known, claim.protocol_text())
    by_pmid = {r.pmid: r for r in records}
    return ReadingOrder(
        claim=claim.id,
        method=ranking.method,
        records=tuple((by_pmid[pmid], score) for pmid, score in ranking.order),
    )


def reading_order_rows(
    records: Sequence[tuple[Record, float]], origins: Mapping[str, tuple[str, ...]]
) -> Iterator[dict[str, object]]:
    """The reading order as rows for CSV; ``found_in`` names the sources of each record."""
    for place, (record, score) in enumerate(records, start=1):
        yield {
            "place": place,
            "score": f"{score:.4f}",
            "pmid": record.pmid,
            "year": record.year,
            "title": record.shown_title,
            "journal": record.journal,
            "link": record.link,
            "found_in": "; ".join(origins.get(record.pmid, ())),
        }
