"""Sessions of other programs cannot write records; the session of a unit of work can."""

import pytest
from sqlalchemy import delete, insert, select, update

from machine_monitor.database.connect import Database
from machine_monitor.models.audit import History
from machine_monitor.models.log import Log
from machine_monitor.models.log_type import LogType
from machine_monitor.models.machine import Machine
from machine_monitor.models.read_only import ReadOnlyRecord
from machine_monitor.models.user import User
from models.conftest import session_on

RECORDS = [Machine, Log, LogType, User, History]
VALUES = {"code": "x", "code_key": "x", "version": 1}


async def add(session):
    session.add(LogType(**VALUES))
    await session.commit()


async def change(session):
    record = (await session.scalars(select(LogType).limit(1))).one()
    record.label = "X"
    await session.flush()


async def remove(session):
    await session.delete((await session.scalars(select(LogType).limit(1))).one())
    await session.flush()


async def merge(session):
    await session.merge(LogType(id=1, **VALUES))
    await session.flush()


async def insert_many(session):
    await session.run_sync(lambda blocking: blocking.bulk_insert_mappings(LogType, [VALUES]))


WRITES = [
    add,
    change,
    remove,
    merge,
    insert_many,
    *[
        lambda session, statement=statement: session.execute(statement)
        for record in RECORDS
        for table in (record, record.__table__)
        for statement in (insert(table), update(table), delete(table))
    ],
]


async def test_a_write_is_refused_with_an_explanation(database_url):
    for write in WRITES:
        async with session_on(database_url) as session:
            with pytest.raises(ReadOnlyRecord, match=r"REST API or `machine_monitor\.services\.records`"):
                await write(session)
    async with session_on(database_url) as session:
        assert {kind.label for kind in await session.scalars(select(LogType))} >= {"info", "error"}


async def test_reading_and_assigning_an_equal_value_are_allowed(database_url):
    async with session_on(database_url) as session:
        for record in (await session.scalars(select(LogType))).all():
            record.label = str(record.label)
        await session.commit()


async def test_the_session_of_a_unit_of_work_may_write(database_url):
    database = Database(database_url)
    database.transact(lambda tx: tx.session.execute(update(LogType).values(label="X")))
    labels = database.transact(lambda tx: set(tx.session.scalars(select(LogType.label))))
    database.close_writer()
    assert labels == {"X"}
