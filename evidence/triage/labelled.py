"""A finished screening from a file: records, and whether each was relevant in the end."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import SchemaError, SourceError
from evidence.files import read_bytes
from evidence.formats import Reference, read
from evidence.formats.text import decode
from evidence.model import Record
from evidence.screening.marks import NO_DECISION, WORDS, marks_of

LABELS = (
    "label",
    "included",
    "label_included",
    "asreview_label",
    "included_label",
    "final_included",
)
IDS = ("record_id", "pmid", "id")
SHOWN = 20  # faults of a kind that a message names
# Words of decisions, as in files of other programs; a doubt is no label.
_SAID: dict[str, bool | None] = {
    **dict.fromkeys((*NO_DECISION, "na", "n/a", "null", "none")),
    **{word: {"include": True, "exclude": False}.get(said) for word, said in WORDS.items()},
    "t": True,
    "f": False,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Records with labels, as a file has them."""

    name: str  # of the file
    sha256: str  # of its bytes
    records: tuple[Record, ...]  # ``pmid`` is the file's own record id
    labels: tuple[bool, ...]
    unlabelled: int  # records without a decision, left out
    warnings: tuple[str, ...]

    def summary(self) -> str:
        text = f"{self.name}: {len(self.records)} records, {sum(self.labels)} relevant"
        return f"{text}; {self.unlabelled} without a label left out" if self.unlabelled else text


def read_labelled(path: Path, *, label: str = "") -> Labelled:
    """Read a labelled CSV (also packed as .csv.gz), RIS or other file of references.

    In CSV, labels stand in the first of `LABELS` that is a heading, ids in the first of `IDS`; a
    row is a record, even one without a title. In RIS, labels are the notes of ASReview or Rayyan;
    of several reviewers all must agree. Records without a label are counted and left out.

    Parameters
    ----------
    label : str
        The heading or the tag that holds the labels, in place of these.

    Raises
    ------
    SchemaError
        If no record has a label, several share an id, or a label is none; names each line.
    SourceError
        If the file is of no known format.
    """
    data = read_bytes(path)
    plain = _unpacked(data, path.name)
    table = _table(plain, path.name, label)
    if table is None:
        found = read(plain, file=_bare_name(path.name))
        pairs = _labels(found.references, path.name, label)
        warnings = (*found.warnings, *(f"left out: {entry}" for entry in found.refused))
    else:
        pairs, warnings = table
    known = [(record, said) for record, said in pairs if said is not None]
    if not known:
        where = f" in {label!r}" if label else ""
        raise SchemaError(
            f"no record of {path.name} has a label{where}",
            remedy="give a column `label` (1 relevant, 0 not), the notes of ASReview or Rayyan in "
            "RIS, or name the column or tag with --label",
        )
    times = Counter(record.pmid for record, _ in known)
    twice = [f"record id {one}" for one, number in times.items() if number > 1]
    if twice:
        raise SchemaError(
            f"several records of {path.name} share an id",
            [*twice[:SHOWN], *([f"and {len(twice) - SHOWN} more"] if len(twice) > SHOWN else [])],
            remedy="give each its own id, or leave the column of ids out",
        )
    return Labelled(
        name=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        records=tuple(record for record, _ in known),
        labels=tuple(said for _, said in known),
        unlabelled=len(pairs) - len(known),
        warnings=warnings,
    )


def _bare_name(name: str) -> str:
    return name.removesuffix(".gz")


def _labels(
    references: Sequence[Reference], name: str, label: str
) -> list[tuple[Record, bool | None]]:
    """References with what was decided on them."""
    found: list[tuple[Record, bool | None]] = []
    faults = []
    for place, one in enumerate(references, start=1):
        try:
            marks = {mark.decision for mark in marks_of(one, field=label)}
        except ValueError as fault:
            faults.append(f"record {place}: {fault}")
            continue
        said = {"include": True, "exclude": False}.get(marks.pop()) if len(marks) == 1 else None
        found.append((as_record(one, str(place)), said))
    if faults:
        raise _no_labels(faults, name)
    return found


def _no_labels(faults: Sequence[str], name: str) -> SchemaError:
    return SchemaError(
        f"{len(faults)} labels of {name} cannot be used",
        [*faults[:SHOWN], *([f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else [])],
        remedy="write 1 for relevant, 0 for not relevant, and nothing for not decided",
    )


def _unpacked(data: bytes, name: str) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as fault:
        raise SourceError(f"{name} cannot be unpacked: {fault}") from None


def _table(
    data: bytes, name: str, wanted: str
) -> tuple[list[tuple[Record, bool | None]], tuple[str, ...]] | None:
    """Rows of a CSV with labels, and warnings; None where the file is something else."""
    try:
        text, used = decode(data, file=name)
    except SourceError:
        return None
    text = text.removeprefix("\ufeff")
    head = text.lstrip("\r\n").partition("\n")[0].partition("\r")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = csv.field_size_limit(2**31 - 1)  # an abstract may be longer than 131,072 letters
    try:
        names = [_heading(cell) for cell in next((row for row in rows if any(row)), [])]
        looked_for = (_heading(wanted),) if wanted else LABELS
        label = next((names.index(one) for one in looked_for if one in names), None)
        if label is None or not {"title", "abstract"} & set(names):
            return None
        place = next((names.index(one) for one in IDS if one in names), None)
        found, faults = [], []
        for number, row in enumerate(filter(any, rows), start=1):
            cells = dict(zip(names, row, strict=False))
            said = row[label].strip().casefold() if label < len(row) else ""
            if said not in _SAID:
                faults.append(f"record {number}: {said!r} is no label")
            own = row[place].strip() if place is not None and place < len(row) else ""
            found.append((_record(own or str(number), cells), _SAID.get(said)))
    except csv.Error as fault:
        raise SchemaError(f"{name} is no sound CSV: {fault}") from None
    finally:
        csv.field_size_limit(before)  # it is one for all of Python
    if faults:
        raise _no_labels(faults, name)
    guessed = used in ("cp1252", "latin-1")
    return found, (f"{name} is not UTF-8; read as {used}",) if guessed else ()


def _heading(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


def _record(own: str, cells: dict[str, str]) -> Record:
    """A record of which a table knows only the words."""
    return as_record(
        Reference(
            title=cells.get("title", "").strip(),
            abstract=cells.get("abstract", "").strip(),
            journal=cells.get("journal", "").strip(),
            mesh=tuple(filter(None, (m.strip() for m in cells.get("mesh", "").split(";")))),
            source_id=own,
        ),
        own,
    )


def as_record(reference: Reference, place: str) -> Record:
    """What triage looks at, under the file's own id, or its PMID, or its place in the file."""
    record = reference.record
    return Record(
        pmid=reference.source_id or reference.pmid or place,
        title=reference.title,
        abstract=reference.abstract,
        authors=reference.authors,
        year=reference.year,
        journal=reference.journal,
        doi=reference.doi,
        pmcid=reference.pmcid,
        mesh=reference.mesh,
        kinds=reference.types,
        keywords=reference.keywords,
        language=reference.language,
        status="",
        version=1,
        retracted=False,
        notices=(),
        revised=None,
        references=record.references if record else (),
        corrections=record.corrections if record else (),
    )
