"""Counts, GOSH and permutation tests against reference cases.

``judge`` gives a verdict on a case: "passed", "failed", or "differ" with the reason. Models for
counts may differ by the rules of ``tests/reference/count_rules.py``. With quadrature in one
direction the file holds as ``ll`` the log-likelihood given the most likely random effects (lme4's
``deviance`` of a fitted model), which we call ``conditional_loglik``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from meta.binary import mantel_haenszel, peto
from meta.glmm import CountModel, glmm
from meta.gosh import gosh
from meta.measures import given
from meta.resampling import permutation_test
from tests.reference.count_rules import points_of, reason
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
    """rma.glmm."""
    model, measure = case.arguments.get("model", ""), case.arguments["measure"]
    options = {"points": points_of(case), **options}
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
        name: gap(got.get(name, NAN), NAN if want is None else want, case.tol)
        for name, want in case.expected.items()
    }
    wrong = {name: far for name, far in distance.items() if not far <= 1}
    if not wrong:
        return "passed", ""
    if model is not None:
        told = reason(case, model, columns(case.inputs), set(wrong), lambda: fitted(case))
        if told:
            return "differ", told
    return "failed", ", ".join(f"{name} ({far:.3g} tol)" for name, far in wrong.items())
