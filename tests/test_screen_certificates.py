"""The certificate on the screening page: a sample that is drawn once, kept, read and judged."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import SchemaError
from evidence.screening import Desk, Entry, ScreeningLog
from evidence.screening.certificates import CertificateLog, Drawn
from evidence.triage.stopping import certificate_size, draw
from evidence.workspace import Workspace
from tests import screen_rows as rows

TIME = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
FOUND = range(1001, 1021)  # what Ana includes before she draws: so many that 2 missed are allowed
OTHERS = range(1021, 1026)


def drawn(number: int = 1, reviewer: str = "Ana", **fields: object) -> Drawn:
    given: dict[str, object] = {
        "reviewer": reviewer,
        "attempt": number,
        "seed": 7 * number,
        "target": 0.95,
        "confidence": 0.95,
        "records": 60,
        "unscreened": 50,
        "included": 4,
        "pmids": ("1001", "1002"),
        "date": TIME.date(),
        "time": TIME,
    }
    return Drawn(**(given | fields))  # type: ignore[arg-type]


# --- the files -----------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


@given(
    attempt=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    reviewer=names,
    pmids=st.lists(names, min_size=1, max_size=5).map(tuple),
    time=st.datetimes(TIME.replace(tzinfo=None)),
)
def test_an_attempt_is_read_as_it_was_written(
    tmp_path_factory, attempt, seed, reviewer, pmids, time
):
    made = drawn(attempt, reviewer, seed=seed, pmids=pmids, time=time.replace(tzinfo=dt.UTC))
    folder = tmp_path_factory.mktemp("log")
    log = CertificateLog(folder / "certificates")
    assert log.draw(lambda clock: made) == made
    assert CertificateLog(folder / "certificates").every(reviewer) == (made,)
    assert log.attempts("nobody") == ()


def test_the_log_sees_what_another_process_drew(tmp_path):
    one, two = (CertificateLog(tmp_path / "certificates") for _ in range(2))
    assert two.attempts("Ana") == ()
    one.draw(lambda clock: drawn(1))
    one.draw(lambda clock: drawn(2, time=TIME + dt.timedelta(days=1)))
    one.draw(lambda clock: drawn(1, "Ben", seed=99))
    assert [attempt.attempt for attempt in two.attempts("Ana")] == [1, 2]
    assert [attempt.seed for attempt in two.attempts("Ben")] == [99]


def test_of_two_attempts_with_one_number_the_earlier_counts(tmp_path):
    """As after a merge of two clones in which the same person drew."""
    log = CertificateLog(tmp_path / "certificates")
    later = drawn(1, seed=1, time=TIME + dt.timedelta(hours=1))
    log.draw(lambda clock: later)
    log.draw(lambda clock: drawn(1, seed=2))
    assert [attempt.seed for attempt in log.attempts("Ana")] == [2]
    assert len(log.every("Ana")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "<<<<<<< ours\n{}\n",
        json.dumps({"reviewer": "Ana"}),
        drawn().text().replace('"attempt": 1', '"attempt": 0'),
        drawn().text().replace("0.95", "1.5", 1),
        drawn().text().replace('Z"', '"', 1),  # in no zone
        drawn().text().replace('"seed"', '"more": 1, "seed"'),
        drawn().text().replace('[\n  "1001",\n  "1002"\n ]', "[]"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_stops_further_draws(tmp_path, text):
    log = CertificateLog(tmp_path / "certificates", shown="extracted/x/certificates")
    log.draw(lambda clock: drawn(1))
    (tmp_path / "certificates" / "2026-03-02-broken.json").write_text(text, encoding="utf-8")
    assert len(log.attempts("Ana")) == 1
    assert log.notices[0].startswith("extracted/x/certificates/2026-03-02-broken.json  ")
    with pytest.raises(SchemaError, match="cannot be read"):
        log.draw(lambda clock: drawn(2))
    assert len(list((tmp_path / "certificates").iterdir())) == 2


def test_a_draw_that_was_killed_was_never_drawn_and_is_swept_up(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / ".2026-03-01-00000001.json.ab12cd34.part").write_text(drawn(1).text()[:80])
    log = CertificateLog(folder)
    assert log.attempts("Ana") == ()
    log.draw(lambda clock: drawn(1))
    assert log.notices == []
    assert [path.name for path in folder.iterdir()] == [drawn(1).file]


def test_while_a_sample_is_drawn_no_other_process_decides(tmp_path):
    """The sample fits the decisions as they stand: the lock of the decisions is held."""
    path = tmp_path / "screening.csv"
    desk, other = Desk(ScreeningLog(path)), ScreeningLog(path)
    other.append(Entry("1", "title-abstract", "Ben", "include"))
    written = threading.Event()

    def decide() -> None:
        other.append(Entry("2", "title-abstract", "Ben", "include"))
        written.set()

    with desk.held():
        assert "1" in desk.state.labels()
        thread = threading.Thread(target=decide)
        thread.start()
        assert not written.wait(0.2)
        assert desk.refresh() == set()
    thread.join()
    assert desk.refresh() == {"2"}


# --- the page ------------------------------------------------------------------------------------


class Screening:
    """A server over 60 records, of which Ana has included 20 and excluded 5."""

    def __init__(self, server: rows.Server, name: str = "Ana") -> None:
        self.server, self.browser = server, server.browser(name)
        for number in (*FOUND, *OTHERS):
            self.browser.decide(number, "include" if number in FOUND else "exclude")

    def offer(self, **chosen: float):
        return self.server.ready.session.offer(self.browser.reviewer, **chosen)

    def draw(self, **changed: object):
        offer = self.offer()
        told = {name: getattr(offer, name) for name in ("attempt", "size", "target", "confidence")}
        return self.browser.post("/api/certificate", **(told | changed))

    def files(self) -> list[dict]:
        folder = self.server.folder / "extracted" / rows.CLAIM / "certificates"
        found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return sorted(found, key=lambda one: one["time"])

    def state(self):
        return self.browser.get("/api/state").json()["certificate"]

    def page(self) -> str:
        return " ".join(self.browser.get("/progress").text.split())

    def read(self, *decisions: str) -> list[str]:
        """Decide on the first records of the list."""
        done = []
        for decision in decisions:
            done.append(self.browser.order(1)[0])
            self.browser.decide(done[-1], decision)
        return done


@pytest.fixture
def server(tmp_path):
    with rows.serving(rows.review(tmp_path / "review", 60)) as server:
        yield server


@pytest.fixture
def ana(server):
    return Screening(server)


def test_the_size_is_told_before_and_is_what_is_drawn(ana):
    offer = ana.offer()
    # Attempt 1 may err in half of 5 % (docstring of `draw`). 20 of 21 are 95 %: two missed are too
    # many, and 29 of 35 draws leave out both with a probability of 6 x 5 / (35 x 34) = .0252.
    assert (offer.unscreened, offer.included, offer.missed) == (35, 20, 2)
    assert offer.size == certificate_size(35, 20, confidence=0.975) == 30
    assert f"<b>{offer.size} records</b> to read" in ana.page()
    assert f"Draw {offer.size} records at random" in ana.page()
    assert ana.draw().json() == {"attempt": 1, "size": offer.size}
    (kept,) = ana.files()
    assert len(set(kept["pmids"])) == offer.size
    assert not set(kept["pmids"]) & {
        line.split(",")[0] for line in rows.log_rows(ana.server.folder)
    }


def test_what_was_kept_is_enough_to_draw_the_sample_again(ana):
    everything = {str(1000 + n) for n in range(1, 61)}
    left = everything - {line.split(",")[0] for line in rows.log_rows(ana.server.folder)}
    ana.draw()
    (kept,) = ana.files()
    again = draw(sorted(left), kept["included"], seed=kept["seed"], attempt=kept["attempt"])
    assert list(again.pmids) == kept["pmids"]
    assert kept["unscreened"] == len(left)
    assert kept["records"] == 60
    assert kept["reviewer"] == "Ana"
    assert dt.date.fromisoformat(kept["date"])


def test_the_sample_comes_first_and_is_marked(ana):
    usual = ana.browser.order()
    ana.draw()
    reply = ana.browser.get("/api/queue", n=50).json()
    (kept,) = ana.files()
    assert reply["order"][: len(kept["pmids"])] == kept["pmids"]
    assert reply["sample"] == kept["pmids"]
    rest = [name for name in usual if name not in kept["pmids"]]
    assert reply["order"][len(kept["pmids"]) :] == rest
    assert reply["records"][kept["pmids"][0]]["sample"] is True
    assert ana.browser.get("/api/record", id=kept["pmids"][0]).json()["sample"] is True
    assert ana.browser.get("/api/record", id="1005").json()["sample"] is False
    listed = ana.browser.get("/records", show="open").text
    assert listed.count("Certificate sample") == len(kept["pmids"])


def test_progress_is_shown_and_a_sample_without_a_relevant_record_certifies(ana):
    size = ana.draw().json()["size"]
    assert ana.state()["words"] == f"certificate sample: 0 of {size} read, none relevant"
    ana.read("exclude", "exclude")
    assert ana.state()["words"] == f"certificate sample: 2 of {size} read, none relevant"
    assert f"2 of {size} read, none relevant" in ana.page()
    ana.read(*["exclude"] * (size - 2))
    assert ana.state()["status"] == "certified"
    page = ana.page()
    assert f"Certified: none of {size} of " in page
    assert "Attempt 1, drawn on" in page
    assert "Draw " not in page
    assert ana.draw().status_code == 409
    assert len(ana.files()) == 1


def test_the_claims_page_says_what_each_sample_came_to(ana):
    ana.draw()
    ana.read("exclude", "include")
    size = ana.draw().json()["size"]
    folder = ana.server.folder
    ran = CliRunner().invoke(main, ["--root", str(folder), "update", "--offline"])
    assert ran.exit_code == 0, ran.output
    page = " ".join((folder / f"site/claims/{rows.CLAIM}.html").read_text().split())
    first, second = page.split('<ul class="certificates">')[1].split("</ul>")[0].split("</li>")[:2]
    assert "Ana, attempt 1, drawn on " in first
    assert "Not certified: 1 of " in first
    assert f"(0 of {size} read; <code>extracted/{rows.CLAIM}/certificates/" in second
    assert "Not yet certified: " in second
    path = folder / f"extracted/{rows.CLAIM}/certificates/broken.json"
    path.write_text("{", encoding="utf-8")
    CliRunner().invoke(main, ["--root", str(folder), "update", "--offline"])
    page = (folder / f"site/claims/{rows.CLAIM}.html").read_text()
    said = "A sample drawn to certify the screening cannot be read: "
    assert f"{said}extracted/{rows.CLAIM}/certificates/broken.json" in page


def test_a_relevant_record_ends_the_attempt_and_says_what_next(ana):
    ana.draw()
    done = ana.read("exclude", "include")
    assert ana.state()["status"] == "failed"
    assert "Screen on in the usual order" in ana.state()["told"]
    reply = ana.browser.get("/api/queue", n=50).json()
    assert reply["sample"] == []
    page = ana.page()
    assert "Attempt 1, drawn on" in page
    assert "Not certified: 1 of " in page
    assert "Screen on, then draw a new sample" in page
    second = ana.offer()
    assert (second.attempt, second.why_not, second.fixed) == (2, "", True)
    assert ana.draw().status_code == 200
    assert [one["attempt"] for one in ana.files()] == [1, 2]
    assert not set(ana.files()[1]["pmids"]) & set(done)
    # An attempt may err half as often as the one before it: of as many records it takes more.
    assert certificate_size(1000, 40, confidence=0.9875) > certificate_size(
        1000, 40, confidence=0.975
    )
    assert second.size == certificate_size(33, 21, confidence=0.9875)


def test_an_open_sample_cannot_be_drawn_anew_until_it_suits(ana):
    first = ana.draw()
    assert first.status_code == 200
    again = ana.draw()
    assert again.status_code == 409
    assert "has to be read first" in again.json()["error"]
    assert ana.draw(attempt=1).status_code == 409
    assert len(ana.files()) == 1


@pytest.mark.parametrize(
    "changed",
    [{"size": 1}, {"attempt": 2}, {"target": 0.9}, {"confidence": 0.99}],
)
def test_nothing_is_drawn_that_was_not_told(ana, changed):
    assert ana.draw(**changed).status_code == 409
    assert ana.files() == []


@pytest.mark.parametrize(
    "changed",
    [{"target": 0.5}, {"confidence": 2}, {"attempt": 0}, {"size": "31"}, {"seed": 1}, {"size": 0}],
)
def test_a_draw_that_is_not_just_right_is_refused(ana, changed):
    assert ana.draw(**changed).status_code == 422
    assert ana.files() == []


def test_target_and_confidence_are_the_reviewers_and_stay_those_of_the_first_attempt(ana):
    loose = ana.offer(target=0.9, confidence=0.9)
    page = ana.browser.get("/progress", target="0.9", confidence="0.9").text
    assert f"<b>{loose.size} records</b>" in page
    told = {"target": 0.9, "confidence": 0.9, "size": loose.size, "attempt": 1}
    assert ana.browser.post("/api/certificate", **told).status_code == 200
    ana.read("include")
    later = ana.offer(target=0.99, confidence=0.99)
    assert (later.target, later.confidence, later.fixed) == (0.9, 0.9, True)
    assert ana.browser.get("/progress", target="nonsense").status_code == 200


def test_a_restart_finds_the_sample_where_it_was_left(tmp_path):
    folder = rows.review(tmp_path / "review", 60)
    with rows.serving(folder) as first:
        ana = Screening(first)
        ana.draw()
        ana.read("exclude", "exclude", "exclude")
        before, order = ana.state(), ana.browser.order()
    with rows.serving(folder) as second:
        browser = second.browser("Ana")
        assert browser.get("/api/state").json()["certificate"] == before
        size = len(browser.get("/api/queue", n=50).json()["sample"])
        assert browser.order()[:size] == order[:size]


def test_two_reviewers_have_a_sample_each(server):
    ana, ben = Screening(server, "Ana"), Screening(server, "Ben")
    assert ana.draw().status_code == 200
    assert ben.state() is None
    assert ben.offer().attempt == 1
    assert ben.draw().status_code == 200
    assert [one["reviewer"] for one in ana.files()] == ["Ana", "Ben"]
    assert ana.files()[0]["seed"] != ana.files()[1]["seed"]
    ben.read("include")
    assert ben.state()["status"] == "failed"
    assert ana.state()["status"] == "open"  # blind: what Ben found tells Ana nothing


@pytest.mark.parametrize("processes", [1, 2])
def test_windows_that_draw_at_once_draw_once(ana, processes):
    """Two servers over one folder share nothing but the disk, as two processes do."""
    offer = ana.offer()
    told = {name: getattr(offer, name) for name in ("attempt", "size", "target", "confidence")}
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def press(session) -> None:
        ready.wait()
        try:
            session.certify("Ana", **told)
            outcomes.append("drawn")
        except Exception as fault:
            outcomes.append(type(fault).__name__)

    with rows.serving(ana.server.folder) as other:
        other.browser("Ana").order(1)
        sessions = [ana.server.ready.session, other.ready.session][:processes] * 4
        threads = [threading.Thread(target=press, args=(one,)) for one in sessions[:4]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["Refused", "Refused", "Refused", "drawn"]
        assert len(ana.files()) == 1
        for server in (ana.server, other):
            state = server.browser("Ana").get("/api/state").json()
            assert state["certificate"]["status"] == "open"


def test_a_decision_that_is_changed_changes_the_verdict_and_the_change_is_told(ana):
    size = ana.draw().json()["size"]
    done = ana.read(*["exclude"] * (size - 1), "include")
    assert ana.state()["status"] == "failed"
    ana.browser.undo()
    assert ana.state()["status"] == "open"
    assert ana.browser.order(1) == done[-1:]
    ana.read("include")
    ana.browser.decide(done[-1], "exclude")
    assert ana.state()["status"] == "certified"
    assert "1 record of the sample was first sent on and then excluded" in ana.page()
    ana.browser.decide(done[0], "include")
    assert ana.state()["status"] == "failed"
    assert ana.offer().attempt == 2


def test_an_unsure_record_proves_nothing_until_it_is_settled(ana):
    size = ana.draw().json()["size"]
    done = ana.read("unsure", *["exclude"] * (size - 1))
    assert ana.state()["status"] == "unsettled"
    assert f"{size} of {size} read, none relevant, 1 unsure" in ana.page()
    assert f"record={done[0]}" in ana.page()
    assert ana.draw().status_code == 409
    ana.browser.decide(done[0], "exclude", stage="full-text", reason="rats")
    assert ana.state()["status"] == "certified"


def test_what_goes_on_to_the_full_text_counts_as_relevant_whatever_becomes_of_it(ana):
    ana.draw()
    (record,) = ana.read("include")
    ana.browser.decide(record, "exclude", stage="full-text", reason="rats")
    assert ana.state()["status"] == "failed"


def test_records_that_come_later_are_not_covered_and_may_be_certified_anew(ana):
    size = ana.draw().json()["size"]
    ana.read(*["exclude"] * size)
    rows.add(ana.server.folder, [rows.record(n) for n in (71, 72)])
    ana.server.ready.session.holdings.look()
    assert "not of 2 records that came since" in ana.page()
    assert ana.offer().why_not == ""
    assert ana.offer().attempt == 2


def test_a_resolution_to_include_fails_a_sample_that_its_reviewer_passed(server):
    """The record was relevant after all, and had been missed."""
    ana, ben = Screening(server, "Ana"), server.browser("Ben")
    size = ana.draw().json()["size"]
    done = ana.read(*["exclude"] * size)
    assert ana.state()["status"] == "certified"
    ben.decide(done[0], "include")
    assert ana.state()["status"] == "certified"  # blind, and nothing is settled
    settle = {"stage": "title-abstract", "record": done[0], "decision": "include"}
    assert ben.post("/api/resolve", key="by-ben-one", **settle).status_code == 200
    assert ana.state()["status"] == "failed"


def test_where_the_work_is_shared_a_sample_is_read_by_anybody(tmp_path):
    plan = "\n[screening]\nreviewers = 1\n"
    with rows.serving(rows.review(tmp_path / "review", 60, screening=plan)) as server:
        ana, ben = Screening(server), server.browser("Ben")
        ana.draw()
        first = ana.browser.order(1)[0]
        ben.decide(first, "exclude")
        assert ana.state()["words"].startswith("certificate sample: 1 of")
        second = ana.browser.order(1)[0]
        assert second != first
        ben.decide(second, "include")
        assert ana.state()["status"] == "failed"


def test_a_record_that_is_gone_from_the_store_does_not_hold_up_for_ever(tmp_path):
    folder = rows.review(tmp_path / "review", 60)
    with rows.serving(folder) as first:
        Screening(first).draw()
    (path,) = (folder / "extracted" / rows.CLAIM / "certificates").iterdir()
    path.write_text(path.read_text().replace(json.loads(path.read_text())["pmids"][0], "999999"))
    with rows.serving(folder) as second:
        browser = second.browser("Ana")
        assert "999999" not in browser.order()
        text = " ".join(browser.get("/progress").text.split())
        assert "1 record of the sample is not in the store any more" in text
        assert second.ready.session.offer("Ana").why_not == ""


def test_without_an_inclusion_the_sample_is_nearly_everything_and_said_to_be(server):
    browser = server.browser("Ana")
    offer = server.ready.session.offer("Ana")
    assert offer.size == certificate_size(60, 0, confidence=0.975) == 59
    assert "98% of the 60 that are unscreened" in browser.get("/progress").text


def test_when_all_is_screened_there_is_nothing_to_draw(server):
    browser = server.browser("Ana")
    for number in range(1001, 1061):
        browser.decide(number, "exclude")
    assert "there is nothing left to draw from" in browser.get("/progress").text
    told = {"attempt": 1, "size": 1, "target": 0.95, "confidence": 0.95}
    assert browser.post("/api/certificate", **told).status_code == 409


def test_the_full_text_stage_has_no_certificate(ana):
    ana.draw()
    assert ana.browser.get("/api/state", stage="full-text").json()["certificate"] is None
    assert ana.browser.get("/api/queue", stage="full-text").json()["sample"] == []
    assert "Prove it" not in ana.browser.get("/progress", stage="full-text").text


def test_a_broken_file_is_told_on_the_page_and_screening_goes_on(ana):
    ana.draw()
    folder = ana.server.folder / "extracted" / rows.CLAIM / "certificates"
    (folder / "2026-01-01-x.json").write_text("{")
    assert "certificates/2026-01-01-x.json" in ana.page()
    ana.read("include")
    assert ana.draw().status_code == 503
    assert len(list(folder.iterdir())) == 2


def test_a_disk_that_refuses_draws_nothing(ana, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert ana.draw().status_code == 503
    monkeypatch.undo()
    assert ana.files() == []
    assert ana.state() is None
    assert ana.draw().status_code == 200


def test_the_claims_other_commands_are_not_disturbed_by_the_files(ana):
    from evidence.extracted import read_extraction

    ana.draw()
    read_extraction(ana.server.folder, rows.CLAIM)
    assert Workspace.at(ana.server.folder).claim(rows.CLAIM).id == rows.CLAIM
