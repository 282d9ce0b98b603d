"""The ORM session of a unit of work: it writes and rolls back with the unit, and never ends the transaction."""

import asyncio

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import IntegrityError

from machine_monitor.database import instants
from machine_monitor.database.connect import Database, SerializationConflict
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseBusy
from machine_monitor.models.accounts.tables import Attempt

COUNT = Statement("SELECT count(*) FROM attempts", (), {}, uses_fulltext=False)


def attempt(subject, **values):
    return Attempt(**{"subject": subject, "count": 1, "since": instants.now(), **values})


def unit_that_adds(*subjects):
    def unit(tx):
        for subject in subjects:
            tx.session.add(attempt(subject))
        return subjects

    return unit


async def subjects(database):
    return await database.read(lambda tx: sorted(tx.session.scalars(select(Attempt.subject))))


async def test_added_entities_are_written_with_the_unit_of_work(database):
    assert await database.write(unit_that_adds("b", "a")) == ("b", "a")
    assert await subjects(database) == ["a", "b"]
    assert database.transact(lambda tx: tx.session.get(Attempt, "a").count) == 1


async def run_in_one_batch(database, monkeypatch, *units):
    """Run units that share a transaction; return their results and the number of units in each batch."""
    sizes = []
    monkeypatch.setattr(database, "_on_batch", sizes.append)
    return await asyncio.gather(*map(database.write, units), return_exceptions=True), sizes


async def test_each_unit_of_a_batch_has_its_own_session_in_a_shared_transaction(database, monkeypatch):
    sessions = set()

    def unit(tx):
        sessions.add(tx.session)
        count = len(tx.session.scalars(select(Attempt)).all())
        tx.session.add(attempt(f"s{count}"))
        return count

    outcomes, sizes = await run_in_one_batch(database, monkeypatch, *[unit] * 5)
    # The first unit runs alone, and the others queue up meanwhile.
    assert outcomes == [0, 1, 2, 3, 4]
    assert len(sizes) < 5
    assert len(sessions) == 5


@pytest.mark.parametrize("is_flushed", [False, True])
async def test_a_failing_unit_does_not_affect_the_others(database, monkeypatch, is_flushed):
    def fails(tx):
        unit_that_adds("bad")(tx)
        if is_flushed:
            tx.session.flush()
        message = "no"
        raise ValueError(message)

    def changes(tx):
        tx.session.get(Attempt, "a").count = 7

    await database.write(unit_that_adds("a"))
    units = [unit_that_adds("b"), changes, fails, unit_that_adds("c"), unit_that_adds("a")]
    outcomes, _ = await run_in_one_batch(database, monkeypatch, *units)
    assert [type(outcome) for outcome in outcomes] == [tuple, type(None), ValueError, tuple, SerializationConflict]
    assert await subjects(database) == ["a", "b", "c"]
    assert database.transact(lambda tx: tx.session.get(Attempt, "a").count) == 7


async def test_a_statement_sees_entities_that_were_added_before_it(database):
    def unit(tx):
        tx.session.add(attempt("a"))
        tx.defer(lambda later, items: later.session.add_all(map(attempt, items)), "b")
        tx.session.execute(delete(Attempt).where(Attempt.subject == "none"))
        tx.session.add(attempt("c"))
        return tx.execute(COUNT, {})[0][0]

    assert await database.write(unit) == 2
    assert await subjects(database) == ["a", "b", "c"]


async def test_a_session_neither_commits_nor_sends_extra_statements(database, monkeypatch):
    sent = []

    def unit(tx):
        spy(tx.cursor.connection)
        tx.session.add(attempt("a"))
        tx.session.flush()
        with pytest.raises(RuntimeError, match="committed by"):
            tx.session.commit()
        with pytest.raises(RuntimeError, match="roll back a unit"):
            tx.session.rollback()
        tx.session.close()
        assert tx.is_open

    def spy(connection):
        if database.engine.name == "sqlite":
            connection.set_trace_callback(sent.append)
            return
        kind = type(connection.cursor())
        execute = kind.execute
        monkeypatch.setattr(
            kind, "execute", lambda self, query, *rest: sent.append(query) or execute(self, query, *rest)
        )

    await database.write(unit)
    # On PostgreSQL, the driver itself sends COMMIT.
    assert [statement.split()[0] for statement in sent if statement != "COMMIT"] == ["INSERT"]
    assert await subjects(database) == ["a"]


async def test_a_loaded_entity_remains_usable_after_its_unit(database):
    await database.write(unit_that_adds("a"))
    attempt = database.transact(lambda tx: tx.session.get(Attempt, "a"))
    assert (attempt.subject, attempt.count) == ("a", 1)


async def test_a_unit_is_retried_after_a_serialization_conflict(database):
    runs = []

    def unit(tx):
        runs.append(tx.session.get(Attempt, "a"))
        if len(runs) == 1:
            tx.session.add_all([attempt("b"), attempt("a"), attempt("c")])
            tx.session.flush()
            tx.session.execute(text("INSERT INTO attempts SELECT * FROM attempts WHERE subject = 'a'"))
        return len(runs)

    assert await database.write(unit) == 2
    assert await subjects(database) == []


async def test_a_savepoint_can_roll_back_a_part_of_a_unit(database):
    def unit(tx):
        tx.session.add(attempt("a"))
        tx.session.flush()
        with pytest.raises(IntegrityError), tx.session.begin_nested():
            tx.session.execute(insert(Attempt).values(subject="a", count=1, since=instants.now()))
        tx.session.add(attempt("b"))

    await database.write(unit)
    assert await subjects(database) == ["a", "b"]


async def test_a_broken_connection_of_a_session_is_replaced(postgresql_database_url):
    database = Database(postgresql_database_url)

    def dies(tx):
        tx.session.add(attempt("a"))
        tx.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseBusy):
        database.transact(dies)
    database.transact(unit_that_adds("b"))
    assert database.transact(lambda tx: tx.session.scalars(select(Attempt.subject)).all()) == ["b"]
    database.close_writer()
