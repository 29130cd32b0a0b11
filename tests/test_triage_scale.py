"""A million records in parts: the order of one engine, whoever computes the parts."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import InputError
from evidence.pubmed.articles import Deleted, Unreadable
from evidence.triage import Engine, scale
from evidence.triage.scale import parts_of, pubmed_file, rank_parts
from evidence.triage.views import chosen
from tests.triage_rows import PROTOCOL, a_library, first

approx = pytest.approx
STAGES = [(0, 0), (0, 3), (2, 0), (3, 12)]


@pytest.fixture(scope="module")
def library():
    return a_library(90, 10, overlap=4)


def same(ranked: scale.Ranked, engine: Engine) -> None:
    assert [pmid for pmid, _ in ranked.order] == list(engine.order)
    assert dict(ranked.order) == approx(dict(engine.scores()), abs=2e-9)
    assert ranked.stage == engine.stage
    assert ranked.used == engine.used


@pytest.mark.parametrize(("yes", "no"), STAGES)
@pytest.mark.parametrize("size", [7, 1000])
def test_parts_are_ranked_as_one_engine_ranks_the_whole(library, yes, no, size):
    decisions = first(library, yes, no) | {"999999": True}
    ranked = rank_parts(parts_of(library[0], size), decisions, PROTOCOL, seed=4)
    same(ranked, Engine(library[0], PROTOCOL, decisions, seed=4))


def test_terms_merged_in_many_pieces_give_the_same(library, monkeypatch):
    monkeypatch.setattr("evidence.triage.parts.AT_ONCE", 50)
    decisions = first(library, 3, 12)
    ranked = rank_parts(parts_of(library[0], 20), decisions, PROTOCOL)
    same(ranked, Engine(library[0], PROTOCOL, decisions))


def test_further_views_are_ranked_in_parts_too(library):
    records, _ = library
    views = chosen(["journal", "MeSH"])
    decisions = first(library, 3, 12)
    ranked = rank_parts(parts_of(records, 20), decisions, PROTOCOL, views=views)
    same(ranked, Engine(records, PROTOCOL, decisions, views=views))


def test_the_top_is_the_head_of_the_whole_order(library):
    decisions = first(library, 3, 12)
    parts = parts_of(library[0], 20)
    whole = rank_parts(parts, decisions, PROTOCOL)
    assert rank_parts(parts, decisions, PROTOCOL, top=5).order == whole.order[:5]


def test_a_record_in_two_parts_is_a_fault_that_names_it(library):
    records = [*library[0][:5], library[0][0]]
    with pytest.raises(InputError, match="PMID 100"):
        rank_parts(parts_of(records, 3), {}, PROTOCOL)


def test_of_two_records_with_a_pmid_the_last_one_counts_where_that_is_asked_for(library):
    records, _ = library
    anew = [replace(r, title="Sprint training anew") for r in records[3:9]]
    decisions = first(library, 3, 12)
    wanted = [anew[records.index(r) - 3] if r in records[3:9] else r for r in records]
    parts = parts_of([*records[:50], *anew[:2], *records[50:], *anew[1:]], 20)
    ranked = rank_parts(parts, decisions, PROTOCOL, seed=2, repeated="last")
    same(ranked, Engine(wanted, PROTOCOL, decisions, seed=2))
    assert ranked.replaced == 7
    assert ranked.method == Engine(wanted, PROTOCOL, decisions, seed=2).method


@pytest.mark.parametrize("together", [4, 10_000])
def test_a_withdrawn_record_is_left_out_unless_it_comes_again(library, monkeypatch, together):
    monkeypatch.setattr("evidence.triage.parts.TOGETHER", together)
    records, _ = library
    gone = [Deleted(r.pmid, 1) for r in records[:5]]
    parts = (
        partial(tuple, [Deleted(records[20].pmid, 1), *records]),  # before it came: no matter
        partial(tuple, [gone[0], *gone, records[2], Unreadable(1, "damaged")]),
        partial(tuple, [Deleted("7", None)]),
    )
    ranked = rank_parts(parts, {}, PROTOCOL, repeated="last")
    left = [r for r in records if r not in records[:5] or r is records[2]]
    same(ranked, Engine(left, PROTOCOL))
    assert (ranked.replaced, ranked.unread) == (5, 1)


def test_titles_of_the_first_records_are_given_where_they_are_asked_for(library):
    records, _ = library
    titles = {r.pmid: r.title for r in records}
    ranked = rank_parts(parts_of(records, 7), {}, PROTOCOL, titles=12)
    assert list(ranked.titles) == [titles[pmid] for pmid, _ in ranked.order[:12]]
    assert rank_parts(parts_of(records, 7), {}, PROTOCOL).titles == ()


@given(st.lists(st.text("0123456789", min_size=1, max_size=9), unique=True, max_size=40))
def test_places_are_those_of_the_engines_own_sequence(pmids):
    by_name = sorted(pmids, key=lambda pmid: (len(pmid), pmid))
    assert [by_name[i] for i in scale._places(pmids)] == pmids


def test_the_files_of_a_ranking_are_gone_afterwards(library, tmp_path: Path):
    rank_parts(parts_of(library[0], 20), {}, PROTOCOL, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_rank_is_an_empty_order():
    assert rank_parts((), {"1": True}, PROTOCOL).order == ()
    assert rank_parts((partial(tuple, ()),), {}, PROTOCOL).order == ()


def test_everything_decided_leaves_nothing_to_rank(library):
    decisions = first(library, 10, 80)
    assert rank_parts(parts_of(library[0], 20), decisions, PROTOCOL).order == ()


@pytest.mark.slow
@pytest.mark.parametrize(("yes", "no"), STAGES)
def test_processes_of_this_machine_give_the_same(library, yes, no, tmp_path: Path):
    decisions = first(library, yes, no)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        ranked = rank_parts(
            parts_of(library[0], 25), decisions, PROTOCOL, executor=executor, folder=tmp_path
        )
    same(ranked, Engine(library[0], PROTOCOL, decisions))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_dask_cluster_gives_the_same(library, tmp_path: Path):
    distributed = pytest.importorskip(
        "distributed", reason="Dask is not installed (pip install distributed)"
    )
    decisions = first(library, 3, 12)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        ranked = rank_parts(
            parts_of(library[0], 25),
            decisions,
            PROTOCOL,
            executor=client.get_executor(),
            folder=tmp_path,
        )
    same(ranked, Engine(library[0], PROTOCOL, decisions))


@pytest.mark.shared
def test_files_of_nlm_are_parts(shared: Path):
    file = shared / "pubmed/records/net-synergy__pubmedparser/data__pubmed21n1000.xml.gz"
    part = pubmed_file(file)
    records = list(part())
    assert len(records) == 29
    same(rank_parts([part], {}, "pain in cancer"), Engine(records, "pain in cancer"))
