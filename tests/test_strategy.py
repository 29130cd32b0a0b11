"""A strategy explained in numbers: from a mirror, from PubMed, from the claim's own records."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from evidence.claim_files import read_claim
from evidence.cli import main
from evidence.errors import InputError
from evidence.extracted import read_extraction
from evidence.held import mirror_set
from evidence.mirror import add
from evidence.model import SearchRun
from evidence.pubmed.articles import parse_articles
from evidence.query.blocks import outline
from evidence.query.gains import questions
from evidence.query.parse import parse
from evidence.query.plan import plan
from evidence.store import Store
from evidence.strategy import own, sources
from evidence.strategy.outlines import of_claim, of_file, outline_of
from evidence.strategy.text import numbered_lines
from evidence.strategy.unindexed import unindexed
from evidence.workspace import Workspace
from tests.eutils_records import Article
from tests.eutils_server import EutilsServer

IDS = ("aerobic-hippocampus", "dlpfc-reversibility", "hiit-bdnf", "lactate-bdnf")
ON = dt.date(2026, 1, 15)
EXERCISE, BDNF = "Exercise", "Brain-Derived Neurotrophic Factor"

# Invented records; the strategies below ask for them.
RECORDS = [
    Article("90000001", "Sprint training and BDNF", mesh=(EXERCISE, BDNF, "Humans")),
    Article("90000002", "Sprints and neurotrophins", mesh=("Humans",)),
    Article("90000003", "Sprinting rats and BDNF", mesh=("Animals", "Rats")),
    Article("90000004", "Sprint interval based training and lactate", mesh=("Exercise Therapy",)),
    Article("90000005", "Interval cycling and BDNF", mesh=()),
]
QUERY = """
(sprint*[tiab] OR "interval training"[tiab:~0])
AND (bdnf[tiab] OR neurotrophin*[tiab])
NOT (rats[tiab] OR mice[tiab])
"""


def xml(articles: list[Article]) -> bytes:
    return b"<PubmedArticleSet>%s</PubmedArticleSet>" % "".join(a.xml() for a in articles).encode()


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    path = tmp_path / "strategy.txt"
    path.write_text(QUERY, encoding="utf-8")
    return path


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    source, path = tmp_path / "records.xml", tmp_path / "mirror.sqlite"
    source.write_bytes(xml(RECORDS))
    add(path, [source], jobs=1)
    return path


@pytest.fixture
def review(root: Path, tmp_path: Path) -> Path:
    """One claim of the project in a folder of its own."""
    folder = tmp_path / "review"
    for name in ("queries", "extracted"):
        (folder / name).mkdir(parents=True)
    shutil.copy(root / "queries/lactate-bdnf.toml", folder / "queries")
    shutil.copytree(root / "extracted/lactate-bdnf", folder / "extracted/lactate-bdnf")
    return folder


def run(*words: object, code: int = 0, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words], env=env)
    assert result.exit_code == code, result.output
    return result.stdout


# ---------------------------------------- outlines


@pytest.mark.parametrize("claim_id", IDS)
def test_a_claims_concepts_are_its_blocks_and_their_lines_are_numbered(root, claim_id):
    search = read_claim(root / f"queries/{claim_id}.toml").search
    made = outline_of(search)
    used = [n for n in search.filters if f"#{n}" in search.combine]
    assert {c.name for c in made.concepts} == {*search.blocks, *used}
    assert [made.concepts[i].name for i in sorted(made.excluded)] == ["animals_only"]
    text = {line.number: line.query for line in numbered_lines(search)}
    for concept in made.concepts:
        for line in concept.lines:
            assert parse(text[line.number]).tree == line.node


@pytest.mark.parametrize("claim_id", IDS)
def test_the_concepts_together_ask_what_the_strategy_asks(root, claim_id):
    written = of_claim(read_claim(root / f"queries/{claim_id}.toml"))

    def flat(asked):
        if not hasattr(asked, "operator"):
            return asked
        parts = []
        for part in map(flat, asked.parts):
            same = hasattr(part, "operator") and part.operator == asked.operator != "NOT"
            parts += part.parts if same else [part]
        return type(asked)(asked.operator, tuple(parts))

    ours = plan(written.outline.node, strict=False).plan
    assert flat(ours) == flat(plan(parse(written.query).tree, strict=False).plan)


def test_the_query_of_a_file_may_run_over_several_lines(strategy):
    written = of_file(strategy, name="strategy.txt")
    assert written.outline == outline(parse(" ".join(QUERY.split())).tree)


def test_numbered_lines_are_a_strategy_as_an_appendix_prints_it(tmp_path):
    path = tmp_path / "history.txt"
    path.write_text(
        "1. exercise[mh:noexp] OR training[tiab]\n2. running[tiab]\n3. #1 OR #2\n"
        "#4 bdnf[tiab]\n   OR neurotrophin*[tiab]\n5 #3 AND #4 AND english[la]\n6 rats[ti]\n"
        "7 #5 NOT #6\n",
        encoding="utf-8",
    )
    written = of_file(path, name="history.txt")
    lines = [[(line.number, str(line)) for line in c.lines] for c in written.outline.concepts]
    assert lines == [
        [(1, "exercise[mh:noexp] OR training[tiab]"), (2, "running[tiab]")],
        [(4, "bdnf[tiab] OR neurotrophin*[tiab]")],
        [(None, "english[la]")],
        [(6, "rats[ti]")],
    ]
    assert written.outline.excluded == {3}
    assert written.query == (
        "(((exercise[mh:noexp] OR training[tiab]) OR running[tiab]) AND (bdnf[tiab] OR "
        "neurotrophin*[tiab]) AND english[la]) NOT rats[ti]"
    )


@pytest.mark.parametrize("text", ["1 a1[ti]\n2 #2 OR #1", "1 a1[ti]\n2 #3\n3 b1[ti]"])
def test_a_line_that_names_no_earlier_one_is_a_fault(tmp_path, text):
    path = tmp_path / "history.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="which is not before it"):
        of_file(path, name="history.txt")


# ---------------------------------------- counts


def test_a_mirror_counts_every_line(strategy, mirror):
    found = json.loads(run("explain", strategy, "--mirror", mirror, "--json"))
    assert "1 file, 5 records" in found["counts_from"]
    assert found["total"] == 2
    numbers = [
        [(x["query"], x["found"], x["added"], x["alone"], x["lost"]) for x in c["lines"]]
        for c in found["concepts"]
    ]
    assert numbers == [
        [("sprint*[tiab]", 4, 4, 4, 2), ('"interval training"[tiab:~0]', 0, 0, 0, 0)],
        [("bdnf[tiab]", 3, 3, 3, 1), ("neurotrophin*[tiab]", 1, 1, 1, 1)],
        [("rats[tiab]", 1, 1, 1, 1), ("mice[tiab]", 0, 0, 0, 0)],
    ]
    assert [c["taken_away"] for c in found["concepts"]] == [False, False, True]


def test_words_for_the_terminal_hold_the_same_numbers(strategy, mirror):
    lines = run("explain", strategy, "--mirror", mirror, "--known", 90000004).splitlines()
    assert lines[0].endswith(
        "((sprint*[tiab] and 1 more) AND (bdnf[tiab] and 1 more)) NOT (rats[tiab] and 1 more)"
    )
    assert lines[2] == "the whole strategy finds 2"
    assert "  1.      4     4      4             2  sprint*[tiab]" in lines
    assert "known relevant records: 0 of 1 found" in lines
    assert "  PMID 90000004 Sprint interval based training and lactate: missed" in lines


def test_what_or_joins_stands_in_parentheses_beside_and(tmp_path):
    file = tmp_path / "history.txt"
    file.write_text("#1 exercis*[tiab]\n#2 bdnf[tiab] OR neurotroph*[tiab]\n#3 #1 AND #2\n")
    first = run("explain", file).splitlines()[0]
    assert first == f"{file}: exercis*[tiab] AND (bdnf[tiab] OR neurotroph*[tiab])"


@pytest.mark.parametrize("command", [("explain",), ("translate", "--to", "ovid")])
def test_a_file_without_a_query_or_no_file_at_all_is_a_fault(command, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    words, options = command[:1], command[1:]
    assert "empty.txt holds no query" in told(*words, empty, *options)
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "sleep.toml").write_text("")
    root = ("--root", tmp_path)
    assert told(*root, *words, tmp_path / "none.txt", *options).startswith(
        f"error: there is no file {tmp_path}/none.txt\n  claims: sleep\ntry: check the spelling"
    )
    assert "is a folder" in told(*root, *words, tmp_path, *options)


def test_a_gap_in_the_numbers_of_a_history_is_named_with_its_line(tmp_path):
    file = tmp_path / "history.txt"
    file.write_text("#1 exercis*[tiab]\n#2 #7 AND #1\n#4 bdnf[tiab]\n")
    said = told("explain", file)
    assert f"{file}:2  #2 #7 AND #1 #4 bdnf[tiab]" in said
    assert "try: number the lines 1, 2, 3 without a gap" in said


def test_lines_that_are_named_without_their_mark_are_not_taken_for_pmids(tmp_path):
    file = tmp_path / "ovid.txt"
    file.write_text("1. exercis*[tiab]\n2. bdnf[tiab]\n3. 1 AND 2\n")
    said = told("explain", file)
    assert said.startswith("error: line 3 of the strategy has 1, 2 without #")
    assert f"{file}:3  #3 1 AND 2\ntry: write #1, #2 for the lines" in said
    file.write_text("1. exercis*[tiab]\n2. 1[pmid] OR 20 30\n3. #1 AND #2\n")  # PMIDs they are
    assert "1[pmid] OR 20 30[pmid]" in run("explain", file)


def test_faults_of_a_strategy_are_told_before_it_is_explained(tmp_path):
    file = tmp_path / "query.txt"
    file.write_text("exercis*[tiab] AND (bdnf[tiab] OR ex*[tiab]")
    result = CliRunner().invoke(main, ["explain", str(file)])
    assert result.stderr == (
        f"2 faults in {file}, where PubMed would misread it: `evidence lint {file}` names them\n"
    )


def told(*words: object) -> str:
    """What a command that ends with 1 says on standard error."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


