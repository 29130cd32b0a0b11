"""The file of a mirror: its tables, and how it is opened."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from evidence.errors import StoreError
from evidence.mirror.bodies import SHAPE, Shape
from evidence.mirror.rows import OTHER, TIAB
from evidence.sqlite import set_journal

FORMAT = 1  # of the tables; another number is another mirror
BUSY_S = 600.0  # a file takes some seconds; another process that adds one is waited for
HASH_BYTES = 256 << 20  # of index held back until a transaction ends: one piece a file

# Words are cut by `evidence.query.words`; the indexes split at spaces alone.
_WORDS = "content = '', columnsize = 0, tokenize = \"ascii tokenchars '|_/:'\""
_LEDGER = """
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
CREATE TABLE descriptors (ui TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE entries (kind TEXT, key TEXT, ui TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE trees (number TEXT PRIMARY KEY, ui TEXT NOT NULL) WITHOUT ROWID;
"""
_INDEXES = f"""
CREATE TABLE bodies (
  docid INTEGER PRIMARY KEY,
  shape INTEGER NOT NULL,
  body BLOB NOT NULL
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
CREATE VIRTUAL TABLE tiab USING fts5 ({", ".join(TIAB)}, {_WORDS});
CREATE VIRTUAL TABLE other USING fts5 ({", ".join(OTHER)}, {_WORDS});
CREATE VIRTUAL TABLE facts USING fts5 (word, detail = none, {_WORDS});
"""
_SHARDS = """
CREATE TABLE shards (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,    -- of its file, in the folder of the ledger
  base INTEGER NOT NULL,        -- added to the docids of its records
  size INTEGER NOT NULL         -- how many docids it has
);
"""
NLM_FILE = re.compile(r"pubmed(\d\d)n(\d{4,5})\.xml(?:\.gz)?")  # baseline and updates alike
INDEXES = ("tiab", "other", "facts")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a database is; SQLite's ``application_id`` tells the kinds apart."""

    application: int
    schema: str
    journal: str  # how a transaction is undone; WAL needs a disk of this machine
    is_indexed: bool


MIRROR = Kind(0x50_4D_49_52, _LEDGER + _INDEXES, "WAL", True)
# One of several databases that are a mirror together. It is built by one process and does not
# change afterwards.
SHARD = Kind(0x50_4D_49_53, _LEDGER + _INDEXES, "MEMORY", True)
LEDGER = Kind(0x50_4D_49_4C, _LEDGER + _SHARDS, "DELETE", False)  # of such a mirror as a whole


def connect(
    path: Path, *, make: bool = False, kind: Kind = MIRROR, busy_s: float = BUSY_S
) -> sqlite3.Connection:
    """Open a mirror; with ``make`` a new one is begun where there is none.

    A shard that is not made is opened as a file that nobody changes, without any lock; so is a
    mirror in a folder where nothing may be written.

    Raises
    ------
    StoreError
        If there is none, it is of another kind, or it cannot be opened.
    """
    if not make and not path.is_file():
        if kind is LEDGER:
            raise StoreError(
                f"there is no mirror in shards in {path.parent}",
                remedy="make one: evidence mirror add --shards FOLDER FILE...",
            )
        raise StoreError(
            f"there is no mirror at {path}", remedy="make one: evidence mirror add FILE..."
        )
    with faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        final = "?immutable=1" if not make and (kind is SHARD or _is_fixed(path)) else ""
        place = f"{path.resolve().as_uri()}{final}"
        db = sqlite3.connect(place, timeout=busy_s, isolation_level=None, uri=True)
        try:
            db.execute("PRAGMA temp_store = memory")
            db.execute("PRAGMA cache_size = -65536")
            db.execute("PRAGMA mmap_size = 4294967296")
            if make:
                _begin(db, kind, busy_s)
            _check(db, kind)
            if kind.is_indexed:
                db.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, facts, row)")
        except BaseException:
            db.close()
            raise
    return db


def _is_fixed(path: Path) -> bool:
    """Whether the mirror lies where nobody can write, with all of it in the one file."""
    log = path.with_name(f"{path.name}-wal")
    return not os.access(path.parent, os.W_OK) and not (log.is_file() and log.stat().st_size)


def _check(db: sqlite3.Connection, kind: Kind) -> None:
    (found,) = db.execute("PRAGMA application_id").fetchone()
    if found != kind.application:
        if found in (SHARD.application, LEDGER.application):
            raise sqlite3.DatabaseError("it is a part of a mirror in shards: name its folder")
        raise sqlite3.DatabaseError("it is not a mirror")
    if db.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        raise sqlite3.DatabaseError("it was made by another version; build it again")


def _begin(db: sqlite3.Connection, kind: Kind, busy_s: float) -> None:
    if db.execute("PRAGMA application_id").fetchone() != (0,):
        return
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise sqlite3.DatabaseError("it is not a mirror")
    db.execute("PRAGMA page_size = 8192")
    set_journal(db, kind.journal, wait_s=busy_s)
    with transaction(db):
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            for statement in kind.schema.split(";\n"):
                db.execute(statement)
            if kind.is_indexed:
                _merge_between_files(db)
            db.execute(f"PRAGMA application_id = {kind.application}")
            db.execute(f"PRAGMA user_version = {FORMAT}")


def _merge_between_files(db: sqlite3.Connection) -> None:
    """Never in the middle of a file."""
    for index in INDEXES:
        for option, value in (("automerge", 0), ("hashsize", HASH_BYTES)):
            db.execute(f"INSERT INTO {index} ({index}, rank) VALUES (?, ?)", (option, value))


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


_SPACE = (
    "free some space on the disk, or let files grow larger, then run the command again: it goes on "
    "after the files that are in the mirror"
)
_RIGHTS = "check who may write in the mirror's folder"
_REBUILD = "check the file; a mirror can always be built again from NLM's files"
_REMEDIES = (
    ("full", _SPACE),
    ("disk I/O", _SPACE),
    ("No space", _SPACE),
    ("locked", "wait until the other command has ended"),
    ("unable to open", _RIGHTS),
    ("readonly", _RIGHTS),
    ("Permission denied", _RIGHTS),
    ("Read-only", _RIGHTS),
)


@contextlib.contextmanager
def faults(path: Path) -> Iterator[None]:
    """Faults of SQLite and of the disk in the reader's words."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        why = str(fault)
        remedy = next((words for sign, words in _REMEDIES if sign in why), _REBUILD)
        if isinstance(fault, OSError) and fault.strerror:  # else it begins with a number
            at = f"{os.fsdecode(fault.filename)}: " if fault.filename else ""
            why = f"{at}{fault.strerror[0].lower()}{fault.strerror[1:]}"
        raise StoreError(f"{path}: {why}", remedy=remedy) from fault
