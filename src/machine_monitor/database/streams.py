"""Streaming reads: one large query, read in chunks on its own connection and thread."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from machine_monitor.errors import DatabaseBusy

# Rows per fetch, that is, per round trip.
FETCH_SIZE = 1_000
MAX_STREAMS = 4
WAIT_SECONDS = 5.0
T = TypeVar("T")


class ConcurrencyLimit(asyncio.Semaphore):
    """A semaphore that raises `DatabaseBusy` after WAIT_SECONDS of waiting."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._limit = limit
        self._demand = 0

    @property
    def utilization(self) -> tuple[int, int]:
        """How many slots are taken, and how many tasks are waiting for one."""
        return min(self._demand, self._limit), max(0, self._demand - self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Hold one slot; raises `DatabaseBusy` if none becomes free in time."""
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
    """Runs at most MAX_STREAMS blocking generators at once, each in its own thread."""

    def __init__(self) -> None:
        self._slots = ConcurrencyLimit(MAX_STREAMS)

    @property
    def utilization(self) -> tuple[int, int]:
        """How many streams are running, and how many are waiting."""
        return self._slots.utilization

    async def iterate(self, chunks: Generator[T]) -> AsyncGenerator[T]:
        """Iterate over a blocking generator in a thread.

        The caller must close the returned generator: that also closes the database connection.
        """
        loop = asyncio.get_running_loop()
        async with self._slots.slot():
            # One thread serializes `next` and `close`: closing waits for the running chunk.
            thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
            try:
                while (chunk := await loop.run_in_executor(thread, next, chunks, None)) is not None:
                    yield chunk
            finally:
                closed = loop.run_in_executor(thread, chunks.close)
                thread.shutdown(wait=False)
                await asyncio.shield(closed)
