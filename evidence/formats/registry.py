"""Formats by name: how each is known, read and written, and what it cannot hold."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from evidence.errors import SourceError, UnknownName
from evidence.files import read_bytes
from evidence.formats.bibtex import address, read_bibtex, write_bibtex
from evidence.formats.endnote import read_endnote, write_endnote
from evidence.formats.medline import read_nbib_references, write_nbib
from evidence.formats.ovid import read_ovid
from evidence.formats.pmids import read_pmids, write_pmids
from evidence.formats.pubmed_xml import read_pubmed_xml
from evidence.formats.receipt import Import, Read
from evidence.formats.reference import Reference, date_and_year, kind_of_types, line
from evidence.formats.ris import read_ris, write_ris
from evidence.formats.tables import read_table, write_asreview, write_csv_table
from evidence.formats.text import decode
from evidence.formats.wos import read_wos

TextReader = Callable[..., Read]
Writer = Callable[[Iterable[Reference]], str]


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name in commands, what it is, and the ways in and out."""

    name: str
    label: str
    suffix: str
    read_text: TextReader | None = None
    read_data: TextReader | None = None  # of formats that name their own encoding
    write: Writer | None = None
    loses: tuple[str, ...] = ()
    drops: frozenset[str] = frozenset()  # fields that are not there when it is read again


_ALL = frozenset(f.name for f in fields(Reference))
_OTHERS = "fields that another format had and that have no field of their own"
_DECISION = "the screening decision"

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format(
            "ris",
            "RIS (Ovid, Embase, Web of Science, Scopus, Cochrane, EBSCO, ProQuest, EndNote,"
            " Zotero)",
            ".ris",
            read_text=read_ris,
            write=write_ris,
            loses=(
                "line breaks in the abstract: they become spaces",
                "MeSH headings as such: they are written among the keywords",
                "the kind registration, which becomes other",
                "a database's number in PubMed or MEDLINE: it is the PMID",
                "a journal's short name without its full one: it becomes the name",
                _OTHERS,
            ),
            drops=frozenset({"mesh"}),
        ),
        Format(
            "nbib",
            "MEDLINE, as PubMed exports it",
            ".nbib",
            read_text=read_nbib_references,
            write=write_nbib,
            loses=(
                "line breaks in the abstract: they become spaces",
                "the kind, but for what the publication types say",
                "web addresses",
                "the name and number of the database",
                "a year beside a date that names another",
                _DECISION,
                _OTHERS,
            ),
            drops=frozenset({"kind", "urls", "database", "accession", "included"}),
        ),
        Format(
            "bibtex",
            "BibTeX",
            ".bib",
            read_text=read_bibtex,
            write=write_bibtex,
            loses=(
                "the kinds registration and news, which become misc",
                "braces and backslashes in web addresses: they are percent-encoded",
                "runs of hyphens in page numbers: they become one",
                _DECISION,
                _OTHERS,
            ),
            drops=frozenset({"included"}),
        ),
        Format(
            "endnote",
            "EndNote XML",
            ".xml",
            read_data=read_endnote,
            write=write_endnote,
            loses=(
                "MeSH headings as such: they are written among the keywords",
                "the kind registration, which becomes other",
                "a database's number in PubMed or MEDLINE: it is the PMID",
                _DECISION,
                _OTHERS,
            ),
            drops=frozenset({"mesh", "included"}),
        ),
        Format("pubmed-xml", "PubMed XML", ".xml", read_data=read_pubmed_xml),
        Format("wos", "Web of Science, tagged", ".ciw", read_text=read_wos),
        Format("ovid", "Ovid, tagged (for EndNote and Citavi)", ".ovd", read_text=read_ovid),
        Format(
            "csv",
            "CSV (our own with every field; PubMed, Scopus, Web of Science, Embase, Covidence,"
            " Rayyan, ASReview and others by their headings)",
            ".csv",
            read_text=read_table,
            write=write_csv_table,
        ),
        Format(
            "asreview",
            "CSV for ASReview",
            ".csv",
            read_text=read_table,
            write=write_asreview,
            loses=(
                "all but title, abstract, authors, keywords, year, journal, DOI, PMID, web"
                " addresses and the screening decision",
                "MeSH headings as such: they are written among the keywords",
            ),
            drops=_ALL
            - {
                "title",
                "abstract",
                "authors",
                "keywords",
                "year",
                "journal",
                "doi",
                "pmid",
                "urls",
                "included",
            },
        ),
        Format(
            "pmids",
            "list of PubMed ids",
            ".txt",
            read_text=read_pmids,
            write=write_pmids,
            loses=("all but the PMID", "references without a PMID"),
            drops=_ALL - {"pmid"},
        ),
    )
}


def format_named(name: str) -> Format:
    """The format of that name.

    Raises
    ------
    UnknownName
        If there is none; names those that there are.
    """
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    return FORMATS[name]


def loses(name: str) -> tuple[str, ...]:
    """What a reference loses when it is written in this format, in words."""
    return format_named(name).loses


