"""Invented claims and studies for the tests of the site; none of them exists.

They cover what pages have to say: a pool of five with its prediction interval, two side by side,
one alone, none with a reason, direction only, a retraction, a claim never searched and one with a
reading order, long titles, diacritics, and a title that tries to be a script.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evidence.claims import Claim
from evidence.directions import count_directions
from evidence.model import (
    AnalysisResult,
    Counts,
    DirectionCount,
    EffectRow,
    Estimate,
    EvidenceRow,
    Extraction,
    Place,
    PublishedResult,
    Record,
    RiskOfBias,
    Screening,
    SearchRun,
    Sensitivity,
    Study,
)
from evidence.site import Figure
from evidence.verdict import judge
from meta.measures import measure_named
from meta.results import Effects, PooledEffect, show

DAY = dt.date(2026, 3, 12)
SCRIPT = '<script>alert("sleep")</script> & other ways to fall asleep'
LONG = (
    "Feasibility, acceptability and preliminary effects of a supervised, progressively adapted "
    "twelve-week evening walking programme on objectively measured sleep efficiency in "
    "community-dwelling adults aged sixty-five and over: a three-arm, assessor-blinded pilot trial"
)

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="480pt"
 height="150pt" viewBox="0 0 480 150"><metadata>made by nobody</metadata>
<defs><style>*{stroke-linejoin: round}</style>
<clipPath id="c1"><rect width="480" height="150"/></clipPath>
<path id="box" d="M-4 -4H4V4H-4Z"/></defs>
<g clip-path="url(#c1)" font-family="sans-serif" font-size="11"><text x="8" y="20">Study</text>
<line x1="240" x2="240" y1="25" y2="130" stroke="#888" stroke-dasharray="3 3"/>
<use xlink:href="#box" x="290" y="50"/><use xlink:href="#box" x="310" y="75"/>
<a xlink:href="https://pubmed.ncbi.nlm.nih.gov/90000001/"><text x="8" y="54">Öztürk 2011</text></a>
<text x="8" y="79">Nováková 2014</text>
<path d="M270 105L300 98L330 105L300 112Z" fill="#0072B2"/></g>
</svg>"""


def _blank(cls: type, **given: Any) -> Any:
    """An instance with every field that is not given empty: text "", anything else None."""
    values = {
        f.name: "" if f.type in ("str", str) else None
        for f in dataclasses.fields(cls)
        if f.name not in given
    }
    return cls(**values, **given)


def study(claim: str, line: int, **given: Any) -> Study:
    author, year = given["first_author"], given["year"]
    base = {
        "study_id": f"{author.replace(' ', '')}{year}",
        "pmid": str(90000000 + line),
        "design": "randomised trial",
        "species": "human",
        "source_url": f"https://example.org/papers/{line}",
        "at": Place(f"extracted/{claim}/studies.csv", line),
    }
    return _blank(Study, **{**base, **given})


def effect(claim: str, line: int, of: Study, **given: Any) -> EffectRow:
    base = {
        "effect_id": f"{of.study_id}_{line}",
        "study_id": of.study_id,
        "role": "primary",
        "tier": "A",
        "route": "post_means",
        "direction": "positive",
        "reported_significant": "unknown",
        "dependent_with": (),
        "source_kind": "primary-table",
        "source_url": of.source_url,
        "locator": "Table 2",
        "at": Place(f"extracted/{claim}/effects.csv", line),
    }
    return _blank(EffectRow, **{**base, **given})


def estimate(row: EffectRow, of: Study, yi: float, vi: float, n: int, **given: Any) -> Estimate:
    base = {
        "label": of.label,
        "metric": "raw SD",
        "r": None,
        "derivation": (
            f"d = (84.1 − 80.2) / 6.90 = 0.565; J = 1 − 3/(4 × {n - 2} − 1); "
            f"yi = {show(yi, 4)}; vi = {show(vi, 4)}"
        ),
        "assumptions": (),
    }
    return Estimate(row=row, study=of, n=n, yi=yi, vi=vi, **{**base, **given})


