"""A search history as a text: numbered lines (``#1 ...``, ``2. ...``) that name earlier ones."""

from __future__ import annotations

import re
from collections.abc import Mapping

from evidence.query.tree import Node, Pmids, leaves

_NUMBERED = re.compile(r"\s*#?(\d{1,3})(?:[.):]\s*|\s+)(?=\S)")


def history(text: str) -> Mapping[str, tuple[int, int]]:
    """Where the query of each numbered line starts and ends; empty if the text is no history.

    Lines are numbered from 1. One without a number goes on with the line before it.

    Returns
    -------
    mapping of str to (int, int)
        Number to offsets in the text, in their order; two lines at least.
    """
    found: dict[str, tuple[int, int]] = {}
    at = 0
    for line in text.splitlines(keepends=True):
        match = _NUMBERED.match(line)
        end = at + len(line.rstrip())
        if match and int(match.group(1)) == len(found) + 1:
            found[match.group(1)] = (at + match.end(), end)
        elif found and line.strip():
            last = str(len(found))
            found[last] = (found[last][0], end)
        elif line.strip():
            return {}
        at += len(line)
    return found if len(found) > 1 else {}


def bare_numbers(text: str, tree: Node, line: int) -> list[Pmids]:
    """Where a line names earlier ones by numbers alone, as other databases write them.

    PubMed reads ``1 AND 2`` as two PMIDs; it wants ``#1 AND #2``.
    """
    return [
        leaf
        for leaf in leaves(tree)
        if isinstance(leaf, Pmids)
        and "[" not in text[leaf.at.start : leaf.at.end]
        and all(0 < number < line for number in leaf.numbers)
    ]
