"""The GOSH plot: estimates and heterogeneity over all (or many) subsets of the studies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.axis import limits_for, plain_ticks, ticks_for
from meta.plots.groups import axis_name
from meta.plots.sheet import Entry, Scale, Sheet, sheet
from meta.plots.style import INK, OURS, REFERENCE, RULE, Picture, styled, type_size
from meta.results import PooledEffect, show

Array = NDArray[np.float64]
CELLS = (56, 22)  # hexagons across and (pairs) up; few enough to stay vectors
BINS = (60, 40)  # of the distributions beside
_SHADES = LinearSegmentedColormap.from_list("shades", ["#DCE9F3", "#7FB2D6", OURS, "#00304D"])
_SIDE = "#9DBFD9"
_DOT: dict[str, Any] = {"marker": "o", "ms": 1.3, "mfc": "#E69F00", "mec": "none"}
_OUTLINE: dict[str, Any] = {"color": INK, "lw": 0.8}
_WHOLE: dict[str, Any] = {"marker": "P", "ms": 6.0, "mfc": "white", "mec": INK, "mew": 0.9}


def gosh(
    estimate: Any,
    i2: Any,
    *,
    measure: Measure,
    result: PooledEffect | None = None,
    member: Any = None,
    member_name: str = "",
    y_label: str = "I²",
    title: str | None = None,
    width_mm: float = 89,
) -> Picture:
    """Draw where the subsets of the studies lie, as shaded cells with their distributions beside.

    Cells are vectors, darker where more subsets lie, so that the file stays small for any number.

    Parameters
    ----------
    estimate, i2 : array, shape (n,)
        Of each subset: the pooled effect on the analysis scale; the heterogeneity, 0 to 1. Subsets
        where either is undefined (NaN) are left out and counted below the plot.
    result : the analysis of all studies, marked with a cross.
    member : array of bool, shape (n,), optional
        Which subsets hold a certain study: cells where most do are dotted, and their distribution
        is drawn as a line.
    member_name : what is said of these subsets in the key, such as "with Alder 2004".

    Raises
    ------
    InputError
        If the arrays differ in length or fewer than two subsets can be drawn.

    References
    ----------
    Olkin, Dahabreh, Trikalinos (2012), Res Synth Methods 3:214-223.
    """
    x, y = np.asarray(estimate, dtype=float), 100 * np.asarray(i2, dtype=float)
    inside = np.zeros(x.shape, bool) if member is None else np.asarray(member, dtype=bool)
    if x.ndim != 1 or x.shape != y.shape or x.shape != inside.shape:
        raise InputError(
            f"{x.size} estimates, {y.size} values of I², {inside.size} memberships do not match",
            remedy="give one of each for every subset",
        )
    drawn = np.isfinite(x) & np.isfinite(y)
    x, y, inside, lost = x[drawn], y[drawn], inside[drawn], int((~drawn).sum())
    if len(x) < 2:
        raise InputError("fewer than two subsets can be drawn", remedy="give more subsets")
    ends = limits_for([], [float(x.min()), float(x.max())])
    if ends[1] - ends[0] < 1e-12:
        ends = (ends[0] - 0.5, ends[1] + 0.5)
    top = min(102.0, max(10.0, float(y.max()) * 1.04))
    foot = -0.025 * top  # cells at zero are seen whole
    with styled():
        size = type_size(width_mm)
        side = 4.5 * size
        notes = [f"{len(x):,} subsets; darker cells hold more (logarithmic shades)."]
        if lost:
            notes.append(f"{lost:,} subsets without an estimate or I² are not drawn.")
        page = sheet(
            width_mm,
            Scale(
                ends,
                lambda room, size: ticks_for(ends, measure, width=room, size=size),
                axis_name(measure),
            ),
            Scale((foot, top), partial(plain_ticks, (foot, top), upright=True, unit="%"), y_label),
            heading=f"GOSH plot: {measure.label}",
            alt=_alt(x, y, inside, measure, result, member_name),
            title=title,
            key=_key(result, member is not None, member_name, size),
            notes=notes,
            above=side,
            right=side,
        )
        _cells(page.plot, x, y, inside, ends, top)
        _sides(page, x, y, inside, ends, top, side)
        if ends[0] < measure.null < ends[1]:
            page.plot.axvline(measure.null, color=REFERENCE, lw=RULE, zorder=0.5)
        if result:
            whole = [result.estimate], [100 * result.i2]
            page.plot.plot(*whole, ls="none", zorder=4, clip_on=False, gid="whole", **_WHOLE)
        page.plot.set_xlim(*ends)
        page.plot.set_ylim(foot, top)
        return page.page


def _cells(
    plot: Axes, x: Array, y: Array, inside: NDArray[np.bool_], ends: tuple[float, float], top: float
) -> None:
    """Shaded cells; dots on those where most subsets hold the member."""
    where: dict[str, Any] = {"gridsize": CELLS, "extent": (*ends, 0.0, top), "mincnt": 1}
    cells = plot.hexbin(
        x, y, cmap=_SHADES, bins="log", linewidths=0.2, edgecolors="face", zorder=1, **where
    )
    cells.set_gid("cells")
    if inside.any():
        held = plot.hexbin(
            x, y, C=inside.astype(float), reduce_C_function=np.mean, visible=False, **where
        )
        most = np.asarray(held.get_offsets())[np.asarray(held.get_array()) > 0.5]
        held.remove()
        plot.plot(*most.T, ls="none", zorder=2, gid="member", **_DOT)


def _sides(
    page: Sheet,
    x: Array,
    y: Array,
    inside: NDArray[np.bool_],
    ends: tuple[float, float],
    top: float,
    side: float,
) -> None:
    """The two distributions: over the plot and to its right."""
    gap = 0.5 * page.size
    over = page.beside(page.x0, page.x1, page.top - side + gap, page.top - gap)
    beside = page.beside(page.x1 + gap, page.x1 + side - gap, page.top, page.bottom)
    over.set_xlim(*ends)
    beside.set_ylim(*page.plot.get_ylim())
    for axes, values, edges, flat in (
        (over, x, np.linspace(*ends, BINS[0] + 1), False),
        (beside, y, np.linspace(0, top, BINS[1] + 1), True),
    ):
        way: Any = "horizontal" if flat else "vertical"
        heights, _ = np.histogram(values, edges)
        axes.stairs(heights, edges, orientation=way, fill=True, color=_SIDE, lw=0)
        if inside.any():
            held, _ = np.histogram(values[inside], edges)
            at = np.flatnonzero(held)
            first, last = int(at[0]), int(at[-1]) + 1  # no line along the foot beyond them
            axes.stairs(held[first:last], edges[first : last + 1], orientation=way, **_OUTLINE)
        (axes.set_xlim if flat else axes.set_ylim)(0, float(heights.max()) * 1.02)


def _key(result: PooledEffect | None, member: bool, name: str, size: float) -> list[Entry]:
    key = [Entry("all studies", _WHOLE)] if result else []
    if member:
        words = name or "with the study"
        key.append(Entry(f"most subsets {words}", {**_DOT, "ms": 2.6}))
        key.append(Entry(f"those {words}", _OUTLINE))
    return key


def _alt(
    x: Array,
    y: Array,
    inside: NDArray[np.bool_],
    measure: Measure,
    result: PooledEffect | None,
    name: str,
) -> str:
    def spread(chosen: NDArray[np.bool_]) -> str:
        low, mid, high = (
            show(measure.natural(float(q))) for q in np.quantile(x[chosen], (0.05, 0.5, 0.95))
        )
        share = ", ".join(f"{q:.0f}%" for q in np.quantile(y[chosen], (0.05, 0.5, 0.95)))
        return f"median effect {mid} (5th to 95th percentile {low} to {high}), I² at these {share}"

    text = f"GOSH plot of {len(x):,} subsets ({measure.label}): {spread(np.ones(len(x), bool))}."
    if inside.any():
        text += f" {inside.sum():,} subsets {name or 'with the study'}: {spread(inside)}."
        if not inside.all():
            text += f" The others: {spread(~inside)}."
    if result:
        text += f" All studies: {result.summary()}."
    return text
