"""The bubble plot of a meta-regression: effects against a moderator, and the line fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName
from meta.plots.axis import limits_for, plain_ticks, ticks_for
from meta.plots.groups import SCALES, axis_name
from meta.plots.labels import label_points
from meta.plots.sheet import Entry, Scale, Sheet, sheet
from meta.plots.style import INK, OURS, REFERENCE, RULE, Page, room_of, styled, type_size
from meta.regression import RegressionResult, predict
from meta.results import show, show_p

Array = NDArray[np.float64]
LARGEST, SMALLEST = 12.0, 2.4  # points across the study with most weight, at 89 mm; the least
# Levels differ in shape, shade and line, so that they are told apart in grey.
LEVELS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "colour": OURS, "alpha": 0.6, "ls": "-"},
    {"marker": "D", "colour": "#D55E00", "alpha": 0.0, "ls": (0, (5, 2))},
    {"marker": "^", "colour": INK, "alpha": 0.75, "ls": (0, (1, 1.5))},
    {"marker": "s", "colour": "#8A6FB0", "alpha": 0.25, "ls": (0, (6, 2, 1, 2))},
)


@dataclass(frozen=True)
class _Line:
    """One fitted line: the level it is of, and its prediction along the grid."""

    name: str
    members: NDArray[np.bool_]
    style: Mapping[str, Any]
    grid: Array
    estimate: Array
    ci: Array
    prediction: Array

    @property
    def gid(self) -> str:
        return f"line-{self.name}" if self.name else "line"


def bubble(
    result: RegressionResult,
    moderator: str,
    *,
    by: str | None = None,
    at: Mapping[str, float] | None = None,
    interval: bool = True,
    prediction: bool = True,
    names: int = 0,
    limits: tuple[float, float] | None = None,
    x_label: str | None = None,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw effects against a numeric moderator, circles with areas as weights.

    Parameters
    ----------
    result : the regression; the line is what it predicts, with the confidence interval of the mean
        (shaded) and the prediction interval of a new study (dotted).
    moderator : a numeric term of the regression.
    by : a factor of the regression, for a line for each of its levels (up to four).
    at : values (analysis scale of the design) of other coefficients; by default they are held at
        their means over the studies.
    interval, prediction : what goes with the line; with ``by`` no prediction interval is drawn.
    names : how many studies to name, from the farthest off the line.
    limits : ends of the axis of effects on the analysis scale.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    UnknownName
        If a term or factor is not in the regression.
    InputError
        If the moderator is a factor, or has the same value in all studies.

    References
    ----------
    Thompson, Higgins (2002), Stat Med 21:1559-1573.
    """
    if not isinstance(result, RegressionResult):
        raise InputError(
            f"a {type(result).__name__} has no line to draw", remedy="give regress(effects, ...)"
        )
    design, effects = result.design, result.effects
    if moderator not in design.terms or moderator == "intercept":
        raise UnknownName("moderator", moderator, [t for t in design.terms if t != "intercept"])
    if moderator in design.levels:
        raise InputError(
            f"{moderator} is a factor, a bubble plot needs a number on its axis",
            remedy="draw an orchard plot of its levels",
        )
    x = design.x[:, design.terms[moderator][0]]
    if not np.ptp(x) > 0:
        raise InputError(f"{moderator} has the same value in all studies")
    grid = np.linspace(float(x.min()), float(x.max()), 121)
    lines = _lines(result, moderator, grid, by, dict(at or {}))
    measure = effects.measure
    keep = [e for line in lines for e in line.ci.ravel()] if interval else []
    keep += [e for line in lines for e in line.estimate]
    wide = [(float(p[0]), float(p[1])) for line in lines for p in line.prediction] if not by else []
    ends = limits or limits_for(
        [(float(y), float(y)) for y in effects.yi],
        [*keep, *effects.yi],
        wide=wide,
    )
    span = 0.05 * (float(grid[-1]) - float(grid[0]))
    across = (float(grid[0]) - span, float(grid[-1]) + span)
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        page = sheet(
            width_mm,
            Scale(across, partial(plain_ticks, across), x_label or moderator),
            Scale(
                ends,
                lambda room, size: ticks_for(ends, measure, width=room * 2.2, size=size),
                axis_name(measure),
            ),
            heading=f"Bubble plot: {measure.label} by {x_label or moderator}",
            alt=_alt(result, moderator, x, lines),
            title=title,
            key=_key(lines, interval, prediction and not by, result.level, type_size(width_mm)),
            notes=_notes(result, moderator, by),
            ax=ax,
        )
        if ends[0] < measure.null < ends[1]:
            page.plot.axhline(measure.null, color=REFERENCE, lw=RULE, zorder=1)
        for line in lines:
            _draw(page, line, interval, prediction and not by)
        radius = _circles(page, result, x, lines)
        page.plot.set_ylim(*ends)
        off = np.abs(result.residuals) / np.sqrt(effects.vi + result.tau2)
        order = [int(i) for i in np.argsort(-off, kind="stable")[:names]]
        drawn = [(line.grid, line.estimate) for line in lines]
        if ends[0] < measure.null < ends[1]:
            drawn.append((grid, np.full(len(grid), measure.null)))
        if prediction and not by:
            drawn += [(grid, end) for end in lines[0].prediction.T]
        label_points(page, x, effects.yi, effects.study, order, radius=radius, lines=drawn)
        return page.page


