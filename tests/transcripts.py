"""Runs the examples in the documentation: saves their files, types their commands, and compares the output.

- A block with a title, ```python title="follow.py", is a file that the reader saves.
- A block ```console contains commands after `$ ` (continued after `> `), and their output. `...` matches anything.
- `<!-- takes: explain.py from other.md -->` saves a file that another page shows.
- A page with `<!-- continues: start.md -->` continues in the folder of the other page, with its service running.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import httpx2

from servers import environment, free_pair

PORT = 8000
START_SECONDS = 60
LOG_SECONDS = 5
VARIABLES = ("AUTH", "JSON")
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTINUES = re.compile(r"^<!-- continues: (\S+) -->$", re.MULTILINE)
TAKES = re.compile(r"^<!-- takes: (\S+) from (\S+) -->$", re.MULTILINE)
STEP = re.compile(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", re.MULTILINE)
SERVE = re.compile(r"^mm serve( --https)?(?: >serve.log 2>&1)? &$")


class Block(NamedTuple):
    """A block of code; `title` is a file name, or empty."""

    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page, in their order."""
    return [Block(language, title, text) for language, title, text in BLOCK.findall(page)]


def steps(transcript: str) -> list[tuple[str, str]]:
    """Return each command and its expected output."""
    return [(command.replace("\n> ", "\n").strip(), output.strip()) for command, output in STEP.findall(transcript)]


def matches_output(expected: str, output: str) -> bool:
    """Return whether the output is as expected; `...` in the expected output matches anything."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


class Terminal:
    """A shell in a folder. `replaced` maps texts of the pages to the texts that the shell gets instead."""

    def __init__(self, folder: Path, replaced: Mapping[str, str] | None = None, **variables: str) -> None:
        self.folder = folder
        self.port = free_pair()
        ports = {f":{PORT + number}": f":{self.port + number}" for number in range(2)}
        self._replaced = {**ports, **(replaced or {})}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._shell = subprocess.Popen(
            ["sh"],  # noqa: S607 -- whichever shell there is
            cwd=folder,
            env={**environment(port=self.port), "PATH": path, "COLUMNS": "120", **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AssertionError):
            self.type('for job in $JOBS; do kill "$job"; wait "$job"; done')
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()

    def type(self, command: str) -> tuple[int, str]:
        """Run a command in the shell, and return its exit code and output."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        end = f"end-{uuid.uuid4().hex}"
        self._shell.stdin.write(f"{self._to_local(command)}\nprintf '\\n%s %s\\n' {end} $?\n")
        self._shell.stdin.flush()
        lines = []
        for line in self._shell.stdout:
            if line.startswith(end):
                return int(line.split()[1]), self._to_documented("".join(lines))
            lines.append(line)
        raise AssertionError("".join(lines))

    def run_page(self, page: Path) -> None:
        """Run the examples of a page; raise `AssertionError` if an output differs."""
        text = page.read_text()
        for name, other in TAKES.findall(text):
            (block,) = [block for block in blocks((page.parent / other).read_text()) if block.title == name]
            self._save(block)
        for block in blocks(text):
            if block.title:
                self._save(block)
            elif block.language == "console":
                for command, expected in steps(block.text):
                    self._check(command, expected)

    def _save(self, block: Block) -> None:
        path = self.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._to_local(block.text))

    def serve(self, option: str = "") -> None:
        """Start the service in the background."""
        code, output = self.type(f"mm serve{option} >serve.log 2>&1 & JOBS=$!")
        assert code == 0, output
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(httpx2.HTTPError):
                scheme = "https" if option else "http"
                # The page itself checks the certificate.
                httpx2.get(f"{scheme}://127.0.0.1:{self.port}/readyz", verify=False).raise_for_status()
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "serve.log").read_text())

    def _check(self, command: str, expected: str) -> None:
        if started := SERVE.match(command):
            self.serve(started[1] or "")
            return
        code, output = self.type(command)
        # The service may write its log a moment after it responds.
        end = time.monotonic() + LOG_SECONDS
        while "serve.log" in command and not matches_output(expected, output) and time.monotonic() < end:
            time.sleep(0.1)
            code, output = self.type(command)
        assert matches_output(expected, output), f"$ {command}\n{output.strip()}\n--- expected:\n{expected}"
        assert code == 0 or expected, f"$ {command}: exit {code}"

    def _to_local(self, text: str) -> str:
        for name, value in self._replaced.items():
            text = text.replace(name, value)
        return text

    def _to_documented(self, text: str) -> str:
        for name, value in self._replaced.items():
            text = text.replace(value, name)
        return text


@contextlib.contextmanager
def terminal_after(
    original: Path, variables: Mapping[str, str], folder: Path, replaced: Mapping[str, str]
) -> Iterator[Terminal]:
    """Open a terminal in a copy of the folder of a page, with its variables and the service running."""
    shutil.copytree(original, folder, dirs_exist_ok=True)
    with Terminal(folder, replaced, **variables) as terminal:
        terminal.serve()
        yield terminal
