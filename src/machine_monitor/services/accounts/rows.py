"""Rows of the tables of accounts: the statements that add and remove them."""

from functools import cache

from sqlalchemy import Table, bindparam, delete, insert

from machine_monitor.database import instants
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction


def add(tx: Transaction, table: Table, **values: object) -> None:
    """Add a row; instants are texts."""
    tx.run(_add(tx.engine, table, tuple(values)), _stored(tx.engine, table, values))


def put(tx: Transaction, table: Table, **values: object) -> None:
    """Add a row, or change the one with the same key."""
    tx.run(_put(tx.engine, table, tuple(values)), _stored(tx.engine, table, values))


def remove(tx: Transaction, table: Table, **by: object) -> bool:
    """Remove the rows with these values; whether there was any."""
    return bool(tx.run(_remove(tx.engine, table, tuple(by)), by))


def remove_before(tx: Transaction, table: Table, column: str, at: str) -> None:
    """Remove the rows whose instant `column` has passed."""
    tx.run(_remove_before(tx.engine, table, column), {"at": tx.engine.store(at, TIME)})


def now() -> str:
    """The instant that it is, as a text."""
    return instants.text(instants.now())


def _stored(engine: Engine, table: Table, values: dict[str, object]) -> dict[str, object]:
    return {
        name: engine.store(value, TIME) if table.c[name].type is TIME.column_type else value
        for name, value in values.items()
    }


@cache
def _add(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    return compile_statement(engine, insert(table).values({name: bindparam(name) for name in columns}))


@cache
def _put(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    row = engine.insert(table).values({name: bindparam(name) for name in columns})
    keys = [column.name for column in table.primary_key.columns]
    changed = {name: row.excluded[name] for name in columns if name not in keys}
    return compile_statement(engine, row.on_conflict_do_update(index_elements=keys, set_=changed))


@cache
def _remove(engine: Engine, table: Table, columns: tuple[str, ...]) -> Statement:
    where = [table.c[name] == bindparam(name, type_=table.c[name].type) for name in columns]
    return compile_statement(engine, delete(table).where(*where).returning(table.c[columns[0]]))


@cache
def _remove_before(engine: Engine, table: Table, column: str) -> Statement:
    return compile_statement(engine, delete(table).where(table.c[column] < bindparam("at", type_=table.c[column].type)))
