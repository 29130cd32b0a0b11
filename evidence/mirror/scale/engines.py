"""Who does the work: this process, or the workers of a Dask scheduler."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from evidence.errors import ToolkitError

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"  # the address of a cluster that is made for the occasion
_RETRIES = 2  # of a task that ended with a fault; a worker that died is another count, of Dask's
_CONNECT_S = 10.0
_ALONE_S = 120.0  # without any worker until the run ends; a cluster may replace its machines
_POLL_S = 2.0

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failed:
    """A task without a result after all attempts."""

    why: str


class Engine(Protocol):
    """Does the same work for many tasks."""

    @property
    def hands(self) -> int:
        """How many tasks are done at the same time."""

    def check(self, folder: Path) -> None:
        """Complain unless all who work see the folder."""

    def each(
        self, work: Callable[[T], R], tasks: Sequence[T], *, kept: bool = False
    ) -> Iterator[tuple[int, R | Failed]]:
        """The result of each task with its place among the tasks, in the order of completion.

        With ``kept`` a task of the same place goes to the same worker where it is still there, as
        that has kept something from the last time.
        """


class Here:
    """This process, one task after the other."""

    hands = 1

    def check(self, folder: Path) -> None:
        """Nothing to complain of."""

    def each(
        self, work: Callable[[T], R], tasks: Sequence[T], *, kept: bool = False
    ) -> Iterator[tuple[int, R | Failed]]:
        """The result of each task; a fault is raised as it is."""
        for place, task in enumerate(tasks):
            yield place, work(task)


def _nobody() -> None:
    """Nobody comes in place of a worker that is gone for good."""


class Workers:
    """The workers of a Dask scheduler, by a client that somebody else closes."""

    def __init__(self, client: Client, refill: Callable[[], object] = _nobody) -> None:
        self.client = client
        self.refill = refill  # asks for workers in place of those that are gone for good

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(self.client.scheduler_info()["address"])

    @property
    def hands(self) -> int:
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def check(self, folder: Path) -> None:
        """Whether every worker has the toolkit and sees the folder.

        Raises
        ------
        ToolkitError
            If not; names each such worker.
        """
        seen = self.client.run(_sees, str(folder), on_error="return")
        wrong = [
            f"{worker}: {_told(answer) if isinstance(answer, BaseException) else 'not there'}"
            for worker, answer in sorted(seen.items())
            if answer is not True
        ]
        if wrong:
            raise ToolkitError(
                f"{len(wrong)} of {len(seen)} workers cannot use {folder}",
                wrong,
                remedy="every worker needs the toolkit in the same version and the folder on a "
                "disk that all share, under the same path",
            )

    def each(
        self, work: Callable[[T], R], tasks: Sequence[T], *, kept: bool = False
    ) -> Iterator[tuple[int, R | Failed]]:
        """The result of each task; one that fails every time, or ends its worker, is `Failed`.

        Raises
        ------
        ToolkitError
            If the scheduler is lost, or there is no worker for long.
        """
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        workers = sorted(self.client.nthreads()) if kept else []
        places: dict[Any, int] = {}
        futures = []
        for place, task in enumerate(tasks):
            where: dict[str, Any] = {}
            if workers:
                where = {"workers": workers[place % len(workers)], "allow_other_workers": True}
            future = self.client.submit(work, task, pure=False, retries=_RETRIES, **where)
            places[future.key] = place
            futures.append(future)
            future.add_done_callback(done.put)
        try:
            for _ in tasks:
                future = self._next(done)
                yield places[future.key], self._result(future)
        finally:
            for future in futures:
                future.release()

    def _next(self, done: queue.SimpleQueue[Future[Any]]) -> Future[Any]:
        alone = 0.0
        while True:
            try:
                return done.get(timeout=_POLL_S)
            except queue.Empty:
                self.refill()
                alone = 0.0 if self.client.nthreads() else alone + _POLL_S
                if alone >= _ALONE_S:
                    raise ToolkitError(
                        f"there was no worker for {_ALONE_S:.0f} seconds",
                        remedy="start workers, then run the command again: what was done stays",
                    ) from None

    def _result(self, future: Future[Any]) -> Any:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        fault = future.exception()
        if fault is None:
            return future.result()
        if isinstance(fault, KilledWorker):
            return Failed("every worker that tried it was ended, perhaps for want of memory")
        if isinstance(fault, FutureCancelledError):
            raise ToolkitError(
                "the scheduler was lost",
                remedy="start it again, then run the command again: what was done stays",
            ) from fault
        return Failed(_told(fault))


def _told(fault: BaseException) -> str:
    if isinstance(fault, ToolkitError):
        return str(fault)
    return f"{type(fault).__name__}: {fault}"


def _sees(folder: str) -> bool:
    return Path(folder).is_dir()


def _must_have_certificates() -> None:
    from distributed import Security

    try:
        there = Security().get_connection_args("client").get("ssl_context")
    except OSError as fault:
        raise ToolkitError(f"the certificates for TLS cannot be read: {fault}") from fault
    if there is None:
        raise ToolkitError(
            "there are no certificates for TLS",
            remedy="set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..__TLS__CLIENT__CERT and "
            "..__TLS__CLIENT__KEY, as docs/scale.md shows",
        )


@contextlib.contextmanager
def cluster(address: str, *, most: int | None = None) -> Iterator[Workers]:
    """The workers of the scheduler at ``address``, such as ``tcp://10.0.0.5:8786``.

    ``local`` makes workers on this machine, at most one a processor and at most ``most``, and ends
    them. A script that does so must stand below ``if __name__ == "__main__":``, as Python starts
    it again.

    Raises
    ------
    ToolkitError
        If Dask is not installed, or no scheduler or no worker answers.
    """
    try:
        import distributed
    except ImportError as fault:
        raise ToolkitError(
            "Dask is not installed", remedy='pip install "living-evidence[scale]"'
        ) from fault
    with contextlib.ExitStack() as stack:
        refill: Callable[[], object] = _nobody
        if address == LOCAL:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            processors = os.cpu_count() or 1
            count = max(1, min(processors, most or processors))
            made = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
            )
            address = stack.enter_context(made).scheduler_address
            # Dask starts a worker again that dies, but not one that dies while it starts.
            refill = partial(made.scale, count)
        if address.startswith("tls://"):
            _must_have_certificates()
        try:
            client = stack.enter_context(
                distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
            )
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except (OSError, ValueError, TimeoutError) as fault:
            raise ToolkitError(
                f"no scheduler with workers answers at {address}: {fault}",
                remedy="start them: dask scheduler, then dask worker ADDRESS; or --scheduler local",
            ) from fault
        yield Workers(client, refill)
