"""Mantel-Haenszel and Peto against published values, laws of counts, and empty cells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pytest import approx

from meta.binary import mantel_haenszel, peto
from meta.errors import InputError, UnknownName
from tests.reference import binary as published
from tests.reference.counts import judge
from tests.reference.metafor_cases import cases

TRIALS = published.BCG
Counts = dict[str, Any]


@st.composite
def tables(draw: st.DrawFn) -> Counts:
    """Two to six trials with any counts, zeros included."""
    rows = []
    for _ in range(draw(st.integers(2, 6))):
        n1, n2 = draw(st.integers(1, 60)), draw(st.integers(1, 60))
        rows.append((draw(st.integers(0, n1)), n1, draw(st.integers(0, n2)), n2))
    names = ("events_1", "total_1", "events_2", "total_2")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def swapped(counts: Counts) -> Counts:
    return {name[:-1] + ("2" if name[-1] == "1" else "1"): x for name, x in counts.items()}


@pytest.mark.parametrize("measure", published.BCG_MANTEL_HAENSZEL)
def test_the_bcg_trials_are_pooled_as_published(measure: str) -> None:
    found = mantel_haenszel(measure, data=TRIALS, study="study")
    estimate, se, q = published.BCG_MANTEL_HAENSZEL[measure]
    assert (found.estimate, found.se, found.q) == approx((estimate, se, q), rel=1e-12)


@pytest.mark.parametrize("measure", published.STROKES_MANTEL_HAENSZEL)
def test_rates_of_strokes_are_pooled_as_published(measure: str) -> None:
    found = mantel_haenszel(measure, **published.STROKES)
    want = published.STROKES_MANTEL_HAENSZEL[measure]
    assert (found.estimate, found.se, found.q) == approx(want, rel=1e-12)


def test_the_chi_squared_tests_of_the_bcg_trials_are_as_published() -> None:
    found = mantel_haenszel("OR", data=TRIALS, study="study")
    assert found.association is not None
    assert found.homogeneity is not None
    assert found.association.statistic == approx(published.BCG_ASSOCIATION, rel=1e-12)
    assert found.homogeneity.statistic == approx(published.BCG_HOMOGENEITY, rel=1e-12)


def test_peto_pools_the_bcg_trials_as_published() -> None:
    found = peto(data=TRIALS, study="study")
    assert (found.estimate, found.se, found.q) == approx(published.BCG_PETO, rel=1e-12)


def test_a_result_prints_lines_to_paste() -> None:
    found = mantel_haenszel("OR", data=TRIALS, study="study")
    assert found.summary() == "Odds ratio 0.62 (95% CI 0.57 to 0.68), 13 studies, Mantel-Haenszel"
    assert found.heterogeneity() == (
        "Q = 163.94 (df = 12), p < 0.001; I² = 93%; Breslow-Day-Tarone χ² = 171.76 (df = 12), "
        "p < 0.001"
    )
    rows = found.rows()
    assert [rows[0]["study"], rows[-1]["study"]] == ["Aronson 1948", "pooled"]
    assert sum(row["weight"] for row in rows[:-1]) == approx(1)


@given(tables())
def test_swapping_the_arms_turns_ratios_and_differences_round(counts: Counts) -> None:
    for measure in ("OR", "RR", "RD"):
        there, back = (
            mantel_haenszel(measure, **counts),
            mantel_haenszel(measure, **swapped(counts)),
        )
        assert back.estimate == approx(-there.estimate, nan_ok=True, abs=1e-12)
        assert back.se == approx(there.se, nan_ok=True)
    assert peto(**swapped(counts)).estimate == approx(-peto(**counts).estimate, nan_ok=True)


@given(tables())
def test_the_odds_ratio_of_no_event_is_the_inverse_of_that_of_the_event(counts: Counts) -> None:
    other = counts | {
        f"events_{arm}": [
            n - x for x, n in zip(counts[f"events_{arm}"], counts[f"total_{arm}"], strict=True)
        ]
        for arm in (1, 2)
    }
    there, back = mantel_haenszel("OR", **counts), mantel_haenszel("OR", **other)
    assert back.estimate == approx(-there.estimate, nan_ok=True, abs=1e-12)
    assert back.se == approx(there.se, nan_ok=True)


@given(tables(), st.integers(1, 40), st.integers(1, 40))
def test_studies_without_events_change_no_ratio(counts: Counts, n1: int, n2: int) -> None:
    empty = {"events_1": 0, "total_1": n1, "events_2": 0, "total_2": n2}
    more = {name: [*column, empty[name]] for name, column in counts.items()}
    for measure in ("OR", "RR"):
        assert mantel_haenszel(measure, **more).estimate == approx(
            mantel_haenszel(measure, **counts).estimate, nan_ok=True
        )
    assert peto(**more).estimate == approx(peto(**counts).estimate, nan_ok=True)


@given(tables())
def test_one_table_split_in_two_equal_halves_has_the_same_risk_ratio(counts: Counts) -> None:
    twice = {name: [x for x in column for _ in (0, 1)] for name, column in counts.items()}
    double = {name: [2 * x for x in column] for name, column in counts.items()}
    for measure in ("RR", "RD"):
        one, two = mantel_haenszel(measure, **double), mantel_haenszel(measure, **twice)
        assert two.estimate == approx(one.estimate, nan_ok=True, abs=1e-14)


@given(tables())
def test_homogeneity_adds_up_at_the_pooled_ratio(counts: Counts) -> None:
    found = mantel_haenszel("OR", **counts)
    assert found.homogeneity is not None
    assume(found.homogeneity.df >= 1 and not math.isnan(found.estimate))
    assert found.homogeneity.statistic >= -1e-9
    assert 0 <= found.homogeneity.p <= 1


def test_a_study_alone_is_its_own_odds_ratio() -> None:
    found = mantel_haenszel("OR", events_1=[10], total_1=[50], events_2=[5], total_2=[60])
    assert found.estimate == approx(math.log(10 * 55 / (40 * 5)))
    assert found.se == approx(math.sqrt(1 / 10 + 1 / 40 + 1 / 5 + 1 / 55))
    assert (found.q_df, found.q_p, found.i2) == (0, 1.0, 0.0)
    assert found.summary().endswith("1 study, Mantel-Haenszel")


# metafor 3.8-1: rma.mh(ai=0, bi=20, ci=5, di=17) has QE = 0 for RD.
@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_one_study_has_no_heterogeneity_though_its_row_is_corrected(measure: str) -> None:
    cells = {"events_1": [0], "total_1": [20], "events_2": [5], "total_2": [22]}
    found = mantel_haenszel(measure, **cells)
    assert (found.q, found.q_p, found.i2) == (0.0, 1.0, 0.0)
    assert peto(**cells).i2 == 0.0


def test_the_correction_is_named_and_touches_only_the_rows() -> None:
    counts = {"total_1": [20, 20], "events_2": [2, 4], "total_2": [20, 20]}
    plain = mantel_haenszel("OR", events_1=[0, 3], **counts, study=["Arno", "Bode"])
    other = mantel_haenszel("OR", events_1=[0, 3], add=0.1, **counts, study=["Arno", "Bode"])
    assert plain.estimate == other.estimate
    assert plain.q != other.q
    assert any("0.5 added" in note and "Arno" in note for note in plain.notes)


def test_a_study_without_events_is_shown_as_undefined_and_named() -> None:
    counts = {"total_1": [20, 20], "events_2": [0, 4], "total_2": [20, 20]}
    found = mantel_haenszel("OR", events_1=[0, 3], **counts, study=["Arno", "Bode"])
    assert math.isnan(found.effects.yi[0])
    assert found.weights == approx([0, 1])
    assert any("undefined for Arno" in note for note in found.notes)


@pytest.mark.parametrize("events", [([0, 0], [0, 0]), ([0, 0], [2, 3]), ([2, 3], [0, 0])])
def test_an_undefined_ratio_is_nan_with_a_note(events: tuple[list[int], list[int]]) -> None:
    counts = {"events_1": events[0], "total_1": [9, 9], "events_2": events[1], "total_2": [9, 8]}
    for measure in ("OR", "RR"):
        found = mantel_haenszel(measure, **counts)
        assert math.isnan(found.estimate)
        assert math.isnan(found.p)
        assert any("undefined" in note for note in found.notes)
    difference = mantel_haenszel("RD", **counts)
    assert math.isfinite(difference.estimate)


def test_peto_without_any_event_is_undefined() -> None:
    found = peto(events_1=[0, 0], total_1=[9, 9], events_2=[0, 0], total_2=[9, 8])
    assert math.isnan(found.estimate)
    assert "–" in found.summary()


def test_the_correction_of_the_association_can_be_turned_off() -> None:
    with_half = mantel_haenszel("OR", data=TRIALS)
    without = mantel_haenszel("OR", data=TRIALS, correct=False)
    assert with_half.association is not None
    assert without.association is not None
    assert without.association.statistic > with_half.association.statistic
    assert "0.5" in with_half.association.name


def test_faults_name_the_measure_and_the_study() -> None:
    with pytest.raises(UnknownName, match="Mantel-Haenszel 'SMD'"):
        mantel_haenszel("SMD", data=TRIALS)
    with pytest.raises(InputError, match="Bode"):
        mantel_haenszel(
            "OR",
            events_1=[1, 30],
            total_1=[20, 20],
            events_2=[2, 4],
            total_2=[20, 20],
            study=["Arno", "Bode"],
        )


@pytest.mark.shared
@pytest.mark.parametrize("function", ["rma.mh", "rma.peto"])
def test_every_reference_case_agrees(shared: Path, function: str) -> None:
    found = cases(shared / "reference/metafor_dev.json.gz", function=function)
    assert found
    assert [(c.id, judge(c)) for c in found if judge(c) != ("passed", "")] == []


def test_large_counts_do_not_overflow() -> None:
    big = 10**9
    found = mantel_haenszel(
        "OR", events_1=[big, 3], total_1=[2 * big, 10], events_2=[big, 4], total_2=[3 * big, 9]
    )
    assert np.isfinite([found.estimate, found.se, found.q]).all()
