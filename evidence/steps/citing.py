"""Follow citations; propose PMIDs for studies without."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from evidence import files
from evidence.chasing import CHASE_COLUMNS, chase_rows
from evidence.chasing import chase as follow
from evidence.errors import SourceError
from evidence.extracted import read_extraction
from evidence.identify import (
    IDENTIFY_COLUMNS,
    identify_rows,
    write_pmids,
)
from evidence.identify import chosen as accepted
from evidence.identify import identify as look_up
from evidence.model import Record
from evidence.pubmed.links import NAMES
from evidence.reading_order import LINK_COLUMNS, links_path
from evidence.second_sources import client_of
from evidence.sources.crossref import details
from evidence.steps.outcome import Outcome, Say
from evidence.steps.retrieving import alone, included_pmids, pubmed
from evidence.store import Store
from evidence.workspace import Workspace


@alone
def chase(
    workspace: Workspace,
    claim_id: str,
    *,
    kinds: Sequence[str],
    similar: int,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Outcome:
    """Follow the citations of a claim's included studies; what is new is proposed and ranked."""
    workspace.chosen([claim_id])
    extraction = read_extraction(workspace.root, claim_id)
    labels = {s.pmid: s.label for s in extraction.studies if s.pmid}
    starts = included_pmids(extraction)
    if starts:
        many = "study" if len(starts) == 1 else "studies"
        say(f"{claim_id}: following the citations of {len(starts)} {many}")
    with pubmed(workspace, environ, say) as eutils, Store(workspace.store) as store:
        result = follow(
            claim_id,
            starts,
            eutils,
            store,
            kinds=kinds or tuple(NAMES),
            similar=similar,
            on=on,
        )
    path = workspace.var / "citations" / f"{claim_id}.csv"
    rows = chase_rows(result, labels)
    files.write_csv(path, CHASE_COLUMNS, rows)
    keep_links(links_path(workspace.var, claim_id), result.cited)
    outcome = Outcome()
    outcome.said = [result.summary(), f"{workspace.shown(path)}: each with how it was found"]
    outcome.faults = [f"PubMed links but does not serve PMID {p}" for p in result.not_served]
    outcome.facts = {
        "claim": claim_id,
        "source": "citation",
        "on": on.isoformat(),
        "included": list(result.starts),
        "links": dict(result.counts),
        "known": result.known,
        "proposed": rows,
        "file": workspace.shown(path),
        "requests": result.requests,
    }
    return outcome


def keep_links(path: Path, cited: Sequence[tuple[str, str]]) -> None:
    """Add citing and cited PMIDs to those of earlier chases: a view of the reading order."""
    pairs = set(cited)
    if path.is_file():
        rows = csv.DictReader(io.StringIO(files.read_text(path)))
        pairs |= {(row["citing"], row["cited"]) for row in rows}
    rows_ = [
        {"citing": one, "cited": two}
        for one, two in sorted(pairs, key=lambda p: (int(p[0]), int(p[1])))
    ]
    files.write_csv(path, LINK_COLUMNS, rows_)


def identify(
    workspace: Workspace,
    claim_id: str,
    *,
    yes: Sequence[str],
    environ: Mapping[str, str],
    say: Say,
    crossref: bool = False,
) -> Outcome:
    """Propose PMIDs for studies without one; with ``yes`` write those that were proposed before.

    Parameters
    ----------
    yes : sequence of str
        ``STUDY`` or ``STUDY=PMID``, each accepted from the file of proposals; nothing is asked
        of PubMed then.
    crossref : bool
        Ask Crossref for the citation of each DOI that PubMed does not have, for the matcher.
        Crossref out of order is told, and the matcher asked with what the table says.
    """
    workspace.chosen([claim_id])
    path = workspace.var / "identified" / f"{claim_id}.csv"
    outcome = Outcome()
    if yes:
        proposed: dict[str, list[str]] = {}
        if path.is_file():
            for row in csv.DictReader(io.StringIO(files.read_text(path))):
                proposed.setdefault(row["study_id"], []).append(row["pmid"])
        table_ = workspace.extracted / claim_id / "studies.csv"
        taken = accepted(yes, proposed)
        for study_id in write_pmids(table_, taken):
            outcome.said.append(f"{workspace.shown(table_)}: {study_id} has PMID {taken[study_id]}")
        outcome.facts = {"claim": claim_id, "written": taken}
        return outcome
    extraction = read_extraction(workspace.root, claim_id)

    def look(dois: Sequence[str]) -> dict[str, Record]:
        web = client_of("crossref", environ, progress=say)
        try:
            return {d: r for b in details(dois, web) for d, r in b.records.items()}
        except SourceError as fault:
            outcome.said.append(f"Crossref gave no citations: {fault.problem}")
            return {}
        finally:
            web.close()

    if extraction.studies:
        say(f"{claim_id}: looking for studies without a PMID")
    with pubmed(workspace, environ, say) as eutils:
        found = look_up(claim_id, extraction.studies, eutils, look=look if crossref else None)
    rows = identify_rows(found)
    files.write_csv(path, IDENTIFY_COLUMNS, rows)
    for row in rows:
        outcome.said.append(
            f"{row['study_id']}: PMID {row['pmid']}, score {row['score']} by {row['how']} "
            f"({row['evidence']})"
        )
    outcome.said += [f"{study_id}: nothing found; {why}" for study_id, why in found.without]
    if rows:
        outcome.said.append(
            f"nothing was written; to accept one: evidence identify {claim_id} --yes "
            f"{rows[0]['study_id']}"
        )
    elif not found.without:
        some = "every study has its PMID" if extraction.studies else "there is no study yet"
        outcome.said.append(f"{claim_id}: {some}")
    outcome.facts = {
        "claim": claim_id,
        "proposed": rows,
        "without": [{"study_id": s, "why": why} for s, why in found.without],
        "requests": found.requests,
    }
    return outcome
