"""One file on its way into a mirror, and which of its records count afterwards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from evidence.mirror.database import INDEXES, NLM_FILE, shape_id, transaction
from evidence.mirror.rows import KINDS_OF_DAY, OTHER, TIAB, Row
from evidence.pubmed.articles import Deleted, Unreadable

_BATCH = 1000  # records that are handed to SQLite together
_COMMON = 50  # records of a file with a fact from which on they are kept as a list
_TOLD = 5_000  # records between two lines of progress
_PLACES = 1_000  # places in the order after each file of NLM, for files with other names
_PAGES = 4_000  # pages that are merged in one transaction
_INSERT = {
    "tiab": f"INSERT INTO tiab (rowid, {', '.join(TIAB)}) VALUES (?{', ?' * len(TIAB)})",
    "other": f"INSERT INTO other (rowid, {', '.join(OTHER)}) VALUES (?{', ?' * len(OTHER)})",
}


@dataclass(frozen=True, slots=True)
class Added:
    """What one file brought."""

    name: str
    records: int
    deletions: int  # PMIDs in its lists of deletions
    quarantined: tuple[str, ...]  # "line 12, PMID 3: why"
    known: bool = False  # it was in the mirror already; nothing was done


class Refused(Exception):
    """A file that is not taken in, and why."""


def rank_of(db: sqlite3.Connection, name: str) -> int:
    """The place of a file in NLM's order; a file with another name comes after all."""
    named = NLM_FILE.fullmatch(name)
    if named is None:
        (last,) = db.execute("SELECT coalesce(max(rank), 0) FROM files").fetchone()
        return int(last) + 1
    rank = (int(named[1]) * 100_000 + int(named[2])) * _PLACES
    if db.execute("SELECT 1 FROM files WHERE rank = ?", (rank,)).fetchone():
        raise Refused("a file of this name but other content is in the mirror; begin a new one")
    return rank


@dataclass
class Writer:
    """One file on its way into the mirror, inside a transaction."""

    db: sqlite3.Connection
    name: str
    md5: str
    say: Callable[[str], None]
    pmids: list[int] = field(default_factory=list)
    facts: dict[str, list[int]] = field(default_factory=dict)
    deletions: int = 0
    quarantined: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        db = self.db
        self.began = time.perf_counter()
        self.rank = rank_of(db, self.name)
        self.shape = shape_id(db)
        (self.file,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM files").fetchone()
        (self.first,) = db.execute(
            "SELECT coalesce(max(first + length(pmids) / 4), 1) FROM files"
        ).fetchone()
        self.days: tuple[list[tuple[int, int]], ...] = tuple([] for _ in KINDS_OF_DAY)
        begin_touched(db)

    def take(self, found: Iterable[Row | Unreadable | Deleted]) -> Added:
        """Write all that the file holds, then its line in the ledger."""
        rows = self.rows(found)
        while batch := list(islice(rows, _BATCH)):
            self.write(batch)
        self.write_days()
        self.write_facts()
        pmids = np.array(self.pmids, np.int32)
        self.db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.file,
                self.name,
                self.md5,
                self.rank,
                self.first,
                pmids.tobytes(),
                len(pmids),
                self.deletions,
                len(self.quarantined),
            ),
        )
        settle(self.db)
        return Added(self.name, len(pmids), self.deletions, tuple(self.quarantined))

    def rows(self, found: Iterable[Row | Unreadable | Deleted]) -> Iterator[Row]:
        """The rows; what else the file holds is noted on the way."""
        for one in found:
            if isinstance(one, Row):
                yield one
            elif isinstance(one, Deleted):
                self.deletions += 1
                pmid = int(one.pmid)
                self.db.execute(
                    "INSERT INTO withdrawn VALUES (?, ?, ?)", (pmid, one.version, self.rank)
                )
                self.db.execute("INSERT OR IGNORE INTO touched VALUES (?)", (pmid,))
            else:
                self.keep_apart(one)

    def keep_apart(self, found: Unreadable) -> None:
        self.db.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)",
            (self.file, found.line, found.pmid, found.why, found.data),
        )
        who = f", PMID {found.pmid}" if found.pmid else ""
        self.quarantined.append(f"line {found.line}{who}: {found.why}")

    def write(self, batch: Sequence[Row]) -> None:
        db, start = self.db, self.first + len(self.pmids)
        numbered = list(enumerate(batch, start))
        db.executemany(_INSERT["tiab"], ((docid, *r.tiab) for docid, r in numbered))
        db.executemany(_INSERT["other"], ((docid, *r.other) for docid, r in numbered))
        db.executemany(
            "INSERT INTO bodies VALUES (?, ?, ?)", ((d, self.shape, r.body) for d, r in numbered)
        )
        db.executemany(
            "INSERT INTO docs VALUES (?, ?, ?, ?, 1)",
            ((d, r.pmid, r.version, self.rank) for d, r in numbered),
        )
        db.executemany("INSERT OR IGNORE INTO touched VALUES (?)", ((r.pmid,) for r in batch))
        for docid, one in numbered:
            for fact in one.facts:
                self.facts.setdefault(fact, []).append(docid)
            for kind, day in one.days:
                self.days[kind].append((docid, day))
        before = len(self.pmids)
        self.pmids += [r.pmid for r in batch]
        if before // _TOLD != len(self.pmids) // _TOLD:
            self.say(self.progress("so far"))

    def progress(self, word: str) -> str:
        seconds = time.perf_counter() - self.began
        rate = len(self.pmids) / seconds if seconds else 0.0
        many = "record" if len(self.pmids) == 1 else "records"
        return f"{self.name}: {len(self.pmids):,} {many} {word}, {rate:,.0f} a second"

    def write_days(self) -> None:
        for kind, found in enumerate(self.days):
            if found:
                pairs = np.array(found, np.int32)
                self.db.execute(
                    "INSERT INTO days VALUES (?, ?, ?, ?)",
                    (kind, self.file, pairs[:, 0].tobytes(), pairs[:, 1].tobytes()),
                )

    def write_facts(self) -> None:
        """Common facts as lists of records, which are read at once; the rest into the index."""
        rare: list[list[str]] = [[] for _ in self.pmids]
        for fact, docids in self.facts.items():
            if len(docids) < _COMMON:
                for docid in docids:
                    rare[docid - self.first].append(fact)
            else:
                self.db.execute(
                    "INSERT INTO common VALUES (?, ?, ?)",
                    (fact, self.file, np.array(docids, np.int32).tobytes()),
                )
        self.db.executemany(
            "INSERT INTO facts (rowid, word) VALUES (?, ?)",
            ((docid, " ".join(found)) for docid, found in enumerate(rare, self.first)),
        )


