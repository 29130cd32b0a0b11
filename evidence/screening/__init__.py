"""What people decide about records: kept at once, put together, compared, exchanged.

A page or a program works at a `Desk`; `ScreeningLog` is the file below it, `ScreeningState` what
its rows amount to.
"""

from __future__ import annotations

from evidence.screening.desk import Desk
from evidence.screening.log import Entry, ScreeningLog
from evidence.screening.state import (
    FOUNDING,
    FULL,
    TITLE,
    Note,
    ScreeningState,
    Standing,
    names_of,
)

__all__ = [
    "FOUNDING",
    "FULL",
    "TITLE",
    "Desk",
    "Entry",
    "Note",
    "ScreeningLog",
    "ScreeningState",
    "Standing",
    "names_of",
]
