"""Decisions out, in the ways of other programs; see `evidence.screening.marks` for their layouts.

Rayyan's CSV and RIS hold each reviewer's decision. ASReview and Covidence know one decision for a
record, so their files have the one that holds, and none where reviewers disagree or are waited for.
Cells are written as they are; see `evidence.formats.tables` on spreadsheets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evidence.errors import SourceError, UnknownName
from evidence.files import csv_text
from evidence.formats import Reference
from evidence.formats.ris import write_ris
from evidence.formats.tables import ASREVIEW_COLUMNS, asreview_cells
from evidence.model import Stage
from evidence.screening.exchange import records_of, state_of
from evidence.screening.state import FOUNDING, FULL, TITLE, Standing
from evidence.workspace import Workspace

Row = tuple[Reference, Standing]  # a record's reference, and where it stands

_RAYYAN_WORDS = {"include": "Included", "exclude": "Excluded", "unsure": "Maybe"}
RAYYAN_COLUMNS = (
    "key",
    "title",
    "year",
    "month",
    "day",
    "journal",
    "issn",
    "volume",
    "issue",
    "pages",
    "authors",
    "url",
    "language",
    "publisher",
    "location",
    "abstract",
    "notes",
    "doi",
    "keywords",
    "pubmed_id",
    "pmc_id",
)
COVIDENCE_COLUMNS = (
    "Title",
    "Authors",
    "Abstract",
    "Published Year",
    "Published Month",
    "Journal",
    "Volume",
    "Issue",
    "Pages",
    "Accession Number",
    "DOI",
    "Ref",
    "Covidence #",
    "Study",
    "Notes",
    "Tags",
)


@dataclass(frozen=True, slots=True)
class DecisionFormat:
    """A way out: its name in commands, what it is, and what it cannot hold."""

    name: str
    label: str
    write: Callable[[Sequence[Row]], str]
    loses: tuple[str, ...]


def export_decisions(
    workspace: Workspace, claim_id: str, format: str, *, stage: Stage = TITLE
) -> str:
    """All records of a claim with their decisions at a stage, as the text of a file.

    Raises
    ------
    UnknownName
        If there is no such format.
    SourceError
        If the claim has no records.
    """
    if format not in EXPORTS:
        raise UnknownName("format of decisions", format, EXPORTS)
    workspace.chosen([claim_id])
    records, held = records_of(workspace, claim_id)
    if not records:
        raise SourceError(
            f"there is no record of {claim_id} to export",
            remedy=f"search for it first (evidence search {claim_id}), or import a file",
        )
    state = state_of(workspace, claim_id, held=held)
    return EXPORTS[format].write(
        [(reference, state.standing(name, stage)) for name, reference in records.items()]
    )


def _rayyan(rows: Sequence[Row]) -> str:
    return csv_text(
        RAYYAN_COLUMNS,
        (
            {
                "key": f"rayyan-{number}",
                "title": r.title,
                "year": "" if r.year is None else str(r.year),
                "journal": r.journal,
                "issn": "; ".join(r.issn),
                "volume": r.volume,
                "issue": r.issue,
                "pages": r.pages,
                "authors": " and ".join(r.authors),
                "url": " ".join(r.urls),
                "language": r.language,
                "publisher": r.publisher,
                "location": r.place,
                "abstract": r.abstract,
                "notes": rayyan_notes(standing),
                "doi": r.doi or "",
                "keywords": "; ".join((*r.keywords, *r.mesh)),
                "pubmed_id": r.pmid or "",
                "pmc_id": r.pmcid or "",
            }
            for number, (r, standing) in enumerate(rows, 1)
        ),
    )


def rayyan_notes(standing: Standing) -> str:
    """Each reviewer's decision, the reasons of exclusion and the notes, as Rayyan writes them."""
    said = {
        who: row
        for who, row in standing.decisions.items()
        if row.decision in _RAYYAN_WORDS and who != FOUNDING
    }
    if not said:
        return ""
    pairs = (f"{_quoted(who)}=>{_quoted(_RAYYAN_WORDS[row.decision])}" for who, row in said.items())
    parts = [f"RAYYAN-INCLUSION: {{{', '.join(pairs)}}}"]
    reasons = dict.fromkeys(
        reason.strip()
        for row in said.values()
        if row.decision == "exclude"
        for reason in row.reason.replace(",", ";").split(";")  # a comma parts reasons there
        if reason.strip()
    )
    if reasons:
        parts.append(f"RAYYAN-EXCLUSION-REASONS: {','.join(reasons)}")
    notes = [f"{_quoted(who)}=>[{_quoted(row.note)}]" for who, row in said.items() if row.note]
    if notes:
        parts.append(f"USER-NOTES: {{{', '.join(notes)}}}")
    return " | ".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ris(rows: Sequence[Row]) -> str:
    return write_ris(
        r.with_(
            included=_included(standing), notes=(*r.notes, *filter(None, [rayyan_notes(standing)]))
        )
        for r, standing in rows
    )


