"""What all commands do alike: their letters, their ends, and who is told what went wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from evidence.cli import main
from evidence.commands.session import INTERRUPTED, write_all_letters
from tests.eutils_records import invent
from tests.eutils_server import EutilsServer


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", "I² –".encode()),  # as click has it
        ("latin-1", b"I\xb2 \\u2013"),
        ("utf-8", "I² –".encode()),
    ],
)
def test_no_letter_stops_a_command_whatever_the_terminal_can_show(encoding, written):
    held = io.BytesIO()
    stream = io.TextIOWrapper(held, encoding=encoding)
    write_all_letters(stream)
    stream.write("I² –")
    stream.flush()
    assert held.getvalue() == written


def test_a_narrow_encoding_leaves_json_whole(tmp_path):
    file = tmp_path / "Übung – \U0001f600.txt"
    file.write_text("exercis*[tiab]", encoding="utf-8")
    words = [sys.executable, "-m", "evidence", "lint", str(file), "--json"]
    env = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(words, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["file"] == str(file)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_answer_that_cannot_be_written_is_a_fault_without_a_traceback(tmp_path):
    file = tmp_path / "query.txt"
    file.write_text("exercis*[tiab]")
    words = [sys.executable, "-m", "evidence", "lint", str(file)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: cannot write the answer to standard output: no space left on device\n"
        "try: free some space on the disk, then run the command again\n"
    )


def ended_by(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A command that is ended by a fault from below."""

    @click.command("work")
    def work() -> None:
        raise fault

    monkeypatch.setitem(main.commands, "work", work)
    return CliRunner().invoke(main, ["work"])


def test_an_interrupt_ends_with_a_sentence(monkeypatch):
    done = ended_by(KeyboardInterrupt(), monkeypatch)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"\n{INTERRUPTED}\n")


def test_a_fault_of_the_disk_names_the_file_and_what_to_do(monkeypatch):
    fault = PermissionError(errno.EACCES, "Permission denied", "queries/sleep.toml")
    done = ended_by(fault, monkeypatch)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "error: cannot use queries/sleep.toml: permission denied\n"
        "try: check who may read and write there\n"
    )


def test_a_fault_of_the_system_without_a_file_is_not_blamed_on_one(monkeypatch):
    done = ended_by(OSError(errno.EADDRINUSE, "Address already in use"), monkeypatch)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the system refused: address already in use\ntry: ")


def test_a_reader_that_has_seen_enough_is_no_fault_to_talk_of(monkeypatch):
    done = ended_by(BrokenPipeError(errno.EPIPE, "Broken pipe"), monkeypatch)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "")


def test_a_folder_without_claims_says_how_to_start_one(tmp_path):
    (tmp_path / "queries").mkdir()
    for words in (["check"], ["check", "sleep"], ["search", "sleep"]):
        done = CliRunner().invoke(main, ["--root", str(tmp_path), *words])
        assert done.exit_code == 1
        assert done.stderr.endswith("holds no claim\ntry: start one with: evidence new CLAIM\n")


def test_an_included_study_that_pubmed_does_not_know_is_told(root, tmp_path):
    for name in ("queries/hiit-bdnf.toml", "extracted/hiit-bdnf"):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir()
        copy(root / name, tmp_path / name)
    with EutilsServer(invent(3)) as server:
        env = {"EVIDENCE_EUTILS_URL": server.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        words = ["--root", str(tmp_path), "search", "hiit-bdnf"]
        done = CliRunner().invoke(main, words, env=env)
    assert done.exit_code == 0
    assert "included studies that PubMed does not know, and so not checked" in done.stdout


def test_numbers_of_things_to_print_are_never_negative():
    for words in (["rank", "--top"], ["chase", "sleep", "--similar"]):
        done = CliRunner().invoke(main, [*words, "-1"])
        assert done.exit_code == 2
        assert "-1 is not in the range x>=0" in done.stderr
