"""A mirror in shards answers as one in a single database does, whoever builds and asks it."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import StoreError, ToolkitError
from evidence.mirror import Mirror, Outcome, add, add_mesh
from evidence.mirror.scale import Here, ShardedMirror, add_shards, cluster, engines, ledger_path
from evidence.mirror.scale.add import add_mesh_to_shards
from evidence.mirror.scale.engines import Failed, Workers
from evidence.mirror.scale.shard import build
from evidence.mirror.source import basis_of, withdrawn
from tests.nlm_files import DAY, DESCRIPTORS, QUERY, article, deleted, file_of
from tests.scale_work import Wrong

QUERIES = (
    "all[sb]", "pain[tiab]", "exerci*[tiab] NOT rat[ti]", '"back pain"[tiab:~2]',
    '"pain pain"[ti:~3]', "pain[tw] OR smith j[au]", "2020[dp]", "2020/03:2021[crdt]",
    "hyper*[mh]", "Exercise[mh:noexp]", "thera*[sh]", "random*[pt]", "1:5[uid]",
    "all[sb] NOT english[la]", "hasretractionin", "1 3 7", '"α β"[tiab]', "berg*[lastau]",
)  # fmt: skip


def seen(mirror: Mirror) -> dict[str, Any]:
    """All that a reader can see of a mirror."""
    records = list(mirror.records(mirror.search("all[sb]").pmids.tolist()))
    return {
        "answers": [mirror.search(q, today=DAY).pmids.tolist() for q in QUERIES],
        "records": {r.pmid: (r.version, r.title) for r in records},
        "size": mirror.size,
        "files": mirror.files,
        "gaps": mirror.gaps,
        "quarantined": mirror.quarantined,
        "basis": basis_of(mirror, today=DAY),
        "withdrawn": withdrawn(map(str, range(1, 12)), mirror),
    }


def single(folder: Path, *runs: Sequence[Path]) -> tuple[list[Outcome], dict[str, Any]]:
    outcomes = [add(folder / "one.sqlite", files) for files in runs]
    with Mirror(folder / "one.sqlite") as mirror:
        return outcomes, seen(mirror)


def sharded(
    folder: Path, *runs: Sequence[Path], **choices: Any
) -> tuple[list[Outcome], dict[str, Any]]:
    outcomes = [add_shards(folder / "shards", files, **choices) for files in runs]
    with ShardedMirror(folder / "shards") as mirror:
        return outcomes, seen(mirror)


def year_of(folder: Path, count: int, records: int = 12, seed: int = 0) -> list[Path]:
    """Files whose records are replaced, withdrawn and versioned by later ones."""
    draw = random.Random(seed)
    files = []
    for n in range(1, count + 1):
        parts = [
            article(draw.randint(1, 3 * records), version=draw.choice((1, 1, 1, 2)), seed=n)
            for _ in range(records)
        ]
        gone = draw.sample(range(1, 3 * records), 2)
        files.append(file_of(folder, f"pubmed26n{n:04}.xml.gz", *parts, deleted(*gone)))
    return files


def stray(folder: Path) -> set[str]:
    """Files of shards that the ledger does not know."""
    with ShardedMirror(folder) as mirror, contextlib.closing(mirror.ledger()) as db:
        known = {name for (name,) in db.execute("SELECT name FROM shards")}
    there = {path.name for path in folder.iterdir() if "shard-" in path.name}
    assert known <= there
    return there - known


# ---------------------------------------- one process, any order, any faults


class Moody(Here):
    """Completes tasks in any order, and lets some fail the first time."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.hands = self.draw.randint(1, 3)

    def each(self, work: Any, tasks: Sequence[Any], *, kept: bool = False) -> Iterator[Any]:
        order = list(range(len(tasks)))
        self.draw.shuffle(order)
        for place in order:
            if work is build and len(tasks) > 1 and self.draw.random() < 0.2:
                yield place, Failed("out of sorts")
            else:
                yield place, work(tasks[place])


