"""Decisions of screening: what is torn, what has no reason, what reviewers have not settled."""

from __future__ import annotations

from collections.abc import Iterator

from evidence.checks.registry import Finding, check
from evidence.claims import Claim
from evidence.model import Extraction, Place, Screening
from evidence.screening.state import FULL, ScreeningState, Standing, names_of


@check(
    "screening",
    looks_for="decisions that were not written to their end, reports excluded without a reason, "
    "and conflicts that nobody has resolved",
)
def decisions(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for notice in extraction.notices:
        where, _, what = notice.partition("  ")
        file, _, line = where.rpartition(":")
        yield Finding(
            "screening",
            "warning",
            Place(file, int(line)),
            "a row",
            what,
            "look at the file; the next decision that is written cuts off a torn row and keeps it "
            "beside the file",
        )
    state = ScreeningState(
        extraction.screening, plan=claim.screening, names=names_of(extraction.studies)
    )
    for standing in state.standings(FULL):
        if standing.final == "exclude" and not standing.reason:
            yield Finding(
                "screening",
                "warning",
                _rows(standing)[0].at,
                standing.record,
                "is excluded at full text without a reason, which PRISMA 2020 (item 16b) asks for",
                "decide again, with the reason",
            )
    for standing in state.conflicts():
        rows = _rows(standing)
        who = ", ".join(f"{row.reviewer} {row.decision}" for row in rows)
        yield Finding(
            "screening",
            "note",
            rows[0].at,
            standing.record,
            f"is not settled at {standing.stage}: {who}",
            f"resolve it on the page of `evidence screen {claim.id}`",
        )


def _rows(standing: Standing) -> list[Screening]:
    """What the standing rests on, the resolution first."""
    resolution = () if standing.resolution is None else (standing.resolution,)
    return [*resolution, *standing.decisions.values()]
