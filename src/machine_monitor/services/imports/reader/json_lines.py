"""Read NDJSON: a JSON object a line. Its columns are the members of the first lines; nested ones have dotted names."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from machine_monitor.errors import BadJson
from machine_monitor.services.imports.reader import compression, encodings
from machine_monitor.services.imports.reader.records import RawRecord, records
from machine_monitor.services.imports.reader.table import Cell, ReadOptions, Row, RowFault, Table
from machine_monitor.services.records import strict_json

# The columns of a table are looked for in this many lines.
SAMPLE_LINES = 10_000
NOT_DECODED = "The line has bytes that are not {}."
TOO_LONG = "The line is too long for a record."


def open_lines(path: Path, options: ReadOptions) -> Table:
    """Open NDJSON as a table."""
    assert options.encoding is not None
    iterate = partial(_rows, path, options.encoding)
    names: dict[str, None] = {}
    for row in islice(iterate([]), SAMPLE_LINES):
        names |= dict.fromkeys(flatten(row.members or {}))
    columns = list(names)
    read = replace(options, format="ndjson", header=None, delimiter=None)
    return Table(path, read, columns, len(columns), partial(iterate, columns), path.stat().st_size)


def flatten(members: Mapping[str, Any], prefix: str = "") -> dict[str, Cell]:
    """Return the values of an object by name; those of nested objects by dotted names, lists as JSON text."""
    found: dict[str, Cell] = {}
    for name, value in members.items():
        if isinstance(value, dict):
            found |= flatten(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return found


def _rows(path: Path, encoding: str, columns: list[str]) -> Iterator[Row]:
    with compression.open_plain(path) as (file, position):
        for record in records(encodings.as_utf_8(file, encoding)):
            members = _members(record, encoding)
            end = position.tell()
            if isinstance(members, RowFault):
                # The text of the line is its only cell, so that a file of refused rows can show it.
                yield Row(record.number, end, [record.raw.decode(errors="replace").rstrip("\r\n")], members)
            else:
                values = flatten(members)
                yield Row(record.number, end, [values.get(name) for name in columns], members=members)


def _members(record: RawRecord, encoding: str) -> dict[str, Any] | RowFault:
    """Return the object of a line, or why there is none."""
    if not record.is_whole:
        return RowFault("row-shape", TOO_LONG)
    try:
        record.raw.decode()
        members = strict_json.parse(record.raw, "line")
    except UnicodeDecodeError:
        return RowFault("bad-bytes", NOT_DECODED.format(encoding))
    except BadJson as error:
        return RowFault("row-shape", error.detail)
    return members if isinstance(members, dict) else RowFault("row-shape", "The line must be a JSON object.")
