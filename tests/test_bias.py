"""Small-study effects: values of metafor, the warning below ten studies, laws."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st

from meta.bias import (
    SmallSampleWarning,
    egger,
    excess_significance,
    fail_safe_n,
    henmi_copas,
    pet_peese,
    pustejovsky_rodgers,
    rank_test,
    regression_test,
    thompson_sharp,
    trim_and_fill,
)
from meta.errors import InputError, UnknownName
from meta.measures import effects as effects_of
from meta.measures import given
from meta.pooling import pool
from tests.reference import models
from tests.reference.metafor_cases import FILE, cases
from tests.reference.univariate import judge
from tests.reference.univariate_rules import henmi_copas_coverage
from tests.test_tau2 import data

BCG = given(models.YI, models.VI)
ARMS = [20 + 7 * i for i in range(13)], [25 + 6 * i for i in range(13)]
FEW = given([0.1, 0.3, 0.5, 0.2], [0.01, 0.05, 0.2, 0.1])
ALL = {
    "regression_test": regression_test,
    "egger": egger,
    "rank_test": rank_test,
    "pet_peese": pet_peese,
    "trim_and_fill": trim_and_fill,
    "fail_safe_n": fail_safe_n,
    "excess_significance": excess_significance,
    "henmi_copas": henmi_copas,
    "thompson_sharp": thompson_sharp,
    "pustejovsky_rodgers": lambda e: pustejovsky_rodgers(e, ARMS[0][: e.k], ARMS[1][: e.k]),
}


@pytest.mark.parametrize("key", models.ASYMMETRY)
def test_regression_tests_reproduce_the_bcg_trials(key):
    model, predictor, test = key
    choice = {"model": "multiplicative"} if model == "lm" else {"model": "random", "test": test}
    found = regression_test(BCG, predictor=predictor, n=models.PEOPLE, **choice)
    got = (found.statistic, found.p, found.limit, *found.limit_ci)
    assert got == pytest.approx(models.ASYMMETRY[key], rel=1e-6, nan_ok=True)


def test_the_rank_test_reproduces_the_bcg_trials():
    found = rank_test(BCG)
    assert (found.tau, found.p) == pytest.approx(models.RANK, rel=1e-10)
    assert found.exact


@pytest.mark.parametrize("estimator", models.TRIM_AND_FILL)
def test_trim_and_fill_reproduces_the_bcg_trials(estimator):
    k0, k0_se, side, estimate, se = models.TRIM_AND_FILL[estimator]
    found = trim_and_fill(BCG, estimator=estimator, ci="Wald")
    assert (found.k0, found.side) == (k0, side)
    assert found.k0_se == pytest.approx(k0_se, rel=1e-9)
    assert (found.filled.estimate, found.filled.se) == pytest.approx((estimate, se), rel=1e-7)


def test_fail_safe_numbers_reproduce_the_bcg_trials():
    expected = models.FAIL_SAFE
    rosenthal, rosenberg = fail_safe_n(BCG), fail_safe_n(BCG, "Rosenberg")
    assert (rosenthal.n, rosenberg.n) == (expected["rosenthal"], expected["rosenberg"])
    assert rosenthal.p == pytest.approx(expected["rosenthal_pval"], rel=1e-9)
    assert rosenberg.p == pytest.approx(expected["rosenberg_pval"], rel=1e-9)
    for weighted, key in ((False, "orwin"), (True, "orwin_weighted")):
        orwin = fail_safe_n(BCG, "Orwin", weighted=weighted)
        assert orwin.n == expected[key]
        assert orwin.target == pytest.approx(expected[f"{key}_target"])


def test_excess_significance_reproduces_the_bcg_trials():
    found, expected = excess_significance(BCG), models.EXCESS
    assert found.observed == expected["O"]
    got = (found.expected, found.ratio, found.chi2_p, found.binomial_p, found.theta)
    keys = ("E", "OEratio", "chi2_pval", "binom_pval", "theta")
    assert got == pytest.approx(tuple(expected[key] for key in keys), rel=1e-8)
    assert found.power == pytest.approx(np.array(expected["power"]), rel=1e-8)


def test_henmi_and_copas_agree_as_far_as_the_reference_is_converged():
    found = henmi_copas(BCG)
    estimate, se, low, high = models.HENMI_COPAS
    assert (found.estimate, found.se) == pytest.approx((estimate, se), rel=1e-10)
    assert found.ci == pytest.approx((low, high), abs=2e-4 * se)


@pytest.mark.shared
@pytest.mark.parametrize("function", ["regtest", "ranktest", "trimfill", "fsn", "hc", "tes"])
def test_every_reference_case_of_small_study_effects_passes(shared, function):
    verdicts = [(case.id, *judge(case)) for case in cases(FILE, function=function)]
    assert len(verdicts) >= 33
    assert [v for v in verdicts if v[1] == "failed"] == []
    assert {v[2] for v in verdicts if v[1] == "differ"} <= {
        "quadrature: the reference's critical value is not converged"
    }


@pytest.mark.parametrize("name", ALL)
def test_below_ten_studies_each_method_warns_and_notes_it(name):
    with pytest.warns(SmallSampleWarning, match="4 studies: .* unreliable below 10") as caught:
        found = ALL[name](FEW)
    assert len(caught) == 1
    assert found.notes == (str(caught[0].message),)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ALL)
def test_from_ten_studies_on_no_method_warns(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ALL[name](BCG).notes == ()


def test_egger_is_a_weighted_regression_with_a_scale():
    x = sm.add_constant(np.sqrt(BCG.vi))
    theirs = sm.WLS(BCG.yi, x, weights=1 / BCG.vi).fit()
    ours = egger(BCG)
    assert ours.name == "Egger"
    assert (ours.slope, ours.slope_se) == pytest.approx((theirs.params[1], theirs.bse[1]), rel=1e-9)
    assert ours.p == pytest.approx(theirs.pvalues[1], rel=1e-9)
    assert ours.limit_ci == pytest.approx(tuple(theirs.conf_int()[0]), rel=1e-9)


def test_egger_finds_a_slope_that_was_put_there():
    se = np.linspace(0.05, 0.6, 12)
    noise = np.array([1, -1] * 6) * 0.05 * se
    found = egger(given(0.2 + 1.5 * se + noise, se**2))
    assert found.slope == pytest.approx(1.5, abs=0.05)
    assert found.limit == pytest.approx(0.2, abs=0.01)
    assert found.p < 1e-10


def test_equal_precision_leaves_no_slope_to_test():
    with pytest.raises(InputError, match="all studies have the same standard error"):
        egger(given(models.YI, [0.1] * 13))


def test_sample_sizes_are_asked_for_and_checked():
    with pytest.raises(InputError, match="predictor 'ninv' needs sample sizes"):
        regression_test(BCG, predictor="ninv")
    with pytest.raises(InputError, match="sample sizes must be positive") as caught:
        regression_test(BCG, predictor="ni", n=[0, *models.PEOPLE[1:]])
    assert caught.value.places == ("study 1: n = 0.0",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regression_test(BCG, predictor="se"), "there is no predictor 'se'"),
        (lambda: trim_and_fill(BCG, estimator="S0"), "there is no estimator of missing studies"),
        (lambda: trim_and_fill(BCG, side="up"), "there is no side 'up'"),
        (lambda: fail_safe_n(BCG, "Rosental"), "there is no fail-safe N 'Rosental'"),
        (lambda: fail_safe_n(BCG, "Orwin", target=0.2), "is not between no effect and the mean"),
    ],
)
def test_choices_that_do_not_exist_are_refused(call, message):
    with pytest.raises((UnknownName, InputError), match=message):
        call()


def test_pet_peese_takes_the_variance_only_where_pet_finds_an_effect():
    se = np.linspace(0.05, 0.6, 12)
    wiggle = np.array([1, -1, -1, 1] * 3) * 0.3 * se
    none = pet_peese(given(1.5 * se + wiggle, se**2))
    some = pet_peese(given(1 + 0.5 * se**2 + wiggle, se**2))
    assert (none.chosen, some.chosen) == ("PET", "PEESE")
    assert none.estimate == none.pet.limit
    assert some.estimate == some.peese.limit


@forall(sample=data(least=10, most=14), estimator=st.sampled_from(["L0", "R0"]))
def test_trim_and_fill_fills_mirror_images(sample, estimator):
    effects = given(*sample)
    one = trim_and_fill(effects, estimator=estimator, side="left", ci="Wald")
    mirrored = given(-effects.yi, effects.vi)
    other = trim_and_fill(mirrored, estimator=estimator, side="right", ci="Wald")
    assert other.k0 == one.k0
    assert other.filled.estimate == pytest.approx(-one.filled.estimate, abs=1e-8)
    assert one.filled.effects.k == effects.k + one.k0
    assert one.filled.effects.study[: effects.k] == effects.study
    filled = one.filled.effects.yi[effects.k :]
    assert len(filled) == 0 or filled.max() <= effects.yi.max()


def test_symmetric_effects_need_no_filling():
    y = np.array([-3, -2, -1, -0.5, -0.1, 0.1, 0.5, 1, 2, 3])
    # R0 alone: L0 depends on how the ties of a symmetric sample are broken.
    found = trim_and_fill(given(y, np.full(10, 0.2)), side="left", estimator="R0")
    assert found.k0 == 0
    assert found.filled.estimate == found.observed.estimate


@forall(sample=data(least=10, most=14))
def test_henmi_and_copas_is_wider_than_the_interval_without_heterogeneity(sample):
    effects = given(*sample)
    found, common = henmi_copas(effects), pool(effects, model="common")
    assert found.estimate == pytest.approx(common.estimate)
    assert np.ptp(found.ci) >= np.ptp(common.ci) * (1 - 1e-6) or found.tau2 == 0
    assert math.isfinite(found.critical)


def test_rosenthal_counts_what_brings_the_sum_to_the_threshold():
    effects = given([0.5] * 10, [0.04] * 10)  # each z = 2.5
    n = fail_safe_n(effects).n
    total, crit = 25.0, 1.6448536269514722
    assert total / math.sqrt(10 + n) <= crit < total / math.sqrt(10 + n - 1)


# Nine trials of inpatient stroke care, Normand (1999), Stat Med 18:321-359, table 2; slope, its
# standard error, p and limit by lm() of R 4.2.2 with the weights of the paper.
STROKE = {
    "mean_1": [55, 27, 64, 66, 14, 19, 52, 21, 30],
    "sd_1": [47, 7, 17, 20, 8, 7, 45, 16, 27],
    "n_1": [155, 31, 75, 18, 8, 57, 34, 110, 60],
    "mean_2": [75, 29, 119, 137, 18, 18, 41, 31, 23],
    "sd_2": [64, 4, 29, 48, 11, 4, 34, 27, 20],
    "n_2": [156, 32, 71, 18, 13, 52, 33, 183, 52],
}


@pytest.mark.filterwarnings("ignore::meta.caution.SmallSampleWarning")
def test_pustejovsky_and_rodgers_regress_on_the_part_of_the_error_without_the_effect():
    found = pustejovsky_rodgers(effects_of("SMD", **STROKE), STROKE["n_1"], STROKE["n_2"])
    assert (found.slope, found.slope_se, found.p, found.limit) == pytest.approx(
        (-0.418821782676930, 4.514824537139910, 0.928688705149227, -0.452602969624166), rel=1e-8
    )
    assert len(found.notes) == 1


def smd_without_bias(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Thirty trials with one large standardised difference."""
    rng = np.random.default_rng(seed)
    n = rng.integers(8, 40, 30)
    d = np.sqrt(2 / n) * rng.standard_normal(30) + 1.2
    sd_1, sd_2 = (np.sqrt(rng.chisquare(n - 1) / (n - 1)) for _ in range(2))
    zero = np.zeros(30)
    return {"mean_1": d, "sd_1": sd_1, "n_1": n, "mean_2": zero, "sd_2": sd_2, "n_2": n}, n


