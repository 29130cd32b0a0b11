"""From named columns of study characteristics to a design matrix that remembers its terms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName
from meta.frames import complete_rows, fitted_to, is_absent, left_out, rows_of

Array = NDArray[np.float64]
INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class Design:
    """A design matrix: its columns, their names, and which columns each term owns."""

    x: Array  # (k, p)
    names: tuple[str, ...]  # (p,)
    terms: Mapping[str, tuple[int, ...]]  # term to its columns; the intercept is a term
    levels: Mapping[str, tuple[str, ...]]  # factor to its levels, the reference first

    @property
    def intercept(self) -> bool:
        return INTERCEPT in self.terms

    @property
    def tested(self) -> tuple[int, ...]:
        """Columns of the omnibus test: all but the intercept, or all where nothing else is."""
        rest = tuple(i for t, at in self.terms.items() if t != INTERCEPT for i in at)
        return rest or tuple(range(self.x.shape[1]))


def design_of(
    moderators: Mapping[str, Any] | Any,
    k: int,
    *,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
    study: Sequence[str] = (),
    dropped: Sequence[int] = (),
) -> Design:
    """Build the design matrix of k studies.

    Parameters
    ----------
    moderators : mapping of name to (k,) column, or array (k, m) or (k,), or None
        Columns of text, booleans or categories become factors (treatment coding); numbers stay as
        they are. Numbers that are written as text are refused.
    interactions : pairs of names
        Products of two moderators, of every pair of their columns.
    factors : names
        Numeric columns to take as factors.
    reference : mapping of factor to level
        Reference level; where not given the first category, or the first in sorted order.
    dropped : positions
        Rows of the table that the studies come from and that were dropped: columns which still
        have them lose them too.

    Raises
    ------
    InputError
        If a column has not one value per study, or a missing one (every study is named).
    UnknownName
        If a name or a level is not among the known ones.
    """
    columns = _named(moderators, k)
    reference = dict(reference or {})
    for name in (*factors, *reference, *itertools.chain.from_iterable(interactions)):
        if name not in columns:
            raise UnknownName("moderator", name, columns)
    parts: list[tuple[str, Array, list[str]]] = []
    levels: dict[str, tuple[str, ...]] = {}
    if intercept:
        parts.append((INTERCEPT, np.ones((k, 1)), [INTERCEPT]))
    coded: dict[str, tuple[Array, list[str]]] = {}
    missing: list[str] = []
    for name, column in columns.items():
        values = list(fitted_to(column, k, dropped))
        if len(values) != k:
            raise InputError(
                f"moderator {name!r} has {len(values)} values for {k} studies",
                remedy="give one per study",
            )
        absent = [i for i, value in enumerate(values) if _is_missing(value)]
        missing += [f"{study[i] if study else f'study {i + 1}'}: {name} is missing" for i in absent]
        if absent:
            continue
        categories = getattr(getattr(column, "dtype", None), "categories", None)
        is_factor = name in factors or categories is not None
        if is_factor or not all(_is_number(value) for value in values):
            if not is_factor:
                _refuse_written_numbers(name, values, study)
            full = not intercept and not coded  # without an intercept the first factor keeps all
            block, labels, levels[name] = _factor(name, values, reference, categories, full=full)
        else:
            block, labels = np.array(values, dtype=float)[:, None], [name]
        coded[name] = block, labels
        parts.append((name, block, labels))
    if missing:
        raise InputError(
            f"{len(missing)} moderator {'value is' if len(missing) == 1 else 'values are'} missing",
            missing,
            remedy="complete them or leave these studies out by name",
        )
    for first, second in interactions:
        (a, names_a), (b, names_b) = coded[first], coded[second]
        block = (a[:, :, None] * b[:, None, :]).reshape(k, -1)
        parts.append((f"{first}:{second}", block, [f"{i}:{j}" for i in names_a for j in names_b]))
    if not parts:
        raise InputError("a model needs an intercept or a moderator")
    terms: dict[str, tuple[int, ...]] = {}
    at = 0
    for term, block, _ in parts:
        terms[term] = tuple(range(at, at + block.shape[1]))
        at += block.shape[1]
    return Design(
        np.hstack([block for _, block, _ in parts]),
        tuple(label for _, _, labels in parts for label in labels),
        terms,
        levels,
    )


def part_of(design: Design, keep: NDArray[np.intp]) -> Design:
    """The design of some of the rows; columns that are zero in all of them are left out."""
    x = design.x[keep]
    stay = [j for j in range(x.shape[1]) if x[:, j].any()]
    place = {j: i for i, j in enumerate(stay)}
    terms = {t: tuple(place[j] for j in at if j in place) for t, at in design.terms.items()}
    names = tuple(design.names[j] for j in stay)
    return Design(x[:, stay], names, {t: at for t, at in terms.items() if at}, design.levels)


def _named(moderators: Mapping[str, Any] | Any, k: int) -> dict[str, Any]:
    """Columns by name; those of an array are x1, x2, ..."""
    if moderators is None:
        return {}
    if hasattr(moderators, "keys"):
        return {str(name): moderators[name] for name in moderators.keys()}  # noqa: SIM118  # not all iterate over their keys
    array = np.asarray(moderators, dtype=float)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != k:
        raise InputError(
            f"moderators of shape {array.shape} for {k} studies",
            remedy="give k rows, one per study",
        )
    return {f"x{j + 1}": array[:, j] for j in range(array.shape[1])}


def complete_cases(
    study: Sequence[str], moderators: Any, dropped: Sequence[int] = ()
) -> tuple[NDArray[np.bool_], dict[str, Any], str]:
    """Which studies have every moderator, the moderators of these, and a note on the others.

    ``dropped`` are rows of the table that the studies have lost already; columns which still have
    them lose them too.
    """
    k = len(study)
    columns = {}
    for name, column in _named(moderators, k).items():
        here = np.ones(len(column), dtype=bool)
        if len(column) == k + len(dropped):
            here[list(dropped)] = False
        columns[name] = column[here] if hasattr(column, "dtype") else rows_of(column, here)
    keep = complete_rows(columns, k)
    if keep.all():
        return keep, columns, ""
    note = left_out(study, columns, keep)
    whole = {
        name: column[keep]
        if hasattr(column, "dtype") and len(column) == k
        else rows_of(column, keep)
        for name, column in columns.items()
    }
    return keep, whole, note


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    return is_absent(value) or (_is_number(value) and not math.isfinite(float(value)))


def _refuse_written_numbers(name: str, values: Sequence[Any], study: Sequence[str]) -> None:
    """Stop where a column is numbers for the most part, but text: as a factor it would mislead."""
    broken = [i for i, value in enumerate(values) if not _reads_as_number(value)]
    if 2 * len(broken) >= len(values):
        return
    but = f", but for {len(broken)} of {len(values)}" if broken else ", but as text"
    raise InputError(
        f"moderator {name!r} holds numbers{but}",
        [f"{study[i] if study else f'study {i + 1}'}: {name} = {values[i]!r}" for i in broken],
        remedy=f"make it numeric, or say factors=[{name!r}] if its values are names",
    )


def _reads_as_number(value: Any) -> bool:
    """Whether a cell is a number or a text such as "44"; True and False are neither."""
    try:
        return _is_number(value) or (isinstance(value, str) and math.isfinite(float(value)))
    except ValueError:
        return False


def _factor(
    name: str,
    values: Sequence[Any],
    reference: Mapping[str, Any],
    categories: Iterable[Any] | None = None,
    *,
    full: bool,
) -> tuple[Array, list[str], tuple[str, ...]]:
    """Indicator columns of a factor, but for its reference level."""
    seen = set(values)
    ordered = [level for level in (() if categories is None else categories) if level in seen]
    if not ordered:
        ordered = sorted(seen, key=lambda v: (not _is_number(v), v if _is_number(v) else str(v)))
    levels = [str(level) for level in ordered]
    texts = np.array([str(value) for value in values])
    if name in reference:
        first = str(reference[name])
        if first not in levels:
            raise UnknownName(f"level of {name}", first, levels)
        levels.remove(first)
        levels.insert(0, first)
    if len(levels) == 1 and not full:
        raise InputError(f"moderator {name!r} is {levels[0]!r} in every study")
    shown = levels if full else levels[1:]
    block = np.stack([texts == level for level in shown], axis=1).astype(float)
    return block, [f"{name}: {level}" for level in shown], tuple(levels)
