"""Extracted tables in, nouns out, and every fault at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from evidence.errors import SchemaError
from evidence.extracted import TABLES, columns, read_extraction
from evidence.model import EffectRow, Place, Study
from tests.rows import A_DAY, write_tables

NUMBERS = {
    "route": "post_means",
    "n_1": "9",
    "mean_post_1": "21.9",
    "sd_post_1": "1.3",
    "n_2": "8",
    "mean_post_2": "19.2",
    "sd_post_2": "2.8",
}


def faults_of(root: Path) -> list[str]:
    with pytest.raises(SchemaError) as fault:
        read_extraction(root, "a-claim")
    return list(fault.value.places)


def test_tables_become_nouns_with_their_places(tmp_path: Path) -> None:
    write_tables(
        tmp_path,
        studies=[{"pmid": "31386821", "year": "2019", "first_author": "Novák", "n_total": "17"}],
        effects=[
            {**NUMBERS, "p_text": "<0.05", "dependent_with": "Novak2019_2"},
            {"effect_id": "Novak2019_2", "dependent_with": "Novak2019_1", "role": "context"},
        ],
        screening=[{}],
        risk_of_bias=[{}],
        published=[
            {
                "estimate": "0.62",
                "ci_low": "0",
                "ci_high": "1.24",
                "i2": "0.9",
                "comparable": "true",
            }
        ],
    )
    found = read_extraction(tmp_path, "a-claim")
    assert found.claim == "a-claim"
    study = found.study("Novak2019")
    assert (study.label, study.year, study.n_total) == ("Novák 2019", 2019, 17)
    assert study.doi is None
    assert study.at == Place("extracted/a-claim/studies.csv", 2)
    row = found.effects[0]
    assert (row.n_1, row.mean_post_1, row.sd_post_2) == (9, 21.9, 2.8)
    assert (row.p, row.p_text, row.dependent_with) == (None, "<0.05", ("Novak2019_2",))
    assert str(found.effects[1].at) == "extracted/a-claim/effects.csv:3"
    assert found.screening[0].date == A_DAY
    assert found.risk_of_bias[0].domain == "D1"
    assert found.published[0].comparable is True
    assert found.published[0].i2 == 0.9


def test_columns_are_the_fields_of_the_nouns_in_their_order() -> None:
    for noun in TABLES.values():
        names = [f.name for f in dataclasses.fields(noun)]
        may_lack = {"at"} | ({"volume", "page"} if noun is Study else set())
        assert columns(noun) == tuple(name for name in names if name not in may_lack)
    assert columns(EffectRow)[:5] == ("effect_id", "study_id", "analysis", "role", "tier")


def test_a_claim_without_a_folder_has_nothing_extracted_yet(tmp_path: Path) -> None:
    found = read_extraction(tmp_path, "a-claim")
    assert (found.studies, found.effects, found.published) == ((), (), ())


def test_every_fault_of_every_table_is_named_at_once(tmp_path: Path) -> None:
    write_tables(
        tmp_path,
        studies=[{"pmid": "PMC12"}, {"study_id": "Novak2019"}],
        effects=[
            {**NUMBERS, "sd_post_1": "-3.1", "locator": ""},
            {**NUMBERS, "effect_id": "Novak2019_2", "n_1": "9.5", "p": "0", "mean_pre_1": "1,2"},
        ],
        screening=[{"date": "31.1.2026"}],
    )
    assert faults_of(tmp_path) == [
        "extracted/a-claim/studies.csv:2  pmid = PMC12 is no PMID",
        "extracted/a-claim/effects.csv:2  sd_post_1 = -3.1 is not positive",
        "extracted/a-claim/effects.csv:2  locator is empty",
        "extracted/a-claim/effects.csv:3  n_1 = '9.5' is no whole number",
        "extracted/a-claim/effects.csv:3  mean_pre_1 = '1,2' is no number",
        "extracted/a-claim/effects.csv:3  p = 0 is not a p-value (above 0, at most 1)",
        "extracted/a-claim/screening.csv:2  date = '31.1.2026' is no day (YYYY-MM-DD)",
    ]


def test_a_fault_says_how_many_and_what_next(tmp_path: Path) -> None:
    write_tables(tmp_path, effects=[{"role": "main"}])
    with pytest.raises(SchemaError) as fault:
        read_extraction(tmp_path, "a-claim")
    assert str(fault.value) == (
        "1 cell in extracted/a-claim cannot be used\n"
        "  extracted/a-claim/effects.csv:2  role = 'main' is none of: "
        "primary, sensitivity, context\n"
        "try: correct them against the paper (format: docs/reference/data.md), "
        "then `evidence check a-claim`"
    )


def test_names_must_exist_and_ids_must_be_unique(tmp_path: Path) -> None:
    write_tables(
        tmp_path,
        studies=[{}, {}, {"study_id": "Novak2020", "same_as": "Novak2018"}],
        effects=[
            {"study_id": "Nobody1999"},
            {},
            {"effect_id": "Novak2019_3", "dependent_with": "Novak2019_4;Novak2019_5"},
            {"effect_id": "Novak2019_4"},
        ],
        risk_of_bias=[{"study_id": "Nobody1999", "effect_id": "Nobody1999_7"}],
    )
    at = "extracted/a-claim/"
    assert faults_of(tmp_path) == [
        f"{at}studies.csv:3  study_id = Novak2019 is already at line 2",
        f"{at}effects.csv:3  effect_id = Novak2019_1 is already at line 2",
        f"{at}studies.csv:4  same_as = Novak2018 is no other study of studies.csv",
        f"{at}effects.csv:2  study_id = Nobody1999 is not in studies.csv",
        f"{at}effects.csv:4  dependent_with = Novak2019_4, "
        "but Novak2019_4 does not name Novak2019_3",
        f"{at}effects.csv:4  dependent_with = Novak2019_5 is no other row of effects.csv",
        f"{at}risk_of_bias.csv:2  study_id = Nobody1999 is not in studies.csv",
        f"{at}risk_of_bias.csv:2  effect_id = Nobody1999_7 is not in effects.csv",
    ]


def test_a_row_that_counts_has_what_its_route_needs(tmp_path: Path) -> None:
    short = {**NUMBERS, "n_2": ""}
    write_tables(
        tmp_path,
        effects=[
            short,
            {**short, "effect_id": "Novak2019_2", "role": "context", "analysis": ""},
            {"effect_id": "Novak2019_3", "analysis": ""},
            {"effect_id": "Novak2019_4", "route": "post_mean"},
            {"effect_id": "Novak2019_5", "ci_low_1": "0.1"},
            {**NUMBERS, "effect_id": "Novak2019_6", "dispersion": "CI"},
        ],
    )
    found = faults_of(tmp_path)
    assert found[0] == "extracted/a-claim/effects.csv:2  route = post_means needs n_2"
    assert found[1] == (
        "extracted/a-claim/effects.csv:4  analysis is empty, but role = primary: "
        "name the analysis, or `context`"
    )
    assert found[2].startswith("extracted/a-claim/effects.csv:5  route = 'post_mean' is none of: ")
    assert found[3].endswith("effects.csv:6  ci_low_1 and ci_high_1 come together, or neither")
    assert found[4].endswith(
        "effects.csv:7  dispersion = CI, but an sd_ column is filled: use the ci_ columns"
    )
    assert len(found) == 5


def test_a_comparable_result_needs_an_estimate_and_its_interval(tmp_path: Path) -> None:
    write_tables(
        tmp_path,
        published=[{"comparable": "true", "estimate": "0.5"}, {"pooled_id": "P2", "ci_low": "0.1"}],
    )
    assert faults_of(tmp_path) == [
        "extracted/a-claim/published.csv:2  comparable = true needs an estimate and its interval",
        "extracted/a-claim/published.csv:3  ci_low and ci_high come together, or neither",
    ]


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path)
    (folder / "published.csv").unlink()
    text = (folder / "studies.csv").read_text()
    (folder / "studies.csv").write_text(text.replace("pmid,pmcid", "pmid,pmid,author", 1))
    assert faults_of(tmp_path) == [
        "extracted/a-claim/studies.csv:1  column pmcid is missing",
        "extracted/a-claim/studies.csv:1  column 'author' is not known",
        "extracted/a-claim/studies.csv:1  column 'pmid' is there twice",
        "extracted/a-claim/published.csv  is missing: make it with the header "
        "pooled_id,meta_analysis,pmid,…",
    ]


def test_a_short_line_and_a_broken_quotation_are_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path, effects=[{}])
    with (folder / "effects.csv").open("a") as file:
        file.write("Novak2019_2,Novak2019\n")
    with (folder / "published.csv").open("a") as file:
        file.write('"P2,Novak 2020')
    found = faults_of(tmp_path)
    assert found[0] == (
        f"extracted/a-claim/effects.csv:3  has 2 cells, the header has {len(columns(EffectRow))}"
    )
    assert found[1].startswith("extracted/a-claim/published.csv:2  is no CSV: ")


def test_line_numbers_hold_after_a_cell_with_line_breaks(tmp_path: Path) -> None:
    write_tables(
        tmp_path,
        effects=[{"notes": "one\ntwo\nthree"}, {"effect_id": "Novak2019_2", "tier": "D"}],
    )
    assert faults_of(tmp_path) == [
        "extracted/a-claim/effects.csv:5  tier = 'D' is none of: A, B, C, (empty)"
    ]


def test_columns_may_stand_in_any_order_and_empty_lines_are_no_rows(tmp_path: Path) -> None:
    folder = write_tables(tmp_path, effects=[{}])
    lines = (folder / "risk_of_bias.csv").read_text().splitlines()
    (folder / "risk_of_bias.csv").write_text(",".join(reversed(lines[0].split(","))) + "\n\n\n")
    assert read_extraction(tmp_path, "a-claim").risk_of_bias == ()
