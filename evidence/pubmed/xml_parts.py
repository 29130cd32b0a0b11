"""What articles and books of PubMed XML have in common, each as a part of a `Record`."""

from __future__ import annotations

from collections.abc import Iterable

from evidence.model import (
    AbstractSection,
    Cited,
    Grant,
    HistoryDate,
    Keyword,
    Location,
    Term,
)
from evidence.pubmed.xml_dates import iso
from evidence.pubmed.xml_text import Element, by_name, first, squeezed, text, yes

Children = dict[str, list[Element]]


def only(parts: Children, *names: str) -> Element | None:
    """The first child that has one of the names."""
    return next((parts[name][0] for name in names if name in parts), None)


def within(parts: Children, group: str, member: str) -> list[Element]:
    """The members of all groups of a name."""
    return [e for each in parts.get(group, ()) for e in each.findall(member)]


def attribute(element: Element | None, name: str) -> str:
    return "" if element is None else str(element.get(name, ""))


def is_pmid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def own_pmid(parts: Children) -> str:
    """The record's own number.

    Raises
    ------
    ValueError
        If there is none, or it is no number.
    """
    pmid = text(only(parts, "PMID"))
    if not is_pmid(pmid):
        raise ValueError(f"PMID {pmid!r}" if pmid else "no PMID")
    return pmid


def version(pmid: Element) -> int | None:
    return number(pmid.get("Version") or pmid.get("VersionID") or "")


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def is_retracted(kinds: tuple[str, ...], notices: tuple[str, ...]) -> bool:
    """Whether the record says that its article was withdrawn."""
    if "Retracted Publication" in kinds:
        return True
    return bool(notices) and any(n.startswith("RetractionIn:") for n in notices)


def abstract(element: Element | None) -> tuple[tuple[AbstractSection, ...], str]:
    """The sections that hold text, and who has the right to copy them."""
    parts = by_name(element)
    sections = tuple(
        AbstractSection(words, squeezed(e.get("Label", "")), e.get("NlmCategory", ""))
        for e in parts.get("AbstractText", ())
        if (words := text(e))
    )
    return sections, first(parts, "CopyrightInformation")


def pages_of(pagination: Children) -> str:
    """As NLM prints them: "123-30", "e25"."""
    start, end = first(pagination, "StartPage"), first(pagination, "EndPage")
    return first(pagination, "MedlinePgn") or "-".join(filter(None, (start, end)))


def terms(elements: Iterable[Element]) -> tuple[Term, ...]:
    return tuple(
        Term(name, e.get("UI", ""), e.get("Type", "")) for e in elements if (name := text(e))
    )


def keyword_list(parts: Children) -> tuple[Keyword, ...]:
    return tuple(
        Keyword(words, group.get("Owner", "NLM"), yes(e, "MajorTopicYN"))
        for group in parts.get("KeywordList", ())
        for e in group.findall("Keyword")
        if (words := text(e))
    )


def grants_of(parts: Children) -> tuple[Grant, ...]:
    found = []
    for element in within(parts, "GrantList", "Grant"):
        grant = by_name(element)
        found.append(
            Grant(
                first(grant, "GrantID", "ContractNumber"),
                first(grant, "Acronym"),
                first(grant, "Agency"),
                first(grant, "Country"),
            )
        )
    return tuple(found)


def article_ids(element: Element | None) -> tuple[tuple[str, str], ...]:
    """(kind, id) of a list. Always a list of its own: a search in depth would mix in the ids of
    references."""
    if element is None:
        return ()
    return tuple(
        (e.get("IdType", "pubmed"), t) for e in element.findall("ArticleId") if (t := text(e))
    )


def locations_of(parts: Children) -> tuple[Location, ...]:
    return tuple(
        Location(e.get("EIdType", ""), t, e.get("ValidYN") != "N")
        for e in parts.get("ELocationID", ())
        if (t := text(e))
    )


def doi_of(ids: Iterable[tuple[str, str]], locations: Iterable[Location]) -> str | None:
    for kind, known in ids:
        if kind == "doi":
            return known
    for place in locations:
        if place.kind == "doi" and place.valid:
            return place.id
    return None


def history_of(parts: Children) -> tuple[HistoryDate, ...]:
    found = []
    for element in within(parts, "History", "PubMedPubDate"):
        date = by_name(element)
        when = iso(first(date, "Year"), first(date, "Month"), first(date, "Day"))
        if when:
            found.append(HistoryDate(element.get("PubStatus", ""), when, _time(date)))
    return tuple(found)


def _time(date: Children) -> str:
    hour, minute = number(first(date, "Hour")), number(first(date, "Minute"))
    return "" if hour is None else f"{hour:02d}:{minute or 0:02d}"


def references_of(parts: Children) -> tuple[Cited, ...]:
    """The list of references; lists may stand within lists."""
    return tuple(
        _cited(by_name(reference))
        for group in parts.get("ReferenceList", ())
        for reference in group.iter("Reference")
    )


def _cited(parts: Children) -> Cited:
    ids = [i for group in parts.get("ArticleIdList", ()) for i in article_ids(group)]
    return cited(first(parts, "Citation"), ids)


def cited(citation: str, ids: Iterable[tuple[str, str]]) -> Cited:
    """A reference: the first id of each usual kind has a place of its own."""
    usual: dict[str, str] = {}
    others = []
    for kind, found in ids:
        known = "pmc" if kind == "pmcid" else kind
        if known in ("pubmed", "doi", "pmc") and known not in usual:
            usual[known] = found
        else:
            others.append((kind, found))
    return Cited(citation, usual.get("pubmed"), usual.get("doi"), usual.get("pmc"), tuple(others))


def objects_of(parts: Children) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (each.get("Type", ""), e.get("Name", ""), text(e))
        for each in within(parts, "ObjectList", "Object")
        for e in each.findall("Param")
    )
