"""What a column of numbers must satisfy, and the fault that names every row which does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError
from meta.frames import cells, is_date, number

Array = NDArray[np.float64]

REMEDY = "correct the values against the papers, or leave those studies out and say so"


@dataclass(frozen=True, slots=True)
class Fault:
    """One value that a formula cannot use; ``row`` counts from 0."""

    row: int
    text: str


class BadRows(InputError):
    """Rows that a formula cannot use, all of them, by study or by row number."""

    def __init__(
        self, faults: Sequence[Fault], *, study: Sequence[str] = (), remedy: str = REMEDY
    ) -> None:
        self.faults = tuple(faults)
        rows = [study[f.row] if study else f"row {f.row + 1}" for f in faults]
        width = max(map(len, rows), default=0)
        count = len(self.faults)
        super().__init__(
            f"{count} {'value' if count == 1 else 'values'} cannot be used",
            [f"{row:<{width}}  {f.text}" for row, f in zip(rows, faults, strict=True)],
            remedy=remedy,
        )

    def named(self, study: Sequence[str]) -> BadRows:
        """The same fault with the studies' names in place of row numbers."""
        return BadRows(self.faults, study=study, remedy=self.remedy)


def shown(value: float) -> str:
    """A number as in the table it came from: 12, 0.5, -3.1."""
    return f"{value:.12g}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that holds for every value of one kind of column."""

    holds: Callable[[Array], NDArray[np.bool_]]
    otherwise: str
    count: bool = False  # whether it counts people or events, so that halves are suspect


# By the first part of a column's name: sd_1, sd_pre and sd all follow "sd".
RULES: dict[str, Rule] = {
    "mean": Rule(np.isfinite, "is not a finite number"),
    "sd": Rule(lambda x: x > 0, "is not positive"),
    "n": Rule(lambda x: x >= 2, "is less than 2", count=True),
    "r": Rule(lambda x: np.abs(x) <= 1, "is not a correlation (-1 to 1)"),
    "r2": Rule(lambda x: (x >= 0) & (x <= 1), "is not a share of variance (0 to 1)"),
    "alpha": Rule(lambda x: x <= 1, "is more than 1"),
    "items": Rule(lambda x: x >= 2, "is less than 2", count=True),
    "t": Rule(np.isfinite, "is not a finite number"),
    "predictors": Rule(lambda x: x >= 1, "is less than 1", count=True),
    "events": Rule(lambda x: x >= 0, "is negative", count=True),
    "total": Rule(lambda x: x >= 1, "is less than 1", count=True),
    "time": Rule(lambda x: x > 0, "is not positive"),
    "yi": Rule(np.isfinite, "is not a finite number"),
    "vi": Rule(lambda x: x > 0, "is not positive"),
}


def numeric(name: str, values: Any) -> Array:
    """A column as floats, shape (k,) or () for one value for all; None becomes NaN."""
    try:
        column = _cell_by_cell(name, values) if is_date(values) else np.asarray(values, float)
    except (TypeError, ValueError):
        column = _cell_by_cell(name, values)
    if column.ndim > 1:
        raise InputError(
            f"{name} has shape {column.shape}",
            remedy="give one number per study, or one for all of them",
        )
    return column


def _cell_by_cell(name: str, values: Any) -> Array:
    """A column that NumPy does not take as it is: empty cells become NaN, text is read."""
    column: list[float] = []
    bad: list[Fault] = []
    dates = is_date(values)
    for i, cell in enumerate(values if dates else cells(values)):
        try:
            column.append(number(str(cell) if dates else cell))
        except (TypeError, ValueError):
            bad.append(Fault(i, f"{name} = {_quoted(cell)} is not a number"))
    if bad:
        raise BadRows(bad)
    return np.array(column).reshape(np.shape(values))


def _quoted(cell: Any) -> str:
    """A cell as it stands in the table: text in quotes, a date as one."""
    return repr(cell) if isinstance(cell, str) else str(cell)


