"""Beyond keywords: citations followed both ways, and PMIDs found for studies that have none."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import chasing
from evidence.errors import SchemaError, SourceBusy, SourceError
from evidence.fetch import Eutils, Limiter
from evidence.identify import chosen, compare, identify, write_pmids
from evidence.model import Place, Study
from evidence.pubmed.citations_match import Citation, by_doi, match, plain_doi
from evidence.pubmed.links import Link, links
from evidence.retrieval import update_claim
from evidence.store import Store
from tests.eutils_records import FIRST_PMID, Article, invent
from tests.eutils_server import EutilsServer, Fault

TODAY = dt.date(2026, 3, 2)
A, B, C, D, E = (str(FIRST_PMID + 7 * n) for n in range(5))
REFS, CITED, LIKE = "pubmed_pubmed_refs", "pubmed_pubmed_citedin", "pubmed_pubmed"


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(30)) as server:
        server.links = {
            REFS: {A: [(C, 0)], B: [(C, 0), (D, 0)]},
            CITED: {A: [(E, 0)]},
            LIKE: {A: [(C, 900), (D, 800), (E, 700)]},
        }
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    limiter = Limiter(tmp_path / "limiter", 10_000)
    with contextlib.closing(Eutils(server.url, limiter=limiter, sleep=lambda s: None)) as eutils:
        yield eutils


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evidence.sqlite") as store:
        yield store


# --- links -----------------------------------------------------------------------------------


def test_links_keep_their_start_and_a_record_is_not_like_itself(server, eutils):
    assert links([A, B], eutils, kind="references") == (
        Link(A, "references", C),
        Link(B, "references", C),
        Link(B, "references", D),
    )
    like = links([A, B], eutils, kind="similar")
    assert [(x.start, x.pmid, x.score) for x in like] == [(A, C, 900), (A, D, 800), (A, E, 700)]
    request = server.sent("elink")[0]
    assert request.method == "POST"
    assert request.body.count(b"id=") == 2  # one each, so that the reply keeps them apart


def test_many_records_are_asked_for_in_batches(server, eutils):
    pmids = [str(FIRST_PMID + n) for n in range(120)]
    links(pmids, eutils, kind="cited-by")
    assert [r.body.count(b"id=") for r in server.sent("elink")] == [50, 50, 20]


@pytest.mark.parametrize("kind", ["500", "half", "half-quiet", "html", "429", "gzip", "reset"])
def test_links_survive_a_passing_fault(server, eutils, kind):
    server.faults.append(Fault(kind, times=2, on="elink"))
    assert len(links([A, B], eutils, kind="references")) == 3


def test_a_reply_that_leaves_a_record_out_is_no_answer(server, eutils, monkeypatch):
    real = server._elink

    def short(fields: dict[str, str], fault: Fault | None):
        return real({**fields, "id": fields["id"].split()[0]}, fault)

    monkeypatch.setattr(server, "_elink", short)
    with pytest.raises(SourceBusy, match="leaves out 1 of 2 records"):
        links([A, B], eutils, kind="references")


# --- chasing ---------------------------------------------------------------------------------


def test_what_citations_lead_to_is_proposed_with_how_it_was_found(server, eutils, store):
    update_claim("claim", f"{D}[uid]", eutils, store, on=TODAY)
    result = chasing.chase("claim", [A, B], eutils, store, on=TODAY)
    assert [p.record.pmid for p in result.proposals] == [C, E]
    assert result.counts == {"cited-by": 1, "references": 3, "similar": 3}
    assert result.known == 1
    assert result.cited == ((E, A), (A, C), (B, C), (B, D))  # likeness is no citation
    rows = chasing.chase_rows(result, {A: "Testa 2020", B: "Muster 2021"})
    assert rows[0]["found_by"] == (
        f"is cited by Testa 2020 (PMID {A}); is cited by Muster 2021 (PMID {B}); "
        f"resembles Testa 2020 (PMID {A})"
    )
    assert rows[1]["found_by"].startswith(f"cites Testa 2020 (PMID {A})")
    assert (rows[0]["links"], rows[0]["score"]) == (3, 900)


def test_what_was_chased_enters_the_ranking_and_later_searches_leave_it_there(
    server, eutils, store
):
    chasing.chase("claim", [A], eutils, store, on=TODAY)
    (run,) = store.runs("claim", kinds=("citation",))
    assert (run.source, run.query) == (
        "citation",
        "cited-by, references, similar of 1 included studies",
    )
    found = update_claim("claim", f"{D}[uid]", eutils, store, on=TODAY)
    assert found.dropped == ()
    assert {r.pmid for r in store.records("claim")} == {C, D, E}
    again = chasing.chase("claim", [A], eutils, store, on=TODAY)
    assert again.proposals == ()


def test_only_the_nearest_similar_articles_are_taken(server, eutils, store):
    result = chasing.chase("claim", [A], eutils, store, kinds=["similar"], similar=1, on=TODAY)
    assert [p.record.pmid for p in result.proposals] == [C]


def test_a_claim_without_an_included_study_cannot_be_chased(eutils, store):
    with pytest.raises(SourceError, match="no place to start from"):
        chasing.chase("claim", [], eutils, store, on=TODAY)


def test_a_chase_that_fails_adds_nothing(server, eutils, store):
    server.faults.append(Fault("500", times=99, on="elink", after=2))
    with pytest.raises(SourceBusy):
        chasing.chase("claim", [A], eutils, store, on=TODAY)
    assert store.members("claim") == {}


# --- citation matcher and DOI ----------------------------------------------------------------


def test_the_citation_matcher_is_asked_by_post_and_answers_by_key(server, eutils):
    # The form of question and answer: Entrez Programming Utilities Help, NBK25499, ECitMatch.
    server.citations["j invent|2020|1|2|testa a"] = A
    server.citations["j invent|2021||||"[:-1]] = "AMBIGUOUS (3 citations)"
    answers = match(
        [
            Citation("x", "J Invent", "2020", "1", "2", "Testa A"),
            Citation("y|z", "J Invent", "2021"),
            Citation("w", "No | such\njournal", "1999"),
        ],
        eutils,
    )
    assert {k: (m.pmid, m.answer) for k, m in answers.items()} == {
        "x": (A, A),
        "y|z": (None, "AMBIGUOUS (3 citations)"),
        "w": (None, "NOT_FOUND"),
    }
    (request,) = server.sent("ecitmatch")
    assert request.method == "POST"
    assert request.fields["bdata"].startswith("J Invent|2020|1|2|Testa A|row0|\r")


def test_citations_are_asked_for_in_batches_and_half_an_answer_is_none(server, eutils):
    citations = [Citation(str(n), "J Invent", "2020", str(n)) for n in range(230)]
    server.faults += [Fault("half-quiet", on="ecitmatch"), Fault("html", on="ecitmatch")]
    assert len(match(citations, eutils)) == 230
    assert len(server.sent("ecitmatch")) == 5


def test_a_doi_finds_only_the_record_whose_own_it_is(server, eutils):
    server.records[A].doi = "10.9999/Inv.(1)"
    server.records[B].references = ("10.9999/inv.(1)",)
    found = by_doi(["https://doi.org/10.9999/INV.(1)", "doi:10.9999/none"], eutils)
    assert {doi: [r.pmid for r in records] for doi, records in found.items()} == {
        "10.9999/inv.(1)": [A],
        "10.9999/none": [],
    }


@pytest.mark.parametrize("text", ["10.1/A", "doi: 10.1/a", "https://dx.doi.org/10.1/A"])
def test_a_doi_is_compared_without_its_address_and_case(text):
    assert plain_doi(text) == "10.1/a"


# --- identify --------------------------------------------------------------------------------


def study(study_id: str, **fields: object) -> Study:
    given = dict.fromkeys(
        [
            "pmid",
            "pmcid",
            "doi",
            "registry",
            "first_author",
            "year",
            "journal",
            "title",
            "population",
            "n_total",
            "measured",
        ]
    )
    given |= {"design": "rct", "species": "human", "source_url": "", "notes": ""}
    return Study(study_id=study_id, at=Place("studies.csv", 2), **(given | fields))


def test_a_study_is_identified_by_doi_and_by_citation_with_its_evidence(server, eutils):
    server.records[A] = Article(A, title="On invented things.", doi="10.9999/a", year=2020)
    server.citations["journal of invented results|2021|||testa"] = B
    found = identify(
        "claim",
        [
            study("Testa2020", doi="10.9999/A", first_author="Testa", year=2020,
                  title="On Invented Things", journal="J Invent"),
            study("Testa2021", first_author="Testa", year=2021,
                  journal="Journal of Invented Results"),
            study("Known", pmid=C),
            study("Lost", doi="10.9999/lost"),
        ],
        eutils,
    )  # fmt: skip
    one, two = found.candidates
    assert (one.study_id, one.record.pmid, one.how, one.score) == ("Testa2020", A, "DOI", 1.0)
    assert one.evidence == (
        "DOI the same; title 100% alike; first author the same; year the same; journal the same"
    )
    assert (two.study_id, two.record.pmid, two.how) == ("Testa2021", B, "citation matcher")
    assert found.without == (
        ("Lost", "its DOI is not in PubMed; too little for the citation matcher"),
    )


def test_the_score_counts_only_what_both_sides_have(server, eutils):
    record = by_doi_record(server, eutils)
    assert compare(study("x"), record) == (0.0, "")
    score, words = compare(study("x", year=2021, first_author="Muster"), record)
    assert score == pytest.approx(0.5 / 2)  # a year apart counts half; the author is another
    assert words == "first author other (Testa A); year other (2020)"


def by_doi_record(server: EutilsServer, eutils: Eutils):
    server.records[A] = Article(A, doi="10.9999/a", year=2020)
    return by_doi(["10.9999/a"], eutils)["10.9999/a"][0]


def test_a_yes_names_a_study_and_where_several_were_proposed_its_pmid():
    proposed = {"One": ["11"], "Two": ["21", "22"]}
    assert chosen(["One", "Two=22"], proposed) == {"One": "11", "Two": "22"}
    with pytest.raises(SchemaError, match="2 PMIDs are proposed for Two"):
        chosen(["Two"], proposed)
    for wrong, told in (
        ("Three", "no PMID is proposed for 'Three'\n  proposed for: One, Two"),
        ("One=12", "PMID '12' was not proposed for One\n  proposed: 11"),
    ):
        with pytest.raises(SchemaError) as caught:
            chosen([wrong], proposed)
        assert str(caught.value).startswith(told)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_only_the_empty_cell_that_was_meant_is_written(tmp_path, ending, bom):
    rows = ["study_id,pmid,notes", 'A,,"two', 'lines, ""quoted"""', "B,7,  kept  ", "C,,\u2028x"]
    path = tmp_path / "studies.csv"
    path.write_bytes((bom + ending.join(rows) + ending).encode())
    assert write_pmids(path, {"A": "123"}) == ("A",)
    rows[1] = 'A,123,"two'
    assert path.read_bytes() == (bom + ending.join(rows) + ending).encode()
    before = path.read_bytes()
    with pytest.raises(SchemaError) as caught:
        write_pmids(path, {"B": "8", "C": "9", "Z": "1"})
    assert list(caught.value.places) == ["B has PMID 7 already", "Z is not in the table"]
    assert path.read_bytes() == before


