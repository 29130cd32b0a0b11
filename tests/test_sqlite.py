"""Commands that begin at once wait for each other, where SQLite itself would not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.mirror.database import connect
from evidence.sqlite import set_journal
from evidence.store import Store


def holding_a_lock(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_journal_is_set_as_soon_as_another_process_lets_go(tmp_path):
    other = holding_a_lock(tmp_path / "x.sqlite")
    db = sqlite3.connect(tmp_path / "x.sqlite", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        db.execute("PRAGMA journal_mode = WAL")
    later = threading.Timer(0.1, other.execute, ["COMMIT"])
    later.start()
    set_journal(db, "WAL", wait_s=30)
    later.join()
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    db.close()


def test_who_waits_too_long_is_told(tmp_path):
    other = holding_a_lock(tmp_path / "x.sqlite")
    db = sqlite3.connect(tmp_path / "x.sqlite", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        set_journal(db, "WAL", wait_s=0.05)
    other.close()
    db.close()


@pytest.mark.parametrize("begin", [Store, lambda path: connect(path, make=True)])
def test_a_new_database_may_be_opened_by_many_at_once(tmp_path, begin: Callable):
    faults: list[BaseException] = []
    together = threading.Barrier(4)

    def open_all() -> None:
        for n in range(40):
            together.wait(60)
            try:
                begin(tmp_path / f"{n}.sqlite").close()
            except BaseException as fault:
                faults.append(fault)

    threads = [threading.Thread(target=open_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
