"""How a pooled effect holds: each look, its sentence, and what cannot be said of few studies."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Sequence
from typing import Any

import lxml.html
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.model import AnalysisResult, EffectRow, Part
from evidence.robustness import LOOKS, NOT_ENOUGH
from evidence.site import render
from evidence.synthesis import analyse
from evidence.tables import evidence_json
from meta import contributions, influence, leave_one_out, pool, power_of_pool
from meta.bias import pustejovsky_rodgers
from meta.results import show
from meta.unmeasured import e_value
from tests import site_rows
from tests.rows import a_study, an_extraction
from tests.site_rows import analysis, claim
from tests.test_synthesis import before_after, trial, walks


def studies_of(rows: Sequence[EffectRow], **fields: Any) -> list[Any]:
    names = dict.fromkeys(row.study_id for row in rows)
    return [
        a_study(name, line, **{"year": 2000 + line, "first_author": f"N{line}", **fields})
        for line, name in enumerate(names, start=2)
    ]


def one(rows: Sequence[EffectRow], of: Any = None, **fields: Any) -> AnalysisResult:
    (found,) = analyse(of or walks(), an_extraction(rows, studies_of(rows, **fields)))
    return found


def looks(found: AnalysisResult) -> dict[str, Part]:
    return {part.key: part for part in found.robustness}


FIVE = [trial(n, mean) for n, mean in enumerate((0.2, 0.5, 1.6, 0.4, 0.9))]
TWELVE = [trial(n, 0.2 + 0.1 * (n % 5), n_1=10 + 3 * n, n_2=12 + 2 * n) for n in range(12)]


def test_every_pooled_analysis_has_every_look_and_nothing_else_has_one() -> None:
    assert list(looks(one(FIVE))) == list(LOOKS)
    assert one(FIVE[:2]).robustness == ()
    assert one(FIVE[:1]).robustness == ()
    assert one([]).robustness == ()
    assert one(FIVE, walks(pool=False, note="not now")).robustness == ()


def test_the_numbers_are_those_of_the_statistics() -> None:
    found = one(FIVE)
    assert found.result is not None
    effects, by = found.result.effects, looks(found)
    refits = leave_one_out(effects)
    assert [r["estimate"] for r in by["leave-one-out"].data] == refits.estimate.tolist()
    assert [r["cook"] for r in by["influence"].data] == pytest.approx(
        influence(effects, test=found.result.ci_method).cook.tolist()
    )
    assert [r["q_share"] for r in by["heterogeneity"].data] == pytest.approx(
        sorted(contributions(effects).q_share.tolist(), reverse=True)
    )
    for row in by["estimators"].data:
        again = pool(effects, tau2=row["tau2_method"])
        assert row["estimate"] == again.estimate
        assert row["wald_ci"] == list(again.wald_ci)
        assert row["knapp_hartung_ci"] == list(again.knapp_hartung_ci)
    assert [r["tau2_method"] for r in by["estimators"].data] == [
        *("REML", "ML", "PM", "DL", "SJ", "EB")
    ]
    low, high = found.result.prediction or (math.nan, math.nan)
    assert (by["prediction"].data[0]["low"], by["prediction"].data[0]["high"]) == (low, high)


def test_the_study_that_moves_the_estimate_most_is_named() -> None:
    part = looks(one(FIVE))["leave-one-out"]
    moved = max(part.data, key=lambda r: abs(r["shift"]))
    assert moved["label"] == "N4 2004"
    assert "the largest change is without N4 2004, from 0.69 to 0.48" in part.finding
    null = sum(r["ci_low"] <= 0 <= r["ci_high"] for r in part.data)
    assert part.finding.endswith(f"the interval includes no effect in {null} of 5.")
    assert len(part.cells) == 5


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=6))
def test_no_change_is_larger_than_the_one_that_is_named(means: list[float]) -> None:
    rows = [trial(n, mean) for n, mean in enumerate(means)]
    found = one(rows)
    part = looks(found)["leave-one-out"]
    top = max(part.data, key=lambda r: abs(r["shift"]))
    assert f"without {top['label']}, " in part.finding
    assert all(abs(r["shift"]) <= abs(top["shift"]) for r in part.data)
    for other in found.robustness:  # whatever the numbers, a sentence and never a bare nan
        assert other.finding.endswith(".")
        assert "nan" not in " ".join((other.finding, *sum(other.cells, ())))
        json.dumps([dict(r) for r in other.data], allow_nan=False)


def test_equal_effects_leave_nothing_to_share_out() -> None:
    by = looks(one([trial(n, 0.5) for n in range(4)]))
    assert by["heterogeneity"].finding.startswith("No heterogeneity")
    assert "the estimate is 0.49 throughout" in by["estimators"].finding
    forced = looks(one([trial(n, 0.5) for n in range(4)], walks(interval="Knapp-Hartung")))
    assert forced["influence"].computed
    assert forced["influence"].finding == "No study is influential."


def test_studies_are_added_in_the_order_of_their_years() -> None:
    rows = FIVE[::-1]
    found = one(rows)
    part = looks(found)["cumulative"]
    assert [r["year"] for r in part.data] == sorted(r["year"] for r in part.data)
    assert found.result is not None
    assert part.data[-1]["estimate"] == pytest.approx(found.result.estimate)
    assert part.cells[0][-2:] == ("undefined", "undefined")  # one study has no heterogeneity
    unseen = [dataclasses.replace(s, year=None) for s in studies_of(FIVE)]
    (missing,) = analyse(walks(), an_extraction(FIVE, unseen))
    part = looks(missing)["cumulative"]
    assert not part.computed
    assert part.cells == ()
    assert "the year of Novak2000" in part.finding


def test_the_year_since_which_the_interval_excludes_no_effect_is_named() -> None:
    steady = looks(one([trial(n, 1.0 + 0.01 * n) for n in range(4)]))["cumulative"]
    assert steady.finding.endswith("the interval has excluded no effect since N2 2002.")
    late = looks(one([trial(n, m) for n, m in enumerate((0.1, 0.9, 0.9, 0.9, 0.9))]))["cumulative"]
    since = [r["ci_low"] > 0 for r in late.data]
    first = next(i for i in range(5) if all(since[i:]))
    assert late.data[first]["label"] in late.finding


# Sterne et al. (2011), BMJ 343:d4002: no such tests below ten studies.
def test_small_study_tests_begin_at_ten_studies() -> None:
    few = looks(one(TWELVE[:9]))["small-study"]
    assert (few.finding, few.computed, few.data) == (NOT_ENOUGH, False, ())
    assert "Sterne et al. 2011, BMJ 343:d4002" in NOT_ENOUGH
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part = looks(one(TWELVE))["small-study"]
    assert part.computed
    assert [r["method"] for r in part.data] == [
        "Pustejovsky and Rodgers’ test",
        "Rank correlation",
        "Trim and fill",
        "PET-PEESE",
        "Henmi-Copas",
    ]
    found = one(TWELVE)
    assert found.result is not None
    test = pustejovsky_rodgers(
        found.result.effects, [r.n_1 for r in TWELVE], [r.n_2 for r in TWELVE]
    )
    assert part.data[0]["p"] == test.p


def test_standardised_differences_without_group_sizes_get_the_test_with_its_warning() -> None:
    rows = [before_after(n, n_1=10 + 2 * n, mean_post_1=5.5 + 0.1 * (n % 4)) for n in range(10)]
    part = looks(one(rows, walks(measure="SMCR", design="pre-post, one arm", decides=False)))
    assert part["small-study"].data[0]["method"] == "Egger’s test"


def test_power_is_of_the_plans_smallest_effect_and_only_where_there_is_one() -> None:
    assert looks(one(FIVE))["power"].finding == (
        "Power is not computed: the plan names no smallest effect."
    )

    def with_smallest(measure: str, **plan: Any) -> Any:
        return claim(
            "a-claim",
            "Walking",
            "Walking helps.",
            primary="an-analysis",
            analyses=[analysis("an-analysis", "Walking against nothing")],
            smallest_effect={"value": 0.4, "measure": measure, "source": "a convention"},
            **plan,
        )

    found = one(FIVE, with_smallest("SMD"))
    part = looks(found)["power"]
    assert found.result is not None
    expected = power_of_pool(found.result.effects, 0.4, test="Knapp-Hartung")
    assert part.data[0]["power"] == expected.power
    assert f"(SMD 0.40): {expected.power:.0%} for the pool" in part.finding
    against = looks(one(FIVE, with_smallest("SMD", supports="negative")))["power"]
    assert "(SMD −0.40)" in against.finding
    assert not looks(one(FIVE, with_smallest("MD")))["power"].computed


@pytest.mark.parametrize(
    ("design", "randomised"),
    [
        ("rct", True),
        ("randomised trial", True),
        ("cluster-randomized controlled trial", True),
        ("cohort", False),
        ("non-randomised trial", False),
        ("not randomised", False),
        ("quasi-randomised", False),
    ],
)
def test_an_e_value_is_of_studies_that_are_not_randomised(design: str, randomised: bool) -> None:
    part = looks(one(FIVE, design=design))["e-value"]
    assert part.computed is not randomised
    assert ("every study is randomised" in part.finding) is randomised


def test_the_e_value_is_that_of_the_pool_and_undefined_without_a_comparison() -> None:
    found = one(FIVE, design="cohort")
    assert found.result is not None
    expected = e_value(found.result)
    part = looks(found)["e-value"]
    assert part.data[0]["point"] == expected.point
    assert part.finding.startswith(f"E-value {show(expected.point)} (")
    uncontrolled = walks(measure="SMCR", design="pre-post, one arm", decides=False)
    rows = [before_after(n) for n in range(3)]
    part = looks(one(rows, uncontrolled, design="pre-post"))["e-value"]
    assert not part.computed
    assert "no comparison to be confounded" in part.finding


def test_one_common_effect_has_no_prediction_interval() -> None:
    part = looks(one(FIVE, walks(model="common")))["prediction"]
    assert not part.computed
    assert "not defined under one common effect" in part.finding


# ---- on the page and in JSON --------------------------------------------------------------------


@pytest.fixture(scope="module")
def row() -> Any:
    """The five walks of the site's tests, pooled by the statistics themselves."""
    known = site_rows.rows()[0]
    plan = walks()
    found = one(FIVE, plan)
    return dataclasses.replace(
        known,
        claim=plan,
        extraction=an_extraction(FIVE, studies_of(FIVE)),
        analyses=(found,),
        direction_rows=(),
        retracted=(),
    )


