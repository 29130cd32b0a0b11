"""Where the counts of a strategy come from: a mirror, PubMed itself, or the claim's own store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evidence.fetch import Eutils
from evidence.mirror import Mirror
from evidence.mirror.rows import searchable
from evidence.mirror.source import basis_of
from evidence.model import Record
from evidence.pubmed.records import served
from evidence.pubmed.replies import Page, read_page
from evidence.query.blocks import Missed, Outline, missed
from evidence.query.decide import Decider
from evidence.query.gains import Gains, Hits, gains, gains_by_count, questions
from evidence.query.match import Seen
from evidence.query.parse import parse
from evidence.query.questions import Reservation, Vocabulary
from evidence.query.show import show
from evidence.query.tree import Combination, Node, Pmids, combine

Say = Callable[[str], None]

# Of a claim's own records: what of a line they leave open, by the code of the reservation.
OPEN = {
    "explosion": "narrower headings are in NLM's descriptor file, which was not given; the second "
    "number counts every record that may have one",
    "term-mapping": "PubMed widens untagged words by tables that it does not publish; the second "
    "number counts every record",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """The numbers of a strategy, whose they are, and what to know about them."""

    source: str  # "the mirror var/mirror.sqlite, 50,783 records"
    gains: Gains
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """A known record as one source sees it."""

    pmid: str
    record: Record | None  # None where the source does not have it
    found: bool | None  # None where the source cannot tell
    missed: tuple[Missed, ...] = ()


class Source(Protocol):
    """Something that counts records and knows some of them."""

    def counted(self, outline: Outline) -> Counted | None:
        """The numbers of each line; None where there are none."""

    def checked(self, outline: Outline, pmids: Sequence[str]) -> tuple[Checked, ...]:
        """Whether the strategy finds each record, and which concepts keep it out."""

    def with_line(self, outline: Outline, concept: int, line: str) -> int | None:
        """How many records the strategy would find with a further line; None if unknown."""


class FromMirror:
    """Counts over all records of a mirror; what it answers approximately is said."""

    def __init__(self, mirror: Mirror, *, name: str, today: dt.date) -> None:
        self._mirror, self._name, self._today = mirror, name, today

    def counted(self, outline: Outline) -> Counted:
        notes: dict[Reservation, None] = {}
        found: dict[Node, np.ndarray[tuple[int], np.dtype[np.int32]]] = {}
        for concept in outline.concepts:
            for line in concept.lines:
                answer = self._mirror.search(line.node, strict=False, today=self._today)
                found[line.node] = answer.pmids
                notes.update(dict.fromkeys(answer.approximations))
        everyone = np.unique(np.concatenate(list(found.values())))

        def hits(node: Node) -> Hits:
            mask = np.zeros(len(everyone), bool)
            mask[np.searchsorted(everyone, found[node])] = True
            return Hits(mask, mask)

        basis = basis_of(self._mirror, today=self._today)
        source = f"the mirror {self._name}: {basis.words()}"
        return Counted(source, gains(outline, hits), (*basis.lacks(), *grouped(notes)))

    def checked(self, outline: Outline, pmids: Sequence[str]) -> tuple[Checked, ...]:
        held = {record.pmid: record for record in self._mirror.records(pmids)}
        return decided(outline, pmids, held, self._mirror.vocabulary, self._today)

    def with_line(self, outline: Outline, concept: int, line: str) -> int | None:
        more = outline.with_line(concept, parse(line).tree)
        return self._mirror.search(more.node, strict=False, today=self._today).count


class FromStore:
    """What the records that a claim holds decide; there is no other source without a network.

    Parameters
    ----------
    own : Own
        The claim's records.
    vocabulary : Vocabulary, optional
        NLM's descriptor file, with which headings are certain.
    memory : Memory, optional
        Where numbers are kept until records or strategy change.
    """

    def __init__(
        self,
        own: Own,
        *,
        vocabulary: Vocabulary | None = None,
        today: dt.date,
        memory: Memory | None = None,
    ) -> None:
        self._own, self._vocabulary, self._today = own, vocabulary, today
        self._memory = memory

    def counted(self, outline: Outline) -> Counted | None:
        own = self._own
        if not own.found:
            return None
        kept = self._memory.recall(outline) if self._memory is not None else None
        if kept is None:
            records = own.load()
            decide = Decider(
                [Seen(searchable(record)) for record in records],
                vocabulary=self._vocabulary,
                today=self._today,
            )
            known = np.ones(len(records), bool) if own.is_current else None
            numbers = gains(outline, decide, found=known)
            kept = Counted(own.words(), numbers, grouped(decide.reservations, OPEN))
            if self._memory is not None:
                self._memory.keep(outline, kept)
        return kept

    def checked(self, outline: Outline, pmids: Sequence[str]) -> tuple[Checked, ...]:
        own = self._own
        judged = decided(outline, pmids, own.known, self._vocabulary, self._today)
        if not own.is_current:
            return judged
        found = set(own.found)
        result = []
        for one in judged:
            if one.pmid in found:
                result.append(Checked(one.pmid, one.record, True))
            elif not own.proves_missing:
                result.append(one)
            else:  # the search knows; the record itself may leave open by which concept
                result.append(Checked(one.pmid, one.record, False, one.missed))
        return tuple(result)

    def with_line(self, outline: Outline, concept: int, line: str) -> int | None:
        return None  # what it would bring is not among the records at hand


@dataclass(frozen=True, slots=True)
class Own:
    """The records of a claim in the reader's own store."""

    found: tuple[str, ...]  # PMIDs that its last searches of PubMed and the mirror found, in order
    load: Callable[[], Sequence[Record]]  # the records of these
    known: Mapping[str, Record]  # known relevant records, as far as they are held
    on: dt.date | None  # the day of the last of them; None if there was none
    is_current: bool = True  # the strategy is still the one that was searched
    proves_missing: bool = True  # what PubMed itself did not find it does not have

    def words(self) -> str:
        """Whose numbers these are."""
        which = "the last search" if self.is_current else "an earlier version of the strategy"
        when = f" of {self.on:%d %B %Y}".replace(" 0", " ") if self.on and self.is_current else ""
        return f"the {len(self.found):,} records that {which}{when} found"


