"""Lists in records written as NLM writes them: all members at once, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count as counted
from itertools import repeat
from typing import Any

from evidence.model import AbstractSection, Author, Cited, Grant, Keyword, Location
from evidence.pubmed import regular_patterns as p
from evidence.pubmed.people import orcid
from evidence.pubmed.regular_text import (
    ATTRIBUTES,
    Irregular,
    Known,
    cells,
    clean,
    flat,
)
from evidence.pubmed.xml_parts import cited
from evidence.pubmed.xml_text import squeezed

Pairs = tuple[tuple[str, str], ...]


def _quick(kind: type) -> Callable[[Iterable[Any]], Any]:
    """Makes a named tuple of all its fields, without a call in Python."""
    return partial(tuple.__new__, kind)


_author = _quick(Author)
_cited = _quick(Cited)
_grant = _quick(Grant)
_keyword = _quick(Keyword)
_location = _quick(Location)
_section = _quick(AbstractSection)


def abstract(text: str, start: int, end: int) -> tuple[tuple[AbstractSection, ...], str]:
    """The sections that hold text, and who has the right to copy them."""
    sections: list[AbstractSection] = []
    right = ""
    for given, raw, copyright, left_out in p.SECTION.findall(text, start, end):
        if left_out:
            raise Irregular
        label, category = _LABELS[given]
        if raw and (words := flat(raw)):
            sections.append(_section((words, label, category)))
        elif copyright and not right:
            right = clean(copyright)
    return tuple(sections), right


def authors(text: str, start: int, end: int) -> tuple[tuple[Author, ...], tuple[str, ...]]:
    """The authors and their names."""
    rows = p.PLAIN_AUTHOR.findall(text, start, end)
    if not rows:
        raise Irregular
    if rows[-1][-1]:
        return _any_authors(p.AUTHOR.findall(text, start, end))
    each_group: Iterable[Any] = zip(*rows, strict=True)
    last, fore, initials = _names(*[*each_group][:3])
    if not all(last) or not all(initials):
        return _any_authors(p.AUTHOR.findall(text, start, end))
    columns = (last, fore, initials, _EMPTY, _EMPTY, *_NOTHING_MORE)
    found = tuple(map(_author, zip(*columns, counted(1), _NO_PAIRS, _NO_PAIRS, strict=False)))
    return found, tuple(map(" ".join, zip(last, initials, strict=True)))


def _names(
    last: tuple[str, ...], fore: tuple[str, ...], initials: tuple[str, ...]
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The columns of names, put right together."""
    given = last + fore + initials
    texts = cells(given)
    if texts is given:
        return last, fore, initials
    count = len(last)
    return texts[:count], texts[count : 2 * count], texts[2 * count :]


def _any_authors(rows: list[tuple[str, ...]]) -> tuple[tuple[Author, ...], tuple[str, ...]]:
    if rows[-1][-1]:
        raise Irregular
    each_group: Iterable[Any] = zip(*rows, strict=True)
    given, last, fore, initials, suffix, group, known_as, place, places, _ = each_group
    last, fore, initials = _names(last, fore, initials)
    usual = all(last) and all(initials) and not any(suffix)
    if not usual:
        suffix, group = cells(suffix), cells(group)
    equal: Iterable[bool] = _FALSE
    valid: Iterable[bool] = _TRUE
    if not _VALID.issuperset(given):
        marks = [ATTRIBUTES[attributes] for attributes in given]
        equal = [mark.get("EqualContrib") == "Y" for mark in marks]
        valid = [mark.get("ValidYN") != "N" for mark in marks]
        usual = usual and all(valid)
    identifiers: Iterable[Pairs] = _NO_PAIRS
    orcids: Iterable[str | None] = _NONE
    if any(known_as):
        known = [_identified(elements) if elements else _NOBODY for elements in known_as]
        identifiers, orcids = zip(*known, strict=True)
    affiliations: Iterable[tuple[str, ...]] = _NO_TEXTS
    affiliation_ids: Iterable[Pairs] = _NO_PAIRS
    if any(place):
        affiliations = [(name,) if name else () for name in cells(place)]
    if any(places):
        more = [_affiliations(elements) if elements else _NOWHERE for elements in places]
        affiliations = [
            first + others for first, (others, _) in zip(affiliations, more, strict=False)
        ]
        affiliation_ids = [known for _, known in more]
    columns = (
        last,
        fore,
        initials,
        suffix,
        group,
        orcids,
        affiliations,
        equal,
        valid,
        counted(1),
        identifiers,
        affiliation_ids,
    )
    found = tuple(map(_author, zip(*columns, strict=False)))
    if usual:
        return found, tuple(map(" ".join, zip(last, initials, strict=True)))
    if not all(author.name for author in found):
        raise Irregular
    return found, tuple([author.name for author in found if author.valid])


