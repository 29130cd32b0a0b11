"""Decisions of other programs into a claim's log, with a receipt."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from evidence import files
from evidence.errors import InputError, SourceError
from evidence.extracted import read_extraction
from evidence.formats import Reference, from_record, read
from evidence.held import Held, held_in, others_in
from evidence.model import Decision, Stage
from evidence.screening.asreview import ZIP_FAULTS, is_project, read_project
from evidence.screening.log import Clock, Entry, ScreeningLog, now
from evidence.screening.marks import Mark, covidence_list, has_label_column, marks_of
from evidence.screening.matching import Matcher, NoMatch
from evidence.screening.rows import one_line
from evidence.screening.state import TITLE, ScreeningState, names_of
from evidence.store import Store
from evidence.workspace import Workspace

FOLDER = "decisions"  # below var/imports/CLAIM/: the files and their receipts


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: where it stands, what it is about, the decisions on it."""

    line: int  # from 1; of the record where the file has no lines
    reference: Reference | None
    marks: tuple[Mark, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken, and why."""

    file: str
    line: int
    why: str
    title: str = ""

    def __str__(self) -> str:
        what = f": {self.title}" if self.title else ""
        return f"{self.file}:{self.line}  {self.why}{what}"


@dataclass(frozen=True, slots=True)
class DecisionsImport:
    """The receipt of a file: its rows are taken, known, undecided or refused, and no others."""

    claim: str
    file: str
    format: str
    sha256: str
    stage: Stage
    rows: int
    taken: int  # rows with a decision that was not on file
    known: int  # rows whose decisions all were
    undecided: int  # rows without a decision
    refused: tuple[RefusedRow, ...]
    written: int  # decisions: a row may have those of several reviewers
    reviewers: tuple[str, ...]
    warnings: tuple[str, ...]
    kept_in: str  # where the file and its receipt lie; "" where nothing was to be written

    def lines(self) -> list[str]:
        """What came of it, in words."""
        who = f" of {', '.join(self.reviewers)}" if self.reviewers else ""
        said = [
            f"{self.file} ({self.format}): {self.rows:,} {_plural('row', self.rows)} in the file = "
            f"{self.taken:,} with new decisions + {self.known:,} known + "
            f"{self.undecided:,} undecided + {len(self.refused):,} refused",
            f"{self.written:,} {_plural('decision', self.written)}{who} at {self.stage} "
            f"{'written to' if self.kept_in else 'would be written to'} "
            f"extracted/{self.claim}/screening.csv",
        ]
        said += [f"look at {w}" for w in self.warnings]
        return said + ([f"kept in {self.kept_in}"] if self.kept_in else [])

    def json(self) -> dict[str, Any]:
        body = dataclasses.asdict(self)
        body["reviewers"], body["warnings"] = list(self.reviewers), list(self.warnings)
        body["refused"] = [dataclasses.asdict(r) for r in self.refused]
        return body


def import_decisions(
    workspace: Workspace,
    claim_id: str,
    path: Path,
    *,
    reviewer: str = "",
    stage: Stage | None = None,
    field: str = "",
    all_are: Decision | None = None,
    final: bool = False,
    dry_run: bool = False,
    encoding: str | None = None,
    clock: Clock = now,
) -> DecisionsImport:
    """Write the decisions of a file into a claim's log.

    Every decision gets the name of the file and its line as its source. A decision that is on file
    already, from an earlier import of this row or in the same words, is not written again: to
    import a file twice is safe. All are written at once, or none.

    Parameters
    ----------
    path : Path
        A project or CSV of ASReview, a CSV, RIS or zip of Rayyan, a CSV of Covidence, or any CSV or
        RIS file with decisions; see `evidence.screening.marks`.
    reviewer : str
        Who decided, where the file does not say.
    stage : str, optional
        Of all decisions; by default the one that Covidence's name of the file means, else
        "title-abstract".
    field : str, optional
        The column or RIS tag with the decision in words.
    all_are : str, optional
        The decision on every reference of the file.
    final : bool
        Whether the decisions hold for all reviewers, as where two agreed elsewhere.
    dry_run : bool
        Only say what would be written.

    Raises
    ------
    InputError
        If a decision has nobody's name, from the file or from ``reviewer``.
    SourceError
        If the file cannot be read, or the claim has no records.
    """
    workspace.chosen([claim_id])
    data = files.read_bytes(path)
    listed = covidence_list(path.name)
    about = Reading(field, all_are, encoding)
    if listed is not None and not field and all_are is None:
        stage = stage or listed[0]
        about = Reading(field, listed[1], encoding, undecided=listed[1] is None)
    kind, rows, warnings = read_rows(data, file=path.name, about=about)
    stage = stage or TITLE
    held = records_of(workspace, claim_id)
    if not held[0]:
        raise SourceError(
            f"there is no record of {claim_id} to decide on",
            remedy=f"search for it (evidence search {claim_id}), or import the references first: "
            f"evidence import {claim_id} {path.name}",
        )
    names = names_of(read_extraction(workspace.root, claim_id).studies) | dict(held[1].aliases)
    log = ScreeningLog.of(workspace.root, claim_id, clock=clock)
    log.refresh()
    state = ScreeningState(log.rows, names=names)
    sorter = _Sorter(path.name, hashlib.sha256(data).hexdigest(), stage, reviewer, final, state)
    matcher = Matcher(held[0], held[1].aliases)
    for row in rows:
        sorter.take(row, matcher)
    if sorter.nameless:
        raise InputError(
            f"{path.name} does not say who decided on {sorter.nameless:,} of its rows",
            remedy="name the reviewer: --reviewer NAME",
        )
    receipt = sorter.receipt(claim_id, kind, warnings)
    if dry_run:
        return receipt
    folder = workspace.var / "imports" / claim_id / FOLDER
    kept = folder / f"{receipt.sha256[:12]}-{path.name}"
    files.write_bytes(kept, data)
    log.append(sorter.entries)
    receipt = dataclasses.replace(receipt, kept_in=workspace.shown(kept))
    body = json.dumps(receipt.json(), ensure_ascii=False, indent=2)
    files.write_text(kept.with_name(f"{kept.name}.receipt.json"), f"{body}\n")
    return receipt


class _Sorter:
    """Puts each row of a file where it belongs; every row goes to exactly one place."""

    def __init__(
        self,
        file: str,
        sha256: str,
        stage: Stage,
        reviewer: str,
        final: bool,
        state: ScreeningState,
    ) -> None:
        self.file, self.sha256, self.stage, self.final = file, sha256, stage, final
        self.reviewer = one_line(reviewer)
        self.state = state
        self.entries: list[Entry] = []
        self.refused: list[RefusedRow] = []
        self.rows = self.taken = self.known = self.undecided = self.nameless = 0
        self._said: dict[tuple[str, str], tuple[Decision, int]] = {}

    def take(self, row: Row, matcher: Matcher) -> None:
        self.rows += 1
        title = row.reference.title[:80] if row.reference else ""
        if row.fault or row.reference is None:
            self.refused.append(RefusedRow(self.file, row.line, row.fault, title))
            return
        if not row.marks:
            self.undecided += 1
            return
        said: dict[tuple[str, str], tuple[Decision, int]] = {}
        try:
            record = matcher.find(row.reference)
            new = [e for mark in row.marks if (e := self._entry(record, mark, row.line, said))]
        except ValueError as fault:
            why = str(fault)
            if isinstance(fault, NoMatch) and why == "it is no record of the claim":
                why += "; import the references first"
            self.refused.append(RefusedRow(self.file, row.line, why, title))
            return
        self._said |= said  # of a row that was refused nothing was taken
        self.entries += new
        self.taken += bool(new)
        self.known += not new

    def _entry(
        self,
        record: str,
        mark: Mark,
        line: int,
        said: dict[tuple[str, str], tuple[Decision, int]],
    ) -> Entry | None:
        """The decision to write; None where it is on file. ``said`` grows by it."""
        reviewer = one_line(mark.reviewer) or self.reviewer
        if not reviewer:
            self.nameless += 1
            return None
        if mark.decision == "not-retrieved" and self.stage == TITLE:
            raise ValueError("only at full text can a report be called not retrieved")
        before = said.get((record, reviewer)) or self._said.get((record, reviewer))
        if before is not None:
            if before[0] != mark.decision:
                raise ValueError(f"line {before[1]} decides otherwise on the same record")
            return None
        said[record, reviewer] = mark.decision, line
        entry = Entry(
            record,
            self.stage,
            reviewer,
            mark.decision,
            mark.reason,
            mark.note,
            resolution=self.final,
            source=f"{self.file}:{line} {self.sha256[:8]}",
            time=mark.time,
        )
        return None if self._on_file(entry) else entry

    def _on_file(self, entry: Entry) -> bool:
        """Whether this row was imported before, or the decision stands in the same words."""
        source = one_line(entry.source)
        if any(
            row.source == source and row.reviewer == entry.reviewer
            for row in self.state.history(entry.record)
            if row.stage == entry.stage
        ):
            return True
        standing = self.state.standing(entry.record, entry.stage)
        row = standing.resolution if self.final else standing.decisions.get(entry.reviewer)
        return (
            row is not None
            and row.decision == entry.decision
            and (not entry.reason or row.reason == one_line(entry.reason))
            and (not entry.note or row.note == one_line(entry.note))
        )

    def receipt(self, claim: str, kind: str, warnings: Sequence[str]) -> DecisionsImport:
        return DecisionsImport(
            claim=claim,
            file=self.file,
            format=kind,
            sha256=self.sha256,
            stage=self.stage,
            rows=self.rows,
            taken=self.taken,
            known=self.known,
            undecided=self.undecided,
            refused=tuple(self.refused),
            written=len(self.entries),
            reviewers=tuple(sorted({e.reviewer for e in self.entries})),
            warnings=tuple(warnings),
            kept_in="",
        )


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """How the decisions of a file are to be understood; see `import_decisions`."""

    field: str = ""
    all_are: Decision | None = None
    encoding: str | None = None
    undecided: bool = False  # a list of records that nobody has decided on


def read_rows(data: bytes, *, file: str, about: Reading) -> tuple[str, list[Row], tuple[str, ...]]:
    """The format of a file, all of its rows in order, and what somebody should look at.

    Raises
    ------
    SourceError
        If it is in no known format, or a zip without references.
    """
    if data[:4] == b"PK\x03\x04":
        if is_project(data):
            project = read_project(data, file=file)
            rows = [Row(r.row, r.reference, r.marks) for r in project.labelled]
            rows += [Row(n, None, (), f"cannot be read: {why}") for n, why in project.refused]
            rows.sort(key=lambda row: row.line)
            return f"ASReview project, version {project.version}", rows, ()
        data, file = _of_zip(data, file)
    found = read(data, file=file, encoding=about.encoding)
    label_column = any(map(has_label_column, found.references))
    rows = [_row(r, about, label_column) for r in found.references]
    rows += [Row(entry.line, None, (), entry.why) for entry in found.refused]
    rows.sort(key=lambda row: row.line)
    kind = ", ".join(filter(None, (found.format, found.dialect)))
    return kind, rows, found.warnings


def _row(reference: Reference, about: Reading, label_column: bool) -> Row:
    line = reference.at.line if reference.at else 0
    if about.undecided:
        return Row(line, reference, ())
    try:
        marks = marks_of(
            reference, field=about.field, all_are=about.all_are, label_column=label_column
        )
    except ValueError as fault:
        return Row(line, reference, (), str(fault))
    return Row(line, reference, marks)


def _of_zip(data: bytes, file: str) -> tuple[bytes, str]:
    """The references of Rayyan's export, which is a zip with a log of changes beside them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [
                name
                for name in archive.namelist()
                if PurePosixPath(name).suffix.casefold() in (".csv", ".ris", ".txt")
                and "customizations_log" not in name
                and not name.startswith("__MACOSX")
            ]
            if len(names) == 1:
                return archive.read(names[0]), PurePosixPath(names[0]).name
    except ZIP_FAULTS as fault:
        raise SourceError(
            f"{file} cannot be unpacked: {fault}",
            remedy="export it again without a password, or unpack it and name the file",
        ) from None
    raise SourceError(
        f"{file} is a zip in which {len(names) or 'no'} files could be the references",
        remedy="unpack it and name the file",
    )


