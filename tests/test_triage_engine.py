"""A screening that keeps its order while decisions come and go; all records are invented."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from evidence.errors import InputError
from evidence.triage import Engine, explain, machine, model, rank
from evidence.triage.features import features
from evidence.triage.machine import Machine
from evidence.triage.screen import Screen
from evidence.triage.spaces import Gram, Pairs, Terms
from evidence.triage.stopping import State
from tests.triage_rows import PROTOCOL, a_library, a_record, first

approx = pytest.approx


@pytest.fixture(scope="module")
def library():
    return a_library()


def as_decided(library, yes: int, no: int) -> Engine:
    return Engine(library[0], PROTOCOL, first(library, yes, no))


# --- the machine ---------------------------------------------------------------------------------


def a_machine(n: int, seed: int, *, relevant: float = 0.3, words: int = 12) -> Machine:
    """Rows with random similarities, one class and the other."""
    rng = np.random.default_rng(seed)
    rows = rng.random((n, words)) * (rng.random((n, words)) < 0.4)
    rows /= np.sqrt((rows**2).sum(axis=1, keepdims=True)) + 1e-12
    return machine_of(rows @ rows.T, (rng.random(n) < relevant) | (np.arange(n) == 0))


def machine_of(similar: np.ndarray, relevant: Sequence[bool]) -> Machine:
    made = Machine()
    for i, label in enumerate(relevant):
        made.add(similar[i, :i], float(similar[i, i]), bool(label))
    return made


def some_weights(n: int, seed: int, misfit: float) -> np.ndarray:
    return misfit * np.random.default_rng(seed).uniform(0.5, 2, n)


def optimal(made: Machine, weights: np.ndarray, beta: np.ndarray) -> None:
    """Karush, Kuhn and Tucker's conditions, which only the optimum meets: the problem is convex."""
    y = np.where(made.relevant, 1.0, -1.0)
    alpha = y * beta
    margin = y * (made.similar @ beta + beta.sum())
    slack = alpha / (2 * model.C * weights)
    assert (alpha >= -1e-8).all()
    assert (margin + slack >= 1 - 1e-8).all()
    inside = alpha > 1e-8
    assert (margin + slack)[inside] == approx(np.ones(inside.sum()), abs=1e-8)


@settings(max_examples=40)
@given(
    st.integers(1, 40),
    st.integers(0, 10**6),
    st.sampled_from([0.1, 1.0, 100.0, 10_000.0]),
    st.sampled_from([0, 1000]),
)
def test_the_solution_is_the_optimum_with_few_or_many_beyond_the_margin(n, seed, misfit, small):
    made, weights = a_machine(n, seed), some_weights(n, seed, misfit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "SMALL", small)  # by conjugate gradients, or by factorisation
        optimal(made, weights, made.solve(weights))


def test_some_of_the_cases_above_do_leave_records_beyond_the_margin():
    made, weights = a_machine(40, 3), some_weights(40, 3, 10_000.0)
    beta = made.solve(weights)
    assert 0 < (beta == 0).sum() < 40


def test_two_hundred_decisions_solved_in_rounds_agree_with_a_factorisation(monkeypatch):
    weights = some_weights(260, 1, 1.0)
    monkeypatch.setattr(machine, "SMALL", 0)
    rounds = a_machine(260, 1).solve(weights)
    monkeypatch.setattr(machine, "SMALL", 1000)
    assert rounds == approx(a_machine(260, 1).solve(weights), abs=1e-10)


def test_the_machine_is_the_one_of_liblinear(library):
    records, labels = library
    relevant = np.array(labels)
    space = features(records, PROTOCOL)
    screen = Screen(Terms(space), 0)
    picked = [3, 10, 0, 1, 2, 4, 5, 6, 20, 31]
    for i in picked:
        screen.decide(i, bool(relevant[i]))
    inside, outside, protocol = model.sample_weights(screen.included, screen.excluded)
    # Words of one record alone have no column here: each record gets one for all of its own.
    rows = space.matrix.toarray()
    alone = np.diag(np.sqrt(np.maximum(space.own - (rows**2).sum(axis=1), 0)))
    asked = np.append(space.protocol.toarray().ravel(), np.zeros(len(rows)))
    full = np.hstack([rows, alone])
    theirs = LinearSVC(C=model.C, dual=False, tol=1e-12, max_iter=100_000)
    theirs.fit(
        np.vstack([full[picked], asked]),
        [*relevant[picked], True],
        sample_weight=[*np.where(relevant[picked], inside, outside), protocol],
    )
    left = ~screen.decided
    assert screen.scores()[left] == approx(theirs.decision_function(full)[left], abs=1e-5)


