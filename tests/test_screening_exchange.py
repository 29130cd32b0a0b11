"""Decisions of other programs in, with a receipt, and out again. All files here are invented."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import InputError, SourceError
from evidence.exchange import import_files
from evidence.formats import make
from evidence.model import Place, Screening
from evidence.screening import FULL, TITLE, Desk, ScreeningLog, ScreeningState
from evidence.screening.asreview import read_project
from evidence.screening.exchange import DecisionsImport, import_decisions
from evidence.screening.export import EXPORTS, export_decisions, rayyan_notes
from evidence.screening.marks import Mark, marks_of
from evidence.screening.matching import Matcher, NoMatch
from evidence.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
CLAIM = "hiit-bdnf"
NOON = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)

# The claim's records: one by PMID, one by DOI, one by words alone, two with one title.
RECORDS = """pmid,doi,title,authors,year,journal
31234567,10.5555/row.2019.3,Rowing and the resting heart rate of retired teachers,"Lund, Å",2019,Row
,10.5555/aj.7.e12,Swimming for knees that hurt when climbing stairs,"Moreau, J",2020,Aquatic Joints
,,Walking to work and the sleep of night nurses in a northern town,"Petrov, K",2018,J Walk
,10.5555/ed.1,Editorial,"Adams, A",2015,J Row
,10.5555/ed.2,Editorial,"Brown, B",2017,J Walk
"""
ROW, SWIM = "31234567", "doi:10.5555/aj.7.e12"


@pytest.fixture
def review(tmp_path: Path) -> Workspace:
    (tmp_path / "queries").mkdir()
    shutil.copy(ROOT / "queries" / f"{CLAIM}.toml", tmp_path / "queries")
    folder = tmp_path / "extracted" / CLAIM
    folder.mkdir(parents=True)
    for path in (ROOT / "extracted" / CLAIM).glob("*.csv"):
        head = path.read_text(encoding="utf-8").partition("\n")[0]
        (folder / path.name).write_text(f"{head}\n", encoding="utf-8")
    workspace = Workspace.at(tmp_path)
    (tmp_path / "records.csv").write_text(RECORDS, encoding="utf-8")
    import_files(workspace, CLAIM, [tmp_path / "records.csv"], on=NOON.date())
    return workspace


def bring(
    review: Workspace, text: str | bytes, name: str = "file.csv", **options: object
) -> DecisionsImport:
    path = review.root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_decisions(review, CLAIM, path, clock=lambda: NOON, **options)  # type: ignore[arg-type]


def state(review: Workspace) -> ScreeningState:
    log = ScreeningLog.of(review.root, CLAIM)
    log.refresh()
    return ScreeningState(log.rows)


def said(review: Workspace, stage: str = TITLE) -> dict[str, dict[str, str]]:
    return {
        s.record: {who: row.decision for who, row in s.decisions.items()}
        for s in state(review).standings(stage)  # type: ignore[arg-type]
    }


def run(review: Workspace, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(review.root), *words])


# --- rows in the file = taken + known + undecided + refused ---------------------------------------


ASREVIEW = """title,doi,pmid,year,asreview_label,asreview_time,asreview_note
Rowing and the resting heart rate,,31234567,2019,1,2026-01-02 03:04:05,good
Swimming for knees that hurt when climbing stairs,10.5555/AJ.7.E12,,2020,0,,
Walking to work and the sleep of night nurses in a northern town,,,2018,0,,no control
Editorial,,,2016,0,,
A work that nobody found,,,2001,1,,
Rowing and the resting heart rate,,31234567,2019,0,,
Editorial,10.5555/ed.1,,,,,
Editorial,10.5555/ed.2,,,perhaps,,
"""


def test_every_row_is_taken_known_undecided_or_refused_by_name(review: Workspace) -> None:
    receipt = bring(review, ASREVIEW, reviewer="A. B.")
    assert (receipt.rows, receipt.taken, receipt.known, receipt.undecided) == (8, 3, 0, 1)
    assert [(r.line, r.why) for r in receipt.refused] == [
        (5, "it has the title of doi:10.5555/ed.1, doi:10.5555/ed.2, "
         "but another year, author or number"),
        (6, "it is no record of the claim; import the references first"),
        (7, "line 2 decides otherwise on the same record"),
        (9, "'perhaps' is no decision that is known"),
    ]  # fmt: skip
    found = said(review)
    assert found[ROW] == {"A. B.": "include"}
    assert found[SWIM] == {"A. B.": "exclude"}
    (words,) = found.keys() - {ROW, SWIM}
    assert words.startswith("ref:")
    (row,) = state(review).history(ROW)
    assert (row.note, row.time) == ("good", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
    assert row.source == f"file.csv:2 {receipt.sha256[:8]}"
    assert receipt.lines()[0] == (
        "file.csv (csv, ASReview): 8 rows in the file = 3 with new decisions + 0 known + "
        "1 undecided + 4 refused"
    )


def test_to_import_a_file_again_writes_nothing_even_after_a_change_of_mind(
    review: Workspace,
) -> None:
    bring(review, ASREVIEW, reviewer="A")
    again = bring(review, ASREVIEW, reviewer="A")
    assert (again.taken, again.known, again.written) == (0, 3, 0)
    desk = Desk(ScreeningLog.of(review.root, CLAIM))
    desk.decide(ROW, TITLE, "A", "exclude")
    assert bring(review, ASREVIEW, reviewer="A").written == 0
    assert said(review)[ROW] == {"A": "exclude"}


def test_the_file_and_its_receipt_are_kept_and_a_dry_run_writes_nothing(review: Workspace) -> None:
    dry = bring(review, ASREVIEW, reviewer="A", dry_run=True)
    assert (dry.written, dry.kept_in, said(review)) == (3, "", {})
    receipt = bring(review, ASREVIEW, reviewer="A")
    kept = review.root / receipt.kept_in
    assert kept.read_text() == ASREVIEW
    told = json.loads(kept.with_name(f"{kept.name}.receipt.json").read_text())
    assert (told["rows"], told["written"], len(told["refused"])) == (8, 3, 4)
    assert dry.lines()[1].endswith("would be written to extracted/hiit-bdnf/screening.csv")


def test_a_file_that_names_nobody_needs_a_name_and_then_nothing_is_written(
    review: Workspace,
) -> None:
    with pytest.raises(InputError, match="does not say who decided on 4 of its rows"):
        bring(review, ASREVIEW)
    assert said(review) == {}


def test_a_claim_without_records_is_told_to_import_them_first(
    review: Workspace,
) -> None:
    review.store.unlink()
    with pytest.raises(SourceError, match="no record of hiit-bdnf") as fault:
        bring(review, ASREVIEW, reviewer="A")
    assert "evidence import hiit-bdnf file.csv" in fault.value.remedy


def test_labels_that_a_data_set_had_before_are_no_decisions_beside_asreview_s(
    review: Workspace,
) -> None:
    table = (
        "title,doi,included,asreview_label\n"
        "Rowing,10.5555/row.2019.3,1,0\nSwimming,10.5555/aj.7.e12,1,\n"
    )
    receipt = bring(review, table, reviewer="A")
    assert (receipt.taken, receipt.undecided) == (1, 1)
    assert said(review) == {ROW: {"A": "exclude"}}


def test_decisions_that_hold_for_all_are_written_as_resolutions(review: Workspace) -> None:
    bring(review, ASREVIEW, reviewer="Both", final=True)
    standing = state(review).standing(ROW, TITLE)
    assert standing.resolution is not None
    assert (standing.resolution.reviewer, standing.decisions) == ("Both", {})
    assert bring(review, ASREVIEW, reviewer="Both", final=True).written == 0


# --- Rayyan --------------------------------------------------------------------------------------


RAYYAN = """key,title,year,authors,issn,location,notes,pubmed_id,doi
rayyan-1,Rowing,2019,Lindqvist,,,"RAYYAN-INCLUSION: {""Ana""=>""Included"", ""Ben \\"" C""=>""Excluded""} | RAYYAN-LABELS: RCT,old | RAYYAN-EXCLUSION-REASONS: wrong outcome,animals | USER-NOTES: {""Ana""=>[""a note | RAYYAN-LABELS: x"", ""two""]}",31234567,
rayyan-2,Swimming,2020,Moreau,,,"first note
RAYYAN-INCLUSION: {""Ana""=>""Maybe""}",,10.5555/aj.7.e12
rayyan-3,Editorial,2015,Adams,,,,,10.5555/ed.1
rayyan-4,Editorial,2017,Brown,,,"RAYYAN-INCLUSION: {""Ana""=>""Postponed""}",,10.5555/ed.2
"""  # noqa: E501


def test_rayyan_s_csv_gives_each_reviewer_s_decision(review: Workspace) -> None:
    receipt = bring(review, RAYYAN)
    assert (receipt.rows, receipt.taken, receipt.undecided, receipt.written) == (4, 2, 1, 3)
    assert [r.why for r in receipt.refused] == ["'Postponed' is none of Rayyan's decisions"]
    assert said(review) == {ROW: {"Ana": "include", 'Ben " C': "exclude"}, SWIM: {"Ana": "unsure"}}
    ana, ben = state(review).history(ROW)
    assert (ana.reason, ana.note) == ("", "a note | RAYYAN-LABELS: x; two; labels: RCT,old")
    assert (ben.reason, ben.note) == ("wrong outcome; animals", "labels: RCT,old")
    assert receipt.reviewers == ("Ana", 'Ben " C')


def test_rayyan_s_ris_and_its_zip_are_read_alike(review: Workspace) -> None:
    ris = (
        "TY  - JOUR\nTI  - Rowing\nAN  - 31234567\nDB  - PubMed\n"
        'N1  - RAYYAN-INCLUSION: {"Ana"=>"Excluded"} | RAYYAN-EXCLUSION-REASONS: animals\nER  - \n'
    )
    assert bring(review, ris, "articles.ris").written == 1
    assert state(review).history(ROW)[0].reason == "animals"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("articles.csv", RAYYAN)
        archive.writestr("customizations_log.csv", "a,b\n")
    receipt = bring(review, packed.getvalue(), "export.zip")
    assert (receipt.rows, receipt.format) == (4, "csv, Rayyan")


def spoilt(name: str, *, locked: bool) -> bytes:
    """A zip with one file in it that cannot be unpacked: behind a password, or damaged."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, 500 * "abcdefgh")
    data = bytearray(packed.getvalue())
    if locked:  # bit 0 of the flags, of the file and in the directory: APPNOTE.TXT, 4.4.4
        data[6] |= 1
        data[data.find(b"PK\x01\x02") + 8] |= 1
    else:
        start = data.find(name.encode()) + len(name)
        data[start : start + 8] = 8 * b"\xff"
    return bytes(data)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("name", ["articles.csv", "project.json"])
