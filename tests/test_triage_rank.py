"""`evidence rank` as a reviewer runs it: views, what is written, NLM's files; records invented."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evidence import reading_order as orders
from evidence.claim_files import read_claim
from evidence.cli import main
from evidence.errors import SchemaError
from evidence.model import Cited, Record
from evidence.reading_order import LINK_COLUMNS, links_path, looked_at, read_links
from evidence.steps.citing import keep_links
from evidence.store import Store
from evidence.triage.protocols import structured
from evidence.triage.views import VIEWS
from tests.triage_rows import a_library, a_record

CLAIM = "hiit-bdnf"
HEADER = "record,stage,reviewer,decision,reason,date\n"
TODAY = dt.date(2026, 3, 2)


def records() -> list[Record]:
    """Four records that read alike; MeSH, journal and what they cite differ."""
    plain = [a_record(str(90_000_000 + i), "Sprint training and serum BDNF") for i in range(4)]
    plain[2] = dataclasses.replace(plain[2], mesh=("Brain-Derived Neurotrophic Factor",))
    plain[3] = dataclasses.replace(plain[3], mesh=("Soil",), references=(Cited(pmid="9"),))
    return plain


@pytest.fixture
def review(tmp_path: Path, root: Path) -> Path:
    (tmp_path / "queries").mkdir()
    shutil.copy(root / f"queries/{CLAIM}.toml", tmp_path / "queries")
    shutil.copytree(root / "extracted" / CLAIM, tmp_path / "extracted" / CLAIM)
    (tmp_path / "extracted" / CLAIM / "screening.csv").write_text(HEADER, encoding="utf-8")
    (tmp_path / "var").mkdir()
    with Store(tmp_path / "var/evidence.sqlite") as store:
        store.add_export(CLAIM, records(), source="invented", on=TODAY)
    return tmp_path


def rank(review: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(review), "rank", *words])


def facts(review: Path, *words: str) -> dict:
    result = rank(review, CLAIM, "--json", *words)
    assert result.exit_code == 0, result.output
    (order,) = json.loads(result.stdout)
    return order


def set_views(review: Path, text: str) -> None:
    path = review / f"queries/{CLAIM}.toml"
    toml = path.read_text(encoding="utf-8").replace(
        "[plan]\n", f"[screening]\n{text}\n\n[plan]\n", 1
    )
    path.write_text(toml, encoding="utf-8")


# --- how far to trust an order -------------------------------------------------------------------


def decide(review: Path, decisions: dict[str, bool]) -> None:
    rows = [
        f"{pmid},title-abstract,A. B.,{'include' if yes else 'exclude'},,2026-03-02\n"
        for pmid, yes in decisions.items()
    ]
    path = review / f"extracted/{CLAIM}/screening.csv"
    path.write_text(HEADER + "".join(rows), encoding="utf-8")


@pytest.fixture
def library(review: Path) -> tuple[list[Record], list[bool]]:
    found, labels = a_library(120, 20, overlap=2)
    with Store(review / "var/evidence.sqlite") as store:
        store.add_export(CLAIM, found, source="library", on=TODAY)
    return found, labels


def test_checks_say_how_far_to_read_what_came_and_what_to_look_at_again(review: Path, library):
    assert "checks: none before a record is included" in rank(review, CLAIM, "--checks").stdout
    found, labels = library
    decisions = {r.pmid: label for r, label in list(zip(found, labels, strict=True))[:60]}
    wrong = next(pmid for pmid, label in decisions.items() if label)
    decide(review, decisions | {wrong: False})
    result = rank(review, CLAIM, "--checks")
    assert result.exit_code == 0, result.output
    told = facts(review, "--checks")["checks"]
    assert [d["target"] for d in told["depths"]] == [0.95, 0.99, 1.0]
    assert told["depths"][-1]["still_to_read"] == 120 + 4 - 60
    assert sum(b["records"] for b in told["calibration"]) == 60
    assert sum(b["included"] for b in told["calibration"]) == sum(decisions.values()) - 1
    assert [d["record"] for d in told["doubts"]][:1] == [wrong]
    assert f"{wrong}  excluded, though all the others say" in result.stdout
    assert "100% of the relevant" in result.stdout
    assert "checks" not in facts(review)


def test_what_was_foretold_and_what_came_is_drawn(review: Path, library, tmp_path: Path):
    folder = tmp_path / "plots"
    early = rank(review, CLAIM, "--plot", str(folder))
    assert "nothing to draw before a record is included" in early.stderr
    assert not folder.exists()
    found, labels = library
    decide(review, {r.pmid: label for r, label in list(zip(found, labels, strict=True))[:60]})
    assert rank(review, CLAIM, "--plot", str(folder)).exit_code == 0
    stem = f"{CLAIM}_calibration"
    assert {p.name for p in folder.iterdir()} == {f"{stem}.{end}" for end in ("svg", "pdf", "png")}
    wrong = rank(review, CLAIM, "--files", str(folder), "--checks")
    assert wrong.exit_code == 2


def test_an_order_that_moved_since_the_last_one_says_by_how_much(review: Path, library):
    assert "since the order before" not in rank(review, CLAIM).stdout
    assert "since the order before" not in rank(review, CLAIM).stdout
    found, labels = library
    decide(review, {r.pmid: label for r, label in list(zip(found, labels, strict=True))[:30]})
    result = rank(review, CLAIM)
    assert "since the order before: " in result.stdout
    assert "of the first 50 were among the first 50 before" in result.stdout
    decide(review, {r.pmid: label for r, label in list(zip(found, labels, strict=True))[:50]})
    told = facts(review)["moved"]
    assert (told["records"], told["top"]) == (74, 50)
    assert 0 < told["kept"] <= 1
    updated = CliRunner().invoke(main, ["--root", str(review), "update", "--offline"])
    assert "reading order: " not in updated.stdout  # nothing was decided since
    decide(review, {r.pmid: label for r, label in list(zip(found, labels, strict=True))[:20]})
    updated = CliRunner().invoke(main, ["--root", str(review), "update", "--offline"])
    assert f"{CLAIM}: reading order: " in updated.stdout


# --- views ---------------------------------------------------------------------------------------


def test_the_list_of_views_says_what_is_on_and_what_was_never_measured():
    result = CliRunner().invoke(main, ["rank", "--list-views"])
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "title and abstract 1 on" in lines
    assert "citation links 0.1 off" in lines
    assert sum(line.startswith("not measured") for line in lines) == 5
    told = json.loads(CliRunner().invoke(main, ["rank", "--list-views", "--json"]).stdout)
    assert [(one["name"], one["on"]) for one in told][:3] == [
        ("title and abstract", True),
        ("title", True),
        ("MeSH", False),
    ]


def test_mesh_switched_on_puts_the_record_with_a_heading_of_the_strategy_first(review: Path):
    before = facts(review)
    assert [view["name"] for view in before["views"]] == ["title and abstract", "title"]
    assert len({record["score"] for record in before["records"]}) == 1
    after = facts(review, "--view", "mesh=0.4")
    assert after["records"][0]["pmid"] == "90000002"
    assert after["views"][-1] == {
        "name": "MeSH",
        "weight": 0.4,
        "measured": False,
        "filled": True,
    }
    assert "MeSH (weight 0.4, not measured)" in after["method"]


def test_what_was_used_is_written_beside_the_order(review: Path):
    shown = rank(review, CLAIM, "--view", "journal")
    assert "journal (weight 0.1, not measured)" in shown.stdout
    about = json.loads((review / f"var/reading-order/{CLAIM}.json").read_text(encoding="utf-8"))
    assert [view["name"] for view in about["views"]] == ["title and abstract", "title", "journal"]
    assert about["decisions"] == {"included": 0, "excluded": 0, "elsewhere": 0}
    assert about["method"] in shown.stdout
    assert about["unscreened"] == 4


def test_a_view_that_no_record_fills_is_said_to_do_nothing(review: Path):
    order = facts(review, "--view", "keywords", "--view", "publication types")
    assert order["method"].endswith("No record has anything for publication types, keywords.")
    assert [view["filled"] for view in order["views"]] == [True, True, False, False]


def test_views_of_the_claim_file_hold_and_the_command_overrules_them(review: Path):
    set_views(review, 'views = ["MeSH=0.4", "title=0"]')
    order = facts(review)
    assert [view["name"] for view in order["views"]] == ["title and abstract", "MeSH"]
    assert order["records"][0]["pmid"] == "90000002"
    order = facts(review, "--view", "MeSH=0")
    assert [view["name"] for view in order["views"]] == ["title and abstract"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('views = ["MeHS"]', "there is no such view; did you mean 'MeSH'?"),
        ('views = ["title=none"]', "is no weight; write a number such as title=0.1"),
        ('views = ["title=0", "title and abstract=0"]', "every view is switched off"),
    ],
)
def test_a_view_that_a_claim_file_cannot_have_is_a_fault_with_its_line(review: Path, text, says):
    set_views(review, text)
    with pytest.raises(SchemaError) as fault:
        read_claim(review / f"queries/{CLAIM}.toml")
    assert says in str(fault.value)
    assert rank(review, CLAIM).exit_code == 1


def test_an_unknown_view_ends_the_command_with_the_known_ones(review: Path):
    result = rank(review, CLAIM, "--view", "authors")
    assert result.exit_code == 1
    assert "there is no view 'authors'" in result.stderr
    assert "citation links" in result.stderr


def test_without_further_views_the_protocol_is_its_words_alone(root: Path):
    claim = read_claim(root / f"queries/{CLAIM}.toml")
    assert looked_at(claim) == (claim.protocol_text(), VIEWS)
    assert looked_at(claim, ["MeSH"])[0] == structured(claim)


# --- citation links ------------------------------------------------------------------------------


def test_links_of_a_chase_are_kept_both_ways_and_added_to(tmp_path: Path):
    path = links_path(tmp_path, "claim")
    assert read_links(path) == {}
    keep_links(path, [("12", "3"), ("4", "12")])
    keep_links(path, [("12", "3"), ("5", "3")])
    assert path.read_text(encoding="utf-8").split() == ["citing,cited", "4,12", "5,3", "12,3"]
    assert read_links(path) == {
        "12": {"3", "4"},
        "3": {"12", "5"},
        "4": {"12"},
        "5": {"3"},
    }


def test_a_record_that_cites_what_the_claim_rests_on_comes_first_with_that_view(review: Path):
    claim = read_claim(review / f"queries/{CLAIM}.toml")
    (wanted, *_) = structured(claim)["citation links"]
    keep_links(links_path(review / "var", CLAIM), [("90000001", wanted), ("90000000", "5")])
    keep_links(links_path(review / "var", CLAIM), [("90000002", wanted)])
    order = facts(review, "--view", "citation-links=0.3")
    assert {record["pmid"] for record in order["records"][:2]} == {"90000001", "90000002"}
    assert "citation links (weight 0.3, not measured)" in order["method"]


def test_the_columns_of_links_are_those_that_are_read():
    assert LINK_COLUMNS == ("citing", "cited")


# --- many records --------------------------------------------------------------------------------


def test_above_a_number_of_records_parts_give_the_same_order(review: Path, monkeypatch):
    words = ("--view", "MeSH=0.4", "--view", "keywords")
    whole = facts(review, *words)
    monkeypatch.setattr(orders, "IN_PARTS_FROM", 3)
    assert facts(review, *words) == whole


def pubmed_xml(*articles: tuple[str, str], deleted: tuple[str, ...] = ()) -> bytes:
    """A file as NLM writes it, with invented articles."""
    records = "".join(
        f'<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM"><PMID Version="1">{pmid}'
        f"</PMID><Article><Journal><Title>Invented</Title></Journal><ArticleTitle>{title}"
        f"</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
        for pmid, title in articles
    )
    gone = "".join(f'<PMID Version="1">{pmid}</PMID>' for pmid in deleted)
    gone = f"<DeleteCitation>{gone}</DeleteCitation>" if gone else ""
    return f"<PubmedArticleSet>{records}{gone}</PubmedArticleSet>".encode()


@pytest.fixture
def nlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline file, and an update that replaces 11, withdraws 12 and adds 14."""
    folder = tmp_path_factory.mktemp("nlm")
    (folder / "pubmed26n0001.xml.gz").write_bytes(
        gzip.compress(
            pubmed_xml(
                ("11", "Soil of orchards"),
                ("12", "High-intensity interval exercise and serum BDNF"),
                ("13", "Interval exercise in adults"),
                ("15", "Beetles"),
            )
        )
    )
    (folder / "pubmed26n0002.xml").write_bytes(
        pubmed_xml(
            ("11", "High-intensity interval exercise raises serum BDNF"),
            ("14", "Pollen"),
            deleted=("12",),
        )
    )
    return folder


