"""A claim's screening as the page needs it: the log, the orders and the store behind one door.

Every method may be called from any thread.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from evidence.claims import Claim
from evidence.model import Decision, Record, ScreeningFlow, Stage
from evidence.reading_order import links_path, looked_at, read_links
from evidence.screen.certificates import Offer, offer
from evidence.screen.desk import KeyedDesk
from evidence.screen.highlights import Highlights
from evidence.screen.holdings import Arrival, Holdings
from evidence.screen.orders import UNCLAIMED, Order, Orders
from evidence.screen.refused import Refused
from evidence.screen.shown import journal, shown
from evidence.screen.wordlists import WordLists
from evidence.screening import FULL, TITLE
from evidence.screening.agreement import Agreement, agreement
from evidence.screening.certificates import CertificateLog, Drawn
from evidence.screening.mine import Mine, Sharing
from evidence.screening.samples import Sample
from evidence.triage.collection import Collection
from evidence.triage.explain import Doubt
from evidence.workspace import Workspace

FIRST_ORDER_S = 5.0  # how long a question for records waits for the first order
SIMILAR = 8
STAGE_WORDS: dict[Stage, str] = {TITLE: "title and abstract", FULL: "full text"}


class ScreenSession:
    """One claim, open for screening by everybody at this server.

    Parameters
    ----------
    workspace : Workspace
    claim : Claim
    resolvers : sequence of str
        See `Sharing`.
    """

    def __init__(
        self, workspace: Workspace, claim: Claim, *, resolvers: Sequence[str] = ()
    ) -> None:
        self.root: Path = workspace.root
        self.claim = claim
        self.sharing = Sharing.of(claim, resolvers)
        self.holdings = Holdings(workspace.store, claim.id)
        self.desk = KeyedDesk.open(workspace.root, claim, names=self.holdings.names)
        self.words = WordLists(workspace.root, claim)
        self.certificates = CertificateLog.of(workspace.root, claim.id)
        self._links = links_path(workspace.var, claim.id)
        self.orders = Orders(lambda: tuple(self.holdings.records.values()), self._collection)
        self._mine: dict[tuple[str, Stage], Mine] = {}
        self._samples: dict[str, list[Sample]] = {}
        self._generation = self.desk.log.generation
        self._mutex = threading.RLock()
        self.holdings.heard_by(self._arrived)

    def _collection(self, records: Sequence[Record]) -> Collection:
        """The records as `evidence rank` looks at them, by the views of the claim file."""
        protocol, views = looked_at(self.claim, links=read_links(self._links))
        return Collection.of(records, protocol, views=views)

    def start(self, reviewer: str | None = None) -> None:
        """Begin to watch the store, and to order the records for who comes first."""
        self.holdings.start()
        if reviewer is not None:
            self.order(reviewer)
        else:
            self.orders.of(UNCLAIMED, dict)

    def stop(self) -> None:
        self.holdings.stop()
        self.orders.stop()

    def _arrived(self, arrival: Arrival) -> None:
        with self._mutex:
            self.desk.rename(self.holdings.names)
        self.orders.renew()

    # --- keeping up ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what other processes wrote, and let the orders learn it."""
        with self._mutex, self.desk.reading() as changed:
            self._take(changed)

    def _take(self, records: Iterable[str]) -> None:
        if self.desk.log.generation != self._generation:  # somebody rewrote the file
            self._generation = self.desk.log.generation
            self._mine.clear()
            self._samples.clear()
            for reviewer, order in self._claimed():
                labels = self.mine(reviewer, TITLE).labels()
                order.note({name: labels.get(name) for name in self.holdings.records})
            return
        records = tuple(records)
        if not records:
            return
        for mine in self._mine.values():
            mine.take(records)
        for sample in (each for samples in self._samples.values() for each in samples):
            sample.take(records)
        for reviewer, order in self._claimed():
            mine = self.mine(reviewer, TITLE)
            order.note({record: mine.label(record) for record in records})

    def _claimed(self) -> list[tuple[str, Order]]:
        return [(name, order) for name, order in self.orders.live().items() if name != UNCLAIMED]

    def mine(self, reviewer: str, stage: Stage) -> Mine:
        with self._mutex:
            found = self._mine.get((reviewer, stage))
            if found is None or found.state is not self.desk.state:
                found = Mine(self.desk.state, self.sharing, reviewer, stage)
                self._mine[reviewer, stage] = found
            return found

    def order(self, reviewer: str) -> Order:
        def labels() -> Mapping[str, bool]:
            with self._mutex, self.desk.reading() as changed:
                self._take(changed)
                return self.mine(reviewer, TITLE).labels()

        with self._mutex:
            return self.orders.of(reviewer, labels)

    # --- records ---------------------------------------------------------------------------------

    def record(self, name: str) -> Record:
        """A record of the claim; its ``pmid`` is the name that it has now.

        Raises
        ------
        Refused
            404 where there is none of this name.
        """
        record = self.holdings.records.get(self.holdings.names.get(name, name))
        if record is None:
            raise Refused(404, "there is no such record in this screening")
        return record

    def record_json(
        self, name: str, reviewer: str, stage: Stage, words: Highlights | None = None
    ) -> dict[str, Any]:
        mine, record = self.mine(reviewer, stage), self.record(name)
        name = record.pmid
        found = shown(record, words or self.words.of(reviewer))
        sample = stage == TITLE and name in self.sample(reviewer)
        return found | {"mine": mine.json(name), "note": mine.note(name), "sample": sample}

    def prepared(self, reviewer: str) -> bool:
        """Whether there is an order; waits a little for the first one."""
        return self.order(reviewer).ready.wait(FIRST_ORDER_S)

    def waiting(
        self, reviewer: str, stage: Stage, *, without: Iterable[str] = (), most: int | None = None
    ) -> list[str]:
        """The records that wait for a reviewer, in reading order."""
        order = self.order(reviewer)
        if not self.prepared(reviewer):
            raise Refused(503, "the records are still being put into order", "a moment, please")
        snapshot, records = order.snapshot, self.holdings.records
        without = set(without)
        found = []
        with self._mutex:
            mine = self.mine(reviewer, stage)
            drawn = self.sample(reviewer) if stage == TITLE else {}
            usual = self._sequence(snapshot.order, snapshot.known, records, stage)
            for name in chain(drawn, (n for n in usual if n not in drawn)):
                if name not in without and name in records and mine.waits(name):
                    found.append(name)
                    if most is not None and len(found) >= most:
                        break
        return found

    def _sequence(
        self,
        order: Sequence[str],
        known: frozenset[str],
        records: Mapping[str, Record],
        stage: Stage,
    ) -> Iterable[str]:
        """All records, those that the order has no place for last."""
        if stage == FULL:  # as they came through the first stage
            state = self.desk.state
            both = chain(state.standings(TITLE), state.standings(FULL))
            yield from dict.fromkeys(standing.record for standing in both)
            return
        yield from order
        if len(order) < len(records):
            placed = set(order)
            # What the order was taught is decided, as a rule; what it does not know is new.
            yield from (name for name in records if name in known and name not in placed)
            yield from (name for name in records if name not in known)

    def queue(
        self,
        reviewer: str,
        stage: Stage,
        *,
        n: int,
        have: Iterable[str] = (),
        without: Iterable[str] = (),
    ) -> dict[str, Any]:
        """What to read next: names in order, and the records that the browser does not have."""
        self.refresh()
        if not self.prepared(reviewer):
            return {"order": [], "records": {}, "state": None, "preparing": self._preparing()}
        have = set(have)
        order = self.waiting(reviewer, stage, without=without, most=n)
        words = self.words.of(reviewer)
        with self._mutex:
            records = {
                name: self.record_json(name, reviewer, stage, words)
                for name in order
                if name not in have or name in self.holdings.revised
            }
            drawn = self.sample(reviewer) if stage == TITLE else {}
            return {
                "order": order,
                "sample": [name for name in order if name in drawn],
                "records": records,
                "state": self.state(reviewer, stage),
            }

    # --- questions to the order ------------------------------------------------------------------

    def reasons(self, name: str, reviewer: str) -> dict[str, Any]:
        """The words that moved a record, each with its share of the strongest one."""
        self.record(name)
        order = self.order(reviewer)
        if name not in order.snapshot.known:
            return {
                "up": [],
                "down": [],
                "method": "This record is new: it has no place in the order yet.",
            }
        found = order.ask(lambda engine: engine.reasons(name))
        if found is None:
            raise Refused(503, "the order is being made anew", "ask again in a moment")
        most = max((abs(share) for _, share in (*found.up, *found.down)), default=1.0) or 1.0

        def listed(words: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
            return [(word, round(abs(share) / most, 3)) for word, share in words]

        return {
            "up": listed(found.up),
            "down": listed(found.down),
            "method": order.snapshot.method,
        }

    def similar(self, name: str, reviewer: str, stage: Stage) -> dict[str, Any]:
        """The records most like one, with this reviewer's own decisions."""
        self.record(name)
        order = self.order(reviewer)
        if name not in order.snapshot.known:
            return {"records": []}
        found = order.ask(lambda engine: engine.similar(name, SIMILAR))
        if found is None:
            raise Refused(503, "the order is being made anew", "ask again in a moment")
        with self._mutex:
            mine = self.mine(reviewer, stage)
            records = self.holdings.records
            return {
                "records": [
                    {
                        "id": other,
                        "title": records[other].shown_title,
                        "where": journal(records[other]),
                        "likeness": round(likeness, 3),
                        "mine": mine.json(other),
                    }
                    for other, likeness in found
                    if other in records and likeness > 0
                ]
            }

    # --- conflicts -------------------------------------------------------------------------------

    def resolve(
        self,
        key: str,
        name: str,
        stage: Stage,
        reviewer: str,
        decision: Decision,
        *,
        reason: str = "",
        note: str = "",
    ) -> None:
        """Settle a conflict for all.

        Raises
        ------
        Refused
            403 where this reviewer may not, 409 where there is no conflict (any more).
        """
        with self._mutex, self.desk.reading() as changed:
            self._take(changed)
            if self.desk.done(key, reviewer) is not None:
                return
            mine = self.mine(reviewer, stage)
            standing = self.desk.state.standing(name, stage)
            if not mine.may_resolve(standing):
                raise Refused(403, "this conflict is not yours to resolve")
            if standing.status not in ("conflict", "unsure") and standing.resolution is None:
                raise Refused(409, "there is no conflict about this record any more")
            if stage == FULL and decision == "exclude" and not reason:
                raise Refused(422, "a full text is excluded for a reason")
            self.desk.resolve_once(key, name, stage, reviewer, decision, reason=reason, note=note)
        self.refresh()

    # --- certificates ----------------------------------------------------------------------------

    def samples(self, reviewer: str) -> list[Sample]:
        """A reviewer's attempts to certify, the first one first."""
        with self._mutex:
            attempts, mine = self.certificates.attempts(reviewer), self.mine(reviewer, TITLE)
            known = self._samples.get(reviewer, [])
            if tuple(s.drawn for s in known) != attempts or any(s.mine is not mine for s in known):
                known = self._samples[reviewer] = [Sample(drawn, mine) for drawn in attempts]
            return known

    def sample(self, reviewer: str) -> dict[str, None]:
        """The records of the last sample that are still to be read, in the sequence drawn."""
        samples = self.samples(reviewer)
        return samples[-1].to_read() if samples else {}

    def offer(
        self, reviewer: str, *, target: float | None = None, confidence: float | None = None
    ) -> Offer:
        """What a sample drawn now would be; see `evidence.screen.certificates.offer`."""
        with self._mutex:
            return self._offer(reviewer, target, confidence)[0]

    def _offer(
        self, reviewer: str, target: float | None, confidence: float | None
    ) -> tuple[Offer, list[str]]:
        mine, held = self.mine(reviewer, TITLE), self.holdings.records
        unscreened = [name for name in held if mine.waits(name)]
        drawn = self.certificates.every(reviewer)
        found = offer(
            self.samples(reviewer),
            number=max((one.attempt for one in drawn), default=0) + 1,
            unscreened=len(unscreened),
            included=sum(label for name, label in mine.labels().items() if name in held),
            held=held,
            target=target,
            confidence=confidence,
        )
        return found, unscreened

    def certify(
        self, reviewer: str, *, attempt: int, size: int, target: float, confidence: float
    ) -> Drawn:
        """Draw a reviewer's next sample, as it was offered.

        Raises
        ------
        Refused
            409 where it is not what would be drawn now, or none can be drawn.
        ToolkitError
            If it could not be kept; then nothing was drawn.
        """
        with self._mutex, self.desk.held(), self.desk.reading() as changed:
            self._take(changed)
            now, unscreened = self._offer(reviewer, target, confidence)
            if now.why_not:
                raise Refused(409, now.why_not)
            if attempt != now.attempt:
                raise Refused(409, f"attempt {attempt} was drawn already", "open the page anew")
            if (size, target, confidence) != (now.size, now.target, now.confidence):
                raise Refused(
                    409,
                    f"the sample would have {now.size:,} records now, not {size:,}",
                    "look at the offer again",
                )
            if not now.size:
                raise Refused(409, "there is nothing to draw: recall cannot fall below the target")
            return self.certificates.draw(
                lambda clock: now.drawn(reviewer, unscreened, clock, len(self.holdings.records))
            )

    def _certificate(self, reviewer: str) -> dict[str, Any] | None:
        samples = self.samples(reviewer)
        if not samples:
            return None
        last = samples[-1]
        return {
            "attempt": last.drawn.attempt,
            "status": last.status,
            "words": last.line,
            "told": last.told,
        }

    def second_look(self, reviewer: str) -> tuple[Doubt, ...] | None:
        """Decisions that all the others speak against; None while the order is made anew."""
        return self.order(reviewer).ask(lambda engine: engine.second_look())

    def agreement(self, reviewer: str, stage: Stage) -> Agreement:
        """How well reviewers agree on the records of which this one may see the decisions."""
        with self._mutex:
            mine, state = self.mine(reviewer, stage), self.desk.state
            return agreement(
                {
                    name: decisions
                    for name, decisions in state.independent(stage).items()
                    if mine.sees(state.standing(name, stage))
                },
                stage,
            )

    def sees_all(self, reviewer: str) -> bool:
        """Whether nothing is hidden from a reviewer."""
        return not self.sharing.blind or reviewer in self.sharing.resolvers

    def flow(self) -> ScreeningFlow:
        return self.desk.flow(self.holdings.records)

    def _preparing(self) -> str:
        return f"Putting {len(self.holdings.records):,} records into order …"

    # --- progress --------------------------------------------------------------------------------

    def state(self, reviewer: str, stage: Stage) -> dict[str, Any]:
        """All that the page shows beside the record; nothing in it depends on hidden decisions."""
        with self._mutex:
            mine = self.mine(reviewer, stage)
            order = self.order(reviewer)
            held = self.holdings.records
            records = mine.total(held)
            screened = len(mine.decisions.keys() & held.keys())
            included = mine.counts["include"]
            return {
                "stage": stage,
                "reviewer": reviewer,
                "version": mine.version,
                "order": order.snapshot.version,
                "counts": {
                    "records": records,
                    "screened": screened,
                    "included": included,
                    "excluded": mine.counts["exclude"],
                    "unsure": mine.counts["unsure"],
                    "words": f"{screened:,} of {records:,} screened · {included:,} included",
                },
                "estimate": self._estimate(order) if stage == TITLE else "",
                "arrived": len(self.holdings.arrived),
                "quiet": self._quiet(order),
                "certificate": self._certificate(reviewer) if stage == TITLE else None,
                "conflicts": len(mine.conflicts()),
                "empty": self._empty(stage, records),
            }

    def _estimate(self, order: Order) -> str:
        outlook = order.outlook
        if outlook is None or math.isnan(outlook.remaining.estimate):
            return ""
        low, high = outlook.remaining.ci
        about = f"about {outlook.remaining.estimate:.0f} relevant left ({low:.0f} to {high:.0f})"
        if outlook.verdicts and outlook.verdicts[0].stop:
            return f"{about}: you may stop"
        return about

    def _quiet(self, order: Order) -> str:
        arrived = self.holdings.arrived
        if not arrived:
            return ""
        placed = order.snapshot.known
        late = sum(name not in placed for name in arrived)
        many = f"{len(arrived)} new {'record' if len(arrived) == 1 else 'records'}"
        if late:
            return f"{many} arrived from a search and wait at the end of the list."
        return f"{many} arrived from a search and took their places in the order."

    def _empty(self, stage: Stage, records: int) -> str:
        if records:
            return ""
        if stage == FULL:
            if self.sharing.blind and not self.sharing.planned:
                return (
                    "A full text comes here once you have included its record by title and "
                    "abstract. Where one person reads titles and another full texts, say so in the "
                    "claim file: reviewers = 1 in [screening]."
                )
            return "No record has come through title and abstract yet."
        if not self.holdings.records:
            return f"Nothing was found yet. Run: evidence search {self.claim.id}"
        return ""
