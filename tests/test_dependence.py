"""Rows on the same people: refused, modelled in three levels, or combined before the pool."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lxml.html
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evidence import dependence
from evidence.checks import run
from evidence.cli import main
from evidence.errors import SchemaError
from evidence.model import AnalysisResult, EffectRow
from evidence.synthesis import analyse
from meta import aggregate, covariance, multilevel, pool, robust
from meta.measures import given as effects_given
from meta.results import show
from tests.rows import a_study, an_extraction, write_tables
from tests.test_claim_files import INVENTED
from tests.test_synthesis import trial, walks

RHO = {"rho": 0.6, "rho_sensitivity": [0.3, 0.9], "rho_source": "an assumption of this test"}
THREE = {"dependent": "three-level", **RHO}
COMBINED = {"dependent": "aggregate", **RHO}

# Four invented trials; the first gives three outcomes in the same people, the third two.
MEANS = {0: [0.3, 0.9, 0.6], 1: [0.1], 2: [1.4, 0.8], 3: [0.7]}


def rows_of(means: dict[int, list[float]] = MEANS, **fields: Any) -> list[EffectRow]:
    out = []
    for number, values in means.items():
        ids = [f"Novak{2000 + number}_{i + 1}" for i in range(len(values))]
        for i, mean in enumerate(values):
            others = tuple(x for x in ids if x != ids[i])
            row = trial(number, mean, dependent_with=others, timepoint=f"week {i + 1}", **fields)
            out.append(dataclasses.replace(row, effect_id=ids[i]))
    return out


def one(rows: Sequence[EffectRow], **of_analysis: Any) -> AnalysisResult:
    (found,) = analyse(walks(**of_analysis), an_extraction(rows))
    return found


def effects_behind(found: AnalysisResult) -> Any:
    return effects_given(
        np.array([e.yi for e in found.estimates]),
        np.array([e.vi for e in found.estimates]),
        study=[e.row.effect_id for e in found.estimates],
        cluster=[e.study.study_id for e in found.estimates],
        measure="SMD",
    )


# ---- the rule, and who shares people ------------------------------------------------------------


def test_rows_on_the_same_people_are_refused_unless_the_plan_says_how() -> None:
    with pytest.raises(SchemaError, match="count the same people twice") as fault:
        one(rows_of())
    assert len(fault.value.places) == 8  # three pairs and one, each from both ends
    assert "`dependent`" in fault.value.remedy
    for plan in (THREE, COMBINED):
        assert one(rows_of(), **plan).result is not None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"dependent": "three-level"}, "needs rho and rho_source"),
        ({"dependent": "aggregate", "rho": 0.5}, "needs rho and rho_source"),
        ({"rho": 0.5}, "rho is for dependent"),
        ({**THREE, "rho": 1.0}, "less than 1"),
        ({**THREE, "rho_sensitivity": [-0.1]}, "greater than or equal to 0"),
        ({**THREE, "tau2": "DL"}, "by REML or ML"),
        ({**THREE, "model": "common"}, "random effects"),
        ({**THREE, "interval": "Knapp-Hartung"}, "no Knapp-Hartung"),
        ({**THREE, "sensitivity": ["tau2-dl"]}, "not fitted by DL or PM"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        walks(**keys)


def test_people_are_linked_by_way_of_a_third_row_and_by_studies_called_the_same() -> None:
    chain = [
        trial(0, dependent_with=("Novak2001_1",)),
        trial(1, dependent_with=("Novak2000_1", "Novak2002_1")),
        trial(2, dependent_with=("Novak2001_1",)),
        trial(3),
        trial(4),
    ]
    same = [a_study(f"Novak{2000 + n}", n + 2) for n in range(4)]
    same.append(a_study("Novak2004", 9, same_as="Novak2003"))
    (found,) = analyse(walks(**COMBINED), an_extraction(chain, same))
    assert found.dependence is not None
    assert found.dependence.sharing == (
        ("Novak2000_1", "Novak2001_1", "Novak2002_1"),
        ("Novak2003_1", "Novak2004_1"),
    )
    assert found.dependence.independent == 2
    assert found.result is None
    assert found.note_only is not None
    assert "two groups of people" in found.reason


def test_rows_of_one_study_that_are_not_linked_are_separate_people() -> None:
    apart = [dataclasses.replace(r, dependent_with=()) for r in rows_of()]
    combined = one(apart, **COMBINED)
    assert combined.result is not None
    assert combined.result.effects.k == 7
    three = one(apart, **THREE)
    assert isinstance(three.result, dependence.ThreeLevelPool)
    assert three.result.studies == 4
    effects = effects_behind(three)
    assert three.result.estimate == pytest.approx(float(multilevel(effects).beta[0]), abs=1e-9)


def test_people_on_several_rows_count_once() -> None:
    found = one(rows_of(), **THREE)
    assert dependence.people(found.plan, found.estimates) == 4 * 40
    refused = one([trial(n, 0.2 * n) for n in range(3)])
    assert dependence.people(refused.plan, refused.estimates) == 3 * 40


# ---- three levels -------------------------------------------------------------------------------


def test_the_three_level_pool_is_the_multilevel_model_of_its_rows() -> None:
    found = one(rows_of(), **THREE)
    result = found.result
    assert isinstance(result, dependence.ThreeLevelPool)
    effects = effects_behind(found)
    obs = [e.row.effect_id for e in found.estimates]
    model = multilevel(effects, covariance=covariance(effects, obs=obs, rho=0.6))
    assert result.estimate == pytest.approx(float(model.beta[0]), abs=1e-9)
    assert result.se == pytest.approx(float(model.se[0]), abs=1e-9)
    assert result.ci == pytest.approx(tuple(model.ci[0]), abs=1e-9)
    assert result.df == 3  # four studies less one
    assert (result.between, result.within) == pytest.approx(
        tuple(c.value for c in model.components), abs=1e-9
    )
    assert result.tau2 == pytest.approx(result.between + result.within)
    checked = robust(model)
    beside = found.dependence.robust  # type: ignore[union-attr]
    assert beside is not None
    assert beside.ci == pytest.approx(tuple(checked.ci[0]), abs=1e-9)
    assert beside.df == pytest.approx(float(checked.df[0]), abs=1e-6)
    assert result.prediction is not None
    assert result.prediction[0] < result.ci[0] < result.ci[1] < result.prediction[1]


def test_a_three_level_result_names_its_model_and_rho() -> None:
    found = one(rows_of(), **THREE)
    assert found.result is not None
    assert found.result.method() == "three-level model, REML, rho = 0.60, t interval"
    assert "rho = 0.60" in found.reason
    assert "σ² between studies = " in found.result.heterogeneity()
    assert found.result.summary().startswith("Standardised mean difference ")


def test_the_pool_is_made_again_for_each_rho_and_with_the_robust_interval() -> None:
    found = one(rows_of(), **THREE, sensitivity=["leave-one-out", "common-effect", "wald"])
    names = [s.name for s in found.sensitivities]
    assert names[:3] == [
        "cluster-robust CR2 interval",
        "rho = 0.30 between rows on the same people",
        "rho = 0.90 between rows on the same people",
    ]
    assert [n for n in names if n.startswith("without ")] == [
        "without Novak2000 (3 rows)",
        "without Novak2001",
        "without Novak2002 (2 rows)",
        "without Novak2003",
    ]
    low, high = (s.result for s in found.sensitivities if s.kind == "rho")
    assert low is not None
    assert high is not None
    assert low.estimate != high.estimate
    common = next(s.result for s in found.sensitivities if s.kind == "common-effect")
    assert common is not None
    assert (
        common.method() == "common effect with correlated sampling errors, rho = 0.60, t interval"
    )
    assert common.tau2 == 0


def test_with_one_row_a_study_three_levels_are_the_usual_two() -> None:
    rows = [trial(n, 0.3 * n) for n in range(5)]
    result = one(rows, **THREE).result
    usual = one(rows, interval="Wald").result
    assert isinstance(result, dependence.ThreeLevelPool)
    assert usual is not None
    assert result.estimate == pytest.approx(usual.estimate, abs=1e-6)
    assert result.tau2 == pytest.approx(usual.tau2, abs=1e-5)
    assert math.isnan(result.between)
    assert "each study has one row" in result.heterogeneity()


def test_rows_of_the_same_people_alone_are_shown_and_not_pooled() -> None:
    for plan in (THREE, COMBINED):
        found = one(rows_of({0: [0.3, 0.9, 0.6]}), **plan)
        assert (found.result, found.note_only) == (None, None)
        assert "all rows are on the same people" in found.reason
        assert len(found.estimates) == 3
        two = one(rows_of({0: [0.3, 0.9], 1: [0.2, 0.4]}), **plan)
        assert two.result is None
        assert two.note_only is not None
        assert two.reason.startswith("4 estimates of two groups of people")
        assert one([], **plan).dependence is None


# ---- combined first -----------------------------------------------------------------------------


def test_combined_rows_are_pooled_as_the_statistics_combine_them() -> None:
    found = one(rows_of(), **COMBINED)
    assert found.result is not None
    expected = pool(aggregate(effects_behind(found), rho=0.6))
    assert found.result.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert found.result.effects.study == (
        "Novak2000 (3 rows)",
        "Novak2001",
        "Novak2002 (2 rows)",
        "Novak2003",
    )
    assert any("rho = 0.60" in note for note in found.result.notes)
    assert found.reason.startswith(
        "pooled: rows on the same people combined first (rho = 0.60), then random effects, REML"
    )
    shared = dependence.weights(found)
    assert set(shared) == {e.row.effect_id for e in found.estimates}
    assert shared["Novak2000_1"] == shared["Novak2000_3"] == pytest.approx(expected.weights[0])


@given(st.floats(0, 0.95), st.lists(st.floats(-2, 2), min_size=2, max_size=5))
def test_equal_rows_combine_to_their_value_and_never_to_more_than_one_study(
    rho: float, others: list[float]
) -> None:
    """n copies have variance v (1 + (n - 1) rho)/n (Borenstein et al. 2009, ch. 24)."""
    means = {0: [0.5, 0.5, 0.5]} | {i + 1: [value] for i, value in enumerate(others)}
    found = one(rows_of(means), **{**COMBINED, "rho": rho, "rho_sensitivity": []})
    assert found.result is not None
    first = found.estimates[0]
    combined = found.result.effects
    assert combined.yi[0] == pytest.approx(first.yi)
    assert combined.vi[0] == pytest.approx(first.vi * (1 + 2 * rho) / 3)


# ---- checks -------------------------------------------------------------------------------------


def test_the_check_of_dependence_knows_the_plan() -> None:
    rows = rows_of()
    levels = [f.level for f in run(walks(), an_extraction(rows)) if f.check == "dependence"]
    assert set(levels) == {"error"}
    for plan in (THREE, COMBINED):
        found = run(walks(**plan), an_extraction(rows))
        assert not [f for f in found if f.check == "dependence"]
    apart = [dataclasses.replace(r, dependent_with=()) for r in rows[:2]]
    (told,) = (f for f in run(walks(**THREE), an_extraction(apart)) if f.check == "dependence")
    assert told.level == "note"
    assert "separate people" in told.message


# ---- end to end ---------------------------------------------------------------------------------

ARMS = {"n_1": "20", "sd_post_1": "1", "n_2": "20", "mean_post_2": "0", "sd_post_2": "1"}


def review(tmp_path: Path, plan: dict[str, Any], means: dict[int, list[float]] = MEANS) -> Path:
    """An invented review in files, as a person would write them."""
    text = INVENTED.replace('id = "invented"', 'id = "a-claim"')
    text = text.replace('id = "main"', 'id = "an-analysis"')
    text = text.replace('primary = "main"', 'primary = "an-analysis"')
    text = text.replace('sensitivity = ["pre-post-r"]', 'sensitivity = ["leave-one-out"]')
    assert text.count("an-analysis") == 2
    lines = [f"{key} = {json.dumps(value)}" for key, value in plan.items()]
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries/a-claim.toml").write_text(text + "\n".join(lines) + "\n")
    studies = [
        {
            "study_id": f"Novak{2000 + n}",
            "first_author": f"Novak {'ABCD'[n]}",
            "year": str(2000 + n),
            "doi": f"10.1000/{n}",
            "n_total": "40",
        }
        for n in means
    ]
    effects = [
        ARMS
        | {
            "effect_id": row.effect_id,
            "study_id": row.study_id,
            "route": "post_means",
            "tier": "A",
            "mean_post_1": str(row.mean_post_1),
            "timepoint": row.timepoint,
            "dependent_with": ";".join(row.dependent_with),
            "reported_significant": "unknown",
            "dispersion": "SD",
        }
        for row in rows_of(means)
    ]
    write_tables(tmp_path, studies=studies, effects=effects)
    return tmp_path


def typed(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *words])


@pytest.mark.parametrize("plan", [THREE, COMBINED], ids=["three-level", "aggregate"])
def test_a_review_with_rows_on_the_same_people_goes_all_the_way(
    tmp_path: Path, plan: dict[str, Any]
) -> None:
    root = review(tmp_path, plan)
    ran = typed(root, "check")
    assert ran.exit_code == 0, ran.output
    ran = typed(root, "update", "--offline")
    assert ran.exit_code == 0, ran.output
    assert "site: nothing changed" in typed(root, "update", "--offline").output

    (said,) = json.loads(typed(root, "-q", "pool", "--json").stdout)
    assert said["k"] == len(said["rows"]) == 7
    assert said["dependence"]["dependent"] == plan["dependent"]
    assert said["dependence"]["rho"] == 0.6
    assert "rho = 0.60" in said["method"]
    assert "rho = 0.60" in typed(root, "-q", "pool").stdout.replace("\n", " ")
    assert said["dependence"]["rho_source"] == RHO["rho_source"]
    assert said["dependence"]["rows_on_the_same_people"] == [
        ["Novak2000_1", "Novak2000_2", "Novak2000_3"],
        ["Novak2002_1", "Novak2002_2"],
    ]
    robust_ci = said["dependence"]["cluster_robust"]
    assert (robust_ci is not None) == (plan is THREE)

    page = lxml.html.parse(str(root / "site/claims/a-claim.html"))
    analysis = page.xpath("//*[@aria-labelledby='analysis-an-analysis']")[0]
    text = " ".join(analysis.text_content().split())
    assert "rho = 0.60" in text
    assert "An assumption of this test." in text
    assert "Rho = 0.30 between rows on the same people" in text
    assert "Rho = 0.90 between rows on the same people" in text
    assert ("Cluster-robust CR2 instead" in text) == (plan is THREE)
    anchors = set(page.xpath("//tr/@id"))
    table = analysis.xpath(".//*[@id='rows-an-analysis']/ancestor::table")[0]
    linked = [href.removeprefix("#") for href in table.xpath(".//tbody//a/@href")]
    assert linked == [f"row-{row.effect_id}" for row in rows_of()]
    assert set(linked) <= anchors

    data = root / "site/data/a-claim"
    facts = json.loads((data / "evidence.json").read_text())
    (found,) = facts["analyses"]
    assert [s["name"] for s in found["sensitivity"] if "rho" in s["name"]]
    assert facts["counts"]["people_in_primary_analysis"] == 160
    with (data / "evidence.csv").open() as file:
        lines = list(csv.DictReader(file))
    weights = [float(line["weight"]) for line in lines]
    if plan is THREE:
        assert sum(weights) == pytest.approx(1, abs=1e-5)
        assert not any(line["combined_with"] for line in lines if "combined_with" in line)
    else:
        assert weights[0] == weights[1] == weights[2]
        assert lines[0]["combined_with"] == "Novak2000_2; Novak2000_3"
        assert lines[3]["combined_with"] == ""


@pytest.mark.parametrize("plan", [THREE, COMBINED], ids=["three-level", "aggregate"])
@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ({0: [0.3, 0.9], 1: [0.2]}, "Uncertain: too few groups of people"),
        ({0: [0.3, 0.9, 0.6]}, "Uncertain: too few groups of people"),
        ({0: [0.3]}, "Uncertain: one study with numbers"),
    ],
)
def test_too_few_groups_of_people_are_shown_side_by_side(
    tmp_path: Path, plan: dict[str, Any], means: dict[int, list[float]], verdict: str
) -> None:
    root = review(tmp_path, plan, means)
    ran = typed(root, "update", "--offline")
    assert ran.exit_code == 0, ran.output
    assert verdict in ran.output
    text = (root / "site/claims/a-claim.html").read_text()
    assert all(f"row-{row.effect_id}" in text for row in rows_of(means))
    assert typed(root, "pool").exit_code == 0


def test_without_the_key_such_a_review_is_a_fault_with_file_and_line(tmp_path: Path) -> None:
    ran = typed(review(tmp_path, {}), "update", "--offline")
    assert ran.exit_code == 1
    assert "extracted/a-claim/effects.csv:3" in ran.output
    assert "shares people with Novak2000_1" in ran.output


def test_faults_of_the_key_are_named_with_their_line(tmp_path: Path) -> None:
    keys = {"dependent": "three-level", "tau2": "DL", "rho": 0.5}
    ran = typed(review(tmp_path, keys), "check")
    assert ran.exit_code == 1
    text = (tmp_path / "queries/a-claim.toml").read_text().splitlines()
    line = {key: n for n, t in enumerate(text, 1) for key in keys if t.startswith(f"{key} =")}
    assert f"queries/a-claim.toml:{line['dependent']}  plan.analyses.dependent" in ran.output
    assert "needs rho_source" in ran.output
    assert f"queries/a-claim.toml:{line['tau2']}  plan.analyses.tau2 = 'DL'" in ran.output


def test_the_forest_plot_shows_what_was_pooled_and_the_rows_behind_it(tmp_path: Path) -> None:
    root = review(tmp_path, COMBINED)
    assert typed(root, "plot").exit_code == 0
    svg = (root / "site/figures/a-claim/forest-an-analysis.svg").read_text()
    assert "Novak A 2000 (3 rows)" in svg
    assert "Rows on the same people, as extracted" in svg


def test_kinds_of_pictures_that_need_independent_estimates_say_so(tmp_path: Path) -> None:
    root = review(tmp_path, THREE)
    ran = typed(root, "plot", "--kind", "baujat", "--kind", "orchard", "--to", str(tmp_path / "p"))
    assert ran.exit_code == 0
    assert "no Baujat plot, which takes estimates as independent" in ran.output
    assert (tmp_path / "p/a-claim/orchard-an-analysis.png").is_file()


def test_numbers_of_the_page_are_those_of_the_result(tmp_path: Path) -> None:
    root = review(tmp_path, THREE)
    assert typed(root, "update", "--offline").exit_code == 0
    (said,) = json.loads(typed(root, "-q", "pool", "--json").stdout)
    text = (root / "site/claims/a-claim.html").read_text()
    low, high = said["ci"]
    assert f"{show(said['estimate'])}</a>" in text
    assert f"{show(low)} to {show(high)}" in text
    low, high = said["dependence"]["cluster_robust"]["ci"]
    assert f"{show(low)} to {show(high)}" in text
