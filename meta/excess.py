"""Too many findings: fail-safe numbers of missing studies, and the test of excess significance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.caution import caution
from meta.errors import InputError, UnknownName
from meta.fitting import fit, method_of
from meta.present import Presented, show, show_p, studies
from meta.results import Effects
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True)
class FailSafe(Presented):
    """Studies without effect that would bring the finding down."""

    kind: str
    n: int
    p: float  # of the observed studies together; NaN for Orwin's
    observed: float  # mean that Orwin's starts from; NaN otherwise
    target: float  # mean that Orwin's ends at; NaN otherwise
    alpha: float
    k: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: how many studies, and what they would undo."""
        if math.isnan(self.p):
            undone = f"bring the mean from {show(self.observed, 3)} to {show(self.target, 3)}"
        else:
            undone = f"raise p above {self.alpha:g} (observed {show_p(self.p)})"
        return (
            f"Fail-safe N ({self.kind}): {self.n:,} null studies would {undone}, {studies(self.k)}"
        )


def fail_safe_n(
    effects: Effects,
    kind: str = "Rosenthal",
    *,
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
) -> FailSafe:
    """How many unpublished null results it would take.

    Parameters
    ----------
    kind : {"Rosenthal", "Orwin", "Rosenberg"}
        Until Stouffer's combined one-sided p rises above ``alpha``; until the mean falls to
        ``target`` (half of the observed mean if not given); until the weighted common-effect mean
        loses two-sided significance.
    weighted : bool
        For Orwin: start from the inverse-variance weighted mean.

    Notes
    -----
    Not to be used as evidence that a result is robust, with any number of studies: it assumes that
    what is missing averages no effect at all and says nothing about the size of the bias (Becker
    2005, in Publication Bias in Meta-Analysis; Cochrane Handbook, ch. 13).

    References
    ----------
    Rosenthal (1979), Psychol Bull 86:638-641; Orwin (1983), J Educ Stat 8:157-159; Rosenberg
    (2005), Evolution 59:464-468.
    """
    notes = caution(effects, "a fail-safe N", least=1)
    k, y, v = effects.k, effects.yi, effects.vi
    w = 1 / v
    if kind == "Rosenthal":
        total = abs(float((y / np.sqrt(v)).sum()))
        p = float(special.ndtr(-total / math.sqrt(k)))
        n = (total / float(special.ndtri(1 - alpha))) ** 2 - k
        return FailSafe(kind, max(0, math.ceil(n)), p, NAN, NAN, alpha, k, notes)
    if kind == "Orwin":
        mean = float(w @ y) / float(w.sum()) if weighted else float(y.mean())
        goal = mean / 2 if target is None else target
        if goal == 0 or (goal > 0) != (mean > 0):
            raise InputError(
                f"target = {goal} is not between no effect and the mean {mean:.4g}",
                remedy="give a smaller effect in the same direction",
            )
        n = k * (mean - goal) / goal
        # Half of the mean gives k itself; rounding must not make it k + 1.
        n = math.ceil(n - 1e-9 * max(1.0, abs(n)))
        return FailSafe(kind, max(0, n), NAN, mean, goal, alpha, k, notes)
    if kind == "Rosenberg":
        total, sum_w = float(w @ y), float(w.sum())
        p = 2 * float(special.ndtr(-abs(total) / math.sqrt(sum_w)))
        z = float(special.ndtri(1 - alpha / 2))
        n = ((total / z) ** 2 - sum_w) / (sum_w / k)
        return FailSafe(kind, max(0, math.ceil(n)), p, NAN, NAN, alpha, k, notes)
    raise UnknownName("fail-safe N", kind, ("Rosenthal", "Orwin", "Rosenberg"))


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class ExcessSignificance(Presented):
    """Significant studies observed against those expected from their power."""

    observed: int
    expected: float
    ratio: float
    power: Array  # (k,) of each study at ``theta``
    theta: float
    chi2_p: float  # one-sided: more than expected
    binomial_p: float  # one-sided
    alpha: float
    k: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: significant studies, those expected, and both tests."""
        return (
            f"Excess significance: {self.observed} of {studies(self.k)} "
            f"significant, {show(self.expected)} expected; χ² {show_p(self.chi2_p)}, "
            f"binomial {show_p(self.binomial_p)}"
        )


def excess_significance(
    effects: Effects,
    *,
    theta: float | None = None,
    null: float = 0.0,
    alpha: float = 0.05,
    model: str = "common",
    tau2: str = DEFAULT_TAU2,
) -> ExcessSignificance:
    """Test whether more studies are significant than their power allows.

    Parameters
    ----------
    theta : float, optional
        True effect at which power is computed; the pooled effect if left out.
    alpha : float
        Two-sided level of the studies' own tests.

    Notes
    -----
    Not to be used below ten studies, nor under heterogeneity: the studies then have different true
    effects, and their power at a common one is not their power (Johnson and Yuan 2007, Clin Trials
    4:254-255). It tells of an excess, not of its cause.

    References
    ----------
    Ioannidis and Trikalinos (2007), Clin Trials 4:245-253.
    """
    notes = caution(effects, "the test of excess significance", least=1)
    se = np.sqrt(effects.vi)
    if theta is None:
        theta = float(fit(effects.yi, effects.vi, tau2=method_of(model, tau2)).beta[0])
    crit = float(special.ndtri(1 - alpha / 2))
    significant = np.abs(effects.yi - null) / se >= crit
    shift = (theta - null) / se
    power = special.ndtr(shift - crit) + special.ndtr(-shift - crit)
    k, observed, expected = effects.k, int(significant.sum()), float(power.sum())
    gap = observed - expected
    statistic = gap * gap / expected + (gap * gap / (k - expected) if k > expected else 0.0)
    tail = 0.5 * float(special.chdtrc(1, statistic))
    binomial = float(special.bdtrc(observed - 1, k, expected / k)) if observed else 1.0
    return ExcessSignificance(
        observed,
        expected,
        observed / expected,
        power,
        theta,
        tail if gap > 0 else 1 - tail,
        binomial,
        alpha,
        k,
        notes,
    )
