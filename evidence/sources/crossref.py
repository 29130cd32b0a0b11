"""Crossref: what publishers deposited with a DOI; ranks by likeness and knows no Boolean search.

The protocol: https://api.crossref.org (works; query.bibliographic; rows, cursor; filter doi:) and
https://github.com/CrossRef/rest-api-doc/blob/master/api_format.md for the fields of a work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from evidence.errors import SourceError, SourceIncomplete
from evidence.fetch import Passing, json_object
from evidence.model import AbstractSection, Author, Journal, PubDate, Record
from evidence.pubmed.citations_match import plain_doi
from evidence.sources.web import Batch, Hits, Web, listed, number, plain, refusal, text

SOURCE = "crossref"
BASE = "https://api.crossref.org"
RATE = 3  # requests a second
PAGE = 100
BATCH = 20  # DOIs of a request for details: a GET must stay short
LIMIT = 200  # works of a search, of the many thousands that resemble any words
_NOTICES = {
    "retraction": "RetractionIn",
    "withdrawal": "RetractionIn",
    "expression_of_concern": "ExpressionOfConcernIn",
    "correction": "ErratumIn",
    "erratum": "ErratumIn",
    "corrigendum": "ErratumIn",
    "new_version": "UpdateIn",
    "new_edition": "UpdateIn",
}


def client(base: str = BASE, **options: Any) -> Web:
    """Crossref behind ``base``; options as of `Web`."""
    return Web(base, service="Crossref", rate=RATE, contact="mailto", **options)


def find(query: str, web: Web, *, limit: int = LIMIT) -> Hits:
    """The DOIs of the ``limit`` works that resemble the words of ``query`` most.

    ``complete`` is false where Crossref knows more: its search ranks, and never ends a review's.

    Raises
    ------
    SourceIncomplete
        If pages end before the number asked for or announced.
    SourceError
        See `Eutils.call`.
    """
    if not query.strip():
        raise SourceError("the query is empty", remedy="write words to look for in Crossref")
    ids: dict[str, None] = {}
    cursor, count = "*", 0
    while len(ids) < limit:
        fields = {
            "query.bibliographic": query,
            "rows": str(min(PAGE, limit - len(ids))),
            "cursor": cursor,
        }
        count, items, cursor = web.call("works", fields, _page)
        before = len(ids)
        ids.update(dict.fromkeys(plain_doi(text(item, "DOI")) for item in items))
        if len(ids) >= min(limit, count):
            break
        if len(ids) == before or not cursor:
            raise SourceIncomplete(
                f"Crossref's answer is incomplete: {min(limit, count):,} works announced, "
                f"{len(ids):,} received",
                remedy="run the same command again later",
            )
    found = tuple(ids)[:limit]
    return Hits(SOURCE, found, count, query, "", complete=len(found) == count)


def details(dois: Iterable[str], web: Web) -> Iterator[Batch]:
    """The works behind DOIs, 20 a request, each accounted for."""
    wanted = list(dict.fromkeys(map(plain_doi, dois)))
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        fields = {"filter": ",".join(f"doi:{doi}" for doi in part), "rows": str(len(part))}
        got = web.call("works", fields, partial(_records, asked=frozenset(part)))
        yield Batch({d: got[d] for d in part if d in got}, tuple(d for d in part if d not in got))


def _page(body: bytes) -> tuple[int, list[Any], str]:
    reply = json_object(body)
    message = reply.get("message")
    if reply.get("status") != "ok":
        words = "; ".join(text(m, "message") for m in listed(message)) or "no reason given"
        raise refusal("Crossref", words)
    count = number(message.get("total-results")) if isinstance(message, dict) else None
    items = listed(message, "items")
    if count is None or not all(text(item, "DOI") for item in items):
        raise Passing("a search reply without a count")
    return count, items, text(message, "next-cursor")


def _records(body: bytes, asked: frozenset[str]) -> dict[str, Record]:
    _, items, _ = _page(body)
    found = {plain_doi(text(item, "DOI")): record(item) for item in items}
    return {doi: work for doi, work in found.items() if doi in asked}


def record(item: dict[str, Any]) -> Record:
    """A record from a work; it has no PMID, for Crossref knows none."""
    people = tuple(
        Author(
            last=text(a, "family"),
            fore=text(a, "given"),
            initials="".join(w[0] for w in text(a, "given").replace("-", " ").split()),
            suffix=text(a, "suffix"),
            collective=text(a, "name"),
            orcid=text(a, "ORCID").rpartition("/")[2] or None,
            position=n,
        )
        for n, a in enumerate(listed(item, "author"), 1)
    )
    days = listed(item, "issued", "date-parts")
    parts = [n for n in map(number, days[0] if days and isinstance(days[0], list) else []) if n]
    day = "-".join(f"{n:02d}" if i else f"{n:04d}" for i, n in enumerate(parts)) or None
    journal = next((text(t) for t in listed(item, "container-title")), "")
    abstract = plain(str(item.get("abstract") or ""))
    notices = tuple(
        f"{_NOTICES[text(u, 'type')]}: doi:{plain_doi(text(u, 'DOI'))}"
        for u in listed(item, "updated-by")
        if text(u, "type") in _NOTICES
    )
    issns = [text(i) for i in listed(item, "ISSN")]
    doi = plain_doi(text(item, "DOI"))
    return Record(
        pmid="",
        title=plain(next((str(t) for t in listed(item, "title")), "")),
        abstract=abstract,
        authors=tuple(p.name for p in people),
        year=parts[0] if parts else None,
        journal=journal,
        doi=doi,
        pmcid=None,
        mesh=(),
        kinds=(text(item, "type"),),
        keywords=tuple(text(s) for s in listed(item, "subject")),
        language=text(item, "language"),
        status="",
        version=1,
        retracted=any(n.startswith("RetractionIn:") for n in notices),
        notices=notices,
        revised=None,
        sections=(AbstractSection(abstract),) if abstract else (),
        people=people,
        periodical=Journal(
            title=journal,
            iso=next((text(t) for t in listed(item, "short-container-title")), ""),
            issn=issns[0] if issns else None,
        ),
        volume=text(item, "volume"),
        issue=text(item, "issue"),
        pages=text(item, "page"),
        pubdate=PubDate(day, day, day) if day else None,
        ids=(("doi", doi),),
    )
