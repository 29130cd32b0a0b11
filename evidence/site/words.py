"""How values are worded on the pages: numbers, dates, empty cells, links and anchors."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from markupsafe import Markup, escape

from meta.measures.registry import Measure
from meta.results import DASH, show, show_p

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

SCALES = {
    "identity": "the scale shown",
    "log": "natural logarithm",
    "fisher-z": "Fisher’s z",
    "logit": "logit",
}

STANDARDISERS = {
    "raw SD": "standardised by the raw SD",
    "change SD": "standardised by the SD of the change",
    "none": "not standardised",
}

TIERS = {
    "A": "fully reported",
    "B": "rests on one named assumption",
    "C": "rests on a stronger assumption",
    "": "direction only",
}


DESIGNS = {
    "rct": "Randomised trial",
    "nct": "Trial registration",
}


def design(text: str) -> str:
    """A study's design as a reader says it."""
    return DESIGNS.get(text.lower(), capital(text))


def none(text: str) -> Markup:
    """An empty cell in words, set apart from what papers say."""
    return Markup('<span class="none">{}</span>').format(text)


def reported(value: object) -> str | Markup:
    """What a paper gives, or the words *not reported*."""
    return none("not reported") if value is None or value == "" else escape(value)


def day(date: dt.date) -> Markup:
    """``12 March 2026``, whatever the locale."""
    text = f"{date.day} {MONTHS[date.month - 1]} {date.year}"
    return Markup('<time datetime="{}">{}</time>').format(date.isoformat(), text)


def count(n: int) -> str:
    return f"{n:,}"


def plural(n: int, one: str, many: str = "") -> str:
    """``1 study``, ``5 studies``."""
    if not many:
        many = one[:-1] + "ies" if one.endswith("y") else one + "s"
    return f"{count(n)} {one if n == 1 else many}"


def percent(share: float | None, digits: int = 0) -> str:
    if share is None or math.isnan(share):
        return DASH
    return f"{share * 100:.{digits}f}%"


def capital(text: str) -> str:
    """The text as a sentence begins; symbols such as τ² and ``p = 0.03`` stay as they are."""
    first, rest = text[:1], text[1:]
    if "α" <= first <= "ω" or (rest[:1] and not rest[:1].isalpha() and first not in "aA"):
        return text
    return first.upper() + rest


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return stop(capital(text.strip()))


def stop(text: str) -> str:
    """The text with a full stop, its beginning as it is."""
    text = text.strip()
    return text if text.endswith((".", "!", "?", "”")) else text + "."


def inside(label: str) -> str:
    """A label inside a sentence: ``standardised mean difference``, but ``SMD`` as it is."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def safe_url(url: str | None) -> str | None:
    """The address where it is a web address; anything else is shown as text, never linked."""
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def path(place: object) -> Markup:
    """``extracted/x/effects.csv:12``, which may break after a slash and nowhere else."""
    parts = re.findall(r"[^/]*/|[^/]+", str(place))
    inner = Markup("<wbr>").join(Markup("<span>{}</span>").format(part) for part in parts)
    return Markup('<code class="path block">{}</code>').format(inner)


def split_urls(text: str) -> list[tuple[str, str | None]]:
    """Pieces of a text, each with the web address that it stands for, shortened to its host."""
    pieces = re.split(r"(https?://\S+[^\s.,;)])", text)
    return [
        (f"{urlsplit(piece).netloc}/…", piece) if n % 2 else (piece, None)
        for n, piece in enumerate(pieces)
        if piece
    ]


def p_words(text: str, p: float | None) -> str:
    """A p-value as the paper prints it: ``p <0.05``, ``p = 0.012``, or its own words."""
    if not text:
        return show_p(p)
    if re.fullmatch(r"[<>≤≥=].*", text):
        return f"p {text}"
    return f"p = {text}" if re.fullmatch(r"[0-9.]+", text) else f"as printed: {text}"


def anchor(effect_id: str) -> str:
    """The id of a row on its page; ids cannot hold white space."""
    return "row-" + re.sub(r"\s+", "-", effect_id)


def row_link(effect_id: str) -> str:
    return "#" + quote(anchor(effect_id), safe="-_.~")


def level_text(level: float) -> str:
    return f"{level * 100:g}%"


def between(measure: Measure, bounds: Sequence[float]) -> str:
    """``0.12 to 0.92`` on the scale that people read."""
    low, high = (show(measure.natural(b)) for b in bounds)
    return f"{low} to {high}"


def lies(measure: Measure, bounds: Sequence[float], left: str, right: str) -> str:
    """Where the interval lies, in words; empty where the measure has no value of no effect."""
    if math.isnan(measure.null) or any(math.isnan(b) for b in bounds):
        return ""
    if bounds[0] > measure.null:
        return f"The interval lies wholly on the side of “{right}”."
    if bounds[1] < measure.null:
        return f"The interval lies wholly on the side of “{left}”."
    return "The interval includes no effect."


def degrees(df: float | None) -> str:
    """The reference distribution of an interval, named."""
    if df is None:
        return "normal distribution"
    return f"t distribution, {df:g} {'degree' if df == 1 else 'degrees'} of freedom"
