"""Followers of the changes learn that the history was replaced: by a restored backup, a copy, or another server."""

import json
import re

import pytest

from api.paced_client import PacedClient, running
from conftest import ENGINES, client_of
from machine_monitor.services.access.authentication import anonymous_statement
from machine_monitor.services.audit import hash_chain, live_feed

# The history of a new database: its log types.
INITIAL = 7
OTHER = "0123456789abcdef"
UNPROTECT = {
    "sqlite": "DROP TRIGGER history_update",
    "postgresql": "ALTER TABLE history DISABLE TRIGGER USER",
}


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch):
    monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.01)


async def add_machine(app, name):
    async with client_of(app) as client:
        assert (await client.put(f"/machines/{name}", json={})).status_code == 201


async def read_changes(app, **query):
    async with client_of(app) as client:
        return await client.get("/changes", params=query)


def read_events(body):
    """Return the events of a stream's body: name, id, data."""
    events = re.findall(r"event: (\w+)\nid: (\S+)\ndata: (.*)\n\n", body)
    return [(name, identifier, json.loads(data)) for name, identifier, data in events]


async def next_events(client, count=1):
    return read_events("".join(message["body"].decode() for message in await client.take(count)))


async def test_the_epoch_is_the_start_of_the_hash_of_the_last_entry(database_url):
    async with running(database_url) as app:
        await add_machine(app, "Press")
        head = await app.state.database.read(hash_chain.head)
        page = (await read_changes(app, since=3)).json()
        assert (page["next"], page["epoch"]) == (head.seq, head.hash.hex()[:16])
        first = (await read_changes(app, limit=1)).json()
        again = (await read_changes(app, since=first["next"], epoch=first["epoch"])).json()
        assert [item["seq"] for item in again["items"]] == [*range(2, INITIAL + 2)]
        assert again["epoch"] == page["epoch"]
        nothing = (await read_changes(app, since=page["next"], epoch=page["epoch"])).json()
        assert nothing == {"items": [], "next": page["next"], "epoch": page["epoch"]}


@pytest.mark.parametrize("path", ["/changes", "/events"])
@pytest.mark.parametrize("query", [f"since={INITIAL + 1}", f"since=3&epoch={OTHER}", "since=9007199254740991"])
async def test_a_position_that_the_history_does_not_have_is_410(client, path, query):
    response = await client.get(f"{path}?{query}")
    assert (response.status_code, response.json()["code"]) == (410, "history-replaced")
    assert "since=0" in response.json()["detail"]


async def test_the_start_belongs_to_every_history(client):
    assert (await client.get(f"/changes?since=0&epoch={OTHER}")).json()["next"] == INITIAL


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_follower_of_one_history_cannot_continue_in_another(new_database_url, engine):
    async with running(new_database_url(engine)) as one, running(new_database_url(engine)) as other:
        common = (await read_changes(one)).json()
        await add_machine(one, "Press")
        await add_machine(other, "Saw")
        last = (await read_changes(one)).json()
        assert (await read_changes(other, since=last["next"], epoch=last["epoch"])).status_code == 410
        # Both histories begin alike, and up to there the follower has lost nothing.
        (change,) = (await read_changes(other, since=common["next"], epoch=common["epoch"])).json()["items"]
        assert change["key"] == "Saw"


async def test_a_stale_last_event_id_gets_a_replaced_event_then_all_changes(database_url):
    async with running(database_url) as app:
        for stale in (f"3-{OTHER}", f"{INITIAL + 1}-{OTHER}", str(INITIAL + 1)):
            client = PacedClient(app, "/events", last_event_id=stale)
            _, greeting = await client.take(2)
            ((name, identifier, data),) = read_events(greeting["body"].decode())
            assert (name, data["code"]) == ("replaced", "history-replaced")
            events = await next_events(client, INITIAL)
            assert [(name, data["seq"]) for name, _, data in events] == [("change", n) for n in range(1, INITIAL + 1)]
            await client.leave()
            # A client that loses the connection right after `replaced` starts from the first change.
            client = PacedClient(app, "/events", last_event_id=identifier)
            await client.take(2)
            assert (await next_events(client))[0][2]["seq"] == 1
            await client.leave()


