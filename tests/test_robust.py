"""Cluster-robust inference: values of clubSandwich, dense algebra, laws, and what is undefined."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import approx

from meta.dependent.leave_cluster import leave_cluster_out
from meta.dependent.multilevel import multilevel
from meta.dependent.robust import KINDS, robust, wald
from meta.dependent.sandwich import expected, sandwich
from meta.dependent.working import Working, working_of
from meta.errors import InputError, UnknownName
from meta.measures import given
from meta.pooling import pool
from meta.regression import regress
from tests.reference import models

Array = NDArray[np.float64]
FORMS = ("diagonal", "blocks", "own weights", "own weights in blocks")

# Thirteen trials of Colditz et al. (1994) in five groups in the order of the table. The groups mean
# nothing; decimals from metafor 3.8-1 and clubSandwich 0.5.8 on them.
GROUPS = [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5]
BCG = given(models.YI, models.VI, study=[f"trial {i}" for i in range(1, 14)], cluster=GROUPS)
LATITUDE = {"latitude": models.LATITUDE}


def test_the_pooled_effect_has_the_standard_error_of_clubsandwich() -> None:
    found = robust(pool(BCG, tau2="DL"))
    assert found.beta[0] == approx(-0.71411722, abs=5e-9)
    assert found.se[0] == approx(0.19721259, abs=5e-9)
    assert found.statistic[0] == approx(-3.62105287, abs=5e-9)
    assert found.df[0] == approx(3.74, abs=5e-3)
    assert found.p[0] == approx(0.02503048, abs=5e-9)
    assert found.ci[0] == approx([-1.27691227, -0.15132217], abs=5e-9)


def test_a_regression_has_the_standard_errors_and_tests_of_clubsandwich() -> None:
    found = robust(regress(BCG, LATITUDE, tau2="DL"))
    assert found.se == approx([0.113090287749, 0.003045946046], rel=1e-9)
    assert found.df == approx([2.401025917, 2.414150663], rel=1e-9)
    assert found.p == approx([0.127263413433, 0.005588532173], rel=1e-9)
    assert found.omnibus.statistic == approx(92.082210996459, rel=1e-9)
    assert found.omnibus.df_2 == approx(2.414150662627, rel=1e-9)
    both = wald(found, ["intercept", "latitude"])
    assert both.statistic == approx(36.89930326271, rel=1e-9)
    assert both.df_1 == 2
    assert both.df_2 == approx(1.51189542825, rel=1e-9)
    assert both.p == approx(0.05210799977, rel=1e-9)


def test_metafor_without_clubsandwich_is_cr1p_with_clusters_minus_coefficients() -> None:
    found = robust(regress(BCG, LATITUDE, tau2="DL"), kind="CR1p", df="m-p")
    assert found.se == approx([0.091585861996, 0.003273186555], rel=1e-9)
    assert found.df == approx([3, 3])
    assert found.p == approx([0.06597806924, 0.00296268468], rel=1e-9)
    assert found.omnibus.statistic == approx(79.74044113063, rel=1e-9)
    assert found.omnibus.df_2 == 3


def model(form: str, *, seed: int = 0, sizes: tuple[int, ...] = (1, 3, 2, 4, 1, 3, 2)) -> Working:
    """An invented fit with three coefficients, its rows in no order of clusters."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    k = len(codes)
    v = rng.uniform(0.05, 0.5, k)
    x = np.column_stack([np.ones(k), rng.normal(size=k), rng.normal(size=len(sizes))[codes]])
    y = x @ [0.3, -0.2, 0.1] + rng.normal(size=k) * np.sqrt(v)
    effects = given(y, v, cluster=[f"c{c}" for c in codes])
    spread = np.diag(v) + ("blocks" in form) * 0.1 * (codes[:, None] == codes)
    own = rng.uniform(0.5, 2, k) if "own" in form else None
    weight = np.linalg.inv(spread) if own is None else np.diag(own)
    beta = np.linalg.solve(x.T @ weight @ x, x.T @ weight @ y)
    names = ("intercept", "a", "b")
    if "blocks" not in form:
        return Working(effects, names, x, beta, y - x @ beta, v, own)
    rows = tuple(np.flatnonzero(codes == c) for c in range(len(sizes)))
    return Working(
        effects,
        names,
        x,
        beta,
        y - x @ beta,
        blocks=rows,
        covariance=tuple(spread[np.ix_(at, at)] for at in rows),
        weights=None if own is None else tuple(np.diag(own[at]) for at in rows),
    )


