"""PubMed asked for claims: what every step that searches shares."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from evidence import files
from evidence.assemble import decided
from evidence.claims import Claim
from evidence.errors import (
    SourceUnreachable,
)
from evidence.exchange import settle
from evidence.fetch import Eutils
from evidence.held import label
from evidence.mirror import Mirror
from evidence.model import Extraction
from evidence.offline import update_all as update_offline
from evidence.pubmed.archive import Archive, limit_from
from evidence.restoring import restore_imports
from evidence.retrieval import Update, mark_told, update_all
from evidence.steps.outcome import Outcome, Say
from evidence.store import Store
from evidence.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")


def alone(
    step: Callable[Concatenate[Workspace, P], T],
) -> Callable[Concatenate[Workspace, P], T]:
    """Let a step wait while another command works in the same folder."""

    @functools.wraps(step)
    def waiting(workspace: Workspace, /, *args: P.args, **options: P.kwargs) -> T:
        def waits() -> None:
            say = options.get("say")
            if callable(say):
                say("another command is at work in this folder: waiting until it has ended")

        with files.alone(workspace.var / "lock", waits=waits):
            return step(workspace, *args, **options)

    return waiting


def included_pmids(extraction: Extraction) -> set[str]:
    """PMIDs of studies that were decided to be included, by PMID or by study id."""
    included = {record for record, relevant in decided(extraction.screening).items() if relevant}
    return {
        study.pmid
        for study in extraction.studies
        if study.pmid and (study.pmid in included or study.study_id in included)
    }


@dataclass(frozen=True, slots=True)
class Offline:
    """A mirror to ask in place of PubMed, and whether it may answer approximately."""

    opened: Callable[[], contextlib.AbstractContextManager[Mirror]]
    lenient: bool = False


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


def put_back(
    workspace: Workspace, claim_ids: Sequence[str], *, on: dt.date
) -> tuple[list[str], list[str]]:
    """What was imported before the store was deleted, imported once more; said, and faults."""
    said, faults = [], []
    for claim_id in claim_ids:
        done, lost = restore_imports(workspace, claim_id, on=on)
        said += [f"{claim_id}: {name}: imported once more, from var/imports/" for name in done]
        faults += lost
    return said, faults


def retrieve(
    workspace: Workspace,
    claims: Sequence[Claim],
    extractions: Sequence[Extraction],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
    offline: Offline | None = None,
) -> Update:
    """Ask PubMed about each claim, or with ``offline`` a mirror of it, and no network at all.

    References of other databases that turn out to be what was found now are known as such at once.
    """
    included = {pmid for e in extractions for pmid in included_pmids(e)}
    if offline is not None:
        with offline.opened() as mirror, Store(workspace.store) as store:
            update = update_offline(
                [(c.id, c.search.query()) for c in claims],
                included,
                mirror,
                store,
                on=on,
                lenient=offline.lenient,
                say=say,
                mark=False,
            )
            _same_works(update, workspace, store)
            return update
    archive = Archive(workspace.archive, limit=limit_from(environ))
    eutils = Eutils.from_environ(environ, progress=say, keep=archive.keep)
    try:
        with Store(workspace.store) as store:
            update = update_all(
                [(c.id, c.search.query()) for c in claims],
                included,
                eutils,
                store,
                on=on,
                archive=archive,
                mark=False,
            )
            _same_works(update, workspace, store)
            return update
    finally:
        eutils.close()
        archive.prune()


def _same_works(update: Update, workspace: Workspace, store: Store) -> None:
    """Compare references of other databases with what an update brought."""
    for retrieval in update.claims:
        others = store.others(retrieval.claim)
        if not others:
            continue
        dois = store.pmids_of_dois()
        late = any(o.pmid is None and o.name.removeprefix("doi:") in dois for o in others)
        if retrieval.new or retrieval.changed or late:
            settle(store, workspace, retrieval.claim, dois)


# What to say of a state of an included study; a retraction is told by itself.
STATES = {
    "concern": "has an expression of concern: decide whether it stays",
    "erratum": "was corrected: compare the extracted numbers",
    "update": "was updated by a later publication",
    "republication": "was corrected and published again: compare the extracted numbers",
}


_NOT_FOUND = ("not found: ", "quoted phrase not found: ")  # as `pubmed.replies` words them


def _some(pmids: Sequence[str], most: int = 5) -> str:
    more = f" and {len(pmids) - most} more" if len(pmids) > most else ""
    return f"PMID {', '.join(pmids[:most])}{more}"


def told(update: Update, workspace: Workspace, *, on: dt.date) -> Outcome:
    """The lines and facts of an update; see `Outcome` for how the command ends."""

    def mark() -> None:
        if update.included.retracted or update.included.states:
            with Store(workspace.store) as store:
                mark_told(update.included, store, on=on)

    outcome = Outcome(when_told=mark)
    source = label(update.source)
    if update.basis:
        outcome.said.append(f"{source}: {update.basis}")
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
    if update.missing:
        outcome.faults.append(
            f"the mirror lacks {', '.join(update.missing)}: its searches are incomplete, and what "
            "they do not find stays; fetch the files, then `evidence mirror add FILE...`"
        )
    check_ = update.included
    if check_.problem is not None and not isinstance(check_.problem, SourceUnreachable):
        outcome.faults.append(f"included studies could not be checked. {check_.problem}")
    gone = "was deleted by NLM" if update.basis else "is no longer served"
    outcome.faults += [f"included study PMID {p} {gone}" for p in check_.lost]
    if update.basis and check_.unknown:
        outcome.said.append(
            f"included studies that the mirror does not hold, and so not checked for retractions: "
            f"{_some(check_.unknown)}"
        )
    elif check_.unknown:
        outcome.said.append(
            "included studies that PubMed does not know, and so not checked for retractions "
            f"(look at their PMIDs in studies.csv): {_some(check_.unknown)}"
        )
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
            "source": update.source,
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
            "deleted": list(r.withdrawn),
            "kept_not_in_mirror": list(r.absent),
            "left_out_against_pubmed": list(r.apart),
            "basis": r.run.basis if r.run else update.basis,
            "complete": r.complete,
            "problem": None if r.problem is None else r.problem.problem,
        }
        for r in update.claims
    ]
    outcome.facts["included_retracted"] = list(check_.retracted)
    outcome.facts["included_unknown"] = list(check_.unknown)
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
    outcome.facts["source"] = update.source
    outcome.facts["reachable"] = None if update.basis else update.unreachable is None
    return outcome
