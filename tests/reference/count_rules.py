"""Rules by which a model of counts may differ from its reference, each proved for the case.

The likelihood is evaluated at the reference's own effect and variances, the other parameters at
their best. Where the reference states the log-likelihood of its fit, that must be the value found
there: both then maximise one function. What follows is arithmetic:

- the effect, the variances and the log-likelihood may differ if ours is the higher one;
- a standard error may differ if second differences of the log-likelihood, which share nothing with
  our derivatives, give ours (lme4 takes them by differences of 1e-4 over an inner iteration that
  stops at 1e-7; metafor over R's ``integrate``, and with respect to log tau2, on which nothing
  depends where tau2 goes to zero: github.com/wviechtb/metafor/issues/45);
- Wald's statistic under CM.EL may differ if ours follows from scipy's noncentral hypergeometric
  distribution: its mean at the estimates is the observed count, its variance the information;
- under UM.RS, if ours stays when the step of its second derivatives is changed threefold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from meta import mixture
from meta.glmm import CountModel, _informative, _mixture
from meta.mixture import EXACT_POINTS, Mixture, _Sums, maximise
from tests.reference.metafor_cases import Case

Array = NDArray[np.float64]
OPTIMUM = {"beta", "tau2", "sigma2", "ll"}
CURVATURE = {"se", "zval", "pval", "ci_lb", "ci_ub"}
NAMES = ("level", "effect", "sigma", "tau")
HIGHER = 1e-8  # gain in log-likelihood that rounding cannot make
STEP = 0.05  # of second differences, in standard errors


def points_of(case: Case) -> int:
    """Nodes of the quadrature: as lme4 has them; metafor integrates CM.EL of odds adaptively."""
    model, measure = case.arguments.get("model", ""), case.arguments["measure"]
    if model == "UM.RS":
        return 1  # Laplace's approximation, where there are two random effects
    if (model, measure) == ("CM.EL", "OR"):
        return EXACT_POINTS
    return int(case.arguments.get("nAGQ", EXACT_POINTS))


def reason(
    case: Case,
    found: CountModel,
    columns: dict[str, Any],
    wrong: set[str],
    refit: Callable[[], CountModel],
) -> str:
    """Why every name in ``wrong`` may differ, or "" if that is not proved."""
    told: list[str] = []
    left = set(wrong)
    if left & (OPTIMUM | CURVATURE):
        surface = _Surface(case, found, columns)
        gain = surface.gain()
        if gain is not None and left & OPTIMUM and gain > HIGHER:
            left -= OPTIMUM
            told.append("ours is more likely")
        if gain is not None and left & CURVATURE and gain > -HIGHER and surface.proves_se():
            left -= CURVATURE
            told.append("second differences of the log-likelihood give our standard error")
    if "QE_Wld" in left:
        if (found.model, found.measure.key) == ("CM.EL", "OR") and _exact_wald(case, found):
            left.discard("QE_Wld")
            told.append("numerical second derivatives; scipy's distribution gives ours")
        if found.model == "UM.RS" and _stable_wald(case, found, refit):
            left.discard("QE_Wld")
            told.append("our second derivatives stay when their step is changed")
    return "" if left else "; ".join(told)


class _Surface:
    """The log-likelihood that a case's model maximises, and ours at its top."""

    def __init__(self, case: Case, found: CountModel, columns: dict[str, Any]) -> None:
        self.case, self.found = case, found
        measure = found.measure.key
        part = tuple(np.asarray(column, dtype=float) for column in columns.values())
        if found.model:
            keep = _informative(measure, part)
            part = tuple(column[keep] for column in part)
        one = np.ones((len(part[0]), 1))
        self.whole, self.at = _mixture(measure, found.model, part, one, points_of(case))

    def gain(self) -> float | None:
        """How much more likely ours is than the reference's; None if it is not the same function.

        The levels of the studies, or their mean, are set to the best for the reference's numbers.
        """
        want = self.case.expected
        scales = np.sqrt([max(want[n], 0.0) for n in ("sigma2", "tau2")[1 - self.at :]])
        model = self._without_zeros(scales)
        fixed = np.zeros(len(self.whole.fixed))
        fixed[self.at] = want["beta"]
        value, conditional = _highest(model, np.concatenate((fixed, scales[scales > 0])), self.at)
        marginal = self.found.model == "UM.RS" or points_of(self.case) == EXACT_POINTS
        stated = want["ll"]
        if abs((value if marginal else conditional) - stated) > 1e-4 * (1 + abs(stated)):
            return None
        return self.found.loglik - value

    def _without_zeros(self, scales: Array) -> Mixture:
        model = self.whole
        for j in reversed(np.flatnonzero(scales == 0)):
            model = model.without(int(j))
        return model

    def proves_se(self) -> bool:
        """Whether second differences give our standard error ten times nearer than theirs is."""
        best = maximise(self.whole, names=NAMES)
        model = self._without_zeros(best.scales)
        positive = best.scales[best.scales > 0]
        psi = np.concatenate((best.fixed, positive))
        spread = np.sqrt(np.diag(best.covariance))
        steps = STEP * spread[np.isfinite(spread)]

        def height(moved: Array) -> float:
            return _highest(model, moved, 0, best.own)[0]

        hessian = (4 * _second(height, psi, steps) - _second(height, psi, 2 * steps)) / 3
        se = math.sqrt(float(np.linalg.inv(-hessian)[self.at, self.at]))
        ours, theirs = abs(self.found.se - se), abs(self.case.expected["se"] - se)
        return ours <= 2e-4 * se and ours <= theirs / 10


