"""Files in NLM's MEDLINE format, as PubMed's page exports them (.nbib, "PubMed" .txt).

Tags: "MEDLINE/PubMed Data Element (Field) Descriptions", National Library of Medicine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import SourceError
from evidence.model import (
    AbstractSection,
    Author,
    Book,
    Chemical,
    Correction,
    DataBank,
    Grant,
    Heading,
    HistoryDate,
    Journal,
    Keyword,
    Location,
    OtherAbstract,
    PubDate,
    Qualifier,
    Record,
    Term,
)
from evidence.pubmed.citations import notices_of
from evidence.pubmed.medline import fields_of
from evidence.pubmed.people import names, orcid
from evidence.pubmed.xml_dates import in_words, iso, year_of
from evidence.pubmed.xml_parts import is_pmid, is_retracted

_CORRECTIONS = {
    "CIN": "CommentIn",
    "CON": "CommentOn",
    "EIN": "ErratumIn",
    "EFR": "ErratumFor",
    "CRI": "CorrectedandRepublishedIn",
    "CRF": "CorrectedandRepublishedFrom",
    "DDIN": "DatasetDescribedIn",
    "DRIN": "DatasetUseReportedIn",
    "ECI": "ExpressionOfConcernIn",
    "ECF": "ExpressionOfConcernFor",
    "PRIN": "PartialRetractionIn",
    "PROF": "PartialRetractionOf",
    "RPI": "RepublishedIn",
    "RPF": "RepublishedFrom",
    "RIN": "RetractionIn",
    "ROF": "RetractionOf",
    "RRI": "RetractedandRepublishedIn",
    "RRF": "RetractedandRepublishedFrom",
    "SPIN": "SummaryForPatientsIn",
    "ORI": "OriginalReportIn",
    "UIN": "UpdateIn",
    "UOF": "UpdateOf",
}
_SUFFIX = re.compile(r"(?:Jr|Sr|1st|2nd|3rd|[4-9]th|II|III|IV|V|VI)\.?")
_NUMBERED = re.compile(r"((?:EC )?\S+) \((.*)\)")  # "0 (Macromolecular Substances)"
_LOCATED = re.compile(r"(.+?)\s*\[([A-Za-z-]+)\]")  # "10.1118/1.4748329 [doi]"
_ISSN = re.compile(r"([\dXx-]+)(?:\s*\((\w+)\))?")
_LINE = re.compile(r"(?=.{4}-(?: |$))[A-Z]{2,4} *-|      ")
_LINE_BREAK = re.compile(r"\r\n|[\r\n]")  # U+2028 and the like are part of a text
_PMID = re.compile(r"PMID-")


@dataclass(frozen=True, slots=True)
class NbibFile:
    """What a file holds: every entry is either a record or refused by name."""

    records: tuple[Record, ...]
    refused: tuple[str, ...]  # "pubmed-set.nbib:120  no PMID"


def read_nbib(path: Path) -> NbibFile:
    """Read an export of PubMed's page.

    An entry without a PMID, or with lines that are not in the format, is refused and named with
    its line; the others are read.

    Raises
    ------
    SourceError
        If the file cannot be read, or holds no entry at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except (OSError, UnicodeDecodeError) as fault:
        raise SourceError(f"{path} cannot be read: {fault}") from None
    records: list[Record] = []
    refused: list[str] = []
    for line, _, answer in nbib_entries(text):
        if isinstance(answer, Record):
            records.append(answer)
        else:
            refused.append(f"{path}:{line}  {answer}")
    if not records and not refused:
        raise SourceError(
            f"{path} holds no record",
            remedy='on PubMed choose "Send to", "Citation manager", or Save with format PubMed',
        )
    return NbibFile(tuple(records), tuple(refused))