def columns_of_one_length(columns: Mapping[str, Any]) -> dict[str, Array]:
    """Columns as float arrays of one length; a single value holds for every study."""
    found = {name: numeric(name, values) for name, values in columns.items()}
    lengths = {name: len(column) for name, column in found.items() if column.ndim == 1}
    if len(set(lengths.values())) > 1:
        raise InputError(
            "the columns differ in length",
            [f"{name} has {length}" for name, length in lengths.items()],
            remedy="give one number per study in every column",
        )
    k = next(iter(lengths.values()), 1)
    return {
        name: column if column.ndim else np.broadcast_to(column, (k,))
        for name, column in found.items()
    }


def checked(
    columns: Mapping[str, Any], *, whole: bool = True, at_least: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Columns as float arrays of one length, shape (k,), after every check.

    Parameters
    ----------
    columns : mapping of name to numbers
        One number per study, or one for all.
    whole : bool
        Refuse fractions in counts. Turn it off for effective sample sizes, as those of
        cluster-randomised trials.
    at_least : mapping of name to int, optional
        Smallest sizes that the formula needs beyond the usual (2 for ``n``).

    Raises
    ------
    BadRows
        Names every value that is missing, not finite or outside its range.
    """
    found = columns_of_one_length(columns)
    faults = []
    for name, column in found.items():
        faults += _column_faults(name, column, whole=whole, least=(at_least or {}).get(name))
    faults += _relation_faults(found)
    if faults:
        raise BadRows(sorted(faults, key=lambda fault: fault.row), remedy=_remedy(faults))
    return found


def _column_faults(name: str, column: Array, *, whole: bool, least: int | None) -> list[Fault]:
    rule = RULES[name.partition("_")[0]]
    finite = np.isfinite(column)
    sound = finite & rule.holds(column)
    if rule.count and whole:
        sound &= column == np.rint(column)
    if least is not None:
        sound &= column >= least
    if sound.all():
        return []
    faults = [Fault(int(i), f"{name} is missing") for i in np.flatnonzero(np.isnan(column))]
    faults += [
        Fault(int(i), f"{name} = {column[i]} is not a finite number")
        for i in np.flatnonzero(np.isinf(column))
    ]
    outside = finite & ~rule.holds(column)
    faults += [
        Fault(int(i), f"{name} = {shown(column[i])} {rule.otherwise}")
        for i in np.flatnonzero(outside)
    ]
    if rule.count and whole:
        broken = finite & ~outside & (column != np.round(column))
        faults += [
            Fault(int(i), f"{name} = {shown(column[i])} is not a whole number")
            for i in np.flatnonzero(broken)
        ]
    if least is not None:
        small = finite & ~outside & (column < least)
        faults += [
            Fault(int(i), f"{name} = {shown(column[i])} is less than {least}, which this needs")
            for i in np.flatnonzero(small)
        ]
    return faults


def _relation_faults(columns: Mapping[str, Array]) -> list[Fault]:
    faults = []
    for name, total in columns.items():
        if name.split("_")[0] == "total":
            events = columns[name.replace("total", "events", 1)]
            faults += [
                Fault(
                    int(i),
                    f"{name.replace('total', 'events', 1)} = {shown(events[i])} is more than "
                    f"{name} = {shown(total[i])}",
                )
                for i in np.flatnonzero(events > total)
            ]
    if "predictors" in columns and "n" in columns:
        n, predictors = columns["n"], columns["predictors"]
        faults += [
            Fault(
                int(i),
                f"n = {shown(n[i])} leaves no degrees of freedom with predictors = "
                f"{shown(predictors[i])}",
            )
            for i in np.flatnonzero(n - predictors - 1 < 1)
        ]
    return faults


def _remedy(faults: Sequence[Fault]) -> str:
    if all("is not a whole number" in fault.text for fault in faults):
        return "round the counts, or pass whole=False for effective sample sizes"
    if all("is missing" in fault.text for fault in faults):
        return "fill the cells (meta.conversions derives many of them), or leave those studies out"
    return REMEDY
