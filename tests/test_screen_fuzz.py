"""Nonsense sent to the screening server: it is refused in plain words, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.screen import guard, opening, passwords, serve
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
            assert not re.search(r"49\$|\}\}49", text)  # no template is made of it
        assert "{{7*7}}${7*7}" in browser.get("/records").text
        for record in browser.get("/api/queue", n=50).json()["records"].values():
            assert all(link["url"].startswith("https://") for link in record["links"])
            assert not any(set(link["url"]) & set("<>\"' ") for link in record["links"])


def test_markup_in_a_sample_stays_text(tmp_path):
    bad = [rows.record(100 + at, title=text) for at, text in enumerate(MARKUP)]
    with rows.serving(rows.review(tmp_path / "review", 0, extra=bad)) as server:
        browser = server.browser('Ana "><img src=x>')
        offer = server.ready.session.offer(browser.reviewer)
        told = {"size": offer.size, "target": offer.target, "confidence": offer.confidence}
        assert browser.post("/api/certificate", attempt=1, **told).status_code == 200
        for name in browser.order():
            browser.decide(name, "unsure")
        text = browser.get("/progress").text
    assert text.count('<a href="/?stage=title-abstract&amp;record=') == offer.size
    assert "&lt;svg onload" in text or "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<svg onload" not in text


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


text = st.text(max_size=30) | st.text(  # halves of characters, and what ends a line or a text
    st.sampled_from("\ud800\udfff\x00\r\n\u2028\ufeff\u202e<>&\"'a,"), max_size=30
)
OTHER = {
    "include": ["a"],
    "exclude": [],
    "name": "Ana",
    "password": "a password",
    "attempt": 1,
    "size": 6,
    "target": 0.95,
    "confidence": 0.95,
}
# What each write takes, so that a request may also be right but for one thing.
FIELDS = {
    "/api/decide": ("reviewer", "key", "stage", "record", "decision", "reason", "note"),
    "/api/undo": ("reviewer", "key", "stage"),
    "/api/note": ("reviewer", "key", "stage", "record", "note"),
    "/api/words": ("reviewer", "include", "exclude"),
    "/api/resolve": ("reviewer", "key", "stage", "record", "decision", "reason", "note"),
    "/api/certificate": ("reviewer", "attempt", "size", "target", "confidence"),
    "/api/name": ("name",),
    "/api/leave": (),
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {},
    optional={
        name: st.just(value) | anything | st.sampled_from(["full-text", "1001", "Ana", "unsure"])
        for name, value in (GOOD | OTHER).items()
    },
)
bodies = (near | anything).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
paths = st.sampled_from(
    [
        *PAGES,
        *QUESTIONS,
        *WRITES,
        "/start",
        "/api/sign-in",
        "/api",
        "/api/",
        "/%00",
        "/%ff%fe",
        "/%ed%a0%80",
        "/static/screen.js",
        "/static/..",
        "/static/%2e%2e/%2e%2e/session.py",
        "/static/..%2f..%2fsession.py",
        "/static//etc/passwd",
        "//etc/passwd",
        "/api/record/../decide",
    ]
)
queries = st.dictionaries(
    st.sampled_from(
        ["stage", "id", "n", "have", "without", "reviewer", "q", "show", "page", "sort"]
    )
    | st.sampled_from(["from", "to", "token", "record", "target", "confidence", "drawn"]),
    st.sampled_from(["title-abstract", "full-text", "1005", "-1", "9" * 30, "Ana", "", "a b", "%"])
    | st.sampled_from(["0.95", "nan", "inf", "1e999", "٣", "\x00", '"', "a" * 2000])
    | st.text(max_size=12),
    max_size=5,
)


def state_of(folder) -> dict[str, bytes]:
    """Everything that the server may write."""
    there = sorted((folder / "extracted").rglob("*"))
    return {str(path): path.read_bytes() for path in there if path.is_file()}


def hold(fuzzed, before, reply, *, may_write: bool) -> None:
    """What is true after any request."""
    server, _ = fuzzed
    assert reply.status_code < 500
    assert "Traceback" not in reply.text
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    if reply.headers.get("content-type", "").startswith("text/html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)", reply.text)
    after = state_of(server.folder)
    if not may_write or reply.status_code >= 400:
        assert after == before
    for path, data in before.items():  # decisions and samples are added to, never changed
        if "highlights" not in path:
            assert after[path].startswith(data)


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
    before = state_of(server.folder)
    headers = {"content-type": kind}
    if signed:
        headers["x-write-token"] = browser.token
    query = {key: text.encode("utf-8", "replace").decode() for key, text in query.items()}
    reply = browser.client.request(
        method, path, params=query, content=body, headers=headers, follow_redirects=False
    )
    hold(fuzzed, before, reply, may_write=signed and method == "POST")
    settle(fuzzed, path)


@settings(max_examples=150)
@given(data=st.data(), path=st.sampled_from(sorted(FIELDS)))
def test_a_write_that_is_right_but_for_one_thing_does_no_harm(fuzzed, data, path):
    server, browser = fuzzed
    body = {name: (GOOD | OTHER)[name] for name in FIELDS[path]}
    if body and data.draw(st.booleans()):
        body[data.draw(st.sampled_from(sorted(body)))] = data.draw(anything)
    headers = {"x-write-token": browser.token, "content-type": "application/json"}
    spoilt = data.draw(st.sampled_from(["", "token", "origin", "host", "site", "cookie"]))
    if spoilt == "token":
        headers["x-write-token"] = data.draw(st.sampled_from(["", "0" * 64, "x" * 5000]))
    elif spoilt == "origin":
        headers["origin"] = data.draw(
            st.sampled_from(["null", "http://evil.example", f"{server.base}.evil", "ftp://[::1"])
        )
    elif spoilt == "host":
        headers["host"] = data.draw(st.sampled_from(["evil.example", "", "127.0.0.1", "a" * 300]))
    elif spoilt == "site":
        headers["sec-fetch-site"] = data.draw(st.sampled_from(["cross-site", "same-site", "?"]))
    elif spoilt == "cookie":
        headers["cookie"] = data.draw(st.sampled_from(["", "screen-1=x.y", ";;;=", "a" * 5000]))
    before = state_of(server.folder)
    client = server.client() if spoilt == "cookie" else browser.client
    reply = client.post(path, content=json.dumps(body), headers=headers)
    assert (reply.status_code in (401, 403, 421)) or not spoilt
    hold(fuzzed, before, reply, may_write=not spoilt)
    settle(fuzzed, path)


@settings(max_examples=60)
@given(body=near.map(json.dumps) | st.just('{"name": "Ana", "password": "\\ud800"}'))
def test_no_password_request_breaks_the_door(door, body):
    headers = {"content-type": "application/json"}
    reply = door.client().post("/api/sign-in", content=body, headers=headers)
    assert reply.status_code in (400, 401, 422, 429)  # 400: Infinity and NaN are no JSON
    assert "set-cookie" not in reply.headers


def settle(fuzzed, path: str) -> None:
    """A request may have changed who sits at this browser."""
    if path in ("/api/name", "/api/leave"):
        fuzzed[1].token = renew(fuzzed)


def renew(fuzzed) -> str:
    fresh = fuzzed[0].browser("Ana")
    fuzzed[1].client = fresh.client
    return fresh.token


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    with rows.serving(rows.review(tmp_path_factory.mktemp("fuzzed") / "review", 6)) as server:
        yield [server, server.browser("Ana")]


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """A server with passwords."""
    folder = tmp_path_factory.mktemp("door")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "N", 2**4)
        opening.add_reviewer(folder / "people.txt", "Ana", "a long password")
        where = opening.Where(port=0, password_file=folder / "people.txt")
        with rows.serving(rows.review(folder / "review", 3), where) as server:
            yield server


# --- over a socket: what no client library would send --------------------------------------------


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    """A server that is really reached over the network of this machine."""
    folder = rows.review(tmp_path_factory.mktemp("raw") / "review", 6)
    with rows.serving(folder) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "BODY_S", 0.5)
        patch.setattr(serve, "HEAD_S", 0.5)
        running = serve.server_of(server.ready.app)
        thread = threading.Thread(target=running.run, args=([server.ready.bound],))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield server
        running.should_exit = True
        thread.join()


def said(server, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to these bytes, until it closes or is silent for long."""
    host, port = server.ready.bound.getsockname()[:2]
    found = b""
    with socket.create_connection((host, port), timeout=5) as wire:
        with contextlib.suppress(OSError):  # silent for long, or closed while we speak
            for part in parts:
                wire.sendall(part)
                time.sleep(pause)
            if not pause:
                wire.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while part := wire.recv(1 << 16):
                found += part
    return found


