"""Raw replies: kept as they came, run again without a network, bounded, whole after a kill."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.errors import SourceBusy, SourceError, UnknownName
from evidence.fetch import Eutils, Limiter
from evidence.pubmed import search
from evidence.pubmed.archive import Archive, limit_from, replay
from evidence.retrieval import update_claim
from evidence.store import Store
from tests.eutils_records import invent
from tests.eutils_server import EutilsServer, Fault

TODAY = dt.date(2026, 3, 2)
KEY = "0123456789abcdefSECRETf00d"
QUERY = "study[tiab]"


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(120)) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evidence.sqlite") as store:
        yield store


def client(server: EutilsServer, folder: Path, archive: Archive, **options: object) -> Eutils:
    limiter = Limiter(folder / "limiter", 10_000)
    return Eutils(server.url, limiter=limiter, sleep=lambda s: None, keep=archive.keep, **options)


def run(server: EutilsServer, folder: Path, store: Store, on: dt.date = TODAY) -> Archive:
    archive = Archive(folder / "archive")
    with contextlib.closing(client(server, folder, archive)) as eutils:
        update_claim("all", QUERY, eutils, store, on=on, archive=archive)
    return archive


def lines(archive: Archive) -> list[dict[str, object]]:
    return [json.loads(line) for line in archive.index.read_text().splitlines()]


def test_every_reply_is_kept_as_it_came_with_what_was_asked(server, store, tmp_path):
    server.faults += [Fault("500"), Fault("html")]
    archive = run(server, tmp_path, store)
    replies = [line for line in lines(archive) if "reply" in line]
    assert [line["utility"] for line in replies] == [r.endpoint for r in server.requests]
    assert [line["status"] for line in replies[:3]] == [500, 200, 200]
    assert replies[2]["request"]["term"] == QUERY
    page = json.loads(archive.body(replies[2]["reply"]))
    assert page["esearchresult"]["count"] == "120"
    assert archive.body(replies[-1]["reply"]).endswith(b"</PubmedArticleSet>")


def test_the_key_reaches_no_file_even_where_the_reply_repeats_it(server, tmp_path):
    archive = Archive(tmp_path / "archive")
    server.faults.append(Fault("bad-key"))
    with (
        contextlib.closing(client(server, tmp_path, archive, api_key=KEY)) as eutils,
        pytest.raises(SourceError, match="refuses the API key"),
    ):
        search.find(QUERY, eutils)
    kept = [p for p in archive.folder.rglob("*") if p.is_file()]
    assert len(kept) == 3
    for path in kept:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        assert KEY.encode() not in text
    assert b"[key]" in archive.body(lines(archive)[0]["reply"])


def test_a_search_is_run_again_from_the_archive_with_the_same_pmids(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    expected = tuple(store.members("all"))
    server.records.clear()  # what PubMed says now does not matter
    for when in ("2026-03-02", archive.run, archive.run[:9], "last"):
        logged = archive.search("all", when)
        found = replay(archive, logged)
        assert found.pmids == expected
        assert (found.query, found.count) == (QUERY, 120)
        assert found.translation == "study[Title/Abstract]"


def test_the_last_search_of_a_day_is_the_one_that_is_meant(server, store, tmp_path):
    run(server, tmp_path, store)
    del server.records[next(iter(server.records))]
    archive = run(server, tmp_path, store)
    assert replay(archive, archive.search("all", "2026-03-02")).count == 119
    assert len(archive.searches("all")) == 2


def test_a_run_that_is_not_archived_is_refused_with_those_that_are(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    with pytest.raises(UnknownName, match="2020-01-01") as caught:
        archive.search("all", "2020-01-01")
    assert archive.run in str(caught.value)


def test_a_result_beyond_the_window_is_run_again_from_all_its_parts(
    server, store, tmp_path, monkeypatch
):
    monkeypatch.setattr(search, "WINDOW", 17)
    archive = run(server, tmp_path, store)
    logged = archive.search("all", "last")
    assert len(logged.parts) > 7
    assert replay(archive, logged).pmids == tuple(server.records)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_damaged_archive_never_gives_other_pmids(server, store, tmp_path, damage):
    archive = run(server, tmp_path, store)
    logged = archive.search("all", "last")
    digest = logged.parts[0].reply
    path = archive.folder / "bodies" / digest[:2] / f"{digest}.gz"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.write_bytes(gzip.compress(archive.body(digest).replace(b"90000001", b"90000002")))
    with pytest.raises(SourceError, match="no longer holds" if damage == "missing" else "damaged"):
        replay(archive, logged)


def test_a_search_that_failed_is_not_offered_for_replay(server, store, tmp_path):
    archive = Archive(tmp_path / "archive")
    server.faults.append(Fault("500", times=99))
    with (
        contextlib.closing(client(server, tmp_path, archive)) as eutils,
        pytest.raises(SourceBusy),
    ):
        update_claim("all", QUERY, eutils, store, on=TODAY, archive=archive)
    assert archive.searches("all") == ()
    assert len(lines(archive)) == 6


def test_a_line_that_a_kill_cut_short_costs_only_itself(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    with archive.index.open("ab") as index:
        index.write(b'{"search": "all", "ru')
    again = run(server, tmp_path, store, on=TODAY + dt.timedelta(1))
    assert [s.on.day for s in again.searches("all")] == [2, 3]


def test_the_archive_keeps_to_its_limit_and_the_last_search_stays(server, store, tmp_path):
    runs = []
    for day in range(6):
        pmid = str(91_000_000 + day)
        server.records[pmid] = invent(1)[0]
        server.records[pmid].pmid = pmid
        runs.append(run(server, tmp_path, store, on=TODAY + dt.timedelta(day)).run)
    archive = Archive(tmp_path / "archive", limit=3_000)
    archive.prune()
    bodies = list((archive.folder / "bodies").glob("*/*.gz"))
    held = {line["run"] for line in lines(archive)}
    assert runs[0] not in held
    assert runs[-1] in held
    assert replay(archive, archive.search("all", "last")).count == 126
    digests = {line["reply"] for line in lines(archive) if "reply" in line}
    assert {p.name.removesuffix(".gz") for p in bodies} == digests
    Archive(tmp_path / "archive", limit=0).prune()
    assert replay(archive, archive.search("all", "last")).count == 126


def test_the_limit_is_read_in_megabytes():
    assert limit_from({}) == 1 << 30
    assert limit_from({"EVIDENCE_ARCHIVE_MB": "5"}) == 5 << 20
    with pytest.raises(SourceError, match="'much' is not a whole number"):
        limit_from({"EVIDENCE_ARCHIVE_MB": "much"})
