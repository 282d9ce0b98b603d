"""Run the decoder (`decoder.py`) in a process of its own, a few at a time, and judge what it says."""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from machine_monitor.errors import FilesUnavailable
from machine_monitor.fairness import FairSemaphore
from machine_monitor.services.files import decoder, isolation
from machine_monitor.services.files.decoder import UNKNOWN

# How many processes run at a time: each may use a core, and decoder.MEMORY_BYTES.
PROCESSES = 2
# How long a request waits for its turn, and how long a process may run.
WAIT_SECONDS = 60.0
RUN_SECONDS = 30.0
# The header `Retry-After` of a response that says that too much is going on.
RETRY_SECONDS = 5
BUSY = "The service is decoding too many files at once. Try again in a moment; it is safe to repeat a PUT."
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
OpenFile = Callable[[], BinaryIO]
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,100}")


class Inspection(NamedTuple):
    """What a file is: its media type and, of an image that can be decoded, its width and height."""

    media_type: str
    width: int | None
    height: int | None


class Decoder:
    """Starts the processes. Users share them in turns."""

    def __init__(self) -> None:
        self._turns = FairSemaphore(PROCESSES, partial(FilesUnavailable, BUSY, RETRY_SECONDS))
        self._threads = ThreadPoolExecutor(self._turns.capacity, thread_name_prefix="decode")
        self._processes: set[subprocess.Popen[bytes]] = set()

    def close(self) -> None:
        """End the running processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in [*self._processes]:
            process.kill()

    async def inspect(self, user: str, open_file: OpenFile) -> Inspection:
        """Return what a file is. One that ends the process is of no known type. Raises what `_run` raises."""
        output = await self._run(user, open_file, "inspect")
        try:
            claimed = Inspection(**json.loads(output or b""))
        except (ValueError, TypeError):
            return Inspection(UNKNOWN, None, None)
        # The process has read hostile bytes: what it says is checked like what a client says.
        sizes = (claimed.width, claimed.height)
        is_image = all(isinstance(size, int) and 0 < size <= decoder.MAX_PIXELS for size in sizes)
        is_type = isinstance(claimed.media_type, str) and _MEDIA_TYPE.fullmatch(claimed.media_type)
        return Inspection(claimed.media_type if is_type else UNKNOWN, *(sizes if is_image else (None, None)))

    async def preview(self, user: str, open_file: OpenFile, size: int) -> bytes | None:
        """Return a preview of an image as a JPEG; None if there can be none. Raises what `_run` raises."""
        output = await self._run(user, open_file, "preview", str(size))
        return output if output and output.startswith(b"\xff\xd8\xff") else None

    async def _run(self, user: str, open_file: OpenFile, *arguments: str) -> bytes | None:
        """Run the decoder in turn; raises `OSError`, as `run` does, or `FilesUnavailable` if the turn does not come."""
        async with self._turns.slot(user, WAIT_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, run, self._processes, open_file, *arguments
            )


def run(running: set[subprocess.Popen[bytes]], open_file: OpenFile, *arguments: str) -> bytes | None:
    """Run the decoder on a file; return its output, or None if it failed or was stopped at a limit.

    While it runs, its process is among the `running` ones. Raises `OSError` if the file cannot be opened or the process
    cannot be started.
    """
    with open_file() as file, isolation.start(Path(decoder.__file__), *arguments, stdin=file) as process:
        assert process.stdout is not None
        stop = threading.Timer(RUN_SECONDS, process.kill)
        stop.start()
        running.add(process)
        try:
            output = process.stdout.read(MAX_OUTPUT_BYTES)
            if process.stdout.read(1):
                process.kill()
            return output if process.wait() == 0 else None
        finally:
            stop.cancel()
            running.discard(process)
