"""The further pictures as they should look, from invented data, at any width."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from meta.bias import SmallSampleWarning, excess_significance, trim_and_fill
from meta.direction import sign_test
from meta.influence import cumulative, influence, leave_one_out
from meta.measures import effects, given
from meta.plots.albatross_plot import albatross
from meta.plots.baujat_plot import baujat
from meta.plots.bubble_plot import bubble
from meta.plots.direction_plot import Direction, StudyDirections, directions
from meta.plots.forest_plot import Group, forest
from meta.plots.funnel_plot import funnel
from meta.plots.gosh_plot import gosh
from meta.plots.influence_plot import influence_panel
from meta.plots.labbe_plot import labbe
from meta.plots.orchard_plot import orchard
from meta.plots.radial_plot import radial
from meta.plots.refits import cumulative_forest, leave_one_out_forest
from meta.plots.style import Page
from meta.pooling import pool
from meta.regression import RegressionResult, regress
from meta.results import Effects, PooledEffect
from meta.subgroups import subgroups
from tests.pictures import SMD, group, names

Array = NDArray[np.float64]
DOMAINS = {"D1": "randomisation", "D2": "deviations", "D3": "missing data", "All": "overall"}
JUDGED = ("low", "some concerns", "high", "no information", "critical", "moderate", "", "low")


def studies(k: int, *, seed: int = 4, outlier: bool = False, measure: str = "SMD") -> Effects:
    random = np.random.default_rng(seed)
    v = random.uniform(0.01, 0.12, k)
    y = 0.35 + random.normal(0, np.sqrt(v + 0.02))
    if outlier:
        y[k // 2], v[k // 2] = 1.6, 0.015
    return given(y, v, study=names(k), measure=measure)


def two_arms(k: int = 13) -> tuple[PooledEffect, Array, Array]:
    """Risk ratios of k invented trials with the risks in both arms."""
    random = np.random.default_rng(3)
    n = random.integers(30, 600, k)
    base = random.uniform(0.05, 0.35, k)
    low = np.clip(base * np.exp(random.normal(-0.5, 0.3, k)), 0.01, 0.9)
    events_1, events_2 = random.binomial(n, low) + 1, random.binomial(n, base) + 1
    found = effects(
        "RR", events_1=events_1, total_1=n, events_2=events_2, total_2=n, study=names(k)
    )
    return pool(found), events_1 / n, events_2 / n


def regression(k: int = 24, *, by: bool = False) -> RegressionResult:
    random = np.random.default_rng(8)
    v, dose = random.uniform(0.01, 0.2, k), random.uniform(2, 40, k).round()
    kind = np.array(["aerobic", "mixed"])[random.integers(0, 2, k)]
    y = 0.1 + 0.015 * dose + 0.2 * (kind == "mixed") + random.normal(0, np.sqrt(v + 0.03))
    found = given(y, v, study=names(k), measure="SMD")
    if by:
        return regress(found, {"dose": dose, "kind": kind}, interactions=[("dose", "kind")])
    return regress(found, {"dose": dose})


def subsets(k: int = 10) -> tuple[PooledEffect, Array, Array, NDArray[np.bool_]]:
    """Common-effect means and I2 of all subsets of k invented studies, one an outlier."""
    found = studies(k, outlier=True)
    member = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    member = member[member.sum(axis=1) > 1]
    w = member / found.vi
    mean = (w @ found.yi) / w.sum(axis=1)
    q = (w * (found.yi - mean[:, None]) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        i2 = np.maximum(0.0, np.nan_to_num(1 - (member.sum(axis=1) - 1) / q))
    return pool(found), mean, i2, member[:, k // 2] == 1


def albatross_data(k: int = 15) -> tuple[Array, Array, NDArray[np.bool_]]:
    from scipy.stats import norm

    random = np.random.default_rng(8)
    n = np.exp(random.uniform(3, 7.5, k)).round()
    z = random.normal(0.25 * np.sqrt(n) / 2, 1)
    return 2 * norm.sf(np.abs(z)), n, z > 0


def voted(k: int = 7) -> list[StudyDirections]:
    ways = ("better", "better", "worse", "mixed", "better")
    random = np.random.default_rng(5)
    return [
        StudyDirections(
            names(k)[i],
            int(random.integers(20, 500)),
            tuple(
                None
                if random.random() < 0.2
                else Direction(ways[random.integers(0, 5)], int(random.integers(1, 5)))
                for _ in range(3)
            ),
            ("low", "some concerns", "high")[i % 3],
            ("RCT", "Cohort")[i % 2],
        )
        for i in range(k)
    ]


def lit(k: int = 6) -> list[Group]:
    """A forest's group whose rows are judged in four domains."""
    plain = group(k, seed=4)
    rows = tuple(
        dataclasses.replace(row, lights=tuple(JUDGED[(i + j) % 8] for j in range(4)))
        for i, row in enumerate(plain.rows)
    )
    return [dataclasses.replace(plain, rows=rows)]


def quiet(draw: Callable[[float], Page]) -> Callable[[float], Page]:
    """The same picture without the statistics' warnings of few studies."""

    def drawn(width_mm: float = 89) -> Page:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallSampleWarning)
            return draw(width_mm)

    return drawn


def _funnel_sunset(width_mm: float) -> Page:
    result = pool(studies(12))
    return funnel(result, power=excess_significance(result.effects), width_mm=width_mm)


