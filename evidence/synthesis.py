"""A claim's extractions in, pooled effects out, each with the reason for what was done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evidence.claims import Analysis, Claim
from evidence.directions import of_question
from evidence.errors import SchemaError
from evidence.model import AnalysisResult, EffectRow, Estimate, Extraction, Sensitivity
from evidence.routes import ROUTES, estimate
from meta.measures import given
from meta.pooling import pool
from meta.results import Effects, PooledEffect, show

MINIMUM_TO_POOL = 3  # below it, estimates stand side by side; two are pooled only as a note


def analyse(
    claim: Claim, extraction: Extraction, *, retracted: Collection[str] = ()
) -> tuple[AnalysisResult, ...]:
    """Run every analysis of the claim's plan on its extracted rows.

    Parameters
    ----------
    claim, extraction
        The plan and the rows; a row belongs to the analysis that it names.
    retracted : collection of str
        Study ids that leave every analysis; their rows stay visible with the reason.

    Returns
    -------
    tuple of AnalysisResult
        In the order of the plan.
    """
    return tuple(_one(claim, plan, extraction, set(retracted)) for plan in claim.plan.analyses)


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a sensitivity analysis may change about how rows become numbers."""

    r: float | None = None  # replaces the plan's assumed correlation, never a stated one
    heteroscedastic: bool = False


def _one(
    claim: Claim, plan: Analysis, extraction: Extraction, retracted: set[str]
) -> AnalysisResult:
    rows = [row for row in extraction.effects if row.analysis == plan.id]
    unusable: list[tuple[EffectRow, str]] = []
    numerical: list[EffectRow] = []
    for row in rows:
        if row.study_id in retracted:
            unusable.append((row, "the paper was retracted; it left the analysis"))
        elif row.role == "context":
            unusable.append((row, "context: " + (row.assumption or row.notes or "see the row")))
        elif not ROUTES[row.route].numerical:
            unusable.append((row, "only the direction or the significance was reported"))
        else:
            numerical.append(row)
    primary = _estimates(claim, plan, extraction, _role(numerical, "primary"), _Choice())
    extra = _estimates(claim, plan, extraction, _role(numerical, "sensitivity"), _Choice())
    _refuse_shared_people(plan, primary)
    result, note_only, reason = _pool_or_say_why(plan, primary, unusable)
    directions, near = of_question([row for row in rows if row.study_id not in retracted])
    return AnalysisResult(
        plan=plan,
        estimates=primary,
        extra=extra,
        unusable=tuple(unusable),
        result=result,
        reason=reason,
        note_only=note_only,
        directions=directions,
        near=near,
        subgroups=_subgroups(plan, primary) if result is not None else (),
        sensitivities=_sensitivities(claim, plan, extraction, numerical, primary, extra),
    )


def _role(rows: Iterable[EffectRow], role: str) -> list[EffectRow]:
    return [row for row in rows if row.role == role]


def correlation_for(claim: Claim, plan: Analysis, row: EffectRow, choice_r: float | None) -> float:
    """The pre-post correlation of a row: stated in the paper, else the plan's assumption."""
    if row.r_pre_post is not None:
        return row.r_pre_post
    if choice_r is not None:
        return choice_r
    for assumed in claim.plan.pre_post_r:
        if plan.outcome_group.startswith(assumed.outcome):
            return assumed.value
    raise SchemaError(
        f"{claim.id}: analysis {plan.id!r} needs a pre-post correlation and the plan states none",
        [f"{row.at}  {row.effect_id} states none either"],
        remedy=f"add [[plan.pre_post_r]] with outcome = {plan.outcome_group!r} and its source",
    )


def _estimates(
    claim: Claim,
    plan: Analysis,
    extraction: Extraction,
    rows: Sequence[EffectRow],
    choice: _Choice,
) -> tuple[Estimate, ...]:
    made = []
    for row in rows:
        needs_r = ROUTES[row.route].needs_r(plan.standardiser)
        r = correlation_for(claim, plan, row, choice.r) if needs_r else None
        made.append(
            estimate(
                row,
                extraction.study(row.study_id),
                r=r,
                standardiser=plan.standardiser,
                heteroscedastic=choice.heteroscedastic,
            )
        )
    return _with_unique_labels(made)


def _with_unique_labels(estimates: Sequence[Estimate]) -> tuple[Estimate, ...]:
    """A label names one estimate: what tells a study's rows apart joins it, else the row's id."""
    by_label: dict[str, list[Estimate]] = {}
    for e in estimates:
        by_label.setdefault(e.label, []).append(e)
    return tuple(
        replace(e, label=f"{e.label} ({_what_tells_apart(e, by_label[e.label])})")
        if len(by_label[e.label]) > 1
        else e
        for e in estimates
    )


def _what_tells_apart(estimate: Estimate, alike: Sequence[Estimate]) -> str:
    for column in ("outcome", "timepoint", "exercise", "name_1", "contrast"):
        values = [str(getattr(e.row, column)) for e in alike]
        if all(values) and len(set(values)) == len(values):
            return str(getattr(estimate.row, column))
    return estimate.row.effect_id


def _refuse_shared_people(plan: Analysis, estimates: Sequence[Estimate]) -> None:
    """Two rows on the same people in one pool would count them twice."""
    ids = {e.row.effect_id: e for e in estimates}
    clashes = [
        f"{e.row.at}  {e.row.effect_id} shares people with {other}"
        for e in estimates
        for other in e.row.dependent_with
        if other in ids
    ]
    if clashes:
        raise SchemaError(
            f"analysis {plan.id!r} would count the same people twice",
            clashes,
            remedy="give one of the rows the role `sensitivity` or `context`",
        )


