"""Two PostgreSQL servers under Patroni, with etcd and HAProxy, as docs/deploy/patroni.yml and haproxy.cfg say."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

import servers
from ordinary_user import NOBODY
from outside.proxies.proxy import shipped

PROGRAMS = {name: shutil.which(name) or shutil.which(name, path="/usr/sbin") for name in ("etcd", "patroni", "haproxy")}
SERVER_PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
WAIT_SECONDS = 120
POLL_SECONDS = 0.2
PASSWORD = "change-this-one"  # noqa: S105 -- that of the file


def wait_for(is_true: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(POLL_SECONDS)


class Node:
    """One of the servers; the file of db1 with other addresses."""

    def __init__(self, name: str, folder: Path, etcd_port: int) -> None:
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        self.port, self.rest_port = servers.free_port(), servers.free_port()
        self.configuration = self.folder / "patroni.yml"
        replaced = {
            "name: db1": f"name: {name}",
            "10.0.0.11:8008": f"127.0.0.1:{self.rest_port}",
            "10.0.0.11:5432": f"127.0.0.1:{self.port}",
            '"10.0.0.21:2379", "10.0.0.22:2379", "10.0.0.23:2379"': f'"127.0.0.1:{etcd_port}"',
            "10.0.0.0/24": "127.0.0.1/32",
            "/var/lib/postgresql/patroni": str(self.folder / "data"),
            "/usr/lib/postgresql/15/bin": str(SERVER_PROGRAMS),
            # The socket's default folder belongs to the user of Debian's package.
            "  data_dir:": f"  parameters: {{unix_socket_directories: {self.folder}}}\n  data_dir:",
        }
        self.configuration.write_text(shipped("patroni.yml", replaced, ""))

    def answers(self, path: str) -> bool:
        """Whether Patroni says that the server has this role."""
        return servers.status(self.rest_port, path) == 200

    def kill_server(self) -> None:
        """Kill PostgreSQL, not Patroni."""
        os.kill(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


class Cluster:
    """A cluster with a new database; `url` names both servers, `proxy_url` HAProxy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen] = []
        try:
            self._start_all()
        except BaseException:
            self.stop()
            sys.stderr.write(self._last_lines())
            raise

    def _start_all(self) -> None:
        etcd_port = self._start_etcd()
        self.nodes = [Node(name, self.folder, etcd_port) for name in ("db1", "db2")]
        # PostgreSQL refuses to run as root.
        self._owner = pwd.getpwuid(NOBODY if os.geteuid() == 0 else os.geteuid())
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        for node in self.nodes:
            # Patroni writes the passwords of the servers into the home folder.
            home = {**os.environ, "HOME": str(node.folder)}
            self._start(node.name, [PROGRAMS["patroni"], node.configuration], user=self._owner.pw_uid, env=home)
        proxy_port = self._start_haproxy()
        wait_for(self.is_complete, "the start of the cluster")
        self._create_database()
        ports = ",".join(str(node.port) for node in self.nodes)
        self.url = (
            f"postgresql://machines:{PASSWORD}@/machines?host=127.0.0.1,127.0.0.1&port={ports}"
            "&target_session_attrs=read-write"
        )
        self.proxy_url = f"postgresql://machines:{PASSWORD}@127.0.0.1:{proxy_port}/machines"

    def is_complete(self) -> bool:
        """Whether one server is the primary, and the other one its synchronous standby."""
        return any(node.answers("/primary") for node in self.nodes) and any(
            node.answers("/sync") for node in self.nodes
        )

    @property
    def primary(self) -> Node:
        """The server that accepts writes."""
        return next(node for node in self.nodes if node.answers("/primary"))

    def stop(self) -> None:
        """Stop all processes."""
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _last_lines(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))

    def _start(self, name: str, command: list[Any], **options: Any) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            words = [*map(str, command)]
            self._running.append(subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log, **options))

    def _start_etcd(self) -> int:
        client, peer = servers.free_port(), servers.free_port()
        clients, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        command = [PROGRAMS["etcd"], "--data-dir", self.folder / "etcd", "--unsafe-no-fsync"]
        command += ["--listen-client-urls", clients, "--advertise-client-urls", clients]
        command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        self._start("etcd", [*command, "--initial-cluster", f"default={peers}"])
        wait_for(lambda: servers.status(client, "/health") == 200, "the start of etcd")
        return client

    def _start_haproxy(self) -> int:
        port, (db1, db2) = servers.free_port(), self.nodes
        replaced = {
            "bind 127.0.0.1:5432": f"bind 127.0.0.1:{port}",
            "10.0.0.11:5432 check port 8008": f"127.0.0.1:{db1.port} check port {db1.rest_port}",
            "10.0.0.12:5432 check port 8008": f"127.0.0.1:{db2.port} check port {db2.rest_port}",
        }
        (self.folder / "haproxy.cfg").write_text(shipped("haproxy.cfg", replaced, ""))
        self._start("haproxy", [PROGRAMS["haproxy"], "-f", self.folder / "haproxy.cfg"])
        return port

    def _create_database(self) -> None:
        conninfo = f"host=127.0.0.1 port={self.primary.port} user=postgres password={PASSWORD} dbname=postgres"
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE machines LOGIN PASSWORD {}").format(PASSWORD))
            connection.execute("CREATE DATABASE machines OWNER machines ENCODING 'UTF8' TEMPLATE template0")
