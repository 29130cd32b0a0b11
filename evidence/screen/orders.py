"""Reading orders that keep up with decisions, each in a thread of its own.

Requests read the latest finished order and never wait for the next one.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from evidence.errors import ToolkitError
from evidence.model import Record
from evidence.triage.collection import Collection
from evidence.triage.engine import Engine
from evidence.triage.explain import Bin, Depth
from evidence.triage.stopping import Remaining, Verdict

EVERY = 10  # decisions between two looks at the stopping rules
IDLE_S = 0.7  # or so long after the last decision
REST = 9.0  # times what the last look took, before the next one: with 8,000 decisions it takes 5 s
UNCLAIMED = ""  # an order that was begun before anybody came; the first reviewer takes it
MOST = 6  # orders kept in memory: that many people screen at one server at a time

Answer = TypeVar("Answer")
Label = TypeVar("Label", bool, bool | None)
Labels = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The latest finished order."""

    order: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()  # records that the order is about
    method: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the stopping rules said last, and after how many decisions."""

    remaining: Remaining
    verdicts: tuple[Verdict, ...]
    depths: tuple[Depth, ...]
    calibration: tuple[Bin, ...]
    decisions: int


class Order:
    """The reading order of one reviewer.

    Parameters
    ----------
    collect : callable
        Gives the records as they are now, with their vectors.
    labels : mapping of str to bool
        What is known at the start, in the sequence of the decisions.
    first : Snapshot
        What to show until the first order is finished.
    begun : callable
        Given the order before any decision, once it is known.
    """

    def __init__(
        self,
        collect: Callable[[], Collection],
        labels: Labels,
        *,
        first: Snapshot,
        begun: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        self._collect, self._begun = collect, begun
        self._wanted: dict[str, bool] = dict(labels)
        self._news: dict[str, bool | None] = {}
        self._tasks: deque[tuple[Callable[[Engine], Any], Future[Any]]] = deque()
        self._renewed = True
        self._stopped = False
        self._wake = threading.Condition()
        self._looked = -1  # decisions that the stopping rules have seen
        self._rested = 0.0  # the moment from which they may look again
        self.snapshot = first
        self.outlook: Outlook | None = None
        self.ready = threading.Event()
        if first.order:
            self.ready.set()
        self.used = time.monotonic()
        threading.Thread(target=self._run, name="order", daemon=True).start()

    # --- for requests ----------------------------------------------------------------------------

    def note(self, changes: Mapping[str, bool | None]) -> None:
        """Let the order learn decisions (None: taken back). Returns at once."""
        with self._wake:
            for record, label in changes.items():
                if self._wanted.get(record) == label:
                    continue
                if label is None:
                    self._wanted.pop(record, None)
                else:
                    self._wanted[record] = label
                self._news[record] = label
            if self._news:
                self._wake.notify()

    def renew(self) -> None:
        """Make the order anew, of the records as they are now; until then the old one stands."""
        with self._wake:
            self._renewed = True
            self._wake.notify()

    def ask(self, question: Callable[[Engine], Answer], *, wait: float = 20.0) -> Answer | None:
        """An answer of the engine; None where it is busy for longer than ``wait`` seconds."""
        future: Future[Answer] = Future()
        with self._wake:
            if self._stopped:
                return None
            self._tasks.append((question, future))
            self._wake.notify()
        try:
            return future.result(timeout=wait)
        except TimeoutError:
            future.cancel()
            return None

    def stop(self) -> None:
        """End the thread; who still waits for an answer gets none."""
        with self._wake:
            self._stopped = True
            tasks = list(self._tasks)
            self._tasks.clear()
            self._wake.notify()
        for question, future in tasks:
            _answer(question, None, future)

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        engine: Engine | None = None
        while True:
            with self._wake:
                while not (self._stopped or self._renewed or self._news or self._tasks):
                    rest = max(IDLE_S, self._rested - time.monotonic())
                    if not self._wake.wait(timeout=rest if self._behind(engine) else None):
                        break
                if self._stopped:
                    return
                renewed, self._renewed = self._renewed, False
                news, self._news = self._news, {}
                wanted = dict(self._wanted)
                tasks = list(self._tasks)
                self._tasks.clear()
            try:
                if renewed or engine is None:
                    engine = self._made(wanted)
                    self._publish(engine)
                elif news:
                    engine.decide_all(_known(engine, news))
                    self._publish(engine)
            except Exception:  # decisions are safe in the log; only their order stays as it was
                self._failed()
            for question, future in tasks:
                _answer(question, engine, future)
            try:
                if engine is not None and self._behind(engine, EVERY if news or tasks else 1):
                    self._look_out(engine)
            except Exception:  # the order is published; what it lacks is how much remains
                self._failed()

    def _failed(self) -> None:
        traceback.print_exc(file=sys.stderr)
        self.ready.set()

    def _made(self, wanted: Labels) -> Engine:
        engine = Engine.over(self._collect())
        first = Snapshot(engine.order, engine.collection.names, engine.method)
        self._begun(first)
        if not self.ready.is_set():  # thousands of decisions take their time: read on meanwhile
            self.snapshot = first
            self.ready.set()
        engine.decide_all(_known(engine, wanted))
        self._looked, self._rested = -1, 0.0
        return engine

    def _publish(self, engine: Engine) -> None:
        version = self.snapshot.version + 1
        names = engine.collection.names
        self.snapshot = Snapshot(engine.order, names, engine.method, version)
        self.ready.set()

    def _behind(self, engine: Engine | None, least: int = 1) -> bool:
        """Whether the stopping rules have not seen the last ``least`` decisions or more."""
        if engine is None:
            return False
        return self._looked < 0 or abs(_decided(engine) - self._looked) >= least

    def _look_out(self, engine: Engine) -> None:
        begun = time.monotonic()
        if begun < self._rested:
            return
        self._looked = _decided(engine)
        self.outlook = Outlook(
            engine.recall(),
            engine.verdicts(),
            engine.depths(),
            engine.calibration(),
            self._looked,
        )
        now = time.monotonic()
        self._rested = now + REST * (now - begun)


def _known(engine: Engine, labels: Mapping[str, Label]) -> dict[str, Label]:
    return {name: y for name, y in labels.items() if name in engine.collection.names}


def _decided(engine: Engine) -> int:
    used = engine.used
    return used.included + used.excluded


def _answer(question: Callable[[Engine], Any], engine: Engine | None, future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if engine is None:
        future.set_result(None)
        return
    try:
        future.set_result(question(engine))
    except ToolkitError as fault:
        future.set_exception(fault)
    except Exception as fault:
        traceback.print_exc(file=sys.stderr)
        future.set_exception(fault)


class Orders:
    """The orders of all reviewers at one server; beyond `MOST` the longest unused one goes.

    Parameters
    ----------
    records : callable
        Gives the records as they are now.
    collect : callable
        Counts their words.
    """

    def __init__(
        self,
        records: Callable[[], Sequence[Record]],
        collect: Callable[[Sequence[Record]], Collection],
    ) -> None:
        self._records, self._collect = records, collect
        self._orders: dict[str, Order] = {}
        self._held: tuple[tuple[Record, ...], Collection] | None = None
        self._counting = threading.Lock()
        self._first = Snapshot()
        self._mutex = threading.RLock()

    def of(self, reviewer: str, labels: Callable[[], Labels]) -> Order:
        """The order of a reviewer; begun with ``labels()`` where there is none yet."""
        with self._mutex:
            order = self._orders.get(reviewer)
            if order is None and UNCLAIMED in self._orders:
                order = self._orders[reviewer] = self._orders.pop(UNCLAIMED)
                order.note(labels())
            if order is None:
                if len(self._orders) >= MOST:
                    oldest = min(self._orders, key=lambda name: self._orders[name].used)
                    self._orders.pop(oldest).stop()
                order = self._orders[reviewer] = Order(
                    self._collected,
                    labels(),
                    first=self._first,
                    begun=self._keep_first,
                )
            order.used = time.monotonic()
            return order

    def _collected(self) -> Collection:
        """The records as they are now; their words are counted once for all reviewers."""
        with self._counting:
            records = tuple(self._records())
            if self._held is None or self._held[0] != records:
                self._held = (records, self._collect(records))
            return self._held[1]

    def _keep_first(self, snapshot: Snapshot) -> None:
        # Before any decision all reviewers have one order: nobody waits for a second one.
        self._first = snapshot

    def live(self) -> dict[str, Order]:
        with self._mutex:
            return dict(self._orders)

    def renew(self) -> None:
        for order in self.live().values():
            order.renew()

    def stop(self) -> None:
        for order in self.live().values():
            order.stop()
