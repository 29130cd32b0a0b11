"""A mirror on a disk that is full, not to be written, or written by two at once."""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.mirror import Mirror, add
from tests.hostile_server import Paper, papers

ROOT = Path(__file__).resolve().parents[1]
QUERIES = ("invented[tiab]", "lactate[ti]", "nemo n[au]", "all[sb]", '"trial 7"[tiab]')
SPOILT = "<PubmedArticle><MedlineCitation><PMID>none</PMID></MedlineCitation></PubmedArticle>"
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24  # linux/capability.h, prctl.h


def nlm_file(path: Path, records: list[Paper], deleted: list[int]) -> Path:
    """A file of NLM with its sum beside it, and in it a record that cannot be read."""
    gone = "".join(f'<PMID Version="1">{pmid}</PMID>' for pmid in deleted)
    bodies = [p.xml() for p in records]
    xml = f"<PubmedArticleSet>{''.join([*bodies[:9], SPOILT, *bodies[9:]])}"
    xml += f"<DeleteCitation>{gone}</DeleteCitation></PubmedArticleSet>"
    path.write_bytes(gzip.compress(xml.encode(), mtime=0))
    sum_ = hashlib.md5(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.md5").write_text(f"MD5({path.name})= {sum_}\n")
    return path


@pytest.fixture(scope="module")
def nlm(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("nlm")
    known = papers(500, ("interval", "lactate"))
    return [
        nlm_file(
            folder / f"pubmed26n{n:04}.xml.gz",
            known[60 * n : 60 * n + 200],
            [p.pmid for p in known[n::90]],
        )
        for n in range(1, 5)
    ]


def state(mirror: Path) -> tuple[object, ...]:
    with Mirror(mirror) as held:
        found = {query: held.search(query).pmids.tolist() for query in QUERIES}
        records = [record.json() for record in held.records(found["all[sb]"])]
    db = sqlite3.connect(mirror)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    apart = db.execute(
        "SELECT name, line, pmid, why, data FROM quarantine JOIN files ON files.id = file"
        " ORDER BY name, line"
    ).fetchall()
    ledger = db.execute("SELECT name, md5, records, deletions FROM files ORDER BY name").fetchall()
    db.close()
    return found, records, apart, ledger


@pytest.fixture(scope="module")
def whole(nlm: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    mirror = tmp_path_factory.mktemp("whole") / "mirror.sqlite"
    assert add(mirror, nlm).refused == ()
    return mirror


def start(
    words: list[str | Path], mirror: Path, within: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "evidence", "-q", "mirror", *map(str, words)]
    return subprocess.Popen(
        [*command, "--db", str(mirror)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=within,
    )


@pytest.mark.parametrize(
    "share", [0.02, 0.5, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.001, 0.2, 0.95))]
)
def test_a_full_disk_is_told_and_what_was_added_before_is_whole(tmp_path, nlm, whole, share):
    limit = int(share * whole.stat().st_size)
    mirror = tmp_path / "mirror.sqlite"
    running = start(
        ["add", *nlm, "--jobs", "1"],
        mirror,
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    out, err = running.communicate(timeout=120)
    assert running.returncode == 1, out + err
    assert str(mirror) in err
    assert "free some space on the disk" in err
    assert "Traceback" not in err
    done = add(mirror, nlm)
    assert done.refused == ()
    assert state(mirror) == state(whole)


def no_rights_of_root() -> None:
    """Let file permissions count for this process, whoever runs the tests."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                os._exit(77)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux where root runs the tests")
def test_in_a_folder_that_is_not_to_be_written_one_can_search_but_not_add(tmp_path, nlm, whole):
    folder = tmp_path / "fixed"
    folder.mkdir()
    mirror = Path(shutil.copy(whole, folder / "mirror.sqlite"))
    mirror.chmod(0o444)
    folder.chmod(0o555)
    try:
        for jobs, path in (("1", mirror), ("2", folder / "new.sqlite")):
            adding = start(["add", nlm[0], "--jobs", jobs], path, no_rights_of_root)
            out, err = adding.communicate(timeout=120)
            if adding.returncode == 77:
                pytest.skip("root may not lay down its rights here")
            assert adding.returncode == 1, out + err
            assert "check who may write in the mirror's folder" in err
            assert "Traceback" not in err
        asking = start(["search", QUERIES[0], "--count"], mirror, no_rights_of_root)
        out, err = asking.communicate(timeout=120)
        assert asking.returncode == 0, err
        assert int(out) == len(state(whole)[0][QUERIES[0]])
        assert [p.name for p in folder.iterdir()] == ["mirror.sqlite"]
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("run", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_two_that_add_at_once_wait_for_each_other(tmp_path, nlm, whole, run):
    mirror = tmp_path / "mirror.sqlite"
    running = [
        start(["add", *files, "--jobs", str(1 + run % 2)], mirror) for files in (nlm, nlm[::-1])
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert state(mirror) == state(whole)
