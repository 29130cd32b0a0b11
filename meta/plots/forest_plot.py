"""The forest plot: studies, their effects and weights, and a diamond for each analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from meta.errors import InputError, UnknownName
from meta.measures.registry import Measure
from meta.plots.analyses import Order, Shown, are_groups, groups_of
from meta.plots.axis import ticks_for
from meta.plots.groups import (
    Group,
    Row,
    axis_name,
    check,
    describe,
    ends,
    small_print,
)
from meta.plots.layout import MARGIN, Band, Layout, folded_lines
from meta.plots.lights import LIGHTS, light, present
from meta.plots.style import (
    INK,
    LEADING,
    OURS,
    PUBLISHED,
    REFERENCE,
    RULE,
    SOFT,
    ZONE,
    Page,
    fit,
    font,
    page_for,
    room_of,
    save,
    styled,
    text_width,
)

__all__ = ["Group", "Row", "describe", "forest", "save"]


def forest(
    shown: Shown,
    *,
    measure: Measure | None = None,
    columns: Sequence[str] | Mapping[str, Sequence[Any]] | None = None,
    totals: Sequence[str] = (),
    risk_of_bias: Mapping[str, Sequence[str]] | None = None,
    order: Order = "given",
    left: str = "",
    right: str = "",
    x_label: str | None = None,
    limits: tuple[float, float] | None = None,
    smallest_effect: float | None = None,
    lights: Mapping[str, str] | None = None,
    name_head: str = "Study",
    title: str | None = None,
    width_mm: float = 170,
    ax: Axes | None = None,
) -> Page:
    """Draw a forest plot; its height follows from the number of rows.

    Parameters
    ----------
    shown : what is drawn, one of
        a pooled effect (``meta.pool``, ``mantel_haenszel``, ``peto`` and the like);
        several of the same studies, in a list or by name: one diamond for each model;
        several of different studies: one group for each;
        subgroups (``meta.subgroups``), with all studies and the test between them below;
        effects alone, which are then not pooled;
        or groups of rows made by the caller (``Group``, ``Row``).
    measure : what groups of rows are measured in; results know it. Ratios get a log axis with
        natural numbers.
    columns : columns of the caller by their heads, one cell for each study, in the order of the
        studies (of several analyses: one after the other); numbers are set flush right. For groups
        of rows, the heads of ``Row.columns``.
    totals : heads of the columns that the pooled line adds up, such as the people in each arm.
    risk_of_bias : judgements of each domain ("D1"), one for each study: "low", "some concerns",
        "high" and the others of ``meta.plots.lights``; drawn as lights with a sign in each.
    order : of the studies in a group: as given, or by effect, weight (largest first) or name.
    left, right : what an effect on either side of no effect means ("favours the vaccine"), set
        below the axis.
    x_label : name of the axis; the measure's own by default.
    limits : ends of the axis on the analysis scale; by default wide enough for most intervals,
        while an extreme one ends in an arrow.
    smallest_effect : distance from no effect on the analysis scale; the zone of smaller effects is
        shaded.
    lights : what each domain stands for, set below the plot; for groups of rows, the heads of
        ``Row.lights``. Lights stand at the right edge, or under the names on a narrow page.
    name_head : head of the column of names.
    width_mm : 89 for one column of a journal, 170 for its page.
    ax : axes whose place the plot takes, with their width; they must be high enough.

    Raises
    ------
    InputError
        If there is nothing to draw, a column has not one cell for each study, or the width cannot
        hold the columns.

    References
    ----------
    Lewis and Clarke (2001), BMJ 322:1479-1480 (the form); Riley et al. (2011), BMJ 342:d549
    (prediction interval).
    """
    width_mm, _ = room_of(ax, width_mm)
    if isinstance(shown, Group):
        shown = [shown]
    if are_groups(shown):
        groups = tuple(cast(Sequence[Group], shown))
        if measure is None or isinstance(columns, Mapping) or totals or risk_of_bias:
            raise InputError(
                "groups of rows have cells, totals and lights of their own, and no measure",
                remedy="give measure=, and the heads alone as columns=",
            )
        usual = ("n",) if any(row.columns for group in groups for row in group.rows) else ()
        heads = usual if columns is None else tuple(columns)
        domains = dict(lights or {})
    else:
        if columns is not None and not isinstance(columns, Mapping):
            raise InputError(
                "columns need their cells", remedy='give columns={"n": [...]}, one for each study'
            )
        made, own = groups_of(
            shown,
            columns=columns or {},
            totals=totals,
            judged=risk_of_bias or {},
            order=order,
        )
        groups, measure = tuple(made), measure or own
        heads = tuple(columns or {})
        unknown = [head for head in lights or {} if head not in (risk_of_bias or {})]
        if unknown:
            raise UnknownName("domain", unknown[0], risk_of_bias or {})
        domains = {head: (lights or {}).get(head, "") for head in risk_of_bias or {}}
    check(groups, heads, tuple(domains))
    with styled():
        layout = Layout(
            groups, measure, heads, limits, smallest_effect, width_mm, tuple(domains), name_head
        )
        layout.meanings = domains
        return _Drawing(layout, ax).draw(title, left, right, x_label or axis_name(measure))


@dataclass(frozen=True)
class _Word:
    """A text under the axis, after a specimen of a mark where it explains one."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    align: Literal["left", "center", "right"]
    mark: str = ""