def _asreview(rows: Sequence[Row]) -> str:
    return csv_text(
        (*ASREVIEW_COLUMNS, "asreview_time", "asreview_note"),
        (
            asreview_cells(r.with_(included=_included(standing)))
            | {"asreview_time": _when(standing), "asreview_note": _note(standing)}
            for r, standing in rows
        ),
    )


def _included(standing: Standing) -> bool | None:
    return {"include": True, "exclude": False}.get(standing.final or "")


def _when(standing: Standing) -> str:
    """The time of the last decision that counts, as ASReview writes it: in UTC, to the second."""
    rows = [standing.resolution] if standing.resolution else list(standing.decisions.values())
    times = [row.time for row in rows if row.time is not None]
    if _included(standing) is None or not times:
        return ""
    return max(times).strftime("%Y-%m-%d %H:%M:%S")


def _note(standing: Standing) -> str:
    rows = [standing.resolution] if standing.resolution else list(standing.decisions.values())
    return "; ".join(dict.fromkeys(t for row in rows for t in (row.reason, row.note) if t))


def _covidence(rows: Sequence[Row]) -> str:
    return csv_text(
        (*COVIDENCE_COLUMNS, "Status"),
        (
            {
                "Title": r.title,
                "Authors": "; ".join(r.authors),
                "Abstract": r.abstract,
                "Published Year": "" if r.year is None else str(r.year),
                "Journal": r.journal,
                "Volume": r.volume,
                "Issue": r.issue,
                "Pages": r.pages,
                "Accession Number": r.pmid or r.accession,
                "DOI": r.doi or "",
                "Study": _study(r),
                "Notes": f"Exclusion reason: {standing.reason}; " if _reasoned(standing) else "",
                "Status": _status(standing),
            }
            for r, standing in rows
        ),
    )


def _reasoned(standing: Standing) -> bool:
    return standing.final == "exclude" and bool(standing.reason)


def _status(standing: Standing) -> str:
    """The list in which Covidence would have the record."""
    at_full_text = standing.stage == FULL
    if standing.final == "exclude":
        return "excluded" if at_full_text else "irrelevant"
    if standing.final == "include":
        return "included" if at_full_text else "select"
    if standing.final == "unsure":
        return "select"
    return "not retrieved" if standing.final == "not-retrieved" else "screen"


def _study(reference: Reference) -> str:
    family = reference.first_author.partition(",")[0]
    return " ".join(filter(None, (family, str(reference.year or ""))))


_ONE = "who decided: it has the one decision that holds for a record, and none in a conflict"
EXPORTS: dict[str, DecisionFormat] = {
    f.name: f
    for f in (
        DecisionFormat(
            "asreview",
            "CSV for ASReview",
            _asreview,
            (_ONE, "doubt and reports that were not retrieved"),
        ),
        DecisionFormat(
            "rayyan",
            "CSV as Rayyan exports it",
            _rayyan,
            (
                "resolutions, and reports that were not retrieved",
                "which of several reviewers gave a reason of exclusion",
                "commas within a reason: they part reasons",
            ),
        ),
        DecisionFormat(
            "ris",
            "RIS with Rayyan's notes for each reviewer and ASReview's for the decision that holds",
            _ris,
            (
                "reports that were not retrieved",
                "which of several reviewers gave a reason of exclusion",
            ),
        ),
        DecisionFormat(
            "covidence",
            "CSV with Covidence's columns, and one more, Status, for the list that it would be in",
            _covidence,
            (_ONE, "whether somebody was unsure: the record is in the list select"),
        ),
    )
}
