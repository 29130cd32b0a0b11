"""A loopback server that speaks as Europe PMC and Crossref do, about invented works.

The shapes follow their public descriptions (europepmc.org/RestfulWebService, api.crossref.org).
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


class SourcesServer:
    """Serves ``europepmc`` (results of the type core) and ``crossref`` (works)."""

    def __init__(self, europepmc: list[dict[str, Any]], crossref: list[dict[str, Any]]) -> None:
        self.europepmc, self.crossref = europepmc, crossref
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.page = 1_000  # no page is longer
        self.bodies: list[bytes] = []  # answered first, in turn, whatever was asked
        self.announce = 0  # added to every second count of Europe PMC
        self.hidden: set[str] = set()  # ids that Europe PMC lists and does not serve
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> SourcesServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
        if self.bodies:
            return 200, self.bodies.pop(0)
        if path.endswith("/searchPOST"):
            return 200, json.dumps(self._europepmc(fields)).encode()
        if path.endswith("/works"):
            return 200, json.dumps(self._crossref(fields)).encode()
        return 404, b"Resource not found."

    def _europepmc(self, fields: dict[str, str]) -> dict[str, Any]:
        if fields["query"].count("(") != fields["query"].count(")"):
            return {"version": "6.9", "errCode": 400, "errMsg": "Invalid query"}
        named = re.findall(r"EXT_ID:(\w+) AND SRC:(\w+)", fields["query"])
        found = [
            r
            for r in self.europepmc
            if not named
            or ((str(r["id"]), r["source"]) in named and str(r["id"]) not in self.hidden)
        ]
        start = 0 if fields["cursorMark"] == "*" else int(fields["cursorMark"][2:])
        size = min(int(fields["pageSize"]), self.page)
        page = found[start : start + size]
        if fields["resultType"] == "idlist":
            page = [{k: r[k] for k in ("id", "source", "pmid") if k in r} for r in page]
        reply = {
            "version": "6.9",
            "hitCount": len(found) + (self.announce if len(self.requests) % 2 else 0),
            "request": {"queryString": fields["query"]},
            "resultList": {"result": page},
        }
        if page:
            reply["nextCursorMark"] = f"Ao{start + len(page)}"
        return reply

    def _crossref(self, fields: dict[str, str]) -> dict[str, Any]:
        if "filter" in fields:
            wanted = [part.removeprefix("doi:") for part in fields["filter"].split(",")]
            items = [w for w in self.crossref if w["DOI"].lower() in wanted]
            message = {"total-results": len(items), "items": items}
        elif int(fields["rows"]) > 1000:
            return {
                "status": "failed",
                "message-type": "validation-failure",
                "message": [{"type": "integer-not-valid", "value": "x", "message": "too many"}],
            }
        else:
            start = 0 if fields["cursor"] == "*" else int(fields["cursor"][2:])
            items = self.crossref[start : start + int(fields["rows"])]
            message = {
                "total-results": len(self.crossref),
                "items": items,
                "next-cursor": f"Dn{start + len(items)}",
            }
        return {"status": "ok", "message-type": "work-list", "message": message}


def _handler(server: SourcesServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._serve("POST", body.decode())

        def do_GET(self) -> None:
            self._serve("GET", self.path.partition("?")[2])

        def _serve(self, method: str, query: str) -> None:
            path = self.path.partition("?")[0]
            fields = dict(parse_qsl(query, keep_blank_values=True))
            server.requests.append((method, path, fields))
            status, body = server.answer(path, fields)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
