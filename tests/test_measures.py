"""Effect sizes: published values, laws that hold for any data, and the edges."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from meta.errors import InputError, UnknownName
from meta.measures import MEASURES, effects, measure_named
from meta.measures import given as ready
from meta.measures.bivariate_normal import both_below
from meta.measures.checks import BadRows
from meta.measures.correlations import partial_fisher_z
from meta.measures.hypergeometric import gauss_2f1
from meta.measures.means import (
    heteroscedastic_glass_delta,
    heteroscedastic_mean_difference,
    log_ratio_of_means,
    log_variation_ratio,
    mean_difference,
    standardised_mean_difference,
)
from meta.measures.pre_post import (
    heteroscedastic_by_baseline,
    log_paired_variation_ratio,
    log_ratio_of_paired_means,
    pre_post_control,
)
from meta.measures.proportions import freeman_tukey_proportion
from meta.measures.rates import freeman_tukey_rate
from meta.measures.small_sample import hedges_j
from tests.reference.effect_sizes import check, columns_for, computed, power_series
from tests.reference.measures import LITERALS, Literal
from tests.reference.metafor_cases import cases

approx = pytest.approx

# ------------------------------------------------------------------ published and metafor values


@pytest.mark.parametrize(
    "literal", LITERALS, ids=lambda x: f"{x.measure}-{x.options.get('vtype', '')}-{x.source}"
)
def test_the_effect_is_the_one_that_metafor_computed(literal: Literal) -> None:
    legacy = effects(literal.measure, **literal.columns, **literal.options, compat="metafor-3.8")
    # metafor finds the tetrachoric correlation by R's optimize, to about four digits.
    loose = literal.measure == "RTET"
    assert legacy.yi[0] == approx(literal.yi, rel=1e-4 if loose else 1e-10, abs=1e-12)
    assert legacy.vi[0] == approx(literal.vi, rel=1e-3 if loose else 1e-10, abs=1e-12)


def test_every_measure_has_at_least_two_reference_values() -> None:
    counts = {key: sum(x.measure == key for x in LITERALS) for key in MEASURES}
    ours = {"SMDPPC", "SMDPPC1", "SMDPPC3", "GEN"}  # not metafor's; tested below
    assert {key for key, count in counts.items() if count < 2} == ours


@pytest.mark.shared
@pytest.mark.parametrize("function", ["escalc", "smd_bias_correction"])
def test_every_effect_size_of_the_reference_file_is_reproduced(shared, function) -> None:
    found = cases(shared / "reference" / "metafor_dev.json.gz", function=function)
    verdicts = {case.id: check(case) for case in found}
    assert len(verdicts) == {"escalc": 741, "smd_bias_correction": 4}[function]
    assert {k: v for k, v in verdicts.items() if v.outcome == "failed"} == {}
    differ = [case for case in found if verdicts[case.id].outcome == "differ"]
    assert {case.arguments["measure"] for case in differ} <= {"RTET", "UCOR"}
    assert len(differ) == (18 if function == "escalc" else 0)


# Hippocampal volumes of a two-arm trial, 60 people per arm, by correlation assumed.
@pytest.mark.parametrize(("r", "v"), [(0.5, 0.03366), (0.8, 0.01358), (0.95, 0.00353)])
def test_pre_post_control_difference_has_the_variance_of_morris(r: float, v: float) -> None:
    found = effects(
        "SMDPPC",
        mean_pre_1=4.89,
        mean_post_1=4.98,
        sd_pre_1=0.74,
        n_1=60,
        mean_pre_2=4.90,
        mean_post_2=4.83,
        sd_pre_2=0.80,
        n_2=60,
        r=r,
    )
    assert found.yi[0] == approx(0.2063, abs=5e-5)
    assert found.vi[0] == approx(v, abs=5e-6)


def trials_before_and_after(runs: int, n_1: int, n_2: int, r: float, gain: float):
    """Many two-arm trials of bivariate normal scores with spread 2: their columns."""
    rng = np.random.default_rng(20261125)
    columns = {"n_1": n_1, "n_2": n_2, "r": r}
    for arm, n, change in ((1, n_1, gain), (2, n_2, 0.3)):
        pre = rng.standard_normal((runs, n))
        post = r * pre + math.sqrt(1 - r**2) * rng.standard_normal((runs, n))
        for name, x, mean in (("pre", pre, 10.0), ("post", post, 10.0 + 2 * change)):
            columns[f"mean_{name}_{arm}"] = mean + 2 * x.mean(1)
            columns[f"sd_{name}_{arm}"] = 2 * x.std(1, ddof=1)
    return columns


# Morris (2008): all three estimate the same effect where the spread is one.
@pytest.mark.parametrize("key", ["SMDPPC", "SMDPPC1", "SMDPPC3"])
@pytest.mark.parametrize("r", [0.3, 0.8])
def test_pre_post_control_differences_are_unbiased_with_the_variance_they_say(key, r) -> None:
    runs = 20_000
    columns = trials_before_and_after(runs, 18, 25, r, 1.1)
    needs = MEASURES[key].needs
    found = effects(key, **{name: value for name, value in columns.items() if name in needs})
    spread = float(found.yi.std(ddof=1))
    assert found.yi.mean() == approx(0.8, abs=5 * spread / math.sqrt(runs) + 0.004)
    # J and the variance at the estimate are approximations to some per cent at such sizes.
    assert float(found.vi.mean()) == approx(spread**2, rel=0.05)


def test_each_arms_own_standardiser_is_undefined_for_three_people() -> None:
    columns = trials_before_and_after(2, 3, 8, 0.5, 1.0)
    needs = MEASURES["SMDPPC1"].needs
    found = effects("SMDPPC1", **{name: value for name, value in columns.items() if name in needs})
    assert np.isnan(found.vi).all()


@pytest.mark.shared
def test_derived_effects_of_the_trial_are_reproduced(shared) -> None:
    with (shared / "evidence" / "effects.csv").open(encoding="utf-8") as stream:
        raw = {row["effect_id"]: row for row in csv.DictReader(stream)}
    with (shared / "evidence" / "derived_effects.csv").open(encoding="utf-8") as stream:
        derived = [row for row in csv.DictReader(stream) if row["effect_id"] in {"C001", "C002"}]
    assert len(derived) == 6
    for row in derived:
        source = raw[row["effect_id"]]
        arms = {
            f"{ours}_{arm}": float(source[f"arm{arm}_{theirs}"])
            for arm in (1, 2)
            for ours, theirs in (
                ("mean_pre", "mean_pre"),
                ("mean_post", "mean_post"),
                ("sd_pre", "sd_pre"),
                ("n", "n"),
            )
        }
        r = float(row["method"].split("pre-post r=")[1].split(";")[0])
        found = effects("SMDPPC", r=r, study=[row["effect_id"]], **arms)
        assert found.yi[0] == approx(float(row["yi"]), abs=5e-5)
        assert found.vi[0] == approx(float(row["vi"]), abs=5e-6)


# ------------------------------------------------------------------ Hedges' correction


def test_exact_correction_at_small_degrees_of_freedom_is_known_in_closed_form() -> None:
    # gamma(1) / (sqrt(1) gamma(1/2)), gamma(3/2) / (sqrt(3/2) gamma(1)), gamma(2) / (√2 gamma(3/2))
    expected = [1 / math.sqrt(math.pi), math.sqrt(math.pi / 6), math.sqrt(2 / math.pi)]
    assert hedges_j([2, 3, 4]) == approx(expected, rel=1e-15)


def test_approximate_correction_is_too_large_by_the_known_amounts() -> None:
    m = np.array([2.0, 10.0, 20.0])
    assert hedges_j(m, exact=False) - hedges_j(m) == approx([7.2e-3, 3.3e-4, 8.1e-5], rel=0.02)


def test_correction_holds_its_digits_at_any_size() -> None:
    below, above = hedges_j(200.0), hedges_j(np.nextafter(200.0, 201.0))  # lgamma, then series
    assert above == approx(below, rel=1e-14)
    # 1 - J = 3/(4m) + 7/(32m²) + ... at ten million degrees of freedom
    assert 1 - hedges_j(1e7) == approx(7.5e-8, rel=1e-6)
    assert np.isnan(hedges_j([0.0, 1.0])).all()


# ------------------------------------------------------------------ laws

mean = st.floats(-50, 50)
positive_mean = st.floats(1, 50)
sd = st.floats(0.1, 30)
size = st.integers(3, 400)
arm = st.tuples(mean, sd, size)
positive_arm = st.tuples(positive_mean, sd, size)


@st.composite
def cells(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(2, 500))
    return draw(st.integers(0, total)), total


@pytest.mark.parametrize("key", ["MD", "SMD", "SMDH", "ROM", "CVR", "D2ORN", "D2ORL"])
@given(one=positive_arm, two=positive_arm)
@settings(max_examples=40)
def test_swapping_the_groups_flips_the_sign(key: str, one, two) -> None:
    formula = MEASURES[key].compute
    (y, v), (back, v_back) = formula(*one, *two), formula(*two, *one)
    assert back == approx(-y, rel=1e-9, abs=1e-12)
    assert v_back == approx(v, rel=1e-9)


@pytest.mark.parametrize(
    "key", ["RR", "OR", "PETO", "RD", "AS", "PHI", "YUQ", "YUY", "PBIT", "OR2DN", "OR2DL", "RTET"]
)
@given(one=cells(), two=cells())
@settings(max_examples=40)
def test_swapping_the_arms_of_a_table_flips_the_sign(key: str, one, two) -> None:
    formula = MEASURES[key].compute
    (y, v), (back, v_back) = formula(*one, *two), formula(*two, *one)
    assert back == approx(-y, rel=1e-7, abs=1e-9, nan_ok=True)
    assert v_back == approx(v, rel=1e-6, nan_ok=True)


@given(one=cells(), two=cells())
def test_counting_the_non_events_flips_the_sign_of_symmetric_measures(one, two) -> None:
    (a, n1), (c, n2) = one, two
    for key in ("OR", "PETO", "RD", "AS", "PHI"):
        formula = MEASURES[key].compute
        y, v = formula(a, n1, c, n2)
        other, w = formula(n1 - a, n1, n2 - c, n2)
        assert other == approx(-y, rel=1e-9, abs=1e-11, nan_ok=True)
        assert w == approx(v, rel=1e-9, nan_ok=True)


@given(one=arm, two=arm, unit=st.sampled_from([1e-3, 0.453592, 1000.0]))
def test_another_unit_scales_mean_differences_and_leaves_standardised_ones(one, two, unit) -> None:
    other = [(m * unit, s * unit, n) for m, s, n in (one, two)]
    y, v = mean_difference(*one, *two)
    y_unit, v_unit = mean_difference(*other[0], *other[1])
    assert y_unit == approx(y * unit, rel=1e-9, abs=1e-9)
    assert v_unit == approx(v * unit**2, rel=1e-9)
    for key in ("SMD", "SMDH", "RPB", "RBIS"):
        formula = MEASURES[key].compute
        assert formula(*other[0], *other[1])[0] == approx(
            formula(*one, *two)[0], rel=1e-8, abs=1e-9
        )


@given(one=arm, two=arm)
def test_the_correction_pulls_towards_zero_and_vanishes_with_size(one, two) -> None:
    plain, _ = standardised_mean_difference(*one, *two, correct=False)
    g, _ = standardised_mean_difference(*one, *two)
    assert np.abs(g) <= np.abs(plain)
    (m1, s1, _), (m2, s2, _) = one, two
    big = (m1, s1, 10**7, m2, s2, 10**7)
    assert standardised_mean_difference(*big)[0] == approx(
        standardised_mean_difference(*big, correct=False)[0], rel=1e-7
    )


@given(one=positive_arm, two=positive_arm)
def test_current_and_older_formulas_agree_in_large_samples(one, two) -> None:
    (m1, s1, _), (m2, s2, _) = one, two
    big = (m1, s1, 10**7, m2, s2, 10**7)
    for key in ("SMDH", "SMD1H", "ROM", "CVR"):
        formula = MEASURES[key].compute
        (y, v), (old, w) = formula(*big), formula(*big, compat="metafor-3.8")
        assert y == approx(old, rel=1e-3, abs=1e-3)
        assert v == approx(w, rel=1e-3)


@given(one=arm, two=arm)
def test_equal_groups_make_the_two_standardisers_one(one, two) -> None:
    (m1, s, n), (m2, _, _) = one, two
    assert heteroscedastic_mean_difference(m1, s, n, m2, s, n)[0] == approx(
        standardised_mean_difference(m1, s, n, m2, s, n)[0], rel=1e-9, abs=1e-12
    )


@given(r=st.floats(-0.999, 0.999), n=st.integers(4, 5000))
def test_the_unbiased_correlation_is_further_from_zero_and_within_one(r: float, n: int) -> None:
    y = effects("UCOR", r=r, n=n).yi[0]
    assert abs(r) * (1 - 1e-12) <= abs(y) <= 1 + 1e-12
    assert effects("UCOR", r=-r, n=n).yi[0] == approx(-y, abs=1e-15)


@pytest.mark.parametrize("key", list(MEASURES))
def test_the_way_back_from_the_scale_of_analysis_fits_the_way_there(key: str) -> None:
    there = {
        "log": math.log,
        "fisher-z": math.atanh,
        "logit": lambda p: math.log(p / (1 - p)),
        "arcsine": lambda p: math.asin(math.sqrt(p)),
        "freeman-tukey": lambda p: math.asin(math.sqrt(p)),
        "square-root": math.sqrt,
        "freeman-tukey-rate": math.sqrt,
        "identity": float,
        "cube-root": lambda alpha: 1 - (1 - alpha) ** (1 / 3),
        "log-complement": lambda alpha: -math.log(1 - alpha),
    }
    known = measure_named(key)
    assert known.natural(there[known.scale](0.3)) == approx(0.3)


@given(x=cells())
def test_the_freeman_tukey_proportion_comes_back_with_its_own_size(x) -> None:
    events, total = x
    y = effects("PFT", events=events, total=total).yi[0]
    assert freeman_tukey_proportion(y, total) == approx(events / total, abs=1e-7)


@given(events=st.integers(0, 5000), time=st.floats(0.5, 1e5))
def test_the_freeman_tukey_rate_comes_back_with_its_own_time(events: int, time: float) -> None:
    y = effects("IRFT", events=events, time=time).yi[0]
    assert freeman_tukey_rate(y, time) == approx(events / time, rel=1e-8, abs=1e-9)


# ------------------------------------------------------------------ today's formulas, by simulation


def sample(rng, mu: float, sigma: float, n: int, runs: int = 100_000):
    """Means and standard deviations of many normal samples of n."""
    means = mu + sigma / math.sqrt(n) * rng.standard_normal(runs)
    return means, sigma * np.sqrt(rng.chisquare(n - 1, runs) / (n - 1))


@pytest.mark.parametrize("n", [(8, 12), (20, 20)])
def test_variances_for_unequal_spread_are_right_on_average(n) -> None:
    rng = np.random.default_rng(20261124)
    m1, s1 = sample(rng, 1.0, 1.0, n[0])
    m2, s2 = sample(rng, 0.0, 2.0, n[1])
    for formula, truth in (
        (heteroscedastic_mean_difference, 1 / math.sqrt(2.5)),
        (heteroscedastic_glass_delta, 0.5),
    ):
        y, v = formula(m1, s1, n[0], m2, s2, n[1])
        assert np.mean(y) == approx(truth, abs=0.01)
        assert np.mean(v) == approx(np.var(y), rel=0.03)


def test_the_second_order_terms_remove_the_bias_of_the_log_ratio_of_means() -> None:
    rng = np.random.default_rng(20261124)
    data = (*sample(rng, 10.0, 4.0, 8), 8, *sample(rng, 8.0, 1.5, 12), 12)
    truth = math.log(1.25)
    corrected, _ = log_ratio_of_means(*data)
    older, _ = log_ratio_of_means(*data, compat="metafor-3.8")
    assert abs(np.mean(corrected) - truth) < 0.002 < 0.007 < abs(np.mean(older) - truth)
    assert log_ratio_of_means(*data, correct=False)[0] == approx(older)


def test_the_second_order_terms_mend_the_variance_of_the_log_variation_ratio() -> None:
    rng = np.random.default_rng(20261124)
    data = (*sample(rng, 10.0, 4.0, 8), 8, *sample(rng, 8.0, 1.5, 12), 12)
    y, v = log_variation_ratio(*data)
    older, w = log_variation_ratio(*data, compat="metafor-3.8")
    assert np.mean(v) / np.var(y) == approx(1, abs=0.04)
    assert np.mean(w) / np.var(older) < 0.93  # too small by a tenth
    assert abs(np.mean(y) - math.log(0.4 / (1.5 / 8))) < abs(
        np.mean(older) - math.log(0.4 / (1.5 / 8))
    )


def test_paired_formulas_hold_in_correlated_samples() -> None:
    rng = np.random.default_rng(20261124)
    n, r = 12, 0.6
    x = rng.standard_normal((30_000, n))
    z = r * x + math.sqrt(1 - r**2) * rng.standard_normal((30_000, n))
    pre, post = 10 + 3 * x, 13 + 5 * z
    data = (pre.mean(1), pre.std(1, ddof=1), post.mean(1), post.std(1, ddof=1), n, r)
    y, v = heteroscedastic_by_baseline(*data)
    assert np.mean(y) == approx(1, abs=0.01)
    assert np.mean(v) == approx(np.var(y), rel=0.07)
    y, _ = log_ratio_of_paired_means(*data)
    assert np.mean(y) == approx(math.log(1.3), abs=0.002)
    y, v = log_paired_variation_ratio(*data)
    older, w = log_paired_variation_ratio(*data, compat="metafor-3.8")
    assert np.mean(v) == approx(np.var(y), rel=0.04)
    assert np.mean(w) / np.var(older) < 0.93


def test_the_variance_of_a_partial_fisher_z_counts_what_is_held_constant() -> None:
    rng = np.random.default_rng(20261124)
    n, held, runs = 12, 3, 20_000
    # Regressing out k variables leaves the correlation of a sample of n - k people.
    left = n - held
    x = rng.standard_normal((runs, left))
    z = 0.5 * x + math.sqrt(0.75) * rng.standard_normal((runs, left))
    x, z = x - x.mean(1, keepdims=True), z - z.mean(1, keepdims=True)
    r = (x * z).sum(1) / np.sqrt((x**2).sum(1) * (z**2).sum(1))
    t = r * np.sqrt((left - 2) / (1 - r**2))
    y, v = partial_fisher_z(t, n, held + 1)
    assert y == approx(np.arctanh(r))
    assert np.var(y) == approx(v[0], rel=0.05)
    assert partial_fisher_z(t, n, held + 1, compat="metafor-3.8")[1][0] < 0.9 * np.var(y)


# ------------------------------------------------------------------ edges

TABLE = {"events_1": [0, 3, 0], "total_1": [20, 20, 15], "events_2": [2, 4, 0], "total_2": [20] * 3}
NAMES = ["Ada 2001", "Bohr 2002", "Curie 2003"]


def test_zero_cells_are_dealt_with_as_told_and_the_result_says_so() -> None:
    found = effects("OR", **TABLE, study=NAMES)
    assert found.yi[0] == approx(math.log(0.5 * 18.5 / (20.5 * 2.5)))
    assert found.yi[1] == approx(math.log(3 * 16 / (17 * 4)))
    assert found.notes == (
        "zero counts: 0.5 added to each count of studies with a zero count (Ada 2001, Curie 2003)",
    )
    every = effects("OR", **TABLE, study=NAMES, to="all", add=0.1)
    assert every.yi[1] == approx(math.log(3.1 * 16.1 / (17.1 * 4.1)))
    assert every.notes == (
        "zero counts: 0.1 added to each count of every study (Ada 2001, Bohr 2002, Curie 2003)",
    )


def test_a_study_without_any_event_is_dropped_only_when_asked() -> None:
    found = effects("RR", **TABLE, study=NAMES, drop00=True)
    assert np.isnan(found.yi).tolist() == [False, False, True]
    assert "undefined for Curie 2003" in found.notes
    assert np.isfinite(effects("RR", **TABLE).yi).all()


def test_nothing_is_added_without_a_zero_under_if0all() -> None:
    full = {name: values[1:2] for name, values in TABLE.items()}
    assert effects("OR", **full, to="if0all").yi[0] == approx(math.log(3 * 16 / (17 * 4)))
    assert effects("OR", **full, to="if0all").notes == ()


def test_an_undefined_effect_is_nan_in_both_effect_and_variance() -> None:
    found = effects("OR", **TABLE, to="none")
    assert np.isnan(found.yi).tolist() == np.isnan(found.vi).tolist() == [True, False, True]


def test_the_arcsine_difference_needs_nothing_added() -> None:
    found = effects("AS", **TABLE)
    assert found.yi[0] == approx(-math.asin(math.sqrt(0.1)))
    assert found.notes == ()


def test_two_people_per_group_are_enough_where_the_formula_allows_it() -> None:
    found = effects("SMD", mean_1=2, sd_1=1, n_1=2, mean_2=0, sd_2=1, n_2=2)
    assert found.yi[0] == approx(2 / math.sqrt(math.pi))  # J = 1/√π at two degrees of freedom
    one_df = effects("SMD1", mean_1=2, n_1=2, mean_2=0, sd_2=1, n_2=2)
    assert np.isnan(one_df.yi[0])


def test_huge_samples_lose_no_weight() -> None:
    found = effects("SMD", mean_1=0.1, sd_1=1, n_1=10**7, mean_2=0, sd_2=1, n_2=10**7)
    assert found.yi[0] == approx(0.1 * (1 - 3 / (8e7 - 9)), rel=1e-12)
    assert found.vi[0] == approx(2e-7 + 0.01 / 4e7, rel=1e-6)


def test_correlations_near_one_stay_finite_and_at_one_are_undefined() -> None:
    found = effects("ZCOR", r=[0.999, 1.0], n=[10, 10])
    assert found.yi[0] == approx(3.8002011672502)
    assert np.isnan(found.yi[1])


def test_ratios_of_means_of_opposite_sign_are_undefined() -> None:
    found = effects("ROM", mean_1=[2, -2], sd_1=1, n_1=9, mean_2=[1, 1], sd_2=1, n_2=9)
    assert np.isnan(found.yi).tolist() == [False, True]


@pytest.mark.parametrize("r", [-0.95, -0.2, 0.0, 0.3, 0.99])
def test_the_bivariate_normal_probability_is_right_where_it_is_known(r: float) -> None:
    h = np.array([0.0, 0.7, -1.3, 0.7, 0.0])
    k = np.array([0.0, 0.7, 0.4, 0.0, -2.1])
    got = both_below(h, k, np.full(5, r))
    assert got[0] == approx(0.25 + math.asin(r) / (2 * math.pi), abs=1e-15)
    for i in range(5):
        grid = np.linspace(-9, h[i], 20_001)  # condition on the first variable, integrate
        inner = special.ndtr((k[i] - r * grid) / math.sqrt(1 - r**2)) * np.exp(-(grid**2) / 2)
        area = np.trapezoid(inner, grid) / math.sqrt(2 * math.pi)
        assert got[i] == approx(area, abs=2e-8)


@pytest.mark.parametrize("c", [1.5, 5.0, 5.5, 40.0, 915.0])
@pytest.mark.parametrize("z", [0.05, 0.6, 0.97, 0.9984])
def test_the_hypergeometric_function_agrees_with_its_power_series(c: float, z: float) -> None:
    got = gauss_2f1(0.5, 0.5, np.array([c]), np.array([1 - z]))[0]
    assert got == approx(power_series(0.5, 0.5, c, z), rel=2e-13)


# ------------------------------------------------------------------ faults


def test_bad_numbers_are_all_named_with_study_column_and_value() -> None:
    with pytest.raises(BadRows) as fault:
        effects(
            "SMD",
            mean_1=[1, 2],
            sd_1=[-1, 2],
            n_1=[10, 1],
            mean_2=[0, None],
            sd_2=1,
            n_2=[10.5, 20],
            study=["Mang 2014", "Li 2021"],
        )
    assert str(fault.value) == (
        "4 values cannot be used\n"
        "  Mang 2014  sd_1 = -1 is not positive\n"
        "  Mang 2014  n_2 = 10.5 is not a whole number\n"
        "  Li 2021    n_1 = 1 is less than 2\n"
        "  Li 2021    mean_2 is missing\n"
        "try: correct the values against the papers, or leave those studies out and say so"
    )


@pytest.mark.parametrize(
    ("key", "columns", "said"),
    [
        (
            "RR",
            {"events_1": 4, "total_1": 3, "events_2": 1, "total_2": 9},
            "events_1 = 4 is more than total_1 = 3",
        ),
        ("COR", {"r": 1.2, "n": 20}, "r = 1.2 is not a correlation (-1 to 1)"),
        ("ZCOR", {"r": 0.2, "n": 3}, "n = 3 is less than 4, which this needs"),
        ("PR", {"events": -1, "total": 10}, "events = -1 is negative"),
        ("IR", {"events": 2, "time": 0}, "time = 0 is not positive"),
        (
            "PCOR",
            {"t": 2, "n": 6, "predictors": 5},
            "n = 6 leaves no degrees of freedom with predictors = 5",
        ),
        ("GEN", {"yi": math.inf, "vi": 1}, "yi = inf is not a finite number"),
        ("MN", {"mean": 1, "sd": "x", "n": 5}, "sd = 'x' is not a number"),
    ],
)
def test_each_kind_of_bad_number_is_told_apart(key: str, columns, said: str) -> None:
    with pytest.raises(InputError) as fault:
        effects(key, **columns, study=["Noether 1918"])
    assert f"Noether 1918  {said}" in str(fault.value)


def test_fractions_of_people_pass_only_as_effective_sample_sizes() -> None:
    data = {"events_1": 3.2, "total_1": 20.5, "events_2": 6.1, "total_2": 19.5}
    with pytest.raises(InputError, match="whole=False"):
        effects("RR", **data)
    assert effects("RR", **data, whole=False).yi[0] == approx(
        math.log(3.2 / 20.5) - math.log(6.1 / 19.5)
    )


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean 'SMD'"):
        effects("SMDD")
    with pytest.raises(UnknownName, match="known: LS, LS2, UB, AV"):
        effects("SMD", mean_1=1, sd_1=1, n_1=5, mean_2=0, sd_2=1, n_2=5, vtype="XX")
    with pytest.raises(UnknownName, match="events_1"):
        effects("RR", event_1=1)
    with pytest.raises(UnknownName, match=r"metafor-3\.8"):
        effects("ROM", mean_1=1, sd_1=1, n_1=5, mean_2=1, sd_2=1, n_2=5, compat="metafor-2")
    with pytest.raises(UnknownName, match="only0"):
        effects("RR", **TABLE, to="zeros")


def test_an_absent_column_or_name_is_told() -> None:
    with pytest.raises(InputError, match="sd_1 is not given"):
        effects("MD", mean_1=1)
    with pytest.raises(InputError, match="differ in length"):
        effects("COR", r=[0.1, 0.2], n=[10, 20, 30])
    with pytest.raises(InputError, match="2 studies are named, but the columns have 3 rows"):
        effects("RR", **TABLE, study=["a", "b"])


# ------------------------------------------------------------------ building


def test_a_data_frame_gives_its_columns_by_name() -> None:
    import pandas as pd

    frame = pd.DataFrame({"trial": ["a", "b"], "rho": [0.1, 0.5], "n": [10, 20], "lab": ["x", "x"]})
    found = effects("ZCOR", data=frame, study="trial", cluster="lab", r="rho")
    assert found.study == ("a", "b")
    assert found.cluster == ("x", "x")
    assert found.yi == approx(np.arctanh([0.1, 0.5]))
    with pytest.raises(UnknownName, match="known: trial, rho, n, lab"):
        effects("ZCOR", data=frame, r="r_value")


def test_rows_without_names_are_numbered_and_stand_for_themselves() -> None:
    found = effects("COR", r=[0.1, 0.2], n=30)
    assert found.study == found.cluster == ("study 1", "study 2")
    assert effects("COR", r=[0.1, 0.2], n=30, vtype="AV").notes == ("vtype = AV",)


def test_ready_made_effects_keep_their_measure() -> None:
    found = ready([0.1, -0.2], [0.01, 0.02], study=["a", "b"], measure="OR")
    assert found.measure.key == "OR"
    assert found.yi.tolist() == [0.1, -0.2]
    with pytest.raises(InputError, match=r"b  vi = 0 is not positive"):
        ready([0.1, -0.2], [0.01, 0], study=["a", "b"])


def test_every_measure_is_labelled_documented_and_takes_columns_that_are_checked() -> None:
    for key, known in MEASURES.items():
        assert known.label
        assert known.compute.__doc__, key
        assert all(name.islower() for name in known.needs)


def test_averaged_variances_are_constant_at_equal_sizes() -> None:
    found = effects("COR", r=[0.1, 0.5, -0.2], n=40, vtype="AV")
    assert found.vi == approx(np.full(3, (1 - (0.4 / 3) ** 2) ** 2 / 39))


def test_the_pre_post_control_difference_is_undefined_without_degrees_of_freedom() -> None:
    y, v = pre_post_control(1, 2, 1, 2, 1, 1, 1, 2, 0.5)
    assert np.isfinite(y).all()
    assert np.isnan(v).all()


def test_the_reference_runner_tells_a_wrong_result_from_a_right_one() -> None:
    # The runner must be able to fail: a case with a wrong expectation does.
    from tests.reference.metafor_cases import Case

    inputs = {"ri": np.array([0.5]), "ni": np.array([30.0])}
    y, v = computed("ZCOR", inputs, {})
    assert list(columns_for("ZCOR", inputs)) == ["r", "n"]

    def case(shift: float) -> Case:
        return Case(
            "own/ZCOR",
            "own",
            "escalc",
            {"measure": "ZCOR"},
            inputs,
            {"yi": [y[0] + shift], "vi": list(v)},
            {"rtol": 1e-10, "atol": 1e-12},
        )

    assert check(case(0.0)).outcome == "passed"
    assert check(case(1e-8)).outcome == "failed"


def test_a_choice_to_add_nothing_is_said_where_there_are_zero_counts() -> None:
    table = {"events_1": [0, 3], "total_1": 20, "events_2": [2, 4], "total_2": 20}
    for choice in ({"to": "none"}, {"add": 0.0}):
        notes = effects("RD", **table, **choice).notes
        assert notes == ("zero counts: nothing added (study 1)",)
    assert effects("AS", **table).notes == ()


def test_studies_that_are_dropped_get_nothing_added() -> None:
    table = {"events_1": [0, 0, 3], "total_1": 20, "events_2": [0, 2, 4], "total_2": 20}
    notes = effects("OR", **table, drop00=True).notes
    assert notes[0] == (
        "zero counts: 0.5 added to each count of studies with a zero count (study 2)"
    )


# metafor 3.8 averages the coefficients of variation of all studies, an infinite one included.
@pytest.mark.parametrize("vtype", ["AV", "AVHO"])
def test_a_mean_of_zero_spoils_an_averaged_variation_in_metafor_only(vtype: str) -> None:
    arms = {
        "mean_1": np.array([1.0, 2.0, 3.0, 3.0]),
        "sd_1": np.ones(4),
        "n_1": np.array([10, 12, 14, 9]),
        "mean_2": np.array([1.1, 2.2, 0.0, 2.0]),
        "sd_2": np.ones(4),
        "n_2": np.array([10, 12, 14, 9]),
    }
    formula = MEASURES["ROM"].compute
    y, v = formula(**arms, vtype=vtype, compat="metafor-3.8")
    assert np.isnan(y).all()
    assert np.isnan(v).all()
    y, v = formula(**arms, vtype=vtype)
    assert np.isnan(v).tolist() == [False, False, True, False]


# Bonett (2002): minus the log of 1 - alpha, so that the limits come back below 1.
@pytest.mark.parametrize("key", ["ARAW", "AHW", "ABT"])
def test_coefficient_alpha_comes_back_from_its_scale(key: str) -> None:
    alpha = np.array([-0.4, 0.0, 0.5, 0.93])
    y, v = MEASURES[key].compute(alpha=alpha, items=8, n=40)
    assert MEASURES[key].natural(y) == approx(alpha, abs=1e-12)
    assert (v > 0).all()
    with pytest.raises(BadRows, match="cannot be used"):
        MEASURES[key].compute(alpha=[1.2], items=[1], n=[40])
