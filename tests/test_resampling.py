"""Permutation tests and bootstrap: exact shares, laws, and agreement with single fits."""

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

from meta.errors import InputError, UnknownName
from meta.fitting import fit
from meta.measures import given as effects_given
from meta.pooling import pool
from meta.regression import regress
from meta.resampling import (
    _arrangements,
    bootstrap,
    bootstrap_regression,
    permutation_test,
)
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


def dose_response(k: int, *, seed: int) -> tuple[Effects, dict[str, Any]]:
    """Invented effects of k studies that rise with the dose."""
    rng = np.random.default_rng(seed)
    dose, v = rng.uniform(0, 4, k), rng.uniform(0.02, 0.2, k)
    return effects_given(rng.normal(0.1 + 0.3 * dose, np.sqrt(v + 0.05)), v), {"dose": dose}


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_each_resample_is_a_fit_of_its_own(kind: str) -> None:
    effects, moderators = dose_response(12, seed=11)
    x = np.column_stack((np.ones(12), moderators["dose"]))
    plain = bootstrap(effects, kind=kind, draws=40, rng=7)
    found = bootstrap_regression(effects, moderators, kind=kind, draws=40, rng=7)
    mean, own = fit(effects.yi, effects.vi), fit(effects.yi, effects.vi, x)
    rng = np.random.default_rng(7)
    if kind == "parametric":
        normal = rng.standard_normal((12, 40))
    else:
        drawn = rng.integers(0, 12, (12, 40))
    for i in range(40):
        at = np.arange(12) if kind == "parametric" else drawn[:, i]
        y = z = effects.yi[at]
        if kind == "parametric":
            y = mean.beta + np.sqrt(effects.vi + mean.tau2.value) * normal[:, i]
            z = x @ own.beta + np.sqrt(effects.vi + own.tau2.value) * normal[:, i]
        pooled, fitted = fit(y, effects.vi[at]), fit(z, effects.vi[at], x[at])
        assert plain.estimates[i] == approx(pooled.beta[0], abs=1e-9)
        assert plain.tau2s[i] == approx(pooled.tau2.value, abs=1e-9)
        assert plain.i2s[i] == approx(pooled.i2, abs=1e-8)
        assert found.estimates[i] == approx(fitted.beta, abs=1e-8)
        assert found.tau2s[i] == approx(fitted.tau2.value, abs=1e-9)
        assert found.i2s[i] == approx(fitted.i2, abs=1e-8)


def test_a_bootstrap_of_a_regression_agrees_with_the_model_that_it_draws_from() -> None:
    effects, moderators = dose_response(30, seed=12)
    found = bootstrap_regression(effects, moderators, draws=4000, rng=source())
    model = regress(effects, moderators, test="Wald")
    assert found.names == model.names
    assert found.estimate == approx(model.beta)
    assert found.se == approx(model.se, rel=0.1)
    assert found.bias == approx([0, 0], abs=0.05 * model.se.max())
    assert found.ci == approx(model.ci, abs=0.2 * model.se.max())
    assert found.tau2_ci[0] <= found.tau2 <= found.tau2_ci[1]
    lines = found.summary().splitlines()
    assert lines[0] == "Parametric bootstrap of a meta-regression, 4,000 resamples"
    assert lines[2] == "dose: 0.286 (95% percentile CI 0.182 to 0.394)"
    assert [row["coefficient"] for row in found.rows()] == ["intercept", "dose"]


def test_intervals_of_a_regression_relate_as_they_should() -> None:
    effects, moderators = dose_response(20, seed=13)
    percentile, basic, bca = (
        bootstrap_regression(
            effects, moderators, kind="case", interval=name, tau2="DL", draws=1500, rng=4
        )
        for name in ("percentile", "basic", "BCa")
    )
    mirrored = 2 * percentile.estimate[:, None] - percentile.ci[:, ::-1]
    assert basic.ci == approx(mirrored)
    assert bca.ci == approx(percentile.ci, abs=0.3 * np.ptp(percentile.ci))
    assert not np.array_equal(bca.ci, percentile.ci)


def test_resamples_without_contrast_are_left_out_and_counted() -> None:
    effects, _ = dose_response(8, seed=14)
    group = ["old"] * 6 + ["new"] * 2
    found = bootstrap_regression(effects, {"group": group}, kind="case", draws=1000, rng=5)
    # Neither of two studies is among eight draws with a probability of (3/4)^8 = 0.1, and only
    # they with one of (1/4)^8.
    assert 1000 - found.n == approx(100, abs=40)
    assert found.notes == (
        f"{1000 - found.n} resamples could not tell the moderators apart and are left out",
    )
    assert found.summary().endswith(found.notes[0])
    assert np.isfinite(found.estimates).all()
    assert np.isfinite(found.ci).all()


def test_the_common_effect_has_a_bootstrap_too() -> None:
    effects, moderators = dose_response(15, seed=15)
    found = bootstrap_regression(effects, moderators, model="common", draws=300, rng=6)
    assert (found.tau2, found.tau2_ci, found.tau2_method) == (0, (0, 0), "")
    assert "τ²" not in found.summary()


def test_offsets_move_the_intercept_alone() -> None:
    effects, moderators = dose_response(12, seed=16)
    far = effects_given(effects.yi + 1000, effects.vi)
    one, two = (bootstrap_regression(e, moderators, draws=100, rng=8) for e in (effects, far))
    assert two.estimates - [1000, 0] == approx(one.estimates, abs=1e-7)
    one_p, two_p = (permutation_test(e, moderators, draws=200, rng=9) for e in (effects, far))
    assert two_p.permuted[:, 1] == approx(one_p.permuted[:, 1], abs=1e-6)


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_threads_change_no_resample(kind: str) -> None:
    effects, moderators = dose_response(60, seed=17)  # 9,000 of its resamples are two chunks
    one, two = (bootstrap(effects, kind=kind, draws=9000, rng=1, workers=w) for w in (1, 2))
    assert np.array_equal(one.estimates, two.estimates)
    one, two = (
        bootstrap_regression(effects, moderators, kind=kind, draws=9000, rng=1, workers=w)
        for w in (1, 2)
    )
    assert np.array_equal(one.estimates, two.estimates)


@pytest.mark.parametrize("moderated", [False, True])
def test_threads_change_no_permutation(moderated: bool) -> None:
    effects, moderators = dose_response(40, seed=18)
    one, two = (
        permutation_test(effects, moderators if moderated else None, draws=9000, rng=1, workers=w)
        for w in (1, 2)
    )
    assert np.array_equal(one.permuted, two.permuted)


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_memory_does_not_grow_with_the_resamples(kind: str) -> None:
    effects = studies(100, seed=19)

    def beyond(draws: int) -> int:
        tracemalloc.start()
        found = bootstrap(effects, kind=kind, draws=draws, rng=source(), tau2="DL")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return int(peak) - 3 * found.estimates.nbytes

    large = beyond(100_000)  # the resamples alone would be 80 MB
    assert large < 25e6
    assert large < 1.3 * beyond(20_000)


@pytest.mark.shared
def test_every_reference_case_agrees(shared: Path) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function="permutest")
    assert found
    assert [(c.id, judge(c)) for c in found if judge(c) != ("passed", "")] == []
