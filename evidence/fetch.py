"""Polite HTTP to the E-utilities: one limiter for the machine, retries, faults in plain words."""

from __future__ import annotations

import email.utils
import html
import json
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote, quote_plus, urlsplit

import requests
import urllib3

from evidence.errors import SourceBusy, SourceError, SourceUnreachable
from evidence.limiter import TOOL
from evidence.limiter import Limiter as Limiter

T = TypeVar("T")

BASE = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
RATE, RATE_WITH_KEY = 3, 10  # requests a second; NCBI usage policy (NBK25497)
RETRIES = 5
FIRST_DELAY_S = 1.0  # doubled with every retry
LONGEST_WAIT_S = 120.0  # a longer Retry-After ends the run instead of hanging it
PATIENCE_S = 300.0  # without one good reply, all requests together; then no more are sent
CONNECT_S = 6.0  # name look-up and connection together
READ_S = 60.0  # silence within a reply
REPLY_S = 180.0  # a whole reply
SLOWEST, SLOWEST_AFTER_S = 100, 20.0  # bytes a second: below it a reply only drips
MOST_BYTES = 1 << 28  # of one reply; 200 records are a few megabytes
SHORTEST_KEY = 8  # NCBI's have 36 characters; in a reply a shorter text may be a word
BOM = b"\xef\xbb\xbf"
# NCBI answers so to a key that it does not know, as a rule with HTTP 400.
_BAD_KEY = re.compile(rb'\{\s*"error"\s*:\s*"[^"]*api[ _-]?key', re.IGNORECASE)
TRY_LATER = "run the same command again later; what was received so far is kept"


Fields = Mapping[str, str | Sequence[str]]  # a list is a parameter that repeats
Keep = Callable[[str, Fields, int, bytes], None]  # utility, request, status, body


class Passing(Exception):
    """A fault that may pass: the request is worth sending again."""

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s  # what the service asked for


class _NoConnection(Exception):
    """No connection could be made: the service cannot be reached."""


