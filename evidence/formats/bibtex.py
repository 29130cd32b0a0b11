"""BibTeX, as databases and reference managers export it.

Syntax: O. Patashnik (1988), "BibTeXing"; entries and fields beyond it as biblatex names them.
Braces balance and a backslash escapes none of them, which is BibTeX's own rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evidence.formats.latex import escaped, to_unicode
from evidence.formats.receipt import Read, RefusedEntry
from evidence.formats.reference import Reference, line, make
from evidence.formats.text import encode
from evidence.model import Place

_ENTRY = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
_BEGIN = re.compile(r"(?m)^[ \t]*@(?!(?i:comment|string|preamble)\b)[A-Za-z]+[ \t]*[{(]")
_NAME = re.compile(r"\s*([^\s=,{}()\"#%]+)\s*=\s*")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

KIND_OF = {
    "article": "article",
    "book": "book",
    "incollection": "chapter",
    "inproceedings": "conference",
    "phdthesis": "thesis",
    "techreport": "report",
    "dataset": "dataset",
    "online": "web",
    "unpublished": "preprint",
    "misc": "other",
    # Read so, with their own type kept in `extra`.
    "inbook": "chapter",
    "conference": "conference",
    "mastersthesis": "thesis",
    "thesis": "thesis",
    "report": "report",
    "proceedings": "book",
    "booklet": "book",
    "collection": "book",
    "mvbook": "book",
    "manual": "report",
    "electronic": "web",
    "www": "web",
    "preprint": "preprint",
}
_TYPE_OF = {
    "article": "article",
    "book": "book",
    "chapter": "incollection",
    "conference": "inproceedings",
    "preprint": "unpublished",
    "thesis": "phdthesis",
    "report": "techreport",
    "dataset": "dataset",
    "registration": "misc",
    "web": "online",
    "news": "misc",
    "other": "misc",
}
_FIELDS = {
    "title": ("title",),
    "journal": ("journal", "journaltitle", "booktitle"),
    "journal_short": ("shortjournal", "journal-iso", "journal_abbrev", "abbrev_source_title"),
    "volume": ("volume",),
    "issue": ("number", "issue"),
    "pages": ("pages", "article-number", "art_number", "eid"),
    "abstract": ("abstract",),
    "doi": ("doi",),
    "pmid": ("pmid", "pubmed_id"),
    "pmcid": ("pmcid", "pmc"),
    "language": ("language", "langid"),
    "publisher": ("publisher", "school", "institution", "organization"),
    "place": ("address", "location"),
    "database": ("source", "database"),
    "accession": ("unique-id", "accession"),
}
_VERBATIM = frozenset({"url", "doi", "eprint", "file", "pmid", "pmcid"})
_PARTICLES = re.compile(r"[a-zß-öø-ÿ]")


@dataclass(frozen=True, slots=True)
class _Entry:
    start: int  # line
    raw: str
    kind: str = ""
    key: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    fault: str = ""


def read_bibtex(text: str, *, file: str, encoding: str) -> Read:
    """The entries of a BibTeX file; @comment and @preamble are no records."""
    references: list[Reference] = []
    refused: list[RefusedEntry] = []
    warnings: list[str] = []
    for entry in _entries(text):
        if entry.fault:
            data = encode(entry.raw, encoding)
            refused.append(RefusedEntry(file, entry.start, entry.fault, data))
            continue
        try:
            references.append(_reference(entry, Place(file, entry.start)))
        except RecursionError:  # accents upon accents by the hundred
            data = encode(entry.raw, encoding)
            why = f"@{entry.kind}: its commands are nested too deeply"
            refused.append(RefusedEntry(file, entry.start, why, data))
    return Read(references, refused, len(_BEGIN.findall(text)), warnings, _dialect(text))


def _dialect(text: str) -> str:
    marks = (
        ("Scopus", r"source\s*=\s*\{Scopus\}"),
        ("Web of Science", r"Unique-ID\s*="),
        ("Zotero", r"urldate\s*=|zotero"),
    )
    return next((name for name, mark in marks if re.search(mark, text, re.IGNORECASE)), "")


def _entries(text: str) -> Iterator[_Entry]:
    macros = {name: name for name in _MONTHS}
    at = 0
    lines_before, counted = 1, 0
    while match := _ENTRY.search(text, at):
        lines_before += text.count("\n", counted, match.start())
        counted = match.start()
        kind = match.group(1).casefold()
        closing = "}" if match.group(2) == "{" else ")"
        if kind == "comment":
            end = _closing(text, match.end(), closing)
            at = end + 1 if end > 0 else match.end()
            continue
        try:
            end, key, fields = _body(text, match.end(), closing, macros, keyed=kind not in _KEYLESS)
        except _Broken as fault:
            end = _next_entry(text, match.end())
            raw = text[match.start() : end]
            at = end
            if kind not in _KEYLESS:
                yield _Entry(lines_before, raw, fault=f"@{kind}: {fault}")
            continue
        at = end
        if kind == "string":
            macros |= dict(fields)
        elif kind != "preamble":
            raw = text[match.start() : end]
            if fields:
                yield _Entry(lines_before, raw, kind, key, tuple(fields))
            else:
                yield _Entry(lines_before, raw, fault=f"@{kind}: has no field")


_KEYLESS = frozenset({"string", "preamble"})


class _Broken(ValueError):
    pass


def _next_entry(text: str, at: int) -> int:
    """Where the next entry begins on a line of its own, or the end."""
    match = re.compile(r"(?m)^[ \t]*@[A-Za-z]+\s*[{(]").search(text, at)
    return match.start() if match else len(text)


def _closing(text: str, at: int, closing: str) -> int:
    depth = 0
    for place in range(at, len(text)):
        char = text[place]
        if char == "{":
            depth += 1
        elif char == closing and depth == 0:
            return place
        elif char == "}":
            depth -= 1
    return -1


_KEY = re.compile(r"\s*([^\s,{}]*(?:[ \t]+[^\s,{}=]+)*)\s*(,|(?=[})]))")


def _body(
    text: str, at: int, closing: str, macros: dict[str, str], *, keyed: bool
) -> tuple[int, str, list[tuple[str, str]]]:
    """The place after an entry, its key and its fields."""
    key = ""
    if keyed:
        match = _KEY.match(text, at)
        if match is None or "=" in match.group(1):
            raise _Broken("its key is not followed by a comma")
        key, at = match.group(1), match.end()
    fields: list[tuple[str, str]] = []
    while True:
        at = _skip(text, at)
        while at < len(text) and text[at] == ",":
            at = _skip(text, at + 1)
        if at >= len(text):
            raise _Broken("ends before it is closed")
        if text[at] == closing:
            return at + 1, key, fields
        match = _NAME.match(text, at)
        if match is None:
            if not keyed:
                end = _closing(text, at, closing)
                if end >= 0:
                    return end + 1, key, fields
            raise _Broken(f"{line(text[at : at + 30])!r} is no field")
        name = match.group(1).casefold()
        at, value = _value(text, match.end(), macros)
        fields.append((name, value))
        at = _skip(text, at)
        if at < len(text) and text[at] not in f",{closing}":
            raise _Broken(f"field {name} is not followed by a comma")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _value(text: str, at: int, macros: dict[str, str]) -> tuple[int, str]:
    """Pieces in braces, in quotes, numbers or macros, joined by #."""
    pieces: list[str] = []
    while True:
        at = _skip(text, at)
        if at >= len(text):
            raise _Broken("ends within a field")
        if text[at] == "{":
            end = _closing(text, at + 1, "}")
            if end < 0:
                raise _Broken("has braces that do not balance")
            pieces.append(text[at + 1 : end])
            at = end + 1
        elif text[at] == '"':
            end = _closing(text, at + 1, '"')
            if end < 0:
                raise _Broken("has a quotation mark that is not closed")
            pieces.append(text[at + 1 : end])
            at = end + 1
        else:
            match = re.compile(r"[^\s,#{}()\"]+").match(text, at)
            if match is None:
                raise _Broken("has a field without a value")
            word = match.group()
            pieces.append(macros.get(word.casefold(), word))
            at = match.end()
        at = _skip(text, at)
        if at < len(text) and text[at] == "#":
            at += 1
            continue
        return at, "".join(pieces)