def begin_touched(db: sqlite3.Connection) -> None:
    """An empty list of the PMIDs that `settle` is to look at."""
    db.execute("CREATE TEMP TABLE IF NOT EXISTS touched (pmid INTEGER PRIMARY KEY)")
    db.execute("DELETE FROM touched")


def settle(db: sqlite3.Connection, tables: Sequence[str] = ("docs", "bodies")) -> None:
    """Decide for every PMID in ``touched`` which of its records counts now.

    What no later event can bring back is deleted from ``tables``.
    """
    gone = db.execute(_SUPERSEDED).fetchall()
    for table in tables:
        db.executemany(f"DELETE FROM {table} WHERE docid = ?", ((d,) for d, _ in gone))
    stopped = [docid for docid, live in gone if live]
    began: list[int] = []
    for docid, live, counts in db.execute(_COUNTING).fetchall():
        if live != counts:
            (began if counts else stopped).append(docid)
            db.execute("UPDATE docs SET live = ? WHERE docid = ?", (counts, docid))
    for alive, docids in ((0, stopped), (1, began)):
        if docids:
            db.execute(
                "INSERT INTO changes (alive, docids) VALUES (?, ?)",
                (alive, np.array(docids, np.int32).tobytes()),
            )


def merge(db: sqlite3.Connection, say: Callable[[str], None] = lambda text: None) -> None:
    """Merge the pieces of the indexes, a little in each transaction, until few are left."""
    for index in INDEXES:
        before = -1
        told = False
        while before != 0:
            start = db.total_changes
            with transaction(db):
                db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', {_PAGES})")
            before = max(0, db.total_changes - start - 1)  # FTS5: fewer than two is "nothing done"
            if before and not told:
                say(f"merging the index of {index}")
                told = True


# Records that no later event can bring back: another of the same version is newer, or withdrawn.
_SUPERSEDED = """
SELECT docid, live FROM (
  SELECT docid, live, pmid, version, rank, row_number() OVER (
    PARTITION BY pmid, version ORDER BY rank DESC, docid DESC
  ) AS nth FROM docs WHERE pmid IN (SELECT pmid FROM touched)
) AS d WHERE nth > 1 OR EXISTS (
  SELECT 1 FROM withdrawn AS w WHERE w.pmid = d.pmid
  AND (w.version IS NULL OR w.version = d.version) AND w.rank >= d.rank
)
"""
_COUNTING = """
SELECT docid, live, row_number() OVER (PARTITION BY pmid ORDER BY version DESC) = 1
FROM docs WHERE pmid IN (SELECT pmid FROM touched)
"""
