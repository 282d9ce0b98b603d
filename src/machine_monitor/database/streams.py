"""Streams: one statement read to its end, a part at a time, over a connection and in a thread of its own."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from machine_monitor.errors import DatabaseBusy

# How many rows are fetched in one hop.
FETCH_SIZE = 1_000
MAX_STREAMS = 4
WAIT_SECONDS = 5.0
T = TypeVar("T")


class ConcurrencyLimit(asyncio.Semaphore):
    """Lets a few at once; who comes later waits, and then hears that the database is busy."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._at_once = limit
        self._demand = 0

    @property
    def utilization(self) -> tuple[int, int]:
        """How many have a turn, and how many wait for one."""
        return min(self._demand, self._at_once), max(0, self._demand - self._at_once)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """One turn; raises `DatabaseBusy` if it does not come."""
        self._demand += 1
        try:
            await self._take()
            try:
                yield
            finally:
                self.release()
        finally:
            self._demand -= 1

    async def _take(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self.acquire()
        except TimeoutError:
            raise DatabaseBusy from None


class StreamPool:
    """Lets a few streams flow at once."""

    def __init__(self) -> None:
        self._slots = ConcurrencyLimit(MAX_STREAMS)

    @property
    def utilization(self) -> tuple[int, int]:
        """How many flow, and how many wait for their turn."""
        return self._slots.utilization

    async def iterate(self, parts: Generator[T]) -> AsyncGenerator[T]:
        """What `parts` yields, each in a thread; its connection is closed in every case, so close this one."""
        loop = asyncio.get_running_loop()
        async with self._slots.slot():
            # A thread alone does one thing after another: closing waits for the part under way.
            thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
            try:
                while (part := await loop.run_in_executor(thread, next, parts, None)) is not None:
                    yield part
            finally:
                closed = loop.run_in_executor(thread, parts.close)
                thread.shutdown(wait=False)
                await asyncio.shield(closed)
