"""The database that a command works on."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machine_monitor.config import Settings
    from machine_monitor.database.connect import Database


@contextmanager
def database() -> "Generator[tuple[Settings, Database]]":
    """The configured database, set up if it is empty."""
    from machine_monitor import config
    from machine_monitor.database.connect import Database
    from machine_monitor.services import derived

    settings = config.load()
    database = Database(settings.database_url, settings.query_timeout)
    derived.prepare(database)
    try:
        yield settings, database
    finally:
        database.close_writer()
