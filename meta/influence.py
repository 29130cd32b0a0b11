"""What single studies do to the result: refits without them, diagnostics, shrunken effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.batch import Frame, fits, knapp_hartung
from meta.batch_rows import chunks
from meta.errors import InputError
from meta.fitting import check, check_level, fit, method_of, quantile, test_named
from meta.frames import fitted_to
from meta.present import Presented, Table, table_of
from meta.results import Effects
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
NAN = math.nan
SELF_FIT = 1e-10  # distance of a leverage from one that is rounding


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Refits(Presented):
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

    def _tables(self) -> tuple[Table, ...]:
        return (table_of("Pooled effect, study by study", self.rows(), level=self.level),)

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
    total: int,
    members: Callable[[slice], Flags],
    labels: Sequence[str],
    method: str,
    ci: str,
    level: float,
) -> Refits:
    """Pool each set of studies; "auto" is settled for each set by pooling's own rule.

    Parameters
    ----------
    members : function of a slice
        Which studies are in these sets, (k, b).
    """
    frame = Frame.of(effects.yi, effects.vi, None)
    k = np.empty(total, dtype=int)
    estimate, v, tau2, q, typical, factor = np.empty((6, total))
    for at in chunks(total, effects.k):
        batch = frame.rows(members(at).astype(float))
        found = fits(batch, method)
        k[at] = batch.n
        beta, covariance = frame.coefficients(found.beta), frame.covariance(found.covariance)
        rss = batch.rss(found.tau2, found.beta)
        factor[at] = knapp_hartung(rss, beta, covariance, k[at] - 1)
        estimate[at], v[at] = beta[:, 0], covariance[:, 0, 0]
        tau2[at], q[at] = found.tau2 * frame.unit**2, found.q
        typical[at] = found.typical_v * frame.unit**2
    tests = _intervals_for(k, tau2, method, ci)
    knapp, ad_hoc = (np.char.startswith(tests, "Knapp"), tests == "Knapp-Hartung (ad hoc)")
    se = np.sqrt(v * np.where(ad_hoc, np.fmax(factor, 1.0), np.where(knapp, factor, 1.0)))
    free = np.where(tests == "Wald", np.inf, k - 1)
    z = np.divide(estimate, se, out=np.full(total, NAN), where=se > 0)
    half = _quantiles(level, free) * se
    alone, df = k == 1, np.maximum(k - 1, 1)
    h2 = q / df if method == "EE" else 1 + tau2 / typical
    h2 = np.where(alone, 1.0, h2)
    i2 = np.where(h2 > 1, 1 - 1 / np.maximum(h2, 1.0), 0.0)
    return Refits(
        label=tuple(labels),
        k=k,
        estimate=estimate,
        se=se,
        statistic=z,
        p=_two_sided(z, free),
        ci=np.stack((estimate - half, estimate + half), axis=1),
        tau2=tau2,
        q=q,
        q_p=np.where(alone, 1.0, special.chdtrc(df, q)),
        i2=i2,
        h2=h2,
        ci_method=tuple(tests.tolist()),
        level=level,
    )


def _intervals_for(k: NDArray[np.int_], tau2: Array, method: str, ci: str) -> NDArray[np.str_]:
    """Which interval each pool gets: the rule of ``meta.pooling.interval_for`` for many."""
    from meta.pooling import KNAPP_HARTUNG_FROM

    if ci != "auto":
        return np.where(k > 1, test_named(ci), "Wald")
    knapp = (k >= KNAPP_HARTUNG_FROM) & (tau2 > 0) & (method != "EE")
    return np.where(knapp, "Knapp-Hartung", "Wald")


def _quantiles(level: float, free: Array) -> Array:
    """Two-sided critical values for degrees of freedom, infinite ones for the normal."""
    upper = 0.5 + level / 2
    normal, t = np.isinf(free), np.full(len(free), special.ndtri(upper))
    t[~normal] = special.stdtrit(free[~normal], upper)
    return np.where(free > 0, t, NAN)


def _two_sided(statistic: Array, free: Array) -> Array:
    normal, below = np.isinf(free), -np.abs(statistic)
    p = 2 * special.ndtr(below)
    p[~normal] = 2 * special.stdtr(free[~normal], below[~normal])
    return np.where(free > 0, p, NAN)


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
    k, method = effects.k, method_of(model, tau2)
    return _refits(effects, k, lambda at: _others(k, at), effects.study, method, ci, level)


def _others(k: int, at: slice) -> Flags:
    """All studies but each of these, (k, b)."""
    return np.asarray(np.arange(k)[:, None] != np.arange(at.start, at.stop))


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
    number = {name: i for i, name in enumerate(clusters)}
    own = np.array([number[name] for name in effects.cluster])[:, None]
    method = method_of(model, tau2)

    def others(at: slice) -> Flags:
        return np.asarray(own != np.arange(at.start, at.stop))

    return _refits(effects, len(clusters), others, clusters, method, ci, level)


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
        keys = np.asarray(fitted_to(order, effects.k, effects.dropped))
        if keys.shape != (effects.k,):
            raise InputError(f"{keys.size} sort keys for {effects.k} studies")
        sequence = np.argsort(keys, kind="stable")
    place = np.empty(effects.k, dtype=int)
    place[sequence] = np.arange(effects.k)
    labels, method = [effects.study[i] for i in sequence], method_of(model, tau2)

    def so_far(at: slice) -> Flags:
        return np.asarray(place[:, None] <= np.arange(at.start, at.stop))

    return _refits(effects, effects.k, so_far, labels, method, ci, level)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Influence(Presented):
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

    def _tables(self) -> tuple[Table, ...]:
        return (table_of("Case diagnostics", self.rows()),)

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
    columns = np.ones((k, 1)) if design is None else design
    rest = _without_each(y, v, design, method)
    scale = np.ones(k)
    if kind.startswith("Knapp") and k - 1 > p:  # else nothing is left to scale by
        scale = np.fmax(rest.factor, 1.0) if "ad hoc" in kind else rest.factor
    t, moved = rest.tau2, whole.beta - rest.beta
    spread = v + t + (columns * (rest.covariance @ columns[..., None])[..., 0]).sum(1)
    own = whole.scale_of(kind)
    with np.errstate(invalid="ignore", divide="ignore"):
        rstudent = (y - (columns * rest.beta).sum(1)) / np.sqrt(spread * scale)
        dffits = (columns * moved).sum(1) / np.sqrt(whole.hat * (t + v))
        cook = (moved * np.linalg.solve(whole.vb, moved.T).T).sum(1) / own
        ratio = np.linalg.det(rest.covariance) / np.linalg.det(whole.vb) * (scale / own) ** p
        dfbetas = moved / np.sqrt(rest.spread * own)
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
        t,
        rest.q,
        whole.hat,
        whole.w / whole.w.sum(),
        dfbetas,
        marked,
    )


class _Rest(NamedTuple):
    """Fits without each study; NaN where a coefficient then cannot be estimated."""

    beta: Array  # (k, p)
    covariance: Array  # (k, p, p) without any Knapp-Hartung factor
    tau2: Array
    q: Array
    factor: Array  # residual mean square at weights 1/(v + tau2)
    spread: Array  # (k, p) variances of the coefficients from all studies at that tau2


def _without_each(y: Array, v: Array, x: Array | None, method: str) -> _Rest:
    frame, k = Frame.of(y, v, x), len(y)
    p = len(frame.back)
    tau2, q, factor = np.empty((3, k))
    rest = _Rest(np.empty((k, p)), np.empty((k, p, p)), tau2, q, factor, np.empty((k, p)))
    for at in chunks(k, k * p):
        batch, size = frame.rows(_others(k, at).astype(float)), at.stop - at.start
        found = fits(batch, method)
        beta, covariance = frame.coefficients(found.beta), frame.covariance(found.covariance)
        rest.beta[at], rest.covariance[at] = beta, covariance
        rest.tau2[at], rest.q[at] = found.tau2 * frame.unit**2, found.q
        rss = batch.rss(found.tau2, found.beta)
        rest.factor[at] = knapp_hartung(rss, beta, covariance, k - 1 - p)
        everyone = frame.rows(np.ones((k, size)))
        spread = frame.covariance(everyone.coefficients(found.tau2)[1])
        rest.spread[at] = np.diagonal(spread, axis1=1, axis2=2)
    return rest


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Baujat(Presented):
    """Which studies make the heterogeneity, and which move the pooled effect."""

    study: tuple[str, ...]
    model: str  # "random" or "common"
    tau2_method: str  # "" for the common-effect model
    contribution: Array  # squared Pearson residual: its part of Q under the common-effect model
    influence: Array  # squared shift of the estimate without it, in standard errors of that

    def _tables(self) -> tuple[Table, ...]:
        return (table_of(self.summary(), self.rows()),)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study."""
        pairs = zip(self.study, self.contribution.tolist(), self.influence.tolist(), strict=True)
        return [
            {"study": name, "contribution": part, "influence": moves} for name, part, moves in pairs
        ]

    def summary(self) -> str:
        """One line: which study contributes most, and which moves the result most."""
        most, mover = int(np.argmax(self.contribution)), int(np.argmax(self.influence))
        return (
            f"Of {len(self.study)} studies, {self.study[most]} contributes most to the "
            f"heterogeneity and {self.study[mover]} moves the result most"
        )

    def __str__(self) -> str:
        return self.summary()