def test_a_proposal_says_what_it_costs(strategy, mirror):
    strategy.write_text('"interval training"[tiab:~0] AND lactate[tiab]')
    words = ("explain", strategy, "--mirror", mirror, "--known", 90000004)
    (known,) = json.loads(run(*words, "--json"))["known"]
    (kept,) = known["kept_out_by"]
    (near,) = kept["near"]
    assert (near["term"], near["found"]) == (
        '"interval training"[tiab:~0]',
        "interval based training",
    )
    assert near["try"] == '"interval training"[tiab:~1]'
    assert near["more_records"] == 1
    assert '"interval training"[tiab:~1] would find it (1 more record in all)' in run(*words)


def test_pubmed_counts_with_the_searches_that_were_said_beforehand(strategy, tmp_path):
    with EutilsServer(RECORDS) as server:
        env = {"EVIDENCE_EUTILS_URL": server.url, "XDG_CACHE_HOME": str(tmp_path)}
        result = CliRunner().invoke(
            main, ["--root", str(tmp_path), "explain", str(strategy), "--online", "--json"], env=env
        )
        assert result.exit_code == 0, result.output
        asked = len(questions(of_file(strategy, name="").outline))
        assert f"{asked} searches for counts at PubMed" in result.stderr
        assert len(server.sent("esearch")) == asked
    found = json.loads(result.stdout)
    assert found["total"] == 2
    lines = [x for c in found["concepts"] for x in c["lines"]]
    # The loopback server finds the words of a phrase wherever they stand.
    assert [x["found"] for x in lines] == [4, 1, 3, 1, 1, 0]
    assert [x["lost"] for x in lines] == [2, 0, 1, 1, 1, 0]
    kept = (tmp_path / "var/archive/index.jsonl").read_text().splitlines()
    assert len(kept) == asked  # each reply is archived


