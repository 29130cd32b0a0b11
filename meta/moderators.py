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
) -> Design:
    """Build the design matrix of k studies.

    Parameters
    ----------
    moderators : mapping of name to (k,) column, or array (k, m) or (k,), or None
        Columns of text or booleans become factors (treatment coding); numbers stay as they are.
    interactions : pairs of names
        Products of two moderators, of every pair of their columns.
    factors : names
        Numeric columns to take as factors.
    reference : mapping of factor to level
        Reference level; the first in sorted order where not given.

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
        values = list(column)
        if len(values) != k:
            raise InputError(
                f"moderator {name!r} has {len(values)} values for {k} studies",
                remedy="give one per study",
            )
        absent = [i for i, value in enumerate(values) if _is_missing(value)]
        missing += [f"{study[i] if study else f'study {i + 1}'}: {name} is missing" for i in absent]
        if absent:
            continue
        if name in factors or not all(_is_number(value) for value in values):
            full = not intercept and not coded  # without an intercept the first factor keeps all
            block, labels, levels[name] = _factor(name, values, reference, full=full)
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (_is_number(value) and not math.isfinite(float(value)))


def _factor(
    name: str, values: Sequence[Any], reference: Mapping[str, Any], *, full: bool
) -> tuple[Array, list[str], tuple[str, ...]]:
    """Indicator columns of a factor, but for its reference level."""
    ordered = sorted(set(values), key=lambda v: (not _is_number(v), v if _is_number(v) else str(v)))
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
