"""The decisions of a claim on disk: added one by one, flushed at once, never changed."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from evidence import files
from evidence.errors import InputError, SchemaError, ToolkitError
from evidence.model import Decision, Place, Screening, Stage
from evidence.screening.lock import is_still, locked
from evidence.screening.rows import (
    COLUMNS,
    DECISIONS,
    HEADER,
    STAGES,
    RowReader,
    one_line,
    row_text,
    widened,
)

FILE = "screening.csv"
TORN = ".torn"  # beside the file: the bytes of rows that were not written to their end
Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision that is about to be written; the log adds the date and the time."""

    record: str
    stage: Stage
    reviewer: str
    decision: Decision
    reason: str = ""
    note: str = ""
    resolution: bool = False  # settles a conflict for all reviewers
    source: str = ""
    time: dt.datetime | None = None  # of an imported decision, where its file says it


def now() -> dt.datetime:
    """The time here, with its offset from UTC."""
    return dt.datetime.now().astimezone()


class ScreeningLog:
    """The file ``extracted/CLAIM/screening.csv``, shared with other processes.

    Every thread may use it. `rows` grows by what this process and others add; it begins anew, and
    `generation` rises, when a person or a merge changed what had been read.

    Parameters
    ----------
    path : Path
        The file; it is made with the first decision.
    file : str, optional
        Its name in places and messages.
    clock : callable
        Gives the time, aware of its zone. ``date`` is the day there, ``time`` is in UTC.
    """

    def __init__(self, path: Path, *, file: str | None = None, clock: Clock = now) -> None:
        self.path = path
        self.file = file or path.name
        self.rows: list[Screening] = []
        self.notices: list[str] = []
        self.generation = 0
        self._clock = clock
        self._mutex = threading.RLock()
        self._start()

    @classmethod
    def of(cls, root: Path, claim_id: str, *, clock: Clock = now) -> ScreeningLog:
        """The log of a claim of the review in ``root``."""
        file = f"extracted/{claim_id}/{FILE}"
        return cls(root / file, file=file, clock=clock)

    def _start(self) -> None:
        self._reader = RowReader(self.file)
        self._data = bytearray()  # the whole rows as they were read
        self._mark: tuple[int, int, int] | None = None  # inode, size, time of change
        self._times: dict[str, dt.datetime] = {}
        self.rows = []

    def refresh(self) -> list[Screening]:
        """Read what others added; cheap where nothing changed, for it asks for the size alone.

        Returns
        -------
        list of Screening
            The rows since the last call of `refresh` or `append`; all of them after a change of
            what had been read.

        Raises
        ------
        SchemaError
            If the file has rows that cannot be used; names each with its line.
        """
        with self._mutex:
            try:
                mark = _mark(self.path.stat())
            except FileNotFoundError:
                if self._mark is not None:
                    self._begin_anew()
                return []
            if mark == self._mark:
                return []
            return self._locked(self._read, write=False)

    def append(self, entries: Entry | Iterable[Entry]) -> list[Screening]:
        """Write decisions; when this returns they are on the disk.

        All are written by one call, each on a line of its own. What others wrote meanwhile is read
        first, and a row that a crash left unfinished is cut off: its bytes go to
        ``screening.csv.torn``, a notice says so.

        Returns
        -------
        list of Screening
            The rows that others had added, then these; the last ones are those asked for.

        Raises
        ------
        InputError
            If an entry has no record or reviewer, or a stage or decision that is not known.
        SchemaError
            If the file has rows that cannot be used; then nothing is written.
        ToolkitError
            If the disk refuses or the lock is not to be had; then nothing is written.
        """
        wanted = [entries] if isinstance(entries, Entry) else list(entries)
        _refuse(wanted)
        if not wanted:
            return self.refresh()
        with self._mutex:
            return self._locked(lambda descriptor: self._add(descriptor, wanted))

    def repair(self) -> list[Screening]:
        """Cut off a row that a crash left unfinished, with a notice; see `append`."""
        with self._mutex:
            if not self.path.is_file():
                return []
            return self._locked(self._ready)

    @contextmanager
    def held(self) -> Iterator[list[Screening]]:
        """Keep every other writer out until the end; gives the rows that others had added.

        For what must fit the decisions as they stand. Inside, `append` would wait for itself.
        """
        with self._mutex, ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                rows = self._ready(stack.enter_context(locked(self.path)))
            except OSError as fault:
                raise ToolkitError(
                    f"cannot lock {self.path}: {fault.strerror or fault}",
                    remedy="mend that, then try again; nothing was written",
                ) from fault
            yield rows

    def _locked(
        self, work: Callable[[int], list[Screening]], *, write: bool = True
    ) -> list[Screening]:
        try:
            if write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                with locked(self.path, write=write) as descriptor:
                    if write and self._widen(descriptor):
                        continue  # the name means a new file now
                    rows = work(descriptor)
                    if not write or is_still(self.path, descriptor):
                        return rows
                    # A merge put another file in its place meanwhile: there, too.
        except OSError as fault:
            verb = "write" if write else "read"
            raise ToolkitError(
                f"cannot {verb} {self.path}: {fault.strerror or fault}",
                remedy="mend that, then decide again: what was not confirmed is not saved",
            ) from fault

    def _widen(self, descriptor: int) -> bool:
        """Give a file of before the columns that it lacks; its rows stay as they are."""
        if self._mark == _mark(os.fstat(descriptor)) and self._wide:
            return False
        data = _all(descriptor)
        reader = RowReader(self.file)
        reader.feed(data)
        if not reader.headers or widened(reader.headers[0]) == reader.headers[0]:
            return False
        head = data.partition(b"\n")[0].rstrip(b"\r")
        if reader.whole == len(data) and not data.endswith((b"\n", b"\r")):
            data += b"\n"  # under the wide header the last row would look as if it were cut
        lacking = [c for c in COLUMNS if c not in reader.headers[0]]
        head_wide = b",".join([head, *(column.encode() for column in lacking)])
        files.write_bytes(self.path, head_wide + data[len(head) :])
        return True

    @property
    def _wide(self) -> bool:
        headers = self._reader.headers
        return bool(headers) and widened(headers[-1]) == headers[-1]

    def _read(self, descriptor: int) -> list[Screening]:
        """Bring the rows up to date; the caller holds the lock, so an unfinished row is torn."""
        if self._mark == _mark(os.fstat(descriptor)):
            return []
        data = _all(descriptor)
        if not data.startswith(self._data):
            self._begin_anew()
        found = self._reader.feed(data[self._reader.whole :])
        if found.faults:
            self._begin_anew()  # what was read comes again once the file is mended
            raise SchemaError(
                f"{len(found.faults)} {'row' if len(found.faults) == 1 else 'rows'} of "
                f"{self.file} cannot be used",
                found.faults,
                remedy="correct them by hand (format: docs/reference/screening.md); nothing was "
                "written",
            )
        self._data += data[len(self._data) : self._reader.whole]
        told = set(self.notices)  # before the file was read from its beginning once more
        self.notices += [notice for notice in found.notices if notice not in told]
        torn = data[self._reader.whole :]
        if torn:
            self.notices.append(f"{self._here()}  is not written to its end: {_shown(torn)}")
        self._mark = _mark(os.fstat(descriptor))
        return self._take(found.rows)

    def _ready(self, descriptor: int) -> list[Screening]:
        """Read, and leave a file that ends with a whole line."""
        said = len(self.notices)
        rows = self._read(descriptor)
        whole = self._reader.whole
        torn = _all(descriptor, whole)
        if torn:
            _keep(self.path.with_name(self.path.name + TORN), torn)
            os.ftruncate(descriptor, whole)
            if len(self.notices) > said:
                del self.notices[-1]  # that it is torn: now it is told what became of it
            self._mark = _mark(os.fstat(descriptor))
            self.notices.append(
                f"{self._here()}  was not written to its end and does not count: {_shown(torn)}; "
                f"its bytes are kept in {self.path.name}{TORN}"
            )
        if not self._reader.headers:
            self._write(descriptor, HEADER)
        elif not self._data.endswith((b"\n", b"\r")):
            self._write(descriptor, b"\n")
        return rows

    def _add(self, descriptor: int, wanted: Sequence[Entry]) -> list[Screening]:
        others = self._ready(descriptor)
        clock = self._clock()
        place = Place(self.file, self._reader.line)
        rows = [self._row(entry, clock, place) for entry in wanted]
        header = self._reader.headers[-1]
        return others + self._write(
            descriptor, "".join(row_text(row, header) for row in rows).encode()
        )

    def _row(self, entry: Entry, clock: dt.datetime, place: Place) -> Screening:
        """The entry as a row, later than every other of its record, whatever the clock says."""
        record = one_line(entry.record)
        time = (entry.time or clock).astimezone(dt.UTC)
        before = self._times.get(record)
        if entry.time is None and before is not None and before >= time:
            time = before + dt.timedelta(microseconds=1)
        self._times[record] = max(time, before or time)
        return Screening(
            record=record,
            stage=entry.stage,
            reviewer=one_line(entry.reviewer),
            decision=entry.decision,
            reason=one_line(entry.reason),
            date=(entry.time or clock).date(),
            at=place,
            kind="resolution" if entry.resolution else "",
            note=one_line(entry.note),
            source=one_line(entry.source),
            time=time,
        )

    def _write(self, descriptor: int, data: bytes) -> list[Screening]:
        """Add bytes and wait for the disk; what it refuses leaves the file as it was."""
        size = os.fstat(descriptor).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
        if not size:
            files.sync_folder(self.path.parent)
        found = self._reader.feed(data)
        self._data += data
        self._mark = _mark(os.fstat(descriptor))
        return self._take(found.rows)

    def _take(self, rows: list[Screening]) -> list[Screening]:
        for row in rows:
            if row.time is not None:
                self._times[row.record] = max(row.time, self._times.get(row.record, row.time))
        self.rows += rows
        return rows

    def _begin_anew(self) -> None:
        self._start()
        self.generation += 1

    def _here(self) -> str:
        return str(Place(self.file, self._reader.line))


