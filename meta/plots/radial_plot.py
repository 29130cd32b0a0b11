"""The radial (Galbraith) plot: standardised effects against precision; slopes are effects."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from scipy.stats import norm

from meta.errors import InputError
from meta.plots.analyses import analysed
from meta.plots.axis import plain_ticks, ticks_for
from meta.plots.groups import short
from meta.plots.labels import label_points
from meta.plots.sheet import POINT, Scale, Sheet, sheet, sized
from meta.plots.style import (
    INK,
    OURS,
    REFERENCE,
    RULE,
    Page,
    room_of,
    styled,
    text_width,
    type_size,
)
from meta.results import PooledEffect, show

Array = NDArray[np.float64]

RATIO = 0.8  # height over width
ARC = 0.97  # of the width at which the arc of effects stands
INSIDE = 0.9  # of the arc's radius within which all studies lie
BAND = "#E6EEF4"
NAMED = 12  # names at most; more would hide the cloud of a large analysis


def radial(
    result: PooledEffect,
    *,
    spread: Literal["model", "sampling"] = "model",
    centre: float | None = None,
    names: bool = True,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw a radial plot: the slope of the line from the origin to a study is its effect.

    Parameters
    ----------
    result : the analysis; its estimate is the line, its interval the thick part of the arc.
    spread : what a study is standardised by: the model's standard deviation of its effect,
        sqrt(v + tau2), so that the line is the pooled effect; or its standard error alone, so that
        heterogeneity shows as points outside the band.
    centre : effect (analysis scale) that has slope zero; no effect by default, or the pooled effect
        for a measure without such a value. Give one near the effects where they are far from it.
    names : write the names of the studies farthest outside the band, up to a dozen.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If there is no study with a finite effect and positive variance.

    References
    ----------
    Galbraith (1988), Technometrics 30:271-281.
    """
    effects = analysed(result, "a radial plot").effects
    v = effects.vi + (result.tau2 if spread == "model" else 0.0)
    if not (effects.k and np.all(np.isfinite(effects.yi)) and np.all(v > 0)):
        raise InputError("a radial plot needs studies with finite effects and positive variances")
    null = effects.measure.null
    if centre is None:
        centre = null if math.isfinite(null) else result.estimate
    x = 1 / np.sqrt(v)
    z = (effects.yi - centre) * x
    off = np.abs(z - (result.estimate - centre) * x)
    outside = off > _crit()
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        size = type_size(width_mm)
        across, limits = _scales(x, z)
        model = spread == "model" and result.tau2 > 0
        unit = "√(SE² + τ²)" if model else "SE"
        top = "Effect" if centre == 0 else f"(Effect − {show(effects.measure.natural(centre))})"
        if effects.measure.scale != "identity" and centre == 0:
            top = f"{effects.measure.scale.capitalize()} effect"
        notes = _notes(result, int(outside.sum()))
        page = sheet(
            width_mm,
            Scale(
                (0.0, across),
                partial(plain_ticks, (0.0, 1.02 * float(x.max()))),
                f"Precision, 1 / {unit}",
            ),
            Scale(limits, partial(plain_ticks, limits, upright=True), f"{top} / {unit}"),
            heading=f"Radial plot: {effects.measure.label}",
            alt=_alt(result, x, z, outside, unit, notes),
            title=title,
            ratio=RATIO,
            notes=notes,
            above=1.6 * size,
            right=4.2 * size,
            locked=True,
            ax=ax,
        )
        _lines(page, result, centre)
        arc = _arc(page, result, centre)
        page.plot.plot(
            x, z, ls="none", clip_on=False, zorder=3, gid="studies", **sized(POINT, page.size)
        )
        if names:
            along = np.linspace(0.0, across, 120)
            straight = [(along, slope * along) for slope in (0.0, result.estimate - centre)]
            order = [int(i) for i in np.argsort(-off, kind="stable") if outside[i]]
            label_points(page, x, z, effects.study, order[:NAMED], lines=[arc, *straight])
        return page.page


def _crit() -> float:
    return float(norm.ppf(0.975))


def _scales(x: Array, z: Array) -> tuple[float, tuple[float, float]]:
    """Right end of the axis of precision and the ends of the other, all studies inside the arc.

    Lengths are shares of the width: a study stands at (x/across, z * up) from the origin.
    """
    low, high = min(-_crit(), float(z.min())) - 0.6, max(_crit(), float(z.max())) + 0.6
    up = RATIO / (high - low)
    reach = np.sqrt((INSIDE * ARC) ** 2 - (up * z) ** 2)
    return float((x / reach).max()), (low, high)


def _on_arc(page: Sheet, slopes: Array, share: float = 1.0) -> Array:
    """Where rays of these slopes meet the arc, on the plot; ``share`` of the radius."""
    across = page.plot.get_xlim()[1]
    low, high = page.plot.get_ylim()
    up = RATIO / (high - low)
    length = share * ARC / np.hypot(1 / across, slopes * up)
    return np.stack((length, slopes * length), axis=-1)


