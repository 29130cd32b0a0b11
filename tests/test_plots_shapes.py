"""Plots of whatever shape data have: from any result, at any width, in the place of axes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import meta
import meta.plots
from meta import plots
from meta.errors import InputError, UnknownName
from meta.influence import cumulative, influence, leave_one_out
from meta.measures import MEASURES, effects, given
from meta.plots.axis import limits_for, plain_ticks, ticks_for
from meta.plots.forest_plot import forest
from meta.plots.groups import Group, Row, axis_name, number, short
from meta.plots.layout import MANY
from meta.plots.style import Page, save, styled
from meta.pooling import pool
from meta.subgroups import subgroups
from tests import pictures
from tests.pictures import CORRELATION, PROPORTION, RISK, SMD, names
from tests.pictures.more import MORE, panels, regression, studies, two_arms
from tests.test_plots import assert_tidy, boxes, gids, printed, texts

approx = pytest.approx
DAY = dt.date(2026, 1, 31)
AUTHORS = (
    "Li",
    "García-Suárez et al.",
    "Çelik & Østergård",
    "Nguyễn",
    "Иванов",
    "van der Westhuizen-Hernández",
    "The Collaborative Research Group on Very Long Names and its Steering Committee",
)


def line(picture: Page, gid: str) -> np.ndarray:
    return np.array(next(a for a in picture.findobj() if a.get_gid() == gid).get_xydata())


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", meta.bias.SmallSampleWarning)
        return function(*args, **options)


# Names ------------------------------------------------------------------------------------------


def test_every_plot_is_had_by_its_name_whatever_was_imported_before():
    for module in set(meta.plots._WHERE.values()):
        importlib.import_module(f"meta.plots.{module}")
    for name in meta.plots.__all__:
        assert callable(getattr(meta.plots, name)), name
    assert sorted(meta.plots._WHERE) == sorted(meta.plots.__all__)


# From results to rows ---------------------------------------------------------------------------


def test_a_forest_of_a_pooled_effect_has_its_studies_with_their_intervals_and_weights():
    result = pool(studies(6), level=0.9)
    picture = forest(result)
    assert_tidy(picture)
    half = 1.644854 * np.sqrt(result.effects.vi)
    for i in range(6):
        assert line(picture, f"row-0-{i}-square")[0, 0] == approx(result.effects.yi[i])
        ends = (result.effects.yi[i] - half[i], result.effects.yi[i] + half[i])
        assert tuple(line(picture, f"row-0-{i}-interval")[:, 0]) == approx(ends, rel=1e-5)
    shown = [t.get_text() for t in texts(picture)]
    assert "SMD [90% CI]" in shown
    assert [f"{w:.1%}" for w in result.weights] == [t for t in shown if re.match(r"\d+\.\d%$", t)][
        :6
    ]
    assert "100.0%" in shown


def test_rows_can_be_put_in_order():
    result = pool(studies(6))
    by_effect = forest(result, order="effect")
    assert [line(by_effect, f"row-0-{i}-square")[0, 0] for i in range(6)] == approx(
        sorted(result.effects.yi)
    )
    by_weight = forest(result, order="weight")
    first = line(by_weight, "row-0-0-square")[0, 0]
    assert first == approx(result.effects.yi[int(np.argmax(result.weights))])
    with pytest.raises(UnknownName, match="year"):
        forest(result, order="year")


def test_columns_of_the_caller_are_printed_and_added_up():
    people, age = np.array([40, 61, 12]), np.array([23.5, 61.0, math.nan])
    picture = forest(
        pool(studies(3)), columns={"n": people, "Age": age, "Arm": ["a", None, "b"]}, totals=["n"]
    )
    shown = [t.get_text() for t in texts(picture)]
    assert {"n", "Age", "40", "61", "12", "113", "23.5", "61.0", "a", "b"} <= set(shown)
    assert "nan" not in shown
    with pytest.raises(InputError, match="3 studies") as fault:
        forest(pool(studies(3)), columns={"n": [1, 2]})
    assert fault.value.places == ("n: 2 cells",)
    with pytest.raises(UnknownName, match="Age"):
        forest(pool(studies(3)), columns={"n": [1, 2, 3]}, totals=["Age"])
    with pytest.raises(InputError, match="need their cells"):
        forest(pool(studies(3)), columns=["n"])
    with pytest.raises(InputError, match="only numbers"):
        forest(pool(studies(2)), columns={"Arm": ["a", "b"]}, totals=["Arm"])


def test_columns_without_room_go_under_the_names_with_their_sums():
    counts = {f"Arm {i}, events / n": ["123/4567"] * 4 for i in (1, 2)}
    picture = forest(
        pool(studies(4)),
        columns={**counts, "Total": [9134] * 4},
        totals=["Total"],
        width_mm=89,
    )
    assert_tidy(picture)
    words = printed(picture)
    assert "123/4567 | 123/4567 · 9134" in words
    assert "36536" in words
    wide = forest(pool(studies(4)), columns=counts, width_mm=183)
    assert "·" not in printed(wide)


def test_what_was_done_to_zero_counts_is_told_below():
    found = effects("RR", events_1=[0, 9], total_1=[40, 50], events_2=[4, 12], total_2=[41, 52])
    assert "Zero counts: 0.5 added" in printed(forest(pool(found)))


def test_a_head_is_not_broken_before_a_slash():
    picture = forest(pool(studies(3)), columns={"Drug, events / n": ["1/20"] * 3})
    assert "events\u00a0/\u00a0n" in " ".join(t.get_text() for t in texts(picture))


def test_risk_of_bias_of_a_result_is_a_light_in_each_row():
    judged = {"D1": ["low", "high", None], "D2": ["unclear"] * 3}
    picture = forest(pool(studies(3)), risk_of_bias=judged, lights={"D1": "randomisation"})
    assert len([g for g in gids(picture, "") if "-light-" in g]) == 5
    assert "D1: randomisation" in printed(picture)
    with pytest.raises(UnknownName, match="D9"):
        forest(pool(studies(3)), risk_of_bias=judged, lights={"D9": ""})


@pytest.mark.parametrize("width_mm", [89, 170])
def test_models_of_the_same_studies_share_their_rows(width_mm):
    found = studies(7)
    shown = [pool(found), pool(found, model="common")]
    picture = forest(shown, width_mm=width_mm)
    assert_tidy(picture)
    assert gids(picture, "diamond") == ["pooled-0-diamond", "pooled-0-1-diamond"]
    assert len(gids(picture, "square")) == 7
    words = printed(picture)
    assert "Random (REML)" in words
    assert "Common effect" in words
    weights = [t for t in words.split(" | ") if re.fullmatch(r"\d+\.\d%", t)]
    assert len(weights) == (16 if width_mm == 170 else 8)  # of both models, or of the first
    assert ("Weights, areas of squares: Random (REML)" in words) == (width_mm == 89)


def test_results_by_name_are_models_of_the_same_studies_or_groups_of_different_ones():
    one, two = pool(studies(4)), pool(studies(5, seed=9))
    picture = forest({"First": one, "Second": two})
    assert gids(picture, "diamond") == ["pooled-0-diamond", "pooled-1-diamond"]
    assert len(gids(picture, "square")) == 9
    models = forest({"Ours": one, "Theirs": pool(studies(4), tau2="DL")})
    assert len(gids(models, "square")) == 4
    assert "Theirs" in printed(models)
    with pytest.raises(InputError, match="differ in measure"):
        forest([one, two_arms()[0]])


def test_counts_models_and_dependent_effects_are_diamonds_too():
    one, two, n = [3, 12, 0, 7], [9, 20, 4, 11], [60, 140, 45, 90]
    columns = {"events_1": one, "total_1": n, "events_2": two, "total_2": n, "study": names(4)}
    mh, peto = meta.mantel_haenszel("OR", **columns), meta.peto(**columns)
    picture = forest({"Mantel-Haenszel": mh, "Peto": peto, "Mixed": meta.glmm("OR", **columns)})
    assert len(gids(picture, "diamond")) == 3
    assert "Zero counts" in printed(picture)
    pairs = given(
        np.linspace(0, 1, 8),
        [0.1] * 8,
        study=[f"{s}, {o}" for s in "ABCD" for o in "xy"],
        cluster=[s for s in "ABCD" for _ in "xy"],
    )
    robust = forest([pool(pairs), meta.robust(pool(pairs)), meta.correlated_effects(pairs)])
    assert len(gids(robust, "diamond")) == 3
    assert "luster-robust" in printed(robust)
    with pytest.raises(InputError, match="2 coefficients"):
        forest(meta.regress(pairs, {"x": np.arange(8.0)}))


def test_a_forest_of_subgroups_ends_with_all_studies_and_the_test():
    found = studies(7)
    split = subgroups(found, ["a", "a", "a", "b", "b", "b", "c"])
    picture = forest(split, columns={"n": range(10, 17)}, totals=["n"])
    assert_tidy(picture)
    words = printed(picture)
    for text in ("All studies", "Pooled effect (k = 7)", "One study, not pooled.", "100.0%", "91"):
        assert text in words
    assert f"Difference between subgroups (a τ² each): Q = {split.q_between:.2f}" in words
    weights = [float(t[:-1]) for t in words.split(" | ") if re.fullmatch(r"\d\d?\.\d%", t)]
    rows = 100 * split.overall.weights
    assert sorted(weights)[-1] == approx(rows[:3].sum(), abs=0.06) or sorted(weights)[-1] == approx(
        rows[3:6].sum(), abs=0.06
    )
    sides = [
        next(a for a in picture.axes[0].lines if a.get_gid() == f"row-{g}-{i}-square")
        for g, i in ((0, 0), (1, 0), (2, 0))
    ]
    areas = [a.get_markersize() ** 2 for a in sides]
    assert areas[0] / areas[2] == approx(rows[0] / rows[6])  # one scale for all groups


def test_effects_alone_are_not_pooled():
    picture = forest(studies(3))
    assert not gids(picture, "diamond")
    assert "Weight" not in printed(picture)


def test_nothing_to_draw_and_wrong_kinds_are_explained():
    none = dataclasses.replace(studies(2), study=(), yi=np.array([]), vi=np.array([]), cluster=())
    with pytest.raises(InputError, match="no study"):
        forest(none)
    with pytest.raises(InputError, match="nothing to draw"):
        forest([])
    with pytest.raises(InputError, match="float"):
        forest(3.0)
    found = studies(5)
    for plot in (plots.funnel, plots.radial, plots.baujat, plots.orchard):
        with pytest.raises(InputError, match="Effects"):
            plot(found)
    with pytest.raises(InputError, match="no line"):
        plots.bubble(pool(found), "dose")
    with pytest.raises(InputError, match="no case diagnostics"):
        plots.influence_panel(pool(found))
    with pytest.raises(InputError, match="not a set of refits"):
        plots.cumulative_forest(found, pool(found))
    with pytest.raises(InputError, match="subsets of an analysis"):
        plots.gosh([0.1, 0.2])
    with pytest.raises(InputError, match="not a width"):
        forest(pool(found), width_mm=math.nan)


def test_results_with_parts_of_their_own_are_drawn_by_one_call():
    found = studies(8)
    subsets = meta.gosh(found)
    assert f"with {names(8)[2]}" in printed(plots.gosh(subsets, study=names(8)[2]))
    with pytest.raises(UnknownName, match="Nobody"):
        plots.gosh(subsets, study="Nobody 1999")
    given_refits = plots.baujat(pool(found), leave_one_out(found))
    assert line(plots.baujat(pool(found)), "studies") == approx(line(given_refits, "studies"))
    split = subgroups(found, list("aabbccdd"))
    assert "All studies" in printed(plots.orchard(split))
    sunset = quietly(plots.funnel, pool(found), power=meta.power_of_studies(found, 0.4))
    assert "Power to find 0.40" in printed(sunset)
    with pytest.raises(InputError, match="other studies or of a one-sided"):
        plots.funnel(pool(found), power=meta.power_of_studies(found, 0.4, side="greater"))


# Axes and numbers -------------------------------------------------------------------------------


def test_where_intervals_are_cut_the_axis_ends_with_the_last_whole_one():
    usual = [(-0.5, 0.5), (-0.2, 0.9), (0.1, 1.1), (-0.4, 0.8)]
    low, high = limits_for([*usual, (-40, 60)], [0.0])
    assert (low, high) == approx((-0.5 - 0.064, 1.1 + 0.064))


def test_a_diamond_of_two_studies_does_not_squeeze_the_plot():
    groups = [
        pictures.group(5, title="Many"),
        dataclasses.replace(
            pictures.group(2, title="Two", seed=4),
            result=dataclasses.replace(pictures.group(2).result, ci=(-30.0, 31.0)),
        ),
    ]
    picture = forest(groups, measure=SMD)
    low, high = picture.axes[0].get_xlim()
    assert high - low < 6
    assert {"pooled-1-arrow-low", "pooled-1-arrow-high"} <= set(gids(picture, "")) | set(
        gids(picture, "arrow-low") + gids(picture, "arrow-high")
    )


def test_an_effect_beyond_most_intervals_is_seen_where_the_axis_need_not_grow_much():
    usual = [(-0.5, 0.5), (-0.2, 0.9), (0.1, 1.1), (-0.4, 0.8)]
    points = [0.0, 0.3, 0.6, 0.2, 1.5]
    low, high = limits_for([*usual, (1.3, 8.0)], [0.0], points=points)
    assert low < -0.5
    assert 1.5 < high < 2
    assert limits_for([*usual, (39, 41)], [0.0], points=[*points[:4], 40.0])[1] < 3


@pytest.mark.parametrize(
    ("value", "text"), [(1e-9, "<0.01"), (0.004, "<0.01"), (0.016, "0.02"), (1e5, ">9999")]
)
def test_ratios_too_small_or_large_to_print_are_printed_as_bounds(value, text):
    assert number(RISK, math.log(value), 2) == text
    rate = MEASURES["IRLN"]  # not a ratio: shown as it is
    assert number(rate, math.log(20_000), 0) == "20000"
    assert number(SMD, -2.5e12, 2) == "−2.5×10¹²"


def test_narrow_intervals_get_the_decimals_that_they_need():
    rows = tuple(Row(f"S{i}", 0.001 * i, (0.001 * i, 0.001 * i + 4e-4), None, ()) for i in range(3))
    assert "0.0010" in printed(forest([Group("", rows)], measure=SMD, columns=()))


def test_axes_name_the_scale_and_columns_say_what_the_numbers_are():
    assert axis_name(MEASURES["PLN"]) == "Proportion (log scale)"
    assert axis_name(MEASURES["PFT"]) == "Proportion (double arcsine scale)"
    assert axis_name(MEASURES["D2ORN"]) == "Odds ratio (from SMD; log scale)"
    assert axis_name(MEASURES["ZCOR"]) == "Correlation (Fisher’s z scale)"
    assert axis_name(MEASURES["MD"]) == "Mean difference"
    assert [short(MEASURES[key]) for key in ("GEN", "PAS", "ZCOR", "RR")] == [
        "Effect",
        "Proportion",
        "r",
        "RR",
    ]


@pytest.mark.parametrize("key", MEASURES)
def test_every_measure_has_a_forest_and_a_funnel(key):
    y = np.array([0.2, 0.35, 0.5, 0.65])
    result = pool(given(y, [0.01, 0.02, 0.01, 0.03], study=names(4), measure=key))
    assert_tidy(forest(result, width_mm=120))
    assert_tidy(plots.funnel(result))


def test_ratios_have_ones_twos_and_fives_where_these_are_enough():
    shown = [text for _, text in ticks_for((-3.2, 2.1), RISK, width=250, size=7)]
    assert shown == ["0.05", "0.1", "0.2", "0.5", "1", "2", "5"]


@pytest.mark.parametrize("limits", [(0.58, 1.1), (-3.7, 50.5), (26.0, 91.0)])
def test_a_narrow_panel_has_two_numbers_or_more(limits):
    ticks = plain_ticks(limits, 48.5, 6.4, most=4, beyond=2.8)
    assert len(ticks) >= 2


# Layout -----------------------------------------------------------------------------------------


def test_many_rows_stand_closer_with_each_name_on_one_line():
    few, many, more = (forest(pool(studies(k)), width_mm=89) for k in (MANY, MANY + 1, 120))
    steps = [np.diff(np.sort(_rows(p, k))).min() for p, k in ((few, MANY), (many, 41), (more, 120))]
    assert steps[0] > steps[1] > steps[2] > 6.4
    assert "2011" in {t.get_text() for t in texts(few)}  # a second line
    assert "2011" not in {t.get_text() for t in texts(many)}


def _rows(picture: Page, k: int) -> np.ndarray:
    return np.array([line(picture, f"row-0-{i}-square")[0, 1] for i in range(k)])


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("width_mm", [60, 89, 120])
def test_no_type_is_smaller_than_six_points(name, width_mm):
    if width_mm == 60 and name not in ("funnel_filled", "orchard", "bubble"):
        return
    picture = MORE[name](width_mm)
    signs = {"+", "−", "×", "?", "!"}  # inside lights
    small = {t.get_text() for t in texts(picture) if t.get_fontsize() < 6} - signs
    assert not small


def test_an_interval_within_its_square_leaves_its_ends_blue():
    result = pool(given([0.0, 0.5, 1.0, 9.0], [1e-3, 1e-3, 1e-3, 4.0], study=names(4)))
    picture = forest(result, limits=(-2, 12), width_mm=89)
    white = [a for a in picture.axes[0].lines if a.get_color() == "white"]
    assert len(white) == 3
    side = next(a for a in picture.axes[0].lines if a.get_gid() == "row-0-0-square")
    wide = picture.axes[0].transData.transform([(x, 0) for x in white[0].get_xdata()])[:, 0]
    assert np.ptp(wide) * 72 / picture.dpi <= 0.87 * side.get_markersize()


@pytest.mark.parametrize("name", ["radial", "baujat", "labbe", "bubble", "albatross"])
@pytest.mark.parametrize("width_mm", [89, 170])
def test_no_name_covers_a_study(name, width_mm):
    picture = MORE[name](width_mm)
    words, edges = boxes(picture)
    plot = picture.axes[0]
    marks = [a for a in plot.lines if (a.get_gid() or "").startswith("stud")]
    places = np.vstack([plot.transData.transform(a.get_xydata()) for a in marks])
    places = places * 72 / picture.dpi
    known = set(names(24))
    for word, (x0, y0, x1, y1) in zip(words, edges, strict=True):
        if word in known:
            inside = (places > [x0, y0]) & (places < [x1, y1])
            assert not inside.all(axis=1).any(), word


def test_contours_on_the_left_of_an_albatross_are_named_where_no_study_is():
    p, n = np.array([0.04, 0.2, 0.6]), np.array([900, 300, 60])
    picture = plots.albatross(p, n, [True, False, True], study=names(3))
    assert_tidy(picture)
    shown = {t.get_text() for t in texts(picture)}
    assert {"−0.5", "−0.25", "0.25", "0.5"} <= shown


def test_the_lines_of_a_bubble_plot_are_explained_with_their_marks():
    picture = plots.bubble(regression(by=True), "dose", by="kind")
    marks = [a for a in picture.artists if hasattr(a, "get_marker") and a.get_marker() in "oD"]
    assert [a.get_linestyle() for a in marks] == ["-", "--"]
    assert "Ratio per unit" in printed(_ratio_bubble())


def _ratio_bubble() -> Page:
    result, *_ = two_arms()
    return plots.bubble(meta.regress(result.effects, {"dose": np.arange(13.0)}), "dose")


# Any data ---------------------------------------------------------------------------------------

SCALES = {"SMD": 1.0, "MD": 25.0, "RR": 1.0, "RD": 0.1, "ZCOR": 0.5, "PLO": 1.0, "IRLN": 1.0}


@st.composite
def data(draw):
    """Effects as they come: few or many, tight or wide, equal, one-sided, one far off."""
    key = draw(st.sampled_from(sorted(SCALES)))
    k = draw(st.sampled_from([1, 2, 3, 5, 13, 45]))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    vi = SCALES[key] ** 2 * 4 / np.exp(random.uniform(2, 7, k))
    tau = draw(st.sampled_from([0.0, 0.1, 0.5]))
    yi = random.normal(0.3, 1, k) * SCALES[key] * tau + random.normal(0, np.sqrt(vi))
    kind = draw(st.sampled_from(["plain", "equal", "huge", "tiny", "far", "one side"]))
    if kind == "equal":
        yi[:] = 0.25 * SCALES[key]
    elif kind == "huge":
        vi[0] *= 1e4
    elif kind == "tiny":
        vi[0] *= 1e-6
    elif kind == "far":
        yi[-1] += 8 * SCALES[key]
    elif kind == "one side":
        yi = np.abs(yi)
    study = [f"{AUTHORS[random.integers(7)]} {random.integers(1985, 2026)}" for _ in range(k)]
    return given(yi, vi, study=study, measure=key)


WIDTHS = st.sampled_from([89, 120, 183])
LEVELS = st.sampled_from([0.9, 0.95, 0.99])


@settings(max_examples=30)
@drawn_from(data(), WIDTHS, LEVELS, st.booleans())
def test_forests_of_any_data_are_tidy(found, width_mm, level, several):
    result = pool(found, level=level)
    shown = [result, pool(found, model="common", level=level)] if several else result
    domains = {f"D{i}": ["low", "high"] * found.k for i in range(5)}
    assert_tidy(
        forest(
            shown,
            columns={"n": np.arange(found.k) + 10, "Treatment": ["a rather long name"] * found.k},
            totals=["n"],
            risk_of_bias={d: cells[: found.k] for d, cells in domains.items()},
            left="favours the comparator",
            right="favours the intervention",
            width_mm=width_mm,
        )
    )


@settings(max_examples=15)
@drawn_from(data(), WIDTHS)
def test_other_plots_of_any_data_are_tidy(found, width_mm):
    result = pool(found)
    assert_tidy(plots.funnel(result, width_mm=width_mm))
    assert_tidy(plots.radial(result, width_mm=width_mm))
    assert_tidy(plots.orchard(result, width_mm=width_mm))
    if found.k > 1:
        assert_tidy(plots.baujat(result, width_mm=width_mm))
        assert_tidy(plots.influence_panel(influence(found), result=result, width_mm=width_mm))
        refits = leave_one_out(found)
        assert_tidy(plots.leave_one_out_forest(refits, result, width_mm=width_mm))
    assert_tidy(plots.cumulative_forest(cumulative(found), result, width_mm=width_mm))


@settings(max_examples=15)
@drawn_from(
    st.sampled_from(["RR", "OR", "RD"]),
    st.integers(1, 40),
    st.integers(0, 10_000),
    st.sampled_from([(0.0, 0.02), (0.05, 0.4), (0.6, 1.0)]),
    WIDTHS,
)
def test_plots_of_two_arms_are_tidy_with_zero_cells_too(key, k, seed, risks, width_mm):
    random = np.random.default_rng(seed)
    n = random.integers(20, 900, k)
    one, two = random.binomial(n, random.uniform(*risks, (2, k)))
    two[0] = max(two[0], 1)
    one[0] = min(one[0], n[0] - 1)
    found = effects(key, events_1=one, total_1=n, events_2=two, total_2=n, study=names(k))
    known = np.isfinite(found.yi + found.vi) & (found.vi > 0)
    found = dataclasses.replace(
        found,
        yi=found.yi[known],
        vi=found.vi[known],
        study=tuple(np.array(found.study)[known]),
        cluster=tuple(np.array(found.cluster)[known]),
    )
    result = pool(found)
    assert_tidy(plots.labbe(result, (one / n)[known], (two / n)[known], width_mm=width_mm))
    counts = [f"{a}/{b}" for a, b in zip(one[known], n[known], strict=True)]
    assert_tidy(forest(result, columns={"Events / n": counts}, width_mm=width_mm))


# In the place of axes ---------------------------------------------------------------------------


def test_two_plots_in_one_figure_look_as_before():
    apart = pictures.difference(pictures.pixels(panels()), pictures.read("panels"))
    assert apart <= pictures.TOLERANCE, "renew with `python -m tests.pictures`, look, commit"


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_a_plot_fills_the_axes_that_it_is_given(layout):
    figure = Figure(figsize=(7, 5), layout=layout)
    left, right = figure.subplots(1, 2)
    result = pool(studies(9))
    page = plots.funnel(result, ax=right)
    box = right.get_window_extent()
    assert tuple(page.bbox.extents) == approx(tuple(box.extents), abs=1)
    assert page.size_points[0] == approx(box.width * 72 / figure.dpi)
    assert not right.axison
    assert left.axison
    with styled():
        for x0, y0, x1, y1 in (t.get_window_extent().extents for t in texts(page)):
            assert box.x0 - 1 <= x0 <= x1 <= box.x1 + 1
            assert box.y0 - 1 <= y0 <= y1 <= box.y1 + 1


def test_plots_of_fixed_shape_keep_it_in_axes():
    figure = Figure(figsize=(6, 3))
    result, one, two = two_arms()
    page = plots.labbe(result, one, two, ax=figure.subplots())
    box = page._localaxes[0].get_window_extent()
    assert box.width == approx(box.height, rel=1e-3)


def test_axes_too_low_for_a_plot_are_refused():
    figure = Figure(figsize=(7, 2))
    ax = figure.subplots()
    with pytest.raises(InputError, match=r"mm high, the axes are \d+ mm"):
        forest(pool(studies(12)), ax=ax)
    with pytest.raises(InputError, match="too low"):
        plots.funnel(pool(studies(12)), ax=Figure(figsize=(7, 0.8)).subplots())
    assert not figure.subfigs


def test_a_figure_of_several_plots_is_saved_with_the_words_of_all(tmp_path):
    figure = panels()
    (svg,) = save(figure, tmp_path / "two", date=DAY, kinds=("svg",))
    text = svg.read_text()
    for page in figure.subfigs:
        assert page.alt[:60].replace("’", "’") in text
    assert "Funnel plot" in text
    assert "Radial plot" in text


# Files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE)
def test_every_picture_is_a_vector_file_with_embedded_fonts_and_the_same_bytes(name, tmp_path):
    for run in ("one", "two"):
        save(MORE[name](), tmp_path / run / "plot", date=DAY, kinds=("svg", "pdf"))
    for kind in ("svg", "pdf"):
        first, second = ((tmp_path / run / f"plot.{kind}").read_bytes() for run in ("one", "two"))
        assert first == second
    svg = (tmp_path / "one" / "plot.svg").read_bytes()
    assert b"<image" not in svg
    assert b"<text" not in svg  # outlines, with the words kept as title and description
    pdf = (tmp_path / "one" / "plot.pdf").read_bytes()
    assert b"/Subtype /Image" not in pdf
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf


@pytest.mark.parametrize("measure", [SMD, RISK, CORRELATION, PROPORTION], ids=lambda m: m.key)
def test_shades_of_significance_differ_from_each_other_in_grey(measure):
    result = pictures.pooled(names(12), np.linspace(-1, 1, 12), [0.1] * 12, measure)
    picture = plots.funnel(result)
    shades = sorted(float(p.get_facecolor()[0]) for p in picture.axes[0].patches)
    shades.append(float(picture.axes[0].get_facecolor()[0]))
    if measure is PROPORTION:
        return
    assert len(set(shades)) == 4
    assert np.diff(sorted(set(shades))).min() > 0.055
