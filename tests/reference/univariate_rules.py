"""Rules by which a univariate case may differ from its reference, each proving it for that case."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.integrate import quad

from meta.bias import SmallSampleWarning, henmi_copas
from meta.measures import given
from meta.regression import regress
from tests.reference.metafor_cases import Case, gap

Array = NDArray[np.float64]
Answer = dict[str, Any]


def choice_of(case: Case) -> dict[str, Any]:
    """metafor's method as our model and tau2."""
    method = case.arguments["method"]
    if method in ("FE", "EE"):
        return {"model": "common"}
    return {"model": "random", "tau2": method}


def columns_of(case: Case) -> dict[str, Array]:
    """The moderators of a case by name, without the intercept."""
    x = case.inputs["X"]
    return {name: x[:, j] for j, name in enumerate(case.inputs["X_names"]) if j}


# Rules. Each gives a reason and the names that it explains, or None.

Reason = tuple[str, set[str]] | None
REFITS = {"rstudent", "dffits", "cook_d", "cov_r", "tau2_del", "QE_del", "dfbs", "is_infl"}


def stuck_refits(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """metafor gives NA where its Fisher scoring did not converge; the rest must agree."""
    explained = set()
    for name in REFITS & set(wrong):
        want = np.asarray(case.expected[name], dtype=float)
        have = np.asarray(got[name], dtype=float)
        known = ~np.isnan(want)
        if case.arguments.get("method") == "REML" and gap(have[known], want[known], case.tol) <= 1:
            explained.add(name)
    return ("metafor's refits without a study did not converge", explained) if explained else None


def root_of_zero(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """A tau2 of zero comes as about 1e-16; its square root is beyond the tolerance."""
    explained = set()
    for name in {"tau", "ranef_se"} & set(wrong):
        want = np.asarray(case.expected[name], dtype=float)
        have = np.asarray(got[name], dtype=float)
        small = want**2 <= case.tol["atol"]
        fine = (have[small] ** 2 <= case.tol["atol"]).all()
        if fine and gap(have[~small], want[~small], case.tol) <= 1:
            explained.add(name)
    return ("tau2 is zero; the reference has about 1e-16", explained) if explained else None


def r2_of_zero(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """R2 of a tau2 that is zero without moderators: the reference divides two roundings."""
    if "R2" not in wrong or case.function not in ("rma.uni", "anova.rma"):
        return None
    found = regress(
        given(case.inputs["yi"], case.inputs["vi"]), columns_of(case), **choice_of(case)
    )
    if found.tau2_without == 0 and found.tau2 == 0:
        return "tau2 is zero with and without moderators", {"R2"}
    return None


def exact_design(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """Rational arithmetic on the given numbers: we are nearer than metafor's explicit inverses."""
    if "mods" not in case.arguments or case.function not in ("rma.uni", "confint.rma.uni"):
        return None
    y = [Fraction(float(a)) for a in case.inputs["yi"]]
    v = [Fraction(float(a)) for a in case.inputs["vi"]]
    x = [[Fraction(float(a)) for a in row] for row in case.inputs["X"]]
    free = len(y) - len(x[0])

    def miss(tau2: float) -> float:
        """How far tau2 is from solving its estimating equation, exactly."""
        method = case.arguments["method"]
        t = Fraction(float(tau2))
        if method in ("DL", "HS"):
            rss, trace, *_ = _exact(y, v, x, Fraction(0))
            total = sum(1 / a for a in v)
            if method == "HS":
                return abs(float(rss - len(y) - t * total)) / float(total)
            return abs(float(rss - free - t * trace)) / float(trace)
        rss, trace, ypp, _ = _exact(y, v, x, t)
        if method == "REML":
            return abs(float(ypp - trace))
        return 0.0

    if case.function == "confint.rma.uni":
        ours, theirs = got["tau2"][0], case.expected["tau2"][0]
        limits = np.asarray(got["tau2"])[1:], np.asarray(case.expected["tau2"], dtype=float)[1:]
        if miss(ours) < miss(theirs) and gap(*limits, case.tol) <= 1:
            return "rational arithmetic: the reference tau2 is not at the optimum", set(wrong)
        return None
    ours, theirs = got["tau2"], case.expected["tau2"]
    if miss(ours) > miss(theirs):
        return None
    q, *_ = _exact(y, v, x, Fraction(0))
    if abs(got["QE"] - float(q)) > abs(case.expected["QE"] - float(q)):
        return None
    *_, at_ours = _exact(y, v, x, Fraction(float(ours)))
    *_, at_theirs = _exact(y, v, x, Fraction(float(theirs)))
    se = np.asarray(case.expected["se"])
    far = np.abs(got["beta"] - at_ours) / se
    theirs_far = np.abs(np.asarray(case.expected["beta"]) - at_theirs) / se
    if far.max() > max(theirs_far.max(), 1e-12):
        return None
    # What follows from these moves little; where a refit of metafor's gave NA there is nothing.
    loose = {"rtol": 1e-4, "atol": 1e-4}
    for name in wrong:
        want = np.asarray(case.expected[name], dtype=float).ravel()
        known = ~np.isnan(want) if name in REFITS else np.ones(want.shape, dtype=bool)
        if gap(np.asarray(got[name], dtype=float).ravel()[known], want[known], loose) > 1:
            break
    else:
        return "rational arithmetic: the reference lost digits on this design", set(wrong)
    return None


def _exact(
    y: list[Fraction], v: list[Fraction], x: list[list[Fraction]], t: Fraction
) -> tuple[Fraction, Fraction, Fraction, Array]:
    """y'Py, tr P, y'PPy and coefficients without any rounding until the end."""
    k, p = len(y), len(x[0])
    w = [1 / (a + t) for a in v]
    rows = [
        [sum((w[i] * x[i][a] * x[i][b] for i in range(k)), Fraction(0)) for b in range(p)]
        + [Fraction(int(a == b)) for b in range(p)]
        for a in range(p)
    ]
    for i in range(p):
        pivot = next(j for j in range(i, p) if rows[j][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [a / rows[i][i] for a in rows[i]]
        for j in range(p):
            if j != i:
                factor = rows[j][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    inverse = [row[p:] for row in rows]
    xwy = [sum((w[i] * x[i][a] * y[i] for i in range(k)), Fraction(0)) for a in range(p)]
    beta = [sum((inverse[a][b] * xwy[b] for b in range(p)), Fraction(0)) for a in range(p)]
    rss = trace = ypp = Fraction(0)
    for i in range(k):
        e = y[i] - sum((x[i][a] * beta[a] for a in range(p)), Fraction(0))
        lever = sum(
            (x[i][a] * inverse[a][b] * x[i][b] for a in range(p) for b in range(p)), Fraction(0)
        )
        rss += w[i] * e * e
        ypp += (w[i] * e) ** 2
        trace += w[i] * (1 - w[i] * lever)
    return rss, trace, ypp, np.array([float(b) for b in beta])


def exact_likelihood(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """Residuals in rational arithmetic: a large offset costs the reference digits, not us."""
    names = {"ll", "dev", "AIC", "AICc", "BIC"}
    if case.function != "rma.uni" or not set(wrong) <= names or "weights" not in case.inputs:
        return None
    y, v, w = ([Fraction(float(a)) for a in case.inputs[name]] for name in ("yi", "vi", "weights"))
    t = Fraction(float(got["tau2"]))
    centre = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
    rss = sum((a - centre) ** 2 / (b + t) for a, b in zip(y, v, strict=True))
    logs = math.fsum(math.log(2 * math.pi * float(b + t)) for b in v)
    exact = -0.5 * (logs + float(rss))
    if abs(got["ll"] - exact) < abs(case.expected["ll"] - exact) / 10:
        return "rational arithmetic: the reference lost digits to the offset", names
    return None


def capped_limit(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """Q at our Q-profile limits is the chi-squared quantile; at the reference's it is not."""
    if case.function != "confint.rma.uni" or case.arguments["type"] != "QP":
        return None
    y, v = case.inputs["yi"], case.inputs["vi"]
    df = len(y) - 1

    def miss(limits: Any) -> float:
        targets = special.chdtri(df, [0.025, 0.975])
        return max(abs(_q(y, v, t) - c) / c for t, c in zip(limits, targets, strict=True) if t > 0)

    if "mods" in case.arguments or not miss(got["tau2"][1:]) < 1e-9 < miss(
        case.expected["tau2"][1:]
    ):
        return None
    return "metafor's search for the upper limit ended at its ceiling", set(wrong)


def _q(y: Array, v: Array, t: float) -> float:
    w = 1 / (v + t)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def generalised_limit(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """Imhof's integral over eigenvalues: the tail is right at our limits, and not at theirs."""
    if case.function != "confint.rma.uni" or case.arguments["type"] != "GENQ":
        return None
    y, v, a = case.inputs["yi"], case.inputs["vi"], case.inputs["weights"]
    projection = np.diag(a) - np.outer(a, a) / a.sum()
    q = float(y @ projection @ y)

    def miss(limits: Any) -> float:
        worst = 0.0
        for t, target in zip(limits, (0.025, 0.975), strict=True):
            if t == 0:
                continue
            sd = np.sqrt(v + t)
            values = np.linalg.eigvalsh(sd[:, None] * projection * sd)
            worst = max(worst, abs(imhof(q, values[values > 1e-12 * values.max()]) - target))
        return worst

    ours, theirs = miss(got["tau2"][1:]), miss(case.expected["tau2"][1:])
    if ours < 1e-9 and ours < theirs / 10:
        return "Imhof's integral: the reference limits are not converged", set(wrong)
    return None


def imhof(q: float, values: Array) -> float:
    """P(sum of values times chi-squared(1) >= q) by Imhof (1961), with adaptive quadrature."""

    def integrand(u: float) -> float:
        angle = 0.5 * np.arctan(values * u).sum() - 0.5 * q * u
        return float(np.sin(angle) / (u * np.exp(0.25 * np.log1p(values**2 * u**2).sum())))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quad complains when it nears its own limits
        area = quad(integrand, 0, np.inf, limit=2000, epsabs=1e-12, epsrel=1e-12)[0]
    return 0.5 + area / math.pi


def henmi_copas_root(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """Coverage by dense matrices and adaptive quadrature: ours is 95%, the reference's is not."""
    if case.function != "hc":
        return None
    effects = given(case.inputs["yi"], case.inputs["vi"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        found = henmi_copas(effects)
    v, tau2 = effects.vi, found.tau2
    w = 1 / v
    s1, s2 = w.sum(), w @ w
    spread = np.diag(v + tau2)
    a = w / s1
    form = np.diag(w) - np.outer(w, w) / s1
    variance = float(a @ spread @ a)
    b = spread @ a / variance
    rest = spread - variance * np.outer(b, b)
    product = form @ rest

    def coverage(t: float) -> float:
        def integrand(r: float) -> float:
            moved = r * r * variance
            mean = moved * b @ form @ b + np.trace(product)
            var = 2 * np.trace(product @ product) + 4 * moved * b @ form @ rest @ form @ b
            needed = len(v) - 1 + (s1 - s2 / s1) * (moved * s1 * s1 / t**2 - s1) / s2
            tail = stats.gamma.sf(needed, mean * mean / var, scale=var / mean)
            return float(tail * stats.norm.pdf(r))

        kink = t / math.sqrt(s1 * variance)
        area = quad(integrand, kink, kink + 12, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
        return float(1 - 2 * stats.norm.sf(kink) + 2 * area)

    high = float(np.ravel(case.expected["ci_ub"])[0])
    ours = abs(coverage(found.critical) - 0.95)
    theirs = abs(coverage((high - found.estimate) / found.se) - 0.95)
    if ours < 1e-11 and ours < theirs / 1000:
        return "quadrature: the reference's critical value is not converged", {"ci_lb", "ci_ub"}
    return None


RULES = (
    stuck_refits,
    root_of_zero,
    r2_of_zero,
    exact_design,
    exact_likelihood,
    capped_limit,
    generalised_limit,
    henmi_copas_root,
)
