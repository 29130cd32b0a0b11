"""What every rule sees: the text, its tree and its places; and how it reports."""

from __future__ import annotations

from evidence.query.findings import Finding, Places, Severity
from evidence.query.tree import (
    Parsed,
    Span,
)


class Rules:
    """Looks at one query; what it finds is in ``findings``."""

    def __init__(self, parsed: Parsed) -> None:
        self.text = parsed.text
        self.tree = parsed.tree
        self.places = Places(parsed.text)
        self.findings: list[Finding] = []

    def find(
        self,
        code: str,
        severity: Severity,
        at: Span,
        message: str,
        remedy: str,
        fix: str | None = None,
    ) -> None:
        self.findings.append(
            self.places.finding(code, severity, at.start, at.end, message, remedy, fix)
        )
