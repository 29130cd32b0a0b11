"""RIS, in the dialects of Ovid, Embase, Web of Science, Scopus, Cochrane, EBSCO, ProQuest, EndNote
and Zotero.

Tags and reference types: "RIS Format Specifications", Research Information Systems (1997, revised
2011). The dialects differ in which of several tags they use for one field, in the lines that they
put between records, and in where they put a PMID; each is read by the same table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import (
    Reference,
    clean_doi,
    clean_pmcid,
    clean_pmid,
    date_and_year,
    line,
    make,
    serials,
)
from evidence.formats.text import encode, lines
from evidence.model import Place

_STRICT = re.compile(r"([A-Z][A-Z0-9])  - ?(.*)", re.DOTALL)
_LENIENT = re.compile(r"\s{0,8}([A-Z][A-Z0-9])\s{0,3}-\s?(.*)", re.DOTALL)
_BEGIN = re.compile(r"(?m)^\s{0,8}TY {0,3}-")  # for the count that is apart from the reading
# What Cochrane, Ovid and others put between records.
_BETWEEN = re.compile(
    r"Record #\d+ of (\d+)|Provider: .*|Content: ?text/.*|<?\d+\. ?>?|EF|%%%+|-{3,}|={3,}"
)

KIND_OF = {
    "JOUR": "article",
    "BOOK": "book",
    "CHAP": "chapter",
    "CPAPER": "conference",
    "CONF": "conference",
    "THES": "thesis",
    "RPRT": "report",
    "DATA": "dataset",
    "ELEC": "web",
    "NEWS": "news",
    "GEN": "other",
    "UNPB": "preprint",
    # Those below are read so, and keep their own type in `extra`.
    "ABST": "article",
    "EJOUR": "article",
    "INPR": "article",
    "JFULL": "article",
    "MGZN": "article",
    "EBOOK": "book",
    "EDBOOK": "book",
    "ECHAP": "chapter",
    "GOVDOC": "report",
    "STAND": "report",
    "BLOG": "web",
    "ICOMM": "web",
    "WEB": "web",
    "CLSWK": "book",
    "SER": "book",
    "DBASE": "dataset",
    "AGGR": "dataset",
    "PREPRINT": "preprint",
}
_TYPE_OF = {
    "article": "JOUR",
    "book": "BOOK",
    "chapter": "CHAP",
    "conference": "CPAPER",
    "preprint": "UNPB",
    "thesis": "THES",
    "report": "RPRT",
    "dataset": "DATA",
    "registration": "GEN",
    "web": "ELEC",
    "news": "NEWS",
    "other": "GEN",
}

# One value: the first tag of each list that has one; a further, different value goes to `extra`.
_ONE = {
    "title": ("TI", "T1", "CT", "BT"),
    "journal": ("JF", "T2", "JO", "BT"),
    "journal_short": ("J2", "JA", "J1", "JO"),
    "volume": ("VL",),
    "issue": ("IS",),
    "abstract": ("AB", "N2"),
    "language": ("LA",),
    "publisher": ("PB",),
    "place": ("CY", "PP"),
    "database": ("DB", "DP"),
    "accession": ("AN",),
}
_MANY = {
    "authors": ("AU", "A1"),
    "editors": ("ED", "A2"),
    "keywords": ("KW",),
    "notes": ("N1",),
    "urls": ("UR",),
}
_PMID_PLACES = ("U1", "C2", "C3", "C5", "AN", "ID", "M1", "U2", "N1", "UR")
_PUBMED_URL = re.compile(r"(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/(\d+)")
_SAME_NUMBER = re.compile(r"medline|pubmed", re.IGNORECASE)  # databases whose number is the PMID


@dataclass(slots=True)
class _Block:
    """The lines of one entry, with the line where it starts."""

    start: int
    raw: list[str] = field(default_factory=list)
    tags: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False


def read_ris(text: str, *, file: str, encoding: str) -> Read:
    """The entries of a RIS file.

    An entry begins with TY and ends with ER, the next TY or the end of the file. A line without a
    tag goes on the value before it; in KW it is a keyword of its own, as EndNote has it.
    """
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    announced: set[int] = set()
    blocks = list(_blocks(text, file, warnings, announced))
    for block in blocks:
        why = _fault(block)
        if why:
            data = encode("".join(block.raw), encoding)
            refused.append(RefusedEntry(file, block.start, why, data))
            continue
        if not block.ended:
            warnings.append(f"{file}:{block.start}  has no ER line: is the end of it missing?")
        if block.tags[0][0] != "TY":
            warnings.append(f"{file}:{block.start}  has no TY line: read as a record of its own")
        references.append(_reference(block, Place(file, block.start)))
    if len(announced) == 1 and (said := announced.pop()) != len(blocks):
        warnings.append(f"{file} numbers its records up to {said} and holds {len(blocks)}")
    return Read(references, refused, len(_BEGIN.findall(text)), warnings, _dialect(text))


def _blocks(text: str, file: str, warnings: list[str], announced: set[int]) -> Iterator[_Block]:
    strict = re.search(r"(?m)^TY  -", text) is not None
    pattern = _STRICT if strict else _LENIENT
    block: _Block | None = None
    for number, raw in enumerate(lines(text), 1):
        body = raw.rstrip("\r\n")
        match = pattern.fullmatch(body) or (_LENIENT.fullmatch(body) if _edge(body) else None)
        tag, value = match.groups() if match else ("", body)
        if tag == "TY" and block is not None:
            yield block
            block = None
        if block is None:
            if not body.strip() or tag == "ER":
                continue
            if between := _BETWEEN.fullmatch(body.strip()):
                if between.group(1):
                    announced.add(int(between.group(1)))
                continue
            if not tag:
                warnings.append(
                    f"{file}:{number}  stands outside of any record: {line(body)[:60]!r}"
                )
                continue
            block = _Block(number)
        block.raw.append(raw)
        if tag == "ER":
            block.ended = True
            yield block
            block = None
        elif tag:
            block.tags.append((tag, value))
        elif block.tags:
            before, said = block.tags[-1]
            if before == "KW" and not value.startswith((" ", "\t")):
                block.tags.append(("KW", value))
            else:
                block.tags[-1] = (before, f"{said}\n{value}")
    if block is not None:
        yield block


def _edge(body: str) -> bool:
    """Whether a line begins or ends an entry, however it is spaced."""
    return re.match(r"\s{0,8}(?:TY {0,3}- {0,3}[A-Z]{3,8}\s*$|ER {0,3}-\s*$)", body) is not None


def _fault(block: _Block) -> str:
    said = {tag for tag, value in block.tags if line(value)}
    if not block.tags or not said - {"TY"}:
        return "says nothing but its type"
    first = block.tags[0][0]
    known = {*_ONE["title"], *_MANY["authors"], "DO", "AN", "UR"}
    if first != "TY" and not said & {"TI", "T1"}:
        return f"begins with {first} instead of TY, and has no title"
    if not said & known:
        return "has no title, author, DOI, number or address"
    return ""


def _reference(block: _Block, at: Place) -> Reference:
    values: dict[str, list[str]] = {}
    for tag, value in block.tags:
        if value.strip():
            values.setdefault(tag, []).append(value.strip())
    taken: set[tuple[str, int]] = set()

    def take(tag: str, place: int) -> str:
        taken.add((tag, place))
        return values[tag][place]

    raw_type = line(take("TY", 0)) if "TY" in values else "GEN"
    kind = KIND_OF.get(raw_type, "other")
    fields: dict[str, Any] = {"kind": kind}
    extra: list[tuple[str, str]] = []
    if raw_type != _TYPE_OF[kind]:
        extra.append(("ris:TY", raw_type))

    ids = _ids(values, taken)
    for name, tags in _ONE.items():
        for tag in tags:
            if tag in values and (tag, 0) not in taken:
                fields[name] = take(tag, 0)
                break
        else:
            fields[name] = ""
    for name, tags in _MANY.items():
        fields[name] = [
            take(tag, place)
            for tag in tags
            for place in range(len(values.get(tag, ())))
            if (tag, place) not in taken
            and not (tag == "A2" and kind == "article" and "ED" in values)
        ]
    if not fields["journal"]:  # Cochrane and Rayyan have the short name alone
        fields["journal"], fields["journal_short"] = fields["journal_short"], ""
    if not fields["accession"]:
        fields["accession"] = _accession(values, taken)
    fields |= _when(values, taken) | _where(values, taken) | ids
    issn: list[str] = []
    isbn: list[str] = []
    for place, value in enumerate(values.get("SN", ())):
        found, rest = serials(value)
        if not rest and any(found.values()):
            taken.add(("SN", place))
            issn += found["issn"]
            isbn += found["isbn"]
    included = None
    for value in values.get("N1", ()):
        if (decision := _DECISIONS.get(line(value))) is not None:
            included = decision
            fields["notes"] = [n for n in fields["notes"] if line(n) != line(value)]
    types = []
    for tag in ("M3", "PT"):
        for place in range(len(values.get(tag, ()))):
            if (tag, place) not in taken:
                types.append(take(tag, place))
    source_id = line(take("ID", 0)) if "ID" in values else ""
    for tag, place, value in _in_order(block, values):
        same = [line(str(fields[name])) for name, tags in _ONE.items() if tag in tags]
        if (tag, place) not in taken and line(value) not in same:
            extra.append((f"ris:{tag}", value))
    return make(
        **fields,
        included=included,
        issn=issn,
        isbn=isbn,
        types=types,
        extra=extra,
        source_id=source_id,
        at=at,
    )


def _accession(values: dict[str, list[str]], taken: set[tuple[str, int]]) -> str:
    """Embase's number stands in U2, EBSCO's in a note that says more."""
    for place, value in enumerate(values.get("U2", ())):
        if re.fullmatch(r"L\d{6,}", line(value)):
            taken.add(("U2", place))
            return line(value)
    for value in values.get("N1", ()):
        if match := re.match(r"Accession Number: (\S+?);", value):
            return match.group(1)
    return ""


# A note by which ASReview tells its decision in RIS.
_DECISIONS = {"ASReview_relevant": True, "ASReview_irrelevant": False}


def _in_order(block: _Block, values: dict[str, list[str]]) -> Iterator[tuple[str, int, str]]:
    seen: dict[str, int] = {}
    for tag, value in block.tags:
        if value.strip():
            place = seen.get(tag, 0)
            seen[tag] = place + 1
            yield tag, place, values[tag][place]


def _ids(values: dict[str, list[str]], taken: set[tuple[str, int]]) -> dict[str, object]:
    """DOI, PMID and PMC id, wherever the dialect puts them."""
    found: dict[str, object] = {}
    for tag in ("DO", "M3", "L3", "L1", "L2", "UR"):
        for place, value in enumerate(values.get(tag, ())):
            doi = clean_doi(value)
            if tag in ("UR", "L1", "L2") and not re.search(r"(?i)//(?:dx\.)?doi\.org/", value):
                doi = None
            if doi and "doi" not in found:
                found["doi"] = doi
                bare = re.sub(r"(?i)^(?:https?://(?:dx\.)?doi\.org/|doi:?\s*)", "", line(value))
                if bare.startswith(doi) and len(bare) - len(doi) < 8:
                    taken.add((tag, place))
    database = " ".join(values.get("DB", []) + values.get("DP", []))
    for tag in _PMID_PLACES:
        for place, value in enumerate(values.get(tag, ())):
            said = line(value)
            named = re.fullmatch(r"(?i)(?:pmid|pubmed(?: id)?)\b:?\s*\d+|\d+\[pmid\]", said)
            # C5 is where Embase has it; C3 is Cochrane's "PUBMED 1,EMBASE 2".
            own = tag in ("AN", "ID", "C5") and said.isdigit() and _SAME_NUMBER.search(database)
            part = (
                _PUBMED_URL.search(said)
                if tag == "UR"
                else re.match(r"PUBMED (\d+),", said)
                if tag == "C3"
                else None
            )
            pmid = clean_pmid(part.group(1) if part else said) if named or own or part else None
            if pmid and "pmid" not in found:
                found["pmid"] = pmid
            if pmid and pmid == found["pmid"] and (named or (own and tag != "ID")):
                taken.add((tag, place))
    for tag in ("U2", "C2", "U1", "N1"):
        for place, value in enumerate(values.get(tag, ())):
            said = line(value)
            if "pmcid" not in found and re.fullmatch(
                r"(?i)(?:pmcid:?\s*)?pmc\d+(?:\[pmcid\])?", said
            ):
                found["pmcid"] = clean_pmcid(said)
                taken.add((tag, place))
    return found


def _when(values: dict[str, list[str]], taken: set[tuple[str, int]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for tag in ("PY", "Y1", "DA"):
        if tag not in values:
            continue
        date, year = date_and_year(values[tag][0])
        if year is not None and "year" not in found:
            found["year"] = year
        if date and "date" not in found and (year is not None or tag == "DA"):
            found["date"] = date
            taken.add((tag, 0))
        elif not date and year == found.get("year"):
            taken.add((tag, 0))
    return found


def _where(values: dict[str, list[str]], taken: set[tuple[str, int]]) -> dict[str, object]:
    """Pages from SP and EP, else Scopus's number of the article."""
    first = line(values["SP"][0]) if "SP" in values else ""
    last = line(values["EP"][0]) if "EP" in values else ""
    if first:
        taken.add(("SP", 0))
        if last and ("-" not in first or first.endswith(last)):
            taken.add(("EP", 0))
        return {"pages": f"{first}-{last}" if last and "-" not in first else first}
    if "C7" in values:
        taken.add(("C7", 0))
        return {"pages": line(values["C7"][0])}
    return {}


