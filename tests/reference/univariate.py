"""Univariate models against reference cases: which of our calls answers which of metafor's.

``judge`` gives a verdict on a case: "passed", "failed", or "differ" with the reason. A case may
only differ by a rule that proves, for that case, that our number is nearer to what both compute: by
exact rational arithmetic, by the defining equation, or by an independent integral.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from meta.bias import (
    SmallSampleWarning,
    excess_significance,
    fail_safe_n,
    henmi_copas,
    rank_test,
    regression_test,
    trim_and_fill,
)
from meta.heterogeneity import tau2_interval
from meta.influence import cumulative, influence, leave_one_out, shrink
from meta.measures import given
from meta.pooling import pool
from meta.regression import compare, predict, regress, variance_inflation
from meta.results import Effects
from tests.reference.metafor_cases import Case, gap
from tests.reference.univariate_rules import RULES, choice_of, columns_of

Answer = dict[str, Any]
NAN = math.nan


def effects_of(case: Case) -> Effects:
    """The effects of a case."""
    return given(case.inputs["yi"], case.inputs["vi"])


def _or_nan(value: float | None) -> float:
    return NAN if value is None else value


def pooled(case: Case) -> Answer:
    """rma.uni without moderators."""
    found = pool(
        effects_of(case),
        ci=case.arguments["test"],
        weights=case.inputs.get("weights"),
        prediction="metafor",
        **choice_of(case),
    )
    # Likelihoods belong to the general model; without moderators it is the same fit.
    general = regress(
        effects_of(case),
        test=case.arguments["test"],
        weights=case.inputs.get("weights"),
        **choice_of(case),
    )
    return {
        "k": found.effects.k,
        "p": 1,
        "beta": found.estimate,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[0],
        "ci_ub": found.ci[1],
        "tau2": found.tau2,
        "se_tau2": found.tau2_se,
        "I2": 100 * found.i2,
        "H2": found.h2,
        "QE": found.q,
        "QEp": found.q_p,
        "ddf": _or_nan(found.df),
        "pi_lb": NAN if found.prediction is None else found.prediction[0],
        "pi_ub": NAN if found.prediction is None else found.prediction[1],
        "QM": general.moderators.statistic,
        "QMp": general.moderators.p,
        **_likelihood(general),
    }


def _likelihood(found: Any) -> Answer:
    kept = found.information
    return {
        "ll": kept.loglik,
        "dev": kept.deviance,
        "AIC": kept.aic,
        "AICc": kept.aicc,
        "BIC": kept.bic,
    }


def regressed(case: Case) -> Answer:
    """rma.uni with moderators."""
    effects, choice, test = effects_of(case), choice_of(case), case.arguments["test"]
    found = regress(effects, columns_of(case), test=test, **choice)
    answer = {
        "k": effects.k,
        "p": len(found.beta),
        "beta": found.beta,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[:, 0],
        "ci_ub": found.ci[:, 1],
        "tau2": found.tau2,
        "se_tau2": found.tau2_se,
        "I2": 100 * found.i2,
        "H2": found.h2,
        "QE": found.q,
        "QEp": found.q_p,
        "QM": found.moderators.statistic,
        "QMp": found.moderators.p,
        "QMdf": [found.moderators.df_1, _or_nan(found.moderators.df_2)],
        "R2": 100 * found.r2,
        "ddf": _or_nan(found.df),
        "vb": found.covariance,
        **_likelihood(found),
    }
    if "pred" in case.expected:
        x = found.design.x
        at, drawn = predict(found, prediction="metafor"), shrink(effects, x, test=test, **choice)
        answer |= {
            "pred": at.estimate,
            "pred_se": at.se,
            "pred_ci_lb": at.ci[:, 0],
            "pred_pi_lb": at.prediction[:, 0],
            "hat": found.hat,
            "blup": drawn.blup,
            "blup_se": drawn.blup_se,
            "rstandard": drawn.rstandard,
            "rstudent": influence(effects, x, test=test, **choice).rstudent,
        }
    if "vif" in case.expected:
        answer["vif"] = list(variance_inflation(found).values())
    return answer


def rma_uni(case: Case) -> Answer:
    """rma.uni."""
    return regressed(case) if "mods" in case.arguments else pooled(case)


def confint(case: Case) -> Answer:
    """confint.rma.uni."""
    found = tau2_interval(
        effects_of(case),
        case.inputs["X"] if "mods" in case.arguments else None,
        kind=case.arguments["type"],
        tau2=case.arguments["method"],
        weights=case.inputs.get("weights"),
    )
    return {
        "tau2": [found.tau2, *found.tau2_ci],
        "tau": [found.tau, *found.tau_ci],
        "I2": [100 * found.i2, *(100 * i2 for i2 in found.i2_ci)],
        "H2": [found.h2, *found.h2_ci],
    }


def likelihood_ratio(case: Case) -> Answer:
    """anova.rma."""
    effects = effects_of(case)
    found = compare(regress(effects, columns_of(case), tau2="ML"), regress(effects, tau2="ML"))
    return {
        "LRT": found.statistic,
        "pval": found.p,
        "R2": 100 * found.r2,
        "ll_full": found.loglik_full,
        "ll_reduced": found.loglik_reduced,
    }


def one_out(case: Case) -> Answer:
    """leave1out."""
    found = leave_one_out(effects_of(case), ci="Wald", **choice_of(case))
    return {
        "estimate": found.estimate,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[:, 0],
        "ci_ub": found.ci[:, 1],
        "Q": found.q,
        "Qp": found.q_p,
        "tau2": found.tau2,
        "I2": 100 * found.i2,
        "H2": found.h2,
    }


def added_up(case: Case) -> Answer:
    """cumul; the reference starts with two studies."""
    found = cumulative(effects_of(case), ci="Wald", **choice_of(case))
    return {
        "estimate": found.estimate[1:],
        "se": found.se[1:],
        "pval": found.p[1:],
        "tau2": found.tau2[1:],
        "I2": 100 * found.i2[1:],
        "Q": found.q[1:],
    }


def diagnosed(case: Case) -> Answer:
    """influence."""
    found = influence(effects_of(case), **choice_of(case))
    return {
        "rstudent": found.rstudent,
        "dffits": found.dffits,
        "cook_d": found.cook,
        "cov_r": found.cov_ratio,
        "tau2_del": found.tau2_deleted,
        "QE_del": found.q_deleted,
        "hat": found.hat,
        "weight": 100 * found.weight,
        "dfbs": found.dfbetas[:, 0],
        "is_infl": found.influential.astype(float),
    }


def shrunken(case: Case) -> Answer:
    """rstandard, blup and ranef."""
    found = shrink(effects_of(case), **choice_of(case))
    return {
        "rstandard": found.rstandard,
        "resid": found.residual,
        "resid_se": found.residual_se,
        "blup": found.blup,
        "blup_se": found.blup_se,
        "blup_pi_lb": found.blup_interval[:, 0],
        "ranef": found.random_effect,
        "ranef_se": found.random_effect_se,
    }


def asymmetry(case: Case) -> Answer:
    """regtest."""
    if case.arguments["model"] == "lm":
        choice: dict[str, Any] = {"model": "multiplicative"}
    else:
        choice = {"test": case.arguments["test"], **choice_of(case)}
    found = regression_test(
        effects_of(case),
        predictor=case.arguments["predictor"],
        n=case.inputs.get("ni"),
        **choice,
    )
    return {
        "zval": found.statistic,
        "pval": found.p,
        "est": found.limit,
        "ci_lb": found.limit_ci[0],
        "ci_ub": found.limit_ci[1],
        "dfs": _or_nan(found.df),
    }


def ranks(case: Case) -> Answer:
    """ranktest."""
    found = rank_test(effects_of(case))
    return {"tau": found.tau, "pval": found.p}


def filled(case: Case) -> Answer:
    """trimfill; filled effects are compared in ascending order."""
    effects, a = effects_of(case), case.arguments
    found = trim_and_fill(
        effects, estimator=a["estimator"], side=a["side"], ci="Wald", **choice_of(case)
    )
    whole = found.filled
    return {
        "k0": found.k0,
        "se_k0": found.k0_se,
        "side": found.side,
        "beta": whole.estimate,
        "se": whole.se,
        "pval": whole.p,
        "ci_lb": whole.ci[0],
        "ci_ub": whole.ci[1],
        "tau2": whole.tau2,
        "QE": whole.q,
        "I2": 100 * whole.i2,
        "yi_filled": np.sort(whole.effects.yi[effects.k :]),
    }


def fail_safe(case: Case) -> Answer:
    """fsn."""
    effects, alpha = effects_of(case), case.arguments["alpha"]
    plain = fail_safe_n(effects, "Rosenthal", alpha=alpha)
    orwin = fail_safe_n(effects, "Orwin")
    weighted = fail_safe_n(effects, "Orwin", weighted=True)
    rosenberg = fail_safe_n(effects, "Rosenberg", alpha=alpha)
    return {
        "rosenthal": plain.n,
        "rosenthal_pval": plain.p,
        "orwin": orwin.n,
        "orwin_target": orwin.target,
        "orwin_weighted": weighted.n,
        "orwin_weighted_target": weighted.target,
        "rosenberg": rosenberg.n,
        "rosenberg_pval": rosenberg.p,
    }


def robust_interval(case: Case) -> Answer:
    """hc."""
    found = henmi_copas(effects_of(case))
    return {
        "beta": found.estimate,
        "se": found.se,
        "ci_lb": found.ci[0],
        "ci_ub": found.ci[1],
    }


def excess(case: Case) -> Answer:
    """tes."""
    a = case.arguments
    found = excess_significance(effects_of(case), null=a["H0"], alpha=a["alpha"])
    return {
        "O": found.observed,
        "E": found.expected,
        "OEratio": found.ratio,
        "chi2_pval": found.chi2_p,
        "binom_pval": found.binomial_p,
        "power": found.power,
        "theta": found.theta,
    }


ANSWER: dict[str, Callable[[Case], Answer]] = {
    "rma.uni": rma_uni,
    "confint.rma.uni": confint,
    "anova.rma": likelihood_ratio,
    "leave1out": one_out,
    "cumul": added_up,
    "influence": diagnosed,
    "rstandard_blup_ranef": shrunken,
    "regtest": asymmetry,
    "ranktest": ranks,
    "trimfill": filled,
    "fsn": fail_safe,
    "hc": robust_interval,
    "tes": excess,
}


def judge(case: Case) -> tuple[str, str]:
    """Verdict ("passed", "differ" or "failed") on a case, with the reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        got = ANSWER[case.function](case)
    wrong = {name: _distance(got[name], want, case) for name, want in _wanted(case).items()}
    wrong = {name: distance for name, distance in wrong.items() if not distance <= 1}
    if not wrong:
        return "passed", ""
    for rule in RULES:
        reason = rule(case, got, wrong)
        if reason:
            wrong = {name: d for name, d in wrong.items() if name not in reason[1]}
            if not wrong:
                return "differ", reason[0]
    return "failed", ", ".join(f"{name} ({distance:.3g} tol)" for name, distance in wrong.items())


def _wanted(case: Case) -> dict[str, Any]:
    wanted = dict(case.expected)
    if case.function == "trimfill":
        values = wanted["yi_filled"]
        wanted["yi_filled"] = np.sort(np.atleast_1d([] if values is None else values))
    return wanted


def _distance(got: Any, want: Any, case: Case) -> float:
    if isinstance(want, str):
        return 0.0 if got == want else math.inf
    want = np.asarray(want, dtype=float)
    got = np.asarray(got, dtype=float)
    return gap(got.ravel(), want.ravel(), case.tol)
