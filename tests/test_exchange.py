"""Files into a claim and out of it; every one of their records is accounted for."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from evidence.cli import main
from evidence.errors import SchemaError, SourceError
from evidence.exchange import dedupe_files, export, import_files
from evidence.formats import read
from evidence.restoring import restore_imports
from evidence.store import Store
from evidence.workspace import Workspace

TODAY = dt.date(2026, 5, 4)

RIS = """TY  - JOUR
TI  - Rowing and the resting heart rate of retired teachers: a randomised trial
AU  - Lindqvist, Åsa
AU  - O'Brien, S
PY  - 2019
T2  - Journal of Invented Rowing
VL  - 12
IS  - 3
SP  - 145
EP  - 152
DO  - 10.5555/row.2019.3
ER  -

TY  - JOUR
TI  - Swimming for knees that hurt when climbing stairs
AU  - Moreau J.-P.
PY  - 2020
T2  - Aquatic Joints
VL  - 7
SP  - e12
ER  -

TY  - JOUR
ER  -
"""

BIB = """@article{moreau,
  title = {Swimming for Knees that hurt when climbing Stairs},
  author = {Jean-Pierre Moreau}, year = 2020, journal = {Aquatic joints}, volume = 7,
  pages = {e12}, doi = {10.5555/aj.7.e12}
}
"""

NBIB = """PMID- 31234567
TI  - Rowing and the resting heart rate of retired teachers: a randomised trial.
FAU - Lindqvist, Åsa
AU  - Lindqvist Å
DP  - 2019 May
JT  - Journal of invented rowing
VI  - 12
IP  - 3
PG  - 145-52
LID - 10.5555/row.2019.3 [doi]
"""


@pytest.fixture
def review(tmp_path, monkeypatch):
    """A review with one claim, and the three files."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["new", "rowing"]).exit_code == 0
    for name, text in (("embase.ris", RIS), ("zotero.bib", BIB), ("pubmed.nbib", NBIB)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def bring(review, *names):
    return import_files(Workspace.at(review), "rowing", [review / n for n in names], on=TODAY)


def held(review):
    with Store(Workspace.at(review).store) as store:
        return {r.pmid for r in store.records("rowing")}, store.others("rowing")


def test_an_import_accounts_for_every_record_and_keeps_the_file_and_what_was_refused(review):
    outcome = bring(review, "embase.ris")
    (brought,) = outcome.files
    assert brought.lines()[0] == (
        "embase.ris (ris, utf-8): 3 records in the file = 2 read + 1 refused; 2 new"
    )
    assert outcome.refused == ["embase.ris:23  says nothing but its type"]
    folder = review / "var" / "imports" / "rowing"
    (kept,) = folder.glob("*-embase.ris")
    assert kept.read_text(encoding="utf-8") == RIS
    (refused,) = folder.glob("*.refused-*")
    assert refused.read_bytes() == b"TY  - JOUR\nER  -\n"
    receipt = json.loads((folder / f"{kept.name}.receipt.json").read_text(encoding="utf-8"))
    assert (receipt["in_file"], receipt["read"]) == (3, 2)


def test_what_was_imported_comes_back_when_the_store_is_deleted(review):
    bring(review, "pubmed.nbib", "embase.ris")
    (review / "embase.ris").write_text(RIS.replace("Lindqvist", "Lindquist"), encoding="utf-8")
    bring(review, "embase.ris", "zotero.bib")
    workspace, later = Workspace.at(review), TODAY + dt.timedelta(9)
    before = held(review)
    for path in workspace.var.glob("*.sqlite*"):
        path.unlink()
    ran = CliRunner().invoke(main, ["update", "--offline"])
    assert "rowing: embase.ris: imported once more, from var/imports/" in ran.output
    assert ran.output.count("imported once more") == 3
    assert held(review) == before
    assert restore_imports(workspace, "rowing", on=later) == ([], [])


def test_an_import_that_cannot_come_back_is_named(review):
    bring(review, "embase.ris", "zotero.bib")
    workspace = Workspace.at(review)
    for path in workspace.var.glob("*.sqlite*"):
        path.unlink()
    for path in (workspace.var / "imports" / "rowing").glob("*-embase.ris"):
        path.unlink()
    done, (fault,) = restore_imports(workspace, "rowing", on=TODAY)
    assert done == ["zotero.bib"]
    assert fault.startswith("var/imports/rowing/")
    assert "-embase.ris cannot be imported once more: " in fault


def test_a_doi_that_the_store_knows_makes_a_reference_that_record(review):
    bring(review, "pubmed.nbib")
    (brought,) = bring(review, "embase.ris").files
    assert brought.known_by_doi == 1
    assert brought.new == (held(review)[1][1].name,)
    pmids, others = held(review)
    assert pmids == {"31234567"}
    assert [o.pmid for o in others] == ["31234567", None]


def test_what_no_number_names_is_recognised_by_comparison(review):
    bring(review, "embase.ris")
    (brought,) = bring(review, "zotero.bib").files
    assert (brought.duplicates, brought.new) == (1, ())
    log = (review / "var" / "imports" / "rowing" / "merges.csv").read_text(encoding="utf-8")
    (merge,) = csv.DictReader(io.StringIO(log))
    assert (merge["kept"], merge["merged"]) == ("embase.ris#14", "zotero.bib#1")
    assert "title: the same" in merge["reasons"]


def test_a_decision_of_a_person_takes_such_a_merge_back(review):
    bring(review, "embase.ris", "zotero.bib")
    (review / "extracted" / "rowing" / "duplicates.csv").write_text(
        "record_1,record_2,decision,reviewer,date,reason\n"
        "embase.ris#14,zotero.bib#1,different,EN,2026-05-05,two reports\n",
        encoding="utf-8",
    )
    bring(review, "zotero.bib")
    names = {o.id: o.name for o in held(review)[1]}
    assert names["embase.ris#0000014"] != names["zotero.bib#0000001"] == "doi:10.5555/aj.7.e12"


def test_importing_a_file_again_changes_nothing(review):
    bring(review, "pubmed.nbib", "embase.ris", "zotero.bib")
    before = held(review)
    outcome = bring(review, "pubmed.nbib", "embase.ris", "zotero.bib")
    assert held(review) == before
    assert [f.new for f in outcome.files] == [(), (), ()]


def test_a_record_of_pubmed_is_not_overwritten_by_what_another_database_says(review):
    bring(review, "pubmed.nbib")
    (review / "poor.ris").write_text(
        "TY  - JOUR\nTI  - ROWING\nU1  - 31234567[pmid]\nER  -\n", encoding="utf-8"
    )
    (brought,) = bring(review, "poor.ris").files
    assert brought.known_by_pmid == 1
    with Store(Workspace.at(review).store) as store:
        assert store.get(["31234567"])["31234567"].title.startswith("Rowing and the resting")


def test_a_record_that_only_another_database_names_is_asked_for_by_the_next_update(review):
    (review / "poor.ris").write_text(
        "TY  - JOUR\nTI  - Rowing\nU1  - 31234567[pmid]\nER  -\n", encoding="utf-8"
    )
    bring(review, "poor.ris")
    with Store(Workspace.at(review).store) as store:
        assert store.stale(["31234567"], TODAY) == ("31234567",)
        assert store.get(["31234567"])["31234567"].title == "Rowing"


def test_a_file_in_no_known_format_adds_nothing_of_the_others(review):
    (review / "letter.doc").write_text("Dear reader", encoding="utf-8")
    with pytest.raises(SourceError):
        bring(review, "embase.ris", "letter.doc")
    assert not Workspace.at(review).store.exists()


def test_imported_works_stand_in_the_reading_order_under_their_own_name(review):
    project = Path(__file__).parents[1]
    claim = min(path.stem for path in (project / "queries").glob("*.toml"))
    shutil.copy(project / "queries" / f"{claim}.toml", review / "queries")
    shutil.copytree(project / "extracted" / claim, review / "extracted" / claim)
    files = [str(review / name) for name in ("pubmed.nbib", "embase.ris", "zotero.bib")]
    assert CliRunner().invoke(main, ["import", claim, *files]).exit_code == 1
    result = CliRunner().invoke(main, ["rank", claim, "--json"])
    assert result.exit_code == 0, result.output
    (order,) = json.loads(result.stdout)
    names = {r["pmid"] for r in order["records"]}
    assert len(names) == 2
    assert "31234567" in names
    (other,) = names - {"31234567"}
    assert other == "doi:10.5555/aj.7.e12"  # of the two references only one says it
    rows = (review / "var" / "reading-order" / f"{claim}.csv").read_text(encoding="utf-8")
    assert "https://pubmed.ncbi.nlm.nih.gov/31234567/" in rows
    assert f"gov/{other}" not in rows


@pytest.mark.parametrize("name", ["ris", "nbib", "bibtex", "endnote", "csv", "asreview"])
def test_a_claim_is_exported_whole_in_every_format(review, name):
    bring(review, "pubmed.nbib", "embase.ris")
    text = export(Workspace.at(review), "rowing", name)
    found = read(text.encode(), file="out", format=name)
    assert [r.title[:10] for r in found.references] == ["Rowing and", "Swimming f"]
    assert found.refused == ()


def test_an_export_of_nothing_says_what_to_do_first(review):
    with pytest.raises(SourceError, match="no record of rowing to export"):
        export(Workspace.at(review), "rowing", "ris")


def test_the_commands_print_receipts_and_end_with_1_where_something_was_refused(review):
    result = CliRunner().invoke(main, ["import", "rowing", "embase.ris"])
    assert result.exit_code == 1
    assert "3 records in the file = 2 read + 1 refused" in result.stdout
    assert "refused: embase.ris:23" in result.stderr
    assert "2 references read; comparing" in result.stderr
    result = CliRunner().invoke(main, ["export", "rowing", "ris", "--to", "out.ris"])
    assert result.exit_code == 0
    assert (review / "out.ris").read_text(encoding="utf-8").count("TY  - JOUR") == 2
    assert result.stderr.endswith("wrote 2 references to out.ris\n")
    result = CliRunner().invoke(main, ["export", "rowing", "pmids"])
    assert "pmids leaves out all but the PMID\n" in result.stderr
    assert result.stderr.endswith("0 of 2 references\n")
    result = CliRunner().invoke(main, ["export", "rowing", "wos"])  # which is only read
    assert result.exit_code == 1
    assert "known: ris, nbib, bibtex, endnote, csv, asreview, pmids" in result.stderr


def test_duplicates_of_files_are_merged_with_a_log_that_can_be_undone_and_replayed(review):
    run = CliRunner()
    files = ["embase.ris", "zotero.bib", "pubmed.nbib"]
    result = run.invoke(main, ["dedupe", *files, "--to", "out.ris", "--pairs", "pairs.csv"])
    assert result.exit_code == 1  # one entry was refused
    assert "4 references = 2 works + 2 duplicates" in result.stdout
    log = (review / "merges.csv").read_text(encoding="utf-8")
    assert [m["merged"] for m in csv.DictReader(io.StringIO(log))] == [
        "pubmed.nbib#1",
        "zotero.bib#1",
    ]
    undo = ["--undo", "zotero.bib#1", "--decisions", "decisions.csv", "--by", "EN"]
    result = run.invoke(main, ["dedupe", *files, *undo, "--json"])
    assert json.loads(result.stdout)["works"] == 3
    assert "different,EN" in (review / "decisions.csv").read_text(encoding="utf-8")
    assert ",EN 20" in (review / "merges.csv").read_text(encoding="utf-8")
    result = run.invoke(main, ["dedupe", *files, "--replay", "--json"])
    assert json.loads(result.stdout)["works"] == 3
    result = run.invoke(main, ["dedupe", *files, "--decisions", "decisions.csv", "--json"])
    assert json.loads(result.stdout)["works"] == 3


def test_an_undoing_that_fails_writes_nothing(review):
    run = CliRunner()
    files = ["embase.ris", "zotero.bib", "pubmed.nbib"]
    run.invoke(main, ["dedupe", *files])
    before = (review / "merges.csv").read_bytes()
    undo = ["--undo", "zotero.bib#1", "--decisions", "decisions.csv"]
    result = run.invoke(main, ["dedupe", *files[:2], *undo])
    assert result.exit_code == 1
    assert "merges.csv names pubmed.nbib#1" in result.stderr
    assert not (review / "decisions.csv").exists()
    assert (review / "merges.csv").read_bytes() == before


def test_decisions_that_are_not_there_and_a_format_that_is_not_written_stop_before_any_work(review):
    run = CliRunner()
    for options, why in (
        (["--decisions", "decison.csv"], "cannot read decison.csv"),
        (["--to", "out.xyz"], "out.xyz: its ending names no format"),
        (["--to", "out.ris", "--format", "wos"], "there is no format to write 'wos'"),
    ):
        result = run.invoke(main, ["dedupe", "embase.ris", *options])
        assert (result.exit_code, result.stdout) == (1, ""), options
        assert why in result.stderr
    assert not (review / "merges.csv").exists()


def test_a_log_of_other_files_is_refused(review):
    (review / "merges.csv").write_text(
        "kept,merged,score,decided_by,reasons,undone\na#1,b#2,1.0,rules,,\n", encoding="utf-8"
    )
    with pytest.raises(SchemaError, match=r"names a#1, which is none of the records"):
        dedupe_files([review / "embase.ris"], on=TODAY, log=review / "merges.csv", again=True)


def test_two_files_of_one_name_cannot_be_told_apart(review):
    (review / "more").mkdir()
    (review / "more" / "embase.ris").write_text(RIS, encoding="utf-8")
    with pytest.raises(SchemaError, match=r"two files are called embase\.ris"):
        dedupe_files(
            [review / "embase.ris", review / "more" / "embase.ris"],
            on=TODAY,
            log=review / "merges.csv",
        )
