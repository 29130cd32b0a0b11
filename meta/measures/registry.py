"""The register of effect measures: a plain dict, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import UnknownName

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


def measure(
    key: str, *, label: str, scale: str, needs: tuple[str, ...], null: float = 0.0
) -> Callable[[Formula], Formula]:
    """Register a formula under its key; the decorated function stays callable as it is."""

    def register(compute: Formula) -> Formula:
        MEASURES[key] = Measure(key, label, scale, needs, compute, null)
        return compute

    return register


def measure_named(key: str) -> Measure:
    """Find a measure by its key; an unknown key lists the known ones."""
    try:
        return MEASURES[key]
    except KeyError:
        raise UnknownName("effect measure", key, MEASURES) from None
