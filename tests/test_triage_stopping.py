"""How many relevant records remain, and when to stop; screenings are invented."""

from __future__ import annotations

import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from evidence.errors import InputError
from evidence.triage.stopping import (
    DEFAULT_RULE,
    State,
    certificate_size,
    compared,
    conservative,
    draw,
    expected,
    remaining,
    verdicts,
)
from evidence.triage.stopping.conservative import few_drawn, hypergeometric_p, windows
from evidence.triage.stopping.expected import odds, rediscovery_p
from evidence.triage.stopping.remaining import RIDGE, at_most, calibrate
from evidence.triage.stopping.state import fewest_missed

approx = pytest.approx


def a_state(found: str, left: int, *, gap: float = 1.5, seed: int = 0) -> State:
    """A screening from "+--+-", with scores that part the kinds by so many standard deviations."""
    rng = np.random.default_rng(seed)
    kinds = np.array([one == "+" for one in found])
    scores = rng.normal(np.where(kinds, gap, -gap), 1.0) if found else np.empty(0)
    return State(len(found) + left, kinds, scores, rng.normal(-gap - 1, 1.0, left))


def bare(found: str, left: int) -> State:
    kinds = np.array([one == "+" for one in found], dtype=bool)
    return State(len(found) + left, kinds, np.full(len(found), np.nan), np.zeros(left))


# --- how many missed make the difference ---------------------------------------------------------


@given(st.integers(0, 2000), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_fewest_missed_is_the_smallest_number_that_brings_recall_below(found, target):
    missed = fewest_missed(found, target)
    assert found / (found + missed) < target
    assert missed == 1 or found / (found + missed - 1) >= target - 1e-12


@pytest.mark.parametrize(("found", "missed"), [(0, 1), (18, 1), (19, 2), (37, 2), (38, 3), (56, 3)])
def test_one_may_be_missed_below_19_inclusions_and_two_below_38(found, missed):
    assert fewest_missed(found, 0.95) == missed


# --- the rule of Callaghan and Müller-Hansen -----------------------------------------------------


def test_the_probability_of_few_late_inclusions_by_hand():
    # 1 of 2 read of 10 is relevant; below 95 % there is 1 more. Windows: both reads, 2 relevant in
    # 10, at most 1 met: 1 - C(2,2)/C(10,2); the second read alone, 1 relevant in 9, none met: 8/9.
    assert hypergeometric_p(bare("+-", 8), 0.95) == approx(min(1 - 1 / 45, 8 / 9))


@given(st.text("+-", min_size=1, max_size=25), st.integers(0, 40))
def test_the_probability_is_the_least_over_all_stretches_written_out(found, left):
    state = bare(found, left)
    missed = fewest_missed(state.included, 0.95)
    ps = []
    for begin in [0, *(i + 1 for i, one in enumerate(found) if one == "+")]:
        if begin < len(found):
            hits = found[begin:].count("+")
            urn = len(found) - begin + left
            relevant = min(hits + missed, urn)
            ps.append(
                sum(
                    math.comb(relevant, k) * math.comb(urn - relevant, len(found) - begin - k)
                    for k in range(hits + 1)
                    if len(found) - begin - k >= 0
                )
                / math.comb(urn, len(found) - begin)
            )
    expected_p = 0.0 if missed > left else min(ps)
    assert hypergeometric_p(state, 0.95) == approx(expected_p, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1.2)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([50, 4_000_000]),
)
def test_the_distribution_is_scipys_hypergeometric(cases, at_once):
    urn = np.array([n for n, *_ in cases])
    relevant = np.array([round(share * n) for n, share, *_ in cases])
    drawn = np.array([round(share * n) for n, _, share, _ in cases])
    hits = np.array(
        [round(x * min(k, d)) for (*_, x), k, d in zip(cases, relevant, drawn, strict=True)]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.import_module("evidence.triage.stopping.conservative"), "AT_ONCE", at_once
        )
        found = few_drawn(hits, urn, relevant, drawn)
    assert found == approx(stats.hypergeom.cdf(hits, urn, relevant, drawn), rel=1e-7, abs=1e-12)


