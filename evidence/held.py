"""What a claim holds, from every source: records, each with where it comes from, counted once.

A source has its own set: PubMed's searches (with files and chases of PubMed records) under the
claim's name, the mirror's under `mirror_set`, references of other databases and further sources in
a table of their own. A search of one source changes no other's set. This module joins them.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from evidence.duplicates import key_of
from evidence.formats import Reference, make
from evidence.formats.records import from_reference
from evidence.model import Extraction, FromSource, Place, Record, SearchRun
from evidence.store import NEVER, Other, State, Store

MIRROR = "mirror"  # the source's name in the log of searches
APPROXIMATED = "approximated: "  # begins a warning about a term that a mirror cannot answer
# Runs that a reader of the search record wants to see.
KINDS = ("full", "import", "export", "citation", "second")
LABELS = {
    "pubmed": "PubMed",
    MIRROR: "PubMed mirror",
    "citation": "citations followed",
    "europepmc": "Europe PMC",
    "crossref": "Crossref",
}
_PMID = re.compile(r"\(PMID (\d+)\)")
_PART = {"full": "search", "export": "file", "citation": "citation"}


def label(source: str) -> str:
    """A source as readers know it; a file is known by its name."""
    return LABELS.get(source, source)


def mirror_set(claim: str) -> str:
    """The name of the claim's set of records in the mirror; no claim can be called so."""
    return f"{claim}@{MIRROR}"


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds for a claim; empty where there is no store yet."""

    records: tuple[Record, ...] = ()
    runs: tuple[SearchRun, ...] = ()  # newest first
    retracted: frozenset[str] = frozenset()
    states: tuple[State, ...] = ()  # of the studies asked about: concerns, errata, updates
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by record: its sources
    flow: tuple[FromSource, ...] = ()
    apart: tuple[str, ...] = ()  # see `Members`
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names of the records

    def under_present_names(self, extraction: Extraction) -> Extraction:
        """The extraction with decisions about a record under the name that it has now.

        A work that was screened as ``doi:10...`` keeps its decision when PubMed turns out to have
        it, and one without any number when another database gives its DOI.
        """
        rows = tuple(
            replace(row, record=self.aliases[row.record]) if row.record in self.aliases else row
            for row in extraction.screening
        )
        return replace(extraction, screening=rows)


@dataclass(frozen=True, slots=True)
class Members:
    """The PMIDs of a claim, by what found them."""

    pubmed: frozenset[str]  # searches of PubMed; files and chases too
    mirror: frozenset[str]  # the mirror; many are in both
    apart: tuple[str, ...]  # the mirror still finds them, PubMed does not any more: not counted

    @property
    def pmids(self) -> frozenset[str]:
        return self.pubmed | self.mirror


def members_of(store: Store, claim: str) -> Members:
    """The claim's PMIDs from PubMed and from the mirror.

    PubMed is right where the two differ on what left a set: a record that PubMed's own search
    listed and then listed no more stays out although the mirror finds it, unless it was revised
    since, or the mirror was asked another strategy. What PubMed never listed stays in.
    """
    mirror = frozenset(store.members(mirror_set(claim)))
    dropped = {p: day for p, day in store.dropped(claim).items() if p in mirror}
    apart: set[str] = set()
    if dropped and _asked(store, claim, "pubmed") == _asked(store, claim, MIRROR):
        records = store.get(dropped)
        apart = {p for p, day in dropped.items() if p in records and _day(records[p]) < day}
    return Members(frozenset(store.members(claim)), mirror - apart, tuple(sorted(apart, key=int)))


def _asked(store: Store, claim: str, source: str) -> str | None:
    """The strategy of the source's last search."""
    runs = [run for run in store.runs(claim) if run.source == source]
    return runs[-1].query if runs else None


def _day(record: Record) -> dt.date:
    """The last day on which a record is known to have changed or to have entered PubMed."""
    entered = [step.date for step in record.history if step.event in ("entrez", "pubmed")]
    days = [day for day in (record.revised, record.created, *entered) if day and len(day) == 10]
    return dt.date.fromisoformat(max(days)) if days else dt.date.max


