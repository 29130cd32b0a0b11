"""GOSH: every subset as if it were pooled alone, and the clusters that outliers make."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx

from meta import batch, batch_rows
from meta.batch import fits
from meta.batch_designs import Regressions, responses
from meta.batch_rows import Subsets
from meta.errors import InputError, UnknownName
from meta.fitting import fit, subset
from meta.gosh import gosh, gosh_clusters
from meta.measures import given as effects_given
from meta.pooling import pool
from meta.tau2 import estimate
from meta.weighted import Problem
from tests.reference import models
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


def height(y: Array, v: Array, s: Array, t: Array) -> Array:
    """Restricted log-likelihood, but for a constant, of the subsets in ``s`` (n, k) at t (n,).

    Harville (1977), JASA 72:320-338, written out for one column of ones.
    """
    w = np.where(s, 1 / (v + t[:, None]), 0.0)
    total = w.sum(1)
    e = y - ((w @ y) / total)[:, None]
    logs = np.where(s, np.log(v + t[:, None]), 0.0).sum(1)
    return -0.5 * (logs + np.log(total) + (w * e * e).sum(1))


def score(y: Array, v: Array, s: Array, t: Array) -> Array:
    """Twice its derivative: y'PPy - tr P."""
    w = np.where(s, 1 / (v + t[:, None]), 0.0)
    total = w.sum(1)
    u = w * (y - ((w @ y) / total)[:, None])
    return (u * u).sum(1) - total + (w * w).sum(1) / total


BCG = np.array(models.YI), np.array(models.VI)
# Invented: the likelihoods of 27 of the subsets have two maxima, of which the higher is sometimes
# the one at zero, sometimes the other.
TWO_OPTIMA = (
    np.array([0.7, -0.7, -0.4, -0.5, -0.2, -0.2, 0.3, 0.2]),
    np.array([0.1071, 1.8644, 0.0912, 1.0859, 0.0068, 0.0071, 2.29, 1.164]),
)
TWO_GROUPS = (
    np.array([0.0, 1.0, 1.05, 0.95, 1.02, 3.0, 1.1, -0.2]),
    np.array([1e-4, 0.02, 0.02, 0.02, 0.02, 4.0, 0.03, 1e-4]),
)
OUTLIER = np.array([0.1, 0.5, 0.3, 0.9, -0.2, 0.4, 40.0]), np.array([5, 2, 10, 2, 30, 99, 20]) / 99
SETS = {
    "bcg": BCG,
    "two optima": TWO_OPTIMA,
    "two groups": TWO_GROUPS,
    "outlier": OUTLIER,
    "even": (np.arange(9.0) ** 1.5, np.full(9, 0.5)),
    "homogeneous": studies(11, seed=30, tau2=0.0, spread=0.3),
    "wide": studies(10, seed=31, spread=2.5),
}


@pytest.mark.parametrize("name", SETS)
def test_the_score_changes_sign_within_1e_8_of_every_tau2(name: str) -> None:
    y, v = SETS[name]
    found = gosh(effects_given(y, v), least=2)
    s, t = found.included, found.tau2
    near = 1e-8 * (t + np.where(s, v, np.inf).min(1))
    inside = t > 0
    below = score(y, v, s[inside], (t - near)[inside])
    above = score(y, v, s[inside], (t + near)[inside])
    assert inside.any()
    assert (t[inside] >= near[inside]).all()
    assert (below > 0).all()
    assert (above < 0).all()
    assert (score(y, v, s[~inside], t[~inside]) <= 0).all()


@pytest.mark.parametrize("name", SETS)
def test_no_tau2_on_a_grid_beats_the_estimate_of_any_subset(name: str) -> None:
    y, v = SETS[name]
    found = gosh(effects_given(y, v), least=2)
    best = height(y, v, found.included, found.tau2)
    for t in np.concatenate(([0.0], np.geomspace(1e-6, 4 * np.ptp(y) ** 2, 120))):
        there = height(y, v, found.included, np.full(found.n, t))
        assert (there <= best + 1e-9 * (1 + np.abs(best))).all()


