"""How a reading order came about, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evidence.triage import model
from evidence.triage.features import Features
from evidence.triage.views import View


@dataclass(frozen=True, slots=True)
class Used:
    """How many records and decisions an order rests on."""

    included: int
    excluded: int
    unscreened: int  # records in the order
    elsewhere: int  # decisions on records that are not among those ranked


def in_words(space: Features, stage: model.Stage, used: Used) -> str:
    """How the order came about and how far to trust it, in words."""
    return told(space.views, space.protocol.nnz > 0, stage, used)


def told(filled: Sequence[View], asked: bool, stage: model.Stage, used: Used) -> str:
    """As `in_words`.

    Parameters
    ----------
    filled : sequence of View
        The views that at least one record has something for.
    asked : bool
        Whether a word of the protocol is in the records.
    """
    if not used.unscreened:
        screened = used.included + used.excluded
        return (
            f"Nothing is left to read: all {screened} records are decided."
            if screened
            else "There are no records to put in order."
        )
    if not filled:
        return "The records have no words: their order is drawn by lot."
    views = ", ".join(
        f"{v.name} (weight {v.weight:g}{'' if v.measured else ', not measured'})" for v in filled
    )
    text = f"TF-IDF of stemmed words and word pairs in {views}"
    protocol = f"the protocol as one more of weight {model.PROTOCOL_WEIGHT:g}"
    if stage == "both":
        how = (
            f"A linear support vector machine learned from {_count(used.included, 'included')} and "
            f"{_count(used.excluded, 'excluded')} on {text}"
            f"{f', with {protocol} included' if asked else ''}."
        )
    elif stage == "included":
        # Ten labelled reviews: recall in the first tenth .39 with 1, .60 with 5, .64 with 10 known.
        how = (
            f"No record is excluded yet, so nothing is learned: ordered by similarity to "
            f"{_count(used.included, 'included')}{f' and {protocol}' if asked else ''}, less "
            f"similarity to the average unscreened record, on {text}. Each exclusion will help."
        )
    elif asked:
        # Ten labelled reviews: recall in the first tenth .29, where chance gives .10.
        unused = f" from {_count(used.excluded, 'excluded')}" if used.excluded else ""
        how = (
            f"No record is included yet, so nothing is learned{unused}: ordered by "
            f"similarity to the protocol alone, on {text}. A rough order: on ten labelled reviews "
            f"its first tenth held about 29% of the relevant records."
        )
    else:
        how = (
            "No record is included yet and no word of the protocol occurs in the records: "
            "their order is drawn by lot."
        )
    if used.elsewhere:
        these = "decision concerns a record" if used.elsewhere == 1 else "decisions concern records"
        how += f" {used.elsewhere} {these} outside this search and could not be used."
    return how


def _count(number: int, kind: str) -> str:
    return f"{number} {kind} record{'' if number == 1 else 's'}"
