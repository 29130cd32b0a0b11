"""A search beyond the window goes on from the parts it has, and only while they still hold."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from evidence.errors import SourceBusy
from evidence.fetch import Eutils, Limiter
from evidence.pubmed import search
from evidence.retrieval import update_claim
from evidence.store import Store
from tests.eutils_records import Article, invent
from tests.eutils_server import EutilsServer, Fault

TODAY = dt.date(2026, 3, 2)
QUERY = "study[tiab]"
WINDOW = 25


@pytest.fixture(autouse=True)
def _small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WINDOW", WINDOW)


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(400)) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evidence.sqlite") as store:
        yield store


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    limiter = Limiter(tmp_path / "limiter", 10_000)
    with contextlib.closing(Eutils(server.url, limiter=limiter, sleep=lambda s: None)) as eutils:
        yield eutils


def stopped(server: EutilsServer, eutils: Eutils, store: Store, after: int) -> None:
    """A search that fails for good after so many replies."""
    server.faults.append(Fault("500", times=99, on="esearch", after=after))
    with pytest.raises(SourceBusy):
        update_claim("all", QUERY, eutils, store, on=TODAY)
    server.faults.clear()
    assert store.counts("all").found is None  # nothing of it is published


@pytest.mark.parametrize("after", [1, 5, 20, 40])
def test_a_stopped_search_goes_on_from_what_it_has(server, eutils, store, after):
    stopped(server, eutils, store, after)
    name = hashlib.sha256(QUERY.encode()).hexdigest()
    held = {
        f"({QUERY}) AND {max(s[0], 1)}:{s[1]}[uid]" for s in store.slices(name, since=TODAY) if s[3]
    }
    sent = len(server.sent("esearch"))
    found = update_claim("all", QUERY, eutils, store, on=TODAY)
    assert found.new == tuple(server.records)
    again = [r.fields for r in server.sent("esearch")[sent:] if r.fields["retmax"] != "0"]
    assert not held & {fields["term"] for fields in again}
    assert after < 40 or len(held) > 3


def test_a_part_that_changed_in_between_is_asked_for_again(server, eutils, store):
    stopped(server, eutils, store, 40)
    first, second = list(server.records)[:2]
    del server.records[first]
    for pmid in ("90000002", "90000003"):
        server.records[pmid] = Article(pmid, title="A study.", revised=TODAY)
    found = update_claim("all", QUERY, eutils, store, on=TODAY)
    assert set(found.new) == set(server.records)
    assert second in found.new


def test_parts_are_forgotten_once_the_search_is_whole_or_too_old(server, eutils, store):
    stopped(server, eutils, store, 30)
    name = "3c" * 32
    store.keep_slice(name, 1, 9, [3], reply="", on=TODAY)
    assert store._db.execute("SELECT count(*) FROM slices").fetchone()[0] > 3
    update_claim("all", QUERY, eutils, store, on=TODAY)
    assert [row[2] for row in store.slices(name, since=TODAY)] == [""]
    update_claim("all", QUERY, eutils, store, on=TODAY + dt.timedelta(9))
    assert store._db.execute("SELECT count(*) FROM slices").fetchone()[0] == 0


def test_the_parts_of_another_query_are_not_used(server, eutils, store):
    stopped(server, eutils, store, 30)
    found = update_claim("other", "exercise[tiab]", eutils, store, on=TODAY)
    assert set(found.new) == {p for p, a in server.records.items() if " exercise " in a.words}


def test_parts_of_the_week_before_are_not_used(server, eutils, store):
    stopped(server, eutils, store, 30)
    sent = len(server.sent("esearch"))
    update_claim("all", QUERY, eutils, store, on=TODAY + dt.timedelta(7))
    assert {r.fields["retmax"] for r in server.sent("esearch")[sent:]} == {str(WINDOW)}


class Kept:
    """Parts in memory."""

    def __init__(self) -> None:
        self.slices: dict[tuple[int, int], search.Slice] = {}

    def kept(self) -> list[search.Slice]:
        return list(self.slices.values())

    def since(self) -> str:
        return "2026/02/28"

    def keep(self, slice_: search.Slice) -> None:
        self.slices[slice_.part.low, slice_.part.high] = slice_

    def forget(self) -> None:
        self.slices.clear()


@settings(max_examples=25, phases=(Phase.generate,))
@given(
    st.sets(st.integers(1, 5_000), min_size=60, max_size=200),
    st.sets(st.integers(1, 5_000), max_size=30),
    st.integers(0, 60),
)
def test_whatever_changes_while_a_search_is_stopped_the_next_one_gives_the_truth(
    first, changed, after
):
    with (
        EutilsServer(Article(str(n), title="A study.") for n in first) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        limiter = Limiter(Path(folder) / "limiter", 10_000)
        eutils = Eutils(server.url, limiter=limiter, sleep=lambda s: None)
        kept = Kept()
        server.faults.append(Fault("500", times=99, after=after))
        with contextlib.suppress(SourceBusy):
            search.find(QUERY, eutils, slices=kept)
        server.faults.clear()
        for n in changed:
            if n in first:
                del server.records[str(n)]
            else:
                server.records[str(n)] = Article(str(n), title="A study.", revised=TODAY)
        found = search.find(QUERY, eutils, slices=kept)
        eutils.close()
    assert {int(p) for p in found.pmids} == first ^ changed
    assert sum(part.count for part in found.parts) == found.count
