"""Extracted tables in, nouns out; every fault of a claim is collected before any is raised."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import math
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from evidence.errors import SchemaError
from evidence.files import read_bytes, read_text
from evidence.model import (
    EffectRow,
    Extraction,
    Place,
    PublishedResult,
    RiskOfBias,
    Screening,
    Study,
)
from evidence.routes import ROUTES
from evidence.screening.rows import RowReader

Row = TypeVar("Row", Study, EffectRow, Screening, RiskOfBias, PublishedResult)

TABLES: dict[str, type] = {
    "studies": Study,
    "effects": EffectRow,
    "screening": Screening,
    "risk_of_bias": RiskOfBias,
    "published": PublishedResult,
}

TIERS = ("A", "B", "C", "")
EXERCISE = (
    "interval",
    "sprint",
    "graded",
    "continuous",
    "aerobic",
    "resistance",
    "mixed",
    "unknown",
    "",
)
DISPERSION = ("SD", "SE", "CI", "IQR", "unknown", "")

_MAY_BE_EMPTY = {  # text columns in which an empty cell is an answer
    Study: {"notes"},
    EffectRow: {
        "analysis",
        "tier",
        "matrix",
        "exercise",
        "timepoint",
        "name_1",
        "name_2",
        "units",
        "dispersion",
        "p_text",
        "assumption",
        "notes",
    },
    Screening: set(),
    RiskOfBias: {"effect_id", "support"},
    PublishedResult: {"k", "n", "measure", "estimate_text", "p_text", "model"},
}

_OPTIONAL: dict[type, tuple[str, ...]] = {Study: ("volume", "page")}
_OneOf = dict[tuple[type, str], tuple[str, ...]]
_CHOICES: _OneOf = {
    (EffectRow, "tier"): TIERS,
    (EffectRow, "exercise"): EXERCISE,
    (EffectRow, "dispersion"): DISPERSION,
}

Rule = tuple[Callable[[Any], bool], str]
_POSITIVE: Rule = (lambda x: x > 0, "is not positive")
_SHARE: Rule = (lambda x: 0 <= x <= 1, "is not between 0 and 1")
_PATTERNS: dict[str, Rule] = {
    "pmid": (lambda t: re.fullmatch(r"[1-9][0-9]{0,8}", t) is not None, "is no PMID"),
    "pmcid": (lambda t: re.fullmatch(r"PMC[0-9]+", t) is not None, "is no PMCID (PMC and digits)"),
    "doi": (lambda t: re.fullmatch(r"10\.[0-9.]+/\S+", t) is not None, "is no DOI (10.…/…)"),
    "source_url": (
        lambda t: re.fullmatch(r"https?://\S+", t) is not None,
        "is no address (http… without spaces)",
    ),
}
_SDS = tuple(f"sd_{when}_{arm}" for when in ("pre", "post", "change") for arm in (1, 2))
_NUMBERS: dict[str, Rule] = {
    **dict.fromkeys(_SDS, _POSITIVE),
    **dict.fromkeys(("n_1", "n_2", "n_total", "se", "df"), _POSITIVE),
    **dict.fromkeys(("events_1", "events_2"), (lambda x: x >= 0, "is negative")),
    "p": (lambda x: 0 < x <= 1, "is not a p-value (above 0, at most 1)"),
    "r_pre_post": (lambda x: -1 < x < 1, "is not a correlation (between -1 and 1)"),
    "i2": _SHARE,
    "year": (lambda x: 1800 <= x <= 2200, "is no year"),
}


def columns(noun: type) -> tuple[str, ...]:
    """The columns that a table must have, in the order of its noun's fields."""
    left_out = ("at", *_OPTIONAL.get(noun, ()))
    return tuple(f.name for f in dataclasses.fields(noun) if f.name not in left_out)


