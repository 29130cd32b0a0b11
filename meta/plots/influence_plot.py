"""The influence panel: case diagnostics side by side, a line for each study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.stats import chi2

from meta.errors import InputError, UnknownName
from meta.influence import Influence
from meta.plots.axis import plain_ticks
from meta.plots.sheet import MARGIN, Entry, set_ticks, sized, specimen
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
    page_for,
    room_of,
    small_size,
    styled,
    text_width,
    type_size,
)
from meta.results import DASH, PooledEffect, show

Array = NDArray[np.float64]
STRONG = "#B03A00"  # darker than our blue's neighbours in grey, and a diamond besides
STRIPE = "#F3F3F3"
LEAST = 6.6  # type sizes that a panel needs across
_PLAIN: dict[str, Any] = {"marker": "o", "ms": 3.6, "mfc": OURS, "mec": "none", "mew": 0}
_MARKED: dict[str, Any] = {"marker": "D", "ms": 4.0, "mfc": STRONG, "mec": "none", "mew": 0}
_LINE: dict[str, Any] = {"color": SOFT, "lw": 0.7, "ls": (0, (3, 2))}


@dataclass(frozen=True)
class Panel:
    """One diagnostic: its values, where it starts from, and beyond what a study stands out."""

    head: str
    values: Array
    base: float
    bounds: tuple[float, ...] = ()
    unit: str = ""


PANELS = ("rstudent", "dffits", "cook", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "weight")


def influence_panel(
    diagnostics: Influence,
    *,
    result: PooledEffect | None = None,
    panels: Sequence[str] = PANELS,
    title: str | None = None,
    width_mm: float = 170,
    ax: Axes | None = None,
) -> Page:
    """Draw the case diagnostics of ``meta.influence.influence``.

    Parameters
    ----------
    diagnostics : one entry per study; those marked influential are diamonds with a bold name.
    result : the analysis of all studies, whose tau2 and Q the deleted ones are drawn from.
    panels : which diagnostics, in this order; columns that have no room go to a further bank.
    ax : axes whose place the plot takes, with their width; they must be high enough.

    Raises
    ------
    UnknownName
        If there is no such diagnostic.

    References
    ----------
    Viechtbauer, Cheung (2010), Res Synth Methods 1:112-125 (diagnostics and bounds).
    """
    if not isinstance(diagnostics, Influence):
        raise InputError(
            f"a {type(diagnostics).__name__} has no case diagnostics",
            remedy="give meta.influence(effects)",
        )
    if not diagnostics.study or not panels:
        raise InputError("there is nothing to draw", remedy="give studies and panels")
    for name in panels:
        if name not in PANELS:
            raise UnknownName("diagnostic", name, PANELS)
    width_mm, _ = room_of(ax, width_mm)
    chosen = [_panel(diagnostics, name, result) for name in panels]
    with styled():
        return _Drawing(diagnostics, chosen, width_mm, ax).draw(title)


def _panel(found: Influence, name: str, result: PooledEffect | None) -> Panel:
    k, p = len(found.study), found.dfbetas.shape[1]
    if name == "rstudent":
        return Panel("Deleted residual", found.rstudent, 0.0, (-1.96, 1.96))
    if name == "dffits":
        edge = 3 * math.sqrt(p / (k - p)) if k > p else math.nan
        return Panel("DFFITS", found.dffits, 0.0, (-edge, edge))
    if name == "cook":
        return Panel("Cook’s distance", found.cook, 0.0, (float(chi2.ppf(0.5, p)),))
    if name == "cov_ratio":
        return Panel("Covariance ratio", found.cov_ratio, 1.0)
    if name == "tau2_deleted":
        return Panel("τ² without", found.tau2_deleted, result.tau2 if result else math.nan)
    if name == "q_deleted":
        return Panel("Q without", found.q_deleted, result.q if result else math.nan)
    if name == "hat":
        return Panel("Leverage", 100 * found.hat, 0.0, (300 * p / k,), "%")
    return Panel("Weight", 100 * found.weight, 0.0, (), "%")


def _shown(panel: Panel) -> list[float]:
    known = panel.values[np.isfinite(panel.values)].tolist()
    return [v for v in (panel.base, *known) if math.isfinite(v)]


def _bounds(panel: Panel) -> list[float]:
    """Bounds near the values; one far from all of them would squeeze them and is left out."""
    shown = _shown(panel)
    if not shown:
        return []
    reach = 1.5 * (max(shown) - min(shown))
    return [b for b in panel.bounds if min(shown) - reach <= b <= max(shown) + reach]


class _Drawing:
    """Banks of panels one below the other, each with the names of the studies at its left."""

    def __init__(
        self, found: Influence, panels: list[Panel], width_mm: float, ax: Axes | None
    ) -> None:
        self.ax = ax
        self.found, self.size = found, type_size(width_mm)
        size = self.size
        self.small = small_size(size)
        self.width = width_mm * POINTS_PER_MM
        self.pitch = size * (1.35 if len(found.study) > 40 else 1.6)
        room = 0.3 * self.width if width_mm < 120 else 0.22 * self.width
        self.names = [fit(name, room, size, lines=1)[0] for name in found.study]
        self.x0 = MARGIN + 1.1 * size + max(text_width(n, size, "bold") for n in self.names)
        self.gap = 1.1 * size
        most = max(1, int((self.width - MARGIN - self.x0 + self.gap) / (LEAST * size + self.gap)))
        banks = math.ceil(len(panels) / most)
        each = math.ceil(len(panels) / banks)
        self.banks = [panels[i : i + each] for i in range(0, len(panels), each)]
        self.across = (
            self.width - MARGIN - 0.4 * self.gap - self.x0 - (each - 1) * self.gap
        ) / each

    def draw(self, title: str | None) -> Page:
        size, small = self.size, self.small
        large = size + 1.5
        lines = fit(title, self.width - 2 * MARGIN, large, "bold", lines=3) if title else []
        marked = bool(self.found.influential.any())
        bounded = any(_bounds(panel) for bank in self.banks for panel in bank)
        note = "Dashed: bounds beyond which a study stands out, where near enough to be shown."
        fine = fit(note, self.width - 2 * MARGIN, small, lines=3) if bounded else []
        head = max(len(self._head(p)) for bank in self.banks for p in bank) * LEADING * size
        tall = len(self.names) * self.pitch + 0.4 * size
        bank = head + 0.5 * size + tall + 5 + LEADING * size + 0.9 * size
        top = len(lines) * LEADING * large + 0.5 * size
        y_key = top + len(self.banks) * bank + 0.4 * size
        y_note = y_key + (1.3 * LEADING * size if marked else 0)
        height = y_note + (len(fine) - 0.4) * LEADING * small + 0.3 * size
        page = page_for(
            self.ax,
            self.width,
            height,
            heading=title or "Influence of single studies",
            alt=self._alt(),
        )
        for i, line in enumerate(lines):
            y = MARGIN + (i + 0.5) * LEADING * large
            page.write(MARGIN, y, line, size=large, weight="bold")
        for i, panels in enumerate(self.banks):
            self._bank(page, panels, top + i * bank, head, tall)
        if marked:
            entry = Entry("influential by at least one rule", sized(_MARKED, size))
            specimen(page, MARGIN, y_key, entry, size)
            page.write(MARGIN + 1.4 * size, y_key, entry.text, size=size)
        for i, line in enumerate(fine):
            page.write(MARGIN, y_note + i * LEADING * small, line, size=small, colour=SOFT)
        return page

    def _head(self, panel: Panel) -> list[str]:
        return fit(panel.head, self.across, self.size, "bold", lines=2)

    def _bank(self, page: Page, panels: list[Panel], top: float, head: float, tall: float) -> None:
        size = self.size
        start = top + head + 0.5 * size
        for i, name in enumerate(self.names):
            y = start + 0.2 * size + (i + 0.5) * self.pitch
            if i % 2:
                self._stripe(page, y)
            full = self.found.study[i]
            page.write(
                MARGIN,
                y,
                name,
                size=size,
                weight="bold" if self.found.influential[i] else "normal",
                name=(f"name-{i}-{top:.0f}", full) if name != full else None,
            )
        for j, panel in enumerate(panels):
            x = self.x0 + j * (self.across + self.gap)
            lines = self._head(panel)
            for i, line in enumerate(reversed(lines)):
                y = top + head - (i + 0.5) * LEADING * size
                page.write(x + self.across / 2, y, line, size=size, weight="bold", align="center")
            self._panel(page, panel, x, start, tall)

    def _stripe(self, page: Page, y: float) -> None:
        height = page.size_points[1]
        page.add_artist(
            Line2D(
                [0, 1],
                [1 - y / height] * 2,
                transform=page.transSubfigure,
                color=STRIPE,
                lw=self.pitch,
                solid_capstyle="butt",
                zorder=0,
            )
        )

    def _panel(self, page: Page, panel: Panel, x: float, start: float, tall: float) -> None:
        width, height = page.size_points
        plot = page.add_axes(
            (x / width, 1 - (start + tall) / height, self.across / width, tall / height)
        )
        plot.set_facecolor("none")
        plot.set_ylim(start + tall, start)
        shown, bounds = _shown(panel), _bounds(panel)
        low, high = min([*shown, *bounds], default=0.0), max([*shown, *bounds], default=1.0)
        pad = 0.08 * (high - low) or 0.5
        limits = (low - pad, high + pad)
        plot.set_xlim(*limits)
        plot.spines[["left", "right", "top"]].set_visible(False)
        plot.spines["bottom"].set(linewidth=RULE, color=INK)
        plot.set_yticks([])
        ticks = plain_ticks(
            limits, self.across, self.size, most=4, unit=panel.unit, beyond=0.4 * self.gap
        )
        set_ticks(plot, "x", ticks, self.size)
        if math.isfinite(panel.base):
            plot.axvline(panel.base, color=REFERENCE, lw=RULE, zorder=1)
        for bound in bounds:
            plot.axvline(bound, zorder=1, **_LINE)
        for i, value in enumerate(panel.values):
            y = start + 0.2 * self.size + (i + 0.5) * self.pitch
            if not math.isfinite(value):
                middle = x + self.across / 2
                page.write(middle, y, DASH, size=self.size, colour=SOFT, align="center")
                continue
            marked = bool(self.found.influential[i])
            colour = STRONG if marked else OURS
            if math.isfinite(panel.base):
                plot.plot([panel.base, value], [y, y], color=colour, lw=0.9, zorder=2)
            style = sized(_MARKED if marked else _PLAIN, self.size)
            plot.plot([value], [y], zorder=3, clip_on=False, **style)

    def _alt(self) -> str:
        panels = [panel for bank in self.banks for panel in bank]
        rows = []
        for i, study in enumerate(self.found.study):
            values = ", ".join(
                f"{p.head} {show(float(p.values[i]))}{p.unit if math.isfinite(p.values[i]) else ''}"
                for p in panels
            )
            rows.append(f"{study}{' (influential)' if self.found.influential[i] else ''}: {values}")
        return f"Case diagnostics of {len(rows)} studies: {'; '.join(rows)}."
