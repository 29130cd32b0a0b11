"""The further pictures: what they show, that nothing collides, and how they look."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from scipy.stats import norm

from meta.bias import excess_significance, trim_and_fill
from meta.direction import sign_test
from meta.errors import InputError, UnknownName
from meta.influence import Influence, cumulative, influence, leave_one_out
from meta.measures import effects, given
from meta.plots.albatross_plot import albatross, people_for
from meta.plots.axis import plain_ticks
from meta.plots.baujat_plot import baujat
from meta.plots.bubble_plot import bubble
from meta.plots.direction_plot import Direction, StudyDirections, directions
from meta.plots.forest_plot import Group, Row, forest, save
from meta.plots.funnel_plot import POWERS, funnel
from meta.plots.gosh_plot import gosh
from meta.plots.groups import describe, prediction_label
from meta.plots.influence_plot import PANELS, influence_panel
from meta.plots.labbe_plot import labbe
from meta.plots.lights import LIGHTS
from meta.plots.orchard_plot import orchard
from meta.plots.radial_plot import radial
from meta.plots.refits import cumulative_forest, leave_one_out_forest
from meta.plots.style import Picture, text_width
from meta.pooling import pool
from meta.regression import predict, regress
from tests import pictures
from tests.pictures import CORRELATION, PROPORTION, RISK, SMD, group, names, pooled
from tests.pictures.more import (
    DOMAINS,
    MORE,
    albatross_data,
    lit,
    regression,
    studies,
    subsets,
    two_arms,
    voted,
)
from tests.test_plots import assert_tidy, gids, printed

approx = pytest.approx
few = pytest.mark.filterwarnings("ignore::meta.bias.SmallSampleWarning")


def artist(picture: Picture, gid: str):
    return next(a for a in picture.findobj() if a.get_gid() == gid)


def line(picture: Picture, gid: str) -> np.ndarray:
    return np.array(artist(picture, gid).get_xydata())


# How all of them look ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE)
def test_pictures_look_as_before(name):
    apart = pictures.difference(pictures.pixels(MORE[name]()), pictures.read(name))
    assert apart <= pictures.TOLERANCE, "renew with `python -m tests.pictures`, look, commit"
    assert (pictures.FOLDER / f"{name}.png").stat().st_size <= 20_000


@pytest.mark.parametrize("width_mm", [89, 170])
@pytest.mark.parametrize("name", MORE)
def test_no_text_touches_another_or_leaves_the_page(name, width_mm):
    picture = MORE[name](width_mm)
    assert_tidy(picture)
    assert picture.size_points[0] == approx(width_mm * 72 / 25.4)
    assert "tau" not in printed(picture)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("radial", lambda: radial(pool(studies(14, seed=5, outlier=True)), spread="sampling")),
        ("labbe", lambda: labbe(*two_arms(), arm_1="vaccinated", arm_2="controls")),
        ("bubble", lambda: bubble(regression(), "dose", names=1)),
        ("forest_lights", lambda: forest(_other_light(), measure=SMD, lights=DOMAINS)),
        ("directions", lambda: _other_direction()),
    ],
)
def test_a_visible_change_fails_the_picture_test(name, changed):
    apart = pictures.difference(pictures.pixels(changed()), pictures.read(name))
    assert apart > 1.5 * pictures.TOLERANCE


def _other_light() -> list[Group]:
    (one,) = lit()
    lights = ("high", *one.rows[0].lights[1:])
    return [
        dataclasses.replace(
            one, rows=(dataclasses.replace(one.rows[0], lights=lights), *one.rows[1:])
        )
    ]


def _other_direction() -> Picture:
    rows = voted()
    cells = (Direction("worse", 2), *rows[0].cells[1:])
    rows[0] = dataclasses.replace(rows[0], cells=cells)
    tests = [sign_test(6, 1), None, sign_test(3, 2)]
    return directions(rows, ("Memory", "Executive function", "BDNF"), tests=tests, width_mm=89)


NAMED = sorted(set(MORE) - {"gosh"})


@pytest.mark.parametrize("name", NAMED)
def test_the_words_behind_a_picture_name_every_study(name):
    picture = MORE[name]()
    plain = picture.alt.replace("\u00a0", " ")
    assert all(study in plain for study in names(5))
    assert picture.heading


def test_every_picture_is_sound_svg_with_its_words(tmp_path):
    for name in ("gosh", "directions", "funnel_sunset"):
        picture = MORE[name]()
        (svg,) = save(picture, tmp_path / name, date=dt.date(2026, 1, 31), kinds=("svg",))
        root = ET.fromstring(svg.read_bytes())
        assert root.find("{http://www.w3.org/2000/svg}desc").text == picture.alt
        assert svg.stat().st_size < 600_000
        assert b"<image" not in svg.read_bytes()  # vectors only


def test_drawing_does_not_heed_the_users_settings():
    plain = pictures.pixels(MORE["bubble"]())
    with rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        assert np.array_equal(pictures.pixels(MORE["bubble"]()), plain)


def test_their_names_load_matplotlib_only_when_used(root):
    code = "import sys, meta.plots as p; a = 'matplotlib' in sys.modules; p.influence_panel"
    code += "; p.cumulative_forest, p.Direction; sys.exit(a or 'matplotlib' not in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.parametrize("measure", [SMD, RISK, CORRELATION, PROPORTION], ids=lambda m: m.key)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_few_studies_of_any_measure_can_be_drawn(measure, k):
    yi, vi = [-0.2, 0.7, 0.3, 0.4, 0.1][:k], [0.05, 0.2, 0.1, 0.02, 0.3][:k]
    result = pooled(names(k), yi, vi, measure)
    assert_tidy(radial(result))
    assert_tidy(orchard({"One": result, "A second analysis with quite a long name": result}))
    if k > 1:
        assert_tidy(baujat(result, leave_one_out(result.effects)))
        assert_tidy(influence_panel(influence(result.effects), result=result, width_mm=89))
        refits = leave_one_out(result.effects)
        assert_tidy(leave_one_out_forest(refits, pool(result.effects), width_mm=89))
    assert_tidy(cumulative_forest(cumulative(result.effects), pool(result.effects), width_mm=89))


def test_equal_effects_and_large_offsets_can_be_drawn():
    same = pool(given([2.0] * 5, [0.1] * 5, study=names(5), measure="SMD"))
    far = pool(given(1e6 + np.arange(6.0), [4.0] * 6, study=names(6), measure="SMD"))
    for result in (same, far):
        assert_tidy(radial(result, centre=result.estimate))
        assert_tidy(baujat(result, leave_one_out(result.effects)))
        assert_tidy(orchard({"All": result}))


def test_two_hundred_studies_can_be_drawn():
    found = studies(200)
    result = pool(found)
    assert_tidy(radial(result))
    assert_tidy(orchard({"All": result}))
    assert_tidy(cumulative_forest(cumulative(found, tau2="DL"), result))


@pytest.mark.parametrize("limits", [(0, 1), (-3, 7), (0.0, 0.0004), (5e5, 5.001e5), (100, 0)])
@pytest.mark.parametrize("room", [30, 120, 400])
def test_plain_axes_have_round_numbers_that_do_not_touch(limits, room):
    ticks = plain_ticks(limits, room, 7)
    last = -math.inf
    for place, text in ticks:
        assert place == approx(float(text.replace("−", "-")), abs=1e-9)
        middle = (place - min(limits)) / abs(limits[1] - limits[0]) * room
        assert middle - text_width(text, 7) / 2 > last
        last = middle + text_width(text, 7) / 2
    assert len(ticks) >= 2 or room == 30 or limits[0] > 1e5


# Funnels ----------------------------------------------------------------------------------------


@few
def test_the_bands_of_a_sunset_funnel_are_where_power_has_its_round_values():
    result = pool(studies(12))
    power = excess_significance(result.effects, theta=0.4)
    picture = funnel(result, power=power)
    right = picture.axes[1]
    shown = {
        tick.label1.get_text() or tick.label2.get_text(): tick.get_loc()
        for tick in right.yaxis.get_major_ticks()
    }
    assert set(shown) <= {f"{p:.0%}" for p in POWERS}
    assert len(shown) >= 2
    for text, se in shown.items():
        crit = norm.ppf(0.975)
        reached = norm.sf(crit - 0.4 / se) + norm.cdf(-crit - 0.4 / se)
        assert reached == approx(float(text.strip("%")) / 100, abs=1e-4)
    assert f"expected {power.expected:.1f}" in printed(picture).replace("\u00a0", " ")


@few
def test_studies_filled_in_are_hollow_and_move_the_funnel():
    picture = MORE["funnel_filled"]()
    hollow = artist(picture, "filled")
    assert hollow.get_markerfacecolor() == "white"
    count = len(hollow.get_xydata())
    assert f"with {count} studies filled in on the left" in printed(picture)
    assert line(picture, "adjusted")[0, 0] < line(picture, "estimate")[0, 0]
    assert "filled 1:" in picture.alt


@few
def test_funnels_refuse_what_does_not_belong_together():
    result = pool(studies(10))
    other = trim_and_fill(studies(11))
    with pytest.raises(InputError, match="other studies"):
        funnel(result, fill=other)
    none = pooled(("A 2001", "B 2002"), (-1, -0.5), (0.1, 0.2), PROPORTION)
    with pytest.raises(InputError, match="power needs"):
        funnel(none, power=excess_significance(none.effects))


# Radial, Baujat, L'Abbé -------------------------------------------------------------------------


def test_the_slope_to_a_point_of_a_radial_plot_is_its_effect():
    result = pool(studies(14))
    for spread in ("model", "sampling"):
        x, z = line(radial(result, spread=spread), "studies").T
        assert z / x == approx(result.effects.yi)
    assert 1 / x**2 == approx(result.effects.vi)
    start, end = line(radial(result), "estimate")
    assert tuple(start) == (0, 0)
    assert end[1] / end[0] == approx(result.estimate)


def test_a_centred_radial_plot_starts_from_the_centre():
    result = pooled(names(6), -0.5 + np.arange(6) / 10, [0.05] * 6, PROPORTION)
    picture = radial(result)
    x, z = line(picture, "studies").T
    assert z / x == approx(result.effects.yi - result.estimate)
    assert line(picture, "estimate")[1, 1] == approx(0)
    assert "(Effect − " in printed(picture)


def test_studies_outside_the_band_of_a_radial_plot_are_counted_and_named():
    result = pool(studies(14, outlier=True))
    picture = radial(result, spread="sampling")
    off = np.abs(result.effects.yi - result.estimate) / np.sqrt(result.effects.vi) > norm.ppf(0.975)
    assert f"outside: {off.sum()} of 14" in printed(picture)
    assert picture.alt.count("(outside the band)") == off.sum()
    assert names(14)[7] in printed(picture)


def test_contributions_of_a_baujat_plot_add_up_to_q_under_a_common_effect():
    result = pool(studies(12), model="common")
    x, y = line(baujat(result, leave_one_out(result.effects, model="common")), "studies").T
    assert x.sum() == approx(result.q)
    i = 3  # left out by hand
    rest = given(np.delete(result.effects.yi, i), np.delete(result.effects.vi, i), study=names(11))
    without = pool(rest, model="common")
    assert y[i] == approx(((result.estimate - without.estimate) / without.se) ** 2)


@pytest.mark.parametrize("key", ["RR", "OR", "RD", "AS"])
def test_the_curve_of_a_labbe_plot_has_the_pooled_effect_everywhere(key):
    a, b, n = np.array([12, 30, 7]), np.array([20, 41, 15]), np.array([100, 150, 60])
    result = pool(effects(key, events_1=a, total_1=n, events_2=b, total_2=n))
    curve = line(labbe(result, a / n, b / n), "estimate") / 100
    inside = curve[(curve[:, 0] > 0.1) & (curve[:, 0] < 0.3)]
    for p2, p1 in inside[::60]:
        effect = {
            "RR": lambda p, q: math.log(p / q),
            "OR": lambda p, q: math.log(p / (1 - p) / (q / (1 - q))),
            "RD": lambda p, q: p - q,
            "AS": lambda p, q: math.asin(math.sqrt(p)) - math.asin(math.sqrt(q)),
        }[key](p1, p2)
        assert effect == approx(result.estimate)


def test_areas_on_a_labbe_plot_are_the_weights():
    result, one, two = two_arms()
    picture = labbe(result, one, two)
    sizes = np.array([artist(picture, f"study-{i}").get_markersize() for i in range(13)])
    i, j = np.argsort(result.weights)[[-1, -4]]
    assert (sizes[j] / sizes[i]) ** 2 == approx(result.weights[j] / result.weights[i])
    x, y = line(picture, "study-2")[0]
    assert (x, y) == approx((100 * two[2], 100 * one[2]))


def test_labbe_and_baujat_explain_what_they_cannot_draw():
    result, one, two = two_arms()
    with pytest.raises(InputError, match="between 0 and 1") as fault:
        labbe(result, 100 * one, two)
    assert "Alder 2004" in str(fault.value)
    with pytest.raises(InputError, match="against risks"):
        labbe(pool(studies(13)), one, two)
    with pytest.raises(InputError, match="12 risks"):
        labbe(result, one[1:], two)
    with pytest.raises(InputError, match="do not leave out"):
        baujat(result, leave_one_out(studies(12)))


# GOSH -------------------------------------------------------------------------------------------


def test_every_subset_is_in_a_cell_and_those_with_the_outlier_are_dotted():
    result, mean, i2, member = subsets()
    picture = gosh(mean, i2, measure=SMD, result=result, member=member, member_name="with it")
    cells = artist(picture, "cells")
    assert np.asarray(cells.get_array()).sum() == len(mean)
    dots = line(picture, "member")
    assert 0 < len(dots) < len(cells.get_offsets())
    assert dots[:, 0].min() > np.quantile(mean[~member], 0.9)
    assert tuple(line(picture, "whole")[0]) == approx((result.estimate, 100 * result.i2))
    assert f"{member.sum():,} subsets with it" in picture.alt


def test_undefined_subsets_are_counted_not_hidden():
    picture = gosh([0.1, 0.2, math.nan, 0.3], [0.0, 0.5, 0.2, math.nan], measure=RISK)
    assert "2 subsets without an estimate or I² are not drawn" in printed(picture)
    assert_tidy(picture)
    with pytest.raises(InputError, match="fewer than two subsets"):
        gosh([0.1], [0.2], measure=SMD)
    with pytest.raises(InputError, match="do not match"):
        gosh([0.1, 0.2], [0.2], measure=SMD)


def test_a_hundred_thousand_subsets_stay_a_small_vector_file(tmp_path):
    random = np.random.default_rng(2)
    picture = gosh(random.normal(0.3, 0.1, 100_000), random.beta(2, 3, 100_000), measure=SMD)
    (svg,) = save(picture, tmp_path / "gosh", date=dt.date(2026, 1, 31), kinds=("svg",))
    assert svg.stat().st_size < 500_000


# Influence --------------------------------------------------------------------------------------


def test_an_influential_study_is_a_diamond_with_a_bold_name():
    found = influence(studies(9, outlier=True))
    assert found.influential.tolist() == [i == 4 for i in range(9)]
    picture = influence_panel(found, width_mm=170)
    bold = {t.get_text() for t in picture.texts if t.get_weight() == "bold"}
    assert names(9)[4] in bold
    assert names(9)[3] not in bold
    marks = [a for axes in picture.axes for a in axes.lines if a.get_marker() == "D"]
    assert len(marks) == len(PANELS)
    assert f"{names(9)[4]} (influential)" in picture.alt


def test_every_diagnostic_stands_at_its_value():
    result = pool(studies(9, outlier=True))
    found = influence(result.effects)
    picture = influence_panel(found, result=result, panels=("cook", "tau2_deleted"), width_mm=170)
    for axes, values in zip(picture.axes, (found.cook, found.tau2_deleted), strict=True):
        drawn = [a.get_xdata()[0] for a in axes.lines if a.get_marker() in "oD"]
        assert drawn == approx(values)
    assert picture.axes[1].lines[0].get_xdata()[0] == result.tau2


def test_an_undefined_diagnostic_is_a_dash():
    found = influence(studies(4))
    gap = dataclasses.replace(found, cook=np.array([0.1, math.nan, 0.2, 0.1]))
    picture = influence_panel(gap, panels=("cook",), width_mm=89)
    assert printed(picture).count("–") == 1
    with pytest.raises(UnknownName, match="dfbeta"):
        influence_panel(found, panels=("dfbeta",))
    empty = {f.name: getattr(found, f.name)[:0] for f in dataclasses.fields(Influence)}
    with pytest.raises(InputError, match="nothing to draw"):
        influence_panel(Influence(**empty))


# Bubble and orchard -----------------------------------------------------------------------------


def test_the_line_of_a_bubble_plot_is_the_prediction():
    result = regression()
    picture = bubble(result, "dose")
    drawn = line(picture, "line")
    rows = np.stack((np.ones(len(drawn)), drawn[:, 0]), axis=1)
    assert drawn[:, 1] == approx(predict(result, rows).estimate)
    assert (drawn[0, 0], drawn[-1, 0]) == (result.design.x[:, 1].min(), result.design.x[:, 1].max())
    x, y = line(picture, "study-5")[0]
    assert (x, y) == (result.design.x[5, 1], result.effects.yi[5])


def test_lines_of_levels_follow_the_interaction_and_end_with_their_studies():
    result = regression(by=True)
    picture = bubble(result, "dose", by="kind")
    fitted = [artist(picture, f"line-{level}") for level in ("aerobic", "mixed")]
    mixed = result.design.x[:, list(result.names).index("kind: mixed")] == 1
    for drawn, members, slope in zip(
        fitted,
        (~mixed, mixed),
        (result.beta[1], result.beta[1] + result.beta[-1]),
        strict=True,
    ):
        x, y = drawn.get_xydata().T
        assert (y[-1] - y[0]) / (x[-1] - x[0]) == approx(slope)
        dose = result.design.x[members, 1]
        assert (x[0], x[-1]) == (dose.min(), dose.max())


def test_other_moderators_are_held_at_their_means_or_where_asked():
    found = studies(20)
    random = np.random.default_rng(1)
    dose, age = random.uniform(0, 10, 20), random.uniform(20, 80, 20)
    result = regress(found, {"dose": dose, "age": age})

    def start(**options) -> float:
        return float(line(bubble(result, "dose", **options), "line")[0, 1])

    assert start() == approx(result.beta @ [1, dose.min(), age.mean()])
    assert start(at={"age": 30}) == approx(result.beta @ [1, dose.min(), 30])
    assert "Held at their means: age" in printed(bubble(result, "dose"))
    with pytest.raises(UnknownName, match="years"):
        bubble(result, "dose", at={"years": 3})


def test_bubble_plots_explain_what_they_cannot_draw():
    result = regression(by=True)
    with pytest.raises(InputError, match="factor"):
        bubble(result, "kind")
    with pytest.raises(UnknownName, match="doses"):
        bubble(result, "doses")
    with pytest.raises(UnknownName, match="arm"):
        bubble(result, "dose", by="arm")


def test_no_study_of_an_orchard_lies_on_another():
    result = pool(studies(60))
    picture = orchard({"All": result})
    scatter = artist(picture, "analysis-0-studies")
    places = picture.axes[0].transData.transform(scatter.get_offsets()) * 72 / picture.dpi
    radius = np.sqrt(scatter.get_sizes()) / 2
    assert len(places) == 60
    apart = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1))
    together = radius[:, None] + radius[None, :]
    apart[np.diag_indices(60)] = np.inf
    assert (apart >= together - 0.1).all()
    assert np.asarray(scatter.get_offsets())[:, 0] == approx(result.effects.yi)


def test_an_orchard_shows_mean_interval_and_prediction_of_each_analysis():
    one, two = pool(studies(9)), pool(studies(5, seed=9))
    picture = orchard({"One": one, "Two": two})
    for i, result in enumerate((one, two)):
        assert line(picture, f"analysis-{i}-mean")[0, 0] == result.estimate
        assert line(picture, f"analysis-{i}-interval")[:, 0] == approx(result.ci)
        assert f"k = {result.effects.k}, I² = {result.i2:.0%}" in printed(picture)
    cut = orchard({"One": one}, limits=(0.2, 0.5))
    beyond = int((one.effects.yi < 0.2).sum())
    assert str(beyond) in [t.get_text() for t in cut.texts]
    with pytest.raises(InputError, match="differ in measure"):
        orchard({"One": one, "Two": two_arms()[0]})


# Albatross and directions -----------------------------------------------------------------------


def test_contours_of_an_albatross_are_the_sizes_that_make_such_a_p():
    # A trial of n people in two equal arms whose SMD is d has v = 4/n + d²/(2n).
    d, n = 0.4, 120.0
    z = d / math.sqrt(4 / n + d**2 / (2 * n))
    assert people_for(np.array(z), "SMD", d, 1.0, None) == approx(n)
    r, z = 0.3, math.atanh(0.3) * math.sqrt(80 - 3)
    assert people_for(np.array(z), "COR", r, 1.0, None) == approx(80)
    # 40 and 20 of 200 people each: the variance of the measures module gives the z.
    for key, value in (("RR", 2.0), ("OR", (40 / 160) / (20 / 180))):
        two = effects(key, events_1=[40], total_1=[200], events_2=[20], total_2=[200])
        z = two.yi[0] / math.sqrt(two.vi[0])
        assert people_for(np.array(z), key, value, 1.0, 0.1) == approx(400)
    # Twice as many in the intervention arm.
    two = effects("RR", events_1=[80], total_1=[400], events_2=[20], total_2=[200])
    z = two.yi[0] / math.sqrt(two.vi[0])
    assert people_for(np.array(z), "RR", 2.0, 2.0, 0.1) == approx(600)


def test_studies_of_an_albatross_stand_at_their_p_and_size():
    p, n, up = albatross_data()
    picture = albatross(p, n, up, study=names(15), effect="OR", risk=0.1)
    x, y = line(picture, "studies").T
    assert 10 ** -np.abs(x) == approx(p)
    assert np.array_equal(x > 0, up)
    assert 10**y == approx(n)
    assert "risk 10% in the comparator" in picture.alt
    assert_tidy(picture)


def test_albatrosses_explain_what_they_cannot_draw():
    with pytest.raises(InputError, match="above 0") as fault:
        albatross([0.0, 0.2], [20, 0], [True, False], study=("A", "B"))
    assert fault.value.places == ("A: p = 0", "B: n = 0")
    good = {"p": [0.1], "n": [20], "positive": [True], "study": ("A",)}
    with pytest.raises(InputError, match="comparator's risk"):
        albatross(**good, effect="RR")
    with pytest.raises(InputError, match="more than everyone"):
        albatross(**good, effect="RR", risk=0.6)
    with pytest.raises(InputError, match="contours"):
        albatross(**good, effect="OR", risk=0.2, contours=(0.5,))
    with pytest.raises(UnknownName, match="HR"):
        albatross(**good, effect="HR")


def test_arrows_differ_in_shape_and_fill_and_grow_with_the_study():
    rows = [
        StudyDirections("Small 2001", 20, (Direction("better"), Direction("mixed"))),
        StudyDirections("Large 2002", 400, (Direction("better"), Direction("worse", 3))),
    ]
    picture = directions(rows, ("Memory", "Mood"), width_mm=89)
    assert_tidy(picture)
    small, large = artist(picture, "cell-0-0-better"), artist(picture, "cell-1-0-better")
    assert large.get_markersize() > 1.5 * small.get_markersize()
    worse = artist(picture, "cell-1-1-worse")
    assert (small.get_marker(), worse.get_marker()) == ("^", "v")
    assert worse.get_markerfacecolor() == "white"
    assert len(gids(picture, "cell-0-1-mixed")) == 2
    assert "3" in [t.get_text() for t in picture.texts]
    assert "Mood against it (3 outcomes)" in picture.alt


def test_votes_are_printed_under_their_domains():
    words = printed(MORE["directions"](170))
    test = sign_test(6, 1)
    assert f"6/7 | {test.ci[0]:.0%}–{test.ci[1]:.0%} | p = 0.125" in words
    assert "RoB" in words


def test_directions_explain_what_they_cannot_draw():
    row = StudyDirections("A 2001", 20, (Direction("better"),))
    with pytest.raises(InputError, match="2 domains"):
        directions([row], ("One", "Two"))
    with pytest.raises(InputError, match="nothing to draw"):
        directions([], ("One",))
    wide = StudyDirections("A 2001", 20, (Direction("better"),) * 12)
    with pytest.raises(InputError, match="89 mm cannot hold 12 domains"):
        directions([wide], tuple(f"Neuropsychology {i}" for i in range(12)), width_mm=89)
    with pytest.raises(UnknownName, match="lowish"):
        directions([dataclasses.replace(row, risk="lowish")], ("One",))


# Forest variants --------------------------------------------------------------------------------


def test_every_light_has_a_sign_and_darkens_with_risk():
    grey = {j: float(np.dot(to_rgb(c), (0.299, 0.587, 0.114))) for j, (_, c, *_) in LIGHTS.items()}
    assert grey["low"] > grey["some concerns"] + 0.05
    assert grey["some concerns"] > grey["high"] + 0.2 > grey["critical"] + 0.4
    signs = {j: sign for j, (sign, *_) in LIGHTS.items()}
    assert len({signs[j] for j in ("low", "some concerns", "high", "critical")}) == 4


@pytest.mark.parametrize("width_mm", [89, 170])
def test_lights_stand_in_their_rows_and_are_explained(width_mm):
    picture = forest(lit(), measure=SMD, lights=DOMAINS, width_mm=width_mm)
    assert_tidy(picture)
    judged = [row.lights for row in lit()[0].rows]
    assert len([g for g in gids(picture, "") if re.search(r"row-0-\d-light-\d$", g)]) == sum(
        bool(j) for row in judged for j in row
    )
    low = artist(picture, "row-0-0-light-0")
    assert low.get_markerfacecolor() == LIGHTS[judged[0][0]][1]
    words = printed(picture)
    assert "D1: randomisation" in words
    assert {"low risk", "high risk"} <= set(words.split(" | "))
    assert f"(risk of bias: D1 {judged[0][0]}, D2 {judged[0][1]}" in picture.alt
    beside = low.get_xdata()[0] > 0.5
    assert beside == (width_mm == 170)  # under the names where the page is narrow


def test_rows_with_other_lights_than_heads_are_named():
    row = Row("Alder 2004", 0.1, (0.0, 0.2), 1.0, ("1",), lights=("low", "high"))
    with pytest.raises(InputError, match="Alder 2004: 2 judgements"):
        forest([Group("", (row,))], measure=SMD, lights={"D1": ""})
    odd = dataclasses.replace(row, lights=("medium",))
    with pytest.raises(UnknownName, match="medium"):
        forest([Group("", (odd,))], measure=SMD, lights={"D1": ""})


def test_a_leave_one_out_forest_shows_what_is_left_and_the_whole():
    found = studies(7, outlier=True)
    refits, result = leave_one_out(found), pool(found)
    picture = leave_one_out_forest(refits, result, order="estimate", width_mm=170)
    drawn = [line(picture, f"row-0-{i}-square")[0, 0] for i in range(7)]
    assert drawn == approx(sorted(refits.estimate))
    words = printed(picture)
    assert "Left out" in words
    assert f"{result.i2:.0%}" in words
    assert gids(picture, "pooled-0-diamond")


def test_a_cumulative_forest_ends_with_the_pooled_effect():
    found = studies(7)
    refits, result = cumulative(found), pool(found)
    picture = cumulative_forest(refits, result, width_mm=170)
    last = line(picture, "row-0-6-square")[0, 0]
    assert last == approx(result.estimate)
    assert "+ Beech" not in printed(picture)
    assert f"+ {names(7)[1]}" in printed(picture)
    assert {"1", "7"} <= {t.get_text() for t in picture.texts}


def test_refits_of_the_wrong_kind_are_refused():
    found = studies(7)
    result = pool(found)
    with pytest.raises(InputError, match="leave nothing out"):
        leave_one_out_forest(cumulative(found), result)
    with pytest.raises(InputError, match="do not add up"):
        cumulative_forest(leave_one_out(found), result)
    with pytest.raises(InputError, match="90% beside"):
        leave_one_out_forest(leave_one_out(found, level=0.9), result)


def test_refits_say_where_the_interval_changes_its_kind():
    found = studies(7)
    refits, result = cumulative(found), pool(found)
    other = sum(method != result.ci_method for method in refits.ci_method)
    assert other
    assert f"{other} of 7 rows have" in printed(cumulative_forest(refits, result, width_mm=170))


def test_a_prediction_interval_names_its_distribution():
    found = studies(5)
    assert prediction_label(pool(found)) == "Prediction interval (t,\u00a03\u00a0df)"
    normal = pool(found, ci="Wald", prediction="metafor")
    assert prediction_label(normal) == "Prediction interval (normal)"
    picture = forest([Group("", (), pool(found))], measure=SMD)
    assert "Prediction interval (t, 3 df)" in printed(picture)
    assert "Prediction interval (t, 3 df)" in describe([Group("", (), pool(found))], SMD)


def test_a_pool_without_rows_has_no_dotted_line_above_its_diamond():
    result = pool(studies(5))
    rows = group(3).rows

    def dotted(*groups: Group) -> int:
        plot = forest(groups, measure=SMD).axes[0]
        return sum(
            np.ptp(a.get_xdata()) == 0 and a.get_linestyle() == "--" and len(a.get_xdata()) == 2
            for a in plot.lines
        )

    assert dotted(Group("Alone", (), result)) == 0
    assert dotted(Group("With rows", rows, result)) == 1
    assert dotted(Group("With rows", rows, result), Group("Alone", (), result)) == 1
