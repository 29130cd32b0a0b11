"""CSV and tab-delimited exports: PubMed, Scopus, Web of Science, Covidence, Rayyan, ASReview, ours.

Quoting is that of RFC 4180. A row with more cells than there are headings is refused: its values
stand under the wrong headings.

What is written is written as it is, for other programs to read back. A spreadsheet takes a cell
that begins with =, +, - or @ for a formula; a mark before it would change the title for every other
reader, so none is put there. In a spreadsheet such files are to be opened with columns as text.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from evidence.errors import SourceError
from evidence.files import csv_text
from evidence.formats.headings import HEADINGS, SOURCE_IS_DATABASE, dialect, plain
from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import (
    KINDS,
    Reference,
    date_and_year,
    find_year,
    inverted,
    line,
    make,
    serials,
)
from evidence.formats.text import encode, lines
from evidence.formats.wos import TAGS, from_tags
from evidence.model import Place

OWN = "living-evidence"
COLUMNS = tuple(
    f.name for f in fields(Reference) if f.name not in ("at", "record")
)  # of our own CSV, which loses nothing
ASREVIEW_COLUMNS = (
    "title",
    "abstract",
    "authors",
    "keywords",
    "year",
    "journal",
    "doi",
    "pmid",
    "url",
    "label_included",
)
_MANY = ("authors", "editors", "keywords", "mesh", "types", "issn", "isbn", "urls", "notes")
_JOINERS = {"urls": " ", "notes": "\n"}  # the others are joined by "; "


@dataclass(frozen=True, slots=True)
class _Row:
    start: int
    raw: str
    cells: tuple[str, ...] = ()
    fault: str = ""


def read_table(text: str, *, file: str, encoding: str) -> Read:
    """The rows of a CSV or tab-delimited file whose first row has the headings.

    Raises
    ------
    SourceError
        If no heading is known to mean a title or a number.
    """
    all_lines = lines(text)
    delimiter = _delimiter(all_lines)
    rows = _rows(all_lines, delimiter)
    header = next((row for row in rows if row.fault or any(c.strip() for c in row.cells)), None)
    if header is None or header.fault:
        raise SourceError(f"{file} has no row of headings")
    headings = [line(cell) for cell in header.cells]
    whose = dialect(headings)
    if whose != "Web of Science" and not {"title", "doi", "pmid"} & {
        HEADINGS.get(plain(h), "") for h in headings
    }:
        raise SourceError(
            f"{file} has no column of titles, DOIs or PMIDs",
            [f"{file}:{header.start}  {', '.join(headings)[:200]}"],
            remedy="name a column title, doi or pmid",
        )
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    counted = 0
    for row in rows:
        if not row.fault and not any(cell.strip() for cell in row.cells):
            continue
        counted += 1
        fault = row.fault
        surplus = [c for c in row.cells[len(headings) :] if c.strip()]
        if surplus:
            fault = f"has {len(row.cells)} cells under {len(headings)} headings"
        if not fault:
            if len(row.cells) < len(headings):
                warnings.append(
                    f"{file}:{row.start}  has {len(row.cells)} cells under {len(headings)} headings"
                )
            reference = _reference(headings, row.cells, whose, Place(file, row.start))
            if _says_something(reference):
                references.append(reference)
                continue
            fault = "has no title, author or number"
        refused.append(RefusedEntry(file, row.start, fault, encode(row.raw, encoding)))
    return Read(references, refused, counted, warnings, whose)


def _says_something(r: Reference) -> bool:
    return bool(r.title or r.doi or r.pmid or r.authors or r.accession)


def _delimiter(all_lines: Sequence[str]) -> str:
    head = next((each for each in all_lines if each.strip()), "")
    return max("\t;,", key=lambda mark: (head.count(mark), mark == ","))


def _rows(all_lines: Sequence[str], delimiter: str) -> Iterator[_Row]:
    """Rows with their lines; after a row that cannot be read, on from its second line."""
    at = 0
    bare = delimiter == "\t" and _bare_quotes(all_lines)
    while at < len(all_lines):
        reader = csv.reader(
            map(all_lines.__getitem__, range(at, len(all_lines))),
            delimiter=delimiter,
            strict=True,
            quoting=csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL,
        )
        before = 0
        try:
            for cells in reader:
                start, stop = at + before, at + reader.line_num
                yield _Row(start + 1, "".join(all_lines[start:stop]), tuple(cells))
                before = reader.line_num
            return
        except csv.Error as fault:
            start = at + before
            yield _Row(start + 1, all_lines[start], fault=f"cannot be read as a row: {fault}")
            at = start + 1


def _bare_quotes(all_lines: Sequence[str]) -> bool:
    """Whether quotation marks are mere text: Web of Science's tab file quotes nothing."""
    return '"' not in "".join(all_lines[:1]) and any(each.count('"') % 2 for each in all_lines)


