"""One style for every picture: ink, type, the page they stand on, and how it is saved.

Text in SVG is drawn as outlines (``svg.fonttype: path``): a journal's converter, an old browser or
a reader without the font sees exactly the widths that were measured here, so nothing can collide or
fall back to another face. What outlines lose, words that can be read aloud or searched, is given
back by ``<title>`` and ``<desc>``. PDF embeds TrueType (type 42), which journals ask for and which
stays editable and searchable. DejaVu Sans comes with matplotlib, has figures of equal width, and
covers the Latin, Greek and Cyrillic of authors' names.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import html
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from meta.errors import InputError, ToolkitError

Weight = Literal["normal", "bold"]
Kind = Literal["svg", "pdf", "png"]

# Okabe and Ito (2008), colour universal design: told apart with every colour vision. In grey the
# blue is a 38% grey, darker than the published results' and lighter than the black of intervals.
OURS = "#0072B2"
INK = "#1A1A1A"
SOFT = "#4D4D4D"  # small print; 8:1 on white
REFERENCE = "#8C8C8C"  # the line of no effect
PUBLISHED = "#A6A6A6"
ZONE = "#ECECEC"
RULE = 0.6  # points; printers ask for at least 0.25

FAMILY = "DejaVu Sans"
CAP = 0.729  # height of a capital in DejaVu Sans, in em
LEADING = 1.22  # from line to line of one text, in em
POINTS_PER_MM = 72 / 25.4
PNG_DPI = 300
SCREEN_DPI = 144
SOFTWARE = "living-evidence"

_RC: dict[str, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": SOFTWARE,
    "pdf.fonttype": 42,
    "text.hinting": "no_hinting",  # widths on screen as measured, whatever the resolution
    "axes.unicode_minus": True,
    "font.family": [FAMILY],
    "hatch.linewidth": 0.5,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib as it was delivered, with our settings; a user's own settings come back after."""
    settings: Any = {
        key: value
        for key, value in dict.items(mpl.rcParamsDefault)
        if not key.startswith(("backend", "interactive", "toolbar", "webagg", "tk.", "macosx"))
    }
    settings.update(_RC)
    with mpl.rc_context(settings):
        yield


def type_size(width_mm: float) -> float:
    """Points of the running text: 6.4 in a journal's column (89 mm), 7.5 across its page (170)."""
    return min(8.0, max(6.4, 6.4 + (width_mm - 89) / (170 - 89) * 1.1))


def small_size(size: float) -> float:
    """Points of the small print beside running text of this size; journals ask for 6 at least."""
    return max(6.0, size - 0.9)


@lru_cache(maxsize=64)
def font(size: float, weight: Weight = "normal") -> FontProperties:
    return FontProperties(family=[FAMILY], size=size, weight=weight)


@lru_cache(maxsize=8192)
def text_width(text: str, size: float, weight: Weight = "normal") -> float:
    """The true width of a text in points, without hinting."""
    if not text:
        return 0.0
    width, _, _ = text_to_path.get_text_width_height_descent(text, font(size, weight), False)
    return float(width)


def fit(
    text: str, width: float, size: float, weight: Weight = "normal", *, lines: int = 2
) -> list[str]:
    """Break a text into at most so many lines of this width; an ellipsis stands for what is cut."""
    text = re.sub(r"[ \t\n]+", " ", text).strip(" ")
    out: list[str] = []
    while text:
        if text_width(text, size, weight) <= width:
            return [*out, text]
        if len(out) == lines - 1:
            return [*out, _shortened(text, width, size, weight)]
        head = _head(text, width, size, weight)
        out.append(head.rstrip())
        text = text[len(head) :].lstrip()
    return out or [""]


def _head(text: str, width: float, size: float, weight: Weight) -> str:
    """The longest beginning that fits, broken after a space, hyphen or slash where there is one."""
    ends = [m.end() for m in re.finditer(r" |[-‐–—/](?=\w)", text)]
    fitting = [end for end in ends if text_width(text[:end].rstrip(), size, weight) <= width]
    if fitting:
        return text[: fitting[-1]]
    end = len(text)
    while end > 1 and text_width(text[:end], size, weight) > width:
        end -= 1
    return text[:end]


