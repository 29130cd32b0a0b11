"""Rows of a claim become estimates, pools and reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.claims import Claim
from evidence.errors import SchemaError
from evidence.model import AnalysisResult, EffectRow
from evidence.synthesis import analyse
from tests.rows import a_row, a_study, an_extraction
from tests.site_rows import analysis, claim


def walks(**of_analysis: Any) -> Claim:
    plan = analysis("an-analysis", "Walking against nothing", **of_analysis)
    return claim("a-claim", "Walking", "Walking helps.", primary="an-analysis", analyses=[plan])


def trial(number: int, mean: float = 1.0, **fields: Any) -> EffectRow:
    """Two arms of 20 with unit SDs."""
    arms = {"n_1": 20, "mean_post_1": mean, "sd_post_1": 1.0} | {
        "n_2": 20,
        "mean_post_2": 0.0,
        "sd_post_2": 1.0,
    }
    known = {"route": "post_means", "study_id": f"Novak{2000 + number}", "tier": "A"}
    return a_row(f"Novak{2000 + number}_1", number + 2, **(arms | known | fields))


def before_after(number: int, **fields: Any) -> EffectRow:
    """One arm of 20 that gains one SD."""
    arm = {"n_1": 20, "mean_pre_1": 5.0, "sd_pre_1": 1.0, "mean_post_1": 6.0, "sd_post_1": 1.0}
    known = {"route": "pre_post", "study_id": f"Novak{2000 + number}"}
    return a_row(f"Novak{2000 + number}_1", number + 2, **(arm | known | fields))


def one(rows: Sequence[EffectRow], of: Claim | None = None, **changes: Any) -> AnalysisResult:
    (result,) = analyse(of or walks(), an_extraction(rows), **changes)
    return result


def test_three_studies_are_pooled_and_the_reason_names_the_choices() -> None:
    result = one([trial(0, 0.2), trial(1, 0.8), trial(2, 1.6)])
    assert result.result is not None
    assert result.result.effects.k == 3
    assert result.reason.startswith("pooled: random effects, REML, Knapp-Hartung")
    assert [e.row.effect_id for e in result.estimates] == [
        f"Novak{y}_1" for y in (2000, 2001, 2002)
    ]


def test_two_studies_stand_side_by_side_and_their_pool_is_a_note() -> None:
    result = one([trial(0), trial(1)])
    assert result.result is None
    assert result.note_only is not None
    assert result.note_only.effects.k == 2
    assert "side by side" in result.reason


def test_one_study_is_shown_as_it_is() -> None:
    result = one([trial(0)])
    assert (result.result, result.note_only) == (None, None)
    assert result.reason == "one study: shown as it is, nothing to pool"


def test_no_number_at_all_is_an_answer_in_words() -> None:
    result = one([a_row("Novak2001_1", study_id="Novak2001", direction="positive")])
    assert result.estimates == ()
    assert result.reason == (
        "no effect size can be computed from what was reported; "
        "1 study of this question is known without usable numbers"
    )
    assert one([]).reason == "no effect size can be computed from what was reported"


def test_rows_without_numbers_stay_with_the_reason() -> None:
    silent = a_row("Novak2009_1", 11, study_id="Novak2009")
    aside = trial(3, role="context", assumption="another population")
    result = one([trial(0), trial(1), trial(2), silent, aside])
    assert [(row.effect_id, why) for row, why in result.unusable] == [
        ("Novak2009_1", "only the direction or the significance was reported"),
        ("Novak2003_1", "context: another population"),
    ]
    assert len(result.estimates) == 3


def test_a_retracted_study_leaves_and_says_why() -> None:
    result = one([trial(n) for n in range(4)], retracted={"Novak2003"})
    assert len(result.estimates) == 3
    assert result.unusable[0][1] == "the paper was retracted; it left the analysis"
    assert result.directions is not None
    assert result.directions.unknown == 3


def test_two_rows_on_the_same_people_in_one_pool_are_an_error() -> None:
    rows = [trial(0), trial(1, dependent_with=("Novak2000_1",)), trial(2)]
    with pytest.raises(SchemaError, match="count the same people twice") as fault:
        one(rows)
    assert fault.value.places == (
        "extracted/a-claim/effects.csv:3  Novak2001_1 shares people with Novak2000_1",
    )


def test_two_rows_of_one_study_get_labels_of_their_own() -> None:
    study = a_study("Novak2001", first_author="Novák", year=2001)
    rows = [
        trial(1, name_1="hills"),
        replace(trial(1, name_1="plains"), effect_id="Novak2001_2"),
        replace(trial(1, name_1="plains"), effect_id="Novak2001_3"),
    ]
    (result,) = analyse(walks(), an_extraction(rows, [study]))
    labels = [e.label for e in result.estimates]
    assert labels == [
        "Novák 2001 (Novak2001_1)",
        "Novák 2001 (Novak2001_2)",
        "Novák 2001 (Novak2001_3)",
    ]
    two, _ = analyse(walks(), an_extraction(rows[:2], [study]))[0].estimates
    assert two.label == "Novák 2001 (hills)"


def test_a_stated_correlation_goes_before_the_assumed_one() -> None:
    plan = walks(measure="SMCR", design="pre-post, one arm", decides=False)
    stated = one([before_after(0, r_pre_post=0.9)], plan).estimates[0]
    assumed = one([before_after(0)], plan).estimates[0]
    assert (stated.r, assumed.r) == (0.9, 0.6)
    assert stated.vi < assumed.vi
    assert stated.yi == assumed.yi


def test_without_any_correlation_the_plan_is_asked_for_one() -> None:
    plan = walks(measure="SMCR", design="pre-post, one arm", decides=False, outcome_group="mood")
    with pytest.raises(SchemaError, match="needs a pre-post correlation") as fault:
        one([before_after(0)], plan)
    assert "outcome = 'mood'" in fault.value.remedy


@given(st.floats(0.05, 0.95))
def test_change_and_raw_standardised_effects_meet_only_by_r(r: float) -> None:
    plan = walks(measure="SMCR", design="pre-post, one arm", decides=False)
    row = a_row(
        "Novak2000_1",
        route="one_arm_change",
        n_1=20,
        mean_change_1=1.0,
        sd_change_1=1.0,
        r_pre_post=r,
    )
    raw = one([row], plan).estimates[0]
    change = one(
        [row],
        walks(measure="SMCC", design="pre-post, one arm", decides=False, standardiser="change SD"),
    ).estimates[0]
    assert raw.yi == pytest.approx(change.yi * math.sqrt(2 * (1 - r)))
    assert raw.vi == pytest.approx(change.vi * 2 * (1 - r))


def test_an_analysis_that_must_not_pool_does_not() -> None:
    result = one([trial(n) for n in range(3)], walks(pool=False, note="three regions"))
    assert (result.result, result.note_only) == (None, None)
    assert result.reason == "shown side by side, not pooled: three regions"


def test_planned_sensitivity_analyses_are_run_once_each() -> None:
    kinds = [
        "leave-one-out",
        "all-rows",
        "common-effect",
        "tau2-dl",
        "tau2-pm",
        "wald",
        "fully-reported",
        "heteroscedastic-variance",
    ]
    rows = [trial(n, 0.3 * n) for n in range(4)] + [trial(7, role="sensitivity", tier="C")]
    result = one(rows, walks(sensitivity=kinds))
    names = [s.name for s in result.sensitivities]
    assert sum(name.startswith("without ") for name in names) == 4
    assert len(names) == 4 + len(kinds) - 1
    together = next(s for s in result.sensitivities if s.kind == "all-rows")
    assert together.k == 5
    common = next(s for s in result.sensitivities if s.kind == "common-effect")
    assert common.result is not None
    assert common.result.model == "common"


def test_other_correlations_change_only_rows_without_a_stated_one() -> None:
    plan = walks(
        measure="SMCR", design="pre-post, one arm", decides=False, sensitivity=["pre-post-r"]
    )
    rows = [before_after(0), before_after(1, r_pre_post=0.6), before_after(2)]
    result = one(rows, plan)
    assert [s.name for s in result.sensitivities] == [
        "pre-post r = 0.40 where assumed",
        "pre-post r = 0.80 where assumed",
    ]
    low, high = (s.result.effects.vi for s in result.sensitivities if s.result is not None)
    assert low[0] > high[0]
    assert low[1] == high[1]


def test_subgroups_are_pooled_where_a_level_has_two_studies() -> None:
    rows = [trial(n, 0.4 * n, exercise="interval" if n < 3 else "sprint") for n in range(4)]
    result = one(rows, walks(subgroups=["exercise"]))
    assert [(column, level) for column, level, _ in result.subgroups] == [("exercise", "interval")]
