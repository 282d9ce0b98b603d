"""Group commit: waiting writes share a transaction, but each has its own result or error."""

import asyncio
import sqlite3
import threading
import time
from functools import partial

import pytest

from machine_monitor.database import batches
from machine_monitor.database.connect import Database, SerializationConflict
from machine_monitor.errors import DatabaseBusy, NotFound, StorageFull, UnknownMachine
from machine_monitor.fairness import FairSemaphore
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.models.log import LogCreate
from machine_monitor.models.machine import MachineCreate, MachineUpdate
from machine_monitor.services import records
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.audit.history import ChangeContext


@pytest.fixture
async def opened(sqlite_database_url):
    database = Database(sqlite_database_url)
    await database.open()
    yield database
    await database.close()


def insert(code: str):
    return lambda tx: tx.cursor.execute("INSERT INTO derived VALUES (?, '')", [code]) and code


def insert_on_postgresql(name: str):
    return lambda tx: tx.cursor.execute("INSERT INTO derived VALUES (%s, '')", [name]) and name


def names(database) -> list[str]:
    rows = database.snapshot(lambda tx: tx.cursor.execute("SELECT name FROM derived ORDER BY name").fetchall())
    return [name for (name,) in rows if name not in ("search", "zone")]


async def test_concurrent_writes_share_a_transaction(opened, monkeypatch):
    begun = []
    monkeypatch.setattr(
        opened, "_transact_batch", lambda units, run=opened._transact_batch: begun.append(len(units)) or run(units)
    )
    opened._batches._run = opened._transact_batch
    results = await asyncio.gather(*[opened.write(insert(f"n{number:02}")) for number in range(30)])
    assert results == names(opened) == [f"n{number:02}" for number in range(30)]
    assert sum(begun) == 30
    assert len(begun) < 5


async def test_a_failing_unit_does_not_affect_its_batch(opened):
    deferred = []

    def fails(tx):
        insert("bad")(tx)
        tx.defer(lambda _, items: deferred.extend(items), "bad")
        message = "no"
        raise ValueError(message)

    def defers(tx):
        tx.defer(work, "good")
        return insert("b")(tx)

    def work(_, items):
        deferred.extend(items)

    outcomes = await asyncio.gather(
        opened.write(insert("a")),
        opened.write(fails),
        opened.write(defers),
        opened.write(insert("a")),
        return_exceptions=True,
    )
    assert outcomes[0] == "a"
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == "b"
    assert isinstance(outcomes[3], SerializationConflict)
    assert names(opened) == ["a", "b"]
    assert deferred == ["good"]


async def test_deferred_work_that_a_failing_unit_flushed_runs_again(opened):
    done = []

    def work(tx, items):
        for item in items:
            insert(item)(tx)
        done.append(items)

    def defers(tx):
        tx.defer(work, "a")

    def flushes_and_fails(tx):
        tx.flush_deferred()
        message = "no"
        raise ValueError(message)

    await asyncio.gather(opened.write(defers), opened.write(flushes_and_fails), return_exceptions=True)
    assert names(opened) == ["a"]
    # The work runs three times: without savepoints, then with a savepoint that is rolled back, then in the retry.
    assert done == [["a"]] * 3


@pytest.mark.parametrize(("first", "runs"), [(lambda _: None, 1), (insert("bad"), 2)], ids=["nothing", "something"])
async def test_a_batch_is_repeated_only_if_the_failing_unit_wrote(opened, first, runs):
    begun = []

    def fails(tx):
        first(tx)
        message = "no"
        raise ValueError(message)

    outcomes = await asyncio.gather(
        opened.write(lambda tx: begun.append("a") or insert("a")(tx)),
        opened.write(fails),
        opened.write(lambda tx: begun.append("b") or insert("b")(tx)),
        return_exceptions=True,
    )
    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == ["a", ValueError, "b"]
    assert begun == [*["a"] * runs, "b"]
    assert names(opened) == ["a", "b"]


@pytest.mark.parametrize("savepoints", [False, True])
def test_units_see_the_machines_that_earlier_units_have_changed(database_url, savepoints):
    database, context = Database(database_url), ChangeContext("test")

    def add(name):
        return lambda tx: records.create(tx, MACHINES, MachineCreate(name=name), context)

    def rename(name, new):
        return lambda tx: records.update(tx, records.Target(MACHINES, name), MachineUpdate(name=new), context)

    def delete(name):
        return lambda tx: records.delete(tx, records.Target(MACHINES, name), context)

    def log(machine):
        body = LOGS.create.model_validate({"machine": machine, "type": "info"})
        return lambda tx: records.create(tx, LOGS, body, context)

    def add_and_fail(tx):
        add("Press")(tx)
        log("Press")(tx)
        message = "no"
        raise ValueError(message)

    fails_after_writing = [(add_and_fail, False), (log("Press"), False)] if savepoints else []
    steps = [
        (add("Saw"), True),
        (log("Lathe"), False),
        (add("Lathe"), True),
        (log("Saw"), True),
        (log("SAW"), True),
        (rename("Saw", "Band saw"), True),
        (log("Saw"), False),
        (log("Band saw"), True),
        (log("Lathe"), True),
        *fails_after_writing,
        (add("Drill"), True),
        (delete("Drill"), True),
        (log("Drill"), False),
    ]
    results = database._transact_batch([unit for unit, _ in steps])
    assert [error is None for _, error in results] == [works for _, works in steps]
    rows = database.snapshot(lambda tx: records.read_all(tx, LOGS))
    assert [row["machine"] for row in rows] == ["Band saw", "Band saw", "Band saw", "Lathe"]
    database.close_writer()


