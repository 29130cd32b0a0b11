"""Permutation tests and bootstrap: exact shares, laws, and agreement with single fits."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx

from meta.errors import InputError, UnknownName
from meta.measures import given as effects_given
from meta.pooling import pool
from meta.regression import regress
from meta.resampling import _arrangements, bootstrap, permutation_test
from meta.results import Effects
from tests.reference.counts import judge
from tests.reference.metafor_cases import cases

Array = NDArray[np.float64]


def studies(k: int, *, seed: int, mean: float = 0.3) -> Effects:
    """Invented effects of k studies."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.2, k)
    return effects_given(rng.normal(mean, np.sqrt(v + 0.05)), v)


def source() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.mark.parametrize("test", ["Wald", "Knapp-Hartung", "ad hoc"])
@pytest.mark.parametrize("tau2", ["REML", "DL", "PM"])
def test_flipped_signs_give_what_single_fits_give(test: str, tau2: str) -> None:
    effects = studies(5, seed=1)
    found = permutation_test(effects, tau2=tau2, test=test)
    assert (found.exact, found.n) == (True, 32)
    want = []
    for signs in itertools.product((1, -1), repeat=5):
        flipped = effects_given(effects.yi * np.array(signs), effects.vi)
        want.append(pool(flipped, tau2=tau2, ci=test).statistic)
    assert np.sort(found.permuted[:, 0]) == approx(np.sort(want), abs=1e-9)
    reached = np.abs(want) >= abs(want[0]) - 1e-9
    assert found.p[0] == approx(reached.mean())
    assert math.isnan(found.omnibus_p)


@pytest.mark.parametrize("test", ["Wald", "Knapp-Hartung"])
def test_permuted_moderators_give_what_single_regressions_give(test: str) -> None:
    effects = studies(5, seed=2)
    x = np.array([0.3, 1.0, 2.2, 3.1, 4.5])
    found = permutation_test(effects, {"dose": x}, test=test)
    assert (found.exact, found.n) == (True, 120)
    want = np.array(
        [
            regress(effects, {"dose": x[list(order)]}, test=test).statistic
            for order in itertools.permutations(range(5))
        ]
    )
    assert np.sort(found.permuted, 0) == approx(np.sort(want, 0), abs=1e-8)
    observed = regress(effects, {"dose": x}, test=test)
    assert found.statistic == approx(observed.statistic)
    share = (np.abs(want) >= np.abs(observed.statistic) - 1e-9).mean(0)
    assert found.p == approx(share)
    # With one moderator the joint test is that of its coefficient.
    assert found.omnibus_p == approx(found.p[1])


def test_repeated_moderators_are_counted_once() -> None:
    effects = studies(7, seed=3)
    group = ["a", "b", "a", "a", "b", "a", "b"]
    found = permutation_test(effects, {"group": group})
    assert found.n == math.comb(7, 3)
    whole = [
        regress(effects, {"group": [group[i] for i in order]}, test="Wald").statistic[1]
        for order in itertools.islice(itertools.permutations(range(7)), 0, 5040, 12)
    ]
    distinct = np.unique(np.round(found.permuted[:, 1], 6))
    assert np.isin(np.round(whole, 6), distinct).all()


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_arrangements_are_all_and_distinct(counts: list[int]) -> None:
    rows = [tuple(row) for row in _arrangements(counts)]
    total = math.factorial(sum(counts)) // math.prod(math.factorial(m) for m in counts)
    assert len(rows) == len(set(rows)) == total


@given(st.integers(0, 10_000), st.integers(2, 7))
@settings(max_examples=25)
def test_p_is_a_multiple_of_the_share_of_one_pattern_and_its_opposite(seed: int, k: int) -> None:
    found = permutation_test(studies(k, seed=seed), tau2="DL")
    count = found.p[0] * 2**k
    assert count == approx(round(count))
    assert 2 <= round(count) <= 2**k
    mirrored = permutation_test(effects_given(-found.effects.yi, found.effects.vi), tau2="DL")
    assert mirrored.p[0] == approx(found.p[0])


def test_sampled_permutations_are_near_the_exact_and_repeatable() -> None:
    effects = studies(9, seed=5, mean=0.15)
    exact = permutation_test(effects)
    one, two = (permutation_test(effects, exact=False, draws=4999, rng=source()) for _ in range(2))
    assert one.p[0] == two.p[0]
    assert one.n == 5000
    spread = math.sqrt(exact.p[0] * (1 - exact.p[0]) / 5000)
    assert abs(one.p[0] - exact.p[0]) < 5 * spread
    x = np.arange(9.0)
    sampled = permutation_test(effects, {"x": x}, exact=False, draws=199, rng=source())
    assert sampled.p.min() >= 1 / 200
    assert "199 of" in sampled.notes[0]


