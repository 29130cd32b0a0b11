"""Further pictures of a pooled analysis, and pools with another estimator or interval."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from evidence.errors import UnknownName
from evidence.kinds import FOREST, KINDS, drawings
from evidence.model import EvidenceRow
from evidence.steps import choices
from evidence.synthesis import analyse
from meta import pool
from tests import site_rows
from tests.rows import an_extraction
from tests.site_rows import analysis, claim
from tests.test_dependence import COMBINED, THREE, review, rows_of, typed
from tests.test_robustness import FIVE, TWELVE, studies_of
from tests.test_synthesis import walks

SMALLEST = {"value": 0.4, "measure": "SMD", "source": "a convention"}


def a_claim(rows: Any, *, smallest: bool = True, **plan: Any) -> EvidenceRow:
    of = claim(
        "a-claim",
        "Walking",
        "Walking helps.",
        primary="an-analysis",
        analyses=[analysis("an-analysis", "Walking against nothing", **plan)],
        **({"smallest_effect": SMALLEST} if smallest else {}),
    )
    extraction = an_extraction(rows, studies_of(rows))
    known = site_rows.rows()[0]
    return dataclasses.replace(
        known, claim=of, extraction=extraction, analyses=analyse(of, extraction)
    )


@pytest.mark.parametrize("key", KINDS)
def test_every_kind_is_drawn_of_twelve_studies(key: str) -> None:
    (drawing,) = drawings(a_claim(TWELVE), [key])
    assert drawing.draw is not None
    assert drawing.name == f"{key}-an-analysis"
    page = drawing.draw()
    assert page.heading
    assert len(page.alt) > 20


@pytest.mark.parametrize("key", KINDS)
def test_every_kind_says_how_many_studies_it_needs(key: str) -> None:
    least = KINDS[key].least
    row = a_claim(TWELVE[: max(3, least - 1)])
    (drawing,) = drawings(row, [key])
    if least <= 3:
        assert drawing.draw is not None
        return
    assert drawing.draw is None
    assert drawing.why_not == (
        f"a-claim an-analysis: no {KINDS[key].label}, which needs {least} estimates, and there "
        f"are {least - 1}"
    )


def test_what_is_not_pooled_is_said_once_for_all_kinds() -> None:
    found = list(drawings(a_claim(FIVE[:2]), ["funnel", "radial", FOREST]))
    assert [d.why_not for d in found if d.draw is None] == [
        "a-claim an-analysis: nothing is pooled, so that only a forest plot can be drawn"
    ]
    assert "forest-an-analysis" in [d.name for d in found]


def test_a_picture_that_lacks_a_fact_names_it() -> None:
    row = a_claim(FIVE, smallest=False)
    (sunset,) = drawings(row, ["sunset"])
    assert "the plan names no smallest effect of interest" in sunset.why_not
    unseen = [dataclasses.replace(s, year=None) for s in row.extraction.studies[:1]]
    extraction = an_extraction(FIVE, [*unseen, *row.extraction.studies[1:]])
    row = dataclasses.replace(row, analyses=analyse(row.claim, extraction))
    (cumulative,) = drawings(row, ["cumulative"])
    assert "since the year of Novak2000 was not seen" in cumulative.why_not


def test_rows_of_one_study_stand_only_where_that_is_sound() -> None:
    row = a_claim(rows_of(), **THREE)
    drawn = {d.name for d in drawings(row, list(KINDS)) if d.draw is not None}
    assert drawn == {"funnel-an-analysis", "orchard-an-analysis"}
    combined = a_claim(rows_of(), **COMBINED)
    again = {d.name for d in drawings(combined, ["baujat", "cumulative", "gosh"]) if d.draw}
    assert len(again) == 3


def test_an_unknown_kind_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="funnle"):
        list(drawings(a_claim(FIVE), ["funnle"]))
    root = review(tmp_path, COMBINED)
    ran = typed(root, "plot", "--kind", "funnle")
    assert ran.exit_code == 1
    assert "did you mean 'funnel'?" in ran.output
    assert not (root / "site").exists()


def test_the_command_draws_to_a_folder_and_says_what_it_cannot(tmp_path: Path) -> None:
    root, folder = review(tmp_path, COMBINED), tmp_path / "pictures"
    words = ("plot", "--kind", "radial", "--kind", "trim-and-fill", "--to", str(folder))
    ran = typed(root, *words)
    assert ran.exit_code == 0, ran.output
    assert sorted(p.name for p in folder.rglob("*.*")) == [
        f"radial-an-analysis.{kind}" for kind in ("pdf", "png", "svg")
    ]
    assert "needs 10 estimates, and there are 4" in ran.stderr
    assert "needs 10" not in ran.stdout
    nothing = typed(root, "plot", "--kind", "trim-and-fill", "--to", str(folder))
    assert nothing.exit_code == 1


# ---- other choices for once ---------------------------------------------------------------------


def test_choices_are_known_names_in_the_writing_of_the_statistics() -> None:
    assert choices() == {}
    assert choices(tau2="dl", ci="wald") == {"tau2": "DL", "interval": "Wald"}
    assert choices(ci="knapp-hartung") == {"interval": "Knapp-Hartung"}
    with pytest.raises(UnknownName, match="tau2 estimator"):
        choices(tau2="REMLL")


def test_a_pool_with_another_estimator_is_no_verdict_and_writes_nothing(tmp_path: Path) -> None:
    root = review(tmp_path, COMBINED)
    planned = json.loads(typed(root, "-q", "pool", "--json").stdout)[0]
    ran = typed(root, "-q", "pool", "--json", "--tau2", "dl", "--ci", "Wald")
    (changed,) = json.loads(ran.stdout)
    assert "REML" in planned["method"]
    assert changed["method"].endswith("random effects, DL, Wald")
    assert changed["tau2"] != planned["tau2"]
    text = typed(root, "-q", "pool", "--tau2", "DL").stdout
    assert "Not as planned (tau2 = DL): no verdict." in text
    assert "balls dropped" not in text.split("Not as planned")[1]
    assert not (root / "site").exists()


def test_a_choice_that_a_three_level_model_has_no_form_of_is_a_fault(tmp_path: Path) -> None:
    root = review(tmp_path, THREE)
    for words in (("--tau2", "DL"), ("--ci", "knapp-hartung")):
        ran = typed(root, "pool", *words)
        assert ran.exit_code == 1
        assert "analysis 'an-analysis' is a three-level model" in ran.output


def test_the_changed_pool_is_that_of_the_statistics() -> None:
    (found,) = analyse(walks(tau2="DL", interval="Wald"), an_extraction(FIVE))
    assert found.result is not None
    again = pool(found.result.effects, tau2="DL", ci="Wald")
    assert (found.result.estimate, found.result.ci) == (again.estimate, again.ci)
