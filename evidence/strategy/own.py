"""What a claim's own records say of its strategy: for the site and for work without a network."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evidence import __version__, files
from evidence.assemble import decided as decisions
from evidence.claims import Claim
from evidence.errors import StoreError
from evidence.held import MIRROR as MIRRORED
from evidence.held import members_of
from evidence.mirror import Mirror
from evidence.model import Extraction, Record
from evidence.query.blocks import Outline
from evidence.query.gains import Gain, Gains, Tally
from evidence.query.questions import Vocabulary
from evidence.query.show import show
from evidence.query.tree import Last, leaves
from evidence.store import Store
from evidence.strategy.explain import Explanation, KnownRecord, explain
from evidence.strategy.outlines import of_claim
from evidence.strategy.sources import Counted, FromStore, Own
from evidence.workspace import Workspace

MIRROR = "mirror.sqlite"  # in var/


def explained(
    workspace: Workspace, claim: Claim, extraction: Extraction, *, on: dt.date
) -> Explanation:
    """A claim's strategy with what its own records tell; without any, without numbers."""
    known = known_records(claim, extraction)
    own = own_records(workspace, claim, [one.pmid for one in known])
    written = of_claim(claim)
    if own is None:
        return explain(written, None)
    with vocabulary(workspace) as words:
        memory = _Kept(workspace.var / "strategy" / f"{claim.id}.json", own, workspace, words, on)
        source = FromStore(own, vocabulary=words, today=on, memory=memory)
        return explain(written, source, known)


def known_records(
    claim: Claim | None, extraction: Extraction | None, more: Sequence[str] = ()
) -> tuple[KnownRecord, ...]:
    """Included studies, studies with results, and the known records of the claim file."""
    found: dict[str, KnownRecord] = {}
    if extraction is not None:
        decided = decisions(extraction.screening)
        with_results = {e.study_id for e in extraction.effects if e.role != "context"}
        for study in extraction.studies:
            decision = decided.get(study.pmid or "", decided.get(study.study_id))
            if study.pmid and (decision or (decision is None and study.study_id in with_results)):
                found[study.pmid] = KnownRecord(study.pmid, study.label, True)
    for one in claim.search.known if claim is not None else ():
        found.setdefault(one.pmid, KnownRecord(one.pmid, one.cite, False))
    for pmid in more:
        found.setdefault(pmid, KnownRecord(pmid, "", False))
    return tuple(found.values())


def own_records(workspace: Workspace, claim: Claim, known: Sequence[str]) -> Own | None:
    """The claim's records in the store; None where it holds none of them."""
    if not workspace.store.is_file():
        return None
    with Store(workspace.store) as store:
        by_pubmed = store.falling_out(claim.id, ())  # all that a search found, without files
        by_mirror = members_of(store, claim.id).mirror
        found = tuple(sorted(by_pubmed | by_mirror, key=int))
        held = store.get(known)
        runs = [run for run in store.runs(claim.id) if run.complete]
    if not found and not held:
        return None

    def load() -> list[Record]:
        with Store(workspace.store) as store:
            records = store.get(found)
        return [records[pmid] for pmid in found if pmid in records]

    last = {run.source: run for run in runs}  # the newest of each source
    used = [last[source] for source in ("pubmed", MIRRORED) if source in last]
    query = claim.search.query()
    return Own(
        found,
        load,
        held,
        max((run.ran_on for run in used), default=None),
        is_current=bool(used) and all(run.query == query for run in used),
        proves_missing="pubmed" in last,
    )


@contextlib.contextmanager
def vocabulary(workspace: Workspace) -> Iterator[Vocabulary | None]:
    """NLM's descriptor file, where the folder's mirror has it."""
    path = workspace.var / MIRROR
    if not path.is_file():
        yield None
        return
    try:
        mirror = Mirror(path)
    except StoreError:  # it is being made, or by another version
        yield None
        return
    with mirror:
        yield mirror.vocabulary


class _Kept:
    """Numbers in one file below ``var/``; deleted, they are counted again."""

    def __init__(
        self,
        path: Path,
        own: Own,
        workspace: Workspace,
        words: Vocabulary | None,
        on: dt.date,
    ) -> None:
        self._path, self._own, self._workspace = path, own, workspace
        self._with_headings, self._on = words is not None, on

    def recall(self, outline: Outline) -> Counted | None:
        if not self._path.is_file():
            return None
        try:
            kept = json.loads(files.read_text(self._path))
            if kept["of"] != self._digest(outline):
                return None
            return _counted(kept)
        except (ValueError, KeyError, TypeError):
            return None

    def keep(self, outline: Outline, counted: Counted) -> None:
        kept = {"of": self._digest(outline)} | _kept(counted)
        files.write_text(self._path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")

    def _digest(self, outline: Outline) -> str:
        """Of all that decides the numbers: strategy, records, software, and the day if it does."""
        with Store(self._workspace.store) as store:
            marks = store.marks(self._own.found)
        counts_back = any(isinstance(leaf, Last) for leaf in leaves(outline.node))
        parts = [
            __version__,
            self._own.words(),
            str(self._with_headings),
            self._on.isoformat() if counts_back else "",
            *(show(line.node) for concept in outline.concepts for line in concept.lines),
            repr(outline.shape),
            *(f"{pmid} {marks.get(pmid, '')}" for pmid in self._own.found),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _kept(counted: Counted) -> dict[str, Any]:
    gains = counted.gains
    return {
        "source": counted.source,
        "notes": list(counted.notes),
        "total": _pair(gains.total),
        "concepts": [_pair(tally) for tally in gains.concepts],
        "lines": [
            [g.concept, g.line, *map(_pair, (g.found, g.added, g.alone, g.lost))]
            for g in gains.lines
        ],
    }


def _counted(kept: dict[str, Any]) -> Counted:
    lines = [
        Gain(concept, line, Tally(*found), Tally(*added), Tally(*alone), lost and Tally(*lost))
        for concept, line, found, added, alone, lost in kept["lines"]
    ]
    concepts = tuple(Tally(*pair) for pair in kept["concepts"])
    gains = Gains(Tally(*kept["total"]), concepts, tuple(lines))
    return Counted(kept["source"], gains, tuple(kept["notes"]))


def _pair(tally: Tally | None) -> list[int] | None:
    return None if tally is None else [tally.low, tally.high]
