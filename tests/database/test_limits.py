"""A question that takes too long is stopped, and the others do not wait for it."""

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
async def hurried(database_url):
    database = Database(database_url, query_timeout=LIMIT)
    await database.open()
    yield database
    await database.close()


@pytest.mark.parametrize("uses_fulltext", [False, True])
async def test_an_endless_question_is_stopped_and_holds_up_no_other(hurried, uses_fulltext):
    endless = asyncio.create_task(hurried.fetch(Statement(ENDLESS, (), {}, uses_fulltext), {}))
    await asyncio.sleep(0.02)
    answered = 0
    while not endless.done():
        assert [tuple(row) for row in await hurried.fetch(SHORT, {})] == [(1,)]
        answered += 1
        await asyncio.sleep(0.01)
    assert answered > 5
    with pytest.raises(QueryTimeout):
        await endless
    # Those that come after it have the whole time.
    assert [tuple(row) for row in await hurried.fetch(SHORT, {})] == [(1,)]


async def test_many_endless_questions_leave_room_for_a_short_one(hurried):
    endless = [
        asyncio.create_task(hurried.fetch(Statement(ENDLESS, (), {}, uses_fulltext=False), {})) for _ in range(4)
    ]
    await asyncio.sleep(0.05)
    assert [tuple(row) for row in await hurried.fetch(SHORT, {})] == [(1,)]
    if hurried.engine is SQLITE:
        assert not any(task.done() for task in endless)
    outcomes = await asyncio.gather(*endless, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [QueryTimeout] * 4
