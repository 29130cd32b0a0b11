"""Published stopping rules that are not offered, for comparison in simulations.

Each takes the order that was read (whether each record was relevant, priors first), the number of
decisions between two looks, and a seed; it gives back the places that were read before it stopped,
all of them where it never did. None may look further than it has read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evidence.triage.stopping.certified import certificate_size, spent
from evidence.triage.stopping.state import CONFIDENCE, TARGET

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Rule = Callable[[Bools, int, int], Places]


def all_of_it(found: Bools, every: int, seed: int) -> Places:
    """Read everything."""
    return np.arange(len(found))


def _at(found: Bools, every: int, stop: Callable[[int], bool]) -> Places:
    """The first look at which a rule stops."""
    for t in range(every, len(found), every):
        if stop(t):
            return np.arange(t)
    return np.arange(len(found))


def in_a_row(number: int) -> Rule:
    """So many exclusions in a row: the usual rule of thumb."""

    def rule(found: Bools, every: int, seed: int) -> Places:
        return _at(found, every, lambda t: t >= number and not found[t - number : t].any())

    return rule


def share_in_a_row(share: float) -> Rule:
    """As many exclusions in a row as this share of all records."""

    def rule(found: Bools, every: int, seed: int) -> Places:
        return in_a_row(max(1, round(share * len(found))))(found, every, seed)

    return rule


def share_read(share: float) -> Rule:
    """This share of all records, whatever was found: what a rule has to beat."""

    def rule(found: Bools, every: int, seed: int) -> Places:
        return np.arange(round(share * len(found)))

    return rule


def knee(found: Bools, every: int, seed: int) -> Places:
    """The curve of inclusions bends: slope before the knee against slope after it.

    The knee is the place farthest from the straight line between the ends of the curve. Stop where
    the ratio of slopes reaches 156 - min(inclusions, 150), the adjusted bound of the paper.

    References
    ----------
    Cormack & Grossman (2016), SIGIR, 75-84, doi 10.1145/2911451.2911510.
    """
    curve = np.cumsum(found)

    def bent(t: int) -> bool:
        if not curve[t - 1]:
            return False
        places = np.arange(1, t + 1)
        bend = int(np.argmax(curve[:t] / curve[t - 1] - places / t))
        before = curve[bend] / (bend + 1)
        after = (1 + curve[t - 1] - curve[bend]) / max(t - bend - 1, 1)
        return bool(before / after >= 156 - min(int(curve[t - 1]), 150))

    return _at(found, every, bent)


_B = np.linspace(0.05, 0.95, 10)  # bend of the hyperbola, 0 exponential, 1 harmonic
_C = np.geomspace(0.02, 2000.0, 60)  # steepness at the start, by the places read


def poisson(found: Bools, every: int, seed: int) -> Places:
    """Inclusions as a Poisson process whose rate falls off along a hyperbola.

    The rate at place x is a / (1 + b c x) ** (1 / b), of the highest likelihood on a grid of b and
    c, given the places of the inclusions so far (Stevenson and Bin-Hezam fit windows by least
    squares). Stop where the 95 % upper limit of the number still to come leaves the target reached.

    References
    ----------
    Stevenson & Bin-Hezam (2023), arXiv 2311.08597.
    """

    def enough(t: int) -> bool:
        places = np.flatnonzero(found[:t]).astype(float) + 0.5
        if len(places) < 2:
            return False
        coming = _still_to_come(places, t, len(found))
        return bool(len(places) / (len(places) + stats.poisson.ppf(0.95, coming)) >= TARGET)

    return _at(found, every, enough)


def _still_to_come(places: Floats, t: int, n: int) -> float:
    """Expected inclusions after place t of n, by the hyperbolic rate."""
    b, c = (each.ravel() for each in np.meshgrid(_B, _C / t))

    def area(end: float) -> Floats:
        total: Floats = (1 - (1 + b * c * end) ** (1 - 1 / b)) / (c * (1 - b))
        return total

    logs = np.log1p(np.outer(places, b * c)).sum(axis=0) / b
    best = int(np.argmin(len(places) * np.log(area(t)) + logs))
    return float(len(places) * (area(n)[best] / area(t)[best] - 1))


def qbcb(found: Bools, every: int, seed: int) -> Places:
    """Quantile binomial confidence bound: a random sample with 59 inclusions, then the ranking.

    The sample is drawn and read first, until it holds r inclusions; 59 is the fewest for which one
    of its order statistics is a 95 % upper limit of the place by which 95 % are found. Stop when
    the ranking has met all 59. Sampled records count as read.

    References
    ----------
    Lewis, Yang & Frieder (2021), CIKM, 1099-1108; arXiv 2108.12746.
    """
    needed = int(np.ceil(np.log(1 - CONFIDENCE) / np.log(TARGET)))
    drawn = np.random.default_rng(seed).permutation(len(found))
    enough = np.flatnonzero(np.cumsum(found[drawn]) >= needed)
    if not len(enough):
        return np.arange(len(found))
    sample = drawn[: int(enough[0]) + 1]
    last = int(sample[found[sample]].max()) + 1
    return np.union1d(np.arange(last), sample)


def certified(found: Bools, begin: int, every: int, seed: int) -> Places:
    """A certificate drawn at a place of the order, and anew, further on, each time it fails.

    The sample does not teach the ranking here: what is left is read as the order stands.
    """
    rng = np.random.default_rng(seed)
    read, attempt = np.zeros(len(found), dtype=bool), 0
    while begin < len(found):
        attempt += 1
        read[:begin] = True
        left = np.flatnonzero(~read)
        size = certificate_size(
            len(left), int(found[read].sum()), confidence=1 - spent(attempt, CONFIDENCE)
        )
        sample = rng.choice(left, size, replace=False)
        read[sample] = True
        if not found[sample].any():
            return np.flatnonzero(read)
        begin += max(every, round(0.05 * len(found)))
    return np.arange(len(found))


RULES: dict[str, Rule] = {
    "QBCB": qbcb,
    "Poisson": poisson,
    "knee": knee,
    "50 in a row": in_a_row(50),
    "100 in a row": in_a_row(100),
    "5 % in a row": share_in_a_row(0.05),
    "80 % read": share_read(0.8),
}
