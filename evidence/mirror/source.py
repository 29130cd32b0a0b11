"""The mirror in the shape of PubMed's own search: what a query finds, and the records behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from evidence.errors import SourceError
from evidence.mirror.search import Answer, Mirror
from evidence.pubmed.records import BATCH, Batch
from evidence.pubmed.search import Found


def find(
    query: str,
    mirror: Mirror,
    *,
    extra: str = "",
    strict: bool = True,
    today: dt.date | None = None,
) -> Found:
    """Every PMID that ``query`` finds in the mirror; the shape is that of `evidence.pubmed.find`.

    ``warnings`` names each term for which PubMed itself may answer otherwise, and what could not
    be read when the files were added.

    Raises
    ------
    NotAnswerable
        If the records alone cannot answer the query.
    """
    if not query.strip():
        raise SourceError("the query is empty", remedy="write a search strategy for the claim")
    term = f"({query}) AND {extra}" if extra else query
    answer = mirror.search(term, strict=strict, today=today)
    warnings = answer_notes(answer, mirror)
    return Found(tuple(map(str, answer.pmids.tolist())), answer.count, term, term, tuple(warnings))


def details(pmids: Iterable[str], mirror: Mirror) -> Iterator[Batch]:
    """The records behind PMIDs in batches; those that the mirror lacks are ``not_served``."""
    wanted = list(dict.fromkeys(pmids))
    for start in range(0, len(wanted), BATCH):
        ids = wanted[start : start + BATCH]
        records = tuple(mirror.records(ids))
        there = {record.pmid for record in records}
        yield Batch(records, tuple(pmid for pmid in ids if pmid not in there))


def answer_notes(answer: Answer, mirror: Mirror) -> list[str]:
    """Where PubMed may answer otherwise, and what the mirror lacks."""
    notes = [str(reservation) for reservation in answer.approximations]
    if unread := mirror.quarantined:
        notes.append(f"{unread} records of the mirror's files could not be read")
    if mirror.gaps:
        notes.append(f"the mirror lacks files between others: {', '.join(mirror.gaps)}")
    return notes


def answer_json(query: str, answer: Answer, mirror: Mirror) -> dict[str, Any]:
    """An answer in JSON's own types."""
    return {
        "query": query,
        "count": answer.count,
        "pmids": [str(pmid) for pmid in answer.pmids.tolist()],
        "approximations": [
            {"code": r.code, "term": r.term, "why": r.why} for r in answer.approximations
        ],
        "mirror": {
            "records": mirror.size,
            "files": mirror.files,
            "missing_files": list(mirror.gaps),
            "unreadable": mirror.quarantined,
        },
    }
