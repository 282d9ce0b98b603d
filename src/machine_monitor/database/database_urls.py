"""Database URLs: parse and normalize any spelling of an SQLite or PostgreSQL URL."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine
from machine_monitor.database.engines.postgresql import urls
from machine_monitor.errors import BadSetting, DatabaseBusy

# Only the part before `+` counts: the product chooses the driver.
ENGINES = {"sqlite": SQLITE, "sqlite3": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}
SECRETS = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*")


@dataclass(frozen=True)
class DatabaseUrl:
    """A parsed database URL with its engine; `redacted` is its text without passwords."""

    engine: Engine
    sqlalchemy_url: URL
    redacted: str

    @property
    def path(self) -> Path | None:
        """The path of an SQLite database file; None for a server."""
        return self.engine.path_of(self.sqlalchemy_url)

    @property
    def exists(self) -> bool:
        """Whether the database file exists; always true for a server. Connecting would create a missing SQLite file."""
        return self.path is None or os.path.exists(self.path)  # noqa: PTH110 -- False without the right to look

    def require_usable(self) -> None:
        """Raise an error that says why the database cannot be opened, and what to do."""
        if reason := self.engine.find_obstacle(self.sqlalchemy_url):
            raise self.unusable(reason)

    def unusable(self, reason: str) -> DatabaseBusy:
        """Return the error that the database cannot be used."""
        return DatabaseBusy(f"The database {self.redacted} cannot be used: {reason}")

    @property
    def conninfo(self) -> str:
        """The libpq connection string of a PostgreSQL database."""
        return urls.conninfo(self.sqlalchemy_url)


def for_file(path: Path) -> DatabaseUrl:
    """Return the URL of an SQLite file; its name may contain any characters."""
    return DatabaseUrl(SQLITE, SQLITE.url_of(path), str(path))


def parse(text: str, name: str = "MM_DATABASE_URL") -> DatabaseUrl:
    """Parse the database URL of the setting `name`; raises `BadSetting`, whose message never contains a password."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise BadSetting(_not_a_url(name))
    engine = ENGINES.get(scheme.partition("+")[0].lower())
    if engine is None:
        message = f"{name} begins with '{scheme}': only sqlite and postgresql are supported."
        raise BadSetting(message)
    try:
        url = engine.parse_url(rest, name)
    except (ArgumentError, ValueError):
        raise BadSetting(_not_a_url(name)) from None
    return DatabaseUrl(engine, url, _redacted(engine, url))


def parse_read_url(text: str, primary: DatabaseUrl) -> DatabaseUrl | None:
    """Parse MM_DATABASE_READ_URL, a standby of the server of `primary`; None if it is empty. Raises `BadSetting`."""
    if not text:
        return None
    found = parse(text, "MM_DATABASE_READ_URL")
    if POSTGRESQL is not found.engine or POSTGRESQL is not primary.engine:
        raise BadSetting("MM_DATABASE_READ_URL is for a standby of a PostgreSQL server: remove it.")
    return found


def _not_a_url(name: str) -> str:
    return f"{name} is not a database URL: write sqlite:///file.db or postgresql://user@host/name."


def _redacted(engine: Engine, url: URL) -> str:
    masked = {option: "***" if option in SECRETS else value for option, value in url.query.items()}
    # Not SQLAlchemy's rendering of the options: the path of a socket should read as it is typed.
    options = "&".join(f"{option}={quote_plus(str(value), safe='/,:*')}" for option, value in masked.items())
    place = url.set(drivername=engine.name, query={}).render_as_string(hide_password=True)
    return f"{place}?{options}" if options else place
