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
from meta.power import power_of_heterogeneity, power_of_pool, power_of_studies
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