@given(st.text("+-", min_size=1, max_size=25), st.integers(0, 60))
def test_one_more_exclusion_never_makes_a_late_inclusion_less_improbable(found, left):
    now = hypergeometric_p(bare(found, left + 1), 0.95)
    assert hypergeometric_p(bare(found + "-", left), 0.95) <= now + 1e-12


def test_the_conservative_rule_says_what_it_rests_on():
    verdict = conservative(bare("+" * 30 + "-" * 100, 5))
    assert verdict.stop
    assert "174 of 174 simulated runs" in verdict.words
    assert "9.8% of reviews fail" in verdict.words
    assert "if the order is nowhere worse than a random one" in verdict.words
    assert "fewer than 20" not in verdict.words
    assert verdict.summary().startswith("conservative: stop. ")


def test_another_target_has_no_record_of_how_often_it_held():
    verdict = conservative(bare("+" * 30 + "-" * 100, 5), target=0.9)
    assert "174" not in verdict.words
    assert "measured at a target and a confidence of 95% only" in verdict.words
    assert verdict.target == 0.9


@pytest.mark.parametrize("rule", [conservative, expected])
def test_no_rule_stops_before_anything_is_found_or_read(rule):
    for state in (bare("", 50), bare("-" * 40, 10), bare("+", 0)):
        if state.included == 0:
            assert not rule(state).stop


@pytest.mark.parametrize("bad", [{"target": 1.0}, {"target": 0.0}, {"confidence": 1.5}])
def test_a_target_that_is_no_share_is_a_fault(bad):
    with pytest.raises(InputError, match=r"is not between 0 and 1"):
        verdicts(bare("+-", 5), **bad)


def test_the_most_that_can_be_left_is_what_the_rule_does_not_reject():
    state = bare("+" * 10 + "-" * 60, 40)
    most = at_most(state, 0.05)

    def p(missed: int) -> float:
        """Windows: all 70 reads, and the 60 after the last inclusion, among others."""
        ps = []
        for begin in range(11):
            hits = 10 - begin
            ps.append(stats.hypergeom.cdf(hits, 110 - begin, hits + missed, 70 - begin))
        return min(ps)

    assert p(most) >= 0.05 > p(most + 1)


@given(
    st.text("+-", min_size=1, max_size=60),
    st.integers(0, 400),
    st.sampled_from([0.4771, 0.0493, 0.0251, 1.03e-6]),  # no probability is just that
)
def test_the_most_that_can_be_left_is_the_last_number_that_no_stretch_rejects(found, left, error):
    state = bare(found, left)
    drawn, hits, urn, _ = windows(state, 0.5)
    allowed = [
        missed
        for missed in range(left + 1)
        if not len(drawn)
        or stats.hypergeom.cdf(hits, urn, np.minimum(hits + missed, urn), drawn).min() >= error
    ]
    assert at_most(state, error) == max(allowed)


# --- the estimate --------------------------------------------------------------------------------


def test_the_calibration_is_that_of_scikit_learn():
    state = a_state("+-" * 40 + "-" * 60, 0, gap=0.6)
    curve = calibrate(state.left_out, state.found)
    theirs = LogisticRegression(
        C=1 / (RIDGE * state.left_out.var()), tol=1e-12, max_iter=10_000
    ).fit(state.left_out[:, None], state.found)
    assert (curve.intercept, curve.slope) == approx(
        (theirs.intercept_[0], theirs.coef_[0, 0]), abs=1e-5
    )


def test_scores_that_part_the_kinds_without_overlap_still_give_a_finite_curve():
    scores = np.array([-2.0, -1.0, -1.0, 1.0, 2.0])
    curve = calibrate(scores, scores > 0)
    assert 0 < curve.slope < 100
    assert np.isfinite(curve.covariance).all()


@given(st.floats(0.001, 1000), st.floats(-50, 50))
def test_the_calibration_knows_no_unit_and_no_origin(scale, shift):
    state = a_state("+-" * 20 + "-" * 40, 30, gap=0.7)
    moved = State(
        state.n, state.found, scale * state.left_out + shift, scale * state.unscreened + shift
    )
    assert remaining(moved).estimate == approx(remaining(state).estimate, rel=1e-4)


