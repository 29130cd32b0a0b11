"""The variances and correlations of a fitted model, and its predicted random effects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meta.dependent.climb import Top
from meta.dependent.gls import Likelihood, State
from meta.dependent.random_terms import Term

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
NAN = math.nan


@dataclass(frozen=True, slots=True)
class Component:
    """One variance or correlation of the random effects."""

    name: str  # "district", "district/school", "outcome | study: AL"
    kind: str  # "variance" or "correlation"
    value: float  # a variance in the units of the effects squared
    se: float  # from the observed information; NaN for a known value or one on its bound
    known: bool  # given, not estimated
    groups: int  # how many groups (variance), so many effects of that level
    i2: float  # share of the total variance, 0 to 1; NaN for correlations


def components_of(
    likelihood: Likelihood, top: Top, state: State, bare: State, held: Mask
) -> tuple[tuple[Component, ...], float]:
    """The components in the units of the effects, and the total share of heterogeneity.

    Shares compare a variance with the typical sampling variance (k - p)/tr P, P under the sampling
    covariance alone (Higgins and Thompson 2002, Stat Med 21:1539-1558, eq. 9, for a general
    covariance). Where each inner level has its own variance, the typical variance is that of the
    effects of that level, and there is no total.
    """
    spread = np.zeros((len(top.theta), len(top.theta)))
    curved = top.free.any() and top.hessian.shape[0] == int(top.free.sum())
    if curved and float(np.linalg.eigvalsh(top.hessian).min()) > 0:
        spread[np.ix_(top.free, top.free)] = np.linalg.inv(top.hessian)
    diag = likelihood.unstack(
        [
            np.diagonal(w, axis1=1, axis2=2) - ((wx @ bare.bread) * wx).sum(-1)
            for w, wx in zip(bare.inverse, bare.wx, strict=True)
        ]
    )
    df = likelihood.k - likelihood.p
    found = [
        (term, i, component)
        for term, part in zip(likelihood.terms, likelihood.slices, strict=True)
        for i, component in _raw(term, state.theta[part], spread[part, part], held[part])
    ]
    variances = [(t, i, c) for t, i, c in found if c.kind == "variance"]
    single = df > 0 and all(
        (t.plain and t.share is None) or (not t.plain and t.structure.variances == 1)
        for t, _, _ in variances
    )
    typical = df / float(diag.sum()) if df > 0 else NAN
    total = sum(c.value for _, _, c in variances)
    out = []
    for term, i, c in found:
        if c.kind == "variance":
            groups, share = term.n_groups, NAN
            if not term.plain and term.structure.variances != 1:
                rows = term.inner == i
                groups = int(rows.sum())
                if len(likelihood.terms) == 1 and groups > 1:
                    share = c.value / (c.value + (groups - 1) / float(diag[rows].sum()))
            elif single:
                share = c.value / (total + typical)
            unit = likelihood.unit
            c = replace(c, value=c.value * unit, se=c.se * unit, groups=groups, i2=share)
        out.append(c)
    return tuple(out), (total / (total + typical) if single else NAN)


def _raw(term: Term, theta: Array, spread: Array, known: Mask) -> Iterator[tuple[int, Component]]:
    """The components of a term, scaled; the standard errors by the delta method."""
    first, second = term.labels()
    variances, correlations = term.reported(theta)
    slopes = _jacobian(term, theta)
    error = np.sqrt(np.maximum(np.diag(slopes @ spread @ slopes.T), 0.0))
    error = np.where(error > 0, error, NAN)
    whole = bool(known.all())
    for i, name in enumerate(first):
        given = whole if term.structure.correlations == 2 else bool(known[i])
        value = float(variances[i])
        yield i, Component(name, "variance", value, float(error[i]), given, term.n_groups, NAN)
    for i, name in enumerate(second):
        se, given = float(error[len(first) + i]), bool(known[-1])
        value = float(correlations[i])
        yield i, Component(name, "correlation", value, se, given, term.n_groups, NAN)


def _jacobian(term: Term, theta: Array) -> Array:
    """Slopes of what is reported by the parameters inside, by central differences."""

    def shown(t: Array) -> Array:
        return np.concatenate(term.reported(t))

    columns = []
    for i in range(len(theta)):
        size = 1e-6 * max(1e-3, abs(theta[i]))
        high, low = theta.copy(), theta.copy()
        high[i] += size
        low[i] -= size
        columns.append((shown(high) - shown(low)) / (2 * size))
    out = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    return np.nan_to_num(out)


def blups(likelihood: Likelihood, state: State) -> tuple[tuple[str, str, float, float], ...]:
    """Best linear unbiased predictions of the random effects, with standard errors.

    u = C'P y with C the covariance of the effects with u; var(u - predicted) = G - C'PC (Robinson
    1991, Stat Sci 6:15-32).
    """
    out: list[tuple[str, str, float, float]] = []
    for term, part in zip(likelihood.terms, likelihood.slices, strict=True):
        g = term.structure.matrix(state.theta[part], term.at)
        if term.share is not None:
            continue  # levels covary across groups: see ``fitted`` and ``residuals``
        for group, at in enumerate(likelihood.layout.groups):
            w, u, wx = state.inverse[group], state.pushed[group], state.wx[group]
            for block, index in enumerate(at):
                rows = index[index < likelihood.k]
                codes, inner = term.codes[rows], term.inner[rows]
                for code in np.unique(codes):
                    mine = codes == code
                    for level in np.unique(inner[mine]):
                        c = np.zeros(len(index))
                        c[: len(rows)] = np.where(mine, g[inner, level], 0.0)
                        value = float(c @ u[block])
                        wc = w[block] @ c
                        xc = wx[block].T @ c
                        error = float(g[level, level] - c @ wc + xc @ state.bread @ xc)
                        name = term.levels[level]
                        out.append(
                            (
                                term.name,
                                term.groups[code] + (f": {name}" if name else ""),
                                value * likelihood.scale,
                                math.sqrt(max(error, 0.0)) * likelihood.scale,
                            )
                        )
    return tuple(out)