def test_a_zip_that_cannot_be_unpacked_is_a_fault_in_words(
    review: Workspace, name: str, locked: bool
) -> None:
    with pytest.raises(SourceError, match=r"cannot be unpacked|no whole project"):
        bring(review, spoilt(name, locked=locked), "export.zip")


def test_what_a_refused_row_said_is_not_taken_for_decided(review: Workspace) -> None:
    note = 'RAYYAN-INCLUSION: {{"Ana"=>"Included", "Ben"=>"{}"}}'
    notes = [
        'RAYYAN-INCLUSION: {"Ben"=>"Included"}',
        note.format("Excluded"),  # refused: Ben said otherwise in the row before
        note.format("Included"),
    ]
    ris = "".join(
        f"TY  - JOUR\nTI  - Rowing\nAN  - {ROW}\nDB  - PubMed\nN1  - {text}\nER  - \n"
        for text in notes
    )
    receipt = bring(review, ris, "articles.ris")
    assert [row.line for row in receipt.refused] == [7]
    assert (receipt.taken, receipt.known, receipt.written) == (2, 0, 2)
    assert said(review)[ROW] == {"Ben": "include", "Ana": "include"}


# --- Covidence -----------------------------------------------------------------------------------


COVIDENCE = """Title,Authors,Published Year,DOI,Ref,Covidence #,Study,Notes,Tags
Rowing,Lindqvist,2019,10.5555/row.2019.3,,#12,Lindqvist 2019,"Exclusion reason: Wrong comparator; ",
"""