PART = st.one_of(
    st.tuples(st.just("record"), st.integers(1, 8), st.sampled_from((1, 1, 1, 2, 3))),
    st.tuples(st.just("deleted"), st.integers(1, 8), st.sampled_from((1, 1, 2))),
    st.tuples(st.just("deleted"), st.integers(1, 8), st.none()),
    st.tuples(st.just("broken"), st.integers(1, 8), st.just(1)),
)
FILE = st.tuples(
    st.sampled_from([f"pubmed26n{n:04}.xml.gz" for n in range(1, 7)] + ["a.xml.gz", "b.xml.gz"]),
    st.sampled_from(("", "", "", "again/")),  # the same name in another folder
    st.lists(PART, max_size=5),
    st.sampled_from((False, False, False, False, True)),  # ends early
)


def written(folder: Path, drawn: Any, seed: int) -> Path:
    name, below, parts, is_cut = drawn
    (folder / below).mkdir(exist_ok=True)
    texts = []
    for what, pmid, version in parts:
        if what == "deleted":
            text = deleted(pmid, version=version or 1)
            texts.append(text if version else text.replace(' Version="1"', ""))
        else:
            text = article(pmid, version, seed=seed)
            texts.append(text if what == "record" else text.replace("</Journal>", "", 1))
    path = file_of(folder / below, name, *texts)
    if is_cut:
        path.write_bytes(path.read_bytes()[:-30])
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FILE, max_size=7), st.integers(0, 7), st.integers(1, 3), st.integers(0, 99))
def test_any_files_in_any_grouping_and_order_give_what_one_database_gives(
    tmp_path_factory, drawn, split, most_files, seed
):
    folder = tmp_path_factory.mktemp("law")
    files = [written(folder, one, n % 3) for n, one in enumerate(drawn)]
    runs = [files[:split], files[split:]]
    expected = single(folder, *runs)
    assert sharded(folder, *runs, engine=Moody(seed), most_files=most_files) == expected
    assert stray(folder / "shards") == set()


class AtFirst(Here):
    """Lets the first of several tasks fail the first time."""

    hands = 4

    def each(self, work: Any, tasks: Sequence[Any], *, kept: bool = False) -> Iterator[Any]:
        for place, task in enumerate(tasks):
            is_down = work is build and len(tasks) > 1 and not place
            yield place, Failed("out of sorts") if is_down else work(task)


def test_files_with_other_names_keep_the_order_given_whatever_fails(tmp_path):
    files = [
        file_of(tmp_path, f"{name}.xml.gz", article(1, title=f"from {name}")) for name in "cab"
    ]
    expected = single(tmp_path, files)
    assert expected[1]["records"]["1"] == (1, "from b")
    assert sharded(tmp_path, files, engine=AtFirst()) == expected


def test_files_with_other_names_come_after_a_second_copy_of_one_of_nlms(tmp_path):
    (tmp_path / "again").mkdir()
    first = file_of(tmp_path, "pubmed26n0001.xml.gz", article(1, title="cut"), article(2))
    first.write_bytes(first.read_bytes()[:-30])
    second = file_of(tmp_path / "again", first.name, article(1, title="whole"))
    own = file_of(tmp_path, "own.xml.gz", article(1, title="own"))
    expected = single(tmp_path, [own, first, second])
    assert expected[1]["records"]["1"] == (1, "own")
    assert sharded(tmp_path, [own, first, second], engine=AtFirst()) == expected


@pytest.mark.parametrize("most_files", [1, 9])
def test_one_content_under_two_names_is_added_once(tmp_path, most_files):
    files = [file_of(tmp_path, f"pubmed26n000{n}.xml.gz", article(1)) for n in (1, 2, 3)]
    expected = single(tmp_path, files)
    assert [file.known for file in expected[0][0].files] == [False, True, True]
    assert sharded(tmp_path, files, most_files=most_files) == expected


