"""The extracted data of the four claims: whole, sound and traceable."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from evidence.checks import CHECKS, Finding, run
from evidence.extracted import DISPERSION, EXERCISE, TABLES, columns, read_extraction
from evidence.files import read_text, write_csv
from evidence.model import EffectRow, Extraction
from evidence.routes import ROUTES
from evidence.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = ("hiit-bdnf", "lactate-bdnf", "aerobic-hippocampus", "dlpfc-reversibility")
FOUNDED = dt.date(2026, 11, 23)

every_claim = pytest.mark.parametrize("claim_id", CLAIMS)


@cache
def extraction(claim_id: str) -> Extraction:
    return read_extraction(ROOT, claim_id)


@cache
def findings(claim_id: str) -> tuple[Finding, ...]:
    return run(Workspace.at(ROOT).claim(claim_id), extraction(claim_id))


def rows() -> dict[str, EffectRow]:
    return {row.effect_id: row for claim in CLAIMS for row in extraction(claim).effects}


def test_every_founding_fact_is_here() -> None:
    counts = {c: (len(extraction(c).studies), len(extraction(c).effects)) for c in CLAIMS}
    assert counts == {
        "hiit-bdnf": (116, 157),
        "lactate-bdnf": (19, 22),
        "aerobic-hippocampus": (55, 74),  # 73 and the row that joins C029 and C030
        "dlpfc-reversibility": (40, 55),
    }
    assert {c: len(extraction(c).published) for c in CLAIMS} == {
        "hiit-bdnf": 23,
        "lactate-bdnf": 0,
        "aerobic-hippocampus": 10,
        "dlpfc-reversibility": 7,
    }


@every_claim
def test_the_tables_have_no_error(claim_id: str) -> None:
    assert [str(f) for f in findings(claim_id) if f.level == "error"] == []


# What is known of the collection, and must be seen by the checks.
def test_the_known_doubts_are_found() -> None:
    seen = {(f.check, f.subject) for c in CLAIMS for f in findings(c)}
    assert {
        ("test statistic", "Gibbons2023_1"),  # p belongs to about 33 observations of 12 people
        ("test statistic", "FunctionalFitness2022_1"),
        ("SD ratio", "R2_H06"),  # the SD after looks like an SE
        ("SE as SD, by spread", "R2_H06"),
        ("SE as SD, by spread", "PD_VanCutsem2015_1"),
        ("SE as SD, by spread", "PD_Williams&McCurdy2012_1"),
        ("implied correlation", "R2_H08"),  # 0.71, the only one that the collection implies
        ("implied correlation", "Devenney2019_1"),  # medians with quartiles
        ("large effect", "CabralSantos2016_1"),
        ("unit", "PD_Schild2016_1"),
    } <= seen


@every_claim
def test_files_are_written_as_our_own_writer_writes_them(claim_id: str, tmp_path: Path) -> None:
    for name, noun in TABLES.items():
        text = read_text(ROOT / "extracted" / claim_id / f"{name}.csv")
        lines = list(csv.DictReader(text.splitlines()))
        header = tuple(text.partition("\n")[0].split(","))  # screening.csv of before is narrower
        assert header == columns(noun)[: len(header)], name
        assert name == "screening" or len(header) == len(columns(noun)), name
        write_csv(tmp_path / "again.csv", header, lines)
        assert read_text(tmp_path / "again.csv") == text, name


@every_claim
def test_every_number_has_an_address_and_a_place(claim_id: str) -> None:
    for row in extraction(claim_id).effects:
        assert re.fullmatch(r"https?://\S+", row.source_url), row.effect_id
        assert row.locator, row.effect_id


@every_claim
def test_no_machine_and_no_working_note_is_named(claim_id: str) -> None:
    for name in TABLES:
        text = read_text(ROOT / "extracted" / claim_id / f"{name}.csv")
        words = r"\.\./|file://|\bcorpus\b|excerpt|not stored"
        assert not re.search(words, text), name


@every_claim
def test_only_founding_inclusions_are_recorded_and_no_judgement(claim_id: str) -> None:
    found = extraction(claim_id)
    contributing = {row.study_id for row in found.effects if row.role != "context"}
    records = {s.pmid or s.study_id for s in found.studies if s.study_id in contributing}
    assert {s.record for s in found.screening} == records
    assert len(found.screening) == len(records)
    for decision in found.screening:
        assert decision.reviewer == "founding-collection"
        assert (decision.stage, decision.decision) == ("full-text", "include")
        assert decision.date == FOUNDED
    assert found.risk_of_bias == ()


@every_claim
def test_weak_rows_are_never_primary(claim_id: str) -> None:
    for row in extraction(claim_id).effects:
        numerical = ROUTES[row.route].numerical
        assert row.tier != "C" or row.role != "primary", row.effect_id
        assert not numerical or row.role == "context" or row.tier, row.effect_id
        assert row.role != "context" or row.assumption, f"{row.effect_id}: why context?"


@every_claim
def test_one_row_a_group_of_people_is_primary(claim_id: str) -> None:
    primary = defaultdict(list)
    for row in extraction(claim_id).effects:
        if row.role == "primary" and ROUTES[row.route].numerical:
            primary[row.analysis, row.study_id].append(row.effect_id)
    assert [ids for ids in primary.values() if len(ids) > 1] == []


@pytest.mark.parametrize(
    "pair",
    [
        ("Mang2014_1", "Mang2014_2"),
        ("CabralSantos2016_1", "CabralSantos2016_2"),
        ("GarciaSuarez2020_2", "GarciaSuarez2020_3"),
        ("Devenney2019_1", "Devenney2019_2"),
        ("Li2021_1", "Li2021_2"),
        ("PD_Hwang2016_1", "R2_H02"),
        ("PD_RojasVega2006_1", "R2_H03"),
        ("PD_Cho2012_1", "R2_H06"),
        ("PD_Goda2013_1", "R2_H08"),
        ("C001", "C002"),
        ("C053", "C054"),
        ("D018", "D019"),
        ("C029", "C029_C030"),
        ("C030", "C029_C030"),
    ],
)
def test_rows_on_the_same_people_name_each_other_and_meet_in_no_pool(pair: tuple[str, str]) -> None:
    a, b = (rows()[name] for name in pair)
    assert b.effect_id in a.dependent_with
    assert a.effect_id in b.dependent_with
    assert (a.role, b.role) != ("primary", "primary") or a.analysis != b.analysis


def test_interval_or_sprint_exercise_proper_is_primary_in_the_acute_pool() -> None:
    acute = [
        row
        for row in extraction("hiit-bdnf").effects
        if row.analysis == "acute-pre-post"
        and row.role == "primary"
        and ROUTES[row.route].numerical
    ]
    assert [row.effect_id for row in acute] == [
        "GarciaSuarez2020_2",
        "CabralSantos2016_1",
        "Weaver2021_1",
        "NTNUdepressionHIT_1",
        "Tonoli2015_1",
    ]
    assert {row.exercise for row in acute} == {"interval", "sprint"}


def test_rows_without_n_are_context() -> None:
    without_n = [r for name, r in rows().items() if name.startswith("PD_")]
    assert len(without_n) == 46
    assert {row.role for row in without_n} == {"context"}


def test_a_null_result_is_no_direction() -> None:
    null = [row for row in rows().values() if row.notes.startswith("direction: null.")]
    assert len(null) > 25
    numerical = {"R2_H47", "R2_H48", "R2_H08", "R2_C12"}  # their numbers show a direction
    assert {r.direction for r in null if r.effect_id not in numerical} == {"unknown"}
    assert {row.reported_significant for row in null} == {"no"}
    omitted = [row for row in rows().values() if "null by omission" in row.notes]
    assert {(row.direction, row.reported_significant) for row in omitted} == {
        ("unknown", "unknown")
    }


def test_studies_with_the_same_people_are_named() -> None:
    same = {s.study_id: s.same_as for c in CLAIMS for s in extraction(c).studies if s.same_as}
    assert same == {
        "PD_Church2016a": "R2_Church2016",
        "PD_Church2016b": "R2_Church2016",
        "PD_Cho2012": "R2_Cho2012",
        "PD_Goda2013": "R2_Goda2013",
        "PD_Hwang2016": "R2_Hwang2016",
        "PD_RojasVega2006": "R2_RojasVega2006",
        "Sinclair2021": "R2_Venkatraman2020",
        "Woodward_HK": "Lin2015",
    }


def test_a_study_that_serves_two_claims_is_the_same_in_both() -> None:
    seen: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for claim in CLAIMS:
        for s in extraction(claim).studies:
            seen[s.study_id].add((s.pmid, s.doi, s.title, s.n_total, s.source_url))
    assert [name for name, versions in seen.items() if len(versions) > 1] == []
    twice = Counter(s.study_id for c in CLAIMS for s in extraction(c).studies)
    assert twice["Ferris2007"] == twice["R2_LeonLlamas2020"] == 2


@pytest.mark.shared
def test_no_fact_of_the_collection_was_lost_or_changed(shared: Path) -> None:
    with (shared / "evidence" / "effects.csv").open(newline="", encoding="utf-8") as file:
        facts = list(csv.DictReader(file))
    ours = rows()
    assert len(facts) == 307
    assert {f["effect_id"] for f in facts} | {"C029_C030"} == set(ours)
    # the same column under both names; n and statistics of a correlation stand elsewhere
    names = {f"arm{arm}_{what}": what for arm in (1, 2) for what in ("mean_pre", "mean_post")}
    for fact in facts:
        row = ours[fact["effect_id"]]
        for source, what in names.items():
            own = getattr(row, f"{what}_{source[3]}")
            assert (fact[source] == "") == (own is None), (row.effect_id, source)
            assert own is None or own == float(fact[source]), (row.effect_id, source)
        for arm in (1, 2):
            if fact[f"arm{arm}_n"]:
                assert getattr(row, f"n_{arm}") == int(fact[f"arm{arm}_n"]), row.effect_id
            for what in ("sd_pre", "sd_post", "sd_change", "mean_change"):
                if fact[f"arm{arm}_{what}"]:
                    assert getattr(row, f"{what}_{arm}") == float(fact[f"arm{arm}_{what}"])
        assert row.study_id == fact["study_id"]
        assert row.p_text == fact["p"]
        assert row.source_kind == fact["source_kind"]
        assert fact["notes"][:25] in row.notes
        if fact["source_url"].startswith("http"):
            assert fact["source_url"].startswith(row.source_url)
        shown = {row.ci_low_1, row.ci_high_1, row.ci_low_2, row.ci_high_2}
        bounds = {float(fact[c]) for c in ("ci_low", "ci_high") if fact[c]}
        assert bounds <= shown, row.effect_id


@pytest.mark.shared
def test_no_study_and_no_published_result_was_lost(shared: Path) -> None:
    with (shared / "evidence" / "studies.csv").open(newline="", encoding="utf-8") as file:
        studies = list(csv.DictReader(file))
    for study in studies:
        for claim in study["claim"].split(";"):
            ours = extraction(claim).study(study["study_id"])
            for column in ("pmid", "pmcid", "doi", "first_author", "year"):
                assert str(getattr(ours, column) or "") == study[column], (ours.study_id, column)
    with (shared / "evidence" / "published_pooled.csv").open(newline="", encoding="utf-8") as file:
        published = {p["pooled_id"]: p for p in csv.DictReader(file)}
    ours_too = {p.pooled_id: p for c in CLAIMS for p in extraction(c).published}
    assert set(ours_too) == set(published)
    for name, p in ours_too.items():
        fact = published[name]
        for column in ("ci_low", "ci_high"):
            value = getattr(p, column)
            assert ("" if value is None else f"{value:.2f}") == fact[column], name
        assert p.i2 is None or p.i2 * 100 == pytest.approx(float(fact["I2"]))
        said = p.estimate_text or ("" if p.estimate is None else f"{p.estimate:g}")
        assert said == fact["estimate"] or float(said) == float(fact["estimate"]), name


def test_only_standardised_effects_with_intervals_stand_beside_our_own() -> None:
    comparable = {p.pooled_id for c in CLAIMS for p in extraction(c).published if p.comparable}
    assert comparable == {
        *("P01", "P03", "P04", "P05", "P06", "P07", "P08"),
        *("S05", "S06", "S08", "S09"),
    }


def test_the_format_page_names_every_column_route_word_and_check() -> None:
    page = read_text(ROOT / "docs" / "reference" / "data.md")
    for name, noun in TABLES.items():
        assert f"`{name}.csv`" in page
        for column in columns(noun):
            arm_2 = column.endswith("_2") and column[:-2] + "_1" in page
            assert f"`{column}`" in page or arm_2, f"{name}.csv: {column}"
    for key, way in ROUTES.items():
        needs = ", ".join(f"`{n}`" for n in way.needs) or "nothing"
        assert f"| `{key}` | {way.label} | {needs} |" in page, key
    for key, check in CHECKS.items():
        assert f"| {key} | {check.looks_for} |" in page, key
    for word in (*EXERCISE, *DISPERSION):
        assert not word or f"`{word}`" in page, word
