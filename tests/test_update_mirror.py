"""The same strategies without a network: a mirror's answers beside PubMed's, and nothing lost.

The records are invented. `EutilsServer` stands for PubMed itself; the mirror is built of the same
records in files named as NLM names its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import json
import random
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import evidence.offline
from evidence.cli import main
from evidence.fetch import Eutils, Limiter
from evidence.held import held_in, members_of
from evidence.mirror import Mirror, add
from evidence.mirror.scale import add_shards
from evidence.mirror.source import basis_of, withdrawn
from evidence.offline import update_all as update_offline
from evidence.retrieval import Retrieval, Update, update_claim
from evidence.store import NEVER, Store
from tests.eutils_records import Article, invent
from tests.eutils_server import EutilsServer

TODAY = dt.date(2026, 3, 2)
QUERY = "exercise[tiab] NOT rats[tiab]"
CLAIM = "walk"


def days(n: int) -> dt.date:
    return TODAY + dt.timedelta(days=n)


def file_of(folder: Path, name: str, articles: Iterable[Article], deleted: Iterable[str] = ()):
    """A file as NLM publishes it."""
    gone = "".join(f'<PMID Version="1">{pmid}</PMID>' for pmid in deleted)
    body = "".join(a.xml() for a in articles)
    if gone:
        body += f"<DeleteCitation>{gone}</DeleteCitation>"
    path = folder / f"{name}.xml.gz"
    text = f"<?xml version='1.0'?>\n<PubmedArticleSet>{body}</PubmedArticleSet>\n"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def build(folder: Path, *files: Path, name: str = "m.sqlite") -> Path:
    outcome = add(folder / name, files)
    assert not outcome.refused
    return folder / name


def offline(
    store: Store,
    mirror: Path,
    query: str = QUERY,
    *,
    on: dt.date = TODAY,
    included: Iterable[str] = (),
    lenient: bool = False,
) -> tuple[Retrieval, Update]:
    with Mirror(mirror) as held:
        update = update_offline([(CLAIM, query)], included, held, store, on=on, lenient=lenient)
    return update.claims[0], update


def names(store: Store) -> set[str]:
    return {record.pmid for record in held_in(store, CLAIM).records}


@pytest.fixture
def articles() -> list[Article]:
    return invent(60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evidence.sqlite") as store:
        yield store


@pytest.fixture
def server(articles: list[Article]) -> Iterator[EutilsServer]:
    with EutilsServer(articles) as server:
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    limiter = Limiter(tmp_path / "limiter", 10_000)
    with contextlib.closing(
        Eutils(server.url, limiter=limiter, sleep=lambda seconds: None)
    ) as eutils:
        yield eutils


def wanted(articles: Iterable[Article]) -> set[str]:
    return {a.pmid for a in articles if " exercise " in a.words and " rats " not in a.words}


# --- the same answer as PubMed's ---------------------------------------------------------------


def test_the_mirror_finds_what_pubmed_finds_and_the_records_are_the_same(
    articles, eutils, store, tmp_path
):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    found, update = offline(store, mirror)
    assert set(found.new) == names(store) == wanted(articles)
    assert (update.complete, update.requests, found.run.source) == (True, 0, "mirror")
    with Store(tmp_path / "online.sqlite") as other:
        online = update_claim(CLAIM, QUERY, eutils, other, on=TODAY)
        assert set(online.new) == set(found.new)
        assert held_in(other, CLAIM).records == held_in(store, CLAIM).records


def test_the_record_of_the_search_names_the_files_and_the_day_that_it_rests_on(
    articles, store, tmp_path
):
    newest = dataclasses.replace(articles[0], revised=dt.date(2026, 2, 20))
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", articles),
        file_of(tmp_path, "pubmed26n0002", [newest]),
    )
    offline(store, mirror)
    (run,) = store.runs(CLAIM)
    assert re.fullmatch(
        r"pubmed26n0001 to pubmed26n0002 \(2 files, 60 records, revised up to 2026-02-20, "
        r"sums [0-9a-f]{8}\)",
        run.basis,
    )
    assert (run.query, run.translation, run.count) == (QUERY, QUERY, len(wanted(articles)))
    assert (run.ran_on, run.complete, run.warnings) == (TODAY, True, ())


def test_a_second_update_without_new_files_changes_nothing(articles, store, tmp_path):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror)
    before = held_in(store, CLAIM)
    again, _ = offline(store, mirror)
    assert (again.new, again.changed, again.retracted, again.dropped) == ((), (), (), ())
    assert held_in(store, CLAIM) == before


def test_the_same_files_are_read_once_and_a_record_that_the_store_lost_comes_back(
    articles, store, tmp_path, monkeypatch
):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror)
    before = held_in(store, CLAIM).records
    store._db.execute("DELETE FROM records WHERE pmid = ?", (int(before[0].pmid),))
    read: list[str] = []
    keep = evidence.offline.keep
    monkeypatch.setattr(
        evidence.offline,
        "keep",
        lambda records, *rest, **on: (
            read.extend(r.pmid for r in records),
            keep(records, *rest, **on),
        )[1],
    )
    offline(store, mirror, on=days(1))
    assert read == [before[0].pmid]
    assert held_in(store, CLAIM).records == before


def test_what_the_records_cannot_decide_is_refused_by_name_and_the_claim_keeps_its_state(
    articles, store, tmp_path
):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror)
    before = names(store)
    refused, update = offline(store, mirror, "exercise OR hippocampus[mh]", on=days(1))
    assert not update.complete
    assert refused.problem is not None
    text = str(refused.problem)
    assert "exercise: " in text
    assert "hippocampus[mh]: " in text
    assert "--lenient" in text
    assert names(store) == before
    assert [run.ran_on for run in store.runs(CLAIM)] == [TODAY]


def test_an_approximation_is_marked_term_by_term_and_drops_nothing(articles, store, tmp_path):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror)
    before = names(store)
    found, update = offline(store, mirror, "hippocampal", on=days(1), lenient=True)
    assert update.complete
    assert [w.partition(": ")[0] for w in found.run.warnings] == ["approximated"]
    assert "approximate (1 term)" in found.summary()
    assert found.dropped == ()
    assert names(store) >= before


# --- what files hold and lack --------------------------------------------------------------------


def test_a_gap_among_the_files_makes_the_run_incomplete_and_nothing_falls_out(
    articles, store, tmp_path
):
    first, second = articles[:40], articles[40:]
    one = file_of(tmp_path, "pubmed26n0001", first)
    offline(store, build(tmp_path, one))
    gone = sorted(wanted(first))[0]
    three = file_of(tmp_path, "pubmed26n0004", second, deleted=[gone])
    found, update = offline(store, build(tmp_path, one, three), on=days(1))
    assert not update.complete
    assert update.missing == ("pubmed26n0002 to pubmed26n0003",)
    assert not found.run.complete
    assert "the mirror lacks files between others: pubmed26n0002 to pubmed26n0003" in (
        found.run.warnings
    )
    assert set(found.new) == wanted(second)  # what is found is no less true
    assert found.dropped == ()
    assert names(store) == wanted(articles)
    two = [file_of(tmp_path, f"pubmed26n000{n}", [], deleted=[str(n)]) for n in (2, 3)]
    whole, update = offline(store, build(tmp_path, *two), on=days(2))
    assert update.complete
    assert (whole.dropped, whole.withdrawn) == ((gone,), (gone,))


def test_files_before_the_first_are_named_and_an_answer_is_complete_for_the_files_held(
    articles, store, tmp_path
):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0007", articles))
    found, update = offline(store, mirror)
    assert update.complete
    assert found.run.warnings == (
        "the mirror does not hold the files before: pubmed26n0001 to pubmed26n0006",
    )


def test_unreadable_records_and_files_of_several_years_are_told(articles, store, tmp_path):
    path = file_of(tmp_path, "pubmed25n0001", articles[:5])
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(
        gzip.compress(
            text.replace(
                "</PubmedArticleSet>",
                "<PubmedArticle><MedlineCitation/></PubmedArticle></PubmedArticleSet>",
            ).encode()
        )
    )
    mirror = build(tmp_path, path, file_of(tmp_path, "pubmed26n0001", articles))
    found, _ = offline(store, mirror)
    assert found.run.warnings[0] == "1 records of the mirror's files could not be read"
    assert found.run.warnings[1].startswith("the mirror holds files of several years")


def test_an_update_file_brings_new_changed_and_deleted_records(articles, store, tmp_path):
    offline(store, build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles)))
    here = sorted(wanted(articles))
    by_pmid = {a.pmid: a for a in articles}
    changed = dataclasses.replace(
        by_pmid[here[0]], journal="Annals of Invention", revised=dt.date(2026, 2, 1)
    )
    reworded = dataclasses.replace(
        by_pmid[here[1]], title="Nothing.", abstract="Of no interest.", keywords=()
    )
    fresh = Article("91000000", title="An exercise for people.")
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0002", [changed, reworded, fresh], deleted=[here[2]]),
    )
    found, update = offline(store, mirror, on=days(1))
    assert found.new == ("91000000",)
    assert found.changed == (here[0],)
    assert set(found.dropped) == {here[1], here[2]}
    assert found.withdrawn == (here[2],)
    assert update.complete
    assert "2 no longer found, 1 of these deleted by NLM" in found.summary()
    assert "91000000" in names(store)
    assert not names(store) & set(found.dropped)


def test_the_highest_version_of_a_record_is_the_one_that_is_kept(articles, store, tmp_path):
    pmid = sorted(wanted(articles))[0]
    (article,) = (a for a in articles if a.pmid == pmid)
    later = dataclasses.replace(article, version=2, journal="Second Version")
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", [later]),
        file_of(tmp_path, "pubmed26n0002", articles),
    )
    offline(store, mirror)
    (held,) = store.get([pmid]).values()
    assert (held.version, held.journal) == (2, "Second Version")


# --- included studies ---------------------------------------------------------------------------


def test_a_retraction_in_an_update_file_is_told_exactly_once(articles, store, tmp_path):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    here, elsewhere = sorted(wanted(articles))[0], "90000001"
    _, first = offline(store, mirror, included=[here])
    assert first.included.retracted == ()
    by_pmid = {a.pmid: a for a in articles}
    notices = [
        dataclasses.replace(
            by_pmid[p], retracted_in="91999999", revised=dt.date(2026, 2, 1), version=1
        )
        for p in {here, elsewhere}
    ]
    build(tmp_path, file_of(tmp_path, "pubmed26n0002", notices))
    _, told = offline(store, mirror, included=[here, elsewhere], on=days(1))
    assert set(told.included.retracted) == {here, elsewhere}
    _, again = offline(store, mirror, included=[here, elsewhere], on=days(2))
    assert again.included.retracted == ()
    assert held_in(store, CLAIM, [here]).retracted == {here}


def test_errata_and_concerns_of_included_studies_are_states_of_their_own(articles, store, tmp_path):
    article = dataclasses.replace(
        articles[0],
        notices=[
            ("ErratumIn", "J Invent. 2022;1:1", "91999998"),
            ("ExpressionOfConcernIn", "J Invent. 2023;1:1", "91999997"),
        ],
    )
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", [article, *articles[1:]]))
    _, update = offline(store, mirror, included=[article.pmid])
    assert {s.state for s in update.included.states} == {"erratum", "concern"}
    _, again = offline(store, mirror, included=[article.pmid], on=days(1))
    assert again.included.states == ()


def test_an_included_study_that_nlm_deleted_is_lost_and_one_not_held_is_named(
    articles, store, tmp_path
):
    gone = articles[3].pmid
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", articles),
        file_of(tmp_path, "pubmed26n0002", [], deleted=[gone]),
    )
    _, update = offline(store, mirror, included=[gone, "12345678", articles[4].pmid])
    assert (update.included.lost, update.included.unknown) == ((gone,), ("12345678",))
    assert not update.complete


def test_a_deleted_record_that_came_back_is_not_deleted(articles, tmp_path):
    pmid = articles[0].pmid
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", articles),
        file_of(tmp_path, "pubmed26n0002", [], deleted=[pmid, articles[1].pmid]),
        file_of(tmp_path, "pubmed26n0003", [articles[0]]),
    )
    with Mirror(mirror) as held:
        assert withdrawn([a.pmid for a in articles], held) == (articles[1].pmid,)


# --- PubMed and a mirror in turn ----------------------------------------------------------------


def test_a_mirror_that_holds_less_drops_nothing_that_pubmed_found(
    articles, eutils, store, tmp_path
):
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles[:10]))
    found, _ = offline(store, mirror, on=days(1))
    assert (found.new, found.dropped) == ((), ())
    assert names(store) == wanted(articles)
    again = update_claim(CLAIM, QUERY, eutils, store, on=days(2))
    assert (again.new, again.dropped) == ((), ())
    assert names(store) == wanted(articles)


def test_a_mirror_that_is_made_anew_and_smaller_drops_nothing(articles, store, tmp_path):
    offline(store, build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles)))
    small = build(tmp_path, file_of(tmp_path, "pubmed27n0001", articles[:10]), name="n.sqlite")
    found, _ = offline(store, small, on=days(1))
    assert found.dropped == ()
    assert set(found.absent) == wanted(articles) - {a.pmid for a in articles[:10]}
    assert "kept that the mirror does not hold" in found.summary()
    assert names(store) == wanted(articles)


def test_a_mirror_with_older_copies_drops_nothing(articles, store, tmp_path):
    offline(store, build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles)))
    pmid = sorted(wanted(articles))[0]
    older = [
        dataclasses.replace(
            a, title="Before.", abstract="", keywords=(), revised=dt.date(2019, 1, 1)
        )
        if a.pmid == pmid
        else a
        for a in articles
    ]
    old = build(tmp_path, file_of(tmp_path, "pubmed25n0001", older), name="old.sqlite")
    found, _ = offline(store, old, on=days(1))
    assert (found.dropped, found.absent) == ((), (pmid,))
    assert store.get([pmid])[pmid].title != "Before."


def test_an_older_mirror_takes_no_retraction_back(articles, server, eutils, store, tmp_path):
    pmid = sorted(wanted(articles))[0]
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], retracted_in="91999999", revised=dt.date(2026, 2, 1)
    )
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    found, _ = offline(store, mirror, on=days(1), included=[pmid])
    assert found.changed == ()
    assert store.get([pmid])[pmid].retracted
    assert [s.state for s in store.states([pmid])] == ["retraction"]


@pytest.mark.parametrize("later", [0, 1])
def test_a_retraction_without_a_later_date_is_taken_from_the_mirror(
    articles, eutils, store, tmp_path, later
):
    # NLM: "Do not depend on ... DateRevised ... to indicate that a record has been maintained."
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    pmid = sorted(wanted(articles))[0]
    (article,) = (a for a in articles if a.pmid == pmid)
    revised = article.revised + dt.timedelta(days=later)
    noted = dataclasses.replace(article, retracted_in="91999999", revised=revised)
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", articles),
        file_of(tmp_path, "pubmed26n0002", [noted]),
    )
    found, _ = offline(store, mirror, on=days(1))
    assert found.retracted == (pmid,)
    assert store.fetched_on([pmid]) == {pmid: NEVER}  # PubMed is asked for it the next time


def test_pubmed_is_asked_for_every_record_that_a_mirror_gave(
    articles, server, eutils, store, tmp_path
):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror)
    online = update_claim(CLAIM, QUERY, eutils, store, on=days(1))
    assert online.new == ()  # the claim had them all
    fetched = {p for r in server.sent("efetch") for p in r.pmids}
    assert fetched == wanted(articles)


def test_a_run_of_the_mirror_does_not_shorten_the_search_for_revisions(
    articles, server, eutils, store, tmp_path
):
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    pmid = sorted(wanted(articles))[0]
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], journal="Later", revised=days(5)
    )
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    offline(store, mirror, on=days(30))
    online = update_claim(CLAIM, QUERY, eutils, store, on=days(31))
    assert online.changed == (pmid,)


def test_what_pubmed_dropped_stays_out_although_an_older_mirror_finds_it(
    articles, server, eutils, store, tmp_path
):
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    pmid = sorted(wanted(articles))[0]
    del server.records[pmid]
    assert update_claim(CLAIM, QUERY, eutils, store, on=days(1)).dropped == (pmid,)
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles))
    found, _ = offline(store, mirror, on=days(2))
    assert (found.new, found.apart) == ((), (pmid,))
    assert "1 left out that PubMed itself lists no more" in found.summary()
    assert pmid not in names(store)
    (mirrored,) = (f for f in held_in(store, CLAIM).flow if f.kind == "mirror")
    assert (mirrored.apart, mirrored.added) == (1, 0)
    # Another strategy is another question, which PubMed has not answered yet.
    wider, _ = offline(store, mirror, "exercise[tiab]", on=days(3))
    assert wider.apart == ()
    assert pmid in names(store)


def test_what_changed_after_pubmed_dropped_it_comes_back(articles, server, eutils, store, tmp_path):
    update_claim(CLAIM, QUERY, eutils, store, on=TODAY)
    pmid = sorted(wanted(articles))[0]
    article = server.records.pop(pmid)
    update_claim(CLAIM, QUERY, eutils, store, on=days(1))
    again = dataclasses.replace(article, revised=days(10))
    mirror = build(
        tmp_path,
        file_of(tmp_path, "pubmed26n0001", articles),
        file_of(tmp_path, "pubmed26n0002", [again]),
    )
    found, _ = offline(store, mirror, on=days(20))
    assert (found.new, found.apart) == ((pmid,), ())
    assert pmid in names(store)


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_of_searches_only_what_was_told_leaves_a_claim(
    articles, server, eutils, store, tmp_path, seed
):
    """PubMed loses and gains records, mirrors hold any part of it; each loss is in a report."""
    draw = random.Random(seed)
    every = {a.pmid: a for a in articles}
    held: set[str] = set()
    for step in range(8):
        if draw.random() < 0.5:
            for pmid in draw.sample(sorted(every), 3):
                if pmid in server.records:
                    del server.records[pmid]
                else:
                    server.records[pmid] = every[pmid]
            told = update_claim(CLAIM, QUERY, eutils, store, on=days(step))
            assert wanted(server.records.values()) <= names(store)
        else:
            some = draw.sample(articles, draw.randint(1, 40))
            gone = draw.sample(sorted(every), draw.randint(0, 2))
            mirror = build(
                tmp_path,
                file_of(tmp_path, "pubmed26n0001", some),
                file_of(tmp_path, "pubmed26n0002", [], deleted=gone),
                name=f"m{step}.sqlite",
            )
            told, _ = offline(store, mirror, on=days(step))
        now = names(store)
        assert held - now <= {*told.dropped, *told.apart}
        assert now - held <= {*told.new} | set(members_of(store, CLAIM).mirror)
        held = now


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    """A claim whose strategy the records decide, with an empty extraction of its own."""
    folder = tmp_path / "review"
    (folder / "queries").mkdir(parents=True)
    text = (root / "queries/lactate-bdnf.toml").read_text()
    head, rest = text.split("[search]\n", 1)
    after = rest[re.search(r"^\[plan\b|^\[\[plan\b|^\[analysis", rest, re.MULTILINE).start() :]
    search = f"""[search]
