"""One claim's update: what is new, changed, retracted or dropped, and nothing asked twice."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.errors import SourceBusy, SourceError, SourceIncomplete, SourceUnreachable
from evidence.fetch import Eutils, Limiter
from evidence.pubmed import parse_articles
from evidence.retrieval import Update, check_included, update_all, update_claim
from evidence.store import MIGRATIONS, Store
from tests.eutils_records import FIRST_PMID, Article, invent
from tests.eutils_server import EutilsServer, Fault

TODAY = dt.date(2026, 3, 2)
CLAIMS = (
    ("hiit", '("interval training"[tiab] OR sprint[tiab]) AND humans[mh]'),
    ("exercise", "exercise[tiab] NOT animals[mh]"),
    ("lactate", "lactate[tiab] AND bdnf[tiab]"),
    ("brain", "(hippocampal[tiab] OR dlpfc[tiab]) NOT (animals[mh] NOT humans[mh])"),
)
QUERY = CLAIMS[1][1]


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(120)) as server:
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    with contextlib.closing(client(server, tmp_path)) as eutils:
        yield eutils


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evidence.sqlite") as store:
        yield store


def client(server: EutilsServer, folder: Path) -> Eutils:
    limiter = Limiter(folder / "limiter", 10_000)
    return Eutils(server.url, limiter=limiter, sleep=lambda seconds: None)


def state(store: Store) -> str:
    """Everything that a page could show, as text."""
    return "\n".join(
        f"{claim} {store.counts(claim)} {store.members(claim)} {store.records(claim)} "
        f"{store.runs(claim)}"
        for claim, _ in CLAIMS
    )


def days(n: int) -> dt.date:
    return TODAY + dt.timedelta(days=n)


# --- first and second run --------------------------------------------------------------------


def test_a_first_run_finds_and_keeps_every_record(server, eutils, store):
    first = update_claim("exercise", QUERY, eutils, store, on=TODAY)
    wanted = [
        pmid
        for pmid, article in server.records.items()
        if " exercise " in article.words and "animals" not in article.headings
    ]
    assert len(wanted) > 20
    assert first.new == tuple(wanted)
    assert [r.pmid for r in store.records("exercise")] == wanted
    assert first.run == store.runs("exercise")[0]
    assert first.run.count == len(wanted)
    assert first.run.translation == QUERY.replace("[tiab]", "[Title/Abstract]")
    assert first.complete
    assert first.summary() == f"exercise: {len(wanted)} found, {len(wanted)} new"
    # Nothing was held that could have been revised, so that nothing more is asked.
    assert [r.endpoint for r in server.requests] == ["esearch", "efetch"]


@pytest.mark.parametrize("later", [0, 1, 30])
def test_a_second_run_without_news_asks_the_least_possible(server, eutils, store, later):
    found = update_all(CLAIMS, [], eutils, store, on=TODAY)
    included = [found.claims[0].new[0], found.claims[1].new[1], "12345678"]
    before, sent = state(store), len(server.requests)
    again = update_all(CLAIMS, included, eutils, store, on=days(later))
    requests = server.requests[sent:]
    assert [r.endpoint for r in requests] == ["esearch"] * 8 + ["efetch"]
    assert requests[-1].pmids == sorted(included, key=int)
    assert again.requests == 9
    assert again.complete
    for result in again.claims:
        assert (result.new, result.changed, result.retracted, result.dropped) == ((), (), (), ())
    assert again.included.unknown == ("12345678",)
    if later == 0:
        assert state(store) == before


def test_claims_that_share_records_fetch_them_once(server, eutils, store):
    update_all(CLAIMS, [], eutils, store, on=TODAY)
    asked = [pmid for request in server.sent("efetch") for pmid in request.pmids]
    assert len(asked) == len(set(asked))
    assert sum(len(store.members(claim)) for claim, _ in CLAIMS) > len(asked)


def test_included_studies_that_arrived_with_a_search_are_not_asked_for_again(server, eutils, store):
    pmid = update_claim("exercise", QUERY, eutils, store, on=TODAY).new[0]
    store.close()
    with Store(store.path.with_name("other.sqlite")) as fresh:
        sent = len(server.sent("efetch"))
        update_all([("exercise", QUERY)], [pmid], eutils, fresh, on=TODAY)
        assert len(server.sent("efetch")) - sent == 1


# --- news ------------------------------------------------------------------------------------


def test_a_new_record_and_one_that_fell_out_are_told(server, eutils, store):
    first = update_claim("exercise", QUERY, eutils, store, on=TODAY)
    fresh = Article("95000001", title="Exercise once more.", mesh=("Humans",))
    server.records[fresh.pmid] = fresh
    gone = first.new[3]
    del server.records[gone]
    sent = len(server.sent("efetch"))
    second = update_claim("exercise", QUERY, eutils, store, on=days(7))
    assert (second.new, second.dropped, second.changed) == (("95000001",), (gone,), ())
    assert [r.pmids for r in server.sent("efetch")[sent:]] == [["95000001"]]
    assert store.members("exercise")["95000001"] == days(7)
    assert gone not in store.members("exercise")
    assert second.summary() == (f"exercise: {len(first.new)} found, 1 new, 1 no longer found")


@pytest.mark.parametrize("later", [0, 1, 40])
def test_a_revised_record_arrives_with_the_next_run(server, eutils, store, later):
    first = update_claim("exercise", QUERY, eutils, store, on=TODAY)
    pmid = first.new[4]
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], title="Exercise, corrected.", revised=days(later)
    )
    second = update_claim("exercise", QUERY, eutils, store, on=days(later))
    assert second.changed == (pmid,)
    assert store.get([pmid])[pmid].title == "Exercise, corrected."
    third = update_claim("exercise", QUERY, eutils, store, on=days(later))
    assert (third.changed, third.requests) == ((), 2)


def test_a_revision_of_the_same_day_after_the_run_arrives_the_day_after(server, eutils, store):
    first = update_claim("exercise", QUERY, eutils, store, on=TODAY)
    pmid = first.new[4]
    for title in ("Exercise one.", "Exercise two."):  # twice on one day
        server.records[pmid] = dataclasses.replace(server.records[pmid], title=title, revised=TODAY)
        update_claim("exercise", QUERY, eutils, store, on=TODAY)
    assert update_claim("exercise", QUERY, eutils, store, on=days(1)).changed == (pmid,)
    assert store.get([pmid])[pmid].title == "Exercise two."


def test_the_revision_search_reaches_back_behind_the_last_run(server, eutils, store):
    update_claim("exercise", QUERY, eutils, store, on=TODAY)
    update_claim("exercise", QUERY, eutils, store, on=days(30))
    assert server.sent("esearch")[-1].fields["term"] == f"({QUERY}) AND 2026/02/28:3000[lr]"
    run = store.runs("exercise", kinds=("revised",))[-1]
    assert (run.ran_on, run.count) == (days(30), 0)


def test_records_are_asked_for_again_after_ninety_days(server, eutils, store):
    first = update_claim("exercise", QUERY, eutils, store, on=TODAY)
    pmid = first.new[0]
    # Bulk maintenance may change a record without a new date of revision.
    server.records[pmid] = dataclasses.replace(server.records[pmid], journal="Renamed")
    assert update_claim("exercise", QUERY, eutils, store, on=days(90)).changed == ()
    assert update_claim("exercise", QUERY, eutils, store, on=days(91)).changed == (pmid,)


def test_an_old_record_that_enters_another_claim_is_fetched_afresh(server, eutils, store):
    pmid = update_claim("exercise", QUERY, eutils, store, on=TODAY).new[0]
    server.records[pmid] = dataclasses.replace(
        server.records[pmid], journal="Renamed", revised=days(20)
    )
    update_claim("other", f"{pmid}[uid]", eutils, store, on=days(40))
    assert store.get([pmid])[pmid].journal == "Renamed"


# --- retractions -----------------------------------------------------------------------------


@pytest.mark.parametrize("found_by_search", [True, False])
def test_a_retracted_included_study_is_told_exactly_once(server, eutils, store, found_by_search):
    claims = CLAIMS if found_by_search else [("none", "nosuchword[tiab]")]
    pmid = str(FIRST_PMID + 7 * 12)
    first = update_all(claims, [pmid], eutils, store, on=TODAY)
    assert first.included.retracted == ()
    server.records[pmid].retracted_in = "95000009"  # without a new date of revision
    second = update_all(claims, [pmid], eutils, store, on=TODAY)
    assert second.included.retracted == (pmid,)
    assert second.included.changed == (pmid,)
    assert second.complete
    assert store.get([pmid])[pmid].notices[0].startswith("RetractionIn: ")
    third = update_all(claims, [pmid], eutils, store, on=TODAY)
    assert third.included.retracted == ()


def test_a_retraction_that_arrived_in_a_killed_run_is_still_told(server, eutils, store):
    pmid = str(FIRST_PMID + 7 * 12)
    server.records[pmid].retracted_in = "95000009"
    update_claim("exercise", f"{pmid}[uid]", eutils, store, on=TODAY)  # ... and no further
    assert update_all(CLAIMS, [pmid], eutils, store, on=TODAY).included.retracted == (pmid,)


def test_a_record_that_becomes_included_after_its_retraction_is_told(server, eutils, store):
    retracted = str(FIRST_PMID + 7 * 6)
    query = [("all", "study[tiab]")]
    first = update_all(query, [], eutils, store, on=TODAY)
    assert first.claims[0].retracted == (retracted,)
    assert first.included.retracted == ()
    assert update_all(query, [retracted], eutils, store, on=days(1)).included.retracted == (
        retracted,
    )


def test_an_included_study_that_is_served_no_longer_is_incomplete(server, eutils, store):
    pmid = str(FIRST_PMID + 7 * 12)
    check_included([pmid], eutils, store, on=TODAY)
    server.faults.append(Fault("missing", pmids=[pmid], on="efetch"))
    once = check_included([pmid], eutils, store, on=days(1))
    assert (once.lost, once.requests) == ((), 2)
    del server.records[pmid]
    gone = update_all([], [pmid], eutils, store, on=days(2))
    assert gone.included.lost == (pmid,)
    assert not gone.complete


# --- faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("count-high", times=99), SourceIncomplete),
        (Fault("lost-id", times=99), SourceIncomplete),
        (Fault("500", times=99), SourceBusy),
        (Fault("bad-key", times=99), SourceError),
        (Fault("half", times=99, on="efetch"), SourceBusy),
        (Fault("bad-xml", times=99, on="efetch"), SourceIncomplete),
    ],
)
def test_an_incomplete_answer_changes_nothing_of_the_claim(server, eutils, store, fault, error):
    update_all(CLAIMS, [], eutils, store, on=TODAY)
    members, records = store.members("exercise"), store.records("exercise")
    server.records["95000001"] = Article("95000001", title="Exercise.", mesh=("Humans",))
    server.faults.append(dataclasses.replace(fault))
    failed = update_all(CLAIMS, [], eutils, store, on=days(1))
    assert isinstance(failed.claims[1].problem, error)
    assert not failed.complete
    assert failed.unreachable is None
    assert failed.claims[1].summary().startswith("exercise: earlier state kept. ")
    assert (store.members("exercise"), store.records("exercise")) == (members, records)
    assert [run.ran_on for run in store.runs("exercise")] == [TODAY]
    server.faults.clear()
    healed = update_all(CLAIMS, [], eutils, store, on=days(1))
    assert healed.complete
    assert healed.claims[1].new == ("95000001",)


def test_the_fault_of_one_claim_stops_no_other(server, eutils, store):
    claims = [("broken", "((exercise[tiab]"), *CLAIMS]
    result = update_all(claims, [], eutils, store, on=TODAY)
    assert [r.problem is None for r in result.claims] == [False, True, True, True, True]
    assert store.counts("broken").found is None
    assert not result.complete


def test_a_record_that_is_listed_but_not_served_is_named_and_tried_again(server, eutils, store):
    pmid = str(FIRST_PMID + 7 * 12)
    server.faults.append(Fault("missing", times=9, pmids=[pmid], on="efetch"))
    first = update_claim("all", "study[tiab]", eutils, store, on=TODAY)
    assert first.not_served == (pmid,)
    assert not first.complete
    assert first.run.warnings[-1] == f"listed by PubMed but not served: {pmid}"
    assert not first.run.complete
    assert store.counts("all").without_record == 1
    assert len(store.records("all")) == len(store.members("all")) - 1 == 119
    server.faults.clear()
    second = update_claim("all", "study[tiab]", eutils, store, on=TODAY)
    assert second.complete
    assert server.requests[-1].pmids == [pmid]
    assert store.counts("all").without_record == 0
    assert store.runs("all")[-1].complete


def test_an_unreachable_source_is_asked_once_and_is_no_fault(tmp_path, store):
    eutils = Eutils("http://127.0.0.1:9/eutils", cache=tmp_path, sleep=pytest.fail)
    result = update_all(CLAIMS, ["7"], eutils, store, on=TODAY)
    assert isinstance(result.unreachable, SourceUnreachable)
    assert result.complete
    assert result.requests == 0
    assert [store.counts(claim).found for claim, _ in CLAIMS] == [None] * 4


def test_a_query_without_results_is_one_search(server, eutils, store):
    result = update_claim("none", "nosuchword[tiab]", eutils, store, on=TODAY)
    assert (result.requests, result.run.count, result.complete) == (1, 0, True)
    assert store.counts("none").found == 0


# --- interruptions ---------------------------------------------------------------------------

KILLED = """
    import datetime as dt, os, sys
    from pathlib import Path
    from evidence import retrieval
    from evidence.fetch import Eutils, Limiter
    from evidence.store import Store

    class Dying(Store):
        def add(self, records, *, on):
            super().add(records, on=on)
            os._exit(9)

    folder = Path(sys.argv[2])
    eutils = Eutils(sys.argv[1], limiter=Limiter(folder / "limiter", 10_000))
    store = Dying(folder / "evidence.sqlite")
    retrieval.update_claim("all", "study[tiab]", eutils, store, on=dt.date(2026, 3, 2))