async def test_a_batch_waits_for_clients_that_just_got_a_response(opened, monkeypatch):
    monkeypatch.setattr(batches, "LINGER_SECONDS", 10.0)
    sizes = []
    opened._on_batch = sizes.append

    async def writer(name: str) -> None:
        for number in range(3):
            await asyncio.sleep(0.01 * len(name))
            await opened.write(insert(f"{name}{number}"))

    await asyncio.gather(*[opened.write(insert(f"n{number}")) for number in range(3)])
    await asyncio.wait_for(asyncio.gather(writer("a"), writer("bb"), writer("ccc")), 5)
    assert sizes == [3, 3, 3, 3]


async def test_a_batch_does_not_wait_long_for_clients_that_do_not_return(opened):
    await asyncio.gather(*[opened.write(insert(f"n{number}")) for number in range(3)])
    assert await asyncio.wait_for(opened.write(insert("alone")), 5) == "alone"


async def test_a_deadlock_with_another_service_is_resolved_without_an_error(postgresql_database_url):
    database = Database(postgresql_database_url)
    await database.open()
    other, holding = Database(postgresql_database_url), threading.Event()
    is_running = asyncio.Event()
    loop = asyncio.get_running_loop()

    def change(tx, name, value):
        tx.cursor.execute("UPDATE derived SET value = %s WHERE name = %s", [value, name])
        return value

    def theirs(tx):
        # This session never detects deadlocks itself, so the batch has to detect the deadlock and give way.
        tx.cursor.execute("SET LOCAL deadlock_timeout = '1h'")
        change(tx, "b", "theirs")
        loop.call_soon_threadsafe(is_running.set)
        assert holding.wait(10)
        return change(tx, "a", "theirs")

    def first(tx):
        change(tx, "a", "ours")
        holding.set()
        return "ours"

    await database.write(insert_on_postgresql("a"))
    await database.write(insert_on_postgresql("b"))
    running = asyncio.create_task(asyncio.to_thread(other.transact, theirs))
    await is_running.wait()
    outcomes = await asyncio.gather(
        database.write(first), database.write(lambda tx: change(tx, "b", "ours")), return_exceptions=True
    )
    assert outcomes == ["ours", "ours"]
    assert await running == "theirs"
    other.close_writer()
    await database.close()


async def test_a_full_disk_rolls_back_the_whole_batch(opened):
    def fails(tx):
        tx.cursor.execute("ROLLBACK")  # SQLite itself does this when the disk is full
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    outcomes = await asyncio.gather(
        opened.write(insert("a")), opened.write(fails), opened.write(insert("b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageFull] * 3
    assert names(opened) == []
    assert await opened.write(insert("c")) == "c"


async def test_a_full_queue_rejects_further_writes(opened, monkeypatch):
    monkeypatch.setattr(opened._batches, "_slots", FairSemaphore(3))
    outcomes = await asyncio.gather(*[opened.write(insert(f"n{n}")) for n in range(5)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str, str, str, DatabaseBusy, DatabaseBusy]


async def test_a_cancelled_write_does_not_block_the_others(opened):
    gone = asyncio.create_task(opened.write(insert("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    assert await opened.write(insert("here")) == "here"
    assert names(opened) == ["gone", "here"]


async def test_waiting_writes_are_resolved_when_the_database_closes(sqlite_database_url):
    database = Database(sqlite_database_url)
    await database.open()
    slow = asyncio.create_task(database.write(lambda _: time.sleep(0.1)))
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(database.write(insert("late")))
    await asyncio.sleep(0)
    await database.close()
    outcomes = await asyncio.wait_for(asyncio.gather(slow, waiting, return_exceptions=True), 5)
    assert type(outcomes[1]) is DatabaseBusy


def test_lookups_that_are_sent_early_do_not_outlive_a_change(database_url):
    """All units of a batch look up before the first one runs. What an earlier unit changes, a later one sees."""
    database, context = Database(database_url), ChangeContext("test", role=Role.ADMIN)

    def add_log(machine):
        body = LogCreate(machine=machine, type="info")
        look_up = partial(records.look_up_references, resource=LOGS, body=body, user=None)
        return batches.UnitWithLookups(lambda tx: records.create(tx, LOGS, body, context), look_up)

    def add_machine(name):
        return lambda tx: records.create(tx, MACHINES, MachineCreate(name=name), context)

    def rename_machine(name, new):
        target = records.Target(MACHINES, name)
        return lambda tx: records.update(tx, target, MachineUpdate(name=new), context)

    units = [
        *(add_log("Saw"), add_machine("Saw"), add_log("Saw")),
        *(rename_machine("Saw", "Press"), add_log("Saw"), add_log("Press")),
        lambda tx: records.delete(tx, records.Target(LOGS, "no uuid"), context),
        add_log("Press"),
    ]
    errors = [type(error) for _, error in database._transact_batch(units)]
    database.close_writer()
    none = type(None)
    assert errors == [UnknownMachine, none, none, none, UnknownMachine, none, NotFound, none]
