"""The identity of rows: UUIDs that the same row gets in every run, and the rows that a file repeats."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Self
from uuid import UUID, uuid5

from machine_monitor.database.engines import canonical_json

# A random namespace: a row gets the same UUIDv5 in every run. It must not change.
NAMESPACE = UUID("a3d0a1de-52c7-5d0e-9d0c-5f3a4f0f6c11")


def key_uuid(mapping: str, texts: Sequence[str | None]) -> str:
    """Return the UUID of the row with this key."""
    return str(uuid5(NAMESPACE, canonical_json([mapping, "key", *texts])))


def row_uuid(mapping: str, texts: Sequence[str | None], occurrence: int) -> str:
    """Return the UUID of a row without a key: of its whole content, and of which of equal rows it is, from 0."""
    return str(uuid5(NAMESPACE, canonical_json([mapping, "row", occurrence, *texts])))


def digest(texts: Sequence[str | None]) -> bytes:
    """Return a digest that only equal rows share."""
    return hashlib.blake2b(canonical_json(list(texts)).encode(), digest_size=16).digest()


class RowStore:
    """Values by key, in a temporary database that keeps to little memory whatever the number of rows."""

    def __init__(self) -> None:
        # An empty name: a file without a name, which SQLite writes only when its cache is full.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = OFF")
            cursor.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, value) WITHOUT ROWID")
            cursor.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def next_occurrence(self, key: bytes) -> int:
        """Return how often a key has come before, and count it."""
        count = self.get(key) or 0
        assert isinstance(count, int)
        self.put(key, count + 1)
        return count

    def get(self, key: bytes | str) -> bytes | str | int | None:
        """Return the value of a key."""
        row = self._connection.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: bytes | str, value: bytes | str | int) -> None:
        """Set the value of a key."""
        self._connection.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (key, value))
