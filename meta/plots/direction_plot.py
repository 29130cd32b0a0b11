"""The effect direction plot: which way each study points in each outcome domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from meta.direction import SignTest
from meta.errors import InputError
from meta.plots.lights import LIGHTS, check_lights, light, present
from meta.plots.sheet import MARGIN
from meta.plots.style import (
    LEADING,
    OURS,
    POINTS_PER_MM,
    RULE,
    SOFT,
    Page,
    fit,
    page_for,
    room_of,
    small_size,
    styled,
    text_width,
    type_size,
)
from meta.results import DASH, show_p

Way = Literal["better", "worse", "mixed"]
SIZES = (50, 300)  # people: below the first small arrows, above the second large ones
WORDS: dict[str, str] = {
    "better": "in favour of the intervention",
    "worse": "against it",
    "mixed": "no clear direction, or outcomes disagree",
}
_WORSE = "#B8452B"
Head = tuple[list[str], float, Literal["left", "right", "center"]]  # lines, place, flush


@dataclass(frozen=True)
class Direction:
    """Which way the outcomes of one domain point in one study, and how many there are."""

    way: Way
    outcomes: int = 1


@dataclass(frozen=True)
class StudyDirections:
    """One study: its directions by domain (None where a domain was not measured).

    ``n`` is the number of people (of the intervention arm, or in all: say which in ``n_head``), and
    ``risk`` the overall judgement of risk of bias, or empty.
    """

    label: str
    n: int
    cells: tuple[Direction | None, ...]
    risk: str = ""
    design: str = ""
    href: str | None = None


def directions(
    studies: Sequence[StudyDirections],
    domains: Sequence[str],
    *,
    tests: Sequence[SignTest | None] | None = None,
    n_head: str = "n",
    title: str | None = None,
    width_mm: float = 170,
    ax: Axes | None = None,
) -> Page:
    """Draw arrows for the direction of effect, a row for each study, a column for each domain.

    Arrows up are filled, those down hollow and those both ways grey, so that the three are told
    apart in print; larger arrows stand for larger studies, and a small figure beside an arrow for
    the number of outcomes behind it.

    Parameters
    ----------
    studies : from top to bottom.
    domains : heads of the cells of ``StudyDirections.cells``.
    tests : ``meta.direction.sign_test`` of each domain, or None where there is none; positive is
        the direction in favour of the intervention.
    ax : axes whose place the plot takes, with their width; they must be high enough.

    Raises
    ------
    InputError
        If there is no study, a study has other cells than there are domains, or the width cannot
        hold the columns.

    References
    ----------
    Thomson, Thomas (2013), Res Synth Methods 4:95-101; Boon, Thomson (2021), Res Synth Methods
    12:29-33.
    """
    if not studies or not domains:
        raise InputError("there is nothing to draw", remedy="give studies and domains")
    wrong = [f"{s.label}: {len(s.cells)} cells" for s in studies if len(s.cells) != len(domains)]
    if wrong:
        raise InputError(f"the plot has {len(domains)} domains, some studies have not", wrong)
    if tests is not None and len(tests) != len(domains):
        raise InputError(f"{len(tests)} tests for {len(domains)} domains")
    check_lights(s.risk for s in studies)
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        drawing = _Drawing(tuple(studies), tuple(domains), tests, n_head, width_mm, ax)
        return drawing.draw(title)


def _full(words: str) -> str:
    return words if words.startswith(("some", "no ", "unclear")) else f"{words} of bias"


def _votes(test: SignTest | None) -> tuple[str, str, str]:
    if test is None:
        return DASH, "", ""
    low, high = test.ci
    return f"{test.positive}/{test.known}", f"{low:.0%}–{high:.0%}", show_p(test.p)


class _Drawing:
    def __init__(
        self,
        studies: tuple[StudyDirections, ...],
        domains: tuple[str, ...],
        tests: Sequence[SignTest | None] | None,
        n_head: str,
        width_mm: float,
        ax: Axes | None,
    ) -> None:
        self.ax = ax
        self.studies, self.domains, self.tests = studies, domains, tests
        self.n_head = n_head
        self.size = size = type_size(width_mm)
        self.small = small_size(size)
        self.width = width_mm * POINTS_PER_MM
        self.pitch = 2.15 * size
        room = (0.23 if width_mm < 120 else 0.3) * self.width
        self.names = [fit(s.label, room, size, lines=3) for s in studies]
        names = max(text_width(t, size) for lines in self.names for t in lines)
        each = self._place(names, design=True)
        self.folded = each < self._least() and any(s.design for s in studies)
        if self.folded:  # designs go under the names
            each = self._place(names, design=False)
        if each < self._least():
            raise InputError(
                f"{width_mm:.0f} mm cannot hold {len(domains)} domains",
                remedy="draw fewer domains, shorten their names, or make the plot wider",
            )

    def _least(self) -> float:
        """What the widest word of a domain's column needs."""
        size = self.size
        words = [(word, True) for domain in self.domains for word in domain.split()]
        words += [(t, False) for test in self.tests or () for t in _votes(test)]
        return 0.7 * size + max(
            3.2 * size, *(text_width(t, size, "bold" if bold else "normal") for t, bold in words)
        )

    def _place(self, names: float, *, design: bool) -> float:
        """Set the columns from the left; gives the width that is left for each domain."""
        size, gap = self.size, 1.1 * self.size
        x = MARGIN + names
        self.heads: list[Head] = [(["Study"], MARGIN, "left")]
        self.design: float | None = None
        if design and any(s.design for s in self.studies):
            wide = max(text_width(s.design, size) for s in self.studies)
            wide = min(max(wide, text_width("Design", size, "bold")), 0.16 * self.width)
            self.design, self.design_room = x + gap, wide
            self.heads.append((["Design"], x + gap, "left"))
            x += gap + wide
        head = text_width(self.n_head, size, "bold")
        self.n_at = x + gap + max(head, *(text_width(str(s.n), size) for s in self.studies))
        self.heads.append(([self.n_head], self.n_at, "right"))
        x = self.n_at
        self.risk: float | None = None
        if any(s.risk for s in self.studies):
            wide = max(text_width("RoB", size, "bold"), 1.5 * size)
            self.risk = x + gap + wide / 2
            self.heads.append((["RoB"], self.risk, "center"))
            x += gap + wide
        each = (self.width - MARGIN - x - 0.5 * gap) / len(self.domains)
        self.each = each
        self.at = [x + 0.5 * gap + (i + 0.5) * each for i in range(len(self.domains))]
        for name, place in zip(self.domains, self.at, strict=True):
            lines = fit(name, max(each - 0.6 * size, size), size, "bold", lines=4)
            self.heads.append((lines, place, "center"))
        return each

    def draw(self, title: str | None) -> Page:
        size, small = self.size, self.small
        large = size + 1.5
        lines = fit(title, self.width - 2 * MARGIN, large, "bold", lines=3) if title else []
        top = len(lines) * LEADING * large + (MARGIN + 0.5 * size if lines else 0.0) + RULE
        head = max(len(words) for words, *_ in self.heads) * LEADING * size
        rule = top + head + 0.7 * size
        heights = [self.pitch + (len(n) - 1) * LEADING * size for n in self.names]
        if self.folded:
            heights = [
                h + (LEADING * small if s.design else 0.0)
                for h, s in zip(heights, self.studies, strict=True)
            ]
        foot = rule + 0.3 * size + sum(heights) + 0.3 * size
        tests = 3.1 * LEADING * size if self.tests else 0.0
        key = self._key()
        y_key = foot + tests + 1.6 * size
        places = self._key_places(key)
        height = y_key + (places[-1][0] + 1) * 1.35 * LEADING * small
        page = page_for(
            self.ax, self.width, height, heading=title or "Effect direction plot", alt=self._alt()
        )
        for i, line in enumerate(lines):
            y = MARGIN + (i + 0.5) * LEADING * large
            page.write(MARGIN, y, line, size=large, weight="bold")
        page.rule(top, 1.4 * RULE)
        page.rule(rule, RULE)
        page.rule(foot, RULE)
        for words, x, align in self.heads:
            for i, line in enumerate(reversed(words)):
                y = rule - 0.35 * size - (i + 0.5) * LEADING * size
                page.write(x, y, line, size=size, weight="bold", align=align)
        y = rule + 0.3 * size
        for i, study in enumerate(self.studies):
            self._row(page, study, self.names[i], y + heights[i] / 2, i)
            y += heights[i]
        if self.tests:
            self._tests(page, foot)
        for (mark, text), (row, x) in zip(key, places, strict=True):
            y = y_key + row * 1.35 * LEADING * small
            if mark in LIGHTS:
                light(page, x + 0.8 * small, y, mark, 1.3 * small)
            elif mark:
                self._arrow(
                    page, x + 0.9 * small, y, mark, (0.85 if mark == "mixed" else 1.1) * small
                )
            lead = 2.2 * small if mark else 0.0
            page.write(x + lead, y, text, size=small, colour=SOFT)
        return page

    def _row(self, page: Page, study: StudyDirections, name: list[str], y: float, i: int) -> None:
        size, small = self.size, self.small
        under = LEADING * small if self.folded and study.design else 0.0
        first = y - ((len(name) - 1) * LEADING * size + under) / 2
        if under:
            foot = first + len(name) * LEADING * size - 0.1 * size
            text = fit(study.design, self.n_at - MARGIN, small, lines=1)[0]
            page.write(MARGIN, foot, text, size=small, colour=SOFT)
        for j, line in enumerate(name):
            page.write(
                MARGIN,
                first + j * LEADING * size,
                line,
                size=size,
                href=study.href,
                name=(f"study-{i}-name-{j}", study.label),
            )
        if self.design is not None:
            text = fit(study.design, self.design_room, size, lines=1)[0]
            page.write(self.design, y, text, size=size)
        page.write(self.n_at, y, str(study.n), size=size, align="right")
        if self.risk is not None:
            light(page, self.risk, y, study.risk, 1.35 * size, f"study-{i}-risk")
        scale = (1.0, 1.3, 1.65)[sum(study.n >= edge for edge in SIZES)]
        for j, cell in enumerate(study.cells):
            if cell is None:
                continue
            self._arrow(page, self.at[j], y, cell.way, 0.95 * scale * size, f"cell-{i}-{j}")
            if cell.outcomes > 1:
                x = self.at[j] + (0.85 if cell.way == "mixed" else 0.55) * scale * size + 1.2
                page.write(x, y + 0.35 * size, str(cell.outcomes), size=small, colour=SOFT)

    def _arrow(
        self, page: Page, x: float, y: float, way: str, across: float, gid: str = ""
    ) -> None:
        width, height = page.size_points
        marks: dict[str, list[tuple[str, float, dict[str, Any]]]] = {
            "better": [("^", 0.0, {"mfc": OURS, "mec": OURS})],
            "worse": [("v", 0.0, {"mfc": "white", "mec": _WORSE})],
            "mixed": [
                ("<", -0.42 * across, {"mfc": "#BDBDBD", "mec": "#6E6E6E"}),
                (">", 0.42 * across, {"mfc": "#BDBDBD", "mec": "#6E6E6E"}),
            ],
        }
        for mark, shift, style in marks[way]:
            page.add_artist(
                Line2D(
                    [(x + shift) / width],
                    [1 - y / height],
                    transform=page.transSubfigure,
                    ls="none",
                    marker=mark,
                    ms=across * (0.75 if way == "mixed" else 1.0),
                    mew=1.0,
                    gid=f"{gid}-{way}" if gid else None,
                    **style,
                )
            )

    def _tests(self, page: Page, foot: float) -> None:
        """Votes by direction under each domain; never by significance."""
        size = self.size
        rows = (
            ("In favour / with a direction", "bold"),
            ("95% CI" if self._level() == 0.95 else f"{self._level():.0%} CI", "normal"),
            ("Sign test", "normal"),
        )
        for i, (text, weight) in enumerate(rows):
            y = foot + 0.4 * size + (i + 0.5) * LEADING * size
            votes = max(text_width(_votes(t)[i], size, "bold") for t in self.tests or (None,))
            room = self.at[0] - votes / 2 - size - MARGIN
            line = fit(text, room, size, "bold" if weight == "bold" else "normal", lines=1)[0]
            page.write(MARGIN, y, line, size=size, weight="bold" if weight == "bold" else "normal")
        for test, x in zip(self.tests or (), self.at, strict=True):
            for i, text in enumerate(_votes(test)):
                y = foot + 0.4 * size + (i + 0.5) * LEADING * size
                page.write(
                    x, y, text, size=size, weight="bold" if i == 0 else "normal", align="center"
                )

    def _level(self) -> float:
        return next((t.level for t in self.tests or () if t), 0.95)

    def _key(self) -> list[tuple[str, str]]:
        ways = {c.way for s in self.studies for c in s.cells if c}
        key: list[tuple[str, str]] = [(way, text) for way, text in WORDS.items() if way in ways]
        key += [(j, _full(LIGHTS[j][3])) for j in present(s.risk for s in self.studies)]
        low, high = SIZES
        key.append(
            ("", f"Arrows grow with the study: below {low}, to {high - 1}, and from {high}.")
        )
        if any(c and c.outcomes > 1 for s in self.studies for c in s.cells):
            key.append(("", "Small figures: outcomes in the domain, where more than one."))
        return key

    def _key_places(self, key: list[tuple[str, str]]) -> list[tuple[int, float]]:
        small, row, x = self.small, 0, MARGIN
        places = []
        for mark, text in key:
            wide = text_width(text, small) + (2.2 * small if mark else 0.0)
            if x > MARGIN and x + wide > self.width - MARGIN:
                row, x = row + 1, MARGIN
            places.append((row, x))
            x += wide + 1.6 * small
        return places

    def _alt(self) -> str:
        parts = []
        for study in self.studies:
            cells = [
                f"{domain} {WORDS[cell.way]}"
                + (f" ({cell.outcomes} outcomes)" if cell.outcomes > 1 else "")
                for domain, cell in zip(self.domains, study.cells, strict=True)
                if cell
            ]
            risk = f", risk of bias: {LIGHTS[study.risk][3]}" if study.risk else ""
            parts.append(f"{study.label} (n = {study.n}{risk}): {', '.join(cells) or 'none'}")
        text = f"Effect direction plot of {len(parts)} studies: {'; '.join(parts)}."
        for domain, test in zip(self.domains, self.tests or (), strict=False):
            if test:
                text += f" {domain}: {test.summary()}."
        return text
