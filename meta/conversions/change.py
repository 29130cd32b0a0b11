"""Changes from before to after: their spread, their correlation, their two metrics."""

from __future__ import annotations

import math

from meta.conversions.provenance import at_least_two, formula, positive, require
from meta.conversions.spread import quantile

HANDBOOK = "Cochrane Handbook ch. 6"
MORRIS = "Morris & DeShon 2002, Psychol Methods 7:105"


def _correlation(r: float, *, below_one: bool = False) -> None:
    require(
        -1 <= r < 1 if below_one else -1 <= r <= 1,
        f"r = {r} is not a correlation that can be used here",
        remedy="give a pre-post correlation between -1 and 1 (0.5 to 0.9 is usual)",
    )


@formula("change-sd", equation="SD = √(SD_pre² + SD_post² - 2 r SD_pre SD_post)", source=HANDBOOK)
def change_sd(sd_pre: float, sd_post: float, r: float) -> dict[str, float]:
    """Standard deviation of the changes from those before and after and their correlation."""
    positive(sd_pre=sd_pre, sd_post=sd_post)
    _correlation(r)
    return {"sd": math.sqrt(max(0.0, sd_pre**2 + sd_post**2 - 2 * r * sd_pre * sd_post))}


@formula(
    "correlation-from-change",
    equation="r = (SD_pre² + SD_post² - SD_change²) / (2 SD_pre SD_post)",
    source=HANDBOOK,
)
def correlation_from_change(sd_pre: float, sd_post: float, sd_change: float) -> dict[str, float]:
    """Pre-post correlation of a study that reports all three standard deviations."""
    positive(sd_pre=sd_pre, sd_post=sd_post, sd_change=sd_change)
    r = (sd_pre**2 + sd_post**2 - sd_change**2) / (2 * sd_pre * sd_post)
    require(
        -1 <= r <= 1,
        f"sd_pre = {sd_pre}, sd_post = {sd_post} and sd_change = {sd_change} imply r = {r:.4g}",
        remedy="one of them is not a standard deviation of these people (an error, perhaps)",
    )
    return {"r": r}


@formula(
    "d-from-dz",
    equation="d = dz √(2 (1 - r)), vi = var(dz) × 2 (1 - r)",
    source=MORRIS,
)
def raw_d_from_dz(dz: float, vi: float, r: float) -> dict[str, float]:
    """A standardised mean change in the metric of raw scores from that of change scores.

    For equal spread before and after. At r = 0.5 the two are the same.
    """
    positive(vi=vi)
    _correlation(r, below_one=True)
    factor = 2 * (1 - r)
    return {"d": dz * math.sqrt(factor), "vi": vi * factor}


@formula(
    "dz-from-d",
    equation="dz = d / √(2 (1 - r)), vi = var(d) / (2 (1 - r))",
    source=MORRIS,
)
def dz_from_raw_d(d: float, vi: float, r: float) -> dict[str, float]:
    """The way back: from the metric of raw scores to that of change scores."""
    positive(vi=vi)
    _correlation(r, below_one=True)
    factor = 2 * (1 - r)
    return {"dz": d / math.sqrt(factor), "vi": vi / factor}


@formula(
    "sd-from-percent-change",
    equation="SD% = √n × (high - low) / (2 t(n - 1)); SD of the change = SD% × mean_pre / 100",
    source=HANDBOOK,
)
def sd_from_percent_change(
    low: float, high: float, n: float, *, mean_pre: float | None = None, level: float = 0.95
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Standard deviation of a percentage change from the interval of its mean, in per cent.

    With ``mean_pre`` also in the outcome's unit (``sd_change``), as if everyone had started from
    the mean; without it the first value is the one in per cent.
    """
    at_least_two(n=n)
    positive(width=high - low)
    percent = math.sqrt(n) * (high - low) / (2 * quantile(level, n - 1))
    if mean_pre is None:
        return {"sd_percent": percent}, ()
    positive(mean_pre=mean_pre)
    return (
        {"sd_change": percent * mean_pre / 100, "sd_percent": percent},
        ("takes everyone's baseline for the mean one",),
    )
