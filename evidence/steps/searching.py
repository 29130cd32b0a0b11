"""Search for claims, run archived searches again, ask further sources, add exports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from evidence import files
from evidence.extracted import read_extraction
from evidence.pubmed.archive import Archive, limit_from
from evidence.pubmed.archive import replay as replay_search
from evidence.pubmed.nbib import read_nbib
from evidence.query.lint import lint
from evidence.second_sources import SECOND_COLUMNS, ask, client_of
from evidence.steps.outcome import Outcome, Say
from evidence.steps.retrieving import retrieve, told
from evidence.store import Store
from evidence.workspace import Workspace


def search(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Outcome:
    """Ask PubMed about each claim and keep what it answers.

    Unreachable is no fault (exit 0): one probe, and everything stays as it is. An incomplete
    answer is (exit 1): the claim keeps its earlier state.
    """
    ids = workspace.chosen(claim_ids)
    claims = [workspace.claim(claim_id) for claim_id in ids]
    extractions = [read_extraction(workspace.root, claim_id) for claim_id in ids]
    outcome = told(retrieve(workspace, claims, extractions, environ=environ, on=on, say=say))
    for facts, claim in zip(outcome.facts["searches"], claims, strict=True):
        typed = claim.search.query()
        found = lint(typed)
        facts["query"] = typed  # as typed, even where nothing could be asked
        facts["limits"] = claim.search.limits
        facts["peer_review"] = claim.search.peer_review
        facts["lint"] = [f"{f.severity}: {f.message}" for f in found if f.severity != "note"]
    return outcome


def replay(workspace: Workspace, claim_id: str, when: str) -> Outcome:
    """Run an archived search again without a network; nothing is written.

    Parameters
    ----------
    when : str
        A day, a run's name or its beginning, or "last".
    """
    workspace.chosen([claim_id])
    archive = Archive(workspace.archive)
    logged = archive.search(claim_id, when)
    found = replay_search(archive, logged)
    replies = "reply" if len(logged.parts) == 1 else "replies"
    outcome = Outcome()
    outcome.said = [
        f"{claim_id}: {found.count:,} found, the same PMIDs as on {logged.on} "
        f"(run {logged.run}, {len(logged.parts)} archived {replies})"
    ]
    outcome.facts = {
        "claim": claim_id,
        "source": "archive",
        "run": logged.run,
        "on": logged.on.isoformat(),
        "at": logged.at,
        "query": found.query,
        "translation": found.translation,
        "warnings": list(found.warnings),
        "count": found.count,
        "pmids": list(found.pmids),
        "replies": [part.reply for part in logged.parts],
    }
    return outcome


def second_source(
    workspace: Workspace,
    claim_id: str,
    source: str,
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Outcome:
    """Ask a further source; what the claim lacks is listed in var/sources/, and enters nothing."""
    workspace.chosen([claim_id])
    claim = workspace.claim(claim_id)
    archive = Archive(workspace.archive, limit=limit_from(environ))
    web = client_of(source, environ, progress=say, keep=archive.keep)
    try:
        with Store(workspace.store) as store:
            found = ask(claim, source, web, store, on=on)
    finally:
        web.close()
        archive.prune()
    path = workspace.var / "sources" / f"{claim_id}-{source}.csv"
    files.write_csv(path, SECOND_COLUMNS, found.rows)
    outcome = Outcome()
    outcome.said = [found.summary(), f"{workspace.shown(path)}: what the claim does not have"]
    outcome.facts = found.json() | {"file": workspace.shown(path)}
    return outcome


def add_files(
    workspace: Workspace, claim_id: str, paths: Sequence[Path], *, on: dt.date
) -> Outcome:
    """Add the records of PubMed exports (NBIB) to a claim; refused records are named."""
    outcome = Outcome()
    workspace.chosen([claim_id])
    with Store(workspace.store) as store:
        for path in paths:
            export = read_nbib(path)
            new = store.add_export(claim_id, export.records, source=path.name, on=on)
            read, refused = len(export.records), len(export.refused)
            outcome.said.append(
                f"{claim_id}: {path.name}: {read + refused} records in the file = "
                f"{read} read ({len(new)} new) + {refused} refused"
            )
            outcome.faults += export.refused
            outcome.facts.setdefault("files", []).append(
                {"file": path.name, "read": read, "new": list(new), "refused": refused}
            )
    return outcome
