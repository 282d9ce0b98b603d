"""Runs `mm` and import workers in forked processes. The fork server has imported the code, so they start at once."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

DONE_SECONDS = 60
_CONTEXT = multiprocessing.get_context("forkserver")
# Modules that commands import lazily.
_CONTEXT.set_forkserver_preload(
    [
        "machine_monitor.cli.main",
        "machine_monitor.api.app",
        "machine_monitor.api.serving.https.certificates",
        "machine_monitor.api.serving.server",
        "machine_monitor.database.schema.migrations",
        "machine_monitor.services.imports.uploads.worker",
        "machine_monitor.services.legacy.imports",
        "uvicorn.protocols.http.httptools_impl",
        "uvloop",
    ]
)


class ForkedCommand:
    """A forked process that runs a command; it has those methods of `subprocess.Popen` that tests use."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self._process = _CONTEXT.Process(target=_run, args=([*words], folder, {**environment}, log))
        self._process.start()
        self.pid = self._process.pid
        self.kill, self.terminate = self._process.kill, self._process.terminate

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        self._process.join(seconds)
        return self._process.exitcode


class ForkedWorker:
    """A forked import worker; it has those methods of `asyncio.subprocess.Process` that a service uses."""

    def __init__(self) -> None:
        stdin, to_stdin = os.pipe()
        from_stderr, stderr = os.pipe()
        # `multiprocessing` passes connections to a process, but no bare file descriptors.
        with Connection(stdin, writable=False) as reader, Connection(stderr, readable=False) as writer:
            self._process = _CONTEXT.Process(target=_work, args=(reader, writer, {**os.environ}))
            self._process.start()
        self.pid, self.kill = self._process.pid, self._process.kill
        self.stdin, self.stderr = _Input(to_stdin), _Output(from_stderr)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def wait(self) -> int | None:
        await asyncio.to_thread(self._process.join)
        self.stdin.close()
        return self._process.exitcode


class _Input:
    """The standard input of a worker, like an `asyncio.StreamWriter`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def write(self, text: bytes) -> None:
        os.write(self._descriptor, text)

    async def drain(self) -> None:
        """Nothing to do: a job fits into the buffer of a pipe."""

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class _Output:
    """The standard error of a worker, like an `asyncio.StreamReader`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        with os.fdopen(self._descriptor, "rb") as pipe:
            return pipe.read()


async def start_worker() -> ForkedWorker:
    """Do what `workers.start_process` does."""
    return ForkedWorker()


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command, assert that it succeeds, and return its output."""
    log = folder / "command.log"
    log.write_text("")
    code = ForkedCommand(words, folder, environment, log).wait(DONE_SECONDS)
    assert code == 0, (words, code, log.read_text())
    return log.read_text()


def _work(stdin: Connection, stderr: Connection, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(stderr.fileno(), 2)
    sys.stdin = os.fdopen(stdin.fileno(), closefd=False)
    from machine_monitor.services.imports.uploads.worker import main  # noqa: PLC0415 -- only in the forked process

    main()


def _run(words: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((0, os.devnull), (1, log), (2, log)):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["mm", *words]
    from machine_monitor.cli.main import main  # noqa: PLC0415 -- only in the forked process

    main()
