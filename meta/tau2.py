"""Between-study variance: one function for each published estimator, by its key in ``TAU2``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, NotConverged, UnknownName
from meta.quadratic import upper_tail
from meta.weighted import Parts, Problem

Array = NDArray[np.float64]
DEFAULT_TAU2 = "REML"
EPS = float(np.finfo(float).eps)
SMALL_STEP = 1e-9  # relative; Newton's error after such a step is of the order of its square
GRID = np.linspace(0.0, 1.0, 10)  # first scan of a likelihood; points are added where needed
MAX_ROUNDS = 60  # halvings of an interval whose number of roots is still open


@dataclass(frozen=True, slots=True)
class Tau2:
    """An estimate of the between-study variance, in squared units of the effects.

    ``se`` is the large-sample standard error under normality (NaN where undefined). ``n_optima``
    counts the local maxima of the likelihood on [0, inf), the boundary included; it is 1 for
    estimators that are not likelihoods. ``boundary`` says that the estimate was held at zero.
    """

    value: float
    se: float
    method: str = ""
    n_optima: int = 1
    boundary: bool = False


Formula = Callable[[Problem, "Array | None"], Tau2]


@dataclass(frozen=True, slots=True)
class Estimator:
    """An estimator of tau2: its key in the literature, its name and its formula."""

    key: str
    label: str
    compute: Formula
    needs_weights: bool = False


TAU2: dict[str, Estimator] = {}


def _estimator(
    key: str, label: str, *, needs_weights: bool = False
) -> Callable[[Formula], Formula]:
    def register(compute: Formula) -> Formula:
        TAU2[key] = Estimator(key, label, compute, needs_weights)
        return compute

    return register


def estimate(problem: Problem, method: str, weights: Array | None = None) -> Tau2:
    """Estimate tau2 for a problem by the estimator of that key, in squared units of the effects.

    Raises
    ------
    UnknownName
        If there is no such estimator; lists them.
    InputError
        If the estimator needs weights and none were given.
    """
    try:
        entry = TAU2[method]
    except KeyError:
        raise UnknownName("tau2 estimator", method, TAU2) from None
    if entry.needs_weights and weights is None:
        raise InputError(f"{method} needs weights", remedy="give weights=, one per study")
    if problem.k <= problem.p:
        return Tau2(0.0, math.nan, method, 1, True)
    found = entry.compute(problem, weights)
    return replace(
        found, value=found.value * problem.unit, se=found.se * problem.unit, method=method
    )


# Moment estimators: set a quadratic form y'P_a y equal to its expectation.


def _quadratic_sd(parts: Parts, d: Array) -> float:
    """Standard deviation of y'Py when y is normal with variances d: sqrt(2 tr(PDPD))."""
    return math.sqrt(max(2 * float(parts.trace_of(d)), 0.0))


def _moment(problem: Problem, a: Array) -> Tau2:
    """General method of moments with weights a (DerSimonian and Kacker 2007, eq. 6)."""
    parts = Parts(problem, a)
    trace = float(parts.trace())
    expected = float((a * problem.v * parts.unhat()) @ problem.one)
    raw = (float(parts.rss()) - expected) / trace
    value = max(raw, 0.0)
    return Tau2(value, _quadratic_sd(parts, problem.v + value) / trace, boundary=raw <= 0)


@_estimator("REML", "restricted maximum likelihood")
def reml(problem: Problem, weights: Array | None = None) -> Tau2:
    """Restricted maximum likelihood.

    References
    ----------
    Harville (1977), JASA 72:320-338; Viechtbauer (2005), J Educ Behav Stat 30:261-293, eq. 9.
    """
    value, optima = _likelihood_optimum(problem, restricted=True)
    trace2 = float(problem.at(value).trace2())
    return Tau2(value, math.sqrt(2 / trace2), n_optima=optima, boundary=value == 0)


