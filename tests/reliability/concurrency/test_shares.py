"""One user who asks for all that the service can do, or reads nothing of it, does not keep out another user."""

import json
import socket
import statistics
import threading
import time
from urllib.parse import quote

import psutil
import pytest

from api import test_large_pages
from machine_monitor.database.connect import Database
from machine_monitor.services import demo
from reliability.clients.http_client import HttpClient
from servers import ForkedService

GREEDY, OTHER = "127.0.0.2", "127.0.0.3"
CONNECTIONS, TAKERS = 8, 30
MIB = 1024 * 1024
# Unshared, a search took 100 to 1,000 times as long. The aim is 5, and 2 to 5 were seen on two processors; the machine
# of the tests may be busy. In the short variant there are too few logs to tell; tests/database/test_fairness.py tests
# the order in which users are served.
MOST = 8
WORDS = [first + second for first in "abcdefgh" for second in "aeio"]
TEXTS = ("machine", "project", "user", "machine.sector", "comment", "cause", "action")
NUMBERS = ",".join(map(str, range(100)))
QUESTIONS = {
    "prefixes": f"/logs?count=exact&q={quote(' '.join(f'{word}*' for word in WORDS))}",
    "contains": "/logs?count=exact&comment__contains=zzxq&cause__contains=e&action__contains=e",
    "attributes": "/logs?count=exact&" + "&".join(f"attributes.a{i}__{{}}=1" for i in range(30)),
    "days": "/logs/stats?group_by=day,machine,project",
    "downtime": "/logs/stats?group_by=day,machine&metrics=downtime&comment__contains=e",
    "lists": "/logs?count=exact&" + "&".join(f"{field}__nin={NUMBERS}" for field in TEXTS),
    "depth": "/logs?offset=10000&limit=500&sort=comment,cause,-action",
    "facets": "/logs/facets?by=machine,type,user,status,severity&q=e*",
    "exclusions": f"/logs?count=exact&q={quote(' '.join(f'-{word}' for word in WORDS))}",
}
OPERATORS = ("gt", "lt", "gte", "lte", "ne")
SIGN_IN_NAME = "sign-in of 1 MiB"
SIGN_IN = json.dumps({"a": [1] * (MIB // 3 - 10)}, separators=(",", ":")).encode()


class Load(threading.Thread):
    """Sends one request after another, from one of the connections of the greedy user."""

    def __init__(self, port, question):
        super().__init__()
        self._http, self._question = HttpClient(port, GREEDY), question
        self._stopped, self.responses, self.failed = threading.Event(), 0, 0

    def run(self):
        with self._http as http:
            while not self._stopped.is_set():
                if self._question is None:
                    response = http.try_send("POST", "/session", SIGN_IN)
                else:
                    # Each time another statement.
                    operator = OPERATORS[self.responses % len(OPERATORS)]
                    response = http.try_send("GET", self._question.replace("{}", operator))
                self.responses += 1
                self.failed += response is None or response.status not in (200, 413, 503)

    def stop(self):
        self._stopped.set()


def measure(http, seconds):
    """Return the median seconds of a list, a search and a write of the other user."""
    body = {"machine": demo_machine(http), "type": "error", "comment": "bearing noise"}
    requests = {
        "list": ("GET", "/logs?limit=50", None),
        "search": ("GET", "/logs?q=bearing", None),
        "write": ("POST", "/logs", body),
    }
    taken = {name: [] for name in requests}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(taken["write"]) < 5:
        for name, (method, path, document) in requests.items():
            began = time.monotonic()
            assert http.send(method, path, document).status in (200, 201)
            taken[name].append(time.monotonic() - began)
            time.sleep(0.01)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def demo_machine(http):
    return http.get("/machines", limit=1)["items"][0]["name"]


@pytest.mark.timed
@pytest.mark.proof(f"{CONNECTIONS} connections of one user ask the worst questions")
def test_the_worst_questions_of_one_user_do_not_stop_another(tmp_path, database_url, extent, record_counts):
    most = extent(short=1_000, long=MOST)
    database = Database(database_url)
    demo.fill(database, demo.plan(40, extent(short=2_000, long=60_000)))
    database.analyze("logs")
    database.close_writer()
    worst, asked = {}, 0
    with ForkedService(tmp_path, database_url=database_url) as service, HttpClient(service.port, OTHER) as http:
        alone = measure(http, extent(short=1, long=10))
        for name, question in [*QUESTIONS.items(), (SIGN_IN_NAME, None)]:
            load = [Load(service.port, question) for _ in range(CONNECTIONS)]
            for thread in load:
                thread.start()
            try:
                loaded = measure(http, extent(short=0.5, long=10))
            finally:
                for thread in load:
                    thread.stop()
                for thread in load:
                    thread.join()
            worst[name] = max(loaded[kind] / alone[kind] for kind in alone)
            asked += sum(thread.responses for thread in load)
            assert sum(thread.failed for thread in load) == 0, name
    assert {name: ratio for name, ratio in worst.items() if ratio > most} == {}
    sign_in = worst.pop(SIGN_IN_NAME)
    slowest = max(worst, key=worst.__getitem__)
    record_counts(asked, slower_at_most=f"{worst[slowest]:.1f} times ({slowest}), by sign-ins {sign_in:.1f}")


@pytest.mark.proof(f"{TAKERS} clients read nothing of pages of 8 MiB")
def test_clients_that_read_nothing_fill_no_memory(tmp_path, database_url, extent, record_counts):
    test_large_pages.fill(database_url)
    with ForkedService(tmp_path, database_url=database_url) as service, HttpClient(service.port, OTHER) as http:
        process = psutil.Process(service.process.pid)
        assert len(http.send("GET", "/logs?limit=500").body) > 7 * MIB
        before, most, slowest = process.memory_info().rss, 0, 0.0
        takers = [take_nothing(service.port, f"/{path}") for path in paths(TAKERS)]
        end = time.monotonic() + extent(short=4, long=60)
        while time.monotonic() < end:
            began = time.monotonic()
            assert http.send("GET", "/healthz").status == 200
            slowest = max(slowest, time.monotonic() - began)
            most = max(most, process.memory_info().rss)
            time.sleep(0.02)
        assert len(http.send("GET", "/logs?limit=500").body) > 7 * MIB
        for taker in takers:
            taker.close()
    assert most - before < 100 * MIB
    assert slowest < extent(short=10, long=2)
    record_counts(TAKERS, memory=f"+{(most - before) / MIB:.0f} MiB", slowest_healthz=f"{slowest * 1000:.0f} ms")


def paths(count):
    return ["logs?limit=500", "changes?limit=1000", "logs?limit=500&sort=machine"] * (count // 3)


def take_nothing(port, path):
    """Ask for a page twice, and read nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((GREEDY, 0))
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2)
    return client
