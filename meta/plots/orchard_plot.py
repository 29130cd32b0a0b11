"""The orchard plot: for each analysis its studies, its mean, and two intervals around it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from meta.errors import InputError
from meta.plots.analyses import analysed
from meta.plots.axis import check_limits, limits_for, ticks_for
from meta.plots.groups import axis_name, prediction_label
from meta.plots.sheet import Entry, Scale, Sheet, sheet
from meta.plots.style import (
    INK,
    LEADING,
    OURS,
    POINTS_PER_MM,
    REFERENCE,
    RULE,
    SOFT,
    Page,
    fit,
    room_of,
    small_size,
    styled,
    text_width,
    type_size,
)
from meta.results import PooledEffect, show
from meta.subgroups import SubgroupResult

Array = NDArray[np.float64]
LARGEST, SMALLEST = 7.5, 2.4  # points across the most and the least precise study, at 89 mm
FRUIT = to_rgba(OURS, 0.7)
BELOW = 1.3  # of the type size: room for the intervals under the studies
NAMES_SHARE = 0.28  # of the width that names of analyses may take


def orchard(
    pooled: PooledEffect | SubgroupResult | Mapping[str, PooledEffect],
    *,
    limits: tuple[float, float] | None = None,
    x_label: str | None = None,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw analyses one below the other: every study, the mean, its interval, the prediction's.

    Parameters
    ----------
    pooled : an analysis; ``meta.subgroups``, above the analysis of all studies; or analyses by
        name, from top to bottom, all of one measure. Areas of circles are in proportion to
        precision (1/standard error).
    limits : ends of the axis on the analysis scale; studies beyond it are counted at its edge.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If there is no analysis, or they differ in measure.

    References
    ----------
    Nakagawa et al. (2021), Res Synth Methods 12:4-12.
    """
    if isinstance(pooled, SubgroupResult):
        parts = dict(zip(pooled.names, pooled.pooled, strict=True))
        pooled = {**parts, "All studies": pooled.overall}
    elif not isinstance(pooled, Mapping):
        pooled = {"All studies": pooled}
    results = [analysed(result, "an orchard plot") for result in pooled.values()]
    if not results:
        raise InputError("there is no analysis to draw")
    measure = results[0].effects.measure
    if any(r.effects.measure.key != measure.key for r in results):
        raise InputError("the analyses differ in measure", remedy="draw one plot for each measure")
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        size = type_size(width_mm)
        ends = check_limits(limits) if limits else _limits(results)
        room = NAMES_SHARE * width_mm * POINTS_PER_MM
        lines = [fit(name, room, size, "bold", lines=3) for name in pooled]
        under = [
            f"k = {r.effects.k}" + (f", I² = {r.i2:.0%}" if r.effects.k > 1 else "")
            for r in results
        ]
        left = max(text_width(t, size, "bold") for ls in lines for t in ls)
        left = max(left, *(text_width(t, small_size(size)) for t in under)) + 0.4 * size
        heights = _heights(results, ends, width_mm * POINTS_PER_MM - left, size)
        tall = sum(heights)
        edges = np.concatenate(([0.0], np.cumsum(heights)))
        page = sheet(
            width_mm,
            Scale(
                ends,
                lambda length, size: ticks_for(ends, measure, width=length, size=size),
                x_label or axis_name(measure),
            ),
            Scale((tall, 0.0), lambda *_: [], ""),
            heading=f"Orchard plot: {measure.label}",
            alt=_alt(pooled),
            title=title,
            tall=tall,
            left=left,
            key=_key(results, size),
            notes=["Area of circles: precision (1 / standard error)."],
            ax=ax,
        )
        page.plot.spines["left"].set_visible(False)
        if ends[0] < measure.null < ends[1]:
            page.plot.axvline(measure.null, color=REFERENCE, lw=RULE, zorder=0)
        most = max(float((1 / np.sqrt(r.effects.vi)).max()) for r in results)
        for i, result in enumerate(results):
            middle = float(edges[i] + edges[i + 1]) / 2
            _tree(page, result, float(edges[i + 1]) - 1.1 * size, most, f"analysis-{i}")
            _words(page, lines[i], under[i], page.top + middle)
        return page.page


def _limits(results: list[PooledEffect]) -> tuple[float, float]:
    points = [float(y) for r in results for y in r.effects.yi]
    every = [(y, y) for y in points]
    keep = [results[0].effects.measure.null, *(r.estimate for r in results)]
    pooled = [r.ci for r in results]
    wide = [r.prediction for r in results if r.prediction]
    return limits_for(every, keep, pooled=pooled, wide=wide, points=points, reach=3.5)


def _across(result: PooledEffect, most: float, size: float) -> Array:
    precision = 1 / np.sqrt(result.effects.vi)
    return np.asarray(np.maximum(SMALLEST, LARGEST * size / 6 * np.sqrt(precision / most)))


def _swarm(x: Array, radius: Array) -> Array:
    """How far each circle stands above the line, so that none lies on another; in points.

    The largest come first and stay nearest to the line.
    """
    up = np.zeros(len(x))
    placed: list[int] = []
    for i in np.argsort(-radius, kind="stable"):
        near = [j for j in placed if abs(x[i] - x[j]) < radius[i] + radius[j]]
        choices = [0.0]
        for j in near:
            rise = math.sqrt((radius[i] + radius[j]) ** 2 - (x[i] - x[j]) ** 2) + 0.05
            choices += [float(up[j]) + rise, float(up[j]) - rise]
        for offset in sorted(c for c in choices if c >= 0):
            if all(
                (x[i] - x[j]) ** 2 + (offset - up[j]) ** 2 >= (radius[i] + radius[j]) ** 2 - 1e-9
                for j in near
            ):
                up[i] = offset
                break
        placed.append(int(i))
    return up


