"""Inference without distributions: permutation tests and bootstrap intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.batch import Fits, Frame, fits, in_chunks, knapp_hartung, scaled
from meta.batch_designs import Regressions, responses
from meta.batch_rows import Batch, chunks
from meta.errors import InputError, UnknownName
from meta.fitting import Fit, check, check_level, fit, method_of, test_named, two_sided_p
from meta.moderators import Design, design_of
from meta.present import Presented, Table, table_of
from meta.results import Effects, show, show_p
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan
EXACT_FLIPS = 2**20  # sign patterns enumerated at most, about a second
EXACT_ORDERS = 2**17  # orders of a design enumerated at most
DRAWS = 9_999  # so that (1 + count)/(1 + draws) is a round number
TIE = 2**-26  # distance at which a permuted statistic ties with the observed one, as in metafor
ROUNDED = 1e-12  # and what rounding may leave of a large one, relative


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class PermutationTest(Presented):
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

    def _tables(self) -> tuple[Table, ...]:
        caption, *lines = self.summary().splitlines()
        notes = (*lines[len(self.names) :], *self.notes)
        return (table_of(caption, self.rows(), notes=notes),)

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
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
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
    rng : numpy.random.Generator or int, optional
        Source of randomness, or a seed for one; needed where permutations are drawn.
    workers : int
        Threads; the result does not depend on them.

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
        dropped=effects.dropped,
    )
    alone = design.x.shape[1] == 1
    possible = 2**effects.k if alone else _orders(design.x)
    limit = EXACT_FLIPS if alone else EXACT_ORDERS
    exact = possible <= limit if exact is None else exact
    if exact and possible > limit:
        raise InputError(
            f"{possible:.3g} permutations are too many to take all (at most {limit:,})",
            remedy="use exact=False, draws=9999 and rng",
        )
    if not exact and draws < 1:
        raise InputError(f"draws = {draws} is not positive")
    if not exact and rng is None:
        raise InputError(
            f"{possible:.3g} permutations: a sample of them needs a source of randomness",
            remedy="pass a seed, rng=1",
        )
    observed = fit(effects.yi, effects.vi, None if alone else design.x, tau2=method)
    factor = _factor(
        np.array([observed.factor * observed.df if observed.df else 0.0]),
        observed.beta[None],
        observed.vb[None],
        observed.df,
        chosen,
    )
    covariance = observed.vb[None] * factor[:, None, None]
    statistic = _ratios(observed.beta[None], covariance)[0]
    tested = np.array(design.tested)
    joint = NAN if alone else float(_joint(observed.beta[None], covariance, tested)[0])
    source = None if exact else np.random.default_rng(rng)
    total = int(possible) if exact else draws
    if alone:
        permuted = _flipped(effects, method, chosen, total, source, workers)
        joints = np.full(len(permuted), NAN)
    else:
        permuted, joints = _reordered(effects, design, method, chosen, total, source, workers)
    reached = np.abs(permuted) >= np.abs(statistic) * (1 - ROUNDED) - TIE
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
        NAN if alone else float(((joints >= joint * (1 - ROUNDED) - TIE).sum() + more) / count),
        permuted,
        () if exact else (f"{draws:,} of {possible:.3g} permutations were drawn at random",),
    )


def _ratios(beta: Array, covariance: Array) -> Array:
    """Coefficients over their standard errors; zero over zero is no effect."""
    se = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = beta / se
    return np.where((beta == 0) & (se == 0), 0.0, ratio)


def _factor(rss: Array, beta: Array, covariance: Array, free: int, test: str) -> Array:
    """What each row's variance is multiplied by under a test."""
    if not test.startswith("Knapp"):
        return np.ones(len(rss))
    factor = knapp_hartung(rss, beta, covariance, free)
    return np.maximum(factor, 1.0) if "ad hoc" in test else factor


def _scaled_covariance(batch: Batch, found: Fits, free: int, test: str) -> Array:
    """The covariance of each row's coefficients under a test."""
    if not test.startswith("Knapp"):
        return found.covariance
    rss = batch.rss(found.tau2, found.beta)
    factor = _factor(rss, found.beta, found.covariance, free, test)
    return np.asarray(found.covariance * factor[:, None, None])


