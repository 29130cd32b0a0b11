"""The file of a mirror: its tables, and how it is opened."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from evidence.errors import StoreError
from evidence.mirror.bodies import SHAPE, Shape
from evidence.mirror.rows import OTHER, TIAB

FORMAT = 1  # of the tables; another number is another mirror
APPLICATION = 0x50_4D_49_52  # SQLite's application_id, so that no other database is mistaken
BUSY_S = 600.0  # a file takes some seconds; another process that adds one is waited for
HASH_BYTES = 256 << 20  # of index held back until a transaction ends: one piece a file

# Words are cut by `evidence.query.words`; the indexes split at spaces alone.
_WORDS = "content = '', columnsize = 0, tokenize = \"ascii tokenchars '|_/:'\""
_SCHEMA = f"""
CREATE TABLE files (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  md5 TEXT NOT NULL UNIQUE,
  rank INTEGER NOT NULL,        -- place in NLM's order; of two equal versions the later file wins
  first INTEGER NOT NULL,       -- docid of its first record
  pmids BLOB NOT NULL,          -- int32, one for each docid from `first` on
  records INTEGER NOT NULL,
  deletions INTEGER NOT NULL,
  quarantined INTEGER NOT NULL
);
CREATE TABLE docs (             -- versions of records that may be the one that counts
  docid INTEGER PRIMARY KEY,    -- never used again
  pmid INTEGER NOT NULL,
  version INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  live INTEGER NOT NULL
);
CREATE INDEX docs_pmid ON docs (pmid);
CREATE TABLE bodies (
  docid INTEGER PRIMARY KEY,
  shape INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE changes (          -- docids that stopped or began to count, after they were added
  id INTEGER PRIMARY KEY,
  alive INTEGER NOT NULL,
  docids BLOB NOT NULL          -- int32
);
CREATE TABLE withdrawn (        -- DeleteCitation
  pmid INTEGER NOT NULL,
  version INTEGER,              -- NULL: all
  rank INTEGER NOT NULL
);
CREATE INDEX withdrawn_pmid ON withdrawn (pmid);
CREATE TABLE quarantine (
  file INTEGER NOT NULL,
  line INTEGER NOT NULL,
  pmid TEXT,
  why TEXT NOT NULL,
  data BLOB NOT NULL
);
CREATE TABLE days (
  kind INTEGER NOT NULL,
  file INTEGER NOT NULL,
  docids BLOB NOT NULL,         -- int32
  days BLOB NOT NULL,           -- int32, proleptic Gregorian ordinals
  PRIMARY KEY (kind, file)
);
CREATE TABLE common (           -- facts that many records of a file have; not in the index
  fact TEXT NOT NULL,
  file INTEGER NOT NULL,
  docids BLOB NOT NULL,         -- int32
  PRIMARY KEY (fact, file)
) WITHOUT ROWID;
CREATE TABLE shape (id INTEGER PRIMARY KEY, names TEXT NOT NULL);
CREATE TABLE descriptors (ui TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE entries (kind TEXT, key TEXT, ui TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE trees (number TEXT PRIMARY KEY, ui TEXT NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE tiab USING fts5 ({", ".join(TIAB)}, {_WORDS});
CREATE VIRTUAL TABLE other USING fts5 ({", ".join(OTHER)}, {_WORDS});
CREATE VIRTUAL TABLE facts USING fts5 (word, detail = none, {_WORDS});
"""
NLM_FILE = re.compile(r"pubmed(\d\d)n(\d{4,5})\.xml(?:\.gz)?")  # baseline and updates alike
INDEXES = ("tiab", "other", "facts")


def connect(path: Path, *, make: bool = False, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """Open a mirror; with ``make`` a new one is begun where there is none.

    Raises
    ------
    StoreError
        If there is none, it is no mirror, or it cannot be opened.
    """
    if not make and not path.is_file():
        raise StoreError(
            f"there is no mirror at {path}", remedy="make one: evidence mirror add FILE..."
        )
    with faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            db.execute("PRAGMA temp_store = memory")
            db.execute("PRAGMA cache_size = -65536")
            db.execute("PRAGMA mmap_size = 4294967296")
            if make:
                _begin(db)
            db.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, facts, row)")
            if db.execute("PRAGMA application_id").fetchone() != (APPLICATION,):
                raise sqlite3.DatabaseError("it is not a mirror")
            if db.execute("PRAGMA user_version").fetchone() != (FORMAT,):
                raise sqlite3.DatabaseError("it was made by another version; build it again")
        except BaseException:
            db.close()
            raise
    return db


def _begin(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA application_id").fetchone() == (APPLICATION,):
        return
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise sqlite3.DatabaseError("it is not a mirror")
    db.execute("PRAGMA page_size = 8192")
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            for index in INDEXES:  # merged between files, never in the middle of one
                for option, value in (("automerge", 0), ("hashsize", HASH_BYTES)):
                    db.execute(
                        f"INSERT INTO {index} ({index}, rank) VALUES (?, ?)", (option, value)
                    )
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")


def shape_id(db: sqlite3.Connection) -> int:
    """The number under which the mirror keeps the field names of this version's records."""
    names = json.dumps(SHAPE)
    found = db.execute("SELECT id FROM shape WHERE names = ?", (names,)).fetchone()
    if found is None:
        return int(db.execute("INSERT INTO shape (names) VALUES (?)", (names,)).lastrowid or 0)
    return int(found[0])


def shapes(db: sqlite3.Connection) -> dict[int, Shape]:
    """The field names of all records that the mirror holds."""
    return {number: json.loads(names) for number, names in db.execute("SELECT * FROM shape")}


def missing_files(db: sqlite3.Connection) -> tuple[str, ...]:
    """Files that NLM numbers between two that are there, of the same year."""
    years: dict[str, list[int]] = {}
    for (name,) in db.execute("SELECT name FROM files"):
        if named := NLM_FILE.fullmatch(name):
            years.setdefault(named[1], []).append(int(named[2]))
    missing = []
    for year, numbers in sorted(years.items()):
        there = sorted(set(numbers))
        for low, high in pairwise(there):
            if high - low == 2:
                missing.append(f"pubmed{year}n{low + 1:04}")
            elif high - low > 2:
                missing.append(f"pubmed{year}n{low + 1:04} to pubmed{year}n{high - 1:04}")
    return tuple(missing)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, whatever happens to the process."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk makes SQLite roll back by itself
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def faults(path: Path) -> Iterator[None]:
    """Faults of SQLite and of the disk in the reader's words."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        why = str(fault)
        remedy = (
            "free some space on the disk, then run the command again"
            if "full" in why
            else "wait until the other command has ended"
            if "locked" in why
            else "check the file; a mirror can always be built again from NLM's files"
        )
        raise StoreError(f"{path}: {why}", remedy=remedy) from fault
