"""Multilevel models, sampling covariances and aggregation against reference cases.

``judge`` gives a verdict on a case. A likelihood model may differ by one rule: our log-likelihood
is higher by more than its rounding, so that the file's optimum is not one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from meta.dependent.aggregation import aggregate
from meta.dependent.covariance import covariance
from meta.dependent.multilevel import MultilevelResult, multilevel
from meta.dependent.random_terms import Random
from meta.measures import given
from meta.results import Effects
from tests.reference.metafor_cases import Case, gap

Answer = dict[str, Any]
FUNCTIONS = ("rma.mv", "vcalc", "aggregate.escalc")
OPTIONS = ("struct", "rho", "phi", "weighted")


def _listed(value: Any) -> list[Any]:
    return [str(v) if isinstance(v, str) else v for v in np.asarray(value).tolist()]


def _rows(inputs: Mapping[str, Any]) -> tuple[Effects, Any]:
    """The effects of a case, with their covariance where the file gives one."""
    v = inputs.get("V")
    yi = inputs["yi"]
    return given(yi, np.diag(v) if v is not None else inputs["vi"]), v


def fitted(case: Case) -> MultilevelResult:
    effects, v = _rows(case.inputs)
    data = {
        name: _listed(column)
        for name, column in case.inputs.items()
        if name not in ("yi", "vi", "V", "X", "X_names", "reference")
        and np.shape(column) == (effects.k,)
    }
    if "treat1" in data:
        pairs = zip(data["treat1"], data["treat2"], strict=True)
        data["comparison"] = [f"{one}-{two}" for one, two in pairs]
    arguments = case.arguments
    terms = arguments["random"]
    random = [
        Random(text, arguments.get("struct", "CS"), rho=_rho(text, arguments))
        for text in ([terms] if isinstance(terms, str) else terms)
    ]
    method = arguments["method"]
    return multilevel(
        effects,
        random,
        data=data,
        covariance=v,
        moderators=np.asarray(case.inputs["X"]) if "X" in case.inputs else None,
        intercept="X" not in case.inputs,
        method="EE" if method in ("EE", "FE") else method,
        test=arguments.get("test", "z"),
        df="containment" if arguments.get("dfs") == "contain" else "residual",
    )


def _rho(text: str, arguments: Mapping[str, Any]) -> Any:
    plain = text.replace("~", "").strip().startswith("1")
    return None if plain else arguments.get("rho")


def of_model(found: MultilevelResult, case: Case) -> Answer:
    rest = [i for i in range(len(found.names)) if not _constant(case, i)]
    tested = rest if rest and len(rest) < len(found.names) else range(len(found.names))
    b, v = found.beta[list(tested)], found.covariance[np.ix_(list(tested), list(tested))]
    joint = float(b @ np.linalg.solve(v, b))
    return {
        "k": found.effects.k,
        "beta": found.beta,
        "se": found.se,
        "zval": found.statistic,
        "tval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[:, 0],
        "ci_ub": found.ci[:, 1],
        "vb": found.covariance,
        "QE": found.q,
        "QEp": found.q_p,
        "QM": joint,
        "QMp": float(_chi2(len(b), joint)),
        "ll": found.information.loglik,
        "sigma2": found.variances,
        "tau2": found.variances,
        "rho": found.rho,
        "I2_total": 100 * found.i2,
        "I2_levels": [100 * c.i2 for c in found.components if c.kind == "variance"],
    }


def _chi2(df: int, value: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, value))


def _constant(case: Case, column: int) -> bool:
    return "X" in case.inputs and bool(np.ptp(np.asarray(case.inputs["X"])[:, column]) == 0)


def of_covariance(case: Case) -> Answer:
    """vcalc: metafor's own argument names are ours."""
    names = ("cluster", "subgroup", "obs", "type", "time1", "time2", "grp1", "grp2", "w1", "w2")
    columns = {}
    for name in names:
        source = case.arguments.get(name, name if name in case.inputs else None)
        if source is not None:
            held = case.inputs.get(source) if isinstance(source, str) else source
            columns[name] = _listed(case.inputs[name] if held is None else held)
    vi = case.inputs["vi"]
    rho, phi = case.arguments.get("rho"), case.arguments.get("phi")
    options = {} if rho is None else {"rho": rho}
    if phi is not None:
        options["phi"] = phi
    effects = given(np.zeros(len(vi)), vi)
    full = covariance(effects, **columns, **options).dense()
    return {"V": full}


def of_aggregate(case: Case) -> Answer:
    effects, v = _rows(case.inputs)
    arguments = case.arguments
    cluster = arguments.get("cluster", "cluster")
    time = arguments.get("time", "time")
    found = aggregate(
        effects,
        cluster=_listed(case.inputs[cluster]),
        structure=arguments.get("struct", "CS"),
        rho=arguments.get("rho"),
        phi=arguments.get("phi"),
        time=case.inputs.get(time),
        covariance=v,
        weighted=arguments.get("weighted", True),
    )
    return {"yi": found.yi, "vi": found.vi, "k": found.k}


def judge(case: Case) -> tuple[str, str]:
    """Verdict ("passed", "differ" or "failed") on a case, with the reason."""
    if case.function == "vcalc":
        got = of_covariance(case)
    elif case.function == "aggregate.escalc":
        got = of_aggregate(case)
    else:
        got = of_model(fitted(case), case)
    distance = {
        name: gap(got[name], math.nan if want is None else want, case.tol)
        for name, want in case.expected.items()
    }
    wrong = {name: far for name, far in distance.items() if not far <= 1}
    if not wrong:
        return "passed", ""
    if case.function == "rma.mv" and got["ll"] > case.expected["ll"] + 1e-9 * abs(got["ll"]):
        return "differ", f"log-likelihood {got['ll']:.9f}, the file's {case.expected['ll']:.9f}"
    return "failed", ", ".join(f"{name} ({far:.3g} tol)" for name, far in wrong.items())
