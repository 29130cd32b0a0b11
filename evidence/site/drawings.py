"""Small drawings of our own, and finished figures made fit to stand inside a page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from lxml import etree
from markupsafe import Markup

from evidence.errors import ToolkitError
from meta.measures.registry import Measure
from meta.results import show

WIDTH = 260.0  # user units, about one CSS pixel each
MARGIN = 14.0
STEP = 18.0
AXIS = 20.0

# Candidates for ticks on the scale that people read.
_TICKS = {
    "log": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
    "fisher-z": (-0.95, -0.9, -0.7, -0.5, 0.0, 0.5, 0.7, 0.9, 0.95),
    "logit": (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99),
}
_ANALYSIS: dict[str, Callable[[float], float]] = {
    "log": math.log,
    "fisher-z": math.atanh,
    "logit": lambda p: math.log(p / (1 - p)),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One estimate with its interval, on the analysis scale."""

    y: float
    low: float
    high: float
    kind: Literal["pool", "study", "published"]
    prediction: tuple[float, float] | None = None


def span(bars: Sequence[Bar], measure: Measure) -> tuple[float, float]:
    """The axis that shows all bars and no effect, with a little air on both sides."""
    ends = [e for b in bars for e in (b.low, b.high, *(b.prediction or ())) if math.isfinite(e)]
    if math.isfinite(measure.null):
        ends.append(measure.null)
    low, high = min(ends), max(ends)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air


def ticks(axis: tuple[float, float], measure: Measure) -> list[tuple[float, str]]:
    """Three to five positions on the analysis scale with labels that people read."""
    low, high = axis
    if measure.scale in _TICKS:
        to = _ANALYSIS[measure.scale]
        found = [(to(c), f"{c:g}".replace("-", "−")) for c in _TICKS[measure.scale]]
        inside = [(y, label) for y, label in found if low <= y <= high]
        while len(inside) > 5:
            inside = [t for t in inside if t[0] == measure.null or inside.index(t) % 2]
        return inside
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    marks = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    return [(float(y), show(float(y), digits)) for y in marks]


def strip(
    bars: Sequence[Bar],
    measure: Measure,
    *,
    alt: str,
    axis: tuple[float, float] | None = None,
    labels: bool = True,
) -> Markup:
    """A miniature forest plot; colours come from the page, so both schemes are served."""
    axis = axis or span(bars, measure)

    def x(y: float) -> float:
        inner = WIDTH - 2 * MARGIN
        return MARGIN + inner * (min(max(y, axis[0]), axis[1]) - axis[0]) / (axis[1] - axis[0])

    bottom = STEP * len(bars) + 4
    height = bottom + (AXIS if labels else 2)
    parts = []
    if math.isfinite(measure.null):
        at = f"{x(measure.null):.1f}"
        parts.append(f'<line class="null" x1="{at}" x2="{at}" y1="0" y2="{bottom:.0f}"/>')
    for i, bar in enumerate(bars):
        middle = 2 + STEP * (i + 0.5)
        if bar.prediction is not None:
            low, high = bar.prediction
            parts.append(_line("prediction", x(low), x(high), middle))
        parts.append(_line("interval", x(bar.low), x(bar.high), middle))
        parts.append(_mark(bar, x, middle))
    if labels:
        parts.append(_line("axis", MARGIN, WIDTH - MARGIN, bottom))
        for y, label in ticks(axis, measure):
            at = f"{x(y):.1f}"
            parts.append(
                f'<line class="axis" x1="{at}" x2="{at}" y1="{bottom:g}" y2="{bottom + 4:g}"/>'
            )
            parts.append(f'<text x="{at}" y="{bottom + 16:g}">{label}</text>')
    return Markup(
        '<svg class="strip" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(f"{WIDTH:g}", f"{height:g}", alt, Markup("".join(parts)))


def _line(kind: str, left: float, right: float, y: float) -> str:
    return f'<line class="{kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _mark(bar: Bar, x: Callable[[float], float], middle: float) -> str:
    if bar.kind == "pool":
        low, mid, high = x(bar.low), x(bar.y), x(bar.high)
        low, high = min(low, mid - 3), max(high, mid + 3)  # a diamond that can be seen
        return (
            f'<path class="pool" d="M{low:.1f} {middle:.1f}L{mid:.1f} {middle - 6:.1f}'
            f'L{high:.1f} {middle:.1f}L{mid:.1f} {middle + 6:.1f}Z"/>'
        )
    left, top = x(bar.y) - 4, middle - 4
    return f'<rect class="{bar.kind}" x="{left:.1f}" y="{top:.1f}" width="8" height="8"/>'


def inline(svg: str, *, prefix: str, alt: str) -> Markup:
    """A finished SVG made fit for a page: own ids, no prolog, no metadata, named for readers.

    Several figures stand on one page, so each id gets ``prefix``; style rules are kept to the
    figure. A drawing with scripts, or one that would load something, is refused.
    """
    parser = etree.XMLParser(
        no_network=True, resolve_entities=False, remove_comments=True, remove_blank_text=True
    )
    try:
        root = etree.fromstring(svg.encode(), parser)
    except etree.XMLSyntaxError as fault:
        raise ToolkitError(f"figure {prefix} is not valid SVG: {fault}") from None
    for element in root.xpath("//*[local-name()='metadata']"):
        element.getparent().remove(element)
    for element in root.iter(etree.Element):
        name = etree.QName(element).localname
        if name in ("script", "foreignObject"):
            raise ToolkitError(f"figure {prefix} holds <{name}>, which no page may hold")
        if name == "style" and element.text:
            element.text = re.sub(r"(^|\})\s*\*\s*\{", rf"\1#{prefix} *{{", element.text)
        for key, value in element.attrib.items():
            local = etree.QName(key).localname
            if local.startswith("on") or (
                local == "href" and name != "a" and not value.startswith(("#", "data:"))
            ):
                raise ToolkitError(f"figure {prefix} would load or run {local}={value!r}")
            if local == "id":
                element.set(key, f"{prefix}-{value}")
            elif local == "href" and value.startswith("#"):
                element.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
    linked = bool(root.xpath("//*[local-name()='a']"))
    root.set("id", prefix)
    # An image cannot hold links for readers of the page's structure; a named group can.
    root.set("role", "group" if linked else "img")
    root.set("aria-label", alt)
    return Markup(etree.tostring(root, encoding="unicode"))
