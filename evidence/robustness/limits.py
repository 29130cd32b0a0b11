"""What the pool can carry: its power, confounding that would undo it, effects of small studies."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

from evidence.errors import ToolkitError
from evidence.model import Part
from evidence.robustness.parts import Column, Subject, capital, part, words
from meta.adjusted import henmi_copas, trim_and_fill
from meta.bias import egger, pet_peese, pustejovsky_rodgers, rank_test
from meta.caution import ENOUGH_STUDIES, SmallSampleWarning
from meta.power import power_of_pool, power_of_studies
from meta.results import show, show_p
from meta.unmeasured import RATIO, STANDARDISED, e_value

NOT_ENOUGH = (
    "Tests for small-study effects are not made: with fewer than ten studies they cannot tell "
    "chance from real asymmetry (Sterne et al. 2011, BMJ 343:d4002)."
)


def power(s: Subject) -> Part:
    """Power for the smallest effect of interest that the plan names."""
    smallest, measure = s.claim.plan.smallest_effect, s.effects.measure
    if smallest.value is None:
        return words("power", "Power is not computed: the plan names no smallest effect.")
    if smallest.measure != measure.key:
        return words(
            "power",
            f"Power is not computed: the plan’s smallest effect is a {smallest.measure}, this is "
            f"a {measure.key}.",
        )
    sign = 1 if s.claim.plan.supports == "positive" else -1
    effect = measure.null + sign * abs(smallest.value)
    options = {k: v for k, v in s.options.items() if k in ("model", "tau2")}
    test = "Wald" if s.result.ci_method == "Wald" else "Knapp-Hartung"
    whole = power_of_pool(s.effects, effect, **options, test=test)
    each = power_of_studies(s.effects, effect)
    finding = (
        f"Power to find the smallest effect of interest ({measure.key} {s.value(effect)}): "
        f"{whole.power:.0%} for the pool ({whole.test}), {each.median:.0%} for the middle study."
    )
    rows = [
        {"study": "pool", "se": whole.se, "power": whole.power, "detectable": whole.detectable},
        *each.rows(),
    ]
    columns: list[Column] = [
        ("Study", lambda r: "The pool" if r["study"] == "pool" else str(r["study"]), False),
        ("SE", lambda r: show(r["se"], 3), True),
        ("Power", lambda r: f"{r['power']:.0%}", True),
        ("Effect found with 80% power", lambda r: s.value(r["detectable"]), True),
    ]
    notes = (f"Two-sided, α = {whole.alpha:g}; τ² as estimated, {show(whole.tau2, 3)}.",)
    return part("power", finding, "Power", columns, rows, notes)


def unmeasured(s: Subject) -> Part:
    """E-value, where one is defined and the studies are not randomised."""
    key = s.effects.measure.key
    designs = [e.study.design.casefold() for unit in s.units for e in unit]
    randomised = sum(map(_randomised, designs))
    if s.plan.design == "pre-post, one arm":
        return words(
            "e-value",
            "An E-value is not defined before and after in one arm: there is no comparison to be "
            "confounded.",
        )
    if key not in (*RATIO, *STANDARDISED):
        return words(
            "e-value", f"An E-value is not computed for {s.effects.measure.label.lower()}."
        )
    if randomised == len(designs):
        return words("e-value", "An E-value does not apply: every study is randomised.")
    found = e_value(s.result)
    if found.limit == 1:
        rest = "1 for its interval, which includes no effect"
    else:
        rest = f"{show(found.limit)} for the limit nearest to no effect"
    finding = (
        f"E-value {show(found.point)} ({rest}): confounders tied to both exposure and outcome by "
        "risk ratios of that size could explain the estimate away."
    )
    rows = [{"rr": found.rr, "rr_ci": found.rr_ci, "point": found.point, "limit": found.limit}]
    notes = [
        f"Risk ratio by {found.conversion} (VanderWeele and Ding 2017, Ann Intern Med "
        "167:268-274). It says how strong confounding would have to be, not how strong it is.",
        *found.notes,
    ]
    if randomised:
        notes.append(
            f"{randomised} of {len(designs)} estimates are of randomised studies, of "
            "which it does not speak."
        )
    columns: list[Column] = [
        ("Risk ratio", lambda r: show(r["rr"]), True),
        ("Interval", lambda r: " to ".join(map(show, r["rr_ci"])), False),
        ("E-value", lambda r: show(r["point"]), True),
        ("E-value of the limit", lambda r: show(r["limit"]), True),
    ]
    return part("e-value", finding, "E-value", columns, rows, tuple(notes))


def _randomised(design: str) -> bool:
    """Does a study's design, in words, say that it is randomised?"""
    said = re.search(r"\brct\b|\brandomi[sz]ed\b", design)
    return bool(said) and not re.search(r"\b(non|not|quasi)[- ]?randomi", design)


def small_studies(s: Subject) -> Part:
    """Tests for small-study effects, from ten studies on."""
    if s.effects.k < ENOUGH_STUDIES:
        return words("small-study", NOT_ENOUGH)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        for name, made in _small_study_methods(s).items():
            try:
                found = made()
            except ToolkitError as fault:
                notes.append(f"{name} is undefined here: {fault.problem}.")
                continue
            says = " ".join(found.summary().splitlines())
            rows.append({"method": name, "says": says, "p": getattr(found, "p", None)})
            notes += [capital(n.rstrip(".")) + "." for n in found.notes]
            if rows[-1]["p"] is not None:
                told.append(f"{name} {show_p(rows[-1]['p'])}")
            elif (k0 := getattr(found, "k0", None)) is not None:
                told.append(f"trim and fill adds {k0} of {s.effects.k + k0}")
    if not rows:
        return words("small-study", "Tests for small-study effects are undefined here.")
    finding = f"Small-study effects: {'; '.join(told)}." if told else "Small-study effects."
    columns: list[Column] = [
        ("Method", lambda r: str(r["method"]), False),
        ("Result, on the scale of analysis", lambda r: str(r["says"]), False),
    ]
    notes.append(
        "Asymmetry has many causes, publication bias is one (Sterne et al. 2011, BMJ 343:d4002)."
    )
    caption = "Tests for small-study effects, and effects adjusted for them"
    return part("small-study", finding, caption, columns, rows, tuple(dict.fromkeys(notes)))


def _small_study_methods(s: Subject) -> dict[str, Callable[[], Any]]:
    effects, level = s.effects, s.result.level
    arms = [(unit[0].row.n_1, unit[0].row.n_2) for unit in s.units]
    alone = all(len(unit) == 1 for unit in s.units)
    asymmetry: dict[str, Callable[[], Any]] = {"Egger’s test": lambda: egger(effects, level=level)}
    if effects.measure.key == "SMD" and alone and all(one and two for one, two in arms):
        # Egger's test rejects too often where the effect is in its own standard error.
        one, two = zip(*arms, strict=True)
        asymmetry = {
            "Pustejovsky and Rodgers’ test": lambda: pustejovsky_rodgers(
                effects, one, two, level=level
            )
        }
    return {
        **asymmetry,
        "Rank correlation": lambda: rank_test(effects),
        "Trim and fill": lambda: trim_and_fill(effects, **s.options),
        "PET-PEESE": lambda: pet_peese(effects, level=level),
        "Henmi-Copas": lambda: henmi_copas(effects, level=level),
    }
