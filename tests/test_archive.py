"""Raw replies: kept as they came, run again without a network, bounded, whole after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evidence.cli import main
from evidence.errors import SourceBusy, SourceError
from evidence.fetch import Eutils, Limiter
from evidence.model import Record
from evidence.pubmed import search
from evidence.pubmed.archive import Archive, limit_from, replay
from evidence.pubmed.replayed import Replayed, replay_records
from evidence.retrieval import update_claim
from evidence.store import Store
from tests.eutils_records import Article, invent
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
    with pytest.raises(SourceError, match="no search of all is archived under '2020-01-01'") as one:
        archive.search("all", "2020-01-01")
    assert archive.run in str(one.value)
    with pytest.raises(SourceError, match="none is archived yet") as none:
        archive.search("other", "last")
    assert none.value.remedy == "evidence search other"


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


def test_bodies_that_a_kill_left_half_written_are_swept_away(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    body = next((archive.folder / "bodies").glob("*/*.gz"))
    body.with_name(f".{body.name}.0a1b2c3d.part").write_bytes(b"half")
    body.with_name(".another.gz.0a1b2c3d.part").write_bytes(b"half")
    archive.prune()
    assert list(body.parent.iterdir()) == [body]


def test_the_limit_is_read_in_megabytes():
    assert limit_from({}) == 1 << 30
    assert limit_from({"EVIDENCE_ARCHIVE_MB": "5"}) == 5 << 20
    with pytest.raises(SourceError, match="'much' is not a whole number"):
        limit_from({"EVIDENCE_ARCHIVE_MB": "much"})


# --- the records of an archived search -----------------------------------------------------------


def replayed(archive: Archive, when: str = "last") -> Replayed:
    logged = archive.search("all", when)
    return replay_records(archive, logged, replay(archive, logged).pmids)


def test_the_records_of_a_search_are_given_again_as_pubmed_sent_them(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    found = replayed(archive)
    assert tuple(a.record for a in found.records) == store.records("all")
    assert (found.of_run, found.not_archived, found.not_served) == (len(found.records), (), ())
    for one in found.records:
        assert f">{one.record.pmid}</PMID>".encode() in archive.body(one.reply)


def test_records_that_an_earlier_run_received_are_taken_from_there(server, store, tmp_path):
    first = run(server, tmp_path, store)
    pmid = sorted(server.records)[3]
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], journal="Later", revised=TODAY + dt.timedelta(days=9)
    )
    server.records["91000000"] = Article("91000000", title="One more study.")
    second = run(server, tmp_path, store, TODAY + dt.timedelta(days=10))
    now = replayed(second, second.run)
    assert tuple(a.record for a in now.records) == store.records("all")
    assert now.of_run == 2
    then = replayed(second, first.run)  # what came later tells of a later state
    by_pmid = {a.record.pmid: a.record for a in then.records}
    assert by_pmid[pmid].journal != "Later"
    assert "91000000" not in by_pmid
    assert (then.of_run, then.not_archived) == (120, ())


def test_records_whose_replies_are_gone_or_never_came_are_named(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    fetched = [line for line in lines(archive) if line.get("utility") == "efetch"]
    gone = fetched[0]["request"]["id"].split(",")
    (archive.folder / "bodies" / fetched[0]["reply"][:2] / f"{fetched[0]['reply']}.gz").unlink()
    found = replayed(archive)
    assert set(found.not_archived) == set(gone)
    assert {a.record.pmid for a in found.records}.isdisjoint(gone)


def test_a_record_that_pubmed_did_not_serve_is_told_apart_from_one_not_archived(
    server, store, tmp_path
):
    pmid = sorted(server.records)[5]
    server.faults.append(Fault("missing", times=100, on="efetch", pmids=[pmid]))
    archive = run(server, tmp_path, store)
    found = replayed(archive)
    assert (found.not_served, found.not_archived) == ((pmid,), ())
    assert len(found.records) == 119


def test_a_reply_that_was_cut_short_gives_no_record_and_the_next_one_does(server, store, tmp_path):
    server.faults.append(Fault("cut-set", on="efetch"))
    archive = run(server, tmp_path, store)
    found = replayed(archive)
    assert (len(found.records), found.not_archived) == (120, ())
    whole = [line["reply"] for line in lines(archive) if line.get("utility") == "efetch"]
    assert {a.reply for a in found.records} <= set(whole[1:])


def test_a_damaged_reply_is_never_taken_for_a_record(server, store, tmp_path):
    archive = run(server, tmp_path, store)
    (reply,) = {line["reply"] for line in lines(archive) if line.get("utility") == "efetch"}
    path = archive.folder / "bodies" / reply[:2] / f"{reply}.gz"
    path.write_bytes(gzip.compress(b"<PubmedArticleSet></PubmedArticleSet>"))
    with pytest.raises(SourceError, match="the archive is damaged"):
        replayed(archive)


def test_the_command_writes_the_records_and_accounts_for_each(server, root, tmp_path):
    review = tmp_path / "review"
    (review / "queries").mkdir(parents=True)
    shutil.copy(root / "queries/hiit-bdnf.toml", review / "queries")
    env = {"EVIDENCE_EUTILS_URL": server.url, "XDG_CACHE_HOME": str(tmp_path)}

    def ran(*words: str) -> Result:
        return CliRunner().invoke(main, ["--root", str(review), "search", *words], env=env)

    assert ran("hiit-bdnf").exit_code == 0
    asked = len(server.requests)
    path = tmp_path / "then.jsonl"
    done = ran("hiit-bdnf", "--replay", "last", "--records", str(path), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["records"]["of_this_run"] == told["count"] > 0
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [r["pmid"] for r in records] == told["pmids"]
    archived = records[0].pop("archived")
    assert (archived["run"], Record.from_json(records[0]).pmid) == (told["run"], told["pmids"][0])
    assert len(server.requests) == asked
    for body in (review / "var/archive/bodies").glob("*/*.gz"):
        if b"<PubmedArticleSet" in gzip.decompress(body.read_bytes())[:500]:
            body.unlink()
    done = ran("hiit-bdnf", "--replay", "last", "--records", str(path))
    assert done.exit_code == 1
    assert "0 records as PubMed sent them" in done.stdout
    assert f"{told['count']} records are not in the archive: PMID " in done.stdout
    assert ran("hiit-bdnf", "--records", str(path)).exit_code == 2