class _Drawing:
    """Puts ink where the layout says; y runs down the page from the top."""

    def __init__(self, layout: Layout, ax: Axes | None) -> None:
        self.at, self.ax, self.largest = layout, ax, layout.largest
        self.size, self.small, self.pitch = layout.size, layout.small, layout.pitch

    def draw(self, title: str | None, left: str, right: str, x_label: str) -> Page:
        at, size, pitch = self.at, self.size, self.pitch
        large = size + 1.5
        wide = at.width - 2 * MARGIN
        heading = fit(title, wide, large, "bold", lines=3) if title else []
        columns = [at.name, *at.columns.values(), at.numbers, *at.weights]
        folded = folded_lines([at.heads[i] for i in at.folded], at.name.width, self.small)
        under = len(folded) * LEADING * self.small if at.folded else 0.0
        if at.lights_under:
            under += LEADING * self.small
        heads = max(
            LEADING * size + under, max(len(column.head) for column in columns) * LEADING * size
        )

        top = len(heading) * LEADING * large + (MARGIN + 0.5 * size if heading else 0.0) + RULE
        rule = top + heads + 0.7 * size
        body = rule + 0.3 * pitch
        axis = body + sum(band.height for band in at.bands) + 0.3 * pitch
        words = self._below(axis, left, right, x_label)
        height = max(word.y for word in words) + 0.8 * size

        alt = describe(at.groups, at.measure, at.lights)
        alt += f" Left of no effect: {left}." if left else ""
        alt += f" Right of no effect: {right}." if right else ""
        page = page_for(
            self.ax, at.width, height, heading=title or f"Forest plot: {at.measure.label}", alt=alt
        )
        for i, line in enumerate(heading):
            y = MARGIN + (i + 0.5) * LEADING * large
            page.write(MARGIN, y, line, size=large, weight="bold")
        for column in columns:
            foot = rule - 0.35 * size - (under if column is at.name else 0.0)
            for i, line in enumerate(reversed(column.head)):
                y = foot - (i + 0.5) * LEADING * size
                page.write(column.anchor, y, line, size=size, weight="bold", align=column.flush)
        for i, line in enumerate(folded if at.folded else []):
            y = rule - 0.35 * size - under + (i + 0.5) * LEADING * self.small
            page.write(MARGIN, y, line, size=self.small, colour=SOFT)
        for x, head in zip(at.light_at, at.lights, strict=True):
            y = rule - 0.35 * size - 0.5 * LEADING * self.small
            page.write(x, y, head, size=self.small, weight="bold", align="center")
        page.rule(top, 1.4 * RULE)
        page.rule(rule, RULE)

        plot = self._axes(page, rule, axis)
        self._references(plot, body, axis)
        y = body
        for band in at.bands:
            self._write(page, band, y)
            self._mark(plot, band, y + band.height / 2)
            y += band.height
        for word in words:
            if word.mark in LIGHTS:
                light(page, word.x - 1.0 * word.size, word.y, word.mark, 1.25 * word.size)
            elif word.mark:
                self._key(plot, word)
            page.write(
                word.x, word.y, word.text, size=word.size, colour=word.colour, align=word.align
            )
        return page

    def _below(self, axis: float, left: str, right: str, x_label: str) -> list[_Word]:
        """All that stands under the axis: directions, its name, the key, the small print."""
        at, size, small = self.at, self.size, self.small
        words: list[_Word] = []
        y = axis + 5 + LEADING * size + 0.75 * size  # ticks and their numbers come first
        null = at.measure.null
        middle = at.x(null) if at.inside(null) else (at.x0 + at.x1) / 2
        edge = at.width - MARGIN
        apart = 0.6 * size
        sides: list[tuple[float, Literal["left", "right"], list[str]]] = []
        if left:
            lines = fit(f"←\u00a0{left}", middle - apart - MARGIN, size, lines=4)
            sides.append((middle - apart, "right", lines))
        if right:
            lines = fit(f"{right}\u00a0→", edge - middle - apart, size, lines=4)
            sides.append((middle + apart, "left", lines))
        for x, align, lines in sides:
            for i, line in enumerate(lines):
                words.append(_Word(x, y + i * LEADING * size, line, size, INK, align))
        y += max((len(lines) for *_, lines in sides), default=0) * LEADING * size
        y += 0.2 * size if sides else 0.0
        centre = (at.x0 + at.x1) / 2
        for line in fit(x_label, 2 * min(centre - MARGIN, edge - centre), size, lines=4):
            words.append(_Word(centre, y, line, size, INK, "center"))
            y += LEADING * size

        step = 1.6 * small
        x, y = MARGIN, y + 0.6 * size
        key = self._key_words()
        for mark, text in key:
            if x > MARGIN and x + step + text_width(text, small) > edge:
                x, y = MARGIN, y + 1.1 * LEADING * small
            lines = fit(text, edge - x - step, small, lines=3)
            for i, line in enumerate(lines):
                y += LEADING * small if i else 0.0
                words.append(_Word(x + step, y, line, small, SOFT, "left", "" if i else mark))
            x += step + text_width(lines[0], small) + step
        y += 1.1 * LEADING * small + 0.35 * size if key else 0.0
        foot = at.foot_group(len(at.groups) - 1)
        texts = small_print(at.groups[-1]) if foot else []
        told = [f"{head}: {meaning}" for head, meaning in at.meanings.items() if meaning]
        if told:
            texts.insert(0, f"Risk of bias. {'; '.join(told)}.")
        if at.unseen_models:
            texts.append(f"Weights, areas of squares: {at.diamonds[0][0].label}.")
        if texts:
            for text in texts:
                for line in fit(text, edge - MARGIN, small, lines=6):
                    words.append(_Word(MARGIN, y, line, small, SOFT, "left"))
                    y += LEADING * small
                y += 0.25 * small
        return words

    def _key_words(self) -> list[tuple[str, str]]:
        """The marks that need an explanation, and only those that occur."""
        roles = {row.role for g in self.at.groups for row in g.rows}
        key = []
        if len(roles) > 1 or roles == {"sensitivity"}:
            if "primary" in roles:
                key.append(("square", "in the pooled effect; area as weight"))
            if "sensitivity" in roles:
                key.append(("hollow", "sensitivity only, not in the pooled effect"))
            if "unpooled" in roles:
                key.append(("small square", "not pooled"))
            if "published" in roles:
                key.append(("published", "pooled by others, as published"))
        judged = present(j for g in self.at.groups for row in g.rows for j in row.lights)
        key += [(judgement, LIGHTS[judgement][3]) for judgement in judged]
        if any(any(self.at.beyond(band)) for band in self.at.bands):
            key.append(("arrow", "interval goes on beyond the axis"))
        if zone := self.at.zone():
            low, high = ends(self.at.measure, zone, self.at.digits)
            key.append(("zone", f"smaller than the smallest effect of interest ({low} to {high})"))
        return key

    def _write(self, page: Page, band: Band, top: float) -> None:
        """Set the words and numbers of a band."""
        at = self.at
        size, colour = (self.small, SOFT) if band.kind == "small" else (self.size, INK)
        step, fine = LEADING * size, LEADING * self.small
        row = band.row
        lit = at.light_room if row and row.lights else 0.0
        block = len(band.texts) * step + len(band.under) * fine + lit
        y = top + (0.0 if band.kind == "small" else (band.height - block) / 2)
        for i, text in enumerate(band.texts):
            name = None
            if row and (row.href or row.label != " ".join(band.texts)):
                name = (f"{band.gid}-name-{i}", row.label)
            page.write(
                MARGIN + band.indent,
                y + (i + 0.5) * step,
                text,
                size=size,
                weight=band.bold,
                colour=colour,
                href=row.href if row else None,
                name=name,
            )
        y += len(band.texts) * step
        for i, text in enumerate(band.under):
            page.write(
                MARGIN + band.indent, y + (i + 0.5) * fine, text, size=self.small, colour=SOFT
            )
        middle = top + band.height / 2
        if row and row.lights:
            level = y + len(band.under) * fine + lit / 2 if lit else middle
            for j, (x, judgement) in enumerate(zip(at.light_at, row.lights, strict=True)):
                light(page, x, level, judgement, at.light, f"{band.gid}-light-{j}")
        for j, lines in band.cells.items():
            for i, text in enumerate(lines):
                cut = row is not None and text.endswith("…")
                page.write(
                    at.columns[j].anchor,
                    middle + (i - (len(lines) - 1) / 2) * step,
                    text,
                    size=size,
                    weight=band.bold,
                    align=at.columns[j].flush,
                    name=(f"{band.gid}-cell-{j}-{i}", row.columns[j]) if row and cut else None,
                )
        for x, text in zip(at.anchors, band.numbers, strict=True):
            if text:
                page.write(x, middle, text, size=size, weight=band.bold, align="right")
        for column, text in zip(at.weights, band.weights, strict=False):
            if text:
                page.write(column.anchor, middle, text, size=size, weight=band.bold, align="right")

    def _axes(self, page: Page, top: float, bottom: float) -> Axes:
        """The axes of the plot: effects across, points down the page."""
        wide, high = page.size_points
        plot = page.add_axes(
            (
                self.at.x0 / wide,
                1 - bottom / high,
                (self.at.x1 - self.at.x0) / wide,
                (bottom - top) / high,
            )
        )
        plot.set_facecolor("none")
        plot.set_xlim(*self.at.limits)
        plot.set_ylim(bottom, top)
        plot.set_yticks([])
        plot.spines[["left", "right", "top"]].set_visible(False)
        plot.spines["bottom"].set(linewidth=RULE, color=INK)
        length = self.at.x1 - self.at.x0
        ticks = ticks_for(self.at.limits, self.at.measure, width=length, size=self.size)
        plot.set_xticks(
            [place for place, _ in ticks],
            [text for _, text in ticks],
            fontproperties=font(self.size),
            color=INK,
            parse_math=False,
        )
        plot.tick_params(axis="x", length=3, width=RULE, pad=2, color=INK)
        return plot

    def _references(self, plot: Axes, top: float, bottom: float) -> None:
        """No effect, the zone of small effects and each pooled effect, never through words."""
        at = self.at
        segments: list[tuple[float, float]] = []
        start, y, marked, resumed = top - 0.3 * self.pitch, top, False, False
        for band in at.bands:
            if band.kind in ("group", "small"):
                size = self.small if band.kind == "small" else self.size
                reach = max(text_width(text, size, band.bold) for text in band.texts)
                if MARGIN + band.indent + reach > at.x0 - 3:
                    if marked:  # a piece without a mark beside it would say nothing
                        segments.append((start, y))
                    marked, resumed = False, True
            if band.ci is not None:
                start = y if resumed else start
                marked, resumed = True, False
            y += band.height
        if marked:
            segments.append((start, bottom))
        null = at.measure.null
        for start, end in segments:
            if zone := at.zone():
                plot.add_patch(
                    Rectangle(
                        (zone[0], start),
                        zone[1] - zone[0],
                        end - start,
                        facecolor=ZONE,
                        edgecolor="none",
                        zorder=0,
                    )
                )
            if at.inside(null):
                plot.plot([null, null], [start, end], color=REFERENCE, lw=RULE, zorder=1)
        y, first, rows = top, top, 0
        for band in self.at.bands:
            if band.kind in ("group", "space", "small"):
                first, rows = y + band.height, 0
            rows += band.kind == "row"
            if (
                rows
                and band.kind == "pooled"
                and band.result
                and self.at.inside(band.result.estimate)
            ):
                plot.plot(
                    [band.result.estimate] * 2,
                    [first, y + band.height / 2],
                    color=OURS,
                    lw=RULE,
                    ls=(0, (1, 2.2)),
                    zorder=1,
                )
            y += band.height

    def _mark(self, plot: Axes, band: Band, y: float) -> None:
        """Draw what a band has to show on the plot."""
        ci = band.ci
        if ci is None:
            return
        low, high = max(ci[0], self.at.limits[0]), min(ci[1], self.at.limits[1])
        published = band.row is not None and band.row.role == "published"
        colour = OURS if band.result else INK
        if band.kind == "pooled" or published:
            middle = band.row.yi if band.row else band.result.estimate if band.result else math.nan
            self._diamond(plot, middle, ci, y, published=published, gid=f"{band.gid}-diamond")
            colour = SOFT if published else OURS
        elif low <= high:
            thick = 1.3 if band.kind == "prediction" else 0.9
            plot.plot(
                [low, high],
                [y, y],
                color=colour,
                lw=thick,
                solid_capstyle="butt",
                gid=f"{band.gid}-interval",
                zorder=2,
            )
        if band.kind == "prediction":
            for end in ci:
                if self.at.inside(end):
                    half = 0.17 * self.pitch
                    plot.plot([end, end], [y - half, y + half], color=colour, lw=1.3, zorder=2)
        if band.row and not published:
            self._square(plot, band.row, band.group, y, f"{band.gid}-square")
        for beyond, edge, mark in zip(self.at.beyond(band), self.at.limits, "<>", strict=True):
            if beyond:
                plot.plot(
                    [edge],
                    [y],
                    marker=mark,
                    ms=0.6 * self.size,
                    mec="none",
                    color=colour,
                    clip_on=False,
                    gid=f"{band.gid}-arrow-{'low' if mark == '<' else 'high'}",
                    zorder=4,
                )

    def _square(self, plot: Axes, row: Row, group: int, y: float, gid: str) -> None:
        """A square with an area as the study's weight; hollow where it is not in the pool."""
        if not self.at.inside(row.yi):
            return
        largest = self.largest[group]
        side = (0.34 if row.role == "refit" else 0.42) * self.pitch
        if row.weight is not None and largest > 0:
            side = max(0.18, 0.7 * math.sqrt(row.weight / largest)) * self.pitch
        hollow = row.role == "sensitivity"
        plot.plot(
            [row.yi],
            [y],
            marker="D" if row.role == "refit" else "s",
            ms=side - (0.8 if hollow else 0.0),
            mfc="white" if hollow else OURS,
            mec=OURS,
            mew=0.8 if hollow else 0.0,
            clip_on=False,
            gid=gid,
            zorder=3,
        )
        # An interval shorter than its square would vanish behind it: shown white inside.
        if not hollow and all(abs(self.at.x(end) - self.at.x(row.yi)) < side / 2 for end in row.ci):
            reach = (
                0.43 * side / (self.at.x1 - self.at.x0) * (self.at.limits[1] - self.at.limits[0])
            )
            shown = [min(max(end, row.yi - reach), row.yi + reach) for end in row.ci]
            plot.plot(shown, [y, y], color="white", lw=0.8, solid_capstyle="butt", zorder=4)

    def _diamond(
        self,
        plot: Axes,
        middle: float,
        ci: tuple[float, float],
        y: float,
        *,
        published: bool,
        gid: str,
    ) -> None:
        half = (0.26 if published else 0.36) * self.pitch
        low, high = (e if math.isfinite(e) else middle for e in ci)
        plot.add_patch(
            Polygon(
                [(low, y), (middle, y - half), (high, y), (middle, y + half)],
                closed=True,
                facecolor=PUBLISHED if published else OURS,
                edgecolor=SOFT if published else OURS,
                linewidth=0.6,
                joinstyle="miter",
                gid=gid,
                zorder=3,
            )
        )

    def _key(self, plot: Axes, word: _Word) -> None:
        """A small specimen of a mark, before its explanation."""
        size = 0.62 * word.size
        marks: dict[str, dict[str, Any]] = {
            "square": {"marker": "s", "ms": size + 1, "mfc": OURS, "mew": 0},
            "small square": {"marker": "s", "ms": size, "mfc": OURS, "mew": 0},
            "hollow": {"marker": "s", "ms": size, "mfc": "white", "mec": OURS, "mew": 0.8},
            "published": {"marker": "d", "ms": size + 2, "mfc": PUBLISHED, "mec": SOFT, "mew": 0.6},
            "arrow": {"marker": ">", "ms": size, "mfc": INK, "mew": 0},
            "zone": {"marker": "s", "ms": size + 2, "mfc": ZONE, "mec": REFERENCE, "mew": 0.4},
        }
        per_point = (self.at.limits[1] - self.at.limits[0]) / (self.at.x1 - self.at.x0)
        x = self.at.limits[0] + (word.x - 0.95 * word.size - self.at.x0) * per_point
        plot.plot([x], [word.y], clip_on=False, ls="none", **marks[word.mark])
