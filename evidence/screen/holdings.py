"""The records of a claim as the store holds them now: a running screening takes in what changes."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import ToolkitError
from evidence.held import aliases_of, others_in, others_of
from evidence.model import Record
from evidence.store import Store
from evidence.triage.features import bare

LOOK_S = 2.0  # how often the store is asked whether something has changed
REST = 9.0  # times what a look took, if that is longer: 0.2 s at 20,000 records that changed


@dataclass(frozen=True, slots=True)
class Arrival:
    """Records that came or were revised; neither where only names are other ones."""

    ids: tuple[str, ...]
    revised: tuple[str, ...] = ()


class Holdings:
    """Records by name. They are added and renewed while the server runs, and never taken away.

    One that gets another name, as when PubMed turns out to have it, is there under that name alone;
    `names` has its old one.

    Parameters
    ----------
    path : Path
        The store's file; it may not exist yet.
    claim : str
    """

    def __init__(self, path: Path, claim: str) -> None:
        self.path, self.claim = path, claim
        self.records: dict[str, Record] = {}
        self.names: dict[str, str] = {}  # other names of records, as decisions may have them
        self.arrived: list[str] = []  # since the start, oldest first
        self.revised: set[str] = set()  # since the start
        self._marks: dict[str, str] = {}  # of PubMed's records, as they were last read
        self._words: dict[str, tuple[Record, str]] = {}
        self._seen: object = None
        self._listeners: list[Callable[[Arrival], None]] = []
        self._stop = threading.Event()
        self._mutex = threading.Lock()
        self.look()
        self.arrived.clear()

    def heard_by(self, listener: Callable[[Arrival], None]) -> None:
        """Call ``listener`` with what arrives from now on."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Look at the store now and then, in a thread that ends with the process."""
        threading.Thread(target=self._keep_looking, name="store", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _keep_looking(self) -> None:
        for at, name in enumerate(tuple(self.records)):  # so that the first search is fast too
            self.words(name)
            if at % 50 == 0 and self._stop.wait(0.01):
                return
        pause = LOOK_S
        told = ""
        while not self._stop.wait(pause):
            begun = time.monotonic()
            try:
                self.look()
            except ToolkitError:  # a store that is being written or moved: the next look will do
                self._seen = None
            except Exception as fault:  # ours: screening goes on with the records that are here
                self._seen = None
                if repr(fault) != told:  # once, not with every look
                    traceback.print_exc(file=sys.stderr)
                told = repr(fault)
            pause = max(LOOK_S, REST * (time.monotonic() - begun))

    def look(self) -> tuple[str, ...]:
        """Take in what is new in the store, and what has changed; the names of new records."""
        with self._mutex:
            mark = _mark(self.path)
            if mark == self._seen or not self.path.is_file():
                return ()
            with Store(self.path) as store:
                there = store.members(self.claim)
                marks = store.marks(there)
                unread = [pmid for pmid in there if marks.get(pmid) != self._marks.get(pmid)]
                held = store.get(unread)
                found = [held[pmid] for pmid in unread if pmid in held]
                apart = others_of(store, self.claim)
                others = list(others_in(store, self.claim))
            self._seen, self._marks = mark, self._marks | marks
            arrival = self._take([*found, *apart])
            present = {*there, *(record.pmid for record in apart)}
            named = (record for name, record in self.records.items() if name in present)
            aliases = aliases_of(named, others)
            before = self.names
            self.names = {old: name for old, name in aliases.items() if old not in present}
            if self.names.keys() & self.records.keys():  # the same work under its present name
                kept = {n: r for n, r in self.records.items() if n not in self.names}
                self.records = kept
        if arrival.ids or arrival.revised or self.names != before:
            for listener in self._listeners:
                listener(arrival)
        return arrival.ids

    def _take(self, found: Iterable[Record]) -> Arrival:
        fresh = {r.pmid: r for r in found if self.records.get(r.pmid) != r}
        new = tuple(name for name in fresh if name not in self.records)
        revised = tuple(name for name in fresh if name in self.records)
        if fresh:
            self.records = self.records | fresh  # readers hold on to the mapping they began with
        self.arrived += new
        self.revised |= set(revised)
        return Arrival(new, revised)

    def words(self, name: str) -> str:
        """All words of a record, for searching: lower case, no accents."""
        r = self.records.get(name)
        if r is None:  # it has another name by now
            return ""
        known = self._words.get(name)
        if known is None or known[0] is not r:
            parts = (r.shown_title, r.abstract, " ".join(r.authors), r.journal, *r.mesh)
            more = (*r.keywords, *r.kinds, r.pmid, r.doi or "", r.pmcid or "", str(r.year or ""))
            known = self._words[name] = (r, bare(" ".join((*parts, *more))))
        return known[1]


def _mark(path: Path) -> object:
    """What changes when the store is written to."""
    marks: list[tuple[int, int, int] | None] = []
    for name in (path.name, f"{path.name}-wal"):
        try:
            stat = path.with_name(name).stat()
            marks.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except FileNotFoundError:
            marks.append(None)
    return tuple(marks)
