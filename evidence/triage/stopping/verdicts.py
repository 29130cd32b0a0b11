"""All rules that are offered, asked at once."""

from __future__ import annotations

from evidence.triage.stopping.certified import certified
from evidence.triage.stopping.conservative import conservative
from evidence.triage.stopping.expected import expected
from evidence.triage.stopping.state import CONFIDENCE, TARGET, State, Verdict

DEFAULT_RULE = "expected"
RULES = {"expected": expected, "conservative": conservative, "certified": certified}


def verdicts(
    state: State, *, target: float = TARGET, confidence: float = CONFIDENCE
) -> tuple[Verdict, ...]:
    """What each rule says, the default first.

    Raises
    ------
    InputError
        If the target or the confidence is not between 0 and 1.
    """
    return tuple(rule(state, target=target, confidence=confidence) for rule in RULES.values())