def _heights(
    results: list[PooledEffect], ends: tuple[float, float], width: float, size: float
) -> list[float]:
    """Points that each analysis needs: its swarm, at least two lines of words, and air."""
    most = max(float((1 / np.sqrt(r.effects.vi)).max()) for r in results)
    heights = []
    for result in results:
        radius = _across(result, most, size) / 2
        x = (result.effects.yi - ends[0]) / (ends[1] - ends[0]) * width
        reach = float((_swarm(x, radius) + radius).max() + radius.max())
        heights.append(max(reach + BELOW * size, 2.2 * LEADING * size) + 0.9 * size)
    return heights


def _tree(page: Sheet, result: PooledEffect, line: float, most: float, gid: str) -> None:
    """Studies as circles, the prediction interval thin, the mean's thick, the mean on top."""
    effects, plot = result.effects, page.plot
    low, high = plot.get_xlim()
    radius = _across(result, most, page.size) / 2
    inside = (effects.yi >= low) & (effects.yi <= high)
    x = (effects.yi - low) / (high - low) * (page.x1 - page.x0)
    up = _swarm(x[inside], radius[inside])
    plot.scatter(
        effects.yi[inside],
        line - 0.75 * page.size - float(radius.max()) - up,
        s=(2 * radius[inside]) ** 2,
        facecolor=FRUIT,
        edgecolor="white",
        linewidth=0.3,
        zorder=2,
        clip_on=False,
        gid=f"{gid}-studies",
    )
    for side, mark, count in (
        (low, "<", int((effects.yi < low).sum())),
        (high, ">", int((effects.yi > high).sum())),
    ):
        if count:
            plot.plot([side], [line], marker=mark, ms=0.6 * page.size, mfc=INK, mew=0)
            across, down = page.at(side, line)
            align: Literal["left", "right"] = "left" if mark == "<" else "right"
            page.page.write(
                across, down - 0.9 * page.size, str(count), size=page.small, align=align
            )
    for pair in (result.ci, result.prediction):
        for beyond, side, mark in zip(_beyond(pair, low, high), (low, high), "<>", strict=True):
            if beyond:  # the interval goes on
                plot.plot([side], [line], marker=mark, ms=0.5 * page.size, mfc=INK, mew=0)
    if result.prediction:
        ends = np.clip(result.prediction, low, high)
        plot.plot(ends, [line] * 2, color=INK, lw=0.8, zorder=3, gid=f"{gid}-prediction")
    ends = np.clip(result.ci, low, high)
    plot.plot(
        ends,
        [line] * 2,
        color=INK,
        lw=2.6,
        solid_capstyle="butt",
        zorder=4,
        gid=f"{gid}-interval",
    )
    if low <= result.estimate <= high:
        plot.plot(
            [result.estimate],
            [line],
            marker="o",
            ms=0.8 * page.size,
            mfc="white",
            mec=INK,
            mew=1.3,
            zorder=5,
            gid=f"{gid}-mean",
        )


def _beyond(pair: tuple[float, float] | None, low: float, high: float) -> tuple[bool, bool]:
    return (pair[0] < low, pair[1] > high) if pair else (False, False)


def _words(page: Sheet, lines: list[str], under: str, middle: float) -> None:
    size, small = page.size, page.small
    y = middle - (len(lines) * size + small) * LEADING / 2
    for line in lines:
        page.page.write(1.5, y + LEADING * size / 2, line, size=size, weight="bold")
        y += LEADING * size
    page.page.write(1.5, y + LEADING * small / 2, under, size=small, colour=SOFT)


def _key(results: list[PooledEffect], size: float) -> list[Entry]:
    level = f"{results[0].level:.0%}"
    mean = {"marker": "o", "ms": 0.8 * size, "mfc": "white", "mec": INK, "mew": 1.3}
    key = [
        Entry("mean", mean),
        Entry(f"{level} CI", {"color": INK, "lw": 2.6, "solid_capstyle": "butt"}),
    ]
    named = dict.fromkeys(prediction_label(r).lower() for r in results if r.prediction)
    if named:
        text = next(iter(named)) if len(named) == 1 else "prediction interval"
        key.append(Entry(text.replace("prediction interval", f"{level} prediction interval"), LINE))
    return key


LINE: dict[str, Any] = {"color": INK, "lw": 0.8}


def _alt(pooled: Mapping[str, PooledEffect]) -> str:
    parts = []
    for name, result in pooled.items():
        natural = result.effects.measure.natural
        text = f"{name}: {result.summary()}"
        if result.prediction:
            low, high = (show(natural(end)) for end in result.prediction)
            text += f"; {prediction_label(result).lower()} {low} to {high}"
        each = ", ".join(
            f"{study} {show(natural(float(y)))}"
            for study, y in zip(result.effects.study, result.effects.yi, strict=True)
        )
        parts.append(f"{text}; studies: {each}.")
    return f"Orchard plot of {len(pooled)} analyses. {' '.join(parts)}".replace("\u00a0", " ")
