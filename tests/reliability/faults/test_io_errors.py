"""I/O errors of the disk: the service responds with 503 or 507, never with 500, and recovers by itself."""

import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, stored_uuids
from servers import ForkedService

STRACE = shutil.which("strace")
# A system call that fails, and whether reads work without it.
FAILING = {"pwrite64": True, "fdatasync": True, "pread64": False}


@contextmanager
def without_file_growth(pid, _call):
    """Set the limit of file sizes to zero: writes fail like on a broken disk, for SQLite and for the log."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def with_failing_system_call(pid, call):
    """Make a system call of a process fail with EIO, as on a broken disk."""
    if STRACE is None:
        pytest.skip("needs strace, which injects errors into system calls")
    options = ["-f", "-qq", "-e", f"trace={call}", "-e", "status=none", "-e", f"inject={call}:error=EIO"]
    with subprocess.Popen([STRACE, *options, "-p", str(pid)]) as tracer:
        time.sleep(0.2)
        if tracer.poll() is not None:
            pytest.skip("strace may not trace other processes here")
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)


@pytest.mark.proof("I/O errors of SQLite: file size limit; EIO on write, sync, read")
@pytest.mark.parametrize(
    ("fault", "call"), [(without_file_growth, "write"), *((with_failing_system_call, call) for call in FAILING)]
)
def test_disk_errors_give_503_and_the_service_recovers(
    tmp_path, sqlite_database_url, extent, record_counts, fault, call
):
    reads_go_on = FAILING.get(call, True)
    with ForkedService(tmp_path, database_url=sqlite_database_url) as service:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=2) as traffic:
            for _ in range(times := extent(short=1, long=5)):
                traffic.wait_for(20, *SUCCESS)
                with fault(service.process.pid, call):
                    traffic.wait_for(20, 503)
                    time.sleep(extent(short=0.5, long=3))
                traffic.wait_for(20, *SUCCESS)
        # 200: an earlier attempt succeeded, but its response was an error.
        assert set(traffic.write_statuses) <= {200, 201, 503, 507}
        assert set(traffic.read_statuses) <= ({200} if reads_go_on else {200, 503})
        assert traffic.acknowledged <= stored_uuids(service.port)
    database = Database(sqlite_database_url)
    assert verify(database).faults == []
    database.close_writer()
    record_counts(
        times,
        acknowledged=len(traffic.acknowledged),
        lost=0,
        status_503=traffic.write_statuses[503] + traffic.read_statuses[503],
    )


async def test_a_damaged_page_gives_503_and_is_logged(sqlite_database_url, caplog):
    path = database_urls.parse(sqlite_database_url).path
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log_types'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        response = await client.get("/log-types")
        assert (response.status_code, response.json()["code"]) == (503, "database-busy")
        assert (await client.get("/machines")).status_code == 200
    assert "malformed" in caplog.text