def test_a_record_that_an_update_replaces_or_withdraws_is_masked_in_its_shard(tmp_path):
    first = file_of(
        tmp_path,
        "pubmed26n0001.xml.gz",
        *(article(n, title=f"old words {n}") for n in (1, 2, 3, 4)),
        article(4, version=2, title="old second version"),
    )
    second = file_of(
        tmp_path,
        "pubmed26n0002.xml.gz",
        article(1, title="new words"),
        deleted(2),
        deleted(4, version=2),
    )
    add_shards(tmp_path / "s", [first])
    shards = {path: path.read_bytes() for path in (tmp_path / "s").glob("shard-*")}
    add_shards(tmp_path / "s", [second])
    with ShardedMirror(tmp_path / "s") as mirror:
        assert mirror.search('"old words"[ti]').pmids.tolist() == [3, 4]
        assert mirror.search("new[ti]").pmids.tolist() == [1]
        assert [r.title for r in mirror.records([1, 2, 3, 4])] == [
            "new words", "old words 3", "old words 4"
        ]  # fmt: skip
        assert withdrawn(["2", "3", "4"], mirror) == ("2",)
    assert all(path.read_bytes() == data for path, data in shards.items())


def test_an_open_mirror_sees_shards_that_are_added_meanwhile(tmp_path):
    first, second = year_of(tmp_path, 2)
    add_shards(tmp_path / "s", [first])
    with ShardedMirror(tmp_path / "s") as mirror:
        before = mirror.files
        add_shards(tmp_path / "s", [second])
        assert (before, mirror.files) == (1, 2)
        assert seen(mirror) == single(tmp_path, [first, second])[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mirror, ShardedMirror]:
    folder = tmp_path_factory.mktemp("pair")
    files = year_of(folder, 6, records=50)
    add(folder / "one.sqlite", files)
    add_shards(folder / "s", files, most_files=2)
    (folder / "desc.xml").write_text(DESCRIPTORS)
    assert add_mesh(folder / "one.sqlite", [folder / "desc.xml"]) == add_mesh_to_shards(
        folder / "s", [folder / "desc.xml"]
    )
    return Mirror(folder / "one.sqlite"), ShardedMirror(folder / "s")


@settings(max_examples=80, deadline=None)
@given(QUERY)
def test_every_query_finds_the_same_in_shards(pair, query):
    one, many = (mirror.search(query, today=DAY) for mirror in pair)
    assert one.pmids.tolist() == many.pmids.tolist()
    assert one.approximations == many.approximations


def test_narrower_headings_and_stems_do_not_depend_on_what_a_shard_holds(pair):
    for query in ("complaints[mh]", "backache[majr]", "hyper*[mh]", "smit*[au]", "exer*[tiab]"):
        one, many = (mirror.search(query).pmids.tolist() for mirror in pair)
        assert one == many
        assert one, query


# ---------------------------------------- killed, or twice at once

CHILD = """
import os, sys
from pathlib import Path
from unittest import mock
from evidence.mirror.scale import add, ledger, shard
from evidence.mirror.scale import add_shards
module, name, nth = sys.argv[1:4]
module = {"shard": shard, "ledger": ledger, "add": add}[module]
real, calls = getattr(module, name), []
def dying(*args, **choices):
    calls.append(1)
    if len(calls) == int(nth):
        os._exit(9)
    return real(*args, **choices)
with mock.patch.object(module, name, dying):
    add_shards(Path(sys.argv[4]), [Path(p) for p in sys.argv[5:]], most_files=1)
"""


@pytest.mark.parametrize(
    "place",
    [
        ("shard", "merge", 3),  # a shard is filled, but has no name yet
        ("add", "take", 3),  # it has its name, but is not in the ledger
        ("ledger", "settle", 2),  # it is half in the ledger
    ],
)
def test_a_run_that_is_killed_is_taken_up_without_loss_or_doubling(tmp_path, place):
    files = year_of(tmp_path, 5)
    command = [sys.executable, "-c", CHILD, *map(str, place), str(tmp_path / "shards")]
    killed = subprocess.run([*command, *map(str, files)], check=False)
    assert killed.returncode == 9
    assert stray(tmp_path / "shards")
    (outcome,), state = sharded(tmp_path, files)
    assert 0 < sum(file.known for file in outcome.files) < 5
    assert state == single(tmp_path, files)[1]
    assert stray(tmp_path / "shards") == set()