def nbib_entries(text: str) -> Iterator[tuple[int, list[str], Record | str]]:
    """The entries of an export: a line, the lines of the entry, and its record.

    In place of the record stands what is wrong; the line is where that is, else where it starts.
    """
    for line, entry in _entries(_LINE_BREAK.split(text)):
        answer = _record(entry)
        if isinstance(answer, Record):
            yield line, entry, answer
        else:
            yield line + answer[0], entry, answer[1]


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Blocks of lines with the line where each starts; a blank line or a PMID starts a block."""
    block: list[str] = []
    start = 1
    for number, line in enumerate(lines, 1):
        new = _PMID.match(line) and any(_PMID.match(held) for held in block)
        blank = not line.strip() and not (block and line.startswith("      "))
        if block and (new or blank):
            yield start, block
            block = []
        if not blank:
            if not block:
                start = number
            block.append(line)
    if block:
        yield start, block


def _record(entry: list[str]) -> Record | tuple[int, str]:
    """The record, or the offset of the offending line and what is wrong with it."""
    for offset, line in enumerate(entry):
        if not _LINE.match(line) or (offset == 0 and line.startswith(" ")):
            return offset, f"{line[:40]!r} is not in the MEDLINE format"
    said = _Said([(t, text) for t, value in fields_of(entry) if (text := " ".join(value.split()))])
    pmid = said.one("PMID")
    if not is_pmid(pmid):
        return 0, f"PMID {pmid!r}" if pmid else "no PMID"
    return said.record(pmid)


class _Said:
    """The lines of one entry, unfolded: tags and texts in order."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self.lines = lines
        self.texts: dict[str, list[str]] = {}
        for tag, text in lines:
            self.texts.setdefault(tag, []).append(text)

    def one(self, *tags: str) -> str:
        """The text of the first of the tags that is there."""
        return next((self.texts[tag][0] for tag in tags if tag in self.texts), "")

    def many(self, tag: str) -> tuple[str, ...]:
        return tuple(self.texts.get(tag, ()))

    def day(self, tag: str) -> str | None:
        match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", self.one(tag))
        whole = iso(*match.groups()) if match else None
        return whole if whole and len(whole) == 10 else None

    def record(self, pmid: str) -> Record:
        kinds = self.many("PT")
        corrections = self.corrections()
        notices = notices_of(corrections)
        headings = tuple(_heading(text) for text in self.many("MH"))
        keywords = self.keywords()
        locations = self.locations("LID")
        ids = self.ids(pmid)
        authors = self.people("FAU", "AU", "CN", "AD")
        # Exports before 2013 name one affiliation, ahead of all authors.
        if authors and (place := self.first_affiliation()):
            authors = (authors[0]._replace(affiliations=(place,)), *authors[1:])
        issued = in_words(self.one("DP")) if "DP" in self.texts else None
        electronic = self.day("DEP")
        journal = self.journal()
        book = self.book(issued)
        is_part = bool(self.one("TI"))
        abstract = self.one("AB")
        return Record(
            pmid=pmid,
            title=self.one("TI", "BTI"),
            abstract=abstract,
            authors=names(authors),
            year=year_of(issued, electronic),
            journal=journal.title or journal.medline or (self.one("BTI") if is_part else ""),
            doi=next((i for kind, i in ids if kind == "doi"), None)
            or next((place.id for place in locations if place.kind == "doi"), None),
            pmcid=self.one("PMC") or None,
            mesh=tuple(h.text for h in headings),
            kinds=kinds,
            keywords=tuple(k.text for k in keywords),
            language=", ".join(self.many("LA")),
            status=self.one("STAT"),
            version=1,  # the format does not carry it
            retracted=is_retracted(kinds, notices),
            notices=notices,
            revised=self.day("LR"),
            vernacular_title=self.one("TT"),
            sections=(AbstractSection(abstract),) if abstract else (),
            copyright=self.one("CI"),
            other_abstracts=self.other_abstracts(),
            people=authors,
            investigators=self.people("FIR", "IR", "", "IRAD"),
            periodical=journal,
            volume=self.one("VI"),
            issue=self.one("IP"),
            pages=self.one("PG"),
            model=self.one("PUBM"),
            pubdate=issued,
            electronic=electronic,
            created=self.day("DA"),
            completed=self.day("DCOM"),
            history=self.history(),
            publication_status=self.one("PST"),
            headings=headings,
            supplementary=tuple(Term(text) for text in self.many("NM")),
            chemicals=tuple(_chemical(text) for text in self.many("RN")),
            publication_types=tuple(Term(kind) for kind in kinds),
            keyword_list=keywords,
            genes=self.many("GS"),
            grants=tuple(_grant(text) for text in self.many("GR")),
            databanks=self.databanks(),
            subjects=self.people("FPS", "PS", "", ""),
            ids=ids,
            locations=locations,
            other_ids=tuple(_pair(text) for text in self.many("OID")),
            languages=self.many("LA"),
            owner=self.one("OWN"),
            subsets=self.many("SB"),
            corrections=corrections,
            references_stated=int(n) if is_pmid(n := self.one("RF")) else None,
            conflict_of_interest=self.one("COIS", "COI"),
            notes=tuple(_pair(text) for text in self.many("GN")),
            missions=self.many("SFM"),
            book=book,
        )

    def people(self, full: str, short: str, group: str, place: str) -> tuple[Author, ...]:
        """People in order, each followed by affiliations and identifiers of their own."""
        found: list[Author] = []
        waiting = False  # the short form of a full name comes next and is the same person
        for tag, text in self.lines:
            if tag == full:
                found.append(_full_name(text))
            elif tag == short and waiting:
                found[-1] = _with_short(found[-1], text)
            elif tag == short:
                found.append(_short_name(text))
            elif tag == group and group:
                found.append(Author(collective=text))
            elif tag == place and found:
                last = found[-1]
                found[-1] = last._replace(affiliations=(*last.affiliations, text))
            elif tag == "AUID" and found and full == "FAU":
                known = (*found[-1].identifiers, _pair(text))
                found[-1] = found[-1]._replace(identifiers=known, orcid=orcid(known))
            waiting = tag == full or (waiting and tag not in (short, group))
        return tuple(a._replace(position=n) for n, a in enumerate(found, 1))

    def first_affiliation(self) -> str:
        for tag, text in self.lines:
            if tag in ("FAU", "AU", "CN"):
                return ""
            if tag == "AD":
                return text
        return ""

    def journal(self) -> Journal:
        issn: dict[str, str] = {}
        for text in self.many("IS"):
            if match := _ISSN.fullmatch(text):
                issn.setdefault(match.group(2) or "", match.group(1))
        return Journal(
            title=self.one("JT"),
            medline=self.one("TA"),
            issn_print=issn.get("Print"),
            issn_electronic=issn.get("Electronic"),
            issn=issn.get("") or issn.get("Undetermined"),
            issn_linking=issn.get("Linking"),
            nlm_id=self.one("JID"),
            country="" if "BTI" in self.texts else self.one("PL"),
        )

    def book(self, issued: PubDate | None) -> Book | None:
        if "BTI" not in self.texts:
            return None
        return Book(
            title=self.one("BTI"),
            accession=next((i for kind, i in self.ids("") if kind == "bookaccession"), ""),
            publisher=self.one("PB"),
            place=self.one("PL"),
            collection=self.one("CTI"),
            volume=self.one("VI"),
            volume_title=self.one("VTI"),
            edition=self.one("EN"),
            isbns=tuple(text.removeprefix("ISBN").strip() for text in self.many("ISBN")),
            pubdate=issued,
            contributed=in_words(text) if (text := self.one("CTDT", "CDAT")) else None,
            editors=self.people("FED", "ED", "", ""),
            labels=(("chapter", text),) if (text := self.one("CP")) else (),
        )

    def ids(self, pmid: str) -> tuple[tuple[str, str], ...]:
        found = [("pubmed", pmid)] if pmid else []
        for tag in ("AID", "MID"):
            for text in self.many(tag):
                if match := _LOCATED.fullmatch(text):
                    found.append((match.group(2), match.group(1)))
                else:
                    found.append(("mid" if tag == "MID" else "", text))
        found += [("pmc", text) for text in self.many("PMC")]
        return tuple(found)

    def locations(self, tag: str) -> tuple[Location, ...]:
        return tuple(
            Location(match.group(2), match.group(1))
            for text in self.many(tag)
            if (match := _LOCATED.fullmatch(text))
        )

    def history(self) -> tuple[HistoryDate, ...]:
        """PHST, and what older exports have on lines of their own."""
        found = []
        for text in self.many("PHST"):
            match = _LOCATED.fullmatch(text)
            if match and (step := _step(match.group(2), match.group(1))):
                found.append(step)
        listed = {step.event for step in found}
        for tag, event in (("CRDT", "entrez"), ("EDAT", "pubmed"), ("MHDA", "medline")):
            if event not in listed and (step := _step(event, self.one(tag))):
                found.append(step)
        return tuple(found)

    def keywords(self) -> tuple[Keyword, ...]:
        """OT after the OTO that names their owner; * marks a major topic."""
        found = []
        owner = ""
        for tag, text in self.lines:
            if tag == "OTO":
                owner = text
            elif tag == "OT":
                found.append(Keyword(text.removeprefix("*"), owner, text.startswith("*")))
        return tuple(found)

    def corrections(self) -> tuple[Correction, ...]:
        return tuple(
            _correction(_CORRECTIONS[tag], t) for tag, t in self.lines if tag in _CORRECTIONS
        )

    def databanks(self) -> tuple[DataBank, ...]:
        """ "ClinicalTrials.gov/NCT00000419", those of one databank together."""
        found: dict[str, list[str]] = {}
        for text in self.many("SI"):
            name, _, number = text.partition("/")
            found.setdefault(name, []).extend([number] if number else [])
        return tuple(DataBank(name, tuple(numbers)) for name, numbers in found.items())

    def other_abstracts(self) -> tuple[OtherAbstract, ...]:
        """OAB with the OABL and OCI that follow it: "Publisher: Abstract available ..."."""
        found: list[OtherAbstract] = []
        for tag, text in self.lines:
            if tag == "OAB":
                kind, _, rest = text.partition(": ")
                known = kind in ("AAMC", "AIDS", "KIE", "PIP", "NASA", "Publisher")
                words = rest if known else text
                found.append(OtherAbstract("", kind if known else "", (AbstractSection(words),)))
            elif tag == "OABL" and found:
                found[-1] = found[-1]._replace(language=text)
            elif tag == "OCI" and found:
                found[-1] = found[-1]._replace(copyright=text)
        return tuple(found)


