"""The server: uvicorn with the connection limits and the logging of this product."""

import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from machine_monitor.api.serving import logs, metrics
from machine_monitor.api.serving.connections import Connection, Timeouts
from machine_monitor.api.serving.https import files, tls
from machine_monitor.config import Settings

# Longer than the keep-alive of most proxies (60 s), so that a proxy never reuses a connection that is being closed.
KEEP_ALIVE_SECONDS = 75
# Time for requests in progress to finish on shutdown; `docker stop` kills after ten seconds.
SHUTDOWN_SECONDS = 8
# uvicorn's parent process kills and replaces a worker that does not answer within this time. A new worker answers only
# when it has loaded the code. On a slow machine that takes longer than uvicorn's default of 5 s: every worker would be
# killed before it serves.
WORKER_ANSWER_SECONDS = 30


def run(app: Any, settings: Settings, workers: int = 1, **address: Any) -> None:
    """Run the server until it gets a signal to stop. `address` is uvicorn's `host` and `port`."""
    logs.configure(settings)
    with _shared_metrics() if workers > 1 and metrics.FOLDER_VARIABLE not in os.environ else nullcontext():
        uvicorn.run(app, workers=workers, **options(settings), **address)


def options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's options, except the application and the address."""
    https = tls.options(files.folder_of(settings) / files.SERVER) if settings.https else {}
    return https | {
        "http": partial(Connection, timeouts=Timeouts(settings.head_timeout, settings.body_timeout)),
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "root_path": settings.root_path,
        # The application does it: see `proxies/forwarded`.
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "timeout_worker_healthcheck": WORKER_ANSWER_SECONDS,
    }


@contextmanager
def _shared_metrics() -> Generator[None]:
    """Create the folder in which the workers share their metrics, and pass it on in the environment."""
    with TemporaryDirectory(prefix="machine-monitor-") as folder:
        os.environ[metrics.FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[metrics.FOLDER_VARIABLE]
