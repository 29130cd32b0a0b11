"""EndNote's XML export, which Zotero, Mendeley, DistillerSR and Rayyan read and write too.

Elements: "EndNote XML DTD" (RSXML.dtd), Thomson Reuters; reference types by their numbers there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, line, make, paragraphs, serials
from evidence.formats.xml import bytes_of, pieces, text_of
from evidence.model import Place

Element = Any  # lxml brings no types

TYPES = {
    "article": ("Journal Article", 17),
    "book": ("Book", 6),
    "chapter": ("Book Section", 5),
    "conference": ("Conference Paper", 47),
    "preprint": ("Unpublished Work", 34),
    "thesis": ("Thesis", 32),
    "report": ("Report", 27),
    "dataset": ("Dataset", 59),
    "registration": ("Generic", 13),
    "web": ("Web Page", 12),
    "news": ("Newspaper Article", 23),
    "other": ("Generic", 13),
}
_KINDS = {name.casefold(): kind for kind, (name, _) in TYPES.items()} | {
    "generic": "other",
    "electronic article": "article",
    "journal": "article",
    "magazine article": "article",
    "conference proceedings": "conference",
    "edited book": "book",
    "electronic book": "book",
    "electronic book section": "chapter",
    "government document": "report",
    "online database": "dataset",
    "blog": "web",
    "preprint": "preprint",
    "online multimedia": "web",
    "manuscript": "preprint",
}
_PATHS = {  # field: where it stands
    "title": "titles/title",
    "volume": "volume",
    "issue": "number",
    "pages": "pages",
    "abstract": "abstract",
    "language": "language",
    "publisher": "publisher",
    "place": "pub-location",
    "accession": "accession-num",
    "database": "remote-database-name",
}
_KNOWN = frozenset(
    {
        *_PATHS.values(),
        "titles/secondary-title",
        "titles/alt-title",
        "periodical/full-title",
        "periodical/abbr-1",
        "contributors/authors/author",
        "contributors/secondary-authors/author",
        "dates/year",
        "dates/pub-dates/date",
        "electronic-resource-num",
        "isbn",
        "keywords/keyword",
        "work-type",
        "notes",
        "rec-number",
        "ref-type",
        "database",
        "source-app",
        "custom2",
    }
)


def read_endnote(data: bytes, *, file: str) -> Read:
    """The records of an EndNote XML document."""
    found, counted = pieces(data, ("record",))
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    for piece in found:
        why = piece.why
        if piece.element is not None:
            reference = _reference(piece.element, Place(file, piece.line))
            if reference.title or reference.authors or reference.doi or reference.accession:
                references.append(reference)
                continue
            why = "has no title, author, DOI or number"
        refused.append(RefusedEntry(file, piece.line, why, bytes_of(piece)))
    return Read(references, refused, counted, dialect="EndNote XML")


def _reference(record: Element, at: Place) -> Reference:
    def one(path: str) -> str:
        return text_of(record.find(path))

    def many(path: str) -> list[str]:
        return [text_of(e) for e in record.findall(path)]

    fields: dict[str, Any] = {name: one(path) for name, path in _PATHS.items()}
    extra: list[tuple[str, str]] = []
    ref_type = record.find("ref-type")
    name = ref_type.get("name", "") if ref_type is not None else ""
    kind = _KINDS.get(name.casefold(), "other")
    if name and name != TYPES[kind][0]:
        extra.append(("endnote:ref-type", name))
    journal = one("titles/secondary-title") or one("periodical/full-title")
    short = one("periodical/abbr-1") or one("titles/alt-title")
    serial = [part for value in many("isbn") for part in re.split(r"[\r\n;,]+", value)]
    issn: list[str] = []
    isbn: list[str] = []
    for value in serial:
        numbers, rest = serials(value)
        issn += numbers["issn"]
        isbn += numbers["isbn"]
        if line(value) and (rest or not any(numbers.values())):
            extra.append(("endnote:isbn", value))
    doi = one("electronic-resource-num")
    urls = [u for u in (text_of(e) for e in record.findall("urls//url")) if line(u)]
    pmid, pmcid = None, None
    custom2 = one("custom2")
    if re.fullmatch(r"(?i)\s*pmc\d+\s*", custom2):
        pmcid = custom2
    elif custom2:
        extra.append(("endnote:custom2", custom2))
    source = f"{fields['database']} {one('remote-database-provider')}"
    is_pmid = re.fullmatch(r"\s*\d{1,8}\s*", fields["accession"])
    if is_pmid and re.search(r"(?i)medline|pubmed|nlm", source):
        pmid, fields["accession"] = fields["accession"], ""
    notes = []
    for note in _BREAKS.split(one("notes")):
        match = re.fullmatch(r"(?i)\s*pmid:?\s*(\d{1,8})\s*", note)
        if match and (pmid is None or line(pmid) == match.group(1)):
            pmid = match.group(1)
        else:
            notes.append(note)
    seen_journal = {line(journal), line(short)}
    for path in ("titles/secondary-title", "titles/alt-title", "periodical/full-title"):
        if (text := line(one(path))) and text not in seen_journal:
            extra.append((f"endnote:{path}", text))
    for child in record.iter():
        if not isinstance(child.tag, str) or child.tag == "style":
            continue
        path = _path(child, record)
        if path in _KNOWN or any(isinstance(c.tag, str) and c.tag != "style" for c in child):
            continue
        if path and not path.startswith("urls/") and (text := paragraphs(text_of(child))):
            extra.append((f"endnote:{path}", text))
    year_text, date_text = line(one("dates/year")), line(one("dates/pub-dates/date"))
    year = int(year_text) if re.fullmatch(r"\d{4}", year_text) else None
    if date_text and year_text and year_text not in date_text and not re.match(r"\d{4}", date_text):
        date_text = f"{year_text} {date_text}"
    return make(
        **fields,
        kind=kind,
        authors=many("contributors/authors/author"),
        editors=many("contributors/secondary-authors/author"),
        year=year,
        date=date_text or ("" if year else year_text),
        journal=journal,
        journal_short=short,
        doi=doi or None,
        pmid=pmid,
        pmcid=pmcid,
        issn=issn,
        isbn=isbn,
        keywords=[w for k in many("keywords/keyword") for w in _BREAKS.split(k)],
        types=many("work-type"),
        urls=urls,
        notes=notes,
        extra=extra,
        source_id=line(one("rec-number")),
        at=at,
    )


_BREAKS = re.compile(r"[\r\n]+")


def _path(child: Element, record: Element) -> str:
    parts: list[str] = []
    while child is not record:
        parts.append(child.tag)
        child = child.getparent()
    return "/".join(reversed(parts))


def write_endnote(references: Iterable[Reference]) -> str:
    """References as EndNote XML in UTF-8; what the format cannot hold is in `loses`."""
    root = etree.Element("xml")
    records = etree.SubElement(root, "records")
    for number, reference in enumerate(references, 1):
        _write(etree.SubElement(records, "record"), reference, number)
    etree.indent(root)
    text: str = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _write(record: Element, reference: Reference, number: int) -> None:
    r = reference
    own = [(k.removeprefix("endnote:"), v) for k, v in r.extra if k.startswith("endnote:")]
    name, code = TYPES[r.kind]
    kept = next((v for k, v in own if k == "ref-type"), name)

    def put(path: str, text: str) -> None:
        if text:
            parent = record
            *outer, last = path.split("/")
            for tag in outer:
                inner = parent.find(tag)
                parent = etree.SubElement(parent, tag) if inner is None else inner
            etree.SubElement(parent, last).text = text

    put("rec-number", r.source_id or str(number))
    etree.SubElement(record, "ref-type", name=kept).text = str(code)
    for author in r.authors:
        put("contributors/authors/author", author)
    for editor in r.editors:
        put("contributors/secondary-authors/author", editor)
    put("titles/title", r.title)
    put("titles/secondary-title", r.journal)
    put("periodical/full-title", r.journal)
    put("periodical/abbr-1", r.journal_short)
    for path in ("pages", "volume", "number"):
        put(path, {"pages": r.pages, "volume": r.volume, "number": r.issue}[path])
    for word in (*r.keywords, *r.mesh):
        put("keywords/keyword", word)
    put("dates/year", str(r.year) if r.year is not None else "")
    put("dates/pub-dates/date", r.date)
    put("pub-location", r.place)
    put("publisher", r.publisher)
    put("isbn", "; ".join((*r.issn, *r.isbn)))
    put("accession-num", r.accession)
    put("electronic-resource-num", r.doi or "")
    put("abstract", r.abstract)
    put("notes", "\n".join((*([f"PMID: {r.pmid}"] if r.pmid else []), *r.notes)))
    put("work-type", "; ".join(r.types))
    put("custom2", r.pmcid or "")
    for url in r.urls:
        put("urls/related-urls/url", url)
    put("remote-database-name", r.database)
    put("language", r.language)
    for path, text in own:
        if path != "ref-type" and re.fullmatch(r"[a-z][a-z0-9-]*(?:/[a-z][a-z0-9-]*)*", path):
            put(path, text)