def _highest(
    model: Mixture, psi: Array, free: int, own: Array | None = None
) -> tuple[float, float]:
    """Log-likelihood, and that given the modes; ``own`` and the first ``free`` at their best."""
    sums, m = _Sums(model), len(psi)
    psi = psi.copy()
    has_own = model.own is not None
    own = np.zeros(model.k if has_own else 0) if own is None else own.copy()
    for _ in range(200):
        value, gradient, hessian = sums(psi, own)
        largest = 0.0
        if has_own:
            step = np.clip(-gradient[:, m] / hessian[:, m, m], -1, 1)
            own, largest = own + step, float(np.abs(step).max())
        if free:
            g, h = gradient.sum(0)[:free], hessian.sum(0)[:free, :free]
            step = np.clip(np.linalg.solve(-h, g), -1, 1)
            psi[:free] += step
            largest = max(largest, float(np.abs(step).max()))
        if largest < 1e-7:
            break
    value = sums(psi, own)[0]
    return float(value.sum()), sums.conditional(psi, own)


def _second(height: Callable[[Array], float], at: Array, steps: Array) -> Array:
    """Matrix of second differences."""
    n = len(at)
    moves = np.diag(steps)
    middle = height(at)
    found = np.empty((n, n))
    for i in range(n):
        up, down = height(at + moves[i]), height(at - moves[i])
        found[i, i] = (up - 2 * middle + down) / steps[i] ** 2
        for j in range(i):
            corners = height(at + moves[i] + moves[j]) + height(at - moves[i] - moves[j])
            corners -= height(at + moves[i] - moves[j]) + height(at - moves[i] + moves[j])
            found[i, j] = found[j, i] = corners / (4 * steps[i] * steps[j])
    return found


def _exact_wald(case: Case, found: CountModel) -> bool:
    """Whether Wald's statistic follows from scipy's noncentral hypergeometric distribution."""
    a, n1, c, n2 = (
        case.inputs["ai"],
        case.inputs["ai"] + case.inputs["bi"],
        case.inputs["ci"],
        case.inputs["ci"] + case.inputs["di"],
    )
    theta, w = [], []
    for i in range(len(a)):
        if not max(0, a[i] + c[i] - n2[i]) < a[i] < min(n1[i], a[i] + c[i]):
            continue

        def law(t: float, i: int = i) -> Any:
            sizes = int(n1[i] + n2[i]), int(n1[i]), int(a[i] + c[i])
            return stats.nchypergeom_fisher(*sizes, math.exp(t))

        def excess(t: float, i: int = i) -> float:
            return float(law(t, i).mean() - a[i])

        theta.append(float(brentq(excess, -12, 12, xtol=1e-12)))
        w.append(float(law(theta[-1]).var()))
    if not theta:
        return found.wald.statistic == 0
    t, weight = np.array(theta), np.array(w)
    mean = float(weight @ t) / float(weight.sum())
    exact = float(weight @ (t - mean) ** 2)
    return abs(exact - found.wald.statistic) <= 1e-6 * exact + 1e-12


def _stable_wald(case: Case, found: CountModel, refit: Callable[[], CountModel]) -> bool:
    """Whether Wald's statistic stays, beside its distance from the reference's."""
    theirs = case.expected["QE_Wld"]
    if theirs is None:
        return False
    step = mixture.DIFFERENCE
    try:
        mixture.DIFFERENCE = 3 * step
        other = refit().wald.statistic
    finally:
        mixture.DIFFERENCE = step
    ours = found.wald.statistic
    return abs(other - ours) <= min(1e-3 * ours, abs(theirs - ours) / 10)
