"""Small-study effects in 2x2 tables: values of other software, error rates, laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st

from meta import bias
from meta.bias import SmallSampleWarning, egger, rank_test, thompson_sharp
from meta.bias_counts import arcsine_test, deeks, harbord, macaskill, peters, schwarzer
from meta.errors import InputError, UnknownName
from meta.measures import effects

# 13 trials of BCG vaccine against tuberculosis: Colditz et al. (1994), JAMA 271:698-702.
BCG = {
    "events_1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    "total_1": [
        *(123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913),
    ],
    "events_2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    "total_2": [
        *(139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854),
    ],
}
# Slope, its standard error and p; the regressions by lm() of R 4.2.2 from the formulas of the
# papers, AS-Thompson by rma(method="DL", test="t") of metafor 3.8-1.
LINES = {
    "Harbord OR": (harbord, {}, (-2.092991540794237, 1.665765441780617, 0.234971952122066)),
    "Harbord RR": (
        harbord,
        {"measure": "RR"},
        (-1.837177840674619, 1.610959208476622, 0.278331459226673),
    ),
    "Peters": (peters, {}, (-563.688203913343386, 413.723340020775652, 0.2002917922841355)),
    "Macaskill FPV": (
        macaskill,
        {},
        (6.12987027417366e-06, 1.29828980142248e-06, 6.27925091964373e-04),
    ),
    "Macaskill FIV": (
        macaskill,
        {"weights": "inverse variance"},
        (5.72378268663232e-06, 1.21485727034077e-06, 6.38170187086762e-04),
    ),
    "Deeks": (deeks, {}, (-50.29716994003312891, 27.914763217124310, 0.0990159313702872)),
    "AS-Egger": (
        lambda **k: arcsine_test("Egger", **k),
        {},
        (-4.21271638338595, 1.55338036188539452, 0.0202196779717428),
    ),
    "AS-Thompson": (
        arcsine_test,
        {},
        (-3.07741049483671603, 0.74033333346799912, 0.00159799619596589),
    ),
}
TESTS = {**{k: (f, o) for k, (f, o, _) in LINES.items()}, "Schwarzer": (schwarzer, {})}


@pytest.mark.parametrize("name", LINES)
def test_regressions_of_the_bcg_trials_are_those_of_r(name):
    call, options, expected = LINES[name]
    found = call(**BCG, **options)
    assert (found.slope, found.slope_se, found.p) == pytest.approx(expected, rel=1e-8)
    assert (found.df, found.k, found.notes) == (11, 13, ())


def test_the_limits_are_the_intercepts_of_r():
    assert harbord(**BCG).limit == pytest.approx(-0.230842623249441, rel=1e-9)
    assert harbord(**BCG).limit_ci == pytest.approx(
        (-0.768320006308698, 0.306634759809817), rel=1e-9
    )
    assert peters(**BCG).limit_ci == pytest.approx((-0.807047728382327, -0.0515691232216213))
    assert np.isnan(macaskill(**BCG).limit)


# Means and variances by BiasedUrn, Kendall's test by cor.test() of R 4.2.2.
def test_schwarzers_test_of_the_bcg_trials_is_that_of_r():
    found = schwarzer(**BCG)
    assert (found.tau, found.p) == pytest.approx((0.0769230769230769, 0.76502484591), rel=1e-8)
    assert found.exact
    normal = schwarzer(**BCG, exact=False)
    assert normal.p == pytest.approx(0.714325284666, rel=1e-8)


def test_the_arcsine_rank_test_of_the_bcg_trials_is_metafors():
    found = arcsine_test("Begg", **BCG)
    assert (found.tau, found.p) == pytest.approx((-0.282051282051282, 0.204366771667119), rel=1e-9)


# regtest(model="rma", method="DL", test="t") of metafor 3.8-1.
def test_thompson_and_sharps_test_of_the_bcg_trials_is_metafors():
    found = thompson_sharp(effects("OR", **BCG))
    assert found.name == "Thompson-Sharp"
    assert (found.slope, found.slope_se, found.p, found.tau2) == pytest.approx(
        (-0.747916102180969, 0.968991455811692, 0.456465347311821, 0.337472134904735), rel=1e-8
    )


def test_harbords_two_forms_are_one():
    a, n1, c, n2 = (np.array(column, dtype=float) for column in BCG.values())
    n, events = n1 + n2, a + c
    z, v = a - n1 * events / n, n1 * n2 * events * (n - events) / (n**2 * (n - 1))
    x = np.stack((np.ones(13), np.sqrt(v)), axis=1)
    (bias, effect), rss, *_ = np.linalg.lstsq(x, z / np.sqrt(v), rcond=None)
    se = np.sqrt(rss[0] / 11 * np.linalg.inv(x.T @ x)[0, 0])
    found = harbord(**BCG)
    assert (found.slope, found.slope_se, found.limit) == pytest.approx((bias, se, effect))


def simulated(ratio: float, seed: int) -> dict[str, np.ndarray]:
    """Twenty trials of unequal size with one true odds ratio."""
    rng = np.random.default_rng(seed)
    n = rng.integers(30, 200, 20)
    risk = rng.uniform(0.1, 0.3, 20)
    odds = risk / (1 - risk) * ratio
    return {
        "events_1": rng.binomial(n, odds / (1 + odds)),
        "total_1": n,
        "events_2": rng.binomial(n, risk),
        "total_2": n,
    }


# Peters et al. (2006) and Harbord et al. (2006): Egger's test of odds ratios rejects a true null
# too often where effects are large, theirs do not.
def test_under_no_bias_the_tests_for_counts_reject_as_often_as_they_say():
    runs = 400
    rejected = dict.fromkeys((harbord, peters, arcsine_test, schwarzer), 0)
    naive = 0
    for seed in range(runs):
        tables = simulated(0.2, seed)
        naive += egger(effects("OR", **tables)).p < 0.1
        for test in rejected:
            rejected[test] += test(**tables).p < 0.1
    assert naive / runs > 0.4
    for count in rejected.values():
        assert count / runs < 0.15


def test_suppression_of_null_results_in_small_trials_is_found():
    found = 0
    for seed in range(40):
        tables = [simulated(0.7, 7 * seed + i) for i in range(4)]
        rows = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}
        y = effects("OR", **rows)
        shown = (y.yi / np.sqrt(y.vi) < -1.0) | (rows["total_1"] > 150)
        found += harbord(**{key: column[shown] for key, column in rows.items()}).p < 0.1
    assert found >= 30


counts = st.tuples(
    st.integers(0, 40), st.integers(41, 400), st.integers(0, 40), st.integers(41, 400)
)


@forall(st.lists(counts, min_size=10, max_size=15))
def test_swapping_the_arms_flips_slopes_and_keeps_p_values(tables):
    a, n1, c, n2 = (np.array(column) for column in zip(*tables, strict=True))
    informative = (a + c > 0) & (a + c < n1 + n2)
    assume(informative.sum() >= 10 and len(np.unique((n1 + n2)[informative])) > 5)
    one = {"events_1": a, "total_1": n1, "events_2": c, "total_2": n2}
    other = {"events_1": c, "total_1": n2, "events_2": a, "total_2": n1}
    for test in (harbord, peters, macaskill):
        there, back = test(**one), test(**other)
        assert back.slope == pytest.approx(-there.slope, rel=1e-6, abs=1e-9)
        assert back.p == pytest.approx(there.p, rel=1e-6)


def test_studies_without_information_are_left_out_and_named():
    tables = {key: [*column, 0 if key[0] == "e" else 50] for key, column in BCG.items()}
    study = [f"trial {i}" for i in range(1, 15)]
    for call, options in TESTS.values():
        found = call(**tables, **options, study=study)
        if found.name.startswith("AS"):
            assert found.k == 14
        else:
            assert found.k == 13
            assert "no information on the effect: trial 14" in found.notes
    assert harbord(**tables).slope == pytest.approx(harbord(**BCG).slope, rel=1e-12)


@pytest.mark.parametrize("name", TESTS)
def test_rows_with_empty_cells_are_dropped_when_asked_and_named(name):
    call, options = TESTS[name]
    tables = {key: [*column, None] for key, column in BCG.items()}
    found = call(**tables, **options, missing="drop", study=[f"trial {i}" for i in range(1, 15)])
    assert found.k == 13
    assert len(found.notes) == 1
    assert found.notes[0].startswith("left out for missing values: trial 14 (")


@pytest.mark.parametrize("name", TESTS)
def test_below_ten_studies_each_test_warns_once_and_notes_it(name):
    call, options = TESTS[name]
    few = {key: column[:6] for key, column in BCG.items()}
    with pytest.warns(SmallSampleWarning, match="6 studies: .* unreliable below 10") as caught:
        found = call(**few, **options)
    assert len(caught) == 1
    assert found.notes == (str(caught[0].message),)


@pytest.mark.parametrize("name", TESTS)
def test_from_ten_studies_on_no_test_warns(name):
    call, options = TESTS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(**BCG, **options)


def test_zero_cells_are_corrected_where_told_and_said():
    tables = {**BCG, "events_1": [0, *BCG["events_1"][1:]]}
    assert any("0.5 added to each count" in note for note in peters(**tables).notes)
    assert peters(**tables, add=0.1).slope != peters(**tables).slope
    assert harbord(**tables).notes == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harbord(**BCG, measure="RD"), "no measure for this test 'RD'"),
        (lambda: macaskill(**BCG, weights="equal"), "no weights of this test 'equal'"),
        (lambda: arcsine_test("Peters", **BCG), "no arcsine test 'Peters'"),
        (lambda: arcsine_test(**BCG, tau2="XX"), "no tau2 estimator 'XX'"),
        (
            lambda: harbord(events_1=[0, 0, 3], total_1=9, events_2=[0, 0, 1], total_2=9),
            "1 of at least 3 studies that tell the arms apart",
        ),
        (
            lambda: schwarzer(events_1=[0, 0, 0], total_1=9, events_2=[1, 2, 3], total_2=[9, 8, 7]),
            "Mantel-Haenszel odds ratio is undefined",
        ),
        (
            lambda: peters(events_1=[1, 2, 3], total_1=9, events_2=[1, 2, 2], total_2=9),
            "all studies have the same inverse sample size",
        ),
        (
            lambda: harbord(events_1=[9, 2, 3], total_1=[5, 9, 9], events_2=1, total_2=9),
            "value cannot be used",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::meta.caution.SmallSampleWarning")
def test_faults_say_what_is_wrong(call, message):
    with pytest.raises((InputError, UnknownName), match=message):
        call()


def test_linked_measures_are_told_what_to_use_instead():
    odds = effects("OR", **BCG)
    for test in (egger, rank_test, thompson_sharp):
        assert any("harbord, peters" in note for note in test(odds).notes)
    assert egger(effects("AS", **BCG)).notes == ()


SMALL_STUDY = [
    *(bias.egger, bias.excess_significance, bias.fail_safe_n, bias.henmi_copas, bias.pet_peese),
    *(bias.pustejovsky_rodgers, bias.rank_test, bias.regression_test, bias.thompson_sharp),
    *(bias.trim_and_fill, arcsine_test, deeks, harbord, macaskill, peters, schwarzer),
]


@pytest.mark.parametrize("function", SMALL_STUDY, ids=lambda f: f.__name__)
def test_each_method_says_when_it_should_not_be_used_and_whose_it_is(function):
    text = " ".join(function.__doc__.split())
    assert "Not to be used" in text
    assert "References" in text