# Pustejovsky and Rodgers (2019), figures 1 and 2: the usual test rejects a true null too often.
def test_the_modified_tests_hold_their_level_where_eggers_does_not():
    runs = 400
    naive = modified = stabilised = 0
    for seed in range(runs):
        columns, n = smd_without_bias(seed)
        effects = effects_of("SMD", **columns)
        naive += egger(effects).p < 0.05
        modified += pustejovsky_rodgers(effects, n, n).p < 0.05
        stabilised += pustejovsky_rodgers(effects, n, n, stabilised=True).p < 0.05
    assert naive / runs > 0.12
    assert modified / runs < 0.08
    assert stabilised / runs < 0.08


def test_pustejovsky_and_rodgers_asks_for_standardised_differences():
    notes = pustejovsky_rodgers(given(models.YI, models.VI, measure="MD"), *ARMS).notes
    assert notes == ("made for standardised mean differences, not for Mean difference",)


def test_thompson_and_sharp_is_eggers_regression_with_a_variance_between_studies():
    assert thompson_sharp(BCG) == replace(
        regression_test(BCG, model="random", tau2="DL", test="t"), name="Thompson-Sharp"
    )


def test_the_rule_of_pet_peese_is_stated_and_follows_the_side():
    se = np.linspace(0.05, 0.6, 12)
    wiggle = np.array([1, -1, -1, 1] * 3) * 0.3 * se
    some = given(1 + 0.5 * se**2 + wiggle, se**2)
    assert pet_peese(some).rule == "PET's intercept differs from no effect at α = 0.1 (two-sided)"
    assert pet_peese(some, side="greater", alpha=0.05).chosen == "PEESE"
    against = pet_peese(some, side="less")
    assert (against.chosen, against.estimate) == ("PET", against.pet.limit)
    assert against.rule == "PET's intercept does not differ from no effect at α = 0.1 (less)"


