"""When to stop screening: how many relevant records probably remain, and what each rule says.

Three rules are offered: "expected" (the default), "conservative" and "certified". Others that were
published are in `evidence.triage.stopping.compared`, for simulations only.
"""

from __future__ import annotations

from evidence.triage.stopping.certified import Certificate, certificate_size, draw
from evidence.triage.stopping.conservative import conservative
from evidence.triage.stopping.expected import expected
from evidence.triage.stopping.remaining import Remaining, remaining
from evidence.triage.stopping.state import State, Verdict
from evidence.triage.stopping.verdicts import DEFAULT_RULE, verdicts

__all__ = [
    "DEFAULT_RULE",
    "Certificate",
    "Remaining",
    "State",
    "Verdict",
    "certificate_size",
    "conservative",
    "draw",
    "expected",
    "remaining",
    "verdicts",
]
