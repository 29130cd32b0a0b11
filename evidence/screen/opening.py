"""From a claim and an address to a server that is ready to be run; refusals come first."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence import files
from evidence.errors import ToolkitError
from evidence.extracted import TABLES, columns
from evidence.model import Screening, Stage
from evidence.screen.app import make_app
from evidence.screen.bodies import LONGEST_LINE, LONGEST_NAME
from evidence.screen.front import Front
from evidence.screen.guard import Address, Guard
from evidence.screen.passwords import SHORTEST, Door, digest, read_passwords
from evidence.screen.serve import DEFAULT_PORT, LOOPBACK, Tls, listen
from evidence.screen.session import ScreenSession
from evidence.screen.visitors import Visitors, key_of
from evidence.screening import FOUNDING, TITLE
from evidence.screening.rows import COLUMNS, one_line
from evidence.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Where:
    """Where a server listens and how browsers reach it.

    Attributes
    ----------
    port : int or None
        None takes the default one, or the next that is free.
    password_file, tls : optional
        Needed where other machines reach it.
    public : str or None
        The name under which a proxy with TLS on this machine is reached; it passes requests on.
    names : tuple of str
        Further hosts by which browsers may call it.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    password_file: Path | None = None
    tls: Tls | None = None
    public: str | None = None
    names: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        return self.host in LOOPBACK and self.public is None

    def check(self) -> None:
        """Refuse a server that strangers could use or read along with.

        Raises
        ------
        ToolkitError
        """
        if self.local:
            return
        if self.password_file is None:
            raise ToolkitError(
                "a server that other machines reach needs passwords",
                remedy="evidence screen CLAIM --password-file FILE --add-reviewer NAME makes one",
            )
        if self.public is not None and self.host not in LOOPBACK:
            raise ToolkitError(
                "behind a proxy the server itself listens to this machine alone",
                remedy="leave out --host, and let the proxy pass requests on to 127.0.0.1",
            )
        if self.public is not None and not re.fullmatch(r"[^:]+(?::[0-9]{1,5})?", self.public):
            raise ToolkitError(
                f"{self.public!r} is no name of a server",
                remedy="--behind-tls-proxy takes a host, or a host and its port: HOST:8443",
            )
        if self.tls is None and self.public is None:
            raise ToolkitError(
                "a server that other machines reach needs TLS, or passwords and decisions could "
                "be read and changed on their way",
                remedy="--tls-cert and --tls-key, or a proxy with TLS and --behind-tls-proxy NAME",
            )


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that only has to be run."""

    session: ScreenSession
    app: Guard
    bound: socket.socket
    url: str
    moved: bool  # whether the default port was in use


def prepare(
    workspace: Workspace,
    claim_id: str,
    where: Where,
    *,
    stage: Stage = TITLE,
    reviewer: str | None = None,
    resolvers: Sequence[str] = (),
    say: Callable[[str], None] = lambda words: None,
) -> Ready:
    """Read the claim, its decisions and records, and take the port.

    Raises
    ------
    ToolkitError
        With what to do about it.
    """
    where.check()
    reviewer = reviewer_name(reviewer) if reviewer else None
    if where.tls is not None:
        _check_tls(where.tls)
    claim = workspace.claim(claim_id)
    door = Door(read_passwords(where.password_file)) if where.password_file else None
    if door is not None and reviewer is not None:
        raise ToolkitError(
            "with passwords everybody screens under the name they sign in with",
            remedy="leave out --reviewer",
        )
    _make_tables(workspace.root / "extracted" / claim.id)
    names = [one_line(name) for name in resolvers]
    session = ScreenSession(workspace, claim, resolvers=names)
    for notice in session.desk.notices:
        say(notice)
    key = key_of(workspace.var / "screen")
    bound = listen(where.host, where.port)
    port = int(bound.getsockname()[1])
    secure = where.tls is not None or where.public is not None
    address = _address(where, port, secure)
    visitors = Visitors(
        key,
        f"{workspace.root}:{claim.id}:{'passwords' if door else 'local'}",
        credential=door.credential if door else lambda name: "",
    )
    front = Front(
        session,
        visitors,
        address,
        door=door,
        reviewer=reviewer,
        stage=stage,
    )
    session.start(front.reviewer)
    return Ready(
        session,
        make_app(front),
        bound,
        _url(where, port, visitors, door is not None),
        where.port is None and port != DEFAULT_PORT,
    )


def reviewer_name(name: str) -> str:
    """A reviewer's name as it is written in the log, and as the page takes it.

    Raises
    ------
    ToolkitError
        If it cannot be one.
    """
    name = one_line(name)
    if not name or name == FOUNDING or len(name) > LONGEST_NAME:
        raise ToolkitError(
            f"{name!r} cannot be the name of a reviewer" if name else "a reviewer needs a name",
            remedy=f"a name of at most {LONGEST_NAME} characters, other than {FOUNDING}",
        )
    return name


def _make_tables(folder: Path) -> None:
    """The claim's tables that are not there yet, with their headers alone.

    A folder that had just the log would be a fault to every other command.
    """
    for name, noun in TABLES.items():
        header = COLUMNS if noun is Screening else columns(noun)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{name}.csv").open("x", encoding="utf-8", newline="") as file:
                file.write(files.csv_text(header, []))
        except FileExistsError:
            continue
        except OSError as fault:
            raise ToolkitError(
                f"cannot write in {folder}: {fault.strerror}",
                remedy="check who may write there, and the space on the disk",
            ) from fault


def _check_tls(tls: Tls) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
    except OSError as fault:  # ssl.SSLError among them
        raise ToolkitError(
            f"{tls.certificate} and {tls.key} are no certificate and its key: {fault.strerror}",
            remedy="name two PEM files that belong together",
        ) from fault


def _address(where: Where, port: int, secure: bool) -> Address:
    if where.public is not None:
        host, _, number = where.public.partition(":")
        return Address.of([host], int(number or 443), secure=True)
    names = set(LOOPBACK) if where.host in LOOPBACK else {where.host}
    if where.host in ("0.0.0.0", "::"):
        names = {socket.gethostname(), socket.getfqdn(), *LOOPBACK}
    return Address.of(names | set(where.names), port, secure=secure)


def _url(where: Where, port: int, visitors: Visitors, door: bool) -> str:
    if where.public is not None:
        return f"https://{where.public}/"
    scheme = "https" if where.tls else "http"
    host = f"[{where.host}]" if ":" in where.host else where.host
    path = "" if door else f"start?token={visitors.start_token}"
    return f"{scheme}://{host}:{port}/{path}"


def add_reviewer(path: Path, name: str, password: str) -> bool:
    """Let a reviewer in, or give one a new password; tells whether the name is new.

    Raises
    ------
    ToolkitError
        If the name or the password cannot be used.
    """
    name = reviewer_name(name)
    if name.startswith("#"):
        raise ToolkitError("a reviewer needs a name", remedy="one that does not begin with #")
    if len(password) < SHORTEST:
        raise ToolkitError(
            f"a password needs {SHORTEST} characters at least", remedy="some words make a good one"
        )
    if len(password) > LONGEST_LINE:
        raise ToolkitError(f"a password has {LONGEST_LINE} characters at most")
    there = read_passwords(path) if path.is_file() else {}
    new = name not in there
    lines = [f"{who}:{stored}" for who, stored in (there | {name: digest(password)}).items()]
    before = os.umask(0o077)  # its owner's alone from the first moment
    try:
        files.write_text(path, "\n".join(lines) + "\n")
    finally:
        os.umask(before)
    return new