def _funnel_filled(width_mm: float) -> Page:
    found = studies(10)
    yi = found.yi + 3 * (np.sqrt(found.vi) - 0.1)  # small studies have the larger effects
    found = dataclasses.replace(found, yi=yi)
    filled = trim_and_fill(found, side="left")
    assert filled.k0 > 0
    return funnel(filled.observed, fill=filled, width_mm=width_mm)


def _baujat(width_mm: float) -> Page:
    found = studies(12, outlier=True)
    return baujat(pool(found), leave_one_out(found), width_mm=width_mm)


def _labbe(width_mm: float) -> Page:
    result, one, two = two_arms()
    return labbe(result, one, two, arm_1="vaccinated", arm_2="control", width_mm=width_mm)


def _gosh(width_mm: float) -> Page:
    result, mean, i2, member = subsets()
    return gosh(
        mean,
        i2,
        measure=SMD,
        result=result,
        member=member,
        member_name="with Yew 2018b",
        width_mm=width_mm,
    )


def _influence(width_mm: float) -> Page:
    found = studies(9, outlier=True)
    return influence_panel(influence(found), result=pool(found), width_mm=width_mm)


def _orchard(width_mm: float) -> Page:
    found = studies(24)
    split = subgroups(found, ["aerobic", "resistance", "both in turn"] * 8)
    shown = dict(zip(split.names, split.pooled, strict=True))
    return orchard({**shown, "All studies": split.overall}, width_mm=width_mm)


def _albatross(width_mm: float) -> Page:
    p, n, up = albatross_data()
    return albatross(p, n, up, study=names(15), left="lower", right="higher", width_mm=width_mm)


def _directions(width_mm: float) -> Page:
    tests = [sign_test(6, 1), None, sign_test(3, 2)]
    heads = ("Memory", "Executive function", "BDNF")
    return directions(voted(), heads, tests=tests, width_mm=width_mm)


def _leave_one_out(width_mm: float) -> Page:
    found = studies(7, outlier=True)
    refits = leave_one_out(found)
    return leave_one_out_forest(refits, pool(found), order="estimate", width_mm=width_mm)


def _cumulative(width_mm: float) -> Page:
    found = studies(7)
    refits = cumulative(found, [2010, 2004, 2018, 2013, 2020, 2001, 2015])
    return cumulative_forest(refits, pool(found), left="lower", right="higher", width_mm=width_mm)


def _forest_subgroups(width_mm: float) -> Page:
    found = studies(5, seed=6)
    kind = ["aerobic", "aerobic", "resistance", "resistance", "one alone"]
    return forest(
        subgroups(found, kind),
        columns={"n": [24, 61, 130, 48, 33]},
        totals=["n"],
        left="favours control",
        right="favours training",
        width_mm=width_mm,
    )


def _forest_models(width_mm: float) -> Page:
    """Counts of both arms, zero cells among them, and two models of them."""
    one, two, people = [0, 12, 31, 0, 55], [9, 20, 33, 0, 90], [60, 140, 210, 90, 400]
    found = effects(
        "RR", events_1=one, total_1=people, events_2=two, total_2=people, study=names(5)
    )
    return forest(
        [pool(found), pool(found, model="common")],
        columns={
            "Drug": [f"{a}/{n}" for a, n in zip(one, people, strict=True)],
            "Control": [f"{a}/{n}" for a, n in zip(two, people, strict=True)],
        },
        order="weight",
        width_mm=width_mm,
    )


def _forest_proportions(width_mm: float) -> Page:
    found = effects(
        "PLO", events=[3, 40, 12, 7, 150], total=[90, 310, 44, 130, 900], study=names(5)
    )
    return forest(pool(found, level=0.9), width_mm=width_mm)


def panels() -> Figure:
    """Two plots in the places of axes of one figure, which is not ours."""
    figure = Figure(figsize=(7.2, 2.8))
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1})
    result = pool(studies(12, outlier=True))
    funnel(result, contours=(0.95,), title="A", ax=left)
    radial(result, title="B", names=False, ax=right)
    return figure


MORE: dict[str, Callable[..., Page]] = {
    "funnel_sunset": quiet(_funnel_sunset),
    "funnel_filled": quiet(_funnel_filled),
    "radial": lambda width_mm=89: radial(
        pool(studies(14, outlier=True)), spread="sampling", width_mm=width_mm
    ),
    "baujat": quiet(_baujat),
    "labbe": quiet(_labbe),
    "gosh": quiet(_gosh),
    "influence": quiet(_influence),
    "bubble": lambda width_mm=89: bubble(regression(), "dose", names=3, width_mm=width_mm),
    "bubble_by": lambda width_mm=89: bubble(
        regression(by=True), "dose", by="kind", width_mm=width_mm
    ),
    "orchard": quiet(_orchard),
    "albatross": quiet(_albatross),
    "directions": quiet(_directions),
    "forest_lights": lambda width_mm=89: forest(
        lit(), measure=SMD, lights=DOMAINS, width_mm=width_mm
    ),
    "leave_one_out": quiet(_leave_one_out),
    "cumulative": quiet(_cumulative),
    "forest_subgroups": quiet(_forest_subgroups),
    "forest_models": quiet(_forest_models),
    "forest_proportions": quiet(_forest_proportions),
}
