"""Where an effect axis begins and ends, and the round numbers on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.style import text_width

Tick = tuple[float, str]  # place on the analysis scale, what is printed

POOLED_REACH = 4.0
POINTS_REACH = 1.4
ARROW_ROOM = 0.08  # of the axis, between an effect and the axis's end
ENOUGH = 4  # numbers on an axis
_RATIOS = (  # multiples that readers of ratios know, best first
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 3.0),
    (1.0,),
)
_BINARY = tuple(2.0**i for i in range(-6, 7))
_FINE = (0.1, 0.25, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 10.0)
_PROPORTIONS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_CORRELATIONS = (-0.99, -0.95, -0.9, -0.8, -0.5, 0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


def limits_for(
    intervals: Sequence[tuple[float, float]],
    keep: Sequence[float],
    *,
    pooled: Sequence[tuple[float, float]] = (),
    wide: Sequence[tuple[float, float]] = (),
    points: Sequence[float] = (),
    reach: float = 2.5,
) -> tuple[float, float]:
    """Limits that show most intervals whole and let no extreme one squeeze the others.

    Parameters
    ----------
    intervals : (low, high) of every row, analysis scale; ends that are not finite are left out.
    keep : values that must be inside, such as no effect and the ends of the diamonds.
    pooled : intervals of pooled effects, shown whole unless the axis would grow beyond
        ``POOLED_REACH`` times its length, as those of two or three studies can make it.
    wide : intervals that are shown whole unless the axis would grow beyond ``reach`` times its
        length, such as prediction intervals.
    points : effects that are seen, clear of the arrow at the end, where the axis need not grow
        beyond ``POINTS_REACH`` times its length for them.
    reach : an interval is shown up to this many times the upper quartile of the distances from the
        median to the intervals' ends; beyond, an arrow says that it goes on, and the axis ends
        with the widest interval that is shown whole.
    """
    ends = np.array([end for pair in intervals for end in pair if math.isfinite(end)])
    inside = [value for value in keep if math.isfinite(value)]
    if not len(ends) and not inside:
        return -1.0, 1.0
    low, high = (min(inside), max(inside)) if inside else (float(ends[0]), float(ends[0]))
    if len(ends):
        centre = float(np.median(ends))
        far = reach * float(np.quantile(np.abs(ends - centre), 0.75))
        # Where an interval is cut, no further than the last one that is shown whole.
        low = min(low, float(ends[ends >= centre - far].min()))
        high = max(high, float(ends[ends <= centre + far].max()))
    for pair, most in [*((p, POOLED_REACH) for p in pooled), *((p, reach) for p in wide)]:
        longer = (min(low, pair[0]), max(high, pair[1]))
        if longer[1] - longer[0] <= most * (high - low):
            low, high = longer
    pad = 0.04 * (high - low) or 0.5
    low, high = low - pad, high + pad
    most, room = POINTS_REACH * (high - low), ARROW_ROOM * (high - low)
    for point in sorted(points, key=lambda y: abs(y - (low + high) / 2)):
        longer = (min(low, point - room), max(high, point + room))
        if longer[1] - longer[0] <= most:
            low, high = longer
    return low, high


def check_limits(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"limits ({low}, {high}) are not a low and a high end",
            remedy="give two finite numbers on the analysis scale, the lower first",
        )
    return float(low), float(high)


def ticks_for(
    limits: tuple[float, float], measure: Measure, *, width: float, size: float, most: int = 7
) -> list[Tick]:
    """Round numbers on the scale that people read: the roundest that are enough, all apart.

    ``width`` is the length of the axis and ``size`` the type size, both in points. The registered
    back-transform is inverted by interpolation, so that every scale has an axis.
    """
    low, high = limits
    grid = np.linspace(low, high, 4001)
    natural = np.asarray(measure.natural(grid), dtype=float)
    best: list[Tick] = []
    spare: list[Tick] = []  # a set that is too rich, thinned, where no set fits whole
    for candidates in _families(float(natural[0]), float(natural[-1]), measure.scale):
        values = [float(v) for v in candidates if natural[0] <= v <= natural[-1]]
        places = np.interp(values, natural, grid)
        ticks = [(float(p), _label(v, values)) for p, v in zip(places, values, strict=True)]
        if _apart(ticks, limits, width, size):
            if len(best) < len(ticks) <= most:
                best = ticks
                if len(best) >= ENOUGH:
                    return best
        elif len(thinned := _thinned(ticks, limits, measure.null, width, size)) > len(spare):
            spare = thinned[:most]
    return best if len(best) >= 2 or len(best) >= len(spare) else spare


def _label(value: float, among: Sequence[float]) -> str:
    """A tick's number: as many decimals as its neighbours where steps are equal, else its own."""
    steps = np.diff(among)
    wide = min(among) > 0 and max(among) >= 10 * min(among)
    if wide or (len(steps) > 1 and steps.max() > 1.01 * steps.min()):
        text = f"{value:g}"  # 0.1, 1, 10
        if "e" in text and text[0] == "1":
            text = "10" + power(int(text.partition("e")[2]))
    else:
        text = f"{value:.{max(_decimals(v) for v in among)}f}"
    return text.replace("-", "−")


