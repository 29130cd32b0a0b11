"""Estimators of the between-study variance: values of metafor, and laws that they must obey."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
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
    assert set(TAU2) == set(models.TAU2) | {"DLIT", "HM", "DL2", "HE2"}


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


def maxima_of_a_fine_scan(y: np.ndarray, v: np.ndarray, method: str) -> list[float]:
    """Where the score passes zero downwards; the most precise study comes first."""
    grid = np.concatenate(([0.0], np.geomspace(1e-14, 1e3, 4000)))
    w = 1 / (v + grid[:, None])
    resid = y - (w @ y / w.sum(1))[:, None]
    trace = w.sum(1)
    if method == "REML":
        rest = w[:, 1:].sum(1)
        trace = rest + (w[:, 0] * rest - (w[:, 1:] ** 2).sum(1)) / w.sum(1)
    score = ((w * resid) ** 2).sum(1) - trace
    falls = np.flatnonzero((score[:-1] > 0) & (score[1:] <= 0))
    return [0.0] * int(score[0] <= 0) + grid[falls].tolist()


@pytest.mark.parametrize("method", ["ML", "REML"])
@given(sample=data(most=6), tiny=st.floats(-10, -3))
def test_the_number_of_maxima_agrees_with_a_fine_scan(method, sample, tiny):
    y, v = sample
    v = v.copy()
    v[0] = 10.0**tiny
    found = estimate(Problem(y, v), method)
    maxima = len(maxima_of_a_fine_scan(y, v, method))
    # A pair of roots may hide between two points of the scan, never the other way round.
    assert found.n_optima >= maxima
    assert (found.n_optima - maxima) in (0, 1)


# Made up, so that groups of precise, middling and imprecise studies each ask for their own tau2.
THREE = {
    "ML": (
        [0.0123, 0.0844, 2.2041, 4.2886, 0.0901, 0.0574],
        [2.94e-05, 0.0024875, 0.5546677, 1.3981405, 0.0017687, 0.4519264],
    ),
    "REML": (
        [-0.0046, -14.3711, 0.4591, 0.0287, -0.0154, -0.2298],
        [1.59e-05, 8.9269584, 4.378576, 0.0098372, 0.0001035, 0.0062759],
    ),
}


@pytest.mark.parametrize("method", THREE)
def test_three_maxima_are_all_found_and_the_highest_is_used(method):
    y, v = map(np.array, THREE[method])
    maxima = maxima_of_a_fine_scan(y, v, method)
    found = estimate(Problem(y, v), method)
    assert (found.n_optima, len(maxima)) == (3, 3)

    def loglik(t: float) -> float:
        w = 1 / (v + t)
        extra = math.log(w.sum()) if method == "REML" else 0.0
        return float(np.log(w).sum() - extra - w @ (y - w @ y / w.sum()) ** 2) / 2

    best = max(maxima, key=loglik)
    assert found.value == pytest.approx(best, rel=0.02)  # the scan's own step
    assert loglik(found.value) >= loglik(best)


def design(k: int, p: int, seed: int) -> np.ndarray:
    """An intercept, and years and arms as reviews have them."""
    rng = np.random.default_rng(seed)
    years, arms = 1990.0 + rng.permutation(40)[:k], np.arange(k) % 2.0
    return np.stack([np.ones(k), years, arms][:p], axis=1)


def dense(y: np.ndarray, v: np.ndarray, x: np.ndarray) -> tuple[list[Fraction], list[list]]:
    """P at weights 1/v and Py, both in rational numbers."""
    w = [1 / Fraction(float(a)) for a in v]
    rows = [[Fraction(float(a)) for a in row] for row in x]
    k, p = x.shape
    # (X'WX | X'W) is brought to (I | (X'WX)^-1 X'W) by elimination.
    table = [
        [sum(w[i] * rows[i][a] * rows[i][b] for i in range(k)) for b in range(p)]
        + [w[i] * rows[i][a] for i in range(k)]
        for a in range(p)
    ]
    for j in range(p):
        pivot = next(i for i in range(j, p) if table[i][j])
        table[j], table[pivot] = table[pivot], table[j]
        table[j] = [a / table[j][j] for a in table[j]]
        for i in range(p):
            if i != j:
                table[i] = [a - table[i][j] * b for a, b in zip(table[i], table[j], strict=True)]
    solved = [row[p:] for row in table]
    full = [
        [w[i] * ((i == j) - sum(rows[i][a] * solved[a][j] for a in range(p))) for j in range(k)]
        for i in range(k)
    ]
    effects = [Fraction(float(a)) for a in y]
    return [sum(a * b for a, b in zip(row, effects, strict=True)) for row in full], full


@pytest.mark.parametrize("p", [1, 2, 3])
@settings(max_examples=20)  # rational numbers are slow
@given(
    sample=data(least=5, most=8),
    tiny=st.lists(st.floats(-9, -4), max_size=3),
    seed=st.integers(0, 99),
)
def test_all_sums_of_a_fit_agree_with_rational_arithmetic(p, sample, tiny, seed):
    y, v = sample
    v = v.copy()
    v[: len(tiny)] = 10.0 ** np.array(tiny)  # up to three studies that dominate the others
    x = design(len(y), p, seed)
    u, full = dense(y, v, x)
    k = len(y)
    problem = Problem(y, v, None if p == 1 else x)
    unit = problem.unit
    parts = problem.zero()
    size = max(float(np.abs(y).max()), 1e-3) / math.sqrt(float(np.median(v)))

    def near(expected: Fraction, least: float = 0.0):
        return pytest.approx(float(expected), rel=2e-9, abs=1e-11 * least)

    exact = [Fraction(float(a)) for a in v]
    trace = sum(full[i][i] for i in range(k))
    assert parts.trace() / unit == near(trace)
    square = sum(full[i][j] ** 2 for i in range(k) for j in range(k))
    assert parts.trace2() / unit**2 == near(square)
    weighted = sum(full[i][j] ** 2 * exact[i] * exact[j] for i in range(k) for j in range(k))
    assert parts.trace_of(problem.v) == near(weighted)
    mixed = sum(full[i][j] ** 2 * exact[i] for i in range(k) for j in range(k))
    assert parts.trace_of(problem.v, problem.one) / unit == near(mixed)
    rss = sum(a * Fraction(float(b)) for a, b in zip(u, y, strict=True))
    assert parts.rss() == near(rss, size)
    for restricted in (True, False):
        score = parts.score(restricted=restricted)
        assert score.ypp / unit == near(sum(a * a for a in u), size / unit)
        again = sum(u[i] * full[i][j] * u[j] for i in range(k) for j in range(k))
        assert score.yppp / unit**2 == near(again, size / unit**2)
    unhat = problem.restored(parts.unhat())
    assert unhat == pytest.approx(
        [float(full[i][i] * exact[i]) for i in range(k)], rel=1e-8, abs=1e-12
    )
    assert parts.hat() == pytest.approx(1 - parts.unhat(), abs=1e-12)


@pytest.mark.parametrize("p", [2, 3])
@settings(max_examples=20)  # rational numbers are slow
@given(sample=data(least=6, most=9), tiny=st.floats(-9, -4), seed=st.integers(0, 99))
def test_the_score_of_a_regression_with_a_dominating_study_vanishes(p, sample, tiny, seed):
    y, v = sample
    v = v.copy()
    v[0] = 10.0**tiny
    x = design(len(y), p, seed)
    found = estimate(Problem(y, v, x), "REML")
    u, full = dense(y, v + found.value, x)
    ypp, trace = float(sum(a * a for a in u)), float(sum(full[i][i] for i in range(len(y))))
    square = float(sum(a * a for row in full for a in row))
    if found.value > 0:
        # v + tau2 is rounded before the rational arithmetic sees it.
        assert ypp == pytest.approx(trace, rel=1e-9)
    else:
        assert ypp <= trace * (1 + 1e-9)
    assert found.se == pytest.approx(math.sqrt(2 / square), rel=1e-8)


@pytest.mark.parametrize("method", ["ML", "REML"])
@given(
    sample=data(least=3),
    near=st.sampled_from([0.0, 1e-15, -1e-15, 1e-12, -1e-12, 1e-6, -1e-6]),
)
def test_a_likelihood_that_is_level_at_zero_is_no_trouble(method, sample, near):
    y, v = sample
    assume(np.ptp(y) > 0)
    score = Problem(y, v).zero().score(restricted=method == "REML")
    y = y * math.sqrt(score.trace / score.ypp) * (1 + near)
    found = estimate(Problem(y, v), method)
    assert 0 <= found.value < math.inf
    assert found.n_optima >= 1
    after = Problem(y, v + found.value).zero().score(restricted=method == "REML")
    assert after.ypp <= after.trace * (1 + 1e-9)  # level there, or falling at zero
    if found.value > 0:
        assert after.ypp == pytest.approx(after.trace, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_the_order_of_a_problem_is_undone(p):
    problem = Problem(YI, VI, None if p == 1 else design(13, p, 1))
    assert problem.restored(problem.v).tolist() == (VI / problem.unit).tolist()
    there = problem.arranged(YI)
    assert problem.restored(there).tolist() == YI.tolist()
    w = problem.weights(0.1)
    assert problem.at(0.1) is problem.at(0.1)
    assert problem.at(0.1).w == pytest.approx(w)


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


def test_a_bound_that_meets_a_multiplier_goes_beside_it():
    products = np.array([1.0, 3.0, 9.0, 9.0])  # the first bound tried, sqrt(1 * 9), is one of them
    basis = np.full((4, 1), 0.5)
    tails = [upper_tail(q, products, basis) for q in (0.5, 3.0, 15.0)]
    assert tails == pytest.approx([upper_tail(q, products + 1e-9, basis) for q in (0.5, 3.0, 15.0)])


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


# The general moment estimator in whole numbers: DerSimonian and Kacker (2007), eq. 6.
@pytest.mark.parametrize(("method", "first"), [("DL2", "DL"), ("HE2", "HE")])
def test_two_steps_are_the_moment_formula_at_the_first_steps_weights(method, first):
    t = Fraction(tau2_of(YI, VI, first))
    y, v = [Fraction(x) for x in models.YI], [Fraction(x) for x in models.VI]
    a = [1 / (one + t) for one in v]
    total = sum(a)
    mean = sum(w * x for w, x in zip(a, y, strict=True)) / total
    q = sum(w * (x - mean) ** 2 for w, x in zip(a, y, strict=True))
    expected = sum(w * s for w, s in zip(a, v, strict=True))
    expected -= sum(w * w * s for w, s in zip(a, v, strict=True)) / total
    value = (q - expected) / (total - sum(w * w for w in a) / total)
    assert tau2_of(YI, VI, method) == pytest.approx(float(value), rel=1e-10)


def test_hartung_and_makambis_estimate_is_their_formula_of_q():
    w = 1 / VI
    q = float(w @ (YI - w @ YI / w.sum()) ** 2)
    c = float(w.sum() - w @ w / w.sum())
    assert tau2_of(YI, VI, "HM") == pytest.approx(q**2 / ((2 * 12 + q) * c), rel=1e-10)


@given(sample=data(least=3))
def test_equal_variances_make_all_moment_estimators_one(sample):
    y, v = sample[0], np.full(len(sample[0]), 0.2)
    first = tau2_of(y, v, "DL")
    for method in ("HE", "DL2", "HE2"):
        assert tau2_of(y, v, method) == pytest.approx(first, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("method", ["DL2", "HE2", "HM"])
def test_the_further_estimators_find_the_variance_of_simulated_effects(method):
    rng = np.random.default_rng(12)
    found = []
    for _ in range(400):
        v = rng.uniform(0.02, 0.2, 30)
        found.append(tau2_of(rng.normal(0, np.sqrt(v + 0.3)), v, method))
    # Hartung and Makambi's is too small where heterogeneity is this large.
    assert np.mean(found) == pytest.approx(0.26 if method == "HM" else 0.3, rel=0.05)
