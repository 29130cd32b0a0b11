"""A mirror of PubMed: nothing lost or doubled on the way in, exact answers on the way out."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import json
import random
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import SourceError, StoreError
from evidence.mirror import Mirror, add, add_mesh, details, find
from evidence.mirror.bodies import SHAPE, pack, unpack
from evidence.mirror.rows import KINDS_OF_DAY, OTHER, PEOPLE, TIAB, VALUES, searchable
from evidence.mirror.sets import both, minus, union
from evidence.model import Record
from evidence.pubmed.articles import stream_articles
from evidence.query.fields import FIELDS
from evidence.query.match import NotAnswerable, Seen
from evidence.query.match import answer as brute_force
from evidence.query.plan import ALL_PARTS
from tests.nlm_files import DAY, DESCRIPTORS, QUERY, WORDS, article, deleted, file_of


def one_record(xml: str) -> Record:
    document = f"<PubmedArticleSet>{xml}</PubmedArticleSet>".encode()
    (record,) = stream_articles(io.BytesIO(document))
    assert isinstance(record, Record)
    return record


def titles(mirror: Path) -> dict[str, str]:
    """What counts, by PMID: found by a search and read back."""
    with Mirror(mirror) as held:
        return {r.pmid: r.title for r in held.records(held.search("all[sb]").pmids.tolist())}


def state(mirror: Path) -> tuple[dict[str, str], list[int], list[tuple[object, ...]]]:
    """All that a reader can see of a mirror."""
    with Mirror(mirror) as held:
        counts = [
            held.search(q).count for q in ("pain[tiab]", "pain[tw]", "smith j[au]", "2020[dp]")
        ]
    db = sqlite3.connect(mirror)
    ledger = db.execute(
        "SELECT name, md5, rank, records, deletions FROM files ORDER BY name"
    ).fetchall()
    docs = db.execute("SELECT count(*), count(DISTINCT docid) FROM docs WHERE live").fetchall()
    db.close()
    return titles(mirror), counts, [*ledger, *docs]


# ---------------------------------------- answers


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mirror, list[Seen]]:
    folder = tmp_path_factory.mktemp("mirror")
    files = [
        file_of(folder, "pubmed26n0001.xml.gz", *(article(1000 + n) for n in range(200))),
        file_of(
            folder,
            "pubmed26n0002.xml.gz",
            *(article(1000 + n, seed=1) for n in range(0, 200, 7)),
            *(article(2000 + n) for n in range(60)),
            deleted(1003, 2001),
        ),
    ]
    add(folder / "m.sqlite", files)
    papers: dict[str, Seen] = {}
    for file in files:
        with file.open("rb") as stream:
            for found in stream_articles(stream):
                if isinstance(found, Record):
                    papers[found.pmid] = Seen(searchable(found))
                else:
                    papers.pop(found.pmid, None)  # type: ignore[union-attr, arg-type]
    return Mirror(folder / "m.sqlite"), list(papers.values())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(QUERY)
def test_the_indexes_answer_as_reading_every_record_does(corpus, query):
    mirror, papers = corpus
    found = mirror.search(query, today=DAY)
    expected = brute_force(query, papers, today=DAY)
    assert set(map(str, found.pmids.tolist())) == expected.pmids
    assert found.approximations == expected.approximations


def test_every_field_finds_something(corpus):
    # Otherwise the law above could hold on empty sets alone.
    mirror, _ = corpus
    for query in (
        '"back pain"[tiab:~1]', '"pain back"[ad:~3]', '"pain pain"[tiab:~3]', "smith j[au]",
        '"van der berg"[lastau]', "hyper*[mh]", "back pain/therapy[majr:noexp]", "thera*[sh]",
        "2020[dp]", "2020/03[crdt]", "hasretractionin", "PMC1005", "random*[pt]", "café[ot]",
        '"α β"[tiab]', '"derived exer*"[tw]', "smith j jr[1au]", "jane ann smith[fau]",
    ):  # fmt: skip
        assert mirror.search(query).count, query


def test_a_word_that_is_wanted_twice_must_stand_there_twice(tmp_path):
    # FTS5 is content with one place for both.
    file = file_of(
        tmp_path, "a.xml", article(1, title="low pain"), article(2, title="pain on pain")
    )
    add(tmp_path / "m.sqlite", [file])
    with Mirror(tmp_path / "m.sqlite") as mirror:
        assert mirror.search('"pain pain"[ti:~3]').pmids.tolist() == [2]


def test_deep_brackets_do_not_exhaust_the_parser_of_the_index(corpus):
    mirror, papers = corpus
    query = "pain[ti]"
    for n in range(80):
        query = f"({query} {('OR', 'AND', 'NOT')[n % 3]} {WORDS[n % len(WORDS)]}[tiab])"
    expected = brute_force(query, papers).pmids
    assert set(map(str, mirror.search(query).pmids.tolist())) == expected


@pytest.mark.parametrize("query", ["pain", "Exercise[mh]", "systematic[sb]", '"last 30 days"[dp]'])
def test_what_the_records_do_not_decide_is_refused_by_name(corpus, query):
    mirror, _ = corpus
    with pytest.raises(NotAnswerable, match="the records alone cannot answer this query"):
        mirror.search(query)


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("(pain[tiab] AND", ["(: an opening", "AND: AND has nothing"]),
        ("pain[foo]", ["[foo]: [foo] is not"]),
        ("", ["the query: a query without a term"]),
    ],
)
def test_a_fault_of_form_is_told_once_and_not_blamed_on_the_records(corpus, query, places):
    mirror, _ = corpus
    with pytest.raises(NotAnswerable, match="is not written as PubMed reads one") as caught:
        mirror.search(query)
    assert len(caught.value.places) == len(places)
    assert all(map(str.startswith, caught.value.places, places))
    assert "evidence lint" in caught.value.remedy


def test_a_lenient_answer_is_marked(corpus):
    mirror, _ = corpus
    found = mirror.search("pain AND Exercise[mh]", strict=False)
    assert [a.code for a in found.approximations] == ["term-mapping", "explosion"]
    alone = mirror.search("Exercise[mh:noexp]")
    assert 0 < found.count < alone.count


def test_every_part_that_a_query_can_ask_for_has_an_index():
    there = {*TIAB, *OTHER, *VALUES, *PEOPLE, *KINDS_OF_DAY, "pmid"}
    asked = {part for field in FIELDS.values() for part in field.parts} | set(ALL_PARTS)
    assert asked <= there


SET = st.lists(st.integers(0, 30)).map(lambda found: np.unique(np.array(found, np.int32)))


@given(SET, SET, SET)
def test_sets_are_joined_as_sets(a, b, c):
    one, other, third = set(a.tolist()), set(b.tolist()), set(c.tolist())
    assert union([a, b, c]).tolist() == sorted(one | other | third)
    assert both(a, b).tolist() == sorted(one & other)
    assert minus(a, b).tolist() == sorted(one - other)


@pytest.mark.shared
@pytest.mark.slow
def test_the_golden_counts_on_two_files_of_nlm(shared, tmp_path):
    files = [shared / "pubmed" / n for n in ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")]
    added = add(tmp_path / "m.sqlite", files)
    assert added.refused == ()
    with (
        Mirror(tmp_path / "m.sqlite") as mirror,
        (shared / "pubmed/golden_counts.csv").open() as file,
    ):
        assert mirror.size == 50_783
        wrong = [
            (row["query"], row["expected_count"], found)
            for row in csv.DictReader(file)
            if (found := mirror.search(row["query"]).count) != int(row["expected_count"])
        ]
    assert wrong == []


# ---------------------------------------- records


def test_a_record_comes_back_as_it_went_in(corpus):
    mirror, papers = corpus
    for n in range(30):
        record = one_record(article(n + 1))
        assert unpack(pack(record)) == record
    pmids = [seen.record.pmid for seen in papers]
    assert [searchable(r) for r in mirror.records(pmids)] == [seen.record for seen in papers]


def test_a_record_of_a_version_with_other_fields_is_read(corpus):
    record = one_record(article(1))
    body = json.loads(zlib.decompress(pack(record)))
    older = {**SHAPE, "Record": [n for n in SHAPE["Record"] if n != "objects"] + ["gone"]}
    kept = [v for n, v in zip(SHAPE["Record"], body, strict=True) if n != "objects"]
    packed = zlib.compress(json.dumps([*kept, "x"]).encode())
    assert unpack(packed, older) == record


def test_find_and_details_have_the_shape_of_pubmeds(corpus):
    mirror, _ = corpus
    found = find("pain[tiab]", mirror, extra="2020:2020[dp]")
    assert found.count == len(found.pmids) == mirror.search("pain[tiab] AND 2020:2020[dp]").count
    (batch,) = details([*found.pmids[:3], "77"], mirror)
    assert [record.pmid for record in batch.records] == list(found.pmids[:3])
    assert batch.not_served == ("77",)
    with pytest.raises(SourceError, match="the query is empty"):
        find(" ", mirror)


# ---------------------------------------- versions, order, deletions

FIRST = [article(n, title=f"first {n}") for n in (1, 2, 3, 4)]
SECOND = [
    article(2, title="second 2"),
    article(3, version=2, title="third of version two"),
    article(5, title="second 5"),
    deleted(4),
]
THIRD = [article(3, title="late version one"), article(5, title="third 5"), deleted(2)]
FOURTH = [article(2, title="back again"), deleted(3, version=2)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_result_does_not_depend_on_the_order_of_the_files(tmp_path, order):
    parts = (FIRST, SECOND, THIRD, FOURTH)
    files = [file_of(tmp_path, f"pubmed26n000{n + 1}.xml.gz", *parts[n]) for n in range(4)]
    for n in order:
        add(tmp_path / "m.sqlite", [files[n]])
    assert titles(tmp_path / "m.sqlite") == {
        "1": "first 1", "2": "back again", "3": "late version one", "5": "third 5"
    }  # fmt: skip


def test_the_later_version_counts_until_it_is_deleted(tmp_path):
    mirror = tmp_path / "m.sqlite"
    add(
        mirror,
        [file_of(tmp_path, f"pubmed26n000{n}.xml.gz", *p) for n, p in ((1, FIRST), (2, SECOND))],
    )
    assert titles(mirror)["3"] == "third of version two"
    with Mirror(mirror) as held:
        before = held.search("3[uid]").count, held.search('"first 3"[ti]').count
        add(mirror, [file_of(tmp_path, "pubmed26n0003.xml.gz", deleted(3, version=2))])
        # The same open mirror sees what was added meanwhile.
        assert (*before, held.search('"first 3"[ti]').count) == (1, 0, 1)
    assert titles(mirror)["3"] == "first 3"


def test_files_given_together_are_taken_in_the_order_of_nlm(tmp_path):
    files = [
        file_of(tmp_path, name, article(1, title=name[:12]))
        for name in ("other.xml", "pubmed26n0002.xml.gz", "pubmed25n1200.xml.gz")
    ]
    outcome = add(tmp_path / "m.sqlite", files)
    assert [f.name[:12] for f in outcome.files] == ["pubmed25n120", "pubmed26n000", "other.xml"]
    assert titles(tmp_path / "m.sqlite") == {"1": "other.xml"}


def test_a_file_twice_is_added_once(tmp_path):
    file = file_of(tmp_path, "pubmed26n0001.xml.gz", *FIRST)
    add(tmp_path / "m.sqlite", [file])
    before = state(tmp_path / "m.sqlite")
    outcome = add(tmp_path / "m.sqlite", [file])
    assert outcome.files[0].known
    assert outcome.lines() == ["0 files added with 0 records and 0 deletions; 1 was there already"]
    assert state(tmp_path / "m.sqlite") == before


def test_missing_files_are_named(tmp_path):
    files = [file_of(tmp_path, f"pubmed26n{n:04}.xml.gz", article(n)) for n in (1, 2, 4, 9)]
    outcome = add(tmp_path / "m.sqlite", files)
    assert outcome.gaps == ("pubmed26n0003", "pubmed26n0005 to pubmed26n0008")


# ---------------------------------------- files with faults


def test_a_sum_that_does_not_agree_is_told_and_the_file_left_out(tmp_path):
    good, bad = (file_of(tmp_path, f"pubmed26n000{n}.xml.gz", article(n)) for n in (1, 2))
    for file in (good, bad):
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        (tmp_path / f"{file.name}.md5").write_text(f"MD5({file.name})= {md5}\n")
    bad.write_bytes(bad.read_bytes()[:-1] + b"x")
    outcome = add(tmp_path / "m.sqlite", [good, bad])
    assert len(outcome.refused) == 1
    assert "pubmed26n0002.xml.gz: its MD5 sum is" in outcome.refused[0]
    assert outcome.exit_code == 1
    assert list(titles(tmp_path / "m.sqlite")) == ["1"]


def test_a_file_that_ends_early_leaves_nothing(tmp_path):
    file = file_of(tmp_path, "pubmed26n0001.xml.gz", *FIRST)
    file.write_bytes(file.read_bytes()[:-300])
    outcome = add(tmp_path / "m.sqlite", [file])
    assert len(outcome.refused) == 1
    assert "not whole" in outcome.refused[0]
    assert titles(tmp_path / "m.sqlite") == {}
    whole = file_of(tmp_path, "pubmed26n0001.xml.gz", *FIRST)
    assert add(tmp_path / "m.sqlite", [whole]).records == 4


def test_several_processes_read_as_one_does(tmp_path):
    broken = article(2).replace("</Journal>", "", 1)
    parts = [*(article(n, title=f"t {n}") for n in range(3, 330)), broken, deleted(5, 6)]
    good = file_of(tmp_path, "pubmed26n0001.xml.gz", *parts)
    cut = file_of(tmp_path, "pubmed26n0002.xml.gz", *parts, article(900))
    cut.write_bytes(cut.read_bytes()[:-40])
    outcomes = []
    for jobs in (1, 2):
        outcome = add(tmp_path / f"m{jobs}.sqlite", [good, cut], jobs=jobs)
        assert len(outcome.refused) == 1
        outcomes.append((outcome, state(tmp_path / f"m{jobs}.sqlite")))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1][0]) == 325


def test_other_content_under_a_known_name_is_refused(tmp_path):
    add(tmp_path / "m.sqlite", [file_of(tmp_path, "pubmed26n0001.xml.gz", article(1))])
    outcome = add(tmp_path / "m.sqlite", [file_of(tmp_path, "pubmed26n0001.xml.gz", article(2))])
    assert "a file of this name but other content" in outcome.refused[0]
    assert list(titles(tmp_path / "m.sqlite")) == ["1"]


def test_a_record_that_cannot_be_read_is_kept_apart_and_named(tmp_path):
    broken = article(2).replace("</Journal>", "", 1)
    file = file_of(tmp_path, "pubmed26n0001.xml.gz", article(1), broken, article(3))
    outcome = add(tmp_path / "m.sqlite", [file])
    (told,) = outcome.files[0].quarantined
    assert "PMID 2" in told
    assert set(titles(tmp_path / "m.sqlite")) == {"1", "3"}
    db = sqlite3.connect(tmp_path / "m.sqlite")
    ((data,),) = db.execute("SELECT data FROM quarantine").fetchall()
    db.close()
    assert b'<PMID Version="1">2</PMID>' in data
    with Mirror(tmp_path / "m.sqlite") as mirror:
        assert (
            "1 records of the mirror's files could not be read" in find("1[uid]", mirror).warnings
        )


def test_a_file_that_is_no_mirror_is_not_touched(tmp_path):
    path = tmp_path / "m.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (a)")
    db.close()
    with pytest.raises(StoreError, match="it is not a mirror"):
        add(path, [file_of(tmp_path, "a.xml", article(1))])
    with pytest.raises(StoreError, match="there is no mirror"):
        Mirror(tmp_path / "none.sqlite")


# ---------------------------------------- killed


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))]
)
def test_a_run_that_is_killed_at_any_moment_is_taken_up_without_loss_or_doubling(tmp_path, seed):
    draw = random.Random(seed)
    files = []
    for n in range(1, 6):
        parts = [article(draw.randint(1, 400), seed=n) for _ in range(120)]
        files.append(file_of(tmp_path, f"pubmed26n000{n}.xml.gz", *parts, deleted(n, n + 9)))
    command = [sys.executable, "-m", "evidence", "-q", "mirror", "add", *map(str, files)]
    command += ["--jobs", str(1 + seed % 2), "--db"]
    began = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole.sqlite")], check=True, capture_output=True)
    whole = time.monotonic() - began
    mirror = tmp_path / "killed.sqlite"
    kills, ledger = 0, set()
    for _ in range(8):
        run = subprocess.Popen(
            [*command, str(mirror)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            run.wait(draw.uniform(0.1, 0.6) * whole)  # the first of them is always cut off
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
        if mirror.exists():
            db = sqlite3.connect(mirror)
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'files'").fetchone():
                now = set(db.execute("SELECT name FROM files"))
                assert ledger <= now  # what was there stays
                ledger = now
            db.close()
    subprocess.run([*command, str(mirror)], check=True, capture_output=True)
    assert kills
    assert state(mirror) == state(tmp_path / "whole.sqlite")


# ---------------------------------------- headings

QUALIFIERS = """<QualifierRecordSet><QualifierRecord><QualifierUI>Q1</QualifierUI><QualifierName>
<String>therapy</String></QualifierName><TreeNumberList><TreeNumber>Y1</TreeNumber></TreeNumberList>
</QualifierRecord><QualifierRecord><QualifierUI>Q2</QualifierUI><QualifierName><String>drug therapy
</String></QualifierName><TreeNumberList><TreeNumber>Y1.5</TreeNumber></TreeNumberList>
</QualifierRecord></QualifierRecordSet>"""


def test_narrower_headings_are_searched_once_the_descriptor_file_is_there(tmp_path):
    add(
        tmp_path / "m.sqlite",
        [file_of(tmp_path, "a.xml.gz", *(article(n + 1) for n in range(120)))],
    )
    (tmp_path / "desc.xml").write_text(DESCRIPTORS)
    (tmp_path / "qual.xml.gz").write_bytes(gzip.compress(QUALIFIERS.encode()))
    found = add_mesh(tmp_path / "m.sqlite", [tmp_path / "desc.xml", tmp_path / "qual.xml.gz"])
    assert found == {"heading": 5, "type": 2, "qualifier": 2}
    same = {
        "backache[mh]": "back pain[mh:noexp] OR hypertension[mh:noexp] OR rats[mh:noexp]",
        "complaints[mh]": " OR ".join(
            f"{h}[mh:noexp]" for h in ("back pain", "hypertension", "exercise")
        ),
        "hypertension[majr]": "hypertension[majr:noexp]",
        "therapy[sh]": "therapy[sh:noexp] OR drug therapy[sh:noexp]",
        "rats/therapy": "rats/therapy[mh:noexp] OR rats/drug therapy[mh:noexp]",
        "review[pt]": "review[pt:noexp] OR letter[pt:noexp]",
    }
    with Mirror(tmp_path / "m.sqlite") as mirror:
        for query, spelt in same.items():
            assert mirror.search(query).pmids.tolist() == mirror.search(spelt).pmids.tolist(), query
            assert mirror.search(query).count, query
        # A name wins over an entry term of another heading.
        assert mirror.search("back pain[mh]").count < mirror.search("ailments[mh]").count
    again = add_mesh(tmp_path / "m.sqlite", [tmp_path / "desc.xml"])
    assert again == found


def test_a_descriptor_file_that_is_cut_changes_nothing(tmp_path):
    (tmp_path / "desc.xml").write_text(DESCRIPTORS)
    add_mesh(tmp_path / "m.sqlite", [tmp_path / "desc.xml"])
    (tmp_path / "cut.xml").write_text(DESCRIPTORS[:-200])
    with pytest.raises(SourceError, match="cannot be read"):
        add_mesh(tmp_path / "m.sqlite", [tmp_path / "cut.xml"])
    (tmp_path / "none.xml").write_text("<a/>")
    with pytest.raises(SourceError, match="holds no descriptors"):
        add_mesh(tmp_path / "m.sqlite", [tmp_path / "none.xml"])
    with Mirror(tmp_path / "m.sqlite") as mirror:
        assert mirror.vocabulary is not None
        assert mirror.vocabulary.headings("backache") == {"Back Pain", "Hypertension", "Rats"}


# ---------------------------------------- the terminal


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["--root", str(folder), "mirror", *words])
    return done.exit_code, done.stdout, done.stderr


def test_a_file_of_another_kind_is_named_as_such(tmp_path):
    (tmp_path / "embase.ris").write_text("TY  - JOUR\nER  - \n")
    code, out, _ = run(tmp_path, "add", str(tmp_path / "embase.ris"))
    assert code == 1
    assert "embase.ris: no PubMed XML: there is no element in it\n" in out
    code, _, err = run(tmp_path, "search", "pain[ti]", "--shards", str(tmp_path))
    assert code == 1
    assert "there is no mirror in shards in" in err
    assert "--shards FOLDER" in err
    assert run(tmp_path, "search", "pain[ti]", "--top", "-1")[0] == 2


def test_the_commands_print_what_scripts_need(tmp_path):
    file = file_of(tmp_path, "pubmed26n0001.xml.gz", *FIRST)
    code, out, err = run(tmp_path, "add", str(file))
    assert (code, out) == (
        0,
        "1 file added with 4 records and 0 deletions; 0 were there already\n",
    )
    assert "pubmed26n0001.xml.gz: 4 records done" in err
    assert (tmp_path / "var/mirror.sqlite").is_file()
    assert run(tmp_path, "search", "first[ti]", "--count") == (0, "4\n", "")
    assert run(tmp_path, "search", "first[ti] NOT 2[ti]", "--pmids") == (0, "1\n3\n4\n", "")
    for words in (["--json"], ["--json", "--count"], ["--pmids", "--json"]):
        code, out, err = run(tmp_path, "search", '"first 2"[ti]', *words)
        assert json.loads(out)["pmids"] == ["2"]
    assert json.loads(out)["mirror"] == {
        "records": 4, "files": 1, "missing_files": [], "unreadable": 0
    }  # fmt: skip
    assert json.loads(out)["approximations"][0]["code"] == "phrase-index"
    code, out, err = run(tmp_path, "search", '"first 2"[ti]')
    assert out.startswith("1 records\n         2  ")
    assert "phrase index" in err


def test_a_refused_query_ends_with_a_fault_that_names_the_term(tmp_path):
    run(tmp_path, "add", str(file_of(tmp_path, "a.xml", *FIRST)))
    code, out, err = run(tmp_path, "search", "first", "--count")
    assert (code, out) == (1, "")
    assert "error: the records alone cannot answer this query\n  first: " in err
    code, out, err = run(tmp_path, "search", "first", "--count", "--lenient")
    assert (code, out) == (0, "4\n")
    assert "not PubMed-equivalent" in err
