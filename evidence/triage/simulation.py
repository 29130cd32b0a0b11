"""A finished screening played again: how much reading an order would have saved.

The loop needs similarities only, computed once. At each step the same squared-hinge machine as
`evidence.triage.model.fit` is solved exactly in its dual: with the support set S (records inside
the margin), (K_SS + 1 + diag(1 / (2 C w))) beta = y_S, repeated until S is stable. The last step's
S is nearly always the next one's, so that a step is one Cholesky solve.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evidence.errors import InputError, NotConverged
from evidence.model import Record
from evidence.triage import model
from evidence.triage.features import features

LARGEST = 15_000  # records; the similarities of all pairs then take 1.8 GB

Draw = Callable[[NDArray[np.bool_], tuple[int, int], int], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Run:
    """One screening from one start; priors are in none of the figures."""

    seed: int
    priors: tuple[str, ...]  # PMIDs known at the start
    order: tuple[str, ...]  # PMIDs as they were read
    wss95: float  # 1 - n95 / n - 0.05; n95 records until 95 % of the relevant ones were found
    recall10: float  # share of the relevant ones within the first tenth (rounded up) of n
    loss: float  # area between the recall curve and the best possible; 0 best, 1 worst
    ndcg: float
    steps: int  # models fitted
    cpu_s: float  # the loop alone


@dataclass(frozen=True, slots=True)
class Simulation:
    """The runs of one labelled set, one a seed."""

    runs: tuple[Run, ...]
    features_cpu_s: float  # vectors and similarities, once for all runs

    def mean(self, figure: str) -> float:
        """Mean over the runs of a figure of `Run`, such as ``"wss95"``."""
        return float(np.mean([getattr(run, figure) for run in self.runs]))

    def summary(self) -> str:
        return (
            f"WSS@95 {self.mean('wss95'):.3f}, recall@10 % {self.mean('recall10'):.3f}, "
            f"loss {self.mean('loss'):.4f} (mean of {len(self.runs)} runs)"
        )

    def rows(self) -> list[dict[str, object]]:
        names = ("seed", "wss95", "recall10", "loss", "ndcg", "steps", "cpu_s")
        return [{name: getattr(run, name) for name in names} for run in self.runs]


def draw_priors(labels: NDArray[np.bool_], priors: tuple[int, int], seed: int) -> NDArray[np.intp]:
    """Indices of so many relevant and so many other records, drawn by seed."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.choice(np.flatnonzero(kind), number, replace=False)
            for kind, number in zip((labels, ~labels), priors, strict=True)
        ]
    ).astype(np.intp)


def simulate(
    records: Sequence[Record],
    labels: Sequence[bool],
    protocol: str,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    priors: tuple[int, int] = (1, 1),
    draw: Draw = draw_priors,
) -> Simulation:
    """Read the records in the order of the engine, one at a time, each decision known at once.

    Every step reads the record with the highest score, so the order is what a reader would have met
    who always followed it. It ends when the last relevant record is found; what remains is appended
    in the order of the last score, which no figure depends on.

    Parameters
    ----------
    records, labels : sequences of length n
        The records and whether each was relevant in the end.
    protocol : str
        The review's question; may be empty.
    priors : (int, int)
        Relevant and other records known at the start; (0, 0) starts from the protocol alone.
    draw : callable
        (labels, priors, seed) to the indices of the priors.

    Raises
    ------
    InputError
        If lengths differ, no relevant record is left to find, there are fewer records of a kind
        than priors, or n exceeds `LARGEST`.
    """
    relevant = np.asarray(labels, dtype=bool)
    _check(len(records), relevant, priors)
    start = time.process_time()
    space = features(records, protocol)
    known = space.matrix @ space.protocol.T
    similarity = np.empty((len(records) + 1, len(records) + 1))
    similarity[0, 0] = (space.protocol @ space.protocol.T).sum()
    similarity[0, 1:] = similarity[1:, 0] = known.toarray().ravel()
    similarity[1:, 1:] = (space.matrix @ space.matrix.T).toarray()
    features_cpu_s = time.process_time() - start
    runs = []
    for seed in seeds:
        start = time.process_time()
        first = draw(relevant, priors, seed)
        screening = _Screening(similarity.copy(), np.random.default_rng(seed))
        order, steps = _read(screening, relevant, first)
        cpu_s = time.process_time() - start
        runs.append(_run(records, relevant, first, order, seed, steps, cpu_s))
    return Simulation(tuple(runs), features_cpu_s)


def _check(count: int, relevant: NDArray[np.bool_], priors: tuple[int, int]) -> None:
    if len(relevant) != count:
        raise InputError(f"{count} records and {len(relevant)} labels: each needs one")
    if count > LARGEST:
        raise InputError(
            f"{count} records are more than a simulation can hold ({LARGEST})",
            remedy="simulate on a random part of them",
        )
    included, excluded = int(relevant.sum()), int((~relevant).sum())
    if priors[0] >= included:
        raise InputError(
            f"{included} relevant records of which {priors[0]} are known: nothing is left to find"
        )
    if priors[1] > excluded:
        raise InputError(f"{priors[1]} known exclusions of {excluded}: there are not so many")


def _read(
    screening: _Screening, relevant: NDArray[np.bool_], first: NDArray[np.intp]
) -> tuple[list[int], int]:
    """Indices in the order read, without the priors, and the number of models fitted."""
    for i in first:
        screening.decide(int(i), bool(relevant[i]))
    left = int(relevant.sum()) - int(relevant[first].sum())
    order: list[int] = []
    while left:
        chosen = screening.best()
        screening.decide(chosen, bool(relevant[chosen]))
        order.append(chosen)
        left -= int(relevant[chosen])
    steps = len(order)
    return order + screening.rest(), steps


