"""Estimators of the between-study variance: values of metafor, and laws that they must obey."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special

from meta.errors import InputError, UnknownName
from meta.quadratic import upper_tail
from meta.tau2 import TAU2, estimate
from meta.weighted import Problem
from tests.reference import models

WEIGHTED = {"GENQ", "GENQM"}
YI, VI = np.array(models.YI), np.array(models.VI)


def weights_for(method: str, v: np.ndarray) -> np.ndarray | None:
    return 1 / np.sqrt(v) if method in WEIGHTED else None


def tau2_of(y: np.ndarray, v: np.ndarray, method: str, x: np.ndarray | None = None) -> float:
    return estimate(Problem(y, v, x), method, weights_for(method, v)).value


# Effects within a few standard errors of each other, variances over four decades.
effect = st.floats(-3, 3).map(lambda x: round(x, 6))
variance = st.floats(-3, 1).map(lambda x: round(10.0**x, 8))


@st.composite
def data(draw, least: int = 2, most: int = 12) -> tuple[np.ndarray, np.ndarray]:
    k = draw(st.integers(least, most))
    y = draw(st.lists(effect, min_size=k, max_size=k))
    v = draw(st.lists(variance, min_size=k, max_size=k))
    return np.array(y), np.array(v)


@pytest.mark.parametrize("method", models.TAU2)
def test_each_estimator_reproduces_the_bcg_trials(method):
    found = estimate(Problem(YI, VI), method, weights_for(method, VI))
    tau2, se, *_ = models.TAU2[method]
    assert found.value == pytest.approx(tau2, rel=1e-9)
    assert found.se == pytest.approx(se, rel=1e-9)


def test_every_estimator_has_a_literal_value():
    assert set(TAU2) == set(models.TAU2) | {"DLIT"}


def test_iterated_dersimonian_laird_reproduces_its_value():
    found = estimate(Problem(np.array(models.DLIT_YI), np.array(models.DLIT_VI)), "DLIT")
    assert (found.value, found.se) == pytest.approx(models.DLIT, rel=1e-9)


def test_an_unknown_estimator_lists_the_known_ones():
    with pytest.raises(UnknownName, match="there is no tau2 estimator 'RMEL'") as caught:
        estimate(Problem(YI, VI), "RMEL")
    assert caught.value.remedy == "did you mean 'REML'?"


@pytest.mark.parametrize("method", sorted(WEIGHTED))
def test_generalised_q_asks_for_weights(method):
    with pytest.raises(InputError, match=f"{method} needs weights"):
        estimate(Problem(YI, VI), method)


@pytest.mark.parametrize("method", TAU2)
def test_equal_effects_have_no_heterogeneity(method):
    assert tau2_of(np.full(4, 0.3), np.array([0.02, 0.05, 0.01, 0.3]), method) == 0


@pytest.mark.parametrize("method", TAU2)
def test_one_study_has_no_heterogeneity(method):
    found = estimate(Problem(np.array([0.3]), np.array([0.1])), method, np.ones(1))
    assert found.value == 0
    assert math.isnan(found.se)


@pytest.mark.parametrize("method", TAU2)
@given(sample=data())
def test_tau2_is_never_negative_and_finite(method, sample):
    found = estimate(Problem(*sample), method, weights_for(method, sample[1]))
    assert 0 <= found.value < math.inf


@pytest.mark.parametrize("method", TAU2)
@given(sample=data(), shift=st.sampled_from([-7.0, 0.5, 1e3]))
def test_a_shift_of_all_effects_changes_nothing(method, sample, shift):
    y, v = sample
    moved = (y + shift) - shift  # the rounding that the shift costs before we see the numbers
    assume(np.array_equal(moved, y) or shift != 1e3)
    assert tau2_of(y + shift, v, method) == pytest.approx(
        tau2_of(moved, v, method), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("method", TAU2)
@given(sample=data(), scale=st.sampled_from([1e-4, 0.1, 3.0, 1e5]))
def test_tau2_scales_with_the_square_of_the_unit(method, sample, scale):
    y, v = sample
    tau2 = tau2_of(y, v, method)
    scaled = tau2_of(y * scale, v * scale**2, method) / scale**2
    assert scaled == pytest.approx(tau2, rel=1e-7, abs=1e-9 * float(np.median(v)))


@pytest.mark.parametrize("method", TAU2)
@given(sample=data(), seed=st.integers(0, 9))
def test_the_order_of_studies_does_not_matter(method, sample, seed):
    y, v = sample
    at = np.random.default_rng(seed).permutation(len(y))
    expected = tau2_of(y, v, method)
    assert tau2_of(y[at], v[at], method) == pytest.approx(expected, rel=1e-8, abs=1e-10)


@given(sample=data())
def test_paule_mandel_makes_q_equal_to_its_degrees_of_freedom(sample):
    y, v = sample
    tau2 = tau2_of(y, v, "PM")
    w = 1 / (v + tau2)
    q = float(w @ (y - w @ y / w.sum()) ** 2)
    if tau2 == 0:
        assert q <= (len(y) - 1) * (1 + 1e-12)
    else:
        assert q == pytest.approx(len(y) - 1, rel=1e-9)


def restricted_loglik(y: np.ndarray, v: np.ndarray, t: float) -> float:
    """From its definition, up to a constant."""
    w = 1 / (v + t)
    resid = y - w @ y / w.sum()
    return float(0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ resid**2))


def restricted_score(y: np.ndarray, v: np.ndarray, t: float) -> tuple[float, float]:
    """The score, and the sum of the sizes of its terms, with dense matrices."""
    w = 1 / (v + t)
    p = np.diag(w) - np.outer(w, w) / w.sum()
    u = p @ y
    return float(0.5 * (u @ u - np.trace(p))), float(0.5 * (u @ u + np.trace(p)))


@given(sample=data())
def test_the_restricted_score_vanishes_at_an_inner_optimum(sample):
    y, v = sample
    tau2 = tau2_of(y, v, "REML")
    score, size = restricted_score(y, v, tau2)
    if tau2 > 0:
        assert abs(score) <= 1e-8 * size
    else:
        assert score <= 1e-8 * size


@given(sample=data(least=3))
def test_no_tau2_has_a_higher_restricted_likelihood(sample):
    y, v = sample
    best = restricted_loglik(y, v, tau2_of(y, v, "REML"))
    for t in (0.0, *np.geomspace(1e-6, 100, 200)):
        assert restricted_loglik(y, v, float(t)) <= best + 1e-9 * (1 + abs(best))


def test_a_likelihood_with_two_maxima_gives_the_higher_and_says_so():
    y, v = np.array(models.DOMINATED_YI), np.array(models.DOMINATED_VI)
    found = estimate(Problem(y, v), "ML")
    assert (found.n_optima, found.boundary) == (2, False)
    assert (found.value, found.se) == pytest.approx(models.DOMINATED_ML[:2], rel=1e-8)
    restricted = estimate(Problem(y, v), "REML")
    assert restricted.n_optima == 1
    assert (restricted.value, restricted.se) == pytest.approx(models.DOMINATED[:2], rel=1e-8)


@given(sample=data(most=6), tiny=st.floats(-10, -3))
def test_the_number_of_maxima_agrees_with_a_fine_scan(sample, tiny):
    y, v = sample
    v = v.copy()
    v[0] = 10.0**tiny
    found = estimate(Problem(y, v), "ML")
    grid = np.concatenate(([0.0], np.geomspace(1e-14, 1e3, 4000)))
    w = 1 / (v + grid[:, None])
    resid = y - (w @ y / w.sum(1))[:, None]
    score = ((w * resid) ** 2).sum(1) - w.sum(1)
    maxima = int(((score[:-1] > 0) & (score[1:] <= 0)).sum()) + int(score[0] <= 0)
    # A pair of roots may hide between two points of the scan, never the other way round.
    assert found.n_optima >= maxima
    assert (found.n_optima - maxima) in (0, 1)


@pytest.mark.parametrize("method", TAU2)
def test_an_offset_of_a_million_costs_nothing(method):
    y = np.array([0.125, 0.375, 0.25, 0.75])  # exact after the shift too
    v = np.array([0.01, 0.02, 0.015, 0.03])
    assert tau2_of(y + 1e6, v, method) == pytest.approx(tau2_of(y, v, method), rel=1e-12)


@pytest.mark.parametrize("method", TAU2)
def test_variances_from_1e_minus_12_to_1e12_are_no_trouble(method):
    y = np.array([0.1, 0.4, -0.2, 0.9, 0.3, 5.0])
    v = np.array([1e-12, 1e-6, 1e-2, 1.0, 1e6, 1e12])
    found = estimate(Problem(y, v), method, weights_for(method, v))
    assert 0 <= found.value < math.inf
    if method in ("PM", "EB", "SJIT"):
        w = 1 / (v + found.value)
        assert float(w @ (y - w @ y / w.sum()) ** 2) == pytest.approx(5, rel=1e-9)


def test_dersimonian_laird_is_exact_next_to_a_dominating_study():
    y, v = np.array([0.02, 0.8, 0.9, 0.7, 1.1]), np.array([1e-12, 0.1, 0.12, 0.09, 0.2])
    exact_y, exact_v = [Fraction(float(a)) for a in y], [Fraction(float(a)) for a in v]
    w = [1 / a for a in exact_v]
    total = sum(w)
    mean = sum(a * b for a, b in zip(w, exact_y, strict=True)) / total
    q = sum(a * (b - mean) ** 2 for a, b in zip(w, exact_y, strict=True))
    trace = total - sum(a * a for a in w) / total
    assert tau2_of(y, v, "DL") == pytest.approx(float((q - 4) / trace), rel=1e-13)


def test_moderators_that_repeat_each_other_are_refused():
    x = np.stack([np.ones(13), np.arange(13.0), 2 * np.arange(13.0)], axis=1)
    with pytest.raises(InputError, match="cannot be told apart"):
        Problem(YI, VI, x)


def test_the_general_design_agrees_with_the_plain_mean():
    ones = np.ones((13, 1))
    for method in TAU2:
        assert tau2_of(YI, VI, method, ones) == pytest.approx(tau2_of(YI, VI, method), rel=1e-11)


def test_the_tail_of_a_quadratic_form_is_chi_squared_for_equal_products():
    for k in (2, 3, 10, 400):
        basis = np.full((k, 1), 1 / math.sqrt(k))
        for q in (1e-4, 0.01, 0.5, 1.0, 1.1, 2.0, 30.0):
            tail = upper_tail(q * (k - 1), np.ones(k), basis)
            exact = float(special.chdtrc(k - 1, q * (k - 1)))
            assert tail == pytest.approx(exact, rel=1e-11, abs=1e-300)


def test_the_tail_of_a_quadratic_form_agrees_with_simulation():
    rng = np.random.default_rng(7)
    products = np.array([0.2, 0.5, 1.0, 3.0, 9.0])
    x = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    basis = np.linalg.qr(x)[0]
    z = rng.normal(size=(400_000, 5)) * np.sqrt(products)
    drawn = (z**2).sum(1) - ((z @ basis) ** 2).sum(1)
    for q in (0.5, 3.0, 15.0):
        share = float((drawn >= q).mean())
        assert upper_tail(q, products, basis) == pytest.approx(
            share, abs=4 * math.sqrt(0.25 / 400_000)
        )
