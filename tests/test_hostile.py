"""Whatever a service sends, the client gives the truth or a fault in plain words, and soon."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import fetch
from evidence.errors import SourceBusy, SourceError, SourceIncomplete, ToolkitError
from evidence.fetch import Eutils, Limiter, Passing
from evidence.model import Record
from evidence.pubmed import details, find
from evidence.pubmed.archive import Archive, replay
from evidence.pubmed.links import links
from evidence.pubmed.replies import read_page
from evidence.retrieval import update_all, update_claim
from evidence.store import Store
from tests.hostile_faults import FAULTS, HARMLESS, LASTING, SLOW
from tests.hostile_server import HostileServer, Plan, papers
from tests.small_review import KEY, places_of_the_key

TODAY = dt.date(2026, 3, 2)
TOPICS = ("interval", "lactate")
QUERY = '"interval training"[tiab]'
PASSING = sorted(set(FAULTS) - LASTING)
# Lies that agree with themselves: nothing in the reply, or in the next one, speaks against them.
PLAUSIBLE = {"count-flutters", "other-records", "shard-lost", "zero"}


class Once(Plan):
    """One fault, then the truth."""

    def __init__(self, kind: str, times: int = 1) -> None:
        super().__init__(len(kind), kinds=[kind])
        self.kind, self.times = kind, times

    def next(self) -> str | None:
        self.times -= 1
        return self.kind if self.times >= 0 else None


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer(papers(50, TOPICS), topics=TOPICS) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.sqlite") as store:
        yield store


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def eutils(
    server: HostileServer,
    tmp_path: Path,
    archive: Archive,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Eutils]:
    monkeypatch.setattr(fetch, "SLOWEST_AFTER_S", 0.1)
    eutils = Eutils(
        server.url,
        limiter=Limiter(tmp_path / "limiter", 10_000),
        sleep=lambda seconds: None,
        rng=random.Random(1),
        api_key=KEY,
        timeout_s=0.15,
        reply_s=0.2,
        connect_s=0.3,
        progress=told.append,
        keep=archive.keep,
    )
    with contextlib.closing(eutils):
        yield eutils


def truth(server: HostileServer, topic: str = "interval") -> list[str]:
    return sorted(str(p.pmid) for p in server.papers.values() if topic in p.topics)


def fetched(pmids: list[str], eutils: Eutils) -> dict[str, Record]:
    return {r.pmid: r for batch in details(pmids, eutils) for r in batch.records}


# --- one kind of fault at a time ---------------------------------------------------------------


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_costs_no_record(server, eutils, kind):
    wanted = truth(server)
    server.plan = Once(kind)
    records = fetched(wanted, eutils)
    assert sorted(records) == wanted
    assert all(records[str(p.pmid)].title == p.title for p in server.held(map(int, wanted)))
    server.plan = Once(kind)
    found = find(QUERY, eutils)
    assert found.count == len(found.pmids)
    if kind not in PLAUSIBLE:
        assert list(found.pmids) == wanted
    if kind in HARMLESS:
        assert len(server.asked) == 2, "what is whole was asked for again"


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_that_stays_ends_in_plain_words_without_the_key(
    server, eutils, archive, tmp_path, told, kind
):
    server.plan = Plan(len(kind), rate=1, kinds=[kind])
    wanted = truth(server)
    for ask in (lambda: find(QUERY, eutils).pmids, lambda: tuple(fetched(wanted, eutils))):
        eutils._tired = kind in SLOW  # one retry is enough to see it
        try:
            got = ask()
        except ToolkitError as fault:
            told.append(str(fault))
        else:
            assert kind in PLAUSIBLE or set(got) <= set(wanted)
    limit = 70 if kind == "same-for-every-range" else 20
    assert len(server.asked) <= limit, "such a service must not be asked for ever"
    if kind in LASTING:
        assert len(server.asked) == 2, "what no repetition can mend was repeated"
    assert not list(places_of_the_key(archive.folder, *told))


SHAPES = (
    b"",
    b"7",
    b'"text"',
    b"[1, 2]",
    b'{"esearchresult": []}',
    b'{"esearchresult": {"idlist": ["1"]}}',
    b'{"esearchresult": {"count": "-1", "idlist": []}}',
    b'{"esearchresult": {"count": true, "idlist": ["1"]}}',
    b'{"esearchresult": {"count": 1.0, "idlist": ["1"]}}',
    b'{"esearchresult": {"count": "1e3", "idlist": []}}',
    '{"esearchresult": {"count": "²", "idlist": []}}'.encode(),
    b'{"esearchresult": {"count": "%s", "idlist": []}}' % (b"9" * 6_000),
    b'{"esearchresult": {"count": "3", "idlist": "123"}}',
    b'{"esearchresult": {"count": "1", "idlist": {"1": 1}}}',
    b'{"esearchresult": {"count": "1", "idlist": [["1"]]}}',
    b'{"esearchresult": {"count": "1", "idlist": ["0"]}}',
    b'{"esearchresult": {"count": "1", "idlist": ["-4"]}}',
    b'{"esearchresult": {"count": "1", "idlist": ["1000000000"]}}',
    '{"esearchresult": {"count": "1", "idlist": ["²²"]}}'.encode(),
    b'{"esearchresult": {"count": "1", "idlist": ["%s"]}}' % (b"9" * 5_000),
    b'{"esearchresult": ' + b"[" * 100_000,
    b"<eSearchResult><Count>2</Count>",
    b"<eSearchResult><Count></Count></eSearchResult>",
    b"<eSearchResult><Count>1</Count><IdList><Id/></IdList></eSearchResult>",
    b"<eLinkResult/>",
)


@pytest.mark.parametrize("body", SHAPES, ids=lambda body: body[:60].decode("latin-1"))
def test_a_search_reply_of_another_shape_is_asked_for_again(body):
    with pytest.raises(Passing):
        read_page(body)


def test_what_is_only_written_otherwise_is_understood():
    page = read_page(
        b'\xef\xbb\xbf\r\n {"esearchresult": {"count": 2, "idlist": [4, "5"], "querytranslation": '
        b'null, "warninglist": {"phrasesignored": "of", "outputmessages": [null, 3]}}}'
    )
    assert (page.count, page.pmids, page.translation) == (2, (4, 5), "")
    assert page.warnings == ("ignored: of", "", "3")


def test_links_to_what_is_no_pmid_are_refused_and_odd_scores_left_out(tmp_path):
    class Answers(Eutils):
        body = b""

        def _post(self, name: str, fields: fetch.Fields) -> bytes:
            return self.body

    eutils = Answers("http://127.0.0.1:9", cache=tmp_path, sleep=lambda seconds: None)
    xml = (
        "<eLinkResult><LinkSet><IdList><Id>1</Id></IdList><LinkSetDb><LinkName>pubmed_pubmed"
        "</LinkName><Link><Id>{}</Id><Score>{}</Score></Link></LinkSetDb></LinkSet></eLinkResult>"
    )
    eutils.body = xml.format("²", 1).encode()
    with pytest.raises(SourceBusy, match="a link without a PMID"):
        links(["1"], eutils, kind="similar")
    for score, number in (("²", None), ("9" * 5_000, None), ("12", 12)):
        eutils.body = xml.format("7", score).encode()
        (link,) = links(["1"], eutils, kind="similar")
        assert link.score == number


# --- the key ---------------------------------------------------------------------------------


def test_a_key_that_pubmed_repeats_is_not_kept_with_the_search(server, eutils, store, archive):
    server.plan = Once("key-in-the-answer", times=9)
    update_claim("all", QUERY, eutils, store, on=TODAY, archive=archive)
    assert "api_key=[key]" in store.runs("all")[0].translation
    store.close()
    assert not list(places_of_the_key(store.path.parent))
    logged = archive.search("all", "last")
    assert list(replay(archive, logged).pmids) == truth(server)  # hashes are of what is kept


def test_a_short_key_takes_no_word_out_of_a_reply(server, tmp_path):
    limiter = Limiter(tmp_path / "limiter", 10_000)
    with contextlib.closing(Eutils(server.url, limiter=limiter, api_key="trial")) as eutils:
        records = fetched(truth(server), eutils)
    assert all("trial" in record.title for record in records.values())


# --- how long it takes -------------------------------------------------------------------------


class Clock:
    """Time that passes while someone sleeps, and by so much with every request."""

    def __init__(self) -> None:
        self.now, self.each = 0.0, 0.0

    def time(self) -> float:
        self.now += self.each
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("wait", "each"), [("1", 0.0), ("100", 0.0), ("119", 0.0), ("1", 93.0), ("5000", 0.0)]
)
def test_a_run_without_one_good_reply_ends_within_minutes(server, store, tmp_path, wait, each):
    clock = Clock()
    clock.each = each  # a reply that trickles in, for as long as one may
    eutils = Eutils(
        server.url,
        limiter=Limiter(tmp_path / "limiter", 10_000),
        clock=clock.time,
        sleep=clock.sleep,
    )
    server.plan = Plan(1, rate=1, kinds=["storm-wait"])
    claims = [(f"claim-{n}", QUERY) for n in range(40)]
    with contextlib.closing(eutils), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "_retry_after_s", lambda headers: float(wait))
        told = update_all(claims, ["7"], eutils, store, on=TODAY)
    assert all(isinstance(r.problem, SourceBusy) for r in told.claims)
    assert not told.complete
    assert told.unreachable is None
    assert clock.now <= fetch.PATIENCE_S + 2 * fetch.REPLY_S
    last = str(told.claims[-1].problem)
    assert "was not asked any more" in last or "did not answer" in last


def test_one_good_reply_gives_new_patience(server, tmp_path):
    clock = Clock()
    eutils = Eutils(
        server.url,
        limiter=Limiter(tmp_path / "limiter", 10_000),
        clock=clock.time,
        sleep=clock.sleep,
    )
    with contextlib.closing(eutils), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "_retry_after_s", lambda headers: 100.0)
        for _ in range(4):
            server.plan = Once("storm-wait", times=2)
            assert list(find(QUERY, eutils).pmids) == truth(server)
    assert clock.now > 2 * fetch.PATIENCE_S


def test_a_reply_without_end_is_given_up(server, eutils, monkeypatch):
    monkeypatch.setattr(fetch, "MOST_BYTES", 3_000)
    with pytest.raises(SourceBusy, match="a reply of more than"):
        fetched(truth(server), eutils)


# --- an index that is down ---------------------------------------------------------------------


def claim_of(store: Store) -> list[str]:
    return sorted(store.members("all"))


@pytest.mark.parametrize("times", [1, 2, 50])
def test_an_index_that_answers_nothing_empties_no_claim(server, eutils, store, times):
    update_claim("all", QUERY, eutils, store, on=TODAY)
    before = claim_of(store)
    later = TODAY + dt.timedelta(1)
    server.plan = Once("zero", times=times)
    with contextlib.suppress(SourceIncomplete):
        update_claim("all", QUERY, eutils, store, on=later)
    assert claim_of(store) == before
    server.plan = None
    healed = update_claim("all", QUERY, eutils, store, on=later)
    assert (healed.new, healed.dropped, healed.complete) == ((), (), True)
    assert [run.kind for run in store.runs("all")] == ["full", "full"]
    assert store.runs("all", kinds=("doubted",)) == ()  # what was doubted once is no witness later
    server.plan = Once("zero", times=times)
    with contextlib.suppress(SourceIncomplete):
        update_claim("all", QUERY, eutils, store, on=later)
    server.plan = None
    update_claim("all", QUERY, eutils, store, on=later)
    assert claim_of(store) == before


def test_what_two_days_agree_on_is_believed(server, eutils, store):
    update_claim("all", QUERY, eutils, store, on=TODAY)
    before = claim_of(store)
    server.papers = {p: paper for p, paper in server.papers.items() if str(p) in before[:3]}
    for _ in range(2):  # twice on one day is one day
        with pytest.raises(SourceIncomplete, match="most of them, and the strategy is the same"):
            update_claim("all", QUERY, eutils, store, on=TODAY + dt.timedelta(1))
        assert claim_of(store) == before
    told = update_claim("all", QUERY, eutils, store, on=TODAY + dt.timedelta(2))
    assert list(told.dropped) == before[3:]
    assert claim_of(store) == before[:3]


def test_a_changed_strategy_may_lose_what_it_likes(server, eutils, store):
    update_claim("all", QUERY, eutils, store, on=TODAY)
    told = update_claim("all", "neither[tiab]", eutils, store, on=TODAY)
    assert told.complete
    assert claim_of(store) == []


def test_a_few_records_may_fall_out_on_any_day(server, eutils, store):
    update_claim("all", QUERY, eutils, store, on=TODAY)
    gone = claim_of(store)[:4]
    for pmid in gone:
        del server.papers[int(pmid)]
    told = update_claim("all", QUERY, eutils, store, on=TODAY)
    assert list(told.dropped) == gone


# --- what an update costs -----------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 1, 20])
def test_an_update_without_news_sends_two_requests_a_claim_and_one_more(
    server, eutils, store, days
):
    claims = [("one", QUERY), ("two", "lactate[tiab]"), ("three", "interval AND lactate")]
    included = truth(server)[:30]
    update_all(claims, included, eutils, store, on=TODAY)
    sent = len(server.asked)
    told = update_all(claims, included, eutils, store, on=TODAY + dt.timedelta(days))
    assert told.complete
    assert len(server.asked) - sent == told.requests <= 2 * len(claims) + 1
    assert {asked.utility for asked in server.asked[sent:]} <= {"esearch", "efetch"}


@pytest.mark.parametrize("seed", range(6))
def test_after_any_faults_a_good_run_gives_the_truth(server, eutils, store, archive, seed):
    claims = [("one", QUERY), ("two", "lactate[tiab]")]
    update_all(claims, [], eutils, store, on=TODAY, archive=archive)
    some = list(server.papers.values())
    for n in (3, 9):
        server.papers[some[n].pmid] = dataclasses.replace(
            some[n], title=f"Changed {n}", revised=TODAY
        )
    server.plan = Plan(seed, rate=0.9)
    faulty = update_all(claims, [], eutils, store, on=TODAY, archive=archive)
    assert server.plan.met
    for retrieval in faulty.claims:
        assert retrieval.problem is None or isinstance(retrieval.problem, SourceError)
    server.plan = None
    good = update_all(claims, [], eutils, store, on=TODAY, archive=archive)
    assert good.complete
    for (claim, _), topic in zip(claims, TOPICS, strict=True):
        assert sorted(store.members(claim)) == truth(server, topic)
        titles = {r.pmid: r.title for r in store.records(claim)}
        assert all(titles[str(p.pmid)] == p.title for p in server.held(map(int, titles)))
    text = json.dumps(
        [dataclasses.astuple(run) for c, _ in claims for run in store.runs(c)], default=str
    )
    assert KEY not in text
