"""Requests that ask the same at the same time share a query."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
# A query may hang on a connection that is dead. Later requests do not wait longer than this for its end.
MAX_WAIT_SECONDS = 1.0


class SharedQueries(Generic[T]):
    """Runs one query per key at a time, unless it takes longer than MAX_WAIT_SECONDS.

    A request never gets the result of a query that began before it: requests that come while one is running share the
    next one. So each request sees all that was committed before it came.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[None]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    def is_running(self, key: Hashable) -> bool:
        """Whether a query for this key is running."""
        return key in self._running

    async def fetch(self, key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a query for this key, which begins now or later; raises its error."""
        if key not in self._next:
            if key not in self._running:
                return await self._run(key, query)
            self._next[key] = asyncio.create_task(self._run_after(self._running[key], key, query))
        # A request that is cancelled must not cancel the query of the others.
        return await asyncio.shield(self._next[key])

    async def _run(self, key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        ended = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            return await query()
        finally:
            if self._running.get(key) is ended:
                del self._running[key]
            if not ended.done():
                ended.set_result(None)

    async def _run_after(self, earlier: asyncio.Future[None], key: Hashable, query: Callable[[], Awaitable[T]]) -> T:
        await asyncio.wait([earlier], timeout=MAX_WAIT_SECONDS)
        # A request that comes from now on needs a later query.
        del self._next[key]
        return await self._run(key, query)
