"""Where everything on a forest plot stands: columns across the page, bands down it, in points."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.axis import check_limits, limits_for
from meta.plots.groups import (
    Diamond,
    Group,
    Row,
    diamonds,
    digits,
    ends,
    level,
    number,
    pooled_label,
    prediction_label,
    short,
    small_print,
)
from meta.plots.style import (
    LEADING,
    POINTS_PER_MM,
    Weight,
    fit,
    small_size,
    text_width,
    type_size,
)
from meta.results import DASH

MARGIN = 1.5  # points left free at either side
MANY = 40  # rows from which on they stand closer, each on a line
NAME_SHARE = 0.24  # of the width that names of studies may take before they wrap
WORDS_SHARE = 0.18  # of the width that a column of words may take before it wraps
PLOT_SHARE = 0.25  # of the width below which columns of words fold under the names
LIGHTS_SHARE = 0.2  # of the width below which lights fold under the names
MODELS_SHARE = 0.28  # of the width that weights of several models may take
FOLD_BELOW = 45.0  # points of the plot below which columns of numbers fold as well
SPARE_SHARE = 0.36  # of the width beyond which the plot gives room to words
FOLD = " · "  # between cells under a name
LEAST_PLOT = 0.16  # of the width below which there is no picture


@dataclass(frozen=True)
class Band:
    """One horizontal band of the sheet, filled from the first column to the last."""

    kind: Literal["group", "row", "pooled", "prediction", "small", "space"]
    height: float
    texts: tuple[str, ...] = ()
    cells: dict[int, tuple[str, ...]] = field(default_factory=dict)  # lines, by column
    numbers: tuple[str, str, str] = ("", "", "")
    weights: tuple[str, ...] = ()
    group: int = 0
    gid: str = ""
    row: Row | None = None
    result: Diamond | None = None
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
        self.weight_heads: list[tuple[str, ...]] = []
        self.meanings: dict[str, str] = {}  # what each light stands for
        self.groups, self.measure, self.smallest = groups, measure, smallest
        self.heads = tuple(head.replace(" / ", "\u00a0/\u00a0") for head in heads)
        self.diamonds = [diamonds(group) for group in groups]
        self.size = type_size(width_mm)
        self.small = small_size(self.size)
        self.width = width_mm * POINTS_PER_MM
        self.digits = digits(groups, measure)
        self.level = level(groups)
        count = sum(len(g.rows) for g in groups)
        self.pitch = self.size * (1.8 if count <= MANY else 1.55 if count <= 2 * MANY else 1.4)
        self.name_lines = 3 if count <= MANY else 1
        self.gap = self.size * (1.2 if width_mm >= 120 else 0.95)
        self.indent = 0.9 * self.size if any(g.title for g in groups) else 0.0
        self.limits = check_limits(limits) if limits else self._limits()
        self._place_columns()
        self.bands = list(self._bands())

    def _limits(self) -> tuple[float, float]:
        results = [found for group in self.diamonds for found in group]
        keep = [self.measure.null, *(self.zone() or ()), *(r.estimate for r in results)]
        pooled = [r.ci for r in results]
        wide = [r.prediction for r in results if r.prediction]
        rows = [row for g in self.groups for row in g.rows]
        intervals = [row.ci for row in rows]
        points = [y for y in (self.measure.null, *(row.yi for row in rows)) if math.isfinite(y)]
        return limits_for(intervals, keep, pooled=pooled, wide=wide, points=points)

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
        middle = "" if value is None else number(self.measure, value, self.digits)
        return middle, f"[{low},", f"{high}]"

    def _place_columns(self, *, weighed: bool = True) -> None:
        size, gap = self.size, self.gap
        self.light = min(1.35 * size, 0.8 * self.pitch)  # across a light
        heads = [text_width(head, self.small, "bold") for head in self.lights]
        self.light_step = max([self.light + 0.25 * size, *(w + 0.3 * size for w in heads)])
        block = len(self.lights) * self.light_step + gap if self.lights else 0.0
        rows = [row for g in self.groups for row in g.rows]
        self._weight_heads()
        if not weighed:
            self.weight_heads = []
        right = self._place_numbers() - block
        cells = [[row.columns[i] for row in rows] for i in range(len(self.heads))]
        numeric = [all(map(_is_number, column)) for column in cells]
        widths = [self._width(i, cells[i], numeric[i]) for i in range(len(self.heads))]
        names = self._name_width(rows, NAME_SHARE + (0.06 if self.name_lines == 1 else 0.0))

        def room(kept: list[int]) -> float:
            return right - gap - MARGIN - names - gap - sum(widths[i] + gap for i in kept)

        kept = list(range(len(self.heads)))
        self.folded: list[int] = []
        # Where lights would take the room of the plot they go under the names.
        numbers = [i for i in kept if numeric[i]]
        self.lights_under = bool(self.lights) and room(numbers) < LIGHTS_SHARE * self.width
        if self.lights_under:
            right += block
            self.light *= 0.9
            self.light_step = max([self.light + 0.2 * size, *(w + 0.3 * size for w in heads)])
            names = max(names, len(self.lights) * self.light_step)
        if room(kept) < PLOT_SHARE * self.width:
            self.folded = [i for i in kept if not numeric[i]]
            kept = [i for i in kept if numeric[i]]
        while kept and room(kept) < max(LEAST_PLOT * self.width, FOLD_BELOW):
            # From the right; counts of the arms, as 12/340, stay together.
            gone = kept.pop()
            if _counts(cells[gone]):
                kept = [i for i in kept if not _counts(cells[i])]
            self.folded = [i for i in range(len(self.heads)) if i not in kept]
        if room(kept) < LEAST_PLOT * self.width:
            if self.weight_heads:  # areas of squares show them still
                return self._place_columns(weighed=False)
            raise InputError(
                f"{self.width / POINTS_PER_MM:.0f} mm cannot hold the columns and a plot",
                [f"columns: {', '.join(self.heads)}"],
                remedy="leave a column out, shorten its cells, or make the plot wider",
            )
        # What the plot can spare saves names and heads from wrapping.
        spare = room(kept) - SPARE_SHARE * self.width
        for i in kept:
            more = self._unwrapped(i, cells[i], widths[i]) - widths[i]
            if more <= spare:
                widths[i], spare = widths[i] + more, spare - more
        names += max(0.0, min(spare, self._name_width(rows, 0.4) - names))
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
        for found in (found for group in self.diamonds for found in group):
            printed.append((self._numbers(found.estimate, found.ci), "bold"))
            if found.prediction:
                printed.append((self._numbers(None, found.prediction), "normal"))
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
        self.weights: list[Column] = []
        for lines in reversed(self.weight_heads):
            least = text_width("100.0%", size, "bold")
            left = right - max(least, *(text_width(line, size, "bold") for line in lines))
            self.weights.insert(0, Column(lines, left, right, "right"))
            right = left - self.gap
        self.numbers = Column(head, right - wide, right, "right")
        # Estimate, low and high end each flush right: decimal points stand under each other.
        self.anchors = (right - parts[2] - parts[1] - 2 * space, right - parts[2] - space, right)
        return right - wide

    def _weight_heads(self) -> None:
        """A column of weights for each model; those of the first alone where the page is narrow."""
        rows = [row for g in self.groups for row in g.rows]
        self.weight_heads = []
        self.unseen_models = False
        if all(row.weight is None for row in rows):
            return
        first = next((i for i, group in enumerate(self.groups) if group.further), None)
        if first is None or not any(w is not None for row in rows for w in row.further):
            self.weight_heads = [("Weight",)]
            return
        names = [found.label for found in self.diamonds[first]]
        if len(names) * 7.5 * self.size > MODELS_SHARE * self.width:
            self.unseen_models, self.weight_heads = True, [("Weight",)]
            return
        for name in names:
            words = fit(name, 6.5 * self.size, self.size, "bold", lines=3)
            self.weight_heads.append(("Weight,", *words))

    def _shift_numbers(self, by: float) -> None:
        def moved(column: Column) -> Column:
            return replace(column, low=column.low - by, high=column.high - by)

        self.numbers = moved(self.numbers)
        self.weights = [moved(column) for column in self.weights]
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

    def _label(self, found: Diamond, g: int) -> str:
        rows = len(self.groups[g].rows) if self.groups[g].further else None
        return pooled_label(found, self.level, rows)

    def _unwrapped(self, i: int, cells: list[str], width: float) -> float:
        """The width at which cells take one line and a head one or two, where that is near."""
        size = self.size
        longest = max((text_width(text, size) for text in cells), default=0.0)
        for lines, steps in ((1, 6), (2, 12)):
            for wider in (width + 0.5 * size * step for step in range(steps)):
                head = fit(self.heads[i], wider, size, "bold", lines=4)
                if len(head) <= lines and longest <= wider:
                    return wider
        return width

    def _name_width(self, rows: list[Row], share: float = NAME_SHARE) -> float:
        """As wide as the longest name, unless names would crowd out the picture and wrap."""
        size = self.size
        wanted = [self.indent + text_width(row.label, size) for row in rows]
        for g, group in enumerate(self.diamonds):
            for found in group:
                wanted.append(self.indent + text_width(self._label(found, g), size, "bold"))
                if found.prediction:
                    wanted.append(self.indent + text_width(prediction_label(found), size))
        return min(max(wanted, default=0.0), max(share * self.width, 8 * size)) + 0.01

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
            for i, found in enumerate(self.diamonds[g]):
                yield from self._pooled(found, g, i)
            if len(self.groups) > 1 and not self.foot_group(g):
                yield from self._small(g)

    def foot_group(self, g: int) -> bool:
        """Does the small print of this group stand below the axis, as it speaks of the whole?"""
        last = g == len(self.groups) - 1 and not self.groups[g].rows
        return len(self.groups) == 1 or (last and self.groups[g].result is not None)

    def _row(self, row: Row, g: int, gid: str) -> Band:
        room = self.name.width - self.indent
        lines = tuple(fit(row.label, room, self.size, lines=self.name_lines))
        cells = {
            i: tuple(fit(row.columns[i], c.width, self.size, lines=3))
            for i, c in self.columns.items()
        }
        under = self._under(row.columns, room)
        return Band(
            "row",
            max(
                *(self._height(t, under if t is lines else ()) for t in (lines, *cells.values())),
                self._height(lines, under) + (self.light_room if row.lights else 0.0),
            ),
            lines,
            cells,
            self._numbers(row.yi, row.ci),
            tuple(_percent(w) for w in (row.weight, *row.further)),
            g,
            gid,
            row,
            ci=row.ci,
            indent=self.indent,
            under=under,
        )

    def _under(self, cells: tuple[str, ...], room: float) -> tuple[str, ...]:
        """The cells of the columns that fold under the names, in small print."""
        kept = [cells[i] for i in self.folded] if cells else []
        if not any(kept):
            return ()
        return folded_lines([cell or DASH for cell in kept], room, self.small)

    def _pooled(self, found: Diamond, g: int, i: int) -> Iterator[Band]:
        room = self.name.width - self.indent
        totals = self.groups[g].totals if i == 0 else ()
        lines = tuple(fit(self._label(found, g), room, self.size, "bold", lines=3))
        which = f"{g}-{i}" if i else f"{g}"
        heads = zip(self.heads, totals, strict=False)
        told = [
            f"{head} {total}" for j, (head, total) in enumerate(heads) if j in self.folded and total
        ]
        under = folded_lines(told, room, self.small)
        yield Band(
            "pooled",
            self._height(lines, under) + 0.15 * self.pitch,
            lines,
            {i: (totals[i],) for i in self.columns} if totals else {},
            self._numbers(found.estimate, found.ci),
            self._weight_sums(g) if i == 0 else (),
            group=g,
            gid=f"pooled-{which}",
            result=found,
            ci=found.ci,
            indent=self.indent,
            under=under,
        )
        if found.prediction:
            lines = tuple(fit(prediction_label(found), room, self.size, lines=3))
            yield Band(
                "prediction",
                self._height(lines),
                lines,
                numbers=self._numbers(None, found.prediction),
                group=g,
                gid=f"prediction-{which}",
                result=found,
                ci=found.prediction,
                indent=self.indent,
            )

    def _weight_sums(self, g: int) -> tuple[str, ...]:
        """What the weights of a group add up to."""
        if not self.groups[g].rows:  # all studies, below their subgroups
            rows = [row.weight or 0.0 for group in self.groups for row in group.rows]
            return (_percent(1.0),) if abs(sum(rows) - 1) < 1e-6 else ()
        columns = itertools.zip_longest(*((r.weight, *r.further) for r in self.groups[g].rows))
        known = [[w for w in column if w is not None] for column in columns]
        return tuple(_percent(sum(column)) if column else "" for column in known)

    def _small(self, g: int) -> Iterator[Band]:
        """Small print beside the plot where two lines hold it, else across the page."""
        for text in small_print(self.groups[g]):
            beside = fit(text, self.x0 - self.gap - MARGIN - self.indent, self.small, lines=2)
            across = fit(text, self.width - 2 * MARGIN - self.indent, self.small, lines=6)
            lines = across if beside[-1].endswith("…") else beside
            height = len(lines) * LEADING * self.small + 0.25 * self.small
            yield Band("small", height, tuple(lines), group=g, indent=self.indent)

    @property
    def largest(self) -> dict[int, float]:
        """The largest weight that squares of each group are drawn in proportion to.

        Where the weights of several groups add up to one they are parts of one analysis, and a
        square is as large in one group as in another.
        """
        weights = {g: [r.weight or 0.0 for r in group.rows] for g, group in enumerate(self.groups)}
        whole = sum(map(sum, weights.values())) < 1.001
        most = max((w for group in weights.values() for w in group), default=0.0)
        return {g: most if whole else max(group, default=0.0) for g, group in weights.items()}

    @property
    def light_room(self) -> float:
        """Height of the line of lights under a name."""
        return 1.15 * self.light if self.lights_under else 0.0

    def _height(self, lines: tuple[str, ...], under: tuple[str, ...] = ()) -> float:
        return self.pitch + LEADING * ((len(lines) - 1) * self.size + len(under) * self.small)


def _percent(weight: float | None) -> str:
    return DASH if weight is None or math.isnan(weight) else f"{weight:.1%}"


def folded_lines(cells: Sequence[str], room: float, size: float) -> tuple[str, ...]:
    """Cells side by side, as many on a line as have room; none is broken unless it must be."""
    lines: list[str] = []
    for cell in cells:
        longer = f"{lines[-1]}{FOLD}{cell}" if lines else ""
        if lines and text_width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines += fit(cell, room, size, lines=3)
    return tuple(lines)


def _counts(cells: list[str]) -> bool:
    return any("/" in cell for cell in cells)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d\s.,/:%<>=~−–-]*", text) is not None