def _identified(elements: str) -> tuple[Pairs, str | None]:
    """The identifiers of a person, and the ORCID among them."""
    match = p.ORCID.fullmatch(elements)
    if match:
        return (("ORCID", match.group(1)),), match.group(2)
    known = _identifiers(elements)
    return known, orcid(known)


def _affiliations(places: str) -> tuple[tuple[str, ...], Pairs]:
    names: list[str] = []
    ids: Pairs = ()
    for raw, known_as, left_out in p.PLACED.findall(places):
        if left_out:
            raise Irregular
        if name := flat(raw):
            names.append(name)
        if known_as:
            ids += _identifiers(known_as)
    return tuple(names), ids


def _identifiers(elements: str) -> Pairs:
    found = []
    for given, raw, _ in p.KNOWN_AS.findall(elements):
        source = ATTRIBUTES[given].get("Source", "")
        if text := clean(raw):
            found.append((source, text))
    return tuple(found)


def keywords(text: str, start: int, end: int, owner: str) -> tuple[Keyword, ...]:
    """The keywords of one list."""
    rows = p.KEYWORD.findall(text, start, end)
    if not rows or rows[-1][-1]:
        raise Irregular
    each_group: Iterable[Any] = zip(*rows, strict=True)
    given, words, _ = each_group
    words = cells(words)
    major: Iterable[bool] = repeat(False)
    if not _MINOR.issuperset(given):
        major = [ATTRIBUTES[attributes].get("MajorTopicYN") == "Y" for attributes in given]
    found = tuple(map(_keyword, zip(words, repeat(owner), major, strict=False)))
    return found if all(words) else tuple([each for each in found if each.text])


def references(text: str, start: int, end: int) -> tuple[Cited, ...]:
    """The works of one list of references."""
    rows = p.REFERENCE.findall(text, start, end)
    if not rows:
        return ()
    if rows[-1][-1]:
        raise Irregular
    each_group: Iterable[Any] = zip(*rows, strict=True)
    citations, doi, pubmed, pmc, others, _ = each_group
    citations = cells(citations)
    pubmed = [each or None for each in pubmed]  # digits alone
    doi, pmc = (
        [each or None for each in cells(column)] if any(column) else _NONE for column in (doi, pmc)
    )
    found = list(map(_cited, zip(citations, pubmed, doi, pmc, _NO_PAIRS, strict=False)))
    if any(others):
        for n, elements in enumerate(others):
            if elements:
                found[n] = cited(citations[n], ids(elements, 0, len(elements))[0])
    return tuple(found)


def ids(text: str, start: int, end: int) -> tuple[Pairs, dict[str, str]]:
    """(kind, id) of a list, and the first id of each kind."""
    found = []
    firsts: dict[str, str] = {}
    for given, raw, left_out in p.ID.findall(text, start, end):
        if left_out:
            raise Irregular
        kind = _ID_KINDS[given]
        if known := raw if raw.isalnum() else clean(raw):
            found.append((kind, known))
            if kind not in firsts:
                firsts[kind] = known
    return tuple(found), firsts


def locations(
    given: str, text: str, given_2: str | None, text_2: str | None
) -> tuple[Location, ...]:
    """One or two places on the journal's site, from attributes and text."""
    kind, valid = _LOCATIONS[given]
    found = [_location((kind, place, valid))] if (place := clean(text)) else []
    if given_2 is not None and text_2 is not None:
        kind, valid = _LOCATIONS[given_2]
        if place := clean(text_2):
            found.append(_location((kind, place, valid)))
    return tuple(found)


def grants(elements: str) -> tuple[Grant, ...]:
    rows = p.GRANT.findall(elements)
    if not rows:
        return ()
    if rows[-1][-1]:
        raise Irregular
    *columns, _ = map(cells, zip(*rows, strict=True))
    return tuple(map(_grant, zip(*columns, strict=True)))


def _label(given: str) -> tuple[str, str]:
    named = ATTRIBUTES[given]
    return squeezed(named.get("Label", "")), named.get("NlmCategory", "")


def _located(given: str) -> tuple[str, bool]:
    named = ATTRIBUTES[given]
    return named.get("EIdType", ""), named.get("ValidYN") != "N"


_LABELS = Known(_label, 4096)
_LOCATIONS = Known(_located, 64)
_ID_KINDS = Known(lambda given: ATTRIBUTES[given].get("IdType", "pubmed"), 256)
_VALID = frozenset({' ValidYN="Y"'})
_MINOR = frozenset({' MajorTopicYN="N"'})
_NOWHERE: tuple[tuple[str, ...], Pairs] = ((), ())
_NOBODY: tuple[Pairs, str | None] = ((), None)
_EMPTY = repeat("")
_TRUE = repeat(True)
_FALSE = repeat(False)
_NONE: Iterable[str | None] = repeat(None)
_NO_PAIRS: Iterable[Pairs] = repeat(())
_NO_TEXTS: Iterable[tuple[str, ...]] = repeat(())
_NOTHING_MORE = (_NONE, _NO_TEXTS, _FALSE, _TRUE)  # from the ORCID on
