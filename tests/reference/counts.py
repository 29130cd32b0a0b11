"""Counts, GOSH and permutation tests against reference cases.

``judge`` gives a verdict on a case: "passed", "failed", or "differ" with the reason. Models for
counts differ by four rules:

- ``ll``: with quadrature in one direction the file holds the log-likelihood given the most likely
  random effects (lme4's ``deviance`` of a fitted model), which we call ``conditional_loglik``.
- ``se``, ``pval`` and ``QE_Wld`` under UM.RS: lme4 takes second derivatives by differences of 1e-4
  over an inner iteration that stops at 1e-7, which leaves them some parts in a thousand of noise.
  Ours must be stable when the step is changed threefold, and within one in a hundred of the file.
- ``QE_Wld`` under CM.EL: metafor again differentiates numerically. Ours must agree with scipy's
  distribution: its mean at our conditional estimates is the observed count, its variance the
  information.
- ``se`` and ``pval`` under CM.EL where tau2 goes to zero: metafor differentiates with respect to
  log tau2, on which nothing depends there (github.com/wviechtb/metafor/issues/45). Ours must have a
  log-likelihood at least as great, and the curvature at tau2 = 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from meta import mixture
from meta.binary import mantel_haenszel, peto
from meta.glmm import CountModel, glmm
from meta.gosh import gosh
from meta.measures import given
from meta.resampling import permutation_test
from tests.reference.metafor_cases import Case, gap

Answer = dict[str, Any]
NAN = math.nan
FUNCTIONS = ("rma.mh", "rma.peto", "rma.glmm", "gosh", "permutest")
TESTS = {"z": "Wald", "knha": "Knapp-Hartung", "adhoc": "ad hoc", "t": "t"}


def columns(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The raw data of a case under our names."""
    if "ai" in inputs:
        a, b, c, d = (inputs[name] for name in ("ai", "bi", "ci", "di"))
        return {"events_1": a, "total_1": a + b, "events_2": c, "total_2": c + d}
    if "x1i" in inputs:
        names = {"events_1": "x1i", "time_1": "t1i", "events_2": "x2i", "time_2": "t2i"}
    elif "ni" in inputs:
        names = {"events": "xi", "total": "ni"}
    else:
        names = {"events": "xi", "time": "ti"}
    return {ours: inputs[theirs] for ours, theirs in names.items()}


def choice(case: Case) -> dict[str, str]:
    method = case.arguments["method"]
    return {"model": "common"} if method in ("EE", "FE") else {"tau2": method}


def pooled(case: Case) -> Answer:
    """rma.mh and rma.peto."""
    if case.function == "rma.peto":
        found = peto(**columns(case.inputs))
    else:
        found = mantel_haenszel(case.arguments["measure"], **columns(case.inputs))
    answer = {
        "k": found.effects.k,
        "beta": found.estimate,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[0],
        "ci_ub": found.ci[1],
        "QE": found.q,
        "QEp": found.q_p,
        "I2": 100 * found.i2,
        "H2": found.h2,
    }
    for name, test in (("CMH", found.association), ("TA", found.homogeneity)):
        if test:
            answer |= {name: test.statistic, f"{name}p": test.p}
    return answer


def fitted(case: Case, **options: Any) -> CountModel:
    """rma.glmm; lme4 has Laplace's approximation alone where there are two random effects."""
    model = case.arguments.get("model", "")
    if model == "UM.RS":
        options = {"points": 1, **options}
    measure = case.arguments["measure"]
    return glmm(measure, model=model or "UM.FS", **options, **columns(case.inputs))


def of_counts(found: CountModel) -> Answer:
    marginal = found.model == "UM.RS" or (found.model, found.measure.key) == ("CM.EL", "OR")
    return {
        "beta": found.estimate,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[0],
        "ci_ub": found.ci[1],
        "tau2": found.tau2,
        "sigma2": NAN if found.sigma2 is None else found.sigma2,
        "QE_Wld": found.wald.statistic,
        "QE_LRT": found.likelihood_ratio.statistic,
        "ll": found.loglik if marginal else found.conditional_loglik,
    }


