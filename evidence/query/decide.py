"""Which of some records a part of a strategy finds: for certain, or perhaps.

A heading is searched with its narrower ones, and which these are stands in NLM's descriptor file;
untagged words are widened by tables that NLM does not publish. Where the records cannot settle it,
"perhaps" is the answer, and AND, OR and NOT carry it on (Kleene's three values).
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from evidence.query.gains import Hits, Mask
from evidence.query.match import NotAnswerable, Seen, satisfies
from evidence.query.plan import plan
from evidence.query.questions import InWords, Near, Plan, Reservation, Vocabulary
from evidence.query.tree import Combination, Node, Nothing, TaggedGroup

_END = "\U0010ffff"  # sorts after every continuation of a word
_NO_RECORD: frozenset[int] = frozenset()
# What may be found beyond the answer, by the code of the reservation.
_WIDER: dict[str, Callable[[Seen], bool]] = {
    "explosion": lambda seen: bool(seen.record.headings),
    "no-heading": lambda seen: bool(seen.record.headings),
    "term-mapping": lambda seen: True,
}


class Decider:
    """The records that each part of a strategy finds; each part is settled once.

    Parameters
    ----------
    records : sequence of Seen
        Their order is that of the masks.
    vocabulary : Vocabulary, optional
        NLM's descriptor file, with which headings are certain.
    today : date, optional
        For periods that are counted back from today.
    """

    def __init__(
        self,
        records: Sequence[Seen],
        *,
        vocabulary: Vocabulary | None = None,
        today: dt.date | None = None,
    ) -> None:
        self.records = records
        self.reservations: dict[Reservation, None] = {}  # in the order in which they were met
        self._vocabulary, self._today = vocabulary, today
        self._known: dict[Node, Hits] = {}
        self._words: dict[tuple[str, ...], dict[str, set[int]]] = {}
        self._order: dict[tuple[str, ...], list[str]] = {}

    def __call__(self, node: Node) -> Hits:
        if node not in self._known:
            self._known[node] = self._hits(node)
        return self._known[node]

    def _hits(self, node: Node) -> Hits:
        if isinstance(node, TaggedGroup):  # PubMed drops the tag
            return self(node.inside)
        if isinstance(node, Nothing):
            return Hits(self._none(), self._none())
        if not isinstance(node, Combination):
            return self._leaf(node)
        parts = [self(part) for part in node.parts]
        if node.operator == "OR":
            return Hits(
                np.logical_or.reduce([p.sure for p in parts]),
                np.logical_or.reduce([p.possible for p in parts]),
            )
        if node.operator == "AND":
            return Hits(
                np.logical_and.reduce([p.sure for p in parts]),
                np.logical_and.reduce([p.possible for p in parts]),
            )
        first = parts[0]
        for away in parts[1:]:
            first = Hits(first.sure & ~away.possible, first.possible & ~away.sure)
        return first

    def _leaf(self, node: Node) -> Hits:
        try:
            planned = plan(node, strict=False, vocabulary=self._vocabulary, today=self._today)
        except NotAnswerable as fault:
            self.reservations.update(dict.fromkeys(fault.refused))
            return Hits(self._none(), ~self._none())
        self.reservations.update(dict.fromkeys(planned.approximations))
        wider = [_WIDER[a.code] for a in planned.approximations if a.code in _WIDER]
        sure, possible = self._none(), self._none()
        for i in self._candidates(planned.plan):
            answer = _answer(planned.plan, self.records[i])
            sure[i] = answer is True
            possible[i] = answer is not False
        for i, seen in enumerate(self.records if wider else ()):
            possible[i] = possible[i] or any(more(seen) for more in wider)
        return Hits(sure, possible)

    def _candidates(self, asked: Plan) -> Iterable[int]:
        """The records that may answer with yes: for running words those that have them all."""
        if isinstance(asked, InWords):
            wanted = asked.pattern
            stem = wanted.words[-1] if wanted.is_prefix else None
            listed = wanted.words[:-1] if wanted.is_prefix else wanted.words
        elif isinstance(asked, Near):
            listed, stem = asked.words, None
        else:
            return range(len(self.records))
        index = self._index(asked.parts)
        sets = [index.get(word, _NO_RECORD) for word in listed]
        if stem is not None:
            order = self._order[asked.parts]
            first, last = bisect_left(order, stem), bisect_left(order, stem + _END)
            sets.append(frozenset().union(*(index[word] for word in order[first:last])))
        return frozenset.intersection(*map(frozenset, sets)) if sets else ()

    def _index(self, parts: tuple[str, ...]) -> dict[str, set[int]]:
        """Which records have a word in one of the parts; where a part is not held, all words."""
        if parts not in self._words:
            index: dict[str, set[int]] = {}
            for i, seen in enumerate(self.records):
                for part in parts:
                    if part not in seen.record.lacks:
                        for cut in seen.words(part):
                            for word in cut:
                                index.setdefault(word, set()).add(i)
            self._words[parts], self._order[parts] = index, sorted(index)
        return self._words[parts]

    def _none(self) -> Mask:
        return np.zeros(len(self.records), bool)


def _answer(asked: Plan, seen: Seen) -> bool | None:
    """None where the source of the record did not hand on what the question is about."""
    try:
        return satisfies(asked, seen)
    except NotAnswerable:
        return None
