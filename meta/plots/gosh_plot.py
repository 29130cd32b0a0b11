"""The GOSH plot: estimates and heterogeneity over all (or many) subsets of the studies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from meta.errors import InputError, UnknownName
from meta.gosh import GoshResult
from meta.measures.registry import Measure
from meta.plots.axis import limits_for, plain_ticks, ticks_for
from meta.plots.groups import axis_name
from meta.plots.sheet import Entry, Scale, Sheet, sheet, sized
from meta.plots.style import INK, OURS, REFERENCE, RULE, Page, room_of, styled, type_size
from meta.results import PooledEffect, show

Array = NDArray[np.float64]
CELLS = (56, 22)  # hexagons across and (pairs) up; few enough to stay vectors
BINS = (60, 40)  # of the distributions beside
_SHADES = LinearSegmentedColormap.from_list("shades", ["#C3DAEA", "#7FB2D6", OURS, "#00304D"])
_SIDE = "#9DBFD9"
_DOT: dict[str, Any] = {"marker": "o", "ms": 1.3, "mfc": "#E69F00", "mec": "none"}
_OUTLINE: dict[str, Any] = {"color": INK, "lw": 0.8}
_WHOLE: dict[str, Any] = {"marker": "P", "ms": 6.0, "mfc": "white", "mec": INK, "mew": 0.9}


def gosh(
    subsets: Any,
    i2: Any = None,
    *,
    measure: Measure | None = None,
    study: str | None = None,
    result: PooledEffect | None = None,
    member: Any = None,
    member_name: str = "",
    y_label: str = "I²",
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw where the subsets of the studies lie, as shaded cells with their distributions beside.

    Cells are vectors, darker where more subsets lie, so that the file stays small for any number.

    Parameters
    ----------
    subsets : what ``meta.gosh`` gives; or array, shape (n,), of the pooled effect of each subset
        on the analysis scale, with ``i2`` and ``measure``.
    i2 : array, shape (n,), of the heterogeneity of each subset, 0 to 1. Subsets where either is
        undefined (NaN) are left out and counted below the plot.
    study : a study to follow: cells where most subsets hold it are dotted, and the distribution of
        those subsets is drawn as a line.
    result : the analysis of all studies, marked with a cross.
    member : array of bool, shape (n,), in place of ``study``: the subsets to follow.
    member_name : what is said of these subsets in the key, such as "with Alder 2004".
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If the arrays differ in length or fewer than two subsets can be drawn.

    References
    ----------
    Olkin, Dahabreh, Trikalinos (2012), Res Synth Methods 3:214-223.
    """
    if isinstance(subsets, GoshResult):
        if i2 is not None:
            raise InputError("these subsets have I² of their own", remedy="leave i2 out")
        names = subsets.effects.study
        if study is not None:
            if study not in names:
                raise UnknownName("study", study, names)
            member, member_name = ~subsets.without(study), member_name or f"with {study}"
        measure = measure or subsets.effects.measure
        subsets, i2 = subsets.estimate, subsets.i2
    elif study is not None:
        raise InputError("arrays do not say which study is in", remedy="give member=")
    if i2 is None or measure is None:
        raise InputError(
            "a GOSH plot needs the subsets of an analysis",
            remedy="give meta.gosh(effects), or the estimates with i2= and measure=",
        )
    x, y = np.asarray(subsets, dtype=float), 100 * np.asarray(i2, dtype=float)
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
    width_mm, _ = room_of(ax, width_mm)
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
            ax=ax,
        )
        _cells(page.plot, x, y, inside, ends, top, size)
        _sides(page, x, y, inside, ends, top, side)
        if ends[0] < measure.null < ends[1]:
            page.plot.axvline(measure.null, color=REFERENCE, lw=RULE, zorder=0.5)
        if result:
            whole = [result.estimate], [100 * result.i2]
            page.plot.plot(
                *whole, ls="none", zorder=4, clip_on=False, gid="whole", **sized(_WHOLE, size)
            )
        page.plot.set_xlim(*ends)
        page.plot.set_ylim(foot, top)
        return page.page


def _cells(
    plot: Axes,
    x: Array,
    y: Array,
    inside: NDArray[np.bool_],
    ends: tuple[float, float],
    top: float,
    size: float,
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
        plot.plot(*most.T, ls="none", zorder=2, gid="member", **sized(_DOT, size))


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
    key = [Entry("all studies", sized(_WHOLE, size))] if result else []
    if member:
        words = name or "with the study"
        key.append(Entry(f"most subsets {words}", sized({**_DOT, "ms": 2.6}, size)))
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