@_estimator("DL", "DerSimonian-Laird")
def dersimonian_laird(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with weights 1/v, held at zero when negative.

    References
    ----------
    DerSimonian and Laird (1986), Control Clin Trials 7:177-188, eq. 8.
    """
    parts = problem.zero()
    trace = float(parts.trace())
    raw = (float(parts.rss()) - (problem.k - problem.p)) / trace
    value = max(raw, 0.0)
    return Tau2(value, _quadratic_sd(parts, problem.v + value) / trace, boundary=raw <= 0)


@_estimator("HE", "Hedges")
def hedges(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with equal weights (variance components, Cochran's anova).

    References
    ----------
    Hedges and Olkin (1985), Statistical Methods for Meta-Analysis, ch. 9.
    """
    return _moment(problem, problem.one)


def _hunter_schmidt(problem: Problem, factor: float) -> Tau2:
    parts = problem.zero()
    total = float((1 / problem.v) @ problem.one)
    raw = (factor * float(parts.rss()) - problem.k) / total
    value = max(raw, 0.0)
    se = factor * _quadratic_sd(parts, problem.v + value) / total
    return Tau2(value, se, boundary=raw <= 0)


@_estimator("HS", "Hunter-Schmidt")
def hunter_schmidt(problem: Problem, weights: Array | None = None) -> Tau2:
    """Weighted variance of the effects minus the mean sampling variance.

    References
    ----------
    Hunter and Schmidt (1990), Methods of Meta-Analysis; Viechtbauer (2005), eq. 14.
    """
    return _hunter_schmidt(problem, 1.0)


@_estimator("HSk", "Hunter-Schmidt, small-sample corrected")
def hunter_schmidt_k(problem: Problem, weights: Array | None = None) -> Tau2:
    """Hunter-Schmidt with k - p in place of k as the divisor of the weighted variance.

    References
    ----------
    Brannick, Potter, Benitez and Morris (2019), Organ Res Methods 22:490-514.
    """
    return _hunter_schmidt(problem, problem.k / (problem.k - problem.p))


@_estimator("SJ", "Sidik-Jonkman")
def sidik_jonkman(problem: Problem, weights: Array | None = None) -> Tau2:
    """Two steps: crude variance of the effects, then the weighted residual variance.

    References
    ----------
    Sidik and Jonkman (2005), Appl Stat 54:367-384, eq. 6; (2007), Stat Med 26:1964-1981.
    """
    centred = _around_mean(problem)
    crude = float(centred @ centred) / problem.k
    if crude == 0:
        return Tau2(0.0, 0.0, boundary=True)
    parts = problem.at(crude)
    free = problem.k - problem.p
    value = crude * float(parts.rss()) / free
    return Tau2(value, crude * _quadratic_sd(parts, problem.v + value) / free)


def _around_mean(problem: Problem) -> Array:
    """Effects about their plain mean (scaled), whatever the design."""
    if problem.basis is None:
        y = problem.y
    else:
        fitted = problem.basis @ (problem.r @ problem.shift)  # what the first fit took away
        y = problem.y + (fitted - fitted[0]) / problem.scale
    return np.asarray(y - y.mean())


@_estimator("ML", "maximum likelihood")
def maximum_likelihood(problem: Problem, weights: Array | None = None) -> Tau2:
    """Maximum likelihood.

    References
    ----------
    Hardy and Thompson (1996), Stat Med 15:619-629; Viechtbauer (2005), eq. 8.
    """
    value, optima = _likelihood_optimum(problem, restricted=False)
    w = problem.weights(value)
    return Tau2(value, math.sqrt(2 / float(w @ w)), n_optima=optima, boundary=value == 0)


def _root_of_q(problem: Problem, target: float) -> Tau2:
    """The t at which the generalised Q statistic equals ``target``."""
    value = solve_q(problem, target)
    parts = problem.at(value)
    se = math.sqrt(2 * problem.k**2 / (problem.k - problem.p)) / float(parts.w @ problem.one)
    return Tau2(value, se, boundary=value == 0)


@_estimator("EB", "empirical Bayes")
def empirical_bayes(problem: Problem, weights: Array | None = None) -> Tau2:
    """Empirical Bayes; its estimating equation has the same root as Paule-Mandel's.

    References
    ----------
    Morris (1983), JASA 78:47-55; Berkey et al. (1995), Stat Med 14:395-411.
    """
    return _root_of_q(problem, problem.k - problem.p)


@_estimator("PM", "Paule-Mandel")
def paule_mandel(problem: Problem, weights: Array | None = None) -> Tau2:
    """The t at which Q(t) equals its expectation k - p.

    References
    ----------
    Paule and Mandel (1982), J Res Natl Bur Stand 87:377-385.
    """
    return _root_of_q(problem, problem.k - problem.p)


@_estimator("PMM", "Paule-Mandel, median-unbiased")
def paule_mandel_median(problem: Problem, weights: Array | None = None) -> Tau2:
    """The t at which Q(t) equals the median of its chi-squared distribution.

    References
    ----------
    Viechtbauer (2021), in Schmid, Stijnen and White, Handbook of Meta-Analysis, ch. 4.
    """
    return _root_of_q(problem, float(special.chdtri(problem.k - problem.p, 0.5)))


@_estimator("DLIT", "DerSimonian-Laird, iterated")
def dersimonian_laird_iterated(problem: Problem, weights: Array | None = None) -> Tau2:
    """DerSimonian-Laird's formula repeated with weights 1/(v + t) until t stays: the root of
    Q(t) - (k - p) = t tr P(t), which lies below Paule-Mandel's.

    The left side falls and the right side rises with t, so there is one root at most.

    References
    ----------
    DerSimonian and Laird (1986), eq. 8, iterated.
    """
    free = problem.k - problem.p

    def gap(t: float) -> tuple[float, float]:
        parts = problem.at(t)
        trace = float(parts.trace())
        slope = -float(parts.ypp()) - trace + t * float(parts.trace2())
        return float(parts.rss()) - free - t * trace, slope

    value = 0.0
    if gap(0.0)[0] > 0:
        high = solve_q(problem, free)
        value = _falling_root(gap, 0.0, high, 0.5 * high)
    parts = problem.at(value)
    trace, trace2 = float(parts.trace()), float(parts.trace2())
    # The variance that DL's formula has at its own weights, taken at the last weights.
    se = math.sqrt(2 * free + 4 * value * trace + 2 * value * value * trace2) / trace
    return Tau2(value, se, boundary=value == 0)


@_estimator("SJIT", "Sidik-Jonkman, iterated")
def sidik_jonkman_iterated(problem: Problem, weights: Array | None = None) -> Tau2:
    """Fixed point of Sidik-Jonkman's second step; where it exists, Q(t) = k - p.

    References
    ----------
    Sidik and Jonkman (2007), Stat Med 26:1964-1981.
    """
    return _root_of_q(problem, problem.k - problem.p)


@_estimator("GENQ", "generalised Q", needs_weights=True)
def generalised_q(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with the caller's weights.

    References
    ----------
    DerSimonian and Kacker (2007), eq. 6; Jackson, Turner, Rhodes and Viechtbauer (2014), BMC Med
    Res Methodol 14:103.
    """
    return _moment(problem, problem.given(weights))


@_estimator("GENQM", "generalised Q, median-unbiased", needs_weights=True)
def generalised_q_median(problem: Problem, weights: Array | None = None) -> Tau2:
    """The t at which the observed generalised Q is the median of its distribution.

    References
    ----------
    Jackson (2013), Res Synth Methods 4:220-229; Viechtbauer (2021), Handbook of Meta-Analysis.
    """
    a = problem.given(weights)
    value = solve_generalised_q(problem, a, 0.5)
    parts = Parts(problem, a)
    se = _quadratic_sd(parts, problem.v + value) / float(parts.trace())
    return Tau2(value, se, boundary=value == 0)


# Solving.


def solve_q(problem: Problem, target: float, start: float = 0.0) -> float:
    """The t >= start (scaled units) with Q(t) = target, or ``start`` if Q(start) is below it.

    Q is a sum of c/(d + t) with c, d >= 0, hence 1/Q is increasing and concave: Newton's method on
    1/Q approaches from the left, never overshoots, and is exact at once for equal variances.
    """
    t = start
    for _ in range(200):
        q, slope = problem.rss(t)
        if q <= target:
            return t
        step = q * (q / target - 1) / slope
        t += step
        if step <= SMALL_STEP * t:
            return t
    raise NotConverged("Q(tau2) = its target was not solved", [f"last tau2 = {t * problem.unit}"])


def generalised_q_tail(problem: Problem, a: Array, t: float, q: float) -> float:
    """P(y'P_a y >= q) when the effects have variances v + t (scaled units)."""
    if problem.basis is None:
        basis = np.sqrt(a / a.sum())[:, None]
    else:
        basis = np.linalg.qr(np.sqrt(a)[:, None] * problem.basis)[0]
    return upper_tail(q, a * (problem.v + t), basis)


def solve_generalised_q(problem: Problem, a: Array, tail: float) -> float:
    """The t (scaled units) with P(y'P_a y >= its observed value) = tail; 0 if it is more at 0."""
    from scipy.optimize import brentq

    parts = Parts(problem, a)
    q = float(parts.rss())

    def excess(t: float) -> float:
        return generalised_q_tail(problem, a, t, q) - tail

    if q <= 0 or excess(0.0) >= 0:
        return 0.0
    high = max(q / float(parts.trace()), float(problem.v.min()))
    low = 0.0
    while excess(high) < 0:
        low, high = high, 4 * high
        if not math.isfinite(high):
            raise NotConverged("no upper limit of the generalised Q was found", [f"tau2 > {low}"])
    return float(brentq(excess, low, high, xtol=EPS * high * 1e-3, rtol=4 * EPS, maxiter=300))


def _no_root_beyond(problem: Problem, *, restricted: bool) -> float:
    """A t above which the score is surely negative.

    With the eigenvalues of the residual covariance between t + min v and t + max v,
    y'PPy <= RSS/(t + min v)^2 and tr P >= (k - p)/(t + max v).
    """
    n = problem.k - problem.p if restricted else problem.k
    parts = Parts(problem, problem.one)
    s = float(parts.rss()) / n
    low, high = float(problem.v.min()), float(problem.v.max())
    return max((s + math.sqrt(s * s + 4 * s * (high - low))) / 2 - low, 0.0)


def _likelihood_optimum(problem: Problem, *, restricted: bool) -> tuple[float, int]:
    """Global maximum of the (restricted) likelihood on [0, inf), and how many local maxima it has.

    The scan is a proof, not a sample. On [a, b] the score lies between ypp(b) - trace(a) and
    ypp(a) - trace(b), because both parts fall; its derivative is bounded likewise. An interval is
    settled when these bounds show no root, or a monotone score; otherwise it is halved.
    """
    high = _no_root_beyond(problem, restricted=restricted)
    if high == 0:
        return 0.0, 1
    high *= 1 + 1e-9
    low = min(float(problem.v.min()), high) / 4
    points = np.concatenate(([0.0], low * (high / low) ** GRID))
    values = np.array(problem.score(points, restricted=restricted))
    at_zero = float(values[0, 0] - values[1, 0])
    a, b, left, right = points[:-1], points[1:], values[:, :-1], values[:, 1:]
    brackets: list[tuple[float, float, float]] = []
    for _ in range(MAX_ROUNDS):
        empty = (right[0] > left[1]) | (left[0] < right[1])
        one_way = (2 * right[2] > left[3]) | (2 * left[2] < right[3])
        settled = empty | one_way | (b - a <= 1e-9 * b)
        crossing = settled & ~empty & (left[0] > left[1]) & (right[0] <= right[1])
        for i in np.flatnonzero(crossing):
            start = _between(a[i], b[i], left[0, i] / left[1, i], right[0, i] / right[1, i])
            brackets.append((float(a[i]), float(b[i]), start))
        todo = np.flatnonzero(~settled)
        if not len(todo):
            break
        a, b, left, right = a[todo], b[todo], left[:, todo], right[:, todo]
        middle = np.where(a > 0, np.sqrt(a * b), b / 4)
        at_middle = np.array(problem.score(middle, restricted=restricted))
        a, b = np.concatenate((a, middle)), np.concatenate((middle, b))
        left = np.concatenate((left, at_middle), axis=1)
        right = np.concatenate((at_middle, right), axis=1)

    def score(t: float) -> tuple[float, float]:
        u, trace, slope_u, slope_trace = problem.score(t, restricted=restricted)
        return float(u - trace), float(slope_trace - 2 * slope_u)

    candidates = [_falling_root(score, *pair) for pair in sorted(brackets)]
    if at_zero <= 0 or not candidates:
        candidates.insert(0, 0.0)
    if len(candidates) == 1:
        return candidates[0], 1
    heights = problem.loglik(np.array(candidates), restricted=restricted)
    return candidates[int(np.argmax(heights))], len(candidates)


def _between(a: float, b: float, at_a: float, at_b: float) -> float:
    """A first guess where a ratio crosses one: straight in logarithms, with typical v = 1."""
    if not at_b > 0:
        return float(0.5 * (a + b))
    share = math.log(at_a) / (math.log(at_a) - math.log(at_b))
    guess = (a + 1) * math.exp(share * math.log((b + 1) / (a + 1))) - 1
    return float(min(max(guess, a), b))


def _falling_root(
    f: Callable[[float], tuple[float, float]], low: float, high: float, start: float
) -> float:
    """Root of a function that is positive at ``low`` and negative at ``high``: Newton, safeguarded.

    ``f`` gives its value and its derivative.
    """
    t = start if low < start < high else 0.5 * (low + high)
    for _ in range(200):
        value, slope = f(t)
        if value == 0:
            return t
        if value > 0:
            low = t
        else:
            high = t
        step = -value / slope if slope < 0 else math.inf
        following = t + step
        if not low < following < high:
            following = 0.5 * (low + high)
            if following in (low, high):
                return following
        elif abs(step) <= SMALL_STEP * t:
            return following
        t = following
    raise NotConverged("a root was not found to full precision", [f"between {low} and {high}"])
