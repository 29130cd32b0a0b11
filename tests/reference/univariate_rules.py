"""Rules by which a univariate case may differ from its reference, each proving it for that case."""

from __future__ import annotations

import decimal
import itertools
import math
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.integrate import quad

from meta.bias import SmallSampleWarning, henmi_copas
from meta.influence import Influence, influence
from meta.measures import given
from meta.regression import regress
from tests.reference import exact
from tests.reference.exact import LIKELIHOODS, Data, floats, root, solve
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


def sixty_digits(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """The definitions in arithmetic of sixty digits: ours are right, the reference's are not.

    tau2 is the exact root of its estimating equation next to ours, or zero if the likelihood falls
    there; a likelihood must not be lower than at the reference's tau2. Every other number follows
    from it. Ours must be within half the tolerance, and at least twice as near as the reference's
    (which has NaN where a refit of metafor's did not converge).
    """
    answer = EXACT.get(case.function)
    if answer is None:
        return None
    with decimal.localcontext(exact.decimal_context):
        try:
            right = answer(case, got, set(wrong))
        except (ArithmeticError, ValueError):  # ours is no solution
            return None
    explained = set()
    for name in set(wrong) & set(right):
        ours = _distance(got[name], right[name], case.tol)
        theirs = _distance(case.expected[name], right[name], case.tol)
        if ours <= 0.5 and theirs >= 2 * ours:
            explained.add(name)
    return ("arithmetic of sixty digits gives ours", explained) if explained else None


def _distance(have: Any, right: Any, tol: Mapping[str, float]) -> float:
    have, right = (np.asarray(x, dtype=float).ravel() for x in (have, right))
    return gap(have, right, tol)


def _data(case: Case) -> Data:
    x = case.inputs["X"] if "mods" in case.arguments else None
    return Data.of(case.inputs["yi"], case.inputs["vi"], x, case.inputs.get("weights"))


def _as_likely(data: Data, method: str, ours: Decimal, theirs: Any) -> None:
    """Refuse a solution at which the likelihood is lower than at the reference's."""
    if method not in LIKELIHOODS or theirs is None:
        return
    here, there = (
        data.fit(t).loglik(restricted=method == "REML")
        for t in (ours, Decimal(max(float(theirs), 0.0)))
    )
    if here < there - Decimal("1e-25") * abs(there):
        raise ArithmeticError("the reference's tau2 is more likely")


def _exact_model(case: Case, got: Answer, wrong: set[str]) -> Answer:
    data, method, test = _data(case), case.arguments["method"], case.arguments["test"]
    if data.k <= data.p:
        return {}
    if method == "GENQM" and abs(_generalised_tail(case, got["tau2"]) - 0.5) > 1e-9:
        return {}
    without = 0.0
    if data.p > 1:
        effects = given(case.inputs["yi"], case.inputs["vi"])
        without = regress(effects, columns_of(case), **choice_of(case)).tau2_without
    right = exact.model(data, method, test, got["tau2"], without)
    _as_likely(data, method, Decimal(right["tau2"]), case.expected["tau2"])
    if "rstudent" in wrong:
        guess = got["tau2"], influence_of(case).tau2_deleted
        right["rstudent"] = exact.deleted(data, method, test, guess)["rstudent"]
    return right


def influence_of(case: Case) -> Influence:
    """Our diagnostics of a case."""
    x = case.inputs["X"] if "mods" in case.arguments else None
    return influence(given(case.inputs["yi"], case.inputs["vi"]), x, **choice_of(case))


def _exact_diagnostics(case: Case, got: Answer, wrong: set[str]) -> Answer:
    data, method = _data(case), case.arguments["method"]
    deleted = np.broadcast_to(np.nan_to_num(got["tau2_del"]), (data.k,))
    whole = regress(given(case.inputs["yi"], case.inputs["vi"]), **choice_of(case)).tau2
    right = exact.deleted(data, method, "z", (whole, deleted))
    return right | {"dfbs": right["dfbs"][:, 0]}


def _exact_shrunken(case: Case, got: Answer, wrong: set[str]) -> Answer:
    effects = given(case.inputs["yi"], case.inputs["vi"])
    guess = regress(effects, **choice_of(case)).tau2
    return exact.model(_data(case), case.arguments["method"], "z", guess, 0.0)


def _exact_interval(case: Case, got: Answer, wrong: set[str]) -> Answer:
    data, method, kind = _data(case), case.arguments["method"], case.arguments["type"]
    if kind not in ("QP", "PL"):
        return {}
    t = solve(data, method, float(got["tau2"][0]))
    _as_likely(data, method, t, case.expected["tau2"][0])
    limits = []
    for guess, tail in zip(got["tau2"][1:], (0.025, 0.975), strict=True):
        if kind == "QP":
            target = Decimal(float(special.chdtri(data.k - data.p, tail)))

            def f(at: Decimal, target: Decimal = target) -> Decimal:
                return data.fit(at).rss - target
        else:
            restricted = method == "REML"
            drop = Decimal(float(special.chdtri(1, 0.05))) / 2
            floor = data.fit(t).loglik(restricted=restricted) - drop

            def f(at: Decimal, floor: Decimal = floor, restricted: bool = restricted) -> Decimal:
                return data.fit(at).loglik(restricted=restricted) - floor

        at_zero = f(Decimal(0))
        # Q falls, so that one which starts below the quantile has its limit at zero.
        outside = at_zero <= 0 if kind == "QP" else tail == 0.025 and at_zero >= 0
        limits.append(Decimal(0) if outside else root(f, float(guess)))
    values = [t, *limits]
    typical = (data.k - data.p) / data.fit(Decimal(0)).trace
    return {
        "tau2": floats(values),
        "tau": floats(value.sqrt() for value in values),
        "I2": floats(100 * value / (value + typical) for value in values),
        "H2": floats(1 + value / typical for value in values),
    }


def _exact_comparison(case: Case, got: Answer, wrong: set[str]) -> Answer:
    data = _data(case)
    found = regress(
        given(case.inputs["yi"], case.inputs["vi"]), columns_of(case), **choice_of(case)
    )
    full = solve(data, "ML", found.tau2)
    null = solve(data.null(), "ML", found.tau2_without)
    high = data.fit(full).loglik(restricted=False)
    low = data.null().fit(null).loglik(restricted=False)
    return {
        "LRT": float(2 * (high - low)),
        "pval": float(special.chdtrc(data.p - 1, float(2 * (high - low)))),
        "R2": float(100 * max(Decimal(0), (null - full) / null)) if null > 0 else 0.0,
        "ll_full": float(high),
        "ll_reduced": float(low),
    }


def _exact_refits(case: Case, got: Answer, wrong: set[str]) -> Answer:
    """leave1out and cumul: a model for each row."""
    data, method = _data(case), case.arguments["method"]
    k = data.k
    if case.function == "leave1out":
        members = [[j for j in range(k) if j != i] for i in range(k)]
    else:
        members = [list(range(i)) for i in range(2, k + 1)]
    rows = []
    for i, keep in enumerate(members):
        part = data.rows(keep)
        rows.append(exact.model(part, method, "z", float(np.atleast_1d(got["tau2"])[i]), 0.0))
        theirs = case.expected["tau2"]
        _as_likely(part, method, Decimal(rows[-1]["tau2"]), theirs and np.atleast_1d(theirs)[i])
    names = {"estimate": "beta", "Q": "QE", "Qp": "QEp"}
    return {
        name: np.array([np.ravel(row[names.get(name, name)])[0] for row in rows])
        for name in case.expected
    }


def _exact_asymmetry(case: Case, got: Answer, wrong: set[str]) -> Answer:
    a, inputs = case.arguments, case.inputs
    predictor = {
        "sei": lambda: np.sqrt(inputs["vi"]),
        "vi": lambda: inputs["vi"],
        "ni": lambda: inputs["ni"],
        "ninv": lambda: 1 / inputs["ni"],
        "sqrtni": lambda: np.sqrt(inputs["ni"]),
        "sqrtninv": lambda: 1 / np.sqrt(inputs["ni"]),
    }[a["predictor"]]()
    x = np.column_stack((np.ones(len(predictor)), predictor))
    data = Data.of(inputs["yi"], inputs["vi"], x)
    if a["model"] == "lm":  # weighted least squares with its own residual variance
        right = exact.model(data, "FE", "knha", 0.0, 0.0)
    else:
        choice = choice_of(case)
        found = regress(given(inputs["yi"], inputs["vi"]), {"predictor": predictor}, **choice)
        right = exact.model(data, a["method"], a["test"], found.tau2, found.tau2_without)
    slope = {"zval": right["zval"][1], "pval": right["pval"][1], "dfs": right["ddf"]}
    if a["predictor"] in ("ni", "sqrtni"):
        return slope
    limit = {"est": right["beta"][0], "ci_lb": right["ci_lb"][0], "ci_ub": right["ci_ub"][0]}
    return slope | limit


EXACT: dict[str, Callable[[Case, Answer, set[str]], Answer]] = {
    "rma.uni": _exact_model,
    "confint.rma.uni": _exact_interval,
    "anova.rma": _exact_comparison,
    "influence": _exact_diagnostics,
    "rstandard_blup_ranef": _exact_shrunken,
    "leave1out": _exact_refits,
    "cumul": _exact_refits,
    "regtest": _exact_asymmetry,
}


def generalised_limit(case: Case, got: Answer, wrong: Mapping[str, float]) -> Reason:
    """An integral over eigenvalues: the tail is right at our limits, and not at theirs."""
    if case.function != "confint.rma.uni" or case.arguments["type"] != "GENQ":
        return None
    worst = [0.0, 0.0]
    for j, target in enumerate((0.025, 0.975), start=1):
        for i, answer in enumerate((got, case.expected)):
            t = float(answer["tau2"][j])
            tail = _generalised_tail(case, t)
            if t > 0 or tail < target:  # else zero is the limit
                worst[i] = max(worst[i], abs(tail - target))
    ours, theirs = worst
    if ours < 1e-9 and ours < theirs / 10:
        return "integral over eigenvalues: the reference limits are not converged", set(wrong)
    return None


def _generalised_tail(case: Case, t: float) -> float:
    """P(generalised Q >= the observed one) if tau2 is t."""
    v, a = case.inputs["vi"], case.inputs["weights"]
    y = case.inputs["yi"] - case.inputs["yi"][0]
    projection = np.diag(a) - np.outer(a, a) / a.sum()
    q = float(a @ (y - a @ y / a.sum()) ** 2)
    sd = np.sqrt(v + t)
    return upper_tail(q, np.linalg.eigvalsh(sd[:, None] * projection * sd)[1:])  # one is zero


MANY = 15  # terms from which Imhof's integrand falls fast, and Talbot's grows large on its way


def upper_tail(q: float, values: Array) -> float:
    """P(sum of values times chi-squared(1) >= q), by the integral that suits their number."""
    return imhof(q, values) if len(values) >= MANY else talbot(q, values)


def talbot(q: float, values: Array, nodes: int = 40) -> float:
    """The same from its Laplace transform, along a contour round the branch cut.

    Talbot's contour with the parameters of Weideman (2006, SIAM J Numer Anal 44:2342-2362).
    """
    theta = (2 * np.arange(nodes) + 1) * np.pi / nodes - np.pi
    turn = 0.6407 * theta
    z = nodes * (0.5017 * theta / np.tan(turn) - 0.6122 + 0.2645j * theta)
    slope = nodes * (-0.5017 * turn / np.sin(turn) ** 2 + 0.5017 / np.tan(turn) + 0.2645j)
    transform = np.prod(1 / np.sqrt(1 + 2 * np.outer(values, z / q)), axis=0) / z
    return float(1 - (np.exp(z) * slope * transform).imag.sum() / nodes)


def imhof(q: float, values: Array) -> float:
    """The same by Imhof (1961, Biometrika 48:419-426), with adaptive quadrature."""

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
    coverage = henmi_copas_coverage(effects.vi, found.tau2)
    high = float(np.ravel(case.expected["ci_ub"])[0])
    ours = abs(coverage(found.critical) - 0.95)
    theirs = abs(coverage((high - found.estimate) / found.se) - 0.95)
    if ours < 1e-10 and ours < theirs / 1000:
        return "quadrature: the reference's critical value is not converged", {"ci_lb", "ci_ub"}
    return None


def henmi_copas_coverage(vi: Array, tau2: float) -> Callable[[float], float]:
    """P(|estimate - truth| <= t se) by Henmi and Copas (2010), as they define it."""
    v = vi.astype(np.longdouble)
    w = 1 / v
    s1, s2 = w.sum(), w @ w
    spread = np.diag(v + tau2)
    a = w / s1
    form = np.diag(w) - np.outer(w, w) / s1
    variance = a @ spread @ a
    b = spread @ a / variance
    rest = spread - variance * np.outer(b, b)
    product = form @ rest
    bend, first = b @ form @ b, np.trace(product)
    second, mixed = np.trace(product @ product), b @ form @ rest @ form @ b

    def coverage(t: float) -> float:
        def integrand(r: float) -> float:
            moved = r * r * variance
            mean = moved * bend + first
            var = 2 * second + 4 * moved * mixed
            needed = len(v) - 1 + (s1 - s2 / s1) * (moved * s1 * s1 / t**2 - s1) / s2
            shape, scale = float(mean * mean / var), float(var / mean)
            tail = stats.gamma.sf(float(needed), shape, scale=scale)
            return float(tail * stats.norm.pdf(r))

        kink = float(t / np.sqrt(s1 * variance))
        cuts = np.unique(np.append(np.minimum(kink * 2.0 ** np.arange(60), kink + 12), kink + 12))
        area = sum(
            quad(integrand, low, high, epsabs=1e-14, epsrel=1e-12, limit=400)[0]
            for low, high in itertools.pairwise(cuts)
        )
        return float(1 - 2 * stats.norm.sf(kink) + 2 * area)

    return coverage


RULES = (sixty_digits, generalised_limit, henmi_copas_root)