"""


def test_a_killed_run_is_completed_by_the_next_one(server, eutils, tmp_path, root):
    server.records = {article.pmid: article for article in invent(450)}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), server.url, str(tmp_path)]
    assert subprocess.run(command, cwd=root, check=False).returncode == 9
    with Store(tmp_path / "evidence.sqlite") as store:
        assert len(store.fetched_on(server.records)) == 200
        assert store.counts("all").found is None
        sent = len(server.sent("efetch"))
        result = update_claim("all", "study[tiab]", eutils, store, on=days(1))
        assert [len(r.pmids) for r in server.sent("efetch")[sent:]] == [200, 50]
        assert len(result.new) == 450
        assert [r.pmid for r in store.records("all")] == list(server.records)


def test_records_received_before_a_fault_are_not_asked_for_again(server, eutils, store):
    server.records = {article.pmid: article for article in invent(450)}
    server.faults.append(Fault("500", times=99, on="efetch", after=1))
    with pytest.raises(SourceBusy):
        update_claim("all", "study[tiab]", eutils, store, on=TODAY)
    assert store.counts("all").found is None
    assert len(store.fetched_on(server.records)) == 200
    server.faults.clear()
    sent = len(server.sent("efetch"))
    update_claim("all", "study[tiab]", eutils, store, on=TODAY)
    assert [len(r.pmids) for r in server.sent("efetch")[sent:]] == [200, 50]


def test_an_update_repeats_itself(server, eutils, store):
    update: Update = update_all(CLAIMS, [], eutils, store, on=TODAY)
    text = state(store)
    for _ in range(2):
        update_all(CLAIMS, [], eutils, store, on=TODAY)
    assert state(store) == text
    assert update.complete


# --- what becomes of a record after it was published -----------------------------------------


def test_concerns_errata_and_updates_are_states_of_their_own_and_told_once(server, eutils, store):
    pmid = str(FIRST_PMID + 7 * 12)
    update_all(CLAIMS, [pmid], eutils, store, on=TODAY)
    assert store.states([pmid]) == ()
    server.records[pmid].notices = (
        ("ExpressionOfConcernIn", "J Invent. 2024;1:1", "95000001"),
        ("ErratumIn", "J Invent. 2024;1:2", "95000002"),
        ("UpdateIn", "J Invent. 2024;1:3", "95000003"),
        ("CommentIn", "J Invent. 2024;1:4", "95000004"),
    )
    told = update_all(CLAIMS, [pmid], eutils, store, on=days(1))
    assert [s.state for s in told.included.states] == ["concern", "erratum", "update"]
    assert told.included.states[0].notice.startswith("ExpressionOfConcernIn: J Invent. 2024;1:1")
    assert told.included.retracted == ()
    assert not store.get([pmid])[pmid].retracted
    again = update_all(CLAIMS, [pmid], eutils, store, on=days(2))
    assert again.included.states == ()
    assert {s.first_seen for s in store.states([pmid])} == {days(1)}


def test_a_notice_that_pubmed_takes_back_is_no_state_any_more(server, eutils, store):
    pmid = str(FIRST_PMID + 7 * 12)
    server.records[pmid].retracted_in = "95000009"
    update_all([], [pmid], eutils, store, on=TODAY)
    assert [s.state for s in store.states([pmid])] == ["retraction"]
    server.records[pmid].retracted_in = None
    update_all([], [pmid], eutils, store, on=days(1))
    assert store.states([pmid]) == ()


def test_a_store_of_the_first_schema_gets_its_states_from_what_it_holds(tmp_path):
    article = Article("95000001", notices=(("ErratumIn", "J Invent. 2024;1:2", "95000002"),))
    records, _ = parse_articles(f"<PubmedArticleSet>{article.xml()}</PubmedArticleSet>".encode())
    with Store(tmp_path / "new.sqlite") as new:
        new.add(records, on=TODAY)
        wanted = new.states(["95000001"])
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite")) as db:
        db.executescript(MIGRATIONS[0] + ";PRAGMA user_version = 1")
        db.execute("ATTACH ? AS new", (str(tmp_path / "new.sqlite"),))
        columns = "pmid, body, retracted, revised, fetched_on, changed_on, told_on"
        db.execute(f"INSERT INTO records SELECT {columns} FROM new.records")
        db.commit()
    with Store(tmp_path / "old.sqlite") as old:
        assert old.states(["95000001"]) == wanted != ()


# --- lies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 3, 9])
def test_a_count_that_leaves_records_out_with_their_pmids_drops_nothing(
    server, eutils, store, times
):
    update_all(CLAIMS, [], eutils, store, on=TODAY)
    members = store.members("exercise")
    server.faults.append(Fault("count-low", times=times, on="esearch"))
    with contextlib.suppress(SourceIncomplete):
        update_claim("exercise", QUERY, eutils, store, on=days(1))
    assert store.members("exercise") == members
    server.faults.clear()
    assert update_claim("exercise", QUERY, eutils, store, on=days(1)).dropped == ()


def test_a_record_revised_twice_on_one_day_arrives_with_the_check_of_included_studies(
    server, eutils, store
):
    update_all(CLAIMS, [], eutils, store, on=TODAY)
    pmid = next(iter(store.members("exercise")))
    for title in ("Exercise one.", "Exercise two."):
        server.records[pmid] = dataclasses.replace(server.records[pmid], title=title, revised=TODAY)
        told = update_all(CLAIMS, [], eutils, store, on=TODAY)
    assert store.get([pmid])[pmid].title == "Exercise two."
    assert told.requests <= 2 * len(CLAIMS) + 1