def read_extraction(root: Path, claim_id: str) -> Extraction:
    """Read the five tables of one claim.

    Parameters
    ----------
    root : Path
        The folder that has ``extracted/``; places are named relative to it.
    claim_id : str
        The name of the folder below ``extracted/``. A claim that has no such folder yet has an
        empty extraction.

    Raises
    ------
    SchemaError
        Names every cell that cannot be used, with file, line, column, value and what is wrong.
    """
    folder = root / "extracted" / claim_id
    if not folder.is_dir():
        return Extraction(claim_id, (), (), (), (), ())
    faults: list[str] = []
    notices: list[str] = []
    studies = _table(root, folder, Study, faults)
    effects = _table(root, folder, EffectRow, faults)
    screening = _screening(root, folder, faults, notices)
    risk_of_bias = _table(root, folder, RiskOfBias, faults)
    published = _table(root, folder, PublishedResult, faults)
    extraction = Extraction(
        claim_id, studies, effects, screening, risk_of_bias, published, tuple(notices)
    )
    faults += _relations(extraction)
    if faults:
        count = len(faults)
        raise SchemaError(
            f"{count} {'cell' if count == 1 else 'cells'} in extracted/{claim_id} cannot be used",
            faults,
            remedy="correct them against the paper (format: docs/reference/data.md), "
            f"then `evidence check {claim_id}`",
        )
    return extraction


def _screening(
    root: Path, folder: Path, faults: list[str], notices: list[str]
) -> tuple[Screening, ...]:
    """The decisions; a row that is being written, or that a crash cut off, is passed over."""
    path = folder / "screening.csv"
    if not path.is_file():
        return _table(root, folder, Screening, faults)
    reader = RowReader(path.relative_to(root).as_posix())
    data = read_bytes(path)
    found = reader.feed(data)
    faults += found.faults
    notices += found.notices
    if data[reader.whole :] and not found.faults:
        notices.append(f"{reader.file}:{reader.line}  is not written to its end")
    return tuple(found.rows)


def _table(root: Path, folder: Path, noun: type[Row], faults: list[str]) -> tuple[Row, ...]:
    name = next(n for n, kind in TABLES.items() if kind is noun)
    path = folder / f"{name}.csv"
    shown = path.relative_to(root).as_posix()
    wanted = columns(noun)
    if not path.is_file():
        faults.append(f"{shown}  is missing: make it with the header {','.join(wanted[:3])},…")
        return ()
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        wrong = list(_header_faults(header, wanted, _OPTIONAL.get(noun, ())))
        if wrong:
            faults += [f"{shown}:1  {fault}" for fault in wrong]
            return ()
        return tuple(_rows(reader, header, noun, shown, faults))
    except csv.Error as fault:
        faults.append(f"{shown}:{reader.line_num}  is no CSV: {fault}")
        return ()


def _header_faults(
    header: list[str], wanted: tuple[str, ...], optional: tuple[str, ...]
) -> Iterator[str]:
    for column in wanted:
        if column not in header:
            yield f"column {column} is missing"
    known = (*wanted, *optional)
    for column in sorted({c for c in header if c not in known or header.count(c) > 1}):
        yield f"column {column!r} is {'there twice' if column in known else 'not known'}"


def _rows(
    reader: Any, header: list[str], noun: type[Row], shown: str, faults: list[str]
) -> Iterator[Row]:
    kinds = get_type_hints(noun)
    line = reader.line_num + 1  # a quoted cell may hold line breaks: a row starts where one ended
    for cells in reader:
        place, line = Place(shown, line), reader.line_num + 1
        if not cells:
            continue
        if len(cells) != len(header):
            faults.append(f"{place}  has {len(cells)} cells, the header has {len(header)}")
            continue
        values: dict[str, Any] = {}
        for column, cell in zip(header, cells, strict=True):
            try:
                values[column] = _value(noun, column, kinds[column], cell.strip())
            except ValueError as fault:
                faults.append(f"{place}  {fault}")
        if len(values) == len(header):
            yield noun(**values, at=place)


def _value(noun: type, column: str, kind: Any, cell: str) -> Any:
    """A cell as its column's type; the ValueError says column, value and what is wrong."""
    if get_origin(kind) in (Union, types.UnionType):
        if not cell:
            return None
        (kind,) = (a for a in get_args(kind) if a is not type(None))
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in cell.split(";") if part.strip())
    if get_origin(kind) is Literal:
        return _one_of(column, cell, get_args(kind))
    if (noun, column) in _CHOICES:
        return _one_of(column, cell, _CHOICES[noun, column])
    if kind is str and not cell:
        if column in _MAY_BE_EMPTY[noun]:
            return ""
        raise ValueError(f"{column} is empty")
    value = _typed(column, kind, cell)
    allowed, complaint = _rule(column, kind)
    if not allowed(value):
        raise ValueError(f"{column} = {cell} {complaint}")
    return value


