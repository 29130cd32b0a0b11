"""Citation chasing: what cites the included studies, what they cite, and what resembles them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evidence.errors import SourceError
from evidence.fetch import Eutils
from evidence.held import members_of
from evidence.model import Record
from evidence.pubmed.links import NAMES, Link, links
from evidence.pubmed.records import details
from evidence.store import Store

SOURCE = "citation"
SIMILAR = 20  # articles that resemble one study; PubMed names hundreds
_WORDS = {"cited-by": "cites", "references": "is cited by", "similar": "resembles"}
CHASE_COLUMNS = ("pmid", "links", "found_by", "score", "year", "title", "journal", "doi", "link")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A record that citations lead to and that the claim does not have."""

    record: Record
    links: tuple[Link, ...]

    @property
    def score(self) -> int | None:
        """PubMed's highest score of likeness, where it resembles a study."""
        return max((link.score for link in self.links if link.score is not None), default=None)

    def found_by(self, labels: Mapping[str, str]) -> str:
        """ "cites Ferris 2007 (PMID 17414812); resembles ...", in the order of the studies."""
        return "; ".join(
            f"{_WORDS[link.kind]} {labels.get(link.start, 'a study')} (PMID {link.start})"
            for link in self.links
        )


@dataclass(frozen=True, slots=True)
class Chase:
    """What following citations brought for one claim."""

    claim: str
    starts: tuple[str, ...]  # PMIDs of the included studies
    kinds: tuple[str, ...]
    counts: Mapping[str, int]  # links by kind, before any was left out
    known: int  # records that the claim has already
    proposals: tuple[Proposal, ...]  # most links first
    not_served: tuple[str, ...]
    requests: int
    cited: tuple[tuple[str, str], ...] = ()  # citing and cited PMID, of every link found

    def summary(self) -> str:
        parts = ", ".join(f"{self.counts[kind]:,} {kind}" for kind in self.kinds)
        return (
            f"{self.claim}: {len(self.starts)} included studies, links: {parts}; "
            f"{len(self.proposals):,} new records, {self.known:,} known already"
        )


def chase(
    claim: str,
    starts: Iterable[str],
    eutils: Eutils,
    store: Store,
    *,
    kinds: Sequence[str] = tuple(NAMES),
    similar: int = SIMILAR,
    on: dt.date,
) -> Chase:
    """Follow the links of the included studies and add what is new to the claim's records.

    Parameters
    ----------
    starts : iterable of str
        PMIDs of the included studies.
    kinds : sequence of str
        Keys of `evidence.pubmed.links.NAMES`.
    similar : int
        How many articles to take that resemble each study; references and citations are all taken.

    Raises
    ------
    SourceError
        When PubMed does not answer whole; then nothing has been added.
    """
    before = eutils.requests
    starts = tuple(sorted(dict.fromkeys(starts), key=int))
    if not starts:
        raise SourceError(
            f"{claim} has no included study with a PMID: there is no place to start from",
            remedy=f"decide in screening.csv, or find PMIDs with `evidence identify {claim}`",
        )
    counts: dict[str, int] = {}
    by_pmid: dict[str, list[Link]] = {}
    cited: list[tuple[str, str]] = []
    for kind in kinds:
        found = links(starts, eutils, kind=kind)
        cited += [(x.pmid, x.start) for x in found if x.kind == "cited-by"]
        cited += [(x.start, x.pmid) for x in found if x.kind == "references"]
        counts[kind] = len(found)
        for link in _nearest(found, similar) if kind == "similar" else found:
            by_pmid.setdefault(link.pmid, []).append(link)
    known = members_of(store, claim).pmids | set(starts)
    fresh = [pmid for pmid in sorted(by_pmid, key=int) if pmid not in known]
    held = store.get(fresh)
    records = dict(held)
    not_served: list[str] = []
    for batch in details([pmid for pmid in fresh if pmid not in held], eutils):
        records |= {r.pmid: r for r in batch.records}
        not_served += batch.not_served
        store.add(batch.records, on=on)
    proposals = [Proposal(records[p], tuple(by_pmid[p])) for p in fresh if p in records]
    proposals.sort(key=lambda p: (-len(p.links), -(p.score or 0), int(p.record.pmid)))
    if proposals:
        how = f"{', '.join(kinds)} of {len(starts)} included studies"
        store.add_export(
            claim, [p.record for p in proposals], source=SOURCE, on=on, kind="citation", query=how
        )
    return Chase(
        claim=claim,
        starts=starts,
        kinds=tuple(kinds),
        counts=counts,
        known=len(by_pmid.keys() & known),
        proposals=tuple(proposals),
        not_served=tuple(not_served),
        requests=eutils.requests - before,
        cited=tuple(dict.fromkeys(cited)),
    )


def _nearest(found: Sequence[Link], n: int) -> list[Link]:
    """The ``n`` highest scores from each start."""
    by_start: dict[str, list[Link]] = {}
    for link in found:
        by_start.setdefault(link.start, []).append(link)
    return [
        link
        for group in by_start.values()
        for link in sorted(group, key=lambda x: -(x.score or 0))[:n]
    ]


def chase_rows(result: Chase, labels: Mapping[str, str]) -> list[dict[str, object]]:
    """The proposals as rows for CSV."""
    return [
        {
            "pmid": p.record.pmid,
            "links": len(p.links),
            "found_by": p.found_by(labels),
            "score": p.score,
            "year": p.record.year,
            "title": p.record.shown_title,
            "journal": p.record.journal,
            "doi": p.record.doi,
            "link": f"https://pubmed.ncbi.nlm.nih.gov/{p.record.pmid}/",
        }
        for p in result.proposals
    ]