def test_pubmed_itself_says_which_concept_a_known_record_fails(strategy, tmp_path):
    known = [w for p in (90000001, 90000003, 90000004, 99999999) for w in ("--known", str(p))]
    with EutilsServer(RECORDS) as server:
        env = {"EVIDENCE_EUTILS_URL": server.url, "XDG_CACHE_HOME": str(tmp_path)}
        words = ["--root", str(tmp_path), "explain", str(strategy), "--online", "--json", *known]
        result = CliRunner().invoke(main, words, env=env)
        assert result.exit_code == 0, result.output
        asked = len(questions(of_file(strategy, name="").outline))
        # One for all known records, one for each concept with those that are missed.
        assert len(server.sent("esearch")) == asked + 1 + 3
        assert len(server.sent("efetch")) in (1, 2)  # a second for the one that is not served
    states = {k["pmid"]: k for k in json.loads(result.stdout)["known"]}
    assert [k["state"] for k in states.values()] == ["found", "missed", "missed", "not at hand"]
    assert states["90000003"]["kept_out_by"] == [
        {
            "concept": 3,
            "taken_away": True,
            "alternative": False,
            "because": ["rats[tiab]"],
            "near": [],
        }
    ]
    assert [k["concept"] for k in states["90000004"]["kept_out_by"]] == [2]


