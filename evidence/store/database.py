"""One SQLite file: opened, brought to the version of today, written whole or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evidence.errors import StoreError
from evidence.sqlite import set_journal
from evidence.store.schema import MIGRATIONS

BUSY_S = 30.0  # how long to wait for another process that is writing
MANY = 500  # values in one statement; SQLite's oldest limit is 999


class Database:
    """What all parts of the store stand on."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self.path = path
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            with self._faults():
                set_journal(self._db, "WAL", wait_s=busy_s)
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def _version(self) -> int:
        """The version of the file's schema."""
        with self._faults():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} was made by a newer version of this toolkit",
                remedy="update the toolkit, or move the file away: the next update refills it",
            )
        return int(version)

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return  # opening a store writes nothing
        with self._writing():
            for statements in MIGRATIONS[self._version() :]:  # another process may have been first
                for statement in statements.split(";\n"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _select(self, statement: str, pmids: Iterable[str]) -> list[tuple[Any, ...]]:
        numbers = sorted({int(pmid) for pmid in pmids})
        rows: list[tuple[Any, ...]] = []
        with self._faults():
            for start in range(0, len(numbers), MANY):
                part = numbers[start : start + MANY]
                marks = ", ".join("?" * len(part))
                rows += self._db.execute(f"{statement} ({marks})", part).fetchall()
        return rows

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; undone when anything at all interrupts it."""
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    with contextlib.suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Translate what SQLite and the file system say into what the user can do."""
        try:
            yield
        except sqlite3.OperationalError as fault:
            words = str(fault)
            if "full" in words or "disk I/O" in words:
                raise StoreError(
                    f"{self.path} cannot grow: {words}",
                    remedy="free some space and run the same command again; the store is whole,"
                    " and only the last batch is missing",
                ) from None
            if "locked" in words or "busy" in words:
                raise StoreError(
                    f"{self.path} is in use by another process",
                    remedy="wait until the other command has ended",
                ) from None
            if "unable to open" in words or "readonly" in words:
                raise StoreError(
                    f"{self.path} cannot be opened for writing: {words}",
                    remedy="check the rights of the file and its folder",
                ) from None
            raise self._error(words) from None
        except sqlite3.Error as fault:
            raise self._error(str(fault)) from None
        except OSError as fault:
            raise StoreError(
                f"{self.path} cannot be made: {fault.strerror}",
                remedy="check the rights of its folder and the space on the disk",
            ) from None

    def _error(self, words: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged: {words}",
            remedy=f"delete {self.path} (a cache: it holds no decision of yours);"
            " the next update fills it again",
        )
