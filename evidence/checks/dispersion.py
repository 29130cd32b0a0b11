"""Standard errors entered as standard deviations, and SDs that do not fit each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from scipy import stats

from evidence.checks.consistency import p_agrees, printed_p
from evidence.checks.registry import Finding, about_row, check
from evidence.claims import Claim
from evidence.model import EffectRow, Extraction

READ_AS_SD = ("SD", "unknown")
SPREAD_ARMS = 6  # other arms of the same matrix that the spread check wants
SPREAD_LOG_RATIO = math.log(3)  # how much better "SE" must explain the spread than "SD"
SMALLEST_SCALE = 0.1  # of ln CV between studies, so that a few equal ones do not make it zero
BEFORE_AFTER_RATIO = 2.0
ARMS_RATIO = 3.0

LOOK = "look at the label of ± in the paper: an SE times the root of n is the SD"


@check("SD ratio", looks_for="SDs of one row that differ more than SDs of the same thing do")
def sd_ratios(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        if row.dispersion not in READ_AS_SD:
            continue
        pairs = [(f"sd_pre_{arm}", f"sd_post_{arm}", BEFORE_AFTER_RATIO) for arm in (1, 2)] + [
            (f"sd_{when}_1", f"sd_{when}_2", ARMS_RATIO) for when in ("pre", "post", "change")
        ]
        for a, b, limit in pairs:
            one, two = getattr(row, a), getattr(row, b)
            if one is None or two is None:
                continue
            ratio = max(one, two) / min(one, two)
            if ratio > limit:
                yield about_row(
                    "SD ratio",
                    "warning",
                    row,
                    f"{a} = {one:g} and {b} = {two:g} differ {ratio:.1f}-fold",
                    LOOK,
                )


@check("skew", looks_for="an SD above its mean where nothing can be below zero")
def skewed(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        wide = [a for a in _arms(row) if a.ln_cv > 0]
        if wide:
            yield about_row(
                "skew",
                "note",
                row,
                f"{' and '.join(a.name for a in wide)} above the mean: the values are skewed",
                "means and SDs describe them badly; prefer medians or logarithms where given",
            )


@check("SE as SD, by test", looks_for="SDs with which the printed p cannot be right")
def se_as_sd_by_test(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        if row.dispersion not in READ_AS_SD:
            continue
        readings = _p_under_both_readings(row)
        if readings is None:
            continue
        as_sd, as_se = readings
        fits_sd, fits_se = p_agrees(as_sd, row), p_agrees(as_se, row)
        if fits_sd is None or fits_sd:
            continue
        message = (
            f"printed {printed_p(row)}; read as SDs the numbers give p = {as_sd:.2g}, "
            f"read as SEs p = {as_se:.2g}"
        )
        if fits_se:
            yield about_row("SE as SD, by test", "error", row, message + ": only SEs fit", LOOK)
        else:
            yield about_row(
                "SE as SD, by test",
                "note",
                row,
                message + ": neither fits",
                "look for an adjusted or an overall test",
            )


def _p_under_both_readings(row: EffectRow) -> tuple[float, float] | None:
    """p of the row's own test with ± read as SD and as SE; None where numbers are missing."""
    n_1, n_2 = row.n_1, row.n_2
    one = (row.mean_change_1, row.sd_change_1)
    two = (row.mean_change_2, row.sd_change_2)
    if one == (None, None) and row.mean_pre_1 is None:
        one, two = (row.mean_post_1, row.sd_post_1), (row.mean_post_2, row.sd_post_2)
    if n_1 is None or one[0] is None or one[1] is None:
        return None
    if not row.name_2 and row.mean_change_1 is not None:
        return _paired_p(one[0], one[1], n_1), _paired_p(one[0], one[1] * math.sqrt(n_1), n_1)
    if n_2 is None or two[0] is None or two[1] is None:
        return None
    difference = one[0] - two[0]
    return (
        _two_sample_p(difference, one[1], n_1, two[1], n_2),
        _two_sample_p(difference, one[1] * math.sqrt(n_1), n_1, two[1] * math.sqrt(n_2), n_2),
    )


