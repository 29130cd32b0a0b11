"""Ovid's tagged format, which it exports for EndNote (.cgi) and Citavi (.ovd); read only.

Fields: "Ovid MEDLINE Database Guide" and "Embase Database Guide", Wolters Kluwer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, line, make, paragraphs, serials
from evidence.formats.text import encode, lines
from evidence.model import Place

_BEGIN = re.compile(r"(?m)^<\d+\. ?>\s*$")
_TAG = re.compile(r"([A-Z][A-Z0-9])  - ?(.*)", re.DOTALL)
# "Heart. 105(4):276-282, 2019." or "Heart. 105 (4) (pp 276-282), 2019."
_SOURCE = re.compile(
    r"(?P<journal>.+?)\.\s.*?(?P<volume>\d+)\s*(?:\((?P<issue>[^()]*)\))?\s*"
    r"(?::\s*(?P<pages>[\w-]+)|\(pp (?P<pages_2>[^)]*)\)|\(no pagination\)|,)"
)

_ONE = {
    "title": ("TI", "BT"),
    "journal": ("JT", "JN"),
    "journal_short": ("TA", "JA"),
    "volume": ("VI", "VO"),
    "issue": ("IP",),
    "pages": ("PG",),
    "abstract": ("AB",),
    "publisher": ("PB",),
    "place": ("PL", "CP"),
    "database": ("DB",),
    "accession": ("UI", "AN"),
    "language": ("LG", "LA"),
    "doi": ("DO",),
}
_MANY = {"authors": ("AU",), "types": ("PT",), "mesh": ("MH",), "keywords": ("KW",)}


@dataclass(slots=True)
class _Block:
    start: int
    raw: list[str] = field(default_factory=list)
    tags: list[tuple[str, str]] = field(default_factory=list)


def read_ovid(text: str, *, file: str, encoding: str) -> Read:
    """The entries of a tagged export of Ovid; each begins with its number: <12. >."""
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    for block in _blocks(text):
        said = {tag for tag, value in block.tags if line(value)}
        if said & {"TI", "BT", "AU", "DO", "UI", "AN"}:
            references.append(_reference(block, Place(file, block.start)))
        else:
            data = encode("".join(block.raw), encoding)
            why = "has no title, author or number"
            refused.append(RefusedEntry(file, block.start, why, data))
    return Read(references, refused, len(_BEGIN.findall(text)), dialect="Ovid")


def _blocks(text: str) -> Iterator[_Block]:
    block: _Block | None = None
    for number, raw in enumerate(lines(text), 1):
        body = raw.rstrip("\r\n")
        if _BEGIN.fullmatch(body):
            if block is not None:
                yield block
            block = _Block(number)
        elif block is None:
            if not body.strip():
                continue
            block = _Block(number)
        block.raw.append(raw)
        if match := _TAG.fullmatch(body):
            block.tags.append((match.group(1), match.group(2)))
        elif block.tags and body.strip():
            tag, before = block.tags[-1]
            block.tags[-1] = (tag, f"{before}\n{body}")
    if block is not None:
        yield block


def _reference(block: _Block, at: Place) -> Reference:
    values: dict[str, list[str]] = {}
    for tag, value in block.tags:
        if line(value):
            values.setdefault(tag, []).append(value)
    used = {"YR", "VN"}
    fields: dict[str, str] = {}
    for name, tags in _ONE.items():
        tag = next((t for t in tags if t in values), "")
        fields[name] = values[tag][0] if tag else ""
        if tag and len(values[tag]) == 1:
            used.add(tag)
    source = line(values["SO"][0]) if "SO" in values else ""
    if match := _SOURCE.match(source):
        found = match.groupdict()
        found["pages"] = found["pages"] or found.pop("pages_2")
        for name in ("journal", "volume", "issue", "pages"):
            fields[name] = fields[name] or (found[name] or "")
    database = fields["database"]
    pmid = None
    if re.search(r"(?i)medline", database) and line(fields["accession"]).isdigit():
        pmid, fields["accession"] = fields["accession"], ""
    issn: list[str] = []
    isbn: list[str] = []
    for tag in ("IS", "IB"):
        for value in values.get(tag, ()):
            numbers, rest = serials(value)
            issn += numbers["issn"]
            isbn += numbers["isbn"]
            if not rest and any(numbers.values()):
                used.add(tag)
    many = {name: [v for t in tags for v in values.get(t, ())] for name, tags in _MANY.items()}
    used.update(tag for tags in _MANY.values() for tag in tags)
    year = next((line(values[t][0])[:4] for t in ("YR", "PY", "DP") if t in values), "")
    extra = [(f"ovid:{t}", paragraphs(v)) for t, v in block.tags if t not in used]
    return make(
        **fields,
        **many,
        year=int(year) if re.fullmatch(r"\d{4}", year) else None,
        pmid=pmid,
        issn=issn,
        isbn=isbn,
        extra=extra,
        source_id=fields["accession"] or pmid or "",
        at=at,
    )
