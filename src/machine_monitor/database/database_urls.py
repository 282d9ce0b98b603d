"""Database URLs: parse and normalize any spelling of an SQLite or PostgreSQL URL."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine
from machine_monitor.database.engines.postgresql.engine import conninfo_of
from machine_monitor.errors import BadSetting

# Only the part before `+` counts: the product chooses the driver.
ENGINES = {"sqlite": SQLITE, "sqlite3": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}
SECRETS = {"password", "sslpassword"}


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
        return self.path is None or self.path.exists()

    @property
    def conninfo(self) -> str:
        """The libpq connection string of a PostgreSQL database."""
        return conninfo_of(self.sqlalchemy_url)


def for_file(path: Path) -> DatabaseUrl:
    """Return the URL of an SQLite file; its name may contain any characters."""
    return DatabaseUrl(SQLITE, SQLITE.url_of(path), str(path))


def parse(text: str, name: str = "MM_DATABASE_URL") -> DatabaseUrl:
    """Parse the database URL of the setting `name`; raises `BadSetting`, whose message never contains a password."""
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        message = f"{name} is not a database URL: write sqlite:///file.db or postgresql://user@host/name."
        raise BadSetting(message) from None
    engine = ENGINES.get(url.drivername.partition("+")[0].lower())
    if engine is None:
        message = f"{name} begins with '{url.drivername}': only sqlite and postgresql are supported."
        raise BadSetting(message)
    if "@" in (url.host or ""):
        raise BadSetting(f"{name} contains more than one '@'. Write %40 for an '@' in the user name or password.")
    url = engine.normalize_url(url, name)
    masked = {option: "***" if option in SECRETS else value for option, value in url.query.items()}
    return DatabaseUrl(engine, url, url.set(drivername=engine.name, query=masked).render_as_string(hide_password=True))
