"""What SQLite does not wait for by itself."""

from __future__ import annotations

import sqlite3
import time

STEP_S = 0.02


def set_journal(db: sqlite3.Connection, mode: str, *, wait_s: float) -> None:
    """Say how a transaction is undone, and wait while another process says the same.

    Two processes that open a new database at once both hold a lock to read as they change it to
    WAL; SQLite then tells one of them at once that the database is locked, whatever its timeout, as
    waiting with the lock held might never end.

    Parameters
    ----------
    mode : str
        ``WAL``, ``DELETE``, ``MEMORY``; see https://www.sqlite.org/pragma.html#pragma_journal_mode.
    wait_s : float
        Seconds.

    Raises
    ------
    sqlite3.OperationalError
        If it is still locked after ``wait_s``, or cannot be changed.
    """
    end = time.monotonic() + wait_s
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as fault:
            busy = fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # in whatever detail
            if not busy or time.monotonic() >= end:
                raise
            time.sleep(STEP_S)
        else:
            return
