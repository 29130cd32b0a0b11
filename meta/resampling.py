"""Inference without distributions: permutation tests and bootstrap intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.batch import Batch, Designs, Fits, Subsets, chunks, fits, responses, scaled
from meta.errors import InputError, UnknownName
from meta.fitting import check, check_level, fit, method_of, test_named, two_sided_p
from meta.moderators import Design, design_of
from meta.results import Effects, show, show_p
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan
EXACT_FLIPS = 2**20  # sign patterns enumerated at most, about a second
EXACT_ORDERS = 2**17  # orders of a design enumerated at most
DRAWS = 9_999  # so that (1 + count)/(1 + draws) is a round number
ROUNDING = 1e-26  # residual over explained squares
TIE = 1e-8  # relative distance at which a permuted statistic ties with the observed one


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class PermutationTest:
    """Permutation p-values of the coefficients of a model, and of its moderators together."""

    effects: Effects
    names: tuple[str, ...]  # (p,) coefficients
    model: str
    tau2_method: str  # "" for the common-effect model
    test: str  # statistic: "Wald", "t", "Knapp-Hartung", "Knapp-Hartung (ad hoc)"
    exact: bool  # every permutation, or a sample with the observed one added
    n: int  # permutations
    estimate: Array  # (p,)
    statistic: Array  # (p,) observed
    p: Array  # (p,) two-sided
    p_model: Array  # (p,) of the model without permutation
    omnibus: float  # observed joint statistic of the moderators; NaN without moderators
    omnibus_p: float
    permuted: Array  # (n, p) statistics
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return [
            {
                "coefficient": name,
                "estimate": float(b),
                "statistic": float(t),
                "p": float(p),
                "p_model": float(q),
            }
            for name, b, t, p, q in zip(
                self.names, self.estimate, self.statistic, self.p, self.p_model, strict=True
            )
        ]

    def summary(self) -> str:
        """A line for each coefficient under one on how it was done."""
        how = "exact" if self.exact else "sampled"
        lines = [f"Permutation test ({how}, {self.n:,} permutations), {self.test} statistic"]
        lines += [
            f"{row['coefficient']}: {show(row['estimate'], 3)}, {show_p(row['p'])} "
            f"(model: {show_p(row['p_model'])})"
            for row in self.rows()
        ]
        if not math.isnan(self.omnibus_p):
            lines.append(f"Test of moderators: {show_p(self.omnibus_p)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def permutation_test(
    effects: Effects,
    moderators: Mapping[str, Any] | Any = None,
    *,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    test: str = "Wald",
    exact: bool | None = None,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> PermutationTest:
    """Permutation test of a pooled effect or of a meta-regression.

    Without moderators the signs of the effects are flipped (under the null hypothesis they are
    symmetric about zero); with moderators the rows of the design are permuted against the effects,
    each with its variance. tau2 is estimated anew for every permutation. A two-sided p is the
    share of permutations whose |statistic| reaches the observed one; ties count.

    Parameters
    ----------
    moderators, interactions, factors, reference
        As for ``meta.regression.regress``; the intercept stays in the model.
    test : {"Wald", "t", "Knapp-Hartung", "ad hoc"}
        The statistic; "Wald" and "t" have the same permutation distribution.
    exact : bool, optional
        Every permutation, or ``draws`` of them. By default exact while there are at most 2^20
        sign patterns or 2^17 distinct orders of the design.
    rng : numpy.random.Generator, optional
        Needed where permutations are drawn.

    Raises
    ------
    InputError
        If effects or moderators are unusable, ``exact`` asks for too many permutations, or a
        sample is to be drawn without ``rng``.

    References
    ----------
    Follmann and Proschan (1999), Biometrics 55:732-737; Higgins and Thompson (2004), Stat Med
    23:1663-1682; Phipson and Smyth (2010), Stat Appl Genet Mol Biol 9:39 for sampled p-values.
    """
    check(effects)
    method = method_of(model, tau2)
    chosen = test_named(test)
    design = design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        study=effects.study,
    )
    alone = design.x.shape[1] == 1
    total = 2**effects.k if alone else _orders(design.x)
    limit = EXACT_FLIPS if alone else EXACT_ORDERS
    exact = total <= limit if exact is None else exact
    if exact and total > limit:
        raise InputError(
            f"{total:.3g} permutations are too many to take all (at most {limit:,})",
            remedy="use exact=False, draws=9999 and rng",
        )
    if not exact and draws < 1:
        raise InputError(f"draws = {draws} is not positive")
    if not exact and rng is None:
        raise InputError(
            f"{total:.3g} permutations: a sample of them needs a source of randomness",
            remedy="pass rng=numpy.random.default_rng(seed)",
        )
    observed = fit(effects.yi, effects.vi, None if alone else design.x, tau2=method)
    df = observed.df
    rss = np.array([observed.factor * df if df else 0.0])
    none = np.zeros(1)
    own = Fits(none, observed.beta[None], observed.vb[None], rss, none, none)
    statistic = _statistics(own, df, chosen)[0][0]
    tested = np.array(design.tested)
    joint = NAN
    if not alone:
        covariance = observed.vb * observed.scale_of(chosen)
        joint = float(_joint(observed.beta[None], covariance[None], tested)[0])
    if alone:
        permuted = _flipped(effects, method, chosen, exact, draws, rng)
        joints = np.full(len(permuted), NAN)
    else:
        permuted, joints = _reordered(effects, design, method, chosen, exact, draws, rng)
    reached = np.abs(permuted) >= np.abs(statistic) * (1 - TIE)
    more = 0 if exact else 1  # the observed order is one of the sample
    count = len(permuted) + more
    return PermutationTest(
        effects,
        design.names,
        model,
        "" if method == "EE" else method,
        chosen,
        exact,
        count,
        observed.beta,
        statistic,
        np.where(np.isnan(statistic), NAN, (reached.sum(0) + more) / count),
        np.array([two_sided_p(float(t), observed.df_of(chosen)) for t in statistic]),
        joint,
        NAN if alone else float(((joints >= joint * (1 - TIE)).sum() + more) / count),
        permuted,
        () if exact else (f"{draws:,} of {total:.3g} permutations were drawn at random",),
    )


def _divide(estimate: Array, se: Array) -> Array:
    """estimate/se; zero over zero is no effect."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = estimate / se
    return np.where((estimate == 0) & (se == 0), 0.0, ratio)


