"""The records behind PMIDs, each one accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evidence.errors import SourceIncomplete
from evidence.fetch import Eutils, Passing
from evidence.model import Record
from evidence.pubmed.articles import parse_articles
from evidence.pubmed.replies import fault

SPOILT = 3  # replies with broken XML before a record counts as unreadable itself
BATCH = 200  # ids a request; NLM asks for no more without its history server


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that arrived together, and the PMIDs that PubMed does not serve."""

    records: tuple[Record, ...]
    not_served: tuple[str, ...] = ()


def details(pmids: Iterable[str], eutils: Eutils) -> Iterator[Batch]:
    """Fetch the records of ``pmids``, 200 a request, and account for every one.

    PMIDs missing from a reply are asked for again by themselves. Those for which PubMed then
    answers with an empty set are given as ``not_served``.

    Yields
    ------
    Batch
        As soon as it is whole, so that the caller can keep it before the next is asked for.

    Raises
    ------
    SourceIncomplete
        If a reply leaves out PMIDs without being empty, or holds records that cannot be read;
        names the PMIDs, after the batch with the others has been given.
    SourceError
        See `Eutils.call`.
    """
    wanted = list(dict.fromkeys(pmids))
    for start in range(0, len(wanted), BATCH):
        ids = wanted[start : start + BATCH]
        got, refused = _fetch(ids, eutils)
        missing = [pmid for pmid in ids if pmid not in got]
        not_served: list[str] = []
        while missing:
            eutils.progress(f"efetch: {len(missing)} records missing from a reply, asking again")
            again, refused = _fetch(missing, eutils)
            if not again:
                not_served = [] if refused else missing
                missing = missing if refused else []
                break
            if not again.keys() & set(missing):
                break
            got |= again
            missing = [pmid for pmid in missing if pmid not in got]
        yield Batch(tuple(got[pmid] for pmid in ids if pmid in got), tuple(not_served))
        if missing:
            raise SourceIncomplete(
                f"PubMed did not deliver {len(missing)} of {len(ids)} records",
                [f"PMID {pmid}" for pmid in missing] + refused,
                remedy="run the same command again later; the records received are kept",
            )
        if len(wanted) > BATCH:
            eutils.progress(f"efetch: {min(start + BATCH, len(wanted)):,} of {len(wanted):,}")


def served(pmids: Iterable[str], eutils: Eutils) -> dict[str, Record]:
    """The records that PubMed serves for ``pmids``, one request for each 200, none repeated.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    wanted = list(dict.fromkeys(pmids))
    got: dict[str, Record] = {}
    for start in range(0, len(wanted), BATCH):
        got |= _fetch(wanted[start : start + BATCH], eutils)[0]
    return {pmid: got[pmid] for pmid in wanted if pmid in got}


def _fetch(pmids: list[str], eutils: Eutils) -> tuple[dict[str, Record], list[str]]:
    """What one request delivers: records by PMID (highest version), and what was unreadable."""

    spoilt = 0

    def read(body: bytes) -> tuple[dict[str, Record], list[str]]:
        nonlocal spoilt
        body = body.strip()
        if b"<PubmedArticleSet" in body[:2000]:
            empty = re.search(rb"<PubmedArticleSet[^>]*/>\s*\Z", body)
            if not body.endswith(b"</PubmedArticleSet>") and not empty:
                raise Passing("a reply that ends before its last record")
        elif b"<ERROR" in body:
            text = re.search(rb"<ERROR>(.*?)</ERROR>", body, re.DOTALL)
            words = text.group(1).decode("utf-8", "replace") if text else ""
            if "ID list is empty" in words:
                return {}, []
            raise fault(words)
        else:
            raise Passing("a reply without a PubmedArticleSet")
        try:
            records, refused = parse_articles(body)
        except ValueError:
            raise Passing("XML that is not well-formed") from None
        if spoilt < SPOILT and any("not well-formed" in r.why for r in refused):
            spoilt += 1  # more likely the transfer than the record
            raise Passing("XML that is not well-formed")
        found: dict[str, Record] = {}
        for record in records:
            if record.pmid not in asked:  # a record that nobody asked for answers nothing
                continue
            held = found.get(record.pmid)
            if held is None or held.version <= record.version:
                found[record.pmid] = record
        return found, [f"article {r.number} of the reply: {r.why}" for r in refused]

    asked = set(pmids)
    fields = {"db": "pubmed", "id": ",".join(pmids), "retmode": "xml"}
    return eutils.call("efetch", fields, read)
