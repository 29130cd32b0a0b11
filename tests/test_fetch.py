"""The network door: limits, retries, faults in plain words, a key that is never told."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.errors import SourceBusy, SourceError, SourceUnreachable
from evidence.fetch import BASE, RETRIES, Eutils, Limiter, settings_from
from evidence.pubmed import details, find
from tests.eutils_records import invent
from tests.eutils_server import KINDS, EutilsServer, Fault

KEY = "0123456789abcdefSECRETf00d"
QUERY = "exercise[tiab]"


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(30)) as server:
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    with contextlib.closing(unhurried(server, tmp_path)) as eutils:
        yield eutils


def unhurried(server: EutilsServer, folder: Path, **options: object) -> Eutils:
    """A client that neither waits between requests nor before a retry."""
    limiter = Limiter(folder / "limiter", 10_000)
    settings = {"limiter": limiter, "sleep": lambda seconds: None, **options}
    return Eutils(server.url, **settings)


def unused_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/eutils"


# --- settings --------------------------------------------------------------------------------


def test_without_settings_the_address_is_the_real_one_and_there_is_no_key():
    settings = settings_from({"HOME": "/home/reviewer"})
    assert (settings.base, settings.api_key, settings.email) == (BASE, None, None)
    assert settings.cache == Path("/home/reviewer/.cache/living-evidence")


def test_the_address_is_the_same_with_and_without_a_trailing_slash():
    urls = ("http://127.0.0.1:8/x", "http://127.0.0.1:8/x/")
    assert len({settings_from({"EVIDENCE_EUTILS_URL": url}).base for url in urls}) == 1


def test_an_address_that_is_none_is_a_fault_with_a_remedy():
    with pytest.raises(SourceError, match="'localhost:80' is not an address") as caught:
        settings_from({"EVIDENCE_EUTILS_URL": "localhost:80"})
    assert "unset it" in str(caught.value)


def test_the_settings_never_show_the_key():
    settings = settings_from({"NCBI_API_KEY": f" {KEY}\n", "NCBI_EMAIL": "a@b.example"})
    assert settings.api_key == KEY
    assert KEY not in repr(settings)


# --- requests --------------------------------------------------------------------------------


def test_every_request_is_a_post_that_names_tool_and_email(server, tmp_path):
    eutils = unhurried(server, tmp_path, email="a@b.example", api_key=KEY)
    found = find(QUERY, eutils)
    list(details(found.pmids, eutils))
    eutils.close()
    assert [r.endpoint for r in server.requests] == ["esearch", "efetch"]
    for request in server.requests:
        assert request.method == "POST"
        assert request.fields["tool"] == "living-evidence"
        assert request.fields["email"] == "a@b.example"
        assert request.fields["api_key"] == KEY


def test_a_query_beyond_the_length_of_an_address_arrives_whole(server, eutils):
    query = " OR ".join(f'"invented phrase number {n}"[tiab]' for n in range(400))
    find(query, eutils)
    assert server.requests[0].fields["term"] == query


def test_a_loopback_address_is_never_sent_through_a_proxy(server, eutils, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", unused_address())
    monkeypatch.setenv("http_proxy", unused_address())
    assert find(QUERY, eutils).count > 0


# --- the limiter -----------------------------------------------------------------------------

PROCESS = """
    import sys
    from pathlib import Path
    from evidence.fetch import Eutils
    eutils = Eutils(sys.argv[1], cache=Path(sys.argv[2]), api_key=sys.argv[3] or None)
    for _ in range(int(sys.argv[4])):
        eutils.call("esearch", {"term": "x"}, len)
    eutils.close()
