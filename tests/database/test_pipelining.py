"""Statements that wait for others run in order, and an error affects only the unit of work that it belongs to."""

from contextlib import suppress
from functools import cache

import psycopg
import pytest
from sqlalchemy import bindparam, insert, literal_column, select, update

from machine_monitor.database.connect import Database, SerializationConflict
from machine_monitor.database.engines.postgresql import driver, pipelining
from machine_monitor.database.statements import compile_statement
from machine_monitor.errors import DatabaseBusy, DatabaseFault
from machine_monitor.models import DERIVED
from machine_monitor.models.derived import Derived

NAMES = select(DERIVED.c.name).where(DERIVED.c.name.like("test%")).order_by(DERIVED.c.name)


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()


@cache
def add(engine):
    return compile_statement(engine, insert(DERIVED).values(name=bindparam("name"), value=literal_column("''")))


@cache
def find(engine):
    return compile_statement(engine, select(DERIVED.c.value).where(DERIVED.c.name == bindparam("name")))


@cache
def change(engine):
    values = update(DERIVED).where(DERIVED.c.name == bindparam("old")).values(name=bindparam("new"))
    return compile_statement(engine, values)


def names(tx):
    return [name for (name,) in tx.execute(compile_statement(tx.engine, NAMES), {})]


def test_statements_run_in_order(database):
    def unit(tx):
        tx.execute_later(add(tx.engine), {"name": "test 1"})
        tx.execute_many(change(tx.engine), [{"old": "test 1", "new": "test 2"}, {"old": "test 2", "new": "test 3"}])
        before = tx.execute_later(compile_statement(tx.engine, NAMES), {})
        tx.execute_later(add(tx.engine), {"name": "test 4"})
        after = names(tx)
        return before(), after

    assert database.transact(unit) == ([("test 3",)], ["test 3", "test 4"])
    assert database.snapshot(names) == ["test 3", "test 4"]


def test_a_session_sees_the_statements_before_it(database):
    def unit(tx):
        tx.execute_later(add(tx.engine), {"name": "test 1"})
        tx.session.get(Derived, "test 1").value = "changed"
        tx.execute_many(change(tx.engine), [{"old": "test 1", "new": "test 2"}])
        return tx.session.scalars(select(DERIVED.c.value).where(DERIVED.c.name == "test 2")).one()

    assert database.transact(unit) == "changed"


@pytest.mark.parametrize("ends_with", ["rows", "nothing"])
@pytest.mark.parametrize("is_last", [False, True])
def test_an_error_of_a_waiting_statement_is_that_of_its_unit(database, ends_with, is_last):
    def unit(*new):
        def write(tx):
            for name in new:
                tx.execute_later(add(tx.engine), {"name": name})
            return names(tx) if ends_with == "rows" else None

        return write

    units = [unit("test 1"), unit("test 2", "test 1", "test 3"), unit("test 4")][: 2 if is_last else 3]
    first, second, *others = database._transact_batch(units)
    assert isinstance(second[1], SerializationConflict)
    assert [error for _, error in (first, *others)] == [None] * (len(units) - 1)
    assert database.snapshot(names) == ["test 1", "test 4"][: len(units) - 1]


@pytest.mark.slow
def test_a_unit_that_waits_too_long_for_a_lock_does_not_affect_the_others(postgresql_database_url, monkeypatch):
    monkeypatch.setattr(driver, "BUSY_SECONDS", 0.3)
    database, other = Database(postgresql_database_url), Database(postgresql_database_url)

    def later(name):
        def unit(tx):
            tx.execute_later(add(tx.engine), {"name": name})
            # As the history does, this waits for the statements of all units.
            tx.defer(lambda tx, _: names(tx), None)

        return unit

    def batch(tx):
        tx.execute(add(tx.engine), {"name": "test 2"})
        return database._transact_batch([later(f"test {number}") for number in range(4)])

    errors = [type(error) for _, error in other.transact(batch)]
    assert errors == [type(None), type(None), DatabaseBusy, type(None)]
    assert database.snapshot(names) == [f"test {number}" for number in range(4)]
    database.close_writer()
    other.close_writer()


