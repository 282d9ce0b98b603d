"""The SQLite file is moved, deleted or replaced under a running service: a restart loses no acknowledged write."""

import os
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import forked_processes
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite.lock_file import exclude_services
from machine_monitor.errors import UsageError
from machine_monitor.services.checks.verify import verify
from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, status_of
from servers import ForkedService, environment

# The service looks at its file at least this often.
NOTICED_SECONDS = 10
REFUSED = "Writes are refused"


@pytest.fixture
def path(sqlite_database_url) -> Path:
    return database_urls.parse(sqlite_database_url).path


@pytest.fixture
def service(tmp_path, sqlite_database_url):
    with ForkedService(tmp_path, database_url=sqlite_database_url) as running:
        yield running


def put(port: int, name: str) -> int:
    with HttpClient(port) as http:
        response = http.send("PUT", f"/machines/{name}", {})
        if response.status == 503:
            assert response.json["code"] == "database-busy"
            assert "moved, deleted or replaced" in response.json["detail"]
            assert response.headers["retry-after"] == "1"
        return response.status


def wait_for(port: int, status: int) -> None:
    end = time.monotonic() + NOTICED_SECONDS
    while status_of(port, "/readyz") != status:
        assert time.monotonic() < end
        time.sleep(0.05)


def read_machine_names(path: Path) -> set[str]:
    """Return the names of the machines in a file that no service has open; it must be sound."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {name for (name,) in connection.execute("SELECT name FROM machines")}


def kill(service: ForkedService) -> None:
    service.process.kill()
    service.process.wait()


def sidecar(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def with_garbage(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"this is no database" * 1_000)


FAULTS = {
    "moved": lambda path: path.rename(path.with_name("moved.db")),
    "deleted": Path.unlink,
    "everything deleted": lambda path: [file.unlink() for file in path.parent.glob(f"{path.name}*")],
    "replaced by another file": with_garbage,
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_writes_are_refused_while_the_file_is_not_at_its_path(service, path, fault):
    assert put(service.port, "Before") == 201
    fault(path)
    assert put(service.port, "Lost") == 503
    assert put(service.port, "Lost") == 503
    assert status_of(service.port, "/readyz") == 503
    assert status_of(service.port, "/machines") == 200
    assert status_of(service.port, "/logs.csv") in (200, 503)
    time.sleep(1.5)
    assert service.log.read_text().count(REFUSED) == 1
    # Nothing was made at the path.
    assert fault is with_garbage or not path.exists()


@pytest.mark.slow
def test_the_service_goes_on_when_the_same_file_is_back(service, path):
    for number in range(2):
        moved = path.rename(path.with_name("moved.db"))
        assert put(service.port, "Lost") == 503
        moved.rename(path)
        assert put(service.port, f"Saw-{number}") == 201
        assert status_of(service.port, "/readyz") == 200
    kill(service)
    assert read_machine_names(path) == {"Saw-0", "Saw-1"}
    assert "Writes work again" in service.log.read_text()


@pytest.mark.slow
def test_the_service_goes_on_when_all_of_its_files_are_back(service, path):
    assert put(service.port, "Before") == 201
    folder = path.with_name("elsewhere")
    folder.mkdir()
    files = [*path.parent.glob(f"{path.name}*")]
    for file in files:
        file.rename(folder / file.name)
    wait_for(service.port, 503)
    for file in files:
        (folder / file.name).replace(file)
    wait_for(service.port, 200)
    assert put(service.port, "After") == 201
    kill(service)
    assert read_machine_names(path) == {"Before", "After"}


@pytest.mark.slow
@pytest.mark.parametrize("sidecars_go", [False, True], ids=["its log stays", "its log is moved too"])
def test_both_of_two_services_use_a_new_database_at_the_path(
    tmp_path, sqlite_database_url, new_database_url, path, sidecars_go
):
    """Readers and writers alike; the log of the former file is neither applied to the new one nor lost."""
    other = Path(database_urls.parse(new_database_url("sqlite")).path)
    with ExitStack() as stack:
        one, two = [stack.enter_context(ForkedService(tmp_path, database_url=sqlite_database_url)) for _ in range(2)]
        assert put(one.port, "Former") == put(two.port, "FormerToo") == 201
        former = path.rename(path.with_name("former.db"))
        if sidecars_go:
            for suffix in ("-wal", "-shm"):
                sidecar(path, suffix).rename(sidecar(former, suffix))
        other.rename(path)
        for service in (one, two):
            wait_for(service.port, 200)
        assert put(one.port, "One") == put(two.port, "Two") == 201
        for service in (one, two):
            with HttpClient(service.port) as http:
                assert {item["name"] for item in http.get("/machines")["items"]} == {"One", "Two"}
                assert [*http.send("GET", "/machines.csv").body.splitlines()][1:]
        kill(one)
        kill(two)
    assert read_machine_names(path) == {"One", "Two"}
    if not sidecars_go:
        sidecar(path, f"-wal-of-inode-{former.stat().st_ino}").rename(sidecar(former, "-wal"))
    assert read_machine_names(former) == {"Former", "FormerToo"}


@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True], ids=["as it was", "changed by another program"])
def test_a_former_database_that_comes_back_has_all_of_its_commits(
    tmp_path, sqlite_database_url, new_database_url, path, changed
):
    other, former = Path(database_urls.parse(new_database_url("sqlite")).path), path.with_name("former.db")
    with ExitStack() as stack:
        services = [stack.enter_context(ForkedService(tmp_path, database_url=sqlite_database_url)) for _ in range(2)]
        names = [f"Former-{service.port}" for service in services]
        assert [put(service.port, name) for service, name in zip(services, names, strict=True)] == [201, 201]
        path.rename(former)
        other.rename(path)
        for service in services:
            wait_for(service.port, 200)
            assert put(service.port, f"Other-{service.port}") == 201
        path.rename(other)
        if changed:
            with closing(sqlite3.connect(former)) as connection:
                connection.execute("PRAGMA user_version = 7")
        former.rename(path)
        for service in services:
            wait_for(service.port, 200)
            assert put(service.port, f"Again-{service.port}") == 201
            kill(service)
    again = {f"Again-{service.port}" for service in services}
    assert read_machine_names(path) == (again if changed else {*names} | again)


@pytest.mark.slow
def test_a_database_of_another_version_or_half_of_one_is_not_used(service, path, new_database_url):
    whole = Path(database_urls.parse(new_database_url("sqlite")).path).read_bytes()
    other = path.with_name("other.db")
    other.write_bytes(whole)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    path.rename(path.with_name("former.db"))
    other.rename(path)
    assert put(service.port, "Lost") == 503
    half = path.with_name("half.db")
    half.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    half.replace(path)
    time.sleep(1.5)
    assert put(service.port, "Lost") == 503
    assert status_of(service.port, "/machines") == 200
    path.with_name("former.db").replace(path)
    wait_for(service.port, 200)
    assert put(service.port, "Saw") == 201


@pytest.mark.slow
@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
@pytest.mark.parametrize("processes", [1, 2])
def test_no_acknowledged_write_is_lost_when_a_sidecar_file_is_deleted(
    tmp_path, sqlite_database_url, path, suffixes, processes
):
    with ExitStack() as stack:
        services = [
            stack.enter_context(ForkedService(tmp_path, database_url=sqlite_database_url)) for _ in range(processes)
        ]
        acknowledged = set()
        for number in range(3):
            for service in services:
                name = f"Saw-{number}-{service.port}"
                end = time.monotonic() + NOTICED_SECONDS
                while put(service.port, name) not in SUCCESS:
                    assert time.monotonic() < end, service.log.read_text()
                    time.sleep(0.05)
                acknowledged.add(name)
            for suffix in suffixes:
                sidecar(path, suffix).unlink()
        for service in services:
            wait_for(service.port, 200)
            assert status_of(service.port, "/logs.csv") == 200
            kill(service)
    assert read_machine_names(path) == acknowledged


@pytest.mark.proof("the SQLite file moved away and back under 8 writers")
def test_no_acknowledged_write_is_lost_when_the_file_is_moved(
    service, path, extent, record_counts, sqlite_database_url
):
    add_machine(service.port)
    with Traffic(service.port, writers=8, readers=2) as traffic:
        for _ in range(times := extent(short=2, long=30)):
            traffic.wait_for(20, *SUCCESS)
            moved = path.rename(path.with_name("moved.db"))
            traffic.wait_for(20, 503)
            moved.rename(path)
            traffic.wait_for(20, *SUCCESS)
    assert set(traffic.write_statuses) <= {200, 201, 503}
    assert set(traffic.read_statuses) == {200}
    kill(service)
    with closing(sqlite3.connect(path)) as connection:
        assert traffic.acknowledged <= {uuid for (uuid,) in connection.execute("SELECT uuid FROM logs")}
    database = Database(sqlite_database_url)
    assert verify(database).faults == []
    database.close_writer()
    record_counts(times, acknowledged=len(traffic.acknowledged), lost=0, status_503=traffic.write_statuses[503])


@pytest.mark.slow
def test_a_command_does_not_put_a_database_in_place_of_one_that_is_served(service, path, tmp_path, sqlite_database_url):
    settings = environment(database_url=sqlite_database_url)
    forked_processes.run(["backup", "saved.db"], tmp_path, settings)
    path.rename(path.with_name("moved.db"))
    for words in (["restore", "saved.db"], ["copy", f"sqlite:///{path.with_name('moved.db')}", sqlite_database_url]):
        log = tmp_path / "refused.log"
        log.write_text("")
        assert forked_processes.ForkedCommand(words, tmp_path, settings, log).wait(60) == 2
        assert f"A running service uses {path}" in log.read_text()
    assert not path.exists()
    kill(service)
    for suffix in ("-wal", "-shm"):
        sidecar(path, suffix).unlink()
    forked_processes.run(["restore", "saved.db"], tmp_path, settings)


def test_a_service_waits_for_a_command_that_puts_its_database_in_place(sqlite_database_url, path, monkeypatch):
    monkeypatch.setattr("machine_monitor.database.engines.sqlite.lock_file.SERVICE_SECONDS", 0.05)
    first, second = Database(sqlite_database_url), Database(sqlite_database_url)
    first.hold_service_lock()
    second.hold_service_lock()
    with pytest.raises(UsageError, match="running service"), exclude_services(path):
        pass
    first.close_writer()
    second.close_writer()
    with exclude_services(path), pytest.raises(UsageError, match="A command is writing"):
        first.hold_service_lock()


@pytest.mark.slow
def test_every_file_of_a_new_database_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        url = f"sqlite:///{tmp_path / 'new.db'}"
        with ForkedService(tmp_path, database_url=url):
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("new.db*")}
        forked_processes.run(["backup", "saved.db"], tmp_path, environment(database_url=url))
        forked_processes.run(
            ["restore", "saved.db"], tmp_path, environment(database_url=f"sqlite:///{tmp_path / 'restored.db'}")
        )
    finally:
        os.umask(before)
    assert modes == {f"new.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm", "-lock", "-service")}
    assert (tmp_path / "restored.db").stat().st_mode & 0o777 == 0o600
