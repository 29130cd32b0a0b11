"""The lines of one record in NLM's MEDLINE format, read by Biopython.

`Bio.Medline` knows which tags hold one text and which hold many, and how lines are folded. It
groups a record by tag; which of the lines of a tag are the rest of one text, and in what order
tags follow each other (an affiliation is of the author before it), is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from Bio import Medline

_parse = cast(Callable[[Iterable[str]], Iterator[dict[str, Any]]], Medline.parse)
FOLDED = "      "  # what the rest of a text begins with


def fields_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Tags and texts of a record, in order and unfolded; blanks are as they stand.

    Parameters
    ----------
    lines : sequence of str
        Physical lines without their ends. The first four characters are a tag, the fifth is a
        hyphen, the text begins with the seventh; a line that begins with six blanks goes on with
        the text before it. The caller has made sure of that.
    """
    spans: list[tuple[str, int, int]] = []  # tag, its first line, the line after its last
    for number, line in enumerate(lines):
        if line.startswith(FOLDED):
            tag, first, _ = spans[-1]
            spans[-1] = (tag, first, number + 1)
        else:
            spans.append((line[:4].rstrip(), number, number + 1))
    record = _read(lines)
    times: dict[str, int] = {}
    for tag, _, _ in spans:
        times[tag] = times.get(tag, 0) + 1
    at = dict.fromkeys(times, 0)
    fields: list[tuple[str, str]] = []
    for tag, first, end in spans:
        value = record[tag]
        if isinstance(value, str):
            # Biopython makes one text of all; where a tag occurs again each is read by itself.
            text = value if times[tag] == 1 else str(_read(lines[first:end])[tag])
        else:
            size = 1 if len(value) == times[tag] else end - first
            text = " ".join(value[at[tag] : at[tag] + size])
            at[tag] += size
        fields.append((tag, text))
    return fields


def _read(lines: Sequence[str]) -> dict[str, str | list[str]]:
    (record,) = _parse(lines)
    return record
