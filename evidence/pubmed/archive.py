"""Every reply as it came, kept under its hash, and the log of what was asked when.

``var/archive/index.jsonl`` has one line for each reply (request without key and address, status,
time, hash of the body) and one for each search that was proven whole, with the hashes of the
replies that hold its PMIDs. Bodies lie gzip-compressed below ``bodies/``, named by the SHA-256 of
what came. A search can so be audited, and run again without a network.

Retention: when the bodies exceed the limit (1 GiB unless EVIDENCE_ARCHIVE_MB says otherwise),
whole runs are dropped, oldest first. The replies behind each claim's last search always stay.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import files
from evidence.errors import SourceError
from evidence.fetch import Fields, Passing
from evidence.pubmed.replies import read_page
from evidence.pubmed.search import Found, Part

LIMIT = 1 << 30  # bytes of compressed bodies


@dataclass(frozen=True, slots=True)
class Search:
    """One search that was proven whole, as the log tells it."""

    run: str
    claim: str
    on: dt.date
    at: str  # when it was proven whole, UTC
    query: str
    translation: str
    count: int
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    digest: str  # SHA-256 of its PMIDs, one a line


def limit_from(environ: Mapping[str, str]) -> int:
    """The archive's limit in bytes, from EVIDENCE_ARCHIVE_MB.

    Raises
    ------
    SourceError
        If it is no whole number.
    """
    text = environ.get("EVIDENCE_ARCHIVE_MB", "").strip()
    if not text:
        return LIMIT
    if not text.isdigit():
        raise SourceError(
            f"EVIDENCE_ARCHIVE_MB = {text!r} is not a whole number",
            remedy="write the archive's limit in megabytes, such as 1024",
        )
    return int(text) << 20


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Archive:
    """The replies below ``folder``; safe for several processes at once.

    Parameters
    ----------
    limit : int
        Bytes of compressed bodies above which the oldest runs are dropped.
    now : callable
        The time, in UTC.
    """

    def __init__(
        self, folder: Path, *, limit: int = LIMIT, now: Callable[[], dt.datetime] = _now
    ) -> None:
        self.folder, self.limit, self._now = folder, limit, now
        self.index = folder / "index.jsonl"
        self.run = f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._since_pruned = 0

    def keep(self, utility: str, fields: Fields, status: int, body: bytes) -> None:
        """Keep one reply and log what was asked; both reach the disk before this returns."""
        digest = hashlib.sha256(body).hexdigest()
        line = {
            "reply": digest,
            "run": self.run,
            "at": self._now().isoformat(timespec="seconds"),
            "utility": utility,
            "request": dict(fields),
            "status": status,
            "bytes": len(body),
        }
        with self._locked():
            path = self._path(digest)
            if not path.is_file():
                packed = gzip.compress(body, compresslevel=6, mtime=0)
                files.write_bytes(path, packed)
                self._since_pruned += len(packed)
            self._append(line)
            if self._since_pruned > self.limit // 8:
                self._prune()

    def log_search(self, claim: str, found: Found, *, on: dt.date) -> None:
        """Log a search that was proven whole."""
        line = {
            "search": claim,
            "run": self.run,
            "at": self._now().isoformat(timespec="seconds"),
            "on": on.isoformat(),
            "query": found.query,
            "translation": found.translation,
            "count": found.count,
            "warnings": list(found.warnings),
            "parts": [[p.low, p.high, p.count, p.reply] for p in found.parts],
            "digest": pmids_digest(found.pmids),
        }
        with self._locked():
            self._append(line)

    def searches(self, claim: str) -> tuple[Search, ...]:
        """The claim's searches that the archive can run again, oldest first."""
        return tuple(
            Search(
                run=line["run"],
                claim=claim,
                on=dt.date.fromisoformat(line["on"]),
                at=line["at"],
                query=line["query"],
                translation=line["translation"],
                count=line["count"],
                warnings=tuple(line["warnings"]),
                parts=tuple(Part(*part) for part in line["parts"]),
                digest=line["digest"],
            )
            for line in self.lines()
            if line.get("search") == claim
        )

    def search(self, claim: str, when: str) -> Search:
        """The claim's search of a run (its name or the beginning of it) or the last of a day.

        Raises
        ------
        SourceError
            If there is none; names the runs that there are.
        """
        known = self.searches(claim)
        chosen = [s for s in known if s.on.isoformat() == when or s.run.startswith(when)]
        if when == "last":
            chosen = list(known)
        if not chosen or not when:
            runs = [f"{s.on}  run {s.run}" for s in known]
            raise SourceError(
                f"no search of {claim} is archived under {when!r}",
                runs or ["none is archived yet: every search in PubMed is, from the first on"],
                remedy="name a day such as 2026-03-02, the beginning of a run's name, or last"
                if runs
                else f"evidence search {claim}",
            )
        return chosen[-1]

    def has(self, digest: str) -> bool:
        """Whether the body of this hash is held."""
        return self._path(digest).is_file()

    def body(self, digest: str) -> bytes:
        """The body of this hash, checked against it.

        Raises
        ------
        SourceError
            If it is not held or is not what came.
        """
        path = self._path(digest)
        try:
            body = gzip.decompress(files.read_bytes(path)) if path.is_file() else None
        except (OSError, EOFError, zlib.error):
            body = b""
        if body is None:
            raise SourceError(
                "the archive no longer holds a reply of this search",
                [f"{path}: missing"],
                remedy="choose a later run, or give EVIDENCE_ARCHIVE_MB more room from now on",
            )
        if hashlib.sha256(body).hexdigest() != digest:
            raise SourceError(
                "the archive is damaged",
                [f"{path}: is not what its name says"],
                remedy="restore the file from a copy, or choose another run",
            )
        return body

    def prune(self) -> None:
        """Drop the oldest runs until the bodies keep to the limit; see the module's rule."""
        if self.index.is_file():
            with self._locked():
                self._prune()

    def _prune(self) -> None:
        self._since_pruned = 0
        for part in self.folder.glob("bodies/*/.*.part"):
            files.remove_part(part)
        sizes = {
            path.name.removesuffix(".gz"): path.stat().st_size
            for path in (self.folder / "bodies").glob("*/*.gz")
        }
        lines = self.lines()
        last = {line["search"]: n for n, line in enumerate(lines) if "search" in line}
        stay = {part[3] for n in last.values() for part in lines[n]["parts"]}
        runs = list(dict.fromkeys(line["run"] for line in lines))
        users: dict[str, set[str]] = {}  # runs that a body belongs to
        for line in lines:
            for digest in _digests(line):
                users.setdefault(digest, set()).add(line["run"])
        total = sum(sizes.values())
        for digest in sizes.keys() - users.keys():  # left by a kill between body and line
            self._path(digest).unlink(missing_ok=True)
            total -= sizes[digest]
        gone: set[str] = set()
        for run in runs[:-1]:  # never the run that is under way
            if total <= self.limit:
                break
            gone.add(run)
            for digest, of in users.items():
                if run in of and of <= gone and digest not in stay and digest in sizes:
                    total -= sizes.pop(digest)
        if not gone:
            return
        kept = [
            line
            for n, line in enumerate(lines)
            if line["run"] not in gone or n in last.values() or line.get("reply") in stay
        ]
        files.write_bytes(self.index, b"".join(map(_encoded, kept)))
        for digest in users.keys() - {d for line in kept for d in _digests(line)}:
            self._path(digest).unlink(missing_ok=True)

    def lines(self) -> list[dict[str, Any]]:
        """The log, without what a full disk or a kill cut short."""
        if not self.index.is_file():
            return []
        lines: list[dict[str, Any]] = []
        for text in files.read_bytes(self.index).splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and "run" in line:
                    lines.append(line)
        return lines

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.index.open("ab+") as index:
            end = index.seek(0, os.SEEK_END)
            if end:
                index.seek(end - 1)
                if index.read(1) != b"\n":  # a line that was cut short ends here
                    index.write(b"\n")
            index.write(_encoded(line))
            index.flush()
            os.fsync(index.fileno())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
                yield
        except OSError as fault:
            raise SourceError(
                f"{self.folder} cannot be written: {fault.strerror}",
                remedy="check the rights of the folder and the space on the disk: a reply that "
                "is not archived cannot be audited",
            ) from None

    def _path(self, digest: str) -> Path:
        return self.folder / "bodies" / digest[:2] / f"{digest}.gz"