def test_many_studies_are_sampled_and_need_a_source() -> None:
    effects = studies(30, seed=6)
    with pytest.raises(InputError, match="source of randomness"):
        permutation_test(effects)
    with pytest.raises(InputError, match="too many to take all"):
        permutation_test(effects, exact=True)
    found = permutation_test(effects, draws=999, rng=source())
    assert not found.exact
    assert found.p[0] == approx(0.001)
    assert found.summary().startswith("Permutation test (sampled, 1,000 permutations)")


def test_one_study_tells_nothing() -> None:
    found = permutation_test(effects_given([0.5], [0.01]))
    assert (found.n, found.p[0]) == (2, 1.0)
    undefined = permutation_test(effects_given([0.5], [0.01]), test="Knapp-Hartung")
    assert math.isnan(undefined.p[0])


def test_equal_and_empty_effects_have_defined_p() -> None:
    equal = permutation_test(effects_given(np.full(5, 0.4), np.full(5, 0.1)), test="Knapp-Hartung")
    assert equal.p[0] == approx(2 / 32)
    nothing = permutation_test(effects_given(np.zeros(4), np.full(4, 0.1)), test="Knapp-Hartung")
    assert nothing.p[0] == 1


@pytest.mark.parametrize("model", ["random", "common"])
@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_the_bootstrap_spreads_as_the_model_says(kind: str, model: str) -> None:
    effects = studies(40, seed=7)
    found = bootstrap(effects, kind=kind, model=model, draws=4000, rng=source())
    pooled = pool(effects, model=model, ci="Wald")
    assert found.estimate == approx(pooled.estimate, abs=1e-12)
    assert found.n == 4000
    if (kind, model) != ("case", "common"):  # cases differ by more than sampling error
        assert found.se == approx(pooled.se, rel=0.2)
        assert found.ci == approx(pooled.ci, abs=0.25 * pooled.se + 0.03)
    if model == "common":
        assert (found.tau2s == 0).all()
        assert found.tau2_ci == (0, 0)
    else:
        assert found.tau2_ci[0] <= found.tau2 <= found.tau2_ci[1]
        assert found.i2_ci[0] <= found.i2 <= found.i2_ci[1]
    assert found.ci[0] < found.estimate < found.ci[1]


def test_intervals_relate_as_they_should() -> None:
    effects = studies(15, seed=8)
    settings = {"kind": "case", "draws": 3000, "tau2": "DL"}
    percentile, basic, bca = (
        bootstrap(effects, interval=name, rng=source(), **settings)
        for name in ("percentile", "basic", "BCa")
    )
    low, high = percentile.ci
    estimate = percentile.estimate
    assert basic.ci == approx((2 * estimate - high, 2 * estimate - low))
    assert bca.ci == approx(percentile.ci, abs=0.3 * (high - low))
    assert bca.ci != percentile.ci


def test_a_bootstrap_repeats_with_its_source_and_prints_a_line() -> None:
    effects = studies(12, seed=9)
    one, two = (bootstrap(effects, draws=500, rng=source()) for _ in range(2))
    assert np.array_equal(one.estimates, two.estimates)
    assert "percentile parametric bootstrap CI" in one.summary()
    assert [row["quantity"] for row in one.rows()] == ["estimate", "tau2", "i2"]


def test_faults_of_resampling_name_the_choice() -> None:
    effects = studies(6, seed=10)
    with pytest.raises(UnknownName, match="kind of bootstrap 'wild'"):
        bootstrap(effects, kind="wild", rng=source())
    with pytest.raises(UnknownName, match="bootstrap interval"):
        bootstrap(effects, interval="t", rng=source())
    with pytest.raises(InputError, match="BCa"):
        bootstrap(effects, interval="BCa", rng=source())
    with pytest.raises(InputError, match="1 of at least 2"):
        bootstrap(effects_given([0.1], [0.2]), rng=source())
    with pytest.raises(InputError, match="draws = 0"):
        permutation_test(effects, exact=False, draws=0, rng=source())


def test_two_studies_can_be_bootstrapped() -> None:
    found = bootstrap(effects_given([0.1, 0.9], [0.1, 0.2]), kind="case", draws=200, rng=source())
    assert set(np.round(found.estimates, 9)) >= {0.1, 0.9}


@pytest.mark.shared
def test_every_reference_case_agrees(shared: Path) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function="permutest")
    assert found
    assert [(c.id, judge(c)) for c in found if judge(c) != ("passed", "")] == []