async def test_an_event_id_or_a_bare_number_continues_after_that_event(database_url):
    async with running(database_url) as app:
        client = PacedClient(app, "/events?since=0")
        await client.take(2)
        identifiers = [identifier for _, identifier, _ in await next_events(client, INITIAL)]
        await client.leave()
        assert all(re.fullmatch("[0-9]+-[0-9a-f]{16}", identifier) for identifier in identifiers)
        for given in (identifiers[4], "5"):
            client = PacedClient(app, "/events?since=0", last_event_id=given)
            await client.take(2)
            assert [data["seq"] for _, _, data in await next_events(client, 2)] == [6, 7]
            await client.leave()


async def test_a_stream_of_new_changes_can_be_resumed_before_the_first_change(database_url):
    async with running(database_url) as app:
        client = PacedClient(app, "/events")
        _, greeting = await client.take(2)
        (position,) = re.findall(r"^id: (\S+)$", greeting["body"].decode(), re.MULTILINE)
        await client.leave()
        await add_machine(app, "Press")
        client = PacedClient(app, "/events", last_event_id=position)
        await client.take(2)
        assert [data["key"] for _, _, data in await next_events(client)] == ["Press"]
        await client.leave()


async def test_an_open_stream_notices_that_the_history_was_replaced(database_url):
    async with running(database_url) as app:
        client = PacedClient(app, "/events")
        await client.take(2)
        await add_machine(app, "Press")
        assert [data["key"] for _, _, data in await next_events(client)] == ["Press"]
        # As after a failover to a server that never received the last change, but has other ones.
        await replace_last_entry(app)
        assert [name for name, _, _ in await next_events(client)] == ["replaced"]
        assert [data["seq"] for _, _, data in await next_events(client, INITIAL + 1)] == [*range(1, INITIAL + 2)]
        await add_machine(app, "Saw")
        assert [data["key"] for _, _, data in await next_events(client)] == ["Saw"]
        await client.leave()


async def replace_last_entry(app):
    """Remove the hash of the entry of the first machine, without the trigger that protects the history."""
    database = app.state.database

    def unit(tx):
        tx.cursor.execute(UNPROTECT[database.engine.name])
        tx.cursor.execute(f"UPDATE history SET hash = NULL WHERE seq = {INITIAL + 1}")

    await database.write(unit)


async def test_a_stream_that_is_far_behind_gets_every_change(database_url, monkeypatch):
    # Neither the poll nor a stream can hold more than one or two of the changes.
    monkeypatch.setattr(live_feed, "MAX_BUFFERED_BYTES", 500)
    monkeypatch.setattr(live_feed, "BATCH_ENTRIES", 3)
    async with running(database_url) as app:
        clients = [PacedClient(app, path) for path in ("/events?since=0", f"/events?since={INITIAL}")]
        for client in clients:
            await client.take(2)
        for number in range(8):
            await add_machine(app, f"Saw {number}")
        for client, first in zip(clients, (1, INITIAL + 1), strict=True):
            events = await next_events(client, INITIAL + 8 - first + 1)
            assert [data["seq"] for _, _, data in events] == [*range(first, INITIAL + 8 + 1)]
            await client.leave()


async def test_streams_share_one_poll(database_url, monkeypatch):
    async with running(database_url) as app:
        database, fetches = app.state.database, []
        fetch = database.fetch

        async def count_fetch(statement, values):
            # Authentication reads the state of the history, too.
            fetches.append("history" in statement.sql and statement is not anonymous_statement(database.engine))
            return await fetch(statement, values)

        clients = [PacedClient(app, "/events") for _ in range(6)]
        for client in clients:
            await client.take(2)
        monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.2)
        monkeypatch.setattr(database, "fetch", count_fetch)
        await add_machine(app, "Press")
        for client in clients:
            assert [data["key"] for _, _, data in await next_events(client)] == ["Press"]
        # A few polls, however many streams there are.
        assert 1 <= sum(fetches) < len(clients)
        for client in clients:
            await client.leave()