def _full_name(text: str) -> Author:
    last, _, fore = text.partition(", ")
    return Author(last=last, fore=fore)


def _short_name(text: str) -> Author:
    """ "Smith JA Jr"; one word is a family name."""
    words = text.split(" ")
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    initials = words.pop() if len(words) > 1 else ""
    return Author(last=" ".join(words), initials=initials, suffix=suffix)


def _with_short(author: Author, text: str) -> Author:
    """A full name with the initials and the suffix that the short one gives."""
    rest = text.removeprefix(author.last).split(" ")[1:] if text.startswith(author.last) else []
    suffix = rest.pop() if len(rest) > 1 and _SUFFIX.fullmatch(rest[-1]) else ""
    fore = author.fore
    if suffix and fore.endswith(suffix):
        fore = fore.removesuffix(suffix).rstrip(" ,")
    return author._replace(fore=fore, initials=" ".join(rest), suffix=suffix)


def _heading(text: str) -> Heading:
    name, *qualifiers = text.split("/")
    return Heading(
        name=name.removeprefix("*"),
        major=name.startswith("*"),
        qualifiers=tuple(
            Qualifier(q.removeprefix("*"), major=q.startswith("*")) for q in qualifiers
        ),
    )


def _chemical(text: str) -> Chemical:
    match = _NUMBERED.fullmatch(text)
    return Chemical(match.group(2), registry=match.group(1)) if match else Chemical("", "", text)


