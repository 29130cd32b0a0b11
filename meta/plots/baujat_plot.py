"""The Baujat plot: which studies make the heterogeneity, and which move the pooled effect."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes

from meta.errors import InputError
from meta.influence import Refits, leave_one_out
from meta.plots.analyses import analysed
from meta.plots.axis import plain_ticks
from meta.plots.labels import label_points
from meta.plots.sheet import POINT, Scale, sheet, sized
from meta.plots.style import Page, room_of, styled
from meta.results import PooledEffect, show
from meta.tau2 import DEFAULT_TAU2


def baujat(
    result: PooledEffect,
    without: Refits | None = None,
    *,
    names: int | None = None,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw each study's share in the heterogeneity against its influence on the result.

    Across: its squared Pearson residual, (y - estimate)^2 / (v + tau2), which is its part of Q
    under the common-effect model. Upwards: the squared shift of the estimate when it is left out,
    in standard errors of the estimate without it.

    Parameters
    ----------
    result : the analysis.
    without : ``meta.leave_one_out`` of the same effects by the same model; made here where it is
        not given.
    names : how many studies to name, from the farthest out; by default all that have room.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If ``without`` is of other studies.

    References
    ----------
    Baujat et al. (2002), Stat Med 21:2641-2652.
    """
    effects = analysed(result, "a Baujat plot").effects
    if without is None:
        method = result.tau2_method or DEFAULT_TAU2
        without = leave_one_out(effects, model=result.model, tau2=method)
    if without.label != effects.study:
        raise InputError(
            "the refits do not leave out the studies of this result",
            remedy="give leave_one_out(result.effects) with the same model",
        )
    x = (effects.yi - result.estimate) ** 2 / (effects.vi + result.tau2)
    y = ((result.estimate - without.estimate) / without.se) ** 2
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise InputError("a study's residual or influence is undefined", remedy="pool more studies")
    what = "overall Q" if result.model == "common" else "heterogeneity"
    ends = tuple(1.07 * float(v.max()) if v.max() > 1e-9 else 1.0 for v in (x, y))
    width_mm, _ = room_of(ax, width_mm)
    notes = ["No study departs from the pooled effect."] if x.max() <= 1e-9 else []
    with styled():
        page = sheet(
            width_mm,
            Scale((0.0, ends[0]), partial(plain_ticks, (0.0, ends[0])), f"Contribution to {what}"),
            Scale(
                (0.0, ends[1]),
                partial(plain_ticks, (0.0, ends[1]), upright=True),
                "Influence on the result",
            ),
            heading=f"Baujat plot: {effects.measure.label}",
            alt="Baujat plot of "
            + f"{effects.k} studies (contribution to {what}, influence on the result): "
            + "; ".join(
                f"{study}: {show(float(a))}, {show(float(b), 3)}"
                for study, a, b in zip(effects.study, x, y, strict=True)
            )
            + ".",
            title=title,
            ratio=0.72,
            notes=notes,
            ax=ax,
        )
        page.plot.plot(
            x, y, ls="none", clip_on=False, zorder=3, gid="studies", **sized(POINT, page.size)
        )
        far = np.hypot(x / ends[0], y / ends[1])
        order = [int(i) for i in np.argsort(-far, kind="stable")]
        label_points(page, x, y, effects.study, order[:names])
        return page.page
