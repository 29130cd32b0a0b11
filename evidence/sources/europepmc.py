"""Europe PMC: PubMed, preprints, patents and more, with full counts and a cursor.

The protocol: https://europepmc.org/RestfulWebService (search, searchPOST; result types idlist and
core; pageSize up to 1,000; cursorMark until nextCursorMark is absent or does not change).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from evidence.errors import SourceError, SourceIncomplete
from evidence.fetch import Passing, json_object
from evidence.model import AbstractSection, Author, Journal, PubDate, Record
from evidence.sources.web import Batch, Hits, Web, listed, number, plain, refusal, text

SOURCE = "europepmc"
BASE = "https://www.ebi.ac.uk/europepmc/webservices/rest"
RATE = 5  # requests a second
PAGE = 1_000  # the most that pageSize takes
BATCH = 50  # records of a request for details


def client(base: str = BASE, **options: Any) -> Web:
    """Europe PMC behind ``base``; options as of `Web`."""
    return Web(
        base, service="Europe PMC", rate=RATE, contact="email", posts=("searchPOST",), **options
    )


def find(query: str, web: Web) -> Hits:
    """Every record that ``query`` finds, as "MED:123" or "PPR:PPR1", proven complete.

    When the announced count changes between two pages, or other than the announced number of
    records arrive, the search starts once more.

    Raises
    ------
    SourceIncomplete
        If that happens twice.
    SourceError
        See `Eutils.call`.
    """
    if not query.strip():
        raise SourceError("the query is empty", remedy="write a search strategy for Europe PMC")
    words = ""
    for _ in range(2):
        ids: dict[str, None] = {}
        received, announced, cursor = 0, None, "*"
        while True:
            count, items, following = web.call("searchPOST", _asked(query, "idlist", cursor), _page)
            announced = count if announced is None else announced
            received += len(items)
            ids.update(dict.fromkeys(_id(item) for item in items))
            if count != announced:
                words = f"{count:,} records announced after {announced:,}"
                break
            if not items or not following or following == cursor or received >= count:
                words = f"{announced:,} records announced, {len(ids):,} received"
                break
            web.progress(f"Europe PMC: {len(ids):,} of {count:,}")
            cursor = following
        if count == announced == len(ids) == received:
            return Hits(SOURCE, tuple(ids), count, query, "")
        web.progress(f"Europe PMC: {words}; searching once more")
    raise SourceIncomplete(
        f"Europe PMC's answer is incomplete: {words}",
        remedy="run the same command again later; the last complete state is kept",
    )


def details(ids: Iterable[str], web: Web) -> Iterator[Batch]:
    """The records behind identifiers as `find` gives them, 50 a request, each accounted for."""
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        query = " OR ".join("(EXT_ID:{1} AND SRC:{0})".format(*i.split(":", 1)) for i in part)
        read = partial(_records, asked=frozenset(part))
        got = web.call("searchPOST", _asked(query, "core", "*"), read)
        yield Batch({i: got[i] for i in part if i in got}, tuple(i for i in part if i not in got))


def _asked(query: str, result: str, cursor: str) -> dict[str, str]:
    return {
        "query": query,
        "resultType": result,
        "format": "json",
        "pageSize": str(PAGE),
        "cursorMark": cursor,
    }


def _page(body: bytes) -> tuple[int, list[Any], str]:
    reply = json_object(body)
    if message := reply.get("errMsg"):
        raise refusal("Europe PMC", str(message))
    count = number(reply.get("hitCount"))
    items = listed(reply, "resultList", "result")
    if count is None or not all(text(i, "id") and text(i, "source") for i in items):
        raise Passing("a search reply without a count")
    return count, items, text(reply, "nextCursorMark")


def _id(item: Any) -> str:
    return f"{text(item, 'source')}:{text(item, 'id')}"


def _records(body: bytes, asked: frozenset[str]) -> dict[str, Record]:
    _, items, _ = _page(body)
    return {_id(item): record(item) for item in items if _id(item) in asked}


def record(item: dict[str, Any]) -> Record:
    """A record from a result of the type "core"."""
    issue = partial(text, item, "journalInfo")
    about = partial(text, item, "journalInfo", "journal")
    people = tuple(
        Author(
            last=text(a, "lastName"),
            fore=text(a, "firstName"),
            initials=text(a, "initials"),
            collective=text(a, "collectiveName"),
            orcid=text(a, "authorId", "value") or None
            if text(a, "authorId", "type") == "ORCID"
            else None,
            position=n,
        )
        for n, a in enumerate(listed(item, "authorList", "author"), 1)
    )
    abstract = plain(str(item.get("abstractText") or ""))
    kinds = tuple(text(k) for k in listed(item, "pubTypeList", "pubType"))
    notices = tuple(
        f"{_kind(text(c, 'type'))}: {text(c, 'reference')}"
        + (f" (PMID {text(c, 'id')})" if text(c, "source") == "MED" else "")
        for c in listed(item, "commentCorrectionList", "commentCorrection")
        if re.search(r" in$", text(c, "type"))
        and not text(c, "type").startswith(("Comment", "Cites"))
    )
    first = text(item, "firstPublicationDate") or None
    return Record(
        pmid=text(item, "pmid"),
        title=plain(str(item.get("title") or "")),
        abstract=abstract,
        authors=tuple(p.name for p in people)
        or tuple(filter(None, text(item, "authorString").rstrip(".").split(", "))),
        year=number(text(item, "pubYear") or issue("yearOfPublication")),
        journal=about("title"),
        doi=text(item, "doi") or None,
        pmcid=text(item, "pmcid") or None,
        mesh=tuple(
            ("*" if text(m, "majorTopic_YN") == "Y" else "") + text(m, "descriptorName")
            for m in listed(item, "meshHeadingList", "meshHeading")
        ),
        kinds=kinds,
        keywords=tuple(text(k) for k in listed(item, "keywordList", "keyword")),
        language=text(item, "language"),
        status="",
        version=number(item.get("versionNumber")) or 1,
        retracted=any(k.casefold() == "retracted publication" for k in kinds)
        or any(n.startswith("RetractionIn:") for n in notices),
        notices=notices,
        revised=text(item, "dateOfRevision") or None,
        sections=(AbstractSection(abstract),) if abstract else (),
        people=people,
        periodical=Journal(
            title=about("title"),
            iso=about("isoabbreviation"),
            medline=about("medlineAbbreviation"),
            issn_print=about("issn") or None,
            issn_electronic=about("essn") or None,
            nlm_id=about("nlmid"),
        ),
        volume=issue("volume"),
        issue=issue("issue"),
        pages=text(item, "pageInfo"),
        pubdate=PubDate(issue("dateOfPublication"), first, first) if first else None,
        ids=tuple(
            (kind, found)
            for kind, found in (
                ("pubmed", text(item, "pmid")),
                ("doi", text(item, "doi")),
                ("pmc", text(item, "pmcid")),
                (SOURCE, _id(item)),
            )
            if found
        ),
    )


def _kind(words: str) -> str:
    """ "Expression of concern in" as PubMed writes it: ExpressionOfConcernIn."""
    return "".join(w[:1].upper() + w[1:] for w in words.split())
