"""What the page's script asks and writes: JSON in, JSON out."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evidence.screen import bodies
from evidence.screen.front import Front, as_json, away, number, with_tag
from evidence.screen.highlights import Highlights
from evidence.screen.refused import Refused
from evidence.screen.visitors import Visitor

MOST_AHEAD = 50  # records in one answer
MOST_NAMES = 500  # names in a question


def routes(front: Front) -> list[Route]:
    """The addresses below ``/api/``."""
    session = front.session

    def known(name: str) -> str:
        return session.record(name).pmid

    async def visit(request: Request) -> Response:
        visitor = front.known(request)
        return as_json({"reviewer": visitor.reviewer, "token": front.visitors.write_token(visitor)})

    async def queue(request: Request) -> Response:
        reviewer, stage = front.reviewer_of(request), front.stage_of(request)
        n = number(request, "n", default=8, most=MOST_AHEAD)
        have, without = (
            request.query_params.get(name, "").split(" ")[:MOST_NAMES]
            for name in ("have", "without")
        )
        return as_json(await away(session.queue, reviewer, stage, n=n, have=have, without=without))

    async def state(request: Request) -> Response:
        reviewer, stage = front.reviewer_of(request), front.stage_of(request)

        def look() -> dict[str, Any]:
            session.refresh()
            return session.state(reviewer, stage)

        return with_tag(request, await away(look))

    async def record(request: Request) -> Response:
        reviewer, stage = front.reviewer_of(request), front.stage_of(request)

        def look() -> dict[str, Any]:
            session.refresh()
            return session.record_json(request.query_params.get("id", ""), reviewer, stage)

        return as_json(await away(look))

    async def reasons(request: Request) -> Response:
        reviewer = front.reviewer_of(request)
        name = request.query_params.get("id", "")
        return as_json(await away(session.reasons, name, reviewer))

    async def similar(request: Request) -> Response:
        reviewer, stage = front.reviewer_of(request), front.stage_of(request)
        name = request.query_params.get("id", "")
        return as_json(await away(session.similar, name, reviewer, stage))

    # --- writes ----------------------------------------------------------------------------------

    async def decide(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Decide)
        reviewer = _named(visitor)

        def work() -> dict[str, Any]:
            name = known(body.record)
            session.desk.decide_once(
                body.key,
                name,
                body.stage,
                reviewer,
                body.decision,
                reason=body.reason,
                note=body.note,
            )
            session.refresh()
            mine = session.mine(reviewer, body.stage).json(name)
            return {"saved": True, "mine": mine, "state": session.state(reviewer, body.stage)}

        return as_json(await away(work))

    async def undo(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Undo)
        reviewer = _named(visitor)

        def work() -> dict[str, Any]:
            name = session.desk.undo_once(body.key, reviewer, body.stage)
            session.refresh()
            shown = None
            if name in session.holdings.records:
                shown = session.record_json(name, reviewer, body.stage)
            return {
                "record": name,
                "shown": shown,
                "state": session.state(reviewer, body.stage),
            }

        return as_json(await away(work))

    async def note(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Note)
        reviewer = _named(visitor)

        def work() -> dict[str, Any]:
            name = known(body.record)
            session.desk.note_once(body.key, name, body.stage, reviewer, body.note)
            session.refresh()
            return {"saved": True, "note": session.mine(reviewer, body.stage).note(name)}

        return as_json(await away(work))

    async def words(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Words)
        asked = Highlights(tuple(body.include), tuple(body.exclude))
        return as_json((await away(session.words.keep, _named(visitor), asked)).json())

    async def resolve(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Resolve)
        reviewer = _named(visitor)

        def work() -> dict[str, Any]:
            session.resolve(
                body.key,
                known(body.record),
                body.stage,
                reviewer,
                body.decision,
                reason=body.reason,
                note=body.note,
            )
            return {"saved": True, "state": session.state(reviewer, body.stage)}

        return as_json(await away(work))

    async def certificate(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Certify)
        reviewer = _named(visitor)

        def work() -> dict[str, Any]:
            drawn = session.certify(
                reviewer,
                attempt=body.attempt,
                size=body.size,
                target=body.target,
                confidence=body.confidence,
            )
            return {"attempt": drawn.attempt, "size": len(drawn.pmids)}

        return as_json(await away(work))

    async def name(request: Request) -> Response:
        visitor, body = await front.write(request, bodies.Named)
        if front.door is not None:
            raise Refused(403, "here a name comes with its password", "sign in")
        named = visitor.named(front.check_name(body.name))
        return front.remember(as_json({"reviewer": named.reviewer}), named)

    async def sign_in(request: Request) -> Response:
        if front.door is None:
            raise Refused(404, "this server asks for no password")
        body = await front.body(request, bodies.SignIn)
        origin = request.client.host if request.client else ""
        who = await away(front.door.admit, body.name, body.password, origin=origin)
        return front.remember(as_json({"reviewer": who}), Visitor.new(who))

    async def leave(request: Request) -> Response:
        await front.write(request, bodies.Nothing)
        response = as_json({"left": True})
        response.delete_cookie(front.cookie_name, path="/", secure=front.address.secure)
        return response

    asked = {
        "visit": visit,
        "queue": queue,
        "state": state,
        "record": record,
        "reasons": reasons,
        "similar": similar,
    }
    written = {
        "decide": decide,
        "undo": undo,
        "note": note,
        "words": words,
        "resolve": resolve,
        "certificate": certificate,
        "name": name,
        "sign-in": sign_in,
        "leave": leave,
    }
    return [
        *(Route(f"/api/{path}", end, methods=["GET"]) for path, end in asked.items()),
        *(Route(f"/api/{path}", end, methods=["POST"]) for path, end in written.items()),
    ]


def _named(visitor: Visitor) -> str:
    if visitor.reviewer is None:
        raise Refused(401, "this browser has not said who is screening", "open the page anew")
    return visitor.reviewer
