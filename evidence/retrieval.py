"""One claim's update: what PubMed finds now against what the store holds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from evidence.errors import SourceError, SourceIncomplete, SourceUnreachable, ToolkitError
from evidence.fetch import Eutils
from evidence.held import APPROXIMATED, members_of
from evidence.model import SearchRun
from evidence.pubmed import Found, details, find, served
from evidence.pubmed.archive import Archive
from evidence.pubmed.records import BATCH
from evidence.pubmed.search import Part, Slice
from evidence.store import State, Store

SOURCE = "pubmed"
SLICE_DAYS = 2  # how long the parts of a search that was stopped may be used to go on
FEW = 5  # records that may fall out of a search at once, whatever their share
LOOKS = 3  # searches that may contradict themselves before the answer counts as incomplete
OVERLAP_DAYS = 2  # PubMed dates revisions in its own time zone, and its index lags behind


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What one update brought for one claim; all tuples hold PMIDs."""

    claim: str
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # known records whose content differs now
    retracted: tuple[str, ...] = ()  # retracted now, and not known to be before
    dropped: tuple[str, ...] = ()  # no longer found
    not_served: tuple[str, ...] = ()  # found by the search, but PubMed serves no record for them
    run: SearchRun | None = None
    requests: int = 0
    problem: ToolkitError | None = None  # why the claim keeps its earlier state
    # Of a mirror alone:
    withdrawn: tuple[str, ...] = ()  # of the dropped: NLM deleted them
    absent: tuple[str, ...] = ()  # of earlier searches, but this mirror has no such record: kept
    apart: tuple[str, ...] = ()  # found, but PubMed itself lists them no more: left out

    @property
    def complete(self) -> bool:
        whole = self.run is None or self.run.complete
        return self.problem is None and not self.not_served and whole

    def summary(self) -> str:
        """One line for the terminal."""
        if self.problem is not None:
            return f"{self.claim}: earlier state kept. {self.problem.problem}"
        count = self.run.count if self.run else 0
        words = [f"{self.claim}: {count:,} found, {len(self.new):,} new"]
        for name, pmids in (
            ("changed", self.changed),
            ("retracted", self.retracted),
            ("no longer found", self.dropped),
            ("of these deleted by NLM", self.withdrawn),
            ("not served", self.not_served),
            ("kept that the mirror does not hold", self.absent),
            ("left out that PubMed itself lists no more", self.apart),
        ):
            if pmids:
                words.append(f"{len(pmids):,} {name}")
        warnings = self.run.warnings if self.run else ()
        if terms := sum(warning.startswith(APPROXIMATED) for warning in warnings):
            words.append(f"approximate ({terms} {'term' if terms == 1 else 'terms'})")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class IncludedCheck:
    """The included studies, asked for at once whatever the searches find; tuples of PMIDs."""

    retracted: tuple[str, ...] = ()  # newly: someone must act
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # never served by this source
    lost: tuple[str, ...] = ()  # held in the store, but no longer served
    requests: int = 0
    problem: ToolkitError | None = None
    states: tuple[State, ...] = ()  # concerns, errata, updates, republications not yet told


@dataclass(frozen=True, slots=True)
class Update:
    """One run over all claims."""

    claims: tuple[Retrieval, ...]
    included: IncludedCheck
    unreachable: SourceUnreachable | None  # then everything is built from what is on disk
    source: str = SOURCE
    basis: str = ""  # of a mirror: what it holds
    missing: tuple[str, ...] = ()  # of a mirror: files between those that it holds

    @property
    def complete(self) -> bool:
        """False when PubMed answered with less than it should; unreachable is no fault."""
        parts = [r.complete or isinstance(r.problem, SourceUnreachable) for r in self.claims]
        check = self.included
        fine = check.problem is None or isinstance(check.problem, SourceUnreachable)
        return all(parts) and fine and not check.lost

    @property
    def requests(self) -> int:
        return sum(r.requests for r in self.claims) + self.included.requests


