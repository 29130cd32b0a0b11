"""Start a claim; check claim files and extracted rows."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import checks, files
from evidence.checks import Finding
from evidence.claim_files import new_claim_text
from evidence.errors import (
    SchemaError,
    ToolkitError,
)
from evidence.extracted import TABLES, columns, read_extraction
from evidence.workspace import Workspace


def new(root: Path, claim_id: str, *, on: dt.date) -> list[Path]:
    """Scaffold a claim: a commented file to fill in and tables with only their header.

    The first claim of a review also gets a ``.gitattributes`` for the decisions of screening.

    Raises
    ------
    ToolkitError
        When the claim exists already: nothing is overwritten.
    """
    claim_file = root / "queries" / f"{claim_id}.toml"
    folder = root / "extracted" / claim_id
    tables = {folder / f"{name}.csv": columns(noun) for name, noun in TABLES.items()}
    taken = [p for p in (claim_file, *tables) if p.exists()]
    if taken:
        raise ToolkitError(
            f"claim {claim_id!r} has been started already",
            [f"{os.path.relpath(p, root)} exists" for p in taken],
            remedy="choose another name, or go on with these files",
        )
    text = new_claim_text(claim_id, on)
    files.write_text(claim_file, text)
    for path, header in tables.items():
        files.write_csv(path, header, [])
    attributes = merge_by_union(root)
    return [claim_file, *tables, *attributes]


_UNION = "extracted/*/screening.csv merge=union\n"


def merge_by_union(root: Path) -> list[Path]:
    """Let git keep both sides where two people added decisions; the file, if it was written."""
    path = root / ".gitattributes"
    text = files.read_text(path) if path.is_file() else ""
    if _UNION.split()[0] in text:
        return []
    files.write_text(path, f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{_UNION}")
    return [path]


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found: rows that look wrong, and files that cannot be read."""

    claims: int
    findings: tuple[Finding, ...]
    faults: tuple[ToolkitError, ...]

    def count(self, level: str) -> int:
        """How many findings of a level; a place of a fault counts as an error."""
        found = sum(f.level == level for f in self.findings)
        if level == "error":
            found += sum(max(1, len(fault.places)) for fault in self.faults)
        return found

    def json(self) -> dict[str, Any]:
        return {
            "claims": self.claims,
            "faults": [
                {"problem": f.problem, "places": list(f.places), "remedy": f.remedy}
                for f in self.faults
            ],
            "findings": [f.as_json() for f in self.findings],
        }


def check(workspace: Workspace, claim_ids: Sequence[str]) -> Checked:
    """Every finding and every fault of the named claims; one claim's fault hides no other's."""
    found: list[Finding] = []
    faults: list[ToolkitError] = []
    ids = workspace.chosen(claim_ids)
    for claim_id in ids:
        parts: list[Any] = []
        for read in (workspace.claim, lambda c: read_extraction(workspace.root, c)):
            try:
                parts.append(read(claim_id))
            except ToolkitError as fault:
                faults.append(fault)
        if len(parts) == 2:
            found += checks.run(*parts)
    return Checked(len(ids), tuple(found), tuple(faults))


def refuse_errors(findings: Sequence[Finding]) -> None:
    errors = [str(f) for f in findings if f.level == "error"]
    if errors:
        raise SchemaError(
            f"{len(errors)} {'row' if len(errors) == 1 else 'rows'} cannot be right",
            errors,
            remedy="correct them against the paper, then `evidence check`",
        )