def _joint(beta: Array, covariance: Array, at: NDArray[np.int_]) -> Array:
    """b' V^-1 b of some coefficients, a row each."""
    b, v = beta[:, at], covariance[:, at[:, None], at]
    return np.asarray((b * np.linalg.solve(v, b[..., None])[..., 0]).sum(1))


def _flipped(
    effects: Effects,
    method: str,
    test: str,
    total: int,
    rng: np.random.Generator | None,
    workers: int,
) -> Array:
    """Statistics of the mean under flipped signs, all of them or random ones, shape (n, 1)."""
    k = effects.k
    _, v, _, unit = scaled(effects.yi, effects.vi)
    y = effects.yi / unit
    with_effects = responses(v)
    # A pattern and its opposite give opposite statistics: half of them are enough.
    statistics = np.empty(total if rng else total // 2)

    def parts() -> Iterator[tuple[slice, NDArray[np.int_]]]:
        bits = np.arange(k)[:, None]
        for at in chunks(len(statistics), k):
            if rng is None:
                yield at, (np.arange(at.start, at.stop) >> bits) & 1
            else:
                yield at, rng.integers(0, 2, (k, at.stop - at.start))

    def work(part: tuple[slice, NDArray[np.int_]]) -> None:
        at, flips = part
        batch = with_effects(np.where(flips, -y[:, None], y[:, None]))
        found = fits(batch, method)
        covariance = _scaled_covariance(batch, found, k - 1, test)
        statistics[at] = _ratios(found.beta, covariance)[:, 0]

    in_chunks(work, parts(), workers)
    if rng is None:
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
    total: int,
    rng: np.random.Generator | None,
    workers: int,
) -> tuple[Array, Array]:
    """Statistics of the coefficients and of the moderators together under permuted designs."""
    k, p = design.x.shape
    classes = _classes(design.x)
    frame = Frame.of(effects.yi, effects.vi, design.x)
    assert frame.basis is not None
    kinds = frame.basis[np.unique(classes, return_index=True)[1]].T
    tested = np.array(design.tested)
    statistics, joints = np.empty((total, p)), np.empty(total)

    def parts() -> Iterator[tuple[slice, NDArray[np.int_]]]:
        rows = _arrangements(np.bincount(classes).tolist())
        for at in chunks(total, k * p):
            size = at.stop - at.start
            if rng is None:
                yield at, np.array(list(itertools.islice(rows, size)))
            else:
                yield at, rng.permuted(np.tile(classes, (size, 1)), axis=1)

    def work(part: tuple[slice, NDArray[np.int_]]) -> None:
        at, order = part
        batch = Regressions(frame.y[:, None], frame.v, kinds[:, order.T])
        found = fits(batch, method)
        covariance = _scaled_covariance(batch, found, k - p, test)
        covariance = frame.covariance(covariance)
        beta = frame.coefficients(found.beta)
        statistics[at] = _ratios(beta, covariance)
        joints[at] = _joint(beta, covariance, tested)

    in_chunks(work, parts(), workers)
    return statistics, joints


