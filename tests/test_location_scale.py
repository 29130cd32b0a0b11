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


# Writing to learn, 48 comparisons: Bangert-Drowns, Hurley and Wilkinson (2004), Rev Educ Res
# 74:29-58, as in metadat::dat.bangertdrowns2004.
WRITING = {
    "yi": [
        *(0.65, -0.75, -0.21, -0.04, 0.23, 0.03, 0.26, 0.06, 0.06, 0.12, 0.77, 0, 0.52, 0.54),
        *(0.2, 0.2, -0.16, 0.42, 0.6, 0.51, 0.58, 0.54, 0.09, 0.37, -0.01, -0.13, 0.18, 0.27),
        *(-0.02, 0.33, 0.59, 0.84, -0.32, 0.12, 1.12, -0.12, -0.44, -0.07, 0.7, 0.49, 0.2),
        *(0.58, 0.15, 0.63, 0.04, 1.46, 0.04, 0.25),
    ],
    "vi": [
        *(0.07, 0.126, 0.042, 0.019, 0.022, 0.009, 0.106, 0.007, 0.04, 0.052, 0.107, 0.021),
        *(0.037, 0.083, 0.086, 0.091, 0.167, 0.052, 0.091, 0.065, 0.073, 0.061, 0.1, 0.06),
        *(0.083, 0.037, 0.069, 0.018, 0.009, 0.053, 0.017, 0.112, 0.06, 0.044, 0.129, 0.023),
        *(0.205, 0.033, 0.265, 0.039, 0.021, 0.067, 0.014, 0.168, 0.016, 0.099, 0.087, 0.072),
    ],
    "ni": [
        *(60, 34, 95, 209, 182, 462, 38, 542, 99, 77, 40, 190, 113, 50, 47, 44, 24, 78, 46, 64),
        *(57, 68, 40, 68, 48, 107, 58, 225, 446, 77, 243, 39, 67, 91, 36, 177, 20, 120, 16, 105),
        *(195, 62, 289, 25, 250, 51, 46, 56),
    ],
}
# rma(yi, vi, mods = ~ ni100, scale = ~ ni100) of metafor 3.8-1: location and scale coefficients,
# each with standard errors, and the log-likelihood.
WRITING_BY_SIZE = {
    "REML": (
        (0.3016813627089, -0.0552663301808),
        (0.0661161560861, 0.0197546220145),
        (-1.9208785460142, -0.9174287728057),
        (0.6689824188192, 0.5140647732969),
        -14.6505619967171,
    ),
    "ML": (
        (0.3003185514134, -0.0549947806234),
        (0.0650682097390, 0.0194007517725),
        (-1.9049555179543, -0.9928539044287),
        (0.6614200248894, 0.5088758563664),
        -13.2375438105271,
    ),
}


@pytest.mark.parametrize("method", WRITING_BY_SIZE)
def test_size_in_both_parts_of_the_writing_data_is_as_in_metafor(method: str) -> None:
    size = {"size": np.array(WRITING["ni"]) / 100}
    found = location_scale(effects_given(WRITING["yi"], WRITING["vi"]), size, size, method=method)
    beta, beta_se, alpha, alpha_se, loglik = WRITING_BY_SIZE[method]
    assert found.location.estimate == approx(beta, rel=1e-4)
    assert found.location.se == approx(beta_se, rel=1e-4)
    assert found.scale.estimate == approx(alpha, rel=1e-4)
    assert found.scale.se == approx(alpha_se, rel=1e-3)
    assert found.loglik == approx(loglik, abs=1e-6)