def power(exponent: int) -> str:
    """An exponent, raised."""
    digits = str(abs(exponent)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ("⁻" if exponent < 0 else "") + digits


def _thinned(
    ticks: list[Tick],
    limits: tuple[float, float],
    null: float,
    width: float,
    size: float,
    gap: float = 0.8,
) -> list[Tick]:
    """Those ticks that stand free of each other, taken from no effect outwards or every other."""
    middle = null if limits[0] <= null <= limits[1] else sum(limits) / 2
    kept: list[Tick] = []
    for tick in sorted(ticks, key=lambda tick: abs(tick[0] - middle)):
        trial = sorted([*kept, tick])
        if _apart(trial, limits, width, size, gap):
            kept = trial
    others = [ticks[first::step] for step in (2, 3) for first in range(step)]
    return max([kept, *(t for t in others if _apart(t, limits, width, size, gap))], key=len)


def _decimals(value: float) -> int:
    text = f"{value:.6f}".rstrip("0")
    return len(text) - text.index(".") - 1


def _families(low: float, high: float, scale: str) -> list[NDArray[np.float64]]:
    """Sets of round numbers that suit the scale, those that read best first."""
    sets: list[NDArray[np.float64]] = []
    narrow = scale not in ("log", "fisher-z", "logit")
    if scale == "log":
        decades = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        sets += [np.unique(np.outer(decades, ratios)) for ratios in _RATIOS]
        for every in (2, 3, 4):
            exponents = np.round(np.log10(decades)) % every == 0
            sets.append(decades[exponents])
        sets += [np.array(_FINE), np.array(_BINARY), np.array(_BINARY[::2])]
        narrow = high / low < 3
    elif scale == "logit":
        sets += [np.array(_PROPORTIONS), np.array(_PROPORTIONS[1::2]), np.array([0.1, 0.5, 0.9])]
        narrow = low > 0.02 and high < 0.98
    elif scale == "fisher-z":
        sets += [np.array(_CORRELATIONS), np.array([-0.9, -0.5, 0, 0.5, 0.9])]
        narrow = max(-low, high) < 0.95
    if narrow:
        order = math.floor(math.log10(high - low))
        powers = [10.0**p for p in (order - 1, order, order + 1)]
        # Quarters only where nothing rounder serves.
        for step in [s * p for p in powers for s in (1, 2, 5)] + [2.5 * p for p in powers]:
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < 40:
                steps = np.arange(first, last + 1) * step
                sets.append(np.round(steps, 12))
    return sets


def _apart(
    ticks: list[Tick], limits: tuple[float, float], width: float, size: float, gap: float = 0.8
) -> bool:
    low, high = limits
    last = -math.inf
    for place, text in ticks:
        middle, half = (place - low) / (high - low) * width, text_width(text, size) / 2
        if middle - half < last + gap * size:
            return False
        last = middle + half
    return True


def plain_ticks(
    limits: tuple[float, float],
    room: float,
    size: float,
    *,
    upright: bool = False,
    most: int = 6,
    unit: str = "",
    beyond: float = math.inf,
) -> list[Tick]:
    """Round numbers in equal steps on a linear axis; ``limits`` may run either way.

    ``room`` is the length of the axis and ``size`` the type size, both in points; on an
    ``upright`` axis numbers stand above each other. Numbers that would reach farther than
    ``beyond`` (points) over an end of the axis are left out.
    """
    low, high = min(limits), max(limits)
    best: list[Tick] = []
    spare: list[Tick] = []  # some of a set that is too rich, where no set fits whole

    def clear(tick: Tick) -> bool:
        place, half = (tick[0] - low) / (high - low) * room, text_width(tick[1], size) / 2
        return place - half >= -beyond and place + half <= room + beyond

    order = math.floor(math.log10(high - low))
    steps = [s * 10.0**p for p in (order, order - 1, order - 2) for s in (5, 2.5, 2, 1)]
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 > most:
            break
        if (
            f"{step:e}".startswith("2.5") and len(best) > 1
        ):  # quarters only where nothing rounder serves
            continue
        values = [round(i * step, 12) for i in range(first, last + 1)]
        digits = max((_decimals(v) for v in values), default=0)
        ticks = [(v, f"{v:.{digits}f}{unit}".replace("-", "−")) for v in values]
        ticks = ticks if upright else [tick for tick in ticks if clear(tick)]
        if upright:
            fits = len(values) < 2 or step / (high - low) * room >= 1.8 * size
        else:
            fits = _apart(ticks, (low, high), room, size)
        if fits and len(ticks) > len(best):
            best = ticks
        elif not (fits or upright):
            thinned = _thinned(ticks, (low, high), 0.0, room, size, 0.35)
            spare = thinned if len(thinned) > len(spare) else spare
    return best if len(best) >= 2 or len(best) >= len(spare) else spare
