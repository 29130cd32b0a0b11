"""Pooled effects adjusted for small-study effects: trim and fill, Henmi and Copas's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.caution import caution
from meta.errors import InputError, UnknownName
from meta.fitting import Fit, check_level, fit, method_of
from meta.pooling import pool
from meta.present import Presented, show, studies
from meta.results import Effects, PooledEffect
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True, eq=False)  # holds results with arrays
class TrimFill(Presented):
    """Pooled effect after the studies that asymmetry suggests are missing were filled in."""

    k0: int  # studies filled in
    k0_se: float
    estimator: str
    side: str  # where studies are missing: "left" or "right"
    filled: PooledEffect  # over all studies and those filled in
    observed: PooledEffect
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for the studies as they are, and one for them with those filled in."""
        return [
            {
                "studies": name,
                "k": found.effects.k,
                "estimate": found.estimate,
                "ci_low": found.ci[0],
                "ci_high": found.ci[1],
                "tau2": found.tau2,
                "i2": found.i2,
            }
            for name, found in (("observed", self.observed), ("filled", self.filled))
        ]

    def summary(self) -> str:
        """Three lines: studies filled in, the effect without and with them."""
        filled = f"{studies(self.k0)} filled in on the {self.side}"
        return (
            f"Trim and fill ({self.estimator}): {filled}\n"
            f"Observed: {self.observed.summary()}\nFilled: {self.filled.summary()}"
        )


def trim_and_fill(
    effects: Effects,
    *,
    estimator: str = "L0",
    side: str = "auto",
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
) -> TrimFill:
    """Trim the extreme studies until the rest are symmetric, then fill in their mirror images.

    Parameters
    ----------
    estimator : {"L0", "R0", "Q0"}
        Of the number of missing studies: from the signed rank sum (linear, quadratic), or from the
        longest run of one-sided ranks.
    side : {"auto", "left", "right"}
        Where studies are missing; "auto" looks at the sign of the slope on the standard error.

    Notes
    -----
    Filled studies are named ``filled 1``, ... and lie at the end of ``filled.effects``.

    Not to be used below ten studies, nor as the main estimate: it takes all asymmetry for
    suppression by effect size, and under heterogeneity it fills studies in that never were (Terrin
    et al. 2003, Stat Med 22:2113-2126; Peters et al. 2007, Stat Med 26:4544-4562).

    References
    ----------
    Duval and Tweedie (2000), JASA 95:89-98; (2000), Biometrics 56:455-463.
    """
    notes = caution(effects, "trim and fill", least=3)
    if estimator not in ("L0", "R0", "Q0"):
        raise UnknownName("estimator of missing studies", estimator, ("L0", "R0", "Q0"))
    if side not in ("auto", "left", "right"):
        raise UnknownName("side", side, ("auto", "left", "right"))
    method = method_of(model, tau2)
    observed = pool(effects, model=model, tau2=tau2, ci=ci, level=level)
    if side == "auto":
        x = np.stack((np.ones(effects.k), np.sqrt(effects.vi)), axis=1)
        try:
            slope = float(fit(effects.yi, effects.vi, x, tau2=method).beta[1])
        except InputError:
            raise InputError(
                "all studies have the same precision, so that no side can be told",
                remedy='give side="left" or "right"',
            ) from None
        side = "right" if slope < 0 else "left"
    # Work as if small effects were missing; mirror the other case.
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * effects.yi, kind="stable")
    y, v = sign * effects.yi[order], effects.vi[order]
    k0, centre, se = _missing(y, v, estimator, method)
    k = effects.k
    filled = effects
    if k0:
        extreme = np.arange(k - k0, k)
        mirrored = sign * (2 * centre - y[extreme])
        labels = tuple(f"filled {j + 1}" for j in range(k0))
        filled = Effects(
            effects.measure,
            effects.study + labels,
            np.concatenate((effects.yi, mirrored)),
            np.concatenate((effects.vi, v[extreme])),
            effects.cluster + labels,
            (*effects.notes, f"{k0} studies filled in on the {side}"),
        )
    pooled = pool(filled, model=model, tau2=tau2, ci=ci, level=level)
    return TrimFill(k0, se, estimator, side, pooled, observed, notes)


