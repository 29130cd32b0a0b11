"""Forest and funnel plots: what they show, that nothing collides, and how they look."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from meta.errors import InputError, ToolkitError
from meta.measures.registry import Measure
from meta.plots.axis import limits_for, ticks_for
from meta.plots.forest_plot import Group, Row, describe, forest, save
from meta.plots.funnel_plot import funnel
from meta.plots.style import Picture, fit, styled, text_width
from meta.pooling import pool
from meta.results import Effects, show
from tests import pictures
from tests.pictures import CORRELATION, PROPORTION, RISK, SMD, everything, group, pooled

approx = pytest.approx
DAY = dt.date(2026, 1, 31)
SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: Picture) -> list[Text]:
    return [t for t in picture.findobj(Text) if t.get_visible() and t.get_text().strip()]


def printed(picture: Picture) -> str:
    return " | ".join(t.get_text().replace("\u00a0", " ") for t in texts(picture))


def gids(picture: Picture, ending: str) -> list[str]:
    return [g for a in picture.findobj() if (g := a.get_gid() or "").endswith(ending)]


def boxes(picture: Picture) -> tuple[list[str], np.ndarray]:
    """Every text and its box (x0, y0, x1, y1) in points, as the renderer measures it."""
    with styled():
        renderer = picture.canvas.get_renderer()
        found = texts(picture)
        extents = [t.get_window_extent(renderer).extents for t in found]
    return [t.get_text() for t in found], np.array(extents) * 72 / picture.dpi


def assert_tidy(picture: Picture) -> None:
    """No text touches another or leaves the page."""
    words, edges = boxes(picture)
    wide, high = picture.size_points
    out = (edges.min(axis=1) < -0.2) | (edges[:, 2] > wide + 0.2) | (edges[:, 3] > high + 0.2)
    assert not [words[i] for i in np.flatnonzero(out)]
    x0, y0, x1, y1 = (edges + np.array([0.25, 0.25, -0.25, -0.25])).T  # rounding to pixels
    apart = (x1[:, None] <= x0) | (x1 <= x0[:, None]) | (y1[:, None] <= y0) | (y1 <= y0[:, None])
    pairs = [(words[i], words[j]) for i, j in np.argwhere(~apart) if i < j]
    assert not pairs


def as_drawn(k: int, width_mm: float, **options: object) -> Picture:
    return forest(
        [group(k, kinds=True)],
        measure=SMD,
        columns=("n", "Exercise type"),
        left="BDNF lower after exercise",
        right="BDNF higher after exercise",
        title="Exercise and brain-derived neurotrophic factor",
        width_mm=width_mm,
        **options,
    )


@pytest.mark.parametrize("width_mm", [89, 120, 170])
@pytest.mark.parametrize("k", [1, 2, 5, 13])
def test_no_text_touches_another_or_leaves_the_page(k, width_mm):
    assert_tidy(as_drawn(k, width_mm))


@pytest.mark.parametrize(("k", "width_mm"), [(60, 89), (200, 170)])
def test_large_plots_are_as_tidy(k, width_mm):
    assert_tidy(as_drawn(k, width_mm))


@pytest.mark.parametrize("width_mm", [89, 170])
def test_groups_with_every_kind_of_row_are_tidy(width_mm):
    picture = forest(
        everything(),
        measure=SMD,
        columns=("n", "Exercise type"),
        left="a fairly long way of saying that the outcome is lower in those who trained",
        right="and that it is higher",
        smallest_effect=0.2,
        width_mm=width_mm,
    )
    assert_tidy(picture)


@pytest.mark.parametrize("width_mm", [89, 170])
def test_funnels_are_tidy(width_mm):
    for k in (1, 2, 6, 30):
        result = pooled(pictures.names(k), [0.3] * k, [0.02 * (i + 1) for i in range(k)])
        assert_tidy(funnel(result, title="Small studies and large", width_mm=width_mm))


def test_extreme_numbers_and_names_stay_tidy():
    rows = (
        Row(
            "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh 2020",
            -1234.5,
            (-9e4, 8e4),
            0.5,
            ("9",),
        ),
        Row("X", math.nan, (math.nan, math.nan), None, ("",), "unpooled"),
        Row("Open-ended 2001", 3.0, (-math.inf, math.inf), 0.5, ("10",)),
    )
    for width in (89, 170):
        picture = forest([Group("", rows)], measure=SMD, width_mm=width)
        assert_tidy(picture)
    assert "–" in printed(picture)


@pytest.mark.parametrize("name", pictures.CASES)
def test_pictures_look_as_before(name):
    apart = pictures.difference(pictures.pixels(pictures.CASES[name]()), pictures.read(name))
    assert apart <= pictures.TOLERANCE, "renew with `python -m tests.pictures`, look, commit"
    assert (pictures.FOLDER / f"{name}.png").stat().st_size <= 30_000


def _one(**changes: object) -> Picture:
    """The picture `forest` with one thing changed in its third row."""
    whole = group(7)
    rows = list(whole.rows)
    rows[2] = dataclasses.replace(rows[2], **changes)
    changed = dataclasses.replace(whole, rows=tuple(rows))
    return forest([changed], measure=SMD, left="lower after exercise", right="higher")


@pytest.mark.parametrize(
    "changes",
    [
        {"yi": group(7).rows[2].yi + 0.05},
        {"ci": (group(7).rows[2].ci[0] - 0.05, group(7).rows[2].ci[1])},
        {"role": "sensitivity"},
        {"label": "Çelik & Østergård 2012"},
        {"weight": 0.1},
        {"columns": ("7",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_visible_change_of_one_row_fails_the_picture_test(changes):
    apart = pictures.difference(pictures.pixels(_one(**changes)), pictures.read("forest"))
    assert apart > 1.5 * pictures.TOLERANCE


def test_numbers_read_as_in_a_journal():
    row = Row("Alder 2004", 0.72, (-0.15, 1.29), 0.123, ("20",))
    picture = forest([Group("", (row,))], measure=SMD)
    shown = [t.get_text() for t in texts(picture)]
    assert " ".join(t for t in shown if t in ("0.72", "[−0.15,", "1.29]")) == "0.72 [−0.15, 1.29]"
    assert {"12.3%", "20", "SMD [95% CI]", "Weight"} <= set(shown)


def test_decimal_points_stand_under_each_other():
    words, edges = boxes(as_drawn(13, 170))
    for pattern in (r"−?\d\.\d\d", r"\[−?\d\.\d\d,", r"−?\d\.\d\d\]"):
        rights = [
            box[2] for text, box in zip(words, edges, strict=True) if re.fullmatch(pattern, text)
        ]
        assert len(rights) >= 13
        assert max(rights) - min(rights) < 0.5


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow_on_that_side():
    rows = (
        Row("Inside", 0.1, (-0.4, 0.6), 0.4, ("1",)),
        Row("Right", 0.5, (-0.5, 3.0), 0.3, ("1",)),
        Row("Both", 0.0, (-4.0, 4.0), 0.3, ("1",)),
    )
    picture = forest([Group("", rows)], measure=SMD, limits=(-1, 1))
    arrows = gids(picture, "arrow-low") + gids(picture, "arrow-high")
    assert sorted(arrows) == ["row-0-1-arrow-high", "row-0-2-arrow-high", "row-0-2-arrow-low"]
    assert "interval goes on beyond the axis" in printed(picture)
    assert not gids(forest([Group("", rows)], measure=SMD, limits=(-5, 5)), "arrow-high")


def test_an_effect_off_the_axis_has_an_arrow_and_no_square():
    rows = (Row("Far", 4.0, (3.0, 5.0), 1.0, ("1",)),)
    picture = forest([Group("", rows)], measure=SMD, limits=(-1, 1))
    assert gids(picture, "arrow-high") == ["row-0-0-arrow-high"]
    assert not gids(picture, "square")
    assert not gids(picture, "interval")


def test_one_extreme_interval_does_not_squeeze_the_others():
    usual = [(-0.5, 0.5), (-0.2, 0.9), (0.1, 1.1), (-0.4, 0.8)]
    low, high = limits_for([*usual, (-40, 60)], [0.0, 0.3])
    assert -3 < low < -0.5
    assert 1.1 < high < 3


def test_squares_have_areas_in_proportion_to_weights():
    rows = tuple(Row(f"S{w}", 0.0, (-1.0, 1.0), w, ("1",)) for w in (0.64, 0.32, 0.04))
    picture = forest([Group("", rows)], measure=SMD)
    sides = {a.get_gid(): a.get_markersize() for a in picture.axes[0].lines if a.get_gid()}
    areas = [sides[f"row-0-{i}-square"] ** 2 for i in range(3)]
    assert areas[1] / areas[0] == approx(0.5)
    assert areas[2] / areas[0] >= 0.04  # the smallest stays visible


def test_sensitivity_rows_are_hollow_and_published_rows_grey_diamonds():
    picture = forest(everything(), measure=SMD, columns=("n", "Exercise type"))
    squares = {a.get_gid(): a for a in picture.axes[0].lines if a.get_gid()}
    assert squares["row-0-3-square"].get_markerfacecolor() == "white"
    assert squares["row-0-0-square"].get_markerfacecolor() != "white"
    diamonds = gids(picture, "diamond")
    assert sorted(diamonds) == [
        "pooled-0-diamond",
        "pooled-1-diamond",
        "row-3-0-diamond",
        "row-3-1-diamond",
    ]  # none for the study that stands alone
    assert "One study: shown, not pooled." in printed(picture)


def test_an_analysis_shows_its_diamond_prediction_method_and_heterogeneity():
    y, v = np.array([0.1, 0.9, 0.4, 1.2]), np.array([0.04, 0.05, 0.03, 0.06])
    study = ("Alder 2004", "Beech 2008", "Cedar 2010", "Elm 2015")
    result = pool(Effects(SMD, study, y, v, study))
    half = 1.96 * np.sqrt(v)
    rows = tuple(
        Row(s, float(a), (float(a - h), float(a + h)), float(w), ("20",))
        for s, a, h, w in zip(study, y, half, result.weights, strict=True)
    )
    picture = forest([Group("", rows, result)], measure=SMD)
    assert_tidy(picture)
    assert gids(picture, "pooled-0-diamond")
    assert gids(picture, "prediction-0-interval")
    words = printed(picture)
    assert "Pooled effect (k = 4)" in words
    assert "Prediction interval" in words
    assert f"I² = {result.i2:.0%}" in words
    assert result.ci_method in words
    diamond = next(p for p in picture.axes[0].patches if p.get_gid() == "pooled-0-diamond")
    corners = diamond.get_xy()[:, 0]
    assert (corners.min(), corners.max()) == approx(result.ci)


def test_a_pool_at_another_level_than_the_column_head_says_so():
    study, y, v = ("A 2001", "B 2002", "C 2003"), (0.1, 0.5, 0.6), (0.04, 0.05, 0.03)
    ninety = pooled(study, y, v, level=0.9)
    usual = Group("One", (), pooled(study, y, v))
    words = printed(forest([usual, Group("Two", (), ninety)], measure=SMD))
    assert "(k = 3, 90% CI)" in words


def test_ratios_stand_on_a_log_axis_with_natural_numbers():
    picture = pictures.CASES["forest_ratio"]()
    axis = picture.axes[0].xaxis
    for tick in axis.get_major_ticks():
        assert math.exp(tick.get_loc()) == approx(float(tick.label1.get_text()), rel=0.01)
    assert "1" in {t.get_text() for t in axis.get_ticklabels()}
    assert "Risk ratio (log scale)" in printed(picture)


@pytest.mark.parametrize("measure", [SMD, RISK, CORRELATION, PROPORTION], ids=lambda m: m.key)
@pytest.mark.parametrize("limits", [(-0.01, 0.012), (-0.3, 0.2), (-1, 2.5), (-4, 3), (-9, 8)])
@pytest.mark.parametrize("width", [45, 120, 300])
def test_every_axis_has_round_numbers_that_do_not_touch(measure, limits, width):
    ticks = ticks_for(limits, measure, width=width, size=7)
    assert 2 <= len(ticks) <= 7 or (width == 45 and ticks)
    last = -math.inf
    for place, text in ticks:
        assert measure.natural(place) == approx(float(text.replace("−", "-")), rel=0.02, abs=1e-6)
        middle = (place - limits[0]) / (limits[1] - limits[0]) * width
        assert middle - text_width(text, 7) / 2 > last
        last = middle + text_width(text, 7) / 2


def test_a_measure_without_a_value_of_no_effect_has_no_line():
    rows = (Row("Alder 2004", -1.0, (-2.0, 0.0), 1.0, ("50",)),)
    drawn = forest([Group("", rows)], measure=PROPORTION, smallest_effect=0.1)
    assert not [a for a in drawn.axes[0].lines if a.get_gid() is None]
    assert "0.27" in printed(drawn)


def test_directions_stand_on_their_sides_of_no_effect():
    picture = as_drawn(5, 170)
    null = picture.axes[0].transData.transform((0, 0))[0] * 72 / picture.dpi
    words, edges = boxes(picture)
    left = next(i for i, text in enumerate(words) if text.startswith("←"))
    right = next(i for i, text in enumerate(words) if text.endswith("→"))
    assert edges[left, 2] < null < edges[right, 0]


def test_the_zone_of_small_effects_is_shaded_and_explained():
    rows = (Row("Alder 2004", 0.3, (-0.2, 0.8), 1.0, ("50",)),)
    picture = forest([Group("", rows)], measure=SMD, smallest_effect=0.25)
    assert "smaller than the smallest effect of interest (−0.25 to 0.25)" in printed(picture)
    patch = picture.axes[0].patches[0]
    assert (patch.get_x(), patch.get_x() + patch.get_width()) == approx((-0.25, 0.25))


def test_the_alt_text_names_every_study_and_every_number():
    groups = everything()
    alt = describe(groups, SMD)
    for one in groups:
        for row in one.rows:
            assert f"{row.label}: {show(row.yi)} [{show(row.ci[0])}, {show(row.ci[1])}]" in alt
        if one.result:
            assert one.result.heterogeneity() in alt
        else:
            assert one.note.rstrip(".") in alt
    assert "Sorrel 2009: 4.50 [−2.00, 11.00] (sensitivity only)" in alt
    assert alt.count("Not pooled.") == 2


def test_the_svg_tells_what_it_shows_links_studies_and_keeps_full_names(tmp_path):
    long = "Hawthorn-Willoughby, Rowan, Maple, Juniper, Sycamore, Blackthorn & Elderflower 2016"
    rows = (
        Row(long, 0.4, (0.1, 0.7), 0.6, ("30",), href="https://example.org/?a=1&b=2"),
        Row('A <b> "quoted" -- $x_1$ 2001', 0.2, (-0.1, 0.5), 0.4, ("20",)),
    )
    picture = forest([Group("", rows)], measure=SMD, title="Less & more", width_mm=89)
    names = [t for t in texts(picture) if t.get_url()]
    assert names[-1].get_text().endswith("… 2016")
    (svg,) = save(picture, tmp_path / "plot", date=DAY, kinds=("svg",))
    root = ET.fromstring(svg.read_bytes())
    assert root.find(f"{SVG}title").text == "Less & more"
    assert root.find(f"{SVG}desc").text == picture.alt
    assert root.get("role") == "group"  # an image would hide its links
    links = list(root.iter(f"{SVG}a"))
    assert {a.get("{http://www.w3.org/1999/xlink}href") for a in links} == {rows[0].href}
    assert {a.find(f"{SVG}title").text for a in links} == {long}
    assert "font-family" not in svg.read_text()  # outlines: no font to be missing


def test_a_picture_without_links_is_an_image(tmp_path):
    rows = (Row("Alder 2004", 0.4, (0.1, 0.7), 0.6, ("30",)),)
    picture = forest([Group("", rows)], measure=SMD)
    (svg,) = save(picture, tmp_path / "plot", date=DAY, kinds=("svg",))
    assert ET.fromstring(svg.read_bytes()).get("role") == "img"


SCRIPT = """
import datetime as dt, pathlib, sys
from tests.pictures import CASES
from meta.plots import save
save(CASES["forest_ratio"](), pathlib.Path(sys.argv[1]), date=dt.date(2026, 1, 31))
"""


def test_the_same_picture_and_day_give_the_same_bytes_here_and_in_another_process(tmp_path, root):
    def all_bytes(folder: str) -> list[bytes]:
        return [
            (tmp_path / folder / f"fig.1.{kind}").read_bytes() for kind in ("svg", "pdf", "png")
        ]

    for folder in ("one", "two"):
        save(pictures.CASES["forest_ratio"](), tmp_path / folder / "fig.1", date=DAY)
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "three" / "fig.1")]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run(command, check=True, cwd=root, env=environment)
    assert all_bytes("one") == all_bytes("two") == all_bytes("three")
    left = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert left == ["fig.1.pdf", "fig.1.png", "fig.1.svg"]


def test_the_pdf_embeds_truetype_and_carries_the_day(tmp_path):
    (pdf,) = save(_one(), tmp_path / "plot", date=DAY, kinds=("pdf",))
    content = pdf.read_bytes()
    assert b"/CIDFontType2" in content
    assert b"/Type3" not in content
    assert b"D:20260131000000Z" in content


def test_a_file_that_cannot_be_written_is_a_fault_and_leaves_no_half_file(tmp_path):
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(ToolkitError, match=r"plot\.png cannot be written"):
        save(_one(), tmp_path / "plot", date=DAY, kinds=("svg", "png"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plot.png", "plot.svg"]
    ET.fromstring((tmp_path / "plot.svg").read_bytes())


def test_drawing_neither_heeds_nor_changes_the_users_settings(tmp_path):
    plain = pictures.pixels(_one())
    with rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        before = dict(rcParams)
        assert np.array_equal(pictures.pixels(_one()), plain)
        assert dict(rcParams) == before


def test_statistics_load_without_matplotlib(root):
    code = "import sys, meta, meta.plots, meta.pooling; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_grey_print_keeps_our_effects_apart_from_published_ones():
    picture = forest(everything(), measure=SMD, columns=("n", "Exercise type"))
    grey = {
        p.get_gid(): float(np.dot(to_rgb(p.get_facecolor()[:3]), (0.299, 0.587, 0.114)))
        for p in picture.axes[0].patches
        if p.get_gid()
    }
    assert grey["row-3-0-diamond"] - grey["pooled-0-diamond"] > 0.25


def test_wrong_input_is_explained():
    row = Row("Alder 2004", 0.1, (0.0, 0.2), 1.0, ("1", "x"))
    with pytest.raises(InputError, match=r"Alder 2004: 2 cells"):
        forest([Group("", (row,))], measure=SMD)
    with pytest.raises(InputError, match="nothing to draw"):
        forest([Group("Empty", ())], measure=SMD)
    with pytest.raises(InputError, match="not a low and a high end"):
        forest([group(2)], measure=SMD, limits=(1, -1))
    heads = {f"D{i}": "" for i in range(30)}
    wide = Row("Alder 2004", 0.1, (0.0, 0.2), 1.0, (), lights=("low",) * 30)
    with pytest.raises(InputError, match="89 mm cannot hold"):
        forest([Group("", (wide,))], measure=SMD, columns=(), lights=heads, width_mm=89)
    result = group(3).result
    with pytest.raises(InputError, match="contours"):
        funnel(result, contours=(0.95, 0.9))


def test_long_names_are_broken_between_words_and_keep_their_year():
    name = "Hernández-Martínez & O’Connor 2019"
    lines = fit(name, 60, 7)
    assert lines[0] == "Hernández-"
    assert lines[-1].endswith("… 2019")
    assert all(text_width(line, 7) <= 60 for line in lines)
    assert " ".join(fit(name, 80, 7)) == name
    assert fit("", 60, 7) == [""]


def test_a_funnel_warns_below_ten_studies_only():
    few = funnel(pooled(pictures.names(9), [0.1] * 9, [0.05] * 9))
    enough = funnel(pooled(pictures.names(10), [0.1] * 10, [0.05] * 10))
    assert "Fewer than 10 studies (k = 9)" in printed(few)
    assert "Fewer than" not in printed(enough)
    assert "García-Suárez 2011: 0.10, standard error 0.22" in few.alt


def test_a_funnels_contours_follow_the_normal_distribution():
    result = pooled(pictures.names(12), np.linspace(-0.2, 0.9, 12), np.linspace(0.01, 0.2, 12))
    picture = funnel(result)
    most = picture.axes[0].get_ylim()[0]
    edges = sorted(float(p.get_xy()[:, 0].max()) / most for p in picture.axes[0].patches)
    assert edges == approx([1.6449, 1.9600, 2.5758], abs=1e-4)
    points = next(a for a in picture.axes[0].lines if a.get_gid() == "studies")
    assert points.get_ydata() == approx(np.sqrt(result.effects.vi))


def test_a_funnel_of_proportions_has_no_contours():
    measure: Measure = PROPORTION
    picture = funnel(pooled(("A 2001", "B 2002"), (-1, -0.5), (0.1, 0.2), measure))
    assert not picture.axes[0].patches
    assert "p <" not in printed(picture)
