"""A reference as any database gives it, in one normal form; `extra` has what has no field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from evidence.model import Author, Place, Record

KINDS = (
    "article",
    "book",
    "chapter",
    "conference",
    "preprint",
    "thesis",
    "report",
    "dataset",
    "registration",
    "web",
    "news",
    "other",
)

_DROPPED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f\ud800-\udfff\ufeff\ufffe\uffff]")
_SPACE = re.compile("[ \t\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")  # U+00A0 is part of the text
_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*/\S+")
_DOI_END = re.compile(r"(?:\[(?:doi|pii)\]|[.,;:'\"\]}>])+$", re.IGNORECASE)
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d|21\d\d)(?!\d)")
_ISSN = re.compile(r"(?<![\d-])(\d{4})-?(\d{3}[\dXx])(?![\dXx-])")
_ISBN = re.compile(r"(?<![\d-])(?:97[89][- ]?)?(?:\d[- ]?){9}[\dXx](?![\d-])")
_SERIAL_WORDS = re.compile(
    r"(?i)\b(?:e?issn|isbn|print(?:ed)?|electronic|linking|online|web|cdrom|p|e)\b"
    r"|[\s();:,.\[\]\"']"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of an exported file. Texts are "" and lists are () where nothing is given.

    Made by `make`, which brings every field into its normal form. Two references are equal when
    all that they say is equal; where they stood in a file does not matter.
    """

    kind: str = "article"  # one of `KINDS`
    title: str = ""
    authors: tuple[
        str, ...
    ] = ()  # "Family, Given[, Suffix]", a group's name, or as the file has it
    editors: tuple[str, ...] = ()
    year: int | None = None
    date: str = ""  # "2019-05-12", "2019-05", or as written; "" where only the year is known
    journal: str = ""  # or the book, or the proceedings, that it is part of
    journal_short: str = ""
    volume: str = ""
    issue: str = ""
    pages: str = ""  # as written, or the number of the article
    abstract: str = ""  # paragraphs on lines of their own
    doi: str | None = None  # without "https://doi.org/"
    pmid: str | None = None
    pmcid: str | None = None  # "PMC123"
    issn: tuple[str, ...] = ()  # "1234-567X"
    isbn: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    mesh: tuple[str, ...] = ()
    types: tuple[str, ...] = ()  # publication types, in the words of the database
    language: str = ""
    publisher: str = ""
    place: str = ""
    urls: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    database: str = ""
    accession: str = ""  # the database's own number
    included: bool | None = None  # a decision of screening that the file carries
    extra: tuple[tuple[str, str], ...] = ()  # ("ris:C7", "e12"): what has no field, in order
    source_id: str = field(default="", compare=False)  # its key or number within the file
    at: Place | None = field(default=None, compare=False)
    record: Record | None = field(default=None, compare=False, repr=False)  # PubMed's, if it is

    @property
    def first_author(self) -> str:
        return self.authors[0] if self.authors else ""

    @property
    def label(self) -> str:
        """A few words that a person recognises it by: "Smith 2019, Exercise and the heart"."""
        family = self.first_author.partition(",")[0]
        head = " ".join(filter(None, (family, str(self.year) if self.year else "")))
        title = self.title if len(self.title) <= 60 else f"{self.title[:57]}..."
        return ", ".join(filter(None, (head, title))) or self.doi or self.source_id or "no title"

    def with_(self, **changes: Any) -> Reference:
        return replace(self, **changes)


def make(**fields: Any) -> Reference:
    """A reference with every field in its normal form.

    What does not fit its field goes to ``extra`` under the field's name: a DOI that is none, an
    ISSN with too few digits.
    """
    extra = [(key, text) for key, v in fields.pop("extra", ()) if (text := paragraphs(v))]
    for name in ("doi", "pmid", "pmcid"):
        text = line(fields.get(name) or "")
        fields[name] = _IDS[name](text)
        if text and fields[name] is None:
            extra.append((f"field:{name}", text))
    for name in ("issn", "isbn"):
        kept: dict[str, None] = {}
        for value in fields.get(name, ()):
            found, rest = serials(value)
            kept |= dict.fromkeys(found[name])
            if rest:
                extra.append((f"field:{name}", line(value)))
        fields[name] = tuple(kept)
    for name in _LINES:
        if name in fields:
            fields[name] = line(fields[name])
    for name in _LISTS:
        if name in fields:
            fields[name] = tuple(t for v in fields[name] for p in v.split(";") if (t := line(p)))
    if "urls" in fields:
        fields["urls"] = tuple(t for v in fields["urls"] for t in line(v).split(" ") if t)
    if "notes" in fields:
        fields["notes"] = tuple(t for v in fields["notes"] if (t := line(v)))
    if "pages" in fields:
        fields["pages"] = _DASHES.sub("-", fields["pages"])
    if "abstract" in fields:
        fields["abstract"] = paragraphs(fields["abstract"])
    if fields.get("date"):
        fields["date"], year = date_and_year(fields["date"])
        if fields.get("year") is None:
            fields["year"] = year
    return Reference(extra=tuple(extra), **fields)


