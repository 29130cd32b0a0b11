"""What the next sample of a reviewer would cost, told on the page before it is drawn."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from evidence.screening.certificates import Drawn
from evidence.screening.samples import Sample
from evidence.triage.stopping import certificate_size, draw
from evidence.triage.stopping.certified import spent
from evidence.triage.stopping.state import CONFIDENCE, TARGET, fewest_missed

TARGETS = (0.9, 0.95, 0.98, 0.99)
CONFIDENCES = (0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the next sample would be, told before it is drawn.

    Attributes
    ----------
    size : int
        0 where recall cannot fall below the target any more.
    why_not : str
        Why none can be drawn now; "" where one can.
    fixed : bool
        Whether target and confidence are those of the first attempt, which the others share.
    """

    attempt: int
    size: int
    unscreened: int
    included: int
    target: float
    confidence: float
    why_not: str = ""
    fixed: bool = False

    @property
    def missed(self) -> int:
        return fewest_missed(self.included, self.target)

    @property
    def share(self) -> float:
        return self.size / self.unscreened if self.unscreened else 0.0

    def drawn(
        self, reviewer: str, unscreened: list[str], clock: dt.datetime, records: int
    ) -> Drawn:
        """Draw it, with a seed that nobody has seen."""
        seed = secrets.randbits(32)
        found = draw(
            unscreened,
            self.included,
            seed=seed,
            attempt=self.attempt,
            target=self.target,
            confidence=self.confidence,
        )
        assert len(found.pmids) == self.size
        return Drawn(
            reviewer,
            self.attempt,
            seed,
            self.target,
            self.confidence,
            records,
            len(unscreened),
            self.included,
            found.pmids,
            clock.date(),
            clock.astimezone(dt.UTC),
        )


def offer(
    attempts: list[Sample],
    *,
    number: int,
    unscreened: int,
    included: int,
    held: Collection[str],
    target: float | None,
    confidence: float | None,
) -> Offer:
    """The next attempt, at the reviewer's target or at that of the first attempt."""
    first = attempts[0].drawn if attempts else None
    aim = first.target if first else target or TARGET
    sure = first.confidence if first else confidence or CONFIDENCE
    size = certificate_size(unscreened, included, target=aim, confidence=1 - spent(number, sure))
    return Offer(
        number,
        size,
        unscreened,
        included,
        aim,
        sure,
        _why_not(attempts, held),
        first is not None,
    )


def _why_not(attempts: list[Sample], held: Collection[str]) -> str:
    if not attempts:
        return ""
    last = attempts[-1]
    if last.gone(held):
        return ""
    if last.status == "open":
        return "The sample that was drawn has to be read first: a new one must not be chosen."
    if last.status == "unsettled":
        return "Settle the unsure records of the sample first."
    if last.status == "certified" and len(held) <= last.drawn.records:
        return "It is certified: there is nothing more to prove."
    return ""