def _lines(
    result: RegressionResult,
    moderator: str,
    grid: Array,
    by: str | None,
    at: dict[str, float],
) -> list[_Line]:
    design = result.design
    unknown = [name for name in at if name not in result.names]
    if unknown:
        raise UnknownName("coefficient", unknown[0], result.names)
    everyone = np.ones(len(design.x), dtype=bool)
    groups: list[tuple[str, NDArray[np.bool_], Array | None]] = [("", everyone, None)]
    if by is not None:
        if by not in design.levels:
            raise UnknownName("factor", by, design.levels)
        levels = design.levels[by]
        if len(levels) > len(LEVELS):
            raise InputError(f"{by} has {len(levels)} levels", remedy="draw up to four lines")
        block = design.x[:, list(design.terms[by])]
        codes = np.eye(len(levels))[:, len(levels) - block.shape[1] :]
        groups = [
            (level, (block == code).all(axis=1), code)
            for level, code in zip(levels, codes, strict=True)
        ]
    lines = []
    for (name, members, code), style in zip(groups, LEVELS, strict=False):
        reached = grid
        if by is not None:  # no further than the studies of the level
            own = design.x[members, design.terms[moderator][0]]
            reached = np.linspace(float(own.min()), float(own.max()), len(grid))
        rows = _rows(result, moderator, reached, by, code, at)
        found = predict(result, rows)
        lines.append(
            _Line(name, members, style, reached, found.estimate, found.ci, found.prediction)
        )
    return lines


def _rows(
    result: RegressionResult,
    moderator: str,
    grid: Array,
    by: str | None,
    code: Array | None,
    at: Mapping[str, float],
) -> Array:
    """Rows of the design along the moderator; products follow from what they are products of."""
    design = result.design
    means = design.x.mean(axis=0)
    blocks: dict[str, Array] = {}
    for term, columns in design.terms.items():
        index = list(columns)
        if term == moderator:
            blocks[term] = grid[:, None]
        elif term == by and code is not None:
            blocks[term] = np.tile(code, (len(grid), 1))
        else:
            held = [at.get(result.names[i], float(means[i])) for i in index]
            blocks[term] = np.tile(held, (len(grid), 1))
    for term in design.terms:
        if term in design.levels or ":" not in term:
            continue
        for first in design.terms:
            second = term.removeprefix(f"{first}:")
            if second != term and second in blocks:
                product = blocks[first][:, :, None] * blocks[second][:, None, :]
                blocks[term] = product.reshape(len(grid), -1)
    rows = np.empty((len(grid), design.x.shape[1]))
    for term, columns in design.terms.items():
        rows[:, list(columns)] = blocks[term]
    return rows


def _draw(page: Sheet, line: _Line, interval: bool, prediction: bool) -> None:
    colour = line.style["colour"]
    if interval:
        page.plot.fill_between(
            line.grid, *line.ci.T, color=to_rgba(colour, 0.16), lw=0, zorder=0.5, gid="interval"
        )
    if prediction and np.all(np.isfinite(line.prediction)):
        for end in line.prediction.T:
            page.plot.plot(line.grid, end, color=colour, lw=0.9, ls=(0, (1, 2)), zorder=1)
    page.plot.plot(
        line.grid, line.estimate, color=colour, lw=1.3, ls=line.style["ls"], zorder=2, gid=line.gid
    )


