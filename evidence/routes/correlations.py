"""Routes to correlations."""

from __future__ import annotations

from evidence.model import EffectRow
from evidence.routes.parts import measured
from evidence.routes.registry import NONE, SPEARMAN_VARIANCE, Choices, Effect, route
from evidence.routes.words import as_is, rounded


@route(
    "correlation",
    label="Pearson's correlation",
    needs=("n_1", "statistic"),
    metric=NONE,
)
def correlation(row: EffectRow, choices: Choices, n: int, r: float) -> Effect:
    y, v = measured("ZCOR", r, n)
    return Effect(y, v, f"z = artanh({as_is(r)}) = {rounded(y)}; v = 1/({n} − 3) = {rounded(v)}")


@route(
    "spearman",
    label="Spearman's rank correlation",
    needs=("n_1", "statistic"),
    metric=NONE,
)
def spearman(row: EffectRow, choices: Choices, n: int, r: float) -> Effect:
    y, v = measured("ZCOR", r, n)
    v *= SPEARMAN_VARIANCE
    text = (
        f"z = artanh({as_is(r)}) = {rounded(y)}; v = {SPEARMAN_VARIANCE}/({n} − 3) = {rounded(v)}"
    )
    return Effect(y, v, text, ("a rank correlation is read as Pearson's",))
