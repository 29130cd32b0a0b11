"""Random-effects models for counts themselves: binomial-normal and Poisson-normal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.binary import counts
from meta.coefficients import Coefficients, wald_coefficients
from meta.errors import InputError, UnknownName
from meta.fitting import check_level
from meta.measures import Measure, effects, measure_named
from meta.mixture import (
    EXACT_POINTS,
    Binomial,
    Hypergeometric,
    Kernel,
    Maximum,
    Mixture,
    Poisson,
    maximise,
)
from meta.moderators import INTERCEPT, Design, design_of
from meta.present import Presented
from meta.results import show, show_p

Array = NDArray[np.float64]
NAN = math.nan
ONE = np.array([[1.0, 1.0]])  # both arms alike
HALF = np.array([[0.5, -0.5]])  # the effect, split between the arms
FIRST = np.array([[1.0, 0.0]])  # arm 1 alone
TINY = 1e-300  # person-time of an arm that is left out

# What the models are, by measure.
MODELS = {
    "OR": {
        "UM.FS": "binomial, a fixed effect for each study",
        "UM.RS": "binomial, a random effect for each study",
        "CM.EL": "hypergeometric (events conditional on both margins)",
        "CM.AL": "binomial approximation of the hypergeometric, for rare events",
    },
    "IRR": {
        "UM.FS": "Poisson, a fixed effect for each study",
        "UM.RS": "Poisson, a random effect for each study",
        "CM.EL": "binomial (events of arm 1 conditional on those of both)",
    },
    "PLO": {"": "binomial"},
    "IRLN": {"": "Poisson"},
}


@dataclass(frozen=True, slots=True)
class HeterogeneityTest:
    """A test that all studies share one effect."""

    name: str  # "Wald" or "likelihood ratio"
    statistic: float
    df: int
    p: float


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class CountModel(Presented):
    """A fitted model for counts; effects on the log scale (logit for proportions)."""

    measure: Measure
    model: str  # "UM.FS", "UM.RS", "CM.EL", "CM.AL"; "" for one group
    study: tuple[str, ...]  # (k,)
    left_out: tuple[str, ...]  # studies without information: no events, or only, in both arms
    estimate: float  # with moderators the intercept: the effect where all of them are zero
    se: float
    ci: tuple[float, float]
    statistic: float  # z
    p: float
    level: float
    tau2: float
    tau2_se: float  # NaN on the boundary
    sigma2: float | None  # variance of the studies' own levels under UM.RS
    wald: HeterogeneityTest
    likelihood_ratio: HeterogeneityTest
    loglik: float  # with the random effects integrated out, all constants included
    conditional_loglik: float  # given the most likely random effects
    points: int  # nodes of the quadrature in each direction; 1 is Laplace's approximation
    n_optima: int
    design: Design  # of all studies, the intercept alone without moderators
    coefficients: Coefficients  # with the joint test of the moderators
    notes: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        """Studies in the model."""
        return len(self.study) - len(self.left_out)

    def natural(self) -> tuple[float, float, float]:
        """Estimate, low and high on the scale that people read."""
        to = self.measure.natural
        return to(self.estimate), to(self.ci[0]), to(self.ci[1])

    def summary(self) -> str:
        """One line: the pooled effect, tau² and how it was fitted; a block with moderators."""
        mid, low, high = self.natural()
        kind = MODELS[self.measure.key][self.model]
        name = f"{self.model}, {kind}" if self.model else f"{kind}-normal"
        if self.moderated:
            return "\n".join((*self._coefficient_lines(), f"τ² = {show(self.tau2, 3)} ({name})"))
        return (
            f"{self.measure.label} {show(mid)} ({self.level:.0%} CI {show(low)} to {show(high)}), "
            f"{self.k} {'study' if self.k == 1 else 'studies'}, τ² = {show(self.tau2, 3)} ({name})"
        )

    @property
    def moderated(self) -> bool:
        """Whether there are moderators."""
        return self.design.names != (INTERCEPT,)

    def _coefficient_lines(self) -> list[str]:
        found = self.coefficients
        width = max(map(len, found.names))
        lines = [
            f"{name:<{width}}  {show(b, 3)} ({self.level:.0%} CI {show(low, 3)} to "
            f"{show(high, 3)}), {show_p(float(p))}"
            for name, b, (low, high), p in zip(
                found.names, found.estimate, found.ci, found.p, strict=True
            )
        ]
        if found.df:
            joint = f"Test of moderators: Q = {show(found.statistic)} (df = {found.df})"
            lines.append(f"{joint}, {show_p(found.joint_p)}")
        return lines

    def heterogeneity(self) -> str:
        """One line: the Wald and the likelihood-ratio test that nothing is left over."""
        return "; ".join(
            f"{test.name} χ² = {show(test.statistic)} (df = {test.df}), {show_p(test.p)}"
            for test in (self.wald, self.likelihood_ratio)
        )

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for the effect and each variance."""
        found = self.coefficients
        names = found.names if self.moderated else ("estimate",)
        rows: list[dict[str, Any]] = [
            {
                "quantity": name,
                "value": float(found.estimate[i]),
                "se": float(found.se[i]),
                "ci_low": float(found.ci[i, 0]),
                "ci_high": float(found.ci[i, 1]),
                "p": float(found.p[i]),
            }
            for i, name in enumerate(names)
        ]
        rows.append({"quantity": "tau2", "value": self.tau2, "se": self.tau2_se})
        if self.sigma2 is not None:
            rows.append({"quantity": "sigma2", "value": self.sigma2})
        return rows

    def __str__(self) -> str:
        return self.summary()