@pytest.mark.parametrize("how", ["folder", "files", "pattern", "shell"])
def test_files_of_nlm_are_ranked_with_updates_and_deletions(review: Path, nlm: Path, how: str):
    paths = [str(path) for path in sorted(nlm.iterdir())]
    words = {
        "folder": ["--files", str(nlm)],
        "files": ["--files", paths[1], "--files", paths[0]],
        "pattern": ["--files", str(nlm / "pubmed26n*")],
        "shell": ["--files", *paths],  # as a shell writes out a pattern
    }[how]
    result = rank(review, CLAIM, "--json", "--jobs", "1", *words)
    assert result.exit_code == 0, result.output
    (order,) = json.loads(result.stdout)
    assert [r["pmid"] for r in order["records"]][:2] == ["11", "13"]
    assert {r["pmid"] for r in order["records"]} == {"11", "13", "14", "15"}
    assert order["records"][0]["title"] == "High-intensity interval exercise raises serum BDNF"
    assert order["replaced"] == 2
    with (review / f"var/reading-order-of-files/{CLAIM}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["pmid"] for row in rows] == [r["pmid"] for r in order["records"]]
    assert "2 replaced or withdrawn by later files" in result.stderr
    assert not list((review / "var").rglob("ranking-*"))


def test_what_a_killed_ranking_left_is_swept_by_the_next(review: Path, nlm: Path):
    left = review / "var" / "ranking" / "ranking-killed"
    left.mkdir(parents=True)
    (left / "counted-0-keys.npy").write_bytes(b"half")
    assert rank(review, CLAIM, "--files", str(nlm), "--jobs", "1").exit_code == 0
    assert [path.name for path in left.parent.iterdir()] == ["lock"]


def test_decisions_on_stored_records_teach_the_order_of_files(review: Path, nlm: Path):
    text = f"{HEADER}90000000,title-abstract,A. B.,include,,2026-03-02\n"
    (review / f"extracted/{CLAIM}/screening.csv").write_text(text, encoding="utf-8")
    result = rank(review, CLAIM, "--json", "--files", str(nlm), "--jobs", "1")
    assert result.exit_code == 0, result.output
    (order,) = json.loads(result.stdout)
    assert order["decisions"] == {"included": 1, "excluded": 0, "elsewhere": 0}
    assert {r["pmid"] for r in order["records"]} == {"11", "13", "14", "15"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's own
@pytest.mark.parametrize("how", [["--jobs", "2"], ["--scheduler", "local"]])
def test_processes_and_a_dask_cluster_rank_files_alike(review: Path, nlm: Path, how: list[str]):
    if "--scheduler" in how:
        pytest.importorskip("distributed", reason="Dask is not installed")
    alone = rank(review, CLAIM, "--json", "--files", str(nlm), "--jobs", "1")
    other = rank(review, CLAIM, "--json", "--files", str(nlm), *how)
    assert other.exit_code == 0, other.output
    assert json.loads(other.stdout) == json.loads(alone.stdout)


def test_a_file_that_is_cut_is_named_and_nothing_is_ranked(review: Path, nlm: Path):
    path = nlm / "pubmed26n0001.xml.gz"
    path.write_bytes(path.read_bytes()[:-30])
    result = rank(review, CLAIM, "--files", str(nlm), "--jobs", "1")
    assert result.exit_code == 1
    assert "pubmed26n0001.xml.gz cannot be read to its end" in result.stderr
    assert not (review / "var/reading-order-of-files").exists()


def test_files_without_a_record_are_a_fault(review: Path, tmp_path: Path):
    empty = tmp_path / "empty.xml"
    empty.write_bytes(pubmed_xml())
    result = rank(review, CLAIM, "--files", str(empty))
    assert result.exit_code == 1
    assert "there is no record in these files" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--files", "nowhere.xml"], "there is no file nowhere.xml"),
        (["--jobs", "2"], "go with --files"),
        (["--scheduler", "local"], "go with --files"),
    ],
)
def test_wrong_usage_of_files_ends_with_2(review: Path, words: list[str], says: str):
    result = rank(review, CLAIM, *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_files_without_a_claim_end_with_2(review: Path, nlm: Path):
    result = rank(review, "--files", str(nlm))
    assert result.exit_code == 2
    assert "evidence rank CLAIM --files FILE..." in result.stderr
