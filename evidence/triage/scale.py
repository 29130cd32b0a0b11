"""A million records in reading order: in parts, with bounded memory, on one machine or over Dask.

Records are read once. The first pass counts the terms of each record and keeps the counts on disk
(about 2.3 KB a record); the second weighs them and sums each record's score. Neither holds more
than some thousand records, beside one table of the terms that are in two records or more (12 bytes
each, on disk, mapped into memory). What is learned from the decided records is learned by the
machine that `Engine` uses, and the order is the same.

Parts are computed by any executor of Python's `concurrent.futures`, so that a Dask cluster works as
well as processes of this machine: ``executor=distributed.Client(...).get_executor()``.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evidence.errors import InputError, SourceError
from evidence.model import Record
from evidence.triage import model
from evidence.triage.features import Block, Features
from evidence.triage.parts import (
    Counted,
    Floats,
    Item,
    Part,
    Table,
    count_part,
    load,
    merged,
    recount,
    score_part,
    sum_part,
    titles_of,
)
from evidence.triage.protocols import Protocol, asked
from evidence.triage.screen import DECIMALS, Screen
from evidence.triage.spaces import Terms
from evidence.triage.terms import Counts, Keys, count
from evidence.triage.views import VIEWS, View
from evidence.triage.wording import Used, told

Repeated = Literal["refuse", "last"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The unscreened records of all parts, most likely relevant first."""

    order: tuple[tuple[str, float], ...]  # PMID and score
    stage: model.Stage
    used: Used
    terms: int  # that are in two records or more, all views together
    method: str  # one or two sentences
    views: tuple[View, ...]  # that at least one record fills
    replaced: int = 0  # records of which a later one has the PMID, and withdrawn ones
    unread: int = 0  # parts of files that are no record
    titles: tuple[str, ...] = ()  # of the first records, where they were asked for


def parts_of(records: Sequence[Record], size: int = 10_000) -> tuple[Part, ...]:
    """Records in memory as parts, for tests and for sets that fit."""
    return tuple(partial(tuple, records[i : i + size]) for i in range(0, len(records), size))


def pubmed_file(path: Path) -> Part:
    """A file of NLM's (XML, packed or not) as a part; what it withdraws is withdrawn."""
    return partial(_pubmed_records, path)


def _pubmed_records(path: Path) -> Iterable[Item]:
    from evidence.pubmed.articles import stream_articles
    from evidence.pubmed.xml_split import NotWhole

    try:
        with path.open("rb") as file:
            yield from stream_articles(file)
    except (NotWhole, OSError, EOFError, zlib.error) as fault:
        raise SourceError(f"{path} cannot be read to its end: {fault}") from None


