"""The verdict never says more than the numbers do."""

from __future__ import annotations

from typing import Any

import pytest

from evidence.claims import Claim
from evidence.model import EffectRow, Verdict
from evidence.synthesis import analyse
from evidence.verdict import judge
from tests.rows import a_row, an_extraction
from tests.site_rows import analysis, claim
from tests.test_synthesis import before_after, trial


def plan_of(supports: str = "positive", **of: Any) -> Claim:
    smallest = of.pop("smallest_effect", {"source": "the field names none"})
    missing = of.pop("missing", [])
    return claim(
        "a-claim",
        "Walking",
        "Walking helps.",
        primary="an-analysis",
        analyses=[analysis("an-analysis", "Walking against nothing", **of)],
        supports=supports,
        smallest_effect=smallest,
        missing=missing,
    )


def verdict(rows: list[EffectRow], of: Claim | None = None) -> Verdict:
    of = of or plan_of()
    return judge(of, analyse(of, an_extraction(rows)))


def silent(number: int, **fields: Any) -> EffectRow:
    return a_row(
        f"Novak{number}_1",
        study_id=f"Novak{number}",
        **({"reported_significant": "no"} | fields),
    )


def test_a_robust_pool_beyond_no_effect_supports_the_claim() -> None:
    said = verdict([trial(n, 1.0) for n in range(4)], plan_of(sensitivity=["leave-one-out"]))
    assert said.level == "supported"
    assert said.sentence.startswith("In 4 studies (160 people), the pooled standardised mean")


def test_the_direction_of_support_is_the_plans() -> None:
    rows = [trial(n, 1.0) for n in range(4)]
    assert verdict(rows, plan_of(supports="negative")).level == "against"


def test_an_interval_over_no_effect_is_uncertain() -> None:
    said = verdict([trial(n, mean) for n, mean in enumerate((-1.0, 0.1, 1.0))])
    assert said.level == "uncertain"
    assert "includes no effect" in said.sentence


def test_an_interval_short_of_the_smallest_effect_is_against_the_claim() -> None:
    smallest = {"value": 2.5, "measure": "SMD", "source": "an invented survey"}
    said = verdict([trial(n, 1.0) for n in range(4)], plan_of(smallest_effect=smallest))
    assert (said.level, said.headline) == ("against", "Too small to matter")
    assert "2.50" in said.sentence


def test_a_smallest_effect_in_another_measure_is_not_applied() -> None:
    smallest = {"value": 2.5, "measure": "MD", "source": "an invented survey"}
    of = plan_of(smallest_effect=smallest)
    assert verdict([trial(n, 1.0) for n in range(4)], of).level == "supported"


def test_missing_results_keep_a_significant_pool_uncertain_and_say_overestimates() -> None:
    rows = [trial(n, 1.0) for n in range(3)] + [silent(n) for n in (2011, 2012, 2013)]
    said = verdict(rows)
    assert said.level == "uncertain"
    assert "3 studies of the same question give no usable number against 3 that do" in said.sentence
    assert "likely overestimates" in said.sentence
    assert any(
        "3 of the results listed were reported as not significant" in c for c in said.caveats
    )
    few = verdict(rows[:-1])
    assert few.level == "supported"
    assert any("likely overestimates" in c for c in few.caveats)


def test_a_pool_that_one_study_carries_is_not_robust() -> None:
    rows = [trial(0, 0.62), trial(1, 0.3), trial(2, 0.3), trial(3, 0.3)]
    said = verdict(rows, plan_of(sensitivity=["leave-one-out"]))
    assert said.level == "uncertain"
    assert "does not hold in 1 planned sensitivity analysis (without Novak2000)" in said.sentence


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_studies_never_settle_a_claim(k: int) -> None:
    said = verdict([trial(n, 3.0) for n in range(k)])
    assert said.level == "uncertain"
    assert said.headline.startswith("Uncertain: ")


def test_no_number_is_not_testable_and_tells_the_directions() -> None:
    said = verdict([silent(2011, direction="positive"), silent(2012)])
    assert said.level == "not testable"
    assert "1 toward the claim, 0 against it, 1 of unknown direction" in said.sentence


def test_an_uncontrolled_comparison_never_supports_however_large() -> None:
    of = plan_of(measure="SMCR", design="pre-post, one arm", decides=False)
    said = verdict([before_after(n) for n in range(6)], of)
    assert said.level == "uncertain"
    assert "an uncontrolled comparison cannot support the claim" in said.sentence


def test_results_named_as_missing_and_assumptions_are_caveats() -> None:
    rows = [trial(0), trial(1), trial(2, assumption="± read as SD")]
    said = verdict(rows, plan_of(missing=["Novák 2019: the second arm."]))
    assert "Missing: Novák 2019: the second arm." in said.caveats
    assert "1 of 3 estimates rests on an assumption named in its row." in said.caveats


def test_a_prediction_interval_over_no_effect_is_said() -> None:
    rows = [trial(n, mean) for n, mean in enumerate((0.3, 0.8, 1.2, 1.9, 0.6))]
    said = verdict(rows)
    assert any(c.startswith("The prediction interval includes no effect") for c in said.caveats)