@pytest.mark.parametrize(
    ("name", "stage", "decision"),
    [
        ("review_123_irrelevant_csv_20260101.csv", TITLE, "exclude"),
        ("review_123_select_csv_20260101.csv", TITLE, "include"),
        ("review_123_excluded_csv_20260101.csv", FULL, "exclude"),
        ("review_123_included_csv_20260101.csv", FULL, "include"),
    ],
)
def test_covidence_s_name_of_a_file_says_what_is_in_it(
    review: Workspace, name: str, stage: str, decision: str
) -> None:
    receipt = bring(review, COVIDENCE, name, reviewer="Both")
    assert receipt.stage == stage
    assert said(review, stage) == {ROW: {"Both": decision}}
    (row,) = state(review).history(ROW)
    assert row.reason == ("Wrong comparator" if decision == "exclude" else "")


def test_covidence_s_list_of_what_is_to_be_screened_decides_nothing(review: Workspace) -> None:
    receipt = bring(review, COVIDENCE, "review_123_screen_csv_20260101.csv")
    assert (receipt.undecided, receipt.written) == (1, 0)


def test_one_may_say_what_all_of_a_file_are(review: Workspace) -> None:
    bring(review, COVIDENCE, "mine.csv", reviewer="B", all_are="exclude", stage=FULL)
    assert said(review, FULL) == {ROW: {"B": "exclude"}}