def _reference(entry: _Entry, at: Place) -> Reference:
    given: dict[str, str] = {}
    extra: list[tuple[str, str]] = []
    for name, value in entry.fields:
        if name in given:
            extra.append((f"bibtex:{name}", _text(name, value)))
        else:
            given[name] = value
    used: set[str] = {"author", "editor", "year", "date", "month", "url", "keywords", "note"}
    fields: dict[str, object] = {}
    for name, keys in _FIELDS.items():
        key = next((k for k in keys if k in given), None)
        if key is not None:
            fields[name] = _text(key, given[key])
            used.add(key)
    if "pages" in fields:
        fields["pages"] = re.sub(r"\s*(?:--+|–|—)\s*", "-", str(fields["pages"]))
    for key, text in (("issn", "issn"), ("isbn", "isbn")):
        if key in given:
            fields[key] = [_text(text, given[key])]
            used.add(key)
    kind = KIND_OF.get(entry.kind, "other")
    if entry.kind != _TYPE_OF[kind]:
        extra.append(("bibtex:ENTRYTYPE", entry.kind))
    types: list[str] = []
    for key in ("type", "document_type", "pubtype"):
        if key in given:
            types.append(_text(key, given[key]))
            used.add(key)
    keywords = [k for k in given if k in ("keywords", "author_keywords", "keywords-plus")]
    used.update(keywords)
    words = [w for k in keywords for w in re.split(_separator(given[k]), _text(k, given[k]))]
    if "mesh" in given:
        fields["mesh"] = [_text("mesh", given["mesh"])]
        used.add("mesh")
    extra += [(f"bibtex:{k}", _text(k, v)) for k, v in given.items() if k not in used]
    year, date = _when(given)
    return make(
        **fields,
        kind=kind,
        authors=names(given.get("author", "")),
        editors=names(given.get("editor", "")),
        year=year,
        date=date,
        keywords=words,
        types=types,
        urls=[_text("url", given["url"])] if "url" in given else [],
        notes=_text("note", given["note"]).split("\n") if "note" in given else [],
        extra=extra,
        source_id=entry.key,
        at=at,
    )


