"""What a stopping rule looks at, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.errors import InputError

Floats = NDArray[np.float64]

TARGET = 0.95  # share of the relevant records to be found; that of the published rules
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class State:
    """A screening at one moment."""

    n: int  # records, screened or not
    found: NDArray[np.bool_]  # (t,) whether each screened record was included, as they were read
    left_out: Floats  # (t,) score of each by all the others; NaN before both kinds are known
    unscreened: Floats  # (n - t,) scores of the others

    @property
    def screened(self) -> int:
        return len(self.found)

    @property
    def included(self) -> int:
        return int(self.found.sum())

    @property
    def left(self) -> int:
        return self.n - self.screened


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says of a screening."""

    rule: str  # "expected", "conservative", "certified"
    stop: bool
    words: str  # what it rests on and how often it held; some sentences
    target: float  # share of the relevant records to be found, 0 to 1
    confidence: float  # 0 to 1
    numbers: Mapping[str, float]  # what was compared, by name

    def summary(self) -> str:
        return f"{self.rule}: {'stop' if self.stop else 'go on'}. {self.words}"

    def json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "stop": self.stop,
            "words": self.words,
            "target": self.target,
            "confidence": self.confidence,
            **self.numbers,
        }


def check_shares(target: float, confidence: float) -> None:
    """A fault for a target or a confidence that is none."""
    for name, value in (("target", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(
                f"{name} = {value} is not between 0 and 1", remedy="0.95 is what was measured"
            )


def fewest_missed(found: int, target: float) -> int:
    """The fewest missed records that would bring recall below the target.

    The smallest K with found / (found + K) < target: 1 below 19 found at a target of .95, 2 from
    19 to 37.
    """
    return math.floor(found * (1 - target) / target + 1e-9) + 1
