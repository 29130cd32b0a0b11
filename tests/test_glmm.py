"""Models for counts against published values, independent integrals, and their edges."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from scipy import integrate, stats

from meta import mixture
from meta.errors import InputError, NotConverged, UnknownName
from meta.glmm import CountModel, glmm
from meta.measures import effects
from meta.mixture import Hypergeometric
from tests.reference import binary as published
from tests.reference.counts import judge
from tests.reference.metafor_cases import cases

# Invented trials: infections in two arms.
TRIALS: dict[str, Any] = {
    "events_1": [3, 7, 5, 10, 2, 0, 0],
    "total_1": [50, 60, 40, 80, 45, 30, 25],
    "events_2": [8, 9, 14, 12, 6, 4, 0],
    "total_2": [48, 62, 41, 79, 44, 31, 24],
}
WARDS = {"events": [4, 30, 1, 12, 3], "time": [310.0, 452.0, 97.0, 820.0, 405.0]}


@pytest.mark.parametrize("model", published.BCG_GLMM)
def test_the_bcg_trials_are_fitted_as_published(model: str) -> None:
    found = glmm("OR", data=published.BCG, study="study", model=model)
    want = published.BCG_GLMM[model]
    assert (found.estimate, found.se, found.tau2) == approx(want, rel=2e-4)


def by_quadrature(integrand: Any, found: CountModel, k: int) -> float:
    """Log-likelihood by scipy's adaptive integration over each study's effect."""
    tau = math.sqrt(found.tau2)
    total = 0.0
    for i in range(k):

        def height(theta: float, i: int = i) -> float:
            return float(integrand(theta, i) * stats.norm.pdf(theta, found.estimate, tau))

        reach = (found.estimate - 10 * tau, found.estimate + 10 * tau)
        total += math.log(integrate.quad(height, *reach, epsabs=0, epsrel=1e-10, limit=200)[0])
    return total


def test_the_likelihood_of_proportions_agrees_with_another_integral() -> None:
    x, n = [3, 9, 1, 14, 0], [30, 42, 25, 50, 18]
    found = glmm("PLO", events=x, total=n)

    def height(theta: float, i: int) -> float:
        return float(stats.binom.pmf(x[i], n[i], 1 / (1 + math.exp(-theta))))

    assert found.tau2 > 0.1
    assert found.loglik == approx(by_quadrature(height, found, 5), abs=1e-8)


def test_the_likelihood_of_rates_agrees_with_another_integral() -> None:
    found = glmm("IRLN", **WARDS)

    def height(theta: float, i: int) -> float:
        return float(stats.poisson.pmf(WARDS["events"][i], WARDS["time"][i] * math.exp(theta)))

    assert found.tau2 > 0.01
    assert found.loglik == approx(by_quadrature(height, found, 5), abs=1e-8)


def test_the_exact_conditional_likelihood_agrees_with_another_integral() -> None:
    counts = {name: column[:5] for name, column in TRIALS.items()}
    counts["events_1"] = [1, 14, 2, 20, 9]
    found = glmm("OR", model="CM.EL", **counts)
    a, n1, c, n2 = counts.values()

    def height(theta: float, i: int) -> float:
        sizes = n1[i] + n2[i], n1[i], a[i] + c[i]
        return float(stats.nchypergeom_fisher.pmf(a[i], *sizes, math.exp(theta)))

    assert found.tau2 > 0.1
    assert found.loglik == approx(by_quadrature(height, found, 5), abs=1e-7)


def test_no_other_parameters_near_by_are_more_likely() -> None:
    found = glmm("IRLN", **WARDS)
    tau = math.sqrt(found.tau2)

    def loglik(mean: float, spread: float) -> float:
        total = 0.0
        for x, t in zip(WARDS["events"], WARDS["time"], strict=True):
            grid = np.linspace(mean - 9 * spread, mean + 9 * spread, 4001)
            heights = stats.poisson.pmf(x, t * np.exp(grid)) * stats.norm.pdf(grid, mean, spread)
            total += math.log(integrate.trapezoid(heights, grid))
        return total

    best = loglik(found.estimate, tau)
    assert best == approx(found.loglik, abs=1e-9)
    for mean, spread in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert loglik(found.estimate + mean, tau + spread) < best
    # Standard error from differences of this other integral, over the mean and tau.
    h = 1e-3
    curve = np.empty((2, 2))
    moves = np.eye(2) * h
    for i in range(2):
        for j in range(2):
            corners = [
                sign * loglik(found.estimate + d[0], tau + d[1])
                for sign, d in (
                    (1, moves[i] + moves[j]),
                    (-1, moves[i] - moves[j]),
                    (-1, moves[j] - moves[i]),
                    (1, -moves[i] - moves[j]),
                )
            ]
            curve[i, j] = sum(corners) / (4 * h * h)
    covariance = np.linalg.inv(-curve)
    assert found.se == approx(math.sqrt(covariance[0, 0]), rel=1e-4)
    assert found.tau2_se == approx(2 * tau * math.sqrt(covariance[1, 1]), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=3, max_size=6))
@settings(max_examples=15)
def test_swapping_the_arms_flips_the_sign(events: list[tuple[int, int]]) -> None:
    a, c = (list(column) for column in zip(*events, strict=True))
    n = len(a)
    there = {"events_1": [*a, 2, 4], "total_1": [30] * (n + 2)}
    there |= {"events_2": [*c, 3, 2], "total_2": [28] * (n + 2)}
    back = {name[:-1] + ("2" if name[-1] == "1" else "1"): x for name, x in there.items()}
    for model in ("UM.FS", "CM.EL"):
        one, two = glmm("OR", model=model, **there), glmm("OR", model=model, **back)
        assert two.estimate == approx(-one.estimate, abs=1e-5)
        assert two.tau2 == approx(one.tau2, abs=1e-5)
        assert two.se == approx(one.se, rel=1e-4)


@given(st.floats(-3, 3), st.integers(0, 12))
def test_the_hypergeometric_has_the_moments_of_scipy(theta: float, events: int) -> None:
    a = min(events, 5)
    kernel = Hypergeometric(*(np.array([float(x)]) for x in (a, 15, events, 10)))
    value, first, second = kernel(np.array([theta]))
    law = stats.nchypergeom_fisher(25, 15, events, math.exp(theta))
    assert value[0] == approx(float(law.logpmf(a)), abs=1e-9)
    assert first[0] == approx(a - float(law.mean()), abs=1e-8)
    assert -second[0] == approx(float(law.var()), abs=1e-8)


@pytest.mark.parametrize("model", ["UM.FS", "UM.RS", "CM.EL", "CM.AL"])
def test_a_study_without_events_is_left_out_and_named(model: str) -> None:
    names = [f"trial {i}" for i in range(1, 8)]
    found = glmm("OR", model=model, study=names, **TRIALS)
    without = glmm("OR", model=model, **{n: column[:6] for n, column in TRIALS.items()})
    assert found.left_out == ("trial 7",)
    assert found.k == 6
    assert found.notes == (
        "no information on the effect: trial 7",
        "zero counts: nothing is added to them",
    )
    assert found.estimate == approx(without.estimate, abs=1e-9)


def test_the_exact_model_keeps_its_standard_error_where_tau2_goes_to_zero() -> None:
    alike = {"events_1": [5, 6, 5, 6], "total_1": [50] * 4}
    alike |= {"events_2": [9, 10, 9, 10], "total_2": [50] * 4}
    found = glmm("OR", model="CM.EL", **alike)
    assert found.tau2 == 0
    assert math.isnan(found.tau2_se)
    rows = effects("OR", **alike)
    assert found.se == approx(math.sqrt(1 / (1 / rows.vi).sum()), rel=0.05)


def test_one_study_is_its_own_odds_ratio() -> None:
    one = {"events_1": [10], "total_1": [50], "events_2": [5], "total_2": [60]}
    for model in ("UM.FS", "UM.RS"):
        found = glmm("OR", model=model, **one)
        assert found.estimate == approx(math.log(10 * 55 / (40 * 5)), abs=1e-6)
        assert found.se == approx(math.sqrt(1 / 10 + 1 / 40 + 1 / 5 + 1 / 55), rel=1e-5)
        assert found.tau2 == 0
        assert any("one study" in note for note in found.notes)
        assert found.wald.p == 1
    assert "1 study" in glmm("PLO", events=[3], total=[20]).summary()


def test_an_infinite_effect_is_refused_with_a_remedy() -> None:
    counts = {"total_1": [20, 30], "total_2": [21, 29]}
    with pytest.raises(InputError, match="no study tells the arms apart") as fault:
        glmm("OR", events_1=[0, 0], events_2=[0, 0], **counts)
    assert 'measure "RD"' in fault.value.remedy
    with pytest.raises(InputError, match="ratio is zero"):
        glmm("OR", events_1=[0, 0], events_2=[4, 3], **counts)
    with pytest.raises(InputError, match="ratio is infinite"):
        glmm("OR", events_1=[4, 3], events_2=[0, 0], **counts)
    with pytest.raises(InputError, match="minus infinity"):
        glmm("PLO", events=[0, 0], total=[20, 30])
    with pytest.raises(InputError, match="is infinite"):
        glmm("PLO", events=[20, 30], total=[20, 30])
    with pytest.raises(InputError, match="minus infinity"):
        glmm("IRLN", events=[0, 0], time=[20.0, 30.0])


def test_rate_ratios_agree_between_the_models() -> None:
    fixed = glmm("IRR", **published.STROKES)
    conditional = glmm("IRR", model="CM.EL", **published.STROKES)
    random = glmm("IRR", model="UM.RS", **published.STROKES)
    assert fixed.estimate == approx(conditional.estimate, abs=0.02)
    assert random.estimate == approx(conditional.estimate, abs=0.05)
    # Without heterogeneity the unconditional and the conditional estimate are the same.
    assert fixed.tau2 == conditional.tau2 == 0
    assert fixed.estimate == approx(conditional.estimate, abs=1e-8)
    assert random.sigma2 is not None


def test_laplace_is_near_and_says_what_it_is() -> None:
    exact = glmm("OR", model="UM.RS", data=published.BCG, study="study")
    rough = glmm("OR", model="UM.RS", data=published.BCG, study="study", points=1)
    assert rough.points == 1
    assert rough.estimate == approx(exact.estimate, abs=1e-3)
    assert rough.tau2 == approx(exact.tau2, rel=0.01)
    assert rough.tau2 != exact.tau2


def test_more_nodes_do_not_move_the_answer() -> None:
    few = glmm("OR", model="UM.FS", points=21, **TRIALS)
    many = glmm("OR", model="UM.FS", points=61, **TRIALS)
    assert few.estimate == approx(many.estimate, abs=1e-7)
    assert few.loglik == approx(many.loglik, abs=1e-8)


def test_a_result_prints_lines_to_paste() -> None:
    found = glmm("OR", model="CM.AL", data=published.BCG, study="study")
    assert found.summary() == (
        "Odds ratio 0.49 (95% CI 0.35 to 0.68), 13 studies, τ² = 0.289 (CM.AL, binomial "
        "approximation of the hypergeometric, for rare events)"
    )
    assert found.heterogeneity() == (
        "Wald χ² = 147.91 (df = 12), p < 0.001; likelihood ratio χ² = 161.82 (df = 12), p < 0.001"
    )
    assert [row["quantity"] for row in found.rows()] == ["estimate", "tau2"]


def test_a_search_that_does_not_settle_gives_its_last_iterate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixture, "STEPS", 1)
    with pytest.raises(NotConverged, match="not settled after 1 steps") as fault:
        glmm("OR", **TRIALS)
    assert fault.value.places[0].startswith("last iterate: effect = ")


def test_unknown_choices_list_the_known() -> None:
    with pytest.raises(UnknownName, match="model of counts for IRR 'CM"):
        glmm("IRR", model="CM.AL", **published.STROKES)
    with pytest.raises(UnknownName, match="'SMD'"):
        glmm("SMD", **TRIALS)
    with pytest.raises(InputError, match="points = 0"):
        glmm("OR", points=0, **TRIALS)


@pytest.mark.shared
def test_every_reference_case_agrees_or_differs_by_a_stated_rule(shared: Path) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function="rma.glmm")
    assert found
    verdicts = [(case.id, *judge(case)) for case in found]
    assert [v for v in verdicts if v[1] == "failed"] == []
