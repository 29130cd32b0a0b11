"""The pool again on other sets of its studies, and what each study does to it."""

from __future__ import annotations

import math

import numpy as np

from evidence.model import Part
from evidence.robustness.parts import (
    Cell,
    Column,
    Subject,
    capital,
    effect_columns,
    listed,
    or_undefined,
    part,
    words,
)
from meta.influence import cumulative, influence, leave_one_out
from meta.partition import contributions
from meta.results import show


def without_each(s: Subject) -> Part:
    """Each study left out once; the largest change is named."""
    refits = leave_one_out(s.effects, **s.options)
    shift = refits.estimate - s.result.estimate
    at = int(np.argmax(np.abs(shift)))
    finding = (
        f"Leaving out one study at a time: the largest change is without {refits.label[at]}, from "
        f"{s.value(s.result.estimate)} to {s.value(float(refits.estimate[at]))}"
        f"{s.tally(refits.ci.tolist())}."
    )
    rows = [row | {"shift": float(shift[i])} for i, row in enumerate(refits.rows())]
    columns: list[Column] = [
        ("Left out", lambda r: str(r["label"]), False),
        ("k", lambda r: str(r["k"]), True),
        *effect_columns(s),
    ]
    return part("leave-one-out", finding, "Without each in turn", columns, rows)


def by_year(s: Subject) -> Part:
    """Studies added by year; needs the year of every one."""
    years = [unit[0].study.year for unit in s.units]
    unknown = [unit[0].label for unit, year in zip(s.units, years, strict=True) if year is None]
    if unknown:
        return words(
            "cumulative",
            f"Adding studies by year is not possible: the year of {listed(unknown)} was not seen.",
        )
    refits = cumulative(s.effects, years, **s.options)
    clear = [not s.includes_null(*ci) for ci in refits.ci.tolist()]
    order = np.argsort(np.asarray(years), kind="stable").tolist()
    first, last = refits.label[0], refits.label[-1]
    moved = (
        f"Adding studies by year, from {first} to {last}, moves the estimate from "
        f"{s.value(float(refits.estimate[0]))} to {s.value(float(refits.estimate[-1]))}"
    )
    end = ""
    if not clear[-1]:
        end = "; the interval includes no effect at the end"
    elif math.isfinite(s.effects.measure.null):
        since = max((i + 1 for i, c in enumerate(clear) if not c), default=0)
        end = f"; the interval has excluded no effect since {refits.label[since]}"
    rows = [r | {"year": years[i]} for r, i in zip(refits.rows(), order, strict=True)]
    columns: list[Column] = [
        ("Added", lambda r: str(r["label"]), False),
        ("Year", lambda r: str(r["year"]), True),
        ("k", lambda r: str(r["k"]), True),
        *effect_columns(s),
    ]
    notes = ("Of the first study alone, the interval is its own.",)
    return part("cumulative", f"{moved}{end}.", "Studies added by year", columns, rows, notes)


def flagged(s: Subject) -> Part:
    """Case diagnostics, and which studies they mark."""
    options = {k: v for k, v in s.options.items() if k in ("model", "tau2")}
    found = influence(s.effects, **options, test=s.result.ci_method)
    marked = [n for n, flag in zip(found.study, found.influential, strict=True) if flag]
    finding = f"Marked as influential: {listed(marked)}." if marked else "No study is influential."

    def number(name: str) -> Cell:
        return lambda r: or_undefined(r[name])

    columns: list[Column] = [
        ("Study", lambda r: str(r["study"]), False),
        ("Residual", number("rstudent"), True),
        ("DFFITS", number("dffits"), True),
        ("Cook", number("cook"), True),
        ("Covariance ratio", number("cov_ratio"), True),
        ("Leverage", number("hat"), True),
        ("Marked", lambda r: "yes" if r["influential"] else "no", False),
    ]
    rows = [{k: v for k, v in r.items() if k != "dfbetas"} for r in found.rows()]
    notes = (
        "Deleted standardised residual, DFFITS, Cook’s distance, ratio of variances, leverage, and "
        "the usual bounds (Viechtbauer and Cheung 2010, Res Synth Methods 1:112-125). A mark asks "
        "for another look at the paper; it is no reason to leave a study out.",
    )
    return part("influence", finding, "Case diagnostics", columns, rows, notes)


def shares(s: Subject) -> Part:
    """What each study adds to the heterogeneity."""
    tau2 = s.result.tau2_method or s.plan.tau2
    found = contributions(s.effects, tau2=tau2)
    rows = found.rows()
    if not found.q > 0:
        return words("heterogeneity", "No heterogeneity to share out: the effects are equal.")
    top = rows[0]
    finding = (
        f"{top['study']} adds most to heterogeneity: {top['q_share']:.0%} of Q; without it I² is "
        f"{top['i2_without']:.0%} instead of {found.i2:.0%}."
    )
    if found.i2 == 0:
        finding = (
            f"No heterogeneity beyond chance (I² = 0%); of the little there is, "
            f"{top['study']} makes {top['q_share']:.0%}."
        )
    columns: list[Column] = [
        ("Study", lambda r: str(r["study"]), False),
        ("Part of Q", lambda r: or_undefined(r["q_part"]), True),
        ("Share of Q", lambda r: f"{r['q_share']:.0%}", True),
        ("I² without", lambda r: f"{r['i2_without']:.0%}", True),
        ("τ² without", lambda r: show(r["tau2_without"], 3), True),
    ]
    notes = tuple(capital(n) + "." for n in found.notes)
    caption = f"Contributions to heterogeneity (Q = {show(found.q)}, I² = {found.i2:.0%})"
    return part("heterogeneity", finding, caption, columns, rows, notes)
