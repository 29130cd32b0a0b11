"""Direction of effect and combined p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from meta.direction import binomial_interval, combine_p, sign_test
from meta.errors import InputError, UnknownName

METHODS = ("Fisher", "Stouffer", "Edgington", "Pearson", "Tippett")


def test_a_sign_test_counts_known_directions_exactly():
    found = sign_test(7, 2)
    assert found.p == pytest.approx(2 * (1 + 9 + 36) / 512)  # both tails of the fair coin
    assert (found.known, found.proportion) == (9, 7 / 9)
    assert found.summary() == (
        "7 of 9 known directions are positive (95% CI 40% to 97%), p = 0.180"
    )


@forall(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_agrees_with_scipy_and_is_symmetric(positive, negative):
    if positive + negative < 5:
        with pytest.raises(InputError, match="too few for a sign test"):
            sign_test(positive, negative)
        return
    found = sign_test(positive, negative)
    exact = stats.binomtest(positive, positive + negative)
    interval = exact.proportion_ci(method="exact")
    assert found.p == pytest.approx(exact.pvalue)
    assert found.ci == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert sign_test(negative, positive).p == found.p


@forall(st.integers(1, 60), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_of_a_proportion_agree_with_statsmodels(total, draw, level):
    count = draw.draw(st.integers(0, total))
    for method, name in (("Clopper-Pearson", "beta"), ("Wilson", "wilson")):
        low, high = binomial_interval(count, total, method=method, level=level)
        expected = proportion_confint(count, total, alpha=1 - level, method=name)
        assert (low, high) == pytest.approx(expected, abs=1e-12)
        assert 0 <= low <= count / total <= high <= 1


def test_four_directions_are_too_few():
    with pytest.raises(InputError, match="4 known directions are too few for a sign test"):
        sign_test(4, 0)
    with pytest.raises(InputError, match="negative = -1 is not a count"):
        sign_test(9, -1)


def test_an_unknown_interval_is_refused():
    with pytest.raises(UnknownName, match="interval of a proportion"):
        binomial_interval(1, 5, method="Wald")
    with pytest.raises(InputError, match="6 of 5 is not a proportion"):
        binomial_interval(6, 5)


probability = st.floats(1e-6, 1 - 1e-6)


@forall(st.lists(probability, min_size=1, max_size=12))
def test_fisher_and_stouffer_agree_with_scipy(p):
    for method in ("Fisher", "Stouffer"):
        theirs = stats.combine_pvalues(p, method=method.lower())
        ours = combine_p(p, method)
        assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-300)


@forall(st.lists(probability, min_size=1, max_size=12))
def test_pearson_and_tippett_agree_with_scipy(p):
    for method in ("Pearson", "Tippett"):
        theirs = stats.combine_pvalues(p, method=method.lower())
        ours = combine_p(p, method)
        assert ours.statistic == pytest.approx(abs(theirs.statistic), rel=1e-9)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-300)


def test_pearson_is_fisher_seen_from_the_other_end():
    p = [0.03, 0.2, 0.6, 0.9]
    other = combine_p([1 - x for x in p], "Fisher")
    assert combine_p(p, "Pearson").p == pytest.approx(1 - other.p)


def test_stouffer_takes_weights():
    p, w = [0.01, 0.2, 0.7], [3.0, 1.0, 2.0]
    expected = stats.combine_pvalues(p, method="stouffer", weights=w)
    assert combine_p(p, "Stouffer", weights=w).p == pytest.approx(expected.pvalue)
    with pytest.raises(InputError, match="Fisher takes no weights"):
        combine_p(p, weights=w)


@pytest.mark.parametrize("method", METHODS)
@forall(p=probability)
def test_one_p_value_is_itself(method, p):
    assert combine_p([p], method).p == pytest.approx(p, rel=1e-9)


def test_edgington_of_two_is_the_area_of_a_triangle():
    assert combine_p([0.2, 0.3], "Edgington").p == pytest.approx(0.125)
    assert combine_p([0.9, 0.8], "Edgington").p == pytest.approx(1 - 0.3**2 / 2)


@pytest.mark.parametrize("k", [3, 12, 20, 21, 40, 300])
def test_edgington_is_half_at_its_centre_and_normal_for_many(k):
    assert combine_p([0.5] * k, "Edgington").p == pytest.approx(0.5, abs=1e-10)
    # The uniform sum: normal with the Edgeworth correction for its kurtosis, -6/(5k).
    z = -1.0
    mean = 0.5 + z * math.sqrt(1 / (12 * k))
    edgeworth = stats.norm.cdf(z) + stats.norm.pdf(z) * (1.2 / k) / 24 * (z**3 - 3 * z)
    assert combine_p([mean] * k, "Edgington").p == pytest.approx(edgeworth, abs=0.4 / k**2)


def test_edgington_keeps_its_digits_where_the_exact_sum_ends():
    # At 25 the alternating sum is still good in whole numbers: 25 values of 1/10.
    from fractions import Fraction

    k, s = 25, Fraction(25, 10)
    exact = sum((-1) ** j * math.comb(k, j) * (s - j) ** k for j in range(3)) / math.factorial(k)
    assert combine_p([0.1] * k, "Edgington").p == pytest.approx(float(exact), rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_smaller_p_values_never_combine_to_a_larger_one(method):
    rng = np.random.default_rng(3)
    for _ in range(20):
        p = rng.uniform(0.01, 0.99, 6)
        assert combine_p(p * 0.9, method).p <= combine_p(p, method).p


@pytest.mark.parametrize("method", METHODS)
def test_under_no_effect_the_combined_p_is_uniform(method):
    rng = np.random.default_rng(11)
    found = [combine_p(rng.uniform(size=7), method).p for _ in range(2000)]
    assert stats.kstest(found, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    ("p", "message"),
    [([], "no p-value"), ([0.2, 0.0], "strictly between 0 and 1"), ([math.nan], "strictly")],
)
def test_values_that_are_no_p_values_are_refused(p, message):
    with pytest.raises(InputError, match=message):
        combine_p(p)


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownName, match="way to combine p-values 'Wilkinson'"):
        combine_p([0.1], "Wilkinson")
