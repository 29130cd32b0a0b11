"""A finished screening played again: how much reading an order would have saved.

Every step reads the record with the highest score and decides on it at once, as in ASReview's
simulations, so that figures can be set side by side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.errors import InputError, UnknownName
from evidence.model import Record
from evidence.triage.features import Features, features
from evidence.triage.figures import figures
from evidence.triage.screen import Screen
from evidence.triage.spaces import Gram, Pairs, Space, Terms
from evidence.triage.stopping import compared
from evidence.triage.stopping.conservative import hypergeometric_p
from evidence.triage.stopping.expected import FEWEST, expected, rediscovery_p
from evidence.triage.stopping.state import CONFIDENCE, TARGET, State
from evidence.triage.views import VIEWS, View, chosen

PAIRS_UP_TO = 4_000  # records; the similarities of all pairs then take 130 MB
CHECK_EVERY = 10  # decisions between two looks of the stopping rules

Bools = NDArray[np.bool_]
Draw = Callable[[Bools, tuple[int, int], int], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Model:
    """What an order is made from."""

    name: str
    views: tuple[View, ...] = VIEWS
    protocol: bool = True  # whether the question takes part
    random: bool = False  # read by lot: what any order has to beat


MODELS = {
    model.name: model
    for model in (
        Model("default"),
        Model("no question", protocol=False),
        Model("no title view", views=VIEWS[:1]),
        Model("by lot", random=True),
    )
}


def models_named(names: Sequence[str], *, views: Sequence[str] = ()) -> tuple[Model, ...]:
    """Models by name, each once, with other views where these are set.

    Parameters
    ----------
    views : sequence of str
        Settings, as `evidence.triage.views.chosen` takes them.

    Raises
    ------
    UnknownName
        If there is no model, or no view, of a name.
    """
    for name in names:
        if name not in MODELS:
            raise UnknownName("model", name, MODELS)
    models = (MODELS[name] for name in dict.fromkeys(names))
    return tuple(
        m
        if m.random or not views
        else replace(m, name=" + ".join((m.name, *views)), views=chosen(views, standing=m.views))
        for m in models
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a stopping rule would have ended a run; priors count in all of it."""

    at: int  # records screened, samples included; all of them where it never stopped
    recall: float  # share of all relevant records found by then
    saved: float  # 1 - at / n

    def json(self) -> dict[str, float]:
        return {"at": self.at, "recall": self.recall, "saved": self.saved}


