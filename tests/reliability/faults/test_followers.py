"""The follower of the documentation notices that a backup was restored under it, and makes its copy anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services import backup
from reliability.clients.accounts import add_users
from reliability.clients.http_client import HttpClient
from servers import ForkedService
from transcripts import PORT, blocks

PAGE = Path(__file__).parents[3] / "docs/connect/changes.md"
# The entries before the first write: the shipped log types, and the user that writes.
FIRST = 8


@pytest.fixture
def token(database_url):
    return add_users(database_url, ONE="write")["ONE"]


@pytest.fixture
def follow(tmp_path, token):
    """A function that runs the program of the documentation against a port, and returns the lines that it prints."""
    (program,) = [block.text for block in blocks(PAGE.read_text()) if block.title == "follow.py"]

    def run(port):
        path = tmp_path / "follow.py"
        path.write_text(program.replace(f":{PORT}", f":{port}"))
        environment = {"MM_TOKEN": token}
        command = [sys.executable, str(path)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return run


@pytest.fixture
def write(token):
    """A function that creates machines."""

    def run(port, *names):
        with HttpClient(port) as http:
            for name in names:
                assert http.send("PUT", f"/machines/{name}", {}, Authorization=f"Bearer {token}").status == 201

    return run


@pytest.mark.proof("a backup restored under a follower")
def test_a_follower_notices_that_a_backup_was_restored(tmp_path, database_url, empty_url, follow, write, record_counts):
    saved = tmp_path / "saved.backup"
    with ForkedService(tmp_path, database_url=database_url, open=False) as service:
        write(service.port, "Press", "Saw")
        assert len(follow(service.port)) == FIRST + 2
        database = Database(database_url)
        backup.save(database, saved, replace=False, progress=lambda *_: None)
        database.close_writer()
    behind = (tmp_path / "position.txt").read_text()
    with ForkedService(tmp_path, database_url=database_url, open=False) as service:
        write(service.port, "Lathe")
        assert follow(service.port) == [
            "create machines Lathe name in_service listed attributes attachments attachment_count"
        ]
    ahead = (tmp_path / "position.txt").read_text()
    backup.restore(saved, database_urls.parse(empty_url), lambda *_: None)
    with ForkedService(tmp_path, database_url=empty_url, open=False) as service:
        # First the position is past the end of the restored history; later another change has that number.
        assert follow(service.port)[0] == "replaced"
        write(service.port, "Mill", "Drill")
        (tmp_path / "position.txt").write_text(ahead)
        lines = follow(service.port)
        assert lines[0] == "replaced"
        assert [line.split()[2] for line in lines[FIRST + 1 :]] == ["Press", "Saw", "Mill", "Drill"]
        # A follower that had seen nothing after the backup continues.
        (tmp_path / "position.txt").write_text(behind)
        assert [line.split()[2] for line in follow(service.port)] == ["Mill", "Drill"]
    record_counts(3, changes_missed=0)
