"""Why a record stands where it stands, and how well the model knows what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evidence.model import Record
from evidence.triage.features import Features
from evidence.triage.stopping.remaining import calibrate
from evidence.triage.stopping.state import State
from evidence.triage.terms import grams_as_written


@dataclass(frozen=True, slots=True)
class Reasons:
    """Words of a record with their share in its score, strongest first."""

    up: tuple[tuple[str, float], ...]
    down: tuple[tuple[str, float], ...]


def reasons(
    record: Record, row: Any, space: Features, direction: NDArray[np.float64], *, count: int
) -> Reasons:
    """The words, as this record writes them, that moved it up and down.

    Parameters
    ----------
    row : sparse array, shape (1, m)
        The record's vector.
    direction : array, shape (m,)
        What each term adds to a score.
    count : int
        At most so many words each way.
    """
    value = dict(
        zip(row.indices.tolist(), (row.data * direction[row.indices]).tolist(), strict=True)
    )
    shares: dict[str, float] = {}
    words: dict[str, str] = {}
    for place, view in enumerate(space.views):
        written = grams_as_written(view.texts(record), whole=view.whole)
        for term, word in written:
            words.setdefault(term, word)  # the first spelling wins
        terms = list(dict.fromkeys(term for term, _ in written))
        for term, column in zip(terms, space.columns_of(place, terms).tolist(), strict=True):
            if column >= 0:
                shares[term] = shares.get(term, 0.0) + value[column]
    by_size = sorted(shares.items(), key=lambda item: (-abs(item[1]), item[0]))
    return Reasons(
        up=tuple((words[t], s) for t, s in by_size if s > 0)[:count],
        down=tuple((words[t], s) for t, s in by_size if s < 0)[:count],
    )


# --- how far to trust the scores -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bin:
    """Decided records with a like probability, foretold by the decisions on all the others."""

    records: int
    relevant: int
    foretold: float  # mean probability, 0 to 1
    ci: tuple[float, float]  # of the share that was relevant; Wilson, 95 %

    @property
    def share(self) -> float:
        return self.relevant / self.records


@dataclass(frozen=True, slots=True)
class Depth:
    """How far to screen for a share of the relevant records."""

    target: float  # 0 to 1
    decided: float  # share of the decided records, in cross-validated order, that reaches it
    unscreened: int  # records of the present order to read for it, by the estimate
    estimated: float  # recall expected then


@dataclass(frozen=True, slots=True)
class Doubt:
    """A decision that all the others speak against."""

    pmid: str
    relevant: bool  # as it was decided
    probability: float  # of being relevant, by the others
    score: float  # by the others


@dataclass(frozen=True, slots=True)
class Drift:
    """How much an order moved since another one."""

    records: int  # in both
    correlation: float  # Spearman's, of the places; NaN below two records
    top: int  # records looked at at the head of each order
    kept: float  # share of these that are in both heads
    risen: tuple[str, ...]  # PMIDs that rose by most places
    fallen: tuple[str, ...]

    def summary(self) -> str:
        return (
            f"{self.kept * self.top:.0f} of the first {self.top} were among the first {self.top} "
            f"before; rank correlation of the {self.records:,} in both {self.correlation:.2f}"
        )

    def json(self) -> dict[str, object]:
        return {
            "records": self.records,
            "correlation": None if self.records < 2 else round(self.correlation, 4),
            "top": self.top,
            "kept": None if not self.records else round(self.kept, 4),
            "risen": list(self.risen),
            "fallen": list(self.fallen),
        }


def calibration_bins(state: State, *, groups: int = 10) -> tuple[Bin, ...]:
    """Decided records in groups of like probability, each foretold by all the others.

    Groups have like numbers of records; equal probabilities stay together.
    """
    if not 0 < state.included < state.screened:
        return ()
    p = calibrate(state.left_out, state.found).probability(state.left_out)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, groups + 1)[1:-1]))
    group = np.searchsorted(edges, p, side="right")
    bins = []
    for one in np.unique(group):
        here = group == one
        n, hits = int(here.sum()), int(state.found[here].sum())
        bins.append(Bin(n, hits, float(p[here].mean()), _wilson(hits, n)))
    return tuple(bins)


def _wilson(hits: int, n: int) -> tuple[float, float]:
    """Interval of a share: Wilson (1927), JASA 22(158):209-212, at 95 %."""
    z = 1.959963984540054
    middle = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    return float(middle - half) if hits else 0.0, float(middle + half) if hits < n else 1.0


def depths(state: State, *, targets: tuple[float, ...] = (0.95, 0.99, 1.0)) -> tuple[Depth, ...]:
    """Screen so far for 95, 99 and 100 %: cross-validated, and for the records that are left.

    The first figure orders the decided records by the scores that all the others give. The second
    counts on from now: records of the present order until the expected number found, by the
    calibration of `remaining`, reaches the target; all of them for 100 %, since no estimate can
    rule out a last one.
    """
    if not 0 < state.included < state.screened:
        return ()
    order = np.argsort(-state.left_out, kind="stable")
    curve = np.cumsum(state.found[order])
    p = np.sort(calibrate(state.left_out, state.found).probability(state.unscreened))[::-1]
    coming = np.concatenate([[0.0], np.cumsum(p)])
    recall = (state.included + coming) / (state.included + coming[-1])
    found = []
    for target in targets:
        needed = int(np.ceil(target * state.included - 1e-9))
        read = int(np.searchsorted(curve, needed)) + 1
        more = state.left if target >= 1 else int(np.flatnonzero(recall >= target - 1e-12)[0])
        found.append(Depth(target, read / state.screened, more, float(recall[more])))
    return tuple(found)


def doubts(state: State, pmids: Sequence[str], *, confident: float = 0.95) -> tuple[Doubt, ...]:
    """Decisions that the others contradict, the most surprising first.

    Parameters
    ----------
    pmids : sequence of str, length t
        Of the screened records, as ``state`` has them.
    confident : float
        How sure the others must be of the opposite, 0.5 to 1. A record is judged on scales that
        count the kinds alike (a prior of one half), or hardly an exclusion could ever be doubted.
    """
    if not 0 < state.included < state.screened:
        return ()
    curve = calibrate(state.left_out, state.found)
    share = state.included / state.screened
    eta = curve.intercept + curve.slope * state.left_out - np.log(share / (1 - share))
    p = special.expit(eta)
    against = np.where(state.found, 1 - p, p)
    places = np.flatnonzero(against >= confident)
    places = places[np.argsort(-against[places], kind="stable")]
    return tuple(
        Doubt(pmids[i], bool(state.found[i]), float(p[i]), float(state.left_out[i]))
        for i in places.tolist()
    )


def drift(before: Sequence[str], after: Sequence[str], *, top: int = 50) -> Drift:
    """How an order of unscreened records moved; records of one order alone are left out."""
    shared = set(before) & set(after)
    old = {pmid: i for i, pmid in enumerate(p for p in before if p in shared)}
    new = [pmid for pmid in after if pmid in shared]
    n = len(new)
    places = np.array([old[pmid] for pmid in new], dtype=float)
    moved = places - np.arange(n)  # positive: risen
    top = min(top, n)
    correlation = 1 - 6 * float((moved**2).sum()) / (n * (n * n - 1)) if n > 1 else float("nan")
    order = np.argsort(-moved, kind="stable")
    return Drift(
        records=n,
        correlation=correlation,
        top=top,
        kept=float((places[:top] < top).mean()) if top else float("nan"),
        risen=tuple(new[i] for i in order[:5] if moved[i] > 0),
        fallen=tuple(new[i] for i in order[::-1][:5] if moved[i] < 0),
    )
