"""Through PgBouncer, in each pool mode, the service gives the same bytes as on a direct connection."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.schema import migrations
from ordinary_user import NOBODY
from servers import free_port
from services.backup.full_database import api_responses, fill, save, stored_rows, verify_database

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
START_SECONDS = 20
SESSIONS = 6
# Other clients of the pooler leave these settings behind, in the sessions that the service gets too.
LEFT_BEHIND = "SET TimeZone = 'America/St_Johns'; SET DateStyle = 'German'; SET statement_timeout = '100ms'"
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = {sessions}
"""
EXPORTS = ("/logs.ndjson?started_at__gte=2025-07-25T12:00:00%2B05:00", "/logs.csv?dialect=excel", "/machines.ndjson")

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer: apt-get install pgbouncer"),
    pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True),
]


@pytest.fixture
def bouncer_folder() -> Iterator[Path]:
    """A folder that the owner of the server can use; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(prefix="mm-bouncer-", dir="/tmp") as folder:
        yield Path(folder)


@contextlib.contextmanager
def pooled(url: str, mode: str, folder: Path) -> Iterator[str]:
    """Run PgBouncer in front of a database, and yield the URL through it."""
    target, port = database_urls.parse(url), free_port()
    server = conninfo_to_dict(target.conninfo)
    server.pop("dbname")
    (folder / "users").write_text(f'"{server["user"]}" ""\n')
    configuration = CONFIGURATION.format(
        server=make_conninfo(**server), port=port, users=folder / "users", mode=mode, sessions=SESSIONS
    )
    (folder / "pgbouncer.ini").write_text(configuration)
    # PgBouncer refuses to run as root, and only the owner of the server may use its socket.
    socket = Path(str(server["host"]))
    owner = pwd.getpwuid(socket.stat().st_uid if socket.is_dir() else NOBODY)
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    through = target.sqlalchemy_url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    command = [str(PGBOUNCER), str(folder / "pgbouncer.ini")]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, user=owner.pw_uid, group=owner.pw_gid, cwd="/", stdout=log, stderr=log) as running,
    ):
        try:
            wait_until_ready(through, folder / "log")
            yield through
        finally:
            running.terminate()


def wait_until_ready(url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(database_urls.parse(url).conninfo).close()
            return
        time.sleep(0.05)
    pytest.fail(log.read_text())


def leave_settings_behind(url: str) -> None:
    """Change the settings of every session in the pool, as a careless client of it does."""
    with contextlib.ExitStack() as stack:
        conninfo = database_urls.parse(url).conninfo
        connections = [stack.enter_context(psycopg.connect(conninfo, autocommit=True)) for _ in range(SESSIONS)]
        for connection in connections:
            connection.execute("BEGIN")
        for connection in connections:
            connection.execute(LEFT_BEHIND)
            connection.execute("COMMIT")
    with psycopg.connect(conninfo) as another:
        assert another.execute("SHOW statement_timeout").fetchone() == ("100ms",)


async def everything(url: str) -> dict[str, object]:
    async with serving(Settings(database_url=url, timezone="Europe/Paris")) as client:
        exports = {path: (await client.get(path)).raise_for_status().content for path in EXPORTS}
        # Often enough that statements would be prepared.
        for _ in range(8):
            assert (await client.get("/logs?limit=2")).raise_for_status().json()["items"]
    assert verify_database(url).faults == []
    return exports | await api_responses(url) | {"rows": stored_rows(url)}


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_a_pooler_changes_no_byte(empty_url, mode, bouncer_folder, tmp_path):
    with pooled(empty_url, mode, bouncer_folder) as through:
        if mode == "transaction":
            leave_settings_behind(through)
        url = database_urls.parse(through)
        assert "through a pooler" in url.engine.facts(url.sqlalchemy_url)["connection"]
        migrations.ensure_schema(url)
        await fill(through)
        assert await everything(through) == await everything(empty_url)
        assert save(through, tmp_path / "saved.db").head == save(empty_url, tmp_path / "direct.db").head