def _shortened(text: str, width: float, size: float, weight: Weight) -> str:
    """Cut to fit; a year at the end, by which readers find a study, outlives the name before it."""
    year = re.search(r" \d{4}[a-z]?$", text)
    tail = year[0] if year and text_width("…" + year[0], size, weight) < 0.8 * width else ""
    end = len(text) - len(tail) - (0 if tail else 1)
    while end > 1 and text_width(text[:end].rstrip(" ") + "…" + tail, size, weight) > width:
        end -= 1
    return text[:end].rstrip(" ") + "…" + tail


class Page(FigureBase):
    """What a plot is set on: a picture of its own, or the place of axes in somebody's figure.

    ``heading`` is its title and ``alt`` its description in words, kept by the saved files;
    ``names`` maps the gid of a text to the full words behind it, the text's title in the SVG.
    Points run from the top left; ``size_points`` is the width and the height.
    """

    heading: str
    alt: str
    names: dict[str, str]
    size_points: tuple[float, float]
    transSubfigure: (
        Any  # from shares of the page to the screen, as figures and parts of them have it
    )

    def about(self, size: tuple[float, float], heading: str, alt: str) -> None:
        self.size_points, self.heading, self.alt, self.names = size, heading, alt, {}

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure that holds this page in our style; ``save`` keeps its words as well."""
        figure = self.get_figure(root=True)
        assert isinstance(figure, Figure)
        with styled():
            Figure.savefig(figure, fname, **options)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        weight: Weight = "normal",
        colour: str = INK,
        align: Literal["left", "center", "right"] = "left",
        href: str | None = None,
        name: tuple[str, str] | None = None,
    ) -> Text:
        """Set one line of text; x and y in points from the top left, y at mid capital height.

        ``name`` is a gid and the full words that the SVG keeps behind the text.
        """
        width, height = self.size_points
        artist = self.text(
            x / width,
            1 - (y + CAP * size / 2) / height,
            text,
            fontproperties=font(size, weight),
            color=colour,
            ha=align,
            va="baseline",
            parse_math=False,  # a dollar in a label is a dollar
            gid=name[0] if name else None,
            url=href,
        )
        if name:
            self.names[name[0]] = name[1]
        return artist

    def rule(self, y: float, thick: float) -> None:
        """A line across the page, y in points from the top."""
        height = self.size_points[1]
        self.add_artist(
            Line2D([0, 1], [1 - y / height] * 2, transform=self.transSubfigure, color=INK, lw=thick)
        )


class Picture(Page, Figure):
    """A page that is a figure of its own, as high as its content."""

    def __init__(self, width: float, height: float, *, heading: str, alt: str) -> None:
        super().__init__(figsize=(width / 72, height / 72), dpi=SCREEN_DPI, facecolor="white")
        FigureCanvasAgg(self)
        self.about((width, height), heading, alt)

    def draw(self, renderer: RendererBase) -> None:
        """Draw in our style, whatever the settings of the moment, so that widths are as planned."""
        with styled():
            super().draw(renderer)


class Inset(Page, SubFigure):
    """A page in the place of axes: as wide as they are, from their top down."""

    def __init__(self, ax: Axes, width: float, height: float, *, heading: str, alt: str) -> None:
        figure = ax.get_figure(root=True)
        assert figure is not None
        box = ax.get_window_extent().transformed(figure.transFigure.inverted())
        where = ax.get_subplotspec() or GridSpec(1, 1, figure=figure)[0]
        super().__init__(figure, where)
        foot = box.y1 - height / (72 * figure.get_figheight())
        self.bbox_relative.p0 = (box.x0, foot)
        self.bbox_relative.p1 = (box.x1, box.y1)
        figure.subfigs += [self]
        ax.set_axis_off()
        self.about((width, height), heading, alt)

    def draw(self, renderer: RendererBase) -> None:
        with styled():
            super().draw(renderer)


def room_of(ax: Axes | None, width_mm: float) -> tuple[float, float | None]:
    """Width in mm, and height in points where axes set it."""
    if ax is None:
        if not (math.isfinite(width_mm) and width_mm > 0):
            raise InputError(f"width_mm = {width_mm} is not a width", remedy="give 89, 120 or 170")
        return width_mm, None
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("these axes belong to no figure")
    engine = figure.get_layout_engine()
    if engine is not None:  # settled once, so that the place stays where it is measured
        engine.execute(figure)
        figure.set_layout_engine("none")
    box = ax.get_window_extent()
    points = 72 / figure.dpi
    return box.width * points / POINTS_PER_MM, box.height * points


def page_for(ax: Axes | None, width: float, height: float, *, heading: str, alt: str) -> Page:
    """A picture of its own, or a page in the place of axes that are high enough.

    Raises
    ------
    InputError
        If the axes are lower than the content.
    """
    if ax is None:
        return Picture(width, height, heading=heading, alt=alt)
    room = room_of(ax, 0)[1]
    if room is not None and height > room + 0.5:
        raise InputError(
            f"this plot is {height / POINTS_PER_MM:.0f} mm high, the axes are "
            f"{room / POINTS_PER_MM:.0f} mm",
            remedy="make the figure higher, or leave ax out and save the plot by itself",
        )
    return Inset(ax, width, height, heading=heading, alt=alt)


def render(figure: Figure | Page, *, dpi: float) -> bytes:
    """The picture as PNG bytes."""
    return _bytes(figure, "png", dpi=dpi, metadata={"Software": SOFTWARE})


def save(
    figure: Figure | Page,
    stem: Path,
    *,
    date: dt.date,
    kinds: Sequence[Kind] = ("svg", "pdf", "png"),
) -> tuple[Path, ...]:
    """Write ``stem`` as SVG, PDF and PNG (300 dpi), each whole or not at all.

    The same picture and day give the same bytes on every run.

    Raises
    ------
    ToolkitError
        If a file cannot be written.
    """
    heading, alt, names = _words_of(figure)
    made = dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)
    options: dict[Kind, dict[str, Any]] = {
        "svg": {"metadata": {"Date": date.isoformat(), "Creator": SOFTWARE}},
        "pdf": {
            "metadata": {
                "Title": heading,
                "Subject": alt,
                "Creator": SOFTWARE,
                "CreationDate": made,
            }
        },
        "png": {
            "dpi": PNG_DPI,
            "metadata": {"Software": SOFTWARE, "Title": heading, "Description": alt},
        },
    }
    contents = {kind: _bytes(figure, kind, **options[kind]) for kind in kinds}
    if "svg" in contents:
        svg = _with_words(contents["svg"].decode(), stem.name, heading, alt, names)
        contents["svg"] = svg.encode()
    paths = []
    for kind, content in contents.items():
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        _write(paths[-1], content)
    return tuple(paths)


def _words_of(figure: Figure | Page) -> tuple[str, str, dict[str, str]]:
    """Heading, description and full names of a picture, or of all pages on a figure."""
    if isinstance(figure, Inset):
        figure = figure.get_figure(root=True) or figure
    pages = (
        [figure] if isinstance(figure, Page) else [p for p in figure.subfigs if isinstance(p, Page)]
    )
    names = {gid: words for page in pages for gid, words in page.names.items()}
    return ". ".join(p.heading for p in pages), " ".join(p.alt for p in pages), names


def _bytes(figure: Figure | Page, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _with_words(svg: str, stem: str, heading: str, alt: str, names: dict[str, str]) -> str:
    """Give an SVG its title, description and role, and each named text its full words."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", stem)
    # An image has no children for a screen reader; with links inside, it has to be a group.
    role = "group" if "<a xlink:href" in svg else "img"
    start = svg.index("<svg ")
    end = svg.index(">", start)
    words = (
        f'<title id="{slug}-title">{html.escape(heading)}</title>\n '
        f'<desc id="{slug}-desc">{html.escape(alt)}</desc>'
    )
    opening = (
        f'{svg[start:end]} role="{role}" aria-labelledby="{slug}-title" '
        f'aria-describedby="{slug}-desc">\n {words}'
    )

    def named(match: re.Match[str]) -> str:
        full = names.get(html.unescape(match["gid"]))
        return match[0] if full is None else f"{match[0]}<title>{html.escape(full)}</title>"

    body = re.sub(r'<g id="(?P<gid>[^"]*)">(?:\s*<a [^>]*>)?', named, svg[end + 1 :])
    return svg[:start] + opening + body


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ToolkitError(
            f"the picture {path} cannot be written: {error.strerror or error}",
            remedy="check the folder's permissions and the free space, then run again",
        ) from error
