"""Reads reference files of schema ``meta-ref/1`` and compares results with them.

Expected values come from metafor and its kin; the file says which versions. ``null`` in it means
undefined in R and is NaN here.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FILE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "metafor_dev.json.gz"


@dataclass(frozen=True, slots=True)
class Case:
    """One call in R with its inputs (pool resolved) and what came out."""

    id: str
    dataset: str
    function: str
    arguments: Mapping[str, Any]  # metafor's names and values, scalars as they are
    inputs: Mapping[str, Any]  # pool and case-specific inputs; numbers as float arrays
    expected: Mapping[str, Any]  # as in the file: numbers, lists, lists of rows, objects
    tol: Mapping[str, float]  # rtol, atol
    notes: str = ""


def numbers(value: Any) -> Any:
    """Lists of numbers as a float array (null as NaN); anything else as it is."""
    if not isinstance(value, list):
        return value
    flat = value
    while flat and isinstance(flat[0], list):
        flat = [item for row in flat for item in row]
    if all(item is None or isinstance(item, (int, float)) for item in flat):
        return np.array(value, dtype=float)
    return value


@cache
def load(path: Path | str = FILE) -> tuple[Case, ...]:
    """Every case of a file, in its order."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        content = json.load(stream)
    if content["meta"]["schema"] != "meta-ref/1":
        raise ValueError(f"{path} has schema {content['meta']['schema']!r}, not 'meta-ref/1'")
    pools = {
        name: {key: numbers(value) for key, value in pool.items()}
        for name, pool in content["pools"].items()
    }
    found = []
    for case in content["cases"]:
        own = {key: numbers(value) for key, value in case["inputs"].items() if key != "pool"}
        pool = pools[case["inputs"]["pool"]] if "pool" in case["inputs"] else {}
        found.append(
            Case(
                id=case["id"],
                dataset=case["dataset"],
                function=case["function"],
                arguments=case["arguments"],
                inputs={**pool, **own},
                expected=case["expected"],
                tol=case["tol"],
                notes=case.get("notes") or "",
            )
        )
    return tuple(found)


def cases(path: Path | str = FILE, *, function: str | Iterable[str]) -> list[Case]:
    """The cases of one function, or of several, in the order of the file."""
    wanted = {function} if isinstance(function, str) else set(function)
    return [case for case in load(path) if case.function in wanted]


def close(got: Any, expected: Any, tol: Mapping[str, float]) -> bool:
    """Whether every number lies within ``atol + rtol * |expected|``; null expects NaN.

    Shapes must agree, but for a single number, which the files may write as an array of one.
    """
    return gap(got, expected, tol) <= 1.0


def gap(got: Any, expected: Any, tol: Mapping[str, float]) -> float:
    """The largest difference in units of the tolerance; inf where shapes or NaN disagree."""
    if isinstance(expected, Mapping):
        return max((gap(got[key], value, tol) for key, value in expected.items()), default=0.0)
    have = np.asarray(got, dtype=float)
    want = np.asarray(expected, dtype=float)
    if have.size == want.size == 1:
        have, want = have.reshape(1), want.reshape(1)
    if have.shape != want.shape:
        return math.inf
    if want.size == 0:
        return 0.0
    undefined = np.isnan(want)
    if not np.array_equal(undefined, ~np.isfinite(have)):  # null is NA, NaN or ±Inf in R
        return math.inf
    if undefined.all():
        return 0.0
    have, want = have[~undefined], want[~undefined]
    return float(np.max(np.abs(have - want) / (tol["atol"] + tol["rtol"] * np.abs(want))))
