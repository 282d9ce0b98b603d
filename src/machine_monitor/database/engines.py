"""What differs between SQLite and PostgreSQL inside a statement, as two rows of data.

A value has three forms: as the API shows it (JSON), as the engine keeps it, and as a statement yields it.
`show` makes JSON of a column inside the statement, `store` binds an API value, `load` reads a raw column back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ColumnElement, LargeBinary, Select, Table, Text, case, cast, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import aggregate_order_by, psycopg
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Dialect
from sqlalchemy.types import JSON, TypeEngine

from machine_monitor.database import instants
from machine_monitor.database.fulltext import FTS5, TSVECTOR, Index
from machine_monitor.database.kinds import Kind

Show = Callable[[ColumnElement, Kind], ColumnElement]
Convert = Callable[[Any, Kind], Any]


@dataclass(frozen=True, eq=False)
class Engine:
    """One engine; `item` makes a document ready to be sent, `join` makes one body of many; `insert` begins an upsert.

    `build_array` (item, table, condition, position) makes one JSON value of rows. Its plans name an index
    (`index_hints`), or depend on the limit, which is then part of the text (`literal_limit`); row ids of its full text
    index may follow time (`search_follows_time`).

    Of an instant, `day` gives the date as text by its offset from UTC in seconds, `microseconds` those since 1970;
    `week` gives the ISO week of a date, `days_ago` the instant so many days before now.

    `index` is how it keeps full text, `next_ids` (cursor, table, count) draws ids for new rows, `values_of` makes rows
    of a type out of a JSON array of texts, `member` gives an object's by its key, `rows_known` (cursor, table) says how
    many rows the planner thinks of. The other tables are keyed by `Kind.name`: one that is missing needs no conversion.
    """

    name: str
    dialect: Dialect
    build_object: Callable[[Mapping[str, ColumnElement]], ColumnElement]
    build_array: Callable[[ColumnElement, Table, ColumnElement, ColumnElement], ColumnElement]
    item: Callable[[ColumnElement], ColumnElement]
    join: Callable[[list[Any]], bytes]
    index: Index
    index_hints: bool
    literal_limit: bool
    search_follows_time: bool
    next_ids: Callable[[Any, str, int], list[int]]
    rows_known: Callable[[Any, str], int]
    values_of: Callable[[ColumnElement, TypeEngine], Select]
    member: Callable[[ColumnElement, ColumnElement], ColumnElement]
    insert: Callable[[Table], Any]
    day: Callable[[ColumnElement, ColumnElement], ColumnElement]
    week: Callable[[ColumnElement], ColumnElement]
    microseconds: Callable[[ColumnElement], ColumnElement]
    days_ago: Callable[[int], ColumnElement]
    shows: Mapping[str, Show]
    stores: Mapping[str, Convert]
    loads: Mapping[str, Convert]

    def show(self, column: ColumnElement, kind: Kind) -> ColumnElement:
        """The JSON value of a column, as an expression."""
        convert = self.shows.get(kind.name)
        return convert(column, kind) if convert else column

    def store(self, value: Any, kind: Kind) -> Any:
        """What to bind for an API value."""
        convert = self.stores.get(kind.name)
        return convert(value, kind) if convert and value is not None else value

    def load(self, value: Any, kind: Kind) -> Any:
        """The API value of a raw column."""
        convert = self.loads.get(kind.name)
        return convert(value, kind) if convert and value is not None else value


def canonical_json(value: Any) -> str:
    """The one text of a JSON value that is stored: no blanks, members in their order, not escaped."""
    # A quarter of the time of the standard library's; the history's hashes are of texts and integers, the same in both.
    return to_json(value).decode()


def _name_of_rank(column: ColumnElement, kind: Kind) -> ColumnElement:
    names = {literal_column(str(i)): literal_column(f"'{name}'") for i, name in enumerate(kind.choices)}
    return case(names, value=column)


def _sqlite_object(members: Mapping[str, ColumnElement]) -> ColumnElement:
    # Keys are literals: as binds they would be sent, and counted, with every row.
    pairs = [part for name, value in members.items() for part in (literal_column(f"'{name}'"), value)]
    return func.json_object(*pairs)


def _postgresql_object(members: Mapping[str, ColumnElement]) -> ColumnElement:
    # `row_to_json` writes no blanks and is a quarter faster than `json_build_object`.
    row = select(*[value.label(name) for name, value in members.items()]).correlate_except(None)
    return select(func.row_to_json(row.subquery("r").table_valued())).scalar_subquery()


def _sqlite_array(
    item: ColumnElement, table: Table, condition: ColumnElement, position: ColumnElement
) -> ColumnElement:
    # `ORDER BY` inside an aggregate came with SQLite 3.44: the rows are put in order before.
    rows = select(item.label("item")).select_from(table).where(condition).order_by(position).correlate_except(table)
    return func.json(select(func.json_group_array(func.json(rows.subquery("rows").c.item))).scalar_subquery())


def _postgresql_array(
    item: ColumnElement, table: Table, condition: ColumnElement, position: ColumnElement
) -> ColumnElement:
    # `json_agg` writes blanks and line breaks between the items.
    items = func.string_agg(cast(item, Text), aggregate_order_by(literal_column("','"), position))
    array = literal_column("'['").concat(func.coalesce(items, literal_column("''"))).concat(literal_column("']'"))
    return select(cast(array, JSON)).select_from(table).where(condition).correlate_except(table).scalar_subquery()


def _sqlite_member(document: ColumnElement, key: ColumnElement) -> ColumnElement:
    # `->` takes a key such as `1` or `[0]` for a path.
    each = func.json_each(document).table_valued("key", "value")
    return select(each.c.value).where(each.c.key == key).scalar_subquery()


def as_text(document: ColumnElement) -> ColumnElement:
    """The text of a JSON document: PostgreSQL's driver would parse the value otherwise."""
    return cast(document, Text)