def update_claim(
    claim: str,
    query: str,
    eutils: Eutils,
    store: Store,
    *,
    on: dt.date,
    received: set[str] | None = None,
    archive: Archive | None = None,
    doubtful: set[str] | None = None,
) -> Retrieval:
    """Search for one claim and bring the store up to date.

    One search lists all PMIDs; a second one those revised since the last run. Fetched are only
    records that are not held, were revised, or were last received more than 90 days ago. Each
    batch is kept at once, and so is each part of a search beyond 9,999, so that a run that was
    interrupted goes on where it stopped; the claim's own set changes only at the end, in one step.
    Records fall out of the set only after two searches have agreed that they do.

    Parameters
    ----------
    received : set of str
        PMIDs that this run has fetched for other claims; they are not fetched again, and those
        fetched now are put in.

    Raises
    ------
    SourceError
        The claim's set is as it was before; records received so far are kept.
    StoreError
        See `Store`.
    """
    received = set() if received is None else received
    before = eutils.requests
    slices = _Kept(store, query, on, archive)
    found = _find_surely(claim, query, eutils, store, slices)
    if archive is not None:
        archive.log_search(claim, found, on=on)
    full = _run(claim, found, on, "full")
    since = _since(claim, store, on)
    revised: set[str] = set()
    revised_run = None
    fetched = store.fetched_on(found.pmids)
    # What is not held, or was received today, is as new as it can be.
    held = bool(store.runs(claim)) or any(day < on.isoformat() for day in fetched.values())
    if found.pmids and held:
        late = find(query, eutils, extra=f"{since:%Y/%m/%d}:3000[lr]")
        revised = set(late.pmids) & set(found.pmids)
        revised_run = _run(claim, late, on, "revised")
    members = store.members(claim)
    wanted = set(store.stale(found.pmids, on))
    # What enters the claim may have been revised while no search of any claim listed it.
    wanted |= {p for p, day in fetched.items() if p not in members and day < since.isoformat()}
    # On a second run of the same day the same revisions are listed again: they are held.
    seen = store.revised_seen(claim, on)
    wanted |= {p for p in revised if p not in seen or fetched.get(p, "") < on.isoformat()}
    if doubtful is not None:
        doubtful.update(revised - wanted - received)
    changed: list[str] = []
    retracted: list[str] = []
    not_served: list[str] = []
    for batch in details([p for p in found.pmids if p in wanted - received], eutils):
        added = store.add(batch.records, on=on)
        received.update(record.pmid for record in batch.records)
        changed += added.changed
        retracted += added.retracted
        not_served += batch.not_served
    if not_served:
        full = _run(
            claim, found, on, "full", f"listed by PubMed but not served: {', '.join(not_served)}"
        )
        store.expire(not_served)  # a revision that did not arrive is asked for again
    known = members_of(store, claim).mirror
    settled = store.settle(claim, found.pmids, full, revised=revised, revised_run=revised_run)
    slices.forget()
    return Retrieval(
        claim=claim,
        new=tuple(pmid for pmid in settled.new if pmid not in known),
        changed=tuple(changed),
        retracted=tuple(retracted),
        dropped=settled.dropped,
        not_served=tuple(not_served),
        run=full,
        requests=eutils.requests - before,
    )


class _Kept:
    """The parts of one query in the store; see `evidence.pubmed.search.Slices`."""

    def __init__(self, store: Store, query: str, on: dt.date, archive: Archive | None) -> None:
        self._store, self._on, self._archive = store, on, archive
        self.day = on
        self._name = hashlib.sha256(query.encode()).hexdigest()
        self._since = on - dt.timedelta(days=SLICE_DAYS)

    def kept(self) -> list[Slice]:
        return [
            Slice(Part(low, high, len(pmids), reply), pmids)
            for low, high, reply, pmids in self._store.slices(self._name, since=self._since)
            # A part whose reply is no longer archived could not be audited.
            if not reply or self._archive is None or self._archive.has(reply)
        ]

    def since(self) -> str:
        return f"{self._since - dt.timedelta(days=OVERLAP_DAYS):%Y/%m/%d}"

    def keep(self, slice_: Slice) -> None:
        part = slice_.part
        self._store.keep_slice(
            self._name, part.low, part.high, slice_.pmids, reply=part.reply, on=self._on
        )

    def forget(self) -> None:
        self._store.forget_slices(self._name, before=self._since)


def _find_surely(claim: str, query: str, eutils: Eutils, store: Store, slices: _Kept) -> Found:
    """The whole result; PMIDs of the last one are missing only where a second search agrees.

    The second one asks in other words, for the range of PMIDs from the first to the last that is
    missing, and must give just what the first gave there.
    """
    for _ in range(LOOKS):
        found = find(query, eutils, slices=slices)
        lacking = sorted(map(int, store.falling_out(claim, found.pmids)))
        if not lacking:
            return found
        low, high = lacking[0], lacking[-1]
        eutils.progress(f"{claim}: {len(lacking):,} records are no longer found; making sure")
        again = find(query, eutils, extra=f"{low}:{high}[uid]")
        if again.pmids == tuple(p for p in found.pmids if low <= int(p) <= high):
            _believe(claim, found, len(lacking), store, on=slices.day)
            return found
        slices.forget()
    raise SourceIncomplete(
        f"PubMed's answer is incomplete: {LOOKS} times in a row it left out records of the last "
        "complete search and then listed them",
        remedy="run the same command again later; the last complete state is kept",
    )


def _believe(claim: str, found: Found, gone: int, store: Store, *, on: dt.date) -> None:
    """Believe that most of a claim's records fell out only when another day says the same.

    A part of PubMed's index that is down answers with few records, or none, and no fault. Where
    the strategy was changed there is nothing to doubt.
    """
    last = [run for run in store.runs(claim) if run.source == SOURCE][-1:]
    if gone < FEW or 2 * gone <= len(store.falling_out(claim, ())):
        return
    if not last or last[0].query != found.query:
        return
    doubted = store.runs(claim, kinds=("doubted",))
    if any(last[0].ran_on <= run.ran_on < on for run in doubted):
        return
    store.log(_run(claim, found, on, "doubted", f"{gone} records fell out at once"))
    raise SourceIncomplete(
        f"PubMed lists {gone:,} of the last search's records no more, most of them, and the "
        "strategy is the same",
        remedy="look at the search on PubMed's own page; if it is right, run the same command "
        "again tomorrow: what two days agree on is believed",
    )


