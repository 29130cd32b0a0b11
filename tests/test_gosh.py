"""GOSH: every subset as if it were pooled alone, and the clusters that outliers make."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx

from meta import batch
from meta.batch import Responses, Subsets, fits, responses
from meta.errors import InputError, UnknownName
from meta.fitting import fit, subset
from meta.gosh import gosh, gosh_clusters
from meta.measures import given as effects_given
from meta.pooling import pool
from meta.tau2 import estimate
from meta.weighted import Problem
from tests.reference.counts import judge
from tests.reference.metafor_cases import cases

Array = NDArray[np.float64]


def studies(k: int, *, seed: int, tau2: float = 0.05, spread: float = 1.0) -> tuple[Array, Array]:
    """Invented effects; ``spread`` is the standard deviation of the log variances."""
    rng = np.random.default_rng(seed)
    v = 0.05 * np.exp(spread * rng.standard_normal(k))
    return rng.normal(0.3, np.sqrt(v + tau2)), v


@pytest.mark.parametrize("tau2", ["REML", "DL", "PM"])
def test_each_subset_is_what_pooling_it_gives(tau2: str) -> None:
    y, v = studies(6, seed=1)
    effects = effects_given(y, v)
    found = gosh(effects, tau2=tau2)
    assert found.n == 63
    for i in range(found.n):
        alone = pool(subset(effects, found.included[i]), tau2=tau2, ci="Wald")
        assert found.estimate[i] == approx(alone.estimate, abs=1e-12)
        assert found.se[i] == approx(alone.se, rel=1e-11)
        assert found.tau2[i] == approx(alone.tau2, abs=1e-13)
        assert found.q[i] == approx(alone.q, abs=1e-10)
        assert found.i2[i] == approx(alone.i2, abs=1e-10)


def test_the_common_effect_has_no_tau2() -> None:
    y, v = studies(5, seed=2)
    effects = effects_given(y, v)
    found = gosh(effects, model="common")
    assert (found.tau2 == 0).all()
    whole = pool(effects, model="common")
    assert found.estimate[-1] == approx(whole.estimate, abs=1e-13)
    assert (found.i2[-1], found.h2[-1]) == approx((whole.i2, whole.h2), abs=1e-12)


@pytest.mark.parametrize(
    ("spread", "tau2", "seed"),
    [(0.3, 0.0, 3), (0.5, 0.1, 4), (1.5, 0.02, 5), (3.0, 0.05, 6), (6.0, 0.05, 7), (2.0, 5.0, 8)],
)
def test_every_subset_reaches_its_own_optimum(spread: float, tau2: float, seed: int) -> None:
    y, v = studies(9, seed=seed, tau2=tau2, spread=spread)
    found = gosh(effects_given(y, v))
    for i in range(found.n):
        at = found.included[i]
        want = fit(y[at], v[at], tau2="REML").tau2.value
        assert abs(found.tau2[i] - want) <= 1e-10 * (want + v[at].min())


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-12, 12)), min_size=2, max_size=7, unique=True)
)
@settings(max_examples=60)
def test_any_data_give_the_optimum_in_every_subset(rows: list[tuple[float, float]]) -> None:
    y, v = np.array([r[0] for r in rows]), np.exp(np.array([r[1] for r in rows]))
    found = gosh(effects_given(y, v))
    for i in range(found.n):
        at = found.included[i]
        if at.sum() < 2:
            continue
        problem = Problem(y[at], v[at])
        want = estimate(problem, "REML").value
        here, there = (
            float(problem.loglik(t / problem.unit, restricted=True)) for t in (found.tau2[i], want)
        )
        # The same root, or another of the same height.
        assert abs(found.tau2[i] - want) <= 1e-8 * (want + v[at].min()) or abs(
            here - there
        ) <= 1e-9 * (1 + abs(there))


def test_several_optima_are_told_apart_in_a_batch() -> None:
    # A precise study far from a loose group: the likelihood has two maxima.
    y = np.array([0.0, 1.0, 1.05, 0.95, 1.02, 3.0])
    v = np.array([1e-4, 0.02, 0.02, 0.02, 0.02, 4.0])
    several = 0
    found = gosh(effects_given(y, v))
    for i in np.flatnonzero(found.size > 1):
        at = found.included[i]
        want = fit(y[at], v[at], tau2="REML").tau2
        several += want.n_optima > 1
        assert found.tau2[i] == approx(want.value, abs=1e-10)


def test_offsets_and_units_change_nothing() -> None:
    y, v = studies(7, seed=9)
    plain = gosh(effects_given(y, v))
    moved = gosh(effects_given(1e6 + y, v))
    scaled = gosh(effects_given(1e-5 * y, 1e-10 * v))
    assert moved.tau2 == approx(plain.tau2, abs=1e-8)  # the offset takes six digits of y
    assert moved.estimate - 1e6 == approx(plain.estimate, abs=1e-8)
    assert scaled.tau2 * 1e10 == approx(plain.tau2, rel=1e-9, abs=1e-12)


def test_equal_effects_have_no_heterogeneity_anywhere() -> None:
    _, v = studies(8, seed=10)
    found = gosh(effects_given(np.full(8, 0.7), v))
    assert (found.tau2 == 0).all()
    assert found.estimate == approx(np.full(255, 0.7))
    assert found.i2.max() == 0


def test_one_study_is_one_subset() -> None:
    found = gosh(effects_given([0.4], [0.1]))
    assert found.n == 1
    assert (found.estimate[0], found.tau2[0], found.i2[0], found.h2[0]) == (0.4, 0, 0, 1)
    assert gosh_clusters(found).m == 1


def test_least_leaves_small_subsets_out() -> None:
    y, v = studies(6, seed=11)
    found = gosh(effects_given(y, v), least=4)
    assert found.n == math.comb(6, 4) + 6 + 1
    assert found.size.min() == 4


def test_drawn_subsets_are_repeatable_and_each_equally_likely() -> None:
    y, v = studies(25, seed=12)
    effects = effects_given(y, v)
    one, two = (
        gosh(effects, subsets=4000, rng=np.random.default_rng(7), tau2="DL") for _ in range(2)
    )
    assert np.array_equal(one.estimate, two.estimate)
    assert not one.every
    # Each study is in half of them, and sizes are binomial: mean k/2, variance k/4.
    assert one.included.mean(0) == approx(np.full(25, 0.5), abs=0.05)
    assert one.size.var() == approx(25 / 4, rel=0.1)
    with pytest.raises(InputError, match="too many subsets"):
        gosh(effects)
    with pytest.raises(InputError, match="source of randomness"):
        gosh(effects, subsets=10)


def test_an_outlier_splits_the_cloud_and_is_named() -> None:
    y, v = studies(10, seed=13, tau2=0.0, spread=0.0)
    homogeneous = gosh_clusters(gosh(effects_given(y, v)))
    assert homogeneous.outliers == ()
    y[3] += 3.0
    names = [f"trial {i}" for i in range(10)]
    split = gosh_clusters(gosh(effects_given(y, v, study=names)))
    assert split.m >= 2
    assert split.outliers == ("trial 3",)
    assert split.separation >= 2
    assert split.share[:, 3].min() < 0.05
    assert "they differ by: trial 3" in split.summary()


def test_faults_and_lines() -> None:
    y, v = studies(4, seed=14)
    effects = effects_given(y, v)
    with pytest.raises(UnknownName):
        gosh(effects, tau2="RMEL")
    with pytest.raises(InputError, match="least = 5"):
        gosh(effects, least=5)
    with pytest.raises(InputError, match="subsets = 0"):
        gosh(effects, subsets=0)
    found = gosh(effects)
    assert found.summary().startswith("GOSH, 4 studies, 15 subsets (all): Effect median")
    assert len(found.rows()) == 15
    assert found.rows()[0]["studies"] == "study 1"
    assert found.without("study 2").sum() == 7


def test_resampled_rows_are_fits_with_repeated_studies() -> None:
    y, v = studies(6, seed=15)
    s = np.array([[2, 0, 1, 3, 0, 0], [1, 1, 1, 1, 1, 1], [6, 0, 0, 0, 0, 0]], dtype=float).T
    for method in ("REML", "DL", "EE"):
        found = fits(Subsets(y, v, s), method)
        for i in range(2):
            at = np.repeat(np.arange(6), s[:, i].astype(int))
            want = fit(y[at], v[at], tau2=method)
            assert found.tau2[i] == approx(want.tau2.value, abs=1e-12)
            assert found.beta[i, 0] == approx(want.beta[0], abs=1e-12)
            assert found.rss[i] == approx(want.factor * want.df, rel=1e-10)
        assert found.tau2[2] == 0


def test_responses_give_the_same_in_either_coordinates() -> None:
    _, v = studies(8, seed=16, spread=0.5)
    rng = np.random.default_rng(17)
    y = rng.normal(0.2, np.sqrt(v + 0.05)[:, None], (8, 200))
    plain, turned = fits(Responses(y, v), "REML"), fits(responses(v)(y), "REML")
    assert turned.tau2 == approx(plain.tau2, abs=1e-11)
    assert turned.beta == approx(plain.beta, abs=1e-11)
    assert turned.q == approx(plain.q, abs=1e-9)
    for i in range(0, 200, 10):
        assert plain.tau2[i] == approx(fit(y[:, i], v).tau2.value, abs=1e-11)


def test_few_rows_need_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = itertools.count()
    alone = batch._alone

    def counted(*args: Any) -> float:
        next(slow)
        return alone(*args)

    monkeypatch.setattr(batch, "_alone", counted)
    y, v = studies(12, seed=18, spread=1.0)
    gosh(effects_given(y, v))
    assert next(slow) <= 0.01 * 2**12


@pytest.mark.shared
def test_every_reference_case_agrees(shared: Path) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function="gosh")
    assert found
    assert [(c.id, judge(c)) for c in found if judge(c) != ("passed", "")] == []
