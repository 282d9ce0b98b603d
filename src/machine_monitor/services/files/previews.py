"""Previews of images: made on demand by the decoder, and cached on disk beside the originals."""

import asyncio
import os
import secrets
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from machine_monitor.services.files.decoding import Decoder
from machine_monitor.services.files.store import FILE_MODE, PREVIEWS, FolderStore, make_folder

Size = Literal[320, 1280]
SMALL: Size = 320
MEDIA_TYPE = "image/jpeg"
# An image that could not be decoded has an empty file in the cache. It is tried again after this time: the machine may
# have been out of memory.
RETRY_SECONDS = 24 * 3600


class Previews:
    """The previews of the images in a store. Requests for one that is being made wait for it."""

    def __init__(self, store: FolderStore, decoder: Decoder) -> None:
        self._store = store
        self._decoder = decoder
        self._running: dict[Path, asyncio.Task[bool]] = {}

    async def close(self) -> None:
        """Cancel the previews that are being made. Nothing is cached for them."""
        for task in [*self._running.values()]:
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def find(self, user: str, digest: str, size: Size) -> Path | None:
        """Return the path of a preview; None if the file cannot be decoded within the bounds.

        Raises `FileNotFoundError` if the store does not have the file.
        """
        path = self._path_of(digest, size)
        has_preview = await asyncio.to_thread(_read_cache, path)
        if has_preview is None:
            task = self._running.get(path)
            if task is None:
                task = self._running[path] = asyncio.create_task(self._make(user, digest, size))
                task.add_done_callback(lambda _: self._running.pop(path))
            # A client that disconnects does not end the work that others wait for.
            has_preview = await asyncio.shield(task)
        return path if has_preview else None

    def _path_of(self, digest: str, size: Size) -> Path:
        return self._store.folder / PREVIEWS / str(size) / digest[:2] / f"{digest}.jpg"

    async def _make(self, user: str, digest: str, size: Size) -> bool:
        """Cache a preview, or that there is none; return whether there is one."""
        content = await self._decoder.preview(user, partial(self._store.open, digest), size)
        path = self._path_of(digest, size)
        await asyncio.to_thread(make_folder, path.parent, self._store.folder)
        await asyncio.to_thread(_write, path, content or b"")
        return content is not None


def _read_cache(path: Path) -> bool | None:
    """Return whether an image has a preview; None if that is not known, or was found out too long ago."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if status.st_size > 0:
        return True
    return False if status.st_mtime > time.time() - RETRY_SECONDS else None


def _write(path: Path, content: bytes) -> None:
    """Write a preview. It gets its name when it is complete."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            file.write(content)
            # An empty file would mean that there is no preview.
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
