"""The hallway: each command is one function here, from a workspace to an answer."""

from __future__ import annotations

from evidence.checks import LEVELS
from evidence.kinds import FOREST
from evidence.steps.assessing import assess, choices, pool_cells, rank
from evidence.steps.citing import chase, identify
from evidence.steps.claims import Checked, check, new
from evidence.steps.drawing import Plotted, plot, table
from evidence.steps.explaining import explain_strategy, translated, without_headings
from evidence.steps.outcome import Outcome
from evidence.steps.ranking import rank_files
from evidence.steps.retrieving import Offline
from evidence.steps.searching import add_files, replay, search, second_source
from evidence.steps.updating import update
from evidence.tables import pool_json

__all__ = [
    "FOREST",
    "LEVELS",
    "Checked",
    "Offline",
    "Outcome",
    "Plotted",
    "add_files",
    "assess",
    "chase",
    "check",
    "choices",
    "explain_strategy",
    "identify",
    "new",
    "plot",
    "pool_cells",
    "pool_json",
    "rank",
    "rank_files",
    "replay",
    "search",
    "second_source",
    "table",
    "translated",
    "update",
    "without_headings",
]