class _Lost(Passing):
    """No connection can be made any more, to a service that has answered before."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how to reach the E-utilities."""

    base: str
    api_key: str | None = field(repr=False)
    email: str | None
    cache: Path  # folder of the limiter that all processes of this user share


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read EVIDENCE_EUTILS_URL, NCBI_API_KEY, NCBI_EMAIL and XDG_CACHE_HOME.

    Raises
    ------
    SourceError
        If EVIDENCE_EUTILS_URL is not an http(s) address.
    """
    base = environ.get("EVIDENCE_EUTILS_URL", "").strip() or BASE
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(
            f"EVIDENCE_EUTILS_URL = {base!r} is not an address",
            remedy=f"write it like {BASE}, or unset it",
        )
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~") / ".cache")
    return Settings(
        base=base.rstrip("/"),
        api_key=environ.get("NCBI_API_KEY", "").strip() or None,
        email=environ.get("NCBI_EMAIL", "").strip() or None,
        cache=Path(home).expanduser() / TOOL,
    )


class Eutils:
    """The E-utilities behind one address: POST only, limited, retried, never telling the key.

    Parameters
    ----------
    base : str
        Address of the utilities, with or without a trailing slash.
    tool, email, api_key : str
        Sent with every request; without a key the rate is 3 a second, with one 10.
    cache : Path
        Folder of the shared limiter; ignored when ``limiter`` is given.
    timeout_s : float
        Longest silence within a reply, in seconds.
    clock, sleep, rng : callables, random.Random
        Time and jitter, for tests.
    progress : callable
        Receives a line of plain text when something takes longer.
    keep : callable
        Receives every reply that arrived whole, faults included, without the key.

    Attributes
    ----------
    requests : int
        Requests sent so far, retries included.
    """

    service = "PubMed"  # in messages

    def __init__(
        self,
        base: str = BASE,
        *,
        tool: str = TOOL,
        email: str | None = None,
        api_key: str | None = None,
        cache: Path | None = None,
        limiter: Limiter | None = None,
        timeout_s: float = READ_S,
        reply_s: float = REPLY_S,
        connect_s: float = CONNECT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        progress: Callable[[str], None] | None = None,
        keep: Keep | None = None,
    ) -> None:
        self.base = base.rstrip("/")
        parts = urlsplit(self.base)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._identity = {"tool": tool}
        if email:
            self._identity["email"] = email
        self._key = api_key or None
        if limiter is None:
            folder = cache or settings_from(os.environ).cache
            # One file per kind of limit: NCBI counts per address, or per key.
            name = "eutils-with-key" if self._key else "eutils"
            rate = RATE_WITH_KEY if self._key else RATE
            limiter = Limiter(folder / name, rate, clock=clock, sleep=sleep)
        self._limiter = limiter
        self._timeout_s, self._reply_s, self._connect_s = timeout_s, reply_s, connect_s
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._tell = progress or (lambda line: None)
        self._keep = keep
        self._clock = clock
        self._local = threading.local()
        self._unreachable: str | None = None
        self._probed = False
        self._answered = False  # at least once in this run
        self._tired = False  # all retries of the last request failed
        self._bad_since: float | None = None  # when the first request failed since a good reply
        self._gone: SourceBusy | None = None  # why nothing more is asked in this run
        self.requests = 0

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        progress: Callable[[str], None] | None = None,
        keep: Keep | None = None,
    ) -> Eutils:
        """As the environment says; see `settings_from`."""
        settings = settings_from(environ)
        return cls(
            settings.base,
            email=settings.email,
            api_key=settings.api_key,
            cache=settings.cache,
            progress=progress,
            keep=keep,
        )

    def __repr__(self) -> str:
        return f"Eutils({self.base!r}, {'with' if self._key else 'without'} a key)"

    def progress(self, line: str) -> None:
        """Tell the user one line of progress."""
        self._tell(self._redact(line))

    def call(self, name: str, fields: Fields, read: Callable[[bytes], T]) -> T:
        """POST ``fields`` to utility ``name`` and return what ``read`` makes of the reply.

        Sent again, at most 5 times with doubling delays and jitter, after 429, 5xx, a timeout, a
        transfer that broke, a web page, or when ``read`` raises `Passing`. After a request that
        failed to the end, later ones are repeated only once until the service answers again; after
        5 minutes without a good reply, or when a service that had answered takes no connection any
        more, nothing is sent for the rest of the run.

        Raises
        ------
        SourceUnreachable
            No connection; found out once, then known for the rest of the run.
        SourceBusy
            The service kept failing, or went away.
        SourceError
            It refused: a bad key, a query that it cannot read, a request that is too long.
        """
        if self._gone is not None:
            raise SourceBusy(self._gone.problem, remedy=self._gone.remedy)
        retries = 1 if self._tired else RETRIES
        for attempt in range(retries + 1):
            began = self._clock()
            try:
                answer = read(self._post(name, fields))
            except Passing as fault:
                reason, wait_s, lost = self._redact(str(fault)), fault.wait_s, type(fault) is _Lost
            except SourceError as fault:
                refusal = fault
                break
            else:
                self._tired, self._answered, self._bad_since = False, True, None
                return answer
            if self._bad_since is None:
                self._bad_since = began
            delay_s = max(wait_s, FIRST_DELAY_S * 2**attempt * self._rng.uniform(0.5, 1.0))
            bad_s = self._clock() - self._bad_since
            over = bad_s + delay_s > PATIENCE_S
            if attempt == retries or wait_s > LONGEST_WAIT_S or over:
                self._tired = True
                # Raised outside the handler: the exception of the transport holds the request.
                refusal = self._failed(name, attempt + 1, reason, wait_s)
                if lost or over:
                    self._gone = self._went_away(reason, bad_s)
                break
            self.progress(
                f"{name}: {reason}; again in {delay_s:.1f} s (retry {attempt + 1} of {retries})"
            )
            self._sleep(delay_s)
        raise type(refusal)(
            self._redact(refusal.problem),
            [self._redact(place) for place in refusal.places],
            remedy=refusal.remedy,
        )

    def _failed(self, name: str, attempts: int, reason: str, wait_s: float) -> SourceBusy:
        asked = f", which asked to wait {wait_s:.0f} s" if wait_s > LONGEST_WAIT_S else ""
        times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        return SourceBusy(
            f"{self.service} did not answer {name} in {times}{asked}: {reason}", remedy=TRY_LATER
        )

    def _went_away(self, reason: str, bad_s: float) -> SourceBusy:
        return SourceBusy(
            f"{self.service} was not asked any more, after {bad_s:.0f} s without a good reply: "
            f"{reason}",
            remedy=TRY_LATER,
        )

    def _post(self, name: str, fields: Fields) -> bytes:
        self._reach()
        form = self._form(fields)
        with self._limiter.slot():
            self.requests += 1
            status, headers, body = self._within_deadline(self._address(name), form)
        body = self._redact_bytes(body)  # what is read of it may be kept and published
        if self._keep is not None:
            self._keep(name, fields, status, body)
        _judge(status, headers, body, service=self.service)
        return body

    def _form(self, fields: Fields) -> dict[str, str | Sequence[str]]:
        """What is sent: the request, who asks, and the key."""
        form: dict[str, str | Sequence[str]] = {**fields, **self._identity}
        if self._key:
            form["api_key"] = self._key
        return form

    def _address(self, name: str) -> str:
        # The citation matcher alone ends otherwise (NBK25499).
        return f"{self.base}/{name}.{'cgi' if name == 'ecitmatch' else 'fcgi'}"

    def _send(self, session: requests.Session, url: str, form: Fields) -> requests.Response:
        return session.post(
            url,
            data=form,
            timeout=(self._connect_s, self._timeout_s),
            stream=True,
            allow_redirects=False,  # a redirected POST would arrive as a GET
        )

    def _within_deadline(self, url: str, form: Fields) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange that takes at most ``reply_s`` seconds, headers that drip included.

        The timeouts of a socket count from byte to byte only, so the exchange has a thread of its
        own, which is left behind when the time is over; its connections are closed under it.
        """
        session = self._session()
        outcome: list[tuple[int, Mapping[str, str], bytes] | BaseException] = []

        def exchange() -> None:
            try:
                outcome.append(self._exchange(session, url, form))
            except BaseException as fault:  # handed to the thread that waits
                outcome.append(fault)

        thread = threading.Thread(target=exchange, daemon=True)
        thread.start()
        thread.join(self._reply_s + self._connect_s)
        if not outcome:
            self.close()  # the next request gets new connections
            raise Passing(f"the reply was not whole after {self._reply_s:.0f} s")
        if isinstance(outcome[0], _NoConnection):
            if self._answered:
                raise _Lost(str(outcome[0]))
            self._give_up(str(outcome[0]))
        if isinstance(outcome[0], BaseException):
            raise outcome[0] from None
        return outcome[0]

    def _exchange(
        self, session: requests.Session, url: str, form: Fields
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            reply = self._send(session, url, form)
            with reply:
                return reply.status_code, reply.headers, self._body(reply)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError):
            reason = "no connection could be made"
        except requests.exceptions.SSLError:
            reason = "no secure connection could be made"
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            raise Passing("no reply in time") from None
        except requests.exceptions.ConnectionError as fault:
            inner = getattr(fault.args[0] if fault.args else None, "reason", None)
            if not isinstance(inner, urllib3.exceptions.NewConnectionError):
                raise Passing("the connection broke") from None
            reason = "no connection could be made"
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
            raise Passing("the transfer broke before its end") from None
        # Raised outside the handler: the exception of the transport holds the request.
        raise _NoConnection(reason)

    def _body(self, reply: requests.Response) -> bytes:
        """The whole body, unless it drips or takes longer than ``reply_s`` seconds."""
        chunks: list[bytes] = []
        size, start = 0, time.monotonic()
        while chunk := reply.raw.read1(1 << 16, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                raise Passing(f"a reply of more than {MOST_BYTES >> 20} MB")
            elapsed_s = time.monotonic() - start
            drips = elapsed_s > SLOWEST_AFTER_S and size < SLOWEST * elapsed_s
            if drips or elapsed_s > self._reply_s:
                raise Passing(f"the reply was not whole after {elapsed_s:.0f} s")
        return b"".join(chunks)

    def _session(self) -> requests.Session:
        """One session per thread; loopback addresses are never sent through a proxy."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.headers["User-Agent"] = self._identity["tool"]
            session.trust_env = not _is_loopback(self._host)
            self._local.session = session
        mine: requests.Session = self._local.session
        return mine

    def close(self) -> None:
        """Close this thread's connections."""
        if hasattr(self._local, "session"):
            self._local.session.close()
            del self._local.session

    def _reach(self) -> None:
        """Probe once whether a connection can be made at all, within ``connect_s`` seconds.

        Name look-up has no timeout of its own and each address would have its own, hence a thread.
        """
        if self._unreachable is not None:
            self._give_up(self._unreachable)
        if self._probed:
            return
        host, port = self._host, self._port
        if not _is_loopback(host):
            proxies = requests.utils.get_environ_proxies(self.base)
            if proxy := requests.utils.select_proxy(self.base, proxies):
                parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
                host, port = parts.hostname or host, parts.port or 80
        outcome: list[str] = []

        def knock() -> None:
            try:
                socket.create_connection((host, port), timeout=self._connect_s).close()
            except socket.gaierror:
                outcome.append("its name could not be looked up")
            except OSError as fault:
                outcome.append(fault.strerror or "no connection could be made")
            else:
                outcome.append("")

        thread = threading.Thread(target=knock, daemon=True)
        thread.start()
        thread.join(self._connect_s)
        if reason := outcome[0] if outcome else f"no connection within {self._connect_s:g} s":
            self._give_up(reason)
        self._probed = True

    def _give_up(self, reason: str) -> NoReturn:
        self._unreachable = reason
        raise SourceUnreachable(
            f"{self.service} ({self._host}) cannot be reached: {reason[0].lower()}{reason[1:]}",
            remedy="check the network and run the command again; what is on disk stays as it is",
        )

    def _redact_bytes(self, body: bytes) -> bytes:
        """``body`` without the key, which some replies repeat."""
        for spelling in self._spellings() if len(self._key or "") >= SHORTEST_KEY else ():
            body = re.sub(re.escape(spelling.encode()), b"[key]", body, flags=re.IGNORECASE)
        return body

    def _redact(self, text: str) -> str:
        """``text`` without the key in any of its spellings."""
        for spelling in self._spellings():
            text = re.sub(re.escape(spelling), "[key]", text, flags=re.IGNORECASE)
        return text

    def _spellings(self) -> set[str]:
        """The key as it is, in an address, in HTML and in JSON."""
        key = self._key
        if not key:
            return set()
        return {key, quote(key), quote_plus(key), html.escape(key), json.dumps(key)[1:-1]}


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _judge(
    status: int, headers: Mapping[str, str], body: bytes, *, service: str = "PubMed"
) -> None:
    """Raise what the status or the first bytes of a reply mean; bodies are never repeated."""
    start = body[:400].removeprefix(BOM).lstrip().lower()
    if status == 429 or (start.startswith(b"{") and b"rate limit exceeded" in start):
        raise Passing("too many requests", wait_s=_retry_after_s(headers))
    if status >= 500 or status == 408:
        raise Passing(f"HTTP {status}", wait_s=_retry_after_s(headers))
    if 300 <= status < 400:
        raise SourceError(
            f"{service} sends the request elsewhere (HTTP {status})",
            remedy="check EVIDENCE_EUTILS_URL; some networks want you to log in on a page first",
        )
    if status == 414:
        raise SourceError(
            f"{service} refuses a request of this length (HTTP 414)", remedy="shorten the query"
        )
    if (status == 400 and re.search(rb"api[ _-]?key", body, re.IGNORECASE)) or _BAD_KEY.match(
        start
    ):
        raise SourceError(
            f"{service} refuses the API key (HTTP {status})",
            remedy="correct NCBI_API_KEY, or unset it to go on at 3 requests a second",
        )
    if 200 < status < 300:
        raise Passing(f"HTTP {status}")
    if status != 200:
        raise SourceError(
            f"{service} refuses the request (HTTP {status})",
            remedy="check EVIDENCE_EUTILS_URL and the query",
        )
    if not start:
        raise Passing("an empty reply")
    if start.startswith((b"<!doctype html", b"<html")):
        raise Passing("a web page in place of data")


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for; a date counts from the service's own clock."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
        now = email.utils.parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def json_object(body: bytes) -> dict[str, object]:
    """A JSON object that may hold raw line breaks within its strings, as PubMed sends them.

    Raises
    ------
    Passing
        If it is no JSON object.
    """
    try:
        value = json.loads(body.removeprefix(BOM).decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        raise Passing("a reply that is no JSON") from None
    if not isinstance(value, dict):
        raise Passing("a reply that is no JSON object")
    return value
