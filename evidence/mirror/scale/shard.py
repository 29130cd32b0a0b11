"""What a worker does: look at a file, build a shard, ask one. Paths and plain values in and out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evidence.errors import ToolkitError
from evidence.files import read_bytes, sync_folder
from evidence.mirror.add import add_file, check_sum, refusal
from evidence.mirror.database import SHARD, connect, faults
from evidence.mirror.indexes import Indexes
from evidence.mirror.reading import readers
from evidence.mirror.sets import Ids
from evidence.mirror.writing import Added, Refused, merge
from evidence.pubmed.articles import NotWhole
from evidence.query.plan import Plan

PATTERN = "shard-*.sqlite"
_OPEN = 128  # shards that a thread keeps open: two files each, of the usual 1,024 a process


@dataclass(frozen=True, slots=True)
class Looked:
    """A file before it is read: its sum, or why it is left out."""

    md5: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """A task: one shard of these files."""

    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A shard, or none where every file was refused; an answer for each file."""

    name: str
    md5s: tuple[str, ...]  # of the files that are in it
    answers: tuple[Added | str, ...]  # what it brought, or why it was refused


@dataclass(frozen=True, slots=True)
class Ask:
    """A task: one question to some shards."""

    paths: tuple[str, ...]
    asked: Plan


def look(file: str) -> Looked:
    """The sum of a file, compared with the one beside it."""
    path = Path(file)
    try:
        md5 = hashlib.md5(read_bytes(path), usedforsecurity=False).hexdigest()
        check_sum(path, md5)
    except Refused as why:
        return Looked(refused=f"{path}: {why}")
    except ToolkitError as fault:
        return Looked(refused=str(fault))
    return Looked(md5=md5)


def build(task: Build) -> Built:
    """Build a shard under a name that no other attempt has; it is there whole or not at all.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    folder = Path(task.folder)
    name = PATTERN.replace("*", secrets.token_hex(8))
    part = folder / f".{name}.part"
    try:
        with faults(part):
            db = connect(part, make=True, kind=SHARD)
            try:
                answers = _filled(db, task.files)
                md5s = tuple(md5 for (md5,) in db.execute("SELECT md5 FROM files ORDER BY id"))
            finally:
                db.close()
            if md5s:
                _publish(part, folder / name)
    finally:
        part.unlink(missing_ok=True)
    return Built(name if md5s else "", md5s, answers)


def _filled(db: sqlite3.Connection, files: tuple[str, ...]) -> tuple[Added | str, ...]:
    db.execute("PRAGMA synchronous = OFF")  # it counts only when it is whole
    answers: list[Added | str] = []
    with readers((), 1) as read:
        for path in map(Path, files):
            try:
                answers.append(add_file(db, path, read, lambda text: None))
            except (Refused, NotWhole) as why:
                answers.append(refusal(path, why))
            except ToolkitError as fault:
                answers.append(str(fault))
    merge(db)
    return tuple(answers)


def _publish(part: Path, path: Path) -> None:
    """Let the bytes reach the disk, then the name."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    with contextlib.suppress(OSError):  # some network file systems cannot
        sync_folder(path.parent)


# ---------------------------------------------------------------------------- questions

_opened = threading.local()  # SQLite's connections stay in their thread


def ask(task: Ask) -> tuple[Ids, ...]:
    """For each shard the numbers in it of all records that answer with yes, counting or not.

    Raises
    ------
    StoreError
        If a shard is not there or cannot be read.
    """
    found = []
    for path in map(Path, task.paths):
        with faults(path):
            found.append(opened(path).find(task.asked))
    return tuple(found)


def opened(path: Path) -> Indexes:
    """The indexes of a shard, kept open: a shard never changes."""
    kept: OrderedDict[Path, tuple[sqlite3.Connection, Indexes]]
    kept = _opened.__dict__.setdefault("kept", OrderedDict())
    if path in kept:
        kept.move_to_end(path)
        return kept[path][1]
    while len(kept) >= _OPEN:
        kept.popitem(last=False)[1][0].close()
    db = connect(path, kind=SHARD)
    indexes = Indexes(db)
    parts = [np.zeros(1, np.int32)]  # docids begin with 1
    for (blob,) in db.execute("SELECT pmids FROM files ORDER BY first"):
        parts.append(np.frombuffer(blob, np.int32))
    indexes.pmids = np.concatenate(parts)
    kept[path] = db, indexes
    return indexes


def close() -> None:
    """Close all shards that this thread has open."""
    kept = _opened.__dict__.pop("kept", {})
    for db, _ in kept.values():
        db.close()