def records_of(workspace: Workspace, claim_id: str) -> tuple[dict[str, Reference], Held]:
    """The claim's records as references, by the name that decisions give them."""
    if not workspace.store.is_file():
        return {}, Held()
    with Store(workspace.store) as store:
        held = held_in(store, claim_id)
        others: dict[str, Reference] = {}
        for other, reference in others_in(store, claim_id):
            others.setdefault(other.pmid or other.name, reference)
    return dict(_references(held, others)), held


def state_of(workspace: Workspace, claim_id: str, *, held: Held | None = None) -> ScreeningState:
    """What the decisions of a claim amount to, records under the names that they have now.

    Parameters
    ----------
    held : Held, optional
        What `records_of` gave, where it was read already.
    """
    claim = workspace.claim(claim_id)
    extraction = read_extraction(workspace.root, claim_id)
    held = records_of(workspace, claim_id)[1] if held is None else held
    names = names_of(extraction.studies) | dict(held.aliases)
    return ScreeningState(extraction.screening, plan=claim.screening, names=names)


def titles_of(workspace: Workspace, claim_id: str, records: Sequence[str]) -> dict[str, str]:
    """Titles of records that the store has."""
    found = records_of(workspace, claim_id)[0] if records else {}
    return {name: found[name].title for name in records if name in found}


def _references(held: Held, others: dict[str, Reference]) -> Iterator[tuple[str, Reference]]:
    for record in held.records:
        other = others.get(record.pmid)
        if other is None or record.pmid.isdigit():
            yield record.pmid, from_record(record)
        else:
            yield record.pmid, other.with_(source_id=record.pmid)


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"
