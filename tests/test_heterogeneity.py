"""Intervals of tau2 and the prediction interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given as forall
from scipy import special

from meta.errors import InputError, UnknownName
from meta.heterogeneity import tau2_interval
from meta.measures import given
from meta.quadratic import upper_tail
from tests.reference import models
from tests.reference.metafor_cases import FILE, cases
from tests.reference.univariate import judge
from tests.reference.univariate_rules import imhof, talbot
from tests.test_tau2 import data

BCG = given(models.YI, models.VI)


@pytest.mark.parametrize(("kind", "tau2"), models.TAU2_CI)
def test_intervals_of_tau2_reproduce_the_bcg_trials(kind, tau2):
    found = tau2_interval(BCG, kind=kind, tau2=tau2)
    assert found.tau2_ci == pytest.approx(models.TAU2_CI[kind, tau2], rel=1e-8)
    assert found.tau_ci == pytest.approx(tuple(math.sqrt(t) for t in found.tau2_ci))


def test_the_generalised_q_interval_agrees_as_far_as_the_reference_is_converged():
    found = tau2_interval(BCG, kind="GENQ", tau2="GENQ", weights=1 / np.sqrt(BCG.vi))
    assert found.tau2_ci == pytest.approx(models.GENQ_CI, rel=1e-4)


@pytest.mark.shared
def test_every_reference_case_of_an_interval_passes(shared):
    verdicts = [(case.id, *judge(case)) for case in cases(FILE, function="confint.rma.uni")]
    assert len(verdicts) > 200
    assert [v for v in verdicts if v[1] == "failed"] == []
    kinds = {v[2] for v in verdicts if v[1] == "differ"}
    assert kinds <= {
        "arithmetic of sixty digits gives ours",
        "integral over eigenvalues: the reference limits are not converged",
    }


def q_at(y: np.ndarray, v: np.ndarray, t: float) -> float:
    w = 1 / (v + t)
    return float(w @ (y - w @ y / w.sum()) ** 2)


@forall(sample=data())
def test_q_at_the_limits_is_a_quantile_of_chi_squared(sample):
    y, v = sample
    found = tau2_interval(given(y, v))
    for limit, tail in zip(found.tau2_ci, (0.025, 0.975), strict=True):
        target = float(special.chdtri(len(y) - 1, tail))
        if limit > 0:
            assert q_at(y, v, limit) == pytest.approx(target, rel=1e-9)
        else:
            assert q_at(y, v, 0.0) <= target * (1 + 1e-12)


@pytest.mark.parametrize("power", [0.5, 1.0, 0.0])
def test_the_tails_at_the_generalised_q_limits_are_right_by_another_integral(power):
    y, v, a = BCG.yi, BCG.vi, BCG.vi**-power
    found = tau2_interval(BCG, kind="GENQ", tau2="GENQ", weights=a)
    form = np.diag(a) - np.outer(a, a) / a.sum()
    for limit, tail in zip(found.tau2_ci, (0.025, 0.975), strict=True):
        sd = np.sqrt(v + limit)
        values = np.linalg.eigvalsh(sd[:, None] * form * sd)[1:]
        assert imhof(float(y @ form @ y), values) == pytest.approx(tail, abs=1e-10)


# One study weighs far more than the others: its product is no multiplier of the quadratic form.
@pytest.mark.parametrize("t", [0.3, 0.385, 2.0])
@pytest.mark.parametrize("small", [1e-10, 1e-4])
def test_the_tail_is_right_where_one_study_dominates(t, small):
    v = np.array([small, 1e-2, 2e-2, 1e-2, 3e-2, 2e-2, 1e-2, 2e-2])
    y = np.array([-1, 0.5, 0.7, 0.6, 0.65, 0.55, 0.8, 0.45]) + 1
    a = v**-0.5
    form = np.diag(a) - np.outer(a, a) / a.sum()
    sd = np.sqrt(v + t)
    q = float(a @ (y - a @ y / a.sum()) ** 2)
    tail = talbot(q, np.linalg.eigvalsh(sd[:, None] * form * sd)[1:])
    basis = np.sqrt(a / a.sum())[:, None]
    assert upper_tail(q, a * (v + t), basis) == pytest.approx(tail, abs=1e-9)


@forall(sample=data(least=3))
def test_generalised_q_limits_are_in_order(sample):
    found = tau2_interval(given(*sample), kind="GENQ", tau2="DL")
    assert 0 <= found.tau2_ci[0] <= found.tau2_ci[1]


@forall(sample=data(least=3))
def test_profile_likelihood_limits_surround_the_estimate(sample):
    found = tau2_interval(given(*sample), kind="PL", tau2="REML")
    assert found.tau2_ci[0] <= found.tau2 <= found.tau2_ci[1]


def test_the_empty_interval_is_named():
    found = tau2_interval(given([0.1, 0.1001, 0.1002, 0.1], [0.05, 0.04, 0.06, 0.05]))
    assert (found.tau2_ci, found.null) == ((0.0, 0.0), True)


def test_one_study_has_no_interval():
    found = tau2_interval(given([0.1], [0.05]))
    assert all(math.isnan(limit) for limit in found.tau2_ci)


def test_a_profile_needs_a_likelihood():
    with pytest.raises(InputError, match="does not go with DL"):
        tau2_interval(BCG, kind="PL", tau2="DL")


def test_an_unknown_kind_is_refused():
    with pytest.raises(UnknownName, match="kind of tau2 interval"):
        tau2_interval(BCG, kind="BT")
