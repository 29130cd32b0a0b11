"""The funnel plot: effects against their standard errors.

Contour-enhanced; shaded by power (sunset); with the studies that trim and fill adds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import norm

from meta.adjusted import TrimFill
from meta.errors import InputError
from meta.excess import ExcessSignificance
from meta.plots.analyses import analysed
from meta.plots.axis import Tick, plain_ticks, ticks_for
from meta.plots.groups import axis_name
from meta.plots.sheet import POINT, Entry, Scale, Sheet, set_ticks, shade, sheet, sized
from meta.plots.style import (
    INK,
    OURS,
    REFERENCE,
    RULE,
    Page,
    font,
    room_of,
    styled,
    text_width,
    type_size,
)
from meta.power import StudyPower
from meta.results import PooledEffect, show, show_p

Power = ExcessSignificance | StudyPower
FEW = 10  # studies below which asymmetry cannot be told from chance; Sterne et al. (2011), BMJ 343
_GREYS: dict[int, tuple[str, ...]] = {  # by the number of contours, darkest next to the white
    0: (),
    1: ("#E4E4E4",),
    2: ("#CDCDCD", "#EFEFEF"),
    3: ("#C2C2C2", "#DADADA", "#EFEFEF"),
    4: ("#B8B8B8", "#CCCCCC", "#DEDEDE", "#EFEFEF"),
}
POWERS = (0.2, 0.4, 0.6, 0.8)  # edges of the bands; 80% is what trials are usually planned for
_SUNSET = ("#F0B892", "#F5CBAE", "#F9DDC9", "#FCEEE4", "#FFFFFF")  # darker with less power
_EDGE = "#595959"  # of significance, on a coloured ground
_HOLLOW: dict[str, Any] = {"marker": "o", "ms": 3.8, "mfc": "white", "mec": OURS, "mew": 0.9}
_DOTTED: dict[str, Any] = {"color": OURS, "lw": 0.9, "ls": (0, (1, 2))}
_DASHED: dict[str, Any] = {"color": OURS, "lw": 0.9, "ls": (0, (5, 3))}


def funnel(
    result: PooledEffect,
    *,
    contours: Sequence[float] = (0.9, 0.95, 0.99),
    power: Power | None = None,
    fill: TrimFill | None = None,
    x_label: str | None = None,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw a funnel plot with contours of statistical significance around no effect.

    Parameters
    ----------
    result : the analysis; its effects are the points, its estimate the middle of the funnel.
    contours : confidence levels, 0 to 1, ascending. Where studies are missing in the white or
        palest areas only, unpublished non-significant results are a likely reason; where also
        elsewhere, something else is. None are drawn for a measure without a value of no effect.
    power : shade by each study's power to find the effect assumed in ``meta.power_of_studies`` or
        ``meta.excess_significance`` (which adds its test below), in place of the contours
        (sunset funnel).
    fill : the studies filled in by ``meta.trim_and_fill`` of the same effects, hollow; the
        funnel then stands around the effect with them.
    x_label : name of the axis; the measure's own by default.
    width_mm : 89 for one column of a journal.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If there is no study with a positive variance, a level is not between 0 and 1, power is
        asked of a measure without a value of no effect, or ``fill`` is of other studies.

    References
    ----------
    Sterne, Egger (2001), J Clin Epidemiol 54:1046-1055 (axes, funnel).
    Peters et al. (2008), J Clin Epidemiol 61:991-996 (contours).
    Kossmeier et al. (2020), Z Evid Fortbild Qual Gesundhwes 155:33-41 (power).
    Duval, Tweedie (2000), Biometrics 56:455-463 (filled studies).
    """
    levels = tuple(contours)
    if any(not 0 < c < 1 for c in levels) or list(levels) != sorted(set(levels)) or len(levels) > 4:
        raise InputError(
            f"contours {levels} cannot be drawn", remedy="give up to four levels, 0 to 1, ascending"
        )
    effects = analysed(result, "a funnel plot").effects
    errors = np.sqrt(effects.vi)
    if not (effects.k and np.all(np.isfinite(errors)) and errors.max() > 0):
        raise InputError("a funnel needs studies with positive, finite variances")
    if fill and fill.observed.effects.study != effects.study:
        raise InputError("the studies filled in belong to other studies", remedy="fill these")
    null = effects.measure.null
    levels = levels if math.isfinite(null) else ()
    if power:
        if not (math.isfinite(null) and math.isfinite(_theta(power)) and _theta(power) != null):
            raise InputError("power needs an effect that differs from a value of no effect")
        if len(power.power) != effects.k or getattr(power, "side", "two-sided") != "two-sided":
            raise InputError(
                "this power is of other studies or of a one-sided test",
                remedy="give power_of_studies(result.effects)",
            )
        levels = (1 - power.alpha,)

    width_mm, _ = room_of(ax, width_mm)
    with styled():
        size = type_size(width_mm)
        shown = fill.filled if fill else result
        most = 1.06 * float(errors.max())
        spread = float(norm.ppf(0.975)) * most
        ends = [shown.estimate - spread, shown.estimate + spread, *shown.effects.yi]
        if levels:
            edge = float(norm.ppf(0.5 + levels[-1] / 2)) * most
            ends += [null - edge, null + edge]
        pad = 0.03 * (max(ends) - min(ends))
        limits = (float(min(ends)) - pad, float(max(ends)) + pad)
        words = _small_print(result, power, fill)
        page = sheet(
            width_mm,
            Scale(
                limits,
                lambda room, size: ticks_for(limits, effects.measure, width=room, size=size),
                x_label or axis_name(effects.measure),
            ),
            Scale((most, 0.0), partial(plain_ticks, (0.0, most), upright=True), "Standard error"),
            heading=f"Funnel plot: {effects.measure.label}",
            alt=_alt(result, levels, power, fill, words),
            title=title,
            key=_key(levels, power, fill, size),
            notes=words,
            right=7 + 1.6 * size + text_width("80%", size) if power else 0.0,
            ax=ax,
        )
        if power:
            _sunset(page, null, power, most)
            _edges(page.plot, null, levels[0], most, limits)
        else:
            _contours(page.plot, null, levels, most, limits)
        _funnel(page.plot, result, fill, most, size)
        return page.page


