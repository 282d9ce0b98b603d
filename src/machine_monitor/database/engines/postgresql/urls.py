"""PostgreSQL URLs: the spellings of libpq and of SQLAlchemy, normalized to SQLAlchemy's form."""

import re
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import parse_qsl, quote, unquote

import sqlalchemy as sa

from machine_monitor.errors import BadSetting
from machine_monitor.suggestions import did_you_mean

DRIVER = "postgresql+psycopg"
# asyncpg's names of an option and of its value, and libpq's.
RENAMED, SSL_MODES = {"ssl": "sslmode"}, {"true": "require", "false": "disable"}
MAX_PORT = 65_535
# As in SQLAlchemy, a password may contain anything but an `@`, also unencoded.
_USERINFO = re.compile(r"(?P<user>[^:/?@]*)(?::(?P<password>[^@]*))?@")
# What `_USERINFO` takes for a password if an option contains the first `@`: a port, further hosts, a path.
_PORT_TO_OPTIONS = re.compile(r"\d*(,[^/?]*)?(/[^?]*)?\?")
_HOST_WITH_PORT = re.compile(r"([\w.-]+):(\d+)")


def parse(text: str, setting: str) -> sa.URL:
    """Parse what follows `postgresql://`. Raises `BadSetting`, which never shows any part that may be a password."""
    import psycopg.conninfo  # noqa: PLC0415 -- do not load psycopg for SQLite

    userinfo, rest = _split_userinfo(text)
    place, _, query = rest.partition("?")
    if "@" in place.partition("/")[0]:
        raise BadSetting(f"{setting} contains more than one '@'. Write %40 for an '@' in the user name or password.")
    options = _options(parse_qsl(query, keep_blank_values=True), setting)
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    try:
        # libpq's parser knows all the forms of hosts: several, in brackets, percent-encoded paths of sockets.
        parts = psycopg.conninfo.conninfo_to_dict(f"postgresql://{userinfo}{place}?{encoded}")
    except psycopg.ProgrammingError:
        message = f"{setting} is not a valid PostgreSQL URL: write postgresql://user:password@host:5432/name."
        raise BadSetting(f"{message} Write %25 for a '%' in a name.") from None
    return _url({name: str(value) for name, value in parts.items()}, setting)


def conninfo(url: sa.URL, **settings: str) -> str:
    """Return the libpq connection string; `settings` replace options of the URL."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 -- do not load psycopg for SQLite

    parts = url.translate_connect_args(database="dbname", username="user")
    return make_conninfo(**parts, **{name: str(value) for name, value in url.query.items()} | settings)


def _split_userinfo(text: str) -> tuple[str, str]:
    """Split the user and the password off, percent-encoded as libpq wants them."""
    match = _USERINFO.match(text)
    if match is None or _PORT_TO_OPTIONS.match(match["password"] or ""):
        return "", text
    parts = [quote(unquote(part), safe="") for part in match.groups() if part is not None]
    return f"{':'.join(parts)}@", text[match.end() :]


def _options(pairs: Iterable[tuple[str, str]], setting: str) -> dict[str, str]:
    """Return the options by libpq's names; SQLAlchemy repeats `host=name:port` for several hosts."""
    known, found, hosts = _keywords(), {}, []
    for given, value in pairs:
        name = RENAMED.get(given, given)
        if name not in known:
            raise BadSetting(
                f"{setting}: PostgreSQL URLs have no option '{given}'.{did_you_mean(given, sorted(known))}"
                " The options are the parameter key words of libpq."
            )
        if name == "host":
            hosts += value.split(",")
        found[name] = SSL_MODES.get(value.lower(), value) if given == "ssl" else value
    if hosts:
        found |= _hosts(hosts, with_ports="port" not in found)
    return found


def _hosts(hosts: Sequence[str], *, with_ports: bool) -> dict[str, str]:
    split = [_HOST_WITH_PORT.fullmatch(host) if with_ports else None for host in hosts]
    names = [found[1] if found else host for found, host in zip(split, hosts, strict=True)]
    ports = [found[2] if found else "" for found in split]
    return {"host": ",".join(names)} | ({"port": ",".join(ports)} if any(ports) else {})


def _keywords() -> Collection[str]:
    """Return the options that the installed libpq knows."""
    from psycopg import pq  # noqa: PLC0415 -- do not load psycopg for SQLite

    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}


def _url(parts: dict[str, str], setting: str) -> sa.URL:
    ports = parts.get("port", "").split(",")
    if not all(port == "" or (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT) for port in ports):
        message = f"{setting}: a port must be a number from 1 to {MAX_PORT}. Write %2F for a '/' in the password."
        raise BadSetting(message)
    if not any(ports):
        parts.pop("port", None)
    user, password, database = (parts.pop(name, None) for name in ("user", "password", "dbname"))
    host = port = None
    if len(ports) == 1 and not {",", "/", "@"} & {*parts.get("host", ",")}:
        host, port = parts.pop("host"), int(parts.pop("port", "0")) or None
    return sa.URL.create(DRIVER, user, password, host, port, database, parts)
