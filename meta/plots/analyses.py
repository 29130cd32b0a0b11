"""From what an analysis hands back to the groups of rows that a forest plot draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import norm

from meta.errors import InputError, UnknownName
from meta.measures.registry import Measure
from meta.plots.groups import Group, Pooled, Row, short
from meta.results import Effects, PooledEffect, show, show_p
from meta.subgroups import SubgroupResult

Order = Literal["given", "effect", "weight", "name"]
ORDERS = ("given", "effect", "weight", "name")
Columns = Mapping[str, Sequence[Any]]
Shown = (
    Pooled
    | Effects
    | SubgroupResult
    | Mapping[str, Pooled]
    | Sequence[Pooled]
    | Sequence[Group]
    | Group
)


def are_groups(shown: Any) -> bool:
    """Is this a sequence of groups of rows, made by the caller?"""
    groups = isinstance(shown, Sequence) and len(shown) > 0
    return groups and all(isinstance(one, Group) for one in shown)


def groups_of(
    shown: Any,
    *,
    columns: Columns,
    totals: Sequence[str],
    judged: Columns,
    order: str,
) -> tuple[list[Group], Measure]:
    """The rows and diamonds of results, and their measure.

    Raises
    ------
    InputError
        If there is no study, results differ in measure, or a column has not one cell per study.
    """
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    if isinstance(shown, SubgroupResult):
        return _subgroups(shown, columns, totals, judged, order)
    if isinstance(shown, Effects):
        table = _Table([shown], columns, totals, judged)
        return [Group("", table.rows(0, shown, None, order))], shown.measure
    named = dict(shown) if isinstance(shown, Mapping) else None
    results = list(named.values()) if named is not None else _sequence(shown)
    results = [mean_of(result) for result in results]
    if not results:
        raise InputError("there is nothing to draw", remedy="give a pooled effect")
    names = list(named) if named is not None else [""] * len(results)
    effects = [effects_of(result) for result in results if hasattr(result, "effects")]
    if not effects:
        raise InputError(
            "none of these results has the effects of its studies",
            remedy="give one that has first, as by pool(effects)",
        )
    measure = effects[0].measure
    if len({(short(e.measure), e.measure.scale) for e in effects}) > 1:
        keys = ", ".join(dict.fromkeys(e.measure.key for e in effects))
        raise InputError(
            f"the analyses differ in measure ({keys})", remedy="draw one plot for each measure"
        )
    if all(e.study == effects[0].study for e in effects):
        return [_models(results, names, columns, totals, judged, order)], measure
    if len(effects) < len(results):
        raise InputError(
            "some of these analyses have no effects of their own",
            remedy="draw models of the same studies together, others each by itself",
        )
    table = _Table(effects, columns, totals, judged, level=float(results[0].level))
    groups = []
    for i, (name, result) in enumerate(zip(names, results, strict=True)):
        rows = table.rows(i, effects[i], _weights(result), order)
        groups.append(Group(name, rows, result, totals=table.sums(i)))
    return groups, measure


def effects_of(result: Any) -> Effects:
    """The effects behind a result; a fault where it is none."""
    effects = getattr(result, "effects", result)
    if not isinstance(effects, Effects):
        raise InputError(
            f"a {type(result).__name__} is not a result with the effects of its studies",
            remedy="give pool(effects), or effects themselves",
        )
    return effects


def analysed(result: Any, plot: str) -> PooledEffect:
    """A pooled effect of at least one study, or a fault that says what ``plot`` needs."""
    if not isinstance(result, PooledEffect):
        raise InputError(
            f"{plot} is drawn of a pooled effect, this is {type(result).__name__}",
            remedy="give pool(effects)",
        )
    if not result.effects.k:
        raise InputError(f"{plot} needs at least one study")
    return result


@dataclass(frozen=True)
class Mean:
    """The mean effect of a model that gives coefficients, in the form of a pooled effect."""

    effects: Effects
    estimate: float
    ci: tuple[float, float]
    level: float
    statistic: float
    df: float | None
    p: float
    method: str
    weights: Any
    notes: tuple[str, ...]
    heterogeneity: str


def mean_of(result: Any) -> Any:
    """A result with one mean: itself, or the only coefficient of a multilevel or robust model."""
    if hasattr(result, "estimate") or not hasattr(result, "beta"):
        return result
    if len(result.beta) != 1:
        raise InputError(
            f"a model with {len(result.beta)} coefficients has no one mean to draw",
            remedy="leave the moderators out, or draw bubble() or subgroups",
        )
    df = None if result.df is None else float(np.ravel(result.df)[0])
    return Mean(
        effects=result.effects,
        estimate=float(result.beta[0]),
        ci=(float(result.ci[0, 0]), float(result.ci[0, 1])),
        level=float(result.level),
        statistic=float(result.statistic[0]),
        df=df if df is not None and math.isfinite(df) else None,
        p=float(result.p[0]),
        method=_named(result),
        weights=getattr(result, "weights", None),
        notes=tuple(getattr(result, "notes", ())),
        heterogeneity=_spread(result),
    )


def _named(result: Any) -> str:
    """A model in words, from its own."""
    kind = type(result).__name__
    own = str(getattr(result, "method", "") or getattr(result, "model", ""))
    if kind == "MultilevelResult":
        terms = ", ".join(result.random)
        return f"multilevel, {own}" + (f", random: {terms}" if terms else "")
    return {"RobustResult": f"cluster-robust, {own}"}.get(kind, own or kind)


def _spread(result: Any) -> str:
    """Its test of heterogeneity and its variances, as far as it has them."""
    parts = []
    if hasattr(result, "q_df"):
        parts.append(f"Q = {show(result.q)} (df = {result.q_df}), {show_p(result.q_p)}")
    i2 = getattr(result, "i2", None)
    if i2 is not None and math.isfinite(i2):
        parts.append(f"I² = {i2:.0%}")
    for name, letter in (("tau2", "τ²"), ("omega2", "ω²")):
        value = getattr(result, name, None)
        if value is not None:
            parts.append(f"{letter} = {show(value, 3)}")
    parts += [
        f"σ² ({c.name}) = {show(c.value, 3)}"
        for c in getattr(result, "components", ())
        if c.kind == "variance"
    ]
    return "; ".join(parts)


def _sequence(shown: Any) -> list[Any]:
    if isinstance(shown, Sequence) and not isinstance(shown, str):
        return list(shown)
    if not hasattr(shown, "estimate") and not hasattr(shown, "beta"):
        effects_of(shown)
    return [shown]


def _models(
    results: list[Any],
    names: list[str],
    columns: Columns,
    totals: Sequence[str],
    judged: Columns,
    order: str,
) -> Group:
    """One or several models of the same studies; the first with effects gives the rows."""
    first = next(i for i, result in enumerate(results) if hasattr(result, "effects"))
    effects = effects_of(results[first])
    weights = [_weights(result) for result in results]
    table = _Table([effects], columns, totals, judged, level=float(results[0].level))
    rows = table.rows(0, effects, weights[0], order, weights[1:])
    further = tuple(zip(names[1:], results[1:], strict=True))
    return Group("", rows, results[0], totals=table.sums(0), further=further, name=names[0])


def _subgroups(
    split: SubgroupResult,
    columns: Columns,
    totals: Sequence[str],
    judged: Columns,
    order: str,
) -> tuple[list[Group], Measure]:
    """A group for each, weighted as in the analysis of all, which stands below with the test."""
    effects = [result.effects for result in split.pooled]
    table = _Table(
        effects, columns, totals, judged, whole=split.overall.effects, level=split.overall.level
    )
    groups = []
    for i, (name, result) in enumerate(zip(split.names, split.pooled, strict=True)):
        rows = table.rows(i, result.effects, split.overall.weights[table.places[i]], order)
        groups.append(
            Group(
                name,
                rows,
                result if result.effects.k > 1 else None,
                "" if result.effects.k > 1 else "One study, not pooled.",
                table.sums(i) if result.effects.k > 1 else (),
                brief=True,
            )
        )
    shared = "one τ²" if split.common_tau2 else "a τ² each"
    if split.overall.model == "common":
        shared = "common effects"
    test = (
        f"Difference between subgroups ({shared}): Q = {show(split.q_between)} "
        f"(df = {split.q_df}), {show_p(split.p)}"
    )
    everyone = Group("All studies", (), split.overall, test, table.everyone())
    return [*groups, everyone], split.overall.effects.measure


def _weights(result: Any) -> Any:
    weights = getattr(result, "weights", None)
    return None if weights is None else np.asarray(weights, dtype=float)


class _Table:
    """The caller's columns and judgements, one cell for each study, as they are printed."""

    def __init__(
        self,
        effects: Sequence[Effects],
        columns: Columns,
        totals: Sequence[str],
        judged: Columns,
        whole: Effects | None = None,
        level: float = 0.95,
    ) -> None:
        self.level = level
        everyone = whole.study if whole else [study for e in effects for study in e.study]
        if not everyone:
            raise InputError("there is no study to draw", remedy="give at least one")
        self.places = _places(effects, whole)
        wrong = [
            f"{head}: {len(cells)} cells"
            for head, cells in {**columns, **judged}.items()
            if len(cells) != len(everyone)
        ]
        if wrong:
            raise InputError(
                f"there are {len(everyone)} studies, some columns have not",
                wrong,
                remedy="give each column one cell for each study, empty where nothing is known",
            )
        for head in totals:
            if head not in columns:
                raise UnknownName("column to add up", head, columns)
        self.heads, self.totals = tuple(columns), tuple(totals)
        self.values = {head: list(cells) for head, cells in columns.items()}
        self.cells = {head: printed(cells) for head, cells in columns.items()}
        self.judged = [[str(j or "") for j in cells] for cells in judged.values()]

    def rows(
        self,
        part: int,
        effects: Effects,
        weights: Any,
        order: str,
        further: Sequence[Any] = (),
    ) -> tuple[Row, ...]:
        half = float(norm.ppf(0.5 + self.level / 2)) * np.sqrt(effects.vi)
        rows = [
            Row(
                study,
                float(effects.yi[i]),
                (float(effects.yi[i] - half[i]), float(effects.yi[i] + half[i])),
                None if weights is None else float(weights[i]),
                tuple(self.cells[head][at] for head in self.heads),
                "primary",
                lights=tuple(cells[at] for cells in self.judged),
                further=tuple(None if w is None else float(w[i]) for w in further),
            )
            for i, (study, at) in enumerate(zip(effects.study, self.places[part], strict=True))
        ]
        if order == "effect":
            rows.sort(key=lambda row: (math.isnan(row.yi), row.yi))
        elif order == "weight":
            rows.sort(key=lambda row: -(row.weight or 0.0))
        elif order == "name":
            rows.sort(key=lambda row: row.label.casefold())
        return tuple(rows)

    def sums(self, part: int) -> tuple[str, ...]:
        """The cells of the pooled line: sums of the columns that are added up."""
        return self._sums(self.places[part])

    def everyone(self) -> tuple[str, ...]:
        return self._sums([at for part in self.places for at in part])

    def _sums(self, places: Sequence[int]) -> tuple[str, ...]:
        if not self.totals:
            return ()
        return tuple(
            printed([_sum([self.values[head][at] for at in places])])[0]
            if head in self.totals
            else ""
            for head in self.heads
        )


