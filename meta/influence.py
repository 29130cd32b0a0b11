"""What single studies do to the result: refits without them, diagnostics, shrunken effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError
from meta.fitting import (
    Fit,
    check,
    check_level,
    fit,
    method_of,
    quantile,
    test_named,
    two_sided_p,
)
from meta.results import Effects
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan
SELF_FIT = 1e-10  # distance of a leverage from one that is rounding


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Refits:
    """The pooled effect over sets of studies, a row each."""

    label: tuple[str, ...]  # the study left out, or the study added
    k: NDArray[np.int_]  # studies in each
    estimate: Array
    se: Array
    statistic: Array
    p: Array
    ci: Array  # (n, 2)
    tau2: Array
    q: Array
    q_p: Array
    i2: Array  # 0 to 1
    h2: Array
    ci_method: tuple[str, ...]
    level: float

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each row."""
        return [
            {
                "label": self.label[i],
                "k": int(self.k[i]),
                "estimate": float(self.estimate[i]),
                "se": float(self.se[i]),
                "p": float(self.p[i]),
                "ci_low": float(self.ci[i, 0]),
                "ci_high": float(self.ci[i, 1]),
                "tau2": float(self.tau2[i]),
                "i2": float(self.i2[i]),
            }
            for i in range(len(self.label))
        ]


def _refits(
    effects: Effects,
    sets: Sequence[NDArray[np.int_]],
    labels: Sequence[str],
    method: str,
    ci: str,
    level: float,
) -> Refits:
    """Pool each set of studies; "auto" is settled for each set by pooling's own rule."""
    from meta.pooling import interval_for

    rows: list[tuple[float, ...]] = []
    tests: list[str] = []
    for members in sets:
        found = fit(effects.yi[members], effects.vi[members], tau2=method)
        test = interval_for(found, ci)[0]
        df = found.df_of(test)
        mid = float(found.beta[0])
        se = math.sqrt(float(found.vb[0, 0]) * found.scale_of(test))
        z = mid / se if se > 0 else NAN
        half = quantile(level, df) * se
        rows.append(
            (
                *(mid, se, z, two_sided_p(z, df), mid - half, mid + half),
                *(found.tau2.value, found.q, found.q_p, found.i2, found.h2),
            )
        )
        tests.append(test)
    table = np.array(rows)
    return Refits(
        label=tuple(labels),
        k=np.array([len(members) for members in sets]),
        estimate=table[:, 0],
        se=table[:, 1],
        statistic=table[:, 2],
        p=table[:, 3],
        ci=table[:, 4:6],
        tau2=table[:, 6],
        q=table[:, 7],
        q_p=table[:, 8],
        i2=table[:, 9],
        h2=table[:, 10],
        ci_method=tuple(tests),
        level=level,
    )