"""


@pytest.mark.parametrize(("key", "rate", "each"), [("", 3, 4), (KEY, 10, 10)])
def test_two_processes_together_keep_the_limit(server, tmp_path, root, key, rate, each):
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), server.url, tmp_path, key, each]
    processes = [subprocess.Popen([str(part) for part in command], cwd=root) for _ in range(2)]
    assert [process.wait(timeout=30) for process in processes] == [0, 0]
    assert len(server.requests) == 2 * each
    assert 2 <= server.busiest() <= rate


def test_threads_of_one_client_together_keep_the_limit(server, tmp_path):
    eutils = Eutils(server.url, limiter=Limiter(tmp_path / "limiter", 3, window_s=0.2))
    server.faults.append(Fault("slow", times=4, seconds=0.15))

    def some() -> None:
        for _ in range(3):
            eutils.call("esearch", {"term": "x"}, len)
        eutils.close()

    threads = [threading.Thread(target=some) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == eutils.requests == 15
    assert server.busiest(0.2) <= 3


def test_a_request_holds_its_place_until_a_window_after_its_reply(tmp_path):
    clock = FakeClock()
    limiter = Limiter(tmp_path / "limiter", 1, clock=clock.now, sleep=clock.sleep)
    with limiter.slot():
        clock.sleep(5.0)
    with limiter.slot():
        assert clock.now() == pytest.approx(1006.0, abs=0.01)


def test_places_of_a_killed_process_end_a_window_after_they_are_seen(tmp_path):
    clock = FakeClock()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "limiter").write_text(f"abc {dead.pid} 990.0 1\n")
    with Limiter(tmp_path / "limiter", 1, clock=clock.now, sleep=clock.sleep).slot():
        assert clock.now() == pytest.approx(1001.0, abs=0.01)


def test_places_from_before_a_restart_and_broken_lines_do_not_count(tmp_path):
    clock = FakeClock()
    (tmp_path / "limiter").write_text(f"abc {os.getpid()} 99999.0 1\nabc 12\n\n")
    with Limiter(tmp_path / "limiter", 1, clock=clock.now, sleep=clock.sleep).slot():
        assert clock.now() == 1000.0


def test_a_cache_that_cannot_be_written_is_replaced_by_the_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with Limiter(tmp_path / "file" / "limiter", 3).slot():
        pass
    assert len(list((tmp_path / "tmp").rglob("limiter"))) == 1
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with (
        pytest.raises(SourceError, match="cannot be shared with other processes"),
        Limiter(tmp_path / "file" / "limiter", 3).slot(),
    ):
        pass


class FakeClock:
    """Time that only passes while someone sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


# --- faults that pass ------------------------------------------------------------------------


BROKEN = ("429", "429-in-200", "500", "502", "html", "empty", "half", "half-quiet", "reset")


@pytest.mark.parametrize("kind", [*BROKEN, "no-json", "backend", "history"])
def test_a_search_survives_a_passing_fault(server, eutils, kind):
    server.faults.append(Fault(kind, times=RETRIES))
    assert find(QUERY, eutils).count == expected(server)
    assert len(server.requests) == RETRIES + 1


@pytest.mark.parametrize("kind", [*BROKEN, "bad-xml", "history"])
def test_a_fetch_survives_a_passing_fault(server, eutils, kind):
    pmids = list(server.records)
    server.faults.append(Fault(kind, times=RETRIES))
    (batch,) = details(pmids, eutils)
    assert [record.pmid for record in batch.records] == pmids
    assert len(server.requests) == RETRIES + 1


def test_raw_line_breaks_within_json_are_understood_at_once(server, eutils):
    server.faults.append(Fault("raw-newlines"))
    found = find(QUERY, eutils)
    assert found.translation == "one two exercise[Title/Abstract]"
    assert len(server.requests) == 1


def test_delays_double_with_jitter_and_end_in_a_busy_source(server, tmp_path):
    slept: list[float] = []
    lines: list[str] = []
    eutils = unhurried(
        server, tmp_path, sleep=slept.append, rng=random.Random(7), progress=lines.append
    )
    server.faults.append(Fault("500", times=99))
    with pytest.raises(SourceBusy, match="did not answer esearch in 6 attempts: HTTP 500"):
        find(QUERY, eutils)
    eutils.close()
    assert len(server.requests) == eutils.requests == 6
    assert len(slept) == len(lines) == 5
    for n, seconds in enumerate(slept):
        assert 0.5 * 2**n <= seconds <= 2**n
    assert len({seconds / 2**n for n, seconds in enumerate(slept)}) == 5
    assert lines[0] == f"esearch: HTTP 500; again in {slept[0]:.1f} s (retry 1 of 5)"


