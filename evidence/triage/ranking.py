"""Records and decisions in, a reading order with its reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evidence.model import Record
from evidence.triage import model
from evidence.triage.engine import Engine
from evidence.triage.explain import Bin, Depth, Doubt, Reasons
from evidence.triage.protocols import Protocol
from evidence.triage.views import VIEWS, View
from evidence.triage.wording import Used


@dataclass(frozen=True, slots=True)
class Checks:
    """How far an order can be trusted, from what the decisions say of each other.

    All are empty before a record is included and another one excluded.
    """

    depths: tuple[Depth, ...] = ()
    calibration: tuple[Bin, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    def lines(self) -> list[str]:
        """For the terminal."""
        if not self.depths:
            return ["  checks: none before a record is included and another one excluded"]
        told = ["  how far to read      of those decided   of the rest"]
        told += [
            f"  {f'{d.target:.0%} of the relevant':<20}{d.decided:>17.0%}{d.unscreened:>14,}"
            for d in self.depths
        ]
        told.append("  foretold by the others     decided   included")
        told += [
            f"  {b.foretold:>21.1%}{b.records:>13,}{b.relevant:>11,}"
            f"   {b.share:.0%} ({b.ci[0]:.0%} to {b.ci[1]:.0%})"
            for b in self.calibration
        ]
        told.append(f"  decisions to look at again: {len(self.doubts) or 'none'}")
        told += [
            f"    {d.pmid}  {'included' if d.relevant else 'excluded'}, though all the others say "
            f"{d.probability:.0%} relevant"
            for d in self.doubts
        ]
        return told

    def json(self) -> dict[str, object]:
        return {
            "depths": [
                {
                    "target": d.target,
                    "of_decided": round(d.decided, 4),
                    "still_to_read": d.unscreened,
                }
                for d in self.depths
            ],
            "calibration": [
                {
                    "records": b.records,
                    "foretold": round(b.foretold, 4),
                    "included": b.relevant,
                    "ci": [round(limit, 4) for limit in b.ci],
                }
                for b in self.calibration
            ],
            "doubts": [
                {"record": d.pmid, "included": d.relevant, "probability": round(d.probability, 4)}
                for d in self.doubts
            ],
        }


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

    def checks(self) -> Checks:
        """Every decided record by what all the others say of it; 5 s at 8,000 decisions."""
        engine = self._engine
        return Checks(engine.depths(), engine.calibration(), engine.second_look())

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
