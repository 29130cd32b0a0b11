"""Robust variance estimation with the two working models of Hedges, Tipton and Johnson.

Several effects of one study are either estimates from the same people (correlated effects) or
effects that differ truly within the study (hierarchical effects). Either model is only a guess that
sets weights and small-sample corrections; the standard errors do not rest on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.robust import JointTest, RobustResult, cluster_codes, robust
from meta.dependent.working import Working
from meta.errors import InputError
from meta.fitting import check, check_level, fit, subset
from meta.moderators import Design, design_of
from meta.present import Presented, Table, show
from meta.results import Effects

Array = NDArray[np.float64]
Index = NDArray[np.intp]

DEFAULT_RHO = 0.8  # Hedges, Tipton and Johnson (2010): results hardly depend on it
RHOS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TOLD_APART = 1e-10  # of a determinant, relative to the product of its diagonal


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class WorkingModelResult(Presented):
    """A meta-regression under a working model, with cluster-robust inference."""

    inference: RobustResult  # coefficients, standard errors, tests
    model: str  # "correlated effects" or "hierarchical effects"
    rho: float | None  # assumed correlation within clusters; None for hierarchical effects
    tau2: float  # variance between clusters
    omega2: float | None  # variance within clusters; None for correlated effects
    i2: float | None  # 0 to 1; None for hierarchical effects
    weights: Array  # (k,)
    small: bool  # small-sample corrections
    design: Design
    cluster: tuple[Any, ...]  # (k,)
    notes: tuple[str, ...] = ()

    @property
    def effects(self) -> Effects:
        return self.inference.effects

    @property
    def names(self) -> tuple[str, ...]:
        return self.inference.names

    @property
    def beta(self) -> Array:
        return self.inference.beta

    @property
    def se(self) -> Array:
        return self.inference.se

    @property
    def statistic(self) -> Array:
        return self.inference.statistic

    @property
    def df(self) -> Array:
        return self.inference.df

    @property
    def p(self) -> Array:
        return self.inference.p

    @property
    def ci(self) -> Array:
        return self.inference.ci

    @property
    def omnibus(self) -> JointTest:
        return self.inference.omnibus

    @property
    def level(self) -> float:
        return self.inference.level

    def working(self) -> Working:
        """The model as ``robust`` takes it, for another kind of correction or cluster."""
        return _working(self.effects, self.design, self.weights)

    def without(self, keep: Index) -> WorkingModelResult:
        """The same model fitted to some of the rows, by their positions."""
        effects = subset(self.effects, keep)
        labels = tuple(self.cluster[i] for i in keep)
        codes, _ = cluster_codes(effects, labels)
        design = replace(self.design, x=self.design.x[keep])
        if self.rho is None:
            return _hierarchical(effects, design, codes, labels, self.small, self.level)
        return _correlated(effects, design, codes, labels, self.rho, self.small, self.level)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return self.inference.rows()

    def summary(self) -> str:
        """A block to paste: coefficients with their tests, then what the working model found."""
        return "\n".join([self.inference.summary(), self._found(), *self.notes])

    def _found(self) -> str:
        parts = [f"τ² = {show(self.tau2, 3)}"]
        if self.omega2 is not None:
            parts.append(f"ω² = {show(self.omega2, 3)}")
        if self.i2 is not None:
            parts.append(f"I² = {self.i2:.0%}")
        assumed = "" if self.rho is None else f" (ρ = {show(self.rho)})"
        return f"Working model: {self.model}{assumed}; {', '.join(parts)}"

    def _tables(self) -> tuple[Table, ...]:
        (table,) = self.inference._tables()
        return (replace(table, notes=(*table.notes, self._found(), *self.notes)),)

    def __str__(self) -> str:
        return self.summary()


def correlated_effects(
    effects: Effects,
    moderators: Mapping[str, Any] | Any = None,
    *,
    rho: float = DEFAULT_RHO,
    cluster: Any = None,
    small: bool = True,
    level: float = 0.95,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
) -> WorkingModelResult:
    """Robust variance estimation where effects of a study are estimated from the same people.

    Each effect of study j weighs 1/(k_j (v_j + tau2)), with k_j its effects and v_j the mean of
    their sampling variances, so that a study counts once however many effects it reports.

    Parameters
    ----------
    moderators, interactions, factors, reference, intercept
        As for ``regress``.
    rho : float
        Correlation between sampling errors of one study, 0 to 1; only tau2 depends on it.
    cluster : sequence, shape (k,), optional
        The study of each row; ``effects.cluster`` where not given.
    small : bool
        CR2 with Satterthwaite degrees of freedom (Tipton 2015). Otherwise the covariance of the
        2010 paper times m/(m - p), with m - p degrees of freedom for m studies and p coefficients.

    Returns
    -------
    WorkingModelResult
        I² is the part of the weighted residual sum of squares, at tau2 = 0, above its expectation.

    Raises
    ------
    InputError
        If rho is not from 0 to 1, or effects, clusters or moderators cannot be used.

    References
    ----------
    Hedges, Tipton and Johnson (2010), Res Synth Methods 1:39-65, eq. 13-16; Tipton (2015), Psychol
    Methods 20:375-393; Fisher and Tipton (2015), arXiv:1503.02220 (I²).
    """
    if not 0 <= rho <= 1:
        raise InputError(f"rho = {rho} is not from 0 to 1", remedy=f"use {DEFAULT_RHO}")
    design, codes, labels = _ready(
        effects, moderators, cluster, level, interactions, factors, reference, intercept
    )
    return _correlated(effects, design, codes, labels, rho, small, level)


def hierarchical_effects(
    effects: Effects,
    moderators: Mapping[str, Any] | Any = None,
    *,
    cluster: Any = None,
    small: bool = True,
    level: float = 0.95,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
) -> WorkingModelResult:
    """Robust variance estimation where effects of a study, or studies of a team, differ truly.

    Each effect weighs 1/(v + tau2 + omega2), with tau2 the variance between clusters and omega2 the
    variance within, both by the method of moments. Parameters are those of ``correlated_effects``.

    References
    ----------
    Hedges, Tipton and Johnson (2010), Res Synth Methods 1:39-65, section 4 and appendix; Tipton
    (2015), Psychol Methods 20:375-393.
    """
    design, codes, labels = _ready(
        effects, moderators, cluster, level, interactions, factors, reference, intercept
    )
    return _hierarchical(effects, design, codes, labels, small, level)


def _correlated(
    effects: Effects,
    design: Design,
    codes: Index,
    labels: tuple[Any, ...],
    rho: float,
    small: bool,
    level: float,
) -> WorkingModelResult:
    """Moments of Hedges, Tipton and Johnson (2010), eq. 14-16."""
    x = design.x
    size = np.bincount(codes).astype(float)
    mean_v = np.bincount(codes, effects.vi) / size
    w = 1 / (size * mean_v)
    first = fit(effects.yi, 1 / w[codes], x, tau2="EE")
    bread, q = first.vb, first.q
    sums = _by_cluster(codes, x)
    each = np.einsum("i,ia,ib->ab", (w / size)[codes], x, x)
    together = _outer(sums, w / size)
    # The expectation of q is ``spread`` under sampling error, and grows by ``slope`` per tau2.
    spread = len(size) - float(np.sum(bread * ((1 - rho) * each + rho * together)))
    slope = float(size @ w - np.sum(bread * _outer(sums, w * w)))
    notes: list[str] = []
    if slope > TOLD_APART * float(size @ w):
        tau2 = max(0.0, (q - spread) / slope)
    else:
        tau2 = 0.0
        notes.append(_too_few(len(size)))
    weights = (1 / (size * (mean_v + tau2)))[codes]
    return _result(
        effects,
        design,
        weights,
        labels,
        small,
        level,
        model="correlated effects",
        rho=rho,
        tau2=tau2,
        i2=max(0.0, (q - spread) / q) if q > 0 else 0.0,
        notes=notes,
    )


def _hierarchical(
    effects: Effects,
    design: Design,
    codes: Index,
    labels: tuple[Any, ...],
    small: bool,
    level: float,
) -> WorkingModelResult:
    tau2, omega2, notes = _moments(effects, design.x, codes)
    return _result(
        effects,
        design,
        1 / (effects.vi + tau2 + omega2),
        labels,
        small,
        level,
        model="hierarchical effects",
        tau2=tau2,
        omega2=omega2,
        notes=notes,
    )


def _moments(effects: Effects, x: Array, codes: Index) -> tuple[float, float, list[str]]:
    """tau2 and omega2 from two sums of squares of the residuals e at weights w = 1/v.

    q = sum of w e^2, and the sum over clusters of (sum of e)^2, are set equal to their
    expectations, which are linear in both variances; first omega2 and then tau2 is held at zero.
    """
    v, k = effects.vi, effects.k
    w = 1 / v
    found = fit(effects.yi, v, x, tau2="EE")
    bread = found.vb
    size = np.bincount(codes).astype(float)
    plain, heavy = _by_cluster(codes, x), _by_cluster(codes, x * w[:, None])
    square = np.einsum("i,ia,ib->ab", w * w, x, x)
    outer = _outer(plain)
    crossed = float(np.sum(bread * (heavy.T @ plain)))
    half = bread @ outer @ bread
    q = found.q
    # Expectations of q: from sampling error, per tau2, per omega2.
    q_v = float(k - x.shape[1])
    q_t = float(w.sum() - np.sum(bread * _outer(heavy)))
    q_o = float(w.sum() - np.sum(bread * square))
    sums = np.bincount(codes, found.resid)
    s = float(sums @ sums)
    s_v = float(v.sum() - np.sum(bread * outer))
    s_t = float(
        size @ size
        - 2 * np.sum(bread * (heavy.T @ (size[:, None] * plain)))
        + np.sum(half * _outer(heavy))
    )
    s_o = float(k - 2 * crossed + np.sum(half * square))
    notes: list[str] = []
    omega2 = 0.0
    determinant = q_t * s_o - q_o * s_t
    if size.max() == 1:
        notes.append("no cluster has two effects: ω² cannot be told from τ², which holds both")
    elif abs(determinant) > TOLD_APART * abs(q_t * s_o):
        omega2 = max(0.0, (q_t * (s - s_v) - s_t * (q - q_v)) / determinant)
    if q_t > TOLD_APART * float(w.sum()):
        tau2 = max(0.0, (q - q_v - omega2 * q_o) / q_t)
    else:
        tau2 = 0.0
        notes.append(_too_few(len(size)))
    return tau2, omega2, notes


def _ready(
    effects: Effects,
    moderators: Mapping[str, Any] | Any,
    cluster: Any,
    level: float,
    interactions: Iterable[tuple[str, str]],
    factors: Sequence[str],
    reference: Mapping[str, Any] | None,
    intercept: bool,
) -> tuple[Design, Index, tuple[Any, ...]]:
    """Checked input: design, clusters as integers, and as given."""
    check(effects)
    check_level(level)
    design = design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        intercept=intercept,
        study=effects.study,
        dropped=effects.dropped,
    )
    labels = tuple(effects.cluster if cluster is None else cluster)
    codes, _ = cluster_codes(effects, cluster)
    return design, codes, labels


def _by_cluster(codes: Index, columns: Array) -> Array:
    """Sums of the rows of each cluster, (m, p)."""
    return np.stack([np.bincount(codes, column) for column in columns.T], axis=1)


def _outer(rows: Array, weight: Array | None = None) -> Array:
    """Sum of the outer products of rows with themselves."""
    weighted = rows if weight is None else rows * weight[:, None]
    return np.asarray(rows.T @ weighted)


def _too_few(m: int) -> str:
    clusters = "one cluster" if m == 1 else f"{m} clusters"
    return f"{clusters} tell nothing of τ² beside the coefficients; weights take it as zero"


def _working(effects: Effects, design: Design, weights: Array) -> Working:
    """The fit at given weights; its working covariance is diagonal (Tipton 2015)."""
    variances = 1 / weights
    found = fit(effects.yi, variances, design.x, tau2="EE")
    return Working(effects, design.names, design.x, found.beta, found.resid, variances)


def _result(
    effects: Effects,
    design: Design,
    weights: Array,
    labels: tuple[Any, ...],
    small: bool,
    level: float,
    *,
    model: str,
    tau2: float,
    rho: float | None = None,
    omega2: float | None = None,
    i2: float | None = None,
    notes: Sequence[str] = (),
) -> WorkingModelResult:
    working = _working(effects, design, weights)
    kind, df = ("CR2", "Satterthwaite") if small else ("CR1p", "m-p")
    return WorkingModelResult(
        robust(working, labels, kind=kind, df=df, level=level),
        model,
        rho,
        tau2,
        omega2,
        i2,
        weights,
        small,
        design,
        labels,
        tuple(notes),
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class RhoSensitivity(Presented):
    """Results under correlated effects at several assumed correlations."""

    rho: tuple[float, ...]
    results: tuple[WorkingModelResult, ...]
    level: float

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each correlation and coefficient."""
        return [
            {"rho": rho, "tau2": found.tau2, **row}
            for rho, found in zip(self.rho, self.results, strict=True)
            for row in found.rows()
        ]


def rho_sensitivity(
    effects: Effects,
    moderators: Mapping[str, Any] | Any = None,
    *,
    rho: Sequence[float] = RHOS,
    level: float = 0.95,
    **options: Any,
) -> RhoSensitivity:
    """Fit correlated effects at several assumed correlations, to show how little depends on them.

    Parameters
    ----------
    rho : sequence of float
        Correlations, 0 to 1.
    **options
        As for ``correlated_effects``.
    """
    found = tuple(
        correlated_effects(effects, moderators, rho=float(r), level=level, **options) for r in rho
    )
    return RhoSensitivity(tuple(float(r) for r in rho), found, level)
