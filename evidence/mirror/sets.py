"""Sets of records as sorted numbers, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int32]  # sorted, each once

NONE: Ids = np.empty(0, np.int32)
_DENSE = 32  # of so many numbers one is in the set: marking all of them is faster than searching


def union(sets: Sequence[Ids]) -> Ids:
    """All that is in any of the sets."""
    some = [one for one in sets if len(one)]
    if len(some) < 2:
        return some[0] if some else NONE
    together = np.concatenate(some)
    together.sort(kind="stable")  # merges the runs
    return once(together)


def once(sorted_ids: Ids) -> Ids:
    """Each number once."""
    first = np.ones(len(sorted_ids), bool)
    np.not_equal(sorted_ids[1:], sorted_ids[:-1], out=first[1:])
    return sorted_ids[first]


def both(one: Ids, other: Ids) -> Ids:
    """All that is in both sets."""
    if len(one) > len(other):
        one, other = other, one
    return one[_inside(one, other)]


def minus(one: Ids, other: Ids) -> Ids:
    """All of the first set that is not in the second."""
    return one[~_inside(one, other)]


def _inside(one: Ids, other: Ids) -> NDArray[np.bool_]:
    """Which of the first are in the second."""
    if not len(one) or not len(other):
        return np.zeros(len(one), bool)
    size = int(max(one[-1], other[-1])) + 1
    if len(one) * _DENSE > size:
        marked = np.zeros(size, bool)
        marked[other] = True
        return marked[one]
    at = np.searchsorted(other, one)
    at[at == len(other)] = 0
    inside: NDArray[np.bool_] = other[at] == one
    return inside
