"""The screening server: who may ask, what is written, what is hidden, what nonsense does."""

from __future__ import annotations

import re

import pytest

from evidence.extracted import read_extraction
from evidence.formats import make
from evidence.held import body_of
from evidence.store import Other, Store
from tests import screen_rows as rows
from tests.screen_rows import PAGES, QUESTIONS, WRITES

X = "doi:10.1000/x"


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for tests that leave nothing behind."""
    with rows.serving(rows.review(tmp_path_factory.mktemp("review"))) as server:
        yield server


@pytest.fixture
def server(tmp_path):
    with rows.serving(rows.review(tmp_path / "review")) as server:
        yield server


# --- who may ask ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, *QUESTIONS])
def test_without_a_cookie_nothing_is_shown(shared_server, path):
    reply = shared_server.client().get(path)
    assert reply.status_code == 401
    assert "part 5" not in reply.text


@pytest.mark.parametrize("path", WRITES)
def test_without_a_cookie_nothing_is_written(shared_server, path):
    reply = shared_server.client().post(path, json={})
    assert reply.status_code == 401
    assert rows.log_rows(shared_server.folder) == []


@pytest.mark.parametrize("token", ["", "x", "ä", "\udc80"])
def test_a_wrong_start_token_lets_nobody_in(shared_server, token):
    client = shared_server.client()
    reply = client.get("/start?token=" + token.encode("utf-8", "surrogateescape").hex())
    assert reply.status_code == 401
    assert not client.cookies


def test_the_cookie_is_strict_and_out_of_reach_of_scripts(shared_server):
    token = shared_server.ready.url.partition("token=")[2]
    reply = shared_server.client().get("/start", params={"token": token}, follow_redirects=False)
    cookie = reply.headers["set-cookie"].lower()
    assert reply.status_code == 303
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert token not in reply.headers["location"]


def test_a_visit_from_another_site_still_arrives_with_its_cookie(shared_server):
    token = shared_server.ready.url.partition("token=")[2]
    reply = shared_server.client().get(
        "/start", params={"token": token}, headers={"sec-fetch-site": "cross-site"}
    )
    assert reply.status_code == 200
    assert 'href="/"' in reply.text


@pytest.mark.parametrize("change", ["x", ""])
def test_a_cookie_that_was_tampered_with_is_refused(shared_server, change):
    browser = shared_server.browser("Ana")
    name, value = next(iter(browser.client.cookies.items()))
    client = shared_server.client()
    client.cookies.set(name, value[:-1] + change)
    assert client.get("/api/visit").status_code == 401


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_write_needs_the_token_of_the_page_beside_the_cookie(shared_server, path, token):
    browser = shared_server.browser("Ana")
    headers = {} if token is None else {"x-write-token": token}
    assert browser.client.post(path, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1"]
)
def test_a_write_from_another_origin_is_refused(shared_server, origin):
    browser = shared_server.browser("Ana")
    browser.client.headers["origin"] = origin
    assert browser.decide(1001, "include").status_code == 403
    assert rows.log_rows(shared_server.folder) == []


def test_a_write_that_the_browser_calls_cross_site_is_refused(shared_server):
    browser = shared_server.browser("Ana")
    browser.client.headers["sec-fetch-site"] = "same-site"
    assert browser.decide(1001, "include").status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost:1", "", "127.0.0.1.evil.example:80"]
)
def test_a_host_that_is_not_on_the_list_gets_nothing(shared_server, host):
    browser = shared_server.browser("Ana")
    for path in ("/", "/api/queue", "/static/screen.js"):
        assert browser.client.get(path, headers={"host": host}).status_code == 421


def test_localhost_is_another_name_of_this_machine(shared_server):
    port = shared_server.ready.bound.getsockname()[1]
    reply = shared_server.client().get("/static/page.js", headers={"host": f"localhost:{port}"})
    assert reply.status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/api/state", "/nothing", "/static/screen.css"])
def test_every_reply_forbids_what_is_not_ours(shared_server, path):
    headers = shared_server.browser("Ana").client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", [*PAGES])
def test_no_page_has_inline_script_or_style_or_a_foreign_address(shared_server, path):
    text = shared_server.browser("Ana").client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    for address in re.findall(r'(?:src|href|action)="([^"]*)"', text):
        assert address.startswith(("/", "#", "https://doi.org/", "https://pubmed", "https://pmc"))


def test_the_key_of_the_server_is_readable_by_its_owner_alone(shared_server):
    path = shared_server.folder / "var" / "screen" / "key"
    assert path.stat().st_mode & 0o077 == 0


# --- what is written -----------------------------------------------------------------------------


def test_a_decision_is_in_the_file_when_it_is_called_saved(server):
    browser = server.browser("Ana Ávila")
    reply = browser.decide(1005, "exclude", reason="animals, “rats”", note='says "no"')
    assert reply.json()["saved"] is True
    (line,) = rows.log_rows(server.folder)
    assert line.startswith('1005,title-abstract,Ana Ávila,exclude,"animals, “rats”",')
    assert reply.json()["state"]["counts"]["screened"] == 1


def test_the_same_request_sent_again_is_written_once(server):
    browser = server.browser("Ana")
    for _ in range(3):
        assert browser.decide(1005, "include", key="the-same-key").status_code == 200
    assert len(rows.log_rows(server.folder)) == 1


def test_a_request_whose_reply_was_lost_in_a_crash_is_not_written_again(tmp_path):
    folder = rows.review(tmp_path / "review")
    with rows.serving(folder) as first:
        browser = first.browser("Ana")
        browser.decide(1005, "include", key="key-of-1005")
        browser.decide(1005, "exclude", key="key-of-change")
        browser.undo("key-of-undo")
    read_extraction(folder, rows.CLAIM)  # the other commands can go on with what is there now
    with rows.serving(folder) as second:
        browser = second.browser("Ana")
        browser.decide(1005, "exclude", key="key-of-change")
        assert browser.undo("key-of-undo").json()["record"] == "1005"
        mine = browser.get("/api/record", id="1005").json()["mine"]
    assert len(rows.log_rows(folder)) == 3
    assert mine["decision"] == "include"


def test_a_cookie_outlives_the_server(tmp_path):
    folder = rows.review(tmp_path / "review")
    with rows.serving(folder) as first:
        port = first.ready.bound.getsockname()[1]
        cookies = first.browser("Ana").client.cookies
    with rows.serving(folder, rows.opening.Where(port=port)) as second:
        client = second.client()
        client.cookies = cookies
        assert client.get("/api/visit").json()["reviewer"] == "Ana"


def test_undo_goes_back_step_by_step(server):
    browser = server.browser("Ana")
    browser.decide(1001, "exclude")
    browser.decide(1005, "include")
    browser.decide(1005, "unsure")
    assert browser.undo().json()["shown"]["mine"]["decision"] == "include"
    assert browser.undo().json()["shown"]["mine"] is None
    assert browser.undo().json()["record"] == "1001"
    assert browser.undo().json()["record"] is None
    assert len(browser.order()) == 12


def test_notes_are_kept_changed_and_emptied(server):
    browser = server.browser("Ana")
    for text in ("ask Ben", "asked", ""):
        reply = browser.post(
            "/api/note",
            key=f"key-{text or 'none'}-xx".replace(" ", "-"),
            stage="title-abstract",
            record="1002",
            note=text,
        )
        assert reply.json()["note"] == text
        assert browser.get("/api/record", id="1002").json()["note"] == text
    assert "1002" in browser.order()


def test_a_full_text_is_excluded_for_a_reason_only(server):
    browser = server.browser("Ana")
    browser.decide(1005, "include")
    bare = browser.decide(1005, "exclude", stage="full-text")
    assert bare.status_code == 422
    assert "reason" in bare.json()["error"]
    assert browser.decide(1005, "exclude", stage="full-text", reason="no BDNF").status_code == 200
    assert browser.decide(1005, "not-retrieved", stage="title-abstract").status_code == 422
    assert browser.decide(1005, "include", reason="not in humans").status_code == 422


def test_the_full_text_stage_holds_what_was_included(server):
    browser = server.browser("Ana")
    browser.decide(1005, "include")
    browser.decide(1010, "unsure")
    browser.decide(1001, "exclude")
    reply = browser.get("/api/queue", stage="full-text", n=50).json()
    assert set(reply["order"]) == {"1005", "1010"}
    assert reply["state"]["counts"]["records"] == 2


def test_a_record_that_another_has_decided_on_at_full_text_is_in_the_list_once(server):
    ana, ben = server.browser("Ana"), server.browser("Ben")
    for browser in (ana, ben):
        browser.decide(1005, "include")
        browser.decide(1010, "include")
    ben.decide(1005, "include", stage="full-text")
    assert ana.get("/api/queue", stage="full-text", n=50).json()["order"] == ["1005", "1010"]


def test_newest_first_means_within_a_year_too(server):
    rows.add(server.folder, [rows.record(n, year=2030) for n in (51, 49, 50)])
    server.ready.session.holdings.look()
    text = server.browser("Ana").get("/records", sort="newest").text
    shown = re.findall(r"[?;]record=(\d+)", text)
    assert list(dict.fromkeys(shown))[:3] == ["1051", "1050", "1049"]


def test_a_decision_under_a_doi_holds_when_pubmed_turns_out_to_have_the_record(tmp_path):
    folder = rows.review(tmp_path / "review", 5)
    other = Other("embase.ris#1", "embase.ris", body_of(make(title="Rows", doi="10.1000/X")), X)
    with Store(folder / "var" / "evidence.sqlite") as store:
        store.add_others(rows.CLAIM, "embase.ris", [other], on=rows.DAY)
    with rows.serving(folder) as server:
        ana = server.browser("Ana")
        assert X in ana.order()
        ana.decide(X, "exclude")
        rows.add(folder, [rows.record(7, doi="10.1000/x")])
        with Store(folder / "var" / "evidence.sqlite") as store:
            store.name_others(rows.CLAIM, [("embase.ris#1", "1007", "1007")])
        server.ready.session.holdings.look()
        assert not {"1007", X} & set(ana.order())
        assert ana.get("/api/record", id=X).json()["mine"]["decision"] == "exclude"
        ana.decide(X, "include")  # on a page that was open before
        assert ana.get("/api/record", id="1007").json()["mine"]["decision"] == "include"
    with rows.serving(folder) as server:
        ana = server.browser("Ana")
        assert set(ana.order()) == {"1001", "1002", "1003", "1004", "1005"}
        assert ana.get("/api/record", id="1007").json()["mine"]["decision"] == "include"
    assert [row.split(",")[0] for row in rows.log_rows(folder)] == [X, "1007"]


def test_a_record_that_is_not_of_this_screening_cannot_be_decided_on(server):
    browser = server.browser("Ana")
    reply = browser.decide("99999", "include")
    assert reply.status_code == 404
    assert rows.log_rows(server.folder) == []


def test_a_page_that_was_made_for_another_person_writes_nothing(server):
    browser = server.browser("Ana")
    reply = browser.decide(1001, "include", reviewer="Ben")
    assert reply.status_code == 401  # and the page keeps what it could not send
    assert browser.get("/api/queue", reviewer="Ben").status_code == 401
    assert rows.log_rows(server.folder) == []


@pytest.mark.parametrize("name", ["", "   ", "founding-collection", "x" * 61])
def test_a_name_must_be_one_of_a_person(server, name):
    browser = server.browser("Ana")
    assert browser.post("/api/name", name=name).status_code == 422


# --- order, progress, reasons --------------------------------------------------------------------


def test_each_record_is_offered_once_and_none_is_forgotten(server):
    browser = server.browser("Ana")
    seen = []
    while order := browser.order(1):
        seen.append(order[0])
        browser.decide(order[0], "include" if int(order[0]) % 5 == 0 else "exclude")
    assert sorted(seen) == [str(1000 + n) for n in range(1, 13)]


def test_the_order_learns_from_decisions(tmp_path):
    with rows.serving(rows.review(tmp_path / "review", 60)) as server:
        browser = server.browser("Ana")
        browser.order(1)
        for number in (1001, 1002, 1003):
            browser.decide(number, "include")
        for number in (1005, 1010, 1015):
            browser.decide(number, "exclude")
        order = server.ready.session.order("Ana")
        order.ask(lambda engine: engine.order)
        first = browser.order(40)
    assert len(first) == 40
    assert all(int(name) % 5 for name in first)


def test_reasons_and_similar_records_are_told(server):
    browser = server.browser("Ana")
    browser.decide(1005, "include")
    browser.decide(1001, "exclude")
    reasons = browser.get("/api/reasons", id="1010").json()
    assert reasons["up"]
    assert all(0 <= share <= 1 for _, share in (*reasons["up"], *reasons["down"]))
    similar = browser.get("/api/similar", id="1010").json()["records"]
    assert similar[0]["id"] == "1005"
    assert similar[0]["mine"]["decision"] == "include"


def test_what_has_not_changed_is_not_sent_again(server):
    browser = server.browser("Ana")
    browser.order(1)
    session = server.ready.session
    session.order("Ana").ask(lambda engine: None)
    first = browser.get("/api/state")
    tag = {"if-none-match": first.headers["etag"]}
    path = "/api/state?stage=title-abstract"
    assert browser.client.get(path, headers=tag).status_code == 304
    browser.decide(1005, "include")
    assert browser.client.get(path, headers=tag).status_code == 200


def test_new_records_join_a_running_screening(server):
    browser = server.browser("Ana")
    before = browser.order()
    rows.add(server.folder, [rows.record(n) for n in (21, 22)])
    assert set(server.ready.session.holdings.look()) == {"1021", "1022"}
    assert browser.order(1) == before[:1]
    assert set(browser.order()) == {*before, "1021", "1022"}
    assert "2 new records" in browser.get("/api/state").json()["quiet"]


def test_what_another_process_decides_is_seen(server):
    browser = server.browser("Ana")
    browser.order()
    with rows.serving(server.folder) as other:
        other.browser("Ana").decide(1005, "include")
    assert "1005" not in browser.order()
    assert browser.get("/api/record", id="1005").json()["mine"]["decision"] == "include"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    with rows.serving(rows.review(tmp_path_factory.mktemp("searched") / "review")) as server:
        browser = server.browser("Ana")
        browser.decide(1005, "include", note="good")
        browser.decide(1001, "exclude")
        yield browser


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "sprint"}, 2),
        ({"q": "SPRINT bdnf"}, 2),
        ({"q": '"old rats"'}, 10),
        ({"q": "rats old"}, 10),
        ({"q": '"rats old"'}, 0),
        ({"q": "1005"}, 1),
        ({"q": "10.1000/example.7"}, 1),
        ({"from": "2005", "to": "2006"}, 2),
        ({"show": "include"}, 1),
        ({"show": "open"}, 10),
        ({"show": "note"}, 1),
        ({"q": "%"}, 0),
        ({"from": "x", "sort": "y", "show": "z", "page": "99"}, 12),
    ],
)
def test_search_and_filters_find_what_they_should(searched, query, found):
    text = searched.get("/records", **query).text
    assert text.count('class="line-title"') == found
    assert re.search(rf">{found} records?<", text)


def test_decided_lists_the_latest_first(server):
    browser = server.browser("Ana")
    for name in ("1003", "1001", "1002"):
        browser.decide(name, "exclude")
    browser.decide("1003", "include")
    text = browser.get("/decided").text
    assert re.findall(r"record=(\d+)", text) == ["1003", "1002", "1001"]
    assert re.findall(r"record=(\d+)", browser.get("/decided", show="include").text) == ["1003"]


def test_words_are_each_reviewers_own_and_marked_in_the_text(server):
    ana, ben = server.browser("Ana"), server.browser("Ben")
    reply = ana.post("/api/words", include=["sprinting", "  sprints "], exclude=['"rats"', "***"])
    assert reply.json() == {"include": ["sprinting"], "exclude": ['"rats"']}
    title = ana.get("/api/record", id="1005").json()["title"]
    assert ["Sprint", "include"] in title
    assert (
        "".join(text for text, _ in title) == "Sprint interval training and BDNF in serum, part 5"
    )
    assert ["rats", "exclude"] in ana.get("/api/record", id="1001").json()["title"]
    assert ben.get("/api/record", id="1005").json()["title"] == [["".join(t for t, _ in title), ""]]


# --- blindness -----------------------------------------------------------------------------------


def everything(browser: rows.Browser) -> str:
    """All that a reviewer can get."""
    found = [browser.get(path).text for path in PAGES]
    found += [browser.get(path).text for path in ("/api/queue", "/api/state")]
    found += [
        browser.get(path, id=str(number)).text
        for path in ("/api/record", "/api/reasons", "/api/similar")
        for number in range(1001, 1013)
    ]
    found += [browser.get("/api/queue", stage="full-text", n=50).text]
    return re.sub(r'"order":\d+', "", "\n".join(found))


def test_while_blind_nothing_tells_what_the_others_decided(tmp_path):
    with rows.serving(rows.review(tmp_path / "one")) as alone:
        alone.ready.session.order("Ben")
        ben = alone.browser("Ben")
        ben.order(1)
        expected = everything(ben)
    with rows.serving(rows.review(tmp_path / "two")) as server:
        ana = server.browser("Ana")
        for number in range(1001, 1013):
            ana.decide(number, "include" if number % 5 == 0 else "exclude", reason="told by Ana")
        ana.post("/api/note", key="note-by-ana", stage="title-abstract", record="1001", note="mine")
        ben = server.browser("Ben")
        ben.order(1)
        found = everything(ben)
    hidden = re.sub(r"http://[^ \"]*|<option value=\"Ana\"></option>", "", found)
    assert "told by Ana" not in found
    assert hidden == expected


def test_a_conflict_is_seen_only_after_ones_own_decision(server):
    ana, ben, eve = (server.browser(name) for name in ("Ana", "Ben", "Eve"))
    ana.decide(1005, "include")
    ben.decide(1005, "exclude", reason="told by Ben")
    assert "told by Ben" in ana.get("/conflicts").text
    assert "told by Ben" not in eve.get("/conflicts").text
    resolving = {"stage": "title-abstract", "record": "1005", "decision": "include"}
    assert eve.post("/api/resolve", key="by-eve-1", **resolving).status_code == 403
    assert ana.post("/api/resolve", key="by-ana-1", **resolving, note="talked").status_code == 200
    assert ana.post("/api/resolve", key="by-ana-1", **resolving, note="talked").status_code == 200
    text = ben.get("/conflicts").text
    assert "0 to resolve" in text
    assert "Resolved by Ana" in text
    assert len(rows.log_rows(server.folder)) == 3
    assert ",resolution,talked," in rows.log_rows(server.folder)[-1]


def test_only_the_named_ones_resolve_where_some_are_named(tmp_path):
    with rows.serving(rows.review(tmp_path / "review"), resolvers=["Eve"]) as server:
        ana, ben, eve = (server.browser(name) for name in ("Ana", "Ben", "Eve"))
        ana.decide(1005, "include")
        ben.decide(1005, "exclude")
        resolving = {"stage": "title-abstract", "record": "1005", "decision": "exclude"}
        assert ana.post("/api/resolve", key="by-ana-1", **resolving).status_code == 403
        assert eve.post("/api/resolve", key="by-eve-1", **resolving).status_code == 200
        again = eve.post("/api/resolve", key="by-eve-2", **(resolving | {"record": "1001"}))
    assert again.status_code == 409


def test_where_the_plan_says_how_many_decide_the_work_is_shared(tmp_path):
    plan = "\n[screening]\nreviewers = 1\n"
    with rows.serving(rows.review(tmp_path / "review", screening=plan)) as server:
        ana, ben = server.browser("Ana"), server.browser("Ben")
        ana.decide(1005, "include")
        assert "1005" not in ben.order()
        assert len(ben.order()) == 11


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
def test_other_methods_are_not_understood(shared_server, method):
    reply = shared_server.browser("Ana").client.request(method, "/api/decide")
    assert reply.status_code == 405


def test_a_fault_of_ours_is_plain_json_without_a_trace(shared_server, monkeypatch, capsys):
    def broken(*args: object) -> None:
        raise RuntimeError("a secret of the server")

    browser = shared_server.browser("Ana")
    monkeypatch.setattr(shared_server.ready.session, "state", broken)
    reply = browser.get("/api/state")
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert set(reply.json()) == {"error", "remedy"}
    assert "a secret of the server" in capsys.readouterr().err


def test_a_disk_that_refuses_is_told_and_nothing_is_called_saved(server, monkeypatch):
    from evidence.errors import ToolkitError

    def full(*args: object, **named: object) -> None:
        raise ToolkitError("the disk is full", remedy="free some space")

    browser = server.browser("Ana")
    monkeypatch.setattr(server.ready.session.desk.log, "append", full)
    reply = browser.decide(1005, "include")
    assert reply.status_code == 503
    assert reply.json() == {"error": "the disk is full", "remedy": "free some space"}
