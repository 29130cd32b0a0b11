"""Numbers of one row against each other: signs, intervals, p-values, group sizes, correlations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from scipy import stats

from evidence.checks.registry import Finding, about_row, check
from evidence.claims import Claim
from evidence.model import EffectRow, Extraction
from evidence.routes import as_sd

AGREE_Z = 0.35  # two p-values agree when their normal deviates do, up to rounding of the inputs
BOUND_SLACK = 1.2  # a recomputed p may exceed a printed bound by this factor, for rounding
PARALLEL = ("rct", "controlled", "case-control")  # designs in which arms are different people


def two_sided(p: float) -> float:
    """The absolute normal deviate of a two-sided p."""
    return float(stats.norm.isf(p / 2))


def p_agrees(recomputed: float, row: EffectRow) -> bool | None:
    """Whether a recomputed p agrees with the printed one; None where nothing usable is printed."""
    if row.p is not None:
        return abs(two_sided(max(recomputed, 1e-300)) - two_sided(row.p)) <= AGREE_Z
    text = row.p_text.replace(" ", "")
    if bound := re.fullmatch(r"<=?(0?\.\d+)", text):
        return recomputed <= BOUND_SLACK * float(bound.group(1))
    if bound := re.fullmatch(r">=?(0?\.\d+)", text):
        return recomputed >= float(bound.group(1)) / BOUND_SLACK
    if text == "ns":
        return recomputed >= 0.05 / BOUND_SLACK
    return None


def printed_p(row: EffectRow) -> str:
    text = row.p_text or f"{row.p:g}"
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def sign_of_numbers(row: EffectRow) -> tuple[float, str] | None:
    """The difference that the row's own numbers show, and its name; None where they show none."""
    r = row
    if r.route in ("correlation", "spearman") and r.statistic is not None:
        return r.statistic, "correlation"
    if r.route == "published_d" and r.estimate is not None:
        return r.estimate, "published effect"
    if r.mean_change_1 is not None and r.mean_change_2 is not None:
        return r.mean_change_1 - r.mean_change_2, "difference in change"
    if r.mean_post_1 is not None and r.mean_post_2 is not None and r.mean_pre_1 is None:
        return r.mean_post_1 - r.mean_post_2, "difference after"
    one, two = _change(r.mean_pre_1, r.mean_post_1), _change(r.mean_pre_2, r.mean_post_2)
    if one is not None and two is not None:
        return one - two, "difference in change"
    if r.mean_change_1 is not None and not r.name_2:
        return r.mean_change_1, "change"
    if one is not None and not r.name_2:
        return one, "change"
    return None


def _change(pre: float | None, post: float | None) -> float | None:
    return None if pre is None or post is None else post - pre


