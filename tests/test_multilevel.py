"""Multilevel and multivariate models.

The rows are invented; their reference values come from metafor 3.8-1, ``rma.mv`` with
``control=list(rel.tol=1e-9)``, whose optimiser leaves about six digits of the components.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from pytest import approx

from meta.dependent.covariance import covariance
from meta.dependent.leave_cluster import leave_cluster_out
from meta.dependent.multilevel import MultilevelResult, multilevel
from meta.dependent.predictions import predict_new
from meta.dependent.profiles import compare_nested, component_interval
from meta.dependent.random_terms import Random
from meta.dependent.robust import robust
from meta.errors import InputError, UnknownName
from meta.measures import given
from meta.pooling import pool
from meta.results import Effects

LABS = ["Arnhem", "Bergen", "Coimbra", "Debrecen", "Evora", "Florina", "Gdansk"]
SIZES = (3, 4, 2, 5, 1, 4, 3)
# fmt: off
YI = np.array([
    0.42, 0.57, 0.53, 1.41, 2.05, 1.15, 2.05, 0.17, 0.33, 0.1, 0.19,
    0.2, -0.05, -0.19, 0.69, -0.33, 0.81, 0.07, 0.74, 0.37, -0.28, -0.14,
])
VI = np.array([
    0.057, 0.027, 0.046, 0.067, 0.084, 0.107, 0.087, 0.023, 0.092, 0.112, 0.064,
    0.03, 0.117, 0.05, 0.078, 0.113, 0.087, 0.116, 0.091, 0.026, 0.029, 0.035,
])
# fmt: on
FIRST_DOSE = (10, 20, 15, 30, 25, 12, 18)


def table() -> dict[str, list[Any]]:
    rows = [(i, j) for i, n in enumerate(SIZES) for j in range(n)]
    return {
        "id": [str(i + 1) for i in range(len(rows))],
        "lab": [LABS[i] for i, _ in rows],
        "exp": [j + 1 for _, j in rows],
        "outcome": ["pain" if j % 2 else "mood" for _, j in rows],
        "dose": [FIRST_DOSE[i] + 2 * j for i, j in rows],
    }


def rows() -> Effects:
    return given(YI, VI, cluster=table()["lab"])


def fit(*words: Any, **options: Any) -> MultilevelResult:
    return multilevel(rows(), *words, data=table(), **{"test": "z", **options})


def test_three_levels_by_reml_agree_with_metafor() -> None:
    found = fit("lab/exp")
    assert found.information.loglik == approx(-13.378158472, abs=5e-9)
    assert found.variances == approx([0.30510604, 0.04088363], rel=1e-6)
    assert found.beta == approx([0.49434547], rel=1e-7)
    assert found.se == approx([0.22219589], rel=1e-7)
    assert found.q == approx(133.6623277, rel=1e-9)


def test_three_levels_by_ml_agree_with_metafor() -> None:
    found = fit("~ 1 | lab/exp", method="ML")
    assert found.information.loglik == approx(-14.300384785, abs=5e-9)
    assert found.variances == approx([0.25798068, 0.04040365], rel=1e-6)
    assert found.se == approx([0.2063142283], rel=1e-7)


def test_containment_gives_a_predictor_the_degrees_of_freedom_of_its_level() -> None:
    found = fit("lab/exp", moderators={"dose": table()["dose"]}, test="t")
    assert found.df == approx([5, 20])
    assert found.beta == approx([0.5139433, -0.00092812], rel=1e-5)
    assert found.p == approx([0.3877784652, 0.9692883], rel=1e-6)
    assert found.moderators.statistic == approx(0.00151989, rel=1e-5)


@pytest.mark.parametrize(
    ("structure", "loglik", "variances", "rho", "beta"),
    [
        ("HCS", -11.351865427, [0.15105196, 0.55733850], 0.8759644, 0.33266373),
        ("UN", -11.351865427, [0.15105196, 0.55733850], 0.8759644, 0.33266373),
    ],
)
def test_outcomes_within_labs_agree_with_metafor(
    structure: str, loglik: float, variances: list[float], rho: float, beta: float
) -> None:
    known = covariance(rows(), obs="exp", rho=0.5, data=table())
    found = fit("outcome | lab", structure=structure, covariance=known)
    assert found.information.loglik == approx(loglik, abs=1e-9)
    assert found.variances == approx(variances, rel=2e-5)
    assert found.rho == approx([rho], rel=2e-5)
    assert found.beta == approx([beta], rel=1e-5)


def test_times_within_labs_agree_with_metafor() -> None:
    known = covariance(rows(), obs="exp", rho=0.5, data=table())
    found = fit("exp | lab", structure="CAR", covariance=known)
    assert found.information.loglik == approx(-15.544074744, abs=1e-8)
    assert found.variances == approx([0.3468443], rel=1e-5)
    assert found.rho == approx([0.80786869], rel=1e-5)


def test_known_correlations_of_the_labs_agree_with_metafor() -> None:
    r = np.full((7, 7), 0.3)
    np.fill_diagonal(r, 1.0)
    r[0, 1] = r[1, 0] = 0.7
    found = fit([Random("lab", correlation=r, levels=LABS), "id"])
    assert found.information.loglik == approx(-13.797073974, abs=5e-9)
    assert found.variances == approx([0.5264675, 0.0423592], rel=1e-5)
    assert found.beta == approx([0.4273014], rel=1e-6)


def test_profile_intervals_agree_with_metafor() -> None:
    lab, row = component_interval(fit("lab/exp"))
    assert lab.ci == approx((0.0969454, 1.3231313), rel=1e-4)
    assert row.ci == approx((0.0, 0.1724654), rel=2e-4)


def test_the_profile_falls_by_half_the_quantile_at_its_ends() -> None:
    full = fit("lab/exp")
    (low, high) = component_interval(full, "lab")[0].ci
    for end in (low, high):
        held = fit(Random("lab/exp", variance=[end, None]))
        drop = full.information.loglik - held.information.loglik
        assert drop == approx(3.841458820694124 / 2, abs=1e-6)


def test_prediction_interval_adds_up_the_levels() -> None:
    low, high = predict_new(fit("lab/exp")).prediction[0]
    assert (low, high) == approx((-0.73803501, 1.72672594), abs=1e-6)


def test_likelihood_ratio_of_no_labs_agrees_with_metafor() -> None:
    found = compare_nested(fit("lab/exp"), fit(Random("lab/exp", variance=[0, None])))
    assert found.statistic == approx(15.55619509, abs=1e-6)
    assert found.df == 1
    assert "too large" in found.note


def test_likelihoods_of_other_coefficients_are_not_compared() -> None:
    with pytest.raises(InputError, match="different coefficients"):
        compare_nested(fit("lab", moderators={"dose": table()["dose"]}), fit("lab"))


@settings(max_examples=25, deadline=None)
@cases(st.lists(st.floats(-3, 3), min_size=4, max_size=12), st.integers(0, 5))
def test_one_level_is_the_random_effects_model(values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    effects = given(values, rng.uniform(0.02, 0.5, len(values)))
    found, usual = multilevel(effects, "row"), pool(effects)
    assert found.variances[0] == approx(usual.tau2, rel=1e-6, abs=1e-8)
    assert found.beta[0] == approx(usual.estimate, rel=1e-6, abs=1e-8)


@settings(max_examples=15, deadline=None)
@cases(st.integers(0, 10_000), st.sampled_from(["REML", "ML"]))
def test_the_likelihood_is_the_dense_one_and_its_score_is_zero(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(8), rng.integers(1, 5, 8))
    k = len(group)
    v = rng.uniform(0.05, 0.3, k)
    y = 0.3 + rng.normal(0, 0.5, 8)[group] + rng.normal(0, 0.3, k) + rng.normal(0, np.sqrt(v))
    effects = given(y, v, cluster=group)
    found = multilevel(effects, method=method)

    def loglik(one: float, two: float) -> float:
        m = np.diag(v + two) + one * (group[:, None] == group)
        w = np.linalg.inv(m)
        total = w.sum()
        mean = w.sum(0) @ y / total
        value = k * math.log(2 * math.pi) + np.linalg.slogdet(m)[1] + (y - mean) @ w @ (y - mean)
        if method == "REML":
            value += math.log(total) - math.log(k) - math.log(2 * math.pi)
        return float(-value / 2)

    one, two = found.variances
    assert found.information.loglik == approx(loglik(one, two), abs=1e-8)
    for step in (1e-3, 1e-2):
        for a, b in ((step, 0), (-step, 0), (0, step), (0, -step), (step, -step), (-step, step)):
            if one + a >= 0 and two + b >= 0:
                assert loglik(one + a, two + b) <= loglik(one, two) + 1e-10


@settings(max_examples=20, deadline=None)
@cases(st.floats(1e-4, 1e4), st.floats(-1e6, 1e6))
def test_units_and_offsets_go_through(scale: float, offset: float) -> None:
    base = fit("lab/exp")
    moved = multilevel(
        given(YI * scale + offset, VI * scale**2),
        "lab/exp",
        data=table(),
    )
    lost = 1e-9 + abs(offset) / scale * 1e-13
    assert moved.variances / scale**2 == approx(base.variances, rel=1e-5 + lost)
    assert (moved.beta[0] - offset) / scale == approx(base.beta[0], rel=1e-6, abs=lost)


def test_the_order_of_the_rows_does_not_matter() -> None:
    base = fit("lab/exp")
    turned = np.random.default_rng(5).permutation(len(YI))
    data = {name: [column[i] for i in turned] for name, column in table().items()}
    other = multilevel(given(YI[turned], VI[turned]), "lab/exp", data=data, test="z")
    assert other.variances == approx(base.variances, rel=1e-8)
    assert other.residuals == approx(base.residuals[turned], abs=1e-9)
    assert other.weights == approx(base.weights[turned], abs=1e-9)


def test_alike_effects_leave_no_variance() -> None:
    found = multilevel(given([0.4] * 6, [0.1, 0.2, 0.1, 0.2, 0.3, 0.1], cluster=list("aabbcc")))
    assert found.variances == approx([0, 0], abs=1e-12)
    assert found.i2 == 0


def test_tiny_and_huge_variances_converge() -> None:
    v = np.array([1e-12, 1e12, 1e-6, 1e6, 1.0, 1e-3])
    y = np.array([0.1, 5.0, 0.3, -200.0, 0.8, 0.2])
    found = multilevel(given(y, v, cluster=list("aabbcc")))
    assert np.isfinite(found.beta).all()
    assert (found.variances >= 0).all()


def test_blups_of_labs_shrink_towards_the_mean() -> None:
    found = fit("lab/exp")
    ours = {group: value for term, group, value, _ in found.blups() if term == "lab"}
    assert set(ours) == set(LABS)
    where = np.array(table()["lab"])
    for lab in LABS:
        alone = float(np.average(YI[where == lab], weights=1 / VI[where == lab])) - found.beta[0]
        assert abs(ours[lab]) < abs(alone) + 0.1
        assert ours[lab] * alone > 0
    assert ours["Bergen"] == max(ours.values())


def test_summary_is_a_block_to_paste() -> None:
    assert fit("lab/exp").summary() == (
        "intercept  0.494 (95% CI 0.059 to 0.930), p = 0.026\n"
        "lab        σ² = 0.3051 (7 groups), I² 76%\n"
        "lab/exp    σ² = 0.0409 (22 groups), I² 10%\n"
        "Heterogeneity: Q = 133.66 (df = 21), p < 0.001; I² = 87%\n"
        "22 effects; REML; random: lab, lab/exp; Wald"
    )


def test_without_random_effects_it_is_generalised_least_squares() -> None:
    known = covariance(rows(), obs="exp", rho=0.5, data=table())
    found = fit(covariance=known, method="EE")
    w = np.linalg.inv(known.dense())
    assert found.beta[0] == approx(w.sum(0) @ YI / w.sum(), rel=1e-10)
    assert found.se[0] == approx(w.sum() ** -0.5, rel=1e-10)


def test_an_unestimable_correlation_says_so() -> None:
    kind = ["a", "b", "c", "a", "b", "c", "a", "b", "c"]
    group = [1, 1, 2, 3, 3, 4, 5, 5, 6]  # c is never with a or b
    rng = np.random.default_rng(2)
    effects = given(rng.normal(0, 1, 9), np.full(9, 0.1))
    found = multilevel(
        effects, "kind | group", structure="UN", data={"kind": kind, "group": group}, method="ML"
    )
    assert np.isnan(found.rho[1:]).all()
    assert any("cannot be estimated" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"random": "ward"}, "no grouping 'ward'"),
        ({"random": ["lab", "lab"]}, "there twice"),
        ({"random": ["id", "row"]}, "group the effects alike"),
        ({"random": "outcome | lab", "structure": "XX"}, "covariance structure"),
        ({"random": "lab/exp | id"}, "cannot be read"),
        ({"test": "knha"}, "not defined for multilevel"),
        ({"covariance": np.eye(3)}, "shape \\(3, 3\\) for 22 effects"),
        ({"covariance": np.eye(22)}, "is not the sampling variance"),
        ({"random": Random("lab", variance=-1)}, "is not a variance"),
        ({"random": Random("outcome | lab", rho=2)}, "not between -1 and 1"),
        ({"method": "DL"}, "no method 'DL'"),
        ({"df": "kenward"}, "no degrees of freedom"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(options: dict[str, Any], told: str) -> None:
    random = options.pop("random", "lab")
    with pytest.raises((InputError, UnknownName), match=told):
        fit(random, **options)


def test_a_missing_group_names_the_study() -> None:
    data = table()
    data["lab"][4] = None
    with pytest.raises(InputError) as fault:
        multilevel(rows(), "lab", data=data)
    assert "study 5" in str(fault.value)


def test_a_contradictory_covariance_names_its_studies() -> None:
    effects = given([0.1, 0.2, 0.3], [0.1, 0.1, 0.1])
    bad = 0.1 * np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    with pytest.raises(InputError, match="not positive definite") as fault:
        multilevel(effects, "row", covariance=bad)
    assert "study 1, study 2, study 3" in str(fault.value)


def test_without_a_lab_is_a_fit_of_the_other_labs() -> None:
    keep = np.flatnonzero(np.array(table()["lab"]) != "Bergen")
    data = {name: [column[i] for i in keep] for name, column in table().items()}
    alone = multilevel(given(YI[keep], VI[keep]), "lab/exp", data=data, test="z")
    again = leave_cluster_out(fit("lab/exp"), table()["lab"])
    at = again.label.index("Bergen")
    assert again.beta[at] == approx(alone.beta)
    assert again.se[at] == approx(alone.se)


def test_robust_inference_takes_a_multilevel_model() -> None:
    # clubSandwich 0.5.8 is compared in the wider checks; here the sandwich is written out.
    found = fit("lab/exp")
    simple = robust(found, table()["lab"], kind="CR0", df="normal")
    w = np.zeros((22, 22))
    for at, block in zip(found.blocks, found.marginal, strict=True):
        w[np.ix_(at, at)] = np.linalg.inv(block)
    where = np.array(table()["lab"])
    meat = sum(float(w.sum(0)[where == lab] @ found.residuals[where == lab]) ** 2 for lab in LABS)
    assert simple.se[0] == approx(meat**0.5 / w.sum())
    assert robust(found, table()["lab"]).se[0] > simple.se[0]