class _Screening:
    """Similarities with the decided records moved to the front, and the state of the machine.

    Position 0 is the protocol; 1 to ``known`` are decided; the others are not. Moving keeps what a
    step needs in one block of memory.
    """

    def __init__(self, similarity: NDArray[np.float64], rng: np.random.Generator) -> None:
        n = len(similarity) - 1
        self.similarity = similarity
        self.index = np.arange(-1, n)  # record at each position; -1 is the protocol
        self.position = np.arange(1, n + 1)
        self.lots = rng.permutation(n)  # decides among equal scores
        self.known = 1
        self.relevant = np.ones(1, dtype=bool)
        self.support = np.ones(1, dtype=bool)

    def decide(self, record: int, relevant: bool) -> None:
        self._swap(int(self.position[record]), self.known)
        self.known += 1
        self.relevant = np.append(self.relevant, relevant)
        self.support = np.append(self.support, True)

    def best(self) -> int:
        """The unscreened record with the highest score."""
        scores = self._scores()
        ties = self.index[self.known + np.flatnonzero(scores == scores.max())]
        return int(ties[np.argmin(self.lots[ties])])

    def rest(self) -> list[int]:
        """All unscreened records, highest score first."""
        if self.known == len(self.index):
            return []
        left = self.index[self.known :]
        return [int(i) for i in left[np.lexsort((self.lots[left], -self._scores()))]]

    def _scores(self) -> NDArray[np.float64]:
        """Scores of the unscreened records, by position."""
        included, excluded = int(self.relevant[1:].sum()), int((~self.relevant).sum())
        stage = model.stage(included, excluded)
        known, unknown = self.similarity[: self.known], slice(self.known, None)
        if stage == "protocol":
            return np.asarray(known[0, unknown])
        if stage == "included":
            each, protocol, average = model.similarity_weights(included)
            mean = self.similarity[unknown, unknown].mean(axis=0)
            # Without exclusions, every decided record is an included one.
            return np.asarray(
                each * known[1:, unknown].sum(axis=0)
                + protocol * known[0, unknown]
                + average * mean
            )
        beta = self._solve(included, excluded)
        return np.asarray(beta @ known[:, unknown] + beta.sum())

    def _solve(self, included: int, excluded: int) -> NDArray[np.float64]:
        """Weights (known,) of the decided records and the protocol; zero outside the support."""
        weight_in, weight_out, weight_protocol = model.sample_weights(included, excluded)
        weights = np.where(self.relevant, weight_in, weight_out)
        weights[0] = weight_protocol
        y = np.where(self.relevant, 1.0, -1.0)
        kernel = self.similarity[: self.known, : self.known]
        support = self.support
        for _ in range(100):
            inside = np.flatnonzero(support)
            block = kernel if support.all() else kernel[np.ix_(inside, inside)]
            system = block + 1
            system[np.diag_indices(len(inside))] += 1 / (2 * model.C * weights[inside])
            factor = linalg.cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
            beta = np.zeros(self.known)
            beta[inside] = linalg.cho_solve(factor, y[inside], check_finite=False)
            margin = y * (kernel @ beta + beta.sum())
            now = margin < 1
            if (now == support).all():
                self.support = support
                return beta
            support = now
        raise NotConverged("the support vector machine did not settle in 100 rounds")

    def _swap(self, a: int, b: int) -> None:
        if a == b:
            return
        pair, swapped = [a, b], [b, a]
        self.similarity[pair] = self.similarity[swapped]
        self.similarity[:, pair] = self.similarity[:, swapped]
        self.index[pair] = self.index[swapped]
        self.position[self.index[pair]] = pair


def _run(
    records: Sequence[Record],
    relevant: NDArray[np.bool_],
    first: NDArray[np.intp],
    order: Sequence[int],
    seed: int,
    steps: int,
    cpu_s: float,
) -> Run:
    wss95, recall10, loss, ndcg = figures(relevant[np.asarray(order)])
    return Run(
        seed=seed,
        priors=tuple(records[i].pmid for i in first),
        order=tuple(records[i].pmid for i in order),
        wss95=wss95,
        recall10=recall10,
        loss=loss,
        ndcg=ndcg,
        steps=steps,
        cpu_s=cpu_s,
    )


def figures(found: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """WSS@95, recall in the first tenth, loss and NDCG of an order.

    Parameters
    ----------
    found : array of bool, shape (n,)
        Whether each record was relevant, in the order read; at least one is.

    Returns
    -------
    wss95, recall10, loss, ndcg : float
        ``loss`` is the trapezoidal area under the curve of inclusions found, scaled between the
        best and the worst possible order (as ASReview defines it); NaN where all orders are equal.

    References
    ----------
    Cohen et al. (2006), JAMIA 13(2):206-219 (work saved over sampling). Järvelin & Kekäläinen
    (2002), ACM TOIS 20(4):422-446 (NDCG, here with gains 0 and 1).
    """
    n, total = len(found), int(found.sum())
    curve = np.cumsum(found)
    n95 = int(np.searchsorted(curve, np.ceil(0.95 * total - 1e-9))) + 1
    area = curve.sum() - (curve[0] + curve[-1]) / 2
    best, worst = n * total - 0.5 - total**2 / 2, total**2 / 2
    discount = 1 / np.log2(np.arange(2, n + 2))
    return (
        1 - n95 / n - 0.05,
        float(curve[int(np.ceil(n / 10)) - 1] / total),
        float((best - area) / (best - worst)) if total < n else float("nan"),
        float((found * discount).sum() / discount[:total].sum()),
    )
