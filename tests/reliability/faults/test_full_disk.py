"""On a full disk, writes fail, reads work, and writes recover without a restart when there is space again."""

import subprocess

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, status_of, stored_uuids
from servers import ForkedService

MIB = 1024 * 1024
# The initial free space, and the space that each round frees.
ROOM, BALLAST = 5 * MIB, 3 * MIB
QUERIES = ("/readyz", "/logs?q=was&limit=5", "/logs/stats?group_by=machine", "/machines")


@pytest.fixture
def small_disk(tmp_path, extent):
    """A folder on a small file system, and files that fill it; each round deletes one."""
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
    subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S607 -- the one on the PATH


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
                assert full <= stored_uuids(service.port)
                assert [status_of(service.port, path) for path in QUERIES] == [200] * len(QUERIES)
                file.unlink()
                traffic.wait_for(5, *SUCCESS)
        assert set(traffic.write_statuses) <= {201, 503, 507}
        assert set(traffic.read_statuses) == {200}
        stored = stored_uuids(service.port)
        assert traffic.acknowledged <= stored
        assert not traffic.rejected & stored
    database = Database(url)
    assert verify(database).faults == []
    database.close_writer()
    refusals = {f"status_{status}": times for status, times in traffic.write_statuses.items() if status != 201}
    record_counts(len(ballast), acknowledged=len(traffic.acknowledged), lost=0, **refusals)
