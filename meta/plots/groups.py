"""What a forest plot shows: rows and groups, their numbers as printed, and the whole in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.lights import check_lights
from meta.results import PooledEffect, show, show_p

Role = Literal["primary", "sensitivity", "published", "unpooled", "refit"]


@dataclass(frozen=True)
class Row:
    """One line of the plot; numbers on the analysis scale, ``weight`` 0 to 1 or None."""

    label: str
    yi: float
    ci: tuple[float, float]
    weight: float | None
    columns: tuple[str, ...]
    role: Role = "primary"
    href: str | None = None
    lights: tuple[str, ...] = ()  # judgements of risk of bias, keys of ``meta.plots.lights``


@dataclass(frozen=True)
class Group:
    """One analysis: its rows and its pooled effect, or a note that says why there is none.

    ``totals`` are the cells of the pooled line under ``Row.columns``, such as the people in all.
    """

    title: str
    rows: tuple[Row, ...]
    result: PooledEffect | None = None
    note: str = ""
    totals: tuple[str, ...] = ()


def describe(groups: Sequence[Group], measure: Measure, lights: Sequence[str] = ()) -> str:
    """The picture in words: every study, every pooled effect, and why there is none."""
    parts = [f"Forest plot of {len(groups)} {'analysis' if len(groups) == 1 else 'analyses'}"]
    parts[0] += f", effects as {_lower(measure.label)} with {level(groups):.0%} intervals."
    decimals = digits(groups, measure)
    for group in groups:
        listed = "; ".join(
            f"{row.label}: {_interval(measure, row.yi, row.ci, decimals)}"
            + _ROLE_WORDS[row.role]
            + _judged(row, lights)
            for row in group.rows
        )
        count = f"{len(group.rows)} {'row' if len(group.rows) == 1 else 'rows'}"
        text = f"{group.title or 'Studies'} ({count})"
        text += f": {listed}." if listed else "."
        if group.result:
            result = group.result
            text += (
                f" Pooled ({result.method()}): "
                f"{_interval(measure, result.estimate, result.ci, decimals)}."
            )
            if result.prediction:
                low, high = ends(measure, result.prediction, decimals)
                name = prediction_label(result).replace("\u00a0", " ")
                text += f" {name} {low} to {high}."
            text += f" {result.heterogeneity()}."
        else:
            text += " Not pooled."
        if group.note:
            text += f" {group.note.rstrip('.')}."
        parts.append(text)
    return " ".join(parts)


_ROLE_WORDS = {
    "primary": "",
    "sensitivity": " (sensitivity only)",
    "published": " (as published)",
    "unpooled": " (not pooled)",
    "refit": "",
}


def _judged(row: Row, lights: Sequence[str]) -> str:
    told = [
        f"{head} {judgement}"
        for head, judgement in zip(lights, row.lights, strict=False)
        if judgement
    ]
    return f" (risk of bias: {', '.join(told)})" if told else ""


def check(groups: Sequence[Group], heads: tuple[str, ...], lights: Sequence[str] = ()) -> None:
    if not any(group.rows or group.result or group.note for group in groups):
        raise InputError("there is nothing to draw", remedy="give a group with a row or a note")
    wrong = [
        f"{row.label}: {len(row.columns)} cells"
        for group in groups
        for row in group.rows
        if len(row.columns) != len(heads)
    ]
    wrong += [
        f"{group.title}: {len(group.totals)} totals"
        for group in groups
        if group.totals and len(group.totals) != len(heads)
    ]
    unlit = [
        f"{row.label}: {len(row.lights)} judgements"
        for group in groups
        for row in group.rows
        if row.lights and len(row.lights) != len(lights)
    ]
    if unlit:
        raise InputError(
            f"the plot has {len(lights)} lights ({', '.join(lights)}), some rows have not",
            unlit,
            remedy="give each row a judgement for each, empty where there is none",
        )
    check_lights(light for group in groups for row in group.rows for light in row.lights)
    if wrong:
        raise InputError(
            f"the plot has {len(heads)} columns ({', '.join(heads)}), some rows have not",
            wrong,
            remedy="give each row one cell for each head, empty where nothing is known",
        )


def axis_name(measure: Measure) -> str:
    return f"{measure.label} (log scale)" if measure.scale == "log" else measure.label


def short(measure: Measure) -> str:
    """The head of the column of effects: the literature's key, or what the numbers are."""
    return {"fisher-z": "r", "logit": "Proportion"}.get(measure.scale, measure.key)


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def level(groups: Sequence[Group]) -> float:
    return next((g.result.level for g in groups if g.result), 0.95)


def digits(groups: Sequence[Group], measure: Measure) -> int:
    """Two decimals, one more or fewer where intervals are very narrow or very wide."""
    widths = sorted(
        abs(measure.natural(row.ci[1]) - measure.natural(row.ci[0]))
        for group in groups
        for row in group.rows
        if all(map(math.isfinite, row.ci))
    )
    if not widths:
        return 2
    middle = widths[len(widths) // 2]
    return 3 if middle < 0.05 else 1 if middle >= 100 else 2


def ends(measure: Measure, ci: tuple[float, float], places: int) -> tuple[str, str]:
    return show(measure.natural(ci[0]), places), show(measure.natural(ci[1]), places)


def _interval(measure: Measure, yi: float, ci: tuple[float, float], places: int) -> str:
    low, high = ends(measure, ci, places)
    return f"{show(measure.natural(yi), places)} [{low}, {high}]"


def pooled_label(result: PooledEffect, level: float) -> str:
    """What stands before a diamond; names the level where it is not that of the column."""
    about = f"k = {result.effects.k}"
    if result.level != level:
        about += f", {result.level:.0%} CI"
    return "Pooled effect (" + about.replace(" ", "\u00a0") + ")"


def prediction_label(result: PooledEffect) -> str:
    """What stands before a prediction interval: its distribution and degrees of freedom."""
    df = result.prediction_df
    return "Prediction interval " + ("(normal)" if df is None else f"(t,\u00a0{df:.3g}\u00a0df)")


def small_print(group: Group) -> list[str]:
    """Method, test, heterogeneity and notes of a group; each a line or more."""
    texts = [group.note] if group.note else []
    if result := group.result:
        letter = f"t({result.df:.3g})" if result.df is not None else "z"
        method = result.method()
        reason = f" ({result.ci_reason})" if result.ci_reason else ""
        texts = [
            f"{method[:1].upper()}{method[1:]}{reason}; overall effect {letter} = "
            f"{show(result.statistic)}, {show_p(result.p)}",
            f"Heterogeneity: {result.heterogeneity()}",
            *texts,
            *result.notes,
        ]
    texts = [text.replace("tau²", "τ²").replace("tau2", "τ²") for text in texts]
    # Two ends of an interval and two sides of a sign stay on one line.
    texts = [re.sub(r"(?<=[\d–]) to (?=[\d−–])", "\u00a0to\u00a0", text) for text in texts]
    return [re.sub(r" ([=<>≥≤±]) ", "\u00a0\\1\u00a0", text) for text in texts]
