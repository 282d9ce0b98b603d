"""Monthly sums: writes delete those that they make wrong, and summing up loses no write."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.kinds import TIME
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES
from machine_monitor.models.log import LogUpdate
from machine_monitor.models.log_type import LogTypeUpdate
from machine_monitor.models.machine import MachineUpdate
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.checks import verify
from machine_monitor.services.projections import counters
from machine_monitor.services.projections.reliability import groups, request, rows, summing
from services.reliability.test_figures import validated

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2025, 6, 10, tzinfo=UTC)
CONTEXT = ChangeContext("test", at="2025-06-10T00:00:00Z")
# Each month has a stop of a day; all sums are there until the start of June.
STOPS = [f"2025-{month:02}-10" for month in range(1, 6)]
ALL = ["01", "02", "03", "04", "05", "06"]


@pytest.fixture(autouse=True)
def keys(database) -> dict[str, str]:
    """Lathe and press, of which the lathe has a stop in each month, and a log that counts for nothing."""

    def unit(tx):
        counters.rebuild(tx, UTC_ZONE)
        for name in ("Lathe", "Press"):
            records.insert(tx, MACHINES, validated(MACHINES, {"name": name}), CONTEXT)
        keys = {day: write_stop(tx, day) for day in STOPS}
        keys["cancelled"] = write_stop(tx, "2025-02-20", status="cancelled")
        keys["note"] = write_log(tx, started_at="2025-03-20T00:00:00Z", type="info")
        return keys

    return database.transact(unit)


def write_stop(tx, day: str, **fields) -> str:
    times = {"started_at": f"{day}T00:00:00Z", "down_from": f"{day}T00:00:00Z", "down_to": f"{day}T12:00:00Z"}
    return write_log(tx, **{"type": "error", **times, **fields})


def write_log(tx, machine: str = "Lathe", **fields) -> str:
    return records.insert(tx, LOGS, validated(LOGS, {"machine": machine, **fields}), CONTEXT).key


def edit_log(tx, key: str, **fields) -> None:
    records.update(tx, records.Target(LOGS, key), LogUpdate.model_validate(fields), CONTEXT)


def id_of(database, machine: str) -> int:
    return database.transact(lambda tx: records.Target(MACHINES, machine).find_or_fail(tx).id)


def months_of(database, machine: str = "Lathe") -> list[str]:
    """Return the months of the rows that a machine has, claims apart."""

    def read(tx):
        tx.cursor.execute(
            "SELECT start, is_claimed FROM reliability_months WHERE machine_id = "
            f"(SELECT id FROM machines WHERE name = '{machine}') ORDER BY start"
        )
        return [str(start)[5:7] for start, is_claimed in tx.cursor.fetchall() if not is_claimed]

    return database.snapshot(read)


async def sum_up_all(database, now: datetime = NOW) -> None:
    while await summing.sum_batch(database, now):
        pass


async def failure_time(database, start: str, end: str) -> int:
    pairs = [("from", start), ("to", end), ("machine", "Lathe")]
    query = request.parse_reliability_query(pairs, TimeContext(UTC_ZONE, NOW))
    return json.loads(await groups.fetch(database, query))["groups"][0]["failure_time"]


def forge(database, month: str, seconds: int) -> None:
    """Change the lathe's failure time before a month."""
    start = database.engine.to_db(f"{month}T00:00:00Z", TIME)
    changed = f"failure = failure + {seconds * 1_000_000} WHERE start = '{start}'"
    lathe = id_of(database, "Lathe")
    database.transact(lambda tx: tx.cursor.execute(f"UPDATE reliability_months SET {changed} AND machine_id = {lathe}"))


def delete_note(tx, keys):
    records.delete(tx, records.Target(LOGS, keys["note"]), CONTEXT)


def move_stop(tx, keys):
    edit_log(tx, keys["2025-04-10"], machine="Press")


def change_type(tx, _):
    body = LogTypeUpdate.model_validate({"counts_as_failure": False})
    records.update(tx, records.Target(LOG_TYPES, "error"), body, CONTEXT)


def change_label(tx, _):
    records.update(tx, records.Target(LOG_TYPES, "error"), LogTypeUpdate.model_validate({"label": "Panne"}), CONTEXT)


def take_out_of_service(tx, _):
    body = MachineUpdate.model_validate({"in_service": False})
    records.update(tx, records.Target(MACHINES, "Lathe"), body, CONTEXT)


def merge(tx, _):
    records.merge(tx, records.Target(MACHINES, "Press"), "Lathe", CONTEXT)


