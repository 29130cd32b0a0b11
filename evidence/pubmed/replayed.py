"""The records behind an archived search, as PubMed sent them then, each with the reply it came in.

An update asks only for records that it does not hold or that were revised, so that the records of
one search lie in the replies of its own run and of earlier ones. Replies that came after the run
tell of a later state and are not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from evidence.model import Record
from evidence.pubmed.archive import Archive, Search
from evidence.pubmed.articles import parse_articles


@dataclass(frozen=True, slots=True)
class Archived:
    """A record as a reply of the archive has it."""

    record: Record
    run: str
    at: str  # when the reply came, UTC
    reply: str  # SHA-256 of its body


@dataclass(frozen=True, slots=True)
class Replayed:
    """Every PMID of a search is in exactly one of these."""

    records: tuple[Archived, ...]  # in the order of the search
    not_served: tuple[str, ...]  # asked for, and PubMed's reply had no such record
    not_archived: tuple[str, ...]  # no reply of that time is held that was asked for it
    run: str

    @property
    def of_run(self) -> int:
        """How many came in the run itself; the others were received before and were unchanged."""
        return sum(found.run == self.run for found in self.records)


def replay_records(archive: Archive, search: Search, pmids: Iterable[str]) -> Replayed:
    """The records of a search's PMIDs, the newest that had arrived by the end of its run.

    Raises
    ------
    SourceError
        If a reply is damaged: its bytes are not those that its name says.
    """
    wanted = list(dict.fromkeys(pmids))
    left = set(wanted)
    refused: set[str] = set()
    found: dict[str, Archived] = {}
    for line in _replies(archive, search):
        if not left:
            break
        asked = {pmid for pmid in str(line["request"].get("id", "")).split(",") if pmid in left}
        if not asked or not archive.has(line["reply"]):
            continue
        try:
            records, _ = parse_articles(archive.body(line["reply"]))
        except ValueError:  # cut short or no XML: it was asked for again
            continue
        best: dict[str, Record] = {}
        for record in records:
            held = best.get(record.pmid)
            if record.pmid in asked and (held is None or held.version <= record.version):
                best[record.pmid] = record
        for pmid, record in best.items():
            found[pmid] = Archived(record, line["run"], line["at"], line["reply"])
        refused |= asked - best.keys()
        left -= best.keys()
    refused &= left
    return Replayed(
        tuple(found[pmid] for pmid in wanted if pmid in found),
        tuple(pmid for pmid in wanted if pmid in refused),
        tuple(pmid for pmid in wanted if pmid in left - refused),
        search.run,
    )


def _replies(archive: Archive, search: Search) -> Iterator[dict[str, Any]]:
    """The log's lines of record requests, newest first, from the run of the search backwards."""
    lines = archive.lines()
    own = [n for n, line in enumerate(lines) if line["run"] == search.run]
    if not own:
        return
    for n in range(own[-1], -1, -1):
        line = lines[n]
        mine = line["run"] == search.run
        if line.get("utility") == "efetch" and line.get("status") == 200 and (mine or n < own[0]):
            yield line


def archived_line(found: Archived) -> bytes:
    """A record as one line of JSON, with the reply it came in."""
    body = found.record.json()
    body["archived"] = {"run": found.run, "at": found.at, "reply": found.reply}
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"
