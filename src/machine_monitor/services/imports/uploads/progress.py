"""The progress of one import as server-sent events (SSE)."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from machine_monitor.database.connect import Database
from machine_monitor.errors import Problem
from machine_monitor.models.imports.file_import import WORKING
from machine_monitor.models.imports.import_documents import ImportProgress
from machine_monitor.services.audit.live_feed import KEEPALIVE_SECONDS
from machine_monitor.services.imports.uploads import file_imports

POLL_SECONDS = 0.5


async def stream_progress(
    database: Database, identity: str, has_ended: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """Yield an event when the progress has changed, until no worker works on the import or the credential has ended.

    Raises `NotFound` before the first event.
    """
    shown = await _read(database, identity)
    yield _event(shown)
    sent_at = time.monotonic()
    try:
        while shown.state in WORKING:
            await asyncio.sleep(POLL_SECONDS)
            progress = await _read(database, identity)
            is_quiet = progress == shown and time.monotonic() - sent_at < KEEPALIVE_SECONDS
            if is_quiet:
                continue
            if await has_ended():
                return
            yield b": still here\n\n" if progress == shown else _event(progress)
            shown, sent_at = progress, time.monotonic()
    except Problem:
        # The database cannot be used, or the import is gone. The client asks again, and gets the problem as a response.
        return


async def _read(database: Database, identity: str) -> ImportProgress:
    return await database.read(lambda tx: file_imports.find_progress(tx, identity))


def _event(progress: ImportProgress) -> bytes:
    return b"event: progress\ndata: %b\n\n" % progress.model_dump_json().encode()