def _grant(text: str) -> Grant:
    """ "R01 HL17655/HL/NHLBI NIH HHS/United States"; the number may hold slashes of its own."""
    *number, agency, country = ["", *text.split("/")] if "/" in text else ["", text, ""]
    number = [part for part in number if part]
    acronym = number.pop() if len(number) > 1 and re.fullmatch("[A-Z]{2}_?", number[-1]) else ""
    return Grant("/".join(number), acronym, agency, country)


def _correction(kind: str, text: str) -> Correction:
    """ "J Foo. 2020;1:2. PMID: 7": the publication as the XML has it, and its number."""
    where, _, rest = text.partition(" PMID: ")
    match = re.match(r"\d+", rest)
    if not match:
        return Correction(kind, text)
    return Correction(kind, where.rstrip("."), match.group())


def _step(event: str, text: str) -> HistoryDate | None:
    match = re.match(r"(\d{4})/(\d\d?)/(\d\d?)(?: (\d\d:\d\d))?", text)
    when = iso(*match.groups()[:3]) if match else None
    return HistoryDate(event, when, match.group(4) or "") if match and when else None


def _pair(text: str) -> tuple[str, str]:
    """ "ORCID: 0000-0002-1825-0097" as ("ORCID", "0000-0002-1825-0097")."""
    source, mark, rest = text.partition(": ")
    return (source, rest) if mark else ("", text)
