"""Fixtures that run the command line in process, and in an empty folder."""

import os
import sys

import pytest
import uvicorn

from machine_monitor.cli import main, site


@pytest.fixture
def mm(monkeypatch, capsys, loggers):  # noqa: ARG001 -- `serve` configures them
    """A function that runs a command in process and returns its exit code, stdout and stderr."""
    # Options of `serve` set these variables; monkeypatch restores them after the test.
    for name in ("MM_OPEN", "MM_ROOT_PATH"):
        monkeypatch.setenv(name, "")
    for name in [name for name in os.environ if name.startswith("MM_")]:
        monkeypatch.delenv(name)

    def run(*words, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"MM_{name.upper()}", str(value))
        monkeypatch.setattr(sys, "argv", ["mm", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def uvicorn_calls(monkeypatch):
    """The options of each call of uvicorn, which does not listen. Every address counts as free, whatever runs here."""
    calls = []
    monkeypatch.setattr(uvicorn, "run", lambda *_, **options: calls.append(options))
    monkeypatch.setattr(site, "require_free_address", lambda *_: None)
    return calls


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path
