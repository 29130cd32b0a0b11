"""A finding: what PubMed would silently do to a place in a query, and what to write instead."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One place of a query with what is wrong there.

    An error is something that PubMed ignores, drops or reads as something else. A warning may cost
    or add records. A note says on what the answer depends.
    """

    code: str
    severity: Severity
    start: int  # offset in the text, from 0
    length: int
    line: int  # from 1
    column: int  # from 1, in characters
    message: str
    remedy: str  # what to do, in plain words
    fix: str | None = None  # text to put there; None where only the author knows

    @property
    def end(self) -> int:
        return self.start + self.length


class Places:
    """Turns offsets of a text into lines and columns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def finding(
        self,
        code: str,
        severity: Severity,
        start: int,
        end: int,
        message: str,
        remedy: str,
        fix: str | None = None,
    ) -> Finding:
        line, column = self.position(start)
        return Finding(code, severity, start, end - start, line, column, message, remedy, fix)
