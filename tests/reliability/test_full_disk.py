"""A disk that is full takes no writes, serves reads, and needs no restart when there is room again."""

import subprocess

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.traffic import Traffic, add_machine, ask, stored
from servers import Service

MIB = 1024 * 1024
# What the database begins with and grows by, and what each round gives back.
ROOM, BALLAST = 5 * MIB, 3 * MIB
QUESTIONS = ("/readyz", "/logs?q=was&limit=5", "/logs/stats?group_by=machine", "/machines")


@pytest.fixture
def small_disk(tmp_path, extent):
    """A folder on a file system that is small, and the files that fill it, one a round."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM + extent.rounds * BALLAST}", "none", folder]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a small file system, and none can be mounted: {error}")
    ballast = [folder / f"ballast-{number}" for number in range(extent.rounds)]
    for file in ballast:
        file.write_bytes(bytes(BALLAST))
    yield folder, ballast
    subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 -- whichever there is


def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path, small_disk):
    folder, ballast = small_disk
    url = f"sqlite:///{folder / 'monitor.db'}"
    with Service(tmp_path, database_url=url) as service:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=2, comment="as it was " * 200) as traffic:
            for file in ballast:
                before = traffic.written[507]
                traffic.wait(lambda now, before=before: now.written[507] > before + 50, 60)
                full = {*traffic.acknowledged}
                assert full <= stored(service.port)
                assert [ask(service.port, question) for question in QUESTIONS] == [200] * len(QUESTIONS)
                file.unlink()
                traffic.wait(lambda now, full=full: len(now.acknowledged) > len(full) + 5, 30)
        assert set(traffic.written) <= {201, 503, 507}
        assert set(traffic.read) == {200}
        found = stored(service.port)
        assert traffic.acknowledged <= found
        assert not traffic.refused & found
    database = Database(url)
    assert verify(database).faults == []
    database.close_writer()
