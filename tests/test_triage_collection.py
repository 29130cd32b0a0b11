"""Many decisions learned at once, and records whose words are counted once for several engines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.errors import InputError
from evidence.triage import Engine, machine, screen, spaces
from evidence.triage.collection import Collection
from evidence.triage.features import features
from evidence.triage.machine import Machine
from evidence.triage.screen import Screen
from evidence.triage.spaces import Gram, Pairs, Terms
from tests.triage_rows import PROTOCOL, a_library, a_record, first

approx = pytest.approx
LIBRARY = a_library(60, 12, overlap=4)
COLLECTION = Collection.of(LIBRARY[0], PROTOCOL)
MOVES = st.dictionaries(st.integers(0, 59), st.sampled_from([True, False, None]), max_size=60)


def named(moves: dict[int, bool | None]) -> dict[str, bool | None]:
    return {LIBRARY[0][i].pmid: relevant for i, relevant in moves.items()}


# --- many at once --------------------------------------------------------------------------------


@settings(max_examples=60)
@given(MOVES, MOVES, st.sampled_from([1, 7, 500]), st.sampled_from([0.05, 0.5, 2.0]))
def test_many_decisions_at_once_are_those_decisions_one_by_one(before, moves, together, often):
    one, all_ = (Engine.over(COLLECTION, seed=2) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "TOGETHER", together)
        patch.setattr(spaces, "OFTEN", often)
        for some in (before, moves):
            for pmid, relevant in named(some).items():
                one.decide(pmid, relevant)
            all_.decide_all(named(some))
    assert all_.order == one.order
    assert list(all_.decisions.items()) == list(one.decisions.items())
    assert (all_.used, all_.stage, all_.method) == (one.used, one.stage, one.method)
    assert dict(all_.scores()) == approx(dict(one.scores()), abs=2e-9)
    assert all_.state().left_out == approx(one.state().left_out, abs=1e-9, nan_ok=True)
    assert all_.state().found.tolist() == one.state().found.tolist()


def test_three_hundred_decisions_at_once_are_those_that_a_screening_took_one_by_one():
    records, labels = a_library(400, 60, overlap=5)
    truth = {r.pmid: y for r, y in zip(records, labels, strict=True)}
    engine = Engine(records, PROTOCOL)
    for _ in range(300):
        (pmid,) = engine.next()
        engine.decide(pmid, truth[pmid])
    again = Engine.over(engine.collection, engine.decisions)
    assert again.order == engine.order
    assert dict(again.scores()) == approx(dict(engine.scores()), abs=2e-9)
    assert again.state().left_out == approx(engine.state().left_out, abs=1e-9)
    assert list(again.decisions) == list(engine.decisions)


def test_of_many_decisions_none_is_noted_where_a_record_is_unknown():
    engine = Engine.over(COLLECTION, first(LIBRARY, 2, 9))
    before, order = engine.decisions, engine.order
    with pytest.raises(InputError, match="PMID 5 is not among the records"):
        engine.decide_all({**dict.fromkeys(engine.next(10), True), "5": True})
    assert (engine.decisions, engine.order) == (before, order)


def test_a_table_of_pairs_takes_many_decisions_at_once_too():
    space = features(LIBRARY[0], PROTOCOL)
    one, two = Screen(Terms(space), 1), Screen(Gram(Pairs(space)), 1)
    for each in (one, two):
        each.decide_all({3: True, 8: True, **dict.fromkeys(range(20, 40), False)})
        each.decide_all({3: None, 8: False, 13: True, **dict.fromkeys(range(40, 55), False)})
    assert one.machine.similar == approx(two.machine.similar, abs=1e-12)
    assert one.order().tolist() == two.order().tolist()


def test_rows_appended_together_are_rows_appended_one_by_one():
    rows = np.random.default_rng(0).random((100, 8))
    similar, labels = rows @ rows.T, np.arange(100) % 4 == 0
    one, two = Machine(), Machine()
    for i in range(100):
        one.add(similar[i, :i], float(similar[i, i]), bool(labels[i]))
    for start, end in ((0, 0), (0, 10), (10, 100)):
        part = similar[start:end, :end].copy()
        part[:, start:][np.diag_indices(end - start)] = 0.0  # the own similarity counts instead
        two.extend(part, similar.diagonal()[start:end], labels[start:end])
    assert two.similar.tolist() == one.similar.tolist()
    assert two.relevant.tolist() == one.relevant.tolist()
    assert two._total == approx(one._total)


@pytest.mark.parametrize("excluded_between", [0, 3])
def test_the_inverse_kept_while_inclusions_come_is_nearly_a_fresh_one(
    monkeypatch, excluded_between
):
    monkeypatch.setattr(machine, "SMALL", 0)
    rng = np.random.default_rng(1)
    made, rows = Machine(), np.empty((0, 12))
    for relevant in [True, *([False] * excluded_between + [True]) * 30]:
        new = rng.random(12)
        made.add(rows @ new, float(new @ new), relevant)
        rows = np.vstack([rows, new])
        made.solve(np.ones(made.size))
    inverse, ridge = made._block
    few = np.flatnonzero(made.relevant)
    system = made.similar[np.ix_(few, few)] + np.diag(ridge)
    assert inverse @ system == approx(np.eye(len(few)), abs=1e-9)


@pytest.mark.parametrize("overlap", [0, 4, 9])
def test_a_rough_solution_is_off_by_less_than_it_says_and_finds_the_same_record(
    monkeypatch, overlap
):
    monkeypatch.setattr(machine, "SMALL", 0)
    records, labels = a_library(150, 20, overlap=overlap)
    each = Screen(Gram(Pairs(features(records, PROTOCOL))), 1)
    each.decide_all({labels.index(True): True, labels.index(False): False})
    for _ in range(120):
        rough = each._sum(screen.ROUGH)
        allowed = each.machine.uncertain
        errors = (rough - each._sum(machine.TOLERANCE))[~each.decided]
        assert np.ptp(errors) < allowed < 1e-4
        read = each.best()
        assert read == each.order()[0]
        each.decide(read, labels[read])


# --- several engines over the same records -------------------------------------------------------


def test_engines_over_one_collection_know_nothing_of_each_other():
    ana, ben = (Engine.over(COLLECTION) for _ in range(2))
    assert ana._space is ben._space
    alone = Engine(LIBRARY[0], PROTOCOL)
    assert ana.order == ben.order == alone.order
    ana.decide_all(first(LIBRARY, 3, 20))
    assert ben.decisions == {}
    assert ben.order == alone.order
    ben.decide_all(first(LIBRARY, 2, 3))
    alone.decide_all(first(LIBRARY, 3, 20))
    assert ana.scores() == alone.scores()


def test_a_collection_depends_on_the_set_of_its_records_alone():
    other = Collection.of(LIBRARY[0][::-1], PROTOCOL)
    assert other.records == COLLECTION.records
    assert (other.space.matrix != COLLECTION.space.matrix).nnz == 0
    assert COLLECTION.names == {r.pmid for r in LIBRARY[0]}


def test_every_name_that_occurs_twice_is_told():
    records = [a_record(pmid, "Soil") for pmid in ("2", "1", "2", "3", "3")]
    with pytest.raises(InputError) as fault:
        Collection.of(records, "")
    assert list(fault.value.places) == ["PMID 2", "PMID 3"]
