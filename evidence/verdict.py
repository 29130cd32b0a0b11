"""A verdict in words, generated from the numbers; it never says more than they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evidence.claims import Claim
from evidence.dependence import people
from evidence.model import AnalysisResult, DirectionCount, Estimate, Verdict
from meta.measures.registry import measure_named
from meta.results import PooledEffect, show

Z95 = 1.959963984540054


def judge(claim: Claim, analyses: Sequence[AnalysisResult]) -> Verdict:
    """Judge a claim by its primary analysis, and say what that rests on.

    The rules, in this order:

    1. No estimate in the primary analysis: *not testable*.
    2. One or two estimates: *uncertain*, whatever they show.
    3. Three or more: the interval against the smallest effect of interest (no effect where the plan
       names none). Wholly beyond it in the claim's direction: *supported*. Wholly on the other side
       of no effect, or wholly short of the smallest effect: *against*. Otherwise *uncertain*.
    4. *Supported* falls back to *uncertain* where the primary analysis cannot decide the claim
       (``decides = false``, as for every uncontrolled pre-post design), where a planned sensitivity
       analysis reaches the threshold, or where as many studies of the same question lack usable
       numbers as give them.
    """
    primary = next(a for a in analyses if a.plan.id == claim.plan.primary)
    caveats = _caveats(claim, primary, analyses)
    if not primary.estimates:
        return _not_testable(claim, primary, analyses, caveats)
    if primary.result is None:
        return _too_few(primary, caveats)
    return _by_interval(claim, primary, primary.result, caveats)


def threshold(claim: Claim, primary: AnalysisResult) -> float:
    """The smallest effect of interest on the analysis scale; 0 where the plan names none."""
    smallest = claim.plan.smallest_effect
    if smallest.value is None or smallest.measure != primary.plan.measure:
        return 0.0
    return abs(smallest.value)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How an interval lies to the threshold, seen in the claim's direction."""

    beyond: bool
    opposite: bool
    short: bool


def _read(claim: Claim, ci: tuple[float, float], limit: float) -> _Reading:
    sign = 1.0 if claim.plan.supports == "positive" else -1.0
    low, high = sorted((sign * ci[0], sign * ci[1]))
    return _Reading(beyond=low > limit, opposite=high < 0, short=limit > 0 and high < limit)


def _by_interval(
    claim: Claim, primary: AnalysisResult, result: PooledEffect, caveats: list[str]
) -> Verdict:
    limit = threshold(claim, primary)
    reading = _read(claim, result.ci, limit)
    sentence = f"{_subject(primary)}, the pooled {_numbers(result)}."
    if reading.opposite:
        return Verdict(
            "against",
            "The numbers point the other way",
            sentence + " The interval lies wholly on the other side of no effect.",
            tuple(caveats),
        )
    if reading.short:
        return Verdict(
            "against",
            "Too small to matter",
            sentence
            + f" The interval stays below the smallest effect of interest ({show(limit)}).",
            tuple(caveats),
        )
    if not reading.beyond:
        return Verdict(
            "uncertain",
            "Uncertain: the interval includes " + ("no effect" if not limit else "trivial effects"),
            sentence
            + " The interval includes "
            + (
                "no effect."
                if not limit
                else f"effects below the smallest of interest ({show(limit)})."
            ),
            tuple(caveats),
        )
    fragile = [
        s.name
        for s in primary.sensitivities
        if s.result is not None and not _read(claim, s.result.ci, limit).beyond
    ]
    silent = _studies_without_numbers(primary)
    contributing = len({e.study.study_id for e in primary.estimates})
    decides = primary.plan.decides
    if decides and not fragile and silent < contributing:
        return Verdict(
            "supported",
            "Supported by the numbers reported",
            sentence + " The interval lies wholly in the direction of the claim.",
            tuple(caveats),
        )
    reasons = []
    if not decides:
        reasons.append("an uncontrolled comparison cannot support the claim")
    if silent >= contributing:
        reasons.append(
            f"{silent} {_plural(silent, 'study', 'studies')} of the same question "
            f"{_plural(silent, 'gives', 'give')} no usable number against {contributing} that "
            f"{_plural(contributing, 'does', 'do')}, so the pooled effect likely overestimates"
        )
    if fragile:
        reasons.append(
            f"it does not hold in {len(fragile)} planned sensitivity "
            f"{_plural(len(fragile), 'analysis', 'analyses')} ({_listed(fragile)})"
        )
    headline = (
        "Uncertain: positive where numbers are reported"
        if silent >= contributing and claim.plan.supports == "positive"
        else "Uncertain: not robust"
    )
    return Verdict(
        "uncertain",
        headline,
        sentence
        + " The interval lies in the direction of the claim, but "
        + "; and ".join(reasons)
        + ".",
        tuple(caveats),
    )


def _too_few(primary: AnalysisResult, caveats: list[str]) -> Verdict:
    estimates = primary.estimates
    k = len(estimates)
    each = "; ".join(f"{e.label}: {_single(primary, e)}" for e in estimates)
    if k == 1:
        return Verdict(
            "uncertain",
            "Uncertain: one study with numbers",
            f"{_subject(primary)}, the only estimate is {each}. One study cannot settle the claim.",
            tuple(caveats),
        )
    if not primary.plan.pool:
        why = "They are not pooled: " + (primary.plan.note or "the plan forbids it") + "."
        return Verdict(
            "uncertain",
            f"Uncertain: {k} estimates that cannot be pooled",
            f"{_subject(primary)}, the estimates are {each}. {why}",
            tuple(caveats),
        )
    if k > 2:
        return Verdict(
            "uncertain",
            "Uncertain: too few groups of people",
            f"{_subject(primary)}, the estimates are {each}. They come from too few groups of "
            "people for a pooled answer.",
            tuple(caveats),
        )
    return Verdict(
        "uncertain",
        "Uncertain: two studies with numbers",
        f"{_subject(primary)}, the two estimates are {each}. Two studies are too few for a pooled "
        "answer.",
        tuple(caveats),
    )


