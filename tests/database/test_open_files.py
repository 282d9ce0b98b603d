"""The service watches the files of its SQLite database without opening them, and `mm doctor` says what is wrong."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import connections, lock_file, open_files
from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.errors import DatabaseBusy
from machine_monitor.services.checks import health

LOCKS = Path("/proc/locks")
READS = ("/readyz", "/metrics", "/service", "/logs", "/logs?q=saw", "/logs.csv", "/machines.xlsx", "/changes")


@pytest.fixture
def path(sqlite_database_url) -> Path:
    return database_urls.parse(sqlite_database_url).path


def posix_locks(path: Path) -> int:
    """Return how many POSIX locks this process holds on a file."""
    locks = [line.split() for line in LOCKS.read_text().splitlines()]
    owner, inode = str(os.getpid()), path.stat().st_ino
    return sum(lock[1] == "POSIX" and lock[4] == owner and lock[5].endswith(f":{inode}") for lock in locks)


@pytest.mark.skipif(not LOCKS.exists(), reason="reads the locks in /proc/locks")
async def test_the_service_never_drops_the_locks_of_sqlite(sqlite_database_url, path):
    shm = path.with_name(f"{path.name}-shm")
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        for read in READS:
            assert (await client.get(read)).status_code == 200
            assert (await client.put("/machines/Saw", json={})).status_code in (200, 201)
            assert posix_locks(path) > 0
            assert posix_locks(shm) > 0
        moved = path.rename(path.with_name("moved.db"))
        assert (await client.get("/readyz")).status_code == 503
        moved.rename(path)
        assert (await client.get("/readyz")).status_code == 200
        assert posix_locks(path) > 0
        # What the service must never do:
        with path.open("rb"):
            pass
        assert posix_locks(path) == 0


async def test_reads_go_on_and_nothing_is_created_while_the_file_is_away(sqlite_database_url, path, caplog):
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        assert (await client.put("/machines/Saw", json={})).status_code == 201
        moved = path.rename(path.with_name("moved.db"))
        for _ in range(3):
            assert (await client.get("/machines/Saw")).status_code == 200
            assert (await client.get("/machines?q=saw")).status_code == 200
            # These open connections of their own.
            assert (await client.get("/machines.csv")).status_code == 503
            assert (await client.get("/service")).status_code == 503
            assert (await client.put("/machines/Saw", json={})).status_code == 503
        assert not path.exists()
        moved.rename(path)
        assert (await client.get("/machines.csv")).status_code == 200
    assert [record.levelname for record in caplog.records if str(path) in record.message] == ["ERROR", "WARNING"]


async def test_a_commit_into_a_file_that_was_moved_meanwhile_is_not_acknowledged(sqlite_database_url, path):
    database = Database(sqlite_database_url)
    await database.open()
    moved = path.with_name("moved.db")
    with pytest.raises(DatabaseBusy, match="moved, deleted or replaced"):
        await database.write(lambda _: path.rename(moved))
    moved.rename(path)
    assert await database.write(lambda _: "written") == "written"
    await database.close()


async def test_a_commit_into_a_log_that_was_deleted_meanwhile_is_in_the_database(sqlite_database_url, path):
    database = Database(sqlite_database_url)
    await database.open()

    def unit(tx):
        tx.cursor.execute("INSERT INTO derived VALUES ('x', '')")
        path.with_name(f"{path.name}-wal").unlink()

    await database.write(unit)
    found = sqlite_rows(path, "SELECT name FROM derived WHERE name = 'x'")
    await database.close()
    assert found == [("x",)]


def sqlite_rows(path, statement):
    # Look at the database file alone, without its write-ahead log.
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as file:
        return file.execute(statement).fetchall()


def test_a_command_opens_a_file_that_was_replaced_between_two_writes(sqlite_database_url, path, new_database_url):
    database = Database(sqlite_database_url)
    database.transact(lambda tx: tx.cursor.execute("INSERT INTO derived VALUES ('former', '')"))
    database_urls.parse(new_database_url("sqlite")).path.replace(path)
    database.transact(lambda tx: tx.cursor.execute("INSERT INTO derived VALUES ('new', '')"))
    names = database.snapshot(lambda tx: tx.cursor.execute("SELECT name FROM derived").fetchall())
    database.close_writer()
    assert ("new",) in names
    assert ("former",) not in names


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_lock_file_that_was_moved_or_deleted_is_not_the_lock(path):
    first, second = LockFile(path), LockFile(path)
    with first.hold(0):
        pass
    path.with_name(f"{path.name}-lock").unlink()
    with second.hold(0), pytest.raises(DatabaseBusy), first.hold(0):
        pass
    first.close()
    second.close()


@pytest.mark.parametrize(("mode", "lock_mode"), [(0o600, 0o600), (0o644, 0o600), (0o660, 0o660), (0o664, 0o660)])
def test_only_those_who_may_write_to_the_database_can_lock_it(path, mode, lock_mode):
    path.chmod(mode)
    lock = LockFile(path)
    with lock.hold(0):
        assert path.with_name(f"{path.name}-lock").stat().st_mode & 0o777 == lock_mode
    lock.close()


def test_doctor_says_if_other_users_can_open_the_files(sqlite_database_url, path):
    settings = Settings(database_url=sqlite_database_url)
    assert health.examine(settings).faults == []
    path.chmod(0o644)
    lock = path.with_name(f"{path.name}-lock")
    lock.touch()
    lock.chmod(0o604)
    (fault,) = health.examine(settings).faults
    assert f"{path.name} has mode 0644" in fault
    assert f"{lock.name} has mode 0604" in fault
    (command,) = re.findall(r"`(chmod 600 .*)`", fault)
    assert {str(path), str(lock)} <= {*shlex.split(command)}
    subprocess.run(shlex.split(command), check=True)
    assert health.examine(settings).faults == []


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("1 0 8:1 / / rw - ext4 /dev/vda rw", ""),
        ("1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:5 / {folder} rw shared:1 - fuse.sshfs host: rw", "fuse.sshfs"),
        ("1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:5 / {folder} rw - vfat /dev/sdb rw", "vfat"),
        ("1 0 8:1 / / rw - vfat /dev/vda rw\n2 1 0:5 / {folder} rw - ext4 /dev/sdb rw", ""),
    ],
)
async def test_a_file_is_not_watched_where_inode_numbers_do_not_last(
    sqlite_database_url, path, tmp_path, monkeypatch, mounts, kind
):
    listed = tmp_path / "mount info"
    listed.write_text(mounts.format(folder=str(path.parent).replace(" ", "\\040")))
    monkeypatch.setattr(open_files, "MOUNTS", listed)
    fact = health.examine(Settings(database_url=sqlite_database_url)).facts["a moved file is"]
    assert (kind in fact and "not noticed" in fact) if kind else fact == "noticed"
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        moved = path.rename(path.with_name("moved.db"))
        assert (await client.get("/readyz")).status_code == (200 if kind else 503)
        moved.rename(path)


def test_windows_does_not_watch_the_file(path, monkeypatch):
    monkeypatch.setattr(open_files.sys, "platform", "win32")
    watch = open_files.FileWatch(path)
    assert watch.unwatched_reason == "Windows"
    assert watch.stat_files() == open_files.UNWATCHED


def test_the_lock_of_services_is_taken_again_where_it_was_moved(path):
    lock = lock_file.ServiceLock(path)
    lock.hold()
    services = path.with_name(f"{path.name}-service")
    services.unlink()
    lock.hold()
    with pytest.raises(lock_file.UsageError), lock_file.exclude_services(path):
        pass
    lock.release()
    with lock_file.exclude_services(path):
        pass


def test_a_reader_that_never_waits_for_locks_waits_for_them_when_it_opens(path):
    """As long as another process opens the file or recovers its write-ahead log, it holds all locks."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("CREATE TABLE other (x)")
    closing_soon = threading.Timer(0.3, other.close)
    closing_soon.start()
    with closing(connections.connect_reader(path, "mode=rw", busy_seconds=0)) as reader:
        assert reader.execute("PRAGMA busy_timeout").fetchone()[0] == 0
        assert reader.execute("SELECT count(*) FROM other").fetchone()[0] == 0
    closing_soon.join()