INTERVALS = ("percentile", "basic", "BCa")
KINDS = ("parametric", "case")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Bootstrap(Presented):
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
    rng: np.random.Generator | int,
    workers: int = 1,
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
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.
    workers : int
        Threads; the result does not depend on them.

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
    method = method_of(model, tau2)
    _check_choices(kind, interval, draws, level)
    own = fit(effects.yi, effects.vi, tau2=method)
    found = _resampled(effects, None, own, kind, draws, np.random.default_rng(rng), workers)
    estimates, estimate = found.beta[:, 0], float(own.beta[0])
    acceleration = _acceleration(effects, None, method)[0] if interval == "BCa" else 0.0
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
        _interval(found.tau2, own.tau2.value, "percentile", level),
        own.i2,
        _interval(found.i2, own.i2, "percentile", level),
        estimates,
        found.tau2,
        found.i2,
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class RegressionBootstrap(Presented):
    """Bootstrap of a meta-regression; coefficients on the analysis scale, proportions 0 to 1."""

    effects: Effects
    design: Design
    kind: str  # "parametric" or "case"
    model: str
    tau2_method: str  # "" for the common-effect model
    interval: str
    level: float
    names: tuple[str, ...]  # (p,) coefficients
    estimate: Array  # (p,) of the studies themselves
    se: Array  # (p,) standard deviation of the estimates
    bias: Array  # (p,) their mean minus the estimate
    ci: Array  # (p, 2)
    tau2: float
    tau2_ci: tuple[float, float]  # percentile
    i2: float
    i2_ci: tuple[float, float]  # percentile
    estimates: Array  # (n, p)
    tau2s: Array  # (n,)
    i2s: Array  # (n,)
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.estimates)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return [
            {
                "coefficient": name,
                "estimate": float(b),
                "se": float(s),
                "bias": float(off),
                "ci_low": float(low),
                "ci_high": float(high),
            }
            for name, b, s, off, (low, high) in zip(
                self.names, self.estimate, self.se, self.bias, self.ci, strict=True
            )
        ]

    def _tables(self) -> tuple[Table, ...]:
        caption, *lines = self.summary().splitlines()
        return (table_of(caption, self.rows(), notes=lines[len(self.names) :], level=self.level),)

    def summary(self) -> str:
        """A line for each coefficient under one on how it was done."""
        lines = [f"{self.kind.capitalize()} bootstrap of a meta-regression, {self.n:,} resamples"]
        lines += [
            f"{name}: {show(b, 3)} ({self.level:.0%} {self.interval} CI {show(low, 3)} to "
            f"{show(high, 3)})"
            for name, b, (low, high) in zip(self.names, self.estimate, self.ci, strict=True)
        ]
        if self.model == "random":
            low, high = self.tau2_ci
            lines.append(f"τ² = {show(self.tau2, 3)} ({show(low, 3)} to {show(high, 3)})")
        return "\n".join((*lines, *self.notes))

    def __str__(self) -> str:
        return self.summary()


def bootstrap_regression(
    effects: Effects,
    moderators: Mapping[str, Any] | Any,
    *,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    kind: str = "parametric",
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    interval: str = "percentile",
    draws: int = 10_000,
    level: float = 0.95,
    rng: np.random.Generator | int,
    workers: int = 1,
) -> RegressionBootstrap:
    """Bootstrap the coefficients, tau2 and I2 of a meta-regression.

    Parameters
    ----------
    moderators, interactions, factors, reference
        As for ``meta.regression.regress``; the intercept stays in the model.
    kind : {"parametric", "case"}
        New effects from the fitted model, y* ~ N(X beta, v + tau2), or studies drawn with
        replacement together with their moderators. Resamples whose studies cannot tell the
        moderators apart are left out, and a note counts them.
    tau2, interval, draws, level, rng, workers
        As for ``bootstrap``.

    Raises
    ------
    InputError
        If effects or moderators are unusable, or hardly any resample can be fitted.
    UnknownName
        If a choice is not known.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 9; Van Den Noortgate and
    Onghena (2005), Behav Res Methods 37:11-22.
    """
    check(effects, least=2)
    method = method_of(model, tau2)
    _check_choices(kind, interval, draws, level)
    design = design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        study=effects.study,
        dropped=effects.dropped,
    )
    own = fit(effects.yi, effects.vi, design.x, tau2=method)
    found = _resampled(effects, design.x, own, kind, draws, np.random.default_rng(rng), workers)
    fitted = np.isfinite(found.beta).all(1)
    lost = draws - int(fitted.sum())
    if draws - lost < 2:
        raise InputError(
            f"{lost:,} of {draws:,} resamples cannot tell the moderators apart",
            remedy='use kind="parametric", or merge rare levels',
        )
    beta, tau2s, i2s = found.beta[fitted], found.tau2[fitted], found.i2[fitted]
    acceleration = np.zeros(own.p)
    if interval == "BCa":
        acceleration = _acceleration(effects, design.x, method)
    columns = zip(beta.T, own.beta.tolist(), acceleration.tolist(), strict=True)
    notes = f"{lost:,} resamples could not tell the moderators apart and are left out"
    return RegressionBootstrap(
        effects,
        design,
        kind,
        model,
        "" if method == "EE" else method,
        interval,
        level,
        design.names,
        own.beta,
        beta.std(0, ddof=1),
        beta.mean(0) - own.beta,
        np.array([_interval(b, at, interval, level, a) for b, at, a in columns]),
        own.tau2.value,
        _interval(tau2s, own.tau2.value, "percentile", level),
        own.i2,
        _interval(i2s, own.i2, "percentile", level),
        beta,
        tau2s,
        i2s,
        (notes,) if lost else (),
    )


