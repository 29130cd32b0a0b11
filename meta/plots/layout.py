"""Where everything on a forest plot stands: columns across the page, bands down it, in points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.axis import check_limits, limits_for
from meta.plots.groups import (
    Group,
    Row,
    digits,
    ends,
    level,
    pooled_label,
    prediction_label,
    short,
    small_print,
)
from meta.plots.style import LEADING, POINTS_PER_MM, Weight, fit, text_width, type_size
from meta.results import DASH, PooledEffect, show

MARGIN = 1.5  # points left free at either side
NAME_SHARE = 0.24  # of the width that names of studies may take before they wrap
WORDS_SHARE = 0.18  # of the width that a column of words may take before it wraps
PLOT_SHARE = 0.25  # of the width below which columns of words fold under the names
LIGHTS_SHARE = 0.2  # of the width below which lights fold under the names
LEAST_PLOT = 0.16  # of the width below which there is no picture


@dataclass(frozen=True)
class Band:
    """One horizontal band of the sheet, filled from the first column to the last."""

    kind: Literal["group", "row", "pooled", "prediction", "small", "space"]
    height: float
    texts: tuple[str, ...] = ()
    cells: dict[int, tuple[str, ...]] = field(default_factory=dict)  # lines, by column
    numbers: tuple[str, str, str] = ("", "", "")
    weight: str = ""
    group: int = 0
    gid: str = ""
    row: Row | None = None
    result: PooledEffect | None = None
    ci: tuple[float, float] | None = None
    indent: float = 0.0
    under: tuple[str, ...] = ()  # cells folded under the name, in small print

    @property
    def bold(self) -> Weight:
        return "bold" if self.kind in ("group", "pooled") else "normal"


@dataclass(frozen=True)
class Column:
    """A column of cells between two places on the page."""

    head: tuple[str, ...]
    low: float
    high: float
    flush: Literal["left", "right"]

    @property
    def anchor(self) -> float:
        return self.low if self.flush == "left" else self.high

    @property
    def width(self) -> float:
        return self.high - self.low


class Layout:
    """Columns as wide as their words, the picture as wide as the rest."""

    def __init__(
        self,
        groups: tuple[Group, ...],
        measure: Measure,
        heads: tuple[str, ...],
        limits: tuple[float, float] | None,
        smallest: float | None,
        width_mm: float,
        lights: tuple[str, ...] = (),
        first: str = "Study",
    ) -> None:
        self.lights, self.first = lights, first
        self.meanings: dict[str, str] = {}  # what each light stands for
        self.groups, self.measure, self.heads, self.smallest = groups, measure, heads, smallest
        self.size = type_size(width_mm)
        self.small = max(5.5, self.size - 0.9)
        self.width = width_mm * POINTS_PER_MM
        self.digits = digits(groups, measure)
        self.level = level(groups)
        many = sum(len(g.rows) for g in groups) > 40
        self.pitch = self.size * (1.55 if many else 1.8)
        self.gap = self.size * (1.2 if width_mm >= 120 else 0.95)
        self.indent = 0.9 * self.size if any(g.title for g in groups) else 0.0
        self.limits = check_limits(limits) if limits else self._limits()
        self._place_columns()
        self.bands = list(self._bands())

    def _limits(self) -> tuple[float, float]:
        results = [g.result for g in self.groups if g.result]
        keep = [self.measure.null, *(self.zone() or ()), *(e for r in results for e in r.ci)]
        wide = [r.prediction for r in results if r.prediction]
        return limits_for([row.ci for g in self.groups for row in g.rows], keep, wide=wide)

    def zone(self) -> tuple[float, float] | None:
        """The effects too small to matter, on the analysis scale; None where none is named."""
        null = self.measure.null
        if self.smallest is None or not math.isfinite(null):
            return None
        return null - abs(self.smallest), null + abs(self.smallest)

    def x(self, value: float) -> float:
        """The place of an effect on the page."""
        low, high = self.limits
        return self.x0 + (value - low) / (high - low) * (self.x1 - self.x0)

    def inside(self, value: float) -> bool:
        return self.limits[0] <= value <= self.limits[1]

    def beyond(self, band: Band) -> tuple[bool, bool]:
        """Does the interval leave the axis at its low end, at its high end?"""
        if band.ci is None:
            return False, False
        return band.ci[0] < self.limits[0], band.ci[1] > self.limits[1]

    # Across the page -------------------------------------------------------------------------

    def _numbers(self, value: float | None, ci: tuple[float, float]) -> tuple[str, str, str]:
        low, high = ends(self.measure, ci, self.digits)
        middle = "" if value is None else show(self.measure.natural(value), self.digits)
        return middle, f"[{low},", f"{high}]"

    def _place_columns(self) -> None:
        size, gap = self.size, self.gap
        self.light = min(1.35 * size, 0.8 * self.pitch)  # across a light
        heads = [text_width(head, self.small, "bold") for head in self.lights]
        self.light_step = max([self.light + 0.25 * size, *(w + 0.4 * size for w in heads)])
        block = len(self.lights) * self.light_step + gap if self.lights else 0.0
        right = self._place_numbers() - block
        rows = [row for g in self.groups for row in g.rows]
        cells = [[row.columns[i] for row in rows] for i in range(len(self.heads))]
        numeric = [all(map(_is_number, column)) for column in cells]
        widths = [self._width(i, cells[i], numeric[i]) for i in range(len(self.heads))]
        names = self._name_width(rows)

        def room(kept: list[int]) -> float:
            return right - gap - MARGIN - names - gap - sum(widths[i] + gap for i in kept)

        kept = list(range(len(self.heads)))
        self.folded: list[int] = []
        # Where lights would take the room of the plot they go under the names.
        numbers = [i for i in kept if numeric[i]]
        self.lights_under = bool(self.lights) and room(numbers) < LIGHTS_SHARE * self.width
        if self.lights_under:
            right += block
            names = max(names, len(self.lights) * self.light_step)
        if room(kept) < PLOT_SHARE * self.width:
            self.folded = [i for i in kept if not numeric[i]]
            kept = [i for i in kept if numeric[i]]
        if room(kept) < LEAST_PLOT * self.width:
            raise InputError(
                f"{self.width / POINTS_PER_MM:.0f} mm cannot hold the columns and a plot",
                [f"columns: {', '.join(self.heads)}"],
                remedy="leave a column out, shorten its cells, or make the plot wider",
            )
        self.name = Column((self.first,), MARGIN, MARGIN + names, "left")
        self.columns: dict[int, Column] = {}
        x = self.name.high
        for i in kept:
            lines = tuple(fit(self.heads[i], widths[i], size, "bold", lines=4))
            flush: Literal["left", "right"] = "right" if numeric[i] else "left"
            self.columns[i] = Column(lines, x + gap, x + gap + widths[i], flush)
            x += gap + widths[i]
        self.x0, self.x1 = x + gap, right - gap
        if self.lights_under:
            self.light_at = [
                MARGIN + self.indent + (i + 0.5) * self.light_step for i in range(len(self.lights))
            ]
            return
        # Else they stand at the right edge, after all numbers, which move aside for them.
        edge = self.width - MARGIN - len(self.lights) * self.light_step
        self.light_at = [edge + (i + 0.5) * self.light_step for i in range(len(self.lights))]
        self._shift_numbers(block)

    def _place_numbers(self) -> float:
        """Estimates with their intervals, and weights, from the right edge; gives their left."""
        size = self.size
        printed: list[tuple[tuple[str, str, str], Weight]] = []
        for group in self.groups:
            printed += [(self._numbers(row.yi, row.ci), "normal") for row in group.rows]
            if result := group.result:
                printed.append((self._numbers(result.estimate, result.ci), "bold"))
                if result.prediction:
                    printed.append((self._numbers(None, result.prediction), "normal"))
        parts = [
            max((text_width(texts[i], size, bold) for texts, bold in printed), default=0.0)
            for i in range(3)
        ]
        space = 0.35 * size
        wide = sum(parts) + 2 * space
        head: tuple[str, ...] = (f"{short(self.measure)} [{self.level:.0%} CI]",)
        if text_width(head[0], size, "bold") > wide:
            head = (short(self.measure), f"[{self.level:.0%} CI]")
        wide = max(wide, *(text_width(line, size, "bold") for line in head))

        right = self.width - MARGIN
        self.weights: Column | None = None
        if any(row.weight is not None for g in self.groups for row in g.rows):
            left = right - text_width("Weight", size, "bold")
            self.weights = Column(("Weight",), left, right, "right")
            right = left - self.gap
        self.numbers = Column(head, right - wide, right, "right")
        # Estimate, low and high end each flush right: decimal points stand under each other.
        self.anchors = (right - parts[2] - parts[1] - 2 * space, right - parts[2] - space, right)
        return right - wide

    def _shift_numbers(self, by: float) -> None:
        def moved(column: Column) -> Column:
            return replace(column, low=column.low - by, high=column.high - by)

        self.numbers = moved(self.numbers)
        self.weights = moved(self.weights) if self.weights else None
        low, middle, high = self.anchors
        self.anchors = (low - by, middle - by, high - by)

    def _width(self, i: int, cells: list[str], numeric: bool) -> float:
        size = self.size
        totals = [g.totals[i] for g in self.groups if g.totals]
        cell = max((text_width(text, size) for text in cells), default=0.0)
        total = max((text_width(text, size, "bold") for text in totals), default=0.0)
        head = max(text_width(w, size, "bold") for w in self.heads[i].split() or [""])
        if not numeric:
            cell = min(cell, WORDS_SHARE * self.width)
        return max(cell, total, head) + 0.01

    def _name_width(self, rows: list[Row]) -> float:
        """As wide as the longest name, unless names would crowd out the picture and wrap."""
        size = self.size
        wanted = [self.indent + text_width(row.label, size) for row in rows]
        for group in self.groups:
            if group.result:
                label = pooled_label(group.result, self.level)
                wanted.append(self.indent + text_width(label, size, "bold"))
                if group.result.prediction:
                    wanted.append(self.indent + text_width(prediction_label(group.result), size))
        return min(max(wanted, default=0.0), max(NAME_SHARE * self.width, 8 * size)) + 0.01

    # Down the page ---------------------------------------------------------------------------

    def _bands(self) -> Iterator[Band]:
        for g, group in enumerate(self.groups):
            if g:
                yield Band("space", 0.55 * self.pitch)
            if group.title:
                wide = self.width - 2 * MARGIN
                lines = tuple(fit(group.title, wide, self.size, "bold", lines=3))
                yield Band("group", self._height(lines), lines, gid=f"group-{g}")
            for i, row in enumerate(group.rows):
                yield self._row(row, g, f"row-{g}-{i}")
            if result := group.result:
                yield from self._pooled(result, g)
            if len(self.groups) > 1:
                yield from self._small(g)

    def _row(self, row: Row, g: int, gid: str) -> Band:
        room = self.name.width - self.indent
        lines = tuple(fit(row.label, room, self.size, lines=3))
        cells = {
            i: tuple(fit(row.columns[i], c.width, self.size, lines=3))
            for i, c in self.columns.items()
        }
        folded = ", ".join(row.columns[i] for i in self.folded if row.columns[i])
        under = tuple(fit(folded, room, self.small, lines=3)) if folded else ()
        return Band(
            "row",
            max(
                *(self._height(t, under if t is lines else ()) for t in (lines, *cells.values())),
                self._height(lines, under) + (self.light_room if row.lights else 0.0),
            ),
            lines,
            cells,
            self._numbers(row.yi, row.ci),
            DASH if row.weight is None else f"{row.weight:.1%}",
            g,
            gid,
            row,
            ci=row.ci,
            indent=self.indent,
            under=under,
        )

    def _pooled(self, result: PooledEffect, g: int) -> Iterator[Band]:
        room = self.name.width - self.indent
        totals = self.groups[g].totals
        lines = tuple(fit(pooled_label(result, self.level), room, self.size, "bold", lines=3))
        yield Band(
            "pooled",
            self._height(lines) + 0.15 * self.pitch,
            lines,
            {i: (totals[i],) for i in self.columns} if totals else {},
            self._numbers(result.estimate, result.ci),
            group=g,
            gid=f"pooled-{g}",
            result=result,
            ci=result.ci,
            indent=self.indent,
        )
        if result.prediction:
            lines = tuple(fit(prediction_label(result), room, self.size, lines=3))
            yield Band(
                "prediction",
                self._height(lines),
                lines,
                numbers=self._numbers(None, result.prediction),
                group=g,
                gid=f"prediction-{g}",
                result=result,
                ci=result.prediction,
                indent=self.indent,
            )

    def _small(self, g: int) -> Iterator[Band]:
        """Small print beside the plot where two lines hold it, else across the page."""
        for text in small_print(self.groups[g]):
            beside = fit(text, self.x0 - self.gap - MARGIN - self.indent, self.small, lines=2)
            across = fit(text, self.width - 2 * MARGIN - self.indent, self.small, lines=6)
            lines = across if beside[-1].endswith("…") else beside
            height = len(lines) * LEADING * self.small + 0.25 * self.small
            yield Band("small", height, tuple(lines), group=g, indent=self.indent)

    @property
    def light_room(self) -> float:
        """Height of the line of lights under a name."""
        return 1.15 * self.light if self.lights_under else 0.0

    def _height(self, lines: tuple[str, ...], under: tuple[str, ...] = ()) -> float:
        return self.pitch + LEADING * ((len(lines) - 1) * self.size + len(under) * self.small)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d\s.,/:%<>=~−–-]*", text) is not None
