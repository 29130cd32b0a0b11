"""The pages as HTML, made of templates; records reach them as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from evidence.errors import ToolkitError
from evidence.model import Stage
from evidence.screen import lists
from evidence.screen.front import Front, away, number
from evidence.screen.refused import Refused
from evidence.screen.session import STAGE_WORDS
from evidence.screen.visitors import Visitor
from evidence.screening import FOUNDING, FULL, TITLE

HERE = Path(__file__).parent
PLACES = (  # name, path, words
    ("screen", "/", "Screen"),
    ("records", "/records", "All records"),
    ("decided", "/decided", "Decided"),
    ("second-look", "/second-look", "Second look"),
    ("conflicts", "/conflicts", "Conflicts"),
    ("agreement", "/agreement", "Agreement"),
    ("progress", "/progress", "Progress"),
)
KEYS = (
    ("i", "include"),
    ("e", "exclude; then 1 to 9 for a reason, 0 to write one, e for none"),
    ("u", "unsure"),
    ("z", "take the last decision back, and the one before, and so on"),
    ("n", "note"),
    ("s", "skip: the record comes again at the end"),
    ("← →", "the record before, the record after"),
    ("w", "why the record is here: words that moved it"),
    ("r", "similar records"),
    ("h", "highlighted words"),
    ("c", "criteria"),
    ("o", "open the full text in a new tab"),
    ("/", "search all records"),
    ("?", "this list"),
)
DECISIONS = {
    "include": "included",
    "exclude": "excluded",
    "unsure": "unsure",
    "not-retrieved": "not retrieved",
}
SIGNS = {"include": "✓", "exclude": "✕", "unsure": "?", "not-retrieved": "–"}


def routes(front: Front) -> list[Route]:
    """The addresses that a person sees."""
    environment = _environment()
    session, claim = front.session, front.session.claim

    def page(name: str, status: int = 200, **values: Any) -> Response:
        stage: Stage = values.pop("stage", front.stage)
        common = {
            "claim": claim,
            "stage": stage,
            "stage_words": STAGE_WORDS[stage],
            "other_stage": FULL if stage == TITLE else TITLE,
            "other_stage_words": STAGE_WORDS[FULL if stage == TITLE else TITLE],
            "places": PLACES,
            "here": name,
            "reviewer": None,
            "keys": KEYS,
            "door": front.door is not None,
        }
        text = environment.get_template(f"{name}.html").render(common | values)
        return HTMLResponse(text, status_code=status)

    def entrance(request: Request) -> Response | None:
        """What to show to somebody who is not known, or has no name yet."""
        visitor = front.visitor(request)
        if visitor is None:
            return page("sign-in" if front.door else "closed", 401)
        if visitor.reviewer is None:
            return page("name", names=known_names())
        return None

    def known_names() -> list[str]:
        return [name for name in session.desk.state.reviewers() if name != FOUNDING]

    async def start(request: Request) -> Response:
        if front.door is not None:
            return RedirectResponse("/", 303)
        if not front.visitors.starts(request.query_params.get("token", "")):
            raise Refused(
                401, "this address is no longer good", "open the one that the terminal printed last"
            )
        visitor = front.visitor(request) or Visitor.new()
        if front.reviewer is not None:
            visitor = visitor.named(front.reviewer)
        # Coming from elsewhere a redirection would arrive without the new cookie (SameSite).
        if request.headers.get("sec-fetch-site") == "cross-site":
            return front.remember(page("started"), visitor)
        return front.remember(RedirectResponse("/", 303), visitor)

    async def screen(request: Request) -> Response:
        stage = front.stage_of(request)
        if (shut := entrance(request)) is not None:
            return shut
        reviewer = front.reviewer_of(request)
        highlights = await away(session.words.of, reviewer)
        return page(
            "screen",
            stage=stage,
            reviewer=reviewer,
            highlights=highlights,
            reasons=claim.exclusion_reasons,
            suggestions=lists.search_words(claim),
        )

    def listing(name: str, look: Callable[..., dict[str, Any]]) -> Route:
        async def show(request: Request) -> Response:
            stage = front.stage_of(request)
            if (shut := entrance(request)) is not None:
                return shut
            reviewer = front.reviewer_of(request)
            query = {
                key: request.query_params.get(key, "")[:300]
                for key in ("q", "show", "from", "to", "sort", "target", "confidence")
            }
            at = number(request, "page", default=1, most=100_000)

            def work() -> dict[str, Any]:
                session.refresh()
                return look(session, reviewer, stage, query, at)

            found = await away(work)
            return page(name, stage=stage, reviewer=reviewer, **found)

        return Route(f"/{name}", show, methods=["GET"])

    async def settings(request: Request) -> Response:
        if (shut := entrance(request)) is not None:
            return shut
        return page(
            "settings",
            stage=front.stage_of(request),
            reviewer=front.reviewer_of(request),
            names=known_names(),
            sharing=session.sharing,
        )

    return [
        Route("/start", start, methods=["GET"]),
        Route("/", screen, methods=["GET"]),
        listing("records", lists.records),
        listing("decided", lists.decided),
        listing("second-look", lists.second_look),
        listing("conflicts", lists.conflicts),
        listing("agreement", lists.agreement),
        listing("progress", lists.progress),
        Route("/settings", settings, methods=["GET"]),
    ]


def refusal(front: Front) -> Callable[[Request, Exception], Response]:
    """A refusal in the words of who asked: JSON, or a page where a person is looking."""
    environment = _environment()

    def reply(request: Request, fault: Exception) -> Response:
        if isinstance(fault, ToolkitError):
            fault = Refused(503, fault.problem, fault.remedy)
        assert isinstance(fault, Refused)
        headers = {"retry-after": str(fault.wait)} if fault.wait else {}
        looking = "text/html" in request.headers.get("accept", "")
        if request.method != "GET" or request.url.path.startswith("/api/") or not looking:
            return JSONResponse(fault.json(), fault.status, headers)
        text = environment.get_template("refused.html").render(
            claim=front.session.claim, reviewer=None, fault=fault
        )
        return HTMLResponse(text, fault.status, headers)

    return reply


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["capital"] = _capital
    environment.globals |= {"DECISIONS": DECISIONS, "SIGNS": SIGNS, "STAGE_WORDS": STAGE_WORDS}
    return environment


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