# --- columns and tags of one's own ----------------------------------------------------------------


def test_a_column_or_a_tag_with_words_is_read_where_it_is_named(review: Workspace) -> None:
    table = "pmid,title,My call\n31234567,Rowing,No\n,Editorial,\n"
    receipt = bring(review, table, reviewer="A", field="my call")
    assert (receipt.written, receipt.undecided) == (1, 1)
    ris = "TY  - JOUR\nTI  - Swimming\nDO  - 10.5555/aj.7.e12\nC1  - include\nER  - \n"
    bring(review, ris, "endnote.ris", reviewer="B", field="C1")
    assert said(review) == {ROW: {"A": "exclude"}, SWIM: {"B": "include"}}


def test_a_report_that_was_not_retrieved_belongs_to_the_full_text(review: Workspace) -> None:
    table = "pmid,title,status2\n31234567,Rowing,not retrieved\n"
    receipt = bring(review, table, reviewer="A", field="status2")
    assert "only at full text" in receipt.refused[0].why
    assert bring(review, table, reviewer="A", field="status2", stage=FULL).written == 1


# --- projects of ASReview -------------------------------------------------------------------------


def a_database(statements: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript(statements)
    data = connection.serialize()
    connection.close()
    return data


RECORD_TABLE = """
CREATE TABLE record (dataset_row INTEGER, dataset_id VARCHAR, duplicate_of INTEGER, title VARCHAR,
  abstract VARCHAR, authors JSON, keywords JSON, year INTEGER, doi VARCHAR, url VARCHAR,
  included INTEGER, record_id INTEGER PRIMARY KEY);
INSERT INTO record VALUES
  (0, 'd', NULL, 'Rowing', NULL, '["Lindqvist, A"]', '[]', 2019, NULL, NULL, NULL, 0),
  (1, 'd', NULL, 'Swimming', NULL, '[]', '[]', 2020, '10.5555/aj.7.e12', NULL, NULL, 1),
  (2, 'd', NULL, 'Editorial', NULL, NULL, NULL, NULL, '10.5555/ed.1', NULL, NULL, 2);
"""
RESULTS_TABLE = """
CREATE TABLE results (record_id INTEGER UNIQUE, label INTEGER, classifier TEXT, querier TEXT,
  balancer TEXT, feature_extractor TEXT, training_set INTEGER, time FLOAT, note TEXT, tags JSON,
  user_id INTEGER);
INSERT INTO results VALUES (0, 1, NULL, NULL, NULL, NULL, NULL, 1767322800.5, NULL, NULL, NULL),
  (1, 0, 'svm', 'max', NULL, 'tfidf', 1, 1767322900.0, 'old', NULL, NULL),
  (2, NULL, 'svm', 'max', NULL, 'tfidf', 2, NULL, NULL, NULL, NULL);
"""
RESULTS_1 = """
CREATE TABLE results (record_id INTEGER, label INTEGER, classifier TEXT, query_strategy TEXT,
  balance_strategy TEXT, feature_extraction TEXT, training_set INTEGER, labeling_time INTEGER,
  notes TEXT);
INSERT INTO results VALUES (0, 1, NULL, 'prior', NULL, NULL, -1, '2026-01-02 03:00:00.5', NULL),
  (1, 0, 'nb', 'max', 'double', 'tfidf', 2, '2026-01-02 03:01:40', 'old');
"""
DATASET = "title,doi,pmid\nRowing,,31234567\nSwimming,10.5555/aj.7.e12,\nEditorial,10.5555/ed.1,\n"


def a_project(version: int, **changes: bytes | None) -> bytes:
    config: dict[str, object] = {"version": f"{version}.0", "id": "x", "name": "x"}
    parts: dict[str, bytes | None] = {"data/d.csv": DATASET.encode()}
    if version == 1:
        config |= {"reviews": [{"id": "r"}], "dataset_path": "d.csv"}
        parts["reviews/r/results.sql"] = a_database(RESULTS_1)
    elif version == 2:
        config |= {"reviews": [{"id": "r"}], "datasets": [{"id": "d", "name": "d.csv"}]}
        parts["data_store.db"] = a_database(RECORD_TABLE)
        parts["reviews/r/results.db"] = a_database(RESULTS_TABLE)
    else:
        config |= {"project_file_version": version, "datasets": [{"id": "d", "name": "d.csv"}]}
        parts["results.db"] = a_database(RECORD_TABLE + RESULTS_TABLE)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("project.json", json.dumps(config))
        for name, data in {**parts, **changes}.items():
            if data is not None:
                archive.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_project_of_asreview_is_read_in_each_of_its_layouts(
    review: Workspace, version: int
) -> None:
    receipt = bring(review, a_project(version), "p.asreview", reviewer="A")
    assert receipt.format == f"ASReview project, version {version}"
    assert (receipt.rows, receipt.taken, receipt.undecided, receipt.refused) == (3, 2, 1, ())
    assert said(review) == {ROW: {"A": "include"}, SWIM: {"A": "exclude"}}
    (row,) = state(review).history(SWIM)
    assert row.note == "old"
    assert row.time is not None
    if version > 1:
        assert row.time == dt.datetime.fromtimestamp(1767322900, dt.UTC)


def test_a_project_that_is_broken_or_too_old_is_refused_in_words() -> None:
    with pytest.raises(SourceError, match="ASReview 0, which is not read"):
        read_project(a_project(0), file="p.asreview")
    with pytest.raises(SourceError, match="no whole project"):
        read_project(a_project(2, **{"data_store.db": None}), file="p.asreview")
    with pytest.raises(SourceError, match="cannot be read"):
        read_project(a_project(3, **{"results.db": b"no database" * 99}), file="p.asreview")
    for cut in (10, 200):
        with pytest.raises(SourceError, match="no whole project"):
            read_project(a_project(3)[:-cut], file="p.asreview")
    for config in ("[1]", '{"version": "4"', 99_999 * "["):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("project.json", config)
        with pytest.raises(SourceError, match="no whole project"):
            read_project(packed.getvalue(), file="p.asreview")


@pytest.mark.parametrize("time", ["1e18", "1e300", "'noon'"])
def test_a_label_whose_time_is_none_counts_without_it(time: str) -> None:
    results = RESULTS_TABLE.replace("1767322800.5", time)
    records = RECORD_TABLE.replace("2019", "'unknown'")
    data = a_database(records + results)
    first = read_project(a_project(3, **{"results.db": data}), file="p.asreview").labelled[0]
    assert [(mark.decision, mark.time) for mark in first.marks] == [("include", None)]
    assert first.reference.year is None


def test_duplicates_within_a_project_share_a_label_and_users_are_told_apart() -> None:
    records = RECORD_TABLE.replace("(2, 'd', NULL", "(2, 'd', 1")
    results = RESULTS_TABLE.replace("NULL, NULL, NULL),", "NULL, NULL, 4),", 1).replace(
        "'old', NULL, NULL)", "'old', NULL, 7)"
    )
    results = results.replace("(2, NULL,", "(9, NULL,")
    project = read_project(
        a_project(3, **{"results.db": a_database(records + results)}), file="p.asreview"
    )
    marks = [[(m.decision, m.reviewer) for m in r.marks] for r in project.labelled]
    assert marks == [
        [("include", "ASReview user 4")],
        [("exclude", "ASReview user 7")],
        [("exclude", "ASReview user 7")],
    ]


# --- matching ------------------------------------------------------------------------------------


def test_a_pmid_and_a_doi_of_two_records_are_a_contradiction() -> None:
    matcher = Matcher({"1": make(title="One", pmid="1"), "doi:10.5555/x": make(doi="10.5555/x")})
    assert matcher.find(make(pmid="1")) == "1"
    assert matcher.find(make(doi="10.5555/X", title="Other")) == "doi:10.5555/x"
    with pytest.raises(NoMatch, match=r"its PMID is that of 1, its DOI that of doi:10\.5555/x"):
        matcher.find(make(pmid="1", doi="10.5555/x"))
    with pytest.raises(NoMatch, match="no title"):
        matcher.find(make(pmid="2"))


def test_one_title_of_two_records_is_told_apart_by_its_year_or_refused() -> None:
    matcher = Matcher(
        {"1": make(title="Editorial", pmid="1", year=2001), "2": make(title="Editorial", year=2002)}
    )
    assert matcher.find(make(title="EDITORIAL.", year=2002)) == "2"
    with pytest.raises(NoMatch, match="it has the title of 1, 2"):
        matcher.find(make(title="Editorial"))
    double = Matcher({n: make(title="A title of its own", year=2002) for n in "ab"})
    with pytest.raises(NoMatch, match="its title is that of 2 records: a, b"):
        double.find(make(title="A title of its own", year=2002))


# --- out, and in again ----------------------------------------------------------------------------


def decide_some(review: Workspace) -> None:
    desk = Desk(ScreeningLog.of(review.root, CLAIM, clock=lambda: NOON))
    desk.decide(ROW, TITLE, "Ana", "include", note='a "note" | with, marks')
    desk.decide(ROW, TITLE, "Ben", "exclude", reason="animals; old")
    desk.decide(SWIM, TITLE, "Ana", "exclude", reason="wrong outcome")
    desk.decide("doi:10.5555/ed.1", TITLE, "Ana", "unsure")


@pytest.mark.parametrize("format", ["rayyan", "ris"])
def test_what_rayyan_can_hold_comes_back_as_it_was(
    review: Workspace, tmp_path_factory: pytest.TempPathFactory, format: str
) -> None:
    decide_some(review)
    before, text = said(review), export_decisions(review, CLAIM, format)
    rows = {s.record: s.decisions for s in state(review).standings(TITLE)}
    log = review.extracted / CLAIM / "screening.csv"
    log.write_text("record,stage,reviewer,decision,reason,date\n")
    receipt = bring(review, text, f"out.{'csv' if format == 'rayyan' else 'ris'}")
    assert (receipt.rows, receipt.refused, receipt.undecided) == (5, (), 2)
    assert said(review) == before
    for standing in state(review).standings(TITLE):
        for who, row in standing.decisions.items():
            assert row.reason == rows[standing.record][who].reason
            assert row.note == rows[standing.record][who].note


@pytest.mark.parametrize("format", ["asreview", "covidence"])
def test_programs_that_know_one_decision_get_the_one_that_holds(
    review: Workspace, format: str
) -> None:
    decide_some(review)
    text = export_decisions(review, CLAIM, format)
    (review.extracted / CLAIM / "screening.csv").write_text(
        "record,stage,reviewer,decision,reason,date\n"
    )
    receipt = bring(review, text, reviewer="All")
    assert receipt.refused == ()
    found = said(review)
    assert found[SWIM] == {"All": "exclude"}
    assert ROW not in found  # a conflict
    sent_on = {"doi:10.5555/ed.1": {"All": "include"}} if format == "covidence" else {}
    assert {k: v for k, v in found.items() if k != SWIM} == sent_on


def test_covidence_s_columns_say_in_which_list_a_record_would_be(review: Workspace) -> None:
    decide_some(review)
    Desk(ScreeningLog.of(review.root, CLAIM)).decide(SWIM, FULL, "Ana", "exclude", reason="animals")
    by_stage = {
        stage: {
            row["DOI"]: (row["Status"], row["Notes"])
            for row in csv.DictReader(
                io.StringIO(export_decisions(review, CLAIM, "covidence", stage=stage))
            )  # type: ignore[arg-type]
        }
        for stage in (TITLE, FULL)
    }
    assert by_stage[TITLE]["10.5555/aj.7.e12"] == (
        "irrelevant",
        "Exclusion reason: wrong outcome; ",
    )
    assert by_stage[TITLE]["10.5555/row.2019.3"] == ("screen", "")
    assert by_stage[TITLE]["10.5555/ed.1"] == ("select", "")
    assert by_stage[FULL]["10.5555/aj.7.e12"] == ("excluded", "Exclusion reason: animals; ")


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)


