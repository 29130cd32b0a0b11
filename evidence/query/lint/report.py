"""Findings for a terminal and for a program."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict

from evidence.query.findings import SEVERITIES, Finding
from evidence.query.lint.run import fix, lint_parsed
from evidence.query.parse import parse
from evidence.query.show import show

_TABS = {ord("\t"): " "}
_WIDTH = 96  # characters of a long line that are shown


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around a column, and the column in it."""
    if len(line) <= _WIDTH:
        return line, column
    begin = max(0, min(column - 1 - _WIDTH // 3, len(line) - _WIDTH))
    return line[begin : begin + _WIDTH], column - begin


def render(text: str, findings: Collection[Finding], *, name: str = "query") -> str:
    """The findings for a terminal: place, message, line with a caret under the place, remedy."""
    lines = text.split("\n")
    shown: list[str] = []
    for f in findings:
        line = lines[f.line - 1] if f.line <= len(lines) else ""
        line, column = _window(line.rstrip("\r"), f.column)
        length = max(1, min(f.length, len(line) - column + 1))
        shown += [
            f"{name}:{f.line}:{f.column}: {f.severity}: {f.message} [{f.code}]",
            f"  {line.translate(_TABS)}",
            f"  {' ' * (column - 1)}{'^' * length}",
            f"  try: {f.remedy}",
        ]
        if f.fix is not None and f.fix != text[f.start : f.end]:
            shown.append(f"  put: {f.fix if f.fix.strip() else 'nothing'}")
    return "\n".join(shown)


def lint_json(text: str, *, name: str = "query", named_sets: bool = False) -> str:
    """The findings for a program: a JSON object with the name, counts and one object each."""
    parsed = parse(text, named_sets=named_sets)
    found = lint_parsed(parsed)
    counts = {s: sum(f.severity == s for f in found) for s in SEVERITIES}
    return json.dumps(
        {
            "file": name,
            "counts": counts,
            "query": show(parsed.tree),
            "fixed": fix(text, named_sets=named_sets),
            "findings": [asdict(f) for f in found],
        },
        ensure_ascii=False,
        indent=2,
    )
