"""Routes to the difference between two arms or groups."""

from __future__ import annotations

import math
from typing import Any

from evidence.model import EffectRow
from evidence.routes.parts import (
    Spread,
    corrected,
    measured,
    pooled,
    sign_of,
    spread,
    spread_from_ci,
    t_from_p,
)
from evidence.routes.registry import CHANGE, RAW, Choices, Effect, route
from evidence.routes.words import as_is, difference, rounded
from meta import conversions


def _two_means(
    choices: Choices, n_1: int, mean_1: float, sd_1: Spread, n_2: int, mean_2: float, sd_2: Spread
) -> Effect:
    """Hedges' g of two means with their SDs."""
    columns = (mean_1, sd_1.sd, n_1, mean_2, sd_2.sd, n_2)
    m = n_1 + n_2 - 2
    if choices.heteroscedastic:
        y, v = measured("SMDH", *columns, exact_j=choices.exact_j)
        root = f"√(({sd_1.text}² + {sd_2.text}²)/2)"
        text = (
            f"d = ({difference(mean_1, mean_2)}) / {root}; {corrected(y, m, choices)}; "
            f"v for unequal SDs (Bonett 2008) = {rounded(v)}"
        )
        return Effect(y, v, text)
    y, v = measured("SMD", *columns, exact_j=choices.exact_j)
    sd = pooled(sd_1.sd, n_1, sd_2.sd, n_2)
    text = (
        f"SD = √(({n_1 - 1} × {sd_1.text}² + {n_2 - 1} × {sd_2.text}²)/{m}) = {rounded(sd)}; "
        f"d = ({difference(mean_1, mean_2)}) / SD = {rounded((mean_1 - mean_2) / sd)}; "
        f"{corrected(y, m, choices)}; v = 1/{n_1} + 1/{n_2} + g²/(2 × {n_1 + n_2}) = {rounded(v)}"
    )
    return Effect(y, v, text)


@route(
    "post_means",
    label="Means and SDs of two groups at one time",
    needs=("n_1", "mean_post_1", "sd_post_1", "n_2", "mean_post_2", "sd_post_2"),
    metric=RAW,
    arms=2,
)
@route(
    "change_means",
    label="Means and SDs of change in two arms",
    needs=("n_1", "mean_change_1", "sd_change_1", "n_2", "mean_change_2", "sd_change_2"),
    metric=CHANGE,
    arms=2,
)
def two_means(
    row: EffectRow,
    choices: Choices,
    n_1: int,
    mean_1: float,
    printed_1: float,
    n_2: int,
    mean_2: float,
    printed_2: float,
) -> Effect:
    one, two = spread(row, printed_1, n_1), spread(row, printed_2, n_2)
    return _two_means(choices, n_1, mean_1, one, n_2, mean_2, two)


@route(
    "median_iqr_change",
    label="Medians and IQRs of change in two arms",
    needs=("n_1", "mean_change_1", "sd_change_1", "n_2", "mean_change_2", "sd_change_2"),
    metric=CHANGE,
    arms=2,
)
def two_medians(row: EffectRow, choices: Choices, *numbers: Any) -> Effect:
    effect = two_means(row, choices, *numbers)
    return effect.after("medians as means; ")


@route(
    "percent_change_ci",
    label="Percent changes of two arms with their confidence intervals",
    needs=(
        "n_1",
        "mean_change_1",
        "ci_low_1",
        "ci_high_1",
        "n_2",
        "mean_change_2",
        "ci_low_2",
        "ci_high_2",
    ),
    metric=CHANGE,
    arms=2,
)
def two_percent_changes(
    row: EffectRow,
    choices: Choices,
    n_1: int,
    mean_1: float,
    low_1: float,
    high_1: float,
    n_2: int,
    mean_2: float,
    low_2: float,
    high_2: float,
) -> Effect:
    one, text_1 = spread_from_ci(low_1, high_1, n_1)
    two, text_2 = spread_from_ci(low_2, high_2, n_2)
    effect = _two_means(choices, n_1, mean_1, one, n_2, mean_2, two)
    return effect.after(f"SDs from the intervals: {text_1}; {text_2}; ")


