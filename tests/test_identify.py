"""PMIDs by volume and page: from the table, or from Crossref's citation of a DOI; never unasked."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evidence.cli import main
from evidence.extracted import columns, read_extraction
from evidence.fetch import Eutils, Limiter
from evidence.identify import citation_of, compare, identify
from evidence.model import Place, Study
from evidence.sources import crossref
from tests.eutils_records import FIRST_PMID, invent
from tests.eutils_server import EutilsServer
from tests.sources_server import SourcesServer

A, B = (str(FIRST_PMID + 7 * n) for n in range(2))
WORK = {
    "DOI": "10.9999/lost.1",
    "title": ["On invented things"],
    "container-title": ["Journal of Invented Results"],
    "short-container-title": ["J Invent"],
    "author": [{"given": "Anna", "family": "Testa"}],
    "issued": {"date-parts": [[2020]]},
    "volume": "12",
    "page": "145-52",
}


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(6)) as server:
        yield server


@pytest.fixture
def works() -> Iterator[SourcesServer]:
    with SourcesServer([], [copy.deepcopy(WORK)]) as server:
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    limiter = Limiter(tmp_path / "limiter", 10_000)
    with contextlib.closing(Eutils(server.url, limiter=limiter, sleep=lambda s: None)) as eutils:
        yield eutils


def study(study_id: str, **fields: object) -> Study:
    given: dict[str, object] = dict.fromkeys(columns(Study))
    given |= {"study_id": study_id, "design": "rct", "species": "human", "source_url": ""}
    given |= {"notes": "", "at": Place("studies.csv", 2)}
    return Study(**(given | fields))  # type: ignore[arg-type]


def test_volume_and_first_page_of_the_table_go_to_the_matcher(server, eutils):
    server.citations["j invent|2020|12|145|testa"] = A
    found = identify(
        "claim",
        [
            study(
                "One", journal="J Invent", year=2020, volume="12", page="145", first_author="Testa"
            )
        ],
        eutils,
    )
    (one,) = found.candidates
    assert (one.record.pmid, one.how) == (A, "citation matcher")
    assert len(server.sent("ecitmatch")) == 1


def test_a_wrong_page_hides_no_study(server, eutils):
    server.citations["j invent|2020|||testa"] = A
    row = study("One", journal="J Invent", year=2020, volume="9", page="1", first_author="Testa")
    (one,) = identify("claim", [row], eutils).candidates
    assert one.record.pmid == A
    assert len(server.sent("ecitmatch")) == 2


def test_crossrefs_citation_of_a_doi_finds_what_the_table_alone_does_not(
    server, works, eutils, tmp_path
):
    server.citations["j invent|2020|12|145|testa a"] = B
    row = study("Lost", doi="10.9999/LOST.1")
    assert identify("claim", [row], eutils).candidates == ()
    limiter = Limiter(tmp_path / "other", 10_000)
    web = crossref.client(works.url, limiter=limiter, sleep=lambda s: None)

    def look(dois):
        return {d: r for b in crossref.details(dois, web) for d, r in b.records.items()}

    (one,) = identify("claim", [row], eutils, look=look).candidates
    web.close()
    assert (one.record.pmid, one.how) == (B, "citation matcher by Crossref's citation")
    assert 0 < one.score < 1  # title and year of the two are compared, and differ here
    assert "title" in one.evidence
    assert [f["filter"] for _, _, f in works.requests] == ["doi:10.9999/lost.1"]


def test_dois_that_pubmed_has_are_not_asked_elsewhere(server, eutils):
    server.records[A].doi = "10.9999/a"

    def look(dois):
        raise AssertionError("nothing is lacking")

    (one,) = identify("claim", [study("One", doi="10.9999/a")], eutils, look=look).candidates
    assert one.record.pmid == A


def test_the_tables_own_words_come_before_crossrefs():
    work = crossref.record(WORK)
    row = study("One", journal="J Own", year=2019, page="7")
    citation = citation_of(row, work)
    assert citation is not None
    assert (citation.journal, citation.year, citation.page) == ("J Own", "2019", "7")
    assert (citation.volume, citation.author) == ("12", "Testa A")
    assert citation_of(study("Two", title="Only a title"), None) is None


@pytest.mark.parametrize(
    ("pages", "page"), [("145-52", "145"), ("145–152", "145"), ("e12", "e12"), ("", "")]
)
def test_the_first_page_is_what_the_matcher_wants(pages, page):
    citation = citation_of(study("One"), crossref.record(WORK | {"page": pages}))
    assert citation is not None
    assert citation.page == page


def test_first_page_and_volume_count_in_the_score():
    record = crossref.record(WORK)
    same, words = compare(study("One", volume="12", page="145"), record)
    assert (same, words) == (1.0, "first page the same; volume the same")
    other, words = compare(study("One", volume="12", page="9"), record)
    assert other == pytest.approx(0.5 / 1.5)
    assert words == "first page other (145); volume the same"


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "review"
    (folder / "queries").mkdir(parents=True)
    shutil.copy(root / "queries/hiit-bdnf.toml", folder / "queries")
    shutil.copytree(root / "extracted/hiit-bdnf", folder / "extracted/hiit-bdnf")
    return folder


def run(review: Path, server: EutilsServer, works: str, *words: str) -> Result:
    env: dict[str, str | None] = {k: None for k in os.environ if k.startswith("EVIDENCE_")}
    env |= {"EVIDENCE_EUTILS_URL": server.url, "EVIDENCE_CROSSREF_URL": works}
    env["XDG_CACHE_HOME"] = str(review)
    return CliRunner().invoke(main, ["--root", str(review), "identify", *words], env=env)


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.read_text())))


def test_the_command_asks_crossref_only_when_told_and_writes_only_with_a_yes(review, server, works):
    table = review / "extracted/hiit-bdnf/studies.csv"
    row = next(r for r in rows_of(table) if r["doi"] and not r["pmid"] and r["journal"])
    works.crossref[0]["DOI"] = row["doi"]
    key = f"{row['journal']}|{row['year']}|12|145|{row['first_author']}".lower()
    server.citations[key] = A
    before = table.read_bytes()
    assert row["study_id"] not in run(review, server, works.url, "hiit-bdnf").stdout.split(": PMID")
    assert works.requests == []
    ran = run(review, server, works.url, "hiit-bdnf", "--crossref", "--json")
    assert ran.exit_code == 0, ran.output
    (proposed,) = json.loads(ran.stdout)["proposed"]
    assert (proposed["study_id"], proposed["pmid"]) == (row["study_id"], A)
    assert float(proposed["score"]) <= 1
    assert table.read_bytes() == before
    assert run(review, server, works.url, "hiit-bdnf", "--yes", row["study_id"]).exit_code == 0
    assert [r["pmid"] for r in rows_of(table) if r["study_id"] == row["study_id"]] == [A]


def test_crossref_out_of_order_is_told_and_the_rest_goes_on(review, server):
    ran = run(review, server, "http://127.0.0.1:9", "hiit-bdnf", "--crossref")
    assert ran.exit_code == 0, ran.output
    assert "Crossref gave no citations: " in ran.stdout


def test_volume_and_page_are_columns_that_may_be_left_out(review):
    table = review / "extracted/hiit-bdnf/studies.csv"
    rows = rows_of(table)
    assert read_extraction(review, "hiit-bdnf").studies[0].page is None
    with table.open("w", newline="") as out:
        writer = csv.DictWriter(out, [*rows[0], "volume", "page"])
        writer.writeheader()
        writer.writerows([r | {"volume": "12", "page": "145"} for r in rows])
    first = read_extraction(review, "hiit-bdnf").studies[0]
    assert (first.volume, first.page) == ("12", "145")