def _refuse(entries: Sequence[Entry]) -> None:
    wrong = [f"{e.record or '(no record)'}: {why}" for e in entries if (why := _wrong(e))]
    if wrong:
        raise InputError(
            f"{len(wrong)} {'decision' if len(wrong) == 1 else 'decisions'} cannot be written",
            wrong,
        )


def _wrong(entry: Entry) -> str:
    if not one_line(entry.record):
        return "the record is empty"
    if not one_line(entry.reviewer):
        return "the reviewer is empty"
    if entry.stage not in STAGES:
        return f"stage {entry.stage!r} is none of: {', '.join(STAGES)}"
    if entry.decision not in DECISIONS:
        return f"decision {entry.decision!r} is none of: {', '.join(DECISIONS)}"
    if entry.time is not None and entry.time.tzinfo is None:
        return "its time names no zone"
    return ""


def _all(descriptor: int, start: int = 0) -> bytes:
    """What the file holds from ``start`` on."""
    os.lseek(descriptor, start, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 22):
        parts.append(part)
    return b"".join(parts)


def _mark(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _shown(data: bytes) -> str:
    text = one_line(data.decode("utf-8", errors="replace"))
    return repr(text if len(text) <= 120 else f"{text[:119]}…")


def _keep(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data + b"\n")
        file.flush()
        os.fsync(file.fileno())
