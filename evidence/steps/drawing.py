"""Pictures and tables of claims as files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence import files
from evidence.errors import (
    InputError,
)
from evidence.kinds import FOREST, check_kinds, drawings
from evidence.publish import data_files
from evidence.steps.assessing import assess
from evidence.workspace import Workspace
from meta.plots.style import save


@dataclass(frozen=True, slots=True)
class Plotted:
    """The files that were drawn, and a sentence for each picture that cannot be."""

    paths: tuple[Path, ...]
    refused: tuple[str, ...]


def plot(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    on: dt.date,
    kinds: Sequence[str] = (FOREST,),
    to: Path | None = None,
) -> Plotted:
    """Draw pictures of each claim, below ``to`` or else site/figures/."""
    check_kinds(kinds)
    paths: list[Path] = []
    refused: list[str] = []
    folder = to or workspace.site / "figures"
    for row in assess(workspace, claim_ids):
        for drawing in drawings(row, kinds):
            if drawing.draw is None:
                refused.append(drawing.why_not)
                continue
            try:
                page = drawing.draw()
            except InputError as fault:  # what a picture cannot show is told, and the rest drawn
                refused.append(f"{drawing.claim}: no {drawing.name}, {fault.problem}")
                continue
            paths += save(page, folder / drawing.claim / drawing.name, date=on)
    return Plotted(tuple(paths), tuple(refused))


def table(workspace: Workspace, claim_ids: Sequence[str]) -> list[Path]:
    """Write the evidence tables of each claim under site/data/."""
    written = []
    for row in assess(workspace, claim_ids):
        for name, text in data_files(row).items():
            path = workspace.site / "data" / row.claim.id / name
            files.write_text(path, text)
            written.append(path)
    return written
