"""NLM's MEDLINE format (.nbib, "PubMed" .txt), with the fields that a reference needs.

Tags: "MEDLINE/PubMed Data Element (Field) Descriptions", National Library of Medicine. The PubMed
records themselves are read by `evidence.pubmed.nbib`; a reference carries its record.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import (
    Reference,
    date_and_year,
    inverted,
    kind_of_types,
    line,
    make,
    serials,
)
from evidence.formats.text import encode, lines
from evidence.model import Place
from evidence.pubmed.medline import FOLDED, fields_of

_TAG = re.compile(r"([A-Z]{2,4}) {0,2}- ?(.*)", re.DOTALL)
_FOLDED = re.compile(r"\s{2,}")
_BEGIN = re.compile(r"(?m)^PMID *-")
_SUFFIX = re.compile(r"(?i)(?:jr|sr|2nd|3rd|4th|ii|iii|iv)\.?")

# Tag by tag in the order of PubMed's own export; the others go to `extra`.
_ONE = {
    "title": ("TI", "BTI", "TT"),
    "journal": ("JT", "TA", "BTI"),
    "journal_short": ("TA",),
    "volume": ("VI",),
    "issue": ("IP",),
    "pages": ("PG",),
    "abstract": ("AB",),
    "publisher": ("PB",),
    "place": ("PL",),
}
_MANY = {"keywords": ("OT",), "mesh": ("MH",), "types": ("PT",), "notes": ("GN",)}


@dataclass
class _Block:
    start: int
    raw: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # the same, each as PubMed would print it
    has_pmid: bool = False
    fault: str = ""

    @cached_property
    def tags(self) -> list[tuple[str, str]]:
        return fields_of(self.lines)


def read_nbib_references(text: str, *, file: str, encoding: str) -> Read:
    """The entries of an export of PubMed's page.

    An entry without a PMID is read too: other programs write this format for records of their own.
    """
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    for block in _blocks(text):
        fault = block.fault
        if not fault:
            said = {tag for tag, value in block.tags if line(value)}
            if not said & {"PMID", "TI", "TT", "BTI", "AU", "FAU"}:
                fault = "has no PMID, title or author"
        if fault:
            data = encode("".join(block.raw), encoding)
            refused.append(RefusedEntry(file, block.start, fault, data))
            continue
        references.append(_reference(block, Place(file, block.start)))
    return Read(references, refused, len(_BEGIN.findall(text)), warnings, "PubMed")


def _blocks(text: str) -> Iterator[_Block]:
    block: _Block | None = None
    for number, raw in enumerate(lines(text), 1):
        body = raw.rstrip("\r\n")
        match = _TAG.fullmatch(body)
        again = match and match.group(1) == "PMID" and block and block.has_pmid
        if block is not None and (again or not body.strip()):
            yield block
            block = None
        if not body.strip():
            continue
        block = block or _Block(number)
        block.raw.append(raw)
        if match:
            block.lines.append(f"{match.group(1):<4}- {match.group(2)}")
            block.has_pmid = block.has_pmid or match.group(1) == "PMID"
        elif block.lines and _FOLDED.match(body):
            block.lines.append(f"{FOLDED}{body.strip()}")
        elif not block.fault:
            block.fault = f"line {number}, {body[:40]!r}, is not in the MEDLINE format"
    if block is not None:
        yield block


def _reference(block: _Block, at: Place) -> Reference:
    values: dict[str, list[str]] = {}
    for tag, value in block.tags:
        if line(value):
            values.setdefault(tag, []).append(line(value))
    used = {"PMID", "AU", "FAU", "CN", "FED", "ED", "DP", "PMC", "LA"}
    fields: dict[str, object] = {}
    for name, tags in _ONE.items():
        for tag in tags:
            if tag in values and not (tag == "BTI" and fields["title"] == values[tag][0]):
                fields[name] = values[tag][0]
                used.add(tag)
                break
        else:
            fields[name] = ""
    if fields["journal"] == fields["journal_short"] and "JT" not in values:
        fields["journal"] = ""
    for name, tags in _MANY.items():
        fields[name] = [v for tag in tags for v in values.get(tag, ())]
        used.update(tags)
    date, year = date_and_year(values["DP"][0]) if "DP" in values else ("", None)
    extra: list[tuple[str, str]] = []
    issn: list[str] = []
    isbn: list[str] = []
    for tag, value in block.tags:
        text = line(value)
        if tag in ("IS", "ISBN"):
            found, rest = serials(text)
            issn += found["issn"]
            isbn += found["isbn"]
            if rest or not any(found.values()):
                extra.append((f"nbib:{tag}", text))
        elif tag in ("AID", "LID"):
            match = re.fullmatch(r"(\S+) \[doi\]", text)
            if match and fields.setdefault("doi", match.group(1)) == match.group(1):
                continue
            extra.append((f"nbib:{tag}", text))
        elif text and (tag not in used or (tag in _FIRST and text != values[tag][0])):
            extra.append((f"nbib:{tag}", text))
    types = values.get("PT", [])
    return make(
        **fields,
        kind=kind_of_types(types),
        authors=_names(block, "FAU", "AU", "CN"),
        editors=_names(block, "FED", "ED", ""),
        year=year,
        date=date,
        pmid=values["PMID"][0] if "PMID" in values else None,
        pmcid=values["PMC"][0] if "PMC" in values else None,
        language=", ".join(values.get("LA", [])),
        issn=issn,
        isbn=isbn,
        database="PubMed" if "PMID" in values else "",
        extra=extra,
        source_id=values["PMID"][0] if "PMID" in values else "",
        at=at,
    )


_FIRST = frozenset({tag for tags in _ONE.values() for tag in tags} | {"DP", "PMC"})


def _names(block: _Block, full: str, short: str, group: str) -> list[str]:
    """Authors in order: the full name where there is one, the short one after it for a suffix."""
    names: list[str] = []
    waiting = False  # the AU of a FAU comes next and says the same
    for tag, value in block.tags:
        name = line(value)
        if not name:
            continue
        if tag == full:
            names.append(name)
            waiting = True
        elif tag == short:
            if not waiting:
                names.append(inverted(name))
            elif "," in names[-1] and (suffix := _suffix(name, names[-1])):
                names[-1] = f"{names[-1]}, {suffix}"
            waiting = False
        elif group and tag == group:
            names.append(name)
            waiting = False
    return names


def _suffix(short: str, full: str) -> str:
    """ "Jr" of "Smith JA Jr", where the full name does not say it."""
    last = short.split(" ")[-1]
    given = full.partition(", ")[2]
    if last == "".join(word[0] for word in re.findall(r"[^\W\d_]+", given)).upper():
        return ""  # "Smith, Ian Ivan" is "Smith II" too
    return last if _SUFFIX.fullmatch(last) and not full.endswith(last) else ""


def write_nbib(references: Iterable[Reference]) -> str:
    """References in the MEDLINE format; what it cannot hold is in `loses`."""
    return "\n".join(_entry(reference) for reference in references)


def _entry(reference: Reference) -> str:
    r = reference
    rows: list[tuple[str, str]] = []
    if r.pmid:
        rows.append(("PMID", r.pmid))
    rows += [("IS", v) for v in r.issn] + [("ISBN", v) for v in r.isbn]
    rows += [("VI", r.volume), ("IP", r.issue)]
    rows.append(("DP", _date(r)))
    rows += [("TI", r.title), ("PG", r.pages)]
    if r.doi:
        rows.append(("LID", f"{r.doi} [doi]"))
    rows.append(("AB", line(r.abstract)))
    for tag, short, names in (("FAU", "AU", r.authors), ("FED", "ED", r.editors)):
        for name in names:
            if "," in name:
                rows += [(tag, name), (short, _short(name))]
            elif tag == "FAU":
                rows.append(("CN", name))
            else:
                rows.append((tag, name))
    rows += [("LA", v) for v in r.language.split(", ")]
    rows += [("PT", v) for v in r.types] + [("PL", r.place), ("PB", r.publisher)]
    rows += [("TA", r.journal_short), ("JT", r.journal)]
    rows += [("MH", v) for v in r.mesh] + [("OT", v) for v in r.keywords]
    rows += [("GN", v) for v in r.notes]
    if r.pmcid:
        rows.append(("PMC", r.pmcid))
    rows += [(k.removeprefix("nbib:"), line(v)) for k, v in r.extra if k.startswith("nbib:")]
    return "".join(_fold(tag, value) for tag, value in rows if value)


def _date(reference: Reference) -> str:
    return reference.date or (str(reference.year) if reference.year else "")


def _short(name: str) -> str:
    """ "Smith, John Adam, Jr" as "Smith JA Jr"."""
    family, _, rest = name.partition(", ")
    given, _, suffix = rest.partition(", ")
    capitals = given.isupper() and len(given) <= 4 and given.isalpha()
    initials = given if capitals else "".join(w[0] for w in re.findall(r"[^\W\d_]+", given))
    return " ".join(filter(None, (family, initials.upper(), suffix)))


def _fold(tag: str, value: str) -> str:
    """Lines of at most about 88 characters, as PubMed folds them; never within a word."""
    folded = textwrap.wrap(
        value, 82, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    plain = " ".join(folded) == value
    parts = folded if plain else [value]
    return f"{tag:<4}- " + "\n      ".join(parts) + "\n"