def _sum(values: Sequence[Any]) -> Any:
    try:
        return sum(value for value in values if not _absent(value))
    except TypeError:
        raise InputError(
            "only numbers can be added up", remedy="leave words out of totals="
        ) from None


def _places(effects: Sequence[Effects], whole: Effects | None) -> list[list[int]]:
    """Where the studies of each part stand among all, whose cells the caller gives."""
    if whole is None:
        edges = np.cumsum([0, *(e.k for e in effects)])
        return [list(range(int(low), int(high))) for low, high in itertools.pairwise(edges)]
    free: dict[tuple[str, float, float], list[int]] = {}
    for i, row in enumerate(zip(whole.study, whole.yi.tolist(), whole.vi.tolist(), strict=True)):
        free.setdefault(row, []).append(i)
    return [
        [free[row].pop(0) for row in zip(e.study, e.yi.tolist(), e.vi.tolist(), strict=True)]
        for e in effects
    ]


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def printed(cells: Sequence[Any]) -> list[str]:
    """Cells as text: whole numbers whole, others with the decimals of the column, absent empty."""
    values = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    numbers = [v for v in values if isinstance(v, float) and math.isfinite(v)]
    digits = max((_digits(v) for v in numbers), default=0)
    out = []
    for value in values:
        if _absent(value):
            out.append("")
        elif isinstance(value, float):
            out.append(show(value, digits))
        elif isinstance(value, int) and not isinstance(value, bool):
            out.append(str(value).replace("-", "−"))
        else:
            out.append(str(value))
    return out


def _digits(value: float) -> int:
    """Decimals that a number needs, at most three."""
    return next((d for d in range(4) if abs(value - round(value, d)) < 1e-9 * abs(value)), 3)
