"""All of it: search, rank, check, pool, draw and publish."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from evidence import checks
from evidence.claims import Claim
from evidence.errors import (
    ToolkitError,
)
from evidence.extracted import read_extraction
from evidence.model import EvidenceRow, Extraction
from evidence.publish import publish
from evidence.steps.assessing import assess_claim
from evidence.steps.claims import refuse_errors
from evidence.steps.outcome import Outcome, Say
from evidence.steps.retrieving import Offline, alone, put_back, retrieve, told
from evidence.workspace import Workspace


@alone
def update(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
    offline: bool = False,
    mirror: Offline | None = None,
) -> Outcome:
    """Search PubMed or a mirror of it, rank, check, pool, draw and publish.

    One claim's fault does not stop the others: it is reported at the end, and the claim keeps its
    last good page. Only the named claims are searched; the site always shows all.
    """
    chosen = workspace.chosen(claim_ids)
    faults: dict[str, ToolkitError] = {}
    sound: list[tuple[Claim, Extraction]] = []
    for claim_id in workspace.claim_ids():
        try:
            claim = workspace.claim(claim_id)
            extraction = read_extraction(workspace.root, claim_id)
            refuse_errors(checks.run(claim, extraction))
            sound.append((claim, extraction))
        except ToolkitError as fault:
            faults[claim_id] = fault
    restored, lost = put_back(workspace, workspace.claim_ids(), on=on)
    to_search = [(c, e) for c, e in sound if c.id in chosen and not offline]
    if to_search:
        say(f"searching {'the mirror' if mirror else 'PubMed'} for {_claims(len(to_search))}")
        claims, extractions = zip(*to_search, strict=True)
        outcome = told(
            retrieve(
                workspace, claims, extractions, environ=environ, on=on, say=say, offline=mirror
            ),
            workspace,
            on=on,
        )
    else:
        outcome = Outcome()
        if offline:
            outcome.said.append("PubMed was not searched: --offline")
    outcome.said += restored
    outcome.faults += lost
    failed = outcome.facts.get("failed_searches", {})
    rows: list[EvidenceRow] = []
    for claim, _ in sound:
        say(f"{claim.id}: ranking, pooling and judging")
        try:
            found = failed.get(claim.id, ())
            rows.append(assess_claim(workspace, claim.id, found, outcome.said.append))
        except ToolkitError as fault:
            faults[claim.id] = fault
    say("drawing and publishing")
    changed = publish(workspace, rows, {c: f.problem for c, f in faults.items()}, on=on)
    outcome.facts["site"] = {"changed": list(changed), "index": "site/index.html"}
    outcome.facts["claims"] = [
        {"claim": row.claim.id, "verdict": row.verdict.headline, "k": len(row.primary.estimates)}
        for row in rows
    ]
    outcome.said += [f"{row.claim.id}: {row.verdict.headline}" for row in rows]
    outcome.said.append(
        f"site/index.html: {_files(len(changed))} changed" if changed else "site: nothing changed"
    )
    outcome.faults += [f"{c}: {fault}" for c, fault in faults.items()]
    return outcome


def _claims(n: int) -> str:
    return f"{n} {'claim' if n == 1 else 'claims'}"


def _files(n: int) -> str:
    return f"{n} {'file' if n == 1 else 'files'}"
