"""Pictures of triage: how fast an order finds what is relevant, and how far to trust its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from evidence.errors import InputError
from evidence.triage.explain import Bin
from evidence.triage.simulation import Run
from meta.plots.axis import plain_ticks
from meta.plots.sheet import POINT, Entry, Scale, Sheet, sheet, sized
from meta.plots.style import INK, OURS, PUBLISHED, REFERENCE, RULE, Page, room_of, styled

# After our own blue, Okabe and Ito (2008), told apart with every colour vision.
COLOURS = (OURS, "#D55E00", "#009E73", "#CC79A7", INK, PUBLISHED)
CHANCE: dict[str, Any] = {"color": REFERENCE, "lw": RULE, "ls": (0, (4, 3))}
STOPPED: dict[str, Any] = {"marker": "o", "ms": 3.6, "mfc": "white", "mew": 0.9}
HUNDRED = (0.0, 100.0)


def recall_curves(
    runs: Sequence[Run],
    relevant: Mapping[str, bool],
    *,
    rule: str = "expected",
    title: str | None = None,
    width_mm: float = 120,
    ax: Axes | None = None,
) -> Page:
    """Draw the share of the relevant records found against the share of records read.

    Each run is a line, each model a colour; a circle shows where a stopping rule ended the run.
    Priors are counted in both shares, as stopping rules count them.

    Parameters
    ----------
    runs : sequence of Run
        Of one labelled set.
    relevant : mapping of str to bool
        The label of each record.
    rule : str
        The stopping rule that is shown, where the runs have it.

    Raises
    ------
    InputError
        If there is no run.
    """
    if not runs:
        raise InputError("there is no run to draw")
    models = list(dict.fromkeys(run.model for run in runs))
    colour = {m: COLOURS[i % len(COLOURS)] for i, m in enumerate(models)}
    stops = any(rule in run.stopping for run in runs)
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        key = [Entry(_words(m, runs), {"color": colour[m], "lw": 1.1}) for m in models]
        key.append(Entry("expected by lot", CHANCE))
        if stops:
            key.append(Entry(f"stopped by the rule “{rule}”", {**STOPPED, "mec": OURS}))
        page = _square(
            width_mm,
            "Records read",
            "Relevant records found",
            "Recall curves",
            _alt(runs, rule),
            title,
            key,
            ax,
        )
        for run in runs:
            found = np.array([relevant[pmid] for pmid in (*run.priors, *run.order)])
            read = 100 * np.arange(len(found) + 1) / len(found)
            recall = 100 * np.concatenate([[0], np.cumsum(found)]) / found.sum()
            page.plot.plot(
                read, recall, color=colour[run.model], lw=0.9, clip_on=False, drawstyle="steps-post"
            )
            if rule in run.stopping:
                stop = run.stopping[rule]
                page.plot.plot(
                    100 * (1 - stop.saved),
                    100 * stop.recall,
                    clip_on=False,
                    zorder=4,
                    **sized({**STOPPED, "mec": colour[run.model]}, page.size),
                )
        return page.page


def calibration(
    bins: Sequence[Bin], *, title: str | None = None, width_mm: float = 89, ax: Axes | None = None
) -> Page:
    """Draw what became of the decided records against what the others had foretold.

    Parameters
    ----------
    bins : sequence of Bin
        As `evidence.triage.explain.calibration_bins` gives them.

    Raises
    ------
    InputError
        If there is no bin.
    """
    if not bins:
        raise InputError(
            "nothing to draw: at least one record must be included and one excluded first"
        )
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        listed = "; ".join(
            f"{b.foretold:.1%} foretold, {b.relevant} of {b.records} included" for b in bins
        )
        page = _square(
            width_mm,
            "Probability foretold by the other decisions",
            "Included",
            "Calibration",
            f"Calibration in {len(bins)} groups of decided records: {listed}.",
            title,
            [Entry("as foretold", CHANCE), Entry("a group, with 95% CI", {**POINT, "ls": "none"})],
            ax,
        )
        for one in bins:
            low, high = one.ci
            page.plot.plot([100 * one.foretold] * 2, [100 * low, 100 * high], color=INK, lw=RULE)
            page.plot.plot(
                100 * one.foretold,
                100 * one.share,
                zorder=4,
                clip_on=False,
                **sized(POINT, page.size),
            )
        return page.page


def _square(
    width_mm: float,
    across: str,
    upwards: str,
    heading: str,
    alt: str,
    title: str | None,
    key: Sequence[Entry],
    ax: Axes | None,
) -> Sheet:
    """A sheet with two axes from 0 to 100 % and the diagonal."""
    ticks = partial(plain_ticks, HUNDRED, unit="%")
    page = sheet(
        width_mm,
        Scale(HUNDRED, ticks, across),
        Scale(HUNDRED, partial(ticks, upright=True), upwards),
        heading=heading,
        alt=alt,
        title=title,
        ratio=0.8,
        right=12.0,  # room for half of "100%"
        key=key,
        ax=ax,
    )
    page.plot.plot(HUNDRED, HUNDRED, zorder=0, **CHANCE)
    return page


def _words(model: str, runs: Sequence[Run]) -> str:
    mine = [run for run in runs if run.model == model]
    wss95 = f"{np.mean([run.wss95 for run in mine]):.2f}".replace("-0.00", "0.00")
    return f"{model}, WSS@95 {wss95.replace('-', '−')}"


def _alt(runs: Sequence[Run], rule: str) -> str:
    listed = []
    for run in runs:
        text = f"{run.model}, seed {run.seed}: WSS@95 {run.wss95:.3f}"
        if rule in run.stopping:
            stop = run.stopping[rule]
            text += f", stopped after {1 - stop.saved:.0%} with {stop.recall:.1%} found"
        listed.append(text)
    return f"Recall against records read. {'; '.join(listed)}."
