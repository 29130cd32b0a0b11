"""Stems, vectors, reading order and reasons of triage; all records are invented."""

from __future__ import annotations

import dataclasses
import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.claim_files import read_claim
from evidence.errors import InputError, UnknownName
from evidence.model import Cited, Record
from evidence.triage import rank
from evidence.triage.features import features, grams
from evidence.triage.protocols import asked, structured
from evidence.triage.stem import stem
from evidence.triage.views import MESH, OPTIONAL, VIEWS, chosen, citations, described
from tests.triage_rows import PROTOCOL, a_library, a_record, first

approx = pytest.approx


@pytest.fixture(scope="module")
def library() -> tuple[list[Record], list[bool]]:
    return a_library()


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


def dense(space) -> np.ndarray:
    return space.matrix.toarray()


def test_term_weights_follow_bm25_by_hand():
    # "rat" stands in three records of four, "mice" and "rat mice" in two; the mean has 2 terms.
    records = [
        a_record("1", "rat"),
        a_record("2", "rat mice"),
        a_record("3", "rat mice"),
        a_record("4", "owl"),
    ]
    space = features(records, "", views=VIEWS[:1])
    (rat,), (mice,), (pair,) = (space.columns(term) for term in ("rat", "mice", "rat mice"))
    k1, b, long = 1.2, 0.75, 3 / 2
    tf = (k1 + 1) / (1 + k1 * (1 - b + b * long))
    often, seldom = math.log(5 / 4) + 1, math.log(5 / 3) + 1
    row = tf * np.array([often, seldom, seldom])
    row /= np.sqrt((row**2).sum())
    assert dense(space)[1, [rat, mice, pair]] == approx(row)
    assert dense(space)[0, rat] == approx(1)


def test_words_of_a_plain_view_count_as_often_as_they_stand_there():
    records = [a_record("1", "rat rat rat mice"), a_record("2", "rat mice"), a_record("3", "owl")]
    space = features(records, "", views=[dataclasses.replace(VIEWS[1], weight=1.0)])
    (rat,), (mice,) = space.columns("rat"), space.columns("mice")
    # Both words are in two records, so that their idf is the same.
    assert dense(space)[0, rat] / dense(space)[0, mice] == approx(3)


def test_a_word_of_one_record_alone_has_no_column_but_counts_in_its_length():
    records = [a_record("1", "rat mice"), a_record("2", "rat owl"), a_record("3", "elk")]
    space = features(records, "", views=VIEWS[:1])
    assert space.matrix.shape == (3, 1)  # "rat"
    assert space.columns("owl") == (None,)
    assert space.own == approx([1, 1, 1])
    assert dense(space)[0, 0] == approx(dense(space)[1, 0])
    assert 0 < dense(space)[0, 0] < 1


def test_each_view_adds_its_weight_to_the_similarity_of_a_record_with_itself():
    record = a_record("1", "Sprint training", "Serum rose.", ("Exercise/physiology", "Humans"))
    bare = a_record("2", "Sprint training")
    space = features([record, bare], PROTOCOL, views=(*VIEWS, MESH))
    assert space.own == approx([1.2, 1.1])  # the second has no MeSH


@given(st.lists(st.text(alphabet="abc xyz", max_size=30), max_size=6), st.text("abc x", max_size=9))
def test_vectors_have_the_inner_products_of_all_terms_written_out(titles, protocol):
    """Against a plain computation over dictionaries, terms of one record alone included."""
    records = [a_record(str(i), title) for i, title in enumerate(titles, start=1)]
    space = features(records, protocol, views=VIEWS[:1])
    lists = [grams([title, ""]) for title in titles]
    known = sorted({term for terms in lists for term in terms})
    filled = [len(terms) for terms in lists if terms]
    rows = []
    for terms in [*lists, [t for t in grams([protocol]) if t in known]]:
        row = np.zeros(len(known))
        for i, term in enumerate(known):
            tf = terms.count(term)
            df = sum(term in other for other in lists)
            long = len(terms) / (sum(filled) / len(filled))
            idf = math.log((1 + len(titles)) / (1 + df)) + 1
            row[i] = tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * long)) * idf if tf else 0.0
        rows.append(row / (np.sqrt((row**2).sum()) or 1.0))
    expected = np.array(rows) @ np.array(rows).T if rows[0].size else np.zeros((len(rows),) * 2)
    both = np.vstack([space.matrix.toarray(), space.protocol.toarray()])
    found = both @ both.T
    found[np.diag_indices(len(titles))] = space.own
    assert found == approx(expected, abs=1e-12)


def test_words_of_the_protocol_alone_get_no_column():
    space = features([a_record("1", "Orchard soil")], "Interval training in the orchard")
    assert space.matrix.shape == (1, 2)  # "orchard" in both views; "soil" is in one record alone
    assert space.protocol.nnz == 2


def test_the_views_of_pubmed_alone_are_off_and_not_measured():
    assert all(view.measured for view in VIEWS)
    assert not any(view.measured for view in (*OPTIONAL, citations()))
    assert not {view.name for view in OPTIONAL} & {view.name for view in VIEWS}


def test_views_are_switched_on_by_name_and_an_unknown_one_is_a_fault():
    assert chosen([]) == VIEWS
    names = [view.name for view in chosen(["MeSH", "citation links", "MeSH"])]
    assert names == ["title and abstract", "title", "MeSH", "citation links"]
    assert chosen(["mesh", "Publication-Types", "citation_links"]) != VIEWS
    with pytest.raises(UnknownName, match="there is no view 'mash'"):
        chosen(["mash"])


