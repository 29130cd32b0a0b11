"""Sampling covariances and aggregation; reference values from metafor 3.8-1 on invented rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from pytest import approx

from meta.dependent.aggregation import aggregate
from meta.dependent.blocks import as_blocks, layout_of
from meta.dependent.covariance import covariance
from meta.errors import InputError
from meta.measures import given
from meta.results import Effects

VI = [0.1, 0.2, 0.15, 0.3, 0.12, 0.22, 0.32, 0.4, 0.5]
YI = [0.1, 0.4, 0.3, 0.2, 0.7, 0.5, 0.6, 0.2, 0.9]
DATA: dict[str, Any] = {
    "study": [1, 1, 1, 1, 2, 2, 2, 3, 3],
    "obs": [1, 2, 3, 4, 1, 2, 3, 1, 2],
    "type": list("aabbabbab"),
    "time": [1, 2, 1, 3, 1, 4, 6, 1, 2],
    "time2": [0, 0, 0, 1, 0, 1, 2, 0, 0],
    "g1": ["t1", "t2", "t1", "t3", "t1", "t2", "t3", "x", "y"],
    "g2": ["c", "c", "c", "c", "c", "c", "t1", "c", "c"],
    "n1": [10, 20, 10, 30, 15, 25, 35, 12, 14],
    "n2": [11, 11, 11, 11, 13, 13, 15, 9, 9],
}


def rows() -> Effects:
    return given(YI, VI, cluster=DATA["study"])


# metafor::vcalc: entries (1,2), (1,3), (2,4), (6,7), (8,9).
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"obs": "obs", "rho": 0.6},
            [0.0848528137424, 0.0734846922835, 0.1469693845670, 0.1591979899371, 0.2683281573],
        ),
        (
            {"obs": "obs", "type": "type", "rho": (0.6, 0.4)},
            [0.0848528137424, 0.0489897948557, 0.0979795897113, 0.1591979899371, 0.1788854382],
        ),
        (
            {"time1": "time", "phi": 0.8},
            [0.1131370849898, 0.1224744871392, 0.1959591794227, 0.1698111892662, 0.3577708764],
        ),
        (
            {"obs": "obs", "time1": "time", "rho": 0.6, "phi": 0.8},
            [0.0678822509939, 0.0734846922835, 0.1175755076536, 0.1018867135597, 0.21466252584],
        ),
        (
            {"obs": "obs", "rho": 0.7, "grp1": "g1", "grp2": "g2", "w1": "n1", "w2": "n2"},
            [0.0548703261169, 0.0857321409974, 0.1178084698252, 0.0, 0.1846265325508],
        ),
    ],
)
def test_covariances_agree_with_metafor(options: dict[str, Any], expected: list[float]) -> None:
    full = covariance(rows(), data=DATA, **options).dense()
    at = [(0, 1), (0, 2), (1, 3), (5, 6), (7, 8)]
    assert [full[i, j] for i, j in at] == approx(expected, abs=5e-13)
    assert full[0, 4:] == approx(np.zeros(5))


# Two treatments against one control of the same size: half (Gleser and Olkin 2009).
def test_a_shared_control_of_one_size_gives_one_half() -> None:
    effects = given([0.1, 0.2], [0.3, 0.3], cluster=["s", "s"])
    full = covariance(effects, grp1=["a", "b"], grp2=["c", "c"]).dense()
    assert full[0, 1] == approx(0.15)
    opposite = covariance(effects, grp1=["a", "c"], grp2=["c", "b"]).dense()
    assert opposite[0, 1] == approx(-0.15)


def test_pairs_of_outcomes_have_their_own_correlations() -> None:
    effects = given([0.1] * 3, [0.1] * 3, cluster=list("sss"))
    rho = {("pain", "mood"): 0.3, ("pain", "sleep"): 0.5, ("mood", "sleep"): 0.7}
    full = covariance(effects, type=["pain", "mood", "sleep"], rho=rho).dense()
    assert full[np.triu_indices(3, 1)] == approx([0.03, 0.05, 0.07])


def test_contradictory_correlations_are_refused_or_mended_with_a_note() -> None:
    effects = given([0.1] * 3, [0.1] * 3, cluster=list("sss"))
    rho = {("a", "b"): 0.9, ("b", "c"): 0.9, ("a", "c"): -0.9}
    with pytest.raises(InputError, match="contradict each other"):
        covariance(effects, type=list("abc"), rho=rho)
    mended = covariance(effects, type=list("abc"), rho=rho, nearest=True)
    assert np.linalg.eigvalsh(mended.dense()).min() > 0
    assert mended.diagonal() == approx([0.1] * 3)
    assert any("nearest" in note for note in mended.notes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rho": 0.5}, "different obs or type"),
        ({"obs": "obs"}, "no correlation is given"),
        ({"obs": "obs", "rho": 1.5}, "not between -1 and 1"),
        ({"time1": "time"}, "need phi"),
        ({"phi": 0.5}, "needs time1"),
        ({"grp2": "g2"}, "grp2 needs grp1"),
        ({"grp1": "g1", "w1": "n1"}, "go together"),
        ({"obs": "obs", "type": "type", "rho": 0.5}, "rho is a pair"),
        ({"obs": "nothing", "rho": 0.5}, "no column in the data 'nothing'"),
    ],
)
def test_incomplete_assumptions_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match=told):
        covariance(rows(), data=DATA, **options)


@cases(st.integers(0, 1000), st.integers(1, 30))
def test_blocks_give_back_the_matrix_that_they_came_from(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, max(1, k // 2), k)
    full = np.where(group[:, None] == group, 0.3, 0.0) + 0.7 * np.eye(k)
    blocks = as_blocks(full, [f"s{i}" for i in range(k)])
    assert np.array_equal(blocks.dense(), full)
    layout = layout_of(k, [], blocks)
    assert sum(int(real.sum()) for real in layout.real()) == k
    again = np.zeros((k, k))
    for index, block in zip(*layout.cut(layout.known(blocks)), strict=True):
        again[np.ix_(index, index)] = block
    assert np.array_equal(again, full)


# metafor::aggregate.escalc on the same rows.
@pytest.mark.parametrize(
    ("options", "yi", "vi"),
    [
        ({"rho": 0.6}, 0.165609515470, 0.0910234652991),
        ({"rho": 0.6, "weighted": False}, 0.25, 0.126929026014),
        ({"structure": "ID"}, 0.226666666667, 0.04),
        (
            {"structure": "CS+CAR", "rho": 0.4, "phi": 0.7, "time": "time"},
            -0.123616466048,
            0.0799398084462,
        ),
    ],
)
def test_aggregates_agree_with_metafor(options: dict[str, Any], yi: float, vi: float) -> None:
    if "time" in options:
        options["time"] = [t + 0.1 * o for t, o in zip(DATA["time"], DATA["obs"], strict=True)]
    found = aggregate(rows(), **options)
    assert found.study == ("1", "2", "3")
    assert found.yi[0] == approx(yi, abs=5e-12)
    assert found.vi[0] == approx(vi, abs=5e-12)


def test_a_given_covariance_is_used_as_it_is() -> None:
    known = covariance(rows(), obs="obs", rho=0.6, data=DATA)
    by_matrix, by_rho = aggregate(rows(), covariance=known), aggregate(rows(), rho=0.6)
    assert by_matrix.yi == approx(by_rho.yi)
    assert by_matrix.vi == approx(by_rho.vi)


def test_aggregation_needs_its_assumptions_in_the_open() -> None:
    with pytest.raises(InputError, match="needs rho"):
        aggregate(rows())
    assert "rho = 0.6" in aggregate(rows(), rho=0.6).notes[-1]
