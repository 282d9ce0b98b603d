"""A backup is complete, or there is no file."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import files
from machine_monitor.errors import MonitorError, UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import manifest, saving
from services.backup.full_database import is_empty, restore, save, stored_rows, verify_database


def test_an_existing_backup_is_replaced_only_with_replace(database_url, saved):
    manifest.path_of(saved).unlink()
    with pytest.raises(UsageError, match="--force"):
        save(database_url, saved)
    shutil.move(saved, manifest.path_of(saved))
    with pytest.raises(UsageError, match="--force"):
        save(database_url, saved)
    save(database_url, saved, replace=True)
    assert manifest.read(saved).sha256 == manifest.digest(saved)


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_is_not_a_backup_file(sqlite_database_url, folder, replace):
    with pytest.raises(UsageError, match="is a folder: name a file") as raised:
        save(sqlite_database_url, folder, replace=replace)
    assert "--force" not in raised.value.detail


def test_concurrent_writes_are_not_in_the_backup_and_do_not_restart_it(sqlite_database_url, folder, monkeypatch):
    monkeypatch.setattr(files, "PAGES_AT_ONCE", 1)
    writer, database, steps = Database(sqlite_database_url), Database(sqlite_database_url), []
    text = "INSERT INTO log_counts (field, unit, period, value, transaction_id, count) VALUES ('x', 'x', 'x', ?, 0, 0)"

    def write(done, total):
        if len(steps) < total:
            writer.transact(lambda tx: tx.cursor.execute(text, [str(len(steps)) * 5_000]))
        steps.append((done, total))

    manifest_ = backup.save(database, folder / "b.db", replace=False, progress=write)
    writer.close_writer()
    pages = [done for done, total in steps if total == steps[0][1]]
    assert len(pages) > 20
    assert pages == [*range(1, steps[0][1] + 1)]
    assert manifest_.tables["log_counts"] == 0
    assert len(stored_rows(sqlite_database_url)["log_counts"]) == len(pages)


def test_the_database_is_not_replaced_by_its_backup(sqlite_database_url):
    path = database_urls.parse(sqlite_database_url).path
    with pytest.raises(UsageError, match="the database itself"):
        save(sqlite_database_url, path, replace=True)
    assert verify_database(sqlite_database_url).faults == []


def test_a_missing_database_is_not_created(empty_url, folder):
    with pytest.raises(UsageError, match="no database"):
        save(empty_url, folder / "b.db")
    assert list(folder.iterdir()) == []
    assert is_empty(empty_url)


def test_a_damaged_database_is_not_backed_up(sqlite_database_url, folder):
    path = database_urls.parse(sqlite_database_url).path
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_history_resource_record_id_seq'"
        ((page,),) = connection.execute(query).fetchall()
    connection.close()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    content[(page - 1) * size : page * size] = content[(page - 1) * size : page * size].replace(
        b"log_types", b"log_typez"
    )
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged"):
        save(sqlite_database_url, folder / "b.db")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("fails", ["contents", "describe", "write", "digest"])
def test_a_failed_backup_leaves_no_file(database_url, folder, monkeypatch, fails):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving.transfer if fails == "contents" else manifest, fails, fail)
    with pytest.raises(UsageError, match="No space left"):
        save(database_url, folder / "b.db")
    assert list(folder.iterdir()) == []


def test_a_backup_with_a_different_head_is_discarded(database_url, folder, monkeypatch):
    monkeypatch.setattr(saving, "hash_chain", SimpleNamespace(head=lambda _: "0:"))
    with pytest.raises(UsageError, match="nothing was written"):
        save(database_url, folder / "b.db")
    assert list(folder.iterdir()) == []


def test_a_backup_to_a_missing_folder_gives_a_clear_error(database_url, folder):
    with pytest.raises(UsageError, match="No such file"):
        save(database_url, folder / "none" / "b.db")


@pytest.fixture
def full_disk(tmp_path):
    """A disk with almost no space."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", directory]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield directory
    subprocess.run(["umount", directory], check=True)  # noqa: S607 -- the one on the PATH


def test_a_full_disk_gives_a_clear_error_and_leaves_no_file(database_url, saved, full_disk):
    with pytest.raises(MonitorError, match=r"full|No space"):
        save(database_url, full_disk / "b.db")
    assert list(full_disk.iterdir()) == []
    with pytest.raises(MonitorError, match=r"full|No space"):
        restore(saved, f"sqlite:///{full_disk / 'r.db'}")
    assert list(full_disk.iterdir()) == []


# This program prints a line when it reaches the moment to be killed, and waits there.
PAUSING_BACKUP = """
import sys, time
from pathlib import Path
from machine_monitor.database.connect import Database
from machine_monitor.services import backup
from machine_monitor.services.backup import manifest
def stay(*_):
    print("here", flush=True)
    time.sleep(60)
url, file, moment = sys.argv[1:]
if moment == "at the end":
    manifest.write = stay
backup.save(Database(url), Path(file), replace=False, progress=stay if moment == "in the middle" else print)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the middle", "at the end"])
def test_a_killed_backup_leaves_no_file_under_its_final_name(database_url, folder, moment):
    file = folder / "b.db"
    command = [sys.executable, "-c", PAUSING_BACKUP, database_url, str(file), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert b"here\n" in iter(running.stdout.readline, b"")
        running.send_signal(signal.SIGKILL)
    assert not file.exists()
    assert not manifest.path_of(file).exists()
    save(database_url, file)
    assert manifest.read(file).sha256 == manifest.digest(file)
