"""What a forest plot shows: rows and groups, their numbers as printed, and the whole in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from meta.errors import InputError
from meta.measures.registry import Measure
from meta.plots.axis import power
from meta.plots.lights import check_lights
from meta.results import PooledEffect, show, show_p

_OPTION = re.compile(r"\w+ = \S+$")  # a choice as typed, among the notes of an analysis
MOST_WHOLE = 1e9  # a number from here on is printed as a power of ten
MOST_RATIO = 9999  # a ratio above is printed as above it
Role = Literal["primary", "sensitivity", "published", "unpooled", "refit"]


class Pooled(Protocol):
    """The least that a diamond needs; every pooled result of ``meta`` has it."""

    @property
    def estimate(self) -> float: ...

    @property
    def ci(self) -> tuple[float, float]: ...

    @property
    def level(self) -> float: ...


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
    further: tuple[float | None, ...] = ()  # weights in the further models of the group


@dataclass(frozen=True)
class Group:
    """One analysis: its rows and its pooled effect, or a note that says why there is none.

    ``totals`` are the cells of the pooled line under ``Row.columns``, such as the people in all.
    ``further`` are other models of the same rows, each with its name or an empty text, drawn as
    diamonds below the first, which ``name`` may tell apart. ``brief`` leaves the method unsaid
    where another group says it for all.
    """

    title: str
    rows: tuple[Row, ...]
    result: Pooled | None = None
    note: str = ""
    totals: tuple[str, ...] = ()
    further: tuple[tuple[str, Pooled], ...] = ()
    name: str = ""
    brief: bool = False


@dataclass(frozen=True)
class Diamond:
    """A pooled effect as a picture shows it: its numbers, and its method in words."""

    estimate: float
    ci: tuple[float, float]
    level: float
    k: int | None
    label: str
    method: str
    reason: str
    test: str
    heterogeneity: str
    prediction: tuple[float, float] | None
    prediction_df: float | None
    notes: tuple[str, ...]


def diamonds(group: Group) -> list[Diamond]:
    """Every pooled effect of a group, from top to bottom."""
    if group.result is None:
        return []
    pairs = [(group.name, group.result), *group.further]
    names = model_names([result for _, result in pairs])
    return [
        _diamond(result, name or (own if len(pairs) > 1 else "Pooled effect"))
        for (name, result), own in zip(pairs, names, strict=True)
    ]


def model_names(results: Sequence[Pooled]) -> list[str]:
    """A name for each model, as short as tells them apart."""
    short = [_model(result) for result in results]
    full = [_method(result) for result in results]
    chosen = short if len(set(short)) == len(short) else full
    return [text[:1].upper() + text[1:] for text in chosen]


def _model(result: Any) -> str:
    if isinstance(result, PooledEffect):
        return "common effect" if result.model == "common" else f"random ({result.tau2_method})"
    return _method(result)


def _method(result: Any) -> str:
    method = getattr(result, "method", None)
    text = method() if callable(method) else method
    return str(text or getattr(result, "model", "") or "pooled effect")


def studies_of(result: Any) -> int | None:
    """How many studies are in a pooled effect, where it says so."""
    effects = getattr(result, "effects", None)
    k = getattr(result, "k", None) if effects is None else effects.k
    return None if k is None else int(k)


def _diamond(result: Any, label: str) -> Diamond:
    test = ""
    if (statistic := getattr(result, "statistic", None)) is not None:
        df = getattr(result, "df", None)
        letter = f"t({df:.3g})" if df is not None else "z"
        test = f"overall effect {letter} = {show(statistic)}, {show_p(getattr(result, 'p', None))}"
    heterogeneity = getattr(result, "heterogeneity", None)
    return Diamond(
        float(result.estimate),
        (float(result.ci[0]), float(result.ci[1])),
        float(result.level),
        studies_of(result),
        label,
        _method(result),
        getattr(result, "ci_reason", ""),
        test,
        str(heterogeneity() if callable(heterogeneity) else heterogeneity or ""),
        getattr(result, "prediction", None),
        getattr(result, "prediction_df", None),
        _notes(result),
    )


def _notes(result: Any) -> tuple[str, ...]:
    """What a result remarks, after what was done to zero counts on the way to its effects."""
    own = tuple(getattr(result, "notes", ()))
    before = getattr(getattr(result, "effects", None), "notes", ())
    return (*(n for n in before if n.startswith("zero counts") and n not in own), *own)


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
        for found in diamonds(group):
            text += (
                f" Pooled ({found.method}): "
                f"{_interval(measure, found.estimate, found.ci, decimals)}."
            )
            if found.prediction:
                low, high = ends(measure, found.prediction, decimals)
                name = prediction_label(found).replace("\u00a0", " ")
                text += f" {name} {low} to {high}."
            text += f" {found.heterogeneity}." if found.heterogeneity else ""
        if not group.result:
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


SCALES = {  # how the ticks of an axis with natural numbers are spaced
    "log": "log scale",
    "logit": "logit scale",
    "fisher-z": "Fisher’s z scale",
    "arcsine": "arcsine scale",
    "freeman-tukey": "double arcsine scale",
    "square-root": "square-root scale",
    "freeman-tukey-rate": "Freeman-Tukey scale",
}
_SHORT = {  # where the key says how numbers are analysed, what they are when printed
    "GEN": "Effect",
    "PETO": "OR",
    **dict.fromkeys(("D2ORN", "D2ORL"), "OR"),
    **dict.fromkeys(("OR2DN", "OR2DL"), "SMD"),
    **dict.fromkeys(("COR", "UCOR", "ZCOR"), "r"),
    **dict.fromkeys(("PCOR", "ZPCOR"), "Partial r"),
    **dict.fromkeys(("PR", "PLN", "PLO", "PAS", "PFT"), "Proportion"),
    **dict.fromkeys(("IR", "IRLN", "IRS", "IRFT"), "Rate"),
    **dict.fromkeys(("MN", "MNLN"), "Mean"),
    "CVLN": "CV",
    "SDLN": "SD",
}


def axis_name(measure: Measure) -> str:
    """The measure's label, with the scale where equal steps are not equal differences."""
    spaced = SCALES.get(measure.scale)
    if spaced is None:
        return measure.label
    what, _, kind = measure.label.removesuffix(")").partition(" (")
    same = kind and spaced.lower().replace("-", " ").startswith(kind.lower().replace("-", " "))
    return f"{what} ({spaced})" if same or not kind else f"{what} ({kind}; {spaced})"


