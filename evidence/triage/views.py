"""Ways to look at a record: each view says which texts count and how much.

Only the views of title and abstract were measured, on ten labelled reviews. The others need what
PubMed alone knows (headings, publication types, journals, citations). No labelled review at hand
carries these, so they are off, and "not measured", until somebody switches them on (`chosen`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from evidence.errors import InputError, UnknownName
from evidence.model import Record


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a record; ``weight`` is its share in the similarity of two records."""

    name: str
    weight: float
    measured: bool  # whether the weight was tried on labelled reviews
    texts: Callable[[Record], Sequence[str]]  # word pairs never cross from one text to the next
    whole: bool = False  # each text is one term, as it stands: no words, no pairs, no stems
    plain: bool = False  # term frequency as it is, neither saturated nor corrected for length


# Functions with names, so that views can be sent to other processes.


def _title_and_abstract(record: Record) -> tuple[str, ...]:
    return record.title, record.abstract


def _title(record: Record) -> tuple[str, ...]:
    return (record.title,)


def _mesh(record: Record) -> tuple[str, ...]:
    return record.mesh


def _kinds(record: Record) -> tuple[str, ...]:
    return record.kinds


def _journal(record: Record) -> tuple[str, ...]:
    return (record.journal,) if record.journal else ()


def _keywords(record: Record) -> tuple[str, ...]:
    return record.keywords


TITLE_AND_ABSTRACT = View("title and abstract", 1.0, True, _title_and_abstract)
TITLE = View("title", 0.1, True, _title, plain=True)

# The title's weight, for want of anything measured.
MESH = View("MeSH", 0.1, False, _mesh)
PUBLICATION_TYPES = View("publication types", 0.1, False, _kinds, whole=True)
JOURNAL = View("journal", 0.1, False, _journal, whole=True)
KEYWORDS = View("keywords", 0.1, False, _keywords)

CITATION_LINKS = "citation links"  # the name of the view that `citations` makes

VIEWS = (TITLE_AND_ABSTRACT, TITLE)
OPTIONAL = (MESH, PUBLICATION_TYPES, JOURNAL, KEYWORDS)


def citations(links: Mapping[str, Collection[str]] | None = None, *, weight: float = 0.1) -> View:
    """Citation links as a view: two records are alike where they cite, or are cited by, the same.

    A record's terms are its own PMID and those that it is linked with, so that a direct citation,
    shared references (Kessler 1963, American Documentation 14(1):10-25) and shared citing papers
    (Small 1973, JASIS 24(4):265-269) all count. Not measured.

    Parameters
    ----------
    links : mapping of str to collection of str
        PMID to the PMIDs that it cites or that cite it, such as ELink gives them; beside these
        count the references that a record itself lists.
    """
    linked = {pmid: tuple(sorted(some)) for pmid, some in (links or {}).items()}
    return View(CITATION_LINKS, weight, False, partial(_linked, links=linked), whole=True)


def _linked(record: Record, *, links: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A record's own PMID and those it is linked with; nothing where it has no link."""
    others = dict.fromkeys((*record.cites, *links.get(record.pmid, ())))
    return (record.pmid, *others) if others else ()


@dataclass(frozen=True, slots=True)
class Described:
    """A view for those who choose: what it looks at, and what is known of its worth."""

    view: View
    on: bool  # where nothing is set
    about: str
    found: str  # what was measured on labelled reviews

    def json(self) -> dict[str, object]:
        return {
            "name": self.view.name,
            "weight": self.view.weight,
            "on": self.on,
            "about": self.about,
            "found": self.found,
        }


def described() -> tuple[Described, ...]:
    """Every view, in the sequence in which they are named."""
    return tuple(
        Described(view, view in VIEWS, *_ABOUT[view.name])
        for view in (*VIEWS, *OPTIONAL, citations())
    )


_NOT_MEASURED = "not measured: no labelled review at hand has it"
_ABOUT = {
    "title and abstract": (
        "stemmed words and word pairs of both",
        "measured: what every other view is beside",
    ),
    "title": (
        "words and word pairs of the title once more",
        "measured on ten reviews, with less without: WSS@95 -.001 [-.016, .015], "
        "recall@10 % +.012 [-.010, .036]",
    ),
    "MeSH": (
        "words of the headings; the strategy's own headings speak for the protocol",
        _NOT_MEASURED,
    ),
    "publication types": (
        "each type as it stands; the strategy's own types speak for the protocol",
        _NOT_MEASURED,
    ),
    "journal": ("the journal", _NOT_MEASURED),
    "keywords": ("words of the authors' keywords", _NOT_MEASURED),
    CITATION_LINKS: (
        "what a record cites and what cites it: its own references, and what `evidence chase` "
        "followed; the works that the claim rests on speak for the protocol",
        _NOT_MEASURED,
    ),
}


def setting(text: str) -> tuple[str, float | None]:
    """``NAME`` or ``NAME=WEIGHT`` as the view's name and the weight, if one is given.

    Case does not count, nor whether words are joined by spaces, hyphens or underscores.

    Raises
    ------
    UnknownName
        If there is no view of the name.
    InputError
        If the weight is no number from 0 up.
    """
    known = [one.view.name for one in described()]
    said, equals, number = text.partition("=")
    name = next((one for one in known if _plain(one) == _plain(said)), None)
    if name is None:
        raise UnknownName("view", said.strip(), known)
    if not equals:
        return name, None
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise InputError(
            f"{number.strip()!r} is no weight of the view {name!r}",
            remedy=f"write a number such as {name}=0.1; 0 switches it off",
        )
    return name, weight


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().casefold()))


def chosen(
    settings: Sequence[str],
    *,
    links: Mapping[str, Collection[str]] | None = None,
    standing: Sequence[View] = VIEWS,
) -> tuple[View, ...]:
    """The standing views, changed by settings.

    Parameters
    ----------
    settings : sequence of str
        ``NAME`` switches a view on with its own weight, ``NAME=WEIGHT`` with another one,
        ``NAME=0`` off. Of two for one view the later one holds. A weight that was not tried on
        labelled reviews makes a view "not measured".
    links : mapping of str to collection of str
        Of `citations`.

    Raises
    ------
    UnknownName
        If there is no view of a name.
    InputError
        If a weight is none, or no view is left.
    """
    every = {view.name: view for view in (*VIEWS, *OPTIONAL, citations(links))}
    mine = {view.name: view for view in standing}
    for text in settings:
        name, weight = setting(text)
        view = every[name]
        if weight is not None and weight != view.weight:
            view = replace(view, weight=weight, measured=False)
        mine[name] = view
    found = tuple(mine[name] for name in every if name in mine and mine[name].weight > 0)
    if not found:
        raise InputError("every view is switched off", remedy="leave one on, such as the title")
    return found
