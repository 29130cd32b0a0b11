"""Routes to the change of one arm, before and after."""

from __future__ import annotations

import math

from evidence.model import EffectRow
from evidence.routes.parts import Spread, corrected, measured, spread, spread_from_ci, t_from_p
from evidence.routes.registry import CHANGE, RAW, Choices, Effect, as_sd, route
from evidence.routes.words import as_is, difference, rounded
from meta import conversions


def _before_after(
    choices: Choices, n: int, pre: float, by: Spread, post: float, after: float | None = None
) -> Effect:
    """Mean change over one SD; ``after`` is the SD after, where the two may differ."""
    r, d = choices.known_r, (post - pre) / by.sd
    if choices.heteroscedastic and after is not None:
        y, v = measured("SMCRH", pre, by.sd, post, after, n, r, exact_j=choices.exact_j)
        sds = f"{by.text} and {as_is(after)}"
        how = f"v for unequal SDs ({sds}, r = {as_is(r)}; Bonett 2008) = {rounded(v)}"
    else:
        y, v = measured("SMCR", pre, by.sd, post, n, r, exact_j=choices.exact_j)
        how = f"v = 2(1 − {as_is(r)})/{n} + g²/(2 × {n}) = {rounded(v)}"
    g = corrected(y, n - 1, choices)
    return Effect(y, v, f"d = ({difference(post, pre)}) / {by.text} = {rounded(d)}; {g}; {how}")


@route(
    "pre_post",
    label="Means before and after in one arm, SD before",
    needs=("n_1", "mean_pre_1", "sd_pre_1", "mean_post_1"),
    metric=RAW,
    uses_r=True,
)
def pre_post(
    row: EffectRow, choices: Choices, n: int, pre: float, printed: float, post: float
) -> Effect:
    after = as_sd(row, row.sd_post_1, n)
    return _before_after(choices, n, pre, spread(row, printed, n), post, after)


@route(
    "pre_post_post_sd",
    label="Means before and after in one arm, SD after",
    needs=("n_1", "mean_pre_1", "mean_post_1", "sd_post_1"),
    metric=RAW,
    uses_r=True,
)
def pre_post_post_sd(
    row: EffectRow, choices: Choices, n: int, pre: float, post: float, printed: float
) -> Effect:
    return _before_after(choices, n, pre, spread(row, printed, n), post)


@route(
    "published_d",
    label="Standardised mean change as published, one arm",
    needs=("n_1", "estimate"),
    metric=RAW,
    uses_r=True,
)
def published_d(row: EffectRow, choices: Choices, n: int, d: float) -> Effect:
    """The variance is that of the published, uncorrected value."""
    columns = (0.0, 1.0, d, n, choices.known_r)
    y, _ = measured("SMCR", *columns, exact_j=choices.exact_j)
    _, v = measured("SMCR", *columns, correct=False)
    text = (
        f"d = {as_is(d)} as published; {corrected(y, n - 1, choices)}; "
        f"v = 2(1 − {as_is(choices.known_r)})/{n} + d²/(2 × {n}) = {rounded(v)}"
    )
    return Effect(y, v, text)


def _paired(t: float, shown: str, choices: Choices, n: int) -> Effect:
    """A mean change in units of its own SD from its paired t; ``shown`` is dz in the derivation."""
    found = conversions.dz_from_t(t, n, exact_j=choices.exact_j)
    y, v, dz = found["g"], found["vi"], found["dz"]
    text = (
        f"dz = {shown} = {rounded(dz)}; {corrected(y, n - 1, choices, of='dz')}; "
        f"v = 1/{n} + g²/(2 × {n}) = {rounded(v)}"
    )
    return Effect(y, v, text)


@route(
    "one_arm_change",
    label="Mean and SD of change in one arm",
    needs=("n_1", "mean_change_1", "sd_change_1"),
    metric=CHANGE,
)
def one_arm_change(
    row: EffectRow, choices: Choices, n: int, change: float, printed: float
) -> Effect:
    by = spread(row, printed, n)
    return _paired(change / by.sd * math.sqrt(n), f"{as_is(change)} / {by.text}", choices, n)


@route(
    "one_arm_ci",
    label="Mean change in one arm with its confidence interval",
    needs=("n_1", "mean_change_1", "ci_low_1", "ci_high_1"),
    metric=CHANGE,
)
def one_arm_ci(
    row: EffectRow, choices: Choices, n: int, change: float, low: float, high: float
) -> Effect:
    by, text = spread_from_ci(low, high, n)
    effect = _paired(change / by.sd * math.sqrt(n), f"{as_is(change)} / SD", choices, n)
    return effect.after(f"SD = {text}; ")


@route(
    "one_arm_t",
    label="t of a paired t-test in one arm",
    needs=("n_1", "statistic"),
    metric=CHANGE,
)
def one_arm_t(row: EffectRow, choices: Choices, n: int, t: float) -> Effect:
    return _paired(t, f"{as_is(t)} / √{n}", choices, n)


@route(
    "one_arm_p",
    label="Exact p of a paired t-test in one arm",
    needs=("n_1", "p"),
    metric=CHANGE,
)
def one_arm_p(row: EffectRow, choices: Choices, n: int, p: float) -> Effect:
    t, text = t_from_p(row, p, n - 1)
    return _paired(t, f"t / √{n}", choices, n).after(text)
