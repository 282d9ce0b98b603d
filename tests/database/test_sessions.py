"""The ORM session of a unit of work: it writes with the unit, is undone with it, and ends nothing."""

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


def adds(*subjects):
    def unit(tx):
        for subject in subjects:
            tx.session.add(attempt(subject))
        return subjects

    return unit


async def subjects(database):
    return await database.read(lambda tx: sorted(tx.session.scalars(select(Attempt.subject))))


async def test_what_is_added_is_written_with_the_unit(database):
    assert await database.write(adds("b", "a")) == ("b", "a")
    assert await subjects(database) == ["a", "b"]
    assert database.transact(lambda tx: tx.session.get(Attempt, "a").count) == 1


async def together(database, monkeypatch, *units):
    """The outcomes of units that share a transaction, and how many there were in each."""
    sizes = []
    monkeypatch.setattr(database, "_on_batch", sizes.append)
    return await asyncio.gather(*map(database.write, units), return_exceptions=True), sizes


async def test_the_units_of_a_batch_have_sessions_of_their_own_in_one_transaction(database, monkeypatch):
    sessions = set()

    def unit(tx):
        sessions.add(tx.session)
        count = len(tx.session.scalars(select(Attempt)).all())
        tx.session.add(attempt(f"s{count}"))
        return count

    outcomes, sizes = await together(database, monkeypatch, *[unit] * 5)
    # The first is written alone, the others wait for it.
    assert outcomes == [0, 1, 2, 3, 4]
    assert len(sizes) < 5
    assert len(sessions) == 5


@pytest.mark.parametrize("is_flushed", [False, True])
async def test_a_unit_that_fails_is_undone_alone(database, monkeypatch, is_flushed):
    def fails(tx):
        adds("bad")(tx)
        if is_flushed:
            tx.session.flush()
        message = "no"
        raise ValueError(message)

    def changes(tx):
        tx.session.get(Attempt, "a").count = 7

    await database.write(adds("a"))
    units = [adds("b"), changes, fails, adds("c"), adds("a")]
    outcomes, _ = await together(database, monkeypatch, *units)
    assert [type(outcome) for outcome in outcomes] == [tuple, type(None), ValueError, tuple, SerializationConflict]
    assert await subjects(database) == ["a", "b", "c"]
    assert database.transact(lambda tx: tx.session.get(Attempt, "a").count) == 7


async def test_a_statement_sees_what_was_added_before_it(database):
    def unit(tx):
        tx.session.add(attempt("a"))
        tx.defer(lambda later, items: later.session.add_all(map(attempt, items)), "b")
        tx.session.execute(delete(Attempt).where(Attempt.subject == "none"))
        tx.session.add(attempt("c"))
        return tx.execute(COUNT, {})[0][0]

    assert await database.write(unit) == 2
    assert await subjects(database) == ["a", "b", "c"]


async def test_a_session_ends_no_transaction_and_sends_no_statement_of_its_own(database, monkeypatch):
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
    # On PostgreSQL the driver sends COMMIT.
    assert [statement.split()[0] for statement in sent if statement != "COMMIT"] == ["INSERT"]
    assert await subjects(database) == ["a"]


async def test_a_record_that_was_loaded_outlives_its_unit(database):
    await database.write(adds("a"))
    found = database.transact(lambda tx: tx.session.get(Attempt, "a"))
    assert (found.subject, found.count) == ("a", 1)


async def test_a_unit_is_run_again_after_a_race(database):
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


async def test_a_part_of_a_unit_can_be_undone_by_a_savepoint(database):
    def unit(tx):
        tx.session.add(attempt("a"))
        tx.session.flush()
        with pytest.raises(IntegrityError), tx.session.begin_nested():
            tx.session.execute(insert(Attempt).values(subject="a", count=1, since=instants.now()))
        tx.session.add(attempt("b"))

    await database.write(unit)
    assert await subjects(database) == ["a", "b"]


async def test_a_connection_that_dies_under_a_session_is_replaced(postgresql_database_url):
    database = Database(postgresql_database_url)

    def dies(tx):
        tx.session.add(attempt("a"))
        tx.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseBusy):
        database.transact(dies)
    database.transact(adds("b"))
    assert database.transact(lambda tx: tx.session.scalars(select(Attempt.subject)).all()) == ["b"]
    database.close_writer()
