"""What a table looks like, for the person who maps it: its first rows, and the most frequent values of each column."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from machine_monitor.services.imports.mapping.cells import cell_text
from machine_monitor.services.imports.mapping.columns import reference_names
from machine_monitor.services.imports.reader import Cell, Row, Table

SAMPLE_ROWS = 2_000
FIRST_ROWS = 10
LISTED_VALUES = 50
# In a column with more different values than this, each value says little.
MAX_DISTINCT = 200
EXAMPLES = 5
MAX_TEXT = 200


def sample_table(table: Table) -> dict[str, Any]:
    """Return the first rows of a table, and its columns by the names that a mapping uses, as JSON."""
    rows = [*islice((row for row in table.rows() if row.fault is None), SAMPLE_ROWS)]
    is_whole = len(rows) < SAMPLE_ROWS
    names = reference_names(table.names, table.width)
    columns = [_column(name, [row.cells[place] for row in rows], is_whole=is_whole) for place, name in enumerate(names)]
    return {"rows": [_texts(row) for row in rows[:FIRST_ROWS]], "columns": columns}


def _column(name: str, cells: Sequence[Cell], *, is_whole: bool) -> dict[str, Any]:
    counts = Counter(text for cell in cells if (text := cell_text(cell).strip()[:MAX_TEXT]))
    listed = counts.most_common(LISTED_VALUES if len(counts) <= MAX_DISTINCT else EXAMPLES)
    values = [{"value": value, "count": count} for value, count in listed]
    return {"name": name, "values": values, "is_complete": is_whole and len(listed) == len(counts)}


def _texts(row: Row) -> list[str | None]:
    return [None if cell is None else cell_text(cell)[:MAX_TEXT] for cell in row.cells]
