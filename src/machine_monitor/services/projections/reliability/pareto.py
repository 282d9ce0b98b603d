"""Pareto analysis: which causes, machines or other values have most of the logs, failures or downtime.

Texts that differ only in case, accents and blanks are one value. Python adds them up, because SQLite and PostgreSQL
ignore case and accents in different ways.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, literal_column, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import EXACT_TEXT
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.models import LOGS
from machine_monitor.models.log import CANCELLED, is_failure
from machine_monitor.query import calendar
from machine_monitor.query.language import attributes, values
from machine_monitor.query.language.folding import fold
from machine_monitor.query.language.parser import (
    ATTRIBUTE,
    ATTRIBUTE_PATTERN,
    Condition,
    QueryPairs,
    QueryParser,
    Terms,
)
from machine_monitor.query.language.summaries import DEFAULT_VALUES, MAX_FACET_VALUES, WINDOW_PARAMETERS
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.language.values import BadValue
from machine_monitor.query.lists import LIMIT_PARAM
from machine_monitor.query.schema import Field
from machine_monitor.query.sql.attribute_sums import json_number
from machine_monitor.query.sql.filters import FilterKey, compile_filters, where
from machine_monitor.query.stats_groups import seconds
from machine_monitor.services.projections.reliability.request import parse_past_window
from machine_monitor.services.projections.reliability.rows import fetch_rows, window_bound, window_values
from machine_monitor.suggestions import did_you_mean

FIELDS = ("cause", "type", "machine", "machine.sector")
# Texts that name a record: two of them are never one value.
KEYS = ("type", "machine")
WEIGHTS = COUNT, FAILURES, DOWNTIME = ("count", "failures", "downtime")
PARAMETERS = frozenset({"q", "by", "weight", "limit"}) | WINDOW_PARAMETERS
REPRESENTATIONS = (attributes.TEXT, attributes.NUMBER, attributes.BOOLEAN)
# What a value is compared by: its type, so that the text 5 and the number 5 differ, and the folded text, or the value.
ValueKey = tuple[int, Any]
IS_TEXT, IS_NUMBER, IS_BOOLEAN, IS_NULL = range(4)


@dataclass(frozen=True)
class ParetoQuery:
    """A validated query: the window [start, end), and filters on logs."""

    by: str
    weight: str
    limit: int
    start: datetime
    end: datetime
    conditions: tuple[Condition, ...]
    terms: Terms

    @property
    def attribute(self) -> str | None:
        """The key of the attribute whose values are compared; None if it is a field."""
        return self.by.removeprefix(ATTRIBUTE) if self.by not in FIELDS else None


@dataclass
class Value:
    """A value: its weight (a number of logs, or microseconds), and how often each spelling of it occurs."""

    key: ValueKey
    value: Any
    weight: int = 0
    spellings: Counter[str] = field(default_factory=Counter)

    def shown(self) -> Any:
        """Return the most frequent spelling of a text, or the value."""
        return next(iter(self.ordered_spellings()), self.value)

    def ordered_spellings(self) -> list[str]:
        """Return the spellings of a text, the most frequent first."""
        return sorted(self.spellings, key=lambda text: (-self.spellings[text], text))


def parse_pareto_query(pairs: QueryPairs, time_context: TimeContext) -> ParetoQuery:
    """Parse the query string; raises a 422 that names every fault."""
    parser = QueryParser(LOGS, pairs, PARAMETERS)
    conditions, terms = parser.conditions(time_context), parser.terms()
    if "by" not in parser.reserved:
        parser.add_fault("by", "'by' is required: name a field.", FIELDS)
    by = parser.parse_reserved("by", _parse_by, FIELDS[0])
    weight = parser.parse_reserved("weight", values.one_of(WEIGHTS), COUNT)
    limit = parser.parse_reserved("limit", values.integer_between(1, MAX_FACET_VALUES), DEFAULT_VALUES)
    start, end = parse_past_window(parser, time_context)
    parser.raise_faults()
    return ParetoQuery(by, weight, limit, start, end, conditions, terms)


async def fetch(database: Database, query: ParetoQuery) -> bytes:
    """Return the response body."""
    engine = database.engine
    filter_key, binds = compile_filters(engine, LOGS, query.conditions, query.terms)
    binds |= window_values(engine, query.start, query.end)
    column = query.by if query.attribute is None else None
    if query.weight == DOWNTIME:
        statement = await database.get_statement(stops_statement, engine, filter_key, column)
    else:
        statement = await database.get_statement(logs_statement, engine, filter_key, column, query.weight)
    rows = await fetch_rows(database, statement, {**binds, "attribute": query.attribute})
    return await database.compute(_to_json, query, rows)


@statement_cache(64)
def logs_statement(engine: Engine, filter_key: FilterKey, column: str | None, weight: str) -> Statement:
    """Compile the number of logs, or of failures, of each value; the columns of the value come last."""
    logs, counts_as_failure = LOGS.table, LOGS.fields["type.counts_as_failure"]
    is_counted = logs.c.status != CANCELLED
    if weight == FAILURES:
        assert counts_as_failure.column is not None
        is_counted = is_failure(counts_as_failure.column, logs.c.status, logs.c.down_kind)
    found = (
        select(*_value_columns(engine, column))
        .select_from(LOGS.joined_table([*_fields(column), counts_as_failure], outer=True))
        .where(*where(engine, filter_key), is_counted)
        .where(logs.c.started_at >= window_bound("from"), logs.c.started_at < window_bound("to"))
        .subquery()
    )
    return _compile(engine, select(func.count(), *found.c).group_by(*found.c), filter_key)


@statement_cache(64)
def stops_statement(engine: Engine, filter_key: FilterKey, column: str | None) -> Statement:
    """Compile the stops of the window in the order of machine and start; the columns of the value come last."""
    logs = LOGS.table
    query = (
        select(
            logs.c.machine_id,
            engine.microseconds(logs.c.down_from),
            engine.microseconds(logs.c.down_to),
            *_value_columns(engine, column),
        )
        .select_from(LOGS.joined_table(_fields(column), outer=True))
        .where(
            *where(engine, filter_key),
            logs.c.status != CANCELLED,
            logs.c.down_from.is_not(None),
            logs.c.down_from < window_bound("to"),
            func.coalesce(logs.c.down_to, window_bound("to")) > window_bound("from"),
        )
        .order_by(logs.c.machine_id, logs.c.down_from)
    )
    return _compile(engine, query, filter_key)


def _compile(engine: Engine, query: Select, filter_key: FilterKey) -> Statement:
    return compile_statement(engine, query.limit(LIMIT_PARAM), uses_fulltext=filter_key.search is not None)


def _fields(column: str | None) -> list[Field]:
    return [] if column is None else [LOGS.fields[column]]


def _value_columns(engine: Engine, column: str | None) -> list[ColumnElement]:
    """Return the column of a field, or the representations of the attribute `attribute`."""
    if column is not None:
        found = LOGS.fields[column].column
        assert found is not None
        return [found.label("value")]
    stored = LOGS.own_fields["attributes"].folded
    assert stored is not None
    member = engine.member(stored, bindparam("attribute", type_=Text()))
    representation = member.op("->>", return_type=EXACT_TEXT)
    return [representation(literal_column(f"'{form}'")).label(form) for form in REPRESENTATIONS]


def _parse_by(text: str) -> str:
    if text not in FIELDS and re.fullmatch(ATTRIBUTE_PATTERN, text) is None:
        message = f"Unknown name '{text}'.{did_you_mean(text, FIELDS)}"
        raise BadValue(message, FIELDS)
    return text


def _to_json(query: ParetoQuery, rows: Sequence[Sequence]) -> bytes:
    found = _add_stops(query, rows) if query.weight == DOWNTIME else _add_logs(query, rows)
    weighty = [value for value in found.values() if value.weight]
    ordered = sorted(weighty, key=lambda value: (-value.weight, value.key))
    total = sum(value.weight for value in ordered)
    groups = [*_groups(query, ordered[: query.limit], total)]
    rest = sum(value.weight for value in ordered[query.limit :])
    return canonical_json(
        {
            "groups": groups,
            "rest": {
                "values": len(ordered) - len(groups),
                "weight": _shown_weight(query, rest),
                "share": rest / total if total else 0,
            },
        }
    ).encode()


def _groups(query: ParetoQuery, found: Sequence[Value], total: int) -> Iterator[dict[str, Any]]:
    cumulative = 0
    for value in found:
        cumulative += value.weight
        yield {
            "value": value.shown(),
            "spellings": value.ordered_spellings(),
            "weight": _shown_weight(query, value.weight),
            "share": value.weight / total,
            "cumulative": cumulative / total,
        }


def _shown_weight(query: ParetoQuery, weight: int) -> int | float:
    return seconds(weight) if query.weight == DOWNTIME else weight


def _add_logs(query: ParetoQuery, rows: Sequence[Sequence]) -> dict[ValueKey, Value]:
    found: dict[ValueKey, Value] = {}
    for count, *columns in rows:
        _find(found, query, columns, count).weight += count
    return found


def _add_stops(query: ParetoQuery, rows: Sequence[Sequence]) -> dict[ValueKey, Value]:
    """Add up downtime: stops of one machine and value that overlap count once."""
    first, last = map(calendar.epoch_microseconds, (query.start, query.end))
    found: dict[ValueKey, Value] = {}
    # How far the stops of the present machine reach, for each value.
    covered_to: dict[ValueKey, int] = {}
    machine = None
    for machine_id, start, end, *columns in rows:
        if machine_id != machine:
            machine, covered_to = machine_id, {}
        value = _find(found, query, columns, 1)
        begin = max(start, first, covered_to.get(value.key, first))
        stop = min(last if end is None else end, last)
        if stop > begin:
            value.weight += stop - begin
            covered_to[value.key] = stop
    return found


def _find(found: dict[ValueKey, Value], query: ParetoQuery, columns: Sequence[Any], logs: int) -> Value:
    """Return the value of these columns, after counting its spelling in so many logs."""
    value = columns[0] if query.attribute is None else _attribute(*columns)
    key = _key_of(query, value)
    if key not in found:
        found[key] = Value(key, value)
    if isinstance(value, str):
        found[key].spellings[value] += logs
    return found[key]


def _attribute(text: str | None, number: str | None, boolean: str | None) -> str | float | bool | None:
    if text is not None:
        return text
    if number is not None:
        return json_number(attributes.parse_sortable_hex(number))
    return None if boolean is None else boolean == "true"


def _key_of(query: ParetoQuery, value: Any) -> ValueKey:
    if value is None:
        return IS_NULL, 0
    if isinstance(value, bool):
        return IS_BOOLEAN, value
    if not isinstance(value, str):
        return IS_NUMBER, value
    return IS_TEXT, value if query.by in KEYS else " ".join(fold(value).split())
