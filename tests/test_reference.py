"""Every case of the reference file that the models built so far answer."""

from __future__ import annotations

import decimal
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from meta.measures import given as given_effects
from meta.regression import regress
from tests.reference import counts, exact, robust, univariate
from tests.reference.__main__ import EFFECT_SIZES, judge, run
from tests.reference.metafor_cases import load
from tests.test_tau2 import data


@pytest.mark.shared
@pytest.mark.parametrize(
    "function", [*EFFECT_SIZES, *univariate.ANSWER, *counts.FUNCTIONS, *robust.FUNCTIONS, "rma.mv"]
)
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


def test_a_case_that_cannot_be_computed_counts_as_failed_and_hides_no_other(tmp_path: Path) -> None:
    def case(name: str, measure: str) -> dict[str, object]:
        return {
            "id": name,
            "dataset": "made up",
            "function": "escalc",
            "arguments": {"measure": measure},
            "inputs": {"pool": "p"},
            "expected": {"yi": [0.0], "vi": [1.0]},
            "tol": {"rtol": 1e-10, "atol": 1e-12},
        }

    content = {
        "meta": {"schema": "meta-ref/1"},
        "pools": {"p": {"yi": [0.0], "vi": [1.0], "mi": [0.0], "sdi": [2.0], "ni": [4]}},
        "cases": [case("unknown", "NO SUCH"), case("known", "MN")],
    }
    path = tmp_path / "cases.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    tally, failed, _ = run(path)
    assert tally["escalc"] == {"failed": 1, "passed": 1}
    assert len(failed) == 1
    assert failed[0].startswith("unknown  KeyError")


# The arithmetic that proves a difference must itself be right: two ways to the same numbers.
@settings(max_examples=20, deadline=None)
@given(sample=data(least=3, most=8), method=st.sampled_from(["EE", "DL", "HE", "SJ", "PM"]))
def test_sixty_digits_and_doubles_agree(sample: tuple[Any, Any], method: str) -> None:
    ours = regress(
        given_effects(*sample),
        **({"model": "common"} if method == "EE" else {"tau2": method}),
    )
    with decimal.localcontext(exact.decimal_context):
        right = exact.model(exact.Data.of(*sample), method, "z", ours.tau2, 0.0)
    assert ours.tau2 == approx(right["tau2"], rel=1e-8, abs=1e-10 * float(sample[1].max()))
    assert ours.q == approx(right["QE"], rel=1e-9, abs=1e-12)
    if ours.tau2 > 1e-6 * sample[1].max():
        assert ours.beta == approx(right["beta"], rel=1e-7, abs=1e-9)
        assert ours.tau2_se == approx(right["se_tau2"], rel=1e-6, nan_ok=True)