@check("sign", looks_for="a direction that the row's own numbers contradict")
def sign_against_direction(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        shown = sign_of_numbers(row)
        if shown is None or shown[0] == 0:
            continue
        value, name = shown
        seen = "positive" if value > 0 else "negative"
        if row.direction == "unknown":
            yield about_row(
                "sign",
                "note",
                row,
                f"direction is unknown, while the {name} is {value:g}",
                f"fill in `{seen}` if the numbers are those of this contrast",
            )
        elif row.direction != seen:
            yield about_row(
                "sign",
                "error",
                row,
                f"direction is {row.direction}, while the {name} is {value:g}",
                "look which arm is the intervention, then correct the one or the other",
            )


@check("significance", looks_for="an exact p that contradicts what is said of significance")
def p_against_significance(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        if row.p is None or row.reported_significant == "unknown":
            continue
        if (row.p < 0.05) != (row.reported_significant == "yes"):
            yield about_row(
                "significance",
                "warning",
                row,
                f"reported_significant is {row.reported_significant}, while p = {row.p:g}",
                "look whether that p belongs to this contrast",
            )


@check("interval", looks_for="an estimate outside its interval, or far from its middle")
def intervals(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        for arm in (1, 2):
            low, high = getattr(row, f"ci_low_{arm}"), getattr(row, f"ci_high_{arm}")
            value = getattr(row, f"mean_change_{arm}")
            if value is None and arm == 1:
                value = row.estimate
            if None in (low, high, value):
                continue
            for level, message in _interval_faults(value, low, high, symmetric=True):
                yield about_row(
                    "interval",
                    "error" if level == "error" else "warning",
                    row,
                    message,
                    "compare the three numbers with the paper",
                )
    for result in extraction.published:
        if result.estimate is None or result.ci_low is None or result.ci_high is None:
            continue
        found = _interval_faults(result.estimate, result.ci_low, result.ci_high, symmetric=False)
        for _, message in found:
            yield Finding(
                "interval",
                "error",
                result.at,
                result.pooled_id,
                message,
                "compare the three numbers with the paper",
            )


def _interval_faults(
    value: float, low: float, high: float, *, symmetric: bool
) -> Iterator[tuple[str, str]]:
    shown = f"{value:g} ({low:g} to {high:g})"
    if not low <= value <= high:
        yield "error", f"the estimate lies outside its interval: {shown}"
    elif symmetric and abs((low + high) / 2 - value) > 0.05 * (high - low):
        yield "warning", f"the estimate is not in the middle of its interval: {shown}"


@check(
    "people",
    looks_for="more people in a row than in its study, or degrees of freedom that do not fit",
)
def group_sizes(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    studies = {s.study_id: s for s in extraction.studies}
    for row in extraction.effects:
        study = studies.get(row.study_id)
        total = study.n_total if study else None
        if study and total is not None and row.n_1 is not None:
            people = row.n_1
            if study.design in PARALLEL and row.n_2 is not None:
                people += row.n_2
            if people > total:
                yield about_row(
                    "people",
                    "warning",
                    row,
                    f"{people} people in the row, {total} in the study",
                    "compare n with the paper",
                )
        two_groups = row.route.startswith(("two_arm_", "change_"))
        if two_groups and row.df is not None and row.n_1 is not None and row.n_2 is not None:
            expected = row.n_1 + row.n_2 - 2
            if row.df != expected:
                yield about_row(
                    "people",
                    "warning",
                    row,
                    f"df = {row.df:g}, while two groups of {row.n_1} and {row.n_2} have {expected}",
                    "look for covariates, drop-outs or a third group",
                )


@check(
    "test statistic", looks_for="a printed p that the printed r, t or F and group sizes do not give"
)
def p_against_statistic(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        recomputed = _p_of_statistic(row)
        if recomputed is None or p_agrees(recomputed, row) is not False:
            continue
        message = f"printed {printed_p(row)}, recomputed p = {recomputed:.2g}"
        if row.route in ("correlation", "spearman") and row.p is not None:
            assert row.statistic is not None
            message += f"; the printed p fits n of about {_n_implied(row.statistic, row.p)}"
        yield about_row(
            "test statistic",
            "warning",
            row,
            message,
            "look for repeated observations, covariates or a one-sided test",
        )


def _p_of_statistic(row: EffectRow) -> float | None:
    x, n_1, n_2 = row.statistic, row.n_1, row.n_2
    if x is None or n_1 is None:
        return None
    if row.route in ("correlation", "spearman"):
        if n_1 < 4 or abs(x) >= 1:
            return None
        t = x * math.sqrt((n_1 - 2) / (1 - x * x))
        return float(2 * stats.t.sf(abs(t), n_1 - 2))
    if row.route == "one_arm_t":
        return float(2 * stats.t.sf(abs(x), n_1 - 1))
    if n_2 is None:
        return None
    df = row.df or n_1 + n_2 - 2
    if row.route.endswith("_f"):
        return float(stats.f.sf(x, 1, df))
    if row.route.endswith("_t"):
        return float(2 * stats.t.sf(abs(x), df))
    return None


def _n_implied(r: float, p: float) -> int:
    """The number of observations at which a correlation r has the two-sided p."""
    candidates = range(4, 2000)
    distance = [
        abs(2 * stats.t.sf(abs(r) * math.sqrt((n - 2) / (1 - r * r)), n - 2) - p)
        for n in candidates
    ]
    return candidates[distance.index(min(distance))]


@check(
    "implied correlation", looks_for="SDs before, after and of change that no correlation allows"
)
def implied_correlations(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        for arm in (1, 2):
            n = getattr(row, f"n_{arm}")
            pre, post, change = (
                as_sd(row, getattr(row, f"sd_{when}_{arm}"), n)
                for when in ("pre", "post", "change")
            )
            how = "the SDs"
            if change is None and arm == 1:
                change, how = _change_sd_from_p(row), "the SDs, n and p"
            if pre is None or post is None or change is None:
                continue
            r = (pre**2 + post**2 - change**2) / (2 * pre * post)
            yield from _finding_on_r(row, arm, r, how)


def _finding_on_r(row: EffectRow, arm: int, r: float, how: str) -> Iterator[Finding]:
    text = f"{how} of arm {arm} imply a pre-post correlation of {r:.2f}"
    if abs(r) > 1:
        exact = row.dispersion in ("SD", "SE") and how == "the SDs"
        yield about_row(
            "implied correlation",
            "error" if exact else "warning",
            row,
            text + ", which cannot be",
            "look whether one of them is an SE, or the numbers are medians with quartiles",
        )
    elif r < 0 or r > 0.98:
        yield about_row(
            "implied correlation", "warning", row, text, "compare the SDs with the paper"
        )
    else:
        yield about_row(
            "implied correlation",
            "note",
            row,
            text,
            "weigh it when the plan's correlation is next revised",
        )


def _change_sd_from_p(row: EffectRow) -> float | None:
    """SD of change of a paired t-test with this exact p; None where the row lacks a number."""
    if row.p is None or row.n_1 is None or row.name_2:
        return None
    if row.mean_pre_1 is None or row.mean_post_1 is None:
        return None
    t = float(stats.t.isf(row.p / 2, row.n_1 - 1))
    return abs(row.mean_post_1 - row.mean_pre_1) * math.sqrt(row.n_1) / t
