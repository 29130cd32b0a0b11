"""Location-scale models: what they reduce to, their derivatives, and when they fail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx
from scipy import optimize

from meta.errors import InputError, NotConverged, UnknownName
from meta.fitting import fit
from meta.location_scale import location_scale
from meta.measures import given as effects_given
from meta.regression import regress
from meta.results import Effects

Array = NDArray[np.float64]
GROUP = np.array(["a"] * 18 + ["b"] * 18)


def studies(*, seed: int = 1, unit: float = 1.0) -> Effects:
    """Invented effects: 18 studies that vary little, 18 that vary much."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.05, 36)
    tau2 = np.where(GROUP == "a", 0.03, 0.3)
    return effects_given(unit * rng.normal(0.4, np.sqrt(v + tau2)), unit**2 * v)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_an_intercept_alone_is_the_usual_tau2(method: str) -> None:
    effects = studies()
    found = location_scale(effects, method=method)
    usual = regress(effects, tau2=method, test="Wald")
    assert found.tau2 == approx(np.full(36, usual.tau2), rel=1e-9)
    assert found.location.estimate == approx(usual.beta, abs=1e-10)
    assert found.location.se == approx(usual.se, rel=1e-9)
    want = usual.restricted if method == "REML" else usual.likelihood
    assert found.loglik == approx(want.loglik, abs=1e-9)
    assert math.isnan(found.likelihood_ratio)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_groups_in_both_parts_are_two_separate_fits(method: str) -> None:
    effects = studies()
    found = location_scale(effects, {"group": GROUP}, {"group": GROUP}, method=method)
    for level in "ab":
        at = level == GROUP
        alone = fit(effects.yi[at], effects.vi[at], tau2=method)
        assert found.tau2[at] == approx(np.full(18, alone.tau2.value), rel=1e-8)
    log_a = math.log(fit(effects.yi[:18], effects.vi[:18], tau2=method).tau2.value)
    assert found.scale.estimate[0] == approx(log_a, abs=1e-8)
    assert found.likelihood_ratio_df == 1
    assert 0 < found.likelihood_ratio_p < 0.05


def negative(effects: Effects, x: Array, z: Array, alpha: Array) -> float:
    """Minus the restricted log-likelihood, written with full matrices."""
    variance = np.diag(effects.vi + np.exp(z @ alpha))
    inverse = np.linalg.inv(variance)
    inner = x.T @ inverse @ x
    p = inverse - inverse @ x @ np.linalg.solve(inner, x.T @ inverse)
    y = effects.yi
    k, q = x.shape
    logs = np.linalg.slogdet(variance)[1] + np.linalg.slogdet(inner)[1]
    logs -= np.linalg.slogdet(x.T @ x)[1]
    return float(0.5 * ((k - q) * math.log(2 * math.pi) + logs + y @ p @ y))


def test_another_optimiser_of_the_plain_likelihood_ends_at_the_same_place() -> None:
    effects = studies(seed=3)
    rng = np.random.default_rng(4)
    year, size = rng.standard_normal(36), rng.uniform(0, 1, 36)
    found = location_scale(effects, {"year": year}, {"size": size})
    x, z = np.stack((np.ones(36), year), 1), np.stack((np.ones(36), size), 1)
    best = optimize.minimize(
        lambda alpha: negative(effects, x, z, alpha),
        [-2.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12},
    )
    assert found.scale.estimate == approx(best.x, abs=1e-5)
    assert found.loglik == approx(-best.fun, abs=1e-9)
    # Covariance of the scale coefficients from differences of that likelihood.
    h, moves = 1e-3, np.eye(2) * 1e-3
    at = found.scale.estimate
    curve = np.array(
        [
            [
                (
                    negative(effects, x, z, at + a + b)
                    - negative(effects, x, z, at + a - b)
                    - negative(effects, x, z, at - a + b)
                    + negative(effects, x, z, at - a - b)
                )
                / (4 * h * h)
                for b in moves
            ]
            for a in moves
        ]
    )
    assert found.scale.covariance == approx(np.linalg.inv(curve), rel=1e-4)


@given(st.floats(1e-4, 1e4), st.floats(-1e3, 1e3))
@settings(max_examples=20)
def test_units_and_origin_move_only_what_they_should(unit: float, shift: float) -> None:
    effects = studies(seed=5)
    other = effects_given(unit * (effects.yi + shift), unit**2 * effects.vi)
    one = location_scale(effects, scale={"group": GROUP})
    two = location_scale(other, scale={"group": GROUP})
    assert two.scale.estimate[1] == approx(one.scale.estimate[1], abs=1e-6)
    assert two.scale.estimate[0] - 2 * math.log(unit) == approx(one.scale.estimate[0], abs=1e-6)
    assert two.location.estimate[0] == approx(unit * (one.location.estimate[0] + shift), rel=1e-8)
    assert two.likelihood_ratio == approx(one.likelihood_ratio, abs=1e-6)


def test_the_scale_moderator_can_be_written_in_any_units() -> None:
    effects = studies(seed=6)
    x = np.random.default_rng(7).uniform(1990, 2020, 36)
    years, centuries = (location_scale(effects, scale={"x": x / by}) for by in (1, 100))
    assert centuries.scale.estimate[1] == approx(100 * years.scale.estimate[1], rel=1e-6)
    assert centuries.scale.p[1] == approx(years.scale.p[1], rel=1e-6)


def test_a_group_without_heterogeneity_is_a_fault_with_the_last_iterate() -> None:
    rng = np.random.default_rng(8)
    effects = studies()
    y = np.where(GROUP == "a", rng.normal(0.4, 0.01, 36), effects.yi)
    with pytest.raises(NotConverged, match="log τ² falls without end") as fault:
        location_scale(effects_given(y, effects.vi), scale={"group": GROUP})
    assert "intercept = " in fault.value.places[0]
    assert "leave out" in fault.value.remedy


def test_a_result_prints_a_block_and_rows() -> None:
    found = location_scale(studies(), {"group": GROUP}, {"group": GROUP})
    text = found.summary()
    assert text.startswith("Location:\n  intercept  0.")
    assert "Scale (log τ²):" in text
    assert "One τ² for all" in text
    rows: list[dict[str, Any]] = found.rows()
    assert [(row["part"], row["coefficient"]) for row in rows] == [
        ("location", "intercept"),
        ("location", "group: b"),
        ("scale", "intercept"),
        ("scale", "group: b"),
    ]


def test_faults_are_named() -> None:
    effects = studies()
    with pytest.raises(UnknownName, match="'EB'"):
        location_scale(effects, method="EB")
    with pytest.raises(InputError, match="too few"):
        location_scale(effects_given([0.1, 0.4], [0.1, 0.1]))
    x = np.arange(36.0)
    with pytest.raises(InputError, match="repeat each other"):
        location_scale(effects, scale={"x": x, "twice": 2 * x})
    with pytest.raises(InputError, match="size is missing"):
        location_scale(effects, scale={"size": [None, *x[1:]]})
