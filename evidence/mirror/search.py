"""Queries on a mirror: which of its records count, and which of those a query finds."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from evidence.mirror.database import connect, faults, missing_files
from evidence.mirror.descriptors import Descriptors
from evidence.mirror.indexes import Indexes
from evidence.mirror.sets import NONE, Ids
from evidence.model import Record
from evidence.query.parse import parse
from evidence.query.plan import Plan, Reservation, Vocabulary, plan
from evidence.query.tree import Node, Parsed


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class Answer:
    """The records that a query finds in the mirror, and where PubMed may find others."""

    pmids: Ids
    approximations: tuple[Reservation, ...]

    @property
    def count(self) -> int:
        return len(self.pmids)


class Mirror:
    """A mirror opened for searching, for use in one thread; a context manager.

    Parameters
    ----------
    path : Path
        The SQLite file.

    Raises
    ------
    StoreError
        If there is no mirror, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._open(path, connect(path))
        self._indexes = Indexes(self._db)

    def _open(self, path: Path, ledger: sqlite3.Connection) -> None:
        self.path = path
        self._db = ledger
        self._state: tuple[int, ...] = ()
        self._pmids = NONE  # of each docid; 0 for those that do not count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def ledger(self) -> sqlite3.Connection:
        """Its tables once more, for other questions; to be closed by who asks."""
        return connect(self.path)

    @property
    def size(self) -> int:
        """How many records count."""
        with faults(self.path), _reading(self._db):
            self._load()
            return int(np.count_nonzero(self._pmids))

    @property
    def quarantined(self) -> int:
        """How many records could not be read when their files were added."""
        with faults(self.path):
            (count,) = self._db.execute("SELECT count(*) FROM quarantine").fetchone()
            return int(count)

    @property
    def files(self) -> int:
        """How many files were added."""
        with faults(self.path):
            (count,) = self._db.execute("SELECT count(*) FROM files").fetchone()
            return int(count)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Files of NLM that are missing between two that were added."""
        with faults(self.path):
            return missing_files(self._db)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """NLM's descriptor file, where it was added."""
        with faults(self.path):
            there = self._db.execute("SELECT 1 FROM descriptors LIMIT 1").fetchone()
        return Descriptors(self._db) if there else None

    def search(
        self,
        query: str | Node | Parsed,
        *,
        strict: bool = True,
        today: dt.date | None = None,
        sets: Mapping[str, Node] | None = None,
    ) -> Answer:
        """All records that satisfy the query; the choices are those of `evidence.query.plan.plan`.

        Raises
        ------
        NotAnswerable
            If the records alone cannot answer it; names every such term.
        """
        if isinstance(query, str):
            query = parse(query)
        with faults(self.path), _reading(self._db):
            planned = plan(query, strict=strict, vocabulary=self.vocabulary, today=today, sets=sets)
            self._load()
            docids = self._find(planned.plan)
        pmids = self._pmids[docids]
        return Answer(np.sort(pmids[pmids > 0]), planned.approximations)

    def records(self, pmids: Iterable[int | str]) -> Iterator[Record]:
        """The records of these PMIDs as far as the mirror has them, in the order asked for."""
        with faults(self.path):
            for pmid in pmids:
                held = self._db.execute(
                    "SELECT docid FROM docs WHERE pmid = ? AND live", (int(pmid),)
                ).fetchone()
                if held is not None and (record := self._record(held[0])) is not None:
                    yield record

    def _find(self, asked: Plan) -> Ids:
        """The docids of the records that answer with yes; some of them may not count."""
        self._indexes.pmids = self._pmids
        return self._indexes.find(asked)

    def _record(self, docid: int) -> Record | None:
        return self._indexes.record(docid)

    def _load(self) -> None:
        """The PMID of each docid, read again only where the ledger changed."""
        (state,) = self._db.execute(
            "SELECT (SELECT coalesce(max(id), 0) FROM files), "
            "(SELECT coalesce(max(id), 0) FROM changes)"
        ).fetchall()
        if state == self._state:
            return
        parts = [np.zeros(1, np.int32)]  # docids begin with 1
        for (blob,) in self._db.execute("SELECT pmids FROM files ORDER BY first"):
            parts.append(np.frombuffer(blob, np.int32))
        whole = np.concatenate(parts)
        counting = whole.copy()
        for alive, blob in self._db.execute("SELECT alive, docids FROM changes ORDER BY id"):
            docids = np.frombuffer(blob, np.int32)
            counting[docids] = whole[docids] if alive else 0
        self._pmids, self._state = counting, state


@contextlib.contextmanager
def _reading(db: sqlite3.Connection) -> Iterator[None]:
    """One state of the mirror for all questions of a query, whatever is added meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
