"""What commands work on: the configured database, in the site's time zone."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from machine_monitor.config import Settings
    from machine_monitor.database.connect import Database
    from machine_monitor.database.database_urls import DatabaseUrl

# A command holds up nobody: who waits for it stops it.
PATIENCE_SECONDS = 24 * 3600.0


@contextmanager
def opened() -> "Generator[tuple[Settings, Database]]":
    """The configured database, set up if it is empty."""
    from machine_monitor import config
    from machine_monitor.database.connect import Database
    from machine_monitor.services.projections import maintenance

    settings = config.load()
    database = Database(settings.database_url, PATIENCE_SECONDS)
    maintenance.prepare_database(database, settings.zone)
    try:
        yield settings, database
    finally:
        database.close_writer()


def address(host: str, port: int) -> str:
    """How this machine reaches a service that listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def stoppable() -> "Generator[None]":
    """Lets a command that is told to end clean up behind itself."""
    import signal
    import sys

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def at(place: "str | DatabaseUrl") -> "Generator[Database]":
    """A database as it is, never set up."""
    from machine_monitor.database.connect import Database

    database = Database(place, PATIENCE_SECONDS)
    try:
        yield database
    finally:
        database.close_writer()


def zone(name: str | None, settings: "Settings") -> "ZoneInfo":
    """The zone of that name, checked as the setting is."""
    from machine_monitor import config

    return settings.zone if name is None else config.zone(name)
