"""Print what was recognised in a table, and what an import of it would do."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from machine_monitor.cli import reports

if TYPE_CHECKING:
    from machine_monitor.services.imports.reader import Table

FIRST_ROWS = 5
MAX_COLUMNS = 12
MAX_CELL = 24
SHOWN_VALUES = 8


def print_table(table: "Table") -> None:
    """Print how a table is read, and its first rows."""
    console = _console()
    read = {name: value for name, value in vars(table.read).items() if value not in (None, "")}
    console.print("Recognised: " + ", ".join(f"{name} {value!r}" for name, value in read.items()))
    names = [*table.names, *[""] * (table.width - len(table.names))]
    shown = range(min(table.width, MAX_COLUMNS))
    grid = Grid(*[Column(Text(_cut(names[place] or f"#{place + 1}"))) for place in shown])
    for row in islice(table.rows(), FIRST_ROWS):
        grid.add_row(*[Text(_cut(cell)) for cell in row.cells[:MAX_COLUMNS]])
    if table.width:
        console.print(grid, soft_wrap=False)


def print_preview(found: dict[str, Any]) -> None:
    """Print first records, fields, values and dates, and the report of a dry run."""
    console, preview = _console(), found["preview"]
    for number, record in enumerate(preview["records"], 1):
        shown = {name: value for name, value in record.items() if value not in (None, {}) and name != "uuid"}
        console.print(f"{number}. " + ", ".join(f"{name}: {_cut(value, 60)}" for name, value in shown.items()))
    grid = Grid("field", "filled", "empty", "refused")
    for name, counts in preview["fields"].items():
        grid.add_row(Text(name), *[str(counts[each]) for each in ("filled", "empty", "refused")])
    console.print(grid, soft_wrap=False)
    for name, values in preview["values"].items():
        parts = [f"{each['value']} {each['count']}" + _near(each) for each in values[:SHOWN_VALUES]]
        more = f", and {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
        console.print(f"{name}: {', '.join(parts)}{more}")
    if "span" in preview:
        console.print(f"from {preview['span'][0]} to {preview['span'][1]}")
    for name, dates in preview["dates"].items():
        console.print(f"{name}: {dates['deciding']} of {dates['cells']} cells decide for day/month")
        if "warning" in dates:
            console.print(dates["warning"], style="yellow")
    reports.print_import(
        {**preview["counts"], "skipped": preview["skipped"], "problems": preview["problems"]}, dry_run=True
    )


def _console() -> Console:
    """Return a console that prints the texts of a table as they are: `[red]` in a cell does not set a colour."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def _near(value: dict[str, Any]) -> str:
    return f" (~ {', '.join(value['near'])})" if "near" in value else ""


def _cut(cell: Any, length: int = MAX_CELL) -> str:
    text = "" if cell is None else str(cell)
    return text if len(text) <= length else f"{text[: length - 1]}…"