class Memory(Protocol):
    """Where the numbers of a strategy are kept while nothing changes."""

    def recall(self, outline: Outline) -> Counted | None:
        """The numbers, if they are those of the same strategy and records."""

    def keep(self, outline: Outline, counted: Counted) -> None:
        """Keep them."""


class FromPubMed:
    """Counts by PubMed itself, one search without records for each number that is needed."""

    def __init__(self, eutils: Eutils, *, on: dt.date, say: Say) -> None:
        self._eutils, self._on, self._say = eutils, on, say

    def counted(self, outline: Outline) -> Counted:
        notes: dict[str, None] = {}

        def count(node: Node) -> int:
            page = self._search(node, 0)
            notes.update(dict.fromkeys(page.warnings))
            return page.count

        asked = len(questions(outline))
        self._say(f"{asked} searches for counts at PubMed")
        return Counted(f"PubMed, {self._on:%Y-%m-%d}", gains_by_count(outline, count), tuple(notes))

    def checked(self, outline: Outline, pmids: Sequence[str]) -> tuple[Checked, ...]:
        if not pmids:
            return ()
        most = len(outline.concepts) + 2
        self._say(f"1 search for the known records, at most {most - 1} more for those missed")
        found = self._among(outline.node, pmids)
        rest = [pmid for pmid in pmids if pmid not in found]
        if not rest:
            return tuple(Checked(pmid, None, True) for pmid in pmids)
        records = served(rest, self._eutils)
        having = {
            concept.node: self._among(concept.node, list(records)) if records else frozenset()
            for concept in outline.concepts
        }
        result = []
        for pmid in pmids:
            record = records.get(pmid)
            if pmid in found:
                result.append(Checked(pmid, None, True))
            elif record is None:
                result.append(Checked(pmid, None, None))
            else:
                lines = Decider([Seen(searchable(record))], today=self._on)
                result.append(
                    Checked(pmid, record, False, missed(outline, _having(pmid, having, lines)))
                )
        return tuple(result)

    def with_line(self, outline: Outline, concept: int, line: str) -> int | None:
        return None  # it would cost a search each

    def _among(self, node: Node, pmids: Sequence[str]) -> frozenset[str]:
        """Those of some PMIDs that a part of the strategy finds."""
        these = combine("OR", *(Pmids((int(pmid),)) for pmid in pmids))
        page = self._search(Combination("AND", (node, these)), len(pmids))
        return frozenset(map(str, page.pmids)) & frozenset(pmids)

    def _search(self, node: Node, most: int) -> Page:
        fields = {"db": "pubmed", "term": show(node), "retmax": str(most), "retmode": "json"}
        return self._eutils.call("esearch", fields, read_page)


def grouped(
    reservations: Iterable[Reservation], instead: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Reservations as sentences, terms with the same reason together.

    Parameters
    ----------
    instead : mapping of code to str
        Other words for a reason.
    """
    terms: dict[str, list[str]] = {}
    for one in reservations:
        why = (instead or {}).get(one.code, one.why)
        terms.setdefault(why, []).append(one.term)
    return tuple(f"{', '.join(dict.fromkeys(some))}: {why}" for why, some in terms.items())


def decided(
    outline: Outline,
    pmids: Iterable[str],
    held: Mapping[str, Record],
    vocabulary: Vocabulary | None,
    today: dt.date,
) -> tuple[Checked, ...]:
    """Known records, each judged by what it holds itself."""
    result = []
    for pmid in pmids:
        record = held.get(pmid)
        if record is None:
            result.append(Checked(pmid, None, None))
            continue
        decide = Decider([Seen(searchable(record))], vocabulary=vocabulary, today=today)
        whole = decide(outline.node)
        if whole.sure[0]:
            result.append(Checked(pmid, record, True))
            continue
        if whole.possible[0]:  # by narrower headings, which only the descriptor file names
            result.append(Checked(pmid, record, None, missed(outline, _surely(decide))))
            continue
        result.append(Checked(pmid, record, False, missed(outline, _perhaps(decide, outline))))
    return tuple(result)


def _surely(decide: Decider) -> Callable[[Node], bool]:
    return lambda node: bool(decide(node).sure[0])


def _perhaps(decide: Decider, outline: Outline) -> Callable[[Node], bool]:
    """A wanted concept counts as had if the record may have it, an exclusion only for certain."""
    away = {
        node
        for i in outline.excluded
        for node in (
            outline.concepts[i].node,
            *(line.node for line in outline.concepts[i].lines),
        )
    }
    return lambda node: bool(decide(node).sure[0] if node in away else decide(node).possible[0])


def _having(
    pmid: str, concepts: Mapping[Node, frozenset[str]], lines: Decider
) -> Callable[[Node], bool]:
    """Concepts by PubMed's own answer; lines of an exclusion by what the record holds."""

    def has(node: Node) -> bool:
        if node in concepts:
            return pmid in concepts[node]
        return bool(lines(node).possible[0])

    return has
