"""The contour-enhanced funnel plot: effects against their standard errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import norm

from meta.errors import InputError
from meta.plots.axis import ticks_for
from meta.plots.groups import axis_name
from meta.plots.style import (
    INK,
    LEADING,
    OURS,
    POINTS_PER_MM,
    REFERENCE,
    RULE,
    SOFT,
    Picture,
    fit,
    font,
    styled,
    text_width,
    type_size,
)
from meta.results import PooledEffect, show

FEW = 10  # studies below which asymmetry cannot be told from chance; Sterne et al. (2011), BMJ 343
_GREYS = ("#D9D9D9", "#E8E8E8", "#F4F4F4", "#FAFAFA")


def funnel(
    result: PooledEffect,
    *,
    contours: Sequence[float] = (0.9, 0.95, 0.99),
    x_label: str | None = None,
    title: str | None = None,
    width_mm: float = 89,
) -> Picture:
    """Draw a funnel plot with contours of statistical significance around no effect.

    Parameters
    ----------
    result : the analysis; its effects are the points, its estimate the middle of the funnel.
    contours : confidence levels, 0 to 1, ascending. Where studies are missing in the white or
        palest areas only, unpublished non-significant results are a likely reason; where also
        elsewhere, something else is. None are drawn for a measure without a value of no effect.
    x_label : name of the axis; the measure's own by default.
    width_mm : 89 for one column of a journal.

    Raises
    ------
    InputError
        If there is no study with a positive variance, or a level is not between 0 and 1.

    References
    ----------
    Sterne, Egger (2001), J Clin Epidemiol 54:1046-1055 (axes, funnel).
    Peters et al. (2008), J Clin Epidemiol 61:991-996 (contours).
    """
    levels = tuple(contours)
    if any(not 0 < c < 1 for c in levels) or list(levels) != sorted(set(levels)) or len(levels) > 4:
        raise InputError(
            f"contours {levels} cannot be drawn", remedy="give up to four levels, 0 to 1, ascending"
        )
    effects = result.effects
    errors = np.sqrt(effects.vi)
    if not (effects.k and np.all(np.isfinite(errors)) and errors.max() > 0):
        raise InputError("a funnel needs studies with positive, finite variances")
    null = effects.measure.null
    levels = levels if math.isfinite(null) else ()

    with styled():
        size = type_size(width_mm)
        width = width_mm * POINTS_PER_MM
        most = 1.06 * float(errors.max())
        spread = float(norm.ppf(0.975)) * most
        ends = [result.estimate - spread, result.estimate + spread, *effects.yi]
        if levels:
            edge = float(norm.ppf(0.5 + levels[-1] / 2)) * most
            ends += [null - edge, null + edge]
        pad = 0.03 * (max(ends) - min(ends))
        limits = (float(min(ends)) - pad, float(max(ends)) + pad)

        heading = fit(title, width - 3, size + 1.5, "bold", lines=3) if title else []
        top = len(heading) * LEADING * (size + 1.5) + 0.8 * size
        tall = 0.68 * (width - 5 * size)
        words = _small_print(result)
        note_lines = [line for text in words for line in fit(text, width - 3, size - 0.5, lines=3)]
        key = [("", f"p ≥ {_p(levels[0])}")] if levels else []
        for i, (low, high) in enumerate(itertools.pairwise(levels)):
            key.append((_GREYS[i], f"{_p(high)} ≤ p < {_p(low)}"))
        if levels:
            key.append((_GREYS[len(levels) - 1], f"p < {_p(levels[-1])}"))
        rows = _key_rows([text for _, text in key], width - 3, size)
        axis = top + tall
        name = fit(x_label or axis_name(effects.measure), width - 5 * size, size, lines=3)
        y_name = axis + 5 + LEADING * size + 0.7 * size
        y_key = y_name + len(name) * LEADING * size + 0.5 * size
        y_note = y_key + (rows[-1][0] + 1) * 1.2 * LEADING * size if key else y_key
        height = y_note + len(note_lines) * LEADING * (size - 0.5) + 0.2 * size

        page = Picture(
            width,
            height,
            heading=title or f"Funnel plot: {effects.measure.label}",
            alt=_alt(result, levels, words),
        )
        for i, line in enumerate(heading):
            y = 1.5 + (i + 0.5) * LEADING * (size + 1.5)
            page.write(1.5, y, line, size=size + 1.5, weight="bold")

        ticks_y, digits = _error_ticks(most)
        left = 2.4 * size + text_width(f"{0:.{digits}f}", size) + 6
        plot = page.add_axes(
            (left / width, 1 - axis / height, (width - left - 1.5) / width, tall / height)
        )
        plot.set_xlim(*limits)
        plot.set_ylim(most, 0)
        plot.spines[["right", "top"]].set_visible(False)
        plot.spines[["left", "bottom"]].set(linewidth=RULE, color=INK)
        _contours(plot, null, levels, most, limits)
        _funnel(plot, result, most)
        ticks = ticks_for(limits, effects.measure, width=width - left, size=size)
        style: dict[str, Any] = {"fontproperties": font(size), "color": INK, "parse_math": False}
        plot.xaxis.set_ticks([place for place, _ in ticks], [text for _, text in ticks], **style)
        plot.yaxis.set_ticks(ticks_y, [f"{t:.{digits}f}" for t in ticks_y], **style)
        plot.tick_params(length=3, width=RULE, pad=2, color=INK)
        page.text(
            (1.5 + size / 2) / width,
            1 - (top + tall / 2) / height,
            "Standard error",
            fontproperties=font(size),
            color=INK,
            rotation=90,
            ha="center",
            va="center",
        )
        middle = (left + width - 1.5) / 2
        for i, line in enumerate(name):
            page.write(middle, y_name + i * LEADING * size, line, size=size, align="center")
        for (colour, text), (row, x) in zip(key, rows, strict=True):
            y = y_key + row * 1.2 * LEADING * size
            page.box(1.5 + x, y, 0.8 * size, colour or "white")
            page.write(1.5 + x + 1.2 * size, y, text, size=size)
        for i, line in enumerate(note_lines):
            y = y_note + i * LEADING * (size - 0.5)
            page.write(1.5, y, line, size=size - 0.5, colour=SOFT)
        return page


def _p(level: float) -> str:
    return f"{1 - level:.3g}"


def _key_rows(texts: list[str], width: float, size: float) -> list[tuple[int, float]]:
    """The row and the place of each entry of the key, wrapped to the width."""
    places = []
    row, x = 0, 0.0
    for text in texts:
        wide = 1.2 * size + text_width(text, size)
        if x and x + wide > width:
            row, x = row + 1, 0.0
        places.append((row, x))
        x += wide + 1.4 * size
    return places


def _error_ticks(most: float) -> tuple[list[float], int]:
    power = math.floor(math.log10(most))
    for step in (s * 10.0**p for p in (power - 1, power) for s in (1, 2, 5)):
        if most / step <= 5.5:
            break
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [float(i * step) for i in range(int(most / step) + 1)], digits


def _contours(
    plot: Axes, null: float, levels: Sequence[float], most: float, limits: tuple[float, float]
) -> None:
    """Areas of significance, the outermost first; the innermost stays white."""
    if not levels:
        return
    plot.set_facecolor(_GREYS[len(levels) - 1])
    inner: list[tuple[float, str]] = [
        (level, "white" if i == 0 else _GREYS[i - 1]) for i, level in enumerate(levels)
    ]
    for level, colour in reversed(inner):
        edge = float(norm.ppf(0.5 + level / 2)) * most
        plot.fill([null, null - edge, null + edge], [0, most, most], color=colour, lw=0, zorder=0.5)
    plot.plot([null, null], [0, most], color=REFERENCE, lw=RULE, zorder=1)
    plot.set_xlim(*limits)


def _funnel(plot: Axes, result: PooledEffect, most: float) -> None:
    """The pooled effect, where 95% of studies would lie without heterogeneity, and the studies."""
    middle, spread = result.estimate, float(norm.ppf(0.975)) * most
    plot.plot([middle, middle], [0, most], color=OURS, lw=0.9, ls=(0, (1, 2)), zorder=2)
    for side in (-1, 1):
        plot.plot(
            [middle, middle + side * spread],
            [0, most],
            color=OURS,
            lw=0.9,
            ls=(0, (5, 3)),
            zorder=2,
        )
    plot.plot(
        result.effects.yi,
        np.sqrt(result.effects.vi),
        ls="none",
        marker="o",
        ms=4.2,
        mfc=OURS,
        mec="white",
        mew=0.5,
        clip_on=False,
        gid="studies",
        zorder=3,
    )


def _small_print(result: PooledEffect) -> list[str]:
    texts = ["Dotted: pooled effect. Dashed: 95% of studies if all shared it."]
    if result.effects.k < FEW:
        texts.append(
            f"Fewer than {FEW} studies (k\u00a0=\u00a0{result.effects.k}): "
            "asymmetry cannot be told from chance."
        )
    return texts


def _alt(result: PooledEffect, levels: Sequence[float], words: list[str]) -> str:
    effects = result.effects
    points = "; ".join(
        f"{study}: {show(effects.measure.natural(float(y)))}, standard error {show(math.sqrt(v))}"
        for study, y, v in zip(effects.study, effects.yi, effects.vi, strict=True)
    )
    shown = f" Shaded by significance at p = {', '.join(map(_p, levels))}." if levels else ""
    return (
        f"Funnel plot of {effects.k} effects ({effects.measure.label}) against standard error: "
        f"{points}.{shown} {' '.join(words)}"
    )
