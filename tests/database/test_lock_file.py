"""A process holds the lock file while it writes to an SQLite file, until after the COMMIT and its checkpoint."""

import os
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import driver
from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.database.schema import migrations
from machine_monitor.errors import DatabaseBusy

fcntl = pytest.importorskip("fcntl", reason="needs the locks of POSIX")
NAMES = "SELECT name FROM derived WHERE name = 'x'"


def add(tx):
    return tx.cursor.execute("INSERT INTO derived VALUES ('x', '')")


@pytest.fixture
def written(sqlite_database_url):
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


def test_a_transaction_holds_the_lock_until_it_ends(written):
    assert written.transact(lambda _: is_locked(written))
    assert not is_locked(written)
    with pytest.raises(ZeroDivisionError):
        written.transact(lambda _: 1 // 0)
    assert not is_locked(written)
    # A reader does not need the lock.
    assert not written.snapshot(lambda _: is_locked(written))


def test_a_migration_holds_the_lock(written):
    with migrations.transaction(written.url):
        assert is_locked(written)
    assert not is_locked(written)


def test_commit_and_checkpoint_happen_while_the_lock_is_held(written, monkeypatch):
    monkeypatch.setattr(driver, "WAL_AUTOCHECKPOINT_PAGES", 1)
    moved = []
    release = fcntl.flock

    def watched(opened, operation):
        if operation == fcntl.LOCK_UN:
            # Look at the database file alone, without its write-ahead log.
            with closing(sqlite3.connect(f"{written.url.path.as_uri()}?immutable=1", uri=True)) as file:
                moved.append(file.execute(NAMES).fetchall())
        release(opened, operation)

    monkeypatch.setattr(fcntl, "flock", watched)
    written.transact(add)
    assert moved == [[("x",)]]


def test_a_waiting_process_gets_the_lock_or_database_busy(written, monkeypatch):
    monkeypatch.setattr(driver, "BUSY_SECONDS", 0.05)
    with hold_lock(written), pytest.raises(DatabaseBusy):
        written.transact(add)
    assert written.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == []
    monkeypatch.setattr(driver, "BUSY_SECONDS", 10)
    with ExitStack() as stack:
        stack.enter_context(hold_lock(written))
        threading.Timer(0.05, stack.pop_all().close).start()
        written.transact(add)
    assert written.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == [("x",)]


def test_an_unusable_lock_file_is_logged(written, caplog):
    lock_path(written).symlink_to(lock_path(written))
    with pytest.raises(DatabaseBusy):
        written.transact(add)
    assert "lock file" in caplog.text
    lock_path(written).unlink()
    written.transact(add)


def test_every_user_who_may_write_to_the_database_may_open_the_lock_file(written, monkeypatch):
    """If root or a group member runs a command first, the service can still open the lock file; other users cannot."""
    written.url.path.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(written.url.path, 1234, 1235)
    written.transact(lambda _: None)
    database, lock = written.url.path.stat(), lock_path(written).stat()
    assert (lock.st_mode & 0o777, lock.st_uid, lock.st_gid) == (0o660, database.st_uid, database.st_gid)
    written.close_writer()
    lock_path(written).unlink()
    # First as a member of the group, then as a process that lost a race to create the file.
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    given = []
    monkeypatch.setattr(os, "fchown", lambda _, *owner: given.append(owner))
    with hold_lock(written):
        assert given == [(-1, database.st_gid)]
    lock_path(written).unlink()
    monkeypatch.setattr(os, "fchmod", Mock(side_effect=PermissionError))
    with hold_lock(written):
        assert is_locked(written)
