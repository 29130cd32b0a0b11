"""What every request meets: who asks, for which stage, and how an answer is made."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evidence.model import Stage
from evidence.screen.bodies import Body, parse
from evidence.screen.guard import Address
from evidence.screen.passwords import Door
from evidence.screen.refused import Refused
from evidence.screen.session import ScreenSession
from evidence.screen.visitors import LIFETIME_S, Visitor, Visitors
from evidence.screening import FOUNDING, FULL, TITLE
from evidence.screening.rows import one_line

AnyBody = TypeVar("AnyBody", bound=Body)
TOKEN_HEADER = "x-write-token"


@dataclass(frozen=True, slots=True)
class Front:
    """One server.

    Attributes
    ----------
    door : Door or None
        Where people come over a network: who may come in, by password.
    reviewer : str or None
        The name that browsers get which have not said one.
    """

    session: ScreenSession
    visitors: Visitors
    address: Address
    door: Door | None = None
    reviewer: str | None = None
    stage: Stage = TITLE

    @property
    def cookie_name(self) -> str:
        # Cookies do not know ports: two servers on one machine need two names.
        port = sorted(self.address.hosts)[0].rpartition(":")[2]
        prefix = "__Host-" if self.address.secure else ""
        return f"{prefix}screen-{port if port.isdigit() else 'web'}"

    # --- who asks --------------------------------------------------------------------------------

    def visitor(self, request: Request) -> Visitor | None:
        cookie = request.cookies.get(self.cookie_name)
        return self.visitors.read(cookie) if cookie else None

    def known(self, request: Request) -> Visitor:
        """The visitor, who came by the printed address or a password."""
        visitor = self.visitor(request)
        if visitor is None:
            remedy = (
                "sign in again" if self.door else "open the address that the terminal printed last"
            )
            raise Refused(401, "this browser is not known to the server", remedy)
        return visitor

    def reviewer_of(self, request: Request) -> str:
        """Under which name the visitor decides; a page that was made for another gets nothing."""
        visitor = self.known(request)
        if visitor.reviewer is None:
            raise Refused(401, "this browser has not said who is screening", "open the page anew")
        said = request.query_params.get("reviewer")
        if said is not None:
            self.same(visitor, said)
        return visitor.reviewer

    def same(self, visitor: Visitor, name: str) -> None:
        """Refuse what a page sends for a reviewer other than the one who is here now.

        Raises
        ------
        Refused
            401, so that the page keeps what it could not send.
        """
        if visitor.reviewer != one_line(name):
            who = visitor.reviewer or "nobody"
            raise Refused(
                401,
                f"this browser screens as {who} now",
                f"become {name} again, or open a new page",
            )

    def remember(self, response: Response, visitor: Visitor) -> Response:
        response.set_cookie(
            self.cookie_name,
            self.visitors.cookie(visitor),
            max_age=LIFETIME_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self.address.secure,
        )
        return response

    # --- what is asked ---------------------------------------------------------------------------

    def stage_of(self, request: Request) -> Stage:
        said = request.query_params.get("stage")
        if said is None:
            return self.stage
        for stage in (TITLE, FULL):
            if said == stage:
                return stage
        raise Refused(404, "there is no such stage", f"{TITLE} or {FULL}")

    def check_name(self, name: str) -> str:
        """A name as it is written in the log.

        Raises
        ------
        Refused
            422 where it cannot be one.
        """
        name = one_line(name)
        if not name or name == FOUNDING:
            raise Refused(422, "a decision needs the name of a person")
        return name

    async def body(self, request: Request, kind: type[AnyBody]) -> AnyBody:
        """The body of a request, which must be JSON of this kind."""
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refused(415, "a request must be application/json")
        return parse(kind, await request.body())

    async def write(self, request: Request, kind: type[AnyBody]) -> tuple[Visitor, AnyBody]:
        """A write by a known visitor, which must carry the token of this visitor's pages."""
        visitor = self.known(request)
        if not self.visitors.may_write(visitor, request.headers.get(TOKEN_HEADER, "")):
            raise Refused(403, "the request lacks this page's token", "open the page anew")
        body = await self.body(request, kind)
        named = getattr(body, "reviewer", None)
        if named is not None:
            self.same(visitor, named)
        return visitor, body


def as_json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status)


def with_tag(request: Request, content: Any) -> Response:
    """JSON with an entity tag; nothing but "not modified" where the browser has it already."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.blake2b(text, digest_size=12).hexdigest()}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag})
    return Response(text, media_type="application/json", headers={"etag": tag})


async def away(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Run what waits for the disk or for a lock in a thread."""
    assert not inspect.iscoroutinefunction(work)
    return await run_in_threadpool(work, *args, **named)


def number(request: Request, name: str, *, default: int, most: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(422, f"{name} is no whole number")
    return min(int(text), most)