@route(
    "pre_post_control",
    label="Means before and after in two arms, SDs before",
    needs=(
        "n_1",
        "mean_pre_1",
        "sd_pre_1",
        "mean_post_1",
        "n_2",
        "mean_pre_2",
        "sd_pre_2",
        "mean_post_2",
    ),
    metric=RAW,
    uses_r=True,
    arms=2,
)
def pre_post_control(
    row: EffectRow,
    choices: Choices,
    n_1: int,
    pre_1: float,
    printed_1: float,
    post_1: float,
    n_2: int,
    pre_2: float,
    printed_2: float,
    post_2: float,
) -> Effect:
    r, m = choices.known_r, n_1 + n_2 - 2
    one, two = spread(row, printed_1, n_1), spread(row, printed_2, n_2)
    columns = (pre_1, post_1, one.sd, n_1, pre_2, post_2, two.sd, n_2, r)
    y, v = measured("SMDPPC", *columns, exact_j=choices.exact_j)
    sd = pooled(one.sd, n_1, two.sd, n_2)
    d = ((post_1 - pre_1) - (post_2 - pre_2)) / sd
    text = (
        f"SD before = √(({n_1 - 1} × {one.text}² + {n_2 - 1} × {two.text}²)/{m}) = {rounded(sd)}; "
        f"d = [({difference(post_1, pre_1)}) − ({difference(post_2, pre_2)})] / SD = {rounded(d)}; "
        f"{corrected(y, m, choices)}; "
        f"v by Morris (2008), equation 25 (r = {as_is(r)}) = {rounded(v)}"
    )
    return Effect(y, v, text)


def _two_sample(t: float, shown: str, choices: Choices, n_1: int, n_2: int) -> Effect:
    """Hedges' g from the t of two independent groups; ``shown`` is that t in the derivation."""
    found = conversions.g_from_t(t, n_1, n_2, exact_j=choices.exact_j)
    y, v, d = found["g"], found["vi"], found["d"]
    text = (
        f"d = {shown} × √(1/{n_1} + 1/{n_2}) = {rounded(d)}; "
        f"{corrected(y, n_1 + n_2 - 2, choices)}; "
        f"v = 1/{n_1} + 1/{n_2} + g²/(2 × {n_1 + n_2}) = {rounded(v)}"
    )
    return Effect(y, v, text)


TWO = ("n_1", "n_2")


@route(
    "two_arm_t",
    label="t of a two-sample t-test, at one time",
    needs=(*TWO, "statistic"),
    metric=RAW,
    arms=2,
)
@route(
    "change_t",
    label="t of a two-sample t-test of change",
    needs=(*TWO, "statistic"),
    metric=CHANGE,
    arms=2,
)
def two_sample_t(row: EffectRow, choices: Choices, n_1: int, n_2: int, t: float) -> Effect:
    return _two_sample(t, as_is(t), choices, n_1, n_2)


@route(
    "two_arm_f",
    label="F of two groups (1 numerator degree of freedom), at one time",
    needs=(*TWO, "statistic"),
    metric=RAW,
    arms=2,
)
@route(
    "change_f",
    label="F of two groups (1 numerator degree of freedom), of change",
    needs=(*TWO, "statistic"),
    metric=CHANGE,
    arms=2,
)
def two_sample_f(row: EffectRow, choices: Choices, n_1: int, n_2: int, f: float) -> Effect:
    sign = sign_of(row)
    t = sign * math.sqrt(f)
    effect = _two_sample(t, "t", choices, n_1, n_2)
    return effect.after(f"t = {'' if sign > 0 else '−'}√{as_is(f)} = {rounded(t)}; ")


@route(
    "two_arm_p",
    label="Exact p of a two-sample t-test, at one time",
    needs=(*TWO, "p"),
    metric=RAW,
    arms=2,
)
@route(
    "change_p",
    label="Exact p of a two-sample t-test of change",
    needs=(*TWO, "p"),
    metric=CHANGE,
    arms=2,
)
def two_sample_p(row: EffectRow, choices: Choices, n_1: int, n_2: int, p: float) -> Effect:
    t, text = t_from_p(row, p, n_1 + n_2 - 2)
    return _two_sample(t, "t", choices, n_1, n_2).after(text)


@route(
    "responders",
    label="Counts of responders in two arms",
    needs=("n_1", "events_1", "n_2", "events_2"),
    metric=CHANGE,
    arms=2,
)
def responders(
    row: EffectRow, choices: Choices, n_1: int, events_1: int, n_2: int, events_2: int
) -> Effect:
    """Responders are people whose change passed a limit, so that the SD is that of change."""
    y, v = measured("OR2DL", events_1, n_1, events_2, n_2)
    rest_1, rest_2 = n_1 - events_1, n_2 - events_2
    text = (
        f"log odds ratio = ln(({events_1} × {rest_2}) / ({rest_1} × {events_2})); "
        f"d = log odds ratio × √3/π = {rounded(y)}; "
        f"v = (1/{events_1} + 1/{rest_1} + 1/{events_2} + 1/{rest_2}) × 3/π² = {rounded(v)}"
    )
    return Effect(y, v, text)