_DIALECTS = (
    ("Cochrane", r"^Record #\d+ of|^Provider: John Wiley|^AN  - CN-\d|^DB  - .*Cochrane"),
    ("Scopus", r"^DB  - Scopus|scopus\.com/inward"),
    ("Web of Science", r"^(?:AN|UT)  - (?:WOS|MEDLINE|BCI|CCC):|^DB  - Web of Science"),
    ("EBSCO", r"^(?:DP|DB)  - EBSCOhost|ebscohost\.com|[?&]AN=.*&db="),
    ("ProQuest", r"^(?:DP|DB)  - ProQuest|proquest\.com"),
    ("Ovid", r"ovidsp\.|ovid\.com|^DB  - (?:Ovid|.*<\d{4} to )|^<?\d+\. ?>?\s*$"),
    ("Embase", r"embase\.com|^U2  - L\d|^(?:AN|M1)  - L\d{6,}|^DB  - Embase"),
    ("PubMed", r"^U1  - \d+\[pmid\]|^DB  - PubMed"),
    ("Zotero", r"^(?:L1|L2|L4)  - (?:files/|.*zotero)|^PY  - \d{4}///|^DA  - [\d/]+/\s*$"),
    ("EndNote", r"^L1  - internal-pdf://|^ST  - "),
)


