"""Conditions and words of a query string, as the shape of a statement and its values."""

from collections.abc import Sequence
from typing import Any

from machine_monitor.database.engines import Engine
from machine_monitor.query.grammar import Condition
from machine_monitor.query.statements.shapes import Filter, Matching
from machine_monitor.query.vocabulary import Resource
from machine_monitor.query.words import Term

Terms = tuple[Term, ...] | None


def shape(resource: Resource, conditions: Sequence[Condition], terms: Terms) -> Matching:
    """What of them a statement depends on."""
    filters = [
        Filter(
            condition.field,
            condition.operator,
            "".join("d" if isinstance(value, tuple) else "v" for value in condition.values),
        )
        for condition in conditions
    ]
    return Matching(resource, tuple(filters), None if terms is None else tuple(term.excluded for term in terms))


def values(engine: Engine, conditions: Sequence[Condition], terms: Terms) -> dict[str, Any]:
    """What the statement binds."""
    bound: dict[str, Any] = {f"q{i}": term.pattern for i, term in enumerate(terms or ())}
    for i, condition in enumerate(conditions):
        folded = condition.operator.takes == "folded"
        for j, value in enumerate(condition.values):
            if isinstance(value, tuple):
                bound[f"f{i}_{j}_start"], bound[f"f{i}_{j}_end"] = (
                    engine.store(part, condition.field.kind) for part in value
                )
            else:
                bound[f"f{i}_{j}"] = value if folded else engine.store(value, condition.field.kind)
    return bound
