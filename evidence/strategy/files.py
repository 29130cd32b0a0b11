"""Linting a file: a claim file, each string of its strategy in place, or a text with a query or
with the numbered lines of a search history."""

from __future__ import annotations

import dataclasses
import functools
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from evidence import files
from evidence.claim_files import syntax_fault
from evidence.errors import SchemaError
from evidence.query.blocks import is_controlled_only
from evidence.query.findings import SEVERITIES, Finding, Places
from evidence.query.lint import headings_alone, lint, lint_json, render
from evidence.query.parse import parse
from evidence.query.tree import SetName, leaves
from evidence.strategy.history import bare_numbers, history
from evidence.strategy.outlines import of_history
from evidence.toml_positions import positions

Keys = tuple[str | int, ...]
Own = Callable[[], tuple[int, int] | None]
_HEADINGS = "headings-alone"


@dataclasses.dataclass(frozen=True, slots=True)
class Linted:
    """The findings of one file, with their places in it."""

    name: str
    text: str
    findings: tuple[Finding, ...]
    kind: Literal["claim", "history", "query"]

    @property
    def counts(self) -> dict[str, int]:
        return {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES}

    def json(self) -> dict[str, Any]:
        """For a program; a single query also as read and as mended."""
        body: dict[str, Any] = {
            "file": self.name,
            "counts": self.counts,
            "findings": [dataclasses.asdict(f) for f in self.findings],
        }
        if self.kind == "query":
            whole: dict[str, Any] = json.loads(lint_json(self.text, name=self.name))
            return whole | body
        return body

    def words(self) -> str:
        """For the terminal."""
        shown = render(self.text, self.findings, name=self.name)
        counts = ", ".join(f"{n} {s}{'' if n == 1 else 's'}" for s, n in self.counts.items())
        return f"{shown}\n{self.name}: {counts}" if shown else f"{self.name}: {counts}"


def lint_file(path: Path, *, name: str, own: Own = lambda: None) -> Linted:
    """Lint a claim file (.toml) or a text file with one query or numbered lines.

    Parameters
    ----------
    own : callable
        Counts the reader's own records: those without headings, and all. It is called where a
        concept has headings alone.

    Raises
    ------
    SchemaError
        If a .toml file cannot be read as one.
    """
    text = files.read_text(path)
    own = functools.cache(own)
    if path.suffix == ".toml":
        found = sorted(_of_claim(text, name, own), key=lambda f: (f.start, f.code))
        return Linted(name, text, tuple(found), "claim")
    if numbered := history(text):
        found = sorted(_of_history(text, numbered, own), key=lambda f: f.start)
        return Linted(name, text, tuple(found), "history")
    return Linted(name, text, tuple(_linted(text, own)), "query")


def _linted(query: str, own: Own, *, named_sets: bool = False) -> list[Finding]:
    found = lint(query, named_sets=named_sets)
    if any(f.code == _HEADINGS for f in found) and (counted := own()):
        return lint(query, named_sets=named_sets, unindexed=counted)
    return found


def _of_claim(text: str, name: str, own: Own) -> list[Finding]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise SchemaError(
            f"{name} is no TOML",
            [syntax_fault(name, text, fault)],
            remedy="correct that line, then run the command again",
        ) from None
    spans, places = positions(text).spans, Places(text)
    found: list[Finding] = []

    @functools.cache  # a block is that of each of its lines
    def has_headings_alone(block: str) -> bool:
        return any(f.code == _HEADINGS for f in lint(block))

    for keys, query, block in _queries(data):
        span = spans.get(keys)
        alone = has_headings_alone(block)
        told = _linted(query, own if alone else lambda: None, named_sets=keys[-1] == "combine")
        for finding in told:
            if keys[-1] == "combine" and finding.code in ("untagged", "unknown-flag"):
                continue
            if finding.code == _HEADINGS and not alone:  # another line has the words
                continue
            start = 0
            if span is not None:
                start = _offset(text, span.start, span.end, finding.start)
            found.append(_at(finding, start, places))
    return found


