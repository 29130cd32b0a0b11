"""Correlated and hierarchical effects: values of robumeta, moments by dense algebra, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx

from meta.dependent.robust import robust, wald
from meta.dependent.working_models import correlated_effects, hierarchical_effects, rho_sensitivity
from meta.errors import InputError
from meta.measures import given
from meta.regression import regress
from meta.results import Effects
from tests.reference import models

Array = NDArray[np.float64]

# Thirteen trials of Colditz et al. (1994) in five groups in the order of the table. The groups mean
# nothing; decimals from robumeta 2.0 on them.
GROUPS = [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5]
BCG = given(models.YI, models.VI, study=[f"trial {i}" for i in range(1, 14)], cluster=GROUPS)
LATITUDE = {"latitude": models.LATITUDE}


def test_correlated_effects_reproduce_robumeta() -> None:
    found = correlated_effects(BCG, LATITUDE)
    assert found.beta == approx([0.0222108231077, -0.0246660711059], rel=1e-9)
    assert found.se == approx([0.3652738075071, 0.0078082091758], rel=1e-9)
    assert found.df == approx([2.25711415531, 2.46656140096], rel=1e-9)
    assert found.p == approx([0.9564770067320, 0.0663413554993], rel=1e-9)
    assert found.ci[0] == approx([-1.3897444231775, 1.43416606939281], rel=1e-9)
    assert found.tau2 == approx(0.212215703211, rel=1e-9)
    assert found.i2 == approx(0.70005821298833, rel=1e-9)
    assert found.omega2 is None


def test_hierarchical_effects_reproduce_robumeta() -> None:
    found = hierarchical_effects(BCG, LATITUDE)
    assert found.beta == approx([0.2470420572178, -0.0290278907509], rel=1e-9)
    assert found.se == approx([0.13800680991603, 0.00339950818716], rel=1e-9)
    assert found.df == approx([2.45491523162, 2.45747990812], rel=1e-9)
    assert found.p == approx([0.19138906463632, 0.00693009893943], rel=1e-9)
    assert found.tau2 == approx(0.0842280691338, rel=1e-9)
    assert found.omega2 == 0
    assert found.rho is None
    assert found.i2 is None


def test_the_sensitivity_to_rho_reproduces_robumeta() -> None:
    found = rho_sensitivity(BCG)
    assert found.rho == (0, 0.2, 0.4, 0.6, 0.8, 1)
    means = [row["estimate"] for row in found.rows()]
    assert means == approx([-0.758, -0.757, -0.757, -0.757, -0.757, -0.757], abs=5e-4)
    errors = [row["se"] for row in found.rows()]
    assert errors == approx([0.179, 0.180, 0.180, 0.180, 0.180, 0.180], abs=5e-4)
    between = [row["tau2"] for row in found.rows()]
    assert between == approx([0.425, 0.428, 0.430, 0.433, 0.436, 0.438], abs=5e-4)
    assert "Rho sensitivity" in found.summary()


def dependent(seed: int, *, unit: float = 1.0) -> tuple[Effects, dict[str, Array]]:
    """Invented effects: eight clusters of one to four rows, with a moderator."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(8), [1, 2, 4, 3, 2, 1, 3, 2])
    v = rng.uniform(0.02, 0.2, 18)
    y = rng.normal(0, np.sqrt(v)) + rng.normal(0, 0.3, 8)[codes] + rng.normal(0, 0.2, 18)
    effects = given(unit * y, unit**2 * v, cluster=[f"c{c}" for c in codes])
    return effects, {"dose": rng.normal(size=18)}


@settings(max_examples=20)
@forall(seed=st.integers(0, 10_000))
def test_the_variances_solve_the_expectations_of_dense_quadratic_forms(seed: int) -> None:
    effects, dose = dependent(seed)
    x = np.column_stack([np.ones(18), dose["dose"]])
    labels = np.array(effects.cluster)
    same = (labels[:, None] == labels).astype(float)
    size = same.sum(1)

    def form(w: Array, inner: Array) -> Array:
        """The matrix F of e'inner e = y'Fy, with e the residuals at weights w."""
        rest = np.eye(18) - x @ np.linalg.inv((x.T * w) @ x) @ (x.T * w)
        return np.asarray(rest.T @ inner @ rest)

    y, v = effects.yi, effects.vi
    q, s = form(1 / v, np.diag(1 / v)), form(1 / v, same)
    left = [[np.sum(f * same), np.trace(f)] for f in (q, s)]
    right = [y @ f @ y - np.trace(f * v) for f in (q, s)]
    tau2, omega2 = np.linalg.solve(left, right)
    if omega2 < 0:
        omega2, tau2 = 0, right[0] / left[0][0]
    elif tau2 < 0:
        tau2 = 0
    found = hierarchical_effects(effects, dose)
    assert (found.tau2, found.omega2) == approx((max(tau2, 0), omega2), rel=1e-8, abs=1e-12)

    mean_v = (same @ v) / size
    w = 1 / (size * mean_v)
    f = form(w, np.diag(w))
    rho = 0.6
    sampling = mean_v * ((1 - rho) * np.eye(18) + rho * same)
    excess = y @ f @ y - np.sum(f * sampling)
    correlated = correlated_effects(effects, dose, rho=rho)
    assert correlated.tau2 == approx(max(0, excess / np.sum(f * same)), rel=1e-9, abs=1e-12)
    assert correlated.i2 == approx(max(0, excess / (y @ f @ y)), rel=1e-9, abs=1e-12)


