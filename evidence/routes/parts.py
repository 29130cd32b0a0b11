"""What several routes share: spreads, signs, a measure of one study, the text of a correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evidence.model import EffectRow
from evidence.routes.registry import IQR_WIDTHS, Choices, as_sd, unusable
from evidence.routes.words import as_is, difference, rounded
from meta import conversions
from meta.measures import measure_named
from meta.measures.means import pooled_sd
from meta.measures.small_sample import hedges_j


def corrected(y: float, m: int, choices: Choices, *, of: str = "d") -> str:
    j = float(hedges_j(m, exact=choices.exact_j))
    return f"g = J({m}) × {of} = {rounded(j)} × {of} = {rounded(y)}"


def pooled(sd_1: float, n_1: int, sd_2: float, n_2: int) -> float:
    return float(pooled_sd(np.array(sd_1), np.array(n_1), np.array(sd_2), np.array(n_2)))


def measured(key: str, *values: float, **options: Any) -> tuple[float, float]:
    """One study through a measure of ``meta``."""
    y, v = measure_named(key).compute(*(np.array([x], dtype=float) for x in values), **options)
    return float(y[0]), float(v[0])


@dataclass(frozen=True, slots=True)
class Spread:
    """An SD, and how it is written where the row holds something else."""

    sd: float
    text: str


def spread(row: EffectRow, printed: float, n: int) -> Spread:
    sd = as_sd(row, printed, n)
    assert sd is not None  # both value and n are there
    if row.dispersion == "SE":
        return Spread(sd, f"({as_is(printed)} × √{n})")
    if row.dispersion == "IQR":
        return Spread(sd, f"({as_is(printed)} / {IQR_WIDTHS})")
    return Spread(sd, as_is(printed))


def spread_from_ci(low: float, high: float, n: int) -> tuple[Spread, str]:
    sd = conversions.sd_from_ci(low, high, n).value
    text = f"√{n} × ({difference(high, low)}) / (2 t({n - 1})) = {rounded(sd)}"
    return Spread(sd, rounded(sd)), text


def sign_of(row: EffectRow) -> Literal[1, -1]:
    """The row's direction: p and F carry no sign."""
    if row.direction == "unknown":
        raise unusable(row, "has no direction", "p and F have no sign: state the direction")
    return 1 if row.direction == "positive" else -1


def t_from_p(row: EffectRow, p: float, df: int) -> tuple[float, str]:
    t = conversions.t_from_p(p, df, sign=sign_of(row)).value
    return t, f"t({df}) with two-sided p = {as_is(p)} is {rounded(t)}; "
