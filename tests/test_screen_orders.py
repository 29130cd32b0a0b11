"""Orders that keep up with several reviewers, and records that change while people read."""

from __future__ import annotations

import threading
import time

import pytest

from evidence.formats import make
from evidence.held import body_of
from evidence.screen import orders as orders_module
from evidence.screen.holdings import Arrival, Holdings
from evidence.screen.orders import Order, Orders, Snapshot
from evidence.screen.session import ScreenSession
from evidence.store import Other, Store
from evidence.triage.collection import Collection
from evidence.triage.engine import Engine
from evidence.workspace import Workspace
from tests import screen_rows as rows


def by_words(records):
    return Collection.of(records, "sprint interval training")


# --- orders --------------------------------------------------------------------------------------


def test_an_order_is_learned_while_the_earlier_one_is_read():
    records = [rows.record(n) for n in range(1, 41)]
    orders = Orders(lambda: records, by_words)
    try:
        order = orders.of("Ana", dict)
        assert order.ready.wait(30)
        first = order.snapshot
        assert all(int(name) % 5 == 0 for name in first.order[:8])
        order.note({"1001": True, "1005": False, "1010": False})
        order.ask(lambda engine: engine.order)
        assert order.snapshot.version > first.version
        assert not {"1001", "1005", "1010"} & set(order.snapshot.order)
        order.note({"1005": None})
        order.ask(lambda engine: engine.order)
        assert "1005" in order.snapshot.order
        records.append(rows.record(50))
        orders.renew()
        order.ask(lambda engine: engine.order)
        assert "1050" in order.snapshot.known
        assert order.outlook is not None
        ben = orders.of("Ben", dict)
        assert ben.ready.is_set()  # by the protocol, as everybody begins
        assert all(int(name) % 5 == 0 for name in ben.snapshot.order[:8])
    finally:
        orders.stop()


@pytest.mark.parametrize("views", ["", 'views = ["mesh=0.5"]'])
def test_the_page_looks_at_records_by_the_views_of_the_claim_file(tmp_path, views):
    folder = rows.review(tmp_path / "review", screening=f"\n[screening]\n{views}\n")
    workspace = Workspace.at(folder)
    session = ScreenSession(workspace, workspace.claim(rows.CLAIM))
    try:
        order = session.order("Ana")
        assert order.ready.wait(30)
        assert ("MeSH" in order.snapshot.method) == bool(views)
    finally:
        session.stop()


def test_the_words_of_the_records_are_counted_once_for_all_who_come_at_the_same_time(monkeypatch):
    records = [rows.record(n) for n in range(1, 41)]
    made = []
    of = Collection.of

    def counted(*given, **named):
        made.append(len(given[0]))
        time.sleep(0.05)
        return of(*given, **named)

    monkeypatch.setattr(Collection, "of", counted)
    orders = Orders(lambda: list(records), by_words)
    try:
        people = [orders.of(name, dict) for name in ("Ana", "Ben", "Eve")]
        spaces = [each.ask(lambda engine: engine.collection) for each in people]
        assert spaces[0] is spaces[1] is spaces[2] is not None
        assert made == [40]
        records.append(rows.record(50))
        orders.renew()
        renewed = [each.ask(lambda engine: engine.collection) for each in people]
        assert renewed[0] is renewed[1] is renewed[2] is not spaces[0]
        assert made == [40, 41]
    finally:
        orders.stop()


def test_an_order_begun_with_many_decisions_is_that_of_an_engine_that_took_them_one_by_one():
    records = [rows.record(n) for n in range(1, 61)]
    labels = {str(1000 + n): n % 5 == 0 for n in range(1, 41)}
    orders = Orders(lambda: records, by_words)
    try:
        order = orders.of("Ana", lambda: {**labels, "9999": True})
        order.ask(lambda engine: None)
        engine = Engine(records, "sprint interval training")
        for name, relevant in labels.items():
            engine.decide(name, relevant)
        assert order.snapshot.order == engine.order
        assert order.ask(lambda engine: list(engine.decisions.items())) == list(labels.items())
        left = order.ask(lambda engine: engine.recall())
        assert left.estimate == pytest.approx(engine.recall().estimate, abs=1e-6)
    finally:
        orders.stop()


