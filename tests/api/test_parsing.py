"""Whatever computes for long runs outside the event loop: parsing a large body, compiling a new statement."""

import json
import threading

import pytest

from machine_monitor.database.statements import Statement, StatementCache
from machine_monitor.query import lists
from machine_monitor.services.records import strict_json


@pytest.mark.parametrize(("size", "is_inline"), [(4 * 1024, True), (4 * 1024 + 1, False), (1024 * 1024, False)])
async def test_a_large_body_is_parsed_in_a_thread(client, monkeypatch, size, is_inline):
    threads, parse = [], strict_json.parse
    monkeypatch.setattr(strict_json, "parse", lambda raw: threads.append(threading.current_thread()) or parse(raw))
    content = json.dumps({"name": "Saw"}).encode().ljust(size)
    response = await client.post("/machines", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 201
    assert [thread is threading.current_thread() for thread in threads] == [is_inline]


async def test_a_new_statement_is_compiled_in_a_thread_and_found_later(client, monkeypatch):
    threads, compile_ = [], lists.list_statement._compile
    monkeypatch.setattr(
        lists.list_statement, "_compile", lambda *key: threads.append(threading.current_thread()) or compile_(*key)
    )
    # A query that no other test asks.
    for value in (1, 2):
        response = await client.get(f"/machines?attributes.parsed__gte={value}&attributes.compiled__ne={value}&limit=7")
        assert response.status_code == 200
    assert [thread is threading.current_thread() for thread in threads] == [False]


def test_the_cache_drops_the_statement_that_was_not_used_for_longest():
    cache = StatementCache(lambda text: Statement(text, (), {}, uses_fulltext=False), 2)
    for text, misses in [("a", 1), ("b", 2), ("a", 2), ("c", 3), ("a", 3), ("b", 4)]:
        assert cache(text).sql == text
        assert cache.misses == misses
    assert cache.find("a").sql == "a"
    assert cache.find("d") is None