def effects_of(plan: Analysis, estimates: Sequence[Estimate]) -> Effects:
    """The estimates as the statistics package takes them."""
    return given(
        np.array([e.yi for e in estimates]),
        np.array([e.vi for e in estimates]),
        study=[e.label for e in estimates],
        cluster=[e.study.study_id for e in estimates],
        measure=plan.measure,
    )


def _pooled(plan: Analysis, estimates: Sequence[Estimate], **changes: str) -> PooledEffect:
    choices = {"model": plan.model, "tau2": plan.tau2, "ci": plan.interval, **changes}
    return pool(effects_of(plan, estimates), level=plan.level, **choices)


def _pool_or_say_why(
    plan: Analysis,
    estimates: Sequence[Estimate],
    unusable: Sequence[tuple[EffectRow, str]],
) -> tuple[PooledEffect | None, PooledEffect | None, str]:
    k = len(estimates)
    if k == 0:
        without = len({row.study_id for row, _ in unusable if row.role == "primary"})
        known = (
            f"; {_studies(without)} {'is' if without == 1 else 'are'} known without usable numbers"
            if without
            else ""
        )
        return None, None, f"no effect size can be computed from what was reported{known}"
    if not plan.pool:
        return None, None, f"shown side by side, not pooled: {plan.note}"
    if k == 1:
        return None, None, "one study: shown as it is, nothing to pool"
    result = _pooled(plan, estimates)
    if k < MINIMUM_TO_POOL:
        return (
            None,
            result,
            "two studies: read the two estimates side by side; their pool is given only as a note",
        )
    return result, None, f"pooled: {result.method()}; {result.ci_reason}"


def _studies(n: int) -> str:
    return f"{n} {'study' if n == 1 else 'studies'}"


def _subgroups(
    plan: Analysis, estimates: Sequence[Estimate]
) -> tuple[tuple[str, str, PooledEffect], ...]:
    """Each level with two or more studies, pooled on its own tau2."""
    found = []
    for column in plan.subgroups:
        levels: dict[str, list[Estimate]] = {}
        for e in estimates:
            levels.setdefault(str(getattr(e.row, column) or "not stated"), []).append(e)
        if len(levels) < 2:
            continue
        found += [
            (column, level, _pooled(plan, members))
            for level, members in levels.items()
            if len(members) >= 2
        ]
    return tuple(found)


def _sensitivities(
    claim: Claim,
    plan: Analysis,
    extraction: Extraction,
    numerical: Sequence[EffectRow],
    primary: Sequence[Estimate],
    extra: Sequence[Estimate],
) -> tuple[Sensitivity, ...]:
    """The analysis once more for each planned change, as far as the rows allow it."""
    if not plan.pool:
        return ()
    done: list[Sensitivity] = []

    def again(name: str, kind: str, estimates: Sequence[Estimate], **changes: str) -> None:
        k = len(estimates)
        if k >= 2:
            done.append(Sensitivity(name, kind, k, _pooled(plan, estimates, **changes)))
        else:
            done.append(Sensitivity(name, kind, k, None, f"{_studies(k)} left: nothing to pool"))

    for kind in plan.sensitivity:
        if kind == "all-rows":
            if extra:
                together = _one_row_a_group_of_people([*primary, *extra])
                again("with the sensitivity rows", kind, together)
            continue
        if len(primary) < 2:
            continue
        if kind == "leave-one-out":
            if len(primary) >= MINIMUM_TO_POOL:
                for left_out in primary:
                    rest = [e for e in primary if e is not left_out]
                    again(f"without {left_out.label}", kind, rest)
        elif kind == "pre-post-r":
            for r in _other_correlations(claim, plan):
                rows = _role(numerical, "primary")
                changed = _estimates(claim, plan, extraction, rows, _Choice(r=r))
                again(f"pre-post r = {show(r)} where assumed", kind, changed)
        elif kind == "heteroscedastic-variance":
            rows = _role(numerical, "primary")
            changed = _estimates(claim, plan, extraction, rows, _Choice(heteroscedastic=True))
            again("variance for unequal SDs", kind, changed)
        elif kind == "fully-reported":
            again("fully reported rows only", kind, [e for e in primary if e.row.tier == "A"])
        elif kind == "common-effect":
            again("common-effect model", kind, primary, model="common")
        elif kind == "tau2-dl":
            again("τ² by DerSimonian-Laird", kind, primary, tau2="DL")
        elif kind == "tau2-pm":
            again("τ² by Paule-Mandel", kind, primary, tau2="PM")
        elif kind == "wald":
            again("Wald interval", kind, primary, ci="Wald")
    return tuple(done)


def _other_correlations(claim: Claim, plan: Analysis) -> tuple[float, ...]:
    for assumed in claim.plan.pre_post_r:
        if plan.outcome_group.startswith(assumed.outcome):
            return assumed.sensitivity
    return ()


def _one_row_a_group_of_people(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Keep the first of rows that share people: primary rows come first."""
    kept: list[Estimate] = []
    for e in estimates:
        taken = {k.row.effect_id for k in kept}
        studies = {k.study.study_id for k in kept}
        if not taken.intersection(e.row.dependent_with) and e.study.study_id not in studies:
            kept.append(e)
    return kept
