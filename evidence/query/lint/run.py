"""All rules over one query, and the mending of what a machine can mend."""

from __future__ import annotations

from collections.abc import Collection

from evidence.query.findings import SEVERITIES, Finding
from evidence.query.lint.structure import StructureRules
from evidence.query.lint.terms import TermRules
from evidence.query.parse import parse
from evidence.query.tree import (
    Parsed,
)


def lint(
    text: str, *, named_sets: bool = False, unindexed: tuple[int, int] | None = None
) -> list[Finding]:
    """Everything in a query that PubMed would take otherwise than it is written.

    Parameters
    ----------
    text : str
        The query, on one line or many.
    named_sets : bool
        Whether ``#bdnf`` names a block, as in a claim file.
    unindexed : tuple of int, optional
        Records of the reader's own store that have no MeSH heading yet, and all its records; told
        where a block has headings alone.

    Returns
    -------
    list of Finding
        In the order of the text. Empty for a query that PubMed takes exactly as written and that
        depends on nothing that it does not publish.
    """
    parsed = parse(text, named_sets=named_sets)
    return lint_parsed(parsed, unindexed=unindexed)


def lint_parsed(parsed: Parsed, *, unindexed: tuple[int, int] | None = None) -> list[Finding]:
    """The findings of a query that has been read already."""
    terms, structure = TermRules(parsed), StructureRules(parsed)
    terms.run()
    structure.run(unindexed)
    every = (*parsed.findings, *terms.findings, *structure.findings)
    found = {(f.start, f.length, f.code): f for f in every}
    rank = {severity: i for i, severity in enumerate(SEVERITIES)}
    return sorted(found.values(), key=lambda f: (f.start, rank[f.severity], f.length, f.code))


def fix(
    text: str,
    *,
    severities: Collection[str] = ("error",),
    codes: Collection[str] | None = None,
    named_sets: bool = False,
) -> str:
    """The text with every fix put in that a machine can make.

    Fixes that overlap are made one after the other. What only the author can decide stays, and is
    found by linting the result.

    Parameters
    ----------
    text : str
    severities : collection of str
        Which findings to mend.
    codes : collection of str, optional
        Only these.
    """
    for _ in range(20):  # each round mends at least one; overlaps need a second
        mended, end = [], 0
        changes = [
            f
            for f in lint(text, named_sets=named_sets)
            if f.fix is not None
            and f.severity in severities
            and (codes is None or f.code in codes)
            and text[f.start : f.end] != f.fix
        ]
        for change in changes:
            if change.start < end:
                continue
            mended += [text[end : change.start], change.fix or ""]
            end = change.end
        if not mended:
            break
        text = "".join(mended) + text[end:]
    return text
