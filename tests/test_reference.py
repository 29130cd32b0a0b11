"""Every case of the reference file that the models built so far answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference import counts, univariate
from tests.reference.__main__ import EFFECT_SIZES, judge
from tests.reference.metafor_cases import load


@pytest.mark.shared
@pytest.mark.parametrize("function", [*EFFECT_SIZES, *univariate.ANSWER, *counts.FUNCTIONS])
def test_every_case_agrees_or_differs_by_a_proven_rule(shared: Path, function: str) -> None:
    cases = [c for c in load(shared / "reference/metafor_dev.json.gz") if c.function == function]
    assert cases, f"the file has no case of {function}"
    failed = [
        f"{case.id}  {detail}"
        for case in cases
        for verdict, detail in [judge(case)]
        if verdict == "failed"
    ]
    assert failed == []