def leave_one_out(
    effects: Effects,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> Refits:
    """Pool k times, each time without one study; row i leaves out study i.

    Raises
    ------
    InputError
        If there are fewer than two studies.
    """
    check(effects, least=2)
    check_level(level)
    everyone = np.arange(effects.k)
    sets = [np.delete(everyone, i) for i in range(effects.k)]
    return _refits(effects, sets, effects.study, method_of(model, tau2), ci, level)


def leave_cluster_out(
    effects: Effects,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> Refits:
    """Pool without each cluster of rows in turn, in the order in which clusters first appear."""
    check(effects, least=2)
    check_level(level)
    clusters = list(dict.fromkeys(effects.cluster))
    if len(clusters) < 2:
        raise InputError("all rows belong to one cluster")
    member = np.array(effects.cluster, dtype=object)
    sets = [np.flatnonzero(member != name) for name in clusters]
    return _refits(effects, sets, clusters, method_of(model, tau2), ci, level)


def cumulative(
    effects: Effects,
    order: Any = None,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> Refits:
    """Add one study at a time; row j pools the first j + 1 studies and is named by the last.

    Parameters
    ----------
    order : sequence, shape (k,), optional
        Sort key such as the year; ties keep the order in which the studies are given.
    """
    check(effects)
    check_level(level)
    sequence = np.arange(effects.k)
    if order is not None:
        keys = np.asarray(order)
        if keys.shape != (effects.k,):
            raise InputError(f"{keys.size} sort keys for {effects.k} studies")
        sequence = np.argsort(keys, kind="stable")
    sets = [sequence[: j + 1] for j in range(effects.k)]
    labels = [effects.study[i] for i in sequence]
    return _refits(effects, sets, labels, method_of(model, tau2), ci, level)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Influence:
    """Case diagnostics, one entry per study; NaN where the rest of the studies allow no fit."""

    study: tuple[str, ...]
    rstudent: Array  # externally standardised (deleted) residual
    dffits: Array  # shift of the own fitted value, in its standard errors
    cook: Array  # distance between coefficients with and without the study
    cov_ratio: Array  # determinant of the coefficients' covariance without, over with
    tau2_deleted: Array
    q_deleted: Array
    hat: Array
    weight: Array  # sum 1
    dfbetas: Array  # (k, p) shift of each coefficient, in standard errors
    influential: NDArray[np.bool_]

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study."""
        columns = (
            "rstudent",
            "dffits",
            "cook",
            "cov_ratio",
            "tau2_deleted",
            "q_deleted",
            "hat",
            "weight",
        )
        return [
            {
                "study": self.study[i],
                **{name: float(getattr(self, name)[i]) for name in columns},
                "dfbetas": tuple(float(d) for d in self.dfbetas[i]),
                "influential": bool(self.influential[i]),
            }
            for i in range(len(self.study))
        ]


def influence(
    effects: Effects,
    x: Any = None,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    test: str = "Wald",
) -> Influence:
    """Case diagnostics from k refits, each with its own tau2.

    Parameters
    ----------
    x : array, shape (k, p), optional
        Design with its intercept column (``RegressionResult.design.x``).
    test : {"Wald", "t", "Knapp-Hartung", "ad hoc"}
        Which standard errors of the coefficients enter the residuals and distances.

    Notes
    -----
    A study is marked influential if |DFFITS| > 3 sqrt(p/(k - p)), if the lower tail of chi-squared
    (p) at Cook's distance exceeds one half, if its leverage exceeds 3p/k, or if any |DFBETAS| > 1.

    References
    ----------
    Viechtbauer and Cheung (2010), Res Synth Methods 1:112-125.
    """
    check(effects, least=2)
    y, v, k = effects.yi, effects.vi, effects.k
    design = None if x is None else np.asarray(x, dtype=float)
    method, kind = method_of(model, tau2), test_named(test)
    whole = fit(y, v, design, tau2=method)
    p = whole.p
    covariance = whole.vb * whole.scale_of(kind)
    columns = np.ones((k, 1)) if design is None else design
    deleted = [_without(y, v, design, method, i) for i in range(k)]
    one = np.full(k, NAN)
    rstudent, dffits, cook, ratio = one.copy(), one.copy(), one.copy(), one.copy()
    tau2_deleted, q_deleted = one.copy(), one.copy()
    dfbetas = np.full((k, p), NAN)
    for i, rest in enumerate(deleted):
        if rest is None:
            continue
        row = columns[i]
        t = rest.tau2.value
        scale = rest.scale_of(kind)
        if math.isnan(scale):  # one study is left: no residual to scale by
            scale = 1.0
        spread = (v[i] + t + float(row @ rest.vb @ row)) * scale
        rstudent[i] = (y[i] - float(row @ rest.beta)) / math.sqrt(spread)
        moved = whole.beta - rest.beta
        dffits[i] = float(row @ moved) / math.sqrt(whole.hat[i] * (t + v[i]))
        cook[i] = float(moved @ np.linalg.solve(covariance, moved))
        ratio[i] = np.linalg.det(rest.vb * scale) / np.linalg.det(covariance)
        tau2_deleted[i], q_deleted[i] = t, rest.q
        w = 1 / (v + t)
        unscaled = np.linalg.inv((columns.T * w) @ columns)
        factor = whole.scale_of(kind) if kind != "Wald" else 1.0
        dfbetas[i] = moved / np.sqrt(np.diag(unscaled) * factor)
    with np.errstate(invalid="ignore"):
        marked = (
            (np.abs(dffits) > 3 * math.sqrt(p / (k - p)) if k > p else np.zeros(k, dtype=bool))
            | (special.chdtr(p, cook) > 0.5)
            | (whole.hat > 3 * p / k)
            | (np.abs(dfbetas) > 1).any(1)
        )
    return Influence(
        effects.study,
        rstudent,
        dffits,
        cook,
        ratio,
        tau2_deleted,
        q_deleted,
        whole.hat,
        whole.w / whole.w.sum(),
        dfbetas,
        marked,
    )


def _without(y: Array, v: Array, x: Array | None, method: str, i: int) -> Fit | None:
    """The fit without study i, or None where a coefficient then cannot be estimated."""
    try:
        return fit(
            np.delete(y, i),
            np.delete(v, i),
            None if x is None else np.delete(x, i, axis=0),
            tau2=method,
        )
    except InputError:
        return None


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Shrunken:
    """Residuals, best linear unbiased predictions and random effects, one entry per study."""

    study: tuple[str, ...]
    residual: Array
    residual_se: Array
    rstandard: Array  # internally standardised residual; 0 where a study fits itself
    blup: Array  # predicted true effect of the study
    blup_se: Array
    blup_interval: Array  # (k, 2)
    random_effect: Array  # predicted deviation from the mean
    random_effect_se: Array
    level: float


def shrink(
    effects: Effects,
    x: Any = None,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    test: str = "Wald",
    level: float = 0.95,
) -> Shrunken:
    """Standardised residuals, and each study's effect shrunk towards what the model predicts.

    The prediction weighs the observed effect by tau2/(tau2 + v) and the fitted one by the rest;
    its standard error takes the uncertainty of the coefficients in, but not that of tau2.

    References
    ----------
    Raudenbush and Bryk (1985), J Educ Stat 10:75-98; Viechtbauer and Cheung (2010).
    """
    check(effects)
    check_level(level)
    y, v, k = effects.yi, effects.vi, effects.k
    design = None if x is None else np.asarray(x, dtype=float)
    method, kind = method_of(model, tau2), test_named(test)
    found = fit(y, v, design, tau2=method)
    columns = np.ones((k, 1)) if design is None else design
    t = found.tau2.value
    mean = columns @ found.beta
    variance = ((columns @ found.vb) * columns).sum(1)
    # A study that alone carries a coefficient fits itself: nothing is left of it but rounding.
    alone = found.hat > 1 - SELF_FIT
    residual_se = np.where(alone, 0.0, np.sqrt(np.maximum(v + t - variance, 0.0)))
    standard = np.where(alone, 0.0, found.resid / np.where(alone, 1.0, residual_se))
    variance = variance * found.scale_of(kind)
    share = t / (t + v)
    blup = share * y + (1 - share) * mean
    blup_se = np.sqrt(share * v + (1 - share) ** 2 * variance)
    half = quantile(level, found.df_of(kind)) * blup_se
    return Shrunken(
        effects.study,
        found.resid,
        residual_se,
        standard,
        blup,
        blup_se,
        np.stack((blup - half, blup + half), axis=1),
        share * found.resid,
        np.sqrt(share * v + share**2 * variance),
        level,
    )
