"""On PostgreSQL, a write of a log does not wait while another transaction appends to the history."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.services.audit import hash_chain, sealing
from machine_monitor.services.backup import copying, saving
from machine_monitor.services.checks.verify import verify
from machine_monitor.services.imports.plan import provenance
from machine_monitor.services.projections import counters

LOG = {"machine": "Press", "type": "error", "status": "done"}


@contextmanager
def another_transaction_appends(database: Database) -> Iterator[None]:
    """Hold the lock of those that append to the history during this context."""
    holds, ends = threading.Event(), threading.Event()

    def unit(tx):
        assert tx.history_lock(wait=True)()
        holds.set()
        ends.wait(30)

    thread = threading.Thread(target=database.transact, args=(unit,))
    thread.start()
    try:
        assert holds.wait(10)
        yield
    finally:
        ends.set()
        thread.join()


@pytest.fixture
async def plant(postgresql_database_url):
    """A service with a machine and a log, and a second connection to its database."""
    database = Database(postgresql_database_url)
    async with serving(Settings(database_url=postgresql_database_url)) as client:
        await client.put("/machines/Press", json={})
        log = (await client.post("/logs", json=LOG)).json()
        yield client, database, f"/logs/{log['uuid']}"
    database.close_writer()


async def feed(client) -> list[tuple]:
    items = (await client.get("/changes")).json()["items"]
    return [(item["seq"], item["resource"], item["op"]) for item in items]


async def sealed_feed(client, length: int) -> list[tuple]:
    """Return the change feed as soon as it is so long: at most half a second after the last write."""
    for _ in range(100):
        if len(found := await feed(client)) >= length:
            break
        await asyncio.sleep(0.02)
    return found


async def test_a_log_is_written_at_once_and_numbered_later(plant):
    client, database, path = plant
    before = await feed(client)
    listed = await client.get("/logs")
    with another_transaction_appends(database):
        changed = await client.patch(path, json={"comment": "quiet"})
        assert (changed.status_code, changed.json()["comment"]) == (200, "quiet")
        assert await feed(client) == before
        page = (await client.get(f"{path}/history")).json()
        assert [(item["seq"] is None, item["version"], item["changes"]) for item in page["items"]] == [
            (True, 2, {"comment": [None, "quiet"]}),
            (False, 1, page["items"][1]["changes"]),
        ]
        assert page["items"][0].keys() == page["items"][1].keys()
        assert page["items"][0]["at"] == changed.json()["updated_at"]
        # The state has changed, although its head has not.
        again = await client.get("/logs", headers={"If-None-Match": listed.headers["ETag"]})
        assert (again.status_code, again.json()["items"][0]["comment"]) == (200, "quiet")
        verdict = verify(database)
        assert verdict.faults == []
        assert any(
            "wait for their place in the hash chain, usually for less than a second: 1." in note
            for note in verdict.notes
        )
    assert await sealed_feed(client, len(before) + 1) == [*before, (len(before) + 1, "logs", "update")]
    assert [item["seq"] for item in (await client.get(f"{path}/history")).json()["items"]] == [
        len(before) + 1,
        len(before),
    ]
    verdict = verify(database)
    assert (verdict.faults, len(verdict.notes)) == ([], 1)


async def test_a_page_of_history_is_never_longer_than_its_limit(plant):
    client, database, path = plant
    with another_transaction_appends(database):
        await client.patch(path, json={"comment": "quiet"})
        for limit in (2, 3):
            items = (await client.get(f"{path}/history", params={"limit": limit, "fields": "op,seq"})).json()["items"]
            assert items == [{"op": "update", "seq": None}, {"op": "create", "seq": items[1]["seq"]}]
        too_short = await client.get(f"{path}/history?limit=1")
        assert (too_short.status_code, "Retry-After" in too_short.headers) == (503, True)
        for other in ("sort=seq", "op=create", "count=exact"):
            items = (await client.get(f"{path}/history?{other}")).json()["items"]
            assert [item["op"] for item in items] == ["create"]


async def test_writes_wait_while_postgresql_cannot_remove_sealed_rows(plant, monkeypatch):
    client, database, path = plant
    monkeypatch.setattr(sealing, "MAX_DEAD_ROWS", -1)
    await asyncio.sleep(2 * sealing.INTERVAL_SECONDS)
    with another_transaction_appends(database):
        writing = asyncio.create_task(client.patch(path, json={"comment": "x"}))
        await asyncio.sleep(0.3)
        assert not writing.done()
        assert database.snapshot(hash_chain.count_pending) == 0
    assert (await writing).status_code == 200


async def test_pending_entries_come_before_those_of_later_transactions(plant):
    client, database, path = plant
    before = await feed(client)
    with another_transaction_appends(database):
        await client.patch(path, json={"comment": "first"})
        await client.delete(path)
        created = (await client.post("/logs", json=LOG)).json()["uuid"]
    # The entries of machines never wait: their transaction seals the others first.
    await client.put("/machines/Lathe", json={})
    entries = await sealed_feed(client, len(before) + 4)
    assert [entry[1:] for entry in entries[len(before) :]] == [
        ("logs", "update"),
        ("logs", "delete"),
        ("logs", "create"),
        ("machines", "create"),
    ]
    assert [entry[0] for entry in entries] == list(range(1, len(entries) + 1))
    assert (await client.get(f"/logs/{created}")).status_code == 200
    assert verify(database).faults == []


async def test_an_entry_of_a_machine_waits_for_its_number(plant):
    client, database, _ = plant
    with another_transaction_appends(database):
        writing = asyncio.create_task(client.patch("/machines/Press", json={"comment": "x"}))
        await asyncio.sleep(0.3)
        assert not writing.done()
    assert (await writing).status_code == 200
    assert (await feed(client))[-1][1:] == ("machines", "update")


async def test_more_entries_than_are_sealed_at_a_time_keep_their_order(plant, monkeypatch):
    client, database, path = plant
    before = len(await feed(client))
    monkeypatch.setattr(hash_chain, "MAX_SEALED", 3)
    hash_chain._take_pending_statement.cache_clear()
    try:
        with another_transaction_appends(database):
            for number in range(8):
                await client.patch(path, json={"comment": f"{number}"})
        await client.patch(path, json={"comment": "last"})
        await sealed_feed(client, before + 9)
    finally:
        hash_chain._take_pending_statement.cache_clear()
    entries = (await client.get("/changes", params={"since": before})).json()["items"]
    assert [entry["changes"]["comment"][1] for entry in entries] == [*map(str, range(8)), "last"]
    assert verify(database).faults == []


async def test_pending_entries_are_backed_up_and_copied(plant, tmp_path):
    client, database, path = plant
    file, copied_to = tmp_path / "a.backup", tmp_path / "copy.db"
    with another_transaction_appends(database):
        await client.patch(path, json={"comment": "quiet"})
        saving.save(database, file, replace=False, progress=lambda *_: None)
        copying.copy(database, database_urls.for_file(copied_to), lambda *_: None)
    for made in (file, copied_to):
        copied = Database(database_urls.for_file(made))
        assert copied.snapshot(hash_chain.count_pending) == 1
        # `mm verify` seals pending entries in a database that can be written.
        verdict = verify(copied)
        assert verdict.faults == []
        assert copied.snapshot(hash_chain.count_pending) == 0
        copied.close_writer()


async def test_an_import_sees_an_edit_that_is_pending(plant):
    client, database, path = plant
    ((record_id,),) = database.snapshot(lambda tx: rows_of(tx, "SELECT id FROM logs"))
    with another_transaction_appends(database):
        await client.patch(path, json={"comment": "quiet"})
        found = database.snapshot(lambda tx: provenance.entries_of(tx, LOGS, [record_id]))
    assert [entry.op for entry in found[record_id]] == ["create", "update"]


def rows_of(tx, query: str) -> list[tuple]:
    tx.cursor.execute(query)
    return tx.cursor.fetchall()


async def test_differences_of_counters_are_counted_and_added_up(plant):
    client, database, _ = plant
    for _ in range(3):
        await client.post("/logs", json=LOG)
    query = "SELECT transaction_id = 0, count FROM log_counts WHERE field = 'status' AND value = '=done'"
    facets = (await client.get("/logs/facets", params={"by": "status"})).json()["facets"]["status"]
    assert facets == [{"value": "done", "count": 4}]
    database.transact(counters.add_differences)
    assert database.snapshot(lambda tx: rows_of(tx, query)) == [(True, 4)]
    facets = (await client.get("/logs/facets", params={"by": "status"})).json()["facets"]["status"]
    assert facets == [{"value": "done", "count": 4}]
    assert verify(database).faults == []