def _not_testable(
    claim: Claim, primary: AnalysisResult, analyses: Sequence[AnalysisResult], caveats: list[str]
) -> Verdict:
    sentence = f"No poolable effect: {primary.reason}."
    if votes := directions_in_words(claim, primary):
        sentence += " " + votes
    others = [a.plan.title for a in analyses if a is not primary and a.estimates]
    if others:
        named = "; ".join(others)
        sentence += f" Numbers exist for other questions ({named}), which do not answer this one."
    return Verdict("not testable", "Not testable: no poolable effect", sentence, tuple(caveats))


def directions_in_words(claim: Claim, analysis: AnalysisResult) -> str:
    """The directions of one question as a sentence, one vote a study."""
    said = [
        f"{lead} ({_voters(d)}): {_votes(claim, d)}."
        for lead, d in (
            ("By direction, a vote a study", analysis.directions),
            ("Near the question", analysis.near),
        )
        if d is not None and _voters(d)
    ]
    return " ".join(said)


def _voters(d: DirectionCount) -> int:
    return d.positive + d.negative + d.unknown + d.mixed


def _votes(claim: Claim, d: DirectionCount) -> str:
    toward, away = (
        (d.positive, d.negative) if claim.plan.supports == "positive" else (d.negative, d.positive)
    )
    mixed = f", {d.mixed} mixed" if d.mixed else ""
    return f"{toward} toward the claim, {away} against it, {d.unknown} of unknown direction{mixed}"


def _caveats(
    claim: Claim, primary: AnalysisResult, analyses: Sequence[AnalysisResult]
) -> list[str]:
    said: list[str] = []
    assumed = sorted({a for e in primary.estimates for a in e.assumptions})
    if assumed:
        resting = sum(bool(e.assumptions) for e in primary.estimates)
        said.append(
            f"{resting} of {len(primary.estimates)} estimates "
            f"{_plural(resting, 'rests', 'rest')} on an assumption named in "
            f"{_plural(resting, 'its', 'their')} row."
        )
    silent = _studies_without_numbers(primary)
    d = primary.directions
    if silent and d is not None:
        said.append(
            f"{silent} {_plural(silent, 'study', 'studies')} of this question "
            f"{_plural(silent, 'is', 'are')} known without usable numbers; "
            f"{d.not_significant} of the results listed were reported as not significant. Numbers "
            "that are printed mainly when significant make a pooled effect too large: what is "
            "shown likely overestimates."
        )
    said += [f"Missing: {text}" for text in claim.plan.missing]
    result = primary.result
    if result is not None and result.prediction is not None:
        low, high = result.prediction
        if low < result.effects.measure.null < high and not (
            result.ci[0] < result.effects.measure.null < result.ci[1]
        ):
            said.append(
                "The prediction interval includes no effect: a new study may well find none."
            )
    uncontrolled = [
        a.plan.title for a in analyses if a.plan.design == "pre-post, one arm" and a.estimates
    ]
    if uncontrolled:
        said.append(
            f"Uncontrolled before-after results ({'; '.join(uncontrolled)}) are shown and do not "
            "count for or against the claim."
        )
    if claim.plan.smallest_effect.value is None:
        said.append("No smallest effect of interest is named; the judgement is against no effect.")
    return said


def _studies_without_numbers(analysis: AnalysisResult) -> int:
    """Studies of this question that bear on it and give nothing to compute with."""
    giving = {e.study.study_id for e in (*analysis.estimates, *analysis.extra)}
    silent = {row.study_id for row, _ in analysis.unusable if row.role == "primary"}
    return len(silent - giving)


def _subject(primary: AnalysisResult) -> str:
    studies = len({e.study.study_id for e in primary.estimates})
    n = people(primary.plan, primary.estimates)
    return f"In {studies} {_plural(studies, 'study', 'studies')} ({n} people)"


def _numbers(result: PooledEffect) -> str:
    mid, low, high = result.natural()
    text = (
        f"{_lower_first(result.effects.measure.label)} is {show(mid)} "
        f"({result.level:.0%} CI {show(low)} to {show(high)}"
    )
    if result.prediction is not None:
        to = result.effects.measure.natural
        ends = " to ".join(show(to(bound)) for bound in result.prediction)
        text += f"; prediction interval {ends}"
    return text + ")"


def _lower_first(label: str) -> str:
    """ "Standardised mean difference" inside a sentence, but "SMD" as it is."""
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def _single(primary: AnalysisResult, e: Estimate) -> str:
    to = measure_named(primary.plan.measure).natural
    half = Z95 * e.vi**0.5
    return (
        f"{show(to(e.yi))} (95% CI {show(to(e.yi - half))} to {show(to(e.yi + half))}, n = {e.n})"
    )


def _plural(n: int, one: str, many: str) -> str:
    return one if n == 1 else many


def _listed(names: Sequence[str], most: int = 3) -> str:
    shown = "; ".join(names[:most])
    return shown if len(names) <= most else f"{shown}; and {len(names) - most} more"
