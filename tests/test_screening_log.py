"""Decisions on disk: added at once, by several at a time, and whole after a crash."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import InputError, SchemaError, ToolkitError
from evidence.extracted import read_extraction
from evidence.model import Screening
from evidence.screening import Desk, Entry, ScreeningLog
from evidence.screening import lock as lock_module
from evidence.screening.lock import locked
from evidence.screening.rows import COLUMNS, HEADER, RowReader, row_text
from tests.rows import write_tables

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
OLD = b"record,stage,reviewer,decision,reason,date\n"


def at_noon() -> dt.datetime:
    return NOON


def a_log(folder: Path, data: bytes | None = None) -> ScreeningLog:
    path = folder / "screening.csv"
    if data is not None:
        path.write_bytes(data)
    return ScreeningLog(path, clock=at_noon)


def exclude(record: str, reviewer: str = "A", reason: str = "") -> Entry:
    return Entry(record, "title-abstract", reviewer, "exclude", reason)


def names(log: ScreeningLog) -> list[str]:
    return [row.record for row in log.rows]


def test_a_decision_is_a_line_with_date_and_time(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    (row,) = log.append(Entry("11", "full-text", "A. B.", "exclude", 'no, "none"\nat all', "x"))
    assert log.path.read_bytes() == HEADER + (
        b'11,full-text,A. B.,exclude,"no, ""none"" at all",2026-03-01,,x,,'
        b"2026-03-01T10:00:00.000000Z\n"
    )
    assert (row.date, row.time, str(row.at)) == (dt.date(2026, 3, 1), NOON, "screening.csv:2")


def test_rows_of_one_record_keep_their_order_when_the_clock_stands_or_goes_back(
    tmp_path: Path,
) -> None:
    log = a_log(tmp_path)
    log.append(exclude("11"))
    log._clock = lambda: NOON - dt.timedelta(hours=1)
    log.append(exclude("11"))
    log.append(exclude("12"))
    times = [row.time for row in log.rows]
    assert times[1] == NOON + dt.timedelta(microseconds=1)
    assert times[2] == NOON - dt.timedelta(hours=1)


def test_a_file_of_before_is_widened_in_its_header_alone(tmp_path: Path) -> None:
    before = b'11,title-abstract,A,include,"x\ny",2026-01-01\r\n'
    log = a_log(tmp_path, b"\xef\xbb\xbf" + OLD.replace(b"\n", b"\r\n") + before)
    log.append(exclude("12"))
    head, rest = log.path.read_bytes().split(b"\r\n", 1)
    assert head == b"\xef\xbb\xbf" + HEADER.strip()
    assert rest.startswith(before)
    assert [(r.record, r.reason, r.time is None) for r in log.rows] == [
        ("11", "x\ny", True),
        ("12", "", False),
    ]


def test_a_file_that_does_not_end_with_a_line_break_gets_one(tmp_path: Path) -> None:
    log = a_log(tmp_path, OLD + b"11,title-abstract,A,include,x,2026-01-01")
    log.append(exclude("12"))
    assert names(read_again(log)) == ["11", "12"]
    assert log.notices == []


def read_again(log: ScreeningLog) -> ScreeningLog:
    again = ScreeningLog(log.path)
    again.refresh()
    return again


def test_columns_in_an_order_of_their_own_are_kept(tmp_path: Path) -> None:
    head = b"decision,record,date,reviewer,stage,reason\n"
    log = a_log(tmp_path, head + b"include,11,2026-01-01,A,full-text,x\n")
    log.append(exclude("12"))
    assert log.path.read_bytes().splitlines()[2].startswith(b"exclude,12,2026-03-01,A,")
    assert names(read_again(log)) == ["11", "12"]


def test_what_another_process_added_is_read_on_from_where_reading_ended(tmp_path: Path) -> None:
    one, two = a_log(tmp_path), a_log(tmp_path)
    assert two.refresh() == []
    one.append([exclude("11"), exclude("12")])
    assert [r.record for r in two.refresh()] == ["11", "12"]
    two.append(exclude("13"))
    one.append(exclude("14"))
    assert [r.record for r in two.refresh()] == ["14"]
    assert names(one) == names(two) == ["11", "12", "13", "14"]
    assert [r.at.line for r in two.rows] == [2, 3, 4, 5]
    assert (one.generation, two.generation) == (0, 0)


def test_a_row_that_a_person_changed_makes_the_reading_begin_anew(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.append([exclude("11"), exclude("12")])
    data = log.path.read_bytes()
    log.path.write_bytes(data.replace(b"12,", b"99,"))
    os.utime(log.path, ns=(1, 1))
    assert [r.record for r in log.refresh()] == ["11", "99"]
    assert log.generation == 1
    log.path.unlink()
    assert log.refresh() == []
    assert (log.rows, log.generation) == ([], 2)


def test_a_file_with_a_row_that_cannot_be_used_is_not_written_to(tmp_path: Path) -> None:
    data = OLD + b"11,title-abstract,A,inlcude,x,2026-01-01\n12,title,A,include,x,1.1.2026\n"
    log = a_log(tmp_path, data)
    with pytest.raises(SchemaError) as fault:
        log.append(exclude("13"))
    assert [p.partition("  ")[0] for p in fault.value.places] == [
        "screening.csv:2",
        "screening.csv:3",
        "screening.csv:3",
    ]
    assert "'inlcude' is none of: include, exclude, unsure" in fault.value.places[0]
    assert log.path.read_bytes().endswith(data.partition(b"\n")[2])
    log.path.write_bytes(OLD)
    log.append(exclude("13"))
    assert names(log) == ["13"]


def test_a_file_that_was_broken_and_mended_counts_each_row_once(tmp_path: Path) -> None:
    desk = Desk(ScreeningLog(tmp_path / "screening.csv"))
    for decision in ("exclude", "include"):
        desk.decide("11", "title-abstract", "A", decision)  # type: ignore[arg-type]
    desk.undo("A", "11")
    whole = desk.log.path.read_bytes()
    desk.log.path.write_bytes(whole + b"12,title,A,include,,2026-01-01,,,,\n")
    with pytest.raises(SchemaError, match="cannot be used"):
        desk.refresh()
    desk.log.path.write_bytes(whole)
    assert desk.refresh() == {"11"}
    # Were the rows taken twice, the withdrawal would take back the first decision too.
    assert desk.state.standing("11", "title-abstract").final == "exclude"
    assert len(desk.state.history("11")) == len(desk.log.rows) == 3


def test_a_fault_in_what_is_done_under_the_lock_is_not_told_as_one_of_the_lock(
    tmp_path: Path,
) -> None:
    log = a_log(tmp_path)
    with pytest.raises(OSError, match="no space"), log.held():
        raise OSError("no space")
    log.append(exclude("13"))
    assert names(log) == ["13"]


def test_a_mark_of_a_merge_is_told_although_a_torn_row_is_cut_off_too(tmp_path: Path) -> None:
    row = b"11,title-abstract,A,exclude,x,2026-01-01\n"
    log = a_log(tmp_path, OLD + row + b"=======\n" + b"12,title-abstract,B,excl")
    log.append(exclude("13"))
    assert names(log) == ["11", "13"]
    told = [notice.partition("  ")[2] for notice in log.notices]
    assert told[0].startswith("is a mark of a merge")
    assert told[1].startswith("was not written to its end and does not count")
    assert len(told) == 2


def test_an_entry_without_a_name_is_refused(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    with pytest.raises(InputError) as fault:
        log.append([exclude("11", " \n"), exclude(""), Entry("1", "title", "A", "exclude")])  # type: ignore[arg-type]
    assert fault.value.places == (
        "11: the reviewer is empty",
        "(no record): the record is empty",
        "1: stage 'title' is none of: title-abstract, full-text",
    )
    assert not log.path.exists()


# --- a crash in the middle of a write ------------------------------------------------------------


WHOLE = HEADER + b"11,title-abstract,A,include,x,2026-03-01,,,,2026-03-01T10:00:00.000000Z\n"


@pytest.mark.parametrize(
    "last",
    [
        b"12,title-abstract,A,exclude,,2026-03-01,,,,2026-03-01T10:00:01.000000Z\n",
        '12,full-text,Žofie,exclude,"no ""x"", none",2026-03-01,resolution,ň,f:2,'
        "2026-03-01T10:00:01.000000Z\n".encode(),
    ],
)
def test_a_row_cut_at_any_byte_is_cut_off_with_its_bytes_kept(tmp_path: Path, last: bytes) -> None:
    for cut in range(1, len(last)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        log = a_log(folder, WHOLE + last[:cut])
        log.append(exclude("13"))
        rows = [r for r in read_again(log).rows if r.record == "12"]
        torn = folder / "screening.csv.torn"
        if rows:  # all but the line break, or all but the time, had been written
            assert last[:cut].decode().rstrip() in (last.decode().strip(), last[:-28].decode())
            assert log.notices == []
        else:
            assert torn.read_bytes() == last[:cut] + b"\n"
            assert len(log.notices) == 1
            assert log.notices[0].startswith(
                "screening.csv:3  was not written to its end and does not count: "
            )
        assert names(log)[-1] == "13"
        assert names(log)[0] == "11"


def test_reading_alone_leaves_a_torn_row_where_it_is(tmp_path: Path) -> None:
    log = a_log(tmp_path, WHOLE + b"12,title-abst")
    assert [r.record for r in log.refresh()] == ["11"]
    assert log.notices == ["screening.csv:3  is not written to its end: '12,title-abst'"]
    assert log.refresh() == []
    assert len(log.notices) == 1
    assert log.path.read_bytes() == WHOLE + b"12,title-abst"
    log.repair()
    assert log.path.read_bytes() == WHOLE


def test_the_table_reader_passes_over_a_row_that_is_being_written(tmp_path: Path) -> None:
    folder = write_tables(tmp_path, screening=[{}])
    with (folder / "screening.csv").open("ab") as file:
        file.write(b"12,full-te")
    found = read_extraction(tmp_path, "a-claim")
    assert [r.record for r in found.screening] == ["12345678"]
    assert found.notices == ("extracted/a-claim/screening.csv:3  is not written to its end",)


def test_a_file_of_which_only_a_part_of_the_header_was_written_begins_anew(tmp_path: Path) -> None:
    for cut in range(len(HEADER)):
        log = a_log(tmp_path, HEADER[:cut])
        log.append(exclude("11"))
        assert names(read_again(log)) == ["11"], cut
        assert log.path.read_bytes().startswith(HEADER)


def test_zeros_that_a_power_cut_leaves_behind_are_cut_off(tmp_path: Path) -> None:
    log = a_log(tmp_path, WHOLE + bytes(100))
    log.append(exclude("13"))
    assert names(log) == ["11", "13"]
    assert log.path.with_name("screening.csv.torn").read_bytes() == bytes(100) + b"\n"


cells = st.text(st.characters(codec="utf-8"), max_size=8)
rows = st.builds(
    Entry,
    record=cells.filter(lambda t: t.strip()),
    stage=st.sampled_from(["title-abstract", "full-text"]),
    reviewer=st.sampled_from(["A", "Žofie", 'N, "N"', "record"]),
    decision=st.sampled_from(["include", "exclude", "unsure", "withdrawn", "note"]),
    reason=cells,
    note=cells,
    resolution=st.booleans(),
    source=cells,
)


@given(entries=st.lists(rows, min_size=1, max_size=6), data=st.data())
def test_no_whole_row_is_lost_and_no_torn_one_counts(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], data: st.DataObject
) -> None:
    log = a_log(tmp_path_factory.mktemp("log"))
    try:
        log.append(entries)
    except InputError:
        return  # a record of control characters alone
    whole = log.path.read_bytes()
    assert [(r.decision, r.kind) for r in read_again(log).rows] == [
        (e.decision, "resolution" if e.resolution else "") for e in entries
    ]
    cut = data.draw(st.integers(len(HEADER), len(whole)))
    log.path.write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n") - 1
    again = ScreeningLog(log.path, clock=at_noon)
    again.append(exclude("end"))
    assert again.rows[:left] == log.rows[:left]
    assert len(again.rows) in (left + 1, left + 2)
    assert again.rows[-1].record == "end"
    assert read_again(again).rows == again.rows


@given(st.lists(rows, max_size=5), st.integers(0, 400))
def test_feeding_a_file_in_two_parts_reads_the_same_as_in_one(
    entries: list[Entry], cut: int
) -> None:
    lines = []
    for n, e in enumerate(entries):
        when = NOON + dt.timedelta(seconds=n)
        row = Screening(
            e.record,
            e.stage,
            e.reviewer,
            e.decision,
            e.reason,
            when.date(),
            None,  # type: ignore[arg-type]
            note=e.note,
            time=when,
        )
        lines.append(row_text(row, COLUMNS))
    data = HEADER + "".join(lines).encode()
    one, two = RowReader("f"), RowReader("f")
    at_once = one.feed(data)
    first = two.feed(data[:cut])
    second = two.feed(data[two.whole :])
    if two._useless or first.faults or second.faults or at_once.faults:
        return  # a cell that only a quoted line break or a bare CR could hold
    # A row without its last byte, the line break, is whole; one cut elsewhere waits for the rest.
    assert [r.record for r in (*first.rows, *second.rows)] == [r.record for r in at_once.rows]


WRITER = """
import sys
from pathlib import Path
from evidence.screening import Entry, ScreeningLog
log = ScreeningLog(Path(sys.argv[1]))
name, count = sys.argv[2], int(sys.argv[3])
for n in range(count):
    log.append(Entry(f"{name}{n}", "title-abstract", name, "exclude", "reason " * 20))
    print(n, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_and_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "screening.csv"
    path.write_bytes(OLD)  # the header is widened under their hands, too
    writers = [writer(path, name, 60) for name in ("A", "B", "C")]
    log = ScreeningLog(path)
    threads = [
        threading.Thread(
            target=lambda name=name: [log.append(exclude(f"{name}{n}", name)) for n in range(40)]
        )
        for name in ("D", "E")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    log.refresh()
    assert len(log.rows) == 3 * 60 + 2 * 40
    for name, count in (("A", 60), ("B", 60), ("C", 60), ("D", 40), ("E", 40)):
        own = [r.record for r in log.rows if r.reviewer == name]
        assert own == [f"{name}{n}" for n in range(count)]
    assert log.notices == []
    assert sorted(read_again(log).rows, key=str) == sorted(log.rows, key=str)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_was_confirmed_is_there_after_a_kill_and_the_next_can_write(tmp_path: Path) -> None:
    path = tmp_path / "screening.csv"
    for round_ in range(4):
        process = writer(path, f"K{round_}-", 10_000)
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(5 + 3 * round_)]
        process.send_signal(signal.SIGKILL)
        confirmed += [int(line) for line in process.stdout.read().split()]
        process.stdout.close()
        process.wait()
        log = ScreeningLog(path)
        log.append(exclude(f"after {round_}"))
        own = [r.record for r in log.rows if r.reviewer == f"K{round_}-"]
        assert own[: len(confirmed)] == [f"K{round_}-{n}" for n in confirmed]
        assert len(own) <= len(confirmed) + 1  # written, and killed before it could say so


def test_a_disk_that_refuses_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_log(tmp_path)
    log.append(exclude("11"))
    before = log.path.read_bytes()
    real = os.write

    def half(descriptor: int, data: memoryview) -> int:
        real(descriptor, bytes(data[:7]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(ToolkitError, match="No space left"):
        log.append(exclude("12"))
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    log.append(exclude("13"))
    assert names(log) == ["11", "13"]


# --- the lock ------------------------------------------------------------------------------------


def test_a_lock_that_is_never_given_back_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "screening.csv"
    with (
        locked(path),
        pytest.raises(ToolkitError, match="another program is writing"),
        locked(path, wait=0.02),
    ):
        pass
    with locked(path, wait=0.02):
        pass


def test_without_flock_a_file_beside_it_is_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "fcntl", None)
    log = a_log(tmp_path)
    log.append(exclude("11"))
    mark = tmp_path / "screening.csv.lock"
    assert not mark.exists()
    mark.touch()
    with (
        pytest.raises(ToolkitError, match=r"screening\.csv\.lock says"),
        locked(log.path, wait=0.02),
    ):
        pass
    mark.unlink()
    log.append(exclude("12"))
    assert names(log) == ["11", "12"]


# --- merges --------------------------------------------------------------------------------------


def test_marks_of_an_open_merge_and_rows_that_stand_twice_do_no_harm(tmp_path: Path) -> None:
    row = b"%d,title-abstract,A,exclude,,2026-03-01,,,,2026-03-01T10:00:0%d.000000Z\n"
    one, two, three = (row % (11, 1), row % (12, 2), row % (13, 3))
    log = a_log(
        tmp_path,
        HEADER
        + one
        + b"<<<<<<< HEAD\n"
        + two
        + b"||||||| base\n=======\n"
        + three
        + two
        + b">>>>>>> other branch\n"
        + HEADER,
    )
    log.refresh()
    assert names(log) == ["11", "12", "13"]
    assert [n.partition("  ")[0] for n in log.notices] == [
        f"screening.csv:{n}" for n in (3, 5, 6, 8, 9)
    ]
    log.append(exclude("14"))
    assert names(read_again(log)) == ["11", "12", "13", "14"]


def test_rows_of_both_widths_may_stand_in_a_file_that_was_merged(tmp_path: Path) -> None:
    wide = b"11,title-abstract,A,exclude,,2026-03-01,,,,2026-03-01T10:00:01.000000Z\n"
    narrow = b"12,title-abstract,A,exclude,,2026-03-01\n"
    for head in (OLD, HEADER, OLD + HEADER, HEADER + OLD):
        reader = RowReader("f")
        found = reader.feed(head + wide + narrow)
        assert ([r.record for r in found.rows], found.faults) == (["11", "12"], [])


def test_git_merges_two_people_s_decisions_by_union(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    folder = write_tables(tmp_path)
    (tmp_path / ".gitattributes").write_bytes(
        (Path(__file__).resolve().parents[1] / ".gitattributes").read_bytes()
    )
    (folder / "screening.csv").write_bytes(OLD + b"10,title-abstract,A,include,,2026-01-01\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "start")
    git("switch", "-qc", "other")
    log = ScreeningLog.of(tmp_path, "a-claim")
    log.append([exclude("11", "B"), exclude("12", "B")])
    git("commit", "-qam", "b")
    git("switch", "-q", "main")
    log.append([exclude("21", "A"), exclude("22", "A")])
    assert log.generation > 0
    git("commit", "-qam", "a")
    git("merge", "-q", "other", "-m", "both")
    log.refresh()
    assert sorted(names(log)) == ["10", "11", "12", "21", "22"]
    assert log.notices == []
    found = read_extraction(tmp_path, "a-claim").screening
    assert sorted(r.record for r in found) == ["10", "11", "12", "21", "22"]


def test_a_file_that_git_puts_in_its_place_during_a_write_gets_the_decision_too(
    tmp_path: Path,
) -> None:
    log = a_log(tmp_path, WHOLE)
    other = WHOLE.replace(b"11,", b"22,")

    def replacing() -> dt.datetime:  # the clock is read between the reading and the writing
        if log._clock is replacing:
            log._clock = at_noon
            (tmp_path / "new").write_bytes(other)
            (tmp_path / "new").replace(log.path)
        return NOON

    log._clock = replacing
    log.append(exclude("33"))
    assert names(log) == names(read_again(log)) == ["22", "33"]
    assert log.generation == 1


def test_what_is_written_is_csv_as_others_read_it(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.append(Entry("11", "full-text", 'A, "B"', "include", "=1+1; x", note="ž\u2028y"))
    (row,) = csv.DictReader(io.StringIO(log.path.read_text("utf-8"), newline=""))
    assert (row["reviewer"], row["reason"], row["note"]) == ('A, "B"', "=1+1; x", "ž y")
