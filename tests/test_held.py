"""What a claim holds from all its sources: once each, labelled, counted, and never made older."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.formats import make
from evidence.held import (
    Held,
    body_of,
    held_in,
    is_newer,
    mirror_set,
    others_of,
    reference_of,
)
from evidence.model import Extraction, Place, Record, Screening, SearchRun
from evidence.pubmed import parse_articles
from evidence.store import NEVER, Other, Store
from tests.eutils_records import Article

MONDAY = dt.date(2026, 3, 2)
TUESDAY = dt.date(2026, 3, 3)


def record(pmid: str, **changes: object) -> Record:
    xml = Article(pmid, **changes).xml().encode()  # type: ignore[arg-type]
    ((found,), _) = parse_articles(b"<PubmedArticleSet>" + xml + b"</PubmedArticleSet>")
    return found


def searched(store: Store, source: str, *pmids: str, on: dt.date = MONDAY) -> None:
    run = SearchRun("c", source, on, "q", "q", len(pmids), (), True)
    store.settle("c" if source == "pubmed" else mirror_set("c"), pmids, run)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.sqlite") as store:
        yield store


def test_each_record_is_held_once_with_all_the_sources_that_it_has(store):
    store.add([record(str(n)) for n in range(1, 7)], on=MONDAY)
    searched(store, "pubmed", "1", "2")
    searched(store, "mirror", "2", "3")
    store.add_export("c", [record("4")], source="set.nbib", on=MONDAY)
    store.add_export("c", [record("5")], source="citation", kind="citation", on=MONDAY)
    other = make(title="Only elsewhere", doi="10.9999/E")
    store.add_others(
        "c", "embase.ris", [Other("embase.ris#1", "embase.ris", body_of(other), "doi:10.9999/e")],
        on=MONDAY,
    )  # fmt: skip
    known = make(title="Known by its number", pmid="2")
    store.add_others(
        "c", "crossref", [Other("crossref x#1", "crossref", body_of(known), "2", "2")], on=MONDAY
    )
    held = held_in(store, "c")
    assert dict(held.origins) == {
        "1": ("PubMed",),
        "2": ("PubMed", "PubMed mirror", "Crossref"),
        "3": ("PubMed mirror",),
        "4": ("set.nbib",),
        "5": ("citations followed",),
        "doi:10.9999/e": ("embase.ris",),
    }
    assert [r.pmid for r in held.records] == ["1", "2", "3", "4", "5", "doi:10.9999/e"]
    assert [(f.label, f.identified, f.duplicates, f.added) for f in held.flow] == [
        ("PubMed", 2, 0, 2),
        ("PubMed mirror", 2, 1, 1),
        ("embase.ris", 1, 0, 1),
        ("set.nbib", 1, 0, 1),
        ("Crossref", 1, 1, 0),
        ("citations followed", 1, 0, 1),
    ]
    assert sum(f.added for f in held.flow) == len(held.records)
    assert {r.pmid for r in others_of(store, "c")} == {"3", "doi:10.9999/e"}


def test_a_claim_without_any_search_holds_nothing(store):
    assert held_in(store, "c") == Held()


def test_a_search_that_found_nothing_is_in_the_flow(store):
    searched(store, "pubmed")
    (given_,) = held_in(store, "c").flow
    assert (given_.label, given_.identified, given_.added) == ("PubMed", 0, 0)


def test_a_decision_under_an_old_name_counts_for_the_record(store):
    store.add([record("7", doi="10.9999/Seven")], on=MONDAY)
    searched(store, "pubmed", "7")
    row = Screening(
        "doi:10.9999/seven", "title-abstract", "EN", "include", "", MONDAY, Place("s.csv", 2)
    )
    extraction = Extraction("c", (), (), (row,), (), ())
    (now,) = held_in(store, "c").under_present_names(extraction).screening
    assert now.record == "7"


# --- copies of one record -------------------------------------------------------------------------

COPIES = st.builds(
    record,
    st.just("9"),
    version=st.integers(1, 2),
    revised=st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 3)),
    retracted_in=st.sampled_from([None, "99"]),
    journal=st.sampled_from(["A", "B"]),
)


@given(COPIES, COPIES)
def test_of_two_copies_one_at_most_takes_the_place_of_what_pubmed_sent(one, two):
    assert not (is_newer(one, two, "2020-02-01") and is_newer(two, one, "2020-02-01"))


@given(COPIES, COPIES)
def test_no_copy_of_the_same_day_takes_a_retraction_back(one, two):
    held, new = (one, two) if one.retracted else (two, one)
    same = (held.version, held.revised) == (new.version, new.revised)
    if held.retracted and not new.retracted and same:
        assert not is_newer(new, held, "2020-02-01")


def test_what_pubmed_never_sent_is_replaced_by_a_copy_of_the_same_day():
    one, two = record("9", journal="A"), record("9", journal="B")
    assert is_newer(two, one, NEVER)
    assert not is_newer(two, one, "2020-02-01")
    assert not is_newer(one, one, NEVER)
    assert is_newer(one, None, NEVER)


def test_an_old_export_takes_no_retraction_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["new", "rowing"]).exit_code == 0
    retracted = record("31234567", retracted_in="99", revised=dt.date(2025, 1, 1))
    path = tmp_path / "old.nbib"
    path.write_text("PMID- 31234567\nTI  - Rowing.\nLR  - 20200101\nPT  - Journal Article\n")
    with Store(tmp_path / "var/evidence.sqlite") as store:
        store.add([retracted], on=TUESDAY)
    for command in (["import", "rowing"], ["search", "rowing", "--file"]):
        done = CliRunner().invoke(main, [*command, str(path)])
        assert done.exit_code == 0, done.output
        with Store(tmp_path / "var/evidence.sqlite") as store:
            assert store.get(["31234567"])["31234567"] == retracted
            assert [s.state for s in store.states(["31234567"])] == ["retraction"]
            assert store.fetched_on(["31234567"]) == {"31234567": TUESDAY.isoformat()}


def test_what_a_file_brings_is_asked_of_pubmed_by_its_next_update(store):
    store.add_export("c", [record("4")], source="set.nbib", on=MONDAY)
    assert store.fetched_on(["4"]) == {"4": NEVER}
    assert store.stale(["4"], MONDAY) == ("4",)


def test_a_reference_is_kept_with_its_record_and_comes_back(store):
    whole = dataclasses.replace(record("8"), pmid="")
    reference = make(title="A draft", doi="10.9999/d").with_(record=whole, at=Place("x y", 1))
    back = reference_of(Other("x y#0000001", "x", body_of(reference), "doi:10.9999/d"))
    assert (back, back.record, back.at) == (reference, whole, reference.at)
