"""NLM's descriptor and qualifier files in a mirror: entry terms and what lies below a heading."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from lxml import etree

from evidence.errors import SourceError
from evidence.mirror.database import MIRROR, Kind, connect, faults, transaction
from evidence.query.plan import key

_CLASS = {"2": "type"}  # DescriptorClass; 1, 3 and 4 are headings, check tags and places


class Descriptors:
    """The vocabulary that `evidence.query.plan.plan` asks."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def headings(self, name: str) -> frozenset[str] | None:
        """The heading of this name or entry term and all below it; None if there is none."""
        return self._below("heading", name)

    def heading(self, name: str) -> str | None:
        """The heading alone."""
        found = self._db.execute(
            "SELECT name FROM entries JOIN descriptors USING (ui) "
            "WHERE entries.kind = 'heading' AND key = ?",
            (key(name),),
        ).fetchone()
        return str(found[0]) if found else None

    def subheadings(self, name: str) -> frozenset[str] | None:
        """A subheading and all below it; None without NLM's qualifier file."""
        return self._below("qualifier", name)

    def publication_types(self, name: str) -> frozenset[str] | None:
        """A publication type and all below it."""
        return self._below("type", name)

    def _below(self, kind: str, name: str) -> frozenset[str] | None:
        found = self._db.execute(
            "SELECT ui FROM entries WHERE kind = ? AND key = ?", (kind, key(name))
        ).fetchone()
        if found is None:
            return None
        below = self._db.execute(
            # "." and "/" are neighbours: from "A01." up to "A01/" lies all below A01.
            "SELECT DISTINCT d.name FROM trees AS t JOIN trees AS b "
            "ON b.number = t.number "
            "OR (b.number >= t.number || '.' AND b.number < t.number || '/') "
            "JOIN descriptors AS d ON d.ui = b.ui WHERE t.ui = ? AND d.kind = ?",
            (found[0], kind),
        ).fetchall()
        own = self._db.execute("SELECT name FROM descriptors WHERE ui = ?", found).fetchall()
        return frozenset(str(name) for (name,) in (*below, *own))


def add_mesh(
    mirror: Path,
    files: list[Path],
    *,
    kind: Kind = MIRROR,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Take NLM's ``desc20xx.xml`` and ``qual20xx.xml`` (plain or gzip) into a mirror.

    What an earlier file of the same kind brought is replaced.

    Returns
    -------
    dict
        How many headings, types (of publications) and qualifiers the mirror now has.

    Raises
    ------
    SourceError
        If a file is not whole or is neither of the two; the mirror is left as it was.
    """
    db = connect(mirror, make=True, kind=kind)
    try:
        with faults(mirror), transaction(db):
            for path in files:
                kinds: set[str] = set()
                count = 0
                for what, ui, name, names, numbers in _read(path):
                    if what not in kinds:
                        kinds.add(what)
                        _forget(db, what)
                    _write(db, what, ui, name, names, numbers)
                    count += 1
                if not count:
                    raise SourceError(
                        f"{path} holds no descriptors or qualifiers",
                        remedy="fetch desc20xx.xml or qual20xx.xml from NLM's MeSH pages",
                    )
                say(f"{path.name}: {count:,} read")
        found = db.execute("SELECT kind, count(*) FROM descriptors GROUP BY kind").fetchall()
    finally:
        db.close()
    return dict(found)


def _forget(db: sqlite3.Connection, kind: str) -> None:
    db.execute("DELETE FROM trees WHERE ui IN (SELECT ui FROM descriptors WHERE kind = ?)", (kind,))
    db.execute("DELETE FROM entries WHERE kind = ?", (kind,))
    db.execute("DELETE FROM descriptors WHERE kind = ?", (kind,))


def _write(
    db: sqlite3.Connection, kind: str, ui: str, name: str, names: list[str], numbers: list[str]
) -> None:
    db.execute("INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)", (ui, name, kind))
    # A heading's own name wins over an entry term of another.
    db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (kind, key(name), ui))
    db.executemany(
        "INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", ((kind, key(n), ui) for n in names)
    )
    db.executemany("INSERT OR REPLACE INTO trees VALUES (?, ?)", ((n, ui) for n in numbers))


def _read(path: Path) -> Iterator[tuple[str, str, str, list[str], list[str]]]:
    """Kind, UI, name, entry terms and tree numbers of each entry."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        if zipped:
            with gzip.open(path) as packed:
                yield from _entries(packed)
        else:
            with path.open("rb") as file:
                yield from _entries(file)
    except (OSError, EOFError, etree.XMLSyntaxError) as fault:
        raise SourceError(
            f"{path} cannot be read as XML: {fault}",
            remedy="fetch desc20xx.xml or qual20xx.xml from NLM's MeSH pages again",
        ) from fault


def _entries(
    stream: IO[bytes] | gzip.GzipFile,
) -> Iterator[tuple[str, str, str, list[str], list[str]]]:
    records = etree.iterparse(
        stream,
        tag=("DescriptorRecord", "QualifierRecord"),
        load_dtd=False,
        no_network=True,
        resolve_entities=False,
    )
    for _, record in records:
        what = record.tag.removesuffix("Record")
        kind = (
            _CLASS.get(record.get("DescriptorClass", "1"), "heading")
            if what == "Descriptor"
            else "qualifier"
        )
        names = [t.text or "" for t in record.iterfind("ConceptList/Concept/TermList/Term/String")]
        numbers = [t.text or "" for t in record.iterfind("TreeNumberList/TreeNumber")]
        ui, name = record.findtext(f"{what}UI"), record.findtext(f"{what}Name/String")
        if ui and name:
            yield kind, ui, name, names, [n for n in numbers if n]
        record.clear()
