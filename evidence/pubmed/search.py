"""Every PMID that a query finds, proven complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from evidence.errors import SourceError, SourceIncomplete
from evidence.fetch import Eutils
from evidence.pubmed.replies import TOP, Page, read_page

WINDOW = 9_999  # PubMed gives no more of one result, and says nothing when it clamps


@dataclass(frozen=True, slots=True)
class Part:
    """A range of PMIDs that one reply gave whole."""

    low: int
    high: int
    count: int
    reply: str  # SHA-256 of the reply's body; empty where the counts alone prove it empty


@dataclass(frozen=True, slots=True)
class Slice:
    """A part with its PMIDs, kept so that a search which was stopped can go on."""

    part: Part
    pmids: tuple[int, ...]


class Slices(Protocol):
    """Where the parts of one query are kept until the search is whole."""

    def kept(self) -> Iterable[Slice]:
        """What an earlier search of the same query received and may still be used."""

    def since(self) -> str:
        """A day, as 2026/01/31, before which PubMed's state is in all that is kept."""

    def keep(self, slice_: Slice) -> None:
        """Keep a part at once."""

    def forget(self) -> None:
        """Drop all: the counts say that PubMed has changed."""


@dataclass(frozen=True, slots=True)
class Found:
    """The whole result of one search."""

    pmids: tuple[str, ...]  # in the order of their numbers
    count: int  # as announced; equal to the number of PMIDs
    query: str  # as sent
    translation: str  # as PubMed understood it
    warnings: tuple[str, ...]  # phrases not found, fields not found, ...
    complete: bool = True  # false never leaves `find`: it raises instead
    parts: tuple[Part, ...] = ()  # the replies that hold the PMIDs, in order


class _Mismatch(Exception):
    """Counts that do not agree: PubMed changed between two requests, or loses records."""


