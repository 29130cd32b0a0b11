"""A PubMed strategy in the syntax of another database, every approximation named.

No database holds the same fields and headings as another: a translation is a draft for a searcher.
Where an exact form exists it is used; else the wider one, so that nothing is lost silently. What
has no form at all is left out, and the note says what that does to the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.query.parse import parse
from evidence.query.targets import TARGETS
from evidence.query.targets.base import Note
from evidence.query.tree import Node, Parsed
from meta.errors import UnknownName

__all__ = ["Note", "Translation", "translate"]


@dataclass(frozen=True, slots=True)
class Translation:
    """The strategy for one database, and all that its reader must know."""

    target: str
    query: str  # empty if nothing could be translated
    notes: tuple[Note, ...]


def translate(query: str | Node | Parsed, target: str) -> Translation:
    """Write a PubMed query for another database.

    Parameters
    ----------
    query : str, Node or Parsed
    target : str
        "ovid" (MEDLINE), "embase" (embase.com), "wos" (Web of Science), "cochrane" (Cochrane
        Library) or "europepmc".

    Returns
    -------
    Translation
        With a note for everything that is not the same.

    Raises
    ------
    UnknownName
        If there is no such target.
    """
    if target not in TARGETS:
        raise UnknownName("database to translate to", target, sorted(TARGETS))
    if isinstance(query, str):
        query = parse(query)
    made = TARGETS[target]()
    piece = made.piece(query.tree if isinstance(query, Parsed) else query)
    text = piece.whole() if piece is not None else ""
    return Translation(target, text, tuple(dict.fromkeys(made.notes)))
