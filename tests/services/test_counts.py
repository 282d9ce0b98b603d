"""The counters agree with the logs after any sequence of writes."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.query.calendar import UNITS
from machine_monitor.services import demo
from machine_monitor.services.checks import health
from machine_monitor.services.checks.verify import verify
from machine_monitor.services.projections import counters
from query import oracle, samples

COUNTER_UNITS = {
    "machine": ("month",),
    "type": ("month", "day"),
    "severity": (),
    "status": (),
    "user": (),
    "project": (),
}
# Counters of types over only the logs that are, or are not, a failure whatever their type counts as.
EXCEPTIONS = {
    "type_without_failure": lambda log: log["status"] == "cancelled" or log["down_kind"] in ("planned", "external"),
    "type_with_failure": lambda log: log["status"] != "cancelled" and log["down_kind"] == "failure",
}
FIRST = datetime(2024, 12, 30, 12, tzinfo=UTC)


@pytest.fixture
def writer(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()


def stored_counters(database: Database) -> Counter:
    """Read the counters from their table."""

    def read(tx):
        names = "field, unit, period, value"
        tx.cursor.execute(f"SELECT {names}, sum(count) FROM log_counts GROUP BY {names} HAVING sum(count) <> 0")
        return Counter({tuple(key): int(count) for *key, count in tx.cursor.fetchall()})

    return database.snapshot(read)


def expected_counters(logs: list[dict], zone: ZoneInfo) -> Counter:
    """Compute the expected counters from the logs."""
    found = Counter()
    for log in logs:
        day = oracle.parse_instant(log["started_at"]).astimezone(zone).date()
        values = log | {"machine": log["expanded"]["machine"]["id"]}
        counters_of_log = [(field, field) for field in COUNTER_UNITS]
        counters_of_log += [(name, "type") for name, holds in EXCEPTIONS.items() if holds(log)]
        for name, field in counters_of_log:
            value = oracle.RANKS["severity"].index(values[field]) if field == "severity" else values[field]
            for unit in ("all", *COUNTER_UNITS[field]):
                period = UNITS[unit].name(day) if unit != "all" else ""
                found[name, unit, period, "" if value is None else f"={value}"] += 1
    return found


async def everything(client) -> list[dict]:
    return await samples.collect(client, "logs", expand="machine")


def body(rng: Random) -> dict:
    """Return random fields of a log."""
    values = {
        "machine": rng.choice(["m 0", "m 1", "M 2"]),
        "type": rng.choice(["info", "error", "reload"]),
        "severity": rng.choice(oracle.RANKS["severity"]),
        "status": rng.choice(["open", "done", "cancelled"]),
        "down_kind": rng.choice([None, "failure", "planned", "external"]),
        "project": rng.choice([None, "", "=", "é"]),
        "comment": rng.choice([None, "x"]),
        "started_at": (FIRST + timedelta(minutes=rng.randrange(4000))).isoformat(),
    }
    chosen = rng.sample(sorted(values), rng.randrange(len(values) + 1))
    stopped = {"down_from": FIRST.isoformat()} if "down_kind" in chosen else {}
    return stopped | {name: values[name] for name in chosen}


async def write(client, rng: Random, uuids: list[str]) -> None:
    """Send a random write: create, replace, change or delete a log, rename or merge a machine, or fail."""
    uuid = rng.choice(uuids)
    least = {"machine": "m 1", "type": "info"}
    verb = rng.choice(["create", "put", "put", "patch", "patch", "delete", "rename", "merge", "fail"])
    if verb == "create":
        await client.post("/logs", json=least | {"user": rng.choice([None, "ABC"])} | body(rng))
    elif verb == "put":
        await client.put(f"/logs/{uuid}", json=least | body(rng))
    elif verb == "patch":
        await client.patch(f"/logs/{uuid}", json=body(rng))
    elif verb == "delete" and rng.random() < 0.3:
        await client.delete(f"/logs/{uuid}")
    elif verb == "rename":
        name = rng.choice(["m 0", "m 1", "M 2"])
        await client.patch(f"/machines/{name}", json={"name": "other"})
        await client.patch("/machines/other", json={"name": name})
        await client.patch(f"/machines/{name}", json={"name": name.swapcase()})
        await client.patch(f"/machines/{name}", json={"name": name})
    elif verb == "merge":
        name, other = rng.sample(["m 0", "m 1", "M 2"], 2)
        await client.post(f"/machines/{name}/merge", json={"into": other})
        await client.post("/logs", json={"machine": name, "type": "info", "unlisted": True})
    elif verb == "fail":
        assert (await client.post("/logs", json=least | {"user": "none"})).status_code == 422


async def set_up(client) -> None:
    for name in ("m 0", "m 1", "M 2"):
        await client.post("/machines", json={"name": name})
    await client.post("/users", json={"trigram": "ABC"})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
async def test_counters_are_correct_after_random_writes(database_url, writer, zone):
    rng = Random(zone)
    uuids = [samples.uuid_of(number) for number in range(12)]
    # Writes use the stored time zone of the counters, not that of the process.
    counters.ensure_zone(writer, ZoneInfo(zone))
    async with serving(Settings(database_url=database_url, timezone="Pacific/Apia")) as client:
        await set_up(client)
        for step in range(120):
            await write(client, rng, uuids)
            if step % 30 == 29:
                assert stored_counters(writer) == expected_counters(await everything(client), ZoneInfo(zone))
        logs = await everything(client)
        assert len(logs) > 20
    for other in ("Europe/Paris", zone):
        assert counters.ensure_zone(writer, ZoneInfo(other))
        assert not counters.ensure_zone(writer, ZoneInfo(other))
        assert stored_counters(writer) == expected_counters(logs, ZoneInfo(other))


async def test_concurrent_writes_keep_the_counters_correct(client, writer):
    await set_up(client)
    rng = Random(5)
    bodies = [{"machine": "m 1", "type": "info"} | body(rng) for _ in range(60)]
    answers = await asyncio.gather(*[client.post("/logs", json=values) for values in bodies])
    assert {answer.status_code for answer in answers} == {201}
    uuids = [answer.json()["uuid"] for answer in answers]
    changes = [client.patch(f"/logs/{uuid}", json=body(rng)) for uuid in uuids]
    rebuilt = asyncio.to_thread(writer.transact, lambda tx: counters.rebuild(tx, ZoneInfo("Asia/Kathmandu")))
    *answers, _ = await asyncio.gather(*changes, *[client.delete(f"/logs/{uuid}") for uuid in uuids[::3]], rebuilt)
    assert {answer.status_code for answer in answers} <= {200, 204, 410}
    assert stored_counters(writer) == expected_counters(await everything(client), ZoneInfo("Asia/Kathmandu"))


async def test_a_rolled_back_write_rolls_back_its_counters(client, writer):
    await set_up(client)
    await client.post("/logs", json={"machine": "m 0", "type": "info"})
    before = stored_counters(writer)

    def fail(tx):
        counters.rebuild(tx, ZoneInfo("Europe/Paris"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writer.transact(fail)
    assert stored_counters(writer) == before
    assert writer.snapshot(counters.counter_zone) == "UTC"


async def test_a_migration_counts_the_existing_logs(empty_url):
    parsed_url, zone = database_urls.parse(empty_url), ZoneInfo("UTC")
    async with serving(Settings(database_url=empty_url)) as client:
        await samples.seed(client)
        await client.delete(f"/logs/{samples.uuid_of(1)}")
        logs = await everything(client)
    migrations.downgrade(parsed_url, "0001")
    migrations.upgrade(parsed_url)
    database = Database(empty_url)
    # The downgrade has removed the column.
    logs = [log | {"down_kind": None} for log in logs]
    assert stored_counters(database) == expected_counters(logs, zone)
    assert database.snapshot(counters.counter_zone) == "UTC"
    database.close_writer()


async def test_a_bulk_filled_demo_is_counted(database_url, writer):
    demo.fill(writer, demo.plan(5, 150, until=FIRST))
    async with serving(Settings(database_url=database_url)) as client:
        assert stored_counters(writer) == expected_counters(await everything(client), ZoneInfo("UTC"))


def test_doctor_reports_counters_of_another_time_zone(database_url, writer):
    settings = Settings(database_url=database_url, timezone="Europe/Paris")
    assert "counted by the calendar of UTC" in health.examine(settings).faults[0]
    counters.ensure_zone(writer, settings.zone)
    assert health.examine(settings).healthy


async def test_wrong_counters_are_detected_and_repaired(client, writer):
    await samples.seed(client)
    assert verify(writer).faults == []
    writer.transact(lambda tx: tx.cursor.execute("UPDATE log_counts SET count = count + 1 WHERE unit = 'day'"))
    writer.transact(lambda tx: tx.cursor.execute("DELETE FROM log_counts WHERE field = 'status'"))
    assert writer.snapshot(counters.find_wrong_counters) == ["type", "status", *EXCEPTIONS]
    assert "type, status" in verify(writer).faults[0]
    writer.transact(lambda tx: counters.rebuild(tx, ZoneInfo("UTC")))
    assert verify(writer).faults == []
