"""Concurrent clients over real sockets: one update wins, the others get 412, and repeated requests run once."""

import json
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from reliability.clients.http_client import JSON, HttpClient
from servers import ForkedService, connect

CLIENTS = 50
ROUNDS = 20
POSTS = 500
AT_ONCE = 8
LOG = {"machine": "Saw", "type": "info"}


@pytest.fixture
def service(tmp_path, database_url):
    with ForkedService(tmp_path, database_url=database_url) as service:
        with HttpClient(service.port) as http:
            http.send("PUT", "/machines/Saw", {})
        yield service


@pytest.mark.proof(f"{CLIENTS} clients change one record at once")
def test_one_of_many_concurrent_updates_wins(service, record_counts):
    key = "/logs/00000000-0000-4000-8000-000000000001"
    start, statuses = threading.Barrier(CLIENTS), Counter()

    def change(number):
        with HttpClient(service.port) as http:
            for version in range(1, ROUNDS + 1):
                start.wait(30)
                comment = f"{number} in round {version}"
                yield http.send("PATCH", key, {"comment": comment}, If_Match=f'"{version}"')
                start.wait(30)

    with HttpClient(service.port) as http, ThreadPoolExecutor(CLIENTS) as threads:
        assert http.send("PUT", key, LOG).status == 201
        rounds = zip(*threads.map(lambda number: list(change(number)), range(CLIENTS)), strict=True)
        for version, responses in enumerate(rounds, 2):
            (winner,) = [response for response in responses if response.status == 200]
            losers = [response for response in responses if response.status == 412]
            assert len(losers) == CLIENTS - 1
            assert {json.dumps(response.json["current"]) for response in losers} == {json.dumps(winner.json)}
            assert winner.json["version"] == version
            statuses.update(response.status for response in responses)
        assert http.get(key)["version"] == ROUNDS + 1
    record_counts(ROUNDS, won=statuses[200], status_412=statuses[412])


@pytest.mark.proof("a POST sent 3 times at once, 1 in 5 cut off")
def test_a_repeated_post_is_executed_once(service, record_counts):
    def send(number):
        body, key = json.dumps({**LOG, "comment": f"post {number}"}).encode(), f"key-{number}"
        if number % 5 == 0:
            cut(service.port, body, key)
        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(lambda _: post(service.port, body, key), range(3)))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        sent = list(threads.map(send, range(POSTS)))
    replays = 0
    for responses in sent:
        assert {response.status for response in responses} == {201}
        same = {(response.body, response.headers["location"], response.headers["etag"]) for response in responses}
        assert len(same) == 1
        replays += sum("idempotency-replayed" in response.headers for response in responses)
    with HttpClient(service.port) as http:
        comments = Counter(log["comment"] for log in http.walk("/logs"))
    assert comments == {f"post {number}": 1 for number in range(POSTS)}
    assert replays >= 2 * POSTS
    record_counts(POSTS, rows=len(comments), replays=replays)


def post(port, body, key):
    with HttpClient(port) as http:
        response = http.try_send("POST", "/logs", body, {"Idempotency-Key": key})
    assert response is not None
    return response


def cut(port, body, key):
    """Send a request and disconnect before the response."""
    with connect(port) as client:
        head = {"Host": "x", "Content-Length": len(body), "Idempotency-Key": key, **JSON}
        lines = ["POST /logs HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        client.sendall("\r\n".join(lines).encode() + body)
        # Disconnect before the service reads the request, while it executes it, or just before it responds.
        time.sleep(random.uniform(0, 0.03))
        # Close with a TCP reset, so that the server cannot send a response.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.proof("a machine deleted while it gets a log")
def test_a_machine_is_either_deleted_or_gets_its_log(service, extent, record_counts):
    pairs = extent(short=200, long=500)
    outcomes, start = Counter(), threading.Barrier(2)

    def delete():
        with HttpClient(service.port) as http:
            for number in range(pairs):
                assert http.send("POST", "/machines", {"name": f"short-lived {number}"}).status == 201
                start.wait(30)
                yield http.send("DELETE", f"/machines/short-lived%20{number}").status
                start.wait(30)

    def add():
        with HttpClient(service.port) as http:
            for number in range(pairs):
                start.wait(30)
                yield http.send("POST", "/logs", {**LOG, "machine": f"short-lived {number}"}).status
                start.wait(30)

    with ThreadPoolExecutor(2) as threads:
        deleting, adding = threads.submit(lambda: list(delete())), threads.submit(lambda: list(add()))
        outcomes.update(zip(deleting.result(), adding.result(), strict=True))
    assert set(outcomes) <= {(204, 422), (409, 201)}
    with HttpClient(service.port) as http:
        machines = {machine["name"] for machine in http.walk("/machines")}
        logs = [log["machine"] for log in http.walk("/logs")]
    assert {*logs} <= machines
    assert len(logs) == len(machines) - 1 == outcomes[409, 201]
    record_counts(pairs, deleted=outcomes[204, 422], not_deleted=outcomes[409, 201], orphans=0)