def _reference(headings: Sequence[str], cells: Sequence[str], whose: str, at: Place) -> Reference:
    pairs = [(h, c) for h, c in zip(headings, cells, strict=False) if c.strip()]
    if whose == OWN:
        return _own(dict(pairs), at)
    if whose == "Web of Science":
        tags = {h: [line(c)] if h not in _SPLIT else c.split(";") for h, c in pairs}
        return from_tags({h: v for h, v in tags.items() if h}, at)
    given: dict[str, list[str]] = {}
    extra: list[tuple[str, str]] = []
    pairs.sort(key=lambda pair: plain(pair[0]) not in _FULL_NAMES)  # they come before short ones
    for heading, cell in pairs:
        key = plain(heading)
        name = HEADINGS.get(key)
        if key == "source" and whose in SOURCE_IS_DATABASE:
            name = "database"
        if key in ("label", "include") and line(cell).casefold() not in _YES_NO:
            name = None
        again = name in given and (name == "authors" or name not in _MANY)
        odd = name in ("issn", "isbn") and _other_serial(cell)
        if name is None or again or odd:
            extra.append((f"csv:{heading}", cell))
        else:
            given.setdefault(name, []).append(cell)
    one = {name: v[0] for name, v in given.items()}
    cited = _citation(dict(pairs).get("Citation", "")) if whose == "PubMed" else {}
    first, last = line(one.get("first_page", "")), line(one.get("last_page", ""))
    pages = one.get("pages") or (f"{first}-{last}" if first and last else first)
    number = one.get("article_number", "")
    if pages and number:
        extra.append(("csv:article number", number))
    year, date = _when(one)
    if "included" in one and line(one["included"]).casefold() not in _YES_NO:
        extra.append(("csv:included", one["included"]))
    return make(
        kind=line(one.get("kind", "")) if line(one.get("kind", "")) in KINDS else "article",
        title=one.get("title", ""),
        authors=_authors(one.get("authors", ""), whose),
        editors=one.get("editors", "").split(";"),
        year=year,
        date=date,
        journal=one.get("journal", ""),
        journal_short=one.get("journal_short", ""),
        volume=one.get("volume", "") or cited.get("volume", ""),
        issue=one.get("issue", "") or cited.get("issue", ""),
        pages=pages or number or cited.get("pages", ""),
        abstract=one.get("abstract", ""),
        doi=one.get("doi"),
        pmid=one.get("pmid"),
        pmcid=one.get("pmcid"),
        issn=_serial_cells(given.get("issn", [])),
        isbn=given.get("isbn", []),
        keywords=[w for cell in given.get("keywords", []) for w in _words(cell)],
        mesh=given.get("mesh", []),
        types=given.get("types", []),
        language=one.get("language", ""),
        publisher=one.get("publisher", ""),
        place=one.get("place", ""),
        urls=given.get("urls", []),
        notes=[n for cell in given.get("notes", []) for n in cell.splitlines()],
        database=one.get("database", "") or (whose if whose in ("PubMed", "Embase") else ""),
        accession=one.get("accession", ""),
        included=_YES_NO.get(line(one.get("included", "")).casefold()),
        extra=extra,
        source_id=line(one.get("source_id", "")),
        at=at,
    )


_FULL_NAMES = frozenset({"authorfullnames"})
_SPLIT = frozenset(t for t, n in TAGS.items() if n in ("authors", "authors_full", "editors"))
_YES_NO = {
    "1": True,
    "1.0": True,
    "true": True,
    "yes": True,
    "include": True,
    "included": True,
    "0": False,
    "0.0": False,
    "false": False,
    "no": False,
    "exclude": False,
    "excluded": False,
    "": None,
    "-1": None,
}


def _serial_cells(cells: Sequence[str]) -> list[str]:
    """Scopus leaves the hyphen and leading zeros out: "1234567" is 0123-4567."""
    return [
        c.strip().zfill(8) if re.fullmatch(r"\s*\d{5,7}[\dXx]?\s*", c) and len(c.strip()) < 8 else c
        for c in cells
    ]


