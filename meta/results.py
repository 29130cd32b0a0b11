"""What an analysis hands back: frozen and printable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.deferred import Deferred
from meta.measures.registry import Measure
from meta.present import DASH as DASH
from meta.present import Presented, Table, natural_table, studies, table_of
from meta.present import show as show
from meta.present import show_p as show_p

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Effects(Presented, Deferred):
    """Effect sizes of k studies on the analysis scale (log for ratios, Fisher's z for r)."""

    measure: Measure
    study: tuple[str, ...]
    yi: Array  # (k,)
    vi: Array  # (k,) sampling variance, that unit squared
    cluster: tuple[str, ...]  # (k,) rows that share people share a cluster
    notes: tuple[str, ...] = ()  # choices made on the way: zero cells, variance types
    dropped: tuple[int, ...] = ()  # rows of the table that are left out for missing values

    @property
    def k(self) -> int:
        return len(self.yi)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study."""
        columns = self.study, self.yi.tolist(), self.vi.tolist(), self.cluster
        names = ("study", "yi", "vi", "cluster")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _tables(self) -> tuple[Table, ...]:
        rows = self.rows()
        if self.cluster == self.study:
            rows = [{name: row[name] for name in ("study", "yi", "vi")} for row in rows]
        scale = "" if self.measure.scale == "identity" else f" ({self.measure.scale} scale)"
        caption = f"{self.measure.label}{scale}, {studies(self.k)}"
        return (table_of(caption, rows, notes=self.notes),)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class PooledEffect(Presented, Deferred):
    """A pooled effect; every number is on the analysis scale, proportions are 0 to 1."""

    effects: Effects
    model: str  # "random" or "common"
    weights: Array  # (k,) sum 1
    estimate: float
    se: float
    ci: tuple[float, float]
    ci_method: str  # "Wald", "Knapp-Hartung", "t", "Knapp-Hartung (ad hoc)"
    ci_reason: str  # why that interval, in words
    wald_ci: tuple[float, float]
    knapp_hartung_ci: tuple[float, float]  # NaN where undefined (k = 1)
    statistic: float  # z or t of the interval shown
    df: float | None  # of the t distribution; None for z
    p: float
    level: float
    prediction: tuple[float, float] | None  # None below k = 3
    prediction_df: float | None  # degrees of freedom of its t; None for z
    prediction_method: str
    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]  # Q-profile; NaN where undefined
    tau2_method: str  # "REML", "DL", ...; "" for the common-effect model
    q: float
    q_df: int
    q_p: float
    i2: float  # 0 to 1
    h2: float
    notes: tuple[str, ...] = ()

    def natural(self) -> tuple[float, float, float]:
        """Estimate, low and high on the scale that people read."""
        low, high = self.ci
        to = self.effects.measure.natural
        return to(self.estimate), to(low), to(high)

    def method(self) -> str:
        """The choices made, in words: ``random effects, REML, Knapp-Hartung``."""
        if self.model == "common":
            return f"common effect, {self.ci_method}"
        return f"random effects, {self.tau2_method}, {self.ci_method}"

    def summary(self) -> str:
        """One line: ``Risk ratio 0.49 (95% CI 0.34 to 0.70), 13 studies, I² 92%``."""
        mid, low, high = self.natural()
        k = self.effects.k
        return (
            f"{self.effects.measure.label} {show(mid)} ({self.level:.0%} CI {show(low)} to "
            f"{show(high)}), {k} {'study' if k == 1 else 'studies'}, I² {self.i2:.0%}"
        )

    def heterogeneity(self) -> str:
        """One line for under a forest plot: Q, its p, I² and tau² with its interval."""
        low, high = self.tau2_ci
        line = f"Q = {show(self.q)} (df = {self.q_df}), {show_p(self.q_p)}; I² = {self.i2:.0%}"
        if self.model == "random":
            tau2, bounds = show(self.tau2, 3), f"{show(low, 3)} to {show(high, 3)}"
            line += f"; τ² = {tau2} ({self.level:.0%} CI {bounds})"
        return line

    def rows(self) -> list[dict[str, Any]]:
        """Plain dicts, one per study and one for the pool, for CSV and tests."""
        effects = self.effects
        half = 1.959963984540054 * np.sqrt(effects.vi)
        studies = [
            {
                "study": s,
                "yi": float(y),
                "vi": float(v),
                "ci_low": float(y - h),
                "ci_high": float(y + h),
                "weight": float(w),
            }
            for s, y, v, h, w in zip(
                effects.study, effects.yi, effects.vi, half, self.weights, strict=True
            )
        ]
        pooled = {
            "study": "pooled",
            "yi": self.estimate,
            "vi": self.se**2,
            "ci_low": self.ci[0],
            "ci_high": self.ci[1],
            "weight": 1.0,
        }
        return [*studies, pooled]

    def _tables(self) -> tuple[Table, ...]:
        notes = (self.heterogeneity(), *self.effects.notes, *self.notes)
        rows, between = self.rows(), self.prediction
        if between is not None:
            low, high = between
            rows.append({"study": "prediction interval", "ci_low": low, "ci_high": high})
        caption = f"{self.effects.measure.label}, {self.method()}"
        return (natural_table(caption, self.effects.measure, rows, self.level, notes=notes),)

    def __str__(self) -> str:
        return self.summary()
