"""What a PubMed can do wrong, down to the single byte: each is a function that makes a reply.

Written from NLM's protocol alone; it shares nothing with `tests.eutils_server`.
"""

from __future__ import annotations

import email.utils
import gzip
import json
import random
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from tests.hostile_server import HostileServer

CLAMP = 9_999  # the most PMIDs that one reply lists

# --- what goes over the wire -----------------------------------------------------------------


@dataclass
class Reply:
    """An answer before it is sent; ``wire`` sends it in another way than HTTP asks for."""

    body: bytes
    status: str = "200 OK"
    kind: str = "application/json; charset=UTF-8"
    headers: list[str] = field(default_factory=list)
    wire: Callable[[socket.socket, Reply], None] | None = None

    def head(self, length: int | None = None) -> bytes:
        size = len(self.body) if length is None else length
        lines = [f"HTTP/1.1 {self.status}", f"Content-Type: {self.kind}", *self.headers]
        if not any(h.lower().startswith("transfer-encoding") for h in lines):
            lines.append(f"Content-Length: {size}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True)
class Asked:
    """A request: utility, parameters, and what the truth would be."""

    utility: str
    fields: dict[str, str]
    found: tuple[int, ...] = ()  # PMIDs of an ESearch, latest first
    low: int = 0
    high: int = 10**9

    @property
    def key(self) -> str:
        return self.fields.get("api_key", "")

    @property
    def ids(self) -> list[int]:
        return [int(i) for i in self.fields.get("id", "").split(",") if i.isdigit()]

    @property
    def size(self) -> int:
        return min(int(self.fields.get("retmax", "20")), CLAMP)


Fault = Callable[["HostileServer", Asked, random.Random], Reply]
FAULTS: dict[str, Fault] = {}
SLOW: set[str] = set()  # faults that cost the client a timeout
LASTING: set[str] = set()  # faults that no repetition can mend, such as a bad key
HARMLESS: set[str] = set()  # odd, and yet the whole truth


def fault(*marks: set[str]) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        name = function.__name__.strip("_").replace("_", "-")
        FAULTS[name] = function
        for mark in marks:
            mark.add(name)
        return function

    return register


def page(asked: Asked, *, count: object = None, ids: Iterable[object] | None = None) -> Reply:
    """An ESearch reply in JSON: all numbers are strings, keys are lower-case."""
    listed = list(asked.found[: asked.size]) if ids is None else list(ids)
    return Reply(
        json.dumps(
            {
                "header": {"type": "esearch", "version": "0.3"},
                "esearchresult": {
                    "count": str(len(asked.found)) if count is None else count,
                    "retmax": str(len(listed)),
                    "retstart": "0",
                    "idlist": [str(i) for i in listed],
                    "translationset": [],
                    "querytranslation": asked.fields.get("term", "").upper(),
                    **({} if listed else {"warninglist": {"outputmessages": ["No items found."]}}),
                },
            }
        ).encode()
    )


def article_set(articles: Iterable[str]) -> Reply:
    return Reply(
        (
            '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, '
            '1st January 2025//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n'
            f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>"
        ).encode(),
        kind="text/xml; charset=UTF-8",
    )


# --- too many requests -----------------------------------------------------------------------

RATE = b'{"error":"API rate limit exceeded","count":"11","limit":"10"}\n'


@fault()
def _storm(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(RATE, "429 Too Many Requests")


@fault()
def _storm_wait(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(RATE, "429 Too Many Requests", headers=["Retry-After: 1"])


@fault()
def _storm_date(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    now = time.time()
    until = email.utils.formatdate(now + 1, usegmt=True)
    date = email.utils.formatdate(now, usegmt=True)
    headers = [f"Date: {date}", f"Retry-After: {until}"]
    return Reply(b"", "429 Too Many Requests", headers=headers)


@fault()
def _storm_odd_wait(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(RATE, "429 Too Many Requests", headers=["Retry-After: soon"])


@fault()
def _storm_in_200(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    address = b'{"error":"API rate limit exceeded","api-key":"132.246.3.117","count":"4"}'
    return Reply(address)


@fault()
def _storm_in_xml(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    words = b"<eFetchResult><ERROR>API rate limit exceeded</ERROR></eFetchResult>"
    return Reply(words, kind="text/xml")


# --- half replies ----------------------------------------------------------------------------


def _chunks(body: bytes, sizes: int = 700) -> bytes:
    parts = [body[i : i + sizes] for i in range(0, len(body), sizes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)


def _chunked(sock: socket.socket, reply: Reply, data: bytes) -> None:
    reply.headers.append("Transfer-Encoding: chunked")
    sock.sendall(reply.head() + data)


@fault()
def _chunk_cut(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    whole = _chunks(reply.body)
    reply.wire = lambda sock, r: _chunked(sock, r, whole[: int(len(whole) * rng.uniform(0.1, 0.9))])
    return reply


@fault()
def _chunk_no_end(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.wire = lambda sock, r: _chunked(sock, r, _chunks(r.body[: len(r.body) * 2 // 3]))
    return reply


@fault()
def _chunk_size_no_number(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.wire = lambda sock, r: _chunked(sock, r, b"zz\r\n" + r.body + b"\r\n0\r\n\r\n")
    return reply


@fault(HARMLESS)
def _chunked_whole(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.wire = lambda sock, r: _chunked(sock, r, _chunks(r.body, 97) + b"0\r\n\r\n")
    return reply


@fault()
def _length_too_long(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    extra = rng.randint(1, 5_000)
    reply.wire = lambda sock, r: sock.sendall(r.head(len(r.body) + extra) + r.body)
    return reply


@fault()
def _length_too_short(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    less = rng.randint(1, len(reply.body) - 1)
    reply.wire = lambda sock, r: sock.sendall(r.head(len(r.body) - less) + r.body)
    return reply


@fault()
def _no_length_and_cut(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    end = rng.randint(0, len(reply.body) - 1)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n"
    reply.wire = lambda sock, r: sock.sendall(head + r.body[:end])
    return reply


@fault()
def _gzip_cut(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    packed = gzip.compress(reply.body)
    reply.body = packed[: len(packed) // 2]
    reply.headers.append("Content-Encoding: gzip")
    return reply


@fault()
def _gzip_broken(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    packed = bytearray(gzip.compress(reply.body))
    packed[len(packed) // 2] ^= 0x5A
    reply.body = bytes(packed)
    reply.headers.append("Content-Encoding: gzip")
    return reply


@fault()
def _gzip_untold(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.body = gzip.compress(reply.body)
    return reply


@fault(HARMLESS)
def _gzip_whole(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.body = gzip.compress(reply.body)
    reply.headers.append("Content-Encoding: gzip")
    return reply


@fault()
def _reset(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    part = rng.choice([0, len(reply.body) // 2])

    def wire(sock: socket.socket, r: Reply) -> None:
        if part:
            sock.sendall(r.head() + r.body[:part])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    reply.wire = wire
    return reply


@fault()
def _no_http(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = Reply(b"")
    noise = rng.randbytes(300)
    reply.wire = lambda sock, r: sock.sendall(noise + b"\r\n\r\n")
    return reply


@fault()
def _endless_header(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.headers += [f"X-{n}: {'y' * 80}" for n in range(150)]
    return reply


# --- half sets -------------------------------------------------------------------------------


@fault()
def _cut_after_a_record(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    ends = [m.end() for m in re.finditer(rb"</PubmedArticle>|\d\"", reply.body)]
    reply.body = reply.body[: rng.choice(ends)] if ends else reply.body[:10]
    return reply


@fault()
def _records_left_out(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    if asked.utility != "efetch":
        return page(asked, ids=asked.found[: asked.size][::2])
    return article_set(p.xml() for p in server.held(asked.ids) if rng.random() < 0.6)


@fault()
def _records_twice(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    if asked.utility != "efetch":
        ids = list(asked.found[: asked.size])
        return page(asked, ids=ids + ids[:1], count=str(len(ids) + 1))
    held = [p.xml() for p in server.held(asked.ids)]
    return article_set([*held, *held])


@fault()
def _other_records(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    others = [p for p in server.papers.values() if p.pmid not in asked.ids]
    if asked.utility != "efetch":
        return page(asked, ids=[p.pmid for p in others][: len(asked.found)])
    return article_set(p.xml() for p in others[: len(asked.ids)])


@fault()
def _no_record(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return article_set([])


@fault()
def _one_record_spoilt(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    tags = [b"</ArticleTitle>", b"</PMID>", b"<Article>", b'"idlist"', b"}"]
    tag = rng.choice([t for t in tags if t in reply.body] or [b"<"])
    reply.body = reply.body.replace(tag, b"<\x00&", 1)
    return reply


@fault()
def _bomb(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    xml = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><PubmedArticleSet>&e9;</PubmedArticleSet>'
    return Reply(xml.encode(), kind="text/xml")


# --- counts that lie -------------------------------------------------------------------------


@fault()
def _count_low(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, count=str(max(0, len(asked.found) - rng.randint(1, 5))))


@fault()
def _count_high(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, count=str(len(asked.found) + rng.choice([1, 30, 10_000, 10**12])))


@fault()
def _count_flutters(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    away = rng.randint(0, len(asked.found))
    gone = set(rng.sample(asked.found, away))
    rest = [i for i in asked.found if i not in gone]
    return page(asked, count=str(len(rest)), ids=rest[: asked.size])


@fault()
def _list_short(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, ids=asked.found[: asked.size][:-1])


@fault()
def _list_doubled(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    ids = list(asked.found[: asked.size])
    return page(asked, ids=[*ids[1:], *ids[1:2]])


@fault()
def _retmax_ignored(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, ids=asked.found[:20])


@fault()
def _shard_lost(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    """Whoever asks, and however often: the same eighth of the records is not there."""
    rest = [i for i in asked.found if i * 2_654_435_761 % 8]
    return page(asked, count=str(len(rest)), ids=rest[: asked.size])


@fault()
def _zero(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, count="0", ids=[])


@fault()
def _same_for_every_range(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return page(asked, count="123456", ids=asked.found[: asked.size])


# --- JSON that is none -----------------------------------------------------------------------


@fault(HARMLESS)
def _raw_newlines(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.body = reply.body.replace(b'"querytranslation": "', b'"querytranslation": "a\nb\t')
    return reply


@fault(HARMLESS)
def _byte_order_mark(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.body = b"\xef\xbb\xbf\r\n" + reply.body
    return reply


@fault(HARMLESS)
def _wrong_type(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.kind = rng.choice(["text/html", "application/octet-stream", "nonsense", "text/plain;"])
    return reply


@fault(HARMLESS)
def _numbers_for_strings(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    if asked.utility != "esearch":
        return server.truth(asked)
    reply = page(asked, count=len(asked.found))
    reply.body = re.sub(rb'"(\d{6,})"', rb"\1", reply.body)
    return reply


@fault()
def _page_in_200(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    pages = (
        b"<!DOCTYPE html>\n<html><title>NCBI - down for maintenance</title></html>",
        b"\n\n<!-- gateway --><html><body>Please log in to the airport's network</body></html>",
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"></html>',
        b"\xef\xbb\xbf<html></html>",
        b"Unable to route request!\n\nservice name: /http/service/ratecontrol\n",
    )
    return Reply(rng.choice(pages), kind=rng.choice(["text/html", "application/json"]))


@fault()
def _nothing(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(rng.choice([b"", b"\n", b" \r\n\r\n", b"\xef\xbb\xbf", b"null", b"{}", b"[]"]))


@fault()
def _other_shapes(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    count = str(len(asked.found))
    ids: object = [str(i) for i in asked.found]
    shapes: list[object] = [
        {"count": count, "idlist": "".join(map(str, asked.found))},
        {"count": count, "idlist": {str(i): i for i in asked.found}},
        {"count": count, "idlist": [[i] for i in asked.found]},
        {"count": count, "idlist": None},
        {"count": count, "idlist": ["²" * 8 for _ in asked.found]},
        {"count": count, "idlist": ["9" * 40 for _ in asked.found]},
        {"count": count, "idlist": ["-5", *map(str, asked.found[1:])]},
        {"count": "9" * 6_000, "idlist": ids},
        {"count": "²", "idlist": ids},
        {"count": "-1", "idlist": []},
        {"count": True, "idlist": ids},
        {"count": 1.5, "idlist": ids},
        {"count": None, "idlist": ids},
        {"idlist": ids},
        {"count": count, "idlist": ids, "ERROR": "Search Backend failed: read timed out"},
        [count, ids],
        "an error",
        7,
    ]
    return Reply(json.dumps({"esearchresult": rng.choice(shapes)}).encode())


@fault()
def _deep(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(b'{"esearchresult":' + b"[" * 200_000)


@fault()
def _cut_json(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)
    reply.body = reply.body[: -rng.randint(1, len(reply.body) - 1)]
    return reply


# --- faults in HTTP 200 ----------------------------------------------------------------------


def _error(asked: Asked, words: str) -> Reply:
    if asked.utility == "efetch":
        xml = f"<eFetchResult>\n<ERROR>{escape(words)}</ERROR></eFetchResult>"
        return Reply(xml.encode(), kind="text/xml")
    body = json.dumps({"header": {"type": "esearch"}, "esearchresult": {"ERROR": words}})
    return Reply(body.replace("\\n", "\n").encode())


@fault()
def _backend(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return _error(asked, "Search Backend failed: Database is not supported: pubmed")


@fault()
def _backend_file(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    words = "Search Backend failed: Exception:\nunable to open database file in QueryMiRGate"
    return _error(asked, words)


@fault()
def _history(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return _error(asked, "Unable to obtain query #1")


@fault(LASTING)
def _window(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    words = (
        "Search Backend failed: Exception:\n'retstart' cannot be larger than 9998. For PubMed, \n"
        "ESearch can only retrieve the first 9,999 records matching the query."
    )
    return _error(asked, words)


@fault(LASTING)
def _bad_key(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    words = {"error": "API key invalid", "api-key": asked.key, "type": "client"}
    return Reply(json.dumps(words).encode(), "400 Bad Request")


@fault(LASTING)
def _bad_key_in_200(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    words = {"error": "API key invalid", "api-key": asked.key.upper(), "status": "unknown"}
    return Reply(json.dumps(words).encode())


@fault(HARMLESS)
def _key_in_the_answer(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    """The truth, with the key in places that are kept: the translation, a title."""
    if asked.utility == "efetch":
        reply = server.truth(asked)
        reply.body = reply.body.replace(
            b"<Language>", b"<!-- api_key=%s --><Language>" % asked.key.encode()
        )
        return reply
    reply = server.truth(asked)
    reply.body = reply.body.replace(
        b'"querytranslation": "', b'"querytranslation": "api_key=%s ' % asked.key.encode()
    )
    return reply


# --- codes -----------------------------------------------------------------------------------


@fault()
def _codes(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    status = rng.choice(
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Late"]
    )
    body = rng.choice([b"", b"<html><h1>Bad gateway</h1></html>", RATE])
    headers = ["Retry-After: 1"] if status.startswith("503") and rng.random() < 0.2 else []
    return Reply(body, status, "text/html", headers)


@fault(LASTING)
def _elsewhere(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    status = rng.choice(["301 Moved", "302 Found", "303 See Other", "307 Again", "308 Always"])
    key = asked.key
    return Reply(b"", status, headers=[f"Location: {server.url}/elsewhere?api_key={key}"])


@fault(LASTING)
def _refused(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    status = rng.choice(["400 Bad Request", "403 Forbidden", "404 Gone", "414 Too Long"])
    return Reply(b"no: " + asked.key.encode(), status, "text/plain")


@fault()
def _204(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    return Reply(b"", "204 No Content")


# --- time ------------------------------------------------------------------------------------


@fault(SLOW)
def _silence(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = Reply(b"")
    reply.wire = lambda sock, r: server.linger()
    return reply


@fault(SLOW)
def _trickle(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)

    def wire(sock: socket.socket, r: Reply) -> None:
        sock.sendall(r.head())
        for at in range(0, len(r.body), 3):
            sock.sendall(r.body[at : at + 3])
            if server.closing.wait(0.1):
                return

    reply.wire = wire
    return reply


@fault(SLOW)
def _trickling_head(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)

    def wire(sock: socket.socket, r: Reply) -> None:
        for byte in r.head().replace(b"\r\n\r\n", b"\r\nX-Wait: " + b"z" * 9_000 + b"\r\n\r\n"):
            sock.sendall(bytes((byte,)))
            if server.closing.wait(0.05):
                return

    reply.wire = wire
    return reply


@fault(SLOW)
def _stops_in_the_middle(server: HostileServer, asked: Asked, rng: random.Random) -> Reply:
    reply = server.truth(asked)

    def wire(sock: socket.socket, r: Reply) -> None:
        sock.sendall(r.head() + r.body[: len(r.body) // 2])
        server.linger()

    reply.wire = wire
    return reply
