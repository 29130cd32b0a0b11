"""E-values and bias factors: printed examples, the bound they come from, simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from meta.errors import InputError, UnknownName
from meta.measures import given
from meta.pooling import pool
from meta.results import PooledEffect
from meta.unmeasured import confounding, e_from_ratio, e_value, e_value_of
from tests.reference import models

BCG = pool(given(models.YI, models.VI, measure="RR"))


# Breastfeeding and infant death by respiratory infection: VanderWeele and Ding (2017), p. 269.
def test_the_example_of_the_paper_is_reproduced():
    found = e_value_of("RR", 3.9, (1.8, 8.7))
    assert (found.point, found.limit) == pytest.approx((7.26, 3.0), abs=5e-3)
    assert found.summary() == (
        "Risk ratio 3.90 (CI 1.80 to 8.70; as it is): E-value 7.26, 3.00 for the limit nearest "
        "to no effect"
    )


@forall(st.floats(0.02, 50))
def test_confounding_of_that_strength_has_the_ratio_as_its_bounding_factor(ratio):
    e = e_from_ratio(ratio)
    # Ding and VanderWeele (2016): B = RR_EU RR_UD / (RR_EU + RR_UD - 1).
    assert e * e / (2 * e - 1) == pytest.approx(max(ratio, 1 / ratio), rel=1e-9)
    assert e_from_ratio(1 / ratio) == pytest.approx(e, rel=1e-9)


def test_an_interval_with_no_effect_in_it_needs_no_confounding():
    assert e_value_of("RR", 1.5, (0.9, 2.5)).limit == 1
    assert e_value_of("RR", 0.7, (0.5, 1.0)).limit == 1
    assert math.isnan(e_value_of("RR", 1.5).limit)


def test_each_measure_converts_as_table_2_of_the_paper_says():
    assert e_value_of("OR", 4.0, rare=False).rr == pytest.approx(2.0)
    assert e_value_of("OR", 4.0, rare=True).rr == 4.0
    assert e_value_of("HR", 4.0, rare=True).rr == 4.0
    hazard = (1 - 0.5**2) / (1 - 0.5**0.5)
    assert e_value_of("HR", 4.0, rare=False).rr == pytest.approx(hazard)
    smd = e_value_of("SMD", 0.5, (0.1, 0.9), se=0.2)
    assert smd.rr == pytest.approx(math.exp(0.455))
    assert smd.rr_ci == pytest.approx((math.exp(0.455 - 0.356), math.exp(0.455 + 0.356)))
    assert e_value_of("SMD", 0.5, (0.1, 0.9)).rr_ci[0] == pytest.approx(math.exp(0.091))
    assert e_value_of("MD", 5, (1, 9), se=2, sd=10).rr_ci == pytest.approx(smd.rr_ci)
    difference = e_value_of("RD", 0.1, (0.02, 0.18), baseline_risk=0.2)
    assert (difference.rr, *difference.rr_ci) == pytest.approx((1.5, 1.1, 1.9))
    assert difference.notes == ("the baseline risk is taken as known",)


@forall(st.floats(0.2, 5), st.floats(1.01, 3), st.floats(0.2, 5))
def test_an_effect_can_be_moved_to_another_than_none(estimate, width, true):
    ci = estimate / width, estimate * width
    found = e_value_of("RR", estimate, ci, true=true)
    assert found.point == pytest.approx(e_from_ratio(estimate / true))
    assert 1 <= found.limit <= found.point * (1 + 1e-12)
    assert (found.limit == 1) == (ci[0] <= true <= ci[1])


def test_a_pooled_effect_knows_its_measure_and_interval():
    found = e_value(BCG)
    mid, low, high = BCG.natural()
    assert (found.estimate, *found.ci) == pytest.approx((mid, low, high))
    assert found.point == pytest.approx(1 / mid + math.sqrt(1 / mid * (1 / mid - 1)))
    assert found.limit == pytest.approx(e_from_ratio(high))
    smd = pool(given([0.4, 0.6, 0.5], [0.02, 0.03, 0.05], measure="SMD"))
    assert e_value(smd).rr == pytest.approx(math.exp(0.91 * smd.estimate))
    assert e_value(smd).rr_ci == pytest.approx(tuple(np.exp(0.91 * np.array(smd.ci))))
    hazards = pool(given([0.4, 0.6, 0.5], [0.02, 0.03, 0.05]))
    assert e_value(hazards, measure="HR", rare=True).rr == pytest.approx(math.exp(hazards.estimate))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: e_value_of("OR", 2.0), "depends on how common the outcome is"),
        (lambda: e_value_of("RD", 0.1), "needs the risk without the exposure"),
        (lambda: e_value_of("MD", 5.0), "needs the standard deviation of the outcome"),
        (lambda: confounding(BCG, -0.1, measure="MD"), "mean differences make no risk ratios"),
        (lambda: e_value_of("RD", -0.3, baseline_risk=0.2), "stands for no risk ratio"),
        (lambda: e_value_of("RR", -0.5), "RR = -0.5 stands for no risk ratio"),
        (lambda: e_value_of("RR", 2.0, (2.5, 3.0)), "is not within its interval"),
        (lambda: e_value_of("RR", 2.0, true=0), "true = 0 is not a risk ratio"),
        (lambda: e_value_of("ZCOR", 0.3), "there is no measure with an E-value 'ZCOR'"),
        (lambda: confounding(BCG, math.log(0.9), bias_factor=0.8), "not a bias away from no"),
        (lambda: confounding(BCG, math.log(0.9), bias_sd=-1), "bias_sd = -1 is not"),
        (lambda: confounding(BCG, math.log(0.9), r=0), "r = 0 is not a share"),
        (lambda: confounding(BCG, math.log(0.9), tail="left"), "there is no tail 'left'"),
        (lambda: confounding(BCG, -0.1, method="exact"), "there is no method 'exact'"),
        (lambda: confounding(BCG, -0.1, measure="HR", rare=False), "do not convert linearly"),
        (lambda: confounding(BCG, -0.1, measure="RD"), "make no risk ratios of one kind"),
        (
            lambda: confounding(BCG, -0.1, method="calibrated", bias_sd=0.1),
            "calibrated effects take one bias factor",
        ),
        (
            lambda: confounding(pool(given([1, 2], [1, 1], measure="RR"), model="common"), 0.1),
            "a common effect has no distribution",
        ),
    ],
)
def test_faults_say_what_is_wrong_and_what_to_give(call, message):
    with pytest.raises((InputError, UnknownName), match=message):
        call()


def soy(**changes) -> PooledEffect:
    """Soy and breast cancer, Trock et al. (2006), as pooled by Mathur and VanderWeele (2020)."""
    numbers = {"estimate": -0.1931, "se": 0.0882, "tau2": 0.0973, "tau2_se": 0.0505} | changes
    return replace(BCG, **numbers)


# The example of the paper: 61% of effects below 0.9 (interval 39% to 83%, standard error 0.112);
# a bias factor of 1.63, or confounding of strength 2.64, would leave 10%.
def test_the_meta_analysis_of_the_paper_is_reproduced():
    found = confounding(soy(), math.log(0.9), r=0.10)
    assert found.tail == "below"
    assert found.observed == found.proportion == pytest.approx(0.6108, abs=2e-4)
    assert found.proportion_ci == pytest.approx((0.3913, 0.8302), abs=3e-4)
    assert found.minimum_bias == pytest.approx(1.63, abs=5e-3)
    assert found.strength == pytest.approx(2.64, abs=5e-3)


@forall(
    st.floats(-1, 1).filter(lambda m: abs(m) > 0.01),
    st.floats(0.001, 1),
    st.floats(-0.5, 0.5),
    st.floats(0.02, 0.5),
)
def test_the_minimum_bias_brings_the_share_to_where_it_is_wanted(mean, tau2, q, r):
    pooled = soy(estimate=mean, tau2=tau2)
    found = confounding(pooled, q, r=r)
    if found.observed > r * (1 + 1e-6):
        again = confounding(pooled, q, bias_factor=found.minimum_bias, r=r)
        assert again.proportion == pytest.approx(r, abs=1e-9)
        g = found.strength
        assert g * g / (2 * g - 1) == pytest.approx(found.minimum_bias)
        assert found.minimum_bias_ci[0] <= found.minimum_bias <= found.minimum_bias_ci[1]
        assert found.strength_ci[0] <= found.strength <= found.strength_ci[1]
    elif found.observed < r * (1 - 1e-6):
        assert (found.minimum_bias, found.strength) == (1, 1)
        assert "no bias is needed" in found.notes


@forall(st.floats(0.05, 0.8), st.floats(0.01, 0.5), st.floats(-0.4, 0.4), st.floats(1, 2))
def test_effects_below_mirror_effects_above(mean, tau2, q, factor):
    above = confounding(soy(estimate=mean, tau2=tau2), q, bias_factor=factor)
    below = confounding(soy(estimate=-mean, tau2=tau2), -q, bias_factor=factor)
    assert (above.tail, below.tail) == ("above", "below")
    assert below.proportion == pytest.approx(above.proportion)
    assert below.minimum_bias == pytest.approx(above.minimum_bias)
    assert below.proportion_ci == pytest.approx(above.proportion_ci)


def test_the_share_under_varying_bias_is_that_of_simulated_true_effects():
    rng = np.random.default_rng(5)
    true = 0.3 + math.sqrt(0.09 - 0.04) * rng.standard_normal(200_000)
    # Observed effects have mean 0.3 + log 1.3 and variance 0.09, 0.04 of which is bias.
    pooled = soy(estimate=0.3 + math.log(1.3), tau2=0.09)
    found = confounding(pooled, 0.2, bias_factor=1.3, bias_sd=0.2)
    assert found.proportion == pytest.approx(np.mean(true > 0.2), abs=4e-3)


def test_delta_method_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(11)
    runs, inside, inside_t = 300, 0, 0
    truth = 1 - 0.5 * math.erfc((0.35 - 0.2) / (0.3 * math.sqrt(2)))
    t_true = math.exp(0.35 - 0.2 + 0.3 * 1.2815515655446004)
    for _ in range(runs):
        v = rng.uniform(0.005, 0.05, 40)
        y = 0.35 + np.sqrt(0.09 + v) * rng.standard_normal(40)
        found = confounding(pool(given(y, v, measure="RR"), ci="Wald"), 0.2)
        inside += found.proportion_ci[0] <= truth <= found.proportion_ci[1]
        inside_t += found.minimum_bias_ci[0] <= t_true <= found.minimum_bias_ci[1]
    assert 0.90 <= inside / runs <= 0.99
    assert 0.90 <= inside_t / runs <= 0.99


def test_calibrated_effects_have_the_spread_of_the_true_ones_and_count_as_they_are():
    found = confounding(BCG, math.log(0.9), method="calibrated", r=0.2)
    y, v = BCG.effects.yi, BCG.effects.vi
    shrunken = BCG.estimate + np.sqrt(BCG.tau2 / (BCG.tau2 + v)) * (y - BCG.estimate)
    assert found.observed == np.mean(shrunken < math.log(0.9))
    again = confounding(
        BCG,
        math.log(0.9),
        method="calibrated",
        bias_factor=found.minimum_bias * (1 + 1e-9),
        r=0.2,
    )
    assert again.proportion <= 0.2 < found.observed
    assert math.isnan(found.proportion_ci[0])


def test_odds_ratios_of_a_common_outcome_enter_by_their_square_root():
    whole = soy(estimate=-0.4, tau2=0.2, se=0.1, tau2_se=0.08)
    half = soy(estimate=-0.2, tau2=0.05, se=0.05, tau2_se=0.02)
    one = confounding(whole, -0.1, measure="OR", rare=False)
    other = confounding(half, -0.1)
    assert one.proportion_ci == pytest.approx(other.proportion_ci)
    assert one.strength_ci == pytest.approx(other.strength_ci)
    assert one.notes[0] == "square root of OR"
    assert confounding(half, -0.1, measure="SMD").notes[0] == "log risk ratios as 0.91 d"


def test_without_heterogeneity_all_effects_are_one():
    flat = soy(estimate=-0.5, tau2=0.0, tau2_se=math.nan)
    found = confounding(flat, math.log(0.9))
    assert (found.observed, found.minimum_bias) == (1.0, pytest.approx(0.9 * math.exp(0.5)))
    assert math.isnan(found.proportion_ci[0])
    assert math.isnan(found.minimum_bias_ci[0])


def test_a_result_prints_lines_to_paste():
    found = confounding(soy(), math.log(0.9), bias_factor=1.3)
    assert found.summary().splitlines()[:2] == [
        "True effects below a risk ratio of 0.90: 61% as observed, 29% (95% CI 8% to 50%) at a "
        "bias factor of 1.30",
        "To bring them to 10%: a bias factor of 1.63 in every study, or confounding of strength "
        "2.64",
    ]
