"""A page with one plot on it: heading above, key and small print below, sizes in points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from meta.errors import InputError
from meta.plots.axis import Tick
from meta.plots.style import (
    INK,
    LEADING,
    OURS,
    POINTS_PER_MM,
    RULE,
    SOFT,
    Page,
    fit,
    font,
    page_for,
    room_of,
    small_size,
    text_width,
    type_size,
)

MARGIN = 1.5  # points left free at either side
LEAST_TALL = 6.0  # type sizes below which a plot shows nothing
# A study, where its weight is not shown by its area; at 6 points of type, see ``sized``.
POINT: dict[str, Any] = {"marker": "o", "ms": 4.2, "mfc": OURS, "mec": "white", "mew": 0.5}
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """One axis: its ends (left to right, bottom to top), its ticks and its name.

    ``ticks`` are given the length of the axis and the type size, both in points.
    """

    limits: tuple[float, float]
    ticks: Callable[[float, float], Sequence[Tick]]
    label: str
    sides: tuple[str, str] | None = None  # what its two ends mean, set beside or under the name


@dataclass(frozen=True)
class Entry:
    """An entry of a key: its words, after a specimen (properties of a line).

    A marker stands alone unless the line is given a style (``ls``).
    """

    text: str
    mark: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """The page, the plot, and where the plot stands on the page (points from the top left)."""

    page: Page
    plot: Axes
    size: float
    small: float
    x0: float
    x1: float
    top: float
    bottom: float

    def at(self, x: Any, y: Any) -> Array:
        """Places on the page of points of the plot, shape (n, 2); the axes must be linear."""
        (left, right), (low, high) = self.plot.get_xlim(), self.plot.get_ylim()
        across = (np.asarray(x, float) - left) / (right - left)
        up = (np.asarray(y, float) - low) / (high - low)
        return np.stack(
            (
                self.x0 + across * (self.x1 - self.x0),
                self.bottom - up * (self.bottom - self.top),
            ),
            axis=-1,
        )

    def beside(self, x0: float, x1: float, top: float, bottom: float) -> Axes:
        """Further axes between four places on the page, without ticks or spines."""
        width, height = self.page.size_points
        axes = self.page.add_axes(
            (x0 / width, 1 - bottom / height, (x1 - x0) / width, (bottom - top) / height)
        )
        axes.set_axis_off()
        return axes


def sheet(
    width_mm: float,
    x: Scale,
    y: Scale,
    *,
    heading: str,
    alt: str,
    title: str | None = None,
    ratio: float = 0.68,
    tall: float | None = None,
    key: Sequence[Entry] = (),
    notes: Sequence[str] = (),
    above: float = 0.0,
    left: float | None = None,
    right: float = 0.0,
    locked: bool = False,
    ax: Axes | None = None,
) -> Sheet:
    """Lay out a page for one plot and draw all but its data.

    Parameters
    ----------
    heading, alt : the picture's title and description in the files saved.
    title : printed above the plot.
    ratio, tall : height of the plot as a share of its width, or in points.
    key, notes : explanations of marks, and small print, below the plot.
    above, right : points left free over the plot and beside it.
    left : points left free on its other side, in place of what the numbers of the axis need.
    locked : the ratio of height to width is part of the picture.
    ax : axes whose place the page takes; a plot with neither ``tall`` nor ``locked`` fills it.
    """
    width_mm, room = room_of(ax, width_mm)
    if room is not None and tall is None:
        trial = sheet(
            width_mm,
            x,
            y,
            heading=heading,
            alt=alt,
            title=title,
            ratio=ratio,
            key=key,
            notes=notes,
            above=above,
            left=left,
            right=right,
        )
        wide, high = trial.x1 - trial.x0, trial.bottom - trial.top
        tall = high + room - trial.page.size_points[1]
        if locked:
            tall = min(tall, high)
            right += max(0.0, wide - tall / ratio)
        if tall < LEAST_TALL * trial.size:
            raise InputError(
                f"axes of {room / POINTS_PER_MM:.0f} mm are too low for this plot",
                remedy="make the figure higher, or leave ax out and save the plot by itself",
            )
    size = type_size(width_mm)
    small, large = small_size(size), size + 1.5
    width = width_mm * POINTS_PER_MM
    wide = width - 2 * MARGIN
    lines = fit(title, wide, large, "bold", lines=3) if title else []
    top = len(lines) * LEADING * large + 0.8 * size + above
    about = tall or ratio * (width - 5 * size - right)
    y_ticks = y.ticks(about, size)
    if left is None:
        left = 2.4 * size + max((text_width(text, size) for _, text in y_ticks), default=0.0) + 6
    x1 = width - MARGIN - right
    if x1 - left < 8 * size:
        raise InputError(
            f"{width_mm:.0f} mm is too narrow for this plot", remedy="give width_mm=89 or more"
        )
    tall = tall or ratio * (x1 - left)
    axis = top + tall
    x_ticks = []
    for tick in x.ticks(x1 - left, size):
        place = left + (tick[0] - x.limits[0]) / (x.limits[1] - x.limits[0]) * (x1 - left)
        if place + text_width(tick[1], size) / 2 <= width - 0.5:  # else it leaves the page
            x_ticks.append(tick)

    name = fit(x.label, x1 - left, size, lines=3)
    y_name = axis + 5 + LEADING * size + 0.7 * size
    sides = [fit(text, (x1 - left) / 2 - size, size, lines=1)[0] for text in x.sides or ()]
    reach = max((text_width(text, size) for text in sides), default=0.0) + size
    beside = 2 * reach + text_width(name[0], size) <= x1 - left
    y_sides = y_name + (0.0 if beside else len(name) * LEADING * size)
    y_key = y_name + len(name) * LEADING * size + 0.5 * size
    y_key += 0.0 if beside or not sides else LEADING * size
    step = 1.2 * LEADING * size
    rows = key_places(key, wide, size)
    fine = [line for text in notes for line in fit(unbroken(text), wide, small, lines=6)]
    y_note = y_key + (rows[-1][0] + 1) * step if key else y_key
    height = y_note + len(fine) * LEADING * small + 0.2 * size

    page = page_for(ax, width, height, heading=title or heading, alt=alt)
    for i, line in enumerate(lines):
        page.write(MARGIN, MARGIN + (i + 0.5) * LEADING * large, line, size=large, weight="bold")
    plot = page.add_axes((left / width, 1 - axis / height, (x1 - left) / width, tall / height))
    plot.set_xlim(*x.limits)
    plot.set_ylim(*y.limits)
    plot.set_facecolor("none")
    plot.spines[["right", "top"]].set_visible(False)
    plot.spines[["left", "bottom"]].set(linewidth=RULE, color=INK)
    set_ticks(plot, "x", x_ticks, size)
    set_ticks(plot, "y", y_ticks, size)
    page.text(
        (MARGIN + size / 2) / width,
        1 - (top + tall / 2) / height,
        fit(y.label, tall + 2 * size, size, lines=1)[0],
        fontproperties=font(size),
        color=INK,
        rotation=90,
        ha="center",
        va="center",
        parse_math=False,
    )
    for i, line in enumerate(name):
        page.write((left + x1) / 2, y_name + i * LEADING * size, line, size=size, align="center")
    for text, place, align in zip(sides, (left, x1), SIDES, strict=False):
        page.write(place, y_sides, text, size=size, align=align)
    for entry, (row, place, words) in zip(key, rows, strict=True):
        specimen(page, MARGIN + place, y_key + row * step, entry, size)
        page.write(MARGIN + place + _lead(entry, size), y_key + row * step, words, size=size)
    for i, line in enumerate(fine):
        page.write(MARGIN, y_note + i * LEADING * small, line, size=small, colour=SOFT)
    return Sheet(page, plot, size, small, left, x1, top, axis)


def sized(mark: Mapping[str, Any], size: float) -> dict[str, Any]:
    """A mark that grows with the type, whose size it is given for 6 points."""
    return {**mark, "ms": mark["ms"] * size / 6}


def unbroken(text: str) -> str:
    """Keep the two sides of a sign on one line."""
    for sign in "=<>≥≤±":
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text


def set_ticks(
    plot: Axes, which: Literal["x", "y"], ticks: Sequence[Tick], size: float, colour: str = INK
) -> None:
    axis = plot.xaxis if which == "x" else plot.yaxis
    axis.set_ticks(
        [place for place, _ in ticks],
        [text for _, text in ticks],
        fontproperties=font(size),
        color=colour,
        parse_math=False,
    )
    plot.tick_params(axis=which, length=3, width=RULE, pad=2, color=INK)


def _lead(entry: Entry, size: float) -> float:
    """From the start of a specimen to the start of its words."""
    if not entry.mark:
        return 0.0
    return 1.4 * size if _alone(entry) else 2.6 * size


def _alone(entry: Entry) -> bool:
    """Is the specimen a marker without a line?"""
    return "marker" in entry.mark and entry.mark.get("ls", "none") == "none"


def key_places(key: Sequence[Entry], width: float, size: float) -> list[tuple[int, float, str]]:
    """The row, the place and the words of each entry of a key, wrapped to the width."""
    places = []
    row, x = 0, 0.0
    for entry in key:
        lead = _lead(entry, size)
        words = fit(entry.text, width - lead, size, lines=1)[0]
        wide = lead + text_width(words, size)
        if x and x + wide > width:
            row, x = row + 1, 0.0
        places.append((row, x, words))
        x += wide + 1.4 * size
    return places


def specimen(page: Page, x: float, y: float, entry: Entry, size: float) -> None:
    """A sample of a mark; x at its left, y at its middle, in points from the top left."""
    if not entry.mark:
        return
    width, height = page.size_points
    alone, both = _alone(entry), "marker" in entry.mark
    places = [x + 0.55 * size] if alone else [x, x + 1.05 * size, x + 2.1 * size]
    look = {"ls": "none", **entry.mark} if alone else dict(entry.mark)
    look |= {"markevery": [1]} if both and not alone else {}
    page.add_artist(
        Line2D(
            [place / width for place in places],
            [1 - y / height] * len(places),
            transform=page.transSubfigure,
            **look,
        )
    )


def shade(colour: str, size: float) -> dict[str, Any]:
    """The specimen of an area."""
    return {"marker": "s", "ms": 0.8 * size, "mfc": colour, "mec": "#8C8C8C", "mew": 0.4}
