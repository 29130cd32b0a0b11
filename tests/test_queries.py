"""The four claims: complete, honest about what was known, and sound as search strategies."""

from __future__ import annotations

import csv
import datetime as dt
import re
from pathlib import Path

import pytest

from evidence.claim_files import read_claim, read_claims
from evidence.claims import Claim
from evidence.strategy.text import appendix, numbered_lines
from tests.mini_pubmed import Paper, matches

IDS = ("aerobic-hippocampus", "dlpfc-reversibility", "hiit-bdnf", "lactate-bdnf")
ROOT = Path(__file__).resolve().parents[1]

# Studies of the collection that the strategy need not find, because they are not eligible.
NOT_ELIGIBLE = {
    "Tao2017": "mind-body exercise",
    "R2_LangeskovChristensen2021": "whole-brain volume",
    "DeLange2008": "fatigue without chronic pain",
    "VanDerSchaaf2017": "fatigue without chronic pain",
}


@pytest.fixture(scope="module", params=IDS)
def claim(request: pytest.FixtureRequest) -> Claim:
    return read_claim(ROOT / "queries" / f"{request.param}.toml")


def named(claim_id: str) -> Claim:
    return read_claim(ROOT / "queries" / f"{claim_id}.toml")


def collection(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "evidence" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_four_are_read():
    assert tuple(claim.id for claim in read_claims(ROOT)) == IDS


# ---------------------------------------- what is said


def test_a_plan_written_after_the_data_says_so_with_its_date(claim):
    assert claim.plan.after_data_seen
    assert claim.plan.written == dt.date(2026, 11, 24)
    assert "24 November 2026" in claim.plan.statement
    assert "not a preregistration" in claim.plan.statement


def test_the_absence_of_a_smallest_effect_has_its_reason(claim):
    assert claim.plan.smallest_effect.value is None
    assert claim.plan.smallest_effect.source.startswith("none: no ")


def test_missing_results_are_listed(claim):
    assert len(claim.plan.missing) >= 5


def test_preferences_are_real_choices(claim):
    preference = claim.plan.preference
    for choices in (
        preference.timepoints,
        preference.matrices_or_regions,
        preference.arms,
        preference.statistics,
    ):
        assert len(choices) >= 2


def test_every_assumed_correlation_has_support_and_alternatives(claim):
    for assumed in claim.plan.pre_post_r:
        assert "Assumption" in assumed.source
        assert "https://" in assumed.source
        assert assumed.value not in assumed.sensitivity


def test_uncontrolled_and_observational_analyses_never_decide(claim):
    for analysis in claim.plan.analyses:
        if analysis.design != "between groups":
            assert not analysis.decides, analysis.id


def test_the_analyses_are_the_planned_ones():
    ids = {c.id: {a.id: a.measure for a in c.plan.analyses} for c in read_claims(ROOT)}
    assert ids == {
        "hiit-bdnf": {
            "chronic-vs-control": "SMD",
            "acute-vs-rest": "SMD",
            "chronic-vs-other-exercise": "SMD",
            "acute-pre-post": "SMCR",
            "chronic-pre-post": "SMCR",
        },
        "lactate-bdnf": {"infusion": "SMD", "correlation": "ZCOR"},
        "aerobic-hippocampus": {"vs-control": "SMD", "subfield": "SMD"},
        "dlpfc-reversibility": {
            "pre-to-post": "SMCR",
            "case-control": "SMD",
            "thickness-pain-correlation": "ZCOR",
        },
    }
    primaries = {c.id: c.plan.primary for c in read_claims(ROOT)}
    assert primaries == {
        "hiit-bdnf": "chronic-vs-control",
        "lactate-bdnf": "infusion",
        "aerobic-hippocampus": "vs-control",
        "dlpfc-reversibility": "pre-to-post",
    }


def test_conflicting_case_control_effects_are_never_pooled():
    analyses = {a.id: a for a in named("dlpfc-reversibility").plan.analyses}
    for analysis_id in ("case-control", "thickness-pain-correlation"):
        assert not analyses[analysis_id].pool
        # The note continues a sentence of the page, so it ends without a full stop.
        assert not (analyses[analysis_id].note or ".").endswith(".")


def test_one_standardiser_serves_each_claim(claim):
    used = {a.standardiser for a in claim.plan.analyses if a.standardiser != "none"}
    assert used == {"raw SD"}


def test_no_file_names_a_machine_or_a_folder_beside_the_project(claim):
    text = (ROOT / "queries" / f"{claim.id}.toml").read_text("utf-8")
    assert not re.search(r"/work\b|/tmp\b|/home\b|\.\./shared", text)


def test_files_are_readable_as_text(claim):
    text = (ROOT / "queries" / f"{claim.id}.toml").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        assert len(line) <= 100 or "http" in line, (number, line)
        assert line == line.rstrip(), number
    assert text.endswith("\n")
    assert "\t" not in text


# ---------------------------------------- the strategy


def test_animals_are_subtracted_last_and_humans_are_never_required(claim):
    search = claim.search
    assert search.combine.endswith(" NOT #animals_only")
    assert search.filters["animals_only"].query() == "animals[mh] NOT humans[mh]"
    assert search.query().endswith(" NOT (animals[mh] NOT humans[mh])")


def test_the_trial_filter_is_cochranes_and_is_not_combined(claim):
    trials = claim.search.filters["randomised_trials"]
    # Cochrane Handbook, Technical Supplement to Chapter 4, sensitivity-maximizing, PubMed format.
    assert set(trials.query().split(" OR ")) == {
        "randomized controlled trial[pt]",
        "controlled clinical trial[pt]",
        "randomized[tiab]",
        "placebo[tiab]",
        "drug therapy[sh]",
        "randomly[tiab]",
        "trial[tiab]",
        "groups[tiab]",
    }
    assert "Lefebvre" in trials.source
    assert "#randomised_trials" not in claim.search.combine
    assert "trial filter" in (claim.search.notes or "")
    assert "not combined" in (claim.search.notes or "")


def test_every_block_has_headings_and_words_and_each_line_its_reason(claim):
    for block in claim.search.blocks.values():
        query = block.query()
        assert "[mh" in query
        assert "[tiab" in query
        assert all(len(line.why) > 15 for line in block.lines)


def test_grey_is_searched_in_both_spellings():
    for claim_id in ("aerobic-hippocampus", "dlpfc-reversibility"):
        query = named(claim_id).search.query()
        assert '"gray matter"[tiab:~0]' in query
        assert '"grey matter"[tiab:~0]' in query


def test_the_genotype_of_bdnf_excludes_nothing():
    for claim_id in ("hiit-bdnf", "lactate-bdnf"):
        assert "met" not in re.findall(r"\w+", named(claim_id).search.query().lower())


def test_no_recall_is_claimed(claim):
    assert claim.search.known
    assert {known.status for known in claim.search.known} == {"not yet verified"}


WANTED = {
    "hiit-bdnf": (
        "Sprint-interval exercise raised serum BDNF in cyclists.",
        "High-intensity aerobic interval training and brain-derived neurotrophic factor",
        "Neurotrophin levels after intervals of exhausting exercise",
        "BDNF Val66Met genotype and the response of plasma BDNF to a Wingate test",
        "Effect of an acute bout of vigorous exercise on brain derived neurotropic factor",
    ),
    "lactate-bdnf": (
        "Infusion of sodium lactate at rest and circulating BDNF",
        "Blood lactate correlates with brain-derived neurotrophic factor after rowing",
        "Hyperlactatemia and proBDNF in volunteers",
    ),
    "aerobic-hippocampus": (
        "A year of walking increased the volume of the hippocampus: a magnetic resonance study",
        "Cycling does not change hippocampal volumes in depression",
        "Treadmill training and grey matter in older adults: voxel-based morphometry",
        "Exercise and brain atrophy: an MRI trial",
    ),
    "dlpfc-reversibility": (
        "Cortical thickness in chronic low back pain before and after treatment",
        "No change of gray matter in back pain patients: a whole-brain study",
        "Grey matter recovers after hip replacement for painful osteoarthritis",
        "Prefrontal gray matter in fibromyalgia",
        "Brain morphology normalises after relief of trigeminal neuralgia",
    ),
}
UNWANTED = {
    "hiit-bdnf": ("Serum BDNF in depression", "High-intensity interval training and VO2max"),
    "lactate-bdnf": ("Maternal BDNF during lactation", "Blood lactate in rowing"),
    "aerobic-hippocampus": (
        "Running wheel exercise and neurogenesis in the dentate gyrus of mice",
        "Hippocampal volume in depression: an MRI study",
    ),
    "dlpfc-reversibility": (
        "Functional connectivity of the prefrontal cortex in chronic pain",
        "Cortical thickness in schizophrenia",
    ),
}


@pytest.mark.parametrize(("claim_id", "text"), [(c, t) for c in IDS for t in WANTED[c]])
def test_the_strategy_finds_what_it_is_for(claim_id, text):
    assert matches(named(claim_id).search.query(), Paper(text))


@pytest.mark.parametrize(("claim_id", "text"), [(c, t) for c in IDS for t in UNWANTED[c]])
def test_the_strategy_passes_over_what_it_is_not_for(claim_id, text):
    assert not matches(named(claim_id).search.query(), Paper(text))


def test_a_record_indexed_for_animals_alone_is_left_out_and_one_not_indexed_stays(claim):
    text = WANTED[claim.id][0]
    query = claim.search.query()
    assert matches(query, Paper(text))
    assert not matches(query, Paper(text, frozenset({"animals"})))
    assert matches(query, Paper(text, frozenset({"animals", "humans"})))


def test_a_null_whole_brain_study_of_back_pain_is_found_without_the_region_in_its_words():
    query = named("dlpfc-reversibility").search.query()
    assert matches(query, Paper("Voxel-based morphometry in lumbago: no difference from controls"))


# ---------------------------------------- the appendix


def test_the_numbered_lines_are_the_strategy(claim):
    lines = numbered_lines(claim.search)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    sets: dict[str, str] = {}
    for line in lines:
        named_sets = [sets[number] for number in re.findall(r"#(\d+)", line.query)]
        if re.fullmatch(r"#\d+( OR #\d+)+", line.query):
            # Lines joined by OR need no parentheses among themselves.
            whole = " OR ".join(one.removeprefix("(").removesuffix(")") for one in named_sets)
        else:
            whole = re.sub(r"#(\d+)", lambda match: sets[match.group(1)], line.query)
        sets[str(line.number)] = f"({whole})"
    assert sets[str(len(lines))] == f"({claim.search.query()})"


def test_the_appendix_holds_what_prisma_s_asks_of_the_strategy(claim):
    text = appendix(claim)
    assert text.startswith(f"## Search strategy: {claim.title}\n")
    assert "Source and platform" in text
    assert "Strategy written: 2026-11-24" in text
    assert f"- Limits: {claim.search.limits}" in text
    assert f"- Peer review of the strategy: {claim.search.peer_review}" in text
    assert f"```text\n{claim.search.query()}\n```" in text
    assert "Lefebvre" in text
    assert f"{len(claim.search.known)} records: {len(claim.search.known)} not yet verified." in text
    assert "recall" not in text.lower()


def test_the_appendix_is_sound_markdown(claim):
    for line in appendix(claim).splitlines():
        if line.startswith("|"):
            assert line.count("|") - line.count("\\|") >= 3
            outside_code = re.sub(r"`[^`]*`", "", line)
            assert not re.search(r"(?<!\\)\*", outside_code), line


# ---------------------------------------- against the collection of facts


@pytest.mark.shared
def test_every_pmid_was_seen_in_the_collection(shared, claim):
    seen = {row["pmid"] for row in collection(shared, "studies.csv")}
    for row in collection(shared, "effects.csv"):
        seen.update(re.findall(r"PMID (\d+)", row["notes"]))
    with (shared / "pubmed/topic/topic_records.csv").open(encoding="utf-8", newline="") as file:
        seen.update(row["pmid"] for row in csv.DictReader(file))
    written = {known.pmid for known in claim.search.known}
    written |= {work.pmid for work in claim.rests_on if work.pmid}
    assert written <= seen


@pytest.mark.shared
def test_every_eligible_study_with_a_pmid_is_a_known_record(shared, claim):
    expected = {
        row["pmid"]
        for row in collection(shared, "studies.csv")
        if claim.id in row["claim"].split(";")
        and row["pmid"]
        and row["design"] != "meta-analysis"
        and row["study_id"] not in NOT_ELIGIBLE
    }
    assert expected <= {known.pmid for known in claim.search.known}


@pytest.mark.shared
def test_the_strategy_finds_known_records_of_which_more_than_the_pmid_is_at_hand(shared):
    with (shared / "pubmed/topic/topic_records.csv").open(encoding="utf-8", newline="") as file:
        records = {row["pmid"]: row for row in csv.DictReader(file)}
    search = named("dlpfc-reversibility").search
    at_hand = [known.pmid for known in search.known if known.pmid in records]
    assert sorted(at_hand) == ["16750298", "21593339"]
    for pmid in at_hand:
        text = f"{records[pmid]['title']} {records[pmid]['abstract']}"
        assert matches(search.query(), Paper(text)), pmid


def test_the_back_calculated_correlations_are_right():
    # SEMs before, after and of the change in serum BDNF, J Alzheimers Dis 2017;55:645, Table 2.
    sems = {(1.17, 0.99, 1.00): 0.58, (0.95, 1.13, 1.00): 0.55, (1.58, 1.05, 1.27): 0.60}
    source = named("hiit-bdnf").plan.pre_post_r[0].source
    for (before, after, change), stated in sems.items():
        r = (before**2 + after**2 - change**2) / (2 * before * after)
        assert round(r, 2) == stated
        assert f"{stated:.2f}" in source
