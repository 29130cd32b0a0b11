"""Extraction checks: what each finds, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evidence.checks import CHECKS, LEVELS, Finding, run
from evidence.claims import Analysis, Claim, Plan
from evidence.model import EffectRow, Place, PublishedResult, Screening, Study
from tests.rows import a_row, a_study, an_extraction

CLAIM = Claim.model_construct(
    id="a-claim",
    plan=Plan.model_construct(analyses=(Analysis.model_construct(id="an-analysis"),)),
)

TWO_MEANS: dict[str, Any] = {
    "route": "post_means",
    "name_1": "training",
    "n_1": 9,
    "mean_post_1": 21.9,
    "sd_post_1": 3.3,
    "name_2": "control",
    "n_2": 8,
    "mean_post_2": 19.2,
    "sd_post_2": 2.8,
    "dispersion": "SD",
    "direction": "positive",
}
BEFORE_AFTER: dict[str, Any] = {
    "route": "pre_post",
    "name_1": "training",
    "n_1": 16,
    "mean_pre_1": 20.0,
    "sd_pre_1": 6.0,
    "mean_post_1": 23.0,
    "sd_post_1": 6.5,
    "dispersion": "SD",
    "direction": "positive",
}


def found(
    key: str,
    *rows: EffectRow,
    studies: Sequence[Study] | None = None,
    published: Sequence[PublishedResult] = (),
) -> list[Finding]:
    """What one check says of rows that are otherwise sound."""
    extraction = an_extraction(rows, studies, published)
    return [f for f in run(CLAIM, extraction) if f.check == key]


def only(key: str, *rows: EffectRow, **more: Any) -> Finding:
    (finding,) = found(key, *rows, **more)
    return finding


def test_sound_rows_give_no_finding() -> None:
    rows = [a_row(**TWO_MEANS), a_row("Novak2019_2", 3, study_id="Novak2020", **BEFORE_AFTER)]
    assert run(CLAIM, an_extraction(rows)) == ()


def test_a_finding_says_where_what_and_what_next() -> None:
    finding = only("large effect", a_row(**{**TWO_MEANS, "mean_post_1": 29.0}))
    assert str(finding) == (
        "extracted/a-claim/effects.csv:2  error: Novak2019_1: "
        "g = 3.02 is above 3 standard deviations"
    )
    assert "context" in finding.remedy
    assert finding.as_json()["at"] == "extracted/a-claim/effects.csv:2"


def test_errors_come_first_then_by_line() -> None:
    rows = [
        a_row("Novak2019_1", 2, **{**TWO_MEANS, "mean_post_1": 24.5}),
        a_row("Novak2019_2", 3, study_id="B", **{**TWO_MEANS, "direction": "negative"}),
        a_row("Novak2019_3", 4, study_id="C", **{**TWO_MEANS, "mean_post_1": 24.6}),
    ]
    levels = [(f.level, f.at.line) for f in run(CLAIM, an_extraction(rows))]
    assert levels == [("error", 3), ("warning", 2), ("warning", 4)]


def test_a_context_row_is_a_level_lower() -> None:
    row = a_row(role="context", **{**TWO_MEANS, "direction": "negative"})
    assert only("sign", row).level == "warning"
    assert LEVELS == ("error", "warning", "note")


# An SE of 3 in 16 people is an SD of 12. With p = 0.003 from a change of 12, only the SE reading
# fits: t = 12 / 3 = 4, p = 0.001; as an SD it would be t = 16.
def test_an_se_entered_as_an_sd_is_found_by_the_printed_p() -> None:
    row = a_row(
        route="one_arm_change",
        n_1=16,
        mean_change_1=12.0,
        sd_change_1=3.0,
        dispersion="SD",
        p=0.001,
        p_text="0.001",
        direction="positive",
        reported_significant="yes",
    )
    finding = only("SE as SD, by test", row)
    assert finding.level == "error"
    assert "read as SEs p = 0.0012: only SEs fit" in finding.message


def test_ses_of_two_groups_are_found_by_a_printed_bound() -> None:
    as_ses = {"sd_post_1": 3.3 / 3, "sd_post_2": 2.8 / math.sqrt(8)}
    row = a_row(**{**TWO_MEANS, **as_ses, "p_text": "ns", "reported_significant": "no"})
    assert only("SE as SD, by test", row).level == "error"
    assert not found("SE as SD, by test", a_row(**TWO_MEANS, p_text="ns"))


def test_where_neither_reading_fits_it_is_only_a_note() -> None:
    finding = only("SE as SD, by test", a_row(**TWO_MEANS, p_text="<0.001"))
    assert finding.level == "note"
    assert "neither fits" in finding.message


def test_a_correct_p_is_left_alone() -> None:
    assert not found("SE as SD, by test", a_row(**TWO_MEANS, p=0.091, p_text="0.09"))


def others(cv: float = 0.3) -> list[EffectRow]:
    """Seven studies whose SDs are about that share of their means."""
    return [
        a_row(
            f"Other_{i}",
            10 + i,
            study_id=f"Other{i}",
            **{**BEFORE_AFTER, "sd_pre_1": 20 * cv * (1 + 0.1 * (i - 3))}
            | {"sd_post_1": 23 * cv * (1 + 0.1 * (i - 3))},
        )
        for i in range(7)
    ]


def test_a_small_sd_among_larger_ones_looks_like_an_se() -> None:
    row = a_row(**{**BEFORE_AFTER, "sd_pre_1": 1.5, "sd_post_1": 1.6})
    finding = only("SE as SD, by spread", row, *others())
    assert (finding.level, finding.subject) == ("warning", "Novak2019_1")
    assert "sd_pre_1 is 8% of its mean, usually 30%" in finding.message


def test_a_small_sd_is_only_a_note_where_the_printed_p_fits_no_se() -> None:
    small = {"sd_post_1": 1.65, "sd_post_2": 1.4, "p": 0.003, "p_text": "0.003"}
    row = a_row(**{**TWO_MEANS, **small}, reported_significant="yes")
    finding = only("SE as SD, by spread", row, *others())
    assert finding.level == "note"
    assert "fits only SDs" in finding.message


def test_spread_needs_six_other_arms_and_does_not_count_its_own_study() -> None:
    row = a_row(**{**BEFORE_AFTER, "sd_pre_1": 1.5, "sd_post_1": 1.6})
    assert not found("SE as SD, by spread", row, *others()[:2])
    same = [a_row(f"Same_{i}", 20 + i, **BEFORE_AFTER) for i in range(7)]
    assert not found("SE as SD, by spread", row, *same)


def test_sds_before_and_after_that_differ_more_than_twofold() -> None:
    finding = only("SD ratio", a_row(**{**BEFORE_AFTER, "sd_post_1": 1.5}))
    assert finding.message == "sd_pre_1 = 6 and sd_post_1 = 1.5 differ 4.0-fold"
    arms = {**TWO_MEANS, "sd_post_1": 9.0}
    assert "sd_post_2" in only("SD ratio", a_row(**arms)).message
    assert not found("SD ratio", a_row(**{**arms, "dispersion": "IQR"}))


@pytest.mark.parametrize(("mean", "level"), [(21.9, None), (24.5, "warning"), (30.0, "error")])
def test_effects_above_one_and_a_half_and_three(mean: float, level: str | None) -> None:
    levels = [f.level for f in found("large effect", a_row(**{**TWO_MEANS, "mean_post_1": mean}))]
    assert levels == ([level] if level else [])


def test_a_large_change_is_seen_even_without_n() -> None:
    row = a_row(role="context", **{**BEFORE_AFTER, "n_1": None, "mean_post_1": 40.0})
    finding = only("large effect", row)
    assert (finding.level, finding.message) == (
        "warning",
        "change over SD before = 3.33 is above 3 standard deviations",
    )


def test_a_correlation_is_never_a_large_effect() -> None:
    row = a_row(route="correlation", n_1=20, statistic=0.99, direction="positive")
    assert not found("large effect", row)


def test_a_direction_that_the_numbers_contradict() -> None:
    finding = only("sign", a_row(**{**TWO_MEANS, "direction": "negative"}))
    assert finding.level == "error"
    assert finding.message == "direction is negative, while the difference after is 2.7"
    assert only("sign", a_row(**{**TWO_MEANS, "direction": "unknown"})).level == "note"
    four = {**BEFORE_AFTER, "route": "pre_post_control", "name_2": "control", "n_2": 16}
    less = {"mean_pre_2": 20.0, "sd_pre_2": 6.0, "mean_post_2": 25.0}
    assert only("sign", a_row(**four, **less)).level == "error"
    r = a_row(route="correlation", n_1=20, statistic=-0.4, direction="positive")
    assert "correlation is -0.4" in only("sign", r).message


def test_an_exact_p_against_what_is_said_of_significance() -> None:
    said = a_row(p=0.03, p_text="0.03", reported_significant="no")
    assert only("significance", said).level == "warning"
    assert not found("significance", a_row(p=0.03, reported_significant="yes"))
    assert not found("significance", a_row(p=0.03, reported_significant="unknown"))


def an_interval(**fields: Any) -> EffectRow:
    known = {"route": "one_arm_ci", "n_1": 13, "direction": "positive", "dispersion": "CI"}
    return a_row(**{**known, **fields})


def test_intervals_hold_their_estimate_near_the_middle() -> None:
    sound = {"mean_change_1": 22.0, "ci_low_1": 2.6, "ci_high_1": 41.5}
    assert not found("interval", an_interval(**sound))
    outside = only("interval", an_interval(**{**sound, "mean_change_1": 52.0}))
    assert (outside.level, outside.message) == (
        "error",
        "the estimate lies outside its interval: 52 (2.6 to 41.5)",
    )
    aside = only("interval", an_interval(**{**sound, "mean_change_1": 30.0}))
    assert aside.level == "warning"
    published = PublishedResult(
        *(
            "P1",
            "Novak 2020",
            None,
            None,
            "training",
            "",
            "",
            "OR",
            5.0,
            "",
            1.1,
            4.0,
            None,
            "",
            "",
        ),
        *("https://example.org/b", "abstract", False, Place("extracted/a-claim/published.csv", 2)),
    )
    assert only("interval", published=[published]).subject == "P1"


def test_more_people_in_a_row_than_in_its_study() -> None:
    row = a_row(**TWO_MEANS)
    finding = only("people", row, studies=[a_study(n_total=16)])
    assert finding.message == "17 people in the row, 16 in the study"
    assert not found("people", row, studies=[a_study(n_total=17)])
    crossover = a_study(n_total=12, design="crossover")
    both = a_row(n_1=12, n_2=12)
    assert not found("people", both, studies=[crossover])


def test_degrees_of_freedom_that_do_not_fit_two_groups() -> None:
    row = a_row(route="two_arm_f", n_1=14, n_2=14, statistic=6.88, df=17.0, direction="positive")
    assert only("people", row).message == "df = 17, while two groups of 14 and 14 have 26"


# r = 0.47 with p = 0.0057 belongs to 33 observations; 12 people would give p = 0.12.
def test_a_printed_p_that_the_printed_r_does_not_give() -> None:
    row = a_row(
        route="correlation",
        n_1=12,
        statistic=0.47,
        p=0.0057,
        p_text="0.0057",
        direction="positive",
        reported_significant="yes",
    )
    finding = only("test statistic", row)
    assert finding.message == (
        "printed p = 0.0057, recomputed p = 0.12; the printed p fits n of about 33"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"route": "correlation", "n_1": 15, "statistic": 0.57, "p_text": "<0.05"},
        {"route": "two_arm_f", "n_1": 14, "n_2": 14, "statistic": 6.88, "p_text": "<0.014"},
        {"route": "change_t", "n_1": 54, "n_2": 48, "statistic": 2.245, "p": 0.027},
        {"route": "one_arm_t", "n_1": 13, "statistic": 2.46, "p": 0.03},
        {"route": "correlation", "n_1": 15, "statistic": 0.57},
    ],
)
def test_a_printed_p_that_fits_is_left_alone(fields: dict[str, Any]) -> None:
    assert not found("test statistic", a_row(direction="positive", **fields))


def test_an_f_whose_p_is_not_the_printed_one() -> None:
    row = a_row(
        route="change_f", n_1=18, n_2=12, statistic=7.52, p_text=">0.05", direction="positive"
    )
    assert "recomputed p = 0.01" in only("test statistic", row).message


def test_sds_that_no_correlation_allows() -> None:
    three = {**BEFORE_AFTER, "sd_change_1": 20.0, "mean_change_1": 3.0}
    finding = only("implied correlation", a_row(**three))
    assert finding.level == "error"
    assert "correlation of -4.12, which cannot be" in finding.message
    assert only("implied correlation", a_row(**{**three, "sd_change_1": 10.0})).level == "warning"
    usual = only("implied correlation", a_row(**{**three, "sd_change_1": 4.0}))
    assert usual.level == "note"
    assert "of 0.80" in usual.message
    quartiles = only("implied correlation", a_row(**{**three, "dispersion": "IQR"}))
    assert quartiles.level == "warning"


# Means 14900 and 15900, SDs 5000 and 5600, n = 33 and p = 0.17 imply r = 0.71.
def test_an_exact_paired_p_tells_the_correlation() -> None:
    row = a_row(
        route="one_arm_p",
        n_1=33,
        mean_pre_1=14900.0,
        sd_pre_1=5000.0,
        mean_post_1=15900.0,
        sd_post_1=5600.0,
        dispersion="SD",
        p=0.17,
        p_text="0.17",
        direction="positive",
    )
    assert only("implied correlation", row).message == (
        "the SDs, n and p of arm 1 imply a pre-post correlation of 0.71"
    )


def test_values_that_cannot_be_normal() -> None:
    row = a_row(**{**BEFORE_AFTER, "sd_pre_1": 25.0, "sd_post_1": 26.0})
    assert only("skew", row).message == (
        "sd_pre_1 and sd_post_1 above the mean: the values are skewed"
    )


def test_a_mean_in_another_unit() -> None:
    row = a_row(**{**BEFORE_AFTER, "units": "pg/mL"})
    sound = [
        a_row(f"Other_{i}", 10 + i, study_id=f"O{i}", **BEFORE_AFTER, units="ng/mL")
        for i in range(6)
    ]
    finding = only("unit", row, *sound)
    assert (finding.subject, finding.level) == ("Novak2019_1", "warning")
    assert "10^-3.0 times" in finding.message
    assert not found("unit", row, *sound[:4])


@pytest.mark.parametrize(
    ("column", "value"),
    [("pmid", "12345678"), ("doi", "10.1000/x"), ("pmcid", "PMC12"), ("registry", "NCT00000001")],
)
def test_two_studies_with_one_identifier(column: str, value: str) -> None:
    pair = [a_study("A", 2, **{column: value}), a_study("B", 3, **{column: value.lower()})]
    finding = only("duplicates", studies=pair)
    assert (finding.subject, finding.level) == ("B", "warning")
    assert finding.message == f"has the {column} of A ({value.casefold()})"
    named = [pair[0], a_study("B", 3, **{column: value}, same_as="A")]
    assert not found("duplicates", studies=named)


def test_two_studies_of_one_author_and_year_are_worth_a_look() -> None:
    pair = [a_study(i, n, first_author="Novák", year=2019) for n, i in enumerate("AB", start=2)]
    assert only("same author", studies=pair).level == "note"
    assert not found(
        "same author", studies=[pair[0], a_study("B", first_author="Novák", year=2020)]
    )


def test_primary_rows_that_share_people() -> None:
    one = a_row("N_1", 2, **TWO_MEANS, dependent_with=("N_2",))
    two = a_row("N_2", 3, **TWO_MEANS, dependent_with=("N_1",))
    finding = only("dependence", one, two)
    assert (finding.level, finding.subject) == ("error", "N_2")
    undeclared = only("dependence", a_row("N_1", 2, **TWO_MEANS), a_row("N_2", 3, **TWO_MEANS))
    assert undeclared.level == "warning"
    aside = a_row("N_2", 3, **TWO_MEANS, role="sensitivity", dependent_with=("N_1",))
    assert not found("dependence", one, aside)
    elsewhere = a_row("N_2", 3, **TWO_MEANS, analysis="another", dependent_with=("N_1",))
    assert not found("dependence", one, elsewhere)
    directions = [a_row(i, n, dependent_with=("N_1", "N_2")) for n, i in ((2, "N_1"), (3, "N_2"))]
    assert not found("dependence", *directions)


def test_studies_with_the_same_people_are_one_study() -> None:
    rows = [a_row("N_1", 2, study_id="A", **TWO_MEANS), a_row("N_2", 3, study_id="B", **TWO_MEANS)]
    assert found("dependence", *rows, studies=[a_study("A"), a_study("B", 3, same_as="A")])
    assert not found("dependence", *rows, studies=[a_study("A"), a_study("B", 3)])


def test_unknown_names() -> None:
    row = a_row(study_id="Nobody", analysis="no-analysis", route="no_route")
    findings = found("names", row, studies=[a_study()])
    assert [f.level for f in findings] == ["error"] * 3
    assert findings[0].message == "study 'Nobody' is not in studies.csv"
    assert findings[1].message == "analysis 'no-analysis' is none of the plan's: an-analysis"
    assert not found("names", a_row(analysis="", role="context"))


def test_a_number_without_a_source() -> None:
    finding = only("source", a_row(source_url="", locator=""))
    assert (finding.level, finding.message) == ("error", "source_url and locator are empty")
    second_hand = only("source", a_row(**TWO_MEANS, source_kind="public-dataset"))
    assert second_hand.level == "note"
    assert not found("source", a_row(source_kind="secondary-news"))


def test_decisions_without_a_reason_and_conflicts() -> None:
    day, places = dt.date(2026, 3, 1), (Place("s.csv", line) for line in range(2, 9))
    said = (("1", "A", "exclude", ""), ("2", "A", "exclude", "animals"), ("3", "A", "include", ""))
    rows = [
        Screening(record, "full-text", who, what, why, day, next(places))
        for record, who, what, why in (*said, ("3", "B", "exclude", "old"))
    ]
    extraction = dataclasses.replace(
        an_extraction(), screening=tuple(rows), notices=("s.csv:9  is not written to its end",)
    )
    findings = list(CHECKS["screening"].run(CLAIM, extraction))
    assert all(f.check == ("screening") for f in findings)
    assert [(f.level, f.subject, f.at.line) for f in findings] == [
        ("warning", "a row", 9),
        ("warning", "1", 2),
        ("note", "3", 4),
    ]
    assert findings[2].message == "is not settled at full-text: A include, B exclude"


def test_every_check_has_a_test_of_its_own() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for key in CHECKS:
        assert f'("{key}"' in text, key
