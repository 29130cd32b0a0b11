"""Power against simulation, closed forms, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import stats

from meta.errors import InputError, UnknownName
from meta.measures import effects as effects_of
from meta.measures import given as effects_given
from meta.pooling import pool
from meta.power import (
    power_of_heterogeneity,
    power_of_moderators,
    power_of_pool,
    power_of_random_effects,
    power_of_studies,
    t_power,
)
from meta.results import Effects

V = np.array([0.01, 0.02, 0.04, 0.05, 0.09, 0.16])


def studies(v: object = V) -> Effects:
    values = np.asarray(v, dtype=float)
    return effects_given(0.2 + 0.1 * np.arange(len(values)), values)


@given(st.floats(-3, 3), st.floats(0.001, 0.3))
def test_each_study_has_the_power_of_its_z_test(effect: float, alpha: float) -> None:
    found = power_of_studies(studies(), effect, alpha=alpha)
    limit = stats.norm.isf(alpha / 2)
    z = effect / np.sqrt(V)
    assert found.power == approx(stats.norm.sf(limit - z) + stats.norm.cdf(-limit - z), abs=1e-12)
    assert (found.power >= alpha - 1e-9).all()
    assert found.median == approx(float(np.median(found.power)))


def test_without_an_effect_power_is_the_level_of_the_test() -> None:
    for side in ("two-sided", "greater", "less"):
        assert power_of_studies(studies(), 0.0, side=side).power == approx(np.full(6, 0.05))
        for test in ("Wald", "t"):
            found = power_of_pool(studies(), 0.0, side=side, test=test, tau2=0.1)
            assert found.power == approx(0.05)


@pytest.mark.parametrize("side", ["two-sided", "greater", "less"])
def test_the_detectable_effect_has_power_eighty(side: str) -> None:
    found = power_of_studies(studies(), 0.3, side=side)
    for i in range(6):
        again = power_of_studies(studies(), float(found.detectable[i]), side=side)
        assert again.power[i] == approx(0.8, abs=1e-9)
    for test in ("Wald", "t"):
        planned = power_of_pool(studies(), 0.3, tau2=0.05, side=side, test=test)
        again_pool = power_of_pool(studies(), planned.detectable, tau2=0.05, side=side, test=test)
        assert again_pool.power == approx(0.8, abs=1e-9)


def test_the_power_of_the_pool_agrees_with_simulation() -> None:
    rng = np.random.default_rng(1)
    n, effect, tau2 = 100_000, 0.25, 0.04
    y = rng.normal(effect, np.sqrt(V + tau2), (n, 6))
    w = 1 / (V + tau2)
    z = (y @ w) / math.sqrt(w.sum())
    found = power_of_pool(studies(), effect, tau2=tau2)
    share = float((np.abs(z) > stats.norm.isf(0.025)).mean())
    assert found.power == approx(share, abs=5 * math.sqrt(share * (1 - share) / n))
    # Knapp-Hartung at known weights is exactly a t test.
    mean = (y @ w) / w.sum()
    factor = ((y - mean[:, None]) ** 2 @ w) / 5
    t = mean * np.sqrt(w.sum() / factor)
    share = float((np.abs(t) > stats.t.isf(0.025, 5)).mean())
    found = power_of_pool(studies(), effect, tau2=tau2, test="Knapp-Hartung")
    assert found.power == approx(share, abs=5 * math.sqrt(share * (1 - share) / n))


def test_the_power_of_q_agrees_with_simulation() -> None:
    rng = np.random.default_rng(2)
    n, tau2 = 100_000, 0.03
    y = rng.normal(0, np.sqrt(V + tau2), (n, 6))
    w = 1 / V
    mean = (y @ w) / w.sum()
    q = (y - mean[:, None]) ** 2 @ w
    share = float((q > stats.chi2.isf(0.05, 5)).mean())
    assert power_of_heterogeneity(studies(), tau2) == approx(
        share, abs=5 * math.sqrt(share * (1 - share) / n)
    )
    assert power_of_heterogeneity(studies(), 0.0) == approx(0.05)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 2))
def test_heterogeneity_lowers_power_and_studies_raise_it(a: float, b: float, effect: float) -> None:
    low, high = sorted((a, b))
    less = power_of_pool(studies(), effect, tau2=high).power
    assert less <= power_of_pool(studies(), effect, tau2=low).power + 1e-12
    assert power_of_pool(studies(V[:3]), effect, tau2=low).power <= (
        power_of_pool(studies(), effect, tau2=low).power + 1e-12
    )


def test_the_common_effect_is_assumed_where_none_is_given() -> None:
    found = power_of_studies(studies())
    assert found.effect == approx(pool(studies(), model="common").estimate)
    assert "(common-effect estimate)" in found.summary()
    assert "80% at" in power_of_pool(studies(), 0.2, model="common").summary()
    assert power_of_pool(studies(), 0.2, model="common").tau2 == 0
    estimated = power_of_pool(studies(), 0.2, tau2="DL")
    assert estimated.tau2 == approx(pool(studies(), tau2="DL").tau2)
    assert len(found.rows()) == 6
    assert estimated.rows()[0]["k"] == 6


def test_one_study_has_no_t_test() -> None:
    found = power_of_pool(studies([0.04]), 0.5, tau2=0.0, test="t")
    assert math.isnan(found.power)
    assert "–" in found.summary()
    assert power_of_pool(studies([0.04]), 0.5, tau2=0.0).power == approx(
        float(power_of_studies(studies([0.04]), 0.5).power[0])
    )


def test_faults_are_named() -> None:
    with pytest.raises(InputError, match="alpha = 5"):
        power_of_studies(studies(), 0.2, alpha=5)
    with pytest.raises(UnknownName, match="side of a test"):
        power_of_studies(studies(), 0.2, side="both")
    with pytest.raises(InputError, match="not a variance"):
        power_of_pool(studies(), 0.2, tau2=-1.0)
    with pytest.raises(InputError, match="not a variance"):
        power_of_heterogeneity(studies(), math.inf)
    with pytest.raises(UnknownName, match="RMEL"):
        power_of_pool(studies(), 0.2, tau2="RMEL")
    single = effects_of("PLO", events=[3, 4], total=[20, 30])
    with pytest.raises(InputError, match="no value of no effect"):
        power_of_studies(single, 0.2)


def power_at_equal_sizes(v: float, k: int, effect: float, tau2: float) -> float:
    """Jackson and Turner's special case: Q is independent of the mean, (1 + tau2/v) chi-squared."""
    x, weights = np.polynomial.legendre.leggauss(400)
    q = stats.chi2.ppf(0.5 + 0.5 * x, k - 1)
    estimated = v * np.maximum(0.0, q * (1 + tau2 / v) / (k - 1) - 1)
    se, spread = np.sqrt((v + estimated) / k), math.sqrt((v + tau2) / k)
    c = stats.norm.isf(0.025)
    given_q = stats.norm.sf((c * se - effect) / spread) + stats.norm.cdf(
        (-c * se - effect) / spread
    )
    return float(0.5 * weights @ given_q)


