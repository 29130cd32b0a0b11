"""Authors, editors, investigators and subjects of PubMed XML."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evidence.model import Author
from evidence.pubmed.xml_text import Element, by_name, first, text

_ORCID = re.compile(r"(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dXx])(?!\d)")


def people(elements: Iterable[Element], *, start: int = 1) -> tuple[Author, ...]:
    """Authors and the like in order; an element that names nobody is left out."""
    found: list[Author] = []
    for element in elements:
        person = _person(element, start + len(found))
        if person.name:
            found.append(person)
    return tuple(found)


def _person(element: Element, position: int) -> Author:
    parts = by_name(element)
    affiliations: list[str] = []
    affiliation_ids: list[tuple[str, str]] = []
    for place in parts.get("AffiliationInfo", ()):
        within = by_name(place)
        affiliations += [t for a in within.get("Affiliation", ()) if (t := text(a))]
        affiliation_ids += identifiers(within.get("Identifier", ()))
    affiliations += [t for a in parts.get("Affiliation", ()) if (t := text(a))]  # to 2014
    known = identifiers([*parts.get("Identifier", ()), *parts.get("NameID", ())])
    # Before 2003 ForeName was FirstName and MiddleName.
    fore = first(parts, "ForeName") or " ".join(
        filter(None, (first(parts, "FirstName"), first(parts, "MiddleName")))
    )
    return Author(
        last=first(parts, "LastName"),
        fore=fore,
        initials=first(parts, "Initials"),
        suffix=first(parts, "Suffix"),
        collective=first(parts, "CollectiveName"),
        orcid=orcid(known),
        affiliations=tuple(affiliations),
        equal=element.get("EqualContrib") == "Y",
        valid=element.get("ValidYN") != "N",
        position=position,
        identifiers=known,
        affiliation_ids=tuple(affiliation_ids),
    )


def identifiers(elements: Iterable[Element]) -> tuple[tuple[str, str], ...]:
    """(source, identifier) as written."""
    return tuple((e.get("Source", ""), t) for e in elements if (t := text(e)))


def orcid(known: Iterable[tuple[str, str]]) -> str | None:
    """The ORCID among identifiers, without the address that may stand around it."""
    for source, written in known:
        if source.upper() == "ORCID" and (match := _ORCID.search(written)):
            return "-".join(match.groups()).upper()
    return None


def names(authors: Iterable[Author]) -> tuple[str, ...]:
    """ "Family Initials Suffix" or the name of a group; withdrawn spellings are left out."""
    return tuple(author.name for author in authors if author.valid)
