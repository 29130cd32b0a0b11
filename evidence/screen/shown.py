"""A record as the page shows it: plain texts and addresses, never markup."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from evidence.model import Record
from evidence.screen.highlights import Highlights, Segment, segments

MANY_AUTHORS = 12  # beyond so many the middle is left out, with their number


def shown(record: Record, highlights: Highlights) -> dict[str, Any]:
    """All of a record that a reviewer reads.

    Texts in which words are marked are lists of ``[text, kind]``; see `highlights.segments`.
    """

    def marked(text: str) -> list[Segment]:
        return segments(text, highlights)

    sections = [(s.label, s.text) for s in record.sections] or [("", record.abstract)]
    return {
        "id": record.pmid,
        "name": record.name,
        "title": marked(record.shown_title or "[no title]"),
        "vernacular": record.vernacular_title if record.title != record.shown_title else "",
        "authors": authors(record),
        "journal": journal(record),
        "sections": [
            {"label": label_words(label), "text": marked(text)} for label, text in sections if text
        ],
        "others": [
            {"language": other.language, "kind": other.kind, "text": other.text}
            for other in record.other_abstracts
        ],
        "mesh": [marked(heading) for heading in record.mesh],
        "kinds": list(record.kinds),
        "keywords": [marked(word) for word in record.keywords],
        "registrations": [
            f"{bank.name} {number}" for bank in record.databanks for number in bank.accessions
        ],
        "language": "" if record.language in ("", "eng") else record.language,
        "links": links(record),
        "retracted": record.retracted,
        "notices": [n for n in record.notices if not n.startswith(("Cites", "CommentIn"))],
    }


def authors(record: Record) -> str:
    names = record.authors
    if len(names) > MANY_AUTHORS:
        left_out = len(names) - MANY_AUTHORS
        names = (*names[: MANY_AUTHORS - 1], f"… {left_out} more …", names[-1])
    return ", ".join(names)


def journal(record: Record) -> str:
    """ "J Physiol. 2019;597(4):1123-1135", as far as it is known."""
    place = record.volume + (f"({record.issue})" if record.issue else "")
    pages = f":{record.pages}" if record.pages and place else record.pages
    year = str(record.year) if record.year else ""
    where = f"{place}{pages}"
    return ". ".join(
        filter(None, (record.journal.rstrip("."), ";".join(filter(None, (year, where)))))
    )


def label_words(label: str) -> str:
    """ "MATERIALS AND METHODS" as "Materials and methods"; other spellings stay."""
    return label.capitalize() if label.isupper() and len(label) > 4 else label


def links(record: Record) -> list[dict[str, str]]:
    """Where the full text may be: PMC first, for it is free, then the publisher, then PubMed."""
    found = []
    if record.pmcid and re.fullmatch(r"PMC[0-9]+", record.pmcid):
        found.append(
            ("PMC, free full text", f"https://pmc.ncbi.nlm.nih.gov/articles/{record.pmcid}/")
        )
    if record.doi and re.fullmatch(r"10\.[0-9.]+/\S+", record.doi):
        found.append((f"doi:{record.doi}", f"https://doi.org/{quote(record.doi, safe='/:;().-_')}"))
    if record.pmid.isdigit():
        found.append(("PubMed", f"https://pubmed.ncbi.nlm.nih.gov/{record.pmid}/"))
    return [{"text": text, "url": url} for text, url in found]
