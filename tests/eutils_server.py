"""A loopback server that speaks the E-utilities protocol about invented records, with faults.

In a test::

    with EutilsServer(invent(30)) as server:
        ...  # EVIDENCE_EUTILS_URL = server.url
        server.faults.append(Fault("429", times=2, on="esearch"))

By hand: ``python -m tests.eutils_server --port 8080 --records 60 --fault 429:2:esearch``.
Every record, name and number it serves is made up; PMIDs lie above all real ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.eutils_query import Query, QueryError
from tests.eutils_records import Article, invent

WINDOW = 9_999
KINDS = {
    "429": "too many requests, with Retry-After when `seconds` is given",
    "429-in-200": "the same as a JSON error with HTTP 200",
    "500": "HTTP 500",
    "502": "HTTP 502 with a web page",
    "html": "a web page with HTTP 200",
    "empty": "HTTP 200 without a body",
    "half": "the connection ends in the middle of the announced length",
    "half-quiet": "half of the body, and no announced length that would tell",
    "reset": "the connection is reset before any answer",
    "no-json": "JSON cut off, whole as a transfer",
    "raw-newlines": "raw line breaks within JSON strings, otherwise right",
    "retstart": "the error beyond the window, invalid JSON as the real one",
    "backend": "Search Backend failed",
    "syntax": "an error about the query",
    "history": "Unable to obtain query #1",
    "bad-xml": "XML whose tags do not match, whole as a transfer",
    "control": "control characters within the XML, otherwise right",
    "count-high": "the count announces 3 more than there are",
    "lost-id": "one PMID is left out of the list",
    "missing": "the records named in `pmids` are left out",
    "slow": "answers after `seconds`",
    "drip": "a byte every `seconds`",
    "bad-key": "HTTP 400 that repeats the key",
    "gzip": "a body that says it is compressed and is not",
    "count-low": "the count and the list both leave out the same records",
    "duplicates": "one PMID stands in the list twice in place of another",
    "cut-set": "XML that ends before </PubmedArticleSet>, whole as a transfer",
    "wrong": "records that nobody asked for in place of one that was",
    "empty-set": "a PubmedArticleSet without a record",
    "slow-headers": "the headers come a byte every `seconds`",
    "414": "HTTP 414, empty",
    "404": "HTTP 404",
}


@dataclass
class Fault:
    """Something that goes wrong ``times`` times, after ``after`` good answers."""

    kind: str
    times: int = 1
    on: str | None = None  # "esearch", "efetch", ...; None is any
    after: int = 0
    seconds: float = 0.0
    pmids: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; known: {', '.join(KINDS)}")


class Chaos:
    """Faults at random points, the same ones for the same seed and order of requests.

    Parameters
    ----------
    seed : int
    rate : float
        Share of requests that meet a fault.
    kinds : sequence of str
        Which; by default all that a service can have and mend.
    burst : int
        The most requests in a row that one fault meets.
    """

    KINDS = (
        "429", "429-in-200", "500", "502", "html", "empty", "half", "half-quiet", "reset",
        "no-json", "raw-newlines", "backend", "history", "bad-xml", "count-high", "lost-id",
        "missing", "gzip", "count-low", "duplicates", "cut-set", "wrong", "empty-set",
    )  # fmt: skip

    def __init__(
        self, seed: int, *, rate: float = 0.3, kinds: Sequence[str] = KINDS, burst: int = 4
    ) -> None:
        self._rng = random.Random(seed)
        self.rate, self.kinds, self.burst = rate, tuple(kinds), burst
        self._kind, self._left = "", 0
        self.met: list[str] = []

    def next(self, pmids: Sequence[str]) -> Fault | None:
        """What the next request meets; ``pmids`` are those that it names."""
        if self._left == 0 and self._rng.random() < self.rate:
            self._kind = self._rng.choice(self.kinds)
            self._left = self._rng.randint(1, self.burst)
        if self._left == 0:
            return None
        self._left -= 1
        self.met.append(self._kind)
        some = [p for p in pmids if self._rng.random() < 0.3]
        return Fault(self._kind, pmids=some)


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    endpoint: str  # "esearch", ...
    method: str
    fields: dict[str, str]
    body: bytes
    at: float  # time.monotonic()

    @property
    def pmids(self) -> list[str]:
        return [p for p in self.fields.get("id", "").split(",") if p]


@dataclass
class _Answer:
    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class EutilsServer:
    """Serves ``records``; change them, and ``faults``, while it runs.

    Parameters
    ----------
    records : iterable of Article
    matches : callable, optional
        ``matches(query, article)`` replaces the built-in reading of a query without its
        ``[uid]`` and ``[lr]`` parts, which are always understood.
    """

    def __init__(
        self,
        records: Iterable[Article] = (),
        *,
        matches: Callable[[str, Article], bool] | None = None,
        port: int = 0,
    ) -> None:
        self.records: dict[str, Article] = {a.pmid: a for a in records}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.chaos: Chaos | None = None
        self.delay_s = 0.0  # before every answer
        self.links: dict[str, dict[str, list[tuple[str, int]]]] = {}  # name, PMID: (PMID, score)
        self.citations: dict[str, str] = {}  # "journal|year|volume|page|author": what is answered
        self.matches = matches
        self._history: list[list[str]] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/entrez/eutils"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> EutilsServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def wait(self) -> None:
        """Serve until interrupted."""
        self._thread.join()

    def sent(self, endpoint: str) -> list[Request]:
        """The requests for one utility."""
        return [r for r in self.requests if r.endpoint == endpoint]

    def busiest(self, window_s: float = 1.0) -> int:
        """The largest number of requests that arrived within any window."""
        times = sorted(r.at for r in self.requests)
        return max(
            (sum(1 for t in times if start <= t < start + window_s) for start in times), default=0
        )

    def take_fault(self, endpoint: str, pmids: Sequence[str] = ()) -> Fault | None:
        with self._lock:
            if self.chaos is not None and (fault := self.chaos.next(pmids)):
                return fault
            for fault in self.faults:
                if fault.on in (None, endpoint) and fault.times > 0:
                    if fault.after > 0:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    # --- the utilities -------------------------------------------------------------------------

    def answer(self, request: Request, fault: Fault | None) -> _Answer:
        kind = fault.kind if fault else ""
        if simple := _simple_fault(kind, fault, request):
            return simple
        utility = {
            "esearch": self._esearch,
            "efetch": self._efetch,
            "esummary": self._esummary,
            "epost": self._epost,
            "elink": self._elink,
            "ecitmatch": self._ecitmatch,
        }.get(request.endpoint)
        if utility is None:
            return _Answer(b"", 404)
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if request.endpoint == "elink":
            fields["id"] = " ".join(
                value for name, value in parse_qsl(request.body.decode()) if name == "id"
            )
        answer = utility(fields, fault)
        if kind == "no-json":
            answer.body = answer.body[: len(answer.body) // 2]
        if kind == "cut-set":
            answer.body = answer.body[: answer.body.rfind(b"</PubmedArticleSet>")]
        if kind == "bad-xml":
            answer.body = answer.body.replace(b"</AuthorList>", b"</AuthorLost>", 1)
        if kind == "control":
            answer.body = answer.body.replace(b"<AbstractText", b"\x02<AbstractText").replace(
                b"</ArticleTitle>", b"\x0b\x1f</ArticleTitle>"
            )
        return answer

    def _esearch(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        term = fields.get("term", "")
        xml = fields.get("retmode", "xml") != "json"
        if not term:
            return _error("Empty term and query_key - nothing todo", xml)
        start, size = int(fields.get("retstart", "0")), int(fields.get("retmax", "20"))
        if start > WINDOW - 1:
            return _Answer(_beyond_window())
        try:
            query = Query(term)
        except QueryError as error:
            return _error(f"Search Backend failed: {error}", xml)
        with self._lock:
            articles = list(self.records.values())
        found = sorted(query.run(articles, self.matches), key=int, reverse=True)  # latest first
        if fault and fault.kind == "count-low":
            found = found[len(found) // 3 :]
        page = found[start : min(start + size, WINDOW)]
        count = len(found)
        if fault and fault.kind == "duplicates" and len(page) > 1:
            page = [page[1], *page[1:]]
        if fault and fault.kind == "count-high":
            count += 3
        if fault and fault.kind == "lost-id":
            page = page[1:]
        history = {}
        if fields.get("usehistory") == "y":
            history = self._remember(found)
        messages = [] if found else ["No items found."]
        if xml:
            return _search_xml(count, start, page, term, query, messages, history)
        result = {
            "count": str(count),
            "retmax": str(len(page)),
            "retstart": str(start),
            **history,
            "idlist": page,
            "translationset": [],
            "querytranslation": _translation(term),
        }
        if query.not_found or query.unknown_tags:
            result["errorlist"] = {
                "phrasesnotfound": query.not_found,
                "fieldsnotfound": query.unknown_tags,
            }
        if messages or query.not_found:
            result["warninglist"] = {
                "phrasesignored": [],
                "quotedphrasesnotfound": [],
                "outputmessages": messages,
            }
        reply = {"header": {"type": "esearch", "version": "0.3"}, "esearchresult": result}
        body = json.dumps(reply, ensure_ascii=False)
        if fault and fault.kind == "raw-newlines":
            body = body.replace('"querytranslation": "', '"querytranslation": "one\ntwo\t')
        return _Answer(body.encode())

    def _efetch(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        if "WebEnv" in fields:
            pmids = self._recall(fields)
            if pmids is None:
                return _xml("<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>")
            start = int(fields.get("retstart", "0"))
            if start > WINDOW - 1:
                return _Answer(_beyond_window(), 400)
            end = min(start + int(fields.get("retmax", "20")), WINDOW)
            pmids = pmids[start:end]
        else:
            pmids = [p for p in fields.get("id", "").split(",") if p.isdigit()]
            if not pmids:
                return _xml(
                    "<eFetchResult><ERROR>ID list is empty! Possibly it has no correct IDs."
                    "</ERROR></eFetchResult>"
                )
        left_out = fault.pmids if fault and fault.kind == "missing" else ()
        with self._lock:
            served = [self.records[p] for p in pmids if p in self.records and p not in left_out]
        if fault and fault.kind == "wrong":
            served = [dataclasses.replace(a, pmid=str(int(a.pmid) + 10**7)) for a in served[:1]]
        if fault and fault.kind == "empty-set":
            served = []
        body = "\n".join(article.xml() for article in served)
        return _xml(
            '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" '
            '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n'
            f"<PubmedArticleSet>{body}</PubmedArticleSet>"
        )

    def _esummary(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        pmids = fields.get("id", "").split(",")
        header = {"header": {"type": "esummary", "version": "0.3"}}
        if len(pmids) > 500:
            words = (
                "Too many UIDs in request. Maximum number of UIDs is 500 for JSON format output."
            )
            return _Answer(json.dumps({**header, "error": words}).encode())
        served = [self.records[p] for p in pmids if p in self.records]
        result: dict[str, object] = {"uids": [a.pmid for a in served]}
        for a in served:
            result[a.pmid] = {
                "uid": a.pmid,
                "title": a.title,
                "fulljournalname": a.journal,
                "pubdate": str(a.year),
                "pubtype": a.all_kinds,
                "authors": [{"name": name, "authtype": "Author"} for name in a.authors],
            }
        return _Answer(json.dumps({**header, "result": result}).encode())

    def _elink(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        """A LinkSet for each ``id`` parameter; the query record itself comes first."""
        names = fields.get("linkname", "pubmed_pubmed").split(",")
        sets = []
        for group in fields.get("id", "").split():
            ids = group.split(",")
            parts = ["<LinkSet><DbFrom>pubmed</DbFrom><IdList>"]
            parts += [f"<Id>{p}</Id>" for p in group.split(",")]
            parts.append("</IdList>")
            for name in names:
                links: dict[str, int] = {}
                for pmid in ids:
                    found = self.links.get(name, {}).get(pmid, [])
                    if found and name == "pubmed_pubmed":
                        found = [(pmid, 2147483647), *found]
                    links.update(found)
                if links:
                    parts.append(f"<LinkSetDb><DbTo>pubmed</DbTo><LinkName>{name}</LinkName>")
                    score = fields.get("cmd") == "neighbor_score"
                    for pmid, value in links.items():
                        inner = f"<Score>{value}</Score>" if score else ""
                        parts.append(f"<Link><Id>{pmid}</Id>{inner}</Link>")
                    parts.append("</LinkSetDb>")
            parts.append("</LinkSet>")
            sets.append("".join(parts))
        return _xml(f"<eLinkResult>{''.join(sets)}</eLinkResult>")

    def _ecitmatch(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        """One line for each citation; text whatever the retmode."""
        lines = []
        for citation in fields.get("bdata", "").split("\r"):
            if citation.strip():
                parts = citation.rstrip("|").split("|")
                key = "|".join(parts[:5]).lower()
                lines.append(f"{'|'.join(parts)}|{self.citations.get(key, 'NOT_FOUND')}\n")
        return _Answer("".join(lines).encode(), kind="text/plain")

    def _epost(self, fields: dict[str, str], fault: Fault | None) -> _Answer:
        pmids = [p for p in fields.get("id", "").split(",") if p.isdigit()]
        if not pmids:
            return _xml("<ePostResult><ERROR>Empty ID list; Nothing to store</ERROR></ePostResult>")
        history = self._remember(pmids)
        return _xml(
            f"<ePostResult><QueryKey>{history['querykey']}</QueryKey>"
            f"<WebEnv>{history['webenv']}</WebEnv></ePostResult>"
        )

    def _remember(self, pmids: list[str]) -> dict[str, str]:
        with self._lock:
            self._history.append(pmids)
            return {"querykey": "1", "webenv": f"MCID_{len(self._history):024x}"}

    def _recall(self, fields: dict[str, str]) -> list[str] | None:
        match = re.fullmatch(r"MCID_([0-9a-f]{24})", fields["WebEnv"])
        with self._lock:
            if not match or not 0 < int(match.group(1), 16) <= len(self._history):
                return None
            return self._history[int(match.group(1), 16) - 1]


def _simple_fault(kind: str, fault: Fault | None, request: Request) -> _Answer | None:
    """Answers that do not depend on the records."""
    page = b"<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>"
    match kind:
        case "429":
            body = b'{"error":"API rate limit exceeded","count":"4","limit":"3"}'
            wait = {"Retry-After": f"{fault.seconds:g}"} if fault and fault.seconds else {}
            return _Answer(body, 429, headers=wait)
        case "429-in-200":
            return _Answer(b'{"error":"API rate limit exceeded","count":"4","limit":"3"}')
        case "500":
            return _Answer(b"", 500)
        case "502":
            return _Answer(page, 502, "text/html")
        case "html":
            return _Answer(page, 200, "text/html")
        case "empty":
            return _Answer(b"")
        case "retstart":
            return _Answer(_beyond_window())
        case "backend":
            return _error("Search Backend failed: Database is not supported: pubmed", False)
        case "syntax":
            return _error("Search Backend failed: syntax error in query", False)
        case "history":
            if request.endpoint == "efetch":
                return _xml("<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>")
            return _error("Unable to obtain query #1", False)
        case "bad-key":
            key = request.fields.get("api_key", "")
            return _Answer(json.dumps({"error": "API key invalid", "api-key": key}).encode(), 400)
        case "414":
            return _Answer(b"", 414)
        case "404":
            return _Answer(b"", 404)
    return None


def _beyond_window() -> bytes:
    return (
        b'{"header":{"type":"esearch","version":"0.3"},"esearchresult":{"ERROR":"Search Backend '
        b"failed: Exception:\n'retstart' cannot be larger than 9998. For PubMed, \nESearch can "
        b'only retrieve the first 9,999 records matching the query."}}'
    )


def _error(words: str, xml: bool) -> _Answer:
    if xml:
        return _xml(f"<eSearchResult><ERROR>{escape(words)}</ERROR></eSearchResult>")
    return _Answer(json.dumps({"esearchresult": {"ERROR": words}}).encode())


def _xml(text: str) -> _Answer:
    return _Answer(f'<?xml version="1.0" ?>\n{text}'.encode(), kind="text/xml")


def _translation(term: str) -> str:
    return re.sub(r"\[tiab\]", "[Title/Abstract]", term)


def _search_xml(
    count: int,
    start: int,
    page: list[str],
    term: str,
    query: Query,
    messages: list[str],
    history: dict[str, str],
) -> _Answer:
    errors = "".join(f"<PhraseNotFound>{escape(t)}</PhraseNotFound>" for t in query.not_found)
    errors += "".join(f"<FieldNotFound>{escape(t)}</FieldNotFound>" for t in query.unknown_tags)
    warnings = "".join(f"<OutputMessage>{escape(m)}</OutputMessage>" for m in messages)
    keys = ""
    if history:
        keys = f"<QueryKey>{history['querykey']}</QueryKey><WebEnv>{history['webenv']}</WebEnv>"
    return _xml(
        f"<eSearchResult><Count>{count}</Count><RetMax>{len(page)}</RetMax>"
        f"<RetStart>{start}</RetStart>{keys}"
        f"<IdList>{''.join(f'<Id>{p}</Id>' for p in page)}</IdList><TranslationSet/>"
        f"<QueryTranslation>{escape(_translation(term))}</QueryTranslation>"
        + (f"<ErrorList>{errors}</ErrorList>" if errors else "")
        + (f"<WarningList>{warnings}</WarningList>" if warnings else "")
        + "</eSearchResult>"
    )


def _handler(server: EutilsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def do_GET(self) -> None:
            self._serve(self.path.partition("?")[2].encode())

        def _serve(self, body: bytes) -> None:
            at = time.monotonic()
            path = self.path.partition("?")[0]
            name = re.fullmatch(r"/entrez/eutils/(\w+)\.f?cgi", path)
            endpoint = name.group(1) if name else path
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            request = Request(endpoint, self.command, fields, body, at)
            server.requests.append(request)
            fault = server.take_fault(endpoint, request.pmids)
            time.sleep(server.delay_s)
            if self.command == "GET" and len(server.url) + len(self.path) > 4_121:
                answer = _Answer(b"", 414)
            else:
                answer = server.answer(request, fault)
            try:
                self._send(answer, fault)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client went away

        def _send(self, answer: _Answer, fault: Fault | None) -> None:
            kind = fault.kind if fault else ""
            body = answer.body
            if kind == "slow" and fault:
                time.sleep(fault.seconds)
            if kind == "reset":
                # Lingering for no time makes the system send a reset in place of an end.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.close_connection = True
                self.connection.close()
                return
            if kind == "slow-headers" and fault:
                self.close_connection = True
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
                    self.wfile.write(bytes((byte,)))
                    self.wfile.flush()
                    time.sleep(fault.seconds)
                return
            self.send_response(answer.status)
            if kind == "gzip":
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", answer.kind)
            for header, value in answer.headers.items():
                self.send_header(header, value)
            if kind in ("half", "half-quiet"):
                if kind == "half":
                    self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                body = body[: len(body) // 2]
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if kind == "drip" and fault:
                for position in range(len(body)):
                    self.wfile.write(body[position : position + 1])
                    self.wfile.flush()
                    time.sleep(fault.seconds)
                return
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet: ``server.requests`` is the log."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve invented records as E-utilities do.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--records", type=int, default=60, help="how many to invent")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chaos", type=int, metavar="SEED", help="faults at random points")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:TIMES[:UTILITY]]",
        help=str(list(KINDS)),
    )
    options = parser.parse_args()
    with EutilsServer(invent(options.records, seed=options.seed), port=options.port) as server:
        for text in options.fault:
            kind, _, rest = text.partition(":")
            times, _, utility = rest.partition(":")
            server.faults.append(Fault(kind, int(times or 1), utility or None))
        if options.chaos is not None:
            server.chaos = Chaos(options.chaos)
        print(f"EVIDENCE_EUTILS_URL={server.url}", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            for request in server.requests:
                print(request.endpoint, request.fields.get("term") or request.fields.get("id"))


if __name__ == "__main__":
    main()