def test_several_optima_are_told_apart_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    y, v = TWO_OPTIMA
    slow = counted(monkeypatch)
    found = gosh(effects_given(y, v), least=2)
    assert next(slow) == 0
    several = at_zero = 0
    for i in range(found.n):
        at = found.included[i]
        want = fit(y[at], v[at], tau2="REML").tau2
        several += want.n_optima > 1
        at_zero += want.n_optima > 1 and want.value == 0
        assert found.tau2[i] == approx(want.value, rel=1e-10, abs=1e-13)
    assert (several, at_zero) == (27, 11)


@pytest.mark.shared
def test_a_dominating_study_is_as_in_single_fits(shared: Path) -> None:
    pools = {
        case.inputs["yi"].tobytes(): (case.inputs["yi"], case.inputs["vi"])
        for case in cases(shared / "reference/metafor_dev.json.gz", function="rma.uni")
        if case.dataset == "edge.dev" and 2 <= len(case.inputs["yi"]) <= 8
    }
    assert len(pools) > 3
    for y, v in pools.values():
        found = gosh(effects_given(y, v), least=2)
        for i in range(found.n):
            at = found.included[i]
            want = fit(y[at], v[at], tau2="REML").tau2.value
            assert abs(found.tau2[i] - want) <= 1e-9 * (want + v[at].min())


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


def test_threads_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y, v = studies(12, seed=20)
    effects = effects_given(y, v)
    one, two = gosh(effects), gosh(effects, workers=2)
    monkeypatch.setattr(batch_rows, "LOW", 7)
    monkeypatch.setattr(batch_rows, "BLOCK", 100)
    small = gosh(effects, workers=3)
    assert np.array_equal(one.tau2, two.tau2)
    for name in ("estimate", "se", "q", "i2", "h2"):
        assert getattr(small, name) == approx(getattr(one, name), abs=1e-10)
    assert np.array_equal(small.included, one.included)
    with pytest.raises(InputError, match="workers = 0"):
        gosh(effects, workers=0)