# --- the commands ----------------------------------------------------------------------------


def run(review: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NCBI_", "EVIDENCE_"))}
    return subprocess.run(
        [sys.executable, "-m", "evidence", "--root", str(review), *words],
        env=keep | {"EVIDENCE_EUTILS_URL": url, "XDG_CACHE_HOME": str(review)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "review"
    (folder / "queries").mkdir(parents=True)
    shutil.copy(root / "queries/hiit-bdnf.toml", folder / "queries")
    shutil.copytree(root / "extracted/hiit-bdnf", folder / "extracted/hiit-bdnf")
    return folder


def test_the_commands_propose_first_and_write_only_what_was_accepted(review, server):
    table = review / "extracted/hiit-bdnf/studies.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    chosen_row = next(r for r in rows if not r["pmid"] and r["doi"])
    server.records[A].doi = chosen_row["doi"]
    before = table.read_bytes()
    ran = run(review, server.url, "identify", "hiit-bdnf", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert [(p["study_id"], p["pmid"]) for p in told["proposed"]] == [(chosen_row["study_id"], A)]
    assert table.read_bytes() == before
    sent = len(server.requests)
    ran = run(review, server.url, "identify", "hiit-bdnf", "--yes", chosen_row["study_id"])
    assert ran.returncode == 0, ran.stderr
    assert len(server.requests) == sent
    after = list(csv.DictReader(io.StringIO(table.read_text())))
    assert after == [r | {"pmid": A} if r == chosen_row else r for r in rows]


def test_the_chase_command_writes_its_file_and_names_it(review, server):
    folder = review / "extracted/hiit-bdnf"
    decided = (folder / "screening.csv").read_text()
    rows = csv.DictReader(io.StringIO((folder / "studies.csv").read_text()))
    included = next(r["pmid"] for r in rows if r["pmid"] and r["pmid"] in decided)
    server.links[CITED][included] = [(D, 0)]
    ran = run(review, server.url, "chase", "hiit-bdnf", "--kind", "cited-by")
    assert ran.returncode == 0, ran.stderr
    text = (review / "var/citations/hiit-bdnf.csv").read_text()
    assert f"\n{D},1,cites " in text
    assert "var/citations/hiit-bdnf.csv" in ran.stdout
    links_ = (review / "var/citation-links/hiit-bdnf.csv").read_text()
    assert links_ == f"citing,cited\n{D},{included}\n"  # a view of the reading order
