"""Receive files into the store: streamed to disk while they are hashed, then looked at, then kept."""

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.errors import FilesUnavailable, FileTooLarge, MonitorError, Problem, StorageFull, TableTooLarge
from machine_monitor.fairness import SYSTEM, FairSemaphore
from machine_monitor.models.log import new_uuid
from machine_monitor.services.files.decoding import RETRY_SECONDS, Decoder, Inspection
from machine_monitor.services.files.previews import SMALL, Previews
from machine_monitor.services.files.store import FolderStore, IncomingFile, store_of

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Bytes are handed to a thread, which hashes and writes them, in pieces of this size.
PIECE_BYTES = 256 * 1024
THREADS = 4
# How many files a process receives at once; users share them. One waits so long for its turn.
UPLOADS, WAIT_SECONDS = 32, 10.0
BUSY = "The service is receiving too many files at once. Try again in a moment; it is safe to repeat a PUT."
NO_FOLDER = "This site has no folder for attachments: set MM_FILES to one, and start the service again."
FULL = "The disk of the attachments is full; nothing was written. Reading still works."


@dataclass(frozen=True)
class ReceivedFile:
    """A file that is complete and flushed, but not yet in the store."""

    id: str
    name: str
    digest: str
    size: int
    inspection: Inspection
    incoming: IncomingFile

    @property
    def is_image(self) -> bool:
        """Whether it is an image that can be decoded."""
        return self.inspection.width is not None


@dataclass(frozen=True)
class ReceivedTable:
    """A table that is complete and flushed, and waits to be imported."""

    digest: str
    size: int
    incoming: IncomingFile


class Files:
    """The files of a service: the store, and what works on it. `max_bytes` is the largest size of one file."""

    def __init__(self, settings: Settings) -> None:
        self.max_bytes = settings.max_file
        self.decoder = Decoder()
        self._store: FolderStore | None = store_of(settings.files, database_urls.parse(settings.database_url))
        self._previews = None if self._store is None else Previews(self._store, self.decoder)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._receiving = FairSemaphore(UPLOADS, partial(FilesUnavailable, BUSY, RETRY_SECONDS))
        self._preparing: set[asyncio.Task[None]] = set()

    @property
    def store(self) -> FolderStore:
        """The store; raises `FilesUnavailable` if no folder is set."""
        if self._store is None:
            raise FilesUnavailable(NO_FOLDER)
        return self._store

    @property
    def is_available(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    @property
    def previews(self) -> Previews:
        """The previews; raises `FilesUnavailable` if no folder is set."""
        if self._previews is None:
            raise FilesUnavailable(NO_FOLDER)
        return self._previews

    async def close(self) -> None:
        """End what is running; a preview that is being made is made when it is asked for again."""
        for task in self._preparing:
            task.cancel()
        await asyncio.gather(*self._preparing, return_exceptions=True)
        if self._previews is not None:
            await self._previews.close()
        self.decoder.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def prepare_previews(self, digests: Iterable[str]) -> None:
        """Make small previews in the background, so that a record with many photos opens at once."""
        for digest in digests:
            task = asyncio.create_task(self._prepare_preview(digest))
            self._preparing.add(task)
            task.add_done_callback(self._preparing.discard)

    async def _prepare_preview(self, digest: str) -> None:
        # An error is the answer to the request that asks for the preview.
        with suppress(OSError, MonitorError):
            await self.previews.find(SYSTEM, digest, SMALL)

    async def receive(self, user: str, name: str, chunks: AsyncIterator[bytes], identity: str = "") -> ReceivedFile:
        """Receive one file. Nothing is left of one that fails.

        Raises `FileTooLarge`, `StorageFull`, `FilesUnavailable`, or what the chunks raise.
        """
        async with self._receiving.slot(user, WAIT_SECONDS):
            return await self._receive(user, name, chunks, identity)

    async def receive_table(self, user: str, chunks: AsyncIterator[bytes], max_bytes: int) -> ReceivedTable:
        """Receive a table that is to be imported; raises `TableTooLarge`, or like `receive`."""
        too_large = TableTooLarge(f"A table may have at most {max_bytes:,} bytes. Split it, or use `mm import`.")
        async with (
            self._receiving.slot(user, WAIT_SECONDS),
            self._incoming(chunks, max_bytes, too_large) as (incoming, digest),
        ):
            return ReceivedTable(digest, incoming.size, incoming)

    async def _receive(self, user: str, name: str, chunks: AsyncIterator[bytes], identity: str) -> ReceivedFile:
        async with self._incoming(chunks, self.max_bytes, FileTooLarge(self.max_bytes)) as (incoming, digest):
            inspection = await self._inspect(user, incoming)
        return ReceivedFile(identity or new_uuid(), name, digest, incoming.size, inspection, incoming)

    @asynccontextmanager
    async def _incoming(
        self, chunks: AsyncIterator[bytes], max_bytes: int, too_large: Problem
    ) -> AsyncGenerator[tuple[IncomingFile, str]]:
        """Receive bytes; yields the sealed file and its digest. An error leaves nothing."""
        incoming = await self.run(self.store.receive)
        try:
            async for piece in _pieces(chunks, max_bytes, too_large):
                await self.run(incoming.write, piece)
            yield incoming, await self.run(incoming.seal)
        except BaseException:
            # Not awaited: the request may have been cancelled.
            self._threads.submit(incoming.discard)
            raise

    async def _inspect(self, user: str, incoming: IncomingFile) -> Inspection:
        try:
            return await self.decoder.inspect(user, incoming.open)
        except OSError as error:
            raise problem_of(error) from error

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function of the store in a thread; raises `StorageFull` or `FilesUnavailable` for its errors."""
        running: Awaitable[T] = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await running
        except OSError as error:
            raise problem_of(error) from error


def problem_of(error: OSError) -> Problem:
    """Return the problem for an error of the file store, and log it."""
    logger.warning("the file store could not be used: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(FULL)
    reason = f"The folder of the attachments cannot be used: {error.strerror}."
    return FilesUnavailable(f"{reason} `mm doctor` names it.")


async def _pieces(chunks: AsyncIterator[bytes], max_bytes: int, too_large: Problem) -> AsyncGenerator[bytes]:
    """Yield what the chunks hold in pieces that are worth a thread; raises `too_large`."""
    piece, size = bytearray(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        piece += chunk
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