def subsets(case: Case) -> Answer:
    """gosh; rows sorted by size, then members."""
    found = gosh(given(case.inputs["yi"], case.inputs["vi"]), **choice(case))
    members = found.included.astype(int)
    order = np.lexsort((*(-members.T[::-1]), found.size))
    common = found.model == "common"
    return {
        "n_subsets": found.n,
        "incl": members[order],
        "QE": found.q[order],
        "I2": 100 * found.i2[order],
        "H2": found.h2[order],
        "tau2": NAN if common else found.tau2[order],
        "estimate": found.estimate[order],
    }


def permuted(case: Case) -> Answer:
    """permutest without moderators."""
    found = permutation_test(
        given(case.inputs["yi"], case.inputs["vi"]),
        test=TESTS[case.arguments["test"]],
        exact=case.arguments["exact"],
        **choice(case),
    )
    return {
        "pval": found.p,
        "n_perm": found.n,
        "zval_perm_sorted": np.sort(found.permuted[:, 0]),
    }


def judge(case: Case) -> tuple[str, str]:
    """Verdict ("passed", "differ" or "failed") on a case, with the reason."""
    model = fitted(case) if case.function == "rma.glmm" else None
    if model is not None:
        got = of_counts(model)
    else:
        answers = {"gosh": subsets, "permutest": permuted}
        got = answers.get(case.function, pooled)(case)
    distance = {
        name: gap(got[name], NAN if want is None else want, case.tol)
        for name, want in case.expected.items()
    }
    wrong = {name: far for name, far in distance.items() if not far <= 1}
    if not wrong:
        return "passed", ""
    if model is not None:
        reason = _reason(case, model, got, set(wrong))
        if reason:
            return "differ", reason
    return "failed", ", ".join(f"{name} ({far:.3g} tol)" for name, far in wrong.items())


def _reason(case: Case, found: CountModel, got: Answer, wrong: set[str]) -> str:
    if found.model == "UM.RS" and wrong <= {"se", "pval", "ci_lb", "ci_ub", "zval", "QE_Wld"}:
        near = all(
            abs(got[name] - case.expected[name]) <= 0.01 * abs(case.expected[name])
            for name in wrong & {"se", "QE_Wld"}
        )
        if near and _stable(case, found):
            return "second derivatives by differences over an unfinished inner iteration (lme4)"
    if (found.model, found.measure.key) == ("CM.EL", "OR"):
        if wrong == {"QE_Wld"} and _exact_wald(case, found):
            return "numerical second derivatives; ours agree with scipy's distribution"
        if wrong <= {"se", "pval", "zval", "ci_lb", "ci_ub"} and _at_zero(case, found):
            return "standard error where tau2 goes to zero (metafor issue 45)"
    return ""


def _stable(case: Case, found: CountModel) -> bool:
    """Whether our second derivatives stay when their step is changed."""
    step = mixture.DIFFERENCE
    try:
        mixture.DIFFERENCE = 3 * step
        other = fitted(case).se
    finally:
        mixture.DIFFERENCE = step
    return abs(other - found.se) <= 1e-4 * found.se


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
    t, weight = np.array(theta), np.array(w)
    mean = float(weight @ t) / float(weight.sum())
    exact = float(weight @ (t - mean) ** 2)
    return abs(exact - found.wald.statistic) <= 1e-6 * exact


def _at_zero(case: Case, found: CountModel) -> bool:
    """Whether ours is at least as likely, and its standard error that of a common effect."""
    if found.tau2 > 0 or found.loglik < case.expected["ll"]:
        return False
    a, n1, c, n2 = (
        case.inputs["ai"],
        case.inputs["ai"] + case.inputs["bi"],
        case.inputs["ci"],
        case.inputs["ci"] + case.inputs["di"],
    )
    ratio = math.exp(found.estimate)
    information = sum(
        float(stats.nchypergeom_fisher(int(m + n), int(m), int(x + y), ratio).var())
        for x, m, y, n in zip(a, n1, c, n2, strict=True)
    )
    return abs(found.se - information**-0.5) <= 1e-6 * found.se
