"""The mirror in the shape of PubMed's own search: what a query finds, and the records behind it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evidence.errors import SourceError
from evidence.mirror.database import NLM_FILE, faults, missing_files
from evidence.mirror.search import Answer, Mirror
from evidence.pubmed.records import BATCH, Batch
from evidence.pubmed.search import Found

_NAMED = 3  # files without a name of NLM's that are named one by one
_MANY = 500  # values in one statement


@dataclass(frozen=True, slots=True)
class Basis:
    """What every answer of a mirror rests on."""

    records: int  # that count
    files: int
    named: tuple[tuple[str, str], ...]  # first and last file of each year of NLM's
    others: tuple[str, ...]  # files with other names
    missing: tuple[str, ...]  # between two that are there
    before: tuple[str, ...]  # before the first of a year: NLM numbers each year from 1
    unreadable: int
    newest: dt.date | None  # the last day on which a record was revised
    sums: str  # a digest of the MD5 sums of all files: the same for the same files alone

    def words(self) -> str:
        """ "pubmed26n0001 to pubmed26n0002 (2 files, 60 records, revised up to ..., sums ...)".

        Files with other names than NLM's stand behind the range.
        """
        parts = [first if first == last else f"{first} to {last}" for first, last in self.named]
        parts += self.others[:_NAMED]
        if len(self.others) > _NAMED:
            parts.append(f"{len(self.others) - _NAMED:,} more")
        held = [_count(self.files, "file"), _count(self.records, "record")]
        if self.newest is not None:
            held.append(f"revised up to {self.newest.isoformat()}")
        held.append(f"sums {self.sums}")
        return f"{', '.join(parts) or 'no file'} ({', '.join(held)})"

    def lacks(self) -> tuple[str, ...]:
        """What an answer cannot rest on, in sentences; the first kind makes it incomplete."""
        told = []
        if self.missing:
            told.append(f"the mirror lacks files between others: {', '.join(self.missing)}")
        if self.unreadable:
            told.append(f"{self.unreadable} records of the mirror's files could not be read")
        if self.before:
            told.append(f"the mirror does not hold the files before: {', '.join(self.before)}")
        if len(self.named) > 1:
            told.append(
                "the mirror holds files of several years: what NLM withdrew between them may "
                "still be found"
            )
        return tuple(told)

    def json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "files": self.files,
            "range": [list(ends) for ends in self.named],
            "other_files": list(self.others),
            "missing_files": list(self.missing),
            "files_before": list(self.before),
            "unreadable": self.unreadable,
            "newest_revision": None if self.newest is None else self.newest.isoformat(),
            "sums": self.sums,
        }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def basis_of(mirror: Mirror, *, today: dt.date) -> Basis:
    """What the mirror holds: its files, what is missing among them, and how new it is."""
    years: dict[str, list[int]] = {}
    others: list[str] = []
    with faults(mirror.path), contextlib.closing(mirror.ledger()) as db:
        ledger = db.execute("SELECT name, md5 FROM files ORDER BY rank").fetchall()
        missing = missing_files(db)
    for name, _ in ledger:
        if named := NLM_FILE.fullmatch(name):
            years.setdefault(named[1], []).append(int(named[2]))
        else:
            others.append(name)

    def called(year: str, number: int) -> str:
        return f"pubmed{year}n{number:04}"

    ends = {year: (min(held), max(held)) for year, held in sorted(years.items())}
    before = [
        called(year, 1) + (f" to {called(year, low - 1)}" if low > 2 else "")
        for year, (low, _) in ends.items()
        if low > 1
    ]
    return Basis(
        records=mirror.size,
        files=len(ledger),
        named=tuple((called(y, low), called(y, high)) for y, (low, high) in ends.items()),
        others=tuple(others),
        missing=missing,
        before=tuple(before),
        unreadable=mirror.quarantined,
        newest=_newest(mirror, today),
        sums=hashlib.sha256(" ".join(sorted(md5 for _, md5 in ledger)).encode()).hexdigest()[:8],
    )


def _newest(mirror: Mirror, today: dt.date) -> dt.date | None:
    """The last day on which a record that counts was revised, by halving."""

    def since(day: dt.date) -> bool:
        return mirror.search(f"{day:%Y/%m/%d}:3000[lr]", today=today).count > 0

    low, high = dt.date(1900, 1, 1), dt.date(2999, 12, 31)
    if since(today - dt.timedelta(days=365)):  # the usual case first: fewer questions
        low = today - dt.timedelta(days=365)
    elif not since(low):
        return None
    if not since(today + dt.timedelta(days=1)):
        high = today
    while low < high:
        middle = low + (high - low + dt.timedelta(days=1)) // 2
        if since(middle):
            low = middle
        else:
            high = middle - dt.timedelta(days=1)
    return low


def withdrawn(pmids: Iterable[str], mirror: Mirror) -> tuple[str, ...]:
    """Those of ``pmids`` that NLM's lists of deletions name and the mirror holds no more."""
    wanted = sorted({int(pmid) for pmid in pmids})
    gone: set[int] = set()
    with faults(mirror.path), contextlib.closing(mirror.ledger()) as db:
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            marks = ", ".join("?" * len(part))
            gone |= {
                pmid
                for (pmid,) in db.execute(
                    f"SELECT pmid FROM withdrawn WHERE pmid IN ({marks})", part
                )
            }
    if not gone:
        return ()
    there = {record.pmid for record in mirror.records(sorted(gone))}
    return tuple(str(pmid) for pmid in sorted(gone) if str(pmid) not in there)


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
