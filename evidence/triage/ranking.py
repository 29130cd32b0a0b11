"""Records and decisions in, a reading order with its reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evidence.model import Record
from evidence.triage import model
from evidence.triage.engine import Engine
from evidence.triage.explain import Reasons
from evidence.triage.protocols import Protocol
from evidence.triage.views import VIEWS, View
from evidence.triage.wording import Used


@dataclass(frozen=True, slots=True, eq=False)  # holds an engine
class Ranking:
    """The unscreened records in reading order, most likely relevant first."""

    order: tuple[tuple[str, float], ...]  # PMID and score; a score orders, it is no probability
    method: str  # one or two sentences
    stage: model.Stage
    used: Used
    _engine: Engine

    @property
    def pmids(self) -> tuple[str, ...]:
        return tuple(pmid for pmid, _ in self.order)

    @property
    def views(self) -> tuple[View, ...]:
        """The views that at least one record fills."""
        return self._engine.views

    def summary(self) -> str:
        return self.method

    def reasons(self, pmid: str, *, count: int = 6) -> Reasons:
        """The words, as this record writes them, that moved it up and down.

        Parameters
        ----------
        pmid : str
            Any of the records given to `rank`, decided or not.
        count : int
            At most so many words each way.

        Raises
        ------
        InputError
            If the record is not among those ranked.
        """
        return self._engine.reasons(pmid, count=count)


def rank(
    records: Sequence[Record],
    screenings: Mapping[str, bool],
    protocol: Protocol,
    *,
    views: Sequence[View] = VIEWS,
    seed: int = 0,
) -> Ranking:
    """Order the records that nobody has decided on yet, once; `Engine` goes on from there.

    The answer depends on the set of records and of decisions, not on the order in which they are
    given.

    Parameters
    ----------
    records : sequence of Record
        All records of a claim, each PMID once. Abstracts may be missing.
    screenings : mapping of str to bool
        PMID to relevant or not. PMIDs outside ``records`` are counted and otherwise unused.
    protocol : str, or mapping of str to sequence of str
        The words of the claim's protocol, or texts by the name of a view.
    views : sequence of View
        Ways to look at a record; see `evidence.triage.views`.
    seed : int
        Decides among records with equal scores.

    Raises
    ------
    InputError
        If a PMID occurs twice; names each.
    """
    engine = Engine(records, protocol, screenings, views=views, seed=seed)
    return Ranking(
        order=engine.scores(),
        method=engine.method,
        stage=engine.stage,
        used=engine.used,
        _engine=engine,
    )
