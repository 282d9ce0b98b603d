"""Read the records of the legacy tool from its SQLite file. The file may be hostile, and is never changed.

Only ordinary tables with stored columns are read, so that no code of the schema runs: no view, trigger, virtual table
or generated column.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from machine_monitor.errors import UsageError
from machine_monitor.services.legacy.read import KEYS, Kind, Raw, parse_record

# The largest row. Records of the legacy tool have a few kilobytes.
MAX_ROW_BYTES = 64 * 1024**2
# After so many instructions the handler is called, and after so many calls it stops the statement. A million rows take
# about 20 calls; a file with pages that lead in circles would be read forever.
INSTRUCTIONS, MAX_CALLS = 1_000_000, 2_000


def records(source: Path, max_records: int | None = None) -> Iterator[Raw]:
    """Yield every record of a legacy SQLite file, at most a few more than `max_records`; raises `UsageError`."""
    try:
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            _restrict(connection)
            kinds = _kinds(source, connection)
            for kind, key in KEYS.items():
                if kind in kinds:
                    yield from _table(connection, kind, key, max_records)
    except sqlite3.Error as error:
        raise UsageError(f"{source} cannot be read as an SQLite database: {error}.") from None


def _restrict(connection: sqlite3.Connection) -> None:
    """Let the connection only read, and bound what a statement may take."""
    connection.text_factory = _text
    for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {setting}")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    calls = iter(range(MAX_CALLS))
    connection.set_progress_handler(lambda: next(calls, None) is None, INSTRUCTIONS)


def _kinds(source: Path, connection: sqlite3.Connection) -> set[str]:
    """Return the kinds of records that the file has; raises `UsageError` if their tables are not as expected."""
    found = set()
    for kind, name, table, page in connection.execute("SELECT type, name, tbl_name, rootpage FROM sqlite_master"):
        if kind == "trigger" and table in KEYS:
            raise UsageError(f"{source} is not a legacy database: its table {table} has a trigger.")
        if name in KEYS:
            # A virtual table has no page of its own.
            if kind != "table" or not page:
                raise UsageError(f"{source} is not a legacy database: {name} is not an ordinary table in it.")
            found.add(name)
    if not found:
        raise UsageError(f"{source} is not a legacy database: it has none of the tables machines, logs and employs.")
    for table, key in KEYS.items():
        if table not in found:
            continue
        columns = {name: hidden for _, name, *_, hidden in connection.execute(f"PRAGMA table_xinfo({table})")}
        if key not in columns:
            raise UsageError(f"{source} is not a legacy database: its table {table} has no column {key}.")
        if any(columns.values()):
            raise UsageError(f"{source} is not a legacy database: its table {table} has a generated column.")
    return found


def _table(connection: sqlite3.Connection, kind: Kind, key: str, max_records: int | None) -> list[Raw]:
    """Return the records of a table, in the order of their keys.

    They are sorted here: SQLite would write all rows into a temporary file, whatever their number.
    """
    rows = connection.execute(f"SELECT * FROM {kind}")
    columns = [column[0] for column in rows.description]
    found = []
    for row in rows:
        members = dict(
            zip(columns, [_text(value) if isinstance(value, bytes) else value for value in row], strict=True)
        )
        # In a folder, the name or uuid is the file's name; the trigram of a user is inside the file.
        stem = members.get(key) if kind == "employs" else members.pop(key, None)
        stem = "" if stem is None else str(stem)
        found.append(parse_record(kind, f"{kind}/{stem}", stem, json.dumps(members, ensure_ascii=False)))
        if max_records is not None and len(found) > max_records:
            break
    return sorted(found, key=lambda raw: raw.stem)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
