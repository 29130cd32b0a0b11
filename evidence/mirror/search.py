"""Queries on a mirror: the questions of `evidence.query.plan`, asked of indexes.

Every question gives the set of records that answer it with yes, as sorted numbers; the operators
join the sets strictly as the tree says. Questions about title, abstract and keywords that stand
together are handed to FTS5 as one expression.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evidence.mirror import rows
from evidence.mirror.bodies import Shape, unpack
from evidence.mirror.database import connect, faults, missing_files, shapes
from evidence.mirror.descriptors import Descriptors
from evidence.mirror.rows import OTHER, TIAB, WIDTH, joined, raw, searchable
from evidence.model import Record
from evidence.query.match import Seen, satisfies
from evidence.query.parse import parse
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
    Vocabulary,
    plan,
)
from evidence.query.searchable import Paper
from evidence.query.tree import Node, Parsed

Ids: TypeAlias = NDArray[np.int32]  # sorted, each once

_DEPTH = 12  # brackets within brackets that FTS5's parser is given; it fails near 50
_TERMS = 400  # words of facts in one expression
_NONE = np.empty(0, np.int32)
_END = "\U0010ffff"  # sorts after every continuation of a word


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class Answer:
    """The records that a query finds in the mirror, and where PubMed may find others."""

    pmids: Ids
    approximations: tuple[Reservation, ...]

    @property
    def count(self) -> int:
        return len(self.pmids)


class Mirror:
    """A mirror opened for searching, for use in one thread; a context manager.

    Parameters
    ----------
    path : Path
        The SQLite file.

    Raises
    ------
    StoreError
        If there is no mirror, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path)
        self._state: tuple[int, ...] = ()
        self._pmids = _NONE  # of each docid; 0 for those that do not count
        self._shapes: dict[int, Shape] = {}

    def __enter__(self) -> Mirror:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    @property
    def size(self) -> int:
        """How many records count."""
        with faults(self.path), _reading(self._db):
            self._load()
            return int(np.count_nonzero(self._pmids))

    @property
    def quarantined(self) -> int:
        """How many records could not be read when their files were added."""
        with faults(self.path):
            (count,) = self._db.execute("SELECT count(*) FROM quarantine").fetchone()
            return int(count)

    @property
    def files(self) -> int:
        """How many files were added."""
        with faults(self.path):
            (count,) = self._db.execute("SELECT count(*) FROM files").fetchone()
            return int(count)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Files of NLM that are missing between two that were added."""
        with faults(self.path):
            return missing_files(self._db)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """NLM's descriptor file, where it was added."""
        with faults(self.path):
            there = self._db.execute("SELECT 1 FROM descriptors LIMIT 1").fetchone()
        return Descriptors(self._db) if there else None

    def search(
        self,
        query: str | Node | Parsed,
        *,
        strict: bool = True,
        today: dt.date | None = None,
        sets: Mapping[str, Node] | None = None,
    ) -> Answer:
        """All records that satisfy the query; the choices are those of `evidence.query.plan.plan`.

        Raises
        ------
        NotAnswerable
            If the records alone cannot answer it; names every such term.
        """
        if isinstance(query, str):
            query = parse(query)
        with faults(self.path), _reading(self._db):
            planned = plan(query, strict=strict, vocabulary=self.vocabulary, today=today, sets=sets)
            self._load()
            docids = self._find(planned.plan)
        pmids = self._pmids[docids]
        return Answer(np.sort(pmids[pmids > 0]), planned.approximations)

    def records(self, pmids: Iterable[int | str]) -> Iterator[Record]:
        """The records of these PMIDs as far as the mirror has them, in the order asked for."""
        with faults(self.path):
            for pmid in pmids:
                held = self._db.execute(
                    "SELECT shape, body FROM docs JOIN bodies USING (docid) "
                    "WHERE pmid = ? AND live",
                    (int(pmid),),
                ).fetchone()
                if held is not None:
                    yield self._unpacked(*held)

    def _unpacked(self, shape: int, body: bytes) -> Record:
        if shape not in self._shapes:
            self._shapes = shapes(self._db)
        return unpack(body, self._shapes[shape])

    def _load(self) -> None:
        """The PMID of each docid, read again only where the ledger changed."""
        (state,) = self._db.execute(
            "SELECT (SELECT coalesce(max(id), 0) FROM files), "
            "(SELECT coalesce(max(id), 0) FROM changes)"
        ).fetchall()
        if state == self._state:
            return
        parts = [np.zeros(1, np.int32)]  # docids begin with 1
        for (blob,) in self._db.execute("SELECT pmids FROM files ORDER BY first"):
            parts.append(np.frombuffer(blob, np.int32))
        whole = np.concatenate(parts)
        counting = whole.copy()
        for alive, blob in self._db.execute("SELECT alive, docids FROM changes ORDER BY id"):
            docids = np.frombuffer(blob, np.int32)
            counting[docids] = whole[docids] if alive else 0
        self._pmids, self._state = counting, state

    # ------------------------------------------------------------------ sets

    def _find(self, asked: Plan) -> Ids:
        expression = _expression(asked, _DEPTH)
        if expression is not None:
            return self._match("tiab", expression)
        if isinstance(asked, Joined):
            return self._join(asked)
        answer = _ANSWER[type(asked)]
        return answer(self, asked)

    def _join(self, asked: Joined) -> Ids:
        if asked.operator == "NOT":
            first, *rest = asked.parts
            found = self._find(first)
            for some in self._together("OR", rest):
                if len(found):
                    found = minus(found, some)
            return found
        sets = list(self._together(asked.operator, asked.parts))
        if asked.operator == "OR":
            return union(sets)
        return reduce(both, sorted(sets, key=len))

    def _together(self, operator: str, parts: Sequence[Plan]) -> Iterator[Ids]:
        """The sets of the parts; those that FTS5 can join by itself as one."""
        expressions = []
        for part in parts:
            expression = _expression(part, _DEPTH - 1)
            if expression is None:
                yield self._find(part)
            else:
                expressions.append(expression)
        if expressions:
            yield self._match("tiab", f" {operator} ".join(expressions))

    def _match(self, index: str, expression: str) -> Ids:
        # One text of all numbers: a row for each costs five times as much.
        (found,) = self._db.execute(
            f"SELECT group_concat(rowid) FROM {index} WHERE {index} MATCH ?", (expression,)
        ).fetchone()
        if found is None:
            return _NONE
        docids = np.fromstring(found, np.int32, sep=",")
        docids.sort(kind="stable")  # in order already, though SQLite does not promise it
        return docids

    def _any_fact(self, words: Iterable[str]) -> Ids:
        """Records with any of the facts; a word that ends in * is a beginning."""
        wanted = sorted(set(words))
        found = [
            self._match("facts", " OR ".join(map(_quoted, wanted[start : start + _TERMS])))
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
            found += [np.frombuffer(docids, np.int32) for (docids,) in listed]
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

    def _in_words(self, asked: InWords) -> Ids:
        text = _phrase(asked)
        found = []
        for index, columns in (("tiab", TIAB), ("other", OTHER)):
            some = [part for part in asked.parts if part in columns]
            if some:
                found.append(self._match(index, _within(index, some, text)))
        _must_know(asked.parts, (*TIAB, *OTHER))
        return union(found)

    def _near(self, asked: Near) -> Ids:
        _must_know(asked.parts, (*TIAB, *OTHER))
        distinct = list(dict.fromkeys(asked.words))
        found = []
        for index, columns in (("tiab", TIAB), ("other", OTHER)):
            some = [part for part in asked.parts if part in columns]
            if some:
                text = _within(index, some, _near_expression(distinct, asked))
                found.append(self._match(index, text))
        return union(found) if _is_exact(asked) else self._verified(asked, union(found))

    def _verified(self, asked: Plan, docids: Ids) -> Ids:
        """Those of the records that answer with yes when they are read."""
        found = []
        for docid in docids.tolist():
            held = self._db.execute(
                "SELECT shape, body FROM bodies WHERE docid = ?", (docid,)
            ).fetchone()
            if held and satisfies(asked, Seen(searchable(self._unpacked(*held)))):
                found.append(docid)
        return np.array(found, np.int32)

    # ------------------------------------------------------------------ facts

    def _has_heading(self, asked: HasHeading) -> Ids:
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
        return self._any_fact(words)

    def _has_qualifier(self, asked: HasQualifier) -> Ids:
        words = [f"sh:{joined(name)}" for name in asked.names]
        if asked.prefix:
            words.append(f"sh:{joined(asked.prefix)}*")
        return self._any_fact(words)

    def _has_value(self, asked: HasValue) -> Ids:
        _must_know(asked.parts, rows.VALUES)
        words = [f"{part}:{joined(value)}" for part in asked.parts for value in asked.values]
        if asked.prefix:
            words += [f"{part}:{joined(asked.prefix)}*" for part in asked.parts]
        return self._any_fact(words)

    def _has_name(self, asked: HasName) -> Ids:
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
        return self._any_fact(found)

    def _has(self, asked: Has) -> Ids:
        if asked.what == "pmc" and asked.value:
            return self._any_fact((f"pmc:{raw(asked.value)}",))
        if asked.what in ("indexing", "publication_status"):
            return self._any_fact((f"{asked.what}:{raw(asked.value)}",))
        if asked.what in rows.PRESENT:
            return self._any_fact((f"has:{asked.what}",))
        kinds = self._facts_from("link:")
        return self._any_fact(
            term
            for term in kinds
            if satisfies(asked, Seen(Paper(corrections=(term.partition(":")[2],))))
        )

    # ------------------------------------------------------------------ numbers

    def _on_day(self, asked: OnDay) -> Ids:
        _must_know(asked.kinds, rows.KINDS_OF_DAY)
        low, high = asked.low.toordinal(), asked.high.toordinal()
        sets = []
        for name in asked.kinds:
            if asked.print_first and name == "electronic":
                name = rows.EARLY
            found = [_NONE]
            for docids, days in self._db.execute(
                "SELECT docids, days FROM days WHERE kind = ? ORDER BY file",
                (rows.KINDS_OF_DAY.index(name),),
            ):
                day = np.frombuffer(days, np.int32)
                found.append(np.frombuffer(docids, np.int32)[(day >= low) & (day <= high)])
            sets.append(_once(np.concatenate(found)))
        return union(sets)

    def _is_pmid(self, asked: IsPmid) -> Ids:
        pmids = self._pmids
        there = (pmids >= max(asked.low, 1)) & (pmids <= asked.high)
        if asked.numbers:
            there |= np.isin(pmids, [n for n in asked.numbers if 0 < n < 2**31])
        return np.flatnonzero(there).astype(np.int32)

    def _always(self, asked: Always) -> Ids:
        return np.flatnonzero(self._pmids).astype(np.int32) if asked.answer else _NONE


_ANSWER: dict[type, Callable[[Mirror, Any], Ids]] = {
    InWords: Mirror._in_words,
    Near: Mirror._near,
    HasHeading: Mirror._has_heading,
    HasQualifier: Mirror._has_qualifier,
    HasValue: Mirror._has_value,
    HasName: Mirror._has_name,
    OnDay: Mirror._on_day,
    IsPmid: Mirror._is_pmid,
    Has: Mirror._has,
    Always: Mirror._always,
}


@contextlib.contextmanager
def _reading(db: sqlite3.Connection) -> Iterator[None]:
    """One state of the mirror for all questions of a query, whatever is added meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


# ---------------------------------------------------------------------------- sets


def union(sets: Sequence[Ids]) -> Ids:
    """All that is in any of the sets."""
    some = [one for one in sets if len(one)]
    if len(some) < 2:
        return some[0] if some else _NONE
    together = np.concatenate(some)
    together.sort(kind="stable")  # merges the runs
    return _once(together)


def _once(sorted_ids: Ids) -> Ids:
    """Each number once."""
    first = np.ones(len(sorted_ids), bool)
    np.not_equal(sorted_ids[1:], sorted_ids[:-1], out=first[1:])
    return sorted_ids[first]


def both(one: Ids, other: Ids) -> Ids:
    """All that is in both sets."""
    if len(one) > len(other):
        one, other = other, one
    return one[_inside(one, other)]


def minus(one: Ids, other: Ids) -> Ids:
    """All of the first set that is not in the second."""
    return one[~_inside(one, other)]


def _inside(one: Ids, other: Ids) -> NDArray[np.bool_]:
    if not len(other):
        return np.zeros(len(one), bool)
    at = np.searchsorted(other, one)
    at[at == len(other)] = 0
    inside: NDArray[np.bool_] = other[at] == one
    return inside


# ---------------------------------------------------------------------------- FTS5


def _expression(asked: Plan, depth: int) -> str | None:
    """A question as an expression on title, abstract and keywords; None if it is about more."""
    if isinstance(asked, InWords):
        if asked.pattern.words and set(asked.parts) <= set(TIAB):
            return _within("tiab", asked.parts, _phrase(asked))
        return None
    if isinstance(asked, Near):
        if _is_exact(asked) and set(asked.parts) <= set(TIAB):
            return _within("tiab", asked.parts, _near_expression(asked.words, asked))
        return None
    if isinstance(asked, Joined) and depth > 0:
        parts = []
        for part in asked.parts:
            expression = _expression(part, depth - 1)
            if expression is None:
                return None
            parts.append(expression)
        if asked.operator == "NOT":
            return f"({parts[0]} NOT ({' OR '.join(parts[1:])}))"
        return f"({f' {asked.operator} '.join(parts)})"
    return None


def _within(index: str, parts: Sequence[str], text: str) -> str:
    """The expression, restricted to parts unless they are all that the index has."""
    every = TIAB if index == "tiab" else OTHER
    if set(every) <= set(parts):
        return text
    return f"{{{' '.join(parts)}}} : {text}"


def _phrase(asked: InWords) -> str:
    # The words are letters and digits only.
    text = f'"{" ".join(asked.pattern.words)}"'
    return f"{text} *" if asked.pattern.is_prefix else text


def _near_expression(words: Sequence[str], asked: Near) -> str:
    """Records that may answer: all words in a stretch, in FTS5's way of counting.

    FTS5 counts every word between the first and the last, PubMed only those that were not asked
    for: N becomes N + k - 2.
    """
    if len(words) == 1:
        return f'"{words[0]}"'
    if asked.across:
        return f"({' AND '.join(map(_quoted, words))})"
    most = min(asked.most + len(asked.words) - 2, 1_000_000)
    return f"NEAR({' '.join(map(_quoted, words))}, {most})"


def _is_exact(asked: Near) -> bool:
    """Whether the index decides by itself.

    It takes one place for a word that is wanted twice, and two texts of a part for one if so many
    words may stand between that the borders count as such.
    """
    size = len(asked.words)
    return not asked.across and size == len(set(asked.words)) and asked.most + size - 2 < WIDTH


def _quoted(word: str) -> str:
    return f'"{word[:-1]}" *' if word.endswith("*") else f'"{word}"'


def _must_know(parts: Iterable[str], known: Sequence[str]) -> None:
    for part in parts:
        if part not in known:
            raise NotAnswerable(
                [Reservation("not-held", part, "the mirror has no index of this part")]
            )
