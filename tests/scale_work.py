"""Work that goes wrong on a worker, for `tests/test_scale.py`; workers import it by this name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from evidence.errors import StoreError
from evidence.mirror.scale import shard
from evidence.mirror.scale.shard import Build, Built


@dataclass(frozen=True)
class Wrong:
    """Builds shards, but one with a certain file goes wrong after it is filled."""

    victim: str  # part of a file's name
    how: str  # "wait" for a kill from outside, the first time; "die" or "fail", every time
    folder: str  # for the note with the worker's process

    def __call__(self, task: Build) -> Built:
        if not any(self.victim in file for file in task.files):
            return shard.build(task)
        with mock.patch.object(shard, "merge", self._merge):
            return shard.build(task)

    def _merge(self, db: Any) -> None:
        if self.how == "die":
            os._exit(1)
        if self.how == "fail":
            raise StoreError("the disk is on fire")
        note = Path(self.folder) / "pid"
        if not note.exists():
            note.write_text(str(os.getpid()))
            time.sleep(600)
