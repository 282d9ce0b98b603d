"""Facets: how often each value of a field occurs, in one statement for all that were asked for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    false,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql import visitors

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements import counts
from machine_monitor.query.statements.conditions import where
from machine_monitor.query.statements.plans import follow, limit, plans
from machine_monitor.query.statements.search import first_found, follows_order
from machine_monitor.query.statements.shapes import Matching
from machine_monitor.query.vocabulary import Field, Resource

# So many of the newest records are counted where there is a filter.
NEWEST = 10_000
ENOUGH = literal_column(str(NEWEST + 1))


@dataclass(frozen=True)
class Counted:
    """Fields that count the same records, all of them if `matching` is None."""

    matching: Matching | None
    fields: tuple[str, ...]


@lru_cache(maxsize=512)
def facets_statement(engine: Engine, resource: Resource, groups: tuple[Counted, ...]) -> Statement:
    """Rows of (field, value as text, count, whether only the newest were counted) for the most frequent values.

    What the conditions of a group bind has its `prefix` before it.
    """
    parts: list[Select] = []
    for i, group in enumerate(groups):
        fields = [resource.fields[name] for name in group.fields]
        if group.matching is None:
            tallies = [_kept(resource, known) for known in fields]
            capped: ColumnElement = false()
        else:
            newest = _newest(engine, group.matching, fields, i)
            oldest = select(newest.c.id).order_by(newest.c.at.desc(), newest.c.id.desc())
            beyond = oldest.limit(literal_column("1")).offset(literal_column(str(NEWEST))).scalar_subquery()
            tallies = [_tally(resource, known, newest, beyond) for known in fields]
            capped = beyond.is_not(None)
        parts += [_most_frequent(known, tally, capped) for known, tally in zip(fields, tallies, strict=True)]
    searched = any(group.matching and group.matching.searched for group in groups)
    return compile_statement(engine, union_all(*[select(part.subquery()) for part in parts]), searching=searched)


def prefix(number: int) -> str:
    """What tells the values of one group's conditions from those of another's."""
    return f"g{number}_"


def _newest(engine: Engine, matching: Matching, fields: list[Field], number: int) -> CTE:
    """The newest records that match, and one more if there are more."""
    resource = matching.resource
    assert resource.summary is not None
    table, at = resource.table, resource.fields[resource.summary.at].column
    columns = {column.name: column for known in fields for column in [resource.own_column(known)]}
    newest = select(table.c.id, at.label("at"), *columns.values()).order_by(at.desc(), table.c.id.desc())
    order = tuple((tie, True) for tie in resource.ties)
    if follows_order(engine, matching, order):
        hits = first_found(resource, where(engine, matching, words=False), descending=True)
        parts = [newest.where(table.c.id.in_(hits)).limit(ENOUGH)]
    else:
        found = newest.where(*where(engine, matching))
        parts = [follow(found, table, way).limit(limit(way, ENOUGH)) for way in plans(engine, matching, order)]
    rows = parts[0] if len(parts) == 1 else union_all(*[select(part.subquery()) for part in parts])
    return visitors.cloned_traverse(rows, {}, {"bindparam": _renamer(prefix(number))}).cte(f"newest{number}")


def _renamer(before: str) -> Any:
    def rename(bind: Any) -> None:
        bind.key = before + bind.key

    return rename


def _tally(resource: Resource, known: Field, newest: CTE, beyond: ColumnElement) -> Select:
    source, column = newest, newest.c[resource.own_column(known).name]
    if known.relation:
        related = resource.relations[known.relation]
        source = newest.join(related.resource.table, column == related.resource.table.c[related.to])
        column = known.column
    return (
        select(column.label("value"), func.count().label("count"))
        .select_from(source)
        .where(newest.c.id.is_distinct_from(beyond))
        .group_by(column)
    )


def _kept(resource: Resource, known: Field) -> Select:
    assert resource.summary is not None
    table = resource.summary.counts
    rows = [*counts.rows_of(resource, counts.kept_as(known), counts.EVER), table.c.count > literal_column("0")]
    column = counts.column(resource, known)
    if not known.relation:
        return select(column.label("value"), table.c.count.label("count")).where(*rows)
    return (
        select(column.label("value"), func.sum(table.c.count).label("count"))
        .select_from(counts.joined(resource, [known]))
        .where(*rows)
        .group_by(column)
    )


def _most_frequent(known: Field, tally: Select, capped: ColumnElement) -> Select:
    found = tally.subquery()
    name = literal_column(f"'{known.name}'")
    return (
        select(name.label("field"), cast(found.c.value, Text).label("value"), found.c.count, capped.label("capped"))
        .order_by(found.c.count.desc(), found.c.value.is_(None), found.c.value)
        .limit(bindparam("limit", type_=INTEGER.column_type))
    )
