"""Effects from counts of events over person-time, one arm or two.

Counts are whole numbers, times are in any one unit; arrays of shape (k,). Every function returns
``y, v`` of shape (k,), NaN where undefined. ``add`` goes into the events of the studies that
``to`` chooses (see ``meta.measures.zero_cells``); ``drop00=True`` makes studies undefined without
an event in either arm. Measures that are defined without events add nothing unless told to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.measures.registry import measure, scale
from meta.measures.two_by_two import HALF
from meta.measures.zero_cells import To, adjusted

Array = NDArray[np.float64]
TWO = ("events_1", "time_1", "events_2", "time_2")
ONE = ("events", "time")


def _square(y: Array) -> Array:
    return np.asarray(np.clip(y, 0, None) ** 2)


# For Freeman-Tukey values the way back of one study needs its time; this one is its limit.
scale("square-root", _square)
scale("freeman-tukey-rate", _square)


def freeman_tukey_rate(y: Any, time: Any) -> Any:
    """The rate behind a Freeman-Tukey value (IRFT) for that much person-time; 0 at the lowest.

    From y = (√x + √(x + 1)) / (2 √t) and (√(x+1) − √x)(√(x+1) + √x) = 1.
    """
    y, time = np.asarray(y, dtype=float), np.asarray(time, dtype=float)
    with np.errstate(all="ignore"):
        root = y - 1 / (4 * time * y)
    rate = np.where(root > 0, root, 0.0) ** 2
    return float(rate) if rate.ndim == 0 else rate


def _pair(
    events_1: Array, events_2: Array, *, add: float, to: To, drop00: bool
) -> tuple[Array, Array]:
    empty = (events_1 == 0) & (events_2 == 0) if drop00 else np.zeros(len(events_1), dtype=bool)
    x1, x2 = adjusted((events_1, events_2), add=add, to=to)
    return np.where(empty, np.nan, x1), np.where(empty, np.nan, x2)


@measure("IRR", label="Rate ratio", scale="log", needs=TWO)
def log_rate_ratio(
    events_1: Array,
    time_1: Array,
    events_2: Array,
    time_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Log ratio of two incidence rates. Rothman et al. (2008), Modern Epidemiology, ch. 14."""
    x1, x2 = _pair(events_1, events_2, add=add, to=to, drop00=drop00)
    return np.log(x1 / time_1) - np.log(x2 / time_2), 1 / x1 + 1 / x2


@measure("IRD", label="Rate difference", scale="identity", needs=TWO)
def rate_difference(
    events_1: Array,
    time_1: Array,
    events_2: Array,
    time_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Difference of two incidence rates. Rothman et al. (2008), Modern Epidemiology, ch. 14."""
    x1, x2 = _pair(events_1, events_2, add=add, to=to, drop00=drop00)
    return x1 / time_1 - x2 / time_2, x1 / time_1**2 + x2 / time_2**2


@measure("IRSD", label="Rate difference (square root)", scale="identity", needs=TWO)
def root_rate_difference(
    events_1: Array,
    time_1: Array,
    events_2: Array,
    time_2: Array,
    *,
    add: float = 0.0,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Difference of square roots of rates. Bagos & Nikolopoulos (2009), Int J Biostat 5(1):21."""
    x1, x2 = _pair(events_1, events_2, add=add, to=to, drop00=drop00)
    y = np.sqrt(x1 / time_1) - np.sqrt(x2 / time_2)
    return y, np.where(np.isnan(y), np.nan, 1 / (4 * time_1) + 1 / (4 * time_2))


def _events(events: Array, add: float, to: To) -> Array:
    (x,) = adjusted((events,), add=add, to=to)
    return x


@measure("IR", label="Rate", scale="identity", needs=ONE, null=np.nan)
def raw_rate(
    events: Array, time: Array, *, add: float = HALF, to: To = "only0"
) -> tuple[Array, Array]:
    """Incidence rate, events per unit of time, with Poisson variance."""
    x = _events(events, add, to)
    return x / time, x / time**2


@measure("IRLN", label="Rate (log)", scale="log", needs=ONE, null=np.nan)
def log_rate(
    events: Array, time: Array, *, add: float = HALF, to: To = "only0"
) -> tuple[Array, Array]:
    """Log incidence rate, by the delta method."""
    x = _events(events, add, to)
    return np.log(x / time), 1 / x


@measure("IRS", label="Rate (square root)", scale="square-root", needs=ONE, null=np.nan)
def root_rate(
    events: Array, time: Array, *, add: float = 0.0, to: To = "only0"
) -> tuple[Array, Array]:
    """Square root of the rate, whose variance does not depend on it."""
    return np.sqrt(_events(events, add, to) / time), 1 / (4 * time)


@measure("IRFT", label="Rate (Freeman-Tukey)", scale="freeman-tukey-rate", needs=ONE, null=np.nan)
def freeman_tukey_root_rate(
    events: Array, time: Array, *, add: float = 0.0, to: To = "only0"
) -> tuple[Array, Array]:
    """Mean of the roots of x and x + 1 events. Freeman & Tukey (1950), Ann Math Stat 21:607."""
    x = _events(events, add, to)
    return (np.sqrt(x / time) + np.sqrt((x + 1) / time)) / 2, 1 / (4 * time)
