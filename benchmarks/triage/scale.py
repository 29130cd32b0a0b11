"""Many records in reading order, in parts: one process, two, and a Dask cluster of two workers.

``python -m benchmarks.triage.scale 1000000`` ranks so many. Records are those of NLM's complete
files, where they are beside this checkout, again and again under new PMIDs, each time with a tenth
of the words exchanged for words of the running text and one in three hundred for a word that
nothing else has. Elsewhere they are invented, with words as frequent as in abstracts. They are made
part by part by whoever counts them; making them is not counted as ranking. 200 records of the first
part are decided. Each way runs in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from evidence.model import Record
from evidence.triage.scale import Ranked, pubmed_file, rank_parts
from tests.triage_rows import a_record

FILES = Path(__file__).resolve().parents[2] / "../shared/pubmed"
COMPLETE = ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")
PART = 10_000  # records
WAYS = ("one process", "two processes", "Dask, two workers")
PROTOCOL = "Exercise training lowers blood pressure in adults with hypertension"
SUBJECT = re.compile("exercise|blood pressure", re.IGNORECASE)
EXCHANGED, NEW = 0.1, 1 / 300  # share of the words
YES, NO = 30, 170


def run(n: int = 50_000, ways: tuple[str, ...] = WAYS) -> None:
    """Print a line for each way."""
    from_nlm = all((FILES / name).is_file() for name in COMPLETE)
    texts = "NLM's, changed" if from_nlm else "invented"
    print(f"   {n:,} records ({texts}) in parts of {PART:,}, {YES + NO} decided")
    print(f"   {'':<19}{'1st pass':>10}{'2nd pass':>10}{'the rest':>10}{'CPU s':>8}{'wall s':>8}"
          f"{'parent MB':>11}{'worker MB':>11}{'disk MB':>9}")  # fmt: skip
    digests: dict[str, str] = {}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        texts_of(Path(folder), from_nlm)
        for way in ways:
            command = [sys.executable, "-m", "benchmarks.triage.scale", str(n), "--way", way]
            answer = subprocess.run(
                [*command, "--folder", folder], capture_output=True, text=True, check=False
            )
            if answer.returncode:
                print(f"   {way}: {answer.stderr[-500:]}")
                continue
            facts = json.loads(answer.stdout.splitlines()[-1])
            cpu = facts["first"] + facts["second"] + facts["rest"]
            print(f"   {way:<19}{facts['first']:>10.1f}{facts['second']:>10.1f}"
                  f"{facts['rest']:>10.1f}{cpu:>8.1f}{facts['wall']:>8.1f}{facts['parent']:>11,.0f}"
                  f"{facts['worker']:>11,.0f}{facts['disk']:>9,.0f}", flush=True)  # fmt: skip
            digests[way] = facts["digest"]
    if not facts:
        return
    same = "the same order" if len(set(digests.values())) == 1 else "orders that are NOT the same"
    print(f"   {facts['terms']:,} terms in two records or more"
          + (f"; {len(digests)} ways, {same}" if len(digests) > 1 else ""))  # fmt: skip
    print(
        f"   making the records took {facts['making']:.1f} s of CPU more; it is in the wall time "
        f"alone; {facts['texts']:,.0f} MB of the memory of each process are what they are made of"
    )
    print(f"   load of this machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores, "
          f"at {time.strftime('%H:%M')}")  # fmt: skip


# --- records -------------------------------------------------------------------------------------


def texts_of(folder: Path, from_nlm: bool) -> None:
    """Write the texts that all records are made from."""
    pairs = list(_of_nlm() if from_nlm else _invented())
    random.Random(0).shuffle(pairs)  # old records, without abstracts, among recent ones
    (folder / "texts.json").write_text(json.dumps(pairs), encoding="utf-8")


def _of_nlm() -> Iterator[tuple[str, str]]:
    for name in COMPLETE:
        for one in pubmed_file(FILES / name)():
            if isinstance(one, Record):
                yield one.title, one.abstract


def _invented(size: int = 20_000) -> Iterator[tuple[str, str]]:
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}x" for i in range(100_000)])
    share = 1 / (np.arange(len(words)) + 3.0) ** 1.05  # Zipf's law, flatter at the head
    steps = np.cumsum(share) / share.sum()
    for i in range(size):
        some = words[np.searchsorted(steps, rng.random(190))].tolist()
        if i % 50 == 0:
            some[3:5] = ["exercise", "hypertension"]
        yield " ".join(some[:14]), " ".join(some[14:])


@lru_cache(1)
def _known(folder: Path) -> tuple[list[list[str]], list[int], list[str]]:
    """Words of each record, how many are the title's, and the running text."""
    pairs = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    split = [(title.split(), abstract.split()) for title, abstract in pairs]
    words = [title + abstract for title, abstract in split]
    running = [word for some in words[::10] for word in some]
    return words, [len(title) for title, _ in split], running


