"""The text of ``screening.csv`` as rows, and a row as text; a half-written end is no fault."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from evidence.model import Decision, Place, Screening, Stage

# `time` stands last: the Z at its end shows that a row was written whole.
COLUMNS = (
    "record",
    "stage",
    "reviewer",
    "decision",
    "reason",
    "date",
    "kind",
    "note",
    "source",
    "time",
)
NEEDED = COLUMNS[:6]  # all that files of before had; their rows may stay as they are
HEADER = (",".join(COLUMNS) + "\n").encode()
STAGES: tuple[Stage, ...] = get_args(Stage)
DECISIONS: tuple[Decision, ...] = get_args(Decision)

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
_MARKER = re.compile(rb"(?:<{7}|>{7}|\|{7})(?: .*)?|={7}")  # of a merge that git left open
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")


@dataclass(slots=True)
class Stretch:
    """What a stretch of the file holds; what a person must mend; what does no harm."""

    rows: list[Screening] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


class RowReader:
    """Reads the file as it grows: each `feed` begins where the last whole row ended.

    Attributes
    ----------
    whole : int
        Bytes up to the end of the last whole row. What follows is being written, or is torn.
    line : int
        The line that comes next, from 1.
    headers : list of tuple of str
        The rows of column names, the latest last.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.whole = 0
        self.line = 1
        self.headers: list[tuple[str, ...]] = []
        self._seen: set[bytes] = set()
        self._useless = False  # the columns have a fault: rows cannot be read under them

    def feed(self, data: bytes) -> Stretch:
        """Read on. A row that stands there twice, as after a merge by union, is given once."""
        found = Stretch()
        for text in () if self._useless else _pieces(data):
            place = Place(self.file, self.line)
            last = not text.endswith((b"\n", b"\r"))
            if _MARKER.fullmatch(text.rstrip(b"\r\n")):
                if last:
                    break
                found.notices.append(f"{place}  is a mark of a merge: the rows of both sides count")
            elif text.strip(b"\xef\xbb\xbf \t\r\n") and not self._take(text, place, found, last):
                break
            self.whole += len(text)
            self.line += sum(part[-1] in b"\r\n" for part in _LINE.findall(text))
            if self._useless:
                break
        return found

    def _take(self, text: bytes, place: Place, found: Stretch, last: bool) -> bool:
        """Read one row; False where it is the unfinished end of the file."""
        read = self._header if not self.headers else self._row
        faults, notices = read(text, place, found, last)
        if faults and last and (self.headers or HEADER.startswith(text)):
            return False
        self._useless = not self.headers
        found.faults += [f"{place}  {fault}" for fault in faults]
        found.notices += [f"{place}  {notice}" for notice in notices]
        return True

    def _header(
        self, text: bytes, place: Place, found: Stretch, last: bool
    ) -> tuple[list[str], list[str]]:
        try:
            names = tuple(c.strip() for c in _cells(text))
        except ValueError as fault:
            return [str(fault)], []
        faults = list(_header_faults(names))
        if not faults:
            self.headers.append(names)
        return faults, []

    def _row(
        self, text: bytes, place: Place, found: Stretch, last: bool
    ) -> tuple[list[str], list[str]]:
        try:
            cells = _cells(text)
        except ValueError as fault:
            return [str(fault)], []
        if {"record", "decision", "date"} <= set(cells):
            return self._header(text, place, found, last)
        header = self._header_of(cells, last)
        if header is None:
            return [f"has {len(cells)} cells, the header has {len(self.headers[-1])}"], []
        values: dict[str, Any] = {}
        faults: list[str] = []
        for column, cell in zip(header, cells, strict=True):
            parser = _PARSERS.get(column)
            try:
                values[column] = parser(cell.strip()) if parser else cell.strip()
            except ValueError as fault:
                faults.append(str(fault))
        if faults:
            return faults, []
        row = Screening(**values, at=place)
        if row.time is not None:  # without one, a row may be there twice with a purpose
            if (key := text.strip()) in self._seen:
                return [], ["is there twice: it counts once"]
            self._seen.add(key)
        found.rows.append(row)
        return [], []

    def _header_of(self, cells: Sequence[str], last: bool) -> tuple[str, ...] | None:
        """The header that a row was written under: a file that was widened has rows of both."""
        if last:  # a wide row that was cut may look like a narrow one
            return self.headers[-1] if len(cells) == len(self.headers[-1]) else None
        for header in reversed(self.headers):
            if len(header) == len(cells):
                return header
        header = self.headers[-1]
        if len(cells) > len(header):  # one side of a merge was widened
            wide = widened(header)
            return wide if len(cells) == len(wide) else None
        return header[: len(cells)] if set(header[: len(cells)]) >= set(NEEDED) else None


