"""Pooling of counts without weighting by inverse variances: Mantel-Haenszel and Peto."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import UnknownName
from meta.fitting import check_level, quantile, two_sided_p
from meta.frames import complete_rows, length, rows_of
from meta.measures import effects, measure_named
from meta.measures.checks import columns_of_one_length
from meta.measures.zero_cells import To
from meta.present import Presented, Table, natural_table
from meta.results import Effects, show, show_p

Array = NDArray[np.float64]
NAN = math.nan
MEASURES = ("OR", "RR", "RD", "IRR", "IRD")


@dataclass(frozen=True, slots=True)
class StratifiedTest:
    """A chi-squared test over the studies."""

    name: str
    statistic: float
    df: int
    p: float


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class StratifiedEffect(Presented):
    """A common effect pooled over 2x2 tables (or rates), on the analysis scale.

    ``effects`` shows the studies one by one, NaN where a study's own effect is undefined; only
    these rows and Q carry a continuity correction, never the pooled effect.
    """

    effects: Effects
    method: str  # "Mantel-Haenszel" or "Peto"
    weights: Array  # (k,) sum 1; of the studies in the pooled effect
    estimate: float  # NaN where no study tells the arms apart
    se: float
    ci: tuple[float, float]
    statistic: float  # z
    p: float
    level: float
    q: float
    q_df: int
    q_p: float
    i2: float  # 0 to 1
    h2: float
    association: StratifiedTest | None  # Cochran-Mantel-Haenszel, for OR and IRR
    homogeneity: StratifiedTest | None  # Breslow-Day with Tarone's adjustment, for OR
    notes: tuple[str, ...] = ()

    def natural(self) -> tuple[float, float, float]:
        """Estimate, low and high on the scale that people read."""
        to = self.effects.measure.natural
        return to(self.estimate), to(self.ci[0]), to(self.ci[1])

    def summary(self) -> str:
        """One line: ``Odds ratio 0.62 (95% CI 0.57 to 0.68), 13 studies, Mantel-Haenszel``."""
        mid, low, high = self.natural()
        k = self.effects.k
        return (
            f"{self.effects.measure.label} {show(mid)} ({self.level:.0%} CI {show(low)} to "
            f"{show(high)}), {k} {'study' if k == 1 else 'studies'}, {self.method}"
        )

    def heterogeneity(self) -> str:
        """One line: Q, its p and I², and the Breslow-Day test where it is defined."""
        line = f"Q = {show(self.q)} (df = {self.q_df}), {show_p(self.q_p)}; I² = {self.i2:.0%}"
        if self.homogeneity:
            test = self.homogeneity
            line += f"; {test.name} χ² = {show(test.statistic)} (df = {test.df}), {show_p(test.p)}"
        return line

    def rows(self) -> list[dict[str, Any]]:
        """Plain dicts, one per study and one for the pool."""
        half = quantile(self.level, None) * np.sqrt(self.effects.vi)
        studies = [
            {
                "study": name,
                "yi": float(y),
                "vi": float(v),
                "ci_low": float(y - h),
                "ci_high": float(y + h),
                "weight": float(w),
            }
            for name, y, v, h, w in zip(
                self.effects.study,
                self.effects.yi,
                self.effects.vi,
                half,
                self.weights,
                strict=True,
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
        measure, notes = self.effects.measure, (self.heterogeneity(), *self.notes)
        caption = f"{measure.label}, {self.method}"
        return (natural_table(caption, measure, self.rows(), self.level, notes=notes),)

    def __str__(self) -> str:
        return self.summary()


def mantel_haenszel(
    measure: str = "OR",
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    add: float = 0.5,
    to: To = "only0",
    correct: bool = True,
    level: float = 0.95,
    **columns: Any,
) -> StratifiedEffect:
    """Mantel-Haenszel pooled effect.

    Parameters
    ----------
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
        Odds, risk or rate ratio; risk or rate difference.
    data, study, **columns
        As for ``meta.measures.effects``: ``events_1, total_1, events_2, total_2`` for the first
        three, ``events_1, time_1, events_2, time_2`` for rates; ``missing`` too.
    add, to
        Continuity correction of the rows that show single studies, and of Q, which is built from
        them. The pooled effect uses the counts as they are: zero cells need no correction, and
        studies without events in both arms give no information on ratios.
    correct : bool
        Whether the Cochran-Mantel-Haenszel test takes half an event off.

    Returns
    -------
    StratifiedEffect
        With NaN and a note where all studies together leave the effect undefined (no events in
        one arm or in both).

    Raises
    ------
    UnknownName
        If the measure is none of these.
    meta.errors.InputError
        If columns are absent or values cannot be used; names every study.

    References
    ----------
    Mantel and Haenszel (1959), J Natl Cancer Inst 22:719-748; Robins, Breslow and Greenland (1986),
    Biometrics 42:311-323 (variance of the log odds ratio); Greenland and Robins (1985), Biometrics
    41:55-68 (risk ratio, rates); Sato, Greenland and Robins (1989), Biometrics 45:1323-1324 (risk
    difference); Tarone (1985), Biometrika 72:91-95.
    """
    check_level(level)
    if measure not in MEASURES:
        raise UnknownName("measure for Mantel-Haenszel", measure, MEASURES)
    rows = effects(measure, data=data, study=study, add=add, to=to, drop00=True, **columns)
    a, n1, c, n2 = counts(measure, data, columns)
    if measure in ("OR", "RR", "RD"):
        estimate, variance, weights = _FORMULAS[measure](a, n1, c, n2)
    elif measure == "IRR":
        estimate, variance, weights = _rate_ratio(a, n1, c, n2)
    else:
        estimate, variance, weights = _rate_difference(a, n1, c, n2)
    association = homogeneity = None
    if measure == "OR":
        association = _association(
            a, (a + c) * n1, n1 + n2, _hypergeometric_v(a, n1, c, n2), correct
        )
        homogeneity = _tarone(a, n1, c, n2, math.exp(estimate))
    elif measure == "IRR":
        total = n1 + n2
        v = (a + c) * n1 * n2 / total**2
        association = _association(a, (a + c) * n1, total, v, correct)
    return _stratified(
        rows, "Mantel-Haenszel", estimate, variance, weights, association, homogeneity, level
    )


def peto(
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    level: float = 0.95,
    **columns: Any,
) -> StratifiedEffect:
    """Peto's one-step log odds ratio: sum of observed minus expected events over their variance.

    Needs no correction for zero cells; studies without events (or only events) in both arms drop
    out. Biased where arms are of very different size or effects are large.

    Parameters
    ----------
    data, study, **columns
        As for ``meta.measures.effects``: ``events_1, total_1, events_2, total_2``.

    References
    ----------
    Yusuf, Peto, Lewis, Collins and Sleight (1985), Prog Cardiovasc Dis 27:335-371; Greenland and
    Salvan (1990), Stat Med 9:247-252 (its bias).
    """
    check_level(level)
    rows = effects("PETO", data=data, study=study, add=0.0, to="none", **columns)
    a, n1, c, n2 = counts("PETO", data, columns)
    v = _hypergeometric_v(a, n1, c, n2)
    total = float(v.sum())
    excess = float((a - n1 * (a + c) / (n1 + n2)).sum())
    estimate, variance = (excess / total, 1 / total) if total > 0 else (NAN, NAN)
    return _stratified(rows, "Peto", estimate, variance, v, None, None, level)


def counts(
    measure: str, data: Mapping[str, Any] | None, columns: Mapping[str, Any]
) -> tuple[Array, ...]:
    """The columns of a measure as float arrays of one length; ``effects`` has checked them."""
    found = {}
    for name in measure_named(measure).needs:
        value = columns.get(name, name)
        found[name] = data[value] if data is not None and isinstance(value, str) else value
    if columns.get("missing") == "drop":  # as ``effects`` did
        keep = complete_rows(found, length(found.values()))
        found = {name: rows_of(values, keep) for name, values in found.items()}
    return tuple(columns_of_one_length(found).values())


def _stratified(
    rows: Effects,
    method: str,
    estimate: float,
    variance: float,
    weights: Array,
    association: StratifiedTest | None,
    homogeneity: StratifiedTest | None,
    level: float,
) -> StratifiedEffect:
    notes = list(rows.notes)
    if math.isnan(estimate):
        notes.append("the pooled effect is undefined: an arm has no events in any study, or only")
    se = math.sqrt(variance) if variance >= 0 else NAN
    statistic = estimate / se if se > 0 else NAN
    used = np.isfinite(rows.yi) & np.isfinite(rows.vi) & (rows.vi > 0)
    y, v = rows.yi[used], rows.vi[used]
    df = max(len(y) - 1, 0)
    # One study cannot differ from others, though a correction may part it from the estimate.
    q = float((((y - estimate) ** 2) / v).sum()) if df or not len(y) else 0.0
    p = NAN if math.isnan(q) else float(special.chdtrc(df, q)) if df else 1.0
    half = quantile(level, None) * se
    total = weights.sum()
    return StratifiedEffect(
        rows,
        method,
        weights / total if total > 0 else np.full(len(weights), NAN),
        estimate,
        se,
        (estimate - half, estimate + half),
        statistic,
        two_sided_p(statistic, None),
        level,
        q,
        df,
        p,
        max(0.0, 1 - df / q) if q > 0 else NAN if math.isnan(q) else 0.0,
        q / df if df else NAN if math.isnan(q) else 1.0,
        association,
        homogeneity,
        tuple(notes),
    )


def _log_ratio(over: float, under: float) -> float:
    return math.log(over / under) if over > 0 and under > 0 else NAN


def _over(value: float, by: float) -> float:
    return value / by if by > 0 else NAN


def _odds_ratio(a: Array, n1: Array, c: Array, n2: Array) -> tuple[float, float, Array]:
    b, d, n = n1 - a, n2 - c, n1 + n2
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    big_r, big_s = float(r.sum()), float(s.sum())
    variance = (
        _over(float(p @ r), big_r**2)
        + _over(float(p @ s + q @ r), big_r * big_s)
        + _over(float(q @ s), big_s**2)
    ) / 2
    return _log_ratio(big_r, big_s), variance, s


def _risk_ratio(a: Array, n1: Array, c: Array, n2: Array) -> tuple[float, float, Array]:
    n = n1 + n2
    r, s = float((a * n2 / n).sum()), float((c * n1 / n).sum())
    spread = float((n1 / n * (n2 / n) * (a + c) - a * c / n).sum())
    return _log_ratio(r, s), _over(spread, r * s), c * n1 / n


def _risk_difference(a: Array, n1: Array, c: Array, n2: Array) -> tuple[float, float, Array]:
    n = n1 + n2
    w = n1 * n2 / n
    total = float(w.sum())
    difference = float((a * n2 / n - c * n1 / n).sum()) / total
    shares = c * (n1 / n) ** 2 - a * (n2 / n) ** 2 + n1 / n * (n2 / n) * (n2 - n1) / 2
    mixed = (a * (n2 - c) / n + c * (n1 - a) / n) / 2
    return difference, float(difference * shares.sum() + mixed.sum()) / total**2, w


_FORMULAS = {"OR": _odds_ratio, "RR": _risk_ratio, "RD": _risk_difference}


def _rate_ratio(x1: Array, t1: Array, x2: Array, t2: Array) -> tuple[float, float, Array]:
    t = t1 + t2
    r, s = float((x1 * t2 / t).sum()), float((x2 * t1 / t).sum())
    spread = float((t1 / t * (t2 / t) * (x1 + x2)).sum())
    return _log_ratio(r, s), _over(spread, r * s), x2 * t1 / t


def _rate_difference(x1: Array, t1: Array, x2: Array, t2: Array) -> tuple[float, float, Array]:
    t = t1 + t2
    w = t1 * t2 / t
    total = float(w.sum())
    difference = float((x1 * t2 / t - x2 * t1 / t).sum()) / total
    return difference, float((w**2 * (x1 / t1**2 + x2 / t2**2)).sum()) / total**2, w


def _hypergeometric_v(a: Array, n1: Array, c: Array, n2: Array) -> Array:
    """Variance of the events in arm 1 given all margins; zero for a table of one person."""
    n, events = n1 + n2, a + c
    return n1 / n * (n2 / n) * events * (n - events) / np.maximum(n - 1, 1)


def _association(a: Array, product: Array, n: Array, v: Array, correct: bool) -> StratifiedTest:
    """Cochran-Mantel-Haenszel test that the arms do not differ."""
    total = float(v.sum())
    gap = abs(float((a - product / n).sum()))
    statistic = _over(max(gap - 0.5, 0.0) ** 2 if correct else gap**2, total)
    name = "Cochran-Mantel-Haenszel" + (" (corrected by 0.5)" if correct else "")
    return StratifiedTest(name, statistic, 1, _chi2_p(statistic, 1))


def _tarone(a: Array, n1: Array, c: Array, n2: Array, ratio: float) -> StratifiedTest:
    """Breslow-Day test of a common odds ratio with Tarone's adjustment.

    Studies without events, or only events, in both arms say nothing and drop out.
    """
    events, n = a + c, n1 + n2
    used = (events > 0) & (events < n)
    a, n1, n2, events = a[used], n1[used], n2[used], events[used]
    df = len(a) - 1
    if math.isnan(ratio) or df < 1:
        return StratifiedTest("Breslow-Day-Tarone", NAN, max(df, 0), NAN)
    # Expected events x solve x (n2 - events + x) = ratio (events - x)(n1 - x).
    quadratic, linear = 1 - ratio, n2 - events + ratio * (events + n1)
    constant = -ratio * events * n1
    root = np.sqrt(linear**2 - 4 * quadratic * constant)
    x = -2 * constant / (linear + root)  # the root within the margins, stable as ratio -> 1
    v = 1 / (1 / x + 1 / (events - x) + 1 / (n1 - x) + 1 / (n2 - events + x))
    away = a - x
    statistic = float((away**2 / v).sum() - away.sum() ** 2 / v.sum())
    return StratifiedTest("Breslow-Day-Tarone", statistic, df, _chi2_p(statistic, df))


def _chi2_p(statistic: float, df: int) -> float:
    return NAN if math.isnan(statistic) else float(special.chdtrc(df, statistic))
