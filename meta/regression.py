"""Mixed-effects meta-regression; the pooled effect without moderators is its simplest case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, UnknownName
from meta.fitting import (
    Fit,
    check,
    check_level,
    check_weights,
    fit,
    method_of,
    quantile,
    subset,
    test_named,
    two_sided_p,
)
from meta.frames import check_missing
from meta.heterogeneity import q_profile
from meta.moderators import Design, complete_cases, design_of
from meta.present import Presented, Table, table_of
from meta.results import Effects, show, show_p
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True, slots=True)
class Omnibus(Presented):
    """A joint test that some coefficients are all zero."""

    coefficients: tuple[str, ...]
    statistic: float  # chi-squared, or F where df_2 is given
    df_1: int
    df_2: int | None
    p: float

    def summary(self) -> str:
        """One line: ``Q = 16.36 (df = 1), p < 0.001``."""
        kind = "Q" if self.df_2 is None else "F"
        df = f"{self.df_1}" if self.df_2 is None else f"{self.df_1}, {self.df_2}"
        return f"{kind} = {show(self.statistic)} (df = {df}), {show_p(self.p)}"


@dataclass(frozen=True, slots=True)
class Information:
    """Log-likelihood and information criteria; restricted ones count k - p observations."""

    loglik: float
    deviance: float
    aic: float
    aicc: float
    bic: float
    parameters: int  # coefficients and tau2


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class RegressionResult(Presented):
    """A meta-regression; effects are on the analysis scale, proportions are 0 to 1."""

    effects: Effects
    design: Design
    model: str  # "random" or "common"
    names: tuple[str, ...]  # (p,) coefficients
    beta: Array  # (p,)
    se: Array  # (p,)
    statistic: Array  # (p,) z or t
    df: int | None  # of t; None for z
    p: Array  # (p,)
    ci: Array  # (p, 2)
    covariance: Array  # (p, p)
    test: str  # "Wald", "t", "Knapp-Hartung", "Knapp-Hartung (ad hoc)"
    test_reason: str
    level: float
    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]  # Q-profile
    tau2_method: str  # "" for the common-effect model
    q: float  # residual heterogeneity
    q_df: int
    q_p: float
    i2: float  # share of the residual variance that is heterogeneity
    h2: float
    moderators: Omnibus  # test of all moderators together
    r2: float  # share of the heterogeneity accounted for; NaN where undefined
    tau2_without: float  # tau2 of the same model without moderators
    weights: Array  # (k,) sum 1
    fitted: Array  # (k,)
    residuals: Array  # (k,)
    hat: Array  # (k,) leverages
    likelihood: Information  # full likelihood at the estimate
    restricted: Information  # restricted likelihood at the estimate
    notes: tuple[str, ...] = ()

    @property
    def information(self) -> Information:
        """That of the likelihood that the estimator maximises: restricted for REML."""
        return self.restricted if self.tau2_method == "REML" else self.likelihood

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return [
            {
                "coefficient": name,
                "estimate": float(b),
                "se": float(s),
                "statistic": float(t),
                "p": float(p),
                "ci_low": float(low),
                "ci_high": float(high),
            }
            for name, b, s, t, p, (low, high) in zip(
                self.names, self.beta, self.se, self.statistic, self.p, self.ci, strict=True
            )
        ]

    def summary(self) -> str:
        """A block to paste: one line a coefficient, then the tests and what is left over."""
        width = max(len(name) for name in self.names)
        lines = [
            f"{name:<{width}}  {show(b, 3)} ({self.level:.0%} CI {show(low, 3)} to "
            f"{show(high, 3)}), {show_p(float(p))}"
            for name, b, (low, high), p in zip(self.names, self.beta, self.ci, self.p, strict=True)
        ]
        lines.append(f"Test of moderators: {self.moderators.summary()}")
        lines.append(
            f"Residual heterogeneity: Q = {show(self.q)} (df = {self.q_df}), {show_p(self.q_p)}; "
            f"I² = {self.i2:.0%}; τ² = {show(self.tau2, 3)}"
        )
        if not math.isnan(self.r2):
            lines.append(f"Heterogeneity accounted for: R² = {self.r2:.0%}")
        return "\n".join(lines)

    def _tables(self) -> tuple[Table, ...]:
        caption = f"Meta-regression, {self.tau2_method or 'common effect'}, {self.test}"
        notes = (*self.summary().splitlines()[len(self.names) :], *self.notes)
        return (table_of(caption, self.rows(), level=self.level, notes=notes),)

    def __str__(self) -> str:
        return self.summary()


def regress(
    effects: Effects,
    moderators: Mapping[str, Any] | Any = None,
    *,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    test: str = "auto",
    level: float = 0.95,
    weights: Any = None,
    missing: str = "refuse",
) -> RegressionResult:
    """Regress effects on study characteristics.

    Parameters
    ----------
    effects : Effects
        k studies on the analysis scale.
    moderators : mapping of name to column, data frame, array (k, m), or None
        Text columns become factors with the first level in sorted order as reference.
    interactions : pairs of names
        Products to add.
    factors : names
        Numeric columns to take as factors.
    reference : mapping of factor to level
        Reference levels.
    intercept : bool
        Without it the first factor keeps all its levels, and R2 is undefined.
    model : {"random", "common"}
        With residual heterogeneity, or without.
    tau2 : str
        Estimator of the residual heterogeneity, a key of ``meta.tau2.TAU2``.
    test : {"auto", "Wald", "t", "Knapp-Hartung", "ad hoc"}
        "auto" is Knapp-Hartung where tau2 > 0 and degrees of freedom are left, otherwise Wald.
    weights : array, shape (k,), optional
        Weights for the coefficients in place of inverse variances.
    missing : {"refuse", "drop"}
        What happens to studies without a value of a moderator: an error that names them, or they
        are left out and named in ``notes``.

    Raises
    ------
    InputError
        If there are fewer studies than coefficients, moderators repeat each other, or values are
        missing or unusable (the studies are named).

    References
    ----------
    Berkey et al. (1995), Stat Med 14:395-411; Raudenbush (2009), in Handbook of Research Synthesis
    (R2); Knapp and Hartung (2003), Stat Med 22:2693-2710.
    """
    check(effects)
    check_level(level)
    method = method_of(model, tau2)
    w = check_weights(effects, weights)
    notes = []
    if check_missing(missing) == "drop":
        keep, moderators, gone = complete_cases(effects.study, moderators, effects.dropped)
        if gone:
            effects, w = subset(effects, keep), None if w is None else w[keep]
            notes.append(gone)
    design = design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        intercept=intercept,
        study=effects.study,
        dropped=effects.dropped,
    )
    alone = design.intercept and design.x.shape[1] == 1
    fitted = fit(effects.yi, effects.vi, None if alone else design.x, tau2=method, weights=w)
    chosen, reason = _test_for(fitted, test)
    df = fitted.df_of(chosen)
    covariance = fitted.vb * fitted.scale_of(chosen)
    se = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = fitted.beta / se
    half = quantile(level, df) * se
    r2, without = _r2(effects, fitted, design, alone, w)
    low, high, _ = q_profile(fitted.problem, level)
    if fitted.tau2.n_optima > 1:
        notes.append(
            f"the likelihood has {fitted.tau2.n_optima} local maxima in tau2; the highest is used"
        )
    names = design.names
    return RegressionResult(
        effects=effects,
        design=design,
        model=model,
        names=names,
        beta=fitted.beta,
        se=se,
        statistic=statistic,
        df=df,
        p=np.array([two_sided_p(float(t), df) for t in statistic]),
        ci=np.stack((fitted.beta - half, fitted.beta + half), axis=1),
        covariance=covariance,
        test=chosen,
        test_reason=reason,
        level=level,
        tau2=fitted.tau2.value,
        tau2_se=fitted.tau2.se,
        tau2_ci=(low, high),
        tau2_method=tau2 if model == "random" else "",
        q=fitted.q,
        q_df=fitted.df,
        q_p=fitted.q_p,
        i2=fitted.i2,
        h2=fitted.h2,
        moderators=_wald(fitted.beta, covariance, design.tested, names, df),
        r2=r2,
        tau2_without=without,
        weights=fitted.w / fitted.w.sum(),
        fitted=design.x @ fitted.beta,
        residuals=fitted.resid,
        hat=fitted.hat,
        likelihood=information(fitted, restricted=False),
        restricted=information(fitted, restricted=True),
        notes=tuple(notes),
    )


def _test_for(fitted: Fit, test: str) -> tuple[str, str]:
    if test != "auto":
        asked = test_named(test)
        if fitted.df < 1 and asked != "Wald":
            return "Wald", f"no degrees of freedom are left for the {asked} test"
        return asked, "chosen by the analyst"
    if fitted.df < 1:
        return "Wald", "no degrees of freedom are left for the Knapp-Hartung test"
    if fitted.tau2.value == 0:
        return "Wald", "tau² is zero, where the Knapp-Hartung test can be too liberal"
    return "Knapp-Hartung", f"{fitted.df} degrees of freedom and tau² above zero"


def _wald(
    beta: Array, covariance: Array, at: Sequence[int], names: Sequence[str], df: int | None
) -> Omnibus:
    """b' V^-1 b for some coefficients: chi-squared, or divided by their number F."""
    index = list(at)
    b, v = beta[index], covariance[np.ix_(index, index)]
    scale = np.sqrt(np.diag(v))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = b / scale
        correlation = v / np.outer(scale, scale)
    m = len(index)
    chosen = tuple(names[i] for i in index)
    if not (np.isfinite(z).all() and np.isfinite(correlation).all()):
        return Omnibus(chosen, NAN, m, df, NAN)
    value = float(z @ np.linalg.solve(correlation, z))
    if df is None:
        return Omnibus(chosen, value, m, None, float(special.chdtrc(m, value)))
    value /= m
    return Omnibus(chosen, value, m, df, float(special.fdtrc(m, df, value)))


