"""The state of a screening by row number: decisions in either direction, scores, order.

`evidence.triage.engine` gives it names and words, `evidence.triage.simulation` plays with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evidence.triage import model
from evidence.triage.machine import TOLERANCE, Machine
from evidence.triage.spaces import Space

# Scores are compared to so many decimals; the solver gives eleven. Records that differ by less are
# equal, and the lot decides, so that the order cannot depend on the way to the optimum.
DECIMALS = 9
TOGETHER = 500  # new decisions whose similarities are computed at once
FEW = 8  # new decisions; so few are as soon learned one by one
ROUGH = 1e-6  # residual that is enough to see which record leads

Floats = NDArray[np.float64]


class Screen:
    """Decisions on n records, and what follows from them. Place 0 of the machine is the protocol.

    Parameters
    ----------
    space : Space
    seed : int
        Decides among equal scores.
    of : int, optional
        Records that there are, where the space has a part of them alone.
    """

    def __init__(self, space: Space, seed: int, *, of: int | None = None) -> None:
        self.space = space
        self.of = space.n if of is None else of
        self.lots = np.random.default_rng(seed).permutation(space.n)
        self._by_lot = np.argsort(self.lots)
        self.decided = np.zeros(space.n, dtype=bool)
        self.relevant = np.zeros(space.n, dtype=bool)
        self.machine = Machine()
        self.machine.add(np.empty(0), space.protocol_own, True)
        self.records: list[int] = []  # decided, by place in the machine less one
        self.included = 0  # of these
        self._place: dict[int, int] = {}
        self._scores: Floats | None = None

    @property
    def excluded(self) -> int:
        return len(self.records) - self.included

    @property
    def stage(self) -> model.Stage:
        return model.stage(self.included, self.excluded)

    def decide(self, record: int, relevant: bool | None) -> None:
        """Decide on a record, change a decision, or take it back (None)."""
        place = self._place.get(record)
        if place is None:
            if relevant is not None:
                self._add(record, relevant)
        elif relevant is None:
            self._remove(record, place)
        elif relevant != self.relevant[record]:
            self.machine.change(place + 1, relevant)
            self.relevant[record] = relevant
            self.included += 1 if relevant else -1
        else:
            return
        self._scores = None

    def decide_all(self, decisions: Mapping[int, bool | None]) -> None:
        """As `decide` on each, with all that is new learned at once."""
        new = {i: y for i, y in decisions.items() if y is not None and i not in self._place}
        if len(new) < FEW:
            new = {}
        else:
            self._add_all(new)
        for record, relevant in decisions.items():
            if record not in new:
                self.decide(record, relevant)

    def _add(self, record: int, relevant: bool) -> None:
        asked = self.space.asked[record]
        similar = np.concatenate([[asked], self.space.similar(record)])
        self.machine.add(similar, float(self.space.own[record]), relevant)
        self._note(record, relevant)

    def _add_all(self, decisions: Mapping[int, bool]) -> None:
        rows = np.fromiter(decisions, dtype=np.intp)
        self.machine.reserve(len(rows))
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            for record in some.tolist():
                self._note(record, decisions[record])
            similar = np.column_stack([self.space.asked[some], self.space.table(some)])
            self.machine.extend(similar, self.space.own[some], self.relevant[some])
        self._scores = None

    def _note(self, record: int, relevant: bool) -> None:
        self.space.select(record)
        self._place[record] = len(self.records)
        self.records.append(record)
        self.included += bool(relevant)
        self.decided[record], self.relevant[record] = True, relevant

    def _remove(self, record: int, place: int) -> None:
        self.machine.remove(place + 1)
        self.space.drop(place)
        self.included -= bool(self.relevant[record])
        self.records[place] = self.records[-1]
        self._place[self.records[place]] = place
        self.records.pop()
        del self._place[record]
        self.decided[record] = self.relevant[record] = False

    # --- scores ----------------------------------------------------------------------------------

    def sample_weights(self) -> Floats:
        """Weight of the protocol and of each decided record, by place in the machine."""
        inside, outside, protocol = model.sample_weights(self.included, self.excluded)
        weights = np.where(self.machine.relevant, inside, outside)
        weights[0] = protocol
        return weights

    def coefficients(self, *, tolerance: float = TOLERANCE) -> tuple[Floats, float, float]:
        """The score as a sum: weight of the protocol and each decided record, of the mean
        unscreened record, and the constant.
        """
        beta = np.zeros(self.machine.size)
        if self.stage == "protocol":
            beta[0] = 1.0
            return beta, 0.0, 0.0
        if self.stage == "included":
            each, protocol, unscreened = model.similarity_weights(self.included)
            beta[0], beta[1:] = protocol, each
            return beta, unscreened if len(self.records) < self.of else 0.0, 0.0
        beta = self.machine.solve(self.sample_weights(), tolerance=tolerance)
        return beta, 0.0, float(beta.sum())

    def scores(self) -> Floats:
        """(n,) score of every record, that of a decided one included in what it was learned from.

        Terms of a record alone are in no score but its own; there they are left out.
        """
        if self._scores is None:
            self._scores = np.round(self._sum(TOLERANCE), DECIMALS)
        return self._scores

    def _sum(self, tolerance: float) -> Floats:
        beta, unscreened, constant = self.coefficients(tolerance=tolerance)
        scores = beta[0] * self.space.asked
        if self.records and beta[1:].any():
            scores = scores + self.space.weighted(beta[1:])
        if unscreened:
            left = self.space.n - len(self.records)
            ones = np.ones(len(self.records))
            mean = (self.space.totals() - self.space.weighted(ones)) / left
            scores = scores + unscreened * mean
        total: Floats = scores + constant
        return total

    def order(self) -> NDArray[np.intp]:
        """The unscreened records, highest score first."""
        left = self._by_lot[~self.decided[self._by_lot]]
        order: NDArray[np.intp] = left[np.argsort(-self.scores()[left], kind="stable")]
        return order

    def best(self) -> int:
        """The first of `order`.

        Where one record leads by more than a rough solution can be off, nothing finer is asked.
        """
        if self._scores is None and self.stage == "both" and len(self.records) < self.space.n - 1:
            rough = self._sum(ROUGH)
            rough[self.decided] = -np.inf
            first = int(np.argmax(rough))
            lead = rough[first]
            rough[first] = -np.inf
            if lead - rough.max() > self.machine.uncertain + 10.0**-DECIMALS:
                return first
        scores = np.where(self.decided, -np.inf, self.scores())
        ties = np.flatnonzero(scores == scores.max())
        return int(ties[np.argmin(self.lots[ties])])

    def fitted(self) -> Floats:
        """Score of each of `records` by all decisions, its own among them; NaN as `left_out`."""
        if self.stage != "both":
            return np.full(len(self.records), np.nan)
        self.scores()
        return self.machine.fitted()[1:]

    def left_out(self) -> Floats:
        """Score of each of `records` by all the others; NaN before both kinds are known."""
        if self.stage != "both":
            return np.full(len(self.records), np.nan)
        self.scores()
        return self.machine.left_out(self.sample_weights())[1:]
