"""Door to the disk: reads bytes, and writes files that are either old or new, never half."""

from __future__ import annotations

import contextlib
import csv
import errno
import fcntl
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from evidence.errors import ToolkitError

_REMEDIES = {
    errno.ENOENT: "check the spelling, or make the folder first",
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.EROFS: "the disk is mounted read-only: choose another folder",
    errno.ENOSPC: "free some space on the disk, then run the command again",
    errno.EFBIG: "let files of this size be written (ulimit -f), then run the command again",
    errno.EDQUOT: "free some of your quota on the disk, then run the command again",
    errno.EISDIR: "a folder has the name that the file needs: move it away",
    errno.ENOTDIR: "a file has the name that a folder needs: move it away",
}


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises
    ------
    ToolkitError
        If the file is missing or cannot be read; says why and what to do.
    """
    try:
        return path.read_bytes()
    except OSError as fault:
        raise explained("read", path, fault) from fault


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Raises
    ------
    ToolkitError
        If the file cannot be read, or is not UTF-8; names the first line that is not.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise ToolkitError(
            f"{path} is not UTF-8 text",
            [f"{path}:{line}  byte 0x{data[fault.start]:02x} belongs to no UTF-8 character"],
            remedy="save the file again with the encoding UTF-8",
        ) from fault


def write_bytes(path: Path, data: bytes) -> bool:
    """Write a file as one step: after a crash or on a full disk the old content is still whole.

    The bytes go to a temporary file in the same folder, reach the disk, and replace the file under
    its name. A file that already has these bytes is left alone, with its date. What a killed run
    left of an earlier attempt is removed.

    Returns
    -------
    bool
        Whether the content changed.

    Raises
    ------
    ToolkitError
        If the disk refuses; says why and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in path.parent.glob(f".{_escaped(path.name)}.*.part"):
            remove_part(part)
        if path.is_file() and path.read_bytes() == data:
            return False
        _replace(path, data)
    except OSError as fault:
        raise explained("write", path, fault) from fault
    return True


def remove_part(part: Path) -> bool:
    """Remove what a killed run left half-written; not what another process writes just now."""
    with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
        if not _lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
        part.unlink(missing_ok=True)
    return True


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # os.open rather than tempfile: the reader's umask decides who may read the result
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            _lock(file.fileno(), fcntl.LOCK_EX)  # until it has its name: see `remove_part`
            if not os.fstat(file.fileno()).st_nlink:  # removed before it was locked
                return _replace(path, data)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _lock(descriptor: int, how: int) -> bool:
    """Lock an open file; false where another process holds it."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as fault:
        if fault.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise  # some network file systems cannot
    return True


@contextlib.contextmanager
def alone(path: Path, *, waits: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file, so that of several processes one works at a time and the others wait.

    The lock ends with the process, however that ends.

    Parameters
    ----------
    waits : callable
        Called once when another process holds the lock.

    Raises
    ------
    ToolkitError
        If the lock file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as fault:
        raise explained("write", path, fault) from fault
    with file:
        if not _lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB):
            waits()
            _lock(file.fileno(), fcntl.LOCK_EX)
        yield


def sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where the system can do that for a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> bool:
    """Write UTF-8 text as one step; see :func:`write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV: a header, a line a row, ``None`` as an empty cell.

    Raises
    ------
    ValueError
        If a row has a key that is not a column.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bool:
    """Write a CSV file as one step; see :func:`csv_text` and :func:`write_bytes`."""
    return write_text(path, csv_text(columns, rows))


def _escaped(name: str) -> str:
    """A file name as a pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def explained(verb: str, path: Path | str, fault: OSError) -> ToolkitError:
    """A fault of the disk in the reader's words, with what to do."""
    why = fault.strerror or str(fault)
    return ToolkitError(
        f"cannot {verb} {path}: {why[0].lower()}{why[1:]}",
        remedy=_REMEDIES.get(fault.errno or 0, "mend that, then run the command again"),
    )