def _stored_rank(value: Any, kind: Kind) -> int:
    return kind.choices.index(value)


def _loaded_rank(value: Any, kind: Kind) -> str:
    return kind.choices[value]


def _sqlite_ids(cursor: Any, table: str, count: int) -> list[int]:
    # Who writes is alone: what follows the highest id ever given is free.
    found = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
    first = found[0] + 1 if found else 1
    return list(range(first, first + count))


def _postgresql_ids(cursor: Any, table: str, count: int) -> list[int]:
    cursor.execute("SELECT nextval(%s) FROM generate_series(1, %s)", [f"{table}_id_seq", count])
    return [row[0] for row in cursor.fetchall()]


def _sqlite_rows_known(cursor: Any, table: str) -> int:
    if not cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
        return 0
    # The first number of each text.
    known = "SELECT coalesce(max(CAST(stat AS INTEGER)), 0) FROM sqlite_stat1 WHERE tbl = ?"
    return cursor.execute(known, [table]).fetchone()[0]


class _SqliteCompiler(SQLiteCompiler):
    """SQLAlchemy's, which keeps `INDEXED BY` and `NOT INDEXED` behind a table."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        """The hint as it was given."""
        del table
        return text


_SQLITE_DIALECT = sqlite.dialect(paramstyle="qmark")
_SQLITE_DIALECT.statement_compiler = _SqliteCompiler

SQLITE = Engine(
    name="sqlite",
    dialect=_SQLITE_DIALECT,
    build_object=_sqlite_object,
    build_array=_sqlite_array,
    index_hints=True,
    literal_limit=False,
    search_follows_time=True,
    # As bytes: they would be decoded, only to be encoded again.
    item=lambda document: cast(document, LargeBinary),
    join=b",".join,
    index=FTS5,
    next_ids=_sqlite_ids,
    rows_known=_sqlite_rows_known,
    values_of=lambda texts, _: select(func.json_each(texts).table_valued("value").c.value),
    member=_sqlite_member,
    insert=sqlite.insert,
    day=instants.sqlite_day,
    week=instants.sqlite_week,
    microseconds=instants.sqlite_microseconds,
    days_ago=lambda days: literal_column(f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-{days} days')"),
    shows={
        "rank": _name_of_rank,
        "time": lambda column, _: column.concat(literal_column("'Z'")),
        # A number or null becomes a JSON literal; without `json` it would be shown as text.
        "boolean": lambda column, _: func.json(
            case(
                {literal_column("1"): literal_column("'true'"), literal_column("0"): literal_column("'false'")},
                value=column,
            )
        ),
        "object": lambda column, _: func.json(column),
        "evidence": lambda column, _: func.json(column),
    },
    stores={
        "rank": _stored_rank,
        "time": lambda value, _: value[:-1],
        "object": lambda value, _: canonical_json(value),
        "evidence": lambda value, _: canonical_json(value),
    },
    loads={
        "rank": _loaded_rank,
        "time": lambda value, _: value + "Z",
        "boolean": lambda value, _: bool(value),
    },
)

POSTGRESQL = Engine(
    name="postgresql",
    dialect=psycopg.dialect(paramstyle="format"),
    build_object=_postgresql_object,
    build_array=_postgresql_array,
    index_hints=False,
    literal_limit=True,
    search_follows_time=False,
    item=as_text,
    join=lambda items: ",".join(items).encode(),
    index=TSVECTOR,
    next_ids=_postgresql_ids,
    # Its ANALYZE looks at a sample of the rows and is always worth its second.
    rows_known=lambda _cursor, _table: 0,
    values_of=lambda texts, kind: select(
        cast(func.json_array_elements_text(cast(texts, JSON)).column_valued("value"), kind)
    ),
    member=lambda document, key: document.op("->")(key),
    insert=postgresql.insert,
    day=instants.postgresql_day,
    week=instants.postgresql_week,
    microseconds=instants.postgresql_microseconds,
    days_ago=lambda days: literal_column(f"now() - INTERVAL '{days} days'"),
    shows={
        "rank": _name_of_rank,
        "time": lambda column, _: instants.postgresql_text(column),
        "evidence": lambda column, _: cast(column, JSON),
    },
    stores={
        "rank": _stored_rank,
        "object": lambda value, _: canonical_json(value),
        "evidence": lambda value, _: canonical_json(value),
    },
    loads={
        "rank": _loaded_rank,
        "time": lambda value, _: instants.text(value),
        "uuid": lambda value, _: str(value),
    },
)
