"""Whether a record satisfies a query: word for word, one record at a time, without an index.

Slow and plain on purpose: it is what faster engines are compared with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from evidence.query.parse import parse
from evidence.query.plan import plan
from evidence.query.questions import (
    Always,
    Has,
    HasHeading,
    HasName,
    HasQualifier,
    HasValue,
    InWords,
    IsPmid,
    Joined,
    Near,
    NotAnswerable,
    OnDay,
    Plan,
    Planned,
    Reservation,
    Vocabulary,
    key,
)
from evidence.query.searchable import Person, Searchable, texts
from evidence.query.tree import Node, Parsed
from evidence.query.words import holds, near, words

__all__ = ["Answer", "NotAnswerable", "Seen", "answer", "matches", "satisfies"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The records that a query finds, and where PubMed may find others."""

    pmids: frozenset[str]
    approximations: tuple[Reservation, ...]

    @property
    def count(self) -> int:
        return len(self.pmids)


def matches(
    query: str | Node | Parsed,
    record: Searchable,
    *,
    strict: bool = True,
    vocabulary: Vocabulary | None = None,
    today: dt.date | None = None,
    sets: Mapping[str, Node] | None = None,
) -> bool:
    """Whether one record satisfies the query; the choices are those of `plan`.

    Raises
    ------
    NotAnswerable
        If the query, or the record, leaves it open; names every term.
    """
    planned = _planned(query, strict, vocabulary, today, sets)
    return satisfies(planned.plan, Seen(record))


def answer(
    query: str | Node | Parsed,
    records: Iterable[Searchable | Seen],
    *,
    strict: bool = True,
    vocabulary: Vocabulary | None = None,
    today: dt.date | None = None,
    sets: Mapping[str, Node] | None = None,
) -> Answer:
    """All records that satisfy the query; the choices are those of `plan`."""
    planned = _planned(query, strict, vocabulary, today, sets)
    found = frozenset(
        seen.record.pmid
        for seen in (r if isinstance(r, Seen) else Seen(r) for r in records)
        if satisfies(planned.plan, seen)
    )
    return Answer(found, planned.approximations)


def _planned(
    query: str | Node | Parsed,
    strict: bool,
    vocabulary: Vocabulary | None,
    today: dt.date | None,
    sets: Mapping[str, Node] | None,
) -> Planned:
    if isinstance(query, str):
        query = parse(query)
    return plan(query, strict=strict, vocabulary=vocabulary, today=today, sets=sets)


class Seen:
    """A record with its words, cut once and kept for all queries."""

    __slots__ = ("_keys", "_words", "record")

    def __init__(self, record: Searchable) -> None:
        self.record = record
        self._words: dict[str, list[list[str]]] = {}
        self._keys: dict[str, list[str]] = {}

    def words(self, part: str) -> list[list[str]]:
        """The words of each text of the part."""
        found = self._words.get(part)
        if found is None:
            self.must_have(part)
            found = [words(text) for text in texts(self.record, part)]
            self._words[part] = found
        return found

    def keys(self, part: str) -> list[str]:
        """Each value of the part as one name."""
        found = self._keys.get(part)
        if found is None:
            found = [" ".join(cut) for cut in self.words(part)]
            self._keys[part] = found
        return found

    def must_have(self, part: str) -> None:
        """Refuse what the source of the record did not hand on."""
        if part in self.record.lacks:
            raise NotAnswerable(
                [Reservation("not-held", part, f"record {self.record.pmid} was read without it")]
            )


def satisfies(question: Plan, seen: Seen) -> bool:
    """Whether the record answers the question with yes."""
    if isinstance(question, Joined):
        parts = question.parts
        if question.operator == "AND":
            return all(satisfies(part, seen) for part in parts)
        if question.operator == "OR":
            return any(satisfies(part, seen) for part in parts)
        return satisfies(parts[0], seen) and not any(satisfies(part, seen) for part in parts[1:])
    return _ANSWER[type(question)](question, seen)


def _in_words(asked: InWords, seen: Seen) -> bool:
    return any(
        holds(asked.pattern, cut)
        for part in asked.parts
        if part not in seen.record.lacks or part not in _OPTIONAL
        for cut in seen.words(part)
    )


def _near(asked: Near, seen: Seen) -> bool:
    for part in asked.parts:
        if part in seen.record.lacks and part in _OPTIONAL:
            continue
        cuts = seen.words(part)
        if asked.across:
            cuts = [[word for cut in cuts for word in cut]]
        if any(near(asked.words, cut, asked.most) for cut in cuts):
            return True
    return False


def _has_heading(asked: HasHeading, seen: Seen) -> bool:
    for heading in seen.record.headings:
        name = key(heading.name)
        if not (name in asked.names or (asked.prefix and name.startswith(asked.prefix))):
            continue
        if asked.qualifiers is None:
            if not asked.major or heading.is_major:
                return True
        else:
            for qualifier, major in heading.qualifiers:
                is_major = major or heading.major
                if key(qualifier) in asked.qualifiers and (is_major or not asked.major):
                    return True
    if asked.major or asked.qualifiers is not None or "supplementary" in seen.record.lacks:
        return False
    return any(
        name in asked.names or (asked.prefix and name.startswith(asked.prefix))
        for name in seen.keys("supplementary")
    )