def _dialect(text: str) -> str:
    """Whose file it seems to be, by marks that only that database sets."""
    for name, mark in _DIALECTS:
        if re.search(mark, text, re.MULTILINE):
            return name
    return ""


# In the order in which they are written; the rest of a reference has tags of its own below.
_TAGS = (
    ("title", "TI"),
    ("authors", "AU"),
    ("editors", "ED"),
    ("journal", "T2"),
    ("journal_short", "J2"),
    ("volume", "VL"),
    ("issue", "IS"),
    ("abstract", "AB"),
    ("keywords", "KW"),
    ("mesh", "KW"),
    ("types", "M3"),
    ("issn", "SN"),
    ("isbn", "SN"),
    ("language", "LA"),
    ("publisher", "PB"),
    ("place", "CY"),
    ("doi", "DO"),
    ("urls", "UR"),
    ("database", "DB"),
    ("accession", "AN"),
    ("notes", "N1"),
)


def write_ris(references: Iterable[Reference]) -> str:
    """References as RIS, in UTF-8 with LF; what the format cannot hold is in `loses`."""
    return "".join(_entry(reference) for reference in references)


def _entry(reference: Reference) -> str:
    own = [(k.removeprefix("ris:"), v) for k, v in reference.extra if k.startswith("ris:")]
    kept_type = next((v for k, v in own if k == "TY"), "")
    rows = [("TY", kept_type or _TYPE_OF[reference.kind])]
    if reference.source_id:
        rows.append(("ID", reference.source_id))
    for name, tag in _TAGS:
        value = getattr(reference, name)
        for each in value if isinstance(value, tuple) else (value,):
            if each:
                rows.append((tag, each))
    if reference.year is not None:
        rows.append(("PY", str(reference.year)))
    if reference.date:
        rows.append(("DA", _slashes(reference.date)))
    rows += _pages(reference.pages)
    if reference.pmid:
        rows.append(("U1", f"{reference.pmid}[pmid]"))
    if reference.pmcid:
        rows.append(("U2", f"{reference.pmcid}[pmcid]"))
    rows += [("N1", note) for note, said in _DECISIONS.items() if said is reference.included]
    rows += [(tag, value) for tag, value in own if tag not in ("TY", "ID")]
    return "".join(f"{tag}  - {line(value)}\n" for tag, value in rows) + "ER  - \n\n"


def _slashes(date: str) -> str:
    """ "2019-05" as "2019/05//": year, month, day and the rest, as the specification has it."""
    if re.fullmatch(r"\d{4}-\d\d(?:-\d\d)?", date):
        parts = date.split("-")
        return "/".join([*parts, *[""] * (4 - len(parts))])
    return date


def _pages(pages: str) -> Sequence[tuple[str, str]]:
    match = re.fullmatch(r"([^-]+)-([^-]+)", pages)
    if match and line(match.group(1)) == match.group(1) and line(match.group(2)) == match.group(2):
        return [("SP", match.group(1)), ("EP", match.group(2))]
    return [("SP", pages)] if pages else []