def _check_choices(kind: str, interval: str, draws: int, level: float) -> None:
    check_level(level)
    if kind not in KINDS:
        raise UnknownName("kind of bootstrap", kind, KINDS)
    if interval not in INTERVALS:
        raise UnknownName("bootstrap interval", interval, INTERVALS)
    if interval == "BCa" and kind != "case":
        raise InputError("BCa intervals need resampled studies", remedy='use kind="case"')
    if draws < 2:
        raise InputError(f"draws = {draws} is less than 2")


class _Resampled(NamedTuple):
    """Fits of resamples in the units of the effects."""

    beta: Array  # (n, p)
    tau2: Array  # (n,)
    i2: Array  # (n,)


def _resampled(
    effects: Effects,
    x: Array | None,
    own: Fit,
    kind: str,
    draws: int,
    rng: np.random.Generator,
    workers: int,
) -> _Resampled:
    """Fits of as many resamples; the draws are made in order, whatever the number of threads."""
    frame, k = Frame.of(effects.yi, effects.vi, x), effects.k
    v, unit = frame.v, frame.unit
    with_effects = responses(v, frame.basis)
    spread = np.sqrt(v + own.tau2.value / unit**2)[:, None]
    middle = ((effects.yi - own.resid - frame.centre) / unit)[:, None]
    found = _Resampled(np.empty((draws, own.p)), np.empty(draws), np.empty(draws))

    def parts() -> Iterator[tuple[slice, NDArray[Any]]]:
        for at in chunks(draws, k):
            shape = k, at.stop - at.start
            yield (
                at,
                rng.standard_normal(shape) if kind == "parametric" else rng.integers(0, k, shape),
            )

    def work(part: tuple[slice, NDArray[Any]]) -> None:
        at, drawn = part
        if kind == "parametric":
            drawn *= spread
            drawn += middle
            batch: Batch = with_effects(drawn)
        else:
            size = drawn.shape[1]
            drawn *= size
            drawn += np.arange(size)
            often = np.bincount(drawn.ravel(), minlength=k * size).reshape(k, size)
            batch = frame.rows(often.astype(float))
        fitted = fits(batch, own.method)
        found.beta[at] = frame.coefficients(fitted.beta)
        np.multiply(fitted.tau2, unit**2, out=found.tau2[at])
        found.i2[at] = _i2(own.method, fitted, k - own.p)

    in_chunks(work, parts(), workers)
    return found


def _i2(method: str, found: Fits, free: int) -> Array:
    if free == 0:
        return np.zeros(len(found.q))
    if method == "EE":
        with np.errstate(divide="ignore"):
            return np.where(found.q > 0, np.maximum(1 - free / found.q, 0.0), 0.0)
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


def _acceleration(effects: Effects, x: Array | None, method: str) -> Array:
    """Efron's acceleration (p,): the skewness of the leave-one-out estimates, over six."""
    frame, k = Frame.of(effects.yi, effects.vi, x), effects.k
    found = np.empty((k, len(frame.back)))
    for at in chunks(k, k):
        s = (np.arange(k)[:, None] != np.arange(at.start, at.stop)).astype(float)
        found[at] = frame.coefficients(fits(frame.rows(s), method).beta)
    found = found[np.isfinite(found).all(1)]
    away = found.mean(0) - found
    squares = (away * away).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(squares > 0, (away**3).sum(0) / (6 * squares**1.5), 0.0)
