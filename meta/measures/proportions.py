"""Effects that describe one proportion.

Every function takes ``events, total`` (arrays of int, shape (k,)) and returns ``y, v`` of shape
(k,), NaN where undefined. They have no value of no effect. ``add`` goes into events and
non-events of the studies that ``to`` chooses (see ``meta.measures.zero_cells``); measures that are
defined with zero counts add nothing unless told to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.measures.registry import measure, scale
from meta.measures.small_sample import known_vtype, weighted_mean
from meta.measures.two_by_two import HALF
from meta.measures.zero_cells import To, adjusted

Array = NDArray[np.float64]
NEEDS = ("events", "total")


def _from_arcsine(y: Array) -> Array:
    return np.asarray(np.sin(np.clip(y, 0, np.pi / 2)) ** 2)


# For Freeman-Tukey values the way back of one study needs its size; this one is its limit.
scale("arcsine", _from_arcsine)
scale("freeman-tukey", _from_arcsine)


def freeman_tukey_proportion(y: Any, total: Any) -> Any:
    """The proportion behind a double-arcsine value (PFT), for a group of ``total`` people.

    Miller (1978), The American Statistician 32(4):138. For a pooled value ``total`` is a choice
    (the harmonic mean of the sizes by custom), on which the answer can depend wildly: Schwarzer
    et al. (2019), Res Synth Methods 10(3):476-483.
    """
    y, total = np.asarray(y, dtype=float), np.asarray(total, dtype=float)
    twice = 2 * y
    with np.errstate(all="ignore"):
        inner = np.sin(twice) + (np.sin(twice) - 1 / np.sin(twice)) / total
        p = 0.5 * (1 - np.sign(np.cos(twice)) * np.sqrt(np.clip(1 - inner**2, 0, None)))
    lowest = np.arcsin(np.sqrt(1 / (total + 1)))  # twice the value of no event
    highest = np.pi / 2 + np.arcsin(np.sqrt(total / (total + 1)))
    p = np.where(twice <= lowest, 0.0, np.where(twice >= highest, 1.0, p))
    return float(p) if p.ndim == 0 else p


def _counts(events: Array, total: Array, add: float, to: To) -> tuple[Array, Array]:
    with_event, without = adjusted((events, total - events), add=add, to=to)
    return with_event, with_event + without


@measure("PR", label="Proportion", scale="identity", needs=NEEDS, null=np.nan)
def raw_proportion(
    events: Array, total: Array, *, add: float = HALF, to: To = "only0", vtype: str = "LS"
) -> tuple[Array, Array]:
    """The proportion itself.

    ``vtype``: "LS" large-sample, "UB" unbiased, "AV" at the mean proportion of the studies.
    """
    known_vtype(vtype, ("LS", "UB", "AV"))
    x, n = _counts(events, total, add, to)
    p = x / n
    if vtype == "UB":
        return p, p * (1 - p) / (n - 1)
    share = weighted_mean(p, n) if vtype == "AV" else p
    return p, share * (1 - share) / n


@measure("PLN", label="Proportion (log)", scale="log", needs=NEEDS, null=np.nan)
def log_proportion(
    events: Array, total: Array, *, add: float = HALF, to: To = "only0"
) -> tuple[Array, Array]:
    """Log of the proportion, by the delta method."""
    x, n = _counts(events, total, add, to)
    return np.log(x / n), 1 / x - 1 / n


@measure("PLO", label="Proportion (logit)", scale="logit", needs=NEEDS, null=np.nan)
def logit_proportion(
    events: Array, total: Array, *, add: float = HALF, to: To = "only0"
) -> tuple[Array, Array]:
    """Log odds of the outcome. Woolf (1955), Annals of Human Genetics 19(4):251-253."""
    x, n = _counts(events, total, add, to)
    return np.log(x / (n - x)), 1 / x + 1 / (n - x)


@measure("PAS", label="Proportion (arcsine)", scale="arcsine", needs=NEEDS, null=np.nan)
def arcsine_proportion(
    events: Array, total: Array, *, add: float = 0.0, to: To = "only0"
) -> tuple[Array, Array]:
    """Arcsine of the root of the proportion. Freeman & Tukey (1950), Ann Math Stat 21:607-611."""
    x, n = _counts(events, total, add, to)
    return np.arcsin(np.sqrt(x / n)), 1 / (4 * n)


@measure(
    "PFT", label="Proportion (double arcsine)", scale="freeman-tukey", needs=NEEDS, null=np.nan
)
def double_arcsine_proportion(
    events: Array, total: Array, *, add: float = 0.0, to: To = "only0"
) -> tuple[Array, Array]:
    """Freeman-Tukey double arcsine, halved. Freeman & Tukey (1950), Ann Math Stat 21:607-611."""
    x, n = _counts(events, total, add, to)
    y = (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))) / 2
    return y, 1 / (4 * n + 2)
