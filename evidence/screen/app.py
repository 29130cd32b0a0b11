"""The application: pages, the script's questions, and files of our own; nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from evidence.errors import ToolkitError
from evidence.screen import api, pages
from evidence.screen.front import Front
from evidence.screen.guard import Guard
from evidence.screen.refused import Refused

HERE = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_app(front: Front) -> Guard:
    """The server as an ASGI application, behind its guard."""
    refused = pages.refusal(front)
    rooms = Router([*pages.routes(front), *api.routes(front), *_files()])
    handlers = {HTTPException: _plain, Refused: refused, ToolkitError: refused}
    # Not the whole of Starlette's application: its last layer tells faults in its own words.
    inner = ExceptionMiddleware(rooms, handlers)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = inner  # lets the router raise what `_plain` words
        await inner(scope, receive, send)

    return Guard(application, front.address)


def _plain(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    known = {404: "there is no such page", 405: "only GET and POST are understood"}
    return JSONResponse({"error": known.get(fault.status_code, fault.detail)}, fault.status_code)


def _files() -> list[Route]:
    """Our own files by name, read once; no path of a request ever reaches the disk."""
    files = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}
    house = (HERE.parent / "site" / "style.css").read_bytes()
    files["house.css"] = house
    files["scheme.css"] = scheme_css(house.decode("utf-8")).encode("utf-8")
    return [
        Route(f"/static/{name}", _file(data, TYPES[Path(name).suffix]), methods=["GET"])
        for name, data in files.items()
        if Path(name).suffix in TYPES
    ]


def _file(data: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}

    async def reply(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)

    return reply


def scheme_css(house: str) -> str:
    """The house's two colour schemes by choice: its own style knows only that of the system."""
    light = re.search(r":root\s*\{([^}]*)\}", house)
    dark = re.search(r"prefers-color-scheme:\s*dark\)\s*\{\s*:root\s*\{([^}]*)\}", house)
    if light is None or dark is None:
        return ""
    return (
        f':root[data-scheme="light"] {{{light[1]}color-scheme: light;\n}}\n'
        f':root[data-scheme="dark"] {{{dark[1]}color-scheme: dark;\n}}\n'
    )
