"""The server: uvicorn with our connections and our log."""

import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from machine_monitor.api.serving import logs, metrics
from machine_monitor.api.serving.connections import Bounds, Connection
from machine_monitor.config import Settings

# Longer than proxies keep theirs, 60 s for most: they must not send into a connection that is just being closed.
IDLE_SECONDS = 75
# What is being answered may end; `docker stop` waits for ten seconds.
ENDING_SECONDS = 8


def run(app: Any, settings: Settings, workers: int = 1, **where: Any) -> None:
    """Serve until told to stop."""
    logs.configure(settings)
    with _shared_metrics() if workers > 1 and metrics.FOLDER not in os.environ else nullcontext():
        uvicorn.run(app, workers=workers, **options(settings), **where)


def options(settings: Settings) -> dict[str, Any]:
    """How uvicorn serves, whatever and wherever it is."""
    return {
        "http": partial(Connection, bounds=Bounds(settings.head_timeout, settings.body_timeout)),
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": IDLE_SECONDS,
        "timeout_graceful_shutdown": ENDING_SECONDS,
    }


@contextmanager
def _shared_metrics() -> Generator[None]:
    """Name to the workers a folder where they keep their metrics together."""
    with TemporaryDirectory(prefix="machine-monitor-") as folder:
        os.environ[metrics.FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[metrics.FOLDER]
