"""Parts of the screening server on their own: words, passwords, cookies, where it may listen."""

from __future__ import annotations

import base64
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import ToolkitError
from evidence.screen import opening, passwords
from evidence.screen.app import scheme_css
from evidence.screen.guard import Address
from evidence.screen.highlights import Highlights, segments, tidy
from evidence.screen.lists import search_words
from evidence.screen.passwords import Door, digest, read_passwords
from evidence.screen.refused import Refused
from evidence.screen.serve import Tls, listen, server_of
from evidence.screen.visitors import Visitor, Visitors, key_of
from evidence.screen.wordlists import WordLists
from evidence.workspace import Workspace
from tests import screen_rows as rows

# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "text", "marked"),
    [
        ("exercise", "Exercising, exercises; exercised!", ["Exercising", "exercises", "exercised"]),
        ('"exercise"', "Exercise and exercises", ["Exercise"]),
        ("randomi*", "randomised, RANDOMIZED, random", ["randomised", "RANDOMIZED"]),
        (
            "sprint interval",
            "sprint-interval and sprints, intervals",
            ["sprint-interval", "sprints, intervals"],
        ),
        ("sprint interval", "a sprint. An interval", []),
        ("naive", "naïve", ["naïve"]),
        ("rat", "rate of rats", ["rats"]),
        ("β", "β-blocker", ["β"]),
    ],
)
def test_an_entry_marks_what_it_should(entry, text, marked):
    assert [t for t, kind in segments(text, Highlights(include=(entry,))) if kind] == marked


def test_the_longest_entry_wins_and_of_equals_the_one_for_inclusion():
    words = Highlights(include=("control", "trial"), exclude=("control group", "trial"))
    assert segments("control group, trial, control", words) == [
        ("control group", "exclude"),
        (", ", ""),
        ("trial", "include"),
        (", ", ""),
        ("control", "include"),
    ]


@given(st.text(max_size=80), st.lists(st.text(max_size=12), max_size=4))
def test_marked_pieces_add_up_to_the_text(text, entries):
    found = segments(text, Highlights(include=tidy(entries), exclude=("a", "b c")))
    assert "".join(piece for piece, _ in found) == text
    assert all(piece for piece, _ in found)


def test_word_lists_are_kept_by_reviewer_and_begin_with_those_of_the_claim(tmp_path):
    plan = '\n[screening]\nhighlight = ["BDNF"]\n'
    folder = rows.review(tmp_path / "review", 1, screening=plan)
    claim = Workspace.at(folder).claim(rows.CLAIM)
    lists, others = (WordLists(folder, claim) for _ in range(2))
    assert lists.of("Ana") == Highlights(("BDNF",), ())
    lists.keep("Ana", Highlights(("serum", "Serum ", ","), ('"old, rats"',)))
    others.keep("Ben", Highlights())
    assert lists.of("Ana") == others.of("Ana") == Highlights(("serum",), ('"old, rats"',))
    assert lists.of("Ben") == Highlights()
    assert lists.of("Eve") == Highlights(("BDNF",), ())


def test_word_lists_that_are_no_csv_are_told_with_what_to_do(tmp_path):
    claim = Workspace.at(rows.review(tmp_path / "review", 2)).claim(rows.CLAIM)
    lists = WordLists(tmp_path / "review", claim)
    lists.keep("Ana", Highlights(("sprint",)))
    lists.path.write_text('reviewer,speaks,word\nAna,for,"' + 140_000 * "x", encoding="utf-8")
    with pytest.raises(ToolkitError, match="cannot be read as CSV"):
        lists.of("Ana")


def test_the_words_of_the_search_are_offered():
    claim = Workspace.at(rows.SOURCE.parents[1]).claim("hiit-bdnf")
    words = search_words(claim)
    assert "BDNF" in words
    assert not any("[" in word for word in words)


