"""The server in a terminal: an address, one line about it, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from evidence.errors import ToolkitError

DEFAULT_PORT = 8787
NEXT = 20  # ports that are tried after a default one that is in use
HEAD_S = 20.0  # how long the first lines of a request may take
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# With TLS 1.2, below which Python's own contexts do not go: forward secrecy and authenticated
# encryption alone (RFC 9325, section 4.2). Older releases of uvicorn ask for those of TLS 1.0.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


def listen(host: str, port: int | None) -> socket.socket:
    """A socket on this port; without one, on the default port or one of the next.

    Raises
    ------
    ToolkitError
        If the port is in use, or the address is not of this machine.
    """
    ports = range(DEFAULT_PORT, DEFAULT_PORT + NEXT) if port is None else [port]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in ports:
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, number))
            found.listen(64)
            return found
        except OSError as fault:
            found.close()
            if fault.errno == errno.EADDRINUSE:
                continue
            raise ToolkitError(
                f"cannot listen on {host}, port {number}: {fault.strerror}",
                remedy="another --port (above 1023), or a --host of this machine",
            ) from fault
    which = f"port {port} is" if port is not None else f"ports {ports[0]} to {ports[-1]} are"
    raise ToolkitError(
        f"{which} in use, perhaps by a screening that runs already",
        remedy="use its page, end it with Ctrl-C, or name another one: --port N (0 takes any)",
    )


class Patient(H11Protocol):
    """Connections, each closed where a request's first lines take too long to arrive.

    Without it a few hundred visitors who send nothing would keep everybody else out.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # see `guard.BODY_S`
            self._rest()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def server_of(
    app: Callable[..., object], *, tls: Tls | None = None, forwarded: bool = False
) -> uvicorn.Server:
    """A server that says nothing of itself and keeps nothing of its visitors.

    Parameters
    ----------
    forwarded : bool
        Whether a proxy on this machine says where requests come from.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="none",
            http=Patient,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            limit_concurrency=200,
            h11_max_incomplete_event_size=64 * 1024,
            proxy_headers=forwarded,
            forwarded_allow_ips="127.0.0.1",
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls else None,
            ssl_ciphers=CIPHERS,
        )
    )


def serve(
    app: Callable[..., object],
    bound: socket.socket,
    *,
    tls: Tls | None,
    forwarded: bool = False,
    ready: Callable[[], None],
) -> None:
    """Serve until Ctrl-C or a signal to end; requests that are under way are finished.

    Parameters
    ----------
    ready : callable
        Called once the server answers.
    """
    server = server_of(app, tls=tls, forwarded=forwarded)

    def tell() -> None:
        while not server.started and not server.should_exit:
            threading.Event().wait(0.02)
        if server.started:
            ready()

    threading.Thread(target=tell, name="ready", daemon=True).start()
    # uvicorn raises the signal again once it has ended, which would end in a traceback.
    with contextlib.suppress(KeyboardInterrupt), _quiet(signal.SIGTERM):
        server.run(sockets=[bound])


@contextlib.contextmanager
def _quiet(number: signal.Signals) -> Iterator[None]:
    """Let a signal that is raised again at the end do nothing."""
    before = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


def open_browser(url: str) -> None:
    """Show a page, if this machine has a browser that can be started quietly."""

    def show() -> None:
        with contextlib.suppress(webbrowser.Error):  # the address is printed all the same
            webbrowser.open(url)

    threading.Thread(target=show, name="browser", daemon=True).start()
