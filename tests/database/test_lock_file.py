"""A process holds the lock file while it writes to an SQLite file, until after the COMMIT and its checkpoint."""

import os
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import connections, driver
from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.database.schema import migrations
from machine_monitor.errors import DatabaseBusy

fcntl = pytest.importorskip("fcntl", reason="needs the locks of POSIX")
NAMES = "SELECT name FROM derived WHERE name = 'x'"


def add(tx):
    return tx.cursor.execute("INSERT INTO derived VALUES ('x', '')")


@pytest.fixture
def sqlite_database(sqlite_database_url):
    database = Database(sqlite_database_url)
    yield database
    database.close_writer()


def lock_path(database: Database) -> Path:
    return database.url.path.with_name(f"{database.url.path.name}-lock")


@contextmanager
def hold_lock(database: Database):
    """Hold the lock as another process would."""
    with closing(LockFile(database.url.path)) as other, other.hold(0):
        yield


def is_locked(database: Database) -> bool:
    try:
        with hold_lock(database):
            return False
    except DatabaseBusy:
        return True


def test_a_transaction_holds_the_lock_until_it_ends(sqlite_database):
    assert sqlite_database.transact(lambda _: is_locked(sqlite_database))
    assert not is_locked(sqlite_database)
    with pytest.raises(ZeroDivisionError):
        sqlite_database.transact(lambda _: 1 // 0)
    assert not is_locked(sqlite_database)
    # A reader does not need the lock.
    assert not sqlite_database.snapshot(lambda _: is_locked(sqlite_database))


def test_a_migration_holds_the_lock(sqlite_database):
    with migrations.transaction(sqlite_database.url):
        assert is_locked(sqlite_database)
    assert not is_locked(sqlite_database)


def test_commit_and_checkpoint_happen_while_the_lock_is_held(sqlite_database, monkeypatch):
    monkeypatch.setattr(connections, "WAL_AUTOCHECKPOINT_PAGES", 1)
    checkpointed = []
    flock = fcntl.flock

    def observe_unlock(opened, operation):
        if operation == fcntl.LOCK_UN:
            # Look at the database file alone, without its write-ahead log.
            with closing(sqlite3.connect(f"{sqlite_database.url.path.as_uri()}?immutable=1", uri=True)) as file:
                checkpointed.append(file.execute(NAMES).fetchall())
        flock(opened, operation)

    monkeypatch.setattr(fcntl, "flock", observe_unlock)
    sqlite_database.transact(add)
    assert checkpointed == [[("x",)]]


def test_a_waiting_process_gets_the_lock_or_database_busy(sqlite_database, monkeypatch):
    monkeypatch.setattr(driver, "BUSY_SECONDS", 0.05)
    with hold_lock(sqlite_database), pytest.raises(DatabaseBusy):
        sqlite_database.transact(add)
    assert sqlite_database.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == []
    monkeypatch.setattr(driver, "BUSY_SECONDS", 10)
    with ExitStack() as stack:
        stack.enter_context(hold_lock(sqlite_database))
        threading.Timer(0.05, stack.pop_all().close).start()
        sqlite_database.transact(add)
    assert sqlite_database.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == [("x",)]


def test_an_unusable_lock_file_is_logged(sqlite_database, caplog):
    lock_path(sqlite_database).symlink_to(lock_path(sqlite_database))
    with pytest.raises(DatabaseBusy):
        sqlite_database.transact(add)
    assert "lock file" in caplog.text
    lock_path(sqlite_database).unlink()
    sqlite_database.transact(add)


def test_every_user_who_may_write_to_the_database_may_open_the_lock_file(sqlite_database, monkeypatch):
    """If root or a group member runs a command first, the service can still open the lock file; other users cannot."""
    sqlite_database.url.path.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(sqlite_database.url.path, 1234, 1235)
    sqlite_database.transact(lambda _: None)
    database, lock = sqlite_database.url.path.stat(), lock_path(sqlite_database).stat()
    assert (lock.st_mode & 0o777, lock.st_uid, lock.st_gid) == (0o660, database.st_uid, database.st_gid)
    sqlite_database.close_writer()
    lock_path(sqlite_database).unlink()
    # First as a member of the group, then as a process that lost a race to create the file.
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    given = []
    monkeypatch.setattr(os, "fchown", lambda _, *owner: given.append(owner))
    with hold_lock(sqlite_database):
        assert given == [(-1, database.st_gid)]
    lock_path(sqlite_database).unlink()
    monkeypatch.setattr(os, "fchmod", Mock(side_effect=PermissionError))
    with hold_lock(sqlite_database):
        assert is_locked(sqlite_database)