@dataclass(frozen=True, slots=True)
class Run:
    """One screening from one start; priors are in none of the ranking figures."""

    seed: int
    priors: tuple[str, ...]  # PMIDs known at the start
    order: tuple[str, ...]  # PMIDs as they were read, without the priors
    wss95: float  # 1 - n95 / n - 0.05; n95 records until 95 % of the relevant ones were found
    recall10: float  # share of the relevant ones within the first tenth (rounded up) of n
    loss: float  # area between the recall curve and the best possible; 0 best, 1 worst
    ndcg: float
    steps: int  # models fitted until the last relevant record was found
    cpu_s: float  # vectors and steps, as if this run were alone; stopping rules are not in it
    model: str = "default"
    stopping: Mapping[str, Stop] = field(default_factory=dict)
    stopping_cpu_s: float = 0.0

    def summary(self) -> str:
        return (
            f"WSS@95 {self.wss95:.3f}, recall@10 % {self.recall10:.3f}, loss {self.loss:.4f}, "
            f"{self.cpu_s:.2f} s of CPU"
        )

    def json(self) -> dict[str, Any]:
        """The run in JSON's own types; undefined figures are null."""
        names = ("model", "seed", "wss95", "recall10", "loss", "ndcg", "steps", "cpu_s")
        return {
            **{name: _or_none(getattr(self, name)) for name in names},
            "stopping_cpu_s": self.stopping_cpu_s,
            "priors": list(self.priors),
            "order": list(self.order),
            "stopping": {rule: stop.json() for rule, stop in self.stopping.items()},
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Run:
        """A run from what `json` gave.

        Raises
        ------
        TypeError, KeyError, ValueError
            If it is none.
        """
        fields = dict(body)
        fields["priors"], fields["order"] = tuple(body["priors"]), tuple(body["order"])
        fields |= {name: float("nan") for name, value in body.items() if value is None}
        fields["stopping"] = {rule: Stop(**stop) for rule, stop in body["stopping"].items()}
        return cls(**fields)


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class Simulation:
    """The runs of one labelled set, one for each model and seed."""

    runs: tuple[Run, ...]

    def mean(self, figure: str, *, model: str | None = None) -> float:
        """Mean over the runs (of a model) of a figure of `Run`, such as ``"wss95"``."""
        runs = [run for run in self.runs if model in (None, run.model)]
        return float(np.mean([getattr(run, figure) for run in runs]))

    def summary(self) -> str:
        return (
            f"WSS@95 {self.mean('wss95'):.3f}, recall@10 % {self.mean('recall10'):.3f}, "
            f"loss {self.mean('loss'):.4f} (mean of {len(self.runs)} runs)"
        )

    def rows(self) -> list[dict[str, object]]:
        names = ("model", "seed", "wss95", "recall10", "loss", "ndcg", "steps", "cpu_s")
        return [{name: getattr(run, name) for name in names} for run in self.runs]


def draw_priors(labels: Bools, priors: tuple[int, int], seed: int) -> NDArray[np.intp]:
    """Indices of so many relevant and so many other records, drawn by seed.

    Each kind comes from a fresh generator (numpy's older one) of the same seed, as ASReview's do,
    so that a run starts from the records that its run with this seed starts from. Checked against
    recorded runs of ASReview 3.0.8: an ELAS u4 of our own, started from these, gives their figures
    to the third decimal on the smaller reviews.
    """
    return np.concatenate(
        [
            np.random.RandomState(seed).choice(np.flatnonzero(kind), number, replace=False)
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
    models: Sequence[Model] = (MODELS["default"],),
    rules: Sequence[str] = (),
    check_every: int = CHECK_EVERY,
    draw: Draw = draw_priors,
) -> Simulation:
    """Read the records in the order of the engine, one at a time, each decision known at once.

    The figures of a run end where the last relevant record is found; what remains is appended in
    the order of the last score, on which no figure depends.

    Parameters
    ----------
    records, labels : sequences of length n
        The records and whether each was relevant in the end.
    protocol : str
        The review's question; may be empty.
    priors : (int, int)
        Relevant and other records known at the start; (0, 0) starts from the protocol alone.
    models : sequence of Model
    rules : sequence of str
        Stopping rules to ask along each run, of `RULES`.
    check_every : int
        Decisions, priors included, between two looks of the rules.
    draw : callable
        (labels, priors, seed) to the indices of the priors.

    Raises
    ------
    InputError
        If lengths differ, no relevant record is left to find, or there are fewer records of a kind
        than priors.
    UnknownName
        If there is no rule of a name.
    """
    player = Player(records, labels, protocol, priors=priors, draw=draw)
    return Simulation(
        tuple(
            player.run(model, seed, rules=rules, check_every=check_every)
            for model in models
            for seed in seeds
        )
    )


class Player:
    """A labelled set, its vectors computed when a model first needs them."""

    def __init__(
        self,
        records: Sequence[Record],
        labels: Sequence[bool],
        protocol: str,
        *,
        priors: tuple[int, int] = (1, 1),
        draw: Draw = draw_priors,
    ) -> None:
        given = np.asarray(labels, dtype=bool)
        _check(len(records), given, priors)
        # The engine's own sequence, so that equal scores fall to the same lots.
        place = sorted(range(len(records)), key=lambda i: (len(records[i].pmid), records[i].pmid))
        self.records = [records[i] for i in place]
        self.relevant = given[place]
        self.protocol = protocol
        self._priors, self._draw = priors, draw
        self._given = given
        self._moved = np.argsort(place)
        self._vectors: dict[tuple[tuple[View, ...], bool], tuple[Features, float]] = {}

    def first(self, seed: int) -> NDArray[np.intp]:
        """Places of the priors."""
        first: NDArray[np.intp] = self._moved[self._draw(self._given, self._priors, seed)]
        return first

    def run(
        self, model: Model, seed: int, *, rules: Sequence[str] = (), check_every: int = CHECK_EVERY
    ) -> Run:
        """One run of one model."""
        for rule in rules:
            if rule not in RULES:
                raise UnknownName("stopping rule", rule, RULES)
        first = self.first(seed)
        if model.random:
            return self._by_lot(model, seed, first, rules, check_every)
        vectors, features_cpu_s = self._space(model)
        start = time.process_time()
        short = len(self.records) <= PAIRS_UP_TO
        space: Space = Gram(Pairs(vectors)) if short else Terms(vectors)
        screen = Screen(space, seed)
        wanted = not NEEDS_SCORES.isdisjoint(rules)
        watch = _Watch(len(self.records), self.relevant, check_every, wanted)
        for i in first:
            screen.decide(int(i), bool(self.relevant[i]))
        order = [int(i) for i in first]
        left = int(self.relevant.sum() - self.relevant[first].sum())
        while left:
            watch.look(screen, order)
            chosen = screen.best()
            screen.decide(chosen, bool(self.relevant[chosen]))
            order.append(chosen)
            left -= int(self.relevant[chosen])
        cpu_s = features_cpu_s + time.process_time() - start - watch.cpu_s
        steps = len(order) - len(first)
        start = time.process_time() - watch.cpu_s
        while len(order) < len(self.records) and not watch.done:
            watch.look(screen, order)
            if not watch.done:
                chosen = screen.best()
                screen.decide(chosen, bool(self.relevant[chosen]))
                order.append(chosen)
        order += [int(i) for i in screen.order()]
        stops = self._stops(order, rules, check_every, seed, watch)
        return self._result(
            model, seed, first, order, steps, cpu_s, stops, time.process_time() - start
        )

    def _space(self, model: Model) -> tuple[Features, float]:
        """Vectors, and the CPU time they took when they were made."""
        key = (model.views, model.protocol)
        if key not in self._vectors:
            start = time.process_time()
            vectors = features(
                self.records, self.protocol if model.protocol else "", views=model.views
            )
            self._vectors[key] = (vectors, time.process_time() - start)
        return self._vectors[key]

    def _by_lot(
        self,
        model: Model,
        seed: int,
        first: NDArray[np.intp],
        rules: Sequence[str],
        check_every: int,
    ) -> Run:
        start = time.process_time()
        known = set(first.tolist())
        lots = np.random.default_rng(seed).permutation(len(self.records))
        order = [*first.tolist(), *(int(i) for i in lots if int(i) not in known)]
        last = int(np.flatnonzero(self.relevant[order])[-1]) + 1
        cpu_s = time.process_time() - start
        asked = [rule for rule in rules if rule not in NEEDS_SCORES]
        stops = self._stops(order, asked, check_every, seed, None)
        return self._result(model, seed, first, order, last - len(first), cpu_s, stops, 0.0)

    def _stops(
        self,
        order: list[int],
        rules: Sequence[str],
        check_every: int,
        seed: int,
        watch: _Watch | None,
    ) -> dict[str, Stop]:
        found = self.relevant[order]
        stops = {}
        for rule in rules:
            if rule == "expected":
                assert watch is not None
                read = np.arange(watch.stopped or len(order))
            elif rule == "certified":
                begin = watch.stopped if watch and watch.stopped else len(order)
                read = compared.certified(found, begin, check_every, seed)
            else:
                read = RULES[rule](found, check_every, seed)
            stops[rule] = Stop(
                at=len(read),
                recall=float(found[read].sum() / found.sum()),
                saved=1 - len(read) / len(order),
            )
        return stops

    def _result(
        self,
        model: Model,
        seed: int,
        first: NDArray[np.intp],
        order: list[int],
        steps: int,
        cpu_s: float,
        stops: dict[str, Stop],
        stopping_cpu_s: float,
    ) -> Run:
        read = order[len(first) :]
        wss95, recall10, loss, ndcg = figures(self.relevant[read])
        return Run(
            seed=seed,
            priors=tuple(self.records[i].pmid for i in first),
            order=tuple(self.records[i].pmid for i in read),
            wss95=wss95,
            recall10=recall10,
            loss=loss,
            ndcg=ndcg,
            steps=steps,
            cpu_s=cpu_s,
            model=model.name,
            stopping=stops,
            stopping_cpu_s=stopping_cpu_s,
        )


class _Watch:
    """Asks the default rule along a run, and keeps the time that this takes apart."""

    def __init__(self, n: int, relevant: Bools, every: int, wanted: bool) -> None:
        self.n, self.relevant, self.every = n, relevant, every
        self.done = not wanted
        self.stopped: int | None = None
        self.cpu_s = 0.0

    def look(self, screen: Screen, order: list[int]) -> None:
        """Ask, if it is time; the screen has decided on all of the order."""
        if self.done or len(order) % self.every or len(order) < FEWEST:
            return
        start = time.process_time()
        found = self.relevant[order]
        place = {row: i for i, row in enumerate(screen.records)}
        mine = [place[i] for i in order]
        left = screen.scores()[~screen.decided]
        # A record's own decision draws its score to its side, so that with it the odds of the urn
        # are never lower: where that urn refuses already, no score need be left out.
        if (
            screen.stage == "both"
            and rediscovery_p(State(self.n, found, screen.fitted()[mine], left), TARGET)
            <= 1 - CONFIDENCE
            and expected(State(self.n, found, screen.left_out()[mine], left)).stop
        ):
            self.stopped, self.done = len(order), True
        self.cpu_s += time.process_time() - start


def _conservative(found: Bools, every: int, seed: int) -> NDArray[np.intp]:
    nothing = np.empty(0)
    for t in range(every, len(found), every):
        state = State(len(found), found[:t], nothing, nothing)
        if state.included and hypergeometric_p(state, TARGET) < 1 - CONFIDENCE:
            return np.arange(t)
    return np.arange(len(found))


# Rule to the places of an order that would have been read: (found, check every, seed).
RULES: dict[str, Callable[[Bools, int, int], NDArray[np.intp]]] = {
    "expected": compared.all_of_it,  # asked along the run, for it needs scores
    "conservative": _conservative,
    "certified": compared.all_of_it,  # begins where "expected" stops
    **compared.RULES,
}
NEEDS_SCORES = frozenset({"expected", "certified"})


def _check(count: int, relevant: Bools, priors: tuple[int, int]) -> None:
    if len(relevant) != count:
        raise InputError(f"{count} records and {len(relevant)} labels: each needs one")
    included, excluded = int(relevant.sum()), int((~relevant).sum())
    if not included:
        raise InputError(f"none of {count} records is relevant: there is nothing to find")
    if priors[0] >= included:
        raise InputError(
            f"{included} relevant records of which {priors[0]} are known: nothing is left to find",
            remedy=f"begin with fewer: --priors {included - 1}+{min(priors[1], excluded)}",
        )
    if priors[1] > excluded:
        raise InputError(
            f"{priors[1]} known exclusions of {excluded}: there are not so many",
            remedy=f"begin with fewer: --priors {priors[0]}+{excluded}",
        )