@given(st.dictionaries(names, st.tuples(st.sampled_from(["include", "exclude", "unsure"]), names)))
def test_rayyan_s_notes_can_hold_any_name_and_note(said: dict[str, tuple[str, str]]) -> None:
    day = NOON.date()
    rows = {
        who: Screening("1", TITLE, who, what, "", day, Place("s.csv", 2), note=note)  # type: ignore[arg-type]
        for who, (what, note) in said.items()
    }
    standing = ScreeningState(rows.values()).standing("1", TITLE)
    marks = marks_of(make(title="T", notes=[rayyan_notes(standing)]))
    assert {m.reviewer: (m.decision, m.note) for m in marks} == said


def test_a_mark_is_read_from_asreview_s_ris_with_its_note_and_time() -> None:
    notes = ["ASReview_relevant", 'asreview_note: "seen"', 'asreview_time: "2026-01-02 03:04:05"']
    assert marks_of(make(title="T", notes=notes)) == (
        Mark("include", note="seen", time=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
    )
    assert marks_of(make(title="T", notes=["ASReview_not_seen"])) == ()


# --- commands ------------------------------------------------------------------------------------


def test_the_commands_import_export_compare_and_list_conflicts(review: Workspace) -> None:
    (review.root / "r.csv").write_text(RAYYAN)
    done = run(review, "decisions", "import", CLAIM, str(review.root / "r.csv"))
    assert done.exit_code == 1
    assert "4 rows in the file = 2 with new decisions" in done.output
    assert "refused: r.csv:6  'Postponed' is none of Rayyan's decisions: Editorial" in done.output
    listed = run(review, "conflicts", CLAIM)
    assert listed.exit_code == 3
    assert listed.output.splitlines()[0].startswith(f"title-abstract  {ROW}  Rowing and the")
    assert '    Ben " C: exclude: wrong outcome; animals' in listed.output.splitlines()
    told = json.loads(run(review, "conflicts", CLAIM, "--json").output)
    assert [c["status"] for c in told] == ["conflict"]
    compared = json.loads(run(review, "agreement", CLAIM, "--json").output)
    assert compared[0]["pairs"][0]["table"] == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    out = run(review, "decisions", "export", CLAIM, "rayyan", "--to", str(review.root / "o.csv"))
    assert out.exit_code == 0
    assert "RAYYAN-INCLUSION" in (review.root / "o.csv").read_text()
    assert run(review, "decisions", "export", CLAIM, "word").exit_code == 1
    Desk(ScreeningLog.of(review.root, CLAIM)).resolve(ROW, TITLE, "C", "include")
    settled = run(review, "conflicts", CLAIM)
    assert (settled.exit_code, settled.output) == (0, f"{CLAIM}: no conflict\n")


def test_the_help_names_every_format_of_decisions() -> None:
    told = CliRunner().invoke(main, ["decisions", "export", "--help"]).output
    assert [f for f in EXPORTS if f not in told] == []
