"""A million records in reading order: in parts, with bounded memory, on one machine or over Dask.

Two passes over the parts. The first counts in how many records each term is; the second weighs
each record's terms and sums its score. Neither holds more than a part, beside one table of the
terms that are in two records or more (12 bytes each, on disk, mapped into memory). What is learned
from the decided records is learned by the machine that `Engine` uses, and the order is the same.

Parts are computed by any executor of Python's `concurrent.futures`, so that a Dask cluster works as
well as processes of this machine: ``executor=distributed.Client(...).get_executor()``.
"""

from __future__ import annotations

import gzip
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage import model
from evidence.triage.features import Block, Features, Vocabulary
from evidence.triage.protocols import Protocol, asked
from evidence.triage.screen import DECIMALS, Screen
from evidence.triage.spaces import Terms
from evidence.triage.terms import Counts, Keys, count
from evidence.triage.views import VIEWS, View
from evidence.triage.wording import Used

AT_ONCE = 10_000_000  # terms merged in one piece; 250 MB

Part = Callable[[], Iterable[Record]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The unscreened records of all parts, most likely relevant first."""

    order: tuple[tuple[str, float], ...]  # PMID and score
    stage: model.Stage
    used: Used
    terms: int  # that are in two records or more, all views together


def parts_of(records: Sequence[Record], size: int = 10_000) -> tuple[Part, ...]:
    """Records in memory as parts, for tests and for sets that fit."""
    return tuple(partial(tuple, records[i : i + size]) for i in range(0, len(records), size))


def pubmed_file(path: Path) -> Part:
    """A file of NLM's (XML, packed or not) as a part."""
    return partial(_pubmed_records, path)


def _pubmed_records(path: Path) -> Iterable[Record]:
    from evidence.pubmed.articles import stream_articles

    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        yield from (r for r in stream_articles(file) if isinstance(r, Record))


def rank_parts(
    parts: Sequence[Part],
    decisions: Mapping[str, bool],
    protocol: Protocol,
    *,
    views: Sequence[View] = VIEWS,
    seed: int = 0,
    top: int | None = None,
    executor: Executor | None = None,
    folder: Path | None = None,
) -> Ranked:
    """Order records that are too many for one `Engine`.

    Parameters
    ----------
    parts : sequence of callable
        Each gives some of the records, the same ones whenever it is called; some ten thousand are
        a good size. With an executor of other processes or machines it must be possible to pickle
        them, and the views.
    top : int, optional
        Keep so many records of the order only.
    executor : concurrent.futures.Executor, optional
        What computes the parts, several at once; this process, one after the other, where none is
        given.
    folder : path, optional
        Where tables are kept while it runs; every worker must reach it. A temporary folder of this
        machine where none is given.

    Raises
    ------
    InputError
        If a PMID occurs twice; names each.
    """
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as place:
        return _Job(parts, decisions, protocol, tuple(views), executor, Path(place)).run(seed, top)


class _Job:
    def __init__(
        self,
        parts: Sequence[Part],
        decisions: Mapping[str, bool],
        protocol: Protocol,
        views: tuple[View, ...],
        executor: Executor | None,
        place: Path,
    ) -> None:
        self.parts, self.decisions, self.protocol = parts, decisions, protocol
        self.views, self.executor, self.place = views, executor, place

    def run(self, seed: int, top: int | None) -> Ranked:
        wanted_terms = [self._asked(view).keys for view in self.views]
        wanted = frozenset(self.decisions)
        seen = self._each(partial(_count_part, views=self.views, wanted=wanted), "counted")
        pmids = _ordered([pmid for one in seen for pmid in one.pmids])
        tables = [
            self._table(i, view, keys, seen, len(pmids))
            for i, (view, keys) in enumerate(zip(self.views, wanted_terms, strict=True))
        ]
        decided = [record for one in seen for record in one.decided]
        space, screen = self._learned(decided, tables, wanted_terms, len(pmids), seed)
        beta, unscreened, constant = screen.coefficients()
        direction = space.protocol.toarray().ravel() * beta[0]
        if screen.records:
            direction = direction + space.matrix[screen.records].T @ beta[1:]
        dense = []
        for block, start in zip(space.blocks, space.starts, strict=True):
            column = block.columns
            mine = np.zeros(len(column))
            mine[column >= 0] = direction[start + column[column >= 0]]
            dense.append(mine)
        if unscreened and len(pmids) > len(decided):
            for i, mean in enumerate(self._means(tables, wanted, len(pmids) - len(decided))):
                dense[i] += unscreened * mean
        for i, mine in enumerate(dense):
            np.save(self._file(i, "direction"), mine)
        scored = self._each(
            partial(_score_part, tables=tables, wanted=wanted, constant=constant), "scored"
        )
        return self._sorted(scored, pmids, screen, tables, seed, top)

    def _asked(self, view: View) -> Counts:
        return count([asked(self.protocol, view)], whole=view.whole)

    def _each(self, task: Callable[..., Any], what: str) -> list[Any]:
        """A task for every part, several at once where there is an executor."""
        arguments = [(part, self.place / f"{what}-{i}") for i, part in enumerate(self.parts)]
        if self.executor is None:
            return [task(*one) for one in arguments]
        futures: list[Future[Any]] = [self.executor.submit(task, *one) for one in arguments]
        return [future.result() for future in futures]

    def _file(self, view: int, what: str) -> Path:
        return self.place / f"{what}-{view}.npy"

    def _table(self, i: int, view: View, wanted: Keys, seen: list[_Seen], n: int) -> _Table:
        """Terms in two records or more, and those of the protocol, of one view."""
        files = [self.place / f"counted-{j}-{i}" for j in range(len(self.parts))]
        total = sum(one.terms[i] for one in seen)
        keys, often = _merged(files, total, least=2, always=wanted)
        np.save(self._file(i, "keys"), keys)
        np.save(self._file(i, "often"), often.astype(np.int32))
        filled = sum(one.filled[i] for one in seen)
        lengths = sum(one.lengths[i] for one in seen)
        return _Table(view, i, self.place, n, lengths / filled if filled else 1.0)

    def _learned(
        self, decided: list[Record], tables: list[_Table], wanted: list[Keys], n: int, seed: int
    ) -> tuple[Features, Screen]:
        """The screen of the decided records alone, weighed as parts of the whole."""
        decided.sort(key=lambda r: (len(r.pmid), r.pmid))
        blocks, rows, protocols = [], [], []
        own = np.zeros(len(decided))
        for table, keys in zip(tables, wanted, strict=True):
            view = table.view
            known = table.vocabulary(rest=True)
            counts = count(map(view.texts, decided), whole=view.whole)
            at, here = known.places(np.concatenate([counts.keys, keys]))
            columns = np.full(len(known.keys), -1, dtype=np.int32)
            mine = np.unique(at[here])
            columns[mine] = np.arange(len(mine))
            block = Block(known, columns, len(mine))
            matrix, itself = block.weighted(counts)
            protocol = Block(table.vocabulary(), columns, len(mine))
            protocols.append(protocol.weighted(self._asked(view))[0])
            own += itself
            blocks.append(block)
            rows.append(matrix)
        starts = np.cumsum([0, *(b.width for b in blocks)])[:-1]
        space = Features(
            sparse.csr_array(sparse.hstack(rows)) if rows else sparse.csr_array((0, 0)),
            own,
            sparse.csr_array(sparse.hstack(protocols)),
            tuple(blocks),
            tuple(int(start) for start in starts),
        )
        screen = Screen(Terms(space), seed, of=n)
        for i, record in enumerate(decided):
            screen.decide(i, self.decisions[record.pmid])
        return space, screen

    def _means(self, tables: list[_Table], wanted: frozenset[str], left: int) -> list[Floats]:
        """The mean unscreened record, over the terms of each table."""
        sizes = self._each(partial(_sum_part, tables=tables, wanted=wanted), "summed")
        means = []
        for i, table in enumerate(tables):
            files = [self.place / f"summed-{j}-{i}" for j in range(len(self.parts))]
            keys, sums = _merged(files, sum(one[i] for one in sizes))
            mean = np.zeros(len(table.keys()))
            mean[np.searchsorted(table.keys(), keys)] = sums / left
            means.append(mean)
        return means

    def _sorted(
        self,
        scored: list[tuple[list[str], Floats]],
        pmids: list[str],
        screen: Screen,
        tables: list[_Table],
        seed: int,
        top: int | None,
    ) -> Ranked:
        left = [pmid for some, _ in scored for pmid in some]
        scores = np.round(np.concatenate([np.empty(0), *(s for _, s in scored)]), DECIMALS)
        place = {pmid: i for i, pmid in enumerate(pmids)}
        lots = np.random.default_rng(seed).permutation(len(pmids))
        mine = lots[[place[pmid] for pmid in left]] if left else np.empty(0)
        order = np.lexsort((mine, -scores))[:top]
        known = len(screen.records)
        return Ranked(
            order=tuple((left[i], float(scores[i])) for i in order.tolist()),
            stage=screen.stage,
            used=Used(screen.included, screen.excluded, len(left), len(self.decisions) - known),
            terms=sum(len(table.keys()) for table in tables),
        )


def _ordered(pmids: list[str]) -> list[str]:
    """PMIDs in the engine's own sequence."""
    pmids.sort(key=lambda pmid: (len(pmid), pmid))
    twice = sorted({one for one, two in itertools.pairwise(pmids) if one == two})
    if twice:
        raise InputError(
            "a PMID may occur once only, but several records share one",
            [f"PMID {pmid}" for pmid in twice],
            remedy="give each record once",
        )
    return pmids


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the terms of a view are kept."""

    view: View
    place: int
    folder: Path
    n: int
    mean_length: float

    def keys(self) -> Keys:
        keys: Keys = self._load("keys")
        return keys

    def direction(self) -> Floats:
        direction: Floats = self._load("direction")
        return direction

    def vocabulary(self, *, rest: bool = False) -> Vocabulary:
        return Vocabulary(
            self.view, self.keys(), self._load("often"), self.n, self.mean_length, rest
        )

    def _load(self, what: str) -> Any:
        return np.load(self.folder / f"{what}-{self.place}.npy", mmap_mode="r")


def _merged(
    files: Sequence[Path],
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
            mine = np.load(f"{file}-keys.npy", mmap_mode="r")
            begin = int(np.searchsorted(mine, np.uint64(low)))
            end = len(mine) if high == 2**64 else int(np.searchsorted(mine, np.uint64(high)))
            keys.append(np.asarray(mine[begin:end]))
            numbers.append(np.load(f"{file}-numbers.npy", mmap_mode="r")[begin:end])
        if not keys:
            break
        every = np.concatenate(keys)
        order = np.argsort(every, kind="stable")  # sums in the sequence of the parts
        every = every[order]
        if not len(every):
            continue
        first = np.flatnonzero(np.append(True, every[1:] != every[:-1]))
        sums = np.add.reduceat(np.concatenate(numbers)[order], first)
        kept = (sums >= least) | np.isin(every[first], asked)
        found.append((every[first][kept], sums[kept]))
    empty = np.empty(0, dtype=np.uint64), np.empty(0)
    parts = [*found] or [empty]
    return np.concatenate([k for k, _ in parts]), np.concatenate([v for _, v in parts])


# --- what a worker does --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one part holds; the terms themselves are in files."""

    pmids: list[str]
    decided: list[Record]
    terms: list[int]  # by view
    filled: list[int]  # records that have a term, by view
    lengths: list[float]


def _count_part(part: Part, file: Path, *, views: Sequence[View], wanted: frozenset[str]) -> _Seen:
    records = list(part())
    terms, filled, lengths = [], [], []
    for i, view in enumerate(views):
        counts = count(map(view.texts, records), whole=view.whole)
        keys, often = np.unique(counts.keys, return_counts=True)
        _keep(Path(f"{file}-{i}"), keys, often)
        terms.append(len(keys))
        filled.append(int((counts.lengths > 0).sum()))
        lengths.append(float(counts.lengths.sum()))
    decided = [r for r in records if r.pmid in wanted]
    return _Seen([r.pmid for r in records], decided, terms, filled, lengths)


def _score_part(
    part: Part, file: Path, *, tables: Sequence[_Table], wanted: frozenset[str], constant: float
) -> tuple[list[str], Floats]:
    records = [r for r in part() if r.pmid not in wanted]
    scores = np.full(len(records), constant)
    for table in tables:
        view, direction = table.view, table.direction()
        counts = count(map(view.texts, records), whole=view.whole)
        data, rows, at, known, _ = table.vocabulary(rest=True).values(counts)
        worth = data[known] * direction[at[known]]
        scores += np.bincount(rows[known], worth, minlength=len(records))
    return [r.pmid for r in records], scores


def _sum_part(
    part: Part, file: Path, *, tables: Sequence[_Table], wanted: frozenset[str]
) -> list[int]:
    records = [r for r in part() if r.pmid not in wanted]
    sizes = []
    for i, table in enumerate(tables):
        view, known = table.view, table.vocabulary(rest=True)
        counts = count(map(view.texts, records), whole=view.whole)
        data, _, at, here, _ = known.values(counts)
        places, back = np.unique(at[here], return_inverse=True)
        sums = np.bincount(back, data[here], minlength=len(places))
        _keep(Path(f"{file}-{i}"), known.keys[places], sums)
        sizes.append(len(places))
    return sizes


def _keep(stem: Path, keys: Keys, numbers: NDArray[Any]) -> None:
    np.save(f"{stem}-keys.npy", keys)
    np.save(f"{stem}-numbers.npy", numbers)
