"""From extracted rows to effects: every route against values computed elsewhere, and their laws."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evidence.errors import InputError, UnknownName
from evidence.extracted import read_extraction
from evidence.model import EffectRow, Estimate, Study
from evidence.routes import CHANGE, NONE, RAW, ROUTES, as_sd, estimate, route_named
from tests.reference.derived import DERIVED
from tests.rows import a_row, a_study

approx = pytest.approx

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = ("hiit-bdnf", "lactate-bdnf", "aerobic-hippocampus", "dlpfc-reversibility")


@cache
def facts() -> dict[str, tuple[EffectRow, Study]]:
    read = [read_extraction(ROOT, claim) for claim in CLAIMS]
    return {row.effect_id: (row, e.study(row.study_id)) for e in read for row in e.effects}


def of(effect_id: str, *, r: float = 0.5, exact_j: bool = False, **options: object) -> Estimate:
    row, study = facts()[effect_id]
    metric = str(options.pop("standardiser", ROUTES[row.route].metric))
    return estimate(row, study, r=r, standardiser=metric, exact_j=exact_j, **options)  # type: ignore[arg-type]


def printed(text: str) -> object:
    """Approximately the printed number: half of its last digit."""
    return approx(float(text), rel=0, abs=0.5001 * 10.0 ** -len(text.partition(".")[2]))


@pytest.mark.parametrize(
    ("effect_id", "r", "yi", "vi", "vi_at_07"), DERIVED, ids=[f"{d[0]}-r{d[1]}" for d in DERIVED]
)
def test_a_founding_fact_gives_the_derived_effect(
    effect_id: str, r: float, yi: str, vi: str, vi_at_07: str
) -> None:
    found = of(effect_id, r=r)
    assert found.yi == approx(
        float(yi), rel=0, abs=0.5001e-4
    )  # yi has four decimals, zeros dropped
    assert found.vi == printed(vi)
    if vi_at_07:
        assert of(effect_id, r=0.7).vi == printed(vi_at_07)


@pytest.mark.parametrize("effect_id", sorted({d[0] for d in DERIVED}))
def test_the_exact_correction_moves_no_founding_effect_by_a_thousandth(effect_id: str) -> None:
    exact, approximate = of(effect_id, exact_j=True), of(effect_id)
    assert abs(exact.yi) <= abs(approximate.yi)
    assert exact.yi == approx(approximate.yi, rel=0, abs=1e-3)


@pytest.mark.shared
def test_the_derived_facts_are_those_of_the_collection(shared: Path) -> None:
    with (shared / "evidence" / "derived_effects.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [
        (row["effect_id"].replace("+", "_"), row["yi"], row["vi"], row["vi_if_r_0_7"])
        for row in rows
    ]
    assert found == [(d[0], d[2], d[3], d[4]) for d in DERIVED]
    stated = [re.search(r"pre-post r=([0-9.]+)", row["method"]) for row in rows]
    assert [float(s.group(1)) if s else 0.5 for s in stated] == [d[1] for d in DERIVED]
    people = {row["effect_id"]: int(row["n"]) for row in rows if row["n"]}
    assert {name: of(name).n for name in people} == people


# Bonett (2008): v = J² [(SD_pre² + SD_post² - 2 r SD_pre SD_post) / (SD_pre² (n - 1))
# + d² / (2 (n - 1))].
# The notes of the two rows give 0.429 and 0.066, from an older form without J² and with J d for d.
@pytest.mark.parametrize(
    ("effect_id", "n", "pre", "post", "noted"),
    [("CabralSantos2016_1", 10, 5.82, 10.30, 0.429), ("Winter2007_1", 27, 239, 338, 0.066)],
)
def test_unequal_sds_widen_the_variance_and_leave_the_effect(
    effect_id: str, n: int, pre: float, post: float, noted: float
) -> None:
    plain, unequal = of(effect_id), of(effect_id, heteroscedastic=True)
    assert unequal.yi == plain.yi
    change = (pre**2 + post**2 - pre * post) / (pre**2 * (n - 1))
    j = 1 - 3 / (4 * (n - 1) - 1)
    assert change + plain.yi**2 / (2 * (n - 1)) == approx(noted, abs=5e-4)
    assert unequal.vi == approx(j**2 * (change + (plain.yi / j) ** 2 / (2 * (n - 1))))
    assert plain.vi < unequal.vi < noted
    assert "unequal SDs" in unequal.derivation


def test_two_groups_with_unequal_sds_take_the_average_variance() -> None:
    plain, unequal = of("Renteria2020_1"), of("Renteria2020_1", heteroscedastic=True)
    assert unequal.yi == approx(plain.yi * 2.13542 / (((1.3**2 + 2.8**2) / 2) ** 0.5), rel=1e-5)


correlations = st.floats(-0.5, 0.95)


@given(correlations)
def test_one_metric_becomes_the_other_by_the_root_of_2_times_1_minus_r(r: float) -> None:
    change = of("Li2021_2")
    raw = of("Li2021_2", r=r, standardiser=RAW)
    assert raw.yi == approx(change.yi * (2 * (1 - r)) ** 0.5)
    assert raw.vi == approx(change.vi * 2 * (1 - r))
    assert (change.metric, raw.metric) == (CHANGE, RAW)
    assert (change.r, raw.r) == (None, r)


@given(correlations)
def test_there_and_back_is_where_it_began(r: float) -> None:
    raw = of("CabralSantos2016_1", r=r)
    change = of("CabralSantos2016_1", r=r, standardiser=CHANGE)
    factor = (2 * (1 - r)) ** 0.5
    assert change.yi * factor == approx(raw.yi)
    assert change.vi * factor**2 == approx(raw.vi)


def test_at_one_half_the_two_metrics_agree() -> None:
    assert of("Li2021_2", standardiser=RAW).yi == approx(of("Li2021_2").yi)


def test_correlations_are_never_rescaled() -> None:
    for standardiser in (RAW, CHANGE, NONE):
        assert of("Ferris2007_1", standardiser=standardiser).yi == of("Ferris2007_1").yi
        assert not ROUTES["correlation"].needs_r(standardiser)


def made(route: str, *, standardiser: str | None = None, **fields: object) -> Estimate:
    row = a_row(route=route, direction=fields.pop("direction", "positive"), **fields)
    return estimate(row, a_study(), r=0.5, standardiser=standardiser or ROUTES[route].metric)


sizes = st.integers(4, 200)
tests = st.floats(0.01, 8)


@given(tests, sizes, sizes)
def test_f_is_t_squared_with_the_sign_of_the_direction(t: float, n_1: int, n_2: int) -> None:
    for kind in ("two_arm", "change"):
        by_t = made(f"{kind}_t", statistic=-t, n_1=n_1, n_2=n_2)
        by_f = made(f"{kind}_f", statistic=t * t, n_1=n_1, n_2=n_2, direction="negative")
        assert (by_f.yi, by_f.vi) == approx((by_t.yi, by_t.vi))
        assert by_t.yi < 0


@given(st.floats(1e-6, 0.99), sizes, sizes)
def test_p_gives_the_t_that_has_it(p: float, n_1: int, n_2: int) -> None:
    t = float(stats.t.isf(p / 2, n_1 + n_2 - 2))
    for kind in ("two_arm", "change"):
        by_p = made(f"{kind}_p", p=p, n_1=n_1, n_2=n_2)
        by_t = made(f"{kind}_t", statistic=t, n_1=n_1, n_2=n_2)
        assert (by_p.yi, by_p.vi) == approx((by_t.yi, by_t.vi))
    paired = float(stats.t.isf(p / 2, n_1 - 1))
    one_p, one_t = made("one_arm_p", p=p, n_1=n_1), made("one_arm_t", statistic=paired, n_1=n_1)
    assert (one_p.yi, one_p.vi) == approx((one_t.yi, one_t.vi))


@given(st.floats(-20, 20), st.floats(0.5, 20), sizes)
def test_four_reports_of_one_change_agree(change: float, sd: float, n: int) -> None:
    half = float(stats.t.isf(0.025, n - 1)) * sd / n**0.5
    known = made("one_arm_change", mean_change_1=change, sd_change_1=sd, n_1=n)
    others = (
        made(
            "one_arm_change", mean_change_1=change, sd_change_1=sd / n**0.5, n_1=n, dispersion="SE"
        ),
        made("one_arm_t", statistic=change * n**0.5 / sd, n_1=n),
        made(
            "one_arm_ci",
            mean_change_1=change,
            ci_low_1=change - half,
            ci_high_1=change + half,
            n_1=n,
        ),
    )
    for other in others:
        assert (other.yi, other.vi) == approx((known.yi, known.vi), abs=1e-9)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 5), st.floats(0.5, 5), sizes, sizes)
def test_swapping_the_arms_turns_the_sign(
    a: float, b: float, sd_a: float, sd_b: float, n_a: int, n_b: int
) -> None:
    one = {"mean_post_1": a, "sd_post_1": sd_a, "n_1": n_a}
    two = {"mean_post_2": b, "sd_post_2": sd_b, "n_2": n_b}
    there = made("post_means", **one, **two)
    back = made(
        "post_means",
        **{k.replace("_2", "_1"): v for k, v in two.items()},
        **{k.replace("_1", "_2"): v for k, v in one.items()},
    )
    assert (back.yi, back.vi) == approx((-there.yi, there.vi))


def test_more_responders_in_arm_1_is_a_positive_effect() -> None:
    more = made("responders", events_1=11, n_1=15, events_2=11, n_2=24)
    fewer = made("responders", events_1=11, n_1=24, events_2=11, n_2=15)
    assert more.yi > 0
    assert (fewer.yi, fewer.vi) == approx((-more.yi, more.vi))


@pytest.mark.parametrize("effect_id", sorted({d[0] for d in DERIVED}))
def test_a_derivation_ends_in_the_numbers_that_it_derives(effect_id: str) -> None:
    found = of(effect_id, exact_j=True)
    for value in (found.yi, found.vi):
        assert f"= {value:.4f}".replace("-", "−") in found.derivation


def test_a_derivation_reads_like_the_formula() -> None:
    assert of("CabralSantos2016_1", exact_j=True).derivation == (
        "d = (22.84 − 11.83) / 5.82 = 1.8918; g = J(9) × d = 0.9139 × d = 1.7288; "
        "v = 2(1 − 0.5)/10 + g²/(2 × 10) = 0.2494"
    )
    assert of("Li2021_2", r=0.7, exact_j=True, standardiser=RAW).derivation == (
        "dz = 375.5 / 247.9 = 1.5147; g = J(9) × dz = 0.9139 × dz = 1.3843; "
        "v = 1/10 + g²/(2 × 10) = 0.1958; "
        "in raw SDs: y × √(2(1 − 0.7)) = 1.0722, v × 2(1 − 0.7) = 0.1175"
    )


def test_an_estimate_names_every_assumption_once() -> None:
    assert of("GarciaSuarez2020_2").assumptions == (
        "d as published, its standardiser is not stated: read as the raw SD",
        "pre-post correlation of 0.5 assumed",
    )
    assert of("Ferris2007_1").assumptions == ()


def test_a_stated_correlation_is_no_assumption() -> None:
    row = a_row(route="published_d", n_1=17, estimate=0.17, r_pre_post=0.8)
    assert estimate(row, a_study(), r=0.8, standardiser=RAW).assumptions == ()


def test_people_are_those_of_the_arms_that_the_route_uses() -> None:
    assert of("Renteria2020_1").n == 17
    assert of("CabralSantos2016_1").n == 10


def test_ses_and_quartiles_become_sds() -> None:
    assert as_sd(a_row(dispersion="SE"), 3.0, 16) == 12.0
    assert as_sd(a_row(dispersion="SE"), 3.0, None) is None
    assert as_sd(a_row(dispersion="IQR"), 2.7, 10) == approx(2.0)
    assert as_sd(a_row(dispersion="unknown"), 3.0, 16) == 3.0
    assert as_sd(a_row(), None, 16) is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"route": "direction"}, "gives only a direction"),
        ({"route": "one_arm_p", "n_1": 10}, "lacks p"),
        ({"route": "one_arm_p", "n_1": 10, "p": 0.012}, "has no direction"),
        ({"route": "change_f", "n_1": 9, "n_2": 9, "statistic": 4.0}, "has no direction"),
        ({"route": "published_d", "n_1": 17, "estimate": 0.17}, "needs a pre-post correlation"),
        ({"route": "correlation", "n_1": 17, "statistic": 1.0}, "gives no defined effect"),
        ({"route": "correlation", "n_1": 3, "statistic": 0.5}, "cannot be computed: 1 value"),
        ({"route": "one_arm_t", "n_1": 1, "statistic": 2.0}, "cannot be computed: "),
    ],
)
def test_a_row_that_gives_no_number_says_why(fields: dict[str, object], problem: str) -> None:
    row = a_row("Novak2019_7", 8, **fields)
    with pytest.raises(InputError, match=f"Novak2019_7 {problem}") as fault:
        estimate(row, a_study(), r=None, standardiser=RAW if "published" in row.route else CHANGE)
    assert "extracted/a-claim/effects.csv:8" in str(fault.value)
    assert fault.value.remedy


def test_an_unknown_route_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="there is no route 'post_mean'") as fault:
        route_named("post_mean")
    assert "did you mean 'post_means'?" in str(fault.value)


# Where no founding fact takes a route, the tests above prove it against one that has facts.
PROVEN_BY_LAW = {"two_arm_t", "two_arm_p", "change_t", "one_arm_t", "direction"}


def test_every_route_is_proven() -> None:
    with_facts = {facts()[d[0]][0].route for d in DERIVED}
    assert set(ROUTES) == with_facts | PROVEN_BY_LAW


def test_only_a_direction_is_not_numerical() -> None:
    assert [key for key, way in ROUTES.items() if not way.numerical] == ["direction"]
    assert not ROUTES["direction"].needs_r(RAW)
