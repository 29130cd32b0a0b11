"""Judgements of risk of bias as lights; a sign inside each says the same without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.lines import Line2D

from meta.errors import UnknownName
from meta.plots.style import INK, Page

# Judgement: its sign, the light's colour (darker with more risk), the colour of the sign, and the
# words of the key. The names are those of RoB 2, ROBINS-I, and the first Cochrane tool.
LIGHTS: dict[str, tuple[str, str, str, str]] = {
    "low": ("+", "#C9E8D8", INK, "low risk"),
    "some concerns": ("−", "#F3C65B", INK, "some concerns"),
    "moderate": ("−", "#F3C65B", INK, "moderate risk"),
    "unclear": ("?", "#F3C65B", INK, "unclear"),
    "high": ("×", "#B8452B", "white", "high risk"),
    "serious": ("×", "#B8452B", "white", "serious risk"),
    "critical": ("!", "#5C150A", "white", "critical risk"),
    "no information": ("?", "white", INK, "no information"),
}
_LOW_SIGNS = "+−×"  # centred on the axis of formulas, a little below the middle of capitals


def check_lights(judgements: Iterable[str]) -> None:
    """Refuse a judgement without a light; the empty text is a domain that was not judged."""
    for judgement in judgements:
        if judgement and judgement not in LIGHTS:
            raise UnknownName("judgement", judgement, LIGHTS)


def present(judgements: Iterable[str]) -> Sequence[str]:
    """The judgements that occur, from low to high."""
    found = set(judgements)
    return [judgement for judgement in LIGHTS if judgement in found]


def light(page: Page, x: float, y: float, judgement: str, across: float, gid: str = "") -> None:
    """Draw a light with its middle at (x, y), in points from the top left of the page."""
    if not judgement:
        return
    sign, colour, ink, _ = LIGHTS[judgement]
    width, height = page.size_points
    page.add_artist(
        Line2D(
            [x / width],
            [1 - y / height],
            transform=page.transSubfigure,
            marker="o",
            ms=across,
            mfc=colour,
            mec="#6E6E6E",
            mew=0.4,
            ls="none",
            gid=gid or None,
        )
    )
    size = 0.82 * across
    lift = 0.05 * size if sign in _LOW_SIGNS else 0.0
    page.write(x, y - lift, sign, size=size, weight="bold", colour=ink, align="center")
