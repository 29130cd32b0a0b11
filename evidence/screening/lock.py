"""One writer at a time: a lock on a file that other processes and threads wait for."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evidence.errors import ToolkitError

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

WAIT = 20.0  # seconds; a writer holds the lock for some milliseconds
_PAUSE = 0.005


@contextmanager
def locked(path: Path, *, write: bool = True, wait: float = WAIT) -> Iterator[int]:
    """Open a file for reading and appending and keep every other writer out until the end.

    To write, the file is made if it is not there. The lock goes with the process: after a crash
    nothing is left over. Where the system has no ``flock``, a file ``NAME.lock`` beside it is the
    lock, and is removed at the end.

    Yields
    ------
    int
        A file descriptor, opened to append.

    Raises
    ------
    ToolkitError
        If the lock is not to be had in time, or the disk cannot lock; says what to do.
    OSError
        If the file cannot be opened.
    """
    end = time.monotonic() + wait
    if fcntl is None:
        with _marked(path, end), _opened(path, write) as descriptor:
            yield descriptor
        return
    while True:
        with _opened(path, write) as descriptor:
            _flock(descriptor, path, end)
            if is_still(path, descriptor):
                yield descriptor  # closing it gives the lock back
                return


@contextmanager
def _opened(path: Path, write: bool) -> Iterator[int]:
    how = os.O_RDWR | os.O_CREAT | os.O_APPEND if write else os.O_RDONLY
    descriptor = os.open(path, how | getattr(os, "O_BINARY", 0), 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_still(path: Path, descriptor: int) -> bool:
    """Whether the name still means the locked file: it may have been replaced meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _flock(descriptor: int, path: Path, end: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as fault:
            if fault.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                raise ToolkitError(
                    f"cannot lock {path}: this disk does not support it",
                    remedy="keep the review on a local disk, and share it by version control",
                ) from fault
            if fault.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                raise
        _pause(path, end, "another program is writing to it")


@contextmanager
def _marked(path: Path, end: float) -> Iterator[None]:
    mark = path.with_name(f"{path.name}.lock")
    while True:
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            _pause(path, end, f"{mark.name} says that another program is writing to it")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _pause(path: Path, end: float, why: str) -> None:
    if time.monotonic() > end:
        raise ToolkitError(
            f"cannot write {path}: {why}",
            remedy="try again; if no other program of this review runs, and a .lock file is "
            "there, remove it",
        )
    time.sleep(_PAUSE)