def test_a_weight_switches_a_view_on_off_or_to_another_share():
    views = chosen(["MeSH=0.3", "title=0"])
    assert [(v.name, v.weight) for v in views] == [("title and abstract", 1.0), ("MeSH", 0.3)]
    assert chosen(["MeSH=0.3", "mesh = 0"]) == VIEWS  # the later one holds
    assert chosen(["title=0.1"]) == VIEWS
    assert [(v.name, v.measured) for v in chosen(["title=0.2"])][1] == ("title", False)
    (only,) = chosen(["title and abstract=0"])
    assert only == VIEWS[1]


@pytest.mark.parametrize("wrong", ["MeSH=", "MeSH=much", "MeSH=-1", "MeSH=nan", "MeSH=inf"])
def test_a_weight_that_is_none_is_a_fault_that_says_how_to_write_it(wrong):
    with pytest.raises(InputError, match="is no weight of the view 'MeSH'") as fault:
        chosen([wrong])
    assert "MeSH=0.1" in str(fault.value)


def test_without_any_view_there_is_no_order():
    with pytest.raises(InputError, match="every view is switched off"):
        chosen(["title=0", "title and abstract=0"])


def test_every_view_is_described_and_only_the_standing_ones_are_on_and_measured():
    for one in described():
        assert one.on == one.view.measured == (one.view in VIEWS)
        assert one.found.startswith("measured" if one.on else "not measured")


def test_a_publication_type_is_one_term_and_not_its_words():
    records = [
        dataclasses.replace(a_record(str(i), ""), kinds=kinds)
        for i, kinds in enumerate([("Clinical Trial",), ("Clinical Trial",), ("Clinical Study",)])
    ]
    like = dense(features(records, "", views=[OPTIONAL[1]]))
    assert like @ like.T == approx(np.array([[0.1, 0.1, 0], [0.1, 0.1, 0], [0, 0, 0]]))


def test_records_are_alike_where_one_cites_the_other_or_both_cite_a_third():
    # 1 cites 2; 3 and 4 cite the unretrieved 99; 5 has no link.
    records = [
        dataclasses.replace(a_record(pmid, ""), references=tuple(Cited(pmid=c) for c in cites))
        for pmid, cites in (("1", ["2"]), ("2", []), ("3", ["99"]), ("4", []), ("5", []))
    ]
    view = citations({"2": ["1"], "4": {"99"}})
    row = dense(features(records, "", views=[view]))
    like = row @ row.T
    assert like[0, 1] > 0
    assert like[2, 3] > 0
    assert like[0, 2] == like[1, 3] == 0
    assert not like[4].any()


def test_a_protocol_may_speak_to_each_view_apart():
    records = [
        dataclasses.replace(a_record(str(i), "Sprint"), kinds=(kind,), mesh=("Exercise",))
        for i, kind in enumerate(["Review", "Review", "Clinical Trial", "Clinical Trial"])
    ]
    views = chosen(["publication types", "MeSH"])
    said = {"": ("sprint",), "publication types": ("Clinical Trial",), "MeSH": ("Exercise",)}
    assert rank(records, {}, said, views=views).pmids[:2] in (("2", "3"), ("3", "2"))
    plain = dict(rank(records, {}, "sprint", views=views).order)
    assert len(set(plain.values())) == 1  # words alone say nothing of types


def test_headings_and_types_of_a_strategy_speak_to_their_views(root):
    claim = read_claim(root / "queries/hiit-bdnf.toml")
    said = structured(claim)
    assert said[""] == (claim.protocol_text(),)
    assert "Brain-Derived Neurotrophic Factor" in said["MeSH"]
    hippocampus = structured(read_claim(root / "queries/aerobic-hippocampus.toml"))
    assert "Hippocampus" in hippocampus["MeSH"]
    assert not {"animals", "humans"} & {h.casefold() for h in hippocampus["MeSH"]}  # taken away
    query = "(Running[mh] OR jogging[tiab]) AND clinical trial[pt] NOT (Dogs[mh] OR letter[pt])"
    work = types.SimpleNamespace
    claim = work(
        search=work(query=lambda: query, known=(work(pmid="7"), work(pmid="8"))),
        protocol_text=lambda: "Running",
        rests_on=(work(pmid="8"), work(pmid=None)),
    )
    assert structured(claim) == {
        "": ("Running",),
        "MeSH": ("Running",),
        "publication types": ("clinical trial",),
        "citation links": ("8", "7"),
    }
    assert asked(said, MESH) == said["MeSH"]
    assert asked(said, VIEWS[0]) == said[""]
    assert asked("words", MESH) == ("words",)


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
        a_record("1", "sprint serum sprint"),
        a_record("2", "sprint soil"),
        a_record("3", "soil sprint"),
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


def test_mesh_switched_on_can_lift_a_record_alone():
    plain = [a_record(str(i), f"Trial number {i}") for i in range(1, 9)]
    indexed = a_record("9", "Trial number 9", mesh=("High-Intensity Interval Training*", "Humans"))
    ranking = rank([*plain, indexed], {}, PROTOCOL, views=chosen(["MeSH"]))
    assert ranking.pmids[0] == "9"
    assert "MeSH (weight 0.1, not measured)" in ranking.method
    assert "MeSH" not in rank([*plain, indexed], {}, PROTOCOL).method


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
    assert constant == approx(np.full(len(scores), constant[0]), abs=2e-9)
    if (yes, no) != (3, 6):
        assert constant[0] == approx(0, abs=2e-9)


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
