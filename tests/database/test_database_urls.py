"""Database URLs: accepted spellings, options, and secrets that are not shown."""

from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.errors import BadSetting, MonitorError

SQLITE = [
    ("sqlite:///file.db", "file.db"),
    ("sqlite:///a/b c/é.db", "a/b c/é.db"),
    ("sqlite:////abs/file.db", "/abs/file.db"),
    ("sqlite+aiosqlite:///file.db", "file.db"),
    ("sqlite+pysqlite:////abs/file.db", "/abs/file.db"),
    ("SQLite:///file.db", "file.db"),
    ("  sqlite:///file.db\n", "file.db"),
]
POSTGRESQL = [
    "postgresql://u:s3cr3t@host:5433/base",
    "postgres://u:s3cr3t@host:5433/base",
    "postgresql+psycopg://u:s3cr3t@host:5433/base",
    "postgresql+asyncpg://u:s3cr3t@host:5433/base",
    "postgresql+psycopg2://u:s3cr3t@host:5433/base",
]
WITH_OPTIONS = [
    ("postgresql://h/b?sslmode=require", {"sslmode": "require"}),
    ("postgresql+asyncpg://h/b?ssl=require", {"sslmode": "require"}),
    ("postgresql://postgres@/b?host=/run/x&application_name=a", {"host": "/run/x", "application_name": "a"}),
]
SECRETS = [
    "postgresql://u:s3cr3t@host/base",
    "postgresql://u:s3cr3t@host/base?sslmode=require",
    "postgresql://u@host/base?password=s3cr3t",
    "postgresql://host/base?user=u&password=s3cr3t&sslpassword=s3cr3t",
    "postgresql://u:s3cr3t%40%2F@host/base",
]
REFUSED = [
    "",
    "file.db",
    "/abs/file.db",
    "u:s3cr3t@host/base",
    "mysql://u:s3cr3t@host/base",
    "mssql+pyodbc://u:s3cr3t@host/base",
    "http://u:s3cr3t@host/base",
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite://file.db",
    "sqlite://folder/file.db",
    "postgresql://u:s3cr3t@host:port/base",
]


@pytest.mark.parametrize(("text", "path"), SQLITE)
def test_any_spelling_of_an_sqlite_file_is_understood(text, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parsed_url = database_urls.parse(text)
    assert (parsed_url.engine.name, parsed_url.path) == ("sqlite", Path(tmp_path) / path)


@pytest.mark.parametrize("text", POSTGRESQL)
def test_any_spelling_of_a_postgresql_url_is_understood(text):
    parsed_url = database_urls.parse(text)
    parts = {"host": "host", "port": "5433", "user": "u", "password": "s3cr3t", "dbname": "base"}
    assert (parsed_url.engine.name, conninfo_to_dict(parsed_url.conninfo)) == ("postgresql", parts)
    assert parsed_url.sqlalchemy_url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(("text", "options"), WITH_OPTIONS)
def test_url_options_reach_the_driver_under_its_own_names(text, options):
    assert database_urls.parse(text).sqlalchemy_url.query == options


@pytest.mark.parametrize("text", SECRETS)
def test_a_database_url_is_shown_without_its_secrets(text):
    parsed_url = database_urls.parse(text)
    assert "s3cr3t" not in parsed_url.redacted
    assert "s3cr3t" in parsed_url.conninfo


@pytest.mark.parametrize("text", REFUSED)
def test_an_unsupported_database_url_is_refused_with_a_clear_error(text):
    with pytest.raises(BadSetting) as refused:
        database_urls.parse(text)
    assert "s3cr3t" not in str(refused.value)
    assert "MM_DATABASE_URL" in str(refused.value)


@pytest.mark.parametrize("query", ["", "?password=s3cr3t"])
def test_the_error_for_an_unreachable_server_does_not_show_the_password(query, tmp_path):
    url = f"postgresql://u:s3cr3t@/base{query or '?'}&host={tmp_path}&connect_timeout=1".replace("?&", "?")
    with pytest.raises(MonitorError) as refused:
        migrations.ensure_schema(database_urls.parse(url))
    assert "s3cr3t" not in str(refused.value)


async def test_a_missing_folder_gives_a_clear_error(tmp_path):
    url = f"sqlite:///{tmp_path}/nowhere/file.db"
    with pytest.raises(MonitorError):
        migrations.ensure_schema(database_urls.parse(url))
    database = Database(url)
    with pytest.raises(MonitorError):
        await database.open()
    await database.close()


@pytest.mark.parametrize("password", ["p w", "a/b@c:d", "100%", "'quoted'"])
def test_a_password_reaches_the_server_as_it_is(password):
    parsed_url = database_urls.parse(f"postgresql://u:{quote(password, safe='')}@host/base?application_name=my%20app")
    parts = conninfo_to_dict(parsed_url.conninfo)
    assert (parts["password"], parts["application_name"]) == (password, "my app")


def test_an_at_sign_that_is_not_encoded_is_refused_without_showing_it():
    with pytest.raises(BadSetting) as refused:
        database_urls.parse("postgresql://u:se@cret@host/base")
    assert "cret" not in str(refused.value)