def _typed(column: str, kind: Any, cell: str) -> Any:
    if kind is str:
        return cell
    if kind is bool:
        return _one_of(column, cell, ("true", "false")) == "true"
    if kind is dt.date:
        try:
            return dt.date.fromisoformat(cell)
        except ValueError:
            raise ValueError(f"{column} = {cell!r} is no day (YYYY-MM-DD)") from None
    try:
        value = kind(cell)
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise ValueError(f"{column} = {cell!r} is no {what}") from None
    if not math.isfinite(value):
        raise ValueError(f"{column} = {cell} is not finite")
    return value


def _rule(column: str, kind: Any) -> Rule:
    anything: Rule = (lambda _: True, "")
    return (_PATTERNS if kind is str else _NUMBERS).get(column, anything)


def _one_of(column: str, cell: str, known: tuple[str, ...]) -> str:
    if cell not in known:
        choices = ", ".join(k or "(empty)" for k in known)
        raise ValueError(f"{column} = {cell!r} is none of: {choices}")
    return cell


def _relations(extraction: Extraction) -> Iterator[str]:
    """What no cell can show alone: names that are used must exist, ids must be unique."""
    yield from _repeated(extraction.studies, "study_id")
    yield from _repeated(extraction.effects, "effect_id")
    yield from _repeated(extraction.published, "pooled_id")
    studies = {s.study_id for s in extraction.studies}
    effects = {e.effect_id: e for e in extraction.effects}
    for study in extraction.studies:
        if study.same_as and (study.same_as not in studies or study.same_as == study.study_id):
            yield f"{study.at}  same_as = {study.same_as} is no other study of studies.csv"
    for row in extraction.effects:
        if row.study_id not in studies:
            yield f"{row.at}  study_id = {row.study_id} is not in studies.csv"
        for other in row.dependent_with:
            if other not in effects or other == row.effect_id:
                yield f"{row.at}  dependent_with = {other} is no other row of effects.csv"
            elif row.effect_id not in effects[other].dependent_with:
                problem = f"dependent_with = {other}, but {other} does not name {row.effect_id}"
                yield f"{row.at}  {problem}"
        yield from _usable(row)
    for judged in extraction.risk_of_bias:
        if judged.study_id not in studies:
            yield f"{judged.at}  study_id = {judged.study_id} is not in studies.csv"
        if judged.effect_id and judged.effect_id not in effects:
            yield f"{judged.at}  effect_id = {judged.effect_id} is not in effects.csv"
    for result in extraction.published:
        if (result.ci_low is None) != (result.ci_high is None):
            yield f"{result.at}  ci_low and ci_high come together, or neither"
        if result.comparable and (result.estimate is None or result.ci_low is None):
            yield f"{result.at}  comparable = true needs an estimate and its interval"


def _usable(row: EffectRow) -> Iterator[str]:
    """A row that counts must have what its route takes."""
    if row.route not in ROUTES:
        yield f"{row.at}  route = {row.route!r} is none of: {', '.join(ROUTES)}"
        return
    for arm in (1, 2):
        if (getattr(row, f"ci_low_{arm}") is None) != (getattr(row, f"ci_high_{arm}") is None):
            yield f"{row.at}  ci_low_{arm} and ci_high_{arm} come together, or neither"
    if row.dispersion == "CI" and any(getattr(row, name) is not None for name in _SDS):
        yield f"{row.at}  dispersion = CI, but an sd_ column is filled: use the ci_ columns"
    if row.role == "context":
        return
    if not row.analysis:
        yield f"{row.at}  analysis is empty, but role = {row.role}: name the analysis, or `context`"
    missing = [c for c in ROUTES[row.route].needs if getattr(row, c) is None]
    if missing:
        yield f"{row.at}  route = {row.route} needs {', '.join(missing)}"


def _repeated(rows: tuple[Any, ...], column: str) -> Iterator[str]:
    first: dict[str, Place] = {}
    for row in rows:
        name = getattr(row, column)
        if name in first:
            yield f"{row.at}  {column} = {name} is already at line {first[name].line}"
        first.setdefault(name, row.at)
