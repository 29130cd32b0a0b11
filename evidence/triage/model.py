"""From decisions to a score: the three stages of a screening, and the constants of each.

Every stage writes its score as a weighted sum of the known vectors, so that it can be computed from
terms and from similarities alone (`evidence.triage.screen`).
"""

from __future__ import annotations

from typing import Literal

Stage = Literal["protocol", "included", "both"]

C = 0.11  # misfit against margin; this and the ratio are those of ASReview's model ELAS u4
CLASS_RATIO = 9.8  # weight of all included records together over that of all excluded ones
PROTOCOL_WEIGHT = 0.3  # of the protocol as a standing included record; a read record has 1
# With k inclusions and no exclusion, the mean unscreened record counts k / (k + 2) against.
# Measured beside none, all of it and other paces on ten labelled reviews: it costs little at one
# inclusion and gains much at ten.
CONTRAST = 2.0


def stage(included: int, excluded: int) -> Stage:
    """What the decisions allow: "both" trains a classifier, the others rest on similarity.

    Exclusions without an inclusion change nothing: used against the protocol they made the order
    worse on ten labelled reviews.
    """
    if not included:
        return "protocol"
    return "both" if excluded else "included"


def similarity_weights(included: int) -> tuple[float, float, float]:
    """Weights of each included record, of the protocol, and of the mean unscreened record.

    Rocchio's rule (1971), with the unscreened standing in for the records that are not relevant:
    most of them are not.
    """
    total = included + PROTOCOL_WEIGHT
    return 1 / total, PROTOCOL_WEIGHT / total, -included / (included + CONTRAST)


def sample_weights(included: int, excluded: int) -> tuple[float, float, float]:
    """Weights of an included record, of an excluded one and of the protocol; their mean is 1."""
    positive = included + PROTOCOL_WEIGHT
    one = positive / (CLASS_RATIO * excluded)
    scale = (positive + excluded) / (positive + one * excluded)
    return scale, one * scale, PROTOCOL_WEIGHT * scale
