"""Every PMID that a query finds, proven complete."""

from __future__ import annotations

from dataclasses import dataclass

from evidence.errors import SourceError, SourceIncomplete
from evidence.fetch import Eutils
from evidence.pubmed.replies import Page, read_page

WINDOW = 9_999  # PubMed gives no more of one result, and says nothing when it clamps
TOP = 999_999_999  # above every PMID


@dataclass(frozen=True, slots=True)
class Found:
    """The whole result of one search."""

    pmids: tuple[str, ...]  # in the order of their numbers
    count: int  # as announced; equal to the number of PMIDs
    query: str  # as sent
    translation: str  # as PubMed understood it
    warnings: tuple[str, ...]  # phrases not found, fields not found, ...
    complete: bool = True  # false never leaves `find`: it raises instead


class _Mismatch(Exception):
    """Counts that do not agree: PubMed changed between two requests, or loses records."""


def find(query: str, eutils: Eutils, *, extra: str = "") -> Found:
    """Every PMID that ``query`` finds; one request while PubMed finds at most 9,999.

    A larger result is split by ranges of PMIDs, counted again at each level, and each part is
    received whole. When the counts disagree the search starts once more.

    Parameters
    ----------
    query : str
        The strategy as PubMed receives it.
    extra : str
        A further restriction, joined by AND, such as ``2026/01/31:3000[lr]``.

    Raises
    ------
    SourceIncomplete
        If fewer or other PMIDs arrive than were announced, twice.
    SourceError
        See `Eutils.call`.
    """
    if not query.strip():
        raise SourceError("the query is empty", remedy="write a search strategy for the claim")
    term = f"({query}) AND {extra}" if extra else query
    try:
        return _find(term, eutils)
    except _Mismatch as mismatch:
        eutils.progress(f"esearch: {mismatch}; searching once more")
    try:
        return _find(term, eutils)
    except _Mismatch as mismatch:
        problem = f"PubMed's answer is incomplete: {mismatch}"
    raise SourceIncomplete(
        problem, remedy="run the same command again later; the last complete state is kept"
    )


def _find(term: str, eutils: Eutils) -> Found:
    warnings: dict[str, None] = {}

    def search(term: str) -> Page:
        page = eutils.call(
            "esearch",
            {"db": "pubmed", "term": term, "retmax": str(WINDOW), "retmode": "json"},
            read_page,
        )
        warnings.update(dict.fromkeys(page.warnings))
        return page

    def split(low: int, high: int, announced: int | None) -> list[int]:
        page = search(f"({term}) AND {low}:{high}[uid]")
        if announced is not None and page.count != announced:
            raise _Mismatch(
                f"{page.count:,} records with PMIDs from {low} to {high}, {announced:,} expected"
            )
        if page.count <= WINDOW:
            pmids = _whole(page)
            if pmids and not low <= pmids[0] <= pmids[-1] <= high:
                raise _Mismatch(f"PMIDs outside the range {low} to {high} that was asked for")
            received.extend(pmids)
            eutils.progress(f"esearch: {len(received):,} of {total:,} PMIDs")
            return pmids
        if low == high:
            raise _Mismatch(f"{page.count:,} records with the one PMID {low}")
        return halves(low, (low + high) // 2, high, page.count)

    def halves(low: int, middle: int, high: int, count: int) -> list[int]:
        left = split(low, middle, None)
        rest = count - len(left)  # the right half must hold exactly what the left does not
        if rest < 0:
            raise _Mismatch(f"a part holds {len(left):,} records, the whole {count:,}")
        return left + (split(middle + 1, high, rest) if rest else [])

    whole = search(term)
    total = whole.count
    received: list[int] = []
    if total <= WINDOW:
        pmids = _whole(whole)
    else:
        # The first page holds the latest entries: nearly all of PubMed lies below its highest.
        pmids = halves(1, max(whole.pmids, default=TOP // 2), TOP, total)
    return Found(
        tuple(str(pmid) for pmid in pmids), total, term, whole.translation, tuple(warnings)
    )


def _whole(page: Page) -> list[int]:
    """The PMIDs of a page that must hold all that it announces, sorted."""
    pmids = sorted(set(page.pmids))
    if len(pmids) != page.count or len(page.pmids) != page.count:
        raise _Mismatch(f"{page.count:,} records announced, {len(pmids):,} received")
    return pmids
