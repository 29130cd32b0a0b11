"""The database door: whole after every accident, honest about what it holds."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.errors import StoreError
from evidence.model import Record, SearchRun
from evidence.pubmed import parse_articles
from evidence.store import MIGRATIONS, Store
from tests.eutils_records import invent

MONDAY, TUESDAY = dt.date(2026, 3, 2), dt.date(2026, 3, 3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "var" / "evidence.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def records() -> list[Record]:
    body = "".join(article.xml() for article in invent(20))
    return parse_articles(f"<PubmedArticleSet>{body}</PubmedArticleSet>".encode())[0]


def search(on: dt.date = MONDAY, **changes: object) -> SearchRun:
    run = SearchRun("x", "pubmed", on, "a[tiab]", "a[Title/Abstract]", 2, ("not found: b",), True)
    return dataclasses.replace(run, **changes)


def test_what_is_put_in_comes_out_the_same(store, records):
    added = store.add(records, on=MONDAY)
    assert added.new == tuple(r.pmid for r in records)
    store.settle("x", [r.pmid for r in records], search())
    assert store.records("x") == tuple(records)
    assert store.get([records[3].pmid]) == {records[3].pmid: records[3]}
    assert store.runs("x") == (search(),)


def test_a_record_is_new_then_the_same_then_changed_then_retracted(store, records):
    record = dataclasses.replace(records[0], retracted=False)
    changed = dataclasses.replace(record, title="Corrected.")
    retracted = dataclasses.replace(changed, retracted=True)
    added = [store.add([r], on=MONDAY) for r in (record, record, changed, retracted, retracted)]
    assert [(len(a.new), len(a.changed), len(a.retracted)) for a in added] == [
        (1, 0, 0),
        (0, 0, 0),
        (0, 1, 0),
        (0, 1, 1),
        (0, 0, 0),
    ]
    assert store.get([record.pmid]) == {record.pmid: retracted}


def test_a_record_goes_stale_after_ninety_days(store, records):
    pmid = records[0].pmid
    store.add(records[:1], on=MONDAY)
    asked = [pmid, "99999999"]
    assert store.stale(asked, MONDAY + dt.timedelta(days=90)) == ("99999999",)
    assert store.stale(asked, MONDAY + dt.timedelta(days=91)) == (pmid, "99999999")
    assert store.stale(asked, MONDAY + dt.timedelta(days=8), days=7) == (pmid, "99999999")
    store.add(records[:1], on=TUESDAY)
    assert store.fetched_on(asked) == {pmid: "2026-03-03"}


def test_more_pmids_than_one_statement_takes_are_looked_up(store, records):
    store.add(records, on=MONDAY)
    asked = [str(n) for n in range(1, 1_300)] + [r.pmid for r in records]
    assert len(store.get(asked)) == len(records)
    assert len(store.stale(asked, MONDAY)) == 1_299


def test_a_claims_set_moves_and_remembers_when(store, records):
    store.add(records[:3], on=MONDAY)
    a, b, c = (r.pmid for r in records[:3])
    assert store.settle("x", [a, b], search()) == store.settle("y", [a, b], search(claim="y"))
    moved = store.settle("x", [b, c], search(TUESDAY))
    assert (moved.new, moved.dropped) == ((c,), (a,))
    assert store.members("x") == {b: MONDAY, c: TUESDAY}
    assert [r.pmid for r in store.records("x")] == [b, c]
    assert store.members("y") == {a: MONDAY, b: MONDAY}
    back = store.settle("x", [a, b, c], search(dt.date(2026, 3, 4)))
    assert (back.new, back.dropped) == ((a,), ())
    assert store.members("x")[a] == MONDAY


def test_counts_tell_never_searched_from_nothing_found(store, records):
    assert store.counts("x").found is None
    store.settle("x", [], search(count=0))
    assert store.counts("x").found == 0
    store.add(records[:7], on=MONDAY)  # the seventh is retracted
    store.settle("x", [*(r.pmid for r in records[:7]), "99999999"], search(TUESDAY))
    counts = store.counts("x")
    assert dataclasses.astuple(counts) == (8, 1, 0, 1)
    store.settle("x", [records[0].pmid], search(dt.date(2026, 3, 4)))
    assert dataclasses.astuple(store.counts("x")) == (1, 0, 7, 0)


def test_the_same_search_on_the_same_day_is_logged_once(store):
    revised = search(kind="revised", query="(a[tiab]) AND 2026/02/28:3000[lr]")
    for count in (2, 3):
        store.settle("x", ["1"], search(count=count), revised=["1"], revised_run=revised)
    assert store.runs("x") == (search(count=3),)
    assert store.runs("x", kinds=("full", "revised")) == (search(count=3), revised)
    store.settle("x", ["1"], search(TUESDAY))
    assert [run.ran_on for run in store.runs("x")] == [MONDAY, TUESDAY]


def test_revisions_listed_on_a_day_are_remembered_for_that_day(store):
    store.settle("x", ["1", "2"], search(), revised=["2"])
    assert store.revised_seen("x", MONDAY) == {"2"}
    assert store.revised_seen("x", TUESDAY) == set()


def test_a_retraction_is_told_once(store, records):
    store.add(records, on=MONDAY)
    everything = [r.pmid for r in records]
    retracted = tuple(r.pmid for r in records if r.retracted)
    assert len(retracted) == 1
    assert store.untold_retractions(everything) == retracted
    assert store.untold_retractions(everything[:2]) == ()
    store.tell(retracted, on=MONDAY)
    assert store.untold_retractions(everything) == ()
    store.add([dataclasses.replace(r, title="New.") for r in records], on=TUESDAY)
    assert store.untold_retractions(everything) == ()


# --- accidents -------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_store_whole(store, records):
    store.add(records[:2], on=MONDAY)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    many = [dataclasses.replace(records[0], pmid=str(n)) for n in range(1, 500)]
    with pytest.raises(StoreError, match="cannot grow") as caught:
        store.add(many, on=TUESDAY)
    assert "free some space" in caught.value.remedy
    assert store.fetched_on([r.pmid for r in [*records, *many]]) == {
        r.pmid: "2026-03-02" for r in records[:2]
    }
    store._db.execute("PRAGMA max_page_count = 100000")
    assert len(store.add(many, on=TUESDAY).new) == 499
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


FULL_DISK = """
    import datetime as dt, resource, sys
    from pathlib import Path
    from evidence.errors import StoreError
    from evidence.pubmed import parse_articles
    from evidence.store import Store
    from tests.eutils_records import invent
    body = "".join(article.xml() for article in invent(400))
    records, _ = parse_articles(f"<PubmedArticleSet>{body}</PubmedArticleSet>".encode())
    with Store(Path(sys.argv[1])) as store:
        store.add(records[:50], on=dt.date(2026, 3, 2))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            store.add(records[50:], on=dt.date(2026, 3, 2))
        except StoreError as fault:
            sys.exit(str(fault))
