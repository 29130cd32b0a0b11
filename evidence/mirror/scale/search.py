"""Queries on a mirror in shards: one plan, asked of every shard, masked by the ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

import numpy as np

from evidence.errors import StoreError
from evidence.mirror.database import LEDGER, connect
from evidence.mirror.scale.engines import Engine, Failed, Here
from evidence.mirror.scale.ledger import ledger_path, shards
from evidence.mirror.scale.shard import Ask, ask, close, opened
from evidence.mirror.search import Mirror
from evidence.mirror.sets import NONE, Ids
from evidence.model import Record
from evidence.query.plan import Plan


class ShardedMirror(Mirror):
    """A mirror in shards, opened for searching as a `Mirror` is, for use in one thread.

    The query is planned once, here, with the headings that the ledger holds; a shard answers for
    its records whether they count or not, and the ledger says which do. What is found therefore
    depends neither on the number of shards nor on who asks them.

    Parameters
    ----------
    folder : Path
        The folder of the shards.
    engine : Engine, optional
        Who asks the shards; this process by default.

    Raises
    ------
    StoreError
        If there is no mirror, or it cannot be read.
    """

    def __init__(self, folder: Path, *, engine: Engine | None = None) -> None:
        self.folder = folder.absolute()
        self._engine = engine or Here()
        path = ledger_path(self.folder)
        self._open(path, connect(path, kind=LEDGER))
        self._engine.check(self.folder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close()
        super().__exit__(kind, fault, trace)

    def ledger(self) -> sqlite3.Connection:
        """The ledger once more, for other questions; to be closed by who asks."""
        return connect(self.path, kind=LEDGER)

    def _find(self, asked: Plan) -> Ids:
        there = shards(self._db, self.folder)
        # One task for each worker: Dask takes some milliseconds for a task, a shard for its answer.
        step = min(len(there), self._engine.hands)
        shares = [there[start::step] for start in range(step)]
        tasks = [Ask(tuple(str(shard.path) for shard in share), asked) for share in shares]
        found = [NONE]
        failed = []
        for place, answers in self._engine.each(ask, tasks, kept=True):
            if isinstance(answers, Failed):
                failed.append(f"{', '.join(s.path.name for s in shares[place])}: {answers.why}")
            else:
                for shard, answer in zip(shares[place], answers, strict=True):
                    found.append(answer + np.int32(shard.base))
        if failed:
            raise StoreError(
                f"not all {len(there)} shards answered",
                failed,
                remedy="mend that, then ask again: an answer without them would not be complete",
            )
        return np.concatenate(found)

    def _record(self, docid: int) -> Record | None:
        name, base = self._db.execute(
            "SELECT name, base FROM shards WHERE base < ? AND ? <= base + size", (docid, docid)
        ).fetchone()
        return opened(self.folder / name).record(docid - base)
