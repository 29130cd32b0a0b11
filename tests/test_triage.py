"""Stems, vectors, reading order, reasons and simulation of triage; all records are invented."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage import Ranking, model, rank, simulate
from evidence.triage.features import VIEWS, features, grams
from evidence.triage.simulation import draw_priors, figures
from evidence.triage.stem import stem

approx = pytest.approx
PROTOCOL = "Interval training raises serum neurotrophin in healthy adults"


def a_record(pmid: str, title: str, abstract: str = "", mesh: tuple[str, ...] = ()) -> Record:
    return Record(
        pmid=pmid,
        title=title,
        abstract=abstract,
        authors=(),
        year=2020,
        journal="Journal of Invented Results",
        doi=None,
        pmcid=None,
        mesh=mesh,
        kinds=(),
        keywords=(),
        language="eng",
        status="MEDLINE",
        version=1,
        retracted=False,
        notices=(),
        revised=None,
    )


WANTED = "interval training sprint cycling serum neurotrophin adults intensity watts blood"
OTHER = "soil orchard beetle rainfall pollen harvest irrigation mildew compost larvae"
COMMON = "study results measured groups compared effect weeks sample change observed"


def a_library(size: int = 60, wanted: int = 8, overlap: int = 0) -> tuple[list[Record], list[bool]]:
    """Records about training among records about orchards, with shared filler.

    ``overlap`` words of each record are about the other subject.
    """
    rng = random.Random(5)
    records, labels = [], []
    for i in range(size):
        relevant = i % (size // wanted) == 3 and sum(labels) < wanted
        mine, theirs = (WANTED, OTHER) if relevant else (OTHER, WANTED)
        words = [
            *rng.choices(mine.split(), k=12 - overlap),
            *rng.choices(theirs.split(), k=overlap),
            *rng.choices(COMMON.split(), k=10),
        ]
        rng.shuffle(words)
        records.append(a_record(str(100 + i), " ".join(words[:5]), " ".join(words[5:])))
        labels.append(relevant)
    return records, labels


@pytest.fixture(scope="module")
def library() -> tuple[list[Record], list[bool]]:
    return a_library()


def first(library: tuple[list[Record], list[bool]], yes: int, no: int) -> dict[str, bool]:
    """Decisions on the first so many relevant and other records."""
    pmids = {
        kind: [r.pmid for r, y in zip(*library, strict=True) if y == kind] for kind in (True, False)
    }
    return dict.fromkeys(pmids[True][:yes], True) | dict.fromkeys(pmids[False][:no], False)


# --- stems ---------------------------------------------------------------------------------------

# Example words that Porter (1980) gives with his rules, each carried through all steps.
PORTER = """
caresses caress, ponies poni, ties ti, caress caress, cats cat, feed feed, agreed agre,
plastered plaster, bled bled, motoring motor, sing sing, conflated conflat, troubled troubl,
sized size, hopping hop, tanned tan, falling fall, hissing hiss, fizzed fizz, failing fail,
filing file, happy happi, sky sky, relational relat, conditional condit, rational ration,
valenci valenc, hesitanci hesit, digitizer digit, conformabli conform, radicalli radic,
differentli differ, vileli vile, analogousli analog, vietnamization vietnam, predication predic,
operator oper, feudalism feudal, decisiveness decis, hopefulness hope, callousness callous,
formaliti formal, sensitiviti sensit, sensibiliti sensibl, triplicate triplic, formative form,
formalize formal, electriciti electr, electrical electr, hopeful hope, goodness good,
revival reviv, allowance allow, inference infer, airliner airlin, gyroscopic gyroscop,
adjustable adjust, defensible defens, irritant irrit, replacement replac, adjustment adjust,
dependent depend, adoption adopt, homologou homolog, communism commun, activate activ,
angulariti angular, homologous homolog, effective effect, bowdlerize bowdler, probate probat,
rate rate, cease ceas, controll control, roll roll, generalizations gener, oscillators oscil
"""


@pytest.mark.parametrize("pair", [line.split() for line in PORTER.replace("\n", " ").split(",")])
def test_stems_are_those_of_the_published_examples(pair):
    word, expected = pair
    assert stem(word) == expected


def test_forms_of_a_word_meet_and_other_words_do_not():
    assert len({stem(w) for w in ("exercise", "exercises", "exercised", "exercising")}) == 1
    assert len({stem(w) for w in ("hippocampus", "hippopotamus")}) == 2


@pytest.mark.parametrize("word", ["", "a", "is", "bdnf2", "naïve", "тренировка", "運動", "2020s"])
def test_what_is_no_english_word_keeps_its_form(word):
    assert stem(word) == word


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=20))
def test_a_stem_is_never_empty_nor_longer_than_the_word(word):
    # A dropped -ing may be mended by an e: never by more than was dropped.
    assert len(stem(word)) <= len(word)
    assert bool(stem(word)) == bool(word)


# --- vectors -------------------------------------------------------------------------------------


def test_word_pairs_never_cross_from_title_to_abstract():
    assert grams(["Serum levels", "Rats ran"]) == [
        "serum",
        "level",
        "serum level",
        "rat",
        "ran",
        "rat ran",
    ]


def test_accents_and_case_do_not_separate_words():
    assert grams(["ÉTUDE García"]) == grams(["etude garcia"])


def test_term_weights_follow_bm25_by_hand():
    # Two records of 1 and 3 terms; "rat" stands once in the one, "rat mice rat-mice" in the other.
    space = features([a_record("1", "rat"), a_record("2", "rat mice")], "", views=VIEWS[:1])
    column = {term: i for i, term in enumerate(space.terms)}
    k1, b, long = 1.2, 0.75, 3 / 2
    tf = (k1 + 1) / (1 + k1 * (1 - b + b * long))
    common, rare = math.log(1 + 0.5 / 2.5), math.log(1 + 1.5 / 1.5)
    row = tf * np.array([common, rare, rare])
    row /= np.sqrt((row**2).sum())
    dense = space.matrix.toarray()
    assert dense[1, [column["rat"], column["mice"], column["rat mice"]]] == approx(row)
    assert dense[0, column["rat"]] == approx(1)


def test_each_view_adds_its_weight_to_the_similarity_of_a_record_with_itself():
    record = a_record("1", "Sprint training", "Serum rose.", ("Exercise/physiology", "Humans"))
    bare = a_record("2", "Sprint training")
    space = features([record, bare], PROTOCOL)
    own = (space.matrix @ space.matrix.T).toarray().diagonal()
    assert own == approx([1.2, 1.1])  # the second has no MeSH


def test_words_of_the_protocol_alone_get_no_column():
    space = features([a_record("1", "Orchard soil")], "Interval training in the orchard")
    assert set(space.terms) == {"orchard", "soil", "orchard soil"}
    assert space.protocol.nnz == 2  # "orchard" in both views


# --- reading order -------------------------------------------------------------------------------


def test_without_a_decision_the_protocol_decides(library):
    records, labels = library
    ranking = rank(records, {}, PROTOCOL)
    relevant = {r.pmid for r, y in zip(records, labels, strict=True) if y}
    assert ranking.stage == "protocol"
    assert set(ranking.pmids[:6]) <= relevant
    assert "No record is included yet" in ranking.method
    assert "protocol alone" in ranking.method


def test_exclusions_alone_change_no_score_and_the_method_says_so(library):
    records, _ = library
    before = dict(rank(records, {}, PROTOCOL).order)
    ranking = rank(records, first(library, 0, 3), PROTOCOL)
    assert dict(ranking.order) == {p: s for p, s in before.items() if p in ranking.pmids}
    assert "nothing is learned from 3 excluded records" in ranking.method


def test_inclusions_alone_order_by_similarity_to_them_and_the_method_says_so(library):
    records, labels = library
    ranking = rank(records, first(library, 2, 0), "")
    relevant = {r.pmid for r, y in zip(records, labels, strict=True) if y}
    assert ranking.stage == "included"
    assert set(ranking.pmids[:6]) == relevant - set(first(library, 2, 0))
    assert "No record is excluded yet, so nothing is learned" in ranking.method
    assert "2 included records" in ranking.method


def test_the_score_from_inclusions_is_rocchio_by_hand():
    records = [
        a_record("1", "sprint serum"),
        a_record("2", "sprint soil"),
        a_record("3", "soil mildew"),
    ]
    space = features(records, "sprint")
    like = (space.matrix @ space.matrix.T).toarray()
    asked = (space.matrix @ space.protocol.T).toarray().ravel()
    expected = (like[0] + 0.3 * asked) / 1.3 - (1 / 3) * like[1:].mean(axis=0)
    scores = dict(rank(records, {"1": True}, "sprint").order)
    assert [scores["2"], scores["3"]] == approx(expected[1:])


def test_with_both_kinds_a_machine_learns_and_finds_the_rest(library):
    records, labels = library
    decisions = first(library, 2, 5)
    ranking = rank(records, decisions, PROTOCOL)
    relevant = {r.pmid for r, y in zip(records, labels, strict=True) if y}
    assert ranking.stage == "both"
    assert set(ranking.pmids[:6]) == relevant - set(decisions)
    assert "learned from 2 included records and 5 excluded records" in ranking.method
    assert "not measured" not in ranking.method  # no record has MeSH, so that view is not used
    assert dataclasses.astuple(ranking.used) == (2, 5, 53, 0)


def test_only_undecided_records_are_to_be_read_and_each_once(library):
    records, _ = library
    decisions = first(library, 2, 5)
    ranking = rank(records, decisions, PROTOCOL)
    assert sorted(ranking.pmids) == sorted({r.pmid for r in records} - set(decisions))
    scores = [score for _, score in ranking.order]
    assert scores == sorted(scores, reverse=True)


def test_a_changed_decision_changes_the_order_and_changing_it_back_restores_it(library):
    records, _ = library
    decisions = first(library, 3, 5)
    changed = decisions | {next(iter(decisions)): False}
    one, two = (rank(records, d, PROTOCOL).order for d in (decisions, changed))
    assert one != two
    assert rank(records, decisions, PROTOCOL).order == one


@given(st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_in_which_records_come(rng):
    records, labels = a_library(20, 4, overlap=4)
    decisions = first((records, labels), 2, 2)
    expected = rank(records, decisions, PROTOCOL).order
    shuffled = rng.sample(records, len(records))
    decisions = dict(rng.sample(sorted(decisions.items()), len(decisions)))
    assert rank(shuffled, decisions, PROTOCOL).order == expected


def test_the_seed_decides_among_equals_only():
    same = [a_record(str(i), "Same words in all") for i in range(1, 30)]
    better = a_record("99", "Interval training of adults")
    orders = [rank([*same, better], {}, PROTOCOL, seed=seed).pmids for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][0] == orders[2][0] == "99"


def test_mesh_alone_can_lift_a_record():
    plain = [a_record(str(i), f"Trial number {i}") for i in range(1, 9)]
    indexed = a_record("9", "Trial number 9", mesh=("High-Intensity Interval Training*", "Humans"))
    ranking = rank([*plain, indexed], {}, PROTOCOL)
    assert ranking.pmids[0] == "9"
    assert "MeSH (weight 0.1, not measured)" in ranking.method


# --- edges ---------------------------------------------------------------------------------------


def test_no_records_give_an_empty_order_with_a_sentence():
    ranking = rank([], {"5": True}, PROTOCOL)
    assert ranking.order == ()
    assert ranking.method == "There are no records to put in order."
    assert ranking.used.elsewhere == 1


@pytest.mark.parametrize("decisions", [{}, {"7": True, "8": False}, {"7": True}])
def test_a_single_record_is_ranked(decisions):
    record = a_record("1", "Interval training", "Serum rose.")
    ranking = rank([record], decisions, PROTOCOL)
    assert ranking.pmids == ("1",)
    assert math.isfinite(ranking.order[0][1])


@pytest.mark.parametrize(("yes", "no"), [(8, 52), (8, 0), (0, 52)])
def test_when_all_is_decided_nothing_is_left_to_read(library, yes, no):
    records = [r for r in library[0] if r.pmid in first(library, yes, no)]
    ranking = rank(records, first(library, yes, no), PROTOCOL)
    assert ranking.order == ()
    assert ranking.method == f"Nothing is left to read: all {yes + no} records are decided."


def test_records_without_words_come_without_a_fault_and_are_not_lost(library):
    records, _ = library
    empty = [a_record("1", ""), a_record("2", "…", " — ")]
    for decisions in ({}, first(library, 2, 0), first(library, 2, 2)):
        ranking = rank([*records, *empty], decisions, PROTOCOL)
        assert {"1", "2"} <= set(ranking.pmids)
        assert all(math.isfinite(score) for _, score in ranking.order)
        assert ranking.reasons("1").up == ranking.reasons("1").down == ()


@pytest.mark.parametrize("decisions", [{}, {"1": True}, {"1": True, "2": False}, {"2": False}])
def test_where_no_record_has_words_the_lot_decides(decisions):
    records = [a_record(str(i), "") for i in range(1, 6)]
    ranking = rank(records, decisions, PROTOCOL)
    assert sorted(ranking.pmids) == sorted({r.pmid for r in records} - set(decisions))
    assert ranking.method == "The records have no words: their order is drawn by lot."


def test_a_protocol_that_shares_no_word_is_owned_up_to():
    records = [a_record("1", "Orchard soil"), a_record("2", "Beetle larvae")]
    ranking = rank(records, {}, "xyzzy")
    assert {score for _, score in ranking.order} == {0.0}
    assert "drawn by lot" in ranking.method


def test_titles_in_other_languages_and_scripts_are_matched_by_their_own_words():
    records = [
        a_record("1", "[Влияние интервальной тренировки на сыворотку]"),
        a_record("2", "[Почва и сад]"),
        a_record("3", "[Влияние тренировки на взрослых]"),
        a_record("4", "高強度間欠的運動の効果"),
        a_record("5", "Étude de l'entraînement"),
    ]
    ranking = rank(records, {"1": True, "2": False}, PROTOCOL)
    assert ranking.pmids[0] == "3"
    assert sorted(ranking.pmids) == ["3", "4", "5"]


def test_decisions_on_records_outside_the_search_are_counted_and_said(library):
    records, _ = library
    ranking = rank(records, first(library, 2, 2) | {"999": True, "Novak2019": False}, PROTOCOL)
    assert ranking.order == rank(records, first(library, 2, 2), PROTOCOL).order
    assert ranking.used.elsewhere == 2
    assert ranking.method.endswith(
        "2 decisions concern records outside this search and could not be used."
    )


def test_a_record_given_twice_is_a_fault_that_names_it():
    records = [a_record("1", "One"), a_record("2", "Two"), a_record("1", "One again")]
    with pytest.raises(InputError) as fault:
        rank(records, {}, PROTOCOL)
    assert str(fault.value) == (
        "a PMID may occur once only, but several records share one\n"
        "  PMID 1\n"
        "try: give each record once"
    )


# --- reasons -------------------------------------------------------------------------------------


def test_reasons_are_words_of_the_record_as_it_writes_them(library):
    records, _ = library
    told = a_record("1", "Sprint cycling by orchards", "Neurotrophins were measured.")
    ranking = rank([*records, told], first(library, 4, 10), PROTOCOL)
    reasons = ranking.reasons("1")
    up, down = ({word for word, _ in side} for side in (reasons.up, reasons.down))
    assert {"sprint", "cycling"} <= up
    assert "orchards" in down
    assert up <= {"sprint", "cycling", "by", "orchards", "neurotrophins", "were", "measured"} | {
        "sprint cycling",
        "cycling by",
        "by orchards",
        "neurotrophins were",
        "were measured",
    }


@pytest.mark.parametrize(("yes", "no"), [(0, 0), (3, 0), (3, 6)])
def test_all_reasons_together_make_the_score(library, yes, no):
    ranking = rank(library[0], first(library, yes, no), PROTOCOL)
    shares = []
    for pmid, _ in ranking.order:
        reasons = ranking.reasons(pmid, count=1000)
        assert all(share > 0 for _, share in reasons.up)
        assert all(share < 0 for _, share in reasons.down)
        shares.append(sum(share for _, share in reasons.up + reasons.down))
    scores = np.array([score for _, score in ranking.order])
    constant = scores - np.array(shares)
    assert constant == approx(np.full(len(scores), constant[0]), abs=1e-12)
    if (yes, no) != (3, 6):
        assert constant[0] == approx(0, abs=1e-12)


def test_reasons_are_told_for_decided_records_too_and_unknown_ones_are_a_fault(library):
    decisions = first(library, 3, 6)
    ranking = rank(library[0], decisions, PROTOCOL)
    assert all(ranking.reasons(pmid).up for pmid, relevant in decisions.items() if relevant)
    with pytest.raises(InputError, match="PMID 5 is not among the records of this order"):
        ranking.reasons("5")


def test_a_ranking_is_frozen(library):
    ranking = rank(library[0], {}, PROTOCOL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ranking.order = ()


# --- figures -------------------------------------------------------------------------------------


def test_figures_of_a_short_order_by_hand():
    # Relevant at places 1, 3 and 10 of 20. n95 = 10; first tenth = 2 records.
    found = np.zeros(20, dtype=bool)
    found[[0, 2, 9]] = True
    wss95, recall10, loss, ndcg = figures(found)
    assert wss95 == approx(1 - 10 / 20 - 0.05)
    assert recall10 == approx(1 / 3)
    curve = [1, 1, 2, 2, 2, 2, 2, 2, 2] + 11 * [3]
    area = sum((a + b) / 2 for a, b in itertools.pairwise(curve))
    best = sum((a + b) / 2 for a, b in zip([1, 2] + 18 * [3], [2] + 18 * [3], strict=False))
    worst = 1.5 + 2.5 + 0.5
    assert loss == approx((best - area) / (best - worst))
    dcg = 1 + 1 / math.log2(4) + 1 / math.log2(11)
    assert ndcg == approx(dcg / (1 + 1 / math.log2(3) + 1 / math.log2(4)))


@given(st.integers(1, 30), st.integers(1, 60))
def test_loss_is_0_for_the_best_order_and_1_for_the_worst(relevant, others):
    best = np.array([True] * relevant + [False] * others)
    assert figures(best)[2:] == approx((0, 1), abs=1e-9)
    assert figures(best[::-1])[2] == approx(1)


def test_recall_is_that_of_a_tenth_rounded_up():
    found = np.zeros(11, dtype=bool)
    found[1] = True
    assert figures(found)[1] == 1


def test_loss_is_undefined_where_every_order_is_the_same():
    assert math.isnan(figures(np.ones(4, dtype=bool))[2])


# --- simulation ----------------------------------------------------------------------------------


def follow(records: list[Record], labels: list[bool], known: dict[str, bool]) -> list[str]:
    """A reader who asks `rank` again after each decision, until all that is relevant is found."""
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    decisions, order = dict(known), []
    while sum(decisions.values()) < sum(labels):
        chosen = rank(records, decisions, PROTOCOL).pmids[0]
        decisions[chosen] = truth[chosen]
        order.append(chosen)
    return order


# (2, 0) passes from similarity to the machine; (0, 0) through all three stages.
@pytest.mark.parametrize("priors", [(1, 1), (2, 0), (0, 0), (0, 2)])
def test_the_fast_loop_reads_in_the_order_that_rank_gives(priors):
    records, labels = a_library(40, 5, overlap=4)
    for r in (0, 1):  # harder: two relevant records that read like the others
        labels[r] = True
    (run,) = simulate(records, labels, PROTOCOL, seeds=(4,), priors=priors).runs
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    order = follow(records, labels, {pmid: truth[pmid] for pmid in run.priors})
    assert len(order) > 7
    assert list(run.order[: run.steps]) == order


def test_the_machine_of_the_loop_is_the_one_of_scikit_learn(library):
    from evidence.triage.simulation import _Screening

    records, labels = library
    relevant = np.array(labels)
    space = features(records, PROTOCOL)
    both = np.vstack([space.protocol.toarray(), space.matrix.toarray()])
    screening = _Screening(both @ both.T, np.random.default_rng(0))
    chosen = [3, 10, 0, 1, 2, 4, 5, 6, 20, 31]
    for i in chosen:
        screening.decide(i, bool(relevant[i]))
    direction, constant = model.fit(space.matrix[chosen], relevant[chosen], space.protocol, seed=0)
    left = screening.index[screening.known :]
    expected = (space.matrix @ direction + constant)[left]
    assert screening._scores() == approx(expected, abs=1e-5)


def test_classes_weigh_as_stated_and_the_mean_weight_is_one():
    included, excluded, protocol = model.sample_weights(4, 40)
    assert 4 * included + 40 * excluded + protocol == approx(44.3)
    assert (4 * included + protocol) / (40 * excluded) == approx(9.8)
    assert protocol == approx(0.3 * included)


def test_priors_are_in_no_figure_and_every_other_record_is_read_once(library):
    records, labels = library
    result = simulate(records, labels, PROTOCOL, seeds=(1, 2), priors=(2, 3))
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    for run in result.runs:
        assert sorted(run.order + run.priors) == sorted(truth)
        assert [truth[pmid] for pmid in run.priors] == [True] * 2 + [False] * 3
        assert truth[run.order[run.steps - 1]]
        found = np.array([truth[pmid] for pmid in run.order])
        assert (run.wss95, run.recall10, run.loss, run.ndcg) == figures(found)
    assert result.mean("wss95") == approx(np.mean([run.wss95 for run in result.runs]))
    assert result.summary().endswith("(mean of 2 runs)")
    assert [row["seed"] for row in result.rows()] == [1, 2]


def test_the_same_seed_gives_the_same_run(library):
    one, two = (simulate(*library, PROTOCOL, seeds=(7,)).runs[0] for _ in range(2))
    assert one.order == two.order
    assert one.priors == two.priors


def test_drawn_priors_have_the_wanted_kinds():
    labels = np.array([True] * 5 + [False] * 5)
    drawn = draw_priors(labels, (2, 3), 11)
    assert labels[drawn].tolist() == [True, True, False, False, False]
    assert len(set(drawn.tolist())) == 5


@pytest.mark.parametrize(
    ("labels", "priors", "says"),
    [
        ([True], (1, 1), "2 records and 1 labels"),
        ([True, False], (1, 1), "1 relevant records of which 1 are known: nothing is left"),
        ([False, False], (0, 0), "0 relevant records of which 0 are known: nothing is left"),
        ([True, True], (1, 1), "1 known exclusions of 0"),
    ],
)
def test_a_simulation_that_cannot_be_played_is_a_fault(labels, priors, says):
    with pytest.raises(InputError, match=says):
        simulate([a_record("1", "One"), a_record("2", "Two")], labels, PROTOCOL, priors=priors)


def test_a_simulation_of_records_without_words_reads_by_lot():
    records = [a_record(str(i), "") for i in range(1, 8)]
    (run,) = simulate(records, [True] * 2 + [False] * 5, "", seeds=(1,)).runs
    assert len(run.order) == 5


@pytest.mark.shared
def test_on_a_real_review_the_order_is_far_better_than_chance(shared: Path):
    data = gzip.decompress((shared / "triage/synergy_Donners_2021.csv.gz").read_bytes())
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
    records = [a_record(r["record_id"], r["title"], r["abstract"]) for r in rows]
    labels = [r["label"] == "1" for r in rows]
    result = simulate(records, labels, "Pharmacokinetics and efficacy of emicizumab in humans")
    assert result.mean("wss95") > 0.5  # chance: 0
    assert result.mean("recall10") > 0.6  # chance: 0.1
    assert result.mean("loss") < 0.1  # chance: 0.5
    ranking = rank(records, {}, "Pharmacokinetics and efficacy of emicizumab in humans")
    assert isinstance(ranking, Ranking)
    assert len(ranking.order) == len(rows)