def head(server, method: bytes = b"POST", path: bytes = b"/api/decide", *lines: bytes) -> bytes:
    host = server.base.removeprefix("http://").encode()
    return (
        b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: " + host, *lines]) + b"\r\n\r\n"
    )


MEGABYTES = b"x" * (10 << 20)
WIRES = {
    "no length, ten megabytes": lambda s: (head(s), MEGABYTES),
    "ten megabytes as announced": lambda s: (
        head(s, b"POST", b"/api/decide", b"Content-Length: %d" % len(MEGABYTES)),
        MEGABYTES,
    ),
    "ten megabytes in pieces": lambda s: (
        head(s, b"POST", b"/api/decide", b"Transfer-Encoding: chunked"),
        *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 160,
        b"0\r\n\r\n",
    ),
    "a length of less than nothing": lambda s: (
        head(s, b"POST", b"/api/decide", b"Content-Length: -1"),
    ),
    "two lengths": lambda s: (
        head(s, b"POST", b"/api/decide", b"Content-Length: 2", b"Content-Length: 3") + b"{}}",
    ),
    "a length and pieces": lambda s: (
        head(s, b"POST", b"/api/decide", b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        b"0\r\n\r\n",
    ),
    "no host": lambda s: (b"GET / HTTP/1.1\r\n\r\n",),
    "no host, an old protocol": lambda s: (b"GET / HTTP/1.0\r\n\r\n",),
    "two hosts": lambda s: (head(s, b"GET", b"/", b"Host: evil.example"),),
    "a whole address": lambda s: (head(s, b"GET", b"http://evil.example/"),),
    "a way out": lambda s: (head(s, b"GET", b"/static/../../../../etc/passwd"),),
    "a way out in disguise": lambda s: (head(s, b"GET", b"/static/..%2f%2e%2e/%5c../session.py"),),
    "a path of bytes": lambda s: (head(s, b"GET", b"/\xff\xfe\x80"),),
    "a path without an end": lambda s: (head(s, b"GET", b"/" + b"a" * 200_000),),
    "headers of bytes": lambda s: (head(s, b"GET", b"/", b"Cookie: \xff\xfe", b"Accept: \x80"),),
    "headers without an end": lambda s: (head(s, b"GET", b"/", b"X: " + b"y" * 200_000),),
    "many headers": lambda s: (head(s, b"GET", b"/", *[b"X: y"] * 20_000),),
    "a method of its own": lambda s: (head(s, b"BREW", b"/"),),
    "a websocket": lambda s: (
        head(
            s, b"GET", b"/", b"Upgrade: websocket", b"Connection: upgrade", b"Sec-WebSocket-Key: x"
        ),
    ),
    "no protocol": lambda s: (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),),
    "nothing": lambda s: (b"",),
    "lines without an end": lambda s: (b"\r\n" * 50_000,),
    "a request in a request": lambda s: (
        head(s, b"GET", b"/static/page.js", b"Content-Length: 60") + head(s) + bytes(60),
    ),
}


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_on_the_wire_breaks_the_server_or_writes(listening, wire, capfd):
    before = state_of(listening.folder)
    answer = said(listening, *WIRES[wire](listening))
    assert not re.search(rb"HTTP/1.1 5\d\d", answer)
    assert b"Traceback" not in answer
    assert b"root:" not in answer
    assert b"class ScreenSession" not in answer
    assert "Traceback" not in capfd.readouterr().err
    assert state_of(listening.folder) == before
    assert b"HTTP/1.1 200" in said(listening, head(listening, b"GET", b"/static/page.js"))


def test_a_body_that_never_comes_is_not_waited_for(listening):
    lines = (b"Content-Length: 50", b"Content-Type: application/json")
    answer = said(listening, head(listening, b"POST", b"/api/decide", *lines), b"{", pause=0.4)
    assert b" 408 " in answer.split(b"\r\n")[0]


def test_visitors_who_send_nothing_do_not_keep_others_out(listening):
    """More of them than the server has room for; each is let go after a while."""
    address = listening.ready.bound.getsockname()[:2]
    silent = [socket.create_connection(address, timeout=5) for _ in range(230)]
    for wire in silent[::2]:
        wire.sendall(b"GET / HT")
    try:
        end = time.monotonic() + 15
        ask = head(listening, b"GET", b"/static/page.js", b"Connection: close")
        while b"HTTP/1.1 200" not in said(listening, ask):
            assert time.monotonic() < end, "the silent ones are still there"
            time.sleep(0.1)
        assert silent[0].recv(100) == silent[1].recv(100) == b""  # let go
    finally:
        for wire in silent:
            wire.close()
