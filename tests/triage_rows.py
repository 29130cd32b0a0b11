"""Invented records about training among records about orchards, for the tests of triage."""

from __future__ import annotations

import random

from evidence.model import Record

PROTOCOL = "Interval training raises serum neurotrophin in healthy adults"


def a_record(pmid: str, title: str, abstract: str = "", mesh: tuple[str, ...] = ()) -> Record:
    return Record(
        pmid=pmid,
        title=title,
        abstract=abstract,
        authors=(),
        year=2020,
        journal="Journal of Invented Results",
        doi=None,
        pmcid=None,
        mesh=mesh,
        kinds=(),
        keywords=(),
        language="eng",
        status="MEDLINE",
        version=1,
        retracted=False,
        notices=(),
        revised=None,
    )


WANTED = "interval training sprint cycling serum neurotrophin adults intensity watts blood"
OTHER = "soil orchard beetle rainfall pollen harvest irrigation mildew compost larvae"
COMMON = "study results measured groups compared effect weeks sample change observed"


def a_library(size: int = 60, wanted: int = 8, overlap: int = 0) -> tuple[list[Record], list[bool]]:
    """Records about training among records about orchards, with shared filler.

    ``overlap`` words of each record are about the other subject.
    """
    rng = random.Random(5)
    records, labels = [], []
    for i in range(size):
        relevant = i % (size // wanted) == 3 and sum(labels) < wanted
        mine, theirs = (WANTED, OTHER) if relevant else (OTHER, WANTED)
        words = [
            *rng.choices(mine.split(), k=12 - overlap),
            *rng.choices(theirs.split(), k=overlap),
            *rng.choices(COMMON.split(), k=10),
        ]
        rng.shuffle(words)
        records.append(a_record(str(100 + i), " ".join(words[:5]), " ".join(words[5:])))
        labels.append(relevant)
    return records, labels


def first(library: tuple[list[Record], list[bool]], yes: int, no: int) -> dict[str, bool]:
    """Decisions on the first so many relevant and other records."""
    pmids = {
        kind: [r.pmid for r, y in zip(*library, strict=True) if y == kind] for kind in (True, False)
    }
    return dict.fromkeys(pmids[True][:yes], True) | dict.fromkeys(pmids[False][:no], False)