def test_a_score_with_one_left_out_is_that_of_a_fit_without_it():
    """The formula against brute force: each record removed, the others fitted anew."""
    made, weights = a_machine(40, 8), some_weights(40, 8, 1.0)
    made.solve(weights)
    assert (np.abs(made.beta) > 0).all()  # a least-squares machine
    told = made.left_out(weights)
    for i in range(40):
        others = np.delete(np.arange(40), i)
        again = machine_of(made.similar[np.ix_(others, others)], made.relevant[others])
        beta = again.solve(weights[others])
        fresh = float(made.similar[i, others] @ beta + beta.sum())
        if (np.abs(beta) > 0).all():
            assert told[i] == approx(fresh, abs=1e-9)
        else:  # another record left the support with it
            assert told[i] == approx(fresh, abs=5e-3)
        assert made.without(i, weights)[others] @ made.similar[i, others] + made.without(
            i, weights
        ).sum() == approx(told[i], abs=1e-9)


def test_a_record_beyond_the_margin_keeps_its_score_when_it_is_left_out():
    made, weights = a_machine(40, 3), some_weights(40, 3, 10_000.0)
    beta = made.solve(weights)
    outside = np.flatnonzero(beta == 0)
    assert made.left_out(weights)[outside] == approx(made.fitted()[outside])
    assert made.without(int(outside[0]), weights) == approx(beta)


@given(st.lists(st.tuples(st.integers(0, 14), st.sampled_from(["flip", "out", "in"])), max_size=30))
def test_rows_taken_out_and_changed_leave_no_trace(moves):
    whole = a_machine(15, 4)
    made = Machine()
    inside: list[int] = []
    label = {i: bool(whole.relevant[i]) for i in range(15)}
    for row, move in moves:
        if move == "in" and row not in inside:
            made.add(whole.similar[row, inside], float(whole.similar[row, row]), label[row])
            inside.append(row)
        elif move == "out" and row in inside:
            place = inside.index(row)
            made.remove(place)
            inside[place] = inside[-1]
            inside.pop()
        elif move == "flip" and row in inside:
            label[row] = not label[row]
            made.change(inside.index(row), label[row])
        if inside:
            made.solve(np.ones(len(inside)))
    fresh = machine_of(whole.similar[np.ix_(inside, inside)], [label[i] for i in inside])
    assert made.similar == approx(fresh.similar)
    assert made.relevant.tolist() == fresh.relevant.tolist()
    if inside:
        ones = np.ones(len(inside))
        assert made.solve(ones) == approx(fresh.solve(ones), abs=1e-10)


# --- decisions in either direction ---------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 29), st.sampled_from([True, False, None])), max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_order_depends_on_the_decisions_and_not_on_how_they_came_about(moves, rng):
    records, _ = a_library(30, 6, overlap=4)
    engine = Engine(records, PROTOCOL, seed=3)
    for i, relevant in moves:
        engine.decide(records[i].pmid, relevant)
        if rng.random() < 0.3:
            engine.next()
    shuffled = dict(rng.sample(sorted(engine.decisions.items()), len(engine.decisions)))
    fresh = Engine(rng.sample(records, 30), PROTOCOL, shuffled, seed=3)
    assert engine.order == fresh.order
    assert dict(engine.scores()) == approx(dict(fresh.scores()), abs=2e-9)
    assert engine.stage == fresh.stage
    assert engine.used == fresh.used


def test_a_long_screening_step_by_step_ends_in_the_order_of_one_that_begins_there():
    records, labels = a_library(400, 40, overlap=5)
    truth = {r.pmid: y for r, y in zip(records, labels, strict=True)}
    engine = Engine(records, PROTOCOL)
    for _ in range(220):
        (pmid,) = engine.next()
        engine.decide(pmid, truth[pmid])
    fresh = Engine(records, PROTOCOL, engine.decisions)
    assert engine.order == fresh.order
    assert dict(engine.scores()) == approx(dict(fresh.scores()), abs=2e-9)


def test_a_decision_taken_back_restores_the_order(library):
    engine = as_decided(library, 3, 5)
    before = engine.scores()
    engine.decide(engine.next()[0], False)
    assert engine.scores() != before
    engine.decide(before[0][0], None)
    assert engine.scores() == before


def test_taking_back_what_was_not_decided_changes_nothing(library):
    engine = as_decided(library, 3, 5)
    before = engine.scores()
    engine.decide(engine.next()[0], None)
    assert engine.scores() == before


def test_a_changed_decision_keeps_its_place_in_the_sequence(library):
    engine = as_decided(library, 2, 1)
    pmids = list(engine.decisions)
    engine.decide(pmids[0], False)
    assert list(engine.decisions.items()) == [
        (pmids[0], False),
        (pmids[1], True),
        (pmids[2], False),
    ]
    engine.decide(pmids[0], None)
    engine.decide(pmids[0], True)
    assert list(engine.decisions) == [*pmids[1:], pmids[0]]