def glmm(
    measure: str = "OR",
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    moderators: Mapping[str, Any] | Any = None,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
    model: str = "UM.FS",
    points: int = EXACT_POINTS,
    level: float = 0.95,
    **columns: Any,
) -> CountModel:
    """Random-effects model for counts, without normal approximation and zero-cell corrections.

    Parameters
    ----------
    measure : {"OR", "IRR", "PLO", "IRLN"}
        Odds or rate ratio of two arms, logit proportion or log rate of one group.
    data, study, **columns
        As for ``meta.measures.effects``: ``events_1, total_1, events_2, total_2``, or ``time_1``,
        ``time_2`` for rates; ``events, total`` or ``events, time`` for one group.
    moderators, interactions, factors, reference, intercept
        Study characteristics that move the effect, as for ``meta.regression.regress``. Under UM.RS
        they move arm 1, and the level of arm 2 has one distribution whatever they are.
    model : {"UM.FS", "UM.RS", "CM.EL", "CM.AL"}
        Unconditional with fixed or random study effects (the effect split evenly between the arms,
        the two random effects independent); conditional on the margins with the exact likelihood,
        or its approximation where events are rare. Not used for one group.
    points : int
        Nodes of the adaptive quadrature in each direction; 21 leave no error that shows. 1 is
        Laplace's approximation, which lme4 takes where there are two random effects.

    Returns
    -------
    CountModel
        Studies in which nobody or everybody had the outcome in both arms are left out and named:
        they hold no information about the effect but for UM.RS, where it depends on the level.
        With moderators, ``coefficients`` has them all and their joint test, tau2 and the tests of
        heterogeneity are residual.

    Raises
    ------
    UnknownName
        If there is no such measure or model.
    InputError
        If columns are absent or unusable (all are named), moderators repeat each other or are too
        many, or an effect is infinite because all studies of a kind have no events (or only
        events) in an arm.
    NotConverged
        With the last iterate.

    References
    ----------
    Stijnen, Hamza and Ozdemir (2010), Stat Med 29:3046-3067 (also with covariates, sect. 4);
    Jackson et al. (2018), Stat Med 37:1059-1085; Turner, Omar, Yang, Goldstein and Thompson
    (2000), Stat Med 19:3417-3432.
    """
    check_level(level)
    if measure not in MODELS:
        raise UnknownName("measure for a model of counts", measure, MODELS)
    two = "" not in MODELS[measure]
    if two and model not in MODELS[measure]:
        raise UnknownName(f"model of counts for {measure}", model, MODELS[measure])
    if points < 1:
        raise InputError(f"points = {points} is not positive")
    chosen = model if two else ""
    rows = effects(measure, data=data, study=study, **columns)
    design = design_of(
        moderators,
        rows.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        intercept=intercept,
        study=rows.study,
        dropped=rows.dropped,
    )
    raw = counts(measure, data, columns)
    keep = _informative(measure, raw) if two else np.ones(len(raw[0]), dtype=bool)
    left_out = tuple(n for n, used in zip(rows.study, keep, strict=True) if not used)
    part = tuple(np.asarray(column[keep]) for column in raw)
    _refuse_separated(measure, part)
    x, back = _standardised(design, keep)
    _refuse_separated_kinds(measure, part, design.x[keep])
    k, p = x.shape
    mixture, at = _mixture(measure, chosen, part, x, points)
    moderated = design.names != (INTERCEPT,)
    effect_names = design.names if moderated else ("effect",)
    names = [*["level"][1 - at :], *effect_names, *["sigma", "tau"][1 - at :]]
    common = mixture.without(len(mixture.scales) - 1)
    if k == p:  # every study fits itself: no spread can be told
        mixture = replace(mixture, scales=mixture.scales[:0])
        common = mixture
    best = maximise(mixture, names=names)
    without = maximise(common, names=names)
    wald, ratio = _heterogeneity(measure, chosen, part, x, without, names, points)
    tau = float(best.scales[-1]) if len(best.scales) else 0.0
    sigma = float(best.scales[0]) if chosen == "UM.RS" and k > p else 0.0
    own = slice(at, at + p)
    coefficients = wald_coefficients(
        design, back @ best.fixed[own], back @ best.covariance[own, own] @ back.T, level
    )
    tau_se = math.sqrt(float(best.covariance[-1, -1])) if tau > 0 else NAN
    notes = [note for note in rows.notes if "left out" in note]  # rows with empty cells
    if left_out:
        notes.append(f"no information on the effect: {', '.join(left_out)}")
    events = (part[0], part[2]) if two else (part[0],)
    if any((column == 0).any() for column in events):
        notes.append("zero counts: nothing is added to them")
    if k == p:
        many = "one study" if k == 1 else f"{k} studies and {p} coefficients"
        notes.append(f"{many}: τ² cannot be estimated and is taken as zero")
    if best.n_optima > 1:
        notes.append(f"the likelihood has {best.n_optima} local maxima; the highest is used")
    # The intercept, or the one coefficient where there is no other; NaN without an intercept.
    first = 0 if design.intercept else None
    estimate, se, z, pv, low, high = (
        (NAN,) * 6
        if first is None
        else (
            *(float(c[first]) for c in (coefficients.estimate, coefficients.se)),
            *(float(c[first]) for c in (coefficients.z, coefficients.p)),
            *map(float, coefficients.ci[first]),
        )
    )
    return CountModel(
        measure_named(measure),
        chosen,
        rows.study,
        left_out,
        estimate,
        se,
        (low, high),
        z,
        pv,
        level,
        tau**2,
        2 * tau * tau_se,
        sigma**2 if chosen == "UM.RS" else None,
        wald,
        ratio,
        best.loglik,
        best.conditional,
        points,
        best.n_optima,
        design,
        coefficients,
        tuple(notes),
    )