def test_the_estimate_is_the_sum_of_probabilities_and_never_above_its_limit():
    state = a_state("+--" * 20 + "-" * 100, 60)
    left = remaining(state)
    total = calibrate(state.left_out, state.found).probability(state.unscreened).sum()
    assert left.estimate == approx(min(total, left.ci[1]))
    assert left.recall == approx(20 / (20 + left.estimate))
    assert left.ci[0] == 0 <= left.estimate <= left.ci[1] <= left.left == 60
    assert left.recall_ci[0] <= left.recall <= left.recall_ci[1] == 1
    assert "20 found; about" in left.summary()


@given(st.text("+-", min_size=2, max_size=60), st.integers(0, 60), st.integers(0, 99))
def test_an_interval_holds_its_estimate_whatever_the_screening(found, left, seed):
    said = remaining(a_state(found, left, seed=seed))
    if not 0 < found.count("+") < len(found):
        assert math.isnan(said.estimate)
        return
    assert 0 <= said.ci[0] <= said.estimate <= said.ci[1] <= left


# --- the default rule ----------------------------------------------------------------------------


def test_the_odds_of_the_urn_by_hand():
    # Included at 3 and 0; others at 4, 1, 1, -2: shares at or above 1/4 and 3/4.
    state = State(
        n=6,
        found=np.array([True, True, False, False]),
        left_out=np.array([3.0, 0.0, 1.0, -2.0]),
        unscreened=np.array([4.0, 1.0]),
    )
    total = -math.log(1 - 1 / 4) - math.log(1 - 3 / 4)
    low = stats.chi2.ppf(0.05, 4) / (2 * total)
    assert odds(state) == approx(math.sqrt(min(max(low, 1), 200)))


def test_the_odds_are_never_below_those_of_chance():
    worst = State(
        n=40,
        found=np.array([True] * 10 + [False] * 20),
        left_out=np.array([-5.0] * 10 + [5.0] * 20),
        unscreened=np.full(10, 5.0),
    )
    assert odds(worst) == 1.0


def test_with_even_odds_the_urn_is_the_binomial_limit_of_the_conservative_rule():
    state = bare("+" * 30 + "-" * 400, 200)
    even = State(state.n, state.found, np.zeros(430), np.zeros(200))  # v = 1 - 1/m: odds 1
    assert odds(even) == 1.0
    assert rediscovery_p(even, 0.95) == approx(hypergeometric_p(state, 0.95), abs=0.02)


@given(st.text("+-", min_size=2, max_size=60), st.integers(0, 60), st.integers(0, 99))
def test_the_urn_gives_a_probability_whatever_the_screening(found, left, seed):
    state = a_state(found, left, seed=seed)
    assert 0 <= rediscovery_p(state, 0.95) <= 1
    assert 1 <= odds(state) <= math.sqrt(200)


def test_the_default_stops_when_both_conditions_hold_and_its_words_lead_with_the_honest_figure():
    state = a_state("+" * 30 + "-" * 300, 100, gap=4)
    verdict = expected(state)
    assert verdict.stop
    assert verdict.rule == DEFAULT_RULE == verdicts(state)[0].rule
    assert verdict.words.index("96.6%") < verdict.words.index("174 of 174")
    assert "29 reviews without a failure show only that fewer than 9.8%" in verdict.words
    assert "fewer than 20 inclusions" not in verdict.words
    assert verdict.numbers["recall"] >= 0.95
    assert verdict.numbers["p"] <= 0.05


def test_a_good_estimate_alone_does_not_stop_the_default_rule():
    # Scores part the kinds, but as many were found of late as ever.
    found = "-" * 60 + "+-" * 30
    kinds = np.array([one == "+" for one in found])
    rng = np.random.default_rng(0)
    scores = rng.normal(np.where(kinds, 6, -6), 1.0)
    scores[kinds] += rng.normal(-9, 2, 30)  # each included record is scored low by the others
    state = State(620, kinds, scores, np.full(500, -9.0))
    verdict = expected(state)
    assert verdict.numbers["recall"] >= 0.95
    assert verdict.numbers["p"] > 0.05
    assert not verdict.stop


