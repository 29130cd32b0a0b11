"""A screening that keeps its reading order while decisions arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage import explain, model, stopping
from evidence.triage.collection import Collection
from evidence.triage.explain import Bin, Depth, Doubt, Drift, Reasons
from evidence.triage.protocols import Protocol
from evidence.triage.screen import Screen
from evidence.triage.spaces import Terms
from evidence.triage.views import VIEWS, View
from evidence.triage.wording import Used, in_words


class Engine:
    """Records of a claim, decisions on them, and everything that follows, always up to date.

    ::

        engine = Engine(records, claim.protocol_text(), decisions)  # some seconds at 10,000 records
        first, second = engine.next(2)          # PMIDs to read now
        engine.decide(first, True)              # include; False excludes, None takes it back
        engine.order                            # all unscreened PMIDs, most likely relevant first
        engine.reasons(second).up               # (("sprint training", 0.21), ...)
        engine.similar(second, 5)               # (("31386821", 0.48), ...)
        engine.recall()                         # how many relevant records probably remain
        engine.verdicts()                       # whether to stop, by each rule, in words

    *When work is done.* `decide` only notes the decision (below 2 ms). The first question after it
    (`next`, `order`, `score`, `reasons`) fits the model again: 1 ms of CPU at 1,000 records, 6 to
    10 ms at 10,000, 80 to 100 ms at 100,000 (20 and 125 ms at 2,000 decisions; measured on a busy
    machine). Several decisions before a question cost one fit, and thousands at once (at the
    beginning, or with `decide_all`) are learned together: 2,000 in 0.3 s, 8,000 in 3 s. Memory
    grows with the words (0.7 GB at 100,000 records, and 3 GB while they are counted) and with the
    square of the decisions (32 MB at 2,000).
    `recall`, `verdicts` and `second_look` need every decided record's score by all the others:
    10 ms at 500 decisions, a quarter of a second at 2,000, 5 s at 8,000. Ask for them every ten
    decisions or so, not after each; asking twice without a decision between costs nothing.

    *What the order depends on.* The set of records, the decisions and the seed: neither the
    sequence in which decisions came, nor what was decided before and taken back. `recall` and
    `verdicts` do look at the sequence, as a stopping rule must.

    *Stages.* Without an inclusion, similarity to the protocol; with inclusions only, similarity to
    these and to the protocol less that to the mean unscreened record (Rocchio 1971); with both
    kinds, a linear support vector machine. `stage` says which, `method` says it in words.

    An engine is not safe for threads: one at a time. New records make a new engine, with
    ``Engine(more_records, protocol, engine.decisions)``. Several reviewers of the same records
    share what is known of these: ``Engine.over(collection, decisions)``.

    Parameters
    ----------
    records : sequence of Record
        All records of a claim, each PMID once. Abstracts may be missing.
    protocol : str, or mapping of str to sequence of str
        The words of the claim's protocol, or texts by the name of a view (see
        `evidence.triage.protocols.structured`); may be empty.
    decisions : mapping of str to bool
        PMID to relevant or not, in the sequence in which they were made. PMIDs outside ``records``
        are counted (`used`) and otherwise unused.
    views : sequence of View
        Ways to look at a record; see `evidence.triage.views`.
    seed : int
        Decides among records with equal scores.

    Raises
    ------
    InputError
        If a PMID occurs twice; names each.
    """

    def __init__(
        self,
        records: Sequence[Record],
        protocol: Protocol,
        decisions: Mapping[str, bool] | None = None,
        *,
        views: Sequence[View] = VIEWS,
        seed: int = 0,
    ) -> None:
        self._begin(Collection.of(records, protocol, views=views), decisions or {}, seed)

    @classmethod
    def over(
        cls,
        collection: Collection,
        decisions: Mapping[str, bool] | None = None,
        *,
        seed: int = 0,
    ) -> Engine:
        """As ``Engine(records, protocol, decisions)``, of records whose words are counted."""
        engine = cls.__new__(cls)
        engine._begin(collection, decisions or {}, seed)
        return engine

    def _begin(self, collection: Collection, decisions: Mapping[str, bool], seed: int) -> None:
        self.seed = seed
        self.collection = collection
        self._pmids, self._row = collection.pmids, collection.row
        self._space = collection.space
        self._terms = Terms(self._space)
        self._screen = Screen(self._terms, seed)
        self._sequence: dict[int, None] = {}  # decided rows, first decided first
        self._elsewhere = {pmid: y for pmid, y in decisions.items() if pmid not in self._row}
        self.decide_all({pmid: y for pmid, y in decisions.items() if pmid in self._row})

    # --- decisions -------------------------------------------------------------------------------

    def decide(self, pmid: str, relevant: bool | None) -> None:
        """Note a decision: True includes, False excludes, None takes the decision back.

        Deciding again changes a decision; it keeps its place in the sequence.

        Raises
        ------
        InputError
            If the record is not among those of this engine.
        """
        self.decide_all({pmid: relevant})

    def decide_all(self, decisions: Mapping[str, bool | None]) -> None:
        """As `decide` on each in turn; of thousands, in a tenth of the time.

        Raises
        ------
        InputError
            If a record is not among those of this engine; nothing is noted then.
        """
        rows = {self._place(pmid): relevant for pmid, relevant in decisions.items()}
        self._screen.decide_all(rows)
        for row, relevant in rows.items():
            if relevant is None:
                self._sequence.pop(row, None)
            else:
                self._sequence[row] = None
        self._order: NDArray[np.intp] | None = None
        self._direction: NDArray[np.float64] | None = None
        self._state: stopping.State | None = None

    def _place(self, pmid: str) -> int:
        if pmid not in self._row:
            raise InputError(
                f"PMID {pmid} is not among the records of this order",
                remedy="`evidence search` adds what a search finds",
            )
        return self._row[pmid]

    @property
    def decisions(self) -> dict[str, bool]:
        """PMID to relevant or not, in the sequence of the decisions; those elsewhere last."""
        mine = {self._pmids[i]: bool(self._screen.relevant[i]) for i in self._sequence}
        return mine | self._elsewhere

    @property
    def used(self) -> Used:
        """How many records and decisions the order rests on."""
        screen = self._screen
        left = len(self._pmids) - len(self._sequence)
        return Used(screen.included, screen.excluded, left, len(self._elsewhere))

    @property
    def stage(self) -> model.Stage:
        """ "protocol", "included" or "both": what the decisions allow to be learned."""
        return self._screen.stage

    @property
    def views(self) -> tuple[View, ...]:
        """The views that at least one record fills."""
        return self._space.views

    @property
    def method(self) -> str:
        """How the order came about and how far to trust it, in words."""
        return in_words(self._space, self.stage, self.used)

    # --- order -----------------------------------------------------------------------------------

    @property
    def order(self) -> tuple[str, ...]:
        """PMIDs of the unscreened records, most likely relevant first."""
        return tuple(self._pmids[self._rows()].tolist())

    def next(self, k: int = 1) -> tuple[str, ...]:
        """The first k of `order`; fewer where fewer are left."""
        return tuple(self._pmids[self._rows()[:k]].tolist())

    def _rows(self) -> NDArray[np.intp]:
        if self._order is None:
            self._order = self._screen.order()
        return self._order

    def score(self, pmid: str) -> float:
        """The score of a record: it orders, it is no probability.

        Of a decided record, once both kinds are decided: what all other decisions say of it, as if
        this one had not been made.

        Raises
        ------
        InputError
            If the record is not among those of this engine.
        """
        row = self._place(pmid)
        if self._screen.decided[row] and self.stage == "both":
            _, direction, constant = self._without(row)
            return float((self._space.matrix[[row]] @ direction)[0] + constant)
        return float(self._screen.scores()[row])

    def scores(self) -> tuple[tuple[str, float], ...]:
        """PMID and score of the unscreened records, in the order of `order`."""
        return tuple(zip(self.order, self._screen.scores()[self._rows()].tolist(), strict=True))

    # --- reasons ---------------------------------------------------------------------------------

    def reasons(self, pmid: str, *, count: int = 6) -> Reasons:
        """The words, as this record writes them, that moved it up and down.

        All of them add up to the score but for a constant. Of a decided record, they are the
        reasons that all other decisions give.

        Parameters
        ----------
        pmid : str
            Any record of the engine, decided or not.
        count : int
            At most so many words each way.

        Raises
        ------
        InputError
            If the record is not among those of this engine.
        """
        row = self._place(pmid)
        if self._screen.decided[row] and self.stage == "both":
            _, direction, _ = self._without(row)
        else:
            if self._direction is None:
                self._direction = self._combined(*self._screen.coefficients()[:2])
            direction = self._direction
        return explain.reasons(
            self.collection.records[row],
            self._space.matrix[[row]],
            self._space,
            direction,
            count=count,
        )

    def _without(self, row: int) -> tuple[int, NDArray[np.float64], float]:
        """Place, coefficient of each term and constant, with the decision on a record left out."""
        place = self._screen.records.index(row) + 1
        self._screen.scores()
        beta = self._screen.machine.without(place, self._screen.sample_weights())
        return place, self._combined(beta, 0.0), float(beta.sum())

    def _combined(self, beta: NDArray[np.float64], unscreened: float) -> NDArray[np.float64]:
        """What each term adds to a score."""
        direction = beta[0] * self._space.protocol.toarray().ravel()
        if self._sequence:
            direction = direction + self._terms.direction(beta[1:])
        if unscreened:
            left = ~self._screen.decided
            direction = direction + unscreened * self._space.matrix[left].mean(axis=0)
        return np.asarray(direction, dtype=float)

    def similar(self, pmid: str, k: int = 5) -> tuple[tuple[str, float], ...]:
        """The k records most like this one, decided or not, with their likeness (0 to 1).

        Raises
        ------
        InputError
            If the record is not among those of this engine.
        """
        row = self._place(pmid)
        vector = self._space.matrix[[row]].toarray().ravel()
        own = np.sqrt(self._space.own)
        scale = own * own[row]
        likeness = np.divide(
            self._space.matrix @ vector, scale, out=np.zeros(len(own)), where=scale > 0
        )
        likeness[row] = -1.0
        likeness = np.round(likeness, 9)
        nearest = np.lexsort((np.arange(len(own)), -likeness))[: max(k, 0)]
        return tuple((self._pmids[i], float(likeness[i])) for i in nearest if i != row)

    # --- stopping --------------------------------------------------------------------------------

    def state(self) -> stopping.State:
        """What a stopping rule may look at."""
        if self._state is None:
            screen = self._screen
            rows = np.fromiter(self._sequence, dtype=np.intp, count=len(self._sequence))
            place = {row: i for i, row in enumerate(screen.records)}
            left_out = screen.left_out()
            self._state = stopping.State(
                n=len(self._pmids),
                found=screen.relevant[rows],
                left_out=left_out[[place[int(row)] for row in rows]],
                unscreened=screen.scores()[~screen.decided],
            )
        return self._state

    def recall(self, *, level: float = 0.95) -> stopping.Remaining:
        """How many relevant records probably remain among the unscreened, with an interval."""
        return stopping.remaining(self.state(), level=level)

    def certificate(
        self,
        *,
        seed: int,
        attempt: int = 1,
        target: float = 0.95,
        confidence: float = 0.95,
    ) -> stopping.Certificate:
        """Draw the random sample that certifies recall if none of it is relevant.

        Keep what it gives back with the decisions, read all of it, then ask its ``verdict``. The
        sample depends on the seed and the unscreened records; its size on how many were found.

        Parameters
        ----------
        seed : int
            Written down before it is used: a sample must not be drawn again until it suits.
        attempt : int
            1 for the first; each further attempt may err half as often.
        """
        left = self._pmids[~self._screen.decided].tolist()
        return stopping.draw(
            left,
            self._screen.included,
            seed=seed,
            attempt=attempt,
            target=target,
            confidence=confidence,
        )

    def verdicts(
        self, *, target: float = 0.95, confidence: float = 0.95
    ) -> tuple[stopping.Verdict, ...]:
        """Whether to stop, by each rule that the toolkit offers, the default first.

        Parameters
        ----------
        target : float
            The share of the relevant records to be found, above 0 and below 1.
        confidence : float
            How sure of it to be, for the rules that promise a share of screenings.
        """
        return stopping.verdicts(self.state(), target=target, confidence=confidence)

    # --- how far to trust it ---------------------------------------------------------------------

    def calibration(self, *, groups: int = 10) -> tuple[Bin, ...]:
        """What became of the decided records, by the probability that all the others foretold.

        Empty before both kinds are decided. `evidence.triage.curves.calibration` draws it.
        """
        return explain.calibration_bins(self.state(), groups=groups)

    def depths(self, *, targets: tuple[float, ...] = (0.95, 0.99, 1.0)) -> tuple[Depth, ...]:
        """How far to screen for 95, 99 and 100 % of the relevant records, cross-validated."""
        return explain.depths(self.state(), targets=targets)

    def second_look(self, *, confident: float = 0.95) -> tuple[Doubt, ...]:
        """Decisions that all the others speak against, the most surprising first."""
        pmids = [self._pmids[i] for i in self._sequence]
        return explain.doubts(self.state(), pmids, confident=confident)

    def drift(self, before: Sequence[str], *, top: int = 50) -> Drift:
        """How much the order moved since an earlier `order`."""
        return explain.drift(before, self.order, top=top)