# Jackson and Turner (2017), sect. 3: all studies of one size, DerSimonian and Laird's estimate.
@pytest.mark.parametrize("k", [2, 3, 10])
def test_with_an_estimated_tau2_power_is_that_of_the_double_integral(k: int) -> None:
    v, effect, tau2 = 0.05, 0.2, 0.08
    found = power_of_random_effects(
        studies(np.full(k, v)), effect, tau2, estimator="DL", runs=40_000
    )
    assert found.power == approx(power_at_equal_sizes(v, k, effect, tau2), abs=4 * found.power_se)
    assert found.known == power_of_pool(studies(np.full(k, v)), effect, tau2=tau2).power


def test_few_studies_can_have_less_power_than_one_of_them() -> None:
    found = power_of_random_effects(studies([0.02, 0.02]), 0.3, 0.1, test="t", runs=4000)
    assert found.power < found.study_power
    assert "average study" in found.summary()


def test_knapp_and_hartung_comes_nearer_to_its_level_with_an_estimated_tau2() -> None:
    options = {"effect": 0.0, "tau2": 0.05, "runs": 20_000}
    wald = power_of_random_effects(studies(), **options)
    knapp = power_of_random_effects(studies(), test="Knapp-Hartung", **options)
    ad_hoc = power_of_random_effects(studies(), test="ad hoc", **options)
    assert ad_hoc.power < knapp.power < wald.power - 0.01
    assert ad_hoc.power == approx(0.05, abs=0.02)


def test_a_t_test_with_one_degree_of_freedom_has_its_power() -> None:
    for ratio in (0.0, 1.0, 4.0, 8.0, 16.0):
        want = stats.nct.sf(stats.t.isf(0.025, 1), 1, ratio) if ratio else 0.025
        assert t_power(ratio, 1, 0.05, "two-sided") >= want - 1e-12
        assert t_power(ratio, 1, 0.05, "two-sided") == approx(want, abs=0.03)
    found = power_of_pool(studies([0.02, 0.02]), 0.3, tau2=0.1, test="t")
    assert power_of_pool(
        studies([0.02, 0.02]), found.detectable, tau2=0.1, test="t"
    ).power == approx(0.8)


