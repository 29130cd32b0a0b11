"""Cluster-robust inference against reference cases of metafor, clubSandwich and robumeta.

``judge`` gives a verdict on a case. Three-level cases hold the variance components, so that the
working covariance is built here and no optimiser takes part; ``model`` names a univariate one that
is fitted. Nothing may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.robust import RobustResult, robust
from meta.dependent.working import Working
from meta.dependent.working_models import correlated_effects, hierarchical_effects
from meta.measures import given
from meta.regression import regress
from meta.results import Effects
from tests.reference.metafor_cases import Case, gap

Array = NDArray[np.float64]
Answer = dict[str, Any]
NAN = np.nan
FUNCTIONS = ("robust", "clubSandwich.vcovCR", "robumeta.robu")


def design(inputs: Mapping[str, Any]) -> tuple[Array, tuple[str, ...]]:
    """The design with its intercept column, and names."""
    x = np.asarray(inputs["X"], dtype=float).reshape(len(inputs["yi"]), -1)
    return x, ("intercept", *(f"x{j}" for j in range(1, x.shape[1])))


def effects_of(inputs: Mapping[str, Any]) -> Effects:
    return given(inputs["yi"], inputs["vi"], cluster=[str(label) for label in inputs["outer"]])


def three_level(case: Case) -> Working:
    """Generalised least squares at the given variances between and within the outer groups."""
    inputs = case.inputs
    effects = effects_of(inputs)
    y, (x, names) = effects.yi, design(inputs)
    outer, inner = np.asarray(inputs["outer"]), np.asarray(inputs["inner"])
    between, within = case.arguments["sigma2"]
    rows = [np.flatnonzero(outer == label) for label in dict.fromkeys(outer.tolist())]
    covariance = []
    for at in rows:
        same = inner[at][:, None] == inner[at]
        covariance.append(np.diag(effects.vi[at]) + between + within * same)
    bread, right = 0, 0
    for at, m in zip(rows, covariance, strict=True):
        weighted = np.linalg.solve(m, x[at]).T
        bread, right = bread + weighted @ x[at], right + weighted @ y[at]
    beta = np.linalg.solve(bread, right)
    return Working(
        effects, names, x, beta, y - x @ beta, blocks=tuple(rows), covariance=tuple(covariance)
    )


def moderators(inputs: Mapping[str, Any]) -> dict[str, Array] | None:
    x, names = design(inputs)
    return {name: x[:, j] for j, name in enumerate(names) if j} or None


def of_working_model(case: Case) -> Answer:
    """robumeta.robu."""
    effects, columns = effects_of(case.inputs), moderators(case.inputs)
    small = case.arguments["small"]
    if case.arguments["modelweights"] == "CORR":
        found = correlated_effects(effects, columns, rho=case.arguments["rho"], small=small)
    else:
        found = hierarchical_effects(effects, columns, small=small)
    return {
        "beta": found.beta,
        "se": found.se,
        "t": found.statistic,
        "dfs": found.df,
        "prob": found.p,
        "tau2": found.tau2,
        "omega2": NAN if found.omega2 is None else found.omega2,
        "I2": NAN if found.i2 is None else 100 * found.i2,
    }


def inference(case: Case) -> RobustResult:
    """robust and clubSandwich.vcovCR."""
    arguments = case.arguments
    model: Any
    if "model" in arguments:
        method = arguments["model"].split()[-1]
        model = regress(effects_of(case.inputs), moderators(case.inputs), tau2=method)
    else:
        model = three_level(case)
    if case.function == "clubSandwich.vcovCR":
        return robust(model, kind=arguments["type"])
    if arguments["clubSandwich"]:
        return robust(model)
    return robust(model, kind="CR1p" if arguments["adjust"] else "CR0", df="m-p")


def answer(case: Case) -> Answer:
    if case.function == "robumeta.robu":
        return of_working_model(case)
    found = inference(case)
    if case.function == "clubSandwich.vcovCR":
        return {
            "V": found.covariance,
            "se": found.se,
            "tstat": found.statistic,
            "df": found.df,
            "pval": found.p,
        }
    joint = found.omnibus
    return {
        "beta": found.beta,
        "se": found.se,
        "tval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[:, 0],
        "ci_ub": found.ci[:, 1],
        "df": found.df[0],
        "dfs": found.df,
        "QM": joint.statistic,
        "QMp": joint.p,
        "QMdf": [joint.df_1, joint.df_2],
    }


def judge(case: Case) -> tuple[str, str]:
    """Verdict ("passed" or "failed") on a case, with the reason."""
    got = answer(case)
    distance = {
        name: gap(got[name], NAN if want is None else want, case.tol)
        for name, want in case.expected.items()
    }
    wrong = {name: far for name, far in distance.items() if not far <= 1}
    if not wrong:
        return "passed", ""
    return "failed", ", ".join(f"{name} ({far:.3g} tol)" for name, far in wrong.items())
