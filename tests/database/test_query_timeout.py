"""A query that takes too long is cancelled, and does not block other queries."""

import asyncio
import threading

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import SQLITE
from machine_monitor.database.statements import Statement
from machine_monitor.errors import QueryTimeout

ENDLESS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) FROM s"
SHORT = Statement("SELECT 1", (), {}, uses_fulltext=False)
# A search runs in a thread from the start.
SEARCH = Statement(ENDLESS, (), {}, uses_fulltext=True)
LIMIT = 0.4


@pytest.fixture
async def impatient(database_url):
    database = Database(database_url, query_timeout=LIMIT)
    await database.open()
    yield database
    await database.close()


@pytest.mark.parametrize("searching", [False, True])
async def test_an_endless_query_is_cancelled_and_does_not_block_others(impatient, searching):
    endless = asyncio.create_task(impatient.fetch(Statement(ENDLESS, (), {}, searching), {}))
    await asyncio.sleep(0.02)
    responses = 0
    while not endless.done():
        assert [tuple(row) for row in await impatient.fetch(SHORT, {})] == [(1,)]
        responses += 1
        await asyncio.sleep(0.01)
    assert responses > 2
    with pytest.raises(QueryTimeout):
        await endless
    # Later queries have the full time limit.
    assert [tuple(row) for row in await impatient.fetch(SHORT, {})] == [(1,)]


async def test_many_endless_queries_do_not_block_a_short_one(impatient):
    endless = [
        asyncio.create_task(impatient.fetch(Statement(ENDLESS, (), {}, uses_fulltext=False), {})) for _ in range(4)
    ]
    await asyncio.sleep(0.05)
    assert [tuple(row) for row in await impatient.fetch(SHORT, {})] == [(1,)]
    if impatient.engine is SQLITE:
        assert not any(task.done() for task in endless)
    outcomes = await asyncio.gather(*endless, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [QueryTimeout] * 4


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_query_that_ends_before_its_statement_begins_does_not_go_on(sqlite_database_url, cancelled):
    """SQLite loses an interruption that comes before the statement: the reader would never be free again."""
    database = Database(sqlite_database_url, query_timeout=0.1)
    await database.open()
    begin, readers = threading.Event(), database._driver._readers
    held = [asyncio.create_task(reader.connection._execute(begin.wait)) for reader in readers]
    endless = [asyncio.create_task(database.fetch(SEARCH, {})) for _ in readers]
    await asyncio.sleep(0.2)
    running = [task for task in asyncio.all_tasks() if task not in (*held, *endless, asyncio.current_task())]
    if cancelled:
        for query in endless:
            query.cancel()
    await asyncio.sleep(0.05)
    begin.set()
    outcomes = await asyncio.wait_for(asyncio.gather(*endless, return_exceptions=True), 5)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError if cancelled else QueryTimeout}
    await asyncio.gather(*held)
    short = [reader.connection.execute_fetchall("SELECT 1") for reader in readers]
    assert [len(rows) for rows in await asyncio.wait_for(asyncio.gather(*short), 5)] == [1] * len(readers)
    await database.close()
    # asyncio logs the error of a task that nobody asks for.
    assert not any(task._log_traceback for task in running)
