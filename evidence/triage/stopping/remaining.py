"""How many relevant records are probably left unread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from evidence.triage.stopping.conservative import few_drawn, windows
from evidence.triage.stopping.state import State

Floats = NDArray[np.float64]

RIDGE = 0.01  # on the slope; finite where the scores part the kinds without overlap
ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Remaining:
    """Relevant records among the unscreened: an estimate with an interval.

    NaN while a kind of decision is missing.
    """

    found: int
    estimate: float  # expected number among the unscreened
    ci: tuple[float, float]  # whole numbers, from none to the upper limit
    level: float
    left: int  # unscreened records

    @property
    def recall(self) -> float:
        """Estimated share of the relevant records that is found."""
        return _share(self.found, self.estimate)

    @property
    def recall_ci(self) -> tuple[float, float]:
        return _share(self.found, self.ci[1]), _share(self.found, self.ci[0])

    def summary(self) -> str:
        if math.isnan(self.estimate):
            return (
                "How many relevant records remain cannot be said before at least one is included "
                "and one excluded."
            )
        return (
            f"{self.found} found; about {self.estimate:.0f} relevant records, at most "
            f"{self.ci[1]:.0f}, are probably left among {self.left}: "
            f"recall about {self.recall:.0%}, at least {self.recall_ci[0]:.0%}"
        )


def _share(found: int, left: float) -> float:
    return found / (found + left) if found + left > 0 else float("nan")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Calibration:
    """Probability of being relevant as a logistic function of the score."""

    intercept: float
    slope: float
    covariance: Floats  # (2, 2) of the two, from the curvature at the maximum

    def probability(self, scores: Floats) -> Floats:
        p: Floats = special.expit(self.intercept + self.slope * scores)
        return p


def calibrate(scores: Floats, relevant: NDArray[np.bool_]) -> Calibration:
    """Logistic regression of relevance on the score, with a slight ridge on the slope.

    The ridge is on the slope by the standard deviation of the scores: it knows no unit.

    Newton's method on the concave penalised log-likelihood, halving steps that overshoot.

    References
    ----------
    Platt (2000), in: Advances in Large Margin Classifiers, 61-74; here on leave-one-out scores.
    """
    design = np.column_stack([np.ones(len(scores)), scores])
    penalty = np.diag([0.0, RIDGE * float(scores.var())])
    share = relevant.mean()
    theta = np.array([special.logit(share) if 0 < share < 1 else 0.0, 0.0])

    def height(theta: Floats) -> float:
        eta = design @ theta
        fit = np.where(relevant, eta, 0.0).sum() - np.logaddexp(0, eta).sum()
        return float(fit - theta @ penalty @ theta / 2)

    now = height(theta)
    for _ in range(ROUNDS):
        p = special.expit(design @ theta)
        slope = design.T @ (relevant - p) - penalty @ theta
        curvature = (design.T * (p * (1 - p))) @ design + penalty
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), slope)
        size = 1.0
        while (after := height(theta + size * step)) < now and size > 1e-8:
            size /= 2
        theta = theta + size * step
        if abs(after - now) < 1e-12 * (1 + abs(now)):
            break
        now = after
    p = special.expit(design @ theta)
    curvature = (design.T * (p * (1 - p))) @ design + penalty
    return Calibration(float(theta[0]), float(theta[1]), np.linalg.pinv(curvature))


def remaining(state: State, *, level: float = 0.95) -> Remaining:
    """Expected number of relevant records among the unscreened, with an interval.

    Each screened record is scored by the model that all others make; a logistic curve turns these
    scores into probabilities, which are summed over the unscreened. While few are screened the sum
    is far too high, because the order reads the likely ones first: it is held to the upper limit
    below. It knows nothing of relevant records that look like no other.

    The interval begins at none, for no rule can exclude that everything is found. Its upper limit
    is the lower of two, each at half the error: the quantile of a gamma distribution with the
    variance of a sum of independent draws plus that of the curve (delta method), and the most that
    few late inclusions allow if the order is no worse than a random one (`at_most`). On ten
    labelled reviews, three runs each, it held the truth at 1,886 of 1,887 looks.
    """
    found = state.included
    if not 0 < found < state.screened or np.isnan(state.left_out).any():
        nothing = (float("nan"), float("nan"))
        return Remaining(found, float("nan"), nothing, level, state.left)
    if not state.left:
        return Remaining(found, 0.0, (0.0, 0.0), level, 0)
    curve = calibrate(state.left_out, state.found)
    p = curve.probability(state.unscreened)
    estimate = float(p.sum())
    spread = p * (1 - p)
    slope = np.array([spread.sum(), (spread * state.unscreened).sum()])
    variance = float(spread.sum() + slope @ curve.covariance @ slope)
    tail = (1 - level) / 2
    high = float(at_most(state, tail))
    if estimate > 0 and variance > 0:
        limit = stats.gamma.ppf(1 - tail, estimate**2 / variance, scale=variance / estimate)
        high = min(high, float(np.ceil(limit)))
    return Remaining(found, min(estimate, high), (0.0, high), level, state.left)


def at_most(state: State, error: float) -> int:
    """The most relevant records that can be left, if the order is no worse than a random one.

    The highest number that `hypergeometric_p` would not reject at this error.
    """
    drawn, hits, urn, _ = windows(state, 0.5)
    most = state.left

    def p(missed: int, some: slice = slice(None)) -> Floats:
        relevant = np.minimum(hits[some] + missed, urn[some])
        return few_drawn(hits[some], urn[some], relevant, drawn[some])

    while len(drawn) and (ps := p(most)).min() < error:
        # The stretch that says no most clearly is asked alone for the most that it allows.
        worst = int(np.argmin(ps))
        low, high = 0, most - 1
        while low < high:
            middle = (low + high + 1) // 2
            if p(middle, slice(worst, worst + 1))[0] >= error:
                low = middle
            else:
                high = middle - 1
        most = high
    return most
