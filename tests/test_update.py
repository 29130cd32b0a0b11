"""The whole house, end to end: a loopback PubMed with invented records feeds `evidence update`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.extracted import columns
from evidence.model import Screening, Study
from tests.eutils_records import invent
from tests.eutils_server import EutilsServer, Fault

CLAIMS = ("aerobic-hippocampus", "dlpfc-reversibility", "hiit-bdnf", "lactate-bdnf")


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    """A copy of the project's own review in a folder of its own."""
    folder = tmp_path / "review"
    for name in ("queries", "extracted"):
        shutil.copytree(root / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def _built_once(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "review"
    for name in ("queries", "extracted"):
        shutil.copytree(root / name, folder / name)
    ran = evidence(folder, nobody(), "update", "--offline")
    assert ran.code == 0, ran.words
    return folder


@pytest.fixture
def built(_built_once: Path, tmp_path: Path) -> Path:
    """The same, with its site built once without PubMed."""
    return Path(shutil.copytree(_built_once, tmp_path / "review"))


@pytest.fixture
def pubmed() -> Iterator[EutilsServer]:
    with EutilsServer(invent(240, seed=7)) as server:
        yield server


@dataclasses.dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


def environment(url: str, tmp: Path) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NCBI_", "EVIDENCE_"))}
    return keep | {
        "EVIDENCE_EUTILS_URL": url,
        "NCBI_API_KEY": "0123456789abcdef0123456789abcdef0123",
        "TMPDIR": str(tmp),
        "XDG_CACHE_HOME": str(tmp),
    }


def evidence(review: Path, url: str, *words: str) -> Ran:
    """Run the command as a reviewer does."""
    done = subprocess.run(
        [sys.executable, "-m", "evidence", "--root", str(review), *words],
        env=environment(url, review.parent),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def test_a_second_update_fetches_nothing_and_changes_no_byte(
    review: Path, pubmed: EutilsServer
) -> None:
    first = evidence(review, pubmed.url, "update", "--json")
    assert first.code == 0, first.words
    facts = json.loads(first.out)
    found = {s["claim"]: s["count"] for s in facts["searches"]}
    assert set(found) == set(CLAIMS)
    assert found["hiit-bdnf"] > 0
    assert all(s["complete"] for s in facts["searches"])
    site = review / "site"
    for name in ("index.html", *(f"claims/{c}.html" for c in CLAIMS)):
        assert (site / name).is_file(), name
    for claim in ("hiit-bdnf", "aerobic-hippocampus"):
        for kind in ("svg", "pdf", "png"):
            assert list((site / "figures" / claim).glob(f"forest-*.{kind}"))
    order = (review / "var/reading-order/hiit-bdnf.csv").read_text().splitlines()
    assert len(order) == found["hiit-bdnf"] + 1

    before, asked = fingerprint(site), len(pubmed.requests)
    second = evidence(review, pubmed.url + "/", "update")
    assert second.code == 0, second.words
    assert "site: nothing changed" in second.out
    assert fingerprint(site) == before
    again = pubmed.requests[asked:]
    searches = [r for r in again if r.endpoint == "esearch"]
    others = [r for r in again if r.endpoint != "esearch"]
    assert len(searches) <= 2 * len(CLAIMS)
    assert len(others) <= 1, [(r.endpoint, r.pmids) for r in others]


def test_without_pubmed_everything_else_is_built_at_once(review: Path) -> None:
    ran = evidence(review, nobody(), "update")
    assert ran.code == 0, ran.words
    assert ran.out.count("PubMed was not searched") == 1
    assert "again in" not in ran.err  # one probe, no retry
    assert (review / "site/index.html").is_file()
    assert "never searched" in (review / "site/index.html").read_text().lower()
    before = fingerprint(review / "site")
    assert evidence(review, nobody(), "update").code == 0
    assert fingerprint(review / "site") == before


def test_an_incomplete_answer_keeps_the_last_good_state_and_exits_1(
    built: Path, pubmed: EutilsServer
) -> None:
    review = built
    good = evidence(review, pubmed.url, "search", "hiit-bdnf", "--json")
    assert good.code == 0, good.words
    held = json.loads(good.out)["searches"][0]["count"]
    pubmed.faults.append(Fault("count-high", times=10_000, on="esearch"))
    ran = evidence(review, pubmed.url, "update", "hiit-bdnf")
    assert ran.code == 1, ran.words
    assert "hiit-bdnf: earlier state kept" in ran.out
    page = (review / "site/claims/hiit-bdnf.html").read_text()
    assert "The last search did not complete" in page
    order = (review / "var/reading-order/hiit-bdnf.csv").read_text().splitlines()
    assert len(order) == held + 1


def _include(review: Path, claim: str, pmid: str) -> None:
    """Let an included study of the claim have a PMID that the loopback PubMed serves."""
    folder = review / "extracted" / claim
    for name, noun in (("studies.csv", Study), ("screening.csv", Screening)):
        path = folder / name
        path.write_text(path.read_text().replace("35992157", pmid))
        assert pmid in path.read_text(), (name, columns(noun))


def test_a_retracted_included_study_leaves_every_analysis_and_exits_3(
    built: Path, pubmed: EutilsServer
) -> None:
    review = built
    pmid = sorted(pubmed.records)[4]
    _include(review, "hiit-bdnf", pmid)
    assert evidence(review, pubmed.url, "search", "hiit-bdnf").code == 0
    before = json.loads(evidence(review, nobody(), "pool", "hiit-bdnf", "--json").out)
    pubmed.records[pmid] = dataclasses.replace(pubmed.records[pmid], retracted_in="90999999")
    ran = evidence(review, pubmed.url, "update", "hiit-bdnf")
    assert ran.code == 3, ran.words
    assert f"PMID {pmid} was retracted" in ran.out
    after = json.loads(evidence(review, nobody(), "pool", "hiit-bdnf", "--json").out)
    k = {a["analysis"]: a["k"] for a in before}
    assert k["chronic-vs-control"] == 2
    assert {a["analysis"]: a["k"] for a in after} == k | {"chronic-vs-control": 1}
    page = (review / "site/claims/hiit-bdnf.html").read_text()
    assert "was retracted" in page
    again = evidence(review, pubmed.url, "update", "hiit-bdnf")
    assert again.code == 0, again.words  # told once; the page goes on saying it


def test_a_fault_in_one_claim_stops_no_other_and_its_last_good_page_says_so(built: Path) -> None:
    review = built
    page = review / "site/claims/lactate-bdnf.html"
    good = page.read_text()
    effects = review / "extracted/lactate-bdnf/effects.csv"
    lines = effects.read_text().splitlines(keepends=True)
    assert ",primary," in lines[1]
    lines[1] = lines[1].replace(",primary,", ",prmary,")
    effects.write_text("".join(lines))
    ran = evidence(review, nobody(), "update", "--offline")
    assert ran.code == 1, ran.words
    assert "extracted/lactate-bdnf/effects.csv:2" in ran.out
    assert "prmary" in ran.out
    stale = page.read_text()
    assert "could not be rebuilt" in stale
    assert good.split("<h1")[1].split("</h1>")[0] in stale
    index = (review / "site/index.html").read_text()
    assert "could not be rebuilt" in index
    assert all(f"claims/{c}.html" in index for c in CLAIMS)
    effects.write_text("".join(lines).replace(",prmary,", ",primary,"))
    assert evidence(review, nobody(), "update", "--offline").code == 0
    assert page.read_text() == good


def test_a_killed_update_is_completed_by_the_next(built: Path, pubmed: EutilsServer) -> None:
    review = built
    pubmed.faults.append(Fault("slow", times=1, on="efetch", after=1, seconds=30))
    running = subprocess.Popen(
        [sys.executable, "-m", "evidence", "--root", str(review), "update"],
        env=environment(pubmed.url, review.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(pubmed.sent("efetch")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=30)
    assert len(pubmed.sent("efetch")) >= 2, "the run was killed before it had begun to fetch"
    pubmed.faults.clear()
    kept = {p for r in pubmed.sent("efetch")[:1] for p in r.pmids}
    fetched = len(pubmed.sent("efetch"))
    ran = evidence(review, pubmed.url, "update")
    assert ran.code == 0, ran.words
    later = {p for r in pubmed.sent("efetch")[fetched:] for p in r.pmids}
    assert kept.isdisjoint(later), "records that had arrived were fetched again"
    assert (review / "site/index.html").is_file()


def test_json_stands_alone_on_standard_output(review: Path) -> None:
    ran = evidence(review, nobody(), "pool", "hiit-bdnf", "--json")
    assert ran.code == 0, ran.words
    analyses = json.loads(ran.out)
    keys = "analysis measure scale k estimate se ci prediction tau2 i2 q method reason rows"
    assert all(list(a) == keys.split() for a in analyses)
    assert next(a["analysis"] for a in analyses) == "chronic-vs-control"
    for a in analyses:
        assert len(a["rows"]) == a["k"]


def test_what_the_user_typed_wrong_exits_2_and_an_unknown_claim_1(review: Path) -> None:
    assert evidence(review, nobody(), "pool", "--no-such-option").code == 2
    ran = evidence(review, nobody(), "pool", "hit-bdnf")
    assert ran.code == 1
    assert "did you mean 'hiit-bdnf'?" in ran.err


def test_a_new_claim_is_started_and_never_overwritten(tmp_path: Path) -> None:
    ran = evidence(tmp_path, nobody(), "new", "sleep-pain")
    assert ran.code == 0, ran.words
    assert (tmp_path / "queries/sleep-pain.toml").is_file()
    assert (tmp_path / "extracted/sleep-pain/effects.csv").read_text().startswith("effect_id,")
    again = evidence(tmp_path, nobody(), "new", "sleep-pain")
    assert again.code == 1
    assert "has been started already" in again.err
    checked = evidence(tmp_path, nobody(), "check", "sleep-pain")
    assert checked.code == 1
    assert "queries/sleep-pain.toml:" in checked.out