# --- passwords -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def quick_digests():
    """The real ones are slow on purpose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "N", 2**4)
        yield


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def stored():
    return {"Ana": digest("a long password"), "Ben": digest("another password")}


def test_a_password_lets_in_its_own_name_alone(stored):
    door = Door(stored)
    assert door.admit("Ana", "a long password", origin="x") == "Ana"
    for name, password in (("Ben", "a long password"), ("Eve", "a long password"), ("Ana", "")):
        with pytest.raises(Refused) as fault:
            door.admit(name, password, origin="x")
        assert fault.value.status == 401
    assert "long password" not in str(stored)


def test_after_five_wrong_passwords_everybody_waits_and_longer_each_time(stored):
    clock = Clock()
    door = Door(stored, clock=clock)
    for _ in range(5):
        with pytest.raises(Refused, match="do not belong"):
            door.admit("Ana", "wrong", origin="1.1.1.1")
    waits = []
    for _ in range(3):
        with pytest.raises(Refused, match="too many") as fault:
            door.admit("Ana", "a long password", origin="2.2.2.2")
        assert fault.value.status == 429
        waits.append(fault.value.wait)
        clock.now += fault.value.wait
        with pytest.raises(Refused, match="do not belong"):
            door.admit("Ana", "wrong", origin="2.2.2.2")
    assert waits == sorted(set(waits))
    clock.now += 1000
    assert door.admit("Ana", "a long password", origin="2.2.2.2") == "Ana"


def test_after_five_wrong_passwords_an_address_waits_whatever_the_name(stored):
    door = Door(stored, clock=Clock())
    for name in ("Ana", "Ben", "Eve", "Joe", "Max"):
        with pytest.raises(Refused, match="do not belong"):
            door.admit(name, "wrong", origin="1.1.1.1")
    with pytest.raises(Refused, match="too many"):
        door.admit("Ben", "another password", origin="1.1.1.1")
    assert door.admit("Ben", "another password", origin="2.2.2.2") == "Ben"


def test_of_tries_at_one_time_no_more_than_five_are_looked_at(stored):
    door = Door(stored, clock=Clock())
    gate = threading.Barrier(24)
    found = []

    def try_one() -> None:
        gate.wait(30)
        with pytest.raises(Refused) as fault:
            door.admit("Ana", "wrong", origin="1.1.1.1")
        found.append(fault.value.status)

    threads = [threading.Thread(target=try_one) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [401] * 5 + [429] * 19


def test_a_password_file_is_made_by_the_command_and_holds_no_password(tmp_path):
    path = tmp_path / "reviewers.txt"
    runner = CliRunner()
    command = ["screen", rows.CLAIM, "--password-file", str(path), "--add-reviewer", "Ana: A."]
    short = runner.invoke(main, command, input="short\nshort\n")
    assert short.exit_code == 1
    assert "10 characters" in short.output
    for said in ("may come in", "has a new password"):
        made = runner.invoke(main, command, input="a long password\na long password\n")
        assert made.exit_code == 0
        assert said in made.output
    assert "long" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert Door(read_passwords(path)).admit("Ana: A.", "a long password", origin="") == "Ana: A."


def test_a_password_file_that_cannot_be_read_is_named_with_its_lines(tmp_path):
    path = tmp_path / "reviewers.txt"
    good = digest("a long password")
    spoilt = ("Ana", "Ben:plain text", "Eve:scrypt$é$é", f"Joe:{good[:-4]}", f"Max:{good}$x")
    path.write_text("\n".join(("# people", *spoilt, f"Zoe:{good}")) + "\n", encoding="utf-8")
    with pytest.raises(ToolkitError) as fault:
        read_passwords(path)
    assert [place.split()[0] for place in fault.value.places] == [
        f"{path}:{n}" for n in range(2, 7)
    ]


@pytest.mark.parametrize("name", ["", "founding-collection", "A" * 61, "#Ana"])
def test_a_name_that_the_page_would_not_take_is_refused_at_the_terminal(tmp_path, name):
    path = tmp_path / "reviewers.txt"
    with pytest.raises(ToolkitError, match="name"):
        opening.add_reviewer(path, name, "a long password")
    assert not path.exists()


def test_a_password_that_the_page_would_not_take_is_refused_at_the_terminal(tmp_path):
    path = tmp_path / "reviewers.txt"
    for password in ("short", "long " * 101):
        with pytest.raises(ToolkitError, match="characters"):
            opening.add_reviewer(path, "Ana", password)
    assert opening.add_reviewer(path, "Ana", "a" * 500)


def test_nobody_screens_under_the_mark_of_studies_that_nobody_screened(tmp_path):
    folder = rows.review(tmp_path / "review", 2)
    with (
        pytest.raises(ToolkitError, match="founding-collection"),
        rows.serving(folder, reviewer="founding-collection"),
    ):
        pass


# --- cookies -------------------------------------------------------------------------------------


def test_a_cookie_is_good_for_its_claim_its_time_and_its_password_only():
    clock, key = Clock(), bytes(32)
    visitors = Visitors(key, "one", clock=clock)
    cookie = visitors.cookie(Visitor("id", "Ana"))
    assert visitors.read(cookie) == Visitor("id", "Ana")
    assert Visitors(key, "two", clock=clock).read(cookie) is None
    assert Visitors(bytes(31) + b"x", "one", clock=clock).read(cookie) is None
    assert Visitors(key, "one", clock=clock, credential=lambda name: "new").read(cookie) is None
    assert Visitors(key, "one", clock=clock, credential=lambda name: None).read(cookie) is None
    clock.now += 31 * 24 * 3600
    assert visitors.read(cookie) is None


@given(st.text(max_size=60))
def test_no_text_is_a_cookie(text):
    assert Visitors(bytes(32), "one").read(text) is None


@pytest.mark.parametrize("issued", ["1" + 400 * "0", "1e999", "NaN", 5000 * "1", '"x"', "[]"])
def test_no_json_is_a_cookie_whatever_its_number(issued):
    text = base64.urlsafe_b64encode(f'["id", null, {issued}]'.encode()).decode().rstrip("=")
    assert Visitors(bytes(32), "one").read(f"{text}.mac") is None


def test_all_servers_of_a_review_have_one_key(tmp_path):
    keys = []
    threads = [
        threading.Thread(target=lambda: keys.append(key_of(tmp_path / "screen"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert [path.name for path in (tmp_path / "screen").iterdir()] == ["key"]


# --- where it may listen -------------------------------------------------------------------------

PASSWORDS = Path("reviewers.txt")
TLS = Tls(Path("cert.pem"), Path("key.pem"))


@pytest.mark.parametrize(
    ("where", "lacks"),
    [
        (opening.Where("0.0.0.0"), "needs passwords"),
        (opening.Where("192.0.2.1", tls=TLS), "needs passwords"),
        (opening.Where("192.0.2.1", password_file=PASSWORDS), "needs TLS"),
        (opening.Where(public="screening.example.org"), "needs passwords"),
        (
            opening.Where("0.0.0.0", password_file=PASSWORDS, public="screening.example.org"),
            "this machine alone",
        ),
    ],
)
def test_strangers_need_a_password_and_tls(tmp_path, where, lacks):
    with pytest.raises(ToolkitError, match=lacks) as fault:
        opening.prepare(Workspace.at(rows.review(tmp_path / "review", 1)), rows.CLAIM, where)
    assert fault.value.remedy


@pytest.mark.parametrize("public", ["", "example.org:https", "example.org:", "[::1]:443"])
def test_a_proxy_is_named_by_host_and_number_of_its_port(public):
    with pytest.raises(ToolkitError, match="is no name of a server"):
        opening.Where(password_file=PASSWORDS, public=public).check()
    opening.Where(password_file=PASSWORDS, public="example.org:8443").check()


def test_hosts_are_a_closed_list():
    assert Address.of(["127.0.0.1", "::1"], 8000).hosts == {"127.0.0.1:8000", "[::1]:8000"}
    assert Address.of(["Example.org"], 443, secure=True).origins == {
        "https://example.org",
        "https://example.org:443",
    }


def test_a_port_in_use_is_said_and_the_usual_one_passed_over():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ToolkitError, match=f"port {port} is in use"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", None) as one, listen("127.0.0.1", None) as two:
        assert one.getsockname()[1] != two.getsockname()[1]


def test_over_tls_people_sign_in_and_screen_under_their_own_names(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes a certificate, is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *names, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    people = tmp_path / "reviewers.txt"
    opening.add_reviewer(people, "Ana", "a long password")
    where = opening.Where("127.0.0.1", 0, password_file=people, tls=Tls(cert, key))
    with rows.serving(rows.review(tmp_path / "review", 3), where) as server:
        assert server.ready.url.startswith("https://127.0.0.1")
        assert "token" not in server.ready.url
        running = server_of(server.ready.app, tls=where.tls)
        thread = threading.Thread(target=running.run, args=([server.ready.bound],))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            assert running.config.ssl is not None
            assert running.config.ssl.minimum_version >= ssl.TLSVersion.TLSv1_2
            offered = [cipher["name"] for cipher in running.config.ssl.get_ciphers()]
            assert offered
            assert all(re.match("TLS_|ECDHE-.*(?:GCM|POLY1305)", name) for name in offered)
            context = ssl.create_default_context(cafile=str(cert))
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            request = urllib.request.Request(
                f"{server.ready.url}api/sign-in",
                data=b'{"name": "Ana", "password": "a long password"}',
                headers={"content-type": "application/json"},
            )
            with urllib.request.urlopen(request, context=context) as reply:
                cookie = reply.headers["set-cookie"]
                assert "max-age" in reply.headers["strict-transport-security"]
            assert cookie.startswith("__Host-")
            assert "secure" in cookie.lower()
            visit = urllib.request.Request(
                f"{server.ready.url}api/visit", headers={"cookie": cookie.partition(";")[0]}
            )
            with urllib.request.urlopen(visit, context=context) as reply:
                assert b'"reviewer":"Ana"' in reply.read()
            with pytest.raises(urllib.error.HTTPError) as fault:
                urllib.request.urlopen(f"{server.ready.url}api/queue", context=context)
            assert fault.value.code == 401
            fault.value.close()
        finally:
            running.should_exit = True
            thread.join()


def test_with_passwords_a_name_cannot_be_taken(tmp_path):
    people = tmp_path / "reviewers.txt"
    opening.add_reviewer(people, "Ana", "a long password")
    where = opening.Where(port=0, password_file=people)
    with rows.serving(rows.review(tmp_path / "review", 3), where) as server:
        client = server.client()
        assert "Sign in" in client.get("/").text
        wrong = client.post("/api/sign-in", json={"name": "Ana", "password": "wrong"})
        assert wrong.status_code == 401
        client.post("/api/sign-in", json={"name": "Ana", "password": "a long password"})
        token = client.get("/api/visit").json()["token"]
        taken = client.post("/api/name", json={"name": "Ben"}, headers={"x-write-token": token})
        assert taken.status_code == 403
        assert client.get("/start?token=x", follow_redirects=False).headers["location"] == "/"
        opening.add_reviewer(people, "Ana", "a newer password")
    with rows.serving(server.folder, where) as again:
        stale = again.client()
        stale.cookies = client.cookies
        assert stale.get("/api/visit").status_code == 401


def test_the_schemes_by_choice_are_those_of_the_house():
    house = (Path(opening.__file__).parents[1] / "site" / "style.css").read_text(encoding="utf-8")
    css = scheme_css(house)
    assert css.count("--paper") == 2
    assert ':root[data-scheme="dark"]' in css


def test_help_and_faults_come_without_a_trace(tmp_path):
    rows.review(tmp_path / "review", 1)
    runner = CliRunner()
    root = ["--root", str(tmp_path / "review"), "screen"]
    unknown = runner.invoke(main, [*root, "no-such-claim", "--no-browser"])
    assert unknown.exit_code == 1
    assert "there is no claim" in unknown.output
    alone = runner.invoke(main, [*root, rows.CLAIM, "--tls-cert", "x.pem"])
    assert alone.exit_code == 2
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        busy = runner.invoke(main, [*root, rows.CLAIM, "--port", port, "--no-browser"])
    assert busy.exit_code == 1
    assert "in use" in busy.output
