"""Search for claims, run archived searches again, ask further sources, add exports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from evidence import files
from evidence.exchange import settle, to_decide
from evidence.extracted import read_extraction
from evidence.held import as_known, held_in, label, others_in
from evidence.pubmed.archive import Archive, limit_from
from evidence.pubmed.archive import replay as replay_search
from evidence.pubmed.nbib import read_nbib
from evidence.pubmed.replayed import Replayed, archived_line, replay_records
from evidence.query.lint import lint
from evidence.second_sources import SECOND_COLUMNS, ask, client_of, second_rows
from evidence.steps.outcome import Outcome, Say
from evidence.steps.retrieving import Offline, alone, put_back, retrieve, told
from evidence.store import Store
from evidence.workspace import Workspace


@alone
def search(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
    offline: Offline | None = None,
) -> Outcome:
    """Ask PubMed, or a mirror of it, about each claim and keep what it answers.

    Unreachable is no fault (exit 0): one probe, and everything stays as it is. An incomplete
    answer is (exit 1): the claim keeps its earlier state; a mirror with a gap adds what it finds.
    """
    ids = workspace.chosen(claim_ids)
    claims = [workspace.claim(claim_id) for claim_id in ids]
    extractions = [read_extraction(workspace.root, claim_id) for claim_id in ids]
    restored, lost = put_back(workspace, ids, on=on)
    outcome = told(
        retrieve(workspace, claims, extractions, environ=environ, on=on, say=say, offline=offline),
        workspace,
        on=on,
    )
    for facts, claim in zip(outcome.facts["searches"], claims, strict=True):
        typed = claim.search.query()
        found = lint(typed)
        facts["query"] = typed  # as typed, even where nothing could be asked
        facts["limits"] = claim.search.limits
        facts["peer_review"] = claim.search.peer_review
        facts["lint"] = [f"{f.severity}: {f.message}" for f in found if f.severity != "note"]
    outcome.said += restored
    outcome.faults += lost
    return outcome


def replay(
    workspace: Workspace, claim_id: str, when: str, *, records_to: Path | None = None
) -> Outcome:
    """Run an archived search again without a network; nothing of the claim changes.

    Parameters
    ----------
    when : str
        A day, a run's name or its beginning, or "last".
    records_to : Path, optional
        Where the records go, as the archive has them: a line of JSON each, with the reply it came
        in. Those that are not archived are named, and the answer is then incomplete (exit 1).
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
    if records_to is not None:
        _write_records(outcome, replay_records(archive, logged, found.pmids), records_to)
    return outcome


def _write_records(outcome: Outcome, found: Replayed, path: Path) -> None:
    """Write archived records, and account for every PMID of the search."""
    files.write_bytes(path, b"".join(map(archived_line, found.records)))
    earlier = len(found.records) - found.of_run
    outcome.said.append(
        f"{path}: {len(found.records):,} records as PubMed sent them, {found.of_run:,} in this "
        f"run and {earlier:,} in earlier ones"
    )
    for pmids, what in (
        (found.not_served, "PubMed did not serve"),
        (found.not_archived, "are not in the archive"),
    ):
        if pmids:
            outcome.faults.append(f"{len(pmids):,} records {what}: PMID {', '.join(pmids)}")
    outcome.facts["records"] = {
        "file": str(path),
        "of_this_run": found.of_run,
        "of_earlier_runs": earlier,
        "not_served": list(found.not_served),
        "not_archived": list(found.not_archived),
    }


@alone
def second_source(
    workspace: Workspace,
    claim_id: str,
    source: str,
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Outcome:
    """Ask a further source; what the claim lacks enters its reading order, named by the source.

    Everything is also listed in var/sources/, with the work that each record was found to be.
    """
    workspace.chosen([claim_id])
    claim = workspace.claim(claim_id)
    say(f"{claim_id}: asking {label(source)}")
    archive = Archive(workspace.archive, limit=limit_from(environ))
    web = client_of(source, environ, progress=say, keep=archive.keep)
    try:
        with Store(workspace.store) as store:
            before = {r.pmid for r in held_in(store, claim_id).records}
            found = ask(claim, source, web, store, on=on)
            merged, _ = settle(store, workspace, claim_id, store.pmids_of_dois())
            held = held_in(store, claim_id)
            others = [o for o in others_in(store, claim_id) if o[0].source == source]
    finally:
        web.close()
        archive.prune()
    rows = second_rows(held, others)
    new = [r.pmid for r in held.records if r.pmid not in before]
    twice = sum(bool(row["same_as"]) for row in rows)
    ids = set(found.hits.ids)
    again = sum(
        row["id"] in ids and not row["same_as"] and row["record"] not in new for row in rows
    )
    path = workspace.var / "sources" / f"{claim_id}-{source}.csv"
    files.write_csv(path, SECOND_COLUMNS, rows)
    hits, outcome = found.hits, Outcome()
    some = "" if hits.complete else f", the nearest {len(hits.ids):,} looked at"
    outcome.said = [
        f"{claim_id}: {label(source)}: {hits.count:,} found{some}, {found.known:,} known by PMID "
        f"or DOI, {twice:,} found to be {'a duplicate' if twice == 1 else 'duplicates'}, "
        + (f"{again:,} held from an earlier search of it, " if again else "")
        + f"{len(new):,} new",
        f"{workspace.shown(path)}: what it adds, which is in the reading order",
    ]
    if found.kept:
        outcome.said.append(f"{found.kept:,} of earlier searches were not found again, and stay")
    if merged.asks:
        listed = workspace.shown(workspace.var / "imports" / claim_id / "pairs.csv")
        outcome.said.append(to_decide(len(merged.asks), claim_id, listed))
    outcome.faults = [f"{label(source)} lists but does not serve {i}" for i in found.not_served]
    outcome.facts = found.json() | {
        "duplicates": twice,
        "new": new,
        "lacking": rows,
        "pairs_to_decide": len(merged.asks),
        "file": workspace.shown(path),
    }
    return outcome


@alone
def add_files(
    workspace: Workspace, claim_id: str, paths: Sequence[Path], *, on: dt.date
) -> Outcome:
    """Add the records of PubMed exports (NBIB) to a claim; refused records are named."""
    outcome = Outcome()
    workspace.chosen([claim_id])
    with Store(workspace.store) as store:
        for path in paths:
            export = read_nbib(path)
            new = store.add_export(
                claim_id, as_known(store, export.records), source=path.name, on=on
            )
            read, refused = len(export.records), len(export.refused)
            outcome.said.append(
                f"{claim_id}: {path.name}: {read + refused} "
                f"{'record' if read + refused == 1 else 'records'} in the file = "
                f"{read} read ({len(new)} new) + {refused} refused"
            )
            outcome.faults += export.refused
            outcome.facts.setdefault("files", []).append(
                {"file": path.name, "read": read, "new": list(new), "refused": refused}
            )
    return outcome