def _pieces(data: bytes) -> Iterator[bytes]:
    """The lines of each row. A quotation that is never closed does not take in the rest."""
    physical = _LINE.findall(data)
    at = 0
    while at < len(physical):
        end, open_ = at + 1, physical[at].count(b'"') % 2
        while open_ and end < len(physical):
            open_ ^= physical[end].count(b'"') % 2
            end += 1
        if open_:
            end = at + 1
        yield b"".join(physical[at:end])
        at = end


def _cells(text: bytes) -> list[str]:
    """The cells of one row; a ValueError says why they cannot be read."""
    try:
        line = text.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as fault:
        raise ValueError(f"is not UTF-8 text: byte 0x{text[fault.start]:02x}") from None
    bare = line.rstrip("\r\n")
    if '"' not in bare:
        return bare.split(",")
    try:
        return next(csv.reader(io.StringIO(line, newline=""), strict=True), [])
    except csv.Error as fault:
        raise ValueError(f"is no CSV: {fault}") from None


def widened(header: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a file of before, with those that it lacks behind them."""
    return header + tuple(c for c in COLUMNS if c not in header)


def _header_faults(header: Sequence[str]) -> Iterator[str]:
    """What is wrong with a row of column names."""
    for column in NEEDED:
        if column not in header:
            yield f"column {column} is missing"
    for column in sorted({c for c in header if c not in COLUMNS or header.count(c) > 1}):
        yield f"column {column!r} is {'there twice' if column in COLUMNS else 'not known'}"


def _named(column: str) -> Callable[[str], str]:
    def parse(cell: str) -> str:
        if not cell:
            raise ValueError(f"{column} is empty")
        return cell

    return parse


def _one_of(column: str, known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(cell: str) -> str:
        if cell not in known:
            choices = ", ".join(k or "(empty)" for k in known)
            raise ValueError(f"{column} = {cell!r} is none of: {choices}")
        return cell

    return parse


def _date(cell: str) -> dt.date:
    try:
        return _day(cell)
    except ValueError:
        raise ValueError(f"date = {cell!r} is no day (YYYY-MM-DD)") from None


def _time(cell: str) -> dt.datetime | None:
    if not cell:
        return None
    if not _TIME.fullmatch(cell):
        raise ValueError(f"time = {cell!r} is no time (YYYY-MM-DDTHH:MM:SS.ffffffZ)")
    try:
        return dt.datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"time = {cell!r} is no time of a calendar") from None


_PARSERS: dict[str, Callable[[str], Any]] = {  # the other columns are text
    "record": _named("record"),
    "reviewer": _named("reviewer"),
    "stage": _one_of("stage", STAGES),
    "decision": _one_of("decision", DECISIONS),
    "kind": _one_of("kind", ("", "resolution")),
    "date": _date,
    "time": _time,
}


_days: dict[str, dt.date] = {}  # a screening has thousands of rows of few days


def _day(cell: str) -> dt.date:
    day = _days.get(cell)
    if day is None:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", cell):
            raise ValueError(cell)
        day = _days[cell] = dt.date.fromisoformat(cell)
    return day


def one_line(text: str) -> str:
    """A text without line breaks and control characters, so that a row is one line of the file."""
    return " ".join(_CONTROL.sub(" ", text).split())


def row_text(row: Screening, header: Sequence[str]) -> str:
    """A row as a line of the file, under these columns."""
    cells = []
    for column in header:
        value = getattr(row, column)
        cells.append(time_text(value) if isinstance(value, dt.datetime) else str(value or ""))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def time_text(time: dt.datetime) -> str:
    """ "2026-03-01T09:30:00.000000Z": in UTC, so that texts sort as times do."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