def _theta(power: Power) -> float:
    return power.theta if isinstance(power, ExcessSignificance) else power.effect


def _p(level: float) -> str:
    return f"{1 - level:.3g}"


def _key(
    levels: Sequence[float], power: Power | None, fill: TrimFill | None, size: float
) -> list[Entry]:
    key = []
    if fill:
        key.append(Entry("study", sized(POINT, size)))
        if fill.k0:
            key.append(Entry("filled in", sized(_HOLLOW, size)))
    if power:
        shown = ("", *(f"{p:.0%}" for p in POWERS))
        key += [Entry(f"power < {shown[1]}", shade(_SUNSET[0], size))]
        key += [
            Entry(f"{low} to {high}", shade(colour, size))
            for (low, high), colour in zip(itertools.pairwise(shown[1:]), _SUNSET[1:], strict=False)
        ]
        key.append(Entry(f"≥ {shown[-1]}", shade(_SUNSET[-1], size)))
        key.append(Entry(f"p = {_p(levels[0])}", {"color": _EDGE, "lw": RULE}))
    elif levels:
        key += [Entry(f"p ≥ {_p(levels[0])}", shade("white", size))]
        key += [
            Entry(f"{_p(high)} ≤ p < {_p(low)}", shade(_GREYS[len(levels)][i], size))
            for i, (low, high) in enumerate(itertools.pairwise(levels))
        ]
        key.append(Entry(f"p < {_p(levels[-1])}", shade(_GREYS[len(levels)][-1], size)))
    return key


def _contours(
    plot: Axes, null: float, levels: Sequence[float], most: float, limits: tuple[float, float]
) -> None:
    """Areas of significance, the outermost first; the innermost stays white."""
    if not levels:
        return
    greys = _GREYS[len(levels)]
    plot.set_facecolor(greys[-1])
    inner: list[tuple[float, str]] = [
        (level, "white" if i == 0 else greys[i - 1]) for i, level in enumerate(levels)
    ]
    for level, colour in reversed(inner):
        edge = float(norm.ppf(0.5 + level / 2)) * most
        plot.fill([null, null - edge, null + edge], [0, most, most], color=colour, lw=0, zorder=0.5)
    plot.plot([null, null], [0, most], color=REFERENCE, lw=RULE, zorder=1)
    plot.set_xlim(*limits)


def _edges(plot: Axes, null: float, level: float, most: float, limits: tuple[float, float]) -> None:
    """Where studies become significant, as lines, and no effect between them."""
    edge = float(norm.ppf(0.5 + level / 2)) * most
    plot.plot([null - edge, null, null + edge], [most, 0, most], color=_EDGE, lw=RULE, zorder=1)
    plot.plot([null, null], [0, most], color=REFERENCE, lw=RULE, zorder=1)
    plot.set_xlim(*limits)


