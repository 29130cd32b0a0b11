"""Synthesis where effects cannot be pooled: direction of effect, and combined p-values.

Votes are counted by direction, never by significance (Cochrane Handbook, ch. 12; SWiM guideline,
Campbell et al. 2020, BMJ 368:l6890).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, UnknownName
from meta.fitting import check_level
from meta.present import Presented

Array = NDArray[np.float64]
MINIMUM_FOR_SIGN_TEST = 5  # known directions; with fewer no result can reach p < 0.05


@dataclass(frozen=True, slots=True)
class SignTest(Presented):
    """A count of studies by known direction and how it compares with a fair coin."""

    positive: int
    negative: int
    proportion: float  # of known directions that are positive, 0 to 1
    ci: tuple[float, float]
    ci_method: str
    p: float  # exact, two-sided
    level: float

    @property
    def known(self) -> int:
        return self.positive + self.negative

    def summary(self) -> str:
        """One line: ``7 of 9 known directions are positive (95% CI 40% to 97%), p = 0.180``."""
        from meta.results import show_p

        low, high = self.ci
        return (
            f"{self.positive} of {self.known} known directions are positive "
            f"({self.level:.0%} CI {low:.0%} to {high:.0%}), {show_p(self.p)}"
        )

    def __str__(self) -> str:
        return self.summary()


def sign_test(
    positive: int, negative: int, *, interval: str = "Clopper-Pearson", level: float = 0.95
) -> SignTest:
    """Exact binomial test that effects point either way equally often.

    Parameters
    ----------
    positive, negative : int
        Studies whose direction is known; those of unknown direction are not counted at all.
    interval : {"Clopper-Pearson", "Wilson"}
        Interval of the proportion that is positive: exact, or the score interval.
    level : float
        Confidence level.

    Raises
    ------
    InputError
        If fewer than five directions are known: no such count can be unlikely under chance.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26:404-413; Wilson (1927), JASA 22:209-212.
    """
    check_level(level)
    for name, count in (("positive", positive), ("negative", negative)):
        if count < 0 or count != int(count):
            raise InputError(f"{name} = {count} is not a count")
    n = positive + negative
    if n < MINIMUM_FOR_SIGN_TEST:
        raise InputError(
            f"{n} known {'direction is' if n == 1 else 'directions are'} too few for a sign test",
            remedy=f"at least {MINIMUM_FOR_SIGN_TEST} are needed; list the studies instead",
        )
    fewer = min(positive, negative)
    p = min(1.0, 2 * float(special.bdtr(fewer, n, 0.5)))
    return SignTest(
        int(positive),
        int(negative),
        positive / n,
        binomial_interval(int(positive), int(n), method=interval, level=level),
        interval,
        p,
        level,
    )


def binomial_interval(
    count: int, total: int, *, method: str = "Clopper-Pearson", level: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of a proportion from a count."""
    check_level(level)
    if not 0 <= count <= total or total < 1:
        raise InputError(f"{count} of {total} is not a proportion")
    tail = (1 - level) / 2
    if method == "Clopper-Pearson":
        low = float(special.betaincinv(count, total - count + 1, tail)) if count else 0.0
        high = (
            float(special.betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
        )
        return low, high
    if method == "Wilson":
        z = float(special.ndtri(1 - tail))
        share = count / total
        middle = (share + z * z / (2 * total)) / (1 + z * z / total)
        half = z / (1 + z * z / total)
        half *= math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
        # At the ends the limit is exact; rounding must not push it off the scale.
        return (
            0.0 if count == 0 else max(middle - half, 0.0),
            1.0 if count == total else min(middle + half, 1.0),
        )
    raise UnknownName("interval of a proportion", method, ("Clopper-Pearson", "Wilson"))


@dataclass(frozen=True, slots=True)
class CombinedP(Presented):
    """One-sided p-values of k studies combined into one."""

    method: str
    k: int
    statistic: float
    p: float
    null: str  # what the p-value speaks against

    def summary(self) -> str:
        """One line: ``Fisher: 16.02, p = 0.042, 4 p-values, against: ...``."""
        from meta.results import show, show_p

        return (
            f"{self.method}: {show(self.statistic)}, {show_p(self.p)}, {self.k} p-values; "
            f"against: {self.null}"
        )


NULL = "no study has an effect in the direction tested"
WAYS = ("Fisher", "Stouffer", "Edgington", "Pearson", "Tippett")


def combine_p(p: Iterable[float], method: str = "Fisher", *, weights: Any = None) -> CombinedP:
    """Combine one-sided p-values, all of them for the same direction.

    Parameters
    ----------
    p : iterable of float
        One-sided p-values, strictly between 0 and 1.
    method : {"Fisher", "Stouffer", "Edgington", "Pearson", "Tippett"}
        Sum of logarithms, (weighted) sum of normal deviates, sum of the p-values, sum of the
        logarithms of 1 - p, or the smallest of them. Tippett and Fisher answer to one very small
        p, Pearson to one very large, Stouffer and Edgington to all alike.
    weights : array, shape (k,), optional
        For Stouffer only, such as the square root of the sample size.

    Notes
    -----
    A small result says that at least one study has an effect in that direction; it says nothing
    about its size, and nothing about most studies.

    References
    ----------
    Fisher (1932), Statistical Methods for Research Workers; Stouffer et al. (1949), The American
    Soldier; Edgington (1972), J Psychol 80:351-363; Pearson (1933), Biometrika 25:379-410; Tippett
    (1931), The Methods of Statistics; Becker (1994), in Cooper and Hedges, Handbook of Research
    Synthesis, ch. 15; Cochrane Handbook, sect. 12.2.1.2.
    """
    if method not in WAYS:
        raise UnknownName("way to combine p-values", method, WAYS)
    values = np.asarray(list(p), dtype=float)
    k = len(values)
    if k == 0:
        raise InputError("there is no p-value to combine")
    wrong = np.flatnonzero(~((values > 0) & (values < 1)))
    if len(wrong):
        raise InputError(
            "p-values must lie strictly between 0 and 1",
            [f"number {i + 1}: {values[i]}" for i in wrong],
            remedy="give one-sided p-values, not rounded to 0 or 1",
        )
    if weights is not None and method != "Stouffer":
        raise InputError(f"{method} takes no weights", remedy='use method="Stouffer"')
    if method == "Fisher":
        statistic = -2 * float(np.log(values).sum())
        return CombinedP(method, k, statistic, float(special.chdtrc(2 * k, statistic)), NULL)
    if method == "Stouffer":
        w = np.ones(k) if weights is None else np.asarray(weights, dtype=float)
        if w.shape != (k,) or not (np.isfinite(w) & (w >= 0)).all() or not w.any():
            raise InputError("weights must be one per p-value, not negative, not all zero")
        statistic = -float(w @ special.ndtri(values)) / math.sqrt(float(w @ w))
        return CombinedP(method, k, statistic, float(special.ndtr(-statistic)), NULL)
    if method == "Pearson":
        statistic = -2 * float(np.log1p(-values).sum())
        return CombinedP(method, k, statistic, float(special.chdtr(2 * k, statistic)), NULL)
    if method == "Tippett":
        statistic = float(values.min())
        return CombinedP(method, k, statistic, -math.expm1(k * math.log1p(-statistic)), NULL)
    statistic = float(values.sum())
    return CombinedP(method, k, statistic, _sum_of_uniforms(statistic, k), NULL)


EXACT_UNIFORMS = 20  # beyond, the alternating sum of Irwin and Hall loses its digits


def _sum_of_uniforms(s: float, k: int) -> float:
    """P(sum of k uniforms <= s): Irwin and Hall's sum, beyond 20 a contour integral."""
    if s > k / 2:
        return 1 - _sum_of_uniforms(k - s, k)
    if k <= EXACT_UNIFORMS:
        terms = [(-1) ** j * math.comb(k, j) * (s - j) ** k for j in range(math.floor(s) + 1)]
        return math.fsum(terms) / math.factorial(k)
    # Invert E exp(-zS) = ((1 - exp(-z))/z)^k along the vertical line through its saddle point.
    low, high = 1e-9, 1e9
    for _ in range(200):
        z = math.sqrt(low * high)
        mean = 1 / z - 1 / math.expm1(z) if z < 700 else 1 / z
        low, high = (z, high) if s - k * mean < 1 / z else (low, z)
    width = 1 / math.sqrt(k * (1 / z**2 - 1 / (4 * math.sinh(min(z, 600) / 2) ** 2)) + 1 / z**2)
    u = np.linspace(0.0, 40 * width, 20001)
    line = z + 1j * u
    logs = k * (np.log(-np.expm1(-line)) - np.log(line)) + line * s - np.log(line)
    values = np.exp(logs).real
    return float((values.sum() - values[0] / 2) * (u[1] - u[0]) / math.pi)