def _factor(found: Fits, free: Array | float, test: str) -> Array:
    """What each row's variance is multiplied by under a test."""
    if not test.startswith("Knapp"):
        return np.ones(len(found.rss))
    # Residuals that are rounding are none: equal effects have an infinite t.
    z2 = (found.beta**2 / np.diagonal(found.covariance, axis1=1, axis2=2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(found.rss <= ROUNDING * z2, 0.0, found.rss) / free
    return np.maximum(factor, 1.0) if "ad hoc" in test else factor


def _statistics(found: Fits, free: float, test: str) -> tuple[Array, Array]:
    factor = _factor(found, free, test)
    variance = np.diagonal(found.covariance, axis1=1, axis2=2) * factor[:, None]
    return _divide(found.beta, np.sqrt(variance)), found.covariance * factor[:, None, None]


def _joint(beta: Array, covariance: Array, at: NDArray[np.int_]) -> Array:
    """b' V^-1 b of some coefficients, a row each."""
    b, v = beta[:, at], covariance[:, at[:, None], at]
    return np.asarray((b * np.linalg.solve(v, b[..., None])[..., 0]).sum(1))


def _flipped(
    effects: Effects,
    method: str,
    test: str,
    exact: bool,
    draws: int,
    rng: np.random.Generator | None,
) -> Array:
    """Statistics of the mean under flipped signs, shape (n, 1)."""
    k = effects.k
    _, v, _, unit = scaled(effects.yi, effects.vi)
    y = effects.yi / unit
    # A pattern and its opposite give opposite statistics: half of them are enough.
    total = 2 ** (k - 1) if exact else draws
    bits = np.arange(k)[:, None]
    with_effects = responses(v)
    statistics = np.empty(total)
    for first, last in chunks(total, k):
        if exact:
            signs = 1.0 - 2.0 * ((np.arange(first, last) >> bits) & 1)
        else:
            assert rng is not None
            signs = 1.0 - 2.0 * rng.integers(0, 2, (k, last - first))
        found = fits(with_effects(signs * y[:, None]), method)
        statistics[first:last] = _statistics(found, k - 1, test)[0][:, 0]
    if exact:
        statistics = np.concatenate((statistics, -statistics))
    return statistics[:, None]


def _classes(x: Array) -> NDArray[np.int_]:
    """Studies with the same row of the design belong to one class."""
    return np.unique(x, axis=0, return_inverse=True)[1].reshape(-1)


def _orders(x: Array) -> float:
    """Number of distinct orders of the rows of a design."""
    logs = math.lgamma(len(x) + 1) - sum(
        math.lgamma(m + 1) for m in np.bincount(_classes(x)).tolist()
    )
    return round(math.exp(logs)) if logs < 30 else math.exp(min(logs, 700.0))


def _arrangements(counts: list[int]) -> Iterator[list[int]]:
    """Every distinct arrangement of classes that occur so often, in lexicographic order."""
    row = [c for c, m in enumerate(counts) for _ in range(m)]
    while True:
        yield row.copy()
        i = len(row) - 2
        while i >= 0 and row[i] >= row[i + 1]:
            i -= 1
        if i < 0:
            return
        j = len(row) - 1
        while row[j] <= row[i]:
            j -= 1
        row[i], row[j] = row[j], row[i]
        row[i + 1 :] = row[:i:-1]


def _reordered(
    effects: Effects,
    design: Design,
    method: str,
    test: str,
    exact: bool,
    draws: int,
    rng: np.random.Generator | None,
) -> tuple[Array, Array]:
    """Statistics of the coefficients and of the moderators together under permuted designs."""
    k, p = design.x.shape
    classes = _classes(design.x)
    kinds = design.x[[int(np.flatnonzero(classes == c)[0]) for c in range(classes.max() + 1)]]
    y, v, centre, unit = scaled(effects.yi, effects.vi)
    intercept = list(design.terms["intercept"])
    tested = np.array(design.tested)
    rows = _arrangements(np.bincount(classes).tolist())
    statistics: list[Array] = []
    joints: list[Array] = []
    size = max(8_000 // (k * p), 64)
    left = draws
    while True:
        if exact:
            order = np.array(list(itertools.islice(rows, size)), dtype=int)
        else:
            assert rng is not None
            order = rng.permuted(np.tile(classes, (min(size, left), 1)), axis=1)
            left -= len(order)
        if not len(order):
            break
        found = fits(Designs(y, v, kinds[order]), method)
        found.beta[:, intercept] += centre / unit
        statistic, covariance = _statistics(found, k - p, test)
        statistics.append(statistic)
        joints.append(_joint(found.beta, covariance, tested))
    return np.concatenate(statistics), np.concatenate(joints)


INTERVALS = ("percentile", "basic", "BCa")
KINDS = ("parametric", "case")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Bootstrap:
    """Bootstrap of a pooled effect; effects on the analysis scale, proportions 0 to 1."""

    effects: Effects
    kind: str  # "parametric" or "case"
    model: str
    tau2_method: str
    interval: str
    level: float
    estimate: float  # of the studies themselves
    se: float  # standard deviation of the estimates
    bias: float  # their mean minus the estimate
    ci: tuple[float, float]
    tau2: float
    tau2_ci: tuple[float, float]  # percentile
    i2: float
    i2_ci: tuple[float, float]  # percentile
    estimates: Array  # (n,)
    tau2s: Array  # (n,)
    i2s: Array  # (n,)

    @property
    def n(self) -> int:
        return len(self.estimates)

    def summary(self) -> str:
        """One line: the pooled effect with its bootstrap interval, and tau² with its own."""
        mid, low, high = map(self.effects.measure.natural, (self.estimate, *self.ci))
        line = (
            f"{self.effects.measure.label} {show(mid)} ({self.level:.0%} {self.interval} "
            f"{self.kind} bootstrap CI {show(low)} to {show(high)}), {self.n:,} resamples"
        )
        if self.model == "random":
            low, high = self.tau2_ci
            line += f"; τ² = {show(self.tau2, 3)} ({show(low, 3)} to {show(high, 3)})"
        return line

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for the effect, tau² and I²."""
        return [
            {"quantity": name, "estimate": value, "ci_low": ci[0], "ci_high": ci[1]}
            for name, value, ci in (
                ("estimate", self.estimate, self.ci),
                ("tau2", self.tau2, self.tau2_ci),
                ("i2", self.i2, self.i2_ci),
            )
        ]

    def __str__(self) -> str:
        return self.summary()


def bootstrap(
    effects: Effects,
    *,
    kind: str = "parametric",
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    interval: str = "percentile",
    draws: int = 10_000,
    level: float = 0.95,
    rng: np.random.Generator,
) -> Bootstrap:
    """Bootstrap the pooled effect, tau2 and I2.

    Parameters
    ----------
    kind : {"parametric", "case"}
        New effects from the fitted model, y* ~ N(estimate, v + tau2), or studies drawn with
        replacement. Drawing studies needs some ten of them; with fewer its intervals are short.
    tau2 : str
        "REML" and "DL" (and the common-effect model) are batched; others are slow.
    interval : {"percentile", "basic", "BCa"}
        For the effect. "BCa" (bias-corrected and accelerated, from the jackknife) is for "case".
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    InputError
        If effects are unusable or there are fewer than two studies.
    UnknownName
        If a choice is not known.

    References
    ----------
    Efron (1987), JASA 82:171-185; Turner, Omar, Yang, Goldstein and Thompson (2000), Stat Med
    19:3417-3432; Van Den Noortgate and Onghena (2005), Behav Res Methods 37:11-22.
    """
    check(effects, least=2)
    check_level(level)
    method = method_of(model, tau2)
    if kind not in KINDS:
        raise UnknownName("kind of bootstrap", kind, KINDS)
    if interval not in INTERVALS:
        raise UnknownName("bootstrap interval", interval, INTERVALS)
    if interval == "BCa" and kind != "case":
        raise InputError("BCa intervals need resampled studies", remedy='use kind="case"')
    if draws < 2:
        raise InputError(f"draws = {draws} is less than 2")
    k = effects.k
    y, v, centre, unit = scaled(effects.yi, effects.vi)
    own = fit(effects.yi, effects.vi, tau2=method)
    with_effects = responses(v)
    spread = np.sqrt(v + own.tau2.value / unit**2)[:, None]
    middle = (float(own.beta[0]) - centre) / unit

    def resample(size: int) -> Batch:
        if kind == "parametric":
            return with_effects(middle + spread * rng.standard_normal((k, size)))
        drawn = rng.integers(0, k, (k, size)) * size + np.arange(size)
        often = np.bincount(drawn.ravel(), minlength=k * size).reshape(k, size)
        return Subsets(y, v, often.astype(float))

    estimates, tau2s, i2s = np.empty((3, draws))
    for first, last in chunks(draws, k):
        found = fits(resample(last - first), method)
        estimates[first:last] = found.beta[:, 0] * unit + centre
        tau2s[first:last] = found.tau2 * unit**2
        i2s[first:last] = _i2(method, found, k)
    estimate = float(own.beta[0])
    acceleration = _acceleration(y, v, method) if interval == "BCa" else 0.0
    return Bootstrap(
        effects,
        kind,
        model,
        "" if method == "EE" else method,
        interval,
        level,
        estimate,
        float(estimates.std(ddof=1)),
        float(estimates.mean()) - estimate,
        _interval(estimates, estimate, interval, level, acceleration),
        own.tau2.value,
        _interval(tau2s, own.tau2.value, "percentile", level),
        own.i2,
        _interval(i2s, own.i2, "percentile", level),
        estimates,
        tau2s,
        i2s,
    )


def _i2(method: str, found: Fits, k: int) -> Array:
    if method == "EE":
        with np.errstate(divide="ignore"):
            return np.where(found.q > 0, np.maximum(1 - (k - 1) / found.q, 0.0), 0.0)
    return found.tau2 / (found.tau2 + found.typical_v)


def _interval(
    values: Array, estimate: float, kind: str, level: float, acceleration: float = 0.0
) -> tuple[float, float]:
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if kind == "BCa":
        below = (np.sum(values < estimate) + 0.5 * np.sum(values == estimate)) / len(values)
        shift = special.ndtri(below)
        z = shift + special.ndtri(tails)
        tails = special.ndtr(shift + z / (1 - acceleration * z))
    low, high = np.quantile(values, tails)
    if kind == "basic":
        low, high = 2 * estimate - high, 2 * estimate - low
    return float(low), float(high)


def _acceleration(y: Array, v: Array, method: str) -> float:
    """Efron's acceleration: the skewness of the leave-one-out estimates, over six."""
    k = len(y)
    found = fits(Subsets(y, v, 1.0 - np.eye(k)), method)
    away = found.beta[:, 0].mean() - found.beta[:, 0]
    squares = float(away @ away)
    return float((away**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