def _steepest(page: Sheet) -> tuple[float, float]:
    """The slopes at which the arc leaves the frame, below and above."""
    across, (low, high) = page.plot.get_xlim()[1], page.plot.get_ylim()
    up = RATIO / (high - low)
    first, last = (z / across / math.sqrt(ARC**2 - (z * up) ** 2) for z in (low, high))
    return first, last


def _lines(page: Sheet, result: PooledEffect, centre: float) -> None:
    slope, crit = result.estimate - centre, _crit()
    end = float(_on_arc(page, np.array([slope]))[0, 0])
    far = page.plot.get_xlim()[1]
    (band,) = page.plot.fill(
        [0, far, far, 0],
        [-crit, slope * far - crit, slope * far + crit, crit],
        color=BAND,
        lw=0,
        zorder=0,
    )
    up = RATIO / float(np.ptp(page.plot.get_ylim()))
    round_ = _on_arc(page, np.tan(np.linspace(-1.5, 1.5, 401)) / (far * up))
    sector = [(0, -ARC / up), *round_.tolist(), (0, ARC / up)]
    band.set_clip_path(Polygon(sector, transform=page.plot.transData))
    page.plot.plot([0, _on_arc(page, np.zeros(1))[0, 0]], [0, 0], color=REFERENCE, lw=RULE)
    page.plot.plot([0, end], [0, slope * end], color=OURS, lw=0.9, zorder=2, gid="estimate")


def _arc(page: Sheet, result: PooledEffect, centre: float) -> tuple[Array, Array]:
    """The scale of effects, its round numbers, the interval on it; gives the line of the arc."""
    effects, size = result.effects, page.size
    measure, null = effects.measure, effects.measure.null
    wanted = [*effects.yi, *result.ci, *([null] if math.isfinite(null) else [])]
    frame = _steepest(page)
    span = (max(min(wanted) - centre, frame[0]), min(max(wanted) - centre, frame[1]))
    if not span[0] < span[1]:  # all effects lie at the centre
        span = frame
    slopes = np.linspace(*span, 801)
    arc = _on_arc(page, slopes).T
    page.plot.plot(*arc, color=INK, lw=RULE, zorder=1, clip_on=False)
    inside = slopes[(slopes >= result.ci[0] - centre) & (slopes <= result.ci[1] - centre)]
    if len(inside) > 1:
        page.plot.plot(
            *_on_arc(page, inside).T,
            color=OURS,
            lw=2.4,
            solid_capstyle="butt",
            zorder=2,
            clip_on=False,
            gid="interval",
        )
    shown = (span[0] + centre, span[1] + centre)
    last, right = page.bottom + size, page.page.size_points[0] - 1.5
    place = page.x1
    for value, text in ticks_for(shown, measure, width=page.bottom - page.top, size=size):
        ends = np.concatenate(
            [_on_arc(page, np.array([value - centre]), share) for share in (1.0, 1.012)]
        )
        x, y = page.at(*ends[1])
        if last - y < 1.15 * size or x + 2.5 + text_width(text, size) > right:
            continue
        page.plot.plot(*ends.T, color=INK, lw=RULE, clip_on=False, zorder=1)
        place, last = float(x) + 2.5, float(y)
        page.page.write(place, last, text, size=size)
    # The name of the scale stands over its last number, clear of the arc.
    y, name = last - 1.3 * size, short(measure)
    near = page.at(*arc)[np.abs(page.at(*arc)[:, 1] - y) < 0.8 * size, 0]
    x = min(max([place, *(near + 2.5)]), right - text_width(name, size))
    page.page.write(x, y, name, size=size)
    return arc[0], arc[1]


def _notes(result: PooledEffect, outside: int) -> list[str]:
    kind = "pooled" if result.model == "random" else "common"
    low, high = (result.effects.measure.natural(end) for end in result.ci)
    return [
        f"Line: {kind} effect {show(result.natural()[0])}; thick on the arc: its "
        f"{result.level:.0%} interval ({show(low)} to {show(high)}). Shaded: 95% of studies if the "
        f"model holds; outside: {outside} of {result.effects.k}."
    ]


def _alt(
    result: PooledEffect,
    x: Array,
    z: Array,
    outside: NDArray[np.bool_],
    unit: str,
    notes: list[str],
) -> str:
    natural = result.effects.measure.natural
    listed = "; ".join(
        f"{study}: effect {show(natural(float(y)))}, 1 / {unit} {show(float(a))}, standardised "
        f"{show(float(b))}" + (" (outside the band)" if out else "")
        for study, y, a, b, out in zip(
            result.effects.study, result.effects.yi, x, z, outside, strict=True
        )
    )
    return (
        f"Radial plot of {result.effects.k} effects ({result.effects.measure.label}): {listed}. "
        f"{' '.join(notes)}"
    )