def _circles(page: Sheet, result: RegressionResult, x: Array, lines: list[_Line]) -> Array:
    """Marks with areas as weights, the largest below; gives their radii on the page."""
    largest = LARGEST * page.size / 6
    across = np.maximum(SMALLEST, largest * np.sqrt(result.weights / result.weights.max()))
    for i in np.argsort(-across, kind="stable"):
        style = next(line.style for line in lines if line.members[i])
        page.plot.plot(
            x[i],
            result.effects.yi[i],
            ms=across[i] * (0.85 if style["marker"] in "Ds" else 1.0),
            clip_on=False,
            zorder=3,
            gid=f"study-{i}",
            **_mark(style),
        )
    return np.asarray(across / 2)


def _mark(style: Mapping[str, Any]) -> dict[str, Any]:
    hollow = style["alpha"] < 0.3
    return {
        "marker": style["marker"],
        "mfc": to_rgba(style["colour"], style["alpha"]),
        "mec": style["colour"] if hollow else "white",
        "mew": 0.9 if hollow else 0.5,
    }


def _key(
    lines: list[_Line], interval: bool, prediction: bool, level: float, size: float
) -> list[Entry]:
    key = []
    if len(lines) > 1:
        return [
            Entry(
                line.name,
                {
                    "ms": 0.8 * size,
                    "color": line.style["colour"],
                    "lw": 1.3,
                    "ls": line.style["ls"],
                    **_mark(line.style),
                },
            )
            for line in lines
        ]
    if interval:
        shaded = to_rgba(OURS, 0.16)
        key.append(Entry(f"{level:.0%} CI", {"marker": "s", "ms": size, "mfc": shaded, "mew": 0}))
    if prediction and np.all(np.isfinite(lines[0].prediction)):
        key.append(Entry("prediction interval", {"color": OURS, "lw": 0.9, "ls": (0, (1, 2))}))
    return key


def _notes(result: RegressionResult, moderator: str, by: str | None) -> list[str]:
    i = result.design.terms[moderator][0]
    notes = ["Area: weight in the analysis."]
    if by is None:
        slope, low, high = (float(v) for v in (result.beta[i], *result.ci[i]))
        scale, words = result.effects.measure.scale, "Slope"
        if scale == "log":
            slope, low, high = math.exp(slope), math.exp(low), math.exp(high)
            words = "Ratio per unit"
        elif scale != "identity":
            words = f"Slope ({SCALES.get(scale, scale)})"
        digits = 3 if scale == "log" else _decimals(high - low)
        ends = f"{show(low, digits)}\u00a0to\u00a0{show(high, digits)}"
        notes[0] = (
            f"{words} {show(slope, digits)} ({result.level:.0%} CI {ends}), "
            f"{show_p(float(result.p[i]))}. {notes[0]}"
        )
    others = [t for t in result.design.terms if t not in ("intercept", moderator, by)]
    held = [t for t in others if ":" not in t]
    if held:
        notes.append(f"Held at their means: {', '.join(held)}.")
    return notes


def _decimals(width: float) -> int:
    """So many that an interval of this width has two figures or more."""
    if not (math.isfinite(width) and width > 0):
        return 3
    return min(8, max(2, 1 - math.floor(math.log10(width))))


def _alt(result: RegressionResult, moderator: str, x: Array, lines: list[_Line]) -> str:
    natural = result.effects.measure.natural
    listed = "; ".join(
        f"{study}: {moderator} {a:g}, effect {show(natural(float(y)))}"
        for study, a, y in zip(result.effects.study, x, result.effects.yi, strict=True)
    )
    fits = " ".join(
        f"Line{f' of {line.name}' if line.name else ''} from "
        f"{show(natural(float(line.estimate[0])))} to {show(natural(float(line.estimate[-1])))}."
        for line in lines
    )
    return f"Bubble plot of {result.effects.k} effects: {listed}. {fits} {result.summary()}"