def test_a_simulation_is_the_same_again_and_needs_no_t_test_of_one_study() -> None:
    one, two = (power_of_random_effects(studies(), 0.2, 0.03, runs=500, rng=3) for _ in range(2))
    assert one == two
    assert math.isnan(power_of_random_effects(studies([0.04]), 0.2, 0.0, test="t", runs=9).power)


# Jackson and Turner (2017): the power of a study under random effects.
@given(st.floats(-2, 2), st.floats(0, 0.5))
def test_studies_with_effects_of_their_own_are_significant_as_often_as_the_normal_says(
    effect: float, tau2: float
) -> None:
    found = power_of_studies(studies(), effect, tau2=tau2)
    limit, total = stats.norm.isf(0.025) * np.sqrt(V), np.sqrt(V + tau2)
    want = stats.norm.sf((limit - effect) / total) + stats.norm.cdf((-limit - effect) / total)
    assert found.power == approx(want, abs=1e-12)
    assert found.mean == approx(want.mean())
    again = power_of_studies(studies(), float(found.detectable[0]), tau2=tau2)
    assert again.power[0] == approx(0.8, abs=1e-8) or found.detectable[0] == 0


GROUP = ["a", "a", "b", "b", "c", "c"]


def test_the_power_of_moderators_agrees_with_simulation() -> None:
    rng = np.random.default_rng(4)
    n, tau2, true = 50_000, 0.03, np.array([0.4, -0.2])
    x = np.stack([np.ones(6), *(np.array([g == name for g in GROUP]) for name in "bc")], axis=1)
    w = 1 / (V + tau2)
    covariance = np.linalg.inv((x.T * w) @ x)
    y = x[:, 1:] @ true + np.sqrt(V + tau2) * rng.standard_normal((n, 6))
    b = y * w @ x @ covariance
    q = np.einsum("ni,ij,nj->n", b[:, 1:], np.linalg.inv(covariance[1:, 1:]), b[:, 1:])
    found = power_of_moderators(studies(), {"group": GROUP}, true, tau2=tau2)
    share = float((q > stats.chi2.isf(0.05, 2)).mean())
    assert found.power == approx(share, abs=5 * math.sqrt(share * (1 - share) / n))
    s2 = ((y - b @ x.T) ** 2 @ w) / 3
    share = float((q / 2 / s2 > stats.f.isf(0.05, 2, 3)).mean())
    knapp = power_of_moderators(studies(), {"group": GROUP}, true, tau2=tau2, test="t")
    assert knapp.power == approx(share, abs=5 * math.sqrt(share * (1 - share) / n))
    assert (knapp.df, knapp.df_2, knapp.test) == (2, 3, "Knapp-Hartung")


def test_one_moderator_has_the_power_of_its_z_test() -> None:
    found = power_of_moderators(studies(), {"x": range(6)}, {"x": 0.1}, model="common")
    x = np.stack((np.ones(6), np.arange(6)), axis=1)
    se = math.sqrt(np.linalg.inv((x.T / V) @ x)[1, 1])
    limit = stats.norm.isf(0.025)
    assert found.power == approx(
        stats.norm.sf(limit - 0.1 / se) + stats.norm.cdf(-limit - 0.1 / se), rel=1e-8
    )
    assert found.summary().startswith("6 studies, x = 0.100, residual τ² = 0.000: power ")
    assert power_of_moderators(studies(), {"x": range(6)}, [0.0]).power == approx(0.05)


def test_faults_of_assumptions_are_named() -> None:
    with pytest.raises(InputError, match="1 true values for 2 coefficients"):
        power_of_moderators(studies(), {"group": GROUP}, [0.1])
    with pytest.raises(InputError, match="every coefficient needs a true value"):
        power_of_moderators(studies(), {"group": GROUP}, {"group: b": 0.1})
    with pytest.raises(UnknownName, match="no coefficient 'group: d'"):
        power_of_moderators(studies(), {"group": GROUP}, {"group: d": 0.1})
    with pytest.raises(InputError, match="no moderator"):
        power_of_moderators(studies(), None, [])
    with pytest.raises(InputError, match="runs = 1"):
        power_of_random_effects(studies(), 0.1, 0.1, runs=1)
    with pytest.raises(InputError, match="not a variance"):
        power_of_studies(studies(), 0.1, tau2=-1)
