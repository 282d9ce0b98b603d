"""NDJSON: one JSON object per line."""

from collections.abc import Callable, Sequence

from machine_monitor.database.engines import canonical_json
from machine_monitor.query.exports import Cells, Column

# Kinds whose cells are already JSON.
JSON_KINDS = frozenset({"integer", "boolean", "object", "list", "value"})


def join_documents(rows: Sequence[tuple[str]]) -> bytes:
    """Join JSON documents, one per row, into lines."""
    return ("\n".join([document for (document,) in rows]) + "\n").encode()


def writer(columns: Sequence[Column]) -> Callable[[Sequence[Cells]], bytes]:
    """Return a function that turns rows into lines: JSON objects with one member per column.

    A row may have more cells than columns. Each extra cell is a JSON object, whose members are added to the line's.
    """
    names = [f"{canonical_json(column.name)}:" for column in columns]
    are_json = [column.kind.name in JSON_KINDS for column in columns]
    width = len(columns)

    def line(cells: Cells) -> str:
        members = [
            name + ("null" if cell is None else cell if is_json else canonical_json(cell))
            for name, is_json, cell in zip(names, are_json, cells[:width], strict=True)
        ]
        # `[1:-1]` removes the braces of an object.
        return "{" + ",".join([*members, *[cell[1:-1] for cell in cells[width:] if cell]]) + "}\n"

    return lambda rows: "".join([line(cells) for cells in rows]).encode()
