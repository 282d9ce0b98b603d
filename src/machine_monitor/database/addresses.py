"""Where a database is: any spelling of an SQLite or PostgreSQL URL, made into one form."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from machine_monitor.database.engines import POSTGRESQL, SQLITE, Engine
from machine_monitor.errors import BadSetting

# The part before `+` names the engine; the driver that a URL asks for is ours to choose.
ENGINES = {"sqlite": SQLITE, "sqlite3": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}
# asyncpg and psycopg name the same wish differently.
POSTGRESQL_OPTIONS = {"ssl": "sslmode"}
SECRETS = {"password", "sslpassword"}


@dataclass(frozen=True)
class Address:
    """A database's place; `path` for SQLite, `conninfo` for PostgreSQL, `shown` without its password."""

    engine: Engine
    url: URL
    shown: str

    @property
    def path(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.url.database or "")

    @property
    def conninfo(self) -> str:
        """What libpq connects with."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 -- a service on SQLite need not carry psycopg

        parts = self.url.translate_connect_args(database="dbname", username="user")
        return make_conninfo(**parts, **{name: str(value) for name, value in self.url.query.items()})


def of_file(path: Path) -> Address:
    """The address of an SQLite file, whatever signs its name has."""
    return Address(SQLITE, URL.create("sqlite+aiosqlite", database=str(path.absolute())), str(path))


def parse(text: str, name: str = "MM_DATABASE_URL") -> Address:
    """Read a database URL that is called `name`; raises `BadSetting` that says what is wrong and shows no password."""
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
    url = _sqlite(url, name) if engine is SQLITE else _postgresql(url)
    masked = {name: "***" if name in SECRETS else value for name, value in url.query.items()}
    return Address(engine, url, url.set(drivername=engine.name, query=masked).render_as_string(hide_password=True))


def _sqlite(url: URL, name: str) -> URL:
    file = (url.database or "").removeprefix("file:")
    if file in ("", ":memory:"):
        message = f"{name} names no file: records must outlive the process. Write sqlite:///file.db."
        raise BadSetting(message)
    if url.host:
        message = f"{name} has two slashes before '{url.host}': write sqlite:///{url.host} for a file."
        raise BadSetting(message)
    return URL.create("sqlite+aiosqlite", database=str(Path(file).expanduser().absolute()))


def _postgresql(url: URL) -> URL:
    query = {POSTGRESQL_OPTIONS.get(name, name): value for name, value in url.query.items()}
    return url.set(drivername="postgresql+psycopg", query=query)
