"""A query that takes too long is cancelled, and does not block other queries."""

import asyncio

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import SQLITE
from machine_monitor.database.statements import Statement
from machine_monitor.errors import QueryTimeout

ENDLESS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) FROM s"
SHORT = Statement("SELECT 1", (), {}, uses_fulltext=False)
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
    assert responses > 5
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
