"""Start a script of this package that reads hostile files, in a process that shares nothing with this one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

# What such a process needs of the environment, and nothing else: no secret, and no path to import from.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
Stream = int | IO[bytes] | None


def start(
    script: Path, *arguments: str, stdin: Stream = subprocess.DEVNULL, stderr: Stream = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a script, whose output is a pipe. Raises `OSError`."""
    # -I: nothing of the environment or the working directory is imported. -B: nothing is written beside the sources.
    command = [sys.executable, "-I", "-B", str(script), *arguments]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment)  # noqa: S603 -- a script of this package
