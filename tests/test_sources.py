"""Europe PMC and Crossref behind PubMed's shape: counted whole, every record accounted for."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evidence.cli import main
from evidence.errors import SourceBusy, SourceError, SourceIncomplete
from evidence.fetch import Limiter
from evidence.held import Held, held_in
from evidence.model import Record
from evidence.sources import crossref, europepmc
from evidence.sources.web import Web, number, plain
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


@pytest.mark.parametrize("odd", [5, "x", [], ["x"], [[None]], {"journal": 5}, float("inf"), True])
def test_a_part_of_an_unexpected_kind_is_as_if_it_were_not_there(odd):
    item = {"id": "1", "source": "PPR", "title": "T", "journalInfo": odd, "authorList": odd}
    assert europepmc.record({**item, "versionNumber": odd}).title == "T"
    work = {"DOI": "10.1/a", "title": ["T"], "issued": odd, "author": odd, "updated-by": odd}
    assert crossref.record({**work, "issued": {"date-parts": [[odd]]}}).title == "T"
    assert number(float("inf")) is None


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


def command(review: Path, url: str, *words: str) -> Result:
    env = {k: None for k in os.environ if k.startswith(("NCBI_", "EVIDENCE_"))}
    env |= {f"EVIDENCE_{source}_URL": url for source in ("EUROPEPMC", "CROSSREF")}
    env["XDG_CACHE_HOME"] = str(review)
    return CliRunner().invoke(main, ["--root", str(review), *words], env=env)


def asked(review: Path, server: SourcesServer, source: str) -> dict:
    ran = command(review, server.url, "search", "hiit-bdnf", "--source", source, "--json")
    assert ran.exit_code == 0, ran.stderr + ran.stdout
    return json.loads(ran.stdout)


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "review"
    (folder / "queries").mkdir(parents=True)
    shutil.copy(root / "queries/hiit-bdnf.toml", folder / "queries")
    shutil.copytree(root / "extracted/hiit-bdnf", folder / "extracted/hiit-bdnf")
    return folder


def held(review: Path) -> Held:
    with Store(review / "var/evidence.sqlite") as store:
        return held_in(store, "hiit-bdnf")


@pytest.mark.parametrize(
    ("source", "count", "lacking"), [("europepmc", 120, 120), ("crossref", 251, 200)]
)
def test_what_a_further_source_finds_enters_the_claim_under_the_sources_name(
    review, server, source, count, lacking
):
    told = asked(review, server, source)
    assert (told["source"], told["count"], len(told["lacking"])) == (source, count, lacking)
    assert len(told["new"]) == lacking
    assert told["complete"] == (source == "europepmc")
    rows = (review / f"var/sources/hiit-bdnf-{source}.csv").read_text().splitlines()
    assert len(rows) == lacking + 1
    with Store(review / "var/evidence.sqlite") as store:
        assert store.members("hiit-bdnf") == {}  # PubMed's own set
        assert store.get(["90000001"]) == {}  # and its records are PubMed's alone
        (run,) = store.runs("hiit-bdnf", kinds=("second",))
    taken = "" if source == "europepmc" else "the nearest 200 of 251 announced"
    assert (run.source, run.count, run.basis) == (source, lacking, taken)
    claim = held(review)
    label = {"europepmc": "Europe PMC", "crossref": "Crossref"}[source]
    assert set(claim.origins.values()) == {(label,)}
    (given,) = claim.flow
    assert (given.identified, given.duplicates, given.added) == (lacking, 0, lacking)
    order = (command(review, server.url, "rank", "hiit-bdnf", "--json")).stdout
    (ranked,) = json.loads(order)
    assert {tuple(r["found_in"]) for r in ranked["records"]} == {(label,)}
    assert {r["pmid"] for r in ranked["records"]} == set(told["new"])


def test_a_record_of_two_sources_stands_in_the_claim_once_with_both(review, server):
    server.crossref[:] = [
        WORK | {"title": ["Invented in vivo effects"]}
    ]  # Europe PMC's, by its DOI
    asked(review, server, "europepmc")
    told = asked(review, server, "crossref")
    assert (told["new"], told["duplicates"]) == ([], 1)
    assert told["lacking"][0]["same_as"] == "Europe PMC"
    claim = held(review)
    assert claim.origins["90000001"] == ("Crossref", "Europe PMC")
    assert len(claim.records) == 120
    assert sum(given.added for given in claim.flow) == len(claim.records)
    merges = (review / "var/imports/hiit-bdnf/merges.csv").read_text()
    assert "europepmc MED:90000001#1" in merges  # the merge is in the log, with its reasons
    assert "crossref 10.9999/inv.1#1" in merges


def test_a_preprint_is_kept_apart_from_the_article_that_came_of_it(review, server):
    title = "Sprinting and the memory of retired lighthouse keepers: a randomised trial"
    author = {"author": [{"lastName": "Testa", "firstName": "Anna", "initials": "A"}]}
    server.europepmc[:] = [
        {
            "id": "PPR900", "source": "PPR", "title": title, "authorList": author,
            "pubYear": "2020", "doi": "10.9999/pre.1", "pubTypeList": {"pubType": ["Preprint"]},
        },
        {
            "id": "90000100", "source": "MED", "pmid": "90000100", "title": title,
            "authorList": author, "pubYear": "2021", "doi": "10.9999/art.1",
            "journalInfo": {"volume": "3", "journal": {"title": "Lights"}}, "pageInfo": "1-9",
        },
    ]  # fmt: skip
    asked(review, server, "europepmc")
    assert {r.pmid for r in held(review).records} == {"doi:10.9999/pre.1", "90000100"}
    pairs = (review / "var/imports/hiit-bdnf/pairs.csv").read_text()
    assert "PPR:PPR900" in pairs


def test_what_a_source_does_not_find_again_stays_and_is_told(review, server):
    asked(review, server, "europepmc")
    gone = server.europepmc.pop()
    told = asked(review, server, "europepmc")
    assert (told["count"], told["kept"], told["new"]) == (119, 1, [])
    assert len(held(review).records) == 120
    assert any(gone["title"] in r.title for r in held(review).records)


def test_a_record_that_a_source_lists_and_does_not_serve_ends_with_1(review, server):
    record = server.europepmc[5]
    server.hidden = {record["id"]}
    ran = command(review, server.url, "search", "hiit-bdnf", "--source", "europepmc")
    assert ran.exit_code == 1
    assert f"fault: Europe PMC lists but does not serve PPR:{record['id']}" in ran.stdout
    with Store(review / "var/evidence.sqlite") as store:
        (run,) = store.runs("hiit-bdnf", kinds=("second",))
    assert not run.complete
    assert run.warnings[-1] == f"listed and not served: PPR:{record['id']}"


def test_decisions_outlive_the_store_and_follow_a_work_to_its_new_name(review, server):
    server.europepmc[:] = [
        {"id": "PPR7", "source": "PPR", "title": "A draft.", "doi": "10.9999/Draft.7"},
        {"id": "PPR8", "source": "PPR", "title": "Another draft of ours."},
    ]
    asked(review, server, "europepmc")
    first = {r.pmid for r in held(review).records}
    assert "doi:10.9999/draft.7" in first
    screening = review / "extracted/hiit-bdnf/screening.csv"
    header = screening.read_text().splitlines()[0].split(",")
    row = {
        "record": "doi:10.9999/draft.7", "stage": "title-abstract", "reviewer": "EN",
        "decision": "include", "reason": "fits", "date": "2026-01-01",
    }  # fmt: skip
    with screening.open("a") as table:
        table.write(",".join(row.get(name, "") for name in header) + "\n")
    shutil.rmtree(review / "var")
    asked(review, server, "europepmc")
    assert {r.pmid for r in held(review).records} == first
    (ranked,) = json.loads(command(review, server.url, "rank", "hiit-bdnf", "--json").stdout)
    assert {r["pmid"] for r in ranked["records"]} == first - {"doi:10.9999/draft.7"}
    # PubMed turns out to have it: the decision is about that record now.
    export = review / "found.nbib"
    export.write_text("PMID- 90000500\nTI  - A draft.\nLID - 10.9999/draft.7 [doi]\n")
    assert command(review, server.url, "search", "hiit-bdnf", "--file", str(export)).exit_code == 0
    asked(review, server, "europepmc")
    claim = held(review)
    assert "doi:10.9999/draft.7" not in {r.pmid for r in claim.records}
    assert claim.aliases["doi:10.9999/draft.7"] == "90000500"
    (ranked,) = json.loads(command(review, server.url, "rank", "hiit-bdnf", "--json").stdout)
    assert "90000500" not in {r["pmid"] for r in ranked["records"]}


def test_the_page_says_what_each_source_gave_and_labels_the_records(review, server):
    asked(review, server, "europepmc")
    (review / "more.ris").write_text(
        "TY  - JOUR\nTI  - Invented in vivo effects\nDO  - 10.9999/inv.1\nPY  - 2021\nER  -\n\n"
        "TY  - JOUR\nTI  - Rowing and the pulse of retired teachers\nPY  - 2019\nER  -\n"
    )
    ran = command(review, server.url, "import", "hiit-bdnf", str(review / "more.ris"))
    assert ran.exit_code == 0, ran.stderr
    ran = command(review, server.url, "update", "--offline")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    page = (review / "site/claims/hiit-bdnf.html").read_text()
    assert "Where the records come from, each counted once" in page
    assert "Found in: Europe PMC" in page
    facts = json.loads((review / "site/data/hiit-bdnf/evidence.json").read_text())
    flow = {s["source"]: (s["identified"], s["duplicates"], s["added"]) for s in facts["sources"]}
    assert flow == {"more.ris": (2, 0, 2), "Europe PMC": (120, 1, 119)}
    assert facts["counts"]["found"] == 121
    order = (review / "site/data/hiit-bdnf/reading-order.csv").read_text()
    assert "more.ris; Europe PMC" in order
