"""Faults in the lines of a claim's strategy: `evidence.query.lint` and the rules of claim files.

A claim file joins the lines of a block by OR and its blocks by ``search.combine``, so that it is
stricter than PubMed: operators are written out, and every term has its tag.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.query.findings import Finding
from evidence.query.lint import lint_parsed
from evidence.query.parse import parse
from evidence.query.tree import Combination, Parsed, SetName, leaves

# What is a mere warning elsewhere and a fault in a file that others will run for years.
_STRICT = frozenset(("untagged", "implicit-and", "mixed-operators", "lowercase-operator"))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, the text in which it stands (to find its line), and what to write."""

    at: str
    problem: str
    remedy: str


def lint_terms(terms: str, *, alone: bool) -> list[Fault]:
    """Check one line of a block.

    Parameters
    ----------
    terms : str
        The line as PubMed would receive it.
    alone : bool
        Whether its block has no other line. Several lines are joined by OR, so that an AND or a NOT
        outside parentheses would take in the lines before it.

    Returns
    -------
    list of Fault
        In the order in which they stand; empty for a sound line.
    """
    parsed = parse(terms)
    findings = lint_parsed(parsed)
    faults = [_fault(f, terms) for f in findings if _counts(f)]
    tree = parsed.tree
    if (
        not alone
        and isinstance(tree, Combination)
        and tree.operator != "OR"
        and not tree.in_parentheses
        and all(f.code != "mixed-operators" for f in findings)
    ):
        faults.append(
            Fault(
                f" {tree.operator} ",
                f"the lines of a block are joined by OR, so this {tree.operator} would take in the "
                "lines before it",
                "put parentheses around the whole line",
            )
        )
    return faults


def lint_combine(combine: str) -> list[Fault]:
    """Check the line that combines blocks and filters by ``#name``."""
    parsed = parse(combine, named_sets=True)
    faults = [
        _fault(f, combine)
        for f in lint_parsed(parsed)
        if _counts(f) and f.code not in ("untagged", "unknown-flag")
    ]
    return faults + _strangers(parsed)


def _strangers(parsed: Parsed) -> list[Fault]:
    """Everything in a combination that is not the name of a set."""
    faults = []
    for leaf in leaves(parsed.tree):
        if isinstance(leaf, SetName) and not leaf.name.isdigit():
            continue
        word = parsed.text[leaf.at.start : leaf.at.end]
        faults.append(
            Fault(
                word,
                f"{word!r} is neither an operator nor the #name of a block or filter",
                "give the terms a block of their own and name it, such as #bdnf",
            )
        )
    return faults


def _counts(finding: Finding) -> bool:
    return finding.severity == "error" or finding.code in _STRICT


def _fault(finding: Finding, text: str) -> Fault:
    return Fault(text[finding.start : finding.end], finding.message, finding.remedy)
