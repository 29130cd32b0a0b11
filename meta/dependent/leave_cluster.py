"""Refits without each cluster of rows in turn: does one group of people carry the result?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from meta.dependent.robust import cluster_codes
from meta.dependent.working import working_of
from meta.errors import InputError, NotConverged
from meta.fitting import fit, quantile, subset, two_sided_p
from meta.influence import Refits
from meta.influence import leave_cluster_out as pool_without
from meta.present import Presented
from meta.regression import RegressionResult, _test_for
from meta.results import Effects, PooledEffect
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
Index = NDArray[np.intp]
NAN = math.nan
CHOSEN = "chosen by the analyst"  # the reason that results give for a test that was asked for


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class ClusterRefits(Presented):
    """The coefficients of a model without each cluster; NaN where the rest allows no fit."""

    label: tuple[str, ...]  # (m,) the cluster left out
    k: NDArray[np.int_]  # (m,) rows that are left
    names: tuple[str, ...]  # (p,) coefficients
    beta: Array  # (m, p)
    se: Array  # (m, p)
    p: Array  # (m, p)
    ci: Array  # (m, p, 2)
    shift: Array  # (m, p) from the coefficients of all rows
    tau2: Array  # (m,) NaN for models with several variances
    level: float
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each cluster and coefficient."""
        return [
            {
                "label": label,
                "k": int(self.k[i]),
                "coefficient": name,
                "estimate": float(self.beta[i, j]),
                "se": float(self.se[i, j]),
                "p": float(self.p[i, j]),
                "ci_low": float(self.ci[i, j, 0]),
                "ci_high": float(self.ci[i, j, 1]),
                "shift": float(self.shift[i, j]),
                "tau2": float(self.tau2[i]),
            }
            for i, label in enumerate(self.label)
            for j, name in enumerate(self.names)
        ]


@overload
def leave_cluster_out(
    subject: Effects,
    cluster: Any = None,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> Refits: ...
@overload
def leave_cluster_out(subject: PooledEffect, cluster: Any = None) -> Refits: ...
@overload
def leave_cluster_out(
    subject: Any, cluster: Any = None, *, fit: Callable[[Effects, Index], Any] | None = None
) -> ClusterRefits: ...


def leave_cluster_out(
    subject: Any,
    cluster: Any = None,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
    fit: Callable[[Effects, Index], Any] | None = None,
) -> Refits | ClusterRefits:
    """Fit again without each cluster of rows, in the order in which clusters first appear.

    Parameters
    ----------
    subject : Effects, or the result of pool, regress, or any other model
        Effects are pooled by the options given; a result is fitted again as it was. A test that
        was not asked for is settled for each refit by the usual rule.
    cluster : sequence, shape (k,), optional
        What each row belongs to; ``effects.cluster`` where not given.
    fit : function of Effects and the positions of their rows, optional
        How to fit the rest; for models that cannot do it by themselves. It gives a result with
        ``names``, ``beta``, ``se``, ``p`` and ``ci``.

    Returns
    -------
    Refits (effects and pooled effects; ``meta.plots`` draws it) or ClusterRefits

    Raises
    ------
    InputError
        If labels are missing, all rows are in one cluster, or the model cannot be fitted again.

    References
    ----------
    Viechtbauer and Cheung (2010), Res Synth Methods 1:112-125.
    """
    effects = subject if isinstance(subject, Effects) else subject.effects
    codes, labels = cluster_codes(effects, cluster)
    if len(labels) < 2:
        raise InputError("all rows belong to one cluster")
    if isinstance(subject, PooledEffect):
        model, level = subject.model, subject.level
        tau2 = subject.tau2_method or tau2
        ci = subject.ci_method if subject.ci_reason == CHOSEN else "auto"
        if working_of(subject).row_weights is not None:
            raise InputError(
                "this effect was pooled with weights of its own",
                remedy="pool the rest with their weights, cluster by cluster",
            )
    if isinstance(subject, (Effects, PooledEffect)):
        named = replace(effects, cluster=tuple(labels[i] for i in codes))
        return pool_without(named, model=model, tau2=tau2, ci=ci, level=level)
    again = _again(subject, fit)
    m, p = len(labels), len(subject.names)
    beta, se, prob = (np.full((m, p), NAN) for _ in range(3))
    bounds, between = np.full((m, p, 2), NAN), np.full(m, NAN)
    notes = []
    for j, label in enumerate(labels):
        keep = np.flatnonzero(codes != j)
        try:
            found = again(subset(effects, keep), keep)
        except (InputError, NotConverged) as fault:
            notes.append(f"without {label}: {fault.problem}")
            continue
        at = [subject.names.index(name) for name in found.names]
        beta[j, at], se[j, at], prob[j, at] = found.beta, found.se, found.p
        bounds[j, at] = found.ci
        between[j] = getattr(found, "tau2", NAN)
    return ClusterRefits(
        tuple(labels),
        len(codes) - np.bincount(codes),
        tuple(subject.names),
        beta,
        se,
        prob,
        bounds,
        beta - np.asarray(subject.beta),
        between,
        subject.level,
        tuple(notes),
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class _Found:
    """What a refit of a meta-regression gives."""

    names: tuple[str, ...]
    beta: Array
    se: Array
    p: Array
    ci: Array
    tau2: float


def _again(
    subject: Any, given: Callable[[Effects, Index], Any] | None
) -> Callable[[Effects, Index], Any]:
    """How a model is fitted again."""
    if given is not None:
        return given
    if isinstance(subject, RegressionResult):
        return _regression(subject)
    if hasattr(subject, "without"):
        return lambda _, keep: subject.without(keep)
    raise InputError(
        f"a {type(subject).__name__} cannot be fitted again by itself",
        remedy="give fit=, a function that fits the model to the rows that are left",
    )


def _regression(result: RegressionResult) -> Callable[[Effects, Index], _Found]:
    """The same columns, estimator and weights; the test that was asked for, or the usual rule."""
    weights = working_of(result).row_weights
    method = result.tau2_method or "EE"
    test = result.test if result.test_reason == CHOSEN else "auto"

    def again(effects: Effects, keep: Index) -> _Found:
        x = result.design.x[keep]
        empty = [n for n, column in zip(result.names, x.T, strict=True) if not column.any()]
        if empty:
            raise InputError(f"no row tells of {', '.join(empty)}")
        alone = result.design.intercept and x.shape[1] == 1
        found = fit(
            effects.yi,
            effects.vi,
            None if alone else x,
            tau2=method,
            weights=None if weights is None else weights[keep],
        )
        kind, _ = _test_for(found, test)
        df = found.df_of(kind)
        se = np.sqrt(np.diag(found.vb) * found.scale_of(kind))
        half = quantile(result.level, df) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = found.beta / se
        return _Found(
            result.names,
            found.beta,
            se,
            np.array([two_sided_p(float(t), df) for t in statistic]),
            np.stack((found.beta - half, found.beta + half), axis=1),
            found.tau2.value,
        )

    return again
