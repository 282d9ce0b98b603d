"""The counts that are kept say what is there, whatever was written."""

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

KEPT = {"machine": ("month",), "type": ("month", "day"), "severity": (), "status": (), "user": (), "project": ()}
FIRST = datetime(2024, 12, 30, 12, tzinfo=UTC)


@pytest.fixture
def writer(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()


def kept(database: Database) -> Counter:
    """The counts as the table has them."""

    def read(tx):
        tx.cursor.execute("SELECT field, unit, period, value, count FROM log_counts WHERE count <> 0")
        return Counter({tuple(key): count for *key, count in tx.cursor.fetchall()})

    return database.snapshot(read)


def counted(logs: list[dict], zone: ZoneInfo) -> Counter:
    """The counts as they ought to be."""
    found = Counter()
    for log in logs:
        day = oracle.instant(log["started_at"]).astimezone(zone).date()
        values = log | {"machine": log["expanded"]["machine"]["id"]}
        for field, units in KEPT.items():
            value = oracle.RANKS["severity"].index(values[field]) if field == "severity" else values[field]
            for unit in ("all", *units):
                period = UNITS[unit].name(day) if unit != "all" else ""
                found[field, unit, period, "" if value is None else f"={value}"] += 1
    return found


async def everything(client) -> list[dict]:
    return await samples.collect(client, "logs", expand="machine")


def body(rng: Random) -> dict:
    """Some fields of a log."""
    values = {
        "machine": rng.choice(["m 0", "m 1", "M 2"]),
        "type": rng.choice(["info", "error", "reload"]),
        "severity": rng.choice(oracle.RANKS["severity"]),
        "status": rng.choice(["open", "done"]),
        "project": rng.choice([None, "", "=", "é"]),
        "comment": rng.choice([None, "x"]),
        "started_at": (FIRST + timedelta(minutes=rng.randrange(4000))).isoformat(),
    }
    chosen = rng.sample(sorted(values), rng.randrange(len(values) + 1))
    return {name: values[name] for name in chosen}


async def write(client, rng: Random, uuids: list[str]) -> None:
    """Create, replace, change or delete a log, rename a machine, or fail to."""
    uuid = rng.choice(uuids)
    least = {"machine": "m 1", "type": "info"}
    verb = rng.choice(["create", "put", "put", "patch", "patch", "delete", "rename", "fail"])
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
    elif verb == "fail":
        assert (await client.post("/logs", json=least | {"user": "none"})).status_code == 422


async def set_up(client) -> None:
    for name in ("m 0", "m 1", "M 2"):
        await client.post("/machines", json={"name": name})
    await client.post("/users", json={"trigram": "ABC"})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
async def test_counts_follow_any_history_of_writes(database_url, writer, zone):
    rng = Random(zone)
    uuids = [samples.uuid_of(number) for number in range(12)]
    # The stored zone is that of the writes, whatever the process is set to.
    counters.ensure_zone(writer, ZoneInfo(zone))
    async with serving(Settings(database_url=database_url, timezone="Pacific/Apia")) as client:
        await set_up(client)
        for step in range(120):
            await write(client, rng, uuids)
            if step % 30 == 29:
                assert kept(writer) == counted(await everything(client), ZoneInfo(zone))
        logs = await everything(client)
        assert len(logs) > 20
    for other in ("Europe/Paris", zone):
        assert counters.ensure_zone(writer, ZoneInfo(other))
        assert not counters.ensure_zone(writer, ZoneInfo(other))
        assert kept(writer) == counted(logs, ZoneInfo(other))


async def test_many_who_write_at_once_lose_no_count(client, writer):
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
    assert kept(writer) == counted(await everything(client), ZoneInfo("Asia/Kathmandu"))


async def test_a_write_that_is_taken_back_takes_its_counts_along(client, writer):
    await set_up(client)
    await client.post("/logs", json={"machine": "m 0", "type": "info"})
    before = kept(writer)

    def fail(tx):
        counters.rebuild(tx, ZoneInfo("Europe/Paris"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writer.transact(fail)
    assert kept(writer) == before
    assert writer.snapshot(counters.counter_zone) == "UTC"


async def test_a_migration_counts_the_logs_that_are_there(empty_url):
    parsed_url, zone = database_urls.parse(empty_url), ZoneInfo("UTC")
    async with serving(Settings(database_url=empty_url)) as client:
        await samples.seed(client)
        await client.delete(f"/logs/{samples.uuid_of(1)}")
        logs = await everything(client)
    migrations.downgrade(parsed_url, "0001")
    migrations.upgrade(parsed_url)
    database = Database(empty_url)
    assert kept(database) == counted(logs, zone)
    assert database.snapshot(counters.counter_zone) == "UTC"
    database.close_writer()


async def test_a_plant_that_is_written_at_once_is_counted(database_url, writer):
    demo.fill(writer, demo.plan(5, 150, until=FIRST))
    async with serving(Settings(database_url=database_url)) as client:
        assert kept(writer) == counted(await everything(client), ZoneInfo("UTC"))


def test_doctor_tells_that_logs_are_counted_in_another_zone(database_url, writer):
    settings = Settings(database_url=database_url, timezone="Europe/Paris")
    assert "counted by the calendar of UTC" in health.examine(settings).faults[0]
    counters.ensure_zone(writer, settings.zone)
    assert health.examine(settings).healthy


async def test_wrong_counts_are_found_and_mended(client, writer):
    await samples.seed(client)
    assert verify(writer).faults == []
    writer.transact(lambda tx: tx.cursor.execute("UPDATE log_counts SET count = count + 1 WHERE unit = 'day'"))
    writer.transact(lambda tx: tx.cursor.execute("DELETE FROM log_counts WHERE field = 'status'"))
    assert writer.snapshot(counters.find_wrong_counters) == ["type", "status"]
    assert "type, status" in verify(writer).faults[0]
    writer.transact(lambda tx: counters.rebuild(tx, ZoneInfo("UTC")))
    assert verify(writer).faults == []
