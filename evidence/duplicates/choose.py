"""Of several descriptions of one work, the best value of each field, and whose it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from evidence.formats.reference import KINDS, Reference

_BOTH = ("issn", "isbn", "keywords", "mesh", "types", "urls", "notes")  # all values of all


@dataclass(frozen=True, slots=True)
class Chosen:
    """The merged reference, and for each field the place of the member that gave it."""

    reference: Reference
    origin: tuple[tuple[str, tuple[int, ...]], ...]  # field: members that say so, the first chosen


def choose(members: Sequence[Reference]) -> Chosen:
    """One reference out of several; ties go to the earlier one.

    A value that more members give is preferred for year, volume, issue and DOI; the longest for
    abstract; the one with the most, and most fully named, for authors; one that is not all in
    capitals and not cut off for the title; a full range for pages.
    """
    if len(members) == 1:
        said = [f.name for f in fields(Reference) if getattr(members[0], f.name)]
        return Chosen(members[0], tuple((name, (0,)) for name in said))
    values: dict[str, Any] = {}
    origin: list[tuple[str, tuple[int, ...]]] = []
    for f in fields(Reference):
        name = f.name
        given: list[tuple[int, Any]] = [
            (place, v) for place, m in enumerate(members) if (v := getattr(m, name))
        ]
        if name == "included":
            given = [(i, m.included) for i, m in enumerate(members) if m.included is not None]
        if not given:
            continue
        if name in _BOTH or name == "extra":
            values[name] = tuple(dict.fromkeys(v for _, each in given for v in each))
            origin.append((name, tuple(place for place, _ in given)))
            continue
        rank = _RANKS.get(name, _first)
        counts = Counter(_same(v) for _, v in given)
        place, value = max(
            given, key=lambda pair: (rank(pair[1], counts[_same(pair[1])]), -pair[0])
        )
        values[name] = value
        alike = tuple(i for i, v in given if i != place and _same(v) == _same(value))
        origin.append((name, (place, *alike)))
    return Chosen(Reference(**values), tuple(origin))


def _same(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


Rank = Callable[[Any, int], tuple[float, ...]]


def _first(value: Any, count: int) -> tuple[float, ...]:
    return (0.0,)


def _longest(value: str, count: int) -> tuple[float, ...]:
    return (float(len(value)),)


def _most(value: Any, count: int) -> tuple[float, ...]:
    return (float(count),)


def _title(value: str, count: int) -> tuple[float, ...]:
    cut = value.endswith(("...", "…"))
    return (
        float(not value.isupper()),
        float(not cut),
        float(not value.startswith("[")),
        len(value),
    )


def _authors(value: tuple[str, ...], count: int) -> tuple[float, ...]:
    named = sum(bool(re.search(r", \w{2,}", n)) and not n.isupper() for n in value)
    more = any(re.fullmatch(r"(?i)\W*et\.? al\.?\W*", n) for n in value)
    return (float(not more), float(len(value)), float(named), sum(map(len, value)))


def _pages(value: str, count: int) -> tuple[float, ...]:
    return (float(bool(re.search(r"\d-\w*\d", value))), float(count), float(len(value)))


def _date(value: str, count: int) -> tuple[float, ...]:
    return (float(bool(re.match(r"\d{4}", value))), float(len(value)), float(count))


def _kind(value: str, count: int) -> tuple[float, ...]:
    return (float(value != "other"), float(count), -float(KINDS.index(value)))


_RANKS: dict[str, Rank] = {
    "kind": _kind,
    "title": _title,
    "authors": _authors,
    "editors": _authors,
    "abstract": _longest,
    "journal": _longest,
    "journal_short": _most,
    "year": _most,
    "volume": _most,
    "issue": _most,
    "doi": _most,
    "pages": _pages,
    "date": _date,
}
