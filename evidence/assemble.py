"""A claim, its extraction and what the store knows become one evidence row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from evidence.claims import Claim, ScreeningPlan
from evidence.dependence import people
from evidence.directions import count_directions
from evidence.model import (
    AnalysisResult,
    Certification,
    Counts,
    EffectRow,
    EvidenceRow,
    Extraction,
    FromSource,
    Record,
    Screening,
    SearchRun,
    Study,
)
from evidence.screening.state import FULL, ScreeningState, names_of
from evidence.synthesis import analyse
from evidence.verdict import judge


def assemble(
    claim: Claim,
    extraction: Extraction,
    *,
    records: Sequence[Record] = (),
    runs: Sequence[SearchRun] = (),
    ranking: Sequence[tuple[Record, float]] = (),
    ranking_method: str = "",
    retracted_pmids: Collection[str] = (),
    notices: Sequence[str] = (),
    origins: Mapping[str, tuple[str, ...]] | None = None,
    flow: Sequence[FromSource] = (),
    certificates: Sequence[Certification] = (),
) -> EvidenceRow:
    """Analyse, judge and count a claim.

    Parameters
    ----------
    records : sequence of Record
        Every record that the claim's search holds; empty when it never ran.
    runs : sequence of SearchRun
        The claim's searches, newest first.
    ranking : sequence of (Record, score)
        Records in reading order, and how it came about.
    retracted_pmids : collection of str
        PMIDs of retracted papers, from the records and the check of included studies.
    notices : sequence of str
        What the reader must know about this state, such as a search that failed.
    origins : mapping of str to tuple of str
        The sources of each record, by its name.
    flow : sequence of FromSource
        How many records each source gave.
    certificates : sequence of Certification
        Samples that were drawn to certify the screening.
    """
    claim = with_recall(claim, {r.pmid for r in records}, runs)
    gone = {r.pmid for r in records if r.retracted} | set(retracted_pmids)
    retracted = tuple(s for s in extraction.studies if s.pmid in gone)
    analyses = analyse(claim, extraction, retracted={s.study_id for s in retracted})
    without_numbers = _without_numbers(extraction, analyses)
    return EvidenceRow(
        claim=claim,
        extraction=extraction,
        counts=_counts(claim, extraction, analyses, without_numbers, records, runs),
        analyses=analyses,
        directions=count_directions(without_numbers),
        direction_rows=without_numbers,
        verdict=judge(claim, analyses),
        runs=tuple(runs),
        ranking=tuple(ranking),
        ranking_method=ranking_method,
        retracted=retracted,
        notices=(*_retraction_notices(retracted), *notices),
        origins=origins or {},
        flow=tuple(flow),
        screening_flow=_state(claim, extraction).flow([r.pmid for r in records] if runs else None),
        certificates=tuple(certificates),
    )


def with_recall(claim: Claim, held: Collection[str], runs: Sequence[SearchRun]) -> Claim:
    """The claim with each known record marked as its last complete search found or missed it.

    Without such a search the claim file's own statement stands. So it does for what a mirror alone
    did not find: it may hold no record of it. Only PubMed's own search can have missed one.
    """
    complete = [run for run in runs if run.kind == "full" and run.complete]
    if not complete:
        return claim
    day = max(run.ran_on for run in complete)
    missed = {"status": "missed", "checked": day}
    if not any(run.source == "pubmed" for run in complete):
        missed = {}
    known = tuple(
        k.model_copy(update={"status": "found", "checked": day} if k.pmid in held else missed)
        for k in claim.search.known
    )
    return claim.model_copy(update={"search": claim.search.model_copy(update={"known": known})})


def _retraction_notices(retracted: Sequence[Study]) -> tuple[str, ...]:
    return tuple(
        f"{study.label} (PMID {study.pmid}) was retracted: its rows stay visible and left every "
        "analysis."
        for study in retracted
    )


def _used(analyses: Sequence[AnalysisResult]) -> set[str]:
    return {e.row.effect_id for a in analyses for e in (*a.estimates, *a.extra)}


def _without_numbers(
    extraction: Extraction, analyses: Sequence[AnalysisResult]
) -> tuple[EffectRow, ...]:
    """Every row that gives no poolable number, context included, in the order of the file."""
    used = _used(analyses)
    return tuple(row for row in extraction.effects if row.effect_id not in used)


def decided(screening: Sequence[Screening], plan: ScreeningPlan | None = None) -> dict[str, bool]:
    """Record to relevant or not, by the decisions that hold: full text over abstract.

    A record about which reviewers disagree or are unsure, whose decision was withdrawn, or that
    waits for a second reviewer where ``plan`` requires two, is left out: it teaches nothing yet.
    """
    return ScreeningState(screening, plan=plan).labels()


def _state(claim: Claim, extraction: Extraction) -> ScreeningState:
    return ScreeningState(
        extraction.screening, plan=claim.screening, names=names_of(extraction.studies)
    )


def _counts(
    claim: Claim,
    extraction: Extraction,
    analyses: Sequence[AnalysisResult],
    without_numbers: Sequence[EffectRow],
    records: Sequence[Record],
    runs: Sequence[SearchRun],
) -> Counts:
    state = _state(claim, extraction)
    decisions = state.labels()
    used = _used(analyses)
    contributing = {row.study_id for row in extraction.effects if row.effect_id in used}
    primary = next(a for a in analyses if a.plan.id == claim.plan.primary)
    silent = {row.study_id for row in without_numbers if row.role != "context"} - contributing
    known = {s.study_id for s in extraction.studies if s.same_as is None}  # people count once
    searched = bool(runs)
    return Counts(
        found=len(records) if searched else None,
        screened=state.screened(),
        included=sum(
            relevant and state.final(record) != (FULL, "not-retrieved")
            for record, relevant in decisions.items()
        ),
        to_screen=sum(r.pmid not in decisions for r in records) if searched else None,
        studies_known=len(known),
        studies_contributing=len(contributing),
        results_missing=len(silent),
        people=people(primary.plan, primary.estimates),
    )
