"""The certificate: a random sample of unscreened records, its size fixed before anyone looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evidence.errors import InputError
from evidence.triage.stopping.state import (
    CONFIDENCE,
    TARGET,
    State,
    Verdict,
    check_shares,
    fewest_missed,
)


def certificate_size(
    left: int, found: int, *, target: float = TARGET, confidence: float = CONFIDENCE
) -> int:
    """Records to draw at random so that none relevant among them proves recall.

    The smallest m such that, if as many relevant records were left as bring recall below the
    target, m draws without replacement would miss all of them with a probability of at most
    1 - confidence: hypergeometric, exact.

    Parameters
    ----------
    left : int
        Unscreened records, M.
    found : int
        Inclusions so far, r. The share to draw depends on little else: 95 % below 19, 78 % from 19
        to 37, 63 % to 56, 24 % at 200, 10 % at 500.

    Returns
    -------
    int
        0 where not even all that is left could bring recall below the target.
    """
    check_shares(target, confidence)
    missed = fewest_missed(found, target)
    if missed > left:
        return 0
    low, high = 0, left - missed + 1  # beyond it one is met for sure
    while low < high:
        middle = (low + high) // 2
        if stats.hypergeom.pmf(0, left, missed, middle) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, slots=True)
class Certificate:
    """A sample drawn, to be read to its end; keep it with the decisions."""

    pmids: tuple[str, ...]  # in the sequence drawn
    attempt: int  # 1 for the first; each attempt may err half as often as the one before
    left: int  # unscreened records when it was drawn
    found: int  # inclusions then
    target: float
    confidence: float  # of all attempts together

    def verdict(self, decisions: Mapping[str, bool]) -> Verdict:
        """What the sample shows, once all of it is decided.

        Parameters
        ----------
        decisions : mapping of str to bool
            PMID to relevant or not; others than those drawn are not looked at.
        """
        decided = [decisions[pmid] for pmid in self.pmids if pmid in decisions]
        hits, open_ = sum(decided), len(self.pmids) - len(decided)
        proven = not hits and not open_
        missed = fewest_missed(self.found, self.target)
        drawn = (
            f"{len(self.pmids)} of {self.left} unscreened records, drawn at random before anyone "
            f"looked (attempt {self.attempt})"
        )
        if proven:
            words = (
                f"Certified: none of {drawn} was relevant. Had {missed} or more been missed, so "
                f"that recall were below {self.target:.0%}, one would have been met in "
                f"{self.confidence:.0%} of such screenings or more. This holds for any ranking."
            )
        elif hits:
            words = (
                f"Not certified: {hits} of {drawn} turned out relevant. Screen on, then draw a new "
                "sample: a larger share, for every attempt spends part of the error."
            )
        else:
            words = f"Not yet certified: {open_} of {drawn} are to be read still."
        return Verdict(
            "certified",
            proven,
            words,
            self.target,
            self.confidence,
            {"size": float(len(self.pmids)), "hits": float(hits), "open": float(open_)},
        )


def draw(
    unscreened: Sequence[str],
    found: int,
    *,
    seed: int,
    attempt: int = 1,
    target: float = TARGET,
    confidence: float = CONFIDENCE,
) -> Certificate:
    """Draw the sample of a certificate.

    Attempt i may err with a probability of (1 - confidence) / 2 ** i, so that all attempts
    together stay below 1 - confidence.

    Parameters
    ----------
    unscreened : sequence of str
        PMIDs, in any sequence: the draw depends on the set and the seed.
    seed : int
        Written down before it is used; a sample that was looked at must not be drawn again.
    """
    check_shares(target, confidence)
    if attempt < 1:
        raise InputError(f"attempt = {attempt} is none", remedy="count attempts from 1")
    size = certificate_size(
        len(unscreened), found, target=target, confidence=1 - spent(attempt, confidence)
    )
    ordered = sorted(unscreened, key=lambda pmid: (len(pmid), pmid))
    rng = np.random.default_rng([seed, attempt])
    chosen = rng.choice(len(ordered), size, replace=False).tolist() if size else []
    return Certificate(
        tuple(ordered[i] for i in chosen),
        attempt,
        len(unscreened),
        found,
        target,
        confidence,
    )


def spent(attempt: int, confidence: float) -> float:
    """The error that an attempt may spend: half of what is left."""
    return float((1 - confidence) / 2**attempt)


def certified(state: State, *, target: float = TARGET, confidence: float = CONFIDENCE) -> Verdict:
    """What a certificate drawn now would cost; it proves nothing before it is drawn and read."""
    size = certificate_size(
        state.left, state.included, target=target, confidence=1 - spent(1, confidence)
    )
    if size == 0:
        words = (
            f"Certain: were all {state.left} records that are left relevant, recall would still "
            f"be {target:.0%} or more."
        )
    else:
        share = size / state.left
        words = (
            f"To prove that {target:.0%} are found, draw {size} of the {state.left} unscreened "
            f"records at random ({share:.0%}) and read them all: if none is relevant, it is proven "
            f"at {confidence:.0%}, whatever the ranking. The size is fixed before anyone looks."
        )
    return Verdict("certified", size == 0, words, target, confidence, {"size": float(size)})
