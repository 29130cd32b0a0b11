"""The ledger of a mirror in shards: which shards there are, and which of their records count.

It has the tables of a mirror without the indexes. A shard is built without a look at the others;
when it is taken in, its candidates join those of all other shards, and the same statements that
decide in one database decide for the whole. A record of an earlier shard that was replaced or
withdrawn is thereby masked; its shard stays as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evidence.errors import StoreError
from evidence.mirror.database import FORMAT, LEDGER, NLM_FILE, SHARD, connect, faults, transaction
from evidence.mirror.scale.shard import PATTERN
from evidence.mirror.writing import begin_touched, rank_of, settle

_LAG_S = 30.0  # until another machine's new file is seen on a network file system


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as the ledger knows it."""

    path: Path
    base: int  # added to its docids
    size: int


def ledger_path(folder: Path) -> Path:
    """Where a folder of shards keeps its ledger."""
    return folder / "ledger.sqlite"


@contextlib.contextmanager
def open_for_adding(folder: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, for one run at a time; what killed runs left of shards is removed.

    Raises
    ------
    StoreError
        If another run is adding to the folder, or it cannot be written.
    """
    with faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("ab")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file closes
        except OSError as fault:
            raise StoreError(
                f"another run is adding to {folder}", remedy="wait until it has ended"
            ) from fault
        db = connect(ledger_path(folder), make=True, kind=LEDGER)
        try:
            with faults(folder):
                _sweep(db, folder)
            yield db
        finally:
            db.close()


def _sweep(db: sqlite3.Connection, folder: Path) -> None:
    known = {name for (name,) in db.execute("SELECT name FROM shards")}
    stray = [path for path in folder.glob(PATTERN) if path.name not in known]
    for path in (*stray, *folder.glob(f".{PATTERN}*")):
        path.unlink(missing_ok=True)


def shards(db: sqlite3.Connection, folder: Path) -> list[Shard]:
    """All shards, in the order in which they were taken in."""
    found = db.execute("SELECT name, base, size FROM shards ORDER BY id")
    return [Shard(folder / name, base, size) for name, base, size in found]


def take(db: sqlite3.Connection, path: Path) -> None:
    """Take a shard in: one transaction, after which its records count.

    Raises
    ------
    StoreError
        If it is not there, or a worker with another version of the toolkit made it.
    """
    _wait_for(path)
    db.execute("ATTACH ? AS shard", (f"{path.resolve().as_uri()}?immutable=1",))
    try:
        made_by = (
            *db.execute("PRAGMA shard.application_id").fetchone(),
            *db.execute("PRAGMA shard.user_version").fetchone(),
        )
        if made_by != (SHARD.application, FORMAT):
            raise StoreError(
                f"{path} was made by another version",
                remedy="install the same version of the toolkit on every worker",
            )
        with transaction(db):
            _take(db, path.name)
    finally:
        db.execute("DETACH shard")


def _wait_for(path: Path) -> None:
    end = time.monotonic() + _LAG_S
    while not path.is_file():
        if time.monotonic() > end:
            raise StoreError(
                f"a worker built {path.name}, but it is not in {path.parent}",
                remedy="the folder of shards must be the same disk for this process and all "
                "workers",
            )
        time.sleep(0.1)


def _take(db: sqlite3.Connection, name: str) -> None:
    (base,) = db.execute("SELECT coalesce(max(base + size), 0) FROM shards").fetchone()
    (size,) = db.execute(
        "SELECT coalesce(max(first + length(pmids) / 4), 1) - 1 FROM shard.files"
    ).fetchone()
    db.execute("INSERT INTO shards (name, base, size) VALUES (?, ?, ?)", (name, base, size))
    begin_touched(db)
    place = None  # of a file that NLM did not name: it is alone in its shard
    for number, file in db.execute("SELECT id, name FROM shard.files ORDER BY id").fetchall():
        rank = rank_of(db, file)
        if not NLM_FILE.fullmatch(file):
            place = rank
        held = db.execute(
            "INSERT INTO files (name, md5, rank, first, pmids, records, deletions, quarantined) "
            "SELECT name, md5, ?, first + ?, pmids, records, deletions, quarantined "
            "FROM shard.files WHERE id = ?",
            (rank, base, number),
        ).lastrowid
        db.execute(
            "INSERT INTO quarantine SELECT ?, line, pmid, why, data FROM shard.quarantine "
            "WHERE file = ?",
            (held, number),
        )
    db.execute(
        "INSERT INTO docs SELECT docid + ?, pmid, version, coalesce(?, rank), 1 FROM shard.docs",
        (base, place),
    )
    db.execute(
        "INSERT INTO withdrawn SELECT pmid, version, coalesce(?, rank) FROM shard.withdrawn",
        (place,),
    )
    db.execute(
        "INSERT OR IGNORE INTO touched SELECT pmid FROM shard.docs "
        "UNION SELECT pmid FROM shard.withdrawn"
    )
    _bury(db, base, size)
    settle(db, ("docs",))


def _bury(db: sqlite3.Connection, base: int, size: int) -> None:
    """What the shard itself replaced or withdrew for good counts no more."""
    count = np.zeros(size + 1, bool)
    candidates = db.execute("SELECT group_concat(docid) FROM shard.docs").fetchone()[0]
    if candidates:
        count[np.fromstring(candidates, np.int32, sep=",")] = True
    dead = np.flatnonzero(~count[1:]) + 1 + base
    if len(dead):
        db.execute(
            "INSERT INTO changes (alive, docids) VALUES (0, ?)", (dead.astype(np.int32).tobytes(),)
        )
