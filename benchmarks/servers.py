"""Starts and stops servers as separate processes on free ports, and reads their resource usage from /proc."""

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

from benchmarks.options import ROOT, MeasurementError

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60.0
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header", "--log-level", "warning")


@dataclass(frozen=True)
class Command:
    """How to start a server; `{port}` in an argument is replaced by the port.

    It is ready when it responds to the path `ready` or, without one, accepts connections.
    """

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = "/logs?limit=1"


@dataclass(frozen=True)
class Server:
    """A running server; `seconds_to_answer` is the time from its start to its first response with 200."""

    process: subprocess.Popen
    port: int
    seconds_to_answer: float

    def cpu_seconds(self) -> float:
        """Return the processor time of the process and its children so far, in user and system mode."""
        return cpu_seconds(self.process.pid)

    def resident_mb(self) -> float:
        """Return the resident memory."""
        return _status(self.process.pid, "VmRSS")

    def peak_mb(self) -> float:
        """Return the highest resident memory since `reset_peak`."""
        return _status(self.process.pid, "VmHWM")

    def reset_peak(self) -> None:
        """Reset the value that `peak_mb` returns."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def python(environment: Path | None = None) -> str:
    """Return the Python interpreter of a virtual environment, by default of the current one."""
    return str(environment / "bin" / "python") if environment else sys.executable


def uvicorn(target: str, interpreter: str, **environment: str) -> Command:
    """Return the command for one uvicorn worker, with the event loop and HTTP parser that the product uses."""
    words = [interpreter, "-m", "uvicorn", "--factory", target, "--port", "{port}", *UVICORN]
    return Command(words, environment)


def product(url: str, *, caches: bool = False) -> Command:
    """Return the command for the product, as users start it.

    With `caches` it responds to a repeated request from memory. Otherwise each request does its work: the load
    generator repeats requests more often than users do.
    """
    words = [str(Path(sys.executable).parent / "mm"), "serve", "--port", "{port}"]
    environment = {"MM_DATABASE_URL": url} | ({} if caches else {"MM_CACHE_SIZE": "0"})
    return Command(words, environment, "/readyz")


@contextmanager
def running(command: Command) -> Iterator[Server]:
    """Start a server, wait until it responds, and stop it at the end."""
    port = _free_port()
    # Do not pass the MM_ settings of the user who runs the benchmark to the product.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command.words],
            cwd=ROOT,
            env={**inherited, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            if failure := _wait(process, port, command.ready):
                output.seek(0)
                raise MeasurementError(f"{process.args[0]} {failure}.\n{output.read()[-2000:]}")
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


def _wait(process: subprocess.Popen, port: int, path: str | None) -> str | None:
    """Wait until the server responds; return a description of the failure if it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            return f"exited with {process.returncode} before its first response"
        if _accepts_connections(port) if path is None else _status_of(port, path) == 200:
            return None
        time.sleep(0.01)
    return f"did not respond to {path} within {START_SECONDS:.0f} s"


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _status_of(port: int, path: str) -> int | None:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(12)[9:12])
    except (OSError, ValueError):
        return None


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its living children so far, in user and system mode."""
    return sum(map(_cpu_seconds, _process_tree(pid)))


def _process_tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end after the glob has listed it.
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _process_tree(int(child))


def _cpu_seconds(pid: int) -> float:
    # The second field, the process name, may contain spaces; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status(pid: int, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) / 1024
