"""A strategy asked of a single text with its headings: exact headings, no mapping."""

from __future__ import annotations

from dataclasses import dataclass

from evidence.query import match, searchable


@dataclass(frozen=True)
class Paper:
    """What a record offers to the line: its text and its headings with their parents."""

    text: str
    headings: frozenset[str] = frozenset()


def matches(query: str, paper: Paper) -> bool:
    """Whether the paper is in the set of the query."""
    record = searchable.Paper(
        title=paper.text,
        headings=tuple(searchable.MeshHeading(name) for name in sorted(paper.headings)),
        kinds=tuple(sorted(paper.headings)),
    )
    return match.matches(query, record, strict=False)
