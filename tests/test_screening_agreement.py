"""Agreement of reviewers: published examples, other programs' numbers, laws, and the edges."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest import approx
from statsmodels.stats.inter_rater import cohens_kappa

from evidence.errors import InputError
from evidence.model import Place, Screening
from evidence.screening.agreement import (
    agreement,
    cohen_kappa,
    gwet_ac1,
    krippendorff_alpha,
    pabak,
    pair_agreement,
    percent_agreement,
    specific_agreement,
)

# Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed.: two abstractors and 100 pregnancies, as
# the vignette "overview" of the R package irrCAC 1.0 prints it (data set cont3x3abstractors).
ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]

# Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C: four observers and
# twelve units, some missing (0); in irrCAC it is the data set cac.raw4raters.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)

# Three invented reviewers whose sets overlap in part, with 0 where one did not decide. Their alpha
# and AC1 are by irrCAC 0.4.4 (Python), alpha also by krippendorff 0.9.0.
PARTLY = np.array(
    [
        [2, 0, 3, 0, 1, 0, 1, 0, 3, 3, 0, 1, 0, 1, 0, 2, 0, 0, 3, 1, 0, 1, 0, 2, 2, 2, 0, 0, 0, 1],
        [2, 1, 0, 0, 3, 0, 1, 3, 0, 1, 2, 2, 1, 0, 0, 0, 0, 1, 1, 1, 2, 0, 0, 0, 1, 3, 1, 0, 0, 2],
        [3, 1, 1, 2, 1, 2, 0, 2, 2, 1, 3, 2, 0, 3, 0, 0, 1, 0, 3, 3, 0, 0, 2, 0, 3, 2, 0, 0, 3, 3],
    ]
)


def counts_of(ratings: np.ndarray, categories: int) -> np.ndarray:
    return np.stack([(ratings == c).sum(axis=0) for c in range(1, categories + 1)], axis=1)


def test_cohen_s_kappa_reproduces_gwet_s_abstractors() -> None:
    kappa = cohen_kappa(ABSTRACTORS)
    assert kappa.value == approx(0.7964094, abs=5e-8)
    assert kappa.se == approx(0.05891072, abs=5e-9)
    assert str(kappa) == "Cohen's kappa 0.80 (95% CI 0.68 to 0.91)"


# Gwet (2008), Br J Math Stat Psychol 61:29-48, on the paradox of high agreement and low kappa;
# decimals from irrCAC 0.4.4, its large-sample standard errors times sqrt(n / (n - 1)).
def test_ac1_and_pabak_stay_high_where_kappa_falls_below_zero() -> None:
    pair = pair_agreement(("A", "B"), [[118, 5], [2, 0]], ("include", "exclude"))
    assert pair.observed.value == approx(0.944)
    assert pair.kappa.value == approx(-0.02339, abs=5e-6)
    assert pair.ac1.value == approx(0.94078, abs=5e-6)
    assert pair.ac1.se == approx(0.02296 * math.sqrt(125 / 124), abs=1e-5)
    assert pair.pabak.value == approx(0.888)
    assert pair.specific == {"include": approx(236 / 243), "exclude": 0}


def test_three_categories_have_their_own_pabak_and_ac1() -> None:
    pair = pair_agreement(("A", "B"), ABSTRACTORS, ("include", "exclude", "unsure"))
    assert pair.ac1.value == approx(0.84933, abs=5e-6)
    assert pair.ac1.se == approx(0.04322 * math.sqrt(100 / 99), abs=1e-5)
    assert (pair.pabak.value, pair.pabak.se) == (approx(0.835), approx(0.04693, abs=5e-6))


# Krippendorff (2011), section C: alpha = 0.743; irrCAC's vignette: AC1 0.77544, SE 0.14295.
def test_four_observers_with_missing_decisions_are_reproduced() -> None:
    counts = counts_of(OBSERVERS, 5)
    assert krippendorff_alpha(counts).value == approx(0.743, abs=5e-4)
    ac1 = gwet_ac1(counts)
    assert (ac1.value, ac1.se) == (approx(0.77544, abs=5e-6), approx(0.14295, abs=5e-6))
    assert ac1.ci == (approx(0.46081, abs=1e-5), 1.0)


# Krippendorff (2011), section A: two observers, ten units, two categories; alpha = 0.095.
def test_two_observers_and_two_categories_are_reproduced() -> None:
    ratings = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]) + 1
    assert krippendorff_alpha(counts_of(ratings, 2)).value == approx(0.095, abs=5e-4)


def test_sets_that_overlap_in_part_give_what_two_other_programs_give() -> None:
    counts = counts_of(PARTLY, 3)
    assert krippendorff_alpha(counts).value == approx(-0.08303249097472931, rel=1e-12)
    ac1 = gwet_ac1(counts)
    assert (ac1.value, ac1.se) == (approx(-0.0806, abs=5e-6), approx(0.12781, abs=5e-6))


# Cicchetti and Feinstein (1990), J Clin Epidemiol 43:551-558: 2a / (2a + b + c), by hand.
def test_specific_agreement_looks_at_one_category_at_a_time() -> None:
    assert specific_agreement([[80, 10], [5, 5]]) == approx([160 / 175, 10 / 25])
    assert np.isnan(specific_agreement([[5, 0], [0, 0]])[1])


tables = st.integers(2, 4).flatmap(
    lambda q: st.lists(st.lists(st.integers(0, 30), min_size=q, max_size=q), min_size=q, max_size=q)
)


@given(tables)
def test_kappa_is_that_of_statsmodels(table: list[list[int]]) -> None:
    ours = cohen_kappa(table)
    assume(not math.isnan(ours.value))
    theirs = cohens_kappa(np.array(table))
    assert ours.value == approx(theirs.kappa, abs=1e-12)
    assert ours.se == approx(theirs.std_kappa, abs=1e-7)


@given(tables)
def test_exchanging_the_reviewers_or_the_categories_changes_nothing(table: list[list[int]]) -> None:
    turned = np.array(table).T
    mirrored = np.array(table)[::-1, ::-1]
    categories = [str(c) for c in range(len(table))]
    one = pair_agreement(("A", "B"), table, categories)
    for other in (
        pair_agreement(("B", "A"), turned, categories),
        pair_agreement(("A", "B"), mirrored, categories[::-1]),
    ):
        for a, b in zip(one.coefficients, other.coefficients, strict=True):
            assert a.value == approx(b.value, nan_ok=True)
            assert a.se == approx(b.se, nan_ok=True, abs=1e-9)
        assert {c: approx(v, nan_ok=True) for c, v in one.specific.items()} == other.specific


@given(tables)
def test_every_coefficient_lies_within_its_interval_and_below_one(table: list[list[int]]) -> None:
    pair = pair_agreement(("A", "B"), table, [str(c) for c in range(len(table))])
    for c in pair.coefficients:
        if not math.isnan(c.value):
            assert c.value <= 1 + 1e-12
            if not math.isnan(c.ci[0]):
                assert c.ci[0] - 1e-9 <= c.value <= c.ci[1] + 1e-9
                assert c.ci[1] <= 1 + 1e-12


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=12),
    st.permutations([0, 1, 2]),
)
def test_alpha_and_ac1_do_not_depend_on_names_or_on_records_nobody_shares(
    counts: list[list[int]], order: list[int]
) -> None:
    plain = np.array(counts)
    renamed = plain[::-1, order]
    alpha = krippendorff_alpha(plain, resamples=50)
    assert alpha.value == approx(krippendorff_alpha(renamed, resamples=50).value, nan_ok=True)
    assert gwet_ac1(plain).value == approx(gwet_ac1(renamed).value, nan_ok=True)
    alone = np.vstack([plain, [[1, 0, 0]] * 5])
    assert krippendorff_alpha(alone, resamples=50).value == approx(alpha.value, nan_ok=True)
    if not math.isnan(alpha.value):
        assert alpha.value <= 1 + 1e-12


@given(st.integers(1, 60), st.integers(1, 60))
def test_perfect_agreement_is_one_in_every_coefficient(a: int, b: int) -> None:
    pair = pair_agreement(("A", "B"), [[a, 0], [0, b]], ("include", "exclude"))
    assert [c.value for c in pair.coefficients] == approx([1, 1, 1, 1])
    assert krippendorff_alpha([[2, 0]] * a + [[0, 2]] * b, resamples=50).value == approx(1)


def test_where_only_one_category_is_used_kappa_and_alpha_are_not_defined() -> None:
    pair = pair_agreement(("A", "B"), [[9, 0], [0, 0]], ("include", "exclude"))
    assert math.isnan(pair.kappa.value)
    assert str(pair.kappa) == "Cohen's kappa – (not defined)"
    assert (pair.ac1.value, pair.pabak.value, pair.observed.value) == (1, 1, 1)
    alpha = krippendorff_alpha([[2, 0]] * 9)
    assert math.isnan(alpha.value)
    assert alpha.json()["value"] is None


def test_one_record_has_a_value_and_no_interval() -> None:
    ac1, alpha = gwet_ac1([[1, 1]]), krippendorff_alpha([[1, 1]])
    assert (ac1.value, alpha.value) == (approx(-1), approx(0))
    assert all(math.isnan(x) for x in (*ac1.ci, *alpha.ci))
    assert str(ac1) == "Gwet's AC1 -1.00"
    assert cohen_kappa([[0, 1], [0, 0]]).value == approx(0)


def test_no_record_at_all_is_not_defined() -> None:
    for c in (
        cohen_kappa([[0, 0], [0, 0]]),
        pabak([[0, 0], [0, 0]]),
        percent_agreement([[0, 0], [0, 0]]),
        gwet_ac1(np.zeros((0, 2), dtype=int)),
        krippendorff_alpha([[1, 0], [0, 1]]),
    ):
        assert math.isnan(c.value), c.name


def test_the_interval_of_alpha_is_the_same_for_the_same_seed_and_covers_what_it_should() -> None:
    counts = counts_of(OBSERVERS, 5)
    one, two = krippendorff_alpha(counts, seed=3), krippendorff_alpha(counts, seed=3)
    assert one.ci == two.ci
    assert one.ci != krippendorff_alpha(counts, seed=4).ci
    many = krippendorff_alpha(np.tile(counts, (200, 1)))
    assert many.ci[1] - many.ci[0] < 0.1 * (one.ci[1] - one.ci[0])


def test_a_table_that_is_none_is_refused() -> None:
    for wrong in ([[1, 2]], [[1, -1], [0, 0]], [[1, 0.5], [0, 0]], [[3]]):
        with pytest.raises(InputError):
            cohen_kappa(wrong)  # type: ignore[arg-type]


def decision(record: str, reviewer: str, what: str) -> Screening:
    day = dt.date(2026, 3, 1)
    return Screening(record, "full-text", reviewer, what, "", day, Place("s.csv", 2))  # type: ignore[arg-type]


def decisions(**said: str) -> dict[str, dict[str, Screening]]:
    words = {"i": "include", "e": "exclude", "u": "unsure"}
    found: dict[str, dict[str, Screening]] = {}
    for reviewer, letters in said.items():
        for n, letter in enumerate(letters):
            if letter in words:
                record = found.setdefault(str(n), {})
                record[reviewer] = decision(str(n), reviewer, words[letter])
    return found


def test_each_pair_is_compared_on_the_records_that_both_decided_on() -> None:
    found = agreement(decisions(A="iieu.", B="ie.u.", C="....i"), "full-text", resamples=50)
    assert (found.records, found.shared, found.reviewers) == (5, 3, ("A", "B", "C"))
    (pair,) = found.pairs
    assert (pair.reviewers, pair.n, pair.categories) == (
        ("A", "B"),
        3,
        ("include", "exclude", "unsure"),
    )
    assert pair.table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert "A and B, 3 records" in "\n".join(found.lines())


def test_doubt_may_count_as_an_inclusion_or_be_left_out() -> None:
    said = decisions(A="iuee", B="iieu")
    as_include = agreement(said, "full-text", unsure="include", resamples=50)
    assert as_include.pairs[0].table.tolist() == [[2, 0], [1, 1]]
    dropped = agreement(said, "full-text", unsure="drop", resamples=50)
    assert dropped.pairs[0].table.tolist() == [[1, 0], [0, 1]]


def test_without_a_shared_record_there_is_a_sentence_and_no_number() -> None:
    found = agreement(decisions(A="ii..", B="..ee"), "full-text")
    assert found.pairs == ()
    assert found.lines() == ["full-text: no record was decided on by two reviewers"]
    assert math.isnan(found.alpha.value)
    assert agreement({}, "full-text").records == 0
