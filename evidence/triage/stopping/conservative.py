"""The rule of Callaghan and Müller-Hansen, and the urn that it shares with the default rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evidence.triage.stopping.state import (
    CONFIDENCE,
    TARGET,
    State,
    Verdict,
    check_shares,
    fewest_missed,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def windows(state: State, target: float) -> tuple[Ints, Ints, Ints, Ints]:
    """Every stretch from the start, or from just after an inclusion, to now.

    Returns
    -------
    drawn, hits, urn, missed : arrays of int
        Records read in the stretch, inclusions among them, records unread when it began, and the
        inclusions that must have been among these if recall now is below the target.
    """
    begin = np.concatenate([[0], np.flatnonzero(state.found) + 1])
    begin = begin[begin < max(state.screened, 1)]
    before = np.concatenate([[0], np.cumsum(state.found)])[begin]
    hits = state.included - before
    return (
        state.screened - begin,
        hits,
        state.n - begin,
        hits + fewest_missed(state.included, target),
    )


def hypergeometric_p(state: State, target: float) -> float:
    """Probability of so few late inclusions if recall were below the target.

    The smallest over all stretches of the hypergeometric distribution function at the inclusions
    found in it, had its records been drawn at random from those unread at its beginning.

    References
    ----------
    Callaghan & Müller-Hansen (2020), Systematic Reviews 9:273, doi 10.1186/s13643-020-01521-4.
    """
    drawn, hits, urn, missed = windows(state, target)
    if not len(drawn):
        return 1.0
    if fewest_missed(state.included, target) > state.left:
        return 0.0  # not even all that is left could bring it below
    return float(np.min(few_drawn(hits, urn, np.minimum(missed, urn), drawn)))


AT_ONCE = 4_000_000  # numbers in one table of probabilities; 32 MB
NOTHING = -44.0  # logarithm of a share that no sum of doubles can show


def few_drawn(hits: Ints, urn: Ints, relevant: Ints, drawn: Ints) -> Floats:
    """Probability that so few relevant records, or fewer, are drawn from an urn.

    The hypergeometric distribution function, one for each entry: its likeliest value that counts
    and those to both sides that add to it, by the ratio of neighbouring probabilities, in
    logarithms.
    """
    rows = max(1, AT_ONCE // (int(hits.max(initial=0)) + 1))
    if len(hits) > rows:
        parts = range(0, len(hits), rows)
        return np.concatenate(
            [few_drawn(*(a[i : i + rows] for a in (hits, urn, relevant, drawn))) for i in parts]
        )
    others = urn - relevant
    least = np.maximum(0, drawn - others)  # relevant ones that any draw must hold
    most = np.minimum(hits, np.minimum(relevant, drawn))
    mode = (drawn + 1) * (relevant + 1) // (urn + 2)
    peak = np.maximum(np.minimum(mode, most), least)

    def log_p(j: Ints) -> Floats:
        chosen = _log_choose(relevant, j) + _log_choose(others, drawn - j)
        return chosen - _log_choose(urn, drawn)

    low, high = _span(log_p, peak, least, most)
    wide = int((high - low).max(initial=-1)) + 1
    if wide < 1:
        return np.zeros(len(hits))
    j = low[:, None] + np.arange(wide)[None, :]
    valid = j <= high[:, None]
    before = np.where(valid, j - 1, low[:, None])[:, 1:]
    above = (relevant[:, None] - before) * (drawn[:, None] - before)
    below = (before + 1.0) * ((others - drawn)[:, None] + before + 1.0)
    with np.errstate(divide="ignore"):
        climb = np.cumsum(np.log(above / below), axis=1)
    logs = np.concatenate([np.zeros((len(hits), 1)), climb], axis=1) + log_p(low)[:, None]
    p: Floats = np.where(valid, np.exp(np.minimum(logs, 0.0)), 0.0).sum(axis=1)
    return np.minimum(p, 1.0)


def _span(
    log_p: Callable[[Ints], Floats], peak: Ints, least: Ints, most: Ints
) -> tuple[Ints, Ints]:
    """The lowest and the highest values that add to a sum; probabilities fall off to both sides."""
    reach, enough = 16, log_p(peak) + NOTHING
    while reach < int((most - least).max(initial=0)):
        low, high = np.maximum(peak - reach, least), np.minimum(peak + reach, most)
        below = (low > least) & (log_p(low) > enough)
        above = (high < most) & (log_p(np.maximum(high, peak)) > enough)
        if not (below | above).any():
            return low, high
        reach *= 2
    return least, most


def _log_choose(n: Ints, k: Ints) -> Floats:
    log: Floats = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return log


def conservative(
    state: State, *, target: float = TARGET, confidence: float = CONFIDENCE
) -> Verdict:
    """Stop when so few late inclusions would be improbable, were recall below the target.

    Valid if the ranking finds relevant records at least as fast as chance within each stretch
    (plausible, not proved), but for the smallest of many probabilities and for repeated looks.

    References
    ----------
    Callaghan & Müller-Hansen (2020), Systematic Reviews 9:273.
    """
    check_shares(target, confidence)
    p = hypergeometric_p(state, target)
    stop = state.included > 0 and p < 1 - confidence
    if target == TARGET and confidence == CONFIDENCE:
        held = (
            "In 29 past reviews it reached 95% in 174 of 174 simulated runs and saved 16% of the "
            "reading; 29 reviews without a failure show only that fewer than 9.8% of reviews fail."
        )
    else:
        held = "It was measured at a target and a confidence of 95% only."
    words = (
        f"p = {p:.3g} that so few late inclusions would be met by chance if less than "
        f"{target:.0%} had been found. Guaranteed, but for repeated looks, if the order is nowhere "
        f"worse than a random one. {held}"
    )
    if state.included < FEW:
        words += f" {FEW_WORDS}"
    return Verdict("conservative", stop, words, target, confidence, {"p": p})


FEW = 20  # inclusions
FEW_WORDS = (
    "With fewer than 20 inclusions hardly anything can be saved: past reviews of that size were "
    "read nearly to the end."
)
