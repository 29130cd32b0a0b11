"""Between-study variance: one function for each published estimator, by its key in ``TAU2``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.errors import InputError, NotConverged, UnknownName
from meta.quadratic import upper_tail
from meta.weighted import Parts, Problem

Array = NDArray[np.float64]
DEFAULT_TAU2 = "REML"
EPS = float(np.finfo(float).eps)
SMALL_STEP = 1e-9  # relative; Newton's error after such a step is of the order of its square
NARROW = 1e-9  # relative width of an interval whose number of roots is no longer asked


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
    found, unit = entry.compute(problem, weights), problem.unit
    return Tau2(found.value * unit, found.se * unit, method, found.n_optima, found.boundary)


# Moment estimators: set a quadratic form y'P_a y equal to its expectation.


def _quadratic_sd(parts: Parts, d: Array) -> float:
    """Standard deviation of y'Py when y is normal with variances d: sqrt(2 tr(PDPD))."""
    return math.sqrt(max(2 * parts.trace_of(d), 0.0))


def _moment(problem: Problem, a: Array) -> Tau2:
    """General method of moments with weights a (DerSimonian and Kacker 2007, eq. 6)."""
    parts = problem.parts(a)
    trace = parts.trace()
    expected = float((a * problem.v) @ parts.unhat())
    raw = (parts.rss() - expected) / trace
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
    trace2 = problem.at(value).trace2()
    return Tau2(value, math.sqrt(2 / trace2), n_optima=optima, boundary=value == 0)


