"""Very many event streams of one reader do not cut anybody else off."""

import asyncio
import contextlib
import threading
import time
from collections import Counter

import pytest

from reliability.clients.accounts import add_users
from reliability.clients.http_client import HttpClient
from servers import ForkedService, connect

STREAMS = 1_000


class Attack:
    """Opens `count` streams with one token, again and again; `statuses` counts the responses."""

    def __init__(self, port, token, count):
        head = f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        self.port, self.count, self._request = port, count, head.encode()
        self.statuses = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self):
        tasks = [self._loop.create_task(self._one()) for _ in range(self.count)]
        self._loop.run_forever()
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _one(self):
        while True:
            status = 0
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(self._request)
                    status = int((await reader.readline())[9:12] or 0)
                    self.statuses[status] += 1
                    while await reader.read(65536):
                        pass
                finally:
                    writer.close()
            if not status:
                self.statuses[status] += 1
            await asyncio.sleep(2)


@pytest.mark.proof(f"{STREAMS:,} event streams of one token")
def test_a_thousand_streams_of_one_reader_cut_nobody_else(tmp_path, database_url, extent, record_counts):
    tokens = add_users(database_url, ONE="read", TWO="write")
    headers = {"Authorization": f"Bearer {tokens['TWO']}"}
    times = 0
    with ForkedService(tmp_path, database_url=database_url, open=False) as service:
        with Attack(service.port, tokens["ONE"], STREAMS) as attack:
            end = time.monotonic() + extent(short=6, long=60)
            while time.monotonic() < end or attack.statuses.total() < STREAMS:
                assert HttpClient(service.port).send("GET", "/healthz").status == 200
                with HttpClient(service.port) as http:
                    assert http.try_send("GET", "/logs?limit=1", headers=headers).status == 200
                    path = f"/machines/Saw%20{times}"
                    assert http.try_send("PUT", path, b"{}", headers).status == 201
                times += 1
            assert is_followed(service.port, tokens["TWO"])
        assert set(attack.statuses) == {200, 429}
        assert attack.statuses[200] == 8
    log = service.log.read_text()
    assert "Traceback" not in log
    record_counts(times, refused=attack.statuses[429], others_cut=0)


def is_followed(port, token):
    """Whether another reader gets a stream and an event on it."""
    with connect(port) as client:
        client.sendall(f"GET /events?since=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        received = b""
        while b"event: change" not in received:
            received += client.recv(65536) or pytest.fail(received.decode())
    return True