def check_included(
    included: Iterable[str],
    eutils: Eutils,
    store: Store,
    *,
    on: dt.date,
    received: Iterable[str] = (),
    doubtful: Iterable[str] = (),
) -> IncludedCheck:
    """Ask for the included studies in one request, so that no retraction is missed.

    Those in ``received`` arrived with a search of this run and are not asked for again. One that
    the store holds and the reply lacks is asked for once more before it is called lost. Room that
    is left in the request is filled with ``doubtful`` records.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    before = eutils.requests
    asked = sorted(set(included) - set(received), key=int)
    held = store.fetched_on(asked)
    room = max(0, BATCH - len(asked))
    others = sorted(set(doubtful) - set(received) - set(asked), key=int, reverse=True)[:room]
    records = served([*asked, *others], eutils)
    missing = [pmid for pmid in asked if pmid not in records]
    if lost := [pmid for pmid in missing if pmid in held]:
        records |= served(lost, eutils)
    added = store.add(records.values(), on=on)
    return IncludedCheck(
        changed=tuple(pmid for pmid in added.changed if pmid not in others),
        unknown=tuple(pmid for pmid in missing if pmid not in held),
        lost=tuple(pmid for pmid in lost if pmid not in records),
        requests=eutils.requests - before,
    )


def update_all(
    claims: Iterable[tuple[str, str]],
    included: Iterable[str],
    eutils: Eutils,
    store: Store,
    *,
    on: dt.date,
    archive: Archive | None = None,
    mark: bool = True,
) -> Update:
    """Update every claim, then check the included studies; one claim's fault stops no other.

    Once PubMed proved unreachable, nothing more is asked. A retraction of an included study is
    told exactly once, also by a later run when the one in which it arrived was killed.

    Parameters
    ----------
    claims : iterable of (str, str)
        Claim id and query.
    included : iterable of str
        PMIDs of all included studies.
    mark : bool
        Whether retractions and the like count as told from now on; if not, `mark_told` says so
        once the reviewer can read them.

    Raises
    ------
    StoreError
        See `Store`.
    """
    included = set(included)
    received: set[str] = set()
    doubtful: set[str] = set()
    results: list[Retrieval] = []
    unreachable: SourceUnreachable | None = None
    for claim, query in claims:
        before = eutils.requests
        if unreachable is None:
            eutils.progress(f"{claim}: asking PubMed")
        try:
            results.append(
                update_claim(
                    claim,
                    query,
                    eutils,
                    store,
                    on=on,
                    received=received,
                    archive=archive,
                    doubtful=doubtful,
                )
            )
        except SourceError as problem:
            if isinstance(problem, SourceUnreachable):
                unreachable = problem
            results.append(Retrieval(claim, requests=eutils.requests - before, problem=problem))
    before = eutils.requests
    try:
        check = check_included(included, eutils, store, on=on, received=received, doubtful=doubtful)
    except SourceError as problem:
        if isinstance(problem, SourceUnreachable):
            unreachable = problem
        check = IncludedCheck(requests=eutils.requests - before, problem=problem)
    check = tell_once(check, included, store, on=on, mark=mark)
    return Update(tuple(results), check, unreachable)


def tell_once(
    check: IncludedCheck, included: Iterable[str], store: Store, *, on: dt.date, mark: bool = True
) -> IncludedCheck:
    """The check with what the reviewer of the included studies was never told before."""
    included = set(included)
    retracted = store.untold_retractions(included)
    states = tuple(s for s in store.states(included, untold=True) if s.state != "retraction")
    check = dataclasses.replace(check, retracted=retracted, states=states)
    if mark:
        mark_told(check, store, on=on)
    return check


def mark_told(check: IncludedCheck, store: Store, *, on: dt.date) -> None:
    """Remember that the reviewer has been told what the check found."""
    if check.retracted:
        store.tell(check.retracted, on=on)
    if check.states:
        store.tell_states(check.states, on=on)


def _run(claim: str, found: Found, on: dt.date, kind: str, *warnings: str) -> SearchRun:
    return SearchRun(
        claim=claim,
        source=SOURCE,
        ran_on=on,
        query=found.query,
        translation=found.translation,
        count=found.count,
        warnings=found.warnings + warnings,
        complete=not warnings,
        kind=kind,
    )


def _since(claim: str, store: Store, on: dt.date) -> dt.date:
    """From which day on a revision may have escaped the store.

    Only PubMed's own searches count: a mirror of today may be a year old.
    """
    last = max((run.ran_on for run in store.runs(claim) if run.source == SOURCE), default=on)
    return last - dt.timedelta(days=OVERLAP_DAYS)
