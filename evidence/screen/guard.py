"""What stands before every request: who may ask from where, how much, and what each reply says.

Hosts are a closed list, so that a name that an attacker points at this machine (DNS rebinding)
gets no answer; writes must come from a page of this server.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evidence.errors import ToolkitError
from evidence.screen.refused import Refused

LARGEST_BODY = 64 * 1024  # bytes; a decision has a few hundred
BODY_S = 10.0  # how long a body may take to arrive

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Under which names the server may be called.

    Attributes
    ----------
    hosts : frozenset of str
        As a browser sends them, such as "127.0.0.1:8000".
    secure : bool
        Whether browsers reach it by https.
    """

    hosts: frozenset[str]
    secure: bool = False

    @property
    def origins(self) -> frozenset[str]:
        scheme = "https" if self.secure else "http"
        return frozenset(f"{scheme}://{host}" for host in self.hosts)

    @classmethod
    def of(cls, names: Iterable[str], port: int, *, secure: bool = False) -> Address:
        usual = 443 if secure else 80
        hosts = {f"[{n}]" if ":" in n else n for n in names}
        found = {f"{host}:{port}" for host in hosts} | (hosts if port == usual else set())
        return cls(frozenset(host.lower() for host in found), secure)


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self.app, self.address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *self._headers(message["headers"])]
            await send(message)

        try:
            self._check(scope)
            if scope["method"] == "POST":
                receive = await _whole(receive)
            await self.app(scope, receive, sending)
        except Refused as fault:
            await _reply(sending, fault)
        except ToolkitError as fault:
            await _reply(sending, Refused(503, fault.problem, fault.remedy))
        except Exception:  # a fault of ours is told in the terminal, not to strangers
            traceback.print_exc(file=sys.stderr)
            if begun:
                raise
            await _reply(
                sending,
                Refused(500, "the server has a fault of its own", "see the terminal it runs in"),
            )

    def _check(self, scope: Scope) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        host = headers.get("host", [])
        if len(host) != 1 or host[0].lower() not in self.address.hosts:
            raise Refused(421, "this server is not called by that name")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refused(405, "only GET and POST are understood")
        origin = headers.get("origin", [])
        if scope["method"] == "POST" and origin and set(origin) - self.address.origins:
            raise Refused(403, "writes must come from a page of this server")
        site = headers.get("sec-fetch-site", [])
        if scope["method"] == "POST" and site and set(site) - {"same-origin", "none"}:
            raise Refused(403, "writes must come from a page of this server")

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        known = {name.lower() for name, _ in given}
        headers = {"cache-control": "no-store", **HEADERS}
        if self.address.secure:
            headers["strict-transport-security"] = "max-age=31536000"
        return [
            (name.encode(), value.encode())
            for name, value in headers.items()
            if name.encode() not in known
        ]


async def _whole(receive: Receive) -> Receive:
    """Take the body in, if it is small and comes soon."""
    parts, size = [], 0
    with anyio.move_on_after(BODY_S) as timer:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the request ended in its middle")
            part = message.get("body", b"")
            size += len(part)
            if size > LARGEST_BODY:
                raise Refused(413, f"a request may have {LARGEST_BODY // 1024} KB at most")
            parts.append(part)
            more = message.get("more_body", False)
    if timer.cancelled_caught:
        raise Refused(408, "the request took too long to arrive")
    whole: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again


async def _reply(send: Send, fault: Refused) -> None:
    body = json.dumps(fault.json(), ensure_ascii=False).encode("utf-8", "replace")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if fault.wait:
        headers.append((b"retry-after", str(fault.wait).encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