# A change, and the rows that the lathe has after it.
CHANGES = {
    "a stop in a month": (lambda tx, _: write_stop(tx, "2025-03-20"), ALL[:3]),
    "a stop at the start of a month": (lambda tx, _: write_stop(tx, "2025-03-01"), ALL[:3]),
    "a stop after the sums": (lambda tx, _: write_stop(tx, "2025-06-02"), ALL),
    "a stop of another machine": (lambda tx, _: write_stop(tx, "2025-03-20", machine="Press"), ALL),
    "a cancelled stop": (lambda tx, _: write_stop(tx, "2025-03-20", status="cancelled"), ALL),
    "a failure without a stop": (lambda tx, _: write_log(tx, started_at="2025-02-03T00:00:00Z", type="error"), ALL[:2]),
    "an earlier start": (lambda tx, keys: edit_log(tx, keys["2025-04-10"], down_from="2025-02-01T00:00:00Z"), ALL[:2]),
    "a comment": (lambda tx, keys: edit_log(tx, keys["2025-04-10"], comment="Belt"), ALL),
    "a kind": (lambda tx, keys: edit_log(tx, keys["2025-04-10"], down_kind="planned"), ALL[:4]),
    "a stop that counts again": (lambda tx, keys: edit_log(tx, keys["cancelled"], status="done"), ALL[:2]),
    "a stop of now another machine": (move_stop, ALL[:4]),
    "a deleted note": (delete_note, ALL[:3]),
    "the meaning of a type": (change_type, []),
    "the label of a type": (change_label, ALL),
    "out of service": (take_out_of_service, []),
    "a merge": (merge, []),
    "another zone": (lambda tx, _: counters.rebuild(tx, ZoneInfo("Europe/Paris")), []),
}


@pytest.mark.parametrize(("change", "left"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_write_deletes_the_sums_that_it_makes_wrong(database, keys, change, left):
    await sum_up_all(database)
    assert months_of(database) == ALL
    database.transact(lambda tx: change(tx, keys))
    assert months_of(database) == left
    assert database.snapshot(verify.inspect).faults == []
    await sum_up_all(database)
    assert database.snapshot(verify.inspect).faults == []


async def test_figures_are_read_from_the_sums_of_whole_months(database):
    before = await failure_time(database, "2024-12-20", "2025-06-05")
    assert before == 5 * 12 * 60 * 60
    await sum_up_all(database)
    assert await failure_time(database, "2024-12-20", "2025-06-05") == before
    # Forged sums show which windows read them, and `mm verify` names their machine.
    forge(database, "2025-04-01", seconds=2)
    forge(database, "2025-06-01", seconds=5)
    assert await failure_time(database, "2024-12-20", "2025-06-05") == before + 5
    assert await failure_time(database, "2025-02-01", "2025-03-31") == 2 * 12 * 60 * 60 + 2
    assert await failure_time(database, "2025-02-02", "2025-03-30") == 2 * 12 * 60 * 60
    lathe = id_of(database, "Lathe")
    [fault] = database.snapshot(verify.inspect).faults
    assert fault.startswith(f"The monthly sums of reliability of machines with the ids {lathe} differ from the logs.")


async def test_a_window_without_sums_reads_no_stops_that_ended_before_it(database, monkeypatch):
    monkeypatch.setattr(rows, "MAX_ROWS", 6)
    assert await failure_time(database, "2025-06-01", "2025-06-05") == 0


class WritesAfterReading:
    """A database in which another client writes a log after each read, before the sums are written."""

    def __init__(self, database: Database, day: str) -> None:
        self._database, self._day = database, day

    async def read(self, unit):
        found = await self._database.read(unit)
        await self._database.write(lambda tx: write_stop(tx, self._day))
        return found

    async def write(self, unit):
        return await self._database.write(unit)


@pytest.mark.parametrize(("day", "is_kept"), [("2025-03-20", False), ("2025-06-02", True)])
async def test_a_log_that_is_written_while_months_are_summed_up_counts(database, day, is_kept):
    await summing.sum_batch(WritesAfterReading(database, day), NOW)
    assert (months_of(database) == ALL) is is_kept
    await sum_up_all(database)
    assert database.snapshot(verify.inspect).faults == []


async def test_of_two_services_that_sum_up_a_machine_the_later_one_writes(database):
    lathe = id_of(database, "Lathe")
    until = datetime(2025, 6, 1, tzinfo=UTC)
    first, second = (summing.Batch((lathe,), until, UTC_ZONE, claim) for claim in ("first", "second"))

    class Interrupted(WritesAfterReading):
        async def read(self, unit):
            found = await self._database.read(unit)
            await summing.sum_machines(self._database, second)
            self._database.transact(lambda tx: tx.cursor.execute("UPDATE reliability_months SET repair = repair + 1"))
            return found

    await summing.sum_machines(Interrupted(database, ""), first)
    # The first one has written nothing: the mark on the rows of the second is still there.
    assert database.snapshot(summing.find_wrong_sums) == [lathe]


async def test_more_logs_than_are_read_at_once_are_summed_up_in_parts(database, monkeypatch):
    monkeypatch.setattr(summing, "MAX_ROWS", 6)
    await summing.sum_batch(database, NOW)
    assert months_of(database)[-1] != ALL[-1]
    await sum_up_all(database)
    assert months_of(database) == ALL
    assert database.snapshot(verify.inspect).faults == []


async def test_the_service_sums_up_in_the_background(database, monkeypatch):
    monkeypatch.setattr(summing, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(instants, "now", lambda: NOW)
    task = asyncio.create_task(summing.sum_periodically(database))
    await wait_for_sums(database)
    await database.write(lambda tx: write_stop(tx, "2025-03-20"))
    await wait_for_sums(database)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert database.snapshot(verify.inspect).faults == []


async def wait_for_sums(database) -> None:
    for _ in range(1_000):
        if months_of(database) == ALL and months_of(database, "Press"):
            return
        await asyncio.sleep(0.03)
    raise TimeoutError
