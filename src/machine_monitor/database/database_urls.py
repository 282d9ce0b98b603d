"""Where a database is: any spelling of an SQLite or PostgreSQL URL, made into one form."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine
from machine_monitor.database.engines.postgresql.engine import conninfo_of
from machine_monitor.errors import BadSetting

# The part before `+` names the engine; which driver is used is not for the URL to say.
ENGINES = {"sqlite": SQLITE, "sqlite3": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}
SECRETS = {"password", "sslpassword"}


@dataclass(frozen=True)
class DatabaseUrl:
    """A database's engine and URL; `shown` is the URL without its passwords."""

    engine: Engine
    sqlalchemy_url: URL
    redacted: str

    @property
    def path(self) -> Path | None:
        """The file that holds the database; None if a server does."""
        return self.engine.path_of(self.sqlalchemy_url)

    @property
    def exists(self) -> bool:
        """Whether there is something to connect to: SQLite would create a file that is not there."""
        return self.path is None or self.path.exists()

    @property
    def conninfo(self) -> str:
        """What libpq connects with, for a PostgreSQL database."""
        return conninfo_of(self.sqlalchemy_url)


def for_file(path: Path) -> DatabaseUrl:
    """The address of an SQLite file, whatever characters its name has."""
    return DatabaseUrl(SQLITE, SQLITE.url_of(path), str(path))


def parse(text: str, name: str = "MM_DATABASE_URL") -> DatabaseUrl:
    """Read the database URL of the setting `name`. Raises `BadSetting`, which says what is wrong without a password."""
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        message = f"{name} is not a database URL: write sqlite:///file.db or postgresql://user@host/name."
        raise BadSetting(message) from None
    engine = ENGINES.get(url.drivername.partition("+")[0].lower())
    if engine is None:
        message = f"{name} begins with '{url.drivername}': only sqlite and postgresql are known."
        raise BadSetting(message)
    if "@" in (url.host or ""):
        raise BadSetting(f"{name} has an @ too many: write %40 for one in a password.")
    url = engine.normalize_url(url, name)
    masked = {option: "***" if option in SECRETS else value for option, value in url.query.items()}
    return DatabaseUrl(engine, url, url.set(drivername=engine.name, query=masked).render_as_string(hide_password=True))
