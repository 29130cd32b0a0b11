"""The records of a claim, as the store holds them now; a running screening takes in new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from evidence.exchange import others_of
from evidence.model import Record
from evidence.store import Store
from evidence.triage.features import bare

LOOK_S = 2.0  # how often the store is asked whether something has changed


@dataclass(frozen=True, slots=True)
class Arrival:
    """Records that came while the server ran."""

    ids: tuple[str, ...]


class Holdings:
    """Records by name. They are added, never taken away, while the server runs.

    Parameters
    ----------
    path : Path
        The store's file; it may not exist yet.
    claim : str
    """

    def __init__(self, path: Path, claim: str) -> None:
        self.path, self.claim = path, claim
        self.records: dict[str, Record] = {}
        self.arrived: list[str] = []  # since the start, oldest first
        self.version = 0
        self._words: dict[str, str] = {}
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
        while not self._stop.wait(LOOK_S):
            try:
                self.look()
            except Exception:  # a store that is being written or moved: the next look will do
                self._seen = None

    def look(self) -> tuple[str, ...]:
        """Take in what the store holds and we do not; the names of new records."""
        with self._mutex:
            mark = _mark(self.path)
            if mark == self._seen or not self.path.is_file():
                return ()
            with Store(self.path) as store:
                there = store.members(self.claim)
                new = [pmid for pmid in there if pmid not in self.records]
                held = store.get(new)
                found = [held[pmid] for pmid in new if pmid in held]
                found += [r for r in others_of(store, self.claim) if r.pmid not in self.records]
            self._seen = mark
            self._add(found)
        names = tuple(r.pmid for r in found)
        if names:
            for listener in self._listeners:
                listener(Arrival(names))
        return names

    def _add(self, records: Iterable[Record]) -> None:
        grown = dict(self.records)
        for record in records:
            grown[record.pmid] = record
            self.arrived.append(record.pmid)
        if len(grown) > len(self.records):
            self.records = grown  # readers hold on to the mapping that they began with
            self.version += 1

    def words(self, name: str) -> str:
        """All words of a record, for searching: lower case, no accents."""
        found = self._words.get(name)
        if found is None:
            r = self.records[name]
            parts = (r.shown_title, r.abstract, " ".join(r.authors), r.journal, *r.mesh)
            more = (*r.keywords, *r.kinds, r.pmid, r.doi or "", r.pmcid or "", str(r.year or ""))
            found = self._words[name] = bare(" ".join((*parts, *more)))
        return found


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
