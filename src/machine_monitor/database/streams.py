"""Streams: one statement read to its end, a part at a time, over a connection and in a thread of its own."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from machine_monitor.errors import DatabaseBusy

# How many rows are fetched in one hop.
ROWS = 1_000
AT_ONCE = 4
WAIT_SECONDS = 5.0
T = TypeVar("T")


class Streams:
    """Lets a few streams flow at once; who comes later waits, and then hears that the database is busy."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def flow(self, parts: Generator[T]) -> AsyncGenerator[T]:
        """What `parts` yields, each in a thread; its connection is closed in every case, so close this one."""
        loop = asyncio.get_running_loop()
        async with self._turn():
            # A thread alone does one thing after another: closing waits for the part under way.
            thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
            try:
                while (part := await loop.run_in_executor(thread, next, parts, None)) is not None:
                    yield part
            finally:
                closed = loop.run_in_executor(thread, parts.close)
                thread.shutdown(wait=False)
                await asyncio.shield(closed)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise DatabaseBusy from None
        try:
            yield
        finally:
            self._turns.release()
