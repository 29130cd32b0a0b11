"""The hallway: each command is one function here, from a workspace to an answer."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence import checks, files
from evidence.assemble import assemble, decided
from evidence.chasing import CHASE_COLUMNS, chase_rows
from evidence.chasing import chase as follow
from evidence.checks import LEVELS, Finding
from evidence.claim_files import new_claim_text
from evidence.claims import Claim
from evidence.dependence import method
from evidence.errors import (
    InputError,
    SchemaError,
    SourceUnreachable,
    ToolkitError,
    UnknownName,
)
from evidence.exchange import others_of
from evidence.extracted import TABLES, columns, read_extraction
from evidence.fetch import Eutils
from evidence.identify import (
    IDENTIFY_COLUMNS,
    identify_rows,
    write_pmids,
)
from evidence.identify import chosen as accepted
from evidence.identify import identify as look_up
from evidence.kinds import FOREST, check_kinds, drawings
from evidence.model import AnalysisResult, EvidenceRow, Extraction, Record, SearchRun
from evidence.publish import data_files, publish
from evidence.pubmed.archive import Archive, limit_from
from evidence.pubmed.archive import replay as replay_search
from evidence.pubmed.links import NAMES
from evidence.pubmed.nbib import read_nbib
from evidence.query.lint import lint
from evidence.reading_order import (
    READING_COLUMNS,
    ReadingOrder,
    reading_order,
    reading_order_rows,
)
from evidence.retrieval import Update, update_all
from evidence.second_sources import SECOND_COLUMNS, ask, client_of
from evidence.store import State, Store
from evidence.tables import interval, pool_json
from evidence.workspace import Workspace
from meta.fitting import test_named
from meta.measures.registry import measure_named
from meta.plots.style import save
from meta.results import DASH, PooledEffect, show
from meta.tau2 import TAU2

__all__ = [
    "FOREST",
    "LEVELS",
    "Checked",
    "Outcome",
    "Plotted",
    "add_files",
    "assess",
    "chase",
    "check",
    "choices",
    "identify",
    "new",
    "plot",
    "pool_cells",
    "pool_json",
    "rank",
    "replay",
    "search",
    "second_source",
    "table",
    "update",
]

Say = Callable[[str], None]
OK, FAULT, ACTION = 0, 1, 3


@dataclass(slots=True)
class Outcome:
    """What a step did, in lines for people and in fields for machines."""

    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # exit 1
    actions: list[str] = field(default_factory=list)  # exit 3

    @property
    def exit_code(self) -> int:
        """Somebody must act before a fault is mended: 3 comes before 1."""
        return ACTION if self.actions else FAULT if self.faults else OK

    def lines(self) -> list[str]:
        return [
            *self.said,
            *(f"fault: {text}" for text in self.faults),
            *(f"action needed: {text}" for text in self.actions),
        ]

    def json(self) -> dict[str, Any]:
        return self.facts | {"faults": self.faults, "actions_needed": self.actions}


def new(root: Path, claim_id: str, *, on: dt.date) -> list[Path]:
    """Scaffold a claim: a commented file to fill in and tables with only their header.

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
    return [claim_file, *tables]


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
    outcome = _told(_retrieve(workspace, claims, extractions, environ=environ, on=on, say=say))
    for told, claim in zip(outcome.facts["searches"], claims, strict=True):
        typed = claim.search.query()
        found = lint(typed)
        told["query"] = typed  # as typed, even where nothing could be asked
        told["limits"] = claim.search.limits
        told["peer_review"] = claim.search.peer_review
        told["lint"] = [f"{f.severity}: {f.message}" for f in found if f.severity != "note"]
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


