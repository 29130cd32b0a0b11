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

_RATIOS = (  # multiples that readers of ratios know, coarse to fine
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
)
_BINARY = tuple(2.0**i for i in range(-6, 7))
_FINE = (0.1, 0.25, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 10.0)
_PROPORTIONS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_CORRELATIONS = (-0.99, -0.95, -0.9, -0.8, -0.5, 0.0, 0.5, 0.8, 0.9, 0.95, 0.99)


def limits_for(
    intervals: Sequence[tuple[float, float]],
    keep: Sequence[float],
    *,
    wide: Sequence[tuple[float, float]] = (),
    reach: float = 2.5,
) -> tuple[float, float]:
    """Limits that show most intervals whole and let no extreme one squeeze the others.

    Parameters
    ----------
    intervals : (low, high) of every row, analysis scale; ends that are not finite are left out.
    keep : values that must be inside, such as no effect and the ends of the diamonds.
    wide : intervals that are shown whole unless the axis would grow beyond ``reach`` times its
        length, such as prediction intervals.
    reach : an interval is shown up to this many times the upper quartile of the distances from the
        median to the intervals' ends; beyond, an arrow says that it goes on.
    """
    ends = np.array([end for pair in intervals for end in pair if math.isfinite(end)])
    inside = [value for value in keep if math.isfinite(value)]
    if not len(ends) and not inside:
        return -1.0, 1.0
    low, high = (min(inside), max(inside)) if inside else (float(ends[0]), float(ends[0]))
    if len(ends):
        centre = float(np.median(ends))
        far = reach * float(np.quantile(np.abs(ends - centre), 0.75))
        low = min(low, max(float(ends.min()), centre - far))
        high = max(high, min(float(ends.max()), centre + far))
    for pair in wide:
        longer = (min(low, pair[0]), max(high, pair[1]))
        if longer[1] - longer[0] <= reach * (high - low):
            low, high = longer
    pad = 0.04 * (high - low) or 0.5
    return low - pad, high + pad


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
    """Round numbers on the scale that people read, as many as fit without touching.

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
        elif len(thinned := _thinned(ticks, limits, measure.null, width, size)) > len(spare):
            spare = thinned[:most]
    return best if len(best) >= 2 or len(best) >= len(spare) else spare


def _label(value: float, among: Sequence[float]) -> str:
    """A tick's number: as many decimals as its neighbours where steps are equal, else its own."""
    steps = np.diff(among)
    if len(steps) > 1 and steps.max() > 1.01 * steps.min():
        text = f"{value:g}"  # 0.1, 1, 10
    else:
        text = f"{value:.{max(_decimals(v) for v in among)}f}"
    return text.replace("-", "−")


def _thinned(
    ticks: list[Tick], limits: tuple[float, float], null: float, width: float, size: float
) -> list[Tick]:
    """Those ticks that stand free of each other, taken from no effect outwards."""
    middle = null if limits[0] <= null <= limits[1] else sum(limits) / 2
    kept: list[Tick] = []
    for tick in sorted(ticks, key=lambda tick: abs(tick[0] - middle)):
        trial = sorted([*kept, tick])
        if _apart(trial, limits, width, size):
            kept = trial
    return kept


def _decimals(value: float) -> int:
    text = f"{value:.6f}".rstrip("0")
    return len(text) - text.index(".") - 1


def _families(low: float, high: float, scale: str) -> list[NDArray[np.float64]]:
    """Sets of round numbers that suit the scale; the caller takes the richest that fits."""
    sets: list[NDArray[np.float64]] = []
    narrow = scale not in ("log", "fisher-z", "logit")
    if scale == "log":
        decades = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for every in (1, 2, 3, 4):
            exponents = np.round(np.log10(decades)) % every == 0
            sets.append(decades[exponents])
        sets += [np.unique(np.outer(decades, ratios)) for ratios in _RATIOS]
        sets += [np.array(_BINARY), np.array(_BINARY[::2]), np.array(_FINE)]
        narrow = high / low < 3
    elif scale == "logit":
        sets += [np.array(_PROPORTIONS), np.array(_PROPORTIONS[1::2]), np.array([0.1, 0.5, 0.9])]
        narrow = low > 0.02 and high < 0.98
    elif scale == "fisher-z":
        sets += [np.array(_CORRELATIONS), np.array([-0.9, -0.5, 0, 0.5, 0.9])]
        narrow = max(-low, high) < 0.95
    if narrow:
        power = math.floor(math.log10(high - low))
        for step in (s * 10.0**p for p in (power - 1, power, power + 1) for s in (1, 2, 2.5, 5)):
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < 40:
                steps = np.arange(first, last + 1) * step
                sets.append(np.round(steps, 12))
    return sets


def _apart(ticks: list[Tick], limits: tuple[float, float], width: float, size: float) -> bool:
    low, high = limits
    last = -math.inf
    for place, text in ticks:
        middle, half = (place - low) / (high - low) * width, text_width(text, size) / 2
        if middle - half < last + 0.8 * size:
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
) -> list[Tick]:
    """Round numbers in equal steps on a linear axis; ``limits`` may run either way.

    ``room`` is the length of the axis and ``size`` the type size, both in points; on an
    ``upright`` axis numbers stand above each other.
    """
    low, high = min(limits), max(limits)
    best: list[Tick] = []
    power = math.floor(math.log10(high - low))
    for step in (s * 10.0**p for p in (power, power - 1, power - 2) for s in (5, 2, 1)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 > most:
            break
        values = [round(i * step, 12) for i in range(first, last + 1)]
        digits = max((_decimals(v) for v in values), default=0)
        ticks = [(v, f"{v:.{digits}f}{unit}".replace("-", "−")) for v in values]
        if upright:
            fits = len(values) < 2 or step / (high - low) * room >= 1.8 * size
        else:
            fits = _apart(ticks, (low, high), room, size)
        if fits and len(ticks) > len(best):
            best = ticks
    return best
