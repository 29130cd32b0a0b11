"""Imported files put back into a store that was deleted: they are kept below var/imports/."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from evidence import files
from evidence.errors import ToolkitError
from evidence.exchange import add_imports, read_for_import
from evidence.store import Store
from evidence.workspace import Workspace

RECEIPT = ".receipt.json"


def restore_imports(
    workspace: Workspace, claim_id: str, *, on: dt.date
) -> tuple[list[str], list[str]]:
    """Import once more what was imported and is not in the store's log.

    Of several files with one name the one that was imported last counts, as it did before.

    Returns
    -------
    list of str, list of str
        Names of the files put back; faults, for those that cannot be.
    """
    folder = workspace.var / "imports" / claim_id
    last: dict[str, tuple[str, float, Path, dict[str, Any]]] = {}
    faults: list[str] = []
    for path in sorted(folder.glob(f"*{RECEIPT}")):
        file = path.with_name(path.name.removesuffix(RECEIPT))
        try:
            told = json.loads(files.read_text(path))
            name, day = str(told["file"]), str(told.get("imported_on", ""))
            mine = (day, file.stat().st_mtime, file, told)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ToolkitError) as fault:
            faults.append(f"{workspace.shown(file)} cannot be imported once more: {fault}")
            continue
        if name not in last or mine[:2] > last[name][:2]:
            last[name] = mine
    if not last:
        return [], faults
    with Store(workspace.store) as store:
        known = {run.source for run in store.runs(claim_id, kinds=("import",))}
    done = []
    for name, (day, _, file, told) in sorted(last.items(), key=lambda item: item[1][:2]):
        if name in known:
            continue
        try:
            found = read_for_import(
                file, name=name, format=told.get("format"), encoding=told.get("encoding")
            )
            when = dt.date.fromisoformat(day) if day else on
            add_imports(workspace, claim_id, [(file, found)], on=when)
            done.append(name)
        except (ToolkitError, ValueError) as fault:
            faults.append(f"{workspace.shown(file)} cannot be imported once more: {fault}")
    return done, faults