def test_one_effect_a_cluster_is_dersimonian_and_laird_whatever_rho() -> None:
    alone = given(models.YI, models.VI)
    usual = regress(alone, LATITUDE, tau2="DL")
    for rho in (0, 0.5, 1):
        found = correlated_effects(alone, LATITUDE, rho=rho)
        assert found.tau2 == approx(usual.tau2, rel=1e-10)
        assert found.beta == approx(usual.beta, rel=1e-9)
        assert found.se == approx(robust(usual).se, rel=1e-9)
    nested = hierarchical_effects(alone, LATITUDE)
    assert nested.tau2 == approx(usual.tau2, rel=1e-9)
    assert nested.omega2 == 0
    assert nested.notes == (
        "no cluster has two effects: ω² cannot be told from τ², which holds both",
    )


def test_reporting_the_same_effect_twice_changes_nothing_when_rho_is_one() -> None:
    once = correlated_effects(BCG, LATITUDE, rho=1)
    twice = given(np.repeat(models.YI, 2), np.repeat(models.VI, 2), cluster=np.repeat(GROUPS, 2))
    again = correlated_effects(twice, {"latitude": np.repeat(models.LATITUDE, 2)}, rho=1)
    assert again.beta == approx(once.beta, rel=1e-9)
    assert again.se == approx(once.se, rel=1e-9)
    assert again.tau2 == approx(once.tau2, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-5, 1e4])
def test_units_and_offsets_do_not_matter(unit: float) -> None:
    (one, dose), (two, _) = dependent(1), dependent(1, unit=unit)
    far = given(one.yi + 1e6, one.vi, cluster=one.cluster)
    for model in (correlated_effects, hierarchical_effects):
        near, scaled, moved = model(one, dose), model(two, dose), model(far, dose)
        assert scaled.tau2 == approx(near.tau2 * unit**2, rel=1e-9)
        assert scaled.se == approx(near.se * unit, rel=1e-9)
        assert moved.tau2 == approx(near.tau2, rel=1e-6)
        assert moved.se == approx(near.se, rel=1e-6)


def test_without_small_sample_corrections_it_is_the_covariance_of_2010() -> None:
    found = correlated_effects(BCG, LATITUDE, small=False)
    same = robust(found, kind="CR1p", df="m-p")
    assert found.se == approx(same.se)
    assert found.df == approx([3, 3])
    assert found.inference.kind == "CR1p"


def test_clusters_can_be_given_and_corrections_changed_afterwards() -> None:
    bare = given(models.YI, models.VI)
    found = correlated_effects(bare, LATITUDE, cluster=GROUPS)
    assert found.se == approx(correlated_effects(BCG, LATITUDE).se, rel=1e-12)
    other = robust(found, GROUPS, kind="CR3")
    assert (other.se > found.se).all()
    assert wald(found.inference, "latitude").p == approx(found.p[1])


def test_factors_are_tested_jointly_by_hotelling() -> None:
    kind = ["a", "b", "c", "a", "b", "c", "a", "b", "a", "c", "a", "b", "c"]
    found = correlated_effects(BCG, {"kind": kind})
    assert found.names == ("intercept", "kind: b", "kind: c")
    assert found.omnibus.coefficients == ("kind: b", "kind: c")
    assert found.omnibus.df_1 == 2


def test_one_cluster_and_saturated_models_say_what_cannot_be_estimated() -> None:
    one = given([0.1, 0.4], [0.05, 0.02], cluster=["x", "x"])
    for model in (correlated_effects, hierarchical_effects):
        found = model(one)
        assert found.tau2 == 0
        assert math.isnan(found.se[0])
        assert "one cluster tell" in " ".join(found.notes) or "one cluster" in found.notes[-1]
    alone = correlated_effects(given([0.3], [0.1]))
    assert alone.beta[0] == approx(0.3)
    assert math.isnan(alone.p[0])


def test_rows_that_cannot_be_used_are_named() -> None:
    with pytest.raises(InputError, match=r"rho = 1.2 is not from 0 to 1"):
        correlated_effects(BCG, rho=1.2)
    with pytest.raises(InputError, match="cluster") as fault:
        hierarchical_effects(BCG, cluster=[*GROUPS[:-1], None])
    assert fault.value.places == ("trial 13: cluster is missing",)
    holes = list(models.LATITUDE)
    holes[2] = math.nan
    with pytest.raises(InputError) as fault:
        correlated_effects(BCG, {"latitude": holes})
    assert fault.value.places == ("trial 3: latitude is missing",)
    with pytest.raises(InputError, match="no study"):
        correlated_effects(given([], []))


def test_the_summary_tells_the_working_model() -> None:
    lines = correlated_effects(BCG, LATITUDE).summary().splitlines()
    assert lines[1] == "latitude   −0.025 (95% CI −0.053 to 0.004), df 2.5, p = 0.066"
    assert "Working model: correlated effects (ρ = 0.80); τ² = 0.212, I² = 70%" in lines
    nested = hierarchical_effects(BCG).summary()
    assert "Working model: hierarchical effects; τ² = " in nested
    assert "ω² = " in nested
