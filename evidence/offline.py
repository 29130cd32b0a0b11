"""A claim's update from the mirror: what NLM's files hold against what the store holds.

No network is touched. The answer is complete as far as the files are: a gap among their numbers
makes it incomplete, and then nothing leaves the claim's set. The mirror has a set of its own (see
`evidence.held`), so that PubMed's is never smaller because a mirror holds less.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from evidence.errors import SourceError
from evidence.held import APPROXIMATED, MIRROR, age, is_newer, members_of, mirror_set
from evidence.mirror import Mirror, details
from evidence.mirror.source import Basis, basis_of, withdrawn
from evidence.model import Record, SearchRun
from evidence.query.parse import parse
from evidence.query.plan import NotAnswerable
from evidence.query.show import show
from evidence.retrieval import IncludedCheck, Retrieval, Update, tell_once
from evidence.store import NEVER, Store


def update_claim(
    claim: str,
    query: str,
    mirror: Mirror,
    store: Store,
    *,
    basis: Basis,
    on: dt.date,
    lenient: bool = False,
) -> Retrieval:
    """Search the mirror for one claim and bring the store up to date.

    A record leaves the mirror's set only where the mirror decides it: the strategy does not find
    the record as the mirror holds it, which is no older than the store's, or NLM's lists of
    deletions name it. One that the mirror does not hold stays, and so does everything while files
    are missing or the answer is approximate.

    Parameters
    ----------
    lenient : bool
        Answer approximately what needs tables that NLM does not publish; each term is named.

    Raises
    ------
    SourceError
        If the records alone cannot answer the query; the claim's set is as it was before.
    StoreError
        See `Store` and `Mirror`.
    """
    found, approximate, warnings = _find(query, mirror, lenient=lenient, today=on)
    warnings += basis.lacks()
    before = frozenset(store.members(mirror_set(claim)))
    lacking = before - found
    gone = frozenset(withdrawn(lacking, mirror))
    held = store.get(lacking)
    there = {
        record.pmid
        for batch in details(sorted(lacking, key=int), mirror)
        for record in batch.records
        if record.pmid not in held or age(record) >= age(held[record.pmid])
    }
    falling = frozenset() if basis.missing or approximate else gone | there
    absent = lacking - gone - there
    changed: list[str] = []
    retracted: list[str] = []
    wanted = found
    if _same_as_last(claim, query, store, basis):  # of the same files: only what was lost here
        wanted = found - store.fetched_on(found).keys()
    for batch in details(sorted(wanted, key=int), mirror):
        added = keep(batch.records, store, on=on)
        changed += added[0]
        retracted += added[1]
    run = SearchRun(
        claim=claim,
        source=MIRROR,
        ran_on=on,
        query=query,
        translation=show(parse(query).tree),
        count=len(found),
        warnings=warnings,
        complete=not basis.missing,
        basis=basis.words(),
    )
    known = members_of(store, claim).pmids
    settled = store.settle(mirror_set(claim), found | (lacking - falling), run)
    apart = members_of(store, claim).apart
    return Retrieval(
        claim=claim,
        new=tuple(p for p in settled.new if p not in known and p not in apart),
        changed=tuple(changed),
        retracted=tuple(retracted),
        dropped=settled.dropped,
        run=run,
        withdrawn=tuple(sorted(gone & falling, key=int)),
        absent=tuple(sorted(absent, key=int)),
        apart=apart,
    )


def _same_as_last(claim: str, query: str, store: Store, basis: Basis) -> bool:
    """Whether the claim's last search of a mirror asked the same of the same files."""
    last = [run for run in store.runs(claim) if run.source == MIRROR][-1:]
    return any(run.query == query and run.basis == basis.words() for run in last)


def _find(
    query: str, mirror: Mirror, *, lenient: bool, today: dt.date
) -> tuple[frozenset[str], bool, tuple[str, ...]]:
    """PMIDs, whether they are an approximation, and what to know about the answer."""
    if not query.strip():
        raise SourceError("the query is empty", remedy="write a search strategy for the claim")
    try:
        answer = mirror.search(query, today=today)
        approximate = False
    except NotAnswerable as refusal:
        if not lenient:
            raise SourceError(
                refusal.problem,
                refusal.places,
                remedy="tag the terms, give NLM's descriptor file (evidence mirror mesh), accept "
                "a marked approximation (--lenient), or ask PubMed itself",
            ) from None
        answer = mirror.search(query, strict=False, today=today)
        approximate = True
    notes = [str(reservation) for reservation in answer.approximations]
    if approximate:
        notes = [f"{APPROXIMATED}{note}" for note in notes]
    return frozenset(map(str, answer.pmids.tolist())), approximate, tuple(notes)


def keep(records: Iterable[Record], store: Store, *, on: dt.date) -> tuple[list[str], list[str]]:
    """Keep what the mirror knows better than the store; gives what changed and what is retracted.

    PubMed is asked for it again by the next search there: the mirror may be older.
    """
    records = list(records)
    held = store.get(r.pmid for r in records)
    fetched = store.fetched_on(held)
    better = [r for r in records if is_newer(r, held.get(r.pmid), fetched.get(r.pmid, NEVER))]
    if not better:
        return [], []
    added = store.add(better, on=on, received=False)
    return list(added.changed), list(added.retracted)


def check_included(
    included: Iterable[str], mirror: Mirror, store: Store, *, on: dt.date
) -> IncludedCheck:
    """Look up the included studies, so that no retraction that the files hold is missed.

    ``unknown`` are those of which the mirror has no record, ``lost`` those that NLM deleted.
    """
    asked = sorted(set(included), key=int)
    changed: list[str] = []
    missing: list[str] = []
    for batch in details(asked, mirror):
        changed += keep(batch.records, store, on=on)[0]
        missing += batch.not_served
    lost = withdrawn(missing, mirror)
    return IncludedCheck(
        changed=tuple(changed),
        unknown=tuple(pmid for pmid in missing if pmid not in lost),
        lost=lost,
    )


def update_all(
    claims: Iterable[tuple[str, str]],
    included: Iterable[str],
    mirror: Mirror,
    store: Store,
    *,
    on: dt.date,
    lenient: bool = False,
    say: Callable[[str], None] = lambda text: None,
    mark: bool = True,
) -> Update:
    """Update every claim from the mirror, then look up the included studies.

    One claim's fault stops no other. A retraction is told once, whichever source brought it.

    Raises
    ------
    StoreError
        See `Store` and `Mirror`.
    """
    included = set(included)
    basis = basis_of(mirror, today=on)
    results: list[Retrieval] = []
    for claim, query in claims:
        say(f"{claim}: asking the mirror")
        try:
            results.append(
                update_claim(claim, query, mirror, store, basis=basis, on=on, lenient=lenient)
            )
        except SourceError as problem:
            results.append(Retrieval(claim, problem=problem))
    check: IncludedCheck
    try:
        check = check_included(included, mirror, store, on=on)
    except SourceError as problem:
        check = IncludedCheck(problem=problem)
    return Update(
        tuple(results),
        tell_once(check, included, store, on=on, mark=mark),
        None,
        source=MIRROR,
        basis=basis.words(),
        missing=basis.missing,
    )