def test_pubmed_out_of_reach_is_no_fault(strategy, tmp_path):
    env = {"EVIDENCE_EUTILS_URL": "http://127.0.0.1:9/", "XDG_CACHE_HOME": str(tmp_path)}
    words = ["--root", str(tmp_path), "explain", str(strategy), "--online"]
    result = CliRunner().invoke(main, words, env=env)
    assert result.exit_code == 0
    assert "PubMed was not asked" in result.stderr
    assert "sprint*[tiab]" in result.stdout


# ---------------------------------------- the claim's own records

# An invented record for each way into the strategy of the claim on lactate.
OWN = [
    Article("90000011", "Lactate and BDNF", mesh=("Lactic Acid", "Humans")),
    Article("90000012", "Lactate and BDNF after rowing"),
    Article("90000013", "Lactic acid and neurotrophins", mesh=("Humans",)),
    # PubMed found it by a heading below Lactic Acid, of which nothing here knows.
    Article("90000014", "Serum BDNF after a sprint", mesh=("Some Narrower Heading",)),
]


def search(review: Path, articles: list[Article], *, found: int) -> None:
    """What a search leaves in the store; those beyond ``found`` are held and not found."""
    records, refused = parse_articles(xml(articles))
    assert refused == []
    pmids = [record.pmid for record in records]
    query = read_claim(review / "queries/lactate-bdnf.toml").search.query()
    ran = SearchRun("lactate-bdnf", "pubmed", ON, query, query, found, (), True)
    with Store(review / "var/evidence.sqlite") as store:
        store.add(records, on=ON)
        store.settle("lactate-bdnf", pmids[:found], ran)


def test_the_claims_own_records_give_ranges_where_headings_leave_it_open(review):
    search(review, OWN, found=4)
    found = json.loads(run("--root", review, "explain", "lactate-bdnf", "--json"))
    assert found["counts_from"] == "the 4 records that the last search of 15 January 2026 found"
    assert found["total"] == 4
    lactate, _, animals = found["concepts"]
    # The last must have come by the headings, the first did; the third perhaps.
    assert lactate["lines"][0]["found"] == [2, 3]
    assert lactate["lines"][1]["found"] == 3
    assert lactate["lines"][0]["lost"] == 1
    assert lactate["lines"][1]["lost"] == [1, 2]
    assert animals["lines"][0]["lost"] is None  # what was taken away is not among them
    (note,) = [n for n in found["notes"] if "narrower headings" in n]
    assert '"Lactic Acid"[mh]' in note
    assert "the second number counts every record that may have one" in note


def test_a_known_record_that_the_store_holds_is_judged_by_its_own_words(review):
    # Made out as the paper that the claim rests on, which its strategy is known to look for.
    ours = Article("17414812", "Effects on serum neurotrophins of cycling", mesh=("Humans",))
    search(review, [*OWN, ours], found=4)
    found = json.loads(run("--root", review, "explain", "lactate-bdnf", "--json"))
    (known,) = [k for k in found["known"] if k["pmid"] == "17414812"]
    assert known["included"]
    assert known["state"] == "missed"  # PubMed's own search did not find it
    words = run("--root", review, "explain", "lactate-bdnf")
    assert "known relevant records: 0 of 5 found" in words
    assert "its record is not held, so that no concept can be named" in words
    assert "not found by concept 1 (lactate): it has none of its lines" in words


def test_numbers_of_an_earlier_version_of_the_strategy_say_so(review):
    search(review, OWN, found=4)
    path = review / "queries/lactate-bdnf.toml"
    path.write_text(path.read_text("utf-8").replace("BDNF[tiab] OR", "BDNF[ti] OR"), "utf-8")
    found = json.loads(run("--root", review, "explain", "lactate-bdnf", "--json"))
    assert found["counts_from"] == ("the 4 records that an earlier version of the strategy found")
    assert found["total"] == [3, 4]


def test_numbers_are_kept_until_a_record_or_the_strategy_changes(review, monkeypatch):
    search(review, OWN, found=4)
    workspace, loads = Workspace.at(review), []
    decider = sources.Decider

    def deciding(records, **choices):
        loads.append(len(records))
        return decider(records, **choices)

    monkeypatch.setattr(sources, "Decider", deciding)

    def explained():
        claim = workspace.claim("lactate-bdnf")
        return own.explained(workspace, claim, read_extraction(review, claim.id), on=ON)

    first = explained()
    assert explained() == first
    assert loads.count(4) == 1  # the second time nothing was counted
    search(review, [OWN[0], replace(OWN[1], title="Lactate"), *OWN[2:]], found=4)
    assert explained() != first
    assert loads.count(4) == 2


