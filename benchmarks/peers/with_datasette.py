"""Datasette on the same file, on the same server as the others: its own command writes a line for each request."""

import os
from collections.abc import Awaitable, Callable

from datasette.app import Datasette


def serve() -> Callable[..., Awaitable[None]]:
    """The application on the file that BENCH_FILE names."""
    return Datasette([os.environ["BENCH_FILE"]]).app()
