"""What is added where a count is zero: the rule is the caller's, and it is stated."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName

Array = NDArray[np.float64]
To = Literal["only0", "all", "if0all", "none"]
TO: dict[str, str] = {
    "only0": "studies with a zero count",
    "all": "every study",
    "if0all": "every study, if any has a zero count",
    "none": "no study",
}


def adjusted_rows(cells: tuple[Array, ...], *, add: float, to: To) -> NDArray[np.bool_]:
    """Which studies get ``add`` in each cell under the rule ``to``; shape (k,)."""
    if to not in TO:
        raise UnknownName("rule for zero counts", str(to), TO)
    if not add >= 0:
        raise InputError(f"add = {add} is negative", remedy="add nothing (0) or a positive number")
    zero = np.any([cell == 0 for cell in cells], axis=0)
    if add == 0 or to == "none":
        return np.zeros_like(zero)
    if to == "only0":
        return np.asarray(zero)
    if to == "all" or zero.any():
        return np.ones_like(zero)
    return np.zeros_like(zero)


def adjusted(cells: tuple[Array, ...], *, add: float, to: To) -> tuple[Array, ...]:
    """Counts with ``add`` put into each cell of the studies that ``to`` chooses.

    Parameters
    ----------
    cells : arrays of float, shape (k,)
        The counts that may be zero: four cells of a 2x2 table, events and non-events, or the
        events of two arms.
    add : float
        Amount for each cell; 0.5 by custom.
    to : {"only0", "all", "if0all", "none"}
        Which studies: those with a zero, all, all if any has a zero, none.
    """
    extra = np.where(adjusted_rows(cells, add=add, to=to), add, 0.0)
    return tuple(cell + extra for cell in cells)
