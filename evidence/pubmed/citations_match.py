"""From a printed citation or a DOI to a PMID: NLM's citation matcher and the fields of articles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from evidence.fetch import Eutils, Passing
from evidence.model import Record
from evidence.pubmed.records import details
from evidence.pubmed.search import find

BATCH = 100  # citations a request
DOIS = 40  # a query; each stands in it twice


@dataclass(frozen=True, slots=True)
class Citation:
    """What is known of a printed work; empty where it is not."""

    key: str  # the caller's own name for it
    journal: str = ""
    year: str = ""
    volume: str = ""
    page: str = ""  # the first
    author: str = ""  # the first: "Mann BJ" or "Mann"


@dataclass(frozen=True, slots=True)
class Match:
    """What the matcher says: a PMID, or why there is none."""

    key: str
    pmid: str | None
    answer: str  # "NOT_FOUND;INVALID_JOURNAL", "AMBIGUOUS ...", or the PMID


def match(citations: Sequence[Citation], eutils: Eutils) -> dict[str, Match]:
    """Ask the citation matcher (ecitmatch.cgi), by POST and 100 at a time.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    found: dict[str, Match] = {}
    for at in range(0, len(citations), BATCH):
        part = citations[at : at + BATCH]
        lines = [
            "|".join((*map(_plain, (c.journal, c.year, c.volume, c.page, c.author)), f"row{n}", ""))
            for n, c in enumerate(part)
        ]
        fields = {"db": "pubmed", "rettype": "xml", "bdata": "\r".join(lines)}
        answers = eutils.call("ecitmatch", fields, partial(_answers, count=len(part)))
        for citation, answer in zip(part, answers, strict=True):
            pmid = answer if re.fullmatch(r"[1-9]\d*", answer) else None
            found[citation.key] = Match(citation.key, pmid, answer)
    return found


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[|\r\n]", " ", text).split())


def _answers(body: bytes, count: int) -> list[str]:
    """The last field of each line, by the number in the one before it."""
    found: dict[int, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        parts = line.split("|")
        if len(parts) >= 7 and re.fullmatch(r"row\d+", parts[5].strip()):
            found[int(parts[5].strip()[3:])] = "|".join(parts[6:]).strip()
    if sorted(found) != list(range(count)) or not all(found.values()):
        raise Passing(f"the citation matcher answered {len(found)} of {count} citations")
    return [found[n] for n in range(count)]


def by_doi(dois: Sequence[str], eutils: Eutils) -> dict[str, list[Record]]:
    """The records whose own DOI is one of these, by DOI in lower case.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    wanted = list(dict.fromkeys(plain_doi(doi) for doi in dois if plain_doi(doi)))
    found: dict[str, list[Record]] = {doi: [] for doi in wanted}
    for at in range(0, len(wanted), DOIS):
        part = wanted[at : at + DOIS]
        query = " OR ".join(f'"{doi}"[doi] OR "{doi}"[aid]' for doi in part)
        for batch in details(find(query, eutils).pmids, eutils):
            for record in batch.records:
                if (doi := plain_doi(record.doi or "")) in found:
                    found[doi].append(record)
    return found


def plain_doi(text: str) -> str:
    """A DOI without its address, in lower case, as DOIs are compared (ISO 26324)."""
    text = text.strip().replace('"', "")
    return re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", text, flags=re.I).lower()