def _r2(
    effects: Effects, fitted: Fit, design: Design, alone: bool, weights: Array | None
) -> tuple[float, float]:
    """Share of heterogeneity accounted for, and the tau2 without moderators.

    Random effects: the proportional fall of tau2, held at zero, and zero where there is nothing to
    account for (Raudenbush 2009). Common effect: the adjusted R2 of the weighted regression.
    """
    if alone or not design.intercept:
        return NAN, NAN
    bare = fit(effects.yi, effects.vi, tau2=fitted.method, weights=weights)
    before, after = bare.tau2.value, fitted.tau2.value
    if fitted.method == "EE":
        if bare.q == 0 or fitted.df < 1:
            return NAN, 0.0
        return max(0.0, 1 - (fitted.q / fitted.df) / (bare.q / bare.df)), 0.0
    return (max(0.0, (before - after) / before) if before > 0 else 0.0), before


def information(fitted: Fit, *, restricted: bool) -> Information:
    """Log-likelihood, deviance and criteria of a fit (Hurvich and Tsai's AICc)."""
    loglik = fitted.loglik(restricted=restricted)
    m = fitted.p + (fitted.method != "EE")
    n = fitted.k - fitted.p if restricted else fitted.k
    if restricted:
        deviance = -2 * loglik
    else:
        # Against the saturated model, in which every study has its own mean.
        saturated = -0.5 * float(
            fitted.k * (math.log(2 * math.pi) + math.log(fitted.problem.unit))
            + np.log(fitted.problem.v).sum()
        )
        deviance = -2 * (loglik - saturated)
    at_least = max(n, m + 2)
    return Information(
        loglik,
        deviance,
        2 * m - 2 * loglik,
        2 * m * at_least / (at_least - m - 1) - 2 * loglik,
        (m * math.log(n) if n > 0 else NAN) - 2 * loglik,
        m,
    )