def _separator(value: str) -> str:
    return ";" if ";" in value else r"\s*,\s+"


def _text(name: str, value: str) -> str:
    if name in _VERBATIM:
        plain = re.sub(r"\\([_%&#~{}$])(?:\{\})?", r"\1", value.strip())
        return plain[1:-1] if plain.startswith("{") and plain.endswith("}") else plain
    parts = re.split(r"\n[ \t]*\n", value)  # a blank line is LaTeX's new paragraph
    return "\n".join(line(to_unicode(part)) for part in parts)


def _when(given: dict[str, str]) -> tuple[int | None, str]:
    year = line(to_unicode(given.get("year", "")))
    date = line(to_unicode(given.get("date", "")))
    number = int(year) if re.fullmatch(r"\d{4}", year) else None
    if not date and "month" in given:
        month = line(to_unicode(given["month"]))
        if month.casefold()[:3] in _MONTHS and re.fullmatch(r"[A-Za-z]+\.?", month) and number:
            return number, f"{number}-{_MONTHS.index(month.casefold()[:3]) + 1:02}"
        date = f"{year} {month}".strip()
    return number, date or year


def names(value: str) -> tuple[str, ...]:
    """Authors in the order of BibTeX's own rule: "and" outside of braces stands between them."""
    found: list[str] = []
    depth = 0
    begin = 0
    for match in re.finditer(r"[{}]|(?<=\s)(?i:and)(?=\s)", value):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
        elif depth == 0:
            found.append(value[begin : match.start()])
            begin = match.end()
    found.append(value[begin:])
    return tuple(name for each in found if (name := _name(each.strip())))


def _name(name: str) -> str:
    """One name as "Family, Given, Suffix"; what stands in braces as a whole is a group."""
    if name.startswith("{") and _closing(name, 1, "}") == len(name) - 1:
        return line(to_unicode(name[1:-1]))
    parts = [line(to_unicode(p)) for p in _outside(name, ",")]
    if len(parts) == 3:
        return ", ".join((parts[0], parts[2], parts[1]))
    if len(parts) != 1:
        return ", ".join(p for p in parts if p)
    words = [line(to_unicode(w)) for w in _outside(name, " ") if w.strip()]
    if len(words) < 2:
        return "".join(words)
    # The family name begins with the first particle in lower case, else it is the last word.
    first = next((i for i, w in enumerate(words[:-1]) if i and _PARTICLES.match(w)), len(words) - 1)
    return f"{' '.join(words[first:])}, {' '.join(words[:first])}"


