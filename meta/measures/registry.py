"""The register of effect measures: a plain dict, in the order in which they are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName
from meta.measures.checks import checked

Array = NDArray[np.float64]
Formula = Callable[..., tuple[Array, Array]]

# How a value on the analysis scale becomes one that people read.
_NATURAL: dict[str, Callable[[Array], Array]] = {
    "identity": lambda y: y,
    "log": np.exp,
    "fisher-z": np.tanh,
    "logit": lambda y: 1.0 / (1.0 + np.exp(-y)),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """An effect measure: its key in the literature, its scale and its formula.

    ``scale`` is the scale of analysis: ``identity``, ``log``, ``fisher-z``, ``logit`` or one that a
    measure's own module registers. ``needs`` names the columns that the formula takes.
    ``null`` is the value of no effect on the analysis scale (NaN where there is none, as for a
    single proportion).
    """

    key: str
    label: str
    scale: str
    needs: tuple[str, ...]
    compute: Formula
    null: float = 0.0

    def natural(self, y: Any) -> Any:
        """Back-transform from the analysis scale: exp for log, tanh for Fisher's z, and so on."""
        values = _NATURAL.get(self.scale, _NATURAL["identity"])(np.asarray(y, dtype=float))
        return float(values) if np.ndim(y) == 0 else values


MEASURES: dict[str, Measure] = {}


def scale(name: str, natural: Callable[[Array], Array]) -> None:
    """Register a scale of analysis with its way back to the one that people read."""
    _NATURAL[name] = natural


def measure(
    key: str,
    *,
    label: str,
    scale: str,
    needs: tuple[str, ...],
    null: float = 0.0,
    at_least: Mapping[str, int] | None = None,
) -> Callable[[Formula], Formula]:
    """Register a formula under its key, with the checks of its columns in front.

    The decorated function takes the columns of ``needs`` in that order or by name, then its
    options. It gets them as float arrays of one length and may assume that they are sound; bad
    ones raise ``BadRows`` with every row. ``whole=False`` admits fractions in counts (effective
    sample sizes); ``at_least`` sets minima beyond the usual ones. A result that is infinite in
    effect or variance is undefined: both become NaN.
    """

    def register(compute: Formula) -> Formula:
        @functools.wraps(compute)
        def formula(*args: Any, whole: bool = True, **options: Any) -> tuple[Array, Array]:
            columns = dict(zip(needs, args, strict=False))
            columns |= {name: options.pop(name) for name in needs if name in options}
            missing = [name for name in needs if name not in columns]
            if missing or len(args) > len(needs):
                raise InputError(
                    f"{key} needs the columns {', '.join(needs)}",
                    [f"{name} is not given" for name in missing],
                    remedy="pass each as one number per study",
                )
            sound = checked(columns, whole=whole, at_least=at_least)
            with np.errstate(all="ignore"):  # what is undefined becomes NaN, below
                y, v = compute(*(sound[name] for name in needs), **options)
            infinite = np.isinf(y) | np.isinf(v)
            return np.where(infinite, np.nan, y), np.where(infinite, np.nan, v)

        MEASURES[key] = Measure(key, label, scale, needs, formula, null)
        return formula

    return register


def measure_named(key: str) -> Measure:
    """Find a measure by its key; an unknown key lists the known ones."""
    try:
        return MEASURES[key]
    except KeyError:
        raise UnknownName("effect measure", key, MEASURES) from None
