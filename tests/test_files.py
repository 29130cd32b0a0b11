"""The door to the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evidence.errors import ToolkitError
from evidence.files import (
    alone,
    read_bytes,
    read_text,
    remove_part,
    write_bytes,
    write_csv,
    write_text,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "page.html"
    assert write_text(path, "Hötting ± 0.5\n")
    assert read_text(path) == "Hötting ± 0.5\n"
    assert read_bytes(path) == "Hötting ± 0.5\n".encode()


def test_the_same_content_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_text(path, "one")
    os.utime(path, (1, 1))
    assert not write_text(path, "one")
    assert path.stat().st_mtime == 1
    assert write_text(path, "two")
    assert path.stat().st_mtime > 1


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    write_text(path, "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(Path, "replace", full)
        elif step == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(os, "fdopen", full)
        with pytest.raises(ToolkitError) as fault:
            write_text(path, "new")
    assert str(fault.value) == (
        f"cannot write {path}: no space left on device\n"
        "try: free some space on the disk, then run the command again"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert read_text(path) == "old"


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    path = tmp_path / "page[1].html"
    write_text(path, "old")
    (tmp_path / ".page[1].html.0a1b2c3d.part").write_text("half a pa")
    (tmp_path / ".other.html.0a1b2c3d.part").write_text("another file's")
    write_text(path, "old")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".other.html.0a1b2c3d.part",
        "page[1].html",
    ]


def test_what_another_process_writes_just_now_is_left_alone(tmp_path: Path) -> None:
    path, part = tmp_path / "page.html", tmp_path / ".page.html.0a1b2c3d.part"
    with part.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("half a pa")
        assert write_text(path, "new")
        assert not remove_part(part)
        assert part.exists()
    assert remove_part(part)
    assert not part.exists()


def test_a_part_that_is_removed_before_it_is_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, removed = tmp_path / "page.html", []
    real = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob(".*.part"))
            removed[0].unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert write_text(path, "new")
    assert read_text(path) == "new"
    assert len(removed) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_by_one_at_a_time_and_ends_with_its_process(tmp_path: Path) -> None:
    lock, waited = tmp_path / "var" / "lock", []
    program = (
        "import pathlib, sys, time; from evidence.files import alone\n"
        "with alone(pathlib.Path(sys.argv[1]), waits=print):\n"
        "    print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, lock], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"in\n"
    with alone(lock, waits=lambda: waited.append(other.kill())):
        assert len(waited) == 1  # it was waited for until it was killed
    other.communicate()
    with alone(lock, waits=pytest.fail):
        pass


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"cannot read .*none\.csv: no such file") as fault:
        read_bytes(tmp_path / "none.csv")
    assert "check the spelling" in str(fault.value)


def test_a_folder_in_the_way_says_so(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ToolkitError, match=r"cannot write .*is a directory") as fault:
        write_bytes(tmp_path / "page.html", b"text")
    assert "move it away" in str(fault.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]


def test_text_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "effects.csv"
    path.write_bytes(b"name\nH\xf6tting\n")
    with pytest.raises(ToolkitError) as fault:
        read_text(path)
    assert f"{path}:2  byte 0xf6" in str(fault.value)
    assert "UTF-8" in str(fault.value)


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "effects.csv"
    path.write_bytes(b"\xef\xbb\xbfname\n")
    assert read_text(path) == "name\n"


def test_a_csv_quotes_what_needs_it_and_leaves_absence_empty(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv(path, ["name", "n"], [{"name": 'a, "b"', "n": None}, {"name": "c", "n": 0.1}])
    assert path.read_bytes() == b'name,n\n"a, ""b""",\nc,0.1\n'


def test_a_csv_row_with_an_unknown_column_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not in fieldnames"):
        write_csv(tmp_path / "rows.csv", ["name"], [{"nome": "a"}])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask of this kind")
def test_others_may_read_what_the_umask_lets_them_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "page.html", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644
