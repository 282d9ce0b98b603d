"""SQLite's write-ahead log is moved into the file beside the writes, and begins anew."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.database.drivers import checkpoints, sqlite
from machine_monitor.database.drivers.checkpoints import Checkpoints


@pytest.fixture
def database(sqlite_database_url, monkeypatch):
    monkeypatch.setattr(checkpoints, "ROWS", 100)
    monkeypatch.setattr(sqlite, "LOG_PAGES", 0)  # no write moves anything itself
    database = Database(sqlite_database_url)
    yield database
    database.close_writer()


def write(database: Database, count: int) -> None:
    """So many transactions of one row, each of a page."""
    for _ in range(count):
        database.transact(lambda tx: tx.cursor.execute("INSERT INTO derived VALUES (hex(randomblob(2000)), '')"))


def moved(database: Database, folder: Path) -> int:
    """The rows that are in the file itself, once what is being moved is there."""
    database._driver._checkpoints._moving.result(10)
    copy = shutil.copyfile(database.address.path, folder / "copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        return connection.execute("SELECT count(*) FROM derived WHERE length(name) = 4000").fetchone()[0]


def test_what_is_written_is_moved_beside_the_writes(database, tmp_path):
    write(database, 99)
    assert database._driver._checkpoints._moving is None
    write(database, 1)
    assert moved(database, tmp_path) == 100
    write(database, 50)
    assert moved(database, tmp_path) == 100


def test_the_log_begins_anew(database, tmp_path):
    sizes = []
    for _ in range(5):
        write(database, 100)
        moved(database, tmp_path)
        sizes.append(database.file_bytes()["wal"])
    assert max(sizes) < 2 * sizes[0]


def test_what_is_read_from_the_log_stays_there_and_is_moved_later(database, tmp_path):
    with closing(sqlite3.connect(database.address.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM derived").fetchone()
        write(database, 100)
        assert moved(database, tmp_path) == 0
    write(database, 100)
    assert moved(database, tmp_path) == 200


def test_a_file_that_takes_nothing_is_told_of(tmp_path, caplog):
    lacking = Checkpoints(tmp_path / "not there" / "plant.db")
    lacking.follow(checkpoints.ROWS)
    assert lacking._moving.result(10) is None
    assert "stays where it is: unable to open database file" in caplog.text
    lacking.close()
