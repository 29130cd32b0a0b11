"""What comes again and again in records written as NLM writes them: read once for each way it is
written, and from then on looked up."""

from __future__ import annotations

import re
from functools import partial

from evidence.model import Chemical, Heading, HistoryDate, Journal, PubDate, Qualifier, Term
from evidence.pubmed.regular_text import ATTRIBUTES, Irregular, Known, clean
from evidence.pubmed.xml_dates import dated, iso, year_of
from evidence.pubmed.xml_parts import is_retracted, number
from evidence.pubmed.xml_text import squeezed

USUAL_OWNER = "NOTNLM"  # of keywords: the authors gave them

_new_heading = partial(tuple.__new__, Heading)


# --- how they are written: each element as a whole, without a gap from one to the next ---------

_S = "\n?+ *+"  # between elements
_A = "([^>]*+)"  # attributes; `ATTRIBUTES` looks at what they are
_YMD = (
    f"<Year>([0-9]{{4}})</Year>{_S}<Month>([0-9A-Za-z]+)</Month>{_S}<Day>([0-9]{{1,2}})</Day>{_S}"
)


def _compiled(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.ASCII)


def _text(name: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>([^<]*+)</{name}>{_S}"


_DAY = _compiled(f"<([A-Za-z]+){_A}>{_S}{_YMD}</\\1>")
_PUBLISHED = _compiled(
    f"<PubDate>{_S}(?:<Year>([0-9]{{4}})</Year>{_S}",
    f"(?:<Month>([0-9A-Za-z]+)</Month>{_S}(?:<Day>([0-9]{{1,2}})</Day>{_S})?",
    f"|<Season>([A-Za-z]+)</Season>{_S})?|",
    _text("MedlineDate"),
    ")</PubDate>",
)
_KIND = _compiled(_text("PublicationType", _A), "|((?s:.))")
_KINDS = _compiled(f"<PublicationTypeList>{_S}((?s:.*))</PublicationTypeList>")
_CHEMICAL = _compiled(
    f"<Chemical>{_S}", _text("RegistryNumber"), _text("NameOfSubstance", _A), "</Chemical>"
)
_HEADING = _compiled(f"<MeshHeading>{_S}((?s:.*))</MeshHeading>")
_USUAL_DESCRIPTOR = _compiled(
    '<DescriptorName UI="([0-9A-Z]*+)" MajorTopicYN="([YN])">([^<]*+)',
)
_DESCRIPTOR = _compiled(f"<DescriptorName{_A}>([^<]*+)")
_QUALIFIER = _compiled(f"{_S}<QualifierName{_A}>([^<]*+)")
_STEP = _compiled(
    f"<PubMedPubDate{_A}>{_S}{_YMD}",
    f"(?:<Hour>([0-9]{{1,2}})</Hour>{_S}(?:<Minute>([0-9]{{1,2}})</Minute>{_S})?+)?+",
    "</PubMedPubDate>",
)
_ID_KIND = _compiled(' IdType="([A-Za-z0-9_-]+)"')


def _day(element: str) -> str | None:
    match = _DAY.fullmatch(element)
    if match is None:
        raise Irregular
    _, given, *parts = match.groups()
    ATTRIBUTES[given]
    whole = iso(*parts)
    return whole if whole and len(whole) == 10 else None


def _published(element: str) -> tuple[PubDate | None, int | None]:
    """The date and its year."""
    match = _PUBLISHED.fullmatch(element)
    if match is None:
        raise Irregular
    year, month, day, season, words = match.groups("")
    found = dated(year, month, day, season, clean(words))
    return found, year_of(found)


def _journal(
    parts: tuple[str, str, str, str, str, str, str, str],
) -> tuple[Journal, str]:
    """The journal, and its name as it is shown."""
    kind, issn, title, abbreviation, country, medline, nlm_id, linking = parts
    journal = Journal(
        title=title,
        iso=abbreviation,
        medline=medline,
        issn_print=issn or None if kind == "Print" else None,
        issn_electronic=issn or None if kind == "Electronic" else None,
        issn=issn or None if kind in ("", "Undetermined") else None,
        issn_linking=linking or None,
        nlm_id=nlm_id,
        country=country,
    )
    return journal, journal.title or journal.iso or journal.medline


def _kinds(element: str) -> tuple[tuple[Term, ...], tuple[str, ...], bool]:
    """The publication types, their names, and whether these say that the article was retracted."""
    whole = _KINDS.fullmatch(element)
    if whole is None:
        raise Irregular
    named = []
    for given, raw, other in _KIND.findall(whole.group(1)):
        if other:
            raise Irregular
        named.append((clean(raw), ATTRIBUTES[given]))
    found = [Term(name, a.get("UI", ""), a.get("Type", "")) for name, a in named if name]
    names = tuple([kind.name for kind in found])
    return tuple(found), names, is_retracted(names, ())


def _chemical(element: str) -> Chemical:
    match = _CHEMICAL.fullmatch(element)
    if match is None:
        raise Irregular
    registry, given, name = match.groups()
    return Chemical(clean(name), ATTRIBUTES[given].get("UI", ""), clean(registry))


def _heading(element: str) -> tuple[Heading, str]:
    """The heading, and its text."""
    whole = _HEADING.fullmatch(element)
    if whole is None:
        raise Irregular
    begin, end, rest = whole.group(1).partition("</DescriptorName>")
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
    if match := _USUAL_DESCRIPTOR.fullmatch(piece):
        ui, mark, name = match.groups()
        major, kind, auto = mark == "Y", "", False
    elif match := _DESCRIPTOR.fullmatch(piece):
        marks, name = ATTRIBUTES[match.group(1)], match.group(2)
        ui, kind = marks.get("UI", ""), marks.get("Type", "")
        major, auto = marks.get("MajorTopicYN") == "Y", marks.get("AutoHM") == "Y"
    else:
        raise Irregular
    name = clean(name)
    return name, ui, major, kind, auto, f"*{name}" if major else name


def _qualifier(piece: str) -> tuple[Qualifier, str]:
    match = _QUALIFIER.fullmatch(piece)
    if match is None:
        raise Irregular
    marks, name = ATTRIBUTES[match.group(1)], clean(match.group(2))
    major, auto = marks.get("MajorTopicYN") == "Y", marks.get("AutoHM") == "Y"
    return Qualifier(name, marks.get("UI", ""), major, auto), f"*{name}" if major else name


def _step(element: str) -> HistoryDate:
    match = _STEP.fullmatch(element)
    if match is None:
        raise Irregular
    given, year, month, day, hour, minute = match.groups()
    when = iso(year, month, day)
    if when is None:
        raise Irregular
    time = f"{int(hour):02d}:{int(minute or 0):02d}" if hour else ""
    return HistoryDate(ATTRIBUTES[given].get("PubStatus", ""), when, time)


# --- what attributes say -----------------------------------------------------------------------


def _said(name: str, otherwise: str = "", most: int = 256) -> Known[str]:
    return Known(lambda given: ATTRIBUTES[given].get(name, otherwise), most)


def _citation(given: str) -> tuple[str, str, str, str]:
    """Status, owner, method of indexing, date of the version."""
    named = ATTRIBUTES[given]
    owner, indexing = named.get("Owner", "NLM"), named.get("IndexingMethod", "")
    return named.get("Status", ""), owner, indexing, named.get("VersionDate", "")


def _version(given: str) -> int:
    version = number(ATTRIBUTES[given].get("Version", ""))
    if version is None:
        raise Irregular
    return version or 1


def _label(given: str) -> tuple[str, str]:
    named = ATTRIBUTES[given]
    return squeezed(named.get("Label", "")), named.get("NlmCategory", "")


def _author(given: str) -> tuple[bool, bool]:
    """Whether the contribution is equal to that of others, and whether the name is valid."""
    named = ATTRIBUTES[given]
    return named.get("EqualContrib") == "Y", named.get("ValidYN") != "N"


def _located(given: str) -> tuple[str, bool]:
    named = ATTRIBUTES[given]
    return named.get("EIdType", ""), named.get("ValidYN") != "N"


def _cited_id_kind(given: str) -> str:
    """Of an id that comes after the first of its kind, or has a rare one."""
    match = _ID_KIND.fullmatch(given)
    if match is None:  # it may be the first of a usual kind, written otherwise
        raise Irregular
    return match.group(1)


DAYS = Known(_day, 4096)
PUBLISHED = Known(_published, 4096)
JOURNALS = Known(_journal, 8192)
KINDS = Known(_kinds, 8192)
CHEMICALS = Known(_chemical, 16384)
HEADINGS = Known(_heading, 65536)
STEPS = Known(_step, 32768)
CITATIONS = Known(_citation, 1024)
VERSIONS = Known(_version, 64)
LABELS = Known(_label, 4096)
AUTHORS = Known(_author, 64)
LOCATIONS = Known(_located, 64)
COMPLETE = Known(lambda given: ATTRIBUTES[given].get("CompleteYN") != "N", 64)
MAJOR = Known(lambda given: ATTRIBUTES[given].get("MajorTopicYN") == "Y", 64)
MODELS = _said("PubModel")
MEDIUMS = _said("CitedMedium")
ISSN_KINDS = _said("IssnType")
OWNERS = _said("Owner", "NLM")
SOURCES = _said("Source")
ID_KINDS = _said("IdType", "pubmed")
CITED_ID_KINDS = Known(_cited_id_kind, 256)
_DESCRIPTORS = Known(_descriptor, 32768)
_QUALIFIERS = Known(_qualifier, 1024)
