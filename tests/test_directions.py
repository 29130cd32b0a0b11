"""Votes by known direction: one a study, never by significance."""

from __future__ import annotations

from evidence.directions import count_directions, of_question
from evidence.model import EffectRow
from tests.rows import a_row


def vote(
    study: int, direction: str, significant: str = "unknown", role: str = "primary"
) -> EffectRow:
    return a_row(
        f"Novak{study}_1",
        study_id=f"Novak{study}",
        direction=direction,
        reported_significant=significant,
        role=role,
    )


def test_a_null_of_unknown_direction_is_listed_and_never_half_a_vote() -> None:
    count = count_directions([vote(1, "unknown", "no"), vote(2, "positive", "yes")])
    assert (count.positive, count.negative, count.unknown) == (1, 0, 1)
    assert (count.significant, count.not_significant) == (1, 1)


def test_a_study_has_one_vote_and_none_when_it_points_both_ways() -> None:
    rows = [vote(1, "positive"), vote(1, "positive"), vote(2, "positive"), vote(2, "negative")]
    count = count_directions(rows)
    assert (count.positive, count.negative, count.mixed) == (1, 0, 1)


def test_significance_never_decides_a_vote() -> None:
    significant = count_directions([vote(n, "positive", "yes") for n in range(6)])
    quiet = count_directions([vote(n, "positive", "no") for n in range(6)])
    assert significant.positive == quiet.positive == 6
    assert significant.sign_test_p == quiet.sign_test_p


def test_below_five_known_directions_there_is_no_sign_test() -> None:
    four = count_directions([vote(n, "positive") for n in range(4)] + [vote(9, "unknown")])
    assert four.sign_test_p is None
    assert four.sign_test_note.startswith("4 known directions: too few")
    five = count_directions([vote(n, "positive") for n in range(5)] + [vote(9, "unknown")])
    assert five.sign_test_p == 2 * 0.5**5
    assert "1 of unknown direction is not counted" in five.sign_test_note


def test_context_has_no_vote_and_near_studies_are_counted_apart() -> None:
    rows = [
        vote(1, "positive"),
        vote(1, "negative", role="sensitivity"),
        vote(2, "negative", role="sensitivity"),
        vote(3, "negative", role="context"),
    ]
    primary, near = of_question(rows)
    assert (primary.positive, primary.negative) == (1, 0)
    assert (near.positive, near.negative) == (0, 1)
