"""Conditions and words of a query string, as the shape of a statement and its values."""

from collections.abc import Sequence
from typing import Any

from machine_monitor.database.engines import Engine
from machine_monitor.database.fulltext import HIGHEST_PLACE, Search, Term, place, second
from machine_monitor.query.attributes import Asked
from machine_monitor.query.grammar import Condition
from machine_monitor.query.statements.shapes import Filter, Matching
from machine_monitor.query.values import Value
from machine_monitor.query.vocabulary import Resource
from machine_monitor.query.words import facet_word

Terms = tuple[Term, ...] | None
# More values of a facet than these are left to the filter.
MAX_ALTERNATIVES = 32


def shape(resource: Resource, conditions: Sequence[Condition], terms: Terms) -> Matching:
    """What of them a statement depends on."""
    filters = [
        Filter(condition.field, condition.operator, "".join(map(_form, condition.values))) for condition in conditions
    ]
    return Matching(resource, tuple(filters), None if terms is None else bool(terms))


def values(engine: Engine, resource: Resource, conditions: Sequence[Condition], terms: Terms) -> dict[str, Any]:
    """What the statement binds."""
    bound: dict[str, Any] = {}
    if terms:
        bound["q"] = engine.index.query(_search(resource, conditions, terms))
        low, high = _span(resource, conditions)
        bound |= {"low": low, "high": high, "begin": low, "end": high}
    for i, condition in enumerate(conditions):
        bound[f"f{i}_key"] = condition.key
        folded = condition.operator.takes == "folded"
        for j, value in enumerate(condition.values):
            if isinstance(value, tuple):
                bound[f"f{i}_{j}_start"], bound[f"f{i}_{j}_end"] = (
                    engine.store(part, condition.field.kind) for part in value
                )
            elif isinstance(value, Asked):
                bound[f"f{i}_{j}"] = value.text
            else:
                bound[f"f{i}_{j}"] = value if folded else engine.store(value, condition.field.kind)
    return bound


def begin(bound: dict[str, Any], marks: tuple[str, int], *, descending: bool) -> None:
    """Let a walk through the index begin at the record that has these marks, a time and an id."""
    instant, identity = marks
    first, last = second(instant)
    # The fractions of a second are in no order of their own.
    exact = "." not in instant
    if descending:
        bound["end"] = min(bound["end"], place(identity, instant) if exact else last)
    else:
        bound["begin"] = max(bound["begin"], place(identity, instant) if exact else first)


def _search(resource: Resource, conditions: Sequence[Condition], terms: tuple[Term, ...]) -> Search:
    """The terms, and a word for each facet that the filters fix: a common word of one machine is found at once."""
    facets = [
        tuple(Term((facet_word(condition.field.name, str(value)),)) for value in condition.values)
        for condition in conditions
        if condition.field.name in resource.facets and _is_any_of(condition)
    ]
    required = [(term,) for term in terms if not term.excluded]
    return Search((*required, *facets), tuple(term for term in terms if term.excluded))


def _is_any_of(condition: Condition) -> bool:
    return condition.operator.name in ("", "in") and len(condition.values) <= MAX_ALTERNATIVES


def _span(resource: Resource, conditions: Sequence[Condition]) -> tuple[int, int]:
    """Between which places of an index that follows time the filters let a record be; they hold all the same."""
    low, high = 0, HIGHEST_PLACE
    if not resource.searched_in_order:
        return low, high
    for condition in conditions:
        if condition.field.name != resource.ties[0]:
            continue
        instants = [part for value in condition.values for part in (value if isinstance(value, tuple) else (value,))]
        places = [second(str(instant)) for instant in instants]
        if condition.operator.name in ("", "in", "gt", "gte"):
            low = max(low, min(first for first, _ in places))
        if condition.operator.name in ("", "in", "lt", "lte"):
            high = min(high, max(last for _, last in places))
    return low, high


def _form(value: Value) -> str:
    if isinstance(value, Asked):
        return value.aspect
    return "d" if isinstance(value, tuple) else "v"
