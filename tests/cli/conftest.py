"""The command line, run in process, and a folder to run it in."""

import os
import sys

import pytest

from machine_monitor.cli import main


@pytest.fixture
def mm(monkeypatch, capsys, loggers):  # noqa: ARG001 -- `serve` configures them
    """Runs a command in process: its exit code, stdout and stderr."""
    # `serve --open` sets it: so it is gone at the end.
    monkeypatch.setenv("MM_OPEN", "false")
    for name in [name for name in os.environ if name.startswith("MM_")]:
        monkeypatch.delenv(name)

    def run(*words, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"MM_{name.upper()}", str(value))
        monkeypatch.setattr(sys, "argv", ["mm", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main.main()
        said = capsys.readouterr()
        return stopped.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path
