"""Every answer twice: by the package, and by an evaluator that shares nothing with it."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import itertools
from pathlib import Path

import pytest

from evidence.mirror import Mirror, add
from evidence.mirror.rows import searchable
from evidence.model import Record
from evidence.pubmed.articles import parse_articles, stream_articles
from evidence.query.match import Seen, answer
from evidence.query.parse import parse
from tests import brute_pubmed
from tests.brute_queries import BY_HAND
from tests.brute_records import Asking, articles

DAY = dt.date(2026, 1, 15)
RECORDS = articles(240)


@pytest.fixture(scope="module")
def brute(tmp_path_factory):
    path = tmp_path_factory.mktemp("brute") / "records.xml"
    path.write_bytes(RECORDS)
    return brute_pubmed.read(path)


@pytest.fixture(scope="module")
def ours():
    records, refused = parse_articles(RECORDS)
    assert refused == []
    return [Seen(searchable(record)) for record in records]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    (folder / "records.xml").write_bytes(RECORDS)
    add(folder / "mirror.sqlite", [folder / "records.xml"], jobs=1)
    with Mirror(folder / "mirror.sqlite") as held:
        yield held


@pytest.mark.parametrize("seed", range(24))
def test_one_record_at_a_time_the_answers_agree(brute, ours, seed):
    asking = Asking(seed)
    some = 0
    for _ in range(30):
        query = asking.query()
        expected = brute_pubmed.search(brute, query)
        assert {int(p) for p in answer(query, ours).pmids} == expected, query
        some += bool(expected)
    assert some > 8  # most queries find something, or this would prove little


@pytest.mark.parametrize("seed", range(40, 50))
def test_the_indexes_agree_too(brute, mirror, seed):
    asking = Asking(seed)
    for _ in range(30):
        query = asking.query()
        found = set(mirror.search(query, today=DAY).pmids.tolist())
        assert found == brute_pubmed.search(brute, query), query


@pytest.mark.parametrize("kind", ["in_words", "near", "heading", "author", "date", "value"])
def test_every_kind_of_term_finds_something_and_the_same(brute, ours, kind):
    asking, found = Asking(7), 0
    for query in {getattr(asking, kind)() for _ in range(150)}:
        expected = brute_pubmed.search(brute, query)
        assert {int(p) for p in answer(query, ours).pmids} == expected, query
        found += bool(expected)
    assert found > 15


def test_no_random_query_is_malformed():
    for seed in range(30):
        asking = Asking(seed)
        for query in (asking.query() for _ in range(20)):
            wrong = [f for f in parse(query).findings if f.severity == "error"]
            assert wrong == [], query


def test_operators_are_read_from_left_to_right(brute):
    def found(query):
        return brute_pubmed.search(brute, query)

    a, b, c = (found(f"{word}[tiab]") for word in ("pain", "rats", "exercise"))
    assert found("pain[tiab] OR rats[tiab] AND exercise[tiab]") == (a | b) & c
    assert found("pain[tiab] NOT rats[tiab] OR exercise[tiab]") == (a - b) | c
    assert found("pain[tiab] OR (rats[tiab] AND exercise[tiab])") == a | (b & c)


# ---------------------------------------- two complete files of NLM

FILES = ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")


@pytest.fixture(scope="module")
def nlm_brute(shared: Path):
    return brute_pubmed.read(*(shared / "pubmed" / name for name in FILES))


@pytest.fixture(scope="module")
def nlm_mirror(shared: Path, tmp_path_factory):
    path = tmp_path_factory.mktemp("nlm") / "mirror.sqlite"
    add(path, [shared / "pubmed" / name for name in FILES])
    with Mirror(path) as held:
        yield held


@pytest.mark.shared
@pytest.mark.slow
def test_queries_by_hand_agree_on_two_files_of_nlm(nlm_brute, nlm_mirror):
    assert len(nlm_brute) == nlm_mirror.size == 50_783
    different = {}
    for query in BY_HAND:
        expected = brute_pubmed.search(nlm_brute, query)
        found = set(nlm_mirror.search(query, today=DAY).pmids.tolist())
        if found != expected:
            different[query] = (len(expected), len(found), sorted(found ^ expected)[:3])
    assert different == {}


@pytest.mark.shared
@pytest.mark.slow
def test_random_queries_agree_on_two_files_of_nlm(shared: Path, nlm_brute, nlm_mirror):
    with gzip.open(shared / "pubmed" / FILES[1]) as file:
        records = (r for r in stream_articles(io.BytesIO(file.read())) if isinstance(r, Record))
        titles = [r.title for r in itertools.islice(records, 0, 20_000, 40)]
    asking = Asking(1, [w for t in titles for w in t.split()], titles)
    for query in (asking.query(2) for _ in range(120)):
        expected = brute_pubmed.search(nlm_brute, query)
        assert set(nlm_mirror.search(query, today=DAY).pmids.tolist()) == expected, query