def pooled(
    measure: str, labels: Sequence[str], yi: Sequence[float], vi: Sequence[float], **given: Any
) -> PooledEffect:
    """A DerSimonian-Laird pool worked out here, so that the site is tested without the pooling."""
    y, v = np.array(yi, dtype=float), np.array(vi, dtype=float)
    k = len(y)
    w = 1 / v
    q = float(np.sum(w * (y - np.sum(w * y) / w.sum()) ** 2))
    tau2 = max(0.0, (q - (k - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (v + tau2)
    mid, se = float(np.sum(w * y) / w.sum()), float(w.sum() ** -0.5)
    near, far = (mid - 1.96 * se, mid + 1.96 * se), (mid - 2.78 * se, mid + 2.78 * se)
    wide = 3.18 * math.sqrt(tau2 + se**2)
    known = measure_named(measure)
    base: dict[str, Any] = {
        "effects": Effects(known, tuple(labels), y, v, tuple(labels)),
        "model": "random",
        "weights": w / w.sum(),
        "estimate": mid,
        "se": se,
        "ci": far if k >= 3 else near,
        "ci_method": "Knapp-Hartung" if k >= 3 else "Wald",
        "ci_reason": "three or more estimates and τ² above zero" if k >= 3 else "two estimates",
        "wald_ci": near,
        "knapp_hartung_ci": far,
        "statistic": mid / se,
        "df": float(k - 1) if k >= 3 else None,
        "p": 0.0123,
        "level": 0.95,
        "prediction": (mid - wide, mid + wide) if k >= 3 else None,
        "prediction_df": float(k - 2) if k >= 3 else None,
        "prediction_method": "t with k − 2" if k >= 3 else "",
        "tau2": tau2,
        "tau2_se": 0.02,
        "tau2_ci": (0.0, 4 * tau2 + 0.1),
        "tau2_method": "DL",
        "q": q,
        "q_df": k - 1,
        "q_p": 0.08,
        "i2": max(0.0, (q - (k - 1)) / q),
        "h2": q / (k - 1),
    }
    return PooledEffect(**{**base, **given})


def analysis(ident: str, title: str, **given: Any) -> dict[str, Any]:
    base = {
        "id": ident,
        "title": title,
        "question": f"{title}: what is the difference, compared with usual habits?",
        "design": "between groups",
        "measure": "SMD",
        "standardiser": "raw SD",
        "decides": True,
        "outcome_group": "sleep",
        "left": "worse sleep",
        "right": "better sleep",
    }
    return base | given


def claim(
    ident: str, title: str, statement: str, *, primary: str, analyses: Sequence[dict], **plan: Any
) -> Claim:
    return Claim.model_validate(
        {
            "id": ident,
            "title": title,
            "statement": statement,
            "version": "1",
            "review": "An invented review of habits and sleep (2025)",
            "rests_on": [
                {
                    "authors": "Dvořák & Ångström",
                    "year": 2009,
                    "pmid": "90000999",
                    "says": "reports better sleep in walkers than in sitters",
                    "source": "abstract",
                }
            ],
            "pico": {
                "population": "healthy adults aged 18 to 65 years",
                "intervention": "walking outdoors for at least 30 minutes on five evenings a week",
                "comparator": "usual habits, or stretching at home",
                "outcome": "sleep efficiency by actigraphy after eight weeks or more",
            },
            "eligibility": {
                "include": ["randomised and controlled trials", "sleep measured by actigraphy"],
                "exclude": ["sleep clinics", "programmes shorter than four weeks"],
            },
            "search": {
                "written": dt.date(2026, 2, 1),
                "blocks": {
                    "walking": {
                        "about": "the habit",
                        "lines": [
                            {"terms": "walking[mh] OR walk*[tiab]", "why": "the plain words"},
                            {"terms": '"evening exercise"[tiab:~3]', "why": "near in either order"},
                        ],
                    },
                    "sleep": {
                        "about": "the outcome",
                        "lines": [
                            {"terms": "sleep[mh] OR actigraph*[tiab]", "why": "measured or named"},
                        ],
                    },
                },
                "filters": {
                    "animals_only": {
                        "about": "takes out records on animals alone",
                        "source": "own",
                        "lines": [
                            {"terms": "animals[mh] NOT humans[mh]", "why": "keeps the unindexed"}
                        ],
                    }
                },
                "combine": "#walking AND #sleep NOT #animals_only",
                "limits": "none: no date, no language",
                "peer_review": "none yet",
                "known": [
                    {
                        "pmid": "90000002",
                        "cite": "Öztürk 2011",
                        "status": "found",
                        "checked": dt.date(2026, 3, 1),
                        "source": "reference list",
                    },
                    {
                        "pmid": "90000777",
                        "cite": "Łukasik 2018",
                        "status": "not yet verified",
                        "source": "reference list",
                    },
                ],
            },
            "plan": {
                "written": dt.date(2026, 2, 2),
                "after_data_seen": True,
                "statement": "the plan was written after the founding collection had been read",
                "primary": primary,
                "supports": "positive",
                "smallest_effect": {"source": "the field names none"},
                "preference": {
                    "timepoints": ["eight weeks", "the last"],
                    "matrices_or_regions": [],
                    "arms": ["the longest walk"],
                    "statistics": ["means and SDs", "exact p"],
                },
                "pre_post_r": [
                    {
                        "outcome": "sleep",
                        "value": 0.6,
                        "sensitivity": [0.4, 0.8],
                        "source": "Öztürk 2011 implies 0.58",
                    }
                ],
                "analyses": list(analyses),
                **plan,
            },
        }
    )


def result(of: Claim, ident: str, **given: Any) -> AnalysisResult:
    plan = next(a for a in of.plan.analyses if a.id == ident)
    base: dict[str, Any] = {"estimates": (), "extra": (), "unusable": (), "result": None}
    return AnalysisResult(plan=plan, **{**base, **given})


NO_DIRECTIONS: DirectionCount = count_directions([])


def walking() -> EvidenceRow:
    """Five pooled, one retracted, a single pre-post study, and an analysis without numbers."""
    name = "walking-sleep"
    of = claim(
        name,
        "Evening walks and sleep",
        "Walking outdoors in the evening improves how efficiently healthy adults sleep.",
        primary="trials",
        analyses=[
            analysis(
                "trials",
                "Evening walks against usual habits",
                subgroups=("exercise",),
                sensitivity=("leave-one-out", "pre-post-r", "tau2-pm"),
            ),
            analysis(
                "before-after",
                "Before and after, walkers only",
                design="pre-post, one arm",
                measure="SMCC",
                standardiser="change SD",
                decides=False,
            ),
            analysis("other-exercise", "Evening walks against other exercise"),
        ],
        missing=["sleep after twelve weeks, registered by three trials and published by none"],
    )
    who = [
        ("Öztürk", 2011, "Evening walks and actigraphy in shift workers", 0.46, 0.061, 66),
        ("Nováková", 2014, LONG, 0.33, 0.034, 118),
        ("García-Suárez", 2016, SCRIPT, 0.92, 0.090, 48),
        ("O’Sullivan", 2019, "Walking home: a trial in Cork", 0.24, 0.025, 160),
        ("Trần", 2023, "Đi bộ buổi tối và giấc ngủ: a randomised trial", 0.55, 0.048, 88),
    ]
    studies = [
        study(
            name,
            i + 2,
            first_author=a,
            year=y,
            title=t,
            n_total=n + (4 if i == 1 else 0),
            journal="Journal of Invented Sleep",
            population="healthy adults, 60% women",
        )
        for i, (a, y, t, _, _, n) in enumerate(who)
    ]
    withdrawn = study(
        name,
        7,
        first_author="Fálki",
        year=2020,
        title="Sleep without effort",
        n_total=40,
        pmid=None,
        doi="10.5555/invented.7",
    )
    single = study(
        name,
        8,
        first_author="Bjørnsen",
        year=2012,
        title="Six weeks of walking",
        n_total=19,
        design="one group, before and after",
    )
    quiet = study(
        name,
        9,
        first_author="Wu",
        year=2021,
        n_total=55,
        pmid=None,
        title="Walking or cycling?",
        source_url="javascript:alert(1)",
    )
    unread = study(name, 10, first_author="Çelik", year=2024, title="A protocol", n_total=None)
    effects = [
        effect(
            name,
            i + 2,
            s,
            analysis="trials",
            outcome="sleep efficiency",
            contrast="walk − usual",
            timepoint="8 weeks",
            exercise="brisk" if i % 2 else "easy",
            n_1=who[i][5] // 2,
        )
        for i, s in enumerate(studies)
    ]
    again = effect(
        name,
        7,
        studies[0],
        analysis="trials",
        role="sensitivity",
        tier="B",
        outcome="sleep efficiency",
        timepoint="16 weeks",
        locator="",
        assumption="SD taken from the 8-week table",
    )
    gone = effect(name, 8, withdrawn, analysis="trials", outcome="sleep efficiency")
    before = effect(
        name,
        9,
        single,
        analysis="before-after",
        route="paired_t",
        tier="B",
        outcome="sleep efficiency",
        notes="t read from the text of the results",
    )
    silent = effect(
        name,
        10,
        quiet,
        analysis="other-exercise",
        tier="",
        route="direction_only",
        outcome="sleep efficiency",
        direction="unknown",
        reported_significant="no",
        p_text=">0.05",
    )
    apart = effect(
        name,
        11,
        quiet,
        analysis="",
        role="context",
        tier="",
        route="direction_only",
        outcome="mood",
        notes="another outcome of the same trial",
    )
    labels = [s.label for s in studies]
    yi, vi = [w[3] for w in who], [w[4] for w in who]
    estimates = tuple(
        estimate(e, s, w[3], w[4], w[5]) for e, s, w in zip(effects, studies, who, strict=True)
    )
    full = pooled("SMD", labels, yi, vi)
    left_out = tuple(
        Sensitivity(
            f"without {labels[i]}",
            "leave-one-out",
            4,
            pooled("SMD", labels[:i] + labels[i + 1 :], yi[:i] + yi[i + 1 :], vi[:i] + vi[i + 1 :]),
        )
        for i in range(5)
    )
    paired = estimate(
        before,
        single,
        0.61,
        0.07,
        19,
        metric="change SD",
        r=0.6,
        assumptions=("the pre-post correlation is 0.6, as the plan assumes",),
    )
    extra = estimate(
        again,
        studies[0],
        0.31,
        0.065,
        62,
        label="Öztürk 2011 (16 weeks)",
        assumptions=("the SD at 16 weeks equals that at 8 weeks",),
    )
    retraction = "the paper was retracted; it left the analysis"
    analyses = (
        result(
            of,
            "trials",
            estimates=estimates,
            extra=(extra,),
            unusable=((gone, retraction),),
            result=full,
            reason="pooled: random effects",
            directions=count_directions(effects),
            subgroups=(
                ("exercise", "easy", pooled("SMD", labels[::2], yi[::2], vi[::2])),
                ("exercise", "brisk", pooled("SMD", labels[1::2], yi[1::2], vi[1::2])),
            ),
            sensitivities=(
                *left_out,
                Sensitivity("τ² by Paule-Mandel", "tau2-pm", 5, pooled("SMD", labels, yi, vi)),
                Sensitivity(
                    "fully reported rows only",
                    "fully-reported",
                    1,
                    None,
                    "1 study left: nothing to pool",
                ),
            ),
        ),
        result(
            of,
            "before-after",
            estimates=(paired,),
            reason="one study: shown as it is, nothing to pool",
        ),
        result(
            of,
            "other-exercise",
            unusable=((silent, "only the direction was reported"),),
            reason="no effect size can be computed from what was reported",
            directions=count_directions([silent]),
        ),
    )
    everyone = (*studies, withdrawn, single, quiet, unread)
    records = tuple(
        (
            _blank(
                Record,
                pmid=str(91000000 + i),
                title=SCRIPT if i == 1 else f"Walking and rest, part {i}",
                authors=("Ångström Å", "Li X"),
                year=2000 + i % 25,
                journal="Invented Letters",
                mesh=(),
                kinds=(),
                keywords=(),
                version=1,
                retracted=i == 3,
                notices=(),
            ),
            0.98 - 0.013 * i,
        )
        for i in range(60)
    )
    runs = (
        SearchRun(
            name,
            "pubmed",
            dt.date(2026, 2, 3),
            of.search.query(),
            "walking[All Fields]",
            55,
            (),
            True,
        ),
        SearchRun(
            name,
            "pubmed",
            dt.date(2026, 3, 11),
            of.search.query(),
            '"walking"[MeSH Terms] OR "walk*"[Title/Abstract]',
            60,
            ("phrase not found: evening exercise",),
            True,
        ),
    )
    return EvidenceRow(
        claim=of,
        extraction=Extraction(
            name,
            everyone,
            (*effects, again, gone, before, silent, apart),
            screening=(
                Screening(
                    "90000002",
                    "full-text",
                    "founding-collection",
                    "include",
                    "",
                    DAY,
                    Place(f"extracted/{name}/screening.csv", 2),
                ),
                Screening(
                    "90000003",
                    "full-text",
                    "founding-collection",
                    "include",
                    "",
                    DAY,
                    Place(f"extracted/{name}/screening.csv", 3),
                ),
            ),
            risk_of_bias=(),
            published=(
                _blank(
                    PublishedResult,
                    pooled_id="P1",
                    meta_analysis="Rossi 2022",
                    pmid="90000500",
                    question="walks, all settings",
                    k="9",
                    n="712",
                    measure="SMD",
                    estimate=0.44,
                    ci_low=0.20,
                    ci_high=0.68,
                    i2=0.61,
                    model="random effects",
                    source_url="https://example.org/rossi",
                    locator="abstract",
                    comparable=True,
                    at=Place(f"extracted/{name}/published.csv", 2),
                ),
                _blank(
                    PublishedResult,
                    pooled_id="P2",
                    meta_analysis="Yamada 2018",
                    question="any evening exercise",
                    measure="minutes asleep",
                    estimate_text="no pooled number; “most trials favoured exercise”",
                    source_url="https://example.org/yamada",
                    comparable=False,
                    at=Place(f"extracted/{name}/published.csv", 3),
                ),
            ),
        ),
        counts=Counts(60, 0, 2, 60, 9, 6, 3, sum(w[5] for w in who)),
        analyses=analyses,
        directions=count_directions([silent, apart]),
        direction_rows=(gone, silent, apart),
        verdict=judge(of, analyses),
        runs=runs,
        ranking=records,
        ranking_method="likeness to the claim's own protocol",
        retracted=(withdrawn,),
        notices=("the search of 12 March 2026 was incomplete; the state of 11 March 2026 is kept",),
    )


def tea() -> EvidenceRow:
    """Two correlations side by side on Fisher's z, a judged risk of bias, never searched."""
    name = "tea-dreams"
    of = claim(
        name,
        "Tea and dreams",
        "The more tea people drink at night, the more dreams they recall.",
        primary="correlation",
        analyses=[
            analysis(
                "correlation",
                "Cups of tea and dreams recalled",
                design="correlation",
                measure="ZCOR",
                standardiser="none",
                left="fewer dreams with more tea",
                right="more dreams with more tea",
            )
        ],
    )
    studies = [
        study(name, 2, first_author="Þórsdóttir", year=2015, n_total=41, title="Te og draumar"),
        study(
            name,
            3,
            first_author="Müller-Lüdenscheidt",
            year=2020,
            n_total=None,
            pmid=None,
            registry="DRKS00000000",
            title=None,
        ),
    ]
    effects = [
        effect(
            name, i + 2, s, analysis="correlation", route="correlation", outcome="dreams recalled"
        )
        for i, s in enumerate(studies)
    ]
    numbers = [(0.5493, 1 / 38, 41), (-0.1003, 1 / 57, 60)]
    estimates = tuple(
        estimate(e, s, y, v, n, metric="none", derivation=f"z = atanh(r); vi = 1 / ({n} − 3)")
        for e, s, (y, v, n) in zip(effects, studies, numbers, strict=True)
    )
    pair = pooled("ZCOR", [s.label for s in studies], *zip(*[n[:2] for n in numbers], strict=True))
    analyses = (
        result(
            of,
            "correlation",
            estimates=estimates,
            note_only=pair,
            reason="two studies: read the two estimates side by side; their pool is given only "
            "as a note",
        ),
    )
    return EvidenceRow(
        claim=of,
        extraction=Extraction(
            name,
            tuple(studies),
            tuple(effects),
            (),
            (
                RiskOfBias(
                    studies[0].study_id,
                    "",
                    "ROBINS-E",
                    "2023",
                    "confounding",
                    "some concerns",
                    "age was not adjusted for",
                    "A. Reader",
                    DAY,
                    Place(f"extracted/{name}/risk_of_bias.csv", 2),
                ),
            ),
            (),
        ),
        counts=Counts(None, 0, 2, None, 2, 2, 0, 101),
        analyses=analyses,
        directions=NO_DIRECTIONS,
        direction_rows=(),
        verdict=judge(of, analyses),
    )


def light() -> EvidenceRow:
    """One risk ratio, shown as it is; the last search was incomplete."""
    name = "light-naps"
    of = claim(
        name,
        "Bright mornings and naps",
        "Bright light in the morning makes naps less frequent.",
        primary="naps",
        supports="negative",
        analyses=[
            analysis(
                "naps",
                "Bright light against dim light",
                measure="RR",
                standardiser="none",
                left="fewer naps",
                right="more naps",
            )
        ],
    )
    only = study(name, 2, first_author="Ibáñez", year=2017, n_total=90, title="Light at breakfast")
    row = effect(
        name,
        2,
        only,
        analysis="naps",
        route="events",
        outcome="a nap on most days",
        direction="negative",
        reported_significant="yes",
        p_text="<0.05",
    )
    one = estimate(
        row,
        only,
        math.log(0.55),
        0.049,
        90,
        metric="none",
        derivation="log RR = ln((18/45) / (33/45)); vi = 1/18 − 1/45 + 1/33 − 1/45",
    )
    analyses = (result(of, "naps", estimates=(one,), reason="one study: shown as it is"),)
    return EvidenceRow(
        claim=of,
        extraction=Extraction(name, (only,), (row,), (), (), ()),
        counts=Counts(12, 0, 1, 12, 1, 1, 0, 90),
        analyses=analyses,
        directions=NO_DIRECTIONS,
        direction_rows=(),
        verdict=judge(of, analyses),
        runs=(
            SearchRun(
                name,
                "pubmed",
                DAY,
                of.search.query(),
                "",
                12,
                ("PubMed announced 14 records and sent 12",),
                False,
            ),
        ),
    )


def cold() -> EvidenceRow:
    """No number at all: fourteen results that give a direction at most."""
    name = "cold-focus"
    of = claim(
        name,
        "Cold rooms and focus",
        "Thinking in a cold room changes how thick the focus cortex is, "
        "and warming the room reverses it.",
        primary="warming",
        analyses=[
            analysis(
                "warming",
                "Thickness after the room was warmed",
                measure="SMCC",
                design="between groups",
                standardiser="change SD",
                left="thinner",
                right="thicker",
            )
        ],
        missing=["means and SDs before and after, in any published study"],
    )
    names = ["Virtanen", "Søndergaard", "Østby", "Kowalczyk", "Papadópoulos", "Nguyễn", "Ó Briain"]
    ways = ["positive", "positive", "negative", "unknown", "positive", "unknown", "positive"]
    studies = [
        study(
            name,
            i + 2,
            first_author=n,
            year=2008 + i,
            n_total=12 + i,
            title=f"Room {i} and focus",
            design="case-control" if i % 2 else "cohort",
        )
        for i, n in enumerate(names)
    ]
    rows = tuple(
        effect(
            name,
            2 * i + j + 2,
            s,
            analysis="warming",
            tier="",
            route="direction_only",
            outcome="thickness",
            matrix=("left", "right")[j],
            direction=ways[i],
            reported_significant=("yes" if i < 2 else "no" if i < 5 else "unknown"),
            locator="Figure 3",
            source_kind="primary-figure",
        )
        for i, s in enumerate(studies)
        for j in (0, 1)
    )
    counted = count_directions(rows)
    analyses = (
        result(
            of,
            "warming",
            unusable=tuple((r, "only the direction was reported") for r in rows),
            reason="no effect size can be computed from what was reported; 7 studies are known "
            "without usable numbers",
            directions=counted,
        ),
    )
    return EvidenceRow(
        claim=of,
        extraction=Extraction(name, tuple(studies), rows, (), (), ()),
        counts=Counts(None, 0, 7, None, 7, 0, 14, 0),
        analyses=analyses,
        directions=counted,
        direction_rows=rows,
        verdict=judge(of, analyses),
    )


def rows() -> tuple[EvidenceRow, ...]:
    return walking(), tea(), light(), cold()


def figures() -> dict[str, tuple[Figure, ...]]:
    """Two figures on one page, so that their ids could clash."""

    def drawn(name: str, title: str) -> Figure:
        files = tuple(f"figures/walking-sleep/{name}.{kind}" for kind in ("svg", "pdf", "png"))
        return Figure(name, title, f"Forest plot: {title}", SVG, files)

    return {
        "walking-sleep": (
            drawn("forest-trials", "Evening walks against usual habits"),
            drawn("forest-published", "Beside the published meta-analyses"),
        )
    }
