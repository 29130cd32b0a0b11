"""The radial (Galbraith) plot: standardised effects against precision; slopes are effects."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
from scipy.stats import norm

from meta.errors import InputError
from meta.plots.axis import plain_ticks, ticks_for
from meta.plots.groups import axis_name
from meta.plots.labels import label_points
from meta.plots.sheet import Entry, Scale, Sheet, sheet
from meta.plots.style import (
    INK,
    OURS,
    REFERENCE,
    RULE,
    Picture,
    fit,
    styled,
    text_width,
    type_size,
)
from meta.results import PooledEffect, show

_BAND = "#E9EFF4"
ARC = 0.94  # of the plot's width at which the arc of effects stands
_POINT = {"marker": "o", "ms": 4.2, "mfc": OURS, "mec": "white", "mew": 0.5}


def radial(
    result: PooledEffect,
    *,
    spread: Literal["model", "sampling"] = "model",
    centre: float | None = None,
    names: bool = True,
    title: str | None = None,
    width_mm: float = 89,
) -> Picture:
    """Draw a radial plot: the slope of the line from the origin to a point is its effect.

    Parameters
    ----------
    result : the analysis; its estimate is the line, its interval the thick part of the arc.
    spread : what a study is standardised by: the model's standard deviation of its effect,
        sqrt(v + tau2), so that the line is the pooled effect; or its standard error alone, so that
        heterogeneity shows as points outside the band.
    centre : effect (analysis scale) that has slope zero; no effect by default, or the pooled effect
        for a measure without such a value. Give one near the effects where they are far from zero.
    names : write the names of studies outside the band.

    Raises
    ------
    InputError
        If there is no study with a finite effect and positive variance.

    References
    ----------
    Galbraith (1988), Technometrics 30:271-281.
    """
    effects = result.effects
    v = effects.vi + (result.tau2 if spread == "model" else 0.0)
    if not (effects.k and np.all(np.isfinite(effects.yi)) and np.all(v > 0)):
        raise InputError("a radial plot needs studies with finite effects and positive variances")
    null = effects.measure.null
    if centre is None:
        centre = null if math.isfinite(null) else result.estimate
    x = 1 / np.sqrt(v)
    z = (effects.yi - centre) * x
    crit = float(norm.ppf(0.975))
    outside = np.abs(z - (result.estimate - centre) * x) > crit
    with styled():
        size = type_size(width_mm)
        most = float(x.max()) / 0.8  # the arc and what stands before it take the rest
        low = min(-2.0, float(z.min()), (result.estimate - centre) * most * ARC - crit)
        high = max(2.0, float(z.max()), (result.estimate - centre) * most * ARC + crit)
        pad = 0.06 * (high - low)
        limits = (low - pad, high + pad)
        under = "√(v + τ²)" if spread == "model" and result.tau2 > 0 else "standard error"
        from_ = "" if centre == 0 and centre == null else " − centre"
        names_of = {"√(v + τ²)": "1 / √(v + τ²)", "standard error": "1 / standard error"}
        notes = [
            f"Line: {'pooled effect' if result.model == 'random' else 'common effect'} "
            f"{show(effects.measure.natural(result.estimate))}. Band: 95% of studies if the model "
            "holds. Thick arc: interval of the pooled effect."
        ]
        if from_:
            notes.append(f"Centre: {show(effects.measure.natural(centre))}.")
        arc_ticks = _arc_ticks(result, x, z, centre)
        right = max((text_width(text, size) for _, text in arc_ticks), default=0) + 4
        right += 1.6 * size
        page = sheet(
            width_mm,
            Scale(
                (0.0, most),
                partial(plain_ticks, (0.0, float(x.max()) * 1.02)),
                f"Precision, {names_of[under]}",
            ),
            Scale(limits, partial(plain_ticks, limits, upright=True), f"(Effect{from_}) / {under}"),
            heading=f"Radial plot: {effects.measure.label}",
            alt=_alt(result, x, z, outside, under, notes),
            title=title,
            ratio=0.8,
            notes=notes,
            right=right,
        )
        _lines(page, result, most, centre, crit)
        _arc(page, result, arc_ticks, x, z, centre)
        page.plot.plot(x, z, ls="none", clip_on=False, zorder=3, gid="studies", **_POINT)
        if names:
            off = np.abs(z - (result.estimate - centre) * x)
            order = [int(i) for i in np.argsort(-off) if outside[i]]
            label_points(page, x, z, effects.study, order)
        return page.page
