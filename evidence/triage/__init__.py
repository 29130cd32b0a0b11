"""Which record to read next: term vectors, reading order, reasons, simulation."""

from __future__ import annotations

from evidence.triage.ranking import Ranking, Reasons, Used, rank
from evidence.triage.simulation import Run, Simulation, simulate

__all__ = ["Ranking", "Reasons", "Run", "Simulation", "Used", "rank", "simulate"]