def replay(archive: Archive, search: Search) -> Found:
    """Run a search again from its archived replies, with every check of the first time.

    Raises
    ------
    SourceError
        If a reply is missing or damaged, or the replies do not give the PMIDs that were logged.
    """
    pmids: list[int] = []
    for part in search.parts:
        try:
            page = read_page(archive.body(part.reply))
        except Passing as fault:
            raise _differs(search, str(fault)) from None
        ids = sorted(set(page.pmids))
        whole = len(ids) == len(page.pmids) == page.count == part.count
        if not whole or (ids and not part.low <= ids[0] <= ids[-1] <= part.high):
            raise _differs(search, f"{len(ids)} PMIDs in a reply, {part.count} expected")
        pmids += ids
    texts = tuple(map(str, pmids))
    if len(pmids) != search.count or pmids_digest(texts) != search.digest:
        raise _differs(search, f"{len(pmids):,} PMIDs, {search.count:,} logged")
    return Found(
        texts, search.count, search.query, search.translation, search.warnings, parts=search.parts
    )


def pmids_digest(pmids: tuple[str, ...]) -> str:
    """SHA-256 of PMIDs, one a line."""
    return hashlib.sha256("".join(f"{pmid}\n" for pmid in pmids).encode()).hexdigest()


def _differs(search: Search, words: str) -> SourceError:
    return SourceError(
        "the archived replies do not give the search that was logged",
        [f"run {search.run}: {words}"],
        remedy="choose another run; this one cannot be audited",
    )


def _digests(line: Mapping[str, Any]) -> list[str]:
    if "reply" in line:
        return [line["reply"]]
    return [part[3] for part in line.get("parts", ())]


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