def _sunset(page: Sheet, null: float, power: Power, most: float) -> None:
    """Bands of power, which falls as the standard error grows, and its axis on the right."""
    plot, size = page.plot, page.size
    crit = float(norm.ppf(1 - power.alpha / 2))
    shift = np.linspace(0, crit + 8, 4001)  # effect in standard errors
    reached = norm.cdf(shift - crit) + norm.cdf(-shift - crit)
    wanted = [p for p in POWERS if p > power.alpha]
    edges = abs(_theta(power) - null) / np.interp(wanted, reached, shift)  # falling
    last, ticks = most, []
    colours = _SUNSET[len(POWERS) - len(wanted) :]
    for p, edge, colour in zip(wanted, edges, colours, strict=False):
        if edge < last:
            plot.axhspan(float(edge), last, color=colour, lw=0, zorder=0)
            last = float(edge)
        if edge < most:
            ticks.append((float(edge), f"{p:.0%}"))
    right = plot.twinx()
    right.set_ylim(most, 0)
    right.set_facecolor("none")
    right.spines[["left", "top", "bottom"]].set_visible(False)
    right.spines["right"].set(linewidth=RULE, color=INK)
    room = page.bottom - page.top
    kept: list[Tick] = []
    for tick in reversed(ticks):  # the highest power first
        if not kept or (tick[0] - kept[-1][0]) / most * room >= 1.2 * size:
            kept.append(tick)
    set_ticks(right, "y", kept, size)
    width, height = page.page.size_points
    page.page.text(
        (page.x1 + 7 + text_width("80%", size) + 0.9 * size) / width,
        1 - (page.top + page.bottom) / 2 / height,
        "Power",
        fontproperties=font(size),
        color=INK,
        rotation=270,
        ha="center",
        va="center",
    )


def _funnel(
    plot: Axes, result: PooledEffect, fill: TrimFill | None, most: float, size: float
) -> None:
    """The pooled effect, where 95% of studies would lie without heterogeneity, and the studies."""
    middle, spread = result.estimate, float(norm.ppf(0.975)) * most
    plot.plot([middle, middle], [0, most], zorder=2, gid="estimate", **_DOTTED)
    if fill:
        middle = fill.filled.estimate
        plot.plot([middle] * 2, [0, most], color=OURS, lw=0.9, zorder=2, gid="adjusted")
    for side in (-1, 1):
        plot.plot([middle, middle + side * spread], [0, most], zorder=2, **_DASHED)
    effects = result.effects
    plot.plot(
        effects.yi,
        np.sqrt(effects.vi),
        ls="none",
        clip_on=False,
        gid="studies",
        zorder=3,
        **sized(POINT, size),
    )
    if fill and fill.k0:
        added = fill.filled.effects
        plot.plot(
            added.yi[effects.k :],
            np.sqrt(added.vi[effects.k :]),
            ls="none",
            clip_on=False,
            gid="filled",
            zorder=3,
            **sized(_HOLLOW, size),
        )


def _small_print(result: PooledEffect, power: Power | None, fill: TrimFill | None) -> list[str]:
    natural = result.effects.measure.natural
    if fill:
        count = f"{fill.k0} {'study' if fill.k0 == 1 else 'studies'}"
        where = f" on the {fill.side}" if fill.k0 else ""
        texts = [
            f"Dotted: pooled effect ({show(natural(result.estimate))}). Solid: with {count} filled "
            f"in{where} ({fill.estimator}; {show(natural(fill.filled.estimate))}). "
            "Dashed: 95% of studies if all shared it."
        ]
    else:
        texts = ["Dotted: pooled effect. Dashed: 95% of studies if all shared it."]
    if power:
        text = f"Power to find {show(natural(_theta(power)))} at p < {power.alpha:.3g}: median "
        text += f"{np.median(power.power):.0%}."
        if isinstance(power, ExcessSignificance):
            text += f" Significant studies: {power.observed}, expected {show(power.expected, 1)} "
            text += f"({show_p(power.chi2_p)})."
        texts.append(text)
    if result.effects.k < FEW:
        texts.append(
            f"Fewer than {FEW} studies (k = {result.effects.k}): "
            "asymmetry cannot be told from chance."
        )
    return texts


def _alt(
    result: PooledEffect,
    levels: Sequence[float],
    power: Power | None,
    fill: TrimFill | None,
    words: list[str],
) -> str:
    effects = (fill.filled if fill else result).effects
    points = "; ".join(
        f"{study}: {show(effects.measure.natural(float(y)))}, standard error {show(math.sqrt(v))}"
        for study, y, v in zip(effects.study, effects.yi, effects.vi, strict=True)
    )
    shown = f" Shaded by significance at p = {', '.join(map(_p, levels))}." if levels else ""
    if power:
        each = ", ".join(
            f"{study} {p:.0%}" for study, p in zip(result.effects.study, power.power, strict=True)
        )
        shown = f" Shaded by power: {each}."
    return (
        f"Funnel plot of {effects.k} effects ({effects.measure.label}) against standard error: "
        f"{points}.{shown} {' '.join(words)}"
    )
