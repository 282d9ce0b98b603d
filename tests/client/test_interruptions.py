"""Lost responses, refusals for a while, kills and restores: nothing is recorded twice, and no change is missed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from client.unreliable_proxy import LOSE, UnreliableProxy, refusal
from machine_monitor.client import START, Client, HistoryReplaced, Problem, Unavailable, VersionConflict, transport
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services import backup
from servers import ForkedService, HttpsService, free_port

pytestmark = pytest.mark.slow

SHIPPED = 7


@pytest.fixture
def proxy(address):
    with UnreliableProxy(int(address[0].rpartition(":")[2])) as opened:
        yield opened


@pytest.fixture
def unlucky(address, proxy):
    """A client whose requests pass the proxy."""
    with Client(proxy.url, address[1], patience=10) as opened:
        yield opened


def logs_of(client, comment):
    return list(client.logs(comment=comment))


def test_a_log_whose_response_is_lost_is_recorded_once(client, unlucky, proxy):
    proxy.script = [LOSE, LOSE]
    log = unlucky.record("Lathe 1", "error", comment="lost twice")
    assert proxy.requests == 3
    assert logs_of(client, "lost twice") == [log]


def test_a_request_waits_as_long_as_it_is_told(client, unlucky, proxy):
    proxy.script = [refusal(503, 1), refusal(429, 1)]
    started = time.monotonic()
    log = unlucky.record("Lathe 1", "error", comment="refused twice")
    assert time.monotonic() - started >= 2
    assert logs_of(client, "refused twice") == [log]


@pytest.fixture
def pauses(monkeypatch):
    """The pauses of clients between two requests. They take no time, and nothing else takes any either."""
    taken = []
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: sum(taken), sleep=taken.append))
    return taken


def test_patience_has_an_end(address, client, proxy, pauses):
    with Client(proxy.url, address[1], patience=0.5) as impatient:
        proxy.script = [refusal(503, 9)]
        with pytest.raises(Problem) as refused:
            impatient.record("Lathe 1", "error", comment="never")
        assert (refused.value.code, refused.value.retry_after, proxy.requests) == ("database-busy", 9, 1)
        proxy.script = [LOSE] * 9
        with pytest.raises(Unavailable, match=f"No response from {proxy.url}/logs: "):
            impatient.page("/logs")
        # The pauses double, give or take a fifth: 0.1 and 0.2 seconds; 0.4 more would be too long.
        assert (proxy.requests, pauses) == (1 + 3, [0.1, pytest.approx(0.2, rel=0.2)])
    assert logs_of(client, "never") == []


def test_an_edit_whose_response_is_lost_is_no_conflict(client, unlucky, proxy):
    log = client.record("Press 2", "info", comment="edited")
    proxy.script = [LOSE]
    changes = {"attributes": {"temp": 80, "old": None}, "started_at": "2025-08-01T08:00:00+02:00", "cause": None}
    edited = unlucky.edit(log["uuid"], 1, **changes)
    assert (edited["version"], edited["attributes"]) == (2, {"temp": 80})
    assert client.log(log["uuid"]) == edited


def test_a_conflict_stays_one_after_a_lost_response(client, unlucky, proxy):
    log = client.record("Press 2", "info", comment="both edit it")
    client.edit(log["uuid"], 1, action="by another")
    proxy.script = [LOSE]
    with pytest.raises(VersionConflict) as conflict:
        unlucky.edit(log["uuid"], 1, action="by me")
    assert (conflict.value.was_repeated, conflict.value.current["action"]) == (True, "by another")


def test_a_post_without_a_key_is_not_repeated(client, unlucky, proxy):
    proxy.script = [LOSE]
    with pytest.raises(Unavailable):
        unlucky.request("POST", "/machines", body={"name": "Drill"})
    assert proxy.requests == 1
    assert client.machine("Drill")["version"] == 1


class Site:
    """A service on one port that can be killed and started again, on another database too."""

    def __init__(self, folder, database_url):
        self._folder, self._port = folder, free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start(database_url)

    def start(self, database_url):
        fixed = type("ServiceOnPort", (ForkedService,), {"_free_port": staticmethod(lambda: self._port)})
        self._service = fixed(self._folder, database_url=database_url)
        self._service.__enter__()

    def kill(self):
        self._service.process.kill()
        self._service.process.wait()


@pytest.fixture
def site_of(tmp_path):
    """A function that starts a service on a database; it is killed at the end."""
    sites = []

    def start(database_url):
        sites.append(Site(tmp_path, database_url))
        return sites[-1]

    yield start
    for site in sites:
        site.kill()


def test_a_service_that_is_killed_loses_and_doubles_nothing(database_url, site_of, caplog):
    site, threads, each = site_of(database_url), 4, 40
    with Client(site.url, timeout=10) as client:
        client.request("PUT", "/machines/Lathe", body={})
        started = threading.Barrier(threads + 1)

        def record(thread):
            started.wait()
            return [client.record("Lathe", "info", comment=f"{thread}-{n}")["uuid"] for n in range(each)]

        batches, followed = client.follow(interval=0.05), []
        with ThreadPoolExecutor(threads) as pool:
            recording = [pool.submit(record, thread) for thread in range(threads)]
            started.wait()
            for _ in range(2):
                followed += next(batches).changes
                site.kill()
                time.sleep(0.3)
                site.start(database_url)
            recorded = [uuid for one in recording for uuid in one.result()]
        while len(followed) < SHIPPED + 1 + threads * each:
            followed += next(batches).changes
        batches.close()
        assert "The request is repeated in" in caplog.text
        comments = [log["comment"] for log in client.logs()]
        assert sorted(comments) == sorted(f"{thread}-{n}" for thread in range(threads) for n in range(each))
        assert {log["uuid"] for log in client.logs()} == {*recorded}
        assert [change["seq"] for change in followed] == [*range(1, SHIPPED + 1 + threads * each + 1)]
        assert sorted(change["key"] for change in followed if change["resource"] == "logs") == sorted(recorded)


def test_a_follower_misses_and_repeats_no_change(database_url, site_of):
    site, seen = site_of(database_url), []
    with Client(site.url, patience=0.2) as client:
        for batch in client.follow(interval=None):
            seen += batch.changes
            position = batch.position
        assert [change["seq"] for change in seen] == [*range(1, SHIPPED + 1)]
        assert position == client.newest_position()
        client.request("PUT", "/machines/Lathe", body={})
        batches = client.follow(position, interval=0.05)
        batch = next(batches)
        assert [change["key"] for change in batch.changes] == ["Lathe"]
        # Longer than the patience of one request: the follower waits all the same.
        site.kill()
        starting = threading.Timer(1, site.start, [database_url])
        starting.start()
        writing = threading.Thread(target=record_when_ready, args=(site.url,))
        writing.start()
        assert [(change["resource"], change["op"]) for change in next(batches).changes] == [("logs", "create")]
        for thread in (starting, writing):
            thread.join()
    # The follower itself is started again with the position that it has stored.
    with Client(site.url) as client:
        (batch,) = client.follow(batch.position, interval=None)
        assert [change["seq"] for change in batch.changes] == [SHIPPED + 2]
        assert list(client.follow(batch.position, interval=None)) == []


def record_when_ready(url):
    with Client(url) as client:
        client.record("Lathe", "info")


def test_a_follower_hears_of_a_restored_backup(tmp_path, sqlite_database_url, empty_url, site_of):
    site, saved = site_of(sqlite_database_url), tmp_path / "saved.backup"
    with Client(site.url) as client:
        client.request("PUT", "/machines/Press", body={})
        (before,) = client.follow(interval=None)
        database = Database(sqlite_database_url)
        backup.save(database, saved, replace=False, progress=lambda *_: None)
        database.close_writer()
        client.request("PUT", "/machines/Lathe", body={})
        (lost,) = client.follow(before.position, interval=None)
        following = client.follow(lost.position, interval=0.05)
        site.kill()
        backup.restore(saved, database_urls.parse(empty_url), lambda *_: None)
        site.start(empty_url)
        with pytest.raises(HistoryReplaced) as replaced:
            next(following)
        assert (replaced.value.status, replaced.value.code) == (410, "history-replaced")
        # The number that was lost is given again, to another change.
        client.request("PUT", "/machines/Mill", body={})
        with pytest.raises(HistoryReplaced):
            next(client.follow(lost.position))
        keys = [change["key"] for batch in client.follow(START, interval=None) for change in batch.changes]
        assert keys[SHIPPED:] == ["Press", "Mill"]
        (new,) = client.follow(before.position, interval=None)
        assert [change["key"] for change in new.changes] == ["Mill"]


@pytest.mark.parametrize("position", ["", "x", "1-2", "-1", "7-0123456789ABCDEF"])
def test_a_position_of_another_form_is_refused(client, position):
    with pytest.raises(ValueError, match="is no position"):
        next(client.follow(position))


def test_a_certificate_that_is_not_trusted_is_told_at_once(tmp_path, sqlite_database_url):
    with HttpsService(tmp_path, database_url=sqlite_database_url) as service:
        url = f"https://localhost:{service.port}"
        started = time.monotonic()
        with Client(url) as client, pytest.raises(Unavailable, match=r"(?i)certificate"):
            client.page("/logs")
        assert time.monotonic() - started < 5
        with Client(url, verify=service.context) as client:
            assert client.page("/logs").items == []