def _other_serial(cell: str) -> bool:
    found, rest = serials(_serial_cells([cell])[0])
    return bool(rest) or not any(found.values())


def _words(cell: str) -> list[str]:
    return cell.split(";") if ";" in cell else re.split(r",\s+|\n", cell)


def _when(one: dict[str, str]) -> tuple[int | None, str]:
    text = line(one.get("year", ""))
    number = re.fullmatch(r"(\d{4})(?:\.0)?", text)
    year = int(number.group(1)) if number else find_year(text)
    date = line(one.get("date", ""))
    month, day = line(one.get("month", "")), line(one.get("day", ""))
    if not date and year and month:
        if month.isdigit():
            date, _ = date_and_year("/".join(filter(None, (str(year), month, day))))
        else:
            date = " ".join(filter(None, (str(year), month, day)))
    return year, date if date else ("" if year else text)


def _citation(text: str) -> dict[str, str]:
    """Volume, issue and pages of "J Abbrev. 2019 May;12(3):45-50. doi: ..." in PubMed's CSV."""
    match = re.search(r";\s*([^():;.\s]+)?(?:\(([^)]*)\))?(?::([^.;]+))?", text)
    if match is None:
        return {}
    volume, issue, pages = (part or "" for part in match.groups())
    return {"volume": volume, "issue": issue, "pages": pages.strip()}


def _authors(cell: str, whose: str) -> list[str]:
    text = line(cell)
    if whose == "PubMed":
        return [inverted(name) for name in text.rstrip(".").split(", ") if name]
    if whose == "Scopus":
        text = re.sub(r"\s*\(\d+\)", "", text)  # author ids
    if ";" in text:
        return text.split(";")
    if re.search(r"\sand\s", text):
        return re.split(r"\s+and\s+", text)
    parts = text.split(", ")
    if len(parts) > 2 and all(re.search(r"\s\S*[A-Z]\.?$", p) for p in parts):
        return parts  # "Smith J., Jones K., ..." as older Scopus files and others have it
    if len(parts) == 2 and all(re.fullmatch(r"\S.*\s(?:[A-Z]\.?-?){1,4}", p) for p in parts):
        return parts
    return [text]


def _own(row: dict[str, str], at: Place) -> Reference:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        cell = row.get(name, "")
        if name in _MANY:
            values[name] = cell.split(_JOINERS.get(name, "; "))
        elif name == "year":
            values[name] = int(cell) if re.fullmatch(r"\s*[0-9]{1,4}\s*", cell) else None
        elif name == "included":
            values[name] = _YES_NO.get(cell)
        elif name == "extra":
            values[name] = _extra(cell)
        elif name == "kind":
            values[name] = cell if cell in KINDS else "other"
        else:
            values[name] = cell
    return make(**values, at=at)


def _extra(cell: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(cell) if cell else []
        return [(str(key), str(value)) for key, value in found]
    except (ValueError, TypeError):
        return [("csv:extra", cell)]


def write_csv_table(references: Iterable[Reference]) -> str:
    """References as a CSV that holds all of their fields."""
    return csv_text(COLUMNS, (_own_cells(r) for r in references))


def _own_cells(reference: Reference) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name in COLUMNS:
        value = getattr(reference, name)
        if name == "extra":
            cells[name] = json.dumps(value, ensure_ascii=False) if value else ""
        elif isinstance(value, tuple):
            cells[name] = _JOINERS.get(name, "; ").join(value)
        elif isinstance(value, bool):
            cells[name] = "1" if value else "0"
        else:
            cells[name] = "" if value is None else str(value)
    return cells


def write_asreview(references: Iterable[Reference]) -> str:
    """References as ASReview reads them; what that cannot hold is in `loses`."""
    return csv_text(ASREVIEW_COLUMNS, map(asreview_cells, references))


def asreview_cells(reference: Reference) -> dict[str, str]:
    """The cells of a reference under `ASREVIEW_COLUMNS`."""
    r = reference
    return {
        "title": r.title,
        "abstract": r.abstract,
        "authors": "; ".join(r.authors),
        "keywords": "; ".join((*r.keywords, *r.mesh)),
        "year": "" if r.year is None else str(r.year),
        "journal": r.journal,
        "doi": r.doi or "",
        "pmid": r.pmid or "",
        "url": " ".join(r.urls),
        "label_included": {True: "1", False: "0", None: ""}[r.included],
    }