def _standardised(design: Design, keep: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Orthogonal columns of unit mean square, and the matrix that leads back to the moderators'."""
    x = design.x[keep]
    k, p = x.shape
    if k < p:
        raise InputError(
            f"{k} studies with information are too few for {p} coefficients",
            remedy="leave out moderators",
        )
    if design.names == (INTERCEPT,):
        return x, np.eye(1)
    q, r = np.linalg.qr(x)
    if np.abs(np.diag(r)).min() < 1e-10 * np.abs(r).max():
        raise InputError(
            "the moderators repeat each other among the studies with information",
            remedy="leave one out",
        )
    return q * math.sqrt(k), np.linalg.inv(r) * math.sqrt(k)


def _refuse_separated_kinds(measure: str, part: tuple[Array, ...], x: Array) -> None:
    """Refuse moderators along which the likelihood rises without end.

    It does if some change of the coefficients raises the effect only of studies that are at their
    upper bound and lowers it only of studies at their lower bound (Albert and Anderson 1984,
    Biometrika 71:1-10, for logistic regression); a linear programme finds it.
    """
    if x.shape[1] == 1:
        return
    from scipy.optimize import linprog

    low, high = _at_bounds(measure, part)
    free = ~(low | high)
    signs = np.where(high, 1.0, -1.0)[~free]
    bound = signs[:, None] * x[~free]  # rows that may not become negative
    if not len(bound):
        return
    scale = np.abs(x).max(0)
    bound, inside = bound / scale, x[free] / scale
    found = linprog(
        -bound.sum(0),
        A_ub=-bound,
        b_ub=np.zeros(len(bound)),
        A_eq=inside if len(inside) else None,
        b_eq=np.zeros(len(inside)) if len(inside) else None,
        bounds=(-1, 1),
    )
    if found.status == 0 and float(found.fun or 0.0) < -1e-7:
        raise InputError(
            "the moderators divide the studies so that an effect is infinite: all studies of one "
            "kind have the fewest or the most events possible",
            remedy="leave the moderator out or join its kinds",
        )


def _at_bounds(
    measure: str, part: tuple[Array, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Studies whose own effect is minus infinity, and plus infinity."""
    if measure in ("PLO", "IRLN"):
        x, n = part
        return x == 0, (x == n) & (measure == "PLO")
    a, n1, c, n2 = part
    events = a + c
    low = np.zeros_like(a) if measure == "IRR" else np.maximum(events - n2, 0)
    high = events if measure == "IRR" else np.minimum(events, n1)
    return a == low, a == high


def _informative(measure: str, raw: tuple[Array, ...]) -> NDArray[np.bool_]:
    events = raw[0] + raw[2]
    return np.asarray((events > 0) & ((measure == "IRR") | (events < raw[1] + raw[3])))


def _refuse_separated(measure: str, part: tuple[Array, ...]) -> None:
    """Refuse data under which the effect is infinite."""
    remedy = 'use measure "RD" or "IRD", or effects with a stated continuity correction'
    if measure in ("PLO", "IRLN"):
        x, n = part
        if not x.sum() > 0:
            raise InputError(
                "no study has an event: the estimate is minus infinity",
                remedy="report an upper limit instead, such as 3/N (Hanley and Lippman-Hand 1983)",
            )
        if measure == "PLO" and (x == n).all():
            raise InputError("everybody has the outcome in every study: the estimate is infinite")
        return
    if not len(part[0]):
        raise InputError(
            "no study tells the arms apart: all have no events, or only", remedy=remedy
        )
    for at_bound, arm in zip(_at_bounds(measure, part), ("fewest", "most"), strict=True):
        if at_bound.all():
            raise InputError(
                f"arm 1 has the {arm} events possible in every study: the ratio is "
                f"{'zero' if arm == 'fewest' else 'infinite'}",
                remedy=remedy,
            )


def _mixture(
    measure: str, model: str, part: tuple[Array, ...], x: Array, points: int
) -> tuple[Mixture, int]:
    """The model, and the position of the effect among its fixed parameters."""
    k = len(x)
    single = np.array([[1.0]])
    if not model or model.startswith("CM"):
        moved = x.T[:, None, :]
        return Mixture(k, (_one_arm(measure, model, part),), moved, single, None, points), 0
    arms = _two_arms(measure, part)
    moved = HALF[0][:, None] * x.T[:, None, :]  # (p, arms, k)
    if model == "UM.FS":
        return Mixture(k, arms, moved, HALF, ONE[0], points), 0
    level = np.ones((1, 2, k))
    if x.shape[1] > 1:  # the comparator's level is the same whatever the moderators
        moved = FIRST[0][:, None] * x.T[:, None, :]
    return Mixture(k, arms, np.vstack((level, moved)), np.vstack((ONE, HALF)), None, points), 1


def _two_arms(measure: str, part: tuple[Array, ...]) -> tuple[Kernel, Kernel]:
    a, n1, c, n2 = part
    if measure == "OR":
        return Binomial(a, n1), Binomial(c, n2)
    return Poisson(a, n1), Poisson(c, n2)


def _one_arm(measure: str, model: str, part: tuple[Array, ...]) -> Kernel:
    if measure == "PLO":
        return Binomial(*part)
    if measure == "IRLN":
        return Poisson(*part)
    a, n1, c, n2 = part
    if measure == "OR" and model == "CM.EL":
        return Hypergeometric(a, n1, a + c, n2)
    return Binomial(a, a + c, np.log(n1 / n2))


def _heterogeneity(
    measure: str,
    model: str,
    part: tuple[Array, ...],
    x: Array,
    common: Maximum,
    names: Sequence[str],
    points: int,
) -> tuple[HeterogeneityTest, HeterogeneityTest]:
    """Each study with an effect of its own against effects on the line of the moderators.

    An effect on its boundary (a zero cell) has infinite variance: it adds to the likelihood ratio
    and nothing to Wald's statistic.
    """
    k = len(x)
    if model == "UM.RS":
        loglik, estimate, information = _own_effects_random(measure, part, names, points)
    elif measure == "OR" and model == "CM.EL":
        loglik, estimate, information = _own_effects_exact(part)
    else:
        loglik, estimate, information = _own_effects(measure, model, part)
    df = k - x.shape[1]
    weighted = information @ estimate
    inner, toward = x.T @ information @ x, x.T @ weighted
    explained = float(toward @ np.linalg.lstsq(inner, toward, rcond=None)[0])
    wald = float(estimate @ weighted) - explained
    ratio = max(2 * (loglik - common.loglik), 0.0)
    wald = max(wald, 0.0)

    def p(statistic: float) -> float:
        return float(special.chdtrc(df, statistic)) if df else 1.0

    return (
        HeterogeneityTest("Wald", wald, df, p(wald)),
        HeterogeneityTest("likelihood ratio", ratio, df, p(ratio)),
    )


def _own_effects(measure: str, model: str, part: tuple[Array, ...]) -> tuple[float, Array, Array]:
    """Log-likelihood, effects and their information where every count fits itself."""
    arms: tuple[Kernel, ...]
    signs: tuple[int, ...]
    if model == "UM.FS":
        arms, signs = _two_arms(measure, part), (1, -1)
    else:
        arms, signs = (_one_arm(measure, model, part),), (1,)
    k = len(part[0])
    loglik, estimate, variance = 0.0, np.zeros(k), np.zeros(k)
    for arm, sign in zip(arms, signs, strict=True):
        assert isinstance(arm, Binomial | Poisson)
        with np.errstate(divide="ignore"):
            if isinstance(arm, Binomial):
                eta = special.logit(arm.x / arm.n)
                variance += 1 / arm.x + 1 / (arm.n - arm.x)
                eta = eta - arm.offset
            else:
                eta = np.log(arm.x / arm.t)
                variance += 1 / arm.x
        loglik += float(arm(np.clip(eta, -700, 700))[0].sum())
        estimate += sign * eta
    inside = np.isfinite(estimate) & np.isfinite(variance)
    return (
        loglik,
        np.where(inside, estimate, 0.0),
        np.diag(np.where(inside, 1 / np.where(inside, variance, 1.0), 0.0)),
    )


def _own_effects_exact(part: tuple[Array, ...]) -> tuple[float, Array, Array]:
    """The same for the hypergeometric likelihood: conditional estimates by Newton's method."""
    a, n1, c, n2 = part
    events = a + c
    inside = (a > np.maximum(events - n2, 0)) & (a < np.minimum(events, n1))
    estimate, information = np.zeros(len(a)), np.zeros(len(a))
    if not inside.any():
        return 0.0, estimate, np.diag(information)
    kernel = Hypergeometric(a, n1, events, n2).take(inside)
    b, d = n1 - a, n2 - c
    theta = np.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))[inside]
    for _ in range(100):  # concave, and begun close by
        value, first, second = kernel(theta)
        step = first / -second
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-12:
            break
    value, _, second = kernel(theta)
    estimate[inside], information[inside] = theta, -second
    return float(value.sum()), estimate, np.diag(information)


def _own_effects_random(
    measure: str, part: tuple[Array, ...], names: Sequence[str], points: int
) -> tuple[float, Array, Array]:
    """The same with random study levels: each study's own effect moves its first arm."""
    a, n1, c, n2 = part
    # An arm 1 without events, or only events, is fitted by an infinite effect: it drops out.
    edge = (a == 0) | ((measure == "OR") & (a == n1))
    blank = np.zeros_like(n1) if measure == "OR" else np.full_like(n1, TINY)
    arms = _two_arms(measure, (np.where(edge, 0.0, a), np.where(edge, blank, n1), c, n2))
    own = Mixture(len(a), arms, np.ones((1, 2, len(a))), ONE, FIRST[0], points)
    found = maximise(own, names=names)
    inside = ~edge
    information = np.zeros((len(a), len(a)))
    at = np.ix_(inside, inside)
    information[at] = np.linalg.inv(found.own_covariance[at])
    return found.loglik, np.where(edge, 0.0, found.own), information
