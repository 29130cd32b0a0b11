"""A mirror in shards against one database: the cost of a record, of a shard, and of a question.

Larger mirrors are the records of two files of NLM again under new PMIDs, 50,783 in each shard: the
shards after the first are copies of it with other PMIDs, as indexes hold none. CPU time is that of
all processes together; wall time is printed beside it, and means little where other work runs on
the same machine. `python -m benchmarks.pubmed.scale 20` adds a million records.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.pubmed.mirror import APART, DATA, FILES, STRATEGY, _rows
from evidence.mirror import Mirror, add
from evidence.mirror.database import SHARD, connect, transaction
from evidence.mirror.rows import Row
from evidence.mirror.scale import Engine, Here, ShardedMirror, add_shards, cluster, ledger_path
from evidence.mirror.scale.ledger import open_for_adding, take
from evidence.mirror.writing import Writer, merge
from evidence.pubmed.xml_split import pieces, read_chunks

TIMES = (1, 4)
CUT = 2_600  # records of a file, where the recent file of NLM is cut into eight
REPEATS = 15


def run(times: Sequence[int] = TIMES) -> None:
    """Print the tables; a note where NLM's files are not beside this checkout."""
    files = [DATA / name for name in FILES]
    if not all(file.is_file() for file in files):
        print("   skipped: the files of NLM are not beside this checkout")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in files:
            _one_file(folder, file)
        _builders(folder, _cut(folder, files[-1]))
        rows = _rows(files)
        for count in times:
            _questions(folder, rows, count)


def _one_file(folder: Path, file: Path) -> None:
    """What a record of an old file and of a recent one costs: the range for all of PubMed."""
    mirror = folder / f"{file.name}.sqlite"
    with _measured() as spent:
        records = add(mirror, [file]).records
    size = mirror.stat().st_size
    print(
        f"   {file.name}: {records:,} records, {file.stat().st_size / records:,.0f} bytes of NLM's "
        f"file each; {spent.cpu / records * 1e3:.2f} ms of CPU and {size / records:,.0f} bytes of "
        f"database each"
    )
    mirror.unlink()


def _cut(folder: Path, file: Path) -> list[Path]:
    """The records of a file in more and smaller ones, so that there is something to share."""
    parts: list[Path] = []
    held: list[bytes] = []

    def write() -> None:
        path = folder / f"pubmed26n{len(parts) + 1:04}.xml.gz"
        body = b"".join((b"<PubmedArticleSet>", *held, b"</PubmedArticleSet>"))
        path.write_bytes(gzip.compress(body, 1))
        parts.append(path)
        held.clear()

    with file.open("rb") as stream:
        for piece in pieces(read_chunks(stream)):
            held.append(piece.data)
            if len(held) == CUT:
                write()
    write()
    return parts


def _builders(folder: Path, files: Sequence[Path]) -> None:
    def told(name: str, spent: _Spent, records: int) -> None:
        print(
            f"   {name:<34}{records:,} records, {spent.cpu:6.1f} s of CPU, {spent.wall:6.1f} s, "
            f"{spent.cpu / records * 1e3:.2f} ms of CPU a record",
            flush=True,
        )

    with _measured() as spent:
        records = add(folder / "one.sqlite", files).records
    told("one database, one process", spent, records)
    with _measured() as spent:
        add_shards(folder / "here", files, most_files=2)
    told("four shards, one process", spent, records)
    with _measured() as spent, cluster("local", most=2) as engine:
        add_shards(folder / "dask", files, engine=engine, most_files=2)
    told("four shards, Dask, two workers", spent, records)
    with Mirror(folder / "one.sqlite") as one:
        expected = one.search(STRATEGY).pmids.tolist()
    for name in ("here", "dask"):
        with ShardedMirror(folder / name) as mirror:
            assert mirror.search(STRATEGY).pmids.tolist() == expected
        print(f"   {name}: {len(expected)} found, as in one database")


# ---------------------------------------------------------------------------- questions