class Dense:
    """The same by k by k matrices, as Pustejovsky and Tipton (2018) write it."""

    def __init__(self, working: Working, kind: str) -> None:
        k, x = working.k, working.x
        phi = np.diag(working.variances) if working.variances is not None else np.zeros((k, k))
        for at, block in zip(working.blocks, working.covariance, strict=True):
            phi[np.ix_(at, at)] = block
        w = np.linalg.inv(phi)
        if working.row_weights is not None:
            w = np.diag(working.row_weights)
        for at, block in zip(working.blocks, working.weights or (), strict=False):
            w[at] = 0
            w[np.ix_(at, at)] = block
        bread = np.linalg.inv(x.T @ w @ x)
        rest = np.eye(k) - x @ bread @ x.T @ w
        self.model = bread @ x.T @ w @ phi @ w @ x @ bread
        spread = rest @ phi @ rest.T
        labels = np.array(working.effects.cluster)
        self.vectors = []
        for label in dict.fromkeys(labels):
            at = np.flatnonzero(labels == label)
            cut = np.ix_(at, at)
            if kind == "CR2":
                d = np.linalg.cholesky(phi[cut])
                values, turn = np.linalg.eigh(d.T @ spread[cut] @ d)
                upon = np.where(values > 1e-10 * values.max(), np.abs(values), np.inf) ** -0.5
                adjust = d @ (turn * upon) @ turn.T @ d.T
            elif kind == "CR3":
                adjust = np.linalg.inv(rest[cut])
            else:
                adjust = np.eye(len(at))
            g = np.zeros((k, x.shape[1]))
            g[at] = adjust.T @ w[at] @ x @ bread
            self.vectors.append(g)
        scores = np.stack([g.T @ working.resid for g in self.vectors])
        self.covariance = scores.T @ scores
        self.spread = spread

    def satterthwaite(self, at: int) -> float:
        t = np.stack([g[:, at] for g in self.vectors])
        p = t @ self.spread @ t.T
        return float(np.trace(p) ** 2 / (p * p).sum())

    def hotelling(self, constraint: Array) -> float:
        """eta of the approximate T2 test, element by element."""
        mean = sum(constraint @ g.T @ self.spread @ g @ constraint.T for g in self.vectors)
        values, turn = np.linalg.eigh(mean)
        level = (turn * values**-0.5) @ turn.T @ constraint
        q = len(constraint)
        total = 0.0
        for one in self.vectors:
            for two in self.vectors:
                p = level @ one.T @ self.spread @ two @ level.T
                total += sum(
                    p[s, t] * p[t, s] + p[s, s] * p[t, t] for s in range(q) for t in range(q)
                )
        return q * (q + 1) / total


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@settings(max_examples=8)
@forall(seed=st.integers(0, 10_000))
def test_sums_over_clusters_give_what_dense_matrices_give(form: str, kind: str, seed: int) -> None:
    working = model(form, seed=seed)
    found, dense = robust(working, kind=kind), Dense(working, kind)
    assert found.covariance == approx(dense.covariance, rel=1e-7, abs=1e-12)
    assert found.df == approx([dense.satterthwaite(i) for i in range(3)], rel=1e-7)
    constraint = np.array([[0.0, 1, 0], [1, 0, -1]])
    joint = wald(found, constraint)
    eta = dense.hotelling(constraint)
    assert joint.df_2 is not None
    assert joint.df_2 == approx(eta - 1, rel=1e-6)
    b = constraint @ working.beta
    t2 = b @ np.linalg.solve(constraint @ dense.covariance @ constraint.T, b)
    assert joint.statistic == approx(t2 * (eta - 1) / (2 * eta), rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_cr2_has_no_bias_where_the_working_model_holds(form: str) -> None:
    working = model(form)
    labels = list(dict.fromkeys(working.effects.cluster))
    codes = np.array([labels.index(c) for c in working.effects.cluster])
    moments = sandwich(working, codes, len(labels), kind="CR2")
    assert expected(moments, np.eye(3)) == approx(Dense(working, "CR2").model, rel=1e-9)


def test_the_factors_of_cr1_are_those_of_their_names() -> None:
    working = model("blocks")
    m, k, p = 7, working.k, 3
    bare = robust(working, kind="CR0").covariance
    for kind, factor in {
        "CR1": m / (m - 1),
        "CR1p": m / (m - p),
        "CR1S": m * (k - 1) / ((m - 1) * (k - p)),
    }.items():
        found = robust(working, kind=kind)
        assert found.covariance == approx(bare * factor)
        assert found.df == approx(robust(working, kind="CR0").df)


def test_cr3_is_the_jackknife_over_clusters_at_fixed_weights() -> None:
    found = regress(BCG, LATITUDE, model="common")
    shift = leave_cluster_out(found).shift
    assert robust(found, kind="CR3").covariance == approx(shift.T @ shift, rel=1e-9)


def test_rows_by_themselves_give_white_s_standard_errors() -> None:
    found = pool(BCG, tau2="DL")
    mean = robust(found, range(13), kind="CR0")
    w = found.weights
    assert mean.se[0] == approx(math.sqrt(w**2 @ (BCG.yi - found.estimate) ** 2))


@forall(scale=st.sampled_from([1e-6, 1e-3, 1e3, 1e6]), form=st.sampled_from(FORMS))
def test_units_do_not_matter(scale: float, form: str) -> None:
    one = model(form)
    two = Working(
        one.effects,
        one.names,
        one.x,
        one.beta * scale,
        one.resid * scale,
        None if one.variances is None else one.variances * scale**2,
        one.row_weights,
        one.blocks,
        tuple(block * scale**2 for block in one.covariance),
        one.weights,
    )
    before, after = robust(one), robust(two)
    assert after.se == approx(before.se * scale, rel=1e-9)
    assert after.df == approx(before.df, rel=1e-9)
    assert after.omnibus.p == approx(before.omnibus.p, rel=1e-9)


def test_an_offset_costs_no_digits() -> None:
    far = given(np.array(models.YI) + 1e6, models.VI, cluster=GROUPS)
    near = robust(pool(BCG, model="common"))
    assert robust(pool(far, model="common")).se == approx(near.se, rel=1e-8)


def test_the_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(3).permutation(13)
    moved = given(
        np.array(models.YI)[order],
        np.array(models.VI)[order],
        cluster=np.array(GROUPS)[order],
    )
    turned = robust(regress(moved, {"latitude": np.array(models.LATITUDE)[order]}, tau2="DL"))
    straight = robust(regress(BCG, LATITUDE, tau2="DL"))
    assert turned.se == approx(straight.se, rel=1e-10)
    assert turned.df == approx(straight.df, rel=1e-10)


@pytest.mark.parametrize("df", ["Satterthwaite", "m-p", "m-1", "normal"])
def test_the_joint_test_of_one_coefficient_is_its_own_test(df: str) -> None:
    found = robust(model("blocks"), df=df)
    for i, name in enumerate(found.names):
        joint = wald(found, name)
        assert joint.statistic == approx(found.statistic[i] ** 2)
        assert joint.p == approx(found.p[i], rel=1e-6)


def test_a_joint_test_does_not_depend_on_how_the_hypothesis_is_written() -> None:
    found = robust(model("diagonal"))
    one = wald(found, ["a", "b"])
    two = wald(found, [[0.0, 1, 1], [0, 2, -3]])
    assert (two.statistic, two.df_2, two.p) == approx((one.statistic, one.df_2, one.p), rel=1e-9)
    assert wald(found, [1, 2]).p == one.p
    assert two.coefficients == ("1·a + 1·b", "2·a − 3·b")
    at = wald(found, ["a", "b"], value=found.beta[1:])
    assert at.statistic == approx(0, abs=1e-20)


def test_wald_tests_follow_the_degrees_of_freedom_that_were_asked_for() -> None:
    exact = wald(robust(model("blocks"), df="m-1"), ["a", "b"])
    assert exact.df_2 == 6
    large = wald(robust(model("blocks"), df="normal"), ["a", "b"])
    assert large.df_2 is None
    assert large.statistic == approx(2 * exact.statistic)
    assert large.summary().startswith("χ² = ")


def test_more_hypotheses_than_degrees_of_freedom_are_undefined() -> None:
    working = model("diagonal", sizes=(2, 2, 2))
    joint = wald(robust(working), ["intercept", "a", "b"])
    assert math.isnan(joint.p)
    assert math.isnan(wald(robust(model("diagonal", sizes=(6, 6)), df="m-p"), "a").p)


def region(effects: Any = BCG) -> Any:
    """A moderator that only the last cluster has."""
    return regress(effects, {"last": [float(g == 5) for g in GROUPS]}, tau2="DL")


@pytest.mark.parametrize("kind", KINDS)
def test_a_coefficient_of_one_cluster_has_no_standard_error_and_the_note_says_why(
    kind: str,
) -> None:
    found = robust(region(), kind=kind)
    assert math.isfinite(found.se[0])
    assert np.isnan([found.se[1], found.df[1], found.p[1], found.omnibus.p]).all()
    assert np.isnan(found.ci[1]).all()
    assert "last rests on one cluster (5): it has no robust standard error" in found.notes


def test_the_other_coefficients_are_those_without_that_cluster() -> None:
    rest = given(models.YI[:10], models.VI[:10], cluster=GROUPS[:10])
    fixed = {"model": "common"}
    with_it = robust(regress(BCG, {"last": [float(g == 5) for g in GROUPS]}, **fixed))
    without = robust(pool(rest, **fixed))
    assert with_it.se[0] == approx(without.se[0], rel=1e-9)
    assert with_it.df[0] == approx(without.df[0], rel=1e-9)


def test_one_cluster_degrades_to_undefined_with_a_note() -> None:
    found = robust(pool(BCG), ["all"] * 13)
    assert np.isnan(found.se).all()
    assert np.isnan(found.p).all()
    assert found.notes == ("all rows are in one cluster (all): nothing tells how clusters differ",)
    assert "–" in found.summary()
    assert math.isnan(robust(pool(given([0.3], [0.1]))).se[0])


def test_two_rows_are_two_clusters() -> None:
    found = robust(pool(given([0.1, 0.5], [0.04, 0.04]), model="common"))
    # With equal weights CR2 is the unbiased variance of a mean of two: (0.4)^2/4, one df.
    assert found.se[0] == approx(0.2)
    assert found.df[0] == approx(1)


def test_equal_effects_have_standard_error_zero() -> None:
    found = robust(pool(given([0.2] * 4, [0.1, 0.2, 0.3, 0.4])))
    assert found.se[0] == approx(0, abs=1e-15)
    assert found.df[0] > 0


def test_one_dominating_study_leaves_degrees_of_freedom_finite() -> None:
    v = np.array([1e-12, 1, 1, 1, 1, 1])
    found = robust(pool(given([0.1, 0.9, -0.4, 0.3, 0.2, 0.7], v), model="common"))
    assert found.df[0] == approx(1, abs=1e-6)
    # The residual of a study of leverage h has 1 - h of its variance, which CR2 gives back.
    w = 1 / v / (1 / v).sum()
    resid = np.array([0.1, 0.9, -0.4, 0.3, 0.2, 0.7]) - 0.1
    resid[0] = -(w[1:] @ resid[1:])
    gap = np.append(w[1:].sum(), 1 - w[1:])
    assert found.se[0] == approx(math.sqrt((w**2 * resid**2 / gap).sum()), rel=1e-9)


def test_variances_far_apart_within_a_cluster_lose_no_digits() -> None:
    # One cluster holds variances of 1e-8 and 1e8: the second row might as well not be there.
    y, v = [0.1, 0.5, 3.0, 0.4, -0.2], [1e-8, 2e-8, 1e8, 1e-8, 3e-8]
    found = robust(pool(given(y, v, cluster=list("abbcd")), model="common"))
    del y[2], v[2]
    alone = robust(pool(given(y, v, cluster=list("abcd")), model="common"))
    assert found.se == approx(alone.se, rel=1e-7)
    assert found.df == approx(alone.df, rel=1e-7)


def test_weights_of_the_callers_are_not_taken_for_inverse_variances() -> None:
    weights = np.arange(1.0, 14)
    plain, own = pool(BCG, tau2="DL"), pool(BCG, tau2="DL", weights=weights)
    assert working_of(plain).row_weights is None
    assert working_of(own).row_weights == approx(weights / weights.sum())
    regressed = regress(BCG, tau2="DL", weights=weights)
    assert robust(own).se == approx(robust(regressed).se, rel=1e-9)
    assert robust(own).df == approx(robust(regressed).df, rel=1e-9)


def test_missing_clusters_are_named() -> None:
    labels: list[Any] = [str(g) for g in GROUPS]
    labels[3], labels[7] = None, math.nan
    with pytest.raises(InputError) as fault:
        robust(pool(BCG), labels)
    assert str(fault.value) == (
        "2 rows without a cluster\n"
        "  trial 4: cluster is missing\n"
        "  trial 8: cluster is missing\n"
        "try: say what these rows belong to; a row by itself needs a label of its own"
    )
    with pytest.raises(InputError, match="12 labels for the clusters of 13 rows"):
        robust(pool(BCG), GROUPS[:-1])


def test_blocks_that_straddle_clusters_are_named() -> None:
    working = model("blocks")
    labels = list(working.effects.cluster)
    first = int(working.blocks[1][0])
    labels[first] = "elsewhere"
    with pytest.raises(InputError, match="correlated under the model") as fault:
        robust(working, labels)
    assert len(fault.value.places) == 1
    assert f"study {first + 1} (elsewhere)" in fault.value.places[0]


def test_a_working_covariance_that_is_none_is_refused_with_its_rows() -> None:
    working = model("blocks")
    at = working.blocks[1]
    wrong = tuple(-block if i == 1 else block for i, block in enumerate(working.covariance))
    fields = (working.effects, working.names, working.x, working.beta, working.resid)
    with pytest.raises(InputError, match="not positive definite") as fault:
        robust(Working(*fields, blocks=working.blocks, covariance=wrong))
    assert fault.value.places == (", ".join(f"study {i + 1}" for i in at),)


def test_unknown_choices_and_models_are_refused() -> None:
    with pytest.raises(UnknownName, match="CR4"):
        robust(pool(BCG), kind="CR4")
    with pytest.raises(UnknownName, match="Kenward"):
        robust(pool(BCG), df="Kenward")
    with pytest.raises(InputError, match="a dict has no working model"):
        robust({})
    found = robust(region())
    with pytest.raises(UnknownName, match="lst"):
        wald(found, "lst")
    with pytest.raises(InputError, match=r"shape \(1, 3\) for 2 coefficients"):
        wald(found, [[1.0, 0, 0]])
    with pytest.raises(InputError, match="from 0 to 1"):
        wald(found, [2])


def test_the_summary_is_a_block_to_paste() -> None:
    assert robust(pool(BCG, tau2="DL")).summary() == (
        "Effect −0.71 (95% CI −1.28 to −0.15), df 3.7, p = 0.025\n"
        "Cluster-robust (CR2, Satterthwaite degrees of freedom): 13 effects in 5 clusters of 2 to "
        "3\nfewer than 4 degrees of freedom (intercept): p-values may be too small"
    )
    lines = robust(regress(BCG, LATITUDE, tau2="DL"), df="normal").summary().splitlines()
    assert lines[1] == "latitude   −0.029 (95% CI −0.035 to −0.023), p < 0.001"
    assert lines[2] == "Test of moderators: χ² = 92.08 (df = 1), p < 0.001"
    rows = robust(pool(BCG, tau2="DL")).rows()
    assert rows[0]["coefficient"] == "intercept"
    assert rows[0]["df"] == approx(3.74, abs=5e-3)


def test_tables_show_the_coefficients_and_what_they_rest_on() -> None:
    found = robust(regress(BCG, LATITUDE, tau2="DL"))
    assert "<td" in found._repr_html_()
    assert "Cluster-robust (CR2" in found._repr_html_()
    assert r"\toprule" in found.to_latex()
    assert list(found.frame()["coefficient"]) == ["intercept", "latitude"]


def test_a_three_level_model_brings_its_blocks() -> None:
    fitted = multilevel(BCG)
    found = robust(fitted)
    variance, within = fitted.variances
    same = np.array(GROUPS)[:, None] == np.array(GROUPS)
    spread = np.diag(BCG.vi + within) + variance * same
    rows = tuple(np.flatnonzero(np.array(GROUPS) == g) for g in range(1, 6))
    weight = np.linalg.inv(spread)
    beta = np.array([weight.sum(0) @ BCG.yi / weight.sum()])
    by_hand = Working(
        BCG,
        ("intercept",),
        np.ones((13, 1)),
        beta,
        BCG.yi - beta,
        blocks=rows,
        covariance=tuple(spread[np.ix_(at, at)] for at in rows),
    )
    assert found.beta == approx(beta, rel=1e-8)
    assert found.se == approx(robust(by_hand).se, rel=1e-8)
    assert found.df == approx(robust(by_hand).df, rel=1e-8)
    with pytest.raises(InputError, match="correlated under the model"):
        robust(fitted, range(13))


def test_many_clusters_need_no_square_matrix_of_all_rows() -> None:
    rng = np.random.default_rng(5)
    k, m = 2000, 500
    group = np.arange(k) % m
    v = rng.uniform(0.01, 0.1, k)
    effects = given(rng.normal(size=k) * np.sqrt(v), v, cluster=group)
    fitted = regress(effects, {"a": rng.normal(size=k), "b": rng.normal(size=m)[group]})
    tracemalloc.start()
    found = robust(fitted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < k * k * 8 / 4
    assert np.isfinite(found.p).all()
    assert (found.df < m).all()