def test_stopping_rules_that_take_long_rest_so_that_orders_need_not_wait(monkeypatch):
    looks = []

    def counted(engine):
        looks.append(len(engine.decisions))
        time.sleep(0.01)
        return recall(engine)

    recall = Engine.recall
    monkeypatch.setattr(Engine, "recall", counted)
    monkeypatch.setattr(orders_module, "REST", 1e6)
    records = [rows.record(n) for n in range(1, 61)]
    orders = Orders(lambda: records, by_words)
    try:
        order = orders.of("Ana", dict)
        for n in range(1, 45):
            order.note({str(1000 + n): n % 5 == 0})
            order.ask(lambda engine: None)
        assert len(order.snapshot.order) == 16
        assert looks == [0]
        orders.renew()  # new records are worth a look at once
        while order.outlook is None or order.outlook.decisions < 44:
            time.sleep(0.01)
        assert looks == [0, 44]
    finally:
        orders.stop()


# --- what the store holds ------------------------------------------------------------------------


def test_a_revised_record_is_shown_and_ordered_anew_while_people_read(tmp_path):
    with rows.serving(rows.review(tmp_path / "review", 12)) as server:
        browser, session = server.browser("Ana"), server.ready.session
        before = browser.order()
        have = " ".join(before)
        assert browser.get("/api/queue", n=12, have=have).json()["records"] == {}
        order = session.order("Ana")
        order.ask(lambda engine: None)
        version = order.snapshot.version
        assert "walking" in session.holdings.words("1003")
        new = rows.record(3, title="Sprint interval training and BDNF", abstract="Exercised.")
        rows.add(server.folder, [new, rows.record(4)])  # 1004 is as it was
        assert session.holdings.look() == ()
        assert session.holdings.revised == {"1003"}
        assert "walking" not in session.holdings.words("1003")
        order.ask(lambda engine: None)
        assert order.snapshot.version > version
        told = browser.get("/api/queue", n=12, have=have).json()
        assert set(told["order"]) == set(before)
        assert told["order"].index("1003") < before.index("1003")
        assert list(told["records"]) == ["1003"]
        assert "Sprint interval" in str(told["records"]["1003"]["title"])
        assert browser.get("/api/state").json()["quiet"] == ""  # nothing new came
        assert session.holdings.look() == ()


def test_a_store_that_was_touched_but_says_the_same_renews_nothing(tmp_path):
    folder = rows.review(tmp_path / "review", 5)
    holdings = Holdings(Workspace.at(folder).store, rows.CLAIM)
    heard = []
    holdings.heard_by(heard.append)
    before = holdings.records
    rows.add(folder, [rows.record(n) for n in range(1, 6)])
    assert holdings.look() == ()
    assert heard == []
    assert holdings.records is before


def test_who_waits_for_an_order_that_is_ended_gets_no_answer_and_need_not_wait():
    held, begun = threading.Event(), threading.Event()

    def collect() -> Collection:
        begun.set()
        held.wait(30)
        return by_words([rows.record(1)])

    order = Order(collect, {}, first=Snapshot())
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(order.ask(lambda engine: engine.order, wait=3600)),
        daemon=True,
    )
    try:
        assert begun.wait(30)
        waiting.start()
        while not order._tasks:
            time.sleep(0.01)
        order.stop()
        waiting.join(30)
        assert answers == [None]
        assert order.ask(lambda engine: engine.order, wait=3600) is None
    finally:
        held.set()


def test_a_record_that_is_found_to_be_another_is_held_under_that_name_alone(tmp_path):
    folder = rows.review(tmp_path / "review", 5)
    store = Workspace.at(folder).store
    body = body_of(make(title="Rows", doi="10.1000/x"))
    other = Other("embase.ris#1", "embase.ris", body, "doi:10.1000/x")
    with Store(store) as opened:
        opened.add_others(rows.CLAIM, "embase.ris", [other], on=rows.DAY)
    holdings = Holdings(store, rows.CLAIM)
    heard = []
    holdings.heard_by(heard.append)
    assert "doi:10.1000/x" in holdings.records
    with Store(store) as opened:
        opened.name_others(rows.CLAIM, [("embase.ris#1", "1003", "1003")])
    assert holdings.look() == ()
    assert heard == [Arrival(())]
    assert set(holdings.records) == {"1001", "1002", "1003", "1004", "1005"}
    assert holdings.names["doi:10.1000/x"] == "1003"
    assert holdings.words("doi:10.1000/x") == ""


def test_what_is_new_and_what_is_revised_are_told_apart(tmp_path):
    folder = rows.review(tmp_path / "review", 5)
    holdings = Holdings(Workspace.at(folder).store, rows.CLAIM)
    heard = []
    holdings.heard_by(heard.append)
    rows.add(folder, [rows.record(6), rows.record(2, retracted=True), rows.record(3, abstract="")])
    assert holdings.look() == ("1006",)
    assert heard == [Arrival(("1006",), ("1002", "1003"))]
    assert holdings.arrived == ["1006"]
    assert holdings.records["1002"].retracted