def test_after_a_complete_failure_later_requests_are_less_patient(server, eutils):
    server.faults.append(Fault("500", times=8))
    for attempts in (6, 2):
        before = eutils.requests
        with pytest.raises(SourceBusy):
            find(QUERY, eutils)
        assert eutils.requests - before == attempts
    find(QUERY, eutils)
    server.faults.append(Fault("500", times=5))
    find(QUERY, eutils)  # it has answered since: patient again


def test_what_retry_after_asks_for_is_waited(server, tmp_path):
    slept: list[float] = []
    eutils = unhurried(server, tmp_path, sleep=slept.append)
    server.faults.append(Fault("429", seconds=37))
    find(QUERY, eutils)
    eutils.close()
    assert slept == [37.0]


def test_a_retry_after_of_an_hour_ends_the_run_instead_of_hanging_it(server, eutils):
    server.faults.append(Fault("429", seconds=3600))
    with pytest.raises(SourceBusy, match="which asked to wait 3600 s"):
        find(QUERY, eutils)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        (Fault("slow", times=9, seconds=0.4), {"timeout_s": 0.1}),
        (Fault("drip", times=9, seconds=0.002), {"reply_s": 0.1}),
        (Fault("drip", times=9, seconds=0.02), {}),
    ],
)
def test_a_reply_that_does_not_come_or_only_drips_is_given_up(
    server, tmp_path, monkeypatch, fault, limits
):
    monkeypatch.setattr("evidence.fetch.SLOWEST_AFTER_S", 0.1)
    eutils = unhurried(server, tmp_path, **limits)
    eutils._tired = True  # one retry is enough to see it
    server.faults.append(fault)
    start = time.monotonic()
    with pytest.raises(SourceBusy):
        find(QUERY, eutils)
    eutils.close()
    assert time.monotonic() - start < 2
    assert len(server.requests) == 2


# --- faults that stay ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bad-key", "refuses the API key"),
        ("414", "of this length"),
        ("404", "HTTP 404"),
        ("syntax", "syntax error in query"),
        ("retstart", "cannot be larger than 9998"),
    ],
)
def test_a_fault_that_stays_is_never_retried(server, eutils, kind, words):
    server.faults.append(Fault(kind, times=9))
    with pytest.raises(SourceError, match=words) as caught:
        find(QUERY, eutils)
    assert not isinstance(caught.value, SourceBusy)
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"slow", "drip", "slow-headers"}))
def test_the_key_appears_in_no_message(server, tmp_path, kind):
    lines: list[str] = []
    eutils = unhurried(server, tmp_path, api_key=KEY, progress=lines.append)
    told = [repr(eutils)]
    contexts: list[BaseException | None] = []
    pmids = list(server.records)[:3]
    for ask in (lambda: find(f"{KEY}[tiab]", eutils), lambda: list(details(pmids, eutils))):
        server.faults[:] = [Fault(kind, times=99, pmids=pmids)]
        try:
            ask()
        except SourceError as fault:
            told += [repr(fault), *traceback.format_exception(fault)]
            contexts.append(fault.__context__)
    eutils.close()
    assert not any(contexts)  # the exception of the transport would hold the request
    text = "\n".join(told + lines).lower()
    assert KEY.lower() not in text


def test_an_error_that_repeats_the_key_is_told_without_it(server, tmp_path):
    eutils = unhurried(server, tmp_path, api_key=KEY)

    def read(body: bytes) -> None:
        raise SourceError(f"key {KEY.upper()} is odd", [f"at {KEY}"])

    with pytest.raises(SourceError) as caught:
        eutils.call("esearch", {"term": "x"}, read)
    eutils.close()
    assert str(caught.value) == "key [key] is odd\n  at [key]"


# --- no connection ---------------------------------------------------------------------------


def test_a_refused_connection_is_unreachable_at_once_and_for_the_whole_run(tmp_path, monkeypatch):
    knocks = []
    real = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda *a, **k: knocks.append(a) or real(*a, **k)
    )
    eutils = Eutils(unused_address(), cache=tmp_path, sleep=pytest.fail)
    for _ in range(4):
        with pytest.raises(SourceUnreachable, match="cannot be reached: connection refused"):
            find(QUERY, eutils)
    assert len(knocks) == 1
    assert eutils.requests == 0


