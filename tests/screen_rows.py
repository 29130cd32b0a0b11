"""A small review to be screened: made-up records about sprints and about walks."""

from __future__ import annotations

import contextlib
import datetime as dt
import warnings
from dataclasses import dataclass
from pathlib import Path

from evidence.model import AbstractSection, Record
from evidence.screen import opening
from evidence.store import Store
from evidence.workspace import Workspace

with warnings.catch_warnings():  # of its next client, which is not among our requirements
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PAGES = (
    "/",
    "/records",
    "/decided",
    "/second-look",
    "/conflicts",
    "/agreement",
    "/progress",
    "/settings",
)
QUESTIONS = (
    "/api/visit",
    "/api/queue",
    "/api/state",
    "/api/record",
    "/api/reasons",
    "/api/similar",
)
WRITES = (
    "/api/decide",
    "/api/undo",
    "/api/note",
    "/api/words",
    "/api/resolve",
    "/api/certificate",
    "/api/name",
    "/api/leave",
)

CLAIM = "sprints"
DAY = dt.date(2026, 3, 1)
SOURCE = Path(__file__).resolve().parents[1] / "queries" / "hiit-bdnf.toml"


def record(number: int, **fields: object) -> Record:
    """Record number n: every fifth is about sprints, the others about walks and rats."""
    sprint = number % 5 == 0
    subject = "Sprint interval training and BDNF in serum" if sprint else "Walking in old rats"
    given: dict[str, object] = {
        "pmid": str(1000 + number),
        "title": f"{subject}, part {number}",
        "abstract": f"We measured {'blood of people' if sprint else 'cages'} number {number}.",
        "authors": ("First A", "Second B"),
        "year": 2000 + number % 20,
        "journal": "Journal of Examples",
        "doi": f"10.1000/example.{number}",
        "pmcid": f"PMC{number}" if number % 2 else None,
        "mesh": ("Humans",) if sprint else ("Animals", "Rats"),
        "kinds": ("Journal Article",),
        "keywords": ("exercise",),
        "language": "eng",
        "status": "MEDLINE",
        "version": 1,
        "retracted": False,
        "notices": (),
        "revised": None,
        "sections": (
            AbstractSection("Why.", "BACKGROUND"),
            AbstractSection(f"Exercised in group {number}.", "METHODS"),
        ),
    }
    return Record(**(given | fields))  # type: ignore[arg-type]


def review(folder: Path, count: int = 12, *, screening: str = "", extra=()) -> Path:
    """A folder with one claim, so many records in its store, and no decision."""
    (folder / "queries").mkdir(parents=True)
    text = SOURCE.read_text(encoding="utf-8").replace('id = "hiit-bdnf"', f'id = "{CLAIM}"')
    (folder / "queries" / f"{CLAIM}.toml").write_text(text + screening, encoding="utf-8")
    add(folder, [*(record(n) for n in range(1, count + 1)), *extra])
    return folder


def add(folder: Path, records) -> None:
    """What a search would bring."""
    with Store(folder / "var" / "evidence.sqlite") as store:
        store.add_export(CLAIM, list(records), source="records.nbib", on=DAY)


def log_rows(folder: Path) -> list[str]:
    """The lines of the log without its header."""
    path = folder / "extracted" / CLAIM / "screening.csv"
    return path.read_text(encoding="utf-8").splitlines()[1:] if path.is_file() else []


@dataclass
class Browser:
    """A client that behaves as the page's script does."""

    client: TestClient
    reviewer: str
    token: str
    count: int = 0

    def get(self, path: str, **query: object):
        return self.client.get(path, params={"stage": "title-abstract", **query})

    def post(self, path: str, **content: object):
        self.count += 1
        content.setdefault("reviewer", self.reviewer)
        return self.client.post(path, json=content, headers={"x-write-token": self.token})

    def decide(self, record: object, decision: str, **more: object):
        key = more.pop("key", f"key-{id(self)}-{self.count}")
        given = {"stage": "title-abstract", "reason": "", "note": ""} | more
        return self.post("/api/decide", key=key, record=str(record), decision=decision, **given)

    def undo(self, key: str | None = None, stage: str = "title-abstract"):
        return self.post("/api/undo", key=key or f"undo-{id(self)}-{self.count}", stage=stage)

    def order(self, n: int = 50) -> list[str]:
        return self.get("/api/queue", n=n).json()["order"]


@dataclass
class Server:
    """A server that is asked without a network."""

    folder: Path
    ready: opening.Ready

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.ready.bound.getsockname()[1]}"

    def client(self) -> TestClient:
        return TestClient(self.ready.app, base_url=self.base, raise_server_exceptions=True)

    def browser(self, name: str) -> Browser:
        client = self.client()
        token = self.ready.url.partition("token=")[2]
        client.get("/start", params={"token": token})
        visit = client.get("/api/visit").json()
        found = Browser(client, name, visit["token"])
        if visit["reviewer"] != name:
            client.post("/api/name", json={"name": name}, headers={"x-write-token": found.token})
            found.token = client.get("/api/visit").json()["token"]
        return found


@contextlib.contextmanager
def serving(folder: Path, where: opening.Where | None = None, **options: object):
    """A server over a review; ended at the end."""
    ready = opening.prepare(
        Workspace.at(folder),
        CLAIM,
        where or opening.Where(port=0),
        **options,  # type: ignore[arg-type]
    )
    try:
        yield Server(folder, ready)
    finally:
        ready.session.stop()
        ready.bound.close()
