"""The same studies under other choices: estimator, interval, the effect of a new study."""

from __future__ import annotations

from typing import Any

from evidence.errors import ToolkitError
from evidence.model import Part
from evidence.robustness.parts import Column, Subject, capital, part, words
from meta.pooling import pool
from meta.results import show
from meta.tau2 import TAU2

ESTIMATORS = ("REML", "ML", "PM", "DL", "SJ", "EB")


def estimators(s: Subject) -> Part:
    """The same studies under other estimators of tau2 and both intervals."""
    rows: list[dict[str, Any]] = []
    notes = []
    for key in ESTIMATORS:
        try:
            found = pool(s.effects, tau2=key, level=s.result.level)
        except ToolkitError as fault:
            notes.append(f"{key} gives no estimate: {fault.problem}.")
            continue
        rows.append(
            {
                "tau2_method": key,
                "name": TAU2[key].label,
                "tau2": found.tau2,
                "i2": found.i2,
                "estimate": found.estimate,
                "wald_ci": found.wald_ci,
                "knapp_hartung_ci": found.knapp_hartung_ci,
            }
        )
    mids = [r["estimate"] for r in rows]
    intervals = [r[ci] for r in rows for ci in ("wald_ci", "knapp_hartung_ci")]
    low, high = s.value(min(mids)), s.value(max(mids))
    runs = f"the estimate is {low} throughout"
    if low != high:
        runs = f"the estimate runs from {low} to {high}"
    finding = f"Other estimators of τ² and other intervals: {runs}{s.tally(intervals, each=True)}."
    columns: list[Column] = [
        ("Estimator of τ²", lambda r: f"{capital(r['name'])} ({r['tau2_method']})", False),
        ("τ²", lambda r: show(r["tau2"], 3), True),
        ("I²", lambda r: f"{r['i2']:.0%}", True),
        ("Effect", lambda r: s.value(r["estimate"]), True),
        ("Wald", lambda r: s.ci(*r["wald_ci"]), False),
        ("Knapp-Hartung", lambda r: s.ci(*r["knapp_hartung_ci"]), False),
    ]
    caption = f"Random effects by six estimators, with two {s.result.level:.0%} intervals"
    return part("estimators", finding, caption, columns, rows, tuple(notes))


def prediction(s: Subject) -> Part:
    """Where the effect of a new study is expected, by both forms, each named."""
    if s.result.model == "common":
        return words("prediction", "A prediction interval is not defined under one common effect.")
    rows = []
    for form in ("HTS", "metafor"):
        found = pool(s.effects, **s.options, prediction=form)
        if found.prediction is not None:
            low, high = found.prediction
            method = found.prediction_method
            if form == "metafor":
                method = f"As metafor does: {method}"
            rows.append({"method": method, "low": low, "high": high})
    if s.result.prediction is None:
        return words("prediction", "A prediction interval needs three studies.")
    low, high = s.result.prediction
    finding = (
        f"A new study’s effect is expected from {s.ci(low, high)} "
        f"({s.result.prediction_method}){s.verdict(low, high)}."
    )
    columns: list[Column] = [
        ("Form", lambda r: str(r["method"]), False),
        ("Interval", lambda r: s.ci(r["low"], r["high"]), False),
    ]
    caption = f"{s.result.level:.0%} prediction intervals"
    return part("prediction", finding, caption, columns, rows)
