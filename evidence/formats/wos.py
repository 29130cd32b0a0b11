"""Web of Science's tagged format ("plain text", savedrecs.txt and .ciw); read only.

Tags: "Web of Science Core Collection Field Tags", Clarivate.
"""

from __future__ import annotations

import re

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, line, make
from evidence.formats.text import encode, lines
from evidence.model import Place

_TAG = re.compile(r"([A-Z][A-Z0-9])(?: (.*))?", re.DOTALL)
_BEGIN = re.compile(r"(?m)^PT [A-Z]")
KIND_OF = {"J": "article", "B": "book", "S": "book", "P": "other", "C": "conference"}

# Also the headings of the tab-delimited export: field, and whether ";" separates several values.
TAGS = {
    "AU": "authors",
    "AF": "authors_full",
    "BE": "editors",
    "ED": "editors",
    "TI": "title",
    "SO": "journal",
    "JI": "journal_short",
    "J9": "journal_short_2",
    "VL": "volume",
    "IS": "issue",
    "BP": "first_page",
    "EP": "last_page",
    "AR": "article_number",
    "DI": "doi",
    "PM": "pmid",
    "AB": "abstract",
    "DE": "keywords",
    "ID": "keywords_2",
    "DT": "types",
    "LA": "language",
    "PU": "publisher",
    "PI": "place",
    "SN": "issn",
    "EI": "issn",
    "BN": "isbn",
    "PY": "year",
    "PD": "month",
    "UT": "accession",
}
_BY_LINE = frozenset({"AU", "AF", "BE", "ED"})  # each line is a value of its own


def read_wos(text: str, *, file: str, encoding: str) -> Read:
    """The entries of a tagged export: from PT to ER."""
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    start = 0
    raw: list[str] = []
    values: dict[str, list[str]] = {}
    tag = ""

    def close(ended: bool) -> None:
        nonlocal raw, values, tag
        if not raw:
            return
        if not values.keys() & {"TI", "AU", "DI", "UT", "PM"}:
            data = encode("".join(raw), encoding)
            refused.append(RefusedEntry(file, start, "has no title, author or number", data))
        else:
            if not ended:
                warnings.append(f"{file}:{start}  has no ER line: is the end of it missing?")
            references.append(from_tags(values, Place(file, start)))
        raw, values, tag = [], {}, ""

    for number, each in enumerate(lines(text), 1):
        body = each.rstrip("\r\n")
        match = _TAG.fullmatch(body)
        name = match.group(1) if match else ""
        if name == "PT":
            close(False)
        if not raw:
            if name in ("FN", "VR", "EF", "ER") or not body.strip():
                continue
            if not match:
                warnings.append(
                    f"{file}:{number}  stands outside of any record: {line(body)[:60]!r}"
                )
                continue
            start = number
        raw.append(each)
        if name == "ER":
            close(True)
        elif match:
            tag = name
            values.setdefault(tag, []).append(line(match.group(2) or ""))
        elif tag and body.strip():
            if tag in _BY_LINE:
                values[tag].append(line(body))
            else:
                values[tag][-1] = line(f"{values[tag][-1]} {body}")
    close(False)
    return Read(references, refused, len(_BEGIN.findall(text)), warnings, "Web of Science")


def from_tags(values: dict[str, list[str]], at: Place) -> Reference:
    """A reference from Web of Science's tags and their values."""
    fields: dict[str, list[str]] = {}
    extra: list[tuple[str, str]] = []
    kind = KIND_OF.get("".join(values.get("PT", [])), "article")
    for tag, found in values.items():
        name = TAGS.get(tag)
        if name is None or (name == "editors" and "editors" in fields):
            if tag != "PT":
                extra += [(f"wos:{tag}", v) for v in found if v]
        else:
            fields.setdefault(name, []).extend(v for v in found if v)
    one = {name: " ".join(v) for name, v in fields.items()}
    short, full = fields.pop("authors", []), fields.pop("authors_full", [])
    if full and short and short != full:
        extra += [("wos:AU", v) for v in short]
    first, last = one.get("first_page", ""), one.get("last_page", "")
    pages = f"{first}-{last}" if first and last else first or one.get("article_number", "")
    if first and "article_number" in one:
        extra.append(("wos:AR", one["article_number"]))
    if one.get("journal_short") and one.get("journal_short_2"):
        extra.append(("wos:J9", one["journal_short_2"]))
    year = one.get("year", "")
    date = f"{year} {one.get('month', '').title()}".strip()
    return make(
        kind=kind,
        title=one.get("title", ""),
        authors=full or short,
        editors=fields.get("editors", []),
        date=date,
        year=int(year) if re.fullmatch(r"\d{4}", year) else None,
        journal=one.get("journal", ""),
        journal_short=one.get("journal_short", "") or one.get("journal_short_2", ""),
        volume=one.get("volume", ""),
        issue=one.get("issue", ""),
        pages=pages,
        abstract=one.get("abstract", ""),
        doi=one.get("doi"),
        pmid=one.get("pmid"),
        issn=fields.get("issn", []),
        isbn=fields.get("isbn", []),
        keywords=fields.get("keywords", []) + fields.get("keywords_2", []),
        types=fields.get("types", []),
        language=one.get("language", ""),
        publisher=one.get("publisher", ""),
        place=one.get("place", ""),
        database="Web of Science",
        accession=one.get("accession", ""),
        extra=extra,
        source_id=one.get("accession", ""),
        at=at,
    )
