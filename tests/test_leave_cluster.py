"""Refits without each cluster: they are the fits of what is left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pytest import approx

from meta.dependent.leave_cluster import leave_cluster_out
from meta.dependent.working_models import correlated_effects, hierarchical_effects
from meta.errors import InputError
from meta.measures import given
from meta.pooling import pool
from meta.regression import regress
from meta.results import Effects
from tests.reference import models

# Thirteen trials of Colditz et al. (1994) in five groups in the order of the table.
GROUPS = ["a", "a", "a", "b", "b", "b", "c", "c", "d", "d", "e", "e", "e"]
YI, VI, LATITUDE = (np.array(c) for c in (models.YI, models.VI, models.LATITUDE))
BCG = given(YI, VI, study=[f"trial {i}" for i in range(1, 14)], cluster=GROUPS)


def kept(label: str) -> Any:
    return np.array([i for i, g in enumerate(GROUPS) if g != label])


def without(label: str) -> Effects:
    at = kept(label)
    return given(YI[at], VI[at], cluster=[GROUPS[i] for i in at])


@pytest.mark.parametrize("choice", [{"tau2": "DL"}, {"model": "common"}, {"ci": "Wald"}])
def test_pooled_effects_are_pooled_again_with_the_same_choices(choice: dict[str, str]) -> None:
    found = leave_cluster_out(pool(BCG, level=0.9, **choice))
    assert found.label == ("a", "b", "c", "d", "e")
    for i, label in enumerate(found.label):
        again = pool(without(label), level=0.9, **choice)
        assert found.estimate[i] == approx(again.estimate, rel=1e-12)
        assert found.ci[i] == approx(again.ci, rel=1e-12)
        assert found.tau2[i] == approx(again.tau2, rel=1e-12)
    direct = leave_cluster_out(BCG, level=0.9, **choice)
    assert direct.estimate == approx(found.estimate)


def test_clusters_may_be_given_apart() -> None:
    bare = given(YI, VI)
    assert leave_cluster_out(bare, GROUPS).estimate == approx(leave_cluster_out(BCG).estimate)


@pytest.mark.parametrize("choice", [{"tau2": "DL"}, {"model": "common"}, {"test": "t"}])
def test_regressions_keep_columns_estimator_and_test(choice: dict[str, str]) -> None:
    whole = regress(BCG, {"latitude": LATITUDE}, **choice)
    found = leave_cluster_out(whole)
    for i, label in enumerate("abcde"):
        again = regress(without(label), {"latitude": LATITUDE[kept(label)]}, **choice)
        assert found.beta[i] == approx(again.beta, rel=1e-9)
        assert found.se[i] == approx(again.se, rel=1e-9)
        assert found.p[i] == approx(again.p, rel=1e-7)
        assert found.ci[i] == approx(again.ci, rel=1e-9)
        assert found.tau2[i] == approx(again.tau2, rel=1e-9)
        assert found.shift[i] == approx(again.beta - whole.beta, abs=1e-12)
    assert found.k.tolist() == [10, 10, 11, 11, 10]
    assert len(found.rows()) == 10
    assert found.rows()[1]["coefficient"] == "latitude"


def test_weights_of_the_callers_go_along() -> None:
    weights = np.arange(1.0, 14)
    found = leave_cluster_out(regress(BCG, tau2="DL", weights=weights))
    again = pool(without("c"), tau2="DL", weights=weights[kept("c")])
    assert found.beta[2, 0] == approx(again.estimate, rel=1e-9)
    with pytest.raises(InputError, match="weights of its own"):
        leave_cluster_out(pool(BCG, tau2="DL", weights=weights))


def test_a_coefficient_that_a_cluster_carries_is_undefined_without_it() -> None:
    last = [float(g == "e") for g in GROUPS]
    found = leave_cluster_out(regress(BCG, {"last": last}, tau2="DL"))
    assert np.isnan(found.beta[4]).all()
    assert np.isfinite(found.beta[:4]).all()
    assert found.notes == ("without e: no row tells of last",)
    assert "without e" in found.summary()


@pytest.mark.parametrize("model", [correlated_effects, hierarchical_effects])
def test_working_models_are_fitted_again(model: Any) -> None:
    found = leave_cluster_out(model(BCG, {"latitude": LATITUDE}))
    again = model(without("b"), {"latitude": LATITUDE[kept("b")]})
    assert found.beta[1] == approx(again.beta, rel=1e-12)
    assert found.se[1] == approx(again.se, rel=1e-12)
    assert found.tau2[1] == approx(again.tau2, rel=1e-9, abs=1e-12)


def test_any_model_can_be_given_a_way_to_fit_it_again() -> None:
    whole = regress(BCG, tau2="DL")

    class Foreign:
        effects, names, beta, level = whole.effects, whole.names, whole.beta, whole.level

    with pytest.raises(InputError, match="a Foreign cannot be fitted again"):
        leave_cluster_out(Foreign())
    found = leave_cluster_out(Foreign(), fit=lambda rest, _: regress(rest, tau2="DL"))
    assert found.beta == approx(leave_cluster_out(whole).beta, rel=1e-12)


def test_fewer_than_two_clusters_and_missing_labels_are_refused() -> None:
    with pytest.raises(InputError, match="all rows belong to one cluster"):
        leave_cluster_out(regress(BCG), ["x"] * 13)
    with pytest.raises(InputError, match="1 row without a cluster") as fault:
        leave_cluster_out(pool(BCG), [*GROUPS[:-1], math.nan])
    assert fault.value.places == ("trial 13: cluster is missing",)


def test_two_rows_leave_one_each() -> None:
    found = leave_cluster_out(regress(given([0.1, 0.5], [0.04, 0.02])))
    assert found.beta[:, 0] == approx([0.5, 0.1])
    assert found.se[:, 0] == approx(np.sqrt([0.02, 0.04]))
