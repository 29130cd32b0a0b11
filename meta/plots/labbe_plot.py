"""The L'Abbé plot: the risk in one arm against the risk in the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray
from scipy.special import expit, logit

from meta.errors import InputError
from meta.plots.analyses import analysed
from meta.plots.axis import plain_ticks
from meta.plots.labels import label_points
from meta.plots.sheet import Entry, Scale, Sheet, sheet
from meta.plots.style import INK, OURS, RULE, Page, room_of, styled
from meta.results import PooledEffect, show

Array = NDArray[np.float64]
BAND = "#DCE8F1"
LARGEST = 11.0  # points across the study with most weight, at 89 mm
SMALLEST = 2.4
NAMED = 20  # names at most, those farthest off the pooled effect first

# The risk in arm 1 that an effect makes of one in arm 2.
_CURVES: dict[str, Callable[[Array, float], Array]] = {
    "RR": lambda p, y: p * np.exp(y),
    "OR": lambda p, y: np.asarray(expit(logit(p) + y)),
    "PETO": lambda p, y: np.asarray(expit(logit(p) + y)),
    "RD": lambda p, y: p + y,
    "AS": lambda p, y: np.sin(np.clip(np.arcsin(np.sqrt(p)) + y, 0, np.pi / 2)) ** 2,
}


def labbe(
    result: PooledEffect,
    risk_1: Any,
    risk_2: Any,
    *,
    arm_1: str = "intervention",
    arm_2: str = "comparator",
    event: str = "Event",
    names: bool = True,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw the risks of the two arms against each other, with the pooled effect as a curve.

    Parameters
    ----------
    result : the analysis, of risk ratios (RR), odds ratios (OR, PETO), risk differences (RD) or
        arcsine differences (AS); areas of points are its weights.
    risk_1, risk_2 : array, shape (k,), 0 to 1
        Share of people with the event in the intervention arm (upwards) and the comparator's.
    arm_1, arm_2, event : names for the axes.
    limits : ends of both axes, 0 to 1; by default from 0 to just above the largest risk.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If risks are not between 0 and 1 (every study is named), or the measure has no such curve.

    References
    ----------
    L'Abbé, Detsky, O'Rourke (1987), Ann Intern Med 107:224-233.
    """
    effects = analysed(result, "a L'Abbé plot").effects
    x, y = _risks(risk_2, effects.study, arm_2), _risks(risk_1, effects.study, arm_1)
    if effects.measure.key not in _CURVES:
        raise InputError(
            f"{effects.measure.key} cannot be drawn against risks",
            remedy=f"pool one of {', '.join(_CURVES)}",
        )
    low, high = limits or (0.0, min(1.0, 1.08 * max(float(x.max()), float(y.max()), 0.01)))
    if not 0 <= low < high <= 1:
        raise InputError(f"limits ({low}, {high}) are not two risks, the lower first")
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        middle, (below, above) = result.natural()[0], result.natural()[1:]
        band = f"{result.level:.0%} CI {show(below)} to {show(above)}"
        ticks = partial(plain_ticks, (100 * low, 100 * high), unit="%")
        page = sheet(
            width_mm,
            Scale((100 * low, 100 * high), ticks, f"{event}, {arm_2}"),
            Scale((100 * low, 100 * high), partial(ticks, upright=True), f"{event}, {arm_1}"),
            heading=f"L'Abbé plot: {effects.measure.label}",
            alt=_alt(result, x, y, arm_1, arm_2, event),
            title=title,
            ratio=1.0,
            key=[
                Entry("no difference", {"color": INK, "lw": RULE, "ls": (0, (4, 3))}),
                Entry(
                    f"{effects.measure.label.lower()} {show(middle)} ({band})",
                    {"color": OURS, "lw": 1.1},
                ),
            ],
            notes=["Area of circles: weight in the analysis."],
            locked=True,
            ax=ax,
        )
        lines = _curves(page, result, low, high)
        radius = _circles(page, result.weights, x, y)
        if names:
            distance = np.abs(effects.yi - result.estimate) / np.sqrt(effects.vi)
            order = [int(i) for i in np.argsort(-distance, kind="stable")]
            order = order[:NAMED]
            label_points(page, 100 * x, 100 * y, effects.study, order, radius=radius, lines=lines)
        return page.page


def _risks(values: Any, study: Sequence[str], arm: str) -> Array:
    risks = np.asarray(values, dtype=float)
    if risks.shape != (len(study),):
        raise InputError(f"{risks.size} risks ({arm}) for {len(study)} studies")
    wrong = ~((risks >= 0) & (risks <= 1))
    if wrong.any():
        raise InputError(
            "risks must lie between 0 and 1",
            [f"{study[i]}: {arm} {risks[i]}" for i in map(int, np.flatnonzero(wrong))],
        )
    return risks


def _curves(
    page: Sheet, result: PooledEffect, low: float, high: float
) -> list[tuple[Array, Array]]:
    """The pooled effect with its interval, and no difference; gives both lines."""
    curve = _CURVES[result.effects.measure.key]
    p = np.linspace(max(low, 1e-9), min(high, 1 - 1e-9), 401)
    with np.errstate(over="ignore"):
        middle, low_end, high_end = (100 * curve(p, y) for y in (result.estimate, *result.ci))
    page.plot.fill_between(100 * p, low_end, high_end, color=BAND, lw=0, zorder=0, gid="interval")
    page.plot.plot(
        [100 * low, 100 * high],
        [100 * low, 100 * high],
        color=INK,
        lw=RULE,
        ls=(0, (4, 3)),
        zorder=1,
    )
    page.plot.plot(100 * p, middle, color=OURS, lw=1.1, zorder=2, gid="estimate")
    page.plot.set_xlim(100 * low, 100 * high)
    page.plot.set_ylim(100 * low, 100 * high)
    return [(100 * p, 100 * p), (100 * p, middle)]


def _circles(page: Sheet, weights: Array, x: Array, y: Array) -> Array:
    """Circles with areas as weights, the largest below; gives their radii on the page."""
    largest = LARGEST * page.size / 6
    across = np.maximum(SMALLEST, largest * np.sqrt(weights / weights.max()))
    for i in np.argsort(-across, kind="stable"):
        page.plot.plot(
            100 * x[i],
            100 * y[i],
            marker="o",
            ms=across[i],
            mfc=to_rgba(OURS, 0.55),
            mec="white",
            mew=0.6,
            clip_on=False,
            zorder=3,
            gid=f"study-{i}",
        )
    return np.asarray(across / 2)


def _alt(result: PooledEffect, x: Array, y: Array, arm_1: str, arm_2: str, event: str) -> str:
    listed = "; ".join(
        f"{study}: {b:.1%} against {a:.1%}"
        for study, a, b in zip(result.effects.study, x, y, strict=True)
    )
    return (
        f"L'Abbé plot of {result.effects.k} studies, {event.lower()} with {arm_1} against "
        f"{arm_2}: {listed}. Pooled: {result.summary()}."
    )
