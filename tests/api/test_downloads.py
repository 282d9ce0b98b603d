"""Downloads: a consistent snapshot, constant memory, and a connection that is always released."""

import asyncio
import json
import sqlite3
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from starlette.requests import ClientDisconnect

from api.paced_client import UUID, PacedClient, assert_resources_released, fill, running
from machine_monitor.api import streaming
from machine_monitor.api.serving.compression import GZIP_CONTAINER
from machine_monitor.database import database_urls, streams
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseBusy, QueryTimeout
from machine_monitor.models import LOGS
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from waiting import wait_until


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch):
    for module in ("sqlite.driver", "postgresql.readers"):
        monkeypatch.setattr(f"machine_monitor.database.engines.{module}.FETCH_SIZE", 10)


async def test_an_export_is_a_consistent_snapshot(database_url):
    fill(database_url, 45)
    async with running(database_url) as app:
        client = PacedClient(app, "/logs.ndjson?sort=started_at")
        (start, first) = await client.take(2)

        def change(tx):
            for number in range(45):
                target = records.Target(LOGS, UUID.format(number))
                if number % 2:
                    records.delete(tx, target, ChangeContext("test"))
            values = LOGS.create.model_validate({"machine": "Saw", "type": "info"}).model_dump(mode="json")
            records.insert(tx, LOGS, values, ChangeContext("test"))

        await app.state.database.write(change)
        rest, ended = await client.rest()
        body = first["body"] + rest
        assert (start["status"], first["body"].count(b"\n"), ended) == (200, 10, True)
        assert [json.loads(line)["uuid"] for line in body.splitlines()] == [UUID.format(n) for n in range(45)]
        await assert_resources_released(app)


@pytest.mark.parametrize("path", ["/logs.ndjson", "/logs.csv?dialect=excel", "/logs.xlsx", "/machines.csv"])
async def test_head_reads_only_the_first_part(database_url, path, monkeypatch):
    fill(database_url, 45)
    parts = []
    async with running(database_url) as app:
        driver = app.state.database._driver
        whole = driver.stream

        def stream(*arguments):
            for rows in whole(*arguments):
                parts.append(len(rows))
                yield rows

        monkeypatch.setattr(driver, "stream", stream)
        client = PacedClient(app, path, "HEAD")
        (start,) = await client.take()
        body, ended = await client.rest()
        assert (start["status"], body, ended, len(parts)) == (200, b"", True, 1)
        await assert_resources_released(app)


@pytest.mark.parametrize("path", ["/logs.ndjson", "/logs.xlsx"])
async def test_a_client_that_reads_nothing_is_disconnected(database_url, path, monkeypatch, caplog):
    monkeypatch.setattr(streaming, "SEND_TIMEOUT_SECONDS", 0.05)
    fill(database_url, 45)
    async with running(database_url) as app:
        client = PacedClient(app, path)
        start, first = await client.take(2)
        await client.task
        assert (start["status"], first["more_body"], client.messages.empty()) == (200, True, True)
        await assert_resources_released(app)
    assert caplog.text == ""


async def test_streaming_stops_when_the_client_disconnects(database_url):
    fill(database_url, 45)
    async with running(database_url) as app:
        client = PacedClient(app, "/logs.csv")
        await client.take(2)
        client.gone.set()
        body, ended = await client.rest()
        assert (body.count(b"\n") <= 20, ended) == (True, False)
        await assert_resources_released(app)


async def test_a_stream_ends_with_its_client_although_a_cancellation_is_lost(monkeypatch):
    """`asyncio.wait_for` may lose one, before Python 3.12."""
    monkeypatch.setattr(streaming, "CANCEL_SECONDS", 0.05)
    waits, sent, gone = [], [], asyncio.Event()

    async def chunks():
        yield b"first"
        with suppress(asyncio.CancelledError):
            waits.append("lost")
            await asyncio.sleep(60)
        waits.append("again")
        await asyncio.sleep(60)

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    response = streaming.TimedStreamingResponse(chunks(), "text/event-stream", {})
    running_response = asyncio.create_task(response({"type": "http", "headers": []}, receive, send))
    await wait_until(lambda: waits)
    gone.set()
    with pytest.raises(ClientDisconnect):
        await asyncio.wait_for(running_response, 5)
    assert (waits, [message.get("body") for message in sent]) == (["lost", "again"], [None, b"first"])


