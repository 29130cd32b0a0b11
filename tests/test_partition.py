"""Which studies drive heterogeneity: exact sums, refits, every set by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st

from meta.errors import InputError, UnknownName
from meta.fitting import subset
from meta.measures import given
from meta.partition import contributions, least_removal, partition_q
from meta.pooling import pool
from meta.subgroups import subgroups
from tests.reference import models
from tests.test_tau2 import data

BCG = given(models.YI, models.VI, measure="RR")
ALLOCATION = [
    *("random", "random", "random", "random", "alternate", "alternate", "random", "random"),
    *("random", "systematic", "systematic", "systematic", "systematic"),
]

BETWEEN, WITHIN = 19.8653698196656, 132.3676382627075


def i2_of(effects, out) -> float:
    keep = np.setdiff1d(np.arange(effects.k), out)
    return pool(subset(effects, keep), model="common").i2


# Q = 152.2330: rma() of metafor 3.8-1.
def test_contributions_of_the_bcg_trials_agree_with_refits():
    found = contributions(BCG)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    assert found.q_part.sum() == pytest.approx(found.q)
    assert found.q_share.sum() == pytest.approx(1)
    for i in (0, 6, 12):
        rest = pool(subset(BCG, np.delete(np.arange(13), i)))
        assert found.q_fall[i] == pytest.approx(found.q - rest.q)
        assert found.tau2_fall[i] == pytest.approx(found.tau2 - rest.tau2)
        assert found.i2_without[i] == pytest.approx(rest.i2)
    assert found.rows()[0]["study"] == BCG.study[int(np.argmax(found.q_part))]


@forall(sample=data(least=3, most=10))
def test_each_fall_of_q_is_what_a_refit_says(sample):
    effects = given(*sample)
    found = contributions(effects, tau2="DL")
    for i in range(effects.k):
        rest = pool(subset(effects, np.delete(np.arange(effects.k), i)), model="common")
        assert found.q - found.q_fall[i] == pytest.approx(rest.q, rel=1e-6, abs=1e-8 * found.q)


def test_a_dominating_study_leaves_the_fall_of_q_defined():
    found = contributions(given([0.5, 0.4, 0.1, 0.9], [1e-12, 0.1, 0.2, 0.1]))
    rest = pool(given([0.4, 0.1, 0.9], [0.1, 0.2, 0.1]), model="common")
    assert found.q - found.q_fall[0] == pytest.approx(rest.q)


def test_equal_effects_have_no_shares():
    found = contributions(given([0.2] * 4, [0.1, 0.2, 0.3, 0.4]))
    assert found.q == 0
    assert np.isnan(found.q_share).all()


def test_an_outlier_is_where_the_heterogeneity_comes_from():
    y = [0.1, 0.12, 0.09, 0.11, 1.5]
    found = contributions(given(y, [0.01] * 5))
    assert found.q_share[4] > 0.7
    assert found.tau2_without[4] == 0
    assert found.i2_fall[4] == found.i2


# QM and QE of rma(yi, vi, mods = ~ alloc, method = "FE"), metafor 3.8-1.
def test_q_of_the_bcg_trials_splits_by_allocation_as_in_metafor():
    found = partition_q(BCG, ALLOCATION)
    assert found.total.q == pytest.approx(152.2330, abs=5e-5)
    assert (found.between.q, found.between.df) == (pytest.approx(BETWEEN, rel=1e-8), 2)
    assert (found.within.q, found.within.df) == (pytest.approx(WITHIN, rel=1e-8), 10)


@forall(sample=data(least=4, most=12), seed=st.integers(0, 99))
def test_the_parts_of_q_sum_to_the_whole(sample, seed):
    effects = given(*sample)
    groups = np.random.default_rng(seed).choice(["a", "b", "c"], effects.k).tolist()
    assume(len(set(groups)) > 1)
    found = partition_q(effects, groups)
    whole = pool(effects, model="common")
    assert found.total.q == pytest.approx(whole.q, rel=1e-8, abs=1e-12)
    assert found.total.df == found.between.df + found.within.df == effects.k - 1
    assert math.fsum(group.q for group in found.groups) == pytest.approx(found.within.q)
    other = subgroups(effects, groups, model="common")
    assert found.between.q == pytest.approx(other.q_between, rel=1e-6, abs=1e-10)


def test_a_partition_prints_its_lines():
    lines = partition_q(BCG, ALLOCATION).summary().splitlines()
    assert lines[0].startswith("random: Q = ")
    assert lines[-2:] == [
        "between groups: Q = 19.87 (df = 2), p < 0.001, I² 90%",
        "total: Q = 152.23 (df = 12), p < 0.001, I² 92%",
    ]


@pytest.mark.parametrize("threshold", [0.75, 0.5, 0.25])
def test_the_smallest_set_is_found_among_all_sets_of_the_bcg_trials(threshold):
    found = least_removal(BCG, threshold)
    size = len(found.left_out)
    for smaller in range(size):
        for out in itertools.combinations(range(13), smaller):
            assert i2_of(BCG, out) >= threshold
    values = [i2_of(BCG, out) for out in itertools.combinations(range(13), size)]
    below = [value for value in values if value < threshold]
    assert found.i2[-1] == pytest.approx(min(below), abs=1e-12)
    assert found.others == len(below) - 1
    highest = least_removal(BCG, threshold, aim="highest")
    assert highest.i2[-1] == pytest.approx(max(below), abs=1e-12)
    assert len(highest.left_out) == size


@forall(sample=data(least=4, most=8), threshold=st.floats(0.05, 0.9))
def test_the_set_found_does_what_it_says_and_sequential_needs_no_fewer(sample, threshold):
    effects = given(*sample)
    best = least_removal(effects, threshold, tau2="DL")
    step = least_removal(effects, threshold, algorithm="sequential", tau2="DL")
    for found in (best, step):
        out = [effects.study.index(name) for name in found.left_out]
        assert i2_of(effects, out) == pytest.approx(found.i2[-1], abs=1e-9)
        assert found.i2[-1] < threshold + 1e-9
        assert found.after.effects.k == effects.k - len(out)
        assert len(found.i2) == len(out) + 1
    assert len(best.left_out) <= len(step.left_out)


def test_sequential_removal_takes_the_study_whose_loss_lowers_i2_most():
    found = least_removal(BCG, 0.5, algorithm="sequential")
    first = min(range(13), key=lambda i: i2_of(BCG, [i]))
    assert found.left_out[0] == BCG.study[first]
    assert found.i2[1] == pytest.approx(i2_of(BCG, [first]))


def test_nothing_is_left_out_where_i2_is_low_already():
    found = least_removal(given([0.1, 0.2, 0.15], [0.1, 0.1, 0.1]))
    assert (found.left_out, found.others, found.notes) == ((), 0, ())
    assert found.after is found.before
    assert found.summary().splitlines()[0] == "I² = (Q − df)/Q is 0% with all studies"


def test_an_offset_of_a_million_costs_nothing():
    near = least_removal(BCG, 0.5)
    far = least_removal(given(np.array(models.YI) + 1e6, models.VI), 0.5)
    assert far.left_out == near.left_out
    assert far.i2 == pytest.approx(near.i2, abs=1e-8)


def test_a_removal_prints_what_it_did_and_warns():
    lines = least_removal(BCG, 0.5).summary().splitlines()
    assert lines[0].startswith("I² = (Q − df)/Q falls from 92% to ")
    assert lines[1].startswith("all: Risk ratio 0.49")
    assert lines[3].startswith("found after seeing the results")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: contributions(given([1, 2], [1, 1])), "2 of at least 3 studies"),
        (lambda: least_removal(given([1, 2], [1, 1])), "2 of at least 3 studies"),
        (lambda: least_removal(BCG, 0), "threshold = 0 is not between 0 and 1"),
        (lambda: least_removal(BCG, algorithm="greedy"), "there is no algorithm 'greedy'"),
        (lambda: least_removal(BCG, aim="least"), "there is no aim 'least'"),
        (lambda: partition_q(BCG, ["a"] * 13), "there is nothing to compare"),
    ],
)
def test_faults_are_named(call, message):
    with pytest.raises((InputError, UnknownName), match=message):
        call()


def test_too_many_sets_are_refused_with_the_other_algorithm_as_remedy():
    rng = np.random.default_rng(0)
    effects = given(rng.standard_normal(80), np.full(80, 0.01))
    with pytest.raises(InputError, match="ways to leave out") as caught:
        least_removal(effects, 0.25)
    assert 'algorithm="sequential"' in str(caught.value)
    assert least_removal(effects, 0.25, algorithm="sequential").i2[-1] < 0.25