def age(record: Record) -> tuple[int, str]:
    """Version and day of revision: of two copies of a record the greater is the newer one."""
    return record.version, record.revised or ""


def is_newer(record: Record, held: Record | None, fetched: str) -> bool:
    """Whether a copy from a file or a mirror takes the place of the one that is held.

    What PubMed itself sent on the day ``fetched`` is replaced only by a later version, a later
    revision, or a copy of the same day with a retraction that it lacks, or with all its notices and
    one more. NLM does not promise a later date for each of its changes; but a file may be old, and
    an old copy must not take a retraction back.
    """
    if held is None or age(record) != age(held):
        return held is None or age(record) > age(held)
    if held == record or (held.retracted and not record.retracted):
        return False
    if fetched == NEVER or (record.retracted and not held.retracted):
        return True
    return _noticed(record) > _noticed(held)


def _noticed(record: Record) -> frozenset[tuple[str, str]]:
    """Kind and PMID of each notice: formats cite one and the same notice in different words."""
    return frozenset(
        (notice.partition(":")[0], found[1] if (found := _PMID.search(notice)) else notice)
        for notice in record.notices
    )


def as_known(store: Store, records: Iterable[Record]) -> list[Record]:
    """The records of a file, each as the store holds it where that is the newer copy."""
    records = list(records)
    held = store.get(r.pmid for r in records)
    fetched = store.fetched_on(held)
    return [
        r if is_newer(r, held.get(r.pmid), fetched.get(r.pmid, NEVER)) else held[r.pmid]
        for r in records
    ]


def pubmed_records(store: Store, claim: str, members: Members) -> tuple[Record, ...]:
    """The records of `members`, in the order of PMIDs."""
    records = {r.pmid: r for r in store.records(mirror_set(claim)) if r.pmid in members.mirror}
    records |= {r.pmid: r for r in store.records(claim)}
    return tuple(records[pmid] for pmid in sorted(records, key=int))


def held_in(store: Store, claim: str, pmids: Sequence[str] = ()) -> Held:
    """All that the store holds for a claim, and what became of ``pmids``."""
    asked = store.get(pmids)
    members = members_of(store, claim)
    ways = store.ways(claim)
    records = {r.pmid: r for r in pubmed_records(store, claim, members)}
    sets: dict[tuple[str, str], set[str]] = {}
    for pmid, (kind, source) in ways.items():
        sets.setdefault((_PART[kind], source), set()).add(pmid)
    if members.mirror:
        sets["mirror", MIRROR] = set(members.mirror)
    others = list(others_in(store, claim))
    aliases = aliases_of(records.values(), others)
    served = store.get(other.pmid for other, _ in others if other.pmid)
    for other, reference in others:
        work = other.pmid or other.name
        if work not in records:
            records[work] = served.get(work) or _as_record(reference, work)
        kind = "second" if other.source in LABELS else "file"
        sets.setdefault((kind, other.source), set()).add(work)
    logged = store.runs(claim, kinds=KINDS)
    told = {(run.source, run.ran_on) for run in logged if run.kind == "import"}
    runs = tuple(
        run
        for run in reversed(logged)  # an import says of its file what the export in it says
        if run.kind != "export" or (run.source, run.ran_on) not in told
    )
    origins: dict[str, tuple[str, ...]] = {}
    for (_, source), works in _ordered(sets):
        for work in works:
            origins[work] = (*origins.get(work, ()), label(source))
    return Held(
        records=tuple(records.values()),
        runs=runs,
        retracted=frozenset(p for p, record in asked.items() if record.retracted),
        states=store.states(pmids),
        origins=origins,
        flow=_flow(sets, runs, members),
        apart=members.apart,
        aliases={name: work for name, work in aliases.items() if name not in records},
    )


