"""Servers as processes of their own on free ports: start, stop, and what they cost, from /proc."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.options import ROOT, Refused

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60.0
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header", "--log-level", "warning")


@dataclass(frozen=True)
class Command:
    """How to start a server; `{port}` in its words is the port it gets."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/logs?limit=1"


@dataclass(frozen=True)
class Server:
    """A server that answers; `seconds_to_answer` from its start to its first 200."""

    process: subprocess.Popen
    port: int
    seconds_to_answer: float

    def cpu_seconds(self) -> float:
        """The processor time of the process and its children so far, in user and system mode."""
        return sum(map(_cpu_seconds, _family(self.process.pid)))

    def resident_mb(self) -> float:
        """The memory it occupies now."""
        return _status(self.process.pid, "VmRSS")

    def highest_mb(self) -> float:
        """The most memory it occupied since `forget_highest`."""
        return _status(self.process.pid, "VmHWM")

    def forget_highest(self) -> None:
        """Let `highest_mb` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def python(environment: Path | None = None) -> str:
    """The interpreter of an environment, of this one if none is given."""
    return str(environment / "bin" / "python") if environment else sys.executable


def uvicorn(target: str, interpreter: str, **environment: str) -> Command:
    """One uvicorn worker on an application's factory, with the loop and the parser that the product uses."""
    words = [interpreter, "-m", "uvicorn", "--factory", target, "--port", "{port}", *UVICORN]
    return Command(words, environment)


def product(url: str) -> Command:
    """The product as people start it."""
    words = [str(Path(sys.executable).parent / "mm"), "serve", "--port", "{port}"]
    return Command(words, {"MM_DATABASE_URL": url}, "/readyz")


@contextmanager
def running(command: Command) -> Iterator[Server]:
    """Start a server, wait until it answers, and stop it at the end."""
    port = _free_port()
    # The settings of whoever runs this are not the product's here.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command.words],
            cwd=ROOT,
            env={**inherited, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            if fault := _wait(process, port, command.ready):
                said.seek(0)
                raise Refused(f"{process.args[0]} {fault}.\n{said.read()[-2000:]}")
            yield Server(process, port, time.perf_counter() - started)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(process: subprocess.Popen, port: int, path: str) -> str | None:
    """Wait until it answers; what went wrong if it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            return f"stopped with {process.returncode} before it answered"
        if _status_of(port, path) == 200:
            return None
        time.sleep(0.01)
    return f"did not answer {path} within {START_SECONDS:.0f} s"


def _status_of(port: int, path: str) -> int | None:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(12)[9:12])
    except (OSError, ValueError):
        return None


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end between the listing and the reading.
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _cpu_seconds(pid: int) -> float:
    # The second field, the name, may hold blanks; utime and stime are the 14th and 15th of all.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status(pid: int, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