def _retrieve(
    workspace: Workspace,
    claims: Sequence[Claim],
    extractions: Sequence[Extraction],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Update:
    included = {pmid for e in extractions for pmid in _included_pmids(e)}
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


def _included_pmids(extraction: Extraction) -> set[str]:
    """PMIDs of studies that were decided to be included, by PMID or by study id."""
    included = {record for record, relevant in decided(extraction.screening).items() if relevant}
    return {
        study.pmid
        for study in extraction.studies
        if study.pmid and (study.pmid in included or study.study_id in included)
    }


# What to say of a state of an included study; a retraction is told by itself.
_STATES = {
    "concern": "has an expression of concern: decide whether it stays",
    "erratum": "was corrected: compare the extracted numbers",
    "update": "was updated by a later publication",
    "republication": "was corrected and published again: compare the extracted numbers",
}
_NOT_FOUND = ("not found: ", "quoted phrase not found: ")  # as `pubmed.replies` words them


def _told(update: Update) -> Outcome:
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
        what = _STATES[state.state]
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
    with _pubmed(workspace, environ, say) as eutils, Store(workspace.store) as store:
        result = follow(
            claim_id,
            _included_pmids(extraction),
            eutils,
            store,
            kinds=kinds or tuple(NAMES),
            similar=similar,
            on=on,
        )
    path = workspace.var / "citations" / f"{claim_id}.csv"
    rows = chase_rows(result, labels)
    files.write_csv(path, CHASE_COLUMNS, rows)
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


def identify(
    workspace: Workspace,
    claim_id: str,
    *,
    yes: Sequence[str],
    environ: Mapping[str, str],
    say: Say,
) -> Outcome:
    """Propose PMIDs for studies without one; with ``yes`` write those that were proposed before.

    Parameters
    ----------
    yes : sequence of str
        ``STUDY`` or ``STUDY=PMID``, each accepted from the file of proposals; nothing is asked
        of PubMed then.
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
    with _pubmed(workspace, environ, say) as eutils:
        found = look_up(claim_id, extraction.studies, eutils)
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
        outcome.said.append(f"{claim_id}: every study has its PMID")
    outcome.facts = {
        "claim": claim_id,
        "proposed": rows,
        "without": [{"study_id": s, "why": why} for s, why in found.without],
        "requests": found.requests,
    }
    return outcome


@contextlib.contextmanager
def _pubmed(workspace: Workspace, environ: Mapping[str, str], say: Say) -> Iterator[Eutils]:
    """PubMed with every reply archived."""
    archive = Archive(workspace.archive, limit=limit_from(environ))
    eutils = Eutils.from_environ(environ, progress=say, keep=archive.keep)
    try:
        yield eutils
    finally:
        eutils.close()
        archive.prune()


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


def rank(workspace: Workspace, claim_ids: Sequence[str]) -> list[ReadingOrder]:
    """Rank the stored records of each claim; the order is written to var/reading-order/."""
    ranked = []
    for claim_id in workspace.chosen(claim_ids):
        claim, extraction = workspace.claim(claim_id), read_extraction(workspace.root, claim_id)
        ranked.append(_rank(workspace, claim, extraction, _held(workspace, claim_id).records))
    return ranked


def _rank(
    workspace: Workspace, claim: Claim, extraction: Extraction, records: Sequence[Record]
) -> ReadingOrder:
    order = reading_order(claim, extraction, records, decided(extraction.screening))
    path = workspace.var / "reading-order" / f"{claim.id}.csv"
    files.write_csv(path, READING_COLUMNS, reading_order_rows(order.records))
    return order


@dataclass(frozen=True, slots=True)
class _Held:
    """What the store holds for a claim; empty where there is no store yet."""

    records: tuple[Record, ...] = ()
    runs: tuple[SearchRun, ...] = ()
    retracted: frozenset[str] = frozenset()
    states: tuple[State, ...] = ()  # of the studies asked about: concerns, errata, updates


def _held(workspace: Workspace, claim_id: str, pmids: Sequence[str] = ()) -> _Held:
    if not workspace.store.is_file():
        return _Held()
    with Store(workspace.store) as store:
        held = store.get(pmids)
        return _Held(
            records=(*store.records(claim_id), *others_of(store, claim_id)),
            runs=tuple(
                reversed(store.runs(claim_id, kinds=("full", "export", "citation", "second")))
            ),
            retracted=frozenset(p for p, record in held.items() if record.retracted),
            states=tuple(s for s in store.states(pmids) if s.state in _STATES),
        )


def assess(workspace: Workspace, claim_ids: Sequence[str], **choices: str) -> list[EvidenceRow]:
    """Read, analyse and judge each claim with what is on disk.

    ``choices`` take the place of the plan's: ``tau2`` and ``interval`` of every analysis.
    """
    return [_assess(workspace, claim_id, **choices) for claim_id in workspace.chosen(claim_ids)]


def choices(*, tau2: str | None = None, ci: str | None = None) -> dict[str, str]:
    """What is to take the place of every analysis's own plan, with known names.

    Raises
    ------
    UnknownName
        If there is no such estimator.
    """
    changed: dict[str, str] = {}
    if tau2 is not None:
        key = next((k for k in TAU2 if k.casefold() == tau2.casefold()), None)
        if key is None or TAU2[key].needs_weights:
            known = [k for k, estimator in TAU2.items() if not estimator.needs_weights]
            raise UnknownName("tau2 estimator", tau2, known)
        changed["tau2"] = key
    if ci is not None:
        changed["interval"] = "auto" if ci == "auto" else test_named(ci)
    return changed


def _assess(
    workspace: Workspace, claim_id: str, notices: Sequence[str] = (), **choices: str
) -> EvidenceRow:
    claim, extraction = workspace.claim(claim_id), read_extraction(workspace.root, claim_id)
    if choices:
        analyses = tuple(a.model_copy(update=choices) for a in claim.plan.analyses)
        plan = claim.plan.model_copy(update={"analyses": analyses})
        claim = claim.model_copy(update={"plan": plan})
    held = _held(workspace, claim_id, [s.pmid for s in extraction.studies if s.pmid])
    order = _rank(workspace, claim, extraction, held.records) if held.records else None
    label = {s.pmid: s.label for s in extraction.studies if s.pmid}
    later = [f"{label[s.pmid]} (PMID {s.pmid}) {_STATES[s.state]}. {s.notice}" for s in held.states]
    return assemble(
        claim,
        extraction,
        records=held.records,
        runs=held.runs,
        ranking=order.records if order else (),
        ranking_method=order.method if order else "",
        retracted_pmids=held.retracted,
        notices=(*later, *notices),
    )


def pool_cells(analysis: AnalysisResult) -> tuple[str, str, str, str, str, str]:
    """One analysis as cells for the terminal: id, k, estimate, prediction, I², how."""
    result = analysis.result
    k = str(len(analysis.estimates))
    if result is None:
        text = DASH
        if analysis.note_only is not None:
            text = f"{_interval(analysis.note_only)} (note only)"
        elif len(analysis.estimates) == 1:
            (only,) = analysis.estimates
            text = _read(analysis.plan.measure, only.yi, *interval(only, analysis.plan.level))
        return analysis.plan.id, k, text, DASH, DASH, analysis.reason
    to = result.effects.measure.natural
    prediction = (
        DASH
        if result.prediction is None
        else f"{show(to(result.prediction[0]))} to {show(to(result.prediction[1]))}"
    )
    return (
        analysis.plan.id,
        k,
        _interval(result),
        prediction,
        f"{result.i2:.0%}",
        f"{method(analysis.plan, result)}; {result.ci_reason}",
    )


def _interval(result: PooledEffect) -> str:
    return _read(result.effects.measure.key, result.estimate, *result.ci)


def _read(measure: str, *values: float) -> str:
    """Estimate and interval on the scale that people read: Fisher's z as r."""
    to = measure_named(measure)
    mid, low, high = (show(to.natural(value)) for value in values)
    return f"{'r' if to.scale == 'fisher-z' else measure} {mid} ({low} to {high})"


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


def update(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
    offline: bool = False,
) -> Outcome:
    """Search, rank, check, pool, draw and publish.

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
            _refuse_errors(checks.run(claim, extraction))
            sound.append((claim, extraction))
        except ToolkitError as fault:
            faults[claim_id] = fault
    to_search = [(c, e) for c, e in sound if c.id in chosen and not offline]
    if to_search:
        say(f"searching PubMed for {_claims(len(to_search))}")
        claims, extractions = zip(*to_search, strict=True)
        outcome = _told(_retrieve(workspace, claims, extractions, environ=environ, on=on, say=say))
    else:
        outcome = Outcome()
        if offline:
            outcome.said.append("PubMed was not searched: --offline")
    failed = outcome.facts.get("failed_searches", {})
    rows: list[EvidenceRow] = []
    for claim, _ in sound:
        say(f"{claim.id}: ranking, pooling and judging")
        try:
            rows.append(_assess(workspace, claim.id, failed.get(claim.id, ())))
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


def _refuse_errors(findings: Sequence[Finding]) -> None:
    errors = [str(f) for f in findings if f.level == "error"]
    if errors:
        raise SchemaError(
            f"{len(errors)} {'row' if len(errors) == 1 else 'rows'} cannot be right",
            errors,
            remedy="correct them against the paper, then `evidence check`",
        )


def _claims(n: int) -> str:
    return f"{n} {'claim' if n == 1 else 'claims'}"


def _files(n: int) -> str:
    return f"{n} {'file' if n == 1 else 'files'}"
