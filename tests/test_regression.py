"""Meta-regression: values of metafor, the simplest case, designs, comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from meta.errors import InputError, UnknownName
from meta.influence import influence, shrink
from meta.measures import given
from meta.moderators import design_of
from meta.pooling import pool
from meta.regression import compare, omnibus, predict, regress, variance_inflation
from meta.tau2 import TAU2
from tests.reference import models
from tests.reference.metafor_cases import FILE, cases
from tests.reference.univariate import judge
from tests.test_tau2 import data, weights_for

BCG = given(models.YI, models.VI, study=[f"trial {i}" for i in range(1, 14)])
LATITUDE = {"latitude": models.LATITUDE}
ALLOCATION = ["random", "systematic", "alternate"] * 4 + ["random"]


def test_a_moderator_reproduces_the_bcg_trials():
    found = regress(BCG, LATITUDE, test="Wald")
    expected = models.REGRESSION
    arrays = {
        "beta": found.beta,
        "se": found.se,
        "zval": found.statistic,
        "pval": found.p,
        "ci_lb": found.ci[:, 0],
        "ci_ub": found.ci[:, 1],
        "hat": found.hat,
        "rstudent": influence(BCG, found.design.x).rstudent,
        "blup": shrink(BCG, found.design.x).blup,
        "blup_se": shrink(BCG, found.design.x).blup_se,
        "pred": predict(found).estimate,
        "pred_se": predict(found).se,
    }
    for name, got in arrays.items():
        assert got == pytest.approx(np.array(expected[name]), rel=1e-7), name
    numbers = {
        "tau2": found.tau2,
        "se_tau2": found.tau2_se,
        "I2": 100 * found.i2,
        "H2": found.h2,
        "QE": found.q,
        "QEp": found.q_p,
        "QM": found.moderators.statistic,
        "QMp": found.moderators.p,
        "R2": 100 * found.r2,
        "ll": found.information.loglik,
        "AIC": found.information.aic,
    }
    assert numbers == pytest.approx({name: expected[name] for name in numbers}, rel=1e-7)


@pytest.mark.shared
@pytest.mark.parametrize("function", ["rma.uni", "anova.rma"])
def test_every_reference_case_of_a_regression_passes(shared, function):
    chosen = [c for c in cases(FILE, function=function) if "mods" in c.arguments]
    verdicts = [(case.id, *judge(case)) for case in chosen]
    assert len(verdicts) >= 23
    assert [v for v in verdicts if v[1] == "failed"] == []
    assert {v[2] for v in verdicts if v[1] == "differ"} <= {"arithmetic of sixty digits gives ours"}


@forall(sample=data(), method=st.sampled_from(sorted(TAU2)))
def test_without_moderators_it_is_the_pooled_effect(sample, method):
    effects = given(*sample)
    weights = weights_for(method, effects.vi)
    one = pool(effects, tau2=method, weights=weights, ci="Knapp-Hartung")
    other = regress(effects, tau2=method, weights=weights, test="Knapp-Hartung")
    assert other.names == ("intercept",)
    assert (other.tau2, other.beta[0], other.se[0]) == (one.tau2, one.estimate, one.se)


def test_the_general_design_gives_what_the_short_way_gives():
    short = regress(BCG, test="Knapp-Hartung")
    general = regress(BCG, {"all": [1.0] * 13}, intercept=False, test="Knapp-Hartung")
    assert general.beta == pytest.approx(short.beta, rel=1e-11)
    assert general.se == pytest.approx(short.se, rel=1e-11)
    assert general.tau2 == pytest.approx(short.tau2, rel=1e-10)


def test_text_becomes_a_factor_with_the_first_level_as_reference():
    found = regress(BCG, {"allocation": ALLOCATION})
    assert found.names == ("intercept", "allocation: random", "allocation: systematic")
    assert found.design.levels == {"allocation": ("alternate", "random", "systematic")}
    assert found.moderators.df_1 == 2
    turned = regress(BCG, {"allocation": ALLOCATION}, reference={"allocation": "random"})
    assert turned.names[1:] == ("allocation: alternate", "allocation: systematic")
    assert turned.moderators.statistic == pytest.approx(found.moderators.statistic)
    assert turned.beta[1] == pytest.approx(-found.beta[1])


def test_without_an_intercept_a_factor_gives_the_mean_of_each_level():
    effects = given([0.1, 0.3, 0.5, 0.9], [0.1, 0.1, 0.2, 0.2])
    found = regress(
        effects, {"arm": ["a", "a", "b", "b"]}, intercept=False, model="common", test="Wald"
    )
    assert found.names == ("arm: a", "arm: b")
    assert found.beta == pytest.approx([0.2, 0.7])
    assert found.se == pytest.approx([0.05**0.5, 0.1**0.5])


def test_an_interaction_is_a_term_of_its_own():
    found = regress(
        BCG,
        {**LATITUDE, "allocation": ALLOCATION},
        interactions=[("latitude", "allocation")],
    )
    assert found.design.terms["latitude:allocation"] == (4, 5)
    joint = omnibus(found, "latitude:allocation")
    assert joint.df_1 == 2
    assert joint.coefficients == (
        "latitude:allocation: random",
        "latitude:allocation: systematic",
    )


def test_numbers_become_a_factor_on_request():
    dose = [1, 2, 3] * 4 + [1]
    found = regress(BCG, {"dose": dose}, factors=["dose"])
    assert found.names == ("intercept", "dose: 2", "dose: 3")


def test_centring_a_moderator_moves_only_the_intercept():
    year = np.array([1948 + 2 * i + i % 3 for i in range(13)], dtype=float)
    one = regress(BCG, {"year": year}, test="Wald")
    other = regress(BCG, {"year": year - year.mean()}, test="Wald")
    assert other.beta[1] == pytest.approx(one.beta[1], rel=1e-10)
    assert other.se[1] == pytest.approx(one.se[1], rel=1e-10)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-9)
    assert other.beta[0] == pytest.approx(one.beta[0] + one.beta[1] * year.mean(), rel=1e-8)


def test_an_offset_of_a_million_moves_only_the_intercept():
    y = np.round(BCG.yi, 3)
    moved = given(y + 1e6, BCG.vi)
    back = given((y + 1e6) - 1e6, BCG.vi)
    one, other = regress(moved, LATITUDE), regress(back, LATITUDE)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-9)
    assert other.beta[1] == pytest.approx(one.beta[1], rel=1e-9)
    assert other.beta[0] == pytest.approx(one.beta[0] - 1e6, rel=1e-6)


def test_predictions_have_their_own_degrees_of_freedom():
    found = regress(BCG, LATITUDE)
    at = predict(found, [[1, 0], [1, 60]])
    assert (at.df, at.prediction_df) == (11, 10)
    assert at.estimate == pytest.approx(found.beta[0] + found.beta[1] * np.array([0, 60]))
    assert (at.prediction[:, 0] < at.ci[:, 0]).all()
    assert predict(found, [1, 0], prediction="metafor").prediction_df == 11
    with pytest.raises(InputError, match="rows of 3 numbers for 2 coefficients"):
        predict(found, [[1, 2, 3]])


def test_the_likelihood_ratio_reproduces_the_bcg_trials():
    found = compare(regress(BCG, LATITUDE, tau2="ML"), regress(BCG, tau2="ML"))
    expected = models.LIKELIHOOD_RATIO
    got = (found.statistic, found.p, 100 * found.r2, found.loglik_full, found.loglik_reduced)
    keys = ("LRT", "pval", "R2", "ll_full", "ll_reduced")
    assert got == pytest.approx(tuple(expected[key] for key in keys), rel=1e-8)


def test_models_that_cannot_be_compared_are_refused():
    ml = {"tau2": "ML"}
    full = regress(BCG, LATITUDE, **ml)
    with pytest.raises(InputError, match="REML cannot be compared by likelihood"):
        compare(regress(BCG, LATITUDE), regress(BCG))
    with pytest.raises(InputError, match="not nested"):
        compare(full, regress(BCG, {"allocation": ALLOCATION}, **ml))
    with pytest.raises(InputError, match="different effects"):
        compare(full, regress(given(models.YI, [v * 2 for v in models.VI]), **ml))
    with pytest.raises(InputError, match="no more coefficients"):
        compare(full, full)


def test_uncorrelated_moderators_do_not_inflate_variances():
    effects = given([0.1, 0.4, 0.3, 0.9], [0.1] * 4)
    found = regress(effects, {"a": [-1, -1, 1, 1], "b": [-1, 1, -1, 1]}, model="common")
    assert variance_inflation(found) == pytest.approx({"a": 1.0, "b": 1.0})
    assert variance_inflation(regress(BCG)) == {}


def test_missing_moderators_name_the_study():
    column = [44.0] * 13
    column[2] = float("nan")
    with pytest.raises(InputError) as caught:
        regress(BCG, {"latitude": column, "allocation": [*ALLOCATION[:-1], None]})
    assert caught.value.problem == "2 moderator values are missing"
    assert caught.value.places == (
        "trial 3: latitude is missing",
        "trial 13: allocation is missing",
    )


@pytest.mark.parametrize(
    ("moderators", "choices", "message"),
    [
        ({"x": [1, 2]}, {}, "'x' has 2 values for 13 studies"),
        ({"x": ["a"] * 13}, {}, "'x' is 'a' in every study"),
        ({"x": list(range(13)), "z": [2 * i for i in range(13)]}, {}, "cannot be told apart"),
        (LATITUDE, {"interactions": [("latitude", "age")]}, "there is no moderator 'age'"),
        ({"x": ALLOCATION}, {"reference": {"x": "none"}}, "there is no level of x 'none'"),
        (np.ones((4, 2)), {}, r"moderators of shape \(4, 2\) for 13 studies"),
        (None, {"intercept": False}, "needs an intercept or a moderator"),
    ],
)
def test_designs_that_cannot_be_fitted_are_refused(moderators, choices, message):
    with pytest.raises((InputError, UnknownName), match=message):
        regress(BCG, moderators, **choices)


def test_an_unknown_term_lists_the_known_ones():
    with pytest.raises(UnknownName, match="there is no term 'lattitude'"):
        omnibus(regress(BCG, LATITUDE), "lattitude")


def test_the_test_falls_back_to_wald_and_says_why():
    saturated = regress(given([0.1, 0.5], [0.1, 0.2]), {"x": [0, 1]}, test="Knapp-Hartung")
    assert saturated.test == "Wald"
    assert saturated.test_reason == "no degrees of freedom are left for the Knapp-Hartung test"
    assert regress(BCG, LATITUDE).test == "Knapp-Hartung"


def test_the_summary_can_be_pasted():
    lines = regress(BCG, LATITUDE, test="Wald").summary().splitlines()
    assert lines[0] == "intercept  0.251 (95% CI −0.237 to 0.740), p = 0.313"
    assert lines[1] == "latitude   −0.029 (95% CI −0.043 to −0.015), p < 0.001"
    assert lines[2] == "Test of moderators: Q = 16.36 (df = 1), p < 0.001"
    assert lines[-1] == "Heterogeneity accounted for: R² = 76%"


@forall(sample=data(least=5), seed=st.integers(0, 20))
def test_residual_heterogeneity_never_needs_more_than_the_whole(sample, seed):
    y, v = sample
    x = np.random.default_rng(seed).normal(size=len(y))
    effects = given(y, v)
    plain, found = regress(effects, tau2="DL"), regress(effects, {"x": x}, tau2="DL")
    assert found.q <= plain.q * (1 + 1e-9) + 1e-12
    assert float(found.weights.sum()) == pytest.approx(1)
    assert float(found.hat.sum()) == pytest.approx(2)


def test_array_columns_are_numbered():
    design = design_of(np.arange(6.0).reshape(3, 2), 3)
    assert design.names == ("intercept", "x1", "x2")
    assert design.tested == (1, 2)