def _missing(y: Array, v: Array, estimator: str, method: str) -> tuple[int, float, float]:
    """Studies missing on the left of ascending effects: count, centre, its standard error."""
    k = len(y)
    k0, se = 0, NAN
    seen: list[int] = []
    while True:
        centre = float(fit(y[: k - k0], v[: k - k0], tau2=method).beta[0])
        about = y - centre
        ranks = np.empty(k)
        ranks[np.argsort(np.abs(about), kind="stable")] = np.arange(1, k + 1)
        signed = np.sign(about) * ranks
        upper = float(signed[signed > 0].sum())
        if estimator == "R0":
            raw = k + float(signed.min()) - 1  # the highest ranks that are all on the right
        elif estimator == "L0":
            raw = (4 * upper - k * (k + 1)) / (2 * k - 1)
        else:
            inside = 2 * k * k - 4 * upper + 0.25
            if inside < 0:
                raise InputError("Q0 is undefined for these effects", remedy='use "L0" or "R0"')
            raw = k - 0.5 - math.sqrt(inside)
        seen.append(k0)
        following = max(0, round(raw))
        se = _missing_se(k, raw, estimator)
        if following in seen:  # settled, or going round in circles
            return following, centre, se
        if k - following < 1:
            raise InputError("trimming would leave no study", remedy='use "L0" or "R0"')
        k0 = following


def _missing_se(k: int, k0: float, estimator: str) -> float:
    """Large-sample standard error of the number of missing studies (Duval and Tweedie 2000)."""
    if estimator == "R0":
        return math.sqrt(2 * max(k0, 0.0) + 2)
    variance = (
        k * (k + 1) * (2 * k + 1)
        + 10 * k0**3
        + 27 * k0**2
        + 17 * k0
        - 18 * k * k0**2
        - 18 * k * k0
        + 6 * k**2 * k0
    ) / 24
    if estimator == "L0":
        return 4 * _root(variance) / (2 * k - 1)
    return 2 * _root(variance) / _root((k - 0.5) ** 2 - k0 * (2 * k - k0 - 1))


def _root(x: float) -> float:
    """Square root; NaN where a large-sample variance comes out negative."""
    return math.sqrt(x) if x >= 0 else NAN


