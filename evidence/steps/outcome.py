"""What a step hands back: lines for people, fields for machines, an exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]


OK, FAULT, ACTION = 0, 1, 3


@dataclass(slots=True)
class Outcome:
    """What a step did, in lines for people and in fields for machines."""

    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # exit 1
    actions: list[str] = field(default_factory=list)  # exit 3
    # What to do once people can read it: a run that is killed before that tells it again.
    when_told: Callable[[], None] = lambda: None

    @property
    def exit_code(self) -> int:
        """Somebody must act before a fault is mended: 3 comes before 1."""
        return ACTION if self.actions else FAULT if self.faults else OK

    def lines(self) -> list[str]:
        return [
            *self.said,
            *(f"fault: {text}" for text in self.faults),
            *(f"action needed: {text}" for text in self.actions),
        ]

    def json(self) -> dict[str, Any]:
        return self.facts | {"faults": self.faults, "actions_needed": self.actions}
