"""NDJSON: a JSON object a line."""

from collections.abc import Callable, Sequence

from machine_monitor.database.engines import canonical_json
from machine_monitor.query.exports import Cells, Column

# Kinds whose cells are JSON as they stand.
JSON_KINDS = frozenset({"integer", "boolean", "object", "list", "value"})


def documents(rows: Sequence[tuple[str]]) -> bytes:
    """The lines of finished documents."""
    return ("\n".join([document for (document,) in rows]) + "\n").encode()


def writer(columns: Sequence[Column]) -> Callable[[Sequence[Cells]], bytes]:
    """What makes lines of a table's rows, a member for each column; a further cell is an object to be merged."""
    names = [f"{canonical_json(column.name)}:" for column in columns]
    as_they_stand = [column.kind.name in JSON_KINDS for column in columns]
    width = len(columns)

    def line(cells: Cells) -> str:
        members = [
            name + ("null" if cell is None else cell if is_json else canonical_json(cell))
            for name, is_json, cell in zip(names, as_they_stand, cells[:width], strict=True)
        ]
        return "{" + ",".join([*members, *[cell[1:-1] for cell in cells[width:] if cell]]) + "}\n"

    return lambda rows: "".join([line(cells) for cells in rows]).encode()
