"""Whatever PubMed does wrong, and whenever the run is killed: nothing is lost, nothing is half."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from evidence.fetch import Eutils, Limiter
from evidence.pubmed import search
from evidence.pubmed.archive import Archive, replay
from evidence.retrieval import update_all
from evidence.store import Store
from tests.eutils_query import Query
from tests.eutils_records import FIRST_PMID, Article, invent
from tests.eutils_server import Chaos, EutilsServer

TODAY = dt.date(2026, 3, 2)
CLAIMS = (
    ("everything", "study[tiab]"),
    ("exercise", "exercise[tiab] NOT animals[mh]"),
    ("lactate", "lactate[tiab] AND bdnf[tiab]"),
)


def truth(server: EutilsServer, query: str) -> set[str]:
    return Query(query).run(list(server.records.values()))


def move_on(server: EutilsServer, rng: random.Random, day: dt.date) -> None:
    """New records, revised ones, one retracted, one withdrawn."""
    for _ in range(rng.randint(0, 3)):
        pmid = str(rng.randint(FIRST_PMID + 5_000, FIRST_PMID + 900_000))
        title = f"Exercise study of {day}."
        server.records[pmid] = Article(pmid, title=title, mesh=("Humans",), revised=day)
    for pmid in rng.sample(list(server.records), 3):
        old = server.records[pmid]
        title = f"Study {rng.random()}."
        server.records[pmid] = dataclasses.replace(old, title=title, revised=day)
    pmid = rng.choice(list(server.records))
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], retracted_in="98000001", revised=day
    )
    del server.records[rng.choice(list(server.records))]


def published(store: Store, claim: str) -> tuple[object, ...]:
    """What a page shows: the set and the searches. A record of the set may arrive before it."""
    return store.members(claim), store.runs(claim)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 25))]
)
def test_after_faults_at_random_one_more_update_gives_exactly_the_truth(
    seed, tmp_path, monkeypatch
):
    monkeypatch.setattr(search, "WINDOW", 60)
    rng = random.Random(seed)
    included = [str(FIRST_PMID + 7 * n) for n in (3, 12, 40)]
    failures = 0
    with EutilsServer(invent(220, seed=seed)) as server, Store(tmp_path / "s.sqlite") as store:

        def update(day: dt.date):
            limiter = Limiter(tmp_path / "limiter", 10_000)
            archive = Archive(tmp_path / "archive")
            eutils = Eutils(
                server.url,
                limiter=limiter,
                sleep=lambda s: None,
                rng=random.Random(seed),
                keep=archive.keep,
            )
            with contextlib.closing(eutils):
                return update_all(CLAIMS, included, eutils, store, on=day, archive=archive)

        for round_ in range(4):
            day = TODAY + dt.timedelta(round_)
            server.chaos = Chaos(100 * seed + round_, rate=0.35)
            before = {claim: published(store, claim) for claim, _ in CLAIMS}
            told = update(day)
            for retrieval in told.claims:
                if retrieval.problem is not None:
                    failures += 1
                    assert not told.complete
                    assert published(store, retrieval.claim) == before[retrieval.claim]
            move_on(server, rng, day)
        server.chaos = None
        healed = update(day)
        assert healed.complete or healed.included.lost
        for claim, query in CLAIMS:
            expected = truth(server, query)
            assert set(store.members(claim)) == expected
            held = {r.pmid: r for r in store.records(claim)}
            assert set(held) == expected
            for pmid in expected:
                article = server.records[pmid]
                assert held[pmid].title == article.title
                assert held[pmid].retracted == bool(article.retracted_in)
            archive = Archive(tmp_path / "archive")
            again = replay(archive, archive.search(claim, "last"))
            assert set(again.pmids) == expected
        quiet = update(day)
        assert all(r.requests == 2 for r in quiet.claims if r.run.count <= search.WINDOW)
    assert failures, "no fault was met: the test proves nothing"


# --- kill -9 ---------------------------------------------------------------------------------

COMMAND = """
    import sys
    from evidence.pubmed import search
    from evidence.cli import main
    search.WINDOW = 40
    main(sys.argv[1:])
"""
CLAIM = "hiit-bdnf"


def environment(url: str, folder: Path) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NCBI_", "EVIDENCE_"))}
    return keep | {
        "EVIDENCE_EUTILS_URL": url,
        "NCBI_API_KEY": "0123456789abcdef0123456789abcdef0123",
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }


@pytest.mark.slow
def test_searches_killed_at_random_moments_lose_nothing(root, tmp_path):
    review = tmp_path / "review"
    (review / "queries").mkdir(parents=True)
    (review / "extracted" / CLAIM).mkdir(parents=True)
    name = f"queries/{CLAIM}.toml"
    (review / name).write_bytes((root / name).read_bytes())
    for path in (root / "extracted" / CLAIM).glob("*.csv"):
        (review / "extracted" / CLAIM / path.name).write_bytes(path.read_bytes())
    rng = random.Random(11)
    articles = {a.pmid: a for a in invent(180, seed=5)}

    def everything(query: str, article: Article) -> bool:
        return int(article.pmid) % 5 != 0

    with EutilsServer(articles.values(), matches=everything) as server:

        def start(*words: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    textwrap.dedent(COMMAND),
                    "--root",
                    str(review),
                    "search",
                    CLAIM,
                    *words,
                ],
                cwd=root,
                env=environment(server.url, tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        killed = 0
        for _ in range(10):
            asked = len(server.requests)
            running = start()
            while len(server.requests) == asked and running.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 2.5))
            if running.poll() is None:
                running.send_signal(signal.SIGKILL)
                killed += 1
            running.communicate()
            with Store(review / "var" / "evidence.sqlite") as store:
                members = set(store.members(CLAIM))
                whole = {p for p, a in server.records.items() if everything("", a)}
                assert members in (set(), whole), "a set that is half was published"
        assert killed >= 3
        running = start("--json")
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
        told = json.loads(out)["searches"][0]
        assert told["count"] == len(whole)
        with Store(review / "var" / "evidence.sqlite") as store:
            assert set(store.members(CLAIM)) == whole
            titles = {r.pmid: r.title for r in store.records(CLAIM)}
            assert titles == {p: articles[p].title for p in whole}
        server.records.clear()
        running = start("--replay", "last", "--json")
        out, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
        assert set(json.loads(out)["pmids"]) == whole
