"""Questions asked of the indexes of one database: which of its records answer with yes.

Every question gives a set of records by their numbers in the database; the operators join the sets
strictly as the tree says. Questions about title, abstract and keywords that stand together are
handed to FTS5 as one expression.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from evidence.mirror import rows
from evidence.mirror.bodies import Shape, unpack
from evidence.mirror.database import shapes
from evidence.mirror.expressions import expression, is_exact, near, phrase, quoted, within
from evidence.mirror.rows import OTHER, TIAB, joined, raw, searchable
from evidence.mirror.sets import NONE, Ids, both, minus, once, union
from evidence.model import Record
from evidence.query.match import Seen, satisfies
from evidence.query.plan import (
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
    Reservation,
)
from evidence.query.searchable import Paper

_DEPTH = 12  # brackets within brackets that FTS5's parser is given; it fails near 50
_TERMS = 400  # words of facts in one expression
_END = "\U0010ffff"  # sorts after every continuation of a word


class Indexes:
    """The indexes of one database, for use in one thread.

    `pmids` has the PMID of each record's number, 0 for those that do not count.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._shapes: dict[int, Shape] = {}
        self.pmids = NONE

    def record(self, docid: int) -> Record | None:
        """The record of this number, unless another has taken its place for good."""
        held = self._db.execute(
            "SELECT shape, body FROM bodies WHERE docid = ?", (docid,)
        ).fetchone()
        if held is None:
            return None
        shape, body = held
        if shape not in self._shapes:
            self._shapes = shapes(self._db)
        return unpack(body, self._shapes[shape])

    # ------------------------------------------------------------------ sets

    def find(self, asked: Plan, among: Ids | None = None) -> Ids:
        """The numbers of the records that answer with yes, whether they count or not.

        With ``among`` only those are looked for.
        """
        text = expression(asked, _DEPTH)
        if text is not None:
            found = self._match("tiab", text)
        elif isinstance(asked, Joined):
            return self._join(asked, among)
        else:
            found = _ANSWER[type(asked)](self, asked, among)
        return found if among is None else both(found, among)

    def _join(self, asked: Joined, among: Ids | None) -> Ids:
        if asked.operator == "OR":
            return union(list(self._either(asked.parts, among)))
        if asked.operator == "NOT":
            first, *rest = asked.parts
            found = self.find(first, among)
            for some in self._either(rest, found):
                found = minus(found, some)
            return found
        together, apart = _sorted_out(asked.parts)
        if together:
            found = self._match("tiab", " AND ".join(together))
            among = found if among is None else both(found, among)
        for part in apart:
            if among is not None and not len(among):
                return NONE
            among = self.find(part, among)
        return NONE if among is None else among

    def _either(self, parts: Sequence[Plan], among: Ids | None) -> Iterator[Ids]:
        """The sets of the parts; those that FTS5 can join by itself as one."""
        together, apart = _sorted_out(parts)
        for part in apart:
            yield self.find(part, among)
        if together and (among is None or len(among)):
            found = self._match("tiab", " OR ".join(together))
            yield found if among is None else both(found, among)

    def _match(self, index: str, text: str) -> Ids:
        # One text of all numbers: a row for each costs five times as much.
        (found,) = self._db.execute(
            f"SELECT group_concat(rowid) FROM {index} WHERE {index} MATCH ?", (text,)
        ).fetchone()
        if found is None:
            return NONE
        docids = np.fromstring(found, np.int32, sep=",")
        docids.sort(kind="stable")  # in order already, though SQLite does not promise it
        return docids

    def _any_fact(self, words: Iterable[str], among: Ids | None) -> Ids:
        """Records with any of the facts; a word that ends in * is a beginning."""
        wanted = sorted(set(words))
        found = [
            self._match("facts", " OR ".join(map(quoted, wanted[start : start + _TERMS])))
            for start in range(0, len(wanted), _TERMS)
        ]
        for word in wanted:
            if word.endswith("*"):
                listed = self._db.execute(
                    "SELECT docids FROM common WHERE fact >= ? AND fact < ?",
                    (word[:-1], word[:-1] + _END),
                )
            else:
                listed = self._db.execute("SELECT docids FROM common WHERE fact = ?", (word,))
            for (blob,) in listed:
                docids = np.frombuffer(blob, np.int32)
                found.append(docids if among is None else both(docids, among))
        return union(found)

    def _facts_from(self, beginning: str) -> list[str]:
        """All facts of the mirror with this beginning."""
        found = self._db.execute(
            "SELECT term FROM temp.terms WHERE term >= ? AND term < ?",
            (beginning, beginning + _END),
        )
        common = self._db.execute(
            "SELECT DISTINCT fact FROM common WHERE fact >= ? AND fact < ?",
            (beginning, beginning + _END),
        )
        return [term for (term,) in (*found, *common)]

    # ------------------------------------------------------------------ words

    def _in_words(self, asked: InWords, among: Ids | None) -> Ids:
        text = phrase(asked)
        found = []
        for index, columns in (("tiab", TIAB), ("other", OTHER)):
            some = [part for part in asked.parts if part in columns]
            if some:
                found.append(self._match(index, within(index, some, text)))
        _must_know(asked.parts, (*TIAB, *OTHER))
        return union(found)

    def _near(self, asked: Near, among: Ids | None) -> Ids:
        _must_know(asked.parts, (*TIAB, *OTHER))
        distinct = list(dict.fromkeys(asked.words))
        found = []
        for index, columns in (("tiab", TIAB), ("other", OTHER)):
            some = [part for part in asked.parts if part in columns]
            if some:
                text = within(index, some, near(distinct, asked))
                found.append(self._match(index, text))
        docids = union(found)
        if is_exact(asked):
            return docids
        return self._verified(asked, docids if among is None else both(docids, among))

    def _verified(self, asked: Plan, docids: Ids) -> Ids:
        """Those of the records that answer with yes when they are read."""
        found = []
        for docid in docids.tolist():
            record = self.record(docid)
            if record and satisfies(asked, Seen(searchable(record))):
                found.append(docid)
        return np.array(found, np.int32)

    # ------------------------------------------------------------------ facts

    def _has_heading(self, asked: HasHeading, among: Ids | None) -> Ids:
        code = (
            ("mj" if asked.major else "mh")
            if asked.qualifiers is None
            else ("mp" if asked.major else "mq")
        )
        names = {joined(name) for name in asked.names}
        prefix = joined(asked.prefix)
        words: list[str] = []
        if asked.qualifiers is None:
            words += [f"{code}:{name}" for name in names]
            if prefix:
                words.append(f"{code}:{prefix}*")
            if not asked.major:
                words += [f"supplementary:{name}" for name in names]
                if prefix:
                    words.append(f"supplementary:{prefix}*")
        else:
            under = {joined(qualifier) for qualifier in asked.qualifiers}
            words += [f"{code}:{name}/{below}" for name in names for below in under]
            if prefix:
                words += [
                    term
                    for term in self._facts_from(f"{code}:{prefix}")
                    if term.partition("/")[2] in under
                ]
        return self._any_fact(words, among)

    def _has_qualifier(self, asked: HasQualifier, among: Ids | None) -> Ids:
        words = [f"sh:{joined(name)}" for name in asked.names]
        if asked.prefix:
            words.append(f"sh:{joined(asked.prefix)}*")
        return self._any_fact(words, among)

    def _has_value(self, asked: HasValue, among: Ids | None) -> Ids:
        _must_know(asked.parts, rows.VALUES)
        words = [f"{part}:{joined(value)}" for part in asked.parts for value in asked.values]
        if asked.prefix:
            words += [f"{part}:{joined(asked.prefix)}*" for part in asked.parts]
        return self._any_fact(words, among)

    def _has_name(self, asked: HasName, among: Ids | None) -> Ids:
        _must_know((asked.part,), rows.PEOPLE)
        code = asked.part if asked.position == "any" else f"{asked.part}_{asked.position}"
        # The last name is some of the words, from either end; of a stem perhaps not all of it.
        wanted = asked.words
        lasts = {wanted[:end] for end in range(len(wanted) + 1)}
        if not asked.is_prefix:
            lasts |= {wanted[begin:] for begin in range(len(wanted))}
        beginnings = {f"{code}:{'_'.join(last)}/" for last in lasts}
        if asked.is_prefix:
            beginnings.add(f"{code}:{'_'.join(wanted)}")
        anywhere = HasName("authors", "any", wanted, asked.exact, asked.full, asked.is_prefix)
        found = {
            term
            for beginning in beginnings
            for term in self._facts_from(beginning)
            if satisfies(anywhere, Seen(Paper(authors=(rows.person_of(term.partition(":")[2]),))))
        }
        return self._any_fact(found, among)

    def _has(self, asked: Has, among: Ids | None) -> Ids:
        if asked.what == "pmc" and asked.value:
            return self._any_fact((f"pmc:{raw(asked.value)}",), among)
        if asked.what in ("indexing", "publication_status"):
            return self._any_fact((f"{asked.what}:{raw(asked.value)}",), among)
        if asked.what in rows.PRESENT:
            return self._any_fact((f"has:{asked.what}",), among)
        kinds = self._facts_from("link:")
        found = [
            term
            for term in kinds
            if satisfies(asked, Seen(Paper(corrections=(term.partition(":")[2],))))
        ]
        return self._any_fact(found, among)

    # ------------------------------------------------------------------ numbers

    def _on_day(self, asked: OnDay, among: Ids | None) -> Ids:
        _must_know(asked.kinds, rows.KINDS_OF_DAY)
        low, high = asked.low.toordinal(), asked.high.toordinal()
        sets = []
        for name in asked.kinds:
            if asked.print_first and name == "electronic":
                name = rows.EARLY
            found = [NONE]
            for docids, days in self._db.execute(
                "SELECT docids, days FROM days WHERE kind = ? ORDER BY file",
                (rows.KINDS_OF_DAY.index(name),),
            ):
                day = np.frombuffer(days, np.int32)
                found.append(np.frombuffer(docids, np.int32)[(day >= low) & (day <= high)])
            sets.append(once(np.concatenate(found)))
        return union(sets)

    def _is_pmid(self, asked: IsPmid, among: Ids | None) -> Ids:
        pmids = self.pmids
        there = (pmids >= max(asked.low, 1)) & (pmids <= asked.high)
        if asked.numbers:
            there |= np.isin(pmids, [n for n in asked.numbers if 0 < n < 2**31])
        return np.flatnonzero(there).astype(np.int32)

    def _always(self, asked: Always, among: Ids | None) -> Ids:
        return np.flatnonzero(self.pmids).astype(np.int32) if asked.answer else NONE


_ANSWER: dict[type, Callable[[Indexes, Any, Ids | None], Ids]] = {
    InWords: Indexes._in_words,
    Near: Indexes._near,
    HasHeading: Indexes._has_heading,
    HasQualifier: Indexes._has_qualifier,
    HasValue: Indexes._has_value,
    HasName: Indexes._has_name,
    OnDay: Indexes._on_day,
    IsPmid: Indexes._is_pmid,
    Has: Indexes._has,
    Always: Indexes._always,
}


def _sorted_out(parts: Sequence[Plan]) -> tuple[list[str], list[Plan]]:
    """The parts that FTS5 can join by itself, as expressions, and the others."""
    together, apart = [], []
    for part in parts:
        text = expression(part, _DEPTH - 1)
        if text is None:
            apart.append(part)
        else:
            together.append(text)
    return together, apart


def _must_know(parts: Iterable[str], known: Sequence[str]) -> None:
    for part in parts:
        if part not in known:
            raise NotAnswerable(
                [Reservation("not-held", part, "the mirror has no index of this part")]
            )
