"""PubMed asked for claims: what every step that searches shares."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from evidence.assemble import decided
from evidence.claims import Claim
from evidence.errors import (
    SourceUnreachable,
)
from evidence.fetch import Eutils
from evidence.model import Extraction
from evidence.pubmed.archive import Archive, limit_from
from evidence.retrieval import Update, update_all
from evidence.steps.outcome import Outcome, Say
from evidence.store import Store
from evidence.workspace import Workspace


def included_pmids(extraction: Extraction) -> set[str]:
    """PMIDs of studies that were decided to be included, by PMID or by study id."""
    included = {record for record, relevant in decided(extraction.screening).items() if relevant}
    return {
        study.pmid
        for study in extraction.studies
        if study.pmid and (study.pmid in included or study.study_id in included)
    }


@contextlib.contextmanager
def pubmed(workspace: Workspace, environ: Mapping[str, str], say: Say) -> Iterator[Eutils]:
    """PubMed with every reply archived."""
    archive = Archive(workspace.archive, limit=limit_from(environ))
    eutils = Eutils.from_environ(environ, progress=say, keep=archive.keep)
    try:
        yield eutils
    finally:
        eutils.close()
        archive.prune()


def retrieve(
    workspace: Workspace,
    claims: Sequence[Claim],
    extractions: Sequence[Extraction],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Update:
    included = {pmid for e in extractions for pmid in included_pmids(e)}
    archive = Archive(workspace.archive, limit=limit_from(environ))
    eutils = Eutils.from_environ(environ, progress=say, keep=archive.keep)
    try:
        with Store(workspace.store) as store:
            return update_all(
                [(c.id, c.search.query()) for c in claims],
                included,
                eutils,
                store,
                on=on,
                archive=archive,
            )
    finally:
        eutils.close()
        archive.prune()


# What to say of a state of an included study; a retraction is told by itself.
STATES = {
    "concern": "has an expression of concern: decide whether it stays",
    "erratum": "was corrected: compare the extracted numbers",
    "update": "was updated by a later publication",
    "republication": "was corrected and published again: compare the extracted numbers",
}


_NOT_FOUND = ("not found: ", "quoted phrase not found: ")  # as `pubmed.replies` words them


def told(update: Update) -> Outcome:
    outcome = Outcome()
    if update.unreachable is not None:
        outcome.said.append(f"PubMed was not searched: {update.unreachable.problem}")
    for retrieval in update.claims:
        if isinstance(retrieval.problem, SourceUnreachable):
            continue
        if retrieval.problem is not None:
            outcome.faults.append(f"{retrieval.claim}: earlier state kept. {retrieval.problem}")
            outcome.facts.setdefault("failed_searches", {})[retrieval.claim] = [
                f"The last search did not complete ({retrieval.problem.problem}); the state of the "
                "one before is shown."
            ]
        else:
            outcome.said.append(retrieval.summary())
        if retrieval.not_served:
            outcome.faults.append(
                f"{retrieval.claim}: PubMed lists but does not serve "
                f"{', '.join(retrieval.not_served)}"
            )
    check_ = update.included
    if check_.problem is not None and not isinstance(check_.problem, SourceUnreachable):
        outcome.faults.append(f"included studies could not be checked. {check_.problem}")
    outcome.faults += [f"included study PMID {p} is no longer served" for p in check_.lost]
    outcome.actions += [
        f"included study PMID {p} was retracted: https://pubmed.ncbi.nlm.nih.gov/{p}/ "
        "(it left every analysis; record your decision in screening.csv)"
        for p in check_.retracted
    ]
    for state in check_.states:
        what = STATES[state.state]
        line = (
            f"included study PMID {state.pmid} {what}: https://pubmed.ncbi.nlm.nih.gov/"
            f"{state.pmid}/ ({state.notice})"
        )
        (outcome.actions if state.state == "concern" else outcome.said).append(line)
    outcome.facts["searches"] = [
        {
            "claim": r.claim,
            "source": r.run.source if r.run else "pubmed",
            "on": r.run.ran_on.isoformat() if r.run else None,
            "query": r.run.query if r.run else None,
            "translation": r.run.translation if r.run else None,
            "warnings": list(r.run.warnings) if r.run else [],
            "not_found": [w.partition(": ")[2] for w in r.run.warnings if w.startswith(_NOT_FOUND)]
            if r.run
            else [],
            "count": r.run.count if r.run else None,
            "new": list(r.new),
            "changed": list(r.changed),
            "retracted": list(r.retracted),
            "no_longer_found": list(r.dropped),
            "not_served": list(r.not_served),
            "complete": r.complete,
            "problem": None if r.problem is None else r.problem.problem,
        }
        for r in update.claims
    ]
    outcome.facts["included_retracted"] = list(check_.retracted)
    outcome.facts["included_states"] = [
        {
            "pmid": s.pmid,
            "state": s.state,
            "notice": s.notice,
            "first_seen": s.first_seen.isoformat(),
        }
        for s in check_.states
    ]
    outcome.facts["requests"] = update.requests
    outcome.facts["reachable"] = update.unreachable is None
    return outcome