def kept(reference: Reference, name: str) -> Reference:
    """The reference as it comes back from a file of this format.

    ``read(write([reference], name))`` gives `kept(reference, name)`; what else is in it is in
    `loses`.
    """
    chosen = format_named(name)
    empty = Reference()
    changes: dict[str, Any] = {field: getattr(empty, field) for field in chosen.drops}
    mesh = reference.mesh if "mesh" in chosen.drops and "keywords" not in chosen.drops else ()
    if mesh:
        changes["keywords"] = reference.keywords + mesh
    if name in ("ris", "nbib"):
        changes["abstract"] = line(reference.abstract)
    if name == "ris" and not reference.journal:
        changes |= {"journal": reference.journal_short, "journal_short": ""}
    if name == "nbib":
        changes["kind"] = kind_of_types(reference.types)
        changes["database"] = "PubMed" if reference.pmid else ""
        if reference.date:
            changes["year"] = date_and_year(reference.date)[1]
    if name in ("ris", "endnote") and reference.kind == "registration":
        changes["kind"] = "other"
    if name == "bibtex":
        changes["pages"] = re.sub("-+", "-", reference.pages)
        changes["urls"] = tuple(address(url) for url in reference.urls)
        if reference.kind in ("registration", "news"):
            changes["kind"] = "other"
    if name not in ("csv", "asreview", "pmids"):
        changes["extra"] = tuple(e for e in reference.extra if e[0].startswith(f"{name}:"))
    return reference.with_(**changes)


def read_file(path: Path, *, format: str | None = None, encoding: str | None = None) -> Import:
    """Read a file of references; see `read`."""
    return read(read_bytes(path), file=path.name, format=format, encoding=encoding)


def read(
    data: bytes, *, file: str, format: str | None = None, encoding: str | None = None
) -> Import:
    """Read the references of a file: its format is found by its content, unless it is named.

    Parameters
    ----------
    format, encoding : str, optional
        Names that take the place of what is found.

    Raises
    ------
    SourceError
        If the format is not known, the encoding is not the one asked for, or the file holds no
        record at all.
    """
    digest = hashlib.sha256(data).hexdigest()
    if format:
        format_named(format)
    if not data.strip():
        raise SourceError(f"{file} is empty", remedy="export it again")
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as fault:
            raise SourceError(f"{file} cannot be unpacked: {fault}") from None
    name = format or guess(data, file=file, encoding=encoding)
    chosen = format_named(name)
    if chosen.read_data is not None:
        found = chosen.read_data(data, file=file)
        declared = re.match(rb"\s*<\?xml[^>]*encoding=[\"']([\w.-]+)", data[:200])
        used = declared.group(1).decode().casefold() if declared else "utf-8"
    elif chosen.read_text is not None:
        text, used = decode(data, encoding, file=file)
        found = chosen.read_text(text, file=file, encoding=used)
    warnings = list(found.warnings)
    if encoding is None and used in ("cp1252", "latin-1"):
        warnings.append(f"{file} is not UTF-8; read as {used}: name its encoding if that is wrong")
    total = len(found.references) + len(found.refused)
    if found.counted > total:
        warnings.append(f"{file} has {found.counted} marks of a record's beginning for {total}")
    if not total:
        raise SourceError(
            f"{file} holds no record in the format {name}",
            remedy=f"name another (--format): {', '.join(FORMATS)}",
        )
    return Import(
        file=file,
        format=name,
        dialect=found.dialect,
        encoding=used,
        sha256=digest,
        references=tuple(found.references),
        refused=tuple(found.refused),
        warnings=tuple(warnings),
        counted=found.counted,
    )


_MARKS = (
    ("ris", r"(?m)^\s{0,8}TY {0,3}- {0,3}[A-Z]{2,8}\s*$"),
    ("ovid", r"(?m)^<\d+\. ?>\s*$\s+^[A-Z]{2}  - "),
    ("nbib", r"(?m)^(?:PMID {0,2}- ?\d|(?:OWN|STAT|FAU|DCOM) *- )"),
    ("wos", r"(?m)^PT [A-Z]\s*$"),
    ("bibtex", r"(?m)^\s*@[A-Za-z]+\s*[{(]"),
)


# Control characters that no export has: a few of them are damage, many are another kind of file.
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def guess(data: bytes, *, file: str, encoding: str | None = None) -> str:
    """The format that the content of a file has; its name's ending is asked last.

    Raises
    ------
    SourceError
        If it looks like none of the known ones.
    """
    text, _ = decode(data[:200_000] if encoding is None else data, encoding, file=file)
    head = text[:200_000].lstrip("\ufeff \t\r\n")
    if len(_NO_TEXT.findall(head)) > 0.01 * len(head):
        raise SourceError(
            f"{file} is no text, and in no format that is known",
            remedy="export the references again, as RIS say",
        )
    if head.startswith("<"):
        if re.search(r"<(?:Pubmed|MedlineCitation|PubmedBook)\w*[\s>]", head):
            return "pubmed-xml"
        if re.search(r"<records?[\s>]", head):
            return "endnote"
    for name, mark in _MARKS:
        if re.search(mark, head):
            return name
    first = head.partition("\n")[0]
    if re.fullmatch(r"(?i)(?:pmid:?)?[\s\d,;]*", first) and re.search(r"\d", head[:200]):
        return "pmids"
    if any(mark in first for mark in ",;\t") or file.casefold().endswith((".csv", ".tsv")):
        return "csv"
    ending = Path(file).suffix.casefold()
    known = {f.suffix: f.name for f in FORMATS.values() if f.suffix not in (".csv", ".xml", ".txt")}
    if ending in known:
        return known[ending]
    raise SourceError(
        f"{file} is in no format that is known",
        remedy=f"name it (--format): {', '.join(FORMATS)}",
    )


def write(references: Iterable[Reference], format: str) -> str:
    """References as the text of a file in UTF-8.

    Raises
    ------
    UnknownName
        If there is no such format, or it is one that is only read.
    """
    chosen = format_named(format)
    if chosen.write is None:
        raise UnknownName("format to write", format, [f.name for f in FORMATS.values() if f.write])
    return chosen.write(references)