def test_a_claim_that_was_never_searched_is_told_in_words(review):
    words = run("--root", review, "explain", "lactate-bdnf")
    assert "the heading Lactic Acid and all narrower ones" in words
    assert "counts:" not in words


def test_terms_are_counted_one_by_one_on_request(strategy, mirror):
    long = strategy.with_name("long.txt")
    long.write_text("((a1[ti] OR sprint*[ti]) OR bdnf[ti]) AND (humans[mh:noexp] OR rats[ti])")
    found = json.loads(run("explain", long, "--mirror", mirror, "--terms", "--json"))
    assert [x["query"] for x in found["concepts"][0]["lines"]] == [
        "a1[ti]",
        "sprint*[ti]",
        "bdnf[ti]",
    ]


# ---------------------------------------- headings alone


def test_records_without_headings_are_counted_by_year_of_entry():
    records, _ = parse_articles(
        xml(
            [
                Article("90000021", mesh=(EXERCISE,), year=2020),
                Article("90000022", year=2020),
                Article("90000023", year=2021),
            ]
        )
    )
    counted = unindexed(records)
    assert (counted.records, counted.without_headings) == (3, 2)
    assert counted.share == pytest.approx(2 / 3)
    assert [(y.year, y.records, y.without_headings) for y in counted.years] == [
        (2021, 1, 1),
        (2020, 2, 1),
    ]
    assert unindexed([]).share is None


def test_a_concept_of_headings_alone_is_warned_of_with_the_share_in_the_store(review):
    search(review, OWN, found=4)
    path = review / "headings.txt"
    path.write_text("exercise[mh:noexp] AND bdnf[tiab]", encoding="utf-8")
    words = run("--root", review, "explain", path)
    assert "exercise[mh:noexp] has headings alone, and misses records that are not indexed" in words
    assert "of 4 records in your store 1 have no headings (25%)" in words
    assert "headings alone" not in run("--root", review, "explain", "lactate-bdnf")
    words = run("--root", review, "lint", path)
    assert "(1 of 4 records in your store have none) [headings-alone]" in words


# ---------------------------------------- usage


def test_what_is_neither_a_file_nor_a_claim_is_said(review, tmp_path):
    result = CliRunner().invoke(main, ["--root", str(review), "explain", "nobody"])
    assert result.exit_code == 1
    assert "nobody" in result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    result = CliRunner().invoke(main, ["--root", str(empty), "explain", "nobody"])
    assert result.exit_code == 1
    assert "neither a file nor a claim" in result.stderr


@pytest.mark.parametrize(
    "words", [("--known", "x"), ("--mirror", __file__, "--online"), ("--mirror", "nowhere.sqlite")]
)
def test_wrong_usage_ends_with_2(strategy, words):
    run("explain", strategy, *words, code=2)


@pytest.mark.parametrize("target", ["ovid", "embase", "wos", "cochrane", "europepmc"])
def test_a_strategy_is_translated_with_its_notes_apart(strategy, target):
    result = CliRunner().invoke(main, ["translate", str(strategy), "--to", target])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert "sprint*" in result.stdout
    found = json.loads(run("translate", strategy, "--to", target, "--json"))
    assert found["query"] == result.stdout.strip()
    for note in found["notes"]:
        assert note["why"] in " ".join(result.stderr.split())


def test_a_claim_is_translated_by_its_name(root):
    words = run("--root", root, "translate", "hiit-bdnf", "--to", "ovid")
    assert words.startswith("((exp High-Intensity Interval Training/ or hiit.ti,ab,kf.")


def test_what_the_mirror_found_counts_too(review):
    records, _ = parse_articles(xml(OWN))
    query = read_claim(review / "queries/lactate-bdnf.toml").search.query()
    ran = SearchRun("lactate-bdnf", "mirror", ON, query, query, 3, (), True)
    with Store(review / "var/evidence.sqlite") as store:
        store.add(records, on=ON, received=False)
        store.settle(mirror_set("lactate-bdnf"), [r.pmid for r in records[:3]], ran)
        store.log(ran)
    found = json.loads(run("--root", review, "explain", "lactate-bdnf", "--json"))
    assert found["counts_from"] == "the 3 records that the last search of 15 January 2026 found"
    # A mirror may lack what PubMed has: it proves nothing missing.
    assert {k["state"] for k in found["known"]} == {"not at hand"}
