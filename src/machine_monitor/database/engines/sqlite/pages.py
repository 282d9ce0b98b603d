"""Reader connections that end a page before its JSON documents take too much memory."""

import sqlite3
from typing import Any

from machine_monitor.database.statements import MAX_PAGE_BYTES

# Rows per fetch of a page, which ends with the fetch that exceeds MAX_PAGE_BYTES.
PAGE_FETCH_SIZE = 16


class PageCursor(sqlite3.Cursor):
    """A cursor that stops reading when the JSON documents in its first column have more than MAX_PAGE_BYTES."""

    def fetchall(self) -> list[Any]:
        """Return the rows of a page: at least two, and all if they are few or small."""
        rows = fetched = self.fetchmany(PAGE_FETCH_SIZE)
        if len(fetched) < PAGE_FETCH_SIZE or not isinstance(fetched[0][0], bytes):
            return [*fetched, *super().fetchall()]
        size = 0
        while fetched and (size := size + sum([len(row[0]) for row in fetched])) <= MAX_PAGE_BYTES:
            fetched = self.fetchmany(PAGE_FETCH_SIZE)
            rows += fetched
        return rows


class ReaderConnection(sqlite3.Connection):
    """A connection that reads pages."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; its cursor is a `PageCursor`."""
        return self.cursor(PageCursor).execute(sql, parameters)
