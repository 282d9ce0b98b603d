"""Group commit: the writes that wait share one transaction, and so one flush to the disk."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from machine_monitor.errors import DatabaseBusy

MAX_WAITING = 1_000
MAX_BATCH = 64
# Who was just answered writes again soon: a batch waits so long for as many as there were, a lone writer never does.
LINGER_SECONDS = 0.004

Unit = Callable[[Any], Any]
# What became of each unit: its result, or the error that it failed with.
Outcomes = Sequence[tuple[Any, BaseException | None]]


class Batches:
    """Collects units in the event loop and hands them, one batch after another, to a thread."""

    def __init__(self, run: Callable[[Sequence[Unit]], Outcomes], threads: Executor) -> None:
        self._run = run
        self._threads = threads
        self._waiting: list[tuple[Unit, asyncio.Future[Any]]] = []
        self._busy = False
        self._last = self._expected = 1
        self._lingering: asyncio.TimerHandle | None = None

    @property
    def load(self) -> tuple[int, int]:
        """How many units are in the batch under way, and how many wait for the next."""
        return self._last if self._busy else 0, len(self._waiting)

    async def submit(self, unit: Unit) -> Any:
        """What the unit gives once its batch is on disk; raises `DatabaseBusy` if too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise DatabaseBusy
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, answer))
        self._schedule()
        return await answer

    def _schedule(self) -> None:
        """Start a batch once everyone who is expected waits, or has had the time to come."""
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
        answers = [answer for _, answer in batch]
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._run, [unit for unit, _ in batch])
        except RuntimeError:  # the database is closed
            self._tell(answers, [(None, DatabaseBusy())] * len(answers))
        else:
            done.add_done_callback(partial(self._finish, answers))

    def _finish(self, answers: Sequence[asyncio.Future[Any]], done: asyncio.Future[Outcomes]) -> None:
        error = done.exception()
        if isinstance(error, DatabaseBusy):
            # Whoever waits would wait as long again, to hear the same.
            answers = [*answers, *(answer for _, answer in self._waiting)]
            self._waiting = []
        self._tell(answers, [(None, error)] * len(answers) if error is not None else done.result())

    def _tell(self, answers: Sequence[asyncio.Future[Any]], outcomes: Outcomes) -> None:
        for answer, (result, failure) in zip(answers, outcomes, strict=True):
            # Whoever asked may have gone.
            if answer.done():
                continue
            if failure is None:
                answer.set_result(result)
            else:
                answer.set_exception(failure)
        self._busy = False
        self._expected = len(answers) + len(self._waiting)
        self._schedule()
