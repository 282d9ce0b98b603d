"""Group commit: concurrent writes share one transaction, and therefore one flush to the disk.

A durable commit costs as much as dozens of small statements. The writer thread therefore takes all units of work that
wait (at most MAX_BATCH), runs them in one transaction, and gives each its own result or error.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from machine_monitor.errors import DatabaseBusy

MAX_WAITING = 1_000
MAX_BATCH = 64
# Wait briefly for clients that just got a response: they usually write again, and a batch of 16 costs a quarter less
# CPU per write than one of 8. A lone client never waits.
LINGER_SECONDS = 0.004

UnitOfWork = Callable[[Any], Any]
# For each unit its result, or the error that it raised.
Results = Sequence[tuple[Any, BaseException | None]]


class BatchWriter:
    """Collects units in the event loop and hands them, one batch after another, to a thread."""

    def __init__(self, run: Callable[[Sequence[UnitOfWork]], Results], threads: Executor) -> None:
        self._run = run
        self._threads = threads
        self._waiting: list[tuple[UnitOfWork, asyncio.Future[Any]]] = []
        self._busy = False
        self._last = self._expected = 1
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> tuple[int, int]:
        """How many units are in the batch under way, and how many wait for the next."""
        return self._last if self._busy else 0, len(self._waiting)

    async def submit(self, unit: UnitOfWork) -> Any:
        """The unit's result, once its batch is on disk; raises `DatabaseBusy` if too many units wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise DatabaseBusy
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        self._schedule()
        return await future

    def _schedule(self) -> None:
        """Start a batch once as many units wait as the last one had, or after LINGER_SECONDS."""
        if self._busy or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= min(self._expected, MAX_BATCH):
            if self._lingering is not None:
                self._lingering.cancel()
            self._busy = True
            loop.call_soon(self._start)
        elif self._lingering is None:
            self._lingering = loop.call_later(LINGER_SECONDS, self._start)

    def _start(self) -> None:
        self._busy, self._lingering = True, None
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        self._last = len(batch)
        futures = [future for _, future in batch]
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._run, [unit for unit, _ in batch])
        except RuntimeError:  # the database is closed
            self._resolve_futures(futures, [(None, DatabaseBusy())] * len(futures))
        else:
            done.add_done_callback(partial(self._finish, futures))

    def _finish(self, futures: Sequence[asyncio.Future[Any]], done: asyncio.Future[Results]) -> None:
        error = done.exception()
        if isinstance(error, DatabaseBusy):
            # The waiting units would wait as long again, for the same error.
            futures = [*futures, *(future for _, future in self._waiting)]
            self._waiting = []
        self._resolve_futures(futures, [(None, error)] * len(futures) if error is not None else done.result())

    def _resolve_futures(self, futures: Sequence[asyncio.Future[Any]], results: Results) -> None:
        for future, (result, error) in zip(futures, results, strict=True):
            # The client may have gone.
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._busy = False
        self._expected = len(futures) + len(self._waiting)
        self._schedule()
