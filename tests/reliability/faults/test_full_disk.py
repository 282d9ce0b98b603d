"""A disk that is full takes no writes, serves reads, and needs no restart when there is room again."""

import subprocess

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.clients.traffic import DONE, Traffic, add_machine, status_of, stored
from servers import ForkedService

MIB = 1024 * 1024
# What the database begins with and grows by, and what each round gives back.
ROOM, BALLAST = 5 * MIB, 3 * MIB
QUESTIONS = ("/readyz", "/logs?q=was&limit=5", "/logs/stats?group_by=machine", "/machines")


@pytest.fixture
def small_disk(tmp_path, extent):
    """A folder on a file system that is small, and the files that fill it, one a round."""
    folder, rounds = tmp_path / "disk", extent(short=1, long=10)
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM + rounds * BALLAST}", "none", folder]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a small file system, and none can be mounted: {error}")
    ballast = [folder / f"ballast-{number}" for number in range(rounds)]
    for file in ballast:
        file.write_bytes(bytes(BALLAST))
    yield folder, ballast
    subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 -- whichever there is


@pytest.mark.proof("disk full, under 8 writers")
def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path, small_disk, record_counts):
    folder, ballast = small_disk
    url = f"sqlite:///{folder / 'monitor.db'}"
    with ForkedService(tmp_path, database_url=url) as service:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=2, comment="as it was " * 200) as traffic:
            for file in ballast:
                traffic.wait_for(50, 507)
                full = {*traffic.acknowledged}
                assert full <= stored(service.port)
                assert [status_of(service.port, question) for question in QUESTIONS] == [200] * len(QUESTIONS)
                file.unlink()
                traffic.wait_for(5, *DONE)
        assert set(traffic.written) <= {201, 503, 507}
        assert set(traffic.read) == {200}
        found = stored(service.port)
        assert traffic.acknowledged <= found
        assert not traffic.refused & found
    database = Database(url)
    assert verify(database).faults == []
    database.close_writer()
    refusals = {f"status_{status}": times for status, times in traffic.written.items() if status != 201}
    record_counts(len(ballast), acknowledged=len(traffic.acknowledged), lost=0, **refusals)
