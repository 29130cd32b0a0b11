"""Subgroups: each pooled, with a tau2 of its own or one for all, and the test between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as forall
from scipy import special

from meta.errors import InputError, UnknownName
from meta.measures import given
from meta.pooling import pool
from meta.regression import regress
from meta.subgroups import subgroups
from tests.reference import models
from tests.test_tau2 import data

BCG = given(models.YI, models.VI)
GROUP = ["near" if latitude < 35 else "far" for latitude in models.LATITUDE]


def part(name: str):
    at = [i for i, group in enumerate(GROUP) if group == name]
    return given(BCG.yi[at], BCG.vi[at])


def test_each_subgroup_is_pooled_on_its_own():
    found = subgroups(BCG, GROUP)
    assert found.names == ("far", "near")
    for name, pooled in zip(found.names, found.pooled, strict=True):
        alone = pool(part(name))
        assert (pooled.estimate, pooled.tau2, pooled.ci) == (alone.estimate, alone.tau2, alone.ci)
    assert found.overall.estimate == pool(BCG).estimate


def test_the_test_between_two_subgroups_is_the_squared_z_of_their_difference():
    found = subgroups(BCG, GROUP)
    far, near = (pool(part(name), ci="Wald") for name in ("far", "near"))
    z = (far.estimate - near.estimate) / np.hypot(far.se, near.se)
    assert found.q_between == pytest.approx(z**2)
    assert found.q_df == 1
    assert found.p == pytest.approx(2 * special.ndtr(-abs(z)))


@pytest.mark.parametrize("tau2", ["REML", "DL", "PM"])
def test_with_one_tau2_the_test_is_that_of_the_meta_regression(tau2):
    found = subgroups(BCG, GROUP, common_tau2=True, tau2=tau2)
    regression = regress(BCG, {"group": GROUP}, tau2=tau2, test="Wald")
    assert [pooled.tau2 for pooled in found.pooled] == pytest.approx([regression.tau2] * 2)
    assert found.q_between == pytest.approx(regression.moderators.statistic, rel=1e-9)
    assert found.p == pytest.approx(regression.moderators.p, rel=1e-9)
    # The regression's intercept is the first level in sorted order: the far trials.
    assert found.pooled[0].estimate == pytest.approx(regression.beta[0], rel=1e-10)
    assert found.pooled[0].tau2_method == f"{tau2}, one for all subgroups"
    assert found.pooled[0].tau2_ci == pytest.approx(regression.tau2_ci)


def test_common_effect_q_splits_into_within_and_between():
    found = subgroups(BCG, GROUP, model="common")
    within = sum(pooled.q for pooled in found.pooled)
    assert found.q_between == pytest.approx(found.overall.q - within, rel=1e-9)


@forall(sample=data(least=4))
def test_copies_of_the_same_studies_do_not_differ(sample):
    y, v = sample
    effects = given(np.concatenate((y, y)), np.concatenate((v, v)))
    groups = ["a"] * len(y) + ["b"] * len(y)
    for common in (True, False):
        found = subgroups(effects, groups, common_tau2=common)
        assert found.q_between == pytest.approx(0, abs=1e-12)
        assert found.p == pytest.approx(1, abs=1e-5)


def test_a_single_study_is_noted():
    found = subgroups(BCG, ["one", *["rest"] * 12])
    assert found.notes == ("one study, hence no τ² of its own: one",)
    assert found.pooled[0].estimate == BCG.yi[0]


def test_the_summary_names_the_groups_and_the_test():
    lines = subgroups(BCG, GROUP).summary().splitlines()
    assert lines[0].startswith("far: ")
    assert lines[2].startswith("Difference between subgroups (a τ² each): Q = ")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"] * 13, "all studies are 'a': there is nothing to compare"),
        (["a", "b"], "2 groups for 13 studies"),
        ([None, *["b"] * 12], "every study needs a group"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(groups, message):
    with pytest.raises(InputError, match=message):
        subgroups(BCG, groups)


def test_unknown_choices_are_refused():
    with pytest.raises(UnknownName, match="there is no model 'fixed'"):
        subgroups(BCG, GROUP, model="fixed")
