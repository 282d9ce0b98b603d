"""Run a function as a user without rights: no permission of a file binds root, who may run the tests."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NOBODY = 65_534
needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="needs root, to become another user or to mount a folder"
)


def as_nobody(call: Callable[..., str | None], *arguments: object) -> str | None:
    """Call a function in a child process of an ordinary user, and return its result."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.write(writing, (call(*arguments) or "").encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read() or None


def let_everybody_enter(folder: Path) -> None:
    """Open a temporary folder to other users; pytest's are closed."""
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(0o755)
