"""Passwords of reviewers who come over a network: kept as scrypt digests, tried slowly.

scrypt: Percival and Josefsson (2016), RFC 7914; N = 2^14, r = 8, p = 5 as OWASP's cheat sheet on
storing passwords has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from evidence.errors import ToolkitError
from evidence.files import read_text
from evidence.screen.refused import Refused

N, R, P = 2**14, 8, 5
LENGTH = 32
SHORTEST = 10  # characters of a password
TRIES = 5  # wrong ones before a wait
FORGET_S = 900.0
LONGEST_WAIT_S = 300.0


def digest(password: str, *, salt: bytes | None = None) -> str:
    """A password as it is kept: ``scrypt$SALT$DIGEST``."""
    salt = secrets.token_bytes(16) if salt is None else salt
    key = hashlib.scrypt(password.encode(), salt=salt, n=N, r=R, p=P, dklen=LENGTH, maxmem=2**26)
    return f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def read_passwords(path: Path) -> dict[str, str]:
    """Reviewer to digest, from lines ``NAME:scrypt$...``; ``#`` begins a comment.

    Raises
    ------
    ToolkitError
        Names every line that is not of this form.
    """
    found: dict[str, str] = {}
    faults = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, stored = (part.strip() for part in line.rpartition(":"))
        if not name or not _is_digest(stored):
            faults.append(f"{path}:{number}  is not NAME:scrypt$SALT$DIGEST")
        elif name in found:
            faults.append(f"{path}:{number}  {name} is there twice")
        else:
            found[name] = stored
    if faults or not found:
        raise ToolkitError(
            f"{path} holds no usable passwords" if faults else f"{path} holds no reviewer",
            faults,
            remedy="add a reviewer: evidence screen CLAIM --password-file FILE --add-reviewer NAME",
        )
    return found


def _is_digest(stored: str) -> bool:
    """Whether a text has the form that `digest` gives."""
    kind, *parts = stored.split("$")
    try:
        sizes = [len(base64.b64decode(part, validate=True)) for part in parts]
    except ValueError:
        return False
    return kind == "scrypt" and len(sizes) == 2 and sizes[0] > 0 and sizes[1] == LENGTH


class Door:
    """Lets in who knows a password; after a few wrong ones everybody waits, longer each time.

    Parameters
    ----------
    stored : mapping of str to str
        Reviewer to digest.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(
        self, stored: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stored = dict(stored)
        self._clock = clock
        self._nobody = digest(secrets.token_urlsafe(16))
        self._wrong: dict[str, tuple[int, float]] = {}  # times, when last
        self._mutex = threading.Lock()  # for `_wrong`: people sign in from many threads

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def credential(self, name: str) -> str | None:
        return self._stored.get(name)

    def admit(self, name: str, password: str, *, origin: str) -> str:
        """The reviewer's name, if the password is theirs.

        Counted are wrong tries from an address, and those for a name.

        Raises
        ------
        Refused
            401 for a wrong name or password, which are not told apart; 429 after too many.
        """
        keys = (f"from {origin}", f"for {name}"[:200])
        with self._mutex:
            for key in keys:
                self._wait(key)
            for key in keys:  # counted before the slow part: tries at the same time count too
                self._count(key)
        stored = self._stored.get(name, self._nobody)
        salt = base64.b64decode(stored.split("$")[1])
        good = hmac.compare_digest(digest(password, salt=salt), stored)
        if not good or name not in self._stored:
            raise Refused(401, "name and password do not belong together")
        with self._mutex:
            for key in keys:
                self._wrong.pop(key, None)
        return name

    def _wait(self, key: str) -> None:
        times, last = self._wrong.get(key, (0, 0.0))
        if times < TRIES:
            return
        left = last + min(LONGEST_WAIT_S, 2.0 ** (times - TRIES + 2)) - self._clock()
        if left > 0:
            raise Refused(
                429, "too many wrong passwords", f"wait {left:.0f} seconds", wait=int(left) + 1
            )

    def _count(self, key: str) -> None:
        now = self._clock()
        if len(self._wrong) > 10_000:
            self._wrong = {k: v for k, v in self._wrong.items() if now - v[1] < FORGET_S}
        times, last = self._wrong.get(key, (0, now))
        self._wrong[key] = (times + 1 if now - last < FORGET_S else 1, now)