"""


def test_a_file_that_the_system_lets_grow_no_further_keeps_what_it_had(tmp_path, root):
    path = tmp_path / "evidence.sqlite"
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "cannot grow" in run.stderr
    assert "Traceback" not in run.stderr
    with Store(path) as store:
        assert len(store.fetched_on(str(90_000_001 + 7 * n) for n in range(400))) == 50
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


KILLED = """
    import datetime as dt, os, sys
    from pathlib import Path
    from evidence.pubmed import parse_articles
    from evidence.store import Store
    from tests.eutils_records import invent
    body = "".join(article.xml() for article in invent(30))
    records, _ = parse_articles(f"<PubmedArticleSet>{body}</PubmedArticleSet>".encode())
    store = Store(Path(sys.argv[1]))
    store.add(records[:10], on=dt.date(2026, 3, 2))

    def dying():
        yield from records[10:25]
        os._exit(9)

    store.add(dying(), on=dt.date(2026, 3, 2))
"""


def test_a_batch_interrupted_by_a_kill_is_not_there_and_the_rest_is(tmp_path, root):
    path = tmp_path / "evidence.sqlite"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    assert subprocess.run(command, cwd=root, check=False).returncode == 9
    with Store(path) as store:
        assert len(store.fetched_on(str(90_000_001 + 7 * n) for n in range(30))) == 10
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_interruption_within_python_undoes_the_batch(store, records):
    def dying() -> Iterator[Record]:
        yield records[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(dying(), on=MONDAY)
    assert store.get([records[0].pmid]) == {}
    store.add(records, on=MONDAY)


def test_a_damaged_file_is_told_with_the_way_out(tmp_path):
    path = tmp_path / "evidence.sqlite"
    path.write_bytes(b"this is no database" * 400)
    with pytest.raises(StoreError, match="is damaged: file is not a database") as caught:
        Store(path)
    assert f"delete {path}" in caught.value.remedy


def test_a_damaged_record_is_told_with_the_way_out(store, records):
    store.add(records[:1], on=MONDAY)
    store._db.execute("""UPDATE records SET body = '{"pmid": "7"}'""")
    with pytest.raises(StoreError, match="a record in it cannot be read"):
        store.get([records[0].pmid])


def test_a_file_of_a_newer_version_is_not_touched(tmp_path):
    path = tmp_path / "evidence.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="made by a newer version"):
        Store(path)


def test_opening_again_changes_nothing(tmp_path, records):
    path = tmp_path / "evidence.sqlite"
    with Store(path) as store:
        store.add(records, on=MONDAY)
    before = path.read_bytes()
    with Store(path) as store:
        assert len(store.get(r.pmid for r in records)) == 20
    assert path.read_bytes() == before


def test_a_store_in_use_elsewhere_is_told_as_such(store, tmp_path, records):
    with (
        Store(store.path, busy_s=0.05) as other,
        contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="in use by another process"):
            other.add(records, on=MONDAY)
        writer.execute("ROLLBACK")
        other.add(records, on=MONDAY)


def test_a_reader_sees_the_last_whole_state_while_another_writes(store, records):
    store.add(records[:5], on=MONDAY)
    with Store(store.path) as reader:

        def looking() -> Iterator[Record]:
            for record in records[5:]:
                yield record
                assert len(reader.get(r.pmid for r in records)) == 5

        store.add(looking(), on=MONDAY)
        assert len(reader.get(r.pmid for r in records)) == 20


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Store(tmp_path / "file" / "evidence.sqlite")


def test_records_from_a_file_stay_where_no_search_ever_found_them(store, records):
    one, two, three = records[:3]
    store.add([one, two], on=MONDAY)
    store.settle("a", [one.pmid, two.pmid], search())
    assert store.add_export("a", [two, three], source="set.nbib", on=MONDAY) == (three.pmid,)
    settled = store.settle("a", [one.pmid], search(count=1))
    assert settled.dropped == (two.pmid,)
    assert set(store.members("a")) == {one.pmid, three.pmid}
    (kept,) = store.runs("a", kinds=("export",))
    assert (kept.query, kept.count) == ("set.nbib", 2)
