"""The pages of the site as text: the same bytes for the same evidence rows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evidence.held import APPROXIMATED, label
from evidence.model import EvidenceRow
from evidence.routes import ROUTES
from evidence.site import words
from evidence.site.concepts import NAMED, drawing, weight
from evidence.site.drawings import inline
from evidence.site.stale import Stale
from evidence.site.views import SHOWN_IN_FULL, ClaimView, claim_view
from evidence.strategy.explain import Explanation, explain
from evidence.strategy.outlines import of_claim
from meta.results import show, show_p

HERE = Path(__file__).parent
READING_SHOWN = 50  # records printed in reading order; the CSV holds all
LONG_TABLE = 12  # rows from which a listing is folded, with its counts outside


@dataclass(frozen=True, slots=True)
class Figure:
    """A finished picture for a claim's page.

    ``name`` is ``forest-ANALYSIS`` for the picture of one analysis; any other name stands with the
    published meta-analyses. ``svg`` is our own drawing, placed in the page as it is. ``files`` are
    paths inside the site (``figures/CLAIM/NAME.pdf``), linked for download.
    """

    name: str
    title: str
    alt: str
    svg: str
    files: tuple[str, ...] = ()


def render(
    rows: Sequence[EvidenceRow],
    figures: Mapping[str, Sequence[Figure]],
    *,
    on: dt.date,
    version: str,
    stale: Sequence[Stale] = (),
    strategies: Mapping[str, str] | None = None,
    explained: Mapping[str, Explanation] | None = None,
) -> dict[str, str]:
    """Render every page of the site.

    Parameters
    ----------
    rows : sequence of EvidenceRow
        The claims, in the order shown.
    figures : mapping of claim id to sequence of Figure
        Pictures; a claim or an analysis without one says so.
    on : datetime.date
        The day printed on the pages.
    version : str
        Version of the software.
    stale : sequence of Stale
        Claims whose last good page stands; the front page lists them with the reason.
    strategies : mapping of claim id to str
        The whole strategy as the source receives it; without it, as the claim's file combines it.
    explained : mapping of claim id to Explanation
        What is known of each strategy in numbers; without it, it is drawn without numbers.

    Returns
    -------
    dict of str to str
        Path inside the site to text: ``index.html``, ``about.html``, ``style.css`` and
        ``claims/ID.html``.

    Raises
    ------
    ToolkitError
        A figure that is no valid SVG, or would run or load something.
    """
    views = [
        claim_view(row, query=(strategies or {}).get(row.claim.id) or row.claim.search.query())
        for row in rows
    ]
    environment = _environment()
    common = {"on": on, "version": version, "views": views, "stale": stale}
    pages = {
        "index.html": environment.get_template("index.html").render(common, up=""),
        "about.html": environment.get_template("about.html").render(
            common, up="", example=_example(views)
        ),
        "style.css": (HERE / "style.css").read_text(encoding="utf-8"),
    }
    template = environment.get_template("claim.html")
    for view in views:
        claim = view.row.claim
        pages[f"claims/{claim.id}.html"] = template.render(
            common,
            up="../",
            view=view,
            row=view.row,
            claim=claim,
            figures=list(figures.get(claim.id, ())),
            drawing=drawing((explained or {}).get(claim.id) or explain(of_claim(claim), None)),
            reading_csv=f"data/{claim.id}/reading-order.csv",
            strategy_file=f"data/{claim.id}/search-strategy.md",
            evidence_files=(f"data/{claim.id}/evidence.csv", f"data/{claim.id}/evidence.json"),
        )
    return {path: _tidy(text) for path, text in pages.items()}


def downloads(row: EvidenceRow, figures: Sequence[Figure]) -> tuple[str, ...]:
    """Every file that a claim's page links to and other code has to write."""
    data = f"data/{row.claim.id}"
    paths = [f"{data}/{name}" for name in ("evidence.csv", "evidence.json", "search-strategy.md")]
    if row.ranking:
        paths.append(f"{data}/reading-order.csv")
    return (*paths, *(path for figure in figures for path in figure.files))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "capital": words.capital,
        "count": words.count,
        "day": words.day,
        "design": words.design,
        "inside": words.inside,
        "percent": words.percent,
        "reported": words.reported,
        "sentence": words.sentence,
        "show": show,
        "stop": words.stop,
    }
    environment.globals |= {
        "APPROXIMATED": APPROXIMATED,
        "NAMED": NAMED,
        "READING_SHOWN": READING_SHOWN,
        "LONG_TABLE": LONG_TABLE,
        "SHOWN_IN_FULL": SHOWN_IN_FULL,
        "STANDARDISERS": words.STANDARDISERS,
        "TIERS": words.TIERS,
        "anchor": words.anchor,
        "figure_svg": _figure_svg,
        "level_text": words.level_text,
        "empty": words.none,
        "p_words": words.p_words,
        "path": words.path,
        "plural": words.plural,
        "route_words": route_words,
        "row_link": words.row_link,
        "safe_url": words.safe_url,
        "show_p": show_p,
        "source_label": label,
        "split_urls": words.split_urls,
        "weight": weight,
    }
    return environment


def route_words(route: str) -> str:
    """The way an effect was obtained: the register's own words, else its key."""
    known = ROUTES.get(route)
    return known.label if known is not None else route.replace("_", " ").replace("-", " ")


def _figure_svg(figure: Figure, number: int) -> Markup:
    # A short prefix: a drawing refers to each outlined letter by its id, thousands of times.
    return inline(figure.svg, prefix=f"f{number}", alt=figure.alt)


def _example(views: Sequence[ClaimView]) -> ClaimView | None:
    """The first claim with a pooled primary analysis, to show how a number is traced."""
    return next((v for v in views if v.primary.pool is not None), None)


def _tidy(text: str) -> str:
    """No trailing blanks, no runs of empty lines: small pages with readable source."""
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