def baujat(effects: Effects, *, model: str = "random", tau2: str = DEFAULT_TAU2) -> Baujat:
    """What each study contributes to the heterogeneity, and how far it moves the pooled effect.

    Raises
    ------
    InputError
        If effects are unusable or there are fewer than two studies.

    References
    ----------
    Baujat, Mahe, Pignon and Hill (2002), Stat Med 21:2641-2652, for a common effect; with random
    effects tau2 is part of each study's variance.
    """
    method = method_of(model, tau2)
    rest = leave_one_out(effects, model=model, tau2=tau2, ci="Wald")
    whole = fit(effects.yi, effects.vi, tau2=method)
    return Baujat(
        effects.study,
        model,
        "" if method == "EE" else method,
        whole.resid**2 / (effects.vi + whole.tau2.value),
        ((float(whole.beta[0]) - rest.estimate) / rest.se) ** 2,
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Shrunken(Presented):
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

    def _tables(self) -> tuple[Table, ...]:
        return (table_of("Residuals and shrunken effects", self.rows()),)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study."""
        columns = ("residual", "rstandard", "blup", "blup_se", "random_effect", "random_effect_se")
        return [
            {
                "study": self.study[i],
                **{name: float(getattr(self, name)[i]) for name in columns},
                "blup_interval_low": float(self.blup_interval[i, 0]),
                "blup_interval_high": float(self.blup_interval[i, 1]),
            }
            for i in range(len(self.study))
        ]


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
