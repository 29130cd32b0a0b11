"""Forest plots of refits: the pooled effect as studies are added, or with each left out."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from meta.errors import InputError
from meta.influence import Refits
from meta.plots.analyses import analysed
from meta.plots.forest_plot import forest
from meta.plots.groups import Group, Row
from meta.plots.style import Page
from meta.results import DASH, PooledEffect, show_p


def leave_one_out_forest(
    refits: Refits,
    result: PooledEffect,
    *,
    order: Literal["given", "estimate"] = "given",
    left: str = "",
    right: str = "",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    width_mm: float = 170,
    ax: Axes | None = None,
) -> Page:
    """Draw what is pooled without each study (or cluster), above the effect of all.

    Parameters
    ----------
    refits : ``meta.influence.leave_one_out`` or ``leave_cluster_out``.
    result : the analysis of all studies by the same model; its estimate is the dotted line.
    order : as given, or from the lowest to the highest estimate.
    left, right, limits, width_mm, ax : as for ``meta.plots.forest``.

    Raises
    ------
    InputError
        If a refit has as many studies as the result, or the intervals differ in level.
    """
    _check(refits, result)
    if (refits.k >= result.effects.k).any():
        raise InputError(
            "these refits leave nothing out",
            remedy="give leave_one_out(result.effects), or draw them with cumulative_forest",
        )
    sequence = list(range(len(refits.label)))
    if order == "estimate":
        sequence = [int(i) for i in np.argsort(refits.estimate, kind="stable")]
    group = _group(refits, result, sequence, "")
    return _draw(group, result, "Left out", left, right, limits, title, width_mm, ax)


def cumulative_forest(
    refits: Refits,
    result: PooledEffect,
    *,
    left: str = "",
    right: str = "",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    width_mm: float = 170,
    ax: Axes | None = None,
) -> Page:
    """Draw the pooled effect as studies are added one by one, above the effect of all.

    Parameters
    ----------
    refits : ``meta.influence.cumulative``; its order is kept.
    result : the analysis of all studies by the same model.
    left, right, limits, width_mm, ax : as for ``meta.plots.forest``.

    Raises
    ------
    InputError
        If the refits do not end with all studies, or the intervals differ in level.
    """
    _check(refits, result)
    if len(refits.k) == 0 or int(refits.k[-1]) != result.effects.k or (np.diff(refits.k) < 1).any():
        raise InputError(
            "these refits do not add up to all studies",
            remedy="give cumulative(result.effects), or draw them with leave_one_out_forest",
        )
    group = _group(refits, result, list(range(len(refits.label))), "+ ")
    return _draw(group, result, "Added", left, right, limits, title, width_mm, ax)


def _check(refits: Refits, result: PooledEffect) -> None:
    analysed(result, "this plot")
    if not isinstance(refits, Refits):
        raise InputError(
            f"a {type(refits).__name__} is not a set of refits",
            remedy="give meta.leave_one_out(effects) or meta.cumulative(effects)",
        )


def _group(refits: Refits, result: PooledEffect, order: list[int], sign: str) -> Group:
    if refits.level != result.level:
        raise InputError(
            f"intervals of {refits.level:.0%} beside one of {result.level:.0%}",
            remedy="compute both at the same level",
        )
    rows = tuple(
        Row(
            label=(sign if n else "") + refits.label[i],
            yi=float(refits.estimate[i]),
            ci=(float(refits.ci[i, 0]), float(refits.ci[i, 1])),
            weight=None,
            columns=(
                str(int(refits.k[i])),
                DASH if refits.k[i] < 2 else f"{refits.i2[i]:.0%}",
                _p(float(refits.p[i])),
            ),
            role="refit",
        )
        for n, i in enumerate(order)
    )
    totals = (str(result.effects.k), f"{result.i2:.0%}", _p(result.p))
    return Group("", rows, result, _methods(refits, result), totals)


def _p(value: float) -> str:
    """A p-value in a column headed p."""
    return show_p(value).removeprefix("p ").removeprefix("= ").replace("< ", "<")


def _methods(refits: Refits, result: PooledEffect) -> str:
    """Says where the kind of interval changes from row to row, as it does by pooling's own rule."""
    other = sorted(set(refits.ci_method) - {result.ci_method})
    if not other:
        return ""
    count = sum(method != result.ci_method for method in refits.ci_method)
    return f"{count} of {len(refits.label)} rows have {' or '.join(other)} intervals."


def _draw(
    group: Group,
    result: PooledEffect,
    head: str,
    left: str,
    right: str,
    limits: tuple[float, float] | None,
    title: str | None,
    width_mm: float,
    ax: Axes | None,
) -> Page:
    return forest(
        [group],
        measure=result.effects.measure,
        columns=("k", "I²", "p"),
        left=left,
        right=right,
        limits=limits,
        name_head=head,
        title=title,
        width_mm=width_mm,
        ax=ax,
    )
