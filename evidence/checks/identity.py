"""Who is who: names that must exist, people counted twice, sources that must be there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from evidence.checks.registry import Finding, about_row, check
from evidence.claims import Claim
from evidence.model import EffectRow, Extraction, Study
from evidence.routes import ROUTES


@check("names", looks_for="a row that names an unknown study, analysis or route")
def unknown_names(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    studies = {s.study_id for s in extraction.studies}
    analyses = [a.id for a in claim.plan.analyses]
    for row in extraction.effects:
        if row.study_id not in studies:
            yield about_row(
                "names",
                "error",
                row,
                f"study {row.study_id!r} is not in studies.csv",
                "add the study, or correct the name",
            )
        if row.analysis and row.analysis not in analyses:
            yield about_row(
                "names",
                "error",
                row,
                f"analysis {row.analysis!r} is none of the plan's: {', '.join(analyses)}",
                f"correct the name, or add the analysis to queries/{claim.id}.toml",
            )
        if row.route not in ROUTES:
            yield about_row(
                "names",
                "error",
                row,
                f"route {row.route!r} is none of: {', '.join(ROUTES)}",
                "correct the name",
            )


@check(
    "source", looks_for="a number without an address or a place, or not read in the paper itself"
)
def missing_sources(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for row in extraction.effects:
        empty = [name for name in ("source_url", "locator") if not getattr(row, name)]
        if empty:
            yield about_row(
                "source",
                "error",
                row,
                f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty",
                "say where the number stands, so that a reader can find it",
            )
        if _gives_a_number(row) and not row.source_kind.startswith("primary"):
            yield about_row(
                "source",
                "note",
                row,
                f"the numbers come from a {row.source_kind}, not from the paper itself",
                "compare them with the paper's own table when it is at hand",
            )


def _gives_a_number(row: EffectRow) -> bool:
    return row.role != "context" and row.route in ROUTES and ROUTES[row.route].numerical


@check("duplicates", looks_for="two studies with the same PMID, DOI, PMCID or registration")
def duplicate_studies(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    for column in ("pmid", "doi", "pmcid", "registry"):
        holders: dict[str, list[Study]] = defaultdict(list)
        for study in extraction.studies:
            if value := getattr(study, column):
                holders[value.casefold()].append(study)
        for value, studies in holders.items():
            first, *others = studies
            for other in others:
                if {first.study_id, other.study_id} & {first.same_as, other.same_as}:
                    continue
                yield Finding(
                    "duplicates",
                    "warning",
                    other.at,
                    other.study_id,
                    f"has the {column} of {first.study_id} ({value})",
                    "name one in same_as of the other, so that their people count once",
                )


@check("same author", looks_for="two studies of one first author and year that may be one study")
def same_author_and_year(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    groups: dict[tuple[str, int], list[Study]] = defaultdict(list)
    for study in extraction.studies:
        if study.first_author and study.year and study.same_as is None:
            groups[study.first_author.casefold(), study.year].append(study)
    for first, *others in groups.values():
        for other in others:
            yield Finding(
                "same author",
                "note",
                other.at,
                other.study_id,
                f"has the first author and the year of {first.study_id}",
                "look whether they are one study; if so, name it in same_as",
            )


@check(
    "dependence",
    looks_for="primary rows of one analysis that share people, unless its plan handles them",
)
def shared_people(claim: Claim, extraction: Extraction) -> Iterator[Finding]:
    same_as = {s.study_id: s.same_as or s.study_id for s in extraction.studies}
    handled = {a.id for a in claim.plan.analyses if a.dependent != "refuse"}
    by_analysis: dict[str, list[EffectRow]] = defaultdict(list)
    for row in extraction.effects:
        if row.role == "primary" and _gives_a_number(row):
            by_analysis[row.analysis].append(row)
    for rows in by_analysis.values():
        for a, b in combinations(rows, 2):
            declared = b.effect_id in a.dependent_with or a.effect_id in b.dependent_with
            if declared and b.analysis not in handled:
                yield about_row(
                    "dependence",
                    "error",
                    b,
                    f"shares people with {a.effect_id}, and both are primary in {b.analysis!r}",
                    "give one of them the role `sensitivity` or `context`, or plan how such rows "
                    "are handled (`dependent` in the claim file)",
                )
            elif declared:
                continue
            elif same_as.get(a.study_id, a.study_id) == same_as.get(b.study_id, b.study_id):
                if b.analysis in handled:
                    if a.study_id == b.study_id:
                        yield about_row(
                            "dependence",
                            "note",
                            b,
                            f"is of the study of {a.effect_id} and not in its dependent_with: "
                            f"{b.analysis!r} takes them as separate people",
                            "if they share people, say so in dependent_with",
                        )
                    continue
                yield about_row(
                    "dependence",
                    "warning",
                    b,
                    f"is of the study of {a.effect_id}, and both are primary in {b.analysis!r}",
                    "if they share people, say so in dependent_with and keep one of them primary",
                )
