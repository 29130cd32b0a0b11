"""From the bytes of a file to rows, in this process or in several, always in the file's order."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeAlias

from evidence.errors import ToolkitError
from evidence.mirror.rows import Row, row
from evidence.model import Record
from evidence.pubmed.articles import Deleted, Unreadable, read
from evidence.pubmed.xml_split import Piece, pieces, read_chunks

Item: TypeAlias = Row | Unreadable | Deleted
Reader: TypeAlias = Callable[[BinaryIO], Iterator[Item]]

_LARGE = 8 << 20  # bytes of files below which more processes take longer to start than they save
_MOST = 4  # processes; more than that wait for the one that writes
_CHUNK = 100  # records that are handed over together
_AHEAD = 4  # chunks for each process that are under way


@contextlib.contextmanager
def readers(files: Sequence[Path], jobs: int | None = None) -> Iterator[Reader]:
    """A function from an open file to its items, with as many processes as are wanted."""
    if jobs is None:
        size = sum(file.stat().st_size for file in files if file.is_file())
        jobs = min(os.cpu_count() or 1, _MOST) if size > _LARGE else 1
    if jobs <= 1:
        yield lambda file: items(pieces(read_chunks(file)))
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_end_with_parent)
    try:
        yield lambda file: _in_order(pool, pieces(read_chunks(file)), jobs * _AHEAD)
    finally:
        pool.shutdown(cancel_futures=True)


def items(found: Iterable[Piece]) -> Iterator[Item]:
    """What the pieces of a file hold, ready to be written."""
    for answer in read(found):
        if not isinstance(answer, Record):
            yield answer
            continue
        try:
            made = row(answer)
        except (ValueError, OverflowError) as fault:
            why = f"it cannot be indexed: {fault}"
            yield Unreadable(0, why, answer.pmid, data=repr(answer).encode())
        else:
            yield made


def _in_order(pool: ProcessPoolExecutor, found: Iterator[Piece], ahead: int) -> Iterator[Item]:
    running: deque[Future[list[Item]]] = deque()
    try:
        while chunk := list(islice(found, _CHUNK)):
            running.append(pool.submit(_items, chunk))
            if len(running) >= ahead:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()
    except BrokenProcessPool:
        raise ToolkitError(
            "a process that reads records was ended from outside, perhaps for want of memory",
            remedy="run the command again with --jobs 1",
        ) from None
    finally:
        for future in running:
            future.cancel()


def _items(chunk: list[Piece]) -> list[Item]:
    return list(items(chunk))


def _end_with_parent() -> None:
    """A process that reads must not outlive the one that writes, even if that one is killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