@_estimator("DL", "DerSimonian-Laird")
def dersimonian_laird(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with weights 1/v, held at zero when negative.

    References
    ----------
    DerSimonian and Laird (1986), Control Clin Trials 7:177-188, eq. 8.
    """
    parts = problem.zero()
    trace = parts.trace()
    raw = (parts.rss() - (problem.k - problem.p)) / trace
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
    raw = (factor * parts.rss() - problem.k) / total
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
    value = crude * parts.rss() / free
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
    return _root_of_q(problem, float(scipy.special.chdtri(problem.k - problem.p, 0.5)))


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
        trace = parts.trace()
        slope = -parts.ypp() - trace + t * parts.trace2()
        return parts.rss() - free - t * trace, slope

    value = 0.0
    if gap(0.0)[0] > 0:
        high = solve_q(problem, free)
        value = _falling_root(gap, 0.0, high, 0.5 * high)
    parts = problem.at(value)
    trace, trace2 = parts.trace(), parts.trace2()
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
    parts = problem.parts(a)
    se = _quadratic_sd(parts, problem.v + value) / parts.trace()
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

    parts = problem.parts(a)
    q = parts.rss()

    def excess(t: float) -> float:
        return generalised_q_tail(problem, a, t, q) - tail

    if q <= 0 or excess(0.0) >= 0:
        return 0.0
    high = max(q / parts.trace(), problem.v_min)
    low = 0.0
    while excess(high) < 0:
        low, high = high, 4 * high
        if not math.isfinite(high):
            raise NotConverged("no upper limit of the generalised Q was found", [f"tau2 > {low}"])
    return float(brentq(excess, low, high, xtol=EPS * high * 1e-3, rtol=4 * EPS, maxiter=300))


class _Point:
    """The two sides of the score at one t, each turned into a function that bends one way.

    With P(t) = sum of c c'/(d + t) over its eigenvectors (d > 0, the same for every t), y'PPy is a
    sum of (c'y)^2/(d + t)^2 and the trace one of 1/(d + t), in v for d with the full likelihood.
    Then ``a`` = 1/trace and ``b`` = (y'PPy)^(-1/2) are power means of the lines d + t, of exponents
    -1 and -2: increasing, concave by Minkowski's inequality (Hardy, Littlewood and Polya 1934,
    Inequalities, sec. 2.11), and straight for equal variances.
    The score is positive where a > b^2. Between two points a chord lies below such a function, and
    beyond them their tangents lie above it.
    """

    __slots__ = ("a", "a_slope", "b", "b_slope", "gap", "t")

    def __init__(self, problem: Problem, t: float, *, restricted: bool) -> None:
        ypp, trace, yppp, trace2 = problem.at(t).score(restricted=restricted)
        self.t = t
        self.a = 1 / trace
        self.a_slope = trace2 / (trace * trace)
        root = math.sqrt(ypp)
        self.b = 1 / root if root > 0 else math.inf
        self.b_slope = yppp / (ypp * root) if ypp * root > 0 else math.inf
        self.gap = self.a - self.b * self.b

    def step(self) -> float:
        """From here to where the tangents of a and b give a = b^2; NaN where they do not."""
        half, square = self.b * self.b_slope - 0.5 * self.a_slope, self.b_slope * self.b_slope
        under = half * half + square * self.gap
        if half > 0:
            return self.gap / (half + math.sqrt(under)) if under >= 0 else math.nan
        return (math.sqrt(under) - half) / square if self.gap > 0 else math.nan

    def reach(self, slope: float) -> float:
        """A distance to the right beyond which no root is; 0 if there is none to the right at all.

        The tangent of a lies above it, and b rises at least as fast as it does in the end, where
        its slope is ``slope``.
        """
        half = 0.5 * self.a_slope - self.b * slope
        under = half * half + slope * slope * self.gap
        if under < 0 or (self.gap <= 0 and half <= 0):
            return 0.0
        return (half + math.sqrt(under)) / (slope * slope)

    def settle(self) -> _Point:
        """Take this point for a root."""
        self.a, self.gap = self.b * self.b, 0.0
        return self


def _surely_above(left: _Point, right: _Point) -> bool:
    """Whether the score is positive all the way between two points where it is."""
    width, bend = right.t - left.t, left.b_slope - right.b_slope
    if bend <= 0:
        return True  # b is a straight line, and a no lower than its chord
    # a's chord less the square of b's tangents is least at an end or where the tangents meet.
    at = min(max((right.b - left.b - right.b_slope * width) / bend, 0.0), width)
    top = left.b + left.b_slope * at
    return left.a + (right.a - left.a) * at / width > top * top


def _surely_below(left: _Point, right: _Point) -> bool:
    """Whether the score is nowhere positive between two points where it is not."""
    width, bend = right.t - left.t, left.a_slope - right.a_slope
    chord = (right.b - left.b) / width
    if chord <= 0:
        return False  # by rounding: the interval is too narrow to tell
    meet = (right.a - left.a - right.a_slope * width) / bend if bend > 0 else width
    meet = min(max(meet, 0.0), width)
    # The highest point of a's tangent less the square of b's chord, from either end.
    curve = 2 * chord * chord
    x = min(max((left.a_slope - 2 * left.b * chord) / curve, 0.0), meet)
    if left.a + left.a_slope * x > (left.b + chord * x) ** 2:
        return False
    x = min(max((2 * right.b * chord - right.a_slope) / curve, 0.0), width - meet)
    return right.a - right.a_slope * x <= (right.b - chord * x) ** 2


def _likelihood_optimum(problem: Problem, *, restricted: bool) -> tuple[float, int]:
    """Global maximum of the (restricted) likelihood on [0, inf), and how many local maxima it has.

    Newton's method finds a maximum, and the bounds that ``_Point`` explains prove that there is no
    other root of the score, or halve an interval until they do: a proof, not a sample.
    """

    def point(t: float) -> _Point:
        return _Point(problem, t, restricted=restricted)

    zero, spread = point(0.0), problem.spread
    if not (spread > 0 and math.isfinite(zero.b_slope)):  # no effect differs from another
        return 0.0, 1
    slope = 1 / math.sqrt(spread)
    reach = zero.reach(slope)
    if reach == 0:
        return 0.0, 1
    maxima: list[_Point] = []
    # Intervals still open, with the sign of the score just within either end.
    todo: list[tuple[_Point, _Point, bool, bool]] = []
    if zero.gap > 0:
        last = _peak(point, zero, reach * (1 + NARROW), problem.v_min)
        maxima.append(last)
        todo.append((zero, last, True, True))
        reach = last.reach(slope)
    else:
        last = zero
        maxima.append(zero)
    if reach > 0:
        todo.append((last, point(last.t + reach * (1 + NARROW)), False, False))
    while todo:
        left, right, rises, ends = todo.pop()
        if rises and not ends:
            peak = _peak(point, left, right.t, problem.v_min)
            maxima.append(peak)
            todo += [(left, peak, True, True), (peak, right, False, False)]
            continue
        if rises:
            settled = _surely_above(left, right)
        elif not ends:
            settled = _surely_below(left, right)
        else:  # one root where the score rises, if it rises all the way
            settled = right.a_slope > 2 * right.b * left.b_slope
        if settled or right.t - left.t <= max(NARROW * right.t, EPS * problem.v_min):
            continue
        middle = point(_middle(left.t, right.t, problem.v_min))
        up = middle.gap > 0
        todo += [(left, middle, rises, up), (middle, right, up, ends)]
    if len(maxima) == 1:
        return maxima[0].t, 1
    return max(
        (peak.t for peak in maxima), key=lambda t: problem.loglik(t, restricted=restricted)
    ), len(maxima)


def _middle(low: float, high: float, least: float) -> float:
    """Midway between two tau2 on the scale log(tau2 + the least variance)."""
    middle = math.sqrt((low + least) * (high + least)) - least
    return middle if low < middle < high else 0.5 * (low + high)


def _peak(point: Callable[[float], _Point], left: _Point, high: float, least: float) -> _Point:
    """Where the score, positive at ``left``, not at ``high``, passes zero: safeguarded Newton."""
    low, here = left.t, left
    for turn in range(200):
        step = here.step()
        t = here.t + step
        newton = low < t < high
        if not newton:
            t = _middle(low, high, least)
            if t in (low, high):
                return here.settle()
        here = point(t)
        noise = EPS if turn < 20 else 8 * EPS
        if abs(here.gap) <= noise * here.a or (newton and abs(step) <= SMALL_STEP * t):
            return here.settle()
        if here.gap > 0:
            low = t
        else:
            high = t
    raise NotConverged("the likelihood's maximum was not found", [f"between {low} and {high}"])


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


# Estimators beyond metafor's; nothing above depends on them.


@_estimator("HM", "Hartung-Makambi")
def hartung_makambi(problem: Problem, weights: Array | None = None) -> Tau2:
    """DerSimonian-Laird's formula with Q/(2 (k - p) + Q) times Q in place of Q - (k - p).

    Positive unless Q is zero, and therefore too large where there is little heterogeneity; below
    DerSimonian-Laird's from Q = 2 (k - p) on.

    References
    ----------
    Hartung and Makambi (2003), Commun Stat Simul Comput 32:1179-1190; Veroniki et al. (2016), Res
    Synth Methods 7:55-79.
    """
    parts = problem.zero()
    q, trace, twice = parts.rss(), parts.trace(), 2 * (problem.k - problem.p)
    value = q * q / ((twice + q) * trace)
    slope = (q * q + 2 * twice * q) / ((twice + q) ** 2 * trace)  # of the estimate in Q
    return Tau2(value, slope * _quadratic_sd(parts, problem.v + value), boundary=value == 0)


@_estimator("DL2", "DerSimonian-Laird, two steps")
def dersimonian_laird_two_steps(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with weights 1/(v + t), t from DerSimonian-Laird.

    References
    ----------
    DerSimonian and Kacker (2007), Contemp Clin Trials 28:105-114, sect. 3.
    """
    return _moment(problem, problem.weights(dersimonian_laird(problem, None).value))


@_estimator("HE2", "Hedges, two steps")
def hedges_two_steps(problem: Problem, weights: Array | None = None) -> Tau2:
    """Moment estimator with weights 1/(v + t), t from Hedges (Cochran's anova in the paper, CA2).

    References
    ----------
    DerSimonian and Kacker (2007), Contemp Clin Trials 28:105-114, sect. 3.
    """
    return _moment(problem, problem.weights(hedges(problem, None).value))
