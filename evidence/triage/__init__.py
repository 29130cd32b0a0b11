"""Which record to read next and when to stop: vectors, order, reasons, rules, simulation."""

from __future__ import annotations

from evidence.triage.engine import Engine
from evidence.triage.explain import Reasons
from evidence.triage.ranking import Ranking, rank
from evidence.triage.simulation import Run, Simulation, simulate
from evidence.triage.stopping import Remaining, Verdict
from evidence.triage.wording import Used

__all__ = [
    "Engine",
    "Ranking",
    "Reasons",
    "Remaining",
    "Run",
    "Simulation",
    "Used",
    "Verdict",
    "rank",
    "simulate",
]