def test_next_gives_the_head_of_the_order_and_no_more_than_there_is(library):
    engine = as_decided(library, 2, 5)
    assert engine.next(3) == engine.order[:3]
    assert engine.next(1000) == engine.order
    assert engine.next(0) == ()
    assert Engine([], "").next() == ()


def test_an_engine_gives_the_order_of_rank(library):
    decisions = first(library, 2, 5)
    ranking = rank(library[0], decisions, PROTOCOL)
    engine = Engine(library[0], PROTOCOL, decisions)
    assert engine.order == ranking.pmids
    assert engine.method == ranking.method
    assert [engine.score(pmid) for pmid in engine.order] == [score for _, score in ranking.order]


def test_decisions_on_records_elsewhere_are_kept_and_deciding_on_one_later_is_a_fault(library):
    engine = Engine(library[0], PROTOCOL, {"999": True, **first(library, 1, 1)})
    assert engine.used.elsewhere == 1
    assert engine.decisions["999"]
    with pytest.raises(InputError, match="PMID 5 is not among the records"):
        engine.decide("5", True)


def test_both_ways_to_keep_similarities_give_the_same_scores():
    records, labels = a_library(80, 10, overlap=4)
    space = features(records, PROTOCOL)
    one, two = Screen(Terms(space), 1), Screen(Gram(Pairs(space)), 1)
    rng = np.random.default_rng(0)
    for screen in (one, two):
        rng = np.random.default_rng(0)
        for i in rng.integers(0, 80, 120):
            screen.decide(int(i), None if rng.random() < 0.3 else labels[i])
    assert one.stage == "both"
    assert one.scores() == approx(two.scores(), abs=2e-9)
    assert one.order().tolist() == two.order().tolist()
    assert one.left_out() == approx(two.left_out(), abs=1e-9)


# --- questions -----------------------------------------------------------------------------------


def test_the_score_of_a_decided_record_is_what_the_others_say(library):
    engine = as_decided(library, 4, 10)
    records, labels = library
    odd = next(r.pmid for r, y in zip(records, labels, strict=True) if y)
    engine.decide(odd, False)  # the others know better
    assert engine.score(odd) > engine.scores()[20][1]
    state = engine.state()
    place = list(engine.decisions).index(odd)
    assert engine.score(odd) == approx(float(state.left_out[place]), abs=1e-9)


def test_reasons_of_a_decided_record_add_up_to_what_the_others_say(library):
    engine = as_decided(library, 4, 10)
    screen = engine._screen
    for pmid in engine.decisions:
        reasons = engine.reasons(pmid, count=1000)
        place = screen.records.index(engine._row[pmid]) + 1
        constant = screen.machine.without(place, screen.sample_weights()).sum()
        shares = sum(share for _, share in reasons.up + reasons.down)
        assert shares + constant == approx(engine.score(pmid), abs=1e-9)


def test_similar_records_share_words_and_a_record_is_not_similar_to_itself():
    records = [
        a_record("1", "Sprint training in rats"),
        a_record("2", "Sprint training in mice"),
        a_record("3", "Orchard soil"),
        a_record("4", "Sprint training in rats"),
        a_record("5", "Rats and mice in orchard soil"),
    ]
    engine = Engine(records, "", {"2": True})
    (twin, same), (other, less), *_ = engine.similar("1", 4)
    assert (twin, other) == ("4", "2")
    assert same == approx(1)
    assert 0 < less < 1
    assert {pmid for pmid, _ in engine.similar("1", 99)} == {"2", "3", "4", "5"}
    with pytest.raises(InputError):
        engine.similar("9")


def test_similarity_of_records_without_words_is_none_at_all():
    engine = Engine([a_record("1", ""), a_record("2", "Soil"), a_record("3", "Soil")], "")
    assert dict(engine.similar("1")) == {"2": 0.0, "3": 0.0}


@pytest.mark.parametrize("decisions", [{}, {"100": True}, {"100": False}])
def test_before_both_kinds_are_known_recall_is_undefined_and_says_so(library, decisions):
    engine = Engine(library[0], PROTOCOL, decisions)
    left = engine.recall()
    assert math.isnan(left.estimate)
    assert math.isnan(left.recall)
    assert "cannot be said" in left.summary()
    assert [v.stop for v in engine.verdicts()] == [False, False, False]
    assert engine.calibration() == engine.depths() == engine.second_look() == ()


