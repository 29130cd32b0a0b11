"""Refits without studies, cumulative refits, case diagnostics, shrunken effects."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given as forall

from meta import fitting
from meta.errors import InputError, UnknownName
from meta.influence import (
    baujat,
    cumulative,
    influence,
    leave_cluster_out,
    leave_one_out,
    shrink,
)
from meta.measures import given
from meta.pooling import pool
from tests.reference import models
from tests.reference.metafor_cases import FILE, cases
from tests.reference.univariate import judge
from tests.test_tau2 import data

BCG = given(models.YI, models.VI, study=[f"trial {i}" for i in range(1, 14)])


def test_leaving_out_each_trial_reproduces_the_bcg_values():
    found = leave_one_out(BCG, ci="Wald")
    assert found.label == BCG.study
    expected = {name: np.array(values) for name, values in models.LEAVE_ONE_OUT.items()}
    assert found.estimate == pytest.approx(expected["estimate"], rel=1e-8)
    assert found.se == pytest.approx(expected["se"], rel=1e-8)
    assert found.tau2 == pytest.approx(expected["tau2"], rel=1e-8)
    assert found.q == pytest.approx(expected["Q"], rel=1e-11)
    assert 100 * found.i2 == pytest.approx(expected["I2"], rel=1e-8)


def test_adding_up_the_trials_reproduces_the_bcg_values():
    found = cumulative(BCG, tau2="DL", ci="Wald")
    assert found.k.tolist() == list(range(1, 14))
    for name, got in (("estimate", found.estimate), ("se", found.se), ("tau2", found.tau2)):
        assert got[1:] == pytest.approx(np.array(models.CUMULATIVE[name]), rel=1e-10, abs=1e-12)
    assert found.estimate[0] == BCG.yi[0]


def test_case_diagnostics_reproduce_the_bcg_values():
    found = influence(BCG)
    ours = {
        "rstudent": found.rstudent,
        "dffits": found.dffits,
        "cook_d": found.cook,
        "cov_r": found.cov_ratio,
        "tau2_del": found.tau2_deleted,
        "QE_del": found.q_deleted,
        "hat": found.hat,
        "dfbs": found.dfbetas[:, 0],
    }
    for name, got in ours.items():
        assert got == pytest.approx(np.array(models.INFLUENCE[name]), rel=1e-6), name
    assert not found.influential.any()


def test_shrunken_effects_reproduce_the_bcg_values():
    found = shrink(BCG)
    ours = {
        "rstandard": found.rstandard,
        "blup": found.blup,
        "blup_se": found.blup_se,
        "ranef": found.random_effect,
        "ranef_se": found.random_effect_se,
    }
    for name, got in ours.items():
        assert got == pytest.approx(np.array(models.SHRUNKEN[name]), rel=1e-7), name


@pytest.mark.shared
@pytest.mark.parametrize("function", ["leave1out", "cumul", "influence", "rstandard_blup_ranef"])
def test_every_reference_case_of_influence_passes(shared, function):
    verdicts = [(case.id, *judge(case)) for case in cases(FILE, function=function)]
    assert len(verdicts) >= 33
    assert [v for v in verdicts if v[1] == "failed"] == []
    reasons = {v[2] for v in verdicts if v[1] == "differ"}
    assert reasons <= {"arithmetic of sixty digits gives ours"}


@forall(sample=data(least=3))
def test_each_row_is_the_pool_of_the_rest(sample):
    effects = given(*sample)
    found = leave_one_out(effects)
    keep = np.arange(effects.k) != 1
    rest = pool(given(effects.yi[keep], effects.vi[keep]))
    near = 1e-9 * (rest.se + abs(rest.estimate))
    assert found.estimate[1] == pytest.approx(rest.estimate, abs=near)
    assert found.ci[1] == pytest.approx(rest.ci, rel=1e-8, abs=1e-8 * rest.se)
    assert found.ci_method[1] == rest.ci_method


@pytest.mark.parametrize("ci", ["auto", "Wald", "t", "Knapp-Hartung", "ad hoc"])
@pytest.mark.parametrize("tau2", ["REML", "DL", "SJ"])
def test_refits_of_many_sets_at_once_are_pools_of_each(tau2, ci):
    order = np.argsort(models.LATITUDE, kind="stable")
    clusters = [str(name) for name in np.arange(13) // 3]
    grouped = given(BCG.yi, BCG.vi, cluster=clusters)
    tables = (
        (leave_one_out(BCG, tau2=tau2, ci=ci), [np.arange(13) != i for i in range(13)]),
        (cumulative(BCG, models.LATITUDE, tau2=tau2, ci=ci), [order[: i + 1] for i in range(13)]),
        (
            leave_cluster_out(grouped, tau2=tau2, ci=ci),
            [np.arange(13) // 3 != i for i in range(5)],
        ),
    )
    for found, sets in tables:
        for i, keep in enumerate(sets):
            one = pool(given(BCG.yi[keep], BCG.vi[keep]), tau2=tau2, ci=ci)
            assert (found.k[i], found.ci_method[i]) == (len(one.effects.study), one.ci_method)
            for name in ("estimate", "se", "statistic", "p", "tau2", "q", "q_p", "i2", "h2"):
                want = getattr(one, name)
                assert getattr(found, name)[i] == pytest.approx(want, rel=1e-10, abs=1e-11), name
            assert found.ci[i] == pytest.approx(one.ci, abs=1e-10)


def test_equal_effects_stay_without_heterogeneity_in_every_refit():
    effects = given(np.full(5, 0.7), [0.1, 0.2, 0.05, 0.4, 0.3])
    found = leave_one_out(effects, ci="Knapp-Hartung")
    assert found.estimate.tolist() == [0.7] * 5
    assert found.tau2.tolist() == found.q.tolist() == found.i2.tolist() == found.se.tolist()
    assert found.tau2.tolist() == [0.0] * 5
    assert np.isnan(found.statistic).all()
    assert found.q_p.tolist() == [1.0] * 5


@pytest.mark.parametrize("test", ["Wald", "t", "Knapp-Hartung", "ad hoc"])
@pytest.mark.parametrize("tau2", ["REML", "DL", "PM"])
@pytest.mark.parametrize("moderators", [0, 1, 2])
def test_case_diagnostics_follow_from_fits_without_each_study(moderators, tau2, test):
    random = np.random.default_rng(moderators)
    extra = [np.array(models.LATITUDE, dtype=float), random.normal(size=13)]
    x = np.column_stack((np.ones(13), *extra[:moderators]))
    y, v, kind = BCG.yi, BCG.vi, fitting.test_named(test)
    found = influence(BCG, x, tau2=tau2, test=test)
    whole = fitting.fit(y, v, x, tau2=tau2)
    covariance = whole.vb * whole.scale_of(kind)
    for i in range(13):
        keep = np.arange(13) != i
        rest = fitting.fit(y[keep], v[keep], x[keep], tau2=tau2)
        t, own = rest.tau2.value, x[i]
        scale = rest.scale_of(kind)
        # As Viechtbauer and Cheung (2010) define them.
        spread = (v[i] + t + own @ rest.vb @ own) * scale
        moved = whole.beta - rest.beta
        unscaled = np.diag(np.linalg.inv((x.T / (v + t)) @ x)) * whole.scale_of(kind)
        want = {
            "rstudent": (y[i] - own @ rest.beta) / math.sqrt(spread),
            "dffits": (own @ moved) / math.sqrt(whole.hat[i] * (v[i] + t)),
            "cook": moved @ np.linalg.inv(covariance) @ moved,
            "cov_ratio": np.linalg.det(rest.vb * scale) / np.linalg.det(covariance),
            "tau2_deleted": t,
            "q_deleted": rest.q,
            "dfbetas": moved / np.sqrt(unscaled),
        }
        for name, value in want.items():
            assert getattr(found, name)[i] == pytest.approx(value, rel=1e-8, abs=1e-9), name


def test_baujat_splits_q_and_shows_who_moves_the_common_effect():
    found = baujat(BCG, model="common")
    whole, rest = pool(BCG, model="common"), leave_one_out(BCG, model="common")
    assert found.contribution.sum() == pytest.approx(whole.q)
    # Baujat et al. (2002): squared standardised difference, here by their closed form.
    w = 1 / BCG.vi
    shift = w / (w.sum() - w) * (BCG.yi - whole.estimate)
    assert found.influence == pytest.approx(shift**2 * (w.sum() - w))
    assert found.influence == pytest.approx(((whole.estimate - rest.estimate) / rest.se) ** 2)
    assert found.summary() == (
        "Of 13 studies, trial 4 contributes most to the heterogeneity and trial 8 moves the "
        "result most"
    )
    assert found.rows()[0]["study"] == "trial 1"
    random = baujat(BCG)
    at = pool(BCG)
    assert random.contribution == pytest.approx((BCG.yi - at.estimate) ** 2 / (BCG.vi + at.tau2))
    with pytest.raises(InputError, match="1 of at least 2 studies"):
        baujat(given([0.1], [0.1]))


def test_a_refit_of_many_studies_takes_little_memory():
    random = np.random.default_rng(3)
    v = random.uniform(0.02, 0.2, 1500)
    effects = given(random.normal(0.3, np.sqrt(v + 0.05)), v)
    tracemalloc.start()
    leave_one_out(effects, tau2="DL")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6  # the sets of studies, as numbers, would be 18 MB and each product too


@forall(sample=data(least=2))
def test_the_last_cumulative_row_is_the_pool_of_all(sample):
    effects = given(*sample)
    order = np.argsort(effects.vi, kind="stable")
    found, whole = cumulative(effects, effects.vi), pool(effects)
    assert found.label == tuple(effects.study[i] for i in order)
    assert found.estimate[-1] == pytest.approx(whole.estimate, rel=1e-8, abs=1e-10)
    assert found.tau2[-1] == pytest.approx(whole.tau2, rel=1e-7, abs=1e-10)


@forall(sample=data(least=2))
def test_shrunken_effects_lie_between_the_study_and_the_mean(sample):
    effects = given(*sample)
    found, mean = shrink(effects), pool(effects).estimate
    low, high = np.minimum(effects.yi, mean), np.maximum(effects.yi, mean)
    slack = 1e-9 * (1 + np.abs(effects.yi))
    assert (found.blup >= low - slack).all()
    assert (found.blup <= high + slack).all()
    assert found.blup == pytest.approx(mean + found.random_effect, abs=1e-9)


def test_an_outlier_is_marked():
    found = influence(given([0.1, 0.12, 0.08, 0.11, 0.09, 0.1, 4.0], [0.02] * 7))
    assert found.influential.tolist() == [False] * 6 + [True]
    assert found.rows()[-1]["rstudent"] > 20


def test_rows_that_share_people_leave_together():
    effects = given(
        [0.1, 0.2, 0.4, 0.9], [0.01] * 4, study=list("abcd"), cluster=["one", "two", "one", "two"]
    )
    found = leave_cluster_out(effects, model="common")
    assert found.label == ("one", "two")
    assert found.estimate == pytest.approx([0.55, 0.25])
    assert found.k.tolist() == [2, 2]
    with pytest.raises(InputError, match="all rows belong to one cluster"):
        leave_cluster_out(given([0.1, 0.2], [1, 1], cluster=["x", "x"]))


def test_a_study_that_alone_carries_a_coefficient_has_no_deleted_residual():
    effects = given([0.1, 0.5, 0.3, 0.9], [0.1, 0.2, 0.1, 0.3])
    x = np.array([[1, 0], [1, 0], [1, 0], [1, 1]], dtype=float)
    found, drawn = influence(effects, x), shrink(effects, x)
    assert math.isnan(found.rstudent[3])
    assert math.isnan(found.cook[3])
    assert drawn.rstandard[3] == 0
    assert np.isfinite(found.rstudent[:3]).all()


def test_one_study_cannot_be_left_out():
    with pytest.raises(InputError, match="1 of at least 2 studies"):
        leave_one_out(given([0.1], [0.1]))


def test_unknown_choices_are_refused():
    with pytest.raises(UnknownName, match="there is no tau2 estimator 'dl'"):
        leave_one_out(BCG, tau2="dl")
    with pytest.raises(InputError, match="3 sort keys for 13 studies"):
        cumulative(BCG, [1, 2, 3])
