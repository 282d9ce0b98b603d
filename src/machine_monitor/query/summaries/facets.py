"""Facets, asked and answered in one statement."""

from collections.abc import Iterable, Sequence
from typing import Any

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import Kind
from machine_monitor.database.statements import Statement
from machine_monitor.query import matching
from machine_monitor.query.statements.facets import NEWEST, Counted, facets_statement, prefix
from machine_monitor.query.summaries.requests import Conditions, Facets


async def fetch(database: Database, facets: Facets) -> bytes:
    """How often the most frequent values of each field occur, as the JSON text that goes out."""
    statement, values = prepare(database.engine, facets)
    rows = await database.fetch(statement, values)
    return _document(facets, rows)


def prepare(engine: Engine, facets: Facets) -> tuple[Statement, dict[str, Any]]:
    """The statement of facets, and its values."""
    values: dict[str, Any] = {"limit": facets.limit}
    groups = []
    for number, (conditions, fields) in enumerate(_groups(facets).items()):
        if conditions or facets.terms != ():
            groups.append(Counted(matching.shape(facets.resource, conditions, facets.terms), tuple(fields)))
            bound = matching.values(engine, facets.resource, conditions, facets.terms)
            bound["reach"] = NEWEST + 1
            values |= {prefix(number) + name: value for name, value in bound.items()}
        else:
            groups.append(Counted(None, tuple(fields)))
    return facets_statement(engine, facets.resource, tuple(groups)), values


def _groups(facets: Facets) -> dict[Conditions, list[str]]:
    """The fields by the conditions that hold for them: a facet ignores the filters of its own field."""
    groups: dict[Conditions, list[str]] = {}
    for name in facets.by:
        conditions = tuple(condition for condition in facets.conditions if condition.field.name != name)
        groups.setdefault(conditions, []).append(name)
    return groups


def _document(facets: Facets, rows: Sequence[tuple]) -> bytes:
    found: dict[str, list[tuple]] = {name: [] for name in facets.by}
    capped = {name for name, _, _, more in rows if more}
    for name, value, count, _ in rows:
        found[name].append((value, int(count)))
    document = {
        "facets": {name: _ordered(found[name], facets.resource.fields[name].kind) for name in facets.by},
        "capped": [name for name in facets.by if name in capped],
    }
    return canonical_json(document).encode()


def _ordered(found: Iterable[tuple[str | None, int]], kind: Kind) -> list[dict[str, Any]]:
    # One digit each, ranks as text have their order.
    ordered = sorted(found, key=lambda row: (-row[1], row[0] is None, row[0]))
    return [{"value": _name(value, kind), "count": count} for value, count in ordered]


def _name(value: str | None, kind: Kind) -> str | None:
    return kind.choices[int(value)] if kind.name == "rank" and value is not None else value
