"""The whole command against a bad PubMed, killed at any moment, twice at once: nothing is lost.

The reference is always the same update in a folder where nothing ever went wrong.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.files import alone
from tests.hostile_faults import FAULTS, SLOW
from tests.hostile_server import HostileServer, Plan
from tests.small_review import (
    CLAIMS,
    HURRIED,
    ROOT,
    TOPICS,
    after,
    before,
    broken,
    different,
    environment,
    included_of,
    make,
    members,
    places_of_the_key,
    run,
    start,
    state,
    truth,
)


def today() -> dt.date:
    return dt.datetime.now().astimezone().date()


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    with HostileServer(before(), topics=TOPICS) as server:
        review = make(folder / "review", included_of(before()).pmid)
        ran = run(review, server.url, "update")
        assert ran.code == 0, ran.words
        for claim in CLAIMS:
            assert members(review, claim) == truth(server, claim)
    assert broken(review / "site") == []
    return folder


@pytest.fixture(scope="session")
def expected(_built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The state after an update that nothing disturbed."""
    review = copy_of(_built, tmp_path_factory.mktemp("expected"))
    with HostileServer(after(before(), today()), topics=TOPICS) as server:
        ran = run(review, server.url, "update")
        assert ran.code == 3, ran.words
    return state(review)


@pytest.fixture
def review(_built: Path, tmp_path: Path) -> Path:
    return copy_of(_built, tmp_path)


@pytest.fixture
def pubmed() -> Iterator[HostileServer]:
    with HostileServer(after(before(), today()), topics=TOPICS) as server:
        yield server


def copy_of(built: Path, folder: Path) -> Path:
    return Path(shutil.copytree(built / "review", folder / "review"))


def nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/eutils"


def is_told(out: str) -> bool:
    return "was retracted" in out


# --- faults ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_after_faults_at_random_a_good_update_ends_as_if_there_had_been_none(
    review, pubmed, expected, seed
):
    held = {claim: members(review, claim) for claim in CLAIMS}
    kinds = (None, None, sorted(set(FAULTS) - SLOW), sorted(SLOW))[seed % 4]
    pubmed.plan = Plan(seed, rate=0.6, kinds=kinds, longest=9 if seed % 4 < 3 else 2)
    ran = run(review, pubmed.url, "update", "--json", window=40 if seed == 1 else 9_999)
    assert pubmed.plan.met
    assert ran.code in (0, 1, 3), ran.words
    faults, actions = ran.facts["faults"], ran.facts["actions_needed"]
    assert ran.code == (3 if actions else 1 if faults else 0)
    assert broken(review / "site") == []
    for told in ran.facts["searches"]:
        now = members(review, told["claim"])
        if told["problem"]:
            assert faults
            assert now == held[told["claim"]]
        else:
            assert len(now) == told["count"]
    pubmed.plan = None
    good = run(review, pubmed.url, "update", "--json")
    assert good.code in (0, 3), good.words
    assert (ran.code == 3) + (good.code == 3) == 1, "the retraction is told once"
    assert different(expected, state(review)) == []
    assert list(places_of_the_key(review.parent, ran.out, ran.err, good.out, good.err)) == []


@pytest.mark.slow
def test_an_outage_in_the_middle_is_incomplete_and_one_from_the_start_is_not(
    review, pubmed, expected
):
    held = state(review)
    ran = run(review, nobody(), "update")
    assert ran.code == 0, ran.words
    assert "PubMed was not searched" in ran.out
    assert different({"store": held["store"]}, {"store": state(review)["store"]}) == []
    pubmed.plan = Plan(0, rate=0, down_after=2)
    ran = run(review, pubmed.url, "update")
    assert ran.code == 1, ran.words
    assert "earlier state kept" in ran.out
    assert "PubMed was not searched" not in ran.out, "part of it was"
    pubmed.plan = None
    pubmed.up()
    assert run(review, pubmed.url, "update").code == 3
    assert different(expected, state(review)) == []


# --- kill -9 ---------------------------------------------------------------------------------

# Before and after each of these the process may die; `n` says before or after which.
DYING = HURRIED.replace(
    "from evidence.cli import main",
    """
import os, pathlib, signal
from evidence.steps import updating
from evidence.store import Store

where = sys.argv.pop(1)
left = int(where) if where.isdigit() else 0

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(real):
    def inner(*args, **options):
        step()
        answer = real(*args, **options)
        step()
        return answer
    return inner

for owner, names in (
    (os, ("fsync", "open")),
    (pathlib.Path, ("replace", "unlink", "mkdir")),
    (Store, ("add", "settle", "tell", "tell_states", "keep_slice", "log", "expire")),
):
    for name in names:
        setattr(owner, name, watched(getattr(owner, name)))
if where == "publish":
    updating.publish = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
from evidence.cli import main
""",
)


def dying(review: Path, url: str, where: int | str, *, window: int = 9_999) -> str:
    """An update that is killed at a step, unless it ends before; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(window), str(where), "--root", str(review), "update"],
        cwd=ROOT,
        env=environment(url, review.parent),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_a_retraction_is_told_although_the_run_that_found_it_was_killed_before_it_printed(
    review, pubmed, expected
):
    assert dying(review, pubmed.url, "publish") == ""
    ran = run(review, pubmed.url, "update")
    assert ran.code == 3, ran.words
    assert is_told(ran.out)
    assert different(expected, state(review)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_an_update_killed_at_any_moment_is_completed_by_the_next(review, pubmed, expected, seed):
    rng = random.Random(seed)
    window = (9_999, 9_999, 40)[seed % 3]
    held = {claim: members(review, claim) for claim in CLAIMS}
    told = 0
    for _ in range(2):
        if rng.random() < 0.7:
            told += is_told(dying(review, pubmed.url, rng.randint(1, 250), window=window))
        else:
            running = start(review, pubmed.url, "update", window=window)
            asked = len(pubmed.asked)
            while len(pubmed.asked) == asked and running.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 3))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            told += is_told(running.communicate()[0])
        assert broken(review / "site") == []
        for claim in CLAIMS:
            assert members(review, claim) in (held[claim], truth(pubmed, claim))
    ran = run(review, pubmed.url, "update", window=window)
    assert ran.code in (0, 3), ran.words
    assert told + is_told(ran.out) >= 1
    assert different(expected, state(review)) == []
    assert list(review.rglob("*.part")) == []


# --- two at once -----------------------------------------------------------------------------


def test_of_two_updates_at_once_one_waits_and_nothing_is_lost(review, pubmed, expected):
    words = "another command is at work in this folder: waiting until it has ended\n"
    with alone(review / "var" / "lock", waits=pytest.fail):
        running = [start(review, pubmed.url, "update") for _ in range(2)]
        for process in running:
            assert process.stderr.readline() == words
        assert pubmed.asked == []
    ended = [(*process.communicate(timeout=240), process.returncode) for process in running]
    assert {code for _, _, code in ended} <= {0, 3}, ended
    assert any(is_told(out) for out, _, _ in ended)
    assert different(expected, state(review)) == []
