"""Derived numbers: published examples, ways there and back, and what cannot be derived."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from meta import conversions as cv
from meta.errors import InputError, UnknownName
from meta.measures import effects

approx = pytest.approx
size = st.integers(5, 500)
spread = st.floats(0.01, 100)
some = st.floats(-50, 50)
correlation = st.floats(-0.95, 0.95)

# ------------------------------------------------------------------ published examples


def test_the_crossover_example_of_the_handbook_is_reproduced() -> None:
    # Cochrane Handbook 5.1, section 16.4.6.4: SMD 0.218 with standard error 0.256 from r = 0.68.
    found = cv.crossover(0.5, 2.0, 2.575, 10, 0.68)
    assert found["smd"] == approx(0.218, abs=2e-3)
    assert found["se_smd"] == approx(0.256, abs=5e-4)
    assert found["se"] == approx(math.sqrt((2.0**2 + 2.575**2 - 2 * 0.68 * 2 * 2.575) / 10))


def test_p_values_give_the_effects_that_metafors_help_prints() -> None:
    # help(escalc): pi=-0.018 with 20 and 20 people, with 50 pairs; pi=-0.07 with 30 people.
    assert cv.g_from_p(0.018, 20, 20, sign=-1)["g"] == approx(-0.7664, abs=5e-5)
    assert cv.dz_from_p(0.018, 50, sign=-1)["g"] == approx(-0.3408, abs=5e-5)
    assert cv.r_from_p(0.07, 30, sign=-1)["r"] == approx(-0.3354, abs=5e-5)


def test_quantile_formulas_have_the_constants_of_their_papers() -> None:
    # Wan et al. (2014): IQR / 1.35 and range / ... in large samples; Luo et al. (2018): weights.
    assert cv.sd_from_iqr(0, 1.35, 10_000).value == approx(1, abs=2e-3)
    assert cv.mean_from_iqr(0, 0, 2, 100).value == approx(0.7 + 0.39 / 100)
    assert cv.mean_from_range(0, 0, 2, 16).value == approx(4 / 12)
    # at n = 5: Φ⁻¹(3.625/5.25) and Φ⁻¹(4.625/5.25) from tables of the normal
    assert cv.sd_from_iqr(0, 1, 5).value == approx(1 / (2 * 0.4972), abs=2e-3)
    assert cv.sd_from_range(0, 1, 5).value == approx(1 / (2 * 1.1798), abs=2e-3)


def test_the_standard_deviations_of_the_handbook_are_reproduced() -> None:
    # Cochrane Handbook 6.5.2.2: 95% interval 30.0 to 34.2 of 25 people.
    assert cv.sd_from_ci(30.0, 34.2, 25).value == approx(5.09, abs=5e-3)
    # 6.5.2.3: 25 and 22 people, difference 3.8, p = 0.008: t = 2.78, SE = 1.37, SD = 4.69.
    found = cv.pooled_sd_from_p(3.8, 0.008, 25, 22)
    assert (found["t"], found["se"]) == approx((2.78, 1.37), abs=6e-3)
    assert found["sd"] == approx(4.69, abs=0.01)
    assert cv.pooled_sd_from_t(3.8, 2.78, 25, 22)["sd"] == approx(4.69, abs=0.02)


def test_the_changes_of_the_handbook_are_reproduced() -> None:
    # Cochrane Handbook 6.5.2.8: correlations 0.78 and 0.82, then a change's SD from r = 0.80.
    assert cv.correlation_from_change(6.4, 7.1, 4.5).value == approx(0.78, abs=5e-3)
    assert cv.correlation_from_change(7.0, 6.9, 4.2).value == approx(0.82, abs=5e-3)
    assert cv.change_sd(4.0, 4.4, 0.80).value == approx(2.68, abs=5e-3)


def test_the_classrooms_of_the_handbook_shrink_as_there() -> None:
    # Cochrane Handbook 23.1.4: 625 children in 21 classrooms, ICC 0.02.
    size = (295 + 330) / (10 + 11)
    assert cv.design_effect(size, 0.02).value == approx(1.576, abs=1e-3)
    shrunk = [cv.effective_n(n, size, 0.02).value for n in (63, 295, 84, 330)]
    assert shrunk == approx([40.0, 187.2, 53.3, 209.4], abs=0.1)


# The mean range of n standard normal values (Tippett 1925, Biometrika 17:364-387, table 10).
@pytest.mark.parametrize(("n", "mean_range"), [(5, 2.326), (10, 3.078), (25, 3.931), (100, 5.015)])
def test_the_range_is_divided_by_its_mean_in_normal_samples(n: int, mean_range: float) -> None:
    assert 1 / cv.sd_from_range(0, 1, n).value == approx(mean_range, rel=0.02)


# ------------------------------------------------------------------ the formulas do what they say


@pytest.mark.parametrize("n", [15, 50, 201])
def test_quantiles_of_normal_samples_give_back_mean_and_spread(n: int) -> None:
    rng = np.random.default_rng(20261124)
    x = np.sort(rng.normal(10, 2, (1000, n)), axis=1)
    q1, q3 = np.quantile(x, [0.25, 0.75], axis=1)
    rows = list(zip(x[:, 0], q1, np.median(x, axis=1), q3, x[:, -1], strict=True))
    for name, got, want in (
        ("range", [cv.sd_from_range(a, b, n).value for a, _, _, _, b in rows], 2),
        ("iqr", [cv.sd_from_iqr(q, r, n).value for _, q, _, r, _ in rows], 2),
        ("both", [cv.sd_from_five(a, q, r, b, n).value for a, q, _, r, b in rows], 2),
        ("equal parts", [cv.sd_from_five_wan(a, q, r, b, n).value for a, q, _, r, b in rows], 2),
        ("mean, range", [cv.mean_from_range(a, m, b, n).value for a, _, m, _, b in rows], 10),
        ("mean, iqr", [cv.mean_from_iqr(q, m, r, n).value for _, q, m, r, _ in rows], 10),
        ("mean, five", [cv.mean_from_five(a, q, m, r, b, n).value for a, q, m, r, b in rows], 10),
    ):
        # the quartiles of other definitions move the spread by some per cent in small samples
        assert np.mean(got) == approx(want, rel=0.05 if n < 50 else 0.02), name
    optimal = np.var([cv.sd_from_five(a, q, r, b, n).value for a, q, _, r, b in rows])
    for other in (
        [cv.sd_from_range(a, b, n).value for a, _, _, _, b in rows],
        [cv.sd_from_iqr(q, r, n).value for _, q, _, r, _ in rows],
    ):
        assert optimal < np.var(other)


@pytest.mark.parametrize("n", [25, 101])
def test_the_skewness_test_errs_in_one_of_twenty_normal_samples(n: int) -> None:
    rng = np.random.default_rng(20261124)
    x = np.sort(rng.standard_normal((4000, n)), axis=1)
    q1, q3 = np.quantile(x, [0.25, 0.75], axis=1)
    rows = list(zip(x[:, 0], q1, np.median(x, axis=1), q3, x[:, -1], strict=True))
    for flagged in (
        [cv.skewness(m, n, minimum=a, maximum=b)["skewed"] for a, _, m, _, b in rows],
        [cv.skewness(m, n, q1=q, q3=r)["skewed"] for _, q, m, r, _ in rows],
        [cv.skewness(m, n, minimum=a, q1=q, q3=r, maximum=b)["skewed"] for a, q, m, r, b in rows],
    ):
        assert np.mean(flagged) == approx(0.05, abs=0.012)


def test_the_skewness_test_sees_a_skewed_sample() -> None:
    found = cv.skewness(20, 60, minimum=5, q1=12, q3=45, maximum=210)
    assert found["skewed"] == 1
    assert found.notes == ("the data look skewed",)


@given(
    n_1=st.integers(2, 12),
    n_2=st.integers(2, 12),
    seed=st.integers(0, 10**6),
)
def test_combined_groups_have_mean_and_spread_of_the_pooled_people(n_1, n_2, seed) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.normal(3, 1, n_1), rng.normal(-4, 5, n_2)
    both = np.concatenate([one, two])
    found = cv.combine_groups(n_1, one.mean(), one.std(ddof=1), n_2, two.mean(), two.std(ddof=1))
    assert found["n"] == len(both)
    assert found["mean"] == approx(both.mean())
    assert found["sd"] == approx(both.std(ddof=1))


@given(m_1=some, s_1=spread, n_1=size, m_2=some, s_2=spread, n_2=size)
def test_the_t_test_of_two_groups_leads_to_their_hedges_g(m_1, s_1, n_1, m_2, s_2, n_2) -> None:
    test = stats.ttest_ind_from_stats(m_1, s_1, n_1, m_2, s_2, n_2)
    direct = effects("SMD", mean_1=m_1, sd_1=s_1, n_1=n_1, mean_2=m_2, sd_2=s_2, n_2=n_2)
    found = cv.g_from_t(float(test.statistic), n_1, n_2)
    assert found["g"] == approx(direct.yi[0], rel=1e-9, abs=1e-12)
    assert found["vi"] == approx(direct.vi[0], rel=1e-9)
    by_f = cv.g_from_f(float(test.statistic) ** 2, n_1, n_2, sign=1 if m_1 >= m_2 else -1)
    assert by_f["g"] == approx(found["g"], rel=1e-7, abs=1e-12)


def test_a_paired_t_leads_to_the_standardised_mean_change() -> None:
    direct = effects("SMCC", mean_pre=10, sd_pre=3, mean_post=12, sd_post=4, n=18, r=0.6)
    change = cv.change_sd(3, 4, 0.6).value
    found = cv.dz_from_t(2 / (change / math.sqrt(18)), 18)
    assert found["g"] == approx(direct.yi[0])
    assert found["vi"] == approx(direct.vi[0])


# ------------------------------------------------------------------ there and back


@given(sd=spread, n=size)
def test_spread_error_and_interval_convert_into_one_another(sd: float, n: int) -> None:
    se = sd / math.sqrt(n)
    half = se * stats.t.ppf(0.975, n - 1)
    assert cv.sd_from_se(se, n).value == approx(sd)
    assert cv.sd_from_ci(7 - half, 7 + half, n).value == approx(sd)
    assert cv.se_from_ci(7 - half, 7 + half, df=n - 1).value == approx(se)
    wide = se * stats.norm.ppf(0.995)
    assert cv.se_from_ci(-wide, wide, level=0.99).value == approx(se)
    assert cv.se_from_ratio_ci(math.exp(1 - wide), math.exp(1 + wide), level=0.99).value == approx(
        se, rel=1e-6
    )


@given(p=st.floats(1e-6, 0.999), df=st.integers(2, 1000), sign=st.sampled_from([1, -1]))
def test_p_and_t_convert_into_one_another(p: float, df: int, sign) -> None:
    t = cv.t_from_p(p, df, sign=sign).value
    assert math.copysign(1, t) == sign
    assert 2 * stats.t.sf(abs(t), df) == approx(p, rel=1e-6)
    r = cv.r_from_t(t, df).value
    assert r * math.sqrt(df / (1 - r**2)) == approx(t, rel=1e-5)


@given(sd_pre=spread, sd_post=spread, r=st.floats(-0.99, 0.99))
def test_the_correlation_comes_back_from_the_spread_of_the_change(sd_pre, sd_post, r) -> None:
    change = cv.change_sd(sd_pre, sd_post, r).value
    if min(sd_pre, sd_post) / max(sd_pre, sd_post) > 1e-3:  # else it is lost in rounding
        assert cv.correlation_from_change(sd_pre, sd_post, change).value == approx(r, abs=1e-6)


@given(d=some, vi=spread, r=correlation)
def test_the_two_metrics_of_change_convert_into_one_another(d, vi, r) -> None:
    raw = cv.raw_d_from_dz(d, vi, r)
    back = cv.dz_from_raw_d(raw["d"], raw["vi"], r)
    assert back["dz"] == approx(d)
    assert back["vi"] == approx(vi)
    same = cv.raw_d_from_dz(d, vi, 0.5)
    assert (same["d"], same["vi"]) == (approx(d), approx(vi))


@given(d=some, vi=spread)
def test_log_odds_and_standardised_differences_convert_into_one_another(d, vi) -> None:
    odds = cv.log_or_from_d(d, vi)
    back = cv.d_from_log_or(odds["log_or"], odds["vi"])
    assert back["d"] == approx(d)
    assert back["vi"] == approx(vi)
    assert odds["log_or"] == approx(d * 1.8137993642342178)


@given(estimate=st.floats(0.1, 50), se=spread, df=st.integers(2, 300))
def test_an_estimate_with_its_test_gives_back_the_error(estimate, se, df) -> None:
    assert cv.se_from_t(estimate, -estimate / se).value == approx(se)
    p = 2 * stats.t.sf(estimate / se, df)
    if 1e-12 < p < 0.999:
        assert cv.se_from_p(estimate, p, df=df).value == approx(se, rel=1e-5)


@given(sd=spread, n_1=size, n_2=size)
def test_the_error_of_a_mean_difference_holds_the_common_spread(sd, n_1, n_2) -> None:
    v = effects("MD", mean_1=0, sd_1=sd, n_1=n_1, mean_2=0, sd_2=sd, n_2=n_2, vtype="HO").vi[0]
    assert cv.pooled_sd_from_se(math.sqrt(v), n_1, n_2).value == approx(sd)


# ------------------------------------------------------------------ design


@given(n=st.integers(4, 1000), parts=st.integers(2, 5))
def test_a_split_control_group_keeps_its_people_and_is_as_even_as_can_be(n, parts) -> None:
    if n < 2 * parts:
        with pytest.raises(InputError, match="cannot be split"):
            cv.split_shared_control(n, parts)
        return
    sizes = list(cv.split_shared_control(n, parts).values.values())
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1


def test_the_covariance_of_two_arms_with_one_control_has_its_known_parts() -> None:
    assert cv.shared_control_covariance(0, 0, 25, 75).value == approx(1 / 25)
    assert cv.shared_control_covariance(0.4, 0.6, 25, 75).value == approx(1 / 25 + 0.24 / 150)


def test_comparisons_with_one_control_covary_as_in_simulated_trials() -> None:
    rng = np.random.default_rng(8)
    runs, n, p = 200_000, 400, np.array([0.5, 0.3, 0.4])  # two treatments and their control
    x = rng.binomial(n, p, (runs, 3)) / n
    odds = np.log(x / (1 - x))
    means = rng.normal(0, 2 / math.sqrt(n), (runs, 3))
    control = n * p[2]
    for values, found in (
        (x, cv.shared_control_covariance_rd(control, n)),
        (np.log(x), cv.shared_control_covariance_rr(control, n)),
        (odds, cv.shared_control_covariance_or(control, n)),
        (means, cv.shared_control_covariance_md(2, n)),
    ):
        one, two = values[:, 0] - values[:, 2], values[:, 1] - values[:, 2]
        assert found.value == approx(np.cov(one, two)[0, 1], rel=0.03)


def test_standardised_differences_with_one_control_covary_as_in_simulated_trials() -> None:
    rng = np.random.default_rng(9)
    runs, n = 200_000, 150
    means = np.array([0.8, 0.6, 0.0]) + rng.normal(0, 1 / math.sqrt(n), (runs, 3))
    pooled = np.sqrt(rng.chisquare(3 * (n - 1), runs) / (3 * (n - 1)))
    one, two = ((means[:, i] - means[:, 2]) / pooled for i in (0, 1))
    found = cv.shared_control_covariance(0.8, 0.6, n, 3 * n).value
    assert found == approx(np.cov(one, two)[0, 1], rel=0.03)


@given(sd=spread, mean=st.floats(0.01, 50), n=size, p=st.floats(1e-6, 0.99))
def test_a_groups_spread_comes_back_from_its_test(sd, mean, n, p) -> None:
    t = mean / (sd / math.sqrt(n))
    assert cv.sd_from_t(mean, t, n).value == approx(sd)
    from_p = cv.sd_from_p(-mean, p, n)
    assert from_p.value == approx(cv.sd_from_t(mean, from_p["t"], n).value)
    assert stats.t.sf(from_p["t"], n - 1) * 2 == approx(p, rel=1e-6)


@given(sd=spread, n_1=size, n_2=size, level=st.floats(0.5, 0.999))
def test_the_spread_within_groups_comes_back_from_the_interval(sd, n_1, n_2, level) -> None:
    se = sd * math.sqrt(1 / n_1 + 1 / n_2)
    half = stats.t.ppf(0.5 + level / 2, n_1 + n_2 - 2) * se
    found = cv.pooled_sd_from_ci(3 - half, 3 + half, n_1, n_2, level=level)
    assert (found["sd"], found["se"]) == approx((sd, se), rel=1e-6)


def test_clusters_inflate_variances_and_shrink_samples_alike() -> None:
    factor = cv.design_effect(21, 0.05).value
    assert factor == approx(2)
    assert cv.effective_n(100, 21, 0.05).value == approx(50)
    assert cv.cluster_se(0.3, 21, 0.05).value == approx(0.3 * math.sqrt(2))
    assert cv.design_effect(1, 0.5).value == 1


def test_a_percentage_change_becomes_one_in_the_outcomes_unit() -> None:
    half = stats.t.ppf(0.975, 15) * 20 / 4
    found = cv.sd_from_percent_change(12 - half, 12 + half, 16, mean_pre=25)
    assert found["sd_percent"] == approx(20)
    assert found["sd_change"] == approx(5)
    assert found.notes == ("takes everyone's baseline for the mean one",)
    assert cv.sd_from_percent_change(12 - half, 12 + half, 16).value == approx(20)


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (12.5, "ng/mL", "pg/mL", 12500),
        (12500, "pg/ml", "ng/mL", 12.5),
        (3, "ug/L", "ng/mL", 3),
        (3, "µg/L", "pg/mL", 3000),
        (3, "mcg/dL", "ng/mL", 30),
        (1.5, "mg/dL", "g/L", 0.015),
        (5, "nM", "pmol/mL", 5),
        (2, "mmol/L", "µmol/L", 2000),
    ],
)
def test_concentrations_convert_between_units(value, unit, to, expected) -> None:
    assert cv.concentration(value, unit, to).value == approx(expected, rel=1e-12)


def test_mass_and_amount_convert_through_the_molar_mass() -> None:
    assert cv.concentration(27, "ng/mL", "nM", molar_mass=27_000).value == approx(1)
    assert cv.concentration(1, "nmol/L", "ng/mL", molar_mass=27_000).value == approx(27)
    with pytest.raises(InputError, match="molar mass"):
        cv.concentration(27, "ng/mL", "nM")


# ------------------------------------------------------------------ provenance and faults


def test_a_conversion_can_be_read_and_followed_by_hand() -> None:
    found = cv.sd_from_se(0.5, 16)
    assert found.text() == "sd = 2 from se = 0.5, n = 16: SD = SE × √n (Cochrane Handbook ch. 6)"
    assert str(found) == found.text()
    assert float(found) == found.value == 2
    assert found.row() == {
        "formula": "sd-from-se",
        "inputs": "se=0.5; n=16",
        "values": "sd=2.0",
        "source": "Cochrane Handbook ch. 6",
        "notes": "",
    }


def test_a_stored_conversion_is_derived_again_from_its_inputs() -> None:
    for found in (
        cv.sd_from_ci(1, 3, 20, level=0.9),
        cv.g_from_p(0.03, 12, 14, sign=1),
        cv.concentration(2, "ng/mL", "pg/mL"),
        cv.skewness(5, 30, q1=3, q3=8),
    ):
        assert cv.recompute(found.formula, found.inputs) == found
    with pytest.raises(UnknownName, match="did you mean 'sd-from-se'"):
        cv.recompute("sd-from-sd", {})
    with pytest.raises(UnknownName, match="known: mean, sd, n"):
        cv.combine_groups(5, 1, 1, 5, 2, 1)["median"]


def test_every_public_conversion_is_registered_with_equation_and_source() -> None:
    public = {name for name in cv.__all__ if name.islower() and name != "recompute"}
    assert {function.__name__ for function in cv.FORMULAS.values()} == public
    assert all(function.__doc__ for function in cv.FORMULAS.values())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cv.sd_from_se(-0.5, 16), "se = -0.5 is not positive"),
        (lambda: cv.sd_from_se(0.5, 1), "n = 1 is less than 2"),
        (lambda: cv.sd_from_se(math.nan, 16), "sd-from-se cannot use se = nan"),
        (lambda: cv.sd_from_ci(3, 1, 20), "width = -2 is not positive"),
        (lambda: cv.se_from_ci(1, 3, level=95), "level = 95 is not a confidence level"),
        (lambda: cv.se_from_t(0, 2), "give no standard error"),
        (lambda: cv.se_from_p(1, 1.0), "give no standard error"),
        (lambda: cv.t_from_p(0, 10, sign=1), "'p < 0.05' give 0.05"),
        (lambda: cv.g_from_f(4, 9, 9, sign=0), "sign = 0 is not 1 or -1"),
        (lambda: cv.g_from_f(-4, 9, 9, sign=1), "f = -4 is negative"),
        (lambda: cv.sd_from_iqr(1, 3, 4), "n = 4 is too few"),
        (lambda: cv.mean_from_iqr(3, 1, 4, 40), "q1 = 3 is more than median = 1"),
        (lambda: cv.skewness(1, 40, q1=0), "the median alone says nothing"),
        (lambda: cv.change_sd(1, 2, 1.2), "r = 1.2 is not a correlation"),
        (lambda: cv.raw_d_from_dz(0.4, 0.1, 1), "r = 1 is not a correlation"),
        (lambda: cv.correlation_from_change(1, 1, 3), "imply r = -3.5"),
        (lambda: cv.effective_n(100, 0.5, 0.1), "cluster_size = 0.5 is less than 1"),
        (lambda: cv.design_effect(20, 1.5), "icc = 1.5 is not an intracluster correlation"),
        (lambda: cv.concentration(1, "ng", "pg/mL"), "'ng' is not a unit of concentration"),
        (lambda: cv.r_from_p(0.05, 2, sign=1), "n = 2 is less than 3"),
        (lambda: cv.crossover(1, 1, 1, 10, 2), "r = 2 is not a correlation"),
        (lambda: cv.sd_from_t(1, 0, 10), "mean = 1 and t = 0 give no standard deviation"),
        (lambda: cv.sd_from_p(1, 1.0, 10), "mean = 1 and p = 1.0 give no standard deviation"),
        (lambda: cv.pooled_sd_from_t(0, 2, 9, 9), "difference = 0 and t = 2 give no standard"),
        (lambda: cv.pooled_sd_from_p(1, 1.0, 9, 9), "p = 1.0 give no standard deviation"),
        (lambda: cv.pooled_sd_from_ci(2, 1, 9, 9), "width = -1 is not positive"),
        (lambda: cv.shared_control_covariance_or(0, 9), "events_control = 0 of total_control = 9"),
        (lambda: cv.shared_control_covariance_rd(10, 9), "events_control = 10 of total_control"),
    ],
)
def test_what_cannot_be_derived_is_refused_with_value_and_remedy(call, said: str) -> None:
    with pytest.raises(InputError) as fault:
        call()
    assert said in str(fault.value)
    assert fault.value.remedy