def omnibus(result: RegressionResult, *terms: str) -> Omnibus:
    """Test some terms (moderators, interactions, "intercept") jointly."""
    at: list[int] = []
    for term in terms:
        if term not in result.design.terms:
            raise UnknownName("term", term, result.design.terms)
        at += result.design.terms[term]
    if not at:
        raise InputError("no term was named", remedy=f"one of {', '.join(result.design.terms)}")
    return _wald(result.beta, result.covariance, at, result.names, result.df)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Predictions(Presented):
    """Predicted mean effects at given moderators, with the spread of new studies round them."""

    estimate: Array  # (g,)
    se: Array  # (g,)
    ci: Array  # (g, 2)
    prediction: Array  # (g, 2)
    df: int | None  # of the confidence interval; None for normal
    prediction_df: int | None
    level: float

    def _tables(self) -> tuple[Table, ...]:
        return (table_of("Predicted effects", self.rows(), level=self.level),)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each row of moderators."""
        return [
            {
                "estimate": float(self.estimate[i]),
                "se": float(self.se[i]),
                "ci_low": float(self.ci[i, 0]),
                "ci_high": float(self.ci[i, 1]),
                "prediction_low": float(self.prediction[i, 0]),
                "prediction_high": float(self.prediction[i, 1]),
            }
            for i in range(len(self.estimate))
        ]


def predict(
    result: RegressionResult, x: Any = None, *, level: float | None = None, prediction: str = "auto"
) -> Predictions:
    """Predict the mean effect and the effect of a new study.

    Parameters
    ----------
    x : array, shape (g, p), optional
        Rows in the columns of ``result.names``, with the intercept or without; the studies' own if
        left out.
    prediction : {"auto", "metafor"}
        Degrees of freedom of the prediction interval: k - p - 1, which is the k - 2 of Higgins,
        Thompson and Spiegelhalter without moderators, or metafor's: those of the test.
    """
    rows = result.design.x if x is None else np.atleast_2d(np.asarray(x, dtype=float))
    if result.design.intercept and rows.shape[1] == len(result.beta) - 1:
        rows = np.insert(rows, result.design.terms["intercept"], 1.0, axis=1)
    if rows.shape[1] != len(result.beta):
        raise InputError(
            f"rows of {rows.shape[1]} numbers for {len(result.beta)} coefficients",
            remedy=f"give {', '.join(result.names)}",
        )
    level = check_level(result.level if level is None else level)
    names = {"auto": result.q_df - 1, "metafor": result.df}
    if prediction not in names:
        raise UnknownName("prediction interval", prediction, names)
    df = names[prediction]
    estimate = rows @ result.beta
    se = np.sqrt(np.maximum(((rows @ result.covariance) * rows).sum(1), 0.0))
    half = quantile(level, result.df) * se
    wide = quantile(level, df) * np.sqrt(se**2 + result.tau2)
    return Predictions(
        estimate,
        se,
        np.stack((estimate - half, estimate + half), axis=1),
        np.stack((estimate - wide, estimate + wide), axis=1),
        result.df,
        df,
        level,
    )


@dataclass(frozen=True, slots=True)
class Comparison(Presented):
    """A likelihood-ratio test of a model within another."""

    statistic: float
    df: int
    p: float
    loglik_full: float
    loglik_reduced: float
    r2: float  # proportional fall of tau2, held at zero; 0 where there is none to begin with

    def summary(self) -> str:
        """One line: the likelihood-ratio test and the fall of tau²."""
        return (
            f"Likelihood ratio: χ² = {show(self.statistic)} (df = {self.df}), {show_p(self.p)}; "
            f"R² = {self.r2:.0%}"
        )


def compare(full: RegressionResult, reduced: RegressionResult) -> Comparison:
    """Likelihood-ratio test of nested models.

    Raises
    ------
    InputError
        If the models were not fitted to the same effects by maximum likelihood (restricted
        likelihoods of different moderators cannot be compared), or are not nested.
    """
    methods = {full.tau2_method or "common effect", reduced.tau2_method or "common effect"}
    if len(methods) > 1 or methods - {"ML", "common effect"}:
        raise InputError(
            f"models fitted by {' and '.join(sorted(methods))} cannot be compared by likelihood",
            remedy='fit both with tau2="ML"',
        )
    one, two = full.effects, reduced.effects
    if not (np.array_equal(one.yi, two.yi) and np.array_equal(one.vi, two.vi)):
        raise InputError("the models were fitted to different effects")
    basis = np.linalg.qr(full.design.x)[0]
    small = reduced.design.x
    left_over = small - basis @ (basis.T @ small)
    if (np.abs(left_over).max(0) > 1e-8 * np.abs(small).max(0)).any():
        raise InputError(
            "the models are not nested", remedy="put all its terms into the full model"
        )
    df = len(full.beta) - len(reduced.beta)
    if df < 1:
        raise InputError("the full model has no more coefficients than the reduced one")
    a, b = full.likelihood.loglik, reduced.likelihood.loglik
    value = max(2 * (a - b), 0.0)
    r2 = max(0.0, 1 - full.tau2 / reduced.tau2) if reduced.tau2 > 0 else 0.0
    return Comparison(value, df, float(special.chdtrc(df, value)), a, b, r2)


def variance_inflation(result: RegressionResult) -> dict[str, float]:
    """How much collinearity inflates the variance of each coefficient but the intercept.

    The diagonal of the inverse correlation matrix of the coefficients (Fox and Monette 1992, JASA
    87:178-183, for one coefficient at a time).
    """
    intercept = result.design.terms.get("intercept", ())
    at = [i for i in range(len(result.beta)) if i not in intercept]
    if not at:
        return {}
    v = result.covariance[np.ix_(at, at)]
    scale = np.sqrt(np.diag(v))
    inverse = np.linalg.inv(v / np.outer(scale, scale))
    return {result.names[i]: float(inverse[j, j]) for j, i in enumerate(at)}