@dataclass(frozen=True, slots=True)
class HenmiCopas(Presented):
    """Common-effect estimate with an interval that allows for heterogeneity."""

    estimate: float
    se: float
    ci: tuple[float, float]
    critical: float  # multiple of the standard error
    tau2: float  # DerSimonian-Laird
    level: float
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: the common-effect estimate with its interval."""
        low, high = self.ci
        return (
            f"Henmi-Copas: {show(self.estimate, 3)} ({self.level:.0%} CI {show(low, 3)} to "
            f"{show(high, 3)}), τ² = {show(self.tau2, 3)} (DL)"
        )


NODES = 200  # Gauss-Legendre; the integrand is smooth on either side of its one kink


def henmi_copas(effects: Effects, *, level: float = 0.95) -> HenmiCopas:
    """Interval round the common-effect estimate, which gives small studies little weight.

    The standard error holds the DerSimonian-Laird tau2. Given the estimate, Q is a quadratic form
    in normal variables; its distribution is approximated by a gamma of the same conditional mean
    and variance, and the critical value follows by integration over the estimate.

    Notes
    -----
    It guards against small-study effects by weighting, and does not test for or remove them. Not
    to be used where large studies estimate something else than small ones; with few studies its
    heterogeneity, as any, is poorly known.

    References
    ----------
    Henmi and Copas (2010), Stat Med 29:2969-2983, sect. 3.
    """
    from scipy.optimize import brentq

    notes = caution(effects, "the Henmi-Copas interval", least=2)
    check_level(level)
    found = fit(effects.yi, effects.vi, tau2="DL")
    common = fit(effects.yi, effects.vi, tau2="EE")
    coverage = _coverage(effects.vi, found)
    high = 2.0
    while coverage(high) < level:
        high *= 2
    critical = float(brentq(lambda t: coverage(t) - level, high / 1e3, high, xtol=1e-13))
    w = 1 / effects.vi
    s1, s2 = float(w.sum()), float(w @ w)
    se = math.sqrt(1 + found.tau2.value * s2 / s1) / math.sqrt(s1)
    mid = float(common.beta[0])
    half = critical * se
    return HenmiCopas(mid, se, (mid - half, mid + half), critical, found.tau2.value, level, notes)


def _coverage(v: Array, found: Fit) -> Any:
    """P(|estimate - truth| <= t se) as a function of t, at the estimated tau2.

    With x = effect errors, var x = S = diag(v + tau2), estimate error a'x with a = w/sum(w), and
    Q = x'Ax: given a'x = r sd, x has mean b r sd, b = Sa/sd^2, and covariance C = S - sd^2 bb'.
    Hence E Q = (r sd)^2 b'Ab + tr(AC) and var Q = 2 tr(ACAC) + 4 (r sd)^2 b'ACAb.

    Q depends on differences alone. They are taken from the study of greatest weight, which would
    otherwise cancel all digits where it dominates: with z = x - x_d, p = a (v + tau2) and sums over
    the others, A is diag(w) - ww'/sum(w) still, b = (p - p_d)/sd^2, and C = diag(v + tau2) + UMU'
    with U = (1, p).
    """
    k, tau2 = len(v), found.tau2.value
    w = 1 / v
    s1, s2 = float(w.sum()), float(w @ w)
    spread = v + tau2
    d = int(w.argmax())
    a = w / s1
    rest = np.arange(k) != d
    products = a * spread
    variance = float(a @ products)
    p, p_d = products[rest], float(products[d])
    b = (p - p_d) / variance
    u = np.stack((np.ones(k - 1), p), axis=1)
    own = float(spread[d]) * float(a[rest] @ p) / variance  # (v + tau2)_d - p_d^2/sd^2
    m = np.array([[own, p_d / variance], [p_d / variance, -1 / variance]])
    w_z, s_z = w[rest], spread[rest]

    def times_a(x: Array) -> Array:  # A x
        return np.asarray((w_z * x.T).T - np.multiply.outer(w_z, w_z @ x) / s1)

    def times_c(x: Array) -> Array:  # C x
        return np.asarray(s_z * x + u @ (m @ (u.T @ x)))

    ab, au = times_a(b), times_a(u)
    bab = float(b @ ab)
    bacab = float(ab @ times_c(ab))
    inner = m @ (u.T @ au)
    diagonal = w_z * s_z * (1 - w_z / s1)
    cross = w_z * w_z * s_z / s1
    trace_asas = float(diagonal @ diagonal) + float(cross.sum()) ** 2 - float(cross @ cross)
    trace_ac = float(diagonal.sum()) + float(np.trace(inner))
    trace_acac = trace_asas + float(np.trace(inner @ inner))
    trace_acac += 2 * float(np.trace(m @ (au.T @ (s_z[:, None] * au))))
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    reach = 40.0  # beyond any normal deviate that has a density

    def coverage(t: float) -> float:
        # While the estimate is within the shortest possible interval, it is covered for certain.
        kink = t * math.sqrt(1 / (s1 * variance))
        inside = 1 - 2 * float(special.ndtr(-kink))
        top = min(max(kink, 9.0) + 3.0, reach)
        # The tail changes with r/kink, the density with r: panels that double do for both.
        edges = kink * 2.0 ** np.arange(max(1, math.ceil(math.log2(top / kink))))
        widths = np.diff(np.append(edges, top))
        r = edges[:, None] + widths[:, None] * (nodes + 1) / 2
        moved = r * r * variance
        mean = moved * bab + trace_ac
        var = 2 * trace_acac + 4 * moved * bacab
        needed_tau2 = (moved * s1 * s1 / t**2 - s1) / s2
        needed_q = (k - 1) + (s1 - s2 / s1) * needed_tau2
        tail = special.gammaincc(mean * mean / var, needed_q * mean / var)
        density = np.exp(-0.5 * r * r) / math.sqrt(2 * math.pi)
        outside = float(widths @ ((tail * density) @ node_weights)) / 2
        return inside + 2 * outside

    return coverage
