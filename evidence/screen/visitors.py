"""Who sits at a browser: signed cookies, the token of the first visit, the token of every write.

The key lies in the review's ``var/``, readable by its owner alone, so that a server that was killed
and started again knows the pages that are still open. Nothing else is kept on the server.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import ToolkitError

KEY_BYTES = 32
LIFETIME_S = 30 * 24 * 3600  # a screening lasts weeks; a cookie that is older is refused


@dataclass(frozen=True, slots=True)
class Visitor:
    """One browser, and the name under which it decides; None until it has said one."""

    id: str
    reviewer: str | None = None

    @classmethod
    def new(cls, reviewer: str | None = None) -> Visitor:
        return cls(secrets.token_urlsafe(16), reviewer)

    def named(self, reviewer: str) -> Visitor:
        return Visitor(self.id, reviewer)


class Visitors:
    """Cookies and tokens of one server.

    Parameters
    ----------
    key : bytes
        The secret.
    purpose : str
        What the cookies are good for: the claim. Those of another are refused.
    credential : callable
        Name to what proves it (the stored password), or to None for a name that may not come in;
        a cookie is void once this changes.
    clock : callable
        Seconds since 1970.
    """

    def __init__(
        self,
        key: bytes,
        purpose: str,
        *,
        credential: Callable[[str], str | None] = lambda name: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = hashlib.blake2b(purpose.encode(), key=key, digest_size=32).digest()
        self._credential = credential
        self._clock = clock
        self.start_token = secrets.token_urlsafe(32)

    def starts(self, token: str) -> bool:
        """Whether this is the token of the address that the terminal printed."""
        return _same(token, self.start_token)

    def cookie(self, visitor: Visitor) -> str:
        body = json.dumps([visitor.id, visitor.reviewer, int(self._clock())])
        text = base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")
        return f"{text}.{self._mac('cookie', text, self._proof(visitor) or '')}"

    def read(self, cookie: str) -> Visitor | None:
        """The visitor of a cookie; None where it is forged, foreign, stale or void."""
        text, _, mac = cookie.partition(".")
        try:
            body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            id_, reviewer, issued = json.loads(body)
            visitor = Visitor(str(id_), None if reviewer is None else str(reviewer))
            age = self._clock() - float(issued)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        proof = self._proof(visitor)
        if proof is None or not _same(mac, self._mac("cookie", text, proof)):
            return None
        return visitor if -60 <= age <= LIFETIME_S else None

    def write_token(self, visitor: Visitor) -> str:
        """What a write must carry in its header beside the cookie."""
        return self._mac("write", visitor.id, visitor.reviewer or "")

    def may_write(self, visitor: Visitor, token: str) -> bool:
        return _same(token, self.write_token(visitor))

    def _proof(self, visitor: Visitor) -> str | None:
        return self._credential(visitor.reviewer) if visitor.reviewer is not None else ""

    def _mac(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def _same(one: str, two: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), two.encode("utf-8", "surrogatepass")
    )


def key_of(folder: Path) -> bytes:
    """The secret of this review's servers, made by the first one.

    Raises
    ------
    ToolkitError
        If it cannot be read or written.
    """
    path = folder / "key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            with contextlib.suppress(FileNotFoundError):
                key = path.read_bytes()
                if len(key) == KEY_BYTES:
                    return key
                path.unlink()
            part = folder / f".key.{secrets.token_hex(4)}"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                f.write(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):  # another server was first
                os.link(part, path)
            part.unlink()
    except OSError as fault:
        raise ToolkitError(
            f"cannot keep the server's key in {folder}: {fault.strerror}",
            remedy="check who may read and write there",
        ) from fault
    raise ToolkitError(f"{path} cannot be made", remedy="remove it, then start again")
