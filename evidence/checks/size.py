"""Effects that are too large, and means in the wrong unit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from evidence.checks.registry import Finding, about_row, check
from evidence.claims import Claim
from evidence.model import EffectRow, Extraction
from evidence.routes import ROUTES, estimate

# Of SMDs above 3 in much-cited sports meta-analyses, 60 % were standard errors taken for SDs:
# Kadlec et al. (2023), Sports Med 53:313-325.
BLOCKED, LARGE = 3.0, 1.5
ANY_R = 0.5  # for the variance only, which this check does not look at
UNIT_ARMS = 5
UNIT_SHIFT = 2.5  # powers of ten; ng/mL taken for pg/mL is 3, serum over plasma 1 to 2
PICOGRAMS = {
    "pg/mL": 1.0,
    "ng/mL": 1000.0,
    "pg/l as printed": 0.001,
    "as in dataset (mostly pg/mL)": 1.0,
}


@check("large effect", looks_for="a standardised effect above 1.5 (look again) or 3 (blocked)")
def large_effects(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        found = _standardised(row, extraction)
        if found is None or abs(found[0]) <= LARGE:
            continue
        size, name = found
        blocked = abs(size) > BLOCKED
        yield about_row(
            "large effect",
            "error" if blocked else "warning",
            row,
            f"{name} = {size:.2f} is above {BLOCKED if blocked else LARGE:g} standard deviations",
            "compare n, mean, SD (or SE?) and unit with the paper"
            + ("; until then give the row the role `context`" if blocked else ""),
        )


def _standardised(row: EffectRow, extraction: Extraction) -> tuple[float, str] | None:
    """The row's standardised effect, or its mean change over the SD before where n is missing."""
    route = ROUTES.get(row.route)
    if route is None or not route.numerical or route.metric == "none":
        return None
    if all(getattr(row, name) is not None for name in route.needs):
        study = next((s for s in extraction.studies if s.study_id == row.study_id), None)
        if study is None:
            return None
        return estimate(row, study, r=ANY_R, standardiser=route.metric).yi, "g"
    if row.mean_pre_1 is None or row.mean_post_1 is None or row.sd_pre_1 is None:
        return None
    return (row.mean_post_1 - row.mean_pre_1) / row.sd_pre_1, "change over SD before"


@check("unit", looks_for="a mean that is far from those of other studies, as in another unit")
def units(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    groups: dict[str, list[tuple[EffectRow, float]]] = defaultdict(list)
    for row in extraction.effects:
        mean = row.mean_pre_1 if row.mean_pre_1 is not None else row.mean_post_1
        factor = PICOGRAMS.get(row.units)
        if mean is not None and mean > 0 and factor is not None:
            groups[row.matrix].append((row, math.log10(mean * factor)))
    for members in groups.values():
        for row, value in members:
            others = [v for other, v in members if other.study_id != row.study_id]
            if len(others) < UNIT_ARMS:
                continue
            shift = value - median(others)
            if abs(shift) > UNIT_SHIFT:
                yield about_row(
                    "unit",
                    "warning",
                    row,
                    f"the mean is 10^{shift:+.1f} times the usual one of "
                    f"{row.matrix or 'rows whose matrix is not stated'}",
                    "compare the unit (pg or ng, mL or L) with the paper",
                )
