"""What a worker does with a part of many records: counts, weights, scores; tables on disk.

`evidence.triage.scale` says how the parts become one order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.model import Record
from evidence.pubmed.articles import Deleted, Unreadable
from evidence.triage.features import Vocabulary
from evidence.triage.terms import Counts, Keys, count
from evidence.triage.views import View

AT_ONCE = 10_000_000  # terms merged in one piece; 250 MB
FEW = 2_000  # records weighed at once
TOGETHER = 10_000  # records of a part that are counted together; a worker holds so many

Item = Record | Deleted | Unreadable
Part = Callable[[], Iterable[Item]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """Where the terms of a view are kept."""

    view: View
    place: int
    folder: Path
    n: int
    mean_length: float

    def keys(self) -> Keys:
        keys: Keys = self._load("keys")
        return keys

    def often(self) -> NDArray[np.int32]:
        often: NDArray[np.int32] = self._load("often")
        return often

    def direction(self) -> Floats:
        direction: Floats = self._load("direction")
        return direction

    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.view, self.keys(), self.often(), self.n, self.mean_length)

    def _load(self, what: str) -> Any:
        return np.load(self.folder / f"{what}-{self.place}.npy", mmap_mode="r")


def merged(
    files: Sequence[Path],
    what: str,
    total: int,
    *,
    least: float = -np.inf,
    always: Keys | None = None,
) -> tuple[Keys, NDArray[Any]]:
    """Keys of all files, ascending, each once, with the sum of its numbers.

    Those with a smaller sum than ``least`` are left out, but for those that stay ``always``. Keys
    are hashes, spread evenly: a piece of their range after the other keeps memory bounded.
    """
    pieces = total // AT_ONCE + 1
    asked = np.empty(0, dtype=np.uint64) if always is None else always
    edges = [i * (2**64 // pieces) for i in range(pieces)] + [2**64]
    found: list[tuple[Keys, NDArray[Any]]] = []
    for low, high in itertools.pairwise(edges):
        keys, numbers = [], []
        for file in files:
            mine = load(file, "keys")
            begin = int(np.searchsorted(mine, np.uint64(low)))
            end = len(mine) if high == 2**64 else int(np.searchsorted(mine, np.uint64(high)))
            keys.append(np.asarray(mine[begin:end]))
            numbers.append(load(file, what)[begin:end])
        if not keys:
            break
        every = np.concatenate(keys)
        order = np.argsort(every, kind="stable")  # sums in the sequence of the parts
        every = every[order]
        if not len(every):
            continue
        first = np.flatnonzero(np.append(True, every[1:] != every[:-1]))
        sums = np.add.reduceat(np.concatenate(numbers)[order], first)
        kept = (sums >= least) | ((sums > 0) & np.isin(every[first], asked))
        found.append((every[first][kept], sums[kept]))
    empty = np.empty(0, dtype=np.uint64), np.empty(0)
    parts = [*found] or [empty]
    return np.concatenate([k for k, _ in parts]), np.concatenate([v for _, v in parts])


# --- what a worker does --------------------------------------------------------------------------

NOBODY = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)  # holds an array
class Counted:
    """Some records of one part; their terms are in files that begin with the stem."""

    stem: Path
    pmids: list[str]
    decided: list[Record]
    terms: list[int]  # by view
    filled: list[int]  # records that have a term, by view
    lengths: list[float]
    gone: NDArray[np.intp]  # places of records that later ones replace
    withdrawn: list[tuple[str, int]]  # PMID, and how many of these records came before
    unread: int

    def standing(self) -> list[int]:
        """Places of the records that nothing replaces."""
        out = set(self.gone.tolist())
        return [j for j in range(len(self.pmids)) if j not in out]


def count_part(
    part: Part, file: Path, *, views: Sequence[View], wanted: frozenset[str], titles: bool
) -> list[Counted]:
    """Count the terms of all records of a part, some thousand at a time."""
    found: list[Counted] = []
    records: list[Record] = []
    withdrawn: list[tuple[str, int]] = []
    unread = 0
    for item in part():
        if isinstance(item, Record):
            records.append(item)
        elif isinstance(item, Deleted):
            withdrawn.append((item.pmid, len(records)))
        else:
            unread += 1
        if len(records) == TOGETHER:
            stem = Path(f"{file}-{len(found)}")
            found.append(_count(records, stem, views, wanted, titles, withdrawn, unread))
            records, withdrawn, unread = [], [], 0
    if records or withdrawn or unread:
        stem = Path(f"{file}-{len(found)}")
        found.append(_count(records, stem, views, wanted, titles, withdrawn, unread))
    return found


def _count(
    records: list[Record],
    stem: Path,
    views: Sequence[View],
    wanted: frozenset[str],
    titles: bool,
    withdrawn: list[tuple[str, int]],
    unread: int,
) -> Counted:
    terms, filled, lengths = [], [], []
    for i, view in enumerate(views):
        counts = count(map(view.texts, records), whole=view.whole)
        mine = Path(f"{stem}-{i}")
        _keep(mine, "keys", counts.terms)
        _keep(mine, "often", np.bincount(counts.numbers, minlength=len(counts.terms)))
        _keep(mine, "numbers", counts.numbers.astype(np.int32))
        most = int(counts.times.max(initial=0))
        _keep(mine, "times", counts.times.astype(np.min_scalar_type(most)))
        _keep(mine, "starts", counts.starts)
        terms.append(len(counts.terms))
        filled.append(int((counts.lengths > 0).sum()))
        lengths.append(float(counts.lengths.sum()))
    if titles:
        lines = (" ".join(record.shown_title.split()) for record in records)
        Path(f"{stem}-titles").write_text("".join(f"{t}\n" for t in lines), encoding="utf-8")
    decided = [r for r in records if r.pmid in wanted]
    pmids = [r.pmid for r in records]
    return Counted(stem, pmids, decided, terms, filled, lengths, NOBODY, withdrawn, unread)


def recount(one: Counted, gone: NDArray[np.intp], *, views: Sequence[View]) -> Counted:
    """The same without records that later ones replace."""
    stays = np.ones(len(one.pmids), dtype=bool)
    stays[gone] = False
    filled, lengths = [], []
    for i in range(len(views)):
        mine = Path(f"{one.stem}-{i}")
        starts, numbers, times = (load(mine, what) for what in ("starts", "numbers", "times"))
        sizes = np.diff(starts)
        kept = np.repeat(stays, sizes)
        _keep(mine, "often", np.bincount(numbers[kept], minlength=one.terms[i]))
        filled.append(int((sizes[stays] > 0).sum()))
        lengths.append(float(times[kept].sum(dtype=np.float64)))
    names = {pmid for pmid, stay in zip(one.pmids, stays, strict=True) if stay}
    # Of two with one PMID in the same part the last one is meant.
    latest = {record.pmid: record for record in one.decided if record.pmid in names}
    return replace(one, decided=list(latest.values()), filled=filled, lengths=lengths, gone=gone)


def _weighed(
    file: Path, table: Table, rows: NDArray[np.intp]
) -> Iterator[tuple[Floats, NDArray[np.intp], NDArray[np.intp], slice]]:
    """Weight, record and number of each term of the rows, some thousand rows at a time."""
    keys, starts, numbers, times = (
        load(file, what) for what in ("keys", "starts", "numbers", "times")
    )
    at, known = table.vocabulary().places(keys)
    # A term that is not in the table is in this record alone, or in replaced ones besides.
    often = np.where(known, table.often()[at] if len(at) else 1, 1).astype(np.int32)
    mine = Vocabulary(table.view, keys, often, table.n, table.mean_length, True)
    for begin in range(0, len(rows), FEW):
        some = rows[begin : begin + FEW]
        sizes = starts[some + 1] - starts[some]
        ends = np.cumsum(sizes)
        where = np.arange(ends[-1]) + np.repeat(starts[some] - (ends - sizes), sizes)
        counts = Counts(
            mine.keys,
            numbers[where].astype(np.int64),
            times[where].astype(np.float64),
            np.concatenate([[0], ends]).astype(np.int64),
            np.zeros(len(some)),
        )
        data, owners, _ = mine.values(counts)
        yield data, owners, counts.numbers, slice(begin, begin + len(some))


def score_part(
    stem: Path, rows: NDArray[np.intp], *, tables: Sequence[Table], constant: float
) -> Floats:
    """Scores of these records of a part."""
    scores = np.full(len(rows), constant)
    for i, table in enumerate(tables):
        file = Path(f"{stem}-{i}")
        at, known = table.vocabulary().places(load(file, "keys"))
        worth = np.where(known, table.direction()[at] if len(table.keys()) else 0.0, 0.0)
        for data, owners, places, here in _weighed(file, table, rows):
            scores[here] += np.bincount(
                owners, data * worth[places], minlength=here.stop - here.start
            )
    return scores


def sum_part(stem: Path, rows: NDArray[np.intp], *, tables: Sequence[Table]) -> None:
    """Sum the weights of each term over these records of a part."""
    for i, table in enumerate(tables):
        file = Path(f"{stem}-{i}")
        sums = np.zeros(len(load(file, "keys")))
        for data, _, places, _ in _weighed(file, table, rows):
            sums += np.bincount(places, data, minlength=len(sums))
        _keep(file, "sums", sums)


def titles_of(wanted: Sequence[tuple[Path, int]]) -> tuple[str, ...]:
    """Lines of the files of titles, each file read once."""
    found: dict[tuple[Path, int], str] = {}
    for stem in {stem for stem, _ in wanted}:
        rows = {row for one, row in wanted if one == stem}
        with Path(f"{stem}-titles").open(encoding="utf-8") as lines:
            found |= {(stem, i): line[:-1] for i, line in enumerate(lines) if i in rows}
    return tuple(found[one] for one in wanted)


def _keep(file: Path, what: str, numbers: NDArray[Any]) -> None:
    np.save(f"{file}-{what}.npy", numbers)


def load(file: Path, what: str) -> Any:
    return np.load(f"{file}-{what}.npy", mmap_mode="r")