def test_below_20_inclusions_every_rule_says_that_little_can_be_saved():
    state = a_state("+" * 5 + "-" * 100, 100, gap=4)
    for verdict in (expected(state), conservative(state)):
        assert "fewer than 20 inclusions hardly anything can be saved" in verdict.words


def test_nothing_is_stopped_before_twenty_decisions():
    assert not expected(a_state("+" * 9 + "-" * 10, 1, gap=9)).stop


# --- the certificate -----------------------------------------------------------------------------

# Share of a large rest to be drawn by inclusions found, printed in the measurements of the rules.
SHARES = [(18, 0.95), (19, 0.78), (38, 0.63), (75, 0.53), (100, 0.39), (150, 0.31), (200, 0.24)]


@pytest.mark.parametrize(("found", "share"), [*SHARES, (300, 0.17), (500, 0.10)])
def test_a_certificate_costs_the_share_that_is_published_for_it(found, share):
    assert certificate_size(100_000, found) / 100_000 == approx(share, abs=0.0101)


@given(st.integers(0, 60), st.integers(0, 200))
def test_a_certificate_is_the_smallest_sample_that_would_miss_all_too_seldom(left, found):
    size = certificate_size(left, found)
    missed = fewest_missed(found, 0.95)
    if missed > left:
        assert size == 0
        return

    def misses(m: int) -> float:
        return math.comb(left - missed, m) / math.comb(left, m)

    assert misses(size) <= 0.05 + 1e-12
    assert size == 0 or misses(size - 1) > 0.05 - 1e-12


def test_attempts_spend_half_of_what_is_left_of_the_error():
    pmids = [str(i) for i in range(500)]
    sizes = [len(draw(pmids, 100, seed=1, attempt=i).pmids) for i in (1, 2, 3)]
    assert sizes == [certificate_size(500, 100, confidence=1 - 0.05 / spent) for spent in (2, 4, 8)]


def test_a_sample_depends_on_the_set_and_the_seed_and_has_no_record_twice():
    pmids = [str(i) for i in range(100)]
    one, two = draw(pmids, 40, seed=5), draw(pmids[::-1], 40, seed=5)
    assert one == two
    assert len(set(one.pmids)) == len(one.pmids)
    assert draw(pmids, 40, seed=6).pmids != one.pmids
    assert draw(pmids, 40, seed=5, attempt=2).pmids[:5] != one.pmids[:5]
    with pytest.raises(InputError, match="attempt = 0"):
        draw(pmids, 40, seed=5, attempt=0)


def test_a_certificate_is_given_only_when_all_of_it_is_read_and_none_is_relevant():
    sample = draw([str(i) for i in range(60)], 100, seed=1)
    none = dict.fromkeys(sample.pmids, False)
    assert sample.verdict(none).stop
    assert "Certified: none of" in sample.verdict(none).words
    partly = dict(list(none.items())[:-1])
    assert not sample.verdict(partly).stop
    assert "1 of" in sample.verdict(partly).words
    one = none | {sample.pmids[0]: True}
    assert not sample.verdict(one).stop
    assert "Screen on, then draw a new sample" in sample.verdict(one).words
    assert not sample.verdict({"elsewhere": False}).stop


def test_certificates_err_as_seldom_as_they_promise():
    """500 screenings at just below 95 %: at most 5 % are certified over three attempts."""
    rng = np.random.default_rng(0)
    wrong = 0
    for seed in range(500):
        relevant = {str(i) for i in rng.choice(300, fewest_missed(57, 0.95), replace=False)}
        left = [str(i) for i in range(300)]
        for attempt in (1, 2, 3):
            sample = draw(left, 57, seed=seed, attempt=attempt)
            if sample.verdict({pmid: pmid in relevant for pmid in sample.pmids}).stop:
                wrong += 1
                break
    assert wrong / 500 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


def test_the_word_certified_is_kept_for_a_sample_that_was_read():
    last = verdicts(a_state("+" * 30 + "-" * 300, 100, gap=4))[-1]
    assert last.rule == "certified"
    assert not last.stop
    assert last.words.startswith("To prove that 95% are found, draw ")


