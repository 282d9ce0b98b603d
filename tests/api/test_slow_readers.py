"""Large bodies wait for slow clients within a limit of bytes, which users share."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import ClientDisconnect

from machine_monitor.api import streaming
from machine_monitor.api.streaming import PIECE_BYTES, FinishedResponse, OutgoingBodies
from machine_monitor.errors import DatabaseBusy

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::1"
BODY = bytes(range(256)) * (PIECE_BYTES // 256) * 3 + b"end"


class Client:
    """A client at this address that receives a response, piece by piece, once it is told to read."""

    def __init__(self, outgoing, address, *, reads=True):
        self.messages = []
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()
        state = SimpleNamespace(outgoing=outgoing)
        self.scope = {"type": "http", "app": SimpleNamespace(state=state), "client": (address, 1)}

    async def request(self, body=BODY):
        await FinishedResponse(body)(self.scope, None, self.send)

    async def send(self, message):
        if message["type"] == "http.response.body":
            await self.reads.wait()
        self.messages.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.fixture
def outgoing(monkeypatch):
    """Room for four of these bodies."""
    monkeypatch.setattr(streaming, "MAX_UNSENT_BYTES", 4 * len(BODY))
    return OutgoingBodies()


async def start(clients):
    tasks = [asyncio.create_task(client.request()) for client in clients]
    await asyncio.sleep(0)
    return tasks


async def test_a_large_body_is_sent_in_pieces(outgoing):
    large, small = Client(outgoing, A), Client(outgoing, A)
    await large.request()
    assert large.body == BODY
    assert [len(message.get("body", b"")) for message in large.messages] == [0, *[PIECE_BYTES] * 3, 3]
    assert [message.get("more_body") for message in large.messages[1:]] == [True, True, True, False]
    await small.request(BODY[:PIECE_BYTES])
    assert len(small.messages) == 2


async def test_a_user_whose_clients_read_nothing_gets_503_and_others_are_served(outgoing):
    stalled = [Client(outgoing, A, reads=False) for _ in range(4)]
    tasks = await start(stalled)
    late, other = Client(outgoing, A), Client(outgoing, B)
    with pytest.raises(DatabaseBusy):
        await late.request()
    assert late.messages == []
    await other.request()
    assert other.body == BODY
    for client in stalled:
        client.reads.set()
    await asyncio.gather(*tasks)
    assert [client.body == BODY for client in stalled] == [True] * 4
    await late.request()
    assert late.body == BODY


async def test_the_addresses_of_one_ipv6_network_are_one_user(outgoing):
    stalled = [Client(outgoing, f"2001:db8::{host}", reads=False) for host in range(4)]
    tasks = await start(stalled)
    with pytest.raises(DatabaseBusy):
        await Client(outgoing, "2001:db8::ffff").request()
    await Client(outgoing, "2001:db8:0:1::1").request()
    for task in tasks:
        task.cancel()


async def test_a_stalled_response_of_the_user_who_holds_the_most_gives_way(outgoing, monkeypatch):
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0)
    stalled = [Client(outgoing, address, reads=False) for address in (A, A, A, B, B)]
    tasks = await start(stalled)
    await asyncio.sleep(0.01)
    # Two users hold what there is: a third one is served nevertheless.
    late = Client(outgoing, C)
    await late.request()
    assert late.body == BODY
    for aborted in tasks[:2]:
        with pytest.raises(ClientDisconnect):
            await aborted
    assert [task.done() for task in tasks] == [True, True, False, False, False]
    for task in tasks:
        task.cancel()


async def test_a_client_that_reads_slowly_is_not_aborted(outgoing, monkeypatch):
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 60)
    slow = [Client(outgoing, A, reads=False) for _ in range(4)]
    tasks = await start(slow)
    with pytest.raises(DatabaseBusy):
        await Client(outgoing, A).request()
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()


async def test_a_body_that_is_larger_than_all_room_is_sent_alone(outgoing):
    client = Client(outgoing, A)
    await client.request(BODY * 5)
    assert client.body == BODY * 5
