"""The live change feed: new changes as server-sent events (SSE).

All streams of a process share one poll of the database. The poll keeps the newest entries in memory; a stream that is
further behind, such as a new one, reads its own entries until it has caught up. See docs/internals/live-changes.md.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from contextvars import Context
from itertools import accumulate, islice

from machine_monitor.database.connect import Database
from machine_monitor.database.read_point import HighestPosition
from machine_monitor.errors import HistoryReplaced, MonitorError, Problem
from machine_monitor.services.audit.change_feed import (
    START,
    ChangesQuery,
    Entry,
    Position,
    entries_after,
    newest_position,
)

POLL_SECONDS = 0.5
# Wait longer after a failed poll, since each failure writes a line to the log.
RETRY_SECONDS = 2.0
# The interval of re-authentication, and of SSE comments, which tell clients and proxies that the connection is alive.
# The API promises both within 15 s.
KEEPALIVE_SECONDS = 10.0
# Entries that the poll or a stream reads at a time.
BATCH_ENTRIES = 100
# Bytes of entries that the poll keeps, and that a stream keeps while its client reads slowly.
MAX_BUFFERED_BYTES = 1 << 20

HasEnded = Callable[[], Awaitable[bool]]

logger = logging.getLogger(__name__)


class LiveFeed:
    """The newest entries of the history, polled while a stream follows them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers = 0
        self._poll_task: asyncio.Task[None] | None = None
        # Consecutive entries; `_before` is the position before the first of them, None before the first poll.
        self._entries: deque[Entry] = deque()
        self._before: Position | None = None
        self._bytes = 0
        # With a standby: a position of the write-ahead log that has all entries that were read.
        self._read_after = HighestPosition()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """An event that is set when the next entries arrive. Take it before reading, so that no entry is missed."""
        return self._changed

    @contextmanager
    def keep_polling(self) -> Generator[None]:
        """Poll the database during this context."""
        self._followers += 1
        if self._poll_task is None:
            # Outside the context of the request that is first to follow: the poll is not a part of it.
            self._poll_task = asyncio.create_task(self._poll(), context=Context())
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._poll_task.cancel()
                self._poll_task = None
                self._forget()

    async def start_position(self, query: ChangesQuery) -> Position:
        """Return the position at which a stream begins; raises `HistoryReplaced`."""
        if query.after is None:
            return await newest_position(self._database)
        position, _ = await entries_after(self._database, query.after, 1)
        return position

    async def entries_after(self, position: Position) -> list[Entry]:
        """Return the next entries, from memory if they are there; raises `HistoryReplaced`."""
        buffered = self._buffered(position)
        if buffered is not None:
            return buffered
        _, entries = await entries_after(self._database, position, BATCH_ENTRIES)
        await self._find_read_after(entries)
        return _within_memory(entries)

    def change_event(self, entry: Entry) -> bytes:
        """Return the event of an entry that this feed has read."""
        item = self._database.engine.join_json([entry.item])
        if position := self._read_after.value:
            item = b'%b,"read_after":"%b"}' % (item[:-1], position.encode())
        return b"event: change\nid: %b\ndata: %b\n\n" % (str(entry.position).encode(), item)

    async def _find_read_after(self, entries: list[Entry]) -> None:
        if entries:
            self._read_after.advance(await self._database.find_position())

    def _buffered(self, position: Position) -> list[Entry] | None:
        """Return the next entries, or None if this position is not in memory."""
        if self._before is None:
            return None
        index = position.seq - self._before.seq
        if not 0 <= index <= len(self._entries):
            return None
        known = self._entries[index - 1].position if index else self._before
        return list(islice(self._entries, index, index + BATCH_ENTRIES)) if known == position else None

    async def _poll(self) -> None:
        while True:
            try:
                pause = 0.0 if await self._read() == BATCH_ENTRIES else POLL_SECONDS
            except HistoryReplaced:
                # Each stream now reads on from its own position, and so learns whether that still exists.
                self._forget()
                self._wake()
                pause = 0.0
            except MonitorError as error:
                logger.warning("the changes could not be read: %s", error)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _read(self) -> int:
        """Read new entries; return how many there were."""
        if self._before is None:
            self._before = await newest_position(self._database)
            # Wake streams that read before this entry was written.
            self._wake()
            return 0
        last = self._entries[-1].position if self._entries else self._before
        _, entries = await entries_after(self._database, last, BATCH_ENTRIES)
        await self._find_read_after(entries)
        self._entries += entries
        self._bytes += sum(len(entry.item) for entry in entries)
        while self._bytes > MAX_BUFFERED_BYTES:
            oldest = self._entries.popleft()
            self._before = oldest.position
            self._bytes -= len(oldest.item)
        if entries:
            self._wake()
        return len(entries)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _forget(self) -> None:
        self._entries.clear()
        self._before, self._bytes = None, 0
        self._read_after = HighestPosition()


async def stream_events(feed: LiveFeed, query: ChangesQuery, has_ended: HasEnded) -> AsyncGenerator[bytes]:
    """Yield server-sent events until the credential has ended; raises `HistoryReplaced` before the first event.

    A client that connects again cannot handle that response: it gets the event `replaced`, and then all changes.
    """
    with feed.keep_polling():
        greeting = b": changes follow\n"
        try:
            position = await feed.start_position(query)
        except HistoryReplaced:
            if not query.is_resumed:
                raise
            greeting, position = greeting + b"\n" + _replaced_event(), START
        else:
            # The id lets a client that loses its connection before the first change continue from here.
            greeting += b"" if query.after else f"id: {position}\n".encode()
            greeting += b"\n"
        yield greeting
        try:
            async with aclosing(_chunks(feed, query, position, has_ended)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except Problem:
            # The database cannot be used. The client connects again, and then gets the problem as a response.
            return


async def _chunks(
    feed: LiveFeed, query: ChangesQuery, position: Position, has_ended: HasEnded
) -> AsyncGenerator[bytes]:
    """Yield the events after a position, and comments, until the credential has ended."""
    while True:
        changed = feed.changed
        try:
            entries = await feed.entries_after(position)
        except HistoryReplaced:
            yield _replaced_event()
            position = START
            continue
        is_quiet = not entries and not await _is_set_in_time(changed)
        if (entries or is_quiet) and await has_ended():
            return
        if is_quiet:
            yield b": still here\n\n"
        checked_at = time.monotonic()
        for entry in entries:
            # A client that reads slowly does not outlive its credential either.
            if time.monotonic() - checked_at > KEEPALIVE_SECONDS:
                break
            if query.with_accounts or not entry.is_about_account:
                yield feed.change_event(entry)
            position = entry.position


def _within_memory(entries: list[Entry]) -> list[Entry]:
    """Return the first entries, at least one, that fit into MAX_BUFFERED_BYTES; the others are read again later."""
    sizes = accumulate(len(entry.item) for entry in entries)
    return entries[: max(1, sum(size <= MAX_BUFFERED_BYTES for size in sizes))]


async def _is_set_in_time(changed: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(KEEPALIVE_SECONDS):
            await changed.wait()
    except TimeoutError:
        return False
    return True


def _replaced_event() -> bytes:
    """Return the event that tells a follower to discard its copy: all changes follow from the first."""
    data = json.dumps({"code": HistoryReplaced.code, "detail": HistoryReplaced.explanation})
    return f"event: replaced\nid: {START}\ndata: {data}\n\n".encode()