def _has_qualifier(asked: HasQualifier, seen: Seen) -> bool:
    return any(
        key(qualifier) in asked.names or (asked.prefix and key(qualifier).startswith(asked.prefix))
        for heading in seen.record.headings
        for qualifier, _ in heading.qualifiers
    )


def _has_value(asked: HasValue, seen: Seen) -> bool:
    return any(
        value in asked.values or (asked.prefix and value.startswith(asked.prefix))
        for part in asked.parts
        for value in seen.keys(part)
    )


def _has_name(asked: HasName, seen: Seen) -> bool:
    seen.must_have(asked.part)
    people: tuple[Person, ...] = getattr(seen.record, asked.part)
    if asked.position == "first":
        people = people[:1]
    elif asked.position == "last":
        people = people[-1:]
    return any(_is_named(asked, person) for person in people)


def _is_named(asked: HasName, person: Person) -> bool:
    wanted = list(asked.words)
    last, suffix = words(person.last), words(person.suffix)
    initials = "".join(words(person.initials))
    fore = words(person.fore)
    if asked.is_prefix:
        listed = " ".join([*last, *filter(None, [initials]), *suffix])
        full = " ".join([*last, *fore])
        stem = " ".join(wanted)
        return (not asked.full and listed.startswith(stem)) or full.startswith(stem)
    if _is_full_name(wanted, last, fore, exact=asked.exact):
        return True
    if asked.full:
        return wanted == last
    if asked.exact:
        name = [*last, *filter(None, [initials])]
        return wanted in (name, [*name, *suffix])
    if wanted[: len(last)] != last:
        return False
    rest = wanted[len(last) :]
    if not rest:
        return True
    if len(rest) == 1:
        return initials.startswith(rest[0]) or rest == suffix
    return initials.startswith(rest[0]) and rest[1:] == suffix


def _is_full_name(wanted: list[str], last: list[str], fore: list[str], *, exact: bool) -> bool:
    """Whether the words are a full name in either order; unquoted, later forenames may lack."""
    size = len(wanted) - len(last)
    if not (last and fore and 0 < size <= len(fore)) or (exact and size < len(fore)):
        return False
    given = wanted[size:] == last and wanted[:size], wanted[: len(last)] == last and wanted[-size:]
    return any(some and some == fore[:size] and len(some[0]) > 1 for some in given)


def _on_day(asked: OnDay, seen: Seen) -> bool:
    dates = seen.record.dates
    for kind in asked.kinds:
        seen.must_have(kind)
        for day in dates.get(kind, ()):
            if not asked.low <= day <= asked.high:
                continue
            if asked.print_first and kind == "electronic":
                printed = dates.get("publication", ())
                if printed and day > min(printed):
                    continue
            return True
    return False


def _is_pmid(asked: IsPmid, seen: Seen) -> bool:
    number = int(seen.record.pmid)
    return number in asked.numbers or asked.low <= number <= asked.high


def _has(asked: Has, seen: Seen) -> bool:
    record = seen.record
    what = asked.what
    if what == "pmc":
        seen.must_have("ids")
        numbers = [number.lower() for number in record.ids.get("pmc", ())]
        return asked.value in numbers if asked.value else bool(numbers)
    if what == "nihmsid":
        seen.must_have("ids")
        return bool(record.ids.get("mid"))
    if what in ("indexing", "publication_status"):
        seen.must_have(what)
        return str(getattr(record, what)).lower() == asked.value
    if what.startswith("pmcbook"):
        is_chapter = bool(record.book) and record.book != record.title
        return (
            bool(record.book)
            and {
                "pmcbook": True,
                "pmcbooktitle": not is_chapter,
                "pmcbookchapter": is_chapter,
            }[what]
        )
    if what in _PRESENT:
        part = _PRESENT[what]
        seen.must_have(part)
        return bool(getattr(record, part))
    names = _REF_TYPES.get(what, (what,))
    return any(kind.lower() in names for kind in record.corrections)


# Parts that are rarely filled: a record that was read without them is still searched in the others.
_RARE = """
    collection_title other_abstracts supplementary subjects groups accessions notes substances
    vernacular_title affiliations investigators editors numbers volume issue first_page article_ids
    locations grants identifiers conflicts nlm_id publisher isbns journal_names
"""
_OPTIONAL = frozenset(_RARE.split())
_PRESENT = {
    "abstract": "abstract",
    "structuredabstract": "is_structured",
    "keyword": "keywords",
    "cois": "conflicts",
    "databanklist": "accessions",
    "nonenglishabstract": "has_foreign_abstract",
}
# @RefType of the DTD where it is not the switch's own name.
_REF_TYPES = {
    "correctedrepublishedin": ("correctedandrepublishedin", "correctedrepublishedin"),
    "correctedrepublishedfrom": ("correctedandrepublishedfrom", "correctedrepublishedfrom"),
}
_ANSWER: dict[type, Callable[..., bool]] = {
    InWords: _in_words,
    Near: _near,
    HasHeading: _has_heading,
    HasQualifier: _has_qualifier,
    HasValue: _has_value,
    HasName: _has_name,
    OnDay: _on_day,
    IsPmid: _is_pmid,
    Has: _has,
    Always: lambda asked, seen: asked.answer,
}
