"""Columns of a table as they come: text for numbers, absent cells, categories, rows to leave out.

Nothing here needs pandas: its columns are read through what every array offers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName

Array = NDArray[np.float64]
MISSING = ("refuse", "drop")


def is_absent(cell: Any) -> bool:
    """Whether a cell is empty: None, NaN, pandas' NA and NaT, or blank text."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return not cell.strip()
    if isinstance(cell, (int, float, np.number)):
        return bool(cell != cell)
    return type(cell).__name__ in ("NAType", "NaTType")  # they refuse to be compared


def is_date(values: Any) -> bool:
    """Whether a column holds dates or spans of time, which NumPy would turn into huge numbers."""
    return getattr(getattr(values, "dtype", None), "kind", "") in ("M", "m")


def cells(values: Any) -> list[Any]:
    """The cells of a column of any kind, as plain objects."""
    return list(np.atleast_1d(np.asarray(values, dtype=object)).ravel())


def number(cell: Any) -> float:
    """A cell as a number, NaN where it is empty; text such as ``"12"`` counts.

    Raises
    ------
    ValueError, TypeError
        If it is neither.
    """
    return math.nan if is_absent(cell) else float(cell)


def complete_rows(columns: Mapping[str, Any], k: int) -> NDArray[np.bool_]:
    """Which of k rows have no empty cell, shape (k,); a single value for all counts once."""
    whole = np.ones(k, dtype=bool)
    for values in columns.values():
        found = cells(values)
        if len(found) in (1, k):
            absent = np.array([is_absent(cell) for cell in found])
            whole &= ~(absent if len(found) == k else np.repeat(absent, k))
    return whole


def rows_of(values: Any, keep: NDArray[np.bool_]) -> Any:
    """The kept rows of a column; what is one value for all stays."""
    if values is None or np.ndim(values) == 0:
        return values
    found = cells(values)
    if len(found) != len(keep):
        return values
    return [cell for cell, kept in zip(found, keep, strict=True) if kept]


def fitted_to(values: Any, k: int, dropped: Sequence[int]) -> Any:
    """A column without the rows that the k studies have lost, where it still has them."""
    if not dropped or np.ndim(values) == 0 or len(values) != k + len(dropped):
        return values
    return [cell for i, cell in enumerate(values) if i not in dropped]


def check_missing(missing: str) -> str:
    """The choice of what happens to rows with empty cells."""
    if missing not in MISSING:
        raise UnknownName("way with missing values", missing, MISSING)
    return missing


def length(columns: Iterable[Any]) -> int:
    """The number of rows: that of the longest column."""
    return max((len(cells(values)) for values in columns), default=0)


def left_out(names: Sequence[str], columns: Mapping[str, Any], keep: NDArray[np.bool_]) -> str:
    """A note that names every row left out and what it lacks.

    Raises
    ------
    InputError
        If no row is left.
    """
    lacks = []
    for i in np.flatnonzero(~keep).tolist():
        absent = [
            name
            for name, values in columns.items()
            if len(found := cells(values)) == len(keep) and is_absent(found[i])
        ]
        lacks.append(f"{names[i]} ({', '.join(absent)})")
    if not keep.any():
        raise InputError(
            "every row has a missing value",
            lacks,
            remedy="fill the cells (meta.conversions derives many of them)",
        )
    return f"left out for missing values: {'; '.join(lacks)}"
