"""A place in the tokens of a query, and the findings made on the way."""

from __future__ import annotations

from evidence.query.findings import Finding, Places, Severity
from evidence.query.tokens import Token, clean
from evidence.query.tree import Span


class Cursor:
    """What every reader of tokens shares."""

    def __init__(
        self, text: str, places: Places, stream: list[Token], findings: list[Finding]
    ) -> None:
        self.text = text
        self.places = places
        self.stream = stream
        self.findings = findings
        self.at = 0

    def _peek(self) -> Token | None:
        return self.stream[self.at] if self.at < len(self.stream) else None

    def _next_tag(self) -> Token | None:
        token = self._peek()
        if token is None or token.kind != "tag":
            return None
        self.at += 1
        return token

    def _shown(self, token: Token) -> str:
        return clean(self.text[token.start : token.end])

    def _span(self, start: int, end: int) -> Span:
        line, column = self.places.position(start)
        return Span(start, end, line, column)

    def _fault(
        self,
        code: str,
        start: int,
        end: int,
        message: str,
        remedy: str,
        fix: str | None = None,
        *,
        severity: Severity = "error",
    ) -> None:
        self.findings.append(self.places.finding(code, severity, start, end, message, remedy, fix))
