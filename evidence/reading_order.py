"""A claim's records in reading order, and how that order came about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.claims import Claim
from evidence.files import read_text
from evidence.model import Extraction, Record
from evidence.triage import rank
from evidence.triage.explain import Drift
from evidence.triage.protocols import Protocol, structured
from evidence.triage.ranking import Checks
from evidence.triage.scale import parts_of, rank_parts
from evidence.triage.views import VIEWS, View, chosen
from evidence.triage.wording import Used

READING_COLUMNS = ("place", "score", "pmid", "year", "title", "journal", "link", "found_in")
LINK_COLUMNS = ("citing", "cited")
IN_PARTS_FROM = 150_000  # records; one engine would take 5 GB

Links = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class ReadingOrder:
    """Records with their scores, most likely relevant first, and the method in words."""

    claim: str
    method: str
    records: tuple[tuple[Record, float], ...]
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by record: its sources
    views: tuple[View, ...] = VIEWS  # that were on
    filled: tuple[str, ...] = ()  # names of those that at least one record has
    used: Used | None = None
    seed: int = 0
    checks: Checks | None = None  # where they were asked for, of an order of one engine
    moved: Drift | None = None  # since the order that was written before; None without one

    def provenance(self) -> dict[str, Any]:
        """What the order was made from."""
        used = self.used
        return {
            "claim": self.claim,
            "method": self.method,
            "views": [
                {
                    "name": view.name,
                    "weight": view.weight,
                    "measured": view.measured,
                    "filled": view.name in self.filled,
                }
                for view in self.views
            ],
            "decisions": {
                "included": used.included,
                "excluded": used.excluded,
                "elsewhere": used.elsewhere,
            }
            if used
            else None,
            "unscreened": len(self.records),
            "seed": self.seed,
        }

    def json(self) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if self.moved is not None:
            more["moved"] = self.moved.json()
        if self.checks is not None:
            more["checks"] = self.checks.json()
        return {
            **self.provenance(),
            **more,
            "records": [
                {
                    "pmid": r.pmid,
                    "score": round(score, 6),
                    "found_in": list(self.origins.get(r.pmid, ())),
                }
                for r, score in self.records
            ],
        }


def looked_at(
    claim: Claim, settings: Sequence[str] = (), *, links: Links | None = None
) -> tuple[Protocol, tuple[View, ...]]:
    """The protocol and the views that order a claim's records.

    Parameters
    ----------
    settings : sequence of str
        Views, as `evidence.triage.views.chosen` takes them; they come after those of the claim
        file's ``screening.views`` and so overrule them.
    links : mapping of str to set of str
        As `read_links` gives them.
    """
    views = chosen((*claim.screening.views, *settings), links=links)
    standing = {view.name for view in VIEWS}
    if all(view.name in standing for view in views):
        return claim.protocol_text(), views
    return structured(claim), views


def known_decisions(extraction: Extraction, decisions: Mapping[str, bool]) -> dict[str, bool]:
    """Decisions by PMID, where they were made on a study."""
    pmid_of = {s.study_id: s.pmid for s in extraction.studies if s.pmid}
    return {pmid_of.get(record, record): relevant for record, relevant in decisions.items()}


def reading_order(
    claim: Claim,
    extraction: Extraction,
    records: Sequence[Record],
    decisions: dict[str, bool],
    *,
    settings: Sequence[str] = (),
    links: Links | None = None,
    check: bool = False,
) -> ReadingOrder:
    """Rank a claim's records by its decisions and its protocol.

    Parameters
    ----------
    decisions : dict of str to bool
        PMID or study id to relevant or not, as `assemble.decided` gives them.
    settings : sequence of str
        Views beside those of the claim file; see `looked_at`.
    links : mapping of str to set of str
        Citation links, for the view of that name.
    check : bool
        Whether to say how far the order can be trusted.
    """
    checks: Checks | None = None
    known = known_decisions(extraction, decisions)
    protocol, views = looked_at(claim, settings, links=links)
    if len(records) >= IN_PARTS_FROM:
        whole = rank_parts(parts_of(records), known, protocol, views=views)
        order, method, used, filled = whole.order, whole.method, whole.used, whole.views
    else:
        ranking = rank(records, known, protocol, views=views)
        order, method, used, filled = ranking.order, ranking.method, ranking.used, ranking.views
        checks = ranking.checks() if check else None
    by_pmid = {r.pmid: r for r in records}
    names = tuple(view.name for view in filled)
    return ReadingOrder(
        claim=claim.id,
        method=method + idle(views, names) if records else method,
        records=tuple((by_pmid[pmid], score) for pmid, score in order),
        views=views,
        filled=names,
        used=used,
        checks=checks,
    )


def idle(views: Sequence[View], filled: Sequence[str]) -> str:
    """A sentence on views that are on and change nothing; empty where there is none."""
    names = [view.name for view in views if view.name not in filled]
    return f" No record has anything for {', '.join(names)}." if names else ""


def written_order(path: Path) -> tuple[str, ...]:
    """PMIDs of an order that was written before, first to last; empty where there is none."""
    if not path.is_file():
        return ()
    return tuple(row.get("pmid") or "" for row in csv.DictReader(io.StringIO(read_text(path))))


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


def links_path(var: Path, claim_id: str) -> Path:
    """Where the links of a claim's records are kept."""
    return var / "citation-links" / f"{claim_id}.csv"


def read_links(path: Path) -> dict[str, frozenset[str]]:
    """Citation links that `evidence chase` kept: PMID to the PMIDs that it cites or that cite it.

    Empty where nothing was chased.
    """
    found: dict[str, set[str]] = {}
    if path.is_file():
        for row in csv.DictReader(io.StringIO(read_text(path))):
            found.setdefault(row["citing"], set()).add(row["cited"])
            found.setdefault(row["cited"], set()).add(row["citing"])
    return {pmid: frozenset(others) for pmid, others in found.items()}
