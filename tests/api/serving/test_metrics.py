"""The metrics, as Prometheus reads them."""

import asyncio
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.paced_client import PacedClient, fill, running
from machine_monitor.api.serving import metrics
from machine_monitor.database.connect import Database
from machine_monitor.errors import QueryTimeout


def parse_samples(text):
    """Return the value of each sample, by its name without our prefix and its labels."""
    return {
        (
            sample.name.removeprefix("machine_monitor_"),
            *(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def metric_changes(client):
    """A function that returns the changes of the metrics since its last call, and their values."""

    async def ask():
        nonlocal last
        now = parse_samples((await client.get("/metrics")).text)
        before, last = last, now
        return {key: value - before.get(key, 0) for key, value in now.items()}, now

    last = {}
    return ask


async def test_requests_are_counted_by_operation_method_and_status(client, metric_changes):
    await metric_changes()
    await client.get("/machines/Saw?secret=1")
    await client.put("/machines/Saw", json={})
    await client.put("/machines/Saw", json={})
    await client.head("/machines/Saw")
    await client.get("/nowhere")
    changed, now = await metric_changes()
    requests = {key[1:]: value for key, value in changed.items() if key[0] == "requests_total" and value}
    assert requests == {
        ("GET", "get_machine", "422"): 1,
        ("PUT", "replace_machine", "201"): 1,
        ("PUT", "replace_machine", "200"): 1,
        ("HEAD", "get_machine", "200"): 1,
        ("GET", "none", "404"): 1,
        ("GET", "read_metrics", "200"): 1,
    }
    assert changed["request_seconds_count", "PUT", "replace_machine", "200"] == 1
    assert now["request_seconds_sum", "PUT", "replace_machine", "200"] > 0
    assert now["requests_in_flight",] == 1
    assert not any("Saw" in str(key) for key in now)


async def test_problems_are_counted_by_code(client, metric_changes, monkeypatch):
    await metric_changes()

    async def slow(*_):
        raise QueryTimeout

    await client.get("/nowhere")
    with monkeypatch.context() as patched:
        patched.setattr(Database, "fetch", slow)
        await client.get("/logs")
    changed, _ = await metric_changes()
    problems = {key[1]: value for key, value in changed.items() if key[0] == "problems_total" and value}
    assert problems == {"not-found": 1, "query-timeout": 1}


async def test_database_metrics_are_reported(client, metric_changes, database_url):
    await metric_changes()
    await asyncio.gather(*[client.put(f"/machines/{number}", json={}) for number in range(20)])
    changed, now = await metric_changes()
    engine = database_url.partition(":")[0].partition("+")[0]
    kinds = ["read", "stream", "write"]
    requests = {key[1:]: value for key, value in now.items() if key[0] == "database_requests"}
    assert requests == dict.fromkeys([(kind, state) for kind in kinds for state in ("running", "waiting")], 0)
    assert [key for key in now if key[0] == "build_info" and engine in key]
    if engine == "sqlite":
        assert now["database_bytes", "database"] > 0
        assert now["database_bytes", "wal"] > 0
        assert changed["write_batch_size_sum",] == 20
        assert changed["write_batch_size_count",] < 10


async def test_metrics_distinguish_waiting_from_running(database):
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def unit(_):
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    writes = []
    for count in (1, 11):
        writes += [asyncio.create_task(database.write(unit)) for _ in range(count)]
        await asyncio.sleep(0.1)
    running, waiting = database.utilization()["write"]
    gate.set()
    await asyncio.gather(*writes)
    assert running + waiting == 12
    assert running >= 1
    assert waiting >= 1
    assert database.utilization() == {"read": (0, 0), "write": (0, 0), "stream": (0, 0)}


async def test_running_exports_are_counted(database_url, monkeypatch):
    monkeypatch.setattr("machine_monitor.database.engines.sqlite.driver.FETCH_SIZE", 1)
    monkeypatch.setattr("machine_monitor.database.engines.postgresql.readers.FETCH_SIZE", 1)
    fill(database_url, 5)
    async with running(database_url) as app:
        client = PacedClient(app, "/logs.ndjson")
        await client.take(1)
        assert app.state.database.utilization()["stream"] == (1, 0)
        await client.rest()
        assert app.state.database.utilization()["stream"] == (0, 0)


def test_metric_names_have_a_prefix_and_a_help_text():
    families = [*text_string_to_metric_families(metrics.render().decode())]
    assert all(re.fullmatch(r"machine_monitor(_[a-z]+)+", family.name) and family.documentation for family in families)


async def test_a_disconnected_client_is_counted_as_499(sqlite_database_url):
    before = metrics.REQUESTS.labels("none", "GET", "499")._value.get()
    async with running(sqlite_database_url) as app:
        app.router.routes.clear()

        async def endpoint(*_): ...

        app.router.default = endpoint
        await PacedClient(app, "/").task
    assert metrics.REQUESTS.labels("none", "GET", "499")._value.get() == before + 1
