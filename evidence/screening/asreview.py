"""Projects of ASReview LAB, versions 1 to 3: a zip with a SQLite database of labels.

The layout is that of ASReview's own source (https://github.com/asreview/asreview):

- 1: ``reviews/ID/results.sql`` with the table ``results`` (``record_id``, ``label``,
  ``labeling_time``, ``notes``); a record is the row of the file ``data/DATASET``, from 0.
  (asreview/state/sqlstate.py, asreview/project.py of 1.6)
- 2: ``reviews/ID/results.db`` with ``results`` (``record_id``, ``label``, ``time``, ``note``,
  ``user_id``), and ``data_store.db`` with the table ``record``. (asreview/project/api.py of 2.2)
- 3: both tables in ``results.db``. (asreview/database/database.py of 3.0)

A label is 1, 0 or NULL, where nobody has decided.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from evidence.errors import SourceError
from evidence.formats import Reference, make, read
from evidence.formats.reference import line
from evidence.screening.marks import Mark

# What reading a zip raises: damaged, cut off, with a password, packed in a way that is not known.
ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One record of a project: its row, from 1, what it is, and the decisions on it."""

    row: int
    reference: Reference
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """What a project holds; ``refused`` are rows that cannot be read, with the reason."""

    version: int
    labelled: tuple[Labelled, ...]
    refused: tuple[tuple[int, str], ...]


def is_project(data: bytes) -> bool:
    """Whether the bytes are a zip with ``project.json``."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return "project.json" in archive.namelist()
    except ZIP_FAULTS:
        return False


def read_project(data: bytes, *, file: str) -> Project:
    """The records and labels of a project file.

    Raises
    ------
    SourceError
        If it is no project, one of version 0, or one whose parts are missing or broken.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            config = json.loads(archive.read("project.json"))
            if not isinstance(config, dict):
                raise TypeError("project.json is no object")
            version = int(config.get("project_file_version") or str(config["version"])[0])
            if version not in _READERS:
                raise SourceError(
                    f"{file} is a project of ASReview {version}, which is not read",
                    remedy="open it with ASReview 3 and export it again, or export it as CSV",
                )
            return _READERS[version](archive, config)
    except (*ZIP_FAULTS, KeyError, ValueError, TypeError, IndexError) as fault:
        raise SourceError(
            f"{file} is no whole project of ASReview: {line(str(fault))}",
            remedy="export it from ASReview again, or export it as CSV",
        ) from None
    except sqlite3.Error as fault:
        raise SourceError(f"{file}: its database cannot be read: {fault}") from None


def _version_1(archive: zipfile.ZipFile, config: Mapping[str, Any]) -> Project:
    name = str(config["dataset_path"])
    dataset = read(archive.read(f"data/{name}"), file=name)
    rows: list[tuple[int, Reference | str]] = [
        (r.at.line if r.at else 0, r) for r in dataset.references
    ]
    rows += [(entry.line, entry.why) for entry in dataset.refused]
    rows.sort(key=lambda pair: pair[0])
    review = config["reviews"][0]["id"]
    with _database(archive, f"reviews/{review}/results.sql") as connection:
        labels = {
            int(r["record_id"]): Mark(
                "include" if r["label"] else "exclude",
                note=line(str(r["notes"] or "")),
                time=_local(r["labeling_time"]),
            )
            for r in _rows(connection, "results")
            if r["label"] is not None
        }
    if labels and max(labels) >= len(rows):
        raise ValueError(f"data/{name} has {len(rows)} rows, and there is a label on one more")
    labelled, refused = [], []
    for number, (_, row) in enumerate(rows):
        marks = (labels[number],) if number in labels else ()
        if isinstance(row, str):
            refused.append((number + 1, row))
        else:
            labelled.append(Labelled(number + 1, row, marks))
    return Project(1, tuple(labelled), tuple(refused))