def _paired_p(change: float, sd: float, n: int) -> float:
    return float(2 * stats.t.sf(abs(change) * math.sqrt(n) / sd, n - 1))


def _two_sample_p(difference: float, sd_1: float, n_1: int, sd_2: float, n_2: int) -> float:
    test = stats.ttest_ind_from_stats(difference, sd_1, n_1, 0.0, sd_2, n_2)
    return float(test.pvalue)


def _only_sds_fit(row: EffectRow) -> bool:
    readings = _p_under_both_readings(row)
    if readings is None:
        return False
    return p_agrees(readings[0], row) is True and p_agrees(readings[1], row) is False


@dataclass(frozen=True, slots=True)
class _Arm:
    row: EffectRow
    name: str  # "sd_pre_1"
    ln_cv: float
    n: int | None


@check(
    "SE as SD, by spread",
    looks_for="an SD that is small beside those of other studies, as an SE is",
)
def se_as_sd_by_spread(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    """Compare ln(SD / mean) with that of the other arms in the same matrix.

    If an arm's value is explained better by the others' minus half of ln n (an SE) than by the
    others' themselves, by a factor of three, it is flagged. Location and scale of the others are
    their median and 1.4826 times their median absolute deviation.
    """
    same_as = {s.study_id: s.same_as or s.study_id for s in extraction.studies}
    known = [r.n_1 for r in extraction.effects if r.n_1 is not None]
    usual_n = int(median(known)) if known else None
    groups: dict[str, list[_Arm]] = defaultdict(list)
    for row in extraction.effects:
        for arm in _arms(row):
            groups[row.matrix].append(arm)
    for arms in groups.values():
        flagged: dict[str, list[str]] = defaultdict(list)
        rows = {arm.row.effect_id: arm.row for arm in arms}
        for arm in arms:
            mine = same_as.get(arm.row.study_id)
            others = [a.ln_cv for a in arms if same_as.get(a.row.study_id) != mine]
            n = arm.n or usual_n
            if n is None or len(others) < SPREAD_ARMS:
                continue
            if _log_ratio_of_se(arm.ln_cv, others, n) > SPREAD_LOG_RATIO:
                cv, usual = math.exp(arm.ln_cv), math.exp(median(others))
                guess = "" if arm.n else f" (n not known, {n} taken)"
                flagged[arm.row.effect_id].append(
                    f"{arm.name} is {cv:.0%} of its mean, usually {usual:.0%}{guess}"
                )
        for effect_id, messages in flagged.items():
            row = rows[effect_id]
            message = "looks like an SE: " + "; ".join(messages)
            if cleared := _only_sds_fit(row):
                message += f"; but the printed {printed_p(row)} fits only SDs"
            yield about_row(
                "SE as SD, by spread", "note" if cleared else "warning", row, message, LOOK
            )


def _arms(row: EffectRow) -> Iterator[_Arm]:
    if row.dispersion not in READ_AS_SD or row.units.startswith("percent"):
        return
    for arm in (1, 2):
        for when in ("pre", "post"):
            mean, sd = getattr(row, f"mean_{when}_{arm}"), getattr(row, f"sd_{when}_{arm}")
            if mean is not None and sd is not None and mean > 0:
                yield _Arm(row, f"sd_{when}_{arm}", math.log(sd / mean), getattr(row, f"n_{arm}"))


def _log_ratio_of_se(x: float, others: list[float], n: int) -> float:
    """Log likelihood ratio of "an SE of n people" against "an SD", normal with robust moments."""
    centre = median(others)
    scale = max(1.4826 * median([abs(o - centre) for o in others]), SMALLEST_SCALE)
    as_sd, as_se = x - centre, x - centre + 0.5 * math.log(n)
    return (as_sd**2 - as_se**2) / (2 * scale**2)
