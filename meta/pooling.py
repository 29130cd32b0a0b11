"""Common- and random-effects pooling of the effects of k studies."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from meta.fitting import (
    Fit,
    check,
    check_level,
    check_weights,
    fit,
    method_of,
    quantile,
    test_named,
    two_sided_p,
)
from meta.heterogeneity import (
    closer_than_chance,
    prediction_interval,
    prediction_named,
    q_profile,
)
from meta.results import Effects, PooledEffect
from meta.tau2 import DEFAULT_TAU2

KNAPP_HARTUNG_FROM = 3  # studies; below, its t has one degree of freedom or none
NAN = math.nan


def pool(
    effects: Effects,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
    weights: Any = None,
    prediction: str = "auto",
) -> PooledEffect:
    """Pool the effects of k studies.

    Parameters
    ----------
    effects : Effects
        k studies on the analysis scale; finite effects, positive variances.
    model : {"random", "common"}
        Random effects (studies estimate different effects) or one common effect.
    tau2 : str
        Estimator of the between-study variance, a key of ``meta.tau2.TAU2``; not used by the
        common-effect model.
    ci : {"auto", "Wald", "t", "Knapp-Hartung", "ad hoc"}
        Confidence interval. "auto" is Knapp-Hartung from three studies on when tau2 > 0 and Wald
        otherwise; the result gives both, and says in words why it shows the one that it shows.
        "ad hoc" never lets the Knapp-Hartung factor fall below one.
    level : float
        Confidence level, 0 to 1.
    weights : array, shape (k,), optional
        Weights for the pooled mean in place of inverse variances; GENQ and GENQM need them.
    prediction : {"auto", "HTS", "metafor"}
        See ``meta.heterogeneity.prediction_interval``.

    Returns
    -------
    PooledEffect
        One study alone is returned as it is, with undefined (NaN) Knapp-Hartung interval.

    Raises
    ------
    InputError
        If there is no study, or a study has an unusable effect or variance (all are named).
    UnknownName
        If a choice is not known.

    References
    ----------
    Hedges and Vevea (1998), Psychol Methods 3:486-504; Knapp and Hartung (2003), Stat Med
    22:2693-2710; Sidik and Jonkman (2002), Stat Med 21:3153-3159; for the ad hoc form Jackson et
    al. (2017), Stat Med 36:3923-3934.
    """
    check(effects)
    check_level(level)
    method = method_of(model, tau2)
    w = check_weights(effects, weights)
    fitted = fit(effects.yi, effects.vi, tau2=method, weights=w)
    return pooled_from(effects, fitted, ci=ci, level=level, prediction=prediction)


def pooled_from(
    effects: Effects,
    fitted: Fit,
    *,
    ci: str = "auto",
    level: float = 0.95,
    prediction: str = "auto",
) -> PooledEffect:
    """The result of a fit without moderators, in the form that people and pictures use."""
    test, reason = interval_for(fitted, ci)
    asked = prediction_named(prediction)
    estimate, se = fitted.beta.item(0), _se(fitted, test)
    random = fitted.method != "EE"
    return PooledEffect.begun(
        partial(_rest, fitted, test, level, asked if random else ""),
        effects=effects,
        model="random" if random else "common",
        estimate=estimate,
        se=se,
        ci_method=test,
        ci_reason=reason,
        statistic=estimate / se if se > 0 else _ratio(estimate, se),
        level=level,
        tau2=fitted.tau2.value,
        tau2_se=fitted.tau2.se,
        tau2_method=fitted.method if random else "",
        q=fitted.q,
        q_df=fitted.df,
        i2=fitted.i2,
        h2=fitted.h2,
    )


def _rest(fitted: Fit, test: str, level: float, prediction: str, name: str) -> dict[str, Any]:
    """The fields of a result that are left until one of them is asked for."""
    if name == "weights":
        return {"weights": fitted.w / fitted.w.sum()}
    if name == "tau2_ci":
        return {"tau2_ci": q_profile(fitted.problem, level)[:2]}
    estimate, se, df = fitted.beta.item(0), _se(fitted, test), fitted.df_of(test)
    bounds, bounds_df, bounds_name = None, None, "none: common-effect model"
    if prediction:
        bounds, bounds_df, bounds_name = prediction_interval(
            fitted, method=prediction, test=test, level=level
        )
    optima, notes = fitted.tau2.n_optima, []
    if prediction and optima > 1:
        notes.append(f"the likelihood has {optima} local maxima in tau2; the highest is used")
    if closer_than_chance(fitted.q, fitted.df, level):
        notes.append("the studies lie closer together than sampling error explains")
    return {
        "ci": _interval(estimate, se, df, level),
        "wald_ci": _interval(estimate, _se(fitted, "Wald"), None, level),
        "knapp_hartung_ci": _interval(estimate, _se(fitted, "Knapp-Hartung"), fitted.df, level),
        "df": None if df is None else float(df),
        "p": two_sided_p(estimate / se if se > 0 else _ratio(estimate, se), df),
        "prediction": bounds,
        "prediction_df": bounds_df,
        "prediction_method": bounds_name,
        "q_p": fitted.q_p,
        "notes": tuple(notes),
    }


def interval_for(fitted: Fit, ci: str) -> tuple[str, str]:
    """Which interval is shown, and why in words."""
    if ci != "auto":
        asked = test_named(ci)
        if fitted.k == 1 and asked != "Wald":
            return "Wald", f"one study: the {asked} interval is undefined"
        return asked, "chosen by the analyst"
    if fitted.method == "EE":
        return "Wald", "the common-effect model takes the sampling variances as known"
    if fitted.k < KNAPP_HARTUNG_FROM:
        count = "one study" if fitted.k == 1 else f"{fitted.k} studies"
        return "Wald", f"{count}: too few for the Knapp-Hartung interval"
    if fitted.tau2.value == 0:
        return (
            "Wald",
            "tau² is estimated as zero, where the Knapp-Hartung interval can be too short",
        )
    return "Knapp-Hartung", f"{fitted.k} studies and tau² above zero"


def _se(fitted: Fit, test: str) -> float:
    return math.sqrt(fitted.vb.item(0) * fitted.scale_of(test))


def _ratio(estimate: float, se: float) -> float:
    """estimate/se where se is zero (identical effects under Knapp-Hartung) or undefined."""
    if math.isnan(se):
        return NAN
    return math.copysign(math.inf, estimate) if estimate else NAN


def _interval(mid: float, se: float, df: int | None, level: float) -> tuple[float, float]:
    half = quantile(level, df) * se
    return mid - half, mid + half
