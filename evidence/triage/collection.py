"""Records and their vectors, made once; any number of engines may share them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage.features import Features, features
from evidence.triage.protocols import Protocol
from evidence.triage.views import VIEWS, View


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Collection:
    """All records of a claim in a fixed sequence, each with its row of vectors.

    Nothing in it changes: threads may share it, and so may the engines of several reviewers, which
    then need memory for their own decisions only.
    """

    records: tuple[Record, ...]  # shorter PMIDs first, then by PMID
    row: Mapping[str, int]  # PMID to row
    pmids: NDArray[np.object_]  # of each row
    names: frozenset[str]  # the PMIDs
    space: Features

    @classmethod
    def of(
        cls, records: Sequence[Record], protocol: Protocol, *, views: Sequence[View] = VIEWS
    ) -> Collection:
        """Count the words of the records; some seconds at 10,000 records.

        Parameters
        ----------
        records : sequence of Record
            In any sequence, each PMID once. Abstracts may be missing.
        protocol : str, or mapping of str to sequence of str
            The words of the claim's protocol, or texts by the name of a view; may be empty.

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
        ordered = tuple(sorted(records, key=lambda r: (len(r.pmid), r.pmid)))
        row = {r.pmid: i for i, r in enumerate(ordered)}
        pmids = np.array(list(row), dtype=object)
        return cls(ordered, row, pmids, frozenset(row), features(ordered, protocol, views=views))