def test_when_too_few_are_left_to_matter_no_sample_is_needed():
    last = verdicts(a_state("+" * 60 + "-" * 10, 2))[-1]
    assert last.stop
    assert last.words.startswith("Certain: ")


# --- rules for comparison ------------------------------------------------------------------------


def kinds(text: str) -> np.ndarray:
    return np.array([one == "+" for one in text])


def test_so_many_in_a_row_stops_at_the_first_look_after_them():
    found = kinds("+" * 5 + "-" * 95)
    assert len(compared.in_a_row(12)(found, 10, 0)) == 20
    assert len(compared.in_a_row(12)(found, 1, 0)) == 17
    assert len(compared.in_a_row(200)(found, 1, 0)) == 100
    assert len(compared.share_in_a_row(0.05)(found, 1, 0)) == 10
    assert len(compared.share_read(0.8)(found, 10, 0)) == 80


def test_the_knee_is_found_where_the_curve_bends_sharply():
    sharp = kinds("+" * 160 + "-" * 2000)
    assert len(compared.knee(sharp, 10, 0)) < 400
    assert len(compared.knee(kinds("+-" * 500), 10, 0)) == 1000


def test_the_poisson_rule_reads_all_of_an_even_order_and_not_of_a_steep_one():
    assert len(compared.poisson(kinds("+---" * 250), 10, 0)) > 900
    assert len(compared.poisson(kinds("+" * 50 + "-" * 950), 10, 0)) < 500


def test_qbcb_needs_59_inclusions_for_its_sample():
    assert len(compared.qbcb(kinds("+" * 58 + "-" * 500), 10, 0)) == 558
    read = compared.qbcb(kinds("+" * 400 + "-" * 4000), 10, 0)
    assert len(set(read.tolist())) == len(read) < 4400


@given(st.text("+-", min_size=1, max_size=120), st.integers(1, 10), st.integers(0, 5))
def test_rules_read_distinct_places_of_the_order(found, every, seed):
    for rule in compared.RULES.values():
        read = rule(kinds(found), every, seed)
        assert len(np.unique(read)) == len(read)
        assert not len(read) or 0 <= read.min() <= read.max() < len(found)


@given(st.text("+-", min_size=21, max_size=80), st.integers(1, 20), st.integers(1, 10))
def test_rules_without_a_sample_do_not_look_further_than_they_read(found, cut, every):
    """What comes after the place where a rule stopped may be anything, as long as n stays."""
    for name, rule in compared.RULES.items():
        if name == "QBCB":
            continue
        at = len(rule(kinds(found), every, 0))
        other = found[:at] + "+" * (len(found) - at)
        assert len(rule(kinds(other), every, 0)) == at


def test_a_certificate_in_a_simulation_reads_its_sample_whole():
    found = kinds("+" * 100 + "-" * 900)
    read = compared.certified(found, 500, 10, 3)
    assert len(read) == 500 + certificate_size(500, 100, confidence=0.975)
    missing = kinds("+" * 50 + "-" * 450 + "+" * 50 + "-" * 450)
    assert found[compared.certified(missing, 500, 10, 3)].sum() >= 95


def test_verdicts_are_plain_data():
    for verdict in verdicts(a_state("+" * 3 + "-" * 30, 20)):
        body = verdict.json()
        assert body["rule"] == verdict.rule
        assert set(verdict.numbers) <= set(body)


def test_the_rules_agree_on_how_they_are_asked():
    state = a_state("+" * 3 + "-" * 30, 20)
    names = [v.rule for v in verdicts(state, target=0.9, confidence=0.9)]
    assert names == ["expected", "conservative", "certified"]
    assert all(v.target == v.confidence == 0.9 for v in verdicts(state, target=0.9, confidence=0.9))


def test_a_higher_target_is_never_reached_earlier():
    states = [a_state("+" * 30 + "-" * n, 400 - n, gap=4) for n in range(30, 400, 37)]
    for state, (low, high) in itertools.product(states, [(0.8, 0.9), (0.9, 0.95), (0.95, 0.99)]):
        assert hypergeometric_p(state, high) >= hypergeometric_p(state, low) - 1e-12
