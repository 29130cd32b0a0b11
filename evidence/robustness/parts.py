"""What every look has in common: the analysis under it, and how its numbers are worded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.claims import Analysis, Claim
from evidence.model import Estimate, Part
from meta.results import Effects, PooledEffect, show

Cell = Callable[[Mapping[str, Any]], str]
Column = tuple[str, Cell, bool]  # heading, a row's cell, flush right?


@dataclass(frozen=True, slots=True)
class Subject:
    """One pooled analysis under examination: its effects, and the rows behind each."""

    claim: Claim
    plan: Analysis
    result: PooledEffect
    units: tuple[tuple[Estimate, ...], ...]  # the rows of each effect, in their order

    @property
    def effects(self) -> Effects:
        return self.result.effects

    @property
    def options(self) -> dict[str, Any]:
        """The analysis as the functions of ``meta`` take it."""
        model = {"model": self.result.model, "tau2": self.result.tau2_method or self.plan.tau2}
        return {**model, "ci": self.plan.interval, "level": self.result.level}

    def value(self, y: float) -> str:
        """An effect on the scale that people read."""
        return show(self.effects.measure.natural(y))

    def ci(self, low: float, high: float) -> str:
        """An interval on the scale that people read."""
        if math.isnan(low) or math.isnan(high):
            return "undefined"
        return f"{self.value(low)} to {self.value(high)}"

    def includes_null(self, low: float, high: float) -> bool:
        return low <= self.effects.measure.null <= high

    def verdict(self, low: float, high: float) -> str:
        """Whether an interval includes no effect, where the measure has such a value."""
        if not math.isfinite(self.effects.measure.null):
            return ""
        return f", which {'includes' if self.includes_null(low, high) else 'excludes'} no effect"

    def tally(self, intervals: Sequence[Sequence[float]], *, each: bool = False) -> str:
        """How many intervals include no effect, where the measure has such a value."""
        if not math.isfinite(self.effects.measure.null):
            return ""
        inside = sum(self.includes_null(low, high) for low, high in intervals)
        if each:
            return f"; {inside} of {len(intervals)} intervals include no effect"
        return f"; the interval includes no effect in {inside} of {len(intervals)}"


def effect_columns(s: Subject) -> list[Column]:
    """The pooled effect of each row with its heterogeneity."""
    return [
        (
            f"Effect ({s.result.level:.0%} CI)",
            lambda r: f"{s.value(r['estimate'])} ({s.ci(r['ci_low'], r['ci_high'])})",
            False,
        ),
        ("I²", lambda r: "undefined" if r["k"] < 2 else f"{r['i2']:.0%}", True),
        ("τ²", lambda r: "undefined" if r["k"] < 2 else show(r["tau2"], 3), True),
    ]


def part(
    key: str,
    finding: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    notes: tuple[str, ...] = (),
) -> Part:
    """A finding with the table behind it."""
    return Part(
        key=key,
        finding=finding,
        caption=caption,
        heads=tuple(head for head, _, _ in columns),
        numeric=tuple(numeric for _, _, numeric in columns),
        cells=tuple(tuple(cell(row) for _, cell, _ in columns) for row in rows),
        notes=notes,
        data=tuple(_plain(row) for row in rows),
    )


def words(
    key: str, finding: str, *, computed: bool = False, data: Sequence[Mapping[str, Any]] = ()
) -> Part:
    """A finding without a table: by default one that says why there is no number."""
    return Part(key, finding, computed, data=tuple(_plain(row) for row in data))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as JSON takes them: null for what is undefined."""
    return {key: _json(value) for key, value in row.items()}


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def or_undefined(value: float) -> str:
    return show(value) if math.isfinite(value) else "undefined"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