def short(measure: Measure) -> str:
    """The head of the column of effects: the literature's key, or what the numbers are."""
    return _SHORT.get(measure.key, measure.key)


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def level(groups: Sequence[Group]) -> float:
    return next((g.result.level for g in groups if g.result), 0.95)


def digits(groups: Sequence[Group], measure: Measure) -> int:
    """Two decimals; more or fewer where intervals are very narrow or very wide."""
    widths = sorted(
        abs(measure.natural(row.ci[1]) - measure.natural(row.ci[0]))
        for group in groups
        for row in group.rows
        if all(map(math.isfinite, row.ci))
    )
    if not widths:
        return 2
    middle = widths[len(widths) // 2]
    if all(row.role == "refit" for group in groups for row in group.rows):
        middle /= 4  # refits differ by less than their intervals are wide
    if middle >= 100:
        return 1 if middle < 1000 else 0
    return 2 if middle >= 0.05 or not middle else min(6, math.ceil(-math.log10(middle)) + 1)


def number(measure: Measure, value: float, places: int) -> str:
    """An effect as printed; a ratio that rounds to nothing, or is beyond use, as its bound."""
    natural = measure.natural(value)
    if measure.scale == "log" and math.isfinite(measure.null) and math.isfinite(natural):
        if round(natural, places) == 0:
            return f"<{10.0**-places:.{places}f}"
        if natural > MOST_RATIO:
            return f">{MOST_RATIO}"
    if math.isfinite(natural) and abs(natural) >= MOST_WHOLE:
        digits, exponent = f"{natural:.1e}".split("e")
        return f"{digits}×10{power(int(exponent))}".replace("-", "−")
    return show(natural, places)


def ends(measure: Measure, ci: tuple[float, float], places: int) -> tuple[str, str]:
    return number(measure, ci[0], places), number(measure, ci[1], places)


def _interval(measure: Measure, yi: float, ci: tuple[float, float], places: int) -> str:
    low, high = ends(measure, ci, places)
    return f"{number(measure, yi, places)} [{low}, {high}]"


def pooled_label(found: Diamond, level: float, rows: int | None = None) -> str:
    """What stands before a diamond; names the level where it is not that of the column.

    The number of studies is left out where it is that of the ``rows`` above several diamonds.
    """
    about = [f"k = {found.k}"] if found.k is not None and found.k != rows else []
    if found.level != level:
        about.append(f"{found.level:.0%} CI")
    words = ", ".join(about).replace(" ", "\u00a0")
    return f"{found.label} ({words})" if words else found.label


def prediction_label(found: Diamond | PooledEffect) -> str:
    """What stands before a prediction interval: its distribution and degrees of freedom."""
    df = found.prediction_df
    return "Prediction interval " + ("(normal)" if df is None else f"(t,\u00a0{df:.3g}\u00a0df)")


def small_print(group: Group) -> list[str]:
    """Method, test, heterogeneity and notes of a group; each a line or more."""
    texts = [group.note] if group.note else []
    found = diamonds(group)
    lines: list[str] = []
    for one in found:
        words = [one.method[:1].upper() + one.method[1:]]
        if len(found) > 1 and not words[0].startswith(one.label.partition(" (")[0]):
            words[0] = f"{one.label}: {one.method}"
        words[0] += f" ({one.reason})" if one.reason else ""
        words += [one.test] if one.test else []
        if not group.brief:
            lines.append("; ".join(words))
    told = _heterogeneity(found)
    for label, own in told:
        of = f", {label}" if len(told) > 1 else ""
        lines.append(own if group.brief else f"Heterogeneity{of}: {own}")
    notes = dict.fromkeys(note for one in found for note in one.notes)
    said = [note[:1].upper() + note[1:] for note in notes if not _OPTION.match(note)]
    texts = [*lines, *texts, *said]
    texts = [text.replace("tau²", "τ²").replace("tau2", "τ²") for text in texts]
    # Two ends of an interval and two sides of a sign stay on one line.
    texts = [re.sub(r"(?<=[\d–]) to (?=[\d−–])", "\u00a0to\u00a0", text) for text in texts]
    return [re.sub(r" ([=<>≥≤±]) ", "\u00a0\\1\u00a0", text) for text in texts]


def _heterogeneity(found: Sequence[Diamond]) -> list[tuple[str, str]]:
    """What each model says of heterogeneity; unsaid of one study and where another says it all."""
    told: dict[str, str] = {}
    for one in found:
        if one.k != 1 and one.heterogeneity:
            told.setdefault(one.heterogeneity, one.label)
    return [
        (label, text)
        for text, label in told.items()
        if not any(other != text and other.startswith(text) for other in told)
    ]