def test_all_that_is_left_is_counted_and_none_left_is_certain(library):
    records, labels = library
    engine = Engine(records, PROTOCOL)
    truth = {r.pmid: y for r, y in zip(records, labels, strict=True)}
    while engine.order:
        (pmid,) = engine.next()
        engine.decide(pmid, truth[pmid])
    left = engine.recall()
    assert (left.found, left.estimate, left.ci, left.recall) == (8, 0.0, (0.0, 0.0), 1.0)
    assert all(v.stop for v in engine.verdicts())


# --- how far to trust it -------------------------------------------------------------------------


def test_a_wrong_decision_is_offered_for_a_second_look_and_right_ones_are_not():
    records, labels = a_library(120, 20)
    decisions = {r.pmid: y for r, y in zip(records[:90], labels, strict=False)}
    wrong = next(pmid for pmid, y in decisions.items() if y)
    engine = Engine(records, PROTOCOL, decisions | {wrong: False})
    (doubt, *others) = engine.second_look()
    assert (doubt.pmid, doubt.relevant) == (wrong, False)
    assert doubt.probability > 0.95
    assert wrong not in {d.pmid for d in others}
    engine.decide(wrong, True)
    assert wrong not in {d.pmid for d in engine.second_look()}


def test_calibration_counts_every_decided_record_once(library):
    engine = as_decided(library, 6, 30)
    bins = engine.calibration(groups=5)
    assert sum(b.records for b in bins) == 36
    assert sum(b.relevant for b in bins) == 6
    assert all(0 <= b.ci[0] <= b.share <= b.ci[1] <= 1 for b in bins)
    assert [b.foretold for b in bins] == sorted(b.foretold for b in bins)
    # The maximum of the likelihood has the right sum (the ridge is on the slope alone).
    assert sum(b.records * b.foretold for b in bins) == approx(6, abs=1e-6)


def test_wilsons_interval_by_hand():
    # 1 of 10: (0.1 + z^2/20 -+ z sqrt(0.1 * 0.9 / 10 + z^2 / 400)) / (1 + z^2 / 10), z = 1.96
    assert explain._wilson(1, 10) == approx((0.0179, 0.4042), abs=5e-5)
    assert explain._wilson(0, 10)[0] == 0
    assert explain._wilson(10, 10)[1] == 1


def test_screening_deeper_reaches_more(library):
    depths = as_decided(library, 6, 20).depths()
    assert [d.target for d in depths] == [0.95, 0.99, 1.0]
    assert [d.decided for d in depths] == sorted(d.decided for d in depths)
    assert [d.unscreened for d in depths] == sorted(d.unscreened for d in depths)
    assert depths[-1].unscreened == 34
    assert all(d.estimated >= d.target - 1e-12 for d in depths)


def test_depths_by_hand():
    # Cross-validated order: + - + -; all of 2 inclusions after 3 of 4.
    state = State(
        n=4,
        found=np.array([True, False, True, False]),
        left_out=np.array([0.9, 0.5, 0.2, -0.9]),
        unscreened=np.empty(0),
    )
    assert [d.decided for d in explain.depths(state)] == [0.75, 0.75, 0.75]


def test_drift_names_what_rose_and_fell():
    moved = explain.drift(["a", "b", "c", "d", "x"], ["d", "a", "b", "c", "y"], top=2)
    assert (moved.records, moved.top, moved.kept) == (4, 2, 0.5)
    assert (moved.risen, moved.fallen) == (("d",), ("c", "b", "a"))
    assert moved.correlation == approx(1 - 6 * (9 + 1 + 1 + 1) / (4 * 15))
    assert moved.summary().startswith("1 of the first 2 were among the first 2 before")


def test_drift_of_an_order_from_itself_is_none(library):
    engine = as_decided(library, 2, 4)
    still = engine.drift(engine.order)
    assert (still.correlation, still.kept, still.risen, still.fallen) == (1.0, 1.0, (), ())
    assert math.isnan(explain.drift([], []).correlation)


@pytest.mark.shared
def test_a_real_review_screened_in_steps_equals_one_loaded_at_once(shared):
    from evidence.triage.labelled import read_labelled

    review = read_labelled(shared / "triage/cohen_NSAIDS.csv.gz")
    truth = {r.pmid: y for r, y in zip(review.records, review.labels, strict=True)}
    engine = Engine(review.records, "nonsteroidal anti-inflammatory drugs, randomized trials")
    for _ in range(200):
        (pmid,) = engine.next()
        engine.decide(pmid, truth[pmid])
    fresh = Engine(
        review.records,
        "nonsteroidal anti-inflammatory drugs, randomized trials",
        dict(sorted(engine.decisions.items())),
    )
    assert engine.order == fresh.order
    assert dict(engine.scores()) == approx(dict(fresh.scores()), abs=2e-9)
