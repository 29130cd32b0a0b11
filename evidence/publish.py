"""The site on disk: every page, figure and table of the evidence rows, and nothing left over."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence import __version__, files
from evidence.drawn import Drawn
from evidence.figures import pictures
from evidence.model import EvidenceRow
from evidence.reading_order import READING_COLUMNS, reading_order_rows
from evidence.site import Figure, Stale, mark_stale, render
from evidence.strategy.own import explained
from evidence.strategy.text import appendix
from evidence.tables import evidence_csv, evidence_json
from evidence.workspace import Workspace


def publish(
    workspace: Workspace,
    rows: Sequence[EvidenceRow],
    faulty: Mapping[str, str],
    *,
    on: dt.date,
) -> tuple[str, ...]:
    """Write the site; a file whose bytes stay the same is not touched.

    Files that no page of the rows or of the faulty claims needs are deleted.

    Parameters
    ----------
    rows : sequence of EvidenceRow
        The claims that could be built.
    faulty : mapping of claim id to str
        Claims that could not, with the reason: each keeps its last good page, which says since
        when it stands.

    Returns
    -------
    tuple of str
        Paths inside the site that changed, in alphabetical order.
    """
    kept = [s for c, why in faulty.items() if (s := _last_good(workspace.site, c, why)) is not None]
    drawn = Drawn(workspace.var / "figures.json", site=workspace.site)
    written: dict[str, bool] = {}
    figures: dict[str, list[Figure]] = {}
    for row in rows:
        figures[row.claim.id] = list(_draw(workspace.site, drawn, row, on, written))
        for name, text in data_files(row).items():
            path = f"data/{row.claim.id}/{name}"
            written[path] = files.write_text(workspace.site / path, text)
    drawn.remember()
    strategies = {
        row.claim.id: explained(workspace, row.claim, row.extraction, on=on) for row in rows
    }
    pages = render(rows, figures, on=on, version=__version__, stale=kept, explained=strategies)
    for stale in kept:
        path = f"claims/{stale.claim}.html"
        pages[path] = mark_stale(files.read_text(workspace.site / path), stale)
    for path, text in pages.items():
        written[path] = files.write_text(workspace.site / path, text)
    deleted = _sweep(workspace.site, set(written), {s.claim for s in kept})
    return tuple(sorted([*(path for path, changed in written.items() if changed), *deleted]))


def _draw(
    site: Path, drawn: Drawn, row: EvidenceRow, on: dt.date, written: dict[str, bool]
) -> Iterator[Figure]:
    folder = site / "figures" / row.claim.id
    for picture in pictures(row):
        before = {p: p.read_bytes() for p in folder.glob(f"{picture.name}.*")}
        saved = drawn.draw(picture, folder / picture.name, on=on)
        links = tuple(p.relative_to(site).as_posix() for p in saved)
        for path, link in zip(saved, links, strict=True):
            written[link] = path.read_bytes() != before.get(path)
        svg = next(p for p in saved if p.suffix == ".svg")
        yield Figure(
            name=picture.name,
            title=picture.title,
            alt=picture.alt,
            svg=files.read_text(svg),
            files=links,
        )


def data_files(row: EvidenceRow) -> dict[str, str]:
    """The tables that a claim's page offers for download."""
    tables = {
        "evidence.csv": evidence_csv(row),
        "evidence.json": as_json(evidence_json(row)),
        "search-strategy.md": appendix(row.claim),
    }
    if row.ranking:
        tables["reading-order.csv"] = files.csv_text(
            READING_COLUMNS, reading_order_rows(row.ranking, row.origins)
        )
    return tables


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _last_good(site: Path, claim_id: str, why: str) -> Stale | None:
    """The claim's page as it was last built; None when there never was one."""
    page, data = site / "claims" / f"{claim_id}.html", site / "data" / claim_id / "evidence.json"
    if not page.is_file() or not data.is_file():
        return None
    built = re.search(r'<meta name="built" content="([0-9-]{10})">', files.read_text(page))
    facts = json.loads(files.read_text(data))
    return Stale(
        claim=claim_id,
        statement=facts["statement"],
        headline=facts["verdict"]["headline"],
        since=dt.date.fromisoformat(built.group(1)) if built else None,
        why=why,
    )


def _sweep(site: Path, wanted: set[str], kept_claims: set[str]) -> tuple[str, ...]:
    """Delete what no page links to any more, but never the last good state of a faulty claim."""
    gone = []
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        parts = name.split("/")
        belongs = len(parts) > 1 and parts[1].removesuffix(".html") in kept_claims
        if path.is_file() and name not in wanted and not belongs:
            path.unlink()
            gone.append(name)
    return tuple(gone)