def aliases_of(
    records: Iterable[Record], others: Iterable[tuple[Other, Reference]]
) -> dict[str, str]:
    """Other names of records: by DOI, by what names a reference of another database, its digest."""
    aliases = {f"doi:{r.doi.casefold()}": r.pmid for r in records if r.doi}
    for other, reference in others:
        work = other.pmid or other.name
        names = {other.name, key_of(reference)}
        if reference.doi:
            names.add(f"doi:{reference.doi.casefold()}")
        aliases |= dict.fromkeys(names - {work}, work)
    return aliases


_ORDER = ("search", "mirror", "file", "second", "citation")


def _ordered(sets: Mapping[tuple[str, str], set[str]]) -> list[tuple[tuple[str, str], set[str]]]:
    return sorted(sets.items(), key=lambda item: (_ORDER.index(item[0][0]), item[0][1]))


def _flow(
    sets: Mapping[tuple[str, str], set[str]], runs: Sequence[SearchRun], members: Members
) -> tuple[FromSource, ...]:
    """How many records each source gave, in an order in which each record is counted once."""
    sets = dict(sets)
    for run in runs:  # a search that found nothing is one too
        if run.kind == "full" and run.source in ("pubmed", MIRROR):
            sets.setdefault(("mirror" if run.source == MIRROR else "search", run.source), set())
        elif run.kind in ("import", "second"):
            sets.setdefault(("file" if run.kind == "import" else "second", run.source), set())
    flow: list[FromSource] = []
    seen: set[str] = set()
    for (kind, source), works in _ordered(sets):
        logged = next((run for run in runs if _belongs(run, kind, source)), None)
        counted = logged is not None and kind != "citation"
        identified = max(logged.count, len(works)) if logged and counted else len(works)
        flow.append(
            FromSource(
                kind=kind,
                label=label(source),
                on=logged.ran_on if logged else None,
                identified=identified,
                added=len(works - seen),
                apart=len(members.apart) if kind == "mirror" else 0,
                basis=logged.basis if logged else "",
            )
        )
        seen |= works
    return tuple(flow)


def _belongs(run: SearchRun, kind: str, source: str) -> bool:
    """Whether a run says how many records a source gave."""
    kinds = {
        "search": ("full",),
        "mirror": ("full",),
        "file": ("import", "export"),
        "second": ("second",),
        "citation": ("citation",),
    }
    return run.source == source and run.kind in kinds[kind]


# --- references of other databases ---------------------------------------------------------------


def body_of(reference: Reference) -> str:
    """A reference as the store keeps it; with its record where another source gave one whole."""
    said = asdict(replace(reference, record=None))
    kept: dict[str, Any] = {k: v for k, v in said.items() if v or v is False}
    if reference.record is not None:
        kept["record"] = reference.record.json()
    return json.dumps(kept, ensure_ascii=False)


def reference_of(other: Other) -> Reference:
    """The reference that `body_of` kept."""
    fields: dict[str, Any] = json.loads(other.body)
    at, record = fields.pop("at", None), fields.pop("record", None)
    return make(
        **fields,
        at=Place(**at) if at else None,
        record=Record.from_json(record) if record else None,
    )


def others_in(store: Store, claim: str) -> Iterable[tuple[Other, Reference]]:
    """The claim's references of other databases, each with what it says."""
    return ((other, reference_of(other)) for other in store.others(claim))


def others_of(store: Store, claim: str) -> tuple[Record, ...]:
    """The claim's records that PubMed's own set lacks: the mirror's, and those of other databases.

    Those without a PMID are named "doi:10..." or by a digest of what they say.
    """
    members = members_of(store, claim)
    alone = members.mirror - members.pubmed
    works = {r.pmid: r for r in store.records(mirror_set(claim)) if r.pmid in alone}
    others = list(others_in(store, claim))
    served = store.get(other.pmid for other, _ in others if other.pmid)
    for other, reference in others:
        work = other.pmid or other.name
        if work not in works and work not in members.pubmed:
            works[work] = served.get(work) or _as_record(reference, work)
    return tuple(works.values())


def _as_record(reference: Reference, name: str) -> Record:
    """A record under the name of its work; it is shown and ranked, and never kept as PubMed's."""
    return replace(reference.record or from_reference(reference), pmid=name)