def test_a_name_that_cannot_be_looked_up_is_unreachable(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(SourceUnreachable, match="its name could not be looked up"):
        find(QUERY, Eutils("https://eutils.example", cache=tmp_path, sleep=pytest.fail))


def test_a_connection_that_hangs_is_unreachable_within_its_time(tmp_path, monkeypatch):
    let_go = threading.Event()

    def hang(*_: object, **__: object) -> None:
        let_go.wait(5)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)
    start = time.monotonic()
    with pytest.raises(SourceUnreachable, match=r"no connection within 0\.1 s"):
        find(QUERY, Eutils("https://eutils.example", cache=tmp_path, connect_s=0.1))
    let_go.set()
    assert time.monotonic() - start < 1


def test_a_server_that_goes_down_during_the_run_is_waited_for_once_and_is_a_fault(tmp_path):
    with EutilsServer(invent(3)) as server:
        eutils = unhurried(server, tmp_path)
        find(QUERY, eutils)
        eutils.close()
    for problem in ("in 6 attempts: no connection could be made", "was not asked any more"):
        with pytest.raises(SourceBusy, match=problem):  # not unreachable: part of it was asked
            find(QUERY, eutils)
        assert eutils.requests == 7


def test_a_server_that_is_away_for_a_moment_costs_nothing(tmp_path):
    slept: list[float] = []
    port = 0

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            stack.enter_context(EutilsServer(server.records.values(), port=port))

    with EutilsServer(invent(30)) as server:
        eutils = unhurried(server, tmp_path, sleep=sleep)
        port = int(server.url.split(":")[2].split("/")[0])
        find(QUERY, eutils)
        eutils.close()
    with contextlib.ExitStack() as stack, contextlib.closing(eutils):
        assert find(QUERY, eutils).count == expected(server)
    assert len(slept) == 2


def test_a_proxy_that_cannot_be_reached_is_unreachable(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, unused_address())
    with pytest.raises(SourceUnreachable, match="connection refused"):
        find(QUERY, Eutils("https://eutils.example", cache=tmp_path, sleep=pytest.fail))


def expected(server: EutilsServer) -> int:
    return sum(" exercise " in article.words for article in server.records.values())


# --- deadlines -------------------------------------------------------------------------------


def test_headers_that_drip_end_with_the_whole_reply_s_time(server, tmp_path):
    # Each byte comes well within the socket's own timeout; only the sum is too long.
    server.faults.append(Fault("slow-headers", seconds=0.02, on="esearch"))
    told: list[str] = []
    eutils = unhurried(server, tmp_path, reply_s=0.3, connect_s=0.2, progress=told.append)
    assert find(QUERY, eutils).count == expected(server)
    eutils.close()
    assert len(server.sent("esearch")) == 2
    assert "the reply was not whole after" in told[0]


@pytest.mark.parametrize("kind", ["gzip", "duplicates", "count-low", "lost-id"])
def test_a_search_never_ends_with_less_than_it_announced(server, eutils, kind):
    server.faults.append(Fault(kind, on="esearch"))
    found = find(QUERY, eutils)
    assert found.count == len(found.pmids) == len(set(found.pmids))
    if kind != "count-low":  # a lie that contradicts nothing is found by the next update
        assert found.count == expected(server)


@pytest.mark.parametrize("kind", ["gzip", "cut-set", "wrong", "empty-set"])
def test_a_fetch_never_gives_a_record_that_was_not_asked_for(server, eutils, kind):
    pmids = find(QUERY, eutils).pmids
    server.faults.append(Fault(kind, on="efetch"))
    (batch,) = details(pmids, eutils)
    assert [r.pmid for r in batch.records] == list(pmids)


def test_a_place_that_becomes_free_while_tickets_are_counted_is_taken_without_a_wait_below_zero(
    tmp_path,
):
    """On a busy machine time passes between the count of the tickets and the look at the clock."""
    times = iter([0.0, 0.0, 0.2, 0.2, 1.1, 1.3, 1.3, 1.4, 1.5, 1.6])
    slept: list[float] = []
    limiter = Limiter(tmp_path / "limit", 1, clock=lambda: next(times), sleep=slept.append)
    with limiter.slot():
        pass
    with limiter.slot():
        pass
    assert len(slept) == 1
    assert slept[0] > 0
