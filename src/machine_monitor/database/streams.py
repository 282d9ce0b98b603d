"""Streaming reads: one large query, read in chunks on its own connection and thread."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from machine_monitor.fairness import FairSemaphore

# Rows per fetch, that is, per round trip.
FETCH_SIZE = 1_000
MAX_STREAMS = 4
WAIT_SECONDS = 5.0
T = TypeVar("T")


class StreamPool:
    """Runs blocking generators, each in its own thread. Users share MAX_STREAMS of them."""

    def __init__(self) -> None:
        self._slots = FairSemaphore(MAX_STREAMS)

    @property
    def utilization(self) -> tuple[int, int]:
        """How many streams are running, and how many are waiting."""
        return self._slots.utilization

    async def iterate(self, user: str, chunks: Generator[T]) -> AsyncGenerator[T]:
        """Iterate over a blocking generator in a thread.

        The caller must close the returned generator: that also closes the database connection.
        """
        loop = asyncio.get_running_loop()
        async with self._slots.slot(user, WAIT_SECONDS):
            # One thread serializes `next` and `close`: closing waits for the running chunk.
            thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
            try:
                while (chunk := await loop.run_in_executor(thread, next, chunks, None)) is not None:
                    yield chunk
            finally:
                closed = loop.run_in_executor(thread, chunks.close)
                thread.shutdown(wait=False)
                await asyncio.shield(closed)
