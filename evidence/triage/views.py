"""Ways to look at a record: each view says which texts count and how much.

Only the views of title and abstract were measured, on ten labelled reviews. The others need what
PubMed alone knows (headings, publication types, journals, citations). No labelled review at hand
carries these, so they are off, and "not measured", until a caller switches them on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from evidence.errors import UnknownName
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
    return View("citation links", weight, False, partial(_linked, links=linked), whole=True)


def _linked(record: Record, *, links: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A record's own PMID and those it is linked with; nothing where it has no link."""
    others = dict.fromkeys((*record.cites, *links.get(record.pmid, ())))
    return (record.pmid, *others) if others else ()


def chosen(
    names: Sequence[str], *, links: Mapping[str, Collection[str]] | None = None
) -> tuple[View, ...]:
    """The standing views and further ones by name.

    Parameters
    ----------
    names : sequence of str
        Of `OPTIONAL`, or "citation links".

    Raises
    ------
    UnknownName
        If there is no view of a name.
    """
    optional = {view.name: view for view in (*OPTIONAL, citations(links))}
    for name in names:
        if name not in optional:
            raise UnknownName("view", name, optional)
    return (*VIEWS, *(optional[name] for name in dict.fromkeys(names)))