written = 2026-01-01
combine = "#walk"
limits = "none"
peer_review = "none yet"

[search.blocks.walk]
about = "Walking"

[[search.blocks.walk.lines]]
terms = '{QUERY}'
why = "The words."

"""
    (folder / "queries/lactate-bdnf.toml").write_text(head + search + after)
    shutil.copytree(root / "extracted/lactate-bdnf", folder / "extracted/lactate-bdnf")
    return folder


def run(review: Path, *words: str):
    return CliRunner().invoke(main, ["--root", str(review), *words])


def include(review: Path, pmid: str) -> None:
    """Let an included study of the claim have a PMID that the mirror holds."""
    folder = review / "extracted/lactate-bdnf"
    studies = (folder / "studies.csv").read_text()
    known = next(
        m[0] for m in re.finditer(r"(?<=,)\d{8}(?=,)", (folder / "studies.csv").read_text())
    )
    for name in ("studies.csv", "screening.csv"):
        path = folder / name
        path.write_text(path.read_text().replace(known, pmid))
    assert pmid in (folder / "studies.csv").read_text() != studies


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_an_update_from_the_mirror_builds_the_site_without_a_network(
    articles, review, tmp_path, no_network
):
    build(review, file_of(tmp_path, "pubmed26n0001", articles), name="var/mirror.sqlite")
    ran = run(review, "update", "--source", "mirror", "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    (search,) = told["searches"]
    assert (search["source"], search["count"]) == ("mirror", len(wanted(articles)))
    assert search["basis"].startswith("pubmed26n0001 (1 file, 60 records, revised up to ")
    assert (told["source"], told["reachable"], told["requests"]) == ("mirror", None, 0)
    page = (review / "site/claims/lactate-bdnf.html").read_text()
    assert "PubMed mirror" in page
    assert "pubmed26n0001 (1 file, 60 records" in page
    facts = json.loads((review / "site/data/lactate-bdnf/evidence.json").read_text())
    assert facts["searches"][0]["basis"] == search["basis"]
    assert facts["sources"][0]["added"] == search["count"]
    order = (review / "var/reading-order/lactate-bdnf.csv").read_text().splitlines()
    assert len(order) == search["count"] + 1
    assert all(line.endswith("PubMed mirror") for line in order[1:])
    before = {p: p.read_bytes() for p in (review / "site").rglob("*") if p.is_file()}
    again = run(review, "update", "--source", "mirror")
    assert again.exit_code == 0
    assert "site: nothing changed" in again.stdout
    assert {p: p.read_bytes() for p in (review / "site").rglob("*") if p.is_file()} == before


def test_without_a_mirror_the_command_says_how_to_make_one(review, no_network):
    for command in ("update", "search"):
        ran = run(review, command, "--source", "mirror")
        assert ran.exit_code == 1
        assert "there is no mirror at" in ran.stderr
        assert "evidence mirror add FILE..." in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("update", "--lenient"),
        ("update", "--db", "m.sqlite"),
        ("update", "--offline", "--source", "mirror"),
        ("search", "lactate-bdnf", "--source", "mirror", "--replay", "last"),
        ("search", "lactate-bdnf", "--source", "crossref", "--lenient"),
    ],
)
def test_options_that_say_nothing_together_are_wrong_usage(review, words):
    assert run(review, *words).exit_code == 2


def test_a_search_of_the_mirror_that_is_named_prints_one_answer(articles, review, tmp_path):
    mirror = build(tmp_path, file_of(tmp_path, "pubmed26n0001", articles), name="else.sqlite")
    ran = run(review, "search", "lactate-bdnf", "--source", "mirror", "--db", str(mirror))
    assert ran.exit_code == 0, ran.output
    first, second = ran.stdout.splitlines()[:2]
    assert first.startswith(
        "PubMed mirror: pubmed26n0001 (1 file, 60 records, revised up to "
        f"{max(a.revised for a in articles).isoformat()}, sums "
    )
    assert second == f"lactate-bdnf: {len(wanted(articles))} found, {len(wanted(articles))} new"


def test_a_refused_strategy_ends_with_1_and_the_others_go_on(articles, review, root, tmp_path):
    shutil.copy(root / "queries/hiit-bdnf.toml", review / "queries")
    shutil.copytree(root / "extracted/hiit-bdnf", review / "extracted/hiit-bdnf")
    build(review, file_of(tmp_path, "pubmed26n0001", articles), name="var/mirror.sqlite")
    ran = run(review, "update", "--source", "mirror")
    assert ran.exit_code == 1
    assert "hiit-bdnf: earlier state kept. the records alone cannot answer" in ran.stdout
    assert f"lactate-bdnf: {len(wanted(articles))} found" in ran.stdout
    assert "The last search did not complete" in (review / "site/claims/hiit-bdnf.html").read_text()


def test_a_gap_is_told_with_the_files_to_fetch_and_ends_with_1(articles, review, tmp_path):
    build(
        review,
        file_of(tmp_path, "pubmed26n0001", articles[:30]),
        file_of(tmp_path, "pubmed26n0003", articles[30:]),
        name="var/mirror.sqlite",
    )
    ran = run(review, "update", "--source", "mirror")
    assert ran.exit_code == 1
    assert "fault: the mirror lacks pubmed26n0002: " in ran.stdout
    page = (review / "site/claims/lactate-bdnf.html").read_text()
    assert "lacks files between others: pubmed26n0002" in page


def test_a_retracted_included_study_in_the_files_ends_with_3(articles, review, tmp_path):
    article = dataclasses.replace(articles[0], retracted_in="91999999")
    include(review, article.pmid)
    build(review, file_of(tmp_path, "pubmed26n0001", [article]), name="var/mirror.sqlite")
    ran = run(review, "update", "--source", "mirror")
    assert ran.exit_code == 3, ran.output
    assert f"PMID {article.pmid} was retracted" in ran.stdout
    assert "was retracted" in (review / "site/claims/lactate-bdnf.html").read_text()
    assert run(review, "update", "--source", "mirror").exit_code == 0


def test_the_newest_day_is_found_wherever_it_lies(articles, tmp_path):
    for n, day in enumerate([dt.date(1975, 6, 1), TODAY, dt.date(2026, 1, 31), days(400)]):
        one = dataclasses.replace(articles[0], revised=day)
        mirror = build(
            tmp_path, file_of(tmp_path, f"pubmed2{n}n0001", [one]), name=f"day{n}.sqlite"
        )
        with Mirror(mirror) as held:
            assert basis_of(held, today=TODAY).newest == day


def test_an_imported_reference_is_known_as_the_record_that_a_later_search_finds(
    articles, review, tmp_path
):
    (article,) = (a for a in articles if a.pmid == min(wanted(articles)))
    article = dataclasses.replace(article, doi="10.9999/Late.1")
    (review / "embase.ris").write_text(
        f"TY  - JOUR\nTI  - {article.title}\nDO  - 10.9999/late.1\nPY  - {article.year}\nER  -\n"
    )
    assert run(review, "import", "lactate-bdnf", str(review / "embase.ris")).exit_code == 0
    with Store(review / "var/evidence.sqlite") as held:
        assert [r.pmid for r in held_in(held, "lactate-bdnf").records] == ["doi:10.9999/late.1"]
    build(review, file_of(tmp_path, "pubmed26n0001", [article]), name="var/mirror.sqlite")
    assert run(review, "search", "--source", "mirror").exit_code == 0
    with Store(review / "var/evidence.sqlite") as held:
        claim = held_in(held, "lactate-bdnf")
    assert [r.pmid for r in claim.records] == [article.pmid]
    assert claim.origins[article.pmid] == ("PubMed mirror", "embase.ris")
    assert [(f.label, f.identified, f.added) for f in claim.flow] == [
        ("PubMed mirror", 1, 1),
        ("embase.ris", 1, 0),
    ]


def test_a_mirror_in_shards_updates_a_claim_as_one_database_does(articles, review, tmp_path):
    files = [
        file_of(tmp_path, "pubmed26n0001", articles[:30]),
        file_of(tmp_path, "pubmed26n0002", articles[30:], deleted=[articles[0].pmid]),
    ]
    assert not add_shards(tmp_path / "shards", files, most_files=1).refused
    ran = run(review, "update", "--source", "mirror", "--shards", str(tmp_path / "shards"))
    assert ran.exit_code == 0, ran.output
    with Store(review / "var/evidence.sqlite") as held:
        sharded = held_in(held, "lactate-bdnf")
    shutil.rmtree(review / "var")
    build(review, *files, name="var/mirror.sqlite")
    assert run(review, "update", "--source", "mirror").exit_code == 0
    with Store(review / "var/evidence.sqlite") as held:
        assert held_in(held, "lactate-bdnf") == sharded
