"""The configured database and the site's time zone, for commands."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from machine_monitor.errors import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from machine_monitor.config import Settings
    from machine_monitor.database.connect import Database
    from machine_monitor.database.database_urls import DatabaseUrl

# Queries of commands have practically no timeout: the user can stop the command.
QUERY_TIMEOUT_SECONDS = 24 * 3600.0


@contextmanager
def open_database() -> "Generator[tuple[Settings, Database]]":
    """Open the configured database, and set it up if it is empty."""
    from machine_monitor import config
    from machine_monitor.services.projections import maintenance

    settings = config.load()
    with database_at(settings.database_url) as database:
        with announce_new_file(database):
            maintenance.prepare_database(database, settings.zone)
        yield settings, database


@contextmanager
def open_existing_database() -> "Generator[tuple[Settings, Database]]":
    """Open the configured database; raises `UsageError` if there is none: the folder may be the wrong one."""
    from machine_monitor import config
    from machine_monitor.services.projections import maintenance

    settings = config.load()
    with database_at(settings.database_url) as database:
        maintenance.require_current(database)
        maintenance.rebuild_if_outdated(database)
        yield settings, database


@contextmanager
def open_for_import(*, dry_run: bool) -> "Generator[tuple[Settings, Database]]":
    """Like `open_database`, but a dry run creates no database: if there is none, it gets a temporary, empty one."""
    import tempfile
    from pathlib import Path

    from machine_monitor import config
    from machine_monitor.database import database_urls
    from machine_monitor.database.schema import migrations
    from machine_monitor.services.projections import maintenance

    settings = config.load()
    if not dry_run or migrations.current_revision(database_urls.parse(settings.database_url)) is not None:
        with open_database() as opened:
            yield opened
        return
    with (
        tempfile.TemporaryDirectory(prefix="machine-monitor-") as folder,
        database_at(database_urls.for_file(Path(folder) / "empty.db")) as database,
    ):
        maintenance.prepare_database(database, settings.zone)
        yield settings, database


@contextmanager
def announce_new_file(database: "Database") -> "Generator[None]":
    """Tell the user if the block creates the SQLite file: the command may have been run in the wrong folder."""
    import typer

    existed = database.url.exists
    yield
    if not existed:
        typer.echo(f"Created a new database: {database.url.path}", err=True)


def require_free_address(host: str, port: int, purpose: str = "") -> None:
    """Raise `UsageError` if the service cannot listen there, before anything is made or changed.

    `purpose` follows the address in the sentence.
    """
    import errno
    import socket

    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in candidates:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        advice = {
            errno.EADDRINUSE: "Another program listens there. Choose another port with --port or MM_PORT.",
            errno.EACCES: "Ports below 1024 need rights of root. Choose another one with --port or MM_PORT.",
            errno.EADDRNOTAVAIL: "This machine does not have that address. Correct --host or MM_HOST.",
        }.get(error.errno or 0, f"{error.strerror}. Correct --host or MM_HOST.")
        raise UsageError(f"The service cannot listen on {host}:{port}{purpose}. {advice}") from error


def base_url(settings: "Settings", host: str, port: int) -> str:
    """Return the URL at which this machine reaches a service that listens there."""
    scheme = "https" if settings.https else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- not listened on
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{settings.root_path}"


@contextmanager
def exit_on_sigterm() -> "Generator[None]":
    """Let a command clean up on SIGTERM: it raises `SystemExit`."""
    import signal
    import sys

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def database_at(url: "str | DatabaseUrl") -> "Generator[Database]":
    """Open a database as it is, without setting it up."""
    from machine_monitor.database.connect import Database

    database = Database(url, QUERY_TIMEOUT_SECONDS)
    try:
        with without_database_warnings():
            yield database
    finally:
        database.close_writer()


@contextmanager
def without_database_warnings() -> "Generator[None]":
    """Keep warnings about the database from the terminal: a command prints the error that it ends with."""
    import logging

    levels = {name: logging.getLogger(name).level for name in ("machine_monitor.database.connect", "psycopg.pool")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def time_zone(name: str | None, settings: "Settings") -> "ZoneInfo":
    """Return the time zone of this name, or the site's; raises `BadSetting` if there is none."""
    from machine_monitor import config

    return settings.zone if name is None else config.zone(name)


def legacy_zone(name: str | None, settings: "Settings", database: "Database") -> "ZoneInfo":
    """Return the time zone of the legacy clock: of this name, or as the last sync was told, or the site's."""
    from machine_monitor.services import legacy

    return time_zone(name, settings) if name is not None else legacy.clock_zone(database) or settings.zone