def _version_2(archive: zipfile.ZipFile, config: Mapping[str, Any]) -> Project:
    review = config["reviews"][0]["id"]
    with _database(archive, "data_store.db") as connection:
        records = _rows(connection, "record")
    with _database(archive, f"reviews/{review}/results.db") as connection:
        results = _rows(connection, "results")
    return _project(2, archive, config, records, results)


def _version_3(archive: zipfile.ZipFile, config: Mapping[str, Any]) -> Project:
    with _database(archive, "results.db") as connection:
        return _project(
            3, archive, config, _rows(connection, "record"), _rows(connection, "results")
        )


_READERS = {1: _version_1, 2: _version_2, 3: _version_3}


def _project(
    version: int,
    archive: zipfile.ZipFile,
    config: Mapping[str, Any],
    records: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> Project:
    users = sorted({r["user_id"] for r in results if r["user_id"] is not None})
    labels = {
        int(r["record_id"]): Mark(
            "include" if r["label"] else "exclude",
            reviewer=f"ASReview user {r['user_id']}" if len(users) > 1 and r["user_id"] else "",
            note=line(str(r["note"] or "")),
            time=_utc(r["time"]),
        )
        for r in results
        if r["label"] is not None
    }
    pmids = _pmids(archive, config)
    labelled = []
    for r in records:
        own = int(r["record_id"])
        group = own if own in labels or not r["duplicate_of"] else int(r["duplicate_of"])
        reference = make(
            title=str(r["title"] or ""),
            authors=_texts(r["authors"]),
            abstract=str(r["abstract"] or ""),
            year=r["year"] if isinstance(r["year"], int) else None,
            doi=str(r["doi"] or ""),
            urls=[str(r["url"] or "")],
            pmid=pmids.get((str(r["dataset_id"]), int(r["dataset_row"]))),
        )
        marks = (labels[group],) if group in labels else ()
        labelled.append(Labelled(own + 1, reference, marks))
    return Project(version, tuple(labelled), ())


def _pmids(archive: zipfile.ZipFile, config: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """PMIDs of the files that were loaded, by data set and row: the database has none."""
    found: dict[tuple[str, int], str] = {}
    for dataset in config.get("datasets") or ():
        if not isinstance(dataset, dict):
            raise TypeError("datasets holds something else than objects")
        name = PurePosixPath(str(dataset.get("name", ""))).name
        try:
            content = read(archive.read(f"data/{name}"), file=name)
        except (KeyError, SourceError):
            continue  # the title and the DOI will do
        lines = [r.at.line for r in content.references if r.at]
        order = sorted([*lines, *(entry.line for entry in content.refused)])
        row = {line_: n for n, line_ in enumerate(order)}
        for r in content.references:
            if r.pmid and r.at:
                found[str(dataset.get("id", "")), row[r.at.line]] = r.pmid
    return found


def _texts(value: Any) -> list[str]:
    """A list that SQLite holds as JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return [str(value)]
    return [str(each) for each in found] if isinstance(found, list) else []


def _local(value: Any) -> dt.datetime | None:
    """Version 1 keeps the time of the screener's computer, without its zone: taken as ours."""
    try:
        return dt.datetime.fromisoformat(str(value)).astimezone()
    except ValueError:
        return None


def _utc(value: Any) -> dt.datetime | None:
    """Later versions keep seconds since 1970; None for what is no time of a calendar."""
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


@contextlib.contextmanager
def _database(archive: zipfile.ZipFile, name: str) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        path.write_bytes(archive.read(name))
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as found:
            found.row_factory = sqlite3.Row
            yield found


def _rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """The rows of a table; columns that an older project lacks are None."""
    found = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
    empty = dict.fromkeys(
        (
            "label",
            "notes",
            "note",
            "time",
            "labeling_time",
            "user_id",
            "duplicate_of",
            "url",
            "year",
        )
    )
    return [{**empty, **dict(row)} for row in found]
