"""Database URLs: accepted spellings, options, and secrets that are not shown."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

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
    "PostgreSQL://u:s3cr3t@/base?host=host&port=5433",
    "postgresql://host?user=u&password=s3cr3t&dbname=base&port=5433",
    "postgresql+psycopg://u:s3cr3t@/base?host=host:5433",
]
# URLs of libpq and of SQLAlchemy, and the parameters that libpq gets.
SPELLINGS = [
    ("postgresql://", {}),
    ("postgresql:///base?host=/run/postgresql", {"dbname": "base", "host": "/run/postgresql"}),
    ("postgresql://%2Frun%2Fpostgresql/base", {"dbname": "base", "host": "/run/postgresql"}),
    ("postgresql://%2Frun%2Fpg:5433/base", {"dbname": "base", "host": "/run/pg", "port": "5433"}),
    ("postgresql://[::1]:5433/base", {"dbname": "base", "host": "::1", "port": "5433"}),
    ("postgresql://a,b/base", {"dbname": "base", "host": "a,b"}),
    (
        "postgresql://a:5433,b:5434/base?target_session_attrs=read-write",
        {"dbname": "base", "host": "a,b", "port": "5433,5434", "target_session_attrs": "read-write"},
    ),
    ("postgresql://a,b:5434/base", {"dbname": "base", "host": "a,b", "port": ",5434"}),
    ("postgresql:///base?host=a:5433&host=b:5434", {"dbname": "base", "host": "a,b", "port": "5433,5434"}),
    ("postgresql:///base?host=a,b&port=5433,5434", {"dbname": "base", "host": "a,b", "port": "5433,5434"}),
    ("postgresql://?service=machines", {"service": "machines"}),
    ("postgresql://h/b?passfile=/etc/pass%20word", {"host": "h", "dbname": "b", "passfile": "/etc/pass word"}),
    ("postgresql://h/b?options=-c%20a%3Db", {"host": "h", "dbname": "b", "options": "-c a=b"}),
    ("postgresql://h/b?options=-c+a=b", {"host": "h", "dbname": "b", "options": "-c a=b"}),
    ("postgresql://h:5433/b?user=a@b", {"host": "h", "port": "5433", "dbname": "b", "user": "a@b"}),
    ("postgresql://u%40x:p%2Fw%3F@h/a%2Fb", {"host": "h", "dbname": "a/b", "user": "u@x", "password": "p/w?"}),
    ("postgresql://u:p/w?@h/b", {"host": "h", "dbname": "b", "user": "u", "password": "p/w?"}),
    ("postgresql://u:100%@h/b", {"host": "h", "dbname": "b", "user": "u", "password": "100%"}),
]
WITH_OPTIONS = [
    ("postgresql://h/b?sslmode=require", {"sslmode": "require"}),
    ("postgresql+asyncpg://h/b?ssl=require", {"sslmode": "require"}),
    ("postgresql+asyncpg://h/b?ssl=true", {"sslmode": "require"}),
    ("postgresql://postgres@/b?host=/run/x&application_name=a", {"host": "/run/x", "application_name": "a"}),
]
SECRETS = [
    "postgresql://u:s3cr3t@host/base",
    "postgresql://u:s3cr3t@host/base?sslmode=require",
    "postgresql://u@host/base?password=s3cr3t",
    "postgresql://host/base?user=u&password=s3cr3t&sslpassword=s3cr3t",
    "postgresql://u:s3cr3t%40%2F@host/base",
    "postgresql://h/base?scram_client_key=s3cr3t",
    "postgresql://h/base?oauth_client_secret=s3cr3t",
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
    "sqlite:///file.db?mode=ro",
    "sqlite:///file:file.db?mode=ro&uri=true",
    "sqlite:///qu?est/file.db",
    "jdbc:postgresql://u:s3cr3t@host/base",
    "u:s3cr3t://host/base",
    "host=h password=s3cr3t",
    "postgresql://u:s3cr3t@host:port/base",
    "postgresql://u:s3cr3t@host:70000/base",
    "postgresql://u:s3cr3t@host/100%",
    "postgresql://u:s3cr3t@[host/base",
    "postgresql://u:s3cr3t@host/base?colour=s3cr3t",
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


@pytest.mark.parametrize(("text", "parameters"), SPELLINGS)
def test_urls_of_libpq_and_of_sqlalchemy_reach_the_server_as_they_are_meant(text, parameters):
    parsed_url = database_urls.parse(text)
    assert conninfo_to_dict(parsed_url.conninfo) == parameters
    again = parsed_url.sqlalchemy_url.render_as_string(hide_password=False)
    assert conninfo_to_dict(database_urls.parse(again).conninfo) == parameters


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("postgresql://h/b?sslmod=require", "'sslmod'. Did you mean 'sslmode'?"),
        ("postgresql://h/b?aplication_name=x", "'aplication_name'. Did you mean 'application_name'?"),
        ("postgresql+asyncpg://h/b?server_settings=x", "no option 'server_settings'"),
        ("sqlite:///file.db?mode=ro", "SQLite URLs have no options. Write %3F"),
        ("postgresql://u:p@w@h/b", "Write %40"),
    ],
)
def test_an_option_that_is_not_known_is_named_with_a_similar_one(text, sentence):
    with pytest.raises(BadSetting, match=re.escape(sentence)):
        database_urls.parse(text)


@pytest.mark.parametrize("name", ["a%3Fb.db", "a%23b.db", "a b.db", "100%25.db"])
def test_a_file_may_have_any_name(name, tmp_path):
    url = database_urls.parse(f"sqlite:///{tmp_path}/{name}")
    assert url.path == tmp_path / unquote(name)
    migrations.ensure_schema(url)
    assert sorted(path.name for path in tmp_path.iterdir()) == [unquote(name), f"{unquote(name)}-lock"]


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
    assert "\n" not in str(refused.value)


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
