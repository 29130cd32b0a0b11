"""A mirror built from two files of NLM: records a second, bytes, and how long queries take.

Larger mirrors are the same records again under new PMIDs, so that a query finds as many in each
hundred. CPU time and wall time of one process; latency is the median over repetitions of a query in
an open mirror, and once more with the mirror opened for each query.
"""

from __future__ import annotations

import dataclasses
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from evidence.mirror import Mirror, add
from evidence.mirror.database import connect, transaction
from evidence.mirror.rows import Row, row
from evidence.mirror.writing import Writer, merge
from evidence.model import Record
from evidence.pubmed.articles import stream_articles

DATA = Path(__file__).resolve().parents[2] / "../shared/pubmed"
FILES = ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")
TIMES = (1, 4)  # 50,000 and 200,000 records
APART = 40_000_000  # between the PMIDs of two copies
REPEATS = 15

# 24 clauses, in the shape of the strategies in queries/: acronyms, proximity, phrases, truncation,
# three concepts, and what is left out.
STRATEGY = """
(HIIT[tiab] OR exercis*[tiab] OR "interval training"[tiab:~3] OR "physical activity"[tiab:~2]
 OR "aerobic training"[tiab:~3] OR "treadmill running"[tiab:~2] OR running[ti] OR cycling[ti]
 OR "Exercise"[mh:noexp] OR "Physical Exertion"[mh:noexp])
AND (BDNF[tiab] OR "brain derived neurotrophic factor"[tiab] OR neurotroph*[tiab]
 OR "growth factor"[tiab:~1] OR lactate[tiab] OR insulin[tiab] OR serum[tiab] OR plasma[tiab]
 OR "Brain-Derived Neurotrophic Factor"[nm])
NOT ("Animals"[mh:noexp] NOT "Humans"[mh:noexp])
NOT (letter[pt] OR editorial[pt] OR comment[pt])
"""
OTHERS = {
    "one word": "exercise[tiab]",
    "a common word": "patients[tiab]",
    "a stem": "exercis*[tiab]",
    "a phrase": '"low back pain"[tiab:~0]',
    "a common heading": "Humans[mh:noexp]",
    "two years": "1979:1980[dp]",
    "a name": "smith j[au]",
    "anywhere": '"exercise"[all]',
}


def run() -> None:
    """Print the tables; a note where NLM's files are not beside this checkout."""
    files = [DATA / name for name in FILES]
    if not all(file.is_file() for file in files):
        print("   skipped: the files of NLM are not beside this checkout")
        return
    with tempfile.TemporaryDirectory() as folder:
        _built(Path(folder) / "one.sqlite", files)
        copies = _rows(files)
        for times in TIMES:
            mirror = Path(folder) / f"times{times}.sqlite"
            _copied(mirror, copies, times)
            _asked(mirror)


def _built(mirror: Path, files: Sequence[Path]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    records = add(mirror, files, jobs=1).records
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    size = mirror.stat().st_size
    print(
        f"   {records:,} records in {cpu:.1f} s of CPU, {wall:.1f} s: {records / cpu:,.0f} a "
        f"second of CPU; {size / 1e6:.0f} MB, {size / records:,.0f} bytes each"
    )
    db = connect(mirror)
    parts = db.execute(
        "SELECT replace(name, '_data', ''), sum(pgsize) FROM dbstat GROUP BY name "
        "ORDER BY 2 DESC LIMIT 6"
    ).fetchall()
    db.close()
    print("   " + ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in parts))


def _rows(files: Sequence[Path]) -> list[Row]:
    rows: dict[int, Row] = {}
    for file in files:
        for record in stream_articles(io.BytesIO(file.read_bytes())):
            if isinstance(record, Record):
                rows[int(record.pmid)] = row(record)
    return list(rows.values())


def _copied(mirror: Path, rows: Sequence[Row], times: int) -> None:
    db = connect(mirror, make=True)
    cpu = time.process_time()
    for n in range(times):
        with transaction(db):
            writer = Writer(db, f"copy {n}", f"{n}", lambda text: None)
            writer.take(dataclasses.replace(one, pmid=one.pmid + n * APART) for one in rows)
    merge(db)
    db.close()
    cpu = time.process_time() - cpu
    size = mirror.stat().st_size
    count = times * len(rows)
    print(
        f"   {count:,} records, indexes alone: {count / cpu:,.0f} a second of CPU, "
        f"{size / 1e6:,.0f} MB"
    )


def _asked(path: Path) -> None:
    def opened() -> int:
        with Mirror(path) as fresh:
            return fresh.search(STRATEGY).count

    with Mirror(path) as mirror:
        for name, query in {"24 clauses": STRATEGY, **OTHERS}.items():
            _timed(name, lambda query=query: mirror.search(query).count)  # type: ignore[misc]
    _timed("24 clauses, opened", opened)


def _timed(name: str, ask: Callable[[], int]) -> None:
    cpu, wall = [], []
    for _ in range(REPEATS):
        began = time.perf_counter(), time.process_time()
        count = ask()
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    print(
        f"   {name:<19}{count:>8,} found  median {statistics.median(cpu) * 1e3:6.2f} ms of CPU, "
        f"{statistics.median(wall) * 1e3:6.2f} ms",
        flush=True,
    )
