"""Runs `mm` in forked processes. The fork server has already imported the code, so a command starts at once."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
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


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command, assert that it succeeds, and return its output."""
    log = folder / "command.log"
    log.write_text("")
    code = ForkedCommand(words, folder, environment, log).wait(DONE_SECONDS)
    assert code == 0, (words, code, log.read_text())
    return log.read_text()


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
