"""How the mean of a three-level model holds, and what is not computed for it."""

from __future__ import annotations

from typing import Any

from evidence import dependence
from evidence.model import Part
from evidence.robustness.parts import Column, Subject, effect_columns, part, words

INDEPENDENT = (
    "Not computed: other estimators of τ², studies added by year, influence, contributions to "
    "heterogeneity, power and tests for small-study effects. They take estimates as independent, "
    "and here rows share studies."
)


def expected(s: Subject) -> Part:
    """Where the true effect of a new row in a new study lies."""
    if s.result.prediction is None:
        return words("prediction", "A prediction interval needs three studies.")
    low, high = s.result.prediction
    return words(
        "prediction",
        f"The true effect of a new row in a new study is expected from {s.ci(low, high)} "
        f"({s.result.prediction_method}){s.verdict(low, high)}.",
        computed=True,
        data=({"method": s.result.prediction_method, "low": low, "high": high},),
    )


def others(s: Subject) -> Part:
    """What is left out, and why."""
    return words("other", INDEPENDENT)


def without_each_study(s: Subject) -> Part:
    """Each study left out once with all its rows; the largest change is named."""
    estimates = [e for unit in s.units for e in unit]
    groups = dependence.studies(estimates)
    rows: list[dict[str, Any]] = []
    for name, group in zip(dependence.unit_labels(groups), groups, strict=True):
        rest = [e for e in estimates if e not in group]
        found = dependence.pooled(s.plan, rest)
        low, high = found.ci
        rows.append(
            {
                "label": name,
                "k": len(rest),
                "estimate": found.estimate,
                "se": found.se,
                "ci_low": low,
                "ci_high": high,
                "tau2": found.tau2,
                "i2": found.i2,
                "shift": found.estimate - s.result.estimate,
            }
        )
    top = max(rows, key=lambda r: abs(r["shift"]))
    intervals = [(r["ci_low"], r["ci_high"]) for r in rows]
    finding = (
        f"Leaving out one study at a time with all its rows: the largest change is without "
        f"{top['label']}, from {s.value(s.result.estimate)} to {s.value(top['estimate'])}"
        f"{s.tally(intervals)}."
    )
    columns: list[Column] = [
        ("Left out", lambda r: str(r["label"]), False),
        ("Rows left", lambda r: str(r["k"]), True),
        *effect_columns(s),
    ]
    return part("leave-one-out", finding, "Without each study in turn", columns, rows)
