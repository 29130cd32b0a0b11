"""Records as compact bytes and back: JSON without names, compressed.

The names of all fields stand once in the mirror, so that a record written by one version of the
toolkit is read by another. Nothing in the bytes can run.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from evidence import model
from evidence.model import Record

_LEVEL = 1  # of zlib: level 6 takes twice the time and saves an eighth of the bytes
_KINDS: tuple[type, ...] = (
    Record,
    model.Author,
    model.AbstractSection,
    model.OtherAbstract,
    model.Journal,
    model.PubDate,
    model.HistoryDate,
    model.Heading,
    model.Qualifier,
    model.Term,
    model.Chemical,
    model.Keyword,
    model.Grant,
    model.DataBank,
    model.Location,
    model.Correction,
    model.Cited,
    model.Book,
)
# Where the parts of a record stand; the rest are texts, numbers and tuples of them.
_LISTS: Mapping[str, Mapping[str, type]] = {
    "Record": {
        "sections": model.AbstractSection,
        "other_abstracts": model.OtherAbstract,
        "people": model.Author,
        "investigators": model.Author,
        "history": model.HistoryDate,
        "headings": model.Heading,
        "supplementary": model.Term,
        "chemicals": model.Chemical,
        "publication_types": model.Term,
        "keyword_list": model.Keyword,
        "grants": model.Grant,
        "databanks": model.DataBank,
        "subjects": model.Author,
        "locations": model.Location,
        "corrections": model.Correction,
        "references": model.Cited,
    },
    "OtherAbstract": {"sections": model.AbstractSection},
    "Heading": {"qualifiers": model.Qualifier},
    "Book": {"locations": model.Location, "authors": model.Author, "editors": model.Author},
}
_SINGLE: Mapping[str, Mapping[str, type]] = {
    "Record": {"periodical": model.Journal, "pubdate": model.PubDate, "book": model.Book},
    "Book": dict.fromkeys(("pubdate", "beginning", "ending", "contributed"), model.PubDate),
}

Shape = Mapping[str, Sequence[str]]  # the names of the fields of each kind of part, in order


def _names(kind: type) -> tuple[str, ...]:
    """The fields of a named tuple or of a class with slots."""
    found: tuple[str, ...] = getattr(kind, "_fields", None) or vars(kind)["__slots__"]
    return found


SHAPE: Shape = {kind.__name__: _names(kind) for kind in _KINDS}
_RECORD, _BOOK = SHAPE["Record"], SHAPE["Book"]


def pack(record: Record) -> bytes:
    """The record as bytes, in the order of `SHAPE`."""
    values = [getattr(record, name) for name in _RECORD]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=_book)
    return zlib.compress(text.encode(), _LEVEL)


def unpack(body: bytes, shape: Shape = SHAPE) -> Record:
    """The record that `pack` wrote when the fields were those of ``shape``."""
    record: Record = _part(Record, json.loads(zlib.decompress(body)), shape)
    return record


def _book(value: object) -> list[object]:
    return [getattr(value, name) for name in _BOOK]


def _part(kind: type, values: Sequence[Any], shape: Shape) -> Any:
    lists, single = _LISTS.get(kind.__name__, {}), _SINGLE.get(kind.__name__, {})
    known = set(_names(kind))
    fields: dict[str, Any] = {}
    for name, value in zip(shape[kind.__name__], values, strict=True):
        if name not in known:
            continue
        if name in lists:
            part = lists[name]
            fields[name] = tuple(_part(part, one, shape) for one in value)
        elif name in single:
            fields[name] = None if value is None else _part(single[name], value, shape)
        else:
            fields[name] = _frozen(value)
    return kind(**fields)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