def test_the_page_folds_each_table_under_its_sentence(row: Any) -> None:
    page = render([row], {}, on=site_rows.DAY, version="1")["claims/a-claim.html"]
    tree = lxml.html.document_fromstring(page)
    section = tree.xpath("//*[@aria-labelledby='analysis-an-analysis']")[0]
    parts = row.analyses[0].robustness
    folded = section.xpath(".//details[@class='look']")
    said = [" ".join(d.xpath("./summary")[0].text_content().split()) for d in folded]
    assert said == [p.finding for p in parts if p.cells]
    assert not any(d.get("open") is not None for d in folded)
    for details, part in zip(folded, (p for p in parts if p.cells), strict=True):
        (table,) = details.xpath(".//table")
        assert len(table.xpath("./tbody/tr")) == len(part.cells)
        assert len(table.xpath("./thead/tr/th")) == len(part.heads)
        region = details.xpath(".//*[@role='region']")[0]
        assert region.get("aria-labelledby") == table.xpath("./caption/@id")[0]
    silent = [p.finding for p in parts if not p.computed]
    assert section.xpath(".//ul[contains(@class, 'not-computed')]/li/text()") == silent
    assert len(tree.xpath("//@id")) == len(set(tree.xpath("//@id")))


def test_the_json_gives_every_look_with_its_numbers(row: Any) -> None:
    facts = json.loads(json.dumps(evidence_json(row), allow_nan=False))
    (found,) = facts["analyses"]
    assert [p["look"] for p in found["robustness"]] == list(LOOKS)
    first = found["robustness"][0]
    assert first["finding"].startswith("Leaving out one study at a time")
    assert len(first["rows"]) == 5
    silent = next(p for p in found["robustness"] if p["look"] == "small-study")
    assert (silent["computed"], silent["rows"]) == (False, [])


def test_an_analysis_that_is_not_pooled_says_nothing_of_robustness() -> None:
    facts = evidence_json(site_rows.rows()[3])
    assert all("robustness" not in a and "dependence" not in a for a in facts["analyses"])


def test_one_study_that_dominates_is_flagged() -> None:
    rows = [*FIVE[:4], trial(9, 3.0, n_1=400, n_2=400)]
    part = looks(one(rows))["influence"]
    marked = [r["study"] for r in part.data if r["influential"]]
    assert marked
    assert all(name in part.finding for name in marked)
    assert np.isfinite([r["cook"] for r in part.data]).all()


def test_a_measure_without_a_value_of_no_effect_is_not_held_against_one() -> None:
    found = one(FIVE, walks(measure="PLO"))  # log odds of one group; the numbers do not matter
    assert math.isnan(found.result.effects.measure.null)  # type: ignore[union-attr]
    said = " ".join(part.finding for part in found.robustness if part.computed)
    assert "no effect" not in said
    assert "the largest change is without" in said