def test_a_value_that_the_driver_refuses_is_the_error_of_its_unit(postgresql_database_url):
    database = Database(postgresql_database_url)

    def later(name):
        return lambda tx: tx.execute_later(add(tx.engine), {"name": name}) and None

    results = database._transact_batch([later("test 1"), later("test \0"), later("test 3"), names])
    assert [error is None for _, error in results] == [True, False, True, True]
    assert database.snapshot(names) == results[-1][0] == ["test 1", "test 3"]
    database.close_writer()


def test_an_error_that_a_unit_hides_is_not_taken_for_a_commit(postgresql_database_url):
    database = Database(postgresql_database_url)

    def hides(tx):
        with suppress(psycopg.Error):
            tx.cursor.execute("SELECT 1 / 0")

    for units in ([hides], [lambda tx: tx.execute(add(tx.engine), {"name": "test 1"}), hides]):
        with pytest.raises(DatabaseFault, match="InFailedSqlTransaction"):
            database._transact_together(units, savepoints=False)
    assert database.snapshot(names) == []
    database.close_writer()


def test_an_error_before_the_commit_undoes_the_transaction(database):
    def unit(tx):
        tx.execute_later(add(tx.engine), {"name": "test 1"})
        tx.defer(lambda tx, items: tx.execute_many(add(tx.engine), items * 2), {"name": "test 2"})

    with pytest.raises(SerializationConflict):
        database.transact(unit)
    assert database.snapshot(names) == []


def test_a_unit_that_fails_before_anything_was_sent_leaves_the_others(database):
    def fails(tx):
        tx.execute_later(add(tx.engine), {"name": "test 2"})
        message = "no"
        raise ValueError(message)

    def works(tx):
        tx.execute_later(add(tx.engine), {"name": "test 1"})

    results = database._transact_batch([fails, works, fails])
    assert [type(error) for _, error in results] == [ValueError, type(None), ValueError]
    assert database.snapshot(names) == ["test 1"]


@pytest.mark.parametrize("runs", range(8))
def test_statements_work_after_an_error_while_they_were_prepared(postgresql_database_url, runs):
    """psycopg prepares a statement when it runs often. After an error, the server skips the rest of a pipeline."""
    database = Database(postgresql_database_url)
    database.transact(lambda tx: tx.execute(add(tx.engine), {"name": "test"}))

    def works(tx):
        return tx.execute(find(tx.engine), {"name": "test"})

    def fails(tx):
        tx.execute_later(add(tx.engine), {"name": "test"})
        return works(tx)

    units = [works, works, fails] * 2 + [*[works] * runs, fails, works]
    for unit, (result, error) in zip(units, database._transact_batch(units), strict=True):
        assert (result, type(error)) == ((None, SerializationConflict) if unit is fails else ([("",)], type(None)))
    database.close_writer()


def test_rows_may_be_used_after_the_commit(database):
    def write(tx):
        tx.execute_later(add(tx.engine), {"name": "test 1"})
        return tx.execute_later(find(tx.engine), {"name": "test 1"})

    def count(tx):
        return tx.execute_later(compile_statement(tx.engine, NAMES), {})

    (found, _), (all_names, _) = database._transact_batch([write, count])
    alone = database.transact(count)
    assert (found(), all_names(), alone()) == ([("",)], [("test 1",)], [("test 1",)])


@pytest.mark.parametrize("at_once", [False, True])
def test_many_rows_do_not_wait(postgresql_database_url, at_once):
    database = Database(postgresql_database_url)

    def unit(tx):
        rows = [{"name": f"test {n}"} for n in range(pipelining.MAX_WAITING + 1)]
        if at_once:
            tx.execute_many(add(tx.engine), rows)
        else:
            for row in rows:
                tx.execute_later(add(tx.engine), row)
        return tx.cursor._waiting

    assert database.transact(unit) == []
    assert len(database.snapshot(names)) == pipelining.MAX_WAITING + 1
    database.close_writer()