def test_two_runs_do_not_add_to_one_folder_at_once(tmp_path):
    files = year_of(tmp_path, 2)

    class Meanwhile(Here):
        def each(self, work, tasks, *, kept=False):
            with pytest.raises(StoreError, match="another run is adding"):
                add_shards(tmp_path / "s", files)
            return super().each(work, tasks, kept=kept)

    add_shards(tmp_path / "s", files, engine=Meanwhile())


def test_a_part_of_a_mirror_in_shards_is_no_mirror_by_itself(tmp_path):
    add_shards(tmp_path / "s", year_of(tmp_path, 1))
    for path in (tmp_path / "s").glob("*.sqlite"):
        with pytest.raises(StoreError, match="part of a mirror in shards"):
            Mirror(path)
        with pytest.raises(StoreError, match="part of a mirror in shards"):
            add(path, [])
    with pytest.raises(StoreError, match="there is no mirror"):
        ShardedMirror(tmp_path / "none")


def test_a_shard_that_is_gone_makes_no_answer(tmp_path):
    add_shards(tmp_path / "s", year_of(tmp_path, 3), most_files=1)
    next((tmp_path / "s").glob("shard-*")).unlink()
    with ShardedMirror(tmp_path / "s") as mirror, pytest.raises(StoreError, match="no mirror at"):
        mirror.search("pain[ti]")


# ---------------------------------------- workers over TCP


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    # Before anything is set: what is set for a package that did not yet state its defaults takes
    # them along when it ends, and whoever asks for a cluster later finds none.
    importlib.import_module("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        cluster("local", most=2) as made,
    ):
        yield made


class Sabotaged(Workers):
    """Real workers; a shard with a certain file goes wrong on them."""

    def __init__(self, workers: Workers, wrong: Wrong) -> None:
        super().__init__(workers.client, workers.refill)
        self.wrong = wrong

    def each(self, work: Any, tasks: Sequence[Any], *, kept: bool = False) -> Iterator[Any]:
        return super().each(self.wrong if work is build else work, tasks, kept=kept)


def test_workers_build_and_answer_as_one_database_does(tmp_path, workers):
    files = year_of(tmp_path, 5)
    files.append(file_of(tmp_path, "own.xml.gz", article(3, title="from elsewhere")))
    files[1].write_bytes(files[1].read_bytes()[:-20])
    expected = single(tmp_path, files[:4], files)
    assert sharded(tmp_path, files[:4], files, engine=workers) == expected
    with ShardedMirror(tmp_path / "shards", engine=workers) as mirror:
        found = [mirror.search(query, today=DAY).pmids.tolist() for query in QUERIES]
    assert found == expected[1]["answers"]


def test_a_worker_that_is_killed_in_the_middle_of_a_task_is_replaced(tmp_path, workers):
    files = year_of(tmp_path, 4)

    def killer() -> None:
        note = tmp_path / "pid"
        while not note.exists() or not note.read_text():
            time.sleep(0.02)
        os.kill(int(note.read_text()), signal.SIGKILL)

    threading.Thread(target=killer, daemon=True).start()
    wrong = Sabotaged(workers, Wrong("n0002", "wait", str(tmp_path)))
    assert sharded(tmp_path, files, engine=wrong, most_files=1) == single(tmp_path, files)
    assert (tmp_path / "pid").exists()
    add_shards(tmp_path / "shards", [])
    assert stray(tmp_path / "shards") == set()


@pytest.mark.parametrize("how", ["fail", pytest.param("die", marks=pytest.mark.slow)])
def test_a_file_that_no_worker_completes_is_named_and_the_rest_goes_on(tmp_path, workers, how):
    files = year_of(tmp_path, 4)
    wrong = Sabotaged(workers, Wrong("n0002", how, str(tmp_path)))
    (outcome,), state = sharded(tmp_path, files, engine=wrong)
    why = {
        "fail": "the disk is on fire",
        "die": "every worker that tried it was ended, perhaps for want of memory",
    }[how]
    assert outcome.refused == (f"{files[1]}: {why}",)
    assert outcome.exit_code == 1
    assert outcome.gaps == ("pubmed26n0002",)
    assert state == single(tmp_path, [files[0], *files[2:]])[1]
    (again,), state = sharded(tmp_path, files, engine=workers)
    assert [file.known for file in again.files] == [True, False, True, True]
    assert state == single(tmp_path, files)[1]