def find(query: str, eutils: Eutils, *, extra: str = "", slices: Slices | None = None) -> Found:
    """Every PMID that ``query`` finds; one request while PubMed finds at most 9,999.

    A larger result is split by ranges of PMIDs, counted again at each level, and each part is
    received whole. When the counts disagree the search starts once more. The bounds of the parts
    depend on nothing but the counts, so that a later run meets the same ones.

    Parameters
    ----------
    query : str
        The strategy as PubMed receives it.
    extra : str
        A further restriction, joined by AND, such as ``2026/01/31:3000[lr]``.
    slices : Slices, optional
        Where parts are kept. A search that was killed or failed goes on from them. They are used
        only where PubMed still announces exactly their sum for the range that they fill, and
        lists no record that was entered or revised since and is not in them: a record that came
        must have been one of these, so with none of them and an equal sum none has left either.

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
        return _find(term, eutils, slices)
    except _Mismatch as mismatch:
        eutils.progress(f"esearch: {mismatch}; searching once more")
        if slices is not None:
            slices.forget()
    try:
        return _find(term, eutils, slices)
    except _Mismatch as mismatch:
        problem = f"PubMed's answer is incomplete: {mismatch}"
        if slices is not None:
            slices.forget()
    raise SourceIncomplete(
        problem, remedy="run the same command again later; the last complete state is kept"
    )


def _find(term: str, eutils: Eutils, slices: Slices | None) -> Found:
    held: list[Slice] = []
    parts: list[Part] = []

    def search(term: str, *, size: int = WINDOW) -> tuple[Page, str]:
        page, reply = eutils.call(
            "esearch",
            {"db": "pubmed", "term": term, "retmax": str(size), "retmode": "json"},
            lambda body: (read_page(body), hashlib.sha256(body).hexdigest()),
        )
        return page, reply

    def took(slice_: Slice) -> list[int]:
        if slice_.part.reply:
            parts.append(slice_.part)
        received.extend(slice_.pmids)
        eutils.progress(f"esearch: {len(received):,} of {total:,} PMIDs")
        return list(slice_.pmids)

    def split(low: int, high: int, announced: int | None) -> list[int]:
        mine = [s for s in held if low <= s.part.low and s.part.high <= high]
        held_count = sum(s.part.count for s in mine)
        if mine and _fills(mine, low, high) and held_count == announced:
            return [pmid for s in mine for pmid in took(s)]
        # Where parts are kept the range is known to be split, or the count alone decides.
        asked = f"({term}) AND {max(low, 1)}:{high}[uid]"  # there is no PMID 0
        page, reply = search(asked, size=0 if mine else WINDOW)
        if announced is not None and page.count != announced:
            raise _Mismatch(
                f"{page.count:,} records with PMIDs from {low} to {high}, {announced:,} expected"
            )
        if mine and _fills(mine, low, high) and held_count == page.count:
            return [pmid for s in mine for pmid in took(s)]
        if mine and page.count <= WINDOW:  # what is kept has changed: ask for the PMIDs
            held[:] = [s for s in held if s not in mine]
            return split(low, high, page.count)
        if page.count <= WINDOW:
            pmids = _whole(page)
            if pmids and not low <= pmids[0] <= pmids[-1] <= high:
                raise _Mismatch(f"PMIDs outside the range {low} to {high} that was asked for")
            slice_ = Slice(Part(low, high, page.count, reply), tuple(pmids))
            if slices is not None:
                slices.keep(slice_)
            return took(slice_)
        if low == high:
            raise _Mismatch(f"{page.count:,} records with the one PMID {low}")
        return halves(low, (low + high) // 2, high, page.count)

    def halves(low: int, middle: int, high: int, count: int) -> list[int]:
        left = split(low, middle, None)
        rest = count - len(left)  # the right half must hold exactly what the left does not
        if rest < 0:
            raise _Mismatch(f"a part holds {len(left):,} records, the whole {count:,}")
        if rest:
            return left + split(middle + 1, high, rest)
        if slices is not None:  # proven empty by the counts, and never asked for
            slices.keep(Slice(Part(middle + 1, high, 0, ""), ()))
        return left

    whole, reply = search(term)
    total = whole.count
    received: list[int] = []
    if total <= WINDOW:
        pmids = _whole(whole)
        parts.append(Part(0, TOP, total, reply))
    else:
        if slices is not None:
            held = sorted(slices.kept(), key=lambda s: s.part.low)
        if slices is not None and held:
            day = slices.since()
            late, _ = search(f"({term}) AND ({day}:3000[edat] OR {day}:3000[lr])")
            came = set(late.pmids)
            # Where too much has changed, or the reply is not whole, nothing is used.
            held = [s for s in held if len(came) == late.count and not _lacks(s, came)]
        # The first page holds the latest entries: nearly all of PubMed lies below its highest.
        # A power of two stays the same from day to day, and so do all bounds below it.
        top = 1 << max(whole.pmids, default=TOP // 2).bit_length()
        pmids = halves(0, min(top, TOP) - 1, TOP, total)
    return Found(
        tuple(str(pmid) for pmid in pmids),
        total,
        term,
        whole.translation,
        whole.warnings,  # those of a part tell of its range, such as "No items found."
        parts=tuple(parts),
    )


def _lacks(slice_: Slice, came: set[int]) -> bool:
    part = slice_.part
    return any(part.low <= pmid <= part.high for pmid in came.difference(slice_.pmids))


def _fills(slices: list[Slice], low: int, high: int) -> bool:
    """Whether slices, in order, cover a range without a gap and without meeting twice."""
    at = low
    for part in (s.part for s in slices):
        if part.low != at:
            return False
        at = part.high + 1
    return at == high + 1


def _whole(page: Page) -> list[int]:
    """The PMIDs of a page that must hold all that it announces, sorted."""
    pmids = sorted(set(page.pmids))
    if len(pmids) != page.count or len(page.pmids) != page.count:
        raise _Mismatch(f"{page.count:,} records announced, {len(pmids):,} received")
    return pmids
