"""Pooling: values of metafor, the choice of interval, and laws."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from meta.errors import InputError, UnknownName
from meta.measures import given
from meta.pooling import pool
from meta.results import Effects, PooledEffect
from meta.tau2 import TAU2
from tests.reference import models
from tests.reference.metafor_cases import FILE, cases
from tests.reference.univariate import judge
from tests.test_tau2 import data, weights_for

BCG = given(models.YI, models.VI)


def pooled_by(method: str, effects: Effects = BCG, **choices):
    return pool(effects, tau2=method, weights=weights_for(method, effects.vi), **choices)


@pytest.mark.parametrize("method", models.TAU2)
def test_pooled_effects_reproduce_the_bcg_trials(method):
    found = pooled_by(method, ci="Wald")
    assert (found.estimate, found.se) == pytest.approx(models.TAU2[method][2:], rel=1e-9)


def test_the_common_effect_reproduces_the_bcg_trials():
    found = pool(BCG, model="common")
    got = (found.estimate, found.se, found.q, found.q_p, 100 * found.i2, found.h2)
    assert got == pytest.approx(models.COMMON, rel=1e-11)
    assert (found.ci_method, found.tau2, found.prediction) == ("Wald", 0, None)


@pytest.mark.parametrize("ci", models.INTERVALS)
def test_intervals_reproduce_the_bcg_trials(ci):
    found = pool(BCG, ci=ci, prediction="metafor")
    got = (found.se, found.statistic, found.p, *found.ci, *found.prediction)
    assert got == pytest.approx(models.INTERVALS[ci], rel=1e-8)


@pytest.mark.shared
def test_every_reference_case_of_a_pooled_effect_passes(shared):
    chosen = [c for c in cases(FILE, function="rma.uni") if "mods" not in c.arguments]
    verdicts = [(case.id, *judge(case)) for case in chosen]
    assert len(verdicts) > 2000
    assert [v for v in verdicts if v[1] == "failed"] == []
    # Only the log-likelihood next to an offset of a million, where the reference lost its digits.
    assert {v[0].rsplit("/", 1)[0] for v in verdicts if v[1] == "differ"} == {
        "rma.uni/edge/offset/GENQ"
    }


def test_the_default_is_knapp_hartung_with_both_intervals_in_the_result():
    found = pool(BCG)
    assert found.ci_method == "Knapp-Hartung"
    assert found.ci_reason == "13 studies and tau² above zero"
    assert found.ci == found.knapp_hartung_ci
    assert found.wald_ci == pytest.approx(models.INTERVALS["Wald"][3:5], rel=1e-8)
    assert found.df == 12


def test_without_heterogeneity_the_default_is_wald_and_says_why():
    found = pool(given([0.1, 0.12, 0.11], [0.05, 0.04, 0.06]))
    assert found.ci_method == "Wald"
    assert "tau² is estimated as zero" in found.ci_reason
    assert all(math.isfinite(limit) for limit in found.knapp_hartung_ci)


def test_two_studies_get_a_wald_interval_and_no_prediction_interval():
    found = pool(given([0.1, 0.9], [0.01, 0.01]))
    assert found.tau2 > 0
    assert (found.ci_method, found.prediction) == ("Wald", None)
    assert found.ci_reason == "2 studies: too few for the Knapp-Hartung interval"


def test_one_study_is_itself():
    found = pool(given([0.5], [0.04], study=["only"]))
    assert (found.estimate, found.se, found.tau2, found.q, found.q_p) == (0.5, 0.2, 0, 0, 1)
    assert found.weights.tolist() == [1.0]
    assert all(math.isnan(limit) for limit in found.knapp_hartung_ci)
    assert all(math.isnan(limit) for limit in found.tau2_ci)
    assert pool(given([0.5], [0.04]), ci="Knapp-Hartung").ci_method == "Wald"


def test_no_study_is_an_error():
    nothing = Effects(BCG.measure, (), np.array([]), np.array([]), ())
    with pytest.raises(InputError, match="there is no study to pool"):
        pool(nothing)


def test_unusable_studies_are_all_named():
    y, v = np.array([0.1, math.nan, 0.3, 0.2]), np.array([0.1, 0.1, 0.0, -1.0])
    effects = Effects(BCG.measure, ("Ash", "Birch", "Cedar", "Elm"), y, v, ("a", "b", "c", "d"))
    with pytest.raises(InputError) as caught:
        pool(effects)
    assert caught.value.places == (
        "Birch: effect nan is not a number",
        "Cedar: sampling variance 0.0 is not positive",
        "Elm: sampling variance -1.0 is not positive",
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"model": "fixd"}, "there is no model 'fixd'"),
        ({"tau2": "DLL"}, "there is no tau2 estimator 'DLL'"),
        ({"ci": "HKSJ"}, "there is no test or interval 'HKSJ'"),
        ({"prediction": "none"}, "there is no prediction interval 'none'"),
        ({"level": 95}, "level = 95 is not between 0 and 1"),
        ({"weights": [1, 2]}, "2 weights for 13 studies"),
        ({"weights": [0] * 13}, "all weights are zero"),
        ({"weights": [-1] + [1] * 12}, "weights must be finite and not negative"),
    ],
)
def test_choices_that_do_not_exist_are_refused(choice, message):
    with pytest.raises((UnknownName, InputError), match=message):
        pool(BCG, **choice)


def test_the_default_prediction_interval_has_k_minus_2_degrees_of_freedom():
    found = pool(BCG)
    assert found.prediction_df == 11
    assert found.prediction_method.endswith("t with 11 degrees of freedom")
    half = 2.200985160082949 * math.sqrt(found.se**2 + found.tau2)  # t quantile, 11 df
    low, high = found.prediction
    assert (low, high) == pytest.approx((found.estimate - half, found.estimate + half), rel=1e-10)


def test_several_optima_are_reported():
    effects = given(models.DOMINATED_YI, models.DOMINATED_VI)
    found = pool(effects, ci="Wald")
    got = (found.tau2, found.tau2_se, found.estimate, found.se)
    assert got == pytest.approx(models.DOMINATED, rel=1e-8)
    assert found.notes == ()
    found = pool(effects, tau2="ML", ci="Wald")
    got = (found.tau2, found.tau2_se, found.estimate, found.se)
    assert got == pytest.approx(models.DOMINATED_ML, rel=1e-8)
    assert found.notes == ("the likelihood has 2 local maxima in tau2; the highest is used",)


def test_studies_closer_than_chance_are_noted():
    found = pool(given([0.1, 0.1001, 0.1002, 0.1], [0.05, 0.04, 0.06, 0.05]))
    assert found.tau2_ci == (0.0, 0.0)
    assert found.notes == ("the studies lie closer together than sampling error explains",)


@pytest.mark.parametrize(("method", "name"), [("DL", "chi2"), ("PM", "pm")])
def test_statsmodels_agrees_where_tau2_is_positive(method, name):
    theirs = combine_effects(BCG.yi, BCG.vi, method_re=name, atol=1e-14)
    ours = pool(BCG, tau2=method, ci="Knapp-Hartung")
    assert theirs.tau2 == pytest.approx(ours.tau2, rel=1e-8)
    assert theirs.mean_effect_re == pytest.approx(ours.estimate, rel=1e-9)
    assert theirs.sd_eff_w_re_hksj == pytest.approx(ours.se, rel=1e-8)


@forall(sample=data(least=1), method=st.sampled_from(sorted(TAU2)))
def test_weights_sum_to_one_and_the_mean_lies_among_the_effects(sample, method):
    effects = given(*sample)
    found = pooled_by(method, effects)
    assert float(found.weights.sum()) == pytest.approx(1)
    slack = 1e-9 * (1 + np.abs(effects.yi).max())
    assert effects.yi.min() - slack <= found.estimate <= effects.yi.max() + slack


@forall(sample=data(), shift=st.sampled_from([-2.0, 0.25, 64.0]))
def test_the_pooled_effect_moves_with_the_effects(sample, shift):
    y, v = sample
    one, other = pool(given(y, v), ci="Wald"), pool(given(y + shift, v), ci="Wald")
    assert other.estimate == pytest.approx(one.estimate + shift, rel=1e-6, abs=1e-7)
    assert other.se == pytest.approx(one.se, rel=1e-6)


@forall(sample=data(), scale=st.sampled_from([1e-3, 0.5, 100.0]))
def test_the_pooled_effect_scales_with_the_unit(sample, scale):
    y, v = sample
    one, other = pool(given(y, v), ci="Wald"), pool(given(y * scale, v * scale**2), ci="Wald")
    assert other.estimate == pytest.approx(one.estimate * scale, rel=1e-6, abs=1e-8 * scale)
    assert other.se == pytest.approx(one.se * scale, rel=1e-6)
    assert other.i2 == pytest.approx(one.i2, abs=1e-7)


@forall(sample=data(least=3), ci=st.sampled_from(["Wald", "t", "Knapp-Hartung", "ad hoc"]))
def test_a_higher_level_gives_an_interval_around_the_lower_one(sample, ci):
    narrow, wide = (pool(given(*sample), ci=ci, level=level) for level in (0.8, 0.95))
    assert wide.ci[0] <= narrow.ci[0] <= narrow.ci[1] <= wide.ci[1]
    assert wide.tau2_ci[0] <= narrow.tau2_ci[0]
    assert narrow.tau2_ci[1] <= wide.tau2_ci[1] * (1 + 1e-9)
    assert wide.prediction[0] <= narrow.prediction[0]


@forall(sample=data(least=2))
def test_the_ad_hoc_interval_is_never_shorter_than_the_two_it_guards(sample):
    effects = given(*sample)
    widths = {ci: np.ptp(pool(effects, ci=ci).ci) for ci in ("t", "Knapp-Hartung", "ad hoc")}
    assert widths["ad hoc"] == pytest.approx(max(widths["t"], widths["Knapp-Hartung"]))


def test_far_p_values_keep_their_digits():
    found = pool(given([1.0, 1.05], [0.005, 0.005]), model="common")
    assert found.statistic == pytest.approx(20.5)  # where 2 (1 - cdf) would be zero
    assert found.p == pytest.approx(math.erfc(20.5 / math.sqrt(2)), rel=1e-9)


# What a result works out when it is first asked for.

FIELDS = tuple(field.name for field in dataclasses.fields(PooledEffect))


def values(found: PooledEffect, names: tuple[str, ...] = FIELDS) -> dict:
    got = {name: getattr(found, name) for name in names}
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in got.items()}


@pytest.mark.parametrize("choice", [{}, {"model": "common"}, {"prediction": "metafor"}])
@forall(order=st.permutations(FIELDS))
def test_the_order_in_which_fields_are_asked_for_does_not_matter(choice, order):
    plain = pool(BCG, **choice)
    assert values(pool(BCG, **choice), tuple(order)) == values(plain)
    assert values(plain) == values(plain)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_copies_of_a_result_have_all_fields(copied):
    found = pool(BCG)
    twin = copied(found)
    assert values(twin, FIELDS[1:]) == values(found, FIELDS[1:])
    assert twin.summary() == found.summary()
    assert twin.effects.study == found.effects.study


def test_a_replaced_field_leaves_the_others():
    found = dataclasses.replace(pool(BCG), tau2_ci=(0.0, 1.0))
    assert found.tau2_ci == (0.0, 1.0)
    assert values(found, ("ci", "p", "notes")) == values(pool(BCG), ("ci", "p", "notes"))


def test_a_result_is_frozen_and_has_no_other_fields():
    found = pool(BCG)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.tau2_ci = (0.0, 1.0)
    with pytest.raises(AttributeError, match="PooledEffect has no attribute 'tau_ci'"):
        found.tau_ci  # noqa: B018


def test_studies_without_names_are_numbered():
    effects = given([0.1, 0.2], [0.01, 0.02], cluster=["a", "a"])
    assert effects.cluster == ("a", "a")
    assert effects.study == ("study 1", "study 2")
    assert given([0.1, 0.2], [0.01, 0.02]).cluster == ("study 1", "study 2")


HEAVY = ("pandas", "matplotlib", "statsmodels", "scipy.stats", "scipy.optimize", "scipy.special")


def test_a_first_fit_loads_nothing_heavy():
    code = (
        "import sys; from meta import effects, given, pool; "
        "pool(given([0.1, 0.4, 0.2], [0.02, 0.03, 0.05])).i2; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
