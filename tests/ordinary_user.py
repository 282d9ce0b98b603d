"""Run a function as a user without rights: no permission of a file binds root, who may run the tests."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

NOBODY = 65_534
needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="needs root, to become another user or to mount a folder"
)


def as_nobody(call: Callable[..., str | None], *arguments: object) -> str | None:
    """Call a function in a child process of an ordinary user, and return its result."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        _run_child(writing, call, arguments)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        result = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, result
    return result or None


def _run_child(writing: int, call: Callable[..., str | None], arguments: tuple[object, ...]) -> NoReturn:
    """Write the result of the call, or the traceback of its error, and end this process whatever happens."""
    code = 1
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.write(writing, (call(*arguments) or "").encode())
        code = 0
    except BaseException:  # noqa: BLE001 -- the child would continue as a second run of pytest
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(code)


def let_everybody_enter(folder: Path) -> None:
    """Open a temporary folder to other users; pytest's are closed."""
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(0o755)
