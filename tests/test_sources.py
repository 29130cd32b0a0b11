"""Europe PMC and Crossref behind PubMed's shape: counted whole, every record accounted for."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.errors import SourceBusy, SourceError, SourceIncomplete
from evidence.fetch import Limiter
from evidence.model import Record
from evidence.sources import crossref, europepmc
from evidence.sources.web import Web, plain
from evidence.store import Store
from tests.sources_server import SourcesServer

CORE = {
    "id": "90000001",
    "source": "MED",
    "pmid": "90000001",
    "pmcid": "PMC9900001",
    "doi": "10.9999/inv.1",
    "title": "Invented <i>in vivo</i> effects.",
    "authorString": "Testa A, Group of Inventors.",
    "authorList": {
        "author": [
            {
                "fullName": "Testa A",
                "firstName": "Anna",
                "lastName": "Testa",
                "initials": "A",
                "authorId": {"type": "ORCID", "value": "0000-0000-0000-0000"},
            },
            {"collectiveName": "Group of Inventors"},
        ]
    },
    "journalInfo": {
        "issue": "2",
        "volume": "7",
        "dateOfPublication": "2021 Mar",
        "yearOfPublication": 2021,
        "journal": {
            "title": "Journal of Invented Results",
            "medlineAbbreviation": "J Invent",
            "isoabbreviation": "J. Invent.",
            "issn": "0000-0000",
        },
    },
    "pubYear": "2021",
    "pageInfo": "1-9",
    "abstractText": "<h4>Methods</h4>Twenty rats; P<0.001 and x > 2.",
    "language": "eng",
    "pubTypeList": {"pubType": ["research-article", "Journal Article"]},
    "keywordList": {"keyword": ["invention"]},
    "meshHeadingList": {
        "meshHeading": [
            {"majorTopic_YN": "Y", "descriptorName": "Exercise"},
            {"majorTopic_YN": "N", "descriptorName": "Humans"},
        ]
    },
    "commentCorrectionList": {
        "commentCorrection": [
            {
                "id": "90000009",
                "source": "MED",
                "reference": "J Invent. 2022;8:1",
                "type": "Retraction in",
            },
            {"id": "90000010", "source": "MED", "reference": "x", "type": "Comment in"},
        ]
    },
    "firstPublicationDate": "2021-03-05",
}
WORK = {
    "DOI": "10.9999/INV.1",
    "type": "journal-article",
    "title": ["Invented &amp; found"],
    "container-title": ["Journal of Invented Results"],
    "short-container-title": ["J Invent"],
    "author": [
        {"given": "Anna B.", "family": "Testa", "ORCID": "https://orcid.org/0000-0000-0000-0000"},
        {"name": "Group of Inventors"},
    ],
    "issued": {"date-parts": [[2021, 3]]},
    "abstract": "<jats:title>Methods</jats:title><jats:p>Twenty rats.</jats:p>",
    "volume": "7",
    "issue": "2",
    "page": "1-9",
    "ISSN": ["0000-0000"],
    "updated-by": [{"DOI": "10.9999/inv.2", "type": "retraction"}],
}


@pytest.fixture
def server() -> Iterator[SourcesServer]:
    preprints = [{"id": f"PPR{n}", "source": "PPR", "title": f"Draft {n}."} for n in range(1, 120)]
    works = [{"DOI": f"10.9999/more.{n}", "title": [f"Work {n}"]} for n in range(250)]
    with SourcesServer([CORE, *preprints], [WORK, *works]) as server:
        yield server


@pytest.fixture
def epmc(server: SourcesServer, tmp_path: Path) -> Iterator[Web]:
    with contextlib.closing(web(europepmc, server, tmp_path)) as client:
        yield client


@pytest.fixture
def works(server: SourcesServer, tmp_path: Path) -> Iterator[Web]:
    with contextlib.closing(web(crossref, server, tmp_path)) as client:
        yield client


def web(source, server: SourcesServer, folder: Path) -> Web:
    limiter = Limiter(folder / "limiter", 10_000)
    return source.client(
        server.url, limiter=limiter, sleep=lambda s: None, email="reviewer@example.org"
    )


# --- Europe PMC ------------------------------------------------------------------------------


def test_europe_pmc_gives_every_identifier_over_all_pages(server, epmc):
    server.page = 50
    found = europepmc.find("exercise", epmc)
    assert (found.source, found.count, found.complete) == ("europepmc", 120, True)
    assert found.ids[:2] == ("MED:90000001", "PPR:PPR1")
    assert len(set(found.ids)) == 120
    method, path, fields = server.requests[0]
    assert (method, path, fields["email"]) == ("POST", "/searchPOST", "reviewer@example.org")
    assert [f["cursorMark"] for _, _, f in server.requests] == ["*", "Ao50", "Ao100"]


def test_a_count_that_changes_between_pages_is_incomplete(server, epmc):
    server.page, server.announce = 50, 1
    with pytest.raises(SourceIncomplete, match="Europe PMC's answer is incomplete"):
        europepmc.find("exercise", epmc)


def test_fewer_records_than_announced_are_incomplete(server, epmc):
    server.europepmc.append(dict(server.europepmc[-1]))  # one record twice
    with pytest.raises(SourceIncomplete, match="121 records announced, 120 received"):
        europepmc.find("exercise", epmc)


def test_europe_pmcs_records_are_read_whole_and_accounted_for(server, epmc):
    (batch,) = europepmc.details(["MED:90000001", "PPR:PPR1", "MED:1"], epmc)
    assert batch.not_served == ("MED:1",)
    record = batch.records["MED:90000001"]
    assert record.title == "Invented in vivo effects."
    assert record.abstract == "Methods: Twenty rats; P<0.001 and x > 2."
    assert record.authors == ("Testa A", "Group of Inventors")
    assert (record.pmid, record.pmcid, record.doi) == ("90000001", "PMC9900001", "10.9999/inv.1")
    assert (record.year, record.journal, record.volume) == (
        2021,
        "Journal of Invented Results",
        "7",
    )
    assert record.mesh == ("*Exercise", "Humans")
    assert record.notices == ("RetractionIn: J Invent. 2022;8:1 (PMID 90000009)",)
    assert record.retracted
    assert batch.records["PPR:PPR1"].pmid == ""
    assert Record.from_json(record.json()) == record


def test_a_query_that_europe_pmc_refuses_is_told(epmc):
    with pytest.raises(SourceError, match="Europe PMC refuses the search: Invalid query"):
        europepmc.find("((exercise", epmc)


# --- Crossref --------------------------------------------------------------------------------


def test_crossref_gives_the_nearest_works_and_says_that_there_are_more(server, works):
    found = crossref.find("invented results", works, limit=150)
    assert (len(found.ids), found.count, found.complete) == (150, 251, False)
    assert found.ids[0] == "10.9999/inv.1"
    method, path, fields = server.requests[0]
    assert (method, path, fields["mailto"]) == ("GET", "/works", "reviewer@example.org")
    assert crossref.find("invented results", works, limit=300).complete


def test_crossrefs_works_are_read_whole_and_accounted_for(server, works):
    (batch,) = crossref.details(["https://doi.org/10.9999/INV.1", "10.9999/none"], works)
    assert batch.not_served == ("10.9999/none",)
    record = batch.records["10.9999/inv.1"]
    assert record.title == "Invented & found"
    assert record.abstract == "Methods: Twenty rats."
    assert record.authors == ("Testa AB", "Group of Inventors")
    assert (record.pmid, record.year, record.pubdate.first) == ("", 2021, "2021-03")
    assert record.notices == ("RetractionIn: doi:10.9999/inv.2",)
    assert record.retracted
    assert Record.from_json(record.json()) == record


def test_pages_of_crossref_that_end_too_early_are_incomplete(server, works):
    empty = b'{"status":"ok","message":{"total-results":251,"items":[],"next-cursor":"x"}}'
    server.bodies.append(empty)
    with pytest.raises(SourceIncomplete, match="200 works announced, 0 received"):
        crossref.find("invented", works)


# --- both ------------------------------------------------------------------------------------

BROKEN = [b"<html><body>502</body></html>", b"", b'{"hitCount": 1', b"[]", b'{"version":"6.9"}']


@pytest.mark.parametrize("body", BROKEN)
def test_a_broken_reply_is_asked_for_again(server, epmc, body):
    server.bodies.append(body)
    assert europepmc.find("exercise", epmc).count == 120


def test_a_source_that_stays_broken_is_busy_under_its_own_name(server, works):
    server.bodies += [b"<html>"] * 9
    with pytest.raises(SourceBusy, match="Crossref did not answer works in 6 attempts"):
        crossref.find("invented", works)


@pytest.mark.parametrize("source", [europepmc, crossref])
@pytest.mark.parametrize("query", ["", "  "])
def test_an_empty_query_is_not_sent(server, tmp_path, source, query):
    with pytest.raises(SourceError, match="the query is empty"):
        source.find(query, web(source, server, tmp_path))
    assert server.requests == []


def test_a_record_without_anything_is_a_record(server):
    for record in (
        europepmc.record({"id": "1", "source": "PPR"}),
        crossref.record({"DOI": "10.1/a"}),
    ):
        assert dataclasses.asdict(record)["title"] == ""
        assert (record.year, record.authors, record.notices) == (None, (), ())


# Tags of Europe PMC and JATS go; what only looks like one stays (cyanheads/pubmed-mcp-server 94).
@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<sub>2</sub> b", "a2 b"),
        ("P<0.001, n>3", "P<0.001, n>3"),
        ("x &lt; y", "x < y"),
        ('<a href="q">here</a>', "here"),
        ("one<br/>two", "one two"),
    ],
)
def test_only_tags_are_taken_out(markup, text):
    assert plain(markup) == text


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "count", "lacking"), [("europepmc", 120, 120), ("crossref", 251, 200)]
)
def test_the_command_lists_what_the_claim_lacks_and_changes_nothing_of_it(
    root, tmp_path, server, source, count, lacking
):
    review = tmp_path / "review"
    (review / "queries").mkdir(parents=True)
    shutil.copy(root / "queries/hiit-bdnf.toml", review / "queries")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NCBI_", "EVIDENCE_"))}
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "evidence", "--root", str(review)),
            *("search", "hiit-bdnf", "--source", source, "--json"),
        ],
        env=keep | {f"EVIDENCE_{source.upper()}_URL": server.url, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["source"], told["count"], len(told["lacking"])) == (source, count, lacking)
    assert told["complete"] == (source == "europepmc")
    rows = (review / f"var/sources/hiit-bdnf-{source}.csv").read_text().splitlines()
    assert len(rows) == lacking + 1
    with Store(review / "var/evidence.sqlite") as store:
        assert store.members("hiit-bdnf") == {}
        (run,) = store.runs("hiit-bdnf", kinds=("second",))
        assert (run.source, run.count) == (source, count)