def from_record(record: Record) -> Reference:
    """What a PubMed record says, as a reference."""
    people = [p for p in record.people if p.valid]
    names = [_person(p) for p in people] or [inverted(name) for name in record.authors]
    periodical, book = record.periodical, record.book
    issn = (
        ()
        if periodical is None
        else (periodical.issn_print, periodical.issn_electronic, periodical.issn)
    )
    pubdate = record.pubdate or (book.pubdate if book else None)
    return make(
        kind="book" if book else kind_of_types(record.kinds),
        title=record.shown_title,
        authors=names,
        editors=[_person(p) for p in book.editors] if book else (),
        year=record.year,
        date=pubdate.text if pubdate else "",
        journal=record.journal,
        journal_short=(periodical.medline or periodical.iso) if periodical else "",
        volume=record.volume,
        issue=record.issue,
        pages=record.pages,
        abstract=record.abstract,
        doi=record.doi,
        pmid=record.pmid,
        pmcid=record.pmcid,
        issn=[number for number in issn if number],
        isbn=book.isbns if book else (),
        publisher=book.publisher if book else "",
        place=book.place if book else "",
        keywords=record.keywords,
        mesh=record.mesh,
        types=record.kinds,
        language=record.language,
        database="PubMed",
        source_id=record.pmid,
    )


def _person(person: Author) -> str:
    if not person.last:
        return person.name
    given = person.fore or person.initials
    return ", ".join(filter(None, (person.last, given, person.suffix)))


def kind_of_types(types: Iterable[str]) -> str:
    """The kind that publication types in PubMed's words stand for."""
    words = {t.casefold() for t in types}
    return "preprint" if "preprint" in words else "book" if "book" in words else "article"


_INITIALS = re.compile(r"[^\W\d_a-zß-öø-ÿ]{1,4}(?:-[^\W\d_])?")
_SUFFIXES = frozenset({"jr", "sr", "2nd", "3rd", "4th", "ii", "iii", "iv"})


def inverted(name: str) -> str:
    """ "Smith JA Jr" of PubMed as "Smith, JA, Jr"; a group's name stays as it is."""
    words = name.split(" ")
    suffix = words.pop() if len(words) > 2 and words[-1].casefold() in _SUFFIXES else ""
    if len(words) < 2 or not _INITIALS.fullmatch(words[-1]):
        return name
    return ", ".join(filter(None, (" ".join(words[:-1]), words[-1], suffix)))


def line(text: str) -> str:
    """One line: every run of blanks and line breaks is one space; control characters go."""
    return _SPACE.sub(" ", _DROPPED.sub("", text)).strip()


def paragraphs(text: str) -> str:
    """Lines of one text, each as `line` has it, none of them empty."""
    return "\n".join(t for part in _BREAK.split(text) if (t := line(part)))


def clean_doi(text: str) -> str | None:
    """The DOI within a text, as written but without address, label and closing marks."""
    match = _DOI.search(text.replace("%2F", "/").replace("%2f", "/"))
    if match is None:
        return None
    doi = match.group()
    while (shorter := _DOI_END.sub("", doi)) != doi:
        doi = shorter
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1]
    return doi if _DOI.fullmatch(doi) else None


def clean_pmid(text: str) -> str | None:
    match = re.fullmatch(
        r"(?i)(?:pmid:?|pubmed(?: id)?:?)?\s*0*([1-9]\d{0,8})(?:\.0|\[pmid\])?", text
    )
    return match.group(1) if match else None


def clean_pmcid(text: str) -> str | None:
    match = re.fullmatch(r"(?i)(?:pmcid:\s*)?(?:pmc)?(\d{1,9})(?:\.\d+|\[pmcid\])?\.?", text)
    return f"PMC{match.group(1)}" if match else None


def serials(text: str) -> tuple[dict[str, tuple[str, ...]], str]:
    """ISSN and ISBN within a text, and what else it says."""
    isbn = tuple(re.sub("[- ]", "", m.group()).upper() for m in _ISBN.finditer(text))
    rest = _ISBN.sub(" ", text)
    issn = tuple(f"{a}-{b.upper()}" for a, b in _ISSN.findall(rest))
    rest = _SERIAL_WORDS.sub("", _ISSN.sub(" ", rest))
    return {"issn": issn, "isbn": isbn}, rest


def find_year(text: str) -> int | None:
    match = _YEAR.search(text)
    return int(match.group(1)) if match else None


def date_and_year(text: str) -> tuple[str, int | None]:
    """A date as ISO has it where it is in figures, else as written; "" for a bare year."""
    text = line(text)
    compact = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text)
    plain = "/".join(compact.groups()) if compact else text
    match = re.fullmatch(r"(\d{4})[/-]?(\d{1,2})?(?:[/-](\d{1,2}))?/*(.*)", plain)
    if match and not match.group(4).strip("/ "):
        year, month, day = match.group(1, 2, 3)
        if month is None:
            found = find_year(year)
            return ("" if found else text), found
        if 1 <= int(month) <= 12 and (day is None or 1 <= int(day) <= 31):
            parts = [year, f"{int(month):02}"] + ([f"{int(day):02}"] if day else [])
            return "-".join(parts), find_year(year)
    return text, find_year(text)


_LINES = (
    "title",
    "journal",
    "journal_short",
    "volume",
    "issue",
    "pages",
    "language",
    "publisher",
    "place",
    "database",
    "accession",
    "source_id",
)
_LISTS = ("authors", "editors", "keywords", "mesh", "types")
_IDS = {"doi": clean_doi, "pmid": clean_pmid, "pmcid": clean_pmcid}
