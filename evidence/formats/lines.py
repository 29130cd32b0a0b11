"""Records as lines of JSON, and what a file turned out to hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from json.encoder import encode_basestring as _quoted
from pathlib import Path
from typing import Any, BinaryIO

from evidence.errors import SourceError
from evidence.files import write_bytes
from evidence.formats.records import read_records
from evidence.model import (
    Chemical,
    Heading,
    HistoryDate,
    Journal,
    PubDate,
    Qualifier,
    Record,
    Term,
)
from evidence.pubmed.articles import Unreadable


@dataclass(slots=True)
class FileCount:
    """What was found in one file."""

    path: Path
    records: int = 0
    deleted: int = 0
    unreadable: int = 0
    faults: list[str] = field(default_factory=list)  # each with its file and line

    @property
    def whole(self) -> bool:
        return not self.faults

    def summary(self) -> str:
        """ "pubmed21n1298.xml.gz: 20,788 records, 20 withdrawn PMIDs, nothing unreadable"."""
        deleted = f", {self.deleted:,} withdrawn PMIDs" if self.deleted else ""
        unreadable = f"{self.unreadable:,} unreadable" if self.unreadable else "nothing unreadable"
        name = "record" if self.records == 1 else "records"
        return f"{self.path}: {self.records:,} {name}{deleted}, {unreadable}"


def print_records(
    path: Path, out: BinaryIO | None, *, deleted: bool = False, quarantine: Path | None = None
) -> FileCount:
    """Read a file and print each record as one line of JSON; the names are those of `Record`.

    Parameters
    ----------
    out : binary file, optional
        Where the lines go, in UTF-8; without it the records are counted only.
    deleted : bool
        Print withdrawn PMIDs as lines of their own: ``{"pmid": ..., "deleted": true}``.
    quarantine : Path, optional
        A folder for the bytes of what cannot be read, named by file and line.
    """
    count = FileCount(path)
    try:
        for answer in read_records(path):
            if isinstance(answer, Record):
                count.records += 1
                if out is not None:
                    out.write(json_line(answer))
            elif isinstance(answer, Unreadable):
                count.unreadable += 1
                count.faults.append(_named(path, answer))
                if quarantine is not None and answer.data:
                    name = f"{path.name}.{answer.line}.{count.unreadable}.bytes"
                    write_bytes(quarantine / name, answer.data)
            else:
                count.deleted += 1
                if out is not None and deleted:
                    body = {"pmid": answer.pmid, "version": answer.version, "deleted": True}
                    out.write(json.dumps(body).encode() + b"\n")
    except SourceError as fault:
        count.faults.append(f"error: {fault}")
    if out is not None:
        out.flush()
    return count


def _named(path: Path, found: Unreadable) -> str:
    pmid = f"PMID {found.pmid}: " if found.pmid and found.pmid not in found.why else ""
    return f"{path}:{found.line}  {pmid}{found.why}"


def json_line(record: Record) -> bytes:
    """A record as one line; ``pmid`` is null where a file of another database has none."""
    cells = [_json(getattr(record, name)) for name in _NAMES]
    if not record.pmid:
        cells[0] = "null"
    return (_LINE % (*cells, _json(record.cites))).encode("utf-8", "backslashreplace")


# --- JSON ------------------------------------------------------------------------------------

# What `json.dumps` gives of `Record.json`, in a quarter of the time: there are no dictionaries on
# the way, and parts that come again in other records are written once.


def _json(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is tuple:
        return f"[{', '.join(map(_json, value))}]" if value else "[]"
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind in _WRITTEN:
        return _WRITTEN[kind][value]
    return _object(value)


def _object(value: Any) -> str:
    """A part of a record, as an object with the names of its fields."""
    kind = type(value)
    names = getattr(kind, "_fields", None) or kind.__slots__
    if kind not in _TEMPLATES:
        _TEMPLATES[kind] = _template(names)
    cells = value if isinstance(value, tuple) else [getattr(value, name) for name in names]
    return _TEMPLATES[kind] % tuple(map(_json, cells))


def _template(names: Iterable[str]) -> str:
    return "{" + ", ".join([f'"{name}": %s' for name in names]) + "}"


class _Written(dict[Any, str]):
    """Of parts of one kind: named tuples of two kinds are equal if what they hold is."""

    def __missing__(self, value: Any) -> str:
        if len(self) >= _MOST:
            self.clear()
        text = self[value] = _object(value)
        return text


_MOST = 32768
_NAMES = tuple(field.name for field in fields(Record))
_LINE = _template((*_NAMES, "cites")) + "\n"
_TEMPLATES: dict[type, str] = {}
_WRITTEN = {
    kind: _Written() for kind in (Chemical, Heading, HistoryDate, Journal, PubDate, Qualifier, Term)
}