@forall(sample=data(least=10, most=14), alpha=st.floats(0.01, 0.4))
def test_pet_peese_one_sided_at_half_the_level_is_the_two_sided_rule(sample, alpha):
    effects = given(*sample)
    assume(np.ptp(effects.vi) > 1e-6)
    sides = [pet_peese(effects, alpha=alpha / 2, side=s).chosen for s in ("greater", "less")]
    assert ("PEESE" in sides) == (pet_peese(effects, alpha=alpha).chosen == "PEESE")


def test_the_rank_test_can_be_asked_for_the_normal_approximation():
    normal = rank_test(BCG, exact=False)
    assert not normal.exact
    assert normal.tau == rank_test(BCG).tau
    ties = given(models.YI, [0.1, *models.VI[1:12], 0.1])
    assert not rank_test(ties).exact
    with pytest.raises(InputError, match="ties have no exact p-value"):
        rank_test(ties, exact=True)


# Henmi and Copas (2010), sect. 3: the interval holds the truth with 95% at the estimated tau2.
@pytest.mark.filterwarnings("ignore::meta.caution.SmallSampleWarning")
@pytest.mark.parametrize("smallest", [1e-8, 1e-3, 1e-2])
def test_the_henmi_copas_interval_covers_as_it_says_where_one_study_dominates(smallest):
    vi = np.array([smallest, 2e-2, 3e-2, 2.5e-2, 4e-2, 5e-2])
    found = henmi_copas(given(np.array([0.5, 0.1, 0.15, 0.05, 0.2, 0.12]), vi))
    coverage = henmi_copas_coverage(vi, found.tau2)
    assert coverage(found.critical) == pytest.approx(0.95, abs=1e-9)
