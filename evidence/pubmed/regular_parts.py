"""What comes again and again in records written as NLM writes them: read once for each way it is
written, and from then on looked up."""

from __future__ import annotations

from functools import partial

from evidence.model import Chemical, Heading, HistoryDate, Journal, PubDate, Qualifier, Term
from evidence.pubmed import regular_patterns as p
from evidence.pubmed.regular_text import ATTRIBUTES, Irregular, Known, clean
from evidence.pubmed.xml_dates import dated, iso, year_of
from evidence.pubmed.xml_parts import is_retracted, number

_new_heading = partial(tuple.__new__, Heading)


def _day(elements: str) -> str | None:
    match = p.DAY.fullmatch(elements)
    whole = iso(*match.groups()) if match else None
    return whole if whole and len(whole) == 10 else None


def _published(elements: str) -> tuple[PubDate | None, int | None]:
    """The date and its year."""
    match = p.PUBLISHED.fullmatch(elements)
    if match is None:
        raise Irregular
    year, month, day, season, words = match.groups("")
    found = dated(year, month, day, season, clean(words))
    return found, year_of(found)


def _periodical(elements: str) -> tuple[Journal, str]:
    """The journal, and its name as it is shown."""
    match = p.PERIODICAL.fullmatch(elements)
    if match is None:
        raise Irregular
    given, issn, title, abbreviation, country, medline, nlm_id, linking = match.groups("")
    kind = ATTRIBUTES[given].get("IssnType", "")
    printed = clean(issn) or None
    journal = Journal(
        title=clean(title),
        iso=clean(abbreviation),
        medline=clean(medline),
        issn_print=printed if kind == "Print" else None,
        issn_electronic=printed if kind == "Electronic" else None,
        issn=printed if kind in ("", "Undetermined") else None,
        issn_linking=clean(linking) or None,
        nlm_id=clean(nlm_id),
        country=clean(country),
    )
    return journal, journal.title or journal.iso or journal.medline


def _languages(elements: str) -> tuple[tuple[str, ...], str]:
    """The languages, and all as one text."""
    found = [text for raw, _ in p.LANGUAGE.findall(elements) if (text := clean(raw))]
    return tuple(found), ", ".join(found)


def _subsets(elements: str) -> tuple[str, ...]:
    return tuple([found for raw, _ in p.SUBSET.findall(elements) if (found := clean(raw))])


def _kinds(elements: str) -> tuple[tuple[Term, ...], tuple[str, ...], bool]:
    """The publication types, their names, and whether these say that the article was retracted."""
    named = [(clean(raw), ATTRIBUTES[given]) for given, raw, _ in p.KIND.findall(elements)]
    found = [Term(name, a.get("UI", ""), a.get("Type", "")) for name, a in named if name]
    names = tuple([kind.name for kind in found])
    return tuple(found), names, is_retracted(names, ())


def _chemical(piece: str) -> Chemical:
    match = p.CHEMICAL.match(piece)
    if match is None:
        raise Irregular
    registry, given, name = match.groups()
    return Chemical(clean(name), ATTRIBUTES[given].get("UI", ""), clean(registry))


def _heading(piece: str) -> tuple[Heading, str]:
    """The heading, and its text."""
    begin, end, rest = piece.partition("</DescriptorName>")
    name, ui, major, kind, auto, text = _DESCRIPTORS[begin]
    *qualifiers, blank = rest.split("</QualifierName>")
    if not end or blank.strip(" \n"):
        raise Irregular
    if not qualifiers:
        return _new_heading((name, ui, major, kind, (), auto)), text
    pairs = [_QUALIFIERS[each] for each in qualifiers]
    found, words = zip(*pairs, strict=True)
    return _new_heading((name, ui, major, kind, found, auto)), "/".join((text, *words))


def _descriptor(piece: str) -> tuple[str, str, bool, str, bool, str]:
    """Name, UI, whether it is a major topic, kind, whether a program chose it; its text."""
    if match := p.USUAL_DESCRIPTOR.fullmatch(piece):
        ui, mark, name = match.groups()
        major, kind, auto = mark == "Y", "", False
    elif match := p.DESCRIPTOR.fullmatch(piece):
        marks, name = ATTRIBUTES[match.group(1)], match.group(2)
        ui, kind = marks.get("UI", ""), marks.get("Type", "")
        major, auto = marks.get("MajorTopicYN") == "Y", marks.get("AutoHM") == "Y"
    else:
        raise Irregular
    name = clean(name)
    return name, ui, major, kind, auto, f"*{name}" if major else name


def _qualifier(piece: str) -> tuple[Qualifier, str]:
    match = p.QUALIFIER.fullmatch(piece)
    if match is None:
        raise Irregular
    marks, name = ATTRIBUTES[match.group(1)], clean(match.group(2))
    major, auto = marks.get("MajorTopicYN") == "Y", marks.get("AutoHM") == "Y"
    return Qualifier(name, marks.get("UI", ""), major, auto), f"*{name}" if major else name


def _step(piece: str) -> HistoryDate:
    match = p.STEP.match(piece)
    if match is None:
        raise Irregular
    given, year, month, day, hour, minute = match.groups()
    when = iso(year, month, day)
    if when is None:
        raise Irregular
    time = f"{int(hour):02d}:{int(minute or 0):02d}" if hour else ""
    return HistoryDate(ATTRIBUTES[given].get("PubStatus", ""), when, time)


def _citation(given: str) -> tuple[str, str, str, str]:
    """From the attributes of a citation: status, owner, method of indexing, date of the version."""
    named = ATTRIBUTES[given]
    owner, indexing = named.get("Owner", "NLM"), named.get("IndexingMethod", "")
    return named.get("Status", ""), owner, indexing, named.get("VersionDate", "")


def _version(given: str) -> int:
    """From the attributes of a PMID."""
    version = number(ATTRIBUTES[given].get("Version", ""))
    if version is None:
        raise Irregular
    return version or 1


DAYS = Known(_day, 4096)
PUBLISHED = Known(_published, 4096)
PERIODICALS = Known(_periodical, 8192)
LANGUAGES = Known(_languages, 1024)
SUBSETS = Known(_subsets, 1024)
KINDS = Known(_kinds, 8192)
CHEMICALS = Known(_chemical, 16384)
HEADINGS = Known(_heading, 65536)
STEPS = Known(_step, 32768)
STATUSES = Known(clean, 64)
COMPLETE = Known(lambda given: ATTRIBUTES[given].get("CompleteYN") != "N", 64)
CITATIONS = Known(_citation, 1024)
MODELS = Known(lambda given: ATTRIBUTES[given].get("PubModel", ""), 64)
MEDIUMS = Known(lambda given: ATTRIBUTES[given].get("CitedMedium", ""), 64)
VERSIONS = Known(_version, 64)
_DESCRIPTORS = Known(_descriptor, 32768)
_QUALIFIERS = Known(_qualifier, 1024)
