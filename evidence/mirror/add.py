"""Files of NLM into a mirror: each one whole or not at all, each once, in NLM's order."""

from __future__ import annotations

import hashlib
import io
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import ToolkitError
from evidence.files import read_bytes
from evidence.mirror.database import NLM_FILE, connect, faults, missing_files, transaction
from evidence.mirror.reading import Reader, readers
from evidence.mirror.writing import Added, Refused, Writer, merge
from evidence.pubmed.articles import NotWhole


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought, file by file, and what it left out."""

    files: tuple[Added, ...]
    refused: tuple[str, ...]  # "FILE: why", for files that were not taken in
    gaps: tuple[str, ...]  # files of NLM that are missing between those in the mirror

    @property
    def records(self) -> int:
        return sum(file.records for file in self.files if not file.known)

    @property
    def exit_code(self) -> int:
        return 1 if self.refused else 0

    def lines(self) -> list[str]:
        """What to tell: faults first."""
        told = [f"error: {text}" for text in self.refused]
        for file in self.files:
            told += [f"quarantined: {file.name}, {text}" for text in file.quarantined]
        if self.gaps:
            told.append(f"missing between files that are there: {', '.join(self.gaps)}")
        known = sum(file.known for file in self.files)
        new = len(self.files) - known
        deletions = sum(file.deletions for file in self.files if not file.known)
        parts = ((new, "file"), (self.records, "record"), (deletions, "deletion"))
        added, records, gone = (f"{n:,} {word}{'' if n == 1 else 's'}" for n, word in parts)
        there = "was" if known == 1 else "were"
        told.append(f"{added} added with {records} and {gone}; {known} {there} there already")
        return told


def add(
    mirror: Path,
    files: Sequence[Path],
    *,
    jobs: int | None = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Take files of PubMed XML into the mirror, which is begun where there is none.

    Each file is one transaction together with its line in the ledger: a run that is killed at any
    moment leaves whole files only, and the same command goes on after them. A file that is in the
    ledger is passed over. Of one PMID the highest version counts, of one version the record of the
    file that NLM published last, whatever the order in which the files are given. A deletion
    holds against all files before it.

    Parameters
    ----------
    mirror : Path
        The SQLite file.
    files : sequence of Path
        Plain or gzip. Names such as ``pubmed26n0001.xml.gz`` give the order; others come last, as
        given. Where ``FILE.md5`` lies beside a file, its sum must agree.
    jobs : int, optional
        Processes that read records while this one writes; 1 reads here. None: as many as there
        are processors, at most four, where the files are large. A script that is run as such must
        then stand below ``if __name__ == "__main__":``, as Python starts it again.
    say : callable
        Told of progress.

    Returns
    -------
    Outcome
        Also the files that were refused: not whole, damaged, or changed since they were added.

    Raises
    ------
    StoreError
        If the mirror cannot be written.
    """
    done: list[Added] = []
    refused: list[str] = []
    db = connect(mirror, make=True)
    try:
        with faults(mirror), readers(files, jobs) as read_ahead:
            for path in sorted(files, key=in_nlm_order):
                try:
                    done.append(add_file(db, path, read_ahead, say))
                except (Refused, NotWhole) as why:
                    refused.append(refusal(path, why))
                except ToolkitError as fault:
                    refused.append(str(fault))
            merge(db, say)
            gaps = missing_files(db)
    finally:
        db.close()
    return Outcome(tuple(done), tuple(refused), gaps)


def in_nlm_order(path: Path) -> tuple[int, int]:
    """A key to sort files by: as NLM numbers them, those with other names last."""
    named = NLM_FILE.fullmatch(path.name)
    return (int(named[1]), int(named[2])) if named else (1 << 30, 0)


def refusal(path: Path, why: Refused | NotWhole) -> str:
    """Which file is left out, why, and what to do."""
    again = "; fetch it again" if str(why).startswith("not whole") else ""
    return f"{path}: {why}{again}"


def add_file(
    db: sqlite3.Connection, path: Path, read_ahead: Reader, say: Callable[[str], None]
) -> Added:
    """Take one file in, as one transaction.

    Raises
    ------
    Refused, NotWhole
        If its sum does not agree, its name has other content, or it is damaged.
    """
    data = read_bytes(path)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    check_sum(path, md5)
    with transaction(db):
        held = db.execute(
            "SELECT name, records, deletions FROM files WHERE md5 = ?", (md5,)
        ).fetchone()
        if held:
            return Added(path.name, held[1], held[2], (), known=True)
        writer = Writer(db, path.name, md5, say)
        added = writer.take(read_ahead(io.BytesIO(data)))
    say(writer.progress("done"))
    return added


def check_sum(path: Path, md5: str) -> None:
    """Compare with ``FILE.md5``, where it lies beside the file."""
    beside = path.with_name(f"{path.name}.md5")
    if not beside.is_file():
        return
    stated = re.search(rb"\b[0-9a-fA-F]{32}\b", read_bytes(beside))
    if stated is None:
        raise Refused(f"{beside.name} holds no MD5 sum; fetch it again, or remove it")
    if stated[0].decode().lower() != md5:
        raise Refused(
            f"its MD5 sum is {md5}, {beside.name} says {stated[0].decode()}; fetch the file again"
        )