def rank_parts(
    parts: Sequence[Part],
    decisions: Mapping[str, bool],
    protocol: Protocol,
    *,
    views: Sequence[View] = VIEWS,
    seed: int = 0,
    top: int | None = None,
    titles: int = 0,
    repeated: Repeated = "refuse",
    executor: Executor | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Ranked:
    """Order records that are too many for one `Engine`.

    Parameters
    ----------
    parts : sequence of callable
        Each gives some of the records, and is called once; a worker holds `TOGETHER` of them at a
        time. With an executor of other processes or machines it must be possible to pickle them,
        and the views.
    top : int, optional
        Keep so many records of the order only.
    titles : int
        Give the titles of so many of the first records.
    repeated : str
        What a PMID that occurs twice is: "refuse" a fault, "last" a record that the last one
        replaces, as in NLM's files, in the sequence of the parts. Deletions count with "last".
    executor : concurrent.futures.Executor, optional
        What computes the parts, several at once; this process, one after the other, where none is
        given.
    folder : path, optional
        Where tables are kept while it runs; every worker must reach it, and this function empties
        it of them. A temporary folder of this machine where none is given.
    say : callable
        Told of progress.

    Raises
    ------
    InputError
        If a PMID occurs twice and is not to be replaced; names each.
    SourceError
        If a file cannot be read to its end.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="ranking-") as place:
        job = _Job(parts, decisions, protocol, tuple(views), executor, Path(place), say)
        return job.run(seed, top, titles, repeated)


class _Job:
    def __init__(
        self,
        parts: Sequence[Part],
        decisions: Mapping[str, bool],
        protocol: Protocol,
        views: tuple[View, ...],
        executor: Executor | None,
        place: Path,
        say: Callable[[str], None],
    ) -> None:
        self.parts, self.decisions, self.protocol = parts, decisions, protocol
        self.views, self.executor, self.place, self.say = views, executor, place, say

    def run(self, seed: int, top: int | None, titles: int, repeated: Repeated) -> Ranked:
        wanted_terms = [self._asked(view).terms for view in self.views]
        wanted = frozenset(self.decisions)
        task = partial(count_part, views=self.views, wanted=wanted, titles=titles > 0)
        places = [(part, self.place / f"part{i}") for i, part in enumerate(self.parts)]
        counted = [some for part in self._each(task, places, "read") for some in part]
        replaced = 0
        if repeated == "last":
            counted, replaced = self._without_repeated(counted)
        standing = [one.standing() for one in counted]
        pmids = [one.pmids[j] for one, rows in zip(counted, standing, strict=True) for j in rows]
        place = _places(pmids)
        tables = [
            self._table(i, view, keys, counted, len(pmids))
            for i, (view, keys) in enumerate(zip(self.views, wanted_terms, strict=True))
        ]
        decided = [record for one in counted for record in one.decided]
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
        left = [
            (one.stem, np.array([j for j in rows if one.pmids[j] not in wanted], dtype=np.intp))
            for one, rows in zip(counted, standing, strict=True)
        ]
        if unscreened and len(pmids) > len(decided):
            means = self._means(tables, left, len(pmids) - len(decided))
            dense = [mine + unscreened * mean for mine, mean in zip(dense, means, strict=True)]
        for i, mine in enumerate(dense):
            np.save(self._file(i, "direction"), mine)
        scored = self._each(partial(score_part, tables=tables, constant=constant), left, "scored")
        used = Used(
            screen.included,
            screen.excluded,
            len(pmids) - len(decided),
            len(self.decisions) - len(screen.records),
        )
        filled = tuple(
            view for i, view in enumerate(self.views) if any(one.filled[i] for one in counted)
        )
        scores = np.round(np.concatenate([np.empty(0), *scored]), DECIMALS)
        unread = np.array([k for k, pmid in enumerate(pmids) if pmid not in wanted], dtype=np.intp)
        lots = np.random.default_rng(seed).permutation(len(pmids))[place[unread]]
        order = np.lexsort((lots, -scores))[:top]
        first = [(stem, int(j)) for k in order[:titles] for stem, j in [_found(left, int(k))]]
        return Ranked(
            order=tuple(
                (pmids[i], score)
                for i, score in zip(unread[order].tolist(), scores[order].tolist(), strict=True)
            ),
            stage=screen.stage,
            used=used,
            terms=sum(len(table.keys()) for table in tables),
            method=told(filled, space.protocol.nnz > 0, screen.stage, used),
            views=filled,
            replaced=replaced,
            unread=sum(one.unread for one in counted),
            titles=titles_of(first),
        )

    def _asked(self, view: View) -> Counts:
        return count([asked(self.protocol, view)], whole=view.whole)

    def _each(
        self, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], done: str = ""
    ) -> list[Any]:
        """A task for each, several at once where there is an executor."""
        futures: list[Future[Any]] = []
        if self.executor is not None:
            futures = [self.executor.submit(task, *one) for one in arguments]
        found = []
        try:
            for i, one in enumerate(arguments):
                found.append(futures[i].result() if futures else task(*one))
                if done and len(arguments) > 1:
                    self.say(f"{done} {i + 1} of {len(arguments)} parts")
        finally:
            for future in futures:
                future.cancel()
        return found

    def _file(self, view: int, what: str) -> Path:
        return self.place / f"{what}-{view}.npy"

    def _without_repeated(self, counted: list[Counted]) -> tuple[list[Counted], int]:
        """Of several records with a PMID the last one alone, and no withdrawn one."""
        last: dict[str, tuple[int, int]] = {}
        for i, one in enumerate(counted):
            last |= {pmid: (i, j) for j, pmid in enumerate(one.pmids)}
            for pmid, before in one.withdrawn:
                if last.get(pmid, (i, before)) < (i, before):
                    del last[pmid]
        gone = [
            np.array([j for j, p in enumerate(one.pmids) if last.get(p) != (i, j)], dtype=np.intp)
            for i, one in enumerate(counted)
        ]
        touched = [i for i, rows in enumerate(gone) if len(rows)]
        task = partial(recount, views=self.views)
        anew = self._each(task, [(counted[i], gone[i]) for i in touched])
        for i, one in zip(touched, anew, strict=True):
            counted[i] = one
        return counted, sum(map(len, gone))

    def _table(self, i: int, view: View, wanted: Keys, counted: list[Counted], n: int) -> Table:
        """Terms in two records or more, and those of the protocol, of one view."""
        files = [Path(f"{one.stem}-{i}") for one in counted]
        total = sum(one.terms[i] for one in counted)
        keys, often = merged(files, "often", total, least=2, always=wanted)
        np.save(self._file(i, "keys"), keys)
        np.save(self._file(i, "often"), often.astype(np.int32))
        filled = sum(one.filled[i] for one in counted)
        lengths = sum(one.lengths[i] for one in counted)
        return Table(view, i, self.place, n, lengths / filled if filled else 1.0)

    def _learned(
        self, decided: list[Record], tables: list[Table], wanted: list[Keys], n: int, seed: int
    ) -> tuple[Features, Screen]:
        """The screen of the decided records alone, weighed as parts of the whole."""
        decided.sort(key=lambda r: (len(r.pmid), r.pmid))
        blocks, rows, protocols = [], [], []
        own = np.zeros(len(decided))
        for table, keys in zip(tables, wanted, strict=True):
            view = table.view
            known = table.vocabulary()
            counts = count(map(view.texts, decided), whole=view.whole)
            at, here = known.places(np.concatenate([counts.terms, keys]))
            columns = np.full(len(known.keys), -1, dtype=np.int32)
            mine = np.unique(at[here])
            columns[mine] = np.arange(len(mine))
            block = Block(replace(known, rest=True), columns, len(mine))
            matrix, itself = block.weighted(counts)
            protocol = Block(known, columns, len(mine))
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
        screen.decide_all({i: self.decisions[r.pmid] for i, r in enumerate(decided)})
        return space, screen

    def _means(
        self, tables: list[Table], left: list[tuple[Path, NDArray[np.intp]]], n: int
    ) -> list[Floats]:
        """The mean unscreened record, over the terms of each table."""
        self._each(partial(sum_part, tables=tables), left)
        means = []
        for i, table in enumerate(tables):
            files = [Path(f"{stem}-{i}") for stem, _ in left]
            total = sum(len(load(file, "keys")) for file in files)
            keys, sums = merged(files, "sums", total)
            mean = np.zeros(len(table.keys()))
            at, here = table.vocabulary().places(keys)
            mean[at[here]] = sums[here] / n
            means.append(mean)
        return means


def _places(pmids: list[str]) -> NDArray[np.intp]:
    """The place of each PMID in the engine's own sequence."""
    names = np.array(pmids, dtype=np.str_)
    order = np.lexsort((names, np.char.str_len(names)))
    sorted_ = names[order]
    if len(twice := np.unique(sorted_[1:][sorted_[1:] == sorted_[:-1]])):
        raise InputError(
            "a PMID may occur once only, but several records share one",
            [f"PMID {pmid}" for pmid in twice],
            remedy="give each record once",
        )
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    return place


def _found(left: Sequence[tuple[Path, NDArray[np.intp]]], k: int) -> tuple[Path, int]:
    """Where the k-th record to be read was counted."""
    for stem, rows in left:
        if k < len(rows):
            return stem, int(rows[k])
        k -= len(rows)
    raise IndexError(k)