def part_of(folder: Path, begin: int, size: int) -> Iterator[Record]:
    """Records from ``begin`` on, the same ones every time; keeps the CPU time that they took."""
    start = time.process_time()
    spent = 0.0
    words, titles, running = _known(folder)
    rng = random.Random(begin)
    for i in range(begin, begin + size):
        mine, title = list(words[i % len(words)]), titles[i % len(words)]
        if i >= len(words):  # the first time as they are
            for place in (
                rng.choices(range(len(mine)), k=round(EXCHANGED * len(mine))) if mine else ()
            ):
                mine[place] = running[int(rng.random() * len(running))]
            for k in range(int(rng.random() + NEW * len(mine))):
                mine[int(rng.random() * len(mine))] = f"q{i}z{k}"
        record = a_record(str(10_000_000 + i), " ".join(mine[:title]), " ".join(mine[title:]))
        spent += time.process_time() - start
        yield record
        start = time.process_time()
    (folder / f"made-{begin}").write_text(str(spent), encoding="utf-8")


def decisions(folder: Path) -> dict[str, bool]:
    """On records of the first part, by words."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for record in part_of(folder, 0, PART):
        found[bool(SUBJECT.search(record.title))].append(record.pmid)
    return dict.fromkeys(found[True][:YES], True) | dict.fromkeys(found[False][:NO], False)


# --- one way -------------------------------------------------------------------------------------


class Timed:
    """An executor that also learns what each task cost."""

    def __init__(self, submit: Callable[..., Any]) -> None:
        self._submit = submit
        self.cpu: dict[str, float] = {}
        self.memory = 0.0

    def submit(self, task: Any, *arguments: Any) -> Any:
        return _Later(self, task.func.__name__, self._submit(_timed, task, *arguments))


class _Later:
    def __init__(self, timed: Timed, name: str, future: Any) -> None:
        self.timed, self.name, self.future = timed, name, future

    def result(self) -> Any:
        answer, cpu, memory = self.future.result()
        self.timed.cpu[self.name] = self.timed.cpu.get(self.name, 0.0) + cpu
        self.timed.memory = max(self.timed.memory, memory)
        return answer

    def cancel(self) -> None:
        self.future.cancel()


def _timed(task: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    start = time.process_time()
    answer = task(*arguments)
    return answer, time.process_time() - start, _memory()


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Now:
    """What a task gives, computed when it is asked for."""

    def __init__(self, *task: Any) -> None:
        self.task = task

    def result(self) -> Any:
        return self.task[0](*self.task[1:])

    def cancel(self) -> None:
        pass


@contextmanager
def _workers(way: str) -> Iterator[Callable[..., Any]]:
    if way == WAYS[0]:
        yield _Now
    elif way == WAYS[1]:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            yield executor.submit
    else:
        from evidence.mirror.scale import cluster

        with cluster("local", most=2) as workers:
            yield workers.client.get_executor().submit


def one_way(n: int, way: str, folder: Path) -> None:
    """Rank and print facts as JSON."""
    known = decisions(folder)
    texts = _memory()
    for file in folder.glob("made-*"):
        file.unlink()
    parts = [partial(part_of, folder, begin, min(PART, n - begin)) for begin in range(0, n, PART)]
    with _workers(way) as submit, tempfile.TemporaryDirectory() as tables:
        timed = Timed(submit)
        disk = 0.0

        def look(text: str) -> None:
            nonlocal disk
            if text.startswith("scored 1 "):
                disk = sum(f.stat().st_size for f in Path(tables).rglob("*.npy")) / 2**20

        start, began = time.perf_counter(), time.process_time()
        ranked = rank_parts(parts, known, PROTOCOL, executor=timed, folder=Path(tables), say=look)  # type: ignore[arg-type]
        wall, spent = time.perf_counter() - start, time.process_time() - began
    making = sum(float(f.read_text(encoding="utf-8")) for f in folder.glob("made-*"))
    tasks = sum(timed.cpu.values())
    print(json.dumps({
        "first": timed.cpu["count_part"] - making,
        "second": timed.cpu["score_part"] + timed.cpu.get("sum_part", 0.0),
        "rest": spent - (tasks if way == WAYS[0] else 0.0),
        "wall": wall, "making": making, "parent": _memory(), "worker": timed.memory,
        "disk": disk, "texts": texts, "terms": ranked.terms, "digest": digest(ranked),
    }))  # fmt: skip


def digest(ranked: Ranked) -> str:
    """Of the order, with all scores."""
    lines = (f"{pmid} {score!r}\n" for pmid, score in ranked.order)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int, nargs="?", default=50_000)
    parser.add_argument("--way", choices=WAYS, action="append", help="one of them alone")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.folder:
        one_way(wanted.records, wanted.way[0], wanted.folder)
    else:
        run(wanted.records, tuple(wanted.way or WAYS))


if __name__ == "__main__":
    main()
