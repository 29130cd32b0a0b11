"""Direction of effect where no number can be pooled: one vote a study, known directions only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evidence.model import DirectionCount, EffectRow
from meta.direction import MINIMUM_FOR_SIGN_TEST, sign_test


def of_question(rows: Sequence[EffectRow]) -> tuple[DirectionCount, DirectionCount]:
    """The votes on one question, and apart from them those of studies near to it.

    The first count is over primary rows; the second over studies that give sensitivity rows only,
    such as another exercise, region or condition.
    """
    primary = [row for row in rows if row.role == "primary"]
    voted = {row.study_id for row in primary}
    near = [row for row in rows if row.role == "sensitivity" and row.study_id not in voted]
    return count_directions(primary), count_directions(near)


def count_directions(rows: Iterable[EffectRow]) -> DirectionCount:
    """Count the direction of every result that bears on one question, a vote a study.

    A non-significant result of unknown direction is listed as unknown: it is never half a vote.
    A study whose results point both ways is mixed and has no vote. Context rows have none either.

    References
    ----------
    McKenzie and Brennan, Cochrane Handbook ch. 12 (vote counting by direction of effect);
    Campbell et al. (2020), BMJ 368:l6890 (SWiM).
    """
    listed = [row for row in rows if row.role != "context"]
    by_study: dict[str, set[str]] = {}
    for row in listed:
        by_study.setdefault(row.study_id, set()).add(row.direction)
    positive = negative = unknown = mixed = 0
    for directions in by_study.values():
        if {"positive", "negative"} <= directions:
            mixed += 1
        elif "positive" in directions:
            positive += 1
        elif "negative" in directions:
            negative += 1
        else:
            unknown += 1
    known = positive + negative
    if known >= MINIMUM_FOR_SIGN_TEST:
        p = sign_test(positive, negative).p
        note = (
            f"sign test over {known} known directions; "
            f"{unknown} of unknown direction {'is' if unknown == 1 else 'are'} not counted"
        )
    else:
        p = None
        note = (
            f"{known} known {'direction' if known == 1 else 'directions'}: "
            f"too few for a sign test (at least {MINIMUM_FOR_SIGN_TEST})"
        )
    return DirectionCount(
        positive=positive,
        negative=negative,
        unknown=unknown,
        mixed=mixed,
        significant=sum(row.reported_significant == "yes" for row in listed),
        not_significant=sum(row.reported_significant == "no" for row in listed),
        sign_test_p=p,
        sign_test_note=note,
    )
