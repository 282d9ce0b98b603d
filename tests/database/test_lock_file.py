"""Who writes to an SQLite file holds its lock file, with the COMMIT and the checkpoint that it makes."""

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


def beside(database: Database) -> Path:
    return database.url.path.with_name(f"{database.url.path.name}-lock")


@contextmanager
def held(database: Database):
    """As another process would hold it."""
    with closing(LockFile(database.url.path)) as other, other.held(0):
        yield


def is_held(database: Database) -> bool:
    try:
        with held(database):
            return False
    except DatabaseBusy:
        return True


def test_a_transaction_holds_it_to_its_end(written):
    assert written.transact(lambda _: is_held(written))
    assert not is_held(written)
    with pytest.raises(ZeroDivisionError):
        written.transact(lambda _: 1 // 0)
    assert not is_held(written)
    # Who only reads holds up nobody.
    assert not written.snapshot(lambda _: is_held(written))


def test_a_migration_holds_it(written):
    with migrations.locked(written.url):
        assert is_held(written)
    assert not is_held(written)


def test_the_commit_and_its_checkpoint_are_made_under_it(written, monkeypatch):
    monkeypatch.setattr(driver, "WAL_AUTOCHECKPOINT_PAGES", 1)
    moved = []
    release = fcntl.flock

    def watched(opened, operation):
        if operation == fcntl.LOCK_UN:
            # The file alone, as if there were no log.
            with closing(sqlite3.connect(f"{written.url.path.as_uri()}?immutable=1", uri=True)) as file:
                moved.append(file.execute(NAMES).fetchall())
        release(opened, operation)

    monkeypatch.setattr(fcntl, "flock", watched)
    written.transact(add)
    assert moved == [[("x",)]]


def test_who_waits_has_it_when_the_other_ends_or_is_told_to_come_again(written, monkeypatch):
    monkeypatch.setattr(driver, "BUSY_SECONDS", 0.05)
    with held(written), pytest.raises(DatabaseBusy):
        written.transact(add)
    assert written.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == []
    monkeypatch.setattr(driver, "BUSY_SECONDS", 10)
    with ExitStack() as stack:
        stack.enter_context(held(written))
        threading.Timer(0.05, stack.pop_all().close).start()
        written.transact(add)
    assert written.snapshot(lambda tx: tx.cursor.execute(NAMES).fetchall()) == [("x",)]


def test_a_lock_file_that_cannot_be_used_is_told(written, caplog):
    beside(written).symlink_to(beside(written))
    with pytest.raises(DatabaseBusy):
        written.transact(add)
    assert "lock file" in caplog.text
    beside(written).unlink()
    written.transact(add)


def test_whoever_may_write_to_the_database_may_open_it(written, monkeypatch):
    """A command that an administrator runs, or one of the group, must not shut out the service, nor let in others."""
    written.url.path.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(written.url.path, 1234, 1235)
    written.transact(lambda _: None)
    database, lock = written.url.path.stat(), beside(written).stat()
    assert (lock.st_mode & 0o777, lock.st_uid, lock.st_gid) == (0o660, database.st_uid, database.st_gid)
    written.close_writer()
    beside(written).unlink()
    # As one of the group, and as one to whom another was a moment ahead.
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    given = []
    monkeypatch.setattr(os, "fchown", lambda _, *owner: given.append(owner))
    with held(written):
        assert given == [(-1, database.st_gid)]
    beside(written).unlink()
    monkeypatch.setattr(os, "fchmod", Mock(side_effect=PermissionError))
    with held(written):
        assert is_held(written)
