"""Rank, analyse and judge claims with what is on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from evidence import files
from evidence.assemble import assemble, decided
from evidence.claims import Claim
from evidence.dependence import method
from evidence.errors import (
    UnknownName,
)
from evidence.extracted import read_extraction
from evidence.held import Held, held_in
from evidence.model import AnalysisResult, EvidenceRow, Extraction
from evidence.reading_order import (
    READING_COLUMNS,
    ReadingOrder,
    links_path,
    read_links,
    reading_order,
    reading_order_rows,
    written_order,
)
from evidence.screening.samples import certifications
from evidence.screening.state import ScreeningState, names_of
from evidence.steps.retrieving import STATES
from evidence.store import Store
from evidence.tables import interval
from evidence.triage.explain import drift
from evidence.workspace import Workspace
from meta.fitting import test_named
from meta.measures.registry import measure_named
from meta.results import DASH, PooledEffect, show
from meta.tau2 import TAU2


def rank(
    workspace: Workspace,
    claim_ids: Sequence[str],
    *,
    settings: Sequence[str] = (),
    check: bool = False,
) -> list[ReadingOrder]:
    """Rank the stored records of each claim; the order is written to var/reading-order/.

    Parameters
    ----------
    settings : sequence of str
        Views beside those of the claim file, as `evidence.triage.views.chosen` takes them.
    check : bool
        Whether to say how far each order can be trusted.
    """
    ranked = []
    for claim_id in workspace.chosen(claim_ids):
        claim, extraction = workspace.claim(claim_id), read_extraction(workspace.root, claim_id)
        held = held_of(workspace, claim_id)
        extraction = held.under_present_names(extraction)
        ranked.append(
            rank_claim(workspace, claim, extraction, held, settings=settings, check=check)
        )
    return ranked


def rank_claim(
    workspace: Workspace,
    claim: Claim,
    extraction: Extraction,
    held: Held,
    *,
    settings: Sequence[str] = (),
    check: bool = False,
) -> ReadingOrder:
    path = workspace.var / "reading-order" / f"{claim.id}.csv"
    before = written_order(path)
    order = replace(
        reading_order(
            claim,
            extraction,
            held.records,
            decided(extraction.screening, claim.screening),
            settings=settings,
            links=read_links(links_path(workspace.var, claim.id)),
            check=check,
        ),
        origins=held.origins,
    )
    now = tuple(record.pmid for record, _ in order.records)
    if before and before != now:
        order = replace(order, moved=drift(before, now))
    files.write_csv(path, READING_COLUMNS, reading_order_rows(order.records, held.origins))
    about = json.dumps(order.provenance(), ensure_ascii=False, indent=2)
    files.write_text(path.with_suffix(".json"), about + "\n")
    return order


def held_of(workspace: Workspace, claim_id: str, pmids: Sequence[str] = ()) -> Held:
    """What the store holds for a claim, with the states of ``pmids`` that need telling."""
    if not workspace.store.is_file():
        return Held()
    with Store(workspace.store) as store:
        held = held_in(store, claim_id, pmids)
    return replace(held, states=tuple(s for s in held.states if s.state in STATES))


def assess(workspace: Workspace, claim_ids: Sequence[str], **choices: str) -> list[EvidenceRow]:
    """Read, analyse and judge each claim with what is on disk.

    ``choices`` take the place of the plan's: ``tau2`` and ``interval`` of every analysis.
    """
    return [
        assess_claim(workspace, claim_id, **choices) for claim_id in workspace.chosen(claim_ids)
    ]


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


def assess_claim(
    workspace: Workspace,
    claim_id: str,
    notices: Sequence[str] = (),
    told: Callable[[str], None] = lambda line: None,
    /,
    **choices: str,
) -> EvidenceRow:
    """Rank, analyse and judge one claim.

    Parameters
    ----------
    told : callable
        Told how the reading order moved since it was last written, where it did.
    """
    claim, extraction = workspace.claim(claim_id), read_extraction(workspace.root, claim_id)
    held = held_of(workspace, claim_id, [s.pmid for s in extraction.studies if s.pmid])
    extraction = held.under_present_names(extraction)
    if choices:
        analyses = tuple(a.model_copy(update=choices) for a in claim.plan.analyses)
        plan = claim.plan.model_copy(update={"analyses": analyses})
        claim = claim.model_copy(update={"plan": plan})
    order = rank_claim(workspace, claim, extraction, held) if held.records else None
    if order is not None and order.moved is not None and order.moved.records > 1:
        told(f"{claim_id}: reading order: {order.moved.summary()}")
    label = {s.pmid: s.label for s in extraction.studies if s.pmid}
    later = [f"{label[s.pmid]} (PMID {s.pmid}) {STATES[s.state]}. {s.notice}" for s in held.states]
    names = names_of(extraction.studies) | dict(held.aliases)
    state = ScreeningState(extraction.screening, plan=claim.screening, names=names)
    certificates, unread = certifications(workspace.root, claim, state)
    lost = [f"A sample drawn to certify the screening cannot be read: {text}" for text in unread]
    return assemble(
        claim,
        extraction,
        records=held.records,
        runs=held.runs,
        ranking=order.records if order else (),
        ranking_method=order.method if order else "",
        retracted_pmids=held.retracted,
        notices=(*later, *notices, *lost),
        origins=held.origins,
        flow=held.flow,
        certificates=certificates,
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
