"""Effects from test statistics and p-values, and between families of effects."""

from __future__ import annotations

import math
from typing import Literal

from meta.conversions.provenance import at_least_two, formula, p_between, positive, require
from meta.conversions.spread import upper_quantile
from meta.measures.small_sample import hedges_j

HANDBOOK = "Cochrane Handbook ch. 6"
BORENSTEIN = "Borenstein 2009, in Cooper et al., Handbook of Research Synthesis"
CHINN = "Chinn 2000, Stat Med 19:3127"
LOGISTIC = math.pi / math.sqrt(3)
Sign = Literal[1, -1]


def _signed(sign: int) -> int:
    require(
        sign in (1, -1),
        f"sign = {sign} is not 1 or -1",
        remedy="give the direction of the effect, 1 or -1: a p-value or an F does not tell it",
    )
    return sign


def _t_of(p: float, df: float, sign: int) -> float:
    p_between(p)
    positive(df=df)
    return _signed(sign) * upper_quantile(p / 2, df)


@formula("t-from-p", equation="t = ± quantile of t(df) at 1 - p/2", source=HANDBOOK)
def t_from_p(p: float, df: float, *, sign: Sign) -> dict[str, float]:
    """Student's t from its two-sided p. For "p < 0.05" give 0.05, which is conservative."""
    return {"t": _t_of(p, df, sign)}


def _between(t: float, n_1: float, n_2: float, exact_j: bool) -> dict[str, float]:
    at_least_two(n_1=n_1, n_2=n_2)
    d = t * math.sqrt(1 / n_1 + 1 / n_2)
    g = float(hedges_j(n_1 + n_2 - 2, exact=exact_j)) * d
    return {"g": g, "vi": 1 / n_1 + 1 / n_2 + g**2 / (2 * (n_1 + n_2)), "d": d}


BETWEEN = "d = t √(1/n_1 + 1/n_2), g = J d, vi = 1/n_1 + 1/n_2 + g² / (2 (n_1 + n_2))"


@formula("g-from-t", equation=BETWEEN, source=BORENSTEIN)
def g_from_t(t: float, n_1: float, n_2: float, *, exact_j: bool = True) -> dict[str, float]:
    """Hedges' g, its variance and d from the t of two independent groups."""
    return _between(t, n_1, n_2, exact_j)


@formula("g-from-f", equation=f"t = ± √F(1, df); {BETWEEN}", source=BORENSTEIN)
def g_from_f(
    f: float, n_1: float, n_2: float, *, sign: Sign, exact_j: bool = True
) -> dict[str, float]:
    """The same from a one-way F with 1 and n_1 + n_2 - 2 degrees of freedom."""
    require(f >= 0, f"f = {f} is negative", remedy="check it against the paper")
    return _between(_signed(sign) * math.sqrt(f), n_1, n_2, exact_j)


@formula("g-from-p", equation=f"t from p with n_1 + n_2 - 2 df; {BETWEEN}", source=BORENSTEIN)
def g_from_p(
    p: float, n_1: float, n_2: float, *, sign: Sign, exact_j: bool = True
) -> dict[str, float]:
    """The same from the two-sided p of that t."""
    return _between(_t_of(p, n_1 + n_2 - 2, sign), n_1, n_2, exact_j)


PAIRED = "dz = t / √n, g = J dz, vi = 1/n + g² / (2 n)"


def _within(t: float, n: float, exact_j: bool) -> dict[str, float]:
    at_least_two(n=n)
    dz = t / math.sqrt(n)
    g = float(hedges_j(n - 1, exact=exact_j)) * dz
    return {"g": g, "vi": 1 / n + g**2 / (2 * n), "dz": dz}


@formula("dz-from-t", equation=PAIRED, source=BORENSTEIN)
def dz_from_t(t: float, n: float, *, exact_j: bool = True) -> dict[str, float]:
    """Standardised mean change (by the change's own SD) from the paired t of n people."""
    return _within(t, n, exact_j)


@formula("dz-from-p", equation=f"t from p with n - 1 df; {PAIRED}", source=BORENSTEIN)
def dz_from_p(p: float, n: float, *, sign: Sign, exact_j: bool = True) -> dict[str, float]:
    """The same from the two-sided p of that t."""
    return _within(_t_of(p, n - 1, sign), n, exact_j)


@formula("r-from-t", equation="r = t / √(t² + df)", source=BORENSTEIN)
def r_from_t(t: float, df: float) -> dict[str, float]:
    """Correlation from its t with df = n - 2."""
    positive(df=df)
    return {"r": t / math.sqrt(t**2 + df)}


@formula("r-from-p", equation="t from p with n - 2 df; r = t / √(t² + n - 2)", source=BORENSTEIN)
def r_from_p(p: float, n: float, *, sign: Sign) -> dict[str, float]:
    """Correlation of n people from its two-sided p."""
    require(n >= 3, f"n = {n} is less than 3", remedy="check it against the paper")
    t = _t_of(p, n - 2, sign)
    return {"r": t / math.sqrt(t**2 + n - 2)}


@formula("d-from-log-or", equation="d = ln OR × √3/π, vi = var × 3/π²", source=CHINN)
def d_from_log_or(log_or: float, vi: float) -> dict[str, float]:
    """Standardised mean difference behind a log odds ratio, if the outcome is logistic."""
    positive(vi=vi)
    return {"d": log_or / LOGISTIC, "vi": vi / LOGISTIC**2}


@formula("log-or-from-d", equation="ln OR = d × π/√3, vi = var × π²/3", source=CHINN)
def log_or_from_d(d: float, vi: float) -> dict[str, float]:
    """Log odds ratio that a standardised mean difference implies, if the outcome is logistic."""
    positive(vi=vi)
    return {"log_or": d * LOGISTIC, "vi": vi * LOGISTIC**2}
