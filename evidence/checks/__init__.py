"""Checks of extracted rows beyond their format: numbers that cannot be, or are likely wrong."""

from __future__ import annotations

from evidence.checks import (  # register themselves
    consistency,
    dispersion,
    identity,
    screening,
    size,
)
from evidence.checks.registry import CHECKS, LEVELS, Check, Finding, Level, check
from evidence.claims import Claim
from evidence.model import Extraction

__all__ = ["CHECKS", "LEVELS", "Check", "Finding", "Level", "check", "run"]

_MODULES = (consistency, dispersion, identity, screening, size)


def run(claim: Claim, extraction: Extraction) -> tuple[Finding, ...]:
    """Run every registered check on the rows of one claim.

    Returns
    -------
    tuple of Finding
        Errors first, then warnings, then notes; within a level by file and line.
    """
    found = [f for c in CHECKS.values() for f in c.run(claim, extraction)]
    return tuple(sorted(found, key=lambda f: (LEVELS.index(f.level), f.at.file, f.at.line)))
