"""Records and decisions in, a reading order with its reasons out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage import model
from evidence.triage.features import Features, features, grams_as_written


@dataclass(frozen=True, slots=True)
class Used:
    """How many records and decisions an order rests on."""

    included: int
    excluded: int
    unscreened: int  # records in the order
    elsewhere: int  # decisions on records that are not among those ranked


@dataclass(frozen=True, slots=True)
class Reasons:
    """Words of a record with their share in its score, strongest first."""

    up: tuple[tuple[str, float], ...]
    down: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Ranking:
    """The unscreened records in reading order, most likely relevant first."""

    order: tuple[tuple[str, float], ...]  # PMID and score; a score orders, it is no probability
    method: str  # one or two sentences
    stage: model.Stage
    used: Used
    _records: Mapping[str, tuple[int, Record]]
    _features: Features
    _direction: NDArray[np.float64]  # (m,) coefficient of each term

    @property
    def pmids(self) -> tuple[str, ...]:
        return tuple(pmid for pmid, _ in self.order)

    def summary(self) -> str:
        return self.method

    def reasons(self, pmid: str, *, count: int = 6) -> Reasons:
        """The words, as this record writes them, that moved it up and down.

        Parameters
        ----------
        pmid : str
            Any of the records given to `rank`, decided or not.
        count : int
            At most so many words each way.

        Raises
        ------
        InputError
            If the record is not among those ranked.
        """
        if pmid not in self._records:
            raise InputError(
                f"PMID {pmid} is not among the records of this order",
                remedy="`evidence search` adds what a search finds",
            )
        row, record = self._records[pmid]
        vector = self._features.matrix[[row]]
        shares: dict[str, float] = {}
        for column, value in zip(vector.indices, vector.data, strict=True):
            term = self._features.terms[column]
            shares[term] = shares.get(term, 0.0) + float(value * self._direction[column])
        words = _as_written(record, self._features)
        by_size = sorted(shares.items(), key=lambda item: (-abs(item[1]), item[0]))
        return Reasons(
            up=tuple((words[t], s) for t, s in by_size if s > 0)[:count],
            down=tuple((words[t], s) for t, s in by_size if s < 0)[:count],
        )


def rank(
    records: Sequence[Record], screenings: Mapping[str, bool], protocol: str, *, seed: int = 0
) -> Ranking:
    """Order the records that nobody has decided on yet.

    Three stages, after the decisions at hand: no inclusion, similarity to the protocol; inclusions
    only, similarity to these and to the protocol less that to the average unscreened record
    (Rocchio 1971); both kinds, a linear support vector machine. The answer depends on the set of
    records, not on the order in which they are given.

    Parameters
    ----------
    records : sequence of Record
        All records of a claim, each PMID once. Abstracts and MeSH may be missing.
    screenings : mapping of str to bool
        PMID to relevant or not. PMIDs outside ``records`` are counted and otherwise unused.
    protocol : str
        The words of the claim's protocol.
    seed : int
        Decides among records with exactly equal scores.

    Raises
    ------
    InputError
        If a PMID occurs twice; names each.
    """
    twice = sorted(p for p, times in Counter(r.pmid for r in records).items() if times > 1)
    if twice:
        raise InputError(
            "a PMID may occur once only, but several records share one",
            [f"PMID {pmid}" for pmid in twice],
            remedy="give each record once",
        )
    records = sorted(records, key=lambda r: (len(r.pmid), r.pmid))
    space = features(records, protocol)
    decided = np.array([r.pmid in screenings for r in records], dtype=bool)
    relevant = np.array([screenings.get(r.pmid, False) for r in records], dtype=bool)
    used = Used(
        included=int(relevant.sum()),
        excluded=int((decided & ~relevant).sum()),
        unscreened=int((~decided).sum()),
        elsewhere=len(screenings) - int(decided.sum()),
    )
    stage = model.stage(used.included, used.excluded)
    direction, constant = _direction(space, decided, relevant, stage, seed)
    scores = space.matrix @ direction + constant
    lots = np.random.default_rng(seed).permutation(len(records))
    places = [int(i) for i in np.lexsort((lots, -scores)) if not decided[i]]
    return Ranking(
        order=tuple((records[i].pmid, float(scores[i])) for i in places),
        method=_method(space, stage, used),
        stage=stage,
        used=used,
        _records={r.pmid: (i, r) for i, r in enumerate(records)},
        _features=space,
        _direction=direction,
    )


def _direction(
    space: Features,
    decided: NDArray[np.bool_],
    relevant: NDArray[np.bool_],
    stage: model.Stage,
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    """Coefficient of each term, and the constant."""
    asked = space.protocol.toarray().ravel()
    if not space.terms or stage == "protocol":
        return asked, 0.0
    if stage == "both":
        return model.fit(space.matrix[decided], relevant[decided], space.protocol, seed=seed)
    each, protocol, unscreened = model.similarity_weights(int(relevant.sum()))
    direction = each * space.matrix[relevant].sum(axis=0) + protocol * asked
    if not decided.all():
        direction = direction + unscreened * space.matrix[~decided].mean(axis=0)
    return np.asarray(direction, dtype=float), 0.0


def _as_written(record: Record, space: Features) -> dict[str, str]:
    """Stemmed term to the record's own words; the first spelling wins."""
    words: dict[str, str] = {}
    for view in space.views:
        for term, written in grams_as_written(view.texts(record)):
            words.setdefault(term, written)
    return words


def _method(space: Features, stage: model.Stage, used: Used) -> str:
    """How the order came about and how far to trust it, in words."""
    if not used.unscreened:
        screened = used.included + used.excluded
        return (
            f"Nothing is left to read: all {screened} records are decided."
            if screened
            else "There are no records to put in order."
        )
    if not space.terms:
        return "The records have no words: their order is drawn by lot."
    views = ", ".join(
        f"{v.name} (weight {v.weight:g}{'' if v.measured else ', not measured'})"
        for v in space.views
    )
    text = f"TF-IDF of stemmed words and word pairs in {views}"
    asked = space.protocol.nnz > 0
    protocol = f"the protocol as one more of weight {model.PROTOCOL_WEIGHT:g}"
    if stage == "both":
        how = (
            f"A linear support vector machine learned from {_count(used.included, 'included')} and "
            f"{_count(used.excluded, 'excluded')} on {text}"
            f"{f', with {protocol} included' if asked else ''}."
        )
    elif stage == "included":
        # Ten labelled reviews: recall in the first tenth .41 with 1, .58 with 5, .64 with 10 known.
        how = (
            f"No record is excluded yet, so nothing is learned: ordered by similarity to "
            f"{_count(used.included, 'included')}{f' and {protocol}' if asked else ''}, less "
            f"similarity to the average unscreened record, on {text}. Each exclusion will help."
        )
    elif asked:
        # Ten labelled reviews: recall in the first tenth .28, where chance gives .10.
        unused = f" from {_count(used.excluded, 'excluded')}" if used.excluded else ""
        how = (
            f"No record is included yet, so nothing is learned{unused}: ordered by "
            f"similarity to the protocol alone, on {text}. A rough order: on ten labelled reviews "
            f"its first tenth held about 28 % of the relevant records."
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