@pytest.mark.parametrize("chunks", [0, 2])
async def test_a_cancelled_response_releases_its_resources(database_url, chunks):
    fill(database_url, 45)
    async with running(database_url) as app:
        client = PacedClient(app, "/logs.ndjson")
        await client.take(chunks)
        await asyncio.sleep(0)
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.task
        await assert_resources_released(app)


async def test_an_early_error_is_a_problem_and_a_late_one_aborts_the_response(database_url, monkeypatch, caplog):
    fill(database_url, 45)
    async with running(database_url) as app:
        driver = app.state.database._driver
        whole = driver.stream
        for good in (0, 2):

            def stream(*arguments, good=good):
                for number, rows in enumerate(whole(*arguments)):
                    if number == good:
                        raise DatabaseBusy
                    yield rows

            monkeypatch.setattr(driver, "stream", stream)
            client = PacedClient(app, "/logs.csv")
            if good:
                with pytest.raises(RuntimeError):
                    await client.rest()
                messages = [client.messages.get_nowait() for _ in range(client.messages.qsize())]
                assert [message.get("more_body") for message in messages] == [None, True, True]
            else:
                start, body = await client.take(2)
                assert (start["status"], json.loads(body["body"])["code"]) == (503, "database-busy")
                assert caplog.text == ""
            await assert_resources_released(app)


async def test_the_query_timeout_applies_to_each_part(database_url):
    fill(database_url, 45)
    async with running(database_url, query_timeout=0.2) as app:
        client = PacedClient(app, "/logs.ndjson")
        await client.take(2)
        await asyncio.sleep(0.3)
        body, ended = await client.rest()
        assert (body.count(b"\n"), ended) == (35, True)


async def test_a_slow_part_is_cancelled(database_url):
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) SELECT count(*) FROM n"
    async with running(database_url, query_timeout=0.2) as app:
        parts = app.state.database.stream(Statement(sql, (), {}, uses_fulltext=True), {}, list)
        with pytest.raises(QueryTimeout):
            await anext(parts)
        await assert_resources_released(app)


async def test_concurrent_downloads_are_limited_and_do_not_block_lists(database_url, monkeypatch):
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0.1)
    fill(database_url, 45)
    async with running(database_url) as app:
        clients = [PacedClient(app, "/logs.ndjson") for _ in range(streams.MAX_STREAMS)]
        for client in clients:
            await client.take(2)
        late = PacedClient(app, "/logs.csv")
        start, body = await late.take(2)
        assert (start["status"], json.loads(body["body"])["code"]) == (503, "database-busy")
        query = PacedClient(app, "/logs?limit=1")
        assert (await query.take(2))[0]["status"] == 200
        monkeypatch.setattr(streams, "WAIT_SECONDS", 5)
        waiting = PacedClient(app, "/logs.ndjson")
        await asyncio.sleep(0.05)
        for client in [*clients, waiting]:
            assert (await client.rest())[1]
        await assert_resources_released(app)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_memory_does_not_grow_with_the_rows(sqlite_database_url, monkeypatch, encoding):
    monkeypatch.setattr("machine_monitor.database.engines.sqlite.driver.FETCH_SIZE", 1_000)
    fill(sqlite_database_url, 100)
    with sqlite3.connect(database_urls.parse(sqlite_database_url).path) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(logs)")]
        chosen = {"id": "NULL", "uuid": "logs.uuid || '-' || n.x"}
        columns = ", ".join(chosen.get(name, f'"{name}"') for name in names)
        numbers = "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000) SELECT x FROM n)"
        connection.execute(f"INSERT INTO logs SELECT {columns} FROM logs, {numbers} n")
    async with running(sqlite_database_url) as app:
        client = PacedClient(app, "/logs.ndjson", accept_encoding=encoding)
        _, first = await client.take(2)
        decode = zlib.decompressobj(GZIP_CONTAINER).decompress if encoding == "gzip" else bytes
        decode(first["body"])
        tracemalloc.start()
        size = sum([len(decode((await client.take())[0]["body"])) for _ in range(150)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        client.gone.set()
        await client.rest()
        assert (size > 40_000_000, peak < 6_000_000) == (True, True)
