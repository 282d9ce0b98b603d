"""Group commit: concurrent writes share one transaction, and therefore one fsync.

A durable commit costs as much as dozens of small statements. The writer thread therefore takes the units of work that
are waiting, until they write MAX_BATCH_RECORDS records, runs them in one transaction, and gives each its own result or
error: one failing unit does not affect the others.

See docs/internals/write-batches.md for the waiting strategy, and for how a failed unit is undone.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

from machine_monitor.errors import DatabaseBusy
from machine_monitor.fairness import SYSTEM, FairQueue, FairSemaphore

# Units that may wait, shared among the users.
MAX_WAITING = 1_000
# Records in a batch: it ends with the unit that reaches this number, so that nobody waits for many bulk writes.
MAX_BATCH_RECORDS = 64
# Wait briefly for clients that just got a response: they usually write again, and a batch of 16 costs a quarter less
# CPU per write than one of 8. A lone client never waits.
LINGER_SECONDS = 0.004

UnitOfWork = Callable[[Any], Any]
Future = asyncio.Future[Any]
# One (result, error) pair per unit of work.
Results = Sequence[tuple[Any, BaseException | None]]


@dataclass(frozen=True)
class UnitWithLookups:
    """A unit of work, and what it looks up: in a batch, all units send their lookups before the first one runs."""

    run: UnitOfWork
    look_up: Callable[[Any], object]

    def __call__(self, tx: Any) -> Any:
        """Run the unit."""
        return self.run(tx)


class BatchWriter:
    """Queues units of work in the event loop and runs them in batches, one after another, on the writer thread."""

    def __init__(self, run: Callable[[Sequence[UnitOfWork]], Results], threads: Executor) -> None:
        self._run = run
        self._threads = threads
        self._waiting: FairQueue[tuple[UnitOfWork, int, Future]] = FairQueue()
        self._slots = FairSemaphore(MAX_WAITING)
        self._busy = False
        self._last = self._expected = 1
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> tuple[int, int]:
        """The number of units that are running now, and of units that are waiting."""
        return self._last if self._busy else 0, len(self._waiting)

    async def submit(self, unit: UnitOfWork, user: str = SYSTEM, records: int = 1) -> Any:
        """Run a unit, which writes so many records, and return its result after its batch is durable.

        Backpressure: raises `DatabaseBusy` if the user already has its share of the queue.
        """
        if not self._slots.try_acquire(user):
            raise DatabaseBusy
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(user, (unit, records, future))
        self._schedule()
        return await future

    def _schedule(self) -> None:
        """Start a batch when as many units are waiting as the last one had, or after LINGER_SECONDS."""
        if self._busy or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= min(self._expected, MAX_BATCH_RECORDS):
            if self._lingering is not None:
                self._lingering.cancel()
            self._busy = True
            loop.call_soon(self._start)
        elif self._lingering is None:
            self._lingering = loop.call_later(LINGER_SECONDS, self._start)

    def _start(self) -> None:
        self._busy, self._lingering = True, None
        batch = self._take(MAX_BATCH_RECORDS)
        self._last = len(batch)
        futures = [future for _, future in batch]
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._run, [unit for unit, _ in batch])
        except RuntimeError:  # the database is closed
            self._resolve_futures(futures, [(None, DatabaseBusy())] * len(futures))
        else:
            done.add_done_callback(partial(self._finish, futures))

    def _take(self, max_records: int) -> list[tuple[UnitOfWork, Future]]:
        """Remove units from the queue, one of each user in turn, until they write `max_records`."""
        taken: list[tuple[UnitOfWork, Future]] = []
        while self._waiting and max_records > 0:
            user, (unit, records, future) = self._waiting.take()
            self._slots.release(user)
            taken.append((unit, future))
            max_records -= records
        return taken

    def _finish(self, futures: Sequence[asyncio.Future[Any]], done: asyncio.Future[Results]) -> None:
        error = done.exception()
        if isinstance(error, DatabaseBusy):
            # Fail the waiting units too: they would time out in the same way.
            futures = [*futures, *(future for _, future in self._take(sys.maxsize))]
        self._resolve_futures(futures, [(None, error)] * len(futures) if error is not None else done.result())

    def _resolve_futures(self, futures: Sequence[asyncio.Future[Any]], results: Results) -> None:
        for future, (result, error) in zip(futures, results, strict=True):
            # The future is done if the client disconnected: its request was cancelled.
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._busy = False
        self._expected = len(futures) + len(self._waiting)
        self._schedule()