def _outside(text: str, mark: str) -> list[str]:
    """Split where ``mark`` stands outside of braces."""
    parts, depth, begin = [], 0, 0
    for place, char in enumerate(text):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif depth == 0 and (char == mark or (mark == " " and char.isspace())):
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def write_bibtex(references: Iterable[Reference]) -> str:
    """References as BibTeX in UTF-8; what the format cannot hold is in `loses`."""
    keys: set[str] = set()
    return "\n".join(_entry(reference, keys) for reference in references)


def _entry(reference: Reference, keys: set[str]) -> str:
    r = reference
    own = [(k.removeprefix("bibtex:"), v) for k, v in r.extra if k.startswith("bibtex:")]
    kept_type = next((v for k, v in own if k == "ENTRYTYPE"), "")
    journal = "booktitle" if r.kind in ("chapter", "conference") else "journal"
    rows = [
        ("title", escaped(r.title)),
        ("author", " and ".join(_written(name) for name in r.authors)),
        ("editor", " and ".join(_written(name) for name in r.editors)),
        (journal, escaped(r.journal)),
        ("shortjournal", escaped(r.journal_short)),
        ("year", str(r.year) if r.year is not None else ""),
        ("date", escaped(r.date)),
        ("volume", escaped(r.volume)),
        ("number", escaped(r.issue)),
        ("pages", re.sub("-+", "--", escaped(r.pages))),
        ("doi", address(r.doi or "")),
        ("pmid", r.pmid or ""),
        ("pmcid", r.pmcid or ""),
        ("issn", "; ".join(r.issn)),
        ("isbn", "; ".join(r.isbn)),
        ("abstract", "\n\n".join(escaped(p) for p in r.abstract.split("\n"))),
        ("keywords", _listed(r.keywords)),
        ("mesh", _listed(r.mesh)),
        ("type", _listed(r.types)),
        ("language", escaped(r.language)),
        ("publisher", escaped(r.publisher)),
        ("address", escaped(r.place)),
        ("url", address(" ".join(r.urls))),
        ("note", "\n\n".join(escaped(note) for note in r.notes)),
        ("source", escaped(r.database)),
        ("accession", escaped(r.accession)),
    ]
    written = {name for name, value in rows if value}
    rows += [
        (k, address(v) if k in _VERBATIM else "\n\n".join(map(escaped, v.split("\n"))))
        for k, v in own
        if k != "ENTRYTYPE" and k not in written and re.fullmatch(r"[a-z][a-z0-9_:.+-]*", k)
    ]
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in rows if value)
    return f"@{kept_type or _TYPE_OF[r.kind]}{{{_key(r, keys)},\n{body}}}\n"


def _listed(values: tuple[str, ...]) -> str:
    """Values with ";" between them, and after a lone one, whose commas must not divide it."""
    text = "; ".join(escaped(v) for v in values)
    return f"{text};" if len(values) == 1 and "," in text else text


def address(text: str) -> str:
    """An address or a DOI: only braces would break the entry."""
    return text.replace("{", "%7B").replace("}", "%7D").replace("\\", "%5C")


def _written(name: str) -> str:
    parts = name.split(", ")
    plain = all(p and not re.search(r"(?i)(?:^|\s)and(?:\s|$)|,", p) for p in parts)
    if len(parts) == 2 and plain:
        return escaped(name)
    if len(parts) == 3 and plain:
        return escaped(", ".join((parts[0], parts[2], parts[1])))
    return f"{{{escaped(name)}}}"


def _key(reference: Reference, keys: set[str]) -> str:
    """The key that it came with, or "smith2019exercise"; a letter tells equal ones apart."""
    key = re.sub(r"[^A-Za-z0-9_:.+/-]", "", reference.source_id)
    if not key:
        family = reference.first_author.partition(",")[0]
        words = [w for w in re.findall(r"[a-z]+", _ascii(reference.title)) if len(w) > 3]
        year = str(reference.year or "")
        key = re.sub("[^a-z]", "", _ascii(family)) + year + (words[0] if words else "")
        key = key or "reference"
    unique, number = key, 1
    while unique in keys:
        number += 1
        unique = f"{key}-{number}"
    keys.add(unique)
    return unique


def _ascii(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return folded.casefold()
