"""The register of routes, and the way from a row through its route to an estimate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from evidence.errors import InputError, UnknownName
from evidence.model import EffectRow, Estimate, Study
from evidence.routes.words import as_is, rounded
from meta import conversions

RAW, CHANGE, NONE = "raw SD", "change SD", "none"

IQR_WIDTHS = 1.35  # normal quartiles lie 1.35 SD apart: Cochrane Handbook 6.5.2.5
SPEARMAN_VARIANCE = 1.06  # of Fisher's z times n - 3: Fieller et al. (1957), Biometrika 44:470-481


class Unusable(InputError):
    """A row from which its route makes no effect."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a caller decides about how a row becomes a number."""

    r: float | None = None  # pre-post correlation
    heteroscedastic: bool = False  # variances that do not assume equal SDs, where there are any
    exact_j: bool = True  # Hedges' J by the gamma function, or 1 - 3 / (4 m - 1)

    @property
    def known_r(self) -> float:
        """The correlation, for routes that use it; ``estimate`` has made sure of one."""
        assert self.r is not None
        return self.r


@dataclass(frozen=True, slots=True)
class Effect:
    """What a route makes of a row, in the route's own metric."""

    yi: float
    vi: float
    derivation: str
    assumptions: tuple[str, ...] = ()

    def after(self, text: str) -> Effect:
        """The same effect with an earlier step in front of its derivation."""
        return replace(self, derivation=text + self.derivation)


# Takes the row, the choices, and the numbers of the route's ``needs`` in that order.
Compute = Callable[..., Effect]


@dataclass(frozen=True, slots=True)
class Route:
    """A way from the columns of a row to an effect.

    ``needs`` names the columns that must hold a number; ``metric`` says by what the difference is
    divided; ``uses_r`` whether the formula itself takes the pre-post correlation.
    """

    key: str
    label: str
    needs: tuple[str, ...]
    metric: str
    uses_r: bool
    arms: int
    compute: Compute | None

    @property
    def numerical(self) -> bool:
        """Whether the route ends in a number at all."""
        return self.compute is not None

    def needs_r(self, standardiser: str) -> bool:
        """Whether an effect in this standardiser takes a pre-post correlation."""
        return self.numerical and (self.uses_r or self.converts(standardiser))

    def converts(self, standardiser: str) -> bool:
        """Whether the effect has to be brought from one metric to the other."""
        return {self.metric, standardiser} == {RAW, CHANGE}


ROUTES: dict[str, Route] = {}


def route(
    key: str,
    *,
    label: str,
    needs: tuple[str, ...],
    metric: str,
    uses_r: bool = False,
    arms: int = 1,
) -> Callable[[Compute], Compute]:
    """Register a route under the key that stands in ``effects.csv``."""

    def register(compute: Compute) -> Compute:
        ROUTES[key] = Route(key, label, needs, metric, uses_r, arms, compute)
        return compute

    return register


def route_named(key: str) -> Route:
    """Find a route by its key; an unknown key lists the known ones."""
    try:
        return ROUTES[key]
    except KeyError:
        raise UnknownName("route", key, ROUTES) from None


def estimate(
    row: EffectRow,
    study: Study,
    *,
    r: float | None,
    standardiser: str,
    heteroscedastic: bool = False,
    exact_j: bool = True,
) -> Estimate:
    """Turn one row into an effect with its sampling variance.

    Parameters
    ----------
    row, study
        The row, and the study that it belongs to.
    r : float or None
        Pre-post correlation; needed where ``ROUTES[row.route].needs_r(standardiser)``. It moves
        the variance of effects in raw SDs, and both effect and variance where one metric is
        brought to the other: d_raw = d_change √(2(1 − r)).
    standardiser : str
        ``"raw SD"``, ``"change SD"`` or ``"none"`` (correlations, and what needs no division).
    heteroscedastic : bool
        Use the variance for unequal SDs (SMCRH, SMDH) where the row has the SDs for it.
    exact_j : bool
        Hedges' correction by the gamma function, or by its usual approximation.

    Raises
    ------
    InputError
        If the row lacks a number that its route needs, r is missing, or the result is undefined.

    References
    ----------
    Morris and DeShon (2002), Psychological Methods 7(1):105-125, equation 11 (the conversion).
    """
    way = route_named(row.route)
    if way.compute is None:
        raise unusable(row, "gives only a direction", "show it among the directions")
    missing = [name for name in way.needs if getattr(row, name) is None]
    if missing:
        raise unusable(row, f"lacks {', '.join(missing)}", "fill the cells, or make it context")
    if way.needs_r(standardiser) and r is None:
        raise unusable(
            row, "needs a pre-post correlation", "state one in the claim's plan, with its source"
        )
    effect = _computed(row, way.compute, Choices(r, heteroscedastic, exact_j), way.needs)
    yi, vi, derivation = effect.yi, effect.vi, effect.derivation
    metric = way.metric
    if way.converts(standardiser):
        assert r is not None
        convert = conversions.raw_d_from_dz if metric == CHANGE else conversions.dz_from_raw_d
        converted = convert(yi, vi, r)
        yi, vi, metric = converted.value, converted["vi"], standardiser
        sign = "×" if way.metric == CHANGE else "/"
        derivation += (
            f"; in {metric}s: y {sign} √(2(1 − {as_is(r)})) = {rounded(yi)}, "
            f"v {sign} 2(1 − {as_is(r)}) = {rounded(vi)}"
        )
    if not (math.isfinite(yi) and math.isfinite(vi) and vi > 0):
        raise unusable(row, "gives no defined effect", "compare its numbers with the paper")
    return Estimate(
        row=row,
        study=study,
        label=study.label,
        n=_people(row, way),
        yi=yi,
        vi=vi,
        metric=metric,
        r=r if way.needs_r(standardiser) else None,
        derivation=derivation,
        assumptions=_assumptions(row, way, effect, r if way.needs_r(standardiser) else None),
    )


def _computed(row: EffectRow, compute: Compute, choices: Choices, needs: tuple[str, ...]) -> Effect:
    try:
        return compute(row, choices, *(getattr(row, name) for name in needs))
    except Unusable:
        raise
    except InputError as fault:  # from a formula, which knows the number but not the row
        raise Unusable(
            f"{row.effect_id} cannot be computed: {fault.problem}",
            [f"{row.at}  route = {row.route}", *fault.places],
            remedy=fault.remedy,
        ) from fault


def as_sd(row: EffectRow, value: float | None, n: int | None) -> float | None:
    """What stands in an ``sd_`` column as an SD: SEs and IQRs are converted, the rest is taken so.

    None where there is no value, or no n to convert it with.
    """
    if value is None:
        return None
    if row.dispersion == "SE":
        return None if n is None else conversions.sd_from_se(value, n).value
    if row.dispersion == "IQR":
        return value / IQR_WIDTHS
    return value


def _people(row: EffectRow, way: Route) -> int:
    return sum(n for n in (row.n_1, row.n_2)[: way.arms] if n is not None)


def _assumptions(row: EffectRow, way: Route, effect: Effect, r: float | None) -> tuple[str, ...]:
    said = [part.strip() for part in row.assumption.split(";") if part.strip()]
    said += effect.assumptions
    if r is not None and row.r_pre_post is None:
        said.append(f"pre-post correlation of {as_is(r)} assumed")
    return tuple(dict.fromkeys(said))


def unusable(row: EffectRow, why: str, remedy: str) -> Unusable:
    return Unusable(f"{row.effect_id} {why}", [f"{row.at}  route = {row.route}"], remedy=remedy)