def _questions(folder: Path, rows: Sequence[Row], times: int) -> None:
    one, many = folder / f"one{times}.sqlite", folder / f"shards{times}"
    total = times * len(rows)
    db = connect(one, make=True)
    with _measured() as spent:
        for n in range(times):
            _write(db, rows, n)
        merge(db)
    db.close()
    first = _shard(many, rows)
    taken = 0.0
    with open_for_adding(many) as ledger:
        for n in range(times):
            copy = _again(first, n)
            with _measured() as spent_here:
                take(ledger, copy)
            taken += spent_here.cpu
    first.unlink()
    print(
        f"   {total:,} records, indexes alone: one database {spent.cpu / total * 1e3:.3f} ms of "
        f"CPU and {one.stat().st_size / total:,.0f} bytes each; {times} shards: "
        f"{taken / total * 1e6:.1f} µs to take a record into the ledger, "
        f"{sum(p.stat().st_size for p in many.glob('shard-*')) / total:,.0f} bytes, ledger "
        f"{ledger_path(many).stat().st_size / total:,.0f}"
    )
    with _measured() as spent, ShardedMirror(many) as mirror:
        assert mirror.size == total
    print(f"   opening the ledger: {spent.cpu * 1e3:.0f} ms of CPU")
    with Mirror(one) as mirror:
        found = _asked("one database", mirror)
    _asked_in_shards(many, f"{times} shards, this process", Here(), found)
    with cluster("local", most=2) as engine:
        _asked_in_shards(many, f"{times} shards, Dask, 2 workers", engine, found)


def _write(db: sqlite3.Connection, rows: Sequence[Row], n: int) -> None:
    with transaction(db):
        writer = Writer(db, f"pubmed26n{n + 1:04}.xml", f"{n}", lambda text: None)
        writer.take(dataclasses.replace(row, pmid=row.pmid + n * APART) for row in rows)


def _shard(folder: Path, rows: Sequence[Row]) -> Path:
    folder.mkdir()
    path = folder / "first.sqlite"
    db = connect(path, make=True, kind=SHARD)
    _write(db, rows, 0)
    merge(db)
    db.close()
    return path


def _again(first: Path, n: int) -> Path:
    """A copy of a shard, as if built from a file with the same records under other PMIDs."""
    path = first.with_name(f"shard-{n:04}.sqlite")
    shutil.copyfile(first, path)
    db = sqlite3.connect(path)
    (blob,) = db.execute("SELECT pmids FROM files").fetchone()
    pmids = np.frombuffer(blob, np.int32) + np.int32(n * APART)
    rank = (26 * 100_000 + n + 1) * 1_000
    with db:
        db.execute(
            "UPDATE files SET name = ?, md5 = ?, rank = ?, pmids = ?",
            (f"pubmed26n{n + 1:04}.xml", f"{n}", rank, pmids.tobytes()),
        )
        db.execute("UPDATE docs SET pmid = pmid + ?, rank = ?", (n * APART, rank))
    db.close()
    return path


def _asked_in_shards(folder: Path, name: str, engine: Engine, found: int) -> None:
    with ShardedMirror(folder, engine=engine) as mirror:
        assert _asked(name, mirror) == found


def _asked(name: str, mirror: Mirror) -> int:
    return _timed(name, lambda: mirror.search(STRATEGY).count)


def _timed(name: str, ask: Callable[[], int]) -> int:
    cpu, wall = [], []
    ask()
    for _ in range(REPEATS):
        began = time.perf_counter(), time.process_time()
        count = ask()
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    print(
        f"   24 clauses, {name:<26}{count:>7,} found, median {statistics.median(cpu) * 1e3:7.2f} "
        f"ms of CPU here, {statistics.median(wall) * 1e3:7.2f} ms, quickest {min(wall) * 1e3:.2f}",
        flush=True,
    )
    return count


# ---------------------------------------------------------------------------- time


@dataclasses.dataclass
class _Spent:
    cpu: float = 0.0
    wall: float = 0.0


@contextlib.contextmanager
def _measured() -> Iterator[_Spent]:
    """CPU of this process and of those that it started and that have ended; wall time."""

    def used() -> float:
        every = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in every)

    spent = _Spent()
    cpu, wall = used(), time.perf_counter()
    yield spent
    spent.cpu, spent.wall = used() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    run((*TIMES, *map(int, sys.argv[1:])))
