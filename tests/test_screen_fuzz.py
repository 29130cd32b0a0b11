"""Nonsense sent to the screening server: it is refused in plain words, and nothing is lost."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.screen.guard import LARGEST_BODY
from tests import screen_rows as rows
from tests.screen_rows import PAGES, QUESTIONS, WRITES


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for tests that leave nothing behind."""
    with rows.serving(rows.review(tmp_path_factory.mktemp("review"))) as server:
        yield server


@pytest.fixture
def server(tmp_path):
    with rows.serving(rows.review(tmp_path / "review")) as server:
        yield server


MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}${7*7}",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egpj.exe",
)


def test_markup_in_records_stays_text(tmp_path):
    bad = [
        rows.record(
            100 + at,
            title=text,
            abstract=text,
            authors=(text,),
            journal=text,
            doi=f"10.1000/{text}".replace(" ", ""),
            mesh=(text,),
            kinds=(text,),
            keywords=(text,),
            notices=(text,),
            sections=(),
        )
        for at, text in enumerate(MARKUP)
    ]
    with rows.serving(rows.review(tmp_path / "review", 2, extra=bad)) as server:
        browser = server.browser('Ana <script>"x"</script>')
        other = server.browser("Ben")
        for at, text in enumerate(MARKUP):
            browser.decide(1100 + at, "exclude", reason=text, note=text)
            other.decide(1100 + at, "include", reason=text, note=text)
        for path in PAGES:
            text = browser.get(path).text
            assert "<script>alert" not in text
            assert "<img" not in text
            assert not re.search(r"<svg[^>]*onload", text)
            assert "49" not in re.findall(r"\{\{7\*7\}\}|49\$", text)
        for record in browser.get("/api/queue", n=50).json()["records"].values():
            assert all(link["url"].startswith("https://") for link in record["links"])
            assert not any(set(link["url"]) & set("<>\"' ") for link in record["links"])


GOOD = {
    "reviewer": "Ana",
    "key": "a-good-key",
    "stage": "title-abstract",
    "record": "1005",
    "decision": "include",
    "reason": "",
    "note": "",
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 5000,
        json.dumps(GOOD | {"more": 1}).encode(),
        json.dumps(GOOD | {"decision": "maybe"}).encode(),
        json.dumps(GOOD | {"decision": True}).encode(),
        json.dumps(GOOD | {"stage": "first"}).encode(),
        json.dumps(GOOD | {"key": "short"}).encode(),
        json.dumps(GOOD | {"key": "key with blanks"}).encode(),
        json.dumps(GOOD | {"record": 1005}).encode(),
        json.dumps(GOOD | {"reason": "x" * 501}).encode(),
        json.dumps({k: v for k, v in GOOD.items() if k != "record"}).encode(),
        json.dumps(GOOD).replace('"note"', '"reason"').encode(),
        json.dumps(GOOD).replace('""', "NaN").encode(),
    ],
)
def test_a_body_that_is_not_just_right_is_refused_in_plain_json(shared_server, body):
    browser = shared_server.browser("Ana")
    headers = {"x-write-token": browser.token, "content-type": "application/json"}
    reply = browser.client.post("/api/decide", content=body, headers=headers)
    assert reply.status_code in (400, 422)
    assert set(reply.json()) <= {"error", "remedy"}
    assert rows.log_rows(shared_server.folder) == []


def test_a_form_cannot_write(shared_server):
    browser = shared_server.browser("Ana")
    reply = browser.client.post("/api/decide", data=GOOD, headers={"x-write-token": browser.token})
    assert reply.status_code == 415


def test_a_body_that_is_too_large_is_refused(shared_server):
    browser = shared_server.browser("Ana")
    reply = browser.post("/api/note", key="a-good-key", note="x" * LARGEST_BODY)
    assert reply.status_code == 413


def test_control_characters_never_reach_the_log(server):
    browser = server.browser("Ana")
    reply = browser.decide(1005, "exclude", reason="one\r\ntwo\x00three\x1b[31m", note="\u2028")
    assert reply.status_code == 200
    (line,) = rows.log_rows(server.folder)
    assert "one two three [31m" in line


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {},
    optional={
        name: st.just(value) | anything | st.sampled_from(["full-text", "1001", "Ana", "unsure"])
        for name, value in (GOOD | {"include": ["a"], "exclude": [], "name": "Ana"}).items()
    },
)
bodies = (near | anything).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
paths = st.sampled_from(
    [*PAGES, *QUESTIONS, *WRITES, "/start", "/static/screen.js", "/static/..", "/%00", "/api"]
)
queries = st.dictionaries(
    st.sampled_from(
        [
            "stage",
            "id",
            "n",
            "have",
            "without",
            "reviewer",
            "q",
            "show",
            "page",
            "sort",
            "from",
            "to",
            "token",
            "record",
        ]
    ),
    st.sampled_from(["title-abstract", "full-text", "1005", "-1", "9" * 30, "Ana", "", "a b", "%"])
    | st.text(max_size=12),
    max_size=5,
)


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]),
    path=paths,
    query=queries,
    body=bodies,
    signed=st.booleans(),
    kind=st.sampled_from(["application/json", "text/plain", "application/json; charset=latin1"]),
)
def test_no_request_breaks_the_server_or_the_log(fuzzed, method, path, query, body, signed, kind):
    server, browser = fuzzed
    before = rows.log_rows(server.folder)
    headers = {"content-type": kind}
    if signed:
        headers["x-write-token"] = browser.token
    query = {key: text.encode("utf-8", "replace").decode() for key, text in query.items()}
    reply = browser.client.request(
        method, path, params=query, content=body, headers=headers, follow_redirects=False
    )
    assert reply.status_code < 500
    assert "Traceback" not in reply.text
    after = rows.log_rows(server.folder)
    assert after[: len(before)] == before
    if reply.status_code >= 400 or not signed or method != "POST":
        assert after == before
    # A fuzzed request may have changed who sits at this browser.
    fuzzed[1].token = fuzzed[1].token if path not in ("/api/name", "/api/leave") else renew(fuzzed)


def renew(fuzzed) -> str:
    fresh = fuzzed[0].browser("Ana")
    fuzzed[1].client = fresh.client
    return fresh.token


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    with rows.serving(rows.review(tmp_path_factory.mktemp("fuzzed") / "review", 6)) as server:
        yield [server, server.browser("Ana")]
