"""What PubMed would silently ignore, drop or read as something else, with its place and a fix."""

from __future__ import annotations

from evidence.query.lint.report import lint_json, render
from evidence.query.lint.run import fix, lint, lint_parsed
from evidence.query.lint.structure import MOST_WILDCARDS, headings_alone

__all__ = [
    "MOST_WILDCARDS",
    "fix",
    "headings_alone",
    "lint",
    "lint_json",
    "lint_parsed",
    "render",
]
