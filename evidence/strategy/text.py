"""A claim's search strategy as the appendix of a paper: numbered, line by line, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evidence.claims import Block, Claim, Filter, Search


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """One line of the strategy: its number, the concept it belongs to, what is typed, and why."""

    number: int
    concept: str
    query: str
    why: str


def numbered_lines(search: Search) -> tuple[NumberedLine, ...]:
    """The strategy as PubMed's search history would hold it, blocks first, the combination last.

    A concept of several lines closes with the line that joins them by OR. Filters that the
    combination does not name have no number.
    """
    lines: list[NumberedLine] = []
    number_of: dict[str, int] = {}
    for name, block in _in_order(search):
        own = [
            NumberedLine(len(lines) + i, name, line.terms, line.why)
            for i, line in enumerate(block.lines, start=1)
        ]
        lines += own
        if len(own) > 1:
            union = " OR ".join(f"#{line.number}" for line in own)
            lines.append(NumberedLine(len(lines) + 1, name, union, f"Concept: {block.about}"))
        number_of[name] = lines[-1].number
    whole = re.sub(
        r"#([a-z][a-z0-9_]*)", lambda match: f"#{number_of[match.group(1)]}", search.combine
    )
    lines.append(NumberedLine(len(lines) + 1, "combined", whole, f"Combination: {search.combine}"))
    return tuple(lines)


def appendix(claim: Claim) -> str:
    """The search appendix of one claim, in Markdown.

    It gives what PRISMA-S asks of the author of a strategy: source and platform, the strategy line
    by line and as one text, limits, filters with their source, peer review, and the known records
    against which it is to be tested. The date and the yield of each run belong to the run log and
    are not in it.

    Parameters
    ----------
    claim : Claim

    Returns
    -------
    str
        Markdown that ends with a line break.
    """
    search = claim.search
    lines = numbered_lines(search)
    unused = {
        name: block for name, block in search.filters.items() if name not in _used_names(search)
    }
    parts = [
        f"## Search strategy: {claim.title}",
        f"Claim: {claim.statement}",
        _facts(claim),
        "### Line by line",
        _table(
            ("#", "Concept", "Query", "Reason"),
            ((str(n.number), n.concept, _code(n.query), n.why) for n in lines),
        ),
        "PubMed reads operators strictly from left to right; each numbered line is one set.",
        "### As one text",
        f"```text\n{search.query()}\n```",
        "### Filters",
        _filters({name: f for name, f in search.filters.items() if name not in unused}, "combined"),
        _filters(unused, "defined and not combined"),
    ]
    for name, block in unused.items():
        rows = ((_code(line.terms), line.why) for line in block.lines)
        parts.append(_table((f"Filter {name}", "Reason"), rows))
    if search.notes:
        parts += ["### Notes", search.notes]
    parts += ["### Known relevant records", _known(search)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _used_names(search: Search) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"#([a-z][a-z0-9_]*)", search.combine)))


def _in_order(search: Search) -> list[tuple[str, Block]]:
    """Blocks and filters in the order in which the combination names them."""
    parts: Mapping[str, Block] = {**search.blocks, **search.filters}
    return [(name, parts[name]) for name in _used_names(search)]


def _facts(claim: Claim) -> str:
    search = claim.search
    return "\n".join(
        (
            "- Source and platform: MEDLINE and the rest of PubMed, by NCBI's E-utilities",
            f"- Strategy written: {search.written.isoformat()}, version {claim.version}",
            f"- Limits: {search.limits}",
            f"- Peer review of the strategy: {search.peer_review}",
        )
    )


def _filters(filters: Mapping[str, Filter], state: str) -> str:
    return "\n".join(
        f"- `{name}` ({state}): {part.about}. Source: {_sentence(part.source)}"
        for name, part in filters.items()
    )


def _known(search: Search) -> str:
    if not search.known:
        return "None listed."
    states = [known.status for known in search.known]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in dict.fromkeys(states)
    )  # no share: recall is not claimed while records are unverified
    rows = (
        (
            f"[{known.pmid}](https://pubmed.ncbi.nlm.nih.gov/{known.pmid}/)",
            known.cite,
            known.status,
            known.checked.isoformat() if known.checked else "–",
            known.source,
        )
        for known in search.known
    )
    return f"{len(states)} records: {counts}.\n\n" + _table(
        ("PMID", "Record", "Status", "Checked", "Seen at or verified by"), rows
    )


def _sentence(text: str) -> str:
    return text if text.endswith(".") or text.rpartition(" ")[2].startswith("http") else f"{text}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """A bar would end the cell, in code too; a star outside code would begin emphasis."""
    text = text.replace("|", "\\|")
    return text if text.startswith("`") else text.replace("*", "\\*")


def _code(text: str) -> str:
    return f"`{text}`"
