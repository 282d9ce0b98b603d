"""Checkpoints: what SQLite's write-ahead log holds is moved into the file, https://www.sqlite.org/wal.html."""

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

# A log, its history, its words and its counts are some fifteen rows, and eleven pages.
ROWS = 15_000
# While it is moved, writes add to it, less each time: at the end nothing is left, and it begins anew.
ROUNDS = 4

logger = logging.getLogger(__name__)


class Checkpoints:
    """Moves the write-ahead log into the file in a thread of its own, so that no write waits for that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._moving: Future[None] | None = None
        self._moved = 0

    def follow(self, written: int) -> None:
        """Begin if enough has been written since the last time; `written` counts rows."""
        if written - self._moved >= ROWS and (self._moving is None or self._moving.done()):
            self._moved = written
            self._moving = self._threads.submit(self._move)

    def close(self) -> None:
        """Wait for the one under way."""
        self._threads.shutdown()

    def _move(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as connection:
                for _ in range(ROUNDS):
                    _, pages, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    if pages == moved:
                        return
        except sqlite3.Error as error:
            # The log keeps what the file does not take.
            logger.warning("the write-ahead log stays where it is: %s", error)
