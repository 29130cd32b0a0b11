"""Claims, counts and pooled effects in, evidence tables out: rows for CSV and objects for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import pandas as pd

from evidence import dependence
from evidence.model import AnalysisResult, Dependence, Estimate, EvidenceRow
from meta.measures.registry import measure_named
from meta.results import PooledEffect


def finite(value: float | None) -> float | None:
    """JSON knows no NaN: what is undefined is null."""
    return None if value is None or not math.isfinite(value) else float(value)


def interval(estimate: Estimate, level: float) -> tuple[float, float]:
    """The Wald interval of one study on the analysis scale."""
    return wald(estimate.yi, estimate.vi, level)


def wald(yi: float, vi: float, level: float) -> tuple[float, float]:
    """The Wald interval of an effect with a known variance."""
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(vi)
    return yi - half, yi + half


def pool_json(analysis: AnalysisResult) -> dict[str, Any]:
    """One analysis for a machine: the object that ``evidence pool CLAIM --json`` prints.

    On the analysis scale; null for what is undefined. A single study is given as it is; of two,
    the pool is given with a reason that calls it a note.
    """
    plan = analysis.plan
    base: dict[str, Any] = {
        "analysis": plan.id,
        "measure": plan.measure,
        "scale": measure_named(plan.measure).scale,
        "k": len(analysis.estimates),
        "estimate": None,
        "se": None,
        "ci": None,
        "prediction": None,
        "tau2": None,
        "i2": None,
        "q": None,
        "method": None,
        "reason": analysis.reason,
        "rows": [e.row.effect_id for e in analysis.estimates],
    }
    if analysis.dependence is not None:
        base["dependence"] = _dependence(analysis.dependence)
    result = analysis.result or analysis.note_only
    if result is not None:
        return base | _numbers(result) | {"method": dependence.method(plan, result)}
    if len(analysis.estimates) == 1:
        (only,) = analysis.estimates
        return base | {
            "estimate": only.yi,
            "se": math.sqrt(only.vi),
            "ci": list(interval(only, plan.level)),
            "method": "single study, Wald",
        }
    return base


def _robustness(analysis: AnalysisResult) -> dict[str, Any]:
    """How the pool holds, look by look; nothing where nothing is pooled."""
    if not analysis.robustness:
        return {}
    return {
        "robustness": [
            {
                "look": part.key,
                "finding": part.finding,
                "computed": part.computed,
                "notes": list(part.notes),
                "rows": [dict(line) for line in part.data],
            }
            for part in analysis.robustness
        ]
    }


def _dependence(found: Dependence) -> dict[str, Any]:
    """How rows on the same people were handled, with the cluster-robust numbers beside."""
    return {
        "dependent": found.way,
        "rho": found.rho,
        "rho_source": found.source,
        "independent": found.independent,
        "rows_on_the_same_people": [list(group) for group in found.sharing],
        "cluster_robust": None if found.robust is None else _numbers(found.robust),
    }


def _numbers(result: PooledEffect) -> dict[str, Any]:
    return {
        "estimate": finite(result.estimate),
        "se": finite(result.se),
        "ci": [finite(bound) for bound in result.ci],
        "prediction": None
        if result.prediction is None
        else [finite(bound) for bound in result.prediction],
        "tau2": finite(result.tau2),
        "i2": finite(result.i2),
        "q": finite(result.q),
        "method": result.method(),
    }


def evidence_table(row: EvidenceRow) -> pd.DataFrame:
    """Every result of a claim, a line each, numerical or not, in the order of the data file."""
    numerical = {
        estimate.row.effect_id: (analysis, estimate)
        for analysis in row.analyses
        for estimate in (*analysis.estimates, *analysis.extra)
    }
    weights: dict[str, float] = {}
    units: dict[str, tuple[str, ...]] = {}
    for analysis in row.analyses:
        weights |= dependence.weights(analysis)
        if analysis.dependence is not None:
            units |= {r: unit for unit in analysis.dependence.units for r in unit if len(unit) > 1}
    reasons = {r.effect_id: why for a in row.analyses for r, why in a.unusable}
    lines = []
    for effect in row.extraction.effects:
        study = row.extraction.study(effect.study_id)
        line: dict[str, Any] = {
            "effect_id": effect.effect_id,
            "study_id": study.study_id,
            "study": study.label,
            "pmid": study.pmid,
            "doi": study.doi,
            "link": study.link,
            "design": study.design,
            "population": study.population,
            "analysis": effect.analysis,
            "role": effect.role,
            "tier": effect.tier,
            "outcome": effect.outcome,
            "contrast": effect.contrast,
            "timepoint": effect.timepoint,
            "direction": effect.direction,
            "reported_significant": effect.reported_significant,
            "measure": None,
            "n": None,
            "yi": None,
            "vi": None,
            "ci_low": None,
            "ci_high": None,
            "weight": weights.get(effect.effect_id),
            "derivation": None,
            "assumptions": effect.assumption or None,
            "not_used_because": reasons.get(effect.effect_id),
            "source": effect.source_url,
            "place_in_source": effect.locator,
            "row": str(effect.at),
        }
        if effect.effect_id in numerical:
            analysis, estimate = numerical[effect.effect_id]
            low, high = interval(estimate, analysis.plan.level)
            line |= {
                "measure": analysis.plan.measure,
                "n": estimate.n,
                "yi": estimate.yi,
                "vi": estimate.vi,
                "ci_low": low,
                "ci_high": high,
                "derivation": estimate.derivation,
                "assumptions": "; ".join(estimate.assumptions) or None,
            }
        if units:  # their weight is that of the whole
            others = [r for r in units.get(effect.effect_id, ()) if r != effect.effect_id]
            line["combined_with"] = "; ".join(others) or None
        lines.append(line)
    return pd.DataFrame(lines).astype({"n": "Int64"}) if lines else pd.DataFrame()


def evidence_csv(row: EvidenceRow) -> str:
    """The evidence table as CSV: six significant digits, empty where nothing is defined."""
    return evidence_table(row).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def evidence_json(row: EvidenceRow) -> dict[str, Any]:
    """A claim for a machine: verdict, counts, analyses, table and search runs."""
    claim, counts = row.claim, row.counts
    table = evidence_table(row)
    return {
        "claim": claim.id,
        "statement": claim.statement,
        "version": claim.version,
        "verdict": {
            "level": row.verdict.level,
            "headline": row.verdict.headline,
            "sentence": row.verdict.sentence,
            "caveats": list(row.verdict.caveats),
        },
        "counts": {
            "found": counts.found,
            "screened": counts.screened,
            "included": counts.included,
            "to_screen": counts.to_screen,
            "studies_known": counts.studies_known,
            "studies_contributing": counts.studies_contributing,
            "results_missing": counts.results_missing,
            "people_in_primary_analysis": counts.people,
        },
        "analyses": [
            pool_json(a)
            | {
                "question": a.plan.question,
                "decides": a.plan.decides,
                "sensitivity": [
                    {"name": s.name, "k": s.k, "reason": s.reason or None}
                    | (_numbers(s.result) if s.result is not None else {})
                    for s in a.sensitivities
                ],
            }
            | _robustness(a)
            for a in row.analyses
        ],
        "risk_of_bias": "not assessed" if not row.extraction.risk_of_bias else "see the data file",
        "certainty": "not rated",
        "rows": [
            {key: None if pd.isna(value) else value for key, value in line.items()}
            for line in table.astype(object).to_dict("records")
        ],
        "published": [
            {
                "id": p.pooled_id,
                "meta_analysis": p.meta_analysis,
                "question": p.question,
                "measure": p.measure,
                "estimate": p.estimate,
                "ci": None if p.ci_low is None else [p.ci_low, p.ci_high],
                "source": p.source_url,
                "row": str(p.at),
            }
            for p in row.extraction.published
        ],
        "known_records": [
            {
                "pmid": k.pmid,
                "status": k.status,
                "checked": None if k.checked is None else k.checked.isoformat(),
            }
            for k in claim.search.known
        ],
        "searches": [
            {
                "source": run.source,
                "date": run.ran_on.isoformat(),
                "kind": run.kind,
                "query": run.query,
                "translation": run.translation,
                "count": run.count,
                "warnings": list(run.warnings),
                "complete": run.complete,
                "basis": run.basis or None,
            }
            for run in row.runs
        ],
        "sources": [
            {
                "source": given.label,
                "kind": given.kind,
                "date": None if given.on is None else given.on.isoformat(),
                "identified": given.identified,
                "duplicates": given.duplicates,
                "added": given.added,
                "left_out": given.apart,
                "basis": given.basis or None,
            }
            for given in row.flow
        ],
        "retracted": [s.study_id for s in row.retracted],
        "notices": list(row.notices),
    }


def summary_lines(rows: Sequence[EvidenceRow]) -> pd.DataFrame:
    """All claims at a glance, a line each."""
    return pd.DataFrame(
        [
            {
                "claim": row.claim.id,
                "verdict": row.verdict.headline,
                "k": len(row.primary.estimates),
                "people": row.counts.people,
                "studies_known": row.counts.studies_known,
                "studies_contributing": row.counts.studies_contributing,
                "results_missing": row.counts.results_missing,
            }
            for row in rows
        ]
    )
