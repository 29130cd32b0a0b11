"""One limit of requests for all threads and processes of a machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from evidence.errors import SourceError

TOOL = "living-evidence"
WINDOW_S = 1.0
ABANDONED_S = 360.0  # no request lives longer than this


@dataclass(slots=True)
class _Ticket:
    """A request in the limiter's file: in flight, or landed at ``stamp``."""

    name: str
    pid: int
    stamp: float
    flying: bool


class Limiter:
    """At most ``rate`` requests in any ``window_s`` seconds, over all threads and processes.

    A request occupies its place from before it is sent until ``window_s`` after its reply, so the
    service, wherever its clock stands between the two, can never count more than ``rate`` in a
    window. The places are lines of one file under an advisory lock; ``clock`` must be common to
    all processes of the machine and never step back, as ``time.monotonic`` is.

    Parameters
    ----------
    path : Path
        The file that all who share the limit name alike; its folder is made.
    rate : int
        Requests in a window.
    """

    def __init__(
        self,
        path: Path,
        rate: int,
        *,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path, self.rate, self.window_s = path, rate, window_s
        self._clock, self._sleep = clock, sleep

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a place, and hold it while the request is under way."""
        name = self._enter()
        try:
            yield
        finally:
            self._land(name)

    def _enter(self) -> str:
        while True:
            with self._tickets() as tickets:
                now = self._clock()
                if len(tickets) < self.rate:
                    name = uuid.uuid4().hex
                    tickets.append(_Ticket(name, os.getpid(), now, True))
                    return name
                ends = [t.stamp + self.window_s - now for t in tickets if not t.flying]
            # With every place in flight nothing ends before one lands: look again soon.
            # A place may have become free since the tickets were counted.
            self._sleep(max(0.0, min(ends)) + 0.001 if ends else self.window_s / 10)

    def _land(self, name: str) -> None:
        with self._tickets() as tickets:
            for ticket in tickets:
                if ticket.name == name:
                    ticket.stamp, ticket.flying = self._clock(), False

    @contextlib.contextmanager
    def _tickets(self) -> Iterator[list[_Ticket]]:
        """The places that count now, for changing; written back when the block ends."""
        with self._open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file closes
            now = self._clock()
            tickets = [t for line in file if (t := _ticket(line)) and self._counts(t, now)]
            yield tickets
            file.seek(0)
            file.truncate()
            file.writelines(f"{t.name} {t.pid} {t.stamp!r} {int(t.flying)}\n" for t in tickets)

    def _counts(self, ticket: _Ticket, now: float) -> bool:
        if ticket.stamp > now:  # written before the machine was restarted
            return False
        if ticket.flying and not _alive(ticket.pid):  # killed: it may have sent until just now
            ticket.stamp, ticket.flying = now, False
        return now - ticket.stamp < (ABANDONED_S if ticket.flying else self.window_s)

    def _open(self) -> TextIO:
        fallback = Path(tempfile.gettempdir()) / f"{TOOL}-{os.getuid()}" / self.path.name
        for path in (self.path, fallback):
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("a+", encoding="ascii")
                file.seek(0)
                return file
        raise SourceError(
            "the rate of requests cannot be shared with other processes",
            [f"{self.path}: cannot be written", f"{fallback}: cannot be written"],
            remedy="set XDG_CACHE_HOME to a folder that you may write",
        )


def _ticket(line: str) -> _Ticket | None:
    with contextlib.suppress(ValueError):  # a line cut short by a full disk does not count
        name, pid, stamp, flying = line.split()
        return _Ticket(name, int(pid), float(stamp), flying == "1")
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
