"""A claim's extractions in, pooled effects out, each with the reason for what was done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evidence import dependence
from evidence.claims import Analysis, Claim
from evidence.directions import of_question
from evidence.errors import NotConverged, SchemaError
from evidence.model import AnalysisResult, EffectRow, Estimate, Extraction, Sensitivity
from evidence.robustness import robustness
from evidence.routes import ROUTES, estimate
from meta.results import PooledEffect, show

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
    if plan.dependent == "refuse":
        dependence.refuse_shared_people(plan, primary)
    result, note_only, reason = _pool_or_say_why(plan, primary, unusable)
    pooled = result or note_only
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
        dependence=dependence.told(plan, primary, pooled) if primary else None,
        robustness=robustness(claim, plan, primary, result) if result is not None else (),
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


def _pool_or_say_why(
    plan: Analysis,
    estimates: Sequence[Estimate],
    unusable: Sequence[tuple[EffectRow, str]],
) -> tuple[PooledEffect | None, PooledEffect | None, str]:
    if not estimates:
        without = len({row.study_id for row, _ in unusable if row.role == "primary"})
        known = (
            f"; {_studies(without)} of this question "
            f"{'is' if without == 1 else 'are'} known without usable numbers"
            if without
            else ""
        )
        return None, None, f"no effect size can be computed from what was reported{known}"
    if not plan.pool:
        return None, None, f"shown side by side, not pooled: {plan.note}"
    if len(estimates) == 1:
        return None, None, "one study: shown as it is, nothing to pool"
    k = len(dependence.independent(plan, estimates))
    if k == 1:
        return None, None, "all rows are on the same people: shown as they are, nothing to pool"
    result = dependence.pooled(plan, estimates)
    if k == len(estimates) < MINIMUM_TO_POOL:
        return (
            None,
            result,
            "two studies: read the two estimates side by side; their pool is given only as a note",
        )
    if k < MINIMUM_TO_POOL:
        return (
            None,
            result,
            f"{len(estimates)} estimates of two groups of people: read them side by side; their "
            "pool is given only as a note",
        )
    return result, None, f"pooled: {dependence.method(plan, result)}; {result.ci_reason}"


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
            (column, level, dependence.pooled(plan, members))
            for level, members in levels.items()
            if len(dependence.independent(plan, members)) >= 2
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
    done += _other_rhos(plan, primary)

    def again(name: str, kind: str, estimates: Sequence[Estimate], **changes: Any) -> None:
        k = len(dependence.independent(plan, estimates))
        if k >= 2:
            done.append(_once_more(plan, estimates, name, kind, **changes))
        else:
            done.append(Sensitivity(name, kind, k, None, f"{_studies(k)} left: nothing to pool"))

    for kind in plan.sensitivity:
        if kind == "all-rows":
            if extra:
                together = [*primary, *extra]
                if plan.dependent == "refuse":
                    together = _one_row_a_group_of_people(together)
                again("with the sensitivity rows", kind, together)
            continue
        if len(primary) < 2:
            continue
        if kind == "leave-one-out":
            groups = dependence.independent(plan, primary)
            if len(groups) >= MINIMUM_TO_POOL:
                names = dependence.unit_labels(groups)
                for left_out, label in zip(groups, names, strict=True):
                    rest = [e for e in primary if e not in left_out]
                    again(f"without {label}", kind, rest)
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


def _other_rhos(plan: Analysis, primary: Sequence[Estimate]) -> Iterator[Sensitivity]:
    """The pool of rows on the same people with its other interval and other correlations."""
    if plan.dependent == "refuse" or len(dependence.independent(plan, primary)) < MINIMUM_TO_POOL:
        return
    k = len(primary)
    found = dependence.pooled(plan, primary)
    if isinstance(found, dependence.ThreeLevelPool):
        robust = dependence.with_robust_interval(found)
        yield Sensitivity(f"{dependence.ROBUST} interval", "cluster-robust", k, robust)
    for rho in plan.rho_sensitivity:
        name = f"rho = {show(rho)} between rows on the same people"
        yield _once_more(plan, primary, name, "rho", rho=rho)


def _once_more(
    plan: Analysis, estimates: Sequence[Estimate], name: str, kind: str, **changes: Any
) -> Sensitivity:
    """The pool with a choice changed; where a model finds no end, the words for it."""
    try:
        found = dependence.pooled(plan, estimates, **changes)
    except NotConverged as fault:
        return Sensitivity(name, kind, len(estimates), None, f"no result: {fault.problem}")
    return Sensitivity(name, kind, len(estimates), found)


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