def _of_history(text: str, numbered: Mapping[str, tuple[int, int]], own: Own) -> list[Finding]:
    """The findings of each line; a concept is what OR joins, on however many lines."""
    places = Places(text)
    found: list[Finding] = []
    lines = {number: text[start:end] for number, (start, end) in numbered.items()}
    for number, query in lines.items():
        begin = numbered[number][0]
        found += [_at(f, begin + f.start, places) for f in lint(query) if f.code != _HEADINGS]
        found += [
            places.finding(
                "unknown-line",
                "error",
                begin + leaf.at.start,
                begin + leaf.at.end,
                f"#{leaf.name} is not a line before this one",
                "number the lines from 1 and name earlier ones",
            )
            for leaf in leaves(parse(query).tree)
            if isinstance(leaf, SetName) and not 0 < int(leaf.name) < int(number)
        ]
        found += [
            places.finding(
                "bare-number",
                "error",
                begin + leaf.at.start,
                begin + leaf.at.end,
                f"PubMed reads {query[leaf.at.start : leaf.at.end]} as a PMID, not as a line",
                "write # before the number of a line",
                " OR ".join(f"#{n}" for n in leaf.numbers),
            )
            for leaf in bare_numbers(query, parse(query).tree, int(number))
        ]
    if any(f.code in ("unknown-line", "bare-number") for f in found):
        return found
    drawn = of_history(lines)
    for i, concept in enumerate(drawn.concepts):
        first = concept.lines[0].number
        if first is None or i in drawn.excluded or not is_controlled_only(concept.node):
            continue
        start, end = numbered[str(first)]
        found.append(headings_alone(places, start, end, own()))
    return found


def _at(finding: Finding, start: int, places: Places) -> Finding:
    line, column = places.position(start)
    return dataclasses.replace(finding, start=start, line=line, column=column)


def _queries(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str]]:
    """Every string of the strategy that PubMed would receive, with its keys and its block."""
    search = data.get("search")
    if not isinstance(search, dict):
        return
    for kind in ("blocks", "filters"):
        group = search.get(kind)
        for name, block in group.items() if isinstance(group, dict) else ():
            lines = block.get("lines") if isinstance(block, dict) else None
            texts = [
                (i, terms)
                for i, line in enumerate(lines if isinstance(lines, list) else ())
                if isinstance(terms := line.get("terms") if isinstance(line, dict) else None, str)
                and terms.strip()
            ]
            # A filter may rest on headings alone, as published ones do.
            whole = " OR ".join(f"({t})" for _, t in texts) if kind == "blocks" else ""
            for i, terms in texts:
                yield ("search", kind, name, "lines", i, "terms"), terms, whole
    if isinstance(combine := search.get("combine"), str) and combine.strip():
        yield ("search", "combine"), combine, ""


def _offset(text: str, start: int, end: int, at: int) -> int:
    r"""Where a place of a TOML string stands in the file.

    Escapes make a string longer in the file than it is; the walk matches characters one by one
    and takes ``\"`` and the like as one.
    """
    raw = text[start:end]
    quotes = raw[:1] * (3 if raw[:3] in ('"""', "'''") else 1)
    begin = start + len(quotes)
    if len(quotes) == 3 and text[begin : begin + 1] == "\n":  # the first line break does not count
        begin += 1
    place, done = begin, 0
    literal = raw.startswith("'")
    while done < at and place < end:
        if not literal and text[place] == "\\":
            following = text[place + 1 : place + 2]
            if following in "\n\r \t":  # a line that goes on
                place += 1
                while place < end and text[place].isspace():
                    place += 1
                continue
            place += {"u": 6, "U": 10}.get(following, 2)
        else:
            place += 1
        done += 1
    return min(place, end)