def test_a_fault_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        batch.in_chunks(lambda part: 1 // part, iter([1, 0, 1]), 2)


@pytest.mark.parametrize("tau2", ["REML", "DL"])
def test_memory_beyond_the_result_does_not_grow_with_the_subsets(tau2: str) -> None:
    def beyond(k: int) -> int:
        effects = effects_given(*studies(k, seed=21))
        tracemalloc.start()
        found = gosh(effects, tau2=tau2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        names = ("included", "size", "estimate", "se", "tau2", "q", "i2", "h2")
        return int(peak) - sum(getattr(found, name).nbytes for name in names)

    large = beyond(18)  # 262,143 subsets
    assert large < 20e6
    assert large < 1.5 * beyond(16)


def test_a_seed_serves_as_a_source_of_randomness() -> None:
    effects = effects_given(*studies(22, seed=22))
    one = gosh(effects, subsets=500, tau2="DL", rng=5)
    two = gosh(effects, subsets=500, tau2="DL", rng=np.random.default_rng(5))
    assert np.array_equal(one.included, two.included)


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=30)
def test_rows_with_moderators_are_regressions_of_their_studies(seed: int, p: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(p + 2, 10))
    x = np.column_stack((np.ones(k), rng.normal(size=(k, p - 1))))
    v = np.exp(rng.normal(-2, 1.2, k))
    y = rng.normal(x.sum(1), np.sqrt(v + 0.1))
    frame = batch.Frame.of(y, v, x)
    often = rng.integers(0, 3, (k, 12)).astype(float)
    often[0, often.sum(0) == 0] = 1.0
    for method in ("REML", "DL", "EE", "PM"):
        rows = frame.rows(often)
        found = fits(rows, method)
        beta, covariance = frame.coefficients(found.beta), frame.covariance(found.covariance)
        rss = rows.rss(found.tau2, found.beta)
        for i in range(12):
            at = np.repeat(np.arange(k), often[:, i].astype(int))
            try:
                want = fit(y[at], v[at], x[at], tau2=method)
            except InputError:
                assert np.isnan(beta[i]).all()
                continue
            if want.df == 0:
                continue
            tau2 = found.tau2[i] * frame.unit**2
            assert tau2 == approx(want.tau2.value, rel=1e-8, abs=1e-8 * v.min())
            assert beta[i] == approx(want.beta, rel=1e-7, abs=1e-7)
            assert covariance[i] == approx(want.vb, rel=1e-6, abs=1e-6 * np.abs(want.vb).max())
            assert found.q[i] == approx(want.q, rel=1e-7, abs=1e-9)
            assert rss[i] == approx(want.factor * want.df, rel=1e-6, abs=1e-9)


def test_effects_of_a_design_give_the_same_in_either_coordinates() -> None:
    rng = np.random.default_rng(23)
    k = 15
    x = np.column_stack((np.ones(k), rng.normal(size=k), rng.integers(0, 2, k)))
    basis = np.linalg.qr(x)[0]
    v = rng.uniform(0.02, 0.2, k)
    y = rng.normal(0, np.sqrt(v + 0.05)[:, None], (k, 300))
    turned = fits(responses(v, basis)(y), "REML")
    plain = fits(Regressions(y, v, basis.T[:, :, None]), "REML")
    assert turned.tau2 == approx(plain.tau2, abs=1e-10)
    assert turned.beta == approx(plain.beta, abs=1e-10)
    assert turned.covariance == approx(plain.covariance, abs=1e-12)
    assert turned.q == approx(plain.q, rel=1e-10)
    for i in range(0, 300, 30):
        assert turned.tau2[i] == approx(fit(y[:, i], v, x).tau2.value, abs=1e-10)


def test_effects_of_very_unequal_variance_are_not_rotated() -> None:
    v = np.array([1e-6, 0.02, 0.1, 0.3, 2.0])
    y = np.random.default_rng(24).normal(0, np.sqrt(v + 0.1)[:, None], (5, 60))
    rows = responses(v)(y)
    assert type(rows) is Regressions
    found = fits(rows, "REML")
    for i in range(60):
        want = fit(y[:, i], v).tau2.value
        assert found.tau2[i] == approx(want, rel=1e-9, abs=1e-14)


def test_resampled_rows_are_fits_with_repeated_studies() -> None:
    y, v = studies(6, seed=15)
    s = np.array([[2, 0, 1, 3, 0, 0], [1, 1, 1, 1, 1, 1], [6, 0, 0, 0, 0, 0]], dtype=float).T
    for method in ("REML", "DL", "EE"):
        rows = Subsets(y, v, s)
        found = fits(rows, method)
        rss = rows.rss(found.tau2, found.beta)
        for i in range(2):
            at = np.repeat(np.arange(6), s[:, i].astype(int))
            want = fit(y[at], v[at], tau2=method)
            assert found.tau2[i] == approx(want.tau2.value, abs=1e-12)
            assert found.beta[i, 0] == approx(want.beta[0], abs=1e-12)
            assert rss[i] == approx(want.factor * want.df, rel=1e-10)
        assert found.tau2[2] == 0


def test_responses_give_the_same_in_either_coordinates() -> None:
    _, v = studies(8, seed=16, spread=0.5)
    rng = np.random.default_rng(17)
    y = rng.normal(0.2, np.sqrt(v + 0.05)[:, None], (8, 200))
    plain, turned = (
        fits(Regressions(y, v, np.ones((1, 8, 1))), "REML"),
        fits(responses(v)(y), "REML"),
    )
    assert turned.tau2 == approx(plain.tau2, abs=1e-11)
    assert turned.beta == approx(plain.beta, abs=1e-11)
    assert turned.q == approx(plain.q, abs=1e-9)
    for i in range(0, 200, 10):
        assert plain.tau2[i] == approx(fit(y[:, i], v).tau2.value, abs=1e-11)


def counted(monkeypatch: pytest.MonkeyPatch) -> itertools.count[int]:
    """A count of the rows that are fitted one by one."""
    slow = itertools.count()
    alone = batch._alone

    def one(*args: Any) -> Any:
        next(slow)
        return alone(*args)

    monkeypatch.setattr(batch, "_alone", one)
    return slow


@pytest.mark.parametrize(("spread", "most"), [(0.3, 0), (1.0, 0), (2.5, 40)])
def test_few_rows_need_the_slow_way(
    spread: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = counted(monkeypatch)
    y, v = studies(12, seed=18, spread=spread)
    gosh(effects_given(y, v))
    assert next(slow) <= most


@pytest.mark.shared
def test_every_reference_case_agrees(shared: Path) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function="gosh")
    assert found
    assert [(c.id, judge(c)) for c in found if judge(c) != ("passed", "")] == []
