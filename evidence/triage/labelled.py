"""A finished screening from a file: records, and whether each was relevant in the end."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import SchemaError, SourceError
from evidence.files import read_bytes
from evidence.formats import Reference, read
from evidence.model import Record

LABELS = (
    "label",
    "included",
    "label_included",
    "asreview_label",
    "included_label",
    "final_included",
)
IDS = ("record_id", "pmid", "id")
_SAID = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), True),
    **dict.fromkeys(("0", "0.0", "false", "no"), False),
    **dict.fromkeys(("", "-1", "-1.0", "nan"), None),
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


def read_labelled(path: Path) -> Labelled:
    """Read a labelled CSV (also packed as .csv.gz) or RIS file.

    In CSV, labels stand in the first of `LABELS` that is a heading, ids in the first of `IDS`; a
    row is a record, even one without a title. In RIS, labels are the notes that ASReview writes.
    Records without a label are counted and left out.

    Raises
    ------
    SchemaError
        If no record has a label, several share an id, or a label is none; names each line.
    SourceError
        If the file is of no known format.
    """
    data = read_bytes(path)
    plain = _unpacked(data, path.name)
    table = _table(plain, path.name)
    if table is None:
        found = read(data, file=path.name)
        pairs = [
            (as_record(r, str(place)), r.included)
            for place, r in enumerate(found.references, start=1)
        ]
        warnings = (*found.warnings, *(f"left out: {entry}" for entry in found.refused))
    else:
        pairs, warnings = table, ()
    known = [(record, label) for record, label in pairs if label is not None]
    if not known:
        raise SchemaError(
            f"no record of {path.name} has a label",
            remedy="give a column `label` (1 relevant, 0 not), or ASReview's notes in RIS",
        )
    times = Counter(record.pmid for record, _ in known)
    twice = [f"record id {one}" for one, number in times.items() if number > 1]
    if twice:
        raise SchemaError(
            f"several records of {path.name} share an id", twice, remedy="give each its own id"
        )
    return Labelled(
        name=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        records=tuple(record for record, _ in known),
        labels=tuple(label for _, label in known),
        unlabelled=len(pairs) - len(known),
        warnings=warnings,
    )


def _unpacked(data: bytes, name: str) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as fault:
        raise SourceError(f"{name} cannot be unpacked: {fault}") from None


def _table(data: bytes, name: str) -> list[tuple[Record, bool | None]] | None:
    """Rows of a CSV with labels, in UTF-8; None where the file is something else."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(2**31 - 1)  # an abstract may be long; the default allows 131,072 letters
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [re.sub(r"[\s_-]+", "_", cell.strip().casefold()) for cell in next(rows, [])]
        label = next((names.index(one) for one in LABELS if one in names), None)
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
    if faults:
        raise SchemaError(
            f"{len(faults)} labels of {name} cannot be used",
            faults,
            remedy="write 1 for relevant, 0 for not relevant, and nothing for not decided",
        )
    return found


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
