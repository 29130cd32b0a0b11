"""A review of two claims, run as a reviewer runs it, and all that must be equal afterwards."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

from tests.hostile_server import HostileServer, Paper, papers

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = ("dlpfc-reversibility", "lactate-bdnf")
TOPICS = ("prefrontal", "lactate")  # words of their strategies
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00808"
INCLUDED = "32038149"  # a real study of lactate-bdnf, in whose place an invented record stands

# The command with the waits of a real run divided: delays and timeouts only, nothing of what is
# sent, read or written. The first word is the window: a small one lets searches be split.
HURRIED = textwrap.dedent("""
    import sys
    from evidence import fetch
    from evidence.pubmed import search
    search.WINDOW = int(sys.argv.pop(1))
    fetch.FIRST_DELAY_S, fetch.SLOWEST_AFTER_S = 0.004, 0.5
    fetch.Eutils.__init__.__kwdefaults__ |= dict(timeout_s=1.5, reply_s=2.5, connect_s=2.0)
    from evidence.cli import main
    main(sys.argv[1:])
""")


@dataclasses.dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"

    @property
    def facts(self) -> dict[str, object]:
        facts: dict[str, object] = json.loads(self.out)
        return facts


def make(folder: Path, included: int) -> Path:
    """The review in a folder, with an invented record among its included studies."""
    for claim in CLAIMS:
        target = folder / "queries" / f"{claim}.toml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / "queries" / f"{claim}.toml").read_bytes())
        shutil.copytree(ROOT / "extracted" / claim, folder / "extracted" / claim)
    for name in ("studies.csv", "screening.csv"):
        path = folder / "extracted" / CLAIMS[1] / name
        text = path.read_text()
        assert INCLUDED in text
        path.write_text(text.replace(INCLUDED, str(included)))
    return folder


def environment(url: str, folder: Path, **more: str) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NCBI_", "EVIDENCE_"))}
    return keep | {
        "EVIDENCE_EUTILS_URL": url,
        "NCBI_API_KEY": KEY,
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        **more,
    }


def start(
    review: Path, url: str, *words: str, hurried: bool = True, window: int = 9_999
) -> subprocess.Popen[str]:
    """The command, under way."""
    program = ["-c", HURRIED, str(window)] if hurried else ["-m", "evidence"]
    return subprocess.Popen(
        [sys.executable, *program, "--root", str(review), *words],
        cwd=ROOT,
        env=environment(url, review.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(
    review: Path,
    url: str,
    *words: str,
    hurried: bool = True,
    window: int = 9_999,
    timeout: float = 240,
) -> Ran:
    running = start(review, url, *words, hurried=hurried, window=window)
    try:
        out, err = running.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        running.kill()
        out, err = running.communicate()
        raise AssertionError(f"the run hangs:\n{out}\n{err}") from None
    assert "Traceback" not in err, err
    return Ran(running.returncode, out, err)


# --- what PubMed holds -----------------------------------------------------------------------


def before() -> list[Paper]:
    """What PubMed holds when the review begins."""
    return papers(110, TOPICS)


def included_of(records: list[Paper]) -> Paper:
    return next(p for p in records if p.topics == frozenset(TOPICS[1:]))


def after(records: list[Paper], today: dt.date) -> list[Paper]:
    """... and later: new ones, two revised, the included one retracted, one withdrawn."""
    included = included_of(records)
    later = [p for p in records if p is not records[17]]
    for n, paper in enumerate(later):
        if paper is included:
            later[n] = dataclasses.replace(paper, retracted=True, revised=today)
        elif n in (5, 60):
            later[n] = dataclasses.replace(paper, title=f"Revised {n}", revised=today)
    newest = max(p.pmid for p in records)
    late = records[30].pmid + 1  # a late record with a low number
    return later + [
        Paper(pmid, frozenset(TOPICS), f"New {pmid}", revised=today)
        for pmid in (late, newest + 7, newest + 9)
    ]


# --- what must be equal ----------------------------------------------------------------------

TABLES = {
    "members": "claim, pmid, first_seen, dropped_on",
    "records": "pmid, body, retracted, fetched_on, changed_on",
    "states": "pmid, state, notice, gone_on",
    "runs": "claim, source, kind, ran_on, query, translation, count, warnings, complete",
}


def store(review: Path) -> dict[str, list[tuple[object, ...]]]:
    """The rows of the store, without the order in which they came."""
    with sqlite3.connect(review / "var" / "evidence.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = {
            name: sorted(db.execute(f"SELECT {columns} FROM {name}").fetchall(), key=repr)
            for name, columns in TABLES.items()
        }
    # A search that was doubted stays in the log, and changes nothing.
    tables["runs"] = [row for row in tables["runs"] if "doubt" not in str(row[2])]
    db.close()
    return tables


def members(review: Path, claim: str) -> set[int]:
    rows = store(review)["members"]
    return {int(str(pmid)) for name, pmid, _, gone in rows if name == claim and gone is None}


def files_of(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def state(review: Path) -> dict[str, object]:
    """Everything that a reviewer or a reader can see."""
    return {
        "store": store(review),
        "site": files_of(review / "site"),
        "reading order": files_of(review / "var" / "reading-order"),
        "written by people": files_of(review / "queries") | files_of(review / "extracted"),
    }


def different(one: Mapping[str, object], two: Mapping[str, object]) -> list[str]:
    """Where two states differ, in words; empty where they are equal."""
    found = []
    for name in one:
        a, b = one[name], two[name]
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(a.keys() | b.keys()):
                x, y = a.get(key), b.get(key)
                if isinstance(x, list) and isinstance(y, list):
                    found += [f"{name} {key}: only first {r}" for r in x if r not in y]
                    found += [f"{name} {key}: only second {r}" for r in y if r not in x]
                elif x != y:
                    found.append(f"{name} {key}: {x} / {y}")
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.found += [v for k, v in attrs if k in ("href", "src") and v]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.open.remove(tag)


def broken(site: Path) -> list[str]:
    """Pages that end early, and links within the site that lead nowhere."""
    found = []
    for page in site.rglob("*.html"):
        text = page.read_text()
        if not text.rstrip().endswith("</html>"):
            found.append(f"{page.name} ends early")
        links = _Links()
        links.feed(text)
        for link in links.found:
            name = link.partition("#")[0].partition("?")[0]
            if name and not re.match(r"[a-z]+:|//", name) and not (page.parent / name).exists():
                found.append(f"{page.name}: {link} leads nowhere")
    found += [f"{p.name} is half" for p in site.rglob("*.json") if not _whole(p)]
    return found


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


def places_of_the_key(folder: Path, *texts: str) -> Iterator[str]:
    """Files, unpacked where they are packed, and texts that hold the key in any case."""
    needle = KEY.lower().encode()
    for n, text in enumerate(texts):
        if needle in text.lower().encode():
            yield f"text {n}"
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            if needle in data.lower():
                yield str(path)


def truth(server: HostileServer, claim: str) -> set[int]:
    topic = TOPICS[CLAIMS.index(claim)]
    return {p.pmid for p in server.papers.values() if topic in p.topics}
