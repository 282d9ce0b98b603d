"""Requests that ask the same at once share a query, which never begins before the request."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.engines.sqlite.engine import SqliteEngine
from machine_monitor.errors import Unauthenticated
from machine_monitor.services.access import shared_queries
from machine_monitor.services.access.authentication import Authenticator
from machine_monitor.services.access.shared_queries import SharedQueries

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Source:
    """A value that takes time to read; `began` counts the readings."""

    def __init__(self):
        self.value, self.began, self.may_end = "old", 0, asyncio.Event()

    async def read(self):
        self.began += 1
        value = self.value
        await self.may_end.wait()
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture
async def source():
    return Source()


async def start(*requests):
    tasks = [asyncio.create_task(request) for request in requests]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_requests_during_a_query_share_the_next_one(source):
    shared = SharedQueries()
    tasks = await start(*[shared.fetch("key", source.read) for _ in range(10)])
    assert source.began == 1
    source.may_end.set()
    assert await asyncio.gather(*tasks) == ["old"] * 10
    assert source.began == 2
    assert await shared.fetch("key", source.read) == "old"
    assert source.began == 3


async def test_a_request_sees_what_was_changed_before_it(source):
    shared = SharedQueries()
    before = await start(shared.fetch("key", source.read))
    source.value = "new"
    after = await start(*[shared.fetch("key", source.read) for _ in range(3)])
    source.may_end.set()
    assert await asyncio.gather(*before, *after) == ["old", "new", "new", "new"]


async def test_a_request_that_comes_when_a_query_ends_joins_the_next(source):
    shared = SharedQueries()
    first, second = await start(shared.fetch("key", source.read), shared.fetch("key", source.read))
    source.may_end.set()
    await first
    # No query is running in this step: the first has ended, and the next begins in a later one.
    assert [await shared.fetch("key", source.read), await second] == ["old", "old"]
    assert source.began == 2


async def test_a_query_may_end_before_the_next_one_waits_for_it(source):
    shared = SharedQueries()
    (first,) = await start(shared.fetch("key", source.read))
    # Both happen in the next step of the loop, in this order.
    second = asyncio.create_task(shared.fetch("key", source.read))
    source.may_end.set()
    assert await asyncio.gather(first, second) == ["old", "old"]


async def test_a_credential_is_checked_at_the_time_of_the_query(monkeypatch):
    """The request that starts a shared query may have come long before it."""
    asked, may_end = [], asyncio.Event()

    async def fetch(_statement, values):
        asked.append(values["now"])
        await may_end.wait()
        return []

    database = SimpleNamespace(engine=SqliteEngine(), fetch=fetch)
    authenticator, times = Authenticator(database, Settings()), iter(range(10))
    monkeypatch.setattr(instants, "now", lambda: BEGIN + timedelta(minutes=next(times)))
    tasks = await start(*[authenticator.authenticate_token(f"mm_1_{43 * 'a'}") for _ in range(3)])
    monkeypatch.setattr(instants, "now", lambda: BEGIN + timedelta(hours=1))
    may_end.set()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [Unauthenticated] * 3
    assert [time[11:16] for time in asked] == ["00:00", "01:00"]


async def test_keys_do_not_wait_for_each_other(source):
    shared = SharedQueries()
    await start(shared.fetch("slow", source.read))

    async def quick():
        return "quick"

    assert await asyncio.wait_for(shared.fetch("key", quick), 5) == "quick"


async def test_a_query_that_hangs_does_not_stop_those_after_it(source, monkeypatch):
    monkeypatch.setattr(shared_queries, "MAX_WAIT_SECONDS", 0.01)
    shared = SharedQueries()
    (hangs,) = await start(shared.fetch("key", source.read))

    async def quick():
        return "quick"

    for _ in range(2):
        assert await asyncio.wait_for(shared.fetch("key", quick), 5) == "quick"
    source.may_end.set()
    assert await hangs == "old"
    assert await shared.fetch("key", source.read) == "old"


async def test_an_error_is_that_of_all_who_share_the_query(source):
    shared = SharedQueries()
    source.value = ValueError("no")
    tasks = await start(*[shared.fetch("key", source.read) for _ in range(3)])
    source.may_end.set()
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["no"] * 3
    source.value = "old"
    assert await shared.fetch("key", source.read) == "old"


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_cancelled_request_does_not_affect_the_others(source, cancelled):
    shared = SharedQueries()
    tasks = await start(*[shared.fetch("key", source.read) for _ in range(3)])
    tasks.pop(cancelled).cancel()
    source.may_end.set()
    assert await asyncio.gather(*tasks) == ["old"] * 2
