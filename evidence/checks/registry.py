"""The register of extraction checks, and what a check finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evidence.claims import Claim
from evidence.model import EffectRow, Extraction, Place

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """What looks wrong: mend an error, look again at a warning, know a note."""

    check: str  # key in CHECKS
    level: Level
    at: Place
    subject: str  # id of the effect, study or published result
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.at}  {self.level}: {self.subject}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """The finding for a machine."""
        return {**asdict(self), "at": str(self.at)}


Run = Callable[[Claim, Extraction], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A check with the sentence that says what it looks for."""

    key: str
    looks_for: str
    run: Run


CHECKS: dict[str, Check] = {}


def check(key: str, *, looks_for: str) -> Callable[[Run], Run]:
    """Register a check under its key; the decorated function stays callable as it is."""

    def register(run: Run) -> Run:
        CHECKS[key] = Check(key, looks_for, run)
        return run

    return register


def about_row(key: str, level: Level, row: EffectRow, message: str, remedy: str) -> Finding:
    """A finding on an effect row, a level lower for a context row, which counts in nothing."""
    if row.role == "context":
        level = LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]
    return Finding(key, level, row.at, row.effect_id, message, remedy)
