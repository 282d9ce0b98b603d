"""Datasette on the same file. It runs on uvicorn, because its own command writes an access log."""

import os
from collections.abc import Awaitable, Callable

from datasette.app import Datasette


def serve() -> Callable[..., Awaitable[None]]:
    """Create the app for the file in the variable BENCH_FILE."""
    return Datasette([os.environ["BENCH_FILE"]]).app()