def test_workers_that_do_not_see_the_folder_are_named(tmp_path, workers):
    with pytest.raises(ToolkitError, match=r"(\d) of \1 workers cannot use") as fault:
        workers.check(tmp_path / "elsewhere")
    assert "on a disk that all share" in str(fault.value)


# ---------------------------------------- the terminal


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["--root", str(folder), "mirror", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_commands_work_on_shards(tmp_path, workers):
    files = year_of(tmp_path, 3)
    count = single(tmp_path, files)[1]["answers"][1]
    where = ["--shards", str(tmp_path / "s")]
    there = [*where, "--scheduler", workers.address]
    code, out, err = run(tmp_path, "add", *map(str, files), *there)
    assert (code, out) == (
        0,
        "3 files added with 36 records and 6 deletions; 0 were there already\n",
    )
    assert "12 records" in err
    for choice in (where, there):
        code, out, _ = run(tmp_path, "search", "pain[tiab]", "--count", *choice)
        assert (code, out) == (0, f"{len(count)}\n")
    code, out, _ = run(tmp_path, "search", "pain[tiab]", "--json", *where)
    assert [int(pmid) for pmid in json.loads(out)["pmids"]] == count
    assert run(tmp_path, "search", "pain[tiab]", *where)[1].startswith(f"{len(count)} records\n")
    (tmp_path / "desc.xml.gz").write_bytes(gzip.compress(DESCRIPTORS.encode()))
    code, out, _ = run(tmp_path, "mesh", str(tmp_path / "desc.xml.gz"), *where)
    assert (code, out) == (0, "5 headings, 2 types\n")
    assert run(tmp_path, "search", "complaints[mh]", "--count", *where)[0] == 0


def test_wrong_usage_is_told(tmp_path):
    file = str(year_of(tmp_path, 1)[0])
    for words, told in (
        (("add", file, "--scheduler", "local"), "--scheduler needs --shards"),
        (("search", "x[ti]", "--db", "a", "--shards", "b"), "give one of them"),
    ):
        code, _, err = run(tmp_path, *words)
        assert code == 2
        assert told in err


def test_what_is_missing_is_told_with_a_remedy(tmp_path, monkeypatch):
    file = str(year_of(tmp_path, 1)[0])
    monkeypatch.setattr(engines, "_CONNECT_S", 0.3)
    there = ("--shards", str(tmp_path / "s"), "--scheduler", "tcp://127.0.0.1:9")
    code, _, err = run(tmp_path, "add", file, *there)
    assert code == 1
    assert "no scheduler with workers answers at tcp://127.0.0.1:9" in err
    assert "try: start them: dask scheduler" in err
    code, _, err = run(tmp_path, "add", file, *there[:3], "tls://127.0.0.1:9")
    assert code == 1
    assert "error: there are no certificates for TLS\ntry: set DASK_" in err
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = run(tmp_path, "add", file, *there)
    assert code == 1
    assert 'error: Dask is not installed\ntry: pip install "living-evidence[scale]"' in err
    assert not ledger_path(tmp_path / "s").exists()


@pytest.mark.slow
def test_a_scheduler_and_workers_from_the_shell(tmp_path):
    dask_command = [sys.executable, "-m", "dask"]
    place = ["--scheduler-file", str(tmp_path / "scheduler.json")]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [
        subprocess.Popen([*dask_command, *words, *place], cwd=tmp_path, **quiet)
        for words in (
            ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
            ["worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
        )
    ]
    try:
        while not (tmp_path / "scheduler.json").exists():
            time.sleep(0.05)
        address = json.loads((tmp_path / "scheduler.json").read_text())["address"]
        files = year_of(tmp_path, 4)
        with cluster(address) as made:
            assert sharded(tmp_path, files, engine=made) == single(tmp_path, files)
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)
